# SPDX-License-Identifier: BSD-3-Clause
"""What runs before the first request: MPI, extensions, files of the profile, lines and files of the
configuration. What fails is shown and stops nothing."""
import os
import sys

from ersa.runtime import cells

INIT_MPI = """from mpi4py import MPI
mpi_rank = MPI.COMM_WORLD.Get_rank()
mpi_size = MPI.COMM_WORLD.Get_size()
"""


def _guarded(what, f, *args):
    try:
        f(*args)
    except SystemExit as error:
        if error.code not in (None, 0):
            print(f"{what}: exit({error.code!r})", file=sys.stderr)
    except BaseException as error:
        from ersa.runtime import errors
        print(f"{what} failed:", file=sys.stderr)
        print("\n".join(errors.describe(error)[2]), file=sys.stderr)


def _run_line(rt, text):
    if rt.ipython is None and cells.is_input(text):
        from ersa.runtime import ipython
        ipython.activate(rt)
    if rt.ipython is not None:
        rt.ipython.run_cell(text, store_history=False, silent=True)
    else:
        exec(compile(text, "<startup>", "exec", dont_inherit=True), rt.ns)


def _run_file(rt, path):
    path = os.path.expandvars(os.path.expanduser(path))
    if path.endswith((".ipy", ".ipynb")):
        from ersa.runtime import ipython
        if ipython.activate(rt) is None:
            raise RuntimeError("an IPython script, and IPython is not installed")
        rt.ipython.safe_execfile_ipy(path)
        return
    with open(path, "rb") as f:
        code = compile(f.read(), path, "exec", dont_inherit=True)
    before = rt.ns.get("__file__")
    rt.ns["__file__"] = path
    try:
        exec(code, rt.ns)
    finally:
        if before is None:
            rt.ns.pop("__file__", None)
        else:
            rt.ns["__file__"] = before


def _integrate(rt, config):
    """Extensions and GUI integration need IPython."""
    from ersa.runtime import ipython
    if ipython.activate(rt) is None:
        raise RuntimeError("extensions, matplotlib, pylab and gui need IPython, which is not installed")
    for name in config.get("extensions") or ():
        _guarded(f"extension {name}", rt.ipython.extension_manager.load_extension, name)
    for magic in ("matplotlib", "pylab", "gui"):
        if config.get(magic):
            _guarded(f"%{magic}", rt.ipython.run_line_magic, magic, str(config[magic]))


def run(rt, hello):
    sys.argv[:] = hello.get("argv") or ["ipengine"]
    startup = hello.get("startup") or {}
    config = {**rt.config.get("InteractiveShellApp", {}), **rt.config.get("IPKernelApp", {})}
    if hello.get("mpi"):
        _guarded("init_mpi", _run_line, rt, hello.get("init_mpi") or INIT_MPI)
    if any(config.get(k) for k in ("extensions", "matplotlib", "pylab", "gui")):
        _guarded("integration", _integrate, rt, config)
    folder = startup.get("dir")
    names = sorted(os.listdir(folder)) if folder and os.path.isdir(folder) else []
    for name in names:
        if name.endswith((".py", ".ipy")):
            _guarded(name, _run_file, rt, os.path.join(folder, name))
    lines = [*(config.get("exec_lines") or ()), *(startup.get("lines") or ()), startup.get("command")]
    for line in filter(None, lines):
        _guarded("startup line", _run_line, rt, line)
    files = [*(config.get("exec_files") or ()), *(startup.get("files") or ()), startup.get("script")]
    for path in filter(None, files):
        _guarded(path, _run_file, rt, path)
