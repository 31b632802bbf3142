# SPDX-License-Identifier: BSD-3-Clause
"""`__main__` as user code sees it: a module whose dict is the namespace of all requests."""
import builtins
import sys

from ersa.runtime import display, shim


def prepare(rt):
    """Makes `rt.main` the module __main__, with the names that interactive code expects."""
    sys.modules["__main__"] = rt.main
    rt.shell = shim.Shell(rt)
    rt.ns["__builtins__"] = builtins
    builtins.get_ipython = rt.get_ipython
    builtins.exit = builtins.quit = shim.Exit(rt)
    builtins.display = display.Display(rt)
    sys.displayhook = rt.shell.displayhook
    rt.shell.reset()
