# SPDX-License-Identifier: BSD-3-Clause
"""JSON with the interpreter's C code alone: the package json brings regular expressions with it, which idle
engines have no use for. As Jupyter has it: UTF-8 as it is, no NaN, octets in base64."""


class _Settings:
    strict = False
    object_hook = object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float
    memo = {}


def _other(value):
    """What JSON has no form for."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        import base64
        return base64.encodebytes(value).decode("ascii")
    if hasattr(value, "isoformat"):
        return value.isoformat()
    for kind in ("__index__", "__float__"):
        if hasattr(value, kind):
            return int(value) if kind == "__index__" else float(value)
    if isinstance(value, (set, frozenset)) or hasattr(value, "__next__"):
        return list(value)
    if hasattr(value, "keys"):
        return dict(value)
    return repr(value)


def _clean(value):
    """The same without numbers and keys that JSON does not know."""
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return repr(value)
    if isinstance(value, dict):
        return {k if isinstance(k, str) else str(k): _clean(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_clean(v) for v in value]
    return value


try:
    import _json
    _scan = _json.make_scanner(_Settings)
    _encode = _json.make_encoder({}, _other, _json.encode_basestring, None, ": ", ", ", False, False, False)
    assert _scan('{"a": [1]}', 0)[0] == {"a": [1]} and "".join(_encode(["ä"], 0)) == '["ä"]'
except Exception:  # another Python than those we know
    import json

    def _scan(text, start):
        return json.loads(text), 0

    def _encode(value, level):
        return json.dumps(value, default=_other, ensure_ascii=False, allow_nan=False)


def loads(octets):
    """The value in octets of UTF-8; ValueError when it is none. What is not UTF-8 is replaced, as stock peers do:
    clients send lone surrogates as single octets."""
    text = str(octets, "utf-8", "replace").strip() or "null"
    try:
        return _scan(text, 0)[0]
    except StopIteration:
        raise ValueError("not JSON") from None


def dumps(value):
    try:
        text = "".join(_encode(value, 0))
    except (ValueError, TypeError):
        text = "".join(_encode(_clean(value), 0))
    return text.encode("utf-8", "backslashreplace")
