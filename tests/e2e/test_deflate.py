# SPDX-License-Identifier: Apache-2.0
"""permessage-deflate: the same messages to the byte, negotiated as promised, and harmless input."""

import asyncio
import json
import os
import random
import time
import zlib

import aiohttp
import pytest
import websockets.sync.client

import wire
from harness import ALONE, LISTEN, PATIENCE, SANITIZED, Node
from stream import is_sequenced
from wire import Raw, frame

ACCEPTED = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
OFFER = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
RSV1 = 4
LIMIT = 65536


def header(offer):
    return f"Sec-WebSocket-Extensions: {offer}\r\n"


# ---- what clients get ----

def lines_of(text, batch):
    """The messages of one frame."""
    lines = text.split("\n") if batch else [text]
    assert all(lines), "an empty line in a batch"
    return lines


class Collected:
    """The texts of sequenced live messages, by number, until the last wanted one is there."""

    def __init__(self, count=None, last=None):
        self.count, self.last, self.texts, self.done = count, last, {}, False

    def add(self, text, batch):
        for line in lines_of(text, batch):
            message = json.loads(line)
            if is_sequenced(message):
                assert message["seq"] not in self.texts
                self.texts[message["seq"]] = line
                self.done = self.done or message["seq"] == self.last
        self.done = self.done or (self.count is not None and len(self.texts) >= self.count)


def collect_websockets(url, batch, compression="deflate", **wanted):
    collected = Collected(**wanted)
    with websockets.sync.client.connect(url, compression=compression, max_size=None,
                                        open_timeout=PATIENCE, close_timeout=0.2) as connection:
        negotiated = [extension.name for extension in connection.protocol.extensions]
        assert negotiated == (["permessage-deflate"] if compression else [])
        while not collected.done:
            collected.add(connection.recv(timeout=PATIENCE), batch)
    return collected.texts


def collect_aiohttp(url, batch, **wanted):
    async def collect():
        collected = Collected(**wanted)
        async with aiohttp.ClientSession() as session, session.ws_connect(
                url, compress=15, max_msg_size=0) as connection:
            assert connection.compress == 15
            while not collected.done:
                collected.add(await connection.receive_str(timeout=PATIENCE), batch)
        return collected.texts

    return asyncio.run(collect())


COLLECT = {"websockets": collect_websockets, "aiohttp": collect_aiohttp}


@pytest.fixture(scope="module")
def plain(played):
    """All that was said from the first record on, as a plain client gets it."""
    url = played.node.ws("?since=" + played.node.first_token())
    return collect_websockets(url, False, compression=None, last=played.last)


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("library", COLLECT)
def test_same_bytes_as_a_plain_client(played, plain, library, batch):
    query = "?since=" + played.node.first_token() + ("&batch=1" if batch else "")
    texts = COLLECT[library](played.node.ws(query), batch, last=played.last)
    assert texts == plain


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("library", COLLECT)
def test_same_bytes_while_it_happens(running, library, batch):
    """Two clients at one time: what both were there for is the same."""
    url = running.ws("?snapshot=0")
    with websockets.sync.client.connect(url, compression=None, max_size=None,
                                        open_timeout=PATIENCE, close_timeout=0.2) as connection:
        texts = COLLECT[library](running.ws("?snapshot=0" + ("&batch=1" if batch else "")), batch,
                                 count=200)
        collected = Collected(last=max(texts))
        while not collected.done:
            collected.add(connection.recv(timeout=PATIENCE), False)
    assert {seq: collected.texts[seq] for seq in texts} == texts
    assert sorted(texts) == list(range(min(texts), max(texts) + 1))


def read_compressed(raw, count):
    """(bytes of payload, bytes of text, how many were compressed) of so many text frames; each is
    inflated by itself."""
    sent = size = compressed = 0
    while count > 0:
        while len(raw.input) < 14 and raw.receive(time.monotonic() + PATIENCE):
            pass
        first, raw.input[0] = raw.input[0], raw.input[0] & ~0x40
        opcode, payload = raw.read_frame()
        if opcode != wire.TEXT:
            assert first & 0x40 == 0, "a compressed control frame"
            continue
        text = payload
        if first & 0x40:
            inflater = zlib.decompressobj(wbits=-15)
            text = inflater.decompress(payload + b"\0\0\xff\xff")
            assert not inflater.unconsumed_tail and not inflater.unused_data
            assert payload[0] & 6 != 0, "a stored block"
            assert len(payload) < len(text)
            compressed += 1
        for line in text.decode().split("\n"):
            json.loads(line)
        sent, size, count = sent + len(payload), size + len(text), count - 1
    return sent, size, compressed


