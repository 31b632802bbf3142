# SPDX-License-Identifier: BSD-3-Clause
"""Dependencies by the hundred thousand, through the real controller (schedulers.md 4): what becomes of chains, fan-out and fan-in,
that the work is linear, and that nobody else waits for it. The scheduler alone is in src/router/sched_scale_test.c.

CPU time is measured on a build without sanitizers."""
import json
import os
import threading
import time

import pytest

import harness
from harness import DELIMITER, PATIENCE_S, header_of, raw_recv, wait_until

MANY = 100_000
GROWTH, SLACK = 4, 2  # four times as many tasks may cost eight times as much; a square would be sixteen
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@pytest.fixture
def start(start_controller, make_peers, monkeypatch):
    """(controller, client, engine): one engine that takes whatever comes."""
    plain = harness.ROOT / "build" / "bin"
    if "san" in str(harness.BIN) and (plain / "ipcontroller").exists():
        monkeypatch.setattr(harness, "BIN", plain)

    def go(*args, engines=1):
        controller = start_controller("--ping=1000", "--log-level=30", "--hwm=0", "--nodb", *args)
        peers = make_peers(controller)
        client = peers.client()
        made = [peers.attached() for _ in range(engines)]
        client.wait_engines(engines)
        return controller, client, made[0] if made else None

    return go


