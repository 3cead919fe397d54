# SPDX-License-Identifier: Apache-2.0
"""The simulator as its clients see it: what it sends is what it says is true, it goes wrong
when told to, and it holds to the exchange's rules. Binance; nothing of ours reads its bytes."""

import asyncio
import json
import socket
import subprocess
import time
import zlib
from decimal import Decimal

import aiohttp
import pytest
from harness import PATIENCE, TICKWIRE, wait_until
from simulator import Simulator
from test_tls import Authority, first_messages
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.sync.client import connect

HALT_MS = 600000


@pytest.fixture(scope="module", name="lively")
def lively_simulator():
    with Simulator("--rate", "1000", "--seed", "5") as simulator:
        yield simulator


class Client:
    """A WebSocket client that keeps what it got."""

    def __init__(self, simulator, path):
        self.socket = connect(simulator.ws("/binance" + path), close_timeout=0.1,
                              open_timeout=PATIENCE, max_size=1 << 24)
        self.got = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def receive(self, seconds=PATIENCE):
        message = json.loads(self.socket.recv(seconds))
        self.got.append(message)
        return message

    def until(self, condition, what, seconds=PATIENCE):
        """The first message for which the condition holds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                message = self.receive(max(0.01, deadline - time.monotonic()))
            except TimeoutError:
                break
            if condition(message):
                return message
        raise AssertionError(f"not within {seconds} s: {what}; last: {self.got[-3:]}")

    def ask(self, method, *params, number=1):
        request = {"method": method, "id": number}
        if params:
            request["params"] = list(params)
        self.socket.send(json.dumps(request))

    def answer(self, number=1):
        return self.until(lambda m: isinstance(m, dict) and "id" in m and m["id"] == number
                          and ("result" in m or "error" in m), "an answer")

    def closed(self, seconds=PATIENCE):
        """The close frame's code, None when there was none."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                self.receive(max(0.01, deadline - time.monotonic()))
            except ConnectionClosed as error:
                return error.rcvd.code if error.rcvd else None
            except TimeoutError:
                break
        raise AssertionError(f"still open after {seconds} s")


def canonical(text):
    number = Decimal(text).normalize()
    return f"{number:f}"


def checksum(bids, asks):
    sides = ["|".join(f"{canonical(price)}:{canonical(size)}" for price, size in levels)
             for levels in (bids, asks)]
    return zlib.crc32("#".join(sides).encode())


class Book:
    """BN-DOC, "How to manage a local order book correctly"."""

    def __init__(self, snapshot, buffered):
        self.update_id = snapshot["lastUpdateId"]
        self.sides = [{Decimal(p): q for p, q in snapshot[side]} for side in ("bids", "asks")]
        self.started = False
        for diff in buffered:
            self.apply(diff)

    def apply(self, diff):
        if diff["u"] <= self.update_id:
            return
        assert diff["U"] <= self.update_id + 1, (diff["U"], self.update_id)
        assert not self.started or diff["U"] == self.update_id + 1
        self.started = True
        for side, levels in zip(self.sides, (diff["b"], diff["a"])):
            for price, size in levels:
                if Decimal(size) == 0:
                    side.pop(Decimal(price), None)
                else:
                    side[Decimal(price)] = size
        self.update_id = diff["u"]

    def levels(self):
        bids = sorted(self.sides[0].items(), reverse=True)
        asks = sorted(self.sides[1].items())
        return [(str(p), q) for p, q in bids], [(str(p), q) for p, q in asks]


