# SPDX-License-Identifier: BSD-3-Clause
"""Whatever comes, the controller goes on serving others (design.md 9)."""
import contextlib
import os
import socket
import struct
import time

import pytest

import zmtp

from messages import header_of
from raw_engine import RawEngine
from waiting import wait_until

SIDES = [("client", key) for key in ("registration", "mux", "task", "control", "iopub", "notification")]
SIDES += [("engine", key) for key in ("mux", "task", "control", "iopub", "hb_ping", "hb_pong", "attach")]
GREETING, READY = zmtp.greeting(), zmtp.ready(b"DEALER")


@contextlib.contextmanager
def connection(controller, side, key):
    host, port = controller.url(key, side).removeprefix("tcp://").split(":")
    with socket.create_connection((host, int(port)), timeout=15) as s:
        yield s


def is_served(client):
    """A whole query and back."""
    return client.engines() == {}


def read_to_the_end(s):
    with contextlib.suppress(ConnectionError):
        while s.recv(65536):
            pass


@pytest.mark.parametrize("side, key", SIDES)
def test_octets_that_are_no_zmtp(client, controller, side, key):
    for octets in (b"GET / HTTP/1.1\r\n\r\n" * 5, b"\x16\x03\x01" + os.urandom(200), b"\xff" + bytes(100),
                   bytes(100), GREETING[:20]):
        with connection(controller, side, key) as s:
            s.sendall(octets)
            s.shutdown(socket.SHUT_WR)
            read_to_the_end(s)
    assert is_served(client)


@pytest.mark.parametrize("frames", [
    b"\x02" + struct.pack(">Q", 1 << 62),             # a frame of four exabytes
    b"\x02" + struct.pack(">Q", (1 << 64) - 1),
    b"\x04\xff" + b"\xff" * 255,                      # a command with a name longer than itself
    b"\x04\x00",                                      # an empty command
    b"\x05\x05\x04PING",                              # a command with MORE
    b"\xf8\x01x",                                     # reserved flags
    b"\x01\x00" * 100_000,                            # frames without end
    b"\x04\x05\x04PING", b"\x04\x05\x05ERROR",
])
@pytest.mark.parametrize("side, key", [("client", "task"), ("engine", "attach")])
def test_broken_frames_after_the_handshake(client, controller, side, key, frames):
    with connection(controller, side, key) as s:
        s.sendall(GREETING + READY + frames)
        s.shutdown(socket.SHUT_WR)
        read_to_the_end(s)
    assert is_served(client)


def test_garbage_of_100_mb(client, controller):
    """On a connection that has shaken hands, as one message and as none."""
    before = controller.rss_mb()
    block = os.urandom(1 << 20)
    for head in (b"", GREETING + READY, GREETING + READY + b"\x02" + struct.pack(">Q", 100 << 20)):
        with connection(controller, "client", "task") as s:
            with contextlib.suppress(ConnectionError, socket.timeout):
                s.sendall(head)
                for _ in range(100):
                    s.sendall(block)
                s.shutdown(socket.SHUT_WR)
                read_to_the_end(s)
        assert is_served(client)
    assert controller.rss_mb() < before + 250


def test_declared_length_costs_no_memory(client, controller):
    before = controller.rss_mb()
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            s = stack.enter_context(connection(controller, "client", "mux"))
            s.sendall(GREETING + READY + b"\x03" + struct.pack(">Q", 1 << 30) + b"some octets")
        assert is_served(client)
        assert controller.rss_mb() < before + 100


def test_peers_that_connect_and_say_nothing(client, controller, peers):
    with contextlib.ExitStack() as stack:
        for side, key in SIDES * 10:
            stack.enter_context(connection(controller, side, key))
        engine = peers.attached()
        client.wait_engines(1)
        client.submit()
        engine.answer(engine.recv())
        assert client.recv(client.task)


def test_connections_that_end_in_the_middle_of_a_frame(client, controller, peers):
    frames = client.session.pack("apply_request", buffers=[b"x" * 300])
    wire = GREETING + READY + b"".join(
        (b"\x03" if i < len(frames) - 1 else b"\x02") + struct.pack(">Q", len(f)) + f for i, f in enumerate(frames))
    for cut in range(1, len(wire), 37):
        with connection(controller, "client", "task") as s:
            s.sendall(wire[:cut])
    assert is_served(client)
    engine = peers.attached()
    header = client.submit()
    assert header_of(engine.recv()) == header, "a part of a message was taken for a whole one"


