# SPDX-License-Identifier: BSD-3-Clause
"""Messages and the JSON in them (header, jscan), and queries of db_request (query)."""
import json
import struct

from seeding.inputs import JUPYTER, header


def frames(*bodies):
    return b"".join(struct.pack(">H", len(b)) + b for b in bodies)


def header_seeds():
    for mode in (0, 1, 3, 8, 9):
        yield f"message-{mode}", bytes([mode]) + frames(header(), header(), JUPYTER[4], b'{"status": "ok"}', b"buffer", b"")
    yield "whole", bytes([4]) + frames(b"client", *JUPYTER, b"b" * 300)
    yield "short", bytes([4]) + frames(*JUPYTER[:5])
    for i, (key, scheme, session, user) in enumerate([(b"key", b"hmac-sha256", b"id", b"me"), (b"", b"hmac-sha512", b"", b"\xff\xfe"),
                                                      (b"k" * 600, b"hmac-md5", b"i", b"u"), (b"k", b"sha1", b"i", b"u"),
                                                      (b"k", b"hmac-no", b"i", b"u"), (b"k", b"hmac-sha1", b"i" * 70, b"\"\x01" * 200),
                                                      (b"k", b"hmac-shake128", b"a\"b", b"u")]):
        yield f"session-{i}", bytes([20]) + frames(key, scheme, session, user)
    yield "odd", (bytes([1])
                  + frames(b'{"msg_id": "\\u0041\\ud83d\\ude00", "targets": [1, "2", null], "after": NaN}', b"[]", b"{}", b'"\xff"'))


def jscan_seeds():
    yield "header", header()
    yield "metadata", JUPYTER[4]
    for i, text in enumerate([b"{}", b' {"a" : [1, -2.5e3, true, null, "x", {"b": []}]}', b'{"a": "\\u00e9\\n\\ud83d\\ude00\\ud800"}',
                              b'{"a": NaN, "b": [Infinity, -Infinity]}', b'{"a": 1, "a": 2, "\\u0061": 3}', b'{"a": "\xff\xfe"}',
                              b'{"a": 123456789012345678901234567890, "b": 1e999}', b'{"a": ' + b"[" * 600 + b"]" * 600 + b"}",
                              b'{"a": "\\u0000", "b\\u0000": 1}', b'{"targets": [[0, 1], "all"]}', b'{"a": 01}', b'{"a": 1,}',
                              b'{"a": 1, "b": "x" broken', b'{"b": [], "session": {}, "a": "", ]',
                              b'{"msg_id": 1, "msg_id": 2, "msg_type": 3']):
        yield f"text-{i}", text


def query_seeds():
    for i, query in enumerate([
            {}, {"msg_id": "a_1_2"}, {"msg_id": {"$in": ["a_1_2", "b_1_2"]}}, {"completed": None},
            {"submitted": {"$gt": "2026-01-02T03:04:05.678900Z", "$lte": "2027-01-02T03:04:05+01:00"}},
            {"queue": {"$ne": "task"}, "label": {"$glob": "t*[a-x]?"}}, {"content": {"n": [1, 2.5, None], "t": True}},
            {"engine_uuid": {"$nin": [str(n) for n in range(12)]}}, {"stdout": {"$exists": True}}, {"buffers": {"$mod": [3, 1]}},
            {"label": {"$glob": "a*b"}}, {"label": {"$in": ["a\0b", None]}}, {"label": {"$nin": ["a\0b"]}},
            {"label": {"$nin": ["x", None]}}, {"label": {"$glob": "a" + "\u00e9" * 300}}, {"submitted": {"$gt": "0506-01-02T03:04:05Z"}},
            {"label": {"$lt": "b", "$gte": "a"}}, {"completed": {"$exists": 0, "$ne": "1969-12-31T23:59:59.999Z"}},
            {"submitted": {"$eq": 3, "$glob": "x"}}, {"no_field": None},
            {"stdout": {"$all": ["t", ["text", "2026-01-02T03:04:05Z"], {"text": 1}]}}, {"label": {"$mod": [1]}}, {"label": {"$in": "x"}},
            {"submitted": {"$all": [["2026-01-02T03:04:05.678901Z"]], "$in": ["2026-01-02T03:04:05.678901Z", 4]}},
            {"label": {"$glob": "[!a-]]*[x"}}, {"msg_id": {"$glob": "\u00e9[*]"}}, {"msg_id": {"$glob": "~\U0001f600"}}, [], 3,
            {"buffers": {"$exists": True, "$eq": []}}, {"label": {"$lte": None, "$le": "b", "$ge": "a"}}, {"queue": {"$exists": {"a": 1}}},
            {"header.engine": 3}, {"stderr": {"$regex": "a"}}, {"$or": []}, {"msg_id": {"$all": ["a", "b"]}}]):
        yield f"query-{i}", json.dumps(query).encode()
