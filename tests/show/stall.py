# SPDX-License-Identifier: Apache-2.0
"""An exchange that goes silent, but answers pings, is noticed within stale_after, at its scope; a
market that is just quiet is never called stale.

Three nodes with simulators of their own, at the same time:

- lively: on each exchange in turn everything on the present connections stops (a fresh subscription
  helps); one channel of a symbol, for three channels at once; one channel; everything. Each must be
  told by a `status` of that scope within stale_after of the fault's beginning (one symbol of a wide
  scope may be told before; nothing else may), and be live again with data when the fault is over;
  no trade comes twice, none is made up.
- quiet: one symbol of each exchange is halted, then all of them, for longer than stale_after: it
  must have been looked into, and never be called stale.
- slow: markets on which something happens every quarter of a minute.

    STALL_AFTER  exchanges.X.stale_after in seconds (default 30; with --ci 6)
"""

import concurrent.futures
import os
import time

from live import EXCHANGES, SYMBOLS, Follower, Live, compare, now_us
from prometheus import Metrics
from show import IN_CI, end, say

STALE_AFTER_S = int(os.environ.get("STALL_AFTER", "6" if IN_CI else "30"))
STALL_S = STALE_AFTER_S + 2
RECOVERY_S = 5  # from the fault's end to data
# What is watched learns its rate first; a replaced connection may be replaced again.
CHANNELS = ("trade", "ticker", "book")
SETTINGS = [f"exchanges.{name}.stale_after={STALE_AFTER_S}s" for name in EXCHANGES]
SLOW_RATE = 5  # market events a second, in 74 markets
QUIET_RATE = 200
LONG = not IN_CI


def scope_of(status):
    return status.get("symbol"), status.get("channel")


def scope_name(symbol, channel):
    kind = "symbol" if symbol else "channel"
    return f"{kind} {channel}" if channel else "exchange"


def is_within(scope, wide):
    """What a wide stall stops may be told of by itself, before the wider scope is."""
    return wide[0] is None and wide[1] in (None, scope[1])


class Lively:
    """What is done to one exchange."""

    def __init__(self, live, follower, exchange):
        self.live, self.follower, self.exchange = live, follower, exchange
        self.symbols = SYMBOLS[exchange]
        self.times_ms, self.problems = {}, []
        self.narrower = 0

    def run(self):
        _, *others = self.symbols
        three = list(zip(others, CHANNELS))
        self.step("old", [(None, None)], connections="old")
        self.step("", three)
        for channel in CHANNELS if LONG else ("book",):
            self.step("", [(None, channel)])
        self.step("", [(None, None)])
        if LONG:
            self.step("old", three, connections="old")
            self.step("old", [(None, "trade")], connections="old")
        return self

    def step(self, name, scopes, **options):
        """These scopes stop at the same time."""
        self.warm_up()
        since = self.follower.mark()
        helps = options.get("connections") == "old"
        faults = [self.live.fault("stall", self.exchange, **self.fields(scope),
                                  ms=1000 * (STALL_S + (120 if helps else 0)), **options)
                  for scope in scopes]
        try:
            for scope, fault in zip(scopes, faults):
                self.noticed(name, since, scope, fault)
            for scope, fault in zip(scopes, faults):
                self.recovered(since, scope, fault, helps)
        finally:
            self.check_scopes(since, set(scopes))

    def warm_up(self):
        """Everything has spoken a few times on this connection."""
        for _ in range(3):
            self.follower.wait_data(self.exchange, self.symbols, CHANNELS, now_us(),
                                    seconds=STALE_AFTER_S + 30)

    @staticmethod
    def fields(scope):
        return {key: value for key, value in zip(("symbol", "channel"), scope) if value}

    def noticed(self, name, since, scope, fault):
        status = self.follower.wait_status(since, self.exchange, "stale", *scope,
                                           seconds=STALE_AFTER_S + 20)
        took_ms = (status["at"] - fault["from_us"]) // 1000
        title = " ".join(filter(None, (scope_name(*scope), name)))
        self.times_ms[title] = took_ms
        if took_ms > 1000 * STALE_AFTER_S:
            self.problems.append(f"{self.exchange} {title}: noticed only after {took_ms} ms")
        if not status.get("reason"):
            self.problems.append(f"{self.exchange} {title}: no reason is given")

    def recovered(self, since, scope, fault, helps):
        """`live`, and data; by a fresh subscription long before the fault ends, or by its end."""
        over_us = fault["from_us"] if helps else fault["to_us"]
        seconds = (STALE_AFTER_S if helps else max(0, over_us - now_us()) / 1e6) + RECOVERY_S
        status = self.follower.wait_status(since, self.exchange, "live", *scope, seconds=seconds)
        if status["at"] < over_us:
            self.problems.append(f"{self.exchange} {scope}: live while nothing came")
        symbol, channel = scope
        self.follower.wait_data(self.exchange, [symbol] if symbol else self.symbols,
                                [channel] if channel else CHANNELS, max(over_us, status["at"]),
                                seconds=STALE_AFTER_S + 30)

    def check_scopes(self, since, scopes):
        told = [status for status in self.follower.statuses_since(since, self.exchange)
                if status["state"] != "connecting"]
        for status in told:
            scope = scope_of(status)
            if scope in scopes and status["state"] != "down":
                continue
            if status["state"] != "down" and any(is_within(scope, wide) for wide in scopes):
                self.narrower += status["state"] == "stale"
            else:
                self.problems.append(f"{self.exchange}: of {scopes} comes {status}")