def test_message_octet_by_octet(client, controller, peers):
    engine = peers.attached()
    client.wait_engines(1)
    frames = client.session.pack("apply_request")
    wire = GREETING + READY + b"".join(
        (b"\x01" if i < len(frames) - 1 else b"\x00") + bytes([len(f)]) + f for i, f in enumerate(frames))
    with connection(controller, "client", "task") as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(wire)):
            s.send(wire[i:i + 1])
        request = engine.recv()
        assert header_of(request) == header_of(frames)
        engine.answer(request)
        wait_until(lambda: b"apply_reply" in s.recv(65536), what="reply")


def test_client_that_never_reads_its_results(start_controller, make_peers):
    """Its engine waits for it, but not for ever: after 30 s it is dropped (src/router/link.h)."""
    controller = start_controller("--hwm=0", "--metrics-port=0")
    peers = make_peers(controller)
    client, deaf, engine = peers.client(), peers.client(), peers.attached()
    client.wait_engines(1)
    deaf.task.set_hwm(1)
    result = bytes(1 << 20)
    for _ in range(150):
        deaf.submit()
        engine.answer(engine.recv(), buffers=[result])
    header = client.submit()
    engine.answer(engine.recv())
    assert client.recv(client.task, timeout=90).parent == header
    assert controller.rss_mb() < 500
    assert controller.metric('ersa_dropped_messages_total{reason="unread"}') == 1


def test_client_on_a_slow_line_gets_its_large_result(client, controller, peers):
    """It takes longer than a client is waited for that reads nothing."""
    engine = peers.attached()
    client.wait_engines(1)
    size, slow_s = 100 << 20, 33
    with connection(controller, "client", "task") as s:
        s.settimeout(60)
        s.sendall(GREETING + READY + RawEngine.encode(client.session.pack("apply_request")))
        engine.answer(engine.recv(), buffers=[bytes(size)])
        got, end = 0, time.monotonic() + slow_s
        while time.monotonic() < end:
            got += len(s.recv(1 << 17))
            time.sleep(0.2)
        while got < size and (octets := s.recv(1 << 20)):
            got += len(octets)
    assert got >= size


@pytest.mark.parametrize("key, msg_type", [("registration", "connection_request"), ("task", "apply_request")])
def test_client_that_asks_and_asks_and_reads_no_answer(client, controller, key, msg_type):
    """Answers that the controller makes itself are bounded by not reading on."""
    before = controller.rss_mb()
    with connection(controller, "client", key) as s:
        s.settimeout(3)
        s.sendall(GREETING + READY)
        with pytest.raises(TimeoutError):
            for _ in range(3000):
                header = client.session.header(msg_type) | {"padding": "x" * 100_000}  # it comes back as parent
                frames = client.session.pack(msg_type, header=header, metadata={"targets": ["nobody"]})
                s.sendall(RawEngine.encode(frames))
        assert is_served(client)
        assert controller.rss_mb() < before + 450


def test_slow_subscriber_loses_output_only(start_controller, make_peers):
    controller = start_controller()
    peers = make_peers(controller)
    client, engine = peers.client(), peers.attached()
    client.wait_engines(1)
    with connection(controller, "client", "iopub") as s:
        s.sendall(GREETING + zmtp.ready(b"SUB") + b"\x00\x01\x01")
        client.submit()
        request = engine.recv()
        text = "x" * (1 << 20)
        for i in range(400):
            engine.publish(engine.stream(request, text))
            assert len(client.recv(client.iopub).content["text"]) == len(text)
        engine.answer(request)
        assert client.recv(client.task)
    assert controller.rss_mb() < 900


def test_unknown_channel_of_an_attached_engine(client, controller, peers):
    engine = peers.attached()
    client.wait_engines(1)
    engine.send("no-such-channel", [b"x"])
    engine.pump.send([b""])
    engine.pump.send([b"\xff" * 70_000])
    engine.send("task", [b"short"])
    engine.send("mux", [])
    controller.wait_log("unknown channel")
    client.submit()
    engine.answer(engine.recv())
    assert client.recv(client.task)


def test_attached_stranger_is_not_served(client, controller, peers):
    stranger = peers.attached(register=False)
    client.engines()
    stranger.send("task", [b"client", *stranger.session.pack("apply_reply")])
    controller.wait_log("not registered")
    assert is_served(client)


def test_second_connection_with_the_same_identity_takes_over(client, peers):
    first = peers.stock()
    client.wait_engines(1)
    header = client.send_mux(first.uuid)
    request = first.recv()
    second = peers.stock(register=False, name=first.uuid, beat=False)
    second.id = first.id
    second.connect({})
    wait_until(lambda: (client.send_mux(first.uuid), second.shell.poll(100))[1], what="take-over")
    second.answer(request)
    assert client.recv(client.mux).parent == header
