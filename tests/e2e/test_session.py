# SPDX-License-Identifier: Apache-2.0
"""How an exchange is kept live: replacements, two connections, refusals, quarantine, budgets."""

import contextlib
import http.server
import json
import os
import re
import signal
import threading
import time

import websockets.exceptions

from fake_exchange import FakeExchange, binance_trade, upbit_trade
from harness import PATIENCE, Node, serve, wait_until
from prometheus import Metrics
from simulator import Simulator
from stream import Client

SYMBOLS = {"binance": "BTC-USDT,ETH-USDT", "upbit": "BTC-KRW,ETH-KRW",
           "bithumb": "BTC-KRW,ETH-KRW"}


def simulated(simulator, names, *more):
    """A node that collects these exchanges from the simulator."""
    arguments = []
    for name in names:
        rest = f"http://127.0.0.1:{simulator.port}/{name}"
        arguments += ["--set", f"exchanges.{name}.rest_url={rest}",
                      "--set", f"exchanges.{name}.symbols={SYMBOLS[name]}"]
    return serve(*arguments, *more, exchanges={name: simulator.ws(f"/{name}") for name in names})


def follow(node):
    return Client(node, "?since=" + node.first_token())


def of(messages, kind, **fields):
    return [message for message in messages if message["type"] == kind
            and all(message.get(name) == value for name, value in fields.items())]


def is_status(message, state, exchange, **fields):
    return (message["type"] == "status" and message["state"] == state
            and message["exchange"] == exchange
            and all(message.get(name) == value for name, value in fields.items()))


def whole_exchange(messages, exchange):
    """States of the exchange as a whole, in order."""
    return [message["state"] for message in of(messages, "status", exchange=exchange)
            if "symbol" not in message and "channel" not in message]


def collected(node, exchange):
    return next(row for row in node.json("/api/v1/exchanges")["exchanges"]
                if row["name"] == exchange)


def subset_in_order(ours, truth):
    """Nothing missing between our first and last trade, nothing twice, nothing else."""
    ids = [trade[0] for trade in truth]
    first = ids.index(ours[0])
    assert ours == ids[first:first + len(ours)]


# ---- against the simulator ----

def test_planned_replacements_lose_and_repeat_nothing():
    with Simulator("--rate", "400", "--symbols", "4") as simulator:
        with simulated(simulator, ["binance", "upbit"],
                       "--set", "exchanges.binance.lifetime=4s",
                       "--set", "exchanges.upbit.lifetime=4s",
                       "--set", "exchanges.upbit.connections=2") as node, follow(node) as client:
            def replaced(name):
                return len(node.logged(msg="connection replaced", exchange=name))
            messages = client.until(lambda _: replaced("binance") >= 1 and replaced("upbit") >= 2,
                                    seconds=3 * PATIENCE)
            messages += client.until(lambda message: message["type"] == "trade")
            assert of(messages, "gap") == []
            for name in ("binance", "upbit"):
                assert whole_exchange(messages, name) == ["connecting", "live"]
                for symbol in SYMBOLS[name].split(","):
                    ours = [trade["id"] for trade in
                            of(messages, "trade", exchange=name, symbol=symbol)]
                    subset_in_order(ours, simulator.truth(symbol, name)["trades"])
                assert simulator.broken(name) == {}
            ends = Metrics(node).samples["tickwire_connections_ended_total"]
            assert all(value == 0 or ("reason", "lifetime") in key for key, value in ends.items())


def test_bans_and_maintenance_are_states_and_others_go_on():
    with Simulator("--rate", "400", "--symbols", "4") as simulator:
        with simulated(simulator, list(SYMBOLS)) as node, follow(node) as client:
            for name in SYMBOLS:
                client.until(lambda message: message["type"] == "trade"
                             and message["exchange"] == name)
            simulator.fault("ban", "binance", status=429, retry_after=2, ms=2000)
            simulator.fault("maintenance", "upbit", ms=1500)
            messages = client.until(lambda message: is_status(message, "down", "binance") and
                                    "429" in message.get("reason", ""))
            messages += client.until(lambda message: is_status(message, "live", "binance"))
            if "live" not in whole_exchange(messages, "upbit"):
                messages += client.until(lambda message: is_status(message, "live", "upbit"))
            reasons = [message.get("reason", "") for message in
                       of(messages, "status", exchange="upbit", state="down")]
            assert any(reason.startswith("maintenance") for reason in reasons), reasons
            paused = [message["reason"] for message in
                      of(messages, "status", exchange="binance", state="down")
                      if "429" in message.get("reason", "")]
            assert len(paused) == len(set(paused)), paused
            assert whole_exchange(messages, "bithumb") == []
            assert of(messages, "trade", exchange="bithumb")
            assert not node.logged(msg="connection closed, reconnecting", exchange="bithumb")
            assert Metrics(node).value("tickwire_connections_ended_total", exchange="binance",
                                       reason="paused") >= 1
            assert Metrics(node).value("tickwire_connections_ended_total", exchange="upbit",
                                       reason="maintenance") >= 1
            for name in SYMBOLS:
                assert simulator.broken(name) == {}


