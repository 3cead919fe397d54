# SPDX-License-Identifier: Apache-2.0
"""The feed against exchanges that behave and exchanges that do not."""

import json
import socket
import struct
import threading

import pytest

import wire
from fake_exchange import FakeExchange, binance_trade, upbit_trade
from harness import serve, wait_until
from prometheus import Metrics
from stream import Client, is_sequenced

HEARTBEAT = ("--set", "stream.heartbeat=200ms")


def follow(node):
    """A client from the stream's beginning on."""
    return Client(node, "?since=" + node.first_token())


def status_of(client, state, exchange="binance"):
    """The next status of the exchange; it must be of this state."""
    message = client.until(lambda message: message["type"] == "status"
                           and message["exchange"] == exchange)[-1]
    assert message["state"] == state, message
    return message


def test_subscription_and_first_data():
    with FakeExchange([binance_trade(7)]) as exchange:
        with serve(*HEARTBEAT, exchanges={"binance": exchange.url}) as node, follow(node) as client:
            assert "reason" not in status_of(client, "connecting")
            status_of(client, "live")
            trade = client.next()
            assert trade["type"] == "trade" and trade["id"] == "7" and trade["side"] == "buy"
            assert trade["price"] == "100.5" and trade["size"] == "0.25"
            assert trade["ts"] == 1790133513000000 and trade["symbol"] == "BTC-USDT"
        assert exchange.connections[0].request.path == "/stream"
        request = json.loads(exchange.received[0][2])
        assert request["method"] == "SUBSCRIBE" and request["id"] == 1
        assert sorted(request["params"]) == sorted(
            f"{pair}usdt@{channel}" for pair in ("btc", "eth", "xrp", "sol")
            for channel in ("trade", "ticker", "depth20@100ms"))


def test_quotes_are_subscribed_where_configured():
    quote = json.dumps({"stream": "btcusdt@bookTicker", "data": {
        "u": 400900217, "s": "BTCUSDT", "b": "25.35190000", "B": "31.21000000",
        "a": "25.36520000", "A": "40.66000000"}})
    with FakeExchange([quote]) as exchange:
        with serve("--set", "exchanges.binance.channels=trade,quote", "--set",
                   "exchanges.binance.symbols=BTC-USDT",
                   exchanges={"binance": exchange.url}) as node, follow(node) as client:
            message = client.until_type("quote")[-1]
        assert message["bid"] == "25.3519" and message["ask_size"] == "40.66"
        assert "ts" not in message
        assert json.loads(exchange.received[0][2])["params"] == ["btcusdt@trade",
                                                                  "btcusdt@bookTicker"]


def test_exchange_goes_and_comes_back():
    with FakeExchange([binance_trade(1)]) as exchange:
        with serve(exchanges={"binance": exchange.url}) as node, follow(node) as client:
            for round_number in range(3):
                status_of(client, "connecting")
                status_of(client, "live")
                exchange.wait_connection(round_number + 1)
                if round_number == 1:
                    exchange.close_connection(1012, "maintenance")
                    assert "1012 maintenance" in status_of(client, "down")["reason"]
                else:
                    exchange.cut()
                    assert status_of(client, "down")["reason"]
            assert Metrics(node).value("tickwire_reconnects_total", exchange="binance") == 3
        assert len({json.dumps(json.loads(text)["params"]) for _, _, text in exchange.received
                    }) == 1, "the same is subscribed again"


def test_waits_grow_while_an_exchange_is_away():
    with FakeExchange([binance_trade(1)]) as exchange:
        with serve(exchanges={"binance": exchange.url}) as node, follow(node) as client:
            status_of(client, "connecting")
            status_of(client, "live")
            exchange.stop_listening()
            status_of(client, "down")
            waits = [int(node.wait_log(count=i + 1, msg="reconnecting later")["wait_ms"])
                     for i in range(4)]
            for i, wait in enumerate(waits):
                assert 125 * 2 ** i <= wait <= 250 * 2 ** i, waits
            health = node.json("/api/ws/infra-health")["exchanges"]["binance"]
            assert health["connections"] == 0 and health["state"] in ("down", "connecting")
            assert node.get("/readyz")[0] == 200, "a node is not unready for an exchange"
            exchange.listen_again()
            client.until(lambda message: message.get("state") == "live")
            assert node.json("/api/ws/infra-health")["exchanges"]["binance"]["state"] == "live"


