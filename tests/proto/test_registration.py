# SPDX-License-Identifier: BSD-3-Clause
"""Engines register, are announced, leave (controller.md 7 to 10; extensions.md 2, 3, 5)."""
import pytest

from engines import CAPS, StockEngine
from messages import new_uuid
from waiting import Silence, raw_recv, wait_until


def test_reply_of_a_stock_engine(peers, controller):
    engine = peers.stock(register=False)
    reply = engine.register()
    assert reply.type == "registration_reply"
    assert reply.parent == {}
    assert reply.content["status"] == "ok" and reply.content["id"] == 0
    assert reply.content["hb_period"] == 200
    info = reply.content["connection_info"]
    assert info["mux"] == controller.engine_info["mux"] and info["hb_ping"] == controller.engine_info["hb_ping"]
    assert "ersa" not in reply.content


def test_announced_with_its_first_beat(client, peers):
    client.wait_subscribed()
    engine = peers.stock()
    note = client.wait_notified("registration_notification")
    while note.content["uuid"] != engine.uuid:
        note = client.wait_notified("registration_notification")
    assert note.content == {"id": engine.id, "uuid": engine.uuid} and note.parent == {}
    assert client.engines()[engine.id] == engine.uuid


def test_not_announced_without_a_beat(client, peers):
    peers.stock(beat=False)
    beating = peers.stock()
    assert client.wait_engines(1) == {beating.id: beating.uuid}


def test_ids_count_up_and_wishes_are_honoured(client, peers):
    assert [peers.stock().id for _ in range(3)] == [0, 1, 2]
    assert peers.stock(wish=7).id == 7
    assert peers.stock().id == 8
    assert peers.stock(wish=7).id == 9, "a wish for an id in use"
    assert peers.stock(wish=4).id == 4


def test_id_is_not_used_again(client, peers):
    first = peers.stock()
    client.wait_engines(1)
    first.unregister()
    wait_until(lambda: not client.engines(), what="end of the registration")
    assert peers.stock().id == first.id + 1


def test_uuid_in_use(client, peers):
    engine = peers.attached()
    client.wait_engines(1)
    other = peers.stock(register=False)
    other.uuid = engine.uuid
    reply = other.register()
    assert reply.content["status"] == "error" and reply.content["ename"] == "KeyError"
    assert engine.uuid in reply.content["evalue"]


@pytest.mark.parametrize("content, ename", [
    ({"uuid": 5}, "TypeError"),
    ({"uuid": ""}, "ValueError"),
    ({"uuid": "\0first octet zero"}, "ValueError"),
    ({"uuid": "x" * 300}, "ValueError"),
    ({"uuid": "<IDS|MSG>"}, "ValueError"),
    ({"uuid": "fine", "id": "7"}, "TypeError"),
])
def test_malformed_registration(peers, content, ename):
    engine = peers.stock(register=False)
    engine.query.send_multipart(engine.session.pack("registration_request", content))
    reply = engine.session.unpack(engine.query.recv_multipart())
    assert reply.type == "hub_error" and reply.content["ename"] == ename


def test_stock_engine_unregisters_by_id(client, peers):
    engine = peers.stock()
    client.wait_engines(1)
    # The watchdog of a stock engine says so from a connection without an identity.
    client.wait_subscribed()
    client.query_socket.send_multipart(client.session.pack("unregistration_request", {"id": engine.id}))
    note = client.wait_notified("unregistration_notification")
    assert note.content == {"id": engine.id, "uuid": engine.uuid}
    assert client.engines() == {}


def test_engine_that_was_not_let_in_takes_no_other_with_it(client, peers):
    """It gives up with the id that it had wished for, which is somebody else's by now."""
    engine = peers.stock()
    client.wait_engines(1)
    for stranger in (peers.stock(register=False), peers.stock(beat=False)):
        stranger.id = engine.id
        stranger.unregister()
        stranger.query.send_multipart(stranger.session.pack("no_such_request"))
        raw_recv(stranger.query)  # so the other one was looked at
    assert client.engines() == {engine.id: engine.uuid}


def test_attached_engine_is_usable_at_once(client, peers):
    client.wait_subscribed()
    engine = peers.attached(register=False, beat=False)
    reply = engine.register()
    assert sorted(reply.content["ersa"]["caps"]) == sorted(CAPS)
    assert client.wait_notified("registration_notification").content["uuid"] == engine.uuid


def test_attached_engine_is_not_announced_before_it_is_ready(client, peers):
    engine = peers.attached(register=False)
    engine.register(ready=False)
    with pytest.raises(Silence):
        client.wait_engines(1, timeout=0.6)
    engine.ready()
    client.wait_engines(1)


