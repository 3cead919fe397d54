# SPDX-License-Identifier: Apache-2.0
"""Exchanges that end each connection after a while: nobody notices.

The simulator cuts every connection at the end of its lifetime. Two nodes collect all three
exchanges from it, one with one connection to each, one with two; they replace every connection in
time by one that is opened beside it. No trade may be missing, twice, or out of order, books must
end up right, and clients must be told nothing: no status, no gap. The simulator must not have had
to cut once, nor count a broken limit.

Then again while every connection that is there is slow: what the new one brings is newer than what
the old one does, and must not overtake it.

    OVERLAP_LIFETIME  seconds (default 20; with --ci 12: 2 s of listening need a quarter of it)
    OVERLAP_TURNS     planned reconnects of each place of each exchange (default 20; with --ci 2)
"""

import json
import os

from live import EXCHANGES, Follower, Live, compare, truths, wait_arrived, wait_books
from show import IN_CI, end, say

from harness import PATIENCE, wait_until
from prometheus import Metrics

LIFETIME_S = int(os.environ.get("OVERLAP_LIFETIME", "12" if IN_CI else "20"))
TURNS = int(os.environ.get("OVERLAP_TURNS", "2" if IN_CI else "20"))
RATE = 500
DELAY_MS = 400
KINDS = 1, 2  # connections


def replaced(node, exchange):
    """Planned reconnects so far."""
    return int(Metrics(node).value("tickwire_connections_ended_total", exchange=exchange,
                                   reason="lifetime"))


def counts(nodes):
    return {(kind, exchange): replaced(node, exchange) for kind, node in nodes.items()
            for exchange in EXCHANGES}


def wait_turns(nodes, followers, turns, what):
    """So many more of each place; a client that was told anything ends the wait."""
    before = counts(nodes)

    def done():
        for kind, follower in followers.items():
            assert follower.alive, f"{kind} connections: {follower.problems}"
        now = counts(nodes)
        return all(now[key] - before[key] >= turns * key[0] for key in now)

    wait_until(done, what, (turns + 1) * LIFETIME_S + PATIENCE)


def other_ends(node):
    """{reason: count} of connections that ended otherwise."""
    found = {}
    for labels, count in Metrics(node).samples["tickwire_connections_ended_total"].items():
        reason = dict(labels)["reason"]
        if count and reason != "lifetime":
            found[reason] = found.get(reason, 0) + int(count)
    return found


def slow_turn(live, nodes, followers):
    """Everything that is connected now is slow to its end."""
    for exchange in EXCHANGES:
        live.fault("slow", exchange, connections="old", ms=(LIFETIME_S + 2) * 1000, delay=DELAY_MS)
    wait_turns(nodes, followers, 1, "each slow connection has been replaced")


def slow_trades(follower):
    """How many came as late as slow connections bring them."""
    return sum(message["at"] - message["ts"] >= DELAY_MS * 1000
               for messages in follower.trades.values() for message in messages)


def judge(kind, node, follower, since, comparisons):
    """(figures, problems) of one node."""
    name = f"{kind} connection{'s' if kind > 1 else ''}"
    problems, found = list(follower.problems), list(comparisons.values())
    for comparison in found:
        problems += [f"{name}: {text}" for text in comparison.problems()]
        where = f"{name}: {comparison.truth.exchange} {comparison.truth.symbol}"
        if comparison.missing:
            problems.append(f"{where}: {len(comparison.missing)} trades are missing, the first is "
                            f"{comparison.truth.trades[comparison.missing[0]]}")
        if comparison.late:
            problems.append(f"{where}: {len(comparison.late)} trades out of order: "
                            f"{comparison.late[0]}")
    told = follower.statuses_since(since) + follower.gaps_since(since)
    if told:
        problems.append(f"{name}: {len(told)} statuses and gaps: {told[:2]}")
    ends = other_ends(node)
    if ends:
        problems.append(f"{name}: connections ended otherwise: {ends}")
    figures = {"planned_reconnects": {exchange: replaced(node, exchange)
                                      for exchange in EXCHANGES},
               "trades": sum(len(comparison.seen) for comparison in found),
               "slow_trades": slow_trades(follower), "messages": follower.seq,
               "duplicates_dropped": int(Metrics(node).total("tickwire_duplicates_dropped_total"))}
    for what in ("slow_trades", "duplicates_dropped"):
        if not figures[what]:
            problems.append(f"{name}: no {what}: nothing was shown")
    return figures, problems


def run(live):
    nodes = {1: live.node, 2: live.start_node(*(f"exchanges.{exchange}.connections=2"
                                                for exchange in EXCHANGES))}
    followers = {kind: Follower(node, schemas=False) for kind, node in nodes.items()}
    figures, problems = {"lifetime_s": LIFETIME_S}, []
    try:
        for follower in followers.values():
            follower.wait_live(EXCHANGES)
        since = {kind: follower.mark() for kind, follower in followers.items()}
        wait_turns(nodes, followers, TURNS, "connections are replaced")
        say(f"overlap: replaced {counts(nodes)}")
        slow_turn(live, nodes, followers)
        say(f"overlap: and slow ones {counts(nodes)}")
        live.halt()
        known = truths(live)
        for kind, follower in followers.items():
            wait_arrived(follower, known)
            books = wait_books(follower, known)
            told, found = judge(kind, nodes[kind], follower, since[kind],
                                compare(follower, live, known))
            figures[f"connections_{kind}"] = {**told, "books": books}
            problems += found
    finally:
        for follower in followers.values():
            follower.finish()
    cuts = {name: venue["lifetime_cuts"] for name, venue in live.stats()["venues"].items()}
    if any(cuts.values()):
        problems.append(f"connections were cut at the end of their lifetime: {cuts}")
    if live.limits_broken():
        problems.append(f"limits broken: {live.limits_broken()}")
    figures["lifetime_cuts"] = sum(cuts.values())
    return figures, problems


def main():
    settings = [f"exchanges.{exchange}.lifetime={LIFETIME_S}s" for exchange in EXCHANGES]
    figures, problems = {}, []
    try:
        with Live(rate=RATE, settings=settings,
                  simulate=["--lifetime", f"{LIFETIME_S}s"]) as live:
            figures, problems = run(live)
    except (AssertionError, OSError, ValueError) as error:
        problems.append(f"{type(error).__name__}: {error}")
    if problems:
        figures["problems"] = [problem[:1500] for problem in problems[:10]]
        say(json.dumps(figures["problems"], indent=1))
    end("overlap", not problems, figures)


if __name__ == "__main__":
    main()
