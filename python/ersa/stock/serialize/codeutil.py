# SPDX-License-Identifier: BSD-3-Clause
"""Code objects in pickles: as a call of `code_ctor` with what the interpreter's own constructor takes, which
differs between versions of Python (and byte code does anyway)."""
import copyreg
import sys

_code = type((lambda: 0).__code__)

if sys.version_info >= (3, 11):
    _FIELDS = ("co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_nlocals", "co_stacksize", "co_flags",
               "co_code", "co_consts", "co_names", "co_varnames", "co_filename", "co_name", "co_qualname",
               "co_firstlineno", "co_linetable", "co_exceptiontable", "co_freevars", "co_cellvars")
else:
    _LINES = "co_linetable" if sys.version_info >= (3, 10) else "co_lnotab"
    _FIELDS = ("co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_nlocals", "co_stacksize", "co_flags",
               "co_code", "co_consts", "co_names", "co_varnames", "co_filename", "co_name", "co_firstlineno",
               _LINES, "co_freevars", "co_cellvars")


def code_ctor(*args):
    """The code object, if it was made by a Python like this one."""
    if len(args) != len(_FIELDS):
        raise TypeError("a function compiled by another version of Python can't run here, in Python "
                        f"{sys.version_info[0]}.{sys.version_info[1]}: client and engine need the same minor version")
    return _code(*args)


def reduce_code(code):
    return code_ctor, tuple(getattr(code, name) for name in _FIELDS)


copyreg.pickle(_code, reduce_code)
