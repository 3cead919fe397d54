# SPDX-License-Identifier: Apache-2.0
"""Apache Kafka for tests: one real node, controller and broker in one, on ports and in a folder of
its own. It can be killed, frozen, filled, put back to an earlier state of its data.

    with Broker() as broker:
        node = serve("--set", "kafka.enabled=true", "--set", f"kafka.brokers={broker.brokers}")

    tests/show/kafka.py COMMAND ...    runs it with the address in TEST_KAFKA; without a command
                                       it prints the address and runs until it is interrupted

Needs java, and maven once (tools/kafka.sh). What a broker started ends with it, and with the test
that started it, however that ends (the kernel sees to it): so start it from a thread that stays.
"""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid

from show import ROOT

JARS = os.path.join(ROOT, "build", "kafka")
START_SECONDS = 180  # of a slow machine that does a lot else; 3 s by itself
OPTIONS = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
           "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
           "-Dorg.slf4j.simpleLogger.showDateTime=true"]
DIES_WITH_US = ["setpriv", "--pdeathsig", "KILL"]

# Back soon after a kill -9: otherwise the old registration counts for 9 s. With less than 3 s, busy
# machines miss heartbeats.
SETTINGS = """\
process.roles=broker,controller
node.id={number}
controller.quorum.voters={voters}
controller.listener.names=CONTROLLER
inter.broker.listener.name=INTERNAL
listeners=CLIENT://127.0.0.1:{port},INTERNAL://127.0.0.1:{internal},\
CONTROLLER://127.0.0.1:{controller}{inner_doors}
advertised.listeners=CLIENT://127.0.0.1:{port},INTERNAL://127.0.0.1:{internal}{outer_doors}
listener.security.protocol.map=CLIENT:{protocol},INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT{door_kinds}
log.dirs={data}
metadata.log.dir={metadata}
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=300
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=4
"""
SECURE_SETTINGS = """\
ssl.keystore.type=PEM
ssl.keystore.location={folder}/broker.pem
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.client.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required {plain_users};
listener.name.client.scram-sha-256.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.client.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:admin
allow.everyone.if.no.acl.found=false
"""


class Unavailable(Exception):
    """What a machine must allow, and this one does not."""


PORTS_FROM = 12000
held = []  # what says which ports are ours, as long as this process lives


