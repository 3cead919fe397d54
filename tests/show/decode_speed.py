#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shows what decoding and encoding one message costs.

Instructions (callgrind; the difference between 2 N and N rounds, so that start-up does not count)
gate: they are the same on every run. Times are told beside those of jansson and of an exact-number
library (GMP) in the same process, and fail nothing. That a message allocates nothing is a test of
its own, which is run here too. TEST_BUILD names the build folder; default: build.
"""
import json
import os
import re
import shutil
import subprocess
import tempfile

from show import BUILD, ROOT, end, say

ROUNDS = 100
COPIES = 10  # of the message in a corpus, so that a round costs little
BENCH = os.path.join(BUILD, "bench", "bench_decode")
COMPARE = os.path.join(BUILD, "bench", "compare_decode")
ALLOCATIONS = os.path.join(BUILD, "src", "exchange", "allocation_test")


def binance_levels(price, count, step):
    return [[f"{price + step * i * 0.37:.8f}", f"{0.12345 + 1.5 * i:.8f}"] for i in range(count)]


def combined(stream, data):
    return json.dumps({"stream": stream, "data": data}, separators=(",", ":"))


def depth(bids, asks):
    return combined("btcusdt@depth@100ms", {
        "e": "depthUpdate", "E": 1790133513739, "s": "BTCUSDT", "U": 157123456789,
        "u": 157123456795, "b": bids, "a": asks})


def upbit_book(count):
    """A unit is a level of either side. Written by hand: json.dumps would not keep the spelling of
    the numbers."""
    units = ",".join(
        f'{{"ask_price":{116209000 + 1000 * i}.0,"bid_price":{116208000 - 1000 * i}.0,'
        f'"ask_size":{0.0123457 * (i + 1):.8f},"bid_size":{0.0234567 * (i + 2):.8f}}}'
        for i in range(count))
    return ('{"type":"orderbook","code":"KRW-BTC","timestamp":1790133513840,'
            '"total_ask_size":4.65,"total_bid_size":9.3,"orderbook_units":[' + units +
            '],"stream_type":"REALTIME","level":0}')


UPBIT_TRADE = (
    '{"type":"trade","code":"KRW-BTC","timestamp":1790133513790,"trade_date":"2026-09-23",'
    '"trade_time":"03:18:33","trade_timestamp":1790133513739,"trade_price":116208000.00000000,'
    '"trade_volume":0.00090000,"ask_bid":"BID","prev_closing_price":115000000.00000000,'
    '"change":"RISE","change_price":1208000.00000000,"sequential_id":17901335137390001,'
    '"best_ask_price":116209000,"best_ask_size":0.01,"best_bid_price":116208000,'
    '"best_bid_size":0.02,"stream_type":"REALTIME"}')

TRADE = combined("btcusdt@trade", {
    "e": "trade", "E": 1790133513740, "s": "BTCUSDT", "t": 4123456789, "p": "84000.10000000",
    "q": "0.50000000", "T": 1790133513738, "m": False, "M": True})

# kind: (exchange, message, instructions at most or None, bar in ns or None)
KINDS = {
    "binance_trade": ("binance", TRADE, 1700, 150),
    "binance_depth_2": ("binance", depth([["84000.00000000", "0.25000000"]],
                                         [["84000.10000000", "0.12340000"]]), 2100, 200),
    "binance_depth_47": ("binance", depth(binance_levels(84000, 24, -1),
                                          binance_levels(84001, 23, 1)), None, 47 * 35),
    "upbit_trade": ("upbit", UPBIT_TRADE, None, 300),
    "upbit_book_30_levels": ("upbit", upbit_book(15), None, 1500),
    "upbit_book_60_levels": ("upbit", upbit_book(30), None, None),
}


def instructions(path, exchange, rounds):
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", BENCH, path,
               "--exchange", exchange, "--repeat", str(rounds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=True)
    if json.loads(done.stdout)["errors"] != 0:
        raise ValueError(f"{path} did not decode")
    return int(re.search(r"Collected : (\d+)", done.stderr)[1])


def measure(folder, kind):
    exchange, message, limit, bar_ns = KINDS[kind]
    path = os.path.join(folder, kind)
    with open(path, "w", encoding="utf-8") as out:
        out.write((message + "\n") * COPIES)
    figures = {} if bar_ns is None else {"bar_ns": bar_ns}
    good = True
    if shutil.which("valgrind"):
        once = instructions(path, exchange, ROUNDS)
        twice = instructions(path, exchange, 2 * ROUNDS)
        figures["instructions"] = (twice - once) // (ROUNDS * COPIES)
        if limit is not None:
            figures["instructions_max"] = limit
            good = figures["instructions"] <= limit
    command = [COMPARE] if os.path.exists(COMPARE) else [BENCH]
    command += [path, "--exchange", exchange, "--repeat", "5000"]
    result = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    if "ours_ns" not in result:
        result = {"ours_ns": result["seconds"] * 1e9 / result["messages"]}
    figures.update({key: round(value, 1) for key, value in result.items() if key.endswith("_ns")})
    say(f"{kind}: {json.dumps(figures)}")
    return figures, good


def main():
    figures, passed, skipped = {}, True, []
    if not shutil.which("valgrind"):
        skipped.append("instructions: valgrind is not there")
    if not os.path.exists(COMPARE):
        skipped.append("comparison: jansson or gmp is not there")
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            figures[kind], good = measure(folder, kind)
            passed = passed and good
    if os.path.exists(ALLOCATIONS):
        done = subprocess.run([ALLOCATIONS], cwd=ROOT, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, check=False)
        figures["allocations_per_message"] = 0 if done.returncode == 0 else "not 0"
        passed = passed and done.returncode == 0
    else:
        skipped.append("allocations: not counted in a build with sanitizers")
    end("decode-speed", passed, figures, skipped)


if __name__ == "__main__":
    main()
