# SPDX-License-Identifier: Apache-2.0
"""RFC 6455 at the client's end: pings, closes, and what must not be sent."""

import json
import os

import pytest

import wire
from harness import SANITIZED, wait_until
from prometheus import Metrics
from stream import Client
from wire import Raw, frame


@pytest.fixture
def raw(quiet):
    with Raw(quiet.port) as connection:
        yield connection.open("/ws/exchange?snapshot=0")


@pytest.mark.parametrize("payload", [b"", b"x", bytes(range(125))])
def test_ping_is_answered(raw, payload):
    raw.send(frame(wire.PING, payload))
    assert raw.read_until(wire.PONG) == payload


def test_pings_between_fragments(raw):
    raw.send(frame(wire.TEXT, b"a" * 100, fin=False) + frame(wire.PING, b"1")
             + frame(0, b"b" * 100, fin=False) + frame(wire.PING, b"2") + frame(0, b"c"))
    assert [raw.read_until(wire.PONG), raw.read_until(wire.PONG)] == [b"1", b"2"]


def test_bytes_one_by_one(raw):
    for byte in frame(wire.TEXT, "일".encode() * 50) + frame(wire.PING, b"one by one"):
        raw.send(bytes([byte]))
    assert raw.read_until(wire.PONG) == b"one by one"


def test_frames_behind_the_handshake(quiet):
    """A client need not wait for the answer to its handshake to be read."""
    with Raw(quiet.port) as raw:
        raw.send(wire.handshake() + frame(wire.PING, b"early"))
        assert raw.read_head()[0] == 101
        assert raw.read_until(wire.PONG) == b"early"


def test_unasked_pong_and_messages_are_ignored(raw):
    raw.send(frame(wire.PONG, b"unasked") + frame(wire.TEXT, b'{"op":"subscribe"}')
             + frame(wire.BINARY, os.urandom(1000)) + frame(wire.TEXT, b""))
    raw.send(frame(wire.PING, b"still here"))
    assert raw.read_until(wire.PONG) == b"still here"


@pytest.mark.parametrize("payload,code", [
    (b"", 1000), (b"\x03\xe8", 1000), (b"\x03\xe9going", 1001), (b"\x0f\xa0own code", 4000)])
def test_close_is_answered(raw, payload, code):
    raw.send(frame(wire.CLOSE, payload))
    assert raw.read_close() == code
    raw.read_end()


def test_message_of_64_kibibytes_is_taken(raw):
    raw.send(frame(wire.TEXT, b"x" * 65536) + frame(wire.PING, b"taken"))
    assert raw.read_until(wire.PONG) == b"taken"


WRONG = {
    "over 64 KiB": (frame(wire.TEXT, b"x" * 65537), 1009),
    "over 64 KiB in fragments": (frame(wire.TEXT, b"x" * 40000, fin=False)
                                 + frame(0, b"x" * 30000), 1009),
    "says it is huge": (frame(wire.BINARY, length=2 ** 62), 1009),
    "length with its highest bit": (frame(wire.BINARY, length=2 ** 63), 1002),
    "unmasked": (frame(wire.TEXT, b"hello", masked=False), 1002),
    "unmasked ping": (frame(wire.PING, b"hello", masked=False), 1002),
    "reserved bit 1": (frame(wire.TEXT, b"x", reserved=4), 1002),
    "reserved bit 3": (frame(wire.TEXT, b"x", reserved=1), 1002),
    "opcode 3": (frame(3, b"x"), 1002),
    "opcode 11": (frame(11, b"x"), 1002),
    "ping in fragments": (frame(wire.PING, b"x", fin=False), 1002),
    "ping of 126 bytes": (frame(wire.PING, b"x" * 126), 1002),
    "continues nothing": (frame(0, b"x"), 1002),
    "a message in a message": (frame(wire.TEXT, b"x", fin=False) + frame(wire.TEXT, b"y"), 1002),
    "length not the shortest": (b"\x81\xfe\x00\x05" + b"\0\0\0\0hello", 1002),
    "bad UTF-8": (frame(wire.TEXT, b"\xc0\xaf"), 1007),
    "a surrogate": (frame(wire.TEXT, b"\xed\xa0\x80"), 1007),
    "half a character": (frame(wire.TEXT, b"\xe2\x82"), 1007),
    "bad UTF-8 across fragments": (frame(wire.TEXT, b"\xf0\x9f", fin=False)
                                   + frame(0, b"\x41"), 1007),
    "close of one byte": (frame(wire.CLOSE, b"\x03"), 1002),
    "close with code 1005": (frame(wire.CLOSE, b"\x03\xed"), 1002),
    "close with code 999": (frame(wire.CLOSE, b"\x03\xe7"), 1002),
    "close with a bad reason": (frame(wire.CLOSE, b"\x03\xe8\xff"), 1007),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_frames_end_the_connection(quiet, raw, name):
    data, code = WRONG[name]
    before = Metrics(quiet).value("tickwire_client_errors_total", code=str(code))
    raw.send(data)
    assert raw.read_close() == code
    assert Metrics(quiet).value("tickwire_client_errors_total", code=str(code)) == before + 1


def test_who_does_not_answer_a_close_is_cut(raw):
    raw.send(frame(wire.TEXT, b"hello", masked=False))
    assert raw.read_close() == 1002
    raw.read_end(5)


def test_nothing_is_said_behind_a_close(raw):
    raw.send(frame(wire.CLOSE, b"\x03\xe8") + frame(wire.PING, b"late"))
    assert raw.read_close() == 1000
    assert raw.read_frame() is None


def test_flood_of_pings_from_who_does_not_read(quiet):
    """Pongs are bounded: who does not read is not read from."""
    with Raw(quiet.port, receive_buffer=4096) as raw:
        raw.open("/ws/exchange?snapshot=0")
        raw.socket.settimeout(0.5)
        pings, sent = frame(wire.PING, b"p" * 125) * 500, 0
        before = quiet.memory()
        try:
            while sent < 64 * 1024 * 1024:
                sent += raw.socket.send(pings)
        except TimeoutError:
            pass
        assert sent < 64 * 1024 * 1024, "the node read everything"
        assert quiet.memory() - before < (128 if SANITIZED else 8) * 1024 * 1024
        with Client(quiet) as other:
            assert other.next()["type"] == "hello"


def test_end_without_a_word_is_noticed(quiet):
    wait_until(lambda: Metrics(quiet).value("tickwire_clients") == 0, "those of earlier tests left")
    raws = [Raw(quiet.port).open() for _ in range(20)]
    wait_until(lambda: Metrics(quiet).value("tickwire_clients") == 20, "they are counted")
    for raw in raws:
        raw.socket.close()
    wait_until(lambda: Metrics(quiet).value("tickwire_clients") == 0, "they are gone")


def test_unknown_extensions_and_subprotocols_are_declined(quiet):
    with Raw(quiet.port) as raw:
        raw.send(wire.handshake(extra="Sec-WebSocket-Extensions: x-webkit-deflate-frame\r\n"
                                      "Sec-WebSocket-Protocol: chat\r\n"))
        status, headers = raw.read_head()
        assert status == 101
        assert "sec-websocket-extensions" not in headers
        assert "sec-websocket-protocol" not in headers
        assert json.loads(raw.read_until(wire.TEXT))["type"] == "hello"
