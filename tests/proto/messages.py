# SPDX-License-Identifier: BSD-3-Clause
"""Messages of the protocol in raw signed frames, and who signs and checks them."""
import hashlib
import hmac
import itertools
import json
import os
import time
import uuid
from dataclasses import dataclass, field

DELIMITER = b"<IDS|MSG>"


def new_uuid():
    return uuid.uuid4().hex[:8] + "-" + uuid.uuid4().hex[:24]


@dataclass
class Message:
    idents: list
    header: dict
    parent: dict
    metadata: dict
    content: dict
    buffers: list = field(default_factory=list)
    signature: bytes = b""

    @property
    def type(self):
        return self.header["msg_type"]

    @property
    def id(self):
        return self.header["msg_id"]


class Session:
    """Signs and checks, as one peer does."""

    def __init__(self, key, name=None):
        self.key = key.encode() if isinstance(key, str) else key
        self.id = name or new_uuid()
        self.numbers = itertools.count()

    def sign(self, parts):
        if not self.key:
            return b""
        return hmac.new(self.key, b"".join(parts), hashlib.sha256).hexdigest().encode()

    def header(self, msg_type, msg_id=None):
        now = time.time()
        date = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now)) + f".{int(now % 1 * 1e6):06d}Z"
        return {"msg_id": msg_id or f"{self.id}_{os.getpid()}_{next(self.numbers)}", "msg_type": msg_type,
                "username": "tester", "session": self.id, "date": date, "version": "5.3"}

    def pack_raw(self, header, parent, metadata, content, buffers=()):
        """Frames from the delimiter on, of texts as they are."""
        parts = [header, parent, metadata, content]
        return [DELIMITER, self.sign(parts), *parts, *buffers]

    def pack(self, msg_type, content=None, *, parent=None, metadata=None, buffers=(), header=None, msg_id=None):
        texts = [json.dumps(part).encode()
                 for part in (header or self.header(msg_type, msg_id), parent or {}, metadata or {}, content or {})]
        return self.pack_raw(*texts, buffers)

    def unpack(self, frames):
        """Checks the signature; a wrong one is an assertion that fails."""
        at = frames.index(DELIMITER)
        signature, *parts = frames[at + 1:at + 6]
        assert signature == self.sign(parts), "wrong signature"
        return Message(frames[:at], *map(json.loads, parts), frames[at + 6:], signature)


def header_of(frames):
    """The request header in a raw frame list, and the request's envelope."""
    at = frames.index(DELIMITER)
    return json.loads(frames[at + 2])
