# SPDX-License-Identifier: Apache-2.0
"""Kafka breaks in every way, one after the other: clients of leader and follower miss nothing.

Both nodes come to a real broker through a forwarder that can be shut (forwarder.py), and each has
ten clients. The broker is killed, frozen, restarted, put back to earlier data, silent, refused,
lost, its disk full. While it is, data go on: the leader says `direct`, the follower `peer`; when it
is back, both say `kafka`, and the topic holds what clients had. (Connections that are cut, or late
for a moment, may pass without a word.)

For every fault:
- no client is told hello: one thing has failed, so nobody starts over;
- seq grows by one, texts are the same at all clients of both nodes; trades are the simulator's;
- what /ws/info, /api/ws/infra-health, /metrics and `source` messages say is what is so;
- how long each client had no data: median and worst (bar: 1.5 s; failure at ten times that).
At the end docs/examples/read_topic.py, which knows three lines, rebuilds from the topic's beginning
exactly what clients had.

    KAFKA_FAULTS         names, of those that are there (default all; with --ci some)
    KAFKA_FAULTS_ROUNDS  default 2; with --ci 1
    KAFKA_FAULTS_RATE    orders a second of the simulator (default 400)
"""

import collections
import os
import statistics
import sys
import time

from cluster import SLOW_MACHINE, Audience, Cluster
from forwarder import Forwarder
from kafka import Broker, Unavailable
from show import IN_CI, attempt, conclude, say

import topic
from harness import wait_until
from prometheus import Metrics

ROUNDS = int(os.environ.get("KAFKA_FAULTS_ROUNDS", "1" if IN_CI else "2"))
RATE = int(os.environ.get("KAFKA_FAULTS_RATE", "400"))
CLIENTS = 10  # of each node; one has everything from the stream's first message on
WHILE_DOWN = 200  # messages that each client gets while the broker can't be used
LONG_S = 12  # in the second round it lasts longer than what is written again for good measure
LATE_S = 0.6
WATCHED_S = 3  # after what was over at once
BAR_MS = 1500
FAIL_MS = 10 * BAR_MS
DISK = 128 << 20

# what a node says when the broker can't be used, and when it can: source, metrics' mode
DOWN = {"leader": ("direct", "leader-direct"), "follower": ("peer", "follower-peer")}
UP = {"leader": ("kafka", "leader-carrier"), "follower": ("kafka", "follower-carrier")}


class World:
    """What a fault may touch."""

    def __init__(self, broker, door, cluster, audience):
        self.broker, self.door, self.cluster, self.audience = broker, door, cluster, audience
        self.listeners = []
        self.silences = collections.defaultdict(list)  # (fault, role): ms, one a client and round
        self.announced = collections.defaultdict(list)  # fault: ms until a client was told

    def role(self, member):
        return "leader" if member is self.cluster.leader else "follower"

    def of(self, member):
        return [one for one in self.listeners if one.member_name == member.name]


# ---- faults: how it breaks, and how it comes back ----

def refused(world):
    """A broker that has ended: nobody listens."""
    world.door.set("refuse")


def begin_again(world):
    """It is to be reached before it is ready, as brokers are."""
    world.broker.launch()
    world.door.set("pass")
    world.broker.ready()


def kill(world):
    world.broker.kill()
    refused(world)


def terminate(world):
    world.broker.terminate()
    refused(world)


def lose_tail(world):
    """What clients got behind the copy is not in the broker's data any more. Returns when it broke.
    """
    world.broker.copy_data()  # it is frozen meanwhile
    for member in world.cluster.members:
        member.wait_source("kafka")
    world.audience.wait_count(world.listeners, WHILE_DOWN)
    begun = time.monotonic()
    world.broker.kill()
    refused(world)
    world.broker.put_back()
    return begun


def fill_up(world):
    """Kafka ends itself when its only folder fails."""
    world.broker.fill()
    wait_until(lambda: not world.broker.running, "the broker gives up", SLOW_MACHINE)
    refused(world)


def make_room(world):
    world.broker.make_room()
    world.broker.kill()  # it is dead already
    begin_again(world)


def shut(mode):
    return lambda world: world.door.set(mode)


def be_late(world):
    """For nearly as long as nodes wait for the broker."""
    begun = time.monotonic()
    world.door.set("lost")
    wait_until(lambda: time.monotonic() - begun > LATE_S, "time passes")