def test_budgets_outlive_a_restart(tmp_path):
    """Upbit takes five connections a second, whoever makes them."""
    arguments = ["--set", f"node.state_file={tmp_path / 'state'}"]
    with Simulator("--rate", "50", "--symbols", "4") as simulator:
        for count in range(8):
            with simulated(simulator, ["upbit"], *arguments):
                wait_until(lambda: sum(simulator.stats("upbit")["connects_total_by_address"]
                                       .values()) > count, f"connection {count + 1}")
        assert simulator.broken("upbit") == {}
    lines = (tmp_path / "state").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["exchange"] for line in lines if "upbit" in line] == ["upbit"]


def test_a_state_file_that_is_no_file_stops_nobody(tmp_path):
    """What others put in its place is not written through, nor waited for."""
    precious, state, pipe = tmp_path / "precious", tmp_path / "state", tmp_path / "pipe"
    precious.write_text("precious", encoding="utf-8")
    (tmp_path / "state.new").symlink_to(precious)
    state.write_bytes(b"\x00\xff{[" * 2_000_000)
    os.mkfifo(pipe)
    with Simulator("--rate", "50", "--symbols", "2") as simulator:
        with simulated(simulator, ["upbit"], "--set", f"node.state_file={state}"):
            wait_until(lambda: state.read_bytes()[:1] == b"{", "its state")
        with simulated(simulator, ["upbit"], "--set", f"node.state_file={pipe}") as node:
            wait_until(lambda: node.logged(msg="node.state_file cannot be written, going on "
                                           "without"), "the warning")
    assert precious.read_text(encoding="utf-8") == "precious"
    assert pipe.is_fifo() and not state.is_symlink()


# ---- against exchanges that do as they are told ----

class Tape:
    """Goes on with trades on the connections that it is told, from a thread of its own."""

    def __init__(self, exchange, make):
        self.exchange, self.make = exchange, make
        self.number, self.muted, self.stopping = 1, {}, False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self.stopping:
            self.number += 1
            heard = {number for _, number, _ in list(self.exchange.received)}
            for number, connection in enumerate(list(self.exchange.connections)):
                if number in heard:
                    self._send(number, connection)
            time.sleep(0.02)  # the pace of the market

    def _send(self, number, connection):
        for symbol in ("BTC", "ETH"):
            if symbol not in self.muted.get(number, ()):
                # It may be closed in this very moment.
                with contextlib.suppress(Exception):
                    self.exchange.send(self.make(self.number, symbol), connection)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.thread.join(10)


def binance_made(number, symbol):
    return binance_trade(number, f"{symbol}USDT", ms=1790133513000 + number)


def upbit_made(number, symbol):
    return upbit_trade(number * 7, f"KRW-{symbol}", ms=1790133513000 + number)


FAKE = ["--set", "exchanges.{}.channels=trade", "--set", "exchanges.{}.stale_after=1h",
        "--set", "exchanges.{}.rest_url=http://127.0.0.1:1"]


def faked(exchanges, *more):
    arguments = []
    for name in exchanges:
        arguments += [part.format(name) for part in FAKE]
        arguments += ["--set", f"exchanges.{name}.symbols={SYMBOLS[name]}"]
    return serve(*arguments, *more,
                 exchanges={name: exchange.url for name, exchange in exchanges.items()})


def trade_numbers(messages, exchange, symbol, step=1):
    return [int(trade["id"]) // step for trade in
            of(messages, "trade", exchange=exchange, symbol=symbol)]


