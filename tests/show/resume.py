# SPDX-License-Identifier: Apache-2.0
"""Many clients, each cut at a random byte several times, resume with tokens they built themselves.

In the end each one's sequenced messages must be byte-equal to those of a client that was never cut.
A client speaks WebSocket by a few lines of its own (below), because a library would not say at
which byte it stands. It is cut when it has taken a number of bytes of its connection: in the
handshake's answer, in hello, in a frame's header or payload, anywhere.
"""

import asyncio
import json
import multiprocessing
import os
import random
import struct
import sys

import websockets.asyncio.client

from show import IN_CI, ROOT, end, say

sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))

import wire  # noqa: E402
from harness import replay  # noqa: E402
from stream import is_sequenced  # noqa: E402

CLIENTS = 300 if IN_CI else 1000
LAST = 700 if IN_CI else 1500  # seq at which everybody is done
CUTS = 6  # of each client
SPEED = "4"
SEED = 20261122
DEADLINE_S = 50 if IN_CI else 300
WORKERS = 2
BYTES_PER_MESSAGE = 700  # about; only to spread the cuts over the way


class Payloads:
    """Every payload once, with what its JSON says: many clients get the same bytes."""

    def __init__(self):
        self.known = {}

    def get(self, payload):
        found = self.known.get(payload)
        if found is None:
            message = json.loads(payload)
            found = self.known[payload] = (payload, message, is_sequenced(message))
        return found


class Connection(asyncio.Protocol):
    """One connection of a client, until it is cut, lost or at the goal."""

    def __init__(self, client, target, cut_at):
        self.client, self.target, self.cut_at = client, target, cut_at
        self.input, self.taken, self.switched = b"", 0, False
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        transport.write(wire.handshake(self.target))

    def connection_lost(self, error):
        if not self.ended.done():
            self.client.problems.append(f"connection lost: {error}")
            self.ended.set_result(False)

    def data_received(self, data):
        if self.ended.done():
            return
        cut = self.cut_at is not None and self.taken + len(data) >= self.cut_at
        if cut:
            data = data[:self.cut_at - self.taken]
        self.taken += len(data)
        self.input += data
        self.read()
        if self.client.finished or cut:
            self.transport.abort()
            self.ended.set_result(cut)

    def read(self):
        if not self.switched:
            head, separator, rest = self.input.partition(b"\r\n\r\n")
            if not separator:
                return
            if not head.startswith(b"HTTP/1.1 101 "):
                self.client.problems.append(f"not switched: {head[:100]!r}")
            self.switched, self.input = True, rest
        at, data = 0, self.input
        while (frame := next_frame(data, at)) is not None:
            start, at = frame
            self.client.take(data[start:at])
        self.input = data[at:]


def next_frame(data, at):
    """(start of the payload, its end) of a whole text frame at this place."""
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
    if data[at] != 0x81:
        raise ValueError(f"not a whole text message: {data[at]:#x}")
    return (start, start + size) if len(data) >= start + size else None


class Client:
    def __init__(self, number, payloads):
        self.rng = random.Random(SEED + number)
        self.payloads = payloads
        self.snapshot = number % 2 == 0
        self.stream = self.epoch = self.seq = self.first = None
        self.messages, self.problems = [], []
        self.cuts = self.resumes = self.starts = 0
        self.hello_due = True

    @property
    def finished(self):
        return self.seq is not None and self.seq >= LAST

    def take(self, payload):
        payload, message, sequenced = self.payloads.get(payload)
        if message["type"] == "hello":
            self.take_hello(message)
        elif self.hello_due:
            self.problems.append(f"{message['type']} before hello")
        elif sequenced and not self.finished:
            if message["seq"] != self.seq + 1:
                self.problems.append(f"{message['seq']} behind {self.seq}")
            self.messages.append(payload)
            self.seq = message["seq"]
            if message["type"] == "epoch":
                self.epoch = message["epoch"]
        elif message["type"] in ("skipped", "draining"):
            self.problems.append(str(message))

    def take_hello(self, message):
        if not self.hello_due:
            self.problems.append("hello again")
        self.hello_due = False
        if self.seq is None:
            self.seq, self.first = message["next"] - 1, message["next"]
        else:
            self.resumes += 1
            if message["resumed"] is not True or message["next"] != self.seq + 1 \
                    or message["stream"] != self.stream:
                self.problems.append(f"not resumed at {self.seq}: {message}")
        self.stream, self.epoch = message["stream"], message["epoch"]

    def next_cut(self):
        if self.cuts == CUTS:
            return None
        if self.rng.random() < 0.3:  # in the handshake's answer, hello, the first frames
            return self.rng.randrange(1, 1500)
        return self.rng.randrange(1, 2 * LAST * BYTES_PER_MESSAGE // (CUTS + 2))

    def next_target(self):
        if self.seq is not None:
            return f"/ws/exchange?since={self.stream}.{self.epoch}.{self.seq}"
        self.starts += 1
        return "/ws/exchange" if self.snapshot else "/ws/exchange?snapshot=0"

    async def run(self, port):
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self.rng.random())  # they come one after another
        while not self.finished and len(self.problems) < 5:
            self.hello_due = True
            target, cut_at = self.next_target(), self.next_cut()
            _, connection = await loop.create_connection(
                lambda target=target, cut_at=cut_at: Connection(self, target, cut_at),
                "127.0.0.1", port)
            self.cuts += await connection.ended
            await asyncio.sleep(self.rng.choice((0, 0, self.rng.random() / 2)))


