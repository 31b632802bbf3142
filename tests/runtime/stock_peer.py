# SPDX-License-Identifier: BSD-3-Clause
"""Runs in the interpreter of the reference: packs calls with its code, and reads what our runtime made of
them with its code. The test in between carries octets (test_stock.py).

    stock_peer.py < answers > calls      two pickles: [(name, buffers)] out, {name: (status, content, buffers)} in
"""
import functools
import pickle
import sys

import ipyparallel as ipp
import numpy as np
from ipyparallel.client.remotefunction import _map
from ipyparallel.client.view import BroadcastView
from ipyparallel.serialize import canning, deserialize_object, pack_apply_message
from ipyparallel.serialize.serialize import serialize_object
from ipyparallel.util import _pull, _push


def by_value(f):
    f.__module__ = "__main__"
    return f


def make_closure():
    factor, offsets = 3, [1, 2]

    def closure(x):
        return x * factor + offsets[1]
    return by_value(closure)


@by_value
def defaults(a, b=2, *, k: int = 3):
    return a, b, k, defaults_seen()


@by_value
def echo(*args, **kwargs):
    return args, kwargs


@by_value
def only(x):
    return x


@by_value
def change(a):
    a += 1
    return a


@by_value
def writable(*arrays):
    return [a.flags.writeable for a in arrays]


@by_value
def use_class(cls):
    made = cls()
    return made.base, made.own, made.method(4)


@by_value
def fail(a, b):
    return a / b


@by_value
def make_reference():
    from ipyparallel import Reference
    return repr(Reference("x")), Reference.__module__


@by_value
def data_modules():
    import ipyparallel as ipp
    from ipyparallel import error
    return issubclass(ipp.RemoteError, error.KernelError), error.RemoteError("E", "v", "tb", {"engine_id": 1})


class C:
    base = 1

    def method(self, x):
        return x + self.own


class D(C):
    own = 2


@ipp.require("math", "json")
@by_value
def needs_math(x):
    return math.sqrt(x), json.dumps([1])  # noqa: F821


@ipp.require(helper=by_value(lambda x: x + 1))
@by_value
def needs_helper(x):
    return helper(x)  # noqa: F821


@ipp.require("no_such_module_anywhere")
@by_value
def needs_nothing_there():
    return 1


@ipp.depend(by_value(lambda x: x), False)
@by_value
def never():
    return 1


@ipp.depend(by_value(lambda: None))
@by_value
def always():
    return "ran"


DEFAULTS_SEEN = by_value(lambda: "seen")
STRUCT = np.array([(1, 2.5, b"x")], dtype=[("i", "<i4"), ("f", "<f8"), ("s", "S3")])
ARRAYS = [np.arange(3), np.zeros(300), np.zeros((0, 5)), np.array(5.0), np.zeros(0), np.array(["a", None, 1], dtype=object),
          np.array(["abc", "d"]), np.ones((3, 4), order="F"), np.arange(20)[::2], np.array([True, False]), STRUCT,
          np.array([(1, "o")], dtype=[("i", "<i4"), ("o", object)]), np.zeros((300, 300)), np.array([1 + 2j])]
PARTIAL = functools.partial(by_value(lambda *a, **k: (a, sorted(k.items()))), 2, b"x" * 2000, y=5, z=np.arange(400))

