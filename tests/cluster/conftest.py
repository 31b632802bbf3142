# SPDX-License-Identifier: BSD-3-Clause
"""ipcluster against real processes. Each test has a profile directory of its own; every process of its
clusters is known by IPP_PROFILE_DIR in its environment, and none may be left at the end of a test."""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from processes import BIN, PYTHON, REF_PYTHON, Program, is_alive, wait_until  # noqa: E402

TIMEOUT_S = 60
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup children would inherit that it is ignored


class Profile:
    """A profile directory and the commands about it."""

    def __init__(self, folder):
        self.dir = folder / "profile"
        self.folder = folder
        self.env = dict(os.environ, VIRTUAL_ENV=str(pathlib.Path(PYTHON).parents[1]), IPYTHONDIR=str(folder / "ipython"))
        for name in ("IPP_CLUSTER_ID", "IPP_PROFILE_DIR", "IPP_CONNECTION_INFO"):
            self.env.pop(name, None)

    def make(self):
        """The directory itself: only `start` makes it."""
        (self.dir / "security").mkdir(parents=True, mode=0o700)

    def argv(self, verb, *args):
        return [str(BIN / "ipcluster"), verb, f"--profile-dir={self.dir}", *map(str, args)]

    def ipcluster(self, verb, *args, code=0):
        """Runs it to its end; checks the exit code."""
        done = subprocess.run(self.argv(verb, *args), env=self.env, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=TIMEOUT_S)
        assert done.returncode == code, f"exit code {done.returncode}, not {code}\n{done.stdout}{done.stderr}"
        return done

    def foreground(self, *args, verb="start"):
        """`ipcluster start` in the foreground, as a Program."""
        return Program(self.argv(verb, *args), self.folder / f"{verb}.log", env=self.env)

    def reference(self, code, *args):
        """Runs Python code with the stock ipyparallel; returns what it prints."""
        done = subprocess.run([REF_PYTHON, "-c", code, str(self.dir), *map(str, args)], env=self.env,
                              capture_output=True, text=True, timeout=TIMEOUT_S)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def members(self):
        """Living processes of the profile's clusters."""
        want = f"IPP_PROFILE_DIR={self.dir}".encode()
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and want in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
        return [pid for pid in found if is_alive(pid)]

    def file(self, cluster_id=""):
        return self.dir / "security" / f"cluster-{cluster_id}.json"

    def pid_file(self, cluster_id=""):
        return self.dir / "pid" / f"ipcluster{'-' * bool(cluster_id)}{cluster_id}.pid"

    def state(self, cluster_id=""):
        return json.loads(self.file(cluster_id).read_text())

    def controller_pid(self, cluster_id=""):
        return self.state(cluster_id)["controller"]["state"]["pid"]

    def engine_pids(self, cluster_id=""):
        sets = self.state(cluster_id)["engines"]["sets"].values()
        return [engine["pid"] for s in sets for engine in s["engines"].values()]

    def wait_up(self, n, cluster_id=""):
        """Until the file names a controller and n engines."""
        def up():
            try:
                return len(self.engine_pids(cluster_id)) == n and self.controller_pid(cluster_id)
            except (OSError, KeyError):
                return None
        return wait_until(up, f"{n} engines in {self.file(cluster_id)}")

    def wait_gone(self):
        wait_until(lambda: not self.members(), lambda: f"end of {self.members()}", 20)

    def owner(self, cluster_id=""):
        return int(self.pid_file(cluster_id).read_text())

    def kill_everything(self):
        for path in self.dir.glob("pid/*.pid"):
            pid = int(path.read_text() or 0)
            if pid and is_alive(pid) and b"ipcluster" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, signal.SIGKILL)
        left = self.members()
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        return left


@pytest.fixture
def profile(tmp_path):
    profile = Profile(tmp_path)
    yield profile
    with contextlib.suppress(AssertionError):  # what is ending may take its time
        wait_until(lambda: not profile.members(), "the end of all", 30)
    left = profile.kill_everything()
    assert not left, f"processes left behind: {left}"


@pytest.fixture
def configure(profile):
    """Writes the profile's ipcluster_config.json."""
    def write(**sections):
        profile.dir.mkdir(exist_ok=True)
        (profile.dir / "ipcluster_config.json").write_text(json.dumps(sections))
    return write
