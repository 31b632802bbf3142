#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Runs one libFuzzer target for a bounded time; new inputs go to a scratch folder, crashes to
# build-fuzz/. Reads the committed corpus, and the dictionary where there is one.
#
#     tools/fuzz.sh zmtp 60
set -eu
cd "$(dirname "$0")/.."
target=${1:?which target? see tests/fuzz/fuzz_*.c}
seconds=${2:-60}
corpus=tests/fuzz/corpus/$target
dict=tests/fuzz/$target.dict
found=build-fuzz/found/$target
mkdir -p "$found"
set -- -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -artifact_prefix=build-fuzz/ -print_final_stats=1
[ -f "$dict" ] && set -- "$@" -dict="$dict"
exec "build-fuzz/tests/fuzz/fuzz_$target" "$@" "$found" "$corpus"
