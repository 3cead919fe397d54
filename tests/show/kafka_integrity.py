# SPDX-License-Identifier: Apache-2.0
"""What clients get and what stands in Kafka is the same, byte for byte, in order.

A leader collects simulated exchanges at a high rate and serves what it reads back from a real
broker (when that is too slow for it, what it has: all of it is written later). One client takes
everything from the stream's first message on. Then the topic is read:

- by kcat, record by record: keys and headers against the JSON; what counts by the rule is the
  client's text;
- by docs/examples/read_topic.py, which knows three lines and nothing of tickwire: its trades are
  the client's, its books the same at the same seq; also begun in the middle;
- the topic's settings, and how often beacons and states come.

Then the same in short with three brokers, of which one is killed (not with --ci).

    KAFKA_MESSAGES   default 1,000,000; with --ci 100,000
    KAFKA_RATE       orders a second of the simulator (default 15,000; with --ci 8,000: a slow
                     machine must keep up)
"""

import glob
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time

import websockets.exceptions
import websockets.sync.client
from confluent_kafka import Consumer
from confluent_kafka.admin import ConfigResource, ResourceType

from kafka import Broker, Cluster
from live import EXCHANGES, Live
from show import IN_CI, ROOT, conclude, say

from harness import PATIENCE, wait_until
from prometheus import Metrics
from stream import Books, is_sequenced, levels

sys.path.append(os.path.join(ROOT, "docs", "examples"))

import read_topic  # noqa: E402

MESSAGES = int(os.environ.get("KAFKA_MESSAGES", "100000" if IN_CI else "1000000"))
RATE = int(os.environ.get("KAFKA_RATE", "8000" if IN_CI else "15000"))
QUIET_BEATS = 5  # two seconds
CLIMB_S = 180  # until Kafka feeds the node: 5 s by itself
TOPIC = "tickwire.market"
NODE = "integrity-1"
BOOKS_EVERY = 20000  # messages, between two comparisons of all books
MIDDLES = 3  # readers that begin somewhere
BEACON_MS_MAX = 15000  # 250 by itself; the node too may have to wait for its turn
BEACON_MS_LATE = 60000  # where Kafka was too slow for the node
SETTINGS = {"cleanup.policy": "delete", "retention.ms": "21600000",
            "retention.bytes": str(20 << 30), "segment.ms": "600000",
            "message.timestamp.type": "LogAppendTime",
            "max.message.bytes": "1114112",  # 1 MiB, and 64 KiB for what is around it
            "unclean.leader.election.enable": "false"}


# ---- the client ----

class Taker:
    """Writes down each sequenced message, one a line, and thinks about nothing: it must keep up."""

    def __init__(self, node, path):
        self.count, self.problem = 0, None
        self.sources = []  # a machine that does much else may be too slow for a while: direct
        self.connection = websockets.sync.client.connect(
            node.ws(f"?batch=1&since={node.first_token()}"), compression=None, max_size=None,
            open_timeout=PATIENCE, close_timeout=0.2)
        hello, *self.first = self.connection.recv().split("\n")
        self.hello = json.loads(hello)
        assert self.hello["resumed"], hello
        self.seq = self.hello["next"] - 1
        self.quiet_seqs = []  # said by heartbeats
        self.file = open(path, "w", encoding="utf-8", newline="\n")
        self.stopping = False
        self.thread = threading.Thread(target=self._take, daemon=True)
        self.thread.start()

    def _take(self):
        try:
            texts = self.first
            while True:
                for text in texts:
                    if text.startswith('{"type":"heartbeat"'):
                        self.quiet_seqs.append(json.loads(text)["seq"])
                    elif text.startswith('{"type":"source"'):
                        self.sources.append(json.loads(text)["source"])
                    elif text.startswith(('{"type":"hello"', '{"type":"skipped"')):
                        raise ValueError(f"unexpected: {text}")
                    else:
                        self.file.write(text + "\n")
                        self.count += 1
                texts = self.connection.recv().split("\n")
        except (websockets.exceptions.ConnectionClosed, ValueError) as error:
            if not self.stopping:
                self.problem = f"{type(error).__name__}: {error}"

    def check(self):
        assert self.problem is None, self.problem

    def wait_count(self, count, seconds):
        def enough():
            self.check()
            return self.count >= count

        wait_until(enough, lambda: f"{count} messages, of which {self.count} came", seconds)

    def wait_quiet(self):
        """Heartbeats say that the last message was the last: Binance tells tickers once a second.
        """
        def quiet():
            self.check()
            return self.quiet_seqs[-QUIET_BEATS:] == [self.seq + self.count] * QUIET_BEATS

        wait_until(quiet, lambda: f"the end of the stream: {self.seq} + {self.count}, "
                   f"{self.quiet_seqs[-QUIET_BEATS:]}", 60 + MESSAGES / 500)

    def close(self):
        self.stopping = True
        self.connection.close()
        self.thread.join(PATIENCE)
        self.file.close()


