# SPDX-License-Identifier: BSD-3-Clause
"""The heart monitor (controller.md 8)."""
import collections
import time

import pytest
import zmq

from waiting import wait_until


@pytest.fixture
def quick(start_controller):
    """An engine is silent for 1.2 to 1.6 seconds before it is given up."""
    return start_controller("--ping=400", "--HeartMonitor.max_heartmonitor_misses=3")


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
    for piece in spread(reply, 4):
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
    for _ in spread(bytes(size), 4):
        engine.file.read(size // 50)
    assert client.engines() == {engine.id: engine.uuid}


def pings_of_attached(context, controller, make_peers, n):
    peers = make_peers(controller)
    engines = [peers.attached(beat=False) for _ in range(n)]
    return lambda: [[float(e.channels["hb"].get()[0]) for _ in range(e.channels["hb"].qsize())] for e in engines]


def pings_of_subscriptions(context, controller, make_peers, n):
    """What stock engines have."""
    sockets = [context.socket(zmq.SUB) for _ in range(n)]
    for s in sockets:
        s.linger = 0
        s.connect(controller.url("hb_ping", "engine"))
        s.subscribe(b"")

    def read():
        got = []
        for s in sockets:
            got.append([])
            while s.poll(0):
                got[-1].append(float(s.recv()))
        return got

    return read


@pytest.mark.parametrize("listeners", [pings_of_attached, pings_of_subscriptions])
def test_each_of_many_is_pinged_once_a_period_a_few_at_a_time(context, start_controller, make_peers, listeners):
    """Payloads are the controller's own clock: of the turn that sent them."""
    n, period, rounds, a_turn = 200, 0.5, 4, 64
    controller = start_controller(f"--ping={1000 * period}", "--HeartMonitor.max_heartmonitor_misses=1000")
    read = listeners(context, controller, make_peers, n)
    pings = [[] for _ in range(n)]

    def all_pinged(times):
        for own, new in zip(pings, read(), strict=True):
            own.extend(new)
        return min(map(len, pings)) >= times

    wait_until(lambda: all_pinged(1), what="pings of all")
    last_came = max(own[0] for own in pings)
    times = max(map(len, pings)) + rounds + 1
    wait_until(lambda: all_pinged(times), what="pings of some periods")
    later = [[t for t in own if t > last_came + period] for own in pings]
    first = max(own[0] for own in later)
    later = [[t for t in own if t > first][:rounds - 1] for own in later]
    for one, following in zip(zip(*later, strict=True), list(zip(*later, strict=True))[1:]):
        assert max(one) < min(following), "a round is through before the next one"
        assert max(one) - min(one) > period / 8, "spread"
        assert max(collections.Counter(one).values()) <= a_turn
