# SPDX-License-Identifier: Apache-2.0
"""A real Chromium without a window, driven by the DevTools protocol over a WebSocket.

    https://chromedevtools.github.io/devtools-protocol/
"""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import threading
import urllib.request

import websockets.exceptions
import websockets.sync.client

from harness import PATIENCE, wait_until

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_browser():
    """Its path, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One process with a profile of its own; a context manager."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="tickwire-browser-")
        # A proxy of this machine has no business between the page and the node.
        self.process = subprocess.Popen(
            [find_browser(), "--headless=new", "--no-sandbox", "--disable-gpu",
             "--disable-dev-shm-usage", "--no-first-run", "--no-proxy-server",
             "--disable-background-networking", "--disable-component-update",
             "--remote-debugging-port=0", f"--user-data-dir={self.folder}",
             "--window-size=1280,1000", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            self.port = wait_until(self._port, "the browser listens", 2 * PATIENCE)
        except BaseException:
            self.close()
            raise

    def _port(self):
        try:
            with open(os.path.join(self.folder, "DevToolsActivePort"), encoding="ascii") as file:
                lines = file.read().split("\n")
        except FileNotFoundError:
            return None
        return int(lines[0]) if len(lines) > 1 else None

    def open(self, url):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/json/new?about:blank",
                                         method="PUT")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=PATIENCE) as answer:
            target = json.load(answer)["webSocketDebuggerUrl"]
        return Page(target, url)

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Page:
    """A tab. `errors`: what its console has complained about, exceptions included."""

    def __init__(self, target, url):
        self.socket = websockets.sync.client.connect(target, max_size=None, compression=None,
                                                     open_timeout=PATIENCE)
        self.answers, self.errors, self.last_id = {}, [], 0
        self.loads = 0
        self.changed = threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")
        self.go(url)

    def _read(self):
        try:
            for text in self.socket:
                message = json.loads(text)
                with self.changed:
                    if "id" in message:
                        self.answers[message["id"]] = message
                    else:
                        self._note(message["method"], message["params"])
                    self.changed.notify_all()
        except websockets.exceptions.ConnectionClosed:
            pass

    def _note(self, method, params):
        if method == "Page.loadEventFired":
            self.loads += 1
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning",
                                                                         "assert"):
            self.errors.append(str([each.get("value") for each in params["args"]]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.errors.append(params["entry"]["text"])

    def call(self, method, **params):
        with self.changed:
            self.last_id += 1
            number = self.last_id
            self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
            assert self.changed.wait_for(lambda: number in self.answers, 2 * PATIENCE), method
            answer = self.answers.pop(number)
        assert "error" not in answer, (method, answer)
        return answer["result"]

    def go(self, url):
        """Returns when the page has been loaded."""
        before = self.loads
        result = self.call("Page.navigate", url=url)
        assert "errorText" not in result, result
        with self.changed:
            assert self.changed.wait_for(lambda: self.loads > before, 2 * PATIENCE), url

    def evaluate(self, expression):
        """The value of a JavaScript expression; a promise is waited for."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait(self, expression, what, seconds=PATIENCE):
        """The first true value of the expression."""
        return wait_until(lambda: self.evaluate(expression), what, seconds)

    def screenshot(self, path):
        data = self.call("Page.captureScreenshot", format="png")["data"]
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))

    def close(self):
        self.socket.close()
        self.reader.join(PATIENCE)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
