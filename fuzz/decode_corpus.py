#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes the messages of fixture files into a folder, one a file: the seeds of a fuzz target.

    decode_corpus.py FOLDER FIXTURES...
"""
import json
import os
import sys


def main():
    folder, files = sys.argv[1], sys.argv[2:]
    os.makedirs(folder, exist_ok=True)
    for path in files:
        stem = os.path.splitext(os.path.basename(path))[0]
        with open(path, encoding="utf-8") as lines:
            for number, line in enumerate(lines):
                seed = os.path.join(folder, f"{stem}-{number:03}")
                with open(seed, "w", encoding="utf-8", newline="") as out:
                    out.write(json.loads(line)["raw"])


if __name__ == "__main__":
    main()
