# SPDX-License-Identifier: BSD-3-Clause
"""A hundred thousand tasks that wait: who asks for all of them, or aborts all of them, delays nobody."""
from flock import MANY, Flock, Witness, cpu_s, start  # noqa: F401  (a fixture)
from harness import unassigned, wait_until


def test_lists_of_all(start, make_peers):
    controller, client, _ = start(engines=0)
    flock = Flock(client)
    for i in range(MANY):
        flock.submit({} if i % 3 else {"timeout": 3600})
    other = make_peers(controller).client()
    wait_until(lambda: unassigned(other) == MANY, 60, "all of them")
    costs = []
    for _ in range(5):
        begin = cpu_s(controller)
        reply = client.query("queue_request", {"targets": None, "verbose": True}, timeout=60)
        costs.append(cpu_s(controller) - begin)
        assert reply.content["unassigned"] == flock.ids
    print(f"{sorted(costs)} s")
    assert sorted(costs)[2] <= 0.06


def test_abort_of_all(start, make_peers):
    controller, client, engine = start("--hwm=1")
    flock = Flock(client)
    other = make_peers(controller).client()
    for _ in range(MANY):
        flock.submit({})
    wait_until(lambda: unassigned(other) == MANY - 1, 60, "all of them")
    witness = Witness(other)
    begin = cpu_s(controller)
    client.send_control(engine.uuid, "abort_request", {"msg_ids": flock.ids})
    flock.collect(MANY - 1)
    witness.stop()
    print(f"{cpu_s(controller) - begin:.2f} s, the slowest of {witness.served} took {witness.slowest_s * 1000:.0f} ms")
    assert flock.errors == {"aborted": MANY - 1}
    assert flock.ids[0] not in flock.answers
    assert witness.slowest_s < 1