def test_end_of_an_attached_connection_is_the_engines_end(start_controller, make_peers):
    """It is not its heart that is missed: that would take ten minutes."""
    peers = make_peers(start_controller("--ping=60000"))
    client = peers.client()
    client.wait_subscribed()
    engine = peers.attached()
    client.wait_engines(1)
    engine.close()
    note = client.wait_notified("unregistration_notification")
    assert note.content["uuid"] == engine.uuid
    assert note.content["ersa"]["cause"]


def test_cause_of_death_is_told(client, peers):
    client.wait_subscribed()
    engine = peers.attached()
    client.wait_engines(1)
    engine.unregister(cause="killed by signal 9 (SIGKILL)")
    note = client.wait_notified("unregistration_notification")
    assert note.content["ersa"] == {"cause": "killed by signal 9 (SIGKILL)"}


def test_same_uuid_comes_back_with_its_id(client, peers):
    engine = peers.attached()
    peers.attached()
    client.wait_engines(2)
    engine.close()
    client.wait_engines(1)
    again = peers.attached(name=engine.uuid)
    assert again.id == engine.id


def test_client_that_subscribes_late_hears_of_new_engines(client, peers):
    """It may have asked for the engines just before this one was announced."""
    engine = peers.attached()
    client.wait_engines(1)
    note = peers.client().wait_notified("registration_notification")
    assert note.content == {"id": engine.id, "uuid": engine.uuid}


def test_client_that_subscribes_late_hears_of_engines_that_ended(client, peers):
    """It may have asked for the engines just before this one ended; another may have its id meanwhile."""
    first, second = peers.attached(), peers.attached()
    client.wait_engines(2)
    first.close()
    second.close()
    client.wait_engines(0)
    heir = peers.attached(wish=second.id)
    client.wait_engines(1)
    late = peers.client()
    notes = [late.notified() for _ in range(3)]
    assert {(n.content["id"], n.content["uuid"]) for n in notes[:2]} == {(e.id, e.uuid) for e in (first, second)}
    assert [n.type for n in notes] == ["unregistration_notification"] * 2 + ["registration_notification"]
    assert notes[2].content == {"id": second.id, "uuid": heir.uuid}


def test_what_does_not_register_again_frees_nothing(context, controller, client):
    """A stock engine that only opens its registration socket leaves no trace."""
    name = new_uuid()
    silent = StockEngine(context, controller, name)
    silent.close()
    assert client.engines() == {}


def attempt(engine, *name):
    """The answer to one; where it is the first, `engine` is not connected otherwise."""
    engine.query.send_multipart(engine.registration(caps=CAPS, **dict(zip(["attempt"], name))))
    return engine.session.unpack(raw_recv(engine.query)).content


def test_lost_reply_to_a_registration_comes_again(client, peers):
    """The same attempt has the same answer; for another one the uuid is in use."""
    engine = peers.stock(register=False)
    first = attempt(engine, "a")
    assert first["status"] == "ok" and attempt(engine, "a") == first
    assert attempt(engine, "b")["ename"] == "KeyError"
    engine.id = first["id"]
    engine.connect(first)
    engine.query.send_multipart(engine.session.pack("ersa_ready", {"id": engine.id}))
    client.wait_engines(1)
    assert attempt(engine, "a") == first
    assert attempt(engine, "b")["ename"] == "KeyError"


@pytest.mark.parametrize("name", [[], [""], [5], ["x" * 64]])
def test_attempt_without_a_name_is_like_no_other(peers, name):
    """The reference's engines name none."""
    engine = peers.stock(register=False)
    assert attempt(engine, *name)["status"] == "ok"
    assert attempt(engine, *name)["ename"] == "KeyError"


def test_engine_that_comes_back_is_accepted_once(client, peers):
    """It was given up meanwhile; what it does about that it must hear, even when the first answer was lost."""
    engine = peers.stock(register=False)
    engine.id = attempt(engine, "a")["id"]
    engine.connect(None)
    engine.query.send_multipart(engine.session.pack("ersa_ready", {"id": engine.id}))
    client.wait_engines(1)
    engine.stop_heart()
    wait_until(lambda: not client.engines(), 20, "the end of its heart")
    assert [attempt(engine, "b")["status"] for _ in range(2)] == ["ok"] * 2
    assert attempt(engine, "a")["ename"] == "KeyError"


@pytest.mark.parametrize("ersa, is_announced", [({}, True), ({"again": True}, False)])
def test_engine_that_has_to_forget_says_when_it_has(client, peers, ersa, is_announced):
    """Until then its heart, by another connection, tells nothing."""
    engine = peers.stock(register=False)
    reply = engine.register(caps=["begun"], attempt="a", **ersa).content
    assert reply["ersa"].get("again") == ersa.get("again")
    if is_announced:
        client.wait_engines(1)
        return
    with pytest.raises(Silence):
        client.wait_engines(1, timeout=0.6)
    engine.query.send_multipart(engine.session.pack("ersa_ready", {"id": engine.id}))
    client.wait_engines(1)
