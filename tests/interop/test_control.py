# SPDX-License-Identifier: BSD-3-Clause
"""Abort, interrupt, queues, queries: what a client does beside running code."""
import signal
import time

import pytest

import ipyparallel as ipp
import functions as f
from processes import wait_until

QUEUED = 5000
QUEUED_OLD = 1000  # an engine of ipyparallel 8 on ipykernel 6 takes time by the square: five minutes for 5,000


def is_old(cluster):
    """An engine of ipyparallel 8: it reads control between tasks only."""
    return cluster.engine_kind == "reference" and ipp.version_info[0] < 9


@pytest.fixture
def held(shared_cluster, client, tmp_path):
    """Engines are busy; the results of that, and what lets them go on."""
    # Old engines hear of an abort when the task is done, and so does who waits for the answer.
    seconds = 1 if is_old(shared_cluster) else 60
    started = [tmp_path / f"started-{i}" for i in client.ids]
    gate = tmp_path / "gate"

    def hold(view, paths):
        running = [view.apply_async(f.hold, str(path), str(gate), "held", seconds) for path in paths]
        if not is_old(shared_cluster):
            wait_until(lambda: all(path.exists() for path in paths), "the tasks' start")
        return running

    hold.started, hold.go_on = started, gate.touch
    yield hold
    gate.touch()


def test_abort_on_a_direct_view(client, held):
    view = client[client.ids[0]]
    running, = held(view, held.started[:1])
    waiting = [view.apply_async(f.add, i) for i in range(5)]
    client.abort(waiting[1:4], targets=client.ids[0], block=True)
    held.go_on()
    assert running.get(30) == "held"
    assert waiting[0].get(30) == 1 and waiting[4].get(30) == 5
    for result in waiting[1:4]:
        with pytest.raises(ipp.error.TaskAborted):
            result.get(30)


def test_abort_of_load_balanced_tasks(client, held):
    view = client.load_balanced_view()
    running = held(view, held.started)
    waiting = [view.apply_async(f.add, i) for i in range(20)]
    client.abort(waiting, block=True)
    held.go_on()
    assert [r.get(30) for r in running] == ["held"] * len(client)
    ends = []
    for result in waiting:
        try:
            ends.append(result.get(30))
        except ipp.error.TaskAborted:
            ends.append("aborted")
    assert ends.count("aborted") == len(waiting)
    assert view.apply_sync(f.add, 1) == 2


def test_interrupt(client, tmp_path):
    started = tmp_path / "started"
    view = client[client.ids[0]]
    result = view.apply_async(f.touch_and_wait, str(started), 50)
    wait_until(started.exists, "the task's start")
    start = time.monotonic()
    client.send_signal(signal.SIGINT, targets=client.ids[0], block=True)
    with pytest.raises(ipp.RemoteError) as error:
        result.get(60)
    assert error.value.ename == "KeyboardInterrupt"
    assert time.monotonic() - start < 25
    assert view.apply_sync(f.add, 1) == 2


def test_interrupt_of_an_idle_engine_changes_nothing(client):
    client.send_signal(signal.SIGINT, targets=client.ids, block=True)
    assert client[:].apply_sync(f.add, 1) == [2] * len(client)


def test_many_requests_on_one_busy_engine(shared_cluster, client):
    n = QUEUED_OLD if is_old(shared_cluster) else QUEUED
    view = client[client.ids[0]]
    running = view.apply_async(f.nap, 1)
    results = [view.apply_async(f.add, i) for i in range(n)]
    running.get(30)
    assert [r.get(120) for r in results] == [i + 1 for i in range(n)]


def test_queue_status(shared_cluster, client, tmp_path):
    started = tmp_path / "started"
    view = client[client.ids[0]]
    # The reference's hub hears of requests through its relay, in their order and late: once it knows a request of
    # now, it knows all of the tests before.
    probe = view.apply_async(f.add, 1)
    probe.get(30)
    wait_until(lambda: probe.msg_ids[0] in client.hub_history(), "the hub's notice of a request", 30)
    wait_until(lambda: client.queue_status(client.ids[0])["queue"] == 0, "an empty queue", 30)
    gate = tmp_path / "gate"
    running = view.apply_async(f.hold, str(started), str(gate))
    waiting = view.apply_async(f.add, 1)
    wait_until(started.exists, "the task's start")
    both = running.msg_ids + waiting.msg_ids
    wait_until(lambda: client.queue_status(client.ids[0], verbose=True)["queue"] == both, "two requests in the queue", 30)
    assert client.queue_status(client.ids[0])["queue"] == 2
    gate.touch()
    waiting.get(30)
    wait_until(lambda: client.queue_status(client.ids[0])["queue"] == 0, "an empty queue", 30)


def test_results_by_id_for_another_client(shared_cluster, client):
    direct = client[:].apply_async(f.add, 5)
    balanced = client.load_balanced_view().map_async(f.square, range(4))
    direct.get(30), balanced.get(30)
    with shared_cluster.client() as other:
        assert other.get_result(direct.msg_ids, owner=False).get(30) == [6] * len(client)
        assert other.get_result(balanced.msg_ids, owner=False).get(30) is not None
        assert set(direct.msg_ids) <= set(other.hub_history())


def test_clear(client):
    view = client[:]
    view.push({"left": 1}, block=True)
    client.clear(block=True)
    with pytest.raises(ipp.CompositeError):
        view.pull("left", block=True)


def test_two_clients_get_their_own_results(shared_cluster, client):
    with shared_cluster.client() as other:
        mine = client.load_balanced_view().map_async(f.square, range(100))
        theirs = other.load_balanced_view().map_async(f.add, range(100))
        assert mine.get(30) == [x * x for x in range(100)]
        assert theirs.get(30) == [x + 1 for x in range(100)]
