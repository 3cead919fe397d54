#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""From an exchange's bytes at a node to its clients' read, straight and through a real Kafka.

One run of `tickwire bench pipeline`: a node of simulated exchanges, 2,000 messages a second, 100
clients, both ways by turns. What fails is missing, repeated or unmeasured data; a bar that is not
met is told: on a machine that does something else as well, p99 is what that does.

    PIPELINE_ROUNDS    turns of each way (default 5; with --ci 1)
    PIPELINE_SECONDS   measured each time (default 10; with --ci 3)
    PIPELINE_RATE      messages a second (default 2000)
    PIPELINE_CLIENTS   (default 100)
"""

import json
import os
import subprocess

from kafka import Broker
from show import IN_CI, TICKWIRE, end, say

ROUNDS = int(os.environ.get("PIPELINE_ROUNDS", "1" if IN_CI else "5"))
SECONDS = int(os.environ.get("PIPELINE_SECONDS", "3" if IN_CI else "10"))
RATE = int(os.environ.get("PIPELINE_RATE", "2000"))
CLIENTS = int(os.environ.get("PIPELINE_CLIENTS", "100"))
WARM = 4 if IN_CI else 10  # of each turn: a broker that is cold is twice as slow
BARS = {"plain": {"p50_ms": 1, "p99_ms": 5}, "kafka": {"p50_ms": 5, "p99_ms": 20}}
CLEAN = ("gaps", "missing", "repeats", "closed")


def measure(brokers):
    """The last line of `bench pipeline`, or what it says instead."""
    command = [TICKWIRE, "bench", "pipeline", "--brokers", brokers, "--rate", str(RATE),
               "--clients", str(CLIENTS), "--rounds", str(ROUNDS), "--seconds", str(SECONDS),
               "--warm", str(WARM)]
    say("$ " + " ".join(command))
    limit = 120 + 2 * ROUNDS * (SECONDS + WARM + 60)
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=limit, check=False)
    if done.returncode != 0:
        return None, done.stderr.strip()
    return json.loads(done.stdout), None


def problems_of(result):
    problems = []
    for way in BARS:
        figures = result[way]
        if figures["rate"] < RATE / 10:
            problems.append(f"{way}: {figures['rate']} messages a second of {RATE}")
        problems += [f"{way}: {key} {figures[key]}" for key in CLEAN if figures[key] != 0]
    return problems


def main():
    with Broker() as broker:
        result, problem = measure(broker.brokers)
        if result is None:
            end("pipeline", False, {"problems": [problem, broker.log_tail(5)]})
    problems = problems_of(result)
    bars = {f"{way}_{key}": {"value": result[way][key], "bar": f"< {bar}",
                             "met": result[way][key] < bar}
            for way, keys in BARS.items() for key, bar in keys.items()}
    figures = result | {"bars": bars}
    if problems:
        figures["problems"] = problems
    end("pipeline", not problems, figures)


if __name__ == "__main__":
    main()
