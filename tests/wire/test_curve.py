# SPDX-License-Identifier: BSD-3-Clause
"""CURVE with libzmq at the other end, as server and as client."""
import pytest
import zmq

from peer import Raw, echo_large, echo_sizes, shown, wait_until
from zmtp import greeting, message, ready

SIZES = [0, 1, 222, 223, 255, 256, 65535, 65536, 65537, 262_100, 262_144, 5_000_000]


@pytest.fixture(scope="module")
def keys():
    """(public, secret) of the server."""
    return zmq.curve_keypair()


def as_client(keys):
    public, secret = zmq.curve_keypair()
    return {"CURVE_SERVERKEY": keys[0], "CURVE_PUBLICKEY": public, "CURVE_SECRETKEY": secret}


def as_server(keys):
    return {"CURVE_SERVER": 1, "CURVE_SECRETKEY": keys[1]}


def ours(keys, role):
    return {"curve_secret": keys[1].decode()} if role == "server" else {"curve_server": keys[0].decode()}


@pytest.fixture(params=["server", "client"])
def pair(request, port, zsocket, keys):
    """Makes a port of ours in that role, which binds as a server and connects as a client, and a socket of
    libzmq in the other."""
    def make(kind, their_kind, **options):
        if request.param == "server":
            z = zsocket(their_kind, **as_client(keys), RCVHWM=0, SNDHWM=0)
            p = port(kind, bind="tcp://127.0.0.1:*", **ours(keys, "server"), **options)
            z.connect(p.endpoint)
        else:
            z = zsocket(their_kind, **as_server(keys), RCVHWM=0, SNDHWM=0)
            z.bind("tcp://127.0.0.1:*")
            p = port(kind, connect=z.get(zmq.LAST_ENDPOINT).rstrip(b"\0").decode(), **ours(keys, "client"), **options)
        return p, z

    return make


def test_there_and_back(pair):
    p, z = pair("ROUTER", "DEALER", identity="our-name")
    up = p.expect("up")
    body = [b"head", b"", b"x" * 300]
    z.send_multipart(body)
    assert p.message() == [shown(b) for b in body]
    p.send(up["peer"], *body)
    assert z.recv_multipart() == body


def test_identities(port, zsocket, keys):
    p = port("ROUTER", bind="tcp://127.0.0.1:*", identity="server", **ours(keys, "server"))
    z = zsocket("ROUTER", IDENTITY=b"n" * 255, **as_client(keys))
    z.connect(p.endpoint)
    assert p.expect("up")["peer"] == (b"n" * 255).hex()
    p.send((b"n" * 255).hex(), b"hello")
    assert z.recv_multipart() == [b"server", b"hello"]


def test_all_sizes_and_their_order(pair):
    p, z = pair("ROUTER", "DEALER", echo=1)
    echo_sizes(p, z, SIZES)


def test_a_hundred_megabytes(pair):
    p, z = pair("ROUTER", "DEALER", echo=1)
    echo_large(z)


def test_publishing(pair):
    p, z = pair("PUB", "SUB")
    z.set(zmq.SUBSCRIBE, b"topic")
    wait_until(lambda: z.poll(0) or p.has_had("subscribed"), "the subscription")
    p.expect("subscribed", prefix=b"topic".hex())
    p.publish(b"other", b"no")
    p.publish(b"topic", b"text")
    assert z.recv_multipart() == [b"topic", b"text"]
    z.set(zmq.UNSUBSCRIBE, b"topic")
    wait_until(lambda: z.poll(0) or p.has_had("cancelled"), "the end of the subscription")


def test_subscribing(pair):
    p, z = pair("SUB", "PUB")
    p.expect("up")
    p.tell("subscribe", b"topic".hex())

    def heard():
        z.send_multipart([b"other", b"no"])
        z.send_multipart([b"topic.1", b"yes"])
        return p.has_had("message")

    wait_until(heard, "a message for the subscriber")
    assert p.message() == [shown(b"topic.1"), shown(b"yes")]


def test_heartbeats_of_libzmq_are_answered(port, zsocket, keys):
    p = port("ROUTER", bind="tcp://127.0.0.1:*", **ours(keys, "server"))
    z = zsocket("DEALER", HEARTBEAT_IVL=20, HEARTBEAT_TIMEOUT=1000, **as_client(keys))
    z.connect(p.endpoint)
    p.expect("up")
    start = p.stats()
    p.wait_stats(lambda s: s["bytes_in"] > start["bytes_in"] + 50 * 42, "50 pings")
    now = p.stats()
    assert now["accepted"] == 1 and now["peers"] == 1 and now["msgs_in"] == 0


def test_wrong_key_of_a_client(port, zsocket, keys):
    p = port("ROUTER", bind="tcp://127.0.0.1:*", **ours(keys, "server"))
    z = zsocket("DEALER", **as_client(zmq.curve_keypair()))
    z.connect(p.endpoint)
    p.wait_stats(lambda s: s["handshake_failed"] >= 2, "refused handshakes")
    assert not p.has_had("up")


