# SPDX-License-Identifier: Apache-2.0
"""A follower may start at any moment: it ends with the leader's log.

The leader works under load. A follower starts at random moments: together with the leader, when the
leader has just come back (a new epoch), when the exchanges have just come back (a burst), when the
broker stands still, in between. One market of each exchange is quiet nearly from the beginning; and
late somebody else writes so much into the topic that who starts then does not look back that far:
he can know of those markets by the leader's states alone. Each time

- snapshots of both nodes that hold up to the same seq must be the same bytes, message by message;
- what its clients get from then on is what the leader's get;
- then it is killed, or stopped.

Before that it is killed (kill -9) and started again: it must honour tokens that are up to a minute
old. All trades of the whole stream are compared with the simulator's truth: what was traded while
the leader was away must be declared, all the rest is there, once.

    START_MOMENTS  default 50; with --ci 8
"""

import collections
import json
import os
import random
import time

from confluent_kafka import Producer

from cluster import SLOW_MACHINE, with_broker
from show import IN_CI, attempt, conclude, say

from harness import wait_until

MOMENTS = int(os.environ.get("START_MOMENTS", "8" if IN_CI else "50"))
RATE = 500
TRIES_S = 8  # until snapshots of both nodes are of the same seq
SNAPSHOT_AGE_S = 0.55
QUIET_S = 30
QUIET_MS = 3600 * 1000
FOREIGN = 120000  # records; with so small a log a node looks at the last 100,000 alone
RETAIN = "16MiB"  # of the follower
TOPIC = "tickwire.market"
LIVE = 200  # messages after each start
TOKEN_AGES_S = (0, 1, 5, 15, 30, 45, 60)
OUTAGE_MS = 1500
SEED = 20261124
QUIET = {"binance": "SOL-USDT", "upbit": "SOL-KRW", "bithumb": "SOL-KRW"}
KINDS = ["together", "leader restarted", "leader killed", "burst", "between", "broker frozen",
         "between", "between"]


class Reference:
    """A client of the leader that goes on by token when the leader was away: nothing is missing."""

    def __init__(self, audience, leader):
        self.audience, self.leader = audience, leader
        self.listener, = audience.join_from_start(leader)
        self.marks = []  # (time.monotonic(), token, seq)

    def leave(self):
        """Before the leader goes."""
        self.audience.leave([self.listener])

    def come_back(self):
        token = self.listener.token
        self.leader.wait_stream()
        self.listener, = self.audience.join(self.leader, query=f"?batch=1&since={token}")
        self.audience.wait(lambda: self.listener.hellos, "hello")
        hello = self.listener.hellos[0][1]
        assert hello["resumed"] is True, f"the leader's next life does not honour {token}: {hello}"

    def note(self):
        self.marks.append((time.monotonic(), self.listener.token, self.listener.seq))

    def wait_more(self, count):
        begun = self.listener.count
        self.audience.wait(lambda: self.listener.count >= begun + count, f"{count} messages more")
        self.note()

    def token_before(self, seconds):
        """(age in seconds, token, seq) of the newest one noted at least so long ago."""
        now = time.monotonic()
        found = [(now - at, token, seq) for at, token, seq in self.marks if now - at >= seconds]
        return min(found) if found else None


