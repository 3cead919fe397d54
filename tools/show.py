#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs what shows that the product keeps its word; `make show-NAME` is this.

    tools/show.py                 lists the shows
    tools/show.py NAME            runs one, the long way
    tools/show.py --ci NAME       runs one, short enough for every change
    tools/show.py --ci            runs each one that is
    tools/show.py --names         names of those that --ci runs, one a line

A show is a script, tests/show/NAME.py (dashes are underscores there). It tells its progress on
stderr; the last line on stdout is {"show":NAME,"pass":true,"figures":{...},"skipped":[...]}. It
finds in its environment:

    TICKWIRE    the program (default: build/src/node/tickwire)
    TEST_BUILD  the build folder that it came from (default: build)
    TEST_CI     "1" with --ci, else absent
"""

import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# name, whether --ci runs it, what it shows
SHOWS = [
    ("recordings", True, "every recorded message is decoded or classified, and as expected"),
    ("path", True, "the same over real sockets: nothing missing, nothing twice, schema-valid"),
    ("cuts", True, "codec, HTTP heads, decoders: same result whole, by bytes, at random cuts"),
    ("conformance", True, "Autobahn's WebSocket cases against our codec and our client"),
    ("fuzz", True, "libFuzzer under ASan and UBSan finds nothing; lines of each target covered"),
    ("schema", True, "every kind of message is valid against its JSON Schema"),
    ("resume", True, "1,000 clients cut at random bytes resume byte-equal, in every form"),
    ("slow", True, "40 of 1,000 clients are slow: nobody else notices, and they end up right"),
    ("hostile", True, "attacks of every kind: clients unaffected, each counted, nothing grows"),
    ("tsan", True, "the end-to-end suite under ThreadSanitizer (with --ci: a part of it)"),
    ("decode-speed", True, "instructions and nanoseconds a message, against other parsers"),
    ("bad-input", True, "wrong configurations, options, requests, frames get the expected words"),
    ("independent", True, "ccxt pro, cryptofeed and others agree with the simulator's truth"),
    ("defaults", True, "no arguments, no file: names, ports, TLS, headers, data; bad certificates"),
    ("overlap", True, "connections are replaced before the exchange ends them: nobody notices"),
    ("runtime", True, "what is collected changes by SIGHUP while data flows: others do not notice"),
    ("stall", True, "silence is noticed within stale_after, at its scope; quiet is never stale"),
    ("faults", True, "every fault on three exchanges at once: what is missing, and only then"),
    ("limits", True, "no limit of an exchange is broken: restarts, bans, reloads, many symbols"),
    ("model", True, "a simulated cluster keeps P1 to P5 in every schedule; planted bugs are found"),
    ("kafka-integrity", True, "what is in Kafka is what clients got: bytes, order, keys, headers"),
    ("kafka-secure", True, "a broker with TLS, passwords, ACLs: what is wrong is told"),
    ("pipeline", True, "exchange's bytes to client's frame, straight and through Kafka: how late"),
    ("two-nodes", True, "leader and follower: equal bytes, and tokens of one go on at the other"),
    ("start-anywhere", True, "a follower that starts at any moment ends with the leader's log"),
    ("no-kafka-at-start", True, "no broker at start: nodes serve, and climb when it comes"),
    ("kafka-faults", True, "Kafka breaks in every way: nothing missing, and how long without data"),
    ("zombie", True, "a leader that was frozen wakes up: what it wrote is fenced, nobody sees it"),
    ("rollback", True, "Kafka off and on by one key and SIGHUP, under load: nobody notices"),
    ("chaos", False, "everything at once, at random: no node ends, no client is lied to"),
    ("reopenings", False, "Kafka comes and goes 100 times: no thread, descriptor, memory more"),
    ("fanout", False, "every message to every client: rate and CPU, beside a bare loop and others"),
    ("latency", False, "how late messages come at 10, 100, 1,000 clients, beside a bare loop"),
    ("memory", False, "bytes an idle client costs; 10,000 that join within two seconds"),
    ("soak", False, "an hour with faults now and then: memory and descriptors stay flat"),
    ("fresh", False, "run.sh and test.sh in a bare Debian 12 folder"),
]
NAMES = [name for name, _, _ in SHOWS]


def script_of(name):
    return os.path.join(ROOT, "tests", "show", name.replace("-", "_") + ".py")


def check_result(name, line, status):
    """The result that stands on a show's last line, or one that says what is wrong with it."""
    try:
        result = json.loads(line)
        good = (result["show"] == name and isinstance(result["pass"], bool)
                and isinstance(result["figures"], dict) and isinstance(result["skipped"], list))
        problem = None if good else "the last line is not of the agreed form"
        if good and result["pass"] != (status == 0):
            problem = f"it says pass={result['pass']} and exits {status}"
    except (ValueError, KeyError, TypeError):
        problem = f"no result on the last line; exit status {status}"
    if problem:
        print(line, file=sys.stderr)
        result = {"show": name, "pass": False, "figures": {"problem": problem}, "skipped": []}
    return result


def run(name, ci):
    python = os.path.join(ROOT, "build", "venv", "bin", "python")
    environment = dict(os.environ)
    environment.setdefault("TEST_BUILD", os.path.join(ROOT, "build"))
    environment.setdefault(
        "TICKWIRE", os.path.join(environment["TEST_BUILD"], "src", "node", "tickwire"))
    environment.pop("TEST_CI", None)
    if ci:
        environment["TEST_CI"] = "1"
    command = [python if os.path.exists(python) else sys.executable, script_of(name)]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    *before, last = done.stdout.strip().splitlines() or [""]
    print(*before, sep="\n", end="\n" if before else "", file=sys.stderr)
    result = check_result(name, last, done.returncode)
    print(json.dumps(result, separators=(",", ":")), flush=True)
    return result["pass"]


def main():
    arguments = sys.argv[1:]
    ci = "--ci" in arguments
    names = [argument for argument in arguments if not argument.startswith("-")]
    if arguments == ["--names"]:
        print(*(name for name, in_ci, _ in SHOWS if in_ci), sep="\n")
        return 0
    if set(arguments) - set(names) - {"--ci"} or set(names) - set(NAMES):
        print(f"usage: tools/show.py [--ci] [{'|'.join(NAMES)}]", file=sys.stderr)
        return 2
    if not arguments:
        for name, in_ci, text in SHOWS:
            print(f"{name:<16}{'' if in_ci else '(by hand) '}{text}")
        return 0
    passed = [run(name, ci) for name in names or [name for name, in_ci, _ in SHOWS if in_ci]]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
