# SPDX-License-Identifier: Apache-2.0
"""The page at /, in a real Chromium: what it shows is what the stream said."""

import json
import os
import signal
import socket
from decimal import Decimal

import pytest

from browser import Browser, find_browser
from fake_exchange import FakeExchange, binance_trade
from harness import ALONE, BUILD, EXCHANGES, LISTEN, PATIENCE, Node, replay, serve, wait_until
from proxy import Proxy
from reference import last_books, published
from stream import Client, collect_played

pytestmark = pytest.mark.skipif(find_browser() is None, reason="no Chromium here")

MANY = 820  # rows
HEARTBEAT = ("--set", "stream.heartbeat=200ms")

# All rows as texts: {"upbit BTC-KRW": {"last": "116209162", ...}}
TABLE = """Object.fromEntries([...document.querySelectorAll("#rows tr")].map(line =>
    [line.dataset.key, Object.fromEntries([...line.children].map(cell =>
        [cell.className.split(" ")[0], cell.textContent]))]))"""


@pytest.fixture(scope="module")
def browser():
    with Browser() as one:
        yield one


def text_of(page, name):
    return page.evaluate(f'document.getElementById("{name}").textContent')


def cell(key, column):
    return (f'(document.querySelector(`[data-key="{key}"] .{column}`)?.textContent ?? "")')


def state_of(exchange):
    return (f'(document.querySelector(`#exchanges [data-name="{exchange}"] .state`)'
            '?.textContent ?? "")')


def wait_state(page, *states):
    return page.wait(f'{json.dumps(states)}.includes(document.getElementById("state").textContent)'
                     ' && document.getElementById("state").textContent', f"the page is {states}",
                     2 * PATIENCE)


def without_lost_connections(errors):
    """A browser itself logs each WebSocket that cannot be opened; nothing else may be there."""
    return [error for error in errors if "WebSocket connection to" not in error]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_what_is_shown_is_what_was_recorded(browser, played):
    """Compared with the recording, read by Python's own json and Decimal, and with the texts of
    the stream."""
    trades, volumes = {}, {}
    for event in published():
        key = f"{event['exchange']} {event['symbol']}"
        if event["type"] == "trade":
            trades[key] = event["price"], event["size"]
        elif event["type"] == "ticker":
            volumes[key] = event["volume"]
    books = {f"{exchange} {symbol}": (max(bids), min(asks))
             for (exchange, symbol), (bids, asks) in last_books().items()}
    said = {f"{message['exchange']} {message['symbol']}": message["price"]
            for message in played.sequenced if message["type"] == "trade"}
    with browser.open(played.node.url()) as page:
        page.wait(f'document.getElementById("seq").textContent === "{played.last}"'
                  ' && document.getElementById("rows").childElementCount', "the page has it all")
        table = page.evaluate(TABLE)
        assert set(table) == set(books)
        for key, row in table.items():
            assert (row["exchange"], row["symbol"]) == tuple(key.split())
            assert (Decimal(row["last"]), Decimal(row["size"])) == trades[key], key
            assert (Decimal(row["bid"]), Decimal(row["ask"])) == books[key], key
            assert Decimal(row["volume"]) == volumes[key], key
            assert row["last"] == said[key], "as the stream spells it"
        assert page.evaluate("document.getElementById('simulated').checkVisibility()")
        assert "simulated" in page.evaluate("document.title")
        info = played.node.info()
        for name in ("node", "mode", "source", "stream"):
            assert text_of(page, name) == info[name]
        assert text_of(page, "epoch") == str(info["epoch"])
        assert [page.evaluate(state_of(name)) for name in EXCHANGES] == ["live"] * 3
        page.screenshot(os.path.join(BUILD, "page.png"))
        assert page.errors == []


def test_the_node_without_simulated_prices_says_nothing_of_them(browser, quiet):
    with browser.open(quiet.url()) as page:
        wait_state(page, "live")
        assert not page.evaluate("document.getElementById('simulated').checkVisibility()")
        page.wait('document.getElementById("node").textContent === "quiet-1"', "hello is drawn")
        assert page.errors == []