class Moments:
    def __init__(self, broker, cluster, audience):
        self.broker, self.cluster, self.audience = broker, cluster, audience
        self.leader, self.follower = cluster.leader, cluster.follower
        self.random = random.Random(SEED)
        self.reference = None
        self.took_ms, self.problems = {}, []
        self.snapshots, self.snapshot_messages = collections.Counter(), 0
        self.orders_differ, self.quiet, self.quiet_trades = 0, False, None

    # -- moments --

    def first(self):
        """Both at once, with an empty topic."""
        self.follower.launch()
        self.leader.launch()
        begun = time.monotonic()
        self.leader.ready().wait_stream()
        self.reference = Reference(self.audience, self.leader)
        self.follower.ready()
        self.check("together, empty topic", begun)
        self.quieten()

    def quieten(self):
        """As soon as a trade of theirs has come: for as long as this may take."""
        def traded():
            return {(message["exchange"], message["symbol"], message["id"])
                    for message in map(self.audience.ledger.read, self.audience.ledger.texts())
                    if message["type"] == "trade"}

        self.audience.wait(lambda: set(QUIET.items()) <= {key[:2] for key in traded()},
                           f"trades of {QUIET}")
        for exchange, symbol in QUIET.items():
            self.cluster.simulator.fault("halt", exchange, symbol=symbol, ms=QUIET_MS)
        self.cluster.fetch_truths()
        last = {(*key, self.cluster.truths[key].trades[-1][0]) for key in QUIET.items()}
        self.audience.wait(lambda: last <= traded(), f"their last trades, {last}")
        self.quiet = True

    def crowd_out(self):
        """Records of somebody else, which nobody reads as ours."""
        producer = Producer({**self.broker.client(), "linger.ms": 5,
                             "queue.buffering.max.messages": 2 * FOREIGN})
        for _ in range(FOREIGN):
            producer.produce(TOPIC, b"not a message of ours")
        left = producer.flush(SLOW_MACHINE)
        assert left == 0, f"{left} records were not taken"

    def restart_leader(self, kill):
        self.reference.leave()
        if kill:
            self.leader.kill()
        else:
            self.leader.stop()
        self.leader.launch()

    def start(self, kind):
        """Brings the moment about; the follower is launched in it."""
        if kind in ("together", "leader restarted", "leader killed"):
            self.restart_leader(kind == "leader killed")
            if kind != "together":
                self.leader.node.wait_log(msg="epoch opened", seconds=SLOW_MACHINE)
            self.follower.launch()
            self.leader.ready()
            self.reference.come_back()
        elif kind == "burst":
            self.audience.quiet = True  # exchanges that are away, and backing off
            for exchange in self.cluster.exchanges:
                self.cluster.simulator.fault("disconnect", exchange, ms=OUTAGE_MS)
            count = len(self.leader.node.logged(msg="connected"))
            self.leader.node.wait_log(count + 1, SLOW_MACHINE, msg="connected")
            self.follower.launch()
        elif kind == "broker frozen":
            self.broker.stop()
            self.follower.launch()
        else:
            self.reference.wait_more(self.random.randrange(1, 1000))
            self.follower.launch()

    def moment(self, kind):
        self.start(kind)
        begun = time.monotonic()
        self.follower.ready()
        if kind == "broker frozen":
            self.follower.wait_source("peer")
            self.broker.cont()
        self.check(kind, begun)
        self.audience.quiet = False
        say(f"start-anywhere: {kind}: serves after {self.took_ms[kind][-1]} ms; "
            f"{self.problems[-1:]}")

    # -- what must be so then --

    def check(self, kind, begun):
        self.follower.wait_stream()
        served_ms = (time.monotonic() - begun) * 1000
        self.follower.wait_source("kafka")
        self.took_ms.setdefault(kind, []).append(round(served_ms))
        self.same_stream()
        clients = self.compare_snapshots(kind)
        self.audience.wait_count(clients, LIVE)
        if len(self.follower.node.logged(msg="clients start over")) != 1:
            self.problems.append(f"{kind}: its clients start over more than once:\n"
                                 f"{self.follower.log_tail()}")
        self.problems += [f"{kind}: {text}" for text in self.audience.forget(clients)]
        self.reference.note()
        if self.random.random() < 0.5:
            self.follower.kill()
        else:
            self.follower.stop()

    def same_stream(self):
        def same():
            mine, other = self.follower.info(), self.leader.info()
            return (mine["stream"], mine["epoch"]) == (other["stream"], other["epoch"])
        wait_until(same, "both are in the same stream and epoch", SLOW_MACHINE)

    def compare_snapshots(self, kind):
        """Under load, as often as it takes until both nodes happened to make one at the same seq;
        if that does not come about, in a quiet moment. Returns clients of both; they stay."""
        for quiet in (False, True):
            if quiet:
                self.cluster.halt(QUIET_S)
            end = time.monotonic() + (QUIET_S if quiet else TRIES_S)
            while time.monotonic() < end:
                clients = self.audience.join_all([(member, "?batch=1", "/ws/exchange")
                                                  for member in self.cluster.members])
                self.audience.wait(lambda them=clients: all(
                    client.snapshot and not client.in_snapshot for client in them), "snapshots")
                theirs, ours = clients
                if ours.snapshot[-1] == theirs.snapshot[-1]:
                    self.compare_pair(kind, ours, theirs)
                    self.look_at_quiet(kind, ours)
                    self.snapshots["quiet" if quiet else "under load"] += 1
                    self.snapshot_messages += len(ours.snapshot)
                    return clients
                self.problems += self.audience.forget(clients)
                self.wait_snapshots_old()
        raise AssertionError(f"no two snapshots of the same seq: {ours.snapshot[-1]}, "
                             f"{theirs.snapshot[-1]}")

    def wait_snapshots_old(self):
        """A node gives the one that it has to whoever joins within half a second."""
        begun = time.monotonic()
        self.audience.wait(lambda: time.monotonic() - begun > SNAPSHOT_AGE_S, "half a second")

    def look_at_quiet(self, kind, client):
        """The last trades of the quiet markets: nothing new comes of them."""
        trades = set()
        for message in map(json.loads, client.snapshot):
            if message["type"] == "trade" and QUIET[message["exchange"]] == message["symbol"]:
                trades.add((message["exchange"], message["id"]))
        if self.quiet_trades is None and self.quiet:
            self.quiet_trades = trades
        if self.quiet and (trades != self.quiet_trades or len(trades) != len(QUIET)):
            self.problems.append(f"{kind}: the last trades of {QUIET} are {trades}; they were "
                                 f"{self.quiet_trades}")

    def compare_pair(self, kind, ours, theirs):
        if ours.snapshot == theirs.snapshot:
            return
        if sorted(ours.snapshot) == sorted(theirs.snapshot):
            self.orders_differ += 1
            return
        only_ours = sorted(set(ours.snapshot) - set(theirs.snapshot))
        only_theirs = sorted(set(theirs.snapshot) - set(ours.snapshot))
        self.problems.append(f"{kind}: snapshots at {ours.snapshot[-1]} differ: the follower's has "
                             f"{len(only_ours)} others: {[text[:500] for text in only_ours[:2]]} "
                             f"instead of {len(only_theirs)}: "
                             f"{[text[:500] for text in only_theirs[:2]]}")

    # -- old tokens --

    def old_tokens(self):
        """[{age, behind}] of tokens that the follower honoured right after kill -9."""
        self.follower.start().wait_source("kafka")
        until = time.monotonic() + max(TOKEN_AGES_S) + 10
        oldest = self.reference.marks[0][0]
        while time.monotonic() - oldest < max(TOKEN_AGES_S) + 5 and time.monotonic() < until:
            self.reference.wait_more(100)
        self.follower.kill()
        self.follower.start_by_kafka()
        honoured = []
        for seconds in TOKEN_AGES_S:
            found = self.reference.token_before(seconds)
            if found is None:
                self.problems.append(f"no token that is {seconds} s old")
                continue
            age, token, seq = found
            client, = self.audience.join(self.follower, query=f"?batch=1&since={token}")
            self.audience.wait(lambda it=client: it.hellos, "hello")
            hello = client.hellos[0][1]
            if hello["resumed"] is not True or hello["next"] != seq + 1:
                self.problems.append(f"a token {age:.1f} s old, {token}, is not honoured: {hello}\n"
                                     f"{self.follower.log_tail(15)}")
                say(self.problems[-1])
                self.audience.forget([client])
                continue
            target = self.reference.listener.seq
            self.audience.wait(lambda it=client, to=target: it.seq >= to, "what came since then")
            honoured.append({"age_s": round(age, 1), "messages": client.count})
            self.problems += self.audience.forget([client])
        self.follower.stop()
        return honoured