def lively_show():
    with Live(rate=400, settings=SETTINGS) as live, Follower(live.node) as follower:
        follower.wait_live(EXCHANGES)
        runs = [Lively(live, follower, exchange) for exchange in EXCHANGES]
        problems = []
        with concurrent.futures.ThreadPoolExecutor(len(runs)) as pool:
            for run, done in [(run, pool.submit(run.run)) for run in runs]:
                error = done.exception()
                problems += run.problems + ([f"{run.exchange}: {error}"[:900]] if error else [])
        compared = compare(follower, live)
        for comparison in compared.values():
            problems += comparison.problems()
            if comparison.late:
                problems.append(f"{comparison.truth.symbol}: a trade out of order "
                                f"{comparison.late[0]}")
        figures = {"noticed_ms": {run.exchange: run.times_ms for run in runs},
                   "told_narrower_too": sum(run.narrower for run in runs),
                   "trades_compared": sum(len(c.messages) for c in compared.values()),
                   "messages_checked": follower.seq, "limits_broken": live.limits_broken()}
        if live.limits_broken():
            problems.append(f"lively: limits broken: {live.limits_broken()}")
    return figures, problems


def false_alarms(follower):
    """Statuses that say more than that an exchange connects and is live."""
    return [status for status in follower.statuses if status["state"] in ("stale", "down")
            or scope_of(status) != (None, None)]


def looked(node):
    metrics = Metrics(node)
    return {"looked_quiet": int(metrics.total("tickwire_staleness_checks_total", found="quiet")),
            "looked_stale": int(metrics.total("tickwire_staleness_checks_total", found="stale")),
            "fresh_subscriptions": int(metrics.total("tickwire_connections_ended_total",
                                                     reason="stale"))}


def judge_quiet(what, live, follower):
    figures, problems = looked(live.node), []
    alarms = false_alarms(follower)
    if alarms:
        problems.append(f"{what}: {len(alarms)} false alarms: {alarms[:3]}")
    if not figures["looked_quiet"]:
        problems.append(f"{what}: nothing was looked into, so nothing is shown")
    if live.limits_broken():
        problems.append(f"{what}: limits broken: {live.limits_broken()}")
    return {**figures, "false_alarms": len(alarms)}, problems


def wait_out(follower, fault):
    """Until the fault is over."""
    follower.wait(lambda: now_us() > fault["to_us"], "the fault's end", 2 * 3600)


def quiet_show():
    """One symbol, then all of them, of each exchange."""
    long_ms = 3000 * STALE_AFTER_S
    with Live(rate=QUIET_RATE, settings=SETTINGS) as live, Follower(live.node) as follower:
        follower.wait_live(EXCHANGES)
        for scope in ("one", "all"):
            for exchange in EXCHANGES:
                follower.wait_data(exchange, SYMBOLS[exchange], CHANNELS, now_us(), 60)
                fields = {"symbol": SYMBOLS[exchange][1]} if scope == "one" else {}
                fault = live.fault("halt", exchange, ms=long_ms, **fields)
            wait_out(follower, fault)
        for exchange in EXCHANGES:
            follower.wait_data(exchange, SYMBOLS[exchange], CHANNELS, now_us(), 60)
        return judge_quiet("quiet", live, follower)


def slow_show(seconds):
    with Live(rate=SLOW_RATE, settings=SETTINGS) as live, Follower(live.node) as follower:
        deadline = time.monotonic() + seconds
        follower.wait_live(EXCHANGES, 60)
        follower.wait(lambda: time.monotonic() > deadline, "the end", seconds + 60)
        return judge_quiet("slow", live, follower)


def main():
    figures, problems = {"stale_after_s": STALE_AFTER_S}, []
    shows = {"lively": lively_show, "quiet": quiet_show,
             "slow": lambda: slow_show(8 * STALE_AFTER_S)}
    with concurrent.futures.ThreadPoolExecutor(len(shows)) as pool:
        for name, done in [(name, pool.submit(show)) for name, show in shows.items()]:
            try:
                figures[name], found = done.result()
                problems += found
            except (AssertionError, OSError, ValueError, KeyError) as error:
                problems.append(f"{name}: {type(error).__name__}: {str(error)[:1500]}")
            say(f"{name}: {figures.get(name)}")
    if problems:
        figures["problems"] = problems[:10]
    end("stall", not problems, figures)


if __name__ == "__main__":
    main()
