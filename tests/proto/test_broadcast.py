# SPDX-License-Identifier: BSD-3-Clause
"""The broadcast route (schedulers.md C): one request, many engines, in trees of every depth."""
import json
import os
import random

import pytest

from messages import DELIMITER, header_of, new_uuid
from waiting import Silence, raw_recv, silence, wait_until

COPIED = ("is_broadcast", "is_coalescing", "original_msg_id")


def send(client, targets, coalescing=False, buffers=(b"work",), msg_type="apply_request", metadata=None, **kw):
    """A broadcast request; its header. `targets` are engines, or pairs of uuid and id."""
    pairs = [t if isinstance(t, (list, tuple)) else [t.uuid, t.id] for t in targets]
    meta = {"targets": pairs, "is_broadcast": True, "is_coalescing": coalescing}
    frames = client.session.pack(msg_type, metadata={**meta, **(metadata or {})}, buffers=buffers, **kw)
    client.broadcast.send_multipart(frames)
    return header_of(frames)


def is_attached(engine):
    return hasattr(engine, "channels")


def receive(engine, **kw):
    return engine.recv(channel="broadcast", **kw) if is_attached(engine) else engine.recv(**kw)


def metadata_of(frames):
    return json.loads(frames[frames.index(DELIMITER) + 4])


def answer(engine, request, metadata=None, **kw):
    copied = {k: v for k, v in metadata_of(request).items() if k in COPIED}
    where = {"channel": "broadcast"} if is_attached(engine) else {}
    engine.answer(request, metadata={**copied, **(metadata or {})}, **where, **kw)


def fail(engine, request, ename="ValueError", status="error"):
    content = {"status": status, "ename": ename, "evalue": engine.uuid, "traceback": [],
               "engine_info": {"engine_uuid": engine.uuid, "engine_id": engine.id}}
    answer(engine, request, metadata={"status": status}, content=content)


def name(engine):
    return engine.uuid.encode()


@pytest.fixture(params=[0, 1, 2, 3])
def tree(request, start_controller, make_peers):
    """A client and nine engines of both kinds at a tree of that depth."""
    controller = start_controller("--ping=200", f"--IPController.broadcast_scheduler_depth={request.param}")
    assert len(controller.engine_info["broadcast"]) == 2 ** request.param
    peers = make_peers(controller)
    client = peers.client()
    engines = [(peers.stock if i % 3 else peers.attached)() for i in range(9)]
    client.wait_engines(9)
    return client, engines


@pytest.fixture(params=["attached", "stock"])
def three(request, client, peers):
    made = [getattr(peers, request.param)() for _ in range(3)]
    client.wait_engines(3)
    return made


def test_what_engines_get_and_what_comes_back(tree):
    client, engines = tree
    payload = os.urandom(200_000)
    header = send(client, engines, buffers=[b"a", b"", payload])
    for e in engines:
        request = receive(e)
        message = e.session.unpack(request)
        assert message.header == {**header, "msg_id": f"{header['msg_id']}_{e.uuid}"}
        assert message.metadata == {"targets": [[e.uuid, e.id]], "is_broadcast": True, "is_coalescing": False,
                                    "original_msg_id": header["msg_id"]}
        assert message.parent == {} and message.content == {} and message.buffers == [b"a", b"", payload]
        if not is_attached(e):
            assert request[0].startswith(b"sub_scheduler_0")
        answer(e, request, buffers=[name(e), payload])
    replies = [client.recv(client.broadcast) for _ in engines]
    assert {r.parent["msg_id"] for r in replies} == {f"{header['msg_id']}_{e.uuid}" for e in engines}
    for r in replies:
        assert r.idents == [] and r.type == "apply_reply" and "broadcast_targets" not in r.metadata
        assert r.buffers == [r.header["session"].encode(), payload]


