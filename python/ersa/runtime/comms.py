# SPDX-License-Identifier: BSD-3-Clause
"""Comms: channels between objects here and in a front end, through iopub and comm_* messages. The package
`comm`, if user code imports it, uses ours."""
from ersa._core import call
from ersa.runtime import jsons

_manager = None


class Comm:
    """One end of a comm. The other one is in the front end."""

    def __init__(self, target_name="", data=None, metadata=None, buffers=None, comm_id=None, primary=True,
                 target_module=None, **ignored):
        import uuid
        self.comm_id = comm_id or uuid.uuid4().hex
        self.target_name = target_name
        self.target_module = target_module
        self.primary = primary
        self._closed = not primary
        self._on_msg = self._on_close = None
        if primary:
            self.open(data, metadata, buffers)

    def publish_msg(self, msg_type, data=None, metadata=None, buffers=None, **more):
        manager().rt.publish(msg_type, {"comm_id": self.comm_id, "data": data or {}, **more},
                             topic="comm-" + self.comm_id, metadata=metadata, buffers=buffers or ())

    def open(self, data=None, metadata=None, buffers=None):
        manager().register_comm(self)
        self._closed = False
        self.publish_msg("comm_open", data, metadata, buffers, target_name=self.target_name,
                         target_module=self.target_module)

    def send(self, data=None, metadata=None, buffers=None):
        self.publish_msg("comm_msg", data, metadata, buffers)

    def close(self, data=None, metadata=None, buffers=None, deleting=False):
        if not self._closed:
            self._closed = True
            self.publish_msg("comm_close", data, metadata, buffers)
            manager().unregister_comm(self)

    def on_msg(self, callback):
        self._on_msg = callback

    def on_close(self, callback):
        self._on_close = callback

    def handle_msg(self, msg):
        if self._on_msg:
            self._on_msg(msg)

    def handle_close(self, msg):
        self._closed = True
        if self._on_close:
            self._on_close(msg)


class CommManager:
    def __init__(self, rt):
        self.rt = rt
        self.comms = {}
        self.targets = {}

    def register_target(self, target_name, f):
        if isinstance(f, str):
            module, _, name = f.rpartition(".")
            f = getattr(__import__(module, fromlist=[name]), name)
        self.targets[target_name] = f

    def unregister_target(self, target_name, f):
        return self.targets.pop(target_name)

    def register_comm(self, comm):
        self.comms[comm.comm_id] = comm
        return comm.comm_id

    def unregister_comm(self, comm):
        self.comms.pop(comm.comm_id, None)

    def get_comm(self, comm_id):
        return self.comms.get(comm_id)

    def comm_open(self, stream, ident, msg):
        content = msg["content"]
        comm = Comm(content.get("target_name", ""), comm_id=content["comm_id"], primary=False)
        self.register_comm(comm)
        target = self.targets.get(comm.target_name)
        try:
            if target is None:
                raise KeyError(f"no such comm target: {comm.target_name}")
            comm._closed = False
            target(comm, msg)
        except BaseException as error:
            self.rt.log(40, f"comm {comm.comm_id} can't be opened: {error!r}")
            comm._closed = False
            comm.close()

    def comm_msg(self, stream, ident, msg):
        comm = self.comms.get(msg["content"]["comm_id"])
        if comm is None:
            self.rt.log(30, "a message for a comm that is not there")
        else:
            comm.handle_msg(msg)

    def comm_close(self, stream, ident, msg):
        comm = self.comms.pop(msg["content"]["comm_id"], None)
        if comm is not None:
            comm.handle_close(msg)


def manager(rt=None):
    global _manager
    if _manager is None:
        import ersa.runtime
        _manager = CommManager(rt or ersa.runtime.current)
    return _manager


def patch(module):
    """`import comm`: its comms are ours."""
    module.create_comm = Comm
    module.get_comm_manager = manager


def _handle(rt, parts, name):
    buffers = [memoryview(b) for b in parts[5:]]
    parts.clear()
    msg = rt.shell.kernel.get_parent()
    msg["buffers"] = buffers
    try:
        call(getattr(manager(rt), name), None, None, msg)
    except BaseException as error:
        rt.log(40, f"{name} failed: {error!r}")
    return b"none", b"", b"", ()


def comm_open(rt, parts):
    return _handle(rt, parts, "comm_open")


def comm_msg(rt, parts):
    return _handle(rt, parts, "comm_msg")


def comm_close(rt, parts):
    return _handle(rt, parts, "comm_close")


def comm_info_request(rt, parts):
    wanted = jsons.loads(parts[4]).get("target_name")
    parts.clear()
    comms = {k: {"target_name": c.target_name} for k, c in manager(rt).comms.items()
             if not wanted or c.target_name == wanted}
    return b"ok", b"", jsons.dumps({"status": "ok", "comms": comms}), ()
