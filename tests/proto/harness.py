# SPDX-License-Identifier: BSD-3-Clause
"""Speaks the protocol in raw signed frames to the real `ipcontroller`.

    Controller   the program, started in a profile directory of its own on free ports
    StockEngine  an engine with the eight connections of the reference
    AttachEngine an engine with one connection (docs/protocol/extensions.md 2)
    RawEngine    the same on a bare socket
    Client       a client's seven connections

Nothing sleeps for a fixed time: everything waits for a condition with a deadline (`wait_until`,
`recv`). Programs are found by ERSA_BIN (default: build/bin)."""
import contextlib
import hashlib
import hmac
import itertools
import json
import os
import pathlib
import queue
import re
import signal
import socket
import struct
import subprocess
import threading
import time
import urllib.request
import uuid
from dataclasses import dataclass, field

import zmq

import zmtp

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("ERSA_BIN", ROOT / "build" / "bin"))
DELIMITER = b"<IDS|MSG>"
CAPS = ["attach", "ready", "begun", "death_cause", "quiet_status", "recall"]
# Sanitizers make everything several times slower, and so does what else runs on a machine.
PATIENCE_S = float(os.environ.get("ERSA_TEST_PATIENCE", "45"))


class Silence(Exception):
    """Nothing came in time."""


def wait_until(condition, timeout=PATIENCE_S, what="condition"):
    """Polls until `condition()` is true; returns its value."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Silence(f"no {what} in {timeout} s")
        time.sleep(0.005)


def unassigned(client):
    """How many tasks wait at the scheduler."""
    return client.query("queue_request", {"targets": None}).content["unassigned"]


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


def raw_recv(socket, timeout=PATIENCE_S):
    if not socket.poll(timeout * 1000):
        raise Silence(f"nothing came in {timeout} s")
    return socket.recv_multipart()


def header_of(frames):
    """The request header in a raw frame list, and the request's envelope."""
    at = frames.index(DELIMITER)
    return json.loads(frames[at + 2])


