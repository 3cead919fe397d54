# SPDX-License-Identifier: Apache-2.0
"""Many clients in a process of their own, some of which come and go; each has every message from
where it joined, the same bytes as the others."""

import asyncio
import json
import multiprocessing
import os
import random
import sys
import zlib
from array import array

from show import ROOT

sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))

from path import schema_errors  # noqa: E402
from peers import FORMS, Unframer, request  # noqa: E402
from stream import is_sequenced  # noqa: E402

KNOWN_MAX = 20000  # payloads remembered
SNAPSHOTS_MAX = 3000  # messages of snapshots checked against their schemas
STAY_S = (2, 10)  # of those that come and go
JOIN_S = 10


class Member(asyncio.Protocol):
    """One connection."""

    def __init__(self, gang, form):
        self.gang, self.form = gang, form
        self.unframer = Unframer(form, gang.inflated)
        self.seq = None
        self.in_snapshot = True
        self.leaving = False
        self.joined = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        transport.write(request(self.form))

    def connection_lost(self, error):
        if not self.leaving:
            self.gang.problem(f"connection lost at {self.seq}: {error}, "
                              f"{self.unframer.controls[-2:]}")
            self.settle()

    def settle(self):
        if not self.joined.done():
            self.joined.set_result(None)

    def data_received(self, data):
        if self.leaving:
            return
        try:
            for payload in self.unframer.feed(data):
                self.take(*self.gang.read(payload))
        except (ValueError, KeyError, AssertionError) as error:
            self.gang.problem(f"{type(error).__name__}: {error}")
            self.leave()

    def take(self, kind, seq, sequenced, digest, payload):
        """`seq` of a hello is that of the message before the first one."""
        if kind == "hello":
            assert self.seq is None, "another hello"
            self.seq = seq
        elif self.in_snapshot:
            self.gang.snapshot(payload)
            assert not sequenced, f"{kind} within a snapshot"
            if kind == "snapshot_end":
                self.in_snapshot = False
                self.settle()
        elif sequenced:
            assert seq == self.seq + 1, f"{self.seq} then {seq}"
            self.seq = seq
            self.gang.compare(seq, digest, payload)
        else:
            assert kind in ("heartbeat", "draining"), payload

    def leave(self):
        self.leaving = True
        self.settle()
        self.transport.abort()


class Gang:
    """All of them."""

    def __init__(self, port, stay, change):
        self.port, self.stay, self.change = port, stay, change
        self.known, self.inflated = {}, {}
        self.digests, self.base = array("I"), None  # by seq - base; 0: not seen
        self.snapshots, self.problems = [], []
        self.compared = self.joins = 0
        self.random = random.Random(5)
        self.members = set()

    def problem(self, text):
        if len(self.problems) < 20:
            self.problems.append(text[:500])

    def read(self, payload):
        """Many get the same bytes: read once."""
        found = self.known.get(payload)
        if found is None:
            if len(self.known) > KNOWN_MAX:
                self.known.clear()
                self.inflated.clear()
            message = json.loads(payload)
            kind = message["type"]
            seq = message["next"] - 1 if kind == "hello" else message.get("seq")
            found = kind, seq, is_sequenced(message), zlib.crc32(payload), payload
            self.known[payload] = found
        return found

    def snapshot(self, payload):
        if len(self.snapshots) < SNAPSHOTS_MAX:
            self.snapshots.append(payload)

    def compare(self, seq, digest, payload):
        self.compared += 1
        if self.base is None:
            self.base = seq
        index = seq - self.base
        if index >= len(self.digests):
            self.digests.extend([0] * (index + 1 - len(self.digests)))
        if self.digests[index] == 0:
            self.digests[index] = digest
        elif self.digests[index] != digest:
            self.problem(f"not what others got: {payload!r}")

    async def join(self, number):
        form = FORMS[number % len(FORMS)]
        loop = asyncio.get_running_loop()
        _, member = await loop.create_connection(lambda: Member(self, form), "127.0.0.1",
                                                 self.port)
        self.joins += 1
        self.members.add(member)
        try:
            await asyncio.wait_for(member.joined, JOIN_S)
        except TimeoutError:
            self.problem(f"no snapshot within {JOIN_S} s")
        return member

    async def come_and_go(self, number):
        while True:
            member = await self.join(number)
            await asyncio.sleep(self.random.uniform(*STAY_S))  # it stays so long
            self.members.discard(member)
            member.leave()

    async def run(self, pipe):
        """Until something comes through the pipe."""
        for number in range(self.stay):
            await self.join(number)
        changing = [asyncio.ensure_future(self.come_and_go(number))
                    for number in range(self.change)]
        pipe.send("ready")
        stop = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_reader(pipe.fileno(), lambda: stop.done()
                                              or stop.set_result(None))
        await stop
        for task in changing:
            if task.done():
                self.problem(f"a client that comes and goes: {task.exception()}")
            task.cancel()
        for member in self.members:
            member.leave()

    def result(self):
        self.problems += schema_errors([json.loads(text) for text in self.snapshots])[:5]
        return {"problems": self.problems, "joins": self.joins, "compared": self.compared,
                "snapshot_messages": len(self.snapshots), "digests": self.digests,
                "base": self.base}


def be_crowd(pipe, port, stay, change):
    gang = Gang(port, stay, change)
    try:
        asyncio.run(gang.run(pipe))
    except (OSError, EOFError) as error:
        gang.problem(f"{type(error).__name__}: {error}")
    pipe.send(gang.result())


class Crowd:
    """`stay` clients that stay and `change` that come and go, in all forms of the stream."""

    def __init__(self, node, stay, change):
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=be_crowd, args=(other, node.port, stay, change),
                                       daemon=True)
        self.process.start()
        assert self.pipe.poll(60) and self.pipe.recv() == "ready", "the crowd did not come"

    def finish(self, follower):
        """Ends it. (figures, problems): they must have had the same bytes as the follower."""
        self.pipe.send("stop")
        assert self.pipe.poll(120), "the crowd does not answer"
        result = self.pipe.recv()
        self.process.join(10)
        problems = result["problems"]
        if not result["compared"]:
            return {}, problems + ["the crowd got nothing"]
        pairs = zip(result["digests"], follower.digests[result["base"] - follower.first_seq:])
        different = sum(ours != theirs for ours, theirs in pairs if ours)
        if different:
            problems.append(f"{different} messages differ from the follower's")
        return {"joins": result["joins"], "messages_of_crowd": result["compared"],
                "snapshot_messages": result["snapshot_messages"]}, problems
