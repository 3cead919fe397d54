# SPDX-License-Identifier: Apache-2.0
"""The whole path: recorded frames over a real WebSocket into the feed, a client at the other end.

Real recordings are compared with what independent parsers made of them (../shared, skipped when it
is absent), our own constructed one with tests/e2e/reference.py. Nothing may be missing, twice,
out of order or invalid against its schema.
"""

import concurrent.futures
import glob
import gzip
import json
import os
import sys
from decimal import Decimal

import jsonschema

from show import ROOT, end, say

sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))

import reference  # noqa: E402
from harness import SHARED, counted, replay  # noqa: E402
from stream import Books, collect_played  # noqa: E402

SETS = [("binance", "binance/spot-20211012"), ("binance", "binance/spot-b"),
        ("binance", "binance/spot-c"), ("binance", "binance_us/us"), ("binance", "binance_tr/tr"),
        ("binance", "binance_futures/usdm-a"), ("binance", "binance_futures/usdm-b"),
        ("upbit", "upbit/spot"), ("bithumb", "bithumb/legacy-pubwss")]


# ---- schemas ----

def load_validators():
    validators = {}
    for path in glob.glob(os.path.join(ROOT, "schemas", "*.json")):
        with open(path, encoding="utf-8") as file:
            schema = json.load(file)
        jsonschema.Draft202012Validator.check_schema(schema)
        name = os.path.splitext(os.path.basename(path))[0]
        validators[name] = jsonschema.Draft202012Validator(schema)
    return validators


def schema_errors(messages):
    validators = load_validators()
    errors = []
    for message in messages:
        error = jsonschema.exceptions.best_match(validators[message["type"]].iter_errors(message))
        if error is not None:
            errors.append(f"{error.json_path}: {error.message[:200]} in {str(message)[:300]}")
    return errors


def validate(messages):
    """It takes longer than all the rest: on every core."""
    parts = [messages[i::os.cpu_count()] for i in range(os.cpu_count())]
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        return [error for errors in pool.map(schema_errors, parts) for error in errors]


# ---- the real recordings ----

def expected_lines(name):
    with gzip.open(os.path.join(SHARED, "expected", name + ".jsonl.gz"), "rt") as file:
        return [json.loads(line) for line in file]


def symbol_of(line):
    return line["symbol"].removesuffix("-PERP")


def micros(line):
    return round(line["ts"] * 1_000_000)


def expected_trades(lines):
    return [{"symbol": symbol_of(line), "id": line["id"], "price": Decimal(line["price"]),
             "size": Decimal(line["amount"]), "side": line["side"], "ts": micros(line)}
            for line in lines if line["type"] == "trades"]


def got_trades(messages):
    return [{"symbol": message["symbol"], "id": message.get("id"),
             "price": Decimal(message["price"]), "size": Decimal(message["size"]),
             "side": message["side"], "ts": message["ts"]}
            for message in messages if message["type"] == "trade"]


def expected_quotes(lines, recorded):
    """Sizes, which the parser does not tell, come from the frame itself."""
    for line in lines:
        if line["type"] == "ticker":
            data = reference.load(recorded[line["i"]])["data"]
            yield {"symbol": symbol_of(line), "bid": Decimal(line["bid"]),
                   "ask": Decimal(line["ask"]), "bid_size": Decimal(data["B"]),
                   "ask_size": Decimal(data["A"])}


def got_quotes(messages):
    return [{"symbol": message["symbol"], **{key: Decimal(message[key]) for key in (
        "bid", "ask", "bid_size", "ask_size")}} for message in messages
        if message["type"] == "quote"]


def expected_books(lines):
    """Whole books of Upbit; one that is as the one before says nothing new."""
    last = {}
    for line in lines:
        if line["type"] == "l2_book":
            view = [[(Decimal(price), Decimal(size)) for price, size in line[side]]
                    for side in ("bids", "asks")]
            if last.get(line["symbol"]) != view:
                last[line["symbol"]] = view
                yield {"symbol": symbol_of(line), "ts": micros(line), "bids": view[0],
                       "asks": view[1]}


def got_books(messages):
    books = Books()
    for message in messages:
        if message["type"] == "book":
            books.feed(message)
            bids, asks = books.best((message["exchange"], message["symbol"]))
            yield {"symbol": message["symbol"], "ts": message["ts"], "bids": bids, "asks": asks}


