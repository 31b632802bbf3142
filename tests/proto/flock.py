# SPDX-License-Identifier: BSD-3-Clause
"""Tasks by the hundred thousand: a client that submits them quickly and reads their answers, an engine that answers them, another
client that wants to be served meanwhile, and the controller's CPU time."""
import json
import threading
import time

import pytest

import controllers
from messages import DELIMITER, header_of
from waiting import PATIENCE_S, Silence, raw_recv

MANY = 100_000


@pytest.fixture
def start(start_controller, make_peers, monkeypatch):
    """(controller, client, engine): one engine that takes whatever comes."""
    plain = controllers.ROOT / "build" / "bin"
    if "san" in str(controllers.BIN) and (plain / "ipcontroller").exists():
        monkeypatch.setattr(controllers, "BIN", plain)

    def go(*args, engines=1):
        controller = start_controller("--ping=1000", "--log-level=30", "--hwm=0", "--nodb", *args)
        peers = make_peers(controller)
        client = peers.client()
        made = [peers.attached() for _ in range(engines)]
        client.wait_engines(engines)
        return controller, client, made[0] if made else None

    return go


def cpu_s(controller):
    return time.clock_gettime(~controller.process.pid << 3 | 2)  # clock_getcpuclockid(3)


class Flock:
    """Task ids of a client in great numbers, and their answers."""

    def __init__(self, client):
        self.client, self.session = client, client.session
        self.ids, self.answers, self.errors = [], {}, {}

    def id(self, number):
        return f"{self.session.id}_7_{number}"

    def submit(self, metadata):
        text = json.dumps(metadata).encode()
        msg_id = self.id(len(self.ids))
        header = (f'{{"msg_id": "{msg_id}", "msg_type": "apply_request", "username": "t", "session": "{self.session.id}", '
                  '"date": "2026-01-01T00:00:00.000000Z", "version": "5.3"}').encode()
        self.ids.append(msg_id)
        self.client.task.send_multipart(self.session.pack_raw(header, b"{}", text, b"{}", [b"work"]))
        return msg_id

    def chain(self, n, metadata=None, **terms):
        """The first under `metadata`, and each of the others after the one before."""
        before = self.submit(metadata or {})
        for _ in range(n - 1):
            before = self.submit({"after": [before], **terms})

    def fan(self, n, *ways):
        """One, and all others wait for it: `after` or `follow`, by turns."""
        head = self.submit({})
        for i in range(n - 1):
            self.submit({ways[i % len(ways)]: [head]})

    def collect(self, n, timeout=60):
        """Reads until n answers are there."""
        while len(self.answers) < n:
            frames = raw_recv(self.client.task, timeout)
            at = frames.index(DELIMITER)
            parent, content = json.loads(frames[at + 3]), json.loads(frames[at + 5])
            assert parent["msg_id"] not in self.answers, "answered twice"
            name = content.get("ename", content["status"])
            self.answers[parent["msg_id"]] = name
            self.errors[name] = self.errors.get(name, 0) + 1


class Worker(threading.Thread):
    """Answers the engine's tasks until it is told to stop."""

    def __init__(self, engine, status="ok"):
        super().__init__(daemon=True)
        self.engine, self.status, self.order = engine, status, []
        self.stopping = threading.Event()
        self.start()

    def run(self):
        while not self.stopping.is_set():
            try:
                request = self.engine.recv(timeout=0.1)
            except Silence:
                continue
            self.order.append(header_of(request)["msg_id"])
            content = {"status": "ok"} if self.status == "ok" else {"status": "error", "ename": "Wrong", "evalue": "", "traceback": []}
            self.engine.answer(request, content=content, metadata={"status": self.status})

    def stop(self):
        self.stopping.set()
        self.join(PATIENCE_S)


class Witness(threading.Thread):
    """Another client that wants to be served all the time: what else the controller did at most before it was, as CPU
    time, since on a busy machine everybody waits."""

    def __init__(self, client):
        super().__init__(daemon=True)
        self.client, self.served, self.most_s, self.begin_s = client, 0, 0, cpu_s(client.controller)
        self.stopping = threading.Event()
        self.start()

    def run(self):
        while not self.stopping.wait(0.005):
            begin = cpu_s(self.client.controller)
            self.client.query("queue_request", {"targets": None})
            self.most_s = max(self.most_s, cpu_s(self.client.controller) - begin)
            self.served += 1

    def stop(self):
        """It never had to wait for a great part of the whole."""
        self.stopping.set()
        self.join(PATIENCE_S)
        whole_s = cpu_s(self.client.controller) - self.begin_s
        told = f"served {self.served} times; the longest wait was for {self.most_s:.3f} s of {whole_s:.3f} s"
        print(told)
        assert self.served > 5 and self.most_s < max(0.1, whole_s / 3), told


def fail_head(engine):
    request = engine.recv()
    engine.answer(request, content={"status": "error", "ename": "Wrong", "evalue": "", "traceback": []},
                  metadata={"status": "error"})
