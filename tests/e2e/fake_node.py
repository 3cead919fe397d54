# SPDX-License-Identifier: Apache-2.0
"""Another node of a cluster as a test wants it: what it says of itself, and on its stream."""

import json
import logging
import threading

import websockets.datastructures
import websockets.exceptions
import websockets.http11
import websockets.sync.server

from harness import wait_until

STREAM = "tw-fake"
QUIET = logging.Logger("fake_node", logging.CRITICAL + 1)  # an answer is no failed handshake here


def cluster(node="fake-1", role="leader", epoch=1, **changes):
    """As /api/v1/cluster answers."""
    itself = {"id": node, "role": role, "url": None, "version": "0.1.0", "clients": 3,
              "lag_ms": None, "since": 1700000000000000}
    return {"self": node, "leader": node, "epoch": epoch, "stream": STREAM, "nodes": [itself],
            "history": [], **changes}


def hello(node="fake-1", following=1, resumed=True, epoch=1, **changes):
    return json.dumps({"type": "hello", "version": 1, "node": node, "stream": STREAM,
                       "epoch": epoch, "next": following, "source": "direct", "mode": "websocket",
                       "resumed": resumed, **changes}, separators=(",", ":"))


def record(seq, kind="status", **fields):
    return json.dumps({"type": kind, "seq": seq, **fields}, separators=(",", ":"))


class FakeNode:
    """answer: what /api/v1/cluster says, a dictionary or bytes. say(connection): what it does with
    a client of its stream; the connection ends with it."""

    def __init__(self, answer, say=None, status=200):
        self.answer, self.status = answer, status
        self.say = say or FakeNode.stay
        self.asked = 0
        self.targets = []  # of the handshakes
        self.server = websockets.sync.server.serve(
            self._serve, "127.0.0.1", 0, process_request=self._request, compression=None,
            logger=QUIET)
        self.port = self.server.socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def _request(self, _connection, request):
        if request.path != "/api/v1/cluster":
            self.targets.append(request.path)
            return None
        self.asked += 1
        body = self.answer
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        headers = websockets.datastructures.Headers(
            [("Content-Length", str(len(body))), ("Connection", "close")])
        return websockets.http11.Response(self.status, "As told", headers, body)

    def _serve(self, connection):
        try:
            self.say(connection)
        except websockets.exceptions.ConnectionClosed:
            pass

    @staticmethod
    def stay(connection):
        """Says hello and no more, until the client leaves."""
        connection.send(hello())
        for _ in connection:
            pass

    def wait_asked(self, times=2):
        """Until it was asked so often from now on: what it says now has been read."""
        target = self.asked + times
        wait_until(lambda: self.asked >= target, "polls")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
