# SPDX-License-Identifier: BSD-3-Clause
"""apply and map through both views, data in and out, errors."""
import functools

import ipyparallel as ipp
import numpy as np
import pytest

import functions as f


def test_apply_sync_and_async(client):
    view = client[:]
    assert view.apply_sync(f.add, 2) == [3] * len(client)
    result = view.apply_async(f.add, 2, b=5)
    assert result.get(30) == [7] * len(client)
    assert result.successful()
    assert sorted(result.engine_id) == sorted(client.ids)


def test_apply_on_one_engine(client):
    pids = [client[i].apply_sync(f.pid) for i in client.ids]
    assert len(set(pids)) == len(client)
    assert client[client.ids[-1]].apply_sync(f.pid) == pids[-1]


def test_load_balanced_apply(client):
    view = client.load_balanced_view()
    assert view.apply_sync(f.square, 12) == 144
    results = [view.apply_async(f.square, i) for i in range(50)]
    assert [r.get(30) for r in results] == [i * i for i in range(50)]


def test_map_on_both_views(client):
    want = [x * x for x in range(40)]
    assert client[:].map_sync(f.square, range(40)) == want
    balanced = client.load_balanced_view()
    assert balanced.map_sync(f.square, range(40)) == want
    assert sorted(balanced.map_async(f.square, range(40), ordered=False)) == sorted(want)
    assert balanced.map_sync(f.square, range(40), chunksize=7) == want


def test_load_balanced_work_goes_to_every_engine(client):
    result = client.load_balanced_view().map_async(f.nap, [0.05] * 24)
    result.get(60)
    assert set(result.engine_id) == set(client.ids)


def test_push_pull_scatter_gather(client):
    view = client[:]
    view.push({"a": 7, "b": "text"}, block=True)
    assert view.pull(("a", "b"), block=True) == [[7, "text"]] * len(client)
    view.scatter("part", list(range(10)), block=True)
    assert view.gather("part", block=True) == list(range(10))
    assert view.apply_sync(f.add, ipp.Reference("a"), 1) == [8] * len(client)
    view["c"] = 3
    assert view["c"] == [3] * len(client)
    view.execute("del a, b, c, part", block=True)


def test_name_that_does_not_exist(client):
    with pytest.raises(ipp.RemoteError) as error:
        client[client.ids[0]].pull("no_such_name", block=True)
    assert error.value.ename == "NameError"


def test_closure_partial_and_lambda(client):
    factor = 3
    view = client[client.ids[0]]
    assert view.apply_sync(f.by_value(lambda x: x * factor), 5) == 15
    assert view.apply_sync(functools.partial(f.add, 4), b=6) == 10
    assert view.apply_sync(len, "four") == 4


def test_way_back_from_another_pickler(client):
    """Clients of each version send their own use_pickle()."""
    assert client[:].use_pickle().get(30) == [None] * len(client)
    assert client[:].apply_sync(f.add, 1) == [2] * len(client)


@pytest.mark.ours("controller")
def test_decorators_of_dependencies(client):
    @ipp.require("math")
    @f.by_value
    def root(x):
        return math.sqrt(x)  # noqa: F821  (the decorator imports it)

    assert client.load_balanced_view().apply_sync(root, 49) == 7

    @ipp.depend(f.by_value(lambda: False))
    @f.by_value
    def nowhere():
        return 1

    with pytest.raises(ipp.RemoteError) as error:
        client.load_balanced_view().apply_sync(nowhere)
    assert error.value.ename == "ImpossibleDependency"


def test_remote_exception(client):
    with pytest.raises(ipp.RemoteError) as error:
        client[client.ids[0]].apply_sync(f.divide, 1, 0)
    assert error.value.ename == "ZeroDivisionError"
    assert error.value.evalue == "division by zero"
    assert error.value.engine_info["engine_id"] == client.ids[0]
    assert error.value.engine_info["method"] == "apply"
    assert "divide" in str(error.value.traceback)
    with pytest.raises(ipp.RemoteError) as error:
        client.load_balanced_view().apply_sync(f.divide, 1, 0)
    assert error.value.ename == "ZeroDivisionError"


def test_exception_of_several_engines(client):
    with pytest.raises(ipp.CompositeError) as error:
        client[:].apply_sync(f.divide, 1, 0)
    assert len(error.value.elist) == len(client)


def test_large_array_each_way(client):
    array = np.arange(50_000_000 // 8, dtype=float)
    view = client[client.ids[0]]
    view.push({"array": array}, block=True)
    assert view.apply_sync(f.by_value(lambda a: float(a.sum())), ipp.Reference("array")) == float(array.sum())
    back = view.pull("array", block=True)
    assert back.dtype == array.dtype and np.array_equal(back, array)
    view.execute("del array", block=True)
    echoed = client.load_balanced_view().apply_sync(f.by_value(lambda a: a[::-1]), array)
    assert np.array_equal(echoed, array[::-1])


def test_received_array_can_be_changed_in_place(client):
    @f.by_value
    def change(a):
        a += 1
        return a

    assert client[client.ids[0]].apply_sync(change, np.zeros(1000)).sum() == 1000


def test_many_small_arrays_and_odd_objects(client):
    view = client[client.ids[0]]
    sent = [np.arange(i) for i in range(20)], {"k": b"x" * 5000}, (None, True, "ü", 1.5, {1, 2})
    arrays, data, rest = view.apply_sync(f.by_value(lambda *args: args), *sent)
    assert all(np.array_equal(a, b) for a, b in zip(arrays, sent[0]))
    assert (data, rest) == sent[1:]
