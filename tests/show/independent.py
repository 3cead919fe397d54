# SPDX-License-Identifier: Apache-2.0
"""Other people's client libraries against the simulator, unchanged but for their URLs.

    TRADES=500    so many trades of each subscription, at least (default: 60; with --ci 20)
    FAULT='{"exchange":"upbit","kind":"gap","count":1,"channel":"trade"}'
                  asked of the simulator once trades flow: the show has to fail then

ccxt pro and cryptofeed subscribe to trades and books of Binance, Upbit and Bithumb, of each what
they support (peers/independent_*.py). What they report is compared with /sim/truth: each trade from
the first reported one to the last, in order, none missing, none twice, with equal price, size, side
and id; and, once the markets are halted, their books with the truth's top levels. npm ws, Python's
websockets and aiohttp take every frame, compressed and plain. The libraries are installed from the
registry into build/independent; one that can't be had is in "skipped"."""

import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from decimal import ROUND_HALF_UP, Decimal

from show import IN_CI, ROOT, TICKWIRE, end, run, say

HOME = os.path.join(ROOT, "build", "independent")
PEERS = os.path.join(ROOT, "tests", "show", "peers")
REQUIREMENTS = os.path.join(ROOT, "tests", "requirements-independent.txt")
TRADES = int(os.environ.get("TRADES", "20" if IN_CI else "60"))
RATE = 300
INSTALL_S = 300
TRADES_S = 40 + TRADES
BOOKS_S = 20
FRAMES_S = 2 if IN_CI else 5
HALT_MS = 600000
FAILING_TOLD = 20
NEVER = 1 << 62

SYMBOLS = {"binance": ["BTC/USDT", "ETH/USDT"], "upbit": ["BTC/KRW", "XRP/KRW"],
           "bithumb": ["BTC/KRW", "XRP/KRW"]}
BOOK_LEVELS = {"binance": 50, "upbit": 15, "bithumb": 15}  # compared of a side
BITHUMB_STEP = Decimal("0.0001")  # sizes in its books are rounded to that
# Where a library means something else than the exchange: it is reported so, and counted apart.
CCXT_OLD_SIDES = ("ccxt takes buySellGb 1 of Bithumb's first generation for a purchase; it is a "
                  "sale (docs/simulator.md)")
SKIPPED = [
    "ccxt: books of Bithumb's first generation: changes without a beginning or a sequence",
    "cryptofeed: Bithumb's second generation and Bithumb's books: it has neither",
]


class Missing(Exception):
    """A library can't be had here; the text says why."""


# ---- what is installed ----

def install_python():
    """The Python of the venv that has ccxt and cryptofeed."""
    venv = os.path.join(HOME, "venv")
    python = os.path.join(venv, "bin", "python")
    stamp = os.path.join(HOME, "installed.txt")
    with open(REQUIREMENTS, encoding="utf-8") as file:
        wanted = file.read()
    if os.path.exists(stamp):
        with open(stamp, encoding="utf-8") as file:
            if file.read() == wanted:
                return python
    try:
        run([sys.executable, "-m", "venv", "--clear", venv])
        run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
             "--no-compile", "-r", REQUIREMENTS], timeout=INSTALL_S)
    except (OSError, subprocess.SubprocessError) as error:
        raise Missing(f"ccxt and cryptofeed: not installed: {type(error).__name__}") from error
    with open(stamp, "w", encoding="utf-8") as file:
        file.write(wanted)
    return python


def install_node():
    """The script for npm ws, beside the library."""
    import fanout_servers
    try:
        fanout_servers.build_ws()
    except (OSError, fanout_servers.Missing) as error:
        raise Missing(f"npm ws: {error}") from error
    script = os.path.join(fanout_servers.BUILT, "ws", "frames.js")
    with open(os.path.join(PEERS, "ws", "frames.js"), encoding="utf-8") as source, \
            open(script, "w", encoding="utf-8") as target:
        target.write(source.read())
    return script


# ---- the simulator ----

