# SPDX-License-Identifier: Apache-2.0
"""What is served over HTTP: shapes, statuses, methods, limits."""

import json
import re
import time

import pytest

import wire
from harness import Node, LISTEN, ALONE
from prometheus import Metrics
from wire import Raw


def ask(node, text, method="GET"):
    with Raw(node.port) as raw:
        raw.send(text.encode("latin-1"))
        return raw.read_answer(method=method)


def problem(answer, status):
    got, headers, body = answer
    assert got == status, (got, body)
    assert headers["content-type"] == "application/problem+json"
    body = json.loads(body)
    assert body["status"] == status and body["type"] == "about:blank"
    assert body["title"] and body["detail"]
    return headers, body


def test_info(played):
    info = played.node.info()
    host = f"127.0.0.1:{played.node.port}"
    assert info["version"] == 1 and info["simulated"] is True
    assert info["mode"] == "websocket" and info["source"] == "direct"
    assert re.fullmatch(r"[A-Za-z0-9_-]+", info["stream"]) and info["epoch"] == 1
    assert info["endpoint"] == info["fallback"] == f"ws://{host}/ws/exchange"
    assert info["endpoints"] == {"exchange": f"ws://{host}/ws/exchange"}
    assert info["nodes"] == [f"ws://{host}/ws/exchange"]
    assert info["exchanges"] == ["binance", "upbit", "bithumb"]
    assert info["types"] == ["trade", "ticker", "quote", "book", "status", "gap", "epoch"]


def test_info_takes_the_host_from_the_request(quiet):
    _, _, body = ask(quiet, "GET /ws/info HTTP/1.1\r\nHost: ticks.example:81\r\n\r\n")
    info = json.loads(body)
    assert info["endpoint"] == "ws://ticks.example:81/ws/exchange" and info["exchanges"] == []
    assert "simulated" not in info


@pytest.mark.parametrize("host", ['evil"x', "a/b", "a b", "a@b", "", "%41", "a,b"])
def test_info_refuses_a_wrong_host(quiet, host):
    problem(ask(quiet, f"GET /ws/info HTTP/1.1\r\nHost: {host}\r\n\r\n"), 400)


def test_info_hands_out_the_public_url():
    with Node("serve", *LISTEN, *ALONE, "--set", "http.public_url=https://ticks.example") as node:
        assert node.info()["endpoint"] == "wss://ticks.example/ws/exchange"


def test_healthz_and_readyz(quiet):
    assert quiet.get("/healthz")[0] == 200 and quiet.get("/readyz")[0] == 200


def test_page(quiet):
    status, headers, body = quiet.get("/")
    assert status == 200 and headers["Content-Type"].startswith("text/html")
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert b"<!doctype html>" in body.lower()
    assert not re.search(rb"(src|href)=[\"']?https?://", body), "nothing is fetched elsewhere"


def test_infra_health(played):
    health = played.node.json("/api/ws/infra-health")
    assert set(health) == {"mode", "source", "better", "dependencies", "exchanges"}
    assert health["mode"] == "websocket" and health["source"] == "direct"
    assert health["better"] is None or isinstance(health["better"], str)
    assert set(health["dependencies"]) == {"kafka", "redis", "zookeeper", "database"}
    for dependency in health["dependencies"].values():
        assert set(dependency) == {"enabled", "state", "since", "error", "rtt_ms"}
        assert dependency["enabled"] is False and dependency["state"] == "disabled"
    assert set(health["exchanges"]) == {"binance", "upbit", "bithumb"}
    for exchange in health["exchanges"].values():
        assert set(exchange) == {"state", "since", "age_ms", "connections"}
        assert exchange["state"] == "live" and exchange["connections"] == 1
        assert exchange["age_ms"] >= 0 and exchange["since"] > 1_700_000_000_000_000


