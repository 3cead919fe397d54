# SPDX-License-Identifier: Apache-2.0
"""The two commands of the README in a bare Debian 12 folder: ./run.sh until a WebSocket client has
messages, then ./test.sh quick. Needs root, debootstrap and a Debian mirror (the machine's own).

    FRESH_TEST=all      ./test.sh in full
    FRESH_TREE=work     the working tree instead of a clone of HEAD
    FRESH_KEEP=1        leaves the folder for a look

Everything inside runs in mount and process namespaces of its own: with the process that holds them
all mounts and processes are gone, however this script ends."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from show import ROOT, end, run, say

SUITE = "bookworm"
CACHE = os.path.join(ROOT, "build", "fresh")
INSIDE = "/root/tickwire"
START_SECONDS_MAX = 900
TEST_SECONDS_MAX = 3000
MESSAGES_WANTED = 100


def mirror():
    """The archive that this machine installs from."""
    output = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"],
        stdout=subprocess.PIPE, text=True, check=True).stdout
    for line in output.splitlines():
        uri, _, release = line.partition(" ")
        if release == SUITE:
            return uri
    sys.exit(f"fresh: apt knows no archive of {SUITE} here")


def make_base(folder):
    """A minimal system in the folder, from the tarball of last time when there is one."""
    tarball = os.path.join(CACHE, f"{SUITE}.tar")
    if not os.path.exists(tarball):
        os.makedirs(CACHE, exist_ok=True)
        run(["debootstrap", "--variant=minbase", SUITE, folder, mirror()])
        run(["tar", "-C", folder, "--one-file-system", "-cf", tarball + ".part", "."])
        os.rename(tarball + ".part", tarball)
    else:
        run(["tar", "-C", folder, "-xpf", tarball])


def copy_settings(folder):
    """How this machine reaches the archive and the network: sources, proxies, certificates."""
    release = subprocess.run(["sh", "-c", ". /etc/os-release; echo $VERSION_CODENAME"],
                             stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    paths = ["/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf"]
    if release == SUITE:
        paths += ["/etc/apt/sources.list", "/etc/apt/sources.list.d/debian.sources"]
    settings = "/etc/apt/apt.conf.d"
    for name in os.listdir(settings):
        with open(os.path.join(settings, name), encoding="utf-8", errors="replace") as file:
            if "Acquire::" in file.read():
                paths.append(os.path.join(settings, name))
    certificates = "/usr/local/share/ca-certificates"
    if os.path.isdir(certificates):
        paths += [os.path.join(certificates, name) for name in os.listdir(certificates)]
    if os.path.exists("/etc/apt/sources.list.d/debian.sources") and release == SUITE:
        os.remove(folder + "/etc/apt/sources.list")
    for path in filter(os.path.isfile, paths):
        os.makedirs(os.path.dirname(folder + path), exist_ok=True)
        shutil.copyfile(path, folder + path)


def copy_tree(folder):
    """A fresh clone of HEAD, or the working tree; says which."""
    if os.environ.get("FRESH_TREE") == "work":
        listed = subprocess.run(
            ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            stdout=subprocess.PIPE, check=True).stdout
        os.makedirs(folder + INSIDE)
        run(["tar", "-C", ROOT, "--null", "--ignore-failed-read", "-T", "-", "-cf",
             folder + "/tree.tar"], input=listed)
        run(["tar", "-C", folder + INSIDE, "-xf", folder + "/tree.tar"])
        return "working tree"
    run(["git", "clone", "-q", "file://" + ROOT, folder + INSIDE])
    return subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"],
                          stdout=subprocess.PIPE, check=True, text=True).stdout.strip()


def start(folder, command):
    """Starts a shell command in the project's folder inside."""
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                   "HOME": "/root", "LANG": "C.UTF-8"}
    for name, value in os.environ.items():
        if name.lower().endswith("_proxy") or name.startswith("PIP_"):
            environment[name] = value
    say(f"fresh: {command}")
    return subprocess.Popen(
        ["unshare", "--mount", "--pid", "--fork", "--kill-child",
         f"--mount-proc={folder}/proc", "chroot", folder, "/bin/sh", "-c",
         f"cd {INSIDE} && exec {command}"],
        env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr)


def inner_process(process):
    """The host's number of the first process inside."""
    with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as file:
        return int(file.read().split()[0])


def stop(process):
    """SIGTERM to the program itself; the namespace goes with it."""
    if process.poll() is None:
        os.kill(inner_process(process), 15)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def get(url):
    """Body of a 200; None for anything else."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.read().decode()
    except (urllib.error.URLError, OSError):
        return None


def wait_for(process, url, seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        body = get(url)
        if body is not None:
            return body
        try:
            raise RuntimeError(f"./run.sh ended with {process.wait(0.5)}")
        except subprocess.TimeoutExpired:
            pass
    raise RuntimeError(f"no answer from {url} in {seconds} s")


async def read_messages(url):
    import websockets
    async with websockets.connect(url, max_size=None, open_timeout=60) as client:
        return [json.loads(await asyncio.wait_for(client.recv(), 60))
                for _ in range(MESSAGES_WANTED)]


def try_run(folder):
    port = free_port()
    begin = time.monotonic()
    process = start(folder, f"./run.sh --simulated --port {port}")
    try:
        wait_for(process, f"http://127.0.0.1:{port}/healthz", START_SECONDS_MAX)
        figures = {"run_seconds": round(time.monotonic() - begin, 1)}
        info = json.loads(wait_for(process, f"http://127.0.0.1:{port}/ws/info", 30))
        messages = asyncio.run(read_messages(f"ws://127.0.0.1:{port}/ws/exchange"))
        if messages[0]["type"] != "hello" or messages[0].get("simulated") is not True:
            raise RuntimeError(f"the first message is {messages[0]}")
        figures.update(exchanges=info["exchanges"], messages=len(messages),
                       types=sorted({message["type"] for message in messages}))
        return figures
    finally:
        stop(process)


def try_test(folder):
    mode = "" if os.environ.get("FRESH_TEST") == "all" else " quick"
    begin = time.monotonic()
    process = start(folder, f"./test.sh{mode} >test.out 2>&1")
    try:
        status = process.wait(TEST_SECONDS_MAX)
    finally:
        stop(process)
    with open(folder + INSIDE + "/test.out", encoding="utf-8", errors="replace") as file:
        output = file.read()
    say(output[-8000:])
    figures = {"test": "./test.sh" + mode, "test_seconds": round(time.monotonic() - begin, 1),
               "test_result": output.strip().splitlines()[-1]}
    if status != 0:
        raise RuntimeError(f"./test.sh{mode} ended with {status}: {figures['test_result']}")
    return figures


def main():
    if os.geteuid() != 0 or not shutil.which("debootstrap"):
        end("fresh", False, {"problem": "needs root and debootstrap"})
    folder = tempfile.mkdtemp(prefix="tickwire-fresh-")
    os.chmod(folder, 0o755)
    figures = {}
    try:
        make_base(folder)
        copy_settings(folder)
        figures["tree"] = copy_tree(folder)
        figures.update(try_run(folder))
        figures.update(try_test(folder))
    except (OSError, RuntimeError, ValueError, KeyError, subprocess.SubprocessError,
            asyncio.TimeoutError) as error:
        figures["problem"] = f"{type(error).__name__}: {error}"
    finally:
        if os.environ.get("FRESH_KEEP") != "1":
            shutil.rmtree(folder, ignore_errors=True)
    end("fresh", "problem" not in figures, figures)


if __name__ == "__main__":
    main()