class Simulator:
    """With TLS, as the libraries insist on it."""

    def __init__(self, folder):
        self.authority = os.path.join(folder, "cert.pem")
        key = os.path.join(folder, "key.pem")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
             "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
             "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", self.authority],
            stderr=subprocess.DEVNULL, check=True)
        self.process = subprocess.Popen(
            [TICKWIRE, "simulate", "--listen", "127.0.0.1:0", "--seed", "11", "--rate", str(RATE),
             "--tls-cert", self.authority, "--tls-key", key], stdout=subprocess.PIPE, text=True)
        match = re.search(r"127\.0\.0\.1:(\d+)", self.process.stdout.readline())
        if match is None:
            raise RuntimeError("the simulator does not listen")
        self.base = f"127.0.0.1:{match[1]}"
        self.context = ssl.create_default_context(cafile=self.authority)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)

    def environment(self):
        return {**os.environ, "SSL_CERT_FILE": self.authority, "REQUESTS_CA_BUNDLE": self.authority,
                "NODE_EXTRA_CA_CERTS": self.authority, "PYTHONUNBUFFERED": "1"}

    def ask(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"https://{self.base}{path}", data=data)
        with urllib.request.urlopen(request, timeout=10, context=self.context) as answer:
            return json.load(answer)

    def truth(self, exchange, symbol):
        query = urllib.parse.urlencode({"exchange": exchange, "symbol": symbol.replace("/", "-"),
                                        "after": 0})
        return self.ask(f"/sim/truth?{query}")

    def halt(self):
        for exchange, symbols in SYMBOLS.items():
            for symbol in symbols:
                self.ask("/sim/fault", {"exchange": exchange, "kind": "halt",
                                        "symbol": symbol.replace("/", "-"), "ms": HALT_MS})


# ---- the libraries ----

class Library:
    """A script of peers/ at work; what it says is gathered by client and symbol."""

    def __init__(self, name, command, environment):
        self.name = name
        self.trades, self.books, self.errors, self.asked = {}, None, [], 0
        self.log = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            message = json.loads(line)
            if "books" in message:
                self.books = message["books"]
            elif "error" in message:
                self.errors.append(message["error"])
            else:
                self.trades.setdefault((message["client"], message["symbol"]), []).append(message)

    def ask_books(self):
        self.books = None
        self.process.stdin.write("books\n")
        self.process.stdin.flush()
        wait_until(lambda: self.books is not None or self.process.poll() is not None, 10,
                   f"{self.name}: books")
        return self.books or {}

    def has_trades(self, subscriptions, least):
        return all(len(self.trades.get(key, [])) >= least for key in subscriptions)

    def alive(self):
        if self.process.poll() is None and not self.errors:
            return True
        self.log.seek(0)
        raise RuntimeError(f"{self.name} ended: {self.errors} {self.log.read()[-1500:]}")

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.reader.join(10)
        self.log.close()


def wait_until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not within {seconds} s: {what}")
        time.sleep(0.05)  # between two looks


def subscriptions_of(clients):
    return [(client, symbol) for client in clients
            for symbol in (["BTC/KRW"] if client == "bithumb-1" else SYMBOLS[client])]


# ---- comparing ----

def number(text):
    """What a library says, as the double that it may have gone through."""
    return float(text)


def same(trade, true, reverse):
    _, price, size, side, _ = true
    if reverse:
        side = {"buy": "sell", "sell": "buy"}[side]
    return (number(trade["price"]) == float(price) and number(trade["size"]) == float(size)
            and trade["side"] == side)


def compare_single(trades, truth, reverse):
    """(None or what is wrong) for trades of which each is one of the truth."""
    with_ids = trades[0]["id"] is not None
    for start, true in enumerate(truth):
        if with_ids and true[0] != trades[0]["id"]:
            continue
        part = truth[start:start + len(trades)]
        wrong = next((i for i, (trade, one) in enumerate(zip(trades, part))
                      if not same(trade, one, reverse) or (with_ids and trade["id"] != one[0])),
                     None)
        if wrong is None and len(part) == len(trades):
            return None
        if with_ids:
            return f"trade {wrong}: {trades[wrong or 0]} is not {part[wrong or 0]}"
    return f"nowhere in the truth: {trades[:2]}"


def compare_aggregated(trades, truth):
    """Trades that stand for several of the truth, one id behind the other."""
    index = {true[0]: place for place, true in enumerate(truth)}
    expected = None
    for trade in trades:
        first, last = index.get(trade["first"]), index.get(trade["last"])
        if first is None or last is None or (expected is not None and first != expected):
            return f"{trade}: not behind the one before it"
        part = truth[first:last + 1]
        size = sum(Decimal(true[2]) for true in part)
        if size != Decimal(trade["size"]) or any(
                float(true[1]) != number(trade["price"]) or true[3] != trade["side"]
                for true in part):
            return f"{trade} is not {part}"
        expected = last + 1
    return None


