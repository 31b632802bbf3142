# SPDX-License-Identifier: BSD-3-Clause
"""Engines that die, leave, come late; a cluster that is shut down."""
import os
import signal
import threading
import time

import pytest

import ipyparallel as ipp
import functions as f
from processes import freeze, wait_until


def kill_while_it_works(cluster, client, view, started):
    """Runs a task through `view`, and kills the process in which it runs. Returns the result object."""
    pids = {i: client[i].apply_sync(f.pid) for i in client.ids}
    result = view.apply_async(f.touch_and_wait, str(started), 60)
    wait_until(started.exists, "the task's start")
    pid = int(started.read_text())  # the reference's hub hears of tasks late
    os.kill(pid, signal.SIGKILL)
    return next(i for i in pids if pids[i] == pid), result


def expect_engine_error(result):
    with pytest.raises((ipp.error.EngineError, ipp.RemoteError)) as error:
        result.get(40)
    assert isinstance(error.value, ipp.error.EngineError) or error.value.ename == "EngineError"


def test_engine_killed_on_a_direct_view(own_cluster, tmp_path):
    with own_cluster.client() as client:
        view = client[client.ids[0]]
        dead, result = kill_while_it_works(own_cluster, client, view, tmp_path / "started")
        expect_engine_error(result)
        wait_until(lambda: dead not in client.ids, "end of the engine's registration")
        assert client[:].apply_sync(f.add, 1) == [2]


def test_engine_killed_on_a_load_balanced_view(own_cluster, tmp_path):
    with own_cluster.client() as client:
        view = client.load_balanced_view()
        dead, result = kill_while_it_works(own_cluster, client, view, tmp_path / "started")
        waiting = [view.apply_async(f.square, i) for i in range(20)]
        expect_engine_error(result)
        assert [r.get(60) for r in waiting] == [i * i for i in range(20)]
        assert dead not in client.ids


def test_task_with_retries_survives_its_engine(own_cluster, tmp_path):
    @f.by_value
    def first_time_die(path):
        import os
        import signal
        import time
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return "second time"
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(30)

    with own_cluster.client() as client:
        view = client.load_balanced_view()
        view.retries = 1
        assert view.apply_async(first_time_die, str(tmp_path / "once")).get(60) == "second time"


def test_engine_that_exits_by_itself(own_cluster):
    @f.by_value
    def leave():
        import os
        os._exit(7)

    with own_cluster.client() as client:
        expect_engine_error(client[client.ids[0]].apply_async(leave))


def end_of(call):
    """Starts `call`; what waits for its end, and tells what it raised."""
    raised = []

    def run():
        try:
            call()
        except ipp.RemoteError as e:
            raised.append(e.ename)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def end():
        thread.join(40)
        assert not thread.is_alive(), "it waits for ever"
        return raised
    return end


@pytest.mark.ours("controller")
@pytest.mark.parametrize("request_type", ["abort", "clear", "shutdown"])
def test_control_request_to_an_engine_that_is_killed(own_cluster, request_type):
    with own_cluster.client() as client:
        stopped = client.ids[0]
        code = client[stopped].apply_sync(f.pid)
        engine = next(e.pid for e in own_cluster.engines if code in e.family())
        freeze(engine)
        calls = {
            "abort": lambda: client.abort(["a task"], targets=stopped, block=True),
            "clear": lambda: client.clear(targets=stopped, block=True),
            "shutdown": lambda: client.shutdown(targets=stopped, block=True),
        }
        end = end_of(calls[request_type])
        time.sleep(0.5)  # it is under way
        os.kill(engine, signal.SIGKILL)
        raised = end()
        # One of ours that has not read it is cut off: nobody knows. The reference's nanny says that it has ended.
        assert raised == ([] if request_type == "shutdown" and own_cluster.engine_kind == "reference" else ["EngineError"])
        wait_until(lambda: stopped not in client.ids, "end of the engine's registration")
        client.clear(block=True)
        client.shutdown(block=True)


def test_engine_added_later(own_cluster):
    with own_cluster.client() as client:
        own_cluster.start_engine()
        wait_until(lambda: len(client.ids) == 3, lambda: f"third engine\n{own_cluster.logs()}")
        assert client[:].apply_sync(f.add, 1) == [2] * 3


def test_shutdown_of_one_engine(own_cluster):
    with own_cluster.client() as client:
        gone = client.ids[0]
        client.shutdown(targets=[gone], block=True)
        wait_until(lambda: gone not in client.ids, "end of the engine's registration")
        wait_until(lambda: sum(e.is_running() for e in own_cluster.engines) == 1, "end of the engine's process")
        assert client[:].apply_sync(f.add, 1) == [2]


def test_shutdown_of_all(own_cluster):
    with own_cluster.client() as client:
        client.shutdown(hub=True, block=True)
    for program in own_cluster.programs():
        code = program.wait(30)
        assert code == 0 or not own_cluster.is_ours(program), program.output()
    assert not os.path.exists(own_cluster.client_file)


@pytest.mark.ours("controller")
def test_sigterm_of_the_controller_is_clean(own_cluster):
    start = time.monotonic()
    own_cluster.controller.process.terminate()
    assert own_cluster.controller.wait() == 0, own_cluster.controller.output()
    assert time.monotonic() - start < 30
    assert not os.path.exists(own_cluster.client_file)
