# SPDX-License-Identifier: BSD-3-Clause
"""sys.stdout and sys.stderr: text goes straight through to descriptors 1 and 2, which ipengine reads. So the
order within a stream is kept, and forked children print like everybody else."""
import builtins
import io
import os
import sys


class _Descriptor(io.FileIO):
    """Writes all of it, also when a signal comes in between."""

    def write(self, data):
        n = super().write(data)
        if n is None or n == len(data):
            return n
        view = memoryview(data)
        while n < len(data):
            n += super().write(view[n:]) or 0
        return n


class Stream(io.TextIOWrapper):
    """What user code has as sys.stdout."""

    def __init__(self, fd):
        super().__init__(_Descriptor(fd, "w", closefd=False), encoding="UTF-8", errors="backslashreplace",
                         newline="\n", write_through=True)
        self.mode = "w"

    def isatty(self):
        return False

    def set_parent(self, parent):
        """The parent of output is the engine's business."""


class StdinNotImplementedError(NotImplementedError):
    """There is nobody to ask."""


def _no_input(*args, **kwargs):
    raise StdinNotImplementedError("an engine has no stdin: input() and getpass() are not possible here")


def patch_getpass(module):
    module.getpass = _no_input


def _in_child():
    """Children print side by side: whole lines, so that they don't mix within them."""
    for stream in (sys.__stdout__, sys.__stderr__):
        try:
            stream.reconfigure(line_buffering=True, write_through=False)
        except Exception:
            pass


ours = []  # stdout and stderr


def install():
    ours[:] = Stream(1), Stream(2)
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__ = ours
    builtins.input = _no_input
    os.register_at_fork(after_in_child=_in_child)


def are_replaced():
    """Asked with each task."""
    try:
        return sys.stdout is not ours[0] or sys.stderr is not ours[1]
    except AttributeError:
        return True


def flush(always=False):
    """What user code put in place of the streams may hold something back; so may ours in a forked child."""
    for stream in (getattr(sys, "stdout", None), getattr(sys, "stderr", None)):
        if always or type(stream) is not Stream:
            try:
                stream.flush()
            except Exception:
                pass
