# SPDX-License-Identifier: BSD-3-Clause
"""Canning: objects that pickle does not take, or whose bulk should not go through it, become small helper
objects (docs: serialize.md 4 to 6). Names of classes and of their attributes are what travels; both are
those of the reference. `can_map` and `uncan_map` are public and may be changed at run time.

numpy is never imported from here: an array can only be met when somebody else did.
"""
import _pickle as pickle
import sys
from functools import partial

from . import codeutil  # noqa: F401  (pickling of code objects)

FunctionType = type(lambda: 0)
NoneType = type(None)
cell_type = type((lambda x: lambda: x)(0).__closure__[0])
class_type = type
sequence_types = (list, set, tuple)
PROTOCOL = 4  # the lowest that every peer reads
PLAIN = frozenset((int, float, str, bool, NoneType, complex))  # nothing to can in them


class CannedObject:
    """An object some attributes of which are canned. `hook` is called with it on the other side."""

    def __init__(self, obj, keys=(), hook=None):
        import copy
        self.keys = list(keys)
        self.obj = copy.copy(obj)
        self.hook = can(hook)
        for key in keys:
            setattr(self.obj, key, can(getattr(obj, key)))
        self.buffers = []

    def get_object(self, g=None):
        g = {} if g is None else g
        obj = self.obj
        for key in self.keys:
            setattr(obj, key, uncan(getattr(obj, key), g))
        if self.hook:
            self.hook = uncan(self.hook, g)
            self.hook(obj, g)
        return obj


class Reference(CannedObject):
    """Stands for what an expression gives in the engine's namespace."""

    def __init__(self, name):
        if not isinstance(name, str):
            raise TypeError(f"a Reference needs an expression as str, not {name!r}")
        self.name = name
        self.buffers = []

    def __repr__(self):
        return f"<Reference: {self.name!r}>"

    def get_object(self, g=None):
        return eval(self.name, {} if g is None else g)


class CannedCell(CannedObject):
    """One variable of a closure."""

    def __init__(self, cell):
        self.cell_contents = can(cell.cell_contents)

    def get_object(self, g=None):
        contents = uncan(self.cell_contents, g)
        return (lambda: contents).__closure__[0]


class CannedFunction(CannedObject):
    """A Python function by value; its globals are those of the module of the same name over there."""

    def __init__(self, f):
        self.code = f.__code__
        self.defaults = [can(x) for x in f.__defaults__] if f.__defaults__ else None
        self.kwdefaults = can_dict(f.__kwdefaults__) if f.__kwdefaults__ else None
        try:
            annotations = f.__annotations__
        except Exception:  # Python 3.14 evaluates them when asked
            annotations = None
        self.annotations = can_dict(annotations) if annotations else None
        self.closure = tuple(CannedCell(c) for c in f.__closure__) if f.__closure__ else None
        self.module = f.__module__ or "__main__"
        self.__name__ = f.__name__
        self.buffers = []

    def get_object(self, g=None):
        module = self.module
        if not module.startswith("__"):
            __import__(module)
            g = sys.modules[module].__dict__
        elif g is None:
            g = {}
        defaults = tuple([uncan(x, g) for x in self.defaults]) if self.defaults else None
        closure = tuple([uncan(x, g) for x in self.closure]) if self.closure else None
        f = FunctionType(self.code, g, self.__name__, defaults, closure)
        if self.kwdefaults:
            f.__kwdefaults__ = uncan_dict(self.kwdefaults)
        if self.annotations:
            f.__annotations__ = uncan_dict(self.annotations)
        return f


