# SPDX-License-Identifier: BSD-3-Clause
"""SQLite databases across programs and lives: what the reference wrote, what it reads of ours, restarts, a
full disk."""
import contextlib
import datetime
import json
import os
import pathlib
import resource
import sqlite3
import struct
import time

import ipyparallel as ipp
import pytest
from clusters import Cluster
from jupyter_client.jsonutil import extract_dates
from processes import wait_until
from reference_store import reference
from sqlite_rig import ask, controller, count, figure, load_under_way, rows

UTC = datetime.timezone.utc
WHEN = datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
BUFFERS = [b"one", b"", b"x" * 300, b""]


def record(i, **more):
    header = {"msg_id": f"id{i}", "msg_type": "apply_request", "session": "c0", "username": "u", "version": "5.3",
              "date": WHEN}
    whole = dict.fromkeys(("engine_uuid", "started", "completed", "resubmitted", "received", "result_header",
                           "result_metadata", "result_content", "queue", "execute_input", "execute_result", "error",
                           "label"))
    whole.update(msg_id=f"id{i}", header=header, metadata={"deep": {"date": WHEN}}, content={}, buffers=BUFFERS,
                 submitted=WHEN + datetime.timedelta(seconds=i), client_uuid="c0", stdout="", stderr="",
                 result_buffers=[])
    whole.update(more)
    return whole


def test_what_the_reference_wrote(tmp_path):
    theirs = reference(tmp_path)
    theirs.add_record("id0", record(0))
    theirs.add_record("id1", record(1, completed=WHEN, result_header={"msg_type": "execute_reply"},
                                    result_content={"status": "ok"}, result_buffers=BUFFERS, stdout="out\n",
                                    execute_result={"data": {"text/plain": "1"}}, label="l"))
    theirs.add_record("id2", record(2, submitted=datetime.datetime(
        2026, 1, 2, 5, 4, 7, 678901, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))))
    theirs.close()
    with controller(tmp_path) as cluster, cluster.client() as client:
        assert client.hub_history() == ["id0", "id1", "id2"]
        got = client.db_query({"msg_id": "id1"}, keys=["buffers", "result_buffers", "stdout", "label", "header",
                                                       "execute_result", "submitted", "completed"])[0]
        assert [bytes(b) for b in got["buffers"]] == BUFFERS
        assert [bytes(b) for b in got["result_buffers"]] == BUFFERS
        assert got["stdout"] == "out\n" and got["label"] == "l"
        assert got["execute_result"] == {"data": {"text/plain": "1"}}
        assert got["submitted"] == WHEN + datetime.timedelta(seconds=1) and got["completed"] == WHEN
        assert got["header"]["msg_type"] == "apply_request"
        assert [r["msg_id"] for r in client.db_query({"completed": None}, keys=["msg_id"])] == ["id0", "id2"]
        same = {"submitted": WHEN + datetime.timedelta(seconds=2)}  # written with another offset
        assert [r["msg_id"] for r in client.db_query(same, keys=["msg_id"])] == ["id2"]


def test_what_the_reference_reads(tmp_path):
    with controller(tmp_path) as cluster, cluster.client() as client:
        view = client.load_balanced_view()
        with view.temp_flags(label="l"):
            task = view.apply_async(bytes, b"payload" * 100)
        assert task.get(timeout=30) == b"payload" * 100
        ours = client.db_query({"msg_id": task.msg_ids[0]}, keys=None)[0]
        buffers = client.db_query({"msg_id": task.msg_ids[0]}, keys=["buffers", "result_buffers"])[0]
        history = client.hub_history()
    theirs = reference(tmp_path)
    assert theirs.table == "ipython-tasks"
    assert theirs.get_history() == history
    got = theirs.get_record(task.msg_ids[0])
    for field in ("header", "metadata", "content", "result_header", "result_metadata", "result_content", "submitted",
                  "started", "completed", "received", "client_uuid", "engine_uuid", "queue", "label", "stdout"):
        assert extract_dates(got[field]) == extract_dates(ours[field]), field
    for field in ("buffers", "result_buffers"):
        assert [bytes(b) for b in got[field]] == [bytes(b) for b in buffers[field]]
    assert theirs.find_records({"label": {"$glob": "l*"}, "submitted": ours["submitted"]}, ["msg_id"])
    theirs.close()


