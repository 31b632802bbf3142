# SPDX-License-Identifier: BSD-3-Clause
"""Stock `BroadcastView`s, coalescing and not, in trees of every depth. The reference's own controller labels
coalesced results rightly at depth 1 only."""
import os
import signal

import ipyparallel as ipp
import numpy as np
import pytest

import functions as f
from clusters import Cluster
from conftest import CELLS
from processes import wait_until

N = 4
DEPTHS = {"ours-ours": (0, 1, 2, 3), "ours-reference": (0, 3), "reference-ours": (1,), "reference-reference": (1,)}


def pytest_generate_tests(metafunc):
    if "place" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("ours")
        place = {"controller": 0, "engines": 1}
        cells = [c for c in CELLS if not marker or c.split("-")[place[marker.args[0]]] == "ours"]
        places = [(cell, depth) for cell in cells for depth in DEPTHS[cell]]
        metafunc.parametrize("place", places, scope="module", ids=[f"{cell}-depth{depth}" for cell, depth in places])


def tree_of(place, folder, engines):
    cell, depth = place
    return Cluster(cell, folder, engines, controller_args=[f"--IPController.broadcast_scheduler_depth={depth}"])


@pytest.fixture(scope="module")
def tree(place, tmp_path_factory):
    with tree_of(place, tmp_path_factory.mktemp("tree"), N) as cluster:
        yield cluster


@pytest.fixture
def client(tree):
    with tree.client() as client:
        yield client


@pytest.fixture(params=[False, True], ids=["plain", "coalescing"])
def view(request, client):
    return client.broadcast_view(is_coalescing=request.param)


@pytest.fixture
def ranks(client):
    """Each engine knows its id as `rank`."""
    for i in client.ids:
        client[i].push({"rank": i}, block=True)
    return client.ids


def test_apply(view):
    assert view.apply_sync(f.add, 2, b=5) == [7] * N
    result = view.apply_async(f.square, 12)
    assert result.get(30) == [144] * N
    assert sorted(result.engine_id) == sorted(view.client.ids)


def test_results_belong_to_their_engines(client, ranks, tree):
    uuids = {i: client._engines[i] for i in ranks}
    for coalescing in (False, True):
        for targets in (ranks, ranks[::-1], ranks[1:], ranks[::2], ranks[::-2], ranks[:1]):
            view = client.broadcast_view(targets, is_coalescing=coalescing)
            result = view.apply_async(f.by_value(lambda r: r), ipp.Reference("rank"))
            got = result.get(30)
            assert got == list(result.engine_id)
            assert list(result.engine_uuid) == [uuids[i] for i in got]
            assert sorted(got) == sorted(targets)
            if tree.controller_kind == "ours" or not coalescing:
                assert got == targets


def test_slow_engines_first(client, ranks):
    """Who answers last has no say in whose result is whose."""
    view = client.broadcast_view(is_coalescing=True)
    slow = f.by_value(lambda r, last: __import__("time").sleep((last - r) * 0.1) or r)
    result = view.apply_async(slow, ipp.Reference("rank"), max(ranks))
    assert result.get(30) == list(result.engine_id)


def test_push_pull_items(view, ranks):
    view.push({"a": 7, "b": "text"}, block=True)
    assert view.pull(("a", "b"), block=True) == [[7, "text"]] * N
    view["c"] = [1, 2]
    assert view["c"] == [[1, 2]] * N
    assert sorted(view["rank"]) == sorted(ranks)
    view.execute("del a, b, c", block=True)
    with pytest.raises((ipp.RemoteError, ipp.CompositeError)):
        view.pull("a", block=True)


def test_scatter_gather_execute_map(view):
    view.scatter("part", list(range(10)), block=True)
    view.execute("part = [x * 2 for x in part]", block=True)
    assert view.gather("part", block=True) == [2 * x for x in range(10)]
    view.execute("del part", block=True)
    if ipp.version_info >= (8, 8):
        assert view.map_sync(f.square, range(40)) == [x * x for x in range(40)]


def test_execute_prints(client):
    view = client.broadcast_view()
    result = view.execute("print('here')", silent=False, block=False)
    result.get(30)
    result.wait_for_output(30)
    assert [text.strip() for text in result.stdout] == ["here"] * N


