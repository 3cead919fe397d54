# SPDX-License-Identifier: Apache-2.0
"""No limit of an exchange is broken: the simulator enforces the exchanges' own and counts.

Three simulators at the same time:

- restarts: two connections to each exchange; the node is started ten times, twice by kill -9, and
  after each start all connections are cut twice; it is banned (429, 418), there is maintenance, and
  it is started again in the middle of a ban. What it may do is kept in node.state_file.
- many: 200 symbols x 3 channels of each exchange, two connections; symbols and channels changed by
  SIGHUP again and again while requests are still being sent; all connections cut; all markets
  halted, so that there is much to ask by REST.
- control: a client that breaks limits is counted, each under its name. Else nothing is shown.

    LIMITS_RESTARTS  default 10
    LIMITS_CHANGES   reloads (default 20)
    LIMITS_ONLY      of the three: "many,control"
    LIMITS_LOG       log.level of the node of `many`
"""

import concurrent.futures
import contextlib
import json
import os
import signal
import time

import websockets.exceptions
from websockets.sync.client import connect

from live import EXCHANGES, PATIENCE, Follower, Live, Node, now_us
from harness import wait_until
from show import end, say
from simulator import Simulator

RESTARTS = int(os.environ.get("LIMITS_RESTARTS", "10"))
CHANGES = int(os.environ.get("LIMITS_CHANGES", "20"))
CUTS = 2  # after each start
SYMBOLS = 200
QUIET_S = 12
RELOAD_S = 0.06  # between two
STALE_AFTER_S = 4
LONG_S = 60  # for what waits behind budgets and backoff
TWO = [f"exchanges.{name}.connections=2" for name in EXCHANGES]


@contextlib.contextmanager
def telling_log(live):
    """The node's last lines of log, when something is not as it should be."""
    try:
        yield
    except AssertionError:
        say("\n".join(line for node in live.nodes for line in node.lines[-400:]
                      if "msg=status" not in line))
        say(json.dumps(live.stats()))
        raise


def connections(live):
    return {name: venue["connections"] for name, venue in live.stats()["venues"].items()}


def connects(live):
    return {name: venue["connects"] for name, venue in live.stats()["venues"].items()}


def judge(what, live):
    stats = live.stats()
    problems = []
    if stats["limits_broken_total"]:
        problems.append(f"{what}: {live.limits_broken()}")
    figures = {"limits_broken_total": stats["limits_broken_total"]}
    for name, venue in stats["venues"].items():
        figures[name] = {key: venue[key] for key in ("connects", "messages_in", "rest_requests")}
    return figures, problems


# ---- restarts ----

def all_connected(live, count=2):
    wait_until(lambda: set(connections(live).values()) == {count}, f"{count} connections each",
               LONG_S)


def cut_all(live):
    for name in EXCHANGES:
        live.fault("disconnect", name)


def wait_over(faults):
    wait_until(lambda: now_us() > max(fault["to_us"] for fault in faults), "its end", LONG_S)


class Restarts:
    """A node with state_file that is stopped and started."""

    def __init__(self, live, state_file):
        self.live, self.state_file = live, state_file
        self.live.settings.append(f"node.state_file={state_file}")
        self.starts, self.cuts = 0, 0

    def start(self):
        self.live.start_node()
        self.starts += 1

    def stop(self, number=signal.SIGTERM):
        node = self.live.nodes[0]
        if number == signal.SIGKILL:
            wait_until(self.is_written, "all connections are in the state file", PATIENCE)
            self.live.nodes.remove(node)
            node.close()
        else:
            self.live.stop_node(node)

    def is_written(self):
        """It is once a second; Binance's window is long enough for all of them to be there."""
        with open(self.state_file, encoding="utf-8") as file:
            spent = json.loads(file.readline())["connects"]
        return sum(weight for _, weight in spent) >= connects(self.live)["binance"]

    def run(self):
        for number in range(RESTARTS):
            self.start()
            for _ in range(CUTS):
                all_connected(self.live)
                cut_all(self.live)
                self.cuts += 1
            all_connected(self.live)
            self.stop(signal.SIGKILL if number % 5 == 4 else signal.SIGTERM)
        self.bans()

    def bans(self):
        """Started within a ban, of which only the process before was told."""
        self.start()
        all_connected(self.live)
        bans = [self.live.fault("ban", name, status=status, retry_after=4)
                for name, status in zip(EXCHANGES, (418, 429, 429))]
        self.cuts += 1
        wait_until(lambda: self.paused() == len(EXCHANGES), "it knows that it is banned", LONG_S)
        before = connects(self.live)
        self.stop()
        self.start()
        wait_over(bans)
        assert connects(self.live) == before, "it came back too early"
        all_connected(self.live)
        repairs = [self.live.fault("maintenance", name, ms=1500) for name in EXCHANGES]
        self.cuts += 1
        wait_over(repairs)
        all_connected(self.live)

    def paused(self):
        lines = self.live.node.logged(msg="connection refused", why="paused by the exchange")
        return len({line["exchange"] for line in lines})