def test_another_life(tmp_path):
    """Results by id, from the same table, however the controller ended."""
    ids = []
    for life in range(3):
        (tmp_path / str(life)).mkdir()
        with Cluster("ours-ours", tmp_path / str(life), engines=1,
                     controller_args=["--sqlitedb", f"--SQLiteDB.location={tmp_path}"]) as cluster:
            with cluster.client() as client:
                assert client.hub_history() == ids
                if ids:
                    assert client.get_result(ids, owner=False).get(timeout=30) == list(range(life))
                task = client[0].apply_async(abs, life)
                task.get(timeout=30)
                ids += task.msg_ids
                if life == 1:  # it has said that it is done, and a moment later it's on disk
                    wait_until(lambda: count(tmp_path) == len(ids), "commit")
                    cluster.controller.process.kill()
    assert tables(tmp_path) == ["ipython-tasks"]


def tables(folder):
    return [name for name, in ask(folder, "SELECT name FROM sqlite_master WHERE type='table'")]


def test_table_of_the_session(tmp_path):
    with controller(tmp_path, "--SQLiteDB.table=", "--Session.session=a-b") as cluster, cluster.client():
        assert tables(tmp_path) == ["_a_b"]


def test_two_controllers_on_one_file(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
    args = ["--sqlitedb", f"--SQLiteDB.location={tmp_path}"]
    with Cluster("ours-ours", tmp_path / "a", engines=1, controller_args=args) as one, \
            Cluster("ours-ours", tmp_path / "b", engines=1, controller_args=args) as two, \
            one.client() as a, two.client() as b:
        tasks = [c[0].map_async(abs, range(50)) for c in (a, b)]
        assert [t.get(timeout=60) for t in tasks] == [list(range(50))] * 2
        wait_until(lambda: set(a.hub_history()) == set(b.hub_history()) and len(a.hub_history()) >= 2, "both histories")


def test_full_disk(tmp_path):
    """The controller goes on, says so once, and writes again when there is room."""
    with controller(tmp_path) as cluster, cluster.client() as client:
        view = client.load_balanced_view()
        view.apply(abs, -1).get(timeout=30)
        wait_until(lambda: count(tmp_path), "commit")
        pid = cluster.controller.pid
        soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1 << 20, hard))
        for i in range(20):
            assert len(view.apply(bytes, 200_000 + i).get(timeout=30)) == 200_000 + i
        wait_until(lambda: "further ones are only counted" in cluster.controller.output(), "a word about it")
        assert cluster.controller.is_running()
        before = count(tmp_path)
        last = view.apply(abs, -2)
        assert last.get(timeout=30) == 2
        for ask in (client.hub_history, lambda: client.db_query({}, keys=["msg_id"])):
            with pytest.raises(ipp.error.RemoteError, match="task records"):
                ask()  # what waits would be missing
        client.results.clear()
        assert client.get_result(last.msg_ids[0], owner=False).get(timeout=30) == 2  # from memory
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
        wait_until(lambda: count(tmp_path) > before + 5, "commit after there is room")
        assert cluster.controller.output().count("further ones are only counted") == 1


def make_no_database(path):
    path.write_text("no database" * 1000)


def make_part_of_one(path):
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE t(x)")
    os.truncate(path, 1000)


def make_folder(path):
    path.mkdir()


@pytest.mark.parametrize("make, why", [
    (make_no_database, "file is not a database: move it away"), (make_part_of_one, "malformed: move it away"),
    (make_folder, "Is a directory")])
