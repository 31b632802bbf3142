# SPDX-License-Identifier: BSD-3-Clause
"""Programs under test: started in sessions of their own with a log file each, awaited by condition, and
ended with everything that they started.

Environment: ERSA_BIN (our programs), ERSA_PYTHON (interpreter of our engines, without ipyparallel),
ERSA_PYTHON_DIR (our Python package), ERSA_REF_PYTHON (an interpreter with the reference)."""
import contextlib
import os
import pathlib
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("ERSA_BIN", ROOT / "build" / "bin"))
PYTHON = os.environ.get("ERSA_PYTHON", str(ROOT / ".venv" / "bin" / "python"))
REF_PYTHON = os.environ.get("ERSA_REF_PYTHON", str(ROOT / ".venv-ref" / "bin" / "python"))
DEADLINE_S = 60
SANITIZER_REPORTS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:", "WARNING: ThreadSanitizer")


def wait_until(condition, what, seconds=DEADLINE_S):
    """The first true value of `condition()`; fails with `what` after the deadline."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what() if callable(what) else what}: not within {seconds} s")
        time.sleep(0.01)
    return value


def state_of(pid, thread):
    """The kernel's letter; X when it is gone."""
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/task/{thread}/stat").read_text().rsplit(")", 1)[1].split()[0]
    return "X"


def is_alive(pid):
    """Exists and is no zombie."""
    return state_of(pid, pid) not in "ZX"


def freeze(pid):
    """SIGSTOP, and all its threads have stopped: until one of them takes the signal, another may still answer something."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: {state_of(pid, thread) for thread in os.listdir(f"/proc/{pid}/task")} <= set("TtXZ"), f"the stop of {pid}")


def family(pid):
    """The process and all its descendants."""
    pids, i = [pid], 0
    while i < len(pids):
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{pids[i]}/task"):
                children = pathlib.Path(f"/proc/{pids[i]}/task/{task}/children").read_text()
                pids += [child for child in map(int, children.split()) if child not in pids]
        i += 1
    return pids


class Program:
    """One running program. `log` is where its stdout and stderr go."""

    def __init__(self, argv, log, **kw):
        self.argv, self.log = [str(a) for a in argv], pathlib.Path(log)
        env = dict(os.environ, **kw.pop("env", {}))
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            start_new_session=True, env=env, **kw)
        self.pid = self.process.pid
        self.known = {self.pid}

    def output(self):
        return self.log.read_text(errors="replace")

    def is_running(self):
        return self.process.poll() is None

    def family(self):
        """Its process and descendants that are alive now; remembers them for stop()."""
        if self.is_running():
            self.known.update(family(self.pid))
        return [pid for pid in self.known if is_alive(pid)]

    def wait(self, seconds=DEADLINE_S):
        """Its exit code; fails when it has not ended by then."""
        wait_until(lambda: not self.is_running(), lambda: f"end of {self.argv[:3]}\n{self.output()[-4000:]}", seconds)
        return self.process.returncode

    def stop(self, seconds=15):
        """SIGTERM, then SIGKILL for what is left. Returns the exit code."""
        self.family()
        if self.is_running():
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(seconds)
        for pid in self.known - {self.pid}:
            with contextlib.suppress(AssertionError):
                wait_until(lambda: not is_alive(pid), "end of a descendant", 2)
        for pid in self.known:
            if is_alive(pid):
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
        self.process.wait()
        return self.process.returncode

    def assert_no_sanitizer_report(self):
        text = self.output()
        for report in SANITIZER_REPORTS:
            assert report not in text, text[max(0, text.index(report) - 2000):][:8000]
