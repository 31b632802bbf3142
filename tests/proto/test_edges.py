# SPDX-License-Identifier: BSD-3-Clause
"""Where hubs of this protocol are known to stumble (controller.md and db.md, Sharp edges): what stays behind of engines and tasks that
are gone, who comes late, output that is lost, ports, signals, options. docs/edges.md lists them all."""
import concurrent.futures
import json
import os
import pathlib
import signal
import socket
import sqlite3
import statistics
import threading
import time

import pytest

from controllers import Controller
from messages import header_of
from waiting import PATIENCE_S, raw_recv, wait_until


def queues(client, **more):
    """By engine, and what is not assigned."""
    content = client.query("queue_request", {"targets": None, **more}).content
    assert content.pop("status") == "ok"
    return content


def record(client, header, *keys):
    records = client.query("db_request", {"query": {"msg_id": header["msg_id"]}, "keys": list(keys)}).content["records"]
    return records[0] if records else None


# Engines that are gone

def test_of_an_engine_that_is_gone_nothing_is_left(client, peers):
    engine, other = peers.attached(), peers.attached()
    client.wait_engines(2)
    direct, task = client.send_mux(engine.uuid), client.submit(metadata={"targets": [engine.uuid]})
    engine.begin(engine.recv())
    wait_until(lambda: queues(client)[str(engine.id)] == {"queue": 1, "completed": 0, "tasks": 1}, what="both requests")
    engine.unregister()
    client.wait_engines(1)
    assert client.recv(client.task).content["ename"] == "EngineError"
    assert queues(client) == {"unassigned": 0, str(other.id): {"queue": 0, "completed": 0, "tasks": 0}}
    assert client.query("load_request", {"targets": None}).content == {"status": "ok", str(other.id): 0}
    assert client.query("queue_request", {"targets": engine.id}).content["ename"] == "IndexError"
    # Its direct request is closed, long before a stock hub would do it, in a form that stock clients can read.
    ended = wait_until(lambda: (r := record(client, direct, "completed", "result_header", "result_metadata", "result_content",
                                            "engine_uuid"))["completed"] and r, what="its verdict")
    assert ended["engine_uuid"] == engine.uuid and ended["result_header"]["msg_type"] == "apply_reply"
    assert ended["result_metadata"] == {"status": "error", "engine": engine.uuid}
    assert ended["result_content"]["ename"] == "EngineError" and direct["msg_id"] in ended["result_content"]["evalue"]
    result = client.query("result_request", {"msg_ids": [direct["msg_id"], task["msg_id"]]})
    assert sorted(result.content["completed"]) == sorted([direct["msg_id"], task["msg_id"]]) and result.buffers == []


@pytest.mark.parametrize("metadata", [{"status": "error"}, {"status": "error", "dependencies_met": False}])
def test_task_that_moved_is_counted_where_it_is(client, peers, metadata):
    engines = {e.id: e for e in (peers.attached(), peers.attached())}
    client.wait_engines(2)
    client.submit(metadata={"retries": 1})

    def holder():
        return next((e for e in engines.values() if not e.channels["task"].empty()), None)

    for _ in range(2):
        engine = wait_until(holder, what="task")
        counts = queues(client)
        assert {int(i): c["tasks"] for i, c in counts.items() if i != "unassigned"} == {i: int(i == engine.id) for i in engines}
        engine.answer(engine.recv(), content={"status": "error", "ename": "E", "evalue": "", "traceback": []}, metadata=metadata)
    client.recv(client.task)
    assert all(c["tasks"] == 0 for i, c in queues(client).items() if i != "unassigned")


# Who comes late, or again

def test_heart_that_begins_late_completes_the_registration(start_controller, make_peers):
    controller = start_controller("--ping=100", "--IPController.registration_timeout=1")
    peers = make_peers(controller)
    client, engine = peers.client(), peers.stock(beat=False)
    controller.wait_log(f"{engine.uuid} is stalled: no heartbeat yet")
    assert client.engines() == {}
    engine.start_heart()
    assert client.wait_engines(1) == {engine.id: engine.uuid}


def test_uuid_that_registers_again_while_its_heart_beats(client, peers):
    engine = peers.stock()
    client.wait_engines(1)
    engine.unregister()
    wait_until(lambda: client.engines() == {}, what="its end")
    engine.query.send_multipart(engine.registration())
    assert engine.session.unpack(raw_recv(engine.query)).content["status"] == "ok"
    assert list(client.wait_engines(1).values()) == [engine.uuid]
    header = client.submit()
    request = engine.recv()
    engine.answer(request)
    assert client.recv(client.task).parent == header