@pytest.mark.parametrize("stream", ["btcusdt@depth@100ms", "ethusdt@depth"])
def test_the_book_of_diffs_is_the_true_one(lively, stream):
    native = stream.split("@")[0].upper()
    symbol = native.replace("USDT", "-USDT")
    with Client(lively, f"/ws/{stream}") as client:
        first = client.receive()
        snapshot = lively.get(f"/binance/api/v3/depth?symbol={native}&limit=5000")
        if snapshot["lastUpdateId"] < first["U"]:
            snapshot = lively.get(f"/binance/api/v3/depth?symbol={native}&limit=5000")
        assert len(snapshot["bids"]) >= 1000 and len(snapshot["asks"]) >= 1000
        book = Book(snapshot, client.got)
        for _ in range(5):
            book.apply(client.receive())
        lively.fault("halt", symbol=symbol, ms=HALT_MS)
        truth = lively.truth(symbol)
        assert truth["halted"]
        while book.update_id < truth["update_id"]:
            book.apply(client.receive())
        bids, asks = book.levels()
        assert checksum(snapshot["bids"], snapshot["asks"]) != truth["book"]["checksum"]
        assert checksum(bids, asks) == truth["book"]["checksum"]
        assert checksum(truth["book"]["bids"], truth["book"]["asks"]) == truth["book"]["checksum"]


def true_trades(truth):
    return [(int(number), Decimal(price), Decimal(size), side, ts)
            for number, price, size, side, ts in truth["trades"]]


def test_trades_are_the_true_ones(lively):
    streams = "xrpusdt@trade/xrpusdt@aggTrade"
    with Client(lively, f"/stream?streams={streams}&timeUnit=MICROSECOND") as client:
        while sum(m["stream"].endswith("@trade") for m in client.got) < 40:
            client.receive()
        lively.fault("halt", symbol="XRP-USDT", ms=HALT_MS)
        truth = true_trades(lively.truth("XRP-USDT"))
        last = truth[-1][0]
        client.until(lambda m: m["data"].get("l") == last, "the last aggregate")
        trades = [m["data"] for m in client.got if m["data"]["e"] == "trade"]
        seen = [(t["t"], Decimal(t["p"]), Decimal(t["q"]), "sell" if t["m"] else "buy", t["T"])
                for t in trades]
        assert seen == truth[-len(seen):]
        assert [t[0] for t in truth] == list(range(truth[0][0], last + 1))
        joined = [m["data"] for m in client.got if m["data"]["e"] == "aggTrade"]
        first = joined[0]["f"]
        assert sum(Decimal(a["q"]) for a in joined) == sum(t[2] for t in truth if t[0] >= first)
        assert any(a["l"] > a["f"] for a in joined) or len(joined) == len(trades)
    day = lively.get("/binance/api/v3/ticker/24hr?symbol=XRPUSDT")
    assert day["count"] == len(truth) == lively.truth("XRP-USDT")["count"]
    assert Decimal(day["volume"]) == sum(t[2] for t in truth)
    assert abs(Decimal(day["quoteVolume"]) - sum(t[1] * t[2] for t in truth)) < Decimal("0.001")
    assert Decimal(day["lastPrice"]) == truth[-1][1]
    recent = lively.get("/binance/api/v3/trades?symbol=XRPUSDT&limit=10")
    assert [t["id"] for t in recent] == [t[0] for t in truth[-10:]]


def test_truth_goes_on_behind_what_one_has(lively):
    first = lively.truth("SOL-USDT")
    later = wait_until(lambda: [t for t in [lively.truth("SOL-USDT", after=first["count"])]
                                if t["trades"]], "more trades")[0]
    assert len(later["trades"]) == later["count"] - first["count"]
    assert not set(t[0] for t in later["trades"]) & set(t[0] for t in first["trades"])


