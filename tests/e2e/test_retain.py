# SPDX-License-Identifier: Apache-2.0
"""An outage of the carrier that is longer than stream.retain holds: who operates the node is told
while it lasts, and why clients start over when it ends."""

import uuid

from cluster import SLOW_MACHINE, Cluster
from kafka import Broker

from harness import wait_until


def kafka_of(member):
    return member.health()["dependencies"]["kafka"]


def test_an_outage_longer_than_the_log_says_which_setting():
    with Broker() as broker, Cluster(
            broker.brokers, rate=8000, exchanges=("binance",),
            settings={"kafka.topic": "retain-" + uuid.uuid4().hex,
                      "stream.retain": "1MiB"}) as cluster:
        leader = cluster.leader.start().wait_source("kafka")
        stream, _ = leader.wait_stream()
        assert leader.health()["better"] is None
        assert kafka_of(leader)["rtt_ms"] > 0
        broker.kill()
        leader.wait_source("direct")
        wait_until(lambda: kafka_of(leader)["state"] == "down", "it is down", SLOW_MACHINE)
        assert kafka_of(leader)["rtt_ms"] is None, "that would be of former times"
        assert "stream.retain" not in leader.health()["better"]
        wait_until(lambda: "stream.retain" in leader.health()["better"], "health tells",
                   SLOW_MACHINE)
        assert leader.info()["stream"] == stream, "not yet"
        told = leader.node.wait_log(msg="a new stream will begin when the carrier is back")
        assert "stream.retain" in told["why"] and told["retain_bytes"] == str(1 << 20)
        broker.start()
        leader.wait_source("kafka")
        assert leader.info()["stream"] != stream
        # The newest of these: a machine that was late at first may have had an outage before.
        told = leader.node.logged(msg="this stream can't be gone on with")[-1]
        assert "stream.retain" in told["why"] and told["stream"] == stream
        assert leader.health()["better"] is None
        leader.stop()