def free_port():
    """Below the range from which the kernel takes ports for connections that go out: while a broker
    is down nobody else gets its port, and who tries to reach it is not connected to itself. Other
    tests that run at the same time are kept off by a name in the kernel."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        end = min(int(file.read().split()[0]), 32000)
    if end < PORTS_FROM:  # it takes nearly all: then somebody may come in between, rarely
        end = 32000
    while True:
        port = random.randrange(PORTS_FROM, end)
        lock = socket.socket(socket.AF_UNIX)
        try:
            lock.bind(f"\0tickwire-port-{port}")  # in no folder: gone with the process
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            lock.close()
            continue
        held.append(lock)
        return port


def openssl(*arguments, folder):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def make_authority(folder, name):
    """NAME.crt and NAME.key of a certificate authority of one's own; returns the path of the first.
    """
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
            "-keyout", name + ".key", "-out", name + ".crt", folder=folder)
    return os.path.join(folder, name + ".crt")


def make_certificate(folder, authority):
    """broker.pem: key and certificate for 127.0.0.1 and localhost."""
    with open(os.path.join(folder, "names"), "w", encoding="ascii") as file:
        file.write("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout",
            "broker.key", "-out", "broker.csr", folder=folder)
    openssl("x509", "-req", "-in", "broker.csr", "-CA", authority + ".crt", "-CAkey",
            authority + ".key", "-CAcreateserial", "-days", "2", "-extfile", "names", "-out",
            "broker.crt", folder=folder)
    openssl("pkcs8", "-topk8", "-nocrypt", "-in", "broker.key", "-out", "broker.pem", folder=folder)
    with open(os.path.join(folder, "broker.pem"), "ab") as out:
        for part in ("broker.crt", authority + ".crt"):
            with open(os.path.join(folder, part), "rb") as file:
                out.write(file.read())


class SmallDisk:
    """A file system of so many bytes that only the processes in it see, held by one that does
    nothing; the others come at it by `outside`. Raises Unavailable where that is not allowed."""

    def __init__(self, path, size):
        own = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        self.holder = subprocess.Popen(
            ["unshare", *own, "--mount", "sh", "-c",
             f"mount -t tmpfs -o size={size} small {path} && echo ready && "
             f"exec {' '.join(DIES_WITH_US)} sleep infinity"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self.holder.stdout.readline() != "ready\n":
            raise Unavailable(f"a small file system: {self.holder.communicate()[1].strip()}")
        self.outside = f"/proc/{self.holder.pid}/root{path}"
        self.enter = ["nsenter", "--target", str(self.holder.pid), "--mount",
                      *(["--user", "--preserve-credentials"] if own else [])]

    def close(self):
        self.holder.kill()
        self.holder.communicate()


class Member:
    """Which one of several brokers one is, from 1; the ports of their controllers; the cluster."""

    def __init__(self, number, controllers, cluster):
        self.number, self.controllers, self.cluster = number, controllers, cluster

    @property
    def voters(self):
        return ",".join(f"{number}@127.0.0.1:{port}"
                        for number, port in enumerate(self.controllers, 1))


class Broker:
    """A context manager. `brokers` is what a client is told; `log`, the path of what it writes.

    secure: clients come by TLS (authority in `authority`, a path) and SASL, as `users` {name:
        password} by PLAIN or SCRAM; `admin` may do everything, others what ACLs allow.
    disk: bytes that its data may take, for fill(); raises Unavailable where that can't be had.
    doors: so many listeners more, each for a forwarder.Forwarder(*door) that stands before it:
        (port that clients are told, port where the broker listens).
    settings: more lines of server.properties, {key: value}.
    version: another one of Kafka than that of tests/kafka/pom.xml.
    member: of a Cluster."""

    def __init__(self, secure=False, users=None, disk=None, settings=None, version="",
                 member=None, doors=0):
        subprocess.run([os.path.join(ROOT, "tools", "kafka.sh"), *filter(None, [version])],
                       check=True, stdout=sys.stderr)
        self.jars = os.path.join(JARS, version, "jars")
        self.folder = tempfile.mkdtemp(prefix="tickwire-kafka-")
        self.process, self.small, self.frozen = None, None, False
        self.secure, self.users = secure, {"admin": "admin-secret", **(users or {})}
        self.port, self.internal = free_port(), free_port()
        self.member = member or Member(1, [free_port()], uuid.uuid4())
        self.number, self.voters = self.member.number, self.member.voters
        self.controller = self.member.controllers[self.number - 1]
        self.brokers = f"127.0.0.1:{self.port}"
        self.doors = [(free_port(), free_port()) for _ in range(doors)]
        self.log = os.path.join(self.folder, "broker.log")
        self.data, self.metadata, self.copy = (
            os.path.join(self.folder, name) for name in ("data", "metadata", "copy"))
        self.authority = None
        try:
            os.mkdir(self.data)
            self.small = SmallDisk(self.data, disk) if disk else None
            self._configure(settings or {})
            self._format()
        except BaseException:
            self.close()
            raise

    # -- making it --

    def _configure(self, settings):
        text = SETTINGS.format(protocol="SASL_SSL" if self.secure else "PLAINTEXT",
                               inner_doors=self._doors("DOOR{}://127.0.0.1:{inner}"),
                               outer_doors=self._doors("DOOR{}://127.0.0.1:{outer}"),
                               door_kinds=self._doors("DOOR{}:PLAINTEXT"),
                               **{name: getattr(self, name) for name in (
                                   "port", "internal", "controller", "data", "metadata",
                                   "number", "voters")})
        if self.secure:
            self.authority = make_authority(self.folder, "authority")
            make_certificate(self.folder, "authority")
            text += SECURE_SETTINGS.format(folder=self.folder, plain_users=" ".join(
                f'user_{name}="{password}"' for name, password in self.users.items()))
        text += "".join(f"{key}={value}\n" for key, value in settings.items())
        with open(self.properties, "w", encoding="utf-8") as file:
            file.write(text)

    def _doors(self, form):
        return "".join("," + form.format(number, outer=outer, inner=inner)
                       for number, (outer, inner) in enumerate(self.doors))

    @property
    def properties(self):
        return os.path.join(self.folder, "server.properties")

    def _java(self, *arguments):
        return [*(self.small.enter if self.small else []), *DIES_WITH_US, "java", *OPTIONS, "-cp",
                os.path.join(self.jars, "*"), *arguments]

    def _format(self):
        users = [part for name, password in self.users.items() if self.secure
                 for kind in ("256", "512") for part in (
                     "--add-scram", f"SCRAM-SHA-{kind}=[name={name},password={password}]")]
        done = subprocess.run(
            self._java("kafka.tools.StorageTool", "format",
                       "--cluster-id=" + base64_of(self.member.cluster.bytes),  # may begin with -
                       "--config", self.properties, *users),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout

    # -- its life --

    def start(self):
        """Returns when it answers."""
        self.launch()
        return self.ready()

    def launch(self):
        """Does not wait."""
        assert self.process is None, "it runs already"
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self._java("kafka.Kafka", self.properties),
                                            cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=subprocess.STDOUT)

    def ready(self, seconds=START_SECONDS, brokers=1):
        """Waits until it has told a client its metadata: so many brokers, and a leader of every
        partition."""
        deadline = time.monotonic() + seconds
        admin = self.admin()
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the broker ended ({self.process.returncode}):\n"
                                     f"{self.log_tail()}")
            if self._answers(admin, brokers):
                return self
        raise AssertionError(f"the broker is not ready in {seconds} s:\n{self.log_tail()}")

    @staticmethod
    def _answers(admin, brokers):
        from confluent_kafka import KafkaException
        try:
            metadata = admin.list_topics(timeout=5)
        except KafkaException:
            return False
        leaders = [partition.leader for topic in metadata.topics.values()
                   for partition in topic.partitions.values()]
        good = len(metadata.brokers) >= brokers and -1 not in leaders
        if not good:
            time.sleep(0.02)  # it answers at once; between two looks
        return good

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def _end(self, number, seconds):
        process, self.process = self.process, None
        if process is None:
            return
        try:
            process.send_signal(number)
            if self.frozen:
                process.send_signal(signal.SIGCONT)
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self.frozen = False

    def kill(self):
        """kill -9. What it had taken is in the kernel's memory, and there when it starts again."""
        self._end(signal.SIGKILL, START_SECONDS)

    def terminate(self):
        """In order."""
        self._end(signal.SIGTERM, START_SECONDS)

    def restart(self):
        """Ends it in order, if it runs, and starts it."""
        self.terminate()
        return self.start()

    def stop(self):
        """SIGSTOP: connections stay, nothing is answered."""
        self.process.send_signal(signal.SIGSTOP)
        self.frozen = True

    def cont(self):
        self.process.send_signal(signal.SIGCONT)
        self.frozen = False

    def close(self):
        self.kill()
        if self.small is not None:
            self.small.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_):
        self.close()

    def log_tail(self, lines=40):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as file:
                return "".join(file.readlines()[-lines:])
        except FileNotFoundError:
            return ""

    # -- its data --

    def copy_data(self):
        """Remembers its data as they are at this moment: what a crash would leave."""
        freeze = self.running and not self.frozen
        if freeze:
            self.stop()
            wait_frozen(self.process.pid)
        try:
            shutil.rmtree(self.copy, ignore_errors=True)
            for name in ("data", "metadata"):
                copy_folder(getattr(self, name), os.path.join(self.copy, name))
        finally:
            if freeze:
                self.cont()

    def put_back(self):
        """While it is down: as they were at copy_data. What came later never was."""
        assert not self.running and self.small is None
        for name in ("data", "metadata"):
            shutil.rmtree(getattr(self, name))
            copy_folder(os.path.join(self.copy, name), getattr(self, name))

    def fill(self):
        """No byte is left for its data. (Kafka then ends itself: its only log folder failed.)"""
        with open(os.path.join(self.small.outside, "filler"), "ab", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass

    def make_room(self):
        os.remove(os.path.join(self.small.outside, "filler"))

    # -- clients of it --

    def client(self, user="admin", mechanism="SCRAM-SHA-512"):
        """librdkafka's properties for a client."""
        properties = {"bootstrap.servers": self.brokers}
        if self.secure:
            properties.update(self.security(user, mechanism))
            properties["sasl.password"] = self.users[user]
        return properties

    def security(self, user="admin", mechanism="SCRAM-SHA-512"):
        """The part of them for a node's kafka.properties: no password."""
        return {"security.protocol": "sasl_ssl", "ssl.ca.location": self.authority,
                "sasl.mechanism": mechanism, "sasl.username": user}

    def admin(self):
        from confluent_kafka.admin import AdminClient
        return AdminClient({**self.client(), "reconnect.backoff.ms": 20,
                            "reconnect.backoff.max.ms": 100, "log_level": 0})

    def end_of(self, topic):
        """The position behind the newest record of a topic of one partition."""
        from confluent_kafka import TopicPartition
        from confluent_kafka.admin import OffsetSpec
        partition, admin = TopicPartition(topic, 0), self.admin()
        asked = admin.list_offsets({partition: OffsetSpec.latest()}, request_timeout=START_SECONDS)
        return asked[partition].result(START_SECONDS).offset

    def allow(self, user, rules):
        """ACLs: [(kind, name, operation)], as in ("TOPIC", "tickwire.market", "READ")."""
        from confluent_kafka.admin import (AclBinding, AclOperation, AclPermissionType,
                                           ResourcePatternType, ResourceType)
        bindings = [AclBinding(ResourceType[kind], name, ResourcePatternType.LITERAL,
                               "User:" + user, "*", AclOperation[operation],
                               AclPermissionType.ALLOW) for kind, name, operation in rules]
        admin = self.admin()  # must outlive its answers
        for future in admin.create_acls(bindings).values():
            future.result(START_SECONDS)


class Cluster:
    """Three brokers in one; a context manager. `nodes` are Brokers."""

    def __init__(self, **options):
        controllers, cluster = [free_port() for _ in range(3)], uuid.uuid4()
        self.nodes = []
        try:
            for number in (1, 2, 3):
                self.nodes.append(Broker(member=Member(number, controllers, cluster), **options))
        except BaseException:
            self.close()
            raise
        self.brokers = ",".join(node.brokers for node in self.nodes)

    def node_of(self, number):
        return self.nodes[number - 1]

    def client(self):
        return {**self.nodes[0].client(), "bootstrap.servers": self.brokers}

    def admin(self):
        from confluent_kafka.admin import AdminClient
        return AdminClient({**self.client(), "log_level": 0})

    def close(self):
        for node in self.nodes:
            node.close()

    def __enter__(self):
        try:
            for node in self.nodes:
                node.launch()
            for node in self.nodes:
                node.ready(brokers=3)
            return self
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_):
        self.close()


