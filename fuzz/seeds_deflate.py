#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of fuzz/deflate.c: seeds_deflate.py FOLDER"""
import os
import sys
import zlib

from seeds_net import frame

FRAMES, MESSAGE, HEADERS = b"\x00", b"\x01", b"\x02"
LINE = b'{"type":"trade","seq":%d,"exchange":"upbit","price":"116209162","side":"buy"}\n'


def compress(payload, level=6, strategy=zlib.Z_DEFAULT_STRATEGY, flush=zlib.Z_SYNC_FLUSH):
    stream = zlib.compressobj(level, zlib.DEFLATED, -15, 8, strategy)
    data = stream.compress(payload) + stream.flush(flush)
    return data[:-4] if flush == zlib.Z_SYNC_FLUSH else data + b"\x00"


def scripts():
    hello = compress(b"Hello")
    lines = b"".join(LINE % number for number in range(20))
    yield [(0xc1, hello)]
    yield [(0x41, hello[:3]), (0x89, b"p"), (0x00, b""), (0x80, hello[3:])]
    yield [(0xc1, compress(b"Hello", 0)), (0x81, b"plain"), (0xc2, b"\x00")]
    yield [(0xc1, compress(b"Hello", flush=zlib.Z_FINISH)), (0x88, b"\x03\xe8bye")]
    yield [(0xc1, b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00")]
    yield [(0xc1, compress(lines))]
    yield [(0xc1, compress(lines, 9, zlib.Z_FIXED))]
    yield [(0xc2, compress(b"\0" * 200000))]
    yield [(0xc1, compress(b"\xed\xa0\x80"))]
    yield [(0x41, hello[:3]), (0xc0, hello[3:])]


def seeds():
    for masked in (False, True):
        for script in scripts():
            body = b"".join(frame(first, payload, masked) for first, payload in script)
            yield FRAMES + bytes([26 if masked else 27, 7]) + body  # messages of up to 8 KiB
            yield FRAMES + bytes([4 if masked else 5, 3]) + body  # of up to 4 bytes
    yield MESSAGE + b"\x00" + LINE % 1
    yield MESSAGE + b"\x05" + b"".join(LINE % number for number in range(10))
    yield MESSAGE + b"\x00" + bytes(range(256))
    for text in (
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        'permessage-deflate; client_max_window_bits="15"; server_max_window_bits=15',
        "permessage-deflate; server_max_window_bits=10, permessage-deflate",
        'x; y="\\z"\npermessage-deflate; client_no_context_takeover',
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=8",
        "permessage-deflate; server_no_context_takeover; unknown=1",
        ",, permessage-deflate ,;",
    ):
        yield HEADERS + text.encode()


def main():
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    for number, seed in enumerate(seeds()):
        with open(os.path.join(folder, f"deflate-{number:02}"), "wb") as file:
            file.write(seed)


if __name__ == "__main__":
    main()
