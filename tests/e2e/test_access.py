# SPDX-License-Identifier: Apache-2.0
"""Who may come, how often and from where: origins, proxies, limits by address, the access log.
Loopback addresses (127.0.0.2 and on) stand for clients."""

import json
import os
import re
import socket
import time

import pytest

import wire
from harness import ALONE, LISTEN, PATIENCE, SANITIZED, Node, run, wait_until
from prometheus import Metrics
from wire import Raw


def node(*settings):
    return Node("serve", *LISTEN, *ALONE,
                *[part for setting in settings for part in ("--set", setting)])


class From(Raw):
    """A connection from another loopback address."""

    def __init__(self, port, address):  # pylint: disable=super-init-not-called
        self.socket = socket.socket()
        self.socket.settimeout(PATIENCE)
        self.socket.bind((address, 0))
        self.socket.connect(("127.0.0.1", port))
        self.input = bytearray()
        self.ended = False


def refused(where, reason):
    return Metrics(where).value("tickwire_http_refused_total", reason=reason)


def shake(where, extra="", address="127.0.0.1"):
    """The status of a handshake, after which its connection is closed."""
    with From(where.port, address) as raw:
        raw.send(wire.handshake(extra=extra))
        return raw.read_head()[0]


def ask(where, path, headers="", method="GET", address="127.0.0.1"):
    with From(where.port, address) as raw:
        raw.send(f"{method} {path} HTTP/1.1\r\nHost: own:1\r\n{headers}\r\n".encode())
        return raw.read_answer()


def info(where, headers="", target="/ws/info"):
    status, _, body = ask(where, target, headers)
    assert status == 200, body
    return json.loads(body)["endpoint"]


# ---- origins ----

def test_origins():
    with node("http.allowed_origins=https://app.example,http://127.0.0.1:3000") as own:
        assert shake(own) == 101, "what is no page has no origin"
        assert shake(own, "Origin: https://app.example\r\n") == 101
        assert shake(own, "Origin: HTTPS://App.Example:443\r\n") == 101
        assert shake(own, "Origin: http://127.0.0.1:3000\r\n") == 101
        for other in ("http://app.example", "https://app.example:444", "https://app.example.evil",
                      "null", "rubbish", f"http://127.0.0.1:{own.port}"):
            assert shake(own, f"Origin: {other}\r\n") == 403, other
        assert refused(own, "origin") == 6
        _, headers, _ = ask(own, "/api/v1/tickers", "Origin: https://app.example\r\n")
        assert headers["access-control-allow-origin"] == "https://app.example"
        assert headers["vary"] == "Origin"
        _, headers, _ = ask(own, "/api/v1/tickers", "Origin: https://evil.example\r\n")
        assert "access-control-allow-origin" not in headers and headers["vary"] == "Origin"
        wanted = "Origin: https://evil.example\r\nAccess-Control-Request-Method: GET\r\n"
        assert ask(own, "/api/v1/tickers", wanted, "OPTIONS")[0] == 403


@pytest.mark.parametrize("setting", [
    "http.allowed_origins=app.example", "http.allowed_origins=https://app.example/",
    "http.trusted_proxies=10.0.0.1/8", "http.trusted_proxies=proxy.example",
    "http.trusted_proxies=10.0.0.0/33"])
def test_wrong_settings(setting):
    status, _, errors = run("check", "--set", setting)
    assert status == 78 and setting.split("=")[1] in errors


# ---- proxies ----

FORWARDED = ("X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n"
             "X-Forwarded-Host: gw.example:8443\r\n")


def test_info_behind_a_proxy():
    with node("http.trusted_proxies=127.0.0.1") as own:
        assert info(own) == "ws://own:1/ws/exchange"
        assert info(own, FORWARDED) == "wss://gw.example:8443/ws/exchange"
        assert info(own, "X-Forwarded-Proto: https\r\n") == "wss://own:1/ws/exchange"
        assert info(own, target="http://target.example/ws/info") == \
            "ws://target.example/ws/exchange"
        assert ask(own, "/ws/info", "X-Forwarded-For: rubbish\r\n")[0] == 400
        assert ask(own, "/ws/info", "X-Forwarded-Host: a/b\r\n")[0] == 400
        assert refused(own, "forwarded") == 2


def test_nobody_is_believed_unasked():
    with node("http.trusted_proxies=10.0.0.0/8", "http.max_clients_per_ip=1") as own:
        assert info(own, FORWARDED) == "ws://own:1/ws/exchange"
        assert info(own, "X-Forwarded-For: rubbish\r\n") == "ws://own:1/ws/exchange"
        with From(own.port, "127.0.0.1") as first:
            first.send(wire.handshake(extra="X-Forwarded-For: 192.0.2.7\r\n"))
            assert first.read_head()[0] == 101
            assert shake(own, "X-Forwarded-For: 192.0.2.8\r\n") == 429


def test_clients_behind_a_proxy_are_counted_each():
    with node("http.trusted_proxies=127.0.0.0/30", "http.max_clients_per_ip=1") as own:
        with From(own.port, "127.0.0.1") as first, From(own.port, "127.0.0.2") as second:
            first.send(wire.handshake(extra="X-Forwarded-For: invented, 192.0.2.7\r\n"))
            assert first.read_head()[0] == 101
            second.send(wire.handshake(extra="X-Forwarded-For: 192.0.2.8, 127.0.0.3\r\n"))
            assert second.read_head()[0] == 101
            assert shake(own, "X-Forwarded-For: 192.0.2.7\r\n", "127.0.0.2") == 429
            assert shake(own, "X-Forwarded-For: 192.0.2.9\r\n", "127.0.0.2") == 101


# ---- limits ----