def contiguous(numbers):
    return numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_a_replacement_that_brings_less_goes_and_one_that_is_left_alone_stays():
    """Binance's second connection lacks ETH: it is dropped. Upbit's first one is lost while the
    second only listens: it takes over, without a hole."""
    with FakeExchange() as binance, FakeExchange(acknowledge=False) as upbit, \
            Tape(binance, binance_made) as less, Tape(upbit, upbit_made):
        less.muted[1] = ("ETH",)
        with faked({"binance": binance, "upbit": upbit},
                   "--set", "exchanges.binance.lifetime=3s",
                   "--set", "exchanges.upbit.lifetime=3s") as node, follow(node) as client:
            upbit.wait_connection(2)
            node.wait_log(msg="connected", exchange="upbit", count=2)
            upbit.cut(upbit.connections[0])
            messages = client.until(
                lambda _: node.logged(exchange="binance",
                                      msg="the replacement brings less, keeping the present one"),
                seconds=3 * PATIENCE)
            kept = node.logged(msg="connected", exchange="binance")[0]["connection"]
            messages += client.until(lambda message: message.get("symbol") == "ETH-USDT")
            assert len(node.logged(msg="connection replaced", exchange="binance")) == 0, kept
            assert node.logged(msg="connection replaced", exchange="upbit")
            assert of(messages, "gap") == []
            for name, symbol, step in (("binance", "BTC-USDT", 1), ("binance", "ETH-USDT", 1),
                                       ("upbit", "BTC-KRW", 7), ("upbit", "ETH-KRW", 7)):
                assert contiguous(trade_numbers(messages, name, symbol, step)), (name, symbol)
            for name in ("binance", "upbit"):
                assert whole_exchange(messages, name) == ["connecting", "live"]
            # The next attempt brings everything, and takes the place.
            client.until(lambda _: node.logged(msg="connection replaced", exchange="binance"),
                         seconds=3 * PATIENCE)


def test_one_of_two_connections_may_be_lost():
    with FakeExchange() as binance, FakeExchange(acknowledge=False) as upbit, \
            Tape(binance, binance_made), Tape(upbit, upbit_made):
        with faked({"binance": binance, "upbit": upbit},
                   "--set", "exchanges.binance.connections=2",
                   "--set", "exchanges.upbit.connections=2") as node, follow(node) as client:
            def both_carry(count):
                """The count-th connection is there, and has listened long enough to count."""
                for exchange in (binance, upbit):
                    exchange.wait_connection(count)
                    wait_until(lambda: exchange.open_count() == 2, "two connections")  # noqa: B023
                begin = time.monotonic()
                messages.extend(client.until(lambda _: time.monotonic() > begin + 2.5))

            messages = []
            both_carry(2)
            binance.cut(binance.connections[0])
            upbit.cut(upbit.connections[1])
            both_carry(3)
            binance.cut(binance.connections[1])
            upbit.cut(upbit.connections[0])
            both_carry(4)
            assert of(messages, "gap") == []
            for name, symbol, step in (("binance", "BTC-USDT", 1), ("upbit", "ETH-KRW", 7)):
                assert contiguous(trade_numbers(messages, name, symbol, step)), (name, symbol)
                assert set(whole_exchange(messages, name)) == {"connecting", "live"}
                assert Metrics(node).value("tickwire_connections_ended_total", exchange=name,
                                           reason="lost") == 2
                assert Metrics(node).value("tickwire_duplicates_dropped_total", exchange=name) > 0


def test_a_connection_that_falls_silent_beside_another_one_is_replaced():
    with FakeExchange() as binance, Tape(binance, binance_made) as tape:
        with faked({"binance": binance}, "--set", "exchanges.binance.connections=2") as node, \
                follow(node) as client:
            binance.wait_connection(2)
            begin = time.monotonic()
            messages = client.until(lambda _: time.monotonic() > begin + 3)
            tape.muted[0] = ("BTC", "ETH")
            assert node.wait_log(msg="connection replaced", reason="its data is suspect")
            messages += client.until(lambda _: True)
            assert of(messages, "gap") == [] and binance.open_count() >= 2
            assert contiguous(trade_numbers(messages, "binance", "BTC-USDT"))
            assert Metrics(node).value("tickwire_connections_ended_total", exchange="binance",
                                       reason="stale") == 1