class CannedPartial(CannedObject):
    """functools.partial; the large parts of its arguments are moved up, the counts say whose they are."""

    def __init__(self, f):
        self.func = can(f.func)
        self.args = [can(x) for x in f.args]
        self.keywords = {k: can(v) for k, v in f.keywords.items()}
        self.buffers = []
        self.arg_buffer_counts = []
        self.keyword_buffer_counts = {}
        for canned in self.args:
            self.arg_buffer_counts.append(self._take(canned))
        for key in sorted(self.keywords):
            if isinstance(self.keywords[key], CannedObject):
                self.keyword_buffer_counts[key] = self._take(self.keywords[key])

    def _take(self, canned):
        mine = getattr(canned, "buffers", None) if isinstance(canned, CannedObject) else None
        if not mine:
            return 0
        self.buffers.extend(mine)
        canned.buffers = []
        return len(mine)

    def get_object(self, g=None):
        left = list(self.buffers)

        def refill(canned, n):
            if n:
                canned.buffers = left[:n]
                del left[:n]

        for canned, n in zip(self.args, self.arg_buffer_counts):
            refill(canned, n)
        for key in sorted(self.keyword_buffer_counts):
            refill(self.keywords[key], self.keyword_buffer_counts[key])
        args = [uncan(x, g) for x in self.args]
        keywords = {k: uncan(v, g) for k, v in self.keywords.items()}
        return partial(uncan(self.func, g), *args, **keywords)


class CannedClass(CannedObject):
    """A class of `__main__` by value."""

    def __init__(self, cls):
        self.name = cls.__name__
        self.old_style = False
        self._canned_dict = {k: can(v) for k, v in cls.__dict__.items() if k not in ("__weakref__", "__dict__")}
        self.parents = [can(c) for c in cls.__mro__[1:]]
        self.buffers = []

    def get_object(self, g=None):
        parents = tuple(uncan(c, g) for c in self.parents)
        return type(self.name, parents, uncan_dict(self._canned_dict, g))


class CannedArray(CannedObject):
    """A numpy array: shape, type, and its memory as one buffer; or a pickle of it, where memory alone would
    not do."""

    def __init__(self, array):
        kind = array.dtype
        self.shape = array.shape
        self.dtype = kind.str
        self.pickled = sum(array.shape) == 0 or kind.hasobject or kind.kind in "mM"
        octets = None
        if not self.pickled:
            try:
                self.dtype, octets = _type_and_octets(array)
            except (ValueError, TypeError):
                self.pickled = True
        self.buffers = [pickle.dumps(array, PROTOCOL) if octets is None else octets]

    def get_object(self, g=None):
        data = self.buffers[0]
        if self.pickled:
            return pickle.loads(data)
        numpy = _numpy()
        if not len(data):
            return numpy.empty(self.shape, self.dtype)
        if type(data) is bytes:
            data = bytearray(data)  # small ones may be changed in place as well
        return numpy.frombuffer(data, self.dtype).reshape(self.shape)


def _numpy():
    numpy = sys.modules.get("numpy")
    if numpy is None:
        import numpy
    return numpy


def _type_and_octets(array):
    numpy = _numpy()
    kind = array.dtype
    if not array.flags.c_contiguous:
        array = numpy.ascontiguousarray(array)
    if kind.names is not None:
        if any(len(kind.fields[name]) > 2 for name in kind.names):
            raise ValueError("fields with titles")
        description = kind.descr
        if numpy.dtype(description).itemsize != kind.itemsize:
            raise ValueError("fields that overlap")
    else:
        description = kind.str
    return description, memoryview(array.reshape(-1).view("u1"))


class CannedBytes(CannedObject):
    """Octets, so that many of them are a buffer of their own."""

    @staticmethod
    def wrap(data):
        return data if type(data) is bytes else bytes(data)

    def __init__(self, obj):
        self.buffers = [obj]

    def get_object(self, g=None):
        return self.wrap(self.buffers[0])


class CannedMemoryView(CannedBytes):
    """A memoryview; arrives flat."""

    wrap = staticmethod(memoryview)

    def __init__(self, obj):
        try:
            self.buffers = [obj.cast("B")]
        except (TypeError, ValueError):
            self.buffers = [memoryview(obj.tobytes())]


