# SPDX-License-Identifier: Apache-2.0
"""What is served over HTTP: shapes, statuses, methods, limits."""

import gzip
import json
import re
import select
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
    assert set(health) == {"simulated", "mode", "source", "better", "dependencies", "exchanges"}
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


# ---- heads that must not get through ----

LENGTH, CHUNKED = "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"
EVIL = "GET /evil HTTP/1.1\r\nHost: x\r\n\r\n"  # answered 404 if it were taken for a request


@pytest.mark.parametrize("headers,status", [
    (LENGTH + LENGTH, 400),
    (LENGTH + "Content-Length: 6\r\n", 400),
    ("Content-Length: 5, 5\r\n", 400),
    ("Content-Length: +1\r\n", 400),
    ("Content-Length: -1\r\n", 400),
    ("Content-Length: 1 1\r\n", 400),
    ("Content-Length: 0x5\r\n", 400),
    ("Content-Length: \r\n", 400),
    ("Content-Length: 99999999999999999999\r\n", 400),
    ("Content-Length : 5\r\n", 400),
    ("Content-Length\t: 5\r\n", 400),
    (LENGTH + CHUNKED, 400),
    (CHUNKED + LENGTH, 400),
    (CHUNKED + CHUNKED, 400),
    ("Transfer-Encoding : chunked\r\n", 400),
    ("Transfer-Encoding: xchunked\r\n", 400),
    ("Transfer-Encoding: chunked, identity\r\n", 400),
    ("Transfer-Encoding: identity\r\n", 400),
    ("Transfer-Encoding: gzip, chunked\r\n", 501),
    ("Transfer-Encoding: \x0bchunked\r\n", 400),
    ("Transfer-Encoding:\r\n chunked\r\n", 400),
    ("X: y\r\n folded\r\n", 400),
    ("X: y\r\n\tfolded\r\n", 400),
    ("X: y\nContent-Length: 5\r\n", 400),
    ("X: y\rContent-Length: 5\r\n", 400),
    ("X: a\x00b\r\n", 400),
    ("X\x00: b\r\n", 400),
    ("Host: x\r\n", 400),
    (": empty\r\n", 400),
    ("no colon\r\n", 400),
    ("Content-Length: 1073741824\r\n", 413),
    (CHUNKED, 413),
    ("Transfer-Encoding: CHUNKED\r\n", 413),
])
def test_smuggling(quiet, headers, status):
    """Refused, and what comes behind is no request to anybody."""
    before = Metrics(quiet).value("tickwire_http_requests_total", status="404")
    with Raw(quiet.port) as raw:
        raw.send(f"GET /healthz HTTP/1.1\r\nHost: x\r\n{headers}\r\n{EVIL}".encode("latin-1"))
        answered, _ = problem(raw.read_answer(), status)
        assert answered["connection"] == "close"
        raw.read_end()
        assert raw.input == b""
    assert Metrics(quiet).value("tickwire_http_requests_total", status="404") == before


