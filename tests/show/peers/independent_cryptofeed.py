# SPDX-License-Identifier: Apache-2.0
"""cryptofeed as it is published, but for its URLs: what it makes of the simulator.

    independent_cryptofeed.py BASE          BASE: host:port of a simulator with TLS

The test authority comes by SSL_CERT_FILE and REQUESTS_CA_BUNDLE. Output and input are those of
independent_ccxt.py. Its Binance client takes aggregated trades; `first` and `last` are the ids that
one of them stands for. Its Bithumb client knows the first generation, and no books.
"""

import asyncio
import json
import os
import sys

from cryptofeed import FeedHandler
from cryptofeed.defines import L2_BOOK, TRADES
from cryptofeed.exchanges import Binance, Bithumb, Upbit

HOSTS = {
    "https://api.binance.com": "/binance", "wss://stream.binance.com:9443": "/binance",
    "https://api.upbit.com": "/upbit", "wss://api.upbit.com": "/upbit",
    "https://api.bithumb.com": "/bithumb", "wss://pubwss.bithumb.com": "/bithumb",
}
FEEDS = [
    (Binance, "binance", ["BTC-USDT", "ETH-USDT"], [TRADES, L2_BOOK]),
    (Upbit, "upbit", ["BTC-KRW", "XRP-KRW"], [TRADES, L2_BOOK]),
    (Bithumb, "bithumb-1", ["BTC-KRW", "XRP-KRW"], [TRADES]),
]
books = {}


def say(**fields):
    print(json.dumps(fields), flush=True)


def redirect(feed, base):
    for endpoint in [*feed.websocket_endpoints, *feed.rest_endpoints]:
        for real, prefix in HOSTS.items():
            if endpoint.address.startswith(real):
                scheme = real.split(":", maxsplit=1)[0]
                endpoint.address = f"{scheme}://{base}{prefix}{endpoint.address[len(real):]}"
                break


def callbacks_of(name):
    async def on_trade(trade, _):
        raw = trade.raw or {}
        more = {"first": str(raw["f"]), "last": str(raw["l"])} if "f" in raw and "l" in raw else {}
        say(client=name, symbol=trade.symbol.replace("-", "/"), id=trade.id,
            price=str(trade.price), size=str(trade.amount), side=trade.side,
            ts=round(trade.timestamp * 1000), **more)

    async def on_book(book, _):
        books[f"{name} {book.symbol.replace('-', '/')}"] = book.book

    return {TRADES: on_trade, L2_BOOK: on_book}


def levels_of(side):
    return [[str(price), str(side[price])] for price in list(side.keys())[:100]]


async def commands():
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.readline():
        say(books={key: {"bids": levels_of(book.bids), "asks": levels_of(book.asks)}
                   for key, book in books.items()})


def main():
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    quiet = {"uvloop": False, "log": {"filename": os.devnull, "level": "WARNING"}}
    handler = FeedHandler(config=quiet)
    for feed, name, symbols, channels in FEEDS:
        redirect(feed, sys.argv[1])
        calls = callbacks_of(name)
        handler.add_feed(feed(symbols=symbols, channels=channels, config=quiet,
                              callbacks={channel: calls[channel] for channel in channels}))
    handler.run(start_loop=False, install_signal_handlers=False)
    loop.run_until_complete(commands())
    os._exit(0)  # its own way of leaving waits for connections


main()
