# SPDX-License-Identifier: BSD-3-Clause
"""Octet by octet: minor versions, parts of frames, commands, garbage, bounds on what a stranger may cost."""
import os
import random
import socket
import time

import pytest

from peer import Raw, shown, wait_until
from zmtp import command, frame, greeting, message, ready


@pytest.fixture
def server(port):
    return port("ROUTER", bind="tcp://127.0.0.1:*")


def serves(server, raw):
    """The port goes on serving others."""
    r = raw(server.endpoint)
    r.handshake(b"DEALER", b"fine")
    r.send(message(b"still", b"there"))
    server.expect("message", peer=b"fine".hex(), frames=[b"still".hex(), b"there".hex()])
    server.send(b"fine".hex(), b"yes")
    assert r.recv_message() == [b"yes"]
    r.close()
    server.expect("down", peer=b"fine".hex())


def test_greeting_comes_at_once_and_whole(server, raw):
    r = raw(server.endpoint)
    assert r.recv(64) == greeting()


def test_peer_that_waits_after_ten_octets(server, raw):
    """So does a connecting libzmq."""
    r = raw(server.endpoint)
    ours = greeting()
    r.send(ours[:10])
    assert r.recv(12) == ours[:12]
    r.send(ours[10:])
    r.recv(52)
    assert r.recv_frame()[1].startswith(b"\x05READY\x0bSocket-Type\0\0\0\x06ROUTER\x08Identity\0\0\0\0")
    r.send(ready(b"DEALER", b"me"))
    server.expect("up", peer=b"me".hex())


def test_octet_by_octet(server, raw):
    r = raw(server.endpoint)
    r.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    octets = greeting() + ready(b"DEALER", b"slow") + message(b"a", b"b" * 300, b"")
    octets += command(b"PING", b"\0\0ctx") + message(b"c")
    start = server.stats()["bytes_in"]
    for i in range(len(octets)):
        r.send(octets[i:i + 1])
        if i % 16 == 0:  # else the kernel puts them together
            server.wait_stats(lambda s: s["bytes_in"] >= start + i + 1, "the octet to be read")
    assert server.message() == [shown(b"a"), shown(b"b" * 300), ""]
    assert server.message() == [b"c".hex()]
    r.recv(64)
    assert r.recv_frame()[1].startswith(b"\x05READY")
    assert r.recv_frame() == (4, b"\x04PONGctx")


@pytest.mark.parametrize("cut", [1, 30, 64, 70, 110, 130, 70_000, 200_000, 400_000])
def test_cut_at_any_place(server, raw, cut):
    """A connection that ends in the middle costs its own message only."""
    octets = greeting() + ready(b"DEALER", b"cut") + message(b"x" * 20) + message(b"y", b"z" * 300_000, b"w" * 100_000)
    r = raw(server.endpoint)
    r.send(octets[:cut]).close()
    serves(server, raw)
    server.wait_stats(lambda s: s["peers"] == 0 and s["block_bytes"] == 0, "everything let go of")


def test_minor_version_zero(port, raw, listener):
    pub = port("XPUB", bind="tcp://127.0.0.1:*")
    r = raw(pub.endpoint)
    r.handshake(b"SUB", minor=0)
    r.send(frame(b"\x01old") + command(b"SUBSCRIBE", b"new"))
    pub.expect("subscribed", prefix=b"old".hex())
    pub.expect("subscribed", prefix=b"new".hex())
    pub.publish(b"nothing")
    pub.publish(b"older", b"1")
    pub.publish(b"newer", b"2")
    assert [r.recv_message(), r.recv_message()] == [[b"older", b"1"], [b"newer", b"2"]]
    r.send(frame(b"\x00old") + frame(b"\x00new"))
    pub.expect("cancelled", prefix=b"new".hex())


@pytest.mark.parametrize("minor,first,second", [(0, b"\x00\x01\x01", b"\x00\x03\x01ab"),
                                                (1, b"\x04\x0a\x09SUBSCRIBE", b"\x04\x0c\x09SUBSCRIBEab")])
