# SPDX-License-Identifier: Apache-2.0
"""`tickwire serve` with no arguments in an empty folder, against the simulator under the exchanges'
own names, with TLS: in a network namespace of its own whose hosts file says where they are.

So ports, paths, names (SNI, Host) and headers of the default configuration are seen by a test:
first by the simulator, which speaks TLS itself, then by a relay before it, which reads the name in
the TLS handshake and each request's head, REST included. Data of all default symbols must be what
the simulator says is true. With a certificate of another name, an expired one, and one of an
authority that nobody knows, the exchanges are `down`, with the reason, and not one byte was said.

Skipped where namespaces are not allowed.
"""

import fcntl
import json
import os
import pathlib
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import types

from live import SYMBOLS, Follower, compare, truths, wait_arrived, wait_books
from show import end, say

from harness import EXCHANGES, PATIENCE, Node, wait_until
from simulator import Simulator
from test_tls import Authority

INSIDE = "inside"  # first argument of the process that is in the namespaces
SECONDS = 300

# Where each name is; nothing listens at the first address of api.upbit.com.
HOSTS = [("stream.binance.com", "127.1.0.1"), ("api.binance.com", "127.1.0.2"),
         ("api.upbit.com", "::1"), ("api.upbit.com", "127.1.0.3"),
         ("ws-api.bithumb.com", "127.1.0.4"), ("api.bithumb.com", "127.1.0.5")]
PLACES = [("127.1.0.1", 9443), ("127.1.0.2", 443), ("127.1.0.3", 443), ("127.1.0.4", 443),
          ("127.1.0.5", 443)]
# Address, Host, path of a handshake, whether compression is offered.
HANDSHAKES = {"binance": ("127.1.0.1", "stream.binance.com:9443", "/stream", False),
              "upbit": ("127.1.0.3", "api.upbit.com", "/websocket/v1", True),
              "bithumb": ("127.1.0.4", "ws-api.bithumb.com", "/websocket/v1", True)}
# Address, Host, and what paths begin with.
REST = {"binance": ("127.1.0.2", "api.binance.com", "/api/v3/"),
        "upbit": ("127.1.0.3", "api.upbit.com", "/v1/"),
        "bithumb": ("127.1.0.5", "api.bithumb.com", "/v1/")}
NEVER = {"origin", "cookie", "authorization", "referer"}
RATE = "400"
HEAD_MAX = 16384
LOOKED_UP_S = 20  # a symbol of which nothing comes is looked up by REST within that


# ---- the namespaces ----

def namespace_command():
    """What runs a command in namespaces of its own, and why there is none. The process namespace
    ends all that was started in it."""
    refusals = []
    for extra in ([], ["--user", "--map-root-user"]):
        command = ["unshare", *extra, "--net", "--mount", "--pid", "--fork", "--kill-child",
                   "--mount-proc"]
        try:
            done = subprocess.run([*command, "true"], capture_output=True, text=True, timeout=20)
        except OSError as error:
            return None, f"namespaces: {error}"
        if done.returncode == 0:
            return command, None
        refusals.append(done.stderr.strip())
    return None, "namespaces are not allowed: " + "; ".join(refusals)


def loopback_up():
    """SIOCGIFFLAGS, SIOCSIFFLAGS of netdevice(7); IFF_UP is 1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sH22x", b"lo", 0)
        _, flags = struct.unpack("16sH22x", fcntl.ioctl(control, 0x8913, request))
        fcntl.ioctl(control, 0x8914, struct.pack("16sH22x", b"lo", flags | 1))


def names_mapped(folder):
    """This namespace's /etc/hosts."""
    hosts = folder / "hosts"
    lines = [f"{address} {name}" for name, address in HOSTS] + ["127.0.0.1 localhost"]
    hosts.write_text("\n".join(lines) + "\n", encoding="ascii")
    subprocess.run(["mount", "--bind", str(hosts), "/etc/hosts"], check=True, timeout=20)
    for name, address in HOSTS:
        found = {entry[4][0] for entry in socket.getaddrinfo(name, 443)}
        assert address in found, f"{name} is at {found} here, not at {address}"


