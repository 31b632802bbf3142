# SPDX-License-Identifier: BSD-3-Clause
"""The query language by a stock client: the same answers from every store (db.md 2)."""
import datetime

import pytest
from ipyparallel.error import RemoteError

pytestmark = pytest.mark.xdist_group("queries")  # they share their clusters

LABELS = ["group_a", "group_a/subgroup_a", "group_a/subgroup_b", "group_b", "group_b/subgroup_a", "group*b", "group?"]


@pytest.fixture(scope="module")
def tasks(cluster):
    """Seven labelled tasks that are done, in the order of LABELS; their ids."""
    with cluster.client() as client:
        view = client.load_balanced_view()
        ids = []
        for label in LABELS:
            with view.temp_flags(label=label):
                result = view.apply_async(len, label)
            assert result.get(timeout=30) == len(label)
            ids += result.msg_ids
        return ids


def found(client, query, keys=("msg_id",)):
    return [r["msg_id"] for r in client.db_query(query, keys=list(keys))]


def test_by_id(client, tasks):
    assert found(client, {"msg_id": tasks[2]}) == [tasks[2]]
    assert found(client, {"msg_id": {"$in": tasks[1:3]}}) == tasks[1:3]
    assert found(client, {"msg_id": {"$in": []}}) == []
    assert set(tasks) <= set(found(client, {"msg_id": {"$nin": []}}))
    assert found(client, {"msg_id": None}) == []
    assert found(client, {"msg_id": {"$in": tasks + [f"x{i}" for i in range(5000)]}}) == tasks
    rest = found(client, {"msg_id": {"$nin": tasks[:3]}})
    assert set(tasks[3:]) <= set(rest) and not set(tasks[:3]) & set(rest)


@pytest.mark.parametrize("pattern, which", [
    ("group_a*", [0, 1, 2]), ("group_a/subgroup_?", [1, 2]), ("group_b", [3]), ("group_b/subgroup_[ab]", [4]),
    ("*/subgroup_a", [1, 4]), ("*[*]*", [5]), ("*[?]*", [6]), ("*subgroup_[!a]", [2]), ("nothing", []),
])
def test_glob(client, tasks, pattern, which):
    query = {"label": {"$glob": pattern}, "msg_id": {"$in": tasks}}
    assert found(client, query) == [tasks[i] for i in which]


def test_dates_divide_the_history(client, tasks):
    middle = client.db_query({"msg_id": tasks[3]}, keys=["submitted"])[0]["submitted"]
    assert isinstance(middle, datetime.datetime)
    before, after = found(client, {"submitted": {"$lt": middle}}), found(client, {"submitted": {"$gte": middle}})
    assert set(before) | set(after) == set(client.hub_history()) and not set(before) & set(after)
    assert tasks[2] in before and tasks[3] in after
    assert found(client, {"submitted": middle}) == [tasks[3]]
    assert tasks[3] in found(client, {"submitted": {"$lte": middle}})
    assert tasks[3] not in found(client, {"submitted": {"$gt": middle}})


def test_several_conditions(client, tasks):
    engine = client.db_query({"msg_id": tasks[0]}, keys=["engine_uuid"])[0]["engine_uuid"]
    both = found(client, {"engine_uuid": engine, "queue": "task", "msg_id": {"$in": tasks}})
    assert tasks[0] in both
    assert found(client, {"engine_uuid": "nobody", "queue": "task"}) == []
    assert found(client, {"msg_id": {"$in": tasks, "$ne": tasks[0]}}) == tasks[1:]
    assert set(tasks) <= set(found(client, {}))


def test_nulls(client, tasks):
    assert found(client, {"completed": None, "msg_id": {"$in": tasks}}) == []
    assert found(client, {"completed": {"$ne": None}, "msg_id": {"$in": tasks}}) == tasks
    assert found(client, {"resubmitted": {"$exists": False}, "msg_id": {"$in": tasks}}) == tasks
    assert found(client, {"resubmitted": {"$ne": "x"}, "msg_id": {"$in": tasks}}) == tasks
    assert found(client, {"resubmitted": {"$lt": "x"}, "msg_id": {"$in": tasks}}) == []


def test_what_a_record_holds(client, tasks):
    record = client.db_query({"msg_id": tasks[0]})[0]
    assert "buffers" not in record and "result_buffers" not in record
    assert record["label"] == "group_a" and record["queue"] == "task" and record["stdout"] == ""
    assert record["header"]["msg_type"] == "apply_request"
    assert record["result_header"]["msg_type"] == "apply_reply"
    assert record["result_content"]["status"] == "ok"
    assert record["client_uuid"] == record["header"]["session"]
    assert record["submitted"] <= record["completed"]
    assert client.db_query({"msg_id": tasks[0]}, keys="label") == [{"msg_id": tasks[0], "label": "group_a"}]
    buffers = client.db_query({"msg_id": tasks[0]}, keys=["buffers", "result_buffers"])[0]
    assert buffers["buffers"] and buffers["result_buffers"]


def test_bad_queries(client, tasks):
    with pytest.raises(RemoteError, match="KeyError"):
        client.db_query({"msg_id": {"$foo": 1}})
    with pytest.raises(RemoteError, match="KeyError"):
        client.db_query({"msg_id": tasks[0]}, keys=["foo"])


def test_result_from_the_store(client, tasks):
    client.results.clear()
    client.metadata.clear()
    result = client.get_result(tasks, owner=False)
    assert result.get(timeout=30) == [len(label) for label in LABELS]


def test_output_is_recorded(client):
    view = client[0]
    result = view.execute("print('to stdout'); 6 * 7", silent=False)
    result.get(timeout=30)
    query = {"msg_id": result.msg_ids[0]}

    def record():
        return client.db_query(query, keys=["stdout", "execute_input", "execute_result", "error"])[0]
    from processes import wait_until
    wait_until(lambda: record()["execute_result"] and record()["stdout"], "output")
    assert record()["stdout"] == "to stdout\n"
    assert record()["execute_input"] == "print('to stdout'); 6 * 7"
    assert record()["execute_result"]["data"]["text/plain"] == "42"


def test_purge(client, tasks):
    view = client.load_balanced_view()
    ids = view.apply_async(abs, -1)
    ids.get(timeout=30)
    client.purge_hub_results(ids)
    assert found(client, {"msg_id": ids.msg_ids[0]}) == []
    assert set(tasks) <= set(client.hub_history())
    client.purge_hub_results(targets=client.ids)
    assert found(client, {"completed": {"$ne": None}}) == []