def test_what_a_subscriber_sends(port, listener, minor, first, second):
    sub = port("SUB", connect=listener.endpoint)
    sub.tell("subscribe", "-")
    r = listener.accept()
    assert b"Identity" not in r.handshake(b"PUB", minor=minor)
    assert r.recv(len(first)) == first
    sub.tell("subscribe", b"ab".hex())
    assert r.recv(len(second)) == second
    r.send(message(b"topic", b"body"))
    assert sub.message() == [b"topic".hex(), b"body".hex()]
    r.close()
    sub.expect("down")
    r = listener.accept()  # and all of it again on the next connection
    r.handshake(b"XPUB", minor=minor)
    assert r.recv(len(first + second)) == first + second
    r.close()


def test_commands(server, raw):
    r = raw(server.endpoint)
    r.handshake(b"DEALER", b"c")
    r.send(command(b"PING", b"\0\x0a" + b"k" * 16) + command(b"WHATEVER", b"data") + command(b"PONG", b"k")
           + command(b"SUBSCRIBE", b"") + command(b"PING", b"\0\0" + b"k" * 17) + message(b"m"))
    assert server.message() == [b"m".hex()]
    assert r.recv_frame() == (4, b"\x04PONG" + b"k" * 16)
    r.send(command(b"ERROR", b"\x03why"))
    assert r.is_closed()
    assert server.expect("down")["why"] == "eof"


