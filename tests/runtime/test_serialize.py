# SPDX-License-Identifier: BSD-3-Clause
"""Vectors of serialize.md 12 and the rules of 2 to 7, in this interpreter."""
import functools
import pickle

import pytest

from test_stock import load_serialize

serialize = load_serialize()
canning = serialize.canning
dumps, loads = serialize.serialize_object, serialize.deserialize_object

CANNING = "8c1d697079706172616c6c656c2e73657269616c697a652e63616e6e696e6794"
VECTORS = [
    (1, "80044b012e"), (None, "80044e2e"), (True, "8004882e"),
    (1.5, "8004950a00000000000000473ff80000000000002e"), ("a", "80049505000000000000008c0161942e"),
    ([1, 2], "80049509000000000000005d94284b014b02652e"), ((1,), "80049505000000000000004b0185942e"),
    ({"a": 1}, "8004950a000000000000007d948c0161944b01732e"),
    (len, "80049514000000000000008c086275696c74696e73948c036c656e9493942e"),
    (canning.Reference("a"), "8004954e00000000000000" + CANNING + "8c095265666572656e63659493942981947d94288c046e616d65948c"
     "0161948c0762756666657273945d9475622e"),
    (b"abc", "8004954b00000000000000" + CANNING + "8c0b43616e6e656442797465739493942981947d948c0762756666657273945d94430361"
     "6263946173622e"),
    (b"x" * 1025, "8004954600000000000000" + CANNING + "8c0b43616e6e656442797465739493942981947d948c0762756666657273945d944e"
     "6173622e"),
    ([b"x" * 1025, 2], "8004954c000000000000005d9428" + CANNING + "8c0b43616e6e656442797465739493942981947d948c0762756666657273"
     "945d944e6173624b02652e"),
]


@pytest.mark.parametrize("value, envelope", VECTORS, ids=lambda v: repr(v)[:20])
def test_vector(value, envelope):
    buffers = dumps(value)
    assert buffers[0].hex() == envelope
    if not isinstance(value, canning.Reference):
        assert loads(buffers) == (value, [])


def test_description_of_arguments():
    buffers = serialize.pack_apply_message(len, (1,), {"z": 1, "b": 2})
    assert buffers[1].hex() == ("80049533000000000000007d94288c056e61726773944b018c096e6172675f62756673944b018c076b775f6b657973"
                                "945d94288c0162948c017a9465752e")
    assert serialize.unpack_apply_message(buffers) == (len, (1,), {"b": 2, "z": 1})


def test_order_of_keys():
    assert list(loads(dumps(dict(b=1, a=2)))[0]) == ["a", "b"]
    with pytest.raises(TypeError, match="1, 'a'"):
        dumps({1: 1, "a": 2})
    big = {i: i for i in range(60)} | {str(i): i for i in range(10)}
    assert loads(dumps(big))[0] == big


def test_thresholds():
    assert len(dumps([b"a" * 8000] * 63)) == 64
    assert len(dumps([b"a" * 8000] * 64)) == 1
    assert len(dumps(b"a" * 1024)) == 1 and len(dumps(b"a" * 1025)) == 2
    assert len(dumps(b"a" * 100, buffer_threshold=50)) == 2
    assert len(dumps([b"a" * 2000] * 5, item_threshold=5)) == 1


def test_how_deep_uncanning_goes():
    g = {"x": 7}
    reference = canning.Reference("x")
    assert loads(dumps([{"a": reference}]), g)[0] == [{"a": 7}]
    assert loads(dumps({"a": {"b": reference}}), g)[0] == {"a": {"b": 7}}
    assert isinstance(loads(dumps({"a": [reference]}), g)[0]["a"][0], canning.Reference)
    with pytest.raises(NameError):
        loads(dumps(reference), {})
    with pytest.raises(TypeError):
        canning.Reference(5)
    assert repr(reference) == "<Reference: 'x'>"


def test_prepickled():
    value = [b"x" * 2000, 1]
    assert dumps(serialize.PrePickled(value)) == dumps(value)


def test_missing_and_surplus_buffers():
    with pytest.raises(ValueError):
        loads(dumps(b"x" * 2000)[:1])
    assert loads([*dumps(1), b"rest"]) == (1, [b"rest"])
    with pytest.raises(ValueError):
        loads([])


