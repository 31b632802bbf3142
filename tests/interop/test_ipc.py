# SPDX-License-Identifier: BSD-3-Clause
"""All connections over sockets in a private directory (design.md 7): stock clients and both kinds of engine join by the
interface `ipc:///<directory>/c`, as they do for TCP."""
import json
import pathlib
import stat

import ipyparallel as ipp
import pytest

import functions as f
from clusters import Cluster
from processes import wait_until


@pytest.fixture
def cluster(cell, tmp_path):
    with Cluster(cell, tmp_path, engines=2, controller_args=["--transport=ipc"]) as cluster:
        yield cluster


def directory_of(cluster):
    info = json.loads(pathlib.Path(cluster.client_file).read_text())
    assert info["interface"].startswith("ipc:///") and info["interface"].endswith("/c")
    return pathlib.Path(info["interface"].removeprefix("ipc://")).parent


@pytest.mark.ours("controller")
def test_calls_both_ways_and_output(cluster):
    with cluster.client() as client:
        view = client[:]
        assert view.apply_sync(f.square, 12) == [144, 144]
        assert client.load_balanced_view().map_sync(f.square, range(30)) == [i * i for i in range(30)]
        result = view.execute("print('said')", block=False)
        result.get(30)
        wait_until(lambda: result.stdout == ["said\n"] * 2, lambda: f"output, but {result.stdout}")
        big = b"x" * (8 << 20)
        assert view.apply_sync(len, big) == [len(big)] * 2
        with pytest.raises(ipp.RemoteError):
            view.apply_sync(f.divide, 1, 0)
        history = client.hub_history()
        assert set(result.msg_ids) <= set(history)


@pytest.mark.ours("controller")
def test_directory_is_private_and_goes_with_the_controller(cluster):
    folder = directory_of(cluster)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    with cluster.client() as client:
        assert sorted(client.ids) == [0, 1]
    cluster.stop()
    assert not folder.exists()


@pytest.mark.ours("controller")
def test_engine_that_ends_is_noticed(cluster):
    with cluster.client() as client:
        client.shutdown(targets=[0], block=True)
        wait_until(lambda: client.ids == [1], lambda: f"engine 1 alone, but {client.ids}")
        assert client[1].apply_sync(f.square, 3) == 9


@pytest.mark.ours("controller")
def test_engines_on_ipc_and_clients_on_tcp(cell, tmp_path):
    args = ["--IPController.engine_transport=ipc"]
    with Cluster(cell, tmp_path, engines=1, controller_args=args) as cluster, cluster.client() as client:
        assert client[:].apply_sync(f.square, 5) == [25]
