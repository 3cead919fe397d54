# SPDX-License-Identifier: Apache-2.0
"""Starts `tickwire simulate` for tests, asks it for the truth, and makes things go wrong in it."""

import json
import re
import subprocess
import urllib.error
import urllib.parse
import urllib.request

from harness import PATIENCE, TICKWIRE, clean_environment


class Simulator:
    """A running simulator on a free port; a context manager. One that speaks TLS is asked with the
    `context` of a client."""

    def __init__(self, *arguments, context=None):
        self.context = context
        self.process = subprocess.Popen(
            [TICKWIRE, "simulate", "--listen", "127.0.0.1:0", *arguments],
            env=clean_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        match = re.search(r"listens on https?://127\.0\.0\.1:(\d+)", line)
        if match is None:
            self.process.kill()
            raise AssertionError(f"it does not listen: {line}{self.process.stderr.read()}")
        self.port = int(match.group(1))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            status = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        assert status == 0, self.process.stderr.read()

    def ws(self, path):
        return f"ws://127.0.0.1:{self.port}{path}"

    def fetch(self, path, body=None, headers=None):
        """(status, headers, body as text)."""
        data = None if body is None else json.dumps(body).encode()
        scheme = "http" if self.context is None else "https"
        request = urllib.request.Request(
            f"{scheme}://127.0.0.1:{self.port}{path}", data=data, headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE, context=self.context) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read().decode()

    def get(self, path):
        status, _, body = self.fetch(path)
        assert status == 200, body
        return json.loads(body)

    def truth(self, symbol, exchange="binance", after=0):
        query = urllib.parse.urlencode({"exchange": exchange, "symbol": symbol, "after": after})
        return self.get(f"/sim/truth?{query}")

    def fault(self, kind, exchange="binance", **fields):
        status, _, body = self.fetch("/sim/fault", {"exchange": exchange, "kind": kind, **fields})
        assert status == 200, body
        return json.loads(body)

    def fault_over(self, number):
        return any(fault["id"] == number and not fault["active"]
                   for fault in self.get("/sim/fault"))

    def stats(self, exchange="binance"):
        return self.get("/sim/stats")["venues"][exchange]

    def broken(self, exchange="binance"):
        return {name: count for name, count in self.stats(exchange)["limits_broken"].items()
                if count}