def expected_levels(exchange, levels):
    top = levels[:BOOK_LEVELS[exchange]]
    if exchange != "bithumb":
        return [(float(price), float(size)) for price, size in top]
    rounded = [(price, Decimal(size).quantize(BITHUMB_STEP, ROUND_HALF_UP)) for price, size in top]
    return [(float(price), float(size)) for price, size in rounded if size > 0]


def book_differs(exchange, book, truth):
    """None, or the side and level that differ. Levels of size 0 are no levels."""
    for side in ("bids", "asks"):
        want = expected_levels(exchange, truth["book"][side])
        have = [(number(price), number(size)) for price, size in book[side]
                if number(price) > 0 and number(size) > 0][:len(want)]
        if have != want:
            place = next((i for i, pair in enumerate(zip(have, want)) if pair[0] != pair[1]),
                         min(len(have), len(want)))
            return f"{side} {place}: {have[place:place + 1]} is not {want[place:place + 1]}"
    return None


class Comparison:
    """Of one library with the truth."""

    def __init__(self, library, truths):
        self.library, self.truths = library, truths
        self.figures, self.failing = {}, []

    def trades(self):
        for (client, symbol), trades in sorted(self.library.trades.items()):
            exchange = client.split("-")[0]
            truth = self.truths[exchange, symbol]["trades"]
            reverse = self.library.name == "ccxt" and client == "bithumb-1"
            if "first" in trades[0]:
                wrong = compare_aggregated(trades, truth)
            else:
                wrong = compare_single(trades, truth, reverse)
            self.note(f"{client} {symbol} trades", len(trades), wrong)

    def books(self, demanded):
        found = {}

        def all_equal():
            books = self.library.ask_books()
            found.clear()
            for client, symbol in demanded:
                book = books.get(f"{client} {symbol}")
                found[client, symbol] = "there is none" if book is None else book_differs(
                    client, book, self.truths[client, symbol])
            return not any(found.values())

        try:
            wait_until(all_equal, BOOKS_S, "equal books")
        except RuntimeError:
            say(f"independent: {self.library.name}: books differ")
        for (client, symbol), wrong in found.items():
            self.note(f"{client} {symbol} book levels", BOOK_LEVELS[client], wrong)

    def note(self, what, count, wrong):
        self.figures[what] = count if wrong is None else "differs"
        if wrong is not None:
            self.failing.append(f"{self.library.name} {what}: {wrong}"[:400])


# ---- frames ----

def quotation(codes, **more):
    return json.dumps([{"ticket": "frames"}, {"type": "trade", "codes": codes},
                       {"type": "ticker", "codes": codes}, {"type": "orderbook", "codes": codes},
                       *([more] if more else [])])


def frames_plan(base):
    url = f"wss://{base}"
    binance = "/".join(f"btcusdt@{name}" for name in
                       ("trade", "aggTrade", "ticker", "bookTicker", "depth@100ms", "depth20"))
    old = [json.dumps({"type": name, "symbols": ["BTC_KRW"], **more}) for name, more in
           (("transaction", {}), ("orderbookdepth", {}), ("orderbooksnapshot", {}),
            ("ticker", {"tickTypes": ["24H"]}))]
    return {"seconds": FRAMES_S, "streams": [
        {"name": "binance", "url": f"{url}/binance/stream?streams={binance}", "send": []},
        {"name": "upbit", "url": f"{url}/upbit/websocket/v1",
         "send": [quotation(["KRW-BTC", "KRW-XRP"])]},
        {"name": "upbit lists", "url": f"{url}/upbit/websocket/v1",
         "send": [quotation(["KRW-BTC"], format="SIMPLE_LIST")]},
        {"name": "bithumb", "url": f"{url}/bithumb/websocket/v1",
         "send": [quotation(["KRW-BTC", "KRW-XRP"], format="SIMPLE")]},
        {"name": "bithumb-1", "url": f"{url}/bithumb/pub/ws", "send": old}]}


