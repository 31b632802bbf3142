# SPDX-License-Identifier: BSD-3-Clause
"""Notes of what has begun that are lost on their way, at the socket: what may have begun runs nowhere else
(decision 106)."""
import contextlib
import os
import signal
import socket
import struct
import time

import pytest

import zmtp
from begun_rig import (TUNNEL, begin, client, controller, expect_lost, expect_none, expect_not_again, hold,  # noqa: F401
                       ids, registered_again)
from engines import CAPS
from messages import DELIMITER
from processes import freeze
from waiting import Silence



def tunnelled(peers):
    engine = peers.raw(register=False)
    engine.register(address=TUNNEL)
    return engine


def test_tunnel_taken_over_and_engine_dies_before_it_registers(client, peers, controller):
    """Its second connection is there before the end of the first; it dies before it has registered by it."""
    engine = tunnelled(peers)
    requests = hold(client, engine)
    other = peers.attached()
    again = type(engine)(controller, name=engine.uuid)
    controller.wait_log("its connection was replaced")
    again.close()
    expect_none(other)
    expect_lost(client, ids(requests))


def test_silent_tunnel_taken_over_and_engine_dies_before_it_registers(client, peers, controller):
    """The same after its heart was given up."""
    engine = tunnelled(peers)
    requests = hold(client, engine)
    other = peers.attached()
    controller.wait_log("its heartbeat stopped")
    again = type(engine)(controller, name=engine.uuid)
    again.close()
    expect_none(other)
    expect_lost(client, ids(requests))


@pytest.mark.parametrize("address", [None, TUNNEL])
def test_engine_that_unregisters_has_told_all(client, peers, address):
    """Orderly end; what it has not begun goes elsewhere, tunnel or not."""
    engine = peers.raw(register=False)
    engine.register(address=address or "tcp://%s:%d" % engine.socket.getsockname())
    requests = hold(client, engine)
    other = peers.attached()
    engine.send("query", engine.session.pack("unregistration_request", {
        "id": engine.id, "ersa": {"cause": "SIGTERM", "begun": ids(requests)[:1]}}))
    engine.close()
    assert ids([other.recv(timeout=10) for _ in range(2)]) == ids(requests)[1:]
    expect_lost(client, ids(requests)[:1])


@pytest.mark.parametrize("ersa, ready", [({"address": TUNNEL}, {}), ({}, {"address": TUNNEL})])
def test_stock_sockets_that_are_cut_may_have_kept_notes(start_controller, make_peers, ersa, ready):
    """All eight are closed here, sooner than the heart is given up; a tunnel, in front of that to the hub or only of
    that for tasks, may have kept the last notes, and the engine goes on behind it."""
    peers = make_peers(start_controller("--ping=3000", "--hwm=3"))
    client = peers.client()
    client.wait_subscribed()
    engine = peers.stock(register=False)
    engine.register(caps=["begun", "ready"], **ersa)
    engine.query.send_multipart(engine.session.pack("ersa_ready", {"id": engine.id, **ready}))
    requests = hold_stock(client, engine)
    engine.begin(requests[0])
    other = peers.attached()
    time.sleep(0.2)
    engine.close()
    expect_none(other)
    expect_lost(client, ids(requests))


def test_closed_tunnel_does_not_hand_the_retry_to_the_engine_that_runs_it(client, peers, controller):
    """A tunnel ends its connections with FIN as well; its engine lives, and would drop the identical message."""
    engine = tunnelled(peers)
    client.wait_engines(1)
    client.submit(metadata={"retries": 1})
    request = engine.recv_channel("task")
    begin(engine, request)
    engine.close()
    with registered_again(engine, request, address=TUNNEL) as again:
        expect_not_again(again, request)


def test_what_it_tells_waits_while_the_controller_is_held_back(client, peers, controller):
    """It has come back in time, but the controller's own time is up before it reads that."""
    engine = peers.raw()
    requests = hold(client, engine)
    other = peers.attached()
    engine.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    engine.close()
    controller.wait_log("its connection broke")
    freeze(controller.process.pid)
    try:
        host, port = controller.url("attach", "engine").removeprefix("tcp://").split(":")
        s = socket.create_connection((host, int(port)))
        s.sendall(zmtp.greeting() + zmtp.ready(b"DEALER", engine.uuid.encode()))
        s.sendall(engine.encode([b"query", *engine.session.pack("registration_request", {
            "uuid": engine.uuid, "id": engine.id, "ersa": {"v": 1, "caps": CAPS, "begun": ids(requests)[1:2]}})]))
        time.sleep(6.5)
    finally:
        os.kill(controller.process.pid, signal.SIGCONT)
    got = ids([other.recv()])
    s.close()
    assert got == ids(requests)[2:], "given to another, though begun"