FAULTS = {
    "kill": (kill, begin_again),
    "freeze": (lambda world: world.broker.stop(), lambda world: world.broker.cont()),
    "restart": (terminate, begin_again),
    "lost-tail": (lose_tail, begin_again),
    "silent": (shut("silent"), shut("pass")),
    "refused": (shut("refuse"), shut("pass")),
    "packets-lost": (shut("lost"), shut("pass")),
    "cut": (shut("refuse"), shut("pass")),
    "late": (be_late, shut("pass")),
    "full": (fill_up, make_room),
}
SHORT = ("cut", "late")  # over at once: nodes may leave Kafka for it, or not
IN_SHORT = ["kill", "silent", "lost-tail"]
NAMES = os.environ.get("KAFKA_FAULTS", " ".join(IN_SHORT if IN_CI else FAULTS)).split()


# ---- what is announced ----

def says(member, role, wanted, up):
    """What a node says that is not so: [texts]."""
    source, mode = wanted
    info, health, metrics = member.info(), member.health(), Metrics(member.node)
    kafka = health["dependencies"]["kafka"]
    mode_words = "kafka" if up else "websocket"
    facts = {
        "info.source": (info["source"], source), "info.mode": (info["mode"], mode_words),
        "health.source": (health["source"], source), "health.mode": (health["mode"], mode_words),
        "health.better": (health["better"] is None, up),
        "health.kafka": (kafka["state"] == "up", up),
        "health.error": (kafka["error"] is None, up),
        "metric role": (metrics.value("tickwire_role", role=role), 1),
        "metric mode": (metrics.value("tickwire_mode", mode=mode), 1),
        "metric modes": (metrics.total("tickwire_mode"), 1),
        "metric carrier_up": (metrics.value("tickwire_carrier_up", carrier="kafka"), int(up))}
    return [f"{member.name} {name}: {is_so}, not {should}; {kafka}"
            for name, (is_so, should) in facts.items() if is_so != should]


def wait_announced(world, table, up):
    """Both nodes say so, and have told their clients."""
    for member in world.cluster.members:
        role = world.role(member)
        wrong = []

        def agreed(member=member, role=role, wrong=wrong):
            wrong[:] = says(member, role, table[role], up)
            return not wrong

        try:
            world.audience.wait(agreed, "what a node says", SLOW_MACHINE)
        except AssertionError as error:
            raise AssertionError(f"{error}: {wrong}") from error
        source = table[role][0]
        world.audience.wait(
            lambda member=member, source=source: all(
                newest_source(one) == source for one in world.of(member)),
            f"clients of {member.name} are told {source}")


def newest_source(listener):
    """What a client was told last: it may be from before a fault, when the broker was late then."""
    return (listener.sources or listener.hellos)[-1][1]["source"]


def told(listener, since):
    """Sources that a client was told of since then."""
    return [message["source"] for at, message in listener.sources if at > since]


# ---- a fault ----

def keep_on(world, until):
    """Data go on until then, and everybody gets some."""
    world.audience.wait_count(world.listeners, WHILE_DOWN)
    while time.monotonic() < until:
        world.audience.wait_count(world.listeners, WHILE_DOWN)


def measure(world, name, begun):
    """How long each client had nothing, and when it was told."""
    for member in world.cluster.members:
        for one in world.of(member):
            silences = [ms for at, ms in list(one.silences) if at + ms / 1000 > begun]
            world.silences[name, world.role(member)].append(max(silences, default=0))
            first = next((at for at, _ in one.sources if at > begun), begun)
            world.announced[name].append((first - begun) * 1000)


def check_rest(world, name, begun):
    """[problems]: nobody began anew, and all clients of a node were told the same."""
    for member in world.cluster.members:
        words = {tuple(told(one, begun)) for one in world.of(member)}
        if len(words) != 1:
            yield f"{name}: clients of {member.name} were told different things: {words}"
        hellos = [one.hellos[-1][1] for one in world.of(member) if len(one.hellos) != 1]
        if hellos:
            raise AssertionError(f"{name}: {len(hellos)} clients of {member.name} began anew: "
                                 f"{hellos[0]}")
        say(f"kafka-faults: {name}: {member.name} said {' '.join(words.pop()) or 'nothing'}")


