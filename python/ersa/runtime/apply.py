# SPDX-License-Identifier: BSD-3-Clause
"""apply_request: a function with its arguments comes in buffers, its result goes back in buffers."""
import sys

from ersa._core import call
from ipyparallel.serialize import serialize as codec


def run_task(buffers, rt):
    """All of it is user code: un-canning imports modules, pickling calls methods of the result."""
    global codec
    codec = sys.modules.get("ipyparallel.serialize.serialize", codec)  # the installed one, once that is in use
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
