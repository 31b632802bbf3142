# SPDX-License-Identifier: BSD-3-Clause
"""Sockets of libzmq that peers of a controller have: several closed together, or one with a thread that owns it."""
import threading
import uuid

import zmq

from waiting import PATIENCE_S


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
