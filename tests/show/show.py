# SPDX-License-Identifier: Apache-2.0
"""What the shows share: their way of telling progress and of ending."""

import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
IN_CI = os.environ.get("TEST_CI") == "1"
BUILD = os.environ.get("TEST_BUILD", os.path.join(ROOT, "build"))
TICKWIRE = os.environ.get("TICKWIRE", os.path.join(BUILD, "src", "node", "tickwire"))


def say(text):
    print(text, file=sys.stderr, flush=True)


def run(command, **options):
    """Runs a command whose output is progress; raises when it fails."""
    say("$ " + " ".join(str(part) for part in command))
    subprocess.run(command, stdout=sys.stderr, check=True, **options)


def end(name, passed, figures, skipped=()):
    """The last line, and the exit status that goes with it."""
    print(json.dumps({"show": name, "pass": bool(passed), "figures": figures,
                      "skipped": list(skipped)}), flush=True)
    sys.exit(0 if passed else 1)


def conclude(name, figures, problems, skipped=()):
    """Ends; problems are told, and make it a failure."""
    if problems:
        figures["problems"] = [problem[:3000] for problem in problems[:10]]
        say("\n".join(figures["problems"]))
    end(name, not problems, figures, skipped)


def attempt(work, *arguments):
    """(figures, problems) of work(*arguments), as it returns them; what it raises is a problem."""
    try:
        return work(*arguments)
    except (AssertionError, OSError, ValueError, KeyError) as error:
        return {}, [f"{type(error).__name__}: {error}"]
