# SPDX-License-Identifier: Apache-2.0
"""Many clients, each cut at a random byte several times, resume with tokens they built themselves.

In the end each one's sequenced messages must be byte-equal to those of a client that was never cut.
A client speaks WebSocket and TLS by hand (tests/e2e/peers.py), because a library would not say at
which byte it stands. It is cut when it has taken a number of bytes of its connection: in a TLS
handshake, in the HTTP answer, in hello, in a frame's header or payload, anywhere.

The same in every form of the stream: one message a frame or several (?batch=1), compressed or not,
over TLS or not, and on a node with 1, 2 or 4 threads. `mixed` clients come back in another form
each time. What the program does not have yet is named as skipped.

    RESUME_CLIENTS  how many (default 1000; with --ci 300)
    RESUME_ONLY     combinations, as in the figures: "threads=1 plain,threads=4 tls mixed"
"""

import asyncio
import json
import multiprocessing
import os
import random
import ssl
import sys
import time

import websockets.asyncio.client

from show import IN_CI, ROOT, end, say

sys.path.insert(0, os.path.join(ROOT, "tests", "e2e"))

from features import certificate, has, speak_tls  # noqa: E402
from harness import replay, wait_until  # noqa: E402
from peers import FORMS, Tls, Unframer, request  # noqa: E402
from stream import is_sequenced  # noqa: E402
from view import Witness  # noqa: E402

CLIENTS = int(os.environ.get("RESUME_CLIENTS", "300" if IN_CI else "1000"))
LAST = 700 if IN_CI else 1500  # seq at which everybody is done
CUTS = 6  # of each client
SPEED = "4"
SEED = 20261122
DEADLINE_S = 50 if IN_CI else 300
WORKERS = 2
BYTES_OF = {"plain": 700, "batch": 700, "deflate": 500, "batch+deflate": 250}  # about, a message
HANDSHAKE_BYTES = 1500  # with TLS more, but also there they begin
MIXED = "mixed"
BY_NAME = {form.name: form for form in FORMS}

# threads, TLS, form
MATRIX = [(threads, tls, name) for threads in (1, 2, 4) for tls in (False, True)
          for name in (*BY_NAME, MIXED)]
IN_CI_TOO = [(1, False, "plain"), (2, False, MIXED), (4, True, MIXED)]


def title(threads, tls, name):
    return f"threads={threads} {'tls ' if tls else ''}{name}"


class Payloads:
    """Every payload once, with what its JSON says: many clients get the same bytes."""

    def __init__(self):
        self.known = {}
        self.inflated = {}  # frames

    def get(self, payload):
        found = self.known.get(payload)
        if found is None:
            message = json.loads(payload)
            found = self.known[payload] = (payload, message, is_sequenced(message))
        return found


class Connection(asyncio.Protocol):
    """One connection of a client, until it is cut, lost or at the goal."""

    def __init__(self, client, form, query, cut_at):
        self.client, self.form, self.query, self.cut_at = client, form, query, cut_at
        self.taken, self.tls = 0, None
        self.unframer = Unframer(form, client.payloads.inflated)
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        data = request(self.form, self.query)
        if self.client.context is not None:
            self.tls = Tls(self.client.context, self.client.session)
            _, data = self.tls.send(data)
        transport.write(data)

    def connection_lost(self, error):
        if not self.ended.done():
            self.client.problems.append(f"connection lost: {error}")
            self.ended.set_result(False)

    def data_received(self, data):
        if self.ended.done():
            return
        cut = self.cut_at is not None and self.taken + len(data) >= self.cut_at
        if cut:
            data = data[:self.cut_at - self.taken]
        self.taken += len(data)
        self.read(data)
        if self.client.finished or cut:
            self.leave()
            self.ended.set_result(cut)

    def read(self, data):
        try:
            if self.tls is not None:
                data, answer = self.tls.take(data)
                self.transport.write(answer)
            for payload in self.unframer.feed(data):
                self.client.take(payload)
        except (ValueError, OSError) as error:  # not WebSocket, not TLS
            self.client.problems.append(f"{type(error).__name__}: {error}")

    def leave(self):
        client = self.client
        client.longest = max(client.longest, self.unframer.longest)
        client.compressed += self.unframer.compressed
        if self.tls is not None and self.tls.ready:
            client.session = self.tls.session
            client.sessions_resumed += self.tls.object.session_reused
        self.transport.abort()


