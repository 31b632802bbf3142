#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Line coverage of the parsers of foreign input.

    python tools/coverage.py           what the corpora of the fuzz targets reach; fails below 90 % of any file
    python tools/coverage.py --units   and beside it what they reach together with the unit tests

Builds `build-cov` with clang's source-based coverage, replays the corpora (tests/fuzz/drive.c), and reads llvm-cov's summary.
Each file is judged by all targets together: the row says which of them is made for it."""
import argparse
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = ROOT / "build-cov"
CORPORA = ROOT / "tests" / "fuzz" / "corpus"
LEAST = 90.0
PARSERS = {
    "query": ["store/query.c", "store/query_sql.c", "store/query_bson.c", "store/glob.c", "store/field.c"],
    "records": ["records/query.c", "records/query_db.c", "records/query_result.c", "records/query_purge.c",
                "records/query_resubmit.c", "records/render.c", "records/tasks.c", "records/output.c"],
    "depend": ["router/task_meta.c", "router/depend.c", "router/terms.c"],
    "files": ["config/connection_file.c", "config/cluster_file.c", "config/config_file.c"],
    "registration": ["router/registration.c", "router/registry.c", "router/hub.c", "router/hub_queue.c"],
    "attach": ["router/attach.c", "router/link.c", "router/tasks.c", "router/direct.c", "router/iopub.c"],
    "broadcast": ["router/fanout.c", "router/gather.c", "router/gather_reply.c", "router/sched_broadcast.c",
                  "router/sched_broadcast_replies.c"],
    "options": ["config/options_argv.c", "config/options_json.c", "config/options_value.c"],
    "header": ["wire/session.c", "wire/json.c"],
    "jscan": ["wire/jscan.c", "wire/jvalue.c"],
    "zmtp": ["wire/zmtp.c", "wire/handshake.c", "wire/reading.c", "wire/mech_null.c"],
    "curve": ["wire/mech_curve.c", "wire/curve_box.c", "wire/sealed.c"],
    "rtchannel": ["engine/rtchannel.c"],
    "engine": ["engine/dispatch.c", "engine/requests.c", "engine/recall.c", "engine/registration.c",
               "engine/runtime_says.c", "engine/output.c", "engine/channels_attach.c", "engine/channels_stock.c"],
    "rows": ["store/pickle.c", "store/pack.c", "store/mongo_docs.c"],
}


def build(*targets):
    if subprocess.run(["tools/build.sh", BUILD.name, *targets], cwd=ROOT).returncode:
        sys.exit(1)


def replay(target):
    """The raw profile of a target's corpus."""
    raw = BUILD / "profiles" / f"{target}.profraw"
    done = subprocess.run([BUILD / "tests/fuzz" / f"fuzz_{target}", CORPORA / target],
                          capture_output=True, text=True, errors="replace",  # inputs are in what it says
                          env=dict(os.environ, LLVM_PROFILE_FILE=str(raw)), timeout=300)
    if done.returncode:
        sys.exit(f"coverage: fuzz_{target} failed on its corpus\n{done.stderr[-2000:]}")
    return raw


def run_units():
    """The raw profiles of the unit tests; what they say is for others to judge."""
    pattern = BUILD / "profiles" / "unit-%p-%m.profraw"
    subprocess.run(["meson", "test", "-C", BUILD, "--no-rebuild", "-q", "--suite=unit"], stdout=subprocess.DEVNULL,
                   env=dict(os.environ, LLVM_PROFILE_FILE=str(pattern)), timeout=900)
    return sorted((BUILD / "profiles").glob("unit-*.profraw"))


def percents(raws, programs):
    """{path below src: percent of its lines}; a line counts where one of the programs has reached it."""
    merged = BUILD / "profiles" / "merged.profdata"
    subprocess.run(["llvm-profdata", "merge", "-sparse", "-o", merged, *raws], check=True)
    objects = [arg for p in programs[1:] for arg in ("-object", p)]
    files = [str(ROOT / "src" / f) for row in PARSERS.values() for f in row]
    out = subprocess.run(["llvm-cov", "export", "-summary-only", f"-instr-profile={merged}", programs[0], *objects, *files],
                         check=True, capture_output=True, text=True, cwd=BUILD).stdout
    return {os.path.relpath(f["filename"], ROOT / "src"): f["summary"]["lines"]["percent"]
            for f in json.loads(out)["data"][0]["files"]}


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--units", action="store_true")
    with_units = options.parse_args().units
    build(*() if with_units else ("fuzz-targets",))
    for old in (BUILD / "profiles").glob("*"):
        old.unlink()
    programs = [BUILD / "tests/fuzz" / f"fuzz_{t}" for t in PARSERS]
    raws = [replay(t) for t in PARSERS]
    fuzzed = percents(raws, programs)
    everything = {}
    if with_units:
        tests = sorted(BUILD.glob("src/*/*_test"))
        everything = percents(raws + run_units(), programs + tests)
    failed = []
    print(f"{'target':13} {'file':29} {'corpora':>8}" + (f" {'+ unit':>8}" if with_units else ""))
    for target, files in PARSERS.items():
        for name in files:
            percent = fuzzed.get(name, 0.0)
            mark = "" if percent >= LEAST else "  < 90"
            print(f"{target:13} {name:29} {percent:7.1f}%" + (f" {everything.get(name, 0.0):7.1f}%" if with_units else "") + mark)
            if mark:
                failed.append(name)
    print(f"coverage: {len(failed)} of {sum(map(len, PARSERS.values()))} files below {LEAST:.0f} %")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
