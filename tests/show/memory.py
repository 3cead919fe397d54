#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a client costs that is only there, and what 10,000 cost that come at once.

Idle (S4): by how much a server's own memory grows for each of 10,000 clients that get nothing but
heartbeats; `resident` counts its pages, `proportional` divides those that it shares. What the
kernel takes for the connections' sockets is told apart: of both ends, as the clients are here too.
A few clients come and go before, as what the first one brings about is no client's.

Joining: 10,000 clients connect within two seconds (evenly over one) while messages flow. Each must
get hello, the whole snapshot, and the messages behind it without a gap. Told are the time until
each and until all have their first live message, peak memory, and how many snapshots were built.
The others have no snapshot to give: theirs is the time until the first message alone.

    MEMORY_CLIENTS   clients (default 10000)
    MEMORY_RUNS      of the joining (default 3)
    MEMORY_SYMBOLS   tickers in the snapshot (default 300: about 100 kB)
    PEER             "name=command": another server, see peers/README.md
"""
import json
import math
import os
import statistics

from fanout_servers import (BUILDERS, FLOOR, NODE, Missing, Quiet, Server, bar, faults,
                            prepare_peers, raise_files)
from show import end, say

CLIENTS = int(os.environ.get("MEMORY_CLIENTS", "10000"))
RUNS = int(os.environ.get("MEMORY_RUNS", "3"))
SYMBOLS = os.environ.get("MEMORY_SYMBOLS", "300")
FILES_OTHER = 500
IDLE_SECONDS = 6  # at least one heartbeat to each
JOIN_MS = 1000
JOIN_LIMIT_S = 2
JOIN_RATE = 10
JOIN_SECONDS = 2  # in which everybody goes on without a gap
BUILT_A_SECOND = 2
SERVERS = {"floor": [FLOOR], "ours": [NODE]}


class Show:
    def __init__(self, clients, peers, skipped):
        self.clients = clients
        self.peers = peers
        self.skipped = skipped
        self.idle = {}
        self.joins = {}  # server: one result a run
        self.problems = []
        self.quiet = Quiet()

    def judge(self, what, name, result):
        wrong = faults(result)
        if wrong and name in self.peers:
            self.skipped.append(f"{what}, {name}: {wrong}")
        elif wrong:
            self.problems.append(f"{what}, {name}: {wrong}")
        return not wrong

    # ---- idle ----

    def measure_idle(self, name, command):
        try:
            with Server(name, command) as server:
                server.load(10, 0, 1)
                self.quiet.wait()
                result = server.load(self.clients, 0, IDLE_SECONDS)
        except Missing as reason:
            self.skipped.append(str(reason))
            return
        if not self.judge("idle", name, result):
            return
        self.idle[name] = {
            "resident": round(result["server_memory_bytes"] / self.clients),
            "proportional": round(result["server_proportional_bytes"] / self.clients),
            "kernel_slabs_both_ends": round(result["kernel_slab_bytes"] / self.clients),
            "kernel_queued_both_ends": round(result["kernel_queued_bytes"] / self.clients),
        }
        say(f"idle {name}: {self.idle[name]} bytes for each of {self.clients} clients")

    # ---- joining ----

    def measure_join(self, name, command):
        ours = name == "ours"
        options = ("--symbols", SYMBOLS) if ours else ()
        self.quiet.wait()
        try:
            with Server(name, [*command, *options]) as server:
                result = server.load(self.clients, JOIN_RATE, JOIN_SECONDS, "--join-ms",
                                     str(JOIN_MS), *(["--snapshot"] if ours else []),
                                     query="" if ours else None)
        except Missing as reason:
            self.skipped.append(str(reason))
            return
        good = self.judge("joining", name, result)
        if "error" in result:
            return
        join = result["join"]
        if ours:
            join["snapshots_built"] = json.loads(server.last_words or "{}").get("snapshots_built")
        say(f"joining {name}: {join}")
        if join["served"] < self.clients and name not in self.peers:
            self.problems.append(f"joining, {name}: only {join['served']} were served")
        if good:
            self.joins.setdefault(name, []).append(join)

    # ---- figures ----

    def figures(self):
        figures = {"clients": self.clients, "begun_while_busy": self.quiet.busy,
                   "idle_bytes": self.idle, "joining": {}}
        for name, joins in self.joins.items():
            figures["joining"][name] = {
                key: statistics.median(one[key] for one in joins) for key in joins[0]
                if joins[0][key] is not None}
        return figures | {"bars": self.bars()}

    def bars(self):
        bars = {}
        if "ours" in self.idle:
            bars["s4_bytes"] = bar(self.idle["ours"]["resident"], "<=", 600)
        for one in self.joins.get("ours", []):
            bars["all_begun_seconds"] = worse(bars.get("all_begun_seconds"),
                                              bar(one["begun_seconds"], "<=", JOIN_LIMIT_S))
            built = one["snapshots_built"]
            limit = BUILT_A_SECOND * (math.ceil(one["all_seconds"]) + 1)
            if built is not None:
                bars["snapshots_built"] = worse(bars.get("snapshots_built"),
                                                bar(built, "<=", limit))
        return bars


def worse(left, right):
    return right if left is None or right["value"] > left["value"] else left


def main():
    clients = min(CLIENTS, raise_files() - FILES_OTHER)
    peers, skipped = prepare_peers(list(BUILDERS))
    show = Show(clients, peers, skipped)
    if clients < CLIENTS:
        skipped.append(f"more than {clients} clients: the limit of open files")
    for name, command in (SERVERS | peers).items():
        show.measure_idle(name, command)
    for run in range(RUNS):
        for name in list(SERVERS)[::-1 if run % 2 else 1]:
            show.measure_join(name, SERVERS[name])
    if "ws_broadcast" in peers:
        show.measure_join("ws_broadcast", peers["ws_broadcast"])
    measured = "ours" in show.idle and len(show.joins.get("ours", [])) == RUNS
    figures = show.figures()
    if show.problems:
        figures["problems"] = show.problems
    end("memory", measured and not show.problems, figures, skipped)


if __name__ == "__main__":
    main()
