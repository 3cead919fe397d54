# SPDX-License-Identifier: Apache-2.0
"""`tickwire record`, what it leaves behind however it ends, and `replay` of that."""

import asyncio
import base64
import collections
import gzip
import json
import os
import random
import signal
import subprocess
import time

import pytest
import websockets.exceptions

from fake_exchange import FakeExchange, binance_trade, upbit_trade
from harness import (BUILD, DEMO, EXCHANGES, PATIENCE, SANITIZED, TICKWIRE, Node, clean_environment,
                     replay, run, serve, wait_until)
from simulator import Simulator
from stream import Client, collect_played

DUMP = os.path.join(BUILD, "tests", "tools", "recording_dump")
SEED = int(os.environ.get("TEST_SEED", "20260923"))


# ---- reading without our own code ----

def unpacked(path):
    """The whole lines of a zstd file, by zstd's own program, and whether it says that the file is
    cut."""
    done = subprocess.run(["zstd", "-dc", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          check=False)
    lines = done.stdout.split(b"\n")
    return [json.loads(line) for line in lines[:-1]], done.returncode != 0


def raw_of(line):
    return base64.b64decode(line["raw64"]) if "raw64" in line else line["raw"].encode()


def messages_of(lines):
    """{exchange: [(binary, bytes)]}"""
    found = collections.defaultdict(list)
    for line in lines:
        if "event" not in line:
            found[line["exchange"]].append((line["op"] == "binary", raw_of(line)))
    return found


def dumped(*paths):
    """The same by our reader, and its losses."""
    done = subprocess.run([DUMP, *paths], stdout=subprocess.PIPE, check=True, text=True)
    *lines, last = done.stdout.splitlines()
    found = collections.defaultdict(list)
    for line in lines:
        exchange, _, op, *rest = line.split(" ")
        found[exchange].append((op == "binary", bytes.fromhex(rest[0])))
    return found, [int(number) for number in last.split(" ")[1:]]


def of_frames(frames):
    return [(isinstance(frame, bytes), frame if isinstance(frame, bytes) else frame.encode())
            for frame in frames]


# ---- recording ----

def arguments_for(exchanges):
    """{name: FakeExchange} and no others; None: nothing is said about them."""
    arguments = []
    if exchanges is None:
        return arguments
    for name in EXCHANGES:
        if name in exchanges:
            arguments += ["--set", f"exchanges.{name}.ws_url={exchanges[name].url}"]
        else:
            arguments += ["--set", f"exchanges.{name}.enabled=false"]
    return arguments


class Recorder(Node):
    def __init__(self, path, exchanges, *arguments):
        self.path = str(path)
        super().__init__("record", "-o", self.path, *arguments_for(exchanges), *arguments)

    def start(self):
        self.wait_log(msg="recording to")
        return self


def wait_recorded(path, counts):
    def there():
        found = messages_of(unpacked(path)[0])
        return all(len(found[name]) >= count for name, count in counts.items())
    wait_until(there, "everything is in the file")


def demo_frames():
    """The constructed recording, with Binance's trades numbered by symbol, as Binance does."""
    frames, ids = {name: [] for name in EXCHANGES}, collections.Counter()
    with gzip.open(DEMO, "rt", encoding="utf-8") as file:
        for line in map(json.loads, file):
            raw = line["raw"].encode() if line.get("op") == "binary" else line["raw"]
            if line["exchange"] == "binance" and "@trade" in line["raw"]:
                content = json.loads(raw)
                ids[content["stream"]] += 1
                content["data"]["t"] = ids[content["stream"]]
                raw = json.dumps(content)
            frames[line["exchange"]].append(raw)
    return frames


@pytest.fixture(scope="module", name="demo")
def demo_exchanges():
    frames = demo_frames()
    exchanges = {name: FakeExchange(frames[name], acknowledge=False) for name in EXCHANGES}
    yield frames, exchanges
    for exchange in exchanges.values():
        exchange.close()


def speak_once(exchanges):
    """Who has said everything is silent: after 2 s a node connects once more to ask for the rest,
    and must not hear it all again."""
    for exchange in exchanges.values():
        exchange.greet_next()


def told(messages):
    """What must not differ between the live stream and its replay: by exchange, in order."""
    found = collections.defaultdict(list)
    for message in messages:
        if message["type"] in ("trade", "book", "ticker", "quote") and "snapshot" not in message:
            found[message["exchange"]].append(
                {key: value for key, value in message.items() if key not in ("seq", "recv")})
    return found


def follow(node, counts):
    """Everything from the stream's beginning until that many messages of each exchange came."""
    with Client(node, "?since=" + node.first_token()) as client:
        messages, have = [], collections.Counter()
        while any(have[name] < count for name, count in counts.items()):
            messages.append(client.next())
            if told(messages[-1:]):
                have[messages[-1]["exchange"]] += 1
        return messages + client.until_type("heartbeat")


def test_a_replay_tells_what_the_live_stream_told(demo, tmp_path):
    frames, exchanges = demo
    path = tmp_path / "three.zst"
    speak_once(exchanges)
    with Recorder(path, exchanges) as recorder:
        wait_recorded(path, {name: len(sent) for name, sent in frames.items()})
    assert recorder.logged(msg="recorded", left_out="0")
    lines, cut = unpacked(path)
    assert not cut and not [line for line in lines if line.get("event") == "lost"]
    assert lines[0]["event"] == "recording" and lines[0]["exchanges"] == list(EXCHANGES)
    assert [line["i"] for line in lines[1:]] == list(range(len(lines) - 1)), "all are numbered"
    for found in (messages_of(lines), dumped(path)[0]):
        for name, sent in frames.items():
            assert found[name] == of_frames(sent), (
                f"{name}: every frame, exact, in order", recorder.log)
    with replay("--speed", "max", "--set", "stream.heartbeat=200ms", file=str(path)) as node:
        replayed = told(collect_played(node))
    speak_once(exchanges)
    with serve("--set", "stream.heartbeat=200ms",
               exchanges={name: exchange.url for name, exchange in exchanges.items()}) as node:
        live = told(follow(node, {name: len(told_) for name, told_ in replayed.items()}))
    for name in EXCHANGES:
        assert len(live[name]) > 100
        assert json.dumps(live[name]) == json.dumps(replayed[name])


def test_events_and_times(tmp_path):
    odd = b"\x00\xff\xfe not text"
    with FakeExchange([binance_trade(1), odd], acknowledge=False) as exchange:
        path = tmp_path / "events.zst"
        before = time.time()
        with Recorder(path, {"binance": exchange}):
            wait_recorded(path, {"binance": 2})
            exchange.close_connection(1001, "going \u00e9\"")
            exchange.wait_connection(2)
            wait_recorded(path, {"binance": 4})
        lines = unpacked(path)[0][1:]
        kinds = [line.get("event", "message") for line in lines]
        assert kinds == ["open", "sent", "message", "message", "close"] + kinds[:4]
        first = lines[0]["conn"]
        assert [line["conn"] - first for line in lines] == [0] * 5 + [1] * 4
        assert lines[0]["url"] == exchange.url + "/stream"
        assert lines[1]["raw"] == exchange.received[0][2]
        assert base64.b64decode(lines[3]["raw64"]) == odd and lines[3]["op"] == "binary"
        assert (lines[4]["code"], lines[4]["reason"]) == (1001, "going \u00e9\"")
        times = [line["ts"] for line in lines]
        assert times == sorted(times) and before <= times[0] and times[-1] <= time.time()
        text = subprocess.run(["zstd", "-dc", path], stdout=subprocess.PIPE, check=True).stdout
        assert all(b'.' in line[:20] and line[6:].split(b",")[0][-7:-6] == b"."
                   for line in text.splitlines()), "six digits behind the point"


def test_parts_are_one_recording(demo, tmp_path):
    frames, exchanges = demo
    path = tmp_path / "parts"
    speak_once(exchanges)
    with Recorder(path, exchanges, "--rotate-size", "64KiB"):
        def all_there():
            found = dumped(*parts(tmp_path))[0]
            return all(len(found[name]) >= len(sent) for name, sent in frames.items())
        wait_until(all_there, "all are recorded")
    files = parts(tmp_path)
    assert len(files) > 2
    found, lost = dumped(*files)
    assert lost == [0, 0, 0, 0]
    for name, sent in frames.items():
        assert found[name] == of_frames(sent)
    with replay("--speed", "max", "--set", "stream.heartbeat=200ms", file=str(path)) as node:
        whole = told(collect_played(node))
    assert sum(map(len, whole.values())) > 1000, "FILE stands for its parts"
    with replay("--speed", "max", "--set", "stream.heartbeat=200ms", *files[1:],
                file=files[0]) as node:
        assert told(collect_played(node)) == whole


def test_what_the_simulator_made_is_replayed(tmp_path):
    """Its own truth, not our decoders, says what the trades of the replay must be."""
    path = tmp_path / "simulated.zst"
    with Simulator("--rate", "600", "--seed", "7") as simulator:
        places = [part for name in EXCHANGES for part in (
            "--set", f"exchanges.{name}.ws_url={simulator.ws('/' + name)}",
            "--set", f"exchanges.{name}.rest_url=http://127.0.0.1:{simulator.port}/{name}")]
        with Recorder(path, None, *places):
            wait_recorded(path, {name: 400 for name in EXCHANGES})
        with replay("--speed", "max", "--set", "stream.heartbeat=200ms", file=str(path)) as node:
            messages = collect_played(node)
        for name in EXCHANGES:
            trades = collections.defaultdict(list)
            for message in messages:
                if message["type"] == "trade" and message["exchange"] == name \
                        and "origin" not in message:
                    trades[message["symbol"]].append(
                        [message["price"], message["size"], message["side"],
                         message["ts"] // 1000])
            assert sum(map(len, trades.values())) > 30, name
            for symbol, told_trades in trades.items():
                truth = [[price, size, side, us // 1000] for _, price, size, side, us
                         in simulator.truth(symbol, name)["trades"]]
                begins = [i for i, trade in enumerate(truth) if trade == told_trades[0]]
                assert any(truth[i:i + len(told_trades)] == told_trades for i in begins), (
                    name, symbol, told_trades[:3], truth[-3:])


def parts(folder):
    return sorted(str(file) for file in folder.iterdir())


def test_from_a_time_on():
    """What comes later is the end of the whole."""
    with replay("--speed", "max", "--set", "stream.heartbeat=200ms") as node:
        whole = told(collect_played(node))
    with replay("--speed", "max", "--from", "10s", "--set", "stream.heartbeat=200ms") as node:
        later = told(collect_played(node))
    for name in ("upbit", "bithumb"):
        trades = [message for message in whole[name] if message["type"] == "trade"]
        tail = [message for message in later[name] if message["type"] == "trade"]
        assert 0 < len(tail) < len(trades) and tail == trades[-len(tail):]


# ---- ends ----

SLACK = 3 if SANITIZED else 1.5  # a second, and a busy machine


class Pump(FakeExchange):
    """Sends numbered trades to each connection for as long as it is there, three every 5 ms."""

    def __init__(self, make):
        self.make = make
        super().__init__(acknowledge=False)

    async def _serve(self, connection):
        self.connections.append(connection)
        number = 0
        try:
            await connection.recv()
            while True:
                for _ in range(3):
                    await connection.send(self.make(number))
                    number += 1
                await asyncio.sleep(0.005)
        except websockets.exceptions.ConnectionClosed:
            pass


def test_killed_at_any_moment(tmp_path):
    """30 times: what is in the file is what was sent, from its beginning, up to the last second."""
    chance = random.Random(SEED)
    makers = {"binance": binance_trade, "upbit": upbit_trade,
              "bithumb": lambda number: upbit_trade(number, size=0.5)}
    pumps = {name: Pump(make) for name, make in makers.items()}
    try:
        rounds = [one_round(tmp_path, pumps, chance, number) for number in range(5)]
        assert sum(found for found, _ in rounds) > 500, "the files hold something"
        # A busy machine is late more often than not, but not each time.
        missing = sorted(seconds for _, each in rounds for seconds in each)
        assert missing and missing[len(missing) // 4] < SLACK, f"seconds missing: {missing}"
    finally:
        for pump in pumps.values():
            pump.close()


def one_round(folder, pumps, chance, round_number):
    recorders = [Recorder(folder / f"{round_number}-{i}.zst", pumps).start() for i in range(6)]
    begin = time.monotonic()
    ends = sorted((chance.uniform(0.05, 2.5), recorder.path, recorder) for recorder in recorders)
    killed = {}
    for after, path, recorder in ends:
        wait_until(lambda after=after: time.monotonic() - begin >= after, "its time has come")
        recorder.send_signal(signal.SIGKILL)
        killed[path] = time.time()
        assert recorder.wait() == -signal.SIGKILL
        recorder.close()
    checked = [check_killed(path, at, pumps) for path, at in killed.items()]
    return sum(found for found, _ in checked), [
        seconds for _, seconds in checked if seconds is not None]


def check_killed(path, at, pumps):
    """(messages, seconds that are missing at the end, or None: it was too short for that)"""
    lines, _ = unpacked(path)
    found = messages_of(lines)
    again, (torn, *_) = dumped(path)
    for name, pump in pumps.items():
        sent = [pump.make(number) for number in range(len(found[name]))]
        assert found[name] == of_frames(sent), f"{path}: nothing invented, nothing missing"
        if not torn:
            assert again[name] == found[name]
        else:  # what can be had of the torn frame
            assert again[name][:len(found[name])] == found[name]
    long_enough = lines and at - lines[0]["ts"] > 1.5
    return sum(map(len, found.values())), at - lines[-1]["ts"] if long_enough else None


def test_a_torn_recording_is_played_and_says_so(demo, tmp_path):
    frames, exchanges = demo
    path = tmp_path / "torn.zst"
    speak_once(exchanges)
    with Recorder(path, exchanges):
        wait_recorded(path, {name: len(sent) for name, sent in frames.items()})
    size = path.stat().st_size
    os.truncate(path, size - 100)
    with replay("--speed", "max", "--set", "stream.heartbeat=200ms", file=str(path)) as node:
        messages = collect_played(node)
        line = node.wait_log(msg="the recording is torn, played what is whole")
    assert int(line["text_bytes"]) > 0 and int(line["packed_bytes"]) > 0
    assert sum(map(len, told(messages).values())) > 500


def test_a_full_disk(tmp_path):
    with FakeExchange([binance_trade(number, price=str(random.Random(number).random())[:9])
                       for number in range(40000)], acknowledge=False) as exchange:
        path = tmp_path / "full.zst"
        script = f'ulimit -f 200; exec "{TICKWIRE}" "$@"'
        done = subprocess.run(["bash", "-c", script, "-", "record", "-o", path,
                               *arguments_for({"binance": exchange})],
                              env=clean_environment(), stderr=subprocess.PIPE, text=True,
                              timeout=PATIENCE, check=False)
    assert done.returncode == 1, done.stderr
    assert "cannot write any more" in done.stderr and "File too large" in done.stderr
    lines, cut = unpacked(path)
    assert not cut, "it ends with a whole frame"
    found = messages_of(lines)["binance"]
    assert len(found) > 1000
    assert [json.loads(raw)["data"]["t"] for _, raw in found] == list(range(len(found)))


def test_it_ends_by_itself_and_overwrites_nothing(tmp_path):
    with FakeExchange([binance_trade(1)]) as exchange:
        path = tmp_path / "short.zst"
        command = ["record", "-o", str(path), "--for", "300ms",
                   *arguments_for({"binance": exchange})]
        status, output, errors = run(*command)
        assert status == 0 and output == "", errors
        content = path.read_bytes()
        status, _, errors = run(*command)
        assert status == 1 and "File exists" in errors
        assert path.read_bytes() == content


@pytest.mark.parametrize("arguments,words", [
    ([], "-o FILE"), (["-o"], "-o needs"), (["-o", "x", "--keep", "3"], "--keep goes with"),
    (["-o", "x", "--rotate-size", "1KiB"], "64KiB"), (["-o", "x", "--rotate-time", "1"], "1s"),
    (["-o", "x", "--for", "soon"], "duration"), (["-o", "x", "--keep", "0"], "number"),
    (["-o", "x", "y"], "unknown argument")])
def test_wrong_usage(arguments, words):
    status, _, errors = run("record", *arguments)
    assert status == 2 and words in errors


def test_nothing_to_record(tmp_path):
    status, _, errors = run("record", "-o", str(tmp_path / "x"), *arguments_for({}))
    assert status == 1 and "no exchange is enabled" in errors
    status, _, errors = run("record", "-o", str(tmp_path / "x"), "--set", "http=1")
    assert status == 78
    assert not (tmp_path / "x").exists()