def test_metrics(played):
    metrics = Metrics(played.node)
    assert metrics.value("tickwire_sequence") == played.last
    assert metrics.value("tickwire_epoch") == 1
    for kind in ("trade", "ticker", "book"):
        own = [message for message in played.sequenced if message["type"] == kind]
        assert metrics.value("tickwire_published_total", type=kind) == len(own)
        for exchange in ("binance", "upbit", "bithumb"):
            seen = metrics.value("tickwire_messages_in_total", exchange=exchange, type=kind)
            assert seen >= sum(message["exchange"] == exchange for message in own) > 0
    assert metrics.total("tickwire_decode_errors_total") == 0
    assert metrics.total("tickwire_records_unreadable_total") == 0
    assert metrics.total("tickwire_sequence_gaps_total") == 0
    assert metrics.value("tickwire_exchange_state", exchange="upbit") == 1
    assert metrics.value("tickwire_log_bytes") > 0
    assert metrics.value("tickwire_process_resident_memory_bytes") > 1_000_000
    assert 0 < metrics.value("tickwire_process_cpu_seconds_total") < 1000
    assert metrics.value("tickwire_process_threads") >= 2
    assert metrics.value("tickwire_process_max_fds") >= 200
    assert metrics.value("tickwire_process_open_fds") != 1  # 0: the system does not say
    assert time.time() - 3600 < metrics.value("tickwire_process_start_time_seconds") < time.time()
    assert all(name.startswith("tickwire_") for name in metrics.types)


def test_latencies(played):
    metrics = Metrics(played.node)
    for exchange in ("binance", "upbit", "bithumb"):
        messages = metrics.value("tickwire_exchange_messages_total", exchange=exchange,
                                 verdict="events")
        assert metrics.value("tickwire_publish_latency_seconds_count", exchange=exchange) \
            == messages > 0
        timed = metrics.value("tickwire_exchange_latency_seconds_count", exchange=exchange)
        live = sum(message["exchange"] == exchange and message["type"] == "trade"
                   and "origin" not in message for message in played.sequenced)
        assert timed >= live > 0
    mean = metrics.total("tickwire_publish_latency_seconds_sum") \
        / metrics.total("tickwire_publish_latency_seconds_count")
    assert mean < 1


@pytest.mark.parametrize("path", [
    "/nothing", "/ws", "/ws/", "/ws/exchange/", "/WS/exchange", "/ws/kafka", "/ws/redis",
    "/metrics/", "/../metrics", "//metrics", "/%6detrics"])
def test_unknown_paths(quiet, path):
    problem(ask(quiet, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"), 404)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"])
