#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The house rules that a machine can check (docs/STYLE.md), as a test.

    tools/tidy.py [ROOT]

Reads every file of the repository as text; no parser is needed, because clang-format has put the
brace of each function on its own line and the body at steps of four columns. Each rule is one
function that yields Complaints: about one file (FILE_RULES) or about the tree (TREE_RULES). The
exit status is 1 when there is any.
"""

import os
import re
import subprocess
import sys
from collections import namedtuple

Complaint = namedtuple("Complaint", "path line text")

C_LINES_MAX = 600
HEADER_LINES_MAX = 250
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100
NESTING_MAX = 4
PARAMETERS_MAX = 6
README_LINES_MAX = 40
FILE_BYTES_MAX = 1_000_000

# What each folder may include, besides itself. node/ may include everything.
ALLOWED = {
    "base": set(),
    "net": {"base"},
    "access": {"base", "net"},
    "market": {"base"},
    "exchange": {"base", "market"},
    "stream": {"base"},
    "cluster": {"base", "stream"},
    "peer": {"base", "net", "access"},
    "keeper": {"base", "market", "stream"},
    "feed": {"base", "net", "market", "exchange", "stream"},
    "gateway": {"base", "net", "market", "stream", "keeper"},
    "admin": {"base", "net", "market", "stream", "keeper", "gateway"},
    "sim": {"base", "net"},
    "bench": {"base", "net", "market", "exchange", "stream", "keeper", "gateway"},
}
LAYERS = set(ALLOWED) | {"node"}
FREE = {"tests", "fuzz", "node"}

# Where a library's header may be included, besides tests/ and fuzz/.
THIRD_PARTY = {
    "uv.h": ("src/net/",),
    "librdkafka/rdkafka.h": ("src/stream/kafka/",),
    "http_parser.h": ("src/net/",),
    "openssl/": ("src/net/", "src/access/", "bench/"),
    "yaml.h": ("src/node/settings_yaml.c",),
    "zlib.h": ("src/market/", "src/net/", "sim/", "bench/"),
    "zstd.h": ("sim/",),
    "zstd_errors.h": ("sim/",),
    "jansson.h": ("src/access/", "src/peer/", "sim/", "bench/"),
    "gmp.h": ("bench/",),
    "liburing.h": ("bench/",),
    "libwebsockets.h": (),
    "cmocka.h": (),
}
STANDARD = set(
    "assert.h complex.h ctype.h errno.h fenv.h float.h inttypes.h iso646.h limits.h locale.h math.h"
    " setjmp.h signal.h stdalign.h stdarg.h stdatomic.h stdbool.h stddef.h stdint.h stdio.h"
    " stdlib.h stdnoreturn.h string.h tgmath.h threads.h time.h uchar.h wchar.h wctype.h dirent.h"
    " dlfcn.h fcntl.h fnmatch.h getopt.h glob.h ifaddrs.h libgen.h malloc.h netdb.h poll.h"
    " pthread.h pwd.h sched.h semaphore.h strings.h syslog.h termios.h unistd.h"
    " immintrin.h emmintrin.h tmmintrin.h smmintrin.h arm_neon.h".split())
STANDARD_FOLDERS = ("sys/", "netinet/", "arpa/", "net/", "linux/")

# The files that may share memory between threads without a message.
ATOMIC = {"src/base/ring.c", "src/base/metrics.c", "src/base/log.c", "src/base/mailbox.c",
          "src/net/loop.c", "src/stream/frame_log.c", "src/gateway/snapshot.c",
          "src/gateway/worker.c"}

# The stages in which a number is a decimal.
EXACT = ("market", "exchange", "feed", "stream", "keeper", "gateway")

KEYWORDS = {"if", "for", "while", "switch", "return", "sizeof", "do", "else", "static_assert",
            "defined", "alignof", "_Static_assert"}


# ---- reading C without a parser ----

TOKENS = re.compile(
    r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def blanked(text):
    """The same text with comments and the insides of literals as spaces; lines stay in place."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group())
    return TOKENS.sub(blank, text)


