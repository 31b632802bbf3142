# SPDX-License-Identifier: BSD-3-Clause
"""execute_request in plain Python, and what front ends ask (engine.md 10.1, 10.3, 13, 21)."""
import pytest

from fakeengine import FakeEngine


def published(engine, *skip):
    messages, engine.published = engine.published, []
    return [m for m in messages if m[0] not in skip]


def test_all_kinds_of_output(engine):
    reply = engine.execute("import sys\nprint('out')\nprint('err', file=sys.stderr)\n5", silent=False)
    assert reply.content == {"status": "ok", "execution_count": 1, "payload": [], "user_expressions": {}}
    kinds = [(m[0], m[1]) for m in engine.published]
    assert kinds == [("execute_input", "engine.3.execute_input"), ("execute_result", "engine.3.execute_result")]
    assert engine.published[0][2] == {"code": "import sys\nprint('out')\nprint('err', file=sys.stderr)\n5",
                                      "execution_count": 1}
    assert engine.published[1][2] == {"data": {"text/plain": "5"}, "metadata": {}, "execution_count": 1}
    assert (engine.output(1), engine.output(2)) == ("out\n", "err\n")


def test_silent(engine):
    reply = engine.execute("print('out'); 5")
    assert reply.status == "ok" and reply.content["execution_count"] == 0
    assert engine.output() == "out\n" and not engine.published


def test_counter_and_history_names(engine):
    assert engine.execute("11", silent=False).content["execution_count"] == 1
    assert engine.execute("12", silent=False).content["execution_count"] == 2
    engine.execute("0")
    assert engine.execute("_, __, _1, Out[2], In[1], _i, _ii", silent=False).content["execution_count"] == 3
    assert engine.published[-1][2]["data"]["text/plain"] == "(12, 11, 11, 12, '11', '_, __, _1, Out[2], In[1], _i, _ii', '12')"
    assert engine.execute("13", silent=False, store_history=False).content["execution_count"] == 3


def test_semicolon_hides_the_result(engine):
    engine.execute("5;", silent=False)
    assert [m[0] for m in engine.published] == ["execute_input"]


def test_none_is_not_shown(engine):
    engine.execute("None", silent=False)
    engine.execute("x = 1", silent=False)
    assert [m[0] for m in published(engine, "execute_input")] == []


def test_text_that_is_not_unicode(engine):
    """Stock clients write a lone surrogate as one octet that is not UTF-8."""
    content = b'{"silent": false, "code": "\'\x80\'"}'
    assert engine.answer(engine.ask("execute_request", content)).status == "ok"
    assert engine.published[-1][2]["data"]["text/plain"] == "'\ufffd'"


@pytest.mark.parametrize("silent", [True, False])
def test_error(engine, silent):
    reply = engine.execute("x = 1\n1/0", silent=silent)
    content = reply.content
    assert (content["ename"], content["evalue"]) == ("ZeroDivisionError", "division by zero")
    assert content["engine_info"] == {"engine_uuid": "u-1", "engine_id": 3, "method": "execute"}
    assert content["user_expressions"] == {} and content["payload"] == []
    assert "1/0" in "\n".join(content["traceback"])
    assert reply.flags == ("" if silent else "n")
    (kind, _, error, _, _), = published(engine, "execute_input")
    assert kind == "error" and set(error) == {"ename", "evalue", "traceback"}
    assert engine.execute("1/0", silent=False, stop_on_error=False).flags == ""


def test_syntax_error_and_magics_without_ipython(engine):
    for code in ("1 +", "%timeit 1", "!ls", "x = !ls", "def f(:", "\0", "return 1"):
        reply = engine.execute(code)
        assert reply.status == "error" and reply.content["ename"] in ("SyntaxError", "ValueError"), code
    assert engine.execute("1").status == "ok"


def test_missing_code(engine):
    assert engine.request("execute_request", {"silent": True}).status == "error"
    assert engine.execute("1").status == "ok"


@pytest.mark.parametrize("code", ["import sys; sys.exit(3)", "raise SystemExit", "raise KeyboardInterrupt"])
def test_leaving_does_not_end_the_engine(engine, code):
    reply = engine.execute(code)
    assert reply.content["ename"] in ("SystemExit", "KeyboardInterrupt")
    assert engine.exits == 0 and engine.execute("1").status == "ok"


