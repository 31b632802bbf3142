# SPDX-License-Identifier: BSD-3-Clause
"""Functions that tests send to engines. They go by value, as functions of `__main__` do, since engines cannot
import this file."""


def by_value(function):
    """Makes it look like one typed in at a prompt; closures too."""
    function.__module__ = "__main__"
    return function


@by_value
def add(a, b=1):
    return a + b


@by_value
def square(x):
    return x * x


@by_value
def nap(seconds, value=None):
    import time
    time.sleep(seconds)
    return value


@by_value
def hold(started, gate, value=None, seconds=60):
    """Says by a file that it runs, and goes on until the other file is there, but not for ever."""
    import os
    import time
    open(started, "w").close()
    end = time.monotonic() + seconds
    while not os.path.exists(gate) and time.monotonic() < end:
        time.sleep(0.005)
    return value


@by_value
def pid():
    import os
    return os.getpid()


@by_value
def divide(a, b):
    return a / b


@by_value
def talk(text):
    import sys
    print(text)
    print(text.upper(), file=sys.stderr)
    return len(text)



@by_value
def touch_and_wait(path, seconds):
    """Says by a file that it runs, and where, then sleeps."""
    import os
    import time
    with open(path + ".part", "w") as file:
        file.write(str(os.getpid()))
    os.rename(path + ".part", path)
    time.sleep(seconds)
    return path


@by_value
def touch_and_die(path):
    import os
    import signal
    open(path, "w").close()
    os.kill(os.getpid(), signal.SIGKILL)
