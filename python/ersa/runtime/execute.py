# SPDX-License-Identifier: BSD-3-Clause
"""execute_request: a cell runs in plain Python. When IPython is needed (magics, shell lines) and installed, it takes
over for good."""
from ersa._core import call
from ersa.runtime import cells, jsons, plain
from ersa.runtime.outcome import Outcome, reply_for


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
        shell.history.append((shell.execution_count, text, shell.last_output))
        shell.last_output = None
        shell.execution_count += 1
    if rt.ipython is not None:  # it came with this cell
        rt.ipython.execution_count = rt.ipython.ersa_first = rt.shell.execution_count


def execute_request(rt, parts):
    content = jsons.loads(parts[4])
    parts.clear()
    code = content["code"]
    silent = bool(content.get("silent"))
    store_history = bool(content.get("store_history", not silent)) and not silent
    rt.payload = []
    try:
        cell = None if rt.ipython else plain.compile_cell(rt, code)
        error = None
    except Exception as e:
        cell, error = None, e
        if cells.is_input(code):
            from ersa.runtime import ipython
            ipython.activate(rt)
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
            call(plain.run, rt, cell, silent)
        except BaseException as e:
            error = e
    _finish(rt, code, store_history)
    return reply_for(rt, content, Outcome(error), count if store_history else count - 1)


async def _go_on(rt, content, code, cell, silent, store_history, count):
    from ersa.runtime import eventloop
    error = await eventloop.run_user(rt, plain.run_async(rt, cell, silent))
    _finish(rt, code, store_history)
    return reply_for(rt, content, Outcome(error), count if store_history else count - 1)


def clear_request(rt, parts):
    if rt.ipython is not None:
        rt.ipython.reset(new_session=False)
    else:
        rt.shell.reset()
    return b"none", b"", b"", ()
