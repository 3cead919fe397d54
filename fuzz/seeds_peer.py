#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of fuzz/peer.c: seeds_peer.py FOLDER"""
import json
import os
import sys


def seeds():
    node = {"id": "gw-1", "role": "leader", "url": "http://h:1", "version": "0.1.0", "clients": 7,
            "lag_ms": 0, "since": 1700000000000000}
    for role in ("leader", "follower", "alone", "starting", "later"):
        yield {"self": "gw-1", "leader": None, "epoch": 4, "stream": "tw-7f3a",
               "nodes": [{"id": "gw-2"}, {**node, "role": role}], "history": []}
    yield {"self": "gw-1", "epoch": 0, "stream": None,
           "nodes": [{**node, "clients": None, "lag_ms": None, "since": None}]}
    for resumed in (True, False):
        yield {"type": "hello", "node": "gw-1", "stream": "tw-1", "epoch": 1, "next": 2,
               "resumed": resumed}
    yield {"type": "epoch", "seq": 9, "epoch": 5, "prev": {"epoch": 4, "seq": 8}, "node": "gw-1"}
    yield {"type": "trade", "seq": 10, "exchange": "upbit"}
    yield {"type": "later", "seq": 10}
    for kind in ("snapshot_end", "heartbeat", "source", "skipped", "draining"):
        yield {"type": kind, "seq": 9}


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    for number, seed in enumerate(seeds()):
        with open(os.path.join(folder, f"seed-{number}"), "w", encoding="ascii") as file:
            json.dump(seed, file, separators=(",", ":"))


if __name__ == "__main__":
    main()
