# SPDX-License-Identifier: Apache-2.0
"""docs/examples/read_topic.py over a topic that holds everything that must not count: repeats, what
a zombie wrote, a lost record. What it makes of that is what a client made of the stream."""

import json
import os
import re
import subprocess
import sys
import uuid

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer
from confluent_kafka.admin import NewTopic

from harness import PATIENCE, ROOT, run
from stream import Books, is_sequenced, levels

EXAMPLES = os.path.join(ROOT, "docs", "examples")
sys.path.append(EXAMPLES)

import read_topic  # noqa: E402

STREAM = "tw-test"


class Topic:
    """Written as a node does (contract: docs/kafka.md)."""

    def __init__(self, broker):
        self.broker, self.name = broker, "test-" + uuid.uuid4().hex
        admin = broker.admin()
        for future in admin.create_topics([NewTopic(self.name, 1, 1)]).values():
            future.result(PATIENCE)
        self.producer = Producer({**broker.client(), "linger.ms": 1})
        self.end = 0

    def write(self, message, epoch, numbered=True):
        """Returns its position."""
        headers = {"tw-stream": STREAM, "tw-epoch": str(epoch), "tw-type": message["type"],
                   "tw-node": "n1"}
        if numbered:
            headers["tw-seq"] = str(message["seq"])
        self.producer.produce(self.name, json.dumps(message), key="any", headers=headers)
        self.end += 1
        return self.end - 1

    def barrier(self, epoch, **fields):
        return self.write({"type": "barrier", "stream": STREAM, "epoch": epoch, "writer": "w",
                           "node": "n1", **fields}, epoch, numbered=False)

    def beacon(self, epoch, seq):
        return self.write({"type": "beacon", "stream": STREAM, "epoch": epoch, "seq": seq,
                           "position": self.end, "barrier": 0, "node": "n1"}, epoch, numbered=False)

    def read(self, offset=OFFSET_BEGINNING):
        """(messages that counted, reader) at the topic's end."""
        self.producer.flush(PATIENCE)
        consumer = Consumer({**self.broker.client(), "group.id": "test",
                             "enable.auto.commit": False, "auto.offset.reset": "error"})
        reader, taken = read_topic.Reader(), []
        try:
            for message in read_topic.read(consumer, self.name, offset, reader):
                if message is not None:
                    taken.append(message)
                elif consumer.position(consumer.assignment())[0].offset == self.end:
                    return taken, reader
        finally:
            consumer.close()


@pytest.fixture
def topic(broker):
    return Topic(broker)


def as_books(reader):
    return {key: (levels(book["bids"].items()), levels(book["asks"].items()))
            for key, book in reader.books.books.items()}


def true_books(messages):
    books = Books()
    for message in messages:
        books.feed(message)
    return books.books


def states(messages):
    """Of every symbol that has a book, as a node writes them."""
    books, seq = Books(), messages[-1]["seq"]
    for message in messages:
        books.feed(message)
    for (exchange, symbol), (bids, asks) in books.books.items():
        book = {"type": "book", "seq": seq, "snapshot": True, "exchange": exchange,
                "symbol": symbol, "action": "snapshot",
                "bids": [[f"{price}", f"{size}"] for price, size in bids.items()],
                "asks": [[f"{price}", f"{size}"] for price, size in asks.items()]}
        yield {"type": "state", "seq": seq, "exchange": exchange, "symbol": symbol,
               "messages": [book], "trades": []}


def trades(messages):
    return [message for message in messages if message["type"] == "trade"]


