# SPDX-License-Identifier: Apache-2.0
"""A topic in which somebody else writes, by mistake or on purpose: nothing of it may end a node or
reach a client, and what deposes a leader must be told."""

import json
import uuid

import pytest
from cluster import SLOW_MACHINE, Audience, Cluster, Member
from confluent_kafka import Producer
from confluent_kafka.admin import NewTopic

from harness import PATIENCE, wait_until

LAST = 2 ** 53 - 1  # the greatest number that is read
OVER = 2 ** 63 - 1


class Poison:
    """Writes to a topic what `node` would not. stream, epoch: of who leads there."""

    def __init__(self, broker, topic, stream="tw-1", epoch=1):
        self.topic, self.stream, self.epoch = topic, stream, epoch
        self.producer = Producer({**broker.client(), "linger.ms": 0, "message.max.bytes": 2000000})

    def put(self, value, headers=None):
        self.producer.produce(self.topic, value, key="any", headers=headers)
        assert self.producer.flush(PATIENCE) == 0

    def record(self, kind, value, seq=None, stream=None, epoch=None):
        headers = [("tw-stream", stream or self.stream),
                   ("tw-epoch", str(self.epoch if epoch is None else epoch)),
                   ("tw-type", kind), ("tw-node", "evil")]
        if seq is not None:
            headers.append(("tw-seq", str(seq)))
        self.put(value if isinstance(value, (str, bytes)) else json.dumps(value), headers)

    def barrier(self, epoch, stream=None, **fields):
        stream = stream or self.stream
        self.record("barrier", {"type": "barrier", "stream": stream, "epoch": epoch, **fields,
                                "writer": "w", "node": "evil"}, stream=stream, epoch=epoch)

    def beacon(self, seq=1, start=None, stream=None, epoch=None, **fields):
        stream, epoch = stream or self.stream, epoch or self.epoch
        note = {"type": "beacon", "stream": stream, "epoch": epoch, "seq": seq, "position": 0,
                "barrier": 0, "node": "evil", **fields}
        if start is not None:
            note["start"] = {"stream": stream, "epoch": epoch, "seq": start, "position": 0}
        self.record("beacon", note, stream=stream, epoch=epoch)


def foreign(poison):
    for value in (b"hello", None, b"", bytes(1000), b"x" * 1000000):
        poison.put(value)


def bad_headers(poison):
    for headers in ([("tw-stream", None)], [("tw-stream", b"\xff" * 70000)],
                    [("tw-seq", b"")] * 100,
                    [("", b"")], [("tw-stream", "s"), ("tw-stream", "s")], [("tw-", bytes(1))]):
        poison.put(b"{}", headers)


def bad_numbers(poison):
    for seq in ("x", "-1", OVER, OVER + 1, 2 ** 64, "9" * 30, "1.5", "", b"\0", "0", "007", "+1"):
        poison.record("trade", '{"type":"trade","seq":1}', seq=seq)
    for epoch in ("x", "-1", OVER, OVER + 1, "0", ""):
        poison.record("trade", '{"type":"trade","seq":1}', seq=1, epoch=epoch)
        poison.record("barrier", f'{{"type":"barrier","stream":"{poison.stream}","epoch":{epoch},'
                      '"writer":"w","node":"n"}', epoch=epoch)
    for start in (-5, OVER, OVER + 1, LAST + 1):
        poison.barrier(poison.epoch + 1, start=start)
        poison.barrier(poison.epoch + 1, stream="tw-other", start=start)


def huge(poison):
    for seq in (LAST, LAST - 1, 1, 10 ** 9):
        poison.record("trade", f'{{"type":"trade","seq":{seq},"x":"{"y" * 900000}"}}', seq=seq)


def other_texts(poison):
    """Not what the headers say, or no JSON."""
    for text in ("", "{", "}", "[]", '{"type":"trade"}', '{"type":"trade","seq":6}',
                 '{"type":"book","seq":9}', '{"type":"trade","seq":9', "\0",
                 '{"type":"trade","seq":9,"x":"\x01"}', b'{"type":"trade","seq":9,"x":"\xff"}'):
        poison.record("trade", text, seq=9)
        poison.record("trade", text, seq=10 ** 7)


