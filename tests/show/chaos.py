# SPDX-License-Identifier: Apache-2.0
"""Everything changes at once: two nodes under a sanitizer stand what comes together by chance.

A leader and a follower of simulated markets, a broker, and a third node that says nonsense. In
bursts, each 50 to 500 ms one of them is changed: settings by SIGHUP, the broker or a node stopped,
killed, started as another, the topic deleted, SIGTERM while it starts. In between Kafka feeds both.
Meanwhile hundreds of clients come: in every form, with every kind of token, slow, cut at any byte;
and attacks.

A node may not end by itself, nor leave /healthz unanswered for 10 s. Who reads on keeps the rules:
seq grows by one, a token of one node goes on at the other, nobody gets another text for the same
number. In the end all is mended: both must be fed by Kafka again, hold no more threads and
descriptors than at first, and end in order.

    CHAOS_SEED      of what happens; what it meets depends on time (default: by the clock; told)
    CHAOS_SECONDS   default 120
    TICKWIRE        best a program of build/asan
"""

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request

import websockets.asyncio.client
import websockets.exceptions

from cluster import Audience, Cluster, Listener
from kafka import Broker
from show import conclude, say
from watch import Footprint

import wire
from attacks import ATTACKS
from fake_node import FakeNode, cluster, hello, record
from harness import ROOT, wait_until

SEED = int(os.environ.get("CHAOS_SEED", str(int(time.time()))))
SECONDS = int(os.environ.get("CHAOS_SECONDS", "120"))
RATE = 60
READERS = 5  # of each node
HEALTH_S = 10
WORDS_MAX = 2800  # of a node that failed: the last ones
HEAL_S = 120
BURST_S = 6
CALM_S = 15
TOPIC = "tickwire.market"
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: the end of a connection is an RST
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate\r\n"


# ---- clients that keep the rules ----

class Reader(Listener):
    """Comes again with its token, now here, now there, in any form, when it is closed or has had
    enough."""

    def __init__(self, audience, members, seed):
        self.members, self.random = members, random.Random(seed)
        self.returns = self.resumed = 0
        super().__init__(audience, members[0], "", "/ws/exchange")

    async def run(self):
        self.joined_event.set()
        while not self.leaving:
            await asyncio.sleep(self.random.uniform(0.02, 0.3))
            try:
                await self.visit()
            except (websockets.exceptions.WebSocketException, OSError, TimeoutError, EOFError):
                pass  # a node that is away, or sends it away
            except (ValueError, KeyError) as error:
                self.problem(f"{type(error).__name__}: {error}")

    async def visit(self):
        dice = self.random
        path = dice.choice(["/ws/exchange", "/ws/exchange", "/ws/kafka"])
        query = "?snapshot=" + dice.choice("01") + dice.choice(["", "&batch=1"])
        query += f"&since={self.token}" if self.seq is not None and dice.random() < 0.8 else ""
        self.query, self.in_snapshot = path + query, False
        if "since" not in query:
            self.seq = None
        until = time.monotonic() + dice.uniform(0.1, 15)
        async with websockets.asyncio.client.connect(
                dice.choice(self.members).ws(query, path), max_size=None, open_timeout=HEALTH_S,
                compression=dice.choice([None, "deflate"]), close_timeout=0.2, max_queue=64,
                ping_interval=None) as self.connection:
            self.returns += 1
            while time.monotonic() < until and not self.leaving:
                with contextlib.suppress(TimeoutError):
                    for text in (await asyncio.wait_for(self.connection.recv(), 1)).split("\n"):
                        self.take(text)

    def take(self, text):
        if text.startswith('{"type":"skipped"'):
            return  # hello comes next
        super().take(text)

    def take_hello(self, message):
        self.resumed += message["resumed"]
        super().take_hello(message)

    def take_numbered(self, message, text):
        if message["seq"] != self.seq + 1:
            self.problem(f"{self.seq} then {text}")
        self.seq = message["seq"]
        self.count += 1
        if message["type"] == "epoch":
            self.epoch = message["epoch"]
        other = self.audience.ledger.take(f"{self.stream}.{self.epoch}", self.seq, text)
        if other is not None:
            self.problem(f"not what another client got: {text} instead of {other}")


# ---- clients that do not ----

def storm(port, seed, seconds):
    """One short life after another, in a process of its own."""
    dice, until, begun = random.Random(seed), time.monotonic() + seconds, 0
    while time.monotonic() < until:
        begun += 1
        with contextlib.suppress(OSError, AssertionError):
            visit(dice, port)
        time.sleep(dice.uniform(0, 0.03))  # the rate
    print(begun)


