# SPDX-License-Identifier: Apache-2.0
"""What live shows share: the simulator with nodes that collect from it, a client that checks every
message as it comes, and the comparison of what it got with what the simulator says is true."""

import collections
import json
import multiprocessing
import os
import sys
import threading
import time
import zlib
from array import array
from decimal import ROUND_HALF_UP, Decimal

import websockets.exceptions
import websockets.sync.client

from show import ROOT

sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))

from harness import EXCHANGES, LISTEN, PATIENCE, Node  # noqa: E402
from path import schema_errors  # noqa: E402
from simulator import Simulator  # noqa: E402
from stream import Books, is_sequenced  # noqa: E402

SYMBOLS = {"binance": ["BTC-USDT", "ETH-USDT", "XRP-USDT", "SOL-USDT"],
           "upbit": ["BTC-KRW", "ETH-KRW", "XRP-KRW", "SOL-KRW", "USDT-KRW"],
           "bithumb": ["BTC-KRW", "ETH-KRW", "XRP-KRW", "SOL-KRW", "USDT-KRW"]}  # by default
SHOWN = {"binance": 20, "upbit": 30, "bithumb": 15}  # levels a side, as subscribed by default
BITHUMB_STEP = Decimal("0.0001")  # of sizes in its books
SCHEMA_CHUNK = 500  # messages


def now_us():
    return time.time_ns() // 1000


# ---- the simulator and its nodes ----

class Live:
    """A simulator and a node that collects `exchanges` from it; a context manager. Settings and
    limits are "key=value"."""

    def __init__(self, rate=300, seed=7, exchanges=EXCHANGES, settings=(), limits=(),
                 simulate=()):
        self.exchanges, self.settings = exchanges, list(settings)
        self.simulator = Simulator("--rate", str(rate), "--seed", str(seed),
                                   *(part for limit in limits for part in ("--set-limit", limit)),
                                   *simulate)
        self.nodes, self.faults = [], []

    def arguments(self, *settings):
        """Of a node that collects from the simulator."""
        pairs = []
        for name in EXCHANGES:
            if name not in self.exchanges:
                pairs.append(f"exchanges.{name}.enabled=false")
                continue
            pairs += [f"exchanges.{name}.ws_url={self.simulator.ws('/' + name)}",
                      f"exchanges.{name}.rest_url=http://127.0.0.1:{self.simulator.port}/{name}"]
        pairs += [*self.settings, *settings]
        return [*LISTEN, *(part for pair in pairs for part in ("--set", pair))]

    def start_node(self, *settings, **options):
        """One more; `options` are those of harness.Node."""
        node = Node("serve", *self.arguments(*settings), **options)
        self.nodes.append(node)
        return node.start()

    def stop_node(self, node):
        """In order; it must say 0."""
        self.nodes.remove(node)
        status = node.stop()
        assert status == 0, f"exit status {status}:\n{node.log}"

    @property
    def node(self):
        return self.nodes[0]

    def fault(self, kind, exchange, **fields):
        """What the simulator answers: id, from_us, to_us, ... It is remembered in `faults`."""
        fault = self.simulator.fault(kind, exchange, **fields)
        self.faults.append({**fields, **fault})
        return fault

    def halt(self, seconds=600):
        """All markets are quiet from now on."""
        for exchange in self.exchanges:
            self.fault("halt", exchange, ms=seconds * 1000)

    def stats(self):
        return self.simulator.get("/sim/stats")

    def limits_broken(self):
        """{"binance.connects": 1}: only what is not 0."""
        return {f"{exchange}.{name}": count for exchange, venue in self.stats()["venues"].items()
                for name, count in venue["limits_broken"].items() if count}

    def __enter__(self):
        try:
            self.start_node()
        except BaseException:
            self.close()
            raise
        return self

    def close(self):
        for node in self.nodes:
            node.close()
        self.simulator.process.kill()
        self.simulator.process.wait()

    def __exit__(self, kind, value, trace):
        if kind is not None:
            self.close()
            return
        try:
            for node in list(self.nodes):
                self.stop_node(node)
            self.simulator.__exit__(None, None, None)
        finally:
            self.close()


# ---- the client ----

def texts_errors(texts):
    """In a process of its own: what is wrong with these messages, by their schemas."""
    return schema_errors([json.loads(text) for text in texts])


