# SPDX-License-Identifier: Apache-2.0
"""The servers that the shows of the fan-out measure, and the load they put on them.

The floor is a bare loop without any protocol but frames (bench/floor.c); ours is bench_fanout_node,
a node without exchanges; the peers are small servers on other libraries (peers/README.md). Each is
started for a measurement and ended after it; `tickwire bench fanout` is source and clients of all.
"""

import json
import os
import resource
import select
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

from show import BUILD, ROOT, TICKWIRE, say

PEERS = os.path.join(ROOT, "tests", "show", "peers")
BUILT = os.path.join(ROOT, "build", "peers")
NODE = os.path.join(BUILD, "bench", "bench_fanout_node")
FLOOR = os.path.join(BUILD, "bench", "bench_floor")
FLOORS = {
    "floor": [FLOOR],
    "floor_2ms": [FLOOR, "--flush-ms", "2"],
    "floor_10ms": [FLOOR, "--flush-ms", "10"],
}
SIZE = 250
START_S = 30
INSTALL_S = 300
LOAD_EXTRA_S = 150  # connecting, running in, draining
FILES = 65536
QUIET = 0.1  # of the machine that others may use when we begin
QUIET_S = 20  # waited for that at most, before one measurement
QUIET_ALL_S = 120  # and in a whole show


class Missing(Exception):
    """Why a server cannot be measured here."""


# ---- peers ----

def run_tool(command, **options):
    """A tool that fetches or builds; its absence or failure is a reason, no failure of ours."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=INSTALL_S, **options)
    except FileNotFoundError:
        raise Missing(f"{command[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise Missing(f"{command[0]} took more than {INSTALL_S} s") from None
    if done.returncode != 0:
        said = done.stdout.strip().splitlines() or [f"status {done.returncode}"]
        raise Missing(f"{' '.join(command[:2])} failed: {said[-1][:120]}")
    return done.stdout.strip()


def build_ws():
    folder = os.path.join(BUILT, "ws")
    os.makedirs(folder, exist_ok=True)
    for name in ("package.json", "package-lock.json", "server.js"):
        shutil.copy(os.path.join(PEERS, "ws", name), folder)
    if not os.path.exists(os.path.join(folder, "node_modules", "ws", "package.json")):
        run_tool(["npm", "ci", "--no-audit", "--no-fund"], cwd=folder)
    return ["node", os.path.join(folder, "server.js")]


def build_gorilla():
    program = os.path.join(BUILT, "gorilla-server")
    run_tool(["go", "build", "-mod=readonly", "-o", program, "."],
             cwd=os.path.join(PEERS, "gorilla"))
    return [program]


def build_libwebsockets():
    program = os.path.join(BUILT, "libwebsockets")
    flags = run_tool(["pkg-config", "--cflags", "--libs", "libwebsockets"])
    run_tool(["cc", "-O2", "-o", program, os.path.join(PEERS, "libwebsockets.c"),
              *shlex.split(flags), "-pthread"])
    return [program]


def websockets_command():
    return [sys.executable, os.path.join(PEERS, "websockets_server.py")]


BUILDERS = {
    "ws_broadcast": lambda: build_ws() + ["broadcast"],
    "ws_prepared": lambda: build_ws() + ["prepared"],
    "websockets": websockets_command,
    "gorilla": build_gorilla,
    "libwebsockets": build_libwebsockets,
}


def wished_peer():
    """PEER="name=command" of the environment."""
    text = os.environ.get("PEER", "")
    if not text:
        return {}
    name, _, command = text.partition("=")
    if not name.isidentifier() or not command:
        raise SystemExit('PEER is "name=command with arguments", the name a plain word')
    return {name: shlex.split(command)}


def prepare_peers(names):
    """({name: command}, [why one is missing]) of those that can be had here, and PEER's."""
    commands, skipped = {}, []
    os.makedirs(BUILT, exist_ok=True)
    subprocess.run([os.path.join(ROOT, "tools", "install.sh"), "peers"], stdout=sys.stderr,
                   check=False)
    for name in names:
        try:
            commands[name] = BUILDERS[name]()
        except Missing as reason:
            skipped.append(f"{name}: {reason}")
    commands.update(wished_peer())
    if "uWebSockets" not in commands:
        skipped.append('uWebSockets: in no package registry; PEER="uWebSockets=COMMAND" adds it')
    return commands, skipped


