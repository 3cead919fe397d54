#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The rules of the numbered stream, as the very objects that the product links, under faults.

tests/simulation drives a whole cluster in one process under virtual time from one seed, and checks
it at every step. Shown are: every schedule of a range of seeds holds, and each that once did not; a
seed run twice is the same schedule; and each of three bugs, planted into the linked test alone, is
found.

    MODEL_SCHEDULES   how many (default 100,000; with --ci as many as fit 15 seconds)
    MODEL_FIRST       the first seed (default 1)
"""
import json
import os
import subprocess

from show import BUILD, IN_CI, end, say

SIMULATION = os.path.join(BUILD, "tests", "simulation", "simulation")
SCHEDULES = int(os.environ.get("MODEL_SCHEDULES", "100000"))
FIRST = os.environ.get("MODEL_FIRST", "1")
CI_SECONDS = 15
PLANTS = ["no-fence", "no-barrier", "wrong-resend"]
PLANT_SCHEDULES = 5000
TWICE = 300  # schedules that are run twice
VIRTUAL = ("events", "modes", "changes", "single_fault", "virtual_seconds", "schedules")
MODES = ("starting", "leader-carrier", "leader-direct", "follower-carrier", "follower-peer",
         "alone")


def simulate(*arguments):
    """What it printed; None when it was ended by an assertion of the product."""
    command = [SIMULATION, *[str(argument) for argument in arguments]]
    say("$ " + " ".join(command))
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    return json.loads(done.stdout) if done.returncode in (0, 1) else None


def run_schedules():
    limit = ["--seconds", CI_SECONDS] if IN_CI else []
    return simulate("--schedules", SCHEDULES, "--first-seed", FIRST, "--keep-going", *limit)


def is_reproducible():
    first, second = (simulate("--schedules", TWICE, "--first-seed", FIRST, "--keep-going")
                     for _ in range(2))
    return bool(first and second) and all(first[key] == second[key] for key in VIRTUAL)


def find_plants():
    """For each planted bug the number of schedules until it was found; None: it was not."""
    found = {}
    for name in PLANTS:
        result = simulate("--plant", name, "--schedules", PLANT_SCHEDULES)
        found[name] = result["schedules"] if result and result["failures"] else None
    return found


def main():
    result = run_schedules()
    if result is None:
        end("model", False, {"problem": "an assertion of the product failed"})
    once = simulate("--failed-once", "--keep-going") or {"failed_seeds": "an assertion failed"}
    plants = find_plants()
    again = is_reproducible()
    unvisited = [mode for mode in MODES if result["modes"][mode] == 0]
    unseen = [event for event in ("takeovers", "fenced", "fenced_records", "forks", "resumes",
                                  "lost_tails", "late_writes", "double_writes")
              if result["events"][event] == 0]
    figures = {**result, "planted_found_after": plants, "reproducible": again,
               "failed_once": once["failed_seeds"],
               "modes_unvisited": unvisited, "events_unseen": unseen}
    end("model", result["failures"] == 0 and not once["failed_seeds"]
        and all(plants.values()) and again
        and not unvisited and not unseen, figures)


if __name__ == "__main__":
    main()
