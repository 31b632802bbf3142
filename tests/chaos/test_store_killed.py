# SPDX-License-Identifier: BSD-3-Clause
"""The controller is killed at random moments while it writes task records to SQLite, with few tasks outstanding and
with a deep queue: the database is whole each time, and has every task whose result a client had two seconds before.
Asked are the file, the reference's store and the next controller.

ERSA_CHAOS_KILLS: how often; ERSA_CHAOS_SEED: to repeat a run (it is printed)."""
import os
import random
import signal
import sqlite3
import time

import pytest
import zmq
from clients import Client
from clusters import Cluster
from ipyparallel.serialize import pack_apply_message
from reference_store import reference

from load import Place

KILLS = int(os.environ.get("ERSA_CHAOS_KILLS", "3"))
SEED = os.environ.get("ERSA_CHAOS_SEED") or str(time.time_ns() % 1_000_000)
WINDOWS = (200, 12_000)  # tasks outstanding: of a deep queue most requests wait in a file beside the database,
SLOW = (time.sleep, (0.002,), {})  # if they take longer than it takes to submit them
BURST = 4  # submitted for each answer until there are so many
ENGINES = 2
GRACE_S = 2    # a result may be so much newer than the newest record
LIFE_S = (0, 4)  # the first is a long one
SAMPLE = 20
PORTS = (10_000, 32_000)  # which nobody gets who asks for any, while the controller is down
HOLDS = {"completed": {"$ne": None}}


class Submitter:
    """Keeps tasks outstanding, and notes when it had each result of this life of the controller."""

    def __init__(self, connection_file, window):
        self.connection_file, self.window = connection_file, window
        self.context = zmq.Context()
        task = SLOW if window == max(WINDOWS) else (divmod, (2**70, 3), {})
        self.buffers = [bytes(b) for b in pack_apply_message(*task)]
        self.client, self.waiting, self.answered, self.n = None, set(), {}, 0

    def connect(self):
        self.client = Client(self.context, Place(self.connection_file))
        self.client.wait_engines(ENGINES, 60)
        self.waiting, self.answered = set(), {}

    def keep_busy(self, until):
        while time.monotonic() < until:
            missing_tasks = self.window - len(self.waiting)
            for _ in range(min(BURST, missing_tasks)):
                self.waiting.add(self.client.submit({}, {}, self.buffers)["msg_id"])
            if self.client.task.poll(0 if missing_tasks > BURST else 5):
                self.collect()

    def collect(self):
        reply = self.client.session.unpack(self.client.task.recv_multipart())
        assert reply.content["status"] == "ok", reply.content
        self.waiting.remove(reply.parent["msg_id"])
        self.answered[reply.parent["msg_id"]] = time.monotonic()
        self.n += 1

    def disconnect(self):
        self.client.close()

    def close(self):
        self.context.destroy(linger=0)


def missing(ids, found):
    lost = sorted(set(ids) - set(found))
    return f"{len(lost)} of {len(ids)}: {lost[:5]}" if lost else None


def check_file(folder, ids):
    db = sqlite3.connect(folder / "tasks.db")
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert not missing(ids, [i for i, in db.execute("SELECT msg_id FROM 'ipython-tasks' WHERE completed IS NOT NULL")])
    db.close()


def check_by_reference(folder, ids, sample):
    theirs = reference(folder)
    assert not missing(ids, theirs.get_history())
    assert not missing(ids, [r["msg_id"] for r in theirs.find_records(HOLDS, ["msg_id"])])
    for record in map(theirs.get_record, sample):
        assert record["result_content"]["status"] == "ok" and record["result_buffers"] and record["engine_uuid"]
    theirs.close()


def check_by_controller(client, ids, sample):
    assert not missing(ids, client.query("history_request", timeout=60).content["history"])
    reply = client.query("db_request", {"query": HOLDS, "keys": ["msg_id"]}, timeout=60).content
    assert not missing(ids, [r["msg_id"] for r in reply["records"]])
    if sample:
        reply = client.query("result_request", {"msg_ids": sample}, timeout=60).content
        assert reply["status"] == "ok", reply
        assert set(reply["completed"]) == set(sample) and not reply["pending"], reply


@pytest.fixture
def submitter_of():
    made = []

    def make(connection_file, window):
        made.append(Submitter(connection_file, window))
        return made[-1]

    yield make
    for submitter in made:
        submitter.close()


@pytest.mark.parametrize("window", WINDOWS)
def test_database_of_a_killed_controller(window, tmp_path, submitter_of, capfd):
    dice = random.Random(f"{SEED} store {window}")
    kept = set()
    first = random.randrange(*PORTS)  # not of this test's seed: another one may run beside it
    with Cluster("ours-ours", tmp_path, engines=ENGINES, controller_args=[
            "--sqlitedb", f"--SQLiteDB.location={tmp_path}", "--restore", f"--ports={first}-{first + 199}"]) as cluster:
        submitter = submitter_of(cluster.client_file, window)
        submitter.connect()
        for life in range(KILLS):
            submitter.keep_busy(time.monotonic() + (LIFE_S[1] if life == 0 else dice.uniform(*LIFE_S)))
            killed_s = time.monotonic()
            assert window != max(WINDOWS) or life or list(tmp_path.glob("tasks.db-waiting-*")), submitter.n
            cluster.controller.process.send_signal(signal.SIGKILL)
            cluster.controller.wait()
            submitter.disconnect()
            kept |= {i for i, when in submitter.answered.items() if when < killed_s - GRACE_S}
            sample = dice.sample(sorted(kept), min(SAMPLE, len(kept)))
            check_file(tmp_path, kept)
            check_by_reference(tmp_path, kept, sample)
            cluster.start_controller()
            submitter.connect()
            check_by_controller(submitter.client, kept, sample)
        submitter.disconnect()
        with capfd.disabled():
            print(f"\ndatabase, seed {SEED}, {window} outstanding: {KILLS} kills, {submitter.n} results, {len(kept)} of them older"
                  f" than {GRACE_S} s at a kill")
        assert all(e.is_running() for e in cluster.engines)
    assert kept
