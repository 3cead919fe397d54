#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that are missing, and only these. Needs nothing but a shell, dpkg and
# apt: a bare debootstrap has no more.
#
#   tools/install.sh build    what ./run.sh needs
#   tools/install.sh quick    and what ./test.sh quick needs
#   tools/install.sh test     and what ./test.sh needs
#   tools/install.sh peers    what ./test.sh does not need, but make show-fanout compares with
#
# Lists of names are kept in variables and split into words on purpose.
# shellcheck disable=SC2086
set -eu

# A row with bars names alternatives: the first one that the archive knows is taken. Debian 12,
# Debian 13 and Ubuntu 24.04 number their LLVM packages differently. With a dash as its last
# alternative a row is done without where the archive has no such package (Ubuntu's browsers are
# snaps).
build_set='
build-essential
pkg-config
meson
ninja-build
libuv1-dev
libssl-dev
libhttp-parser-dev
libyaml-dev
zlib1g-dev
libzstd-dev
libjansson-dev
librdkafka-dev
libcmocka-dev
ca-certificates
python3
'
quick_set='
clang-format-14|clang-format
'
test_set='
clang-14|clang
clang-tidy-14|clang-tidy
llvm-14|llvm
libclang-rt-14-dev|libclang-rt-dev
valgrind
cppcheck
libgmp-dev
python3-venv
python3-pip
openssl
zstd
shellcheck
git
debootstrap
chromium|-
fonts-dejavu-core
tinyproxy-bin
default-jre-headless
maven
kcat
liburing-dev
'

peers_set='
liburing-dev
libwebsockets-dev
'

fail()
{
    echo "install: $*" >&2
    exit 1
}

installed()
{
    dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

# Is there nothing to install for this row? Known once the archive's list is here.
dispensable()
{
    case $1 in
    *'|-') apt-cache show build-essential >/dev/null 2>&1 && [ -z "$(chosen "$1")" ] ;;
    *) false ;;
    esac
}

# Prints the rows of which no alternative is installed.
missing()
{
    for row in "$@"; do
        found=no
        for name in $(echo "$row" | tr '|' ' '); do
            if installed "$name"; then
                found=yes
            fi
        done
        if [ $found = no ] && ! dispensable "$row"; then
            echo "$row"
        fi
    done
}

# Prints, for each row, the first alternative that the archive knows (or the first, for apt to
# complain about, unless it can be done without).
chosen()
{
    for row in "$@"; do
        names=$(echo "$row" | tr '|' ' ')
        choice=${names%% *}
        case $row in
        *'|-') choice= ;;
        esac
        for name in $names; do
            if apt-cache show "$name" >/dev/null 2>&1; then
                choice=$name
                break
            fi
        done
        echo "$choice"
    done
}

case ${1-} in
build) wanted=$build_set ;;
quick) wanted=$build_set$quick_set ;;
test) wanted=$build_set$quick_set$test_set ;;
peers) wanted=$peers_set ;;
*)
    echo "usage: tools/install.sh build|quick|test|peers" >&2
    exit 2
    ;;
esac

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "install: no Debian package tools here; taking it that these are there:" $wanted >&2
    exit 0
fi

rows=$(missing $wanted)
if [ -z "$rows" ]; then
    exit 0
fi

root=
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "missing:" $rows "- and neither root nor sudo to add them"
    root=sudo
fi

echo "install: missing:" $rows
# env, because sudo does not pass variables on.
apt="$root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300"
$apt -q update
names=$(chosen $rows)
echo "install: apt-get install" $names
$apt -q -y --no-install-recommends install $names
