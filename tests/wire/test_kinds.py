# SPDX-License-Identifier: BSD-3-Clause
"""Every kind of port with every kind of libzmq socket that fits, both ways of connecting, TCP and ipc."""
import pytest
import zmq

from peer import echo_large, echo_sizes, shown, wait_until

SIZES = [0, 1, 255, 256, 4096, 65535, 65536, 65537, 300_000, 5_000_000]
TALKING = [("ROUTER", "DEALER"), ("ROUTER", "ROUTER"), ("ROUTER", "REQ"), ("DEALER", "ROUTER"), ("DEALER", "DEALER"),
           ("DEALER", "REP")]
PUBLISHING = [("PUB", "SUB"), ("PUB", "XSUB"), ("XPUB", "SUB"), ("XPUB", "XSUB")]
SUBSCRIBING = [("SUB", "PUB"), ("SUB", "XPUB")]


@pytest.fixture(params=["tcp", "ipc"])
def transport(request, tmp_path):
    return "tcp://127.0.0.1:*" if request.param == "tcp" else f"ipc://{tmp_path}/c:1"


def join(port, zsocket, transport, ours, theirs, binds, **options):
    """A port and a socket that are connected."""
    z = zsocket(theirs, **({"SUBSCRIBE": b""} if theirs == "SUB" else {}))
    if theirs == "ROUTER":
        z.set(zmq.PROBE_ROUTER, 0)
    if binds == "ours":
        p = port(ours, bind=transport, **options)
        z.connect(p.endpoint)
    else:
        z.bind(transport)
        p = port(ours, connect=z.get(zmq.LAST_ENDPOINT).rstrip(b"\0").decode(), **options)
    return p, z


@pytest.mark.parametrize("binds", ["ours", "theirs"])
@pytest.mark.parametrize("ours,theirs", TALKING)
def test_there_and_back(port, zsocket, transport, ours, theirs, binds):
    p, z = join(port, zsocket, transport, ours, theirs, binds, identity="our-name")
    up = p.expect("up")
    body = [b"x", b"", b"y" * 300]
    if theirs in ("REQ", "DEALER"):
        z.send_multipart(body)
        got = p.message()
        assert got == ([""] if theirs == "REQ" else []) + [shown(b) for b in body]
        p.send(up["peer"], *([b""] if theirs == "REQ" else []), *body)
        assert z.recv_multipart() == body
    elif theirs == "ROUTER":
        p.send(up["peer"], *body)
        assert z.recv_multipart() == [b"our-name", *body]
        z.send_multipart([b"our-name", *body])
        assert p.message() == [shown(b) for b in body]
    else:
        p.push(b"address", b"", *body)
        assert z.recv_multipart() == body
        z.send_multipart(body)
        assert p.message() == [shown(b) for b in [b"address", b"", *body]]


@pytest.mark.parametrize("binds", ["ours", "theirs"])
@pytest.mark.parametrize("ours,theirs", PUBLISHING)
def test_publishing(port, zsocket, transport, ours, theirs, binds):
    p, z = join(port, zsocket, transport, ours, theirs, binds)
    if theirs == "XSUB":
        z.send(b"\x01")
    # A bound socket of libzmq notices its peers, and subscribes, only when it is used.
    wait_until(lambda: z.poll(0) or p.has_had("subscribed"), "the subscription")
    p.expect("subscribed", prefix="")
    p.publish(b"topic", b"text")
    assert z.recv_multipart() == [b"topic", b"text"]


@pytest.mark.parametrize("binds", ["ours", "theirs"])
@pytest.mark.parametrize("ours,theirs", SUBSCRIBING)
def test_subscribing(port, zsocket, transport, ours, theirs, binds):
    p, z = join(port, zsocket, transport, ours, theirs, binds)
    p.expect("up")
    p.tell("subscribe", "aa")
    p.tell("subscribe", b"topic".hex())
    if theirs == "XPUB":
        assert {z.recv(), z.recv()} == {b"\x01\xaa", b"\x01topic"}

    def heard():
        z.send_multipart([b"other", b"no"])
        z.send_multipart([b"topic.1", b"yes"])
        return p.has_had("message")

    wait_until(heard, "a message for the subscriber")
    assert p.message() == [shown(b"topic.1"), shown(b"yes")]


@pytest.mark.parametrize("ours,theirs", [("ROUTER", "SUB"), ("ROUTER", "REP"), ("DEALER", "REQ"), ("PUB", "DEALER"),
                                         ("PUB", "PUB"), ("SUB", "SUB"), ("SUB", "ROUTER"), ("ROUTER", "PULL")])
