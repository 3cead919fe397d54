#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints "passed failed skipped": how many test cases stand in a record of a test run.

    tools/count_tests.py meson    FILE    testlog.json of `meson test`, cmocka's own counts inside
    tools/count_tests.py junit    FILE    --junitxml of pytest
    tools/count_tests.py unittest FILE    what unittest printed
    tools/count_tests.py show     FILE    what tools/show.py printed, its JSON line last

Exits 1, printing nothing, when the record cannot be read: the caller then counts one failure.
"""

import json
import re
import sys
import xml.etree.ElementTree


def count_meson(text):
    """A test program that says how many cases it ran counts as these, any other one as one."""
    passed = failed = skipped = 0
    for line in text.splitlines():
        test = json.loads(line)
        output = test.get("stdout", "") + test.get("stderr", "")
        cases = {word: sum(int(number) for number in
                           re.findall(rf"\[\s*{word}\s*\] (\d+) test\(s\)", output))
                 for word in ("PASSED", "FAILED", "SKIPPED")}
        passed += cases["PASSED"]
        failed += cases["FAILED"]
        skipped += cases["SKIPPED"]
        if test["result"] == "SKIP":
            skipped += not any(cases.values())
        elif test["result"] in ("OK", "EXPECTEDFAIL"):
            passed += not any(cases.values())
        else:  # a crash or a time-out after good cases is a failure all the same
            failed += cases["FAILED"] == 0
    return passed, failed, skipped


def count_junit(text):
    root = xml.etree.ElementTree.fromstring(text)
    suites = [root] if root.tag == "testsuite" else root.findall("testsuite")
    total, failed, skipped = (
        sum(int(suite.get(name, 0)) for suite in suites for name in names)
        for names in (("tests",), ("failures", "errors"), ("skipped",)))
    return max(total - failed - skipped, 0), failed, skipped


def count_unittest(text):
    total = int(re.search(r"^Ran (\d+) tests?", text, re.MULTILINE).group(1))
    words = re.findall(r"(failures|errors|skipped)=(\d+)", text.rsplit("\nRan ", 1)[1])
    failed = sum(int(number) for word, number in words if word != "skipped")
    skipped = sum(int(number) for word, number in words if word == "skipped")
    return total - failed - skipped, failed, skipped


def count_show(text):
    result = json.loads(text.strip().splitlines()[-1])
    return int(result["pass"]), int(not result["pass"]), len(result["skipped"])


COUNTERS = {"meson": count_meson, "junit": count_junit, "unittest": count_unittest,
            "show": count_show}


def main():
    kind, path = sys.argv[1:]
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            print(*COUNTERS[kind](file.read()))
    except (OSError, ValueError, KeyError, IndexError, AttributeError, TypeError,
            xml.etree.ElementTree.ParseError) as error:
        print(f"count_tests: {path}: {error!r}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
