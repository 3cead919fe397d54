# SPDX-License-Identifier: Apache-2.0
"""The way out through proxies that others have written: tinyproxy, and proxy.py for TLS.

The exchanges listen on loopback, which a proxy is never asked for, so their URLs name 0.0.0.0:
Linux takes that for this machine, and nobody else takes it for loopback.
"""

import contextlib
import shutil
import socket
import ssl
import subprocess
import sys
import threading

import pytest

from fake_exchange import FakeExchange, binance_trade
from harness import PATIENCE, run, serve, wait_until
from stream import Client
from test_tls import Authority, SecureExchange

USER, PASSWORD = "desk", "p@ss:w/rd"
ENCODED = "desk:p%40ss%3Aw%2Frd"
PLAIN = "hunter2"  # tinyproxy takes no signs in a password
TRADES = [binance_trade(7)]
QUICK = ("--set", "stream.heartbeat=200ms")
HOST = "0.0.0.0"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def accepts(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class ProxyProcess:
    """Somebody else's proxy; `tunnels` counts the CONNECTs for a port in its log."""

    def __init__(self, folder, port=None):
        self.folder, self.port = folder, port or free_port()
        self.log = folder / f"proxy-{self.port}.log"
        self.process = None

    def command(self):
        raise NotImplementedError

    def start(self):
        with open(self.folder / "proxy.out", "ab") as out:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=out, cwd=self.folder)
        wait_until(lambda: accepts(self.port), "the proxy listens", 2 * PATIENCE)

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)

    def tunnels(self, port):
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return sum("CONNECT" in line and f"{HOST}:{port}" in line for line in text.splitlines())

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()


class Tinyproxy(ProxyProcess):
    def __init__(self, folder, authenticate=False):
        super().__init__(folder)
        self.configuration = folder / f"tinyproxy-{self.port}.conf"
        login = f"BasicAuth {USER} {PLAIN}\n" if authenticate else ""
        self.configuration.write_text(
            f"Port {self.port}\nListen 127.0.0.1\nTimeout 600\nMaxClients 50\nLogLevel Info\n"
            f'LogFile "{self.log}"\n{login}', encoding="utf-8")

    def command(self):
        return ["tinyproxy", "-d", "-c", str(self.configuration)]


class ProxyPy(ProxyProcess):
    """With a certificate: TLS is spoken to the proxy itself."""

    def __init__(self, folder, certificate=None):
        super().__init__(folder)
        self.certificate = certificate

    def command(self):
        secure = [] if self.certificate is None else [
            "--cert-file", self.certificate[0], "--key-file", self.certificate[1]]
        return [sys.executable, "-m", "proxy", "--hostname", "127.0.0.1", "--port", str(self.port),
                "--num-workers", "1", "--num-acceptors", "1", "--data-dir", str(self.folder),
                "--basic-auth", f"{USER}:{PASSWORD}", "--log-file", str(self.log), *secure]


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module", autouse=True)
def needs_tinyproxy():
    assert shutil.which("tinyproxy"), "tools/install.sh test installs it"


def node_of(url, proxy, environment=None):
    outside = {"NO_PROXY": "", "no_proxy": "", **(environment or {})}
    return serve(*QUICK, "--set", f"proxy={proxy}", exchanges={"binance": url},
                 environment=outside)


def expect_trade(node):
    """From the stream's beginning on; what went by before it."""
    with Client(node, "?since=" + node.first_token()) as client:
        messages = client.until_type("trade")
    assert messages[-1]["id"] == "7"
    return messages


def expect_down(node, *words):
    """A status with the reason; the password stands nowhere."""
    with Client(node, "?since=" + node.first_token()) as client:
        message = client.until(lambda each: each["type"] == "status"
                               and words[0] in each.get("reason", ""))[-1]
    assert message["state"] == "down", message
    for word in words:
        assert word in message["reason"], message
    for secret in (PASSWORD, ENCODED.split(":", 1)[1], "wrong-one"):
        assert secret not in "\n".join(node.lines), secret
        assert secret not in message["reason"]


