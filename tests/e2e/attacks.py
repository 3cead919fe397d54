# SPDX-License-Identifier: Apache-2.0
"""Clients that mean harm, each kind a function: does it until the time is up, returns what it got.

An attack counts what it was answered under the names by which the node must have counted it too, so
that its metrics can be held against it. It takes care of its own bounds: few connections at a time,
none left behind. From the command line one runs alone, at low priority: somebody else's machine.

    attacks.py NAME PORT SECONDS [CA_FILE]    prints {"tries":N,"odd":[...],"counted":{...}}
"""

import collections
import contextlib
import itertools
import json
import os
import random
import re
import select
import socket
import ssl
import struct
import sys
import time
import zlib

import wire
from peers import Form, Peer, request
from wire import frame

REQUEST = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: the end of a connection is an RST
BIND_ADDRESS_NO_PORT = 24  # of Linux; Python 3.11 has no name for it
HELLO_OF_TLS = bytes.fromhex("16030100c8010000c40303") + bytes(32) + b"\0"
UNFINISHED_AT_ONCE = 1000
DAWDLERS = 21
DAWDLE_S = 100  # ten times what the node grants
ANSWER_S = 50


class Target:
    """What is attacked, for how long, and what came of it."""

    def __init__(self, port, seconds, context=None, seed=1):
        self.port, self.context = port, context
        self.until = time.monotonic() + seconds
        self.rng = random.Random(seed)
        self.addresses = itertools.cycle([f"127.0.{i // 50}.{i % 50 + 2}" for i in range(200)])
        self.tries = 0
        self.counted = collections.Counter()  # 'family{label="value"}': how often at least
        self.odd = collections.Counter()  # what should not have come

    def goes_on(self):
        """One more try; not more than some hundred a second."""
        if self.tries > 0:
            time.sleep(0.002)  # the rate
        self.tries += 1
        return self.tries == 1 or time.monotonic() < self.until

    def connect(self, plain=False, **options):
        return Peer(self.port, None if plain else self.context, address=next(self.addresses),
                    **options)

    def saw_status(self, status):
        self.counted[f'tickwire_http_requests_total{{status="{status}"}}'] += 1

    def saw_code(self, code):
        self.counted[f'tickwire_client_errors_total{{code="{code}"}}'] += 1

    def expect(self, what, got, wanted):
        if got not in wanted:
            self.odd[f"{what}: {got}"] += 1
        return got


def read_all(peer, seconds=ANSWER_S):
    """Whatever comes until the end; whether the end came."""
    deadline = time.monotonic() + seconds
    try:
        while peer.receive(deadline):
            pass
    except (AssertionError, ssl.SSLError):
        pass
    return bytes(peer.input), peer.ended


def statuses(data):
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", data)]


def ask(target, what, data, wanted):
    """A request that must be answered once, by one of these, and end the connection."""
    with target.connect() as peer:
        peer.send(data)
        answer, ended = read_all(peer)
    found = statuses(answer)
    if len(found) != 1 or not ended:
        target.odd[f"{what}: {found}{'' if ended else ', still open'}"] += 1
    for status in found:
        target.saw_status(target.expect(what, status, wanted))


def say(target, what, data, wanted, form=Form()):
    """Frames that must be answered by one of these close codes and the end of the connection."""
    with target.connect() as peer:
        peer.open_form(form, "snapshot=0")
        peer.next_message(ANSWER_S)  # hello
        peer.send(data)
        deadline, ended = time.monotonic() + ANSWER_S, True
        try:
            while peer.close_code is None and peer.receive(deadline):
                peer.take(bytes(peer.input))
                peer.input.clear()
        except AssertionError:
            ended = False
        code = peer.close_code
    if target.expect(what, code, wanted) in (1002, 1007, 1009):
        target.saw_code(code)
    if not ended:
        target.odd[f"{what}: still open"] += 1


# ---- what is no HTTP, or too much of it, or two things at once ----

