#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Runs one libFuzzer target for a bounded time; new inputs go to a scratch folder, crashes to
# build-fuzz/. Reads the committed corpus, and the dictionary where there is one.
#
#     tools/fuzz.sh zmtp 60
set -eu
cd "$(dirname "$0")/.."
target=${1-}
seconds=${2:-60}
if [ ! -f "tests/fuzz/fuzz_$target.c" ]; then
    known=$(for f in tests/fuzz/fuzz_*.c; do f=${f##*/fuzz_}; printf ' %s' "${f%.c}"; done)
    echo "fuzz: no target called '$target'; T= is one of:$known" >&2
    exit 2
fi
corpus=tests/fuzz/corpus/$target
dict=tests/fuzz/$target.dict
found=build-fuzz/found/$target
mkdir -p "$found"
# What libFuzzer counts by default, and ASan keeps, costs more than these targets do.
export ASAN_OPTIONS="${ASAN_OPTIONS-quarantine_size_mb=8:malloc_context_size=3}"
# Without it what UBSan finds is a line among thousands, and the search goes on.
export UBSAN_OPTIONS="${UBSAN_OPTIONS-halt_on_error=1:print_stacktrace=1}"
set -- -entropic=0 -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -artifact_prefix=build-fuzz/ -print_final_stats=1
[ -f "$dict" ] && set -- "$@" -dict="$dict"
exec "build-fuzz/tests/fuzz/fuzz_$target" "$@" "$found" "$corpus"
