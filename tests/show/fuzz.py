# SPDX-License-Identifier: Apache-2.0
"""Runs each libFuzzer target under ASan and UBSan, and tells how many lines of what it is meant to
test it has reached. FUZZ_SECONDS: for each target; default 60, and 5 in CI. CI asks whether what
was mended stays so: there the same inputs are made each time. To look for others is for longer
runs.

A target is an executable fuzz_NAME of fuzz/meson.build with a row in TARGETS below. What libFuzzer
finds worth keeping stays in build/fuzz/corpus/NAME/."""

import concurrent.futures
import glob
import json
import os
import re
import shutil
import subprocess
import sys

from show import IN_CI, ROOT, end, run, say

BUILD = os.path.join(ROOT, "build", "fuzz")
SECONDS = int(os.environ.get("FUZZ_SECONDS", "5" if IN_CI else "60"))
# The same everywhere: no chance, nothing that depends on addresses or on the clock.
REPEATABLE = ["-seed=1", "-reload=0", "-use_cmp=0"] if IN_CI else []
LINES_PERCENT_MIN = 80


def fixtures(*paths):
    return [sys.executable, "fuzz/decode_corpus.py", "{folder}"] + [
        "src/exchange/" + path for path in paths
    ]


def net(kind):
    return [sys.executable, "fuzz/seeds_net.py", kind, "{folder}"]


QUOTATION = ["src/exchange/quotation.c", "src/exchange/quotation_message.c"]
OLD = ["src/exchange/bithumb/old_content.c", "src/exchange/bithumb/old_decode.c"]
TARGETS = (
    {  # whose lines count (what decodes, not the tables of adapters), and who writes the seeds
        "binance": {
            "files": [
                f"src/exchange/binance/{name}.c"
                for name in ("answer", "decode", "payload", "symbols", "usual")
            ],
            "seeds": fixtures("binance/fixtures/messages.jsonl"),
        },
        "upbit": {"files": QUOTATION, "seeds": fixtures("upbit/fixtures/messages.jsonl")},
        "bithumb": {
            "files": QUOTATION + OLD,
            "seeds": fixtures("bithumb/fixtures/messages.jsonl", "bithumb/fixtures/old.jsonl"),
        },
        "rest_binance": {
            "files": ["src/exchange/binance/rest.c"],
            "seeds": fixtures("binance/fixtures/rest.jsonl"),
        },
        "rest_upbit": {
            "files": ["src/exchange/quotation_rest.c"],
            "seeds": fixtures("upbit/fixtures/rest.jsonl"),
        },
        "rest_bithumb": {
            "files": ["src/exchange/quotation_rest.c", "src/exchange/bithumb/old_rest.c"],
            "seeds": fixtures("bithumb/fixtures/rest.jsonl", "bithumb/fixtures/rest_old.jsonl"),
        },
        "access": {
            "files": [
                f"src/access/{name}.c"
                for name in ("base64url", "bearer", "jwt", "jwt_key", "timestamp", "token_list")
            ],
            "seeds": [sys.executable, "fuzz/seeds_access.py", "{folder}"],
        },
        "notes": {
            "files": [
                f"src/stream/{name}.c" for name in ("notes", "record", "kafka/kafka_decode")
            ],
            "seeds": [sys.executable, "fuzz/seeds_notes.py", "{folder}"],
        },
        "http": {"files": ["src/net/http.c", "src/net/ws_handshake.c"], "seeds": net("http")},
        "handshake": {
            "files": [
                f"src/net/{name}.c"
                for name in (
                    "address",
                    "http_encoding",
                    "http_fields",
                    "http_forwarded",
                    "http_origin",
                )
            ],
            "seeds": net("handshake"),
        },
        "reply": {
            "files": ["src/net/http_reply.c", "src/net/http_retry.c"],
            "seeds": net("reply"),
        },
        "proxy": {"files": ["src/net/proxy.c", "src/net/url.c"], "seeds": net("proxy")},
        "ws": {"files": ["src/net/ws.c"], "seeds": net("ws")},
        "recording": {
            "files": [f"sim/{name}.c" for name in ("packed_file", "recording", "recording_line")],
            "seeds": [sys.executable, "fuzz/seeds_recording.py", "{folder}"],
        },
        "state": {
            "files": [f"src/keeper/{name}.c" for name in ("pair_table", "state", "trade_keys")],
            "seeds": [sys.executable, "fuzz/seeds_state.py", "{folder}"],
        },
        "peer": {
            "files": ["src/peer/peer_answer.c", "src/peer/peer_message.c"],
            "seeds": [sys.executable, "fuzz/seeds_peer.py", "{folder}"],
        },
        "deflate": {
            "files": ["src/net/ws_deflate.c", "src/net/ws_extension.c"],
            "seeds": [sys.executable, "fuzz/seeds_deflate.py", "{folder}"],
        },
    }
)


def tool(name):
    return shutil.which(name + "-14") or shutil.which(name) or name


