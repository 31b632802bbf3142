# SPDX-License-Identifier: BSD-3-Clause
"""How a cell went, whoever ran it, and the reply that says so."""
import sys

from ersa._core import call
from ersa.runtime import display, errors, jsons


class Outcome:
    """How a cell went: no error, or an error and perhaps its text."""

    def __init__(self, error=None, described=None):
        self.error = error
        self.described = described


def _expressions(rt, expressions):
    """user_expressions: each has its own outcome."""
    made = {}
    for name, expression in expressions.items():
        try:
            data, metadata = call(lambda e: display.bundle(eval(e, rt.ns)), expression)
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
