# SPDX-License-Identifier: BSD-3-Clause
"""Keys about whole clusters: real engines, a stock client, starting up."""
import contextlib
import os
import random
import subprocess
import sys
import tempfile
import time

from measure import BIN, ENGINE_PYTHON, controller, family, key, program, pss_mb, wait_until
from makespan import makespan

import ipyparallel as ipp

ENGINES = 4
CALLS = 2000
ROUNDS = 3
MAP_ROUNDS = 5


def ipcluster(side, verb, profile, *args):
    argv = [os.path.join(BIN, "ipcluster")] if side == "ours" else [sys.executable, "-m", "ipyparallel.cluster"]
    env = dict(os.environ, VIRTUAL_ENV=os.path.dirname(os.path.dirname(ENGINE_PYTHON)))
    subprocess.run([*argv, verb, f"--profile-dir={profile}", *args], check=True, env=env,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@contextlib.contextmanager
def cluster(side):
    """A cluster of ENGINES engines; yields (client, seconds from the command to the last engine's answer)."""
    with tempfile.TemporaryDirectory(prefix="ersa-bench-") as profile:
        start = time.perf_counter()
        ipcluster(side, "start", profile, "-n", str(ENGINES), "--daemonize")
        try:
            file = os.path.join(profile, "security", "ipcontroller-client.json")
            wait_until(lambda: os.path.exists(file), 60, "connection file")
            with ipp.Client(file) as client:
                wait_until(lambda: len(client.ids) == ENGINES, 60, "engines")
                assert client[:].apply_sync(abs, -7) == [7] * ENGINES
                yield client, time.perf_counter() - start
        finally:
            ipcluster(side, "stop", profile)


@key("stock_client_map_vs_ref", 2, "ratio of calls/s", ">=")
def stock_client_map():
    """A stock client's LoadBalancedView.map, 2,000 calls: our controller and engines against all stock. With ours the
    client is the limit: it takes about a millisecond of CPU a call, and its two threads share one lock, so runs differ."""
    def rate(client):
        view = client.load_balanced_view()
        start = time.perf_counter()
        assert view.map_sync(abs, range(-CALLS, 0)) == list(range(CALLS, 0, -1))
        return CALLS / (time.perf_counter() - start)

    with cluster("ours") as (ours, _), cluster("reference") as (reference, _):
        rate(ours)
        return [(rate(ours), rate(reference)) for _ in range(MAP_ROUNDS)], {}


@contextlib.contextmanager
def engines_with(hwm):
    """ENGINES real engines on our controller with that hwm; yields a client."""
    with contextlib.ExitStack() as stack:
        side = stack.enter_context(controller("ours", f"--hwm={hwm}"))
        for _ in range(ENGINES):
            stack.enter_context(program([os.path.join(BIN, "ipengine"), f"--file={side.engine_file}",
                                         f"--python={ENGINE_PYTHON}", "--log-level=ERROR"]))
        client = stack.enter_context(ipp.Client(side.client_file))
        wait_until(lambda: len(client.ids) == ENGINES, 60, "engines")
        yield client


@key("auto_makespan_vs_hwm1", 1.1, "ratio of seconds", "<=")
def makespan_of_mixed_tasks():
    """1 % of tasks take a second and the others 1 ms, 4 real engines: hwm=auto against hwm=1. A run lasts as long as its
    work: 3 s."""
    tasks, short = [0.001] * 792 + [1.0] * 8, [0.001] * 2000
    runs, beside = [], {}
    with engines_with("auto") as automatic, engines_with(1) as one:
        for client in (automatic, one):
            makespan(client, short[:400])
        for seed in range(ROUNDS):
            random.Random(seed).shuffle(tasks)
            runs.append((makespan(automatic, tasks), makespan(one, tasks)))
            beside.setdefault("tasks of 1 ms alone, ratio of seconds", []).append(
                makespan(automatic, short) / makespan(one, short))
    return runs, beside


@key("start4_vs_ref", 0.08, "ratio of seconds", "<=")
def start():
    """`ipcluster start -n 4` until a client has had an answer from each engine."""
    runs = []
    for _ in range(ROUNDS):
        pair = []
        for side in ("ours", "reference"):
            with cluster(side) as (_, seconds):
                pair.append(seconds)
        runs.append(tuple(pair))
    return runs, {}


@key("engine_pss_mb", 24, "MB", "<=")
def engine_memory():
    """An idle Python engine of ours, ipengine and runtime together, neither IPython nor asyncio imported."""
    def grandparent():
        import os
        import sys
        assert not {"IPython", "asyncio"} & set(sys.modules)
        return os.getppid()

    def engine_pids():
        import os
        return os.getpid()

    for function in (grandparent, engine_pids):
        function.__module__ = "__main__"  # goes by value: engines can't import this file

    def mean(pids):
        return sum(map(pss_mb, pids)) / len(pids)

    with cluster("ours") as (ours, _), cluster("reference") as (reference, _):
        mine = [family(pid) for pid in ours[:].apply_sync(grandparent)]
        theirs = [family(pid) for pid in reference[:].apply_sync(engine_pids)]
        time.sleep(1)  # idle is the state measured
        return [(mean(mine), None)], {"reference, engine and nanny": mean(theirs)}
