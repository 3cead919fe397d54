#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The checkers that read the source without running it.
#
#   tools/lint.sh format              clang-format says that nothing would change
#   tools/lint.sh reformat            changes it
#   tools/lint.sh shell               shellcheck
#   tools/lint.sh cppcheck
#   tools/lint.sh clang-tidy BUILD    by the compile commands of that build folder
#   tools/lint.sh analyzer            gcc's -fanalyzer
set -eu
cd "$(dirname "$0")/.."

jobs=$(nproc)

# Files of ours by the pattern of their names, NUL-separated. Not by git: a copy of the tree may be
# no repository.
files()
{
    find . \( -name 'build*' -type d -o -name .git -o -name .venv \) -prune -o \
        -type f -name "$1" -print0
}

# Each version of clang-format has a taste of its own; 14 is the one that this tree follows.
format()
{
    local program=clang-format-14
    command -v $program >/dev/null || program=clang-format
    if ! $program --version | grep -q 'version 14\.'; then
        echo "format: clang-format 14 is not here; not checked" >&2
        return 77
    fi
    files '*.[ch]' | xargs -0 -r $program "$@"
}

newest()
{
    if command -v "$1-14" >/dev/null; then echo "$1-14"; else echo "$1"; fi
}

case ${1-} in
format) format --dry-run -Werror ;;
reformat) format -i ;;
shell) files '*.sh' | xargs -0 shellcheck .ci/run ;;
cppcheck)
    mkdir -p build/cppcheck
    # Suppressed, with the reason of each:
    # missingIncludeSystem    it does not read system headers, on purpose
    # unusedStructMember      wire and table structs are read by offset or by tests
    # unknownEvaluationOrder  it takes the commas of a compound literal in a macro for operators
    # ctuuninitvar            it does not follow members that are assigned one by one
    # normalCheckLevelMaxBranches  says only that it looked less deep
    cppcheck --quiet -j "$jobs" --std=c11 --platform=unix64 \
        --enable=warning,performance,portability --cppcheck-build-dir=build/cppcheck \
        --inline-suppr --error-exitcode=1 --suppress=missingIncludeSystem \
        --suppress=unusedStructMember --suppress=unknownEvaluationOrder \
        --suppress=ctuuninitvar --suppress=normalCheckLevelMaxBranches \
        -D_GNU_SOURCE -DTICKWIRE_VERSION='""' -I src -I . src sim bench
    ;;
clang-tidy)
    build=${2:?a build folder}
    # One file a run: the analyzer of LLVM 14 carries its mistakes about va_list over to the next.
    files '*.c' | grep -zE '^\./(src|sim|bench)/' | grep -zv '_test\.c$' |
        xargs -0 -r -n 1 -P "$jobs" "$(newest clang-tidy)" --quiet -p "$build"
    ;;
analyzer)
    [ -f build/analyzer/build.ninja ] ||
        CC=gcc meson setup build/analyzer -Dwerror=true -Dc_args=-fanalyzer >/dev/null
    ninja -C build/analyzer src/node/tickwire # not the tests: it does not know cmocka's asserts
    ;;
*)
    sed -n 's/^#   //p' "$0" >&2
    exit 2
    ;;
esac
