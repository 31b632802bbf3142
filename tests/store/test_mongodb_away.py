# SPDX-License-Identifier: BSD-3-Clause
"""A MongoDB server that is away while tasks run, stopped or killed: payloads may go, accounts do not, memory is
bounded, who asks gets an error soon, the controller can end."""
import contextlib
import json
import os
import re
import signal
import subprocess
import time
import urllib.request

import pymongo
import pytest
from clusters import Cluster
from conftest import ROOT, answered, mongo_args
from ipyparallel.error import RemoteError
from processes import wait_until
from test_sqlite import resident_mb

BUILD = os.environ.get("ERSA_BUILD", str(ROOT / "build"))
IS_SANITIZED = any(kind in BUILD for kind in ("asan", "tsan"))
DROPPED = {"result_content.ename": "ResultDropped"}
DONE = {"completed": {"$ne": None}}


class Outage:
    """Both kinds: connections that hang, and those that are refused."""

    def __init__(self, server, kind):
        self.server, self.kind = server, kind

    def begin(self):
        self.server.freeze() if self.kind == "hangs" else self.server.kill()

    def end(self):
        if self.kind == "hangs":
            self.server.signal(signal.SIGCONT)
            return
        self.server.start()
        if self.server.data == "-":  # nothing was written before, but for the index
            records(self.server).create_index("msg_id", unique=True)


@pytest.fixture(params=["hangs", "killed"])
def outage(request, own_mongodb):
    return Outage(own_mongodb, request.param)


@pytest.fixture
def quick_server(new_mongodb, tmp_path):
    """For many tasks: it has its data in memory."""
    server = new_mongodb(tmp_path, in_memory=True)
    yield server
    server.close()


@pytest.fixture(params=["hangs", "killed"])
def long_outage(request, quick_server):
    return Outage(quick_server, request.param)


def controller(folder, server, *args, engines=0):
    return Cluster("ours-ours", folder, engines=engines, controller_args=[
        *mongo_args(server, "away"), "--HeartMonitor.period=60000", "--metrics-port=0", *args])


