# SPDX-License-Identifier: BSD-3-Clause
"""What the records thread hears of tasks, and requests for what it keeps."""
from seeding.inputs import text


def records_seeds():
    kinds = ["apply", "request", "assigned", "apply_reply", "result", "lost", "stream", "execute_result", "iopub", "db", "result_request",
             "history", "purge", "resubmit", "query"]

    def mail(kind, task, content, metadata=None, header=None):
        task |= 0x20 if metadata is not None else 0
        out = bytes([kinds.index(kind), task]) + (text(header) if header is not None else b"")
        return out + (text(metadata) if metadata is not None else b"") + text(content)

    tasks = b"".join(mail("apply", n | (n & 1) << 3 | 0x40, {}, {"label": "l\u00e9"}) for n in range(4))
    done = mail("assigned", 0, {}) + mail("apply_reply", 0x40, {"status": "ok"}, {"started": "2026-01-02T03:04:06Z"}) + mail("lost", 9, {})
    out = (mail("stream", 1, {"name": "stdout", "text": "hello"}) + mail("stream", 2, {"name": "no"})
           + mail("execute_result", 1, {"data": {}}))
    out += b"".join(mail("iopub", 1, content, header={"msg_type": kind}) for kind, content in (
        ("error", {"ename": "E"}), ("execute_input", {"code": "1"}), ("display_data", {}), ("stream", b"[")))
    for mode in (b"\2", b"\12", b"\4"):
        large = mode + b"".join(mail(kind, 0x40, {}) for kind in ("apply", "apply_reply"))
        yield f"large-{mode[0]}", (large + mail("db", 0, {"keys": ["content", "buffers"]}) + mail("result_request", 0, {"msg_ids": ["t0"]})
                                   + mail("purge", 0, {"msg_ids": "all"}))
    for mode in (b"\0", b"\1"):
        some = mode + tasks + done + out
        for i, content in enumerate([{}, {"query": {"msg_id": "t0"}, "keys": ["buffers", "result_buffers", "label"]}, {"keys": "label"},
                                     {"keys": 3}, {"keys": [3]}, {"keys": ["no"]}, {"query": {"a": {"$x": 1}}}, {"query": 3},
                                     {"query": None, "keys": []}, []]):
            yield f"db-{i}-{mode[0]}", some + mail("db", 0, content)
        for i, content in enumerate([{"msg_ids": ["t1", "t0", "t0", "t3"]}, {"msg_ids": ["t2", "no"]},
                                     {"msg_ids": ["t0", "t3"], "status_only": True}, {}, {"msg_ids": 3}, {"msg_ids": [3]},
                                     {"msg_ids": ["no"], "status_only": True}]):
            yield f"result-{i}-{mode[0]}", some + mail("result_request", 0, content)
        for i, content in enumerate([{"msg_ids": "all"}, {"msg_ids": ["t0"]}, {"msg_ids": ["t3"]}, {"msg_ids": ["no"]}, {"msg_ids": 3},
                                     {"msg_ids": [3]}, {"engine_ids": [0, 1]}, {"engine_ids": [1]}, {"engine_ids": 3}, {}]):
            for engines in (0, 8, 16, 24):
                yield f"purge-{i}-{engines}-{mode[0]}", some + mail("purge", engines, content) + mail("history", 0, {})
        for i, content in enumerate([{"msg_ids": ["t0", "t1"]}, {"msg_ids": ["t0", "t0"]}, {"msg_ids": ["no", 3]}, {}, {"msg_ids": 3},
                                     {"msg_ids": []}]):
            yield f"resubmit-{i}-{mode[0]}", some + mail("resubmit", 0, content) + mail("apply", 0, {}) + mail("db", 0, {})
        yield f"odd-{mode[0]}", (
            some + mail("query", 0, {}, header={"msg_type": "x"}) + mail("query", 0, b"[", header={"msg_type": "db_request"})
            + mail("request", 4, b"[", {"label": 3}, {"date": 3, "session": "\u00e9"}) + mail("request", 5, {}, header=b"[")
            + mail("result", 4, b"[", {"started": "x"}, {"date": "x"}) + mail("resubmit", 0, {"msg_ids": ["t5"]})
            + mail("result_request", 0, {"msg_ids": ["t4"]}))
