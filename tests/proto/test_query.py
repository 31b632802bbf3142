# SPDX-License-Identifier: BSD-3-Clause
"""Requests to the hub: forms, errors, who gets no answer (controller.md 14, wire.md 6)."""
import json

import pytest

from messages import DELIMITER, Session, header_of
from waiting import raw_recv, silence, wait_until


def test_connection_request(client, peers):
    engine = peers.attached()
    client.wait_engines(1)
    reply = client.query("connection_request")
    assert reply.type == "connection_reply"
    assert reply.content == {"status": "ok", "engines": {str(engine.id): engine.uuid}}
    assert reply.metadata == {}


def test_unknown_type(client):
    reply = client.query("no_such_request")
    assert reply.type == "hub_error" and reply.content["ename"] == "KeyError"
    assert reply.content["evalue"] == repr("Bad Message Type: 'no_such_request'")
    assert reply.content["status"] == "error" and reply.content["engine_info"] == {}
    assert isinstance(reply.content["traceback"], list)


@pytest.mark.parametrize("header, content", [
    (b"not JSON", b"{}"), (b"[]", b"{}"), (b"{}", b"{}"), (b'{"msg_id": 5, "msg_type": "x"}', b"{}"),
    (None, b"[]"), (None, b"null"), (None, b"{"), (None, b"")])
def test_signed_nonsense_is_answered_with_an_error(client, header, content):
    if header is None:
        header = json.dumps(client.session.header("connection_request")).encode()
    client.query_socket.send_multipart(client.session.pack_raw(header, b"{}", b"{}", content))
    at = raw_recv(client.query_socket)
    reply = client.session.unpack([f for f in at]) if _is_object(at) else None
    if reply:
        assert reply.type == "hub_error"
    assert client.engines() == {}


def _is_object(frames):
    """A reply echoes the request's header as parent, however it looks; only objects can be unpacked."""
    at = frames.index(DELIMITER)
    try:
        return all(isinstance(json.loads(part), dict) for part in frames[at + 2:at + 6])
    except ValueError:
        return False


def test_parent_of_a_reply_is_the_whole_header(client):
    request = client.session.pack("connection_request")
    client.query_socket.send_multipart(request)
    assert client.recv(client.query_socket).parent == header_of(request)


def test_header_without_version_and_date_is_completed(client):
    header = client.session.header("connection_request")
    del header["version"], header["date"]
    client.query_socket.send_multipart(client.session.pack("connection_request", header=header))
    parent = client.recv(client.query_socket).parent
    assert parent["msg_id"] == header["msg_id"] and parent["version"] and parent["date"].endswith("Z")


def test_identities_in_front_are_returned(client):
    client.query_socket.send_multipart([b"", b"extra", *client.session.pack("connection_request")])
    assert client.recv(client.query_socket).idents == [b"", b"extra"]


def test_wrong_signature_gets_no_answer(client, controller):
    stranger = Session("another key")
    with silence(client.query_socket):
        client.query_socket.send_multipart(stranger.pack("connection_request"))
        frames = client.session.pack("connection_request")
        client.query_socket.send_multipart([frames[0], b"", *frames[2:]])
        client.query_socket.send_multipart([*frames[:5], b'{"changed": 1}'])
    controller.wait_log("wrong signature")
    assert client.engines() == {}


def test_replay_gets_no_answer(client):
    frames = client.session.pack("connection_request")
    client.query_socket.send_multipart(frames)
    client.recv(client.query_socket)
    with silence(client.query_socket):
        client.query_socket.send_multipart(frames)
    assert client.engines() == {}


def test_forged_message_does_not_poison_the_history(client):
    """A signature seen on a forged message must not refuse the genuine one."""
    frames = client.session.pack("connection_request")
    client.query_socket.send_multipart([*frames[:3], b'{"forged": 1}', *frames[4:]])
    client.query_socket.send_multipart(frames)
    assert client.recv(client.query_socket).type == "connection_reply"


