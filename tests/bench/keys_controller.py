# SPDX-License-Identifier: BSD-3-Clause
"""Keys about the controller alone: simulated engines and clients, no Python on the way."""
import time

from measure import Void, broker, controller, key, load, pss_mb

ENGINES = 16
FEW_ENGINES = 4
SECONDS = 10         # a run's least length
ROUNDS = 2


def tasks_for(side, *args):
    """How many tasks last SECONDS on this side, found by a short run."""
    rate = load(side, 2000 if side.name == "reference" else 20000, *args)["tasks_s"]
    return int(rate * SECONDS * 1.1)


@key("ctl_tasks_vs_ref", 250, "ratio of tasks/s", ">=")
def tasks_vs_reference():
    """No-op tasks/s, 4 engines, busy and idle on iopub to one subscriber: ours with hwm=auto and engines like ours, the
    reference with its hwm of 1 and engines like its own."""
    theirs = (f"--engines={FEW_ENGINES}", "--iopub")
    mine = (*theirs, "--attach")
    runs, beside = [], {}
    with controller("ours", "--hwm=auto") as ours, controller("reference", "--hwm=1") as reference:
        tasks, reference_tasks = tasks_for(ours, *mine), tasks_for(reference, *theirs)
        for _ in range(ROUNDS):
            a = load(ours, tasks, *mine)
            b = load(reference, reference_tasks, *theirs)
            runs.append((a["tasks_s"], b["tasks_s"]))
            for name, unit in (("cpu_us", "CPU us a task"), ("peak_mb", "peak MB")):
                beside.setdefault(f"{unit}, ours", []).append(a[name])
                beside.setdefault(f"{unit}, reference", []).append(b[name])
                beside.setdefault(f"{unit}, ratio", []).append(a[name] / b[name])
        a = load(ours, 2000, "--engines=1", "--rtt")
        b = load(reference, 300, "--engines=1", "--rtt")
        for q in ("p50_us", "p99_us"):
            beside[f"round trip {q}, ours"], beside[f"round trip {q}, reference"] = a[q], b[q]
            beside[f"round trip {q}, ratio"] = a[q] / b[q]
        a = load(ours, tasks // 4, f"--engines={FEW_ENGINES}", "--attach")
        beside["tasks/s without iopub, ours"] = a["tasks_s"]
    return runs, beside


@key("ctl_tasks_vs_ref_hwm1", 100, "ratio of tasks/s", ">=")
def tasks_vs_reference_hwm1():
    """No-op tasks/s, 16 stock engines, one task an engine on both sides, busy and idle on iopub to one subscriber."""
    runs, beside = [], {}
    sim = (f"--engines={ENGINES}", "--iopub")
    with controller("ours", "--hwm=1") as ours, controller("reference", "--hwm=1") as reference:
        tasks, reference_tasks = tasks_for(ours, *sim), tasks_for(reference, *sim)
        for _ in range(ROUNDS):
            a, b = load(ours, tasks, *sim), load(reference, reference_tasks, *sim)
            runs.append((a["tasks_s"], b["tasks_s"]))
            note(beside, "ours", a)
            note(beside, "reference", b)
    return runs, beside


def note(beside, who, run):
    """Who was busy: what limits is the one with most CPU a task (the broker has two threads, ours one and records')."""
    beside.setdefault(f"CPU us a task, {who}", []).append(run["cpu_us"])
    beside.setdefault(f"CPU us a task, load generator with {who}", []).append(run["generator_us"])
    beside.setdefault(f"peak MB, {who}", []).append(run["peak_mb"])


def check_broker(rival, beside):
    """A machine on which the broker is this slow is too busy to compare."""
    free = load(rival, 100000, f"--engines={ENGINES}", "--window=0")
    if free["tasks_s"] < 60000:
        raise Void(f"the broker carries {free['tasks_s']:.0f} tasks/s with an unlimited window, "
                   "60,000 wanted; this machine is too busy to compare")
    beside["broker, unlimited window, no iopub: tasks/s"] = free["tasks_s"]
    beside["broker, unlimited window, no iopub: CPU us a task"] = free["cpu_us"]


@key("ctl_tasks_vs_broker", 1.5, "ratio of tasks/s", ">=")
def tasks_vs_broker():
    """Tasks/s, 16 engines, one task an engine on both sides. The same frames on both: engines with stock sockets
    have one connection for tasks, as the broker's engines have. Beside it wider windows, and engines like ours,
    whose one connection carries a channel's name and a note for each task more."""
    runs, beside = [], {}
    sim = (f"--engines={ENGINES}",)
    with broker(iopub=False) as rival:
        check_broker(rival, beside)
        with controller("ours", "--hwm=1") as ours:
            mine, theirs = tasks_for(ours, *sim), tasks_for(rival, *sim)
            for _ in range(ROUNDS):
                a, b = load(ours, mine, *sim), load(rival, theirs, *sim)
                runs.append((a["tasks_s"], b["tasks_s"]))
                note(beside, "ours", a)
                note(beside, "broker", b)
            a = load(ours, mine // 5, *sim, "--attach")
            beside["tasks/s ratio, engines like ours"] = a["tasks_s"] / runs[-1][1]
        for window in (4, 16, 64):
            with controller("ours", f"--hwm={window}") as ours:
                for _ in range(2):
                    a, b = load(ours, mine // 5, *sim), load(rival, theirs // 5, *sim, f"--window={window}")
                    beside.setdefault(f"tasks/s ratio, window {window}", []).append(a["tasks_s"] / b["tasks_s"])
    return runs, beside


@key("ctl_rtt_vs_broker", 0.7, "ratio of round trips", "<=")
def rtt_vs_broker():
    """Round trip p50, one engine, one task in flight; the same frames on both sides. Beside it an engine like ours."""
    runs, beside = [], {}
    sim = ("--engines=1", "--rtt")
    with controller("ours", "--hwm=1") as ours, broker(iopub=False) as rival:
        check_broker(rival, beside)
        load(ours, 5000, *sim), load(rival, 5000, *sim)
        for _ in range(4):
            a, b, c = load(ours, 30000, *sim), load(rival, 30000, *sim), load(ours, 30000, *sim, "--attach")
            runs.append((a["p50_us"], b["p50_us"]))
            beside.setdefault("p99 us, ours", []).append(a["p99_us"])
            beside.setdefault("p99 us, broker", []).append(b["p99_us"])
            beside.setdefault("p50 ratio, an engine like ours", []).append(c["p50_us"] / b["p50_us"])
            note(beside, "ours", a)
            note(beside, "broker", b)
    return runs, beside


@key("ctl_cpu_vs_broker", 0.65, "ratio of CPU a task", "<=")
def cpu_vs_broker():
    """Controller CPU a task against the bare broker's, both forwarding iopub, one task an engine."""
    runs, beside = [], {}
    sim = (f"--engines={ENGINES}", "--iopub")
    with controller("ours", "--hwm=1") as ours, broker(iopub=True) as rival:
        check_broker(rival, beside)
        mine, theirs = tasks_for(ours, *sim), tasks_for(rival, *sim)
        for _ in range(ROUNDS):
            a, b = load(ours, mine, *sim), load(rival, theirs, *sim)
            runs.append((a["cpu_us"], b["cpu_us"]))
            for name, run in (("ours", a), ("broker", b)):
                note(beside, name, run)
                beside.setdefault(f"tasks/s, {name}", []).append(run["tasks_s"])
        a, b = load(ours, mine // 4, f"--engines={ENGINES}"), load(rival, theirs // 4, f"--engines={ENGINES}")
        beside["CPU us a task without iopub, ours"] = a["cpu_us"]
        beside["CPU us a task without iopub, broker"] = b["cpu_us"]
        beside["CPU a task without iopub, ratio"] = a["cpu_us"] / b["cpu_us"]
    return runs, beside


@key("ctl_pss_mb", 15, "MB", "<=")
def idle_memory():
    """Proportional memory of the controller, idle."""
    with controller("ours") as ours, controller("reference") as reference:
        time.sleep(1)  # idle is the state measured
        return [(pss_mb(ours.pids), None)], {"reference, all its processes": pss_mb(reference.pids)}


@key("sqlite_vs_none", 0.7, "ratio of tasks/s", ">=")
def sqlite_vs_none():
    """Tasks/s with the SQLite store against none, all tasks submitted at once."""
    runs, beside = [], {}
    sim = (f"--engines={ENGINES}",)
    with controller("ours", "--hwm=1", "--sqlitedb") as sqlite, controller("ours", "--hwm=1", "--nodb") as none:
        tasks = tasks_for(none, *sim)
        load(sqlite, 20000, *sim)
        for _ in range(ROUNDS + 1):
            a, b = load(sqlite, tasks, *sim), load(none, tasks, *sim)
            runs.append((a["tasks_s"], b["tasks_s"]))
            for label, run in (("sqlite", a), ("none", b)):
                beside.setdefault(f"CPU us a task, {label}", []).append(run["cpu_us"])
                beside.setdefault(f"peak MB, {label}", []).append(run["peak_mb"])
    return runs, beside
