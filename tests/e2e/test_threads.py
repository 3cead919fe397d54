# SPDX-License-Identifier: Apache-2.0
"""Clients on several threads of a node: the same bytes, exact limits, and leaving in order."""

import json
import os
import random
import signal
import socket
import threading
import time

import pytest

import wire
from features import has, needs
from harness import ALONE, LISTEN, PATIENCE, Node, replay, wait_until
from laggards import Laggard, read_to
from peers import FORMS, Form, Peer
from prometheus import Metrics
from stream import is_sequenced
from view import View, Witness, difference
from wire import frame

CLIENTS = 40
LEAVE_S = 3
RESET = b"\1\0\0\0\0\0\0\0"  # SO_LINGER: the end of a connection is an RST


@pytest.fixture(params=[1, 2, 4])
def threads(request):
    if request.param > 1:
        needs("threads")
    return request.param


def threaded(threads, *settings):
    return ["--set", f"http.threads={threads}", *settings]


def available_forms():
    return [form for form in FORMS if all(map(has, form.needs))]


def busy_tasks(node):
    """Threads of the process that have waited for something more than a few times."""
    count = 0
    for task in os.listdir(f"/proc/{node.pid}/task"):
        with open(f"/proc/{node.pid}/task/{task}/status", encoding="ascii") as file:
            waited = [line for line in file if line.startswith("voluntary_ctxt_switches")][0]
        count += int(waited.split()[1]) > 20
    return count


def test_everybody_gets_the_same_bytes(threads):
    forms = available_forms()
    with replay("--loop", "--speed", "10", *threaded(threads)) as node:
        with Witness(node) as witness:
            clients = [Laggard(node, False, forms[i % len(forms)]) for i in range(CLIENTS)]
            goal = read_to(witness.newest() + 300, clients, 2 * PATIENCE)
            state, texts = witness.state_at(goal)
            for client in clients:
                assert client.ends == 0 and not client.view.skips
                assert difference(client.view.state(), state) is None
                assert client.texts and all(texts[seq] == text
                                            for seq, text in client.texts.items())
            assert busy_tasks(node) >= threads, "a thread has nothing to do"
            assert Metrics(node).value("tickwire_clients") == CLIENTS + 1
            for client in clients:
                client.peer.socket.close()
            wait_until(lambda: Metrics(node).value("tickwire_clients") == 1, "they are gone")


def storm(node, seed, goes_on, served):
    """Joins and leaves, each time in another way."""
    rng = random.Random(seed)
    forms = available_forms()
    while goes_on():
        with Peer(node.port, address=f"127.0.0.{seed + 2}") as peer:
            way, snapshot = rng.randrange(6), rng.random() < 0.5
            peer.open_form(rng.choice(forms), "" if snapshot else "snapshot=0")
            if way > 0:
                view = View(snapshot)
                for _ in range(rng.randrange(1, 4)):
                    text = peer.next_message()
                    assert text is not None, "ended"
                    view.take(text)
                served.append(seed)
            if way == 1:
                peer.send(frame(wire.CLOSE, b"\x03\xe8"))
            elif way == 2:
                peer.send(frame(wire.TEXT, b"unmasked", masked=False))
            elif way == 3:
                peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            elif way == 4:
                peer.socket.shutdown(socket.SHUT_WR)


def test_storm_of_joins_and_leaves(threads):
    with replay("--loop", "--speed", "10", *threaded(threads)) as node:
        with Witness(node) as witness:
            served, problems, begin = [], [], time.monotonic()

            def goes_on():
                """Three seconds, and until many were served."""
                age = time.monotonic() - begin
                return age < 3 or (len(served) <= 50 and age < PATIENCE)

            def run(seed):
                try:
                    storm(node, seed, goes_on, served)
                except Exception as error:  # told to the test, whatever it is
                    problems.append(error)

            stormers = [threading.Thread(target=run, args=(seed,)) for seed in range(8)]
            for thread in stormers:
                thread.start()
            for thread in stormers:
                thread.join(2 * PATIENCE)
            assert not problems and len(served) > 50, (problems, len(served))
            wait_until(lambda: Metrics(node).value("tickwire_clients") == 1, "they are gone")
            metrics = Metrics(node)
            assert metrics.total("tickwire_clients_total") > len(served)
            witness.state_at(int(metrics.value("tickwire_sequence")))


def burst(node, count, addresses):
    """Handshakes written at once on connections that are there: [status, connection]."""
    peers = [Peer(node.port, address=addresses[i % len(addresses)]) for i in range(count)]
    for peer in peers:
        peer.send(wire.handshake("/ws/exchange?snapshot=0"))
    return [(peer.read_head()[0], peer) for peer in peers]


def statuses(answers):
    found = [status for status, _ in answers]
    return {status: found.count(status) for status in set(found)}


def close_all(answers):
    for _, peer in answers:
        peer.socket.close()


def test_no_more_clients_than_may_be(threads):
    settings = threaded(threads, "--set", "http.max_clients=50")
    with Node("serve", *LISTEN, *ALONE, *settings) as node:
        addresses = [f"127.0.1.{i + 2}" for i in range(10)]
        for _ in range(3):
            answers = burst(node, 80, addresses)
            assert statuses(answers) == {101: 50, 503: 30}
            assert Metrics(node).value("tickwire_clients") == 50
            leaving = [peer for status, peer in answers if status == 101][:10]
            for peer in leaving:
                peer.socket.close()
            wait_until(lambda: Metrics(node).value("tickwire_clients") == 40, "ten have left")
            more = burst(node, 20, addresses)
            assert statuses(more) == {101: 10, 503: 10}
            assert node.get("/readyz")[0] == 503
            close_all(answers + more)
            wait_until(lambda: Metrics(node).value("tickwire_clients") == 0, "all have left")
        assert Metrics(node).value("tickwire_clients_refused_total", reason="full") == 3 * 40


