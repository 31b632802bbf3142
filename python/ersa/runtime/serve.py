# SPDX-License-Identifier: BSD-3-Clause
"""The loop of the runtime: takes one request after the other and answers each exactly once."""
import errno
import os
import sys

import ersa.runtime
from ersa import _core
from ersa.runtime import errors, imports, jsons, streams

# Handler of each request: module and function. It takes (runtime, parts) and returns a reply, (status,
# flags, content, buffers), or a coroutine that does, which then goes on in an event loop.
HANDLERS = {
    b"apply_request": ("apply", "apply_request"),
    b"execute_request": ("execute", "execute_request"),
    b"clear_request": ("execute", "clear_request"),
    b"complete_request": ("frontend", "complete_request"),
    b"inspect_request": ("frontend", "inspect_request"),
    b"is_complete_request": ("frontend", "is_complete_request"),
    b"history_request": ("frontend", "history_request"),
    b"kernel_info_request": ("frontend", "kernel_info_request"),
    b"comm_info_request": ("comms", "comm_info_request"),
    b"comm_open": ("comms", "comm_open"),
    b"comm_msg": ("comms", "comm_msg"),
    b"comm_close": ("comms", "comm_close"),
}
NO_REPLY = (b"none", b"", b"", ())


class Runtime:
    """The one of this process, `ersa.runtime.current`."""

    def __init__(self, channel):
        self.channel = channel
        self.uuid = ""
        self.id = -1
        self.topic = "engine.-1."
        self.buffer_threshold, self.item_threshold = 1024, 64
        self.config = {}
        self.profile_dir = ""
        self.main = type(sys)("__main__")
        self.ns = self.main.__dict__
        self.request = (b"", b"", b"{}", b"{}", b"{}")  # the first parts of the one under way, else of the last
        self.shell = None  # get_ipython()
        self.ipython = None  # IPython's shell, once something needs it
        self.is_exiting = False
        self.spawned = []  # coroutines for an event loop that does not run yet
        self.loop = None
        self.handlers = {}
        self.payload = []  # of the execute request under way

    # What goes out

    def publish(self, msg_type, content, suffix="", metadata=None, buffers=(), topic=None):
        """A message to iopub. Any thread."""
        topic = self.topic + (suffix or msg_type) if topic is None else topic
        self.channel.send(_core.PUBLISH, [msg_type.encode(), topic.encode(), jsons.dumps(content),
                                          jsons.dumps(metadata) if metadata else b"", *buffers])

    def publish_data(self, data):
        codec = sys.modules["ipyparallel.serialize.serialize"]
        buffers = codec.serialize_object(data, self.buffer_threshold, self.item_threshold)
        self.publish("data_message", {"keys": list(data)}, topic="datapub", buffers=buffers)

    def log(self, level, text):
        self.channel.send(_core.LOG, [str(level).encode(), text.encode("utf-8", "backslashreplace")])

    def ask_exit(self):
        """The engine ends after the reply that comes next."""
        if not self.is_exiting:
            self.is_exiting = True
            self.channel.send(_core.EXIT)

    def engine_info(self, method):
        return {"engine_uuid": self.uuid, "engine_id": self.id, "method": method}

    def failure(self, error, method, flags=b"", more=None, described=None):
        """Publishes the error and returns the reply about it."""
        ename, evalue, traceback = described or errors.safely_described(_core.call, error)
        if self.channel.is_child:
            print("\n".join(traceback), file=sys.stderr)
            self.leave_child(1)
        content = {"traceback": traceback, "ename": ename, "evalue": evalue}
        if described is None:
            self.publish("error", content)
        if ename == "UnmetDependency":
            flags += b"u"
        content = {"status": "error", **content, "engine_info": self.engine_info(method), **(more or {})}
        return b"error", flags, jsons.dumps(content), ()

    # What comes in

    def handler(self, msg_type):
        found = self.handlers.get(msg_type)
        if found is None and msg_type in HANDLERS:
            module, name = HANDLERS[msg_type]
            found = getattr(__import__(f"ersa.runtime.{module}", fromlist=[name]), name)
            self.handlers[msg_type] = found
        return found

    def run(self, parts):
        """One request. Returns its id and a coroutine if it goes on in an event loop, else None."""
        self.request = parts[:5]
        msg_id = bytes(parts[1])
        if imports.are_ours_gone():
            imports.give_back()
            self.log(30, "user code had removed modules from sys.modules that its runtime needs; they are back")
        try:
            handler = self.handler(bytes(parts[0]))
            _core.arm()
            reply = handler(self, parts) if handler else NO_REPLY
        except Exception as error:
            reply = self.failure(error, "runtime")
        if type(reply) is not tuple:
            return msg_id, reply
        self.reply(msg_id, reply)
        return None

    def leave_child(self, code):
        """A forked child came out of the user code that its parent is in: that was its work."""
        streams.flush(always=True)
        os._exit(code)

    def flush_output(self):
        """What user code put in the place of the streams may hold something back. It may also fail, or never end:
        through the gate."""
        try:
            _core.call(streams.flush)
        except BaseException:
            pass

    def reply(self, msg_id, reply):
        if streams.are_replaced():
            self.flush_output()
        status, flags, content, buffers = reply
        try:
            self.channel.send(_core.REPLY, [msg_id, status, flags, content, *buffers])
        except RuntimeError:
            if self.channel.is_child:
                self.leave_child(0)
            raise
        _core.disarm()

    def stray(self, error):
        """An exception that is nobody's: a handler that user code set for some signal raised it, wherever we
        were. It is shown; a request under way still gets its reply."""
        sys.excepthook(type(error), error, error.__traceback__)
        owed = self.channel.owed
        if owed is not None:
            self.reply(owed, self.failure(error, "runtime"))

    def next_request(self, wait=True):
        """The parts of the next RUN; None at the end, False when there is nothing."""
        while True:
            message = self.channel.recv(wait)
            if not message:
                return message
            if message[0] == _core.SHUTDOWN:
                return None
            if message[0] == _core.RUN:
                if len(message[1]) < 5:
                    raise _core.ProtocolError("the engine sent a RUN without its parts")
                return message[1]

    def serve(self):
        """Until the engine says so, or is gone."""
        while True:
            try:
                parts = self.next_request()
                if parts is None:
                    return
                rest = self.run(parts)
            except (_core.ProtocolError, _core.ChannelLost):
                raise
            except Exception as error:
                self.stray(error)
                continue
            if rest or self.spawned:
                from ersa.runtime import eventloop
                return eventloop.serve(self, rest)

    def spawn(self, coroutine):
        """Runs a coroutine beside the requests."""
        if self.loop is not None:
            return self.loop.create_task(coroutine)
        self.spawned.append(coroutine)
        return None

    def get_ipython(self):
        return self.ipython or self.shell

    def hello(self, octets):
        hello = jsons.loads(octets)
        if hello.get("v") != _core.VERSION:
            raise _core.ProtocolError(f"the engine speaks version {hello.get('v')} of the runtime protocol,"
                                      f" this is version {_core.VERSION}")
        self.uuid = hello.get("uuid", "")
        self.id = hello.get("id", -1)
        self.topic = f"engine.{self.id}."
        session = hello.get("session") or {}
        self.buffer_threshold = session.get("buffer_threshold", self.buffer_threshold)
        self.item_threshold = min(session.get("item_threshold", 64), 64)  # receivers look into no larger containers
        self.config = hello.get("config") or {}
        self.profile_dir = hello.get("profile_dir", "")
        return hello


