# SPDX-License-Identifier: Apache-2.0
"""Whole, byte by byte and at random cuts: the unit tests that feed the WebSocket codec, the HTTP
heads and each exchange's decoder in pieces, run and counted."""

import json
import os
import re
import subprocess

from show import BUILD, ROOT, end, run, say

# Test programs by suite; those of src/exchange that read messages are found by name.
WANTED = {"net": r"^(ws|http)\w*_test$", "exchange": r"_test$"}


def chosen():
    output = subprocess.run(["meson", "introspect", BUILD, "--tests"], cwd=ROOT,
                            stdout=subprocess.PIPE, check=True, text=True).stdout
    for test in json.loads(output):
        for suite in test["suite"]:
            suite = suite.split(":")[-1]
            if re.search(WANTED.get(suite, "$^"), test["name"]):
                yield suite, test["name"]


def count(test):
    text = test.get("stdout", "") + test.get("stderr", "")
    return sum(int(number) for number in re.findall(r"\[  PASSED  \] (\d+) test", text))


def main():
    tests = sorted(chosen())
    names = [name for _, name in tests]
    say("cuts: " + " ".join(names))
    missing = [f"no test program of {what}" for what, pattern in
               (("the WebSocket codec", "^ws"), ("HTTP heads", "^http"), ("binance", "^binance"),
                ("upbit", "^upbit"), ("bithumb", "^bithumb"))
               if not any(re.search(pattern, name) for name in names)]
    if missing:
        end("cuts", False, {"missing": missing})
    run(["ninja", "-C", BUILD] + [target for target in programs(names)])
    done = subprocess.run(["meson", "test", "-C", BUILD, "--no-rebuild", "--logbase", "cuts"]
                          + names, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    say(done.stdout)
    figures = {}
    with open(os.path.join(BUILD, "meson-logs", "cuts.json"), encoding="utf-8") as file:
        for line in file:
            test = json.loads(line)
            name = test["name"].split(" / ")[-1]
            figures[name] = {"result": test["result"], "cases": count(test)}
    passed = (done.returncode == 0 and len(figures) == len(names)
              and all(figure["cases"] > 0 for figure in figures.values()))
    end("cuts", passed, figures)


def programs(names):
    output = subprocess.run(["meson", "introspect", BUILD, "--targets"], cwd=ROOT,
                            stdout=subprocess.PIPE, check=True, text=True).stdout
    for target in json.loads(output):
        if target["name"] in names:
            yield os.path.relpath(target["filename"][0], os.path.realpath(BUILD))


if __name__ == "__main__":
    main()
