# SPDX-License-Identifier: BSD-3-Clause
"""IPython's shell over the same namespace, once something needs it: magics, shell lines, its display
machinery. From then on it runs all cells. Tasks (apply) never go through it."""
import sys

from ersa._core import call
from ersa.runtime import errors
from ersa.runtime.outcome import Outcome, reply_for

_is_missing = False


def activate(rt):
    """The shell; None when IPython is not installed."""
    global _is_missing
    if rt.ipython is not None or _is_missing:
        return rt.ipython
    from importlib.machinery import PathFinder
    if PathFinder.find_spec("IPython") is None:
        _is_missing = True
        return None
    return _make(rt)


def _shell_class(rt):
    from IPython.core.displayhook import DisplayHook
    from IPython.core.displaypub import DisplayPublisher
    from IPython.core.interactiveshell import InteractiveShell

    class EngineDisplayPublisher(DisplayPublisher):
        def publish(self, data, metadata=None, *, transient=None, update=False, **ignored):
            rt.shell.display_pub.publish(data, metadata, transient=transient, update=update)

        def clear_output(self, wait=False):
            rt.shell.display_pub.clear_output(wait)

    class EngineDisplayHook(DisplayHook):
        def start_displayhook(self):
            self.made = None

        def write_output_prompt(self):
            pass

        def write_format_data(self, format_dict, md_dict=None):
            self.made = format_dict, md_dict or {}

        def finish_displayhook(self):
            if self.made and self.made[0]:
                rt.publish("execute_result", {"data": _texts(self.made[0]), "metadata": self.made[1],
                                              "execution_count": self.prompt_count})

    class EngineShell(InteractiveShell):
        """What get_ipython() gives."""

        display_pub_class = EngineDisplayPublisher
        displayhook_class = EngineDisplayHook
        ersa_error = None

        def _showtraceback(self, etype, evalue, stb):
            lines = stb if isinstance(stb, list) else str(stb).split("\n")
            name, value = errors.name_of(evalue), errors.value_of(evalue)
            self.ersa_error = name, value, [str(line) for line in lines]
            rt.publish("error", {"traceback": self.ersa_error[2], "ename": name, "evalue": value})

        def ask_exit(self):
            rt.ask_exit()

        def set_next_input(self, s, replace=False):
            rt.payload.append({"source": "set_next_input", "text": s, "replace": replace})

        def enable_gui(self, gui=None):
            if gui not in (None, "inline", "agg"):
                raise RuntimeError(f"an engine does not run the event loop of {gui}")

        def init_virtualenv(self):
            pass

    return EngineShell


def _texts(data):
    import base64
    return {mime: base64.b64encode(v).decode("ascii") if isinstance(v, (bytes, bytearray)) else v
            for mime, v in data.items()}


def _config(rt):
    from traitlets.config import Config
    config = Config()
    for name, traits in rt.config.items():
        if isinstance(traits, dict):
            config[name].update(traits)
    config.HistoryManager.enabled = False
    return config


def _make(rt):
    from IPython.core.interactiveshell import InteractiveShell
    kept = dict(rt.ns)
    cls = _shell_class(rt)
    InteractiveShell.initialized = _original_initialized or InteractiveShell.initialized
    streams, hooks = (sys.stdout, sys.stderr), (sys.displayhook, sys.excepthook)
    shell = cls.instance(user_module=rt.main, config=_config(rt))
    sys.stdout, sys.stderr = streams
    sys.displayhook, sys.excepthook = hooks
    for name in ("In", "Out", "_ih", "_oh", "_dh", "exit", "quit"):
        kept.pop(name, None)
    rt.ns.update(kept)
    rt.ns["get_ipython"] = shell.user_ns_hidden["get_ipython"] = rt.get_ipython
    shell.kernel = rt.shell.kernel
    shell.kernel.shell = shell
    shell.data_pub = rt.shell.data_pub
    shell.execution_count = shell.ersa_first = rt.shell.execution_count
    for n, value in rt.shell.Out.items():
        shell.user_ns["Out"][n] = value
    shell.displayhook._, shell.displayhook.__, shell.displayhook.___ = rt.shell.results
    inputs = shell.history_manager.input_hist_parsed, shell.history_manager.input_hist_raw
    for kept_inputs in inputs:
        kept_inputs[:] = list(rt.shell.In)
    for event, callbacks in rt.shell.events.callbacks.items():
        for f in callbacks:
            shell.events.register(event, f)
    rt.shell.events.callbacks = {}
    rt.ipython = shell
    return shell


_original_initialized = None


def patch(module):
    """IPython.core.interactiveshell was imported by user code: whoever asks for a shell gets ours."""
    import ersa.runtime
    global _original_initialized
    cls = module.InteractiveShell
    _original_initialized = cls.__dict__["initialized"] if "initialized" in cls.__dict__ else None

    def initialized(klass):
        rt = ersa.runtime.current
        if rt.ipython is None and not _is_busy:
            _activate_once(rt)
        return getattr(klass, "_instance", None) is not None

    cls.initialized = classmethod(initialized)


_is_busy = False


def _activate_once(rt):
    global _is_busy
    _is_busy = True
    try:
        activate(rt)
    finally:
        _is_busy = False


def _outcome(shell, result):
    error = result.error_before_exec or result.error_in_exec
    if error is None:
        return Outcome()
    return Outcome(error, shell.ersa_error)


def execute(rt, content, code, silent, store_history):
    shell = rt.ipython
    shell.ersa_error = None
    count = shell.execution_count
    if not silent:
        rt.publish("execute_input", {"code": code, "execution_count": count})
    try:
        cell, problem = call(shell.transform_cell, code), None
    except BaseException:
        cell, problem = code, sys.exc_info()
    if shell.should_run_async(code, transformed_cell=cell, preprocessing_exc_tuple=problem):
        return _go_on(rt, content, code, cell, problem, silent, store_history)
    try:
        outcome = _outcome(shell, call(shell.run_cell, code, store_history=store_history, silent=silent))
    except BaseException as error:
        outcome = Outcome(error)
    return _reply(rt, content, outcome)


async def _go_on(rt, content, code, cell, problem, silent, store_history):
    from ersa.runtime import eventloop
    shell = rt.ipython
    made = []

    async def run():
        made.append(await shell.run_cell_async(code, store_history=store_history, silent=silent, transformed_cell=cell,
                                               preprocessing_exc_tuple=problem))

    error = await eventloop.run_user(rt, run())
    outcome = Outcome(error) if error is not None or not made else _outcome(shell, made[0])
    return _reply(rt, content, outcome)


def _reply(rt, content, outcome):
    shell = rt.ipython
    rt.payload += shell.payload_manager.read_payload()
    shell.payload_manager.clear_payload()
    return reply_for(rt, content, outcome, shell.execution_count - 1)
