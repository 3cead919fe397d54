#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows that real recorded messages decode to what independent parsers made of them.

Every message of the recorded sets of Binance, Upbit and Bithumb goes through decode_dump; what
comes out is compared, as decimals, with the expected events. A difference counts unless
tests/differences.md names it. Ends with one JSON line; exit status 0 when all is equal.

TEST_BUILD names the build folder; default: build.
"""
import collections
import decimal
import gzip
import json
import os
import re
import subprocess

from show import BUILD, ROOT, end, say

SHARED = os.path.join(ROOT, "..", "shared")
EXCHANGES = [  # (how a set's folder begins, exchange, generation)
    ("binance", "binance", 0),
    ("upbit", "upbit", 0),
    ("bithumb", "bithumb", 1),
]


def read_lines(path):
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def find_sets():
    """(set's name, exchange, generation) of every recording that is ours."""
    folder = os.path.join(SHARED, "recordings")
    found = []
    for place in sorted(os.listdir(folder)):
        for begin, exchange, generation in EXCHANGES:
            if not place.startswith(begin):
                continue
            for file in sorted(os.listdir(os.path.join(folder, place))):
                match = re.fullmatch(r"(.*)\.jsonl\.gz", file)
                if match and not file.endswith(".meta.jsonl.gz"):
                    found.append((f"{place}/{match[1]}", exchange, generation))
    return found


def decode(exchange, generation, lines):
    """What decode_dump makes of the lines, in their order."""
    tool = os.path.join(BUILD, "tests", "tools", "decode_dump")
    arguments = [tool, "--exchange", exchange, "--generation", str(generation), "--learn"]
    text = "".join(json.dumps({"i": line["i"], "raw": line["raw"]}) + "\n" for line in lines)
    done = subprocess.run(arguments, input=text.encode(), stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def number(text):
    return decimal.Decimal(text)


def levels(pairs):
    return {number(price): number(size) for price, size in pairs}


def symbol_of(expected):
    return expected["symbol"].removesuffix("-PERP")


def microseconds(seconds):
    """The exchange's times have at most microseconds, which a double of today still holds."""
    return round(decimal.Decimal(repr(seconds)) * 1000000)


def trade_key(event):
    return (event["symbol"], event["id"], number(event["price"]), number(event["size"]),
            event["side"], event["ts"])


def expected_trade_key(event):
    return (symbol_of(event), event["id"] or "", number(event["price"]), number(event["amount"]),
            event["side"], microseconds(event["ts"]))


def compare_trades(events, expected):
    ours = [trade_key(event) for event in events if event["type"] == "trade"]
    theirs = [expected_trade_key(event) for event in expected if event["type"] == "trades"]
    return len(theirs), [] if ours == theirs else [f"trades {ours} instead of {theirs}"]


def compare_quotes(events, expected):
    ours = [(event["symbol"], number(event["bid"]), number(event["ask"]))
            for event in events if event["type"] == "quote"]
    theirs = [(symbol_of(event), number(event["bid"]), number(event["ask"]))
              for event in expected if event["type"] == "ticker"]
    return len(theirs), [] if ours == theirs else [f"quotes {ours} instead of {theirs}"]


def compare_deltas(events, expected):
    count, differences = 0, []
    books = [event for event in events if event["type"] == "book"]
    for theirs in expected:
        if theirs["type"] != "l2_book" or theirs["kind"] != "delta":
            continue
        count += 1
        ours = books[0] if len(books) == 1 else None
        if ours is None or ours["action"] != "update" or ours["symbol"] != symbol_of(theirs) \
                or levels(ours["bids"]) != levels(theirs["d_bids"]) \
                or levels(ours["asks"]) != levels(theirs["d_asks"]) \
                or ours["last_id"] != theirs["seq"]:
            differences.append(f"delta {ours} instead of {theirs}")
    return count, differences


def ordered(pairs):
    return [(number(price), number(size)) for price, size in pairs]


def compare_snapshots(events, expected):
    """Whole books, of exchanges that send them. (Binance's expected ones came by REST.)"""
    count, differences = 0, []
    books = [event for event in events if event["type"] == "book"]
    for theirs in expected:
        if theirs["type"] != "l2_book" or theirs["kind"] != "snapshot":
            continue
        count += 1
        ours = books[0] if len(books) == 1 else None
        if ours is None or ours["action"] != "snapshot" or ours["symbol"] != symbol_of(theirs) \
                or ordered(ours["bids"]) != ordered(theirs["bids"]) \
                or ordered(ours["asks"]) != ordered(theirs["asks"]) \
                or ours["ts"] != microseconds(theirs["ts"]):
            differences.append(f"book {ours} instead of {theirs}")
    return count, differences


def compare_candles(events, expected):
    ours = [(event["symbol"], event["interval"], event["open_us"], event["closed"],
             *(number(event[name]) for name in ("open", "high", "low", "close", "volume")))
            for event in events if event["type"] == "candle"]
    theirs = [(symbol_of(event), event["interval"], microseconds(event["start"]), event["closed"],
               *(number(event[name]) for name in ("open", "high", "low", "close", "volume")))
              for event in expected if event["type"] == "candles"]
    return len(theirs), [] if ours == theirs else [f"candles {ours} instead of {theirs}"]


def compare_set(exchange, decoded, expected):
    """({kind: how many were compared}, [differences]) of one set, message by message."""
    by_i = collections.defaultdict(list)
    for event in expected:
        by_i[event["i"]].append(event)
    comparisons = {"trades": compare_trades, "quotes": compare_quotes, "candles": compare_candles}
    if exchange == "binance":
        comparisons["deltas"] = compare_deltas
    else:
        comparisons["books"] = compare_snapshots
    counts = collections.Counter()
    differences = []
    for message in decoded:
        theirs = by_i.pop(message["i"], [])
        for kind, compare in comparisons.items():
            count, found = compare(message.get("events", []), theirs)
            counts[kind] += count
            differences += [(message["i"], text) for text in found]
    differences += [(i, "expected, but not recorded") for i in by_i]
    return counts, differences


def check_books(decoded, recording):
    """The differences since each REST snapshot of Binance, applied: how many ended as expected."""
    meta = recording.replace(".jsonl.gz", ".meta.jsonl.gz")
    final = recording.replace("/recordings/", "/expected/")
    final = final.replace(".jsonl.gz", ".finalbooks.jsonl.gz")
    if not os.path.exists(final):
        return 0, []
    books = {}
    for line in read_lines(meta):
        match = re.search(r"/depth\?symbol=(\w+)", line.get("url", ""))
        if line.get("event") == "rest" and match:
            book = json.loads(line["raw"])
            books[match[1]] = {"id": book["lastUpdateId"], "bids": levels(book["bids"]),
                               "asks": levels(book["asks"])}
    for message in decoded:
        for event in message.get("events", []):
            if event["type"] == "book" and event["native"] in books:
                apply_update(books[event["native"]], event)
    return compare_final(books, read_lines(final))


def apply_update(book, event):
    if event["last_id"] <= book["id"]:
        return
    for side in ("bids", "asks"):
        for price, size in levels(event[side]).items():
            if size == 0:
                book[side].pop(price, None)
            else:
                book[side][price] = size


def compare_final(books, expected):
    count, differences = 0, []
    for theirs in expected:
        ours = books.get(theirs.get("exsym"))
        if ours is None:
            continue
        count += 1
        for side in ("bids", "asks"):
            if ours[side] != levels(theirs[side]):
                differences.append((theirs.get("last_i"), f"final {side} of {theirs['exsym']}"))
    return count, differences


def known_differences():
    """Lines `- SET I: reason` of tests/differences.md."""
    known = set()
    with open(os.path.join(ROOT, "tests", "differences.md"), encoding="utf-8") as lines:
        for line in lines:
            match = re.match(r"- (\S+) (\d+): ", line)
            if match:
                known.add((match[1], int(match[2])))
    return known


def show_set(name, exchange, generation, known):
    recording = os.path.join(SHARED, "recordings", name + ".jsonl.gz")
    lines = read_lines(recording)
    decoded = decode(exchange, generation, lines)
    verdicts = collections.Counter(message["verdict"] for message in decoded)
    expected_path = os.path.join(SHARED, "expected", name + ".jsonl.gz")
    compared, differences = collections.Counter(), []
    if os.path.exists(expected_path):
        compared, differences = compare_set(exchange, decoded, read_lines(expected_path))
        if exchange == "binance":
            compared["final_books"], found = check_books(decoded, recording)
            differences += found
    for i, text in differences:
        say(f"  {name} {i}: {text[:400]}")
    figures = {"messages": len(lines), "decoded": verdicts.pop("events", 0),
               "classified": dict(verdicts), "compared": dict(compared),
               "differing": len(differences),
               "listed": sum((name, i) in known for i, _ in differences)}
    say(f"{name}: {json.dumps(figures)}")
    whole = len(decoded) == len(lines) and "unreadable" not in verdicts
    return figures, whole and figures["differing"] == figures["listed"]


def main():
    if not os.path.isdir(os.path.join(SHARED, "recordings")):
        end("recordings", True, {}, ["../shared/recordings is not there"])
    known = known_differences()
    sets, passed = {}, True
    for name, exchange, generation in find_sets():
        if name.startswith("bithumb/") and "pubwss" not in name:
            generation = 2
        sets[name], good = show_set(name, exchange, generation, known)
        passed = passed and good
    total = {key: sum(figures[key] for figures in sets.values())
             for key in ("messages", "decoded", "differing", "listed")}
    total["compared"] = sum(sum(figures["compared"].values()) for figures in sets.values())
    end("recordings", passed and total["messages"] > 0, {**total, "sets": sets})


if __name__ == "__main__":
    main()
