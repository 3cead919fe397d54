# SPDX-License-Identifier: Apache-2.0
"""The whole end-to-end suite with the program under ThreadSanitizer; with --ci a part of it.

Any report fails, also one of a program whose test passed: reports are written to files, and these
are counted. A small program with a race is run first in the same way, and must be reported.

    TSAN_TESTS  what pytest is given instead of the suite: "tests/e2e/test_threads.py -k storm"
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

from show import IN_CI, ROOT, end, run, say

FOLDER = os.path.join(ROOT, "build", "tsan")
PROGRAM = os.path.join(FOLDER, "src", "node", "tickwire")
RECORD = os.path.join(ROOT, "build", "logs", "show-tsan.xml")
E2E = os.path.join("tests", "e2e")
# Where threads meet: clients that come, go, are slow, are hostile, or are sent away.
SHORT = [os.path.join(E2E, name) for name in (
    "test_threads.py", "test_slow.py", "test_stream.py", "test_life.py")]
EXIT_STATUS = 66  # of a program in which something was found
SECONDS_MAX = 240 if IN_CI else 1800
RACE = """
#include <pthread.h>
static int shared;
static void *add(void *unused) { shared++; return unused; }
int main(void)
{
    pthread_t thread;
    pthread_create(&thread, 0, add, 0);
    shared++;
    return pthread_join(thread, 0);
}
"""


def compiler():
    return "clang-14" if shutil.which("clang-14") else "clang"


def build():
    """The same folder and options as ./test.sh's."""
    if not os.path.exists(os.path.join(FOLDER, "build.ninja")):
        run(["meson", "setup", FOLDER, "-Dwerror=true", "-Db_sanitize=thread", "-Db_lundef=false"],
            cwd=ROOT, env=dict(os.environ, CC=compiler()))
    run(["ninja", "-j2", "-C", FOLDER], timeout=900)


def fixed_addresses():
    """ThreadSanitizer of LLVM 14 cannot place its shadow where a kernel randomizes addresses
    widely."""
    prefix = ["setarch", platform.machine(), "-R"]
    works = shutil.which("setarch") and subprocess.run(prefix + ["true"], check=False).returncode
    return prefix if works == 0 else []


class Reports:
    """A folder into which every process writes what is found in it."""

    def __init__(self, folder):
        self.folder = folder

    def environment(self):
        options = (f"halt_on_error=1:exitcode={EXIT_STATUS}:second_deadlock_stack=1:"
                   f"log_path={self.folder}/report")
        return dict(os.environ, TSAN_OPTIONS=options, TICKWIRE=PROGRAM, TEST_BUILD=FOLDER)

    def take(self):
        """Their texts; then there are none."""
        texts = []
        for name in sorted(os.listdir(self.folder)):
            path = os.path.join(self.folder, name)
            with open(path, encoding="utf-8", errors="replace") as file:
                texts.append(file.read())
            os.remove(path)
        return [text for text in texts if text.strip()]


def finds_a_race(reports, folder):
    """Whether what is not seen is not there."""
    source, program = os.path.join(folder, "race.c"), os.path.join(folder, "race")
    with open(source, "w", encoding="ascii") as file:
        file.write(RACE)
    run([compiler(), "-fsanitize=thread", "-g", source, "-o", program, "-lpthread"])
    done = subprocess.run(fixed_addresses() + [program], env=reports.environment(), timeout=60,
                          check=False)
    return done.returncode == EXIT_STATUS and "data race" in "".join(reports.take())


def run_tests(reports):
    chosen = os.environ.get("TSAN_TESTS", "").split() or (SHORT if IN_CI else [E2E])
    os.makedirs(os.path.dirname(RECORD), exist_ok=True)
    command = fixed_addresses() + [
        sys.executable, "-m", "pytest", "-q", "-rs", "--durations=10", "-p", "no:cacheprovider",
        f"--junitxml={RECORD}", *chosen]
    say("$ " + " ".join(command))
    status = subprocess.run(command, cwd=ROOT, env=reports.environment(), stdout=sys.stderr,
                            timeout=SECONDS_MAX, check=False).returncode
    return status, chosen


def counts():
    """Of the tests, by how they ended."""
    suite = xml.etree.ElementTree.parse(RECORD).getroot().find("testsuite")
    number = {key: int(suite.get(key)) for key in ("tests", "failures", "errors", "skipped")}
    return {"tests_run": number["tests"] - number["skipped"],
            "failed": number["failures"] + number["errors"], "skipped": number["skipped"],
            "seconds": round(float(suite.get("time")))}


def main():
    figures, problems = {}, []
    with tempfile.TemporaryDirectory(prefix="tickwire-tsan-") as folder:
        found = os.path.join(folder, "reports")
        os.mkdir(found)
        reports = Reports(found)
        try:
            build()
            if not finds_a_race(reports, folder):
                problems.append("a race in a program of three lines was not found")
            status, chosen = run_tests(reports)
            texts = reports.take()
            figures = counts() | {"reports": len(texts), "of": " ".join(chosen)}
            problems += [text[:2000] for text in texts[:3]]
            if status != 0:
                problems.append(f"pytest ended with {status}")
        except (OSError, ValueError, AttributeError, subprocess.SubprocessError) as error:
            problems.append(f"{type(error).__name__}: {error}")
    if problems:
        figures["problems"] = problems
    passed = not problems and figures["reports"] == 0 and figures["tests_run"] > 0
    end("tsan", passed, figures,
        ["the rest of the end-to-end suite (make show-tsan)"] if IN_CI else [])


if __name__ == "__main__":
    main()
