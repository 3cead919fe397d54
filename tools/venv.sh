#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes build/venv with what tests/requirements.txt names, unless it is there already.
set -eu
cd "$(dirname "$0")/.."
venv=build/venv

if cmp -s tests/requirements.txt $venv/installed.txt; then
    exit 0
fi
# The system's own python: what stands first in PATH may be a shim that wants set-up of its own.
python=/usr/bin/python3
if [ ! -x $python ]; then
    python=python3
fi
mkdir -p build
rm -rf $venv
$python -m venv $venv
$venv/bin/python -m pip install --quiet --disable-pip-version-check -r tests/requirements.txt
cp tests/requirements.txt $venv/installed.txt
