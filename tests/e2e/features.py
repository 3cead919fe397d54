# SPDX-License-Identifier: Apache-2.0
"""What the program under test can do; each is found out by asking it.

A test or a show of something that is not in this build says so as skipped, unless the feature is
demanded here or by the environment (REQUIRE_FEATURES=tls,batch): then it fails.
"""

import functools
import os
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.request

import pytest

import peers
from harness import ALONE, LISTEN, PATIENCE, TICKWIRE, Node, replay, run
from prometheus import labels_of

# threads: http.threads above 1; batch: ?batch=1; deflate: permessage-deflate; tls: http.tls;
# refused: connections and handshakes limited, and counted in http_refused_total{reason}.
NAMES = ("threads", "batch", "deflate", "tls", "refused")
DEMANDED = NAMES  # of them, what every build has by now
FRAMES_TO_SEE_A_BATCH = 3000


class Certificate:
    """Made once a process, for 127.0.0.1 and localhost, signed by itself."""

    def __init__(self, folder):
        self.path, self.key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
             "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
             "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", self.key, "-out", self.path],
            stderr=subprocess.DEVNULL, check=True, timeout=PATIENCE)
        self.settings = ["--set", f"http.tls.cert={self.path}", "--set", f"http.tls.key={self.key}"]

    def client_context(self):
        return ssl.create_default_context(cafile=self.path)


def speak_tls(node, context):
    """From here on node.get and what builds on it ask over TLS; None: no change."""
    def get(path, method="GET"):
        request = urllib.request.Request(f"https://127.0.0.1:{node.port}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE, context=context) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    if context is not None:
        node.get = get
    return node


_folder = None


@functools.lru_cache(None)
def certificate():
    global _folder
    _folder = tempfile.TemporaryDirectory(prefix="tickwire-certificate-")
    return Certificate(_folder.name)


def accepts(*settings):
    return run("check", *settings)[0] == 0


def has_batch():
    with replay("--loop", "--speed", "max") as node, peers.Peer(node.port) as peer:
        form = peers.Form(batch=True)
        peer.open_form(form, "since=" + node.first_token())
        for _ in range(FRAMES_TO_SEE_A_BATCH):
            peer.next_message(2 * PATIENCE)
            if peer.unframer.longest > 1:
                return True
    return False


def has_deflate():
    with Node("serve", *LISTEN, *ALONE) as node, peers.Peer(node.port) as peer:
        peer.send(peers.request(peers.Form(deflate=True)))
        return "sec-websocket-extensions" in peer.read_head()[1]


def has_metric(name):
    """Whether the program knows a metric of this name; families without series are not shown."""
    with open(TICKWIRE, "rb") as file:
        return name.removeprefix("tickwire_").encode() + b"\0" in file.read()


def uncounted(counted, before, after):
    """Of what attackers saw (attacks.py): what the node's metrics do not bear out, and the families
    that this build does not have."""
    wrong, unknown = [], set()
    for text, least in counted.items():
        name, _, labels = text.partition("{")
        labels = labels_of(labels.removesuffix("}"))
        grown = after.total(name, **labels) - before.total(name, **labels)
        if not has_metric(name):
            unknown.add(name)
        elif grown < least:
            wrong.append(f"{text} grew by {grown}, not by {least}")
    return wrong, unknown


FINDERS = {
    "threads": lambda: accepts("--set", "http.threads=2"),
    "batch": has_batch,
    "deflate": has_deflate,
    "tls": lambda: accepts(*certificate().settings),
    "refused": lambda: has_metric("http_refused_total"),
}


@functools.lru_cache(None)
def has(name):
    """Whether the program can do it; an error when it must and cannot."""
    found = FINDERS[name]()
    demanded = set(DEMANDED) | set(filter(None, os.environ.get("REQUIRE_FEATURES", "").split(",")))
    assert demanded <= set(NAMES), f"no such feature: {demanded - set(NAMES)}"
    assert found or name not in demanded, f"this build must have {name}, and does not"
    return found


def needs(*names):
    """For tests: skipped without one of these."""
    for name in names:
        if not has(name):
            pytest.skip(f"{name} is not in this build")
