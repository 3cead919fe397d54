# SPDX-License-Identifier: Apache-2.0
"""Wrong configurations, command lines, requests and frames, each with what must be answered.

The rows are in tests/bad_input.jsonl, one a line: {"kind", "input", "expect", "words"}.

    file         text of a configuration file, each character one byte (Latin-1); exit status
    environment  {"TICKWIRE_...": value}; exit status
    set          ["key=value", ...] for --set; exit status
    command      the whole command line; exit status
    request      bytes to the port of a node, in Latin-1; HTTP status of the first answer
    frames       [[opcode, payload], ...] or raw bytes behind a good handshake; close code

`words` must all stand in the error text (of stderr, or of the answer's body), and none of `absent`.
With `closes` nothing else may be answered on that connection. In command lines {dir} is a folder of
the row's own, in requests {many} is 20,000 bytes.
"""

import json
import os
import sys
import tempfile

from show import ROOT, end, say

sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))

import wire  # noqa: E402
from harness import ALONE, LISTEN, Node, counted, run  # noqa: E402

TABLE = os.path.join(ROOT, "tests", "bad_input.jsonl")
ROWS_MIN = 40


def run_row(arguments, environment=None):
    status, output, errors = run(*arguments, environment=environment)
    if output:
        errors += f"\n(and on stdout: {output[:200]})"
        status = f"{status} with output"
    return status, errors


def run_file(row, folder):
    path = os.path.join(folder, "tickwire.yaml")
    with open(path, "wb") as file:
        file.write(row["input"].encode("latin-1"))
    return run_row(["check", "-c", path])


def run_environment(row, _):
    return run_row(["check"], row["input"])


def run_set(row, _):
    return run_row(["check"] + [part for each in row["input"] for part in ("--set", each)])


def run_command(row, folder):
    return run_row([part.replace("{dir}", folder) for part in row["input"]])


def run_request(row, node):
    with wire.Raw(node.port) as raw:
        raw.send(row["input"].replace("{many}", "y" * 20000).encode("latin-1"))
        status, headers, body = raw.read_answer()
        if status >= 400 and headers.get("content-type") != "application/problem+json":
            return f"{status} that is no problem+json", str(headers)
        if row.get("closes"):
            raw.read_end()
            if raw.input:
                return f"{status} and more", bytes(raw.input[:300])
        return status, body.decode()


def frames_of(row):
    if isinstance(row["input"], str):
        return row["input"].encode("latin-1")
    return b"".join(wire.frame(opcode, payload.encode("latin-1") * times, **options)
                    for opcode, payload, times, options in (
                        (part + [1, {}][len(part) - 2:])[:4] for part in row["input"]))


def run_frames(row, node):
    with wire.Raw(node.port) as raw:
        raw.open()
        raw.send(frames_of(row))
        return raw.read_close(), ""


RUNS = {"file": run_file, "environment": run_environment, "set": run_set, "command": run_command,
        "request": run_request, "frames": run_frames}


def judge(row, target):
    """What is wrong with the outcome of a row; None when it is as expected."""
    try:
        got, text = RUNS[row["kind"]](row, target)
    except (AssertionError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    if got != row["expect"]:
        return f"{got} instead of {row['expect']}: {text}"
    missing = [word for word in row.get("words", []) if word not in text]
    if missing:
        return f"no {missing} in: {text}"
    told = [word for word in row.get("absent", []) if word in text]
    return f"{told} in: {text}" if told else None


def main():
    with open(TABLE, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    failing = []
    with Node("serve", *LISTEN, *ALONE) as node:
        for number, row in enumerate(rows, 1):
            with tempfile.TemporaryDirectory() as folder:
                target = node if row["kind"] in ("request", "frames") else folder
                problem = judge(row, target)
            if problem is not None:
                failing.append(f"row {number}: {problem}")
                say(f"bad-input: row {number}: {json.dumps(row)[:300]}\n    {problem}")
        if node.get("/healthz")[0] != 200:
            failing.append("the node is not healthy any more")
    figures = {"rows": len(rows), "kinds": counted(row["kind"] for row in rows),
               "failing": len(failing)}
    if failing:
        figures["problems"] = failing[:20]
    end("bad-input", not failing and len(rows) >= ROWS_MIN, figures)


if __name__ == "__main__":
    main()
