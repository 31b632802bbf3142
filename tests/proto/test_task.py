# SPDX-License-Identifier: BSD-3-Clause
"""The load-balanced route (schedulers.md A): envelopes, order, death, retries, abort, bounds."""
import json
import os

import pytest

from clients import unassigned
from messages import header_of
from waiting import Silence, raw_recv, silence, wait_until


@pytest.fixture(params=["attached", "stock"])
def engine(request, client, peers):
    """One engine, of either kind."""
    made = getattr(peers, request.param)()
    client.wait_engines(1)
    return made


def test_there_and_back(client, engine):
    buffers = [b"function", b"", os.urandom(3000)]
    header = client.submit(metadata={"label": "mine"}, buffers=buffers)
    request = engine.recv()
    message = engine.session.unpack(request)
    assert message.header == header and message.buffers == buffers and message.metadata == {"label": "mine"}
    engine.answer(request, buffers=[b"result", b""])
    reply = client.recv(client.task)
    assert reply.idents == [engine.uuid.encode()]
    assert reply.parent == header and reply.buffers == [b"result", b""] and reply.header["session"] == engine.uuid


def test_large_payload(client, engine):
    payload = os.urandom(1 << 20) * 20
    client.submit(buffers=[b"f", payload, b"end"])
    request = engine.recv()
    assert request[-2] == payload
    engine.answer(request, buffers=[payload])
    assert client.recv(client.task).buffers == [payload]


def test_extra_identities_come_back(client, engine):
    client.task.send_multipart([b"", b"more", *client.session.pack("apply_request")])
    request = engine.recv()
    engine.answer(request)
    assert client.recv(client.task).idents[-2:] == [b"", b"more"]


def test_task_waits_for_the_first_engine(client, peers):
    header = client.submit()
    engine = peers.attached()
    assert header_of(engine.recv()) == header


def test_one_task_an_engine(client, peers, start_controller, make_peers):
    """hwm=1: the second task waits for the first one's reply."""
    controller = start_controller("--hwm=1")
    peers = make_peers(controller)
    client, engine = peers.client(), peers.attached()
    client.wait_engines(1)
    first, second = client.submit(), client.submit()
    request = engine.recv()
    assert header_of(request) == first
    with pytest.raises(Silence):
        engine.recv(timeout=0.3)
    assert unassigned(client) == 1
    engine.answer(request)
    assert header_of(engine.recv()) == second


def test_least_loaded_engine_gets_the_next(start_controller, make_peers):
    peers = make_peers(start_controller("--hwm=0"))
    client = peers.client()
    engines = [peers.attached() for _ in range(3)]
    client.wait_engines(3)
    headers = [client.submit() for _ in range(9)]
    got = [[engine.recv() for _ in range(3)] for engine in engines]
    assert sorted(header_of(r)["msg_id"] for rs in got for r in rs) == sorted(h["msg_id"] for h in headers)
    for request in got[1]:
        engines[1].answer(request)
        client.recv(client.task)
    for _ in range(3):
        client.submit()
    assert all(engines[1].recv() for _ in range(3))


def test_targets(client, peers):
    engines = [peers.attached() for _ in range(3)]
    client.wait_engines(3)
    for engine in engines * 2:
        client.submit(metadata={"targets": [engine.uuid]})
        request = engine.recv()
        engine.answer(request)
        client.recv(client.task)


def test_targets_that_do_not_exist(client, engine):
    client.submit(metadata={"targets": ["no such engine"]})
    reply = client.recv(client.task)
    assert reply.content["status"] == "error" and reply.content["ename"] == "ImpossibleDependency"
    assert reply.content["engine_info"] == {}


def test_known_id_is_refused(client, engine):
    frames = client.session.pack("apply_request")
    client.task.send_multipart(frames)
    request = engine.recv()
    client.task.send_multipart(frames)
    engine.answer(request)
    client.recv(client.task)
    client.task.send_multipart(frames)
    client.submit()
    assert header_of(engine.recv())["msg_id"] != header_of(frames)["msg_id"]
    with silence(client.task):
        pass


def test_engine_that_dies_with_a_begun_task(client, peers):
    engine = peers.attached()
    client.wait_engines(1)
    header = client.submit()
    engine.begin(engine.recv())
    engine.unregister(cause="killed by signal 11 (SIGSEGV)")
    reply = client.recv(client.task)
    assert reply.idents == [engine.uuid.encode()] and reply.parent == header and reply.type == "apply_reply"
    assert reply.content["ename"] == "EngineError" and reply.content["engine_info"] == {}
    assert "SIGSEGV" in reply.content["evalue"] and header["msg_id"] in reply.content["evalue"]
    assert reply.metadata["status"] == "error" and reply.metadata["engine"] == engine.uuid


