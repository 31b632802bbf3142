# SPDX-License-Identifier: BSD-3-Clause
"""What tests of engines that may be there still share: a controller whose
hearts stop soon, tasks that one holds, and what is to become of them."""
import contextlib

import pytest

from engines import CAPS
from messages import DELIMITER, header_of
from waiting import Silence

TUNNEL = "tcp://127.0.0.1:1"  # nobody has that name for its end
SETTLE_S = 40  # a heart that stops, and the grace behind it, at most


@pytest.fixture
def controller(start_controller):
    return start_controller("--ping=400", "--HeartMonitor.max_heartmonitor_misses=3", "--hwm=3")


@pytest.fixture
def client(peers):
    client = peers.client()
    client.wait_subscribed()
    return client


def begin(engine, request):
    at = request.index(DELIMITER)
    engine.send("task", request[:at] + engine.session.pack("ersa_begun", parent={"msg_id": header_of(request)["msg_id"]}))


def hold(client, engine):
    """Three tasks that the engine holds, the first of which it has begun: their requests."""
    client.wait_engines(1)
    for _ in range(3):
        client.submit()
    requests = [engine.recv_channel("task") for _ in range(3)]
    begin(engine, requests[0])
    return requests


def get_ready(engine):
    """It is back, and may be at what was given up: so it is to say when it is free."""
    engine.send("query", engine.session.pack("ersa_ready", {"id": engine.id}))
    recall = engine.recv_channel("recall")
    message = engine.session.unpack(recall)
    assert message.type == "ersa_recall" and message.content == {"msg_ids": [], "tell_free": True}
    engine.send("task", engine.session.pack("ersa_recalled", {"msg_ids": []}, parent=header_of(recall)))


def ids(requests):
    return [header_of(r)["msg_id"] for r in requests]


def expect_lost(client, msg_ids):
    replies = [client.recv(client.task, SETTLE_S) for _ in msg_ids]
    assert sorted(r.parent["msg_id"] for r in replies) == sorted(msg_ids)
    assert {r.content["ename"] for r in replies} == {"EngineError"}


def expect_none(other, timeout=9):
    """Nothing goes to another engine: longer than a heart that stops and the grace."""
    with pytest.raises(Silence):
        got = other.recv(timeout=timeout)
        raise AssertionError(f"ran twice: {ids([got])}")


@contextlib.contextmanager
def registered_again(engine, request, **ersa):
    """The same engine over a new connection, by raw octets: it has begun that request."""
    again = type(engine)(engine.controller, name=engine.uuid)
    try:
        again.send("query", again.session.pack("registration_request", {
            "uuid": again.uuid, "id": engine.id, "ersa": {"v": 1, "caps": CAPS, "begun": ids([request]), **ersa}}))
        assert again.session.unpack(again.recv_channel("query")).content["status"] == "ok"
        get_ready(again)
        yield again
    finally:
        again.close()


def expect_not_again(engine, request):
    """It would drop what it has had before, and the task would hang."""
    engine.socket.settimeout(1.5)
    with pytest.raises((TimeoutError, OSError)):
        got = engine.recv_channel("task")
        pytest.fail(f"the same message again: {ids([got])} of {ids([request])}")