class Source:
    """One file: its path, its lines as they are, and its lines without comments and literals."""

    def __init__(self, path, text):
        self.path = path
        self.text = text
        self.lines = text.split("\n")
        if self.lines and self.lines[-1] == "":
            self.lines.pop()
        self.name = os.path.basename(path)
        self.is_header = path.endswith(".h")
        self.is_c = path.endswith((".c", ".h"))
        self.code = blanked(text).split("\n") if self.is_c else self.lines
        self.is_test = path.endswith(("_test.c", "_test.h")) or path.startswith(("tests/", "fuzz/"))
        self.layer = layer_of(path)

    def complain(self, line, text):
        return Complaint(self.path, line, text)

    def includes(self):
        """(line, path, quoted) of each #include."""
        for number, line in enumerate(self.lines, 1):
            match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
            if match:
                yield number, match.group(2), match.group(1) == '"'

    def functions(self):
        """(name, first line, last line, parameters) of each function with a body."""
        start = None
        for number, line in enumerate(self.code, 1):
            if line.startswith("{"):
                start = number
            elif line.startswith("}") and start is not None:
                first, signature = self.signature(start)
                match = re.search(r"(\w+)\s*\((.*)\)\s*$", signature, re.DOTALL)
                if match:
                    name = re.search(r"(\w+)\s*\(", signature).group(1)
                    parameters = signature[signature.index("(") + 1:signature.rindex(")")]
                    yield name, first, number, parameters
                start = None

    def signature(self, brace):
        """First line and text of what stands before the brace, back to a blank or finished line."""
        first = brace
        while first > 1 and not re.match(r"\s*$|.*[;}]\s*$|#", self.code[first - 2]):
            first -= 1
        return first, " ".join(self.code[first - 1:brace - 1])


def layer_of(path):
    parts = path.split("/")
    if parts[0] == "src":
        return parts[1] if len(parts) > 2 else ""
    return parts[0] if len(parts) > 1 else ""


# ---- rules about includes ----

def included_layer(included):
    parts = included.split("/")
    return parts[0] if len(parts) > 1 else None


def rule_dependency(source):
    if not source.is_c:
        return
    for line, included, quoted in source.includes():
        if not quoted:
            continue
        layer = included_layer(included)
        if layer not in LAYERS | FREE:
            yield source.complain(line, f'"{included}": write the path from src/')
            continue
        if included.endswith("_priv.h"):
            if os.path.dirname(included) not in source.path:
                yield source.complain(line, f"{included} is private to its folder")
        if layer == source.layer or source.layer in FREE:
            continue
        if {layer, source.layer} == {"feed", "gateway"}:
            yield source.complain(line, "feed and gateway meet in the stream only")
        elif layer == "node":
            yield source.complain(line, "nothing includes node/")
        elif not source.is_test and layer not in ALLOWED.get(source.layer, set()):
            yield source.complain(line, f"{source.layer}/ may not include {layer}/")


def rule_third_party(source):
    if not source.is_c:
        return
    for line, included, quoted in source.includes():
        if quoted or included in STANDARD or included.startswith(STANDARD_FOLDERS):
            continue
        places = [where for name, where in THIRD_PARTY.items()
                  if included == name or (name.endswith("/") and included.startswith(name))]
        if not places:
            yield source.complain(line, f"<{included}>: an unknown library; give it one folder "
                                        "in tools/tidy.py")
        elif not source.is_test and not source.path.startswith(places[0]):
            yield source.complain(line, f"<{included}> belongs to {' or '.join(places[0])}")


def rule_own_header_first(source, paths=None):
    if not source.path.endswith(".c") or source.is_test or not paths:
        return
    header = source.path[:-2] + ".h"
    if header not in paths:
        return
    own = header[len("src/"):] if header.startswith("src/") else header
    includes = list(source.includes())
    if not includes or includes[0][1] not in (own, own[:-2] + "_priv.h"):
        line = includes[0][0] if includes else 1
        yield source.complain(line, f'the first include is "{own}"')


