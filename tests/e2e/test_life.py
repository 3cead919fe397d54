# SPDX-License-Identifier: Apache-2.0
"""Starting, being full, being too slow, leaving."""

import json
import signal
import socket
import time

import pytest
import websockets.exceptions

import wire
from harness import ALONE, LISTEN, SANITIZED, Node, read_logfmt, replay, run, wait_until
from prometheus import Metrics
from stream import Client, is_sequenced
from wire import Raw

MEBIBYTE = 1024 * 1024


def alone(*arguments):
    return Node("serve", *LISTEN, *ALONE, *arguments)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_leaving_in_order(number):
    with replay("--loop", "--speed", "5") as node:
        with Client(node) as client:
            client.until_type("snapshot_end")
            node.send_signal(number)
            messages = []
            with pytest.raises(websockets.exceptions.ConnectionClosed) as closed:
                while True:
                    messages.append(client.next())
            told = [message for message in messages if message["type"] == "draining"]
            assert len(told) == 1 and 0 < told[0]["within_ms"] <= 10000
            assert closed.value.rcvd.code == 1001
        assert node.wait() == 0
    assert node.logged(msg="leaving") and node.logged(msg="left")


def test_leaving_does_not_wait_for_who_does_not_answer():
    node = alone("--set", "node.drain_timeout=1s").start()
    with Raw(node.port) as raw:
        raw.open()
        begin = time.monotonic()
        node.send_signal(signal.SIGTERM)
        assert raw.read_close() == 1001
        status, headers, _ = node.get("/readyz")
        assert status == 503 and headers["Content-Type"] == "application/problem+json"
        assert node.get("/healthz")[0] == 200
        with Raw(node.port) as late:
            late.send(wire.handshake())
            assert late.read_answer()[0] == 503
        assert node.wait() == 0
        assert 0.5 < time.monotonic() - begin < 10
    node.close()


def test_second_signal_ends_at_once():
    node = alone("--set", "node.drain_timeout=1m").start()
    with Raw(node.port) as raw:
        raw.open()
        node.send_signal(signal.SIGTERM)
        raw.read_close()
        begin = time.monotonic()
        node.send_signal(signal.SIGTERM)
        assert node.wait() == 0
        assert time.monotonic() - begin < 30
    node.close()


def test_hangup_is_not_the_end():
    """It asks for the configuration to be read again, which this version only answers."""
    with alone() as node:
        assert node.get("/readyz")[0] == 200
        node.send_signal(signal.SIGHUP)
        wait_until(lambda: any("reload" in line for line in node.lines), "it says something")
        assert node.get("/readyz")[0] == 200


def test_hangup_while_it_leaves_is_no_other_end():
    """Up to the last moment: a script that has it reload does not know that another one ends it.
    Nor do threads take it that look names up."""
    for _ in range(5):
        node = alone("--set", "cluster.role=leader", "--set",
                     "cluster.peers=http://localhost:1").start()
        node.wait_log(msg="peer does not answer, asking on")
        node.send_signal(signal.SIGTERM)
        while node.process.poll() is None:
            node.send_signal(signal.SIGHUP)
        assert node.stop() == 0


def test_leaving_with_nobody_there_is_quick():
    """From the moment on in which it says that it serves."""
    for _ in range(30):
        node = alone("--set", "node.drain_timeout=1m").start()
        begin = time.monotonic()
        assert node.stop() == 0
        assert time.monotonic() - begin < 30


def test_port_in_use():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        status, output, errors = run("serve", *ALONE, "--set", f"http.listen={address}")
    assert status == 1 and output == ""
    line = read_logfmt(errors.strip().splitlines()[-1])
    assert line["level"] == "error" and line["msg"] == "cannot start"
    assert "address already in use" in line["error"] and address in line["error"]


def test_json_log():
    node = alone("--set", "log.format=json")
    try:
        wait_until(lambda: any('"serving"' in line for line in node.lines), "it serves")
        node.send_signal(signal.SIGTERM)
        assert node.wait() == 0
        lines = [json.loads(line) for line in node.lines]
        assert any(line["msg"] == "serving" and line["port"] > 0 for line in lines)
    finally:
        node.close()


def test_more_clients_than_may_be():
    with alone("--set", "http.max_clients=3") as node:
        clients = [Client(node) for _ in range(3)]
        wait_until(lambda: node.get("/readyz")[0] == 503, "a full node is not ready")
        with Raw(node.port) as raw:
            raw.send(wire.handshake())
            status, _, body = raw.read_answer()
        assert status == 503 and b"clients" in body
        assert Metrics(node).value("tickwire_clients_refused_total", reason="full") == 1
        clients.pop().connection.close()
        wait_until(lambda: node.get("/readyz")[0] == 200, "ready again")
        clients.append(Client(node))
        for client in clients:
            assert client.next()["type"] == "hello"
            client.connection.close()


