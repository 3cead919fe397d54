# SPDX-License-Identifier: Apache-2.0
"""Autobahn's cases against an echo server on our codec, and against our client.

    SOAK=1        also 9.* (large messages), 12.* and 13.* (compression): half an hour
    CASES=6.*     only these; comma-separated
    PYTHON2=...   a CPython 2.7, where none is found; PYTHON2=none does without

Each case must be OK, and so must the way its connection was closed, or stand in DECLARED with the
reason. The suite runs under CPython 2.7 alone and is installed from the registry into
build/autobahn; its reports, with the bytes of each case, are left in build/autobahn/reports. Where
it can't be had, cases of the same kinds run through other libraries (conformance_peers.py), and the
result says so."""

import glob
import json
import os
import shutil
import subprocess
import sys
import time

from show import BUILD, ROOT, end, run, say

ECHO_SERVER = os.path.join(BUILD, "tests", "tools", "ws_echo")
ECHO_CLIENT = os.path.join(BUILD, "tests", "tools", "ws_echo_client")
HOME = os.path.join(ROOT, "build", "autobahn")
REPORTS = os.path.join(HOME, "reports")
SUITE = "autobahntestsuite==25.10.1"
VIRTUALENV = "virtualenv==20.15.1"  # of the last that know 2.7
SOAK = os.environ.get("SOAK") == "1"
SHORT = ["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"]
LONG = ["9.*", "12.*", "13.*"]
CASES = os.environ["CASES"].split(",") if "CASES" in os.environ else SHORT + LONG * SOAK
CASES_MIN = 240  # without CASES
SECONDS_MAX = 3600 if SOAK else 120
STOP_SECONDS = 10
FAILING_TOLD = 20

# By the case, or by the role and the case's group: what Autobahn calls it, the close code that must
# have come all the same (None: none), why that is right. Everything else must be OK.
DECLARED = {
    "7.1.6": ("INFORMATIONAL", 1000, "may a close overtake a long message: ours comes behind it"),
    "7.13.1": ("INFORMATIONAL", 1002, "RFC 6455 leaves codes over 4999 open: a violation to us"),
    "7.13.2": ("INFORMATIONAL", 1002, "the same of 65535"),
    "server 13.3": ("UNIMPLEMENTED", 1000, "what is compressed once for all has a window of 15 "
                    "bits: who must have 9 gets a plain connection"),
    "server 13.5": ("UNIMPLEMENTED", 1000, "the same, without context takeover"),
}
WITHOUT_CODE = {"7.3.1"}  # the suite sends a close frame without a code, and gets one


# ---- the suite and its Python ----

class Missing(Exception):
    """The suite can't be had here; the text says why."""


def python2():
    """A CPython 2.7 that runs; None when there is none."""
    root = os.environ.get("PYENV_ROOT", os.path.expanduser("~/.pyenv"))
    found = [os.environ.get("PYTHON2"), shutil.which("python2.7"), shutil.which("python2"),
             *sorted(glob.glob(os.path.join(root, "versions", "2.7*", "bin", "python")))]
    for path in filter(None, found):
        try:
            done = subprocess.run([path, "-c", "import sys; print(sys.version_info[:2] == (2, 7))"],
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        except OSError:
            continue
        if done.stdout.strip() == "True":
            return path
    return None


def install(folder, stamp):
    """Puts the suite and its programs into the folder."""
    path = python2()
    if path is None:
        raise Missing("no CPython 2.7 here")
    shutil.rmtree(HOME, ignore_errors=True)
    maker = os.path.join(HOME, "maker")
    pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    try:
        run([sys.executable, "-m", "venv", maker])
        run([os.path.join(maker, "bin", "python"), *pip, VIRTUALENV])
        run([os.path.join(maker, "bin", "virtualenv"), "--quiet", "--python", path,
             os.path.dirname(folder)])
        run([os.path.join(folder, "python"), *pip, SUITE])
    except subprocess.CalledProcessError as error:
        raise Missing(f"not installed: {error}") from error
    with open(stamp, "w", encoding="utf-8") as file:
        file.write(SUITE)


def installed():
    """The folder with the suite's programs; Missing when it can't be had here."""
    if os.environ.get("PYTHON2") == "none":
        raise Missing("not wanted")
    folder = os.path.join(HOME, "python2", "bin")
    stamp = os.path.join(HOME, "installed.txt")
    if os.path.exists(stamp):
        with open(stamp, encoding="utf-8") as file:
            if file.read() == SUITE:
                return folder
    install(folder, stamp)
    return folder


# ---- the two runs ----

class Process:
    """A program that tells its port on stdout, in a line that starts with `prefix`."""

    def __init__(self, command, prefix=""):
        say("$ " + " ".join(command))
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.port = None
        for line in self.process.stdout:
            if line.startswith(prefix):
                self.port = int(line[len(prefix):])
                return
        self.process.wait()
        raise RuntimeError(f"{command[0]} ended with {self.process.returncode}")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        """SIGTERM, and its status has to be 0: a sanitizer would say otherwise."""
        self.process.terminate()
        try:
            self.process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if kind is None and self.process.returncode != 0:
            raise RuntimeError(f"{self.process.args[0]} ended with {self.process.returncode}")


def spec_write(role, more):
    folder = os.path.join(REPORTS, role)
    os.makedirs(folder)
    path = folder + ".json"
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"outdir": folder, "cases": CASES, "exclude-cases": [],
                   "exclude-agent-cases": {}, **more}, file)
    return path


