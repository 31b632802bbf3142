# SPDX-License-Identifier: BSD-3-Clause
"""Dependencies by the hundred thousand, through the real controller (schedulers.md 4): what becomes of chains, fan-out and fan-in,
that the work is linear, and that nobody else waits for it. The scheduler alone is in src/router/sched_scale_test.c.

CPU time is measured on a build without sanitizers."""
import pytest

from clients import unassigned
from flock import MANY, Flock, Witness, Worker, cpu_s, fail_head, start  # noqa: F401  (a fixture)
from messages import header_of
from waiting import wait_until

GROWTH, SLACK = 4, 2  # four times as many tasks may cost eight times as much; a square would be sixteen


def chain_head_fails(start, n):
    controller, client, engine = start()
    flock = Flock(client)
    begin = cpu_s(controller)
    flock.chain(n, timeout=3600)
    fail_head(engine)
    flock.collect(n)
    assert flock.errors == {"Wrong": 1, "ImpossibleDependency": n - 1}
    return cpu_s(controller) - begin


def fan_in(start, n):
    controller, client, engine = start()
    flock = Flock(client)
    begin = cpu_s(controller)
    for _ in range(n - 1):
        flock.submit({})
    last = flock.submit({"after": flock.ids})
    worker = Worker(engine)
    flock.collect(n)
    worker.stop()
    assert flock.errors == {"ok": n} and worker.order[-1] == last
    return cpu_s(controller) - begin


def timeouts(start, n):
    controller, client, engine = start()
    flock = Flock(client)
    begin = cpu_s(controller)
    head = flock.submit({})
    for i in range(n - 1):
        flock.submit({"after": [head], "timeout": 0.5 + i % 7 / 10})
    flock.collect(n - 1)
    assert flock.errors == {"TaskTimeout": n - 1}
    return cpu_s(controller) - begin


@pytest.mark.parametrize("scene", [chain_head_fails, fan_in, timeouts])
def test_work_is_linear(start, scene):
    tried = []
    for _ in range(3):  # what else runs on this machine takes its caches
        small, large = scene(start, MANY // GROWTH), scene(start, MANY)
        print(f"{scene.__name__}: {MANY // GROWTH} tasks {small:.2f} s, {MANY} tasks {large:.2f} s")
        tried.append(large / max(small, 0.1))
        if tried[-1] < GROWTH * SLACK:
            return
    raise AssertionError(tried)


@pytest.mark.parametrize("how", ["after", "follow"])
def test_fan_out(start, how):
    n = MANY // 4
    _, client, engine = start()
    flock = Flock(client)
    flock.fan(n, how)
    worker = Worker(engine)
    flock.collect(n)
    worker.stop()
    assert flock.errors == {"ok": n}
    assert worker.order == flock.ids


def test_fan_out_of_a_failure(start):
    n = MANY
    _, client, engine = start()
    flock = Flock(client)
    flock.fan(n, "after", "follow")
    fail_head(engine)
    flock.collect(n)
    assert flock.errors == {"Wrong": 1, "ImpossibleDependency": n - 1}


def test_chain_of_successes(start):
    n = MANY // 10
    _, client, engine = start()
    flock, worker = Flock(client), Worker(engine)
    before = flock.submit({})
    for i in range(n - 1):
        before = flock.submit({"after" if i % 2 else "follow": [before]})
    flock.collect(n)
    worker.stop()
    assert flock.errors == {"ok": n} and worker.order == flock.ids


def test_abort_of_a_chains_head(start):
    """There is no engine that could run it; all hear of it."""
    n = MANY
    controller, client, engine = start()
    client.submit()
    busy = header_of(engine.recv())
    flock = Flock(client)
    flock.chain(n, {"after": [busy["msg_id"]]})
    wait_until(lambda: unassigned(client) == n, 60, "all of them")
    client.send_control(engine.uuid, "abort_request", {"msg_ids": flock.ids[:1]})
    flock.collect(n)
    assert flock.errors == {"aborted": 1, "ImpossibleDependency": n - 1}


def test_engine_dies_under_those_who_follow(start):
    n = MANY
    controller, client, engine = start()
    flock = Flock(client)
    flock.fan(n, "follow")
    wait_until(lambda: unassigned(client) == n - 1, 60, "all of them")
    engine.begin(engine.recv())
    engine.close()
    flock.collect(n)
    assert flock.errors == {"EngineError": 1, "ImpossibleDependency": n - 1}


def test_client_is_gone_when_its_chain_fails(start, make_peers):
    n = MANY
    controller, client, engine = start()
    flock = Flock(client)
    flock.chain(n)
    other = make_peers(controller).client()
    wait_until(lambda: unassigned(other) == n - 1, 60, "all of them")
    client.close()
    fail_head(engine)
    wait_until(lambda: unassigned(other) == 0, 60, "their end")
    other.submit()
    engine.answer(engine.recv())
    assert other.recv(other.task).content["status"] == "ok"


def test_others_are_served_while_a_chain_fails(start, make_peers):
    n = MANY
    controller, client, engine = start()
    flock = Flock(client)
    flock.chain(n)
    other = make_peers(controller).client()
    wait_until(lambda: unassigned(other) == n - 1, 60, "all of them")
    witness = Witness(other)
    fail_head(engine)
    flock.collect(n)
    witness.stop()
    assert controller.rss_mb() < 250


def test_impossible_lists(start):
    """One id a hundred thousand times, an id that nobody has seen behind them, and the task's own."""
    _, client, engine = start()
    flock = Flock(client)
    head = flock.submit({})
    flock.submit({"after": [head] * MANY, "follow": [head] * MANY})
    flock.submit({"after": [head] * MANY + ["never"]})
    flock.submit({"follow": [head] * MANY + [flock.id(3)]})
    flock.submit({"after": flock.id(5)})  # the next
    flock.submit({"after": flock.id(4)})  # and so there is no circle
    flock.collect(4)
    assert [flock.answers.get(i) for i in flock.ids[2:]] == ["InvalidDependency"] * 3 + ["ImpossibleDependency"]
    worker = Worker(engine)
    flock.collect(6)
    worker.stop()
    assert worker.order == flock.ids[:2]
