# SPDX-License-Identifier: BSD-3-Clause
"""Functions of `ipyparallel.util` that clients send, and the globals that they read there: they come by value,
and only their names for globals are looked up in this module. `asyncio` and `IOLoop` stand for the runtime's
event loop, which begins when something is given to it."""
import sys  # noqa: F401  (a global of functions sent here)

from ipyparallel.serialize.canning import interactive

__all__ = ("interactive",)


class _EventLoop:
    """What become_dask_worker and its counterpart do with `asyncio` and `IOLoop`; the rest is asyncio's."""

    def ensure_future(self, coroutine):
        import ersa.runtime
        return ersa.runtime.current.spawn(coroutine)

    def current(self):
        return self

    def add_callback(self, f, *args, **kwargs):
        async def run():
            made = f(*args, **kwargs)
            if hasattr(made, "__await__"):
                await made
        return self.ensure_future(run())

    def __getattr__(self, name):
        import asyncio as real
        return getattr(real, name)


asyncio = IOLoop = _EventLoop()


def get_ipython():
    import ersa.runtime
    return ersa.runtime.current.get_ipython()


def _push(**ns):
    """Names of the namespace, also dotted ones."""
    user_ns = get_ipython().user_global_ns
    for name, value in ns.items():
        if name.isidentifier():
            user_ns[name] = value
        else:
            user_ns["_pushed_"] = value
            try:
                exec(f"{name} = _pushed_", user_ns)
            finally:
                user_ns.pop("_pushed_", None)


def _pull(keys):
    user_ns = get_ipython().user_global_ns
    if isinstance(keys, (list, tuple, set)):
        return [eval(key, user_ns) for key in keys]
    return eval(keys, user_ns)


def _execute(code):
    exec(code, get_ipython().user_global_ns)


def become_dask_worker(address, nanny=False, **kwargs):
    """Makes this engine a worker of a dask scheduler as well."""
    shell = get_ipython()
    if getattr(shell.kernel, "dask_worker", None):
        shell.kernel.log.info("this engine is a dask worker already")
        return
    from distributed import Nanny, Worker
    worker = (Nanny if nanny else Worker)(address, **kwargs)
    shell.kernel.dask_worker = shell.user_ns["dask_worker"] = shell.user_ns["distributed_worker"] = worker
    asyncio.ensure_future(worker.start())


def stop_distributed_worker():
    """Ends what become_dask_worker began."""
    shell = get_ipython()
    worker = getattr(shell.kernel, "dask_worker", None) or getattr(shell.kernel, "distributed_worker", None)
    if worker is None:
        return
    shell.kernel.dask_worker = shell.kernel.distributed_worker = None
    IOLoop.current().add_callback(worker.close)
