# SPDX-License-Identifier: Apache-2.0
"""ccxt pro as it is published, but for its URLs: what it makes of the simulator.

    independent_ccxt.py BASE AUTHORITY      BASE: host:port of a simulator with TLS

Prints a JSON line for each trade; the line `books` on stdin is answered with a line of all books;
the end of stdin ends it. One client object for each subscription: on Bithumb, ccxt's second request
on a connection would replace the first, as the exchange has it.
"""

import asyncio
import json
import re
import sys

import ccxt.pro

HOSTS = {
    "api.binance.com": "/binance", "stream.binance.com:9443": "/binance",
    "api.upbit.com": "/upbit",
    "api.bithumb.com": "/bithumb", "ws-api.bithumb.com": "/bithumb",
    "pubwss.bithumb.com": "/bithumb",
}
# exchange, symbol, channel, what else ccxt is told
TASKS = [(exchange, symbol, channel, {})
         for exchange, symbols in (("binance", ("BTC/USDT", "ETH/USDT")),
                                   ("upbit", ("BTC/KRW", "XRP/KRW")),
                                   ("bithumb", ("BTC/KRW", "XRP/KRW")))
         for symbol in symbols for channel in ("trade", "book")]
TASKS.append(("bithumb", "BTC/KRW", "trade", {"generation": 1}))
STAGGER_S = 0.25  # between connections: Upbit takes five a second
TRADES_KEPT = 100000


def say(**fields):
    print(json.dumps(fields), flush=True)


def mapped(value, base, hostname):
    """The URLs of ccxt's description, with the host exchanged."""
    if isinstance(value, dict):
        return {key: mapped(part, base, hostname) for key, part in value.items()}
    if not isinstance(value, str):
        return value
    value = value.replace("{hostname}", hostname or "")
    match = re.match(r"(https|wss)://([^/]+)(.*)", value)
    if not match or match[2] not in HOSTS:
        return value
    return f"{match[1]}://{base}{HOSTS[match[2]]}{match[3]}"


def client_of(exchange, base, authority):
    client = getattr(ccxt.pro, exchange)({
        "cafile": authority, "newUpdates": True,
        "options": {"tradesLimit": TRADES_KEPT, "fetchMarkets": {"types": ["spot"]}}})
    client.urls["api"] = mapped(client.urls["api"], base, client.hostname)
    return client


async def watch(client, name, symbol, channel, params, books):
    if channel == "trade":
        while True:
            for trade in await client.watch_trades(symbol, params=params):
                say(client=name, symbol=symbol, id=trade["id"], price=repr(trade["price"]),
                    size=repr(trade["amount"]), side=trade["side"], ts=trade["timestamp"])
    while True:
        book = await client.watch_order_book(symbol, params=params)
        books[f"{name} {symbol}"] = book


def books_of(books):
    return {key: {side: [[repr(level[0]), repr(level[1])] for level in book[side][:100]]
                  for side in ("bids", "asks")}
            for key, book in books.items()}


async def commands(books):
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.readline():
        say(books=books_of(books))


async def main():
    base, authority = sys.argv[1:]
    books, clients, tasks = {}, [], [asyncio.create_task(asyncio.sleep(0))]
    end = asyncio.create_task(commands(books))
    for exchange, symbol, channel, params in TASKS:
        client = client_of(exchange, base, authority)
        clients.append(client)
        name = exchange + ("-1" if params else "")
        tasks.append(asyncio.create_task(watch(client, name, symbol, channel, params, books)))
        await asyncio.sleep(STAGGER_S)
    done, _ = await asyncio.wait([end, *tasks[1:]], return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for client in clients:
        await client.close()
    for task in done - {end}:
        say(error=repr(task.exception()))


asyncio.run(main())