def test_rows_appear_and_change(browser):
    with FakeExchange([binance_trade(1, price="100.50")]) as exchange:
        with serve(*HEARTBEAT, exchanges={"binance": exchange.url}) as node, \
                browser.open(node.url()) as page:
            last, trades = cell("binance BTC-USDT", "last"), cell("binance BTC-USDT", "trades")
            page.wait(last + ' === "100.5"', "a row appears")
            first = int(page.evaluate(trades))
            exchange.send(binance_trade(2, price="9999999999.00000010"))
            page.wait(last + ' === "9999999999.0000001"', "its price changes, exactly")
            assert int(page.evaluate(trades)) == first + 1
            exchange.send(binance_trade(1, symbol="ETHUSDT", price="2000"))
            page.wait(cell("binance ETH-USDT", "last") + ' === "2000"', "another row")
            assert list(page.evaluate(TABLE)) == ["binance BTC-USDT", "binance ETH-USDT"]
            assert page.errors == []


def test_books_follow_snapshots_updates_and_removals(browser):
    def book(number, bids, asks):
        return json.dumps({"stream": "btcusdt@depth20@100ms", "data": {
            "lastUpdateId": number, "bids": bids, "asks": asks}})

    bid, ask = cell("binance BTC-USDT", "bid"), cell("binance BTC-USDT", "ask")
    first = book(1, [["9.5", "1"], ["9", "1"]], [["10", "1"], ["10.5", "2"]])
    with FakeExchange([first]) as exchange:
        with serve(*HEARTBEAT, exchanges={"binance": exchange.url}) as node, \
                browser.open(node.url()) as page:
            page.wait(f'{bid} === "9.5" && {ask} === "10"', "the snapshot's best")
            # Nearer than a double can tell apart.
            exchange.send(book(2, [["9.50000000000000001", "1"], ["9.5", "1"]], [["10.5", "2"]]))
            page.wait(f'{bid} === "9.50000000000000001" && {ask} === "10.5"', "its change")
            exchange.send(book(3, [["9", "1"]], [["10", "1"], ["10.5", "2"]]))
            page.wait(f'{bid} === "9" && {ask} === "10"', "removals")
            assert page.errors == []


def test_an_exchange_that_goes_down_is_shown_and_comes_back(browser):
    with FakeExchange([binance_trade(1)]) as exchange:
        with serve(*HEARTBEAT, exchanges={"binance": exchange.url}) as node, \
                browser.open(node.url()) as page:
            page.wait(state_of("binance") + ' === "live"', "live")
            exchange.stop_listening()
            page.wait(state_of("binance") + ' !== "live"', "down is shown")
            reason = page.evaluate('document.querySelector(`[data-name="binance"]`).textContent')
            assert "(" in reason, reason
            exchange.listen_again()
            page.wait(state_of("binance") + ' === "live"', "live again", 2 * PATIENCE)
            assert page.errors == []


def test_a_cut_connection_is_resumed_and_the_table_stays(browser):
    with FakeExchange([binance_trade(1)]) as exchange:
        with serve(*HEARTBEAT, exchanges={"binance": exchange.url}) as node, \
                Proxy(node.port) as proxy:
            with browser.open(f"http://127.0.0.1:{proxy.port}/") as page:
                last = cell("binance BTC-USDT", "last")
                page.wait(last + ' === "100.5"', "a row")
                page.wait('document.getElementById("state").textContent === "live"', "live")
                page.evaluate('document.querySelector("#rows tr").id = "the-same"; 0')
                seq = int(text_of(page, "seq"))
                proxy.cut()
                exchange.send(binance_trade(2, price="101"))
                wait_state(page, "resumed")
                page.wait(last + ' === "101"', "what came meanwhile")
                assert page.evaluate('document.querySelectorAll("#the-same").length') == 1
                assert int(text_of(page, "seq")) == seq + 1
                assert "nothing was missed" in text_of(page, "why")
                assert page.evaluate("document.getElementById('notices-section').hidden")
                assert without_lost_connections(page.errors) == []
            assert any(b"since=" in head for head in proxy.heads)