def build():
    if not os.path.exists(os.path.join(BUILD, "build.ninja")):
        shutil.rmtree(BUILD, ignore_errors=True)
        run(
            [
                "meson",
                "setup",
                BUILD,
                ROOT,
                "-Dfuzz=true",
                "-Db_sanitize=address,undefined",
                "-Db_lundef=false",
            ],
            env={**os.environ, "CC": tool("clang")},
        )
    run(["ninja", "-C", BUILD, "build.ninja"])  # targets may have come since
    output = subprocess.run(
        ["meson", "introspect", BUILD, "--targets"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    ).stdout
    targets = {
        target["name"]: target["filename"][0]
        for target in json.loads(output)
        if target["type"] == "executable"
        and os.path.relpath(target["defined_in"], ROOT) == "fuzz/meson.build"
    }
    if targets:
        run(
            ["ninja", "-C", BUILD]
            + [os.path.relpath(path, os.path.realpath(BUILD)) for path in targets.values()]
        )
    return targets


def bare(name):
    return name[len("fuzz_") :]


def gather_seeds(subject, folder):
    """Has the target's script write its seeds into an empty folder; returns how many there are."""
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    run([part.format(folder=folder) for part in TARGETS[subject]["seeds"]], cwd=ROOT)
    return len(os.listdir(folder))


def list_seeds(work):
    """A file that names them in an order that is the same in every file system."""
    path = os.path.join(work, "seeds.list")
    with open(path, "w", encoding="utf-8") as file:
        file.write(",".join(sorted(glob.glob(os.path.join(work, "seeds", "*")))))
    return path


def coverage(program, profiles, files):
    """Lines of these files, and how many of them were reached."""
    merged = profiles + ".profdata"
    raw = glob.glob(profiles + "-*.profraw")
    subprocess.run([tool("llvm-profdata"), "merge", "-sparse", "-o", merged] + raw, check=True)
    output = subprocess.run(
        [tool("llvm-cov"), "export", "-summary-only", "-instr-profile=" + merged, program],
        stdout=subprocess.PIPE,
        check=True,
        cwd=BUILD,
    ).stdout
    lines = [
        file["summary"]["lines"]
        for file in json.loads(output)["data"][0]["files"]
        if os.path.relpath(os.path.join(BUILD, file["filename"]), ROOT) in files
    ]
    assert len(lines) == len(files), f"{program} does not hold all of {files}"
    return sum(line["count"] for line in lines), sum(line["covered"] for line in lines)


def fuzz(name, program):
    """Figures of one target; "problem" among them when it does not pass."""
    subject = bare(name)
    work = os.path.join(BUILD, "run", subject)
    kept = os.path.join(BUILD, "corpus", subject)
    os.makedirs(work, exist_ok=True)
    os.makedirs(kept, exist_ok=True)
    profiles = os.path.join(work, "profile")
    for old in glob.glob(profiles + "*"):
        os.remove(old)
    figures = {"seconds": SECONDS, "seeds": gather_seeds(subject, os.path.join(work, "seeds"))}
    environment = {
        **os.environ,
        "LLVM_PROFILE_FILE": profiles + "-%p.profraw",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    }
    environment.pop("ASAN_OPTIONS", None)  # libFuzzer brings its own
    done = subprocess.run(
        [
            program,
            f"-max_total_time={SECONDS}",
            "-timeout=30",  # of one input, by the clock of a machine that does other things
            "-rss_limit_mb=2048",
            "-print_final_stats=1",
            f"-artifact_prefix={work}/",
            f"-seed_inputs=@{list_seeds(work)}",
            *REPEATABLE,
            kept,
        ],
        cwd=work,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    runs = re.search(r"number_of_executed_units:\s*(\d+)", done.stdout)
    figures["runs"] = int(runs.group(1)) if runs else 0
    if done.returncode != 0:
        say(done.stdout[-6000:])
        return {**figures, "problem": f"exit status {done.returncode}; input in {work}/"}
    files = TARGETS[subject]["files"]
    lines, covered = coverage(program, profiles, files)
    figures.update(
        files=files, lines=lines, lines_percent=round(100 * covered / lines, 1) if lines else 0
    )
    if figures["lines_percent"] < LINES_PERCENT_MIN:
        figures["problem"] = f"under {LINES_PERCENT_MIN} % of the lines reached"
    return figures


def main():
    targets = build()
    if set(map(bare, targets)) != set(TARGETS):
        end(
            "fuzz",
            False,
            {"problem": f"targets built: {sorted(targets)}, known: {sorted(TARGETS)}"},
        )
    figures = {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        futures = {name: pool.submit(fuzz, name, path) for name, path in sorted(targets.items())}
        for name, future in futures.items():
            figures[bare(name)] = future.result()
            say(f"fuzz: {bare(name)}: {json.dumps(figures[bare(name)])}")
    end("fuzz", not any("problem" in figure for figure in figures.values()), figures)


if __name__ == "__main__":
    main()