def run(broker, cluster, audience):
    cluster.follower.configure(stream__retain=RETAIN)
    moments = Moments(broker, cluster, audience)
    moments.first()
    kinds = (KINDS * (MOMENTS // len(KINDS) + 1))[:MOMENTS - 1]
    between = kinds.count("between")
    kinds = sorted((kind for kind in kinds if kind != "between"), key=KINDS.index)
    for kind in kinds + ["between"] * (between // 2):
        moments.moment(kind)
    tokens = moments.old_tokens()
    moments.crowd_out()
    for _ in range(between - between // 2):  # nobody looks at the first records any more
        moments.moment("between")
    cluster.halt()
    audience.quiet = True
    audience.wait_all_at_end(cluster)
    figures = {"moments": MOMENTS, "serves_after_ms": {
        kind: {"count": len(took), "max": max(took)} for kind, took in moments.took_ms.items()},
        "snapshots_compared": dict(moments.snapshots),
        "snapshot_messages": moments.snapshot_messages, "in_another_order": moments.orders_differ,
        "tokens": tokens, "epochs": moments.reference.listener.epoch}
    figures["truth"], found = cluster.compare(audience.ledger, gaps_allowed=True)
    return figures | audience.figures(), moments.problems + found + audience.problems()


def main():
    conclude("start-anywhere", *attempt(with_broker, run, RATE))


if __name__ == "__main__":
    main()
