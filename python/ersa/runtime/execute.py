# SPDX-License-Identifier: BSD-3-Clause
"""execute_request in plain Python: statements are run, a trailing expression is shown when it was not silent.
When IPython is needed (magics, shell lines) and installed, it takes over for good."""
import sys

from ersa._core import call
from ersa.runtime import cells, jsons, shim


class Outcome:
    """How a cell went: no error, or an error and perhaps its text."""

    def __init__(self, error=None, described=None):
        self.error = error
        self.described = described


def display_result(rt, value):
    """sys.displayhook: publishes the value and keeps it as _, _N and Out[N]."""
    if value is None:
        return
    shell = rt.shell
    data, metadata = shim.bundle(value)
    rt.publish("execute_result", {"data": data, "metadata": metadata, "execution_count": shell.execution_count})
    ns = rt.ns
    if all(ns.get(name, old) is old for name, old in zip(("_", "__", "___"), shell.results)):
        shell.results = [value, *shell.results[:2]]
        ns["_"], ns["__"], ns["___"] = shell.results
    ns[f"_{shell.execution_count}"] = shell.Out[shell.execution_count] = value
    shell.last_output = data["text/plain"]


def _note_input(rt, text):
    shell, ns = rt.shell, rt.ns
    shell.In.append(text)
    ns["_i"], ns["_ii"], ns["_iii"] = text, ns.get("_i", ""), ns.get("_ii", "")
    ns[f"_i{shell.execution_count}"] = text


def _finish(rt, text, store_history):
    if rt.ipython is not None or rt.shell.events.callbacks:
        try:
            call((rt.ipython or rt.shell).events.trigger, "post_execute")
        except BaseException as error:
            rt.shell.kernel.log.warning("post_execute: %r", error)
    if store_history:
        shell = rt.shell
        shell.history.append((shell.execution_count, text, shell.__dict__.pop("last_output", None)))
        shell.execution_count += 1
    if rt.ipython is not None:  # it came with this cell
        rt.ipython.execution_count = rt.ipython.ersa_first = rt.shell.execution_count


def _run_code(rt, cell, silent):
    """A cell without await."""
    if cell.body is not None:
        exec(cell.body, rt.ns)
    if cell.last is not None:
        value = eval(cell.last, rt.ns)
        if not silent and not cell.is_quiet:
            sys.displayhook(value)


async def _run_code_async(rt, cell, silent):
    for code in (cell.body, cell.last):
        if code is None:
            continue
        value = eval(code, rt.ns)
        if code.co_flags & 0x80:
            value = await value
    if cell.last is not None and not silent and not cell.is_quiet:
        sys.displayhook(value)


def _compile(rt, text):
    cell = cells.compile_cell(text, rt.shell.__dict__.get("futures", 0))
    rt.shell.futures = rt.shell.__dict__.get("futures", 0) | cell.futures
    return cell


def run_cell(rt, text, silent=False, store_history=False):
    """For user code: get_ipython().run_cell()."""
    try:
        _run_code(rt, _compile(rt, text), silent)
    except Exception as error:
        rt.shell.showtraceback()
        return Outcome(error)
    return Outcome()


def _expressions(rt, expressions):
    """user_expressions: each has its own outcome."""
    from ersa.runtime import errors
    made = {}
    for name, expression in expressions.items():
        try:
            data, metadata = call(lambda e: shim.bundle(eval(e, rt.ns)), expression)
            made[name] = {"status": "ok", "data": data, "metadata": metadata}
        except BaseException as error:
            ename, evalue, traceback = errors.safely_described(call, error)
            made[name] = {"status": "error", "ename": ename, "evalue": evalue, "traceback": traceback}
    return made


def _evaluate(rt, expressions):
    if rt.ipython is None:
        return _expressions(rt, expressions)
    try:
        return call(rt.ipython.user_expressions, expressions)
    except BaseException:
        return {}


def reply_for(rt, content, outcome, count):
    """The reply, once the cell has run."""
    payload, rt.payload = rt.payload, []
    if rt.is_exiting:
        payload.append({"source": "ask_exit", "keepkernel": False})
    more = {"execution_count": count, "payload": payload}
    if outcome.error is None:
        expressions = content.get("user_expressions") or {}
        more["user_expressions"] = _evaluate(rt, expressions) if expressions else {}
        return b"ok", b"", jsons.dumps({"status": "ok", **more}), ()
    more["user_expressions"] = {}
    if isinstance(outcome.error, SystemExit):
        print("To end the engine, use exit or quit.", file=sys.stderr)
    aborts = not content.get("silent") and content.get("stop_on_error", True)
    return rt.failure(outcome.error, "execute", b"n" if aborts else b"", more, outcome.described)


def _needs_ipython(rt, code):
    """Is it a cell that only IPython can run, and is that there?"""
    if rt.ipython is None and cells.is_input(code):
        from ersa.runtime import ipython
        ipython.activate(rt)
    return rt.ipython is not None


def execute_request(rt, parts):
    content = jsons.loads(parts[4])
    parts.clear()
    code = content["code"]
    silent = bool(content.get("silent"))
    store_history = bool(content.get("store_history", not silent)) and not silent
    rt.payload = []
    try:
        cell = None if rt.ipython else _compile(rt, code)
        error = None
    except Exception as e:
        cell, error = None, e
        _needs_ipython(rt, code)
    if rt.ipython:
        from ersa.runtime import ipython
        return ipython.execute(rt, content, code, silent, store_history)
    count = rt.shell.execution_count
    if not silent:
        rt.publish("execute_input", {"code": code, "execution_count": count})
    if store_history:
        _note_input(rt, code)
    if rt.shell.events.callbacks:
        rt.shell.events.trigger("pre_execute")
    if cell is not None and cell.is_async:
        return _go_on(rt, content, code, cell, silent, store_history, count)
    if cell is not None:
        try:
            call(_run_code, rt, cell, silent)
        except BaseException as e:
            error = e
    _finish(rt, code, store_history)
    return reply_for(rt, content, Outcome(error), count if store_history else count - 1)


async def _go_on(rt, content, code, cell, silent, store_history, count):
    from ersa.runtime import eventloop
    error = await eventloop.run_user(rt, _run_code_async(rt, cell, silent))
    _finish(rt, code, store_history)
    return reply_for(rt, content, Outcome(error), count if store_history else count - 1)


def clear_request(rt, parts):
    from ersa.runtime import namespace
    if rt.ipython is not None:
        rt.ipython.reset(new_session=False)
    else:
        namespace.reset(rt)
    return b"none", b"", b"", ()
