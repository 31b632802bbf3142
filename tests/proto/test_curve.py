# SPDX-License-Identifier: BSD-3-Clause
"""A controller with CURVE: who gets in, which keys it has and keeps, and that everything works through it."""
import contextlib
import json
import os
import pathlib
import stat
import subprocess
import time

import pytest
import zmq

from clients import Client
from controllers import BIN
from messages import Session
from sockets import secure
from waiting import raw_recv, wait_until

ON = {"IPP_ENABLE_CURVE": "1"}
QUIET_S = 0.5


@pytest.fixture
def curve(start_controller):
    return start_controller("--ping=200", env=ON)


def key_file(controller):
    return controller.profile / "security" / "ipcontroller-curve.key"


def test_connection_files_and_log(curve):
    assert curve.client_info["key"] == curve.engine_info["key"] == ""
    assert len(curve.client_info["curve_serverkey"]) == 40
    assert curve.client_info["curve_serverkey"] == curve.engine_info["curve_serverkey"]
    assert "Using CURVE security" in curve.log()
    assert "signing is disabled:" not in curve.log()


def test_work_through_both_kinds_of_engine(curve, make_peers):
    peers = make_peers(curve)
    client = peers.client()
    engines = [peers.stock(), peers.attached()]
    client.wait_engines(2)
    for engine, how in zip(engines, ({}, {"channel": "mux"})):
        sent = client.send_mux(engine.uuid, buffers=(b"work", b"x" * 300_000))
        request = engine.recv(**how)
        assert request[-1] == b"x" * 300_000
        engine.answer(request, **how, buffers=(b"y" * 400_000,))
        reply = client.recv(client.mux)
        assert reply.parent["msg_id"] == sent["msg_id"] and reply.buffers == [b"y" * 400_000]
        assert reply.signature == b""
        engine.publish(engine.stream(request, "seen"))
        assert raw_recv(client.iopub)[-1]
    tasks = {client.submit()["msg_id"] for _ in engines}  # one each
    for engine in engines:
        engine.answer(engine.recv())
    assert {client.recv(client.task).parent["msg_id"] for _ in engines} == tasks


def test_heartbeats_are_sealed_too(curve, make_peers):
    peers = make_peers(curve)
    stock, attached = peers.stock(), peers.attached()
    client = peers.client()
    client.wait_engines(2)
    wait_until(lambda: stock.beats > 5, what="beats")
    silent = peers.stock(beat=False)
    assert silent.id is not None
    assert {stock.id, attached.id} <= set(client.engines())


@pytest.mark.parametrize("how", ["plain", "wrong key"])
def test_others_get_no_answer_anywhere(curve, context, how):
    """One socket at every port, of the kind that fits."""
    kinds = {"registration": zmq.DEALER, "control": zmq.DEALER, "mux": zmq.DEALER, "task": zmq.DEALER,
             "broadcast": zmq.DEALER, "iopub": zmq.SUB, "notification": zmq.SUB}
    engine_kinds = {"registration": zmq.DEALER, "control": zmq.ROUTER, "mux": zmq.ROUTER, "task": zmq.ROUTER,
                    "iopub": zmq.PUB, "hb_ping": zmq.SUB, "hb_pong": zmq.DEALER, "attach": zmq.DEALER}
    sockets, monitors = [], []
    session = Session(b"")
    for side, rows in (("client", kinds), ("engine", engine_kinds)):
        for name, kind in rows.items():
            s = context.socket(kind)
            s.linger = 0
            if how == "wrong key":
                s.curve_serverkey = zmq.curve_keypair()[0]
                s.curve_publickey, s.curve_secretkey = zmq.curve_keypair()
            monitors.append(s.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED))
            s.connect(curve.url(name, side))
            if kind == zmq.SUB:
                s.subscribe(b"")
            elif kind == zmq.DEALER:
                with contextlib.suppress(zmq.Again):  # it may have been turned away already, and would wait for ever
                    s.send_multipart(session.pack("connection_request"), zmq.DONTWAIT)
            sockets.append(s)
    end = time.monotonic() + QUIET_S
    while time.monotonic() < end:
        assert not any(m.poll(10) for m in monitors)
    assert not any(s.poll(0) for s in sockets if s.type != zmq.PUB)
    for s in sockets:
        s.disable_monitor()
    assert curve.alive()