def test_coalesced_results_belong_to_their_engines(tree):
    """In the order of the request, whatever the order of the answers."""
    client, engines = tree
    rng = random.Random(1)
    for _ in range(5):
        asked = rng.sample(engines, rng.randint(1, len(engines)))
        header = send(client, asked, coalescing=True)
        requests = [(e, receive(e)) for e in asked]
        rng.shuffle(requests)
        for e, request in requests:
            answer(e, request, buffers=[name(e), b"x" * e.id])
        reply = client.recv(client.broadcast)
        assert reply.metadata["broadcast_targets"] == [[e.uuid, e.id] for e in asked]
        assert reply.metadata["original_msg_id"] == header["msg_id"]
        assert reply.metadata["is_broadcast"] is True and reply.metadata["is_coalescing"] is True
        assert reply.metadata["status"] == reply.content["status"] == "ok"
        assert reply.buffers == [b for e in asked for b in (name(e), b"x" * e.id)]
        assert reply.parent["msg_id"] in {f"{header['msg_id']}_{e.uuid}" for e in asked}


def test_a_failure_in_a_coalesced_reply_tells(tree):
    """The first in the order of the request, whoever answers last; nobody's results."""
    client, engines = tree
    for order in (engines, engines[::-1]):
        send(client, engines, coalescing=True)
        requests = {e.uuid: receive(e) for e in engines}
        for e in order:
            if e in (engines[3], engines[7]):
                fail(e, requests[e.uuid])
            else:
                answer(e, requests[e.uuid], buffers=[b"result"])
        reply = client.recv(client.broadcast)
        assert reply.content["evalue"] == engines[3].uuid and reply.metadata["status"] == "error"
        assert reply.header["session"] == reply.metadata["engine"] == engines[3].uuid
        assert reply.metadata["broadcast_targets"] == [[e.uuid, e.id] for e in engines]
        assert reply.buffers == []


def test_an_aborted_part_tells(client, three):
    send(client, three, coalescing=True)
    fail(three[1], receive(three[1]), "TaskAborted", "aborted")
    for e in three[::2]:
        answer(e, receive(e), buffers=[b"result"])
    reply = client.recv(client.broadcast)
    assert reply.content["status"] == "aborted" and reply.metadata["engine"] == three[1].uuid


def test_unlabelled_and_status_free_replies_are_completed(client, three):
    """The client finds its request by the labels, whether or not an engine copied them."""
    header = send(client, three, coalescing=True)
    for e in three:
        where = {"channel": "broadcast"} if is_attached(e) else {}
        request = receive(e)
        frames = request[:request.index(DELIMITER)] + e.session.pack(
            "apply_reply", {"status": "ok"}, parent=header_of(request), buffers=[b"1"])
        e.send("broadcast", frames) if where else e.shell.send_multipart(frames)
    reply = client.recv(client.broadcast)
    assert reply.metadata == {"is_broadcast": True, "is_coalescing": True, "original_msg_id": header["msg_id"],
                              "broadcast_targets": [[e.uuid, e.id] for e in three]}
    assert reply.buffers == [b"1"] * 3


def test_extra_identities_come_back(client, three):
    for coalescing in (False, True):
        frames = client.session.pack("apply_request", metadata={
            "targets": [[e.uuid, e.id] for e in three] + ([] if coalescing else [["nobody", 9]]),
            "is_broadcast": True, "is_coalescing": coalescing})
        client.broadcast.send_multipart([b"", b"more", *frames])
        for e in three:
            answer(e, receive(e))
        for _ in range(1 if coalescing else 4):
            assert client.recv(client.broadcast).idents == [b"", b"more"]


def test_two_clients_with_one_message_id(client, three, peers):
    """Replies go by their envelope."""
    other = peers.client()
    for who, part in ((client, three[:2]), (other, three[1:])):
        send(who, part, coalescing=True, msg_id="same", content={"of": who.session.id})
    for e, n in zip(three, (1, 2, 1)):
        for _ in range(n):
            answer(e, receive(e), buffers=[name(e)])
    for who, part in ((client, three[:2]), (other, three[1:])):
        assert who.recv(who.broadcast).buffers == [name(e) for e in part]