class Controller:
    """The program. `args` are added to its command line."""

    def __init__(self, folder, *args, env=None, files_in=PATIENCE_S, name="ipcontroller"):
        self.profile = pathlib.Path(folder) / "profile_test"
        self.log_path = pathlib.Path(folder) / f"{name}.log"
        self.args = [str(BIN / name), f"--profile-dir={self.profile}", "--log-level=10", *args]
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("IPP_", "IPYTHON"))}
        environment.update(IPYTHONDIR=str(folder), **(env or {}))
        self.log_file = open(self.log_path, "ab")
        self.process = subprocess.Popen(self.args, env=environment, cwd=folder, stdin=subprocess.DEVNULL,
                                        stdout=self.log_file, stderr=self.log_file)
        if files_in:
            try:
                wait_until(self.has_files, files_in, "connection files")
            except Silence:
                self.kill()
                raise AssertionError("no connection files:\n" + self.log()) from None
            self.read_files()

    def path(self, side):
        return self.profile / "security" / f"ipcontroller-{side}.json"

    def has_files(self):
        assert self.process.poll() is None, f"exit code {self.process.returncode}:\n{self.log()}"
        return self.path("client").exists() and self.path("engine").exists()

    def read_files(self):
        self.client_info = json.loads(self.path("client").read_text())
        self.engine_info = json.loads(self.path("engine").read_text())
        self.key = self.client_info["key"]

    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait_log(self, pattern, timeout=PATIENCE_S):
        return wait_until(lambda: re.search(pattern, self.log()), timeout, f"log line {pattern!r}")

    def url(self, key, side="client", index=None):
        info = self.client_info if side == "client" else self.engine_info
        number = info["ersa"]["attach"] if key == "attach" else info[key]
        return f"{info['interface']}:{number if index is None else number[index]}"

    def rss_mb(self):
        return int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * 4096 / 1e6

    def metric(self, name):
        """A figure of /metrics, by its name with labels; for one started with --metrics-port=0."""
        url = re.search(r"http://\S+/metrics", self.log()).group()
        text = urllib.request.urlopen(url, timeout=PATIENCE_S).read().decode()
        return next((float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name + " ")), 0.0)

    def alive(self):
        return self.process.poll() is None

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.log_file.close()

    def stop(self, timeout=PATIENCE_S):
        """SIGTERM; the exit code. A sanitizer's report, or a signal's death, is a failure."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("does not end on SIGTERM:\n" + self.log()[-4000:]) from None
        self.log_file.close()
        log = self.log()
        for word in ("AddressSanitizer", "LeakSanitizer", "runtime error:", "ThreadSanitizer"):
            assert word not in log, log[-8000:]
        assert code >= 0, f"ended by signal {-code}:\n{log[-4000:]}"
        return code


def secure(socket, controller):
    """Makes it a CURVE client where the controller is a CURVE server; the socket."""
    key = controller.client_info["curve_serverkey"]
    if key:
        socket.curve_serverkey = key.encode()
        socket.curve_publickey, socket.curve_secretkey = zmq.curve_keypair()
    return socket


class Peer:
    """Sockets of one peer, closed together."""

    def __init__(self, context, controller):
        self.context, self.controller = context, controller
        self.sockets = []

    def socket(self, kind, url=None, identity=None, hwm=0):
        s = self.context.socket(kind)
        s.linger = 0
        s.set_hwm(hwm)
        secure(s, self.controller)
        if identity:
            s.identity = identity
        self.sockets.append(s)
        for u in [url] if isinstance(url, str) else url or []:
            s.connect(u)
        return s

    def close(self):
        for s in self.sockets:
            s.close(0)
        self.sockets = []


class Pump(threading.Thread):
    """Owns one socket: what comes goes to `on_message`, what is put goes out."""

    def __init__(self, context, socket, on_message):
        super().__init__(daemon=True)
        self.socket, self.on_message = socket, on_message
        name = f"inproc://{uuid.uuid4().hex}"
        self.inside, self.outside = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
        self.inside.bind(name)
        self.outside.connect(name)
        self.lock = threading.Lock()
        self.start()

    def run(self):
        poller = zmq.Poller()
        poller.register(self.socket, zmq.POLLIN)
        poller.register(self.inside, zmq.POLLIN)
        while True:
            ready = dict(poller.poll())
            if self.inside in ready:
                frames = self.inside.recv_multipart()
                if frames == [b"stop"]:
                    break
                self.socket.send_multipart(frames)
            if self.socket in ready:
                answer = self.on_message(self.socket.recv_multipart())
                if answer:
                    self.socket.send_multipart(answer)
        self.socket.close(0)
        self.inside.close(0)

    def send(self, frames):
        with self.lock:
            self.outside.send_multipart(frames)

    def stop(self):
        with self.lock:
            self.outside.send(b"stop")
        self.join(PATIENCE_S)
        self.outside.close(0)


def sort(channel, frames):
    """Where a message to an attached engine belongs. Recalls may come at any time, as slow as engines here begin: who
    wants to see them reads `recall`."""
    is_recall = channel == b"task" and DELIMITER in frames and header_of(frames).get("msg_type") == "ersa_recall"
    return "recall" if is_recall else channel.decode()


class Engine:
    """What both kinds of engine do with a request that they got."""

    def __init__(self, controller, name=None):
        self.controller = controller
        self.uuid = name or new_uuid()
        self.session = Session(controller.key, self.uuid)
        self.id = None

    def registration(self, wish=None, caps=None, **ersa):
        content = {"uuid": self.uuid}
        if wish is not None:
            content["id"] = wish
        if caps is not None:
            content["ersa"] = {"v": 1, "caps": caps, **ersa}
        return self.session.pack("registration_request", content)

    def reply_to(self, request, msg_type=None, content=None, metadata=None, buffers=()):
        """Envelope and message that answer a request's frames."""
        at = request.index(DELIMITER)
        header = header_of(request)
        meta = {"engine": self.uuid, "status": "ok", "dependencies_met": True, "started": header["date"]}
        meta.update(metadata or {})
        frames = self.session.pack(msg_type or header["msg_type"].replace("_request", "_reply"),
                                   content or {"status": "ok"}, parent=header, metadata=meta, buffers=buffers)
        return request[:at] + frames

    def begun(self, request):
        """Tells that it begins the task (extensions.md 4)."""
        at = request.index(DELIMITER)
        return request[:at] + self.session.pack("ersa_begun", parent={"msg_id": header_of(request)["msg_id"]})

    def status(self, request, state):
        """An iopub status message that belongs to the request."""
        return [f"engine.{self.id}.status".encode(),
                *self.session.pack("status", {"execution_state": state}, parent=header_of(request))]

    def stream(self, request, text, name="stdout"):
        return [f"engine.{self.id}.{name}".encode(),
                *self.session.pack("stream", {"name": name, "text": text}, parent=header_of(request))]


