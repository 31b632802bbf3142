#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Captures a conversation of a stock client and a stock engine with a stock controller:

    .venv-ref/bin/python tests/proto/capture.py tests/proto/captured/new.jsonl [plain | broadcast]

Run by the interpreter whose `ipyparallel` is to be heard. The controller listens on 127.0.0.1; a proxy on 127.0.0.2 with the
same ports stands in between, and the peers' connection files name that address. What is said is below, in `converse` and
`broadcast`."""
import json
import os
import pathlib
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from conversation import GREETING_SIZE, save

KEY = "00c0ffee-0123456789abcdef01234567"
HERE, PROXY = "127.0.0.1", "127.0.0.2"
DEADLINE_S = 60


def ports_of(info, side):
    """Number to (side, name) for the ports of one connection file."""
    names = {}
    for name, value in info.items():
        if isinstance(value, int) and name not in ("pack", "unpack"):
            names[value] = (side, name)
        elif isinstance(value, list):
            names.update({number: (side, f"{name}.{i}") for i, number in enumerate(value) if isinstance(number, int)})
    return names


class Proxy(threading.Thread):
    def __init__(self, ports):
        super().__init__(daemon=True)
        self.steps, self.n, self.n_open, self.stopped = [], 0, 0, False
        self.selector = selectors.DefaultSelector()
        self.said = {}  # octets by (connection, direction)
        for number, name in ports.items():
            listener = socket.create_server((PROXY, number))
            self.selector.register(listener, selectors.EVENT_READ, ("listen", number, name))
        self.start()

    def run(self):
        while not self.stopped:
            for key, _ in self.selector.select(0.05):
                if key.data[0] == "listen":
                    self.open(key.fileobj, *key.data[1:])
                else:
                    self.carry(key.fileobj, *key.data)

    def open(self, listener, number, name):
        peer, controller = listener.accept()[0], socket.create_connection((HERE, number))
        for s in (peer, controller):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.steps.append((self.n, "open", *name))
        self.selector.register(peer, selectors.EVENT_READ, (self.n, "out", controller, name[1]))
        self.selector.register(controller, selectors.EVENT_READ, (self.n, "in", peer, name[1]))
        self.n += 1
        self.n_open += 1

    def carry(self, s, connection, direction, other, name):
        try:
            octets = s.recv(1 << 20)
            if octets:
                other.sendall(octets)
        except OSError:
            octets = b""
        if not octets:
            for end in (s, other):
                self.selector.unregister(end)
                end.close()
            self.steps.append((connection, "close"))
            self.n_open -= 1
            return
        self.note(connection, direction, octets, name)

    def note(self, connection, direction, octets, name):
        """Of hearts only what is said before the first echo: their times are never the same again."""
        before = self.said.get((connection, direction), 0)
        self.said[connection, direction] = before + len(octets)
        is_echo = name == "hb_pong" and before > GREETING_SIZE
        if not name.startswith("hb_") or (direction == "out" and not is_echo):
            self.steps.append((connection, direction, octets))


def wait_until(condition, what):
    deadline = time.monotonic() + DEADLINE_S
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {DEADLINE_S} s"
        time.sleep(0.05)
    return value


def square(x):
    return x * x


def fail():
    return 1 / 0


def converse(rc, start_engine):
    """Everything that is captured."""
    engine = start_engine()
    wait_until(lambda: rc.ids, "an engine")
    view = rc[0]
    assert view.apply_sync(square, 7) == 49
    view.push({"a": list(range(10))}, block=True)
    assert view.pull("a", block=True) == list(range(10))
    ar = view.execute("print('heard'); b = sum(a)", silent=False, block=False)
    ar.get(DEADLINE_S)
    wait_until(lambda: (ar.stdout if isinstance(ar.stdout, str) else "".join(ar.stdout)).count("heard"), "output")
    assert view.pull("b", block=True) == 45
    try:
        view.apply_sync(fail)
    except Exception as e:
        assert "ZeroDivisionError" in str(e) or "ZeroDivisionError" in type(e).__name__ + repr(e)
    balanced = rc.load_balanced_view()
    assert balanced.map_sync(square, range(5)) == [0, 1, 4, 9, 16]
    with balanced.temp_flags(retries=1):
        first = balanced.apply(square, 2)
    with balanced.temp_flags(after=[first]):
        assert balanced.apply(square, 3).get(DEADLINE_S) == 9
    rc.queue_status()
    rc.result_status(first.msg_ids[0])
    rc.purge_results(jobs=[first.msg_ids[0]])
    try:
        rc.result_status("no such id", status_only=False)
    except Exception:
        pass
    rc.abort(block=True)
    rc.clear(block=True)
    engine.send_signal(signal.SIGTERM)
    engine.wait(DEADLINE_S)
    wait_until(lambda: not rc.ids, "the engine's end")
    rc.close()


def broadcast(rc, start_engine):
    """Two engines, plain and coalescing; then one of them leaves."""
    first = start_engine()
    wait_until(lambda: len(rc.ids) == 1, "an engine")
    second = start_engine()
    wait_until(lambda: len(rc.ids) == 2, "two engines")
    for is_coalescing in (False, True):
        view = rc.broadcast_view(is_coalescing=is_coalescing)
        assert view.apply_sync(square, 7) == [49, 49]
        view.push({"a": is_coalescing}, block=True)
        assert view.pull("a", block=True) == [is_coalescing] * 2
        ar = view.execute("print('heard'); b = not a", silent=False, block=False)
        ar.get(DEADLINE_S)
        wait_until(lambda ar=ar: "".join(ar.stdout).count("heard") == 2, "output")
        assert view.pull("b", block=True) == [not is_coalescing] * 2
        # One engine: which failure stands for all is our own decision.
        try:
            rc.broadcast_view(targets=[1], is_coalescing=is_coalescing).apply_sync(fail)
        except Exception as e:
            assert "ZeroDivisionError" in type(e).__name__ + repr(e) + str(e)
    rc.queue_status()
    second.send_signal(signal.SIGTERM)
    second.wait(DEADLINE_S)
    wait_until(lambda: len(rc.ids) == 1, "the second engine's end")
    for is_coalescing in (False, True):
        assert rc.broadcast_view(is_coalescing=is_coalescing).apply_sync(square, 3) == [9]
    first.send_signal(signal.SIGTERM)
    first.wait(DEADLINE_S)
    wait_until(lambda: not rc.ids, "the first engine's end")
    rc.close()


def main(target, converse):
    import ipyparallel
    env = dict(os.environ, IPP_SESSION_KEY=KEY)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        env["IPYTHONDIR"] = str(folder)
        there, here = folder / "there", folder / "profile_captured"
        controller = subprocess.Popen([sys.executable, "-m", "ipyparallel.controller", f"--profile-dir={there}",
                                       "--HeartMonitor.period=1000"], env=env)
        files = {side: there / "security" / f"ipcontroller-{side}.json" for side in ("client", "engine")}
        wait_until(lambda: all(f.exists() and f.stat().st_size for f in files.values()), "connection files")
        (here / "security").mkdir(parents=True)
        ports = {}
        for side, path in files.items():
            info = json.loads(path.read_text())
            ports.update(ports_of(info, side))
            info["interface"] = f"tcp://{PROXY}"
            (here / "security" / path.name).write_text(json.dumps(info))
        proxy = Proxy(ports)
        rc = ipyparallel.Client(str(here / "security" / "ipcontroller-client.json"))

        started = [controller]

        def start_engine():
            started.append(subprocess.Popen([sys.executable, "-m", "ipyparallel.engine", f"--profile-dir={here}"], env=env))
            return started[-1]

        try:
            converse(rc, start_engine)
            wait_until(lambda: proxy.n_open == 0, "the end of all connections")
        finally:
            for process in reversed(started):
                process.terminate()
                process.wait(DEADLINE_S)
        proxy.stopped = True
        proxy.join()
        about = {"ipyparallel": ipyparallel.__version__, "key": KEY}
        save(target, about, proxy.steps)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve(), {"plain": converse, "broadcast": broadcast}[(*sys.argv[2:], "plain")[0]])
