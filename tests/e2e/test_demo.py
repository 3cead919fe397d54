# SPDX-License-Identifier: Apache-2.0
"""`tickwire demo`: live exchanges when one answers, else simulated ones; and it says which."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import time

import pytest

from browser import Browser, find_browser
from fake_exchange import FakeExchange, binance_trade
from harness import (EXCHANGES, PATIENCE, TICKWIRE, Node, clean_environment, replay, run,
                     wait_until)
from prometheus import Metrics
from stream import Client
from test_tls import Authority, SecureExchange

ANSWER_SECONDS = 5


def at(**urls):
    """Options for these exchanges; the others are where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        nowhere = f"ws://127.0.0.1:{listener.getsockname()[1]}"
    return [part for name in EXCHANGES
            for part in ("--set", f"exchanges.{name}.ws_url={urls.get(name, nowhere)}")]


def demo(*arguments, **options):
    return Node("demo", "--port", "0", "--set", "http.listen=127.0.0.1:1", *arguments, **options)


def hello_of(node):
    with Client(node) as client:
        return client.next()


def assert_simulated(node):
    assert hello_of(node)["simulated"] is True
    assert node.info()["simulated"] is True
    assert node.json("/api/ws/infra-health")["simulated"] is True
    assert node.wait_log(msg="demo")["exchanges"] == "simulated"


def test_live_as_soon_as_one_answers():
    with FakeExchange([binance_trade(7)]) as exchange:
        with demo(*at(binance=exchange.url)) as node, Client(node) as client:
            hello = client.next()
            assert hello["type"] == "hello" and "simulated" not in hello
            client.until(lambda message: message.get("id") == "7")
            assert "simulated" not in node.info()
            assert "simulated" not in node.json("/api/ws/infra-health")
            line = node.wait_log(msg="demo")
            assert line["exchanges"] == "live" and "binance" in line["because"]


def test_simulated_when_none_answers():
    with demo(*at()) as node:
        assert_simulated(node)
        for name in EXCHANGES:
            assert "refused" in node.wait_log(msg="does not answer", exchange=name)["reason"]


def test_five_seconds_are_waited_for_silent_exchanges():
    with contextlib.ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        url = f"ws://127.0.0.1:{silent.getsockname()[1]}"
        begin = time.monotonic()
        node = demo(*at(upbit=url))
        stack.enter_context(silent.accept()[0])
        node.send_signal(signal.SIGHUP)  # waits until there is something to reload
        stack.enter_context(node)
        assert ANSWER_SECONDS - 0.5 < time.monotonic() - begin < ANSWER_SECONDS + PATIENCE
        assert_simulated(node)
        node.wait_log(msg="configuration reloaded")


def test_an_answer_over_tls_counts_only_when_it_is_verified(tmp_path):
    authority = Authority(tmp_path)
    with SecureExchange(authority.issue("exchange"), [binance_trade(7)]) as exchange:
        with demo(*at(binance=exchange.url), environment=authority.environment) as node:
            assert "simulated" not in hello_of(node)
        with demo(*at(binance=exchange.url)) as node:  # the system does not know this authority
            assert_simulated(node)


def test_simulated_asks_nobody_and_has_prices_of_all():
    with FakeExchange() as exchange:
        urls = {name: exchange.url for name in EXCHANGES}
        with demo("--simulated", "--rate", "500", *at(**urls)) as node, Client(node) as client:
            wanted = {(name, kind) for name in EXCHANGES for kind in ("trade", "book", "ticker")}

            def complete(message):
                wanted.discard((message.get("exchange"), message["type"]))
                return not wanted
            client.until(complete)
            assert_simulated(node)
            assert {state["state"] for state in
                    node.json("/api/ws/infra-health")["exchanges"].values()} == {"live"}
        assert not exchange.connections


