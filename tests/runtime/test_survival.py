# SPDX-License-Identifier: BSD-3-Clause
"""Interrupts, forks, closed descriptors, output: what user code does to its process."""
import os
import signal
import time

import pytest

from packing import memory, pack_call

SPIN = "def spin(s):\n import time\n print('begun')\n end = time.monotonic() + s\n while time.monotonic() < end: pass\n return 'done'"
NAP = "def nap(s):\n import time\n print('begun')\n time.sleep(s)\n return 'done'"


def wait_for_output(engine, text, which=1):
    end = time.monotonic() + 60
    seen = ""
    while text not in seen:
        assert time.monotonic() < end, f"no {text!r} in {seen!r}"
        seen += engine.output(which)
        time.sleep(0.005)
    return seen


# Interrupts

@pytest.mark.parametrize("code", [SPIN, NAP])
def test_interrupt_in_user_code(engine, code):
    msg_id = engine.ask("apply_request", {}, pack_call(code, (60,)))
    wait_for_output(engine, "begun")
    engine.interrupt()
    reply = engine.answer(msg_id)
    assert (reply.content["ename"], reply.content["evalue"]) == ("KeyboardInterrupt", "")
    assert engine.value("lambda: 1") == 1


def test_interrupt_of_a_cell(engine):
    msg_id = engine.ask("execute_request", {"code": "print('begun')\nwhile True: pass", "silent": True})
    wait_for_output(engine, "begun")
    engine.interrupt()
    assert engine.answer(msg_id).content["ename"] == "KeyboardInterrupt"


@pytest.mark.parametrize("wait", ["await asyncio.sleep(60)", "while True: pass",
                         "await asyncio.gather(asyncio.sleep(60))"])
def test_interrupt_of_an_awaiting_cell(engine, wait):
    code = f"import asyncio\nawait asyncio.sleep(0)\nprint('begun')\n{wait}"
    msg_id = engine.ask("execute_request", {"code": code, "silent": True})
    wait_for_output(engine, "begun")
    engine.interrupt()
    assert engine.answer(msg_id).content["ename"] == "KeyboardInterrupt"
    assert engine.execute("await asyncio.sleep(0); print('on')").status == "ok"
    assert engine.output() == "on\n"


def test_interrupt_while_idle_hits_nothing(engine):
    for _ in range(20):
        engine.interrupt()
    assert engine.value("lambda: 1") == 1
    assert engine.execute("import asyncio; await asyncio.sleep(0)").status == "ok"
    for _ in range(20):
        engine.interrupt()
    assert engine.value("lambda: 2") == 2
    assert engine.text[2] == b""


def test_each_request_has_one_reply_whenever_the_signal_comes(engine):
    buffers = pack_call("lambda: 1")
    outcomes = {"ok": 0, "error": 0}
    for i in range(400):
        msg_id = engine.ask("apply_request", {}, buffers)
        end = time.perf_counter() + (i % 40) * 5e-6
        while time.perf_counter() < end:
            pass
        engine.interrupt()
        reply = engine.answer(msg_id)
        outcomes[reply.status] += 1
        if reply.status == "error":
            assert reply.content["ename"] == "KeyboardInterrupt"
    assert outcomes["ok"], outcomes
    assert engine.value("lambda: 1") == 1


def test_handler_of_the_user_does_not_stay(engine):
    engine.execute("import signal; signal.signal(signal.SIGINT, signal.default_int_handler)")
    engine.interrupt()
    assert engine.value("lambda: 1") == 1
    code = "def f():\n import signal, os\n got = []\n signal.signal(signal.SIGINT, lambda *a: got.append(1))\n os.kill(os.getpid(), 2)\n return got"
    assert engine.value(code) == [1]


def test_handler_that_raises_between_requests(engine):
    engine.execute("import signal\ndef boom(*args): raise ValueError('boom')\nsignal.signal(signal.SIGUSR1, boom)")
    os.kill(engine.process.pid, signal.SIGUSR1)
    assert "Traceback" in wait_for_output(engine, "ValueError: boom\n", which=2)
    assert engine.value("lambda: 1") == 1


# Forks, ends, descriptors