def work(port, numbers, pipe):
    """One process: its clients, then the comparison."""
    async def run_all(clients):
        await asyncio.wait_for(asyncio.gather(*(client.run(port) for client in clients)),
                               DEADLINE_S)

    payloads = Payloads()
    clients = [Client(number, payloads) for number in numbers]
    problem = None
    try:
        asyncio.run(run_all(clients))
    except Exception as error:  # whatever it is, the show has failed and must say so
        problem = f"{type(error).__name__}: {error}"
    pipe.send("done")
    reference = pipe.recv()  # {seq: payload}
    compared = differing = 0
    for client in clients:
        for offset, payload in enumerate(client.messages):
            compared += 1
            differing += payload != reference.get(client.first + offset)
        if client.seq != LAST:
            client.problems.append(f"ended at {client.seq}")
    pipe.send({
        "clients": len(clients), "cuts": sum(client.cuts for client in clients),
        "resumes": sum(client.resumes for client in clients),
        "starts": sum(client.starts for client in clients),
        "clients_cut_every_time": sum(client.cuts == CUTS for client in clients),
        "compared": compared, "differing": differing,
        "problems": [text for client in clients for text in client.problems][:5]
        + ([problem] if problem else [])})


async def uninterrupted(url):
    """{seq: payload} as a client library gives it."""
    messages = {}
    async with websockets.asyncio.client.connect(url, compression=None, max_size=None) as it:
        async for text in it:
            message = json.loads(text)
            if message["type"] == "skipped":
                raise AssertionError("the uninterrupted client was skipped")
            if is_sequenced(message):
                messages[message["seq"]] = text.encode()
                if message["seq"] >= LAST:
                    return messages


def main():
    context = multiprocessing.get_context("spawn")
    options = ("--loop", "--speed", SPEED, "--set", f"http.max_clients_per_ip={4 * CLIENTS}",
               "--set", "stream.max_lag=10m")
    with replay(*options) as node:
        workers = []
        for index in range(WORKERS):
            ours, theirs = context.Pipe()
            process = context.Process(target=work, daemon=True, args=(
                node.port, range(index, CLIENTS, WORKERS), theirs))
            process.start()
            workers.append((process, ours))
        url = node.ws("?since=" + node.first_token())
        reference = asyncio.run(asyncio.wait_for(uninterrupted(url), DEADLINE_S))
        results = []
        for process, pipe in workers:
            pipe.recv()
            pipe.send(reference)
            results.append(pipe.recv())
            process.join()
    figures = {key: sum(result[key] for result in results)
               for key in results[0] if key != "problems"}
    problems = [text for result in results for text in result["problems"]]
    if problems:
        figures["problems"] = problems
    say(f"resume: {json.dumps(figures)}")
    passed = (not problems and figures["differing"] == 0 and figures["clients"] == CLIENTS
              and figures["compared"] > CLIENTS * LAST // 2 and figures["cuts"] >= 3 * CLIENTS
              and figures["resumes"] >= 3 * CLIENTS)
    end("resume", passed, figures)


if __name__ == "__main__":
    main()