class Follower:
    """A client in a thread, from the stream's first record on. It checks that seq grows by one,
    that books are told by the rules, and each message against its schema; it keeps trades (unless
    not `keep`), statuses and gaps with `at`, the wall time (us) of their arrival. A context
    manager: leaving it fails when there are `problems`, unless something failed already."""

    def __init__(self, node, schemas=True, query=None, keep=True):
        self.trades = collections.defaultdict(list)  # (exchange, symbol): messages
        self.statuses, self.gaps, self.problems = [], [], []
        self.keep = keep
        self.counts = collections.Counter()  # (type, exchange)
        self.data_us = {}  # (exchange, symbol, channel): arrival of the last message
        self.books, self.seq, self.stream, self.hellos = Books(), None, None, 0
        self.digests = array("I")  # CRC-32 of each sequenced message
        self.first_seq = None
        self.changed = threading.Condition()
        self._context = multiprocessing.get_context("spawn")
        self._pool = self._context.Pool(1) if schemas else None
        self._chunk, self._checking = [], []
        self.schema_checked = 0
        self._stopping = False
        if query is None:
            query = f"?batch=1&since={node.first_token()}"
        self._connection = websockets.sync.client.connect(
            node.ws(query), compression=None, max_size=None, open_timeout=PATIENCE,
            close_timeout=0.2)
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    # -- reading --

    def _follow(self):
        try:
            while True:
                frame = self._connection.recv()
                with self.changed:
                    for text in frame.split("\n"):
                        self._take(text)
                    self.changed.notify_all()
        except websockets.exceptions.ConnectionClosed as error:
            if not self._stopping:
                self._problem(f"the node closed the connection: {error}")
        except (ValueError, KeyError, AssertionError, TypeError) as error:
            self._problem(f"{type(error).__name__}: {error}")
        with self.changed:
            self._stopping = True
            self.changed.notify_all()

    def _problem(self, text):
        with self.changed:
            if len(self.problems) < 20:
                self.problems.append(text[:600])

    def _take(self, text):
        message = json.loads(text)
        kind = message["type"]
        self._check_schema(text)
        if kind == "hello":
            self.hellos += 1
            self.stream, self.seq = message["stream"], message["next"] - 1
            assert self.hellos == 1, f"another hello: {text}"
        elif kind == "heartbeat":
            assert message["seq"] == self.seq, f"{text} after {self.seq}"
        elif kind == "skipped":
            raise AssertionError(f"this client is too slow: {text}")
        elif is_sequenced(message):
            assert message["seq"] == self.seq + 1, f"{self.seq} then {message['seq']}"
            self.seq = message["seq"]
            self.first_seq = self.first_seq or self.seq
            self.digests.append(zlib.crc32(text.encode()))
            self._keep(message)

    def _keep(self, message):
        kind, exchange, symbol = message["type"], message.get("exchange"), message.get("symbol")
        self.counts[kind, exchange] += 1
        message["at"] = now_us()
        if kind == "trade" and self.keep:
            self.trades[exchange, symbol].append(message)
        elif kind == "status":
            self.statuses.append(message)
        elif kind == "gap":
            self.gaps.append(message)
        if kind in ("trade", "ticker", "book", "quote"):
            self.data_us[exchange, symbol, kind] = message["at"]
        self.books.feed(message)

    def _check_schema(self, text):
        if self._pool is None:
            return
        self._chunk.append(text)
        if len(self._chunk) == SCHEMA_CHUNK:
            self._send_chunk()

    def _send_chunk(self):
        self._checking.append(self._pool.apply_async(texts_errors, (self._chunk,)))
        self.schema_checked += len(self._chunk)
        self._chunk = []
        while self._checking and self._checking[0].ready():
            self.problems += self._checking.pop(0).get()[:5]

    # -- waiting --

    @property
    def alive(self):
        return not self._stopping

    def wait(self, condition, what, seconds=PATIENCE):
        """The first true value of condition(), looked at whenever messages have come."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while True:
                value = condition()
                if value:
                    return value
                left = deadline - time.monotonic()
                if left <= 0 or self._stopping:
                    raise AssertionError(f"not within {seconds} s: {what}; problems "
                                         f"{self.problems}; statuses {self.statuses[-5:]}")
                self.changed.wait(min(left, 0.2))

    def mark(self):
        """To be given as `since`: statuses and gaps from now on."""
        with self.changed:
            return len(self.statuses), len(self.gaps)

    def statuses_since(self, since, exchange=None):
        return [status for status in self.statuses[since[0]:]
                if exchange in (None, status["exchange"])]

    def gaps_since(self, since, exchange=None):
        return [gap for gap in self.gaps[since[1]:] if exchange in (None, gap["exchange"])]

    def wait_status(self, since, exchange, state, symbol=None, channel=None, seconds=PATIENCE):
        """The first status of exactly this scope and state since then."""
        def found():
            return next((status for status in self.statuses_since(since, exchange)
                         if status["state"] == state and status.get("symbol") == symbol
                         and status.get("channel") == channel), None)

        return self.wait(found, f"{exchange} {symbol or ''} {channel or ''} is {state}", seconds)

    def wait_live(self, exchanges, seconds=PATIENCE):
        """All of these are live, from the stream's beginning."""
        for exchange in exchanges:
            self.wait_status((0, 0), exchange, "live", seconds=seconds)

    def wait_data(self, exchange, symbols, channels=("trade",), since_us=0, seconds=PATIENCE):
        """Each of these channels of each of these symbols has said something after that time."""
        def all_there():
            return all(self.data_us.get((exchange, symbol, channel), 0) > since_us
                       for symbol in symbols for channel in channels)

        self.wait(all_there, f"data of {exchange} {symbols} {channels}", seconds)

    # -- the end --

    def finish(self):
        """Closes, and returns the problems, with those of schemas."""
        self._stopping = True
        self._connection.close()
        self._thread.join(PATIENCE)
        if self._pool is not None:
            if self._chunk:
                self._send_chunk()
            for checking in self._checking:
                self.problems += checking.get(300)[:5]
            self._pool.close()
            self._pool.join()
            self._pool = None
        return self.problems

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        problems = self.finish()
        if kind is None:
            assert not problems, problems[:5]


