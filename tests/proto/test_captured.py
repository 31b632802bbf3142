# SPDX-License-Identifier: BSD-3-Clause
"""What stock clients and engines once said, said again octet for octet to our controller (captured/, capture.py).

Three things must differ: the envelope of an engine's reply names the client as our controller did, hearts echo our pings,
and a peer goes on when our controller has said what the stock one said before. In the end every message that the stock
controller sent has its counterpart: relayed ones equal in all signed octets and buffers, its own in type, parent and
members of the content."""
import collections
import json
import pathlib
import selectors
import socket
import time

import pytest

import conversation
from conversation import DELIMITER, Reader
from waiting import PATIENCE_S

CAPTURED = pathlib.Path(__file__).parent / "captured"
HEARTS = ("hb_ping", "hb_pong")
TYPES = {"connection_reply", "registration_reply", "registration_notification", "apply_request", "apply_reply", "execute_reply",
         "stream", "status", "error", "queue_reply", "unregistration_notification"}
PLAIN_TYPES = {"result_reply", "purge_reply", "abort_reply", "clear_reply"}


def split(frames):
    at = frames.index(DELIMITER)
    return frames[:at], frames[at:]


def header_of(frames):
    return json.loads(split(frames)[1][2])


def is_rewritten(side, port, metadata):
    """What a broadcast scheduler writes anew, and signs."""
    return port.startswith("broadcast") and (side == "engine" or metadata.get("is_coalescing", False))


def identify(frames, own_sessions, side, port):
    """What a message is to be recognised by: all of it when it is relayed, else type and parent. What was written anew is
    compared as JSON, and the engine's own target is all that it has to find there."""
    envelope, rest = split(frames)
    header, parent, metadata = (json.loads(part) for part in rest[2:5])
    if header["session"] in own_sessions and is_rewritten(side, port, metadata):
        if side == "engine":
            metadata["targets"] = []
        return "rewritten", header["msg_type"], *(json.dumps(x, sort_keys=True) for x in (header, parent, metadata)), *rest[5:]
    if header["session"] in own_sessions:
        return "relayed", header["msg_type"], *rest[1:]
    return "own", header["msg_type"], parent.get("msg_id", "")


class Connection:
    """One peer's socket; what the controller says is kept as messages."""

    def __init__(self, url, side, port):
        host, number = url.removeprefix("tcp://").split(":")
        self.socket = socket.create_connection((host, int(number)))
        self.socket.settimeout(PATIENCE_S)
        self.side, self.port = side, port
        self.out, self.reader, self.expected = Reader(), Reader(), Reader()
        self.heard, self.n_awaited = [], 0


class Replay:
    def __init__(self, controller, path):
        self.controller = controller
        self.about, self.steps = conversation.load(path)
        self.connections = {}
        self.selector = selectors.DefaultSelector()
        self.sessions = self.sessions_of_peers()
        self.envelopes = {}  # of our requests to the engine, by msg_id
        self.matched = []  # (theirs, ours)

    def sessions_of_peers(self):
        """The sessions in whose name the peers speak; the controller has its own."""
        readers, sessions = collections.defaultdict(Reader), set()
        for connection, what, *rest in self.steps:
            if what == "out":
                sessions |= {header_of(m)["session"] for m in readers[connection].messages(rest[0]) if DELIMITER in m}
        return sessions

    def run(self):
        for connection, what, *rest in self.steps:
            getattr(self, "step_" + what)(connection, *rest)
        self.pump(0)

    def step_open(self, connection, side, port):
        name, _, index = port.partition(".")
        if name == "registration":
            side = "engine"  # one port for all
        c = Connection(self.controller.url(name, side, int(index) if index else None), side, port)
        self.connections[connection] = c
        self.selector.register(c.socket, selectors.EVENT_READ, c)

    def step_out(self, connection, octets):
        c = self.connections[connection]
        for raw, frames in c.out.feed(octets):
            if frames and c.side == "engine" and DELIMITER in frames and len(split(frames)[0]) and c.port != "iopub":
                raw = self.with_our_envelope(frames)
            c.socket.sendall(raw)

    def with_our_envelope(self, frames):
        rest = split(frames)[1]
        return conversation.encode(self.envelopes[json.loads(rest[3])["msg_id"]] + rest)

    def step_in(self, connection, octets):
        """Waits until our controller has said the same."""
        c = self.connections[connection]
        if c.port in HEARTS:
            return
        for raw, frames in c.expected.feed(octets):
            if frames:
                self.await_counterpart(c, frames)
            else:
                self.await_octets(c, len(raw))

    def step_close(self, connection):
        c = self.connections.pop(connection)
        self.selector.unregister(c.socket)
        c.socket.close()
        assert c.port in HEARTS or not c.heard, f"more than the stock controller says: {c.side} {c.port} {c.heard}"

    def await_counterpart(self, c, frames):
        wanted = identify(frames, self.sessions, c.side, c.port)

        def find():
            return next((m for m in c.heard if identify(m, self.sessions, c.side, c.port) == wanted), None)

        ours = self.await_true(find, f"{c.side} {c.port}: {wanted[:3]}; heard {[header_of(m) for m in c.heard]}")
        c.heard.remove(ours)
        self.matched.append((frames, ours))
        if c.side == "engine" and c.port != "registration":
            self.envelopes[header_of(ours)["msg_id"]] = split(ours)[0]

    def await_octets(self, c, n):
        """A greeting, or a command of the handshake."""
        c.n_awaited += n
        self.await_true(lambda: c.reader.n_octets >= c.n_awaited, f"{c.side} {c.port}: handshake")

    def await_true(self, condition, what):
        deadline = time.monotonic() + PATIENCE_S
        while not (value := condition()):
            assert time.monotonic() < deadline, f"not said: {what}\n{self.controller.log()[-3000:]}"
            self.pump(0.02)
        return value

    def pump(self, seconds):
        for key, _ in self.selector.select(seconds):
            c = key.data
            octets = c.socket.recv(1 << 20)
            assert octets, f"our controller closed {c.side} {c.port}\n{self.controller.log()[-3000:]}"
            messages = c.reader.messages(octets)
            if c.port == "hb_ping":
                self.beat(messages)
            elif c.port != "hb_pong":
                c.heard += messages

    def beat(self, pings):
        for c in self.connections.values():
            if c.port == "hb_pong" and c.out.greeted:
                for ping in pings:
                    c.socket.sendall(conversation.encode(ping))


@pytest.mark.parametrize("path", sorted(CAPTURED.glob("*.jsonl")), ids=lambda p: p.stem)
def test_said_again(start_controller, path):
    about, _ = conversation.load(path)
    controller = start_controller("--ping=200", env={"IPP_SESSION_KEY": about["key"]})
    assert controller.key == about["key"]
    replay = Replay(controller, path)
    replay.run()
    types = {header_of(theirs)["msg_type"] for theirs, _ in replay.matched}
    assert types >= TYPES | (set() if path.stem.endswith("broadcast") else PLAIN_TYPES)
    n_coalesced = sum(b"broadcast_targets" in split(ours)[1][4] for _, ours in replay.matched)
    assert n_coalesced == (6 if path.stem.endswith("broadcast") else 0)
    for theirs, ours in replay.matched:
        assert header_of(ours)["msg_type"] == header_of(theirs)["msg_type"]
        their_content, our_content = json.loads(split(theirs)[1][5]), json.loads(split(ours)[1][5])
        assert set(our_content) == set(their_content), header_of(theirs)["msg_type"]
        assert our_content.get("status") == their_content.get("status"), (their_content, our_content)
