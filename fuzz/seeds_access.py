#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of fuzz/access.c: seeds_access.py FOLDER"""
import base64
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FILE, HEADERS, SIGNED, SIGNATURE, KEY = range(5)
UPGRADE = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: "
GOOD = '{"aud":["x","ticks"],"exp":1790133600,"nbf":1790133000.5}'


def vectors():
    """{name: text} of the examples that the unit tests use."""
    with open(os.path.join(ROOT, "src/access/vectors_test.h"), encoding="ascii") as file:
        text = file.read().replace("\\\n", "")
    return {name: "".join(re.findall(r'"([^"]*)"', rest)).replace("\\n", "\n")
            for name, rest in re.findall(r"#define VECTOR_(\w+)\s(.*)", text)}


def decoded(part):
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def seeds():
    known = vectors()
    yield FILE, "# who\n0123456789abcdef expires=2027-01-01T00:00:00.5+09:00 name=desk-1\r\n"
    yield FILE, "0123456789abcdef expires=1790133513\nABCDEF-._~+/0123==\tname=x\n"
    yield FILE, "0123456789abcdef\n0123456789abcdef"
    yield FILE, "0123456789abcdef name=\n"
    yield HEADERS, "Authorization: Bearer 0123456789abcdef\r\n\r\n"
    yield HEADERS, "Authorization: Basic eDp5\r\n" + UPGRADE + "tickwire, bearer.a.b.c\r\n\r\n"
    yield HEADERS, "Authorization: bearer a\r\n" + UPGRADE + "bearer.b, tickwire\r\n\r\n"
    yield HEADERS, "Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n"
    for name, text in known.items():
        if name.endswith("_KEY"):
            yield KEY, text
            yield KEY, text + text
            continue
        yield HEADERS, f"Authorization: Bearer {text}\r\n\r\n"
        yield HEADERS, UPGRADE + f"tickwire, bearer.{text}\r\n\r\n"
        yield SIGNATURE, decoded(text.split(".")[2])
    yield KEY, known["ES256_KEY"].replace("PUBLIC", "PRIVATE")
    for header in ('{"alg":"EdDSA"}', '{"alg":"none"}', '{"alg":"EdDSA","crit":["exp"]}', "[]"):
        yield SIGNED, header + "\0" + GOOD
    for payload in ('{"aud":"ticks","exp":1e9}', '{"aud":"other","exp":1790133600}', "{}", "7",
                    '{"aud":["ticks",1],"exp":1790133600}', '{"aud":"ticks","exp":253402300800}',
                    '{"aud":"ticks","exp":1790133600,"nbf":1790133599}',
                    '{"aud":"ticks","exp":1,"exp":1790133600}'):
        yield SIGNED, '{"alg":"EdDSA"}\0' + payload


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    for number, (kind, seed) in enumerate(seeds()):
        seed = seed if isinstance(seed, bytes) else seed.encode()
        with open(os.path.join(folder, f"access-{number:02}"), "wb") as file:
            file.write(bytes([kind]) + seed)


if __name__ == "__main__":
    main()
