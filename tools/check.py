# SPDX-License-Identifier: BSD-3-Clause
"""Runs the test suites, one after the other, and counts what they say.

    python tools/check.py              everything
    python tools/check.py unit lint    these

Each suite is one row of SUITES: its name, the folders it needs, and the command that runs it. Folders are built one after
the other, in the order in which suites need them, while suites run whose folders are there.
Results are read from the JUnit files that pytest and Meson write, so the last line,
`N passed, N failed, N skipped`, counts single tests. Exit code 1 when anything failed.
"""
import concurrent.futures
import contextlib
import os
import pathlib
import shlex
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field

ROOT = pathlib.Path(__file__).resolve().parents[1]
REPORTS = ROOT / "build" / "reports"
SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:strict_string_checks=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}


@dataclass
class Suite:
    """One row: what is built first, how it is run, with which interpreter and programs."""
    name: str
    builds: tuple = ()
    runner: str = "pytest"
    args: tuple = ()
    python: str = ".venv"
    bindir: str = "build"
    env: dict = field(default_factory=dict)
    timeout_s: int = 900


def meson(folder, *suites):
    return dict(runner="meson", builds=(folder,), bindir=folder, args=tuple(f"--suite={s}" for s in suites))


# For suites that mostly wait: more tests at once than there are processors; LOADSCOPE where what a module shares is dear.
WAITING = ("-n4", "--dist=loadgroup")
LOADSCOPE = ("-n3", "--dist=loadscope")
# First those that need what is built first.
SUITES = [
    Suite("unit", **meson("build", "unit")),
    Suite("lint", builds=("build",), args=("tests/lint",)),
    Suite("runtime", builds=("build",), args=("tests/runtime", *LOADSCOPE)),
    Suite("cluster", builds=("build",), args=("tests/cluster", *WAITING)),
    Suite("store", builds=("build",), args=("tests/store", *WAITING), python=".venv-ref"),
    Suite("chaos", builds=("build",), args=("tests/chaos", "-n2"), python=".venv-ref"),
    Suite("interop-old", builds=("build",), args=("tests/interop", *LOADSCOPE), python=".venv-ref-old"),
    Suite("unit-asan", **meson("build-asan", "unit", "fuzz")),
    Suite("wire-asan", builds=("build-asan",), bindir="build-asan", args=("tests/wire", "-n2")),
    Suite("proto-asan", builds=("build-asan", "build"), bindir="build-asan", args=("tests/proto", *WAITING)),
    Suite("store-asan", builds=("build-asan", "build"), bindir="build-asan", args=("tests/store", *WAITING), python=".venv-ref"),
    Suite("interop-new-asan", builds=("build-asan", "build"), bindir="build-asan", args=("tests/interop", *LOADSCOPE),
          python=".venv-ref"),
    Suite("warnings", builds=("build-clang",), runner="meson", bindir="build-clang", args=("--suite=unit",)),
    Suite("unit-tsan", **meson("build-tsan", "unit")),
]
ON_REQUEST = [  # the matrix runs once a build and once a version of the reference, not each with each
    Suite("interop-new", builds=("build",), args=("tests/interop", *LOADSCOPE), python=".venv-ref"),
    Suite("interop-old-asan", builds=("build-asan", "build"), bindir="build-asan", args=("tests/interop", *LOADSCOPE),
          python=".venv-ref-old"),
    Suite("tidy", builds=("build-clang",), runner="tidy"),
    Suite("chaos-tsan", builds=("build-tsan", "build"), bindir="build-tsan", args=("tests/chaos",), python=".venv-ref", timeout_s=3600),
]


def environment(suite):
    env = dict(os.environ, **SANITIZERS, **suite.env)
    env.update(
        ERSA_BIN=str(ROOT / suite.bindir / "bin"),
        ERSA_BUILD=str(ROOT / suite.bindir),
        ERSA_PYTHON=str(ROOT / ".venv/bin/python"),
        ERSA_PYTHON_DIR=str(ROOT / "build/python"),
        ERSA_REF_PYTHON=str(ROOT / ".venv-ref/bin/python"),
        PYTHONDONTWRITEBYTECODE="1",
    )
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "IPP_PROFILE_DIR", "IPP_CLUSTER_ID"):
        env.pop(name, None)
    return env


