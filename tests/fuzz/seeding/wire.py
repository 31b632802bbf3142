# SPDX-License-Identifier: BSD-3-Clause
"""Octets of connections, plain (zmtp) and behind the boxes of CURVE (curve). Numbers of steps are the places in each
target's table."""
import struct

from zmtp import command, greeting, message, ready

from seeding.inputs import JUPYTER

KINDS = ["ROUTER", "DEALER", "PUB", "XPUB", "SUB"]
FITS = {"ROUTER": b"DEALER", "DEALER": b"ROUTER", "PUB": b"SUB", "XPUB": b"XSUB", "SUB": b"PUB"}
WRITE, FILL, HANG_UP, PAUSE, RESUME, SEND, _, PUBLISH, STALL, CLOSE, SUBSCRIBE, DEAF = range(12)


def write(octets, conn=0):
    out = b""
    for i in range(0, len(octets), 256):
        piece = octets[i:i + 256]
        out += bytes([WRITE << 2 | conn, len(piece) - 1]) + piece
    return out


def step(what, conn=0, data=b""):
    return bytes([what << 2 | conn]) + data


def zmtp_seeds():
    for k, kind in enumerate(KINDS):
        fit = FITS[kind]
        for minor in (0, 1):
            hello = greeting(minor) + ready(fit, b"them")
            talk = message(b"\x01abc") if kind in ("PUB", "XPUB") else message(b"one", b"", b"three" * 60)
            yield f"{kind}-{minor}", bytes([k]) + write(hello) + write(talk) + write(message(b"\x00abc"))
            yield f"{kind}-{minor}-narrow", bytes([k | 0xc0]) + write(hello + talk + command(b"PING", b"\0\0context"))
        yield f"{kind}-jupyter", bytes([k | 0x40]) + write(greeting() + ready(fit, b"me")) + write(message(*JUPYTER))
    router = greeting() + ready(b"DEALER", b"same")
    yield "octets", bytes([0]) + b"".join(write(bytes([o])) for o in router + message(b"a", b"b"))
    yield "take-over", (bytes([0]) + write(router) + step(SEND, 0, b"\xff\xff") + write(message(b"first", b"x")[:5])
                        + write(router, 1) + write(message(b"second"), 1))
    yield "full", (bytes([0x80]) + step(DEAF) + write(router) + step(SEND, 0, b"\xff\xff") * 4
                   + write(greeting() + ready(b"DEALER", b"other"), 1) + step(STALL, 1) + write(message(b"held"), 1)
                   + step(DEAF) + step(PUBLISH))
    yield "pause", (bytes([0]) + write(router) + step(PAUSE) + write(message(b"a") + message(b"b")) + step(RESUME)
                    + write(message(b"c")) + step(CLOSE, 0, b"\1"))
    large = struct.pack(">BQ", 3, 100_000)
    yield "large", (bytes([0x40]) + write(router + large) + step(FILL, 0, struct.pack(">HB", 50_000, 7))
                    + write(message(b"tail")))
    yield "large-cut", bytes([0]) + write(router + large) + step(FILL, 0, struct.pack(">HB", 20_000, 7)) + step(HANG_UP)
    yield "subscribe", (bytes([4]) + step(SUBSCRIBE, 0, b"\3abc") + write(greeting(0) + ready(b"PUB")) + step(SUBSCRIBE, 0, b"\0")
                        + write(message(b"abcd", b"x")))
    yield "commands", (bytes([2]) + write(greeting() + ready(b"SUB")) + write(command(b"SUBSCRIBE", b"a") + command(b"SUBSCRIBE")
                       + command(b"CANCEL", b"a") + command(b"ERROR", b"\4oops")) + step(PUBLISH))
    yield "curve", bytes([0]) + write(greeting(1, b"CURVE"))
    yield "version-2", bytes([0]) + write(b"\xff" + bytes(7) + b"\x01\x7f\x01\x05")


def curve_seeds():
    connect, turn, sealed, large, send, raw, cmd, number, hang_up, _ = (bytes([n]) for n in range(10))

    def big(flags, size, spoilt=0, value=7, step=6000):
        return large + struct.pack(">BHHBH", flags, size // 10, spoilt, value, step)

    def put(flags, body):
        return sealed + bytes([flags, len(body)]) + body

    up = connect + b"\4them" + turn + turn
    for mode in range(5):
        for role in (0, 0x10):
            yield f"talk-{mode}-{role}", bytes([mode | role | 0x40]) + up + put(1, b"one") + put(0, b"\1two") + turn
            yield f"large-{mode}-{role}", bytes([mode | role | 0x40]) + up + big(1, 70_000) + big(0, 400_000) + turn + turn
    yield "send", b"\0" + up + send + struct.pack(">H", 40_000) + send + struct.pack(">H", 7) + turn + turn
    yield "spoilt", b"\0" + up + big(0, 300_000, 40_000)
    yield "spoilt-small", b"\0" + up + big(0, 500, 60)
    yield "number", b"\0" + up + put(0, b"x") + number + b"\0\0\0\1" + put(0, b"y")
    yield "flags", b"\0" + up + put(2, b"\4PING\0\0ctx") + turn + put(3, b"x")
    yield "subscribe", b"\2" + up + put(2, b"\x09SUBSCRIBEa") + put(2, b"\6CANCELa") + turn
    yield "bound", b"\0" + up + b"".join(big(1, 500_000) for _ in range(4))
    yield "take-over", b"\x40" + up + put(0, b"x") + up + put(0, b"y") + turn
    yield "hello", b"\0" + connect + b"\0" + cmd + b"\0" + struct.pack(">H", 194) + b"\1\0" + bytes(192)
    yield "initiate", b"\0" + connect + b"\0" + cmd + b"\2" + struct.pack(">H", 300) + bytes(300)
    yield "welcome", b"\x10" + connect + b"\0" + cmd + b"\1" + struct.pack(">H", 160) + bytes(160) + turn
    yield "raw", b"\0" + up + raw + b"\5" + b"\0\3abc"
    yield "cut", b"\0" + up + big(0, 300_000)[:3] + hang_up
