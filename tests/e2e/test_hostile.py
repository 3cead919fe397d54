# SPDX-License-Identifier: Apache-2.0
"""Each attack for a moment: answered as it should be, counted, and nobody else misses a message."""

import pytest

import attacks
from features import certificate, has, needs, speak_tls, uncounted
from harness import PATIENCE, SANITIZED, replay, wait_until
from peers import Form, Peer
from prometheus import Metrics
from view import View, Witness

SECONDS = 0.4
SETTINGS = ("--loop", "--speed", "4", "--set", "http.max_clients=300", "--set",
            "http.max_clients_per_ip=150", "--set", "stream.retain=2MiB")
PLAIN = [name for name in attacks.ATTACKS if name not in ("half_tls", "dawdlers")]
OVER_TLS = [name for name in attacks.ATTACKS if name not in ("pipelining", "dawdlers")]


@pytest.fixture(scope="module")
def besieged():
    """(a node, None, one that reads all the time)"""
    with replay(*SETTINGS) as node, Witness(node) as witness:
        yield node, None, witness


@pytest.fixture(scope="module")
def besieged_over_tls():
    """(a node, its context for TLS, one that reads all the time)"""
    needs("tls")
    context = certificate().client_context()
    with replay(*SETTINGS, *certificate().settings) as node:
        with Witness(speak_tls(node, context), context) as witness:
            yield node, context, witness


def scrape(node):
    """When the node has room for it again."""
    def scraped():
        try:
            return Metrics(node)
        except (OSError, AssertionError):
            return None

    return wait_until(scraped, "metrics can be read")


def withstand(besieged, name):
    node, context, witness = besieged
    before = scrape(node)
    result = attacks.attack(name, node.port, SECONDS, context)
    assert not result["odd"], result
    after = scrape(node)
    wrong, unknown = uncounted(result["counted"], before, after)
    assert not wrong
    assert not unknown or not has("refused")
    with Peer(node.port, context) as peer:  # and the next client is served
        view = View()
        peer.open_form(Form())
        while view.snapshot_due or view.seq is None:
            view.take(peer.next_message())
    witness.state_at(int(after.value("tickwire_sequence")), PATIENCE)


def assert_nothing_left(node):
    wait_until(lambda: scrape(node).value("tickwire_clients") == 1, "only the witness is there")
    assert node.memory() < (1500 if SANITIZED else 64) * 1024 * 1024


@pytest.mark.parametrize("name", PLAIN)
def test_attack(besieged, name):
    withstand(besieged, name)


def test_nothing_is_left_of_the_attacks(besieged):
    assert_nothing_left(besieged[0])


@pytest.mark.parametrize("name", OVER_TLS)
def test_attack_over_tls(besieged_over_tls, name):
    withstand(besieged_over_tls, name)


def test_nothing_is_left_of_the_attacks_over_tls(besieged_over_tls):
    assert_nothing_left(besieged_over_tls[0])


def test_who_dawdles_is_ended():
    with replay(*SETTINGS) as node:
        before = scrape(node)
        result = attacks.attack("dawdlers", node.port, 1)
        assert not result["odd"], result
        assert not uncounted(result["counted"], before, scrape(node))[0]