def test_requests_are_answered_and_acks_are_never_wrapped(lively):
    with Client(lively, "/stream") as client:
        client.ask("SUBSCRIBE", "adausdt@trade", "nosuch@trade", number="a-b")
        assert client.answer("a-b") == {"result": None, "id": "a-b"}
        client.ask("LIST_SUBSCRIPTIONS", number=2)
        assert sorted(client.answer(2)["result"]) == ["adausdt@trade", "nosuch@trade"]
        client.ask("GET_PROPERTY", "combined", number=3)
        assert client.answer(3)["result"] is True
        client.until(lambda m: m.get("stream") == "adausdt@trade", "wrapped data")
        client.ask("SET_PROPERTY", "combined", False, number=4)
        assert client.answer(4) == {"result": None, "id": 4}
        client.until(lambda m: m.get("e") == "trade" and m["s"] == "ADAUSDT", "bare data")
    with Client(lively, "/ws") as client:
        client.ask("SUBSCRIBE", "btcusdt", number=5)
        assert client.answer(5)["error"]["code"] == 2
        client.ask("SET_PROPERTY", "combined", 5, number=6)
        assert client.answer(6)["error"]["code"] == 1
        client.ask("GET_PROPERTY", "other", number=7)
        assert client.answer(7)["error"]["code"] == 0
        client.socket.send("{")
        assert client.answer(None)["error"]["code"] == 3


def test_all_streams_speak(lively):
    names = ["dogeusdt@trade", "dogeusdt@aggTrade", "dogeusdt@ticker", "dogeusdt@miniTicker",
             "dogeusdt@bookTicker", "dogeusdt@depth", "dogeusdt@depth@100ms", "dogeusdt@depth5",
             "dogeusdt@depth20@100ms", "dogeusdt@kline_1s", "dogeusdt@kline_1m", "!miniTicker@arr"]
    with Client(lively, "/stream?streams=" + "/".join(names)) as client:
        wanted = set(names)
        client.until(lambda m: not wanted - {g["stream"] for g in client.got}, "every stream",
                     2 * PATIENCE)
        by_name = {message["stream"]: message["data"] for message in client.got}
    assert "e" not in by_name["dogeusdt@bookTicker"] and "s" not in by_name["dogeusdt@depth5"]
    assert len(by_name["dogeusdt@depth5"]["bids"]) == 5
    assert len(by_name["dogeusdt@depth20@100ms"]["asks"]) == 20
    assert by_name["dogeusdt@kline_1m"]["k"]["i"] == "1m"
    assert len(str(by_name["dogeusdt@trade"]["T"])) == 13


def test_markets_and_tickers_by_rest(lively):
    info = lively.get("/binance/api/v3/exchangeInfo")
    markets = {market["symbol"]: market for market in info["symbols"]}
    assert {market["native"] for market in lively.get("/sim/markets")["binance"]} == set(markets)
    assert [m["status"] for m in markets.values()].count("BREAK") == 1
    assert [limit["limit"] for limit in info["rateLimits"]][0] == 6000
    tick = {f["filterType"]: f for f in markets["BTCUSDT"]["filters"]}["PRICE_FILTER"]["tickSize"]
    book = lively.get("/binance/api/v3/depth?symbol=BTCUSDT&limit=50")
    assert all(Decimal(p) % Decimal(tick) == 0 for p, _ in book["bids"] + book["asks"])
    assert len(lively.get("/binance/api/v3/ticker/price")) == len(markets)
    two = lively.get("/binance/api/v3/ticker/bookTicker?symbols=%5B%22BTCUSDT%22,%22ETHUSDT%22%5D")
    assert [t["symbol"] for t in two] == ["BTCUSDT", "ETHUSDT"]
    status, _, body = lively.fetch("/binance/api/v3/depth?symbol=NOSUCH")
    assert (status, json.loads(body)["code"]) == (400, -1121)
    status, headers, _ = lively.fetch("/api/v3/depth?symbol=BTCUSDT&limit=5000",
                                      headers={"Host": "api.binance.com"})
    assert status == 200 and int(headers["X-MBX-USED-WEIGHT-1M"]) >= 250


def test_another_client_takes_every_frame(lively):
    """aiohttp has a WebSocket of its own, and asks for compression, which Binance does not give."""
    async def run():
        url = lively.ws("/binance/stream?streams=dogeusdt@trade/dogeusdt@depth@100ms")
        async with aiohttp.ClientSession() as session:
            async with session.ws_connect(url, compress=15) as ws:
                assert ws.compress == 0
                return [json.loads((await asyncio.wait_for(ws.receive(), PATIENCE)).data)
                        for _ in range(50)]
    assert all("stream" in message for message in asyncio.run(run()))