def garbage(target):
    while target.goes_on():
        kind = target.tries % 3
        if kind == 0:
            ask(target, "noise", target.rng.randbytes(300) + b"\r\n\r\n", {400, 505})
        elif kind == 1:
            ask(target, "HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 405, 505})
        else:
            ask(target, "TLS within", HELLO_OF_TLS + b"\r\n\r\n", {400})


SMUGGLED = "GET /ws/info HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
SMUGGLING = {  # and what may answer it
    "two lengths": ("Content-Length: 0\r\nContent-Length: 5\r\n", {400}),
    "two equal lengths": ("Content-Length: 5\r\nContent-Length: 5\r\n", {400}),
    "length and chunks": ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", {400}),
    "chunks": ("Transfer-Encoding: chunked\r\n", {400, 411, 413, 501}),
    "odd chunks": ("Transfer-Encoding: xchunked\r\n", {400, 501}),
    "chunks with a tab": ("Transfer-Encoding:\tchunked\r\n", {400, 411, 413, 501}),
    "length with a sign": ("Content-Length: +5\r\n", {400}),
    "length in hexadecimal": ("Content-Length: 0x5\r\n", {400}),
    "length with a list": ("Content-Length: 5, 5\r\n", {400}),
    "bare LF": ("X: a\nContent-Length: 5\r\n", {400}),
    "bare CR": ("X: a\rContent-Length: 5\r\n", {400}),
    "two hosts": ("Host: other\r\n", {400}),
    "folded line": ("X: a\r\n Content-Length: 5\r\n", {400}),
    "space before the colon": ("Content-Length : 5\r\n", {400}),
    "NUL": ("X: a\0b\r\n", {400}),
}


def smuggling(target):
    """A second request hides behind each; it must never be answered."""
    kinds = itertools.cycle(SMUGGLING.items())
    while target.goes_on():
        name, (lines, wanted) = next(kinds)
        ask(target, name, (REQUEST + lines + "\r\n" + SMUGGLED).encode(), wanted)


def endless_head(target):
    """Sent until the node has had enough: long lines, many lines, one line."""
    kinds = itertools.cycle([REQUEST.encode() + b"X: " + b"a" * 100000,
                             REQUEST.encode() + b"X: a\r\n" * 20000,
                             b"GET /" + b"a" * 100000])
    while target.goes_on():
        ask(target, "endless head", next(kinds), {400, 414, 431})


def pipelining(target):
    """Hundreds of requests at once from who reads nothing until all are sent."""
    while target.goes_on():
        with target.connect(receive_buffer=4096) as peer:
            peer.socket.settimeout(0.2)
            with contextlib.suppress(OSError):
                peer.socket.sendall((REQUEST + "\r\n").encode() * 500)
            for status in statuses(read_all(peer, 0.5)[0]):
                target.saw_status(target.expect("pipelined", status, {200, 400, 429, 503}))


def odd_tokens(target):
    tokens = itertools.cycle(["x", "..", "a.1.-1", "a.1.99999999999999999999", "%00.1.1",
                              "a" * 3000, "a.1.1&since=b.1.1", "%"])
    while target.goes_on():
        with target.connect() as peer:
            peer.send(wire.handshake("/ws/exchange?snapshot=0&since=" + next(tokens)))
            status = target.expect("odd token", peer.read_head()[0], {101, 400, 414})
            target.saw_status(status)


# ---- what is no WebSocket ----

def giant_frame(target):
    """Announces what no node should wait for, and begins to send it."""
    while target.goes_on():
        size, code = target.rng.choice([(1 << 30, 1009), (1 << 62, 1009), (1 << 63, 1002)])
        say(target, "giant frame", frame(wire.BINARY, b"x" * 1000, length=size), {code})


def unmasked(target):
    while target.goes_on():
        say(target, "unmasked", frame(wire.TEXT, b"hello", masked=False), {1002})


def fragments(target):
    """Messages over 64 KiB in many pieces, and one that ends just within."""
    while target.goes_on():
        piece = target.rng.choice([997, 16000])
        say(target, "fragments", frame(wire.TEXT, b"x", fin=False)
            + frame(0, b"x" * piece, fin=False) * (66000 // piece + 1), {1009})
        say(target, "empty fragments", frame(wire.TEXT, b"", fin=False)
            + frame(0, b"", fin=False) * 5000 + frame(0, b"") + frame(wire.CLOSE), {1000})


CLOSES = {b"\x03": 1002, b"\x03\xed": 1002, b"\x03\xe7": 1002, b"\x03\xe8\xff": 1007,
          b"\xff\xff": 1002, b"": 1000, b"\x03\xe8bye": 1000}


def closes(target):
    kinds = itertools.cycle(CLOSES.items())
    while target.goes_on():
        payload, code = next(kinds)
        say(target, f"close {payload!r}", frame(wire.CLOSE, payload) * 3 + b"\xff" * 100, {code})


def noise_in_frames(target):
    """Random bytes behind a good handshake: whatever is answered, the connection ends."""
    while target.goes_on():
        say(target, "noise", target.rng.randbytes(20000) + frame(3, b""), {1000, 1002, 1007, 1009})


def bomb(target):
    """16 MiB of nothing in 16 KiB: 1009 where compression was agreed upon, else 1002."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(bytes(1 << 24)) + packer.flush(zlib.Z_SYNC_FLUSH)
    with target.connect() as peer:
        peer.send(request(Form(deflate=True)))
        agreed = "sec-websocket-extensions" in peer.read_head()[1]
    while target.goes_on():
        deflate = agreed and target.tries % 2 == 0
        form, code = Form(deflate=deflate), 1009 if deflate else 1002
        say(target, "bomb", frame(wire.TEXT, packed[:-4], reserved=4), {code}, form)
        say(target, "bomb in fragments", frame(wire.TEXT, packed[:5000], reserved=4, fin=False)
            + frame(0, packed[5000:-4]), {code}, form)
        if deflate:
            say(target, "no deflate", frame(wire.TEXT, b"\xff" * 100, reserved=4), {1007}, form)


def ping_flood(target):
    """Half of them read the pongs."""
    pings = frame(wire.PING, b"p" * 125) * 200
    while target.goes_on():
        with target.connect(receive_buffer=4096) as peer:
            peer.open("/ws/exchange?snapshot=0")
            peer.socket.settimeout(0.2)
            with contextlib.suppress(OSError):
                for _ in range(50):
                    peer.socket.sendall(pings)
                    if target.tries % 2:
                        peer.socket.recv(65536)


# ---- who never finishes ----

def open_and_forget(target, address):
    """A connection that nobody waits for: with nothing, half a head, or half a handshake of TLS."""
    it = socket.socket()
    it.setblocking(False)
    it.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    it.setsockopt(socket.IPPROTO_IP, BIND_ADDRESS_NO_PORT, 1)
    it.bind((address, 0))
    it.connect_ex(("127.0.0.1", target.port))
    part = target.tries % 4
    if part:
        start = HELLO_OF_TLS if target.context else wire.handshake()
        with contextlib.suppress(OSError):  # not yet connected: one more that says nothing
            it.send(start[:len(start) * part // 4])
    return it


def unfinished(target):
    """Handshakes that never finish, as fast as they can be begun, each dropped a moment later."""
    waiting = collections.deque()
    while time.monotonic() < target.until:
        for _ in range(50):
            target.tries += 1
            with contextlib.suppress(OSError):
                waiting.append(open_and_forget(target, next(target.addresses)))
        while len(waiting) > UNFINISHED_AT_ONCE:
            waiting.popleft().close()
    for it in waiting:
        it.close()
    target.counted["tickwire_http_refused_total"] += 1


def dawdlers(target):
    """Silent ones, ones that send a byte a second, and ones that close their half in the middle of
    a head: each is ended by the time that a head may take."""
    head = wire.handshake()
    waiting = {}
    for index in range(DAWDLERS):
        peer = target.connect(plain=True)
        peer.socket.setblocking(False)
        waiting[peer] = index % 3 == 0
        if index % 3 == 1:
            peer.socket.send(head[:20])
            peer.socket.shutdown(socket.SHUT_WR)
    target.tries = DAWDLERS
    begin = time.monotonic()
    for second in range(DAWDLE_S):
        for peer, talks in list(waiting.items()):
            with contextlib.suppress(OSError):
                if talks:
                    peer.socket.send(head[second:second + 1])
        due = begin + second + 1
        while waiting and (left := due - time.monotonic()) > 0:
            readable = select.select([peer.socket for peer in waiting], [], [], left)[0]
            for peer in [peer for peer in waiting if peer.socket in readable]:
                dawdler_ended(target, peer)
                del waiting[peer]
    for peer in waiting:
        target.odd[f"not ended in {DAWDLE_S} s"] += 1
        peer.socket.close()


def dawdler_ended(target, peer):
    """Told so, or just closed: either is counted."""
    peer.socket.setblocking(True)
    found = statuses(read_all(peer)[0]) if target.context is None else []
    peer.socket.close()
    for status in found:
        target.saw_status(target.expect("dawdler", status, {400, 408, 429, 503}))
    if target.context is not None:
        target.counted['tickwire_tls_handshakes_total{result="failed"}'] += 1
    elif not found:
        target.counted["tickwire_http_refused_total"] += 1


def half_tls(target):
    """Bytes that are no TLS, half handshakes of it, and whole ones with nothing behind."""
    while target.goes_on():
        with target.connect(plain=True) as peer:
            kind = target.tries % 3
            if kind == 0:
                peer.send(target.rng.randbytes(500))
                read_all(peer)
                target.expect("noise for TLS", peer.ended, {True})
                target.counted['tickwire_tls_handshakes_total{result="failed"}'] += 1
            elif kind == 1:
                peer.send(HELLO_OF_TLS)
            else:
                with contextlib.suppress(OSError, ssl.SSLError):
                    target.connect().socket.close()


def crowd(target):
    """As many clients as may be, from many addresses, and then more."""
    refused = {503: 'tickwire_clients_refused_total{reason="full"}',
               429: 'tickwire_clients_refused_total{reason="address"}'}
    peers = []
    try:
        while target.goes_on():
            if len(peers) > 1000:
                target.odd["no end of clients"] += 1
                return
            peer = target.connect()
            peer.send(wire.handshake("/ws/exchange?snapshot=0"))
            status = target.expect("one more", peer.read_head()[0], {101, *refused})
            if status == 101:
                peers.append(peer)
            else:
                target.counted[refused[status]] += 1
                peer.socket.close()
    finally:
        for peer in peers:
            peer.socket.close()


ATTACKS = {function.__name__: function for function in (
    garbage, smuggling, endless_head, pipelining, odd_tokens, giant_frame, unmasked, fragments,
    closes, noise_in_frames, bomb, ping_flood, unfinished, dawdlers, half_tls, crowd)}
# Which of a node's refusals are no bad sign: it is full, or closes while one speaks.
ENDED_EARLY = (ConnectionError, AssertionError, TimeoutError, ssl.SSLError)


def attack(name, port, seconds, context=None):
    target = Target(port, seconds, context)
    while True:
        try:
            ATTACKS[name](target)
            break
        except ENDED_EARLY as error:
            target.odd[f"{type(error).__name__}: {str(error)[:100]}"] += 1
            if time.monotonic() >= target.until:
                break
    return {"tries": target.tries, "odd": dict(target.odd.most_common(5)),
            "counted": dict(target.counted)}


def main():
    name, port, seconds, *ca_file = sys.argv[1:]
    context = ssl.create_default_context(cafile=ca_file[0]) if ca_file else None
    os.nice(10)
    print(json.dumps(attack(name, int(port), float(seconds), context)))


if __name__ == "__main__":
    main()
