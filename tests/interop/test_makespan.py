# SPDX-License-Identifier: BSD-3-Clause
"""hwm=auto with real engines and a stock client: several short tasks stand at an engine, and yet a long one delays
nobody."""
import random
import time

import pytest

from clusters import Cluster
from processes import wait_until

ENGINES = 4
GOES = 3  # this machine has other things to do: the best of so many counts


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


@pytest.fixture(scope="module")
def clusters(tmp_path_factory):
    """{hwm: client} of two clusters."""
    with Cluster("ours-ours", tmp_path_factory.mktemp("auto"), ENGINES, ["--hwm=auto"]) as a, \
            Cluster("ours-ours", tmp_path_factory.mktemp("one"), ENGINES, ["--hwm=1"]) as b, \
            a.client() as auto, b.client() as one:
        yield {"auto": auto, "one": one}


def makespan(client, tasks, folder):
    """Seconds from the first beginning to the last end. All tasks are submitted before any begins, so the client's
    own speed does not count."""
    gate = folder / f"gate-{time.monotonic_ns()}"
    blocked = client[:].apply_async(block_until, str(gate))
    results = client.load_balanced_view().map_async(stamp, tasks, chunksize=1)
    wait_until(lambda: sum(q["tasks"] for e, q in client.queue_status().items() if e != "unassigned")
               + client.queue_status()["unassigned"] >= len(tasks), "all tasks submitted")
    gate.touch()
    blocked.get(30)
    times = results.get(120)
    return max(end for _, end in times) - min(began for began, _ in times)


def best(client, tasks, folder):
    return min(makespan(client, tasks, folder) for _ in range(GOES))


def test_long_tasks_among_short_ones(clusters, tmp_path):
    """1 % of tasks take a second: no worse than one task an engine."""
    tasks = [0.001] * 396 + [1.0] * 4
    random.Random(7).shuffle(tasks)
    for client in clusters.values():
        makespan(client, [0.001] * 400, tmp_path)
    assert best(clusters["auto"], tasks, tmp_path) <= 1.1 * best(clusters["one"], tasks, tmp_path)


def test_short_tasks_alone(clusters, tmp_path):
    """Engines needn't wait for the controller between tasks that take no time. It is about half the time, and both
    take as long as the machine lets them: one comparison in four has to show it."""
    tasks = [0.0] * 1500
    ratios = []
    for _ in range(4):
        ratios.append(best(clusters["auto"], tasks, tmp_path) / best(clusters["one"], tasks, tmp_path))
        if ratios[-1] < 0.9:
            return
    raise AssertionError(ratios)