@pytest.mark.parametrize("query", ["", "&batch=1"])
def test_frames_are_compressed(running, query):
    with Raw(running.port) as raw:
        raw.open("/ws/exchange?snapshot=0" + query, extra=OFFER)
        sent, size, compressed = read_compressed(raw, 200)
    assert compressed > 100
    assert sent < size * 0.9


# ---- negotiation ----

@pytest.mark.parametrize("offer,answer", [
    ("permessage-deflate", ACCEPTED),
    ("permessage-deflate; client_max_window_bits", ACCEPTED),
    ('permessage-deflate; client_max_window_bits="10"', ACCEPTED),
    ("permessage-deflate; server_no_context_takeover", ACCEPTED),
    ("permessage-deflate; server_max_window_bits=15", ACCEPTED + "; server_max_window_bits=15"),
    ("permessage-deflate; server_max_window_bits=10, permessage-deflate", ACCEPTED),
    ("mux, permessage-deflate", ACCEPTED),
    ("permessage-deflate; server_max_window_bits=10", None),
    ("permessage-deflate; unknown", None),
    ("permessage-deflate; client_max_window_bits=16", None),
    ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", None),
    ("mux", None),
    ("permessage-deflate, ;", None),
])
def test_offers(quiet, offer, answer):
    with Raw(quiet.port) as raw:
        raw.send(wire.handshake("/ws/exchange?snapshot=0", extra=header(offer)))
        status, headers = raw.read_head()
        assert status == 101
        assert headers.get("sec-websocket-extensions") == answer


def test_offers_in_two_headers(quiet):
    with Raw(quiet.port) as raw:
        raw.send(wire.handshake(extra=header("permessage-deflate; server_max_window_bits=10")
                                + header("permessage-deflate")))
        assert raw.read_head()[1]["sec-websocket-extensions"] == ACCEPTED


def test_smaller_server_window_gets_a_plain_connection(quiet):
    """And a plain connection works: nothing is compressed, and must not be."""
    offer = header("permessage-deflate; server_max_window_bits=10")
    with Raw(quiet.port) as raw:
        raw.open(extra=offer)
        assert json.loads(raw.read_until(wire.TEXT))["type"] == "hello"
        raw.send(frame(wire.TEXT, b"\x00", reserved=RSV1))
        assert raw.read_close() == 1002


# ---- what clients send ----

def compress(data, level=9, strategy=zlib.Z_DEFAULT_STRATEGY):
    stream = zlib.compressobj(level, zlib.DEFLATED, -15, 8, strategy)
    out = stream.compress(data) + stream.flush(zlib.Z_SYNC_FLUSH)
    return out[:-4]


def fragments(payload, size):
    """A compressed message in frames of so many bytes."""
    pieces = [payload[at:at + size] for at in range(0, len(payload), size)]
    return b"".join(frame(wire.TEXT if i == 0 else 0, piece, fin=i == len(pieces) - 1,
                          reserved=RSV1 if i == 0 else 0) for i, piece in enumerate(pieces))


@pytest.fixture
def raw(quiet):
    with Raw(quiet.port) as connection:
        yield connection.open("/ws/exchange?snapshot=0", extra=OFFER)


NOISE = random.Random(1).randbytes(LIMIT)
BOMB = compress(b"\0" * (64 << 20))
HELLO = compress(b"Hello")