def test_engine_that_is_told_of_twice_has_one_place(start_controller, make_peers):
    """It is in the state file, and it registers."""
    first = start_controller("--ping=100", "--reuse", "--hwm=1")
    peers = make_peers(first)
    client, engine = peers.client(), peers.stock()
    client.wait_engines(1)
    state = first.profile / "log" / "engines.json"
    wait_until(lambda: state.exists() and engine.uuid in state.read_text(), what="state file")
    first.kill()
    again = Controller(first.profile.parent, "--ping=100", "--restore", "--hwm=1")
    try:
        wait_until(lambda: client.engines() == {engine.id: engine.uuid}, what="the engine")
        engine.query.send_multipart(engine.registration())
        raw_recv(engine.query)
        one, two = client.submit(), client.submit()
        request = engine.recv()
        wait_until(lambda: queues(client) == {"unassigned": 1, str(engine.id): {"queue": 0, "completed": 0, "tasks": 1}},
                   what="one there, one waiting")
        engine.answer(request)
        assert {header_of(request)["msg_id"], header_of(engine.recv())["msg_id"]} == {one["msg_id"], two["msg_id"]}
    finally:
        peers.client()  # still answers
        again.stop()


def test_engine_that_does_direct_work_is_not_chosen_first(client, peers):
    engines = [peers.attached(), peers.stock()]
    client.wait_engines(2)
    for busy, idle in (engines, engines[::-1]):
        channel = {"channel": "mux"} if busy is engines[0] else {}
        direct = client.send_mux(busy.uuid)
        work = busy.recv(**channel)
        for _ in range(4):  # in turn, if both were idle
            header = client.submit()
            request = idle.recv()
            assert header_of(request) == header
            idle.answer(request)
            client.recv(client.task)
        busy.answer(work, **channel)
        assert client.recv(client.mux).parent == direct


def test_nothing_is_sent_to_hearts(client, peers):
    """A stock engine's heart would take it for a ping, and echo it to nobody."""
    engine = peers.stock()
    client.wait_engines(1)
    pong = engine.sockets[-1]
    wait_until(lambda: engine.beats > 5, what="beats")
    engine.stop_heart()
    assert not pong.poll(100)


def test_state_file_is_whole_and_written_seldom(controller, client, peers):
    """However many engines come at once."""
    n, path, seen = 60, controller.profile / "log" / "engines.json", set()
    wait_until(path.exists, what="state file")
    stop = threading.Event()

    def watch():
        while not stop.is_set():
            with open(path) as file:
                seen.add((os.fstat(file.fileno()).st_ino, os.fstat(file.fileno()).st_mtime_ns, len(json.load(file)["engines"])))

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        engines = [peers.attached(register=False) for _ in range(n)]
        begin = time.monotonic()
        for engine in engines:
            engine.send("query", engine.registration(caps=["attach"]))
        client.wait_engines(n)
        wait_until(lambda: max((count for _, _, count in seen), default=0) == n or watching.done(), what="the last of them")
        seconds = time.monotonic() - begin
        stop.set()
        watching.result()
    assert len(seen) < max(n / 2, 10 * seconds)  # a tenth of a second lies between two


# Records

def test_direct_messages_without_reply_are_not_pending(client, peers):
    engine = peers.attached()
    client.wait_engines(1)
    for kind in ("comm_open", "comm_msg", "comm_close"):
        client.send_mux(engine.uuid, {"comm_id": "x"}, msg_type=kind)
        assert header_of(engine.recv(channel="mux"))["msg_type"] == kind
    header = client.send_mux(engine.uuid)
    engine.answer(engine.recv(channel="mux"), channel="mux")
    assert client.recv(client.mux).parent == header
    assert queues(client)[str(engine.id)] == {"queue": 0, "completed": 1, "tasks": 0}
    wait_until(lambda: client.query("history_request").content["history"] == [header["msg_id"]], what="the one record")


def test_no_output_is_lost(client, peers):
    """Far more messages, and at once, than a queue of any usual length holds; in their order."""
    n = 20_000
    engine = peers.attached()
    client.wait_engines(1)
    header = client.submit()
    request = engine.recv()
    for i in range(n):
        engine.publish(engine.stream(request, f"{i}\n"))
    engine.answer(request)
    client.recv(client.task)
    whole = "".join(f"{i}\n" for i in range(n))
    wait_until(lambda: len(record(client, header, "stdout")["stdout"]) == len(whole), 60, "all of it")
    assert record(client, header, "stdout")["stdout"] == whole


def test_task_that_ran_nowhere_has_an_engine_of_no_name(client, peers):
    peers.attached()
    client.wait_engines(1)
    header = client.submit(metadata={"after": ["never"]})
    assert client.recv(client.task).content["ename"] == "InvalidDependency"
    got = wait_until(lambda: (r := record(client, header, "completed", "engine_uuid", "started")) and r["completed"] and r,
                     what="record")
    assert got["engine_uuid"] == "" and got["started"] is None


