#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Configures (once, and when .venv has got another Python) and builds one of the build folders; quiet when there is nothing to do.
#
#     tools/build.sh build | build-clang | build-asan | build-tsan | build-bench | build-fuzz | build-cov
#     tools/build.sh build-ANYNAME[-asan|-bench]      a folder of your own, built alike
#     tools/build.sh build-fuzz fuzz-targets          only what is named
set -eu
cd "$(dirname "$0")/.."
dir=$1
shift # what is left are targets; none: everything
py=$PWD/.venv/bin/python3
cov="['-fprofile-instr-generate','-fcoverage-mapping']"
case $dir in
    build) cc=gcc; opts= ;;
    build-clang) cc=clang; opts=-Dwerror=true ;;
    build-asan | build-*-asan) cc=gcc; opts='-Db_sanitize=address,undefined -Dwerror=true' ;;
    build-tsan) cc=gcc; opts='-Db_sanitize=thread -Db_pie=false' ;;
    build-bench | build-*-bench) cc=gcc; opts='--buildtype=release -Db_ndebug=true' ;;
    build-fuzz) cc=clang; opts='-Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false' ;;
    build-cov) cc=clang; opts="-Dc_args=$cov -Dc_link_args=-fprofile-instr-generate" ;;
    build-*) cc=gcc; opts= ;;
    *) echo "build: no such folder: $dir" >&2; exit 2 ;;
esac
version=$("$py" -VV) # the extension is for this one
if [ ! -f "$dir/build.ninja" ]; then
    # shellcheck disable=SC2086  # words on purpose
    CC=$cc meson setup "$dir" -Dpython="$py" $opts >"$dir.log" 2>&1 || { cat "$dir.log" >&2; exit 1; }
    mv "$dir.log" "$dir/setup.log"
elif [ "$version" != "$(cat "$dir/python-version" 2>/dev/null)" ]; then
    meson setup --reconfigure "$dir" >"$dir/setup.log" 2>&1 || { cat "$dir/setup.log" >&2; exit 1; }
fi
printf '%s\n' "$version" >"$dir/python-version"
out=$(ninja -C "$dir" "$@" 2>&1) || { printf '%s\n' "$out" | tail -n 60 >&2; exit 1; }
case $out in
    *"no work to do"*) ;;
    *) printf 'built %s\n' "$dir" ;;
esac