def test_a_refused_request_is_told_and_data_goes_on():
    refusal = json.dumps({"error": {"code": 2, "msg": "Invalid request: unknown stream"}, "id": 1})
    with FakeExchange([refusal, binance_trade(7, "ETHUSDT"), binance_trade(7)],
                      acknowledge=False) as exchange:
        with faked({"binance": exchange}) as node, follow(node) as client:
            messages = client.until(lambda message: message.get("symbol") == "BTC-USDT")
            told = [message for message in of(messages, "status")
                    if "Invalid request: unknown stream" in message.get("reason", "")]
            assert len(told) == 1
            assert whole_exchange(messages, "binance")[-1] == "live"
            assert node.wait_log(msg="the exchange refused a request", exchange="binance")


class Strict(FakeExchange):
    """An Upbit that ends the connection for a code that it does not know."""

    async def _serve(self, connection):
        self.connections.append(connection)
        try:
            async for message in connection:
                self.received.append((0, len(self.connections) - 1, message))
                if "KRW-BAD" in message:
                    await connection.send(json.dumps(
                        {"error": {"name": "INVALID_PARAM", "message": "code"}}).encode())
                    await connection.close(1000)
                else:
                    await connection.send(upbit_trade(1))
        except websockets.exceptions.ConnectionClosed:
            pass


class Markets(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'[{"market":"KRW-BTC","korean_name":"","english_name":"Bitcoin"}]'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_a_symbol_for_which_the_exchange_ends_the_connection_is_quarantined():
    rest = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Markets)
    threading.Thread(target=rest.serve_forever, daemon=True).start()
    try:
        with Strict() as exchange, serve(
                "--set", "exchanges.upbit.symbols=BTC-KRW,BAD-KRW",
                "--set", f"exchanges.upbit.rest_url=http://127.0.0.1:{rest.server_port}",
                exchanges={"upbit": exchange.url}) as node, follow(node) as client:
            client.until(lambda message: message.get("type") == "trade")
            assert node.wait_log(msg="symbol quarantined", symbol="BAD-KRW")
            assert not node.logged(msg="symbol quarantined", symbol="BTC-KRW")
            assert collected(node, "upbit")["state"] == "live"
    finally:
        rest.shutdown()
        rest.server_close()


class Busy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(429)
        self.send_header("Retry-After", "3600")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def test_a_pause_that_rest_was_told_of_is_the_reason_however_the_connection_ends():
    rest = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Busy)
    threading.Thread(target=rest.serve_forever, daemon=True).start()
    refusal = json.dumps({"error": {"code": 2, "msg": "unknown stream"}, "id": 1})
    try:
        with FakeExchange([binance_trade(7), refusal], acknowledge=False) as exchange, faked(
                {"binance": exchange}, "--set",
                f"exchanges.binance.rest_url=http://127.0.0.1:{rest.server_port}") as node, \
                follow(node) as client:
            node.wait_log(msg="the exchange paused REST requests and new connections")
            exchange.cut()
            down = client.until(lambda message: is_status(message, "down", "binance"))[-1]
            assert re.match(r"paused by the exchange \(429\) for \d{4} s", down["reason"]), down
    finally:
        rest.shutdown()
        rest.server_close()


# ---- the configuration, reloaded ----

class Configured:
    """A node with a configuration file that changes under it."""

    def __init__(self, simulator, **settings):
        self.simulator = simulator
        self.settings = {name: {"enabled": "false"} for name in SYMBOLS}
        self.other = {"http": {"listen": "127.0.0.1:0"}}
        for name, more in settings.items():
            self.settings[name] = {
                "ws_url": simulator.ws(f"/{name}"),
                "rest_url": f"http://127.0.0.1:{simulator.port}/{name}",
                "symbols": f"[{SYMBOLS[name]}]", **more}
        self.reloads = 0
        self.node = Node("serve", file=self.text())

    def text(self):
        lines = []
        for section, values in self.other.items():
            lines += [f"{section}:"] + [f"  {key}: {value}" for key, value in values.items()]
        lines.append("exchanges:")
        for name, values in self.settings.items():
            lines += [f"  {name}:"] + [f"    {key}: {value}" for key, value in values.items()]
        return "\n".join(lines) + "\n"

    def reload(self, text=None):
        """Returns the line of log that says what has changed, or why nothing has."""
        with open(f"{self.node.folder}/tickwire.yaml", "w", encoding="utf-8") as out:
            out.write(self.text() if text is None else text)
        self.node.send_signal(signal.SIGHUP)
        if text is not None:
            return self.node.wait_log(msg="configuration not reloaded, the old one stays")
        self.reloads += 1
        return self.node.wait_log(msg="configuration reloaded", count=self.reloads)

    def set(self, exchange, **values):
        self.settings[exchange].update(values)
        return self.reload()

    def snapshot(self):
        """What a new client is told, by (type, exchange, symbol, channel)."""
        with Client(self.node) as client:
            told = client.until_type("snapshot_end")
        return {(message["type"], message.get("exchange"), message.get("symbol"),
                 message.get("channel")): message for message in told if message.get("snapshot")}