class StockEngine(Peer, Engine):
    def __init__(self, context, controller, name=None, beat=True):
        Peer.__init__(self, context, controller)
        Engine.__init__(self, controller, name)
        self.identity = self.uuid.encode()
        self.beats = 0
        self.heart = None
        self.with_heart = beat
        self.query = self.socket(zmq.DEALER, controller.url("registration", "engine"), self.identity)

    def register(self, wish=None, caps=None, timeout=PATIENCE_S, **ersa):
        """Sends the request; connects and beats when it is accepted. The reply."""
        self.query.send_multipart(self.registration(wish, caps, **ersa))
        reply = self.session.unpack(raw_recv(self.query, timeout))
        if reply.content.get("status") == "ok":
            self.id = reply.content["id"]
            self.connect(reply.content)
        return reply

    def connect(self, reply):
        url = self.controller.url
        leaves = len(self.controller.engine_info["broadcast"])
        self.shell = self.socket(zmq.ROUTER, [url("mux", "engine"), url("task", "engine"),
                                              url("broadcast", "engine", self.id % leaves)], self.identity)
        self.control = self.socket(zmq.ROUTER, url("control", "engine"), self.identity)
        self.iopub = self.socket(zmq.PUB, url("iopub", "engine"), self.identity)
        if self.with_heart:
            self.start_heart()

    def start_heart(self):
        url = self.controller.url
        ping = secure(self.context.socket(zmq.SUB), self.controller)
        ping.subscribe(b"")
        pong = self.socket(zmq.DEALER, url("hb_pong", "engine"), self.identity)
        ping.connect(url("hb_ping", "engine"))

        def echo(frames):
            self.beats += 1
            pong.send_multipart(frames)

        self.heart = Pump(self.context, ping, echo)

    def stop_heart(self):
        if self.heart:
            self.heart.stop()
            self.heart = None

    def recv(self, timeout=PATIENCE_S):
        """A request on the shell socket: [controller's identity, client, ...]."""
        return raw_recv(self.shell, timeout)

    def recv_control(self, timeout=PATIENCE_S):
        return raw_recv(self.control, timeout)

    def answer(self, request, **kw):
        self.shell.send_multipart(self.reply_to(request, **kw))

    def begin(self, request):
        self.shell.send_multipart(self.begun(request))

    def answer_control(self, request, **kw):
        self.control.send_multipart(self.reply_to(request, **kw))

    def publish(self, frames):
        self.iopub.send_multipart(frames)

    def unregister(self, cause=None):
        content = {"id": self.id}
        if cause:
            content["ersa"] = {"cause": cause}
        self.query.send_multipart(self.session.pack("unregistration_request", content))

    def close(self):
        self.stop_heart()
        super().close()


class AttachEngine(Engine):
    """One DEALER; a thread echoes pings and sorts what comes by channel."""

    def __init__(self, context, controller, name=None, beat=True):
        super().__init__(controller, name)
        self.beat = beat
        self.channels = {c: queue.Queue() for c in ("query", "mux", "task", "recall", "broadcast", "control", "hb")}
        socket = secure(context.socket(zmq.DEALER), controller)
        socket.linger = 0
        socket.set_hwm(0)
        socket.identity = self.uuid.encode()
        socket.connect(controller.url("attach", "engine"))
        self.pump = Pump(context, socket, self.on_message)

    def on_message(self, frames):
        channel = sort(frames[0], frames[1:])
        self.channels[channel].put(frames[1:])
        return frames if channel == "hb" and self.beat else None

    def send(self, channel, frames):
        self.pump.send([channel.encode(), *frames])

    def recv_channel(self, channel, timeout=PATIENCE_S):
        try:
            return self.channels[channel].get(timeout=timeout)
        except queue.Empty:
            raise Silence(f"nothing on {channel} in {timeout} s") from None

    def register(self, wish=None, caps=tuple(CAPS), ready=True, timeout=PATIENCE_S):
        self.send("query", self.registration(wish, list(caps)))
        reply = self.session.unpack(self.recv_channel("query", timeout))
        if reply.content.get("status") == "ok":
            self.id = reply.content["id"]
            if ready and "ready" in caps:
                self.ready()
        return reply

    def ready(self):
        self.send("query", self.session.pack("ersa_ready", {"id": self.id}))

    def recv(self, timeout=PATIENCE_S, channel="task"):
        return self.recv_channel(channel, timeout)

    def answer(self, request, channel="task", **kw):
        self.send(channel, self.reply_to(request, **kw))

    def begin(self, request):
        self.send("task", self.begun(request))

    def publish(self, frames):
        self.send("iopub", frames)

    def unregister(self, cause=None, begun=()):
        self.send("query", self.session.pack("unregistration_request", {
            "id": self.id, "ersa": {"cause": cause, "begun": list(begun)}}))

    def close(self):
        if self.pump:
            self.pump.stop()
            self.pump = None