def test_more_clients_of_one_address_than_may_be():
    with alone("--set", "http.max_clients_per_ip=2") as node:
        with Client(node), Client(node), Raw(node.port) as raw:
            raw.send(wire.handshake())
            assert raw.read_answer()[0] == 429
        assert Metrics(node).value("tickwire_clients_refused_total", reason="address") == 1


SLOW = ("--loop", "--speed", "max", "--set", "stream.max_lag=500ms", "--set",
        "http.send_buffer=4KiB", "--set", "stream.retain=1MiB")


def messages_of(raw, until):
    """Messages by hand, until one satisfies; None for a close frame's place."""
    messages = []
    while not messages or not until(messages[-1]):
        opcode, payload = raw.read_frame() or (None, b"")
        assert opcode is not None, f"ended after {len(messages)} messages"
        assert opcode in (wire.TEXT, wire.CLOSE), opcode
        messages.append(json.loads(payload) if opcode == wire.TEXT else
                        {"type": "close", "code": int.from_bytes(payload[:2], "big")})
    return messages


def check_contiguous(messages):
    """seq grows by one, but for where skipped and hello say otherwise; returns what was skipped."""
    last, skipped = None, []
    for index, message in enumerate(messages):
        if message["type"] == "skipped":
            assert message["from"] == last + 1 and message["to"] >= message["from"]
            hello = messages[index + 1]
            assert hello["type"] == "hello" and hello["next"] == message["to"] + 1
            assert hello["resumed"] is False
            skipped.append(message)
        elif message["type"] == "hello":
            last = message["next"] - 1
        elif is_sequenced(message):
            assert message["seq"] == last + 1
            last = message["seq"]
        elif message["type"] == "snapshot_end":
            assert message["seq"] == last
    return skipped


def test_slow_client_is_moved_ahead():
    with replay(*SLOW) as node, Raw(node.port, receive_buffer=4096) as raw:
        raw.open()
        wait_until(lambda: Metrics(node).value("tickwire_slow_clients_total", action="snapshot"),
                   "the client is slow")
        raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * MEBIBYTE)
        messages = messages_of(raw, lambda message: message["type"] == "skipped")
        messages += messages_of(raw, lambda message: message["type"] == "snapshot_end")
        messages += messages_of(raw, is_sequenced)
        assert len(check_contiguous(messages)) == 1
        snapshot = [message for message in messages[-200:] if message.get("snapshot")]
        assert {message["type"] for message in snapshot} >= {"status", "ticker", "trade", "book"}


def test_send_buffer_bounds_what_waits_for_a_slow_client():
    with replay("--loop", "--speed", "100", *SLOW[3:5], "--set", "http.send_buffer=16KiB") as node:
        with Raw(node.port, receive_buffer=4096) as raw:
            raw.open()
            wait_until(lambda: Metrics(node).value("tickwire_slow_clients_total",
                                                   action="snapshot"), "the client is slow")
            size, kind = 0, None
            while kind != "skipped":
                payload = raw.read_until(wire.TEXT)
                size, kind = size + len(payload), json.loads(payload)["type"]
        assert size < 256 * 1024, f"the kernel held {size} bytes for one client"


def test_slow_client_is_disconnected():
    with replay(*SLOW, "--set", "stream.slow_client=disconnect") as node:
        with Raw(node.port, receive_buffer=4096) as raw:
            raw.open()
            wait_until(lambda: Metrics(node).value("tickwire_slow_clients_total",
                                                   action="disconnect"), "the client is slow")
            messages = messages_of(raw, lambda message: message["type"] == "close")
            assert messages[-1]["code"] == 1008
            assert not check_contiguous(messages[:-1])


def test_slow_clients_cost_nobody_anything():
    with replay("--loop", "--speed", "40", *SLOW[3:], "--set", "stream.retain=2MiB") as node:
        # The log turns over, so that what the node needs for itself is there.
        wait_until(lambda: Metrics(node).value("tickwire_sequence") > 3000, "it has warmed up", 60)
        before = node.memory()
        slow = [Raw(node.port, receive_buffer=4096).open() for _ in range(100)]
        with Client(node) as fast:
            fast.until_type("snapshot_end")
            first = fast.seq
            while fast.seq == first or Metrics(node).value("tickwire_slow_clients_total",
                                                           action="snapshot") < 100:
                target = fast.seq + 100
                assert all(message["type"] != "skipped"
                           for message in fast.until(lambda _: fast.seq >= target))
        grown = node.memory() - before
        assert grown < (400 if SANITIZED else 16) * MEBIBYTE, f"{grown} bytes for 100 slow clients"
        for raw in slow:
            raw.socket.close()
        wait_until(lambda: Metrics(node).value("tickwire_clients") == 0, "they are gone")
