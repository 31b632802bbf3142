# SPDX-License-Identifier: BSD-3-Clause
"""Many simulated engines register at once, tasks go to all of them, and meanwhile everything that talks between the
controller's threads is used: records, queries, metrics. Made for `tools/check.py chaos-tsan`, and short otherwise.

ERSA_CHAOS_ENGINES, ERSA_CHAOS_TASKS: how many."""
import contextlib
import json
import os
import pathlib
import re
import select
import subprocess
import threading
import urllib.request

import pytest
import zmq
from clients import Client
from clusters import Cluster
from processes import ROOT

from load import Place

BENCH = pathlib.Path(os.environ.get("ERSA_BUILD", ROOT / "build")) / "tests" / "bench"
ENGINES = int(os.environ.get("ERSA_CHAOS_ENGINES", "100"))
TASKS = int(os.environ.get("ERSA_CHAOS_TASKS", "2000"))
PROCESSES = 2
PATIENCE_S = 250
STORES = {"sqlite": ["--sqlitedb"], "memory": ["--dictdb", "--DictDB.record_limit=1000000"]}
QUESTIONS = [("queue_request", {"targets": None, "verbose": True}), ("load_request", {"targets": None}),
             ("history_request", {}), ("db_request", {"query": {"completed": None}, "keys": ["msg_id", "submitted"]}),
             ("connection_request", {})]


def line(process):
    assert select.select([process.stdout], [], [], PATIENCE_S)[0], f"{process.args[0]}: nothing said"
    return process.stdout.readline().strip()


@contextlib.contextmanager
def tool(cluster, first_word, name, *args):
    files = [cluster.profile / "security" / f"ipcontroller-{side}.json" for side in ("client", "engine")]
    process = subprocess.Popen([BENCH / name, *files, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert line(process) == first_word
        yield process
        process.stdin.close()
        process.wait(PATIENCE_S)
    finally:
        process.kill()
        process.wait()


def go(process):
    process.stdin.write("go\n")
    process.stdin.flush()


class Beside(threading.Thread):
    """Does something again and again until it is told to end; the number of times."""

    def __init__(self, what):
        super().__init__(daemon=True)
        self.what, self.n, self.error = what, 0, None
        self.has_to_end = threading.Event()
        self.start()

    def run(self):
        try:
            while not self.has_to_end.wait(0.01):
                self.what(self.n)
                self.n += 1
        except Exception as error:
            self.error = error

    def finish(self):
        self.has_to_end.set()
        self.join(PATIENCE_S)
        if self.error:
            raise self.error
        return self.n


def scrape(cluster):
    url = re.search(r"http://\S+/metrics", cluster.controller.output()).group()
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
        assert b"ersa_" in answer.read()


def ask(client, n):
    answer = client.query(*QUESTIONS[n % len(QUESTIONS)], timeout=PATIENCE_S)
    assert answer.content["status"] == "ok", answer.content


@pytest.mark.parametrize("curve", [False, True])
@pytest.mark.parametrize("store", STORES)
def test_storm(store, curve, tmp_path, capfd):
    args = [*STORES[store], "--metrics-port=0", f"--IPController.enable_curve={curve}", "--HeartMonitor.period=10000"]
    with Cluster("ours-ours", tmp_path, engines=0, controller_args=args) as cluster, zmq.Context() as context, \
            contextlib.ExitStack() as stack:
        client = Client(context, Place(cluster.client_file))
        stack.callback(client.close)
        beside = [Beside(lambda n: scrape(cluster)), Beside(lambda n: scrape(cluster)), Beside(lambda n: ask(client, n))]
        usable = stack.enter_context(tool(cluster, "waiting", "usable", f"--engines={ENGINES}"))
        share = ENGINES // PROCESSES
        crowds = [stack.enter_context(tool(cluster, "waiting", "engines", f"--engines={share}", "--attach"))
                  for _ in range(PROCESSES)]
        for crowd in crowds:
            go(crowd)
        figures = json.loads(line(usable))
        assert figures["usable"] == ENGINES and figures["wrong"] == 0, figures
        assert [line(crowd) for crowd in crowds] == ["registered"] * PROCESSES
        load = stack.enter_context(tool(cluster, "ready", "loadgen", "--engines=0", "--clients=4", f"--tasks={TASKS}"))
        go(load)
        assert json.loads(line(load))["tasks"] == TASKS
        scrapes, _, answers = [thread.finish() for thread in beside]
        records = client.query("history_request", timeout=PATIENCE_S).content["history"]
        assert len(set(records)) == len(records) == TASKS + ENGINES
        assert cluster.controller.is_running()
        with capfd.disabled():
            print(f"\n{ENGINES} engines, {TASKS} tasks, {store}, curve {curve}: {scrapes} scrapes twice, {answers} answers")
