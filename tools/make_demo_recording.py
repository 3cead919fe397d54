#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes demo/recording.jsonl.gz: a minute of constructed traffic of three exchanges.

For the tests and the README. Every value is invented (a seeded random walk); only names, order,
spelling and envelopes follow the exchanges' documentation. The same seed gives the same bytes, so
a change of this script shows as a change of the file.
"""

import gzip
import io
import json
import random
import sys
from decimal import Decimal

SECONDS = 60
START_MS = 1_790_133_513_000
PAIRS = {
    "binance": {
        "BTCUSDT": "84000.10",
        "ETHUSDT": "2710.55",
        "XRPUSDT": "2.1040",
        "SOLUSDT": "148.32",
    },
    "upbit": {
        "KRW-BTC": "116208000",
        "KRW-ETH": "3715000",
        "KRW-XRP": "2893",
        "KRW-SOL": "203500",
        "KRW-USDT": "1384",
    },
    "bithumb": {
        "KRW-BTC": "116211000",
        "KRW-ETH": "3714000",
        "KRW-XRP": "2894",
        "KRW-SOL": "203400",
        "KRW-USDT": "1385",
    },
}


class Market:
    """One pair: a price that walks in ticks, and a book around it."""

    def __init__(self, rng, native, price, depth):
        self.rng, self.native = rng, native
        self.price = Decimal(price)
        self.tick = (
            Decimal(1).scaleb(self.price.as_tuple().exponent)
            if "." in price
            else Decimal(max(1, int(self.price) // 100000))
        )
        self.depth = depth
        self.volume = Decimal(rng.randrange(1000, 90000)) / 7
        self.volume = self.volume.quantize(Decimal("0.00000001"))
        self.open = self.high = self.low = self.price

    def step(self):
        self.price = max(
            self.tick, self.price + self.tick * self.rng.choice([-2, -1, -1, 0, 0, 1, 1, 2])
        )
        self.high, self.low = max(self.high, self.price), min(self.low, self.price)

    def size(self, places):
        return Decimal(self.rng.randrange(1, 10 ** min(places + 1, 7))).scaleb(-places)

    def book(self, places):
        bids = [(self.price - self.tick * i, self.size(places)) for i in range(self.depth)]
        asks = [(self.price + self.tick * (i + 1), self.size(places)) for i in range(self.depth)]
        return [level for level in bids if level[0] > 0], asks


def eight(value):
    return f"{value:.8f}"


class Binance:
    name, depth, binary = "binance", 20, False

    def trade(self, market, ms, number, taker_buys, size):
        market.volume += size
        return {
            "stream": market.native.lower() + "@trade",
            "data": {
                "e": "trade",
                "E": ms + 1,
                "s": market.native,
                "t": 5_000_000_000 + number,
                "p": eight(market.price),
                "q": eight(size),
                "T": ms,
                "m": not taker_buys,
                "M": True,
            },
        }

    def book(self, market, ms, number, first):
        bids, asks = market.book(5)
        return {
            "stream": market.native.lower() + "@depth20@100ms",
            "data": {
                "lastUpdateId": 70_000_000_000 + number,
                "bids": [[eight(p), eight(s)] for p, s in bids],
                "asks": [[eight(p), eight(s)] for p, s in asks],
            },
        }

    def ticker(self, market, ms, number, first):
        change = market.price - market.open
        return {
            "stream": market.native.lower() + "@ticker",
            "data": {
                "e": "24hrTicker",
                "E": ms,
                "s": market.native,
                "p": eight(change),
                "P": "0.123",
                "w": eight(market.price),
                "x": eight(market.open),
                "c": eight(market.price),
                "Q": "0.01000000",
                "b": eight(market.price),
                "B": "1.50000000",
                "a": eight(market.price + market.tick),
                "A": "0.75000000",
                "o": eight(market.open),
                "h": eight(market.high),
                "l": eight(market.low),
                "v": eight(market.volume),
                "q": eight((market.volume * market.price).quantize(Decimal("0.01"))),
                "O": ms - 86_400_000,
                "C": ms,
                "F": 1,
                "L": 5_000_000_000 + number,
                "n": number + 1,
            },
        }

    def text(self, message):
        return json.dumps(message, separators=(",", ":"))


class Quotation:
    """Upbit's protocol, which Bithumb shares; numbers are JSON numbers in each one's spelling."""

    binary = True

    def trade(self, market, ms, number, taker_buys, size):
        market.volume += size
        return {
            "type": "trade",
            "code": market.native,
            "timestamp": ms + 40,
            "trade_date": "2026-09-23",
            "trade_time": self.trade_time,
            "trade_timestamp": ms,
            "trade_price": market.price,
            "trade_volume": size,
            "ask_bid": "BID" if taker_buys else "ASK",
            "prev_closing_price": market.open,
            "change": "RISE",
            "change_price": abs(market.price - market.open),
            "sequential_id": self.first_id + number,
            "stream_type": "REALTIME",
        }

    def book(self, market, ms, number, first):
        bids, asks = market.book(self.places)
        units = []
        for i in range(self.depth):
            bid, ask = (bids[i] if i < len(bids) else (0, 0)), asks[i]
            units.append(
                {"ask_price": ask[0], "bid_price": bid[0], "ask_size": ask[1], "bid_size": bid[1]}
            )
        return {
            "type": "orderbook",
            "code": market.native,
            "timestamp": ms * self.book_time,
            "total_ask_size": sum(s for _, s in asks),
            "total_bid_size": sum(s for _, s in bids),
            "orderbook_units": units,
            "stream_type": "SNAPSHOT" if first else "REALTIME",
            "level": 0,
        }

    def ticker(self, market, ms, number, first):
        return {
            "type": "ticker",
            "code": market.native,
            "opening_price": market.open,
            "high_price": market.high,
            "low_price": market.low,
            "trade_price": market.price,
            "prev_closing_price": market.open,
            "change": "RISE",
            "change_price": abs(market.price - market.open),
            "trade_volume": Decimal("0.01"),
            "acc_trade_volume": market.volume,
            "acc_trade_volume_24h": market.volume * 2,
            "acc_trade_price_24h": (market.volume * 2 * market.price).quantize(Decimal("0.01")),
            "trade_timestamp": ms,
            "ask_bid": "BID",
            "market_state": "ACTIVE",
            "delisting_date": None,
            "timestamp": ms,
            "stream_type": "SNAPSHOT" if first else "REALTIME",
        }

    def text(self, message):
        return encode(message, self.number)


class Upbit(Quotation):
    name, depth, places, book_time, first_id, trade_time = (
        "upbit",
        30,
        8,
        1,
        17_901_335_130_000_000,
        "03:18:33",
    )

    @staticmethod
    def number(value):
        if value >= 10_000_000:
            return (
                str(value.normalize()).replace("E+", "E")
                if value == value.to_integral()
                else str(value)
            )
        return f"{value:.1f}" if value == value.to_integral() else f"{value:f}"


class Bithumb(Quotation):
    name, depth, places, book_time, first_id, trade_time = (
        "bithumb",
        15,
        4,
        1000,
        1_079_953_210_371_761_000,
        "12:18:33",
    )

    @staticmethod
    def number(value):
        text = f"{value:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text


def encode(value, number):
    if isinstance(value, dict):
        return (
            "{" + ",".join(json.dumps(k) + ":" + encode(v, number) for k, v in value.items()) + "}"
        )
    if isinstance(value, list):
        return "[" + ",".join(encode(v, number) for v in value) + "]"
    if isinstance(value, Decimal):
        return number(value)
    return json.dumps(value)


def record(exchange, rng):
    """Lines of one exchange: (milliseconds, text)."""
    markets = [
        Market(rng, native, price, exchange.depth) for native, price in PAIRS[exchange.name].items()
    ]
    lines, number = [], 0
    for market in markets:
        for make in (exchange.ticker, exchange.book):
            lines.append((0, exchange.text(make(market, START_MS, number, True))))
    for ms in range(100, SECONDS * 1000, 100):
        for market in markets:
            chance = rng.random()
            if chance < 0.16:
                number += 1
                market.step()
                offset = rng.randrange(100)
                lines.append(
                    (
                        ms + offset,
                        exchange.text(
                            exchange.trade(
                                market,
                                START_MS + ms + offset,
                                number,
                                rng.random() < 0.5,
                                market.size(5),
                            )
                        ),
                    )
                )
            if 0.10 < chance < 0.22:
                lines.append(
                    (
                        ms + 99,
                        exchange.text(exchange.book(market, START_MS + ms + 99, number, False)),
                    )
                )
            if ms % 2000 == 0 and chance < 0.5:
                lines.append(
                    (ms, exchange.text(exchange.ticker(market, START_MS + ms, number, False)))
                )
    return lines


def main():
    target = sys.argv[1] if len(sys.argv) > 1 else "demo/recording.jsonl.gz"
    lines = []
    for exchange in (Binance(), Upbit(), Bithumb()):
        rng = random.Random("tickwire " + exchange.name)
        lines += [(ms, exchange.name, exchange.binary, text) for ms, text in record(exchange, rng)]
    lines.sort(key=lambda line: line[0])
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=9, mtime=0) as file:
        for i, (ms, name, binary, text) in enumerate(lines):
            line = {
                "ts": (START_MS + ms) / 1000,
                "conn": 0,
                "i": i,
                "op": "binary" if binary else "text",
                "exchange": name,
                "raw": text,
            }
            file.write(
                (json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n").encode()
            )
    with open(target, "wb") as file:
        file.write(out.getvalue())
    print(f"{target}: {len(lines)} messages, {len(out.getvalue())} bytes", file=sys.stderr)


main()