# ---- faults ----

@pytest.fixture(scope="module", name="sick")
def sick_simulator():
    with Simulator("--rate", "2000", "--set-limit", "*.connects=0") as simulator:
        yield simulator


def test_disconnect_cuts_with_and_without_a_code(sick):
    with Client(sick, "/ws/btcusdt@trade") as client:
        client.receive()
        sick.fault("disconnect")
        assert client.closed() is None
    with Client(sick, "/ws/btcusdt@trade") as client:
        client.receive()
        sick.fault("disconnect", code=1012)
        assert client.closed() == 1012


def test_disconnect_may_keep_clients_out(sick):
    number = sick.fault("disconnect", ms=300)["id"]
    with pytest.raises((InvalidMessage, OSError, EOFError)):
        Client(sick, "/ws")
    wait_until(lambda: sick.fault_over(number), "it is over")
    Client(sick, "/ws").socket.close()


def test_stall_stops_one_channel_of_one_symbol(sick):
    streams = "btcusdt@trade/btcusdt@depth@100ms/ethusdt@trade"
    with Client(sick, f"/stream?streams={streams}&timeUnit=MICROSECOND") as client:
        client.until(lambda m: m["stream"] == "btcusdt@trade", "trades")
        begin = sick.truth("BTC-USDT")["count"]
        fault = sick.fault("stall", symbol="BTC-USDT", channel="trade", ms=700)
        wait_until(lambda: sick.truth("BTC-USDT")["count"] > begin, "the market goes on")
        assert sick.fetch("/binance/api/v3/ping")[0] == 200
        client.until(lambda m: m["stream"] == "btcusdt@trade" and m["data"]["E"] > fault["to_us"],
                     "trades come again")
        slack_us = 5000  # two clocks tell when it ends
        during = [message["stream"] for message in client.got
                  if fault["from_us"] < message["data"]["E"] < fault["to_us"] - slack_us]
    assert set(during) == {"btcusdt@depth@100ms", "ethusdt@trade"}


def test_stall_of_old_connections_lets_new_ones_be(sick):
    with Client(sick, "/ws/btcusdt@trade") as old:
        old.receive()
        number = sick.fault("stall", ms=1500, connections="old")["id"]
        with Client(sick, "/ws/btcusdt@trade") as new:
            new.receive()
            assert not sick.fault_over(number)


def test_ban_is_answered_as_the_exchange_does(sick):
    with Client(sick, "/ws/btcusdt@trade") as client:
        client.receive()
        number = sick.fault("ban", status=418, retry_after=1, ms=700)["id"]
        assert client.closed() is None
    with pytest.raises(InvalidStatus) as refused:
        Client(sick, "/ws")
    assert refused.value.response.status_code == 418
    assert refused.value.response.headers["Retry-After"] == "1"
    assert sick.broken().get("banned", 0) == 0
    status, headers, body = sick.fetch("/binance/api/v3/ping")  # too early: it was told
    assert (status, headers["Retry-After"]) == (418, "1")
    assert json.loads(body)["code"] == -1003
    assert sick.broken()["banned"] == 1
    wait_until(lambda: sick.fault_over(number), "it is over")
    assert sick.fetch("/binance/api/v3/ping")[0] == 200


def test_maintenance(sick):
    with Client(sick, "/ws/btcusdt@trade") as client:
        client.receive()
        number = sick.fault("maintenance", ms=300)["id"]
        assert client.closed() == 1001
    assert sick.fetch("/binance/api/v3/ping")[0] == 503
    wait_until(lambda: sick.fault_over(number), "it is over")
    assert sick.fetch("/binance/api/v3/ping")[0] == 200


