# SPDX-License-Identifier: Apache-2.0
"""Upbit and Bithumb of both generations, simulated, as their clients see them: what they send
agrees with the truth of the simulator, and the traps are there. Nothing of ours reads it."""

import json
import time
import urllib.parse
from decimal import ROUND_HALF_UP, Decimal

import pytest
from harness import PATIENCE, wait_until
from simulator import Simulator
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

HALT_MS = 600000
KST_S = 9 * 3600
NEW = {"upbit": "/upbit/websocket/v1", "bithumb": "/bithumb/websocket/v1"}
OLD = "/bithumb/pub/ws"
UNLIMITED = [part for name in ("upbit", "bithumb") for part in (
    "--set-limit", f"{name}.connects=0", "--set-limit", f"{name}.messages=0",
    "--set-limit", f"{name}.messages-minute=0")]
BOTH = pytest.mark.parametrize("exchange", ["upbit", "bithumb"])


@pytest.fixture(scope="module", name="sim")
def lively_simulator():
    with Simulator("--rate", "1000", "--seed", "3", *UNLIMITED) as simulator:
        wait_until(lambda: all(simulator.truth("BTC-KRW", exchange)["count"] for exchange in NEW),
                   "trades")
        yield simulator


def exact(text):
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


class Client:
    """Keeps what it got: (text or None, message)."""

    def __init__(self, simulator, path, **options):
        self.socket = connect(simulator.ws(path), close_timeout=0.1, max_size=1 << 24,
                              open_timeout=PATIENCE, **options)
        self.raw, self.binary = [], []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *objects):
        self.socket.send(json.dumps([{"ticket": "test"}, *objects]))
        return self

    def say(self, message):
        self.socket.send(message if isinstance(message, str) else json.dumps(message))
        return self

    def receive(self, seconds=PATIENCE):
        frame = self.socket.recv(seconds)
        self.binary.append(isinstance(frame, bytes))
        text = frame.decode() if isinstance(frame, bytes) else frame
        self.raw.append(text)
        return exact(text)

    def take(self, count, condition=lambda message: True, seconds=PATIENCE):
        """The next so many messages for which the condition holds."""
        found, deadline = [], time.monotonic() + seconds
        while len(found) < count:
            try:
                message = self.receive(max(0.01, deadline - time.monotonic()))
            except TimeoutError:
                raise AssertionError(f"{len(found)} of {count}; last: {self.raw[-2:]}") from None
            if condition(message):
                found.append(message)
        return found

    def quiet(self, seconds):
        """What comes within so long."""
        messages, deadline = [], time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                messages.append(self.receive(max(0.01, deadline - time.monotonic())))
            except TimeoutError:
                break
        return messages

    def end(self, seconds=PATIENCE):
        """Messages until it is closed, and the close frame's code (None: there was none)."""
        messages = []
        while True:
            try:
                messages.append(self.receive(seconds))
            except ConnectionClosed as closed:
                return messages, closed.rcvd.code if closed.rcvd else None


def of(kind, code="KRW-BTC"):
    return lambda message: message.get("type") == kind and message.get("code") == code


def entry(kind, *codes, **more):
    return {"type": kind, "codes": list(codes or ["KRW-BTC"]), **more}


def true_trades(simulator, exchange, symbol="BTC-KRW"):
    return [[identity, Decimal(price), Decimal(size), side]
            for identity, price, size, side, _ in simulator.truth(symbol, exchange)["trades"]]


def assert_part(seen, truth):
    """Contiguous in the truth, and in its order."""
    start = next(i for i, trade in enumerate(truth) if trade == seen[0])
    assert truth[start:start + len(seen)] == seen


# ---- trades, tickers ----

@BOTH
def test_trades_are_those_of_the_truth(sim, exchange):
    with Client(sim, NEW[exchange]) as client:
        client.send(entry("trade", "KRW-BTC", "KRW-NOPE", "krw-eth"))
        messages = client.take(60)
        assert all(client.binary)
    assert {message["code"] for message in messages} == {"KRW-BTC"}
    assert [message["stream_type"] for message in messages[:3]] == ["SNAPSHOT"] + ["REALTIME"] * 2
    assert_part([[str(message["sequential_id"]), message["trade_price"], message["trade_volume"],
                  {"BID": "buy", "ASK": "sell"}[message["ask_bid"]]] for message in messages],
                true_trades(sim, exchange))


