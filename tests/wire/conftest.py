# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures: ports of ours, sockets of libzmq and raw ones, all gone at the end of a test."""
import pathlib
import sys

import pytest
import zmq

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

import peer  # noqa: E402


@pytest.fixture
def port():
    """Starts ports; each must end well."""
    started = []

    def start(kind, **options):
        started.append(peer.Port(kind, **options))
        return started[-1]

    yield start
    for p in started:
        if not p.process.stdin.closed:
            p.close()


@pytest.fixture
def zsocket():
    """Makes sockets of libzmq."""
    context = zmq.Context()

    def make(kind, **options):
        s = context.socket(getattr(zmq, kind))
        s.set(zmq.LINGER, 0)
        s.set(zmq.RCVTIMEO, 1000 * peer.DEADLINE_S)
        s.set(zmq.SNDTIMEO, 1000 * peer.DEADLINE_S)
        s.set(zmq.RECONNECT_IVL, 20)
        for name, value in options.items():
            s.set(getattr(zmq, name), value)
        return s

    yield make
    context.destroy(linger=0)


@pytest.fixture
def raw():
    """Connects raw sockets."""
    made = []

    def connect(endpoint):
        made.append(peer.Raw.connect(endpoint))
        return made[-1]

    yield connect
    for r in made:
        r.close()


@pytest.fixture
def listener():
    one = peer.Listener()
    yield one
    one.close()
