# SPDX-License-Identifier: BSD-3-Clause
"""A controller that is killed and started again with --restore: stock clients and engines of both kinds go on, under their ids."""
import json
import pathlib
import signal

import pytest

import functions as f
from clusters import Cluster
from processes import wait_until

CURVE = "--IPController.enable_curve=True"
WAYS = {
    "no ready": ["--Ersa.disable=ready"],
    "CURVE": [CURVE],
    "no attach": ["--Ersa.disable=attach"],
    "no attach, CURVE": ["--Ersa.disable=attach", CURVE],
}


def state_of(cluster):
    try:
        return json.loads((cluster.profile / "log" / "engines.json").read_text())["engines"]
    except FileNotFoundError:
        return {}


def come_back(cluster, client):
    """Kills the controller and starts it again: those who were there before reconnect by themselves, and a new client finds
    the engines under their ids."""
    pids, engines = client[:].apply_sync(f.pid), dict(client._engines)
    wait_until(lambda: len(state_of(cluster)) == 2, lambda: f"two engines in {state_of(cluster)}")
    cluster.controller.process.send_signal(signal.SIGKILL)
    cluster.controller.wait()
    cluster.start_controller()
    with cluster.client() as second:
        assert dict(second._engines) == engines
        assert second[:].apply_sync(f.pid) == pids
        assert second.load_balanced_view().map_sync(f.square, range(50)) == [i * i for i in range(50)]
    assert client[:].apply_sync(f.pid) == pids
    assert all(e.is_running() for e in cluster.engines)


@pytest.mark.ours("controller")
@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_killed_controller_comes_back(cell, tmp_path, transport):
    with Cluster(cell, tmp_path, 2, ["--restore", f"--transport={transport}"]) as cluster, cluster.client() as client:
        come_back(cluster, client)
        assert sorted(client.ids) == [0, 1]
        third = cluster.start_engine()
        wait_until(lambda: 2 in client.ids, lambda: f"an engine 2, but {client.ids}\n{cluster.logs()}")
        assert client[2].apply_sync(f.square, 4) == 16 and third.is_running()
    info = pathlib.Path(cluster.client_file)
    assert info.exists(), "files that are used again stay"
    interface = json.loads(info.read_text())["interface"]
    if transport == "ipc":
        folder = pathlib.Path(interface.removeprefix("ipc://")).parent
        for left in folder.iterdir():
            left.unlink()
        folder.rmdir()


@pytest.mark.ours("controller")
@pytest.mark.parametrize("how", WAYS)
def test_in_other_ways(cell, tmp_path, how):
    """Without `ready`, over the stock sockets, encrypted with the keys that were kept: the same."""
    engine_args = [o for o in WAYS[how] if o.startswith("--Ersa")] if cell.endswith("-ours") else []
    with Cluster(cell, tmp_path, 2, ["--restore", *WAYS[how]], engine_args) as cluster, cluster.client() as client:
        come_back(cluster, client)


@pytest.mark.parametrize("how", ["no ready", "no attach", "CURVE"])
def test_without_the_state_file(tmp_path, how):
    """Our engines ask for the ids that they had."""
    engine_args = [o for o in WAYS[how] if o.startswith("--Ersa")]
    with Cluster("ours-ours", tmp_path, 2, ["--reuse", *WAYS[how]], engine_args) as cluster, cluster.client() as client:
        come_back(cluster, client)
