# SPDX-License-Identifier: BSD-3-Clause
"""What the hub says to requests that it can't serve: one row a mistake, with the reply's type, the error's name and its text
(controller.md 14; db.md for the query language). KeyErrors carry Python's repr of the text, as the reference's do."""
import pytest

from messages import header_of
from waiting import wait_until

NOBODY = "00000000-000000000000000000000000"

ROWS = [
    # request, content, reply type, ename, evalue (None: any)
    ("no_such_request", {}, "hub_error", "KeyError", repr("Bad Message Type: 'no_such_request'")),
    ("it's", {}, "hub_error", "KeyError", repr("Bad Message Type: \"it's\"")),
    ("queue_reply", {}, "hub_error", "KeyError", repr("Bad Message Type: 'queue_reply'")),

    *[(kind, content, "hub_error", ename, evalue) for kind in ("queue_request", "load_request") for content, ename, evalue in [
        ({}, "KeyError", "'targets'"),
        ({"verbose": True}, "KeyError", "'targets'"),
        ({"targets": 99}, "IndexError", "No Such Engine: [99]"),
        ({"targets": -1}, "IndexError", "No Such Engine: [-1]"),
        ({"targets": [0, 99, NOBODY]}, "IndexError", f"No Such Engine: [99, '{NOBODY}']"),
        ({"targets": NOBODY}, "IndexError", f"No Such Engine: ['{NOBODY}']"),
        ({"targets": ""}, "IndexError", "No Such Engine: ['']"),
        ({"targets": [[0]]}, "IndexError", "No Such Engine: [[0]]"),
        ({"targets": [None]}, "IndexError", "No Such Engine: [None]"),
        ({"targets": 1 << 62}, "IndexError", f"No Such Engine: [{1 << 62}]"),
        ({"targets": 1 << 70}, "IndexError", None),
        ({"targets": -(1 << 70)}, "IndexError", None),
        ({"targets": []}, "IndexError", "No Engines Registered"),
        ({"targets": {"0": 1}}, "TypeError", None),
        ({"targets": 0.5}, "TypeError", None),
    ]],

    ("result_request", {}, "hub_error", "KeyError", "'msg_ids'"),
    ("result_request", {"targets": [0]}, "hub_error", "KeyError", "'msg_ids'"),
    ("result_request", {"msg_ids": "one"}, "result_reply", "TypeError", None),
    ("result_request", {"msg_ids": None}, "result_reply", "TypeError", None),
    ("result_request", {"msg_ids": [5]}, "result_reply", "TypeError", None),
    ("result_request", {"msg_ids": ["b", "a"]}, "result_reply", "KeyError", repr("No such message: a")),
    ("result_request", {"msg_ids": ["b"], "status_only": True}, "result_reply", "KeyError", repr("No such message: b")),
    ("result_request", {"msg_ids": ["it's"]}, "result_reply", "KeyError", repr("No such message: it's")),

    ("db_request", {"query": []}, "db_reply", "TypeError", None),
    ("db_request", {"query": 5}, "db_reply", "TypeError", None),
    ("db_request", {"query": {}, "keys": 5}, "db_reply", "TypeError", None),
    ("db_request", {"query": {}, "keys": [5]}, "db_reply", "TypeError", None),
    ("db_request", {"query": {}, "keys": ["no_such_field"]}, "db_reply", "KeyError", "'no_such_field'"),

    ("purge_request", {"msg_ids": "one"}, "hub_error", "TypeError", None),
    ("purge_request", {"msg_ids": {}}, "hub_error", "TypeError", None),
    ("purge_request", {"msg_ids": [], "engine_ids": [99]}, "purge_reply", "IndexError", "No such engine: 99"),
    ("purge_request", {"engine_ids": [0, 99]}, "purge_reply", "IndexError", "No such engine: 99"),
    ("purge_request", {"engine_ids": ["x"]}, "purge_reply", "IndexError", "No such engine: 'x'"),
    ("purge_request", {"engine_ids": 7}, "hub_error", "TypeError", None),

    ("resubmit_request", {}, "hub_error", "KeyError", "'msg_ids'"),
    ("resubmit_request", {"msg_ids": "one"}, "resubmit_reply", "TypeError", None),
    ("resubmit_request", {"msg_ids": ["a", "b"]}, "resubmit_reply", "KeyError", repr("No such msg(s): ['a', 'b']")),
    ("resubmit_request", {"msg_ids": [5]}, "resubmit_reply", "KeyError", repr("No such msg(s): [5]")),

    ("become_dask_request", {}, "hub_error", "ModuleNotFoundError", "No module named 'distributed'"),
    ("become_dask_request", {"scheduler_args": {}}, "hub_error", "ModuleNotFoundError", "No module named 'distributed'"),
]

FINE = [
    ("connection_request", {"anything": 1}, "connection_reply"),
    ("history_request", {"anything": 1}, "history_reply"),
    ("queue_request", {"targets": None, "verbose": 1}, "queue_reply"),
    ("queue_request", {"targets": [0, 0]}, "queue_reply"),
    ("queue_request", {"targets": None, "verbose": None}, "queue_reply"),
    ("load_request", {"targets": 0}, "load_reply"),
    ("result_request", {"msg_ids": []}, "result_reply"),
    ("db_request", {}, "db_reply"),
    ("db_request", {"query": None, "keys": None}, "db_reply"),
    ("db_request", {"query": {}, "keys": []}, "db_reply"),
    ("db_request", {"query": {}, "keys": ""}, "db_reply"),
    ("db_request", {"query": {}, "keys": {}}, "db_reply"),
    ("purge_request", {}, "purge_reply"),
    ("purge_request", {"msg_ids": ["never", "heard", "of"]}, "purge_reply"),
    ("purge_request", {"msg_ids": None, "engine_ids": None}, "purge_reply"),
    ("purge_request", {"msg_ids": "all", "engine_ids": [99]}, "purge_reply"),
    ("resubmit_request", {"msg_ids": []}, "resubmit_reply"),
    ("stop_distributed_request", {}, "stop_distributed_reply"),
]


