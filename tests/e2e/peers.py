# SPDX-License-Identifier: Apache-2.0
"""Clients by hand in every form that the stream has: one message a frame or several, compressed or
not, over TLS or not, and from other addresses of this machine.

Compression is undone by zlib with a fresh window for every frame, so a node that kept its context
from frame to frame would be found out.
"""

import socket
import ssl
import struct
import time
import zlib
from collections import deque
from dataclasses import dataclass

import wire
from harness import PATIENCE

TAIL = b"\0\0\xff\xff"  # what RFC 7692, section 7.2.1, leaves out
OFFER = "Sec-WebSocket-Extensions: permessage-deflate\r\n"
PROMISE = {"permessage-deflate", "server_no_context_takeover", "client_no_context_takeover"}
COMPRESSED, PLAIN = 0xC0 | wire.TEXT, 0x80 | wire.TEXT
CONTROLS = {0x80 | opcode: opcode for opcode in (wire.CLOSE, wire.PING, wire.PONG)}


@dataclass(frozen=True)
class Form:
    """What a client asks for."""
    batch: bool = False
    deflate: bool = False

    @property
    def name(self):
        return "+".join(name for name in ("batch", "deflate") if getattr(self, name)) or "plain"

    @property
    def needs(self):
        return [name for name in ("batch", "deflate") if getattr(self, name)]


FORMS = (Form(), Form(batch=True), Form(deflate=True), Form(batch=True, deflate=True))


def request(form, *query):
    parts = [part for part in query if part] + (["batch=1"] if form.batch else [])
    target = "/ws/exchange" + ("?" + "&".join(parts) if parts else "")
    return wire.handshake(target, extra=OFFER if form.deflate else "")


def inflate(data):
    inflater = zlib.decompressobj(-15)
    text = inflater.decompress(data + TAIL)
    assert not inflater.unused_data and not inflater.unconsumed_tail and not inflater.eof
    return text


class Unframer:
    """What a server sends after its handshake, cut anywhere, as messages. `known`: inflated frames
    by their compressed bytes; many clients that get the same ones may share it."""

    def __init__(self, form, known=None):
        self.form, self.known = form, {} if known is None else known
        self.input = b""
        self.switched = False
        self.longest = 0  # messages in one frame
        self.compressed = 0  # frames
        self.controls = []  # (opcode, payload)

    def feed(self, data):
        """The messages that are whole now."""
        self.input += data
        if not self.switched and not self._take_head():
            return []
        messages, at, data = [], 0, self.input
        while (found := self._frame(data, at)) is not None:
            first, start, at = found
            if first in CONTROLS:
                self.controls.append((CONTROLS[first], data[start:at]))
            else:
                messages += self._messages(first, data[start:at])
        self.input = data[at:]
        return messages

    def _take_head(self):
        head, separator, rest = self.input.partition(b"\r\n\r\n")
        if not separator:
            return False
        lines = head.decode("latin-1").split("\r\n")
        if not lines[0].startswith("HTTP/1.1 101 "):
            raise ValueError(f"not switched: {lines[0]}")
        headers = {line.partition(":")[0].lower(): line.partition(":")[2] for line in lines[1:]}
        promised = headers.get("sec-websocket-extensions", "")
        if {part.strip() for part in promised.split(";")} != (
                PROMISE if self.form.deflate else {""}):
            raise ValueError(f"extensions: {promised!r} for {self.form.name}")
        self.switched, self.input = True, rest
        return True

    @staticmethod
    def _frame(data, at):
        """(first byte, start of the payload, its end) of a whole frame at this place."""
        left = len(data) - at
        if left < 2:
            return None
        size, start = data[at + 1], at + 2
        if size == 126:
            if left < 4:
                return None
            size, start = struct.unpack_from(">H", data, start)[0], start + 2
        elif size == 127:
            if left < 10:
                return None
            size, start = struct.unpack_from(">Q", data, start)[0], start + 8
        return (data[at], start, start + size) if len(data) >= start + size else None

    def _messages(self, first, payload):
        if first == COMPRESSED and self.form.deflate:
            self.compressed += 1
            text = self.known.get(payload)
            if text is None:
                text = self.known[payload] = inflate(payload)
        elif first == PLAIN:
            text = payload
        else:
            raise ValueError(f"not a frame for {self.form.name}: {first:#x}")
        if not self.form.batch:
            if b"\n" in text:
                raise ValueError("several messages in a frame that nobody asked for")
            return [text]
        messages = text.removesuffix(b"\n").split(b"\n")
        self.longest = max(self.longest, len(messages))
        return messages


class Tls:
    """TLS of a client without a socket, so that it can be cut at any byte."""

    def __init__(self, context, session=None):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.object = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost",
                                       session=session)
        self.ready = False
        self.waiting = b""

    def send(self, data):
        """Plain bytes to be sent, now or when the handshake is done."""
        self.waiting += data
        return self.take(b"")

    def take(self, data):
        """Bytes from the server; returns (plain bytes, bytes to be sent)."""
        self.incoming.write(data)
        plain = b""
        try:
            if not self.ready:
                self.object.do_handshake()
                self.ready = True
            if self.waiting:
                self.object.write(self.waiting)
                self.waiting = b""
            while part := self.object.read(65536):
                plain += part
        except ssl.SSLWantReadError:
            pass
        return plain, self.outgoing.read()

    @property
    def session(self):
        return self.object.session if self.ready else None


class Peer(wire.Raw):
    """A Raw with an address of its own and TLS where wanted; reads messages in any form."""

    def __init__(self, port, context=None, address="127.0.0.1", receive_buffer=None):
        self.input, self.ended = bytearray(), False
        self.unframer, self.messages = None, deque()
        plain = socket.socket()
        try:
            if receive_buffer is not None:
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            plain.settimeout(PATIENCE)
            if address != "127.0.0.1":
                plain.bind((address, 0))
            plain.connect(("127.0.0.1", port))
            self.socket = plain if context is None else context.wrap_socket(
                plain, server_hostname="localhost")
        except BaseException:
            plain.close()
            raise

    def open_form(self, form=Form(), *query):
        """Asks for the stream; what comes is read by next_message."""
        self.unframer = Unframer(form)
        self.send(request(form, *query))
        return self

    def take(self, data):
        self.messages.extend(self.unframer.feed(data))

    def next_message(self, seconds=PATIENCE):
        """The next message's bytes; None when the connection ended first."""
        deadline = time.monotonic() + seconds
        while not self.messages:
            before = len(self.input)
            if self.ended or not self.receive(deadline):
                return None
            self.take(bytes(self.input[before:]))
            self.input.clear()
        return self.messages.popleft()

    @property
    def close_code(self):
        """Of the close frame, when one came."""
        for opcode, payload in self.unframer.controls if self.unframer else ():
            if opcode == wire.CLOSE:
                return struct.unpack(">H", payload[:2])[0] if payload else 1005
        return None