def test_target_named_twice_is_asked_once(client, three):
    send(client, [three[0], three[1], three[0]], coalescing=True)
    for e in three[:2]:
        answer(e, receive(e), buffers=[name(e)])
    reply = client.recv(client.broadcast)
    assert reply.metadata["broadcast_targets"] == [[e.uuid, e.id] for e in three[:2]]
    assert reply.buffers == [name(e) for e in three[:2]]


def test_odd_json(client, three):
    """Escapes, members of all kinds, compact text."""
    pairs = json.dumps([[e.uuid, e.id] for e in three], separators=(",", ":"))
    escaped = pairs.replace(three[0].uuid, "".join(f"\\u{ord(c):04x}" for c in three[0].uuid))
    msg_id = client.session.id + "\\u005f\\\"1"
    header = json.dumps(client.session.header("apply_request", "ID")).replace('"ID"', f'"{msg_id}"')
    metadata = f'{{"x":[{{"targets":1}},"}}"],"targets":{escaped} ,"is_coalescing":true,"is_broadcast":true }} '
    client.broadcast.send_multipart(client.session.pack_raw(*(t.encode() for t in (header, "{}", metadata, "{}"))))
    original = client.session.id + '_"1'
    for e in three:
        request = receive(e)
        assert header_of(request)["msg_id"] == f"{original}_{e.uuid}"
        assert metadata_of(request)["targets"] == [[e.uuid, e.id]]
        assert metadata_of(request)["x"] == [{"targets": 1}, "}"]
        answer(e, request, buffers=[name(e)])
    reply = client.recv(client.broadcast)
    assert reply.metadata["original_msg_id"] == original and reply.buffers == [name(e) for e in three]


@pytest.mark.parametrize("coalescing", [False, True])
def test_unknown_targets_fail_and_the_others_run(client, three, coalescing):
    ghosts = [[new_uuid(), 77], [new_uuid(), 78]]
    header = send(client, [three[0], ghosts[0], three[1], ghosts[1]], coalescing)
    for e in three[:2]:
        answer(e, receive(e), buffers=[b"result"])
    replies = [client.recv(client.broadcast) for _ in range(1 if coalescing else 4)]
    failed = [r for r in replies if r.content["status"] == "error"]
    assert len(failed) == (1 if coalescing else 2)
    for r, (uuid, _) in zip(failed, ghosts):
        assert r.content["ename"] == "EngineError" and uuid in r.content["evalue"] and r.content["engine_info"] == {}
        assert r.metadata["engine"] == uuid and r.metadata["status"] == "error" and r.type == "apply_reply"
        assert r.metadata["original_msg_id"] == header["msg_id"]
        assert r.parent["msg_id"] == (header["msg_id"] if coalescing else f"{header['msg_id']}_{uuid}")
    if coalescing:
        assert [p[0] for p in failed[0].metadata["broadcast_targets"]] == [
            three[0].uuid, ghosts[0][0], three[1].uuid, ghosts[1][0]]


def test_nobody_there_at_all(client, peers):
    reply_to = send(client, [[new_uuid(), i] for i in range(3)], coalescing=True)
    reply = client.recv(client.broadcast)
    assert reply.content["ename"] == "EngineError" and reply.metadata["original_msg_id"] == reply_to["msg_id"]
    assert len(reply.metadata["broadcast_targets"]) == 3


def test_engine_that_dies_is_told_by_its_notification_alone(client, three):
    """Clients fail what they await of it themselves; the others' replies still come, but no coalesced one."""
    client.wait_subscribed()
    header = send(client, three)
    send(client, three, coalescing=True)
    requests = [[receive(e) for _ in range(2)] for e in three]
    dead = three[2]
    dead.unregister()
    dead.close()
    while client.wait_notified("unregistration_notification").content["uuid"] != dead.uuid:
        pass
    for e, both in zip(three[:2], requests):
        for request in both:
            answer(e, request, buffers=[name(e)])
    replies = [client.recv(client.broadcast) for _ in range(2)]
    assert {r.parent["msg_id"] for r in replies} == {f"{header['msg_id']}_{e.uuid}" for e in three[:2]}
    with silence(client.broadcast):
        pass
    send(client, three[:2], coalescing=True)
    for e in three[:2]:
        answer(e, receive(e), buffers=[b"again"])
    assert client.recv(client.broadcast).buffers == [b"again"] * 2