def native_differences(recorded):
    """Native symbols of which there are differences of a book, but no snapshot."""
    symbols = set()
    for text in recorded.values():
        message = json.loads(text)
        data = message.get("data", message)
        if data.get("e") == "depthUpdate":
            symbols.add(data["s"])
        elif message.get("type") == "orderbookdepth":
            symbols.update(entry["symbol"] for entry in message["content"]["list"])
    return symbols


def compare(what, got, expected, problems):
    got, expected = list(got), list(expected)
    differing = sum(one != other for one, other in zip(got, expected))
    for one, other in zip(got, expected):
        if one != other:
            problems.append(f"{what}: {one} instead of {other}")
            break
    if len(got) != len(expected):
        problems.append(f"{what}: {len(got)} instead of {len(expected)}")
    return {"compared": len(expected), "differing": differing + abs(len(got) - len(expected))}


def play(exchange, name):
    """Messages of one recording, behind the epoch."""
    options = ["--exchange", exchange, "--speed", "max", "--set", "stream.heartbeat=200ms"]
    if exchange == "bithumb":
        options += ["--set", "exchanges.bithumb.generation=1"]
    path = os.path.join(SHARED, "recordings", name + ".jsonl.gz")
    with replay(*options, file=path) as node:
        messages = [message for message in collect_played(node, exchanges=1)
                    if message["type"] not in ("hello", "heartbeat")]
    return path, messages


def show_set(exchange, name):
    path, messages = play(exchange, name)
    problems = []
    recorded = {line["i"]: line["raw"] for line in reference.recorded(path)}
    lines = expected_lines(name)
    upbit = exchange == "upbit"
    gaps = {message["symbol"].replace("-", "") for message in messages if message["type"] == "gap"}
    natives = set() if upbit else native_differences(recorded)
    figures = {
        "frames": len(recorded),
        "messages": counted(message["type"] for message in messages),
        "trades": compare("trades", got_trades(messages), expected_trades(lines), problems),
        "quotes": compare("quotes", got_quotes(messages), expected_quotes(lines, recorded),
                          problems),
        "books": compare("books", got_books(messages), expected_books(lines) if upbit else [],
                         problems),
        "gaps": compare("gaps", sorted(gaps), sorted(native.replace("_", "") for native in natives),
                        problems),
    }
    if figures["messages"].get("gap", 0) != len(gaps):
        problems.append("a gap was said twice")
    return messages, figures, problems


# ---- our own ----

def show_demo():
    with replay("--speed", "max", "--set", "stream.heartbeat=200ms") as node:
        messages = [message for message in collect_played(node)
                    if message["type"] not in ("hello", "heartbeat")]
    problems, figures, books = [], {"messages": counted(m["type"] for m in messages)}, Books()
    for exchange in ("binance", "upbit", "bithumb"):
        number, differing = reference.compare(messages, books, exchange)
        figures[exchange] = {"compared": number, "differing": len(differing)}
        problems += differing[:1]
    if books.books != reference.last_books():
        problems.append("the last books differ")
    return messages, figures, problems


def check(name, messages, figures, problems):
    if [message["seq"] for message in messages] != list(range(2, len(messages) + 2)):
        problems.append("seq is not contiguous from 2")
    errors = validate(messages)
    figures["schema_errors"] = len(errors)
    problems += errors[:3]
    if problems:
        figures["problems"] = problems[:10]
    say(f"path: {name}: {json.dumps(figures)}")
    return not problems


def main():
    passed, skipped, total, compared, differing = True, [], 0, 0, 0
    sets = {}
    jobs = [("demo/recording", show_demo)]
    for exchange, name in SETS:
        if os.path.exists(os.path.join(SHARED, "expected", name + ".jsonl.gz")):
            jobs.append((name, lambda exchange=exchange, name=name: show_set(exchange, name)))
        else:
            skipped.append(name)
    for name, job in jobs:
        messages, figures, problems = job()
        passed = check(name, messages, figures, problems) and passed
        total += len(messages)
        parts = [part for part in figures.values() if isinstance(part, dict) and "compared" in part]
        compared += sum(part["compared"] for part in parts)
        differing += sum(part["differing"] for part in parts)
        sets[name] = figures
    end("path", passed and differing == 0 and compared > 0,
        {"messages": total, "compared": compared, "differing": differing, "sets": sets}, skipped)


if __name__ == "__main__":
    main()
