# SPDX-License-Identifier: BSD-3-Clause
"""hwm=auto and recall at the socket (extensions.md 7): windows, what is called back, and answers of all kinds."""
import time

import pytest

from messages import header_of
from waiting import PATIENCE_S, Silence, wait_until


@pytest.fixture
def controller(start_controller):
    return start_controller("--ping=1000")


class Worker:
    """An attached engine that has done short tasks, so that the controller lets it hold several; it begins and
    answers when told to."""

    def __init__(self, client, engine):
        self.client, self.engine = client, engine
        self.held = []
        client.wait_engines(1)

    def hold(self, n):
        """Tasks that the engine holds all at the same time: their ids. A hiccup of this machine closes the window, so
        it may take several goes."""
        end = time.monotonic() + 2 * PATIENCE_S
        while time.monotonic() < end:
            self.train(40)
            ids = [self.client.submit()["msg_id"] for _ in range(n)]
            try:
                assert self.take(n) == ids
                return ids
            except Silence:
                for request in self.held:
                    self.engine.answer(request)
                for _ in range(n - len(self.held)):
                    self.engine.answer(self.engine.recv())
                for _ in range(n):
                    self.client.recv(self.client.task)
        raise AssertionError(f"never lets an engine hold {n} tasks")

    def train(self, n):
        for _ in range(n):
            self.client.submit()
        for _ in range(n):
            request = self.engine.recv()
            self.engine.begin(request)
            self.engine.answer(request)
        for _ in range(n):
            self.client.recv(self.client.task)

    def take(self, n):
        """The next `n` tasks; their ids."""
        self.held = []
        for _ in range(n):
            self.held.append(self.engine.recv(timeout=2))
        return [header_of(r)["msg_id"] for r in self.held]

    def begin(self, msg_id):
        self.engine.begin(self.find(msg_id))

    def find(self, msg_id):
        return next(r for r in self.held if header_of(r)["msg_id"] == msg_id)

    def answer(self, msg_id):
        self.engine.answer(self.find(msg_id))

    def recv_recall(self):
        """The recall: its frames and what it asks for."""
        frames = self.engine.recv_channel("recall")
        message = self.engine.session.unpack(frames)
        assert message.type == "ersa_recall" and message.idents == []
        return frames, message.content["msg_ids"]

    def give_back(self, recall, msg_ids):
        answer = self.engine.session.pack("ersa_recalled", {"msg_ids": msg_ids}, parent=header_of(recall))
        self.engine.send("task", answer)


@pytest.fixture
def client(peers):
    return peers.client()


@pytest.fixture
def busy(client, peers):
    """A worker with five tasks, the first of which has begun and goes on for long; their ids."""
    worker = Worker(client, peers.attached())
    ids = worker.hold(5)
    worker.begin(ids[0])
    return worker, ids


def test_an_engine_holds_several_short_tasks(client, peers):
    assert Worker(client, peers.attached()).hold(3)


@pytest.mark.parametrize("caps", [[], ["begun"], ["recall"]])
def test_one_without_both_capabilities(client, peers, caps):
    engine = peers.attached(caps=["attach", "ready", *caps])
    client.wait_engines(1)
    for _ in range(20):
        client.submit()
        engine.answer(engine.recv())
        client.recv(client.task)
    first, second = client.submit(), client.submit()
    request = engine.recv()
    assert header_of(request) == first
    with pytest.raises(Silence):
        engine.recv(timeout=0.2)
    engine.answer(request)
    assert header_of(engine.recv()) == second


def test_a_new_engine_gets_what_has_not_begun(client, peers, busy):
    worker, ids = busy
    idle = peers.attached()
    recall, asked = worker.recv_recall()
    assert asked and asked == ids[-len(asked):]
    worker.give_back(recall, asked)
    for msg_id in asked:
        request = idle.recv()
        assert header_of(request)["msg_id"] == msg_id
        idle.answer(request)
        reply = client.recv(client.task)
        assert reply.parent["msg_id"] == msg_id and reply.idents == [idle.uuid.encode()]


def test_long_task_delays_nobody(client, peers, busy):
    """All that stands behind it is done elsewhere, while it runs."""
    worker, ids = busy
    idle = peers.attached()
    done = set()
    while len(done) < 4:
        try:
            recall, asked = worker.recv_recall()
            worker.give_back(recall, asked)
        except Silence:
            pytest.fail(f"only {len(done)} tasks left the engine")
        for _ in asked:
            request = idle.recv()
            idle.answer(request)
            done.add(client.recv(client.task).parent["msg_id"])
    assert done == set(ids[1:])
    worker.answer(ids[0])
    assert client.recv(client.task).parent["msg_id"] == ids[0]


