# SPDX-License-Identifier: BSD-3-Clause
"""resubmit_request by a stock client (controller.md 14.8)."""
import pytest
from ipyparallel.error import RemoteError
from processes import wait_until

pytestmark = pytest.mark.xdist_group("resubmit")  # they share their clusters


@pytest.mark.parametrize("queue", ["task", "mux"])
def test_done(client, queue):
    view = client.load_balanced_view() if queue == "task" else client[0]
    first = view.apply_async(abs, -5)
    assert first.get(timeout=30) == 5
    again = client.resubmit(first.msg_ids[0])
    assert again.get(timeout=60) == [5]
    old, new = (client.db_query({"msg_id": i})[0] for i in (first.msg_ids[0], again.msg_ids[0]))
    assert old["resubmitted"] == new["msg_id"] and new["msg_id"] != old["msg_id"]
    assert new["queue"] == "task" and new["metadata"] == {} and new["client_uuid"] == old["client_uuid"]
    for header in (old["header"], new["header"]):
        header.pop("msg_id"), header.pop("date")
    assert old["header"] == new["header"]
    assert new["submitted"] > old["submitted"]


def test_pending_and_chained(client):
    import time
    view = client.load_balanced_view()
    blockers = [view.apply_async(time.sleep, 1) for _ in client.ids]
    first = view.apply_async(abs, -7)
    wait_until(lambda: first.msg_ids[0] in client.hub_history(), "record")
    second = client.resubmit(first.msg_ids[0])
    third = client.resubmit(second.msg_ids[0])
    assert second.get(timeout=60) == third.get(timeout=60) == [first.get(timeout=60)] == [7]
    for blocker in blockers:
        blocker.get(timeout=30)


def test_errors(client):
    with pytest.raises(RemoteError, match="KeyError"):
        client.resubmit("nosuch")
    failed = client.load_balanced_view().apply_async(int, "x")
    with pytest.raises(RemoteError, match="ValueError"):
        failed.get(timeout=30)
    with pytest.raises(RemoteError, match="ValueError"):
        client.resubmit(failed.msg_ids[0]).get(timeout=60)


def test_many(client):
    tasks = client.load_balanced_view().map_async(abs, range(50), chunksize=1)
    tasks.get(timeout=60)
    again = client.resubmit(tasks.msg_ids)
    assert sorted(again.get(timeout=60)) == [[i] for i in range(50)]
    wait_until(lambda: not client.db_query({"completed": None, "msg_id": {"$in": again.msg_ids}}, keys=["msg_id"]),
               "records")
