# SPDX-License-Identifier: BSD-3-Clause
"""What inputs of several targets have in common: texts behind their length, and a stock message."""
import json
import struct


def octets(data):
    return struct.pack(">H", len(data)) + data


def text(value):
    return octets(value if isinstance(value, bytes) else json.dumps(value).encode())


def header(**more):
    return json.dumps(dict({"msg_id": "a1b2_17_3", "username": "me", "session": "a1b2", "date": "2026-01-02T03:04:05.678901Z",
                            "msg_type": "apply_request", "version": "5.3"}, **more)).encode()


JUPYTER = [b"<IDS|MSG>", b"0" * 64, header(), b"{}", b'{"follow": [], "after": [], "retries": 0, "targets": []}', b"{}"]
