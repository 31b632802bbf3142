# SPDX-License-Identifier: BSD-3-Clause
"""A whole router, at which strangers (registration) and attached engines (attach) speak: forms of messages, routes and steps
of router_seat.c."""
from seeding.inputs import octets, text

SAY, CONNECT, GO, PASS, PONG, DEAF_PEER, LISTEN, RECORDS, RESUBMIT = range(9)
IDENTITY, RAW, HEADER, PARENT, METADATA, BUFFER, SPOILT, OLD = (1 << n for n in range(8))
ROUTES = ["query", "control_e", "mux_e", "task_e", "iopub_e", "hb_ping", "hb_pong", "leaf", "control", "mux", "task", "iopub", "notify",
          "root", "attach"]
TYPES = ["registration_request", "unregistration_request", "ersa_ready", "connection_request", "queue_request", "load_request",
         "result_request", "history_request", "db_request", "purge_request", "resubmit_request", "shutdown_request",
         "become_dask_request", "stop_distributed_request", "apply_request", "apply_reply", "execute_request", "execute_reply",
         "ersa_begun", "ersa_recalled", "stream", "status", "shutdown_reply", "abort_request", "error", "nonsense_request"]
CHANNELS = {"query": 0, "mux": 1, "task": 2, "broadcast": 3, "control": 4, "iopub": 5, "hb": 6}


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
    yield "stock", (b"\0" + alive + client + say(8, "connection_request", {}) + say(8, "queue_request", {"targets": None})
                    + bytes([PASS, 5] * 6))
    yield "keyed", (b"\1" + alive + client + say(8, "connection_request", {}) * 2
                    + say(8, "load_request", {"targets": 0}, number=3, form=SPOILT))
    yield "leave", (b"\0" + alive + say(0, "unregistration_request", {"id": 0, "ersa": {"begun": ["m1", 3], "cause": "killed"}})
                    + bytes([PASS, 4]))
    yield "leave-by-id", (b"\0" + alive + client + say(8, "unregistration_request", {"id": 0})
                          + say(8, "unregistration_request", {"id": "x"}))
    yield "silent", b"\0" + alive + bytes([PASS, 5] * 5) + bytes([PONG, 5, PASS, 6])
    yield "gone", b"\0" + alive + b"".join(bytes([GO, n]) for n in range(8)) + bytes([PASS, 6, PASS, 6])
    yield "restored", b"\4" + connect("query", 1) + say(0, "registration_request", {"uuid": "e1", "ersa": caps}) + bytes([PASS, 5, PASS, 7])
    for i, content in enumerate([{"targets": None}, {"targets": [0, "e0"], "verbose": True}, {"targets": ["no", 9, {}, 1.5]},
                                 {"targets": []}, {"targets": {}}, {}, {"targets": "e0", "verbose": True}]):
        yield f"queue-{i}", b"\0" + alive + client + say(8, "queue_request", content) + say(8, "load_request", content, number=2)
    work = alive + connect("mux", 3) + connect("task", 3)
    apply = (say(9, "apply_request", {}, to=0, number=1) + say(8, "apply_request", {}, to=0, number=1)
             + say(9, "apply_request", {}, number=2))
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
    yield "task", (b"\0" + say(3, "apply_request", {}) + say(0, "ersa_begun", {}, "task")
                   + say(0, "apply_reply", {}, "task", to=3, metadata={"status": "ok"})
                   + say(1, "apply_reply", {}, "task", to=3, metadata={"status": "aborted"}))
    yield "recalled", b"\0" + b"".join(say(3, "apply_request", {}, number=n) for n in range(20)) + say(
        0, "ersa_recalled", {"msg_ids": ["m1", "m2", 4]}, "task") + say(0, "ersa_recalled", {}, "task") + bytes([PASS, 3])
    yield "broadcast", (
        b"\0" + say(4, "apply_request", {}, metadata={"targets": ["e0", "e1"], "is_coalescing": True, "is_broadcast": True})
        + say(0, "apply_reply", {}, "broadcast", to=3) + say(1, "apply_reply", {}, "broadcast", to=3))
    yield "control", b"\0" + say(5, "abort_request", {"msg_ids": ["m1", 2]}, to=0) + say(0, "shutdown_reply", {}, "control", to=3)
    yield "iopub", b"\0" + connect("iopub", 3) + bytes([LISTEN, 6]) + b"".join(
        say(0, kind, {"name": "stdout", "text": "x"}, "iopub", to=0) for kind in ("stream", "status", "error", "shutdown_reply"))
    yield "pong", b"\0" + bytes([PASS, 5, PONG, 0, PONG, 1, PASS, 5, PASS, 5, PASS, 5, PASS, 5])
    yield "channel", (b"\0" + bytes([SAY, 0, 0, 7]) + octets(b"nonsense") + bytes([0, 0, 0])
                      + bytes([SAY, 0, RAW, 7]) + octets(b"mux") + b"\0\0")
    yield "stranger", b"\0" + connect("attach", 2) + b"".join(
        say(6, "apply_reply", {}, ch, to=3) for ch in ("mux", "task", "control", "iopub", "broadcast")) + say(6, "ersa_ready", {}, "query")
    yield "unreachable", b"\0" + say(2, "apply_request", {}, to=2) + bytes([GO, 0]) + say(2, "apply_request", {}, to=0) + bytes([PASS, 6])
    yield "waits", b"\0" + connect("query", 2) + say(6, "registration_request", {"uuid": "e2"}) + say(2, "apply_request", {}, to=2) + say(
        5, "execute_request", {}, to=2) + bytes([PASS, 6, PASS, 7]) + connect("mux_e", 2) + say(2, "apply_request", {}, to=2)
    yield "replaced", b"\0" + connect("attach", 0) + bytes([PASS, 1]) + say(0, "apply_reply", {}, "mux", to=3)
    full = say(2, "apply_request", {"x": "y" * 3000}, to=0) * 3
    yield "deaf", b"\0" + bytes([DEAF_PEER, 0, 1]) + full + bytes([PASS, 7, DEAF_PEER, 0, 0])
    yield "deaf-client", (b"\0" + bytes([DEAF_PEER, 2, 1]) + say(0, "apply_reply", {"x": "y" * 3000}, "mux", to=3) * 3
                          + bytes([PASS, 4] * 3 + [PASS, 7] * 2))
    yield "keyed", b"\1" + say(2, "apply_request", {}, to=0) + say(0, "apply_reply", {}, "mux", to=3, form=SPOILT | BUFFER)
    yield "malformed", b"\0" + say(2, "apply_request", {}) + bytes([SAY, 2, HEADER | IDENTITY, 0]) + text({}) + b"\1" + text({})
    yield "parents", b"\0" + b"".join(
        bytes([SAY, 0, PARENT, CHANNELS[ch], TYPES.index(kind), 1]) + text(parent) + text({}) for ch, kind, parent in (
            ("task", "ersa_begun", {}), ("task", "apply_reply", [1]), ("mux", "apply_reply", {"msg_id": 3}), ("iopub", "stream", {})))
    yield "leaves", b"\0" + say(0, "unregistration_request", {"ersa": {"cause": "memory"}}, "query") + bytes([PASS, 3, PASS, 6])
    yield "records-full", (b"\0" + b"".join(say(2, "apply_request", {}, to=0, number=n) for n in range(40))
                           + bytes([PASS, 1, RECORDS, PASS, 1, RECORDS]))