GOOD = {
    "one frame": frame(wire.TEXT, HELLO, reserved=RSV1),
    "empty": frame(wire.TEXT, b"\0", reserved=RSV1),
    "plain": frame(wire.TEXT, b"Hello"),
    "fragments": fragments(compress(b"Hello " * 100), 3),
    "64 KiB": frame(wire.BINARY, compress(b"\0" * LIMIT), reserved=RSV1),
    "64 KiB of noise": frame(wire.BINARY, compress(NOISE), reserved=RSV1),
    "64 KiB of noise in a fixed code": frame(
        wire.BINARY, compress(NOISE, strategy=zlib.Z_FIXED), reserved=RSV1),
    "64 KiB stored": frame(wire.BINARY, compress(NOISE, 0), reserved=RSV1),
    "the last block marked": frame(wire.TEXT, b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", reserved=RSV1),
    "a ping between": frame(wire.TEXT, HELLO[:3], fin=False, reserved=RSV1)
                      + frame(wire.PING, b"between") + frame(0, HELLO[3:]),
}


@pytest.mark.parametrize("name", GOOD)
def test_compressed_messages_are_ignored(raw, name):
    raw.send(GOOD[name] * 3)
    raw.send(frame(wire.PING, b"still here"))
    answer = raw.read_until(wire.PONG)
    while answer == b"between":
        answer = raw.read_until(wire.PONG)
    assert answer == b"still here"


def test_compressed_messages_byte_by_byte(raw):
    for byte in fragments(compress(b"Hello " * 100), 5) + frame(wire.PING, b"still here"):
        raw.send(bytes([byte]))
    assert raw.read_until(wire.PONG) == b"still here"


WRONG = {
    "a bomb": (frame(wire.BINARY, BOMB, reserved=RSV1), 1009),
    "a bomb in fragments": (fragments(compress(b"\0" * (1 << 20)), 100), 1009),
    "over 64 KiB": (frame(wire.BINARY, compress(b"\0" * (LIMIT + 1)), reserved=RSV1), 1009),
    "compressed to much more": (frame(wire.BINARY, length=LIMIT * 2, reserved=RSV1), 1009),
    "garbage": (frame(wire.BINARY, b"\xff" * 10, reserved=RSV1), 1007),
    "cut off": (frame(wire.BINARY, HELLO[:4], reserved=RSV1), 1007),
    "not UTF-8": (frame(wire.TEXT, compress(b"\xed\xa0\x80"), reserved=RSV1), 1007),
    "a window of the message before": (frame(wire.TEXT, HELLO, reserved=RSV1)
                                       + frame(wire.TEXT, b"\xf2\x00\x11\x00\x00", reserved=RSV1),
                                       1007),
    "RSV1 on a continuation": (frame(wire.TEXT, HELLO[:3], fin=False, reserved=RSV1)
                               + frame(0, HELLO[3:], reserved=RSV1), 1002),
    "RSV1 on a ping": (frame(wire.PING, b"x", reserved=RSV1), 1002),
    "RSV2": (frame(wire.TEXT, b"x", reserved=2), 1002),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_input_ends_the_connection(raw, name):
    data, code = WRONG[name]
    raw.send(data)
    assert raw.read_close() == code


def test_who_says_too_much_is_closed(raw):
    """Small bombs, each of a size that is allowed: a hundred would take the time of others."""
    raw.send(frame(wire.BINARY, compress(b"\0" * LIMIT), reserved=RSV1) * 100)
    assert raw.read_close() == 1008


def test_bombs_cost_no_memory(quiet):
    before = quiet.memory()
    for _ in range(20):
        with Raw(quiet.port) as raw:
            raw.open("/ws/exchange?snapshot=0", extra=OFFER)
            raw.send(frame(wire.BINARY, BOMB, reserved=RSV1))
            assert raw.read_close() == 1009
    assert quiet.memory() - before < (64 if SANITIZED else 8) * 1024 * 1024


def test_unfinished_messages_are_bounded():
    """Who waits longest has to go: 1013, when it says more. What is kept is 4 MiB a thread."""
    cores = len(os.sched_getaffinity(0))
    piece = frame(wire.BINARY, NOISE[:60000], fin=False, reserved=RSV1)
    with Node("serve", *LISTEN, *ALONE) as node:
        raws = [Raw(node.port).open("/ws/exchange?snapshot=0", extra=OFFER)
                for _ in range(150 * cores)]
        before = node.memory()
        for raw in raws:
            raw.send(piece + frame(wire.PING, b"taken"))
            assert raw.read_until(wire.PONG) == b"taken"
        if not SANITIZED:  # which keeps what was freed
            assert node.memory() - before < (cores * 4 + 3) * 1024 * 1024
        raws[0].send(frame(0, b"more"))
        assert raws[0].read_close() == 1013
        raws[-1].send(frame(0, b"more", fin=False) + frame(wire.PING, b"goes on"))
        assert raws[-1].read_until(wire.PONG) == b"goes on"
        for raw in raws:
            raw.socket.close()
