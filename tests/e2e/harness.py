# SPDX-License-Identifier: Apache-2.0
"""Starts and ends tickwire for tests: on a free port, in a folder of its own, watched by its log.

Everything waits for a condition with a deadline; nothing sleeps in the hope that it is enough.
"""

import collections
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("TEST_BUILD", os.path.join(ROOT, "build"))
TICKWIRE = os.environ.get("TICKWIRE", os.path.join(BUILD, "src", "node", "tickwire"))
DEMO = os.path.join(ROOT, "demo", "recording.jsonl.gz")
SHARED = os.path.join(os.path.dirname(ROOT), "shared")
EXCHANGES = ("binance", "upbit", "bithumb")

# A sanitizer makes everything slower, and its allocator gives memory back late.
with open(TICKWIRE, "rb") as _binary:
    SANITIZED = re.search(rb"__(asan|tsan)_init", _binary.read()) is not None
PATIENCE = 120 if SANITIZED else 60  # seconds for what should come at once, on any machine

newest = collections.deque(maxlen=4)  # nodes, for who wants to know what they said last

LISTEN = ["--set", "http.listen=127.0.0.1:0"]
ALONE = [part for name in EXCHANGES for part in ("--set", f"exchanges.{name}.enabled=false")]


def clean_environment(extra=None):
    """Without our own TICKWIRE_* variables, which the program would take for settings."""
    environment = {key: value for key, value in os.environ.items()
                   if not key.startswith("TICKWIRE")}
    environment.update(extra or {})
    return environment


def wait_until(condition, what, seconds=PATIENCE):
    """The first true value of condition(); fails after `seconds`. what: a text, or what makes one
    when it has failed."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(0.005)  # between two looks, not instead of one


def read_logfmt(line):
    """The fields of a log line."""
    fields = {}
    for key, quoted, plain in re.findall(r'(\w+)=(?:("(?:[^"\\]|\\.)*")|(\S*))', line):
        fields[key] = json.loads(quoted) if quoted else plain
    return fields


class Node:
    """A running tickwire; a context manager that ends it in order and looks at how it went."""

    def __init__(self, *arguments, environment=None, file=None):
        self.folder = tempfile.mkdtemp(prefix="tickwire-test-")
        arguments = list(arguments)
        if file is not None:
            path = os.path.join(self.folder, "tickwire.yaml")
            with open(path, "w", encoding="utf-8") as out:
                out.write(file)
            arguments += ["-c", path]
        self.lines = []
        self.changed = threading.Condition()
        self.process = subprocess.Popen(
            [TICKWIRE] + arguments, cwd=self.folder, env=clean_environment(environment),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            errors="replace")
        self.reader = threading.Thread(target=self._read_log, daemon=True)
        self.reader.start()
        self.port = None
        newest.append(self)

    def _read_log(self):
        for line in self.process.stderr:
            with self.changed:
                self.lines.append(line.rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def wait_log(self, count=1, seconds=PATIENCE, **fields):
        """The count-th log line that has all these fields, as a dictionary."""
        def found():
            lines = [line for line in map(read_logfmt, self.lines)
                     if all(line.get(key) == value for key, value in fields.items())]
            return lines[count - 1] if len(lines) >= count else None

        deadline = time.monotonic() + seconds
        with self.changed:
            while True:
                line = found()
                if line is not None:
                    return line
                if self.process.poll() is not None and not self.reader.is_alive():
                    raise AssertionError(f"it ended ({self.process.returncode}):\n{self.log}")
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"no log line {fields} in {seconds} s:\n{self.log}")
                self.changed.wait(min(left, 0.2))

    def logged(self, **fields):
        with self.changed:
            return [line for line in map(read_logfmt, self.lines)
                    if all(line.get(key) == value for key, value in fields.items())]

    @property
    def log(self):
        return "\n".join(self.lines[-60:])

    def start(self):
        self.port = int(self.wait_log(msg="serving")["port"])
        return self

    @property
    def pid(self):
        return self.process.pid

    def url(self, path="/"):
        return f"http://127.0.0.1:{self.port}{path}"

    def ws(self, query="", path="/ws/exchange"):
        return f"ws://127.0.0.1:{self.port}{path}{query}"

    def get(self, path, method="GET"):
        """(status, headers, body), whatever the status."""
        request = urllib.request.Request(self.url(path), method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def json(self, path):
        status, _, body = self.get(path)
        assert status == 200, (path, status, body)
        return json.loads(body)

    def info(self):
        return self.json("/ws/info")

    def first_token(self):
        """Of the record that opens the stream, in its first epoch: all the rest is behind it."""
        info = self.info()
        return f"{info['stream']}.{info['epoch']}.1"

    def memory(self):
        """Resident bytes."""
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def send_signal(self, number):
        self.process.send_signal(number)

    def wait(self, seconds=PATIENCE):
        status = self.process.wait(seconds)
        self.reader.join(seconds)
        return status

    def stop(self, number=signal.SIGTERM, seconds=PATIENCE):
        """Ends it in order; returns the exit status."""
        if self.process.poll() is None:
            self.send_signal(number)
        if "TSAN_OPTIONS" in os.environ:
            self._signal_again(number)
        try:
            return self.wait(seconds)
        finally:
            self.close()

    def _signal_again(self, number):
        """ThreadSanitizer's runtime keeps about one signal in a thousand to itself until the next
        one comes: neither pending nor blocked (/proc), nor seen by the program."""
        deadline = time.monotonic() + 5
        while self.process.poll() is None and not self.logged(msg="leaving"):
            if time.monotonic() > deadline:
                self.send_signal(number)
                return
            time.sleep(0.01)

    def close(self):
        """Ends it by all means."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.reader.join(PATIENCE)
        self.process.stderr.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, kind, value, trace):
        if kind is not None:
            self.close()
            return
        running = self.process.poll() is None
        status = self.stop()
        if running or status != 0:
            assert status == 0, f"exit status {status}:\n{self.log}"


def serve(*arguments, exchanges=None, **options):
    """`tickwire serve` of these exchanges only: {name: ws_url}."""
    arguments = list(arguments)
    for name in EXCHANGES:
        url = (exchanges or {}).get(name)
        if url is None:
            arguments += ["--set", f"exchanges.{name}.enabled=false"]
        else:
            arguments += ["--set", f"exchanges.{name}.ws_url={url}"]
    return Node("serve", *LISTEN, *arguments, **options)


def replay(*arguments, file=DEMO):
    return Node("replay", file, *LISTEN, *arguments)


def run(*arguments, environment=None, stdin=None, seconds=PATIENCE, cwd=None):
    """A command that ends by itself: (exit status, stdout, stderr)."""
    done = subprocess.run([TICKWIRE, *arguments], env=clean_environment(environment), input=stdin,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=seconds,
                          text=True, errors="replace", cwd=cwd)
    return done.returncode, done.stdout, done.stderr


def counted(values):
    """How often each is there, for messages that must not hold a million lines."""
    return dict(collections.Counter(values))
