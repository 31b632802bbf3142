# SPDX-License-Identifier: BSD-3-Clause
"""The engine's side of the runtime protocol in Python: starts a real runtime over a socketpair, speaks frames
with it, and keeps both ends honest (blocks, RELEASE, one REPLY for each RUN)."""
import array
import json
import mmap
import os
import pickle
import select
import signal
import socket
import struct
import subprocess
import sys
import time

from packing import pack_call

HELLO, RUN, SHUTDOWN, READY, REPLY, PUBLISH, LOG, EXIT, BLOCK, RELEASE = 1, 2, 3, 16, 17, 18, 19, 20, 32, 33
HEAD = struct.Struct("=IIQ")
PART = struct.Struct("=QII")
SHM_MIN = 65536
DEADLINE_S = 60
PYTHON = os.environ.get("ERSA_PYTHON", sys.executable)
PYTHON_DIR = os.environ["ERSA_PYTHON_DIR"]


class Gone(Exception):
    """The runtime closed the channel."""


def head(kind, parts, inline=None):
    """A message whose parts are all inline."""
    inline = sum(map(len, parts)) if inline is None else inline
    return b"".join([HEAD.pack(kind, len(parts), inline), *(PART.pack(len(p), 0, 0) for p in parts), *parts])


class Reply:
    def __init__(self, parts):
        self.msg_id, self.status, self.flags, content, *self.buffers = parts
        self.status = bytes(self.status).decode()
        self.flags = bytes(self.flags).decode()
        self.content = json.loads(bytes(content)) if len(content) else {"status": self.status}


