# SPDX-License-Identifier: Apache-2.0
"""A leader and a follower serve one stream: the same bytes, and either honours the other's tokens.

Both are fed by a real Kafka. Clients of both hold every numbered message against what any other
client got. Meanwhile walkers read a random number of messages, are cut off, and go on at the other
node with the token that they built; sometimes one of a message that they had a while before. What
they get must begin with the very next number and be the bytes that everybody else had.

    TWO_NODES_MESSAGES  how many distinct ones (default 20,000; with --ci 3,000)
    TWO_NODES_RESUMES   default 1,000; with --ci 200
"""

import asyncio
import json
import os
import random

import websockets.asyncio.client

from cluster import SLOW_MACHINE, sources_problem, with_broker
from show import IN_CI, attempt, conclude, say

from harness import PATIENCE
from stream import SEQUENCED

MESSAGES = int(os.environ.get("TWO_NODES_MESSAGES", "3000" if IN_CI else "20000"))
RESUMES = int(os.environ.get("TWO_NODES_RESUMES", "200" if IN_CI else "1000"))
RATE = 600
CLIENTS = 10  # of each node
WALKERS = 5
BACK_MAX = 3000  # messages that a walker goes back
FORMS = ("?batch=1", "?")
SEED = 20261123


def log_begins(member):
    """Its oldest number: who began by his peer, since Kafka was late, has none from before."""
    return max((int(line["first"]) for line in member.node.logged(msg="the log starts over")),
               default=0)


class Walker:
    """Cut at random messages, from node to node."""

    def __init__(self, number, audience, members):
        self.random = random.Random(SEED + number)
        self.audience, self.members, self.at = audience, members, number
        self.stream = self.epoch = self.seq = None
        self.resumes = {member.name: 0 for member in members}  # on it, with a token of the other
        self.back = self.messages = self.compared = 0
        self.wait_ms = 0
        self.problems = []

    async def walk(self, rounds):
        for _ in range(rounds + 1):
            member = self.members[self.at % len(self.members)]
            self.at += 1
            await asyncio.wait_for(self.visit(member), SLOW_MACHINE)
            assert not self.problems

    def token(self):
        if self.seq is None:
            return None
        if self.random.random() < 0.3:
            first = max(min(self.audience.ledger.streams[self.stream]), self.seq - BACK_MAX,
                        *map(log_begins, self.members))
            self.seq = self.random.randint(min(first, self.seq), self.seq)
            self.back += 1
        return f"{self.stream}.{self.epoch}.{self.seq}"

    async def visit(self, member):
        token = self.token()
        query = self.random.choice(FORMS) + (f"&since={token}" if token else "&snapshot=0")
        want = self.random.choice((0, 1, self.random.randrange(100)))
        connection = await websockets.asyncio.client.connect(
            member.ws(query), compression=None, max_size=None, open_timeout=PATIENCE,
            close_timeout=0.2, ping_interval=None)
        try:
            hello = json.loads(await connection.recv())
            self.take_hello(hello, member, token)
            while want > 0:
                for text in (await connection.recv()).split("\n"):
                    want -= self.take(text)
                    if want <= 0:
                        break
        finally:
            connection.transport.abort()  # cut, without a word

    def take_hello(self, hello, member, token):
        assert hello["type"] == "hello", hello
        if token is None:
            self.stream, self.epoch, self.seq = hello["stream"], hello["epoch"], hello["next"] - 1
            return
        self.resumes[member.name] += 1
        if not (hello["resumed"] is True and hello["stream"] == self.stream
                and hello["next"] == self.seq + 1 and hello["epoch"] == self.epoch):
            self.problems.append(f"{member.name} was given {token} and says {hello}")

    def take(self, text):
        """1 for a message of the stream, compared with what everybody got."""
        message = self.audience.ledger.read(text)
        if message["type"] not in SEQUENCED:
            if message["type"] not in ("heartbeat", "source"):
                self.problems.append(f"unexpected: {text}")
            return 0
        if message.get("snapshot") or message["seq"] != self.seq + 1:
            self.problems.append(f"after {self.seq} came {text}")
        self.seq += 1
        self.messages += 1
        other = self.audience.ledger.take(self.stream, self.seq, text)
        if other is not None:
            self.problems.append(f"{text} instead of {other}")
        return 1


