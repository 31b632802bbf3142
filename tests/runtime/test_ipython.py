# SPDX-License-Identifier: BSD-3-Clause
"""An interpreter that has IPython: it comes when something needs it, over the same namespace."""
import pytest

from fakeengine import FakeEngine
from packing import pack_call
from test_survival import wait_for_output


@pytest.fixture
def engine(ref_python):
    with FakeEngine(python=ref_python) as e:
        yield e


def is_loaded(engine):
    return engine.value("lambda: 'IPython' in __import__('sys').modules")


def test_plain_work_does_not_load_it(engine):
    engine.execute("x = 1\nprint(x)\nx", silent=False)
    engine.execute("1/0")
    engine.execute("1 +")
    engine.call("lambda: 1/0")
    engine.value("lambda: get_ipython().user_ns['x']")
    assert not is_loaded(engine)


def test_magics_and_shell_lines(engine):
    engine.execute("x = 5")
    reply = engine.execute("%alias_magic t time\ny = !echo from the shell\nprint(y, x)\nx = 6")
    assert reply.status == "ok", reply.content
    assert "['from the shell'] 5" in engine.output()
    assert is_loaded(engine) and engine.value("lambda: x") == 6
    assert engine.execute("%%timeit -n1 -r1\npass").status == "ok"
    assert engine.execute("!echo hello").status == "ok"
    wait_for_output(engine, "hello\r\n")
    engine.execute("%who_ls", silent=False)
    assert engine.published[-1][2]["data"]["text/plain"] == "['x', 'y']"


@pytest.mark.parametrize("text", ["\n    x = 1\n    y = x + 1\n    ", "\tx = 1\n\ty = 2", ">>> y = 2", ">>> if 1:\n...     y = 2\n"])
def test_input_as_it_was_copied(engine, text):
    reply = engine.execute(text)
    assert reply.status == "ok", reply.content
    assert engine.value("lambda: y") == 2


def test_counter_and_results_go_on(engine):
    engine.execute("11", silent=False)
    reply = engine.execute("%time 12", silent=False)
    assert reply.content["execution_count"] == 2
    kinds = [(m[0], m[2].get("execution_count")) for m in engine.published]
    assert kinds == [("execute_input", 1), ("execute_result", 1), ("execute_input", 2), ("execute_result", 2)]
    engine.execute("Out[1], In[1], _", silent=False)
    assert engine.published[-1][2]["data"]["text/plain"] == "(11, '11', 12)"
    history = engine.request("history_request", {"hist_access_type": "tail", "n": 9}).content["history"]
    assert [h[2] for h in history][:2] == ["11", "%time 12"]


def test_it_comes_in_the_middle_of_a_cell(engine):
    code = "from IPython.display import HTML, display\ndisplay(HTML('<b>'))\n41"
    assert engine.execute(code, silent=False).content["execution_count"] == 1
    assert [m[0] for m in engine.published] == ["execute_input", "display_data", "execute_result"]
    engine.published = []
    assert engine.execute("_ + 1, _1, In[1][:4]", silent=False).content["execution_count"] == 2
    assert engine.published[-1][2]["data"]["text/plain"] == "(42, 41, 'from')"


def test_errors(engine):
    engine.execute("%pwd")
    engine.published = []
    reply = engine.execute("1/0", silent=False)
    assert reply.status == "error" and reply.flags == "n"
    assert reply.content["ename"] == "ZeroDivisionError" and reply.content["engine_info"]["method"] == "execute"
    errors = [m for m in engine.published if m[0] == "error"]
    assert len(errors) == 1 and errors[0][2]["traceback"] == reply.content["traceback"]
    engine.published = []
    assert engine.execute("1 +").content["ename"] == "SyntaxError"
    assert [m[0] for m in engine.published] == ["error"]
    assert engine.execute("%no_such_magic").status in ("ok", "error")
    assert engine.execute("import sys; sys.exit()").content["ename"] == "SystemExit"
    assert engine.execute("input()").content["ename"] == "StdinNotImplementedError"
    assert engine.exits == 0