# name -> (f, args, kwargs, expected or a function that says whether the result is right)
CASES = {
    "define": (_push, (), {"defaults_seen": DEFAULTS_SEEN, "x": 7, "g": [1, 2]}, None),
    "lambda": (by_value(lambda x: x + 1), (4,), {}, 5),
    "lambda again": (by_value(lambda x: x + 1), (4,), {}, 5),
    "closure": (make_closure(), (5,), {}, 17),
    "defaults": (defaults, (1,), {}, (1, 2, 3, "seen")),
    "defaults given": (defaults, (1, 5), {"k": 9}, (1, 5, 9, "seen")),
    "builtin": (len, ("four",), {}, 4),
    "partial": (PARTIAL, (), {"q": 1}, lambda r: r[0] == (2, b"x" * 2000) and np.array_equal(dict(r[1])["z"], np.arange(400))),
    "partial with reference": (functools.partial(only, ipp.Reference("g[1]")), (), {}, 2),
    "keywords": (echo, (1,), {"b": 1, "a": b"y" * 3000}, ((1,), {"a": b"y" * 3000, "b": 1})),
    "containers": (echo, ([b"x" * 2000, 2], (1, b"z"), {"k": [1], "b": b"w" * 1025}, {1, 2}), {},
                   (([b"x" * 2000, 2], (1, b"z"), {"k": [1], "b": b"w" * 1025}, {1, 2}), {})),
    "empty": (echo, ([], (), {}, set(), "", b""), {}, (([], (), {}, set(), "", b""), {})),
    "many small": (only, ([b"q" * 1500] * 63,), {}, [b"q" * 1500] * 63),
    "long list": (only, (list(range(1000)),), {}, list(range(1000))),
    "reference": (only, (ipp.Reference("x + 1"),), {}, 8),
    "reference in list": (only, ([{"a": ipp.Reference("x")}],), {}, [{"a": 7}]),
    "memoryview": (by_value(lambda m: (m.readonly, bytes(m[:2]))), (memoryview(b"ab" * 1000),), {}, (False, b"ab")),
    "arrays": (echo, tuple(ARRAYS), {}, lambda r: all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(r[0], ARRAYS))),
    "array in place": (change, (np.zeros(1000),), {}, lambda r: r.sum() == 1000),
    "writable": (writable, (np.zeros(2), np.zeros(2000), np.zeros(200000)), {}, [True, True, True]),
    "big array": (only, (np.arange(500000.0),), {}, lambda r: np.array_equal(r, np.arange(500000.0))),
    "dates": (by_value(lambda: __import__("numpy").array(["2020-01-01"], "M8[D]")), (), {}, lambda r: str(r[0]) == "2020-01-01"),
    "class": (use_class, (D,), {}, (1, 2, 6)),
    "map": (_map, (by_value(lambda a, b: a * b), [1, 2, 3], (4, 5, 6)), {}, [4, 10, 18]),
    "push": (_push, (), {"p": 3, "arr": np.arange(500)}, None),
    "pull": (_pull, ("p",), {}, 3),
    "pull many": (_pull, (["p", "x", "arr.sum()"],), {}, [3, 7, 124750]),
    "push dotted": (_push, (), {"g2": {"k": 1}}, None),
    "scatter": (_push, (), {"part_a": [1, 2], "part_b": [3, 4]}, None),
    "broadcast map": (BroadcastView._broadcast_map, (by_value(lambda a, b: a + b), "part_a", "part_b"), {}, [4, 6]),
    "broadcast map took the names": (_pull, ("'part_a' in globals()",), {}, False),
    "require": (needs_math, (49,), {}, (7.0, "[1]")),
    "require object": (needs_helper, (1,), {}, 2),
    "require missing": (needs_nothing_there, (), {}, "UnmetDependency"),
    "depend false": (never, (), {}, "UnmetDependency"),
    "depend none": (always, (), {}, "ran"),
    "interactive": (ipp.interactive(by_value(lambda: x)), (), {}, 7),  # noqa: F821
    "error": (fail, (1, 0), {}, "ZeroDivisionError"),
    "reference made there": (make_reference, (), {}, ("<Reference: 'x'>", "ipyparallel.serialize.canning")),
    "modules": (data_modules, (), {}, lambda r: r[0] and r[1].ename == "E" and isinstance(r[1], ipp.RemoteError)),
    "use pickle": (canning.use_pickle, (), {}, None),
    "function back": (by_value(lambda: (lambda y: y + 1)), (), {}, lambda r: r(1) == 2),
    "partial back": (by_value(lambda: __import__("functools").partial(max, b"a" * 2000)), (), {}, lambda r: r(b"b") == b"b"),
    "bytes back": (by_value(lambda: [b"a" * 2000, {"k": b"b" * 5000}, bytearray(b"c")]), (), {},
                   [b"a" * 2000, {"k": b"b" * 5000}, bytearray(b"c")]),
    "view back": (by_value(lambda: memoryview(b"abc" * 1000)), (), {}, lambda r: bytes(r) == b"abc" * 1000),
    "class back": (by_value(lambda: type("T", (), {"a": 5, "__module__": "__main__"})), (), {}, lambda r: r.a == 5),
}


def judge(name, status, content, buffers):
    f, args, kwargs, expected = CASES[name]
    if status != "ok":
        return content["ename"] == expected or f"{content['ename']}: {content['evalue']}\n" + \
            "\n".join(content["traceback"])
    result, rest = deserialize_object(buffers)
    if rest:
        return f"{len(rest)} buffers too many"
    if callable(expected):
        return bool(expected(result)) or f"got {result!r}"
    return bool(result == expected and type(result) is type(expected)) or f"got {result!r}"


def main():
    calls = [(name, [bytes(b) for b in pack_apply_message(f, args, kwargs)])
              for name, (f, args, kwargs, _) in CASES.items()]
    pre = ipp.serialize.PrePickled(by_value(lambda a: a * 2))
    argument = ipp.serialize.PrePickled(b"r" * 2000)
    calls.append(("prepickled", [bytes(b) for b in pack_apply_message(pre, (argument,), {})]))
    CASES["prepickled"] = (None, (), {}, b"r" * 4000)
    vectors = {name: [bytes(b) for b in serialize_object(value)] for name, value in VECTORS.items()}
    sys.stdout.buffer.write(pickle.dumps((calls, vectors)))
    sys.stdout.buffer.close()
    answers = pickle.load(sys.stdin.buffer)
    wrong = {}
    for name, answer in answers.items():
        try:
            verdict = judge(name, *answer)
        except Exception as e:
            verdict = repr(e)
        if verdict is not True:
            wrong[name] = verdict
    sys.stderr.write("".join(f"{k}: {v}\n" for k, v in wrong.items()))
    return len(wrong)


# What both sides serialize; the same list is in test_stock.py, by name.
VECTORS = {
    "int": 1, "none": None, "true": True, "float": 1.5, "str": "a", "list": [1, 2], "tuple": (1,), "dict": {"b": 1, "a": 2},
    "bytes": b"abc", "long bytes": b"x" * 1025, "view": memoryview(b"abc"), "array": np.arange(3), "long array": np.zeros(300),
    "mixed": [b"x" * 1025, 2], "reference": ipp.Reference("a"), "builtin": len, "struct": STRUCT,
    "partial": functools.partial(max, b"y" * 2000, key=len), "empty array": np.zeros((0, 5)),
}

if __name__ == "__main__":
    sys.exit(min(main(), 100))