@pytest.fixture
def sqlite(start_controller, tmp_path):
    return start_controller("--ping=200", "--reuse", "--sqlitedb", f"--SQLiteDB.location={tmp_path}")


def test_names_in_queries_are_no_sql(sqlite, make_peers, tmp_path):
    client = make_peers(sqlite).client()
    header = client.submit()
    wait_until(lambda: record(client, header, "msg_id"), what="record")
    evil = "label' = '' OR 1=1; DROP TABLE 'ipython-tasks'; --"
    keys = ["queue", "msg_id", "queue"]
    assert client.query("db_request", {"query": {}, "keys": keys}).content["records"] == [{"msg_id": header["msg_id"], "queue": "task"}]
    assert client.query("db_request", {"query": {}, "keys": [evil]}).content["ename"] == "KeyError"
    for query in ({evil: "x"}, {"label": evil}, {"label": {"$glob": evil}}, {"msg_id": {"$in": [evil]}}):
        assert client.query("db_request", {"query": query, "keys": ["msg_id"]}).content["records"] == []
    assert record(client, header, "msg_id")


def test_output_in_a_database_comes_back_as_objects(sqlite, make_peers):
    peers = make_peers(sqlite)
    client, engine = peers.client(), peers.attached()
    client.wait_engines(1)
    header = client.submit({"code": "x"}, msg_type="execute_request")
    request = engine.recv()
    output = {"execute_result": {"data": {"text/plain": "42"}, "metadata": {}, "execution_count": 1},
              "error": {"ename": "E", "evalue": "'", "traceback": ["line"]}}
    for kind, content in output.items():
        engine.publish([b"engine.0.x", *engine.session.pack(kind, content, parent=header_of(request))])
    engine.answer(request)
    client.recv(client.task)
    wait_until(lambda: all(record(client, header, *output).get(k) for k in output), what="output")
    assert record(client, header, *output) == {"msg_id": header["msg_id"], **output}
    io = client.query("result_request", {"msg_ids": [header["msg_id"]]}).content[header["msg_id"]]["io"]
    assert {k: io[k] for k in output} == output


def test_records_of_another_life_are_judged_one_by_one(sqlite, make_peers, tmp_path):
    """The last one found says nothing about the others."""
    peers = make_peers(sqlite)
    client, engine = peers.client(), peers.attached()
    client.wait_engines(1)
    done = [client.submit(msg_id=f"{k}_1_0") for k in "bd"]
    for _ in done:
        engine.answer(engine.recv(), buffers=[b"result"])
        client.recv(client.task)
    open_ones = [client.send_mux(engine.uuid, msg_id=f"{k}_1_0") for k in "ace"]

    def rows():
        with sqlite3.connect(tmp_path / "tasks.db") as db:
            return db.execute("SELECT count(*), count(completed) FROM 'ipython-tasks'").fetchone()

    wait_until(lambda: rows() == (5, 2), what="all in the database")
    sqlite.kill()
    again = Controller(sqlite.profile.parent, "--reuse", "--sqlitedb", f"--SQLiteDB.location={tmp_path}")
    client = make_peers(again).client()
    ids = [h["msg_id"] for h in done + open_ones]
    for order in (ids, ids[::-1]):
        reply = client.query("result_request", {"msg_ids": order})
        assert sorted(reply.content["completed"]) == ["b_1_0", "d_1_0"]
        assert sorted(reply.content["pending"]) == ["a_1_0", "c_1_0", "e_1_0"] and reply.buffers == [b"result"] * 2
    again.stop()


def test_database_that_is_locked_delays_no_task(sqlite, make_peers, tmp_path):
    peers = make_peers(sqlite)
    client, engine = peers.client(), peers.attached()
    client.wait_engines(1)
    with sqlite3.connect(tmp_path / "tasks.db", isolation_level=None) as lock:
        lock.execute("BEGIN IMMEDIATE")
        begin, took = time.monotonic(), []
        while time.monotonic() < begin + 2.5:  # longer than anything waits before it is written
            before = time.monotonic()
            header = client.submit()
            engine.answer(engine.recv())
            assert client.recv(client.task).parent == header
            assert client.engines() == {engine.id: engine.uuid}
            took.append(time.monotonic() - before)
            time.sleep(0.005)  # some thousands would fill what may wait, and then submission waits, too
        assert statistics.median(took) < 1, took  # a busy machine may hold up some of them
        lock.execute("ROLLBACK")
    wait_until(lambda: record(client, header, "completed")["completed"], what="the last record")


# Errors