def test_display(engine):
    code = ("from IPython.display import HTML, display, clear_output\nh = display(HTML('<b>'), display_id='d')\n"
            "display(HTML('<i>'), display_id='d', update=True)\nclear_output()")
    assert engine.execute(code).status == "ok"
    assert [m[0] for m in engine.published] == ["display_data", "update_display_data", "clear_output"]
    assert engine.published[0][1] == "engine.3.displaypub"
    assert engine.published[0][2]["transient"] == {"display_id": "d"}
    assert engine.published[0][2]["data"]["text/html"] == "<b>"
    engine.published = []
    assert engine.value("def f():\n from IPython.display import display\n display(5)") is None
    assert [m[0] for m in engine.published] == ["display_data"]


def test_shell_object(engine):
    code = ("import IPython\nip = get_ipython()\nip.register_magic_function(lambda line: print('mine', line), 'line', 'mine')\n"
            "assert IPython.get_ipython() is get_ipython()\nprint(get_ipython().kernel.engine_id)")
    assert engine.execute(code).status == "ok"
    assert engine.output() == "3\n"
    engine.execute("%mine yes")
    assert engine.output() == "mine yes\n"
    assert engine.value("lambda: get_ipython().kernel.shell is get_ipython()") is True


def test_user_expressions_and_payload(engine):
    engine.execute("%pwd")
    reply = engine.execute("x = 1", user_expressions={"a": "x", "b": "1/0"})
    made = reply.content["user_expressions"]
    assert made["a"]["data"]["text/plain"] == "1" and made["b"]["status"] == "error"
    assert engine.execute("exit").content["payload"][-1]["source"] == "ask_exit"
    assert engine.exits == 1


def test_await_and_interrupt(engine):
    engine.execute("%pwd")
    assert engine.execute("import asyncio; await asyncio.sleep(0); 5", silent=False).status == "ok"
    assert engine.published[-1][2]["data"]["text/plain"] == "5"
    for code in ("print('begun'); await asyncio.sleep(60)", "print('begun')\nwhile True: pass",
                 "import time; print('begun'); time.sleep(60)"):
        msg_id = engine.ask("execute_request", {"code": code, "silent": True})
        wait_for_output(engine, "begun")
        engine.interrupt()
        assert engine.answer(msg_id).content["ename"] in ("KeyboardInterrupt", "CancelledError")
        assert engine.execute("2").status == "ok"


def test_tasks_beside_it(engine):
    engine.execute("%pwd")
    assert engine.value("lambda x: x", 4) == 4
    reply = engine.request("apply_request", {}, pack_call("lambda: 1/0"))
    assert reply.content["engine_info"]["method"] == "apply" and reply.content["traceback"]


def test_front_ends(engine):
    engine.execute("%pwd")
    engine.execute("some_variable = {'a': 1}")
    content = engine.request("complete_request", {"code": "some_va", "cursor_pos": 7}).content
    assert content["matches"] == ["some_variable"] and content["cursor_start"] == 0
    assert engine.request("inspect_request", {"code": "some_variable", "cursor_pos": 3}).content["found"]
    assert engine.request("is_complete_request", {"code": "for i in x:"}).content["status"] == "incomplete"
    assert engine.request("is_complete_request", {"code": "%time 1"}).content["status"] == "complete"


def test_clear(engine):
    engine.execute("%pwd\nx = 1")
    assert engine.request("clear_request").status == "none"
    assert engine.execute("x").content["ename"] == "NameError"
    assert engine.execute("get_ipython().kernel.engine_id").status == "ok"


def test_configuration(ref_python, tmp_path):
    script = tmp_path / "start.ipy"
    script.write_text("z = !echo ipy\n")
    hello = {"config": {"InteractiveShell": {"ast_node_interactivity": "all"}, "IPKernelApp": {"extensions": ["autoreload"]}},
             "startup": {"lines": ["%alias_magic t time"], "files": [str(script)]}}
    with FakeEngine(python=ref_python, hello=hello) as e:
        assert e.text[2] == b""
        e.execute("1\n2", silent=False)
        assert [m[2]["data"]["text/plain"] for m in e.published if m[0] == "execute_result"] == ["1", "2"]
        assert e.execute("%autoreload 0\nassert z == ['ipy']").status == "ok"
