# SPDX-License-Identifier: BSD-3-Clause
"""A client's seven connections to a controller."""
import zmq

from engines import StockEngine
from messages import DELIMITER, Session, header_of
from sockets import Peer
from waiting import PATIENCE_S, raw_recv, wait_until


def unassigned(client):
    """How many tasks wait at the scheduler."""
    return client.query("queue_request", {"targets": None}).content["unassigned"]


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