BROKEN = {
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
    "zeros": bytes(5000),
    "zmtp 2": b"\xff" + bytes(8) + b"\x7f\x01\x05\x00\x00",
    "mechanism": greeting(mechanism=b"PLAIN"),
    "message before READY": greeting() + message(b"too soon"),
    "socket type": greeting() + ready(b"SUB"),
    "no socket type": greeting() + command(b"READY"),
    "unreal socket type": greeting() + ready(b"DEALER2"),
    "property too long": greeting() + command(b"READY", b"\x0bSocket-Type\xff\xff\xff\xffDEALER"),
    "property cut": greeting() + command(b"READY", b"\x0bSocket-Type\0\0"),
    "property without a name": greeting() + command(b"READY", b"\0\0\0\0\0"),
    "identity too long": greeting() + ready(b"DEALER", b"i" * 256),
    "command too long": greeting() + b"\x06" + (5000).to_bytes(8, "big") + bytes(5000),
    "command without a name": greeting() + b"\x04\x00",
    "ERROR": greeting() + command(b"ERROR", b"\x02no"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_handshakes(server, raw, what):
    r = raw(server.endpoint)
    try:
        r.send(BROKEN[what])
    except ConnectionError:
        pass
    assert r.is_closed()
    assert server.stats()["handshake_failed"] == 1
    assert not server.has_had("up")
    serves(server, raw)


AFTER = {
    "reserved flag": b"\x08\x01x",
    "command with more": b"\x05\x05\x04PING",
    "command name beyond its frame": b"\x04\x05\x09PING",
    "large command": b"\x06" + (1 << 20).to_bytes(8, "big"),
    "negative length": b"\x02" + b"\xff" * 8,
    "length beyond the bound": b"\x02" + (1 << 50).to_bytes(8, "big"),
}


@pytest.mark.parametrize("what", AFTER)
def test_broken_frames(server, raw, what):
    r = raw(server.endpoint)
    r.handshake(b"DEALER", b"bad")
    r.send(message(b"before") + AFTER[what] + message(b"after"))
    assert r.is_closed()
    assert server.message() == [b"before".hex()]
    assert server.expect("down", peer=b"bad".hex())["why"] == "protocol"
    assert server.stats()["protocol_errors"] == 1
    serves(server, raw)
    assert not server.has_had("message")


def test_random_octets(server, raw):
    dice = random.Random(7)
    for i in range(300):
        r = raw(server.endpoint)
        prefix = [b"", greeting(), greeting() + ready(b"DEALER")][i % 3]
        try:
            r.send(prefix + dice.randbytes(dice.randrange(2000)))
            r.close()
        except ConnectionError:
            pass
    serves(server, raw)


def test_a_hundred_megabytes_of_garbage(server, raw):
    before = server.rss_kb()
    r = raw(server.endpoint)
    r.handshake(b"DEALER", b"noise")
    chunk = os.urandom(1 << 20).replace(b"\x00", b"\x08")
    with pytest.raises(ConnectionError):
        for _ in range(100):
            r.send(b"\xf0" + chunk)
    serves(server, raw)
    assert server.rss_kb() < before + 8000


def test_bound_on_messages(port, raw):
    server = port("ROUTER", bind="tcp://127.0.0.1:*", msg_max=1_000_000)
    for size, n in ((600_000, 2), (60_000, 20), (0, 20_000)):
        octets = frame(b"x" * size, more=True) * n
        r = raw(server.endpoint)
        r.handshake(b"DEALER", b"big")
        try:
            r.send(octets)
        except ConnectionError:
            pass
        assert r.is_closed()
        assert server.expect("down")["why"] == "protocol"
    r = raw(server.endpoint)
    r.handshake(b"DEALER", b"big")
    r.send(message(b"x" * 900_000))
    assert server.message() == [shown(b"x" * 900_000)]


def test_declaring_costs_nothing(server, raw):
    before = server.rss_kb()
    for i in range(50):
        r = raw(server.endpoint)
        r.handshake(b"DEALER", b"d%d" % i)
        r.send(b"\x02" + (200 << 20).to_bytes(8, "big") + b"only these")
    server.wait_stats(lambda s: s["peers"] == 50 and s["block_bytes"] >= 50 * (200 << 20), "all large frames begun")
    assert server.rss_kb() < before + 8000
    serves(server, raw)


def test_silence_ends(port, raw):
    server = port("ROUTER", bind="tcp://127.0.0.1:*", handshake_ms=1000)
    start = time.monotonic()
    silent, half = raw(server.endpoint), raw(server.endpoint)
    half.send(greeting()[:40])
    assert silent.is_closed() and half.is_closed()
    assert 0.9 < time.monotonic() - start < 15
    slow = raw(server.endpoint)
    slow.handshake(b"DEALER", b"s")
    assert server.stats()["handshake_failed"] == 2
    time.sleep(1.2)  # longer than the limit, which is over
    slow.send(message(b"still here"))
    assert server.message() == [b"still here".hex()]


def test_idle_connections_cost_little(server, raw):
    base = server.rss_kb()
    peers = []
    for i in range(1000):
        r = raw(server.endpoint)
        r.send(greeting() + ready(b"DEALER", b"idle-%027d" % i))
        r.send(message(b"x" * 3000)[:2000] if i == 0 else message(b"hello"))
        peers.append(r)
    server.wait_stats(lambda s: s["peers"] == 1000 and s["msgs_in"] == 999, "all peers")
    for _ in range(3):
        server.stats()
    grown = server.rss_kb() - base
    assert grown < 1000 * 1.5 * (10 if "asan" in os.environ.get("ERSA_BUILD", "") else 1), f"{grown} KB for 1000 peers"
    for r in peers:
        r.close()
    server.wait_stats(lambda s: s["peers"] == 0, "all gone")


def test_an_empty_identity_is_replaced(server, raw):
    """So is one that begins as made ones do: nobody can be taken over by guessing."""
    names = set()
    for identity in (b"", b"\0abcd", None):
        r = raw(server.endpoint)
        r.handshake(b"DEALER", identity)
        names.add(bytes.fromhex(server.expect("up")["peer"]))
    assert len(names) == 3 and all(len(n) == 5 and n[0] == 0 and n != b"\0abcd" for n in names)


def test_ipc_socket_file(port, tmp_path):
    at = f"ipc://{tmp_path}/c:1"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(f"{tmp_path}/c:1")
    stale.close()
    first = port("ROUTER", bind=at)  # nobody listens on the file: it is replaced
    r = Raw.connect(at)
    r.handshake(b"DEALER", b"ipc")
    first.expect("up", peer=b"ipc".hex())
    r.close()
    with pytest.raises(AssertionError):
        port("ROUTER", bind=at)  # somebody does
    first.close()
    wait_until(lambda: not (tmp_path / "c:1").exists(), "the file to go")