def test_silent_engine_with_a_full_queue_begins_nothing_any_more(client, peers, controller):
    """Its connection is dropped for what waits for it: by a reset, so that the first note it writes fails; and what
    is in its kernel already may have been read before."""
    engine = peers.raw()
    client.wait_engines(1)
    sent = [client.submit()["msg_id"]]
    for _ in range(2):
        sent.append(client.submit(buffers=(bytes(40 << 20),))["msg_id"])
    controller.wait_log("its heartbeat stopped")
    other = peers.attached()
    expect_lost(client, sent)
    expect_none(other, 0.5)
    with pytest.raises(OSError):  # it wakes up
        begin(engine, engine.recv_channel("task"))


def test_connection_that_the_controller_closes_may_have_kept_notes(client, peers, controller):
    """A message over the bound ends the connection, and what is behind it, the next note, is read by nobody. The
    engine lives, and comes back 0.6 s later."""
    engine = peers.raw()
    requests = hold(client, engine)
    other = peers.attached()
    at = requests[1].index(DELIMITER)
    note = engine.encode([b"task", *requests[1][:at], *engine.session.pack("ersa_begun", parent={"msg_id": ids(requests)[1]})])
    engine.socket.sendall(b"\x02" + struct.pack(">Q", 1 << 60) + note)
    controller.wait_log("unregister_engine.*its connection")
    time.sleep(0.6)
    again = type(engine)(controller, name=engine.uuid)
    again.send("query", again.session.pack("registration_request", {
        "uuid": again.uuid, "id": engine.id, "ersa": {"v": 1, "caps": CAPS, "begun": ids(requests)[1:2]}}))
    assert again.session.unpack(again.recv_channel("query")).content["status"] == "ok"
    try:
        assert ids([other.recv(timeout=8)]) == ids(requests)[2:]
    finally:
        again.close()


def hold_stock(client, engine):
    client.wait_engines(1)
    for _ in range(3):
        client.submit()
    return [engine.recv() for _ in range(3)]


def given_to(other, requests, timeout=9):
    """Which of the requests, counted from 1, another engine gets."""
    got = []
    with contextlib.suppress(Silence):
        while True:
            got.append(ids(requests).index(ids([other.recv(timeout=timeout)])[0]) + 1)
    return got


def test_tunnel_of_a_heart_that_beats_again(start_controller, make_peers):
    """It is the same connection still."""
    controller = start_controller("--ping=1000", "--HeartMonitor.max_heartmonitor_misses=7", "--hwm=3")
    peers = make_peers(controller)
    client = peers.client()
    client.wait_subscribed()
    engine = peers.stock(register=False)
    engine.register(caps=["begun"], address=TUNNEL)
    client.wait_engines(1)
    engine.stop_heart()
    controller.wait_log("its heartbeat stopped")
    engine.start_heart()
    controller.wait_log("beats again")
    requests = hold_stock(client, engine)
    engine.begin(requests[0])
    other = peers.attached()
    engine.close()
    assert given_to(other, requests, 12) == []
    expect_lost(client, ids(requests))


def test_word_of_a_shutdown_overtakes_the_notes(client, peers):
    engine = peers.stock(register=False)
    engine.register(caps=["begun"])
    requests = hold_stock(client, engine)
    other = peers.attached()
    client.wait_engines(2)
    word = engine.session.pack("shutdown_reply", {"status": "ok", "restart": False},
                               metadata={"engine": engine.uuid, "ersa": {"begun": ids(requests)[1:2]}})
    engine.publish([b"engine.%d.shutdown" % engine.id, *word])
    client.wait_engines(1)
    assert given_to(other, requests, 2) == [3]


@pytest.mark.parametrize("ersa", [{}, {"address": TUNNEL}])
def test_goodbye_overtakes_the_notes(client, peers, ersa):
    """They are on another connection; it names the last task that the engine began."""
    engine = peers.stock(register=False)
    engine.register(caps=["begun", "death_cause"], **ersa)
    requests = hold_stock(client, engine)
    other = peers.attached()
    engine.query.send_multipart(engine.session.pack("unregistration_request", {
        "id": engine.id, "ersa": {"cause": "SIGTERM", "begun": ids(requests)[1:2]}}))
    assert given_to(other, requests, 2) == [3]


def test_stock_sockets_of_an_engine_that_could_attach(client, peers):
    """Nothing keeps it from beginning what it has when it wakes up."""
    engine = peers.stock(register=False)
    engine.register(caps=CAPS)
    engine.query.send_multipart(engine.session.pack("ersa_ready", {"id": engine.id}))
    requests = hold_stock(client, engine)
    engine.begin(requests[0])
    other = peers.attached()
    engine.stop_heart()
    assert given_to(other, requests) == []
