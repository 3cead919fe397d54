# SPDX-License-Identifier: Apache-2.0
"""WebSocket (RFC 6455) and HTTP by hand, for what a good client library would never send.

Shares nothing with the product, nor with the client libraries that other tests use.
"""

import base64
import hashlib
import os
import socket
import struct
import time

from harness import PATIENCE

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="


def handshake(target="/ws/exchange", host="127.0.0.1", extra=""):
    return (f"GET {target} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\n"
            f"Sec-WebSocket-Version: 13\r\n{extra}\r\n").encode()


def accept_for(key):
    return base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()


def frame(opcode, payload=b"", fin=True, masked=True, reserved=0, length=None):
    """One frame as a client sends it; `length` lies about the size."""
    size = len(payload) if length is None else length
    head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode])
    mask_bit = 0x80 if masked else 0
    if size < 126:
        head += bytes([mask_bit | size])
    elif size < 65536:
        head += bytes([mask_bit | 126]) + struct.pack(">H", size)
    else:
        head += bytes([mask_bit | 127]) + struct.pack(">Q", size)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


def parse_frame(data, at=0):
    """(opcode, payload, end), or None when the frame is not whole. Asserts what a server owes."""
    if len(data) - at < 2:
        return None
    first, second = data[at], data[at + 1]
    assert first & 0x70 == 0, f"reserved bits: {first:#x}"
    assert second & 0x80 == 0, "a server masks nothing"
    size, start = second & 0x7f, at + 2
    if size == 126:
        if len(data) < start + 2:
            return None
        size, start = struct.unpack_from(">H", data, start)[0], start + 2
        assert size >= 126, "not the shortest length"
    elif size == 127:
        if len(data) < start + 8:
            return None
        size, start = struct.unpack_from(">Q", data, start)[0], start + 8
        assert size >= 65536, "not the shortest length"
    if len(data) < start + size:
        return None
    assert first & 0x80, "fragments, which the server has no need of"
    return first & 0x0f, bytes(data[start:start + size]), start + size


class Raw:
    """A TCP connection that sends exactly what it is told."""

    def __init__(self, port, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(("127.0.0.1", port))
        self.input = bytearray()
        self.ended = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            self.ended = True

    def receive(self, deadline):
        """More input; False at its end."""
        self.socket.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        except socket.timeout:
            raise AssertionError(f"nothing more came: {bytes(self.input[-300:])!r}") from None
        self.input += data
        self.ended = self.ended or not data
        return bool(data)

    def read_head(self, seconds=PATIENCE):
        """(status, headers, text) of an HTTP answer; the body stays in the input."""
        deadline = time.monotonic() + seconds
        while b"\r\n\r\n" not in self.input:
            if not self.receive(deadline):
                raise AssertionError(f"closed without an answer: {bytes(self.input)!r}")
        head, _, rest = bytes(self.input).partition(b"\r\n\r\n")
        self.input = bytearray(rest)
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            assert name.lower() not in headers, f"{name} twice in an answer"
            headers[name.lower()] = value.strip()
        return int(first.split(" ")[1]), headers

    def read_answer(self, seconds=PATIENCE, method="GET"):
        """(status, headers, body) of an HTTP answer with a Content-Length."""
        status, headers = self.read_head(seconds)
        size = 0 if method == "HEAD" or status == 101 else int(headers["content-length"])
        deadline = time.monotonic() + seconds
        while len(self.input) < size:
            assert self.receive(deadline), f"cut body: {bytes(self.input)!r}"
        body = bytes(self.input[:size])
        del self.input[:size]
        return status, headers, body

    def open(self, target="/ws/exchange", extra=""):
        self.send(handshake(target, extra=extra))
        status, headers = self.read_head()
        assert status == 101, (status, bytes(self.input))
        assert headers["sec-websocket-accept"] == accept_for(KEY)
        return self

    def read_frame(self, seconds=PATIENCE):
        """(opcode, payload); None when the connection ended first."""
        deadline = time.monotonic() + seconds
        while True:
            found = parse_frame(self.input)
            if found is not None:
                opcode, payload, end = found
                del self.input[:end]
                return opcode, payload
            if not self.receive(deadline):
                return None

    def read_until(self, wanted, seconds=PATIENCE):
        """The payload of the first frame of this opcode; None when the connection ended first."""
        deadline = time.monotonic() + seconds
        while True:
            found = self.read_frame(max(0.001, deadline - time.monotonic()))
            if found is None or found[0] == wanted:
                return None if found is None else found[1]

    def read_close(self, seconds=PATIENCE):
        """The code of the close frame."""
        payload = self.read_until(CLOSE, seconds)
        assert payload is not None, "the connection ended without a close frame"
        return struct.unpack(">H", payload[:2])[0]

    def read_end(self, seconds=PATIENCE):
        """Waits for the peer to close the connection."""
        deadline = time.monotonic() + seconds
        while self.receive(deadline):
            pass
