# SPDX-License-Identifier: Apache-2.0
"""Who may read: tokens of a file, and JSON Web Tokens of an issuer that is not ours (PyJWT)."""

import base64
import contextlib
import hashlib
import hmac
import json
import os
import signal
import time

import jwt
import pytest
import websockets.exceptions
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

import prometheus
import wire
from harness import ALONE, LISTEN, PATIENCE, Node, run, wait_until
from stream import Client
from wire import Raw

READER, OTHER, ADMIN = "reader-token-0001", "other-token-00002", "admin-token-00003"
AUDIENCE = "ticks"
PATHS = ("/", "/ws/info", "/metrics", "/api/ws/infra-health", "/api/v1/exchanges",
         "/api/v1/tickers")


class Folder:
    """Where the secrets of one test lie; remembers what may not be seen in a log."""

    def __init__(self, path):
        self.path, self.secrets = path, set()

    def put(self, name, text, mode=0o600):
        path = os.path.join(self.path, name)
        with open(path + ".new", "w", encoding="ascii") as file:
            file.write(text)
        os.chmod(path + ".new", mode)
        os.replace(path + ".new", path)  # never half of it
        return path

    def tokens(self, text, mode=0o600):
        self.secrets |= {word for word in text.split() if "=" not in word and word[0] != "#"}
        return self.put("tokens", text, mode)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


@contextlib.contextmanager
def guarded(folder, **settings):
    """A node of these auth settings, at whose end no secret may stand in its log."""
    arguments = [part for key, value in settings.items()
                 for part in ("--set", f"auth.{key.replace('__', '.')}={value}")]
    with Node("serve", *LISTEN, *ALONE, "--set", "stream.heartbeat=100ms", "--set",
              "log.level=debug", *arguments) as node:
        yield node
    for line in node.lines:
        assert not any(secret in line for secret in folder.secrets), "a token in the log"


def by_token(folder, text=READER + "\n"):
    return guarded(folder, mode="token", tokens_file=folder.tokens(text))


def bearer(token):
    return f"Authorization: Bearer {token}\r\n"


def offer(*tokens):
    return "Sec-WebSocket-Protocol: " + ", ".join(["tickwire"] + [
        f"bearer.{token}" for token in tokens]) + "\r\n"


def ask(node, path, extra=""):
    with Raw(node.port) as raw:
        raw.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n{extra}\r\n".encode())
        return raw.read_answer()


def status(node, path="/ws/info", extra=""):
    return ask(node, path, extra)[0]


def handshake(node, extra="", target="/ws/exchange"):
    """(status, headers) of the answer."""
    with Raw(node.port) as raw:
        raw.send(wire.handshake(target, extra=extra))
        return raw.read_head()


def refused(answer, expected=401):
    """A problem that says how to do better; returns its challenge."""
    got, headers, body = answer
    assert got == expected, (got, body)
    assert headers["content-type"] == "application/problem+json"
    problem = json.loads(body)
    assert problem["status"] == expected and problem["detail"]
    challenge = headers["www-authenticate"]
    assert challenge.startswith('Bearer realm="tickwire"')
    return challenge


# ---- tokens of a file ----

def test_nothing_is_open_but_the_probes(folder):
    with by_token(folder) as node:
        for path in PATHS + ("/not/there",):
            assert "error" not in refused(ask(node, path)), path
            assert "invalid_token" in refused(ask(node, path, bearer("wrong-token-0001")))
            got, _, body = ask(node, path, bearer(READER))
            assert got == (404 if path == "/not/there" else 200), (path, body)
        for path in ("/healthz", "/readyz"):
            assert status(node, path) == 200
            assert status(node, path, bearer("wrong-token-0001")) == 200


def test_a_websocket_by_header(folder):
    with by_token(folder) as node:
        assert handshake(node)[0] == 401
        assert handshake(node, bearer("wrong-token-0001"))[0] == 401
        assert "sec-websocket-protocol" not in handshake(node, bearer(READER))[1]
        with Client(node, additional_headers={"Authorization": "bearer " + READER}) as client:
            assert client.next()["type"] == "hello"


