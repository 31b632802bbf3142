# SPDX-License-Identifier: BSD-3-Clause
"""What `get_ipython()` gives as long as nothing needs IPython itself: the namespace, the kernel, ways to
publish. Asking for anything else brings in IPython when it is installed."""
import builtins
import sys

from ersa.runtime import display, jsons


class Exit:
    """exit and quit: the engine ends after the reply."""

    def __init__(self, rt):
        self._rt = rt

    def __call__(self, keep_kernel=False):
        self._rt.ask_exit()

    def __repr__(self):
        return "exit() ends this engine"


class Events:
    """Callbacks around cells, as far as they go without IPython."""

    def __init__(self):
        self.callbacks = {}

    def register(self, event, function):
        if function not in self.callbacks.setdefault(event, []):
            self.callbacks[event].append(function)

    def unregister(self, event, function):
        self.callbacks.get(event, []).remove(function)

    def trigger(self, event, *args):
        for function in list(self.callbacks.get(event, ())):
            try:
                function(*args)
            except Exception as e:
                print(f"Error in callback {function} (for {event}): {e!r}", file=sys.stderr)


class Log:
    """The engine's log."""

    def __init__(self, rt):
        self._rt = rt

    def log(self, level, message, *args, **ignored):
        self._rt.log(level, str(message) % args if args else str(message))

    def debug(self, message, *args, **kw):
        self.log(10, message, *args)

    def info(self, message, *args, **kw):
        self.log(20, message, *args)

    def warning(self, message, *args, **kw):
        self.log(30, message, *args)

    def error(self, message, *args, **kw):
        self.log(40, message, *args)

    warn, exception, critical = warning, error, error


class Session:
    """Sends to iopub, whatever socket it is given."""

    def __init__(self, rt):
        self._rt = rt
        self.session = rt.uuid

    def send(self, stream, msg_or_type, content=None, parent=None, ident=None, buffers=None, metadata=None, **ignored):
        topic = ident[0] if isinstance(ident, list) else ident
        if isinstance(topic, bytes):
            topic = topic.decode()
        self._rt.publish(msg_or_type, content or {}, topic=topic, metadata=metadata, buffers=buffers or ())


class Kernel:
    """get_ipython().kernel; users put attributes of their own on it."""

    def __init__(self, rt, shell):
        self._rt = rt
        self.shell = shell
        self.log = Log(rt)
        self.iopub_socket = self.iopub_thread = None

    engine_id = int_id = property(lambda self: self._rt.id)
    ident = property(lambda self: self._rt.uuid.encode())
    session = property(lambda self: Session(self._rt))

    @property
    def comm_manager(self):
        from ersa.runtime import comms
        return comms.manager(self._rt)

    @property
    def io_loop(self):
        return sys.modules["ipyparallel.util"].IOLoop if "ipyparallel.util" in sys.modules else \
            __import__("ipyparallel.util", fromlist=["IOLoop"]).IOLoop

    def get_parent(self, channel="shell"):
        header = jsons.loads(self._rt.request[2])
        return {"header": header, "msg_id": header.get("msg_id", ""), "msg_type": header.get("msg_type", ""),
                "metadata": jsons.loads(self._rt.request[3]), "content": jsons.loads(self._rt.request[4]),
                "parent_header": {}}

    def do_shutdown(self, restart=False):
        self._rt.ask_exit()
        return {"status": "ok", "restart": restart}


class Shell:
    """get_ipython()."""

    def __init__(self, rt):
        self._rt = rt
        self.user_module = rt.main
        self.user_ns = self.user_global_ns = rt.ns
        self.In, self.Out, self.dirs = [""], {}, []
        self.results = ["", "", ""]  # what _, __ and ___ should be
        self.last_output = None  # text of the last result of this cell
        self.futures = 0  # what `from __future__` in cells has switched on
        self.execution_count = 1
        self.history = []  # (count, input, output)
        self.kernel = Kernel(rt, self)
        self.display_pub = display.DisplayPublisher(rt)
        self.data_pub = display.DataPublisher(rt)
        self.events = Events()

    def displayhook(self, value):
        from ersa.runtime import plain
        plain.display_result(self._rt, value)

    def run_cell(self, raw_cell, store_history=False, silent=False):
        from ersa.runtime import plain
        return plain.run_cell(self._rt, raw_cell, silent)

    def showtraceback(self, *args, **ignored):
        from ersa.runtime import errors
        print("\n".join(errors.describe(sys.exc_info()[1])[2]), file=sys.stderr)

    def reset(self, new_session=True, aggressive=False):
        """Everything that user code defined goes, also the history of results; the names that were there before
        user code are as they were."""
        ns = self.user_ns
        for name in [n for n in ns if not (n.startswith("__") and n.endswith("__"))]:
            del ns[name]
        self.In[:] = [""]
        self.Out.clear()
        ns.update(In=self.In, Out=self.Out, _ih=self.In, _oh=self.Out, _dh=self.dirs, get_ipython=self._rt.get_ipython,
                  exit=builtins.exit, quit=builtins.quit)
        for name in ("_", "__", "___", "_i", "_ii", "_iii"):
            ns[name] = ""
        self.results = ["", "", ""]

    def push(self, variables, interactive=True):
        self.user_ns.update(variables)

    def ev(self, expression):
        return eval(expression, self.user_ns)

    def ex(self, code):
        exec(code, self.user_ns)

    def set_next_input(self, text, replace=False):
        self._rt.payload.append({"source": "set_next_input", "text": text, "replace": replace})

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        from ersa.runtime import ipython
        shell = ipython.activate(self._rt)
        if shell is None:
            raise AttributeError(f"get_ipython().{name}: IPython is not installed for {sys.executable}")
        return getattr(shell, name)
