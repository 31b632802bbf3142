# SPDX-License-Identifier: BSD-3-Clause
"""A hundred thousand tasks that wait: who asks for all of them, or aborts all of them, delays nobody."""
import json
import time

from clients import unassigned
from flock import MANY, Flock, Witness, cpu_s, start  # noqa: F401  (a fixture)
from waiting import wait_until


def test_lists_of_all(start, make_peers):
    controller, client, _ = start(engines=0)
    flock = Flock(client)
    for i in range(MANY):
        flock.submit({} if i % 3 else {"timeout": 3600})
    other = make_peers(controller).client()
    wait_until(lambda: unassigned(other) == MANY, 60, "all of them")
    costs, ours = [], []
    for _ in range(5):
        begin = cpu_s(controller)
        reply = client.query("queue_request", {"targets": None, "verbose": True}, timeout=60)
        costs.append(cpu_s(controller) - begin)
        begin = time.process_time()
        text = json.dumps({"unassigned": flock.ids})
        ours.append(time.process_time() - begin)
        assert reply.content["unassigned"] == flock.ids and len(text) > 2_000_000
    print(f"{sorted(costs)} s, Python {sorted(ours)} s")
    assert min(costs) < 4.5 * min(ours)  # it has to look for the tasks, too; measured: 2.6


def test_abort_of_all(start, make_peers):
    controller, client, engine = start("--hwm=1")
    flock = Flock(client)
    other = make_peers(controller).client()
    for _ in range(MANY):
        flock.submit({})
    wait_until(lambda: unassigned(other) == MANY - 1, 60, "all of them")
    witness = Witness(other)
    client.send_control(engine.uuid, "abort_request", {"msg_ids": flock.ids})
    flock.collect(MANY - 1)
    witness.stop()
    assert flock.errors == {"aborted": MANY - 1}
    assert flock.ids[0] not in flock.answers
