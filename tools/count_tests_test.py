#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What must never happen: a failed run that counts as a good one."""

import json
import unittest

from count_tests import count_junit, count_meson, count_show, count_unittest
from show import check_result


def meson(result, output=""):
    return json.dumps({"name": "x", "result": result, "stdout": output, "stderr": ""})


class CountTest(unittest.TestCase):
    def test_meson(self):
        good = "[==========] 3 test(s) run.\n[  PASSED  ] 3 test(s).\n"
        bad = "[  PASSED  ] 2 test(s).\n[  FAILED  ] 1 test(s), listed below:\n[  FAILED  ] a\n"
        self.assertEqual(count_meson(meson("OK", good)), (3, 0, 0))
        self.assertEqual(count_meson(meson("FAIL", bad)), (2, 1, 0))
        self.assertEqual(count_meson(meson("OK")), (1, 0, 0))
        self.assertEqual(count_meson(meson("SKIP")), (0, 0, 1))
        self.assertEqual(count_meson(meson("OK", good + "[  SKIPPED ] 2 test(s), listed below:")),
                         (3, 0, 2))
        for result in ("FAIL", "TIMEOUT", "ERROR", "INTERRUPT", "UNEXPECTEDPASS"):
            self.assertEqual(count_meson(meson(result)), (0, 1, 0))
            self.assertEqual(count_meson(meson(result, good)), (3, 1, 0), "a crash at the end")
        self.assertEqual(count_meson(meson("OK", good) + "\n" + meson("FAIL", bad)), (5, 1, 0))

    def test_junit(self):
        suite = '<testsuite tests="9" failures="2" errors="1" skipped="3"/>'
        self.assertEqual(count_junit(f"<testsuites>{suite}</testsuites>"), (3, 3, 3))

    def test_unittest(self):
        self.assertEqual(count_unittest("..\nRan 2 tests in 0.1s\n\nOK\n"), (2, 0, 0))
        text = "FEs.\nRan 4 tests in 0.1s\n\nFAILED (failures=1, errors=1, skipped=1)\n"
        self.assertEqual(count_unittest(text), (1, 2, 1))
        with self.assertRaises(AttributeError):
            count_unittest("Traceback: no such module\n")

    def test_show(self):
        line = '{"show":"x","pass":%s,"figures":{},"skipped":["a","b"]}'
        self.assertEqual(count_show("progress\n" + line % "true"), (1, 0, 2))
        self.assertEqual(count_show(line % "false"), (0, 1, 2))


class ShowTest(unittest.TestCase):
    def test_a_result_is_believed_only_when_all_of_it_fits(self):
        good = '{"show":"x","pass":true,"figures":{},"skipped":[]}'
        self.assertTrue(check_result("x", good, 0)["pass"])
        for line, status in ((good, 1), (good.replace("true", "false"), 0), ("", 0), ("ok", 0),
                             (good.replace('"x"', '"y"'), 0), (good.replace("true", "1"), 0),
                             ("[]", 0), ('{"show":"x","pass":true}', 0)):
            self.assertIs(check_result("x", line, status)["pass"], False, line)


if __name__ == "__main__":
    unittest.main(buffer=True)