def lines_of(path):
    with open(path, encoding="utf-8", newline="\n") as file:
        for line in file:
            yield line[:-1]


# ---- kcat ----

class Records:
    """Every record of the topic as kcat prints it: (key, headers, offset, time in ms, value)."""

    FORMAT = "%k\\t%h\\t%o\\t%T\\t%s\\n"

    def __init__(self, broker):
        self.command = ["kcat", "-C", "-q", "-e", "-b", broker.brokers, "-t", TOPIC, "-p", "0",
                        "-o", "beginning", "-f", self.FORMAT]

    def __iter__(self):
        with subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True,
                              encoding="utf-8") as process:
            for line in process.stdout:
                key, headers, offset, time_ms, value = line[:-1].split("\t", 4)
                yield (key, dict(pair.split("=", 1) for pair in headers.split(",")),
                       int(offset), int(time_ms), value)
        assert process.returncode == 0, f"kcat: {process.returncode}"


def expected_key(message):
    if "symbol" in message:
        return f"{message['exchange']}:{message['symbol']}"
    return message.get("exchange", "tickwire")


def record_problem(key, headers, message, stream):
    """What is wrong with a record, or None."""
    numbered = "tw-seq" in headers
    wanted = {"tw-stream": stream, "tw-epoch": headers.get("tw-epoch"), "tw-type": message["type"],
              "tw-node": NODE}
    if numbered:
        wanted["tw-seq"] = str(message["seq"])
        if not is_sequenced(message):
            return "a number on what is no stream message"
    elif message["type"] not in ("barrier", "beacon", "state"):
        return "no number"
    if headers != wanted:
        return f"headers {headers} instead of {wanted}"
    if key != (expected_key(message) if numbered else "tickwire"):
        return f"key {key}"
    if message.get("epoch", int(headers["tw-epoch"])) != int(headers["tw-epoch"]):
        return "another epoch than in its header"
    return None


class Notes:
    """When beacons and states came."""

    def __init__(self):
        self.counts, self.last_ms, self.beacon_gap_ms, self.keys = {}, None, 0, set()

    def take(self, message, time_ms):
        kind = message["type"]
        self.counts[kind] = self.counts.get(kind, 0) + 1
        if kind == "state":
            self.keys.add((message["exchange"], message.get("symbol")))
        if kind == "beacon":
            if self.last_ms is not None:
                self.beacon_gap_ms = max(self.beacon_gap_ms, time_ms - self.last_ms)
            self.last_ms = time_ms


def read_with_kcat(broker, hello, path, beacon_ms_max=BEACON_MS_MAX):
    """(figures, problems)"""
    client, notes, problems = lines_of(path), Notes(), []
    records = dropped = same = epoch = 0
    seq = None
    for key, headers, offset, time_ms, value in Records(broker):
        records += 1
        message = json.loads(value)
        problem = record_problem(key, headers, message, hello["stream"])
        if problem is not None and len(problems) < 5:
            problems.append(f"offset {offset}: {problem}: {value[:200]}")
        number = int(headers["tw-epoch"])
        if message["type"] == "barrier" and number > epoch:
            epoch, seq = number, message.get("start", seq)
        if "tw-seq" not in headers:
            notes.take(message, time_ms)
        elif number != epoch or int(headers["tw-seq"]) != seq + 1:
            dropped += 1
        else:
            seq += 1
            if seq >= hello["next"] and len(problems) < 5:  # the client did not ask for the first
                text = next(client, None)
                same += text == value
                if text != value:
                    problems.append(f"seq {seq}: the client got {text}, in the topic is {value}")
    left = sum(1 for _ in client)
    if left:
        problems.append(f"{left} messages of the client are not in the topic")
    if notes.beacon_gap_ms > beacon_ms_max:
        problems.append(f"no beacon for {notes.beacon_gap_ms} ms")
    return {"records": records, "equal": same, "dropped_by_the_rule": dropped,
            "notes": notes.counts, "states_of": len(notes.keys),
            "beacon_gap_ms_max": notes.beacon_gap_ms}, problems


