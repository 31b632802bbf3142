# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures of the protocol tests: everything started by a test is stopped by its end."""
import itertools
import pathlib
import sys

import pytest
import zmq

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from clients import Client  # noqa: E402
from controllers import Controller  # noqa: E402
from engines import AttachEngine, StockEngine  # noqa: E402
from raw_engine import RawEngine  # noqa: E402


@pytest.fixture
def context():
    ctx = zmq.Context()
    ctx.max_sockets = 8192
    yield ctx
    ctx.destroy(linger=0)


@pytest.fixture
def start_controller(tmp_path):
    """Starts `ipcontroller` with these arguments; checks at the end that it ends well."""
    started, numbers = [], itertools.count()

    def start(*args, **kw):
        folder = tmp_path / f"controller{next(numbers)}"
        folder.mkdir()
        started.append(Controller(folder, *args, **kw))
        return started[-1]

    yield start
    for c in started:
        if c.log_file.closed:
            continue
        c.stop()


@pytest.fixture
def controller(start_controller):
    return start_controller("--ping=200")


@pytest.fixture
def peers(context, controller):
    """Makes peers of `controller` that are closed at the end."""
    yield from peer_factory(context, controller)


def peer_factory(context, controller):
    made = []

    class Peers:
        def client(self, **kw):
            made.append(Client(context, controller, **kw))
            return made[-1]

        def stock(self, register=True, wish=None, **kw):
            made.append(StockEngine(context, controller, **kw))
            if register:
                made[-1].register(wish)
            return made[-1]

        def attached(self, register=True, wish=None, caps=None, **kw):
            made.append(AttachEngine(context, controller, **kw))
            if register:
                made[-1].register(wish, **({} if caps is None else {"caps": caps}))
            return made[-1]

        def raw(self, register=True, **kw):
            made.append(RawEngine(controller, **kw))
            if register:
                made[-1].register()
            return made[-1]

    yield Peers()
    for peer in made:
        peer.close()


@pytest.fixture
def make_peers(context):
    """The same for a controller that a test started itself."""
    factories = []

    def make(controller):
        factories.append(peer_factory(context, controller))
        return next(factories[-1])

    yield make
    for f in factories:
        next(f, None)


@pytest.fixture
def client(peers):
    c = peers.client()
    c.engines()
    return c
