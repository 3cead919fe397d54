# SPDX-License-Identifier: Apache-2.0
"""Whatever Kafka does, a node holds no more for it than at first: the short form of
tests/show/reopenings.py."""

import signal

import pytest
from confluent_kafka import Producer

from cluster import Member
from harness import EXCHANGES, PATIENCE, SANITIZED, wait_until
from kafka import SilentBroker
from watch import Footprint

GROWTH_MAX = 6 * 1024 * 1024
WARM, ATTEMPTS = 3, 12  # connections before the first look, and until the last


def leader(brokers, topic, enabled=True):
    """A Member that collects nothing; a session is all that comes and goes."""
    return Member("leader-1", {"cluster.role": "leader", "kafka.enabled": enabled,
                               "kafka.brokers": brokers, "kafka.topic": topic,
                               "stream.retain": "1MiB",
                               **{f"exchanges.{name}.enabled": False for name in EXCHANGES}})


def kafka_state(member):
    return member.health()["dependencies"]["kafka"]["state"]


def switch(member, on):
    """Not by the log, which tells no more than so many equal lines in a second."""
    member.configure(kafka__enabled=on)
    member.node.send_signal(signal.SIGHUP)
    wait_until(lambda: kafka_state(member) == ("up" if on else "disabled"), f"Kafka is used: {on}")


def check(first, member):
    last = first.wait_no_more(member.node)
    assert not last.exceeds(first), f"{first} at first, {last} at last"
    if not SANITIZED:  # their allocators keep what is freed
        assert last.memory - first.memory < GROWTH_MAX, f"{first} at first, {last} at last"


def fill(broker, topic, count):
    """Records of somebody else: to be looked at by whoever begins there, and passed over."""
    producer = Producer({**broker.client(), "linger.ms": 20, "queue.buffering.max.messages": count})
    for _ in range(count):
        producer.produce(topic, b"x" * 300)
    assert producer.flush(4 * PATIENCE) == 0


# With many records there, hundreds of KB are fetched each time, of which some are thrown away.
@pytest.mark.parametrize("others, rounds", [(0, 100), (100000, 30)])
def test_switched_on_and_off(broker, others, rounds):
    topic = f"reopenings-{others}"
    member = leader(broker.brokers, topic, enabled=False).start()
    try:
        first = Footprint(member.node)
        switch(member, True)  # what the library's code takes once, and the topic
        switch(member, False)
        first = first.wait_no_more(member.node)
        fill(broker, topic, others)
        for _ in range(rounds):
            switch(member, True)
            switch(member, False)
        check(first, member)
        member.stop()
    finally:
        member.close()


def test_a_broker_that_never_answers():
    with SilentBroker() as silent:
        member = leader(silent.brokers, "reopenings").start()
        try:
            wait_until(lambda: silent.count > WARM, "it is tried")
            first, begun = Footprint(member.node), silent.count
            wait_until(lambda: silent.count > begun + ATTEMPTS, "it is tried again and again",
                       4 * PATIENCE)
            assert kafka_state(member) == "down"
            check(first, member)
            member.stop()
        finally:
            member.close()
