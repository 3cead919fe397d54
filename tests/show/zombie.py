# SPDX-License-Identifier: Apache-2.0
"""Two nodes are both configured as leader. The one that leads is frozen with records in its
producer, the other takes over, and the first is woken: what it had written comes behind the
other's barrier. It is fenced: counted, and seen by no client of either node.

Each round, with the parts changed:

- clients of the leader; markets busy. It is frozen (SIGSTOP): "plain" at any moment; "held" with
  bytes of it on their way to the broker, which a forwarder keeps; "held-long" with records that are
  nearly as old as makes it deliver direct;
- the other node starts, takes over, serves; clients come, with tokens of the frozen one's clients
  too. Then what was held back goes on to the broker, and the first one is woken;
- it says `deposed`, follows, and its clients go on with exactly the other's messages.

At the end the three lines of docs/examples/read_topic.py rebuild from the topic what clients had,
and what was fenced there is nothing that any client got.

    ZOMBIE_ROUNDS  default 9; with --ci 3
    ZOMBIE_RATE    orders a second of the simulator (default 400)
"""

import os
import time

from cluster import SLOW_MACHINE, Audience, Cluster
from forwarder import Forwarder
from kafka import Broker, wait_frozen
from show import IN_CI, attempt, conclude, say

import topic
from harness import wait_until

ROUNDS = int(os.environ.get("ZOMBIE_ROUNDS", "3" if IN_CI else "9"))
RATE = int(os.environ.get("ZOMBIE_RATE", "400"))
KINDS = ("held", "held-long", "plain")
CLIENTS = 5  # of each node
MESSAGES = 200  # that each client gets, whenever it should get some
HELD_S = {"held": 0, "held-long": 0.45}
HELD_BYTES = 2000  # more than requests without records have
DIRECT_S = 0.7  # who is held back for longer may have turned direct, and then it is another case
TRIES = 20  # of freezing it in time
RUNS = 3  # of the whole, when the machine was too slow for what is to be shown


class TooLate(Exception):
    """Who woke up was longer without Kafka than a leader waits for it: direct is right then."""


class World:
    def __init__(self, broker, doors, cluster, audience):
        self.broker, self.cluster, self.audience = broker, cluster, audience
        self.ones, self.twos = cluster.members  # who leads, and the other
        self.doors = dict(zip(cluster.members, doors))
        self.clients = {member: [] for member in cluster.members}
        self.fenced = {kind: 0 for kind in KINDS}  # counted by who took over
        self.rounds = {kind: 0 for kind in KINDS}
        self.hellos = 0
        self.takeovers_ms = []

    def everybody(self):
        return [one for clients in self.clients.values() for one in clients if one.alive]


# ---- freezing ----

def let_go(world, member):
    """It was too late: it goes on, until all is as before."""
    world.doors[member].set("pass")
    member.thaw()
    member.wait_source("kafka")


def freeze(world, member, kind):
    """With what it had written held back, if the kind says so. Returns how often it took."""
    door = world.doors[member]
    for attempt in range(1, TRIES + 1):
        lead_by_kafka = len(member.node.logged(msg="mode", mode="leader-direct"))
        member.wait_source("kafka")
        begun = time.monotonic()
        if kind != "plain":
            door.set("hold")
            wait_until(lambda: door.held() >= HELD_BYTES
                       and time.monotonic() - begun >= HELD_S[kind], "bytes held back")
        member.freeze()
        wait_frozen(member.node.pid)
        late = time.monotonic() - begun >= DIRECT_S
        if not late and len(member.node.logged(msg="mode", mode="leader-direct")) == lead_by_kafka:
            return attempt
        let_go(world, member)
    raise AssertionError(f"{member.name} could not be frozen in time in {TRIES} attempts")


# ---- a round ----

def leads(member):
    """It says so."""
    def so():
        said = member.cluster()
        own = [node for node in said["nodes"] if node["id"] == member.name]
        return said["leader"] == member.name and own[0]["role"] == "leader"
    wait_until(so, f"{member.name} leads; it says {member.cluster()}", SLOW_MACHINE)


def take_over(world, old, new):
    """The other node starts, and clients come to it, some with the tokens of the frozen one's."""
    begun = time.monotonic()
    tokens = [one.token for one in world.clients[old][:CLIENTS]]
    new.start().wait_source("kafka")
    leads(new)
    world.takeovers_ms.append((time.monotonic() - begun) * 1000)
    world.clients[new] = world.audience.join(new, CLIENTS)
    resumed = [world.audience.join(new, query=f"?batch=1&since={token}")[0] for token in tokens]
    world.clients[new] += resumed
    world.audience.wait_count(world.clients[new], MESSAGES)
    refused = [one.hellos[0][1] for one in resumed if one.hellos[0][1]["resumed"] is not True]
    assert not refused, f"{new.name} does not honour tokens of {old.name}: {tokens} {refused[0]}"


def fenced_by(member):
    return int(member.metric("tickwire_fenced_records_total"))


