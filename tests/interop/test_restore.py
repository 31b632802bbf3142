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


@pytest.mark.ours("controller")
@pytest.mark.parametrize("transport", ["tcp", "ipc"])
def test_killed_controller_comes_back(cell, tmp_path, transport):
    with Cluster(cell, tmp_path, engines=2, controller_args=["--restore", f"--transport={transport}"]) as cluster:
        with cluster.client() as client:
            view, pids = client[:], client[:].apply_sync(f.pid)
            engines = dict(client._engines)
            wait_until(lambda: len(state_of(cluster)) == 2, lambda: f"two engines in {state_of(cluster)}")
            cluster.controller.process.send_signal(signal.SIGKILL)
            cluster.controller.wait()
            cluster.start_controller()

            # The client that was there before, and the engines, reconnect by themselves.
            with cluster.client() as second:
                assert dict(second._engines) == engines
                assert second[:].apply_sync(f.pid) == pids
                assert second.load_balanced_view().map_sync(f.square, range(20)) == [i * i for i in range(20)]
            assert view.apply_sync(f.pid) == pids
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
    come_back(cell, tmp_path, ["--restore", *WAYS[how]])


@pytest.mark.parametrize("how", ["no ready", "no attach", "CURVE"])
def test_without_the_state_file(tmp_path, how):
    """Our engines ask for the ids that they had."""
    come_back("ours-ours", tmp_path, ["--reuse", *WAYS[how]])


def come_back(cell, tmp_path, controller_args):
    engine_args = [o for o in controller_args if o.startswith("--Ersa")] if cell.endswith("-ours") else []
    with Cluster(cell, tmp_path, 2, controller_args, engine_args) as cluster:
        with cluster.client() as client:
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
