# SPDX-License-Identifier: BSD-3-Clause
"""Engines that were given up and are there again, at the socket (extensions.md 2 and 4): what they had runs once."""
import socket
import struct

import pytest

from begun_rig import SETTLE_S, begin, client, controller, expect_lost, get_ready, hold, ids  # noqa: F401
from engines import CAPS
from messages import header_of
from waiting import Silence, silence


def test_connection_of_a_silent_engine_is_reset_before_others_get_its_tasks(client, peers):
    """So it can't tell any more that it begins one, and begins none, when it wakes up."""
    engine = peers.raw()
    requests = hold(client, engine)
    other = peers.attached()
    with pytest.raises(ConnectionResetError):
        while engine.socket.recv(65536):
            with pytest.raises(Silence):
                other.recv(timeout=0.001)
    got = [other.recv(timeout=SETTLE_S) for _ in range(2)]
    assert ids(got) == ids(requests)[1:]
    expect_lost(client, ids(requests)[:1])


@pytest.mark.parametrize("relayed", [False, True])
def test_silent_engine_behind_a_tunnel_may_have_begun_what_it_holds(client, peers, relayed):
    """Its notes may be held back, by who acknowledges what the controller sends: then the two ends of the connection
    aren't each other's. Lost rather than twice."""
    engine = peers.raw(register=False)
    engine.register(address="tcp://%s:%d" % engine.socket.getsockname() if not relayed else "tcp://127.0.0.1:1")
    requests = hold(client, engine)
    other = peers.attached()
    expect_lost(client, ids(requests)[:3 if relayed else 1])
    if relayed:
        with pytest.raises(Silence):
            other.recv(timeout=0.3)
    else:
        assert ids([other.recv(timeout=SETTLE_S) for _ in range(2)]) == ids(requests)[1:]


def test_tunnel_is_still_there_when_the_heart_beats_again(client, peers):
    """It goes on under its old registration, which told of the tunnel."""
    engine = peers.raw(register=False)
    engine.register(address="tcp://127.0.0.1:1")
    requests = hold(client, engine)
    while client.wait_notified("unregistration_notification", SETTLE_S).content["uuid"] != engine.uuid:
        pass
    while not client.engines():
        engine.send("hb", engine.recv_channel("hb"))
    other = peers.attached()
    expect_lost(client, ids(requests))
    with pytest.raises(Silence):
        other.recv(timeout=0.3)


def test_tunnel_that_is_cut_may_have_kept_what_was_begun(client, peers):
    """What the engine wrote last was in the tunnel's hands: nobody knows what it has begun."""
    engine = peers.raw(register=False)
    engine.register(address="tcp://127.0.0.1:1")
    requests = hold(client, engine)
    other = peers.attached()
    engine.close()
    expect_lost(client, ids(requests))
    with pytest.raises(Silence):
        other.recv(timeout=0.3)


def come_back(engine, peers, controller, begun, left_over=()):
    """Its connection is reset, and it comes by a new one. `left_over`: what it had queued for the former one, functions
    of the engine."""
    engine.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    engine.close()
    again = type(engine)(controller, name=engine.uuid)
    for send in left_over:
        send(again)
    again.send("query", again.session.pack("registration_request", {
        "uuid": again.uuid, "id": engine.id, "ersa": {"v": 1, "caps": CAPS, "begun": begun}}))
    reply = again.session.unpack(again.recv_channel("query"))
    assert reply.content["status"] == "ok" and reply.content["id"] == engine.id
    return again


def test_engine_whose_connection_broke_tells_what_it_has_begun(client, peers, controller):
    """The note about the second task was lost with the connection."""
    engine = peers.raw()
    requests = hold(client, engine)
    other = peers.attached()
    again = come_back(engine, peers, controller, ids(requests)[1:2])
    expect_lost(client, ids(requests)[:2])
    assert ids([other.recv()]) == ids(requests)[2:]
    with pytest.raises(Silence):
        other.recv(timeout=0.3)
    again.close()


def test_what_was_queued_for_the_connection_before(client, peers, controller):
    """Answers count. A task whose note could not be written did not begin, though the note comes by the next one."""
    engine = peers.raw()
    requests = hold(client, engine)
    other = peers.attached()
    again = come_back(engine, peers, controller, ids(requests)[:1], [
        lambda e: e.send("task", e.reply_to(requests[0])), lambda e: begin(e, requests[1])])
    assert client.recv(client.task).parent["msg_id"] == ids(requests)[0]
    assert ids([other.recv() for _ in range(2)]) == ids(requests)[1:]
    again.close()


