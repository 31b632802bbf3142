# SPDX-License-Identifier: BSD-3-Clause
"""The direct routes mux and control, and iopub (controller.md 6, design.md 7)."""
import os
import signal

import pytest
import zmq

from messages import Session, header_of, new_uuid
from waiting import raw_recv, silence, wait_until


@pytest.fixture(params=["attached", "stock"])
def engine(request, client, peers):
    made = getattr(peers, request.param)()
    client.wait_engines(1)
    made.is_attached = request.param == "attached"
    return made


def receive(engine, channel):
    if engine.is_attached:
        return engine.recv(channel=channel)
    return engine.recv() if channel == "mux" else engine.recv_control()


def answer(engine, channel, request, **kw):
    if engine.is_attached:
        engine.answer(request, channel=channel, **kw)
    else:
        (engine.answer if channel == "mux" else engine.answer_control)(request, **kw)


@pytest.mark.parametrize("channel", ["mux", "control"])
def test_there_and_back(client, engine, channel):
    socket = getattr(client, channel)
    header = client.send_mux(engine.uuid, buffers=[b"a", b"", os.urandom(100_000)], socket=socket)
    request = receive(engine, channel)
    assert header_of(request) == header and len(request[-1]) == 100_000
    answer(engine, channel, request, buffers=[b"result"])
    reply = client.recv(socket)
    assert reply.idents == [engine.uuid.encode()] and reply.parent == header and reply.buffers == [b"result"]


def test_stock_engine_sees_the_fixed_identities(client, peers):
    engine = peers.stock()
    client.wait_engines(1)
    client.send_mux(engine.uuid)
    assert engine.recv()[0] == b"mux_out"
    client.submit()
    assert engine.recv()[0] == b"task_out"
    client.send_control(engine.uuid, "abort_request", {"msg_ids": []})
    assert engine.recv_control()[0] == b"control_out"


def test_order(client, engine):
    headers = [client.send_mux(engine.uuid) for _ in range(300)]
    assert [header_of(receive(engine, "mux")) for _ in headers] == headers


def test_reply_goes_to_who_asked(client, engine, peers):
    other = peers.client()
    mine, theirs = client.send_mux(engine.uuid), other.send_mux(engine.uuid)
    for _ in range(2):
        answer(engine, "mux", receive(engine, "mux"))
    assert client.recv(client.mux).parent == mine and other.recv(other.mux).parent == theirs


def test_request_for_an_engine_that_is_being_registered_waits(client, peers):
    engine = peers.stock(register=False)
    engine.query.send_multipart(engine.registration())
    reply = engine.session.unpack(raw_recv(engine.query))
    header = client.send_mux(engine.uuid)
    client.engines()
    engine.id = reply.content["id"]
    engine.connect(reply.content)
    assert header_of(engine.recv()) == header


def test_request_for_an_engine_that_never_connects_fails(client, peers):
    engine = peers.stock(register=False)
    engine.query.send_multipart(engine.registration())
    raw_recv(engine.query)
    header = client.send_mux(engine.uuid)
    reply = client.recv(client.mux)
    assert reply.parent == header and reply.content["ename"] == "EngineError"
    assert reply.metadata["status"] == "error"
    result = client.query("result_request", {"msg_ids": [header["msg_id"]]}).content
    assert result["pending"] == [] and result[header["msg_id"]]["result_content"] == reply.content


def test_refused_request_is_not_the_engines_when_it_comes_after_all(client, peers):
    engine = peers.stock(register=False)
    engine.query.send_multipart(engine.registration())
    registered = engine.session.unpack(raw_recv(engine.query))
    client.send_mux(engine.uuid)
    assert client.recv(client.mux).content["ename"] == "EngineError"
    engine.id = registered.content["id"]
    engine.connect(registered.content)
    client.wait_engines(1)
    queue = client.query("queue_request", {"targets": None}).content
    assert queue[str(engine.id)] == {"queue": 0, "completed": 0, "tasks": 0}


def test_unsigned_requests_do_not_reach_the_engine(client, engine):
    frames = client.session.pack("apply_request")
    client.mux.send_multipart([engine.uuid.encode(), frames[0], b"1" * 64, *frames[2:]])
    client.mux.send_multipart([engine.uuid.encode()])
    client.mux.send_multipart([engine.uuid.encode(), b"only", b"these"])
    header = client.send_mux(engine.uuid)
    assert header_of(receive(engine, "mux")) == header


def test_unsigned_replies_do_not_reach_the_client(client, engine):
    client.send_mux(engine.uuid)
    request = receive(engine, "mux")
    engine.session.key = b"another"
    answer(engine, "mux", request)
    with silence(client.mux):
        pass


def test_output_reaches_every_client(client, engine, peers):
    other = peers.client()
    header = client.send_mux(engine.uuid)
    request = receive(engine, "mux")

    def arrives(who):
        engine.publish(engine.stream(request, "text"))
        return who.iopub.poll(100)

    for who in (client, other):
        wait_until(lambda who=who: arrives(who), what="output")
        message = who.recv(who.iopub)
        assert message.idents == [f"engine.{engine.id}.stdout".encode()]
        assert message.parent == header and message.content == {"name": "stdout", "text": "text"}