class FakeEngine:
    def __init__(self, python=PYTHON, env=None, cwd=None, hello=None, start=True, prefix=()):
        ours, theirs = socket.socketpair()
        self.sock = ours
        out_r, out_w = os.pipe()
        err_r, err_w = os.pipe()
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("ERSA_", "PYTHON"))}
        environment.update({"ERSA_RUNTIME_FD": str(theirs.fileno()), "PYTHONPATH": PYTHON_DIR,
                            "PYTHONDONTWRITEBYTECODE": "1", **(env or {})})
        self.process = subprocess.Popen([*prefix, python, "-m", "ersa.runtime"], stdin=subprocess.DEVNULL, stdout=out_w,
                                        stderr=err_w, env=environment, cwd=cwd, pass_fds=[theirs.fileno()],
                                        start_new_session=True)
        theirs.close()
        os.close(out_w)
        os.close(err_w)
        self.pipes = {1: out_r, 2: err_r}
        self.text = {1: b"", 2: b""}
        for fd in self.pipes.values():
            os.set_blocking(fd, False)
        self.rx = bytearray()
        self.fds = []
        self.blocks = {}      # of the runtime: id -> mmap
        self.in_use = set()   # ids of them that we have not released
        self.lent = {}        # ours: id -> (mmap, is lent)
        self.published = []   # (msg_type, topic, content, metadata, buffers)
        self.logs = []
        self.exits = 0
        self.counter = 0
        if start:
            self.ready = self.start(hello)

    # Frames

    def raw(self, octets, fds=()):
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        sent = self.sock.sendmsg([octets], control)
        if sent < len(octets):
            self.sock.sendall(octets[sent:])

    def announce(self, number, size):
        fd = os.memfd_create("engine", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(fd, size)
        self.lent[number] = [mmap.mmap(fd, size), False]
        self.raw(head(BLOCK, [struct.pack("=IQ", number, size)]), [fd])
        os.close(fd)

    def lend(self, data):
        """Puts data into a block; returns its number."""
        size = len(data)
        for number, (memory, is_lent) in self.lent.items():
            if not is_lent and len(memory) >= size:
                break
        else:
            number = len(self.lent) + 1
            self.announce(number, -(-size // 65536) * 65536)
        self.lent[number][0][:size] = bytes(data)
        self.lent[number][1] = True
        return number

    def send(self, kind, parts):
        table, inline = [], []
        for part in parts:
            part = memoryview(part).cast("B") if len(part) else memoryview(b"")
            if len(part) >= SHM_MIN:
                table.append(PART.pack(len(part), self.lend(part), 0))
            else:
                table.append(PART.pack(len(part), 0, 0))
                inline.append(part)
        self.raw(b"".join([HEAD.pack(kind, len(parts), sum(map(len, inline))), *table, *inline]))

    def _drain(self):
        for which, fd in self.pipes.items():
            while True:
                try:
                    data = os.read(fd, 65536)
                except BlockingIOError:
                    break
                if not data:
                    break
                self.text[which] += data

    def _fill(self, end):
        while True:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"nothing from the runtime; its output: {self.text}")
            ready, _, _ = select.select([self.sock, *self.pipes.values()], [], [], min(left, 0.5))
            if self.sock in ready:
                break
            self._drain()
        try:
            data, control, _, _ = self.sock.recvmsg(1 << 20, socket.CMSG_SPACE(64 * 4), socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:
            data, control = b"", []
        for _, kind, octets in control:
            fds = array.array("i")
            fds.frombytes(octets[:len(octets) - len(octets) % 4])
            self.fds.extend(fds)
        if not data:
            self._drain()
            raise Gone(f"the runtime closed the channel; its output: {self.text}")
        self.rx += data

    def receive(self, timeout=DEADLINE_S):
        """The next message that is not about blocks: (type, parts)."""
        end = time.monotonic() + timeout
        while True:
            while len(self.rx) < HEAD.size:
                self._fill(end)
            kind, n, inline = HEAD.unpack_from(self.rx)
            size = HEAD.size + n * PART.size + inline
            while len(self.rx) < size:
                self._fill(end)
            table = [PART.unpack_from(self.rx, HEAD.size + i * PART.size) for i in range(n)]
            at, parts, used = HEAD.size + n * PART.size, [], []
            for length, block, reserved in table:
                assert reserved == 0
                if block:
                    assert block not in self.in_use and length <= len(self.blocks[block])
                    parts.append(self.blocks[block][:length])
                    self.in_use.add(block)
                    used.append(block)
                else:
                    assert length < SHM_MIN
                    parts.append(bytes(self.rx[at:at + length]))
                    at += length
            assert at == size
            del self.rx[:size]
            if kind == BLOCK:
                number, capacity = struct.unpack("=IQ", parts[0])
                fd = self.fds.pop(0)
                self.blocks[number] = mmap.mmap(fd, capacity, access=mmap.ACCESS_READ)
                os.close(fd)
            elif kind == RELEASE:
                for number in array.array("I", b"".join(parts)):
                    assert self.lent[number][1], "a block is released twice"
                    self.lent[number][1] = False
            else:
                if used:
                    self.in_use.difference_update(used)
                    self.raw(head(RELEASE, [array.array("I", used).tobytes()]))
                return kind, parts

    # Conversations

    def start(self, hello=None):
        self.send(HELLO, [json.dumps({"v": 1, "uuid": "u-1", "id": 3, "argv": ["ipengine", "--x"],
                                      "session": {"buffer_threshold": 1024, "item_threshold": 64},
                                      **(hello or {})}).encode()])
        kind, parts = self.until(READY)
        return json.loads(parts[0])

    def until(self, wanted, timeout=DEADLINE_S):
        """Takes messages until one of that type."""
        end = time.monotonic() + timeout
        while True:
            kind, parts = self.receive(end - time.monotonic())
            if kind == wanted:
                return kind, parts
            if kind == PUBLISH:
                msg_type, topic, content, metadata, *buffers = parts
                self.published.append((msg_type.decode(), topic.decode(), json.loads(content),
                                       json.loads(metadata) if metadata else None, buffers))
            elif kind == LOG:
                self.logs.append((int(parts[0]), parts[1].decode()))
            elif kind == EXIT:
                self.exits += 1
            else:
                raise AssertionError(f"unexpected message {kind}")

    def ask(self, msg_type, content=None, buffers=(), metadata=None):
        """Sends a RUN; returns its id. `content` may be octets as they are."""
        self.counter += 1
        msg_id = f"c-1_{self.counter}"
        header = {"msg_id": msg_id, "msg_type": msg_type, "session": "c-1", "username": "u", "version": "5.3"}
        text = content if isinstance(content, bytes) else json.dumps(content or {}).encode()
        self.send(RUN, [msg_type.encode(), msg_id.encode(), json.dumps(header).encode(),
                        json.dumps(metadata or {}).encode(), text, *buffers])
        return msg_id.encode()

    def answer(self, msg_id, timeout=DEADLINE_S):
        reply = Reply(self.until(REPLY, timeout)[1])
        assert reply.msg_id == msg_id
        self._drain()
        return reply

    def request(self, msg_type, content=None, buffers=(), metadata=None):
        return self.answer(self.ask(msg_type, content, buffers, metadata))

    def execute(self, code, silent=True, **content):
        return self.request("execute_request", {"code": code, "silent": silent, **content})

    def call(self, code, *args, **kwargs):
        """apply of a function made here from source text, sent by value (packing.py)."""
        return self.request("apply_request", {}, pack_call(code, args, kwargs))

    def value(self, code, *args, **kwargs):
        """The result of an apply, plain values only."""
        reply = self.call(code, *args, **kwargs)
        assert reply.status == "ok", reply.content
        return pickle.loads(reply.buffers[0])

    def interrupt(self):
        os.kill(self.process.pid, signal.SIGINT)

    def output(self, which=1):
        self._drain()
        text, self.text[which] = self.text[which], b""
        return text.decode()

    def wait(self, timeout=DEADLINE_S):
        try:
            return self.process.wait(timeout)
        finally:
            self._drain()

    def shutdown(self):
        self.send(SHUTDOWN, [])
        return self.wait()

    def close(self):
        self.sock.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for fd in self.pipes.values():
            os.close(fd)
        for fd in self.fds:
            os.close(fd)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
