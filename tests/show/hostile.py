# SPDX-License-Identifier: Apache-2.0
"""Clients of every hostile kind, one after another, against a node with a hundred good ones.

The good ones are measured (`tickwire bench fanout`) in windows without and with an attack; one more
reads from the beginning to the end, and others join all the time. For each attack: nobody misses a
message, everybody can join, what the attackers were answered is what should be, and the node's
metrics have counted it. In the end its memory is what it was, its descriptors are closed, its log
is short, and it leaves in order. The attacks themselves are in tests/e2e/attacks.py.

Once more over TLS, where the program has it: its client there is the one that reads all the time.

A p99 fails the show only when it is more than ten times what it was without an attack.

    HOSTILE_SECONDS  of each attack (default 10; with --ci 1)
    HOSTILE_ONLY     attacks, by comma
    HOSTILE_THREADS  http.threads (default 1)
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time

from show import IN_CI, ROOT, TICKWIRE, end, say

sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))

import attacks  # noqa: E402
from features import certificate, has, speak_tls, uncounted  # noqa: E402
from harness import SANITIZED, replay, wait_until  # noqa: E402
from prometheus import Metrics  # noqa: E402
from view import Witness  # noqa: E402
from watch import Joiner, MemoryWatch, descriptors  # noqa: E402

SECONDS = int(os.environ.get("HOSTILE_SECONDS", "1" if IN_CI else "10"))
GOOD = 100
CLIENTS_MAX = 300
SPEED = "4"
# Without an interruption; measured clients stay for two seconds longer than an attack.
AT_ONCE = [name for name in attacks.ATTACKS if name not in ("half_tls", "dawdlers")]
OVER_TLS = ["half_tls", "unfinished", "garbage", "giant_frame", "bomb", "crowd"]
LONGER = {"unfinished": 4, "crowd": 3}  # times as long: a hundred thousand; until it is full
UNFINISHED = 100_000
FULL_IN = ("crowd",)  # where the node is full, so that one cannot join
LEGAL = ("pipelining", "ping_flood")  # what is no error has no counter of its own
QUIET_EVERY = 4 if IN_CI else 1  # attacks
LEAST_MS = 50 if IN_CI else 5  # a p99 under this fails nothing: it is the machine's
BEYOND = 10
GROWTH_MAX = (400 if SANITIZED else 32) * 1024 * 1024
LOG_LINES_PER_SECOND_MAX = 100
PATIENCE_S = 60


class Siege:
    """One node and its attackers."""

    def __init__(self, secure):
        self.secure = secure
        self.context = certificate().client_context() if secure else None
        self.problems, self.figures, self.uncounted = [], {}, set()
        self.quiet = []

    def scrape(self):
        """As soon as the node has room for it again."""
        def scraped():
            with contextlib.suppress(OSError, AssertionError):
                return Metrics(self.node)

        return wait_until(scraped, "metrics can be read", PATIENCE_S)

    @contextlib.contextmanager
    def measured(self, seconds):
        """The good clients while something happens; a list that gets their result."""
        results = []
        if self.secure:
            yield results
            return
        command = [TICKWIRE, "bench", "fanout", "--url", self.node.ws("?snapshot=0"),
                   "--time-field", "recv", "--clients", str(GOOD), "--seconds", str(seconds + 1)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            wait_until(lambda: self.scrape().value("tickwire_clients") >= GOOD, "all are there",
                       PATIENCE_S)
            yield results
            output = process.communicate(timeout=seconds + PATIENCE_S)[0]
        results.append(json.loads(output))

    def judge(self, results, where):
        for result in results:
            faults = {key: result[key] for key in ("gaps", "repeats", "closed") if result[key]}
            if faults or not result["delivered"]:
                self.problems.append(f"{where}: {faults or 'nothing delivered'}")
            return result["p99_ms"]

    def start(self, name, seconds):
        command = [sys.executable, attacks.__file__, name, str(self.node.port), str(seconds)]
        return subprocess.Popen(command + ([certificate().path] if self.secure else []),
                                stdout=subprocess.PIPE, text=True)

    def finish(self, name, process, before):
        """What the attacker saw, held against what the node counted."""
        result = json.loads(process.communicate(timeout=60 + PATIENCE_S)[0])
        if result["odd"]:
            self.problems.append(f"{name}: {result['odd']}")
        after = self.scrape()
        wrong, unknown = uncounted(result["counted"], before, after)
        self.problems += [f"{name}: {text}" for text in wrong]
        self.uncounted |= {f"{name}: not counted, this build has no {family}" for family in unknown}
        if not result["counted"] and name not in LEGAL:
            self.problems.append(f"{name}: nothing was answered")
        refused = after.total("tickwire_http_refused_total") - before.total(
            "tickwire_http_refused_total")
        return {"tries": result["tries"], "counted": result["counted"], "refused": int(refused)}

    def measure_quiet(self):
        with self.measured(min(SECONDS, 5) - 1) as results:
            pass
        p99 = self.judge(results, "without an attack")
        if p99 is not None:
            self.quiet.append(p99)

    def attack(self, name):
        seconds = SECONDS * LONGER.get(name, 1)
        before, joiner = self.scrape(), Joiner(self.node, self.context)
        with self.measured(seconds) as results:
            figures = self.finish(name, self.start(name, seconds), before)
        figures |= joiner.stop()
        p99 = self.judge(results, name)
        if p99 is not None:
            figures["p99_ms"] = p99
        if joiner.failures and name not in FULL_IN and (name != "unfinished" or has("refused")):
            self.problems.append(f"{name}: could not join: {joiner.failures[:2]}")
        if name == "unfinished" and not IN_CI and figures["tries"] < UNFINISHED:
            self.problems.append(f"only {figures['tries']} unfinished handshakes")
        self.figures[name] = figures
        say(f"{name}: {json.dumps(figures)}")

    def run(self, names):
        settings = certificate().settings if self.secure else []
        threads = os.environ.get("HOSTILE_THREADS", "1")
        with replay("--loop", "--speed", SPEED, "--set", f"http.max_clients={CLIENTS_MAX}", "--set",
                    "http.max_clients_per_ip=150", "--set", f"http.threads={threads}", "--set",
                    "stream.retain=2MiB", *settings) as self.node:
            speak_tls(self.node, self.context)
            wait_until(lambda: self.scrape().value("tickwire_sequence") > 100, "it is at work",
                       PATIENCE_S)
            with self.measured(1):  # what the node needs for itself is there
                pass
            files, memory, lines = descriptors(self.node), self.node.memory(), len(self.node.lines)
            begin, watch = time.monotonic(), MemoryWatch(self.node)
            with Witness(self.node, self.context) as witness:
                dawdling, before = self.start("dawdlers", 1), self.scrape()
                for index, name in enumerate(names):
                    if index % QUIET_EVERY == 0:
                        self.measure_quiet()
                    self.attack(name)
                self.figures["dawdlers"] = self.finish("dawdlers", dawdling, before)
                goal = int(self.scrape().value("tickwire_sequence"))
                witness.state_at(goal, PATIENCE_S)
            self.bounds(files, watch.stop() - memory, len(self.node.lines) - lines,
                        time.monotonic() - begin)
            self.figures["messages_all_seen"] = goal

    def bounds(self, files, growth, lines, seconds):
        wait_until(lambda: descriptors(self.node) <= files, "the descriptors are closed",
                   PATIENCE_S)
        if growth > GROWTH_MAX:
            self.problems.append(f"memory grew by {growth} bytes")
        if lines > LOG_LINES_PER_SECOND_MAX * seconds:
            self.problems.append(f"{lines} lines of log in {seconds:.0f} s")
        self.figures |= {"memory_growth_bytes": growth, "log_lines": lines, "descriptors": files,
                         "seconds": round(seconds)}

    def summary(self):
        if self.quiet:
            quiet = statistics.median(self.quiet)
            self.figures["p99_ms_without"] = quiet
            for name, figures in self.figures.items():
                if isinstance(figures, dict) and "p99_ms" in figures:
                    figures["p99_ratio"] = round(figures["p99_ms"] / max(quiet, 1e-3), 2)
                    if figures["p99_ms"] > BEYOND * max(quiet, LEAST_MS):
                        self.problems.append(f"{name}: p99 {figures['p99_ms']} ms, {quiet} before")
        return self.figures


def main():
    only = list(filter(None, os.environ.get("HOSTILE_ONLY", "").split(",")))
    figures, problems, skipped = {}, [], []
    for secure, names in ((False, AT_ONCE), (True, OVER_TLS)):
        title = "tls" if secure else "plain"
        if secure and not has("tls"):
            skipped.append("slow and broken TLS handshakes: this build has no tls")
            continue
        siege = Siege(secure)
        try:
            siege.run([name for name in names if not only or name in only])
        except (AssertionError, OSError, ValueError, subprocess.SubprocessError) as error:
            siege.problems.append(f"{type(error).__name__}: {error}")
        figures[title] = siege.summary()
        problems += [f"{title}: {text}" for text in siege.problems]
        skipped += sorted(siege.uncounted)
    if not has("deflate"):
        skipped.append("bomb: only where compression was not agreed upon, this build has none")
    if not has("refused"):
        skipped.append("unfinished: that others can join meanwhile, this build limits nothing")
    if problems:
        figures["problems"] = problems[:10]
    end("hostile", not problems, figures, skipped)


if __name__ == "__main__":
    main()
