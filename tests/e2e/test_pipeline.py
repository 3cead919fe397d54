# SPDX-License-Identifier: Apache-2.0
"""`bench pipeline` with the processes that it starts; through Kafka: tests/show/pipeline.py."""

import json
import os

import pytest

from harness import PATIENCE, run, wait_until

# Of this run alone: another suite may run beside it.
TOPIC = f"left-behind-{os.getpid()}"
SHORT = ["--clients", "5", "--seconds", "1", "--warm", "0", "--rounds", "1", "--rate", "300"]


def children():
    """Of all processes, those that a run with TOPIC began."""
    found = []
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{process}/cmdline", "rb") as file:
                if f"kafka.topic={TOPIC}".encode() in file.read().split(b"\0"):
                    found.append(process)
        except OSError:
            pass  # it has ended meanwhile
    return found


def test_straight():
    status, output, errors = run("bench", "pipeline", *SHORT, seconds=8 * PATIENCE)
    assert status == 0, errors
    result = json.loads(output)
    assert "kafka" not in result and (result["rate"], result["clients"]) == (300, 5)
    plain = result["plain"]
    assert [plain[key] for key in ("gaps", "missing", "repeats", "closed")] == [0] * 4
    assert 30 < plain["rate"] < 3000 and plain["delivered"] > 5 * 30, plain
    assert 0 < plain["p50_ms"] <= plain["p99_ms"] <= plain["p99.9_ms"] <= plain["max_ms"]


@pytest.mark.parametrize("arguments, status, words", [
    (["--rate"], 2, "usage"),
    (["--rate", "0"], 2, "usage"),
    (["--rounds", "100"], 2, "usage"),
    (["--source", "x"], 2, "usage"),
    (["--set", "http.lisen=x"], 1, "http.listen"),
    (["--brokers", "nowhere"], 1, "kafka.brokers"),
])
def test_what_cannot_be_measured(arguments, status, words):
    mark = ["--set", f"kafka.topic={TOPIC}"]
    found, output, errors = run("bench", "pipeline", *SHORT, *mark, *arguments,
                                seconds=8 * PATIENCE)
    assert (found, output) == (status, "") and "bench pipeline" in errors and words in errors
    wait_until(lambda: not children(), "what it began has ended")
