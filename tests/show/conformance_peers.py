# SPDX-License-Identifier: Apache-2.0
"""Cases of Autobahn's kinds without Autobahn, for where it can't run: good messages are echoed by
and to `websockets` and `aiohttp`, and what no library sends comes from bytes made by hand."""

import asyncio
import os
import struct
import sys
import urllib.parse

from show import ROOT, say

sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))

import aiohttp  # noqa: E402
import aiohttp.web  # noqa: E402
import websockets.asyncio.client  # noqa: E402
import websockets.asyncio.server  # noqa: E402
import wire  # noqa: E402
from wire import BINARY, CLOSE, PING, TEXT  # noqa: E402

MESSAGE_MAX = 17 * 1024 * 1024
CASE_SECONDS = 30
SIZES = [0, 1, 125, 126, 127, 128, 65535, 65536, 65537, 1 << 20]
GREEK = "\u03ba\u1f79\u03c3\u03bc\u03b5 \U0001f600 \ud7ff\ue000\U0010ffff"
WHOLE = ([("*" * size) for size in SIZES] + [b"\xfe" * size for size in SIZES]
         + [GREEK, GREEK * 1000])
# A message in these fragments; `websockets` can send it.
PIECES = [["a", "b"], [b"a", b"b"], ["", "", ""], ["", "x", ""], list(GREEK), [GREEK] * 500]
PINGS = [b"", b"ping", b"\x00\xff\xfe", b"p" * 125]
CODES_GOOD = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999]
CODES_BAD = [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535]


def close_payload(code, reason=b""):
    return struct.pack(">H", code) + reason


# (kind, [(opcode, payload, more for wire.frame)], the close code that must come)
BY_HAND = [
    ("2.5 ping of 126 bytes", [(PING, b"p" * 126, {})], 1002),
    ("3.1 reserved bit", [(TEXT, b"x", {"reserved": 1})], 1002),
    ("3.7 reserved bits, in a close", [(CLOSE, b"", {"reserved": 7})], 1002),
    ("4.1 reserved opcode", [(3, b"", {})], 1002),
    ("4.2 reserved control opcode", [(11, b"x", {})], 1002),
    ("5.1 ping in fragments", [(PING, b"p", {"fin": False})], 1002),
    ("5.9 nothing to continue", [(0, b"x", {})], 1002),
    ("5.18 a message inside another", [(TEXT, b"x", {"fin": False}), (TEXT, b"y", {})], 1002),
    ("6.3 not UTF-8", [(TEXT, b"\xce\xba\xed\xa0\x80edited", {})], 1007),
    ("6.4 not UTF-8, told before the end", [(TEXT, b"\xf4\x90", {"fin": False})], 1007),
    ("6.4 the same in the second fragment",
     [(TEXT, b"\xf4", {"fin": False}), (0, b"\x90", {"fin": False})], 1007),
    ("6.6 a character cut off", [(TEXT, b"\xce", {})], 1007),
    ("7.3 close of one byte", [(CLOSE, b"\x03", {})], 1002),
    ("7.3 close of 126 bytes", [(CLOSE, close_payload(1000, b"r" * 124), {})], 1002),
    ("7.5 reason that is not UTF-8", [(CLOSE, close_payload(1000, b"\xed\xa0\x80"), {})], 1007),
    ("the wrong end masks", [(TEXT, b"x", {"wrong_mask": True})], 1002),
    *((f"7.7 close code {code}", [(CLOSE, close_payload(code), {})], code) for code in CODES_GOOD),
    *((f"7.9 close code {code}", [(CLOSE, close_payload(code), {})], 1002) for code in CODES_BAD),
]


def bytes_of(frames, masked):
    result = b""
    for opcode, payload, options in frames:
        options = dict(options)
        wrong = options.pop("wrong_mask", False)
        result += wire.frame(opcode, payload, masked=masked != wrong, **options)
    return result


