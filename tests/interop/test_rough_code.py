# SPDX-License-Identifier: BSD-3-Clause
"""User code that would take a stock engine down, or make it look dead: ours goes on or says why not."""
import pytest

import ipyparallel as ipp
import functions as f
from clusters import HEART_PERIOD_MS

pytestmark = pytest.mark.ours("engines")


@pytest.fixture
def hasty(tmp_path, cell):
    """A cluster in which three silent heartbeats are a death."""
    from clusters import Cluster
    args = ["--HeartMonitor.max_heartmonitor_misses=2"]
    with Cluster(cell, tmp_path, 1, args) as cluster, cluster.client() as client:
        yield client


def test_code_that_holds_the_interpreter_lock(hasty):
    @f.by_value
    def hold(seconds):
        import ctypes
        ctypes.PyDLL(None).usleep(int(seconds * 1e6))  # PyDLL keeps the lock
        return "held"

    engine = hasty.ids[0]
    assert hasty[engine].apply_async(hold, 5 * HEART_PERIOD_MS / 1000).get(60) == "held"
    assert hasty.ids == [engine]
    assert hasty[engine].apply_sync(f.add, 1) == 2


def test_forks(client):
    @f.by_value
    def fork():
        import os
        pid = os.fork()
        if pid == 0:
            print("the child", flush=True)
            os._exit(0)
        os.waitpid(pid, 0)
        return "parent"

    @f.by_value
    def pool():
        import multiprocessing
        with multiprocessing.get_context("fork").Pool(2) as workers:
            return workers.map(abs, range(-10, 0))

    engine = client[client.ids[0]]
    result = engine.apply_async(fork)
    assert result.get(30) == "parent"
    result.wait_for_output(30)
    assert result.stdout == "the child\n"
    assert engine.apply_sync(pool) == list(range(10, 0, -1))
    assert engine.apply_sync(f.add, 1) == 2


def test_child_that_outlives_its_task_and_prints(client):
    @f.by_value
    def leave_a_child():
        import os
        import time
        if os.fork() == 0:
            time.sleep(0.3)
            print("late", flush=True)
            os._exit(0)
        return "left"

    engine = client[client.ids[0]]
    assert engine.apply_sync(leave_a_child) == "left"
    assert engine.apply_sync(f.nap, 0.6, 5) == 5


def test_code_that_closes_descriptors(client):
    @f.by_value
    def close_all():
        import os
        os.closerange(3, 256)
        return "closed"

    engine = client[client.ids[0]]
    assert engine.apply_async(close_all).get(30) == "closed"
    assert engine.apply_sync(f.add, 1) == 2


def test_code_that_closes_stdout(client):
    @f.by_value
    def close_output():
        import os
        import sys
        sys.stdout.flush()
        os.close(1)
        os.open("/dev/null", os.O_WRONLY)
        return "closed"

    engine = client[client.ids[-1]]
    assert engine.apply_async(close_output).get(30) == "closed"
    assert engine.apply_sync(f.add, 1) == 2


@pytest.mark.parametrize("how, cause", [
    ("import os; os._exit(3)", "exit code 3"),
    ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
    ("import os; os.abort()", "SIGABRT"),
    ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "SIGKILL"),
    ("import ctypes, os; ctypes.CDLL(None).close(max(map(int, os.listdir('/proc/self/fd'))))",
     "user code closed the descriptor of its channel to the engine"),
])
def test_code_that_ends_the_process(own_cluster, how, cause):
    with own_cluster.client() as client:
        engine = client.ids[0]
        with pytest.raises((ipp.error.EngineError, ipp.RemoteError)):
            client[engine].apply_async(f.by_value(lambda text: exec(text)), how).get(30)
        assert client[client.ids[-1]].apply_sync(f.add, 1) == 2
        ended = next(e for e in own_cluster.engines if cause in e.output())
        ended.wait(10)


def test_code_that_empties_the_modules(client):
    @f.by_value
    def empty():
        import sys
        sys.modules.clear()
        return "emptied"

    engine = client[client.ids[0]]
    assert engine.apply_async(empty).get(30) == "emptied"
    assert engine.apply_sync(f.add, 1) == 2


def test_print_of_what_is_no_text(client):
    @f.by_value
    def octets():
        import os
        os.write(1, b"\xff\xfe " + "ü".encode()[:1])
        os.write(1, "ü".encode()[1:] + b"\n")

    result = client[client.ids[0]].apply_async(octets)
    result.get(30)
    result.wait_for_output(30)
    assert result.stdout == "\ufffd\ufffd ü\n"


def test_much_output(client):
    @f.by_value
    def flood():
        import os
        for _ in range(200):
            os.write(1, b"x" * 9999 + b"\n")

    result = client[client.ids[0]].apply_async(flood)
    result.get(60)
    result.wait_for_output(60)
    assert len(result.stdout) == 200 * 10000


def test_exception_that_can_not_be_shown(client):
    @f.by_value
    def raise_it():
        class Odd(Exception):
            def __str__(self):
                raise RuntimeError("no")

        raise Odd()

    with pytest.raises(ipp.RemoteError) as error:
        client[client.ids[0]].apply_async(raise_it).get(30)
    assert error.value.ename == "Odd"


def test_result_that_can_not_be_pickled(client):
    @f.by_value
    def lock():
        import threading
        return threading.Lock()

    with pytest.raises(ipp.RemoteError) as error:
        client[client.ids[0]].apply_async(lock).get(30)
    assert error.value.ename == "TypeError"


def test_system_exit_and_keyboard_interrupt_are_errors(client):
    for name in ("SystemExit", "KeyboardInterrupt"):
        with pytest.raises(ipp.RemoteError) as error:
            client[client.ids[0]].apply_async(f.by_value(lambda n: exec(f"raise {n}")), name).get(30)
        assert error.value.ename == name
