# SPDX-License-Identifier: BSD-3-Clause
"""Task stores from outside: stock clients, our controller and engines, the reference's own store classes.

Runs in .venv-ref. `cluster` is one of ours for each store in turn. MongoDB is a server that keeps its data in
a file (tools/deps.sh installs it); replica sets and users can't be tested with it."""
import functools
import pathlib
import signal
import socket
import subprocess
import sys

import pytest
from ipyparallel.error import RemoteError

HERE = pathlib.Path(__file__).resolve()
ROOT = HERE.parents[2]
sys.path.insert(0, str(HERE.parents[1] / "support"))
from clusters import Cluster  # noqa: E402
from processes import freeze, wait_until  # noqa: E402

JAVA = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]  # it lives for seconds


def keep_port():
    """A free one, as a socket that is bound to it and doesn't listen: whoever asks for any port is given another one as
    long as it is open, and a server that names this one gets it, as often as it is started."""
    keeper = socket.socket()
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeper.bind(("127.0.0.1", 0))
    return keeper


class MongoServer:
    """With its data in `folder`, or in memory. `classes` is where MongoServer.java was compiled to."""

    def __init__(self, classes, folder, in_memory=False):
        self.path = f"{classes}:{ROOT}/.mongo-server/*"
        self.folder = pathlib.Path(folder)
        self.data = "-" if in_memory else str(self.folder / "data.mv")
        self.keeper = keep_port()
        self.port = self.keeper.getsockname()[1]
        self.uri = f"mongodb://127.0.0.1:{self.port}"
        self.lives = 0
        self.start()

    def start(self):
        self.lives += 1
        log = self.folder / f"mongo-{self.lives}.log"
        with open(log, "wb") as out:
            self.process = subprocess.Popen(["java", *JAVA, "-cp", self.path, "Main", self.data, str(self.port)],
                                            stdin=subprocess.PIPE, stdout=out, stderr=out, start_new_session=True)
        wait_until(lambda: "ready" in log.read_text() or self.process.poll() is not None, "MongoDB server")
        assert self.process.poll() is None, log.read_text()

    def signal(self, signo):
        self.process.send_signal(signo)

    def freeze(self):
        freeze(self.process.pid)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()

    def stop(self):
        """For the time being."""
        if self.process.poll() is not None:
            return
        self.signal(signal.SIGCONT)
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


    def close(self):
        self.stop()
        self.keeper.close()


@pytest.fixture(scope="session")
def new_mongodb(tmp_path_factory):
    """Starts servers."""
    classes = tmp_path_factory.mktemp("classes")
    subprocess.run(["javac", "-cp", f"{ROOT}/.mongo-server/*", "-d", classes, HERE.with_name("MongoServer.java")], check=True)
    return functools.partial(MongoServer, classes)


@pytest.fixture(scope="session")
def mongodb(new_mongodb, tmp_path_factory):
    server = new_mongodb(tmp_path_factory.mktemp("mongodb"))
    yield server
    server.close()


@pytest.fixture
def own_mongodb(new_mongodb, tmp_path):
    """One that a test may stop."""
    server = new_mongodb(tmp_path)
    yield server
    server.close()


def mongo_args(server, database="ipython-tasks"):
    return ["--mongodb", f"--MongoDB.connection_args={server.uri}", f"--MongoDB.database={database}"]


def answered(ask):
    """What the hub says as soon as it has an answer: a server that is slow, or was away, makes it an error."""
    def try_it():
        try:
            return [ask()]
        except RemoteError:
            return None
    return wait_until(try_it, "an answer")[0]


def answered_history(client):
    return answered(client.hub_history)


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
