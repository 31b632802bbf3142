# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of SQLite databases share: controllers that write one, a load for them, looks into it from outside."""
import contextlib
import json
import os
import pathlib
import sqlite3
import subprocess
import urllib.request

from clusters import Cluster
from conftest import ROOT


def controller(folder, *args):
    return Cluster("ours-ours", folder, engines=1,
                   controller_args=["--sqlitedb", f"--SQLiteDB.location={folder}", *args])


def ask(folder, sql):
    db = sqlite3.connect(folder / "tasks.db")
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


def count(folder):
    return ask(folder, "SELECT count(*) FROM 'ipython-tasks' WHERE completed IS NOT NULL")[0][0]


def rows(folder):
    return {msg_id for msg_id, in ask(folder, "SELECT msg_id FROM 'ipython-tasks'")}


@contextlib.contextmanager
def load_under_way(folder, n, *args):
    """A controller with SQLite, and a load generator that is ready for n tasks."""
    build = pathlib.Path(os.environ.get("ERSA_BUILD", ROOT / "build"))
    with Cluster("ours-ours", folder, engines=0,
                 controller_args=["--sqlitedb", f"--SQLiteDB.location={folder}", "--HeartMonitor.period=60000", "--metrics-port=0"]) as c:
        files = [str(c.profile / "security" / f"ipcontroller-{side}.json") for side in ("client", "engine")]
        load = subprocess.Popen([str(build / "tests/bench/loadgen"), *files, f"--tasks={n}", *(args or ["--engines=4"])],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            assert load.stdout.readline() == "ready\n"
            yield c.controller, load
        finally:
            load.kill()


def figure(folder, name):
    address = json.loads(next(folder.glob("**/ipcontroller-client.json")).read_text())["ersa"]["metrics"]
    text = urllib.request.urlopen(address, timeout=10).read().decode()
    return float(next(line for line in text.splitlines() if line.startswith(name + " ")).split()[1])