def test_a_node_that_is_killed_and_started_again(browser):
    port = free_port()
    listen = ("--set", f"http.listen=127.0.0.1:{port}")
    with FakeExchange([binance_trade(1)]) as exchange:
        only = ["--set", f"exchanges.binance.ws_url={exchange.url}", *ALONE, "--set",
                "exchanges.binance.enabled=true"]
        first = Node("serve", *listen, *HEARTBEAT, *only).start()
        try:
            page = browser.open(first.url())
            with page:
                last = cell("binance BTC-USDT", "last")
                page.wait(last + ' === "100.5"', "a row")
                stream = text_of(page, "stream")
                first.send_signal(signal.SIGKILL)
                first.wait()
                wait_state(page, "reconnecting")
                assert page.evaluate(last) == "100.5", "what is known stays while it is away"
                with Node("serve", *listen, *HEARTBEAT, *only):
                    wait_state(page, "live")
                    exchange.wait_connection(2)
                    exchange.send(binance_trade(2, price="102"))
                    page.wait(last + ' === "102"', "it goes on")
                    assert text_of(page, "stream") != stream
                    assert without_lost_connections(page.errors) == []
        finally:
            first.close()


# What a node says that is not easily made to happen; the page's own code takes it as if it had
# come.
def said(page, **message):
    page.evaluate(f"read({json.dumps(json.dumps(message))}); 0")


def test_stale_symbols_gaps_and_holes_are_told(browser, quiet):
    with browser.open(quiet.url()) as page:
        wait_state(page, "live")
        page.wait('document.getElementById("seq").textContent !== "–"', "hello")
        seq = int(text_of(page, "seq"))
        common = {"exchange": "upbit", "symbol": "BTC-KRW"}
        said(page, type="trade", seq=seq + 1, **common, recv=1, id="1", price="5", size="1",
             side="buy")
        said(page, type="book", seq=seq + 2, **common, recv=1, action="snapshot",
             bids=[["4", "1"]], asks=[["6", "1"]])
        said(page, type="status", seq=seq + 3, **common, channel="trade", state="stale",
             reason="REST shows newer trades")
        page.wait('document.querySelector("#stale")?.textContent.includes("REST shows newer")',
                  "a stale symbol, and why")
        assert page.evaluate('document.querySelector("#rows tr").classList.contains("stale")')
        said(page, type="status", seq=seq + 4, **common, channel="trade", state="live")
        page.wait('document.getElementById("stale-section").hidden', "it is up to date again")
        assert page.evaluate(cell("upbit BTC-KRW", "bid")) == "4"
        said(page, type="gap", seq=seq + 5, **common, channel="book", filled=False,
             reason="connection lost")
        page.wait(cell("upbit BTC-KRW", "bid") + ' === ""', "the book is forgotten")
        said(page, type="gap", seq=seq + 6, **common, channel="trade", filled=True, missing=3)
        said(page, type="later", seq=seq + 7, **common)  # a type that is not known yet
        said(page, type="trade", seq=seq + 9, **common, recv=1, id="2", price="5", size="1",
             side="sell")
        said(page, type="skipped", **{"from": seq + 10, "to": seq + 90})
        page.evaluate('read("{\\"type\\":"); 0')
        told = page.evaluate('[...document.querySelectorAll("#notices li")].map('
                             'item => item.textContent).reverse()')
        for text, words in zip(told, ("connection lost", "3 messages", f"messages {seq + 8} to "
                                      f"{seq + 8} did not come", "too slow", "cannot be read"),
                               strict=True):
            assert words in text, told
        assert page.errors == []


def test_prices_are_compared_exactly(browser, quiet):
    """`compare` of the page against Python's Decimal."""
    prices = ["0", "1", "2", "10", "9.5", "9.50000000000000001", "9.49999999999999999",
              "123456789012345678", "123456789012345677", "0.000000000000000001",
              "0.00000000000000001", "84000.1", "84000.11"]
    with browser.open(quiet.url()) as page:
        signs = page.wait(f"typeof compare === 'function' && (p => p.map(a => p.map(b => "
                          f"Math.sign(compare(a, b)))))({json.dumps(prices)})", "loaded")
        assert signs == [[(Decimal(a) > Decimal(b)) - (Decimal(a) < Decimal(b)) for b in prices]
                         for a in prices]


