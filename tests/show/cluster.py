# SPDX-License-Identifier: Apache-2.0
"""What shows of several nodes share: a leader and a follower that collect from one simulator and
share a broker; and an audience of clients that hold every message against the others'.

    with Broker() as broker, Cluster(broker.brokers) as cluster:
        cluster.start()                       # both, in Kafka's mode
        with Audience() as audience:
            clients = audience.join(cluster.leader, 10) + audience.join(cluster.follower, 10)
            broker.kill()
            cluster.leader.wait_source("direct")
            ...
            cluster.halt()                    # all markets are quiet
            audience.wait_all_at_end(cluster)
            figures, problems = cluster.compare(audience.ledger)
        problems += audience.problems()

A node here is a Member: it keeps its port and its configuration file over restarts, so that it can
be killed, frozen, reconfigured by SIGHUP.
"""

import asyncio
import collections
import json
import os
import shutil
import signal
import tempfile
import threading
import time

import websockets.asyncio.client
import websockets.exceptions
import websockets.sync.client

from kafka import Broker, free_port
from live import EXCHANGES, SYMBOLS, Comparison, Truth
from show import say

from harness import PATIENCE, Node, wait_until
from simulator import Simulator
from stream import SEQUENCED

SLOW_MACHINE = 180  # seconds within which what should come soon must come
TRUTH_EVERY_S = 5  # between two looks: the simulator forgets old trades
HEARTBEAT = "500ms"
SILENCE_WINDOW_MS = 100  # less is not worth a note
STARTS = 5  # of a node, on a machine that is late
LATE_MAX = 10  # times that a node of a show may leave a Kafka that is only late


# ---- nodes ----

def nested(settings):
    """{"a.b": 1} as YAML understands it."""
    tree = {}
    for key, value in settings.items():
        *path, last = key.split(".")
        node = tree
        for part in path:
            node = node.setdefault(part, {})
        node[last] = value
    return tree


def as_yaml(settings):
    """Block style for the keys, JSON for the values."""
    def lines(tree, depth):
        for key, value in tree.items():
            if isinstance(value, dict) and value:
                yield f"{'  ' * depth}{key}:"
                yield from lines(value, depth + 1)
            else:
                yield f"{'  ' * depth}{key}: {json.dumps(value)}"
    return "\n".join(lines(nested(settings), 0)) + "\n"


