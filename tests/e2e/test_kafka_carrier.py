# SPDX-License-Identifier: Apache-2.0
"""The carrier `kafka` by itself, against a real broker that is broken in every way: a leader in
small (tests/tools/carrier_load.c) writes and reads, and says what it sees. Whatever happens, in the
end everything it made was accepted, in order, once: that is its exit status."""

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import time
import uuid

import pytest

from harness import BUILD, PATIENCE, ROOT, wait_until

sys.path.insert(0, os.path.join(ROOT, "tests", "show"))
from forwarder import Forwarder  # noqa: E402
from kafka import Broker, SilentBroker  # noqa: E402

RATE, SECONDS = 500, 6
LOSS = 500  # records, at least, of a tail that gets lost
FAIL_SECONDS = 1.5  # bar; a test fails at ten times that
ENDS_SECONDS = 120  # it says itself what is wrong when it was not done after 60
LATE = "(?i)answer|not acknowledged|do not come|timed out|reached"  # a machine does much else


class Load:
    """A context manager. `lines`: what it has said, with our own time of each. `still_ms`: so long
    it does not look at what its carrier has found, from the first moment on."""

    def __init__(self, brokers, topic=None, seconds=SECONDS, properties=None, still_ms=0):
        self.topic = topic or "load-" + uuid.uuid4().hex
        self.seconds = seconds
        self.lines = []
        orders, write_end = os.pipe()
        self.orders = open(write_end, "w", encoding="ascii")
        if still_ms > 0:
            self.order(str(still_ms))
        self.process = subprocess.Popen(
            [os.path.join(BUILD, "tests", "tools", "carrier_load"), brokers, self.topic, str(RATE),
             str(seconds), *(f"{name}={value}" for name, value in (properties or {}).items())],
            stdin=orders, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        os.close(orders)
        self.log = []
        self.threads = [threading.Thread(target=self._read, daemon=True),
                        threading.Thread(target=self._read_log, daemon=True)]
        for thread in self.threads:
            thread.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.append({"seen": time.monotonic(), **json.loads(line)})

    def _read_log(self):
        for line in self.process.stderr:
            self.log.append(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.orders.close()

    def find(self, since=0, **wanted):
        """The first line from number `since` on that has all of these."""
        return next((line for line in self.lines[since:]
                     if all(line.get(key) == value for key, value in wanted.items())), None)

    def wait(self, what, since=0, seconds=4 * PATIENCE, **wanted):
        wait_until(lambda: self.find(since, **wanted) or self.process.poll() is not None, what,
                   seconds)
        found = self.find(since, **wanted)
        assert found, f"ended instead: {what}\n{self.last_words()}"
        return found

    def wait_position(self, position):
        """It has read so far."""
        wait_until(lambda: any(line.get("position", -1) >= position for line in self.lines[-10:]),
                   lambda: f"it reads up to {position}: {self.lines[-10:]}", 4 * PATIENCE)

    def wait_error(self, text):
        """It says so; before that, on a machine that does much else, maybe something else."""
        wait_until(lambda: any(text in line.get("error", "") for line in self.lines), text,
                   4 * PATIENCE)

    def order(self, text):
        self.orders.write(text + "\n")
        self.orders.flush()

    def begin_anew(self):
        self.order("")

    def last_words(self):
        for thread in self.threads:
            thread.join()
        return "\n".join([f"status {self.process.returncode}", *map(str, self.lines[-10:]),
                          *(line.rstrip()[:400] for line in self.log[-60:])])

    def summary(self):
        """It is told to come to its end, and does so well: all that it made was accepted."""
        self.orders.close()
        wait_until(lambda: self.process.poll() is not None, lambda: f"it ends: {self.lines[-10:]}",
                   ENDS_SECONDS)
        words = self.last_words()
        assert self.process.returncode == 0, words
        last = self.lines[-1]
        assert last["accepted"] == last["made"] >= RATE * self.seconds, words
        return last


@pytest.fixture(scope="module")
def own_broker():
    """One that may be broken."""
    with Broker(doors=1) as running:
        yield running


def fails_in_time(load, since, begun):
    failed = load.wait("it has failed", since, state="failed")
    assert failed["seen"] - begun < 10 * FAIL_SECONDS
    assert failed["error"]
    return failed


def breaks_and_mends(load, broker, break_it, mend):
    """Returns the lines from the break on."""
    load.wait("something was read", first=1)
    since, begun = len(load.lines), time.monotonic()
    break_it()
    fails_in_time(load, since, begun)
    mend()
    if broker.running:
        broker.ready()
    load.wait("it is up again", since, state="up")
    return load.lines[since:]


def test_killed_and_started(own_broker):
    with Load(own_broker.brokers) as load:
        lines = breaks_and_mends(load, own_broker, own_broker.kill, own_broker.launch)
        assert not any("began" in line for line in lines), "what was read last was there"
        load.summary()


def test_stopped_and_continued(own_broker):
    with Load(own_broker.brokers) as load:
        lines = breaks_and_mends(load, own_broker, own_broker.stop, own_broker.cont)
        assert not any("began" in line for line in lines)
        load.summary()


def test_restarted_in_order(own_broker):
    with Load(own_broker.brokers) as load:
        breaks_and_mends(load, own_broker, own_broker.terminate, own_broker.launch)
        load.summary()


def test_a_lost_tail_begins_anew_and_is_written_again(own_broker):
    with Load(own_broker.brokers) as load:
        load.wait("it is up", state="up")
        own_broker.copy_data()
        load.wait_position(own_broker.end_of(load.topic) + LOSS)  # what comes by then is lost

        def mend():
            own_broker.put_back()
            own_broker.launch()

        lines = breaks_and_mends(load, own_broker, own_broker.kill, mend)
        assert any("began" in line for line in lines)
        load.summary()


def test_a_deleted_topic_is_made_again(own_broker):
    with Load(own_broker.brokers) as load:
        since, admin = 0, own_broker.admin()
        for _ in range(3):  # what is being written at that moment differs
            load.wait("it is up", since, state="up")
            since = len(load.lines)
            admin.delete_topics([load.topic])[load.topic].result(PATIENCE)
            fails_in_time(load, since, time.monotonic())
            load.wait("it begins anew", since, began=0)
        load.summary()


def test_more_than_one_partition_is_refused(own_broker):
    from confluent_kafka.admin import NewPartitions, NewTopic
    admin = own_broker.admin()
    admin.create_topics([NewTopic("three", 3, 1)])["three"].result(PATIENCE)
    with Load(own_broker.brokers, "three") as load:
        load.wait_error("topic three has 3 partitions; it must have one")
    with Load(own_broker.brokers) as load:
        load.wait("it is up", state="up")
        grown = admin.create_partitions([NewPartitions(load.topic, 2)])
        grown[load.topic].result(PATIENCE)
        load.wait_error("has 2 partitions")


def test_the_topic_is_as_the_contract_says(own_broker):
    from confluent_kafka.admin import ConfigResource
    with Load(own_broker.brokers) as load:
        load.wait("it is up", state="up")
        admin = own_broker.admin()
        resource = ConfigResource(ConfigResource.Type.TOPIC, load.topic)
        configs = admin.describe_configs([resource])[resource].result(PATIENCE)
        assert {name: configs[name].value for name in (
            "cleanup.policy", "retention.ms", "retention.bytes", "segment.ms",
            "message.timestamp.type", "unclean.leader.election.enable", "max.message.bytes")} == {
                "cleanup.policy": "delete", "retention.ms": str(6 * 3600 * 1000),
                "retention.bytes": str(20 << 30), "segment.ms": "600000",
                "message.timestamp.type": "LogAppendTime",
                "unclean.leader.election.enable": "false",
                "max.message.bytes": str((1 << 20) + (64 << 10))}
        topic = admin.list_topics(load.topic, timeout=PATIENCE).topics[load.topic]
        assert len(topic.partitions) == 1
        assert "__consumer_offsets" not in admin.list_topics(timeout=PATIENCE).topics


HEADERS = {"tw-stream": "tw-x", "tw-epoch": "1", "tw-seq": "1", "tw-type": "trade", "tw-node": "n"}
BEACON = {"type": "beacon", "stream": "tw-x", "epoch": 1, "seq": 1, "position": 0, "barrier": 0,
          "start": {"stream": "tw-x", "epoch": 1, "seq": 1, "position": 10**15}, "node": "n"}
STRANGE = [
    ({}, b"hello"), ({}, None), (HEADERS, None), (HEADERS, b"{}"), (HEADERS, b"\xff" * 1000),
    ({**HEADERS, "tw-epoch": "x" * 5000}, b"{}"), ({**HEADERS, "tw-epoch": "-1"}, b"{}"),
    ({**HEADERS, "tw-seq": "9" * 30}, b"{}"), ({**HEADERS, "tw-stream": "%s%n"}, b"{}"),
    ({f"h{number}": "x" for number in range(500)}, b"{}"), ({"tw-seq": "1"}, b"{}"),
    (HEADERS, b'{"type":"trade","seq":1,' + b" " * (1 << 20) + b"}"),
    *(({**{key: value for key, value in HEADERS.items() if key != "tw-seq"}, "tw-type": kind}, text)
      for kind in ("barrier", "beacon", "state", "unknown")
      for text in (b"", b"{", b"[" * 100000, b"null", json.dumps(BEACON).encode(),
                   b'{"type":"state","seq":1}' + b" " * 600000)),
]


def test_strangers_in_the_topic_are_passed_over(own_broker):
    """Before it begins and while it runs; among them a beacon that says to begin far beyond."""
    from confluent_kafka import Producer
    producer = Producer({**own_broker.client(), "message.max.bytes": 2 << 20})

    def put(topic):
        for headers, value in STRANGE:
            producer.produce(topic, value, headers=list(headers.items()), partition=0)
        assert producer.flush(PATIENCE) == 0

    with Load(own_broker.brokers, seconds=1) as load:
        load.wait("it is up", state="up")
        topic = load.topic
        put(topic)
        load.summary()
    with Load(own_broker.brokers, topic) as load:
        load.wait("it is up", state="up")
        put(topic)
        load.summary()
        errors = [line["error"] for line in load.lines if line.get("state") == "failed"]
        assert all(re.search(LATE, error) for error in errors), errors


def test_a_strangers_open_transaction_keeps_nothing_back(own_broker):
    from confluent_kafka import Producer
    stranger = Producer({**own_broker.client(), "transaction.timeout.ms": 600000,
                         "transactional.id": uuid.uuid4().hex})
    stranger.init_transactions(4 * PATIENCE)
    with Load(own_broker.brokers) as load:
        load.wait("it is up", state="up")
        stranger.begin_transaction()
        stranger.produce(load.topic, b"x", partition=0)
        assert stranger.flush(PATIENCE) == 0
        load.wait_position(own_broker.end_of(load.topic) + LOSS)
        load.summary()
        stranger.abort_transaction(4 * PATIENCE)


@contextlib.contextmanager
def load_that_may(rules):
    """With no more rights than these, to the topic "market" and others."""
    from confluent_kafka.admin import NewTopic
    with Broker(secure=True, users={"somebody": "secret"}) as broker:
        broker.allow("somebody", [("TOPIC", topic, operation) for topic, operation in rules])
        admin = broker.admin()  # must outlive its answers
        admin.create_topics([NewTopic("market", 1, 1)])["market"].result(PATIENCE)
        properties = {**broker.security("somebody", "PLAIN"), "sasl.password": "secret"}
        with Load(broker.brokers, "market", properties=properties) as load:
            yield load


def tries_without_hurry(load, error):
    def told():
        return [line["at_ms"] for line in load.lines if error in line.get("error", "")]
    wait_until(lambda: len(told()) > 1, "it is tried again", 4 * PATIENCE)
    assert told()[1] - told()[0] >= 5000


def test_who_may_not_write_is_told_so():
    """Not `up`: what the producer finds out while a session is made counts as well."""
    with load_that_may([("market", "READ")]) as load:
        load.wait_error("authoriz")
        wait_until(lambda: "authoriz" in load.lines[-1].get("error", ""), "it stays so")
        assert not load.find(state="up")


def test_who_may_write_elsewhere_alone_is_told_so():
    """Such a producer is let in; each record is refused."""
    with load_that_may([("market", "READ"), ("elsewhere", "WRITE")]) as load:
        tries_without_hurry(load, "record was not written")


def test_who_may_not_read_is_told_so():
    """The topic is there, and can be written to; what is in it does not come."""
    with load_that_may([("market", "WRITE")]) as load:
        tries_without_hurry(load, "Topic authorization failed")


def test_a_broker_that_never_answers():
    with SilentBroker() as silent, Load(silent.brokers) as load:
        fails_in_time(load, 0, time.monotonic())
        load.wait_error("answer")


def test_a_broker_that_answers_late(own_broker):
    """Later than any would be waited for at first: it comes back all the same, and stays."""
    with Forwarder(*own_broker.doors[0]) as door, Load(door.address) as load:
        load.wait("it is up", state="up")
        since = len(load.lines)
        door.set("late")
        fails_in_time(load, since, time.monotonic())
        since = len(load.lines)
        load.wait("it is up again", since, state="up")
        load.wait_position(own_broker.end_of(load.topic) + LOSS)
        door.set("pass")
        load.summary()


def test_a_break_does_not_forget_that_it_is_to_begin_anew(own_broker):
    """What was asked for and could not be done is done when the broker is back."""
    with Forwarder(*own_broker.doors[0]) as door, Load(door.address) as load:
        load.wait_position(LOSS)
        door.set("lost")
        since = len(load.lines)
        load.begin_anew()
        fails_in_time(load, since, time.monotonic())
        door.set("pass")
        load.wait("it begins anew", since, began=0)
        load.wait("it is up", since, state="up")
        load.summary()


def test_a_session_that_is_gone_before_it_is_looked_at(own_broker):
    """Who was busy so long does not take the topic for an empty one."""
    with Load(own_broker.brokers, seconds=1) as former:
        former.summary()
    still_ms = 8000  # longer than it takes to find that a broker is gone
    with Forwarder(*own_broker.doors[0]) as door, \
            Load(door.address, former.topic, still_ms=still_ms) as load:
        load.wait("there is a session", woken=1)
        door.set("silent")
        load.wait("it has failed", state="failed")
        assert not any("began" in line for line in load.lines), load.lines
        door.set("pass")
        load.wait("it begins", began=0)
        load.wait("it is up", state="up")
        load.summary()


def test_a_session_that_is_looked_at_late(own_broker):
    """Who was busy meanwhile knows still where the topic begins."""
    from confluent_kafka import TopicPartition
    with Load(own_broker.brokers, seconds=1) as former:
        former.summary()
    admin, begin = own_broker.admin(), own_broker.end_of(former.topic) // 2
    deleted = admin.delete_records([TopicPartition(former.topic, 0, begin)])
    next(iter(deleted.values())).result(PATIENCE)
    with Load(own_broker.brokers, former.topic, still_ms=4000) as load:  # several looks at it
        load.wait("there is a session", woken=1)
        load.wait("it is up", state="up")
        load.summary()
        assert not any("not in the topic" in line.get("error", "") for line in load.lines)


def test_nobody_there():
    """The library says why once in a while; until then it stays the reason."""
    with Load("127.0.0.1:1") as load:
        fails_in_time(load, 0, time.monotonic())
        load.wait_error("Connection refused")
        time.sleep(3)  # some attempts
        assert "Connection refused" in load.lines[-1]["error"]
        assert "identical" not in load.lines[-1]["error"]
