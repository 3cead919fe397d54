#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What it costs to give every message to every one of 1,000 clients: ours beside the floor, a bare
loop without any protocol but frames (bench/floor.c), and beside servers on other libraries
(peers/README.md), in the same minutes on the same machine.

A run takes each server once through each scenario, in an order that shifts from run to run; figures
are medians over the runs, ratios the medians of each run's own ratio. Batches save CPU and cost
time, so CPU is compared at equal latency: with the floor, of those that wait differently, whose p50
is nearest to ours; and with a peer for that of our values of stream.batch_interval that costs least
and is no later than the peer.

    s1_1000     1,000 messages a second
    s1_top      what the floor reaches with p99 under 100 ms (S1)
    at_NAME     for a peer that does not reach 1,000: what it reaches so (found once, before the
                runs), and ours at that rate
    batch, deflate, tls     1,000 a second with ?batch=1, with deflate as well, and in TLS

What fails is wrong, repeated or missing data of ours or the floor; a bar that is not met is told,
as a time says little about another machine. A run in which the floor reaches less than half of
what it is known to reach is void: the machine was busy. When no other run is left, the show fails.

    FANOUT_RUNS     runs (default 5)
    FANOUT_SECONDS  measured in each scenario (default 5)
    FANOUT_MINUTES  no run is begun that would end after them (default 24)
    FANOUT_KNOWN    what the floor is known to reach, in messages a second (default 12207)
    PEER            "name=command": another server, see peers/README.md