def test_many_symbols_within_the_message_limit():
    """Binance takes five messages a second, and all is subscribed anew after a reconnect."""
    symbols = [f"S{i:04}-USDT" for i in range(330)]
    file = ("exchanges:\n  binance:\n    symbols: [" + ", ".join(symbols) + "]\n")
    wanted = {f"s{i:04}usdt@{channel}" for i in range(330)
              for channel in ("trade", "ticker", "depth20@100ms")}

    def streams(connection):
        params = [param for _, number, text in exchange.received if number == connection
                  for param in json.loads(text)["params"]]
        assert len(set(params)) == len(params), "a stream was subscribed twice"
        return set(params)

    with FakeExchange() as exchange:
        with serve(exchanges={"binance": exchange.url}, file=file):
            for connection in range(2):
                exchange.wait_connection(connection + 1)
                wait_until(lambda: streams(connection) == wanted, "all is subscribed")
                times = [when for when, number, _ in exchange.received if number == connection]
                assert len(times) >= 10
                for first, sixth in zip(times, times[5:]):
                    assert sixth - first > 0.9, "six messages in a second"
                exchange.cut()
        assert all(len(text) < 4096 for _, _, text in exchange.received)


def test_other_protocols_requests():
    with FakeExchange() as upbit, FakeExchange() as bithumb, FakeExchange() as old:
        with serve("--set", "exchanges.upbit.symbols=BTC-KRW,ETH-BTC",
                   exchanges={"upbit": upbit.url, "bithumb": bithumb.url}):
            upbit.wait_connection()
            bithumb.wait_connection()
        with serve("--set", "exchanges.bithumb.generation=1", "--set",
                   "exchanges.bithumb.symbols=BTC-KRW", exchanges={"bithumb": old.url}):
            old.wait_connection()
            wait_until(lambda: len(old.received) == 3, "three requests")
    request = json.loads(upbit.received[0][2])
    assert "ticket" in request[0] and request[-1] == {"format": "DEFAULT"}
    assert [(part["type"], part["codes"]) for part in request[1:-1]] == [
        (kind, ["KRW-BTC", "BTC-ETH"]) for kind in ("trade", "ticker", "orderbook")]
    assert upbit.connections[0].request.path == bithumb.connections[0].request.path \
        == "/websocket/v1"
    assert old.connections[0].request.path == "/pub/ws"
    old_requests = [json.loads(text) for _, _, text in old.received]
    assert {part["type"] for part in old_requests} == {"transaction", "ticker",
                                                       "orderbooksnapshot"}
    assert all(part["symbols"] == ["BTC_KRW"] for part in old_requests)


def test_pings_of_the_exchange_are_answered():
    with FakeExchange() as exchange, serve(exchanges={"binance": exchange.url}):
        connection = exchange.wait_connection()

        async def ping():
            await (await connection.ping(b"1790133513000"))
        exchange.call(ping())


def test_fragments_and_text_in_binary_frames():
    trade = binance_trade(11)

    with FakeExchange() as exchange:
        with serve(exchanges={"binance": exchange.url}) as node, follow(node) as client:
            exchange.wait_connection()
            exchange.send([trade[:10], trade[10:11], trade[11:]])
            assert client.until_type("trade")[-1]["id"] == "11"
            exchange.send(binance_trade(12).encode())
            assert client.next()["id"] == "12"


def test_trades_repeated_at_subscription_come_once():
    first = upbit_trade(500, stream_type="SNAPSHOT")
    with FakeExchange([first], acknowledge=False) as exchange:
        with serve(exchanges={"upbit": exchange.url}) as node, follow(node) as client:
            trade = client.until_type("trade")[-1]
            assert trade["id"] == "500" and trade["origin"] == "snapshot"
            exchange.cut()
            exchange.wait_connection(2)
            exchange.send(upbit_trade(501), exchange.connections[1])
            messages = client.until(lambda message: message.get("id") == "501")
            assert [message["id"] for message in messages if message["type"] == "trade"] == ["501"]
            assert "origin" not in messages[-1]
            assert Metrics(node).value("tickwire_duplicates_dropped_total", exchange="upbit") == 1


GARBAGE = {
    "malformed": [
        "", "{", "null", "[]", "42", '"text"', "{}}", '{"stream":"btcusdt@trade"',
        binance_trade(1)[:-2], binance_trade("x"), binance_trade(1, price="1e999999999"),
        binance_trade(1, price="-1"), binance_trade(1, size="0x10"), binance_trade(1, price=""),
        binance_trade(1, price="12345678901234567890"), binance_trade(1) + "x",
        "[" * 100000, '{"a":' * 10000, "{" + '"stream":"a",' * 2 + '"data":{}}', "\0" * 100,
        binance_trade(1).replace('"q"', '"p"')],
    "unknown_symbol": [binance_trade(1, symbol="NOBODYASKED"), binance_trade(1, symbol="DOGEUSDT")],
    "refused": ['{"code":2,"msg":"Invalid request: request ID must be an unsigned integer"}',
                '{"error":{"code":3,"msg":"Invalid JSON"},"id":1}'],
}