def restarts_show():
    live = Live(rate=100, settings=TWO)
    folder = os.path.join("/tmp", f"tickwire-limits-{os.getpid()}")
    os.makedirs(folder)
    try:
        restarts = Restarts(live, os.path.join(folder, "state"))
        with telling_log(live):
            restarts.run()
        figures, problems = judge("restarts", live)
        restarts.stop()
        live.simulator.__exit__(None, None, None)
        return {"starts": restarts.starts, "mass_reconnects": restarts.cuts, **figures}, problems
    finally:
        live.close()
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))
        os.rmdir(folder)


# ---- many ----

def write_configuration(path, live, markets, channels):
    """With all that is set, so that a reload changes only what it says."""
    exchanges = {name: {"ws_url": live.simulator.ws(f"/{name}"),
                        "rest_url": f"http://127.0.0.1:{live.simulator.port}/{name}",
                        "symbols": markets[name], "channels": channels, "connections": 2,
                        "stale_after": f"{STALE_AFTER_S}s"} for name in EXCHANGES}
    with open(path, "w", encoding="utf-8") as out:
        json.dump({"http": {"listen": "127.0.0.1:0"}, "exchanges": exchanges,
                   "log": {"level": os.environ.get("LIMITS_LOG", "info")}}, out)  # is YAML too


def seen_symbols(follower, channels, since_us=0):
    """How many symbols have said something in each of these channels."""
    return {channel: len([key for key, at in follower.data_us.items()
                          if key[2] == channel and at > since_us]) for channel in channels}


class Many:
    """A node of 200 symbols of each exchange."""

    def __init__(self, live, path):
        self.live, self.path = live, path
        self.markets = {name: [market["symbol"] for market in markets if market["trading"]]
                        [:SYMBOLS] for name, markets in live.simulator.get("/sim/markets").items()}
        self.reloads = 0

    def configure(self, part=SYMBOLS, channels=("trade", "ticker", "book")):
        write_configuration(self.path, self.live,
                            {name: markets[:part] for name, markets in self.markets.items()},
                            list(channels))

    def reload(self, follower, *arguments):
        self.configure(*arguments)
        self.reloads += 1
        self.live.node.send_signal(signal.SIGHUP)
        self.live.node.wait_log(self.reloads, LONG_S, msg="configuration reloaded")
        # The same line is logged twenty times a second at most.
        until = time.monotonic() + RELOAD_S
        follower.wait(lambda: time.monotonic() > until, "the next reload's time", LONG_S)

    def run(self, follower):
        total = sum(len(markets) for markets in self.markets.values())
        follower.wait(lambda: seen_symbols(follower, ["book"])["book"] == total,
                      f"books of all {total} symbols", LONG_S)
        for number in range(CHANGES):
            if number % 4 == 3:
                self.reload(follower, SYMBOLS, ("trade",))
            else:
                self.reload(follower, SYMBOLS - 20 * (number % 4))
        self.reload(follower)
        since_us = now_us()
        cut_all(self.live)
        follower.wait(lambda: seen_symbols(follower, ["book"], since_us)["book"] >= total * 0.9,
                      "books after a cut", LONG_S)
        self.live.halt(QUIET_S)
        quiet_until = time.monotonic() + QUIET_S
        follower.wait(lambda: time.monotonic() > quiet_until, "quiet", QUIET_S + 10)
        return total