@contextlib.contextmanager
def load(cluster, n):
    """A load generator that is ready for n tasks."""
    files = [str(cluster.profile / "security" / f"ipcontroller-{side}.json") for side in ("client", "engine")]
    program = subprocess.Popen([f"{BUILD}/tests/bench/loadgen", *files, "--engines=4", f"--tasks={n}"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert program.stdout.readline() == "ready\n"
        program.stdin.write("go\n")
        program.stdin.flush()
        yield program
    finally:
        program.kill()
        program.communicate()


def figure(cluster, name):
    url = re.search(r"http://\S+/metrics", cluster.controller.output()).group()
    with urllib.request.urlopen(url, timeout=30) as answer:
        text = answer.read().decode()
    return float(re.search(rf"^{name} (\S+)$", text, re.M).group(1))


def records(server):
    return pymongo.MongoClient(server.uri)["away"]["task_records"]


def assert_memory_is_bounded(cluster):
    if not IS_SANITIZED:
        assert resident_mb(cluster.controller.pid) < 200


def test_accounting_survives(long_outage, tmp_path):
    """As many tasks as fit nowhere: first they lose their payload, then submission waits, and it goes on."""
    n = 16_000
    with controller(tmp_path, long_outage.server, "--MongoDB.waiting_limit=1M") as cluster:
        long_outage.begin()
        with load(cluster, n) as program:
            wait_until(lambda: figure(cluster, "ersa_store_full") == 1 or program.poll() is not None, "a full store")
            assert program.poll() is None
            assert 1e6 / 250 < figure(cluster, "ersa_store_pending_accounts") < 1e6 / 100
            assert figure(cluster, "ersa_store_stripped_records_total") > 1e6 / 250
            assert_memory_is_bounded(cluster)
            heard = figure(cluster, "ersa_store_events_total")
            assert figure(cluster, "ersa_store_events_total") == heard < 2 * n
            long_outage.end()
            out, _ = program.communicate(timeout=400)
        assert json.loads(out)["tasks"] == n
        rows = records(long_outage.server)
        wait_until(lambda: figure(cluster, "ersa_store_pending_records") == 0, "everything written", 300)
        wait_until(lambda: rows.count_documents(DONE) == n, lambda: f"{rows.count_documents(DONE)} of {n}", 120)
        assert rows.count_documents({}) == n
        dropped = rows.count_documents(DROPPED)
        assert 1e6 / 250 < dropped <= n
        one = rows.find_one(DROPPED)
        assert one["submitted"] <= one["received"] and one["completed"] and one["engine_uuid"] and one["client_uuid"]
        assert one["queue"] == "task"
        assert figure(cluster, "ersa_store_lost_changes_total") == 0
        assert "lost" not in cluster.controller.output()


def test_large_payloads(outage, tmp_path):
    """Every task has a record with its completion; those whose result did not fit say so."""
    with controller(tmp_path, outage.server, engines=1) as cluster, cluster.client() as client:
        view = client.load_balanced_view()
        outage.begin()
        tasks = [view.apply_async(bytes, 1_000_000 + i) for i in range(60)]
        tasks += [view.apply_async(len, b"x" * 1_000_000) for _ in range(20)]
        assert [t.get(timeout=60) for t in tasks[60:]] == [1_000_000] * 20
        assert [len(t.get(timeout=60)) for t in tasks[:60]] == [1_000_000 + i for i in range(60)]
        assert_memory_is_bounded(cluster)
        outage.end()
        rows = records(outage.server)
        wait_until(lambda: rows.count_documents(DONE) == 80, lambda: f"{rows.count_documents(DONE)} of 80", 120)
        states = {row["msg_id"]: row["result_content"].get("ename", row["result_content"]["status"])
                  for row in rows.find({}, ["msg_id", "result_content"])}
        assert set(states) == {t.msg_ids[0] for t in tasks}
        assert set(states.values()) == {"ok", "ResultDropped"}
        assert list(states.values()).count("ResultDropped") == figure(cluster, "ersa_store_stripped_records_total")


def test_who_asks_while_it_is_full(long_outage, tmp_path):
    """Gets an error within 5 s, again and again, and the answer afterwards."""
    n = 15_000
    with controller(tmp_path, long_outage.server, "--MongoDB.waiting_limit=256K") as cluster, cluster.client() as client:
        long_outage.begin()
        with load(cluster, n) as program:
            wait_until(lambda: figure(cluster, "ersa_store_full") == 1 or program.poll() is not None, "a full store")
            took = []
            for ask in [client.hub_history, lambda: client.db_query({"msg_id": "x"}), client.hub_history]:
                begun = time.monotonic()
                with pytest.raises(RemoteError, match="StoreFull|MongoDB does not answer"):
                    ask()
                took.append(time.monotonic() - begun)
            assert min(took) < (6 if not IS_SANITIZED else 10) and max(took) < 20, took
            assert client.queue_status() is not None  # what needs no records
            assert program.poll() is None
            long_outage.end()
            program.communicate(timeout=400)
        rows = records(long_outage.server)
        wait_until(lambda: not any(figure(cluster, f"ersa_store_pending_{what}") for what in ("records", "accounts")),
                   "everything written", 300)
        wait_until(lambda: rows.count_documents(DONE) == n, lambda: f"{rows.count_documents(DONE)} of {n}", 120)
        assert answered(lambda: client.db_query({"msg_id": "x"})) == []  # to sort them all takes this server a while


def test_the_controller_ends(long_outage, tmp_path):
    """While the server is away, with a full store."""
    with controller(tmp_path, long_outage.server, "--MongoDB.waiting_limit=256K") as cluster:
        long_outage.begin()
        with load(cluster, 20_000) as program:
            wait_until(lambda: figure(cluster, "ersa_store_full") == 1 or program.poll() is not None, "a full store")
            assert program.poll() is None
            begun = time.monotonic()
            cluster.controller.process.terminate()
            wait_until(lambda: not cluster.controller.is_running(), "end", 50)
            assert time.monotonic() - begun < 40
        assert re.search(r"\d+ task records are lost: MongoDB does not answer", cluster.controller.output())


def test_the_controller_writes_what_waits(quick_server, tmp_path):
    """It ends just when the server is back: it takes the time to write."""
    n = 8_000
    with controller(tmp_path, quick_server, "--MongoDB.waiting_limit=2M") as cluster:
        quick_server.freeze()
        with load(cluster, n) as program:
            out, _ = program.communicate(timeout=300)
        assert json.loads(out)["tasks"] == n
        wait_until(lambda: figure(cluster, "ersa_store_pending_accounts") > 0, "accounts")
        quick_server.signal(signal.SIGCONT)
        wait_until(lambda: figure(cluster, "ersa_store_pending_accounts") == 0, "accounts written", 200)
        cluster.controller.process.terminate()
        wait_until(lambda: not cluster.controller.is_running(), "end", 120)
        assert "lost" not in cluster.controller.output()
    assert records(quick_server).count_documents(DONE) == n
