# SPDX-License-Identifier: BSD-3-Clause
"""The connection ends after exactly n octets, for many n over the handshake and some messages, in each direction.

A proxy lets n octets through one way, more the next time, until it has no cuts left. What arrives are whole messages in
their order, none of them twice. Lost is only what a side had handed to its kernel when the connection was cut."""
import contextlib
import select
import socket
import threading
import time

import pytest
import zmq

from peer import shown, wait_until

BODIES = [[b"first", b"", b"x" * 20], [b"second" * 45], [b"third", b"y" * 70]]
HANDSHAKE = 64 + 40  # octets of a greeting and a READY, or nearly
CUTS = {
    "from the connecting": [*range(1, HANDSHAKE, 8), *range(HANDSHAKE, HANDSHAKE + 450, 3)],
    "to the connecting": list(range(1, HANDSHAKE, 2)),  # nothing but the handshake goes there
}


class Limiter(threading.Thread):
    """Cuts its k-th connection after the k-th number of octets in one direction; the rest pass unharmed."""

    def __init__(self, target, direction):
        super().__init__(daemon=True)
        self.target, self.limits, self.direction = int(target.rsplit(":", 1)[1]), list(CUTS[direction]), direction
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = "tcp://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.stopped = False
        self.start()

    def run(self):
        while not self.stopped:
            if select.select([self.listener], [], [], 0.05)[0]:
                with self.listener.accept()[0] as a, contextlib.suppress(ConnectionError):  # at the end of a test
                    with socket.create_connection(("127.0.0.1", self.target)) as b:
                        self.carry(a, b)

    def carry(self, a, b):
        left = self.limits.pop(0) if self.limits else None
        counted = a if self.direction == "from the connecting" else b
        while not self.stopped:
            for s in select.select([a, b], [], [], 0.05)[0]:
                try:
                    octets = s.recv(65536)
                    if s is counted and left is not None:
                        octets = octets[:left]
                        left -= len(octets)
                    if not octets:
                        return
                    (b if s is a else a).sendall(octets)
                except ConnectionError:
                    return
                if s is counted and left == 0:
                    return

    def stop(self):
        self.stopped = True
        self.join()
        self.listener.close()


@pytest.fixture(params=list(CUTS))
def limiter(request):
    made = []

    def make(target):
        made.append(Limiter(target, request.param))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def send_until_uncut(cutter, send):
    """Numbered messages as long as there are cuts."""
    sent, end = 0, time.monotonic() + 60
    while cutter.limits:
        send([*BODIES[sent % 3], b"%d" % sent])
        sent += 1
        time.sleep(0.001)
        assert time.monotonic() < end, f"{len(cutter.limits)} cuts are left"


def check(messages):
    """Whole, and none twice; returns the numbers. Frames as `shown`."""
    numbers = [int(bytes.fromhex(m[-1])) for m in messages]
    for m, number in zip(messages, numbers):
        assert m[:-1] == [shown(b) for b in BODIES[number % 3]]
    assert numbers and len(set(numbers)) == len(numbers)
    return numbers


def test_ours_connects_and_sends(port, zsocket, limiter):
    z = zsocket("ROUTER", ROUTER_HANDOVER=1, RCVHWM=0)
    z.bind("tcp://127.0.0.1:*")
    cutter = limiter(z.get(zmq.LAST_ENDPOINT).rstrip(b"\0").decode())
    p = port("DEALER", connect=cutter.endpoint, identity="one", reconnect_min_ms=1, reconnect_max_ms=2)
    send_until_uncut(cutter, lambda frames: p.push(*frames))
    p.wait_stats(lambda s: s["peers"] == 1 and s["queued"] == 0, "a connection that stays")
    got = []

    def comes():
        p.push(b"end")
        while z.poll(100):
            got.append([shown(b) for b in z.recv_multipart()[1:]])
        return got and got[-1] == [b"end".hex()]

    wait_until(comes, "the end")
    check([m for m in got if m != [b"end".hex()]])  # libzmq keeps no order between its connections


def test_theirs_connects_and_sends(port, zsocket, limiter):
    p = port("ROUTER", bind="tcp://127.0.0.1:*")
    cutter = limiter(p.endpoint)
    z = zsocket("DEALER", IDENTITY=b"one", SNDHWM=0)
    z.set(zmq.RECONNECT_IVL, 1)
    z.connect(cutter.endpoint)
    send_until_uncut(cutter, z.send_multipart)

    def comes():
        z.send_multipart([b"end"])
        return p.has_had("message") and any(e.get("frames") == [b"end".hex()] for e in p.passed_over)

    wait_until(comes, "the end")
    got = [e["frames"] for e in p.passed_over if e["event"] == "message" and e["frames"] != [b"end".hex()]]
    numbers = check(got)
    assert numbers == sorted(numbers)
    stats = p.stats()
    assert stats["protocol_errors"] == 0 and stats["block_bytes"] == 0
