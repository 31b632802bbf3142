# SPDX-License-Identifier: BSD-3-Clause
"""The engine state file, --reuse and --restore: a controller that is killed and started again (controller.md 11.2, 11.3)."""
import json
import pathlib
import stat

import pytest

from controllers import Controller
from engines import CAPS
from messages import header_of, new_uuid
from waiting import PATIENCE_S, raw_recv, wait_until


def state_path(controller):
    return controller.profile / "log" / "engines.json"


def read_state(controller):
    try:
        return json.loads(state_path(controller).read_text())
    except FileNotFoundError:
        return None


def wait_state(controller, engines, next_id):
    want = {"engines": {str(e.id): e.uuid for e in engines}, "next_id": next_id}
    wait_until(lambda: read_state(controller) == want, what=f"{want}, but {read_state(controller)}")


@pytest.fixture
def restart(start_controller):
    """Kills the controller and starts another in its place."""
    started = []

    def again(controller, *args, **kw):
        if controller.alive():
            controller.kill()
        started.append(Controller(controller.profile.parent, *args, **kw))
        return started[-1]

    yield again
    for c in started:
        if not c.log_file.closed:
            c.stop()


@pytest.fixture
def restored(start_controller, restart, make_peers):
    """(peers, client, engine): an engine of that kind, whose controller was killed and started again with --restore."""
    def go(kind):
        controller = start_controller("--ping=100", "--reuse")
        peers = make_peers(controller)
        client, engine = peers.client(), getattr(peers, kind)()
        client.wait_engines(1)
        wait_state(controller, [engine], 1)
        restart(controller, "--ping=100", "--restore")
        return peers, client, engine

    return go


def test_state_file_follows_the_engines(controller, peers, client):
    wait_state(controller, [], 0)
    first, second = peers.attached(), peers.stock()
    wait_state(controller, [first, second], 2)
    first.unregister()
    wait_state(controller, [second], 2)
    third = peers.attached(wish=7)
    wait_state(controller, [second, third], 8)
    assert stat.S_IMODE(state_path(controller).stat().st_mode) == 0o600
    assert [p.name for p in state_path(controller).parent.glob("engines*")] == ["engines.json"]


def test_state_file_that_could_not_be_written_is_written_later(controller, peers, client):
    """Without another event: the disk was full for a while, or there was no descriptor left."""
    wait_state(controller, [], 0)
    folder = state_path(controller).parent
    away = folder.rename(folder.with_name("away"))
    engine = peers.attached()
    controller.wait_log("can't be written")
    away.rename(folder)
    wait_state(controller, [engine], 1)


def test_state_file_of_a_controller_that_ends_names_who_was_there(start_controller, make_peers):
    controller = start_controller("--ping=200", "--cluster-id=x", files_in=0)
    wait_until(lambda: (controller.profile / "security" / "ipcontroller-x-client.json").exists(), what="files")
    controller.stop()
    assert json.loads((controller.profile / "log" / "enginesx.json").read_text()) == {"engines": {}, "next_id": 0}


def test_the_highest_id_that_may_be_wished_for_is_not_the_last(start_controller, restart, make_peers):
    controller = start_controller("--reuse")
    peers = make_peers(controller)
    engines = [peers.attached(wish=2 ** 31 - 1), peers.attached()]
    assert [e.id for e in engines] == [2 ** 31 - 1, 2 ** 31]
    wait_state(controller, engines, 2 ** 31 + 1)
    again = make_peers(restart(controller, "--restore")).attached()
    assert again.id == 2 ** 31 + 1


def test_pending_engines_are_not_in_it(controller, peers, client):
    peers.stock(beat=False)
    engine = peers.attached()
    wait_state(controller, [engine], 2)