def command(suite, report):
    if suite.runner == "meson":
        return ["meson", "test", "-C", suite.bindir, "--no-rebuild", "--print-errorlogs", "-q",
                "--timeout-multiplier=4", *suite.args]  # sanitizers on a slow machine
    if suite.runner == "tidy":
        return ["run-clang-tidy", "-quiet", "-p", suite.builds[0], f"{ROOT}/(src|python/ext|tests)/.*"]
    return [f"{suite.python}/bin/python", "-m", "pytest", "-q", "--tb=short", "-rs",
            "-p", "no:cacheprovider", f"--junitxml={report}", *suite.args]


def count(report):
    """(passed, failed, skipped) of a JUnit file; a file that is missing counts as one failure."""
    try:
        cases = list(ET.parse(report).getroot().iter("testcase"))
    except (OSError, ET.ParseError):
        return 0, 1, 0
    failed = sum(1 for c in cases if c.find("failure") is not None or c.find("error") is not None)
    skipped = sum(1 for c in cases if c.find("skipped") is not None)
    return len(cases) - failed - skipped, failed, skipped


def build(folder):
    """What it had to say, and whether it went well. Suites that run meanwhile go first."""
    done = subprocess.run(["nice", "tools/build.sh", folder], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout, done.returncode == 0


@contextlib.contextmanager
def start_builds(suites):
    """folder -> its build, which is under way or waits for those before it."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=1) as builder:
        builds = {folder: builder.submit(build, folder) for folder in dict.fromkeys(f for s in suites for f in s.builds)}
        try:
            yield builds
        finally:
            builder.shutdown(wait=False, cancel_futures=True)


def is_built(suite, builds):
    results = [builds[folder].result() for folder in suite.builds]
    for said in [said for said, is_well in results if not is_well]:
        print(said, end="", flush=True)
    return all(is_well for _, is_well in results)


def run(suite):
    report = REPORTS / f"{suite.name}.xml"
    report.unlink(missing_ok=True)
    print("   " + shlex.join(command(suite, report)), flush=True)
    try:
        done = subprocess.run(command(suite, report), cwd=ROOT, env=environment(suite), timeout=suite.timeout_s,
                              stdin=subprocess.DEVNULL)
        code = done.returncode
    except subprocess.TimeoutExpired:
        print(f"{suite.name}: not finished after {suite.timeout_s} s")
        return 0, 1, 0
    if suite.runner == "tidy":
        return (1, 0, 0) if code == 0 else (0, 1, 0)
    if suite.runner == "meson":
        report = ROOT / suite.bindir / "meson-logs" / "testlog.junit.xml"
    passed, failed, skipped = count(report)
    return passed, failed + (1 if code and not failed else 0), skipped


def main(names):
    rows = {s.name: s for s in SUITES + ON_REQUEST}
    unknown = [n for n in names if n not in rows]
    if unknown:
        sys.exit(f"check: no suite called {', '.join(unknown)}; there are {', '.join(rows)}")
    REPORTS.mkdir(parents=True, exist_ok=True)
    total = [0, 0, 0]
    lines = []
    suites = [rows[n] for n in names] or SUITES
    with start_builds(suites) as builds:
        for suite in suites:
            print(f"== {suite.name}", flush=True)
            start = time.monotonic()
            is_ready = is_built(suite, builds)
            waited = time.monotonic() - start
            result = run(suite) if is_ready else (0, 1, 0)
            total = [a + b for a, b in zip(total, result)]
            lines.append(f"{suite.name:18s} {time.monotonic() - start:6.1f} s  {result[0]:5d} passed {result[1]:3d} failed"
                         f" {result[2]:3d} skipped" + f"  ({waited:.1f} s for its build)" * (waited > 1))
            print(lines[-1], flush=True)
    print("\n" + "\n".join(lines))
    print("{} passed, {} failed, {} skipped".format(*total), flush=True)
    return 1 if total[1] or not total[0] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