@pytest.mark.parametrize("code", ["exit()", "quit()"])
def test_exit_ends_the_engine(engine, code):
    reply = engine.execute(code)
    assert reply.status == "ok" and reply.content["payload"] == [{"source": "ask_exit", "keepkernel": False}]
    assert engine.exits == 1


def test_user_expressions(engine):
    reply = engine.execute("x = 5", user_expressions={"good": "x + 1", "bad": "1/0"})
    assert reply.status == "ok"
    made = reply.content["user_expressions"]
    assert made["good"] == {"status": "ok", "data": {"text/plain": "6"}, "metadata": {}}
    assert made["bad"]["status"] == "error" and made["bad"]["ename"] == "ZeroDivisionError" and made["bad"]["traceback"]


def test_input_is_refused(engine):
    assert engine.execute("input('?')").content["ename"] == "StdinNotImplementedError"
    assert engine.execute("import getpass; getpass.getpass()").content["ename"] == "StdinNotImplementedError"


def test_top_level_await(engine):
    code = "import asyncio\nawait asyncio.sleep(0.01)\nx = 7\nawait asyncio.sleep(0, x + 1)"
    reply = engine.execute(code, silent=False)
    assert reply.status == "ok" and reply.content["execution_count"] == 1
    assert engine.published[-1][2]["data"]["text/plain"] == "8"
    assert engine.value("lambda: x") == 7
    assert engine.execute("await asyncio.sleep(0); 1/0").content["ename"] == "ZeroDivisionError"
    assert engine.execute("async with asyncio.Lock(): pass").status == "ok"
    assert engine.execute("await asyncio.sleep(0); raise SystemExit").content["ename"] == "SystemExit"
    assert engine.shutdown() == 0


def test_tasks_of_a_loop_run_between_requests(engine):
    engine.execute("import asyncio\nasync def later():\n    await asyncio.sleep(0.05)\n    print('later')\n"
                   "task = asyncio.ensure_future(later())\nawait asyncio.sleep(0)")
    engine.execute("task2 = asyncio.get_running_loop().create_task(later())")
    from time import monotonic
    end = monotonic() + 60
    text = ""
    while text != "later\nlater\n" and monotonic() < end:
        engine.execute("1")
        text += engine.output()
    assert text == "later\nlater\n"


def test_future_statement_stays(engine):
    engine.execute("from __future__ import annotations")
    assert engine.execute("def f(x: Nowhere): pass\nprint(f.__annotations__)").status == "ok"
    assert engine.output() == "{'x': 'Nowhere'}\n"


def test_source_of_cells_is_known(engine):
    engine.execute("def f():\n    return 1 / 0")
    assert engine.execute("import inspect; print(inspect.getsource(f))").status == "ok"
    assert engine.output() == "def f():\n    return 1 / 0\n\n"
    assert "return 1 / 0" in "\n".join(engine.execute("f()").content["traceback"])


def test_rich_display_without_ipython(engine):
    code = "class Rich:\n  def __repr__(self): return 'plain'\n  def _repr_html_(self): return '<b>'\nRich()"
    engine.execute(code, silent=False)
    assert engine.published[-1][2]["data"] == {"text/html": "<b>", "text/plain": "plain"}
    engine.published = []
    engine.execute("display(Rich(), 5, display_id='d')")
    assert [(m[0], m[1], m[2]["transient"]) for m in engine.published] == [
        ("display_data", "engine.3.displaypub", {"display_id": "d"})] * 2
    engine.published = []
    engine.execute("get_ipython().display_pub.clear_output(wait=True)")
    assert engine.published[0][:3] == ("clear_output", "engine.3.displaypub", {"wait": True})


def test_callbacks_around_cells(engine):
    engine.execute("get_ipython().events.register('post_execute', lambda: print('after'))")
    engine.output()
    engine.execute("print('cell')")
    assert engine.output() == "cell\nafter\n"


def test_display_hook_of_the_user(engine):
    engine.execute("import sys; sys.displayhook = lambda v: print('mine', v)")
    engine.execute("5", silent=False)
    assert engine.output() == "mine 5\n"


