# SPDX-License-Identifier: BSD-3-Clause
"""Control requests and engines that end: each has one answer, the engine's or one in its place (decision 99)."""
import socket
import struct
import time

import pytest

from messages import header_of
from waiting import silence, wait_until

GRACE_S = 15  # an end that is guessed, and the grace behind it
KINDS = {"clear_request": None, "abort_request": {"msg_ids": ["x"]}, "signal_request": {"sig": "SIGINT"},
         "shutdown_request": {"restart": False}}


@pytest.fixture
def controller(start_controller):
    return start_controller("--ping=1000")


@pytest.fixture
def client(peers):
    client = peers.client()
    client.wait_subscribed()
    return client


def ask(client, engine, msg_type="clear_request"):
    return client.send_control(engine.uuid, msg_type, KINDS[msg_type])


def take_control(engine):
    """The next request, at an engine of any kind."""
    return engine.recv_control() if hasattr(engine, "recv_control") else engine.recv_channel("control")


def answer_control(engine, request):
    if hasattr(engine, "answer_control"):
        engine.answer_control(request, content={"status": "ok"})
    else:
        engine.send("control", engine.reply_to(request, content={"status": "ok"}))


def answered(client, header, engine):
    reply = client.recv(client.control, GRACE_S)
    assert reply.idents == [engine.uuid.encode()] and reply.parent == header
    assert reply.type == header["msg_type"].replace("_request", "_reply")
    with silence(client.control, 1):
        return reply


def expect_error(client, header, engine):
    reply = answered(client, header, engine)
    assert (reply.content["status"], reply.content["ename"]) == ("error", "EngineError")
    assert engine.uuid in reply.content["evalue"] and header["msg_id"] in reply.content["evalue"]
    assert (reply.metadata["status"], reply.metadata["engine"]) == ("error", engine.uuid)


def expect_ok(client, header, engine):
    assert answered(client, header, engine).content["status"] == "ok"


def reset(engine):
    engine.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    engine.close()


def wait_gone(client, engine):
    while client.wait_notified("unregistration_notification", GRACE_S).content["uuid"] != engine.uuid:
        pass


@pytest.mark.parametrize("kind", ["raw", "stock"])
@pytest.mark.parametrize("msg_type", ["clear_request", "abort_request", "signal_request"])
def test_engine_that_dies(client, peers, kind, msg_type):
    engine = getattr(peers, kind)()
    client.wait_engines(1)
    header = ask(client, engine, msg_type)
    take_control(engine)
    engine.close()
    expect_error(client, header, engine)


@pytest.mark.parametrize("kind", ["raw", "stock"])
def test_engine_that_obeys_and_says_nothing_has_been_shut_down(client, peers, kind):
    engine = getattr(peers, kind)()
    client.wait_engines(1)
    header = ask(client, engine, "shutdown_request")
    take_control(engine)
    engine.close()
    reply = answered(client, header, engine)
    assert reply.content == {"status": "ok", "restart": False} and reply.metadata["status"] == "ok"


def test_nobody_knows_whether_one_that_was_cut_off_has_shut_down(client, peers):
    engine = peers.raw()
    client.wait_engines(1)
    header = ask(client, engine, "shutdown_request")
    take_control(engine)
    reset(engine)
    expect_error(client, header, engine)


def test_each_of_many_has_its_answer(client, peers):
    engine, other = peers.raw(), peers.raw()
    asker = peers.client()
    client.wait_engines(2)
    headers = {c: [ask(c, engine) for _ in range(50)] for c in (client, asker)}
    requests = [take_control(engine) for _ in range(100)]
    elsewhere = ask(client, other)
    done = [header_of(r) for r in requests[::2]]
    for request in requests[::2]:
        answer_control(engine, request)
    for c in (client, asker):
        for _ in range(25):
            assert c.recv(c.control).content == {"status": "ok"}
    engine.close()
    for c in (client, asker):
        lost = [h for h in headers[c] if h not in done]
        replies = [c.recv(c.control) for _ in lost]
        assert [r.parent for r in replies] == lost and {r.content["ename"] for r in replies} == {"EngineError"}
        with silence(c.control):
            pass
    answer_control(other, take_control(other))
    expect_ok(client, elsewhere, other)


def test_the_same_request_to_two_engines(client, peers):
    dies, lives = peers.raw(), peers.raw()
    client.wait_engines(2)
    frames = client.session.pack("clear_request")
    for engine in (dies, lives):
        client.control.send_multipart([engine.uuid.encode(), *frames])
    requests = {engine: take_control(engine) for engine in (dies, lives)}
    dies.close()
    expect_error(client, header_of(frames), dies)
    answer_control(lives, requests[lives])
    expect_ok(client, header_of(frames), lives)


