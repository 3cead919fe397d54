#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each rule of tidy.py is fed something that breaks it, and something near it that does not."""

import os
import subprocess
import sys
import tempfile
import unittest

import tidy

SPDX = "SPDX-License-Identifier: Apache-2.0"
C_TOP = f"/* {SPDX} */\n/* Why this file is there. */\n"
HEADER = C_TOP + "#pragma once\n"


class TidyTest(unittest.TestCase):
    def complaints(self, files):
        """Texts of the complaints, but for those about what a small example always lacks."""
        return [f"{c.path}:{c.line}: {c.text}" for c in tidy.check(files)
                if "each stage has" not in c.text]

    def bad(self, path, body, expected, line=None):
        """Exactly one complaint, with these words, at this line of the body."""
        found = self.complaints({path: (HEADER if path.endswith(".h") else C_TOP) + body})
        self.assertEqual(len(found), 1, found)
        self.assertIn(expected, found[0])
        if line:
            top = 3 if path.endswith(".h") else 2
            self.assertTrue(found[0].startswith(f"{path}:{line + top}:"), found[0])

    def good(self, path, body):
        top = HEADER if path.endswith(".h") else C_TOP
        self.assertEqual(self.complaints({path: top + body}), [])


class IncludesTest(TidyTest):
    def test_each_forbidden_border(self):
        for layer, allowed in tidy.ALLOWED.items():
            path = f"{layer}/x.c" if layer in ("sim", "bench") else f"src/{layer}/x.c"
            for other in sorted(tidy.LAYERS - {layer}):
                include = f'#include "{other}/y.h"\n'
                if other in allowed:
                    self.good(path, include)
                else:
                    self.bad(path, include, "", 1)

    def test_the_simulator_shares_nothing_with_the_decoders(self):
        self.bad("sim/x.c", '#include "market/decimal.h"\n', "sim/ may not include market/")
        for layer in ("exchange", "market", "feed", "stream"):
            for name in ("sim/venue_binance.c", "sim/venue.h", "sim/quotation.c"):
                self.bad(name, f'#include "{layer}/x.h"\n', f"sim/ may not include {layer}/")

    def test_feed_and_gateway_meet_in_the_stream_even_in_tests(self):
        self.bad("src/feed/x_test.c", '#include "gateway/gateway.h"\n', "meet in the stream")
        self.bad("src/gateway/x.c", '#include "feed/feed.h"\n', "meet in the stream")

    def test_nobody_includes_node_but_node_and_tests(self):
        self.bad("src/feed/x_test.c", '#include "node/settings.h"\n', "nothing includes node/")
        self.good("src/node/x.c", '#include "node/settings.h"\n#include "gateway/gateway.h"\n')
        self.good("tests/contract/x.c", '#include "node/settings.h"\n')

    def test_paths_start_at_src(self):
        self.bad("src/net/x.c", '#include "tcp.h"\n', "path from src/")
        self.bad("src/net/x.c", '#include "../base/err.h"\n', "path from src/")

    def test_private_headers_stay_in_their_folder(self):
        self.bad("src/net/x.c", '#include "base/log_priv.h"\n', "private to its folder")
        self.good("src/base/x.c", '#include "base/log_priv.h"\n')

    def test_own_header_first(self):
        files = {"src/net/x.h": HEADER,
                 "src/net/x.c": C_TOP + '#include "net/a.h"\n#include "net/x.h"\n'}
        self.assertIn('the first include is "net/x.h"', self.complaints(files)[0])
        for first in ("net/x.h", "net/x_priv.h"):
            files["src/net/x.c"] = C_TOP + f'#include "{first}"\n#include "net/a.h"\n'
            self.assertEqual(self.complaints(files), [])

    def test_libraries_stay_in_one_folder(self):
        for header in ("uv.h", "http_parser.h", "openssl/evp.h", "yaml.h", "zlib.h", "jansson.h",
                       "gmp.h", "cmocka.h"):
            self.bad("src/gateway/x.c", f"#include <{header}>\n", f"<{header}> belongs to")
            self.good("fuzz/x.c", f"#include <{header}>\n")
        self.good("src/net/x.c", "#include <uv.h>\n#include <openssl/evp.h>\n")
        self.good("src/market/x.c", "#include <zlib.h>\n")
        self.bad("src/node/main.c", "#include <yaml.h>\n", "settings_yaml.c")
        self.good("src/node/settings_yaml.c", "#include <yaml.h>\n")

    def test_unknown_libraries(self):
        self.bad("src/net/x.c", "#include <curl/curl.h>\n", "unknown library")
        self.good("src/net/x.c", "#include <sys/socket.h>\n#include <errno.h>\n")

    def test_atomics(self):
        self.bad("src/gateway/x.c", "#include <stdatomic.h>\n", "atomics live in")
        self.bad("src/gateway/x.c", "static _Atomic int x;\n", "_Atomic")
        self.good("src/base/ring.c", "#include <stdatomic.h>\n")