def many_show():
    live = Live(rate=600, simulate=["--symbols", str(SYMBOLS + 2)])
    path = os.path.join("/tmp", f"tickwire-limits-{os.getpid()}.yaml")
    try:
        many = Many(live, path)
        many.configure()
        live.nodes.append(Node("serve", "-c", path))
        with telling_log(live), Follower(live.node.start(), schemas=False) as follower:
            total = many.run(follower)
        figures, problems = judge("many", live)
        if "LIMITS_LOG" in os.environ:
            say("\n".join(live.node.lines))
        if not all(figures[name]["rest_requests"] for name in EXCHANGES):
            problems.append(f"many: nothing was asked by REST: {figures}")
        live.stop_node(live.node)
        live.simulator.__exit__(None, None, None)
        return {"symbols": total, "reloads": many.reloads, **figures}, problems
    finally:
        live.close()
        if os.path.exists(path):
            os.unlink(path)


# ---- control ----

def break_connects(simulator):
    for _ in range(12):
        try:
            connect(simulator.ws("/upbit/websocket/v1"), open_timeout=PATIENCE,
                    close_timeout=0.1).close()
        except (websockets.exceptions.InvalidHandshake, OSError):
            return


def break_messages(simulator):
    with connect(simulator.ws("/binance/ws"), close_timeout=0.1) as client:
        for number in range(30):
            try:
                client.send(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": number}))
            except (websockets.exceptions.ConnectionClosed, OSError):
                return


def break_weight(simulator):
    for _ in range(60):
        status, _, _ = simulator.fetch("/upbit/v1/orderbook?markets=KRW-BTC")
        if status != 200:
            return


def break_ban(simulator):
    simulator.fault("ban", "bithumb", retry_after=5)
    for _ in range(2):
        try:
            connect(simulator.ws("/bithumb/websocket/v1"), open_timeout=PATIENCE,
                    close_timeout=0.1).close()
        except websockets.exceptions.InvalidHandshake:
            pass


def control_show():
    wanted = {("upbit", "connects"): break_connects, ("binance", "messages"): break_messages,
              ("upbit", "weight"): break_weight, ("bithumb", "banned"): break_ban}
    problems, figures = [], {}
    with Simulator() as simulator:
        for (exchange, limit), action in wanted.items():
            before = simulator.get("/sim/stats")
            action(simulator)
            try:
                wait_until(lambda exchange=exchange, limit=limit: simulator.broken(exchange)
                           .get(limit, 0), f"{exchange}.{limit} is counted", PATIENCE)
            except AssertionError as error:
                problems.append(f"control: {error}")
            after = simulator.get("/sim/stats")["limits_broken_total"]
            figures[f"{exchange}.{limit}"] = after - before["limits_broken_total"]
            if after <= before["limits_broken_total"]:
                problems.append(f"control: {exchange}.{limit} is not in the total")
    return {"counted": figures}, problems


def main():
    figures, problems = {}, []
    shows = {"restarts": restarts_show, "many": many_show, "control": control_show}
    if "LIMITS_ONLY" in os.environ:
        shows = {name: shows[name] for name in os.environ["LIMITS_ONLY"].split(",")}
    with concurrent.futures.ThreadPoolExecutor(len(shows)) as pool:
        for name, done in [(name, pool.submit(show)) for name, show in shows.items()]:
            try:
                figures[name], found = done.result()
                problems += found
            except (AssertionError, OSError, ValueError, KeyError) as error:
                problems.append(f"{name}: {type(error).__name__}: {str(error)[:2500]}")
            say(f"{name}: {figures.get(name)}")
    figures["limits_broken_total"] = sum(figures.get(name, {}).get("limits_broken_total", 0)
                                         for name in shows)
    if problems:
        figures["problems"] = problems[:10]
    end("limits", not problems, figures)


if __name__ == "__main__":
    main()
