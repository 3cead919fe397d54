# SPDX-License-Identifier: Apache-2.0
"""REST reads: against the recording as Python reads it, and against what a client was sent."""

import glob
import http.client
import json
import os
from decimal import Decimal

import jsonschema
import pytest
import referencing

import reference
from fake_exchange import FakeExchange, binance_trade
from harness import PATIENCE, ROOT, replay, serve, wait_until
from stream import Client, levels
from wire import Raw

EXCHANGES = ("binance", "upbit", "bithumb")
KEPT = 100  # trades of a symbol
READS = ("/api/v1/exchanges", "/api/v1/markets", "/api/v1/tickers",
         "/api/v1/trades/upbit/BTC-KRW", "/api/v1/books/upbit/BTC-KRW")


def ask(node, path, method="GET", **headers):
    """(status, headers, body) of one request; headers with _ for -."""
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=PATIENCE)
    try:
        connection.request(method, path, headers={
            name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def read(node, path):
    status, headers, body = ask(node, path)
    assert status == 200, (path, status, body)
    assert headers["Content-Type"] == "application/json"
    assert headers["Cache-Control"] == "no-cache"
    value = json.loads(body)
    validate(path, value)
    return value


def refused(node, path, status, *words):
    got, headers, body = ask(node, path)
    assert got == status, (path, got, body)
    assert headers["Content-Type"] == "application/problem+json" and "ETag" not in headers
    detail = json.loads(body)["detail"]
    assert headers["Cache-Control"] == "no-store" or detail == "nothing is served at this path"
    assert all(word in detail for word in words), detail


def load_schemas():
    resources = []
    for path in glob.glob(os.path.join(ROOT, "schemas", "**", "*.json"), recursive=True):
        with open(path, encoding="utf-8") as file:
            resource = referencing.Resource.from_contents(json.load(file))
        resources.append((resource.id(), resource))
    return referencing.Registry().with_resources(resources)


SCHEMAS = load_schemas()


def validate(path, value):
    name = path.split("?")[0].split("/")[3]
    schema = SCHEMAS[f"https://tickwire.invalid/schemas/rest/{name}.json"].contents
    jsonschema.Draft202012Validator(schema, registry=SCHEMAS).validate(value)


def exact(message):
    """In the terms of reference.py."""
    event = {key: value for key, value in message.items() if key not in ("seq", "recv")}
    event.update({key: Decimal(event[key]) for key in reference.NUMBERS if key in event})
    return event


def recorded(kind):
    """{(exchange, symbol): [events, oldest first]} of the recording."""
    events = {}
    for event in reference.published():
        if event["type"] == kind:
            events.setdefault((event["exchange"], event["symbol"]), []).append(event)
    return events


PAIRS = sorted(recorded("book"))


def test_info(played, quiet):
    schema = SCHEMAS["https://tickwire.invalid/schemas/rest/info.json"].contents
    for node in (played.node, quiet):
        jsonschema.Draft202012Validator(schema, registry=SCHEMAS).validate(node.info())


# ---- what is connected, what is collected ----

def test_exchanges(played):
    answer = read(played.node, "/api/v1/exchanges")
    assert answer["stream"] == played.node.info()["stream"] and answer["simulated"] is True
    assert [each["name"] for each in answer["exchanges"]] == list(EXCHANGES)
    health = played.node.json("/api/ws/infra-health")["exchanges"]
    for each in answer["exchanges"]:
        assert each["state"] == "live" and each["connections"] == 1
        assert each["since"] == health[each["name"]]["since"]
        assert each["age_ms"] <= health[each["name"]]["age_ms"]
        assert each["channels"] == ["trade", "ticker", "book"]
        assert each["symbols"] == sum(pair[0] == each["name"] for pair in PAIRS)


def test_markets(played):
    answer = read(played.node, "/api/v1/markets")["markets"]
    assert sorted((each["exchange"], each["symbol"]) for each in answer) == PAIRS
    natives = set()
    for line in reference.recorded(reference.DEMO):
        message = json.loads(line["raw"])
        native = message.get("code") or message["stream"].split("@")[0].upper()
        natives.add((line["exchange"], native))
    assert {(each["exchange"], each["native"]) for each in answer} == natives
    assert all(each["channels"] == ["trade", "ticker", "book"] for each in answer)


def test_markets_that_only_the_recording_has():
    """A replay takes what comes: it is listed when it has come, with what has come of it."""
    with replay("--speed", "max", "--set", "exchanges.binance.symbols=ETH-USDT", "--set",
                "exchanges.binance.channels=ticker") as node:
        node.wait_log(msg="recording played to its end", count=3)
        wanted = {"ETH-USDT": ["ticker"], **{f"{base}-USDT": ["trade", "ticker", "book"]
                                             for base in ("BTC", "XRP", "SOL")}}
        wait_until(lambda: {each["symbol"]: each["channels"]
                            for each in read(node, "/api/v1/markets")["markets"]
                            if each["exchange"] == "binance"} == wanted, "all that was learnt")
        binance = read(node, "/api/v1/exchanges")["exchanges"][0]
        assert binance["symbols"] == 4 and binance["channels"] == ["ticker"]


def test_markets_are_what_is_configured():
    with FakeExchange() as exchange:
        with serve("--set", "exchanges.binance.symbols=ETH-USDT", "--set",
                   "exchanges.binance.channels=ticker",
                   exchanges={"binance": exchange.url}) as node:
            assert read(node, "/api/v1/markets")["markets"] == [
                {"exchange": "binance", "symbol": "ETH-USDT", "native": "ETHUSDT",
                 "channels": ["ticker"]}]
            exchange.wait_connection()
            assert "simulated" not in read(node, "/api/v1/exchanges")
            assert read(node, "/api/v1/exchanges")["exchanges"][0]["symbols"] == 1


def test_nothing_is_collected(quiet):
    assert read(quiet, "/api/v1/exchanges")["exchanges"] == []
    assert read(quiet, "/api/v1/markets")["markets"] == []
    answer = read(quiet, "/api/v1/tickers")
    assert answer["tickers"] == [] and answer["seq"] == 0
    refused(quiet, "/api/v1/trades/upbit/BTC-KRW", 404, "BTC-KRW of upbit is not collected here")
    refused(quiet, "/api/v1/books/upbit/BTC-KRW", 404, "BTC-KRW of upbit is not collected here")


# ---- last values ----

def test_tickers_are_those_of_the_recording(played):
    tickers = read(played.node, "/api/v1/tickers")["tickers"]
    assert {(each["exchange"], each["symbol"]): exact(each) for each in tickers} == {
        pair: events[-1] for pair, events in recorded("ticker").items()}
    assert len(tickers) == len(PAIRS)


def test_tickers_are_what_clients_were_sent(played):
    answer = read(played.node, "/api/v1/tickers")
    sent = {message["seq"]: message for message in played.sequenced}
    assert all(sent[each["seq"]] == each for each in answer["tickers"])
    assert answer["seq"] == max(each["seq"] for each in answer["tickers"])


@pytest.mark.parametrize("query,wanted", [
    ("?exchange=upbit", lambda pair: pair[0] == "upbit"),
    ("?symbol=BTC-KRW", lambda pair: pair[1] == "BTC-KRW"),
    ("?symbol=BTC%2DKRW&exchange=bithum%62", lambda pair: pair == ("bithumb", "BTC-KRW")),
    ("?exchange=binance&symbol=BTC-KRW", lambda pair: False),
    ("?exchange=mtgox", lambda pair: False),
    ("?", lambda pair: True),
])
def test_tickers_are_filtered(played, query, wanted):
    answer = read(played.node, "/api/v1/tickers" + query)
    assert sorted((each["exchange"], each["symbol"]) for each in answer["tickers"]) == [
        pair for pair in PAIRS if wanted(pair)]


def test_trades_are_those_of_the_recording(played):
    expected = recorded("trade")
    assert sorted(expected) == PAIRS
    for (exchange, symbol), events in expected.items():
        answer = read(played.node, f"/api/v1/trades/{exchange}/{symbol}")
        assert (answer["exchange"], answer["symbol"]) == (exchange, symbol)
        assert [exact(each) for each in answer["trades"]] == events[::-1][:KEPT]
        assert "left_out" not in answer and answer["seq"] == answer["trades"][0]["seq"]


def test_trades_are_what_clients_were_sent(played):
    sent = [message for message in played.sequenced if message["type"] == "trade"
            and (message["exchange"], message["symbol"]) == ("upbit", "BTC-KRW")]
    for limit in (1, 2, 7, 100):
        answer = read(played.node, f"/api/v1/trades/upbit/BTC-KRW?limit={limit}")
        assert answer["trades"] == sent[::-1][:limit]


def test_only_the_last_trades_are_kept():
    greeting = [binance_trade(number) for number in range(1, KEPT + 31)]
    with FakeExchange(greeting) as exchange:
        with serve(exchanges={"binance": exchange.url}) as node:
            path = "/api/v1/trades/binance/BTC-USDT"
            wait_until(lambda: read(node, path)["trades"][:1] and
                       read(node, path)["trades"][0]["id"] == str(KEPT + 30), "all trades")
            ids = [int(each["id"]) for each in read(node, path)["trades"]]
            assert ids == list(range(KEPT + 30, 30, -1))
            # Collected, but nothing came of it: an empty list, not an error.
            answer = read(node, "/api/v1/trades/binance/ETH-USDT")
            assert answer["trades"] == [] and answer["seq"] == 0


def test_books_are_those_of_the_recording(played):
    for (exchange, symbol), (bids, asks) in reference.last_books().items():
        book = read(played.node, f"/api/v1/books/{exchange}/{symbol}")["book"]
        assert (book["exchange"], book["symbol"]) == (exchange, symbol)
        assert list(levels(book["bids"]).items()) == sorted(bids.items(), reverse=True)
        assert list(levels(book["asks"]).items()) == sorted(asks.items())
        assert book["proof"] == "whole" and len(book["bids"]) <= book["depth"]


def test_books_have_the_depth_asked_for(played):
    bids, asks = reference.last_books()["upbit", "BTC-KRW"]
    whole = read(played.node, "/api/v1/books/upbit/BTC-KRW")
    for depth in (1, 2, 5, 100):
        answer = read(played.node, f"/api/v1/books/upbit/BTC-KRW?depth={depth}")
        book = answer["book"]
        assert list(levels(book["bids"]).items()) == sorted(bids.items(), reverse=True)[:depth]
        assert list(levels(book["asks"]).items()) == sorted(asks.items())[:depth]
        assert book["depth"] == min(depth, whole["book"]["depth"])
        assert answer["seq"] == book["seq"] == whole["seq"]


def test_books_say_when_they_last_changed(played):
    last = [message for message in played.sequenced if message["type"] == "book"
            and (message["exchange"], message["symbol"]) == ("bithumb", "ETH-KRW")][-1]
    book = read(played.node, "/api/v1/books/bithumb/ETH-KRW")["book"]
    assert all(book[key] == last[key] for key in ("seq", "ts", "recv"))


def binance_book(bid):
    return json.dumps({"stream": "btcusdt@depth20@100ms", "data": {
        "lastUpdateId": 160, "bids": [[bid, "10"]], "asks": [["100.7", "20"]]}})


def test_a_book_that_cannot_be_vouched_for():
    with FakeExchange([binance_trade(1)]) as exchange:
        with serve(exchanges={"binance": exchange.url}) as node, Client(node) as client:
            path = "/api/v1/books/binance/BTC-USDT"
            exchange.wait_connection()
            refused(node, path, 404, "no book of BTC-USDT of binance", "none has come yet")
            exchange.send(binance_book("100.5"))
            client.until(lambda message: message["type"] == "book")
            assert read(node, path)["book"]["bids"] == [["100.5", "10"]]
            exchange.greeting = []  # the next connection is not live before the test says so
            exchange.call(exchange.connections[-1].close())
            client.until(lambda message: message["type"] == "gap")
            refused(node, path, 404, "cannot be vouched for now")
            exchange.wait_connection(2)
            exchange.send(binance_book("100.4"))
            client.until(lambda message: message["type"] == "book"
                         and ["100.4", "10"] in message["bids"])
            assert read(node, path)["book"]["bids"] == [["100.4", "10"]]


def test_a_book_that_is_not_collected():
    with FakeExchange() as exchange:
        with serve("--set", "exchanges.binance.channels=trade",
                   exchanges={"binance": exchange.url}) as node:
            refused(node, "/api/v1/books/binance/BTC-USDT", 404, "channel book is not collected")


# ---- caching ----

@pytest.mark.parametrize("path", READS[1:])
def test_not_modified(played, path):
    status, headers, body = ask(played.node, path)
    tag = headers["ETag"]
    assert status == 200 and tag.startswith('"' + played.node.info()["stream"])
    for sent in (tag, "*", "W/" + tag, '"other", ' + tag):
        status, headers, rest = ask(played.node, path, If_None_Match=sent)
        assert (status, rest, headers["ETag"]) == (304, b"", tag), sent
        assert headers["Cache-Control"] == "no-cache" and "Content-Length" not in headers
    status, _, again = ask(played.node, path, If_None_Match=tag.replace("tw-", "tx-"))
    assert (status, again) == (200, body)


def test_each_read_has_its_own_tag(played):
    path = "/api/v1/trades/upbit/BTC-KRW"
    trades = read(played.node, path)["trades"]
    tag = ask(played.node, path)[1]["ETag"]
    assert str(trades[0]["seq"]) in tag
    assert ask(played.node, "/api/v1/trades/upbit/ETH-KRW", If_None_Match=tag)[0] == 200


def test_tags_follow_the_data():
    with FakeExchange([binance_trade(1), binance_book("100.5")]) as exchange:
        with serve(exchanges={"binance": exchange.url}) as node, Client(node) as client:
            trades, book = (f"/api/v1/{kind}/binance/BTC-USDT" for kind in ("trades", "books"))
            wait_until(lambda: ask(node, book)[0] == 200, "a book")
            tags = [ask(node, path)[1]["ETag"] for path in (trades, book)]
            exchange.send(binance_book("100.6"))
            client.until(lambda message: message["type"] == "book"
                         and ["100.6", "10"] in message["bids"])
            assert ask(node, trades, If_None_Match=tags[0])[0] == 304, "its data has not changed"
            status, headers, body = ask(node, book, If_None_Match=tags[1])
            assert status == 200 and headers["ETag"] != tags[1]
            assert json.loads(body)["book"]["bids"] == [["100.6", "10"]]
            exchange.send(binance_trade(2))
            client.until(lambda message: message.get("id") == "2")
            assert ask(node, trades, If_None_Match=tags[0])[0] == 200
            assert ask(node, book, If_None_Match=headers["ETag"])[0] == 304


def test_a_kept_connection_goes_on_behind_304(played):
    path = "/api/v1/markets"
    tag = ask(played.node, path)[1]["ETag"]
    with Raw(played.node.port) as raw:
        raw.send(f"GET {path} HTTP/1.1\r\nHost: x\r\nIf-None-Match: {tag}\r\n\r\n"
                 "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert raw.read_head()[0] == 304
        assert raw.read_answer()[2] == b"ok\n"


# ---- methods, paths, queries ----

@pytest.mark.parametrize("path", READS)
def test_head(played, path):
    status, headers, body = ask(played.node, path, method="HEAD")
    assert (status, body) == (200, b"") and headers["ETag"]
    if path != READS[0]:  # ages grow
        _, same, whole = ask(played.node, path)
        assert int(headers["Content-Length"]) == len(whole) and headers["ETag"] == same["ETag"]


@pytest.mark.parametrize("path", READS + ("/api/v1/books/mtgox/BTC-KRW",))
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_only_reads(played, path, method):
    status, headers, _ = ask(played.node, path, method=method)
    assert status == 405 and headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", [
    "/api/v1/", "/api/v1/exchanges/", "/api/v1/exchanges/upbit", "/api/v1/tickers/upbit",
    "/api/v1/trades", "/api/v1/trades/", "/api/v1/trades/upbit", "/api/v1/trades/upbit/",
    "/api/v1/trades//BTC-KRW", "/api/v1/trades/upbit/BTC-KRW/", "/api/v1/books/upbit/BTC/KRW",
    "/api/v1/books/upbit%2FBTC-KRW", "/api/v1/%62ooks/upbit/BTC-KRW", "/api/v2/tickers",
    "/api/v1/books/mtgox/BTC-KRW", "/api/v1/books/upbit/NOPE-KRW",
    "/api/v1/trades/upbit/NOPE-KRW"])
def test_paths_that_are_not_there(played, path):
    refused(played.node, path, 404)


def test_escapes_in_a_path(played):
    plain = ask(played.node, "/api/v1/books/upbit/BTC-KRW")
    escaped = ask(played.node, "/api/v1/books/up%62it/%42TC%2DKRW")
    assert plain[2] == escaped[2] and escaped[0] == 200


@pytest.mark.parametrize("path,words", [
    ("/api/v1/exchanges?exchange=upbit", ["unknown parameter `exchange`", "expected none"]),
    ("/api/v1/markets?x", ["unknown parameter `x`", "expected none"]),
    ("/api/v1/cluster?x", ["unknown parameter `x`", "expected none"]),
    ("/api/v1/tickers?limit=1", ["unknown parameter `limit`", "expected exchange, symbol"]),
    ("/api/v1/tickers?exchange=upbit&exchange=upbit", ["`exchange` is given twice"]),
    ("/api/v1/tickers?exchange=", ["expected an exchange"]),
    ("/api/v1/tickers?exchange=Upbit", ["`Upbit`", "expected an exchange"]),
    ("/api/v1/tickers?symbol=btc-krw", ["`btc-krw`", "BASE-QUOTE"]),
    ("/api/v1/tickers?symbol=%ED%A0%80-KRW", ["BASE-QUOTE"]),
    ("/api/v1/trades/upbit/BTC-KRW?depth=1", ["expected limit"]),
    ("/api/v1/trades/upbit/BTC-KRW?limit=0", ["limit: `0`", "1 to 100"]),
    ("/api/v1/trades/upbit/BTC-KRW?limit=101", ["1 to 100"]),
    ("/api/v1/trades/upbit/BTC-KRW?limit=ten", ["1 to 100"]),
    ("/api/v1/trades/upbit/BTC-KRW?limit=1&limit=2", ["`limit` is given twice"]),
    ("/api/v1/trades/upbit/BTC-KRW?limit=1&", ["unknown parameter ``"]),
    ("/api/v1/books/upbit/BTC-KRW?depth=101", ["depth: `101`", "1 to 100"]),
    ("/api/v1/books/upbit/BTC-KRW?depth=-1", ["depth: `-1`", "1 to 100"]),
    ("/api/v1/books/upbit/BTC-KRW?limit=1", ["expected depth"]),
    ("/api/v1/books/Upbit/BTC-KRW", ["expected an exchange"]),
    ("/api/v1/books/upbit/BTC", ["expected a symbol"]),
    ("/api/v1/books/upbit/BTC-KRW%00", ["expected a symbol"]),
    ("/api/v1/books/upbit/BTC-KRW%zz", ["expected a symbol"]),
    ("/api/v1/books/upbit/BTC%2FKRW", ["expected a symbol"]),
])
def test_wrong_queries(played, path, words):
    refused(played.node, path, 400, *words)


def test_the_depth_that_may_be_asked_for_is_the_one_that_is_kept():
    with serve("--set", "stream.book_depth=7", exchanges={}) as node:
        refused(node, "/api/v1/books/upbit/BTC-KRW?depth=8", 400, "1 to 7")
        refused(node, "/api/v1/books/upbit/BTC-KRW?depth=7", 404)
