# SPDX-License-Identifier: Apache-2.0
"""What a client knows after all it has read, and whether it was told by the rules."""

import json
import threading
import time

from harness import PATIENCE
from peers import Form, Peer
from stream import Books, is_sequenced

KEPT = ("trade", "ticker", "quote", "status")  # whose last value a snapshot tells


class View:
    """Follows one connection, or several that resume one another. Where the snapshot
    was declined, it keeps no books."""

    def __init__(self, snapshot=True):
        self.snapshot = snapshot
        self.stream = self.epoch = self.seq = None
        self.values, self.books = {}, Books()
        self.skips = []  # (from, to)
        self.hellos = 0
        self.snapshot_due = False
        self._skipped_to = None

    def take(self, text):
        """One message; fails where it breaks the rules. Returns it."""
        message = json.loads(text)
        kind = message["type"]
        if kind == "hello":
            self._take_hello(message)
        elif self._skipped_to is not None or self.seq is None:
            raise AssertionError(f"{kind} where hello was due")
        elif message.get("snapshot"):
            assert self.snapshot_due and message["seq"] <= self.seq, message
            self._keep(message)
        elif kind == "snapshot_end":
            assert self.snapshot_due and message["seq"] == self.seq, message
            self.snapshot_due = False
        elif kind == "skipped":
            assert message["from"] == self.seq + 1 and message["to"] >= message["from"], message
            self.skips.append((message["from"], message["to"]))
            self._skipped_to = message["to"]
        elif is_sequenced(message):
            assert not self.snapshot_due, "a live message within a snapshot"
            assert message["seq"] == self.seq + 1, f"{self.seq} then {message['seq']}"
            self.seq = message["seq"]
            self.epoch = message["epoch"] if kind == "epoch" else self.epoch
            self._keep(message)
        elif kind == "heartbeat":
            assert message["seq"] == self.seq, (message, self.seq)
        return message

    def _take_hello(self, message):
        self.hellos += 1
        if self._skipped_to is not None:
            assert message["next"] == self._skipped_to + 1 and message["resumed"] is False, message
        if message["resumed"]:
            assert self.seq is None or (message["next"], message["stream"]) == (
                self.seq + 1, self.stream), (message, self.seq)
        else:
            self.values, self.books = {}, Books()
        self._skipped_to = None
        self.snapshot_due = self.snapshot and not message["resumed"]
        self.stream, self.epoch = message["stream"], message["epoch"]
        self.seq = message["next"] - 1

    def _keep(self, message):
        if message["type"] in KEPT:
            key = tuple(message.get(name) for name in ("type", "exchange", "symbol", "channel"))
            self.values[key] = {name: value for name, value in message.items()
                                if name != "snapshot"}
        if self.snapshot:
            self.books.feed(message)

    @property
    def token(self):
        return f"{self.stream}.{self.epoch}.{self.seq}"

    def state(self):
        """What two clients at the same seq must agree on."""
        return self.values, self.books.books


def difference(one, other):
    """Of two states, a few words; None when they are the same."""
    for what, left, right in zip(("value", "book"), one, other):
        wrong = [key for key in left.keys() | right.keys() if left.get(key) != right.get(key)]
        if wrong:
            key = min(wrong, key=str)
            return (f"{len(wrong)} of the {what}s differ, {key}: "
                    f"{str(left.get(key))[:200]} or {str(right.get(key))[:200]}")
    return None


class SlowWitness(AssertionError):
    """It was treated as slow clients are."""


class Witness:
    """A client in a thread of its own that has had every message from the first one on, as bytes.
    Reading is all it does, so that it is slow on a machine only that hardly lets it run."""

    def __init__(self, node, context=None):
        self.peer = Peer(node.port, context)
        self.peer.open_form(Form(), "since=" + node.first_token())
        self.input = [b""]
        self.stopping = self.ended = False
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        self.peer.socket.settimeout(0.2)
        while not self.stopping:
            try:
                data = self.peer.socket.recv(1 << 20)
            except TimeoutError:
                continue
            except OSError:
                data = b""
            if not data:
                break
            self.input.append(data)
        self.ended = not self.stopping

    def messages(self):
        """All that has come so far."""
        count = len(self.input)
        self.peer.take(b"".join(self.input[:count]))
        del self.input[:count]
        return list(self.peer.messages)

    def state_at(self, seq, seconds=PATIENCE):
        """(state at that seq, {seq: bytes} of everything up to there)."""
        deadline = time.monotonic() + seconds
        while True:
            texts, view, sequenced = self.messages(), View(), {}
            for text in texts:
                message = view.take(text)
                if message["type"] == "skipped":
                    raise SlowWitness(text)
                if is_sequenced(message):
                    sequenced[message["seq"]] = text
                if view.seq == seq:
                    return view.state(), sequenced
            if self.ended:
                raise SlowWitness(f"its connection ended: {self.peer.close_code}")
            assert time.monotonic() < deadline, f"not at {seq} within {seconds} s: {view.seq}"
            time.sleep(0.1)  # between two looks

    def newest(self):
        texts = self.messages()
        for text in reversed(texts):
            message = json.loads(text)
            if is_sequenced(message):
                return message["seq"]
        return 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.thread.join(PATIENCE)
        self.peer.socket.close()
