# SPDX-License-Identifier: BSD-3-Clause
"""What answers to the name `ipyparallel` on an engine.

Stock clients send functions and objects that refer to modules of their package by name. These files are
loaded under exactly those names (`ersa.runtime.imports` finds them), whether the package is installed or not:
importing the real one would cost half a second and bring a second event loop. A name that is not here
brings in the installed package, if there is one, and everything goes on with that.
"""
import sys

__version__ = "9.0.0"
version_info = (9, 0, 0)

_EXPORTS = {
    "ipyparallel.serialize": ("PrePickled", "Reference", "can", "can_map", "deserialize_object", "interactive",
                              "pack_apply_message", "serialize_object", "uncan", "uncan_map",
                              "unpack_apply_message", "use_cloudpickle", "use_dill", "use_pickle"),
    "ipyparallel.controller.dependency": ("Dependency", "depend", "dependent", "require"),
    "ipyparallel.error": ("AlreadyDisplayedError", "CompositeError", "DependencyTimeout", "EngineError",
                          "ImpossibleDependency", "InvalidDependency", "IPythonError", "KernelError",
                          "NoEnginesRegistered", "RemoteError", "TaskAborted", "TaskRejectError", "TaskTimeout",
                          "TimeoutError", "UnmetDependency"),
    "ipyparallel.datapub": ("publish_data",),
}
_SUBMODULES = ("client", "controller", "datapub", "engine", "error", "serialize", "util")
_WHERE = {name: module for module, names in _EXPORTS.items() for name in names}


def bind_kernel(**kwargs):
    """Opening an engine to Jupyter front ends directly."""
    raise RuntimeError("bind_kernel: this engine does not take direct connections of front ends")


def __getattr__(name):
    from importlib import import_module
    if name in _SUBMODULES:
        return import_module("ipyparallel." + name)
    if name in _WHERE:
        value = getattr(import_module(_WHERE[name]), name)
        globals()[name] = value
        return value
    if not name.startswith("__"):
        from ersa.runtime import imports
        installed = imports.use_installed()
        if installed is not None:
            return getattr(installed, name)
        raise AttributeError(f"ipyparallel.{name}: the package ipyparallel is not installed for {sys.executable},"
                             " only what tasks need is here")
    raise AttributeError(name)
