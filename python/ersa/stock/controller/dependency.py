# SPDX-License-Identifier: BSD-3-Clause
"""Functional dependencies: a function with a condition that the engine checks before it runs it."""
import sys

from ipyparallel.error import UnmetDependency
from ipyparallel.serialize.canning import can, interactive

ModuleType = type(sys)


class dependent:
    """A function and its condition. Attribute names are what travels."""

    def __init__(self, _wrapped_f, _wrapped_df, *dargs, **dkwargs):
        self.f = _wrapped_f
        self.__name__ = getattr(_wrapped_f, "__name__", "f")
        self.df = _wrapped_df
        self.dargs = dargs
        self.dkwargs = dkwargs

    def check_dependency(self):
        if self.df(*self.dargs, **self.dkwargs) is False:
            raise UnmetDependency()

    def __call__(self, *args, **kwargs):
        return self.f(*args, **kwargs)


class depend:
    """Decorator: @depend(condition, *args, **kwargs)."""

    def __init__(self, _wrapped_f, *args, **kwargs):
        self.f = _wrapped_f
        self.args = args
        self.kwargs = kwargs

    def __call__(self, f):
        return dependent(f, self.f, *self.args, **self.kwargs)


@interactive
def _require(*modules, **mapping):
    """Imports and defines what a function needs, where it runs."""
    from ipyparallel.error import UnmetDependency
    from ipyparallel.serialize import uncan
    user_ns = globals()
    for name in modules:
        try:
            exec(f"import {name}", user_ns)
        except ImportError:
            raise UnmetDependency(name)
    for name, canned in mapping.items():
        user_ns[name] = uncan(canned, user_ns)
    return True


def require(*objects, **mapping):
    """Decorator: modules to import (by name or as they are), and objects to define, before the function runs."""
    names = []
    for obj in objects:
        if isinstance(obj, ModuleType):
            obj = obj.__name__
        if isinstance(obj, str):
            names.append(obj)
        elif hasattr(obj, "__name__"):
            mapping[obj.__name__] = obj
        else:
            raise TypeError(f"require: modules, names of modules and named objects are possible, not {type(obj)}")
    return depend(_require, *names, **{name: can(obj) for name, obj in mapping.items()})


class Dependency(set):
    """Ids of messages that a task waits for."""

    def __init__(self, dependencies=(), all=True, success=True, failure=False):
        ids = [dependencies] if isinstance(dependencies, str) else dependencies
        found = set()
        for d in ids:
            found.update([d] if isinstance(d, str) else d.msg_ids)
        set.__init__(self, found)
        if not (success or failure):
            raise ValueError("a dependency on neither success nor failure can't be met")
        self.all = all
        self.success = success
        self.failure = failure

    def check(self, completed, failed=None):
        done = set(completed) if self.success else set()
        if self.failure and failed is not None:
            done |= set(failed)
        return not self or (self <= done if self.all else bool(self & done))

    def unreachable(self, completed, failed=None):
        against = set() if self.success else set(completed)
        if not self.failure and failed is not None:
            against |= set(failed)
        return bool(self) and (bool(self & against) if self.all else self <= against)

    def as_dict(self):
        return {"all": self.all, "success": self.success, "failure": self.failure, "dependencies": list(self)}
