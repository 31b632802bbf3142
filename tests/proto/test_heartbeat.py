# SPDX-License-Identifier: BSD-3-Clause
"""The heart monitor (controller.md 8)."""
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
