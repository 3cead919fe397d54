# SPDX-License-Identifier: Apache-2.0
"""How far back a node reads when it starts: at least a minute, however busy the topic is, so that
tokens of that minute are honoured; but no more than its log can hold."""

import json
import time
import uuid

import pytest
import websockets.sync.client
from cluster import Member
from confluent_kafka import Producer
from confluent_kafka.admin import NewTopic

from harness import PATIENCE

STREAM = "tw-test"
BEFORE, BEHIND = 1000, 110000  # records of the first leader; of others, behind the second's barrier
TAIL = 100000  # that a node looks at, if they are old enough


class Leaders:
    """Writes a topic as two leaders did, one after the other, and somebody else behind them."""

    def __init__(self, broker):
        self.topic, self.count, self.seq = "look-back-" + uuid.uuid4().hex, 0, 0
        admin = broker.admin()
        for future in admin.create_topics([NewTopic(self.topic, 1, 1)]).values():
            future.result(PATIENCE)
        self.producer = Producer({**broker.client(), "linger.ms": 5,
                                  "queue.buffering.max.messages": 1000000})

    def put(self, value, **headers):
        headers = {f"tw-{name}": str(text) for name, text in headers.items()}
        self.producer.produce(self.topic, value, key="any", headers=headers or None)
        self.producer.poll(0)
        self.count += 1

    def note(self, epoch, kind, **fields):
        self.put(json.dumps({"type": kind, "stream": STREAM, "epoch": epoch, **fields,
                             "node": "n"}), stream=STREAM, epoch=epoch, type=kind, node="n")

    def begin(self, epoch, **start):
        """A barrier, the `epoch` message, and a beacon by which a reader begins right there."""
        self.note(epoch, "barrier", **start, writer="w")
        here = {"stream": STREAM, "epoch": epoch, "seq": self.seq, "record_epoch": epoch - 1,
                "position": self.count}
        self.record(epoch, "epoch", f'"epoch":{epoch},"prev":{{"epoch":0,"seq":0}},"node":"n"}}')
        self.note(epoch, "beacon", seq=self.seq, record_epoch=epoch, position=self.count,
                  barrier=0, start=here)

    def record(self, epoch, kind, body):
        self.seq += 1
        self.put(f'{{"type":"{kind}","seq":{self.seq},{body}', stream=STREAM, epoch=epoch,
                 seq=self.seq, type=kind, node="n")

    def trade(self, epoch):
        self.record(epoch, "trade", '"exchange":"binance","symbol":"BTC-USDT","recv":1700000000000,'
                    f'"id":"{self.seq}","price":"1","size":"1","side":"buy"}}')


@pytest.mark.parametrize("retain, resumed", [("256MiB", True), ("1MiB", False)])
def test_tokens_of_the_last_minute_are_honoured_as_far_as_the_log_holds(broker, retain, resumed):
    leaders, began = Leaders(broker), time.monotonic()
    leaders.begin(1, start=0)
    for _ in range(BEFORE):
        leaders.trade(1)
    token = f"{STREAM}.1.{leaders.seq - 10}"
    leaders.begin(2)
    for _ in range(BEHIND):
        leaders.put(b"foreign")
    leaders.begin(3)
    assert leaders.producer.flush(PATIENCE) == 0
    member = Member("follower-1", {
        "cluster.role": "follower", "kafka.enabled": True, "kafka.brokers": broker.brokers,
        "kafka.topic": leaders.topic, "stream.retain": retain,
        **{f"exchanges.{name}.enabled": False for name in ("binance", "upbit", "bithumb")}})
    try:
        member.start().wait_stream()
        if time.monotonic() - began > 50:
            pytest.skip("it took so long to write that it is no busy topic")
        with websockets.sync.client.connect(member.ws(f"?since={token}"),
                                            open_timeout=PATIENCE) as client:
            hello = json.loads(client.recv(PATIENCE))
        assert hello["stream"] == STREAM, "it does not stand alone yet"
        assert hello["resumed"] is resumed, member.log_tail()
        first = int(member.node.wait_log(msg="reading begins")["offset"])
        assert (leaders.count - first > TAIL) is resumed
        member.node.wait_log(msg="another node leads", node="n", epoch="3")
    finally:
        member.close()
