#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes hand-made inputs for the fuzz targets into a folder: seeds.py FOLDER.

The committed corpora began with these; after a change of an input's form they are made again, fed to the fuzzer
and merged (README.md). Numbers of steps are the places in each target's table."""
import json
import pathlib
import pickle
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from zmtp import command, greeting, message, ready  # noqa: E402

KINDS = ["ROUTER", "DEALER", "PUB", "XPUB", "SUB"]
FITS = {"ROUTER": b"DEALER", "DEALER": b"ROUTER", "PUB": b"SUB", "XPUB": b"XSUB", "SUB": b"PUB"}
WRITE, FILL, HANG_UP, PAUSE, RESUME, SEND, _, PUBLISH, STALL, CLOSE, SUBSCRIBE, DEAF = range(12)


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
    for i, (key, scheme, session, user) in enumerate([(b"key", b"hmac-sha256", b"id", b"me"), (b"", b"hmac-sha512", b"", b"\xff\xfe"),
                                                      (b"k" * 600, b"hmac-md5", b"i", b"u"), (b"k", b"sha1", b"i", b"u"), (b"k", b"hmac-no", b"i", b"u"),
                                                      (b"k", b"hmac-sha1", b"i" * 70, b"\"\x01" * 200), (b"k", b"hmac-shake128", b"a\"b", b"u")]):
        yield f"session-{i}", bytes([20]) + frames(key, scheme, session, user)
    yield "odd", bytes([1]) + frames(b'{"msg_id": "\\u0041\\ud83d\\ude00", "targets": [1, "2", null], "after": NaN}', b"[]", b"{}", b'"\xff"')


def jscan_seeds():
    yield "header", header()
    yield "metadata", JUPYTER[4]
    for i, text in enumerate([b"{}", b' {"a" : [1, -2.5e3, true, null, "x", {"b": []}]}', b'{"a": "\\u00e9\\n\\ud83d\\ude00\\ud800"}',
                              b'{"a": NaN, "b": [Infinity, -Infinity]}', b'{"a": 1, "a": 2, "\\u0061": 3}', b'{"a": "\xff\xfe"}',
                              b'{"a": 123456789012345678901234567890, "b": 1e999}', b'{"a": ' + b"[" * 600 + b"]" * 600 + b"}",
                              b'{"a": "\\u0000", "b\\u0000": 1}', b'{"targets": [[0, 1], "all"]}', b'{"a": 01}', b'{"a": 1,}',
                              b'{"a": 1, "b": "x" broken', b'{"b": [], "session": {}, "a": "", ]', b'{"msg_id": 1, "msg_id": 2, "msg_type": 3']):
        yield f"text-{i}", text