# ---- good ways ----

@pytest.mark.parametrize("authenticate", [False, True])
def test_tinyproxy(tmp_path, authenticate):
    with Tinyproxy(tmp_path, authenticate) as proxy, FakeExchange(TRADES) as exchange:
        login = f"{USER}:{PLAIN}@" if authenticate else ""
        with node_of(f"ws://{HOST}:{exchange.port}",
                     f"http://{login}127.0.0.1:{proxy.port}") as node:
            expect_trade(node)
            assert PLAIN not in node.log
        wait_until(lambda: proxy.tunnels(exchange.port) == 1, "the proxy logs its tunnel")
        headers = exchange.connections[0].request.headers
        assert headers["Host"] == f"{HOST}:{exchange.port}"
        assert "Origin" not in headers and "Proxy-Authorization" not in headers


@pytest.mark.parametrize("proxy_speaks_tls", [False, True])
def test_tls_in_the_tunnel(tmp_path, authority, proxy_speaks_tls):
    certificate = authority.issue("proxy", "subjectAltName=IP:127.0.0.1")
    good = authority.issue("exchange", f"subjectAltName=IP:{HOST}")
    with ProxyPy(tmp_path, certificate if proxy_speaks_tls else None) as proxy:
        with SecureExchange(good, TRADES) as exchange:
            scheme = "https" if proxy_speaks_tls else "http"
            with node_of(f"wss://{HOST}:{exchange.port}",
                         f"{scheme}://{ENCODED}@127.0.0.1:{proxy.port}",
                         authority.environment) as node:
                expect_trade(node)
            assert len(exchange.connections) == 1
        wait_until(lambda: proxy.tunnels(exchange.port) == 1, "the proxy logs its tunnel")


def test_a_lot_through_tls_in_tls(tmp_path, authority):
    """Records of both cross each other's borders everywhere."""
    certificate = authority.issue("proxy", "subjectAltName=IP:127.0.0.1")
    good = authority.issue("exchange", f"subjectAltName=IP:{HOST}")
    trades = [binance_trade(number) for number in range(1, 5001)]
    with ProxyPy(tmp_path, certificate) as proxy, SecureExchange(good, trades) as exchange:
        with node_of(f"wss://{HOST}:{exchange.port}",
                     f"https://{ENCODED}@127.0.0.1:{proxy.port}", authority.environment) as node:
            with Client(node, "?since=" + node.first_token()) as client:
                messages = client.until(lambda each: each["type"] == "trade"
                                        and each["id"] == "5000")
    assert [int(each["id"]) for each in messages if each["type"] == "trade"] == list(range(1, 5001))


def test_no_proxy_and_loopback_go_straight():
    nobody = f"http://127.0.0.1:{free_port()}"
    with FakeExchange(TRADES) as exchange:
        for name in ("NO_PROXY", "no_proxy"):
            with serve(*QUICK, "--set", f"proxy={nobody}", environment={name: f"x.example,{HOST}"},
                       exchanges={"binance": f"ws://{HOST}:{exchange.port}"}) as node:
                expect_trade(node)
        for host in ("127.0.0.1", "localhost"):
            with node_of(f"ws://{host}:{exchange.port}", nobody) as node:
                expect_trade(node)


def test_a_proxy_that_comes_back(tmp_path):
    with FakeExchange(TRADES) as exchange, Tinyproxy(tmp_path) as proxy:
        with node_of(f"ws://{HOST}:{exchange.port}", f"http://127.0.0.1:{proxy.port}") as node:
            expect_trade(node)
            proxy.stop()
            expect_down(node, "Connection refused", f"proxy 127.0.0.1:{proxy.port}")
            proxy.start()
            exchange.wait_connection(2)


# ---- ways that do not work ----

@pytest.mark.parametrize("login,words", [
    ("", "it wants a user and a password, and its URL has none"),
    (f"{USER}:wrong-one@", "it does not take this user and password")])
