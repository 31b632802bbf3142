# SPDX-License-Identifier: BSD-3-Clause
"""Memory has bounds whatever peers do (design.md 7 and 9): resident memory stays below 200 MB and the limit of a client, others
are served meanwhile, and a counter tells what was refused or dropped. And what a burst took is given back.

Memory is measured on a build without sanitizers, which keep what is freed."""
import contextlib
import hmac
import json
import os
import resource
import select
import socket
import sqlite3
import threading
import time

import pytest

import controllers
import zmtp
from clients import unassigned
from engines import CAPS
from messages import header_of
from raw_engine import RawEngine
from waiting import PATIENCE_S, Silence, raw_recv, wait_until

LIMIT_MB = 48
BOUND_MB = 200 + LIMIT_MB
MB = 1 << 20
HELD_BACK_S = 2  # who can't send, or hears nothing, for so long is held back


@pytest.fixture
def start(start_controller, monkeypatch):
    plain = controllers.ROOT / "build" / "bin"
    if "san" in str(controllers.BIN) and (plain / "ipcontroller").exists():
        monkeypatch.setattr(controllers, "BIN", plain)

    def go(*args):
        return start_controller("--ping=500", "--log-level=20", f"--TaskScheduler.client_limit={LIMIT_MB * MB}",
                                "--metrics-port=0", *args)

    return go


class Witness(threading.Thread):
    """The most resident memory that a controller has had, from /proc; and a client that wants to be served all the time."""

    def __init__(self, controller, client, engine):
        super().__init__(daemon=True)
        self.controller, self.client, self.engine = controller, client, engine
        self.most, self.slowest, self.served = 0, 0, 0
        self.stopping = threading.Event()
        self.failure = None

    def run(self):
        try:
            while not self.stopping.wait(0.02):
                self.most = max(self.most, self.controller.rss_mb())
                start = time.monotonic()
                header = self.client.send_mux(self.engine.uuid)
                self.engine.answer(self.engine.recv(channel="mux"), channel="mux")
                assert self.client.recv(self.client.mux).parent == header
                self.slowest = max(self.slowest, time.monotonic() - start)
                self.served += 1
        except BaseException as e:  # noqa: BLE001  (told by the test's own thread)
            self.failure = e

    def __enter__(self):
        self.since = time.monotonic()
        self.start()
        return self

    def __exit__(self, *exc):
        self.seconds = time.monotonic() - self.since
        self.stopping.set()
        self.join(PATIENCE_S)

    def check(self):
        assert self.failure is None, repr(self.failure)
        # On a busy machine a turn may take long, but none may wait for the flood's end.
        enough = max(1, min(5, int(self.seconds)))
        assert self.served >= enough and self.slowest < max(5, self.seconds / 2), \
            f"served {self.served} times in {self.seconds:.1f} s, the slowest took {self.slowest:.1f} s"
        assert self.most < BOUND_MB, f"{self.most:.0f} MB"


@pytest.fixture
def witness(make_peers):
    made = []

    def make(controller):
        peers = make_peers(controller)
        client, engine = peers.client(), peers.attached()
        client.wait_engines(1)
        made.append((peers, Witness(controller, client, engine)))
        return made[-1]

    yield make
    for _, w in made:
        w.stopping.set()


def connection(controller, side, key, sock_type, after=b""):
    """A bare connection that has shaken hands and is not read."""
    host, port = controller.url(key, side).removeprefix("tcp://").split(":")
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    s.settimeout(PATIENCE_S)
    s.connect((host, int(port)))
    s.sendall(zmtp.greeting() + zmtp.ready(sock_type) + after)
    return s


class Packer:
    """The same request over and over under new ids, packed quickly."""

    def __init__(self, session, buffers):
        self.session, self.buffers, self.n = session, buffers, 0
        self.prefix = f"{session.id}_1_"
        self.text = (b'{"msg_id": "%b", "msg_type": "apply_request", "username": "tester", "session": "'
                     + session.id.encode() + b'", "date": "2026-01-01T00:00:00.000000Z", "version": "5.3"}')

    def __call__(self):
        header = self.text % f"{self.prefix}{self.n}".encode()
        self.n += 1
        sign = hmac.digest(self.session.key, header + b"{}{}{}", "sha256").hex().encode()
        return [b"<IDS|MSG>", sign, header, b"{}", b"{}", b"{}", *self.buffers]