def test_no_more_clients_of_one_address_than_may_be(threads):
    settings = threaded(threads, "--set", "http.max_clients_per_ip=20")
    with Node("serve", *LISTEN, *ALONE, *settings) as node:
        addresses = [f"127.0.1.{i + 2}" for i in range(3)]
        for _ in range(3):
            answers = burst(node, 90, addresses)
            assert statuses(answers) == {101: 60, 429: 30}
            for index in range(3):  # of each address as many
                own = [status for status, _ in answers[index::3]]
                assert own.count(101) == 20
            close_all(answers)
            wait_until(lambda: Metrics(node).value("tickwire_clients") == 0, "all have left")
        assert Metrics(node).value("tickwire_clients_refused_total", reason="address") == 90


def read_leaving(client):
    """Its messages from now on until the connection ends; fails when it has no close frame."""
    told = []
    while (text := client.next_message()) is not None:
        told.append(json.loads(text))
    assert client.close_code == 1001, client.close_code
    return told


def test_leaving_with_clients_on_all_threads(threads):
    """Everybody is told once, gets what was said before, and is closed in time."""
    settings = threaded(threads, "--set", f"node.drain_timeout={LEAVE_S}s")
    with replay("--loop", "--speed", "5", *settings) as node:
        peers = [Peer(node.port).open_form() for _ in range(CLIENTS)]
        wait_until(lambda: Metrics(node).value("tickwire_clients") == CLIENTS, "all are there")
        begin = time.monotonic()
        node.send_signal(signal.SIGTERM)
        ends, told = set(), set()
        for peer in peers:
            view = View()
            messages = [view.take(json.dumps(message)) if message["type"] != "draining" else message
                        for message in read_leaving(peer)]
            draining = [message for message in messages if message["type"] == "draining"]
            assert len(draining) == 1 and 0 <= draining[0]["within_ms"] <= LEAVE_S * 1000
            told.add(draining[0]["within_ms"])
            ends.add(view.seq)
            peer.socket.close()
        assert len(ends) == 1, f"not everybody got the last message: {ends}"
        assert len(told) >= CLIENTS // threads, "they are not spread"
        assert node.wait() == 0
        assert time.monotonic() - begin < 10 * LEAVE_S
    assert node.logged(msg="left")


def test_leaving_under_load(threads):
    """Clients of all kinds, more of them coming, and everything as fast as it goes."""
    settings = threaded(threads, "--set", "node.drain_timeout=1s", "--set", "stream.max_lag=1s")
    node = replay("--loop", "--speed", "max", *settings).start()
    try:
        forms = available_forms()
        readers = [Laggard(node, False, forms[i % len(forms)]) for i in range(10)]
        silent = [Laggard(node, False, forms[i % len(forms)]) for i in range(10)]
        read_to(1000, readers, 2 * PATIENCE)
        stop = threading.Event()
        joiner = threading.Thread(target=join_until, args=(node, stop))
        joiner.start()
        begin = time.monotonic()
        node.send_signal(signal.SIGTERM)
        assert node.wait() == 0
        assert time.monotonic() - begin < PATIENCE
        stop.set()
        joiner.join(PATIENCE)
        for client in readers + silent:
            client.peer.socket.close()
    finally:
        node.close()


def join_until(node, stop):
    while not stop.is_set():
        try:
            with Peer(node.port) as peer:
                peer.open_form()
                peer.next_message(1)
        except (OSError, AssertionError, ValueError):
            pass  # refused, or the node has left
        stop.wait(0.01)  # the rate


def test_second_signal_ends_all_threads_at_once(threads):
    node = replay("--loop", "--speed", "5", *threaded(threads, "--set",
                                                      "node.drain_timeout=1m")).start()
    try:
        peers = [Peer(node.port).open_form() for _ in range(CLIENTS)]
        wait_until(lambda: Metrics(node).value("tickwire_clients") == CLIENTS, "all are there")
        node.send_signal(signal.SIGTERM)
        node.wait_log(msg="leaving")
        begin = time.monotonic()
        node.send_signal(signal.SIGTERM)
        assert node.wait() == 0
        assert time.monotonic() - begin < 30
        for peer in peers:
            peer.socket.close()
    finally:
        node.close()


def test_resume_from_thread_to_thread(threads):
    """One that comes back may be given to any thread; it goes on exactly where it was."""
    with replay("--loop", "--speed", "20", *threaded(threads)) as node, Witness(node) as witness:
        clients = [(View(), {}) for _ in range(8)]
        for round_number in range(6):
            for view, texts in clients:
                with Peer(node.port) as peer:
                    peer.open_form(Form(), f"since={view.token}" if view.seq else None)
                    first = view.take(peer.next_message())
                    assert first["resumed"] is (round_number > 0)
                    goal = view.seq + 20
                    while view.seq < goal:
                        text = peer.next_message()
                        message = view.take(text)
                        if is_sequenced(message):
                            texts[message["seq"]] = text
        newest = max(view.seq for view, _ in clients)
        _, expected = witness.state_at(newest)
        for _, texts in clients:
            assert len(texts) == 120
            assert all(expected[seq] == text for seq, text in texts.items())