def function(lines, signature="static void f(void)"):
    """A function of so many lines in all."""
    return signature + "\n{\n" + "    x();\n" * (lines - 3) + "}\n"


class FormTest(TidyTest):
    def test_file_length(self):
        self.good("src/net/x.c", "int x;\n" * 598)
        self.bad("src/net/x.c", "int x;\n" * 599, "601 lines, 600 allowed")
        self.good("src/net/x.h", "int x;\n" * 247)
        self.bad("src/net/x.h", "int x;\n" * 248, "251 lines, 250 allowed")

    def test_line_length(self):
        self.good("src/net/x.c", "// " + "x" * 97 + "\n")
        self.bad("src/net/x.c", "// " + "x" * 98 + "\n", "101 columns", 1)
        for path, top in (("tools/x.py", ""), ("tools/x.sh", "#!/bin/sh\n")):
            text = f"{top}# {SPDX}\n# " + "x" * 99 + "\n"
            self.assertIn("101 columns", self.complaints({path: text})[0])

    def test_function_length(self):
        self.good("src/net/x.c", function(70) + function(70))
        self.bad("src/net/x.c", "\n" + function(71), "f: 71 lines, 70 allowed", 2)

    def test_tables_may_be_long(self):
        self.good("src/net/x.c", "static const int table[] = {\n" + "    1,\n" * 200 + "};\n")

    def test_parameters(self):
        six = "int a, int b, int c, int d, void (*e)(int, int), int f"
        self.good("src/net/x.c", function(4, f"static void f({six})"))
        self.bad("src/net/x.c", function(4, f"static void f({six},\n              int g)"),
                 "7 parameters", 1)

    def test_nesting(self):
        def nest(depth):
            body = "".join("    " * d + "if (x)\n" for d in range(1, depth + 1))
            return "static void f(void)\n{\n" + body + "    " * (depth + 1) + "x();\n}\n"
        self.good("src/net/x.c", nest(4))
        self.bad("src/net/x.c", nest(5), "nested deeper", 7)

    def test_recursion(self):
        self.bad("src/net/x.c", "static int f(int x)\n{\n    return x ? f(x - 1) : 0;\n}\n",
                 "f calls itself", 3)
        self.good("src/net/x.c", "/* f(x) */\nstatic int f(int x)\n{\n    /* f(x) */\n"
                                 "    return that->f(x) + of(x);\n}\n")

    def test_typedef(self):
        for text in ("typedef struct x {\n    int a;\n} x;\n", "typedef struct x x;\n",
                     "typedef enum { A } x;\n"):
            self.bad("src/net/x.h", text, "no typedef of a struct", 1)
        self.bad("src/net/x.h", "typedef int number;\n", "for function types", 1)
        self.bad("src/net/x.h", "typedef int x_t(int);\n", "_t are POSIX's", 1)
        self.bad("src/net/x.h", "typedef int (*x_t)(int);\n", "_t are POSIX's", 1)
        self.bad("src/net/x.h", "struct x_t {\n    int a;\n};\n", "_t are POSIX's", 1)
        self.good("src/net/x.h", "typedef size_t request_fn(struct x *x, uint64_t y);\n"
                                 "typedef struct x *make_fn(void);\n")

    def test_spdx(self):
        for path, text in (("src/net/x.c", "/* Why. */\n"), ("src/net/meson.build", "x = 1\n"),
                           ("tools/x.py", "#!/usr/bin/env python3\n"), ("x.sh", "#!/bin/sh\n"),
                           ("Makefile", "all:\n"), (".ci/run", "#!/bin/bash\n")):
            found = self.complaints({path: text + "\n"})
            self.assertTrue(any("SPDX" in text for text in found), path)
        self.assertEqual(self.complaints({"x.sh": f"#!/bin/sh\n# {SPDX}\n"}), [])
        self.assertEqual(self.complaints({"src/meson.build": f"# {SPDX}\n"}), [])

    def test_top_comment_and_pragma(self):
        found = self.complaints({"src/net/x.c": f"/* {SPDX} */\nint x;\n"})
        self.assertIn("a comment on top", found[0])
        self.assertIn("#pragma once", self.complaints({"src/net/x.h": C_TOP})[0])
        self.assertEqual(self.complaints({"src/net/x_test.c": f"/* {SPDX} */\nint x;\n"}), [])