class RawTask:
    """One task over and over, as octets for a bare connection."""

    def __init__(self, session, metadata, payload):
        self.session, self.metadata, self.payload = session, metadata, payload

    def __call__(self):
        frames = self.session.pack("apply_request", metadata=self.metadata, buffers=[self.payload])
        return RawEngine.encode(frames)


def test_client_that_floods_with_large_tasks(start, witness):
    controller = start()
    peers, w = witness(controller)
    flooder = peers.client()
    pack = Packer(flooder.session, [os.urandom(100_000)])
    nobody = {"targets": [w.engine.uuid]}
    with w:
        blocker = flooder.submit(metadata=nobody)  # its engine has one task and does not answer it
        for _ in range(5000):
            flooder.task.send_multipart(pack())
        replies = 0
        while replies < 5000 - LIMIT_MB * MB // 100_000 - 1:
            assert flooder.recv(flooder.task).content["ename"] == "QueueFull"
            replies += 1
    w.check()
    assert header_of(w.engine.recv()) == blocker
    refused = controller.metric('ersa_tasks_refused_total{reason="full"}')
    assert refused >= 5000 - LIMIT_MB * MB // 100_000 - 1, refused


def test_clients_that_come_anew_leave_tasks_and_go(start, witness):
    """Each is another client; what all of them leave is bounded, too, and others find room."""
    controller = start("--nodb")
    peers, w = witness(controller)
    task = RawTask(w.client.session, {"targets": [w.engine.uuid]}, os.urandom(MB))
    with w:
        blocker = w.client.submit(metadata={"targets": [w.engine.uuid]})  # is not answered
        for _ in range(12):
            with connection(controller, "client", "task", b"DEALER") as s:
                for _ in range(40):
                    s.sendall(task())
                s.shutdown(socket.SHUT_WR)
                while s.recv(65536):  # until it was read to its end
                    pass
        refused = controller.metric('ersa_tasks_refused_total{reason="full"}')
        late = peers.client()
        accepted = late.submit(metadata={"targets": [w.engine.uuid]})
        wait_until(lambda: controller.metric("ersa_tasks_submitted_total") == 1 + 12 * 40 - refused + 1, what="a task of one who comes later")
    w.check()
    assert header_of(w.engine.recv()) == blocker
    assert 12 * 40 - 2 * LIMIT_MB <= refused < 12 * 40 - LIMIT_MB, refused
    late.send_control(w.engine.uuid, "abort_request", {"msg_ids": [accepted["msg_id"]]})
    assert late.recv(late.task).content["status"] == "aborted"


def test_client_that_floods_and_reads_no_refusals(start, witness):
    controller = start()
    peers, w = witness(controller)
    pack = Packer(w.client.session, [bytes(200)])
    with w, connection(controller, "client", "task", b"DEALER") as s:
        s.settimeout(HELD_BACK_S)
        octets = 0
        end = time.monotonic() + 12
        try:
            while time.monotonic() < end:
                block = b"".join(RawEngine.encode(pack()) for _ in range(200))
                s.sendall(block)
                octets += len(block)
        except socket.timeout:
            pass  # it isn't read any more: that is the bound
    w.check()
    assert controller.metric('ersa_tasks_refused_total{reason="full"}') > 0


def send_to_all(sockets, octets):
    """As much of `octets` to each as is taken, a piece at a time; HELD_BACK_S without any end it. How much each took."""
    taken = dict.fromkeys(sockets, 0)
    for s in sockets:
        s.setblocking(False)
    while open_ones := [s for s, n in taken.items() if n < len(octets)]:
        _, ready, _ = select.select([], open_ones, [], HELD_BACK_S)
        if not ready:
            break
        for s in ready:
            taken[s] += s.send(octets[taken[s]:taken[s] + MB])
    return taken


@pytest.mark.parametrize("size", [4 * MB, 1000], ids=["one large frame", "many small frames"])
def test_many_large_messages_at_once(start, witness, size):
    """What has not all come stays with its senders, but for a share; and all comes in."""
    controller = start()
    peers, w = witness(controller)
    frame = size.to_bytes(8, "big") + bytes(size)
    octets = (b"\x03" + frame) * (4 * MB // size) + b"\x02" + frame
    with w, contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(connection(controller, "client", "task", b"DEALER")) for _ in range(100)]
        assert sum(send_to_all(sockets, octets).values()) == 100 * len(octets)
        wait_until(lambda: controller.metric('ersa_dropped_messages_total{reason="malformed"}') == 100, what="all messages")
    w.check()
    assert w.most < 200, f"{w.most:.0f} MB"  # what the system has of all these frames is far more
    assert controller.metric("ersa_held_up_connections_total") > 0
    assert controller.metric("ersa_stalled_connections_total") == 0