def test_leaving_is_said_before(sick):
    with Client(sick, "/stream?streams=btcusdt@trade") as client:
        client.receive()
        sick.fault("leaving", ms=100)
        client.until(lambda m: m["stream"] == "!serverShutdown", "the warning")
        assert client.closed() is None


def test_gap_drops_and_duplicate_doubles(sick):
    def numbers(client):
        return [message["t"] for message in client.got]

    def steps(client):
        return [b - a for a, b in zip(numbers(client), numbers(client)[1:])]

    with Client(sick, "/ws/btcusdt@trade") as client, Client(sick, "/ws/btcusdt@trade") as other:
        client.receive()
        other.receive()
        sick.fault("gap", symbol="BTC-USDT", channel="trade", count=1)
        client.until(lambda m: any(step > 1 for step in steps(client)), "a hole")
        other.until(lambda m: any(step > 1 for step in steps(other)), "the same hole")
        missing = set(range(numbers(client)[0], numbers(client)[-1])) - set(numbers(client))
        assert not missing & set(numbers(other))
        sick.fault("duplicate", symbol="BTC-USDT", channel="trade", count=1)
        client.until(lambda m: 0 in steps(client), "a repeat")
        assert all(step >= 0 for step in steps(client))
        sick.fault("reorder", symbol="BTC-USDT", channel="trade", count=3)
        client.until(lambda m: any(step < 0 for step in steps(client)), "another order")


def test_gap_of_one_connection_alone(sick):
    with Client(sick, "/ws/ethusdt@trade") as one, Client(sick, "/ws/ethusdt@trade") as two:
        one.receive()
        two.receive()
        number = sick.fault("gap", symbol="ETH-USDT", channel="trade", count=2,
                            connections="one")["id"]
        wait_until(lambda: sick.fault_over(number), "it is used up")
        last = int(sick.truth("ETH-USDT")["trades"][-1][0])
        holes = []
        for client in (one, two):
            client.until(lambda m: m["t"] >= last, "as far as the truth")
            seen = [m["t"] for m in client.got]
            holes.append(len(set(range(seen[0], seen[-1] + 1)) - set(seen)))
        assert sorted(holes)[0] == 0 and sorted(holes)[1] > 0


def test_slow_delays_and_keeps_order(sick):
    with Client(sick, "/ws/ethusdt@trade?timeUnit=MICROSECOND") as client:
        sick.fault("slow", symbol="ETH-USDT", delay=500, ms=2000)
        late = client.until(lambda m: time.time() * 1e6 - m["E"] > 450000, "a late one")
        assert late["e"] == "trade"
        for _ in range(50):
            client.receive()
        seen = [m["t"] for m in client.got]
        assert seen == sorted(seen)


def test_clock(sick):
    with Client(sick, "/ws/btcusdt@trade") as client:
        client.receive()
        sick.fault("clock", ms=-3600000)
        client.until(lambda m: m["T"] < (time.time() - 3500) * 1000, "the past")
        sick.fault("clock", ms=0)
        client.until(lambda m: abs(m["T"] - time.time() * 1000) < 5000, "the present")
        assert abs(sick.get("/binance/api/v3/time")["serverTime"] - time.time() * 1000) < 5000


def test_garbage_comes_as_often_as_asked(sick):
    with Client(sick, "/ws/nosuch@trade") as client:
        sick.fault("garbage", count=36)
        frames = [client.socket.recv(PATIENCE) for _ in range(36)]
        with pytest.raises(TimeoutError):
            client.socket.recv(0.2)
    assert any(isinstance(frame, bytes) for frame in frames)
    assert sum(broken_json(frame) for frame in frames) >= 8
    assert len(set(frames)) >= 16


def broken_json(frame):
    try:
        json.loads(frame)
        return False
    except (ValueError, RecursionError):
        return True


def test_halt_is_quiet(sick):
    sick.fault("halt", symbol="ADA-USDT", ms=3000)
    first = sick.truth("ADA-USDT")
    assert first["halted"] and sick.truth("ADA-USDT")["update_id"] == first["update_id"]
    wait_until(lambda: sick.truth("ADA-USDT")["update_id"] > first["update_id"], "it goes on")