def test_ids_of_upbit(sim):
    with Client(sim, NEW["upbit"]) as client:
        ids = [int(message["sequential_id"])
               for message in client.send(entry("trade")).take(100)]
    assert all(len(str(identity)) == 16 for identity in ids)
    assert len(set(ids)) == len(ids) and ids != sorted(ids)
    assert {right - left for left, right in zip(sorted(ids), sorted(ids)[1:])} != {1}


def test_ids_of_bithumb(sim):
    with Client(sim, NEW["bithumb"]) as client:
        ids = {int(message["sequential_id"])
               for message in client.send(entry("trade")).take(60)}
    assert all(identity > 2 ** 53 and len(str(identity)) in (18, 19) for identity in ids)
    rest = {trade["sequential_id"]
            for trade in sim.get("/bithumb/v1/trades/ticks?market=KRW-BTC&count=500")}
    assert not rest & ids
    assert all(identity % 10000 == 0 for identity in rest)


@pytest.mark.parametrize("exchange,zone", [("upbit", 0), ("bithumb", KST_S)])
def test_times_of_trades_and_tickers(sim, exchange, zone):
    with Client(sim, NEW[exchange]) as client:
        client.send(entry("trade"), entry("ticker"))
        trade, = client.take(1, of("trade"))
        ticker, = client.take(1, of("ticker"))
    made = time.gmtime(int(trade["trade_timestamp"]) // 1000 + zone)
    assert trade["trade_date"] == time.strftime("%Y-%m-%d", made)
    assert trade["trade_time"] == time.strftime("%H:%M:%S", made)
    made = time.gmtime(int(ticker["trade_timestamp"]) // 1000 + zone)
    assert ticker["trade_date"] + ticker["trade_time"] == time.strftime("%Y%m%d%H%M%S", made)
    assert ticker["delisting_date"] == (None if exchange == "upbit" else "")
    assert ("best_ask_price" in trade) == (exchange == "upbit")


def test_rest_tickers_of_bithumb_are_nine_hours_ahead(sim):
    ticker, = sim.get("/bithumb/v1/ticker?markets=KRW-BTC")
    ahead_s = ticker["timestamp"] / 1000 - time.time()
    assert abs(ahead_s - KST_S) < PATIENCE
    ticker, = sim.get("/upbit/v1/ticker?markets=KRW-BTC")
    assert abs(ticker["timestamp"] / 1000 - time.time()) < PATIENCE


def test_candles_follow_the_trades(sim):
    with Client(sim, NEW["upbit"]) as client:
        client.send(entry("candle.1s", is_only_realtime=True), entry("trade"))
        candles = client.take(2, of("candle.1s"))
    for candle in candles:
        assert candle["low_price"] <= candle["opening_price"] <= candle["high_price"]
        assert candle["low_price"] <= candle["trade_price"] <= candle["high_price"]
        assert candle["candle_date_time_utc"][:4] == time.strftime("%Y", time.gmtime())
    with Client(sim, NEW["bithumb"]) as client:
        messages, code = client.send(entry("candle.1s")).end()
        assert (messages[0]["error"]["name"], code) == ("INVALID_PARAM", 1000)


# ---- how numbers and keys are spelled ----

def test_spellings_of_upbit(sim):
    with Client(sim, NEW["upbit"]) as client:
        client.send(entry("trade"), entry("orderbook"), entry("ticker"))
        client.take(150)
        text = "".join(client.raw)
    assert "E8" in text and ".0," in text and "00000," in text and "E-4" in text
    first_keys = {next(iter(json.loads(raw))) for raw in client.raw}
    assert "type" in first_keys and len(first_keys) > 1


def test_spellings_of_bithumb(sim):
    with Client(sim, NEW["bithumb"]) as client:
        client.send(entry("trade"), entry("orderbook"))
        client.take(100)
        for raw in client.raw:
            numbers = []
            json.loads(raw, parse_float=numbers.append)
            assert all("e" not in number.lower() and not number.endswith("0")
                       for number in numbers)


def test_formats(sim):
    for name, key, listed in (("SIMPLE", "ty", False), ("JSON_LIST", "type", True),
                              ("SIMPLE_LIST", "ty", True), ("DEFAULT", "type", False)):
        with Client(sim, NEW["upbit"]) as client:
            client.send(entry("orderbook"), {"format": name})
            message, = client.take(1)
            assert isinstance(message, list) == listed
            message = message[0] if listed else message
            assert message[key] == "orderbook"
            assert ("obu" in message) == (key == "ty")
    with Client(sim, NEW["bithumb"]) as client:
        assert client.send(entry("trade"), {"format": "SIMPLE_LIST"}).take(1)[0]["type"] == "trade"
        assert client.send(entry("trade"), {"format": "SIMPLE"}).take(1, lambda m: "ty" in m)


# ---- books ----

def rounded(levels, decimals):
    step = Decimal(1).scaleb(-decimals)
    return [(Decimal(price), Decimal(size).quantize(step, ROUND_HALF_UP))
            for price, size in levels]


def test_books_are_those_of_the_truth():
    with Simulator("--rate", "1000", "--seed", "4") as sim:
        for exchange, units, decimals in (("upbit", 30, 8), ("bithumb", 15, 4)):
            with Client(sim, NEW[exchange]) as client:
                client.send(entry("orderbook"))
                client.take(5, lambda m: m["stream_type"] == "REALTIME")
                sim.fault("halt", exchange, symbol="BTC-KRW", ms=HALT_MS)
                client.quiet(0.5)
                book = exact(client.raw[-1])["orderbook_units"]
                truth = sim.truth("BTC-KRW", exchange)["book"]
            assert len(book) == units
            for side in ("bid", "ask"):
                seen = [(unit[f"{side}_price"], unit[f"{side}_size"]) for unit in book]
                assert seen == rounded(truth[f"{side}s"][:units], decimals)


@BOTH
def test_books_are_full_and_padded(sim, exchange):
    units = {"upbit": 30, "bithumb": 15}[exchange]
    padded = 0
    with Client(sim, NEW[exchange]) as client:
        codes = [market["market"] for market in sim.get(f"/{exchange}/v1/market/all")]
        client.send(entry("orderbook", *codes))
        books = client.take(len(codes), lambda m: m["stream_type"] == "SNAPSHOT")
    for book in books:
        assert len(book["orderbook_units"]) == units
        for side, order in (("ask", False), ("bid", True)):
            prices = [unit[f"{side}_price"] for unit in book["orderbook_units"]]
            real = [price for price in prices if price > 0]
            assert prices[:len(real)] == real == sorted(set(real), reverse=order)
            assert all(unit[f"{side}_size"] == 0 for unit in book["orderbook_units"][len(real):])
            padded += len(real) < units
        assert book["timestamp"] > (10 ** 15 if exchange == "bithumb" else 10 ** 12)
        assert book["timestamp"] < (10 ** 16 if exchange == "bithumb" else 10 ** 13)
    assert padded > 0


def test_bithumb_has_living_prices_of_size_zero_and_repeats(sim):
    with Client(sim, NEW["bithumb"]) as client:
        books = client.send(entry("orderbook")).take(60)
    assert any(unit[f"{side}_price"] > 0 and unit[f"{side}_size"] == 0
               for book in books for unit in book["orderbook_units"] for side in ("ask", "bid"))
    assert any(left == right for left, right in zip(books[1:], books[2:]))


def test_bithumb_sometimes_begins_with_realtime(sim):
    first = set()
    for _ in range(60):
        with Client(sim, NEW["bithumb"]) as client:
            first.add(client.send(entry("orderbook")).take(1)[0]["stream_type"])
        if len(first) == 2:
            break
    assert first == {"REALTIME", "SNAPSHOT"}


@pytest.mark.parametrize("exchange,asked,units", [
    ("upbit", ".1", 1), ("upbit", ".5", 5), ("upbit", ".15", 15), ("upbit", ".7", 30),
    ("bithumb", ".7", 7), ("bithumb", ".1", 1), ("bithumb", ".30", 15)])
def test_units(sim, exchange, asked, units):
    with Client(sim, NEW[exchange]) as client:
        book, = client.send(entry("orderbook", "KRW-BTC" + asked)).take(1)
    assert book["code"] == "KRW-BTC" and len(book["orderbook_units"]) == units


def test_levels_of_prices(sim):
    with Client(sim, NEW["upbit"]) as client:
        book, = client.send(entry("orderbook", level=10000)).take(1)
        assert book["level"] == 10000
        assert all(unit["bid_price"] % 10000 == 0 for unit in book["orderbook_units"])
        client.send(entry("orderbook", level=7), entry("ticker"))
        client.take(1, of("ticker"))  # it has been read
        assert {message["type"] for message in client.take(5)} == {"ticker"}
    with Client(sim, NEW["bithumb"]) as client:
        assert client.send(entry("orderbook", level=1)).take(1)[0]["level"] == 1
        messages, code = client.send(entry("orderbook", level=7)).end()
        assert (messages[-1]["error"]["name"], code) == ("WRONG_FORMAT", 1000)


# ---- requests ----

@pytest.mark.parametrize("exchange,request_text,name", [
    ("upbit", "nonsense", "WRONG_FORMAT"), ("upbit", "{}", "WRONG_FORMAT"),
    ("upbit", '[{"type":"trade","codes":["KRW-BTC"]}]', "NO_TICKET"),
    ("upbit", '[{"ticket":"x"}]', "NO_TYPE"),
    ("upbit", '[{"ticket":"x"},{"codes":["KRW-BTC"]}]', "NO_TYPE"),
    ("upbit", '[{"ticket":"x"},{"type":"trade"}]', "NO_CODES"),
    ("upbit", '[{"ticket":"x"},{"type":"wind","codes":["KRW-BTC"]}]', "INVALID_PARAM"),
    ("bithumb", "nonsense", "WRONG_FORMAT"), ("bithumb", "{}", "WRONG_FORMAT"),
    ("bithumb", '[{"type":"trade","codes":["KRW-BTC"]}]', "NO_TICKET"),
    ("bithumb", '[{"ticket":"x"},{"codes":["KRW-BTC"]}]', "WRONG_FORMAT"),
    ("bithumb", '[{"ticket":"x"},{"type":"trade","codes":[]}]', "INVALID_PARAM"),
    ("bithumb", '[{"ticket":"x"},{"type":"wind","codes":["KRW-BTC"]}]', "INVALID_PARAM")])
def test_errors_close(sim, exchange, request_text, name):
    with Client(sim, NEW[exchange]) as client:
        begin = time.monotonic()
        messages, code = client.say(request_text).end()
        assert time.monotonic() - begin > 0.1
    assert [message["error"]["name"] for message in messages] == [name]
    assert code == 1000


@BOTH
def test_a_request_replaces_the_one_before(sim, exchange):
    strays = 0
    for _ in range(12 if exchange == "bithumb" else 2):
        with Client(sim, NEW[exchange]) as client:
            client.send(entry("orderbook", "KRW-BTC", "KRW-SOL"))
            client.take(2)
            client.send(entry("orderbook", "KRW-ETH"))
            client.take(1, lambda m: m["code"] == "KRW-ETH" and m["stream_type"] == "SNAPSHOT")
            assert all(m["code"] == "KRW-ETH" for m in client.take(4))
            codes = [json.loads(raw)["code"] for raw in client.raw]
            strays += codes[3:-5].count("KRW-BTC") + codes[3:-5].count("KRW-SOL")
    assert strays > 0 or exchange == "upbit"


@pytest.mark.parametrize("exchange,only_snapshot,only_realtime", [
    ("upbit", "is_only_snapshot", "is_only_realtime"),
    ("upbit", "isOnlySnapshot", "isOnlyRealtime"),
    ("bithumb", "isOnlySnapshot", "isOnlyRealtime")])
def test_only_snapshot_and_only_realtime(sim, exchange, only_snapshot, only_realtime):
    with Client(sim, NEW[exchange]) as client:
        messages = client.send(entry("trade", **{only_snapshot: True})).quiet(0.7)
        assert [message["stream_type"] for message in messages] == ["SNAPSHOT"]
        client.send(entry("trade", **{only_realtime: True}))
        assert {message["stream_type"] for message in client.take(5)} == {"REALTIME"}


def test_bithumb_ignores_the_names_of_its_documents(sim):
    with Client(sim, NEW["bithumb"]) as client:
        messages = client.send(entry("trade", is_only_snapshot=True)).take(3)
        assert [m["stream_type"] for m in messages] == ["SNAPSHOT", "REALTIME", "REALTIME"]


def test_subscriptions_are_listed(sim):
    with Client(sim, NEW["upbit"]) as client:
        client.send(entry("orderbook", "KRW-BTC.5"), entry("trade", "KRW-ETH"))
        client.say('[{"method":"LIST_SUBSCRIPTIONS"},{"ticket":"mine"}]')
        answer, = client.take(1, lambda m: "method" in m)
        assert answer["ticket"] == "mine"
        assert [(one["type"], one["codes"]) for one in answer["result"]] == [
            ("orderbook", ["KRW-BTC.5"]), ("trade", ["KRW-ETH"])]


# ---- connections ----

def test_a_text_ping_is_answered_after_ten_seconds(sim):
    with Client(sim, NEW["upbit"]) as upbit, Client(sim, NEW["bithumb"]) as bithumb:
        begin = time.monotonic()
        for client in (upbit, bithumb):
            client.say("PING")
        for client in (upbit, bithumb):
            assert client.receive(2 * PATIENCE) == {"status": "UP"}
            assert 8 < time.monotonic() - begin < 2 * PATIENCE
            assert client.socket.ping().wait(PATIENCE)


@BOTH
def test_silence_is_cut_without_a_close_frame(exchange):
    with Simulator("--set-limit", f"{exchange}.idle=700ms") as sim:
        with Client(sim, NEW[exchange]) as client:
            assert client.end() == ([], None)
        assert sim.broken(exchange) == {"idle": 1}


@BOTH
def test_compression_is_granted_when_offered(sim, exchange):
    for offered in ("deflate", None):
        with Client(sim, NEW[exchange], compression=offered) as client:
            client.send(entry("orderbook")).take(3)
            granted = client.socket.response.headers.get("Sec-WebSocket-Extensions", "")
            assert granted.startswith("permessage-deflate") == (offered is not None)


@pytest.mark.parametrize("exchange,connects", [("upbit", 5), ("bithumb", 10)])
def test_connections_in_a_second(exchange, connects):
    with Simulator() as sim:
        clients = [Client(sim, NEW[exchange]) for _ in range(connects)]
        headers = clients[0].socket.response.headers
        if exchange == "upbit":
            assert headers["Remaining-Req"].startswith("group=websocket; min=300; sec=")
            assert headers["Limit-By-Ip"] == "Yes"
        with pytest.raises(InvalidStatus) as refused:
            for _ in range(100 * connects):  # a busy machine may take more than a second for some
                clients.append(Client(sim, NEW[exchange]))
        assert refused.value.response.status_code == 429
        assert sim.broken(exchange) == {"connects": 1}
        for client in clients:
            client.socket.close()


def test_upbit_punishes_an_origin():
    with Simulator() as sim:
        with Client(sim, NEW["upbit"], origin="https://page.example"):
            pass
        with pytest.raises(InvalidStatus) as refused:
            Client(sim, NEW["upbit"], origin="https://page.example")
        assert refused.value.response.status_code == 429
        status, _, _ = sim.fetch("/upbit/v1/market/all", headers={"Origin": "https://page.example"})
        assert status == 429
        assert sim.broken("upbit") == {"origin": 2}
        with Client(sim, NEW["upbit"]):
            pass


def test_upbit_counts_messages():
    for _ in range(20):
        with Simulator() as sim, Client(sim, NEW["upbit"]) as client:
            begin = time.monotonic()
            for _ in range(5):
                client.send(entry("trade"))
            assert client.socket.ping().wait(PATIENCE) and sim.broken("upbit") == {}
            client.send(entry("trade"))
            if time.monotonic() - begin > 0.9:
                continue  # a busy machine: it was not six in a second
            assert client.end()[1] == 1008
            assert sim.broken("upbit") == {"messages": 1}
            return
    raise AssertionError("never six in a second")


@BOTH
def test_garbage_is_of_every_kind(exchange):
    with Simulator("--rate", "100") as sim:
        with Client(sim, NEW[exchange]) as client:
            client.send(entry("trade"), entry("orderbook"))
            client.take(2)
            sim.fault("garbage", exchange, symbol="BTC-KRW", count=60)
            bad, deadline = 0, time.monotonic() + PATIENCE
            while bad < 10 and time.monotonic() < deadline:
                frame = client.socket.recv(PATIENCE)
                try:
                    json.loads(frame.decode())
                except (ValueError, RecursionError):
                    bad += 1
            assert bad == 10


# ---- the first generation ----

def test_old_session(sim):
    with Client(sim, OLD) as client:
        assert client.take(1) == [{"status": "0000", "resmsg": "Connected Successfully"}]
        client.say({"type": "nope"})
        assert client.take(1)[0]["status"] == "5100"
        client.say("nonsense")
        assert client.take(1)[0] == {"status": "5100", "resmsg": "Invalid Filter Syntax"}
        client.say({"type": "ticker", "symbols": ["BTC_KRW"], "tickTypes": ["24H", "MID"]})
        assert client.take(1, lambda m: "resmsg" in m) == [
            {"status": "0000", "resmsg": "Filter Registered Successfully"}]
        tickers = client.take(2, lambda m: m.get("type") == "ticker")
        assert {m["content"]["tickType"] for m in tickers} == {"24H", "MID"}
        assert not any(client.binary)


def test_old_trades_are_those_of_the_truth(sim):
    seen = []
    with Client(sim, OLD) as client:
        client.say({"type": "transaction", "symbols": ["BTC_KRW"]})
        messages = client.take(40, lambda m: m.get("type") == "transaction")
    lists = [message["content"]["list"] for message in messages]
    assert any(len(fills) > 1 for fills in lists)
    truth = sim.truth("BTC-KRW", "bithumb")["trades"]
    for fill in (fill for fills in lists for fill in fills):
        assert all(isinstance(value, str) for value in fill.values())
        seen.append((Decimal(fill["contPrice"]), Decimal(fill["contQty"]),
                     {"1": "sell", "2": "buy"}[fill["buySellGb"]], fill["contDtm"]))
        value = Decimal(fill["contPrice"]) * Decimal(fill["contQty"]) - Decimal(fill["contAmt"])
        assert 0 <= value < Decimal("0.001")
    true = [(Decimal(price), Decimal(size), side,
             time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(ts // 10 ** 6 + KST_S))
             + f".{ts % 10 ** 6:06}") for _, price, size, side, ts in truth]
    assert_part(seen, true)


def test_old_acknowledgements_are_sometimes_late(sim):
    late = set()
    for _ in range(40):
        with Client(sim, OLD) as client:
            client.say({"type": "transaction", "symbols": ["BTC_KRW"]}).take(2)
            late.add("resmsg" not in json.loads(client.raw[1]))
        if len(late) == 2:
            break
    assert late == {True, False}


def test_old_filters_are_replaced_by_type(sim):
    with Client(sim, OLD) as client:
        client.say({"type": "orderbooksnapshot", "symbols": ["BTC_KRW"]})
        client.say({"type": "transaction", "symbols": ["BTC_KRW"]})
        client.take(1, lambda m: m.get("type") == "orderbooksnapshot")
        client.say({"type": "orderbooksnapshot", "symbols": ["ETH_KRW"]})
        client.take(1, lambda m: m.get("content", {}).get("symbol") == "ETH_KRW")
        books = client.take(3, lambda m: m.get("type") == "orderbooksnapshot")
        assert {book["content"]["symbol"] for book in books} == {"ETH_KRW"}
        assert client.take(1, lambda m: m.get("type") == "transaction")


def test_old_books_by_changes_and_whole():
    with Simulator("--rate", "600", "--seed", "8") as sim, Client(sim, OLD) as client:
        client.say({"type": "orderbookdepth", "symbols": ["BTC_KRW"]})
        client.say({"type": "orderbooksnapshot", "symbols": ["BTC_KRW"]})
        whole, = client.take(1, lambda m: m.get("type") == "orderbooksnapshot")
        assert len(whole["content"]["bids"]) == len(whole["content"]["asks"]) == 30
        sides = {}
        for side in ("bids", "asks"):
            sides[side[:3]] = {Decimal(p): Decimal(q) for p, q in whole["content"][side]}
        client.take(2, lambda m: m.get("type") == "orderbookdepth")
        sim.fault("halt", "bithumb", symbol="BTC-KRW", ms=HALT_MS)
        client.quiet(2)
        truth = sim.truth("BTC-KRW", "bithumb")["book"]
        messages = [exact(raw) for raw in client.raw]
        last = [m for m in messages if m.get("type") == "orderbooksnapshot"][-1]["content"]
        for message in messages:
            if message.get("type") != "orderbookdepth":
                continue
            assert isinstance(message["content"]["datetime"], str)
            for level in message["content"]["list"]:
                sides[level["orderType"]][Decimal(level["price"])] = Decimal(level["quantity"])
    for side, best in (("bids", max), ("asks", min)):
        want = [(Decimal(price), Decimal(size)) for price, size in truth[side]]
        assert [(Decimal(price), Decimal(size)) for price, size in last[side]] == want[:30]
        kept = {price: size for price, size in sides[side[:3]].items() if size > 0}
        have = sorted(kept.items(), reverse=best is max)
        assert have[:10] == want[:10]


# ---- REST ----

@BOTH
def test_rest_books_and_tickers(exchange):
    with Simulator("--rate", "500", "--seed", "6") as sim:
        wait_until(lambda: sim.truth("BTC-KRW", exchange)["count"] > 20, "trades")
        sim.fault("halt", exchange, symbol="BTC-KRW", ms=HALT_MS)
        truth = sim.truth("BTC-KRW", exchange)
        decimals = {"upbit": 8, "bithumb": 4}[exchange]
        book, = exact(sim.fetch(f"/{exchange}/v1/orderbook?markets=krw-btc")[2])
        assert book["timestamp"] < 10 ** 13 and len(book["orderbook_units"]) == 30
        seen = [(unit["bid_price"], unit["bid_size"]) for unit in book["orderbook_units"]]
        assert seen == rounded(truth["book"]["bids"][:30], decimals)
        books = sim.get(f"/{exchange}/v1/orderbook?markets=KRW-BTC,KRW-ETH")
        assert [len(book["orderbook_units"]) for book in books] == [
            30 if exchange == "upbit" else 15] * 2
        ticker, = exact(sim.fetch(f"/{exchange}/v1/ticker?markets=KRW-BTC")[2])
        assert ticker["trade_price"] == Decimal(truth["trades"][-1][1])
        assert ticker["acc_trade_volume"] == sum(Decimal(trade[2]) for trade in truth["trades"])
        trades = exact(sim.fetch(f"/{exchange}/v1/trades/ticks?market=KRW-BTC&count=5")[2])
        assert [[trade["trade_price"], trade["trade_volume"]] for trade in trades] == [
            [Decimal(price), Decimal(size)] for _, price, size, _, _ in truth["trades"][:-6:-1]]


def test_rest_errors(sim):
    path = "/v1/orderbook?markets=" + urllib.parse.quote("KRW-BTC,KRW-NOPE")
    status, _, body = sim.fetch("/upbit" + path)
    assert (status, json.loads(body)["error"]["name"]) == (404, 404)
    status, _, body = sim.fetch("/bithumb" + path)
    assert (status, json.loads(body)["error"]["name"]) == (200, 404)
    assert sim.fetch("/upbit/v1/ticker")[0] == 400
    assert sim.fetch("/bithumb/v1/orderbook/instruments?markets=KRW-BTC")[0] == 404


def test_rest_lists(sim):
    markets = sim.get("/upbit/v1/market/all?is_details=true")
    assert markets[0]["market"] == "KRW-BTC" and "market_event" in markets[0]
    assert {market["market"].split("-")[0] for market in markets} == {"KRW", "BTC", "USDT"}
    assert "market_warning" in sim.get("/bithumb/v1/market/all?isDetails=true")[0]
    instrument, = sim.get("/upbit/v1/orderbook/instruments?markets=KRW-BTC")
    assert instrument["tick_size"] == "1000"
    all_krw = sim.get("/upbit/v1/ticker/all?quote_currencies=KRW")
    assert len(all_krw) == sum(market["market"].startswith("KRW") for market in markets)


def test_rest_limits():
    with Simulator() as sim:
        answers = [sim.fetch("/upbit/v1/market/all") for _ in range(13)]
        assert [status for status, _, _ in answers].count(429) >= 1
        assert answers[0][1]["Remaining-Req"] == "group=market; min=600; sec=9"
        assert sim.broken("upbit")["weight"] >= 1
        _, headers, _ = sim.fetch("/bithumb/v1/market/all")
        assert headers["x-ratelimit-burst-capacity"] == "150"


def test_rest_of_the_first_generation(sim):
    tickers = sim.get("/bithumb/public/ticker/ALL_KRW")
    assert tickers["status"] == "0000" and "BTC" in tickers["data"] and "date" in tickers["data"]
    book = sim.get("/bithumb/public/orderbook/BTC_KRW?count=7")["data"]
    assert len(book["bids"]) == len(book["asks"]) == 7
    assert len(sim.get("/bithumb/public/transaction_history/BTC_KRW?count=3")["data"]) == 3
    assert sim.get("/bithumb/public/ticker/NOPE_KRW")["status"] == "5500"