def test_many_messages_that_never_end(start, witness):
    """They are held back and, when others wait for their room, closed; it is given back."""
    controller = start()
    peers, w = witness(controller)
    before = controller.rss_mb()
    with w, contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(connection(controller, "client", "task", b"DEALER")) for _ in range(100)]
        send_to_all(sockets, b"\x02" + (16 * MB).to_bytes(8, "big") + bytes(9 * MB))
        wait_until(lambda: controller.metric("ersa_stalled_connections_total") > 0, what="one is closed")
    w.check()
    wait_until(lambda: controller.rss_mb() < before + 64, what="memory is given back")


def send_results(client, s, engine, result):
    """Answers one request over and over until the controller doesn't read any more; how often."""
    frames = client.session.pack("apply_request", buffers=[b"x"])
    s.sendall(RawEngine.encode([engine.uuid.encode(), *frames]))
    request = engine.recv_channel("mux")
    engine.socket.settimeout(HELD_BACK_S)
    with contextlib.suppress(socket.timeout):
        for sent in range(600):
            engine.send("mux", engine.reply_to(request, buffers=[result]))
    return sent


def test_client_that_reads_no_results(start, witness):
    """Its engine waits for it, until it is dropped; others have other engines."""
    controller = start("--HeartMonitor.max_heartmonitor_misses=1000")
    peers, w = witness(controller)
    deaf_engine = peers.raw()
    w.client.wait_engines(2)
    result = os.urandom(MB)
    with w, connection(controller, "client", "mux", b"DEALER") as s:
        sent = send_results(w.client, s, deaf_engine, result)
        assert 10 < sent < 400, f"{sent} MB were taken"
    w.check()


def test_many_clients_that_read_no_results(start, witness):
    """The first fill what one may have waiting, for the others there is less."""
    controller = start("--HeartMonitor.max_heartmonitor_misses=1000")
    peers, w = witness(controller)
    engines = [peers.raw() for _ in range(8)]
    w.client.wait_engines(9)
    result = os.urandom(MB)
    with w, contextlib.ExitStack() as stack:
        taken = [send_results(w.client, stack.enter_context(connection(controller, "client", "mux", b"DEALER")), e, result)
                 for e in engines]
        assert min(taken) >= 4, taken
    w.check()


def test_engine_that_stops_reading(start, witness):
    controller = start("--HeartMonitor.max_heartmonitor_misses=1000")
    peers, w = witness(controller)
    stuck = peers.raw()
    w.client.wait_engines(2)
    with w, connection(controller, "client", "mux", b"DEALER") as s:
        s.settimeout(HELD_BACK_S)
        payload = os.urandom(MB)
        sent = 0
        try:
            for _ in range(600):
                s.sendall(RawEngine.encode([stuck.uuid.encode(), *w.client.session.pack("apply_request", buffers=[payload])]))
                sent += 1
        except socket.timeout:
            pass
        assert 10 < sent < 400, f"{sent} MB were taken"
    w.check()


def test_engine_that_stops_reading_its_tasks(start, witness):
    """Without a high-water mark all of a client's tasks go to it; they count for the client."""
    controller = start("--hwm=0", "--HeartMonitor.max_heartmonitor_misses=1000")
    peers, w = witness(controller)
    stuck, flooder = peers.raw(), peers.client()
    w.client.wait_engines(2)
    targets = {"targets": [stuck.uuid]}
    with w:
        payload = os.urandom(MB)
        for _ in range(300):
            flooder.submit(metadata=targets, buffers=[payload])
        # It is told, or not read; both are a bound. libzmq takes all from it at once.
        end = time.monotonic() + 3
        while time.monotonic() < end:
            if flooder.task.poll(100):
                assert flooder.recv(flooder.task).content["ename"] == "QueueFull"
    w.check()


