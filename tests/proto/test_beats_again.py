# SPDX-License-Identifier: BSD-3-Clause
"""Engines whose heart beats again within the grace, which can't be reached by all of their connections yet, or have lost
some of what was sent to them; and what becomes of the tasks of one that says goodbye when it is given up already."""
import contextlib
import socket
import struct
import time

import pytest
import zmq

from begun_rig import TUNNEL, begin, client, expect_not_again, ids, registered_again  # noqa: F401
from messages import header_of
from waiting import Silence, wait_until


@pytest.fixture
def controller(start_controller):
    return start_controller("--ping=1000", "--HeartMonitor.max_heartmonitor_misses=7", "--hwm=3")


def hold_stock(client, engine):
    client.wait_engines(1)
    for _ in range(3):
        client.submit()
    return [engine.recv() for _ in range(3)]


def lose_heart(controller, engine):
    engine.stop_heart()
    controller.wait_log("its heartbeat stopped")


def beat_again(controller, engine):
    engine.start_heart()
    controller.wait_log("beats again")


def connections(controller, name):
    """Of a port of the controller, seen from outside."""
    port = int(controller.url(name, "engine").rsplit(":", 1)[1])
    with open("/proc/net/tcp") as f:
        rows = [line.split() for line in f.readlines()[1:]]
    return [r for r in rows if r[1].endswith(f":{port:04X}") and r[3] == "01"]


def cut(engine, controller, name):
    engine.shell.disconnect(controller.url(name, "engine"))
    wait_until(lambda: engine.shell.poll(10) == 0 and not connections(controller, name), what="end of the connection")
    time.sleep(0.2)


def connect(engine, controller, name):
    engine.shell.connect(controller.url(name, "engine"))


def half_back(client, peers, controller, caps=("begun",)):
    """Its heart stopped and beats again, while its connection for direct requests is still away."""
    engine = peers.stock(register=False)
    engine.register(caps=list(caps))
    requests = hold_stock(client, engine)
    engine.begin(requests[0])
    cut(engine, controller, "mux")
    lose_heart(controller, engine)
    engine.start_heart()
    time.sleep(2)  # beats: nothing is to happen
    assert not client.engines()
    return engine, requests


def whole_again(client, controller, engine):
    connect(engine, controller, "mux")
    controller.wait_log("beats again")
    client.wait_engines(1)


def given_to(other, requests, timeout=9):
    got = []
    with contextlib.suppress(Silence):
        while True:
            got.append(ids(requests).index(ids([other.recv(timeout=timeout)])[0]) + 1)
    return got


def test_a_note_between_the_first_beat_and_the_announcement_counts(client, peers, controller):
    engine, requests = half_back(client, peers, controller)
    engine.begin(requests[1])
    whole_again(client, controller, engine)
    other = peers.attached()
    client.wait_engines(2)
    engine.close()
    assert given_to(other, requests, 9) == [3]


def test_an_error_between_the_first_beat_and_the_announcement_counts(client, peers, controller):
    engine, requests = half_back(client, peers, controller)
    engine.answer(requests[0], content={"status": "error", "ename": "E", "evalue": "", "traceback": []},
                  metadata={"status": "error"})
    assert client.recv(client.task, 15).content["ename"] == "E"
    whole_again(client, controller, engine)


def test_a_result_between_the_first_beat_and_the_announcement_gives_its_place_back(client, peers, controller):
    engine, requests = half_back(client, peers, controller)
    for request in requests:
        engine.answer(request)
    for _ in requests:
        assert client.recv(client.task, 15).content["status"] == "ok"
    whole_again(client, controller, engine)
    client.submit()
    engine.recv(15)


def test_what_it_has_not_begun_goes_elsewhere_when_it_registers_before_it_can_be_reached(client, peers, controller):
    engine, requests = half_back(client, peers, controller)
    other = peers.attached()
    client.wait_engines(1)
    engine.query.send_multipart(engine.registration(engine.id, ["begun"], begun=ids(requests)[:1]))
    reply = engine.session.unpack(engine.query.recv_multipart())
    assert reply.content["status"] == "ok", reply.content
    assert sorted(given_to(other, requests, 5)) == [2, 3]


