# SPDX-License-Identifier: BSD-3-Clause
"""Output that comes after its result, of tasks from a deep queue: SQLite has it in the table a while later, and yet
whoever asks the hub as soon as it has seen it gets it (src/store/sqlite_ended.c)."""
from messages import header_of
from waiting import PATIENCE_S, raw_recv, wait_until

N = 8000  # so many do not wait in memory


def late(client, engine, request, text):
    """Sends output, and waits until a client has it."""
    engine.publish(engine.stream(request, text))
    frames = raw_recv(client.iopub, PATIENCE_S)
    assert text.encode() in b"".join(frames)


def test_late_output_in_a_deep_queue(start_controller, make_peers, tmp_path):
    controller = start_controller("--sqlitedb", f"--SQLiteDB.location={tmp_path}", "--hwm=0")
    peers = make_peers(controller)
    client = peers.client()
    for _ in range(N):
        client.submit(buffers=())
    wait_until(lambda: list(tmp_path.glob("tasks.db-waiting-*")), what="requests that were set aside")
    engine = peers.attached()
    for i in range(N):
        request = engine.recv()
        engine.answer(request)
        raw_recv(client.task, PATIENCE_S)
        if i % 1000 != 999:
            continue
        msg_id = header_of(request)["msg_id"]
        late(client, engine, request, f"late {i}")
        late(client, engine, request, " and later")
        if i < N / 2:  # by its id, while the others stay aside
            content = client.query("result_request", {"msg_ids": [msg_id]}).content
            assert content[msg_id]["io"]["stdout"] == f"late {i} and later"
        else:  # by a search, before which they become rows
            query = {"query": {"msg_id": msg_id}, "keys": ["stdout", "completed"]}
            record, = client.query("db_request", query).content["records"]
            assert record["stdout"] == f"late {i} and later" and record["completed"]
