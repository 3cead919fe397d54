# SPDX-License-Identifier: Apache-2.0
"""TLS at both ends: exchanges at wss, and clients that come with https and wss."""

import asyncio
import json
import signal
import socket
import ssl
import subprocess

import pytest
import websockets.asyncio.client
import websockets.asyncio.server

from fake_exchange import FakeExchange, binance_trade
from harness import (ALONE, LISTEN, PATIENCE, TICKWIRE, Node, clean_environment, run, serve,
                     wait_until)
from prometheus import parse

NOT_BUILT = "is not built yet"
SAN = "subjectAltName=DNS:localhost,IP:127.0.0.1"


class Authority:
    """A certificate authority in a folder; what it signs is good for this machine."""

    def __init__(self, folder):
        self.folder = folder
        self.file = str(folder / "ca.pem")
        self._openssl("req", "-x509", *self._key("ca"), "-out", self.file, "-days", "2",
                      "-subj", "/CN=test authority")

    def _openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=PATIENCE)

    def _key(self, name):
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                str(self.folder / f"{name}.key"))

    def issue(self, name, names=SAN, days=2):
        """(certificate, key) as paths of PEM files; again: another one under the same name. Less
        than 0 days: it has expired."""
        request, extension, certificate = (
            str(self.folder / f"{name}.{ending}") for ending in ("csr", "ext", "pem"))
        self._openssl("req", "-new", *self._key(name), "-out", request, "-subj", f"/CN={name}")
        with open(extension, "w", encoding="ascii") as out:
            out.write(names)
        self._openssl("x509", "-req", "-in", request, "-CA", self.file, "-CAkey",
                      str(self.folder / "ca.key"), "-CAcreateserial", "-out", certificate, "-days",
                      str(days), "-extfile", extension)
        return certificate, str(self.folder / f"{name}.key")

    def trusting(self, version=None):
        """A client's context."""
        context = ssl.create_default_context(cafile=self.file)
        if version is not None:
            context.minimum_version = context.maximum_version = version
        return context

    @property
    def environment(self):
        """In which a program takes this one for the system's authority."""
        return {"SSL_CERT_FILE": self.file, "SSL_CERT_DIR": str(self.folder / "none")}


def first_messages(url, authority, count, **options):
    """In one thread: two, one of which reads while the other one writes, may spoil each other's
    state in Python's ssl, and then wait for ever (once in 600 times, with `websockets.sync`)."""
    async def receive():
        async with websockets.asyncio.client.connect(
                url, ssl=authority.trusting(), compression=None, open_timeout=PATIENCE,
                close_timeout=0.1, **options) as client:
            return [json.loads(await asyncio.wait_for(client.recv(), PATIENCE))
                    for _ in range(count)]
    return asyncio.run(receive())


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


# ---- exchanges at wss ----

class SecureExchange(FakeExchange):
    def __init__(self, certificate, greeting=()):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certificate)
        super().__init__(greeting)

    async def _listen(self, port):
        return await websockets.asyncio.server.serve(
            self._serve, "127.0.0.1", port, ssl=self.context, compression=None, max_size=None,
            ping_interval=None)

    @property
    def url(self):
        return f"wss://localhost:{self.port}"

    def close(self):
        # A TLS connection that has ended can't be ended again.
        self.connections = [each for each in self.connections if each.state.name == "OPEN"]
        super().close()


def test_an_exchange_at_wss(authority):
    with SecureExchange(authority.issue("exchange"), [binance_trade(7)]) as exchange:
        with serve(exchanges={"binance": exchange.url}, environment=authority.environment) as node:
            assert node.wait_log(msg="connected")["url"].startswith("wss://localhost:")
            trades = wait_until(
                lambda: json.loads(node.get("/api/v1/trades/binance/BTC-USDT")[2]).get("trades"),
                "the trade has come")
            assert trades[0]["id"] == "7"
        assert json.loads(exchange.received[0][2])["method"] == "SUBSCRIBE"


@pytest.mark.parametrize("names, trusted, reason", [
    ("subjectAltName=DNS:elsewhere.example", True, "hostname mismatch"),
    (SAN, False, "unable to get local issuer certificate"),
])
def test_an_exchange_that_is_not_trusted(authority, names, trusted, reason):
    environment = authority.environment if trusted else None
    with SecureExchange(authority.issue("wrong", names)) as exchange:
        with serve(exchanges={"binance": exchange.url}, environment=environment) as node:
            line = node.wait_log(msg="connection closed, reconnecting")
            assert line["reason"] == (
                f"localhost:{exchange.port}: certificate verify failed: {reason}")
        assert exchange.received == []