"""
import math
import os
import statistics
import time

from fanout_servers import (BUILDERS, FLOOR, FLOORS, NODE, Missing, Quiet, Server, bar, certificate,
                            describe, faults, prepare_peers, raise_files, tell)
from show import end, say

RUNS = int(os.environ.get("FANOUT_RUNS", "5"))
SECONDS = int(os.environ.get("FANOUT_SECONDS", "5"))
MINUTES = int(os.environ.get("FANOUT_MINUTES", "24"))
KNOWN = int(os.environ.get("FANOUT_KNOWN", "12207"))
CLIENTS = 1000
RATE = 1000
P99_MS = 100
SEARCH_SECONDS = 3
REACHED = 0.98  # of the rate that was asked for
RATE_MIN, RATE_MAX = 10, 200000
STEP = 1.1
PEER_STEP = 1.25
# Where the search for a server's highest rate begins.
STARTS = {"ws_broadcast": 60, "ws_prepared": 2000, "websockets": 60, "gorilla": 150,
          "libwebsockets": 120}
START = 2000
OURS = {
    "ours": [NODE],
    "ours_0ms": [NODE, "--batch-interval-ms", "0"],
    "ours_8ms": [NODE, "--batch-interval-ms", "8"],
    "ours_1_thread": [NODE, "--threads", "1"],
}
IO_URING = "floor_io_uring"  # measured, but not compared with: it is no floor of ours
FIGURES = ("rate", "p50_ms", "p99_ms", "p99.9_ms", "server_cpu_per_million",
           "client_cpu_per_million")
CPU = "server_cpu_per_million"


class Show:
    def __init__(self, peers, skipped):
        self.servers = FLOORS | OURS | peers
        self.peers = list(peers)
        self.skipped = skipped
        self.runs = []  # each a dict: (scenario, server) -> result, ("top", server) -> rate
        self.run = {}
        self.problems = []
        self.quiet = Quiet()
        self.peer_tops = {}  # found once

    # ---- measuring ----

    def probe(self, name, command):
        """Keeps a server that is there; else says why not."""
        try:
            with Server(name, command):
                self.servers[name] = command
        except Missing as reason:
            self.servers.pop(name, None)
            self.skipped.append(str(reason))

    def judge(self, label, name, result):
        wrong = faults(result)
        if wrong and name not in self.peers:
            self.problems.append(f"{label} {name}: {wrong}")

    def measure(self, scenario, name, rate, *flags, query=None):
        """Whoever is not there is left out."""
        if name not in self.servers:
            return
        self.quiet.wait()
        with Server(name, self.servers[name]) as server:
            result = server.load(CLIENTS, rate, SECONDS, *flags, query=query)
        tell(scenario, name, result)
        self.judge(scenario, name, result)
        if "error" not in result and result["delivered"] > 0:
            self.run[scenario, name] = result

    def sustained(self, server, rate):
        """One of two tries: a spike from outside is no answer."""
        for _ in range(2):
            self.quiet.wait()
            result = server.load(CLIENTS, rate, SEARCH_SECONDS)
            good = (not faults(result) and result["rate"] >= REACHED * rate
                    and result["p99_ms"] < P99_MS)
            say(f"S1 {server.name} at {rate}: {describe(result)}{'' if good else '; too much'}")
            if result.get("gaps") or result.get("repeats"):
                self.judge(f"S1 at {rate}", server.name, result)
            if good:
                return True
        return False

    def search(self, name, start, steps):
        """The highest rate, in ever smaller steps; 0 when there is none."""
        rate = start
        with Server(name, self.servers[name]) as server:
            while not self.sustained(server, rate):
                rate = int(rate / steps[len(steps) // 2])
                if rate < RATE_MIN:
                    return 0
            for step in steps:
                while rate < RATE_MAX and self.sustained(server, int(rate * step)):
                    rate = int(rate * step)
        return rate

    def search_ours(self, name):
        before = [run["top", name] for run in self.runs if run.get(("top", name))]
        start = int(statistics.median(before)) if before else START
        steps = (STEP,) if before else (2, 1.4, STEP)
        self.run["top", name] = self.search(name, start, steps)

    def search_peers(self):
        for name in self.peers:
            self.peer_tops[name] = self.search(name, STARTS.get(name, 200), (1.6, PEER_STEP))

    # ---- a run ----

    def scenario(self, scenario, rate, names, shift):
        names = [name for name in names if name in self.servers]
        for name in names[shift % len(names):] + names[:shift % len(names)]:
            self.measure(scenario, name, rate)

    def run_all(self, number):
        self.run = {}
        for name in ["floor", "ours"][::-1 if number % 2 else 1]:
            self.search_ours(name)
        everybody = [*FLOORS, IO_URING, *OURS]
        fast = [name for name in self.peers if self.peer_tops[name] >= RATE]
        self.scenario("s1_1000", RATE, everybody + fast, number)
        self.scenario("s1_top", self.run["top", "floor"], everybody, number)
        for name in self.peers:
            if name not in fast and self.peer_tops[name] > 0:
                self.scenario(f"at_{name}", self.peer_tops[name], [name, "ours"], number)
        self.measure("batch", "ours", RATE, "--lines", query="?snapshot=0&batch=1")
        if "deflate" not in self.run_without:
            self.measure("deflate", "ours", RATE, "--lines", "--deflate",
                         query="?snapshot=0&batch=1")
        self.measure("tls", "ours_tls", RATE)
        if "ours_tls" in self.servers and number == 0:
            self.search_ours("ours_tls")
        self.run["void"] = self.run["top", "floor"] < KNOWN / 2
        if self.run["void"]:
            say(f"void: the floor reached {self.run['top', 'floor']} of {KNOWN} known")
        self.runs.append(self.run)

    def try_deflate(self):
        """Whether there is any use in asking for it."""
        self.run_without = set()
        with Server("ours", self.servers["ours"]) as server:
            result = server.load(1, 100, 1, "--lines", "--deflate", query="?snapshot=0&batch=1")
        if "error" in result:
            self.run_without.add("deflate")
            self.skipped.append(f"deflate: {result['error']}")

    def run_every(self):
        begin = time.monotonic()
        longest = 0
        self.search_peers()
        for number in range(RUNS):
            start = time.monotonic()
            if start - begin + longest > MINUTES * 60:
                self.skipped.append(f"runs after the first {number}: no time left")
                break
            say(f"run {number + 1} of {RUNS}")
            self.run_all(number)
            longest = max(longest, time.monotonic() - start)
        valid = [run for run in self.runs if not run["void"]]
        self.void = len(self.runs) - len(valid)
        if valid:
            self.runs = valid
        else:
            self.problems.append("void: in no run the floor reached half of what it is known to")

    # ---- figures ----

    def median(self, scenario, name, key):
        values = [run[scenario, name][key] for run in self.runs if (scenario, name) in run]
        return statistics.median(values) if values else None

    def ratio(self, left, right, key):
        """Of two (scenario, server), in each run."""
        ratios = [run[left][key] / max(run[right][key], 1e-9) for run in self.runs
                  if left in run and right in run]
        return statistics.median(ratios) if ratios else None

    def nearest(self, scenario, name, candidates):
        """Who of them is as late as `name`."""
        def distance(other):
            pair = [self.median(scenario, one, "p50_ms") for one in (name, other)]
            return abs(math.log(max(pair[0], 1e-3) / max(pair[1], 1e-3)))

        there = [one for one in candidates if self.median(scenario, one, "p50_ms") is not None]
        return min(there, key=distance, default=None)

    def cheapest(self, scenario, name, candidates):
        """Of those that are no later than `name`; where all are, the one that is least so."""
        def p50(one):
            return self.median(scenario, one, "p50_ms")

        there = [one for one in candidates if p50(one) is not None]
        early = [one for one in there if p50(one) <= p50(name)]
        if not early:
            return min(there, key=p50, default=None)
        return min(early, key=lambda one: self.median(scenario, one, CPU))

    def tops(self, name):
        return [run["top", name] for run in self.runs if ("top", name) in run]

    def figures(self):
        figures = {"runs": len(self.runs), "void_runs": self.void, "seconds": SECONDS,
                   "begun_while_busy": self.quiet.busy}
        for scenario, name in sorted({key for run in self.runs for key in run
                                      if isinstance(key, tuple) and key[0] != "top"}):
            figures.setdefault(scenario, {})[name] = {
                key: round(self.median(scenario, name, key), 4) for key in FIGURES}
        figures["s1_rate"] = {name: statistics.median(self.tops(name))
                              for name in ("floor", "ours", "ours_tls") if self.tops(name)}
        figures["s1_rate"] |= self.peer_tops
        return figures

    def bar_of_cpu(self, scenario, other, limit, ours):
        """Ours, at its latency, beside the other; limit None: only told."""
        ratio = self.ratio((scenario, ours), (scenario, other), CPU)
        if ratio is None:
            return None
        result = bar(ratio, "<=", limit) if limit else {"value": round(ratio, 3)}
        p50s = [self.median(scenario, name, "p50_ms") for name in (ours, other)]
        return result | {"ours": ours, "other": other, "p50_ms": p50s,
                         "rate": self.median(scenario, other, "rate")}

    def bars_of_rate(self):
        bars = {}
        pairs = list(zip(self.tops("ours"), self.tops("floor")))
        bars["s1_rate"] = bar(statistics.median(ours / floor for ours, floor in pairs), ">=", 0.8)
        if self.peer_tops.get("uWebSockets"):
            ours = statistics.median(self.tops("ours"))
            bars["s1_rate_uWebSockets"] = bar(ours / self.peer_tops["uWebSockets"], ">=", 3)
        if self.tops("ours_tls"):
            ratio = statistics.median(self.tops("ours_tls")) / statistics.median(self.tops("ours"))
            bars["tls_rate"] = {"value": round(ratio, 3)}
        return bars

    def bars_of_forms(self):
        """Batch, deflate, TLS: against the same without."""
        bars = {}
        cpu = self.ratio(("deflate", "ours"), ("batch", "ours"), CPU)
        if cpu is not None:
            size = self.ratio(("deflate", "ours"), ("batch", "ours"), "bytes")
            bars["deflate_cpu"] = bar(cpu, "<=", 1.3)
            bars["deflate_bytes"] = {"value": round(size, 3)}
            if size > 0.9:
                self.problems.append(f"deflate: {size:.2f} of the bytes: stored blocks?")
        cpu = self.ratio(("tls", "ours_tls"), ("s1_1000", "ours"), CPU)
        if cpu is not None:
            bars["tls_cpu"] = {"value": round(cpu, 3)}
        frames = self.median("batch", "ours", "frames")
        if frames:
            bars["batch_messages_a_frame"] = {
                "value": round(self.median("batch", "ours", "delivered") / frames, 2)}
        return bars

    def bars(self):
        bars = self.bars_of_rate()
        for scenario in ("s1_1000", "s1_top"):
            floor = self.nearest(scenario, "ours", FLOORS)
            bars[f"{scenario}_cpu"] = self.bar_of_cpu(scenario, floor, 1.25, "ours")
        for name in self.peers:
            scenario = "s1_1000" if self.peer_tops[name] >= RATE else f"at_{name}"
            if self.median(scenario, name, CPU) is None:
                continue
            ours = self.cheapest(scenario, name, ("ours", "ours_0ms", "ours_8ms"))
            limit = 0.6 if name == "ws_prepared" else None
            bars[f"cpu_{name}"] = self.bar_of_cpu(scenario, name, limit, ours)
        return {name: one for name, one in (bars | self.bars_of_forms()).items() if one}


def main():
    raise_files()
    show = Show(*prepare_peers(list(BUILDERS)))
    show.probe(IO_URING, [FLOOR, "--io-uring"])
    show.probe("ours_tls", [NODE, *certificate()])
    for name in list(show.peers):
        show.probe(name, show.servers[name])
    show.peers = [name for name in show.peers if name in show.servers]
    show.try_deflate()
    show.run_every()
    figures = show.figures() | {"bars": show.bars()}
    if show.problems:
        figures["problems"] = show.problems
    end("fanout", not show.problems, figures, show.skipped)


if __name__ == "__main__":
    main()