def targets(dice):
    since = dice.choice(["", "", "&since=tw-0.1.1", f"&since={dice.choice(['tw-fake.1.', ''])}9"])
    return dice.choice([
        f"/ws/exchange?snapshot={dice.randrange(2)}&batch={dice.randrange(2)}{since}",
        f"/ws/kafka?batch={dice.randrange(2)}{since}", "/ws/kafka", "/ws/info", "/metrics",
        "/api/v1/cluster", "/api/ws/infra-health", "/api/v1/tickers", "/api/v1/books/upbit/BTC-KRW",
        "/ws/redis", "/readyz"])


def visit(dice, port):
    with wire.Raw(port, receive_buffer=dice.choice([None, 4096])) as raw:
        asked = b"".join(wire.handshake(targets(dice), extra=dice.choice(["", DEFLATE]))
                         for _ in range(dice.choice([1, 1, 1, 3])))
        if dice.random() < 0.3:
            asked += wire.frame(dice.choice([wire.PING, wire.TEXT, wire.CLOSE, 11]), b"\3\xe8")
        cut = dice.randrange(len(asked)) if dice.random() < 0.3 else len(asked)
        raw.send(asked[:cut])
        if dice.random() < 0.3:
            raw.socket.shutdown(socket.SHUT_WR)
        until = time.monotonic() + dice.choice([0, 0, 0.01, 0.1, 1])
        while time.monotonic() < until and raw.receive(until):
            raw.input.clear()
        if dice.random() < 0.5:
            raw.send(wire.frame(dice.choice([wire.PING, wire.CLOSE, 3]), dice.randbytes(2)))
        if dice.random() < 0.5:
            raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


# ---- a node that says nonsense ----

