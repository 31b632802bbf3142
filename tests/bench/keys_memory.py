# SPDX-License-Identifier: BSD-3-Clause
"""Keys about the controller's memory: a million tasks that wait, and a million that are finished."""
from measure import controller, key, load, rss_bytes, settled_rss_bytes, waiting

MILLION = 1000000
LIKE_OURS = ("--engines=4", "--attach")


@key("queued_task_overhead_bytes", 250, "octets a task", "<=")
def queued_task_overhead():
    """Resident memory of a controller with a million waiting tasks, less what it had before, less the octets
    of the tasks' frames; default store. Without client_limit, which is a quarter of the machine's memory."""
    with controller("ours", "--TaskScheduler.client_limit=0") as ours:
        load(ours, 2000, *LIKE_OURS)
        before = settled_rss_bytes(ours.pids)
        with waiting(ours, MILLION) as own:
            after = settled_rss_bytes(ours.pids)
    overhead = (after - before - own) / MILLION
    return [(overhead, None)], {"a task's own octets": own / MILLION, "MB before": before / 1e6, "MB, a million waiting": after / 1e6}


@key("ctl_rss_after_1m_tasks_mb", 60, "MB", "<=")
def rss_after_a_million():
    """Resident memory of a controller that has finished a million tasks and is at rest. Beside it right after
    the last reply (some of a burst is still there), and when all million had waited at once before."""
    beside = {}
    with controller("ours") as ours:
        figures = load(ours, MILLION, *LIKE_OURS)
        beside["MB right after the last reply"] = rss_bytes(ours.pids) / 1e6
        beside["peak MB"] = figures["peak_mb"]
        after = settled_rss_bytes(ours.pids) / 1e6
    with controller("ours", "--TaskScheduler.client_limit=0") as ours:
        with waiting(ours, MILLION):
            beside["MB while a million wait"] = rss_bytes(ours.pids) / 1e6
        load(ours, 1, *LIKE_OURS)  # behind the others in the line
        beside["MB at rest after a million waited"] = settled_rss_bytes(ours.pids) / 1e6
    return [(after, None)], beside