def test_fork_in_a_task(engine):
    code = ("def f():\n import os, sys\n print('parent')\n pid = os.fork()\n if pid == 0:\n"
            "  print('child')\n  print('child err', file=sys.stderr)\n  os._exit(7)\n"
            " return os.waitpid(pid, 0)[1] >> 8")
    assert engine.value(code) == 7
    assert engine.output() == "parent\nchild\n" and engine.output(2) == "child err\n"


def test_child_that_comes_out_of_its_task(engine):
    """The task's function returns twice, in the parent and in the child; only one of them answers."""
    assert engine.value("def f():\n import os\n return os.fork() > 0") is True
    assert engine.value("def f():\n import os\n return os.wait()[1]") == 0
    code = "def f():\n import os\n if os.fork() == 0: raise ValueError('in the child')\n return os.wait()[1] >> 8"
    assert engine.value(code) == 1
    assert "ValueError: in the child" in engine.output(2) and not engine.published


def test_child_that_c_code_makes(engine):
    """Python's own handlers around a fork do not run."""
    code = "def f():\n import ctypes\n return ctypes.CDLL(None).fork() > 0"
    assert engine.value(code) is True
    assert engine.value("def f():\n import os\n return os.wait()[1]") == 0
    code = ("def f():\n import ctypes, os\n if ctypes.CDLL(None).fork() == 0: raise ValueError('in the child')\n"
            " return os.wait()[1] >> 8")
    assert engine.value(code) == 1
    assert "ValueError: in the child" in engine.output(2) and not engine.published


def test_child_must_not_speak(engine):
    code = ("def f():\n import os\n from ipyparallel.datapub import publish_data\n pid = os.fork()\n if pid == 0:\n"
            "  try:\n   publish_data({'a': 1})\n  except RuntimeError:\n   os._exit(7)\n  os._exit(1)\n"
            " return os.waitpid(pid, 0)[1] >> 8")
    assert engine.value(code) == 7
    assert not engine.published


def test_child_that_outlives_us_does_not_hold_the_channel(engine):
    engine.execute("import os, time\nif os.fork() == 0:\n    time.sleep(30)\n    os._exit(0)")
    pid = engine.value("def f():\n import os\n me = os.getpid()\n"
                       " return int(open(f'/proc/{me}/task/{me}/children').read())")
    try:
        engine.process.kill()
        engine.process.wait()
        engine.sock.settimeout(60)
        assert engine.sock.recv(100) == b""
    finally:
        os.kill(pid, signal.SIGKILL)


def test_child_and_parent_do_not_share_a_block(engine):
    """Memory that came in a block behaves like any other over a fork, and goes back at once."""
    code = ("def f(v):\n import os, sys\n sys.kept = v\n r, w = os.pipe()\n pid = os.fork()\n if pid == 0:\n"
            "  v[0] = 99\n  os.write(w, bytes([v[0], v[1]]))\n  os._exit(0)\n"
            " os.waitpid(pid, 0)\n v[1] = 5\n return list(os.read(r, 2)), v[0], v[1], v[99999]")
    assert engine.value(code, memory(b"\1" * 100_000)) == ([99, 1], 1, 5, 1)
    engine.value("lambda: 1")
    assert not any(is_lent for _, is_lent in engine.lent.values())
    assert engine.value("lambda v: v[0]", memory(b"\7" * 100_000)) == 7
    assert engine.value("lambda: list(__import__('sys').kept[:3])") == [1, 5, 1]


def test_multiprocessing(engine):
    engine.execute("import multiprocessing\ndef work(x):\n    print('work', x)\n    return x * x\n"
                   "with multiprocessing.get_context('fork').Pool(2) as pool:\n    r = pool.map(work, range(4))\nprint(r)")
    text = engine.output()
    assert text.endswith("[0, 1, 4, 9]\n") and sorted(text.splitlines()[:4]) == [f"work {i}" for i in range(4)]


def test_os_exit_is_seen_at_once(engine):
    engine.ask("apply_request", {}, pack_call("lambda: __import__('os')._exit(9)"))
    assert engine.wait() == 9
    assert engine.sock.recv(100) == b""


def test_closing_all_usual_descriptors(engine):
    assert engine.value("def f():\n import os\n os.closerange(3, 1024)\n return 1") == 1
    assert engine.value("lambda: 2") == 2
    assert len(engine.call("lambda: bytes(100000)").buffers[1]) == 100000