def test_output_published_just_before_a_client_subscribed(context, client, peers, controller):
    """A new client may submit before its subscription has arrived."""
    engine = peers.attached()
    client.wait_engines(1)
    early = Session(controller.key)
    mux = context.socket(zmq.DEALER)
    mux.connect(controller.url("mux"))
    frames = early.pack("apply_request")
    mux.send_multipart([engine.uuid.encode(), *frames])
    request = engine.recv(channel="mux")
    engine.publish(engine.stream(request, "early"))
    engine.answer(request, channel="mux")
    mux.recv_multipart()
    iopub = context.socket(zmq.SUB)
    iopub.subscribe(b"")
    iopub.connect(controller.url("iopub"))
    assert early.unpack(raw_recv(iopub)).content["text"] == "early"
    with silence(iopub):
        pass


@pytest.mark.parametrize("kind", ["stock", "attached"])
def test_output_for_who_has_no_session(client, peers, kind):
    """Stock clients look for their own session in the parent of all output, whoever asked for it, and raise where there is none."""
    engine = getattr(peers, kind)()
    client.wait_engines(1)
    header = client.session.header("execute_request")
    del header["session"]
    client.mux.send_multipart([engine.uuid.encode(), *client.session.pack("", header=header)])
    request = engine.recv() if kind == "stock" else engine.recv(channel="mux")
    orphan = [b"engine.orphan", *engine.session.pack("stream", {"name": "stdout", "text": "nobody's"})]
    named = [b"engine.named", *engine.session.pack("stream", {"name": "stdout", "text": "x"}, parent={"msg_id": "a", "session": 5})]

    def is_heard():  # by a subscription that may be on its way
        engine.publish(orphan)
        return client.iopub.poll(100)
    wait_until(is_heard, what="output")
    for frames in (engine.status(request, "busy"), engine.stream(request, "text"), named):
        engine.publish(frames)
    heard = []
    while len(heard) < 3:
        message = client.recv(client.iopub)
        if message.parent:
            heard.append(message)
    assert [m.type for m in heard] == ["status", "stream", "stream"]
    assert [m.parent for m in heard] == [{**header, "session": ""}] * 2 + [{"msg_id": "a", "session": 5}]
    assert [m.content.get("text") for m in heard] == [None, "text", "x"]
    engine.answer(request, **({} if kind == "stock" else {"channel": "mux"}))
    assert client.recv(client.mux).parent == header


def test_engine_that_stops_reading_holds_back_only_its_client(client, peers, controller):
    """Requests for an engine that does not read fill a bounded queue; others are served meanwhile."""
    stuck, other = peers.stock(), peers.attached()
    client.wait_engines(2)
    stuck.shell.set_hwm(1)
    flooder = peers.client()
    payload = bytes(1 << 20)
    sent = 0
    flooder.mux.set_hwm(4)
    while flooder.mux.poll(500, 2) and sent < 600:
        flooder.send_mux(stuck.uuid, buffers=[payload])
        sent += 1
    header = client.send_mux(other.uuid)
    assert header_of(other.recv(channel="mux")) == header
    assert controller.rss_mb() < 700


def test_engine_that_stopped_reading_and_is_given_up_holds_back_nobody(start_controller, make_peers):
    """What was sent to it has failed; who sent it is served again."""
    peers = make_peers(start_controller("--ping=100", "--HeartMonitor.max_heartmonitor_misses=3"))
    client, flooder = peers.client(), peers.client()
    stuck, other = peers.raw(), peers.attached()
    client.wait_engines(2)
    for _ in range(100):
        flooder.send_mux(stuck.uuid, buffers=[bytes(1 << 20)])
    client.wait_engines(1)
    header = flooder.send_mux(other.uuid)
    assert header_of(other.recv(channel="mux")) == header


def expect_refused(client, header, engine_uuid):
    reply = client.recv(client.mux)
    assert (reply.type, reply.parent) == ("apply_reply", header)
    assert (reply.content["status"], reply.content["ename"]) == ("error", "EngineError")
    assert engine_uuid in reply.content["evalue"] and header["msg_id"] in reply.content["evalue"]
    assert reply.metadata["engine"] == engine_uuid


@pytest.mark.parametrize("end", ["never was", "gone", "silent"])
def test_request_for_an_engine_that_has_ended_is_answered(start_controller, make_peers, end):
    """A stock client that hears of the end while it is about to send waits for this answer alone."""
    peers = make_peers(start_controller("--ping=100", "--HeartMonitor.max_heartmonitor_misses=3"))
    client, uuid = peers.client(), "nobody"
    if end != "never was":
        engine = peers.raw() if end == "silent" else peers.attached()
        uuid = engine.uuid
        client.wait_engines(1)
        if end == "gone":
            engine.unregister()
        client.wait_engines(0)
    header = client.send_mux(uuid)
    expect_refused(client, header, uuid)


def test_what_has_no_reply_gets_none_from_nobody(client):
    client.send_mux(new_uuid(), msg_type="comm_msg")
    client.send_mux("x" * 300)
    header = client.send_mux("nobody")
    expect_refused(client, header, "nobody")


def test_engine_killed_by_its_connections_end(client, peers):
    """A stock engine whose connections are all closed is gone, heartbeat or not."""
    engine = peers.stock()
    client.wait_engines(1)
    engine.close()
    wait_until(lambda: not client.engines(), what="end of the registration")


def test_stop_is_clean_while_messages_wait(start_controller, make_peers):
    controller = start_controller()
    peers = make_peers(controller)
    client, engine = peers.client(), peers.attached()
    client.wait_engines(1)
    for _ in range(100):
        client.submit()
        client.send_mux(engine.uuid)
    controller.process.send_signal(signal.SIGTERM)
    assert controller.process.wait(10) == 0