@pytest.mark.parametrize("body, says", [
    ({"kind": "stall", "ms": 5}, "exchange"),
    ({"exchange": "binance", "kind": "nothing"}, "kind"),
    ({"exchange": "binance", "kind": "stall"}, "needs `ms`"),
    ({"exchange": "binance", "kind": "stall", "ms": "5"}, "integer"),
    ({"exchange": "binance", "kind": "stall", "ms": 0}, "integer"),
    ({"exchange": "binance", "kind": "gap", "status": 429}, "no field `status`"),
    ({"exchange": "binance", "kind": "gap", "symbol": "NO-USDT"}, "no such market"),
    ({"exchange": "binance", "kind": "gap", "channel": "books"}, "channel"),
    ({"exchange": "binance", "kind": "gap", "connections": "two"}, "connections"),
    ([1], "object"),
])
def test_a_wrong_fault_is_refused(sick, body, says):
    before = len(sick.get("/sim/fault"))
    status, headers, text = sick.fetch("/sim/fault", body)
    assert status == 400 and headers["Content-Type"] == "application/problem+json"
    assert says in json.loads(text)["detail"]
    assert len(sick.get("/sim/fault")) == before


def test_a_page_in_a_browser_makes_no_faults(sick):
    status, _, _ = sick.fetch("/sim/fault", {"exchange": "binance", "kind": "leaving"},
                              {"Origin": "https://evil.example"})
    assert status == 403


# ---- limits ----

def test_too_many_messages_end_a_connection():
    for _ in range(20):
        with Simulator() as simulator, Client(simulator, "/ws") as client:
            begin = time.monotonic()
            for number in range(5):
                client.ask("LIST_SUBSCRIPTIONS", number=number)
            for number in range(5):
                client.answer(number)
            assert not simulator.broken()
            client.ask("LIST_SUBSCRIPTIONS", number=6)
            if time.monotonic() - begin > 0.9:
                continue  # a busy machine: it was not six in a second
            assert client.closed() == 1008
            assert simulator.broken() == {"messages": 1}
            return
    raise AssertionError("never six in a second")


def test_a_client_that_keeps_to_the_rules_is_left_alone():
    limits = ["--set-limit", "binance.ping=100ms", "--set-limit", "binance.pong=30s"]
    with Simulator(*limits) as simulator, Client(simulator, "/ws/btcusdt@bookTicker") as client:
        start = time.monotonic()
        while time.monotonic() - start < 1:
            client.receive()
        assert not simulator.broken()


def shake_hands(simulator, path):
    """A socket with a WebSocket that never says anything by itself."""
    raw = socket.create_connection(("127.0.0.1", simulator.port), PATIENCE)
    raw.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
                .encode())
    assert raw.recv(4096).startswith(b"HTTP/1.1 101")
    return raw


def test_who_does_not_answer_pings_is_cut():
    limits = ["--set-limit", "binance.ping=100ms", "--set-limit", "binance.pong=300ms"]
    with Simulator(*limits) as simulator, shake_hands(simulator, "/binance/ws") as raw:
        while raw.recv(4096):
            pass
        assert simulator.broken() == {"pong": 1}


def test_the_idle_are_cut():
    with Simulator("--set-limit", "binance.idle=300ms") as simulator:
        with shake_hands(simulator, "/binance/ws") as raw:
            assert raw.recv(4096) == b""
        assert simulator.broken() == {"idle": 1}


def test_lifetime():
    with Simulator("--lifetime", "500ms") as simulator:
        with Client(simulator, "/ws/btcusdt@bookTicker") as client:
            assert client.closed() == 1008
        assert simulator.stats()["lifetime_cuts"] == 1 and not simulator.broken()