def test_restored_engines_are_served_under_their_ids(start_controller, restart, make_peers):
    controller = start_controller("--ping=100", "--reuse")
    peers = make_peers(controller)
    client, stock, attached, lost = peers.client(), peers.stock(), peers.attached(), peers.stock()
    client.wait_engines(3)
    wait_state(controller, [stock, attached, lost], 3)
    controller.kill()
    lost.close()
    again = restart(controller, "--ping=100", "--restore")
    assert again.engine_info == controller.engine_info and again.client_info == controller.client_info

    # A stock engine doesn't know that there is another controller: no registration, no new heart.
    wait_until(lambda: client.engines().get(stock.id) == stock.uuid, what="the stock engine")
    header = client.send_mux(stock.uuid)
    request = stock.recv()
    assert header_of(request) == header
    stock.answer(request)
    assert client.recv(client.mux).parent == header
    # An attached one registers again.
    assert attached.id not in client.engines()
    reply = attached.register(wish=None)
    assert reply.content["status"] == "ok" and reply.content["id"] == 1
    wait_until(lambda: client.engines().get(1) == attached.uuid, what="the attached engine")
    for engine in (stock, attached):
        header = client.submit(metadata={"targets": [engine.uuid]})
        request = engine.recv()
        engine.answer(request)
        assert client.recv(client.task).parent == header
    # The one that is gone is given up after eleven beats, and old clients hear of it.
    note = client.wait_notified("unregistration_notification")
    assert note.content["id"] == lost.id and note.content["uuid"] == lost.uuid
    assert client.engines() == {0: stock.uuid, 1: attached.uuid}
    assert peers.stock().id == 3
    assert again.alive()


def test_restored_engine_over_stock_sockets_registers_while_it_serves(start_controller, restart, make_peers):
    """One of ours: what it says of beginning is no reply, and counts once it is known to say so."""
    controller = start_controller("--ping=100", "--reuse")
    peers = make_peers(controller)
    client, engine = peers.client(), peers.stock(register=False)
    engine.register(caps=CAPS)
    engine.query.send_multipart(engine.session.pack("ersa_ready", {"id": 0}))
    client.wait_engines(1)
    wait_state(controller, [engine], 1)
    restart(controller, "--ping=100", "--restore")
    wait_until(lambda: client.engines() == {0: engine.uuid}, what="the engine")
    header = client.submit()
    request = engine.recv()
    engine.begin(request)
    engine.answer(request)
    reply = client.recv(client.task)
    assert (reply.parent, reply.type) == (header, "apply_reply")

    engine.query.send_multipart(engine.registration(caps=CAPS))
    content = engine.session.unpack(raw_recv(engine.query)).content
    assert content["id"] == 0 and content["ersa"]["known"] is True and "begun" in content["ersa"]["caps"]
    def serve(request):
        engine.begin(request)
        engine.answer(request)
        client.recv(client.task)

    def two_at_once():
        """After short ones, as soon as the machine lets them be short."""
        for _ in range(20):
            client.submit()
            serve(engine.recv())
        headers, first = [client.submit() for _ in range(2)], engine.recv()
        if engine.shell.poll(200):
            return headers, [first, engine.recv()]
        serve(first)
        serve(engine.recv())
        return None
    headers, requests = wait_until(two_at_once, what="two tasks at once")
    assert [header_of(r) for r in requests] == headers
    # The second one has not begun: that is known now.
    other = peers.attached()
    engine.begin(requests[0])
    engine.unregister()
    assert header_of(other.recv()) == headers[1]
    assert client.recv(client.task).content["ename"] == "EngineError"


def test_restored_attached_engine_is_sent_nothing_before_it_registers(restored):
    """It drops what comes until then: that was for its connection before (extensions.md 2)."""
    _, client, engine = restored("attached")
    while not engine.channels["hb"].empty():
        engine.recv_channel("hb")
    engine.recv_channel("hb")  # it is connected
    header = client.send_mux(engine.uuid)
    client.submit()
    wait_until(lambda: len(client.query("history_request").content["history"]) == 2, what="both requests")
    assert engine.channels["mux"].empty() and engine.channels["task"].empty()
    assert engine.register().content["ersa"]["known"] is True
    request = engine.recv(channel="mux")
    assert header_of(request) == header
    engine.answer(request, channel="mux")
    assert client.recv(client.mux).parent == header
    assert engine.recv()