def test_unusable_database(tmp_path, make, why):
    path = tmp_path / "tasks.db"
    make(path)
    with pytest.raises(AssertionError, match=f"{path}: .*{why}"), controller(tmp_path):
        pass


def test_database_that_is_locked_at_the_start(tmp_path):
    with contextlib.closing(sqlite3.connect(tmp_path / "tasks.db", isolation_level=None)) as lock:
        lock.execute("PRAGMA journal_mode=WAL")
        lock.execute("BEGIN IMMEDIATE")
        with pytest.raises(AssertionError, match="tasks.db: .*locked: another program holds a lock"), controller(tmp_path):
            pass


def set_aside(folder):
    """Ids in the files of what waits (src/store/sqlite_backlog.h): slots of 64 KiB, records with their size in front."""
    ids = set()
    for path in folder.glob("tasks.db-waiting-*"):
        data = path.read_bytes()
        for at in range(0, len(data), 1 << 16):
            magic, length = struct.unpack_from("8sQ", data, at)
            at += 16
            end = at + length if magic == b"ersa-bl1" else at
            while at < end:
                size, _, n = struct.unpack_from("III", data, at)
                ids.add(data[at + 12:at + 12 + n].decode())
                at += size
    return ids


def test_a_deep_queue_outlives_its_controller(tmp_path):
    """What waits is set aside in a file; after a kill the next controller knows of all that was there."""
    n = 20_000
    with load_under_way(tmp_path, n, "--engines=0", "--hold") as (controller, load):
        load.stdin.write("go\n")
        load.stdin.flush()
        wait_until(lambda: set_aside(tmp_path), "requests that were set aside", 30)
        controller.process.kill()
        controller.wait()
    there = set_aside(tmp_path) | rows(tmp_path)
    assert there
    (tmp_path / "next").mkdir()
    with Cluster("ours-ours", tmp_path / "next", engines=0, controller_args=[
            "--sqlitedb", f"--SQLiteDB.location={tmp_path}"]) as cluster, cluster.client() as client:
        assert there <= set(client.hub_history())
        assert not set_aside(tmp_path)
        assert there <= rows(tmp_path)


def test_a_deep_queue_is_in_the_table_when_it_is_quiet(tmp_path):
    n = 20_000
    with load_under_way(tmp_path, n, "--engines=0", "--hold") as (controller, load):
        load.stdin.write("go\n")
        load.stdin.flush()
        wait_until(lambda: len(rows(tmp_path)) == n + 1, "a row for each request", 60)  # and one for the load's last word
        assert list(tmp_path.glob("tasks.db-waiting-*")) and not set_aside(tmp_path)
        assert controller.is_running()
    assert not list(tmp_path.glob("tasks.db-waiting-*"))


def held_back(controller, load):
    wait_until(lambda: stands_still(controller.pid) or load.poll() is not None, "a pause")
    assert load.poll() is None
    if not any(kind in os.environ.get("ERSA_BUILD", "") for kind in ("asan", "tsan")):
        assert resident_mb(controller.pid) < 200


def goes_on(controller, load, folder, n):
    out, _ = load.communicate(timeout=300)
    assert json.loads(out)["tasks"] == n
    wait_until(lambda: count(folder) == n, "all records", 120)
    assert "lost" not in controller.output()