def bad_notes(poison):
    state = '{"type":"state","seq":%s,"exchange":"binance","symbol":"BTC-USDT",' \
        '"messages":%s,"trades":%s}'
    for kind in ("barrier", "beacon", "state"):
        for text in ("", "{}", "[", "{" * 5000, f'{{"type":"{kind}"}}', bytes(2000), b"\xff" * 100,
                     f'{{"type":"{kind}","stream":"{"a" * 1000}","epoch":1}}',
                     state % (1, "[" * 2000 + "]" * 2000, "[]"), state % (OVER, "[]", "[]"),
                     state % (1, "[" + ",".join(["{}"] * 100000) + "]", "[]"),
                     state % (1, "[]", "[" + ",".join(["{}"] * 100000) + "]")):
            poison.record(kind, text)


def late_barriers(poison):
    """Not newer, or of another stream without saying where it begins."""
    poison.barrier(poison.epoch)
    poison.barrier(1, start=0)
    poison.barrier(LAST, stream="tw-other")


def lying_beacons(poison):
    poison.beacon(seq=LAST, start=LAST)
    poison.beacon(seq=1, position=OVER)
    poison.beacon(seq=OVER, start=OVER)
    poison.beacon(stream="tw-other", epoch=LAST, seq=LAST, start=LAST)


def many_states(poison):
    for number in range(5000):
        poison.producer.produce(
            poison.topic, '{"type":"state","seq":1,"exchange":"binance",'
            f'"symbol":"S{number}-USDT","messages":[],"trades":[]}}',
            headers=[("tw-stream", poison.stream), ("tw-epoch", str(poison.epoch)),
                     ("tw-type", "state"), ("tw-node", "evil")])
        if number % 500 == 0:
            poison.producer.flush(PATIENCE)
    assert poison.producer.flush(PATIENCE) == 0


HARMLESS = [foreign, bad_headers, bad_numbers, huge, other_texts, bad_notes, late_barriers,
            lying_beacons, many_states]


def new_cluster(broker, topic):
    return Cluster(broker.brokers, rate=60, exchanges=("binance",),
                   settings={"kafka.topic": topic})


def new_topic():
    return "poison-" + uuid.uuid4().hex


def other_follower(cluster):
    member = Member("follower-2", {})
    member.settings = {**cluster.follower.settings, **member.settings,
                       "cluster.role": "follower", "cluster.peers": [cluster.leader.url]}
    return member


def test_foreign_records_harm_nobody(broker):
    """Nor who begins to read in the middle of them."""
    topic = new_topic()
    with new_cluster(broker, topic) as cluster, Audience() as audience:
        cluster.start()
        info = cluster.leader.info()
        poison = Poison(broker, topic, info["stream"], info["epoch"])
        clients = audience.join(cluster.leader, 2) + audience.join(cluster.follower, 2)
        for write in HARMLESS:
            write(poison)
            audience.wait_count(clients, 20)
        late = other_follower(cluster)
        try:
            late.start().wait_source("kafka")
            assert late.info()["stream"] == info["stream"]
            audience.wait_count(audience.join(late), 20)
            audience.leave(audience.alive())
            late.stop()
        finally:
            late.close()
        assert not audience.problems()
        assert all(len(client.hellos) == 1 for client in clients)
        assert cluster.leader.info()["epoch"] == info["epoch"]
        for member in cluster.members:
            member.stop()


@pytest.mark.parametrize("fields", [{"start": LAST, "stream": "tw-other"}, {"start": 0}, {}],
                         ids=["another stream", "from the start", "an epoch"])
