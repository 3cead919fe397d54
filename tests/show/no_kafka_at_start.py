# SPDX-License-Identifier: Apache-2.0
"""Kafka is configured and is not there when nodes start: they serve, and climb when it comes.

- `new`: leader and follower start without a broker: the leader serves direct, the follower from the
  leader. The broker comes, with no topic: both are fed by Kafka then, and no client notices more
  than a `source` message.
- `older`: the same, but the topic that comes holds the stream of a former run.
- `never`: the address is wrong for ever: they go on like that, longer than a node would wait for a
  leader before it turned alone.

Ten clients of each node: nobody is dropped, told to start over, or misses a trade. At each time
/ws/info, /api/ws/infra-health, /ws/kafka, hello and the `source` messages say what feeds them.
"""

import os
import time

from cluster import SLOW_MACHINE, Audience, Cluster, sources_problem
from kafka import Broker, free_port
from show import attempt, conclude, say

from harness import wait_until

RATE = 400
CLIENTS = 10  # of each node
MESSAGES = 500  # between two events
NEVER_S = 20  # alone turns who hears of no leader for 10 to 15 s

WITHOUT = {"mode": "websocket", "health_mode": "websocket", "door": 503, "endpoint": False}
WITH = {"source": "kafka", "health": "kafka", "mode": "kafka", "health_mode": "kafka",
        "better": None, "kafka": "up", "error": None, "door": 101, "endpoint": True}


