# SPDX-License-Identifier: BSD-3-Clause
"""Drives `wire_peer`, a port of ours on the command line, and speaks raw ZMTP where libzmq is too polite.

Nothing sleeps for a fixed time: everything waits for an event or a condition with a deadline."""
import hashlib
import json
import os
import pathlib
import queue
import socket
import struct
import subprocess
import threading
import time

from zmtp import greeting, ready

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(os.environ.get("ERSA_BUILD", ROOT / "build")) / "tests/wire/wire_peer"
DEADLINE_S = 45


def shown(frame):
    """A frame as `wire_peer` tells it."""
    return frame.hex() if len(frame) <= 64 else [len(frame), hashlib.sha256(frame).hexdigest()]


def word(frame):
    """A frame as `wire_peer` reads it."""
    return frame.hex() or "-"


def wait_until(condition, what="a condition", timeout=DEADLINE_S):
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"{what} did not come true in {timeout} s"
        time.sleep(0.01)


class Port:
    """A running `wire_peer`."""

    def __init__(self, kind, **options):
        args = [str(PROGRAM), kind]
        for name, values in options.items():
            for value in values if isinstance(values, list) else [values]:
                args.append(f"{name}={value}")
        self.process = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.events = queue.Queue()
        self.passed_over = []
        threading.Thread(target=self._read, daemon=True).start()
        self.endpoints = [self.expect("bound")["endpoint"] for _ in range(self._count(options, "bind"))]
        self.endpoint = self.endpoints[0] if self.endpoints else None

    @staticmethod
    def _count(options, name):
        values = options.get(name, [])
        return len(values) if isinstance(values, list) else 1

    def _read(self):
        for line in self.process.stdout:
            self.events.put(json.loads(line))
        self.events.put(None)

    def expect(self, event, timeout=DEADLINE_S, **wanted):
        """The next event of that name with these values; others stay for later calls."""
        def fits(e):
            return e["event"] == event and all(e.get(k) == v for k, v in wanted.items())

        for i, e in enumerate(self.passed_over):
            if fits(e):
                return self.passed_over.pop(i)
        end = time.monotonic() + timeout
        while True:
            left = end - time.monotonic()
            assert left > 0, f"no {event} {wanted} in {timeout} s; there were {self.passed_over[-5:]}"
            try:
                e = self.events.get(timeout=left)
            except queue.Empty:
                continue
            assert e is not None, f"the program ended with {self.process.wait()}"
            if fits(e):
                return e
            self.passed_over.append(e)

    def message(self, timeout=DEADLINE_S):
        return self.expect("message", timeout)["frames"]

    def has_had(self, event):
        """Whether such an event came until now."""
        self.stats()
        return any(e["event"] == event for e in self.passed_over)

    def tell(self, *words):
        self.process.stdin.write((" ".join(str(w) for w in words) + "\n").encode())
        self.process.stdin.flush()

    def send(self, peer, *frames):
        self.tell("send", peer, *map(word, frames))

    def push(self, *frames):
        self.tell("push", *map(word, frames))

    def publish(self, *frames):
        self.tell("publish", *map(word, frames))

    def stats(self):
        self.tell("stats")
        return self.expect("stats")

    def wait_stats(self, condition, what):
        return wait_until(lambda: (s := self.stats()) and condition(s) and s, what)

    def rss_kb(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))

    def close(self):
        self.process.stdin.close()
        try:
            code = self.process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        assert code == 0, f"wire_peer ended with {code}"


# Raw ZMTP


class Raw:
    """A socket that speaks ZMTP octet by octet."""

    def __init__(self, sock):
        self.sock = sock
        sock.settimeout(DEADLINE_S)
        self.octets = b""

    @classmethod
    def connect(cls, endpoint):
        if endpoint.startswith("ipc://"):
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(endpoint[6:])
        else:
            host, port = endpoint[6:].rsplit(":", 1)
            sock = socket.create_connection((host, int(port)))
        return cls(sock)

    def send(self, octets):
        self.sock.sendall(octets)
        return self

    def recv(self, n):
        while len(self.octets) < n:
            got = self.sock.recv(1 << 20)
            if not got:
                raise EOFError(f"closed after {len(self.octets)} octets of {n}")
            self.octets += got
        taken, self.octets = self.octets[:n], self.octets[n:]
        return taken

    def recv_frame(self):
        """(flags without LONG, body)"""
        flags = self.recv(1)[0]
        size = struct.unpack(">Q", self.recv(8))[0] if flags & 2 else self.recv(1)[0]
        return flags & ~2, self.recv(size)

    def recv_message(self):
        frames = []
        while True:
            flags, body = self.recv_frame()
            if flags & 4:
                continue
            frames.append(body)
            if not flags & 1:
                return frames

    def handshake(self, kind, identity=None, minor=1):
        """Returns what the other side said of itself in READY."""
        self.send(greeting(minor) + ready(kind, identity))
        assert self.recv(12)[:11] == greeting()[:11]
        self.recv(52)
        flags, body = self.recv_frame()
        assert flags == 4 and body.startswith(b"\x05READY")
        return body

    def is_closed(self):
        """Waits for the end; what comes before it is thrown away."""
        try:
            while self.sock.recv(1 << 20):
                pass
        except ConnectionError:
            pass
        return True

    def close(self):
        self.sock.close()


class Listener:
    """A raw listening socket, for ports of ours that connect."""

    def __init__(self):
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.sock.settimeout(DEADLINE_S)
        self.endpoint = "tcp://127.0.0.1:%d" % self.sock.getsockname()[1]

    def accept(self):
        return Raw(self.sock.accept()[0])

    def close(self):
        self.sock.close()


def echo_sizes(port, socket, sizes):
    """Messages of all sizes come back from a port that echoes, whole and in their order."""
    sent = [[bytes([i]) * size, b"-", bytes([i + 1]) * size] for i, size in enumerate(sizes)]
    sent.append([bytes([i]) * size for i, size in enumerate(sizes)])
    sent += [[b"%d" % i] for i in range(3000)]
    for m in sent:
        socket.send_multipart(m)
    for m in sent:
        assert socket.recv_multipart() == m
    assert port.stats()["block_bytes"] == 0


def echo_large(socket):
    """So does one of a hundred megabytes."""
    body = bytes(range(256)) * 390_625
    socket.send_multipart([b"head", body, b"tail"])
    assert socket.recv_multipart() == [b"head", body, b"tail"]