@pytest.mark.parametrize("start", [lambda *sets: demo("--simulated", *sets), replay])
def test_prices_that_are_not_real_stay_on_this_node(start):
    """A topic and other nodes may hold real ones."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with start("--set", "kafka.enabled=true", "--set", f"kafka.brokers={address}", "--set",
                   "cluster.role=leader", "--set", f"cluster.peers=http://{address}") as node:
            assert hello_of(node)["simulated"] is True
            health = node.json("/api/ws/infra-health")
            assert health["dependencies"]["kafka"]["state"] == "disabled"
            assert len(node.json("/api/v1/cluster")["nodes"]) == 1
        other.settimeout(0)
        with pytest.raises(BlockingIOError):
            other.accept()


def test_a_reload_keeps_the_simulated_exchanges():
    """Their addresses are no settings of the user's, and must not go with a file that is read
    again."""
    text = "exchanges: { upbit: { symbols: [%s] } }\n"
    with demo("--simulated", file=text % "BTC-KRW") as node, Client(node) as client:
        client.until(lambda message: message.get("symbol") == "BTC-KRW"
                     and message["exchange"] == "upbit")
        with open(os.path.join(node.folder, "tickwire.yaml"), "w", encoding="utf-8") as out:
            out.write(text % "BTC-KRW, XRP-KRW")
        node.send_signal(signal.SIGHUP)
        line = node.wait_log(msg="configuration reloaded")
        assert line["keys"] == "exchanges.upbit.symbols" and line["needs_restart"] == ""
        client.until(lambda message: message.get("symbol") == "XRP-KRW"
                     and message["exchange"] == "upbit")
        assert_simulated(node)


@pytest.mark.skipif(find_browser() is None, reason="no Chromium here")
def test_the_page_of_a_simulated_demo():
    with demo("--simulated") as node, Browser() as browser, browser.open(node.url()) as page:
        page.wait('document.getElementById("rows").childElementCount >= 14', "all markets")
        page.wait('document.querySelectorAll("#rows .trades:not(:empty)").length', "drawn")
        assert page.evaluate("document.getElementById('simulated').checkVisibility()")
        page.wait('[...document.querySelectorAll("#rows .trades")].some('
                  'cell => Number(cell.textContent) > 3)', "trades come")
        assert page.errors == []


def lines_of(*arguments):
    """What is printed and logged until Ctrl-C is spoken of."""
    process = subprocess.Popen([TICKWIRE, "demo", *arguments], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, env=clean_environment())
    try:
        lines = []
        while not lines or "Ctrl-C" not in lines[-1]:
            line = process.stdout.readline()
            assert line, "".join(lines)
            lines.append(line)
        return "".join(lines)
    finally:
        process.terminate()
        process.wait(PATIENCE)
        process.stdout.close()


def quiet_port():
    """A free port that the system gives to nobody by itself, so that it stays free."""
    while True:
        port = random.randrange(15000, 30000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def test_what_is_printed_says_which_and_where():
    port = quiet_port()
    printed = lines_of("--simulated", "--port", str(port))
    assert "SIMULATED" in printed and f"open http://127.0.0.1:{port}/\n" in printed
    printed = lines_of("--simulated", "--port", str(port), "--set", "http.listen=[::1]:1")
    assert f"open http://[::1]:{port}/\n" in printed
    with FakeExchange() as exchange:
        printed = lines_of("--port", str(port), *at(upbit=exchange.url))
    assert "live exchanges" in printed and "SIMULATED" not in printed


def test_a_port_in_use_is_said():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        status, printed, errors = run("demo", "--simulated", "--set", f"http.listen={address}")
    assert status == 1 and printed == ""
    assert "already in use" in errors and address in errors and "--port" in errors


@pytest.mark.parametrize("arguments,words", [
    (["--rate", "0"], "1 to 50000"), (["--rate"], "1 to 50000"), (["--rate=many"], "1 to 50000"),
    (["--rate", "50001"], "1 to 50000"), (["--port", "65536"], "0 to 65535"),
    (["--port="], "0 to 65535"), (["--port"], "0 to 65535"), (["--simulate"], "--simulate"),
    (["file"], "unknown argument"), (["-c"], "-c needs a file")])
def test_wrong_usage(arguments, words):
    status, printed, errors = run("demo", *arguments)
    assert status == 2 and printed == "" and words in errors and "help demo" in errors


def test_wrong_settings_end_with_78(tmp_path):
    for arguments in (["--set", "http.lisen=x"], ["-c", str(tmp_path / "missing.yaml")]):
        status, printed, errors = run("demo", "--simulated", *arguments)
        assert status == 78 and printed == "" and errors.startswith("tickwire: ")


def test_the_simulator_keeps_up_with_a_high_rate():
    with demo("--simulated", "--rate", "2000") as node:
        def published():
            return Metrics(node).total("tickwire_published_total")
        wait_until(lambda: published() > 2000, "messages flow")
        assert not node.logged(msg="connection closed, reconnecting")
