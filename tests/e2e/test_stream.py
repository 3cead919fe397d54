# SPDX-License-Identifier: Apache-2.0
"""The stream as a client sees it: order, numbers, snapshots, resume, heartbeats, books."""

import asyncio
import json
import time
from decimal import Decimal

import aiohttp
import pytest

import reference
from harness import replay
from stream import Books, Client, collect_played, is_sequenced


def test_joiner_gets_hello_snapshot_end_live(running):
    with Client(running) as client:
        hello = client.next()
        assert hello["type"] == "hello" and hello["resumed"] is False
        assert hello["simulated"] is True and hello["version"] == 1
        snapshot = client.until_type("snapshot_end")
        end = snapshot.pop()
        assert end["seq"] == hello["next"] - 1
        assert snapshot, "the stream has values, the snapshot none"
        assert all(message["snapshot"] is True for message in snapshot)
        assert {message["type"] for message in snapshot} >= {"status", "ticker", "trade", "book"}
        assert all(message["seq"] <= end["seq"] for message in snapshot)
        keys = [(message["type"], message["exchange"], message.get("symbol"))
                for message in snapshot]
        assert len(set(keys)) == len(keys), "one value twice in a snapshot"
        live = client.until(lambda message: client.seq >= end["seq"] + 50)
        assert {message["type"] for message in live} <= {
            "trade", "ticker", "book", "status", "heartbeat"}


def test_stream_begins_with_its_epoch(played):
    first = played.messages[0]
    assert first["type"] == "hello" and first["resumed"] is True and first["next"] == 2
    with Client(played.node, "?snapshot=0") as client:
        hello = client.next()
        assert hello["next"] == played.last + 1 and hello["epoch"] == 1
    info = played.node.info()
    assert hello["stream"] == info["stream"] and info["epoch"] == 1
    assert [message["seq"] for message in played.sequenced] == list(range(2, played.last + 1))


def test_statuses_frame_the_data(played):
    for name in ("binance", "upbit", "bithumb"):
        own = [message for message in played.sequenced if message["exchange"] == name]
        states = [message["state"] for message in own if message["type"] == "status"]
        assert states == ["connecting", "live"]
        assert [message["type"] for message in own[:2]] == ["status", "status"]


def test_times_are_exact_integers(played):
    for message in played.sequenced:
        for key in ("ts", "recv"):
            assert key not in message or type(message[key]) is int
        now_us = time.time() * 1e6
        assert now_us - 600e6 < message["recv"] <= now_us
        if message["type"] == "book" and message["exchange"] == "binance":
            assert "ts" not in message, "Binance gives no time with its depth"


def test_numbers_are_canonical_text(played):
    def check(text):
        assert isinstance(text, str)
        value = Decimal(text)
        assert format(value.normalize() + 0, "f") == text, text

    for message in played.sequenced:
        if message["type"] == "book":
            for price, size in message["bids"] + message["asks"]:
                check(price)
                check(size)
        elif message["type"] in ("trade", "ticker"):
            for key in ("price", "size", "last", "open", "high", "low", "volume", "quote_volume",
                        "bid", "bid_size", "ask", "ask_size"):
                if key in message:
                    check(message[key])


def test_without_snapshot(played):
    with Client(played.node, "?snapshot=0") as client:
        assert client.next()["type"] == "hello"
        assert client.next()["type"] == "heartbeat"


def test_snapshot_may_be_asked_for(played):
    with Client(played.node, "?snapshot=1") as client:
        assert client.until_type("snapshot_end")[0]["type"] == "hello"


@pytest.mark.parametrize("back", [0, 1, 100])
def test_resume_is_honoured(played, back):
    with Client(played.node, f"?since={played.node.info()['stream']}.1.{played.last - back}") as it:
        hello = it.next()
        assert hello["resumed"] is True and hello["next"] == played.last - back + 1
        assert hello["epoch"] == 1
        messages = it.until_type("heartbeat")[:-1]
    assert messages == played.sequenced[len(played.sequenced) - back:]


def test_resume_with_percent_encoded_token(played):
    token = played.node.first_token().replace(".", "%2E")
    with Client(played.node, "?snapshot=0&since=" + token) as client:
        assert client.next()["resumed"] is True


@pytest.mark.parametrize("token", ["other.1.5", "{stream}.2.5", "{stream}.7.1"])
def test_resume_of_what_is_not_here_is_refused(played, token):
    token = token.format(stream=played.node.info()["stream"])
    took = []
    while len(took) < 5 and min(took, default=1) >= 1:  # a busy machine is late, but not always
        with Client(played.node, "?since=" + token) as client:
            begin = time.monotonic()
            hello = client.next()
            took.append(time.monotonic() - begin)
            assert hello["resumed"] is False and hello["next"] == played.last + 1
            snapshot = client.until_type("snapshot_end")
            assert len(snapshot) > 10
    assert min(took) < 1, f"there is nothing to wait for: {took}"


def test_resume_ahead_waits_for_the_number(running):
    with Client(running, "?snapshot=0") as client:
        client.next()
        client.until(is_sequenced)
        stream, epoch, seq = client.stream, client.epoch, client.seq
    with Client(running, f"?since={stream}.{epoch}.{seq + 60}") as client:
        hello = client.next()
        assert hello["resumed"] is True and hello["next"] == seq + 61
        assert client.next()["seq"] == seq + 61


