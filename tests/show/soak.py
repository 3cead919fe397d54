# SPDX-License-Identifier: Apache-2.0
"""For an hour: three exchanges at about 2,000 messages a second, a fault now and then, clients that
stay and clients that come and go. Memory and descriptors stay flat, and nothing is wrong.

After the warm-up (WARM_S, or a quarter of the time if that is less):

- resident memory: the median of the last quarter is at most GROWTH_MAX above that of the first, and
  of half an hour or more, the slope of all is at most SLOPE_MAX_HOUR an hour;
- descriptors: the same in the last quarter as in the first, give or take those that come and go;
- no log line of level error, no sanitizer's report, no limit of an exchange broken, no message out
  of sequence, no client lost.

    SOAK_SECONDS  default 3600
    SOAK_RATE     market events a second (default 5600: about 2,000 messages)
"""

import os
import random
import statistics
import time

from crowd import Crowd
from live import EXCHANGES, Follower, Live
from harness import SANITIZED
from show import end, say
from watch import descriptors

SECONDS = int(os.environ.get("SOAK_SECONDS", "3600"))
RATE = int(os.environ.get("SOAK_RATE", "5600"))
SETTINGS = ["stream.retain=16MiB", *(f"exchanges.{name}.connections=2" for name in EXCHANGES)]
STAY, CHANGE = 4, 2
WARM_S = 600
SAMPLE_S = 1
SAY_S = 60
FAULT_S = 20  # between two
MEBIBYTE = 1024 * 1024
GROWTH_MAX = (64 if SANITIZED else 4) * MEBIBYTE
SLOPE_MAX_HOUR = (64 if SANITIZED else 4) * MEBIBYTE
LONG_S = 1800
FAULTS = [("disconnect", {}), ("duplicate", {"count": 500}), ("reorder", {"count": 200}),
          ("garbage", {"count": 200}), ("gap", {"count": 50}), ("slow", {"ms": 3000, "delay": 500}),
          ("stall", {"ms": 20000}), ("ban", {"retry_after": 3}), ("maintenance", {"ms": 3000}),
          ("leaving", {"ms": 2000}), ("disconnect", {"code": 1012}), ("halt", {"ms": 5000})]


class Samples:
    """Of one quantity, with times."""

    def __init__(self):
        self.times, self.values = [], []

    def add(self, at, value):
        self.times.append(at)
        self.values.append(value)

    def quarter(self, number):
        count = len(self.values)
        return statistics.median(self.values[count * number // 4:count * (number + 1) // 4])

    def slope(self):
        """A second, least squares."""
        return statistics.linear_regression(self.times, self.values).slope


def figures_of(memory, files):
    return {"memory_mib": round(memory.quarter(3) / MEBIBYTE, 2),
            "memory_growth_mib": round((memory.quarter(3) - memory.quarter(0)) / MEBIBYTE, 2),
            "memory_slope_mib_hour": round(memory.slope() * 3600 / MEBIBYTE, 2),
            "memory_max_mib": round(max(memory.values) / MEBIBYTE, 2),
            "descriptors": files.quarter(3), "descriptors_before": files.quarter(0),
            "descriptors_max": max(files.values), "samples": len(memory.values)}


def judge(memory, files):
    if memory.quarter(3) - memory.quarter(0) > GROWTH_MAX:
        yield f"memory has grown by more than {GROWTH_MAX // MEBIBYTE} MiB"
    if SECONDS >= LONG_S and memory.slope() * 3600 > SLOPE_MAX_HOUR:
        yield f"memory grows by more than {SLOPE_MAX_HOUR // MEBIBYTE} MiB an hour"
    if abs(files.quarter(3) - files.quarter(0)) > CHANGE:
        yield f"descriptors: {files.quarter(0)} at first, {files.quarter(3)} in the end"


def errors_of(node):
    for line in node.lines:
        if " level=error " in line or "Sanitizer" in line or "runtime error" in line:
            yield f"the node says: {line[:300]}"


class Soak:
    def __init__(self, live, follower):
        self.live, self.follower = live, follower
        self.random = random.Random(20261123)
        self.memory, self.files = Samples(), Samples()
        self.begin = time.monotonic()
        self.next_fault = self.next_say = self.begin + FAULT_S
        self.faults = 0

    def turn(self, warm_s):
        now = time.monotonic()
        memory, files = self.live.node.memory(), descriptors(self.live.node)
        if now - self.begin >= warm_s:
            self.memory.add(now - self.begin, memory)
            self.files.add(now - self.begin, files)
        if now >= self.next_fault:
            self.next_fault += FAULT_S
            kind, fields = self.random.choice(FAULTS)
            self.live.fault(kind, self.random.choice(EXCHANGES), **fields)
            self.faults += 1
        if now >= self.next_say:
            self.next_say += SAY_S
            say(f"{now - self.begin:.0f} s: {memory / MEBIBYTE:.1f} MiB, {files} descriptors, seq "
                f"{self.follower.seq}")

    def run(self):
        warm_s = min(WARM_S, SECONDS / 4)
        while time.monotonic() - self.begin < SECONDS:
            self.turn(warm_s)
            until = time.monotonic() + SAMPLE_S
            self.follower.wait(lambda until=until: time.monotonic() > until, "the next sample", 60)


def show():
    with Live(rate=RATE, settings=SETTINGS) as live, \
            Follower(live.node, schemas=False, keep=False) as follower:
        crowd = Crowd(live.node, STAY, CHANGE)
        follower.wait_live(EXCHANGES)
        soak = Soak(live, follower)
        first = follower.seq
        soak.run()
        messages = follower.seq - first
        crowd_figures, problems = crowd.finish(follower)
        problems += [*judge(soak.memory, soak.files), *errors_of(live.node)]
        broken = live.limits_broken()
        problems += [f"limits broken: {broken}"] if broken else []
        return {"seconds": SECONDS, "messages_per_second": round(messages / SECONDS),
                "faults": soak.faults, "limits_broken": broken, **crowd_figures,
                **figures_of(soak.memory, soak.files)}, problems


def main():
    figures, problems = {}, []
    try:
        figures, problems = show()
    except (AssertionError, OSError, ValueError, KeyError) as error:
        problems.append(f"{type(error).__name__}: {str(error)[:3000]}")
    if problems:
        figures["problems"] = problems[:10]
    end("soak", not problems, figures)


if __name__ == "__main__":
    main()