def test_the_filter_and_the_keyboard(browser, played):
    visible = ('[...document.querySelectorAll("#rows tr")].filter(line => !line.hidden)'
               '.map(line => line.dataset.key)')
    with browser.open(played.node.url()) as page:
        page.wait('document.getElementById("rows").childElementCount === 14', "all rows")
        stops = []
        while "filter" not in stops and len(stops) < 3:  # before it at most the notices
            page.call("Input.dispatchKeyEvent", type="keyDown", key="Tab", code="Tab",
                      windowsVirtualKeyCode=9)
            stops.append(page.evaluate("document.activeElement.id"))
        assert stops[-1] == "filter", stops
        page.call("Input.insertText", text="upbit btc, XRP-usdt")
        page.wait(visible + ".length < 14", "fewer rows")
        assert all("upbit" in key or "BTC" in key or key == "binance XRP-USDT"
                   for key in page.evaluate(visible))
        page.evaluate('document.getElementById("filter").select(); 0')
        page.call("Input.insertText", text="usdt-krw")
        page.wait(visible + ".length === 2", "USDT-KRW of both")
        names = {(each["role"]["value"], each["name"]["value"])
                 for each in page.call("Accessibility.getFullAXTree")["nodes"]
                 if each.get("name", {}).get("value") and "role" in each}
        assert {("region", "prices"), ("columnheader", "last trade"), ("rowheader", "USDT-KRW"),
                ("searchbox", "Show only"), ("list", "Exchanges")} <= names


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark(browser, played, scheme):
    with browser.open("about:blank") as page:
        page.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": scheme}])
        page.go(played.node.url())
        page.wait('document.getElementById("rows")?.childElementCount === 14', "all rows")
        style = "getComputedStyle(document.body)"
        back, text = (sum(map(int, page.evaluate(f"{style}.{name}.match(/\\d+/g).slice(0, 3)")))
                      for name in ("backgroundColor", "color"))
        assert (back > text) == (scheme == "light") and abs(back - text) > 400
        page.screenshot(os.path.join(BUILD, f"page-{scheme}.png"))


def test_many_rows_at_a_high_rate(browser):
    """More than 800 rows and thousands of trades a second: every message is taken, and the page
    goes on drawing."""
    names = [f"A{number}" for number in range(MANY)]
    symbols = ", ".join(name + "-USDT" for name in names)
    file = ("http: { listen: \"127.0.0.1:0\" }\nstream: { heartbeat: 200ms }\nexchanges:\n"
            "  upbit: { enabled: false }\n  bithumb: { enabled: false }\n"
            "  binance: { channels: [trade], ws_url: \"%s\", symbols: [" + symbols + "] }\n")
    greeting = [binance_trade(1, name + "USDT", price="1") for name in names]
    with FakeExchange(greeting) as exchange, Node("serve", file=file % exchange.url) as node, \
            browser.open(node.url()) as page, Client(node, "?snapshot=0") as client:
        page.wait(f'document.getElementById("rows").childElementCount === {MANY}', "all rows")
        page.evaluate("""(() => { const seen = window.seen = {frames: 0, worst: 0}; let before = 0;
            const step = now => { if (before) { seen.frames++;
                seen.worst = Math.max(seen.worst, now - before); } before = now;
                requestAnimationFrame(step); }; requestAnimationFrame(step); })()""")
        for turn in range(2, 12):
            async def send(turn=turn):
                connection = exchange.connections[-1]
                for name in names:
                    await connection.send(binance_trade(turn, name + "USDT", price=str(turn)))
            exchange.call(send())
        client.until(lambda message: message["type"] == "trade" and message["price"] == "11"
                     and message["symbol"] == names[-1] + "-USDT", 4 * PATIENCE)
        page.wait(f'document.getElementById("seq").textContent >= {client.seq}', "it has caught up",
                  2 * PATIENCE)
        seen = page.evaluate("seen")
        lasts = {row["last"] for row in page.evaluate(TABLE).values()}
        assert lasts == {"11"} and text_of(page, "shown") == str(MANY)
        assert page.evaluate("document.getElementById('notices-section').hidden")
        print(f"frames {seen['frames']}, longest {seen['worst']:.0f} ms")
        assert seen["frames"] > 5 and seen["worst"] < 1000 * PATIENCE / 5, seen
        assert page.errors == []