@pytest.mark.parametrize("kind", ["tinyproxy", "proxy.py"])
def test_not_let_in(tmp_path, kind, login, words):
    with Tinyproxy(tmp_path, True) if kind == "tinyproxy" else ProxyPy(tmp_path) as proxy:
        with FakeExchange(TRADES) as exchange:
            with node_of(f"ws://{HOST}:{exchange.port}",
                         f"http://{login}127.0.0.1:{proxy.port}") as node:
                expect_down(node, f"proxy http://127.0.0.1:{proxy.port} answered", words)
            assert not exchange.connections


def test_exchange_that_the_proxy_cannot_reach(tmp_path):
    port = free_port()
    with Tinyproxy(tmp_path) as proxy:
        with node_of(f"ws://{HOST}:{port}", f"http://127.0.0.1:{proxy.port}") as node:
            expect_down(node, f"proxy http://127.0.0.1:{proxy.port} answered 50",
                        f"to CONNECT {HOST}:{port}")


def test_proxy_whose_certificate_is_for_another(tmp_path, authority):
    certificate = authority.issue("elsewhere", "subjectAltName=DNS:elsewhere.example")
    with ProxyPy(tmp_path, certificate) as proxy, FakeExchange(TRADES) as exchange:
        with node_of(f"ws://{HOST}:{exchange.port}",
                     f"https://{ENCODED}@127.0.0.1:{proxy.port}", authority.environment) as node:
            expect_down(node, "certificate verify failed", f"proxy https://127.0.0.1:{proxy.port}")


def test_exchange_whose_certificate_is_for_another(tmp_path, authority):
    certificate = authority.issue("elsewhere", "subjectAltName=DNS:elsewhere.example")
    with Tinyproxy(tmp_path) as proxy, SecureExchange(certificate, TRADES) as exchange:
        with node_of(f"wss://{HOST}:{exchange.port}", f"http://127.0.0.1:{proxy.port}",
                     authority.environment) as node:
            expect_down(node, "certificate verify failed",
                        f"{HOST}:{exchange.port}, through proxy http://127.0.0.1:{proxy.port}")


def test_a_proxy_that_leaves_with_its_answer(tmp_path, authority):
    """The 200 and the end of the outer TLS come in one read: there is no tunnel any more."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("proxy", "subjectAltName=IP:127.0.0.1"))
    answer, coming = b"HTTP/1.1 200 OK\r\n\r\n", ssl.MemoryBIO()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def leave():
            connection, _ = listener.accept()
            outgoing = ssl.MemoryBIO()
            tls = context.wrap_bio(coming, outgoing, server_side=True)
            asked, step = b"", tls.do_handshake
            while b"\r\n\r\n" not in asked:
                try:
                    asked += step() or b""
                    step = tls.read
                except ssl.SSLWantReadError:
                    connection.sendall(outgoing.read())
                    coming.write(connection.recv(65536))
            tls.write(answer)
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.unwrap()
            connection.sendall(outgoing.read())  # answer and good-bye together
            connection.recv(1)
            connection.close()

        thread = threading.Thread(target=leave, daemon=True)
        thread.start()
        with node_of(f"wss://{HOST}:443", f"https://{ENCODED}@127.0.0.1:{port}",
                     authority.environment) as node:
            expect_down(node, "the peer closed during the TLS handshake",
                        f"{HOST}:443, through proxy https://127.0.0.1:{port}")
        thread.join(PATIENCE)


def test_bad_no_proxy_is_told():
    status, _, errors = run("serve", "--set", f"proxy=http://{ENCODED}@proxy.example:3128", "--set",
                            "http.listen=127.0.0.1:0", environment={"NO_PROXY": "a.example,b!"})
    assert status != 0 and 'NO_PROXY: "b!"' in errors.replace("\\", ""), errors
    assert PASSWORD not in errors and ENCODED not in errors


def test_password_is_masked_where_settings_are_shown():
    status, output, errors = run("check", "--set", f"proxy=http://{ENCODED}@proxy.example:3128")
    assert status == 0, errors
    assert "http://desk:***@proxy.example:3128" in output
    assert "p%40ss" not in output + errors
