# SPDX-License-Identifier: BSD-3-Clause
"""apply_request: namespace, results, errors (engine.md 10.2, 21)."""
import pickle

import pytest

from packing import Envelope, helper, pack_call


def error_of(reply):
    assert reply.status == "error" and not reply.buffers
    return reply.content["ename"], reply.content["evalue"]


def test_values_come_back(engine):
    for value in (None, True, 5, -1.5, "ü", [1, "a", None], (1,), {"a": 1}, {1, 2}):
        assert engine.value("lambda x: x", value) == value
    assert engine.value("lambda a, b=2, *, c=3: (a, b, c)", 1, c=9) == (1, 2, 9)


def test_functions_see_and_change_the_namespace(engine):
    engine.execute("x = 5")
    assert engine.value("def f():\n global y\n y = x + 1\n return y") == 6
    engine.execute("print(y)")
    assert engine.output() == "6\n"


def test_reference(engine):
    engine.execute("a = {'b': [1, 2]}")
    reference = Envelope(helper("Reference", {"name": "a['b'][1]", "buffers": []}))
    assert engine.value("lambda v: v", reference) == 2
    missing = Envelope(helper("Reference", {"name": "nowhere", "buffers": []}))
    assert error_of(engine.call("lambda v: v", missing))[0] == "NameError"


def test_result_is_serialized_like_an_argument(engine):
    reply = engine.call("lambda: [b'x' * 2000, 1]")
    assert len(reply.buffers) == 2 and reply.buffers[1] == b"x" * 2000
    assert b"CannedBytes" in reply.buffers[0]


def test_exception(engine):
    reply = engine.call("def divide(a, b):\n return a / b", 1, 0)
    assert error_of(reply) == ("ZeroDivisionError", "division by zero")
    assert reply.content["engine_info"] == {"engine_uuid": "u-1", "engine_id": 3, "method": "apply"}
    text = "\n".join(reply.content["traceback"])
    assert "divide" in text and text.startswith("Traceback") and "ersa" not in text
    (msg_type, topic, content, _, _), = engine.published
    assert (msg_type, topic) == ("error", "engine.3.error")
    assert content == {k: reply.content[k] for k in ("ename", "evalue", "traceback")}
    assert reply.flags == ""


def test_chained_exception(engine):
    code = "def f():\n try:\n  1/0\n except ZeroDivisionError as e:\n  raise KeyError('k') from e"
    text = "\n".join(engine.call(code).content["traceback"])
    assert "ZeroDivisionError" in text and "KeyError" in text


@pytest.mark.parametrize("code, ename", [
    ("def f():\n raise SystemExit(3)", "SystemExit"),
    ("def f():\n raise KeyboardInterrupt", "KeyboardInterrupt"),
    ("def f():\n raise GeneratorExit", "GeneratorExit"),
    ("def f():\n f()", "NameError"),
    ("def f():\n def g(): return g()\n return g()", "RecursionError"),
    ("lambda: lambda: (yield)", None),
    ("lambda: open", None),
    ("lambda: __import__('sys')", "TypeError"),
    ("lambda: __import__('threading').Lock()", "TypeError"),
    ("lambda: {1: 1, 'a': 2}", "TypeError"),
    ("lambda: (x for x in ())", "TypeError"),
])
def test_odd_ends_of_a_task(engine, code, ename):
    reply = engine.call(code)
    if ename is None:
        assert reply.status == "ok"
    else:
        assert error_of(reply)[0] == ename
    assert engine.value("lambda: 1") == 1


def test_unmet_dependency_by_name(engine):
    reply = engine.call("def f():\n class UnmetDependency(Exception): pass\n raise UnmetDependency")
    assert error_of(reply) == ("UnmetDependency", "") and reply.flags == "u"


@pytest.mark.parametrize("body", [
    "def __str__(self): raise ValueError('no')",
    "def __str__(self): raise Nasty()",
    "def __str__(self): return 5",
    "def __str__(self): raise SystemExit",
    "__str__ = __repr__ = None",
    "def __getattribute__(self, name): raise RuntimeError('no')",
    "args = property(lambda self: 1/0)",
])
def test_exception_that_is_no_text(engine, body):
    code = f"def f():\n class Nasty(Exception):\n  {body}\n raise Nasty()"
    reply = engine.call(code)
    assert error_of(reply)[0] == "Nasty"
    if "ValueError" in body:
        assert reply.content["evalue"] == "Failed to cast exception to string: no"
    assert engine.value("lambda: 1") == 1


