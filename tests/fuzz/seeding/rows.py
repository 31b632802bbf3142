# SPDX-License-Identifier: BSD-3-Clause
"""Task records as databases hold them: pickles, rows of SQLite, what is left over beside the file, documents of MongoDB."""
import json
import pickle
import struct

from seeding.inputs import header, octets


def rows_seeds():
    which = {name: bytes([i]) for i, name in enumerate(["pickle", "packed", "row", "left_over", "document", "document_text"])}
    fields = ["msg_id", "header", "metadata", "content", "buffers", "submitted", "client_uuid", "engine_uuid", "started", "completed",
              "resubmitted", "received", "result_header", "result_metadata", "result_content", "result_buffers", "queue", "execute_input",
              "execute_result", "error", "stdout", "stderr", "label"]
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

    one = packed(msg_id=b"a", header=header(), metadata=b"{}", content=b"{}", buffers=[b"x", b""], submitted=1767323045678901,
                 queue=b"task")
    two = packed(msg_id=b"b", content=b"[", result_buffers=[], buffers=[b"y"] * 3, completed=-1, label=b"\xff")
    yield "packed", which["packed"] + one + two
    yield "packed-no-id", which["packed"] + packed(label=b"x")
    for form in (0, 1, 3):
        yield f"left-over-{form}", (which["left_over"] + bytes([form]) + octets(one + two + one) + b"\1" + octets(packed(msg_id=b"a"))
                                    + b"\1" + octets(one[:-3]))
    for form in range(6):
        cell = {0: b"", 1: b"\0\7\3", 2: struct.pack("=d", 2.5), 3: octets(b"x\0y"), 4: octets(b"\xff\xfe"), 5: b""}[form]
        cells = (bytes([form]) + cell) * len(fields)
        yield f"row-{form}", which["row"] + cells
        yield f"row-id-{form}", which["row"] + b"\5" + (bytes([form]) + cell) * (len(fields) - 1) + cells
    for i, kind in enumerate([b"1969-12-31T23:59:59.999Z", b"2026-01-02T03:04:05", b"x", pickle.dumps([b"a"], 5), b'{"a": NaN}', b"[]"]):
        yield f"row-text-{i}", which["row"] + b"\5" + (b"\3" + octets(kind)) * 22 + b"\5" + (b"\4" + octets(kind)) * 22
    record = {"msg_id": "a", "header": {"a": [1, 2.5, None, True, {"": "\u00e9"}], "date": {"$date": "2026-01-02T03:04:05.678Z"}},
              "metadata": {}, "content": "{\"$a\": 1}", "buffers": [{"$binary": {"base64": "YWI=", "subType": "00"}}, 3],
              "submitted": {"$date": {"$numberLong": "-1"}}, "completed": {"$date": {"$numberLong": "9223372036854775807"}},
              "ersa_us": {"submitted": 999, "completed": 999, "label": 3}, "label": None, "stdout": "x\u0000y", "queue": 3,
              "error": {"a": {"$numberDouble": "NaN"}}}
    for i, change in enumerate([{}, {"msg_id": None}, {"msg_id": 3}, {"content": {"x": {"$date": {"$numberLong": "9223372036854775807"}}}},
                                {"content": {"x": {"$numberDouble": "Infinity"}, "y": [{"$numberDouble": "NaN"}]}}, {"content": "no JSON"},
                                {"content": {"x": {"$oid": "0" * 24}}, "buffers": {}},
                                {"received": {"$date": {"$numberLong": "-9223372036854775808"}}}]):
        yield f"document-{i}", which["document_text"] + json.dumps(dict(record, **change)).encode()
    deep = b'{"msg_id": "a", "content": ' + b'{"a": ' * 95 + b"1" + b"}" * 95 + b"}"
    yield "document-deep", which["document_text"] + deep

    def bson(*elements):
        body = b"".join(elements) + b"\0"
        return struct.pack("<i", len(body) + 4) + body

    def string(value):
        return struct.pack("<i", len(value) + 1) + value + b"\0"

    yield "bson", which["document"] + bson(
        b"\2msg_id\0" + string(b"a"),
        b"\3content\0" + bson(b"\1x\0" + struct.pack("<d", 2.5), b"\x10y\0\1\0\0\0", b"\x08z\0\1", b"\x0an\0"),
        b"\4buffers\0" + bson(b"\5" + b"0\0\2\0\0\0\0ab"), b"\x09submitted\0" + struct.pack("<q", 1767323045678),
        b"\3ersa_us\0" + bson(b"\x10submitted\0\1\2\0\0"), b"\3metadata\0" + bson(b"\x12l\0" + struct.pack("<q", -1)))