def test_a_task_waits_for_its_connection(client, peers, controller):
    """The same without any trouble of the heart: passes."""
    engine = peers.stock(register=False)
    engine.register(caps=["begun"])
    client.wait_engines(1)
    cut(engine, controller, "task")
    client.submit()
    time.sleep(0.5)
    engine.shell.connect(controller.url("task", "engine"))
    engine.recv(10)


def test_a_task_that_waits_for_its_connection_goes_to_another_engine_when_its_own_falls_silent(client, peers, controller):
    engine = peers.stock(register=False)
    engine.register(caps=["begun"])
    client.wait_engines(1)
    cut(engine, controller, "task")
    task = client.submit()
    time.sleep(0.5)
    lose_heart(controller, engine)
    other = peers.attached()
    assert header_of(other.recv(timeout=3))["msg_id"] == task["msg_id"]
    connect(engine, controller, "task")
    beat_again(controller, engine)
    client.wait_engines(2)


def reset(engine):
    engine.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    engine.close()


def test_closed_connection_does_not_hand_the_retry_to_the_engine_that_runs_it(client, peers, controller):
    """No tunnel: its own end closes, in order, and it lives."""
    engine = peers.raw()
    client.wait_engines(1)
    client.submit(metadata={"retries": 1})
    request = engine.recv_channel("task")
    begin(engine, request)
    engine.close()
    with registered_again(engine, request) as again:
        expect_not_again(again, request)


def test_goodbye_of_one_whose_heart_has_stopped_counts(client, peers, controller):
    """A suspended job that is ended gets SIGCONT and SIGTERM."""
    engine = peers.stock(register=False)
    engine.register(caps=["begun", "death_cause"])
    requests = hold_stock(client, engine)
    engine.begin(requests[0])
    other = peers.attached()
    lose_heart(controller, engine)
    engine.query.send_multipart(engine.session.pack("unregistration_request", {
        "id": engine.id, "ersa": {"cause": "SIGTERM", "begun": ids(requests)[:1]}}))
    assert sorted(given_to(other, requests, 8)) == [2, 3]


def test_goodbye_by_a_new_connection_counts(client, peers, controller):
    """It stops, loses its connection behind a tunnel meanwhile, and does not register again: there is no place for it."""
    engine = peers.raw(register=False)
    engine.register(address=TUNNEL)
    client.wait_engines(1)
    for _ in range(3):
        client.submit()
    requests = [engine.recv_channel("task") for _ in range(3)]
    other = peers.attached()
    reset(engine)
    again = type(engine)(controller, name=engine.uuid)
    again.send("query", again.session.pack("unregistration_request", {
        "id": engine.id, "ersa": {"cause": "SIGTERM", "begun": []}}))
    try:
        assert sorted(given_to(other, requests, 8)) == [1, 2, 3]
    finally:
        again.close()


def test_all_stock_connections_were_away_and_the_retry_does_not_come_to_whom_it_ran_at(client, peers, controller):
    """No tunnel; for longer than 5 s. The engine lives, and its replay check drops the identical message."""
    engine = peers.stock(register=False)
    engine.register(caps=["begun"])
    client.wait_engines(1)
    client.submit(metadata={"retries": 1})
    request = engine.recv()
    engine.begin(request)
    time.sleep(0.3)
    engine.close()
    controller.wait_log("its connections are closed")
    while client.engines():
        time.sleep(0.05)
    time.sleep(1)
    again = peers.stock(register=False, name=engine.uuid)
    again.register(engine.id, ["begun"], begun=ids([request]))
    with contextlib.suppress(Silence):
        got = again.recv(5)
        assert ids([got]) != ids([request]), "the same message again"
