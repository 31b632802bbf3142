# SPDX-License-Identifier: BSD-3-Clause
"""A MongoDB server that is killed while task records are written to it, and comes back with its file: nobody waits for it,
whatever it had not acknowledged is written again, and what it acknowledged and then lost is at most its own last moments.

Few tasks at a time: the server of these tests can't read back what changes while it writes very much."""
import collections
import contextlib
import signal
import socket
import socketserver
import struct
import threading
import time
import types

import bson
import ipyparallel as ipp
import pymongo
import pytest
from ipyparallel.error import RemoteError
from conftest import answered_history
from processes import wait_until
from test_mongodb_away import DONE, IS_SANITIZED, controller, figure, records

KILLS = 2
WINDOW = 2
PATIENCE_S = 60
LOSES_S = 5    # of what it has acknowledged the server may lose the last second; and this machine may be slow
LONG_S = 3     # longer than a record waits for its task's end


@pytest.fixture
def server(own_mongodb):
    return own_mongodb


def hold(seconds):
    import time
    time.sleep(seconds)
    return -1


hold.__module__ = "__main__"


class Tasks(threading.Thread):
    """A few short tasks at a time on one engine, one long task after the other on another one; when their client had
    each result."""

    def __init__(self, client):
        super().__init__(daemon=True)
        self.client = client
        self.has_to_end = threading.Event()
        self.short, self.long, self.error = {}, {}, None
        self.start()

    def run(self):
        try:
            waiting, long = collections.deque(), None
            while not self.has_to_end.is_set():
                if not long or long.ready():
                    self.take(long, self.long)
                    long = self.client[1].apply_async(hold, LONG_S)
                waiting.append(self.client[0].apply_async(abs, -1))
                if len(waiting) == WINDOW:
                    self.take(waiting.popleft(), self.short)
            for task in waiting:
                self.take(task, self.short)
            self.take(long, self.long)
        except Exception as error:
            self.error = error

    @staticmethod
    def take(task, done):
        if task:
            assert task.get(PATIENCE_S) in (1, -1)
            done[task.msg_ids[0]] = time.monotonic()

    def go_on(self, n):
        """So many more results."""
        before = len(self.short)
        wait_until(lambda: len(self.short) >= before + n or self.error, f"{n} results", PATIENCE_S)
        assert not self.error, self.error

    def finish(self):
        self.has_to_end.set()
        self.join(2 * PATIENCE_S)
        assert not self.error and not self.is_alive(), self.error


def written(rows):
    return {row["msg_id"] for row in rows.find(DONE, ["msg_id"])}


def test_what_was_not_acknowledged_is_written_again(server, tmp_path):
    kills = []
    with controller(tmp_path, server, engines=2) as cluster, cluster.client() as client, \
            ipp.Client(cluster.client_file) as asker:
        tasks = Tasks(client)
        rows = records(server)
        for _ in range(KILLS):
            known = rows.estimated_document_count()
            wait_until(lambda n=known: tasks.error or rows.estimated_document_count() > n + 100, "records")
            server.kill()
            kills.append(time.monotonic())
            tasks.go_on(20)
            begun = time.monotonic()
            with pytest.raises(RemoteError, match="MongoDB"):
                asker.hub_history()
            assert time.monotonic() - begun < (10 if not IS_SANITIZED else 20)
            server.start()
            tasks.go_on(20)
        tasks.finish()
        told = set(answered_history(asker))  # for which everything is written
        found = written(rows)
        missing = {i: when for i, when in {**tasks.short, **tasks.long}.items() if i not in found
                   and not any(kill - LOSES_S < when <= kill for kill in kills)}
        late = set(missing) & set(tasks.short)
        assert not late, [round(missing[i] - kills[-1], 2) for i in sorted(late, key=missing.get)][:20]
        assert len(found) > len(tasks.short) / 2
        # The record of one that ran at a kill may have gone with it; then its end is a change that was lost.
        lost = set(missing) & set(tasks.long)
        wait_until(lambda: figure(cluster, "ersa_store_lost_changes_total") >= len(lost), f"{lost} counted as lost")
        assert figure(cluster, "ersa_store_lost_changes_total") <= len(kills)
        assert found <= told
        assert figure(cluster, "ersa_store_stripped_records_total") == 0


