# SPDX-License-Identifier: Apache-2.0
"""Commands that end by themselves, and where settings come from."""

import re
import socket

import pytest

from harness import ALONE, Node, run


def effective(text):
    """{key: value} of what `check` prints: YAML of two spaces a level, comments at the end."""
    values, path = {}, []
    for line in text.splitlines():
        match = re.match(r"( *)([\w.]+):(?: (.*?))?(?:\s+#.*)?$", line)
        if match is None:
            continue
        depth = len(match[1]) // 2
        path = path[:depth] + [match[2]]
        if match[3]:
            values[".".join(path)] = match[3].strip('"')
    return values


def test_help_and_version():
    status, output, _ = run("help")
    assert status == 0
    for command in ("serve", "replay", "tail", "check", "bench", "version", "help"):
        assert re.search(rf"^  {command} ", output, re.M)
        status, own, _ = run("help", command)
        assert status == 0 and own.startswith(f"usage: tickwire {command}")
    status, output, _ = run("version")
    assert status == 0 and re.fullmatch(r"tickwire \d+\.\d+\.\d+\S*\n", output)


def test_the_stronger_source_wins(tmp_path):
    file = tmp_path / "tickwire.yaml"
    file.write_text("stream: { heartbeat: 1s, max_lag: 1s, book_depth: 1, retain: 2MiB }\n")
    status, output, errors = run(
        "check", "-c", str(file), "--set", "stream.heartbeat=3s", "--set", "stream.heartbeat=4s",
        environment={"TICKWIRE_STREAM_HEARTBEAT": "2s", "TICKWIRE_STREAM_MAX_LAG": "2s"})
    assert status == 0, errors
    values = effective(output)
    assert values["stream.heartbeat"] == "4s", "the last --set"
    assert values["stream.max_lag"] == "2s", "the environment"
    assert values["stream.book_depth"] == "1", "the file"
    assert values["http.max_clients"] == "5000", "the default"


def test_what_check_prints_is_a_configuration(tmp_path):
    status, output, _ = run("check", "--set", "node.id=gw-1", "--set", "stream.retain=3MiB",
                            "--set", "exchanges.upbit.symbols=BTC-KRW,ETH-BTC")
    assert status == 0
    file = tmp_path / "tickwire.yaml"
    file.write_text(output)
    status, again, errors = run("check", "-c", str(file))
    assert status == 0, errors
    assert effective(again) == effective(output)
    assert effective(again)["node.id"] == "gw-1"


def test_empty_file_and_comments(tmp_path):
    for text in ("", "# nothing\n", "---\n", "http:\n  # listen: x\n", "\ufeffhttp: {}\n"):
        file = tmp_path / "tickwire.yaml"
        file.write_text(text, encoding="utf-8")
        assert run("check", "-c", str(file))[0] == 0, text


def test_settings_of_a_file_are_used():
    with Node("serve", *ALONE, file="http: { listen: \"127.0.0.1:0\" }\nnode: { id: of-file }\n"
              "stream: { heartbeat: 100ms }\n") as node:
        assert node.info()["node"] == "of-file"


def test_settings_of_the_environment_are_used():
    with Node("serve", *ALONE, environment={"TICKWIRE_HTTP_LISTEN": "localhost:0",
                                            "TICKWIRE_NODE_ID": "of-environment"}) as node:
        assert node.info()["node"] == "of-environment"


def test_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    node = Node("serve", *ALONE, "--set", "http.listen=[::1]:0").start()
    try:
        with socket.create_connection(("::1", node.port)) as connection:
            connection.sendall(f"GET /ws/info HTTP/1.1\r\nHost: [::1]:{node.port}\r\n"
                               "Connection: close\r\n\r\n".encode())
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        assert f'"ws://[::1]:{node.port}/ws/exchange"'.encode() in answer
    finally:
        node.stop()


@pytest.mark.parametrize("command", [["check"], ["serve"], ["replay", "nothing"]])
def test_wrong_configurations_end_with_78(tmp_path, command):
    file = tmp_path / "tickwire.yaml"
    file.write_text("htttp: {}\n")
    for arguments in (["--set", "redis.enabled=true"], ["-c", str(file)],
                      ["-c", str(tmp_path / "missing.yaml")]):
        status, output, errors = run(*command, *arguments)
        assert status == 78 and output == "" and errors.startswith("tickwire: "), errors


@pytest.mark.parametrize("text,words", [
    ("", "no messages"), ("garbage\n", "not a line of a recording"), ("[]\n", "not a line"),
    ('{"raw":"x"}\n', "give --exchange"), ('{"raw":"x","exchange":"mtgox"}\n', "mtgox"),
    ('{"raw":1}\n{"event":"connect","raw":"x"}\n', "no messages")])
def test_wrong_recordings(tmp_path, text, words):
    file = tmp_path / "recording.jsonl"
    file.write_text(text)
    status, output, errors = run("replay", str(file), "--set", "http.listen=127.0.0.1:0")
    assert status == 1 and output == "" and words in errors, errors