def test_kinds_that_do_not_fit(port, zsocket, ours, theirs):
    p = port(ours, bind="tcp://127.0.0.1:*")
    z = zsocket(theirs)
    z.connect(p.endpoint)
    p.wait_stats(lambda s: s["handshake_failed"] >= 1, "a refused handshake")
    assert not p.has_had("up")


def test_identities(port, zsocket):
    p = port("ROUTER", bind="tcp://127.0.0.1:*", identity="server")
    named, nameless = zsocket("DEALER", IDENTITY=b"engine-1"), zsocket("DEALER")
    long = zsocket("ROUTER", IDENTITY=b"n" * 255)
    named.connect(p.endpoint)
    assert p.expect("up")["peer"] == b"engine-1".hex()
    nameless.connect(p.endpoint)
    made = bytes.fromhex(p.expect("up")["peer"])
    assert len(made) == 5 and made[0] == 0
    long.connect(p.endpoint)
    assert p.expect("up")["peer"] == (b"n" * 255).hex()
    p.send((b"n" * 255).hex(), b"hello")
    assert long.recv_multipart() == [b"server", b"hello"]
    p.send(made.hex(), b"you")
    assert nameless.recv() == b"you"


def test_connecting_router_knows_who_it_reached(port, zsocket):
    routers = [zsocket("ROUTER", IDENTITY=name) for name in (b"mux_in", b"task_in")]
    for z in routers:
        z.bind("tcp://127.0.0.1:*")
    p = port("ROUTER", connect=[z.get(zmq.LAST_ENDPOINT).rstrip(b"\0").decode() for z in routers], identity="engine")
    assert {p.expect("up")["peer"] for _ in routers} == {b"mux_in".hex(), b"task_in".hex()}
    for z, name in zip(routers, (b"mux_in", b"task_in")):
        p.send(name.hex(), b"for", name)
        assert z.recv_multipart() == [b"engine", b"for", name]


def test_all_sizes_and_their_order(port, zsocket):
    p = port("ROUTER", bind="tcp://127.0.0.1:*", echo=1)
    z = zsocket("DEALER", RCVHWM=0, SNDHWM=0)
    z.connect(p.endpoint)
    echo_sizes(p, z, SIZES)


def test_a_hundred_megabytes(port, zsocket):
    p = port("ROUTER", bind="tcp://127.0.0.1:*", echo=1)
    z = zsocket("DEALER")
    z.connect(p.endpoint)
    echo_large(z)


def test_dealer_takes_turns_and_hears_all(port, zsocket):
    servers = [zsocket("DEALER") for _ in range(3)]
    for z in servers:
        z.bind("tcp://127.0.0.1:*")
    p = port("DEALER", connect=[z.get(zmq.LAST_ENDPOINT).rstrip(b"\0").decode() for z in servers])
    for _ in servers:
        p.expect("up")
    for _ in range(4):
        for _ in servers:
            p.push(b"x")
    for z in servers:
        for _ in range(4):
            assert z.recv() == b"x"
        z.send(b"back")
        assert p.message() == [b"back".hex()]


def test_prefixes_are_a_set(port, zsocket):
    p = port("PUB", bind="tcp://127.0.0.1:*")
    z = zsocket("SUB", SUBSCRIBE=b"a")
    z.connect(p.endpoint)
    p.expect("subscribed", prefix=b"a".hex())
    z.set(zmq.SUBSCRIBE, b"a")
    z.set(zmq.SUBSCRIBE, b"b")
    p.expect("subscribed", prefix=b"b".hex())
    p.publish(b"a1")
    p.publish(b"c1")
    p.publish(b"b1")
    assert [z.recv(), z.recv()] == [b"a1", b"b1"]
    z.set(zmq.UNSUBSCRIBE, b"a")
    z.set(zmq.UNSUBSCRIBE, b"a")
    p.expect("cancelled", prefix=b"a".hex())
    p.publish(b"a2")
    p.publish(b"b2")
    assert z.recv() == b"b2"


def test_heartbeats_of_libzmq_are_answered(port, zsocket):
    p = port("ROUTER", bind="tcp://127.0.0.1:*")
    z = zsocket("DEALER", HEARTBEAT_IVL=20, HEARTBEAT_TIMEOUT=1000, IDENTITY=b"h")
    z.connect(p.endpoint)
    p.expect("up")
    start = p.stats()
    p.wait_stats(lambda s: s["bytes_in"] > start["bytes_in"] + 50 * 9, "50 pings")
    now = p.stats()
    assert now["bytes_out"] >= start["bytes_out"] + 50 * 7
    assert now["accepted"] == 1 and now["peers"] == 1 and now["msgs_in"] == 0
