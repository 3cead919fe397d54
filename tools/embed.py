#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a file's bytes as a C array: embed.py INPUT OUTPUT HEADER NAME."""

import sys


def main():
    source, target, header, name = sys.argv[1:5]
    with open(source, "rb") as file:
        data = file.read()
    lines = [
        ", ".join(str(byte if byte < 128 else byte - 256) for byte in data[i : i + 16])
        for i in range(0, len(data), 16)
    ]
    with open(target, "w", encoding="ascii") as file:
        file.write(f'#include "{header}"\n\nconst char {name}[] = {{\n')
        file.write(",\n".join(lines))
        file.write(f"\n}};\nconst size_t {name}_size = sizeof {name};\n")


main()
