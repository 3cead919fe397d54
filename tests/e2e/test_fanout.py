# SPDX-License-Identifier: Apache-2.0
"""`bench fanout` tells what happened: against its two servers, and against one that does wrong."""

import contextlib
import json
import os
import subprocess
import threading
import time

import pytest
import websockets.sync.server

from harness import BUILD, run


@contextlib.contextmanager
def bench_server(name):
    path = os.path.join(BUILD, "bench", name)
    if not os.path.exists(path):
        pytest.skip(f"{name} is not in this build")
    with subprocess.Popen([path], stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.pid, json.loads(process.stdout.readline())
        finally:
            process.terminate()


@contextlib.contextmanager
def scripted_server(numbers):
    """Sends these numbers to everybody, again and again, each round 1,000 higher."""
    def handle(connection):
        start = 0
        with contextlib.suppress(websockets.exceptions.ConnectionClosed):
            while True:
                for number in numbers:
                    connection.send(json.dumps({"at": time.time_ns() // 1000 - 7000,
                                                "n": start + number}))
                start += 1000
                connection.ping().wait(10)

    with websockets.sync.server.serve(handle, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}/"
        server.shutdown()
        thread.join()


def fanout(*arguments):
    status, output, errors = run("bench", "fanout", *arguments)
    assert status == 0, errors
    return json.loads(output)


@pytest.mark.parametrize("name", ["bench_floor", "bench_fanout_node"])
def test_everybody_gets_everything(name):
    with bench_server(name) as (process, ports):
        result = fanout("--url", ports["url"], "--source", ports["source"], "--time-field", "recv",
                        "--pid", str(process), "--clients", "40", "--rate", "500", "--size", "300",
                        "--seconds", "1")
    assert result["clients"] == 40
    assert [result[key] for key in ("gaps", "missing", "repeats", "closed", "behind")] == [0] * 5
    # Of the source's steady 500 a second, what falls into the window; a busy machine is late.
    assert 40 * 250 < result["delivered"] < 40 * 1000
    assert result["bytes"] > result["delivered"] * 300
    assert 0 < result["p50_ms"] <= result["p99_ms"] <= result["p99.9_ms"] <= result["max_ms"]


def test_wrong_numbers_and_age_are_seen():
    with scripted_server(list(range(990)) + [989, 995] + list(range(996, 1000))) as url:
        result = fanout("--url", url, "--clients", "2", "--seconds", "1",
                        "--sequence-field", "n", "--time-field", "at")
    assert result["delivered"] > 0
    assert result["gaps"] > 4 and result["missing"] == 5 * result["gaps"]
    assert abs(result["repeats"] - result["gaps"]) <= 2  # one each a round, the last one cut
    assert result["p50_ms"] >= 7


@pytest.mark.parametrize("arguments, status", [
    ([], 2),
    (["--url"], 2),
    (["--url", "ws://127.0.0.1:1/", "--clients", "0"], 2),
    (["--url", "ws://127.0.0.1:1/", "--size", "199"], 2),
    (["--url", "ws://127.0.0.1:1/", "--speed", "9"], 2),
    (["--url", "ws://127.0.0.1:1/"], 1),
    (["--url", "wss://127.0.0.1:1/"], 1),
    (["--url", "nowhere"], 1),
])
def test_what_cannot_be_measured(arguments, status):
    found, output, errors = run("bench", "fanout", *arguments)
    assert (found, output) == (status, "") and "bench fanout" in errors
