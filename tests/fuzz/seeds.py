#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes hand-made inputs for the fuzz targets into a folder: seeds.py FOLDER.

The committed corpora began with these; after a change of an input's form they are made again, fed to the fuzzer
and merged (README.md). Numbers of steps are the places in each target's table."""
import json
import pathlib
import struct
import sys

KINDS = ["ROUTER", "DEALER", "PUB", "XPUB", "SUB"]
FITS = {"ROUTER": b"DEALER", "DEALER": b"ROUTER", "PUB": b"SUB", "XPUB": b"XSUB", "SUB": b"PUB"}
WRITE, FILL, HANG_UP, PAUSE, RESUME, SEND, _, PUBLISH, STALL, CLOSE, SUBSCRIBE, DEAF = range(12)


def greeting(minor=1, mechanism=b"NULL"):
    return b"\xff" + bytes(7) + b"\x01\x7f\x03" + bytes([minor]) + mechanism.ljust(20, b"\0") + bytes(32)


def frame(body, more=False, command=False, size=None):
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


def header(**more):
    return json.dumps(dict({"msg_id": "a1b2_17_3", "username": "me", "session": "a1b2", "date": "2026-01-02T03:04:05.678901Z",
                            "msg_type": "apply_request", "version": "5.3"}, **more)).encode()


JUPYTER = [b"<IDS|MSG>", b"0" * 64, header(), b"{}", b'{"follow": [], "after": [], "retries": 0, "targets": []}', b"{}"]


# zmtp


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


# the others


def frames(*bodies):
    return b"".join(struct.pack(">H", len(b)) + b for b in bodies)


def header_seeds():
    for mode in (0, 1, 3, 8, 9):
        yield f"message-{mode}", bytes([mode]) + frames(header(), header(), JUPYTER[4], b'{"status": "ok"}', b"buffer", b"")
    yield "whole", bytes([4]) + frames(b"client", *JUPYTER, b"b" * 300)
    yield "short", bytes([4]) + frames(*JUPYTER[:5])
    yield "odd", bytes([1]) + frames(b'{"msg_id": "\\u0041\\ud83d\\ude00", "targets": [1, "2", null], "after": NaN}', b"[]", b"{}", b'"\xff"')


def jscan_seeds():
    yield "header", header()
    yield "metadata", JUPYTER[4]
    for i, text in enumerate([b"{}", b' {"a" : [1, -2.5e3, true, null, "x", {"b": []}]}', b'{"a": "\\u00e9\\n\\ud83d\\ude00\\ud800"}',
                              b'{"a": NaN, "b": [Infinity, -Infinity]}', b'{"a": 1, "a": 2, "\\u0061": 3}', b'{"a": "\xff\xfe"}',
                              b'{"a": 123456789012345678901234567890, "b": 1e999}', b'{"a": ' + b"[" * 600 + b"]" * 600 + b"}",
                              b'{"a": "\\u0000", "b\\u0000": 1}', b'{"targets": [[0, 1], "all"]}', b'{"a": 01}', b'{"a": 1,}']):
        yield f"text-{i}", text


def query_seeds():
    for i, query in enumerate([
            {}, {"msg_id": "a_1_2"}, {"msg_id": {"$in": ["a_1_2", "b_1_2"]}}, {"completed": None},
            {"submitted": {"$gt": "2026-01-02T03:04:05.678900Z", "$lte": "2027-01-02T03:04:05+01:00"}},
            {"queue": {"$ne": "task"}, "label": {"$glob": "t*[a-x]?"}}, {"content": {"n": [1, 2.5, None], "t": True}},
            {"engine_uuid": {"$nin": [str(n) for n in range(12)]}}, {"stdout": {"$exists": True}}, {"buffers": {"$mod": [3, 1]}},
            {"header.engine": 3}, {"stderr": {"$regex": "a"}}, {"$or": []}, {"msg_id": {"$all": ["a", "b"]}}]):
        yield f"query-{i}", json.dumps(query).encode()


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


def options_seeds():
    controller = {"IPController": {"ip": "127.0.0.1", "ports": "10101-10105,10108"}, "HubFactory": {"engine_ip": "*"},
                  "TaskScheduler": {"hwm": 1, "scheme_name": "lru"}, "HeartMonitor": {"period": 3000, "max_heartmonitor_misses": 10},
                  "Session": {"key": "0123", "digest_history_size": 10}, "DictDB": {"size_limit": 1e9, "record_limit": 1024}}
    for program in range(7):
        yield f"json-{program}", bytes([program]) + json.dumps(controller).encode()
        yield f"argv-{program}", bytes([program | 0x40]) + b"\n".join(
            [b"--debug", b"-n", b"4", b"--profile=x", b"--TaskScheduler.hwm=0", b"--scheme=lru", b"--nodb", b"--ip=*", b"--no-such"])
    yield "range", bytes([0x40]) + b"--HeartMonitor.period=-1\n--hwm=99999999999999999999"
    yield "units", bytes([0x40]) + b"--DictDB.size_limit=2G\n--HeartMonitor.period=3s\n--log-level=DEBUG"


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


def main(folder):
    for name, seeds in {"zmtp": zmtp_seeds, "curve": curve_seeds, "header": header_seeds, "jscan": jscan_seeds, "query": query_seeds,
                        "rtchannel": rtchannel_seeds, "options": options_seeds}.items():
        into = pathlib.Path(folder) / name
        into.mkdir(parents=True, exist_ok=True)
        for seed, octets in seeds():
            (into / seed).write_bytes(octets)


if __name__ == "__main__":
    main(sys.argv[1])