def test_garbage_is_counted_and_harms_nobody():
    with FakeExchange([binance_trade(1)]) as exchange:
        with serve(*HEARTBEAT, exchanges={"binance": exchange.url}) as node, follow(node) as client:
            client.until_type("trade")
            for texts in GARBAGE.values():
                for text in texts:
                    exchange.send(text)
            exchange.send(binance_trade(2))
            refused = client.until(is_sequenced)[-1]
            assert refused["type"] == "status" and refused["state"] == "live", refused
            assert refused["reason"].startswith("refused: "), "a refusal is told, once"
            assert client.until(is_sequenced)[-1]["id"] == "2", "only what was meant comes through"
            metrics = Metrics(node)
            by_verdict = {dict(key)["verdict"]: int(value) for key, value in
                          metrics.samples["tickwire_exchange_messages_total"].items() if value}
            assert by_verdict["events"] == 2 and by_verdict["acknowledged"] == 1
            assert by_verdict["unknown_symbol"] == len(GARBAGE["unknown_symbol"]), by_verdict
            assert by_verdict["refused"] == len(GARBAGE["refused"]), by_verdict
            # JSON that is no message of Binance's may count as one or the other.
            assert by_verdict["malformed"] + by_verdict.get("unknown_type", 0) == len(
                GARBAGE["malformed"]), by_verdict
            assert by_verdict["malformed"] >= 15
            assert metrics.value("tickwire_decode_errors_total",
                                 exchange="binance") == by_verdict["malformed"]


def server_frame(opcode, payload, fin=True, size=None):
    return wire.frame(opcode, payload, fin=fin, masked=False, length=size)


BROKEN = {
    "bad UTF-8": server_frame(wire.TEXT, b"\xff\xfe"),
    "over the limit": server_frame(wire.TEXT, b"", size=3 * 1024 * 1024),
    "masked": wire.frame(wire.TEXT, b"{}"),
    "reserved bits": b"\xc1\x02{}",
    "unknown opcode": server_frame(5, b"{}"),
    "not WebSocket": b"HTTP/1.1 200 OK\r\n\r\n",
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_frames_end_the_connection_only(name):
    with FakeExchange([binance_trade(1)]) as exchange:
        with serve(exchanges={"binance": exchange.url}) as node, follow(node) as client:
            client.until_type("trade")
            exchange.write(BROKEN[name])
            status_of(client, "down")
            status_of(client, "connecting")
            status_of(client, "live")


class BadServer:
    """Answers each connection with these bytes, and then nothing."""

    def __init__(self, answer, close):
        self.answer, self.close_after, self.accepted = answer, close, []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.accepted.append(connection)
            connection.sendall(self.answer)
            if self.close_after:
                connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for connection in self.accepted:
            connection.close()


SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"


@pytest.mark.parametrize("answer,words", [
    (b"", ""),
    (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", "403"),
    (b"HTTP/1.1 301 Moved Permanently\r\nLocation: /x\r\n\r\n", "301"),
    (SWITCH + b"\r\n", "Accept"),
    (SWITCH + b"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n", "Accept"),
    (b"\x00\x01\x02 nonsense\r\n\r\n", ""),
    (b"HTTP/1.1 101 " + b"x" * 100000, ""),
], ids=["closes", "403", "301", "no accept", "wrong accept", "nonsense", "endless"])
def test_handshakes_that_fail(answer, words):
    with BadServer(answer, close=True) as server:
        with serve(exchanges={"upbit": server.url}) as node, follow(node) as client:
            status_of(client, "connecting", "upbit")
            down = status_of(client, "down", "upbit")
            assert words in down["reason"]
            status_of(client, "connecting", "upbit")
            status_of(client, "down", "upbit")
            assert node.get("/readyz")[0] == 200


def test_handshake_that_never_ends_is_given_up_and_stops_nobody_else():
    with BadServer(b"HTTP/1.1 101 Swit", close=False) as stuck:
        with FakeExchange([upbit_trade(1)], acknowledge=False) as good:
            urls = {"binance": stuck.url, "upbit": good.url}
            with serve(*HEARTBEAT, exchanges=urls) as node, follow(node) as client:
                status_of(client, "connecting", "upbit")
                status_of(client, "live", "upbit")
                good.send(upbit_trade(2))
                client.until(lambda message: message.get("id") == "2")
                down = client.until(lambda message: message.get("state") == "down", 20)[-1]
                assert down["exchange"] == "binance"
                good.send(upbit_trade(3))
                client.until(lambda message: message.get("id") == "3")


def test_endless_frame_is_not_collected():
    """A message that only pretends to be long costs no memory."""
    with FakeExchange([binance_trade(1)]) as exchange:
        with serve(exchanges={"binance": exchange.url}) as node, follow(node) as client:
            client.until_type("trade")
            exchange.write(b"\x81\x7f" + struct.pack(">Q", 2 ** 62))
            status_of(client, "down")
            assert node.memory() < 512 * 1024 * 1024


def test_wrong_url_is_said():
    with serve(exchanges={"binance": "wss://127.0.0.1:1"}) as node, follow(node) as client:
        down = client.until(lambda message: message.get("state") == "down")[-1]
        assert down["reason"], "it says why"
        assert node.get("/readyz")[0] == 200
