# SPDX-License-Identifier: Apache-2.0
"""Kafka comes and goes, over and over: nodes hold no more threads, descriptors or memory after it.

Leader and follower of a simulated market, with little to keep (`stream.retain`: 1 MiB).

- `reload`: `kafka.enabled: false` and `true` again by SIGHUP, on both, REOPEN_ROUNDS times
- `kill`, `freeze`: the broker is killed and started, stopped and continued, REOPEN_BREAKS times
- `silent`: for REOPEN_SECONDS a broker takes connections and never answers
- `missing`: for as long nobody listens there; the follower hears the leader

Each time both are waited for until they say what feeds them. In the end there are no
more threads and descriptors than at first (give or take those of a connection), and at no time is
more than GROWTH_MAX more resident.

    REOPEN_ROUNDS   default 100: ten minutes
    REOPEN_BREAKS   default 30: ten minutes
    REOPEN_SECONDS  default 600
"""

import os
import time

from cluster import SLOW_MACHINE, Cluster
from kafka import Broker, SilentBroker, free_port
from show import end, say
from watch import Footprint

from harness import SANITIZED, wait_until

ROUNDS = int(os.environ.get("REOPEN_ROUNDS", "100"))
BREAKS = int(os.environ.get("REOPEN_BREAKS", "30"))
SECONDS = int(os.environ.get("REOPEN_SECONDS", "600"))
RATE = 300
SETTINGS = {"stream.retain": "1MiB"}
MEBIBYTE = 1024 * 1024
GROWTH_MAX = (400 if SANITIZED else 12) * MEBIBYTE
WARM_S = 10
LOOK_S = 1
AWAY = {"leader-1": "direct", "follower-1": "peer"}


def stay(seconds):
    begun = time.monotonic()
    wait_until(lambda: time.monotonic() - begun > seconds, "a while", seconds + SLOW_MACHINE)


class Watch:
    """What the nodes of a cluster hold, beside what they held at first."""

    def __init__(self, cluster, figures, problems):
        self.cluster, self.figures, self.problems = cluster, figures, problems
        self.first = {member.name: Footprint(member.node) for member in cluster.members}
        self.most = {name: first.memory for name, first in self.first.items()}

    def look(self):
        for member in self.cluster.members:
            self.most[member.name] = max(self.most[member.name], member.node.memory())

    def finish(self, what):
        """Call this in the state in which the first look was."""
        for member in self.cluster.members:
            first = self.first[member.name]
            last = first.wait_no_more(member.node)
            if last.exceeds(first):
                self.problems.append(f"{what}: {member.name}: {first} at first, {last} at last")
            growth = self.most[member.name] - first.memory
            if growth > GROWTH_MAX:
                self.problems.append(f"{what}: {member.name}: {growth / MEBIBYTE:.1f} MiB more")
            self.figures.setdefault(what, {})[member.name] = {
                "threads": [first.threads, last.threads],
                "descriptors": [first.descriptors, last.descriptors],
                "memory_mib": [round(value / MEBIBYTE, 1) for value in
                               (first.memory, self.most[member.name], last.memory)]}
        say(f"reopenings: {what}: {self.figures[what]} {len(self.problems)} problems")


# ---- with a broker ----

def reload(cluster, on):
    for member in cluster.members:
        member.reload(kafka__enabled=on)
    for member in cluster.members:
        member.wait_source("kafka" if on else AWAY[member.name])


def break_and_mend(cluster, break_it, mend):
    break_it()
    for member in cluster.members:
        member.wait_source(AWAY[member.name])
    mend()
    for member in cluster.members:
        member.wait_source("kafka")


def come_and_go(broker, cluster, watch):
    for _ in range(ROUNDS):
        for on in (False, True):
            reload(cluster, on)
            watch.look()
    watch.finish("reload")
    for what, break_it, mend in (("kill", broker.kill, broker.start),
                                 ("freeze", broker.stop, broker.cont)):
        for _ in range(BREAKS):
            break_and_mend(cluster, break_it, mend)
            watch.look()
        watch.finish(what)


def run_with_broker(figures, problems):
    with Broker() as broker, Cluster(broker.brokers, rate=RATE, settings=SETTINGS) as cluster:
        cluster.start()
        stay(WARM_S)
        try:
            come_and_go(broker, cluster, Watch(cluster, figures, problems))
        except AssertionError:
            say(broker.log_tail())
            say("\n".join(member.log_tail(60) for member in cluster.members))
            raise


# ---- without ----

def drop_closed(silent):
    """Ends of connections that the nodes have closed: ours."""
    for connection in list(silent.connections):
        connection.setblocking(False)
        try:
            while connection.recv(65536):
                pass
        except BlockingIOError:
            continue
        except OSError:
            pass
        connection.close()
        silent.connections.remove(connection)


def run_without(what, silent, figures, problems):
    address = silent.brokers if silent else f"127.0.0.1:{free_port()}"
    with Cluster(address, rate=RATE, settings=SETTINGS) as cluster:
        for member in cluster.members:
            member.start()
        for member in cluster.members:
            member.wait_source(AWAY[member.name])
        stay(WARM_S)
        watch, begun = Watch(cluster, figures, problems), time.monotonic()
        while time.monotonic() - begun < SECONDS:
            stay(LOOK_S)
            watch.look()
            if silent:
                drop_closed(silent)
        watch.finish(what)
        if silent:
            figures[what]["connections"] = silent.count
            if silent.count < SECONDS / 5:
                problems.append(f"{what}: only {silent.count} connections in {SECONDS} s")


def run_silent(figures, problems):
    with SilentBroker() as silent:
        run_without("silent", silent, figures, problems)


def run_missing(figures, problems):
    run_without("missing", None, figures, problems)


def main():
    figures, problems = {}, []
    for part in (run_with_broker, run_silent, run_missing):
        try:
            part(figures, problems)
        except (AssertionError, OSError, ValueError, KeyError) as error:
            problems.append(f"{type(error).__name__}: {str(error)[:2000]}")
    if problems:
        figures["problems"] = problems[:10]
        say("\n".join(problems))
    end("reopenings", not problems, figures)


if __name__ == "__main__":
    main()
