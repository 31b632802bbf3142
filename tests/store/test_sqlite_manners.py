# SPDX-License-Identifier: BSD-3-Clause
"""What writing records leaves to others: the router goes first, and the system's cache isn't filled with records."""
import pathlib
import subprocess

import pytest
from processes import wait_until
from sqlite_rig import count, load_under_way

CACHED_MB, TASKS = 64, 150_000  # of the database's end; a record takes about 1.8 KB


def nice_of_threads(pid):
    stats = [task.read_text() for task in pathlib.Path(f"/proc/{pid}/task").glob("*/stat")]
    return {stat[stat.index("(") + 1:stat.rindex(")")]: int(stat.rsplit(")", 1)[1].split()[16]) for stat in stats}


def run(load):
    load.communicate("go\n", timeout=300)


def test_threads_that_write_records_give_way(tmp_path):
    with load_under_way(tmp_path, 1000) as (controller, load):
        def gives_way():
            nice = nice_of_threads(controller.pid)
            return all(nice.get(name) == nice["ipcontroller"] + 5 for name in ("records", "checkpoint"))
        wait_until(gives_way, "a lower priority")
        for name in tmp_path.glob("tasks.db*"):
            name.rename(tmp_path / f"before-{name.name}")
        run(load)
        wait_until((tmp_path / "tasks.db").exists, "another database")
        wait_until(lambda: count(tmp_path) > 0, "records in it")
        assert gives_way(), nice_of_threads(controller.pid)  # no lower than before, though who opened it had a low one


def test_records_leave_the_systems_cache(tmp_path):
    if subprocess.check_output(["stat", "-f", "-c", "%T", tmp_path], text=True).strip() in ("tmpfs", "ramfs"):
        pytest.skip("a file system in memory")

    def cached():
        return int(subprocess.check_output(["fincore", "-b", "-n", "-o", "RES", tmp_path / "tasks.db"]))
    with load_under_way(tmp_path, TASKS) as (_, load):
        run(load)  # and nobody reads them
        wait_until(lambda: (tmp_path / "tasks.db").stat().st_size > 3 * CACHED_MB << 20, "records enough to see something")
        wait_until(lambda: cached() <= 2 * CACHED_MB << 20, lambda: f"{cached() >> 20} MB in the cache and no less")
