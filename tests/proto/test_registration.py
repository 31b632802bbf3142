# SPDX-License-Identifier: BSD-3-Clause
"""Engines register, are announced, leave (controller.md 7 to 10; extensions.md 2, 3, 5)."""
import pytest

from harness import CAPS, Silence, StockEngine, new_uuid, raw_recv, wait_until


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
