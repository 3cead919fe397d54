#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing, builds, and runs a node to look at: of the exchanges when one can be
# reached, else of simulated ones. Arguments are passed on: ./run.sh --simulated --port 9090
set -eu
cd "$(dirname "$0")"
build=build

echo "run: looking for missing packages"
tools/install.sh build

mkdir -p $build
log=$build/run.log
if [ ! -f $build/build.ninja ]; then
    echo "run: configuring $build/"
    # A newer compiler's new warning must not keep anybody from a first look: not an error here.
    if ! meson setup $build -Dwerror=false >$log 2>&1; then
        cat $log >&2
        exit 1
    fi
fi
echo "run: building $build/src/node/tickwire"
if ! ninja -C $build src/node/tickwire >$log 2>&1; then
    cat $log >&2
    exit 1
fi

echo "run: another shell can watch with: $build/src/node/tickwire tail"
# ---- the one line that says what a first visitor sees ----
exec $build/src/node/tickwire demo "$@"
