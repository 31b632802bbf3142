# SPDX-License-Identifier: BSD-3-Clause
"""apply_request: a function with its arguments comes in buffers, its result goes back in buffers."""
import sys

import ipyparallel.serialize.serialize  # noqa: F401  (ours, until user code asks for the installed one)
from ersa._core import call


def run_task(buffers, rt):
    """All of it is user code: un-canning imports modules, pickling calls methods of the result."""
    codec = sys.modules["ipyparallel.serialize.serialize"]
    f, args, kwargs = codec.unpack_apply_message(buffers, rt.ns)
    buffers.clear()
    result = f(*args, **kwargs)
    del args, kwargs
    return codec.serialize_object(result, rt.buffer_threshold, rt.item_threshold)


def apply_request(rt, parts):
    buffers = parts[5:]
    parts.clear()
    try:
        return b"ok", b"", b"", call(run_task, buffers, rt)
    except BaseException as error:
        return rt.failure(error, "apply")
    finally:
        buffers.clear()
