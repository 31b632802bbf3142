# SPDX-License-Identifier: BSD-3-Clause
"""How long a cluster takes for tasks of known lengths, from a stock client: for the test of hwm=auto and its key of the benchmark."""
import pathlib
import tempfile

from processes import wait_until


def stamp(seconds):
    """Sleeps; when it began and ended."""
    import time
    began = time.time()
    time.sleep(seconds)
    return began, time.time()


def block_until(path):
    """Keeps an engine busy until the file is there."""
    import os
    import time
    while not os.path.exists(path):
        time.sleep(0.005)


stamp.__module__ = block_until.__module__ = "__main__"  # go by value: engines can't import this file


def makespan(client, tasks):
    """Seconds from the first beginning to the last end, by the engines' clocks. Engines are held up until all tasks
    are submitted, so the client's own speed does not count."""
    def n_open():
        status = client.queue_status()
        return status.pop("unassigned") + sum(queue["tasks"] for queue in status.values())

    with tempfile.TemporaryDirectory(prefix="ersa-gate-") as folder:
        gate = pathlib.Path(folder, "gate")
        blocked = client[:].apply_async(block_until, str(gate))
        results = client.load_balanced_view().map_async(stamp, tasks, chunksize=1)
        wait_until(lambda: n_open() >= len(tasks), "all tasks submitted")
        gate.touch()
        blocked.get(60)
        times = results.get(120)
    return max(end for _, end in times) - min(began for began, _ in times)
