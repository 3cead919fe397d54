# SPDX-License-Identifier: Apache-2.0
"""A broker that wants TLS, a password, and has ACLs: docs/kafka.md says what a node needs, and that
is enough. What is wrong is told in the log and in /api/ws/infra-health, without the secret, while
the node serves without Kafka.

Of the ACLs in the document none may be taken away (not with --ci). SCRAM is shown where librdkafka
can do it: before 2.6.1 it can't with brokers from Kafka 4 on, and 3.9 takes its place (not with
--ci)."""

import ctypes
import json
import os
import re
import tempfile

from kafka import Broker, make_authority
from live import Live
from show import IN_CI, ROOT, attempt, conclude, say

from harness import wait_until
from stream import Client

USER, PASSWORD, WRONG = "tickwire", "correct horse battery", "wrong horse battery"
TOPIC = "tickwire.market"
SECONDS = 120  # until an error is known, or the carrier feeds, on a slow machine
SCRAM = ["SCRAM-SHA-512", "SCRAM-SHA-256"]
SCRAM_SINCE = 0x020601  # of librdkafka, with any broker: before, it sent a wrong nonce
LENIENT = "3.9.2"  # of Kafka: does not mind
LOG_LINES_MAX = 40  # about Kafka, of a node that is refused all the time


def documented_rules():
    """[("TOPIC", name, "READ"), ...]: the node's ACLs, as docs/kafka.md has them."""
    with open(os.path.join(ROOT, "docs", "kafka.md"), encoding="utf-8") as file:
        command = re.search(r"kafka-acls\.sh .*--allow-principal User:tickwire(.*)", file.read())
    words = command.group(1).split()
    assert words[:2] == ["--topic", TOPIC], words
    names = {"DESCRIBECONFIGS": "DESCRIBE_CONFIGS", "ALTERCONFIGS": "ALTER_CONFIGS"}
    operations = [after.upper() for word, after in zip(words, words[1:]) if word == "--operation"]
    return [("TOPIC", TOPIC, names.get(operation, operation)) for operation in operations]


class Secret:
    """A file with a password."""

    def __init__(self, folder, password):
        self.path = os.path.join(folder, re.sub(r"\W", "-", password))
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(password + "\n")


def configuration(broker, secret, mechanism="PLAIN", **changes):
    """tickwire.yaml of a node of this broker."""
    properties = {**broker.security(USER, mechanism),
                  **{name.replace("_", "."): value for name, value in changes.items()}}
    return json.dumps({"kafka": {  # JSON is YAML
        "enabled": True, "brokers": broker.brokers, "topic": TOPIC, "properties": properties,
        "password_file": secret.path}, "cluster": {"role": "leader"}})


def kafka_of(node):
    return node.json("/api/ws/infra-health")["dependencies"]["kafka"]


def has_data(node):
    wait_until(lambda: node.get("/readyz")[0] == 200, "it serves")
    with Client(node) as client:
        client.until_type("trade")


def secrets_told(node, health):
    text = "\n".join(node.lines) + json.dumps(health)
    return [word for word in (PASSWORD, WRONG) if word in text]


def show_good(live, file, name):
    """The carrier feeds it; returns problems."""
    node = live.start_node(file=file)
    try:
        try:
            wait_until(lambda: node.info()["source"] == node.info()["mode"] == "kafka", "", SECONDS)
        except AssertionError:
            return [f"{name}: Kafka does not feed the node: {kafka_of(node)}"]
        has_data(node)
        try:
            wait_until(lambda: (kafka_of(node)["state"], kafka_of(node)["error"]) == ("up", None),
                       "", SECONDS)
        except AssertionError:
            return [f"{name}: {kafka_of(node)}"]
        return [f"{name}: told a secret: {word}" for word in secrets_told(node, kafka_of(node))]
    finally:
        live.stop_node(node)


