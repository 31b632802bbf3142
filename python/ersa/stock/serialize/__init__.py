# SPDX-License-Identifier: BSD-3-Clause
"""Objects to buffers and back; the public names."""
from .canning import (Reference, can, can_map, interactive, uncan, uncan_map, use_cloudpickle, use_dill,
                      use_pickle)
from .serialize import (PrePickled, deserialize_object, pack_apply_message, serialize_object,
                        unpack_apply_message)

__all__ = ("PrePickled", "Reference", "can", "can_map", "deserialize_object", "interactive", "pack_apply_message",
           "serialize_object", "uncan", "uncan_map", "unpack_apply_message", "use_cloudpickle", "use_dill",
           "use_pickle")