# ---- the Python reader ----

def books_of(reader):
    return {key: (levels(book["bids"].items()), levels(book["asks"].items()))
            for key, book in reader.books.books.items()}


def consumer_of(broker):
    return Consumer({**broker.client(), "group.id": "integrity", "enable.auto.commit": False,
                     "auto.offset.reset": "error"})


def books_problem(reader, books):
    mine = books_of(reader)
    if mine == books.books:
        return None
    differing = [key for key in books.books if mine.get(key) != books.books[key]]
    return f"seq {reader.seq}: other books than the client's: {differing or mine.keys()}"


def read_with_python(broker, hello, path, last):
    """(figures, problems)"""
    consumer, reader, books, problems = consumer_of(broker), read_topic.Reader(), Books(), []
    client, taken, trades, compared = lines_of(path), 0, 0, 0
    try:
        for message in read_topic.read(consumer, TOPIC, 0, reader):
            if message is None or message["seq"] < hello["next"]:
                continue
            wanted = json.loads(next(client, "null"))
            books.feed(wanted or message)
            taken += 1
            trades += message["type"] == "trade"
            problem = None
            if message != wanted:
                problem = f"{message} instead of {wanted}"
            elif taken % BOOKS_EVERY == 0 or message["seq"] == last:
                problem, compared = books_problem(reader, books), compared + len(books.books)
            if problem is not None:
                problems.append(problem)
            if problem is not None or message["seq"] == last:
                break
    finally:
        consumer.close()
    return {"messages": taken, "trades": trades, "books_compared": compared,
            "dropped_by_the_rule": reader.dropped}, problems, books


def read_from_middle(broker, offset, last, books):
    """Begun there, at the end its books are the client's: as many as a state or a snapshot came of.
    """
    consumer, reader = consumer_of(broker), read_topic.Reader()
    try:
        for message in read_topic.read(consumer, TOPIC, offset, reader):
            if message is not None and message["seq"] == last:
                break
    finally:
        consumer.close()
    mine = books_of(reader)
    wrong = [key for key in mine if mine[key] != books.books.get(key)]
    return len(mine), [f"begun at {offset}: other books: {wrong}"] if wrong else []


# ---- the topic ----

def topic_problems(broker, replicas=1):
    admin = broker.admin()
    partitions = admin.list_topics(TOPIC, timeout=PATIENCE).topics[TOPIC].partitions
    if len(partitions) != 1 or len(partitions[0].replicas) != replicas:
        yield f"partitions: {[partition.replicas for partition in partitions.values()]}"
    resource = ConfigResource(ResourceType.TOPIC, TOPIC)
    entries = admin.describe_configs([resource])[resource].result(PATIENCE)
    least = "2" if replicas == 3 else "1"
    for name, wanted in {**SETTINGS, "min.insync.replicas": least}.items():
        if entries[name].value != wanted:
            yield f"topic: {name} is {entries[name].value} instead of {wanted}"


def collect(broker, live, path):
    """A client's messages in a file: (the Taker, how many came a second)."""
    node = live.node
    wait_until(lambda: node.info()["source"] == "kafka", lambda: f"Kafka feeds it:\n{node.log}",
               CLIMB_S)
    health = {}

    def up():
        health.update(node.json("/api/ws/infra-health"))
        return health["dependencies"]["kafka"]["state"] == "up" and health["mode"] == "kafka"

    wait_until(up, lambda: f"it says that Kafka is up: {health}", CLIMB_S)
    before = int(Metrics(node).total("tickwire_published_total"))  # most of it delivered directly
    taker = Taker(node, path)
    try:
        taker.wait_count(before, 60 + before / 500)
        begun, before = time.monotonic(), taker.count
        taker.wait_count(before + MESSAGES, 60 + MESSAGES / 500)
        rate = (taker.count - before) / (time.monotonic() - begun)
        live.halt()
        taker.wait_quiet()
    finally:
        taker.close()
    # What was delivered directly, if anything was, has been written as well by then.
    wait_until(lambda: node.info()["source"] == "kafka", "Kafka feeds the node at the end",
               CLIMB_S)
    return taker, rate


