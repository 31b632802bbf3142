# SPDX-License-Identifier: BSD-3-Clause
"""The descriptors of the channel and of the runtime's event loop are not user code's to close: loops over all
descriptors, as programs that become daemons have them, leave them out. A forked child may close what it likes."""
import os

kept = set()


def install(channel):
    close_one, close_range = os.close, os.closerange
    kept.add(channel.fileno())

    def close(fd):
        if fd not in kept or channel.is_child:
            close_one(fd)

    def closerange(fd_low, fd_high, /):
        for fd in () if channel.is_child else sorted(kept):
            if fd_low <= fd < fd_high:
                close_range(fd_low, fd)
                fd_low = fd + 1
        close_range(fd_low, fd_high)

    for f, original in ((close, close_one), (closerange, close_range)):
        f.__module__, f.__qualname__, f.__doc__ = "os", f.__name__, original.__doc__
        setattr(os, f.__name__, f)
