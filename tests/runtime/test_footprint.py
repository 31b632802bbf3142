# SPDX-License-Identifier: BSD-3-Clause
"""What an idle runtime costs, and a task: goals of this project, measured on whatever machine this is."""
import pickle
import subprocess

import fakeengine
from fakeengine import FakeEngine
from packing import pack_call

PSS_MAX_KB = 20_000
START_CPU_MAX_S = 0.060
TASK_CPU_MAX_US = 30
TASKS = 3000
HEAVY = {"IPython", "asyncio", "numpy", "json", "re", "inspect", "typing", "logging", "ast", "traceback", "subprocess",
         "threading", "enum", "pickle", "signal", "ctypes", "socket"}


def test_idle_runtime_is_small(engine):
    engine.value("lambda x: x", 1)
    with open(f"/proc/{engine.process.pid}/smaps_rollup", encoding="ascii") as f:
        pss = next(int(line.split()[1]) for line in f if line.startswith("Pss:"))
    assert pss <= PSS_MAX_KB


def test_nothing_heavy_is_imported(engine):
    bare = subprocess.run([fakeengine.PYTHON, "-c", "import runpy, sys; print(*sys.modules)"], capture_output=True, text=True,
                          check=True)
    loaded = set(engine.value("lambda: sorted(__import__('sys').modules)"))
    assert not HEAVY & (loaded - set(bare.stdout.split()))


def test_start_takes_little_cpu():
    def once():
        with FakeEngine() as e:
            return e.value("lambda: __import__('time').process_time()")
    assert min(once() for _ in range(5)) < START_CPU_MAX_S


def test_task_takes_little_cpu(engine):
    buffers = pack_call("lambda x: x", (5,))
    clock = pack_call("lambda: __import__('time').process_time()")
    def cpu():
        return pickle.loads(engine.request("apply_request", {}, clock).buffers[0])

    def once():
        before = cpu()
        for _ in range(TASKS):
            engine.request("apply_request", {}, buffers)
        return (cpu() - before) / TASKS * 1e6
    costs = [once() for _ in range(3)]
    assert min(costs) < TASK_CPU_MAX_US, costs


def test_stubs_name_what_the_extension_has(engine):
    import ast
    import pathlib
    tree = ast.parse(pathlib.Path(fakeengine.PYTHON_DIR, "ersa", "_core.pyi").read_text(encoding="utf-8"))
    named = {}
    for node in tree.body:
        if isinstance(node, ast.AnnAssign):
            named[node.target.id] = []
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            named[node.name] = [n.name for n in getattr(node, "body", []) if isinstance(n, ast.FunctionDef)]
    code = ("def f():\n from ersa import _core\n return {n: [m for m in vars(v) if m[0] != '_'] if isinstance(v, type) else [] "
            "for n, v in vars(_core).items() if n[0] != '_'}")
    found = engine.value(code)
    assert set(found) == set(named)
    for name in ("Channel", "Buffer"):
        assert set(found[name]) == {n for n in named[name] if n[0] != "_"}
