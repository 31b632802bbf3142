# SPDX-License-Identifier: BSD-3-Clause
"""Connections that break, in the middle of frames too: what comes again, what takes over, what is kept."""
import random
import select
import socket
import threading
import time

import pytest
import zmq

from peer import Listener, wait_until
from zmtp import command, greeting, message, ready


class Cutter:
    """Stands between two sides and cuts the connection after so many octets, again and again."""

    def __init__(self, target, seed):
        self.target = int(target.rsplit(":", 1)[1])
        self.dice = random.Random(seed)
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.endpoint = "tcp://127.0.0.1:%d" % self.sock.getsockname()[1]
        self.cuts, self.cutting, self.stopped = 0, True, False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while not self.stopped:
            if not select.select([self.sock], [], [], 0.05)[0]:
                continue
            a = self.sock.accept()[0]
            b = socket.create_connection(("127.0.0.1", self.target))
            self.carry(a, b)
            a.close()
            b.close()

    def carry(self, a, b):
        budget = 200 + self.dice.randrange(60_000)
        while not self.stopped:
            for s in select.select([a, b], [], [], 0.05)[0]:
                octets = s.recv(4096)
                if self.cutting:
                    octets = octets[:budget]
                    budget -= len(octets)
                try:
                    (b if s is a else a).sendall(octets)
                except ConnectionError:
                    return
                if self.cutting and budget == 0:
                    self.cuts += 1
                    return
                if not octets:
                    return

    def stop(self):
        self.stopped = True
        self.thread.join()
        self.sock.close()


@pytest.mark.parametrize("ours", ["binds", "connects"])
def test_cut_again_and_again(port, zsocket, ours):
    """Messages come whole or not at all, each at most once and in their order; those under way may be lost."""
    if ours == "binds":
        p = port("ROUTER", bind="tcp://127.0.0.1:*")
        cutter = Cutter(p.endpoint, 1)
        z = zsocket("DEALER", IDENTITY=b"same", SNDHWM=0)
        z.connect(cutter.endpoint)
    else:
        z = zsocket("ROUTER", ROUTER_HANDOVER=1, RCVHWM=0)
        z.bind("tcp://127.0.0.1:*")
        cutter = Cutter(z.get(zmq.LAST_ENDPOINT).rstrip(b"\0").decode(), 2)
        p = port("DEALER", connect=cutter.endpoint, identity="same", reconnect_min_ms=10, reconnect_max_ms=20)
    bodies = [b"%06d" % i + bytes([i % 256]) * (i * 7 % 3000) for i in range(400)]
    got = []

    def collect_ours():
        while True:
            e = p.expect("message")
            if e["frames"] == [b"end".hex()]:
                return
            got.append(int(bytes.fromhex(e["frames"][0])))

    def collect_theirs():
        while True:
            frames = z.recv_multipart()
            if frames[1:] == [b"end"]:
                return
            number = int(frames[1])
            assert frames[1:] == [b"%06d" % number, bodies[number]]
            got.append(number)

    for body in bodies:
        if ours == "binds":
            z.send_multipart([body[:6], body])
        else:
            p.push(body[:6], body)
        time.sleep(0.001)
    wait_until(lambda: cutter.cuts >= 5, "some cuts")
    cutter.cutting = False
    if ours == "binds":
        wait_until(lambda: p.stats()["peers"] == 1, "a connection that stays")
        threading.Timer(0.5, z.send, [b"end"]).start()
        collect_ours()
    else:
        p.wait_stats(lambda s: s["queued"] == 0 and s["peers"] == 1, "everything sent")
        p.push(b"end")
        collect_theirs()
    cutter.stop()
    assert len(got) == len(set(got)) > len(bodies) / 2
    if ours == "binds":  # libzmq reads its former connections in turn with the new one
        assert got == sorted(got)
    assert p.stats()["block_bytes"] == 0


def test_the_message_under_way_starts_again(port, listener):
    """What a queue holds is whole messages: one that was cut is sent again from its start."""
    p = port("DEALER", connect=listener.endpoint, identity="me", reconnect_min_ms=10)
    p.tell("push", "@20000000:07", b"tail".hex())
    p.push(b"next")
    r = listener.accept()
    r.handshake(b"ROUTER")
    r.recv(100_000)
    r.close()
    p.expect("down")
    r = listener.accept()
    assert b"Identity\0\0\0\x02me" in r.handshake(b"ROUTER")
    assert r.recv_message() == [b"\x07" * 20_000_000, b"tail"]
    assert r.recv_message() == [b"next"]
    r.close()


def test_back_off(port, listener):
    """From the shortest wait to the longest, and from the start again after success."""
    endpoint = listener.endpoint
    p = port("DEALER", connect=endpoint, reconnect_min_ms=40, reconnect_max_ms=160)
    waits, closed = [], None
    for _ in range(7):
        r = listener.accept()
        if closed:
            waits.append(time.monotonic() - closed)
        closed = time.monotonic()
        r.close()
    assert waits[0] >= 0.029
    assert all(w >= 0.119 for w in waits[2:])
    listener.accept().handshake(b"ROUTER")
    p.expect("up")


