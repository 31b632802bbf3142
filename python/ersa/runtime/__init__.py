# SPDX-License-Identifier: BSD-3-Clause
"""The runtime of an engine: the process in which user code runs (docs/protocol/runtime.md).

    __main__    environment, extension module, channel
    serve       the loop: a request comes, a reply goes
    apply       functions by value
    execute     cells, by plain or by ipython
    frontend    completion, inspection and what else front ends ask
    startup     what runs before the first request
    imports     the finder behind `ipyparallel.*` and a few hooks on other imports
    namespace   `__main__` with its names; shim is its get_ipython(), until something needs IPython itself
    ipython     IPython's shell over the same namespace
    plain       cells without IPython; cells compiles them, outcome makes the reply, display the rich forms
    eventloop   asyncio around the loop, once something awaits
    comms, descriptors, errors, jsons, streams    stand on nothing here

Each imports only what stands below it (tests/lint looks), and nothing before it is needed: an idle engine should be
small, and begin at once.
"""

current = None  # the Runtime of this process
