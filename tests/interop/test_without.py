# SPDX-License-Identifier: BSD-3-Clause
"""Our additions switched off, one at a time and all: everything works without any of them
(docs/protocol/extensions.md 1)."""
import pytest

import ipyparallel as ipp
import functions as f
from clusters import Cluster
from processes import wait_until

CAPABILITIES = ["attach", "ready", "begun", "death_cause", "quiet_status", "recall"]


@pytest.fixture(params=[*CAPABILITIES, ",".join(CAPABILITIES)])
def disable(request):
    return f"--Ersa.disable={request.param}"


@pytest.fixture(params=["controller", "engines", "both"])
def cluster(request, disable, tmp_path):
    """Two engines of ours on our controller, without the capability on that side."""
    sides = {"controller": ([disable], []), "engines": ([], [disable]), "both": ([disable], [disable])}
    controller_args, engine_args = sides[request.param]
    with Cluster("ours-ours", tmp_path, 2, controller_args, engine_args) as cluster:
        yield cluster


def test_work_output_and_death(cluster, tmp_path):
    with cluster.client() as client:
        assert client[:].apply_sync(f.add, 1) == [2, 2]
        assert client.load_balanced_view().map_sync(f.square, range(20)) == [x * x for x in range(20)]
        result = client[client.ids[0]].apply_async(f.talk, "hello")
        result.get(30)
        result.wait_for_output(30)
        assert result.stdout == "hello\n"
        started = tmp_path / "started"
        doomed = client.load_balanced_view().apply_async(f.touch_and_die, str(started))
        with pytest.raises((ipp.error.EngineError, ipp.RemoteError)) as error:
            doomed.get(30)
        assert isinstance(error.value, ipp.error.EngineError) or error.value.ename == "EngineError"
        wait_until(lambda: len(client.ids) == 1, "end of the engine's registration")
        assert client[:].apply_sync(f.add, 1) == [2]
