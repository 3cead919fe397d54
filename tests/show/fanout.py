#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What it costs to give every message to every client, beside the floor: a bare loop without any
protocol but frames (bench/floor.c), in the same minutes on the same machine.

`tickwire bench fanout` is source and clients of both; ours is bench_fanout_node, a node without
exchanges. A run takes each server once through each scenario, in turns that shift from run to run;
figures are medians over the runs, ratios the medians of each run's own ratio. What fails is wrong,
repeated or missing data; a bar that is not met is told, as a time says little about another
machine. A floor under half of what it is known to reach means that the machine was busy: then the
figures are void, and the show fails.

    FANOUT_RUNS     runs (default 5)
    FANOUT_SECONDS  measured in each scenario (default 5)
"""
import json
import math
import os
import resource
import statistics
import subprocess
import time

from show import BUILD, TICKWIRE, end, say

RUNS = int(os.environ.get("FANOUT_RUNS", "5"))
SECONDS = int(os.environ.get("FANOUT_SECONDS", "5"))
FLOOR = os.path.join(BUILD, "bench", "bench_floor")
SERVERS = {
    "floor": [FLOOR],
    "floor_2ms": [FLOOR, "--flush-ms", "2"],
    "floor_10ms": [FLOOR, "--flush-ms", "10"],
    "ours": [os.path.join(BUILD, "bench", "bench_fanout_node")],
}
SIZE = 250
MANY, FEW = 1000, 100  # clients of S1, of S3
RATE = 1000
S1_P99_MS = 100
S1_SECONDS = 3
S1_START = 2000
S1_KNOWN = 12207  # messages a second that the floor is known to reach
QUIET = 0.1  # of the machine that others may use when we begin
QUIET_S = 20  # waited for that, at most, before each measurement
IDLE = min(10000, resource.getrlimit(resource.RLIMIT_NOFILE)[1] - 500)


def busy_share(seconds):
    """Of the machine's time, what was not idle; nothing of ours runs then."""
    def read():
        with open("/proc/stat", encoding="ascii") as file:
            times = [int(word) for word in file.readline().split()[1:9]]
        return sum(times), times[3] + times[4]

    total, idle = read()
    time.sleep(seconds)
    total_after, idle_after = read()
    return 1 - (idle_after - idle) / max(total_after - total, 1)


