# SPDX-License-Identifier: Apache-2.0
"""What embed.py writes holds the files' bytes, plain and compressed."""

import gzip
import re
import unittest

import embed

PAGE = b"<!doctype html>\n" + bytes(range(256)) + b"many words " * 50
TINY = b"x"


def bytes_of(text, name):
    body = re.search(rf"static const char {name}\[\] = \{{\n(.*?)\n\}};", text, re.DOTALL).group(1)
    return bytes(int(number) & 255 for number in re.findall(r"-?\d+", body))


class Embedding(unittest.TestCase):
    def setUp(self):
        self.text = embed.embed("admin/page.h", "files", [
            ("/", "index.html", PAGE), ("/tiny", "tiny.txt", TINY)])

    def test_bytes(self):
        self.assertEqual(bytes_of(self.text, "body_0"), PAGE)
        self.assertEqual(gzip.decompress(bytes_of(self.text, "gzip_0")), PAGE)
        self.assertEqual(bytes_of(self.text, "body_1"), TINY)

    def test_what_gets_larger_stays_as_it_is(self):
        self.assertNotIn("gzip_1", self.text)

    def test_rows(self):
        self.assertIn('#include "admin/page.h"', self.text)
        self.assertIn(f".size = {len(PAGE)}}}", self.text)
        self.assertIn('{.path = "/tiny", .type = "text/plain; charset=utf-8"', self.text)
        tags = re.findall(r'etag = "\\"([0-9a-f-]+(?:gzip)?)\\""', self.text)
        self.assertEqual(len(set(tags)), 4, "each form of each file has its own")

    def test_same_input_same_output(self):
        again = embed.embed("admin/page.h", "files", [
            ("/", "index.html", PAGE), ("/tiny", "tiny.txt", TINY)])
        self.assertEqual(again, self.text)
        other = embed.embed("admin/page.h", "files", [("/", "index.html", PAGE + b"!")])
        self.assertNotIn(re.search(r'\.etag = "(.*?)",', self.text).group(1), other)


if __name__ == "__main__":
    unittest.main()