class WordsTest(TidyTest):
    def test_memory(self):
        for name in ("malloc", "calloc", "realloc", "free", "strdup"):
            self.bad("src/net/x.c", f"static int x = {name}(y);\n", name, 1)
            self.good("src/base/memory.c", f"static int x = {name}(y);\n")
            self.good("src/net/x.c", f"static int x = it->{name}(y) + my_{name}(y); // {name}()\n")

    def test_banned_calls(self):
        for name in ("strcpy", "strcat", "sprintf", "vsprintf", "gets", "atoi", "atol", "strtok",
                     "setjmp", "alloca", "system", "popen", "sleep", "usleep", "nanosleep"):
            for path in ("src/base/memory.c", "src/net/x_test.c", "fuzz/x.c", "tests/x.c"):
                self.bad(path, f"static int x = {name}(y);\n", name, 1)
        self.good("src/net/x.c", 'static char x[] = "sleep(1)"; /* system(x) */\n')

    def test_time(self):
        for name in ("clock_gettime", "gettimeofday", "time", "uv_hrtime"):
            self.bad("src/net/x.c", f"static int x = {name}(y);\n", "base/clock.h", 1)
            self.good("src/base/clock.c", f"static int x = {name}(y);\n")
        self.good("src/net/x.c", "static int time;\nstatic int x = wall_time(y);\n")

    def test_stdout(self):
        self.bad("src/gateway/x.c", "static int x = printf(y);\n", "stdout", 1)
        self.bad("src/gateway/x.c", "static int x = fputs(y, stdout);\n", "write there", 1)
        for path in ("src/node/x.c", "bench/x.c", "tests/x.c", "src/net/x_test.c"):
            self.good(path, "static int x = printf(y);\n")
        self.good("src/gateway/x.c", "static int x = snprintf(y);\n")

    def test_ndebug(self):
        self.bad("src/net/x.c", "#define NDEBUG\n", "NDEBUG", 1)
        found = self.complaints({"meson.build": f"# {SPDX}\nx = 'b_ndebug=true'\n"})
        self.assertIn("NDEBUG", found[0])
        self.assertEqual(self.complaints({"meson.build": f"# {SPDX}\nx = 'b_ndebug=false'\n"}), [])

    def test_exact_numbers(self):
        for stage in tidy.EXACT:
            self.bad(f"src/{stage}/x.c", "static double x;\n", "numbers are exact here", 1)
            self.bad(f"src/{stage}/x.h", "float x;\n", "numbers are exact here", 1)
        self.good("src/base/x.c", "static double x;\n")
        self.good("src/market/x.c", "static int doubled; /* a double */\n")

    def test_extensions(self):
        self.bad("src/net/x.c", "static int x __attribute__((unused));\n", "base/attr.h", 1)
        self.bad("src/net/x.c", "static int x = __builtin_clz(1);\n", "base/attr.h", 1)
        self.good("src/base/attr.h", "#define MUST_CHECK __attribute__((warn_unused_result))\n")

    def test_unfinished(self):
        for word in ("TO" + "DO", "FIX" + "ME", "X" + "XX"):
            self.bad("src/net/x.c", f"/* {word}: later */\n", word, 1)
            self.assertIn(word, self.complaints({"docs/x.md": f"{word}\n"})[0])
        self.good("src/net/x.c", 'static char x[] = "/tmp/name.XXXXXX";\n')


