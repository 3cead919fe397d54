# SPDX-License-Identifier: Apache-2.0
"""What demo/recording.jsonl.gz says, read with Python's own json and Decimal.

Written from the exchanges' documentation, independently of the product; only what that recording
holds. Events are dictionaries with the keys of the contract; numbers are Decimals; a book event is
a whole book.
"""

import gzip
import json
from decimal import Decimal

from harness import DEMO

DIGITS_MAX = 18


def recorded(path):
    """The lines of a recording that hold a message."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for text in file:
            line = json.loads(text)
            if isinstance(line.get("raw"), str) and "event" not in line:
                yield line


def load(text):
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def split_pair(native):
    for quote in ("USDT", "BTC"):
        if native.endswith(quote) and native != quote:
            return f"{native[:-len(quote)]}-{quote}"
    raise ValueError(native)


def fits(value):
    return len(value.as_tuple().digits) <= DIGITS_MAX


def fields(names, data):
    """Those that are there and not null; the spelling counts for what fits."""
    return {name: Decimal(data[key]) for name, key in names.items()
            if data.get(key) is not None and fits(Decimal(data[key]))}


BINANCE_TICKER = {"last": "c", "open": "o", "high": "h", "low": "l", "volume": "v",
                  "quote_volume": "q", "bid": "b", "bid_size": "B", "ask": "a", "ask_size": "A"}
QUOTATION_TICKER = {"last": "trade_price", "open": "opening_price", "high": "high_price",
                    "low": "low_price", "volume": "acc_trade_volume_24h",
                    "quote_volume": "acc_trade_price_24h"}


def binance(message):
    name, data = message["stream"].split("@", 1)[0], message["data"]
    common = {"exchange": "binance", "symbol": split_pair(name.upper())}
    if data.get("e") == "trade":
        return {**common, "type": "trade", "ts": int(data["T"]) * 1000, "id": str(data["t"]),
                "price": Decimal(data["p"]), "size": Decimal(data["q"]),
                "side": "sell" if data["m"] else "buy"}
    if data.get("e") == "24hrTicker":
        return {**common, "type": "ticker", "ts": int(data["E"]) * 1000,
                **fields(BINANCE_TICKER, data)}
    return {**common, "type": "book",
            "bids": {Decimal(price): Decimal(size) for price, size in data["bids"]},
            "asks": {Decimal(price): Decimal(size) for price, size in data["asks"]}}


def quotation(exchange, message):
    quote, base = message["code"].split("-")
    common = {"exchange": exchange, "symbol": f"{base}-{quote}"}
    if message["type"] == "trade":
        return {**common, "type": "trade", "ts": int(message["trade_timestamp"]) * 1000,
                "id": str(message["sequential_id"]), "price": message["trade_price"],
                "size": message["trade_volume"],
                "side": "buy" if message["ask_bid"] == "BID" else "sell"}
    if message["type"] == "ticker":
        return {**common, "type": "ticker", "ts": int(message["timestamp"]) * 1000,
                **fields(QUOTATION_TICKER, message)}
    scale = 1 if exchange == "bithumb" else 1000  # Bithumb's books come in microseconds
    units = message["orderbook_units"]
    return {**common, "type": "book", "ts": int(message["timestamp"]) * scale,
            "bids": {unit["bid_price"]: unit["bid_size"] for unit in units if unit["bid_size"]},
            "asks": {unit["ask_price"]: unit["ask_size"] for unit in units if unit["ask_size"]}}


def events(path=DEMO):
    for line in recorded(path):
        message = load(line["raw"])
        if line["exchange"] == "binance":
            yield binance(message)
        else:
            yield quotation(line["exchange"], message)


def last_books(path=DEMO):
    return {(event["exchange"], event["symbol"]): (event["bids"], event["asks"])
            for event in events(path) if event["type"] == "book"}


def published(path=DEMO):
    """The events that a client must see: a book that says nothing new is none."""
    books = {}
    for event in events(path):
        if event["type"] == "book":
            key, view = (event["exchange"], event["symbol"]), (event["bids"], event["asks"])
            if books.get(key) == view:
                continue
            books[key] = view
        yield event


# ---- what a client got, in the same terms ----

NUMBERS = ("price", "size", "last", "open", "high", "low", "volume", "quote_volume", "bid",
           "bid_size", "ask", "ask_size")


def received(messages, books):
    """Sequenced messages without statuses; a book message becomes the whole book behind it."""
    for message in messages:
        event = {key: value for key, value in message.items() if key not in ("seq", "recv")}
        event.update({key: Decimal(event[key]) for key in NUMBERS if key in event})
        if message["type"] == "book":
            books.feed(message)
            for key in ("action", "proof", "depth"):
                event.pop(key, None)
            bids, asks = books.books[message["exchange"], message["symbol"]]
            event["bids"], event["asks"] = dict(bids), dict(asks)
        if message["type"] != "status":
            yield event


def compare(messages, books, exchange, path=DEMO):
    """(events compared, what differs) of one exchange's messages."""
    got = list(received([each for each in messages if each["exchange"] == exchange], books))
    expected = [event for event in published(path) if event["exchange"] == exchange]
    differing = [f"{one} instead of {other}" for one, other in zip(got, expected) if one != other]
    if len(got) != len(expected):
        differing.append(f"{len(got)} events instead of {len(expected)}")
    return len(expected), differing