def wait(command, log):
    """Runs to the end; its words go to a file, and to stderr when it fails."""
    say("$ " + " ".join(command))
    with open(log, "w+", encoding="utf-8") as file:
        status = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT,
                                timeout=SECONDS_MAX).returncode
        if status != 0:
            file.seek(0)
            raise RuntimeError(f"{command[0]} ended with {status}: {file.read()[-2000:]}")


def test_server(folder):
    """Our server, by Autobahn's fuzzing client."""
    with Process([ECHO_SERVER]) as server:
        spec = spec_write("server", {"servers": [
            {"agent": "tickwire", "url": f"ws://127.0.0.1:{server.port}/"}]})
        wait([os.path.join(folder, "wstest"), "--mode", "fuzzingclient", "--spec", spec],
             os.path.join(REPORTS, "server.log"))


def test_client(folder):
    """Our client, by Autobahn's fuzzing server."""
    spec = spec_write("client", {"url": "ws://127.0.0.1:9001"})
    script = os.path.join(ROOT, "tests", "tools", "fuzzing_server.py")
    with Process([os.path.join(folder, "python"), script, spec], "port ") as server:
        wait([ECHO_CLIENT, f"ws://127.0.0.1:{server.port}", "tickwire"],
             os.path.join(REPORTS, "client.log"))


# ---- what came of it ----

def number(case):
    return tuple(int(part) for part in case.split("."))


def declared(role, case, verdict, code):
    """Why a verdict other than OK is right; None when it is not."""
    group = case.rsplit(".", 1)[0]
    for name in (case, f"{role} {group}"):
        if name in DECLARED:
            *expected, reason = DECLARED[name]
            return reason if expected == [verdict, code] else None
    return None


def verdict_of(case, result):
    """In a word or two; the close frame that must end each case is part of it."""
    words = [result["behavior"]]
    if result["behaviorClose"] not in ("OK", "INFORMATIONAL"):
        words.append("closed " + result["behaviorClose"])
    if result["remoteCloseCode"] is None and case not in WITHOUT_CODE:
        words.append("without a close code")
    return ", ".join(words)


def judge(role):
    """Figures of one run, and the cases that are neither OK nor declared."""
    with open(os.path.join(REPORTS, role, "index.json"), encoding="utf-8") as file:
        cases = json.load(file)["tickwire"]
    figures = {"cases": len(cases)}
    failing = []
    reasons = {}
    for case in sorted(cases, key=number):
        verdict = verdict_of(case, cases[case])
        figures[verdict] = figures.get(verdict, 0) + 1
        if verdict == "OK":
            continue
        code = cases[case]["remoteCloseCode"]
        reason = declared(role, case, verdict, code)
        if reason is None:
            failing.append(f"{role} {case}: {verdict}, close code {code}")
        else:
            reasons.setdefault((verdict, reason), []).append(case)
    for (verdict, reason), names in reasons.items():
        say(f"conformance: {role} {verdict}: {reason}: {' '.join(names)}")
    for line in failing:
        say(f"conformance: {line}")
    if "CASES" not in os.environ and len(cases) < CASES_MIN:
        failing.append(f"{role}: only {len(cases)} cases were run")
    return figures, failing


def run_suite(folder):
    """Both runs of the suite, one after the other."""
    shutil.rmtree(REPORTS, ignore_errors=True)
    figures = {}
    failing = []
    for role, test in (("server", test_server), ("client", test_client)):
        begin = time.monotonic()
        test(folder)
        figures[role], wrong = judge(role)
        figures[role]["seconds"] = round(time.monotonic() - begin, 1)
        failing += wrong
    return figures, failing


def run_peers():
    import conformance_peers  # what it imports is in build/venv alone
    with Process([ECHO_SERVER]) as server:
        return conformance_peers.run(server.port, ECHO_CLIENT)


def run_cases():
    """Figures, what failed, what was left out."""
    run(["ninja", "-C", BUILD, "tests/tools/ws_echo", "tests/tools/ws_echo_client"])
    try:
        folder = installed()
    except Missing as why:
        return *run_peers(), [f"Autobahn: {why}; websockets and aiohttp instead"]
    return *run_suite(folder), [] if SOAK else ["9.*, 12.* and 13.*: SOAK=1"]


def main():
    figures, failing, skipped = {}, [], []
    try:
        figures, failing, skipped = run_cases()
    except (OSError, RuntimeError, ValueError, KeyError, subprocess.SubprocessError) as error:
        failing.append(f"{type(error).__name__}: {error}")
    if failing:
        figures["failing"] = failing[:FAILING_TOLD]
    end("conformance", not failing, figures, skipped)


if __name__ == "__main__":
    main()