class Results:
    def __init__(self, role):
        self.role = role
        self.figures = {}
        self.failing = []

    async def check(self, library, kind, case):
        """Counts one case: an awaitable that raises when it fails."""
        try:
            await asyncio.wait_for(case, CASE_SECONDS)
            self.figures[library] = self.figures.get(library, 0) + 1
        except Exception as error:  # whatever a library raises is a case that failed
            self.failing.append(f"{self.role} {library}: {kind}: {type(error).__name__} {error}")
            say("conformance: " + self.failing[-1][:300])


def expect(got, wanted):
    if got != wanted or type(got) is not type(wanted):
        raise AssertionError(f"{got!r:.80} instead of {wanted!r:.80}")


# ---- what one connection does, for each library; the same for both ends ----

async def websockets_echo(connection, message):
    await connection.send(message)
    whole = message if not isinstance(message, list) else type(message[0])().join(message)
    expect(await connection.recv(), whole)


async def websockets_ping(connection, payload):
    await (await connection.ping(payload))


async def aiohttp_echo(connection, message):
    await (connection.send_str if isinstance(message, str) else connection.send_bytes)(message)
    expect((await connection.receive()).data, message)


async def aiohttp_ping(connection, payload):
    """With autoping off the pong is handed over."""
    await connection.ping(payload)
    answer = await connection.receive()
    expect((answer.type, bytes(answer.data)), (aiohttp.WSMsgType.PONG, payload))


def describe(function, value):
    return f"{function.__name__.split('_')[1]} {value!r:.40}"


STEPS = {
    "websockets": [(websockets_echo, message) for message in WHOLE + PIECES]
                  + [(websockets_ping, payload) for payload in PINGS],
    "aiohttp": [(aiohttp_echo, message) for message in WHOLE]
               + [(aiohttp_ping, payload) for payload in PINGS],
}
COMPRESSED = ", compressed"  # behind the library's name: kinds 12 and 13
STEPS.update({name + COMPRESSED: steps for name, steps in STEPS.items()})


def expect_websockets(connection, library):
    names = [extension.name for extension in connection.protocol.extensions]
    expect(names, ["permessage-deflate"] if library.endswith(COMPRESSED) else [])


def expect_aiohttp(connection, library):
    expect(bool(connection.compress), library.endswith(COMPRESSED))


# ---- our server ----

async def hand_to_server(port, frames, code):
    def talk():
        with wire.Raw(port) as raw:
            raw.open("/")
            raw.send(bytes_of(frames, masked=True))
            expect(raw.read_close(), code)
            raw.read_end()
    await asyncio.to_thread(talk)


async def test_server(port):
    results = Results("server")
    url = f"ws://127.0.0.1:{port}/"
    for compression, suffix in ((None, ""), ("deflate", COMPRESSED)):
        library = "websockets" + suffix
        for function, value in STEPS[library]:
            async with websockets.asyncio.client.connect(
                    url, max_size=None, open_timeout=CASE_SECONDS,
                    compression=compression) as connection:
                expect_websockets(connection, library)
                await results.check(library, describe(function, value),
                                    function(connection, value))
    async with aiohttp.ClientSession() as session:
        for compression, suffix in ((0, ""), (15, COMPRESSED)):
            library = "aiohttp" + suffix
            for function, value in STEPS[library]:
                async with session.ws_connect(url, max_msg_size=0, autoping=False,
                                              compress=compression) as connection:
                    expect_aiohttp(connection, library)
                    await results.check(library, describe(function, value),
                                        function(connection, value))
    for kind, frames, code in BY_HAND:
        await results.check("by hand", kind, hand_to_server(port, frames, code))
    return results.figures, results.failing


# ---- our client, which speaks as to Autobahn's fuzzing server ----

def case_number(target):
    """The case that a target asks for, from 0; None when it asks for something else."""
    parts = urllib.parse.urlsplit(target)
    if parts.path != "/runCase":
        return None
    return int(urllib.parse.parse_qs(parts.query)["case"][0]) - 1


async def run_case(results, library, connection, number):
    function, value = STEPS[library][number]
    await results.check(library, describe(function, value), function(connection, value))