def query_seeds():
    for i, query in enumerate([
            {}, {"msg_id": "a_1_2"}, {"msg_id": {"$in": ["a_1_2", "b_1_2"]}}, {"completed": None},
            {"submitted": {"$gt": "2026-01-02T03:04:05.678900Z", "$lte": "2027-01-02T03:04:05+01:00"}},
            {"queue": {"$ne": "task"}, "label": {"$glob": "t*[a-x]?"}}, {"content": {"n": [1, 2.5, None], "t": True}},
            {"engine_uuid": {"$nin": [str(n) for n in range(12)]}}, {"stdout": {"$exists": True}}, {"buffers": {"$mod": [3, 1]}},
            {"label": {"$glob": "a*b"}}, {"label": {"$in": ["a\0b", None]}}, {"label": {"$nin": ["a\0b"]}}, {"label": {"$nin": ["x", None]}},
            {"label": {"$glob": "a" + "\u00e9" * 300}}, {"submitted": {"$gt": "0506-01-02T03:04:05Z"}}, {"label": {"$lt": "b", "$gte": "a"}},
            {"completed": {"$exists": 0, "$ne": "1969-12-31T23:59:59.999Z"}}, {"submitted": {"$eq": 3, "$glob": "x"}}, {"no_field": None},
            {"stdout": {"$all": ["t", ["text", "2026-01-02T03:04:05Z"], {"text": 1}]}}, {"label": {"$mod": [1]}}, {"label": {"$in": "x"}},
            {"submitted": {"$all": [["2026-01-02T03:04:05.678901Z"]], "$in": ["2026-01-02T03:04:05.678901Z", 4]}},
            {"label": {"$glob": "[!a-]]*[x"}}, {"msg_id": {"$glob": "\u00e9[*]"}}, {"msg_id": {"$glob": "~\U0001f600"}}, [], 3,
            {"buffers": {"$exists": True, "$eq": []}}, {"label": {"$lte": None, "$le": "b", "$ge": "a"}}, {"queue": {"$exists": {"a": 1}}},
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


# a router: forms of messages, routes and steps of router_seat.c

SAY, CONNECT, GO, PASS, PONG, DEAF_PEER, LISTEN, RECORDS, RESUBMIT = range(9)
IDENTITY, RAW, HEADER, PARENT, METADATA, BUFFER, SPOILT, OLD = (1 << n for n in range(8))
ROUTES = ["query", "control_e", "mux_e", "task_e", "iopub_e", "hb_ping", "hb_pong", "leaf", "control", "mux", "task", "iopub", "notify",
          "root", "attach"]
TYPES = ["registration_request", "unregistration_request", "ersa_ready", "connection_request", "queue_request", "load_request",
         "result_request", "history_request", "db_request", "purge_request", "resubmit_request", "shutdown_request",
         "become_dask_request", "stop_distributed_request", "apply_request", "apply_reply", "execute_request", "execute_reply",
         "ersa_begun", "ersa_recalled", "stream", "status", "shutdown_reply", "abort_request", "error", "nonsense_request"]
CHANNELS = {"query": 0, "mux": 1, "task": 2, "broadcast": 3, "control": 4, "iopub": 5, "hb": 6}


def octets(data):
    return struct.pack(">H", len(data)) + data


def text(value):
    return octets(value if isinstance(value, bytes) else json.dumps(value).encode())


def connect(route, identity):
    return bytes([CONNECT, ROUTES.index(route), identity])


def say(slot, kind, content, channel=None, to=None, number=1, parent=1, metadata=None, form=0):
    form |= (IDENTITY if to is not None else 0) | (METADATA if metadata is not None else 0)
    out = bytes([SAY, slot, form]) + (bytes([CHANNELS[channel]]) if channel else b"") + (bytes([to]) if to is not None else b"")
    out += bytes([TYPES.index(kind), number, parent])
    return out + (text(metadata) if metadata is not None else b"") + text(content)


def registration_seeds():
    caps = {"v": 1, "caps": ["attach", "ready", "begun", "death_cause", "quiet_status", "recall"]}
    enter = connect("query", 0) + say(0, "registration_request", {"uuid": "e0"})
    ports = b"".join(connect(r, 0) for r in ("mux_e", "task_e", "control_e", "hb_ping", "hb_pong", "iopub_e", "leaf"))
    alive = enter + ports + bytes([LISTEN, 4]) + bytes([PASS, 3]) + bytes([PONG, 4]) + bytes([PONG, 5])
    client = connect("query", 3)
    for i, content in enumerate([{"uuid": "e0", "id": 7, "ersa": caps}, {}, {"uuid": 3}, {"uuid": ""}, {"uuid": "e0", "id": "x"},
                                 {"uuid": "e0", "id": -4}, {"uuid": "x" * 300}, {"uuid": "e0", "id": 2 ** 40}, [], b"{", b"3"]):
        yield f"enter-{i}", b"\0" + connect("query", 0) + say(0, "registration_request", content) + bytes([PASS, 4])
    yield "twice", b"\0" + enter + say(0, "registration_request", {"uuid": "e0"}) + bytes([PASS, 7, PASS, 7])
    yield "stock", b"\0" + alive + client + say(8, "connection_request", {}) + say(8, "queue_request", {"targets": None}) + bytes([PASS, 5] * 6)
    yield "keyed", b"\1" + alive + client + say(8, "connection_request", {}) * 2 + say(8, "load_request", {"targets": 0}, number=3, form=SPOILT)
    yield "leave", b"\0" + alive + say(0, "unregistration_request", {"id": 0, "ersa": {"begun": ["m1", 3], "cause": "killed"}}) + bytes([PASS, 4])
    yield "leave-by-id", b"\0" + alive + client + say(8, "unregistration_request", {"id": 0}) + say(8, "unregistration_request", {"id": "x"})
    yield "silent", b"\0" + alive + bytes([PASS, 5] * 5) + bytes([PONG, 5, PASS, 6])
    yield "gone", b"\0" + alive + b"".join(bytes([GO, n]) for n in range(8)) + bytes([PASS, 6, PASS, 6])
    yield "restored", b"\4" + connect("query", 1) + say(0, "registration_request", {"uuid": "e1", "ersa": caps}) + bytes([PASS, 5, PASS, 7])
    for i, content in enumerate([{"targets": None}, {"targets": [0, "e0"], "verbose": True}, {"targets": ["no", 9, {}, 1.5]}, {"targets": []},
                                 {"targets": {}}, {}, {"targets": "e0", "verbose": True}]):
        yield f"queue-{i}", b"\0" + alive + client + say(8, "queue_request", content) + say(8, "load_request", content, number=2)
    work = alive + connect("mux", 3) + connect("task", 3)
    apply = say(9, "apply_request", {}, to=0, number=1) + say(8, "apply_request", {}, to=0, number=1) + say(9, "apply_request", {}, number=2)
    yield "busy", b"\0" + work + client + apply + say(10, "queue_request", {"targets": None, "verbose": True}, number=9)
    for kind in ("result_request", "history_request", "db_request", "resubmit_request", "become_dask_request", "stop_distributed_request",
                 "shutdown_request", "nonsense_request"):
        yield kind, b"\0" + client + say(0, kind, {}, form=OLD) + bytes([RECORDS]) + bytes([PASS, 4])
    yield "purge", b"\0" + alive + client + say(8, "purge_request", {"engine_ids": [0, 4, "x"]}) + bytes([RECORDS, RESUBMIT, 5])
    yield "header", b"\0" + client + bytes([SAY, 0, HEADER]) + text({"msg_id": 4}) + b"\1" + text({})
    yield "raw", b"\0" + client + bytes([SAY, 0, RAW, 1]) + b"\0" + b"\0" + bytes([SAY, 0, RAW, 2]) + b"\3abc\0"
    yield "notified", b"\0" + connect("notify", 3) + bytes([LISTEN, 0]) + connect("notify", 4) + enter.replace(b"\0\0\0", b"\0\2\0", 1)
    yield "late-listener", b"\0" + alive + connect("notify", 3) + bytes([LISTEN, 8])


def attach_seeds():
    yield "mux", b"\0" + say(2, "apply_request", {}, to=0) + say(0, "apply_reply", {}, "mux", to=3) + bytes([RECORDS])
    yield "task", b"\0" + say(3, "apply_request", {}) + say(0, "ersa_begun", {}, "task") + say(0, "apply_reply", {}, "task", to=3, metadata={
        "status": "ok"}) + say(1, "apply_reply", {}, "task", to=3, metadata={"status": "aborted"})
    yield "recalled", b"\0" + b"".join(say(3, "apply_request", {}, number=n) for n in range(20)) + say(
        0, "ersa_recalled", {"msg_ids": ["m1", "m2", 4]}, "task") + say(0, "ersa_recalled", {}, "task") + bytes([PASS, 3])
    yield "broadcast", b"\0" + say(4, "apply_request", {}, metadata={"targets": ["e0", "e1"], "is_coalescing": True, "is_broadcast": True}) + say(
        0, "apply_reply", {}, "broadcast", to=3) + say(1, "apply_reply", {}, "broadcast", to=3)
    yield "control", b"\0" + say(5, "abort_request", {"msg_ids": ["m1", 2]}, to=0) + say(0, "shutdown_reply", {}, "control", to=3)
    yield "iopub", b"\0" + connect("iopub", 3) + bytes([LISTEN, 6]) + b"".join(
        say(0, kind, {"name": "stdout", "text": "x"}, "iopub", to=0) for kind in ("stream", "status", "error", "shutdown_reply"))
    yield "pong", b"\0" + bytes([PASS, 5, PONG, 0, PONG, 1, PASS, 5, PASS, 5, PASS, 5, PASS, 5])
    yield "channel", b"\0" + bytes([SAY, 0, 0, 7]) + octets(b"nonsense") + bytes([0, 0, 0]) + bytes([SAY, 0, RAW, 7]) + octets(b"mux") + b"\0\0"
    yield "stranger", b"\0" + connect("attach", 2) + b"".join(
        say(6, "apply_reply", {}, ch, to=3) for ch in ("mux", "task", "control", "iopub", "broadcast")) + say(6, "ersa_ready", {}, "query")
    yield "unreachable", b"\0" + say(2, "apply_request", {}, to=2) + bytes([GO, 0]) + say(2, "apply_request", {}, to=0) + bytes([PASS, 6])
    yield "waits", b"\0" + connect("query", 2) + say(6, "registration_request", {"uuid": "e2"}) + say(2, "apply_request", {}, to=2) + say(
        5, "execute_request", {}, to=2) + bytes([PASS, 6, PASS, 7]) + connect("mux_e", 2) + say(2, "apply_request", {}, to=2)
    yield "replaced", b"\0" + connect("attach", 0) + bytes([PASS, 1]) + say(0, "apply_reply", {}, "mux", to=3)
    full = say(2, "apply_request", {"x": "y" * 3000}, to=0) * 3
    yield "deaf", b"\0" + bytes([DEAF_PEER, 0, 1]) + full + bytes([PASS, 7, DEAF_PEER, 0, 0])
    yield "deaf-client", b"\0" + bytes([DEAF_PEER, 2, 1]) + say(0, "apply_reply", {"x": "y" * 3000}, "mux", to=3) * 3 + bytes([PASS, 4] * 3 + [PASS, 7] * 2)
    yield "keyed", b"\1" + say(2, "apply_request", {}, to=0) + say(0, "apply_reply", {}, "mux", to=3, form=SPOILT | BUFFER)
    yield "malformed", b"\0" + say(2, "apply_request", {}) + bytes([SAY, 2, HEADER | IDENTITY, 0]) + text({}) + b"\1" + text({})
    yield "parents", b"\0" + b"".join(bytes([SAY, 0, PARENT, CHANNELS[ch], TYPES.index(kind), 1]) + text(parent) + text({}) for ch, kind, parent in (
        ("task", "ersa_begun", {}), ("task", "apply_reply", [1]), ("mux", "apply_reply", {"msg_id": 3}), ("iopub", "stream", {})))
    yield "leaves", b"\0" + say(0, "unregistration_request", {"ersa": {"cause": "memory"}}, "query") + bytes([PASS, 3, PASS, 6])
    yield "records-full", b"\0" + b"".join(say(2, "apply_request", {}, to=0, number=n) for n in range(40)) + bytes([PASS, 1, RECORDS, PASS, 1, RECORDS])


def depend_seeds():
    submit, raw, reply, come, leave, wait, note, _ = range(8)
    engines = bytes([come, 0, 1, come, 1, 0])

    def ask(task, after=None, follow=None, targets=None, limits=None):
        what = (after is not None) | (follow is not None) << 1 | (targets is not None) << 2 | (limits is not None) << 3
        return bytes([submit, task, what, *(after or []), *(follow or []), *([targets] if targets is not None else []), *(limits or [])])

    def meta(value):
        return bytes([raw, 9]) + text(value)

    yield "plain", b"\0" + engines + ask(0) + bytes([reply, 0, 0, 0, reply, 1, 0, 0])
    yield "chain", b"\0" + engines + ask(0) + b"".join(ask(n, after=[3, 1, n - 1]) for n in range(1, 6)) + b"".join(
        bytes([reply, e, n, 0]) for n in range(6) for e in (0, 1))
    for flags in range(16):
        yield f"flags-{flags}", b"\1" + engines + ask(0) + ask(1) + ask(2, after=[flags, 2, 0, 1], follow=[flags, 2, 0, 1]) + bytes(
            [reply, 0, 0, 0, reply, 1, 0, 0, reply, 1, 1, flags % 2, reply, 0, 1, flags % 2, reply, 0, 2, 0])
    yield "targets", b"\0" + engines + ask(0, targets=2) + ask(1, targets=8) + ask(2, targets=0) + bytes([leave, 1, 0, wait, 100])
    yield "timeout", b"\0" + ask(0, limits=[1, 2]) + ask(1, after=[3, 1, 0], limits=[2, 0]) + bytes([wait, 30, wait, 30])
    yield "retries", b"\0" + engines + ask(0, limits=[0, 3]) + bytes([reply, 0, 0, 1, reply, 1, 0, 1, reply, 0, 0, 2, reply, 1, 0, 2])
    yield "unknown", b"\0" + engines + ask(0, after=[3, 1, 200]) + ask(1, follow=[11, 1, 1])
    yield "abort", b"\1" + engines + b"".join(ask(n) for n in range(9)) + bytes([note, 0, 0, 8, note, 0, 1, 0, note, 0, 2, 3, leave, 0, 1, wait, 9])
    for i, value in enumerate([
            {"after": "t0", "follow": ["t0"], "targets": ["e0", "no"], "retries": 2.5, "timeout": "3.5"}, {"after": 3}, {"follow": {"all": 3}},
            {"after": {"dependencies": ["t0"], "success": False, "failure": False}}, {"targets": "e0"}, {"targets": [3]}, {"retries": "x"},
            {"timeout": []}, {"timeout": "x"}, {"timeout": ""}, {"timeout": -1}, {"timeout": 1e300}, {"after": None, "follow": []},
            {"after": {"dependencies": [4]}}, {"follow": "x" * 600}, {"retries": 1e12}, {"timeout": "1" * 90}, [], b"{", {"follow": ["t\u0030", "t9"]},
            {"after": {"dependencies": "t\u00e9"}}, b'{"timeout": NaN}', b'{"retries": NaN}', b'{"after": "t\\u0030"}']):
        yield f"meta-{i}", b"\0" + engines + ask(0) + meta(value) + bytes([reply, 0, 0, 0, reply, 1, 0, 0, wait, 255])


def records_seeds():
    kinds = ["apply", "request", "assigned", "apply_reply", "result", "lost", "stream", "execute_result", "iopub", "db", "result_request",
             "history", "purge", "resubmit", "query"]

    def mail(kind, task, content, metadata=None, header=None):
        task |= 0x20 if metadata is not None else 0
        out = bytes([kinds.index(kind), task]) + (text(header) if header is not None else b"")
        return out + (text(metadata) if metadata is not None else b"") + text(content)

    tasks = b"".join(mail("apply", n | (n & 1) << 3 | 0x40, {}, {"label": "l\u00e9"}) for n in range(4))
    done = mail("assigned", 0, {}) + mail("apply_reply", 0x40, {"status": "ok"}, {"started": "2026-01-02T03:04:06Z"}) + mail("lost", 9, {})
    out = mail("stream", 1, {"name": "stdout", "text": "hello"}) + mail("stream", 2, {"name": "no"}) + mail("execute_result", 1, {"data": {}})
    out += b"".join(mail("iopub", 1, content, header={"msg_type": kind}) for kind, content in (
        ("error", {"ename": "E"}), ("execute_input", {"code": "1"}), ("display_data", {}), ("stream", b"[")))
    for mode in (b"\2", b"\12", b"\4"):
        large = mode + b"".join(mail(kind, 0x40, {}) for kind in ("apply", "apply_reply"))
        yield f"large-{mode[0]}", (large + mail("db", 0, {"keys": ["content", "buffers"]}) + mail("result_request", 0, {"msg_ids": ["t0"]})
                                   + mail("purge", 0, {"msg_ids": "all"}))
    for mode in (b"\0", b"\1"):
        some = mode + tasks + done + out
        for i, content in enumerate([{}, {"query": {"msg_id": "t0"}, "keys": ["buffers", "result_buffers", "label"]}, {"keys": "label"}, {"keys": 3},
                                     {"keys": [3]}, {"keys": ["no"]}, {"query": {"a": {"$x": 1}}}, {"query": 3}, {"query": None, "keys": []}, []]):
            yield f"db-{i}-{mode[0]}", some + mail("db", 0, content)
        for i, content in enumerate([{"msg_ids": ["t1", "t0", "t0", "t3"]}, {"msg_ids": ["t2", "no"]}, {"msg_ids": ["t0", "t3"], "status_only": True},
                                     {}, {"msg_ids": 3}, {"msg_ids": [3]}, {"msg_ids": ["no"], "status_only": True}]):
            yield f"result-{i}-{mode[0]}", some + mail("result_request", 0, content)
        for i, content in enumerate([{"msg_ids": "all"}, {"msg_ids": ["t0"]}, {"msg_ids": ["t3"]}, {"msg_ids": ["no"]}, {"msg_ids": 3}, {"msg_ids": [3]},
                                     {"engine_ids": [0, 1]}, {"engine_ids": [1]}, {"engine_ids": 3}, {}]):
            for engines in (0, 8, 16, 24):
                yield f"purge-{i}-{engines}-{mode[0]}", some + mail("purge", engines, content) + mail("history", 0, {})
        for i, content in enumerate([{"msg_ids": ["t0", "t1"]}, {"msg_ids": ["t0", "t0"]}, {"msg_ids": ["no", 3]}, {}, {"msg_ids": 3}, {"msg_ids": []}]):
            yield f"resubmit-{i}-{mode[0]}", some + mail("resubmit", 0, content) + mail("apply", 0, {}) + mail("db", 0, {})
        yield f"odd-{mode[0]}", some + mail("query", 0, {}, header={"msg_type": "x"}) + mail("query", 0, b"[", header={"msg_type": "db_request"}) + mail(
            "request", 4, b"[", {"label": 3}, {"date": 3, "session": "\u00e9"}) + mail("request", 5, {}, header=b"[") + mail(
            "result", 4, b"[", {"started": "x"}, {"date": "x"}) + mail("resubmit", 0, {"msg_ids": ["t5"]}) + mail("result_request", 0, {"msg_ids": ["t4"]})


def files_seeds():
    both = {"ssh": "", "interface": "tcp://127.0.0.1", "registration": 10101, "control": 10102, "mux": 10103, "task": 10104, "iopub": 10105,
            "key": "0123", "curve_serverkey": None, "location": "here", "pack": "json", "unpack": "json", "signature_scheme": "hmac-sha256"}
    client = dict(both, task_scheme="leastload", notification=10106, broadcast=10107,
                  ersa={"v": 1, "caps": ["attach"], "metrics": "http://127.0.0.1:9"})
    engine = dict(both, hb_ping=10106, hb_pong=10107, broadcast=[10108, 10109], curve_serverkey="x", ersa={"v": 1, "caps": [], "attach": 10110})
    for i, change in enumerate([{}, {"ssh": None, "curve_serverkey": ""}, {"mux": 0}, {"mux": "x"}, {"key": 3}, {"interface": "x"}, {"pack": None}, {"ersa": 3},
                                {"broadcast": None}, {"broadcast": [0]}, {"broadcast": 70000}, {"interface": "ipc:///tmp/x"}]):
        yield f"client-{i}", b"\0" + json.dumps(dict(client, **change)).encode()
        yield f"engine-{i}", b"\1" + json.dumps(dict(engine, **change)).encode()
    for i, interface in enumerate(["tcp://10.0.0.256", "tcp://[::1]", "ipc:///tmp/" + "x" * 100, "ipc://x", "udp://127.0.0.1"]):
        yield f"interface-{i}", b"\1" + json.dumps(dict(engine, interface=interface)).encode()
    public, secret = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7", "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"  # those of RFC 26
    yield "server-key", b"\1" + json.dumps(dict(engine, curve_serverkey=public)).encode()
    pair = f'curve\n    public-key = "{public}"\n    secret-key = "{secret}"\n'
    for i, keys in enumerate([pair, pair.replace("rq:", "rq;"), pair.replace("secret", "x"), pair[:-3], pair.replace("JTK", "\xe9TK"), pair * 40,
                              pair.replace("JTKVS", "#####"), pair.replace("rq:rM", "JTKVS")]):
        yield f"keys-{i}", b"\7" + keys.encode("latin-1")
    yield "short", b"\0" + b"{}"
    yield "list", b"\1[]"
    cluster = {"cluster": {"cluster_id": "x", "profile_dir": "/x", "controller_ip": "", "controller_location": None, "controller_args": ["--x"],
                           "delay": 1.5, "n": 4, "class": "ipyparallel.cluster.cluster.Cluster"},
               "controller": {"class": "local", "state": {"pid": 4}}, "engines": {"class": "local", "sets": {"1": {"n": 4}}}}
    yield "cluster", b"\2" + json.dumps(cluster).encode()
    for i, (part, change) in enumerate([("cluster", {"n": None}), ("cluster", {"n": 2e9}), ("cluster", {"controller_args": 3}), ("cluster", {"cluster_id": None}),
                                        ("controller", {"class": 3}), ("controller", {"state": 3}), ("engines", {"class": 3}), ("engines", {"sets": []}),
                                        ("cluster", {"profile_dir": 3}), ("cluster", {"controller_ip": 3}), ("cluster", {"controller_location": 3}), ("cluster", {"class": 3})]):
        yield f"cluster-{i}", b"\2" + json.dumps(dict(cluster, **{part: dict(cluster[part], **change)})).encode()
    yield "cluster-empty", b"\2" + json.dumps({"cluster": cluster["cluster"]}).encode()
    yield "cluster-none", b"\2{}"
    config = {"IPController": {"ports": "10101-10105"}, "HubFactory": {"engine_ip": "*"}, "BaseIPythonApplication": {"log_level": 10}, "Foreign": {"x": [1]}}
    for program in (0, 1, 2, 8, 16):
        for i, value in enumerate([config, dict(config, version=1), dict(config, version=2), {"IPController": 3}, [], b"{", {"HubFactory": {"no": 1}}]):
            octets_of = value if isinstance(value, bytes) else json.dumps(value).encode()
            yield f"config-{program}-{i}", bytes([3 | program << 3]) + octets_of
            yield f"extra-{program}-{i}", bytes([6 | program << 3]) + octets_of
        yield f"extra-{program}-none", bytes([6 | program << 3 | 0x18 << 3 & 0xff]) + b"{}"
    for form in range(4):
        yield f"extra-form-{form}", bytes([6 | form << 6]) + b"{}"
    for i, python in enumerate([b"# nothing\n\nc = get_config()  # so far\n", b"c.X.y = 1\n", b"c = get_config(); c.X.y = 1\n", b" \t\r\f\n#", b"\0"]):
        yield f"python-{i}", b"\4" + python
        yield f"python-suppressed-{i}", bytes([4 | 16 << 3]) + python
    change = {"insert": [[0, "a"], [-9, "b"], [99, "c"]], "prepend": ["d"], "extend": ["e"]}
    for i, entries in enumerate([[["IPController", "ports", "value", "10101", "f.py", 3]], [["Foreign", "x", "value", [1], "f.py", 3], ["Foreign", "x", "change", change, "f.py", 4]],
                                 [["IPController", "ip", "opaque", "<x>", "f.py", 1]], [["Foreign", "x", "opaque", "<x>", "f.py", 1]], [[1, 2]], 3,
                                 [["Foreign", "d", "value", {"a": 1}, "f", 1], ["Foreign", "d", "change", {"update": [{"b": 2}]}, "f", 2]],
                                 [["ControllerLauncher", "controller_args", "value", ["--a"], "f", 1], ["ControllerLauncher", "controller_args", "change", change, "f", 2]],
                                 [["IPController", "ports", "value", {}, "f", 1]], [["Foreign", "d", "change", {"update": [{"b": 2}]}, "f", 2]]]):
        for program in range(5):
            yield f"entries-{i}-{program}", bytes([5 | program << 3]) + json.dumps(entries).encode()


def engine_seeds():
    say, runtime, connect, _, wait, hang_up, _, deaf, raw, cut, output, end = (bytes([n]) for n in range(12))
    ready, reply, publish, log, leave = range(5)
    types = ["apply", "execute", "clear", "abort", "shutdown", "signal", "interrupt", "connect", "usage", "recall", "registration_reply", "comm",
             "kernel_info", "history", "notice", "nonsense"]
    mux, task, control, hub, client, beat = 1, 2, 4, 0, 0x40, 5

    def ask(kind, number, channel=mux | client, content=0, slot=0, form=0, metadata=None):
        form |= 4 if metadata is not None else 0
        out = say + bytes([slot, form, channel, types.index(kind), number]) + (text(metadata) if metadata is not None else b"")
        return out + (bytes([content]) if isinstance(content, int) else b"\x80" + text(content))

    def answer(number, status=0, flags=0, content=0):
        return runtime + bytes([0x41 | status << 3 | flags, number]) + (bytes([content]) if isinstance(content, int) else b"\x80" + text(content))

    def parts(kind, *values):
        return runtime + bytes([kind, len(values)]) + b"".join(octets(v) for v in values)

    for mode in (8, 9, 10, 12, 14):
        up = bytes([mode])
        shell, ctl = (0, 0) if not mode & 2 else (2, 4)
        for kind in types:
            yield f"{kind}-{mode}", up + ask(kind, 1, task, slot=shell) + answer(1) + ask(kind, 2, control | client, slot=ctl, form=8) + ask(kind, 3, hub)
        many = b"".join(ask("apply", n, task, slot=shell) for n in range(4)) + b"".join(ask("execute", n, slot=shell) for n in range(4, 7))
        yield f"abort-{mode}", up + many + ask("abort", 9, control | client, 3, ctl) + answer(0) + answer(4, 1, 0x20) + answer(5)
        yield f"abort-all-{mode}", up + many + ask("abort", 9, control | client, 4, ctl) + answer(0) + answer(1, 2) + answer(2, 3)
        yield f"abort-one-{mode}", up + many + ask("abort", 9, control | client, {"msg_ids": "m2"}, ctl) + answer(0)
        yield f"recall-{mode}", up + many + ask("recall", 9, task, 3, shell) + ask("recall", 9, mux, 3, shell) + answer(0)
        yield f"lost-{mode}", up + many + hang_up + b"\0" + wait + b"\4" + connect + b"\0" + ask("registration_reply", 1, hub, 1) + answer(0) + many
        yield f"tell-free-{mode}", up + many + ask("recall", 9, task, {"msg_ids": ["m1"], "tell_free": True}, shell) + b"".join(map(answer, range(7)))
        yield f"tell-free-idle-{mode}", up + ask("recall", 9, task, {"msg_ids": [], "tell_free": True}, shell) + ask("recall", 9, task, {"tell_free": 1}, shell)
        yield f"refused-{mode}", up + hang_up + b"\0" + connect + b"\0" + ask("registration_reply", 1, hub, 2) + wait + b"\4"
        yield f"end-{mode}", up + many + output + b"\0" + octets("h\u00e9".encode()[:2]) + output + b"\1" + octets(b"ersa.runtime: why\n") + end + b"\3"
        yield f"stop-{mode}", up + many + ask("shutdown", 9, control | client, {"restart": True}, ctl) + answer(0) + wait + b"\6" + end + b"\0"
        yield f"signals-{mode}", up + b"".join(ask("signal", n, control | client, c, ctl) for n, c in enumerate(
            ({"sig": 2}, {"sig": 15}, {"sig": "SIGINT"}, {"sig": "no"}, {"sig": "SIGNO"}, {"sig": 999}, {"sig": -1}, {"sig": []}, {}, 5, 6)))
    up = bytes([8])
    tell = ask("apply", 1, task, metadata={"label": "x", "is_broadcast": True, "is_coalescing": True, "original_msg_id": "m\u00e9", "ersa": {"quiet_status": True}})
    yield "quiet", up + tell + parts(publish, b"status", b"t", b"{}", b"") + answer(1)
    for i, values in enumerate([(b"stream", b"topic", b'{"name": "stdout", "text": "x"}', b""), (b"display_data", b"", b"{}", b"{}", b"buffer"), (b"x",),
                                (b"x" * 99, b"", b"{}", b""), (b"x", b"", b"[", b""), (b"x", b"", b"{}", b"[")]):
        yield f"publish-{i}", up + ask("execute", 1) + parts(publish, *values) + answer(1)
    for i, values in enumerate([(b"20", b"a line"), (b"x", b"a"), (b"999", b"a"), (b"1" * 20, b""), (b"10",)]):
        yield f"log-{i}", up + parts(log, *values)
    for i, values in enumerate([(b"m1", b"ok", b"", b""), (b"m1", b"ok", b"", b"{}", b"buffer"), (b"m2", b"ok", b"", b""), (b"m1", b"no", b"", b""),
                                (b"m1", b"ok", b"", b"["), (b"m1",), (b"m1", b"error", b"u", b"{}")]):
        yield f"reply-{i}", up + ask("apply", 1, task) + parts(reply, *values)
    yield "leave", up + ask("apply", 1) + parts(leave) + wait + b"\6" + answer(1) + end + b"\0"
    yield "ready-again", up + parts(ready, b'{"v": 1, "language": "python", "version": "3"}') + parts(ready, b'{"v": 2}') + end + b"\0"
    yield "ready-late", b"\0" + connect + b"\0" + ask("registration_reply", 1, hub, 1) + ask("apply", 1, task) + runtime + b"\x40\0" + answer(1)
    yield "beats", up + say + bytes([0, 1, beat | 8]) + octets(b"ping") * 2 + (wait + b"\7") * 5 + end + b"\0"
    yield "deaf", up + deaf + b"\0\1" + ask("execute", 1) + b"".join(
        parts(publish, b"stream", b"t", b'{"text": "' + b"x" * 1500 + b'"}', b"") for _ in range(4)) + deaf + b"\0\0" + answer(1)
    yield "raw", up + raw + octets(struct.pack("=IIQ", 17, 1, 3) + struct.pack("=QII", 3, 0, 0) + b"abc")
    yield "full", up + b"".join(ask("apply", n, metadata={"x": "y" * 900}) for n in range(9)) + answer(0)
    yield "spoilt", up + ask("apply", 1, form=16) + ask("registration_reply", 2, hub, form=16)
    escaped = say + bytes([0, 2, task]) + text(json.dumps({"msg_id": "m\u00e9", "msg_type": "apply\u005frequest"}).replace("_", "\\u005f").encode()) + b"\0"
    yield "escaped", up + ask("apply", 1, task) + escaped + answer(1)
    yield "odd", up + say + bytes([0, 1, 8]) + octets(b"<IDS|MSG>") * 2 + say + bytes([0, 1, mux]) + octets(b"x") + ask("apply", 1, 7) + (
        say + bytes([0, 2, hub]) + text([]) + b"\0") + say + bytes([0, 1, 1 | 5 << 3]) + octets(b"<IDS|MSG>") * 6
    yield "output", up + (output + b"\0" + octets(b"x" * 2047)) * 3 + wait + b"\3" + output + b"\1" + octets("a\u00e9".encode()[:2]) + wait + b"\3" + (
        output + b"\1" + octets(b"\xa9\xff\xf0\x9f") + wait + b"\3" + ask("execute", 1) + output + b"\0" + octets(b"y") + answer(1))
    noise = b"".join(parts(publish, b"stream", b"t", b'{"text": "' + b"x" * 1500 + b'"}', b"") for _ in range(4))
    for mode in (8, 10):
        shell = 0 if mode == 8 else 2
        full = bytes([mode]) + deaf + bytes([shell, 1]) + noise
        for i, then in enumerate([deaf + bytes([shell, 0]) + answer(2), hang_up + bytes([shell]) + connect + bytes([shell]) + answer(2),
                                  ask("abort", 3, control | client, 3, shell) + deaf + bytes([shell, 0]), end + b"\1"]):
            yield f"begun-late-{mode}-{i}", full + ask("apply", 2, task, slot=shell) + ask("apply", 3, task, slot=shell) + then
    yield "original", up + ask("apply", 0) + ask("apply", 1, metadata={"original_msg_id": "m9"}) + ask("abort", 2, control | client, {"msg_ids": ["m9", "m9", "m8"]}) + (
        wait + b"\7") + answer(0)
    yield "cut", up + ask("apply", 0, task) + cut + wait + b"\5" + end + b"\1"
    yield "beats-stock", b"\12" + say + bytes([7, 1, 0]) + octets(b"ping") + say + bytes([4, 1, 0]) + octets(b"")
    yield "refused-at-once", b"\0" + connect + b"\0" + ask("registration_reply", 1, hub, {"status": "error"}) + wait + b"\6" + end + b"\1"
    yield "too-late", b"\0" + wait + b"\7" + end + b"\1"
    for i, content in enumerate([{"status": "ok", "id": -1}, {"status": "ok", "id": "x"}, {"status": "ok", "id": 1, "hb_period": 1e99, "ersa": {"v": 1, "caps": ["begun"]}},
                                 {"status": "ok", "id": 2, "ersa": {"known": True}}, []]):
        yield f"registration-{i}", b"\0" + connect + b"\0" + ask("registration_reply", 1, hub, content) + runtime + b"\x40\0" + ask("apply", 1, task) + answer(1)


def rows_seeds():
    which = {name: bytes([i]) for i, name in enumerate(["pickle", "packed", "row", "left_over", "document", "document_text"])}
    fields = ["msg_id", "header", "metadata", "content", "buffers", "submitted", "client_uuid", "engine_uuid", "started", "completed", "resubmitted",
              "received", "result_header", "result_metadata", "result_content", "result_buffers", "queue", "execute_input", "execute_result",
              "error", "stdout", "stderr", "label"]
    for protocol in (3, 4, 5):
        for i, value in enumerate([[], [b"ab", b""], [b"x" * 300, b"x" * 300, b"y"], [b"same"] * 3, [b"z" * 700], [3], "no"]):
            yield f"pickle-{protocol}-{i}", which["pickle"] + pickle.dumps(value, protocol)
    yield "pickle-puts", which["pickle"] + b"\x80\3]q\0(C\1aq\1r\2\0\0\0h\1j\1\0\0\0e."

    def packed(**values):
        body, bits = b"", 0
        for i, name in enumerate(fields):
            if name not in values:
                continue
            bits |= 1 << i
            value = values[name]
            if isinstance(value, list):
                body += struct.pack("=I", len(value)) + b"".join(struct.pack("=I", len(v)) + v for v in value)
            else:
                body += struct.pack("=q", value) if isinstance(value, int) else struct.pack("=I", len(value)) + value
        return struct.pack("=II", len(body) + 8, bits) + body

    one = packed(msg_id=b"a", header=header(), metadata=b"{}", content=b"{}", buffers=[b"x", b""], submitted=1767323045678901, queue=b"task")
    two = packed(msg_id=b"b", content=b"[", result_buffers=[], buffers=[b"y"] * 3, completed=-1, label=b"\xff")
    yield "packed", which["packed"] + one + two
    yield "packed-no-id", which["packed"] + packed(label=b"x")
    for form in (0, 1, 3):
        yield f"left-over-{form}", which["left_over"] + bytes([form]) + octets(one + two + one) + b"\1" + octets(packed(msg_id=b"a")) + b"\1" + octets(one[:-3])
    for form in range(6):
        cell = {0: b"", 1: b"\0\7\3", 2: struct.pack("=d", 2.5), 3: octets(b"x\0y"), 4: octets(b"\xff\xfe"), 5: b""}[form]
        cells = (bytes([form]) + cell) * len(fields)
        yield f"row-{form}", which["row"] + cells
        yield f"row-id-{form}", which["row"] + b"\5" + (bytes([form]) + cell) * (len(fields) - 1) + cells
    for i, kind in enumerate([b"1969-12-31T23:59:59.999Z", b"2026-01-02T03:04:05", b"x", pickle.dumps([b"a"], 5), b'{"a": NaN}', b"[]"]):
        yield f"row-text-{i}", which["row"] + b"\5" + (b"\3" + octets(kind)) * 22 + b"\5" + (b"\4" + octets(kind)) * 22
    record = {"msg_id": "a", "header": {"a": [1, 2.5, None, True, {"": "\u00e9"}], "date": {"$date": "2026-01-02T03:04:05.678Z"}}, "metadata": {},
              "content": "{\"$a\": 1}", "buffers": [{"$binary": {"base64": "YWI=", "subType": "00"}}, 3], "submitted": {"$date": {"$numberLong": "-1"}},
              "completed": {"$date": {"$numberLong": "9223372036854775807"}}, "ersa_us": {"submitted": 999, "completed": 999, "label": 3},
              "label": None, "stdout": "x\u0000y", "queue": 3, "error": {"a": {"$numberDouble": "NaN"}}}
    for i, change in enumerate([{}, {"msg_id": None}, {"msg_id": 3}, {"content": {"x": {"$date": {"$numberLong": "9223372036854775807"}}}},
                                {"content": {"x": {"$numberDouble": "Infinity"}, "y": [{"$numberDouble": "NaN"}]}}, {"content": "no JSON"},
                                {"content": {"x": {"$oid": "0" * 24}}, "buffers": {}}, {"received": {"$date": {"$numberLong": "-9223372036854775808"}}}]):
        yield f"document-{i}", which["document_text"] + json.dumps(dict(record, **change)).encode()
    deep = b'{"msg_id": "a", "content": ' + b'{"a": ' * 95 + b"1" + b"}" * 95 + b"}"
    yield "document-deep", which["document_text"] + deep

    def bson(*elements):
        body = b"".join(elements) + b"\0"
        return struct.pack("<i", len(body) + 4) + body

    def string(value):
        return struct.pack("<i", len(value) + 1) + value + b"\0"

    yield "bson", which["document"] + bson(
        b"\2msg_id\0" + string(b"a"), b"\3content\0" + bson(b"\1x\0" + struct.pack("<d", 2.5), b"\x10y\0\1\0\0\0", b"\x08z\0\1", b"\x0an\0"),
        b"\4buffers\0" + bson(b"\5" + b"0\0\2\0\0\0\0ab"), b"\x09submitted\0" + struct.pack("<q", 1767323045678),
        b"\3ersa_us\0" + bson(b"\x10submitted\0\1\2\0\0"), b"\3metadata\0" + bson(b"\x12l\0" + struct.pack("<q", -1)))


def options_seeds():
    controller = {"IPController": {"ip": "127.0.0.1", "ports": "10101-10105,10108"}, "HubFactory": {"engine_ip": "*"},
                  "TaskScheduler": {"hwm": 1, "scheme_name": "lru"}, "HeartMonitor": {"period": 3000, "max_heartmonitor_misses": 10},
                  "Session": {"key": "0123", "digest_history_size": 10}, "DictDB": {"size_limit": 1e9, "record_limit": 1024}}
    for program in range(7):
        yield f"json-{program}", bytes([program]) + json.dumps(controller).encode()
        yield f"argv-{program}", bytes([program | 0x40]) + b"\n".join(
            [b"--debug", b"-n", b"4", b"--profile=x", b"--TaskScheduler.hwm=0", b"--scheme=lru", b"--nodb", b"--ip=*", b"--no-such"])
    values = [("Session", "check_pid", True), ("Session", "debug", 0), ("Session", "key", "x"), ("Session", "packer", "pickle"), ("Session", "metadata", {"a": 1}),
              ("Session", "metadata", 3), ("Ersa", "disable", ["attach", "begun"]), ("Ersa", "disable", "attach, ready"), ("Ersa", "disable", ["no"]),
              ("Application", "log_level", "DEBUG"), ("Application", "log_level", 10), ("Application", "log_level", "x"), ("Cluster", "controller_args", ["--a"]),
              ("Cluster", "controller_args", [1, True, False, None, {}]), ("Cluster", "n", None), ("Cluster", "delay", 0.5), ("Cluster", "delay", "2s"),
              ("TaskScheduler", "hwm", "auto"), ("TaskScheduler", "hwm", 0), ("TaskScheduler", "scheme_name", "x.lru"), ("TaskScheduler", "scheme_name", None),
              ("IPController", "ports", [1, 2]), ("IPController", "ports", "1-3,x"), ("IPController", "ports", [99999]), ("HeartMonitor", "period", "3s"),
              ("DictDB", "size_limit", "2G"), ("DictDB", "size_limit", []), ("IPClusterList", "output_format", "json"), ("SQLiteDB", "table", 3)]
    for program in range(7):
        yield f"every-{program}", bytes([program]) + json.dumps({f"{c}": {t: v} for c, t, v in reversed(values)}).encode()
        for i, (c, t, v) in enumerate(values):
            yield f"one-{program}-{i}", bytes([program]) + json.dumps({c: {t: v}}).encode()
            word = v if isinstance(v, str) else json.dumps(v)
            yield f"word-{program}-{i}", bytes([program | 0x40]) + f"--{c}.{t}={word}\n--{c}.{t}={word}".encode()
    for name in ("controller_args", "environment"):
        for i, value in enumerate(["a=b", "=b", "{'a': 'b'}", "['--a', '--b']", "[", "a"]):
            for owner in ("Cluster", "LocalControllerLauncher", "LocalEngineSetLauncher", "LocalEngineLauncher", "ControllerLauncher", "Session"):
                yield f"list-{owner}-{name}-{i}", bytes([0x42]) + f"--{owner}.{name}={value}\n--{owner}.{name}=c=d".encode()
    for i, value in enumerate(["a=b", "=b", "{'a': 'b'}", "{"]):
        yield f"dict-{i}", bytes([0x40]) + f"--Session.metadata={value}\n--Session.metadata=c=d".encode()
    yield "range", bytes([0x40]) + b"--HeartMonitor.period=-1\n--hwm=99999999999999999999"
    yield "units", bytes([0x40]) + b"--DictDB.size_limit=2G\n--HeartMonitor.period=3s\n--log-level=DEBUG"


def broadcast_seeds():
    submit, reply, come, leave, client, _, _, undelivered = (bytes([n]) for n in range(8))

    def ask(form, number=1, targets=0x0f, header=None, metadata=None):
        form |= (2 if header is not None else 0) | (4 if metadata is not None else 0)
        return submit + bytes([form, targets, number]) + (text(header) if header is not None else b"") + (text(metadata) if metadata is not None else b"")

    def answer(form, engine, number=1, metadata=None, content=None, parent=None):
        form |= (2 if metadata is not None else 0) | (4 if content is not None else 0) | (8 if parent is not None else 0)
        return reply + bytes([form, engine, number]) + b"".join(text(v) for v in (metadata, content, parent) if v is not None)

    for mode in range(4):
        for form in (0, 1, 8, 16, 17, 32, 33, 49):
            yield f"talk-{mode}-{form}", bytes([mode]) + ask(form, 1, 0x4f) + b"".join(answer(0x40 | (form & 1) << 5, e) for e in range(4)) + answer(0, 0)
        yield f"fail-{mode}", bytes([mode]) + ask(1) + answer(0xc0, 2) + answer(1, 3) + answer(1, 1) + answer(0, 0, content={"status": "error"})
        yield f"gone-{mode}", bytes([mode]) + ask(1) + answer(0xc0, 2) + leave + b"\0\0" + leave + b"\1\1" + ask(1, 2) + come + b"\0" + ask(1, 3, 0x1f) + client + b"\0"
        yield f"lost-{mode}", bytes([mode]) + ask(1) + (undelivered + b"\0") * 2 + ask(0, 2) + undelivered + b"\1" + answer(0, 2) + answer(0, 3)
        yield f"absent-{mode}", bytes([mode]) + leave + b"\0\0" + ask(0, 1, 0x13) + ask(16, 2, 0x13) + ask(8, 3, 0x13) + ask(16, 4, 0)
        yield f"large-{mode}", bytes([mode]) + ask(17) + b"".join(answer(0xc0, e) for e in (3, 1, 0, 2))
        yield f"twice-{mode}", bytes([mode]) + ask(1) * 2 + ask(33) + ask(1, 2, 0x2f) + client + b"\1"
        yield f"full-{mode}", bytes([mode]) + b"".join(ask(1, n) for n in range(20)) + b"".join(answer(0xc0, e, n) for n in range(20) for e in range(4))
    up = b"\0"
    for i, metadata in enumerate([{}, {"is_coalescing": True}, {"is_coalescing": False, "targets": []}, {"is_coalescing": False, "targets": 3}, [],
                                  {"is_coalescing": 3, "targets": [["e0", 0]]}, {"is_coalescing": False, "targets": [["e0"]]}, {"is_coalescing": True, "targets": [[3, 3]]},
                                  {"is_coalescing": False, "targets": [["e0", 0, 1]]}, {"is_coalescing": True, "targets": [["e0", 0], ["e0", 1], ["e\u00e9", {"a": []}]]},
                                  {"is_coalescing": True, "targets": [["", 0]]}, {"is_coalescing": True, "targets": [["x" * 300, 0]]},
                                  b'{"targets": [["e0", 0]], "targets": [["e_3", 3], ["\\u0065\\"1", 1]], "is_coalescing": true, "original_msg_id": "m1"}']):
        yield f"meta-{i}", up + ask(0, metadata=metadata) + answer(0, 0)
    for i, value in enumerate([{"msg_id": "m1", "msg_type": "execute_request", "x": [1]}, {"msg_id": 3}, {"msg_id": "m" * 900, "msg_type": "apply_request"}, b"[",
                               b'{"msg_id": "\\u006d1", "msg_type": "apply_request", "msg_id": "m\\"2"}', {"msg_id": "m1", "msg_type": "x" * 200}]):
        yield f"header-{i}", up + ask(1, header=value) + answer(0, 0) + leave + b"\1\0"
    for i, (metadata, content, parent) in enumerate([({}, {}, None), ([], None, None), ({"is_coalescing": True}, {"status": "ok"}, None), ({"status": 3}, {"status": 3}, None),
                                                     (None, None, {"msg_id": "m1"}), (None, None, []), ({"x": 1}, None, None), (b"{ }", b"[", None), (None, None, {"msg_id": 4}),
                                                     (None, None, {"msg_id": "m1_e0", "x": 1})]):
        yield f"reply-{i}", up + ask(1, 1, 1) + answer(0x40, 0, 1, metadata, content, parent) + answer(0x50, 0)


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


SEEDS = {"attach": attach_seeds, "broadcast": broadcast_seeds, "curve": curve_seeds, "depend": depend_seeds, "engine": engine_seeds, "files": files_seeds, "header": header_seeds,
         "jscan": jscan_seeds, "options": options_seeds, "query": query_seeds, "records": records_seeds,
         "registration": registration_seeds, "rows": rows_seeds, "rtchannel": rtchannel_seeds, "zmtp": zmtp_seeds}


def main(folder):
    for name, seeds in SEEDS.items():
        into = pathlib.Path(folder) / name
        into.mkdir(parents=True, exist_ok=True)
        for seed, octets_of in seeds():
            (into / seed).write_bytes(octets_of)


if __name__ == "__main__":
    main(sys.argv[1])
