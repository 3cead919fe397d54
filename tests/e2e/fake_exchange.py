# SPDX-License-Identifier: Apache-2.0
"""An exchange for tests, on the `websockets` library: takes subscriptions, says what it is told.

It runs in a thread with an event loop of its own; the tests call it from theirs.
"""

import asyncio
import json
import threading
import time

import websockets.asyncio.server
import websockets.exceptions

from harness import wait_until


class FakeExchange:
    """`greeting`: texts and bytes (text and binary frames) sent to each connection after its
    first message. `acknowledge`: answers as Binance does."""

    def __init__(self, greeting=(), acknowledge=True, port=0):
        self.greeting, self.acknowledge = list(greeting), acknowledge
        self.received = []  # (monotonic seconds, connection's number, text)
        self.connections = []  # all there ever were
        self.greeted = None  # the one that is greeted, by its number; None: all
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.server = self.call(self._listen(port))
        self.port = self.server.sockets[0].getsockname()[1]

    def call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(30)

    async def _listen(self, port):
        return await websockets.asyncio.server.serve(
            self._serve, "127.0.0.1", port, compression=None, max_size=None, ping_interval=None)

    async def _serve(self, connection):
        number = len(self.connections)
        self.connections.append(connection)
        greeted = False
        try:
            async for message in connection:
                self.received.append((time.monotonic(), number, message))
                if self.acknowledge:
                    request = json.loads(message)
                    if isinstance(request, dict) and "id" in request:
                        await connection.send(json.dumps({"result": None, "id": request["id"]}))
                if not greeted and self.greeted in (None, number):
                    greeted = True
                    for part in self.greeting:
                        await connection.send(part)
        except websockets.exceptions.ConnectionClosed:
            pass

    def greet_next(self):
        """The next connection is greeted, and none after it until this is called again."""
        self.greeted = len(self.connections)

    @property
    def url(self):
        return f"ws://127.0.0.1:{self.port}"

    def open_count(self):
        return sum(connection.state.name == "OPEN" for connection in self.connections)

    def wait_connection(self, count=1):
        """The count-th connection, once it has subscribed."""
        wait_until(lambda: any(number == count - 1 for _, number, _ in list(self.received)),
                   f"connection {count} subscribes")
        return self.connections[count - 1]

    def send(self, message, connection=None):
        connection = connection or self.connections[-1]
        self.call(connection.send(message))

    def write(self, data, connection=None):
        """Bytes that the library would not send."""
        connection = connection or self.connections[-1]

        async def put():
            connection.transport.write(data)
        self.call(put())

    def cut(self, connection=None):
        """Ends the TCP connection with no word."""
        connection = connection or self.connections[-1]

        async def abort():
            connection.transport.abort()
        self.call(abort())

    def close_connection(self, code=1000, reason="", connection=None):
        connection = connection or self.connections[-1]
        self.call(connection.close(code, reason))

    def stop_listening(self):
        async def close():
            self.server.close(close_connections=False)
            for connection in self.connections:
                connection.transport.abort()
        self.call(close())

    def listen_again(self):
        self.server = self.call(self._listen(self.port))

    def close(self):
        async def end():
            self.server.close(close_connections=False)
            for connection in self.connections:
                connection.transport.abort()
        self.call(end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def binance_trade(number, symbol="BTCUSDT", price="100.50", size="0.25", ms=1790133513000):
    return json.dumps({"stream": symbol.lower() + "@trade", "data": {
        "e": "trade", "E": ms + 1, "s": symbol, "t": number, "p": price, "q": size, "T": ms,
        "m": False, "M": True}})


def upbit_trade(number, code="KRW-BTC", price=100500, size=0.25, ms=1790133513000, **more):
    return json.dumps({"type": "trade", "code": code, "timestamp": ms + 40, "trade_timestamp": ms,
                       "trade_date": "2026-09-23", "trade_time": "03:18:33", "trade_price": price,
                       "trade_volume": size, "ask_bid": "BID", "prev_closing_price": 100000,
                       "change": "RISE", "change_price": 500, "sequential_id": number,
                       "stream_type": "REALTIME", **more}).encode()