def test_task_not_begun_goes_elsewhere(client, peers):
    engine = peers.attached()
    client.wait_engines(1)
    header = client.submit()
    engine.recv()
    engine.close()
    other = peers.attached()
    request = other.recv()
    assert header_of(request) == header
    other.answer(request)
    assert client.recv(client.task).idents == [other.uuid.encode()]


def test_dying_engine_names_what_it_had_begun(client, peers):
    engine = peers.attached()
    client.wait_engines(1)
    header = client.submit()
    engine.recv()
    engine.unregister(cause="exit code 1", begun=[header["msg_id"]])
    assert client.recv(client.task).content["ename"] == "EngineError"


def test_stock_engine_that_dies_fails_its_task(client, peers):
    engine = peers.stock()
    client.wait_engines(1)
    client.submit()
    engine.recv()
    engine.unregister()
    assert client.recv(client.task).content["ename"] == "EngineError"


def test_retries(client, peers):
    first = peers.attached()
    client.wait_engines(1)
    header = client.submit(metadata={"retries": 1})
    first.begin(first.recv())
    first.unregister(cause="exit code 1")
    second = peers.attached()
    request = second.recv()
    assert header_of(request) == header
    second.begin(request)
    second.unregister(cause="exit code 1")
    assert client.recv(client.task).content["ename"] == "EngineError"


def holder_of_task(engines):
    return wait_until(lambda: next((e for e in engines if not e.channels["task"].empty()), None), what="task")


def test_failed_task_with_retries_runs_on_other_engines(client, peers):
    engines = [peers.attached() for _ in range(3)]
    client.wait_engines(3)
    client.submit(metadata={"retries": 2})
    error = {"status": "error", "ename": "ValueError", "evalue": "", "traceback": []}
    for _ in range(3):
        engine = holder_of_task(engines)
        engine.answer(engine.recv(), content=error, metadata={"status": "error"})
        engines.remove(engine)
    reply = client.recv(client.task)
    assert reply.content["ename"] == "ValueError" and reply.idents == [engine.uuid.encode()]


def test_message_that_gets_no_reply_takes_no_place(client, peers):
    engine = peers.stock()
    client.wait_engines(1)
    client.submit({"comm_id": "x", "data": {}}, msg_type="comm_msg")
    header = client.submit()
    request = engine.recv()
    assert header_of(request) == header
    engine.answer(request)
    assert client.recv(client.task).parent == header


def test_unmet_dependency_goes_to_another_engine(client, peers):
    engines = [peers.attached(), peers.attached()]
    client.wait_engines(2)
    error = {"status": "error", "ename": "UnmetDependency", "evalue": "", "traceback": []}
    header = client.submit()
    for _ in engines:
        holder = holder_of_task(engines)
        request = holder.recv()
        assert header_of(request) == header
        holder.answer(request, content=error, metadata={"status": "error", "dependencies_met": False})
        engines = [e for e in engines if e is not holder]
    assert client.recv(client.task).content["ename"] == "ImpossibleDependency"


def test_abort_of_waiting_tasks(start_controller, make_peers):
    peers = make_peers(start_controller("--hwm=1"))
    client, engine = peers.client(), peers.attached()
    client.wait_engines(1)
    running, waiting, last = (client.submit(metadata={"label": "x"}) for _ in range(3))
    request = engine.recv()
    wait_until(lambda: unassigned(client) == 2)
    client.send_control(engine.uuid, "abort_request", {"msg_ids": [waiting["msg_id"], running["msg_id"]]})
    reply = client.recv(client.task)
    assert reply.parent == waiting and reply.content == {"status": "aborted"}
    assert reply.metadata["status"] == "aborted"
    assert json.loads(engine.recv_channel("control")[-1])["msg_ids"] == [waiting["msg_id"], running["msg_id"]]
    engine.answer(request)
    assert client.recv(client.task).parent == running
    assert header_of(engine.recv()) == last


def test_client_over_its_limit_is_told(start_controller, make_peers):
    peers = make_peers(start_controller("--TaskScheduler.client_limit=1000000"))
    client, other = peers.client(), peers.client()
    client.engines()
    header = client.submit(buffers=[b"x" * 400_000])
    client.submit(buffers=[b"x" * 400_000])
    refused = client.submit(buffers=[b"x" * 400_000])
    reply = client.recv(client.task)
    assert reply.parent == refused and reply.content["ename"] == "QueueFull"
    engine = peers.attached()
    other.submit()
    assert header_of(engine.recv()) == header


