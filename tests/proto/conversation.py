# SPDX-License-Identifier: BSD-3-Clause
"""Captured conversations: the octets of stock peers and a stock controller, and how to read them.

A file has one JSON value a line. First what it is about: {"ipyparallel": version, "key": signing key}. Then
steps in the order in which they were seen: [connection, "open", side, port], [connection, "out", octets] (peer to
controller), [connection, "in", octets], [connection, "close"]; octets in base64, `port` a name of the connection files
("broadcast.1" for the second of a list), `side` "client" or "engine"."""
import base64
import json

GREETING_SIZE = 64
DELIMITER = b"<IDS|MSG>"


class Reader:
    """Splits the octets of one direction."""

    def __init__(self):
        self.octets, self.frames, self.raw, self.greeted, self.n_octets = b"", [], b"", False, 0

    def feed(self, octets):
        """The pieces that are complete now: (octets, frames of the message), frames None for a greeting or command."""
        self.octets += octets
        self.n_octets += len(octets)
        pieces = []
        if not self.greeted and len(self.octets) >= GREETING_SIZE:
            self.greeted = True
            pieces.append((self.octets[:GREETING_SIZE], None))
            self.octets = self.octets[GREETING_SIZE:]
        while self.greeted and (frame := self.take_frame()):
            raw, flags, body = frame
            if flags & 4:
                pieces.append((raw, None))
                continue
            self.raw += raw
            self.frames.append(body)
            if not flags & 1:
                pieces.append((self.raw, self.frames))
                self.raw, self.frames = b"", []
        return pieces

    def messages(self, octets):
        return [frames for _, frames in self.feed(octets) if frames is not None]

    def take_frame(self):
        head = 9 if self.octets and self.octets[0] & 2 else 2
        size = int.from_bytes(self.octets[1:head], "big")
        if len(self.octets) < head or len(self.octets) < head + size:
            return None
        raw, self.octets = self.octets[:head + size], self.octets[head + size:]
        return raw, raw[0], raw[head:]


def encode(frames):
    """A message as a peer sends it."""
    out = b""
    for i, body in enumerate(frames):
        more = 1 if i + 1 < len(frames) else 0
        out += bytes([more, len(body)]) if len(body) < 256 else bytes([more | 2]) + len(body).to_bytes(8, "big")
        out += body
    return out


def load(path):
    """What it is about, and the steps with their octets decoded."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    steps = []
    for connection, what, *rest in lines[1:]:
        steps.append((connection, what, *([base64.b64decode(rest[0])] if what in ("in", "out") else rest)))
    return lines[0], steps


def save(path, about, steps):
    """Puts what follows itself on a connection in one step."""
    joined = []
    for step in steps:
        if joined and step[1] in ("in", "out") and joined[-1][:2] == step[:2]:
            joined[-1] = (*step[:2], joined[-1][2] + step[2])
        else:
            joined.append(step)
    with open(path, "w", encoding="ascii") as f:
        f.write(json.dumps(about) + "\n")
        for connection, what, *rest in joined:
            if what in ("in", "out"):
                rest = [base64.b64encode(rest[0]).decode()]
            f.write(json.dumps([connection, what, *rest]) + "\n")
