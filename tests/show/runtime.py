# SPDX-License-Identifier: Apache-2.0
"""What is collected changes while it runs: nobody else notices.

A node collects from the simulator by a configuration file, which is rewritten again and again, each
time with SIGHUP: symbols and channels come and go at all three exchanges. The symbols that stay
must see no gap, no hole, no repeat, no status, and right books; what comes must deliver soon, and
with a snapshot; what goes is told `down` with the reason, and nothing of it comes any more. The log
must name what changed and what needs a restart; a bad file is refused with the reason, and changes
nothing. Then exchanges are switched off and on, and moved to a second simulator. No limit may be
broken.

    RUNTIME_CHANGES  of subscriptions (default 200; with --ci 40)
"""

import json
import os
import random
import signal
import time
import types

from live import SYMBOLS, Follower, compare, now_us, truths, wait_arrived, wait_books
from show import IN_CI, end, say

from harness import EXCHANGES, LISTEN, PATIENCE, Node, wait_until
from prometheus import Metrics
from simulator import Simulator
from stream import Client

CHANGES = int(os.environ.get("RUNTIME_CHANGES", "40" if IN_CI else "200"))
RATE = "300"
DELIVERS_S = 10  # an added symbol
STAYING = ("trade", "book")  # channels that are never given up
PASSING = {"binance": ("ticker", "quote"), "upbit": ("ticker",), "bithumb": ("ticker",)}
EXTRA_MAX = 12  # symbols of an exchange beside those that stay
MIN_CHANGE_S = 0.25  # 100 requests a minute are allowed to a connection of Upbit
HALT_S = 10
BAD_FILES = [("exchanges:\n  upbit:\n    symbols: [BTC-KRW, nonsense]\n", "symbols"),
             ("exchanges:\n  upbit:\n    sybmols: [BTC-KRW]\n", "sybmols"),
             ("exchanges: [\n", "tickwire.yaml"),
             ("exchanges:\n  nowhere:\n    enabled: true\n", "nowhere")]


class Watcher(Follower):
    """A client that also forgets what is told `down`, and holds that nothing of it comes again
    before it is told `live`."""

    def __init__(self, node):
        self.gone = set()
        self.came_back = 0
        super().__init__(node, schemas=False)

    def is_known(self, key):
        return key in self.data_us and key not in self.gone

    def catch_up(self, node):
        """With what there was before it came; then `mark` parts old from new."""
        newest = int(Metrics(node).value("tickwire_sequence"))
        self.wait(lambda: self.seq is not None and self.seq >= newest, "what there was")

    def _keep(self, message):
        kind = message["type"]
        key = message.get("exchange"), message.get("symbol"), message.get("channel")
        if kind == "status" and key[1] is not None and key[2] is not None:
            if message["state"] == "down":
                assert message.get("reason"), f"no reason: {message}"
                self.gone.add(key)
                if key[2] == "book":
                    self.books.books.pop(key[:2], None)
            elif message["state"] == "live" and key in self.gone:
                self.gone.discard(key)
                self.came_back += 1
        elif kind in ("trade", "ticker", "quote", "book"):
            assert (*key[:2], kind) not in self.gone, f"told down, and comes: {message}"
        super()._keep(message)


class Configuration:
    """The file: {exchange: {key: value}}, and lines in front of it."""

    def __init__(self, simulator):
        self.exchanges = {name: {"symbols": list(SYMBOLS[name]),
                                 "channels": ["trade", "book", "ticker"],
                                 **self.urls(simulator, name)} for name in EXCHANGES}
        self.lines = []

    @staticmethod
    def urls(simulator, name):
        return {"ws_url": simulator.ws("/" + name),
                "rest_url": f"http://127.0.0.1:{simulator.port}/{name}"}

    def text(self):
        lines = [*self.lines, "exchanges:"]
        for name, keys in self.exchanges.items():
            lines.append(f"  {name}:")
            for key, value in keys.items():
                value = f"[{', '.join(value)}]" if isinstance(value, list) else value
                lines.append(f"    {key}: {value}")
        return "\n".join(lines) + "\n"