async def serve_websockets(results, run_client, library):
    async def handler(connection):
        number = case_number(connection.request.path)
        expect_websockets(connection, library)
        if number is not None:
            await run_case(results, library, connection, number)
        elif connection.request.path == "/getCaseCount":
            await connection.send(str(len(STEPS[library])))

    compression = "deflate" if library.endswith(COMPRESSED) else None

    async with websockets.asyncio.server.serve(handler, "127.0.0.1", 0, max_size=MESSAGE_MAX,
                                               compression=compression) as server:
        await run_client(server.sockets[0].getsockname()[1])


async def serve_aiohttp(results, run_client, library):
    async def handler(request):
        connection = aiohttp.web.WebSocketResponse(max_msg_size=0, autoping=False,
                                                   compress=library.endswith(COMPRESSED))
        await connection.prepare(request)
        number = case_number(request.path_qs)
        expect_aiohttp(connection, library)
        if number is not None:
            await run_case(results, library, connection, number)
        elif request.path == "/getCaseCount":
            await connection.send_str(str(len(STEPS[library])))
        await connection.close()
        return connection

    application = aiohttp.web.Application()
    application.router.add_get("/{path}", handler)
    runner = aiohttp.web.AppRunner(application)
    await runner.setup()
    try:
        await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
        await run_client(runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def read_close_code(reader):
    """Of a client that has nothing else to say: one masked frame, and the end."""
    first, second = await reader.readexactly(2)
    expect((first, second & 0x80), (0x80 | CLOSE, 0x80))
    mask = await reader.readexactly(4)
    payload = await reader.readexactly(second & 0x7f)
    expect(await reader.read(1), b"")
    return struct.unpack(">H", bytes(a ^ b for a, b in zip(payload[:2], mask)))[0]


async def hand_to_client(reader, writer, frames, code):
    writer.write(bytes_of(frames, masked=False))
    writer.write_eof()  # what a server that has closed does; the client answers all the same
    expect(await read_close_code(reader), code)


async def serve_by_hand(results, run_client):
    async def handler(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        target = head.split(" ")[1]
        writer.write(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                      "Connection: Upgrade\r\nSec-WebSocket-Accept: "
                      f"{wire.accept_for(lines['Sec-WebSocket-Key'])}\r\n\r\n").encode())
        number = case_number(target)
        if number is not None:
            kind, frames, code = BY_HAND[number]
            await results.check("by hand", kind, hand_to_client(reader, writer, frames, code))
        elif target == "/getCaseCount":
            writer.write(wire.frame(TEXT, str(len(BY_HAND)).encode(), masked=False)
                         + wire.frame(CLOSE, masked=False))
        writer.close()

    server = await asyncio.start_server(handler, "127.0.0.1", 0)
    async with server:
        await run_client(server.sockets[0].getsockname()[1])


async def test_client(program):
    results = Results("client")

    async def run_client(port):
        process = await asyncio.create_subprocess_exec(
            program, f"ws://127.0.0.1:{port}", "tickwire", stdout=sys.stderr)
        try:
            status = await asyncio.wait_for(process.wait(), 10 * CASE_SECONDS)
        finally:
            if process.returncode is None:
                process.kill()
        if status != 0:
            results.failing.append(f"client: the program ended with {status}")

    for suffix in ("", COMPRESSED):
        await serve_websockets(results, run_client, "websockets" + suffix)
        await serve_aiohttp(results, run_client, "aiohttp" + suffix)
    await serve_by_hand(results, run_client)
    return results.figures, results.failing


CASES = {**{library: len(steps) for library, steps in STEPS.items()}, "by hand": len(BY_HAND)}


def run(port, program):
    """Figures by role, and what failed: of the echo server on this port, and of our client."""
    figures = {}
    failing = []
    for role, test in (("server", test_server(port)), ("client", test_client(program))):
        figures[role], wrong = asyncio.run(test)
        failing += wrong
        if not wrong and figures[role] != CASES:
            failing.append(f"{role}: not all cases were run: {figures[role]} of {CASES}")
    return figures, failing
