# SPDX-License-Identifier: BSD-3-Clause
"""Keys about the controller alone: simulated engines and clients, no Python on the way."""
import time

from measure import broker, controller, key, load, pss_mb

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
        with controller("ours", "--hwm=1") as plain:
            sixteen = (f"--engines={ENGINES}", "--iopub")
            a, b = load(plain, tasks // 4, *sixteen), load(reference, reference_tasks, *sixteen)
            beside["tasks/s, 16 stock engines, hwm 1, ours"] = a["tasks_s"]
            beside["tasks/s, 16 stock engines, hwm 1, ratio"] = a["tasks_s"] / b["tasks_s"]
    return runs, beside


@key("ctl_cpu_vs_broker", 0.9, "ratio of CPU a task", "<=")
def cpu_vs_broker():
    """Controller CPU a task against the bare broker's, both forwarding iopub, one task an engine."""
    runs, beside = [], {}
    sim = (f"--engines={ENGINES}", "--iopub")
    with controller("ours", "--hwm=1") as ours, broker(iopub=True) as rival:
        free = load(rival, 100000, f"--engines={ENGINES}", "--window=0")
        if free["tasks_s"] < 60000:
            raise RuntimeError(f"void: the broker carries {free['tasks_s']:.0f} tasks/s with an unlimited window, "
                               "60,000 wanted; this machine is too busy to compare")
        beside["broker, unlimited window, no iopub: tasks/s"] = free["tasks_s"]
        beside["broker, unlimited window, no iopub: CPU us a task"] = free["cpu_us"]
        mine, theirs = tasks_for(ours, *sim), tasks_for(rival, *sim)
        for _ in range(ROUNDS):
            a, b = load(ours, mine, *sim), load(rival, theirs, *sim)
            runs.append((a["cpu_us"], b["cpu_us"]))
            beside.setdefault("tasks/s, ours", []).append(a["tasks_s"])
            beside.setdefault("tasks/s, broker", []).append(b["tasks_s"])
            beside.setdefault("peak MB, ours", []).append(a["peak_mb"])
            beside.setdefault("peak MB, broker", []).append(b["peak_mb"])
        a, b = load(ours, mine // 4, f"--engines={ENGINES}"), load(rival, theirs // 4, f"--engines={ENGINES}")
        beside["CPU us a task without iopub, ours"] = a["cpu_us"]
        beside["CPU us a task without iopub, broker"] = b["cpu_us"]
        beside["CPU a task without iopub, ratio"] = a["cpu_us"] / b["cpu_us"]
        a, b = load(ours, 2000, "--engines=1", "--rtt"), load(rival, 2000, "--engines=1", "--rtt")
        for q in ("p50_us", "p99_us"):
            beside[f"round trip {q}, ours"], beside[f"round trip {q}, broker"] = a[q], b[q]
            beside[f"round trip {q}, ratio"] = a[q] / b[q]
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