def show_bad(live, file, name, pattern):
    """(what is told, problems)"""
    node = live.start_node(file=file)
    try:
        def told():
            return re.search(pattern, kafka_of(node)["error"] or "", re.IGNORECASE)

        try:
            wait_until(told, "", SECONDS)
        except AssertionError:
            return None, [f"{name}: /{pattern}/ is not told: {kafka_of(node)}"]
        has_data(node)
        problems = []
        try:
            wait_until(told, "", SECONDS)
        except AssertionError:
            problems.append(f"{name}: /{pattern}/ is not told any more: {kafka_of(node)}")
        health = kafka_of(node)
        if health["state"] == "up" or node.info()["source"] != "direct":
            problems.append(f"{name}: {health}, {node.info()}")
        lines = [line for line in node.lines if "kafka" in line.lower()]
        if not any(re.search(pattern, line, re.IGNORECASE) for line in lines):
            problems.append(f"{name}: /{pattern}/ is not in the log: {lines[-3:]}")
        if len(lines) > LOG_LINES_MAX:
            problems.append(f"{name}: {len(lines)} lines of log")
        problems += [f"{name}: told a secret: {word}" for word in secrets_told(node, health)]
        return health["error"], problems
    finally:
        live.stop_node(node)


def show_refused(live, broker, folder):
    """({case: what is told}, problems)"""
    right, wrong = Secret(folder, PASSWORD), Secret(folder, WRONG)
    stranger = make_authority(folder, "stranger")
    cases = [("wrong password", configuration(broker, wrong), "authentication"),
             ("another authority", configuration(broker, right, ssl_ca_location=stranger),
              "certificate"),
             ("no TLS", configuration(broker, right, security_protocol="sasl_plaintext"), ".")]
    told, problems = {}, []
    for name, file, pattern in cases:
        told[name], found = show_bad(live, file, name, pattern)
        say(f"kafka-secure: {name}: {told[name]}")
        problems += found
    return told, problems


def show_rules(live, rules, folder):
    """Without each of them, on a broker where there is no topic yet: ({rule: what is told},
    problems)"""
    told, problems = {}, []
    for left_out in rules:
        name = f"without {left_out[2]}"
        with Broker(secure=True, users={USER: PASSWORD}) as broker:
            broker.allow(USER, [rule for rule in rules if rule != left_out])
            told[name], found = show_bad(
                live, configuration(broker, Secret(folder, PASSWORD)), name, "authoriz")
        say(f"kafka-secure: {name}: {told[name]}")
        problems += found
    return told, problems


def show_scram(live, rules, folder):
    """(figures, problems)"""
    linked = ctypes.CDLL("librdkafka.so.1").rd_kafka_version() >> 8
    version = "" if linked >= SCRAM_SINCE else LENIENT
    problems = []
    with Broker(secure=True, users={USER: PASSWORD}, version=version) as broker:
        broker.allow(USER, rules)
        for mechanism in SCRAM:
            problems += show_good(
                live, configuration(broker, Secret(folder, PASSWORD), mechanism), mechanism)
            say(f"kafka-secure: {mechanism}")
    return {"librdkafka": f"{linked:06x}", "kafka": version or "of the tests",
            "mechanisms": SCRAM}, problems


def run(folder):
    rules, problems, figures = documented_rules(), [], {}
    with Live(rate=300) as live:
        live.stop_node(live.node)
        with Broker(secure=True, users={USER: PASSWORD}) as broker:
            figures["refused"], found = show_refused(live, broker, folder)  # nothing is allowed
            problems += found
            broker.allow(USER, rules)
            problems += show_good(live, configuration(broker, Secret(folder, PASSWORD)), "PLAIN")
            say("kafka-secure: PLAIN")
        figures["rules"] = [operation for _, _, operation in rules]
        if not IN_CI:
            figures["scram"], found = show_scram(live, rules, folder)
            problems += found
            figures["without"], found = show_rules(live, rules, folder)
            problems += found
    return figures, problems


def run_in_folder():
    with tempfile.TemporaryDirectory() as folder:
        return run(folder)


def main():
    conclude("kafka-secure", *attempt(run_in_folder))


if __name__ == "__main__":
    main()