def rule_atomics(source):
    if not source.is_c or source.path in ATOMIC or source.is_test:
        return
    for line, included, _ in source.includes():
        if included == "stdatomic.h":
            yield source.complain(line, "atomics live in " + ", ".join(sorted(ATOMIC)))
    yield from words(source, r"\b(_Atomic|__atomic_\w+|__sync_\w+)\b",
                     "{}: atomics live in named files")


# ---- rules about form ----

def rule_file_length(source):
    if not source.is_c:
        return
    most = HEADER_LINES_MAX if source.is_header else C_LINES_MAX
    if len(source.lines) > most:
        yield source.complain(len(source.lines), f"{len(source.lines)} lines, {most} allowed")


def rule_line_length(source):
    if not source.is_c and not source.path.endswith((".py", ".sh")):
        return
    for number, line in enumerate(source.lines, 1):
        if len(line) > COLUMNS_MAX:
            yield source.complain(number, f"{len(line)} columns, {COLUMNS_MAX} allowed")


def rule_functions(source):
    if not source.is_c:
        return
    for name, first, last, parameters in source.functions():
        length = last - first + 1
        if length > FUNCTION_LINES_MAX:
            yield source.complain(first, f"{name}: {length} lines, {FUNCTION_LINES_MAX} allowed")
        count = parameter_count(parameters)
        if count > PARAMETERS_MAX:
            yield source.complain(first, f"{name}: {count} parameters, {PARAMETERS_MAX} allowed")


def parameter_count(parameters):
    if parameters.strip() in ("", "void"):
        return 0
    depth = 0
    count = 1
    for character in parameters:
        depth += (character == "(") - (character == ")")
        count += character == "," and depth == 0
    return count


def rule_nesting(source):
    """clang-format indents by four, so the column of a control word is its depth."""
    if not source.is_c:
        return
    for number, line in enumerate(source.code, 1):
        match = re.match(r"( +)(?:\} )?(?:if|for|while|switch|do|else)\b", line)
        if match and len(match.group(1)) // 4 > NESTING_MAX:
            yield source.complain(number, f"nested deeper than {NESTING_MAX}")


def rule_recursion(source):
    if not source.is_c:
        return
    for name, first, last, _ in source.functions():
        body = next(n for n in range(first, last) if source.code[n - 1].startswith("{"))
        for number in range(body, last + 1):
            if re.search(rf"(?<![\w.>]){name}\s*\(", source.code[number - 1]):
                yield source.complain(number, f"{name} calls itself")


def rule_typedef(source):
    if not source.is_c:
        return
    for number, line in enumerate(source.code, 1):
        if re.match(r"\s*typedef\b", line):
            whole = " ".join(source.code[number - 1:number + 3])
            if re.match(r"\s*typedef\s+(struct|union|enum)\b[^(;]*[{;]", whole):
                yield source.complain(number, "no typedef of a struct, union or enum")
            elif "(" not in whole.split(";")[0]:
                yield source.complain(number, "typedef is for function types")
            named = whole.split(";")[0]
            if re.search(r"\w_t$", named.split("(")[0].strip()) \
                    or re.search(r"\(\*\s*\w+_t\)", named):
                yield source.complain(number, "names ending in _t are POSIX's")
        if re.search(r"\b(struct|union|enum)\s+\w+_t\s*(\{|;)", line):
            yield source.complain(number, "names ending in _t are POSIX's")


def rule_spdx(source):
    comment = {".c": "/* {} */", ".h": "/* {} */", ".py": "# {}", ".sh": "# {}"}
    ending = os.path.splitext(source.name)[1]
    if source.name in ("meson.build", "Makefile") or source.path == ".ci/run":
        form = "# {}"
    elif ending in comment:
        form = comment[ending]
    else:
        return
    line = 1 if source.lines and source.lines[0].startswith("#!") else 0
    wanted = form.format("SPDX-License-Identifier: Apache-2.0")
    if len(source.lines) <= line or source.lines[line] != wanted:
        yield source.complain(line + 1, f"the first line is {wanted}")


