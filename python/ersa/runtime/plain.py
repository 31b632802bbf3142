# SPDX-License-Identifier: BSD-3-Clause
"""Cells of Python without IPython: statements are run, the value of a trailing expression is shown."""
import sys

from ersa.runtime import cells, display
from ersa.runtime.outcome import Outcome


def display_result(rt, value):
    """sys.displayhook: publishes the value and keeps it as _, _N and Out[N]."""
    if value is None:
        return
    shell = rt.shell
    data, metadata = display.bundle(value)
    rt.publish("execute_result", {"data": data, "metadata": metadata, "execution_count": shell.execution_count})
    ns = rt.ns
    if all(ns.get(name, old) is old for name, old in zip(("_", "__", "___"), shell.results)):
        shell.results = [value, *shell.results[:2]]
        ns["_"], ns["__"], ns["___"] = shell.results
    ns[f"_{shell.execution_count}"] = shell.Out[shell.execution_count] = value
    shell.last_output = data["text/plain"]


def run(rt, cell, silent):
    """A cell without await."""
    if cell.body is not None:
        exec(cell.body, rt.ns)
    if cell.last is not None:
        value = eval(cell.last, rt.ns)
        if not silent and not cell.is_quiet:
            sys.displayhook(value)


async def run_async(rt, cell, silent):
    for code in (cell.body, cell.last):
        if code is None:
            continue
        value = eval(code, rt.ns)
        if cells.is_coroutine(code):
            value = await value
    if cell.last is not None and not silent and not cell.is_quiet:
        sys.displayhook(value)


def compile_cell(rt, text):
    cell = cells.compile_cell(text, rt.shell.futures)
    rt.shell.futures |= cell.futures
    return cell


def run_cell(rt, text, silent=False):
    """For user code: get_ipython().run_cell()."""
    try:
        run(rt, compile_cell(rt, text), silent)
    except Exception as error:
        rt.shell.showtraceback()
        return Outcome(error)
    return Outcome()