class Case:
    """Nodes that started without a broker, and their clients."""

    def __init__(self, cluster, audience):
        self.cluster, self.audience = cluster, audience
        self.problems, self.figures = [], {}

    def start(self):
        begun = time.monotonic()
        for member in self.cluster.members:
            member.launch()
        for member, source in zip(self.cluster.members, ("direct", "peer")):
            member.ready().wait_stream()
            member.wait_source(source)
            self.figures[f"{member.name}_serves_after_ms"] = since_ms(begun)
        self.clients = []
        for member in self.cluster.members:
            self.clients += self.audience.join(member, CLIENTS // 2)
            self.clients += self.audience.join(member, CLIENTS // 2, query="")
        self.clients += self.audience.join_from_start(self.cluster.leader)
        self.audience.wait_count(self.clients, MESSAGES)
        self.look_without("before")

    def look(self, member, when, wanted):
        """It says so, sooner or later: a machine that does much else may be late just now."""
        seen = {}

        def right():
            seen.update(member.observe())
            return all(seen[key] == value for key, value in wanted.items())

        wait_until(right, lambda: f"{when}, {member.name} says {wanted}; it says {seen}",
                   SLOW_MACHINE)
        return seen

    def look_without(self, when):
        for member, source in zip(self.cluster.members, ("direct", "peer")):
            seen = self.look(member, when, {**WITHOUT, "source": source, "health": source})
            if seen["kafka"] not in ("connecting", "down") or not seen["better"]:
                self.problems.append(f"{when}, {member.name} says of Kafka: {seen}")
            status, body = member.knock()
            if status != 503 or "afka" not in body:
                self.problems.append(f"{when}, {member.name}: /ws/kafka: {status} {body}")

    def climb(self, broker):
        """The broker comes."""
        begun = time.monotonic()
        broker.start()
        self.figures["broker_ready_after_ms"] = since_ms(begun)
        for member in self.cluster.members:
            member.wait_source("kafka")
            self.figures[f"{member.name}_climbs_after_ms"] = since_ms(begun)
        self.audience.wait(lambda: all(client.sources for client in self.clients),
                           "everybody is told")
        self.audience.wait_count(self.clients, MESSAGES)
        for member in self.cluster.members:
            self.look(member, "with Kafka", WITH)

    def check_told(self, wanted):
        """Every client got these `source` messages, and one hello."""
        self.audience.wait(lambda: all([message["source"] for _, message in client.sources][-1:]
                                       == wanted[-1:] for client in self.clients),
                           f"everybody is told {wanted}")
        for client in self.clients:
            began = "direct" if client.member_name == self.cluster.leader.name else "peer"
            hello = client.hellos[0][1]
            self.problems += filter(None, [sources_problem(client, wanted, wanted and began)])
            if any(not message["reason"] for _, message in client.sources
                   if message["source"] != "kafka"):
                self.problems.append(f"a client of {client.member_name} is told {client.sources}")
            if hello["source"] != began or hello["mode"] != "websocket":
                self.problems.append(f"hello of {client.member_name}: {hello}")
            if len(client.hellos) != 1:
                self.problems.append(f"{client.member_name}: hello again: {client.hellos}")

    def follower_again(self):
        """What is in the topic is good for a node that begins there."""
        client = self.clients[0]
        token, target = client.token, client.seq + MESSAGES
        for gone in self.clients:
            gone.may_end = gone.may_end or gone.member_name == self.cluster.follower.name
        self.cluster.follower.kill()
        self.audience.wait(lambda: client.seq >= target, "messages")
        self.cluster.follower.start_by_kafka().wait_source("kafka")
        new, = self.audience.join(self.cluster.follower, query=f"?batch=1&since={token}")
        self.audience.wait(lambda: new.seq is not None and new.seq >= target, "it goes on")
        if new.hellos[0][1]["resumed"] is not True:
            self.problems.append(f"the follower's next life does not honour {token}: "
                                 f"{new.hellos[0][1]}")

    def finish(self):
        self.cluster.halt()
        self.audience.quiet = True
        self.audience.wait_all_at_end(self.cluster)
        self.figures["truth"], found = self.cluster.compare(self.audience.ledger)
        self.figures |= self.audience.figures()
        self.problems += found + self.audience.problems()


def since_ms(begun):
    return round((time.monotonic() - begun) * 1000)


def former_run(broker, cluster):
    """The topic holds another stream, and the broker is down again."""
    broker.start()
    cluster.leader.start().wait_source("kafka")
    with Audience() as audience:
        clients = audience.join(cluster.leader)
        audience.wait_count(clients, MESSAGES)
        stream = clients[0].stream
    cluster.leader.stop()
    broker.terminate()
    return stream


def run_coming(case, broker, older):
    before = former_run(broker, case.cluster) if older else None
    case.start()
    stream, _ = case.cluster.leader.wait_stream()
    if stream == before:
        case.problems.append("it says the former run's stream, and cannot know it")
    case.climb(broker)
    case.check_told(["kafka"])
    case.follower_again()
    if case.cluster.leader.wait_stream()[0] != stream:
        case.problems.append("another stream than that which its clients had")


def run_never(case):
    case.start()
    begun = time.monotonic()
    wait_until(lambda: case.audience.problems() or time.monotonic() - begun > NEVER_S,
               "long enough", SLOW_MACHINE)
    case.audience.wait_count(case.clients, MESSAGES)
    case.look_without("later")
    case.check_told([])


def run(name):
    """(figures, problems)"""
    broker = Broker() if name != "never" else None
    address = broker.brokers if broker else f"127.0.0.1:{free_port()}"
    try:
        with Cluster(address, rate=RATE) as cluster, Audience() as audience:
            case = Case(cluster, audience)
            try:
                if broker:
                    run_coming(case, broker, name == "older")
                else:
                    run_never(case)
                case.finish()
                if os.environ.get("SHOW_LOGS"):
                    say(cluster.leader.log_tail(200))
            except AssertionError as error:
                say("\n".join(member.log_tail() for member in cluster.members))
                case.problems.append(str(error))
            return case.figures, case.problems
    finally:
        if broker:
            broker.close()


def main():
    figures, problems = {}, []
    for name in ("new", "older", "never"):
        figures[name], found = attempt(run, name)
        problems += [f"{name}: {text}" for text in found]
        say(f"no-kafka-at-start: {name}: {figures[name]} {len(found)} problems")
    conclude("no-kafka-at-start", figures, problems)


if __name__ == "__main__":
    main()