class Member:
    """One node of a cluster: `settings` {key: value} go to its file. `node` is what runs now (a
    harness.Node), or None."""

    def __init__(self, name, settings):
        self.name, self.node, self.frozen = name, None, False
        self.port = free_port()
        self.folder = tempfile.mkdtemp(prefix=f"tickwire-{name}-")
        self.path = os.path.join(self.folder, "tickwire.yaml")
        self.settings = {"node.id": name, "http.listen": f"127.0.0.1:{self.port}",
                         "stream.heartbeat": HEARTBEAT, "node.drain_timeout": "2s", **settings}
        self.log_of_former = []  # lines of its former lives

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def configure(self, **settings):
        """Dots are double underscores: configure(kafka__enabled=False). Takes effect with start()
        or reload()."""
        self.settings.update({key.replace("__", "."): value for key, value in settings.items()})
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(as_yaml(self.settings))
        return self

    # -- its life --

    def launch(self):
        """Does not wait."""
        assert self.node is None, f"{self.name} runs already"
        self.configure()
        self.node = Node("serve", "-c", self.path)
        return self

    def ready(self):
        """It listens."""
        self.node.start()
        return self

    def start(self):
        return self.launch().ready()

    def start_by_kafka(self):
        """A follower whose log is what Kafka holds: where that is late, one begins by its peer,
        with what comes from then on. Returns when it has a log."""
        for _ in range(STARTS):
            self.start().wait_stream()
            if not self.node.logged(msg="mode", mode="follower-peer"):
                return self
            self.kill()
        raise AssertionError(f"{self.name} began {STARTS} times by its peer:\n{self.log_tail()}")

    def kill(self):
        """kill -9; what it had in memory is gone."""
        if self.node is not None:
            self.node.close()
            self.log_of_former += self.node.lines
            self.node, self.frozen = None, False

    def stop(self):
        """In order; it must say 0."""
        node, self.node = self.node, None
        try:
            status = node.stop()
        finally:
            self.log_of_former += node.lines
        assert status == 0, f"{self.name}: exit status {status}:\n{node.log}"

    def freeze(self):
        """SIGSTOP."""
        self.node.send_signal(signal.SIGSTOP)
        self.frozen = True

    def thaw(self):
        self.node.send_signal(signal.SIGCONT)
        self.frozen = False

    def reload(self, **settings):
        """SIGHUP with these settings changed; returns when the node has taken them."""
        self.configure(**settings)
        count = len(self.node.logged(msg="configuration reloaded"))
        self.node.send_signal(signal.SIGHUP)
        self.node.wait_log(count + 1, SLOW_MACHINE, msg="configuration reloaded")

    # -- what it says of itself --

    def ws(self, query="", path="/ws/exchange"):
        return f"ws://127.0.0.1:{self.port}{path}{query}"

    def health(self):
        return self.node.json("/api/ws/infra-health")

    def info(self):
        return self.node.info()

    def cluster(self):
        return self.node.json("/api/v1/cluster")

    def metric(self, name, **labels):
        """The value of a series, 0 when there is none."""
        from prometheus import Metrics
        return Metrics(self.node).value(name, **labels)

    def source(self):
        return self.info()["source"]

    def wait_source(self, source, seconds=SLOW_MACHINE):
        wait_until(lambda: self.source() == source,
                   lambda: f"{self.name}: source {source}; it says {self.health()}\n"
                   f"{self.log_tail()}", seconds)
        return self

    def wait_stream(self, seconds=SLOW_MACHINE):
        """It has a log. Returns (stream, epoch)."""
        def there():
            info = self.info()
            return (info["stream"], info["epoch"]) if info["stream"] else None
        return wait_until(there, f"{self.name} has a stream", seconds)

    def knock(self, path="/ws/kafka"):
        """What a WebSocket handshake there is answered: (101, "") or (status, body)."""
        try:
            with websockets.sync.client.connect(self.ws("?snapshot=0", path), compression=None,
                                                open_timeout=PATIENCE, close_timeout=0.2):
                return 101, ""
        except websockets.exceptions.InvalidStatus as error:
            return error.response.status_code, error.response.body.decode()

    def observe(self):
        """What it says of its feed, at about one time."""
        info, health = self.info(), self.health()
        kafka = health["dependencies"]["kafka"]
        return {"source": info["source"], "mode": info["mode"], "health": health["source"],
                "health_mode": health["mode"], "better": health["better"],
                "kafka": kafka["state"], "error": kafka["error"], "door": self.knock()[0],
                "endpoint": "kafka" in info["endpoints"]}

    def log_tail(self, lines=25):
        return "\n".join([*self.log_of_former, *(self.node.lines if self.node else [])][-lines:])

    def close(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def sources_problem(listener, wanted, away=None):
    """What is wrong with the sources that a client was told, or None. wanted: [names]. On a machine
    that does much else Kafka may be late for a while, and come back: `away`, then `kafka`."""
    told = [message["source"] for _, message in listener.sources]
    more = len(told) - len(wanted)
    others = [{away: "kafka", "kafka": away}.get(source) for source in told]
    if told == wanted or (away and 0 < more <= 2 * LATE_MAX and more % 2 == 0
                          and told[1:] == others[:-1] and told[-1] == (wanted or ["kafka"])[-1]):
        return None
    return f"a client of {listener.member_name} is told {told} instead of {wanted}"


# ---- the cluster ----

def declares(gap, truth, index):
    """The gap says that this trade is missing."""
    if "after_id" in gap and "before_id" in gap:
        return int(gap["after_id"]) < int(truth.trades[index][0]) < int(gap["before_id"])
    time_us = truth.times_us[index] // 1000 * 1000
    return gap.get("from_ts", 0) <= time_us <= gap.get("to_ts", 1 << 62)


class Cluster:
    """A simulator, `leader` and `follower` (not started yet). A context manager.

    settings: of both, {key: value}; rate: orders a second of the simulator."""

    def __init__(self, brokers, rate=300, seed=7, exchanges=EXCHANGES, settings=None):
        self.exchanges = exchanges
        self.simulator = Simulator("--rate", str(rate), "--seed", str(seed))
        self.truths = {(exchange, symbol): Truth(self.simulator, exchange, symbol)
                       for exchange in exchanges for symbol in SYMBOLS[exchange]}
        # Here clients are programs in Python: on a slow machine they lag, and are not to be helped.
        common = {"kafka.enabled": brokers is not None, "stream.max_lag": "120s",
                  **self._exchange_settings()}
        if brokers is not None:
            common["kafka.brokers"] = brokers
        self.leader, self.follower = (
            Member(f"{role}-1", {"cluster.role": role, **common, **(settings or {})})
            for role in ("leader", "follower"))
        self.leader.settings["cluster.peers"] = [self.follower.url]
        self.follower.settings["cluster.peers"] = [self.leader.url]
        self.members = [self.leader, self.follower]
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._looker = threading.Thread(target=self._look, daemon=True)
        self._looker.start()

    def _exchange_settings(self):
        settings = {}
        for name in EXCHANGES:
            if name in self.exchanges:
                settings[f"exchanges.{name}.ws_url"] = self.simulator.ws("/" + name)
                settings[f"exchanges.{name}.rest_url"] = (
                    f"http://127.0.0.1:{self.simulator.port}/{name}")
            else:
                settings[f"exchanges.{name}.enabled"] = False
        return settings

    def _look(self):
        while not self._ended.wait(TRUTH_EVERY_S):
            self.fetch_truths()

    def fetch_truths(self):
        with self._lock:
            for truth in self.truths.values():
                truth.fetch()

    def start(self, source="kafka"):
        """Both, until both are fed by that."""
        for member in self.members:
            member.start()
        for member in self.members:
            member.wait_source(source)
        return self

    def halt(self, seconds=600):
        """All markets are quiet from now on."""
        for exchange in self.exchanges:
            self.simulator.fault("halt", exchange, ms=seconds * 1000)

    def compare(self, ledger, stream=None, gaps_allowed=False):
        """(figures, problems) of the trades of a stream beside the truth: nothing twice, and from
        the first trade of each market in the ledger on nothing missing; with gaps_allowed, but what
        a gap declares (there is no filling of gaps yet: whoever was away from an exchange missed
        trades). The markets are halted, and the ledger is complete."""
        self.fetch_truths()
        trades, gaps = collections.defaultdict(list), collections.defaultdict(list)
        for text in ledger.texts(stream):
            if text.startswith('{"type":"trade"'):
                message = json.loads(text)
                trades[message["exchange"], message["symbol"]].append(message)
            elif text.startswith('{"type":"gap"'):
                message = json.loads(text)
                if message["channel"] == "trade":
                    gaps[message["exchange"], message["symbol"]].append(message)
        figures, problems = collections.Counter(trades=0, missing=0), []
        for key, truth in self.truths.items():
            found = Comparison(truth, trades[key])
            problems += found.problems()
            missing = [index for index in found.missing if not gaps_allowed
                       or not any(declares(gap, truth, index) for gap in gaps[key])]
            if missing:
                problems.append(f"{key}: {len(missing)} trades missing of {len(truth.trades)}, "
                                f"first {truth.trades[missing[0]]} of {truth.times_us[missing[0]]};"
                                f" gaps {gaps[key][:2]}")
            figures.update(trades=len(found.seen), missing=len(missing), gaps=len(gaps[key]),
                           declared_missing=len(found.missing) - len(missing),
                           out_of_order=len(found.late))
        return dict(figures), problems

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._ended.set()
        self._looker.join(PATIENCE)
        for member in self.members:
            member.close()
        self.simulator.process.kill()
        self.simulator.process.communicate()


# ---- clients ----

class Ledger:
    """Every sequenced message that any client got, once: {stream: {seq: text}}. Who gets another
    text for a number is told so."""

    def __init__(self):
        self.streams = collections.defaultdict(dict)
        self.known = {}  # text: what its JSON says, of the last ones
        self.repeats = 0  # texts compared

    def read(self, text):
        """The message: many get the same bytes, parsed once."""
        message = self.known.get(text)
        if message is None:
            if len(self.known) > 20000:
                self.known.clear()
            message = self.known[text] = json.loads(text)
        return message

    def take(self, stream, seq, text):
        """The other text that is known, or None."""
        known = self.streams[stream].setdefault(seq, text)
        if known is text:
            return None
        self.repeats += 1
        return None if known == text else known

    def newest(self, stream):
        return max(self.streams[stream], default=0)

    def only_stream(self):
        assert len(self.streams) == 1, f"streams {list(self.streams)}"
        return next(iter(self.streams))

    def texts(self, stream=None):
        """In order of seq."""
        found = self.streams[stream or self.only_stream()]
        return [found[seq] for seq in sorted(found)]


class Listener:
    """One connection of an audience. What came is compared at once; what is remarkable is kept:
    hellos, sources, skips as (at, message), `at` in seconds of time.monotonic()."""

    def __init__(self, audience, member, query, path):
        self.audience, self.member_name, self.query = audience, member.name, query
        self.url = member.ws(query, path)
        self.stream = self.epoch = self.seq = self.first_seq = None
        self.count = 0
        self.hellos, self.sources, self.skips, self.problems = [], [], [], []
        self.snapshot, self.in_snapshot = [], False  # texts of the last one, and its end
        self.silence_ms, self.last_at, self.silences = 0, None, []
        self.closed = None  # (code, reason) when the server ended it
        self.leaving, self.may_end = False, False
        self.connection, self.joined_event = None, threading.Event()

    @property
    def token(self):
        return f"{self.stream}.{self.epoch}.{self.seq}"

    @property
    def alive(self):
        return self.closed is None and not self.leaving

    def problem(self, text):
        if len(self.problems) < 10:
            self.problems.append(f"client of {self.member_name}{self.query}: {text}"[:700])

    async def run(self):
        try:
            self.connection = await websockets.asyncio.client.connect(
                self.url, compression=None, max_size=None, open_timeout=PATIENCE,
                close_timeout=0.2, max_queue=1024, ping_interval=None)
            self.joined_event.set()
            async for frame in self.connection:
                for text in frame.split("\n"):
                    self.take(text)
        except websockets.exceptions.ConnectionClosed:
            pass
        except (websockets.exceptions.WebSocketException, OSError, TimeoutError, ValueError,
                KeyError, AssertionError) as error:
            self.problem(f"{type(error).__name__}: {error}")
        finally:
            if not self.leaving and self.connection is not None:
                protocol = self.connection.protocol
                self.closed = protocol.close_code, protocol.close_reason
            elif self.connection is None:
                self.closed = None, "never connected"
            self.joined_event.set()

    def take(self, text):
        message = self.audience.ledger.read(text)
        kind = message["type"]
        if kind == "hello":
            self.hellos.append((time.monotonic(), message))
            self.take_hello(message)
        elif self.in_snapshot:
            self.snapshot.append(text)
            self.in_snapshot = kind != "snapshot_end"
        elif kind in SEQUENCED:
            self.take_numbered(message, text)
        elif kind == "heartbeat":
            if message["seq"] != self.seq:
                self.problem(f"{text} after {self.seq}")
        elif kind == "source":
            self.sources.append((time.monotonic(), message))
        elif kind == "skipped":
            self.skips.append((time.monotonic(), message))
            self.problem(f"too slow: {text}")

    def take_hello(self, message):
        if not message["resumed"]:
            self.in_snapshot = "snapshot=0" not in self.query
            self.snapshot = []
        elif self.seq is not None and message["next"] != self.seq + 1:
            self.problem(f"resumed elsewhere than after {self.seq}: {message}")
        self.stream, self.epoch = message["stream"], message["epoch"]
        self.seq = message["next"] - 1

    def take_numbered(self, message, text):
        now, seq = time.monotonic(), message["seq"]
        if self.last_at is not None and not self.audience.quiet:
            silence = (now - self.last_at) * 1000
            self.silence_ms = max(self.silence_ms, silence)
            if silence > SILENCE_WINDOW_MS:
                self.silences.append((self.last_at, silence))
        self.last_at = now
        if seq != self.seq + 1:
            self.problem(f"{self.seq} then {seq}")
        self.first_seq = self.first_seq or seq
        self.seq = seq
        self.count += 1
        if message["type"] == "epoch":
            self.epoch = message["epoch"]
        other = self.audience.ledger.take(self.stream, seq, text)
        if other is not None:
            self.problem(f"not what another client got: {text} instead of {other}")


class Audience:
    """Clients in a thread of their own. A context manager; its problems() are to be asked for."""

    def __init__(self):
        self.ledger, self.listeners = Ledger(), []
        self.quiet = False  # set: silence is not counted
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self._tasks = set()

    def join(self, member, count=1, query="?batch=1", path="/ws/exchange"):
        """So many clients more, connected (or refused: then `closed` and a problem say so)."""
        return self.join_all([(member, query, path)] * count)

    def join_all(self, whom):
        """The same for [(member, query, path)], all at about the same time."""
        new = [Listener(self, member, query, path) for member, query, path in whom]
        self.loop.call_soon_threadsafe(self._begin, new)
        for listener in new:
            assert listener.joined_event.wait(SLOW_MACHINE), "a client does not come in"
        self.listeners += new
        return new

    def join_from_start(self, member, count=1):
        """From the stream's first record on, as long as the node has it."""
        first = member.cluster()["history"][-1]["epoch"]
        new = self.join(member, count, f"?batch=1&since={member.info()['stream']}.{first}.1")
        self.wait(lambda: all(listener.hellos for listener in new), "hello")
        assert all(listener.hellos[0][1]["resumed"] is True for listener in new), new[0].hellos
        return new

    def _begin(self, listeners):
        for listener in listeners:
            task = self.loop.create_task(listener.run())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def leave(self, listeners):
        """They go; what they had stays."""
        for listener in listeners:
            listener.leaving = True
            if listener.connection is not None:
                asyncio.run_coroutine_threadsafe(listener.connection.close(), self.loop).result(
                    PATIENCE)

    def forget(self, listeners):
        """They go and are not asked for problems any more; [their problems]."""
        self.leave(listeners)
        self.listeners = [each for each in self.listeners if each not in listeners]
        return [text for listener in listeners for text in listener.problems]

    def alive(self):
        return [listener for listener in self.listeners if listener.alive]

    def wait(self, condition, what, seconds=SLOW_MACHINE):
        """Fails at once when somebody has a problem."""
        def checked():
            problems = self.problems()
            assert not problems, problems[:3]
            return condition()
        return wait_until(checked, what, seconds)

    def wait_count(self, listeners, count, seconds=SLOW_MACHINE):
        """Each of them gets so many messages more."""
        begun = {listener: listener.count for listener in listeners}
        self.wait(lambda: all(listener.count >= begun[listener] + count for listener in listeners),
                  lambda: f"{count} messages more than {sorted(begun.values())}; now it is "
                  f"{sorted(listener.count for listener in listeners)}", seconds)

    def wait_all_at_end(self, cluster, seconds=SLOW_MACHINE):
        """The markets are halted: the last trades of all of them are in the ledger, and everybody
        alive has the newest message of all."""
        cluster.fetch_truths()
        missing = {(exchange, symbol, truth.trades[-1][0])
                   for (exchange, symbol), truth in cluster.truths.items() if truth.trades}
        seen = {}  # stream: seq up to which it was looked at

        def arrived():
            for stream, found in list(self.ledger.streams.items()):
                newest = max(found, default=0)
                for seq in range(seen.get(stream, min(found, default=1) - 1) + 1, newest + 1):
                    text = found.get(seq, "")
                    if text.startswith('{"type":"trade"'):
                        message = json.loads(text)
                        missing.discard((message["exchange"], message["symbol"],
                                         message.get("id")))
                seen[stream] = newest
            streams = {listener.stream for listener in self.alive()}
            return not missing and all(
                listener.seq == max(other.seq for other in self.alive()
                                    if other.stream == listener.stream)
                for listener in self.alive()) and streams
        try:
            self.wait(arrived, "the last trades, to everybody", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}: missing {list(missing)[:3]}; they are at " + str(
                {(each.member_name, each.stream, each.seq) for each in self.alive()})) from None

    def problems(self):
        """Of everybody, with who was dropped."""
        found = [text for listener in self.listeners for text in listener.problems]
        found += [f"a client of {listener.member_name} was dropped: {listener.closed}"
                  for listener in self.listeners
                  if listener.closed is not None and not listener.may_end]
        return found

    def figures(self):
        counts = [listener.count for listener in self.listeners]
        return {"clients": len(counts), "messages": sum(counts),
                "distinct": sum(map(len, self.ledger.streams.values())),
                "compared": self.ledger.repeats,
                "silence_ms_max": round(max((listener.silence_ms for listener in self.listeners),
                                            default=0))}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.leave(self.alive())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(PATIENCE)


# ---- all of it ----

def with_broker(work, rate):
    """(figures, problems) of work(broker, cluster, audience), whose nodes are not started yet. When
    it raises, the nodes' last words are shown."""
    with Broker() as broker, Cluster(broker.brokers, rate=rate) as cluster, \
            Audience() as audience:
        try:
            return work(broker, cluster, audience)
        except AssertionError:
            say("\n".join(f"{member.name}:\n{member.log_tail(60)}" for member in cluster.members))
            raise