class Runtime:
    """One run; what went wrong is in `problems`."""

    def __init__(self, simulator):
        self.simulator, self.random = simulator, random.Random(5)
        self.configuration = Configuration(simulator)
        self.others = {name: [market["symbol"] for market in markets if market["trading"]
                              and market["symbol"] not in SYMBOLS[name]]
                       for name, markets in simulator.get("/sim/markets").items()
                       if name in EXCHANGES}
        self.node = Node("serve", *LISTEN, file=self.configuration.text())
        self.reloads = self.refusals = 0
        self.problems, self.slowest_s = [], 0.0
        self.made = {"added": 0, "removed": 0, "channels": 0}

    # -- changing --

    def write(self, text):
        """Whole at once, and told."""
        path = os.path.join(self.node.folder, "tickwire.yaml")
        with open(path + ".new", "w", encoding="utf-8") as out:
            out.write(text)
        os.replace(path + ".new", path)
        self.node.send_signal(signal.SIGHUP)

    def reload(self, keys, restart=""):
        """The file as it should be; the log names what changed."""
        self.write(self.configuration.text())
        self.reloads += 1
        line = self.node.wait_log(self.reloads, msg="configuration reloaded")
        named = set(filter(None, line["keys"].split(", ")))
        if named != set(keys) or line["needs_restart"] != restart or (
                int(line["changed"]) != len(keys)):
            self.problems.append(f"the log says {line}, changed were {keys}, restart {restart!r}")

    def pick(self):
        """A change: (exchange, [(symbol, channel) that come], [those that go], keys)."""
        name = self.random.choice(EXCHANGES)
        keys = self.configuration.exchanges[name]
        symbols, channels = keys["symbols"], keys["channels"]
        before = {(symbol, channel) for symbol in symbols for channel in channels}
        changed = set()
        if self.random.random() < 0.4:
            channel = self.random.choice(PASSING[name])
            (channels.remove if channel in channels else channels.append)(channel)
            self.made["channels"] += 1
            changed.add("channels")
        if not changed or self.random.random() < 0.2:
            self.change_symbols(name, symbols)
            changed.add("symbols")
        after = {(symbol, channel) for symbol in symbols for channel in channels}
        return name, after - before, before - after, [f"exchanges.{name}.{key}" for key in changed]

    def change_symbols(self, name, symbols):
        extra = [symbol for symbol in symbols if symbol not in SYMBOLS[name]]
        absent = [symbol for symbol in self.others[name] if symbol not in symbols]
        count = self.random.randint(1, 3)
        remove = len(extra) + count > EXTRA_MAX or (extra and self.random.random() < 0.5)
        chosen = self.random.sample(extra if remove else absent,
                                    min(count, len(extra if remove else absent)))
        for symbol in chosen:
            if remove:
                symbols.remove(symbol)
            else:
                symbols.insert(self.random.randint(0, len(symbols)), symbol)
        self.made["removed" if remove else "added"] += len(chosen)

    @staticmethod
    def says_at_once(name, symbol, channel):
        """Trades are rare in a small market, and Binance's best prices and tickers come with a
        change; everything else comes with the subscription."""
        return channel == "book" or (channel != "trade" and (
            name != "binance" or symbol in SYMBOLS[name][:2]))

    def change(self, watcher, patient):
        """One change of subscriptions; a patient one waits until all of it is seen."""
        name, come, go, keys = self.pick()
        since, begin = watcher.mark(), time.monotonic()
        # Of what never said anything, nobody needs to hear that it goes.
        known = {(symbol, channel) for symbol, channel in go
                 if watcher.is_known((name, symbol, channel))}
        since_us = now_us()
        self.reload(keys)
        for symbol, channel in known:
            watcher.wait_status(since, name, "down", symbol, channel)
        if patient:
            for symbol, channel in come:
                if self.says_at_once(name, symbol, channel):
                    watcher.wait_data(name, [symbol], [channel], since_us, DELIVERS_S)
            if come:
                self.slowest_s = max(self.slowest_s, time.monotonic() - begin)
        # A pace, not a wait for something: see MIN_CHANGE_S.
        time.sleep(max(0.0, begin + MIN_CHANGE_S - time.monotonic()))

    # -- what is refused, and what needs a restart --

    def refused(self, text, word):
        markets = self.node.json("/api/v1/markets")["markets"]
        self.write(text)
        self.refusals += 1
        line = self.node.wait_log(self.refusals,
                                  msg="configuration not reloaded, the old one stays")
        if word not in line["error"]:
            self.problems.append(f"refused without {word!r}: {line['error']}")
        if self.node.json("/api/v1/markets")["markets"] != markets:
            self.problems.append("a bad file changed what is collected")

    def restart_only(self):
        self.configuration.lines = ["stream:", "  retain: 128MiB"]
        self.reload([], "stream.retain")
        self.configuration.lines = []
        self.reload([])

    # -- judging --

    def judge_staying(self, watcher, since):
        """The symbols that stayed; the markets are halted for a while."""
        live = types.SimpleNamespace(simulator=self.simulator, exchanges=EXCHANGES)
        halts = [self.simulator.fault("halt", exchange, ms=HALT_S * 1000)
                 for exchange in EXCHANGES]
        known = truths(live)
        wait_arrived(watcher, known)
        books = wait_books(watcher, known)
        trades = 0
        for (exchange, symbol), found in compare(watcher, live, known).items():
            trades += len(found.seen)
            self.problems += found.problems()
            for what in ("missing", "late"):
                if getattr(found, what):
                    self.problems.append(f"{exchange} {symbol}: {len(getattr(found, what))} trades "
                                         f"{what}: {getattr(found, what)[:2]}")
        self.problems += [f"gap: {gap}" for gap in watcher.gaps_since(since)
                          if gap["symbol"] in SYMBOLS[gap["exchange"]]]
        for status in watcher.statuses_since(since):
            symbol, channel = status.get("symbol"), status.get("channel")
            if symbol is None or (symbol in SYMBOLS[status["exchange"]] and channel in STAYING):
                self.problems.append(f"status of what stayed: {status}")
        wait_until(lambda: all(self.simulator.fault_over(halt["id"]) for halt in halts),
                   "the markets go on", 2 * HALT_S)
        return {"trades": trades, "books": books, "gaps_of_others": len(watcher.gaps_since(since))}

    def judge_others(self, watcher, since, changed, what):
        """Only what comes back later than others may be told. (What has moved to other markets may
        also be told that they have what the former ones had not.)"""
        told = [entry for entry in watcher.statuses_since(since) + watcher.gaps_since(since)
                if entry["exchange"] not in changed and entry.get("state") != "live"]
        if told:
            self.problems.append(f"{list(changed)} {what}, others are told: {told[:2]}")

    def judge_snapshot(self):
        """A client that comes now is told of what is collected, and of nothing else."""
        with Client(self.node) as client:
            told = client.until_type("snapshot_end")
        for message in told:
            if message["type"] not in ("trade", "ticker", "quote", "book"):
                continue
            keys = self.configuration.exchanges[message["exchange"]]
            if message["symbol"] not in keys["symbols"] or message["type"] not in keys["channels"]:
                self.problems.append(f"in a snapshot: {message['type']} of {message['exchange']} "
                                     f"{message['symbol']}, which is not collected")
        wanted = {(name, symbol) for name, keys in self.configuration.exchanges.items()
                  for symbol in keys["symbols"]}
        books = {(message["exchange"], message["symbol"]) for message in told
                 if message["type"] == "book"}
        if books != wanted:
            self.problems.append(f"a snapshot's books: missing {sorted(wanted - books)}, "
                                 f"too many {sorted(books - wanted)}")
        return len(told)

    # -- the parts --

    def subscriptions(self):
        with Watcher(self.node) as watcher:
            watcher.wait_live(EXCHANGES)
            for exchange in EXCHANGES:
                watcher.wait_data(exchange, SYMBOLS[exchange], STAYING)
            since = watcher.mark()
            for number in range(CHANGES):
                self.change(watcher, patient=number % 3 != 0)
                if number % 10 == 5:
                    text, word = BAD_FILES[number // 10 % len(BAD_FILES)]
                    self.refused(text, word)
                if number == CHANGES // 2:
                    self.restart_only()
            for exchange, keys in self.configuration.exchanges.items():
                watcher.wait_data(exchange, keys["symbols"], ("book",), seconds=DELIVERS_S)
            figures = self.judge_staying(watcher, since)
            figures.update(changes=CHANGES, **self.made, came_back=watcher.came_back,
                           refused=self.refusals, slowest_delivery_s=round(self.slowest_s, 2),
                           in_snapshot=self.judge_snapshot())
        return figures

    def switched(self):
        """Off and on again: told, and the others do not notice."""
        with Watcher(self.node) as watcher:
            watcher.catch_up(self.node)
            for exchange in EXCHANGES:
                since = watcher.mark()
                for enabled, state in (("false", "down"), ("true", "live")):
                    self.configuration.exchanges[exchange]["enabled"] = enabled
                    self.reload([f"exchanges.{exchange}.enabled"])
                    status = watcher.wait_status(since, exchange, state)
                    if state == "down":
                        self.judge_off(exchange, status)
                watcher.wait_data(exchange, SYMBOLS[exchange], ("book",), now_us())
                self.judge_others(watcher, since, [exchange], "switched")
        return {"switched": list(EXCHANGES)}

    def judge_off(self, exchange, status):
        """It is switched off: no connection is left, and who comes is told nothing of it."""
        if not status.get("reason"):
            self.problems.append(f"no reason: {status}")
        wait_until(lambda: not self.at(self.simulator, exchange), f"{exchange} is left")

        def snapshot():
            """Of a thread that has come so far."""
            with Client(self.node) as client:
                told = client.until_type("snapshot_end")
                return told if told[-1]["seq"] >= status["seq"] else None

        told = [message for message in wait_until(snapshot, "a snapshot")
                if message["type"] in ("trade", "ticker", "quote", "book")
                and message["exchange"] == exchange]
        if told:
            self.problems.append(f"{exchange} is off, and in a snapshot: {told[:2]}")

    def moved(self):
        """To a second simulator, by a connection beside the present one."""
        since_us = {}
        with Simulator("--rate", RATE, "--seed", "99") as second, Watcher(self.node) as watcher:
            watcher.catch_up(self.node)
            for exchange in EXCHANGES:
                since = watcher.mark()
                self.configuration.exchanges[exchange].update(
                    Configuration.urls(second, exchange))
                self.reload([f"exchanges.{exchange}.{key}" for key in ("ws_url", "rest_url")])
                wait_until(lambda name=exchange: self.at(second, name) and not self.at(
                    self.simulator, name), f"{exchange} has moved", 40)
                since_us[exchange] = now_us()
                watcher.wait_data(exchange, SYMBOLS[exchange][:2], STAYING, since_us[exchange])
                self.judge_others(watcher, since, since_us, "moved")
                say(f"runtime: {exchange} has moved")
            for exchange in EXCHANGES:
                second.fault("halt", exchange, ms=600_000)
            known = truths(types.SimpleNamespace(simulator=second, exchanges=EXCHANGES))
            # They are other markets in truth: what is older there than the last that was known here
            # is not taken, nor are trades of Binance whose ids were here as well. What came counts.
            came = {key: truth for key, truth in known.items()
                    if watcher.data_us.get((*key, "book"), 0) > since_us[key[0]]}
            books = wait_books(watcher, came)
            self.limits(second)
        return {"moved": list(EXCHANGES), "books": books}

    @staticmethod
    def at(simulator, exchange):
        return simulator.stats(exchange)["connections"]

    def limits(self, simulator):
        broken = {name: simulator.broken(name) for name in EXCHANGES}
        if any(broken.values()):
            self.problems.append(f"limits broken: {broken}")

    def run(self):
        figures = {}
        for name, part in (("subscriptions", self.subscriptions), ("switched", self.switched),
                           ("moved", self.moved)):
            try:
                figures[name] = part()
            except (AssertionError, OSError, ValueError) as error:
                self.problems.append(f"{name}: {type(error).__name__}: {error}")
            say(f"runtime: {name}: {json.dumps(figures.get(name))}")
        self.limits(self.simulator)
        figures["reloads"] = self.reloads
        figures["messages"] = int(Metrics(self.node).value("tickwire_sequence"))
        return figures


def main():
    figures, problems = {}, []
    try:
        with Simulator("--rate", RATE, "--seed", "7") as simulator:
            runtime = Runtime(simulator)
            problems = runtime.problems
            with runtime.node:
                figures = runtime.run()
    except (AssertionError, OSError, ValueError) as error:
        problems.append(f"{type(error).__name__}: {error}")
    if problems:
        figures["problems"] = [problem[:1500] for problem in problems[:10]]
        say(json.dumps(figures["problems"], indent=1))
    end("runtime", not problems, figures)


if __name__ == "__main__":
    main()
