# SPDX-License-Identifier: BSD-3-Clause
"""Engines that a test plays: with the eight connections of the reference (StockEngine), or with one
(AttachEngine, docs/protocol/extensions.md 2)."""
import queue

import zmq

from messages import DELIMITER, Session, header_of, new_uuid
from sockets import Peer, Pump, secure
from waiting import PATIENCE_S, Silence, raw_recv

CAPS = ["attach", "ready", "begun", "death_cause", "quiet_status", "recall"]


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