def test_errors_tell_no_paths_of_this_machine(client, peers):
    peers.attached()
    client.wait_engines(1)
    for kind, content in (("nothing_request", {}), ("queue_request", {"targets": 99}), ("result_request", {"msg_ids": ["x"]}),
                          ("db_request", {"query": []}), ("resubmit_request", {"msg_ids": ["x"]}), ("become_dask_request", {})):
        error = client.query(kind, content).content
        assert error["status"] == "error" and len(error["traceback"]) == 1
        assert error["traceback"] == [f"{error['ename']}: {error['evalue']}"] and "/" not in error["traceback"][0]


# The program

def ports_of(controller):
    numbers = set()
    for info in (controller.client_info, controller.engine_info):
        for value in info.values():
            numbers |= {v for v in (value if isinstance(value, list) else [value]) if type(v) is int}
    numbers.add(controller.engine_info["ersa"]["attach"])
    return numbers


def listening_of(pid):
    """The ports that the process listens on, by address."""
    inodes = set()
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            inodes.add(os.readlink(fd))
        except FileNotFoundError:
            pass
    found = set()
    for table in ("tcp", "tcp6"):
        for line in pathlib.Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            part = line.split()
            if part[3] == "0A" and f"socket:[{part[9]}]" in inodes:
                found.add(int(part[1].rsplit(":", 1)[1], 16))
    return found


@pytest.mark.parametrize("ip", ["127.0.0.1", "*"])
def test_nothing_listens_but_what_the_files_name(start_controller, ip):
    controller = start_controller(f"--ip={ip}")
    assert listening_of(controller.process.pid) == ports_of(controller)


def test_ports_are_open_when_the_files_are_there(tmp_path, start_controller):
    """And of two that start at the same time neither takes a port of the other's."""
    pair = []
    for name in "ab":
        (tmp_path / name).mkdir()
        pair.append(Controller(tmp_path / name, files_in=0))
    numbers = []
    try:
        for controller in pair:
            deadline = time.monotonic() + PATIENCE_S
            while not controller.has_files():
                assert time.monotonic() < deadline
            controller.read_files()
            numbers.append(ports_of(controller))
            for number in numbers[-1]:
                socket.create_connection(("127.0.0.1", number), timeout=PATIENCE_S).close()
    finally:
        for controller in pair:
            controller.stop()
    assert not numbers[0] & numbers[1]


def children_of(pid):
    return [p for p in pathlib.Path("/proc").glob("[0-9]*/stat") if field_of(p) == pid]


def field_of(path):
    try:
        return int(path.read_text().rsplit(")", 1)[1].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def test_killed_controller_leaves_nobody_behind(start_controller):
    first = start_controller("--reuse")
    assert children_of(first.process.pid) == []
    first.kill()
    again = Controller(first.profile.parent, "--reuse")
    wait_until(lambda: listening_of(again.process.pid) == ports_of(first), what="the same ports")
    again.stop()


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT])
def test_signal_in_the_first_moment(tmp_path, signo):
    """As soon as there is anything to clean up, it is cleaned up."""
    for i in range(10):
        folder = tmp_path / str(i)
        folder.mkdir()
        controller = Controller(folder, files_in=0)
        while not controller.path("engine").exists():
            assert controller.alive()
        controller.process.send_signal(signo)
        assert controller.process.wait(PATIENCE_S) == 0, controller.log()
        controller.log_file.close()
        assert list((controller.profile / "security").glob("*.json")) == []


@pytest.mark.parametrize("word", ["--scheme=foo", "--hwm=x", "--hwm=-1", "--TaskScheduler.scheme_name=", "--IPController.db_class=none.such"])
def test_option_that_is_wrong_ends_the_controller(tmp_path, word):
    controller = Controller(tmp_path, word, files_in=0)
    assert controller.process.wait(PATIENCE_S) == 1, controller.log()
    controller.log_file.close()
    assert not controller.path("client").exists() and not controller.path("engine").exists()
    assert word.removeprefix("--").split("=")[0].rsplit(".", 1)[-1] in controller.log()


def test_threads_are_asked_for_in_vain(start_controller, make_peers):
    """--usethreads changes nothing, broadcasts least of all."""
    controller = start_controller("--ping=200", "--usethreads")
    assert "use_threads" in controller.log()
    peers = make_peers(controller)
    client, engines = peers.client(), [peers.attached(), peers.attached()]
    client.wait_engines(2)
    metadata = {"targets": [[e.uuid, e.id] for e in engines], "is_broadcast": True, "is_coalescing": True}
    client.broadcast.send_multipart(client.session.pack("apply_request", metadata=metadata))
    for e in engines:
        request = e.recv(channel="broadcast")
        e.answer(request, channel="broadcast", buffers=[e.uuid.encode()], metadata={"is_broadcast": True, "is_coalescing": True})
    assert client.recv(client.broadcast).buffers == [e.uuid.encode() for e in engines]