def run_fault(world, name, number):
    """[problems]"""
    hurt, heal = FAULTS[name]
    wait_announced(world, UP, True)
    called = time.monotonic()
    begun = hurt(world) or called
    if name not in SHORT:
        wait_announced(world, DOWN, False)
        keep_on(world, begun + (LONG_S if number > 0 else 0))
    healed = time.monotonic()
    heal(world)
    if name in SHORT:
        keep_on(world, healed + WATCHED_S)
    wait_announced(world, UP, True)
    world.audience.wait_count(world.listeners, WHILE_DOWN)
    measure(world, name, begun)
    worst = {role: round(max(world.silences[name, role][-CLIENTS:])) for role in DOWN}
    say(f"kafka-faults: round {number + 1}: {name}: {time.monotonic() - begun:.1f} s, longest "
        f"without data {worst} ms")
    return list(check_rest(world, name, begun))


# ---- all of it ----

def finish(world):
    """(figures, problems)"""
    world.cluster.halt()
    world.audience.quiet = True
    world.audience.wait_all_at_end(world.cluster)
    figures = {}
    figures["truth"], problems = world.cluster.compare(world.audience.ledger)
    if figures["truth"]["gaps"]:
        problems.append(f"{figures['truth']['gaps']} gaps")
    figures["topic"], found, _ = topic.compare(world.broker, world.audience.ledger)
    figures["clients"] = world.audience.figures()
    for member in world.cluster.members:
        figures[member.name] = {
            name: int(member.metric(f"tickwire_{name}"))
            for name in ("mode_changes_total", "rewrites_total", "fenced_records_total")}
    return figures, problems + found + world.audience.problems()


def times_of(world):
    """(figures, problems): time without data, of each fault."""
    figures, problems = {}, []
    for name in dict.fromkeys(name for name, _ in world.silences):
        figures[name] = {}
        for role in DOWN:
            values = world.silences[name, role]
            figures[name][role] = {"median_ms": round(statistics.median(values)),
                                   "worst_ms": round(max(values))}
        figures[name]["told_after_ms"] = round(max(world.announced[name]))
        worst = max(max(world.silences[name, role]) for role in DOWN)
        figures[name]["within_bar"] = worst <= BAR_MS
        if max(worst, figures[name]["told_after_ms"]) > FAIL_MS:
            problems.append(f"{name}: {figures[name]}")
    return figures, problems


def run(world, names):
    """(figures, problems)"""
    world.cluster.start()
    leader, follower = world.cluster.members
    world.listeners += world.audience.join(leader, CLIENTS - 1)
    world.listeners += world.audience.join_from_start(leader)
    world.listeners += world.audience.join(follower, CLIENTS)
    world.audience.wait_count(world.listeners, WHILE_DOWN)
    problems = []
    try:
        for number in range(ROUNDS):
            for name in names:
                problems += run_fault(world, name, number)
        figures, found = finish(world)
        problems += found
    except (AssertionError, OSError) as error:
        say("\n".join(member.log_tail(60) for member in world.cluster.members))
        figures = {}
        problems += [f"{type(error).__name__}: {error}", *world.audience.problems()[:3]]
    figures["faults"], found = times_of(world)
    return figures, problems + found


def run_with(names, options):
    with Broker(doors=1, **options) as broker, Forwarder(*broker.doors[0]) as door:
        with Cluster(door.address, rate=RATE) as cluster, Audience() as audience:
            return run(World(broker, door, cluster, audience), names)


def main():
    figures, problems, skipped = {"rounds": ROUNDS, "bar_ms": BAR_MS, "faults": {}}, [], []
    unknown = set(NAMES) - set(FAULTS)
    if unknown:
        sys.exit(f"no such faults: {' '.join(unknown)}")
    runs = [("broker", [name for name in NAMES if name != "full"], {}),
            ("small_disk", [name for name in NAMES if name == "full"], {"disk": DISK})]
    for what, names, options in runs:
        if not names:
            continue
        try:
            found, wrong = attempt(run_with, names, options)
            figures["faults"] |= found.pop("faults", {})
            figures[what] = found
            problems += wrong
        except Unavailable as error:
            skipped.append(str(error))
    conclude("kafka-faults", figures, problems, skipped)


if __name__ == "__main__":
    main()