def base64_of(number):
    """As Kafka writes a UUID."""
    import base64
    return base64.urlsafe_b64encode(number).decode().rstrip("=")


def copy_folder(source, target):
    """Sparse files stay so: an index is mostly a hole of 10 MB."""
    os.makedirs(target)
    subprocess.run(["cp", "-a", "--sparse=always", source + "/.", target], check=True)


def wait_frozen(pid):
    """SIGSTOP has come to all threads."""
    for task in os.listdir(f"/proc/{pid}/task"):
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                with open(f"/proc/{pid}/task/{task}/stat", encoding="ascii") as file:
                    state = file.read().rpartition(")")[2].split()[0]
            except (FileNotFoundError, ProcessLookupError):
                break
            if state in "Tt":
                break
            assert time.monotonic() < deadline, f"{pid} does not stop"
            time.sleep(0.001)


class SilentBroker:
    """A listener that takes connections and never says a word; with accepts=False not even that:
    what is sent to it gets lost. On a port of its own, or on that of a broker that is down. A
    context manager."""

    def __init__(self, port=None, accepts=True):
        self.port = port or free_port()
        self.brokers = f"127.0.0.1:{self.port}"
        self.connections, self.count = [], 0
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen(64 if accepts else 0)
        self.thread = None
        if accepts:
            self.thread = threading.Thread(target=self._accept, daemon=True)
            self.thread.start()
        else:
            self._fill_backlog()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            self.count += 1

    def _fill_backlog(self):
        """Nobody accepts these: the kernel drops who comes next."""
        for _ in range(4):
            connection = socket.socket()
            connection.setblocking(False)
            connection.connect_ex(("127.0.0.1", self.port))
            self.connections.append(connection)

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)  # ends accept()
        except OSError:
            pass
        self.listener.close()
        if self.thread is not None:
            self.thread.join()
        for connection in self.connections:
            connection.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def main():
    with Broker() as broker:
        if len(sys.argv) > 1:
            return subprocess.run(sys.argv[1:], env={**os.environ, "TEST_KAFKA": broker.brokers},
                                  check=False).returncode
        print(broker.brokers, flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
