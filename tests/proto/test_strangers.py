# SPDX-License-Identifier: BSD-3-Clause
"""What anybody can cause who reaches a port, as often as they like: each is counted, few are told in the log."""
import socket
import time

from test_metrics import Metrics
from waiting import wait_until

LINES_MAX = 20  # of a kind, in a minute


def lines(controller, words):
    return [line for line in controller.log().splitlines() if words in line]


def told(controller, words, more, n):
    """Some lines, and how many more there were, when the controller ends."""
    shown = lines(controller, words)
    assert 1 <= len(shown) <= LINES_MAX * (2 + int(time.monotonic() - told.begun) // 60)
    held = sum(int(line.split(more)[0].split()[-1]) for line in lines(controller, more))
    assert len(shown) + held == n


def test_port_scanners(start_controller):
    n = 2000
    told.begun = time.monotonic()
    controller = start_controller("--metrics-port=0")
    metrics = Metrics(controller)
    for _ in range(n):
        with socket.create_connection(("127.0.0.1", controller.client_info["task"])) as s:
            s.sendall(b"GET / HTTP/1.0\r\n\r\n")
    wait_until(lambda: metrics.read()["ersa_failed_handshakes_total",] == n, what="all of them counted")
    controller.stop()
    told(controller, "not a fitting ZMTP peer", " more connections were closed", n)


def test_wrong_keys(start_controller, make_peers):
    n = 60
    told.begun = time.monotonic()
    controller = start_controller("--metrics-port=0")
    metrics, peers = Metrics(controller), make_peers(controller)
    for i in range(n):
        stranger = peers.client(key="another key")
        stranger.submit()
        stranger.submit()
        wait_until(lambda: metrics.read()["ersa_dropped_messages_total", "signature"] == 2 * (i + 1), what="both counted")
        stranger.close()
    controller.stop()
    told(controller, "signature", " more peers sent what was dropped", n)