def test_a_record_that_is_gone(server, tmp_path):
    """Its change is counted as lost, and said."""
    with controller(tmp_path, server, engines=1) as cluster, cluster.client() as client:
        task = client[0].apply_async(hold, LONG_S)
        rows = records(server)
        wait_until(lambda: rows.delete_one({"msg_id": task.msg_ids[0]}).deleted_count, "a record")
        assert task.get(PATIENCE_S) == -1
        wait_until(lambda: figure(cluster, "ersa_store_lost_changes_total") == 1, "a change that is counted as lost")
        assert rows.count_documents({"msg_id": task.msg_ids[0]}) == 0
        wait_until(lambda: "1 changed records are gone from the server" in cluster.controller.output(), "a word about it")


def read_message(sock):
    """One message of MongoDB's protocol, its length in front."""
    octets = sock.recv(4, socket.MSG_WAITALL)
    if len(octets) == 4:
        octets += sock.recv(struct.unpack("<i", octets)[0] - 4, socket.MSG_WAITALL)
    return octets


class Fussy(socketserver.BaseRequestHandler):
    """In front of a server: refuses commands as a whole, those to write anything with "poison" in it."""

    def handle(self):
        with socket.create_connection(self.server.behind) as behind, contextlib.suppress(OSError):
            while message := read_message(self.request):
                if self.server.refuses(message):
                    self.server.refused += 1
                    document = bson.encode(self.server.answer)
                    answer = struct.pack("<iiiiib", 21 + len(document), 1, *struct.unpack_from("<i", message, 4), 2013, 0, 0)
                    self.request.sendall(answer + document)
                    continue
                behind.sendall(message)
                self.request.sendall(read_message(behind))


@contextlib.contextmanager
def fussy(server):
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Fussy) as front:
        front.daemon_threads = True
        front.behind = ("127.0.0.1", server.port)
        front.refuses = lambda message: b"poison" in message
        front.refused = 0
        front.answer = {"ok": 0.0, "errmsg": "not this", "code": 8, "codeName": "UnknownError"}
        threading.Thread(target=front.serve_forever, daemon=True).start()
        yield types.SimpleNamespace(uri=f"mongodb://127.0.0.1:{front.server_address[1]}", server=front)
        front.shutdown()


def test_what_the_server_never_takes_keeps_nobody_waiting(server, tmp_path):
    """A command that fails as a whole is tried again change by change: one that is refused while others are taken, or ten
    times alone, is given up."""
    with fussy(server) as front, controller(tmp_path, front, engines=1) as cluster, cluster.client() as client:
        view = client.load_balanced_view()
        for n in (30, 0):
            before = figure(cluster, "ersa_store_lost_changes_total")
            with view.temp_flags(label="poison"):
                bad = view.apply_async(abs, -1)
            good = [view.apply_async(abs, -1) for _ in range(n)]
            assert [t.get(PATIENCE_S) for t in [bad, *good]] == [1] * (n + 1)
            wait_until(lambda n=before: figure(cluster, "ersa_store_lost_changes_total") > n, "a change that is given up")
            told = set(answered_history(client))
            assert {t.msg_ids[0] for t in good} <= told and bad.msg_ids[0] not in told
        assert "not this" in cluster.controller.output()


def test_a_batch_of_which_nothing_is_taken(server, tmp_path):
    """However many changes there are: after some tries those go that the server refuses while it takes something else."""
    n = 40
    with fussy(server) as front, controller(tmp_path, front, engines=1) as cluster, cluster.client() as client:
        view = client.load_balanced_view()
        server.freeze()  # so that they come as one batch
        with view.temp_flags(label="poison"):
            bad = [view.apply_async(abs, -1) for _ in range(n)]
        assert [t.get(PATIENCE_S) for t in bad] == [1] * n
        server.signal(signal.SIGCONT)
        wait_until(lambda: figure(cluster, "ersa_store_lost_changes_total") >= n, "changes that are given up", PATIENCE_S)
        good = view.apply_async(abs, -1)
        good.get(PATIENCE_S)
        assert good.msg_ids[0] in set(answered_history(client))
        assert "ersa_probe" not in pymongo.MongoClient(server.uri)["away"].list_collection_names() or \
            pymongo.MongoClient(server.uri)["away"]["ersa_probe"].count_documents({}) == 0


