# SPDX-License-Identifier: BSD-3-Clause
"""Of an engine's eight stock sockets the one to the hub loses the answer to a registration: the engine asks again, and
is told what it has become by the first time. Or the answer is late, while the other sockets go on."""
import contextlib
import socket
import time

import ipyparallel as ipp
import pytest
from processes import wait_until

from proxy import Proxy
from trouble import Troubled


class Hub(Proxy):
    """In front of the hub; something may happen to the next registration_reply over a new connection."""
    is_armed = False
    known = ()

    def relay(self, sock, to):
        pair = next((p for p in self.pairs if sock in p), None)
        if self.is_armed and pair and sock is pair[1] and pair not in self.known \
                and b"registration_reply" in sock.recv(65536, socket.MSG_PEEK):
            self.is_armed = False
            self.on_reply(pair)
        super().relay(sock, to)

    def cut_and_arm(self):
        def arm():
            self.known = list(self.pairs)
            self.is_armed = True
            self.cut_all()
        self.order(arm)


class Losing(Hub):
    """Loses it, and the connection."""
    def on_reply(self, pair):
        self.close(pair, True)


@ipp.interactive
def run(path, n, seconds):
    import time
    with open(path, "a") as f:
        f.write(f"{n}\n")
    time.sleep(seconds)
    return n


class Late(Hub):
    def on_reply(self, pair):
        time.sleep(4)


class LosingFirst(Losing):
    is_armed = True


def test_the_first_one(tmp_path):
    with Troubled(tmp_path, []) as cluster:
        cluster.start_through("attach", registration=LosingFirst)
        with cluster.client(1) as client:
            assert client.load_balanced_view().apply_async(abs, -1).get(timeout=20) == 1


def test_of_an_engine_that_was_given_up(tmp_path):
    """Its heart is held back, so what it has not begun goes to another engine when it registers anew: whether it hears
    of that the first time or the second, it does not run that, too."""
    ran = tmp_path / "ran"
    with Troubled(tmp_path, [], ["--hwm=3"]) as cluster:
        engine = cluster.start_through("attach", hb_pong=Proxy, registration=Losing)
        with cluster.client(1) as client:
            view = client.load_balanced_view()
            tasks = [view.apply_async(run, str(ran), n, 6 if n == 0 else 0) for n in range(3)]
            wait_until(ran.exists, "the first task's begin")
            cluster.start_engine()
            wait_until(lambda: len(client.ids) == 2, "another engine")
            engine.proxies["hb_pong"].hold(8)
            wait_until(lambda: "its heartbeat stopped" in cluster.controller.output(), "the end of its heart")
            engine.proxies["registration"].cut_and_arm()
            for task in tasks:
                with contextlib.suppress(ipp.error.RemoteError):
                    task.get(timeout=30)
            time.sleep(8)  # the first one's end, and what may stand behind it
            assert sorted(ran.read_text().split()) == ["0", "1", "2"]


@pytest.mark.parametrize("disabled", ["attach", "attach,ready"])
def test_that_is_late(tmp_path, disabled):
    """The engine drops what it had from before; but nothing that is sent to it as the one that it has become."""
    with Troubled(tmp_path, [], ["--hwm=3"]) as cluster:
        engine = cluster.start_through(disabled, hb_pong=Proxy, registration=Late)
        with cluster.client(1) as client:
            view = client.load_balanced_view()
            view.apply_sync(abs, 1)
            engine.proxies["hb_pong"].hold(3)
            wait_until(lambda: not client.ids, "the end of its heart")
            engine.proxies["registration"].cut_and_arm()
            wait_until(lambda: client.ids, "its registration")
            task, direct = view.apply_async(abs, -1), client[:].apply_async(abs, -2)
            assert task.get(timeout=20) == 1 and direct.get(timeout=20) == [2]
