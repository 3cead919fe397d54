# SPDX-License-Identifier: Apache-2.0
"""Kafka is taken out of use and back by one key and SIGHUP, under load: no client notices.

`kafka.enabled: false`, then `true` again: on the follower alone, on the leader alone (its follower
then hears it directly), on both. Ten clients of each node see nothing but `source` messages: nobody
is dropped, nothing is missing, nothing comes twice, numbers grow by one. Clients of /ws/kafka are
closed with 1013 where Kafka stops to feed; who asks then gets 404 where it is switched off, and 503
where it is not but feeds nobody. Then off and on before anything has settled. At the end the topic
is read by the three-line rule: it tells the same stream.

    ROLLBACK_ROUNDS  default 10; with --ci 3
"""

import os
import statistics
import time

from cluster import SLOW_MACHINE, sources_problem, with_broker
from show import IN_CI, attempt, conclude, say

import topic
from harness import wait_until

ROUNDS = int(os.environ.get("ROLLBACK_ROUNDS", "3" if IN_CI else "10"))
RATE = 500
CLIENTS = 10  # of each node
MESSAGES = 300  # after each step
LONG_S = 12  # off, in the first round: longer than what a carrier is given again by itself
SILENCE_MS_MAX = 15000  # ten times what is promised

# what is switched off: {node: (source, status of /ws/kafka)} then
OFF = {"follower": {"leader-1": ("kafka", 101), "follower-1": ("peer", 404)},
       "leader": {"leader-1": ("direct", 404), "follower-1": ("peer", 503)},
       "both": {"leader-1": ("direct", 404), "follower-1": ("peer", 404)}}
ON = {"leader-1": ("kafka", 101), "follower-1": ("kafka", 101)}
AWAY = {"leader-1": "direct", "follower-1": "peer"}
AWAY_MODES = ("leader-direct", "follower-peer")