def test_it_is_chosen_last_until_it_is_free(start_controller, make_peers):
    controller = start_controller("--hwm=3")
    peers = make_peers(controller)
    client, engine = peers.client(), peers.raw()
    client.wait_subscribed()
    requests = hold(client, engine)
    other = peers.attached()
    client.wait_engines(2)

    def run_one():
        request = other.recv(timeout=1)
        other.begin(request)
        other.answer(request)
        return client.recv(client.task)

    again = come_back(engine, peers, controller, ids(requests)[:1])
    get_ready(again)
    expect_lost(client, ids(requests)[:1])
    for _ in range(2):
        run_one()
    for _ in range(3):
        header = client.submit()
        assert run_one().parent["msg_id"] == header["msg_id"]
    again.send("task", again.session.pack("ersa_free"))
    with pytest.raises(Silence):
        for _ in range(50):
            header = client.submit()
            run_one()
    assert ids([again.recv_channel("task")]) == [header["msg_id"]]
    again.close()


def test_it_may_be_given_again_what_it_had_not_begun(client, peers, controller):
    engine = peers.raw()
    requests = hold(client, engine)
    again = come_back(engine, peers, controller, ids(requests)[:1])
    get_ready(again)
    expect_lost(client, ids(requests)[:1])
    assert ids([again.recv_channel("task") for _ in range(2)]) == ids(requests)[1:]
    again.close()


@pytest.mark.parametrize("begun", [[], ["unknown"], "all", {"a": 1}, [1], [None]])
def test_strange_tales(client, peers, controller, begun):
    """Only the note that came counts."""
    engine = peers.raw()
    requests = hold(client, engine)
    other = peers.attached()
    come_back(engine, peers, controller, begun).close()
    expect_lost(client, ids(requests)[:1])
    assert ids([other.recv() for _ in range(2)]) == ids(requests)[1:]


def test_heart_that_beats_again_in_time_keeps_its_tasks(client, peers):
    engine = peers.attached(beat=False)
    requests = hold(client, engine)
    other = peers.attached()
    assert client.wait_notified("unregistration_notification").content["uuid"] == engine.uuid
    engine.beat = True
    client.wait_engines(2)
    begin(engine, requests[1])
    engine.answer(requests[0], content={"status": "error", "ename": "E", "evalue": ""}, metadata={"status": "error"})
    engine.answer(requests[1])
    replies = [client.recv(client.task) for _ in range(2)]
    assert [(r.parent["msg_id"], r.content["status"]) for r in replies] == list(zip(ids(requests), ["error", "ok"]))
    with pytest.raises(Silence):
        other.recv(timeout=6)
    engine.answer(requests[2])
    assert client.recv(client.task).parent["msg_id"] == ids(requests)[2]


def test_late_direct_reply_is_not_a_second_outcome(client, peers):
    """Clients fail what they sent to an engine when they hear of its end."""
    engine = peers.attached(beat=False)
    client.wait_engines(1)
    client.send_mux(engine.uuid)
    request = engine.recv(channel="mux")
    client.wait_notified("unregistration_notification")
    with silence(client.mux):
        engine.answer(request, channel="mux")
        engine.beat = True
        client.wait_engines(1)
        engine.answer(request, channel="mux")
    header = client.send_mux(engine.uuid)
    engine.answer(engine.recv(channel="mux"), channel="mux")
    assert client.recv(client.mux).parent["msg_id"] == header["msg_id"]


def test_late_result_of_a_stock_engine_counts(client, peers):
    """As its process wakes up its result is sooner there than its heart, and whoever has the task by now isn't done."""
    engine = peers.stock()
    client.wait_engines(1)
    header = client.submit(metadata={"retries": 1})
    request = engine.recv()
    other = peers.stock()
    engine.stop_heart()
    again = other.recv(SETTLE_S)
    assert header_of(again)["msg_id"] == header["msg_id"]
    engine.answer(request, buffers=[b"late"])
    reply = client.recv(client.task)
    assert (reply.idents, reply.content["status"], reply.buffers) == ([engine.uuid.encode()], "ok", [b"late"])
    with silence(client.task):
        other.answer(again)
    after = client.submit()
    other.answer(other.recv())
    assert client.recv(client.task).parent["msg_id"] == after["msg_id"]
