# SPDX-License-Identifier: BSD-3-Clause
"""Calls as a stock client packs them, written from the format alone (serialize.md 5, 8): opcodes by hand, so
that the tests don't lean on the code that they test."""
import io
import pickle
import struct
import sys
import types

LINES = "co_linetable" if sys.version_info >= (3, 10) else "co_lnotab"
CODE_FIELDS = (
    "co_argcount co_posonlyargcount co_kwonlyargcount co_nlocals co_stacksize co_flags co_code co_consts co_names "
    "co_varnames co_filename co_name co_qualname co_firstlineno co_linetable co_exceptiontable co_freevars co_cellvars"
    if sys.version_info >= (3, 11) else
    "co_argcount co_posonlyargcount co_kwonlyargcount co_nlocals co_stacksize co_flags co_code co_consts co_names "
    f"co_varnames co_filename co_name co_firstlineno {LINES} co_freevars co_cellvars").split()


def _global(module, name):
    def text(s):
        return b"\x8c" + bytes([len(s)]) + s.encode()
    return text(module) + text(name) + b"\x93"


class _NoMemo(pickle._Pickler):
    """Pickles so that the opcodes can stand inside another pickle: without memo."""

    def memoize(self, obj):
        pass

    def save_code(self, code):
        self.write(_global("ipyparallel.serialize.codeutil", "code_ctor"))
        self.save(tuple(getattr(code, name) for name in CODE_FIELDS))
        self.write(b"R")

    dispatch = {**pickle._Pickler.dispatch, types.CodeType: save_code}


def _body(value):
    """Opcodes without PROTO, FRAME and STOP."""
    out = io.BytesIO()
    pickler = _NoMemo(out, 4)
    pickler.framer.start_framing = pickler.framer.end_framing = lambda: None
    pickler.dump(value)
    return out.getvalue()[2:-1]


def helper(name, state, module="ipyparallel.serialize.canning"):
    """The pickle of a helper object with that state."""
    body = _global(module, name) + b")\x81" + _body(state) + b"b."
    return b"\x80\x04\x95" + struct.pack("<Q", len(body)) + body


def function_from(code):
    """Compiles source text that is a lambda or defines one function."""
    namespace = {"__name__": "__main__"}
    if code.lstrip().startswith("lambda"):
        return eval(code, namespace)
    exec(code, namespace)
    return [v for k, v in namespace.items() if k not in ("__builtins__", "__name__")][-1]


def canned_function(f, module="__main__"):
    cells = None
    if f.__closure__:
        raise ValueError("closures are tested against the stock package")
    return helper("CannedFunction", {
        "code": f.__code__, "defaults": list(f.__defaults__) if f.__defaults__ else None,
        "kwdefaults": f.__kwdefaults__, "annotations": None, "closure": cells, "module": module,
        "__name__": f.__name__, "buffers": []})


def plain(value):
    """A value without anything to can; bytes in large are a buffer of their own."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        data = bytes(value)
        if len(data) > 1024:
            return [helper("CannedBytes", {"buffers": [None]}), data]
        return [helper("CannedBytes", {"buffers": [data]})]
    return [value.pickled] if isinstance(value, Envelope) else [pickle.dumps(value, 4)]


class Envelope:
    """Octets that go as they are."""

    def __init__(self, pickled, *data):
        self.pickled, self.data = pickled, data


def pack_call(code, args=(), kwargs=None):
    """Buffers of an apply_request. `code`: source text, or octets of an envelope."""
    kwargs = kwargs or {}
    f = code if isinstance(code, bytes) else canned_function(function_from(code))
    arg_buffers = [b for x in args for b in (plain(x) + list(getattr(x, "data", ())))]
    info = {"nargs": len(args), "narg_bufs": len(arg_buffers), "kw_keys": sorted(kwargs)}
    return [f, pickle.dumps(info, 4), *arg_buffers, *(b for k in sorted(kwargs) for b in plain(kwargs[k]))]


def memory(data):
    """An argument that arrives as a memoryview of its own buffer."""
    return Envelope(helper("CannedMemoryView", {"buffers": [None]}), data)
