# SPDX-License-Identifier: BSD-3-Clause
"""Engines die, sleep, wake and lose their connections under load, and yet each task ends in exactly one of result,
error or engine-lost, and nothing runs twice unless it had retries. Judged by files that the tasks write.

ERSA_CHAOS_S: seconds a configuration; ERSA_CHAOS_SEED: to repeat a run (it is printed; the machine's timing isn't in
it). `make soak S=300 K=zoo` is the long form."""
import os
import signal
import time

import pytest
from processes import wait_until

from load import RawLoad, StockLoad
from trouble import Trouble, Troubled
from verdict import judge, tally

SECONDS = float(os.environ.get("ERSA_CHAOS_S", "3"))
SEED = os.environ.get("ERSA_CHAOS_SEED") or str(time.time_ns() % 1_000_000)
KINDS = os.environ.get("ERSA_CHAOS_KINDS", "").split()
SETTLE_S = 60
# Engines, arguments of the controller.
CONFIGS = {
    "zoo": (["ours", "ours", "cut", "reference"], ["--hwm=auto"]),
    "auto": (["ours", "ours", "cut"], ["--hwm=auto"]),
    "hwm1": (["ours", "cut", "sockets"], ["--hwm=1"]),
    "hwm0": (["ours", "cut", "sockets"], ["--hwm=0"]),
    "sockets": (["sockets", "hub", "reference"], ["--hwm=auto"]),
}


def settle(loads):
    """Whether all is answered."""
    deadline = time.monotonic() + SETTLE_S
    for load in loads:
        load.finish(deadline)
    return all(t.outcomes for load in loads for t in load.tasks)


@pytest.mark.parametrize("name", KINDS or CONFIGS)
def test_nothing_is_lost_and_nothing_runs_twice(name, tmp_path, capfd):
    kinds, args = CONFIGS[name]
    path = tmp_path / "lines"
    print(f"seed {SEED}")
    with Troubled(tmp_path, kinds, args) as cluster:
        loads = [StockLoad("a", SEED, path, cluster.client_file), StockLoad("b", SEED, path, cluster.client_file),
                 RawLoad("r", SEED, path, cluster.client_file)]
        wait_until(lambda: len(loads[0].client.ids) >= len(kinds), lambda: f"engines\n{cluster.logs()}")
        trouble = Trouble(cluster, SEED)
        for thread in (*loads, trouble):
            thread.start()
        time.sleep(SECONDS)
        trouble.finish()
        is_settled = settle(loads)
        wrong = judge([t for load in loads for t in load.tasks], path)
        with capfd.disabled():
            print(f"\n{name}, seed {SEED}: {tally([t for load in loads for t in load.tasks], path)}; "
                  + ", ".join(f"{n} {what}" for what, n in sorted(trouble.counts.items())))
        (tmp_path / "trouble").write_text("\n".join(trouble.log))
        if not is_settled:
            (tmp_path / "open").write_text("\n".join(line for load in loads[:2] for line in load.open_tasks()))
        if is_settled:
            for load in loads:
                load.close()
    assert not wrong, "\n".join(wrong[:20]) + f"\n{len(wrong)} of them; {tmp_path}"
    assert all(load.tasks for load in loads)


def start_loads(names, path, cluster):
    """A raw and a stock one, running."""
    loads = [kind(name, SEED, path, cluster.client_file) for kind, name in zip((RawLoad, StockLoad), names)]
    wait_until(lambda: len(loads[1].client.ids) == len(cluster.kinds), lambda: f"engines\n{cluster.logs()}")
    for load in loads:
        load.start()
    return loads, dict(loads[1].client._engines)


def test_controller_is_killed_and_restored(tmp_path, capfd):
    """Engines go on under their ids, and no task runs twice. What was under way is owed no answer: the controller that
    knew of it is gone; all that comes later is (controller.md 11.3)."""
    path = tmp_path / "lines"
    with Troubled(tmp_path, ["ours", "cut", "sockets", "hub"], ["--hwm=auto", "--restore"]) as cluster:
        engines, loads = None, []
        for names in (("r0", "a0"), ("r1", "a1"), ("r2", "a2")):
            pair, seen = start_loads(names, path, cluster)
            loads += pair
            assert seen == (engines or seen)
            engines = seen
            time.sleep(SECONDS / 3)
            if names[0] != "r2":
                cluster.controller.process.send_signal(signal.SIGKILL)
                cluster.controller.wait()
                cluster.start_controller()
                for load in pair:
                    load.abandon()
        is_settled = settle(loads[-2:])
        tasks = [t for load in loads for t in load.tasks]
        wrong = judge(tasks, path)
        with capfd.disabled():
            print(f"\nrestored twice, seed {SEED}: {tally(tasks, path)}, {sum(not t.outcomes for t in tasks)} open")
        assert all(e.is_running() for e in cluster.engines)
        if is_settled:
            for load in loads:
                load.close()
    assert is_settled and not wrong, "\n".join(wrong[:20]) + f"\n{len(wrong)} of them; {tmp_path}"
    assert all(t.outcomes for load in loads[-2:] for t in load.tasks)
    assert all(load.tasks for load in loads)