def certificate():
    """Options of a server that speaks TLS with a certificate made for it."""
    pair = [os.path.join(BUILT, name) for name in ("certificate.pem", "key.pem")]
    if not all(os.path.exists(path) for path in pair):
        run_tool(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                  "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost", "-days", "3650",
                  "-out", pair[0], "-keyout", pair[1]])
    return ["--certificate", pair[0], "--key", pair[1]]


# ---- running and loading one ----

def raise_files():
    """Servers inherit it; not all raise it themselves."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, FILES), max(hard, FILES)))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


class Server:
    """A command of peers/README.md's kind, running; Missing when it does not start."""

    def __init__(self, name, command):
        self.name = name
        self.command = command
        self.last_words = ""

    def __enter__(self):
        self.complaints = tempfile.TemporaryFile(mode="w+")  # not a pipe, which may fill up
        try:
            self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE,
                                            stderr=self.complaints, text=True)
        except OSError as error:
            raise Missing(f"{self.name}: {error}") from None
        ready, _, _ = select.select([self.process.stdout], [], [], START_S)
        line = self.process.stdout.readline() if ready else ""
        try:
            self.ports = json.loads(line)
        except ValueError:
            self.process.kill()
            self.process.communicate()
            self.complaints.seek(0)
            said = self.complaints.read().strip().splitlines() or ["it does not start"]
            raise Missing(f"{self.name}: {said[0][:120]}") from None
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.last_words = self.process.communicate(timeout=30)[0]
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
        self.complaints.close()

    def load(self, clients, rate, seconds, *flags, query=None):
        """The load's result; {"error": ...} when it came to none. query replaces the URL's own."""
        url = self.ports["url"]
        if query is not None:
            url = url.partition("?")[0] + query
        command = [TICKWIRE, "bench", "fanout", "--url", url, "--time-field", "recv",
                   "--pid", str(self.process.pid), "--clients", str(clients),
                   "--seconds", str(seconds), *flags]
        if rate > 0:
            command += ["--source", self.ports["source"], "--rate", str(rate), "--size", str(SIZE)]
        try:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  text=True, timeout=seconds + LOAD_EXTRA_S)
        except subprocess.TimeoutExpired:
            return {"error": "the load did not end"}
        if done.returncode != 0:
            return {"error": (done.stderr.strip().splitlines() or ["no words"])[-1]}
        return json.loads(done.stdout)


def faults(result):
    """What may not be, in a result; nobody's p99 is one."""
    wrong = {key: result[key] for key in ("gaps", "repeats", "closed", "behind") if result.get(key)}
    if result.get("join", {}).get("wrong"):
        wrong["join"] = result["join"]
    return wrong | ({"error": result["error"]} if "error" in result else {})


# ---- a quiet machine ----

def busy_share(seconds):
    """Of the machine's time, what was not idle; nothing of ours runs then."""
    def read():
        with open("/proc/stat", encoding="ascii") as file:
            times = [int(word) for word in file.readline().split()[1:9]]
        return sum(times), times[3] + times[4]

    total, idle = read()
    time.sleep(seconds)
    total_after, idle_after = read()
    return 1 - (idle_after - idle) / max(total_after - total, 1)


class Quiet:
    """Waits until others leave the machine alone, but not for ever."""

    def __init__(self):
        self.waited = 0
        self.busy = 0  # measurements begun while others used the machine

    def wait(self):
        begin = time.monotonic()
        while busy_share(0.5) > QUIET:
            if time.monotonic() - begin > QUIET_S or self.waited > QUIET_ALL_S:
                self.busy += 1
                break
        self.waited += max(time.monotonic() - begin - 0.5, 0)


def bar(value, sense, limit):
    met = value <= limit if sense == "<=" else value >= limit
    return {"value": round(value, 3), "bar": f"{sense} {limit}", "met": met}


def describe(result):
    if "error" in result:
        return result["error"]
    return (f"{result['rate']} msg/s, p50 {result['p50_ms']} ms, p99 {result['p99_ms']} ms, "
            f"CPU {result['server_cpu_per_million']} s a million")


def tell(scenario, name, result):
    say(f"{scenario} {name}: {describe(result)}")