@pytest.mark.parametrize("n", range(6))
def test_too_few_frames(client, controller, n):
    with silence(client.query_socket):
        client.query_socket.send_multipart(client.session.pack("connection_request")[:n] or [b""])
    assert client.engines() == {}


def test_engines_are_listed_by_id(client, peers):
    for wish in (12, 3, 101, 7):
        peers.attached(wish=wish)
    client.wait_engines(4)
    for query in [("queue_request", {}), ("queue_request", {"verbose": True}), ("load_request", {})]:
        reply = client.query(query[0], {"targets": None, **query[1]}).content
        assert [int(key) for key in reply if key.isdigit()] == [3, 7, 12, 101]


def test_queue_and_load(client, peers):
    first, second = peers.attached(), peers.attached()
    client.wait_engines(2)
    waiting = [client.send_mux(first.uuid) for _ in range(3)]
    for _ in range(3):
        first.recv(channel="mux")
    queue = client.query("queue_request", {"targets": None, "verbose": False}).content
    assert queue[str(first.id)] == {"queue": 3, "completed": 0, "tasks": 0}
    assert queue[str(second.id)] == {"queue": 0, "completed": 0, "tasks": 0} and queue["unassigned"] == 0
    verbose = client.query("queue_request", {"targets": [first.id], "verbose": True}).content
    assert verbose[str(first.id)]["queue"] == [h["msg_id"] for h in waiting]
    assert str(second.id) not in verbose
    load = client.query("load_request", {"targets": None}).content
    assert load == {"status": "ok", str(first.id): 3, str(second.id): 0}


@pytest.mark.parametrize("targets, ename", [([99], "IndexError"), ("no such uuid", "IndexError"), ([], "IndexError"),
                                            ({"a": 1}, "TypeError"), (1.5, "TypeError")])
def test_targets_that_are_not_there(client, targets, ename):
    reply = client.query("queue_request", {"targets": targets})
    assert reply.type == "hub_error" and reply.content["ename"] == ename


def test_targets_missing(client):
    assert client.query("queue_request", {}).content["ename"] == "KeyError"


def test_dask_says_what_is_missing(client):
    assert client.query("become_dask_request").content["ename"] == "ModuleNotFoundError"


def test_shutdown_request(start_controller, make_peers):
    controller = start_controller("--ping=200")
    client = make_peers(controller).client()
    client.wait_subscribed()
    assert client.query("shutdown_request").content == {"status": "ok"}
    assert client.wait_notified("shutdown_notification").content == {"status": "ok"}
    assert controller.process.wait(10) == 0
    assert not controller.path("client").exists() and not controller.path("engine").exists()


def test_shutdown_is_not_put_off_by_asking_again(start_controller, make_peers):
    """Whoever waits for its end asks until it is there."""
    controller = start_controller("--ping=200")
    client = make_peers(controller).client()
    client.query("shutdown_request")

    def is_over():
        client.query_socket.send_multipart(client.session.pack("shutdown_request"))
        return controller.process.poll() is not None
    wait_until(is_over, what="end")
    assert controller.process.returncode == 0


@pytest.mark.parametrize("args", [[], ["--IPController.enable_curve=True"]], ids=["plain", "curve"])
def test_files_of_another_controller_stay(start_controller, args):
    """One on another host, with the same home directory, has written them anew."""
    controller = start_controller(*args)
    for side in ("client", "engine"):
        info = json.loads(controller.path(side).read_text())
        info["ersa"]["controller"]["host"] = "another.example"
        controller.path(side).write_text(json.dumps(info))
    assert controller.stop() == 0
    assert controller.path("client").exists() and controller.path("engine").exists()
    key_file = controller.path("client").with_name("ipcontroller-curve.key")
    assert key_file.exists() is bool(args)
    assert "another controller has written it" in controller.log()