def test_restored_stock_engine_that_falls_silent_is_noticed(restored):
    _, client, engine = restored("stock")
    wait_until(lambda: client.engines() == {0: engine.uuid}, what="the engine")
    engine.stop_heart()
    wait_until(lambda: client.engines() == {}, what="its end")


def test_uuid_of_a_restored_engine_is_taken_once(restored):
    peers, client, engine = restored("attached")
    assert engine.register().content["id"] == 0
    client.wait_engines(1)
    other = peers.stock(register=False)
    other.uuid = engine.uuid
    assert other.register().content["ename"] == "KeyError"


def test_reuse_without_restore_starts_from_zero(start_controller, restart, make_peers):
    controller = start_controller("--ping=200", "--reuse")
    peers = make_peers(controller)
    client, first, second = peers.client(), peers.attached(), peers.attached()
    client.wait_engines(2)
    restart(controller, "--ping=200", "--reuse")
    assert client.engines() == {}
    assert second.register(wish=second.id).content["id"] == 1, "its former id is its wish"
    assert first.register(wish=first.id).content["id"] == 0
    client.wait_engines(2)


@pytest.mark.parametrize("packer, fine", [("orjson", True), ("pickle", False)])
def test_reused_files_may_name_another_packer_of_json(start_controller, restart, make_peers, packer, fine):
    first = start_controller("--reuse")
    first.stop()
    for side in ("client", "engine"):
        first.path(side).write_text(json.dumps(json.loads(first.path(side).read_text()) | {"pack": packer, "unpack": packer}))
    again = restart(first, "--reuse", files_in=0)
    if not fine:
        assert again.process.wait(PATIENCE_S) == 1 and f"ask for '{packer}'" in again.log()
        return
    again.read_files()
    assert make_peers(again).client().engines() == {}


def test_restore_without_a_state_file(start_controller, restart, make_peers):
    controller = start_controller("--ping=200", "--reuse")
    wait_state(controller, [], 0)
    controller.kill()
    state_path(controller).unlink()
    again = restart(controller, "--restore")
    again.wait_log("no engines are restored")
    assert make_peers(again).client().engines() == {}


@pytest.mark.parametrize("text, why", [
    ("", "engines.json"), ("{", "engines.json"), ("[]", "'engines' and 'next_id'"), ('{"engines": {}}', "'next_id'"),
    ('{"engines": {"x": "u"}, "next_id": 1}', "'x' is no engine id"),
    ('{"engines": {"-1": "u"}, "next_id": 1}', "'-1' is no engine id"),
    ('{"engines": {"0": 5}, "next_id": 1}', "engine 0 has no uuid"),
    ('{"engines": {"0": ""}, "next_id": 1}', "is no identity"),
    ('{"engines": {"0": "u", "1": "u"}, "next_id": 1}', "is there twice"),
    ('{"engines": {"0": "u"}, "next_id": -1}', "'next_id'"),
])
def test_broken_state_file_is_an_error(tmp_path, text, why):
    log = tmp_path / "profile_test" / "log"
    log.mkdir(parents=True)
    (log / "engines.json").write_text(text)
    controller = Controller(tmp_path, "--restore", files_in=0)
    assert controller.process.wait(15) == 1
    assert why in controller.log(), controller.log()
    assert not pathlib.Path(controller.path("client")).exists()
    controller.log_file.close()


def test_stranger_with_a_restored_engines_id_gets_another(restored):
    peers, _, _ = restored("attached")
    assert peers.stock(wish=0, name=new_uuid()).id == 1
