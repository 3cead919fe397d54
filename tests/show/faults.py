# SPDX-License-Identifier: Apache-2.0
"""Every kind of fault, on all three exchanges at once, while 20 clients listen.

Each exchange gets every kind in turn, another one at the same time on each. What must hold:

- no crash, no sanitizer's report, no log line of level error, no limit of an exchange broken;
- every message valid by its schema, seq contiguous, all clients get the same bytes;
- every trade is one of the truth's, once, in the truth's order. Two exceptions, which are counted:
  Upbit's and Bithumb's ids do not tell order, so trades that the fault `reorder` swaps stay so
  (`swapped`); a Binance trade may follow the gap that declared it missing (`late`);
- a trade is missing only when it was made within an outage that this test made: from its beginning
  to its end, and what the node then waits before it connects again (its own log says how long, and
  that is bounded by the backoff) and SLACK_S. With a fault `gap`, no more events than were left
  out;
- each outage is told by `status`; each hole in Binance's ids by a `gap`, which is true;
- no stale, no down, no gap of trades outside the windows of the exchange's own faults: the others
  do not notice;
- in the end, the markets halted, every book is the true one.

    FAULTS_SECONDS  at least (default 60; with SOAK=1 600)
    FAULTS_LOG      a file for the node's log
    FAULTS_RATE     market events a second (default 1700; with SOAK=1 5600: messages are a third)
"""

import collections
import concurrent.futures
import os
import time

from crowd import Crowd
from live import (EXCHANGES, SYMBOLS, Follower, Live, compare, now_us, truths, wait_arrived,
                  wait_books)
from harness import read_logfmt
from show import end, say

SOAK = os.environ.get("SOAK") == "1"
SECONDS = int(os.environ.get("FAULTS_SECONDS", "600" if SOAK else "60"))
RATE = int(os.environ.get("FAULTS_RATE", "5600" if SOAK else "1700"))
STALE_AFTER_S = 5
SETTINGS = [f"exchanges.{name}.stale_after={STALE_AFTER_S}s" for name in EXCHANGES]
STAY, CHANGE = 15, 4  # clients; with the follower 20
SLACK_S = 1.5  # handshake, subscription, first data; and what is on its way at the beginning
BEFORE_S = 0.3
BACKOFF_FIRST_S, BACKOFF_MOST_S = 0.25, 30
HEALTHY_S = 61  # after which the backoff starts over
PATIENCE_S = BACKOFF_MOST_S + 30
CHANNELS = ("trade", "ticker", "book")
SHIFT_MS = 3600000  # of an exchange's clock: no other fault's time is near
LOUD = ("disconnect", "ban", "maintenance")  # outages that must be told as `down`

# kind, fields, title
PROGRAM = [
    ("disconnect", {}, "disconnect"),
    ("duplicate", {"count": 200}, "duplicate"),
    ("stall", {"ms": 1000 * (STALE_AFTER_S + 2)}, "stall"),
    ("garbage", {"count": 100}, "garbage"),
    ("gap", {"count": 20}, "gap"),
    ("maintenance", {"ms": 400}, "maintenance"),
    ("reorder", {"count": 100}, "reorder"),
    ("clock", {"ms": SHIFT_MS}, "clock"),
    ("ban", {"status": 429, "retry_after": 2}, "ban 429"),
    ("slow", {"ms": 2500, "delay": 800}, "slow"),
    ("gap", {"count": 3, "channel": "trade"}, "gap of trades"),
    ("leaving", {"ms": 1500}, "leaving"),
    ("halt", {"ms": 4000}, "halt"),
    ("disconnect", {"code": 1012}, "disconnect 1012"),
    ("gap", {"count": 5, "channel": "book"}, "gap of books"),
]
LONG_PROGRAM = PROGRAM + [
    ("ban", {"status": 418, "retry_after": 5}, "ban 418"),
    ("disconnect", {"ms": 2000}, "disconnect for 2 s"),
    ("maintenance", {"ms": 5000}, "long maintenance"),
    ("stall", {"ms": 1000 * (STALE_AFTER_S + 2), "channel": "trade"}, "stall of trades"),
    ("garbage", {"count": 2000}, "garbage"),
]