@contextlib.contextmanager
def configured(**settings):
    with Simulator("--rate", "400", "--symbols", "8") as simulator:
        setup = Configured(simulator, **settings)
        with setup.node:
            yield setup, simulator


def test_symbols_and_channels_change_while_data_flows():
    with configured(binance={}, upbit={}) as (setup, simulator):
        node = setup.node
        with follow(node) as client:
            messages = client.until(lambda message: message.get("symbol") == "ETH-KRW")
            messages += client.until(lambda message: message["type"] == "book"
                                     and message["symbol"] == "ETH-USDT")
            line = setup.set("binance", symbols="[BTC-USDT,XRP-USDT]")
            assert line["keys"] == "exchanges.binance.symbols"
            setup.set("upbit", channels="[trade,ticker]")
            messages += client.until(lambda message: message["type"] == "trade"
                                     and message.get("symbol") == "XRP-USDT")
            wanted = {("binance", "ETH-USDT", channel) for channel in ("trade", "ticker", "book")}
            wanted |= {("upbit", symbol, "book") for symbol in ("BTC-KRW", "ETH-KRW")}

            def dropped():
                return {(message["exchange"], message["symbol"], message["channel"])
                        for message in of(messages, "status", state="down")}
            while not wanted <= dropped():
                messages.append(client.next())
            assert len(of(messages, "status", state="down")) == len(wanted), "once each"
            assert all(message["reason"] == "not collected any more"
                       for message in of(messages, "status", state="down"))
            told = setup.snapshot()
            assert {key for key in told if key[2] == "ETH-USDT" and key[0] != "status"} == set()
            assert {key for key in told if key[:2] == ("book", "upbit")} == set()
            assert ("book", "binance", "BTC-USDT", None) in told
            before = len(messages)
            setup.set("binance", symbols="[BTC-USDT,ETH-USDT]")
            setup.set("upbit", channels="[trade,ticker,book]")
            again = {("binance", "ETH-USDT", channel) for channel in ("trade", "ticker", "book")}
            again |= {("upbit", symbol, "book") for symbol in ("BTC-KRW", "ETH-KRW")}

            def back():
                return [(message["exchange"], message["symbol"], message["channel"])
                        for message in of(messages[before:], "status", state="live")]
            while not again <= set(back()):
                messages.append(client.next())
            assert sorted(back()) == sorted(again), "once each"
            books = of(messages[before:], "book", symbol="ETH-USDT")
            assert books[0]["action"] == "snapshot"
            assert of(messages, "gap") == [], "nothing was missed, and nobody says so"
            ours = [trade["id"] for trade in
                    of(messages, "trade", exchange="binance", symbol="BTC-USDT")]
            subset_in_order(ours, simulator.truth("BTC-USDT", "binance")["trades"])
            wait_until(lambda: ("book", "binance", "ETH-USDT", None) in setup.snapshot(),
                       "a newer snapshot has it")
            for name in ("binance", "upbit"):
                assert simulator.stats(name)["connects"] == 1, "the same connection all the time"
                assert simulator.broken(name) == {}


def test_connections_and_places_change_at_run_time():
    with configured(binance={}) as (setup, simulator), Simulator("--seed", "2") as elsewhere:
        node = setup.node
        with follow(node) as client:
            def connections(count, where=simulator):
                wait_until(lambda: where.stats("binance")["connections"] == count,
                           f"{count} connections")

            messages = client.until(lambda message: message["type"] == "trade")
            setup.set("binance", connections=2)
            connections(2)
            setup.set("binance", connections=1)
            connections(1)
            setup.set("binance", lifetime="3s")
            node.wait_log(msg="connection replaced", reason="before its lifetime ends")
            setup.set("binance", lifetime="0s", stale_after="1h")
            messages += client.until(lambda message: message["type"] == "heartbeat")
            assert of(messages, "gap") == []
            assert whole_exchange(messages, "binance") == ["connecting", "live"]
            setup.set("binance", ws_url=elsewhere.ws("/binance"),
                      rest_url=f"http://127.0.0.1:{elsewhere.port}/binance")
            connections(1, elsewhere)
            connections(0)
            setup.set("binance", enabled="false")
            messages = client.until(lambda message: is_status(message, "down", "binance")
                                    and "symbol" not in message)
            assert messages[-1]["reason"] == "not collected any more"
            connections(0, elsewhere)
            assert "binance" not in node.json("/api/ws/infra-health")["exchanges"]
            setup.set("binance", enabled="true")
            messages = client.until(lambda message: is_status(message, "live", "binance")
                                    and "symbol" not in message)
            client.until(lambda message: message["type"] == "book"
                         and message["action"] == "snapshot")
            assert simulator.broken("binance") == {} == elsewhere.broken("binance")


