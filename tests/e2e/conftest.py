# SPDX-License-Identifier: Apache-2.0
"""Nodes that several tests look at without changing them."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import ALONE, LISTEN, Node, replay  # noqa: E402
from stream import Client  # noqa: E402


class Played:
    """A node that has played the constructed recording to its end, and all that it said."""

    def __init__(self, node):
        self.node = node
        with Client(node, "?since=" + node.first_token()) as client:
            ended = 0
            self.messages = []
            while ended < 3:  # the replay says so for each exchange
                ended = len(node.logged(msg="recording played to its end"))
                self.messages += client.until_type("heartbeat")
            while len(client.until_type("heartbeat")) > 1:
                raise AssertionError("something came behind the recording's end")
        self.last = self.messages[-1]["seq"]
        self.sequenced = [message for message in self.messages if message["type"] not in (
            "hello", "heartbeat")]


@pytest.fixture(scope="session")
def played():
    with replay("--speed", "max", "--set", "stream.heartbeat=200ms") as node:
        yield Played(node)


@pytest.fixture(scope="session")
def running():
    """A node on which something happens all the time."""
    with replay("--loop", "--speed", "10", "--set", "stream.heartbeat=1s") as node:
        yield node


@pytest.fixture(scope="session")
def quiet():
    """A node that collects nothing: its stream holds the epoch alone."""
    with Node("serve", *LISTEN, *ALONE, "--set", "stream.heartbeat=100ms", "--set",
              "node.id=quiet-1") as node:
        yield node
