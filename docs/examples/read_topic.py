#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads tickwire's topic with nothing of tickwire's: trades, and order books rebuilt.

    pip install confluent-kafka
    read_topic.py localhost:9092                            prints trades as they come
    read_topic.py localhost:9092 --topic T --from-beginning
    read_topic.py localhost:9093 --property security.protocol=sasl_ssl --property ...

Every record has its type in the header tw-type and its epoch in tw-epoch. Which ones count:

    1. A barrier of a newer epoch than E: E is that epoch. If it has a `start`, a stream begins
       anew behind that number: q is `start`.
    2. A record whose epoch is E and whose seq is q + 1 counts: q is its seq.
    3. Everything else does not: repeats, and what a node wrote that no longer leads.

To begin anywhere, wait for a beacon. It says: who has read everything before `position` has this E
(`epoch`) and this q (`seq`). Go there and read on.
"""

import argparse
import json
from decimal import Decimal

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, TopicPartition


class Books:
    """Order books: {(exchange, symbol): {"bids": {price: size}, "asks": {price: size}}}. One begins
    with a `book` snapshot, or with a state, which every symbol gets at least once a minute."""

    def __init__(self):
        self.books = {}
        self.waiting = {}  # (exchange, symbol): what came before there was a book
        self.epoch_seq = 0

    def take(self, message):
        if message["type"] == "epoch":  # every symbol's next one is a snapshot
            self.books, self.waiting, self.epoch_seq = {}, {}, message["seq"]
        if message["type"] == "book" or message.get("channel") == "book" and (
                message["type"] == "gap"):
            self.apply((message["exchange"], message["symbol"]), message)

    def apply(self, key, message):
        if message["type"] == "gap":  # until the next snapshot nobody knows the book
            self.books.pop(key, None)
            self.waiting[key] = []
        elif message["action"] == "snapshot":
            self.books[key] = {side: dict(message[side]) for side in ("bids", "asks")}
            self.waiting.pop(key, None)
        elif key in self.books:
            for side, levels in self.books[key].items():
                levels.update(message[side])
                for price, size in message[side]:
                    if size == "0":
                        del levels[price]
        else:
            self.waiting.setdefault(key, []).append(message)

    def take_state(self, state, seq):
        """It holds up to its own seq; what came behind that has been kept."""
        key = state["exchange"], state.get("symbol")
        if key in self.books or not self.epoch_seq <= state["seq"] <= seq:
            return
        for snapshot in state["messages"]:
            if snapshot["type"] == "book":
                waiting = self.waiting.get(key, [])
                self.apply(key, snapshot)
                for message in waiting:
                    if message["seq"] > state["seq"]:
                        self.apply(key, message)

    def best(self, key):
        """(bid, ask) as strings; None where there is none."""
        book = self.books.get(key, {"bids": {}, "asks": {}})
        return (max(book["bids"], key=Decimal, default=None),
                min(book["asks"], key=Decimal, default=None))


class Reader:
    """The three lines, and the books."""

    def __init__(self):
        self.epoch = self.seq = 0  # E, q
        self.books = Books()
        self.dropped = 0

    def take(self, record):
        """A record of the topic. Returns its message when it counts, else None."""
        headers = {name: value.decode() for name, value in record.headers() or []
                   if name.startswith("tw-")}
        if "tw-type" not in headers:
            return None  # not tickwire's
        kind, epoch = headers["tw-type"], int(headers["tw-epoch"])
        message = json.loads(record.value())
        if kind == "barrier":
            if epoch > self.epoch:
                self.epoch = epoch
                if "start" in message:
                    self.seq, self.books = message["start"], Books()
        elif "tw-seq" in headers:
            if epoch == self.epoch and message["seq"] == self.seq + 1:
                self.seq = message["seq"]
                self.books.take(message)
                return message
            self.dropped += 1
        elif kind == "state" and epoch == self.epoch:
            self.books.take_state(message, self.seq)
        return None

    def begin(self, record):
        """Before anything else: the position to go to and read from, when this record tells it."""
        kind = dict(record.headers() or []).get("tw-type")
        message = json.loads(record.value()) if kind in (b"beacon", b"barrier") else {}
        if kind == b"beacon":
            self.epoch, self.seq = message["epoch"], message["seq"]
            return message["position"]
        if "start" in message:
            return record.offset()
        return None


def read(consumer, topic, offset, reader):
    """Every record of the topic's only partition from `offset` on that counts, for ever."""
    consumer.assign([TopicPartition(topic, 0, offset)])
    begun = False
    while True:
        record = consumer.poll(0.2)
        if record is None:
            yield None  # nothing new
        elif record.error():
            raise SystemExit(f"kafka: {record.error()}")
        elif begun:
            yield reader.take(record)
        else:
            position = reader.begin(record)
            if position is not None:
                consumer.assign([TopicPartition(topic, 0, position)])
                begun = True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("brokers")
    parser.add_argument("--topic", default="tickwire.market")
    parser.add_argument("--from-beginning", action="store_true")
    parser.add_argument("--property", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    consumer = Consumer({
        "bootstrap.servers": options.brokers, "group.id": "read_topic",
        "enable.auto.commit": False, "auto.offset.reset": "error",
        "isolation.level": "read_uncommitted",  # nobody's open transaction keeps us waiting
        **dict(pair.split("=", 1) for pair in options.property)})
    offset = OFFSET_BEGINNING if options.from_beginning else OFFSET_END
    reader = Reader()
    for message in read(consumer, options.topic, offset, reader):
        if message and message["type"] == "trade":
            key = message["exchange"], message["symbol"]
            print(message["seq"], *key, message["side"], message["price"], message["size"],
                  "book:", *reader.books.best(key), flush=True)


if __name__ == "__main__":
    main()
