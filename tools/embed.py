#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes files as a table of struct http_file in C, so that the program is one file:

    embed.py OUTPUT HEADER NAME PATH=FILE ...

HEADER declares `const struct http_file NAME[]` and `const size_t NAME_count`. PATH is where the
file is served. Each has a strong ETag from its bytes; where gzip makes it smaller, there is a
compressed copy with an ETag of its own. The same input gives the same output.
"""

import gzip
import hashlib
import os
import sys

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
}


def array(name, data):
    lines = [
        ", ".join(str(byte if byte < 128 else byte - 256) for byte in data[i : i + 16])
        for i in range(0, len(data), 16)
    ]
    return f"static const char {name}[] = {{\n" + ",\n".join(lines or ["0"]) + "\n};\n"


def compressed(data):
    """The gzip form; empty when it is not smaller."""
    packed = gzip.compress(data, compresslevel=9, mtime=0)
    return packed if len(packed) < len(data) else b""


def row(number, path, file, data, packed):
    tag = hashlib.sha256(data).hexdigest()[:20]
    kind = TYPES[os.path.splitext(file)[1]]
    lines = [
        f'{{.path = "{path}"',
        f'.type = "{kind}"',
        f'.etag = "\\"{tag}\\""',
        f'.gzip_etag = "\\"{tag}-gzip\\""',
        f".body = {{.data = body_{number}, .size = {len(data)}}}",
    ]
    if packed:
        lines.append(f".gzip_body = {{.data = gzip_{number}, .size = {len(packed)}}}")
    return ", ".join(lines) + "},\n"


def embed(header, name, files):
    """The C text; files: (path, file name, bytes)."""
    arrays, rows = "", ""
    for number, (path, file, data) in enumerate(files):
        packed = compressed(data)
        arrays += array(f"body_{number}", data)
        if packed:
            arrays += array(f"gzip_{number}", packed)
        rows += row(number, path, file, data, packed)
    return (
        f'#include "{header}"\n\n{arrays}\nconst struct http_file {name}[] = {{\n{rows}}};\n'
        f"const size_t {name}_count = sizeof {name} / sizeof {name}[0];\n"
    )


def main():
    target, header, name, *pairs = sys.argv[1:]
    files = []
    for pair in pairs:
        path, _, source = pair.partition("=")
        with open(source, "rb") as file:
            files.append((path, source, file.read()))
    with open(target, "w", encoding="ascii") as file:
        file.write(embed(header, name, files))


if __name__ == "__main__":
    main()