def rule_top_comment(source):
    if not source.is_c or source.is_test:
        return
    second = source.lines[1] if len(source.lines) > 1 else ""
    if not second.startswith("/*"):
        yield source.complain(2, "a comment on top says what the file is for")
    if source.is_header and "#pragma once" not in source.lines:
        yield source.complain(1, "a header has #pragma once")


# ---- rules about words ----

def words(source, pattern, text):
    """Complaints about each place in the code (not in comments or literals) that matches."""
    expression = re.compile(pattern)
    for number, line in enumerate(source.code, 1):
        for match in expression.finditer(line):
            yield source.complain(number, text.format(match.group(1)))


def call(*names):
    """A call of one of these, not of a member that bears the name."""
    return r"(?<![\w.>])(" + "|".join(names) + r")\s*\("


def rule_memory(source):
    if source.is_c and source.path != "src/base/memory.c" and not source.is_test \
            and source.layer != "bench":
        yield from words(source, call("malloc", "calloc", "realloc", "reallocarray", "free",
                                      "strdup", "strndup", "asprintf", "aligned_alloc",
                                      "posix_memalign"),
                         "{}: memory comes from base/memory.h")


def rule_banned(source):
    if not source.is_c:
        return
    yield from words(source, call("strcpy", "strncpy", "stpcpy", "strcat", "strncat", "sprintf",
                                  "vsprintf", "gets", "atoi", "atol", "atoll", "strtok",
                                  "strtok_r", "setjmp", "longjmp", "sigsetjmp", "alloca",
                                  "system", "popen"),
                     "{} is banned")
    yield from words(source, call("sleep", "usleep", "nanosleep", "clock_nanosleep", "uv_sleep",
                                  "thrd_sleep"),
                     "{}: wait for a condition, not for time")


def rule_time(source):
    if source.is_c and source.path != "src/base/clock.c":
        yield from words(source, call("clock_gettime", "gettimeofday", "timespec_get", "time",
                                      "ftime", "clock", "uv_hrtime", "uv_now"),
                         "{}: the time comes from base/clock.h")


def rule_stdout(source):
    if not source.is_c or source.is_test or source.layer in ("node", "bench"):
        return
    yield from words(source, call("printf", "vprintf", "puts", "putchar"),
                     "{}: only node/ and bench/ write to stdout")
    yield from words(source, r"\b(stdout)\b", "{}: only node/ and bench/ write there")


def rule_ndebug(source):
    if source.is_c:
        yield from words(source, r"\b(NDEBUG)\b", "{}: asserts stay on in every build")
    elif source.name == "meson.build" and re.search(r"NDEBUG|b_ndebug=(true|if-release)",
                                                    source.text):
        yield source.complain(1, "NDEBUG: asserts stay on in every build")


def rule_exact_numbers(source):
    if source.is_c and source.layer in EXACT and source.path.startswith("src/"):
        yield from words(source, r"\b(double|float|strtod|strtof|strtold|atof)\b",
                         "{}: numbers are exact here; use struct decimal")


def rule_extensions(source):
    if source.is_c and source.path != "src/base/attr.h" and not source.is_test:
        yield from words(source, r"\b(__attribute__|__builtin_\w+|__typeof__|typeof)\b",
                         "{}: compiler extensions live in base/attr.h")


def rule_unfinished(source):
    if source.path in ("tools/tidy.py", "tools/tidy_test.py", "docs/STYLE.md"):
        return
    for number, line in enumerate(source.lines, 1):
        match = re.search(r"\b(TODO|FIXME|XXX)\b", line)
        if match:
            yield source.complain(number, f"{match.group(1)}: finish it, or open an issue")


FILE_RULES = [rule_dependency, rule_third_party, rule_atomics, rule_file_length, rule_line_length,
              rule_functions, rule_nesting, rule_recursion, rule_typedef, rule_spdx,
              rule_top_comment, rule_memory, rule_banned, rule_time, rule_stdout, rule_ndebug,
              rule_exact_numbers, rule_extensions, rule_unfinished]


# ---- rules about the tree: sources is {path: Source}, sizes {path: bytes} ----

def tree_own_headers(sources, _sizes):
    for source in sources.values():
        yield from rule_own_header_first(source, sources)


