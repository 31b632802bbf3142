#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Installs what Ersa needs to build and test: Debian packages, and Python packages into virtual
# environments in the checkout. Does nothing for what is there already.
#
#     tools/deps.sh build          compilers and libraries, .venv
#     tools/deps.sh ref            that, and the reference in .venv-ref
#     tools/deps.sh all            that, an old reference in .venv-ref-old, and the MongoDB server of the
#                                  tests in .mongo-server
set -eu
cd "$(dirname "$0")/.."
what=${1:-all}
py=${PYTHON:-python3}

# $1: a list of names, one a line, comments allowed.
names() { sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$1"; }

missing=
if [ "$what" = all ] && ! { command -v mvn && command -v javac; } >/dev/null; then
    missing=" default-jdk-headless maven"
fi
for p in $(names tools/requirements/debian.txt); do
    dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
if [ -n "$missing" ]; then
    echo "deps: installing$missing"
    sudo=
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || { echo "deps: need root or sudo to install$missing" >&2; exit 1; }
        sudo=sudo
    fi
    export DEBIAN_FRONTEND=noninteractive
    $sudo apt-get -o DPkg::Lock::Timeout=300 -qq update
    # shellcheck disable=SC2086  # one word a package
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 -qq install -y \
        --no-install-recommends $missing >/dev/null
fi

# $1: folder, $2: list of packages. Made anew when the list or the interpreter changed.
venv() {
    want=$( (cat "$2"; "$py" -c 'import sys; print(sys.version, sys.executable)') | sha256sum)
    if [ -f "$1/.stamp" ] && [ "$(cat "$1/.stamp")" = "$want" ]; then
        return
    fi
    echo "deps: making $1 from $2"
    rm -rf "$1"
    "$py" -m venv "$1"
    "$1/bin/pip" --quiet --disable-pip-version-check install -r "$2"
    printf '%s\n' "$want" > "$1/.stamp"
}

venv .venv tools/requirements/venv.txt
if [ "$what" != build ]; then
    venv .venv-ref tools/requirements/ref.txt
fi
if [ "$what" = all ]; then
    venv .venv-ref-old tools/requirements/ref-old.txt
    # The MongoDB server of tests/store.
    pom=tools/requirements/mongo-server/pom.xml
    if ! cmp -s "$pom" .mongo-server/pom.xml; then
        echo "deps: making .mongo-server from $pom"
        rm -rf .mongo-server
        mvn -q -B -f "$pom" dependency:copy-dependencies -DoutputDirectory="$PWD/.mongo-server"
        cp "$pom" .mongo-server/pom.xml
    fi
fi