def test_repr_that_fails(engine):
    reply = engine.execute("class Bad:\n  def __repr__(self): 1/0\nBad()", silent=False)
    assert reply.content["ename"] == "ZeroDivisionError"


def test_clear(engine):
    engine.execute("x = 1; import os", silent=False)
    assert engine.request("clear_request").status == "none"
    assert engine.execute("x").content["ename"] == "NameError"
    reply = engine.execute("print(sorted(n for n in globals() if not n.startswith('_'))); In, Out", silent=False)
    assert reply.content["execution_count"] == 2
    assert engine.output() == "['In', 'Out', 'exit', 'get_ipython', 'quit']\n"


def test_kernel_info(engine):
    content = engine.request("kernel_info_request").content
    assert content["status"] == "ok" and content["implementation"] == "ipython"
    assert content["protocol_version"] == "5.3" and content["language_info"]["name"] == "python"


def test_complete(engine):
    engine.execute("some_variable = 1")
    content = engine.request("complete_request", {"code": "x = some_va", "cursor_pos": 11}).content
    assert content["matches"] == ["some_variable"]
    assert (content["cursor_start"], content["cursor_end"], content["status"]) == (4, 11, "ok")
    content = engine.request("complete_request", {"code": "''.uppe", "cursor_pos": 99}).content
    assert content["status"] == "ok"


def test_inspect(engine):
    engine.execute("def f(a, b=2):\n    'Adds.'\n    return a + b")
    content = engine.request("inspect_request", {"code": "f(1", "cursor_pos": 1}).content
    assert content["found"] and "Adds." in content["data"]["text/plain"] and "f(a, b=2)" in content["data"]["text/plain"]
    assert engine.request("inspect_request", {"code": "nowhere", "cursor_pos": 2}).content["found"] is False


@pytest.mark.parametrize("code, status", [("x = 1", "complete"), ("for i in x:", "incomplete"), ("def f(:", "invalid"),
                                          ("if 1:\n    x = 2\n\n", "complete"), ("f(1,", "incomplete")])
def test_is_complete(engine, code, status):
    content = engine.request("is_complete_request", {"code": code}).content
    assert content["status"] == status
    assert ("indent" in content) == (status == "incomplete")


def test_history(engine):
    for code in ("1", "x = 2", "print(3)"):
        engine.execute(code, silent=False)
    ask = lambda **content: engine.request("history_request", content).content["history"]  # noqa: E731
    assert ask(hist_access_type="tail", n=2) == [[0, 2, "x = 2"], [0, 3, "print(3)"]]
    assert ask(hist_access_type="range", start=1, stop=2, output=True) == [[0, 1, ["1", "1"]]]
    assert ask(hist_access_type="search", pattern="print*") == [[0, 3, "print(3)"]]


def test_comms(engine):
    engine.execute("got = []\ndef target(comm, msg):\n    comm.on_msg(lambda m: got.append(m['content']['data']))\n"
                   "    comm.send({'hello': 1})\nget_ipython().kernel.comm_manager.register_target('t', target)")
    assert engine.request("comm_open", {"comm_id": "c1", "target_name": "t", "data": {}}).status == "none"
    assert engine.published[-1][:3] == ("comm_msg", "comm-c1", {"comm_id": "c1", "data": {"hello": 1}})
    assert engine.request("comm_info_request", {}).content["comms"] == {"c1": {"target_name": "t"}}
    assert engine.request("comm_msg", {"comm_id": "c1", "data": {"a": 2}}).status == "none"
    assert engine.value("lambda: got") == [{"a": 2}]
    engine.request("comm_close", {"comm_id": "c1", "data": {}})
    assert engine.request("comm_info_request", {}).content["comms"] == {}
    engine.request("comm_open", {"comm_id": "c2", "target_name": "nobody", "data": {}})
    assert engine.published[-1][0] == "comm_close"
    assert engine.request("comm_msg", {"comm_id": "gone"}).status == "none"


def test_a_cell_has_one_name_on_all_engines(engine):
    """So that the errors of many can be told to be the same."""
    with FakeEngine() as other:
        errors = [e.execute("1 +").content["evalue"] for e in (engine, other)]
    assert errors[0] == errors[1] and "<cell-" in errors[0]