def test_target_that_is_gone_when_asked_fails(client, three):
    three[0].unregister()
    client.wait_engines(2)
    for coalescing in (False, True):
        send(client, three, coalescing)
        for e in three[1:]:
            answer(e, receive(e))
        replies = [client.recv(client.broadcast) for _ in range(1 if coalescing else 3)]
        failed = [r for r in replies if r.content["status"] == "error"]
        assert [r.content["ename"] for r in failed] == ["EngineError"] and failed[0].metadata["engine"] == three[0].uuid


@pytest.mark.parametrize("coalescing", [False, True])
def test_engine_that_never_connects_its_leaf(client, peers, coalescing):
    """Registered, but unreachable: the request waits a little, then fails."""
    engine, late = peers.attached(), peers.stock(register=False)
    late.query.send_multipart(late.registration())
    late.id = late.session.unpack(raw_recv(late.query)).content["id"]
    send(client, [late, engine], coalescing)
    answer(engine, receive(engine), buffers=[b"result"])
    replies = [client.recv(client.broadcast) for _ in range(1 if coalescing else 2)]
    failed = [r for r in replies if r.content["status"] == "error"]
    assert [r.content["ename"] for r in failed] == ["EngineError"] and failed[0].metadata["engine"] == late.uuid
    assert failed[0].metadata["is_coalescing"] is coalescing


def test_engine_that_connects_its_leaf_late(client, peers):
    engine = peers.stock(register=False)
    engine.query.send_multipart(engine.registration())
    reply = engine.session.unpack(raw_recv(engine.query))
    engine.id = reply.content["id"]
    header = send(client, [engine], coalescing=True)
    client.engines()
    engine.connect(reply.content)
    request = engine.recv()
    assert header_of(request)["msg_id"] == f"{header['msg_id']}_{engine.uuid}"
    answer(engine, request, buffers=[b"result"])
    assert client.recv(client.broadcast).buffers == [b"result"]


def test_registration_that_is_given_up_fails_its_part(client, peers):
    """Nobody hears of its end: it was never announced."""
    engine, pending = peers.attached(), peers.stock(register=False)
    pending.query.send_multipart(pending.registration())
    pending.id = pending.session.unpack(raw_recv(pending.query)).content["id"]
    pending.shell = None
    send(client, [engine, pending], coalescing=True)
    answer(engine, receive(engine))
    pending.unregister()
    assert client.recv(client.broadcast).metadata["engine"] == pending.uuid


def test_client_that_goes_leaves_nothing(client, three, peers):
    other = peers.client()
    send(other, three, coalescing=True, buffers=[bytes(100_000)])
    requests = [receive(e) for e in three]
    other.close()
    for e, request in zip(three, requests):
        answer(e, request, buffers=[bytes(100_000)])
    send(client, three, coalescing=True)
    for e in three:
        answer(e, receive(e), buffers=[name(e)])
    assert client.recv(client.broadcast).buffers == [name(e) for e in three]


def test_abort_of_one_engines_part(client, three):
    """The engine's own id is what engines are asked to abort: it goes through untouched."""
    header = send(client, three)
    requests = [receive(e) for e in three]
    victim = f"{header['msg_id']}_{three[1].uuid}"
    client.send_control(three[1].uuid, "abort_request", {"msg_ids": [victim]})
    asked = three[1].recv(channel="control") if is_attached(three[1]) else three[1].recv_control()
    assert three[1].session.unpack(asked).content == {"msg_ids": [victim]}
    fail(three[1], requests[1], "TaskAborted", "aborted")
    for e, request in list(zip(three, requests))[::2]:
        answer(e, request)
    status = {r.parent["msg_id"]: r.content["status"] for r in (client.recv(client.broadcast) for _ in three)}
    assert status.pop(victim) == "aborted" and set(status.values()) == {"ok"}


