#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Brings the jars that tests/kafka/pom.xml names into build/kafka/jars, unless they are there
# already. For tests alone: the product needs no Java.
#
#   tools/kafka.sh            the version of the pom
#   tools/kafka.sh VERSION    another one, into build/kafka/VERSION/jars
set -eu
cd "$(dirname "$0")/.."
folder=build/kafka${1:+/$1}

if cmp -s tests/kafka/pom.xml "$folder/pom.xml"; then
    exit 0
fi
if ! command -v mvn >/dev/null || ! command -v java >/dev/null; then
    echo "kafka: needs java and mvn: tools/install.sh test" >&2
    exit 1
fi
mkdir -p "$folder"
rm -rf "$folder/jars"
mvn -q -B -Dstyle.color=never -f tests/kafka/pom.xml dependency:copy-dependencies \
    ${1:+-Dkafka.version="$1"} -DincludeScope=runtime -DoutputDirectory="$PWD/$folder/jars"
cp tests/kafka/pom.xml "$folder/pom.xml"