def test_reply_that_nobody_waits_for(client, engine):
    """Answered twice, or for a task that never was: dropped."""
    client.submit()
    request = engine.recv()
    engine.answer(request)
    engine.answer(request)
    client.recv(client.task)
    with silence(client.task):
        pass


def test_engine_of_a_reply_is_taken_from_its_header(client, peers):
    """Whatever connection it comes by."""
    engine, other = peers.attached(), peers.attached()
    client.wait_engines(2)
    client.submit(metadata={"targets": [engine.uuid]})
    other.send("task", engine.reply_to(engine.recv()))
    assert client.recv(client.task).idents == [engine.uuid.encode()]
    load = client.query("load_request", {"targets": None}).content
    assert load[str(engine.id)] == 0 and load[str(other.id)] == 0


@pytest.mark.parametrize("damage", [
    lambda f: f[:3], lambda f: [f[0], b"0" * 64, *f[2:]], lambda f: [b"x"], lambda f: [*f[:3], b"{", *f[4:]]])
def test_damaged_request_is_dropped(client, engine, damage):
    client.task.send_multipart(damage(client.session.pack("apply_request")))
    header = client.submit()
    assert header_of(engine.recv()) == header


def test_client_that_is_gone_does_not_matter(client, peers):
    engine = peers.attached()
    client.wait_engines(1)
    other = peers.client()
    other.submit()
    request = engine.recv()
    other.close()
    engine.answer(request)
    client.submit()
    engine.answer(engine.recv())
    assert client.recv(client.task)


def test_order_of_replies_is_kept(start_controller, make_peers):
    peers = make_peers(start_controller("--hwm=0"))
    client, engine = peers.client(), peers.stock()
    client.wait_engines(1)
    headers = [client.submit() for _ in range(500)]
    for header in headers:
        request = engine.recv()
        assert header_of(request) == header
        engine.answer(request)
    assert [client.session.unpack(raw_recv(client.task)).parent["msg_id"] for _ in headers] == [
        h["msg_id"] for h in headers]


def test_no_scheduler_refuses_and_the_rest_works(start_controller, make_peers):
    """The reference accepts `none`, too, and leaves who submits a task waiting."""
    controller = start_controller("--scheme=none")
    assert controller.client_info["task_scheme"] == "none"
    peers = make_peers(controller)
    client, engine = peers.client(), peers.attached()
    client.wait_engines(1)
    refused = client.submit()
    reply = client.recv(client.task)
    assert reply.parent["msg_id"] == refused["msg_id"]
    assert reply.content["ename"] == "NoScheduler" and "direct view" in reply.content["evalue"]
    direct = client.send_mux(engine.uuid)
    engine.answer(engine.recv(channel="mux"), channel="mux")
    assert client.recv(client.mux).parent["msg_id"] == direct["msg_id"]


@pytest.mark.parametrize("scheme", ["leastload", "lru", "plainrandom", "twobin", "weighted", "pure"])
def test_every_scheme_does_its_work(start_controller, make_peers, scheme):
    controller = start_controller(f"--scheme={scheme}", "--hwm=2")
    assert controller.client_info["task_scheme"] == scheme
    peers = make_peers(controller)
    client, engines = peers.client(), [peers.attached() for _ in range(3)]
    client.wait_engines(3)
    headers = [client.submit(metadata={"retries": 0}) for _ in range(30)]
    done = set()
    while len(done) < len(headers):
        holder = holder_of_task(engines)
        holder.answer(holder.recv())
        reply = client.recv(client.task)
        assert reply.idents == ([] if scheme == "pure" else [holder.uuid.encode()])
        done.add(reply.parent["msg_id"])
    assert done == {h["msg_id"] for h in headers}


def test_pure_ignores_what_a_task_asks_for(start_controller, make_peers):
    peers = make_peers(start_controller("--scheme=pure"))
    client, engine = peers.client(), peers.attached()
    client.wait_engines(1)
    asked = {"targets": ["nowhere"], "after": ["never"], "retries": 3, "timeout": 0.001}
    headers = [client.submit(metadata=asked) for _ in range(5)]
    error = {"status": "error", "ename": "UnmetDependency", "evalue": "", "traceback": []}
    for header in headers:
        request = engine.recv()
        assert header_of(request) == header
        engine.answer(request, content=error, metadata={"status": "error", "dependencies_met": False})
        assert client.recv(client.task).content["ename"] == "UnmetDependency"