def start(rt):
    """HELLO to READY."""
    message = rt.channel.recv()
    if message is None or message[0] == _core.SHUTDOWN:
        return False
    if message[0] != _core.HELLO or len(message[1]) != 1:
        raise _core.ProtocolError("the first message is not HELLO")
    hello = rt.hello(message[1][0])
    from ersa.runtime import startup
    startup.run(rt, hello)
    rt.handler(b"apply_request")
    rt.channel.send(_core.READY, [jsons.dumps({
        "v": _core.VERSION, "language": "python", "version": sys.version.split()[0], "pid": os.getpid(),
        "executable": sys.executable})])
    return True


def give_up(why):
    """The exit code; the engine takes the sentence for the cause of death."""
    os.write(2, f"{_core.LAST_WORDS}{why}\n".encode("utf-8", "replace"))
    return 3


def main(channel):
    _core.install_sigint()
    from ersa.runtime import descriptors, namespace
    imports.install()
    descriptors.install(channel)
    streams.install()
    rt = ersa.runtime.current = Runtime(channel)
    namespace.prepare(rt)
    try:
        if start(rt):
            imports.keep()
            rt.serve()
    except _core.ProtocolError as error:
        return give_up(error)
    except _core.ChannelLost as error:
        if error.errno == errno.EPIPE:  # it was closed at the other end
            return 3
        return give_up(f"user code closed the descriptor of its channel to the engine ({error.strerror})")
    finally:
        streams.flush()
    return 0
