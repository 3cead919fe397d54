#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of fuzz/notes.c: seeds_notes.py FOLDER"""
import json
import os
import sys


def seed(kind, value, **headers):
    names = {"stream": "tw-7f3a", "epoch": "4", "type": kind, "node": "gw-1", **headers}
    lines = [f"tw-{name}={text}" for name, text in names.items() if text is not None]
    return "\n".join(lines) + "\n\n" + (value if isinstance(value, str) else compact(value))


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def seeds():
    start = {"stream": "tw-7f3a", "epoch": 4, "seq": 60, "record_epoch": 4, "position": 700}
    beacon = {"type": "beacon", "stream": "tw-7f3a", "epoch": 4, "seq": 120, "position": 991,
              "barrier": 500, "node": "gw-1"}
    barrier = {"type": "barrier", "stream": "tw-7f3a", "epoch": 4, "writer": "w", "node": "gw-1"}
    trade = {"type": "trade", "seq": 7, "exchange": "upbit", "symbol": "BTC-KRW", "id": "1"}
    yield seed("trade", trade, seq="7")
    yield seed("epoch", {"type": "epoch", "seq": 7, "epoch": 4, "node": "업비트"}, seq="7")
    yield seed("trade", compact(trade), seq="8")
    yield seed("trade", {**trade, "exchange": ""}, seq="7")
    yield seed("trade", {"type": "trade", "seq": 7, "exchange": ""}, seq="7")
    yield seed("barrier", barrier)
    yield seed("barrier", {**barrier, "start": 41, "more": [1, {"a": "\\\"}"}, None]})
    yield seed("barrier", json.dumps(barrier))
    yield seed("beacon", beacon)
    yield seed("beacon", {**beacon, "start": start, "record_epoch": 3})
    yield seed("beacon", {**beacon, "position": -1, "barrier": -1})
    yield seed("state", {"type": "state", "seq": 9, "exchange": "upbit", "messages": []})
    yield seed("state", "{}", node=None)
    yield "traceparent=00\n\nhello"


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    for number, text in enumerate(seeds()):
        with open(os.path.join(folder, f"seed-{number}"), "wb") as file:
            file.write(text.encode())


main()