def test_what_cannot_be_written_in_time_is_held_back(tmp_path):
    """Somebody else holds the lock: submission waits, memory is bounded, nothing is lost."""
    n = 100_000
    with load_under_way(tmp_path, n) as (controller, load):
        lock = sqlite3.connect(tmp_path / "tasks.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        load.stdin.write("go\n")
        load.stdin.flush()
        held_back(controller, load)
        lock.execute("ROLLBACK")
        lock.close()
        goes_on(controller, load, tmp_path, n)


def test_who_asks_while_somebody_holds_the_lock(tmp_path):
    """Nobody else waits for it: results come, also from records that are older, and who searches is told."""
    with controller(tmp_path) as cluster, cluster.client() as client:
        view = client.load_balanced_view()
        old = view.apply_async(abs, -1)
        old.get(timeout=30)
        wait_until(lambda: count(tmp_path), "commit")
        lock = sqlite3.connect(tmp_path / "tasks.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        new = view.apply_async(abs, -2)
        assert new.get(timeout=30) == 2
        begun = time.monotonic()
        for _ in range(3):
            client.results.clear()
            client.metadata.clear()
            for task, value in ((old, 1), (new, 2)):
                assert client.get_result(task.msg_ids, owner=False).get(timeout=30) == [value]
            for search in (client.hub_history, lambda: client.db_query({"msg_id": old.msg_ids[0]}),
                           lambda: client.purge_hub_results(old)):
                with pytest.raises(ipp.error.RemoteError, match="locked"):
                    search()
        assert time.monotonic() - begun < 60  # it was ten seconds for each
        wait_until(lambda: "locked by somebody else" in cluster.controller.output(), "a word about it")
        lock.execute("ROLLBACK")
        lock.close()
        wait_until(lambda: "records are written again" in cluster.controller.output(), "another one")
        assert client.hub_history() == [*old.msg_ids, *new.msg_ids]


def test_a_full_disk_holds_submission_back(tmp_path):
    """However long there is no room: what fits into memory waits, no more is taken, nothing is lost."""
    n = 30_000
    with load_under_way(tmp_path, n) as (controller, load):
        soft, hard = resource.prlimit(controller.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(controller.pid, resource.RLIMIT_FSIZE, (1 << 20, hard))
        load.stdin.write("go\n")
        load.stdin.flush()
        wait_until(lambda: "further ones are only counted" in controller.output(), "a word about it")
        wait_until(lambda: figure(tmp_path, "ersa_store_full") == 1, "a full store")
        held_back(controller, load)
        assert count(tmp_path) < n / 10
        resource.prlimit(controller.pid, resource.RLIMIT_FSIZE, (soft, hard))
        goes_on(controller, load, tmp_path, n)


def test_who_asks_while_the_disk_is_full(tmp_path):
    """The hub answers within five seconds: what it can't know it says, and why; then all is known."""
    n = 30_000
    with load_under_way(tmp_path, n) as (controller, load):
        client = ipp.Client(str(next(tmp_path.glob("**/ipcontroller-client.json"))), timeout=60)
        soft, hard = resource.prlimit(controller.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(controller.pid, resource.RLIMIT_FSIZE, (1 << 20, hard))
        load.stdin.write("go\n")
        load.stdin.flush()
        wait_until(lambda: figure(tmp_path, "ersa_store_full") == 1, "a full store")
        held_back(controller, load)
        took = []
        for ask in (client.hub_history, lambda: client.db_query({"queue": "task"}, keys=["msg_id"]),
                    lambda: client.purge_results("all"), lambda: client.get_result("nobody's", owner=False).get(30)):
            start = time.monotonic()
            with pytest.raises(ipp.error.RemoteError, match="StoreFull: the sqlite store of task records .*: .*ask again"):
                ask()
            took.append(time.monotonic() - start)
        assert min(took) < 5 and max(took) < 20, took
        resource.prlimit(controller.pid, resource.RLIMIT_FSIZE, (soft, hard))
        goes_on(controller, load, tmp_path, n)
        assert len(client.hub_history()) == n
        assert figure(tmp_path, "ersa_store_full") == 0
        client.close()


def stands_still(pid):
    """The process does next to nothing for half a second."""
    def ticks():
        return sum(map(int, pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))
    before, until = ticks(), time.monotonic() + 0.5
    while time.monotonic() < until:
        time.sleep(0.02)
    return ticks() - before <= 3


def resident_mb(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024
