# SPDX-License-Identifier: BSD-3-Clause
"""A whole engine, to which controllers, clients and user code say what they like. Numbers of steps are the places in the
target's table."""
import json
import struct

from seeding.inputs import octets, text


def engine_seeds():
    say, runtime, connect, _, wait, hang_up, _, deaf, raw, cut, output, end = (bytes([n]) for n in range(12))
    ready, reply, publish, log, leave = range(5)
    types = ["apply", "execute", "clear", "abort", "shutdown", "signal", "interrupt", "connect", "usage", "recall", "registration_reply",
             "comm", "kernel_info", "history", "notice", "nonsense"]
    mux, task, control, hub, client, beat = 1, 2, 4, 0, 0x40, 5

    def ask(kind, number, channel=mux | client, content=0, slot=0, form=0, metadata=None):
        form |= 4 if metadata is not None else 0
        out = say + bytes([slot, form, channel, types.index(kind), number]) + (text(metadata) if metadata is not None else b"")
        return out + (bytes([content]) if isinstance(content, int) else b"\x80" + text(content))

    def answer(number, status=0, flags=0, content=0):
        return (runtime + bytes([0x41 | status << 3 | flags, number])
                + (bytes([content]) if isinstance(content, int) else b"\x80" + text(content)))

    def parts(kind, *values):
        return runtime + bytes([kind, len(values)]) + b"".join(octets(v) for v in values)

    for mode in (8, 9, 10, 12, 14):
        up = bytes([mode])
        shell, ctl = (0, 0) if not mode & 2 else (2, 4)
        for kind in types:
            yield f"{kind}-{mode}", (up + ask(kind, 1, task, slot=shell) + answer(1) + ask(kind, 2, control | client, slot=ctl, form=8)
                                     + ask(kind, 3, hub))
        many = b"".join(ask("apply", n, task, slot=shell) for n in range(4)) + b"".join(ask("execute", n, slot=shell) for n in range(4, 7))
        yield f"abort-{mode}", up + many + ask("abort", 9, control | client, 3, ctl) + answer(0) + answer(4, 1, 0x20) + answer(5)
        yield f"abort-all-{mode}", up + many + ask("abort", 9, control | client, 4, ctl) + answer(0) + answer(1, 2) + answer(2, 3)
        yield f"abort-one-{mode}", up + many + ask("abort", 9, control | client, {"msg_ids": "m2"}, ctl) + answer(0)
        yield f"recall-{mode}", up + many + ask("recall", 9, task, 3, shell) + ask("recall", 9, mux, 3, shell) + answer(0)
        yield f"lost-{mode}", (up + many + hang_up + b"\0" + wait + b"\4" + connect + b"\0" + ask("registration_reply", 1, hub, 1)
                               + answer(0) + many)
        yield f"tell-free-{mode}", (up + many + ask("recall", 9, task, {"msg_ids": ["m1"], "tell_free": True}, shell)
                                    + b"".join(map(answer, range(7))))
        yield f"tell-free-idle-{mode}", (up + ask("recall", 9, task, {"msg_ids": [], "tell_free": True}, shell)
                                         + ask("recall", 9, task, {"tell_free": 1}, shell))
        yield f"refused-{mode}", up + hang_up + b"\0" + connect + b"\0" + ask("registration_reply", 1, hub, 2) + wait + b"\4"
        yield f"end-{mode}", (up + many + output + b"\0" + octets("h\u00e9".encode()[:2])
                              + output + b"\1" + octets(b"ersa.runtime: why\n") + end + b"\3")
        yield f"stop-{mode}", (up + many + ask("shutdown", 9, control | client, {"restart": True}, ctl) + answer(0)
                               + wait + b"\6" + end + b"\0")
        yield f"signals-{mode}", up + b"".join(ask("signal", n, control | client, c, ctl) for n, c in enumerate(
            ({"sig": 2}, {"sig": 15}, {"sig": "SIGINT"}, {"sig": "no"}, {"sig": "SIGNO"}, {"sig": 999}, {"sig": -1}, {"sig": []},
             {}, 5, 6)))
    up = bytes([8])
    tell = ask("apply", 1, task, metadata={"label": "x", "is_broadcast": True, "is_coalescing": True, "original_msg_id": "m\u00e9",
                                           "ersa": {"quiet_status": True}})
    yield "quiet", up + tell + parts(publish, b"status", b"t", b"{}", b"") + answer(1)
    for i, values in enumerate([(b"stream", b"topic", b'{"name": "stdout", "text": "x"}', b""),
                                (b"display_data", b"", b"{}", b"{}", b"buffer"), (b"x",), (b"x" * 99, b"", b"{}", b""),
                                (b"x", b"", b"[", b""), (b"x", b"", b"{}", b"[")]):
        yield f"publish-{i}", up + ask("execute", 1) + parts(publish, *values) + answer(1)
    for i, values in enumerate([(b"20", b"a line"), (b"x", b"a"), (b"999", b"a"), (b"1" * 20, b""), (b"10",)]):
        yield f"log-{i}", up + parts(log, *values)
    for i, values in enumerate([(b"m1", b"ok", b"", b""), (b"m1", b"ok", b"", b"{}", b"buffer"), (b"m2", b"ok", b"", b""),
                                (b"m1", b"no", b"", b""), (b"m1", b"ok", b"", b"["), (b"m1",), (b"m1", b"error", b"u", b"{}")]):
        yield f"reply-{i}", up + ask("apply", 1, task) + parts(reply, *values)
    yield "leave", up + ask("apply", 1) + parts(leave) + wait + b"\6" + answer(1) + end + b"\0"
    yield "ready-again", up + parts(ready, b'{"v": 1, "language": "python", "version": "3"}') + parts(ready, b'{"v": 2}') + end + b"\0"
    yield "ready-late", (b"\0" + connect + b"\0" + ask("registration_reply", 1, hub, 1) + ask("apply", 1, task)
                         + runtime + b"\x40\0" + answer(1))
    yield "beats", up + say + bytes([0, 1, beat | 8]) + octets(b"ping") * 2 + (wait + b"\7") * 5 + end + b"\0"
    yield "deaf", up + deaf + b"\0\1" + ask("execute", 1) + b"".join(
        parts(publish, b"stream", b"t", b'{"text": "' + b"x" * 1500 + b'"}', b"") for _ in range(4)) + deaf + b"\0\0" + answer(1)
    yield "raw", up + raw + octets(struct.pack("=IIQ", 17, 1, 3) + struct.pack("=QII", 3, 0, 0) + b"abc")
    yield "full", up + b"".join(ask("apply", n, metadata={"x": "y" * 900}) for n in range(9)) + answer(0)
    yield "spoilt", up + ask("apply", 1, form=16) + ask("registration_reply", 2, hub, form=16)
    escaped = (say + bytes([0, 2, task])
               + text(json.dumps({"msg_id": "m\u00e9", "msg_type": "apply\u005frequest"}).replace("_", "\\u005f").encode()) + b"\0")
    yield "escaped", up + ask("apply", 1, task) + escaped + answer(1)
    yield "odd", up + say + bytes([0, 1, 8]) + octets(b"<IDS|MSG>") * 2 + say + bytes([0, 1, mux]) + octets(b"x") + ask("apply", 1, 7) + (
        say + bytes([0, 2, hub]) + text([]) + b"\0") + say + bytes([0, 1, 1 | 5 << 3]) + octets(b"<IDS|MSG>") * 6
    yield "output", (up + (output + b"\0" + octets(b"x" * 2047)) * 3 + wait + b"\3"
                     + output + b"\1" + octets("a\u00e9".encode()[:2]) + wait + b"\3"
                     + output + b"\1" + octets(b"\xa9\xff\xf0\x9f") + wait + b"\3"
                     + ask("execute", 1) + output + b"\0" + octets(b"y") + answer(1))
    noise = b"".join(parts(publish, b"stream", b"t", b'{"text": "' + b"x" * 1500 + b'"}', b"") for _ in range(4))
    for mode in (8, 10):
        shell = 0 if mode == 8 else 2
        full = bytes([mode]) + deaf + bytes([shell, 1]) + noise
        for i, then in enumerate([deaf + bytes([shell, 0]) + answer(2), hang_up + bytes([shell]) + connect + bytes([shell]) + answer(2),
                                  ask("abort", 3, control | client, 3, shell) + deaf + bytes([shell, 0]), end + b"\1"]):
            yield f"begun-late-{mode}-{i}", full + ask("apply", 2, task, slot=shell) + ask("apply", 3, task, slot=shell) + then
    yield "original", (up + ask("apply", 0) + ask("apply", 1, metadata={"original_msg_id": "m9"})
                       + ask("abort", 2, control | client, {"msg_ids": ["m9", "m9", "m8"]}) + wait + b"\7" + answer(0))
    yield "cut", up + ask("apply", 0, task) + cut + wait + b"\5" + end + b"\1"
    yield "beats-stock", b"\12" + say + bytes([7, 1, 0]) + octets(b"ping") + say + bytes([4, 1, 0]) + octets(b"")
    yield "refused-at-once", b"\0" + connect + b"\0" + ask("registration_reply", 1, hub, {"status": "error"}) + wait + b"\6" + end + b"\1"
    yield "too-late", b"\0" + wait + b"\7" + end + b"\1"
    for i, content in enumerate([{"status": "ok", "id": -1}, {"status": "ok", "id": "x"},
                                 {"status": "ok", "id": 1, "hb_period": 1e99, "ersa": {"v": 1, "caps": ["begun"]}},
                                 {"status": "ok", "id": 2, "ersa": {"known": True}}, []]):
        yield f"registration-{i}", (b"\0" + connect + b"\0" + ask("registration_reply", 1, hub, content)
                                    + runtime + b"\x40\0" + ask("apply", 1, task) + answer(1))
