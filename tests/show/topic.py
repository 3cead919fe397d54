# SPDX-License-Identifier: Apache-2.0
"""What anybody finds in the topic, by docs/examples/read_topic.py, which knows three lines."""

import json
import os
import sys
import time

from cluster import SLOW_MACHINE
from show import ROOT

sys.path.append(os.path.join(ROOT, "docs", "examples"))

import read_topic  # noqa: E402

TOPIC = "tickwire.market"


class Noting(read_topic.Reader):
    """`texts` {seq: text} of what counts; `fenced` [(epoch, seq, text)] of what would have, had no
    newer epoch begun before it."""

    def __init__(self):
        super().__init__()
        self.texts, self.fenced = {}, []
        self.epoch_behind = 0  # seq behind which the present epoch began

    def take(self, record):
        epoch = self.epoch
        message = super().take(record)
        if self.epoch != epoch:
            self.epoch_behind = self.seq
        headers = dict(record.headers() or [])
        if message is not None:
            self.texts[message["seq"]] = record.value().decode()
        elif "tw-seq" in headers and int(headers["tw-epoch"]) < self.epoch and (
                int(headers["tw-seq"]) > self.epoch_behind):
            self.fenced.append((int(headers["tw-epoch"]), int(headers["tw-seq"]),
                                record.value().decode()))
        return message


def wait_start(broker, stream):
    """A beacon names a place from which on everything of the stream is there: who begins now can go
    on with it when it is to lead."""
    from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
    consumer = Consumer({"bootstrap.servers": broker.brokers, "group.id": "shows",
                         "enable.auto.commit": False})
    consumer.assign([TopicPartition(TOPIC, 0, OFFSET_BEGINNING)])
    deadline = time.monotonic() + SLOW_MACHINE
    try:
        while time.monotonic() < deadline:
            record = consumer.poll(1)
            if record is None or record.error():
                continue
            if dict(record.headers() or []).get("tw-type") == b"beacon" and json.loads(
                    record.value()).get("start", {}).get("stream") == stream:
                return
    finally:
        consumer.close()
    raise AssertionError(f"no beacon of {stream} says where one can begin")


def rebuild(broker, newest):
    """A Noting that has read from the topic's beginning up to that seq, or as far as it goes."""
    from confluent_kafka import OFFSET_BEGINNING, Consumer
    consumer = Consumer({"bootstrap.servers": broker.brokers, "group.id": "shows",
                         "enable.auto.commit": False, "auto.offset.reset": "error"})
    reader = Noting()
    deadline = time.monotonic() + SLOW_MACHINE
    try:
        for message in read_topic.read(consumer, TOPIC, OFFSET_BEGINNING, reader):
            if message is not None:
                deadline = time.monotonic() + SLOW_MACHINE
            if reader.seq >= newest or time.monotonic() > deadline:
                return reader
    finally:
        consumer.close()


def compare(broker, ledger):
    """(figures, problems, the Noting): the topic beside what clients had, one of whom had all but
    the stream's first message."""
    stream = ledger.only_stream()
    newest = ledger.newest(stream)  # at this moment: tickers still come in a quiet market
    had = {seq: text for seq, text in list(ledger.streams[stream].items()) if seq <= newest}
    reader = rebuild(broker, newest)
    texts, problems = reader.texts, []
    if sorted(texts) != list(range(1, newest + 1)):
        problems.append(f"the topic has {min(texts, default=0)}..{max(texts, default=0)}, "
                        f"{len(texts)} messages; clients had 1..{newest}")
    different = [seq for seq in texts if seq in had and texts[seq] != had[seq]]
    if different:
        seq = different[0]
        problems.append(f"{len(different)} differ in the topic: {texts[seq]} {had[seq]}")
    if sorted(had) != list(range(2, newest + 1)):
        problems.append(f"clients had {len(had)} of {newest}")
    return {"messages": len(texts), "dropped_by_rule": reader.dropped,
            "fenced": len(reader.fenced)}, problems, reader
