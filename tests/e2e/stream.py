# SPDX-License-Identifier: Apache-2.0
"""A client of the stream: reads messages through the `websockets` library and keeps the rules."""

import json
import time
from decimal import Decimal

import websockets.sync.client

from harness import PATIENCE
from prometheus import Metrics

SEQUENCED = ("trade", "ticker", "quote", "book", "status", "gap", "epoch")


def is_sequenced(message):
    return message["type"] in SEQUENCED and not message.get("snapshot")


class Client:
    def __init__(self, node, query="", path="/ws/exchange", **options):
        self.connection = websockets.sync.client.connect(
            node.ws(query, path), compression=None, max_size=None, open_timeout=PATIENCE,
            # The library hangs that long when messages are left unread.
            close_timeout=0.2, **options)
        self.stream = self.epoch = self.seq = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def next(self, seconds=PATIENCE):
        """The next message; checks that seq grows by one unless a hello said otherwise."""
        try:
            text = self.connection.recv(timeout=seconds)
        except TimeoutError:
            raise AssertionError(f"no message in {seconds} s") from None
        assert isinstance(text, str), "messages are text"
        assert "\n" not in text, "one message a frame"
        message = json.loads(text)
        self.follow(message)
        return message

    def follow(self, message):
        if message["type"] == "hello":
            self.stream, self.epoch = message["stream"], message["epoch"]
            self.seq = message["next"] - 1
        elif is_sequenced(message):
            assert self.seq is not None, "a live message before hello"
            assert message["seq"] == self.seq + 1, f"{self.seq} then {message['seq']}"
            self.seq = message["seq"]
            if message["type"] == "epoch":
                self.epoch = message["epoch"]
        elif message["type"] == "heartbeat":
            assert message["seq"] == self.seq, (message, self.seq)

    def until(self, condition, seconds=PATIENCE):
        """Messages up to and with the first for which condition(message) holds."""
        messages, deadline = [], time.monotonic() + seconds
        while not messages or not condition(messages[-1]):
            left = deadline - time.monotonic()
            assert left > 0, f"not in {len(messages)} messages: {messages[-3:]}"
            messages.append(self.next(left))
        return messages

    def until_type(self, kind, seconds=PATIENCE):
        return self.until(lambda message: message["type"] == kind, seconds)

    @property
    def token(self):
        return f"{self.stream}.{self.epoch}.{self.seq}"


def collect_played(node, exchanges=3):
    """All that a replay to its end has said, from the first record on."""
    with Client(node, "?since=" + node.first_token()) as client:
        messages, done = [], False
        while not done:
            last = last_of_replay(node, exchanges)
            new = client.until_type("heartbeat")
            messages += new
            done = last is not None and client.seq >= last and len(new) == 1
    return messages


def last_of_replay(node, exchanges):
    """The stream's newest number, when the node has taken all that was played; else None."""
    ends = node.logged(msg="recording played to its end")
    if len(ends) < exchanges:
        return None
    metrics = Metrics(node)
    taken = all(metrics.total("tickwire_exchange_messages_total", exchange=end["exchange"])
                >= int(end["messages"]) for end in ends)
    return metrics.value("tickwire_sequence") if taken else None


def levels(side):
    return {Decimal(price): Decimal(size) for price, size in side}


class Books:
    """Order books as a client keeps them: {(exchange, symbol): (bids, asks)}."""

    def __init__(self):
        self.books = {}

    def apply(self, message):
        key = message["exchange"], message["symbol"]
        if message["type"] == "gap":
            self.books.pop(key, None)
            return
        bids, asks = levels(message["bids"]), levels(message["asks"])
        assert len(bids) == len(message["bids"]) and len(asks) == len(message["asks"])
        if message["action"] == "snapshot":
            assert all(bids.values()) and all(asks.values()), "an empty level in a snapshot"
            self.books[key] = bids, asks
            return
        assert key in self.books, f"an update without a snapshot: {key}"
        for book, change in zip(self.books[key], (bids, asks)):
            for price, size in change.items():
                if size == 0:
                    assert price in book, f"{key}: removes {price}, which is not there"
                    del book[price]
                else:
                    assert book.get(price) != size, f"{key}: {price} has not changed"
                    book[price] = size

    def feed(self, message):
        if message["type"] == "book" or (message["type"] == "gap"
                                         and message["channel"] == "book"):
            self.apply(message)

    def best(self, key):
        bids, asks = self.books[key]
        return (sorted(bids.items(), reverse=True), sorted(asks.items()))