CannedBuffer = CannedMemoryView


def can(obj):
    """The object that stands for `obj` in a pickle; mostly `obj` itself."""
    kind = type(obj)
    canner = can_map.get(kind)
    if canner is None:
        if kind in PLAIN or not _resolve(can_map):
            return obj
        canner = can_map.get(kind)
        if canner is None:
            return obj
    return canner(obj)


def uncan(obj, g=None):
    kind = type(obj)
    if kind in PLAIN and kind not in uncan_map:
        return obj
    for cls, uncanner in uncan_map.items():
        if type(cls) is str:
            if _resolve(uncan_map):
                return uncan(obj, g)
        elif isinstance(obj, cls):
            return uncanner(obj, g)
    return obj


# Where the class of a string key is, once somebody imported it.
_HOME = {"numpy.ndarray": "numpy", "ipyparallel.dependent": "ipyparallel.controller.dependency"}


def _resolve(mapping):
    """Replaces string keys by the classes they name. Ours wait until their module is there, others are
    imported. Whether anything changed."""
    changed = False
    for key in [k for k in mapping if type(k) is str]:
        module, _, name = key.rpartition(".")
        home = _HOME.get(key)
        if home and home not in sys.modules:
            continue
        f = mapping.pop(key)
        changed = True
        try:
            mapping[getattr(__import__(home or module, fromlist=[name]), name)] = f
        except Exception as e:
            print(f"canning: {key} can't be imported, its entry is dropped: {e!r}", file=sys.stderr)
    return changed


def can_class(obj):
    return CannedClass(obj) if type(obj) is type and obj.__module__ == "__main__" else obj


def can_dependent(obj):
    return CannedObject(obj, keys=("f", "df"), hook=_uncan_dependent_hook)


def _uncan_dependent_hook(dep, g=None):
    dep.check_dependency()


def istype(obj, check):
    """Exactly one of the types, subclasses don't count."""
    return type(obj) in check if isinstance(check, tuple) else type(obj) is check


def can_dict(obj):
    return {k: can(v) for k, v in obj.items()} if istype(obj, dict) else obj


def uncan_dict(obj, g=None):
    if not istype(obj, dict):
        return obj
    return {k: v if type(v) in PLAIN else uncan(v, g) for k, v in obj.items()}


def can_sequence(obj):
    return type(obj)([can(x) for x in obj]) if istype(obj, sequence_types) else obj


def uncan_sequence(obj, g=None):
    return type(obj)([uncan(x, g) for x in obj]) if istype(obj, sequence_types) else obj


def interactive(f):
    """Makes a function see the namespace it is run in, as those typed in at a prompt do."""
    if isinstance(f, FunctionType):
        main = __import__("__main__")
        f = FunctionType(f.__code__, main.__dict__, f.__name__, f.__defaults__)
    f.__module__ = "__main__"
    return f


def _use(library):
    from . import serialize
    serialize.pickle = library
    can_map.pop(FunctionType, None)


def use_dill():
    """Writes with dill from now on."""
    import dill
    _use(dill)


def use_cloudpickle():
    """Writes with cloudpickle from now on."""
    import cloudpickle
    _use(cloudpickle)


def use_pickle():
    """Back to pickle and canned functions."""
    from . import serialize
    serialize.pickle = pickle
    can_map[FunctionType] = _original_can_map[FunctionType]


can_map = {
    "numpy.ndarray": CannedArray,
    FunctionType: CannedFunction,
    partial: CannedPartial,
    bytes: CannedBytes,
    memoryview: CannedMemoryView,
    cell_type: CannedCell,
    class_type: can_class,
    "ipyparallel.dependent": can_dependent,
}
uncan_map = {
    CannedObject: lambda obj, g: obj.get_object(g),
    dict: uncan_dict,
}
_original_can_map = can_map.copy()
_original_uncan_map = uncan_map.copy()