def test_subscriber_that_is_slow(start, witness):
    controller = start()
    peers, w = witness(controller)
    loud = peers.attached()
    w.client.wait_engines(2)
    header = w.client.submit(metadata={"targets": [loud.uuid]})
    request = loud.recv()
    assert header_of(request) == header
    text = "x" * (256 << 10)
    with w, connection(controller, "client", "iopub", b"SUB", b"\x00\x01\x01"):
        fast = peers.client()
        loud.publish(loud.stream(request, text))
        raw_recv(fast.iopub)
        for _ in range(1500):
            loud.publish(loud.stream(request, text))
            raw_recv(fast.iopub)
            while w.client.iopub.poll(0):
                w.client.iopub.recv_multipart()
        wait_until(lambda: controller.metric('ersa_dropped_messages_total{reason="slow_output_client"}') > 0, what="counter")
    w.check()


@pytest.mark.parametrize("size", [900, 256 << 10])
def test_many_subscribers_that_are_slow(start, witness, size):
    """What waits for them is bounded for all together, and who reads gets everything."""
    controller = start("--nodb")
    peers, w = witness(controller)
    loud = peers.attached()
    w.client.wait_engines(2)
    w.client.submit(metadata={"targets": [loud.uuid]})
    output = loud.stream(loud.recv(), "x" * size)
    n = 400 * MB // (8 * (size + 600)) + 200
    with contextlib.ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(connection(controller, "client", "iopub", b"SUB", b"\x00\x01\x01"))
        fast = peers.client()
        stack.enter_context(w)
        loud.publish(output)
        raw_recv(fast.iopub)
        for i in range(n):
            loud.publish(output)
            if i % 50 == 49:
                for _ in range(50):
                    raw_recv(fast.iopub)
                while w.client.iopub.poll(0):
                    w.client.iopub.recv_multipart()
        assert controller.metric('ersa_dropped_messages_total{reason="slow_output_client"}') > 0
    w.check()


class LargeTasks:
    """Tasks with as large results, one after the other, at a controller whose store does not take them."""

    def __init__(self, controller, client, engine):
        self.controller, self.client, self.engine = controller, client, engine
        self.payload, self.sent, self.answered = os.urandom(MB), 0, 0

    def until_held_back(self):
        most = 0
        with contextlib.suppress(Silence):
            while most < BOUND_MB:
                self.client.submit(buffers=[self.payload])
                self.sent += 1
                self.engine.answer(self.engine.recv(timeout=HELD_BACK_S), buffers=[self.payload])
                self.answered += 1
                most = max(most, self.controller.rss_mb())
        assert most < BOUND_MB, f"{most:.0f} MB after {self.answered} tasks"

    def finish(self):
        """There is room again: all comes in."""
        for _ in range(self.sent - self.answered):
            self.engine.answer(self.engine.recv(), buffers=[self.payload])
        for _ in range(self.sent):
            self.client.recv(self.client.task)
        assert len(self.client.query("history_request").content["history"]) == self.sent


def test_disk_that_is_full(start, make_peers, tmp_path):
    """What is large is held back before it takes memory, and told by counters; what needs no records goes on. With room again all
    comes in, and nothing was lost."""
    controller = start("--sqlitedb", f"--SQLiteDB.location={tmp_path}", "--hwm=0")
    peers = make_peers(controller)
    client, engine = peers.client(), peers.attached()
    client.wait_engines(1)
    pid = controller.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1 << 20, hard))
    tasks = LargeTasks(controller, client, engine)
    tasks.until_held_back()
    wait_until(lambda: controller.metric("ersa_store_failures_total") > 0, what="counted failure")
    assert controller.metric("ersa_store_pending_bytes") > 8 * MB
    other = peers.client()
    assert list(other.engines().values()) == [engine.uuid]
    assert other.query("queue_request", {"targets": None}).content["status"] == "ok"

    resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
    tasks.finish()
    assert controller.metric("ersa_store_lost_changes_total") == 0


