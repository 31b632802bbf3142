# SPDX-License-Identifier: BSD-3-Clause
"""The descriptor of the channel is not user code's to close: loops over all descriptors, as programs that become
daemons have them, leave it out. In a forked child, where it is closed already, they leave out nothing."""
import os


def install(channel):
    close_one, close_range = os.close, os.closerange

    def close(fd):
        if fd == channel.fileno() and fd >= 0:
            return
        close_one(fd)

    def closerange(fd_low, fd_high, /):
        kept = channel.fileno()
        if fd_low <= kept < fd_high and kept >= 0:
            close_range(fd_low, kept)
            fd_low = kept + 1
        close_range(fd_low, fd_high)

    for f, original in ((close, close_one), (closerange, close_range)):
        f.__module__, f.__qualname__, f.__doc__ = "os", f.__name__, original.__doc__
        setattr(os, f.__name__, f)
