# SPDX-License-Identifier: BSD-3-Clause
"""A controller and engines of either kind, in a profile directory of their own."""
import contextlib
import os
import pathlib
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
        self.controller = Program(argv, self.folder / "controller.log")
        files = [self.profile / "security" / f"ipcontroller-{side}.json" for side in ("client", "engine")]
        wait_until(lambda: all(f.exists() and f.stat().st_size for f in files) or not self.controller.is_running(),
                   "connection files")
        assert self.controller.is_running(), self.controller.output()

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
