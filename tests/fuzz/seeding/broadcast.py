# SPDX-License-Identifier: BSD-3-Clause
"""Broadcasts, replies of any kind to them, and engines and clients that go meanwhile."""
from seeding.inputs import text


def broadcast_seeds():
    submit, reply, come, leave, client, _, _, undelivered = (bytes([n]) for n in range(8))

    def ask(form, number=1, targets=0x0f, header=None, metadata=None):
        form |= (2 if header is not None else 0) | (4 if metadata is not None else 0)
        return (submit + bytes([form, targets, number]) + (text(header) if header is not None else b"")
                + (text(metadata) if metadata is not None else b""))

    def answer(form, engine, number=1, metadata=None, content=None, parent=None):
        form |= (2 if metadata is not None else 0) | (4 if content is not None else 0) | (8 if parent is not None else 0)
        return reply + bytes([form, engine, number]) + b"".join(text(v) for v in (metadata, content, parent) if v is not None)

    for mode in range(4):
        for form in (0, 1, 8, 16, 17, 32, 33, 49):
            yield f"talk-{mode}-{form}", (bytes([mode]) + ask(form, 1, 0x4f)
                                          + b"".join(answer(0x40 | (form & 1) << 5, e) for e in range(4)) + answer(0, 0))
        yield f"fail-{mode}", (bytes([mode]) + ask(1) + answer(0xc0, 2) + answer(1, 3) + answer(1, 1)
                               + answer(0, 0, content={"status": "error"}))
        yield f"gone-{mode}", (bytes([mode]) + ask(1) + answer(0xc0, 2) + leave + b"\0\0" + leave + b"\1\1" + ask(1, 2) + come + b"\0"
                               + ask(1, 3, 0x1f) + client + b"\0")
        yield f"lost-{mode}", (bytes([mode]) + ask(1) + (undelivered + b"\0") * 2 + ask(0, 2) + undelivered + b"\1" + answer(0, 2)
                               + answer(0, 3))
        yield f"absent-{mode}", bytes([mode]) + leave + b"\0\0" + ask(0, 1, 0x13) + ask(16, 2, 0x13) + ask(8, 3, 0x13) + ask(16, 4, 0)
        yield f"large-{mode}", bytes([mode]) + ask(17) + b"".join(answer(0xc0, e) for e in (3, 1, 0, 2))
        yield f"twice-{mode}", bytes([mode]) + ask(1) * 2 + ask(33) + ask(1, 2, 0x2f) + client + b"\1"
        yield f"full-{mode}", (bytes([mode]) + b"".join(ask(1, n) for n in range(20))
                               + b"".join(answer(0xc0, e, n) for n in range(20) for e in range(4)))
    up = b"\0"
    for i, metadata in enumerate([{}, {"is_coalescing": True}, {"is_coalescing": False, "targets": []},
                                  {"is_coalescing": False, "targets": 3}, [], {"is_coalescing": 3, "targets": [["e0", 0]]},
                                  {"is_coalescing": False, "targets": [["e0"]]}, {"is_coalescing": True, "targets": [[3, 3]]},
                                  {"is_coalescing": False, "targets": [["e0", 0, 1]]},
                                  {"is_coalescing": True, "targets": [["e0", 0], ["e0", 1], ["e\u00e9", {"a": []}]]},
                                  {"is_coalescing": True, "targets": [["", 0]]}, {"is_coalescing": True, "targets": [["x" * 300, 0]]},
                                  b'{"targets": [["e0", 0]], "targets": [["e_3", 3], ["\\u0065\\"1", 1]], "is_coalescing": true, '
                                  b'"original_msg_id": "m1"}']):
        yield f"meta-{i}", up + ask(0, metadata=metadata) + answer(0, 0)
    for i, value in enumerate([{"msg_id": "m1", "msg_type": "execute_request", "x": [1]}, {"msg_id": 3},
                               {"msg_id": "m" * 900, "msg_type": "apply_request"}, b"[",
                               b'{"msg_id": "\\u006d1", "msg_type": "apply_request", "msg_id": "m\\"2"}',
                               {"msg_id": "m1", "msg_type": "x" * 200}]):
        yield f"header-{i}", up + ask(1, header=value) + answer(0, 0) + leave + b"\1\0"
    for i, (metadata, content, parent) in enumerate([({}, {}, None), ([], None, None), ({"is_coalescing": True}, {"status": "ok"}, None),
                                                     ({"status": 3}, {"status": 3}, None), (None, None, {"msg_id": "m1"}), (None, None, []),
                                                     ({"x": 1}, None, None), (b"{ }", b"[", None), (None, None, {"msg_id": 4}),
                                                     (None, None, {"msg_id": "m1_e0", "x": 1})]):
        yield f"reply-{i}", up + ask(1, 1, 1) + answer(0x40, 0, 1, metadata, content, parent) + answer(0x50, 0)
