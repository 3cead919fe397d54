# SPDX-License-Identifier: Apache-2.0
"""Nodes that several tests look at without changing them."""

import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.append(os.path.join(os.path.dirname(HERE), "show"))  # kafka.py

from harness import ALONE, LISTEN, Node, newest, replay, wait_until  # noqa: E402
from kafka import Broker  # noqa: E402
from prometheus import Metrics  # noqa: E402
from stream import collect_played  # noqa: E402


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport():
    """A failure comes with what the last nodes said."""
    report = (yield).get_result()
    if report.failed:
        report.sections += [(f"log of {' '.join(node.process.args[1:3])}, pid {node.pid}", node.log)
                            for node in newest]


class Played:
    """A node that has played the constructed recording to its end, and all that it said."""

    def __init__(self, node):
        self.node = node
        self.messages = collect_played(node)
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
        wait_until(lambda: Metrics(node).value("tickwire_published_total", type="trade"),
                   "trades flow")
        yield node


@pytest.fixture(scope="session")
def quiet():
    """A node that collects nothing: its stream holds the epoch alone."""
    with Node("serve", *LISTEN, *ALONE, "--set", "stream.heartbeat=100ms", "--set",
              "node.id=quiet-1") as node:
        yield node


@pytest.fixture(scope="session")
def broker():
    """Apache Kafka for tests that do it no harm; each uses a topic of its own."""
    with Broker() as running_broker:
        yield running_broker
