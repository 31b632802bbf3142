# SPDX-License-Identifier: BSD-3-Clause
"""The real `ipcontroller`, started in a profile directory of its own on free ports. Programs are found by ERSA_BIN
(default: build/bin)."""
import json
import os
import pathlib
import re
import signal
import subprocess
import urllib.request

from waiting import PATIENCE_S, Silence, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("ERSA_BIN", ROOT / "build" / "bin"))


class Controller:
    """The program. `args` are added to its command line."""

    def __init__(self, folder, *args, env=None, files_in=PATIENCE_S, name="ipcontroller"):
        self.profile = pathlib.Path(folder) / "profile_test"
        self.log_path = pathlib.Path(folder) / f"{name}.log"
        self.args = [str(BIN / name), f"--profile-dir={self.profile}", "--log-level=10", *args]
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("IPP_", "IPYTHON"))}
        environment.update(IPYTHONDIR=str(folder), **(env or {}))
        self.log_file = open(self.log_path, "ab")
        self.process = subprocess.Popen(self.args, env=environment, cwd=folder, stdin=subprocess.DEVNULL,
                                        stdout=self.log_file, stderr=self.log_file)
        if files_in:
            try:
                wait_until(self.has_files, files_in, "connection files")
            except Silence:
                self.kill()
                raise AssertionError("no connection files:\n" + self.log()) from None
            self.read_files()

    def path(self, side):
        return self.profile / "security" / f"ipcontroller-{side}.json"

    def has_files(self):
        assert self.process.poll() is None, f"exit code {self.process.returncode}:\n{self.log()}"
        return self.path("client").exists() and self.path("engine").exists()

    def read_files(self):
        self.client_info = json.loads(self.path("client").read_text())
        self.engine_info = json.loads(self.path("engine").read_text())
        self.key = self.client_info["key"]

    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait_log(self, pattern, timeout=PATIENCE_S):
        return wait_until(lambda: re.search(pattern, self.log()), timeout, f"log line {pattern!r}")

    def url(self, key, side="client", index=None):
        info = self.client_info if side == "client" else self.engine_info
        number = info["ersa"]["attach"] if key == "attach" else info[key]
        return f"{info['interface']}:{number if index is None else number[index]}"

    def rss_mb(self):
        return int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * 4096 / 1e6

    def metric(self, name):
        """A figure of /metrics, by its name with labels; for one started with --metrics-port=0."""
        url = re.search(r"http://\S+/metrics", self.log()).group()
        text = urllib.request.urlopen(url, timeout=PATIENCE_S).read().decode()
        return next((float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name + " ")), 0.0)

    def alive(self):
        return self.process.poll() is None

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.log_file.close()

    def stop(self, timeout=PATIENCE_S):
        """SIGTERM; the exit code. A sanitizer's report, or a signal's death, is a failure."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("does not end on SIGTERM:\n" + self.log()[-4000:]) from None
        self.log_file.close()
        log = self.log()
        for word in ("AddressSanitizer", "LeakSanitizer", "runtime error:", "ThreadSanitizer"):
            assert word not in log, log[-8000:]
        assert code >= 0, f"ended by signal {-code}:\n{log[-4000:]}"
        return code