def cpu_s(controller):
    fields = open(f"/proc/{controller.process.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


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
            except harness.Silence:
                continue
            self.order.append(header_of(request)["msg_id"])
            content = {"status": "ok"} if self.status == "ok" else {"status": "error", "ename": "Wrong", "evalue": "", "traceback": []}
            self.engine.answer(request, content=content, metadata={"status": self.status})

    def stop(self):
        self.stopping.set()
        self.join(PATIENCE_S)


class Witness(threading.Thread):
    """Another client that wants to be served all the time: how long it had to wait at most."""

    def __init__(self, client):
        super().__init__(daemon=True)
        self.client, self.slowest_s, self.served = client, 0, 0
        self.stopping = threading.Event()
        self.start()

    def run(self):
        while not self.stopping.wait(0.005):
            begin = time.monotonic()
            self.client.query("queue_request", {"targets": None})
            self.slowest_s = max(self.slowest_s, time.monotonic() - begin)
            self.served += 1

    def stop(self):
        self.stopping.set()
        self.join(PATIENCE_S)


def fail_head(engine):
    request = engine.recv()
    engine.answer(request, content={"status": "error", "ename": "Wrong", "evalue": "", "traceback": []},
                  metadata={"status": "error"})


def chain_head_fails(start, n):
    controller, client, engine = start()
    flock = Flock(client)
    begin = cpu_s(controller)
    before = flock.submit({})
    for _ in range(n - 1):
        before = flock.submit({"after": [before], "timeout": 3600})
    fail_head(engine)
    flock.collect(n)
    assert flock.errors == {"Wrong": 1, "ImpossibleDependency": n - 1}
    return cpu_s(controller) - begin


def fan_in(start, n):
    controller, client, engine = start()
    flock = Flock(client)
    begin = cpu_s(controller)
    for _ in range(n - 1):
        flock.submit({})
    last = flock.submit({"after": flock.ids})
    worker = Worker(engine)
    flock.collect(n)
    worker.stop()
    assert flock.errors == {"ok": n} and worker.order[-1] == last
    return cpu_s(controller) - begin


def timeouts(start, n):
    controller, client, engine = start()
    flock = Flock(client)
    begin = cpu_s(controller)
    head = flock.submit({})
    for i in range(n - 1):
        flock.submit({"after": [head], "timeout": 0.5 + i % 7 / 10})
    flock.collect(n - 1)
    assert flock.errors == {"TaskTimeout": n - 1}
    return cpu_s(controller) - begin


@pytest.mark.parametrize("scene", [chain_head_fails, fan_in, timeouts])
def test_work_is_linear(start, scene):
    small, large = scene(start, MANY // GROWTH), scene(start, MANY)
    print(f"{scene.__name__}: {MANY // GROWTH} tasks {small:.2f} s, {MANY} tasks {large:.2f} s")
    assert large < max(small, 10 * TICK_S) * GROWTH * SLACK


@pytest.mark.parametrize("how", ["after", "follow"])
def test_fan_out(start, how):
    n = MANY // 4
    _, client, engine = start()
    flock = Flock(client)
    head = flock.submit({})
    for _ in range(n - 1):
        flock.submit({how: [head]})
    worker = Worker(engine)
    flock.collect(n)
    worker.stop()
    assert flock.errors == {"ok": n}
    assert worker.order == flock.ids


def test_fan_out_of_a_failure(start):
    n = MANY
    _, client, engine = start()
    flock = Flock(client)
    head = flock.submit({})
    for i in range(n - 1):
        flock.submit({"follow" if i % 2 else "after": [head]})
    fail_head(engine)
    flock.collect(n)
    assert flock.errors == {"Wrong": 1, "ImpossibleDependency": n - 1}


def test_chain_of_successes(start):
    n = MANY // 10
    _, client, engine = start()
    flock, worker = Flock(client), Worker(engine)
    before = flock.submit({})
    for i in range(n - 1):
        before = flock.submit({"after" if i % 2 else "follow": [before]})
    flock.collect(n)
    worker.stop()
    assert flock.errors == {"ok": n} and worker.order == flock.ids


def test_abort_of_a_chains_head(start):
    """There is no engine that could run it; all hear of it."""
    n = MANY
    controller, client, engine = start()
    busy = header_of(engine_busy(client, engine))
    flock = Flock(client)
    before = flock.submit({"after": [busy["msg_id"]]})
    head = before
    for _ in range(n - 1):
        before = flock.submit({"after": {"dependencies": [before], "success": True}})
    wait_until(lambda: client.query("queue_request", {"targets": None}).content["unassigned"] == n, 60, "all of them")
    client.send_control(engine.uuid, "abort_request", {"msg_ids": [head]})
    flock.collect(n)
    assert flock.errors == {"aborted": 1, "ImpossibleDependency": n - 1}


def engine_busy(client, engine):
    client.submit()
    return engine.recv()


def test_engine_dies_under_those_who_follow(start):
    n = MANY
    controller, client, engine = start()
    flock = Flock(client)
    head = flock.submit({})
    for _ in range(n - 1):
        flock.submit({"follow": [head]})
    wait_until(lambda: client.query("queue_request", {"targets": None}).content["unassigned"] == n - 1, 60, "all of them")
    engine.begin(engine.recv())
    engine.close()
    flock.collect(n)
    assert flock.errors == {"EngineError": 1, "ImpossibleDependency": n - 1}


def test_client_is_gone_when_its_chain_fails(start, make_peers):
    n = MANY
    controller, client, engine = start()
    flock = Flock(client)
    before = flock.submit({})
    for _ in range(n - 1):
        before = flock.submit({"after": [before]})
    other = make_peers(controller).client()

    def unassigned():
        return other.query("queue_request", {"targets": None}).content["unassigned"]

    wait_until(lambda: unassigned() == n - 1, 60, "all of them")
    client.close()
    fail_head(engine)
    wait_until(lambda: unassigned() == 0, 60, "their end")
    other.submit()
    engine.answer(engine.recv())
    assert other.recv(other.task).content["status"] == "ok"


def test_others_are_served_while_a_chain_fails(start, make_peers):
    n = MANY
    controller, client, engine = start()
    flock = Flock(client)
    before = flock.submit({})
    for _ in range(n - 1):
        before = flock.submit({"after": [before]})
    other = make_peers(controller).client()
    wait_until(lambda: other.query("queue_request", {"targets": None}).content["unassigned"] == n - 1, 60, "all of them")
    witness = Witness(other)
    fail_head(engine)
    flock.collect(n)
    witness.stop()
    assert witness.served > 5
    print(f"the slowest of {witness.served} took {witness.slowest_s * 1000:.0f} ms")
    assert witness.slowest_s < 1
    assert controller.rss_mb() < 250


def test_impossible_lists(start):
    """One id a hundred thousand times, an id that nobody has seen behind them, and the task's own."""
    _, client, engine = start()
    flock = Flock(client)
    head = flock.submit({})
    flock.submit({"after": [head] * MANY, "follow": [head] * MANY})
    flock.submit({"after": [head] * MANY + ["never"]})
    flock.submit({"follow": [head] * MANY + [flock.id(3)]})
    flock.submit({"after": flock.id(5)})  # the next
    flock.submit({"after": flock.id(4)})  # and so there is no circle
    flock.collect(4)
    assert [flock.answers.get(i) for i in flock.ids[2:]] == ["InvalidDependency"] * 3 + ["ImpossibleDependency"]
    worker = Worker(engine)
    flock.collect(6)
    worker.stop()
    assert worker.order == flock.ids[:2]
