# SPDX-License-Identifier: BSD-3-Clause
"""Keys about many engines: simulated ones, thousands in a process (engines.c), and a client that
has a correct answer from each of them before anything is measured (usable.c)."""
import contextlib
import json
import os
import resource
import select
import subprocess
import time

from measure import TOOLS, controller, cpu_seconds, key, load, pss_mb

ATTACHED = 10_000
STOCK = 2_000
FEW = 10
STOCK_CONNECTIONS = 8
OTHER_DESCRIPTORS = 512  # of the controller
PROCESSES = 2            # that the engines of a crowd share
SECONDS = 5              # a run's length; three rounds of both sides make a key's
ROUNDS = 3
PATIENCE_S = 120
HWM1 = "--hwm=1"


def fitting(engines, connections):
    """As many of so many engines as this machine's limit of descriptors lets one controller have."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return min(engines, (hard - OTHER_DESCRIPTORS) // connections)


def line(process, what):
    """One line of its output, within the time allowed."""
    if not select.select([process.stdout], [], [], PATIENCE_S)[0]:
        raise TimeoutError(f"{what}: nothing within {PATIENCE_S} s")
    text = process.stdout.readline().strip()
    if not text:
        raise RuntimeError(f"{what}: ended with {process.wait()}")
    return text


@contextlib.contextmanager
def tool(name, side, *args):
    argv = [os.path.join(TOOLS, name), side.client_file, side.engine_file, *args]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as p:
        try:
            if line(p, name) != "waiting":
                raise RuntimeError(f"{name} did not start")
            yield p
        finally:
            p.stdin.close()
            try:
                p.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                p.kill()


@contextlib.contextmanager
def crowd(side, n, attached):
    """So many engines, all of them usable; yields the seconds from the word go until the last one was, and the
    CPU seconds of the controller in that time."""
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(tool("usable", side, f"--engines={n}"))
        kind = ["--attach"] if attached else []
        parts = min(PROCESSES, n)
        shares = [n // parts + (i < n % parts) for i in range(parts)]
        processes = [stack.enter_context(tool("engines", side, f"--engines={share}", *kind)) for share in shares]
        cpu, start = cpu_seconds(side.pids), time.monotonic()
        for p in processes:
            p.stdin.write("go\n")
            p.stdin.flush()
        figures = json.loads(line(client, "all engines usable"))
        seconds, cpu = time.monotonic() - start, cpu_seconds(side.pids) - cpu
        if figures != dict(figures, usable=n, announced=n, wrong=0):
            raise RuntimeError(f"{n} engines: {figures}")
        for p in processes:
            if line(p, "engines") != "registered":
                raise RuntimeError("an engine has no id")
        yield seconds, cpu


def cpu_of_many(many, connections, attached, hwm=HWM1, rounds=ROUNDS):
    """CPU a task with many engines and with few, in turns; the many are there, idle but for their hearts, while the few
    work for a controller of their own."""
    many, runs, beside = fitting(many, connections), [], {}
    with controller("ours", hwm) as crowded, controller("ours", hwm) as lonely, \
            crowd(crowded, many, attached), crowd(lonely, FEW, attached):
        sides = {f"{many} engines": crowded, f"{FEW} engines": lonely}
        tasks = {name: int(load(side, 30_000, "--engines=0")["tasks_s"] * SECONDS) for name, side in sides.items()}
        for _ in range(rounds):
            figures = {}
            for name, side in sides.items():
                figures[name] = load(side, tasks[name], "--engines=0")
                beside.setdefault(f"tasks/s, {name}", []).append(figures[name]["tasks_s"])
            runs.append(tuple(f["cpu_us"] for f in figures.values()))
        cpu, start = cpu_seconds(crowded.pids), time.monotonic()
        time.sleep(6)  # two periods of the heart are what is measured
        share = (cpu_seconds(crowded.pids) - cpu) / (time.monotonic() - start)
        beside[f"CPU of the controller with {many} idle engines, %"] = 100 * share
    beside["engines measured"] = many
    return runs, beside


@key("ctl_cpu_10k_vs_10_engines", 1.5, "ratio of CPU a task", "<=")
def cpu_10k_engines():
    """Controller CPU a task with 10,000 attached engines against 10. The window is the same for each engine on both
    sides, one task (hwm=1), and all engines are busy: what differs is how many there are. So with both a task costs one
    read from and one write to its engine's connection. Beside, the default, hwm=auto: ten engines hold hundreds of tasks,
    and get them and answer them in batches; of 10,000 most are idle, and short tasks go to them up to sixteen together
    (src/router/pace.h)."""
    runs, beside = cpu_of_many(ATTACHED, 1, True)
    auto, _ = cpu_of_many(ATTACHED, 1, True, "--hwm=auto", 1)
    beside["hwm=auto on both sides: CPU us a task, many"], beside["hwm=auto on both sides: CPU us a task, few"] = auto[0]
    beside["hwm=auto on both sides: ratio"] = auto[0][0] / auto[0][1]
    return runs, beside


@key("ctl_cpu_2000_stock_vs_10", 1.5, "ratio of CPU a task", "<=")
def cpu_2000_stock_engines():
    """The same with 2,000 engines that have eight connections each, like stock ones, against 10 of them."""
    return cpu_of_many(STOCK, STOCK_CONNECTIONS, False)


@key("storm_10000_s", 15, "s", "<=")
def storm():
    """10,000 attached engines connect and register at once: seconds until a client, which sends each engine an apply of its
    own as soon as it is announced, has had a correct answer from every one."""
    n, runs, beside = fitting(ATTACHED, 1), [], {}
    for _ in range(2):
        with controller("ours") as side, crowd(side, n, True) as (seconds, cpu):
            runs.append((seconds, None))
            beside.setdefault("controller's CPU s", []).append(cpu)
        with controller("ours", "--IPController.enable_curve=True") as side, crowd(side, n, True) as (seconds, cpu):
            beside.setdefault("with CURVE: s", []).append(seconds)
            beside.setdefault("with CURVE: controller's CPU s", []).append(cpu)
    beside["engines measured"] = n
    return runs, beside


@key("ctl_kb_per_engine", 12, "KB", "<=")
def memory_per_engine():
    """The controller's memory for each of 10,000 attached engines that have registered and answered: what it has more
    than before they came."""
    n, runs, beside = fitting(ATTACHED, 1), [], {}
    for label, args in (("", ()), ("with CURVE: KB", ("--IPController.enable_curve=True",))):
        with controller("ours", *args) as side:
            before = pss_mb(side.pids)
            with crowd(side, n, True):
                figure = (pss_mb(side.pids) - before) * 1000 / n
                if label:
                    beside[label] = figure
                    continue
                runs.append((figure, None))
                beside["idle controller without engines, MB"] = before
                load(side, 10 * n, "--engines=0")
                beside["after ten tasks each: KB"] = (pss_mb(side.pids) - before) * 1000 / n
    beside["engines measured"] = n
    return runs, beside
