# SPDX-License-Identifier: BSD-3-Clause
"""The exceptions of the reference's `ipyparallel.error` (client.md 9)."""
import builtins

TimeoutError = builtins.TimeoutError


class IPythonError(Exception):
    """The root of them."""


class KernelError(IPythonError):
    pass


class EngineError(KernelError):
    pass


class NoEnginesRegistered(KernelError):
    pass


class TaskAborted(KernelError):
    pass


class TaskTimeout(KernelError):
    pass


class TaskRejectError(KernelError):
    pass


class UnmetDependency(KernelError):
    pass


class ImpossibleDependency(UnmetDependency):
    pass


class DependencyTimeout(ImpossibleDependency):
    pass


class InvalidDependency(ImpossibleDependency):
    pass


def _where(info):
    return "[{}:{}]".format(info.get("engine_id", "?"), info.get("method", "?"))


class RemoteError(KernelError):
    """An exception somewhere else."""

    def __init__(self, ename, evalue, traceback, engine_info=None):
        self.ename = ename
        self.evalue = evalue
        self.traceback = traceback
        self.engine_info = engine_info or {}
        self.args = (ename, evalue)

    def __reduce__(self):
        return type(self), (self.ename, self.evalue, self.traceback, self.engine_info)

    def __repr__(self):
        return "<RemoteError[{}]:{}({})>".format(self.engine_info.get("engine_id", ""), self.ename, self.evalue)

    def __str__(self):
        label = _where(self.engine_info) if self.engine_info else "[Engine Exception]"
        return f"{label} {self.ename}: {self.evalue}"

    def render_traceback(self):
        label = _where(self.engine_info) if self.engine_info else "[Engine Exception]"
        return [label + " "] + (self.traceback or "No traceback available").splitlines()

    def _render_traceback_(self):
        return self.render_traceback()

    def print_traceback(self):
        print("\n".join(self.render_traceback()))


class CompositeError(RemoteError):
    """Several of them; `elist` has (ename, evalue, traceback, engine_info) each."""

    tb_limit = 4

    def __init__(self, message, elist):
        Exception.__init__(self, *(e[0] for e in elist))
        self.msg = message
        self.elist = elist
        self.args = tuple(e[0] for e in elist)

    def __reduce__(self):
        return type(self), (self.msg, self.elist)

    def __repr__(self):
        return f"CompositeError({len(self.elist)})"

    def __str__(self):
        lines = [self.msg]
        lines += [f"{_where(info or {})}{name}: {value}" for name, value, _, info in self.elist[:self.tb_limit]]
        if len(self.elist) > self.tb_limit:
            lines.append(f".... {len(self.elist) - self.tb_limit} more exceptions ...")
        return "\n".join(lines)

    def render_traceback(self, excid=None):
        chosen = self.elist[:self.tb_limit] if excid is None else [self.elist[excid]]
        lines = []
        for name, value, traceback, info in chosen:
            lines += [_where(info or {}) + ":", *(traceback or "No traceback available").splitlines(), ""]
        if excid is None and len(self.elist) > self.tb_limit:
            lines.append(f"... {len(self.elist) - self.tb_limit} more exceptions ...")
        return lines

    def print_traceback(self, excid=None):
        print("\n".join(self.render_traceback(excid)))

    def raise_exception(self, excid=0):
        if not 0 <= excid < len(self.elist):
            raise IndexError(f"there is no exception {excid}")
        raise RemoteError(*self.elist[excid])


class AlreadyDisplayedError(RemoteError):
    """Its output has been shown as it came."""

    def __init__(self, original_error):
        self.original_error = original_error
        self.args = (original_error,)

    def __reduce__(self):
        return type(self), (self.original_error,)

    def __str__(self):
        return f"{len(getattr(self.original_error, 'elist', [self.original_error]))} errors"

    __repr__ = __str__

    def render_traceback(self):
        return [str(self)]


def unwrap_exception(content):
    """A RemoteError from the content of an error message."""
    return RemoteError(content["ename"], content["evalue"], "\n".join(content["traceback"]),
                       content.get("engine_info") or {})


def wrap_exception(engine_info=None):
    """The content of an error message for the exception being handled."""
    import sys
    from ersa.runtime.errors import describe
    ename, evalue, traceback = describe(sys.exc_info()[1])
    return {"status": "error", "ename": ename, "evalue": evalue, "traceback": traceback,
            "engine_info": engine_info or {}}


def collect_exceptions(rlist_or_dict, method="unspecified"):
    """Raises what is an exception among the results, else returns them."""
    results = rlist_or_dict.values() if isinstance(rlist_or_dict, dict) else rlist_or_dict
    elist = []
    for e in results:
        if isinstance(e, CompositeError):
            elist += e.elist
        elif isinstance(e, RemoteError):
            elist.append((e.ename, e.evalue, e.traceback, e.engine_info))
        elif isinstance(e, Exception):
            elist.append((type(e).__name__, str(e), "", {}))
    if elist:
        raise CompositeError(f"one or more exceptions raised in: {method}", elist)
    return rlist_or_dict