def test_a_forged_epoch_deposes_loudly(broker, fields):
    """Until the leader is restarted; it then leads on in the same topic."""
    topic = new_topic()
    with new_cluster(broker, topic) as cluster:
        cluster.start()
        info = cluster.leader.info()
        Poison(broker, topic, info["stream"], info["epoch"]).barrier(info["epoch"] + 1000, **fields)
        deposed = cluster.leader.node.wait_log(seconds=SLOW_MACHINE,
                                               msg="deposed: another node writes now")
        assert deposed["node"] == "evil" and deposed["own_epoch"] == str(info["epoch"])
        assert "evil" in cluster.leader.health()["better"]  # whatever feeds it
        wait_until(lambda: cluster.leader.metric("tickwire_deposed") == 1, "it is measured")
        assert cluster.follower.metric("tickwire_deposed") == 0
        if not fields:
            cluster.leader.wait_source("direct")  # alone
            told = cluster.leader.node.wait_log(
                2, msg="this node is configured to lead, and does not")
            assert "nobody does until this node is restarted" in told["why"]
            assert "nobody does until this node is restarted" in cluster.leader.health()["better"]
        cluster.leader.stop()
        cluster.leader.start().wait_source("kafka")
        assert cluster.leader.health()["better"] is None
        cluster.follower.wait_source("kafka")
        wait_until(lambda: all(member.info()["epoch"] > info["epoch"] + 1000
                               for member in cluster.members), "an epoch of its own", SLOW_MACHINE)
        wait_until(lambda: cluster.follower.info()["stream"] == cluster.leader.info()["stream"],
                   "one stream", SLOW_MACHINE)
        for member in cluster.members:
            member.stop()


@pytest.mark.parametrize("write", [
    lambda poison: poison.beacon(seq=10 ** 6, start=10 ** 6),
    lambda poison: poison.barrier(10 ** 12, start=10 ** 6),
    lambda poison: poison.record("barrier", "{}"),
    foreign,
], ids=["a beacon", "a barrier", "no barrier", "foreign"])
def test_who_finds_nothing_else_begins_a_stream(broker, write):
    topic = new_topic()
    admin = broker.admin()  # must outlive its answers
    for future in admin.create_topics([NewTopic(topic, 1, 1)]).values():
        future.result(PATIENCE)
    write(Poison(broker, topic))
    with new_cluster(broker, topic) as cluster, Audience() as audience:
        cluster.start()
        assert cluster.leader.info()["stream"] not in ("", "tw-1")
        clients = audience.join(cluster.leader) + audience.join(cluster.follower)
        audience.wait_count(clients, 20)
        assert not audience.problems()
        for member in cluster.members:
            audience.leave(audience.alive())
            member.stop()


def write_next(poison, client):
    """Its numbers come before the leader's own, unless the machine stood still meanwhile."""
    if client.stream != poison.stream:
        return
    for seq in range(client.seq, client.seq + 500):
        poison.producer.produce(
            poison.topic, f'{{"type":"trade","seq":{seq},"exchange":"binance",'
            f'"symbol":"BTC-USDT","recv":1,"price":"1","size":"1","side":"buy"}}',
            headers=[("tw-stream", poison.stream), ("tw-epoch", str(poison.epoch)),
                     ("tw-type", "trade"), ("tw-node", "evil"), ("tw-seq", str(seq))])
    assert poison.producer.flush(PATIENCE) == 0


def test_another_writer_in_the_leaders_own_epoch(broker):
    """With the very numbers that come next: nobody ends, and nobody is told two things of one."""
    topic = new_topic()
    with new_cluster(broker, topic) as cluster, Audience() as audience:
        cluster.start()
        info = cluster.leader.info()
        poison = Poison(broker, topic, info["stream"], info["epoch"])
        clients = audience.join(cluster.leader) + audience.join(cluster.follower)
        audience.wait_count(clients, 5)
        wait_until(lambda: write_next(poison, clients[0]) or all(
            member.info()["stream"] != info["stream"] for member in cluster.members),
                   "a new stream", SLOW_MACHINE)
        for member in cluster.members:
            member.wait_source("kafka")
        audience.wait_count(clients, 20)
        audience.leave(audience.alive())
        assert not audience.problems()
        for member in cluster.members:
            member.stop()
