# SPDX-License-Identifier: BSD-3-Clause
"""What every key of the benchmark needs: the table of keys, reading the clocks and the memory of
processes, starting and stopping the programs that are compared."""
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from typing import Callable

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))

from processes import family  # noqa: E402

BUILD = os.path.join(ROOT, os.environ.get("ERSA_BENCH_BUILD", "build-bench"))
BIN = os.path.join(BUILD, "bin")
TOOLS = os.path.join(BUILD, "tests", "bench")
ENGINE_PYTHON = os.path.join(ROOT, ".venv", "bin", "python")
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Key:
    function: Callable
    reach: float
    unit: str
    relation: str  # ">=" or "<="


KEYS = {}


class Void(Exception):
    """The machine was too busy to compare; nothing is said about either side."""


def key(name, reach, unit, relation):
    """Registers a function as a key. It returns (runs, beside): runs is a list of (ours, rival), rival None
    where the figure is absolute; beside maps a label to what was measured along the way."""
    def register(function):
        KEYS[name] = Key(function, reach, unit, relation)
        return function
    return register


def run_key(name):
    row = KEYS[name]
    start = time.monotonic()
    runs, beside = row.function()
    values = [ours / rival if rival is not None else ours for ours, rival in runs]
    value = statistics.median(values)
    rivals = [rival for _, rival in runs if rival is not None]
    return {
        "ours": statistics.median(ours for ours, _ in runs),
        "rival": statistics.median(rivals) if rivals else None,
        "value": value, "reach": row.reach, "unit": row.unit,
        "reached": value >= row.reach if row.relation == ">=" else value <= row.reach,
        "runs": runs, "beside": beside, "seconds": time.monotonic() - start,
    }


# ---- processes ---------------------------------------------------------------------------------

def cpu_seconds(pids):
    """User and system time of the processes so far, from the scheduler's own account where it has one."""
    total = 0.0
    for pid in pids:
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/stat") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            total += (int(fields[11]) + int(fields[12])) / TICKS
    return total


def pss_mb(pids):
    """Proportional set size of the processes together, in MB (10^6 octets)."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup") as f:
            total += sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))
    return total * 1024 / 1e6


def rss_bytes(pids):
    """Resident memory of the processes, shared pages in each."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup") as f:
            total += sum(int(line.split()[1]) for line in f if line.startswith("Rss:"))
    return total * 1024


def settled_rss_bytes(pids, seconds=15):
    """Resident memory when it has not changed for two and a half seconds: a burst's memory is
    given back after a second of quiet, by the clock of a tick a second."""
    deadline, last, since = time.monotonic() + seconds, rss_bytes(pids), time.monotonic()
    while time.monotonic() - since < 2.5 and time.monotonic() < deadline:
        time.sleep(0.1)
        now = rss_bytes(pids)
        if abs(now - last) > 1 << 18:
            last, since = now, time.monotonic()
    return rss_bytes(pids)


def peak_mb(pids):
    """Sum of the processes' resident high-water marks in MB (shared pages count in each)."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError), open(f"/proc/{pid}/status") as f:
            total += sum(int(line.split()[1]) for line in f if line.startswith("VmHWM:"))
    return total * 1024 / 1e6


def wait_until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.002)
    return value


@contextlib.contextmanager
def program(argv, **kw):
    """A program in a session of its own, ended with everything that it started."""
    with tempfile.TemporaryFile() as log:
        p = subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True, **kw)
        try:
            yield p
        finally:
            everyone = family(p.pid)
            p.terminate()
            try:
                p.wait(10)
            except subprocess.TimeoutExpired:
                pass
            for pid in everyone:
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            p.wait()


@dataclass
class Side:
    """A controller to measure: its process family and connection files."""
    name: str
    pid: int
    client_file: str
    engine_file: str

    @property
    def pids(self):
        return family(self.pid)


@contextlib.contextmanager
def controller(name, *args):
    """`ours` or `reference`, started in a profile directory of its own."""
    with tempfile.TemporaryDirectory(prefix="ersa-bench-") as profile:
        argv = ([os.path.join(BIN, "ipcontroller")] if name == "ours"
                else [sys.executable, "-m", "ipyparallel.controller"])
        with program([*argv, f"--profile-dir={profile}", "--log-level=ERROR", *args]) as p:
            files = [os.path.join(profile, "security", f"ipcontroller-{side}.json") for side in ("client", "engine")]
            wait_until(lambda: all(map(os.path.exists, files)), 30, f"connection files of the {name} controller")
            yield Side(name, p.pid, *files)


@contextlib.contextmanager
def broker(iopub):
    """The bare libzmq broker, with connection files of the same form."""
    with tempfile.TemporaryDirectory(prefix="ersa-bench-") as folder:
        p = subprocess.Popen([os.path.join(TOOLS, "broker"), *(["--iopub"] if iopub else [])],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        ports = json.loads(p.stdout.readline())
        common = {"interface": "tcp://127.0.0.1", "key": "86a3d698-2d5a709829f830b446ba5572", "broker": True}
        files = [os.path.join(folder, "client.json"), os.path.join(folder, "engine.json")]
        with open(files[0], "w") as f:
            json.dump(dict(common, mux=ports["client"], iopub=ports["iopub_client"]), f)
        with open(files[1], "w") as f:
            json.dump(dict(common, mux=ports["engine"], iopub=ports["iopub_engine"]), f)
        try:
            yield Side("broker", p.pid, *files)
        finally:
            p.stdin.close()
            p.wait(10)


@contextlib.contextmanager
def generator(side, tasks, *args):
    """The load generator, connected and waiting for a line on its standard input."""
    argv = [os.path.join(TOOLS, "loadgen"), side.client_file, side.engine_file, f"--tasks={tasks}", *args]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as p:
        try:
            if p.stdout.readline().strip() != "ready":
                raise RuntimeError(f"load generator could not reach the {side.name}")
            yield p
        finally:
            p.kill()


def checked(side, tasks, out):
    figures = json.loads(out)
    if figures["wrong"] or figures["tasks"] != tasks:
        raise RuntimeError(f"{side.name}: {figures}")
    return figures


def load(side, tasks, *args):
    """One run of the load generator against a side. Returns its figures (`generator_us`: its own CPU a task,
    engines and clients together) plus `cpu_us` a task and `peak_mb` of the side."""
    with generator(side, tasks, *args) as p:
        pids = side.pids
        before = cpu_seconds(pids)
        out, _ = p.communicate("go\n", timeout=120)
        after = cpu_seconds(pids)
    figures = checked(side, tasks, out)
    figures["cpu_us"] = (after - before) / tasks * 1e6
    figures["peak_mb"] = peak_mb(pids)
    return figures


@contextlib.contextmanager
def waiting(side, tasks):
    """So many tasks wait at a controller that has no engines, and their client stays until the end. Yields
    the octets of their frames."""
    with generator(side, tasks, "--engines=0", "--hold") as p:
        p.stdin.write("go\n")
        p.stdin.flush()
        yield checked(side, tasks, p.stdout.readline())["own_bytes"]