class RawEngine(Engine):
    """An attached engine on a bare socket, for what libzmq does not do: to read slowly or not at all, to send a
    message in pieces. It beats only when told to."""

    def __init__(self, controller, receive_buffer=65536, name=None):
        super().__init__(controller, name)
        host, port = controller.url("attach", "engine").removeprefix("tcp://").split(":")
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect((host, int(port)))
        self.socket.sendall(zmtp.greeting() + zmtp.ready(b"DEALER", self.uuid.encode()))
        self.file = self.socket.makefile("rb")
        self.file.read(64)

    @staticmethod
    def encode(frames):
        return b"".join((b"\x03" if i < len(frames) - 1 else b"\x02") + struct.pack(">Q", len(f)) + f
                        for i, f in enumerate(frames))

    def send(self, channel, frames):
        self.socket.sendall(self.encode([channel.encode(), *frames]))

    def recv_message(self):
        """The next one, whatever channel it is for."""
        frames = []
        while True:
            flags = self.file.read(1)[0]
            size = struct.unpack(">Q", self.file.read(8))[0] if flags & 2 else self.file.read(1)[0]
            body = self.file.read(size)
            if flags & 4:
                continue
            frames.append(body)
            if not flags & 1:
                return frames

    def recv_channel(self, channel):
        while True:
            name, *frames = self.recv_message()
            if sort(name, frames) == channel:
                return frames

    def register(self, **ersa):
        self.send("query", self.registration(caps=CAPS, **ersa))
        reply = self.session.unpack(self.recv_channel("query"))
        self.id = reply.content["id"]
        self.send("query", self.session.pack("ersa_ready", {"id": self.id}))

    def close(self):
        self.file.close()
        self.socket.close()


class Client(Peer):
    def __init__(self, context, controller, key=None):
        super().__init__(context, controller)
        self.session = Session(controller.key if key is None else key)
        url = controller.url
        self.notification = self.subscriber(url("notification"))
        self.query_socket = self.socket(zmq.DEALER, url("registration"))
        self.mux, self.task, self.control, self.broadcast = (
            self.socket(zmq.DEALER, url(name)) for name in ("mux", "task", "control", "broadcast"))
        self.iopub = self.subscriber(url("iopub"))

    def subscriber(self, url):
        s = self.socket(zmq.SUB, url)
        s.subscribe(b"")
        return s

    def query(self, msg_type, content=None, timeout=PATIENCE_S):
        """Asks the hub; the reply."""
        request = self.session.pack(msg_type, content)
        self.query_socket.send_multipart(request)
        reply = self.session.unpack(raw_recv(self.query_socket, timeout))
        assert reply.parent["msg_id"] == header_of(request)["msg_id"]
        return reply

    def engines(self):
        content = self.query("connection_request").content
        assert content["status"] == "ok"
        return {int(k): v for k, v in content["engines"].items()}

    def wait_engines(self, n, timeout=PATIENCE_S):
        return wait_until(lambda: (e := self.engines()) is not None and len(e) == n and (e or True), timeout,
                          f"{n} engines")

    def notified(self, timeout=PATIENCE_S):
        """The next notification."""
        frames = raw_recv(self.notification, timeout)
        assert frames[0] == DELIMITER
        return self.session.unpack(frames)

    def wait_notified(self, msg_type, timeout=PATIENCE_S):
        while True:
            note = self.notified(timeout)
            if note.type == msg_type:
                return note

    def wait_subscribed(self):
        """Until notifications arrive here: an engine comes and goes for it."""
        probe = StockEngine(self.context, self.controller, beat=False)
        try:
            probe.register()
        finally:
            probe.close()

    def submit(self, content=None, metadata=None, buffers=(b"work",), msg_type="apply_request", **kw):
        """A load-balanced task; its header."""
        frames = self.session.pack(msg_type, content, metadata=metadata, buffers=buffers, **kw)
        self.task.send_multipart(frames)
        return header_of(frames)

    def send_mux(self, engine_uuid, content=None, buffers=(b"work",), msg_type="apply_request", socket=None, **kw):
        frames = self.session.pack(msg_type, content, buffers=buffers, **kw)
        (socket or self.mux).send_multipart([engine_uuid.encode(), *frames])
        return header_of(frames)

    def send_control(self, engine_uuid, msg_type, content=None):
        return self.send_mux(engine_uuid, content, (), msg_type, self.control)

    def recv(self, socket, timeout=PATIENCE_S):
        return self.session.unpack(raw_recv(socket, timeout))


@contextlib.contextmanager
def silence(socket, seconds=0.3):
    """Nothing must come on the socket while the block runs, nor `seconds` after it."""
    yield
    assert not socket.poll(seconds * 1000), socket.recv_multipart()
