# SPDX-License-Identifier: Apache-2.0
"""src/peer against real nodes, by tests/tools/peer_dump: what a link hears is what any client
hears; and against nodes that are none."""

import json
import os
import re
import signal
import subprocess
import threading
import time

import pytest
import websockets.sync.client

from fake_node import STREAM, FakeNode, cluster, hello, record
from harness import (ALONE, BUILD, DEMO, LISTEN, PATIENCE, Node, clean_environment, read_logfmt,
                     replay, wait_until)
from proxy import Proxy
from test_rest import validate
from test_tls import Authority

DUMP = os.path.join(BUILD, "tests", "tools", "peer_dump")
TOKEN, OTHER = "peer-token-000001", "peer-token-000002"


class Dump:
    """A peer_dump that runs; events are (milliseconds, what, text)."""

    def __init__(self, *urls, node="me", token_file="", since="", environment=None):
        self.events, self.log = [], []
        self.process = subprocess.Popen(
            [DUMP, node, token_file, since, *urls], env=clean_environment(environment),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.readers = [threading.Thread(target=self._read, daemon=True),
                        threading.Thread(target=self._read_log, daemon=True)]
        for reader in self.readers:
            reader.start()

    def _read(self):
        for line in self.process.stdout:
            when, what, text = line.rstrip("\n").split(" ", 2)
            self.events.append((int(when), what, text))

    def _read_log(self):
        for line in self.process.stderr:
            self.log.append(line.rstrip("\n"))

    def of(self, *kinds):
        return [text for _, what, text in list(self.events) if what in kinds]

    def wait(self, what, count=1, seconds=PATIENCE):
        wait_until(lambda: len(self.of(what)) >= count or self.process.poll() is not None,
                   f"{count} {what}: {self.counts()} {self.log[-5:]}", seconds)
        assert len(self.of(what)) >= count, self.log
        return self.of(what)

    def wait_log(self, count=1, **fields):
        def found():
            lines = [line for line in map(read_logfmt, list(self.log))
                     if all(re.search(value, line.get(key, "")) for key, value in fields.items())]
            return lines[count - 1] if len(lines) >= count else None
        return wait_until(found, f"{fields} in the log: {self.log[-5:]}")

    def counts(self):
        kinds = [what for _, what, _ in list(self.events)]
        return {kind: kinds.count(kind) for kind in set(kinds)}

    def describe(self):
        """{url: fields} of the peers, now."""
        ends = len(self.of("end"))
        before = len(self.of("peer"))
        self.process.send_signal(signal.SIGUSR1)
        self.wait("end", ends + 1)
        peers = {}
        for line in self.of("peer")[before:]:
            url, rest = line.split(" ", 1)
            rest, error = rest.split(" error=")
            peers[url] = dict(field.split("=", 1) for field in rest.split(" ")) | {"error": error}
        return peers

    def toggle(self):
        count = len(self.of("opened", "closed"))
        self.process.send_signal(signal.SIGUSR2)
        wait_until(lambda: len(self.of("opened", "closed")) > count, "toggled")

    def seqs(self):
        return [json.loads(text)["seq"] for text in self.of("record")]

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            status = self.process.wait(PATIENCE)
        finally:
            self.process.kill()
        for reader in self.readers:
            reader.join(PATIENCE)
        self.process.stdout.close()
        self.process.stderr.close()
        if kind is None:
            assert status == 0, (status, self.log)


def raw_messages(node, query, count):
    """As many messages of /ws/exchange as text, without heartbeats."""
    texts = []
    with websockets.sync.client.connect(node.ws(query), compression=None, max_size=None,
                                        close_timeout=0.2) as connection:
        while len(texts) < count:
            text = connection.recv(timeout=PATIENCE)
            if not text.startswith('{"type":"heartbeat"'):
                texts.append(text)
    return texts


@pytest.fixture(scope="module")
def leader():
    with Node("replay", DEMO, *LISTEN, "--loop", "--speed", "20", "--set", "node.id=lead-1",
              "--set", "stream.heartbeat=200ms") as node:
        wait_until(lambda: node.json("/api/v1/cluster")["epoch"] == 1, "the first epoch")
        yield node


def base(node):
    return node.url("").rstrip("/")


# ---- what a node says of itself ----

@pytest.mark.parametrize("path", ["/api/v1/cluster", "/api/ws/infra-health"])
def test_answers_keep_to_their_schemas(leader, quiet, path):
    for node in (leader, quiet):
        status, headers, body = node.get(path)
        assert status == 200 and headers["Cache-Control"] == "no-store"
        validate(path, json.loads(body))


def test_one_node_alone_leads(quiet):
    said, info = quiet.json("/api/v1/cluster"), quiet.info()
    assert said["self"] == said["leader"] == info["node"] == "quiet-1"
    assert (said["stream"], said["epoch"]) == (info["stream"], info["epoch"])
    assert [(node["id"], node["role"]) for node in said["nodes"]] == [("quiet-1", "leader")]
    assert [each["epoch"] for each in said["history"]] == [said["epoch"]]


# ---- what is heard ----

def test_records_are_the_very_bytes(leader):
    since = leader.first_token()
    with Dump(base(leader), since=since) as dump:
        heard = dump.wait("record", 2000)
        assert json.loads(dump.of("hello")[0])["resumed"] is True
        assert not dump.of("snapshot", "snapshot_end", "lost")
    other = raw_messages(leader, "?since=" + since, 2001)[1:]
    assert heard[:2000] == other


def test_a_snapshot_is_the_very_bytes(played):
    with Dump(base(played.node)) as dump:
        dump.wait("snapshot_end")
        heard = dump.of("hello", "snapshot", "snapshot_end")
        assert not dump.of("record")
    assert heard == raw_messages(played.node, "", len(heard))


def test_what_is_known_of_a_peer(leader):
    with Dump(base(leader) + "/", "http://127.0.0.1:1") as dump:
        dump.wait("record")
        said = leader.json("/api/v1/cluster")
        peers = dump.describe()
    lead, gone = peers[base(leader)], peers["http://127.0.0.1:1"]
    assert lead["node"] == said["self"] == "lead-1" and lead["role"] == "leader"
    assert lead["stream"] == said["stream"] and lead["epoch"] == str(said["epoch"])
    assert lead["version"] == said["nodes"][0]["version"]
    assert lead["since"] == str(said["nodes"][0]["since"])
    assert (lead["reachable"], lead["linked"], lead["error"]) == ("1", "1", "")
    assert (gone["node"], gone["role"], gone["clients"], gone["lag_ms"]) == ("", "", "-1", "-1")
    assert (gone["reachable"], gone["linked"]) == ("0", "0") and "refused" in gone["error"]


def test_where_a_peer_says_that_it_is_reached():
    """Clients are sent there, not where nodes ask each other."""
    said = cluster()
    said["nodes"][0]["url"] = "https://outside:8443"
    with FakeNode(said) as other:
        with Node("serve", *LISTEN, *ALONE, "--set", "cluster.role=follower", "--set",
                  f"cluster.peers={other.url},http://127.0.0.1:1") as node:
            wait_until(lambda: node.json("/api/v1/cluster")["nodes"][1]["url"] ==
                       "https://outside:8443", "it is known")
            wait_until(lambda: node.info()["nodes"][1:] == [
                "wss://outside:8443/ws/exchange", "ws://127.0.0.1:1/ws/exchange"],
                       "clients are told")
            other.answer = cluster()  # started again, without node.advertise
            asked = f"ws://127.0.0.1:{other.port}/ws/exchange"
            wait_until(lambda: node.info()["nodes"][1] == asked, "clients are told")


def test_a_link_that_is_cut_goes_on_where_it_stood(leader):
    since = leader.first_token()
    with Proxy(leader.port) as proxy, Dump(f"http://127.0.0.1:{proxy.port}", since=since) as dump:
        for cut in range(1, 6):
            dump.wait("record", cut * 300)
            proxy.cut()
            dump.wait("lost", cut)
            dump.wait("hello", cut + 1)
        count = len(dump.of("record"))
        heard = dump.wait("record", count + 300)
        assert all(json.loads(text)["resumed"] for text in dump.of("hello"))
        assert not dump.of("snapshot")
    assert heard == raw_messages(leader, "?since=" + since, len(heard) + 1)[1:]


def test_a_link_opened_again_is_there_at_once(leader):
    """The leader is known: 100 ms is the aim, and ten times that fails, when all take so long."""
    with Dump(base(leader)) as dump:
        dump.wait("record", 10)
        took = []
        for times in range(1, 6):
            dump.toggle()
            dump.toggle()
            dump.wait("hello", times + 1)
            records = len(dump.of("record"))
            dump.wait("record", records + 1)
            events = list(dump.events)
            opened = max(i for i, event in enumerate(events) if event[1] == "opened")
            first = next(event for event in events[opened:] if event[1] == "record")
            took.append(first[0] - events[opened][0])
        assert min(took) < 1000, took
        print("opened to first record:", took, "ms")


def test_a_node_that_stands_still_is_lost(leader):
    with Dump(base(leader)) as dump:
        dump.wait("record", 10)
        stopped = time.monotonic()
        leader.send_signal(signal.SIGSTOP)
        try:
            reason = dump.wait("lost")[0]
            took = time.monotonic() - stopped
            dump.wait_log(msg="peer does not answer")
        finally:
            leader.send_signal(signal.SIGCONT)
        assert "nothing heard" in reason and 1 < took < 20, (reason, took)  # 2 s and a little
        dump.wait("hello", 2)
        assert json.loads(dump.of("hello")[-1])["resumed"] is True
        count = len(dump.of("record"))
        dump.wait("record", count + 100)
        seqs = dump.seqs()
        assert seqs == list(range(seqs[0], seqs[0] + len(seqs)))


def test_who_was_stopped_himself_loses_nothing(leader):
    with Dump(base(leader)) as dump:
        dump.wait("record", 10)
        dump.process.send_signal(signal.SIGSTOP)
        time.sleep(3)  # longer than a link may be silent: what is looked at is the time itself
        dump.process.send_signal(signal.SIGCONT)
        count = len(dump.of("record"))
        dump.wait("record", count + 100)
        assert not dump.of("lost") and len(dump.of("hello")) == 1


def test_a_follower_that_hears_nobody(leader):
    """It is not ready, and alone in the end: then it is, and says why that is not the best."""
    with Node("serve", *LISTEN, *ALONE, "--set", "cluster.role=follower", "--set",
              f"cluster.peers={base(leader)}") as node:
        wait_until(lambda: node.get("/readyz")[0] == 200, "it follows")
        assert node.json("/api/ws/infra-health")["better"] is None
        leader.send_signal(signal.SIGSTOP)
        try:
            status, _, body = wait_until(
                lambda: next((it for it in [node.get("/readyz")] if it[0] != 200), None),
                "it says that it hears nobody")
            assert status == 503 and b"behind" in body
            wait_until(lambda: node.get("/readyz")[0] == 200, "it goes on alone")
            health = node.json("/api/ws/infra-health")
            assert health["source"] == "direct" and "no leader" in health["better"], health
        finally:
            leader.send_signal(signal.SIGCONT)
        wait_until(lambda: node.json("/api/ws/infra-health")["better"] is None, "it follows again")


def test_what_a_follower_says_of_exchanges():
    """As the stream says it: by what concerns the whole exchange, not by one of its channels; and
    what a node whose clock is ahead has just received has come."""
    ahead = int((time.time() + 3600) * 1e6)

    def say(connection):
        connection.send(hello(resumed=False, following=8))
        connection.send(record(7, exchange="binance", recv=ahead, state="down", snapshot=True))
        connection.send(record(5, exchange="binance", recv=ahead - 1, state="live",
                               channel="trade", snapshot=True))
        connection.send(record(7, kind="snapshot_end"))
        for _ in connection:
            pass

    with FakeNode(cluster(), say) as other:
        with Node("serve", *LISTEN, "--set", "cluster.role=follower", "--set",
                  f"cluster.peers={other.url}") as node:
            wait_until(lambda: node.info()["stream"] == STREAM, "it follows")
            said = node.json("/api/ws/infra-health")["exchanges"]["binance"]
            assert said == {"state": "down", "since": ahead, "age_ms": 0, "connections": 0}
            said = node.json("/api/v1/exchanges")["exchanges"]
            assert [(each["state"], each["age_ms"]) for each in said] == [
                ("down", 0), ("connecting", None), ("connecting", None)]


# ---- who is let in, and whom we trust ----

def write_token(tmp_path, name, token):
    path = tmp_path / name
    path.write_text(token + "\n", encoding="ascii")
    path.chmod(0o600)
    return str(path)


def test_tokens(tmp_path):
    good = write_token(tmp_path, "good", TOKEN)
    bad = write_token(tmp_path, "bad", OTHER)
    with Node("serve", *LISTEN, *ALONE, "--set", "auth.mode=token", "--set",
              f"auth.tokens_file={good}") as node:
        assert node.get("/api/v1/cluster")[0] == 401
        with Dump(base(node), token_file=bad) as dump:
            line = dump.wait_log(msg="peer does not answer")
            assert "401" in line["error"] and not dump.of("hello")
            assert dump.describe()[base(node)]["reachable"] == "0"
            assert not any(OTHER in text for text in dump.log)
        with Dump(base(node)) as dump:
            assert "cluster.token_file" in dump.wait_log(msg="peer does not answer")["error"]
        with Dump(base(node), token_file=good) as dump:
            dump.wait("hello")
            assert dump.describe()[base(node)]["linked"] == "1"
            assert any("in the clear" in text for text in dump.log)
            assert not any(TOKEN in text for text in dump.log)
        assert not any(TOKEN in line for line in node.lines)


@pytest.mark.parametrize("text", [
    "short", "two tokens-in-one-line", "token-0000000001\nother-00000000002",
    "line-feed-and\r\nHost: x", "", None])
def test_token_files_that_are_none(tmp_path, text):
    path = str(tmp_path / "none") if text is None else write_token(tmp_path, "file", text)
    done = subprocess.run([DUMP, "me", path, "", "http://127.0.0.1:1"], capture_output=True,
                          text=True, timeout=PATIENCE, env=clean_environment())
    assert done.returncode == 1 and path in done.stderr
    assert text is None or len(text) < 6 or text.split()[-1] not in done.stderr


@pytest.mark.parametrize("url", ["ftp://h:1", "h:1", "http://h:1/path", "http://h:1?q", "ws://h:1",
                                 "http://user@h:1", ""])
def test_urls_that_are_none(url):
    done = subprocess.run([DUMP, "me", "", "", url], capture_output=True, text=True,
                          timeout=PATIENCE, env=clean_environment())
    assert done.returncode == 1 and done.stderr.startswith("peer_dump: ")


def test_certificates(tmp_path):
    authority = Authority(tmp_path)
    for name, days, names in (("good", 2, None), ("expired", -1, None),
                              ("other", 2, "subjectAltName=DNS:elsewhere.example")):
        certificate, key = authority.issue(name, days=days, **({"names": names} if names else {}))
        with Node("serve", *LISTEN, *ALONE, "--set", f"http.tls.cert={certificate}", "--set",
                  f"http.tls.key={key}") as node:
            url = f"https://127.0.0.1:{node.port}"
            with Dump(url, environment=authority.environment) as dump:
                if name == "good":
                    dump.wait("hello")
                    continue
                error = dump.wait_log(msg="peer does not answer")["error"]
                assert ("expired" if name == "expired" else "match") in error, error
                assert not dump.of("hello")


# ---- who is linked to ----

def test_a_peer_that_is_this_node_itself_is_left_out(leader):
    with Dump(base(leader), node="lead-1") as dump:
        dump.wait_log(msg="a peer is this node itself, or has its node.id")
        assert dump.describe() == {}
        assert not dump.of("hello")


@pytest.mark.parametrize("role", ["follower", "alone", "starting", "king"])
def test_only_a_leader_is_linked_to(role):
    with FakeNode(cluster(role=role)) as node, Dump(node.url) as dump:
        node.wait_asked(4)
        said = dump.describe()[node.url]
        assert said["role"] == ("unknown" if role == "king" else role) and said["clients"] == "3"
        assert node.targets == []
        node.answer = cluster()
        dump.wait("hello")


def test_the_newest_leader_is_linked_to():
    def say(name):
        def speak(connection):
            connection.send(hello(name, following=5))
            connection.send(record(5, exchange="upbit"))
            for _ in connection:
                pass
        return speak

    with FakeNode(cluster("old", epoch=3), say("old")) as old, \
            FakeNode(cluster("new", role="follower", epoch=3), say("new")) as new, \
            Dump(old.url, new.url) as dump:
        dump.wait("record")
        new.answer = cluster("new", epoch=4)
        dump.wait("hello", 2)
        assert "newer leader" in dump.of("lost")[0]
        assert new.targets == [f"/ws/exchange?since={STREAM}.1.5"]
        assert dump.describe()[new.url]["linked"] == "1"
        new.answer = cluster("new", role="alone", epoch=4)
        dump.wait("hello", 3)
        assert "leads no longer" in dump.of("lost")[1]
        assert dump.describe()[old.url]["linked"] == "1"


def test_a_leader_that_leaves_is_left():
    def speak(connection):
        connection.send(hello("one", following=8))
        connection.send(record(8))
        connection.send('{"type":"draining","within_ms":9000}')
        connection.send(record(9))
        for _ in connection:
            pass

    with FakeNode(cluster("one"), speak) as one, \
            FakeNode(cluster("two", role="follower"),
                     lambda connection: connection.send(hello("two", following=10))) as two, \
            Dump(one.url, two.url) as dump:
        dump.wait("record", 2)  # it still sends
        assert not dump.of("lost")
        two.answer = cluster("two", epoch=1)
        wait_until(lambda: two.targets, "the other is linked to")
        assert two.targets[0] == f"/ws/exchange?since={STREAM}.1.9"
        assert "leaves" in dump.wait("lost")[0]


# ---- peers that are not what they should be ----

ANSWERS = {
    "no JSON": b"<html>",
    "cut": json.dumps(cluster()).encode()[:-3],
    "an array": b"[]",
    "nothing": b"",
    "twice the same key": b'{"self":"a","self":"b"}',
    "no self": json.dumps({**cluster(), "self": None}).encode(),
    "a self that is not listed": cluster(self="other"),
    "a name that breaks a line": cluster(node="fake\n1"),
    "a name that is too long": cluster(node="n" * 64),
    "an epoch that is a text": cluster(epoch="1"),
    "an epoch that is negative": cluster(epoch=-1),
    "an epoch out of range": json.dumps(cluster()).replace(
        '"epoch": 1', '"epoch": 99999999999999999999').encode(),
    "nodes that are no list": cluster(nodes={"fake-1": 1}),
    "a stream that is no name": cluster(stream="a b"),
    "not UTF-8": b'{"self":"\xff\xfe"}',
    "deep": b"[" * 100000,
    "too large": cluster(pad="x" * (1 << 20)),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_that_are_none(name):
    with FakeNode(ANSWERS[name]) as node, Dump(node.url) as dump:
        dump.wait_log(msg="peer does not answer")
        assert dump.describe()[node.url]["reachable"] == "0" and not node.targets
        node.answer = cluster()
        dump.wait("hello")


SAYINGS = {
    "no hello": lambda: [record(1)],
    "another node": lambda: [hello("fake-2")],
    "a hello without next": lambda: ['{"type":"hello","node":"fake-1","stream":"s","epoch":1}'],
    "no JSON": lambda: [hello(), "hi"],
    "a binary message": lambda: [hello(), record(1).encode()],
    "a seq that jumps": lambda: [hello(), record(2)],
    "a seq that is none": lambda: [hello(), '{"type":"trade","seq":1.5,"a":1}'],
    "a seq out of range": lambda: [hello(), '{"type":"trade","seq":9223372036854775807,"a":1}'],
    "an epoch that is none": lambda: [hello(), record(1, "epoch", epoch="x")],
    "the end of no snapshot": lambda: [hello(), '{"type":"snapshot_end","seq":0}'],
    "too large": lambda: [hello(), record(1, pad="x" * (1 << 20))],
}


@pytest.mark.parametrize("name", SAYINGS)
def test_streams_that_are_none(name):
    def speak(connection):
        for message in SAYINGS[name]():
            connection.send(message)
        for _ in connection:
            pass

    greeted = "hello" not in name and name not in ("another node",)
    with FakeNode(cluster(), speak) as node, Dump(node.url) as dump:
        if greeted:
            dump.wait("lost")
        wait_until(lambda: len(node.targets) >= 3, "it tries again")
        assert not dump.of("record") and (greeted or not dump.of("hello"))
        node.say = FakeNode.stay
        dump.wait("alive")


def test_it_does_not_hurry_to_one_that_throws_it_out():
    with FakeNode(cluster(), lambda connection: None) as node, Dump(node.url) as dump:
        wait_until(lambda: len(node.targets) >= 7, "attempts")
        gaps = dump.describe()
        assert gaps[node.url]["linked"] == "0"
        before = time.monotonic()
        count = len(node.targets)
        wait_until(lambda: len(node.targets) >= count + 2, "two more")
        assert time.monotonic() - before > 0.9  # half of 2 s at least, but for the first
