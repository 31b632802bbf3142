# SPDX-License-Identifier: BSD-3-Clause
"""Peers that don't read, and peers that aren't read from."""
import zmq

from peer import wait_until
from zmtp import message

MIB = 1 << 20


def slow_peer(p, raw, kind=b"DEALER", identity=b"slow"):
    r = raw(p.endpoint)
    r.handshake(kind, identity)
    p.expect("up", **({"peer": identity.hex()} if kind == b"DEALER" else {}))
    return r


def test_full_and_drained(port, raw, zsocket):
    p = port("ROUTER", bind="tcp://127.0.0.1:*", tx_cap=4 * MIB)
    slow = slow_peer(p, raw)
    other = zsocket("DEALER", IDENTITY=b"other")
    other.connect(p.endpoint)
    p.expect("up", peer=b"other".hex())
    p.tell("repeat", 40, "send", b"slow".hex(), f"@{MIB}:05")
    assert p.expect("sent")["full"]
    p.send(b"other".hex(), b"not held up")
    assert other.recv() == b"not held up"
    assert not p.has_had("drained")
    for _ in range(40):
        assert slow.recv_message() == [b"\x05" * MIB]
    p.expect("drained")
    assert p.wait_stats(lambda s: s["queued"] == 0, "all sent")["block_bytes"] == 0


def test_stalled_source_goes_on(port, raw):
    """A source that is held back for a sink is read again when the sink has drained, or is gone."""
    p = port("ROUTER", bind="tcp://127.0.0.1:*", tx_cap=MIB)
    slow, source = slow_peer(p, raw), slow_peer(p, raw, identity=b"source")
    p.tell("repeat", 20, "send", b"slow".hex(), f"@{MIB}:05")
    p.expect("sent")
    p.tell("stall", b"source".hex(), b"slow".hex())
    source.send(message(b"waits"))
    assert not p.has_had("message")
    for _ in range(20):
        slow.recv_message()
    assert p.message() == [b"waits".hex()]
    p.expect("drained")
    p.tell("repeat", 20, "send", b"slow".hex(), f"@{MIB}:05")
    p.expect("sent")
    p.tell("stall", b"source".hex(), b"slow".hex())
    source.send(message(b"waits again"))
    assert not p.has_had("message")
    slow.close()
    assert p.message() == [b"waits again".hex()]
    p.expect("down", peer=b"slow".hex())


def test_source_of_a_stall_goes(port, raw):
    p = port("ROUTER", bind="tcp://127.0.0.1:*", tx_cap=MIB)
    slow, source = slow_peer(p, raw), slow_peer(p, raw, identity=b"source")
    p.tell("repeat", 20, "send", b"slow".hex(), f"@{MIB}:05")
    p.expect("sent")
    p.tell("stall", b"source".hex(), b"slow".hex())
    p.tell("close", b"source".hex())
    p.expect("down", peer=b"source".hex())
    for _ in range(20):
        slow.recv_message()
    p.expect("drained")
    assert source.is_closed()


def test_pause_reaches_the_sender(port, zsocket):
    """libzmq's own queue fills up in the end: nothing is piled up here."""
    p = port("ROUTER", bind="tcp://127.0.0.1:*")
    z = zsocket("DEALER", IDENTITY=b"z", SNDHWM=2)
    z.connect(p.endpoint)
    p.expect("up")
    p.tell("pause", b"z".hex())
    p.stats()
    before = p.rss_kb()
    z.set(zmq.SNDTIMEO, 300)
    sent = 0
    try:
        while sent < 200:
            z.send(b"%03d" % sent + bytes(MIB))
            sent += 1
    except zmq.Again:
        pass
    assert sent < 100
    assert p.rss_kb() < before + 4000
    assert not p.has_had("message")
    p.tell("resume", b"z".hex())
    for _ in range(sent):
        p.message()


def test_slow_subscriber_misses_and_others_do_not(port, raw, zsocket):
    p = port("PUB", bind="tcp://127.0.0.1:*", tx_cap=MIB)
    slow = slow_peer(p, raw, kind=b"SUB")
    slow.send(message(b"\x01"))
    p.expect("subscribed")
    fast = zsocket("SUB", SUBSCRIBE=b"", RCVHWM=0)
    fast.connect(p.endpoint)
    p.expect("subscribed")
    body = b"x" * 100_000
    for i in range(200):
        p.publish(b"%03d" % i, body)
        assert fast.recv_multipart()[0] == b"%03d" % i
    missed = p.stats()["dropped_pub"]
    assert 50 < missed < 200
    assert p.stats()["queued"] <= MIB + 200_000
    numbers = [int(slow.recv_message()[0]) for _ in range(200 - missed)]
    assert numbers == sorted(numbers) and len(set(numbers)) == 200 - missed
    wait_until(lambda: p.stats()["queued"] == 0, "the queue to empty")
    p.publish(b"200", b"-")
    assert slow.recv_message() == [b"200", b"-"]


def test_small_messages_of_a_turn_are_one_write(port, raw):
    p = port("ROUTER", bind="tcp://127.0.0.1:*", echo=1)
    r = slow_peer(p, raw, identity=b"r")
    before = p.stats()
    r.send(message(b"a", b"b" * 200, b"c") * 50)
    for _ in range(50):
        assert r.recv_message() == [b"a", b"b" * 200, b"c"]
    after = p.stats()
    assert after["msgs_out"] - before["msgs_out"] == 50
    assert after["writes"] - before["writes"] <= 10
    assert after["reads"] - before["reads"] <= 10
