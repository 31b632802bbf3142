# SPDX-License-Identifier: BSD-3-Clause
"""Many peers, many subscriptions, and libzmq going and coming again under ports that connect."""
import pytest
import zmq

from peer import shown, wait_until
from zmtp import command


def test_two_hundred_peers(port, zsocket):
    p = port("ROUTER", bind="tcp://127.0.0.1:*", echo=1)
    peers = [zsocket("DEALER", IDENTITY=b"peer-%d" % i) for i in range(200)]
    for z in peers:
        z.connect(p.endpoint)
    for turn in range(3):
        for i, z in enumerate(peers):
            z.send_multipart([b"%d" % i, b"x" * (100 * turn)])
        for i, z in enumerate(peers):
            assert z.recv_multipart() == [b"%d" % i, b"x" * (100 * turn)]
    assert p.stats()["peers"] == 200
    for z in peers:
        z.close()
    p.wait_stats(lambda s: s["peers"] == 0, "all gone")


def test_two_hundred_subscribers(port, zsocket):
    p = port("XPUB", bind="tcp://127.0.0.1:*")
    subscribers = [zsocket("SUB", SUBSCRIBE=b"%03d" % i) for i in range(200)]
    for z in subscribers:
        z.connect(p.endpoint)
    for _ in subscribers:
        p.expect("subscribed")
    for i in range(200):
        p.publish(b"%03d." % i, b"for you")
    for i, z in enumerate(subscribers):
        assert z.recv_multipart() == [b"%03d." % i, b"for you"]
        assert not z.poll(0)


def test_many_subscriptions(port, zsocket):
    p = port("PUB", bind="tcp://127.0.0.1:*")
    z = zsocket("SUB", SNDHWM=0)  # else libzmq itself loses subscriptions
    z.connect(p.endpoint)
    for i in range(2000):
        z.set(zmq.SUBSCRIBE, b"topic.%04d" % i)
    p.expect("subscribed", prefix=shown(b"topic.1999"))
    p.publish(b"topic.1234.x")
    p.publish(b"topic.2345.x")
    p.publish(b"topic.0001.x")
    assert [z.recv(), z.recv()] == [b"topic.1234.x", b"topic.0001.x"]
    for i in range(2000):
        z.set(zmq.UNSUBSCRIBE, b"topic.%04d" % i)
    p.expect("cancelled", prefix=shown(b"topic.1999"))
    z.set(zmq.SUBSCRIBE, b"end")
    p.expect("subscribed", prefix=shown(b"end"))
    p.publish(b"topic.1234.x")
    p.publish(b"end")
    assert z.recv() == b"end"


def test_more_subscriptions_than_there_may_be(port, raw):
    p = port("PUB", bind="tcp://127.0.0.1:*")
    r = raw(p.endpoint)
    r.handshake(b"SUB")
    try:
        r.send(b"".join(command(b"SUBSCRIBE", b"%06d" % i) for i in range(10_001)))
    except ConnectionError:
        pass
    assert r.is_closed()
    assert p.expect("down")["why"] == "protocol"


def reopen(z, zsocket, kind, endpoint, **options):
    """Closes a bound socket and binds another in its place."""
    z.close()
    fresh = zsocket(kind, **options)

    def bind():
        try:
            fresh.bind(endpoint)
            return True
        except zmq.ZMQError:
            return False

    wait_until(bind, "the port to be free")
    return fresh


@pytest.mark.parametrize("theirs", ["PUB", "XPUB"])
def test_subscriptions_are_made_again(port, zsocket, theirs):
    z = zsocket(theirs)
    z.bind("tcp://127.0.0.1:*")
    endpoint = z.get(zmq.LAST_ENDPOINT).rstrip(b"\0").decode()
    p = port("SUB", connect=endpoint, reconnect_min_ms=10, reconnect_max_ms=20)
    for prefix in (b"a", b"b"):
        p.tell("subscribe", prefix.hex())

    def heard(text):
        z.send_multipart([b"no", text])
        z.send_multipart([b"b", text])
        return any(e.get("frames") == [b"b".hex(), text.hex()] for e in p.passed_over) or not p.stats()

    wait_until(lambda: heard(b"once"), "a message")
    z = reopen(z, zsocket, theirs, endpoint)
    p.expect("down")
    wait_until(lambda: heard(b"again"), "a message of the second")
    assert not any(e.get("frames", [""])[0] == b"no".hex() for e in p.passed_over)


@pytest.mark.parametrize("ours", ["ROUTER", "DEALER"])
def test_server_closed_and_opened_again(port, zsocket, ours):
    """What is sent while it is away reaches the one that comes: a port that connects keeps it."""
    z = zsocket("ROUTER", IDENTITY=b"server")
    z.bind("tcp://127.0.0.1:*")
    endpoint = z.get(zmq.LAST_ENDPOINT).rstrip(b"\0").decode()
    p = port(ours, connect=endpoint, identity="me", reconnect_min_ms=10, reconnect_max_ms=20)
    for turn in range(4):
        peer = p.expect("up")["peer"]
        assert bytes.fromhex(peer) == b"server"
        p.send(peer, b"hello %d" % turn)
        assert z.recv_multipart() == [b"me", b"hello %d" % turn]
        z.send_multipart([b"me", b"back"])
        assert p.message() == [b"back".hex()]
        z = reopen(z, zsocket, "ROUTER", endpoint, IDENTITY=b"server")
        assert p.expect("down")["why"] == "eof"
    p.expect("up")


def test_publisher_of_ours_that_connects(port, zsocket):
    """As an engine's iopub does: it publishes to a bound SUB, also after that was opened again."""
    z = zsocket("SUB", SUBSCRIBE=b"")
    z.bind("tcp://127.0.0.1:*")
    endpoint = z.get(zmq.LAST_ENDPOINT).rstrip(b"\0").decode()
    p = port("PUB", connect=endpoint, reconnect_min_ms=10, reconnect_max_ms=20)
    for turn in range(3):
        wait_until(lambda: z.poll(0) or p.has_had("subscribed"), "the subscription")
        p.expect("subscribed", prefix="")
        p.publish(b"engine.0.stdout", b"%d" % turn)
        assert z.recv_multipart() == [b"engine.0.stdout", b"%d" % turn]
        z = reopen(z, zsocket, "SUB", endpoint, SUBSCRIBE=b"")
        p.expect("down")


def test_request_and_reply_for_long(port, zsocket):
    """REQ and REP of libzmq, one after the other many times, ours in both seats."""
    p = port("ROUTER", bind="tcp://127.0.0.1:*", echo=1)
    z = zsocket("REQ")
    z.connect(p.endpoint)
    for i in range(500):
        z.send_multipart([b"%d" % i, b"?"])
        assert z.recv_multipart() == [b"%d" % i, b"?"]
    rep = zsocket("REP")
    rep.bind("tcp://127.0.0.1:*")
    d = port("DEALER", connect=rep.get(zmq.LAST_ENDPOINT).rstrip(b"\0").decode())
    for i in range(200):
        d.push(b"", b"%d" % i)
        rep.send(rep.recv() + b"!")
        assert d.message() == ["", (b"%d!" % i).hex()]