def test_everything_that_must_not_count_is_dropped(topic, played):
    messages = [message for message in played.messages if is_sequenced(message)]
    third = len(messages) // 3
    topic.barrier(1, start=messages[0]["seq"] - 1)
    for message in messages[:third]:
        topic.write(message, 1)
    for message in messages[third - 20:third]:
        topic.write(message, 1)  # again
    for message in messages[third + 5:third + 10]:
        topic.write(message, 1)  # early
    for message in messages[third:2 * third]:
        topic.write(message, 1)
    topic.barrier(2)
    topic.write({**messages[2 * third], "price": "666", "type": "trade"}, 1)  # a zombie's
    for message in messages[2 * third:]:
        topic.write(message, 2)
    topic.barrier(1, start=0)  # a zombie's as well
    taken, reader = topic.read()
    assert taken == messages
    assert reader.dropped == 20 + 5 + 1
    assert as_books(reader) == true_books(messages)
    assert trades(taken) == trades(messages)


@pytest.mark.parametrize("part", [0.2, 0.5, 0.9])
def test_who_begins_in_the_middle_ends_with_the_same_books(topic, played, part):
    messages = [message for message in played.messages if is_sequenced(message)]
    middle = int(len(messages) * part)
    topic.barrier(1, start=messages[0]["seq"] - 1)
    for message in messages[:middle]:
        topic.write(message, 1)
    begin = topic.write({"type": "note of the future"}, 1, numbered=False)
    for message in messages[middle:middle + 10]:
        topic.write(message, 1)
    topic.beacon(1, messages[middle + 9]["seq"])
    # It was made before these were accepted, and comes behind them.
    late = list(states(messages[:middle + 10]))
    for message in messages[middle + 10:middle + 30]:
        topic.write(message, 1)
    for state in late:
        topic.write(state, 1, numbered=False)
    for message in messages[middle + 30:]:
        topic.write(message, 1)
    taken, reader = topic.read(begin)
    assert taken == messages[middle + 10:]
    assert as_books(reader) == true_books(messages)


def test_another_stream_begins_anew(topic, played):
    messages = [message for message in played.messages if is_sequenced(message)][:50]
    topic.barrier(1, start=messages[0]["seq"] - 1)
    for message in messages:
        topic.write(message, 1)
    topic.barrier(2, start=1000, stream="tw-other")
    topic.write({"type": "epoch", "seq": 1001, "epoch": 2}, 2)
    taken, reader = topic.read()
    assert [message["seq"] for message in taken] == [m["seq"] for m in messages] + [1001]
    assert not reader.books.books


def test_the_program_prints_trades(topic, played):
    """Whatever strangers write between."""
    messages = [message for message in played.messages if is_sequenced(message)]
    stranger = Producer({**topic.broker.client(), "transactional.id": topic.name})
    stranger.init_transactions()
    stranger.begin_transaction()
    stranger.produce(topic.name, b"\xff", headers={"trace": b"\xff", "none": None})
    stranger.flush(PATIENCE)  # and never ends it: a broker's default is that it lasts a minute
    topic.barrier(1, start=messages[0]["seq"] - 1)
    for message in messages:
        topic.write(message, 1)
    topic.producer.flush(PATIENCE)
    wanted = trades(messages)
    with subprocess.Popen([sys.executable, os.path.join(EXAMPLES, "read_topic.py"),
                           topic.broker.brokers, "--topic", topic.name, "--from-beginning"],
                          stdout=subprocess.PIPE, text=True) as process:
        try:
            lines = [process.stdout.readline().split() for _ in wanted]
        finally:
            process.kill()
    assert [int(line[0]) for line in lines] == [trade["seq"] for trade in wanted]
    assert {line[3] for line in lines} == {"buy", "sell"}


def test_the_configurations_in_the_document_are_good(tmp_path):
    with open(os.path.join(ROOT, "docs", "kafka.md"), encoding="utf-8") as file:
        parts = re.findall(r"```yaml\n(.*?)```", file.read(), re.DOTALL)
    assert len(parts) == 2
    for part in parts:
        path = tmp_path / "tickwire.yaml"
        password = tmp_path / "password"
        password.write_text("secret\n")
        path.write_text(part.replace("/etc/tickwire/kafka-password", str(password)))
        status, _, errors = run("check", "-c", str(path))
        assert status == 0, errors
