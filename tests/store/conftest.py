# SPDX-License-Identifier: BSD-3-Clause
"""Task stores from outside: stock clients, our controller and engines, the reference's own store classes.

Runs in .venv-ref. `cluster` is one of ours for each store in turn. MongoDB is a server that keeps its data in
a file (tools/deps.sh installs it); replica sets and users can't be tested with it."""
import contextlib
import pathlib
import random
import signal
import socket
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve()
ROOT = HERE.parents[2]
sys.path.insert(0, str(HERE.parents[1] / "support"))
from clusters import Cluster  # noqa: E402
from processes import wait_until  # noqa: E402


def lasting_port():
    """A free one that nobody is given who asks for any, while its server is away."""
    while True:
        port = random.randrange(10_000, 32_000)
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            return port


class MongoServer:
    """On a free port, with its data in `folder`, or in memory."""

    def __init__(self, folder, in_memory=False):
        self.folder = pathlib.Path(folder)
        self.data = "-" if in_memory else str(self.folder / "data.mv")
        self.port = lasting_port()
        self.uri = f"mongodb://127.0.0.1:{self.port}"
        self.lives = 0
        self.start()

    def start(self):
        self.lives += 1
        log = self.folder / f"mongo-{self.lives}.log"
        with open(log, "wb") as out:
            self.process = subprocess.Popen(
                ["java", "-Xmx256m", "-cp", str(ROOT / ".mongo-server" / "*"), str(HERE.with_name("MongoServer.java")),
                 self.data, str(self.port)],
                stdin=subprocess.PIPE, stdout=out, stderr=out, start_new_session=True)
        wait_until(lambda: "ready" in log.read_text() or self.process.poll() is not None, "MongoDB server")
        assert self.process.poll() is None, log.read_text()

    def signal(self, signo):
        self.process.send_signal(signo)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()

    def stop(self):
        if self.process.poll() is not None:
            return
        self.signal(signal.SIGCONT)
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="session")
def mongodb(tmp_path_factory):
    server = MongoServer(tmp_path_factory.mktemp("mongodb"))
    yield server
    server.stop()


@pytest.fixture
def own_mongodb(tmp_path):
    """One that a test may stop."""
    server = MongoServer(tmp_path)
    yield server
    server.stop()


def mongo_args(server, database="ipython-tasks"):
    return ["--mongodb", f"--MongoDB.connection_args={server.uri}", f"--MongoDB.database={database}"]


@pytest.fixture(scope="module", params=["memory", "sqlite", "mongodb"])
def cluster(request, tmp_path_factory):
    """Two engines, and records of everything that a module's tests do."""
    if request.param == "mongodb":
        args = mongo_args(request.getfixturevalue("mongodb"), request.module.__name__)
    else:
        args = {"memory": ["--dictdb"], "sqlite": ["--sqlitedb"]}[request.param]
    with Cluster("ours-ours", tmp_path_factory.mktemp(request.param), engines=2, controller_args=args) as cluster:
        yield cluster


@pytest.fixture
def client(cluster):
    with cluster.client() as client:
        yield client
