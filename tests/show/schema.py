# SPDX-License-Identifier: Apache-2.0
"""Every kind of message is valid against its JSON Schema, and none that is a little wrong is.

Each type that this version sends is made to occur on a running node; every message seen is
validated. Then each shape of message is mutated (a field of another type, one missing, one too
many, a decimal that is not canonical, a word that does not exist) and must be refused.
"""

import gzip
import json
import os
import signal
import socket
import sys
import tempfile

import websockets.exceptions

from path import load_validators
from show import ROOT, end, say

sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))

import wire  # noqa: E402
from fake_exchange import FakeExchange, binance_trade, upbit_trade  # noqa: E402
from harness import ALONE, LISTEN, Node, counted, replay, serve, wait_until  # noqa: E402
from prometheus import Metrics  # noqa: E402
from stream import Client, collect_played, is_sequenced  # noqa: E402

# What no client of this version can see: `epoch` is the first record of a stream, written before
# anybody can connect, and there is only one epoch; the source never changes.
CONSTRUCTED = [
    {"type": "epoch", "seq": 1, "recv": 1790133513000000, "epoch": 1,
     "prev": {"epoch": 0, "seq": 0}, "node": "gw-1"},
    {"type": "epoch", "seq": 81, "recv": 1790133513000000, "epoch": 2,
     "prev": {"epoch": 1, "seq": 80}, "node": "gw-2"},
    {"type": "source", "source": "peer", "reason": "the carrier is gone"},
]

REQUIRED = {
    "trade": "seq exchange symbol recv price size side",
    "ticker": "seq exchange symbol recv",
    "quote": "seq exchange symbol recv bid bid_size ask ask_size",
    "book": "seq exchange symbol recv action bids asks",
    "status": "seq exchange recv state",
    "gap": "seq exchange symbol recv channel filled",
    "epoch": "seq epoch prev node",
    "hello": "version node stream epoch next source mode resumed",
    "snapshot_end": "seq",
    "source": "source",
    "skipped": "from to",
    "heartbeat": "seq ts",
    "draining": "within_ms",
}
WORDS = ("type", "side", "origin", "state", "action", "proof", "channel", "source", "mode")
DECIMALS = ("price", "size", "last", "open", "high", "low", "volume", "quote_volume", "bid",
            "bid_size", "ask", "ask_size")
NOT_DECIMALS = ("1.0", "1.10", "01", "00", "0.0", "-1", "+1", "1e5", "1E-7", " 1", "1 ", "1.", ".5",
                "1,5", "0x10", "", "NaN", "Infinity", "-0", "1_000", "\u0661")
NOT_COUNTS = (-1, 1.5, 2 ** 53, "1", True, None)


# ---- messages of a running node ----

def recording(lines):
    """A file of constructed lines; the caller removes it."""
    handle, path = tempfile.mkstemp(suffix=".jsonl.gz")
    os.close(handle)
    with gzip.open(path, "wt") as out:
        for raw in lines:
            out.write(json.dumps({"exchange": "binance", "raw": raw}) + "\n")
    return path


def quotes_and_gaps():
    path = recording([
        json.dumps({"stream": "btcusdt@bookTicker", "data": {
            "u": 400900217, "s": "BTCUSDT", "b": "25.35190000", "B": "31.21000000",
            "a": "25.36520000", "A": "40.66000000"}}),
        json.dumps({"stream": "ethusdt@depth@100ms", "data": {
            "e": "depthUpdate", "E": 1790133513000, "s": "ETHUSDT", "U": 157, "u": 160,
            "b": [["0.0024", "10"]], "a": [["0.0026", "0"]]}})])
    try:
        with replay("--speed", "max", "--set", "stream.heartbeat=200ms", file=path) as node:
            messages = collect_played(node, exchanges=1)
            with Client(node) as client:
                return messages + client.until_type("snapshot_end")
    finally:
        os.remove(path)


def whole_recording():
    with replay("--speed", "max", "--set", "stream.heartbeat=200ms") as node:
        messages = collect_played(node)
        with Client(node) as client:
            return messages + client.until_type("snapshot_end")


def exchange_that_goes():
    """Statuses with reasons, trades of a replayed subscription and without an id."""
    replayed = upbit_trade(1, stream_type="SNAPSHOT")
    with FakeExchange([binance_trade(1)]) as binance, \
            FakeExchange([replayed], acknowledge=False) as upbit:
        with serve(exchanges={"binance": binance.url, "upbit": upbit.url}) as node, \
                Client(node, "?since=" + node.first_token()) as client:
            messages = client.until(lambda message: message.get("id") == "1")
            messages += client.until(lambda message: message.get("id") == "1")
            binance.close_connection(1012, "back \"soon\" \u2713")
            messages += client.until(lambda message: message.get("state") == "down")
            with Client(node) as joiner:
                messages += joiner.until_type("snapshot_end")
    return messages