class Rollback:
    def __init__(self, cluster, audience):
        self.cluster, self.audience = cluster, audience
        self.clients, self.problems = [], []
        self.told = {member.name: [] for member in cluster.members}  # as it should be
        self.now = dict(ON)
        self.took_ms, self.silences = {}, {}
        self.closed, self.flickers = 0, 0

    def come(self):
        for member in self.cluster.members:
            self.clients += self.audience.join(member, CLIENTS // 2)
            self.clients += self.audience.join(member, CLIENTS // 2, query="")
        self.clients += self.audience.join_from_start(self.cluster.leader)
        self.audience.wait_count(self.clients, MESSAGES)

    def switch(self, which, on, backwards):
        """SIGHUP to those; returns when everything is as it should be then."""
        members = self.cluster.members if which == "both" else [getattr(self.cluster, which)]
        wanted, begun = ON if on else OFF[which], time.monotonic()
        title = f"{which} {'on' if on else 'off'}"
        doors = [] if on else self.knockers()
        known = {client: len(client.silences) for client in self.clients}
        for member in reversed(members) if backwards else members:
            member.reload(kafka__enabled=on)
        for member in self.cluster.members:
            source = wanted[member.name][0]
            member.wait_source(source)
            if source != self.now[member.name][0]:
                self.told[member.name].append(source)
        self.now = wanted
        took = round((time.monotonic() - begun) * 1000)
        self.took_ms.setdefault(title, []).append(took)
        self.audience.wait(lambda: all(
            len(client.sources) >= len(self.told[client.member_name])
            and (not client.sources
                 or client.sources[-1][1]["source"] == wanted[client.member_name][0])
            for client in self.clients), lambda: f"{title}: everybody is told {self.told}; the "
                           f"first one {self.clients[0].sources[-3:]}")
        self.audience.wait_count(self.clients, MESSAGES)
        self.look(title, wanted)
        self.look_at_closed(title, doors, wanted)
        worst = max((ms for client in self.clients for _, ms in client.silences[known[client]:]),
                    default=0)
        self.silences.setdefault(title, []).append(round(worst))
        if worst > SILENCE_MS_MAX:
            self.problems.append(f"{title}: no data for {worst:.0f} ms")

    def stay(self, seconds):
        begun = time.monotonic()
        self.audience.wait(lambda: time.monotonic() - begun > seconds, "a while",
                           seconds + SLOW_MACHINE)

    def flicker(self, member):
        """Off and on before anything has settled: the last word counts."""
        told = {client: len(client.sources) for client in self.clients}
        member.reload(kafka__enabled=False)
        member.reload(kafka__enabled=True)
        for each in self.cluster.members:
            each.wait_source("kafka")
        self.audience.wait(lambda: all(not client.sources
                                       or client.sources[-1][1]["source"] == "kafka"
                                       for client in self.clients), "everybody is told of Kafka")
        self.audience.wait_count(self.clients, MESSAGES)
        self.look(f"{member.name} off and on at once", ON)
        for client in self.clients:
            self.told_again(client, [message["source"] for _, message
                                     in client.sources[told[client]:]])
        self.flickers += 1

    def told_again(self, client, words):
        """Another source each time, and Kafka in the end."""
        member = client.member_name
        if words != [AWAY[member], "kafka"] * (len(words) // 2):
            self.problems.append(f"off and on at once: a client of {member} is told {words}")
        del client.sources[len(client.sources) - len(words):]

    # -- /ws/kafka --

    def knockers(self):
        """A client of /ws/kafka of each node."""
        for member in self.cluster.members:
            member.wait_source("kafka")
        self.left = {member.name: self.left_kafka(member) for member in self.cluster.members}
        doors = [door for member in self.cluster.members
                 for door in self.audience.join(member, path="/ws/kafka")]
        for door in doors:
            door.may_end = True
        self.audience.wait_count(doors, 10)
        return doors

    @staticmethod
    def left_kafka(member):
        """How often, as its log says."""
        return sum(len(member.node.logged(msg="mode", mode=mode)) for mode in AWAY_MODES)

    def look_at_closed(self, title, doors, wanted):
        """Where Kafka feeds no more they are closed with 1013; elsewhere they stay."""
        left = {member.name: self.left_kafka(member) for member in self.cluster.members}
        for door in doors:
            if wanted[door.member_name][0] == "kafka":
                stayed = left[door.member_name] == self.left[door.member_name]
                if door.closed is not None and stayed:
                    self.problems.append(f"{title}: /ws/kafka of {door.member_name} closed "
                                         f"{door.closed}, though Kafka feeds it")
                self.audience.leave([door])
                continue
            self.audience.wait(lambda it=door: it.closed is not None, "/ws/kafka is closed")
            self.closed += 1
            if door.closed[0] != 1013 or not door.closed[1] or door.sources:
                self.problems.append(f"{title}: /ws/kafka of {door.member_name} closed "
                                     f"{door.closed}, told {door.sources}")

    # -- what nodes say --

    def look(self, title, wanted):
        """So it is sooner or later: a machine that does much else may be late just now."""
        for member in self.cluster.members:
            wrong = {}

            def right(member=member, wrong=wrong):
                wrong.clear()
                wrong.update(wrongly_said(member, *wanted[member.name]))
                return not wrong

            wait_until(right, lambda: f"{title}: {member.name} says otherwise: {wrong}",
                       SLOW_MACHINE)

    def check_told(self):
        for client in self.clients:
            name = client.member_name
            self.problems += filter(None, [sources_problem(client, self.told[name], AWAY[name])])
            if len(client.hellos) != 1:
                self.problems.append(f"a client of {client.member_name}: hello again: "
                                     f"{client.hellos}")


def wrongly_said(member, source, door):
    """{what: what it says instead}"""
    seen, enabled = member.observe(), member.settings["kafka.enabled"]
    right = {"source": source, "health": source, "door": door, "endpoint": source == "kafka"}
    if not enabled:
        right |= {"kafka": "disabled", "mode": "websocket", "health_mode": "websocket",
                  "better": None, "error": None}
    elif source == "kafka":
        right |= {"kafka": "up", "mode": "kafka", "health_mode": "kafka", "better": None,
                  "error": None}
    wrong = {key: seen[key] for key, value in right.items() if seen[key] != value}
    if enabled and source != "kafka" and not seen["better"]:
        wrong["better"] = seen["better"]
    return wrong


def run(broker, cluster, audience):
    cluster.start()
    rollback = Rollback(cluster, audience)
    rollback.come()
    which = ["both", "leader", "follower"]
    for number in range(ROUNDS):
        rollback.switch(which[number % 3], False, backwards=number % 2 == 1)
        if number == 0:
            rollback.stay(LONG_S)
        rollback.switch(which[number % 3], True, backwards=number % 2 == 1)
        say(f"rollback: round {number + 1} of {ROUNDS}, {which[number % 3]}: "
            f"{rollback.took_ms} {len(rollback.problems)} problems")
    for member in cluster.members:
        rollback.flicker(member)
    cluster.halt()
    audience.quiet = True
    audience.wait_all_at_end(cluster)
    rollback.check_told()
    figures = {"rounds": ROUNDS, "settled_after_ms": worst_of(rollback.took_ms),
               "without_data_ms": worst_of(rollback.silences), "closed_1013": rollback.closed,
               "off_and_on_at_once": rollback.flickers}
    figures["truth"], found = cluster.compare(audience.ledger)
    figures["topic"], also, _ = topic.compare(broker, audience.ledger)
    return figures | audience.figures(), rollback.problems + found + also + audience.problems()


def worst_of(lists):
    return {name: {"median": round(statistics.median(values)), "worst": max(values)}
            for name, values in lists.items()}


def main():
    conclude("rollback", *attempt(with_broker, run, RATE))


if __name__ == "__main__":
    main()