class Window:
    """A fault, from its beginning to when all was well again."""

    def __init__(self, exchange, kind, fields, title):
        self.exchange, self.kind, self.fields, self.title = exchange, kind, fields, title
        self.from_us = self.to_us = self.allowed_us = 0  # the fault's; until when holes may reach
        self.calm_us = 0
        self.missing = 0
        self.left_out = set()  # (symbol, time) of missing trades: of one event, several may be made
        self.longest_ms = 0  # a trade was missing so long after the fault's end

    def covers(self, time_us):
        return self.from_us - BEFORE_S * 1e6 <= time_us <= self.allowed_us


class Exchange:
    """What is done to one of them, and what comes of it."""

    def __init__(self, live, follower, name, offset):
        self.live, self.follower, self.name = live, follower, name
        program = LONG_PROGRAM if SOAK else PROGRAM
        self.program = program[offset:] + program[:offset]
        self.windows, self.problems = [], []
        self.outages = 0  # since a healthy minute

    def problem(self, text):
        self.problems.append(f"{self.name}: {text}"[:700])

    def run(self):
        begin = time.monotonic()
        while True:
            for kind, fields, title in self.program:
                self.step(Window(self.name, kind, fields, title))
            left_s = SECONDS - (time.monotonic() - begin)
            self.rest(HEALTHY_S if left_s > HEALTHY_S / 2 else max(1, left_s))
            if left_s <= HEALTHY_S / 2:
                return

    def rest(self, seconds):
        deadline = time.monotonic() + seconds
        self.follower.wait(lambda: time.monotonic() > deadline, "rest", seconds + 10)
        if seconds >= HEALTHY_S:
            self.outages = 0

    def step(self, window):
        self.windows.append(window)
        since = self.follower.mark()
        log_at = len(self.live.node.lines)
        fault = self.live.fault(window.kind, self.name, **window.fields)
        window.from_us = fault["from_us"]
        self.wait_over(window, fault["id"])
        loud = self.expected(window) is not None
        window.allowed_us = window.to_us + int((SLACK_S if loud else BEFORE_S) * 1e6)
        self.wait_told(window, since, log_at)
        self.follower.wait_data(self.name, SYMBOLS[self.name], CHANNELS, now_us(), PATIENCE_S)
        window.calm_us = now_us()

    def wait_over(self, window, number):
        if window.kind == "clock":
            self.rest(2)
            self.live.fault("clock", self.name, ms=0)
            window.to_us = now_us()
            return
        over = self.follower.wait(lambda: next(
            (fault for fault in self.live.simulator.get("/sim/fault")
             if fault["id"] == number and not fault["active"]), None),
            f"{window.title} is over", PATIENCE_S)
        window.to_us = over["to_us"] or now_us()
        if window.kind == "leaving":
            window.to_us = window.from_us + 1000 * window.fields["ms"]
            self.follower.wait(lambda: now_us() > window.to_us, "it has left")

    # -- what must be told --

    def wait_told(self, window, since, log_at):
        expected = self.expected(window)
        if expected is None:
            return
        state, channel = expected
        try:
            told = self.follower.wait_status(since, self.name, state, None, channel,
                                             PATIENCE_S)
        except AssertionError:
            self.problem(f"{window.title} is not told: {self.follower.statuses_since(since)}")
            return
        after = self.follower.wait(lambda: [
            status for status in self.follower.statuses_since(since, self.name)
            if status["seq"] > told["seq"] and status["state"] == "live"
            and status["recv"] >= window.from_us and status.get("channel") == channel],
            f"{self.name} is live after {window.title}", PATIENCE_S)
        if state == "down":
            self.allow_wait(window, log_at)
        if after[0]["at"] > window.allowed_us:
            self.problem(f"{window.title}: live {(after[0]['at'] - window.to_us) // 1000} ms after "
                         f"its end, {(window.allowed_us - window.to_us) // 1000} allowed")

    def expected(self, window):
        if window.kind in LOUD or (window.kind == "leaving" and self.name != "binance"):
            return "down", None
        if window.kind == "stall":
            return "stale", window.fields.get("channel")
        return None

    def allow_wait(self, window, log_at):
        """What the node itself said that it would wait, and no more than the backoff's bound."""
        waits = [int(line["wait_ms"]) for line in map(read_logfmt, self.live.node.lines[log_at:])
                 if line.get("msg") == "reconnecting later" and line.get("exchange") == self.name]
        for wait_ms in waits:
            most_s = min(BACKOFF_MOST_S, BACKOFF_FIRST_S * 2 ** self.outages)
            if window.kind == "ban":
                most_s = max(most_s, window.fields["retry_after"] + 1)
            if wait_ms > 1000 * most_s + 250:
                self.problem(f"{window.title}: waits {wait_ms} ms, {most_s} s is the most")
            self.outages += 1
        if waits:
            window.allowed_us += 1000 * waits[-1]

    # -- judging --

    def window_of(self, time_us, kinds=None, channels=None):
        """Whose it is: rather one that was going on than one that may still show, or soon did."""
        windows = [window for window in reversed(self.windows)
                   if (kinds is None or window.kind in kinds)
                   and (channels is None or window.fields.get("channel") in channels)]
        return next((window for window in windows if window.from_us <= time_us <= window.to_us),
                    next((window for window in windows if window.covers(time_us)), None))

    def title_at(self, time_us):
        """The fault that began last before that time, and how long before, for messages."""
        begun = [window for window in self.windows if window.from_us <= time_us]
        if not begun:
            return "before all faults"
        return f"{(time_us - begun[-1].from_us) / 1e6:.3f} s into {begun[-1].title}"

    def judge_notices(self):
        """Nothing bad is told outside of its own windows."""
        for status in self.follower.statuses_since((0, 0), self.name):
            bad = status["state"] in ("down", "stale")
            if bad and self.window_of(status["recv"], LOUD + ("stall", "leaving")) is None:
                self.problem(f"no reason, {self.title_at(status['recv'])}: {status}")
        for gap in self.follower.gaps_since((0, 0), self.name):
            if self.window_of(gap["recv"] - 300000) is None and self.window_of(gap["recv"]) is None:
                self.problem(f"no reason, {self.title_at(gap['recv'])}: {gap}")

    def judge_trades(self, comparison, figures):
        self.problems += comparison.problems()
        self.judge_order(comparison, figures)
        gaps = [gap for gap in self.follower.gaps if gap["channel"] == "trade"
                and (gap["exchange"], gap["symbol"]) == (self.name, comparison.truth.symbol)]
        for index in comparison.missing:
            self.judge_missing(comparison.truth, index, gaps, figures)
        if self.name == "binance":
            self.judge_gaps(comparison, gaps)

    def judge_order(self, comparison, figures):
        truth = comparison.truth
        for index, message in comparison.late:
            if self.name == "binance":
                figures["late"] += 1
                if not any(self.declares(gap, truth, index) and gap["seq"] < message["seq"]
                           for gap in self.follower.gaps_since((0, 0), self.name)):
                    self.problem(f"out of order, {self.title_at(message['recv'])}: {message}")
            elif self.window_of(truth.times_us[index], ("reorder",)):
                figures["swapped"] += 1
            else:
                self.problem(f"out of order, {self.title_at(message['recv'])}: {message}")

    def declares(self, gap, truth, index):
        if gap["symbol"] != truth.symbol or gap["channel"] != "trade":
            return False
        if "after_id" in gap and "before_id" in gap:
            return int(gap["after_id"]) < int(truth.trades[index][0]) < int(gap["before_id"])
        time_us = truth.times_us[index] // 1000 * 1000  # as the exchange tells it
        return gap.get("from_ts", 0) <= time_us <= gap.get("to_ts", 1 << 62)

    def judge_missing(self, truth, index, gaps, figures):
        time_us = truth.times_us[index]
        window = self.window_of(time_us, LOUD + ("stall", "leaving", "gap"), ("trade", None))
        figures["missing"] += 1
        if window is None:
            figures["missing_outside"] += 1
            self.problem(f"{truth.symbol}: missing outside of all outages: {truth.trades[index]} "
                         f"at {time_us}")
            return
        window.missing += 1
        window.left_out.add((truth.symbol, time_us))
        window.longest_ms = max(window.longest_ms, (time_us - window.to_us) // 1000)
        if any(self.declares(gap, truth, index) for gap in gaps):
            figures["declared"] += 1
        elif self.name == "binance" or window.kind not in ("gap", "stall"):
            figures["undeclared"] += 1
            near = [(gap.get("from_ts"), gap.get("to_ts"), gap.get("after_id")) for gap in gaps
                    if gap["recv"] > time_us][:2]
            self.problem(f"{truth.symbol}: {truth.trades[index][0]} of {time_us}, missing by "
                         f"{window.title} ({window.from_us}), is in no gap; the next: {near}")

    def judge_gap_faults(self):
        """No more events are missing than were left out."""
        for window in self.windows:
            if window.kind == "gap" and len(window.left_out) > window.fields["count"]:
                self.problem(f"{window.title}: {len(window.left_out)} events are missing")

    def judge_gaps(self, comparison, gaps):
        """What a gap of Binance says is missing, is."""
        seen = {int(comparison.truth.trades[index][0]) for index in comparison.seen}
        late = {int(message["id"]) for _, message in comparison.late}
        for gap in gaps:
            if "after_id" not in gap or "before_id" not in gap:
                continue
            ids = set(range(int(gap["after_id"]) + 1, int(gap["before_id"])))
            if gap.get("missing", len(ids)) != len(ids) or ids & (seen - late):
                self.problem(f"it is not as this gap says: {gap}")


def judge_node(node):
    for line in node.lines:
        if "Sanitizer" in line or "runtime error" in line or " level=error " in line:
            yield f"the node says: {line}"


def exchanges_sent(live):
    """Messages, to all connections."""
    return sum(venue["messages_out"] for venue in live.stats()["venues"].values())


def run_all(live, follower, exchanges):
    problems = []
    with concurrent.futures.ThreadPoolExecutor(len(exchanges)) as pool:
        for exchange, done in [(each, pool.submit(each.run)) for each in exchanges]:
            error = done.exception()
            if error:
                problems.append(f"{exchange.name}, {exchange.windows[-1].title}: {error}"[:1200])
    live.halt()
    return problems


def windows_figures(exchanges):
    """What was missing, and how long holes reached beyond the fault, by fault."""
    figures = {}
    for exchange in exchanges:
        for window in exchange.windows:
            if window.missing:
                figure = figures.setdefault(f"{exchange.name} {window.title}",
                                            {"missing": 0, "beyond_ms": 0})
                figure["missing"] += window.missing
                figure["beyond_ms"] = max(figure["beyond_ms"], window.longest_ms)
    return figures


def show():
    problems, figures = [], collections.Counter()
    with Live(rate=RATE, settings=SETTINGS) as live, Follower(live.node) as follower:
        crowd = Crowd(live.node, STAY, CHANGE)
        follower.wait_live(EXCHANGES)
        for name in EXCHANGES:
            follower.wait_data(name, SYMBOLS[name], CHANNELS, 0, 60)
        begin, first, sent = time.monotonic(), follower.seq, exchanges_sent(live)
        exchanges = [Exchange(live, follower, name, 5 * number)
                     for number, name in enumerate(EXCHANGES)]
        problems += run_all(live, follower, exchanges)
        seconds, messages = time.monotonic() - begin, follower.seq - first
        sent = exchanges_sent(live) - sent
        known = truths(live)
        wait_arrived(follower, known)
        books = wait_books(follower, known)
        crowd_figures, found = crowd.finish(follower)
        problems += found
        compared = compare(follower, live, known)
        for exchange in exchanges:
            for (name, _), comparison in compared.items():
                if name == exchange.name:
                    exchange.judge_trades(comparison, figures)
            exchange.judge_gap_faults()
            exchange.judge_notices()
            problems += exchange.problems
        problems += judge_node(live.node)
        if "FAULTS_LOG" in os.environ:
            with open(os.environ["FAULTS_LOG"], "w", encoding="utf-8") as out:
                out.write("\n".join(live.node.lines) + "\n")
        broken = live.limits_broken()
        problems += [f"limits broken: {broken}"] if broken else []
        result = {
            "seconds": round(seconds), "messages_per_second": round(messages / seconds),
            "exchanges_messages_per_second": round(sent / seconds),
            "faults": sum(len(exchange.windows) for exchange in exchanges),
            "trades_compared": sum(len(c.messages) for c in compared.values()),
            "books_equal": books, "limits_broken": broken, "clients": STAY + CHANGE + 1,
            **{name: figures[name] for name in ("missing", "missing_outside", "declared",
                                                "undeclared", "late", "swapped")},
            **crowd_figures, "by_fault": windows_figures(exchanges),
            "schema_checked": follower.schema_checked}
        problems += follower.finish()
    return result, problems


def main():
    figures, problems = {}, []
    try:
        figures, problems = show()
    except (AssertionError, OSError, ValueError, KeyError) as error:
        problems.append(f"{type(error).__name__}: {str(error)[:3000]}")
    if problems:
        figures["problems"] = problems[:12]
        for problem in problems[:40]:
            say(problem)
    end("faults", not problems, figures)


if __name__ == "__main__":
    main()
