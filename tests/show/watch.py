# SPDX-License-Identifier: Apache-2.0
"""What shows look at while a node is busy: memory, descriptors, and whether one can join."""

import json
import os
import threading
import time

from peers import Form, Peer

SETTLE_S = 30  # what is over must be gone by then
SLACK = 4  # threads, and descriptors, that may be there at one look and not at another


class MemoryWatch:
    """The most that a process has had resident, from now on."""

    def __init__(self, node):
        self.node, self.peak, self.stopping = node, node.memory(), False
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self):
        while not self.stopping:
            self.peak = max(self.peak, self.node.memory())
            time.sleep(0.1)  # the rate of looking

    def stop(self):
        self.stopping = True
        self.thread.join()
        return self.peak


def descriptors(node):
    """Open files of a node."""
    return len(os.listdir(f"/proc/{node.pid}/fd"))


def threads(node):
    with open(f"/proc/{node.pid}/status", encoding="ascii", errors="replace") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Threads:"))


class Footprint:
    """What a process holds at this moment."""

    def __init__(self, node):
        self.threads, self.descriptors = threads(node), descriptors(node)
        self.memory = node.memory()

    def exceeds(self, other):
        """In what can be counted, by more than what a connection takes."""
        return (self.threads > other.threads + SLACK
                or self.descriptors > other.descriptors + SLACK)

    def wait_no_more(self, node, seconds=SETTLE_S):
        """What it holds when that is no more than this, or at the end of the time: what was
        served by threads ends behind it."""
        deadline = time.monotonic() + seconds
        while True:
            now = Footprint(node)
            if not now.exceeds(self) or time.monotonic() > deadline:
                return now
            time.sleep(0.02)  # the rate of looking

    def __str__(self):
        return (f"{self.threads} threads, {self.descriptors} descriptors, "
                f"{self.memory / 1048576:.1f} MiB")


class Joiner:
    """One good client after another, each there until it has its hello."""

    def __init__(self, node, context=None):
        self.node, self.context = node, context
        self.times_ms, self.failures = [], []
        self.stopping = False
        self.thread = threading.Thread(target=self._join_again, daemon=True)
        self.thread.start()

    def _join_again(self):
        while not self.stopping:
            begin = time.monotonic()
            try:
                with Peer(self.node.port, self.context) as peer:
                    text = peer.open_form(Form(), "snapshot=0").next_message()
                    if text is None or json.loads(text)["type"] != "hello":
                        raise ValueError(f"no hello but {text}")
                self.times_ms.append(round((time.monotonic() - begin) * 1000, 1))
            except (OSError, ValueError, AssertionError) as error:
                self.failures.append(f"{type(error).__name__}: {str(error)[:80]}")
            time.sleep(0.1)  # the rate of joining

    def stop(self):
        self.stopping = True
        self.thread.join()
        return {"joined": len(self.times_ms), "turned_away": len(self.failures),
                "slowest_ms": max(self.times_ms, default=0)}