def test_arrays(view):
    array = np.arange(1_000_000, dtype=float)
    for back in view.apply_sync(f.by_value(lambda a: a[::-1]), array):
        assert np.array_equal(back, array[::-1])


def test_exception_everywhere(view):
    with pytest.raises((ipp.RemoteError, ipp.CompositeError)) as error:
        view.apply_sync(f.divide, 1, 0)
    if isinstance(error.value, ipp.CompositeError):
        assert len(error.value.elist) == N and error.value.elist[0][0] == "ZeroDivisionError"
    else:
        assert error.value.ename == "ZeroDivisionError"
    assert view.apply_sync(f.add, 1) == [2] * N


def test_exception_of_one_engine(client, ranks):
    plain = client.broadcast_view()
    result = plain.apply_async(f.by_value(lambda r, bad: 1 // (r - bad)), ipp.Reference("rank"), ranks[1])
    with pytest.raises(ipp.CompositeError) as error:
        result.get(30)
    assert [e[0] for e in error.value.elist] == ["ZeroDivisionError"]
    assert [status for status in result.status] == ["error" if i == ranks[1] else "ok" for i in ranks]


@pytest.mark.ours("controller")
def test_coalesced_exception_of_one_engine_tells(client, ranks):
    """Also when the others answer after it."""
    view = client.broadcast_view(is_coalescing=True)
    for bad in ranks:
        fails = f.by_value(lambda r, bad: 1 // (r - bad) and __import__("time").sleep(0.2))
        with pytest.raises(ipp.RemoteError) as error:
            view.apply_sync(fails, ipp.Reference("rank"), bad)
        assert error.value.ename == "ZeroDivisionError" and error.value.engine_info["engine_id"] == bad


def test_abort(tree, client, tmp_path):
    view = client.broadcast_view()
    is_old = tree.engine_kind == "reference" and ipp.version_info[0] < 9
    running = view.apply_async(f.hold, str(tmp_path / "started"), str(tmp_path / "gate"), "held", 1 if is_old else 60)
    waiting = view.apply_async(f.add, 1)
    client.abort(waiting, block=True)
    (tmp_path / "gate").touch()
    assert running.get(30) == ["held"] * N
    ends = [r if r == 2 else type(r) for r in waiting.get(30)]
    if is_old:
        # An engine of ipyparallel 8 reads control only after the task: the next one may come first.
        assert set(ends) <= {2, ipp.error.TaskAborted}
    else:
        assert ends == [ipp.error.TaskAborted] * N
    assert view.apply_sync(f.add, 1) == [2] * N


@pytest.mark.ours("engines")
def test_abort_of_a_coalescing_one(client, tmp_path):
    """The client names the one id that it knows; engines know the request by another."""
    view = client.broadcast_view(is_coalescing=True)
    running = view.apply_async(f.hold, str(tmp_path / "started"), str(tmp_path / "gate"), "held")
    waiting = view.apply_async(f.add, 1)
    client.abort(waiting, block=True)
    (tmp_path / "gate").touch()
    assert running.get(30) == ["held"] * N
    with pytest.raises(ipp.error.TaskAborted):
        waiting.get(30)
    assert view.apply_sync(f.add, 1) == [2] * N


def test_many_at_once(view):
    results = [view.apply_async(f.add, i) for i in range(100)]
    assert [r.get(60) for r in results] == [[i + 1] * N for i in range(100)]


@pytest.mark.parametrize("coalescing", [False, True], ids=["plain", "coalescing"])
def test_engine_killed(own_cluster, tmp_path, coalescing):
    started = tmp_path / "started"
    with own_cluster.client() as client:
        victim, other = client.ids
        pid = client[victim].apply_sync(f.pid)
        client[other].push({"seconds": 0}, block=True)
        client[victim].push({"seconds": 60}, block=True)
        result = client.broadcast_view(is_coalescing=coalescing).apply_async(
            f.by_value(lambda path, s: s and (open(path, "w").close() or __import__("time").sleep(s))), str(started),
            ipp.Reference("seconds"))
        wait_until(started.exists, "the task's start")
        os.kill(pid, signal.SIGKILL)
        with pytest.raises((ipp.error.EngineError, ipp.RemoteError, ipp.CompositeError)):
            result.get(40)
        wait_until(lambda: victim not in client.ids, "end of the engine's registration")
        assert client.broadcast_view(is_coalescing=coalescing).apply_sync(f.add, 1) == [2]