def walk_all(audience, cluster):
    """(figures, problems)"""
    walkers = [Walker(number, audience, cluster.members) for number in range(WALKERS)]
    rounds = -(-RESUMES // WALKERS)
    problems = []
    for future in [asyncio.run_coroutine_threadsafe(walker.walk(rounds), audience.loop)
                   for walker in walkers]:
        try:
            future.result(SLOW_MACHINE + RESUMES)
        except (OSError, AssertionError, TimeoutError, ValueError, KeyError,
                websockets.exceptions.WebSocketException) as error:
            problems.append(f"a walker: {type(error).__name__}: {error}")
    figures = {"resumes": {name: sum(walker.resumes[name] for walker in walkers)
                           for name in walkers[0].resumes},
               "went_back": sum(walker.back for walker in walkers),
               "messages_of_walkers": sum(walker.messages for walker in walkers)}
    problems += [text for walker in walkers for text in walker.problems]
    if sum(figures["resumes"].values()) < RESUMES:
        problems.append(f"too few resumes: {figures['resumes']}")
    return figures, problems


def refused_tokens(audience, cluster):
    """Tokens that match nothing: resumed is false, on both nodes. (How many, problems.)"""
    stream, epoch = cluster.leader.wait_stream()
    newest = audience.ledger.newest(stream)
    tokens = [f"{stream}.{epoch + 1}.{newest - 100}", f"{stream}x.{epoch}.{newest - 100}",
              f"{stream}.{epoch}.{newest + 1000000}"]
    problems = []
    for member in cluster.members:
        for token in tokens:
            listener, = audience.join(member, query=f"?snapshot=0&batch=1&since={token}")
            audience.wait(lambda it=listener: it.hellos or not it.alive, "a hello")
            if not listener.hellos or listener.hellos[0][1]["resumed"] is not False:
                problems.append(f"{member.name} honours {token}: {listener.hellos}")
            audience.leave([listener])
    return len(tokens) * len(cluster.members), problems


def coverage(audience, listeners):
    """Every number was compared between the nodes: [problems]."""
    stream = audience.ledger.only_stream()
    for listener in listeners:
        if listener.stream != stream or listener.count != listener.seq - listener.first_seq + 1:
            yield f"{listener.member_name}: {listener.count} of {listener.first_seq}.." \
                f"{listener.seq}"
    ends = {listener.seq for listener in listeners}
    if len(ends) != 1:
        yield f"they end at {sorted(ends)}"
    if min(ends) - max(listener.first_seq for listener in listeners) < MESSAGES:
        yield "too few messages were compared"


def run(_, cluster, audience):
    cluster.start()
    say("two-nodes: both are fed by Kafka")
    listeners = []
    for member in cluster.members:
        listeners += audience.join(member, CLIENTS // 2)
        listeners += audience.join(member, CLIENTS // 2, query="")  # one message a frame
    listeners += audience.join_from_start(cluster.leader)
    figures, problems = walk_all(audience, cluster)
    say(f"two-nodes: {figures}")
    least = min(listener.count for listener in listeners)
    audience.wait_count(listeners, max(100, MESSAGES - least), SLOW_MACHINE + MESSAGES / 50)
    figures["refused"], found = refused_tokens(audience, cluster)
    problems += found
    cluster.halt()
    audience.quiet = True
    audience.wait_all_at_end(cluster)
    problems += coverage(audience, listeners)
    figures["truth"], found = cluster.compare(audience.ledger)
    problems += found + audience.problems()
    away = {cluster.leader.name: "direct", cluster.follower.name: "peer"}
    figures["left_kafka"] = 0
    for member in cluster.members:
        member.wait_source("kafka")
    for listener in listeners:
        audience.wait(lambda it=listener: not it.sources or it.sources[-1][1]["source"] == "kafka",
                      "everybody is told of Kafka")
        problems += filter(None, [sources_problem(listener, [], away[listener.member_name])])
        figures["left_kafka"] = max(figures["left_kafka"], len(listener.sources) // 2)
        if len(listener.hellos) != 1:
            problems.append(f"{listener.member_name}: hello again: {listener.hellos}")
    return figures | audience.figures(), problems


def main():
    conclude("two-nodes", *attempt(with_broker, run, RATE))


if __name__ == "__main__":
    main()
