# SPDX-License-Identifier: BSD-3-Clause
"""Of an engine's eight stock sockets only the one for tasks loses its connection, or holds back what it carries: heart
and query go on."""
import contextlib
import os
import signal

import ipyparallel as ipp
import pytest
from processes import family, wait_until

from proxy import Proxy
from trouble import Troubled


@ipp.interactive
def pass_gate(begun, gate, done):
    import pathlib
    import time
    pathlib.Path(begun).touch()
    while not pathlib.Path(gate).exists():
        time.sleep(0.01)
    pathlib.Path(done).touch()
    return "passed"


def test_a_reply_waits_for_the_connection(tmp_path):
    begun, gate, done = (tmp_path / name for name in ("begun", "gate", "done"))
    with Troubled(tmp_path, ["task"]) as cluster, cluster.client(1) as client:
        _, engine = cluster.current[0]
        task = client.load_balanced_view().apply_async(pass_gate, *map(str, (begun, gate, done)))
        wait_until(begun.exists, "the task's begin")
        engine.proxy.go_away()
        wait_until(lambda: not engine.proxy.pairs, "the end of its connection")
        gate.touch()
        wait_until(done.exists, "its end")
        echo = client[0].apply_async(abs, -1)  # over another connection, behind the reply
        assert echo.get(timeout=30) == 1
        assert not task.ready()
        engine.proxy.come_back()
        assert task.get(timeout=30) == "passed"


@ipp.interactive
def run(path, n, seconds):
    import time
    with open(path, "a") as f:
        f.write(f"{n}\n")
    time.sleep(seconds)
    return n


def end_orderly(client, engine):
    os.kill(engine.pid, signal.SIGTERM)


def kill_runtime(client, engine):
    for pid in family(engine.pid):
        if pid != engine.pid:
            os.kill(pid, signal.SIGKILL)


def shut_down(client, engine):
    client.shutdown(targets=min(client.ids), block=False)


def hold_notes(cluster, client, tmp_path, disabled, hold_s, third_s):
    """An engine whose connection for tasks is held back for so long: it has done two of four tasks and begun the third,
    which takes `third_s`, and another one is idle. The engine, its tasks, and the file of those that ran."""
    begun, gate, done, ran = (tmp_path / name for name in ("begun", "gate", "done", "ran"))
    engine = cluster.start_through(disabled, task=Proxy)
    wait_until(lambda: client.ids, "its registration")
    view = client.load_balanced_view()
    tasks = [view.apply_async(pass_gate, *map(str, (begun, gate, done)))]
    wait_until(begun.exists, "the first task's begin")
    tasks += [view.apply_async(run, str(ran), n, seconds) for n, seconds in ((1, 0.2), (2, third_s), (3, 0))]
    cluster.start_engine()
    wait_until(lambda: len(client.ids) == 2, "another engine")
    engine.proxy.hold(hold_s)
    gate.touch()
    wait_until(lambda: ran.exists() and "2" in ran.read_text().split(), "the third task's begin")
    return engine, tasks, ran


@pytest.mark.parametrize("end, disabled", [
    (kill_runtime, "attach"), (end_orderly, "attach"), (end_orderly, "attach,death_cause"), (shut_down, "attach")])
def test_a_goodbye_overtakes_what_the_connection_holds(tmp_path, end, disabled):
    """The engine, or its supervisor, tells of the end by another connection, when notes and replies are still on their
    way by that for tasks."""
    with Troubled(tmp_path, [], ["--hwm=0", "--HeartMonitor.max_heartmonitor_misses=40"]) as cluster, \
            cluster.client(0) as client:
        engine, tasks, ran = hold_notes(cluster, client, tmp_path, disabled, 4, 1)
        end(client, engine)
        for task in tasks:
            with contextlib.suppress(ipp.error.RemoteError):
                task.get(timeout=30)
        assert sorted(ran.read_text().split()) == ["1", "2", "3"]


def test_a_killed_engine_whose_connection_breaks(tmp_path):
    """A tunnel in front of it alone has its last notes, and resets it."""
    with Troubled(tmp_path, [], ["--hwm=0", "--HeartMonitor.period=3000"]) as cluster, cluster.client(0) as client:
        engine, tasks, ran = hold_notes(cluster, client, tmp_path, "attach", 3, 60)  # the third is there to the end, however slow the machine
        os.kill(engine.pid, signal.SIGKILL)
        engine.proxy.cut()
        for task in tasks:
            with contextlib.suppress(ipp.error.RemoteError):
                task.get(timeout=30)
        assert sorted(ran.read_text().split()) == ["1", "2"]  # nobody knows that the last one has not begun