def test_a_websocket_by_subprotocols(folder):
    with by_token(folder) as node:
        with Client(node, subprotocols=["tickwire", "bearer." + READER]) as client:
            assert client.connection.subprotocol == "tickwire"
            assert client.next()["type"] == "hello"
        with pytest.raises(websockets.exceptions.InvalidStatus) as failure:
            Client(node, subprotocols=["tickwire", "bearer.wrong-token-0001"])
        assert failure.value.response.status_code == 401
        assert handshake(node, offer())[0] == 401
        assert handshake(node, f"Sec-WebSocket-Protocol: bearer.{READER}\r\n")[0] == 400
        refused(ask(node, "/ws/info", offer(READER)))  # no handshake


def test_the_query_opens_nothing(folder):
    with by_token(folder) as node:
        for name in ("token", "access_token", "bearer", "authorization"):
            refused(ask(node, f"/ws/info?{name}={READER}"))
            assert handshake(node, target=f"/ws/exchange?{name}={READER}")[0] == 401


def test_two_tokens(folder):
    with by_token(folder, f"{READER}\n{OTHER}\n") as node:
        assert "invalid_request" in refused(ask(node, "/", bearer(READER) + bearer(READER)), 400)
        assert handshake(node, offer(READER, OTHER))[0] == 400
        assert handshake(node, bearer(READER) + offer(OTHER))[0] == 401
        got, headers = handshake(node, bearer(READER) + offer(READER))
        assert got == 101 and headers["sec-websocket-protocol"] == "tickwire"


def test_a_refused_connection_is_kept_and_can_do_better(folder):
    with by_token(folder) as node, Raw(node.port) as raw:
        for extra, expected in (("", 401), (bearer("wrong-token-0001"), 401), (bearer(READER), 200),
                                ("", 401)):
            raw.send(f"GET /ws/info HTTP/1.1\r\nHost: a\r\n{extra}\r\n".encode())
            assert raw.read_answer()[0] == expected, "a grant is of one request"


def test_the_admin_may_read(folder):
    folder.secrets.add(ADMIN)
    with guarded(folder, mode="token", tokens_file=folder.tokens(READER + "\n"),
                 admin_token_file=folder.put("admin", ADMIN + "\n")) as node:
        assert status(node, extra=bearer(ADMIN)) == 200
        assert handshake(node, bearer(ADMIN))[0] == 101
        assert handshake(node, offer(ADMIN))[0] == 401, "in the header only"


def closed_at(raw):
    """(close code, wall time) of a client that only listens."""
    code = raw.read_close(PATIENCE)
    return code, time.time()


def test_a_connection_ends_with_its_token(folder):
    with by_token(folder) as node:
        end = int(time.time()) + 3  # only now: a node may take its time to start
        folder.tokens(f"{READER}\n{OTHER} expires={end}\n")
        node.send_signal(signal.SIGHUP)
        wait_until(lambda: status(node, extra=bearer(OTHER)) == 200, "the new token opens")
        with Raw(node.port) as ending, Raw(node.port) as browser, Raw(node.port) as staying, \
                Raw(node.port) as kept:
            ending.open(extra=bearer(OTHER))
            browser.open(extra=offer(OTHER))
            staying.open(extra=bearer(READER))
            request = f"GET /ws/info HTTP/1.1\r\nHost: a\r\n{bearer(OTHER)}\r\n".encode()
            kept.send(request)
            assert kept.read_answer()[0] == 200
            for raw in (ending, browser):
                code, when = closed_at(raw)
                assert code == 1008
                assert when >= end, "closed before its time"
            kept.send(request)
            assert "ended" in refused(kept.read_answer())
            assert handshake(node, bearer(OTHER))[0] == 401
            staying.send(wire.frame(wire.PING, b"still here"))
            assert staying.read_until(wire.PONG) == b"still here"