def test_memory_of_a_burst_is_given_back(start, make_peers):
    controller = start("--TaskScheduler.client_limit=0")
    peers = make_peers(controller)
    client, engine = peers.client(), peers.attached(caps=[c for c in CAPS if c != "begun"])
    client.wait_engines(1)
    before = controller.rss_mb()
    total = 300_000
    pack = Packer(client.session, [b"work"])
    for _ in range(total):
        client.task.send_multipart(pack())
    wait_until(lambda: unassigned(client) >= total - 64, 60, "queued tasks")
    full = controller.rss_mb()
    for first in range(0, total, 50_000):
        ids = [f"{pack.prefix}{i}" for i in range(first, first + 50_000)]
        client.send_control(engine.uuid, "abort_request", {"msg_ids": ids})
    wait_until(lambda: unassigned(client) == 0, 60, "end of the tasks")
    assert full > before + 50, f"{before:.0f} MB, with {total} tasks {full:.0f} MB: not much of a burst"
    wait_until(lambda: controller.rss_mb() < before + 25, 30, f"less than {before + 25:.0f} MB, with {total} tasks it was {full:.0f}")


@pytest.mark.parametrize("store", ["--dictdb", "--sqlitedb"])
def test_client_that_reads_no_answers_about_results(start, witness, store):
    """Each answer has all results in it: the next request is looked at when the client has taken the last one."""
    controller = start(store)
    peers, w = witness(controller)
    worker = peers.attached()
    w.client.wait_engines(2)
    owner = peers.client()
    ids = []
    for _ in range(20):
        ids.append(owner.submit(metadata={"targets": [worker.uuid]})["msg_id"])
        worker.answer(worker.recv(), buffers=[os.urandom(MB)])
        owner.recv(owner.task)
    with w, connection(controller, "client", "registration", b"DEALER") as s:
        for i in range(200):
            s.sendall(RawEngine.encode(owner.session.pack("result_request", {"msg_ids": ids})))
            if i % 20 == 0:
                assert len(owner.query("history_request").content["history"]) >= 20
        wait_until(lambda: w.served > 10 or w.failure, what="service")
    w.check()


def test_query_of_many_values(start, witness):
    """A tree of them would take fifty times their octets. As many as may be are read, and answered once each."""
    controller = start()
    peers, w = witness(controller)
    client = peers.client()
    ended = [w.client.send_mux(w.engine.uuid) for _ in range(1000)]
    for _ in ended:
        w.engine.answer(w.engine.recv(channel="mux"), channel="mux")
        w.client.recv(w.client.mux)
    with w:
        for n, status in [(1 << 20, "ok"), (20 << 20, "error")]:
            content = b'{"verbose": true, "targets": [' + b"0," * (n - 4) + b"0]}"
            header = json.dumps(client.session.header("queue_request")).encode()
            client.query_socket.send_multipart(client.session.pack_raw(header, b"{}", b"{}", content))
            answer = client.recv(client.query_socket).content
            assert answer["status"] == status, answer
            assert status == "error" or len(answer["0"]["completed"]) > 100
    assert answer["ename"] == "OverflowError"
    w.check()


def test_store_that_lags_behind(start, make_peers, tmp_path):
    """Somebody else has the database: what waits for it is bounded by its octets, and comes in when there is room again."""
    controller = start("--sqlitedb", f"--SQLiteDB.location={tmp_path}", "--hwm=0")
    peers = make_peers(controller)
    client, engine = peers.client(), peers.attached()
    client.wait_engines(1)
    tasks = LargeTasks(controller, client, engine)
    lock = sqlite3.connect(tmp_path / "tasks.db", isolation_level=None)
    try:
        lock.execute("BEGIN IMMEDIATE")
        tasks.until_held_back()
        lock.execute("ROLLBACK")
    finally:
        lock.close()
    tasks.finish()


def test_engines_go_on_while_the_store_lags_behind(start, make_peers, tmp_path):
    """Who submits is held back first: there is still room for the results of what was submitted."""
    controller = start("--sqlitedb", f"--SQLiteDB.location={tmp_path}", "--hwm=1")
    peers = make_peers(controller)
    engine, client = peers.attached(), peers.client()
    client.wait_engines(1)
    pack = Packer(client.session, [b"work"])
    blocks = [b"".join(RawEngine.encode(pack()) for _ in range(200)) for _ in range(300)]
    lock = sqlite3.connect(tmp_path / "tasks.db", isolation_level=None)
    try:
        with connection(controller, "client", "task", b"DEALER") as s:
            lock.execute("BEGIN IMMEDIATE")
            s.settimeout(HELD_BACK_S)
            with contextlib.suppress(socket.timeout):
                for block in blocks:
                    s.sendall(block)
            for _ in range(300):
                engine.answer(engine.recv())
    finally:
        lock.close()