def run_frames(simulator, folder, commands):
    """Figures of libraries that only read, and what failed."""
    plan = os.path.join(folder, "frames.json")
    figures, failing = {}, []
    with open(plan, "w", encoding="utf-8") as file:
        json.dump(frames_plan(simulator.base), file)
    for command in commands:
        done = subprocess.run([*command, plan], env=simulator.environment(), text=True, timeout=120,
                              stdout=subprocess.PIPE, check=True)
        for line in done.stdout.splitlines():
            result = json.loads(line)
            figures[result["library"]] = figures.get(result["library"], 0) + result["frames"]
            # Bithumb's first generation has no compression.
            granted = result["offered"] and result["stream"] not in ("bithumb-1", "binance")
            if result["error"] or result["frames"] == 0 or (granted and not result["granted"]):
                failing.append(f"frames: {line}")
    return figures, failing


# ---- all of it ----

def broken_limits(simulator):
    """What the libraries broke of the exchanges' rules; told, but nothing that we vouch for."""
    venues = simulator.ask("/sim/stats")["venues"]
    return {f"{name} {rule}": count for name, venue in venues.items()
            for rule, count in venue["limits_broken"].items() if count}


def wait_trades(library, subscriptions, least, failing):
    try:
        wait_until(lambda: library.alive() and library.has_trades(subscriptions, least), TRADES_S,
                   "trades of every subscription")
    except RuntimeError as error:
        counts = {" ".join(key): len(trades) for key, trades in library.trades.items()}
        failing.append(f"{library.name}: {error}; trades so far: {counts}")


def run_libraries(simulator, python, figures, failing):
    environment = simulator.environment()
    ccxt = Library("ccxt", [python, os.path.join(PEERS, "independent_ccxt.py"), simulator.base,
                            simulator.authority], environment)
    feed = Library("cryptofeed", [python, os.path.join(PEERS, "independent_cryptofeed.py"),
                                  simulator.base], environment)
    demanded = {"ccxt": subscriptions_of([*SYMBOLS, "bithumb-1"]),
                "cryptofeed": subscriptions_of(["binance", "upbit", "bithumb-1"])}
    try:
        for least in (1, TRADES):
            for library in (ccxt, feed):
                wait_trades(library, demanded[library.name], least, failing)
            if least == 1 and "FAULT" in os.environ:
                simulator.ask("/sim/fault", json.loads(os.environ["FAULT"]))
        simulator.halt()
        truths = {(exchange, symbol): simulator.truth(exchange, symbol)
                  for exchange, symbols in SYMBOLS.items() for symbol in symbols}
        for library in (ccxt, feed):
            comparison = Comparison(library, truths)
            comparison.books([key for key in demanded[library.name] if key[0] != "bithumb-1" and
                              (library is ccxt or key[0] != "bithumb")])
            comparison.trades()
            figures[library.name] = comparison.figures
            failing += comparison.failing
    finally:
        ccxt.close()
        feed.close()


def run_all(folder):
    figures, failing, skipped = {}, [], list(SKIPPED)
    frames = [[sys.executable, os.path.join(PEERS, "independent_frames.py")]]
    try:
        frames.append(["node", install_node()])
    except Missing as why:
        skipped.append(str(why))
    python = None
    try:
        python = install_python()
    except Missing as why:
        skipped.append(str(why))
    figures["limits_broken"] = {}
    if python is not None:
        with Simulator(folder) as simulator:
            run_libraries(simulator, python, figures, failing)
            figures["limits_broken"]["ccxt, cryptofeed"] = broken_limits(simulator)
    say("independent: frames")
    with Simulator(folder) as simulator:
        figures["frames"], wrong = run_frames(simulator, folder, frames)
        figures["limits_broken"]["frames"] = broken_limits(simulator)
        failing += wrong
    figures["interpreted_otherwise"] = [CCXT_OLD_SIDES]
    return figures, failing, skipped


def main():
    begin = time.monotonic()
    figures, failing, skipped = {}, [], []
    with tempfile.TemporaryDirectory(prefix="tickwire-independent-") as folder:
        try:
            figures, failing, skipped = run_all(folder)
        except (OSError, RuntimeError, ValueError, KeyError, subprocess.SubprocessError) as error:
            failing = [f"{type(error).__name__}: {error}"]
    figures["seconds"] = round(time.monotonic() - begin, 1)
    if failing:
        figures["failing"] = failing[:FAILING_TOLD]
    end("independent", not failing, figures, skipped)


if __name__ == "__main__":
    main()