def test_queues_show_it_and_history_does_not(client, three):
    header = send(client, three, coalescing=True)
    requests = [receive(e) for e in three]
    queues = client.query("queue_request", {"targets": None, "verbose": True}).content
    for e in three:
        assert queues[str(e.id)]["queue"] == [f"{header['msg_id']}_{e.uuid}"]
    for e, request in zip(three, requests):
        answer(e, request)
    client.recv(client.broadcast)
    queues = client.query("queue_request", {"targets": None, "verbose": False}).content
    for e in three:
        assert queues[str(e.id)] == {"queue": 0, "completed": 1, "tasks": 0}
    assert client.query("history_request").content["history"] == []


def test_requests_without_an_answer_are_just_passed_on(client, three):
    for coalescing in (False, True):
        send(client, [*three, [new_uuid(), 9]], coalescing, msg_type="comm_msg")
        for e in three:
            assert header_of(receive(e))["msg_type"] == "comm_msg"
    queues = client.query("queue_request", {"targets": None, "verbose": False}).content
    assert all(queues[str(e.id)]["queue"] == 0 for e in three)
    with silence(client.broadcast):
        pass


@pytest.mark.parametrize("metadata", [
    {}, {"targets": []}, {"targets": None}, {"targets": "uuid"}, {"targets": ["uuid"]}, {"targets": [["uuid"]]},
    {"targets": [[1, 2]]}, {"targets": [["", 0]]}, {"targets": [["u" * 256, 0]]}, {"targets": [["u", 0, 1]]},
    {"targets": {"uuid": 0}}, {"targets": [["uuid", 0]], "is_coalescing": None},
    {"targets": [["uuid", 0]], "is_coalescing": 1}, {"targets": [["u", 0]] * 131_073},
])
def test_broken_requests_are_answered(client, metadata):
    frames = client.session.pack("apply_request", metadata={"is_coalescing": True, **metadata} if metadata else {})
    client.broadcast.send_multipart(frames)
    reply = client.recv(client.broadcast)
    assert reply.parent == header_of(frames) and reply.content["ename"] == "ValueError"
    assert reply.metadata["status"] == "error" and reply.metadata["is_coalescing"] is False


def test_bad_input_is_dropped(client, three):
    pack = client.session.pack
    meta = {"targets": [[e.uuid, e.id] for e in three], "is_broadcast": True, "is_coalescing": True}
    good = pack("apply_request", metadata=meta)
    bad = [
        [b""], [b"one"], [b"a", b"b"], good[:4], [DELIMITER] * 3,
        [good[0], b"0" * 64, *good[2:]],
        [good[0], b"", *good[2:]],
        client.session.pack_raw(b"{}", b"{}", b"{}", b"{}"),
        client.session.pack_raw(b"[]", b"{}", b"{}", b"{}"),
        client.session.pack_raw(good[2], b"{}", b"[1]", b"{}"),
        client.session.pack_raw(good[2], b"{}", b'{"targets": [["', b"{}"),
        pack("apply_request", metadata=meta, msg_id="x" * 769),
    ]
    with silence(client.broadcast):
        for frames in bad:
            client.broadcast.send_multipart(frames)
    for _ in range(2):  # the second one is a replay
        client.broadcast.send_multipart(good)
    for e in three:
        answer(e, receive(e))
        with pytest.raises(Silence):
            receive(e, timeout=0.1)
    assert client.recv(client.broadcast).content["status"] == "ok"


def test_bad_replies_are_dropped(client, three):
    send(client, three, coalescing=True)
    requests = [receive(e) for e in three]
    for e, request in zip(three, requests):
        where = {"channel": "broadcast"} if is_attached(e) else {}
        post = (lambda frames, e=e: e.send("broadcast", frames)) if where else e.shell.send_multipart
        route = request[:request.index(DELIMITER)]
        wrong = e.reply_to(request, metadata={"is_coalescing": True})
        post(route + [DELIMITER, b"0" * 64, *wrong[len(route) + 2:]])
        post(route[:1] + [b"only"] if not where else [b"only"])
        post(route + e.session.pack_raw(b"{}", b"{}", b"{}", b"{}"))
        post(route + e.session.pack("apply_reply", {"status": "ok"}, parent={"msg_id": "other"}, metadata={
            "is_coalescing": True}))
        for _ in range(2):  # the second one is one too many
            answer(e, request, buffers=[name(e)])
    reply = client.recv(client.broadcast)
    assert reply.buffers == [name(e) for e in three]
    with silence(client.broadcast):
        pass


