# SPDX-License-Identifier: Apache-2.0
"""tickwire tail: what it prints, filters, and how it comes back."""

import fcntl
import json
import re
import signal
import struct
import subprocess
import termios
import threading

import pytest
import websockets.sync.server

from harness import PATIENCE, TICKWIRE, clean_environment, run, wait_until
from proxy import Proxy
from stream import is_sequenced


class Tail:
    def __init__(self, url, *arguments):
        self.process = subprocess.Popen(
            [TICKWIRE, "tail", url, *arguments], env=clean_environment(),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines, self.errors = [], []
        self.readers = [threading.Thread(target=self._read, args=pair, daemon=True) for pair in
                        ((self.process.stdout, self.lines), (self.process.stderr, self.errors))]
        for reader in self.readers:
            reader.start()

    @staticmethod
    def _read(pipe, lines):
        for line in pipe:
            lines.append(line.rstrip("\n"))

    def wait(self, count):
        wait_until(lambda: len(self.lines) >= count or self.process.poll() is not None,
                   f"{count} lines")
        assert len(self.lines) >= count, self.errors

    def messages(self):
        return [json.loads(line) for line in list(self.lines)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        assert self.process.wait(PATIENCE) == 0
        for reader in self.readers:
            reader.join(PATIENCE)
        self.process.stdout.close()
        self.process.stderr.close()


def test_json_lines_are_the_messages(played):
    with Tail(played.node.ws(), "--since", played.node.first_token()) as tail:
        tail.wait(1 + len(played.sequenced))
        messages = tail.messages()
    assert messages[0]["type"] == "hello" and messages[0]["resumed"] is True
    assert [message for message in messages[1:] if message["type"] != "heartbeat"] == \
        played.sequenced


def test_filters(played):
    wanted = [message for message in played.sequenced if message["type"] in ("trade", "ticker")
              and message["exchange"] in ("upbit", "bithumb") and message["symbol"] == "BTC-KRW"]
    with Tail(played.node.ws(), "--json", "--since", played.node.first_token(), "--type",
              "trade,ticker", "--exchange=upbit,bithumb", "--symbol", "BTC-KRW") as tail:
        tail.wait(len(wanted))
        assert tail.messages() == wanted


def test_table(played):
    with Tail(played.node.ws("?since=" + played.node.first_token()), "--table") as tail:
        tail.wait(len(played.sequenced))
        rows = list(tail.lines)
    assert len(rows) == len(played.sequenced), "heartbeats and hello are no rows"
    for row, message in zip(rows, played.sequenced):
        words = row.split()
        assert words[0] == str(message["seq"]) and words[1] == message["exchange"]
        assert message["type"] in words
        if message["type"] == "trade":
            assert words[-4:] == [message["side"], message["price"], "x", message["size"]]


def test_lost_connections_cost_nothing(running):
    with Proxy(running.port) as proxy:
        with Tail(f"ws://127.0.0.1:{proxy.port}/ws/exchange") as tail:
            for round_number in range(3):
                wait_until(lambda: len(proxy.pairs) == round_number + 1, "it is connected")
                begin = len(tail.lines)
                tail.wait(begin + 100)
                proxy.cut()
            wait_until(lambda: len(proxy.pairs) == 4, "it is connected again")
            tail.wait(len(tail.lines) + 100)
        messages = tail.messages()
    hellos = [message for message in messages if message["type"] == "hello"]
    assert [hello["resumed"] for hello in hellos] == [False, True, True, True]
    seqs = [message["seq"] for message in messages if is_sequenced(message)]
    assert seqs == list(range(hellos[0]["next"], hellos[0]["next"] + len(seqs)))
    assert b"since=" not in proxy.heads[0]
    assert all(re.search(rb"\?since=\S+\.1\.\d+ ", head) for head in proxy.heads[1:])


def test_stays_when_the_node_is_away_for_a_while(running):
    """The node is not reachable for longer than one attempt: tail keeps trying."""
    with Proxy(running.port) as proxy, Tail(f"ws://127.0.0.1:{proxy.port}/ws/exchange") as tail:
        tail.wait(50)
        right, proxy.target = proxy.target, 1  # nobody listens there
        proxy.cut()
        wait_until(lambda: len(tail.errors) >= 3, "it has tried again")
        proxy.target = right
        tail.wait(len(tail.lines) + 50)


def test_nobody_there():
    status, output, errors = run("tail", "ws://127.0.0.1:1/ws/exchange")
    assert status == 1 and output == ""
    assert "127.0.0.1:1" in errors and "refused" in errors


def test_not_a_stream(quiet):
    status, _, errors = run("tail", f"ws://127.0.0.1:{quiet.port}/healthz")
    assert status == 1 and "200" in errors


def test_reader_that_goes_away(running):
    process = subprocess.Popen([TICKWIRE, "tail", running.ws()], env=clean_environment(),
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    process.stdout.readline()
    process.stdout.close()
    process.wait(PATIENCE)


def test_a_servers_words_do_not_steer_a_terminal():
    def say(connection):
        connection.send("\x1b[2Jno message\n")
        connection.close(1000, "\x1b[31mbye")

    with websockets.sync.server.serve(say, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with Tail(f"ws://127.0.0.1:{server.socket.getsockname()[1]}/") as tail:
            wait_until(lambda: len(tail.errors) >= 2, "it complains")
        server.shutdown()
        thread.join()
    assert tail.errors[0] == "tickwire tail: not a message: ?[2Jno message?"
    assert tail.errors[1].endswith("connection closed: 1000 ?[31mbye")


def unread(pipe):
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))[0]


@pytest.mark.parametrize("number", (signal.SIGTERM, signal.SIGINT))
def test_a_signal_ends_it_while_nobody_reads(running, number):
    with subprocess.Popen([TICKWIRE, "tail", running.ws()], env=clean_environment(),
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 4096)  # less than the snapshot
        try:
            wait_until(lambda: unread(process.stdout) > 0, "it has begun to write")
            sizes = []

            def stands():
                sizes.append(unread(process.stdout))
                return len(sizes) > 100 and len(set(sizes[-100:])) == 1
            wait_until(stands, "the pipe is full")
            process.send_signal(number)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