class Client:
    """Takes messages, is cut, comes back; by itself it never misses one."""

    def __init__(self, number, payloads, name, context):
        self.rng = random.Random(SEED + number)
        self.payloads, self.context = payloads, context
        self.name = name
        self.session = None  # of TLS, to be resumed
        self.longest = self.compressed = self.sessions_resumed = 0
        self.snapshot = number % 2 == 0
        self.stream = self.epoch = self.seq = self.first = None
        self.messages, self.problems = [], []
        self.cuts = self.resumes = self.starts = 0
        self.hello_due = True

    @property
    def finished(self):
        return self.seq is not None and self.seq >= LAST

    @property
    def came_late(self):
        """Cut until the others were done, it never had a message."""
        return self.first is not None and self.first > LAST

    def take(self, payload):
        payload, message, sequenced = self.payloads.get(payload)
        if message["type"] == "hello":
            self.take_hello(message)
        elif self.hello_due:
            self.problems.append(f"{message['type']} before hello")
        elif sequenced and not self.finished:
            if message["seq"] != self.seq + 1:
                self.problems.append(f"{message['seq']} behind {self.seq}")
            self.messages.append(payload)
            self.seq = message["seq"]
            if message["type"] == "epoch":
                self.epoch = message["epoch"]
        elif message["type"] in ("skipped", "draining"):
            self.problems.append(str(message))

    def take_hello(self, message):
        if not self.hello_due:
            self.problems.append("hello again")
        self.hello_due = False
        if self.seq is None:
            self.seq, self.first = message["next"] - 1, message["next"]
        else:
            self.resumes += 1
            if message["resumed"] is not True or message["next"] != self.seq + 1 \
                    or message["stream"] != self.stream:
                self.problems.append(f"not resumed at {self.seq}: {message}")
        self.stream, self.epoch = message["stream"], message["epoch"]

    def next_cut(self, form):
        if self.cuts == CUTS:
            return None
        if self.rng.random() < 0.3:  # in the handshake's answer, hello, the first frames
            return self.rng.randrange(1, HANDSHAKE_BYTES * (2 if self.context else 1))
        return self.rng.randrange(1, 2 * LAST * BYTES_OF[form.name] // (CUTS + 2))

    def next_form(self):
        return self.rng.choice(FORMS) if self.name == MIXED else BY_NAME[self.name]

    def next_query(self):
        if self.seq is not None:
            return f"since={self.stream}.{self.epoch}.{self.seq}"
        self.starts += 1
        return "" if self.snapshot else "snapshot=0"

    async def run(self, port):
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self.rng.random())  # they come one after another
        while not self.finished and len(self.problems) < 5:
            self.hello_due = True
            form = self.next_form()
            connection = Connection(self, form, self.next_query(), self.next_cut(form))
            await loop.create_connection(lambda it=connection: it, "127.0.0.1", port)
            self.cuts += await connection.ended
            await asyncio.sleep(self.rng.choice((0, 0, self.rng.random() / 2)))


def work(port, numbers, name, certificate_path, pipe):
    """One process: its clients, then the comparison."""
    async def run_all(clients):
        await asyncio.wait_for(asyncio.gather(*(client.run(port) for client in clients)),
                               DEADLINE_S)

    payloads, problem = Payloads(), None
    context = ssl.create_default_context(cafile=certificate_path) if certificate_path else None
    clients = [Client(number, payloads, name, context) for number in numbers]
    try:
        asyncio.run(run_all(clients))
    except Exception as error:  # whatever it is, the show has failed and must say so
        problem = f"{type(error).__name__}: {error}"
    pipe.send("done")
    reference = pipe.recv()  # {seq: payload}
    compared = differing = 0
    for client in clients:
        for offset, payload in enumerate(client.messages):
            compared += 1
            differing += payload != reference.get(client.first + offset)
        if client.seq != LAST and not client.came_late:
            client.problems.append(f"ended at {client.seq}")
    figures = {key: sum(getattr(client, key) for client in clients)
               for key in ("cuts", "resumes", "starts", "compressed", "sessions_resumed",
                           "came_late")}
    figures |= {
        "clients": len(clients), "compared": compared, "differing": differing,
        "clients_cut_every_time": sum(client.cuts == CUTS for client in clients)}
    pipe.send((figures, max(client.longest for client in clients),
               [text for client in clients for text in client.problems][:5]
               + ([problem] if problem else [])))


