# SPDX-License-Identifier: BSD-3-Clause
"""Our additions (extensions.md), each of them switched off."""
import pytest

from engines import CAPS
from messages import header_of
from waiting import Silence


@pytest.fixture(params=CAPS)
def without(request, start_controller, make_peers):
    """(name of the capability, controller without it, its peers)."""
    controller = start_controller("--ping=100", f"--Ersa.disable={request.param}")
    return request.param, controller, make_peers(controller)


def test_a_task_goes_through(without):
    name, controller, peers = without
    for side in (controller.client_info, controller.engine_info):
        assert name not in side.get("ersa", {}).get("caps", [])
    client = peers.client()
    if name == "attach":
        assert "attach" not in controller.engine_info["ersa"]
        engine = peers.stock(register=False)
        assert "attach" not in engine.register(caps=CAPS).content["ersa"]["caps"]
        engine.query.send_multipart(engine.session.pack("ersa_ready", {"id": engine.id}))
    else:
        engine = peers.attached(register=False)
        reply = engine.register(ready=name != "ready")
        assert sorted(reply.content["ersa"]["caps"]) == sorted(set(CAPS) - {name})
    client.wait_engines(1)
    header = client.submit()
    request = engine.recv()
    assert header_of(request) == header
    engine.answer(request)
    assert client.recv(client.task).parent == header


def test_without_begun_a_dead_engines_task_fails(start_controller, make_peers):
    peers = make_peers(start_controller("--ping=100", "--Ersa.disable=begun"))
    client, engine = peers.client(), peers.attached()
    client.wait_engines(1)
    client.submit()
    engine.recv()
    engine.close()
    assert client.recv(client.task).content["ename"] == "EngineError"


def test_without_death_cause_none_is_told(start_controller, make_peers):
    peers = make_peers(start_controller("--ping=100", "--Ersa.disable=death_cause"))
    client, engine = peers.client(), peers.attached()
    client.wait_subscribed()
    client.wait_engines(1)
    engine.unregister(cause="secret")
    assert "ersa" not in client.wait_notified("unregistration_notification").content


def test_several_at_once(start_controller):
    controller = start_controller("--Ersa.disable=" + ",".join(CAPS))
    assert controller.engine_info.get("ersa", {}).get("caps", []) == []


def test_capability_needs_both_sides(start_controller, make_peers):
    """An engine that does not announce `begun` counts every task as begun."""
    peers = make_peers(start_controller("--ping=100"))
    client, engine = peers.client(), peers.attached(caps=["attach", "ready"])
    client.wait_engines(1)
    client.submit()
    engine.recv()
    engine.close()
    assert client.recv(client.task).content["ename"] == "EngineError"
    with pytest.raises(Silence):
        client.recv(client.task, timeout=0.2)