def test_partial_hands_its_large_arguments_up():
    buffers = dumps(functools.partial(max, b"a" * 2000, b"b", key=len))
    assert len(buffers) == 2
    made = loads(buffers)[0]
    assert (made.func, made.args, made.keywords) == (max, (b"a" * 2000, b"b"), {"key": len})


def test_maps_are_public(monkeypatch):
    class Special:
        pass

    class CannedSpecial(canning.CannedObject):
        def __init__(self, obj):
            self.buffers = [b"s" * 3000]
            self.extra = 5

        def get_object(self, g=None):
            return "special", self.extra, len(self.buffers[0])

    CannedSpecial.__qualname__ = "CannedSpecial"
    CannedSpecial.__module__ = __name__
    monkeypatch.setitem(globals(), "CannedSpecial", CannedSpecial)
    monkeypatch.setitem(canning.can_map, Special, CannedSpecial)
    buffers = dumps([Special(), 1])
    assert len(buffers) == 2 and loads(buffers)[0] == [("special", 5, 3000), 1]
    monkeypatch.setitem(canning.can_map, int, lambda x: canning.Reference(str(x + 1)))
    assert loads(dumps(5), {})[0] == 6
    monkeypatch.setitem(canning.uncan_map, int, lambda x, g: -x)
    monkeypatch.delitem(canning.can_map, int)
    assert loads(dumps(5))[0] == -5


def test_entry_that_can_not_be_imported(monkeypatch, capsys):
    monkeypatch.setitem(canning.can_map, "no_such_module.Thing", len)

    class Thing:
        pass
    canning.can(Thing())
    assert "no_such_module.Thing" not in canning.can_map
    assert "no_such_module" in capsys.readouterr().err


def test_functions():
    def f(a, b=2, *, k: int = 3):
        return a, b, k, x  # noqa: F821
    f.__module__ = "__main__"
    for _ in range(2):
        made = loads(dumps(f), {"x": 4})[0]
        assert made(1) == (1, 2, 3, 4)
        assert made.__kwdefaults__ == {"k": 3} and made.__annotations__ == {"k": int} and made.__name__ == "f"
    counter = []

    def closure():
        counter.append(1)
        return len(counter)
    closure.__module__ = "__main__"
    buffers = dumps(closure)
    g = {"__builtins__": __builtins__}
    assert loads(buffers, g)[0]() == 1 and loads(buffers, g)[0]() == 1  # each has its own list


def test_pickler_can_be_replaced(monkeypatch):
    class Library:
        @staticmethod
        def dumps(obj, protocol):
            return b"L" + pickle.dumps(obj, protocol)

        @staticmethod
        def loads(data):
            return pickle.loads(data[1:])

    monkeypatch.setattr(serialize, "pickle", Library)
    assert dumps(5) == [b"L\x80\x04K\x05."] and loads(dumps([1, b"x"]))[0] == [1, b"x"]


@pytest.mark.parametrize("make", ["zeros((0, 5))", "array(5)", "array([], dtype=object)", "array([None, 'a'], dtype=object)",
                                  "array(['2020-01-01'], 'M8[D]')", "zeros((4, 5), order='F')", "arange(10)[::-2]",
                                  "array([(1, b'x')], dtype=[('a', 'i4'), ('b', 'S5')])", "zeros(3, 'U0')",
                                  "zeros(2, dtype={'names': ['a', 'b'], 'formats': ['i4', 'i4'], 'offsets': [0, 2]})",
                                  "zeros(2, dtype=[(('title', 'a'), 'i4')])", "zeros(1000)", "float64(3)",
                                  "zeros(2, dtype=[('in', [('o', object)])])", "ma.array([1, 2], mask=[0, 1])"])
def test_arrays(make):
    np = pytest.importorskip("numpy")
    value = eval("np." + make, {"np": np})
    made = loads([bytearray(b) if len(b) > 1024 else bytes(b) for b in dumps(value)])[0]
    assert type(made) is type(value) and made.dtype == value.dtype and made.shape == value.shape
    assert made.tolist() == value.tolist()
    if isinstance(made, np.ndarray):
        assert made.flags.writeable
