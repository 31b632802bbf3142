# SPDX-License-Identifier: BSD-3-Clause
"""A controller and engines of either kind, in a profile directory of their own."""
import contextlib
import json
import os
import pathlib
import socket
import sys

from processes import BIN, DEADLINE_S, PYTHON, Program, wait_until

HEART_PERIOD_MS = 1000
CONTROLLERS = {
    "ours": [BIN / "ipcontroller"],
    "reference": [sys.executable, "-m", "ipyparallel.controller"],
}
ENGINES = {
    "ours": [BIN / "ipengine", f"--python={PYTHON}"],
    "reference": [sys.executable, "-m", "ipyparallel.engine"],
}


STARTS_MAX = 5


def accepts(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True


def switched_off(kind):
    disabled = os.environ.get("ERSA_INTEROP_DISABLE", "")
    return [f"--Ersa.disable={disabled}"] if disabled and kind == "ours" else []


class Cluster:
    """Context manager. `cell` is "<controller>-<engines>", each `ours` or `reference`."""

    def __init__(self, cell, folder, engines=2, controller_args=(), engine_args=()):
        self.controller_kind, self.engine_kind = cell.split("-")
        self.folder = pathlib.Path(folder)
        self.profile = self.folder / "profile"
        self.n = engines
        self.controller_args, self.engine_args = list(controller_args), list(engine_args)
        self.controller, self.engines = None, []

    def __enter__(self):
        try:
            self.start_controller()
            for _ in range(self.n):
                self.start_engine()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc):
        self.stop()

    def start_controller(self):
        argv = [*CONTROLLERS[self.controller_kind], f"--profile-dir={self.profile}",
                f"--HeartMonitor.period={HEART_PERIOD_MS}", *switched_off(self.controller_kind), *self.controller_args]
        files = [self.profile / "security" / f"ipcontroller-{side}.json" for side in ("client", "engine")]
        for _ in range(STARTS_MAX):
            self.controller = Program(argv, self.folder / "controller.log")
            wait_until(lambda: all(f.exists() and f.stat().st_size for f in files) or not self.controller.is_running(),
                       "connection files")
            assert self.controller.is_running(), self.controller.output()
            if self.controller_kind == "ours" or self.is_bound(files):
                return
            self.controller.stop()
            for path in [*files, self.controller.log]:
                path.unlink()
        raise AssertionError(f"the reference found no free ports in {STARTS_MAX} starts")

    def is_bound(self, files):
        """The reference draws its ports, and binds them later in processes whose end it does not notice: somebody else
        may have one by then."""
        info = [json.loads(f.read_text()) for f in files]
        ports = {p for i in info for v in i.values() for p in (v if isinstance(v, list) else [v])
                 if type(p) is int and i["interface"].startswith("tcp")}

        def is_taken():
            return "Address already in use" in self.controller.output()

        wait_until(lambda: is_taken() or all(map(accepts, ports)), lambda: f"bound ports\n{self.logs()}")
        return not is_taken()

    def start_engine(self, *args):
        argv = [*ENGINES[self.engine_kind], f"--profile-dir={self.profile}", *switched_off(self.engine_kind),
                *self.engine_args, *args]
        engine = Program(argv, self.folder / f"engine-{len(self.engines)}.log")
        self.engines.append(engine)
        return engine

    @property
    def client_file(self):
        return str(self.profile / "security" / "ipcontroller-client.json")

    @contextlib.contextmanager
    def client(self, engines=None):
        """A stock client that sees all engines."""
        import ipyparallel as ipp
        want = self.n if engines is None else engines
        with ipp.Client(self.client_file) as client:
            wait_until(lambda: len(client.ids) >= want, lambda: f"{want} engines\n{self.logs()}")
            if self.controller_kind == "reference":
                self.wait_for_subscription(client)
            yield client

    def wait_for_subscription(self, client):
        """Output of a client's first tasks is lost as long as the reference's relay doesn't know of its subscription."""
        def is_heard():
            result = client[client.ids[0]].execute("print('?')", block=False)
            result.get(DEADLINE_S)
            with contextlib.suppress(AssertionError):
                return wait_until(lambda: result.stdout, "output", 0.3)

        wait_until(is_heard, "output of a first task")

    def programs(self):
        return [p for p in [*self.engines, self.controller] if p]

    def is_ours(self, program):
        return (self.controller_kind if program is self.controller else self.engine_kind) == "ours"

    def logs(self):
        return "\n".join(f"==> {p.log.name}\n{p.output()[-3000:]}" for p in self.programs())

    def stop(self):
        for program in self.programs():
            program.stop()
        for program in self.programs():
            program.assert_no_sanitizer_report()