def test_results_kept_for_a_client_are_bounded(start_controller, make_peers):
    controller = start_controller("--ping=200", "--TaskScheduler.client_limit=20000000")
    peers = make_peers(controller)
    client = peers.client()
    engines = [peers.attached() for _ in range(4)]
    client.wait_engines(4)
    before = controller.rss_mb()
    for _ in range(20):
        send(client, engines, coalescing=True)
        for e in engines[:3]:
            answer(e, receive(e), buffers=[bytes(4 << 20)])
        receive(engines[3])  # and says nothing
    failed = send(client, engines, coalescing=True)
    for e in engines[:3]:
        answer(e, receive(e), buffers=[bytes(4 << 20)])
    answer(engines[3], receive(engines[3]), buffers=[b""])
    reply = client.recv(client.broadcast)
    assert reply.metadata["original_msg_id"] == failed["msg_id"] and reply.content["ename"] == "QueueFull"
    assert len(reply.metadata["broadcast_targets"]) == 4 and reply.buffers == []
    assert controller.rss_mb() - before < 120
    client.close()
    other = peers.client()
    send(other, engines, coalescing=True)
    for e in engines:
        answer(e, receive(e), buffers=[bytes(4 << 20)])
    assert len(other.recv(other.broadcast).buffers) == 4


def test_too_many_open_requests_are_refused(start_controller, make_peers):
    controller = start_controller("--ping=200", "--TaskScheduler.client_limit=100000")
    peers = make_peers(controller)
    client, engine = peers.client(), peers.attached()
    client.wait_engines(1)
    for _ in range(1000):
        send(client, [engine], coalescing=True)
    reply = client.recv(client.broadcast)
    assert reply.content["ename"] == "QueueFull"
    assert reply.metadata["is_coalescing"] is False and reply.parent["msg_id"] == reply.metadata["original_msg_id"]


def test_payload_is_shared_between_engines(start_controller, make_peers):
    """Engines that do not read hold references to one block, not copies. They never beat either, for which a period of
    200 ms would leave two seconds."""
    controller = start_controller()
    peers = make_peers(controller)
    client = peers.client()
    engines = [peers.raw() for _ in range(12)]
    client.wait_engines(12)
    before = controller.rss_mb()
    send(client, engines, buffers=[os.urandom(40 << 20)])
    for e in engines:
        (*_, payload) = e.recv_channel("broadcast")
        assert len(payload) == 40 << 20
    assert controller.rss_mb() - before < 150


def test_a_stuck_engine_does_not_delay_others(client, peers):
    stuck, other = peers.raw(), peers.attached()
    client.wait_engines(2)
    header = send(client, [stuck, other], buffers=[bytes(8 << 20)])
    assert header_of(receive(other))["msg_id"] == f"{header['msg_id']}_{other.uuid}"


def test_order_with_many(client, three):
    headers = [send(client, three) for _ in range(300)]
    for e in three:
        assert [header_of(receive(e))["msg_id"] for _ in headers] == [f"{h['msg_id']}_{e.uuid}" for h in headers]


def test_stop_while_replies_are_awaited(start_controller, make_peers):
    controller = start_controller()
    peers = make_peers(controller)
    client, engines = peers.client(), [peers.attached(), peers.stock()]
    client.wait_engines(2)
    for _ in range(50):
        send(client, engines, coalescing=True)
        answer(engines[0], receive(engines[0]), buffers=[bytes(100_000)])
    wait_until(lambda: client.query("queue_request", {"targets": None, "verbose": False}).content[
        str(engines[0].id)]["completed"] == 50, what="answers")
    assert controller.stop() == 0