def test_server_comes_later(port, zsocket):
    probe = socket.create_server(("127.0.0.1", 0))
    number = probe.getsockname()[1]
    probe.close()
    p = port("DEALER", connect=f"tcp://127.0.0.1:{number}", reconnect_min_ms=20, reconnect_max_ms=50,
             unsent_max=100_000)
    for i in range(10):
        p.push(b"%d" % i)
    p.tell("push", "@200000:00")
    assert p.expect("sent")["error"] != 0  # over the bound
    z = zsocket("ROUTER")
    z.bind(f"tcp://127.0.0.1:{number}")
    assert [z.recv_multipart()[1] for _ in range(10)] == [b"%d" % i for i in range(10)]
    z.close()
    p.expect("down")
    p.push(b"in between")
    z = zsocket("ROUTER")
    wait_until(lambda: rebind(z, number), "the port to be free")
    assert z.recv_multipart()[1] == b"in between"


def rebind(z, number):
    try:
        z.bind(f"tcp://127.0.0.1:{number}")
        return True
    except zmq.ZMQError:
        return False


def test_take_over(port, zsocket):
    p = port("ROUTER", bind="tcp://127.0.0.1:*")
    first, second = zsocket("DEALER", IDENTITY=b"same"), zsocket("DEALER", IDENTITY=b"same")
    first.connect(p.endpoint)
    p.expect("up")
    first.send(b"from the first")
    p.message()
    second.connect(p.endpoint)
    p.expect("taken_over")
    p.send(b"same".hex(), b"for the second")
    assert second.recv() == b"for the second"
    second.send(b"from the second")
    assert p.message() == [b"from the second".hex()]
    assert not p.has_had("down")
    assert p.stats()["peers"] == 1


def test_take_over_reads_out_and_hands_over(port, raw):
    """The first connection stops reading: what was queued for it goes to the second, from a message's start."""
    p = port("ROUTER", bind="tcp://127.0.0.1:*")
    first = raw(p.endpoint)
    first.handshake(b"DEALER", b"same")
    p.expect("up")
    p.tell("repeat", 100, "send", b"same".hex(), "@300000:41", "@10:42")
    p.send(b"same".hex(), b"last")
    p.wait_stats(lambda s: s["bytes_out"] > 400_000, "some of it to be written")
    p.tell("pause", b"same".hex())
    first.send(message(b"one") + message(b"two", b"x" * 100_000) + message(b"cut")[:3])
    queued = p.stats()["queued"]
    assert queued > 300_000
    second = raw(p.endpoint)
    second.handshake(b"DEALER", b"same")
    p.expect("taken_over")
    assert p.message() == [b"one".hex()]
    assert p.message()[0] == b"two".hex()
    p.tell("resume", b"same".hex())
    assert first.is_closed()
    n = 0
    while (m := second.recv_message()) != [b"last"]:
        assert m == [b"A" * 300_000, b"B" * 10]
        n += 1
    assert n >= queued // 300_010
    second.send(message(b"three"))
    assert p.message() == [b"three".hex()]
    assert p.stats()["takeovers"] == 1 and not p.has_had("down")


def test_no_take_over_at_publishers(port, raw):
    p = port("PUB", bind="tcp://127.0.0.1:*")
    subscribers = [raw(p.endpoint) for _ in range(2)]
    for r in subscribers:
        r.handshake(b"SUB", b"same")
        r.send(command(b"SUBSCRIBE"))
        p.expect("subscribed")
    p.publish(b"all")
    assert [r.recv_message() for r in subscribers] == [[b"all"], [b"all"]]


def test_closed_by_us_and_connected_anew(port, zsocket):
    p = port("ROUTER", bind="tcp://127.0.0.1:*")
    z = zsocket("DEALER", IDENTITY=b"z")
    z.connect(p.endpoint)
    for _ in range(5):
        p.expect("up")
        p.tell("close", b"z".hex())
        assert p.expect("down")["why"] == "closed"
    p.expect("up")
    z.send(b"hello")
    p.message()


def test_linger(port, zsocket):
    p = port("ROUTER", bind="tcp://127.0.0.1:*")
    z = zsocket("DEALER", IDENTITY=b"z", RCVHWM=0)
    z.connect(p.endpoint)
    p.expect("up")
    p.tell("repeat", 100, "send", b"z".hex(), "@500000:01")
    p.tell("end", 20_000)
    for _ in range(100):
        assert len(z.recv()) == 500_000


def test_many_come_at_once(port, raw):
    """More than the backlog of a usual server; all of them are served."""
    p = port("ROUTER", bind="tcp://127.0.0.1:*")
    peers = [raw(p.endpoint) for _ in range(400)]
    for i, r in enumerate(peers):
        r.send(greeting() + ready(b"DEALER", b"n%d" % i) + message(b"%d" % i))
    p.wait_stats(lambda s: s["msgs_in"] == 400, "all messages")


def test_two_servers_of_one_name(port):
    """A port that connects does not let one server take the other's place."""
    servers = [Listener(), Listener()]
    p = port("ROUTER", connect=[s.endpoint for s in servers], identity="c")
    peers = []
    for s in servers:
        peers.append(s.accept())
        peers[-1].handshake(b"ROUTER", b"same")
        p.expect("up")
    assert p.stats()["peers"] == 2 and p.stats()["takeovers"] == 0
    for r, s in zip(peers, servers):
        r.close()
        s.close()