def test_what_is_not_given_back_stays(client, peers, busy):
    """The engine has begun them meanwhile, and answers; nobody else gets them."""
    worker, ids = busy
    idle = peers.attached()
    recall, asked = worker.recv_recall()
    worker.answer(ids[0])
    for msg_id in ids[1:]:
        worker.begin(msg_id)
    worker.give_back(recall, [])
    for msg_id in ids[1:]:
        worker.answer(msg_id)
    assert [client.recv(client.task).parent["msg_id"] for _ in ids] == ids
    with pytest.raises(Silence):
        idle.recv(timeout=0.2)


def test_death_while_recalled(client, peers, busy):
    """What had not begun goes elsewhere once, at no cost of a retry."""
    worker, ids = busy
    other = peers.attached()
    worker.recv_recall()
    worker.engine.close()
    got = []
    while len(got) < 4:
        request = other.recv()
        got.append(header_of(request)["msg_id"])
        other.answer(request)
    assert sorted(got) == sorted(ids[1:])
    replies = [client.recv(client.task) for _ in ids]
    assert [r.content["ename"] for r in replies if r.content["status"] == "error"] == ["EngineError"]


def test_bad_answers(client, peers, busy, controller):
    worker, ids = busy
    session, send = worker.engine.session, lambda frames: worker.engine.send("task", frames)
    for content in ({}, {"msg_ids": "all"}, {"msg_ids": [1, None, "unknown"]}, {"msg_ids": ["x"] * 5000}):
        send(session.pack("ersa_recalled", content))
    forged = session.pack("ersa_recalled", {"msg_ids": ids})
    forged[1] = b"0" * 64
    send(forged)
    send(session.pack("ersa_recalled", {"msg_ids": ids[:1]}))  # it has begun
    idle = peers.attached()
    recall, asked = worker.recv_recall()
    worker.give_back(recall, asked)
    assert header_of(idle.recv())["msg_id"] == asked[0]
    worker.answer(ids[0])
    assert client.recv(client.task).parent["msg_id"] == ids[0]
    assert controller.alive()


def test_no_recall_with_a_number(client, start_controller, make_peers):
    """hwm as in the reference: two each, and they stay."""
    peers = make_peers(start_controller("--hwm=2"))
    client, engine = peers.client(), peers.attached()
    client.wait_engines(1)
    for _ in range(3):
        client.submit()
    for _ in range(2):
        engine.begin(engine.recv())
    peers.attached().recv()
    with pytest.raises(Silence):
        engine.recv(timeout=0.3)


@pytest.mark.parametrize("hwm", ["auto", 0, 1])
def test_what_is_not_begun_goes_to_an_idle_engine(start_controller, make_peers, hwm):
    """The engine is at something that nobody gave it here. It is chosen last until it is free again."""
    peers = make_peers(start_controller(f"--hwm={hwm}"))
    client = peers.client()
    worker = Worker(client, peers.attached())
    header = client.submit()
    assert worker.take(1) == [header["msg_id"]]
    idle = peers.attached()
    recall, asked = worker.recv_recall()
    assert asked == [header["msg_id"]] and worker.engine.session.unpack(recall).content["tell_free"] is True
    worker.give_back(recall, asked)
    for _ in range(3):
        request = idle.recv()
        idle.begin(request)
        idle.answer(request)
        client.recv(client.task)
        client.submit()
    idle.answer(idle.recv())
    client.recv(client.task)
    worker.engine.send("task", worker.engine.session.pack("ersa_free"))
    wait_until(lambda: client.submit() and is_given(worker.engine), what="a task for the engine that is free")


def is_given(engine):
    try:
        return engine.recv(timeout=0.05)
    except Silence:
        return False


def test_aborted_while_recalled(client, peers, busy):
    worker, ids = busy
    idle = peers.attached()
    recall, asked = worker.recv_recall()
    client.send_control(worker.engine.uuid, "abort_request", {"msg_ids": asked[:1]})
    worker.engine.recv(channel="control")
    worker.give_back(recall, asked)
    reply = client.recv(client.task)
    assert reply.parent["msg_id"] == asked[0] and reply.content == {"status": "aborted"}
    if len(asked) > 1:
        assert header_of(idle.recv())["msg_id"] == asked[1]


def test_queue_shows_where_tasks_are(client, peers, busy):
    worker, ids = busy
    idle = peers.attached()
    recall, asked = worker.recv_recall()
    queue = client.query("queue_request", {"targets": None, "verbose": True}).content
    assert queue[str(worker.engine.id)]["tasks"] == ids
    worker.give_back(recall, asked)
    idle.recv()
    wait_until(lambda: client.query("queue_request", {"targets": None, "verbose": True})
               .content[str(idle.id)]["tasks"][:1] == asked[:1], what="the task on the other engine")
