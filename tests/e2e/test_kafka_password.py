# SPDX-License-Identifier: Apache-2.0
"""A password that is changed in its file, under the same name: SIGHUP is enough, and costs nothing
when it is still the same."""

import json
import os
import signal
import uuid

from kafka import Broker

from cluster import SLOW_MACHINE
from harness import ALONE, LISTEN, Node, wait_until

USER, PASSWORD, FORMER = "tickwire", "a newer horse", "an old horse"


def write_password(folder, password, mode=0o600):
    path = os.path.join(folder, "password")
    with open(path, "w", encoding="utf-8") as file:
        file.write(password + "\n")
    os.chmod(path, mode)
    return path


def configuration(broker, folder):
    path = os.path.join(folder, "tickwire.yaml")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"kafka": {  # JSON is YAML
            "enabled": True, "brokers": broker.brokers, "topic": "t-" + uuid.uuid4().hex,
            "properties": broker.security(USER, "PLAIN"),
            "password_file": write_password(folder, FORMER)}, "cluster": {"role": "leader"}}, file)
    return path


def kafka_of(node):
    return node.json("/api/ws/infra-health")["dependencies"]["kafka"]


def reload(node, opened):
    """SIGHUP. opened: how often a connection has been made anew by then."""
    count = len(node.logged(msg="configuration reloaded"))
    node.send_signal(signal.SIGHUP)
    node.wait_log(count + 1, SLOW_MACHINE, msg="configuration reloaded", changed="0")
    # The line of the next signal comes behind all that this one did.
    node.send_signal(signal.SIGHUP)
    node.wait_log(count + 2, SLOW_MACHINE, msg="configuration reloaded")
    assert len(node.logged(msg="reloaded", what="kafka")) == opened, node.log


def wait_state(node, state):
    wait_until(lambda: kafka_of(node)["state"] == state, lambda: kafka_of(node), SLOW_MACHINE)


def test_a_changed_password_is_read_on_sighup(tmp_path):
    folder = str(tmp_path)
    with Broker(secure=True, users={USER: PASSWORD}) as broker:
        broker.allow("*", [("TOPIC", "*", "ALL")])
        with Node("serve", *LISTEN, *ALONE, "-c", configuration(broker, folder)) as node:
            wait_state(node, "down")
            wait_until(lambda: "uthentication" in (kafka_of(node)["error"] or ""), "it is told",
                       SLOW_MACHINE)
            reload(node, opened=0)  # the same as before
            write_password(folder, PASSWORD, mode=0o644)
            reload(node, opened=1)
            wait_state(node, "up")
            node.wait_log(msg="every user of this machine may read the password")
            wait_until(lambda: node.info()["source"] == "kafka", "Kafka feeds it", SLOW_MACHINE)

            since = kafka_of(node)["since"]
            reload(node, opened=1)
            os.remove(os.path.join(folder, "password"))
            node.send_signal(signal.SIGHUP)
            node.wait_log(msg="the new settings of Kafka are not in force, the old ones are")
            assert (kafka_of(node)["state"], kafka_of(node)["since"]) == ("up", since)
            assert not [word for word in (PASSWORD, FORMER) if word in node.log]
