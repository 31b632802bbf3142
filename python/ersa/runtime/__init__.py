# SPDX-License-Identifier: BSD-3-Clause
"""The runtime of an engine: the process in which user code runs (docs/protocol/runtime.md).

    __main__    environment, extension module, channel
    serve       the loop: a request comes, a reply goes
    apply       functions by value
    execute     cells of Python; ipython takes over when something needs IPython
    frontend    completion, inspection and what else front ends ask
    imports     the finder behind `ipyparallel.*` and a few hooks on other imports

Nothing is imported before it is needed: an idle engine should be small, and begin at once.
"""

current = None  # the Runtime of this process
