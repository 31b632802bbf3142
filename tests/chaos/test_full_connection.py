# SPDX-License-Identifier: BSD-3-Clause
"""An engine over stock sockets that is stopped while more waits for it than may, and goes on."""
import os
import signal
import time

import ipyparallel as ipp
from processes import freeze, wait_until

from trouble import Troubled


@ipp.interactive
def write(path, n, data):
    with open(path, "a") as f:
        f.write(f"{n}\n")
    return n


def test_a_silent_engine_with_a_full_connection_comes_back(tmp_path):
    """What waits for it is dropped when its heart stops: each of its tasks is answered all the same, and none runs twice."""
    ran = tmp_path / "ran"
    with Troubled(tmp_path, ["sockets"], ["--hwm=8"]) as cluster, cluster.client(1) as client:
        _, engine = cluster.current[0]
        view = client.load_balanced_view()
        view.apply_sync(abs, 1)
        freeze(engine.pid)
        tasks = [view.apply_async(write, str(ran), n, os.urandom(30 << 20)) for n in range(6)]
        wait_until(lambda: "its heartbeat stopped" in cluster.controller.output(), "the end of its heart")
        time.sleep(1)
        os.kill(engine.pid, signal.SIGCONT)
        wait_until(lambda: "beats again" in cluster.controller.output(), "its heart")
        end = time.monotonic() + 40
        open_tasks = []
        for n, task in enumerate(tasks):
            try:
                task.get(timeout=max(0.1, end - time.monotonic()))
            except TimeoutError:
                open_tasks.append(n)
            except ipp.error.RemoteError:
                pass
        assert not open_tasks
        assert view.apply_async(abs, -2).get(timeout=10) == 2
        n_ran = ran.read_text().split() if ran.exists() else []
        assert len(n_ran) == len(set(n_ran))
