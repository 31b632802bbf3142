# SPDX-License-Identifier: BSD-3-Clause
"""What a runtime gone mad may send its engine. Numbers of steps are the places in the target's table."""
import struct


def rtchannel_seeds():
    def octets(raw):
        return b"".join(bytes([0, len(raw[i:i + 255])]) + raw[i:i + 255] for i in range(0, len(raw), 255))

    def plain(kind, *parts):
        return octets(struct.pack("=IIQ", kind, len(parts), sum(map(len, parts)))
                      + b"".join(struct.pack("=QII", len(p), 0, 0) for p in parts) + b"".join(parts))

    def short(kind, *parts):
        return bytes([1, kind, len(parts)]) + bytes(len(p) for p in parts) + b"".join(parts)

    def block(number, pages, how=0):
        return bytes([2, number, pages, how])

    yield "ready", b"\1" + plain(16, b'{"v": 1, "language": "python"}')
    yield "reply", b"\1" + plain(17, b"a_1_2", b"ok", b"", b"{}", b"buffer") + short(18, b"stream", b"engine.0.stdout", b"{}", b"")
    yield "log", b"\0" + short(19, b"20", b"text") + short(20)
    yield "block", b"\1" + block(1, 20) + bytes([6, 3]) + bytes([1, 17, 2, 2, 0x80 | 20, 1]) + b"ok" + block(1, 30)
    yield "block-again", b"\0" + block(1, 4) + bytes([1, 17, 1, 0x81, 1]) + bytes([1, 17, 1, 0x84, 1]) + bytes([1, 17, 1, 0x85, 1])
    yield "block-bad", b"\1" + block(2, 3, 1)
    yield "block-huge", b"\1" + block(2, 3, 2)
    yield "lend", b"\1" + bytes([4, 1]) + bytes([3, 1]) + bytes([3, 2]) + bytes([4, 2]) + bytes([3, 1])
    yield "hold", b"\1" + bytes([5, 1]) + short(19, b"20", b"a") + bytes([5, 0]) + plain(18, b"x" * 40)
    yield "half", b"\1" + octets(struct.pack("=IIQ", 17, 3, 10))
    yield "wrong-sum", b"\0" + octets(struct.pack("=IIQ", 17, 1, 9) + struct.pack("=QII", 3, 0, 0) + b"abc")
    yield "unknown", b"\0" + plain(99, b"x")
