# SPDX-License-Identifier: Apache-2.0
"""A node that stood alone comes home to a leader that has not seen what it gave its clients: they
are told so, market by market, before the stream changes under them."""

import json
import uuid

from cluster import SLOW_MACHINE, Audience, Cluster
from live import SYMBOLS

from harness import wait_until

NOT_SEEN = "not seen in the cluster's stream"


def of_type(audience, stream, kind):
    return [json.loads(text) for text in audience.ledger.texts(stream)
            if text.startswith(f'{{"type":"{kind}"')]


def wait_live(audience, stream, behind=0):
    return wait_until(lambda: [status["seq"] for status in of_type(audience, stream, "status")
                               if status["state"] == "live" and status["seq"] > behind],
                      "connected", SLOW_MACHINE)[0]


def test_what_the_leader_never_saw_is_declared_where_it_was_delivered(broker):
    with Cluster(broker.brokers, rate=60, exchanges=("binance",),
                 settings={"kafka.topic": "home-" + uuid.uuid4().hex}) as cluster, \
            Audience() as audience:
        cluster.follower.configure(cluster__peers=[])  # the topic tells what was before, a link not
        cluster.start()
        home, _ = cluster.leader.wait_stream()
        client = audience.join(cluster.follower)[0]
        audience.wait_count([client], 20)
        cluster.leader.freeze()
        wait_until(lambda: len(client.hellos) == 2, "it stands alone", SLOW_MACHINE)
        alone = client.stream
        assert alone != home
        before = wait_live(audience, alone)
        cluster.simulator.fault("disconnect", "binance")  # what is traded now the leader never sees
        before = wait_live(audience, alone, before)
        wait_until(lambda: {trade["symbol"] for trade in of_type(audience, alone, "trade")
                            if trade["seq"] > before} == set(SYMBOLS["binance"]),
                   "a trade of each market", SLOW_MACHINE)
        cluster.leader.thaw()
        wait_until(lambda: client.stream == home, "it is home again", SLOW_MACHINE)
        gaps = [gap for gap in of_type(audience, alone, "gap") if gap.get("reason") == NOT_SEEN]
        assert sorted(gap["symbol"] for gap in gaps) == sorted(SYMBOLS["binance"]), \
            cluster.follower.log_tail()
        assert all(gap["channel"] == "trade" and not gap["filled"]
                   and gap["from_ts"] < gap["to_ts"] for gap in gaps)
        assert not [gap for gap in of_type(audience, home, "gap") if gap.get("reason") == NOT_SEEN]
        assert not audience.problems()
        for member in cluster.members:
            member.stop()
