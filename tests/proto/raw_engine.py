# SPDX-License-Identifier: BSD-3-Clause
"""An attached engine on a bare socket."""
import socket
import struct

import zmtp
from engines import CAPS, Engine, sort
from waiting import PATIENCE_S


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