async def uninterrupted(url):
    """{seq: payload} as a client library gives it."""
    messages = {}
    async with websockets.asyncio.client.connect(url, compression=None, max_size=None,
                                                 open_timeout=60) as it:
        async for text in it:
            message = json.loads(text)
            if message["type"] == "skipped":
                raise AssertionError("the uninterrupted client was skipped")
            if is_sequenced(message):
                messages[message["seq"]] = text.encode()
                if message["seq"] >= LAST:
                    return messages


def run_clients(node, name, secure):
    """[what each process found]"""
    context, workers, results = multiprocessing.get_context("spawn"), [], []
    for index in range(WORKERS):
        ours, theirs = context.Pipe()
        process = context.Process(target=work, daemon=True, args=(
            node.port, range(index, CLIENTS, WORKERS), name, certificate().path if secure else None,
            theirs))
        process.start()
        workers.append((process, ours))
    if secure:
        client = certificate().client_context()
        with Witness(speak_tls(node, client), client) as witness:
            wait_until(lambda: witness.newest() >= LAST, "the witness has all", DEADLINE_S)
            reference = witness.state_at(LAST)[1]
    else:
        url = node.ws("?since=" + node.first_token())
        reference = asyncio.run(asyncio.wait_for(uninterrupted(url), DEADLINE_S))
    for process, pipe in workers:
        pipe.recv()
        pipe.send(reference)
        results.append(pipe.recv())
        process.join()
    return results


def combine(threads, secure, name):
    """(figures, problems) of one combination."""
    options = ["--loop", "--speed", SPEED, "--set", f"http.max_clients_per_ip={4 * CLIENTS}",
               "--set", "stream.max_lag=10m", "--set", f"http.threads={threads}"]
    begin = time.monotonic()
    with replay(*options, *(certificate().settings if secure else [])) as node:
        results = run_clients(node, name, secure)
    figures = {key: sum(result[key] for result, _, _ in results) for key in results[0][0]}
    figures["longest_batch"] = max(longest for _, longest, _ in results)
    figures["seconds"] = round(time.monotonic() - begin, 1)
    problems = [text for _, _, texts in results for text in texts]
    wanted = {
        "no message differs": figures["differing"] == 0,
        "every client": figures["clients"] == CLIENTS and figures["came_late"] <= CLIENTS // 20,
        "enough compared": figures["compared"] > CLIENTS * LAST // 2,
        "cut often": figures["cuts"] >= 3 * CLIENTS,
        "resumed often": figures["resumes"] >= (3 if name == "plain" else 2) * CLIENTS,
        "several in a frame": figures["longest_batch"] > 1 or name in ("plain", "deflate"),
        "compressed": figures["compressed"] > 0 or name in ("plain", "batch"),
        "TLS sessions resumed": figures["sessions_resumed"] > 0 or not secure,
    }
    problems += [f"not so: {what}" for what, so in wanted.items() if not so]
    return figures, [f"{title(threads, secure, name)}: {text}" for text in problems]


def missing(threads, secure, name):
    """What this combination needs and the program has not."""
    form = FORMS[-1] if name == MIXED else BY_NAME[name]
    needed = (["threads"] if threads > 1 else []) + (["tls"] if secure else []) + form.needs
    return [feature for feature in needed if not has(feature)]


def main():
    figures, problems, skipped = {}, [], []
    only = list(filter(None, os.environ.get("RESUME_ONLY", "").split(",")))
    for combination in IN_CI_TOO if IN_CI and not only else MATRIX:
        text = title(*combination)
        if only and text not in only:
            continue
        if lacking := missing(*combination):
            skipped.append(f"{text}: this build has no {' and no '.join(lacking)}")
            continue
        try:
            figures[text], found = combine(*combination)
        except (AssertionError, OSError, EOFError, asyncio.TimeoutError) as error:
            figures[text], found = {}, [f"{text}: {type(error).__name__}: {error}"]
        problems += found
        say(f"resume, {text}: {json.dumps(figures[text])} {found or ''}")
    if problems:
        figures["problems"] = problems[:10]
    end("resume", figures and not problems, figures, skipped)


if __name__ == "__main__":
    main()
