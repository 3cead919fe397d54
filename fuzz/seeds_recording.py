#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of fuzz/recording.c: seeds_recording.py FOLDER"""
import gzip
import os
import sys

AS_IT_IS, PACKED, ONLY = 0, 1, 2
LINES = b"""\
{"ts":1790133513.000001,"event":"recording","version":1,"part":1,"exchanges":["binance","upbit"]}
{"ts":1790133513.000002,"conn":0,"i":0,"exchange":"upbit","event":"open","url":"wss://x"}
{"ts":1790133513.1,"conn":0,"i":1,"op":"text","exchange":"upbit","raw":"{\\"a\\":\\"\\u0000\\"}"}
{"ts":1790133513.2,"conn":0,"i":2,"op":"binary","exchange":"binance","raw64":"AP/+"}
{"ts":null,"raw":"x"}\r

{"ts":1790133514.5,"i":3,"event":"lost","count":12}
{"raw64":"AP8="}
"""
WRONG = (b"[]\n", b'{"raw":"a","exchange":7}\n', b'{"raw64":"AA=A"}\n', b'{"raw":"a"',
         b'{"raw":"a","exchange":"' + b"a" * 40 + b'"}\n', b'{"raw":"\xff"}\n')
# Two frames of the format (RFC 8878), one raw block each, made by hand; and more than 8 MiB asked.
FRAME = b"\x28\xb5\x2f\xfd\x20\x0c\x61\x00\x00" + b'{"raw":"a"}\n'
WINDOW = b"\x28\xb5\x2f\xfd\x00\x88\x61\x00\x00" + b'{"raw":"a"}\n'


def seeds():
    yield AS_IT_IS, 0, LINES
    yield AS_IT_IS, 0, gzip.compress(LINES)
    yield AS_IT_IS, 0, gzip.compress(LINES)[:-20]
    yield AS_IT_IS, 0, FRAME * 2
    yield AS_IT_IS, 0, FRAME + bytes(9)
    yield AS_IT_IS, 0, FRAME + FRAME[:-4]
    yield AS_IT_IS, 0, WINDOW
    for cut in (0, 3, 40):
        yield PACKED, cut, LINES
        yield PACKED | ONLY, cut, LINES
    for lines in WRONG:
        yield PACKED, 0, lines
        yield AS_IT_IS, 0, lines


def main():
    os.makedirs(sys.argv[1], exist_ok=True)
    for number, (kind, cut, data) in enumerate(seeds()):
        with open(os.path.join(sys.argv[1], f"{number:02}"), "wb") as file:
            file.write(bytes((kind, cut)) + data)


if __name__ == "__main__":
    main()