def test_a_server_that_takes_nothing_at_all(server, tmp_path):
    """Its disk is full, or its user may only read by now: that passes, and nothing is given up."""
    with fussy(server) as front, controller(tmp_path, front, engines=1) as cluster, cluster.client() as client:
        view = client.load_balanced_view()
        front.server.refuses = lambda message: b"$set" in message or b"$inc" in message
        tasks = [view.apply_async(abs, -1) for _ in range(5)]
        assert [t.get(PATIENCE_S) for t in tasks] == [1] * 5
        wait_until(lambda: front.server.refused > 75, "more tries than any change is worth", PATIENCE_S)  # six each time, then a probe
        front.server.refuses = lambda message: False
        assert {t.msg_ids[0] for t in tasks} == set(answered_history(client))
        assert figure(cluster, "ersa_store_lost_changes_total") == 0


@pytest.mark.parametrize("answer", [
    {"ok": 0.0, "errmsg": "no room", "code": 14031},
    {"ok": 1.0, "n": 0, "nModified": 0, "writeErrors": [{"index": i, "code": 14031, "errmsg": "no room"} for i in range(5)]}])
def test_a_server_whose_disk_is_full(server, tmp_path, answer):
    """It may say so of the command, or of each change."""
    with fussy(server) as front, controller(tmp_path, front, engines=1) as cluster, cluster.client() as client:
        view = client.load_balanced_view()
        server.freeze()
        tasks = [view.apply_async(abs, -1) for _ in range(5)]
        assert [t.get(PATIENCE_S) for t in tasks] == [1] * 5
        front.server.answer = answer
        front.server.refuses = lambda message: b"$set" in message or b"$inc" in message
        server.signal(signal.SIGCONT)
        wait_until(lambda: front.server.refused > 8, "tries")
        front.server.refuses = lambda message: False
        assert {t.msg_ids[0] for t in tasks} == set(answered_history(client))
        assert figure(cluster, "ersa_store_lost_changes_total") == 0


def test_a_server_that_takes_changes_again_meanwhile(server, tmp_path):
    """While each change is tried alone: those that it refused before are no worse than those that it took."""
    with fussy(server) as front, controller(tmp_path, front, engines=1) as cluster, cluster.client() as client:
        view = client.load_balanced_view()
        server.freeze()  # so that they come as one batch
        tasks = [view.apply_async(abs, -1) for _ in range(5)]
        assert [t.get(PATIENCE_S) for t in tasks] == [1] * 5
        front.server.refuses = lambda message: b"$set" in message and front.server.refused < 3  # the batch, then two of five
        server.signal(signal.SIGCONT)
        assert {t.msg_ids[0] for t in tasks} == set(answered_history(client))
        assert front.server.refused == 3
        assert figure(cluster, "ersa_store_lost_changes_total") == 0


def test_a_server_that_takes_no_more_changes_meanwhile(server, tmp_path):
    """Only what it refuses while it takes others is given up."""
    with fussy(server) as front, controller(tmp_path, front, engines=1) as cluster, cluster.client() as client:
        view = client.load_balanced_view()
        server.freeze()
        with view.temp_flags(label="poison"):
            bad = view.apply_async(abs, -1)
        tasks = [view.apply_async(abs, -1) for _ in range(5)]
        assert [t.get(PATIENCE_S) for t in [bad, *tasks]] == [1] * 6
        taken, front.server.is_full = [], True

        def refuses(message):
            if b"poison" in message:
                return True
            taken.append(message)
            return front.server.is_full and len(taken) > 2

        front.server.refuses = refuses
        server.signal(signal.SIGCONT)
        wait_until(lambda: front.server.refused > 8, "tries")
        assert figure(cluster, "ersa_store_lost_changes_total") == 0
        front.server.is_full = False
        assert {t.msg_ids[0] for t in tasks} == set(answered_history(client))
        wait_until(lambda: figure(cluster, "ersa_store_lost_changes_total") == 1, "the one that is given up")


def test_a_purge_is_a_few_commands(server, tmp_path):
    """However many records there are: a message each would hold up everybody else."""
    n = 300
    with fussy(server) as front, controller(tmp_path, front, engines=1) as cluster, cluster.client() as client:
        ids = [r.msg_ids[0] for r in [client[0].apply_async(abs, -1) for _ in range(n)]]
        client.wait(timeout=PATIENCE_S)
        assert set(ids) == set(answered_history(client))
        deletes = []
        front.server.refuses = lambda message: b"delete" in message and deletes.append(message)
        client.purge_hub_results(ids[:n // 2])
        client.purge_hub_results("all")
        assert client.hub_history() == [] and 2 <= len(deletes) < 10
