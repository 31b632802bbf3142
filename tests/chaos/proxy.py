# SPDX-License-Identifier: BSD-3-Clause
"""A TCP relay in front of one port that can be told to reset its connections, with whatever it holds of them, or to hold
back for a while what it is given, as a tunnel may do."""
import contextlib
import random
import selectors
import socket
import struct
import threading
import time

PIECE = 65536
LINGER_0 = struct.pack("ii", 1, 0)


class Proxy(threading.Thread):
    """Relays connections to `address` (host, port). One thread; `port` is where it listens."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.address = address
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.selector = selectors.DefaultSelector()
        self.wake_in, self.wake_out = socket.socketpair()
        self.selector.register(self.listener, selectors.EVENT_READ, self.accept)
        self.selector.register(self.wake_out, selectors.EVENT_READ, self.obey)
        self.pairs = []
        self.orders = []
        self.start()

    def cut(self):
        """Resets all connections, in the middle of whatever they carry."""
        self.order(self.cut_all)

    def hold(self, seconds):
        """Relays nothing for so long. The kernel acknowledges what comes."""
        self.order(lambda: time.sleep(seconds))

    def go_away(self):
        """Resets all connections and takes no more, until come_back()."""
        self.order(self.close_all)

    def come_back(self):
        self.order(self.listen)

    def close_all(self):
        self.cut_all()
        self.selector.unregister(self.listener)
        self.listener.close()

    def listen(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.selector.register(self.listener, selectors.EVENT_READ, self.accept)

    def stop(self):
        self.order(None)
        self.join(10)

    def order(self, what):
        self.orders.append(what)
        self.wake_in.send(b"x")

    def run(self):
        while True:
            for key, _ in self.selector.select():
                if key.data(key.fileobj) == "end":
                    self.cut_all()
                    self.listener.close()
                    return

    def obey(self, sock):
        sock.recv(1)
        what = self.orders.pop(0)
        return what() if what else "end"

    def accept(self, listener):
        here = listener.accept()[0]
        try:
            there = socket.create_connection(self.address)
        except OSError:
            here.close()
            return
        self.pairs.append((here, there))
        for one, other in ((here, there), (there, here)):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.selector.register(one, selectors.EVENT_READ, lambda sock, to=other: self.relay(sock, to))

    def relay(self, sock, to):
        if sock.fileno() < 0:
            return
        try:
            octets = sock.recv(PIECE)
            if octets:
                to.sendall(octets)
                return
        except OSError:
            pass
        self.close(next(p for p in self.pairs if sock in p), False)

    def cut_all(self):
        for pair in list(self.pairs):
            # What is on its way is read by nobody, or by half.
            for sock in pair:
                with contextlib.suppress(OSError):
                    sock.recv(random.choice((1, 100, PIECE)), socket.MSG_DONTWAIT)
            self.close(pair, True)

    def close(self, pair, by_reset):
        self.pairs.remove(pair)
        for sock in pair:
            self.selector.unregister(sock)
            if by_reset:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_0)
            sock.close()
