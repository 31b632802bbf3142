# SPDX-License-Identifier: BSD-3-Clause
"""Waiting for a condition or for a message, with a deadline; and that nothing comes."""
import contextlib
import os
import time

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


def raw_recv(socket, timeout=PATIENCE_S):
    if not socket.poll(timeout * 1000):
        raise Silence(f"nothing came in {timeout} s")
    return socket.recv_multipart()


@contextlib.contextmanager
def silence(socket, seconds=0.3):
    """Nothing must come on the socket while the block runs, nor `seconds` after it."""
    yield
    assert not socket.poll(seconds * 1000), socket.recv_multipart()