# ---- the truth ----

def read_trade(message):
    """What must be as in the truth."""
    return (message.get("id"), Decimal(message["price"]), Decimal(message["size"]),
            message["side"])


class Truth:
    """All trades of one market, as the simulator says: [(id, price, size, side)], times in us.
    fetch() brings the newest ones."""

    def __init__(self, simulator, exchange, symbol):
        self.simulator, self.exchange, self.symbol = simulator, exchange, symbol
        self.trades, self.times_us, self.book = [], [], None
        self.halted = False

    def fetch(self):
        answer = self.simulator.truth(self.symbol, self.exchange, after=len(self.trades))
        assert answer["first"] <= len(self.trades) + 1, "fetched too late: trades are forgotten"
        for number, price, size, side, ts_us in answer["trades"]:
            self.trades.append((number, Decimal(price), Decimal(size), side))
            self.times_us.append(ts_us)
        assert len(self.trades) == answer["count"], (len(self.trades), answer["count"])
        self.book, self.halted = answer["book"], answer["halted"]
        return self

    def levels(self):
        """Of the book as the exchange shows it, as stream.Books keeps it. Bithumb rounds sizes, and
        what rounds to nothing is no level."""
        shown = []
        for side in ("bids", "asks"):
            levels = {Decimal(price): Decimal(size)
                      for price, size in self.book[side][:SHOWN[self.exchange]]}
            if self.exchange == "bithumb":
                levels = {price: size.quantize(BITHUMB_STEP, ROUND_HALF_UP)
                          for price, size in levels.items()}
            shown.append({price: size for price, size in levels.items() if size})
        return tuple(shown)


class Comparison:
    """What a follower got of one market beside the truth."""

    def __init__(self, truth, messages):
        index_of = {number: index for index, (number, *_) in enumerate(truth.trades)}
        self.truth, self.messages = truth, messages
        self.unknown, self.wrong, self.repeated, self.late = [], [], [], []
        seen, newest = set(), -1
        for message in messages:
            index = index_of.get(message.get("id"))
            if index is None:
                self.unknown.append(message)
                continue
            if read_trade(message) != truth.trades[index] or (
                    message["ts"] // 1000 != truth.times_us[index] // 1000):
                self.wrong.append((message, truth.trades[index], truth.times_us[index]))
            if index in seen:
                self.repeated.append(message)
            elif index < newest:
                self.late.append((index, message))  # out of the truth's order
            seen.add(index)
            newest = max(newest, index)
        self.seen = seen
        self.first = min(seen, default=len(truth.trades))
        # Between the first that came and the last that there was.
        self.missing = [index for index in range(self.first, len(truth.trades))
                        if index not in seen]

    def problems(self):
        """What is never allowed."""
        name = f"{self.truth.exchange} {self.truth.symbol}"
        for what in ("unknown", "wrong", "repeated"):
            found = getattr(self, what)
            if found:
                yield f"{name}: {len(found)} trades {what}: {found[0]}"


def truths(live):
    """{(exchange, symbol): Truth}, of what a node collects by default."""
    return {(exchange, symbol): Truth(live.simulator, exchange, symbol)
            for exchange in live.exchanges for symbol in SYMBOLS[exchange]}


def compare(follower, live, known=None):
    """{(exchange, symbol): Comparison}. The markets should be halted, and their trades arrived."""
    known = known or truths(live)
    return {key: Comparison(truth.fetch(), list(follower.trades[key]))
            for key, truth in known.items()}


def wait_arrived(follower, known, seconds=PATIENCE):
    """Halted markets: their last trades are there."""
    for key, truth in known.items():
        assert truth.fetch().halted, key
        if not truth.trades:
            continue
        last = truth.trades[-1][0]
        follower.wait(lambda key=key, last=last: any(
            trade.get("id") == last for trade in follower.trades[key][-50:]),
            f"the last trade of {key}, {last}", seconds)


def book_difference(follower, truth):
    """None when the book of a halted market is the true one, as deep as the exchange shows it."""
    have = follower.books.books.get((truth.exchange, truth.symbol))
    if have is None:
        return "no book"
    wanted = truth.levels()
    if tuple(have) == wanted:
        return None
    return (f"another book than the truth: {[len(side) for side in have]} levels instead of "
            f"{[len(side) for side in wanted]}")


def wait_books(follower, known, seconds=PATIENCE):
    """Halted markets: every book is the true one. Returns how many were compared."""
    for key, truth in known.items():
        assert truth.fetch().halted, key
        try:
            follower.wait(lambda truth=truth: book_difference(follower, truth) is None,
                          f"the book of {key}", seconds)
        except AssertionError as error:
            with follower.changed:
                raise AssertionError(f"{key}: {book_difference(follower, truth)}") from error
    return len(known)
