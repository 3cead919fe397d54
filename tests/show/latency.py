#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How late messages come: 1,000 a second to 100 clients (S3), and to 10 and to 1,000, of ours
beside the floor that sends when it has read (bench/floor.c), and beside servers on other libraries
(peers/README.md) at 100. From the time at which the source had each message due to the client's
read, load and server on one machine.

A run takes each server once through each number of clients, in an order that shifts from run to
run; figures are medians over the runs, ratios the medians of each run's own ratio. What fails is
wrong, repeated or missing data of ours or the floor; a bar that is not met is told.

    LATENCY_RUNS      runs (default 5)
    LATENCY_SECONDS   measured each time (default 5)
    PEER              "name=command": another server, see peers/README.md
"""
import os
import statistics

from fanout_servers import (BUILDERS, FLOOR, NODE, Missing, Quiet, Server, bar, faults,
                            prepare_peers, raise_files, tell)
from show import end, say

RUNS = int(os.environ.get("LATENCY_RUNS", "5"))
SECONDS = int(os.environ.get("LATENCY_SECONDS", "5"))
RATE = 1000
S3 = 100
CLIENTS = (10, S3, 1000)
FIGURES = ("p50_ms", "p99_ms", "p99.9_ms", "max_ms", "server_cpu_per_million")
SERVERS = {
    "floor": [FLOOR],
    "ours": [NODE],
    "ours_0ms": [NODE, "--batch-interval-ms", "0"],
    "ours_1_thread": [NODE, "--threads", "1"],
    "floor_io_uring": [FLOOR, "--io-uring"],
}
EVERYWHERE = ("floor", "ours", "ours_0ms")


class Show:
    def __init__(self, peers, skipped):
        self.skipped = skipped
        self.peers = peers
        self.servers = {}
        self.results = {}  # (clients, server): one result a run
        self.problems = []
        self.quiet = Quiet()
        for name, command in (SERVERS | peers).items():
            try:
                with Server(name, command):
                    self.servers[name] = command
            except Missing as reason:
                self.skipped.append(str(reason))

    def measure(self, clients, name):
        self.quiet.wait()
        with Server(name, self.servers[name]) as server:
            result = server.load(clients, RATE, SECONDS)
        tell(f"{clients} clients", name, result)
        wrong = faults(result)
        if wrong and name not in self.peers:
            self.problems.append(f"{clients} clients, {name}: {wrong}")
        if "error" not in result and result["delivered"] > 0:
            self.results.setdefault((clients, name), []).append(result)

    def run(self, number):
        for clients in CLIENTS:
            names = [name for name in self.servers if clients == S3 or name in EVERYWHERE]
            shift = number % len(names)
            for name in names[shift:] + names[:shift]:
                self.measure(clients, name)

    def ratio(self, clients, key):
        pairs = zip(self.results[clients, "ours"], self.results[clients, "floor"])
        return statistics.median(ours[key] / max(floor[key], 1e-3) for ours, floor in pairs)

    def figures(self):
        figures = {"runs": RUNS, "seconds": SECONDS, "rate": RATE,
                   "begun_while_busy": self.quiet.busy}
        for (clients, name), results in self.results.items():
            figures.setdefault(f"clients_{clients}", {})[name] = {
                key: round(statistics.median(one[key] for one in results), 4) for key in FIGURES}
        bars = {}
        for clients in CLIENTS:
            for key in ("p50_ms", "p99_ms"):
                ratio = self.ratio(clients, key)
                name = f"clients_{clients}_{key[:3]}"
                bars[name] = bar(ratio, "<=", 1.1) if clients == S3 else {"value": round(ratio, 3)}
        return figures | {"bars": bars}


def main():
    raise_files()
    show = Show(*prepare_peers(list(BUILDERS)))
    for number in range(RUNS):
        say(f"run {number + 1} of {RUNS}")
        show.run(number)
    measured = all(show.results.get((clients, name)) for clients in CLIENTS
                   for name in ("floor", "ours"))
    figures = show.figures() if measured else {}
    if show.problems:
        figures["problems"] = show.problems
    end("latency", measured and not show.problems, figures, show.skipped)


if __name__ == "__main__":
    main()