def test_wrong_key_of_ours(port, zsocket, keys):
    z = zsocket("ROUTER", **as_server(keys))
    z.bind("tcp://127.0.0.1:*")
    p = port("DEALER", connect=z.get(zmq.LAST_ENDPOINT).rstrip(b"\0").decode(), reconnect_min_ms=20,
             reconnect_max_ms=40, **ours(zmq.curve_keypair(), "client"))
    p.push(b"never said")
    p.wait_stats(lambda s: s["connected"] >= 2, "a second attempt")
    assert not p.has_had("up") and not z.poll(0)


@pytest.mark.parametrize("ours_has", [True, False])
def test_one_side_is_plain(port, zsocket, keys, ours_has):
    p = port("ROUTER", bind="tcp://127.0.0.1:*", **(ours(keys, "server") if ours_has else {}))
    z = zsocket("DEALER", **({} if ours_has else as_client(keys)))
    z.connect(p.endpoint)
    p.wait_stats(lambda s: s["handshake_failed"] >= 1, "a refused handshake")
    assert not p.has_had("up")


def test_plain_peer_hears_nothing_but_the_greeting(port, raw, keys):
    p = port("ROUTER", bind="tcp://127.0.0.1:*", **ours(keys, "server"))
    r = raw(p.endpoint)
    r.send(greeting() + ready(b"DEALER", b"me") + message(b"let me in"))
    assert r.recv(64)[12:17] == b"CURVE"
    with pytest.raises((EOFError, ConnectionError)):
        r.recv(1)
    assert p.stats()["msgs_in"] == 0


@pytest.mark.parametrize("what", ["READY", "MESSAGE", "INITIATE", "WELCOME", "HELLO"])
def test_wrong_commands(port, raw, keys, what):
    """Out of turn, or of a wrong size."""
    p = port("ROUTER", bind="tcp://127.0.0.1:*", **ours(keys, "server"))
    for size in (0, 1, 100, 193, 3000):
        r = raw(p.endpoint)
        body = bytes([len(what)]) + what.encode() + bytes(size)
        head = bytes([4, len(body)]) if len(body) < 256 else b"\x06" + len(body).to_bytes(8, "big")
        r.send(greeting(mechanism=b"CURVE") + head + body)
        assert r.is_closed()
    assert p.stats()["handshake_failed"] == 5


def test_take_over(port, zsocket, keys):
    p = port("ROUTER", bind="tcp://127.0.0.1:*", **ours(keys, "server"))
    first, second = (zsocket("DEALER", IDENTITY=b"same", **as_client(keys)) for _ in range(2))
    first.connect(p.endpoint)
    p.expect("up")
    second.connect(p.endpoint)
    p.expect("taken_over")
    p.send(b"same".hex(), b"for the second")
    assert second.recv() == b"for the second"


def test_slow_reader(port, zsocket, keys):
    """What it does not read waits unsealed: memory is that of one message, and the window."""
    p = port("ROUTER", bind="tcp://127.0.0.1:*", **ours(keys, "server"))
    z = zsocket("DEALER", IDENTITY=b"slow", RCVHWM=1, RCVBUF=65536, **as_client(keys))
    z.connect(p.endpoint)
    p.expect("up")
    p.tell("repeat", 50, "send", b"slow".hex(), "@3000000:07")
    wait_until(lambda: p.stats()["writes"] > 3, "some writes")
    assert p.stats()["queued"] > 100_000_000
    assert p.rss_kb() < 30_000
    for _ in range(50):
        assert z.recv() == b"\x07" * 3_000_000
    p.wait_stats(lambda s: s["queued"] == 0, "all sent")


def test_octet_by_octet_through_a_proxy(port, zsocket, keys, listener):
    """Every piece in which a stream can come."""
    p = port("ROUTER", bind="tcp://127.0.0.1:*", echo=1, **ours(keys, "server"))
    z = zsocket("DEALER", **as_client(keys))
    z.connect(listener.endpoint)
    inner, outer = listener.accept().sock, Raw.connect(p.endpoint).sock
    for s in (inner, outer):
        s.setblocking(False)
    z.send_multipart([b"one", b"y" * 700])
    z.send_multipart([b"two", b"z" * 70_000])

    def pump():
        for a, b, n in ((inner, outer, 1), (outer, inner, 4096)):
            for _ in range(2000):
                try:
                    octets = a.recv(n if pump.count < 3000 else 997)
                except BlockingIOError:
                    break
                b.setblocking(True)
                b.sendall(octets)
                b.setblocking(False)
                pump.count += 1
        return z.poll(0)

    pump.count = 0
    wait_until(pump, "the first echo")
    assert z.recv_multipart() == [b"one", b"y" * 700]
    wait_until(pump, "the second echo")
    assert z.recv_multipart() == [b"two", b"z" * 70_000]
    inner.close()
    outer.close()
