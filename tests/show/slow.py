# SPDX-License-Identifier: Apache-2.0
"""A thousand clients, 40 of them slow: the others do not notice, the node does not grow, and the
slow ones are told and end up right.

A node plays the constructed recording. 960 clients are measured (`tickwire bench fanout`: from a
message's receipt to the client's read), in turn without and with the slow ones: 20 that stop
reading and 20 that read a thousand bytes a second. Then those wake, read on, and must know at the
same number exactly what a client knows that never was slow, from messages that are byte-equal.
Once for each policy of stream.slow_client.

Wrong, missing or repeated data fails, and a slow client that was not told, and memory that grows; a
p99 does not, unless it is ten times what it was.

    SLOW_SECONDS  for which the slow ones are (default 60; with --ci 6)
    SLOW_TURNS    without and with them (default 2; with --ci 1)
    SLOW_CLIENTS  all together (default 1000)
    SLOW_THREADS  http.threads (default 1)
"""

import json
import os
import statistics
import subprocess
import sys

from show import IN_CI, ROOT, TICKWIRE, end, say

sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))

from harness import SANITIZED, replay, wait_until  # noqa: E402
from laggards import Laggards  # noqa: E402
from prometheus import Metrics  # noqa: E402
from view import Witness, difference  # noqa: E402
from watch import MemoryWatch  # noqa: E402

SECONDS = int(os.environ.get("SLOW_SECONDS", "6" if IN_CI else "60"))
TURNS = int(os.environ.get("SLOW_TURNS", "1" if IN_CI else "2"))
CLIENTS = int(os.environ.get("SLOW_CLIENTS", "1000"))
SILENT, TRICKLING = 20, 20
SPEED = "4"  # about 160 messages a second
MAX_LAG_S = 2 if IN_CI else 5
# Before it counts: the clients connect, one second is not measured, and the node must be left time
# to drop those who take nothing at all for 60 s.
NOT_MEASURED_S = 3
AHEAD = 300  # messages between the newest and where the slow ones are compared
BAR = 1.2
BEYOND = 10 * BAR
LEAST_MS = 50 if IN_CI else 5  # a p99 under this fails nothing: it is the machine's
GROWTH_MAX = (400 if SANITIZED else 16) * 1024 * 1024
PATIENCE_S = 60


def measure(node, seconds):
    """What the clients that are not slow get."""
    done = subprocess.run(
        [TICKWIRE, "bench", "fanout", "--url", node.ws("?snapshot=0"), "--time-field", "recv",
         "--clients", str(CLIENTS - SILENT - TRICKLING), "--seconds", str(seconds)],
        stdout=subprocess.PIPE, text=True, check=True, timeout=seconds + PATIENCE_S)
    return json.loads(done.stdout)


class Run:
    """One policy."""

    def __init__(self, policy):
        self.policy = policy
        self.problems = []
        self.quiet, self.slow = [], []  # p99 in ms
        self.memory_quiet = self.memory_slow = 0
        self.told = {}
        self.compared = 0

    def count(self, result, where):
        faults = {key: result[key] for key in ("gaps", "repeats", "closed") if result[key]}
        if faults or not result["delivered"]:
            self.problems.append(f"{self.policy}, {where}: {faults or 'nothing delivered'}")
        return result["p99_ms"]

    def without(self, node):
        watch = MemoryWatch(node)
        result = measure(node, max(2, min(SECONDS - NOT_MEASURED_S, 20)))
        self.memory_quiet = max(self.memory_quiet, watch.stop())
        self.quiet.append(self.count(result, "without slow ones"))

    def with_them(self, node, witness):
        watch = MemoryWatch(node)
        before = self.slow_counted(node)
        with Laggards(node, SILENT, TRICKLING) as laggards:
            result = measure(node, max(1, SECONDS - NOT_MEASURED_S))
            self.slow.append(self.count(result, "with slow ones"))
            wait_until(lambda: self.slow_counted(node) >= before + SILENT + TRICKLING,
                       "all of them are slow", 4 * MAX_LAG_S)
            goal = laggards.wake(witness.newest() + AHEAD, PATIENCE_S)
            self.memory_slow = max(self.memory_slow, watch.stop())
            self.judge(laggards, witness, goal)

    def slow_counted(self, node):
        return Metrics(node).value("tickwire_slow_clients_total", action=self.policy)

    def judge(self, laggards, witness, goal):
        state, texts = witness.state_at(goal, PATIENCE_S)
        for laggard in laggards.all:
            told = str(laggard.was_told)
            self.told[told] = self.told.get(told, 0) + 1
            problem = difference(laggard.view.state(), state)
            if any(texts[seq] != text for seq, text in laggard.texts.items()):
                problem = "a message is not what others got"
            if problem:
                self.problems.append(f"{self.policy}: {problem}")
            self.compared += len(laggard.texts)

    def figures(self):
        quiet, slow = statistics.median(self.quiet), statistics.median(self.slow)
        ratio = statistics.median(with_them / max(without, 1e-3)
                                  for without, with_them in zip(self.quiet, self.slow))
        growth = self.memory_slow - self.memory_quiet
        if slow > BEYOND * max(quiet, LEAST_MS):
            self.problems.append(f"{self.policy}: p99 {slow} ms, {quiet} ms without slow ones")
        if growth > GROWTH_MAX:
            self.problems.append(f"{self.policy}: memory grew by {growth} bytes")
        wanted = "skipped" if self.policy == "snapshot" else "1008"
        if set(self.told) != {wanted}:
            self.problems.append(f"{self.policy}: the slow ones were told {self.told}")
        return {"p99_ms_without": quiet, "p99_ms_with": slow, "p99_ratio": round(ratio, 3),
                "bar": f"<= {BAR}", "met": ratio <= BAR, "memory_bytes": self.memory_quiet,
                "memory_growth_bytes": growth, "told": self.told,
                "messages_compared": self.compared}

    def run(self):
        with replay("--loop", "--speed", SPEED, "--set", f"http.max_clients_per_ip={2 * CLIENTS}",
                    "--set", f"stream.max_lag={MAX_LAG_S}s", "--set", "stream.retain=2MiB",
                    "--set", "http.send_buffer=64KiB",
                    "--set", f"stream.slow_client={self.policy}",
                    "--set", f"http.threads={os.environ.get('SLOW_THREADS', '1')}") as node:
            with Witness(node) as witness:
                self.warm(node)
                for turn in range(TURNS):
                    self.without(node)
                    self.with_them(node, witness)
                    say(f"{self.policy}, turn {turn + 1}: p99 {self.quiet[-1]} ms without, "
                        f"{self.slow[-1]} ms with slow ones; told {self.told}")
            wait_until(lambda: Metrics(node).value("tickwire_clients") == 0, "they are gone")

    def warm(self, node):
        """Until the log has turned over once and many clients were there, so that what the node
        needs for itself is there."""
        if not IN_CI:
            wait_until(lambda: Metrics(node).value("tickwire_sequence") > 5000, "it has warmed up",
                       PATIENCE_S)
        measure(node, 1)


def main():
    figures, problems = {"clients": CLIENTS, "slow": SILENT + TRICKLING, "seconds": SECONDS}, []
    for policy in ("snapshot", "disconnect"):
        run = Run(policy)
        try:
            run.run()
            figures[policy] = run.figures()
        except (AssertionError, OSError, ValueError, subprocess.SubprocessError) as error:
            run.problems.append(f"{policy}: {type(error).__name__}: {error}")
        problems += run.problems
    if problems:
        figures["problems"] = problems[:10]
    end("slow", not problems, figures)


if __name__ == "__main__":
    main()