def test_what_is_not_of_an_exchange_changes_at_run_time():
    with configured(binance={}) as (setup, _):
        node = setup.node
        setup.other["stream"] = {"heartbeat": "100ms", "max_lag": "1s", "slow_client": "disconnect"}
        setup.other["log"] = {"level": "debug"}
        setup.other["http"] = {"listen": "127.0.0.1:0", "max_clients": 2}
        setup.other["node"] = {"drain_timeout": "1s", "id": "other"}
        line = setup.reload()
        assert set(line["keys"].replace(",", " ").split()) == {
            "node.drain_timeout", "http.max_clients", "stream.max_lag", "stream.slow_client",
            "stream.heartbeat", "log.level"}
        assert line["needs_restart"] == "node.id"
        with Client(node) as client, Client(node):
            beats = []

            def often(message):
                """Sooner one after another than the 5 s of before."""
                beats.extend([message["ts"]] if message["type"] == "heartbeat" else [])
                return len(beats) > 1 and beats[-1] - beats[-2] < 4000000
            client.until(often)
            wait_until(lambda: node.get("/readyz")[0] == 503, "as many clients as there may be")
        text = setup.text().replace("enabled: false", "enabled: perhaps", 1)
        error = setup.reload(text)["error"]
        assert "perhaps" in error or "enabled" in error
        assert node.info()["node"] != "other"


def test_an_unlisted_symbol_is_quarantined_until_it_is_listed():
    unlisted = {"binance": "DOGE-USDT", "upbit": "DOGE-KRW"}
    with Simulator("--rate", "200", "--symbols", "4") as fewer, \
            Simulator("--rate", "400", "--symbols", "8") as more:
        setup = Configured(fewer, binance={"symbols": "[BTC-USDT,DOGE-USDT]"},
                           upbit={"symbols": "[BTC-KRW,DOGE-KRW]"})
        with setup.node as node, follow(node) as client:
            messages = []
            for name, symbol in unlisted.items():
                node.wait_log(msg="symbol quarantined", exchange=name, symbol=symbol)
                wait_until(lambda: Metrics(node).value("tickwire_quarantined_symbols",
                                                       exchange=name) == 1,  # noqa: B023
                           "it is counted")
                while len(of(messages, "status", exchange=name, symbol=symbol)) < 3:
                    messages.append(client.next())
                begin = len(messages)
                while not of(messages[begin:], "trade", exchange=name):
                    messages.append(client.next())
                assert collected(node, name)["state"] == "live"
                assert collected(node, name)["quarantined"] == 1
                told = of(messages, "status", exchange=name, symbol=symbol)
                assert {message["channel"] for message in told} == {"trade", "ticker", "book"}
                assert len(told) == 3, "each channel is told once"
                assert all(message["state"] == "down" and "does not list" in message["reason"]
                           for message in told)
            for name in unlisted:
                setup.settings[name].update(
                    ws_url=more.ws(f"/{name}"),
                    rest_url=f"http://127.0.0.1:{more.port}/{name}")
            setup.reload()
            for name, symbol in unlisted.items():
                node.wait_log(msg="symbol taken up again", exchange=name, symbol=symbol)
            before = len(messages)
            wanted = {(name, symbol, channel) for name, symbol in unlisted.items()
                      for channel in ("ticker", "book")}
            while not wanted <= {(message["exchange"], message["symbol"], message.get("channel"))
                                 for message in of(messages[before:], "status", state="live")
                                 if "symbol" in message}:
                messages.append(client.next())
            for name, symbol in unlisted.items():
                assert collected(node, name)["quarantined"] == 0
                while not of(messages, "book", exchange=name, symbol=symbol):
                    messages.append(client.next())
                assert fewer.broken(name) == {} == more.broken(name)