def test_unknown_methods(quiet, method):
    for path in ("/ws/info", "/", "/metrics"):
        headers, _ = problem(ask(quiet, f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n"), 405)
        assert set(headers["allow"].split(", ")) == {"GET", "HEAD"}
    headers, _ = problem(ask(quiet, f"{method} /ws/exchange HTTP/1.1\r\nHost: x\r\n\r\n"), 405)
    assert headers["allow"] == "GET"


@pytest.mark.parametrize("path", ["/", "/ws/info", "/metrics", "/healthz", "/api/ws/infra-health"])
def test_head(quiet, path):
    with Raw(quiet.port) as raw:
        raw.send(f"HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        status, headers = raw.read_head()
        assert status == 200 and int(headers["content-length"]) > 0
        raw.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert raw.read_answer()[2] == b"ok\n", "a body came behind the head of HEAD"


def test_several_requests_at_once(quiet):
    with Raw(quiet.port) as raw:
        raw.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 50
                 + b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        for _ in range(51):
            assert raw.read_answer()[2] == b"ok\n"
        raw.read_end()
        assert raw.input == b""


def test_http_10(quiet):
    with Raw(quiet.port) as raw:
        raw.send(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert raw.read_answer()[0] == 200
        raw.read_end()


def test_request_byte_by_byte(quiet):
    with Raw(quiet.port) as raw:
        for byte in b"GET /ws/info?x=1 HTTP/1.1\r\nHost: localhost\r\nX-Y: z\r\n\r\n":
            raw.send(bytes([byte]))
        assert raw.read_answer()[0] == 200


def test_head_too_large(quiet):
    big = "X-Big: " + "y" * 20000 + "\r\n"
    problem(ask(quiet, f"GET / HTTP/1.1\r\nHost: x\r\n{big}\r\n"), 431)
    many = "".join(f"X-{i}: y\r\n" for i in range(100))
    problem(ask(quiet, f"GET / HTTP/1.1\r\nHost: x\r\n{many}\r\n"), 431)


def test_target_too_long(quiet):
    problem(ask(quiet, f"GET /{'a' * 5000} HTTP/1.1\r\nHost: x\r\n\r\n"), 414)


def test_bodies(quiet):
    answer = ask(quiet, "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
    problem(answer, 413)
    problem(ask(quiet, "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"), 413)


def test_body_is_not_taken_for_a_request(quiet):
    inner = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"
    with Raw(quiet.port) as raw:
        raw.send((f"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: {len(inner)}\r\n\r\n"
                  + inner).encode())
        problem(raw.read_answer(), 413)
        raw.read_end()
        assert raw.input == b"", "the body was answered"


def handshake_without(header, replacement=""):
    head = wire.handshake().decode()
    return re.sub(rf"{header}:[^\r]*\r\n", replacement, head)


@pytest.mark.parametrize("text,status", [
    ("GET /ws/exchange HTTP/1.1\r\nHost: x\r\n\r\n", 426),
    (handshake_without("Upgrade"), 426),
    (handshake_without("Connection"), 426),
    (handshake_without("Connection", "Connection: close\r\n"), 426),
    (handshake_without("Sec-WebSocket-Version"), 426),
    (handshake_without("Sec-WebSocket-Version", "Sec-WebSocket-Version: 12\r\n"), 426),
    (handshake_without("Sec-WebSocket-Key"), 400),
    (handshake_without("Sec-WebSocket-Key", "Sec-WebSocket-Key: short\r\n"), 400),
    (handshake_without("Sec-WebSocket-Key", f"Sec-WebSocket-Key: {'*' * 22}==\r\n"), 400),
    (handshake_without("Host"), 400),
    (wire.handshake("/ws/exchange?since=x").decode(), 400),
    (wire.handshake("/ws/exchange?snapshot=maybe").decode(), 400),
])
def test_wrong_handshakes(quiet, text, status):
    headers, _ = problem(ask(quiet, text), status)
    if status == 426:
        assert headers["sec-websocket-version"] == "13"
        assert headers["upgrade"].lower() == "websocket"


def test_handshake_spelled_otherwise(quiet):
    """Header names, and the tokens of Upgrade and Connection, know no case; lists are lists."""
    with Raw(quiet.port) as raw:
        raw.send(f"GET /ws/exchange HTTP/1.1\r\nhOST: x\r\nUPGRADE: WebSocket\r\nconnection: "
                 f"keep-alive, upgrade\r\nsec-websocket-key: {wire.KEY}\r\n"
                 "SEC-WEBSOCKET-VERSION: 13\r\n\r\n".encode())
        assert raw.read_head()[0] == 101


def test_answers_are_counted(quiet):
    before = Metrics(quiet).value("tickwire_http_requests_total", status="404")
    quiet.get("/not/there")
    assert Metrics(quiet).value("tickwire_http_requests_total", status="404") == before + 1


def test_pipelined_requests_are_bounded(quiet):
    with Raw(quiet.port) as raw:
        raw.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 80)
        answers = [raw.read_answer() for _ in range(64)]
        assert [status for status, _, _ in answers] == [200] * 64
        assert "connection" not in answers[0][1]
        assert answers[-1][1]["connection"] == "close", "the last one that is answered says so"
        assert raw.read_frame() is None, "and then it ends"
