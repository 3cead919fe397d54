# SPDX-License-Identifier: Apache-2.0
"""Slow clients in every form: told what they missed, and right again afterwards."""

import pytest

from features import certificate, has, needs, speak_tls
from harness import PATIENCE, replay, wait_until
from laggards import Laggards
from peers import FORMS, Form
from prometheus import Metrics
from view import SlowWitness, Witness, difference

SLOW = ("--loop", "--speed", "10", "--set", "http.send_buffer=4KiB", "--set", "stream.retain=1MiB")
MAX_LAGS = ("1s", "3s", "9s")  # on a machine that does much else the witness is slow as well
SILENT, TRICKLING = 3, 3


def slowed(policy, form, secure=False, threads=1):
    """Clients of both kinds become slow, wake, and are compared with one that never was."""
    for max_lag in MAX_LAGS[:-1]:
        try:
            return slowed_within(max_lag, policy, form, secure, threads)
        except SlowWitness:
            pass
    return slowed_within(MAX_LAGS[-1], policy, form, secure, threads)


def slowed_within(max_lag, policy, form, secure, threads):
    settings = ["--set", f"stream.slow_client={policy}", "--set", f"http.threads={threads}",
                "--set", f"stream.max_lag={max_lag}"]
    context = certificate().client_context() if secure else None
    if secure:
        settings += certificate().settings
    with replay(*SLOW, *settings) as node:
        speak_tls(node, context)
        with Witness(node, context) as witness, \
                Laggards(node, SILENT, TRICKLING, form, context) as laggards:
            wait_until(lambda: Metrics(node).value("tickwire_slow_clients_total", action=policy)
                       >= SILENT + TRICKLING, "all of them are slow", 3 * PATIENCE)
            goal = laggards.wake(witness.newest() + 200, 3 * PATIENCE)
            state, texts = witness.state_at(goal)
            for laggard in laggards.all:
                assert difference(laggard.view.state(), state) is None
                assert all(texts[seq] == text for seq, text in laggard.texts.items())
        wait_until(lambda: Metrics(node).value("tickwire_clients") == 0, "they are gone")
    return laggards.all


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_slow_clients_are_moved_ahead_and_right_again(form):
    needs(*form.needs)
    for laggard in slowed("snapshot", form):
        assert laggard.was_told == "skipped" and laggard.ends == 0


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_slow_clients_are_disconnected_and_right_when_they_return(form):
    needs(*form.needs)
    for laggard in slowed("disconnect", form):
        assert laggard.was_told == 1008 and not laggard.view.skips


@pytest.mark.parametrize("policy", ["snapshot", "disconnect"])
def test_slow_clients_over_tls(policy):
    needs("tls")
    form = FORMS[-1] if has("batch") and has("deflate") else Form()
    told = {laggard.was_told for laggard in slowed(policy, form, secure=True)}
    assert told == {"skipped" if policy == "snapshot" else 1008}


@pytest.mark.parametrize("threads", [2, 4])
def test_slow_clients_on_several_threads(threads):
    needs("threads")
    assert {laggard.was_told for laggard in slowed("snapshot", Form(), threads=threads)} == {
        "skipped"}