@pytest.mark.parametrize("head,status", [
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ("GET / HTTP/2\r\n\r\n", 400),
    ("GET /\r\n\r\n", 400),
    ("GET / HTTP/1.1\nHost: x\n\n", 400),
    ("GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("\x00", 400),
    ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    ("CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("GET * HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 405),
    ("GET http://x/healthz HTTP/1.1\r\n\r\n", 400),
    ("GET http://u:p@x/healthz HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("GET http:///healthz HTTP/1.1\r\nHost: x\r\n\r\n", 400),
    ("GET ws://x/healthz HTTP/1.1\r\nHost: x\r\n\r\n", 400),
])
def test_wrong_first_lines(quiet, head, status):
    problem(ask(quiet, head), status)


@pytest.mark.parametrize("target", ["http://x/healthz", "HTTP://other:81/healthz",
                                    "https://[::1]/healthz"])
def test_absolute_targets(quiet, target):
    assert ask(quiet, f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n")[2] == b"ok\n"


def test_endless_heads(quiet):
    """Refused when the limit is reached, however much comes; the node keeps none of it."""
    before = Metrics(quiet).value("tickwire_http_refused_total", reason="head")
    memory = quiet.memory()
    line = b"X-" + b"y" * 1000 + b": z\r\n"
    for _ in range(20):
        with Raw(quiet.port) as raw:
            raw.send(b"GET / HTTP/1.1\r\nHost: x\r\n")
            for _ in range(20000):
                raw.send(line)
                if raw.ended:
                    break
            else:
                raise AssertionError("20 MB of head were taken")
    assert Metrics(quiet).value("tickwire_http_refused_total", reason="head") == before + 20
    assert quiet.memory() - memory < 8 * 1024 * 1024


def test_slow_heads_and_silence(quiet):
    """The time for a head runs from its first byte; nothing that trickles in puts it off."""
    metrics = Metrics(quiet)
    slow = metrics.value("tickwire_http_refused_total", reason="slow_head")
    silent = metrics.value("tickwire_http_refused_total", reason="silent")
    with Raw(quiet.port) as dripping, Raw(quiet.port) as second, Raw(quiet.port) as mute:
        second.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /he")
        assert second.read_answer()[2] == b"ok\n"
        begin = time.monotonic()
        while time.monotonic() < begin + 60 and not select.select([dripping.socket], [], [], 1)[0]:
            dripping.send(b"G")
        assert 8 < time.monotonic() - begin < 40, "one that drips is cut off at ten seconds"
        problem(dripping.read_answer(), 408)
        problem(second.read_answer(), 408)
        mute.read_end()
        assert mute.input == b"", "to one that never spoke nothing is said"
    metrics = Metrics(quiet)
    assert metrics.value("tickwire_http_refused_total", reason="slow_head") == slow + 2
    assert metrics.value("tickwire_http_refused_total", reason="silent") == silent + 1


# ---- files, and pages of other origins ----

def page(node, method="GET", path="/", **headers):
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return ask(node, f"{method} {path} HTTP/1.1\r\nHost: x\r\n{lines}\r\n", method)


def test_page_forms(quiet):
    _, plain, body = page(quiet)
    _, packed, gzipped = page(quiet, Accept_Encoding="br, gzip")
    assert gzip.decompress(gzipped) == body and len(gzipped) < len(body)
    assert packed["content-encoding"] == "gzip" and "content-encoding" not in plain
    assert plain["etag"] != packed["etag"] and not plain["etag"].startswith("W/")
    for headers in (plain, packed):
        assert headers["vary"] == "Accept-Encoding" and headers["cache-control"] == "no-cache"
        assert headers["accept-ranges"] == "none"
    assert page(quiet, path="/index.html")[2] == body
    assert page(quiet, Range="bytes=0-3")[::2] == (200, body), "ranges are ignored"
    assert page(quiet, Accept_Encoding="identity;q=0, gzip")[2] == gzipped
    problem(page(quiet, Accept_Encoding="*;q=0"), 406)
    status, headers, nothing = page(quiet, "HEAD", Accept_Encoding="gzip")
    assert (status, nothing) == (200, b"") and int(headers["content-length"]) == len(gzipped)


def test_page_not_modified(quiet):
    etags = {form: page(quiet, Accept_Encoding=form)[1]["etag"] for form in ("gzip", "identity")}
    for form, etag in etags.items():
        with Raw(quiet.port) as raw:
            raw.send(f"GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: {form}\r\n"
                     f"If-None-Match: \"x\", {etag}\r\n\r\n"
                     "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            status, headers = raw.read_head()
            assert status == 304 and headers["etag"] == etag and "content-length" not in headers
            assert raw.read_answer()[2] == b"ok\n"
    assert page(quiet, Accept_Encoding="gzip", If_None_Match=etags["identity"])[0] == 200


PREFLIGHT = "Origin: https://a.example\r\nAccess-Control-Request-Method: GET\r\n"


def test_preflight(quiet):
    with Raw(quiet.port) as raw:
        raw.send(f"OPTIONS /api/v1/tickers HTTP/1.1\r\nHost: x\r\n{PREFLIGHT}\r\n".encode())
        status, headers = raw.read_head()
        assert status == 204 and "content-length" not in headers
        assert headers["access-control-allow-origin"] == "*"
        assert "Authorization" in headers["access-control-allow-headers"]
        raw.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert raw.read_answer()[2] == b"ok\n"
    problem(ask(quiet, f"OPTIONS /nothing HTTP/1.1\r\nHost: x\r\n{PREFLIGHT}\r\n"), 404)
    for path in ("/metrics", "/", "/ws/exchange"):
        headers, _ = problem(ask(quiet, f"OPTIONS {path} HTTP/1.1\r\nHost: x\r\n{PREFLIGHT}\r\n"),
                             405)
        assert "access-control-allow-origin" not in headers


def test_pages_of_other_origins_may_read_rest_alone(quiet):
    for path, shared in (("/api/v1/tickers", True), ("/ws/info", True), ("/nothing", True),
                         ("/metrics", False), ("/", False)):
        _, headers, _ = ask(quiet, f"GET {path} HTTP/1.1\r\nHost: x\r\nOrigin: http://a\r\n\r\n")
        assert headers.get("access-control-allow-origin") == ("*" if shared else None), path