def test_rate_of_handshakes():
    with node("http.handshake_rate=1", "http.handshake_burst=3") as own:
        assert [shake(own, address="127.0.0.2") for _ in range(4)] == [101, 101, 101, 429]
        status, headers, _ = ask(own, "/ws/exchange", address="127.0.0.2")
        assert status == 429 and headers["retry-after"] == "1"
        assert shake(own, address="127.0.0.3") == 101, "another address has its own"
        assert ask(own, "/healthz", address="127.0.0.2")[0] == 200
        assert refused(own, "rate") == 2
        wait_until(lambda: shake(own, address="127.0.0.2") == 101, "one more a second later")


def test_connections_of_an_address():
    with node("http.connections_per_ip=3") as own:
        raws = [From(own.port, "127.0.0.2") for _ in range(3)]
        for raw in raws:
            raw.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert raw.read_answer()[0] == 200
        with From(own.port, "127.0.0.2") as fourth:
            fourth.read_end()
        assert refused(own, "address") == 1
        assert ask(own, "/healthz", address="127.0.0.3")[0] == 200
        raws[0].send(wire.handshake())  # a client does not count any more
        assert raws[0].read_head()[0] == 101
        assert ask(own, "/healthz", address="127.0.0.2")[0] == 200
        for raw in raws:
            raw.socket.close()


def metrics_if_let_in(where):
    with Raw(where.port) as raw:
        raw.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        raw.read_end()
        return raw.input.decode()


def test_rate_of_connections():
    with node("http.accept_rate=2") as own:
        raws = [From(own.port, f"127.0.0.{2 + number}") for number in range(12)]
        served = 0
        for raw in raws:
            raw.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            raw.read_end()
            served += bytes(raw.input).startswith(b"HTTP/1.1 200 ")
            raw.socket.close()
        assert 2 <= served < 12
        text = wait_until(lambda: metrics_if_let_in(own), "its turn comes")
        counted = re.search(r'http_refused_total\{reason="rate"\} (\d+)', text)
        assert int(counted.group(1)) >= 12 - served


FLOOD = 2000 if SANITIZED else 20000


def test_handshakes_that_never_finish():
    """Two addresses open connection upon connection and say half a head or nothing; others are
    served meanwhile, clients that are there notice nothing, and all places come back."""
    with node("http.max_clients=50", "stream.heartbeat=200ms") as own, Raw(own.port) as client:
        client.open()
        held, slowest = [], 0
        for number in range(FLOOD):
            with_socket = socket.socket()
            with_socket.bind((f"127.0.0.{2 + number % 2}", 0))
            with_socket.settimeout(PATIENCE)
            with_socket.connect(("127.0.0.1", own.port))
            if number % 3 == 0:
                try:
                    with_socket.sendall(b"GET /ws/exchange HTTP/1.1\r\nHost: x\r\nUpgrade: web")
                except OSError:
                    pass
            held.append(with_socket)
            if len(held) > 300:
                held.pop(0).close()
            if number % (FLOOD // 20) == 0:
                begin = time.monotonic()
                assert ask(own, "/healthz", address="127.0.0.9")[0] == 200
                assert shake(own, address="127.0.0.9") == 101
                slowest = max(slowest, time.monotonic() - begin)
        assert slowest < 10, slowest
        assert client.read_until(wire.TEXT) is not None
        for one in held:
            one.close()
        assert refused(own, "evicted") > FLOOD / 2
        assert refused(own, "full") == 0
        wait_until(lambda: Metrics(own).value("tickwire_clients") == 1, "only one client is left")
        wait_until(lambda: len(os.listdir(f"/proc/{own.pid}/fd")) < 30, "all places came back")


def test_a_storm_of_one_address_is_served():
    """Nothing is refused by default: many clients behind one address come back at once."""
    count = 300 if SANITIZED else 900
    with node("http.max_clients=1000") as own:
        raws = []
        begin = time.monotonic()
        for _ in range(count):
            raw = Raw(own.port)
            raw.send(wire.handshake())
            raws.append(raw)
        statuses = [raw.read_head()[0] for raw in raws]
        assert statuses == [101] * count
        assert time.monotonic() - begin < PATIENCE
        assert Metrics(own).total("tickwire_http_refused_total") == 0
        for raw in raws:
            raw.socket.close()


# ---- the access log ----

def test_access_log():
    with node("log.access=1") as own:
        ask(own, "/ws/info?token=sesame", "Authorization: Bearer sesame\r\n", address="127.0.0.2")
        ask(own, "/nothing?sesame", "Sec-WebSocket-Protocol: tickwire, bearer.sesame\r\n")
        assert shake(own, "Sec-WebSocket-Protocol: tickwire, bearer.sesame\r\n") == 101
        line = own.wait_log(msg="request", path="/ws/info")
        assert line["part"] == "http" and line["level"] == "info" and line["status"] == "200"
        assert line["client"] == "127.0.0.2" and line["method"] == "GET"
        assert int(line["bytes"]) > 100 and int(line["ms"]) >= 0
        own.wait_log(msg="request", path="/nothing", status="404")
        own.wait_log(msg="request", path="/ws/exchange", status="101")
        assert "sesame" not in own.log


def test_access_log_is_sampled():
    with node("log.access=10", "http.trusted_proxies=127.0.0.1") as own:
        for number in range(40):
            ask(own, "/healthz", f"X-Forwarded-For: 192.0.2.{number}\r\n")
        ask(own, "/last")
        own.wait_log(msg="request", path="/last")
        sampled = own.logged(msg="request", path="/healthz")
        assert [line["client"] for line in sampled] == [f"192.0.2.{n}" for n in (0, 10, 20, 30)]


def test_no_access_log():
    with node("log.access=0") as own:
        ask(own, "/nothing")
        ask(own, "/healthz")
        assert own.logged(msg="request") == []
