# SPDX-License-Identifier: BSD-3-Clause
"""The heart monitor (controller.md 8)."""
import time

import pytest

from harness import wait_until


@pytest.fixture
def quick(start_controller):
    return start_controller("--ping=100", "--HeartMonitor.max_heartmonitor_misses=3")


def test_engine_whose_heart_stops_is_unregistered(quick, make_peers):
    peers = make_peers(quick)
    client = peers.client()
    client.wait_subscribed()
    engine, other = peers.stock(), peers.stock()
    client.wait_engines(2)
    engine.stop_heart()
    note = client.wait_notified("unregistration_notification")
    assert note.content["uuid"] == engine.uuid
    assert client.engines() == {other.id: other.uuid}


def test_heart_that_beats_again_brings_the_engine_back(quick, make_peers):
    peers = make_peers(quick)
    client = peers.client()
    engine = peers.stock()
    client.wait_engines(1)
    engine.stop_heart()
    wait_until(lambda: not client.engines(), what="end of the registration")
    engine.start_heart()
    assert client.wait_engines(1) == {engine.id: engine.uuid}


def test_any_message_counts_as_a_beat(quick, make_peers):
    peers = make_peers(quick)
    client = peers.client()
    engine = peers.attached(beat=False)
    client.wait_engines(1)
    task = client.submit()
    request = engine.recv()
    for _ in range(12):
        engine.publish(engine.status(request, "busy"))
        assert client.recv(client.iopub).parent["msg_id"] == task["msg_id"]
        wait_until(lambda: engine.channels["hb"].qsize() > 0, what="ping")
        engine.channels["hb"].get()
    assert client.engines() == {engine.id: engine.uuid}


def test_strange_echoes_change_nothing(quick, make_peers):
    peers = make_peers(quick)
    client = peers.client()
    engine = peers.attached(beat=False)
    client.wait_engines(1)
    for payload in (b"", b"x" * 100, b"nan", b"-1", b"1e300", b"0.0", b"\xff\xfe"):
        engine.send("hb", [payload])
    wait_until(lambda: not client.engines(), what="end of an engine that only sends nonsense")


def spread(octets, seconds, pieces=50):
    """Pieces of `octets`, one after the other over that time."""
    size = -(-len(octets) // pieces)
    for at in range(0, len(octets), size):
        yield octets[at:at + size]
        time.sleep(seconds / pieces)


def test_long_message_under_way_from_an_engine_counts_as_a_beat(quick, make_peers):
    """A large result on a slow line: what the engine echoes comes behind it."""
    peers = make_peers(quick)
    client = peers.client()
    engine = peers.raw()
    client.wait_engines(1)
    header = client.submit()
    reply = engine.encode([b"task", *engine.reply_to(engine.recv_channel("task"), buffers=[bytes(5_000_000)])])
    for piece in spread(reply, 2):
        engine.socket.sendall(piece)
        assert client.engines() == {engine.id: engine.uuid}
    reply = client.recv(client.task)
    assert reply.parent == header and reply.content["status"] == "ok"


def test_long_message_under_way_to_an_engine_counts_as_a_beat(quick, make_peers):
    """Pings come behind it."""
    peers = make_peers(quick)
    client = peers.client()
    engine = peers.raw()
    client.wait_engines(1)
    size = 30_000_000
    client.submit(buffers=[bytes(size)])
    for _ in spread(bytes(size), 2):
        engine.file.read(size // 50)
    assert client.engines() == {engine.id: engine.uuid}
