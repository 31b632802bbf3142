# SPDX-License-Identifier: BSD-3-Clause
"""A controller that is killed and started again with --restore, with each store: engines keep their ids, records of the earlier life
are those of the same engines, and what only memory knew is gone without harm."""
import signal

import pytest
from clusters import Cluster
from conftest import mongo_args
from ipyparallel.error import RemoteError
from processes import wait_until
from test_sqlite import ask

KEEPS = {"none": False, "memory": False, "sqlite": True, "mongodb": True}


def wait_for(path):
    import os
    import time
    while not os.path.exists(path):
        time.sleep(0.02)
    return "passed"


wait_for.__module__ = "__main__"


@pytest.fixture(params=KEEPS)
def store(request):
    return request.param


@pytest.fixture
def cluster(request, store, tmp_path):
    args = {"none": ["--nodb"], "memory": ["--dictdb"], "sqlite": ["--sqlitedb"]}.get(store) or \
        mongo_args(request.getfixturevalue("mongodb"), "restore")
    with Cluster("ours-ours", tmp_path, engines=2, controller_args=[*args, "--restore"]) as cluster:
        yield cluster


def found(client, **query):
    return {r["msg_id"] for r in client.db_query(query, keys=["msg_id"])}


def test_restore(cluster, store, tmp_path):
    gate = tmp_path / "gate"
    with cluster.client() as client:
        engines = dict(client._engines)
        done = [client[i].apply_async(abs, -i) for i in (0, 1)] + [client.load_balanced_view().apply_async(abs, -2)]
        ids = [t.msg_ids[0] for t in done]
        assert [t.get(timeout=30) for t in done] == [0, 1, 2]
        running = client[1].apply_async(wait_for, str(gate))
        if KEEPS[store]:
            wait_until(lambda: found(client) == {*ids, *running.msg_ids}, "records")
        if store == "sqlite":  # what is told is on disk a moment later
            wait_until(lambda: ask(cluster.profile, "SELECT count(*) FROM 'ipython-tasks'")[0][0] == 4, "commit")
        cluster.controller.process.send_signal(signal.SIGKILL)
        cluster.controller.wait()
    cluster.start_controller()
    with cluster.client() as client:
        assert dict(client._engines) == engines
        gate.touch()
        new = client[0].apply_async(abs, -5)
        assert new.get(timeout=30) == 5
        assert client[1].apply_async(abs, -6).get(timeout=30) == 6
        if not KEEPS[store]:
            if store == "memory":
                assert set(client.hub_history()) >= set(new.msg_ids) and not set(client.hub_history()) & set(ids)
            with pytest.raises(RemoteError, match="KeyError|NoData"):
                client.get_result(ids[0], owner=False).get(timeout=30)
            client.purge_hub_results(targets=[0])  # of what is gone: no error
            assert client.queue_status()
            return
        assert set(client.hub_history()) >= {*ids, *running.msg_ids, *new.msg_ids}
        for task, value in zip(ids, (0, 1, 2)):
            assert client.get_result([task], owner=False).get(timeout=30) == [value]
        assert found(client, completed=None) == set(running.msg_ids)
        assert found(client, engine_uuid=engines[0], queue="mux") == {ids[0], *new.msg_ids}
        again = client.resubmit([ids[1]])
        assert again.get(timeout=30) == [1]
        client.purge_hub_results(targets=[0])
        assert not found(client, engine_uuid=engines[0]) and {ids[1], *running.msg_ids} <= found(client)
        client.purge_hub_results("all")
        assert found(client) == set(running.msg_ids)
        client.purge_hub_results(running.msg_ids)
        assert found(client) == set()
