# SPDX-License-Identifier: BSD-3-Clause
"""Many engines of both kinds register at the same moment, and leave at the same moment (controller.md 7; sharp edges 14, 15); with CURVE, while
clients submit, while half of them die."""
import json
import queue

import pytest

from waiting import raw_recv, wait_until

ATTACHED, STOCK = 200, 50
TOTAL = ATTACHED + STOCK


@pytest.fixture
def storm(controller, peers, client):
    """All requests are under way before the first reply is read."""
    client.wait_subscribed()
    engines = [peers.attached(register=False) for _ in range(ATTACHED)] + [peers.stock(register=False) for _ in range(STOCK)]
    for e in engines:
        frames = e.registration(caps=["attach", "ready", "begun"]) if hasattr(e, "channels") else e.registration()
        e.send("query", frames) if hasattr(e, "channels") else e.query.send_multipart(frames)
    for e in engines:
        is_attached = hasattr(e, "channels")
        reply = e.session.unpack(e.recv_channel("query") if is_attached else raw_recv(e.query))
        assert reply.content["status"] == "ok", reply.content
        e.id = reply.content["id"]
        e.ready() if is_attached else e.connect(reply.content)
    return engines


def notified(client, msg_type, uuids):
    """Reads notifications until each of the uuids has been named; an engine may be named twice to a new client."""
    left = set(uuids)
    while left:
        note = client.wait_notified(msg_type)
        left.discard(note.content["uuid"])


def test_storm(controller, client, storm):
    engines = {e.id: e.uuid for e in storm}
    assert len(engines) == TOTAL
    first = min(engines)
    assert sorted(engines) == list(range(first, first + TOTAL)), "ids have no holes"
    assert client.wait_engines(TOTAL, 60) == engines
    notified(client, "registration_notification", engines.values())

    # Every one of them is usable in both ways.
    for e in storm:
        client.send_mux(e.uuid)
        client.submit(metadata={"targets": [e.uuid]})
    answered = 0
    for e in storm:
        if hasattr(e, "channels"):
            e.answer(e.recv(channel="mux"), channel="mux")
            e.answer(e.recv())
        else:
            for request in (e.recv(), e.recv()):
                e.answer(request)
        answered += 2
    got = [client.recv(s).parent["msg_id"] for s in (client.mux, client.task) for _ in storm]
    assert len(set(got)) == answered == 2 * TOTAL

    queue = client.query("queue_request", {"targets": None}).content
    assert len(queue) == TOTAL + 2 and queue["unassigned"] == 0
    assert all(queue[str(i)] == {"queue": 0, "completed": 2, "tasks": 0} for i in engines)
    state = controller.profile / "log" / "engines.json"
    want = {"engines": {str(i): u for i, u in engines.items()}, "next_id": first + TOTAL}
    wait_until(lambda: json.loads(state.read_text()) == want, what="the state file of all")

    for e in storm:
        e.unregister()
    notified(client, "unregistration_notification", engines.values())
    assert client.engines() == {}
    wait_until(lambda: json.loads(state.read_text())["engines"] == {}, what="an empty state file")


def test_storm_that_breaks_off(client, storm):
    """Connections end without a word: attached engines are gone at once, stock ones after a while."""
    client.wait_engines(TOTAL, 60)
    for e in storm:
        e.close()
    wait_until(lambda: not client.engines(), 60, "end of all")


@pytest.mark.parametrize("secured", [False, True], ids=["plain", "CURVE"])
def test_storm_while_clients_submit_and_half_of_it_dies(start_controller, make_peers, secured):
    """Every second engine ends before it reads the reply to its registration; no task is lost to one of those."""
    count = 80
    controller = start_controller("--ping=200", **({"env": {"IPP_ENABLE_CURVE": "1"}} if secured else {}))
    peers = make_peers(controller)
    client = peers.client()
    client.wait_subscribed()
    engines = [peers.attached(register=False) for _ in range(count)]
    tasks = {client.submit()["msg_id"] for _ in range(count)}
    for e in engines:
        e.send("query", e.registration(caps=["attach", "ready", "begun"]))
        tasks.add(client.submit()["msg_id"])
    for e in engines[1::2]:
        e.close()
    survivors = engines[::2]
    for e in survivors:
        reply = e.session.unpack(e.recv_channel("query"))
        assert reply.content["status"] == "ok", reply.content
        e.id = reply.content["id"]
        e.ready()
    assert client.wait_engines(len(survivors), 60) == {e.id: e.uuid for e in survivors}

    left = set(tasks)

    def all_answered():
        for e in survivors:
            try:
                e.answer(e.channels["task"].get_nowait())
            except queue.Empty:
                pass
        while client.task.poll(0):
            reply = client.recv(client.task)
            assert reply.content["status"] == "ok", reply.content
            left.remove(reply.parent["msg_id"])
        return not left

    wait_until(all_answered, 60, "answers to all tasks")
    assert client.engines() == {e.id: e.uuid for e in survivors}
    for e in survivors:  # and each is usable
        client.send_mux(e.uuid)
        e.answer(e.recv(channel="mux"), channel="mux")
    assert {client.recv(client.mux).idents[-1].decode() for _ in survivors} == {e.uuid for e in survivors}