class Server:
    """One of SERVERS, running; its ports stand on the first line that it says."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        self.process = subprocess.Popen(SERVERS[self.name], stdout=subprocess.PIPE, text=True)
        self.ports = json.loads(self.process.stdout.readline())
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=30)
        self.process.stdout.close()

    def load(self, clients, rate, seconds):
        command = [TICKWIRE, "bench", "fanout", "--url", self.ports["url"], "--time-field", "recv",
                   "--pid", str(self.process.pid), "--clients", str(clients),
                   "--seconds", str(seconds)]
        if rate > 0:
            command += ["--source", self.ports["source"], "--rate", str(rate), "--size", str(SIZE)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        return json.loads(done.stdout)


def faults(result):
    return {key: result[key] for key in ("gaps", "repeats", "closed", "behind") if result[key]}


class Show:
    def __init__(self):
        self.results = {}  # (scenario, server): one result a run
        self.tops = {"floor": [], "ours": []}
        self.problems = []
        self.busy = 0  # measurements begun while others used the machine

    def wait_for_quiet(self):
        deadline = time.monotonic() + QUIET_S
        while busy_share(0.5) > QUIET:
            if time.monotonic() > deadline:
                self.busy += 1
                return

    def measure(self, scenario, name, clients, rate):
        self.wait_for_quiet()
        with Server(name) as server:
            result = server.load(clients, rate, SECONDS)
        self.results.setdefault((scenario, name), []).append(result)
        say(f"{scenario} {name}: {result['rate']} msg/s, p50 {result['p50_ms']} ms, "
            f"p99 {result['p99_ms']} ms, CPU {result['server_cpu_per_million']} s a million")
        if faults(result) or result["delivered"] == 0:
            self.problems.append(f"{scenario} {name}: {faults(result) or 'nothing delivered'}")

    def sustained(self, server, rate):
        """One of two tries: a spike from outside is no answer."""
        for _ in range(2):
            self.wait_for_quiet()
            result = server.load(MANY, rate, S1_SECONDS)
            good = (result["rate"] >= 0.98 * rate and result["p99_ms"] < S1_P99_MS
                    and not faults(result))
            say(f"S1 {server.name}: {rate} msg/s, p99 {result['p99_ms']} ms"
                f"{'' if good else ', not sustained'}")
            if result["gaps"] or result["repeats"]:
                self.problems.append(f"S1 {server.name} at {rate}: {faults(result)}")
            if good:
                return True
        return False

    def search(self, name):
        """The highest rate in steps of 10 %, from where it was found before."""
        known = self.tops[name]
        rate = int(statistics.median(known)) if known else S1_START
        with Server(name) as server:
            while not self.sustained(server, rate):
                rate = int(rate / 1.1)
                if rate < 10:
                    raise ValueError(f"{name} sustains nothing")
            for factor in (1.1,) if known else (1.5, 1.1):
                while self.sustained(server, int(rate * factor)):
                    rate = int(rate * factor)
        known.append(rate)

    def median(self, scenario, name, key):
        return statistics.median(result[key] for result in self.results[scenario, name])

    def ratio(self, scenario, key, floor):
        pairs = zip(self.results[scenario, "ours"], self.results[scenario, floor])
        return statistics.median(ours[key] / max(other[key], 1e-9) for ours, other in pairs)

    def floor_of_our_latency(self, scenario):
        """Batches save CPU and cost time, so CPU is compared with the floor that is as late as
        we."""
        ours = math.log(max(self.median(scenario, "ours", "p50_ms"), 1e-3))
        return min((name for name in SERVERS if name != "ours"), key=lambda name: abs(
            ours - math.log(max(self.median(scenario, name, "p50_ms"), 1e-3))))

    def figures(self):
        figures = {"runs": RUNS, "seconds": SECONDS, "begun_while_busy": self.busy}
        for scenario, name in sorted(self.results):
            figures.setdefault(scenario, {})[name] = {
                key: round(self.median(scenario, name, key), 4)
                for key in ("rate", "p50_ms", "p99_ms", "p99.9_ms", "server_cpu_per_million",
                            "client_cpu_per_million")}
        figures["s1_rate"] = {name: statistics.median(tops) for name, tops in self.tops.items()}
        return figures

    def bars(self, memory):
        bars = {}
        for scenario in ("s1_1000", "s1_top"):
            floor = self.floor_of_our_latency(scenario)
            ratios = {name: round(self.ratio(scenario, "server_cpu_per_million", name), 3)
                      for name in SERVERS if name != "ours"}
            bars[f"{scenario}_cpu"] = bar(ratios[floor], "<=", 1.25) | {"beside": floor,
                                                                        "ratios": ratios}
        tops = [ours / floor for ours, floor in zip(self.tops["ours"], self.tops["floor"])]
        bars["s1_rate"] = bar(statistics.median(tops), ">=", 0.8)
        for key in ("p50_ms", "p99_ms"):
            bars[f"s3_{key[:3]}"] = bar(self.ratio("s3", key, "floor"), "<=", 1.1)
        bars["s4_bytes"] = bar(memory, "<=", 600)
        return bars


def bar(value, sense, limit):
    met = value <= limit if sense == "<=" else value >= limit
    return {"value": round(value, 3), "bar": f"{sense} {limit}", "met": met}


def idle_memory(name):
    """Bytes by which a server grows for each client that is only there."""
    with Server(name) as server:
        server.load(10, 0, 1)  # what the first few bring about is no client's
        result = server.load(IDLE, 0, 1)
    say(f"S4 {name}: {result['server_memory_bytes'] / IDLE:.0f} bytes for each of {IDLE} clients")
    return result["server_memory_bytes"] / IDLE


def main():
    show = Show()
    names = list(SERVERS)
    for run in range(RUNS):
        say(f"run {run + 1} of {RUNS}")
        order = names[run % len(names):] + names[:run % len(names)]
        for name in order:
            if name in show.tops:
                show.search(name)
        top = int(statistics.median(show.tops["floor"]))
        scenarios = (("s1_1000", MANY, RATE), ("s1_top", MANY, top), ("s3", FEW, RATE))
        for scenario, clients, rate in scenarios:
            for name in order:
                show.measure(scenario, name, clients, rate)
    memory = {name: idle_memory(name) for name in ("floor", "ours")}
    figures = show.figures()
    figures["s4_bytes"] = {name: round(value) for name, value in memory.items()}
    figures["bars"] = show.bars(memory["ours"])
    if figures["s1_rate"]["floor"] < S1_KNOWN / 2:
        show.problems.append(f"void: the floor reached {figures['s1_rate']['floor']} msg/s of "
                             f"{S1_KNOWN} known; the machine was busy")
    if show.problems:
        figures["problems"] = show.problems
    end("fanout", not show.problems, figures,
        ["peers: ws, websockets, gorilla/websocket, libwebsockets, uWebSockets: not measured"])


if __name__ == "__main__":
    main()