def test_resume_far_ahead_is_given_up_after_two_seconds(quiet):
    begin = time.monotonic()
    with Client(quiet, f"?since={quiet.info()['stream']}.1.1000") as client:
        hello = client.next()
        waited = time.monotonic() - begin
        assert hello["resumed"] is False and hello["next"] == 2
        assert 1.8 < waited < 20, waited
        assert client.next()["type"] == "snapshot_end"


def test_resume_of_what_is_forgotten_is_refused():
    with replay("--speed", "max", "--set", "stream.retain=1MiB", "--set",
                "stream.heartbeat=200ms") as node:
        for i in range(3):
            node.wait_log(msg="recording played to its end", count=i + 1)
        with Client(node, "?since=" + node.first_token()) as client:
            assert client.next()["resumed"] is False
            client.until_type("snapshot_end")
            token = client.until_type("heartbeat")[-1]["seq"]
            stream = client.stream
        with Client(node, f"?since={stream}.1.{token - 5}") as client:
            assert client.next()["resumed"] is True
            assert len(client.until_type("heartbeat")) == 6


def test_heartbeats_come_in_time(quiet):
    with Client(quiet) as client:
        client.until_type("snapshot_end")
        begin = time.monotonic()
        beats = [client.until_type("heartbeat")[-1] for _ in range(8)]
        took = time.monotonic() - begin
        assert took < 8 * 0.1 * 10 + 1, took
        assert [beat["seq"] for beat in beats] == [1] * 8
        times = [beat["ts"] for beat in beats]
        assert times == sorted(times) and abs(times[-1] / 1e6 - time.time()) < 10
        assert len(client.until_type("heartbeat")) == 1, "nothing but heartbeats is due"


def test_hello_of_a_node_with_real_prices(quiet):
    with Client(quiet) as client:
        assert client.next() == {
            "type": "hello", "version": 1, "node": "quiet-1", "stream": quiet.info()["stream"],
            "epoch": 1, "next": 2, "source": "direct", "mode": "websocket", "resumed": False}


@pytest.mark.parametrize("exchange", ["binance", "upbit", "bithumb"])
def test_everything_recorded_comes_once_and_in_order(played, exchange):
    compared, differing = reference.compare(played.sequenced, Books(), exchange)
    assert compared > 500 and not differing, differing[:3]


def test_books_from_updates_equal_a_later_joiners(played):
    books = Books()
    for message in played.sequenced:
        books.feed(message)
    with Client(played.node) as client:
        joined = Books()
        for message in client.until_type("snapshot_end"):
            if message["type"] == "book":
                assert message["action"] == "snapshot" and message["proof"] == "whole"
                joined.feed(message)
                for side, best_first in (("bids", True), ("asks", False)):
                    prices = [Decimal(price) for price, _ in message[side]]
                    assert prices == sorted(prices, reverse=best_first)
    assert joined.books == books.books
    assert joined.books == reference.last_books()


def test_book_depth_cuts_every_view():
    with replay("--speed", "max", "--set", "stream.book_depth=5", "--set",
                "stream.heartbeat=200ms") as node:
        books = Books()
        for message in collect_played(node):
            books.feed(message)
            for bids, asks in books.books.values():
                assert len(bids) <= 5 and len(asks) <= 5
    whole = reference.last_books()
    for key, (bids, asks) in books.books.items():
        assert bids == dict(sorted(whole[key][0].items(), reverse=True)[:5])
        assert asks == dict(sorted(whole[key][1].items())[:5])
    assert set(books.books) == set(whole)


def test_last_values_of_the_snapshot(played):
    last = {}
    for message in played.sequenced:
        if message["type"] != "book":
            last[message["type"], message["exchange"], message.get("symbol")] = message
    with Client(played.node) as client:
        kept = {(message["type"], message["exchange"], message.get("symbol")): message
                for message in client.until_type("snapshot_end")
                if message.get("snapshot") and message["type"] != "book"}
    assert {key: {**value, "snapshot": True} for key, value in last.items()} == kept


def test_joining_while_it_runs_misses_nothing(running):
    """A snapshot, which joiners share, and what follows it is what the first client has."""
    joiners = []
    with Client(running) as first:
        books = Books()
        for message in first.until_type("snapshot_end"):
            books.feed(message)
        for _ in range(10):
            target = first.seq + 7
            for message in first.until(lambda _: first.seq >= target):
                books.feed(message)
            joiners.append((Client(running), Books()))
        for client, joined in joiners:
            for message in client.until_type("snapshot_end"):
                joined.feed(message)
        target = max(client.seq for client in [first] + [client for client, _ in joiners]) + 100
        for message in first.until(lambda _: first.seq >= target):
            books.feed(message)
    for client, joined in joiners:
        with client:
            for message in client.until(lambda _: client.seq >= target):
                joined.feed(message)
            assert client.seq == target
        assert joined.books == books.books


def test_two_libraries_get_the_same_bytes(played):
    async def collect():
        texts = []
        async with aiohttp.ClientSession() as session:
            url = played.node.ws("?since=" + played.node.first_token())
            async with session.ws_connect(url, max_msg_size=0) as connection:
                async for message in connection:
                    assert message.type == aiohttp.WSMsgType.TEXT
                    texts.append(message.data)
                    if json.loads(message.data).get("seq") == played.last:
                        break
        return texts

    texts = asyncio.run(asyncio.wait_for(collect(), 30))
    assert [json.loads(text) for text in texts[1:]] == played.sequenced
