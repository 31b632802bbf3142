# SPDX-License-Identifier: BSD-3-Clause
"""MongoDB across programs and lives: the suite of all stores, the reference's class, a server that ends, one
that hangs."""
import contextlib
import datetime
import os
import signal
import socket
import socketserver
import subprocess
import threading

import bson
import pymongo
import pytest
from clusters import Cluster
from conftest import ROOT, answered_history, mongo_args
from ipyparallel.controller.mongodb import MongoDB
from ipyparallel.error import RemoteError
from processes import wait_until
from test_sqlite import BUFFERS, WHEN, record

BUILD = os.environ.get("ERSA_BUILD", str(ROOT / "build"))


def wait_for(path):
    import os
    import time
    while not os.path.exists(path):
        time.sleep(0.02)
    return "passed"


wait_for.__module__ = "__main__"


def reference(server, database):
    return MongoDB(session="s", database=database, connection_args=[server.uri])


def controller(folder, server, database, *args):
    return Cluster("ours-ours", folder, engines=1, controller_args=[*mongo_args(server, database), *args])


@pytest.mark.parametrize("suite", ["store_store_test", "store_store_find_test"])
def test_the_suites_of_all_stores(mongodb, suite):
    uri = f"{mongodb.uri}/?socketTimeoutMS=60000"  # for a write, on a busy machine
    done = subprocess.run([f"{BUILD}/src/store/{suite}"], env=dict(os.environ, ERSA_TEST_MONGODB=uri),
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_the_reference_wrote(mongodb, tmp_path):
    theirs = reference(mongodb, "theirs")
    theirs.add_record("id0", record(0))
    theirs.add_record("id1", record(1, completed=WHEN, result_content={"status": "ok"}, result_buffers=BUFFERS,
                                    result_header={"msg_type": "execute_reply"}, stdout="out\n", label="l"))
    with controller(tmp_path, mongodb, "theirs") as cluster, cluster.client() as client:
        assert answered_history(client) == ["id0", "id1"]
        got = client.db_query({"label": "l"}, keys=["buffers", "result_buffers", "stdout", "submitted"])[0]
        assert [bytes(b) for b in got["buffers"]] == [bytes(b) for b in got["result_buffers"]] == BUFFERS
        assert got["stdout"] == "out\n"
        assert abs(got["submitted"] - WHEN - datetime.timedelta(seconds=1)) < datetime.timedelta(milliseconds=1)
        assert [r["msg_id"] for r in client.db_query({"completed": None}, keys=["msg_id"])] == ["id0"]


def test_what_the_reference_reads(mongodb, tmp_path):
    with controller(tmp_path, mongodb, "ours") as cluster, cluster.client() as client:
        view = client.load_balanced_view()
        with view.temp_flags(label="l"):
            task = view.apply_async(bytes, b"payload")
        assert task.get(timeout=30) == b"payload"
        ours = client.db_query({"msg_id": task.msg_ids[0]})[0]
        assert client.db_query({"submitted": ours["submitted"]}, keys=["msg_id"]) == [{"msg_id": task.msg_ids[0]}]
    theirs = reference(mongodb, "ours")
    assert theirs.get_history() == [task.msg_ids[0]]
    got = theirs.get_record(task.msg_ids[0])
    for field in ("content", "result_content", "client_uuid", "engine_uuid", "queue", "label", "stdout"):
        assert got[field] == ours[field], field
    assert len(got["buffers"]) == 3 and b"payload" in b"".join(map(bytes, got["result_buffers"]))
    assert ours["submitted"] - got["submitted"] < datetime.timedelta(milliseconds=1)
    assert got["resubmitted"] is None
    assert theirs.find_records({"label": {"$glob": "l*"}}, ["msg_id"])


def test_a_server_that_ends(own_mongodb, tmp_path):
    with controller(tmp_path, own_mongodb, "lives") as cluster, cluster.client() as client:
        first = client[0].apply_async(abs, -1)
        first.get(timeout=30)
        assert answered_history(client) == first.msg_ids
        own_mongodb.stop()
        second = client[0].apply_async(abs, -2)
        assert second.get(timeout=30) == 2
        with pytest.raises(RemoteError, match="MongoDB"):
            client.hub_history()
        own_mongodb.start()
        ids = first.msg_ids + second.msg_ids
        wait_until(lambda: answered_history(client) == ids, "history")
        assert client.get_result(ids, owner=False).get(timeout=30) == [1, 2]
        assert "written again" in cluster.controller.output()


def test_a_server_that_hangs(own_mongodb, tmp_path):
    """Submission goes on; records lose their payload and say so."""
    with controller(tmp_path, own_mongodb, "hangs") as cluster, cluster.client() as client:
        view = client.load_balanced_view()
        view.apply_async(abs, -1).get(timeout=30)
        own_mongodb.freeze()
        tasks = [view.apply_async(bytes, 1_000_000 + i) for i in range(60)]
        assert [len(t.get(timeout=60)) for t in tasks] == [1_000_000 + i for i in range(60)]
        own_mongodb.signal(signal.SIGCONT)
        ids = [t.msg_ids[0] for t in tasks]

        def done():
            try:
                return client.db_query({"msg_id": {"$in": ids}, "completed": {"$ne": None}}, keys=["result_content"])
            except RemoteError:
                return []
        wait_until(lambda: len(done()) == 60, "records")
        states = [r["result_content"].get("ename", r["result_content"]["status"]) for r in done()]
        assert set(states) == {"ok", "ResultDropped"}
        lost = ids[states.index("ResultDropped")]
        client.results.clear()
        client.metadata.clear()
        with pytest.raises(RemoteError, match="ResultDropped"):
            client.get_result(lost, owner=False).get(timeout=30)


def test_limits(mongodb, tmp_path):
    with controller(tmp_path, mongodb, "limits", "--MongoDB.record_limit=20",
                    "--MongoDB.cull_fraction=0.5") as cluster, cluster.client() as client:
        tasks = client[0].map_async(abs, range(3))
        ids = [client[0].apply_async(abs, i).msg_ids[0] for i in range(30)]
        tasks.get(timeout=30)
        client.wait(timeout=30)
        wait_until(lambda: len(answered_history(client)) <= 20, "limit")
        assert answered_history(client)[-1] == ids[-1]


def test_limits_take_what_is_done_first(mongodb, tmp_path):
    """A task that runs for long is the oldest, and keeps its record."""
    with controller(tmp_path, mongodb, "done_first", "--MongoDB.record_limit=20") as cluster, cluster.client() as client:
        gate = tmp_path / "gate"
        slow = client[0].apply_async(wait_for, str(gate))
        wait_until(lambda: answered_history(client) == slow.msg_ids, "its record")
        known = reference(mongodb, "done_first")  # 60 tasks of another life, that are done
        for i in range(60):
            known.add_record(f"id{i}", record(i, completed=WHEN))
        wait_until(lambda: len(answered_history(client)) <= 20, "limit")
        assert slow.msg_ids[0] in answered_history(client)
        gate.touch()
        assert slow.get(timeout=30) == "passed"
        assert client.db_query({"msg_id": slow.msg_ids[0]}, keys=["completed"])[0]["completed"]
        assert "gone from the server" not in cluster.controller.output()


def test_output_of_nobody_grows_old(mongodb, tmp_path):
    """Records that were never requested have no date: their age is that of their id."""
    rows = pymongo.MongoClient(mongodb.uri)["aged"]["task_records"]
    old = bson.ObjectId.from_datetime(datetime.datetime(2020, 1, 1))
    rows.insert_many([{"_id": old, "msg_id": "old", "submitted": None}, {"msg_id": "new", "submitted": None}])
    with controller(tmp_path, mongodb, "aged", "--MongoDB.max_age=3600"):
        wait_until(lambda: not rows.count_documents({"msg_id": "old"}), "its end")
        assert rows.count_documents({"msg_id": "new"}) == 1


class CountingRelay(socketserver.ThreadingTCPServer):
    """In front of a server: how often it is asked. An answer that is there at once is one write of it."""
    daemon_threads = allow_reuse_address = True

    def __init__(self, port):
        super().__init__(("127.0.0.1", 0), None)
        self.to, self.asked = port, 0
        self.uri = f"mongodb://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def finish_request(self, request, address):
        with socket.create_connection(("127.0.0.1", self.to)) as server:
            threading.Thread(target=self.back, args=(server, request), daemon=True).start()
            whole = request.makefile("rb")
            while head := whole.read(4):
                self.asked += 1
                server.sendall(head + whole.read(int.from_bytes(head, "little") - 4))

    @staticmethod
    def back(server, request):
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                request.sendall(data)


@pytest.fixture
def mongodb_in_memory(new_mongodb, tmp_path):
    server = new_mongodb(tmp_path, in_memory=True)
    yield server
    server.close()


def test_many_results_are_a_few_questions(mongodb_in_memory, tmp_path):
    ids = [f"id{i:05}" for i in range(3000)]
    rows = pymongo.MongoClient(mongodb_in_memory.uri)["many"]["task_records"]
    header = {"msg_type": "execute_reply", "session": "c0", "username": "u", "version": "5.3", "date": WHEN}
    rows.insert_many([{"msg_id": i, "header": dict(header, msg_id=i), "metadata": {},
                       "result_header": dict(header, msg_id=f"of {i}"), "result_metadata": {},
                       "result_content": {"status": "ok", "execution_count": 1}, "completed": WHEN if i != ids[7] else None} for i in ids])
    with CountingRelay(mongodb_in_memory.port) as relay:
        with controller(tmp_path, relay, "many") as cluster, cluster.client() as client:
            before = relay.asked
            content = client.result_status(ids, status_only=False)
            assert content["pending"] == [ids[7]] and content["completed"] == ids[:7] + ids[8:]
            assert relay.asked - before < 30
            with pytest.raises(RemoteError, match="No such message: id01000x"):
                client.result_status([*ids, "id01000x"], status_only=False)
        relay.shutdown()


def test_no_server(tmp_path):
    with pytest.raises(AssertionError, match="MongoDB: No suitable servers found"):
        with Cluster("ours-ours", tmp_path, engines=0,
                     controller_args=["--mongodb", "--MongoDB.connection_args=mongodb://127.0.0.1:1"]):
            pass


def test_killed_controller_leaves_no_shared_memory(tmp_path):
    """libmongoc shows its counters there, whatever the store is, and removes them only when all goes well."""
    before = set(os.listdir("/dev/shm"))
    with Cluster("ours-ours", tmp_path, engines=0) as cluster:
        pid = cluster.controller.pid
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not cluster.controller.is_running(), "end")
        assert [name for name in set(os.listdir("/dev/shm")) - before if str(pid) in name] == []


def test_bad_address(tmp_path):
    with pytest.raises(AssertionError, match="MongoDB: "):
        with Cluster("ours-ours", tmp_path, engines=0,
                     controller_args=["--mongodb", "--MongoDB.connection_args=mongodb://a:b:c/"]):
            pass