@pytest.fixture
def hub(client, peers):
    peers.attached()
    client.wait_engines(1)
    return client


def test_mistakes(hub):
    """All in one controller: none of them may disturb those after it."""
    wrong = []
    for msg_type, content, reply_type, ename, evalue in ROWS:
        reply = hub.query(msg_type, content)
        got = reply.content
        if (reply.type, got.get("status"), got.get("ename")) != (reply_type, "error", ename) or evalue not in (None, got["evalue"]):
            wrong.append((msg_type, content, reply.type, got.get("ename"), got.get("evalue")))
        elif not isinstance(got["traceback"], list) or got["engine_info"] != {} or reply.buffers:
            wrong.append((msg_type, content, got))
    assert not wrong, "\n".join(map(str, wrong))


def test_what_is_no_mistake(hub):
    wrong = []
    for msg_type, content, reply_type in FINE:
        reply = hub.query(msg_type, content)
        if reply.type != reply_type or reply.content["status"] != "ok":
            wrong.append((msg_type, content, reply.type, reply.content))
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize("verbose, wanted", [(1, []), ("yes", []), ([0], []), (0, 0), ("", 0), (None, 0)])
def test_what_counts_as_true_in_python_does(hub, verbose, wanted):
    """`rc.queue_status(verbose=1)` sends a 1, and its user expects lists."""
    content = hub.query("queue_request", {"targets": None, "verbose": verbose}).content
    assert content["unassigned"] == wanted == content["0"]["tasks"]


def test_status_only_counts_as_in_python_too(client, peers):
    engine = peers.attached()
    done = client.submit()["msg_id"]
    engine.answer(engine.recv())
    client.recv(client.task)
    content = client.query("result_request", {"msg_ids": [done], "status_only": 1}).content
    assert content == {"status": "ok", "pending": [], "completed": [done]}
    assert done in client.query("result_request", {"msg_ids": [done], "status_only": 0}).content


def test_error_about_a_long_header_reaches_its_request(client):
    """Stock clients wait for an answer whose parent is their request."""
    for header in (client.session.header("x" * 600), client.session.header("connection_request", "m" * 600)):
        client.query_socket.send_multipart(client.session.pack("", header=header))
        reply = client.recv(client.query_socket)
        assert reply.type == "hub_error" and reply.parent == header and "512 octets" in reply.content["evalue"]


def test_pending_tasks_are_not_purged(client):
    """The error names the first that is pending, and nothing is dropped."""
    first, second = client.submit(), client.submit()
    ids = [first["msg_id"], second["msg_id"]]
    wait_until(lambda: len(client.query("history_request").content["history"]) == 2, what="two records")
    reply = client.query("purge_request", {"msg_ids": ["unknown", *ids]})
    assert reply.type == "purge_reply" and reply.content["ename"] == "IndexError"
    assert reply.content["evalue"] == f"msg pending: '{ids[0]}'"
    assert client.query("purge_request", {"msg_ids": "all"}).content == {"status": "ok"}
    assert sorted(client.query("history_request").content["history"]) == sorted(ids)


def test_id_named_twice_is_not_submitted_again(client):
    header = client.submit()
    wait_until(lambda: client.query("history_request").content["history"], what="record")
    reply = client.query("resubmit_request", {"msg_ids": [header["msg_id"]] * 2})
    assert reply.type == "resubmit_reply" and reply.content["ename"] == "KeyError"
    assert reply.content["evalue"] == repr("No such msg(s): []")


def test_error_reply_of_a_result_request_has_no_buffers(client, peers):
    engine = peers.attached()
    header = client.submit()
    engine.answer(engine.recv(), buffers=[b"result"])
    client.recv(client.task)
    good = client.query("result_request", {"msg_ids": [header["msg_id"]]})
    assert good.content["completed"] == [header["msg_id"]] and good.buffers == [b"result"]
    bad = client.query("result_request", {"msg_ids": [header["msg_id"], "zzz"]})
    assert bad.content["ename"] == "KeyError" and bad.buffers == []


def test_verbose_lists_are_in_the_order_of_arrival(start_controller, make_peers):
    peers = make_peers(start_controller("--hwm=1"))
    client, engine = peers.client(), peers.attached()
    client.wait_engines(1)
    tasks = [client.submit()["msg_id"] for _ in range(4)]
    direct = [client.send_mux(engine.uuid)["msg_id"] for _ in range(3)]
    first = engine.recv()
    mux = [engine.recv(channel="mux") for _ in direct]
    engine.answer(mux[1], channel="mux")
    client.recv(client.mux)
    want = {"queue": [direct[0], direct[2]], "completed": [direct[1]], "tasks": [header_of(first)["msg_id"]]}
    got = client.query("queue_request", {"targets": engine.uuid, "verbose": True}).content
    assert got == {"status": "ok", "unassigned": tasks[1:], str(engine.id): want}
    got = client.query("queue_request", {"targets": engine.id}).content
    assert got == {"status": "ok", "unassigned": 3, str(engine.id): {k: len(v) for k, v in want.items()}}
    assert client.query("load_request", {"targets": engine.id}).content == {"status": "ok", str(engine.id): 3}