def test_client_that_has_gone(client, peers, controller):
    engine, asker = peers.raw(), peers.client()
    client.wait_engines(1)
    ask(asker, engine)
    take_control(engine)
    header = ask(client, engine)
    asker.close()
    engine.close()
    expect_error(client, header, engine)
    assert controller.process.poll() is None


def test_answer_that_comes_behind_the_goodbye(client, peers):
    """By another connection than the goodbye."""
    engine = peers.stock()
    client.wait_engines(1)
    header = ask(client, engine, "shutdown_request")
    request = take_control(engine)
    engine.unregister()
    wait_gone(client, engine)
    engine.answer_control(request, content={"status": "ok", "restart": "as it said"})
    assert answered(client, header, engine).content["restart"] == "as it said"


@pytest.fixture
def short(start_controller):
    return start_controller("--ping=200", "--HeartMonitor.max_heartmonitor_misses=3")


@pytest.fixture
def near(short, make_peers):
    """A client and engines of a controller that notices soon when a heart stops."""
    peers = make_peers(short)
    client = peers.client()
    client.wait_subscribed()
    return client, peers


@pytest.mark.parametrize("kind", ["attached", "stock"])
def test_silent_engine_that_hears_within_its_grace(near, kind):
    client, peers = near
    engine = getattr(peers, kind)(beat=False)
    if kind == "stock":
        engine.start_heart()
        client.wait_engines(1)
        engine.stop_heart()
    wait_gone(client, engine)
    first, second = ask(client, engine), ask(client, engine)
    answer_control(engine, take_control(engine))
    expect_ok(client, first, engine)
    request = take_control(engine)
    expect_error(client, second, engine)  # the grace ends
    if kind == "stock":
        with silence(client.control, 1):
            answer_control(engine, request)
        for send, sock in ((client.send_control, client.control), (client.send_mux, client.mux)):
            msg_type = "clear_request" if sock is client.control else "apply_request"
            header = send(engine.uuid, msg_type=msg_type)
            reply = client.recv(sock)
            assert reply.parent == header and reply.content["ename"] == "EngineError"


def test_silent_engine_that_ends(near):
    client, peers = near
    engine = peers.attached(beat=False)
    wait_gone(client, engine)
    header = ask(client, engine, "abort_request")
    take_control(engine)
    engine.close()
    expect_error(client, header, engine)


@pytest.mark.parametrize("channel", ["control", "mux"])
def test_engine_that_connects_again(client, peers, channel):
    """Until it has its registration_reply it drops what comes (extensions.md 2)."""
    engine = peers.raw()
    client.wait_engines(1)
    reset(engine)
    wait_gone(client, engine)
    again = peers.raw(register=False, name=engine.uuid)
    again.send("query", again.session.pack("connection_request"))
    again.recv_channel("query")
    header = ask(client, again) if channel == "control" else client.send_mux(again.uuid)
    reply = client.recv(getattr(client, channel), GRACE_S)
    assert reply.parent == header and reply.content["ename"] == "EngineError"
    again.register()
    client.wait_engines(1)
    header = ask(client, again)
    answer_control(again, take_control(again))
    expect_ok(client, header, again)


def test_answer_that_is_sent_again_after_one_in_its_place(client, peers):
    engine = peers.raw()
    client.wait_engines(1)
    header = ask(client, engine)
    request = take_control(engine)
    reset(engine)
    expect_error(client, header, engine)
    again = peers.raw(register=False, name=engine.uuid)
    again.register()
    with silence(client.control, 1):
        answer_control(again, request)
    header = ask(client, again)
    answer_control(again, take_control(again))
    expect_ok(client, header, again)


def test_answer_that_is_sent_again_in_time(client, peers):
    engine = peers.raw()
    client.wait_engines(1)
    header = ask(client, engine)
    request = take_control(engine)
    reset(engine)
    wait_gone(client, engine)
    again = peers.raw(register=False, name=engine.uuid)
    again.register()
    answer_control(again, request)
    expect_ok(client, header, again)
    time.sleep(2.5)  # the grace of its former connection
    with silence(client.control):
        pass


def test_engine_whose_control_connection_is_away(client, peers, controller):
    """The request waits for it here when the engine ends."""
    engine = peers.stock()
    client.wait_engines(1)
    engine.control.close(0)

    def waits():
        header = ask(client, engine)
        return not client.control.poll(300) and header
    header = wait_until(waits, what="a request that waits")
    engine.unregister()
    reply = client.recv(client.control)
    assert reply.parent == header and reply.content["ename"] == "EngineError"