def test_streams_requests_and_connects_are_limited():
    limits = ["--set-limit", "binance.streams=2", "--set-limit", "binance.connects=3"]
    with Simulator(*limits) as simulator:
        with Client(simulator, "/stream?streams=btcusdt@trade/ethusdt@trade") as client:
            client.ask("SUBSCRIBE", "xrpusdt@trade")
            assert client.closed() == 1008
        assert simulator.broken() == {"streams": 1}
        with Client(simulator, "/ws") as client:
            client.socket.send("x" * 5000)
            assert client.closed() == 3001
        Client(simulator, "/ws").socket.close()
        with pytest.raises(InvalidStatus) as refused:
            Client(simulator, "/ws")
        assert refused.value.response.status_code == 429
        assert simulator.broken() == {"streams": 2, "connects": 1}
        assert simulator.stats()["connects_total_by_address"] == {"127.0.0.1": 4}
        assert "websockets" in json.dumps(simulator.stats()["headers_last_handshake"])


def test_weight():
    with Simulator("--set-limit", "binance.weight=100") as simulator:
        path = "/binance/api/v3/depth?symbol=BTCUSDT&limit=1000"
        for used in (50, 100):
            status, headers, _ = simulator.fetch(path)
            assert (status, headers["X-MBX-USED-WEIGHT-1M"]) == (200, str(used))
        assert not simulator.broken()
        status, headers, body = simulator.fetch(path)
        assert status == 429 and 1 <= int(headers["Retry-After"]) <= 60
        assert json.loads(body)["code"] == -1003
        assert simulator.broken() == {"weight": 1}
        statuses = [simulator.fetch(path)[0] for _ in range(30)]
        assert statuses[-1] == 418
        assert simulator.broken() == {"weight": 1, "banned": 30}


# ---- the command ----

def run(*arguments):
    return subprocess.run([TICKWIRE, "simulate", *arguments], capture_output=True, text=True,
                          timeout=PATIENCE, check=False)


@pytest.mark.parametrize("arguments, status, says", [
    (["--rate"], 2, "--rate needs a value"),
    (["--rate", "x"], 2, "--rate needs a number"),
    (["--rate", "0"], 2, "over 0"),
    (["--what"], 2, "unknown option `--what`"),
    (["--tls-cert", "x"], 2, "belong together"),
    (["--set-limit", "binance.nothing=5"], 1, "no such limit"),
    (["--set-limit", "binance.lifetime=soon"], 1, "a number is needed"),
    (["--listen", "nowhere"], 1, "nowhere"),
])
def test_the_command_says_what_is_wrong(arguments, status, says):
    done = run(*arguments)
    assert done.returncode == status and says in done.stderr


def test_the_command_explains_itself():
    done = run("--help")
    assert done.returncode == 0
    for word in ("--listen", "--seed", "--set-limit", "/sim/", "--tls-cert"):
        assert word in done.stdout


def test_tls_under_the_name_of_the_exchange(tmp_path):
    """As the default configuration comes: TLS, the exchange's own host name, no prefix."""
    authority = Authority(tmp_path)
    certificate, key = authority.issue("exchange", "subjectAltName=DNS:stream.binance.com")
    with Simulator("--tls-cert", certificate, "--tls-key", key) as simulator:
        with socket.create_connection(("127.0.0.1", simulator.port), PATIENCE) as plain:
            first, = first_messages(
                "wss://stream.binance.com/stream?streams=btcusdt@bookTicker", authority, 1,
                sock=plain)
            assert first["stream"] == "btcusdt@bookTicker"


def test_unknown_paths_are_told():
    with Simulator() as simulator:
        assert simulator.fetch("/nowhere")[0] == 404
        assert simulator.fetch("/sim/what")[0] == 404
        assert simulator.fetch("/binance/ws")[0] == 426
        assert simulator.fetch("/binance/api/v3/what")[0] == 404
        assert simulator.fetch("/sim/truth?exchange=binance&symbol=NO-USDT")[0] == 400