def run(broker, live, path):
    taker, rate = collect(broker, live, path)
    hello, count = taker.hello, taker.count
    say(f"kafka-integrity: {count} messages, {rate:.0f} a second")
    problems = list(topic_problems(broker))
    size = sum(map(os.path.getsize, glob.glob(f"{broker.data}/{TOPIC}-0/*.log")))
    live.stop_node(live.node)  # nothing more is written: the topic has an end
    figures = {"messages": count, "messages_per_second": round(rate), "sources": taker.sources}
    figures["kcat"], found = read_with_kcat(broker, hello, path, BEACON_MS_LATE if taker.sources
                                            else BEACON_MS_MAX)
    say(f"kafka-integrity: kcat {figures['kcat']}")
    problems += found
    figures["bytes_per_record"] = round(size / figures["kcat"]["records"])
    last = hello["next"] - 1 + count
    figures["python"], found, books = read_with_python(broker, hello, path, last)
    say(f"kafka-integrity: python {figures['python']}")
    problems += found
    chance, figures["begun_in_the_middle"] = random.Random(1), []
    for _ in range(MIDDLES):
        offset = chance.randrange(figures["kcat"]["records"] // 2)
        known, found = read_from_middle(broker, offset, last, books)
        figures["begun_in_the_middle"].append({"offset": offset, "books_equal": known})
        problems += found
    for name, value in (("kcat", figures["kcat"]["equal"]), ("python",
                                                             figures["python"]["messages"])):
        if value != count:
            problems.append(f"{name}: {value} messages are equal, of {count}")
    return figures, problems


# ---- three brokers ----

def leader_of(cluster):
    """The node that leads the partition."""
    metadata = cluster.admin().list_topics(TOPIC, timeout=PATIENCE)
    return cluster.node_of(metadata.topics[TOPIC].partitions[0].leader)


def run_three(cluster, live, path):
    """One of three is killed, the partition's leader: (figures, problems)"""
    node = live.node
    wait_until(lambda: node.info()["source"] == "kafka", "Kafka feeds the node", 30)
    problems = list(topic_problems(cluster, replicas=3))
    taker = Taker(node, path)
    try:
        taker.wait_count(1000, 60)
        leader_of(cluster).kill()
        say("kafka-integrity: one of three is dead")
        taker.wait_count(taker.count + 1000, 60)
        wait_until(lambda: node.info()["source"] == "kafka", "two feed the node", 60)
        live.halt()
        taker.wait_quiet()
    finally:
        taker.close()
    live.stop_node(node)
    last = taker.hello["next"] - 1 + taker.count
    figures = {"sources": taker.sources}
    figures["kcat"], found = read_with_kcat(cluster, taker.hello, path, 60000)
    problems += found
    figures["python"], found, _ = read_with_python(cluster, taker.hello, path, last)
    problems += found
    if not figures["kcat"]["equal"] == figures["python"]["messages"] == taker.count:
        problems.append(f"three brokers: {taker.count} messages, equal are {figures}")
    return figures, problems


def show_three(settings):
    with Cluster() as cluster, tempfile.TemporaryDirectory() as folder:
        settings = [*settings, f"kafka.brokers={cluster.brokers}"]
        with Live(rate=300, exchanges=EXCHANGES, settings=settings) as live:
            return run_three(cluster, live, os.path.join(folder, "client"))


def main():
    figures, problems = {}, []
    settings = ["kafka.enabled=true", "cluster.role=leader", f"node.id={NODE}",
                "stream.heartbeat=500ms", "stream.max_lag=120s", f"kafka.topic={TOPIC}"]
    try:
        with Broker() as broker, tempfile.TemporaryDirectory() as folder:
            with Live(rate=RATE, exchanges=EXCHANGES,
                      settings=[*settings, f"kafka.brokers={broker.brokers}"]) as live:
                figures, problems = run(broker, live, os.path.join(folder, "client"))
        if not IN_CI:
            figures["three_brokers"], found = show_three(settings)
            problems += found
    except (AssertionError, OSError, ValueError, KeyError) as error:
        problems.append(f"{type(error).__name__}: {error}")
    conclude("kafka-integrity", figures, problems)


if __name__ == "__main__":
    main()
