# SPDX-License-Identifier: BSD-3-Clause
"""Exceptions as text. Every use of an object of the user may fail in any way, and must not take the reply with
it."""
import os

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep


def name_of(error):
    try:
        return str(type.__getattribute__(type(error), "__name__"))
    except BaseException:
        return "Exception"


def value_of(error):
    try:
        return str.__str__(str(error))
    except Exception as why:
        try:
            return f"Failed to cast exception to string: {why}"
        except Exception:
            return "Failed to cast exception to string"


def user_traceback(error):
    """The traceback without our own frames at its beginning."""
    tb = error.__traceback__
    while tb is not None and tb.tb_frame.f_code.co_filename.startswith(_HERE):
        tb = tb.tb_next
    return tb


def _lines(error):
    try:
        import traceback
        report = traceback.TracebackException(type(error), error, user_traceback(error))
        return "".join(report.format()).rstrip("\n").split("\n")
    except Exception as why:
        return [f"The traceback can't be shown: {name_of(why)}"]


def describe(error):
    """(ename, evalue, [line, ...])"""
    return name_of(error), value_of(error), _lines(error)


def safely_described(call, error):
    """The same through the gate, as all of it runs code of the user; an interrupt ends it."""
    try:
        return call(describe, error)
    except BaseException:
        return name_of(error), "", []