def test_checks_are_counted(folder):
    with by_token(folder) as node:
        for extra in ("", "", bearer("wrong-token-0001"), bearer(READER) * 2):
            status(node, extra=extra)
        samples, _ = prometheus.parse(ask(node, "/metrics", bearer(READER))[2])
        checks = {dict(labels)["result"]: value for labels, value
                  in samples["tickwire_access_checks_total"].items()}
        assert checks["missing"] == 2 and checks["invalid"] == 1 and checks["malformed"] == 1
        assert checks["granted"] >= 1  # the scrape itself may count


# ---- files ----

def test_hangup_reads_the_file_again(folder):
    with by_token(folder) as node:
        folder.tokens(OTHER + "\n")
        node.send_signal(signal.SIGHUP)
        wait_until(lambda: status(node, extra=bearer(OTHER)) == 200, "the new token opens")
        assert status(node, extra=bearer(READER)) == 401
        folder.tokens(f"{READER}\ntoo-short\n")
        node.send_signal(signal.SIGHUP)
        wait_until(lambda: any("auth.tokens_file" in line and "line 2" in line
                               for line in node.lines), "the bad file is told")
        assert status(node, extra=bearer(OTHER)) == 200, "the old one is in force"
        assert status(node, extra=bearer(READER)) == 401


def test_an_open_file_is_warned_of(folder):
    path = folder.tokens(READER + "\n", 0o644)
    with guarded(folder, mode="token", tokens_file=path) as node:
        assert any(line["level"] == "warn" and "auth.tokens_file" in " ".join(line.values())
                   for line in node.logged()), node.log


@pytest.mark.parametrize("settings,words", [
    ({"mode": "token"}, ["auth.tokens_file"]),
    ({"mode": "token", "tokens_file": "nowhere"}, ["auth.tokens_file", "nowhere"]),
    ({"mode": "token", "tokens_file": "{bad}"}, ["auth.tokens_file", "line 1"]),
    ({"mode": "jwt"}, ["auth.jwt.algorithm"]),
    ({"mode": "jwt", "jwt.algorithm": "HS256", "jwt.audience": "a", "jwt.public_key": "{key}"},
     ["algorithm", "RS256"]),
    ({"mode": "jwt", "jwt.algorithm": "RS256", "jwt.audience": "a", "jwt.public_key": "{key}"},
     ["auth.jwt.public_key", "RSA"]),
    ({"mode": "jwt", "jwt.algorithm": "ES256", "jwt.audience": "a", "jwt.public_key": "{bad}"},
     ["auth.jwt.public_key", "PEM"]),
])
def test_bad_settings(folder, settings, words):
    places = {"bad": folder.put("bad", "secret!\n"),
              "key": folder.put("key", public_pem(ec.generate_private_key(ec.SECP256R1())))}
    arguments = [part for key, value in settings.items()
                 for part in ("--set", f"auth.{key}={value.format(**places)}")]
    code, _, errors = run("serve", *LISTEN, *ALONE, *arguments)
    assert code == 78, errors
    assert all(word in errors for word in words), errors
    assert "secret" not in errors


# ---- JSON Web Tokens ----

def public_pem(key):
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def make_key(algorithm):
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    if algorithm == "ES384":
        return ec.generate_private_key(ec.SECP384R1())
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, 2048)


class Issuer:
    def __init__(self, folder, algorithm):
        self.folder, self.algorithm, self.key = folder, algorithm, make_key(algorithm)
        self.pem = public_pem(self.key)

    def serve(self):
        return guarded(self.folder, mode="jwt", jwt__algorithm=self.algorithm,
                       jwt__audience=AUDIENCE, jwt__public_key=self.folder.put("key", self.pem))

    def issue(self, key=None, algorithm=None, headers=None, without=(), **claims):
        claims = {"aud": AUDIENCE, "exp": int(time.time()) + 600, "sub": "x", **claims}
        for name in without:
            del claims[name]
        token = jwt.encode(claims, key or self.key, algorithm or self.algorithm, headers)
        self.folder.secrets.add(token)
        return token


