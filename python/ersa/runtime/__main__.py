# SPDX-License-Identifier: BSD-3-Clause
"""python -m ersa.runtime: started by ipengine, with the channel's descriptor in ERSA_RUNTIME_FD."""
import os
import sys


def working_directory():
    """It may have been removed."""
    try:
        return os.getcwd()
    except OSError:
        return ""


def restore_environment():
    """ipengine put the package in front of PYTHONPATH; user code and its children see what was there before."""
    ours = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    before = os.environ.pop("ERSA_PYTHONPATH", None)
    if before is not None:
        os.environ["PYTHONPATH"] = before
    elif os.environ.get("PYTHONPATH", "").split(os.pathsep)[0] == ours:
        rest = os.environ["PYTHONPATH"].split(os.pathsep)[1:]
        if rest:
            os.environ["PYTHONPATH"] = os.pathsep.join(rest)
        else:
            del os.environ["PYTHONPATH"]
    if ours not in (before or "").split(os.pathsep):
        sys.path[:] = [p for p in sys.path if p != ours]
    if not sys.flags.isolated and sys.path and sys.path[0] in (working_directory(), ""):
        sys.path[0] = ""
    else:
        sys.path.insert(0, "")


def fail(why, remedy):
    version = ".".join(map(str, sys.version_info[:3]))
    os.write(2, f"ersa.runtime: {why} (interpreter {sys.executable}, Python {version}); {remedy}\n".encode())
    os._exit(3)


def main():
    restore_environment()
    try:
        from ersa import _core
    except ImportError as e:
        fail(f"ersa._core can't be loaded: {e}",
             "build it for this interpreter (meson option python), or choose another one with ipengine --python")
    import ersa
    if _core.ERSA_VERSION != ersa.__version__:
        fail(f"ersa._core is of version {_core.ERSA_VERSION}, the package of {ersa.__version__}",
             "install both from the same build")
    fd = os.environ.pop(_core.ENV_FD, "")
    if not fd.isdigit():
        fail(f"{_core.ENV_FD} is not set", "ipengine starts this program, it is of no use alone")
    try:
        channel = _core.Channel(int(fd))
    except OSError as e:
        fail(f"the descriptor {fd} in {_core.ENV_FD} can't be used: {e}", "ipengine starts this program")
    from ersa.runtime import serve
    return serve.main(channel)


if __name__ == "__main__":
    sys.exit(main())
