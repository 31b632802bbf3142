# SPDX-License-Identifier: BSD-3-Clause
"""A database that is damaged, moved or deleted while the controller writes to it: tasks go on, who asks is told why,
and a sound file in its place is taken without a restart."""
import contextlib
import json
import os
import signal
import sqlite3

import ipyparallel as ipp
import pytest
from processes import freeze, wait_until
from sqlite_rig import controller, count, figure, load_under_way

NOT_KEPT = "task records are not kept"


def is_settled(path):
    """All that was written is in the file itself, and who has it open reads it again."""
    with contextlib.closing(sqlite3.connect(path, timeout=0)) as db, contextlib.suppress(sqlite3.OperationalError):
        db.execute("CREATE TABLE IF NOT EXISTS of_somebody_else(x)")
        db.execute("DROP TABLE of_somebody_else")
        db.commit()
        return db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0


def spoil(controller, path, damage):
    """Damages the file while the controller is stopped: pages that it read between would hide it."""
    def is_spoiled():
        freeze(controller.pid)
        try:
            if is_settled(path):  # not where it was stopped with a lock
                damage(path)
                return True
        finally:
            controller.process.send_signal(signal.SIGCONT)
    wait_until(is_spoiled, "a settled database")


def overwrite(path):
    size = path.stat().st_size
    with path.open("r+b") as f:
        f.seek(100)
        f.write(b"?" * (size - 100))


def take_its_head(path):
    with path.open("r+b") as f:
        f.write(b"no database")


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def empty(path):
    os.truncate(path, 0)


def delete(path):
    for name in path.parent.glob("tasks.db*"):
        name.unlink()


def move_away(path):
    path.rename(path.with_name("before.db"))


def goes_through(load, n):
    load.stdin.write("go\n")
    load.stdin.flush()
    out, _ = load.communicate(timeout=300)
    assert json.loads(out)["tasks"] == n


def lines(controller, words):
    return [line for line in controller.output().splitlines() if words in line]


@pytest.mark.parametrize("damage", [overwrite, take_its_head, cut])
def test_a_damaged_database_holds_nobody_back(tmp_path, damage):
    n = 60_000
    path = tmp_path / "tasks.db"
    with load_under_way(tmp_path, n) as (controller, load):
        client = ipp.Client(str(next(tmp_path.glob("**/ipcontroller-client.json"))), timeout=60)
        spoil(controller, path, damage)
        goes_through(load, n)
        assert figure(tmp_path, "ersa_store_broken") == 1
        assert figure(tmp_path, "ersa_store_lost_changes_total") > 0
        told, = lines(controller, NOT_KEPT)
        assert "ERROR" in told and f"{path}: " in told and "move it away" in told
        for ask in (client.hub_history, lambda: client.db_query({"queue": "task"}, keys=["msg_id"]),
                    lambda: client.purge_results("all")):
            with pytest.raises(ipp.error.RemoteError, match=f"StoreBroken.*{path}: .*move it away"):
                ask()
        move_away(path)
        wait_until(lambda: figure(tmp_path, "ersa_store_broken") == 0, "another file")
        kept = client.hub_history()  # what was in memory still
        assert 0 < len(kept) < n
        wait_until(lambda: count(tmp_path) == len(kept), "their rows")
        assert len(lines(controller, "task records are kept again")) == 1
        client.close()


def test_who_works_while_the_database_is_damaged(tmp_path):
    """Results come, also by the hub as long as they are in memory; who asks for what is lost is told so."""
    path = tmp_path / "tasks.db"
    with controller(tmp_path, "--metrics-port=0") as cluster, cluster.client() as client:
        view = client.load_balanced_view()
        old = view.apply_async(abs, -1)
        assert old.get(timeout=30) == 1
        wait_until(lambda: count(tmp_path), "commit")
        spoil(cluster.controller, path, overwrite)
        new = [view.apply_async(abs, -i) for i in range(2, 50)]
        assert [task.get(timeout=30) for task in new] == list(range(2, 50))
        wait_until(lambda: figure(tmp_path, "ersa_store_broken") == 1, "a broken store")
        client.results.clear()
        client.metadata.clear()
        assert client.get_result(new[-1].msg_ids, owner=False).get(timeout=30) == [49]
        with pytest.raises(ipp.error.RemoteError, match="StoreBroken"):
            client.get_result(old.msg_ids, owner=False).get(timeout=30)
        move_away(path)
        wait_until(lambda: figure(tmp_path, "ersa_store_broken") == 0, "another file")
        assert client.hub_history() == [task.msg_ids[0] for task in new]
        assert view.apply(abs, -50).get(timeout=30) == 50
        assert len(client.hub_history()) == 49


def has_all(path, n):
    with contextlib.suppress(sqlite3.OperationalError):  # no table yet
        return path.exists() and count(path.parent) == n


@pytest.mark.parametrize("damage, words", [
    (empty, "task records are kept again"), (delete, "was moved or deleted"), (move_away, "was moved or deleted")])
def test_a_database_that_is_gone_is_begun_anew(tmp_path, damage, words):
    n = 20_000
    path = tmp_path / "tasks.db"
    with load_under_way(tmp_path, n) as (controller, load):
        spoil(controller, path, damage)
        goes_through(load, n)
        wait_until(lambda: has_all(path, n), "all records", 60)
        told, = lines(controller, words)
        assert str(path) in told
        assert figure(tmp_path, "ersa_store_broken") == 0
        assert figure(tmp_path, "ersa_store_lost_changes_total") == 0