def test_configured_pair_and_key(start_controller, context):
    public, secret = (k.decode() for k in zmq.curve_keypair())
    c = start_controller("--Session.key=still signed", env={**ON, "IPP_CURVE_SECRETKEY": secret,
                                                           "IPP_CURVE_PUBLICKEY": public})
    assert c.client_info["curve_serverkey"] == public
    assert c.key == "still signed"
    client = Client(context, c)
    assert client.query("connection_request").content["status"] == "ok"
    assert not key_file(c).exists()
    everything = c.log() + pathlib.Path(f"/proc/{c.process.pid}/cmdline").read_text()
    assert secret not in everything
    assert all(secret not in p.read_text() for p in c.profile.rglob("*.*") if p.is_file() and p.suffix != ".db")
    client.close()


def test_wrong_pair_says_so_without_the_secret(start_controller):
    public, secret = zmq.curve_keypair()[0].decode(), zmq.curve_keypair()[1].decode()
    c = start_controller(env={**ON, "IPP_CURVE_SECRETKEY": secret, "IPP_CURVE_PUBLICKEY": public}, files_in=0)
    assert c.process.wait(15) == 1
    assert "does not belong to the secret key" in c.log() and secret not in c.log()


def test_pair_is_kept_for_reuse(start_controller, context, tmp_path):
    first = start_controller("--reuse", env=ON)
    public = first.client_info["curve_serverkey"]
    mode = key_file(first).stat().st_mode
    assert stat.S_IMODE(mode) == 0o600
    client = Client(context, first)
    assert client.query("connection_request").content["status"] == "ok"
    first.stop()
    assert key_file(first).exists()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("IPP_")}
    log = tmp_path / "second.log"
    with open(log, "ab") as out:
        second = subprocess.Popen([BIN / "ipcontroller", f"--profile-dir={first.profile}", "--reuse"],
                                  env=environment, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: "ipcontroller-client.json" in log.read_text(), what="the second run")
        assert json.loads(first.path("client").read_text())["curve_serverkey"] == public
        assert client.query("connection_request").content["status"] == "ok"  # over a new connection
    finally:
        second.terminate()
        assert second.wait(15) == 0
        client.close()


def test_pair_goes_with_the_files(curve):
    assert key_file(curve).exists()
    curve.stop()
    assert not key_file(curve).exists() and not curve.path("client").exists()


def test_on_where_others_can_reach_it(start_controller, context):
    c = start_controller("--ip=0.0.0.0", "--location=127.0.0.1")
    assert c.client_info["curve_serverkey"] and c.key == ""
    s = context.socket(zmq.DEALER)
    s.linger = 0
    secure(s, c).connect(f"tcp://127.0.0.1:{c.client_info['registration']}")
    s.send_multipart(Session(b"").pack("connection_request"))
    assert raw_recv(s)
    s.close()


def test_off_stays_off_and_is_told(start_controller):
    c = start_controller("--ip=0.0.0.0", "--location=127.0.0.1", "--IPController.enable_curve=False")
    assert c.client_info["curve_serverkey"] is None and len(c.key) == 33
    assert "CRITICAL | CURVE is off" in c.log()


def test_none_leaves_it_to_the_addresses(start_controller, tmp_path):
    for args, is_on in ([], False), (["--ip=*"], True):
        c = start_controller(*args, "--IPController.enable_curve=None")
        assert bool(c.client_info["curve_serverkey"]) is is_on
        assert "CURVE is off" not in c.log()


def test_many_come_at_once(curve, make_peers):
    peers = make_peers(curve)
    client = peers.client()
    made = [peers.attached(register=False) for _ in range(100)]
    for e in made:
        e.send("query", e.registration(caps=["attach", "ready"]))
    for e in made:
        reply = e.session.unpack(e.recv_channel("query"))
        assert reply.content["status"] == "ok"
        e.id = reply.content["id"]
        e.ready()
    client.wait_engines(100)