class TreeTest(TidyTest):
    def test_large_files(self):
        self.assertIn("1000001 bytes", self.complaints({"web/x.bin": 1_000_001})[0])
        self.assertEqual(self.complaints({"web/x.bin": 1_000_000}), [])

    def test_stages_have_a_readme_and_a_header(self):
        files = {"src/net/x.c": C_TOP}
        found = [c.text for c in tidy.check(files)]
        self.assertEqual(found, ["each stage has a header", "each stage has a README.md"])
        files.update({"src/net/README.md": "x\n" * 40, "src/net/y.h": HEADER})
        self.assertEqual(tidy.check(files), [])
        files["src/net/README.md"] = "x\n" * 41
        self.assertIn("41 lines, 40 allowed", tidy.check(files)[0].text)

    def test_adapters_are_rows(self):
        def registry(*rows):
            table = "".join(f"    &{row},\n" for row in rows)
            return C_TOP + "static const struct exchange *const rows[] = {\n" + table + "};\n"
        files = {"src/exchange/upbit/upbit.c": C_TOP,
                 "src/exchange/registry.c": registry("upbit_exchange")}
        self.assertEqual(self.complaints(files), [])
        files["src/exchange/okx/okx.c"] = C_TOP
        self.assertIn("src/exchange/okx:1: no row", self.complaints(files)[0])
        files["src/exchange/registry.c"] = registry("okx_exchange", "upbit_1", "upbit_2")
        self.assertEqual(self.complaints(files), [])
        files["src/exchange/registry.c"] = registry("okx", "upbit", "kraken")
        self.assertIn("row kraken has no folder", self.complaints(files)[0])


class RunTest(unittest.TestCase):
    def run_tidy(self, files):
        with tempfile.TemporaryDirectory() as root:
            for path, text in files.items():
                full = os.path.join(root, path)
                os.makedirs(os.path.dirname(full), exist_ok=True)
                with open(full, "w", encoding="utf-8") as file:
                    file.write(text)
            script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tidy.py")
            return subprocess.run([sys.executable, script, root], capture_output=True, text=True)

    def test_exit_status_and_form(self):
        result = self.run_tidy({"src/base/x.c": C_TOP + "int x = atoi(y);\n", "build/x.c": "",
                                "src/base/README.md": "x\n", "src/base/y.h": HEADER})
        self.assertEqual(result.returncode, 1)
        self.assertEqual(result.stdout, "src/base/x.c:3: atoi is banned\n"
                                        "tidy: 3 files, 1 complaints\n")

    def test_a_clean_tree_passes_and_an_empty_one_does_not(self):
        self.assertEqual(self.run_tidy({"docs/x.md": "x\n"}).returncode, 0)
        self.assertEqual(self.run_tidy({}).returncode, 1)


if __name__ == "__main__":
    unittest.main()