def slow_client():
    with replay("--loop", "--speed", "max", "--set", "stream.max_lag=500ms", "--set",
                "http.send_buffer=4KiB", "--set", "stream.retain=1MiB") as node:
        with wire.Raw(node.port, receive_buffer=4096) as raw:
            raw.open()
            wait_until(lambda: Metrics(node).value("tickwire_slow_clients_total",
                                                   action="snapshot"), "the client is slow")
            raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
            messages = []
            while not messages or messages[-1]["type"] != "skipped":
                messages.append(json.loads(raw.read_until(wire.TEXT)))
            return messages


def leaving_node():
    node = Node("serve", *LISTEN, *ALONE).start()
    messages = []
    try:
        with Client(node) as client:
            messages.append(client.next())
            node.send_signal(signal.SIGTERM)
            while True:
                messages.append(client.next())
    except websockets.exceptions.ConnectionClosed:
        return messages
    finally:
        node.stop()


# ---- mutations ----

def other_values(key, value):
    """What may not stand in the place of this value."""
    yield from (None, [], {"a": 1}, [value])
    if isinstance(value, bool):
        yield from (0, 1, "true")
        if key in ("snapshot", "simulated"):
            yield False
    elif isinstance(value, int):
        # Nobody's version comes near what a JavaScript number cannot hold.
        yield from (each for each in NOT_COUNTS if key != "version" or each != 2 ** 53)
    elif isinstance(value, str):
        yield from (1, True, 1.5)
        if key in DECIMALS:
            yield from NOT_DECIMALS
        elif key in WORDS:
            yield from ("", "nonsense", value.upper(), value + " ")
        elif key == "symbol":
            yield from ("BTC", "btc-krw", "-KRW", "BTC-", "BTC/KRW", "A-B-C", "B TC-KRW")
        elif key == "exchange":
            yield from ("", "Upbit", "up bit", "x" * 33)
        elif key == "id":
            yield ""


def wrong_levels(side, snapshot):
    if not side:
        return
    price, size = side[0]
    rest = side[1:]
    wrong = [[price], [price, size, "1"], [], [size, None], [1, size], [price, 1], price,
             {"price": price, "size": size}, ["0", size]]
    wrong += [[text, size] for text in NOT_DECIMALS] + [[price, text] for text in NOT_DECIMALS]
    if snapshot:
        wrong.append([price, "0"])
    for level in wrong:
        yield [level] + rest
        yield rest + [level]


def mutations(message):
    """(what was done, the message that must be refused)."""
    kind = message["type"]
    for key in ["type"] + REQUIRED[kind].split():
        yield f"without {key}", {name: value for name, value in message.items() if name != key}
    yield "with another field", {**message, "extra": 1}
    yield "with an empty name", {**message, "": None}
    for key, value in message.items():
        if isinstance(value, list):
            for levels in wrong_levels(value, message.get("action") == "snapshot"):
                yield f"{key} of wrong levels", {**message, key: levels}
            for other in (None, {}, "", 1):
                yield f"{key} = {other!r}", {**message, key: other}
        elif isinstance(value, dict):
            for inner in value:
                yield f"{key} without {inner}", {**message, key: {
                    name: each for name, each in value.items() if name != inner}}
                for other in NOT_COUNTS:
                    yield f"{key}.{inner} = {other!r}", {**message, key: {**value, inner: other}}
            yield f"{key} with another", {**message, key: {**value, "extra": 1}}
            yield f"{key} = []", {**message, key: []}
        else:
            for other in other_values(key, value):
                yield f"{key} = {other!r}", {**message, key: other}
    if kind == "book":
        other = "update" if message["action"] == "snapshot" else "snapshot"
        yield f"action {other}", {**message, "action": other}
    if kind in ("trade", "ticker", "quote", "book", "status") and "snapshot" not in message:
        yield "snapshot false", {**message, "snapshot": False}


def shape(message):
    keys = tuple(sorted(message))
    return message["type"], message.get("action"), keys


def main():
    validators = load_validators()
    problems, messages, samples = [], [], {}
    for source in (whole_recording, quotes_and_gaps, exchange_that_goes, slow_client,
                   leaving_node):
        seen = source()
        say(f"schema: {source.__name__}: {json.dumps(counted(each['type'] for each in seen))}")
        messages += seen
    for message in messages + CONSTRUCTED:
        samples.setdefault(shape(message), message)
        for error in validators[message["type"]].iter_errors(message):
            problems.append(f"refused: {error.json_path}: {error.message[:200]}")
    missing = set(REQUIRED) - {message["type"] for message in messages + CONSTRUCTED}
    problems += [f"no {kind} was seen" for kind in missing]
    problems += [f"no schema, or no rule here, of {kind}"
                 for kind in set(validators) ^ set(REQUIRED)]
    tried = 0
    for message in samples.values():
        for what, mutated in mutations(message):
            tried += 1
            validator = validators[message["type"]]
            if validator.is_valid(mutated):
                problems.append(f"taken: {message['type']}: {what}")
    figures = {"messages": counted(message["type"] for message in messages),
               "constructed": sorted({message["type"] for message in CONSTRUCTED}),
               "sequenced": sum(map(is_sequenced, messages)), "shapes": len(samples),
               "mutations": tried, "wrong": len(problems)}
    if problems:
        figures["problems"] = sorted(set(problems))[:20]
    end("schema", not problems, figures)


if __name__ == "__main__":
    main()
