# SPDX-License-Identifier: Apache-2.0
"""Clients that stop reading, or read a thousand bytes a second, and later want to know it all."""

import select
import socket
import ssl
import threading
import time

from harness import PATIENCE
from peers import Form, Peer
from stream import is_sequenced
from view import View

TRICKLE_BYTES, TRICKLE_S = 100, 0.1
SMALL_BUFFER, LARGE_BUFFER = 4096, 4 * 1024 * 1024
AT_ONCE = 256 * 1024
FURTHER = 100  # messages, when a goal has been missed


class Laggard:
    """One of them. While it is slow it keeps what it reads; awake it follows the rules (View)."""

    def __init__(self, node, trickles, form=Form(), context=None):
        self.node, self.trickles, self.form, self.context = node, trickles, form, context
        self.view = View()
        self.texts = {}  # seq: bytes
        self.goal = None
        self.code = None  # of the first close frame
        self.ends = 0  # connections that the node ended
        self._connect(None, SMALL_BUFFER)

    def _connect(self, query, receive_buffer):
        self.peer = Peer(self.node.port, self.context, receive_buffer=receive_buffer)
        self.peer.open_form(self.form, query)
        self.peer.socket.setblocking(False)

    def read(self, size):
        """Whether anything came."""
        try:
            data = self.peer.socket.recv(size)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:  # the node cut it
            data = b""
        self.peer.ended = self.peer.ended or not data
        self.peer.take(data)
        return True

    def trickle(self):
        if self.trickles and not self.peer.ended:
            self.read(TRICKLE_BYTES)

    @property
    def done(self):
        return self.goal is not None and self.view.seq == self.goal

    def catch_up(self):
        """Whether anything happened. Ended, it comes back with the token that it has."""
        moved = self.read(AT_ONCE)
        while self.peer.messages and not self.done:
            text = self.peer.messages.popleft()
            message = self.view.take(text)
            if is_sequenced(message):
                self.texts[message["seq"]] = text
        if self.peer.ended and not self.done:
            self.ends += 1
            self.code = self.code or self.peer.close_code
            self.peer.socket.close()
            # Who was cut within a snapshot must begin anew: the rest of it would never come.
            whole = self.view.seq is not None and not self.view.snapshot_due
            self._connect(f"since={self.view.token}" if whole else None, LARGE_BUFFER)
        return moved

    @property
    def was_told(self):
        return "skipped" if self.view.skips else self.code or ("ended" if self.ends else "nothing")


def read_to(goal, clients, seconds=PATIENCE):
    """All read until they stand at the goal, or at a later one that all can reach. Returns it."""
    deadline = time.monotonic() + seconds
    for client in clients:
        client.goal = goal
    while waiting := [client for client in clients if not client.done]:
        late = [(client.view.seq, client.was_told) for client in waiting]
        assert time.monotonic() < deadline, f"not at {goal} within {seconds} s: {late[:5]}"
        if not any([client.catch_up() for client in waiting]):
            select.select([client.peer.socket for client in waiting], [], [], 0.1)
        newest = max((client.view.seq or 0) for client in clients)
        if newest > goal:
            goal = newest + FURTHER
            for client in clients:
                client.goal = goal
    return goal


class Laggards:
    """A group; a thread reads for those that trickle."""

    def __init__(self, node, silent, trickling, form=Form(), context=None):
        self.all = [Laggard(node, index >= silent, form, context)
                    for index in range(silent + trickling)]
        self.asleep = True
        self.thread = threading.Thread(target=self._trickle, daemon=True)
        self.thread.start()

    def _trickle(self):
        due = time.monotonic()
        while self.asleep:
            for laggard in self.all:
                laggard.trickle()
            due += TRICKLE_S
            time.sleep(max(0, due - time.monotonic()))  # the rate itself

    def wake(self, goal, seconds=PATIENCE):
        """All read as fast as they can until they stand at the same number: the goal, or a later
        one, when someone had to begin anew behind it. Returns it."""
        self.asleep = False
        self.thread.join()
        for laggard in self.all:
            laggard.peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, LARGE_BUFFER)
        return read_to(goal, self.all, seconds)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.asleep = False
        self.thread.join(PATIENCE)
        for laggard in self.all:
            laggard.peer.socket.close()
