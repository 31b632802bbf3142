# SPDX-License-Identifier: BSD-3-Clause
"""What an idle runtime costs, and a task. CPU time is measured beside that of another interpreter of the same kind
that does a fixed amount of work in turns with it, so that the limits hold on whatever machine this is; they leave
about 1.6 times what was measured. The least of many rounds counts, and requests come in batches: on a busy machine
it costs more than the work to wake up for each."""
import contextlib
import math
import os
import socket
import subprocess
import time

import fakeengine
from fakeengine import FakeEngine
from packing import pack_call

PSS_MAX_KB = 20_000
START_MAX = 5.4  # start of an interpreter with nothing to do = 1
TASK_MAX = 1.1   # one request to ECHO = 1
ROUNDS, ROUNDS_MAX, BATCHES, BATCH = 30, 300, 4, 50
ECHO = """
import pickle, socket, sys
channel = socket.socket(fileno=int(sys.argv[1]))
record = {f"key{i}": (i, str(i), [i / 7, None, b"octets"]) for i in range(4)}
while request := channel.recv(65536):
    for _ in range(2):
        made = pickle.loads(pickle.dumps(record))
        text = [f"{k}={n}" for k, (n, _, rest) in sorted(made.items()) if rest]
    channel.sendall(pickle.dumps((len(request), text)))
"""
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
    def bare():
        env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        done = subprocess.run([fakeengine.PYTHON, "-c", "import time; print(time.process_time())"], env=env,
                              capture_output=True, text=True, check=True)
        return float(done.stdout)

    def ours():
        with FakeEngine() as e:
            return e.value("lambda: __import__('time').process_time()")
    least_ours, least_bare = map(min, zip(*((ours(), bare()) for _ in range(7))))
    assert least_ours < START_MAX * least_bare, (least_ours, least_bare)


@contextlib.contextmanager
def echo_program():
    """(process, a socket to it); it answers each message that is sent."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            process = subprocess.Popen([fakeengine.PYTHON, "-S", "-E", "-c", ECHO, str(theirs.fileno())],
                                       pass_fds=[theirs.fileno()])
        ours.settimeout(fakeengine.DEADLINE_S)
        yield process, ours
    process.wait(fakeengine.DEADLINE_S)


def cpu_us(process, batch):
    """CPU time of another process for one request."""
    clock = ~process.pid << 3 | 2  # clock_getcpuclockid(3)
    before = time.clock_gettime(clock)
    for _ in range(BATCHES):
        batch()
    return (time.clock_gettime(clock) - before) / BATCHES / BATCH * 1e6


def test_task_takes_little_cpu(engine):
    buffers = pack_call("lambda x: x", (5,))
    with echo_program() as (process, channel):
        def tasks():
            for msg_id in [engine.ask("apply_request", {}, buffers) for _ in range(BATCH)]:
                assert engine.answer(msg_id).status == "ok"

        def echos():
            for _ in range(BATCH):
                channel.sendall(bytes(616))  # as large as the request for the task
            for _ in range(BATCH):
                channel.recv(65536)
        tasks(), echos()
        least_task = least_echo = math.inf
        for done in range(ROUNDS_MAX):  # more where others have the machine: the least of few is no measure then
            least_task = min(least_task, cpu_us(engine.process, tasks))
            least_echo = min(least_echo, cpu_us(process, echos))
            if done >= ROUNDS and least_task < TASK_MAX * least_echo:
                break
    assert least_task < TASK_MAX * least_echo, (least_task, least_echo)


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
