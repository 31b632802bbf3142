# SPDX-License-Identifier: BSD-3-Clause
"""Imports that the runtime has a hand in: the names of the stock package, and a few modules of others that must
learn where they are. One finder in front of all."""
import os
import sys
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader

_STOCK = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "stock")
_INLINE = "module://matplotlib_inline.backend_inline"
_is_installed_used = False
_modules = sys.modules
_kept = {}


def _patch_linecache(module):
    from ersa.runtime import cells
    cells.patch_linecache(module)


def _patch_getpass(module):
    from ersa.runtime import streams
    streams.patch_getpass(module)


def _patch_interactiveshell(module):
    from ersa.runtime import ipython
    ipython.patch(module)


def _patch_comm(module):
    from ersa.runtime import comms
    comms.patch(module)


def _before_matplotlib():
    """ipengine names the inline backend for those who set none; it may not be installed."""
    if os.environ.get("MPLBACKEND") == _INLINE and PathFinder.find_spec("matplotlib_inline") is None:
        del os.environ["MPLBACKEND"]


BEFORE = {"matplotlib": _before_matplotlib}
AFTER = {
    "linecache": _patch_linecache,
    "getpass": _patch_getpass,
    "IPython.core.interactiveshell": _patch_interactiveshell,
    "comm": _patch_comm,
}


class _ThenPatch:
    """A loader that has something done to the module when it is there."""

    def __init__(self, loader, patch):
        self._loader = loader
        self._patch = patch

    def __getattr__(self, name):
        return getattr(self._loader, name)

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._patch(module)


class _Existing:
    """A module that is there, perhaps under another name."""

    def __init__(self, module):
        self._module = module
        self._spec = module.__spec__

    def create_module(self, spec):
        return self._module

    def exec_module(self, module):
        module.__spec__ = self._spec


def _find_elsewhere(name, path, target):
    for finder in sys.meta_path:
        if finder is not Finder and hasattr(finder, "find_spec"):
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                return spec
    return None


def _stock_spec(name):
    file = os.path.join(_STOCK, *name.split(".")[1:])
    is_package = os.path.isdir(file)
    file = os.path.join(file, "__init__.py") if is_package else file + ".py"
    if not os.path.exists(file):
        return None
    spec = ModuleSpec(name, SourceFileLoader(name, file), origin=file, is_package=is_package)
    spec.has_location = True
    spec.cached = None if sys.dont_write_bytecode else _cached(file)
    if is_package:
        spec.submodule_search_locations = []
    return spec


def _cached(file):
    from importlib.util import cache_from_source
    try:
        return cache_from_source(file)
    except NotImplementedError:
        return None


class Finder:
    """In sys.meta_path as a class; there is one."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.startswith("ipyparallel") and not _is_installed_used:
            if name == "ipyparallel" or name.startswith("ipyparallel."):
                return _stock_spec(name) or cls._from_installed(name, target)
        if name in AFTER:
            spec = _find_elsewhere(name, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _ThenPatch(spec.loader, AFTER[name])
            return spec
        if name in BEFORE:
            BEFORE[name]()
        elif name.startswith("numpy._core") and "numpy" in sys.modules:  # what numpy 2 wrote, read by numpy 1
            if _find_elsewhere(name, path, target) is None:
                older = __import__(name.replace("numpy._core", "numpy.core", 1), fromlist=["__name__"])
                return ModuleSpec(name, _Existing(older), is_package=True)
        return None

    @staticmethod
    def _from_installed(name, target):
        if use_installed() is None:
            return None
        if name in sys.modules:  # the package has imported it by itself
            module = sys.modules[name]
            module.__spec__ = ModuleSpec(name, _Existing(module))  # what importlib would look at, to import it again
            return module.__spec__
        parent = sys.modules.get(name.rpartition(".")[0])
        return PathFinder.find_spec(name, getattr(parent, "__path__", None), target)


def use_installed():
    """Puts the installed package in the place of ours. Returns it, or None when there is none."""
    global _is_installed_used
    if PathFinder.find_spec("ipyparallel") is None:
        return None
    if not _is_installed_used:
        ours = {n: m for n, m in sys.modules.items() if n == "ipyparallel" or n.startswith("ipyparallel.")}
        for name in ours:
            del sys.modules[name]
        _is_installed_used = True
        try:
            __import__("ipyparallel.serialize.serialize")
            _patch_installed(ours["ipyparallel.serialize.canning"])
        except BaseException:
            _is_installed_used = False
            for name in [n for n in sys.modules if n == "ipyparallel" or n.startswith("ipyparallel.")]:
                del sys.modules[name]
            sys.modules.update(ours)
            raise
        _kept.update((name, module) for name, module in sys.modules.items() if name.startswith("ipyparallel"))
    return sys.modules["ipyparallel"]


def _patch_installed(our_canning):
    """Data is published through us; helper objects that user code still has are un-canned as before."""
    for name in ("ipyparallel.datapub", "ipyparallel.engine.datapub"):
        spec = _stock_spec(name)
        module = type(sys)(name)
        module.__spec__ = spec
        sys.modules[name] = module
        spec.loader.exec_module(module)
    sys.modules["ipyparallel"].datapub = sys.modules["ipyparallel.datapub"]
    theirs = sys.modules["ipyparallel.serialize.canning"]
    theirs.uncan_map[our_canning.CannedObject] = lambda obj, g: obj.get_object(g)


def keep():
    """What the runtime stands on: it has come this far with it."""
    _kept.update(_modules)


def are_ours_gone():
    """Did user code empty sys.modules, or put another dict in its place? Asked with each request."""
    return sys.modules is not _modules or "ersa.runtime.serve" not in _modules \
        or "ipyparallel.serialize.serialize" not in _modules


def give_back():
    sys.modules = _modules
    for name, module in _kept.items():
        _modules.setdefault(name, module)


def install():
    sys.meta_path.insert(0, Finder)
