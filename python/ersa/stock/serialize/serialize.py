# SPDX-License-Identifier: BSD-3-Clause
"""Objects to lists of buffers and back (serialize.md 2, 3, 8): an envelope, a pickle, and behind it the large
data of what is canned in it. The module's attribute `pickle` may be replaced, everything goes through it.

Functions come again and again, one with each task: what the envelope of one unpickled to is kept when it
can't be changed by anybody (code and plain values); each use still makes a new function of it.
"""
import _pickle as pickle
from collections import deque

from . import canning
from .canning import PLAIN, CannedCell, CannedFunction, can, uncan

_stdlib_pickle = pickle  # use_pickle() of older clients, which comes by value, asks for it
MAX_ITEMS = 64
MAX_BYTES = 1024
PICKLE_PROTOCOL = canning.PROTOCOL
SEQUENCES = frozenset((list, tuple, set))
CACHED_SIZES = range(200, 16384)  # octets of an envelope that may be that of a function
CACHED_MAX = 256

_functions = {}  # envelope -> CannedFunction


class PrePickled:
    """Serialized once, sent many times."""

    def __init__(self, obj):
        self.buffers = serialize_object(obj)


def _extract(canned, threshold, into):
    """Moves the large data of a canned object out of it."""
    mine = getattr(canned, "buffers", None)
    if not mine or not isinstance(canned, canning.CannedObject):
        return
    for i, data in enumerate(mine):
        size = data.nbytes if type(data) is memoryview else len(data)
        if size > threshold:
            mine[i] = None
            into.append(data)
        elif type(data) is memoryview:
            mine[i] = bytes(data)


def _sorted_keys(obj):
    try:
        return sorted(obj)
    except TypeError as e:
        keys = ", ".join(map(repr, list(obj)[:8]))
        raise TypeError(f"a dict of fewer than {MAX_ITEMS} items can only be sent when its keys can be sorted;"
                        f" these can't: {keys}") from e


def serialize_object(obj, buffer_threshold=MAX_BYTES, item_threshold=MAX_ITEMS):
    """[envelope, data, ...]"""
    kind = type(obj)
    if kind in PLAIN and kind not in canning.can_map:
        return [pickle.dumps(obj, PICKLE_PROTOCOL)]
    if kind is PrePickled:
        return list(obj.buffers)
    data = []
    if kind in SEQUENCES and len(obj) < item_threshold:
        canned = kind([can(x) for x in obj])
        for x in canned:
            if type(x) not in PLAIN:
                _extract(x, buffer_threshold, data)
    elif kind is dict and len(obj) < item_threshold:
        canned = {}
        for key in _sorted_keys(obj):
            canned[key] = x = can(obj[key])
            if type(x) not in PLAIN:
                _extract(x, buffer_threshold, data)
    else:
        canned = can(obj)
        _extract(canned, buffer_threshold, data)
    return [pickle.dumps(canned, PICKLE_PROTOCOL), *data]


def _remember(envelope, f):
    """Lists and dicts of a canned function are copied when it is un-canned; what is in them is not."""
    fields = f.__dict__
    if len(fields) != 8 or f.buffers:
        return
    for name in ("defaults", "kwdefaults", "annotations", "closure"):
        value = fields.get(name)
        items = value.values() if type(value) is dict else value or ()
        if not all(type(x) in PLAIN or (type(x) is CannedCell and type(x.cell_contents) in PLAIN) for x in items):
            return
    if len(_functions) >= CACHED_MAX:
        _functions.clear()
    _functions[envelope] = f


def _load(buffer):
    if len(buffer) not in CACHED_SIZES:
        return pickle.loads(buffer)
    envelope = buffer if type(buffer) is bytes else bytes(buffer)
    obj = _functions.get(envelope)
    if obj is None:
        obj = pickle.loads(envelope)
        if type(obj) is CannedFunction:
            _remember(envelope, obj)
    return obj


def _refill(canned, queue):
    mine = getattr(canned, "buffers", None)
    if mine and isinstance(canned, canning.CannedObject):
        for i, data in enumerate(mine):
            if data is None:
                if not queue:
                    raise ValueError("an object lacks the buffers that belong to it")
                mine[i] = queue.popleft()


def _take(queue, g):
    """The next object of a queue of buffers."""
    if not queue:
        raise ValueError("an object lacks the buffers that belong to it")
    obj = _load(queue.popleft())
    kind = type(obj)
    if kind in PLAIN and kind not in canning.uncan_map:
        return obj
    if kind in SEQUENCES and len(obj) < MAX_ITEMS:
        for x in obj:
            if type(x) not in PLAIN:
                _refill(x, queue)
        return kind([uncan(x, g) for x in obj])
    if kind is dict and len(obj) < MAX_ITEMS:
        made = {}
        for key in _sorted_keys(obj):
            _refill(obj[key], queue)
            made[key] = uncan(obj[key], g)
        return made
    _refill(obj, queue)
    return uncan(obj, g)


def deserialize_object(buffers, g=None):
    """(object, the buffers that are left)"""
    queue = deque(buffers)
    obj = _take(queue, g)
    return obj, list(queue)


def pack_apply_message(f, args, kwargs, buffer_threshold=MAX_BYTES, item_threshold=MAX_ITEMS):
    arg_buffers = [b for x in args for b in serialize_object(x, buffer_threshold, item_threshold)]
    keys = sorted(kwargs)
    kwarg_buffers = [b for k in keys for b in serialize_object(kwargs[k], buffer_threshold, item_threshold)]
    info = {"nargs": len(args), "narg_bufs": len(arg_buffers), "kw_keys": keys}
    return [*serialize_object(f), pickle.dumps(info, PICKLE_PROTOCOL), *arg_buffers, *kwarg_buffers]


def unpack_apply_message(bufs, g=None, copy=True):
    """(function, args, kwargs)"""
    queue = deque(bufs)
    if len(queue) < 2:
        raise ValueError("a call needs two buffers at least")
    f = _take(queue, g)
    if not queue:
        raise ValueError("a call without a description of its arguments")
    info = pickle.loads(queue.popleft())
    if info["narg_bufs"] > len(queue):
        raise ValueError("a call with fewer buffers than it says")
    kwarg_bufs = len(queue) - info["narg_bufs"]
    args = tuple([_take(queue, g) for _ in range(info["nargs"])])
    if len(queue) != kwarg_bufs:
        raise ValueError("the arguments of a call don't take the buffers that it says")
    kwargs = {key: _take(queue, g) for key in info["kw_keys"]}
    if queue:
        raise ValueError("a call with more buffers than its arguments take")
    return f, args, kwargs