def wake(world, old, new, kind):
    """What was held back comes to the broker, then its writer wakes up. It must follow. Returns how
    many records of it were fenced (the node may have read older ones before)."""
    before = fenced_by(new)
    world.doors[old].set("pass")
    if kind != "plain":
        wait_until(lambda: fenced_by(new) > before, f"{new.name} counts what is fenced",
                   SLOW_MACHINE)
    direct = len(old.node.logged(msg="mode", mode="leader-direct"))
    old.thaw()
    old.node.wait_log(seconds=SLOW_MACHINE, msg="deposed: another node writes now")
    if len(old.node.logged(msg="mode", mode="leader-direct")) > direct:
        raise TooLate(f"{old.name} woke up and had no Kafka for too long:\n{old.log_tail()}")
    old.wait_source("kafka")

    def follows():
        said = old.cluster()
        own = [node for node in said["nodes"] if node["id"] == old.name]
        return own[0]["role"] == "follower" and said["leader"] == new.name and (
            said["epoch"] == new.cluster()["epoch"])
    wait_until(follows, f"{old.name} follows; it says {old.cluster()}", SLOW_MACHINE)
    led = [(entry["epoch"], entry["node"]) for entry in old.cluster()["history"]]
    assert led[0][1] == new.name and led[1][1] == old.name, f"who led, as {old.name} says: {led}"
    assert len({epoch for epoch, _ in led}) == len(led), f"an epoch twice in {led}"
    world.audience.wait_count(world.everybody(), MESSAGES)
    world.hellos += sum(len(one.hellos) - 1 for one in world.everybody())
    return fenced_by(new) - before


def run_round(world, number, kind):
    old, new = world.ones, world.twos
    world.audience.leave(world.clients[new])
    world.clients[new] = []
    new.kill()
    world.audience.wait_count(world.clients[old], MESSAGES)
    attempts = freeze(world, old, kind)
    take_over(world, old, new)
    fenced = wake(world, old, new, kind)
    world.fenced[kind] += fenced
    world.rounds[kind] += 1
    say(f"zombie: round {number + 1}: {kind} ({attempts} attempts): {old.name} wakes up, "
        f"{new.name} leads and has fenced {fenced}; hellos {world.hellos}")
    world.ones, world.twos = new, old


# ---- all of it ----

def check_fenced(world, reader):
    """Problems: clients that got what was fenced."""
    stream = world.audience.ledger.only_stream()
    had = world.audience.ledger.streams[stream]
    for epoch, seq, text in reader.fenced:
        if had.get(seq) == text:
            yield f"clients got what was fenced: {text} of epoch {epoch}"


def finish(world):
    """(figures, problems)"""
    world.cluster.halt()
    world.audience.quiet = True
    world.audience.wait_all_at_end(world.cluster)
    figures = {}
    figures["truth"], problems = world.cluster.compare(world.audience.ledger, gaps_allowed=True)
    figures["topic"], found, reader = topic.compare(world.broker, world.audience.ledger)
    problems += found + list(check_fenced(world, reader))
    if not reader.fenced:
        problems.append("nothing in the topic is fenced: no zombie wrote anything")
    return figures, problems + world.audience.problems()


def run(world):
    """(figures, problems)"""
    figures, problems = {}, []
    try:
        world.ones.start().wait_source("kafka")
        leads(world.ones)
        topic.wait_start(world.broker, world.ones.wait_stream()[0])
        world.clients[world.ones] = world.audience.join(world.ones, CLIENTS)
        world.clients[world.ones] += world.audience.join_from_start(world.ones)
        for number in range(ROUNDS):
            run_round(world, number, KINDS[number % len(KINDS)])
        figures, problems = finish(world)
    except (AssertionError, OSError) as error:
        say("\n".join(f"{member.name}:\n{member.log_tail(60)}" for member in world.cluster.members))
        problems += [f"{type(error).__name__}: {error}", *world.audience.problems()[:3]]
    figures |= {"rounds": world.rounds, "fenced_counted": world.fenced, "hellos": world.hellos,
                "takeover_ms": [round(ms) for ms in world.takeovers_ms],
                "clients": world.audience.figures()}
    return figures, problems


def run_two_leaders():
    with Broker(doors=2) as broker, Forwarder(*broker.doors[0]) as first, \
            Forwarder(*broker.doors[1]) as second, \
            Cluster(first.address, rate=RATE) as cluster, Audience() as audience:
        for name, member, door in zip(("one", "two"), cluster.members, (first, second)):
            member.name = member.settings["node.id"] = name
            member.settings |= {"cluster.role": "leader", "kafka.brokers": door.address}
        return run(World(broker, (first, second), cluster, audience))


def main():
    for number in range(1, RUNS + 1):
        try:
            figures, problems = attempt(run_two_leaders)
            figures["runs"] = number
            break
        except TooLate as late:
            say(f"zombie: run {number}: {late}")
            figures, problems = {}, [f"{RUNS} times: {late}"]
    conclude("zombie", figures, problems)


if __name__ == "__main__":
    main()
