# SPDX-License-Identifier: Apache-2.0
"""?batch=1: the same messages, several in a frame, one a line."""

import json

import pytest

from harness import PATIENCE, replay, wait_until
from prometheus import Metrics
from stream import Client
from wire import Raw, handshake

END = 900  # a seq well within the recording


class BatchClient(Client):
    """Reads lines instead of frames, and remembers how many there were in each."""

    def __init__(self, node, query="?batch=1", **options):
        self.lines, self.sizes, self.texts = [], [], []
        super().__init__(node, query, **options)

    def next(self, seconds=PATIENCE):
        if not self.lines:
            self.lines = self.connection.recv(timeout=seconds).split("\n")
            self.sizes.append(len(self.lines))
        text = self.lines.pop(0)
        message = json.loads(text)
        self.texts.append(text)
        self.follow(message)
        return message


def sequenced(messages, end=END):
    return [message for message in messages if "seq" in message and not message.get("snapshot")
            and message["type"] not in ("heartbeat", "snapshot_end") and message["seq"] <= end]


def reached(message):
    return message.get("seq", 0) >= END and not message.get("snapshot")


@pytest.fixture(name="playing")
def fixture_playing():
    with replay("--speed", "20", "--set", "stream.heartbeat=200ms",
                "--set", "stream.batch_interval=20ms") as node:
        yield node


def test_the_same_messages_in_fewer_frames(playing):
    token = playing.first_token()
    with BatchClient(playing, "?batch=1&since=" + token) as batch, \
            Client(playing, "?since=" + token) as plain:
        expected = sequenced(plain.until(reached))
        got = sequenced(batch.until(reached))
        sizes = batch.sizes
    assert got == expected
    assert max(sizes) > 1 and len(sizes) < len(got)


def test_a_snapshot_comes_in_few_frames_and_the_stream_goes_on(playing):
    with Client(playing, "?snapshot=0") as early:  # so that the blob is made for the other
        seen = early.until(lambda message: message.get("seq", 0) >= 100)
        with BatchClient(playing) as batch:
            begun = batch.until_type("snapshot_end")
            frames = len(batch.sizes)
            assert begun[0]["type"] == "hello"
            got = sequenced(batch.until(reached))
        seen += early.until(reached)
        expected = [message for message in sequenced(seen)
                    if message["seq"] > begun[-1]["seq"]]
    assert len(begun) > 20 and frames <= 2 + len(begun) // 10
    assert got == expected


def test_a_token_is_good_in_either_form(playing):
    token = playing.first_token()
    with Client(playing, "?since=" + token) as plain:
        expected = sequenced(plain.until(reached))
    seen, kinds = [], [BatchClient, Client, BatchClient, BatchClient, Client]
    for number, kind in enumerate(kinds):
        query = "?since=" + token + ("&batch=1" if kind is BatchClient else "")
        with kind(playing, query) as client:
            until = END * (number + 1) // len(kinds)
            assert client.next()["resumed"] is True
            seen += sequenced(client.until(lambda message: message.get("seq", 0) >= until), until)
            token = f"{client.stream}.{client.epoch}.{until}"
    assert seen == expected


def test_the_form_starts_anew_when_somebody_asks_again(playing):
    for _ in range(3):
        with BatchClient(playing, "?batch=1&snapshot=0") as batch:
            batch.until(lambda message: len(batch.texts) > 20)
            assert max(batch.sizes) > 1
        wait_until(lambda: Metrics(playing).value("tickwire_clients") == 0, "it is gone")


def test_batches_of_the_other_form_may_be_under_way():
    offer = "Sec-WebSocket-Extensions: permessage-deflate\r\n"
    with replay("--speed", "20", "--set", "stream.batch_interval=300ms") as node, \
            Raw(node.port) as other:
        other.send(handshake("/ws/exchange?batch=1", extra=offer))
        assert other.read_answer()[0] == 101
        with Client(node, "?snapshot=0") as plain:
            plain.until(lambda message: message.get("seq", 0) > 100)  # so a batch is under way
        with BatchClient(node, "?batch=1&snapshot=0") as batch:
            batch.until(lambda message: len(batch.sizes) > 3)


def test_nothing_waits_longer_than_a_heartbeat_in_a_quiet_stream(quiet):
    with BatchClient(quiet) as batch:
        batch.until_type("snapshot_end")
        assert batch.until_type("heartbeat")[-1]["seq"] == batch.seq


@pytest.mark.parametrize("value", ["2", "", "yes", "01"])
def test_anything_but_0_and_1_is_refused(quiet, value):
    with Raw(quiet.port) as raw:
        raw.send(handshake("/ws/exchange?batch=" + value))
        answer = raw.read_answer()
    assert answer[0] == 400 and b"batch must be 0 or 1" in answer[2]