def tree_sizes(_sources, sizes):
    for path, size in sizes.items():
        if size > FILE_BYTES_MAX:
            yield Complaint(path, 1, f"{size} bytes, {FILE_BYTES_MAX} allowed")


def tree_stages(sources, _sizes):
    stages = {"/".join(path.split("/")[:2]) for path, source in sources.items()
              if path.startswith("src/") and source.is_c and path.count("/") > 1}
    if any(path.startswith("sim/") and path.endswith(".c") for path in sources):
        stages.add("sim")
    for stage in sorted(stages):
        if stage + "/README.md" not in sources:
            yield Complaint(stage + "/README.md", 1, "each stage has a README.md")
        if not any(path.startswith(stage + "/") and path.endswith(".h") for path in sources):
            yield Complaint(stage, 1, "each stage has a header")
    for path, source in sources.items():
        if re.match(r"(src/.*|sim)/README\.md$", path) and len(source.lines) > README_LINES_MAX:
            yield Complaint(path, len(source.lines),
                            f"{len(source.lines)} lines, {README_LINES_MAX} allowed")


def tree_adapters(sources, _sizes):
    """Each folder of src/exchange is a row of registry.c, and each row a folder."""
    path = "src/exchange/registry.c"
    folders = {name.split("/")[2] for name in sources
               if name.startswith("src/exchange/") and name.count("/") > 2}
    if path not in sources:
        for folder in sorted(folders):
            yield Complaint(f"src/exchange/{folder}", 1, "there is no registry.c to be a row of")
        return
    registry = sources[path]
    table = "\n".join(registry.code)
    rows = set(re.findall(r"&(\w+)", table))
    for folder in sorted(folders):
        if not any(re.match(rf"(exchange_)?{folder}(_|\d|$)", row) for row in rows):
            yield Complaint(f"src/exchange/{folder}", 1, "no row of registry.c")
    for row in sorted(rows):
        if not any(re.match(rf"(exchange_)?{folder}(_|\d|$)", row) for folder in folders):
            yield Complaint(path, 1, f"row {row} has no folder")


TREE_RULES = [tree_own_headers, tree_sizes, tree_stages, tree_adapters]


# ---- the run ----

def check(files):
    """Complaints about a tree given as {path: text}; an int in the place of a text is the size of
    a file that is no text."""
    sources = {path: Source(path, text) for path, text in files.items() if isinstance(text, str)}
    sizes = {path: len(text.encode()) if isinstance(text, str) else text
             for path, text in files.items()}
    complaints = []
    for source in sources.values():
        for rule in FILE_RULES:
            complaints.extend(rule(source))
    for rule in TREE_RULES:
        complaints.extend(rule(sources, sizes))
    return sorted(complaints)


def listed(root):
    """What git knows or would add; every file outside build folders where there is no git."""
    try:
        output = subprocess.run(
            ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            capture_output=True, check=True).stdout
        return [path for path in output.decode().split("\0") if path]
    except (OSError, subprocess.CalledProcessError):
        found = []
        for folder, names, files in os.walk(root):
            names[:] = [name for name in names
                        if name not in (".git", "__pycache__") and not name.startswith("build")]
            found += [os.path.relpath(os.path.join(folder, name), root) for name in files]
        return found


def read_tree(root):
    files = {}
    for path in listed(root):
        full = os.path.join(root, path)
        if os.path.islink(full) or not os.path.isfile(full):
            continue
        if os.path.getsize(full) > FILE_BYTES_MAX:
            files[path] = os.path.getsize(full)
            continue
        try:
            with open(full, encoding="utf-8") as file:
                files[path] = file.read()
        except UnicodeDecodeError:
            files[path] = os.path.getsize(full)
    return files


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "..")
    files = read_tree(os.path.normpath(root))
    complaints = check(files)
    for complaint in complaints:
        print(f"{complaint.path}:{complaint.line}: {complaint.text}")
    print(f"tidy: {len(files)} files, {len(complaints)} complaints")
    return 1 if complaints or not files else 0


if __name__ == "__main__":
    sys.exit(main())
