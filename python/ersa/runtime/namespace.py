# SPDX-License-Identifier: BSD-3-Clause
"""`__main__` as user code sees it: a module whose dict is the namespace of all requests."""
import builtins
import sys

from ersa.runtime import shim


def prepare(rt):
    """Makes `rt.main` the module __main__, with the names that interactive code expects."""
    sys.modules["__main__"] = rt.main
    rt.shell = shim.Shell(rt)
    rt.ns["__builtins__"] = builtins
    builtins.get_ipython = rt.get_ipython
    builtins.exit = builtins.quit = shim.Exit(rt)
    builtins.display = shim.Display(rt)
    sys.displayhook = rt.shell.displayhook
    reset(rt)


def reset(rt):
    """Everything that user code defined goes, also the history of results; the names that were there before
    user code are as they were."""
    ns = rt.ns
    for name in [n for n in ns if not (n.startswith("__") and n.endswith("__"))]:
        del ns[name]
    shell = rt.shell
    shell.In[:] = [""]
    shell.Out.clear()
    ns.update(In=shell.In, Out=shell.Out, _ih=shell.In, _oh=shell.Out, _dh=shell.dirs, get_ipython=rt.get_ipython,
              exit=builtins.exit, quit=builtins.quit)
    for name in ("_", "__", "___", "_i", "_ii", "_iii"):
        ns[name] = ""
    shell.results = ["", "", ""]