@pytest.mark.parametrize("code", [
    "os.closerange(3, 1 << 20)",
    "[os.close(fd) for fd in map(int, os.listdir('/proc/self/fd')) if os.path.exists(f'/proc/self/fd/{fd}')]",
])
def test_closing_all_descriptors(engine, code):
    assert engine.value(f"def f():\n import os\n {code}\n return 1") == 1
    assert engine.value("lambda: 2") == 2
    forked = f"if os.fork() == 0:\n  {code}\n  os._exit(7)\n return os.wait()[1] >> 8"
    assert engine.value(f"def f():\n import os\n {forked}") == 7


@pytest.mark.parametrize("code", [
    "asyncio.get_running_loop().stop()",
    "async def leave():\n await asyncio.sleep(0.01)\n raise SystemExit(3)\ntask = asyncio.ensure_future(leave())",
    "import os; os.closerange(3, 1 << 20)",
    "for task in asyncio.all_tasks(): task.cancel()",
])
def test_event_loop_outlives_user_code(engine, code):
    engine.execute(f"import asyncio\nawait asyncio.sleep(0)\n{code}\nawait asyncio.sleep(0.1)")
    assert engine.value("lambda: 1") == 1
    assert engine.execute("x = await asyncio.sleep(0.01, 5)").status == "ok"
    assert engine.value("lambda: x") == 5


def test_output_that_is_held_back_comes_with_its_request(engine):
    code = "def f():\n import sys\n sys.stdout = open(1, 'w', closefd=False)\n print('held back')"
    engine.value(code)
    assert engine.output() == "held back\n"
    assert engine.value("def f():\n import sys\n sys.stdout = sys.__stdout__") is None


@pytest.mark.parametrize("stream", ["None", "type('Odd', (), {'write': 1, 'flush': 1})()"])
def test_streams_that_are_none(engine, stream):
    code = f"def f():\n import sys\n sys.stdout = sys.stderr = {stream}"
    engine.value(code)
    assert engine.value("lambda: 1") == 1
    assert engine.call("lambda: 1 / 0").content["ename"] == "ZeroDivisionError"
    assert engine.execute("import sys; del sys.stdout").status == "ok"
    assert engine.value("lambda: 2") == 2


def test_closing_stdout(engine):
    assert engine.execute("import os; os.close(1)").status == "ok"
    assert engine.execute("print('nowhere')").content["ename"] == "OSError"
    assert engine.value("lambda: 1") == 1


def test_threads_that_hold_the_lock(engine):
    engine.execute("import threading, sys\nstop = False\ndef spin():\n    while not stop: pass\n"
                   "t = threading.Thread(target=spin, daemon=True); t.start()")
    assert engine.value("lambda: 1") == 1
    engine.execute("stop = True; t.join()")


# Output

def test_output_of_a_thread_after_the_task(engine):
    engine.execute("import threading\nthreading.Timer(0.1, print, ['late']).start()")
    wait_for_output(engine, "late")


def test_descriptors_subprocesses_and_c(engine):
    engine.execute("import os, subprocess, ctypes, sys\nos.write(1, b'raw ')\nsubprocess.run(['printf', 'child '])\n"
                   "ctypes.CDLL(None).printf(b'c ')")
    assert engine.output() == "raw child c "


def test_text_streams(engine):
    code = ("def f():\n import sys, os\n s = sys.stdout\n s.set_parent({})\n s.writelines(['a', 'b'])\n s.flush()\n"
            " try:\n  s.write(5)\n except TypeError:\n  ok = True\n"
            " return s.isatty(), s.encoding, s.closed, s.fileno(), ok")
    assert engine.value(code) == (False, "UTF-8", False, 1, True)
    engine.execute("print('ü \\udc80 €')")
    assert engine.output() == "abü \\udc80 €\n"


def test_much_output(engine):
    engine.ask("execute_request", {"code": "for i in range(20000): print('x' * 100)", "silent": True})
    seen = 0
    end = time.monotonic() + 60
    while seen < 20000 * 101 and time.monotonic() < end:
        seen += len(engine.output())
    assert seen == 20000 * 101