# ---- clients with https and wss ----

def secure_node(certificate):
    """A node that collects nothing and serves with TLS."""
    settings = ("--set", f"http.tls.cert={certificate[0]}", "--set",
                f"http.tls.key={certificate[1]}")
    status, _, errors = run("check", *settings)
    if status != 0 and NOT_BUILT in errors:
        pytest.skip("serving with TLS is not built yet")
    return Node("serve", *LISTEN, *ALONE, *settings, "--set", "stream.heartbeat=100ms")


class Secure:
    """One HTTPS connection."""

    def __init__(self, node, context, session=None):
        plain = socket.create_connection(("127.0.0.1", node.port), timeout=PATIENCE)
        self.socket = context.wrap_socket(plain, server_hostname="localhost", session=session)

    def get(self, path):
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self.socket.recv(65536)
        head, body = answer.split(b"\r\n\r\n", 1)
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        while len(body) < int(fields[b"content-length"]):
            body += self.socket.recv(65536)
        assert head.startswith(b"HTTP/1.1 200 "), head
        return body

    def close(self):
        """In order: the server says good-bye as well."""
        self.socket.unwrap().close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def handshakes(node, authority, result):
    with Secure(node, authority.trusting()) as connection:
        samples, _ = parse(connection.get("/metrics"))
    return samples["tickwire_tls_handshakes_total"][frozenset({("result", result)})]


def test_https_and_wss_on_one_port(authority):
    with secure_node(authority.issue("node")) as node:
        with Secure(node, authority.trusting()) as connection:
            assert json.loads(connection.get("/ws/info"))["stream"]
            assert connection.get("/healthz")  # kept alive
        types = [message["type"] for message in first_messages(
            f"wss://localhost:{node.port}/ws/exchange", authority, 5)]
        assert types[0] == "hello" and "heartbeat" in types
        with subprocess.Popen(
                [TICKWIRE, "tail", f"wss://localhost:{node.port}/ws/exchange"], text=True,
                env=clean_environment(authority.environment), stdout=subprocess.PIPE) as tail:
            assert json.loads(tail.stdout.readline())["type"] == "hello"
            tail.terminate()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed_across_a_reload(authority, version):
    certificate = authority.issue("reloaded")
    context = authority.trusting(version)
    with secure_node(certificate) as node:
        def visit(session=None):
            with Secure(node, context, session) as connection:
                connection.get("/healthz")
                reused, given = connection.socket.session_reused, connection.socket.session
                shown = connection.socket.getpeercert()["serialNumber"]
                connection.close()
                return reused, given, shown

        reused, session, first = visit()
        assert not reused
        assert visit(session)[0]
        before = Secure(node, context)
        authority.issue("reloaded")
        node.send_signal(signal.SIGHUP)
        wait_until(lambda: visit()[2] != first, "the new certificate is shown")
        assert visit(session)[0]
        assert before.get("/healthz")  # who was there stays, with the old one
        before.socket.close()
        assert handshakes(node, authority, "resumed") == 2


def test_a_bad_reload_changes_nothing(authority):
    certificate = authority.issue("kept")
    with secure_node(certificate) as node:
        with open(certificate[0], "w", encoding="ascii") as out:
            out.write("nonsense")
        node.send_signal(signal.SIGHUP)
        wait_until(lambda: any("no usable certificate" in line for line in node.lines),
                   "the log says why")
        with Secure(node, authority.trusting()) as connection:
            assert connection.get("/healthz")


def test_strangers_fail_alone(authority):
    with secure_node(authority.issue("strange")) as node:
        status, _, body = node.get("/healthz")  # with plain HTTP
        assert status == 400 and b"only https and wss are served here" in body
        with socket.create_connection(("127.0.0.1", node.port), timeout=PATIENCE) as garbage:
            garbage.sendall(b"\x16\x03\x01\xff\xff" + bytes(range(256)) * 100)
            try:
                while garbage.recv(4096):
                    pass
            except ConnectionResetError:
                pass
        with pytest.raises(ssl.SSLError):
            old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
            old.set_alpn_protocols(["h2"])
            Secure(node, old)
        assert handshakes(node, authority, "failed") == 3