def test_text_that_is_not_unicode(engine):
    reply = engine.call("def f():\n raise ValueError('\\udc80')")
    assert error_of(reply) == ("ValueError", "\udc80")


def test_garbage_buffers(engine):
    good = pack_call("lambda: 1")
    for buffers in ([b"garbage", good[1]], [good[0]], [], [good[0], b"\x80\x04N."], [good[0], b""],
                    good + [b"\x80\x04N."], [b"\x80\x04K\x01.", good[1]],
                    [good[0], pickle.dumps({"nargs": 3, "narg_bufs": 3, "kw_keys": []})]):
        assert engine.request("apply_request", {}, buffers).status == "error"
    reply = engine.request("apply_request", {}, [b"garbage", good[1]])
    assert error_of(reply)[0] == "UnpicklingError"
    assert engine.value("lambda: 1") == 1


def test_function_of_another_python(engine):
    code = helper("CannedFunction", {"code": None})
    broken = code.replace(b"N", b"\x8c\x1eipyparallel.serialize.codeutil\x8c\x09code_ctor\x93K\x01\x85R", 1)
    name, value = error_of(engine.request("apply_request", {}, [broken, pickle.dumps({})]))
    assert name == "TypeError" and "same minor version" in value


def test_mutable_default_is_fresh_each_time(engine):
    code = "def f(x=[]):\n x.append(1)\n f_attr = len(x)\n return f_attr"
    assert [engine.value(code) for _ in range(3)] == [1, 1, 1]
    code = "def g(n=0):\n g.seen = getattr(g, 'seen', 0) + 1\n return g.seen"
    engine.execute("g = lambda: 0")
    assert [engine.value("lambda f=1: f") for _ in range(3)] == [1, 1, 1]


def test_attributes_of_a_function_do_not_stay(engine):
    code = "def outer():\n import sys\n f = sys._getframe().f_code\n return id(f)"
    assert engine.value(code) == engine.value(code)  # the code is kept
    code = ("def f():\n import gc, sys\n me = [o for o in gc.get_referrers(sys._getframe().f_code) "
            "if type(o) is type(lambda: 0)][0]\n me.count = getattr(me, 'count', 0) + 1\n return me.count")
    assert [engine.value(code) for _ in range(3)] == [1, 1, 1]  # the function is not


def test_no_names_leak(engine):
    before = engine.value("lambda: sorted(globals())")
    engine.value("lambda x: x", 1)
    assert engine.value("lambda: sorted(globals())") == before


def test_execution_count_is_untouched(engine):
    engine.value("lambda: 1")
    assert engine.execute("1", silent=False).content["execution_count"] == 1


def test_exit_in_a_task(engine):
    assert engine.call("lambda: exit()").status == "ok"
    assert engine.exits == 1
    assert engine.value("lambda: 1") == 1


def test_publish_data_also_from_threads(engine):
    code = ("def f(n):\n import threading\n from ipyparallel.datapub import publish_data\n"
            " from ipyparallel.engine.datapub import publish_data as older\n assert older is publish_data\n"
            " ts = [threading.Thread(target=publish_data, args=({'i': i, 'b': bytes(70000)},)) for i in range(n)]\n"
            " [t.start() for t in ts]\n [t.join() for t in ts]\n publish_data({'last': 1})")
    assert engine.call(code, 8).status == "ok"
    assert len(engine.published) == 9
    for msg_type, topic, content, metadata, buffers in engine.published[:-1]:
        assert (msg_type, topic, content) == ("data_message", "datapub", {"keys": ["i", "b"]})
        assert len(buffers) == 2 and buffers[1] == bytes(70000)
    assert engine.published[-1][2] == {"keys": ["last"]}


def test_shell_of_a_namespace_without_ipython(engine):
    code = ("def f():\n ip = get_ipython()\n return (ip.user_ns is globals(), ip.kernel.engine_id, ip.kernel.ident.decode(), "
            "ip.kernel.get_parent('shell')['header']['msg_type'], ip.user_module.__name__)")
    assert engine.value(code) == (True, 3, "u-1", "apply_request", "__main__")
    assert error_of(engine.call("lambda: get_ipython().no_such"))[0] == "AttributeError"
    engine.value("lambda: get_ipython().kernel.log.info('%s', 'told')")
    assert (20, "told") in engine.logs