class Babbler(FakeNode):
    """A peer that may say anything, in its answers and on its stream."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        super().__init__(cluster(role="follower"), say=self.babble)

    def change(self):
        dice = self.random
        self.status = dice.choice([200, 200, 200, 401, 503])
        answer = cluster(node=dice.choice(["fake-1", "fake-2", "follower-1"]),
                         role=dice.choice(["leader", "leader", "follower", "starting"]),
                         epoch=dice.choice([1, 7]))
        answer["nodes"][0]["url"] = dice.choice([None, "http://127.0.0.1:1", self.url, "x" * 300])
        self.answer = dice.choice([answer, answer, answer, b"", b"{", b'{"self":1}'])

    def babble(self, connection):
        dice = self.random
        seq = dice.randrange(1, 50)
        connection.send(hello(following=seq, resumed=dice.random() < 0.5,
                              node=dice.choice(["fake-1", "fake-1", "fake-2"])))
        for _ in range(dice.randrange(200)):
            kind = dice.randrange(20)
            if kind == 0:
                connection.send(dice.choice([b"\0", "{}", '{"type":"draining","within_ms":9}',
                                             hello(following=3), record(seq + 1), "[" * 99]))
            elif kind == 1:
                connection.send('{"type":"snapshot_end","seq":%d}' % (seq - 1))
            else:
                connection.send(record(seq, exchange="upbit", state="up", scope="exchange"))
                seq += 1
            time.sleep(dice.uniform(0, 0.02))


# ---- what happens ----

class Chaos:
    def __init__(self, broker, cluster_, babbler):
        self.broker, self.cluster, self.babbler = broker, cluster_, babbler
        self.random = random.Random(SEED)
        self.problems, self.events = [], {}
        self.lock = threading.Lock()  # of which nodes run
        self.slowest_ms = self.calms = 0
        self.ended = threading.Event()
        self.children = []
        self.begun = time.monotonic()

    def member(self):
        return self.random.choice(self.cluster.members)

    # -- the nodes --

    def hang_up(self, member, **settings):
        member.configure(**settings)
        if member.node is not None and member.node.port is not None:
            member.node.send_signal(signal.SIGHUP)

    def reload(self):
        dice = self.random
        changes = dice.sample([
            {"kafka__enabled": dice.random() < 0.6}, {"kafka__enabled": dice.random() < 0.6},
            {"kafka__brokers": dice.choice([self.broker.brokers, "127.0.0.1:1"])},
            {"kafka__topic": dice.choice([TOPIC, TOPIC, "other"])},
            {"stream__max_lag": dice.choice(["1s", "120s"])},
            {"stream__heartbeat": dice.choice(["100ms", "5s"])},
            {"stream__slow_client": dice.choice(["snapshot", "disconnect"])},
            {"http__max_clients": dice.choice([20, 1000])},
            {"exchanges__upbit__enabled": dice.random() < 0.7},
            {"exchanges__upbit__symbols": dice.choice([["BTC-KRW"], ["BTC-KRW", "ETH-KRW"]])},
            {"exchanges__binance__connections": dice.choice([1, 2])},
            {"log__level": dice.choice(["debug", "info"])},
            {"kafka__properties": dice.choice([{}, {"no.such.thing": "1"}])},
            {"kafka__password_file": dice.choice(["", "", "/nowhere"])}], dice.choice([1, 1, 2, 3]))
        settings = {key: value for change in changes for key, value in change.items()}
        member = self.member()
        self.hang_up(member, **settings)
        return f"{member.name} {settings}"

    def toggle(self):
        """Kafka off and on within the same second."""
        member = self.member()
        for _ in range(self.random.randrange(2, 6)):
            self.hang_up(member, kafka__enabled=not member.settings["kafka.enabled"])
            time.sleep(self.random.choice([0, 0.01, 0.1]))
        return member.name

    def look_at_end(self, member, allowed):
        """It has been ended by us; what it said goes on the table when it ended otherwise."""
        status = member.node.wait(60)
        if status not in allowed:
            self.problems.append(f"{member.name} ended with {status}:\n{last_words(member)}")
        member.kill()

    def again(self, member):
        """It comes back, perhaps told otherwise where it is to be reached."""
        member.settings |= {"kafka.password_file": "", "kafka.properties": {}}
        advertise = self.random.choice(["", member.url, "http://other.example:1"])
        member.settings.pop("node.advertise", None)
        if advertise:
            member.settings["node.advertise"] = advertise
        member.launch()
        if self.random.random() < 0.3:  # SIGTERM at some moment of its start
            time.sleep(self.random.uniform(0, 0.5))
            member.node.send_signal(signal.SIGTERM)
            self.look_at_end(member, (0, -signal.SIGTERM))
            member.launch()
        member.ready()

    def restart(self):
        member = self.member()
        how = self.random.choice(["kill", "leave", "leave now"])
        with self.lock:
            if how == "kill":
                member.kill()
            else:
                member.node.send_signal(signal.SIGTERM)
                time.sleep(self.random.uniform(0, 0.5))
                member.node.send_signal(signal.SIGHUP)
                if how == "leave now":
                    member.node.send_signal(signal.SIGTERM)
                self.look_at_end(member, (0,))
            self.again(member)
        return f"{member.name} {how}"

    def swap(self):
        """The leader comes back as a follower and the other way round."""
        with self.lock:
            for member in self.cluster.members:
                member.kill()
            roles = [member.settings["cluster.role"] for member in self.cluster.members]
            for member, role in zip(self.cluster.members, reversed(roles)):
                member.settings["cluster.role"] = role
                self.again(member)
        return str(list(reversed(roles)))

    def freeze(self):
        member = self.member()
        with self.lock:
            member.freeze()
            time.sleep(self.random.uniform(0.1, 3))
            member.thaw()
        return member.name

    # -- the broker --

    def break_broker(self):
        broker = self.broker
        if not broker.running:
            broker.process = None
            broker.launch()
            return "starts"
        if broker.frozen:
            broker.cont()
            return "goes on"
        if self.random.random() < 0.5:
            broker.stop()
            return "stands"
        broker.kill()
        return "is killed"

    def delete_topic(self):
        if not self.broker.running or self.broker.frozen:
            return "no"
        admin = self.broker.admin()
        for name, future in admin.delete_topics([TOPIC, "other"], operation_timeout=5).items():
            with contextlib.suppress(Exception):
                future.result(5)
        return TOPIC

    # -- others --

    def babble(self):
        self.babbler.change()
        return str(self.babbler.answer)[:80]

    def attack(self):
        name, member = self.random.choice(sorted(ATTACKS)), self.member()
        self.spawn(os.path.join(ROOT, "tests", "e2e", "attacks.py"), name, member.port, 2)
        return name

    def spawn(self, *arguments):
        self.children = [child for child in self.children if child.poll() is None]
        self.children.append(subprocess.Popen(
            [sys.executable, *map(str, arguments)], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))

    # -- all of it --

    KINDS = {reload: 30, toggle: 8, restart: 5, swap: 1, freeze: 3, break_broker: 10,
             delete_topic: 1, babble: 12, attack: 4}

    def step(self):
        kind = self.random.choices(list(self.KINDS), list(self.KINDS.values()))[0]
        say(f"{time.monotonic() - self.begun:7.2f} {kind.__name__} {kind(self)}")
        self.events[kind.__name__] = self.events.get(kind.__name__, 0) + 1
        self.look()

    def look(self):
        for member in self.cluster.members:
            if member.node.process.poll() is not None:
                self.problems.append(f"{member.name} ended by itself "
                                     f"({member.node.process.returncode}):\n{last_words(member)}")

    def ask(self):
        """/healthz, again and again."""
        while not self.ended.wait(0.2):
            for member in self.cluster.members:
                with self.lock:
                    begun = time.monotonic()
                    try:
                        with urllib.request.urlopen(member.url + "/healthz", timeout=HEALTH_S):
                            pass
                    except TimeoutError:
                        self.problems.append(f"{member.name} did not answer in {HEALTH_S} s:\n"
                                             f"{last_words(member)}")
                    except OSError:
                        pass  # full, or attacked
                    self.slowest_ms = max(self.slowest_ms,
                                          round((time.monotonic() - begun) * 1000))

    def run(self):
        asker = threading.Thread(target=self.ask, daemon=True)
        asker.start()
        for index, member in enumerate(self.cluster.members):
            self.spawn(os.path.abspath(__file__), "storm", member.port, SEED + index, SECONDS)
        while time.monotonic() - self.begun < SECONDS and not self.problems:
            until = time.monotonic() + self.random.uniform(0.2, BURST_S)
            while time.monotonic() < until and not self.problems:
                self.step()
                time.sleep(self.random.uniform(0.05, 0.5))  # the rate of what happens
            self.calm()
        self.ended.set()
        asker.join()

    def calm(self):
        """All is mended, until Kafka feeds both or it takes too long: else it never would, and
        nothing could change under those who come by it."""
        self.mend()
        until = time.monotonic() + CALM_S
        while time.monotonic() < until and not self.problems:
            self.look()
            with contextlib.suppress(OSError, AssertionError, ValueError):
                if all(member.source() == "kafka" for member in self.cluster.members):
                    self.calms += 1
                    return
            time.sleep(0.1)  # the rate of looking

    def mend(self):
        """As it was at first."""
        if self.broker.running and self.broker.frozen:
            self.broker.cont()
        elif not self.broker.running:
            self.broker.process = None
            self.broker.launch()
        for member in self.cluster.members:
            self.hang_up(member, kafka__enabled=True, kafka__brokers=self.broker.brokers,
                         kafka__topic=TOPIC, kafka__properties={}, kafka__password_file="",
                         http__max_clients=1000, stream__max_lag="120s",
                         exchanges__upbit__enabled=True)

    def heal(self):
        end(self.children)
        self.mend()
        for member in self.cluster.members:
            member.wait_source("kafka", HEAL_S)


def last_words(member):
    """What a sanitizer says comes before its stack; else the end of the log."""
    log = member.log_tail(200)
    at = log.find("Sanitizer")
    return log[max(0, at - 200):][:WORDS_MAX] if at >= 0 else log[-WORDS_MAX:]


def end(children):
    for child in children:
        child.kill()
        child.wait()


def work(broker, cluster_, babbler, audience):
    for member in cluster_.members:
        member.settings["cluster.peers"] += [babbler.url]
        member.settings["log.access"] = 0
        member.settings["http.handshake_rate"] = 10000
        member.settings["http.max_clients_per_ip"] = 10000
    cluster_.start()
    first = [Footprint(member.node) for member in cluster_.members]
    readers = [Reader(audience, cluster_.members, SEED + number)
               for number in range(2 * READERS)]
    audience.listeners += readers
    audience.loop.call_soon_threadsafe(audience._begin, readers)
    chaos = Chaos(broker, cluster_, babbler)
    problems = chaos.problems
    chaos.run()
    figures = {"seed": SEED, "events": chaos.events, "calms": chaos.calms,
               "healthz_ms_max": chaos.slowest_ms}
    if not problems:
        babbler.__exit__()
        chaos.heal()
    end(chaos.children)
    for reader in readers:
        reader.leaving = True
    wait_until(lambda: not audience._tasks, "all readers are home")
    for member, before in zip(cluster_.members, first):
        if problems:
            break
        last = before.wait_no_more(member.node)
        if last.exceeds(before):
            problems.append(f"{member.name} held {before} at first, {last} at last")
        member.stop()
    figures |= {"visits": sum(reader.returns for reader in readers),
                "resumed": sum(reader.resumed for reader in readers),
                "messages": sum(reader.count for reader in readers),
                "compared": audience.ledger.repeats}
    return figures, problems + [text for reader in readers for text in reader.problems]


def main():
    if sys.argv[1:2] == ["storm"]:
        os.nice(5)
        storm(*map(int, sys.argv[2:]))
        return
    say(f"CHAOS_SEED={SEED} CHAOS_SECONDS={SECONDS}")
    figures, problems = {"seed": SEED}, []
    with Broker() as broker, Cluster(broker.brokers, rate=RATE) as cluster_, \
            Babbler(SEED) as babbler, Audience() as audience:
        try:
            figures, problems = work(broker, cluster_, babbler, audience)
        except (AssertionError, OSError, ValueError, KeyError, subprocess.SubprocessError) as error:
            problems = [f"{type(error).__name__}: {error}"]
    conclude("chaos", figures, problems)


if __name__ == "__main__":
    main()
