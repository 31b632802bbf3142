# SPDX-License-Identifier: BSD-3-Clause
"""The octets of ZMTP 3 (RFC 23), for tests that write them by hand: greeting, frames, commands."""
import struct


def greeting(minor=1, mechanism=b"NULL"):
    return b"\xff" + bytes(7) + b"\x01\x7f\x03" + bytes([minor]) + mechanism.ljust(20, b"\0") + bytes(32)


def frame(body, more=False, command=False, size=None):
    """`size`: what it says of its length, where that isn't so."""
    flags = (1 if more else 0) | (4 if command else 0)
    n = len(body) if size is None else size
    return (bytes([flags, n]) if n < 256 else bytes([flags | 2]) + struct.pack(">Q", n)) + body


def message(*bodies):
    return b"".join(frame(b, more=i + 1 < len(bodies)) for i, b in enumerate(bodies))


def command(name, data=b""):
    return frame(bytes([len(name)]) + name + data, command=True)


def ready(kind, identity=None):
    def prop(name, value):
        return bytes([len(name)]) + name + struct.pack(">I", len(value)) + value

    return command(b"READY", prop(b"Socket-Type", kind) + (prop(b"Identity", identity) if identity is not None else b""))