def alternatives(names):
    return "subjectAltName=IP:127.0.0.1," + ",".join(f"DNS:{name}" for name in names)


# ---- a relay that reads what is said ----

class Relay:
    """TLS at all places, before a simulator that speaks none; a context manager. `said` has
    (address, port, SNI, ALPN, request line, [(header, value)]) of each request, `failures` has
    (address, OpenSSL's reason) of each handshake that failed."""

    def __init__(self, simulator, certificate):
        self.simulator, self.certificate = simulator, certificate
        self.said, self.failures, self.read = [], [], 0
        self.listeners = [socket.create_server(place) for place in PLACES]
        for listener in self.listeners:
            threading.Thread(target=self._listen, args=(listener,), daemon=True).start()

    def _listen(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection, listener.getsockname()),
                             daemon=True).start()

    def _serve(self, connection, place):
        names = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.certificate)
        context.set_alpn_protocols(["h2", "http/1.1"])
        context.sni_callback = lambda _socket, name, _context: names.append(name)
        connection.settimeout(PATIENCE)
        try:
            with context.wrap_socket(connection, server_side=True) as secure:
                self._relay(secure, place, names)
        except OSError as error:
            self.failures.append((place[0], getattr(error, "reason", None) or str(error)))

    def _relay(self, secure, place, names):
        head = b""
        while b"\r\n\r\n" not in head and len(head) < HEAD_MAX:
            data = secure.recv(HEAD_MAX)
            self.read += len(data)
            if not data:
                raise OSError("closed before a request")
            head += data
        first, *lines = head.split(b"\r\n\r\n")[0].decode("ascii").split("\r\n")
        headers = [tuple(line.split(": ", 1)) for line in lines]
        self.said.append((*place, names, secure.selected_alpn_protocol(), first, headers))
        with socket.create_connection(("127.0.0.1", self.simulator.port)) as there:
            there.sendall(head)
            # The way back is pumped here, the way there beside it; an SSLSocket may do both.
            secure.settimeout(None)
            pump = threading.Thread(target=self._pump, args=(secure, there), daemon=True)
            pump.start()
            self._pump(there, secure)
            pump.join(PATIENCE)

    @staticmethod
    def _pump(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        for end_of_it in (source, target):
            try:
                end_of_it.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for listener in self.listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()


# ---- what is checked ----

def headers_wrong(exchange, headers, host, deflate):
    """Of a handshake: {lower-case name: value}."""
    wanted = {"host": host, "upgrade": "websocket", "connection": "Upgrade",
              "sec-websocket-version": "13"}
    for name, value in wanted.items():
        if headers.get(name) != value:
            yield f"{exchange}: {name} is {headers.get(name)!r}, not {value!r}"
    if not headers.get("user-agent", "").startswith("tickwire/"):
        yield f"{exchange}: user-agent is {headers.get('user-agent')!r}"
    if ("permessage-deflate" in headers.get("sec-websocket-extensions", "")) != deflate:
        yield f"{exchange}: extensions {headers.get('sec-websocket-extensions')!r}"
    if NEVER & headers.keys():
        yield f"{exchange}: sends {NEVER & headers.keys()}"


def lower(headers):
    assert len({name.lower() for name, _ in headers}) == len(headers), f"a header twice: {headers}"
    return {name.lower(): value for name, value in headers}


def collect(simulator, node):
    """Data of everything arrives, and is the truth."""
    live = types.SimpleNamespace(simulator=simulator, exchanges=EXCHANGES)
    known = truths(live)
    with Follower(node) as follower:
        for exchange in EXCHANGES:
            follower.wait_data(exchange, SYMBOLS[exchange], ("trade", "ticker", "book"), seconds=40)
        for exchange in EXCHANGES:
            simulator.fault("halt", exchange, ms=600_000)
        wait_arrived(follower, known)
        books = wait_books(follower, known)
        comparisons = compare(follower, live, known)
    problems = [text for comparison in comparisons.values() for text in comparison.problems()]
    missing = {str(key): len(comparison.missing) for key, comparison in comparisons.items()
               if comparison.missing}
    if missing:
        problems.append(f"missing trades: {missing}")
    if follower.gaps:
        problems.append(f"gaps: {follower.gaps[:3]}")
    return {"trades": sum(len(found.seen) for found in comparisons.values()), "books": books,
            "schema_checked": follower.schema_checked}, problems


def look_at_node(node, problems):
    """The port, the dashboard, and what it says of the exchanges."""
    status, headers, body = node.get("/")
    if status != 200 or not headers["Content-Type"].startswith("text/html") or (
            b"tickwire" not in body.lower()):
        problems.append(f"the dashboard answers {status} {headers['Content-Type']}")
    if node.port != 8080:
        problems.append(f"it listens at {node.port}")
    states = {name: entry["state"] for name, entry in exchanges_of(node).items()}
    if states != dict.fromkeys(EXCHANGES, "live"):
        problems.append(f"states: {states}")


def exchanges_of(node):
    return {entry["name"]: entry for entry in node.json("/api/v1/exchanges")["exchanges"]}


def show_simulator(authority, certificate):
    """The simulator itself speaks TLS."""
    problems = []
    listens = [part for address, port in PLACES for part in ("--listen", f"{address}:{port}")]
    with Simulator("--rate", RATE, *listens, "--tls-cert", certificate[0], "--tls-key",
                   certificate[1], context=authority.trusting()) as simulator:
        with Node("serve", environment=authority.environment) as node:
            before = os.listdir(node.folder)
            figures, found = collect(simulator, node)
            problems += found
            look_at_node(node, problems)
            venues = simulator.get("/sim/stats")["venues"]
            for exchange, (_, host, _, deflate) in HANDSHAKES.items():
                headers = lower(venues[exchange]["headers_last_handshake"].items())
                problems += headers_wrong(exchange, headers, host, deflate)
            broken = simulator.get("/sim/stats")["limits_broken_total"]
            if broken:
                problems.append(f"{broken} limits broken")
            figures["files_left"] = sorted(set(before) | set(os.listdir(node.folder)))
            figures["connects"] = {name: venues[name]["connects"] for name in EXCHANGES}
    return figures, problems


def request_wrong(relay, exchange):
    """What is wrong with what an exchange was asked."""
    address, host, path, deflate = HANDSHAKES[exchange]
    handshakes = [said for said in relay.said
                  if said[0] == address and said[4].split(" ")[1].split("?")[0] == path]
    if not handshakes:
        yield f"{exchange}: no handshake at {address} for {path}"
    for _, _, names, alpn, first, headers in handshakes:
        if names != [host.split(":")[0]] or alpn not in (None, "http/1.1"):
            yield f"{exchange}: SNI {names}, ALPN {alpn}"
        if not (first.startswith("GET ") and first.endswith(" HTTP/1.1")):
            yield f"{exchange}: {first}"
        yield from headers_wrong(exchange, lower(headers), host, deflate)
    address, host, path = REST[exchange]
    asked = [said for said in relay.said
             if said[0] == address and said[4].startswith(f"GET {path}")]
    if not asked:
        yield f"{exchange}: nothing was asked by REST"
    for _, _, names, _, first, headers in asked:
        headers = lower(headers)
        if names != [host] or headers.get("host") != host or NEVER & headers.keys():
            yield f"{exchange}: {first} with SNI {names}, headers {headers}"


def show_relay(authority, certificate):
    """What the relay reads. One symbol of each exchange says nothing, so it is looked up."""
    with Simulator("--rate", RATE) as simulator, Relay(simulator, certificate) as relay:
        for exchange in EXCHANGES:
            simulator.fault("stall", exchange, symbol=SYMBOLS[exchange][-1], ms=600_000)
        with Node("serve", environment=authority.environment):
            def all_asked():
                return all(any(said[0] == address and said[4].startswith(f"GET {path}")
                               for said in relay.said) for address, _, path in REST.values())

            wait_until(all_asked, "each exchange is asked by REST", LOOKED_UP_S)
        wrong = [text for exchange in EXCHANGES for text in request_wrong(relay, exchange)]
        expected = [(here[0], f"GET {here[2]}") for table in (HANDSHAKES, REST)
                    for here in table.values()]
        strange = [said[:5] for said in relay.said if not any(
            said[0] == address and said[4].startswith(begin) for address, begin in expected)]
        if strange:
            wrong.append(f"unexpected requests: {strange[:3]}")
        return {"requests": sorted({f"{said[2]} {said[4].split('?')[0]}" for said in relay.said})
                }, wrong


def show_refused(what, certificate, words, environment):
    """The certificate is not to be trusted: `down`, and nothing was said."""
    problems, reasons = [], {}
    with Simulator() as simulator, Relay(simulator, certificate) as relay:
        with Node("serve", environment=environment) as node:
            def all_down():
                states = exchanges_of(node)
                return states if all(words in (states[name].get("reason") or "")
                                     and states[name]["state"] == "down"
                                     for name in EXCHANGES) else None

            try:
                states = wait_until(all_down, f"{what}: all exchanges are down", PATIENCE)
                reasons = {name: states[name]["reason"] for name in EXCHANGES}
            except AssertionError as error:
                problems.append(f"{error}: {json.dumps(exchanges_of(node))[:900]}")
            with Follower(node) as follower:
                follower.wait(lambda: len({status["exchange"] for status in follower.statuses
                                           if status["state"] == "down"
                                           and words in status.get("reason", "")}) == 3,
                              f"{what}: clients are told")
                if follower.trades:
                    problems.append(f"{what}: data came")
        refused = {address for address, _ in relay.failures}
        if not {here[0] for here in HANDSHAKES.values()} <= refused:
            problems.append(f"{what}: handshakes failed only at {refused}")
        if relay.said or relay.read:
            problems.append(f"{what}: {relay.read} bytes were said: {relay.said[:2]}")
        total = sum(venue["connects"] for venue in simulator.get("/sim/stats")["venues"].values())
        if total:
            problems.append(f"{what}: {total} connections went through")
        heard = sorted({reason for _, reason in relay.failures})
    return {"reasons": reasons, "heard": heard}, problems


def inside():
    figures, problems = {}, []
    loopback_up()
    with tempfile.TemporaryDirectory(prefix="tickwire-defaults-") as folder:
        folder = pathlib.Path(folder)
        names_mapped(folder)
        for name in ("known", "unknown"):
            (folder / name).mkdir()
        authority, unknown = Authority(folder / "known"), Authority(folder / "unknown")
        names = alternatives(sorted({name for name, _ in HOSTS}))
        good = authority.issue("good", names)
        bad = {"another name": (authority.issue("other", alternatives(["example.com"])),
                                "hostname mismatch"),
               "expired": (authority.issue("old", names, days=-1), "certificate has expired"),
               "unknown authority": (unknown.issue("stranger", names),
                                     "unable to get local issuer certificate")}
        jobs = [("simulator", lambda: show_simulator(authority, good)),
                ("relay", lambda: show_relay(authority, good))]
        jobs += [(what, lambda what=what, certificate=certificate, words=words: show_refused(
            what, certificate, words, authority.environment))
            for what, (certificate, words) in bad.items()]
        for name, job in jobs:
            try:
                figures[name], found = job()
            except (AssertionError, OSError, ValueError) as error:
                found = [f"{name}: {type(error).__name__}: {error}"]
            say(f"defaults: {name}: {json.dumps(figures.get(name))} {found or ''}")
            problems += found
    if problems:
        figures["problems"] = [problem[:1500] for problem in problems[:10]]
    end("defaults", not problems, figures)


def main():
    if sys.argv[1:] == [INSIDE]:
        inside()
    command, refusal = namespace_command()
    if command is None:
        say(refusal)
        end("defaults", True, {}, [refusal])
    done = subprocess.run([*command, sys.executable, os.path.abspath(__file__), INSIDE],
                          timeout=SECONDS)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
