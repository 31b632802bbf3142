# SPDX-License-Identifier: BSD-3-Clause
"""What user code takes away from its runtime: the descriptor of the channel, modules, the ways to import. What
can be had again is; else a sentence says what is gone."""
import os
import signal
import time

import pytest

from packing import pack_call

CHANNEL = "max(map(int, os.listdir('/proc/self/fd')))"  # it is out of the way of all others



@pytest.mark.parametrize("take", [
    f"ctypes.CDLL(None).close({CHANNEL})",
    f"ctypes.CDLL(None).dup2(os.open('/dev/null', os.O_RDONLY), {CHANNEL})",
])
@pytest.mark.parametrize("before", ["None", "await asyncio.sleep(0)"])
def test_channel_that_c_code_closes(engine, take, before):
    """Nothing can be answered any more: the last line on stderr says why."""
    engine.ask("execute_request", {"code": f"import asyncio, ctypes, os\n{before}\n{take}", "silent": True})
    assert engine.wait() == 3
    text = engine.output(2)
    assert text.endswith("\n") and "Traceback" not in text
    last = text.splitlines()[-1]
    assert last.startswith("ersa.runtime: ") and "user code closed" in last


@pytest.mark.parametrize("take", [
    "sys.modules.clear()",
    "for name in [n for n in sys.modules if n.partition('.')[0] in ('ersa', 'ipyparallel')]: del sys.modules[name]",
    "sys.modules = {}",
])
def test_modules_that_are_gone_come_back(engine, take):
    assert engine.execute(f"import sys\n{take}").status == "ok"
    assert engine.value("lambda: 1") == 1
    assert engine.call("lambda: 1 / 0").content["ename"] == "ZeroDivisionError"
    assert engine.execute("import json; x = json.loads('5')").status == "ok"
    assert engine.value("lambda: x") == 5
    assert engine.request("complete_request", {"code": "x.re", "cursor_pos": 4}).status == "ok"
    assert len([text for level, text in engine.logs if "sys.modules" in text]) == 1


@pytest.mark.parametrize("take", ["sys.modules.clear()", "sys.meta_path.clear()", "sys.path.clear()",
                                  "sys.modules.clear(); sys.meta_path.clear()"])
def test_task_that_fails_without_modules_has_its_reply(engine, take):
    reply = engine.call(f"def f():\n import sys\n {take}\n raise ValueError('after that')")
    assert (reply.content["ename"], reply.content["evalue"]) == ("ValueError", "after that")
    assert engine.value("lambda: 1") == 1


def test_handler_that_raises_an_error_of_the_system(engine):
    """TimeoutError, which handlers of SIGALRM like to raise, is an OSError as those of a lost channel are."""
    engine.execute("import signal\ndef late(*args): raise TimeoutError('late')\nsignal.signal(signal.SIGALRM, late)")
    os.kill(engine.process.pid, signal.SIGALRM)
    end = time.monotonic() + 60
    seen = ""
    while "TimeoutError: late" not in seen:
        assert time.monotonic() < end, seen
        seen += engine.output(2)
        time.sleep(0.005)
    assert engine.answer(engine.ask("apply_request", {}, pack_call("lambda: 1"))).status == "ok"
