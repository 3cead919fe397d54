# SPDX-License-Identifier: Apache-2.0
"""A door in front of a broker (kafka.Broker(doors=1)), in a process of its own, that can be shut in
many ways:

    with Broker(doors=1) as broker, Forwarder(*broker.doors[0]) as door:
        Cluster(door.address)
        door.set("silent") ... door.set("pass")

    pass     everything goes through
    late     the same, but what the broker says comes LATE_S later
    hold     what clients send is kept and goes on later, all of it; answers go through
    silent   connections are cut; new ones are accepted, and nothing is ever said to them
    refuse   connections are cut, and new ones refused
    lost     nothing comes through and nothing is refused, as if packets were lost; what is open
             stays open, and goes on later
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys

CHUNK = 1 << 16
HOLD_MAX = 64 << 20  # bytes: more is not read
BACKLOG = 64
LATE_S = 1.5
PARTS_MAX = 1 << 12  # that wait
MODES = ("pass", "late", "hold", "silent", "refuse", "lost")


class Forwarder:
    """What tests use. A context manager."""

    def __init__(self, port, target):
        self.port, self.address, self.mode = port, f"127.0.0.1:{port}", "pass"
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", sys.executable, os.path.abspath(__file__), str(port),
             str(target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._ask("pass")

    def _ask(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        assert answer and answer[0] == "ok", f"the forwarder says {answer} to {text}"
        return [int(number) for number in answer[1:]]

    def set(self, mode):
        """It is so when this returns."""
        self._ask(mode)
        self.mode = mode

    def held(self):
        """Bytes that wait in `hold`."""
        return self._ask("count")[0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


# ---- the process ----

def reset(writer):
    """Cut, without a word more: with an RST."""
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()


class Door:
    """All of it runs in one loop."""

    def __init__(self, port, target):
        self.port, self.target, self.mode = port, target, "pass"
        self.listener = self.fillers = None
        self.writers = set()
        self.held = 0
        self.up, self.down = asyncio.Event(), asyncio.Event()  # set: bytes go on

    async def listen(self):
        self.listener = await asyncio.start_server(self.serve, "127.0.0.1", self.port,
                                                   backlog=BACKLOG)

    async def close_listener(self):
        if self.listener is not None:
            self.listener.close()
            self.listener = None
        if self.fillers is not None:
            for connection in self.fillers:
                connection.close()
            self.fillers = None

    def fill_backlog(self):
        """Nobody accepts these: the kernel drops who comes next."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(0)
        self.fillers = [listener]
        for _ in range(4):
            connection = socket.socket()
            connection.setblocking(False)
            connection.connect_ex(("127.0.0.1", self.port))
            self.fillers.append(connection)

    async def set(self, mode):
        await self.close_listener()
        if mode in ("silent", "refuse") or self.mode == "silent":
            for writer in list(self.writers):
                reset(writer)
        self.mode = mode
        for gate, shut in ((self.up, ("hold", "lost")), (self.down, ("lost",))):
            if mode in shut:
                gate.clear()
            else:
                gate.set()
        if mode == "lost":
            self.fill_backlog()
        elif mode != "refuse":
            await self.listen()

    async def serve(self, reader, writer):
        self.writers.add(writer)
        other = None
        try:
            if self.mode == "silent":
                while await reader.read(CHUNK):
                    pass
                return
            other_reader, other = await asyncio.open_connection("127.0.0.1", self.target)
            self.writers.add(other)
            for one in (writer, other):
                one.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pumps = [asyncio.ensure_future(self.pump_up(reader, other)),
                     asyncio.ensure_future(self.pump_down(other_reader, writer))]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
        except OSError:
            pass
        finally:
            for one in filter(None, (writer, other)):
                self.writers.discard(one)
                reset(one)

    async def pump_up(self, reader, writer):
        """In `hold` bytes are read and counted, up to a bound; in `lost` nobody reads them."""
        kept, ended = bytearray(), False
        while kept or not ended:
            waits = [asyncio.ensure_future(self.up.wait())] if kept else []
            if not ended and (not kept or self.mode == "hold" and self.held < HOLD_MAX):
                waits.append(asyncio.ensure_future(reader.read(CHUNK)))
            done, open_ones = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for one in open_ones:
                one.cancel()
            await asyncio.gather(*open_ones, return_exceptions=True)
            for one in done:
                if isinstance(one.result(), bytes):
                    ended = ended or not one.result()
                    kept += one.result()
                    self.held += len(one.result())
            if self.up.is_set() and kept:
                self.held -= len(kept)
                writer.write(bytes(kept))
                kept.clear()
                await writer.drain()

    async def pump_down(self, reader, writer):
        parts = asyncio.Queue(PARTS_MAX)
        giver = asyncio.ensure_future(self.give(parts, writer))
        try:
            while part := await reader.read(CHUNK):
                late = LATE_S if self.mode == "late" else 0
                await parts.put((asyncio.get_running_loop().time() + late, part))
            await parts.put((0, b""))
            await giver
        finally:
            giver.cancel()

    async def give(self, parts, writer):
        """In order, each when its time has come; b"": there are no more."""
        while True:
            due, part = await parts.get()
            await asyncio.sleep(due - asyncio.get_running_loop().time())
            if not part:
                return
            await self.down.wait()
            writer.write(part)
            await writer.drain()


async def serve(port, target):
    door = Door(port, target)
    commands = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    while True:
        command = (await commands.readline()).decode().strip()
        if not command:
            return
        if command in MODES:
            await door.set(command)
        print("ok", door.held, flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