@pytest.fixture
def issuer(folder):
    return Issuer(folder, "ES256")


@pytest.mark.parametrize("algorithm",
                         ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"])
def test_each_algorithm(folder, algorithm):
    issuer = Issuer(folder, algorithm)
    stranger = Issuer(folder, algorithm)
    with issuer.serve() as node:
        token = issuer.issue()
        for path in PATHS:
            assert status(node, path, bearer(token)) == 200
        with Client(node, subprotocols=["tickwire", "bearer." + token]) as client:
            assert client.connection.subprotocol == "tickwire"
            assert client.next()["type"] == "hello"
        assert "invalid_token" in refused(ask(node, "/metrics", bearer(stranger.issue())))
        refused(ask(node, "/metrics"))


def test_claims(issuer):
    now = time.time()
    with issuer.serve() as node:
        for claims in ({"aud": ["a", AUDIENCE]}, {"exp": now + 600.25}, {"nbf": int(now)},
                       {"nbf": now - 0.5}, {"nbf": int(now) + 5}):
            assert status(node, extra=bearer(issuer.issue(**claims))) == 200, claims
        for claims, word in (({"exp": int(now) - 1}, "ended"), ({"nbf": int(now) + 300}, "yet"),
                             ({"aud": "other"}, "audience"), ({"aud": ["a", "b"]}, "audience"),
                             ({"without": ["exp"]}, "not valid"),
                             ({"without": ["aud"]}, "not valid")):
            assert word in refused(ask(node, "/", bearer(issuer.issue(**claims)))), claims
        token = issuer.issue(headers={"crit": ["exp"]})
        assert "not valid" in refused(ask(node, "/", bearer(token)))


def unpadded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_forged_algorithms(issuer):
    with issuer.serve() as node:
        payload = issuer.issue().split(".")[1]
        unsigned = jwt.encode({"aud": AUDIENCE, "exp": time.time() + 600}, None, "none")
        refused(ask(node, "/", bearer(unsigned)))
        refused(ask(node, "/", bearer(issuer.issue(key=make_key("RS256"), algorithm="RS256"))))
        covered = unpadded(b'{"alg":"HS256","typ":"JWT"}') + "." + payload
        code = hmac.new(issuer.pem.encode(), covered.encode(), hashlib.sha256).digest()
        refused(ask(node, "/", bearer(covered + "." + unpadded(code))))


def test_a_token_that_is_too_long(issuer):
    with issuer.serve() as node:
        assert status(node, extra=bearer(issuer.issue(x="y" * 5000))) == 200
        refused(ask(node, "/", bearer(issuer.issue(x="y" * 6200))), 400)


def test_a_connection_ends_with_its_jwt(issuer):
    with issuer.serve() as node, Raw(node.port) as header, Raw(node.port) as browser:
        end = time.time() + 2
        token = issuer.issue(exp=end)
        header.open(extra=bearer(token))
        browser.open(extra=offer(token))
        for raw in (header, browser):
            code, when = closed_at(raw)
            assert code == 1008
            assert when >= end, "closed before its time"
        assert "ended" in refused(ask(node, "/", bearer(token)))


def test_hangup_takes_a_new_key(issuer):
    with issuer.serve() as node:
        old = issuer.issue()
        assert status(node, extra=bearer(old)) == 200
        issuer.key = make_key("ES256")
        issuer.folder.put("key", public_pem(issuer.key))
        new = issuer.issue()
        assert status(node, extra=bearer(new)) == 401
        node.send_signal(signal.SIGHUP)
        wait_until(lambda: status(node, extra=bearer(new)) == 200, "the new key is taken")
        assert status(node, extra=bearer(old)) == 401


# ---- no mode ----

def test_without_a_mode_everybody_may(quiet):
    for extra in ("", bearer("x"), "Authorization: Basic eDp5\r\n"):
        assert status(quiet, extra=extra) == 200
    with Client(quiet, subprotocols=["tickwire", "bearer.x"]) as client:
        assert client.connection.subprotocol == "tickwire", "a browser demands an answer"
