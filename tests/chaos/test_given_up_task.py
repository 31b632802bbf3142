# SPDX-License-Identifier: BSD-3-Clause
"""An engine that is back, and still runs a task that was answered with EngineError when it was taken for dead: nobody
knows for how long, so no task waits behind that while another engine is idle."""
import contextlib
import os
import signal

import ipyparallel as ipp
import pytest
from processes import freeze, wait_until

from trouble import Troubled


@ipp.interactive
def pass_gate(begun, gate):
    import os
    import pathlib
    import time
    pathlib.Path(begun).touch()
    while not pathlib.Path(gate).exists():
        time.sleep(0.01)
    return os.getpid()


@contextlib.contextmanager
def given_up(folder, kind, args, take_for_dead):
    """A client of two engines, the first of which is back and runs what was given up."""
    begun, gate = folder / "begun", folder / "gate"
    with Troubled(folder, [kind], args) as cluster, cluster.client(1) as client:
        _, engine = cluster.current[0]
        first = client.load_balanced_view().apply_async(pass_gate, str(begun), str(gate))
        wait_until(begun.exists, "the first task's begin")
        cluster.start_engine()
        wait_until(lambda: len(client.ids) == 2, "another engine")
        with take_for_dead(engine), pytest.raises(ipp.error.RemoteError):
            first.get(timeout=20)
        wait_until(lambda: len(client.ids) == 2, "its return")
        try:
            yield client
        finally:
            gate.touch()


@contextlib.contextmanager
def cut(engine):
    engine.proxy.cut()
    yield


@contextlib.contextmanager
def stopped(engine):
    freeze(engine.pid)
    yield
    os.kill(engine.pid, signal.SIGCONT)


def expect_served(client):
    view = client.load_balanced_view()
    tasks = [view.apply_async(abs, -n) for n in range(4)]
    assert [t.get(timeout=15) for t in tasks] == [0, 1, 2, 3]


@pytest.mark.parametrize("args", [[], ["--hwm=1"], ["--hwm=0"], ["--TaskScheduler.scheme_name=lru"]], ids=" ".join)
def test_after_a_cut(tmp_path, args):
    with given_up(tmp_path, "cut", args, cut) as client:
        expect_served(client)


@pytest.mark.parametrize("args", [[], ["--hwm=1"]], ids=" ".join)
def test_after_a_stop_beyond_the_verdict(tmp_path, args):
    """Over stock sockets the engine does not know that it was given up."""
    with given_up(tmp_path, "sockets", args, stopped) as client:
        expect_served(client)
