# SPDX-License-Identifier: BSD-3-Clause
"""What goes wrong at a start, files that lie, and options; engines and controllers are scripts where that
makes the failure exact."""
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest
from conftest import TIMEOUT_S
from processes import BIN, is_alive, wait_until

SHELL = ["/bin/sh", "-c"]


def script(text):
    return [*SHELL, text, "script"]


def test_engines_fail_early(profile, configure):
    configure(LocalEngineSetLauncher={"engine_cmd": script("echo the reason is $0; exit 3")})
    program = profile.foreground("-n", 3)
    assert program.wait() == 14, program.output()
    assert "Engines shutdown early, they probably failed to connect." in program.output()
    assert "the reason is script" in program.output()
    assert program.output().count("ended early") == 3
    profile.wait_gone()
    assert not profile.file().exists()
    logs = list((profile.dir / "log").glob("ipengine--*.log"))
    assert len(logs) == 3 and all("the reason" in log.read_text() for log in logs)


def test_one_of_two_engines_fails_early(profile, configure):
    text = 'n=$(ls "$IPP_PROFILE_DIR"/first 2>/dev/null); if mkdir "$IPP_PROFILE_DIR"/first; then exit 5; fi; exec sleep 600'
    configure(LocalEngineSetLauncher={"engine_cmd": script(text)})
    program = profile.foreground("-n", 2)
    wait_until(lambda: "ended early" in program.output(), "a line about the engine")
    assert "exit code 5" in program.output()
    assert program.is_running()
    profile.ipcluster("stop")
    assert program.wait() == 0, program.output()


def test_engines_that_end_later_are_no_failure(profile, configure):
    text = 'while [ ! -e "$IPP_PROFILE_DIR"/go ]; do sleep 0.02; done; exit 3'
    configure(LocalEngineSetLauncher={"engine_cmd": script(text)}, IPClusterEngines={"early_shutdown": 0.05})
    program = profile.foreground("-n", 1)
    wait_until(lambda: "Engines appear to have started successfully" in program.output(), "the line")
    (profile.dir / "go").touch()
    wait_until(lambda: "engine set stopped" in program.output(), "the line")
    assert program.is_running()
    wait_until(lambda: profile.state()["engines"]["sets"] == {}, "a file without the set")
    os.kill(program.pid, signal.SIGTERM)
    assert program.wait() == 143


def test_controller_fails(profile, configure):
    configure(LocalControllerLauncher={"controller_cmd": script("echo no luck >&2; exit 4")})
    done = profile.ipcluster("start", "-n", 2, "--daemonize", code=13)
    assert "no luck" in done.stderr and "exit code 4" in done.stderr
    assert not profile.file().exists() and not profile.pid_file().exists()


def test_controller_that_says_nothing(profile, configure):
    configure(LocalControllerLauncher={"controller_cmd": script("exec sleep 600"), "connection_info_timeout": 0.3})
    done = profile.ipcluster("start", "-n", 2, code=1)
    assert "ipcontroller-engine.json" in done.stderr
    profile.wait_gone()
    assert not profile.file().exists()


@pytest.mark.parametrize("args, said", [
    (["--LocalEngineSetLauncher.engine_cmd=/nowhere/ipengine"], "/nowhere/ipengine"),
    (["--LocalControllerLauncher.controller_cmd=/nowhere/ipcontroller"], "/nowhere/ipcontroller"),
    (["--engines=slurm"], "slurm"),
    (["--controller=nonsense"], "nonsense"),
    (["--n=many"], "many"),
])
def test_cannot_start(profile, args, said):
    done = profile.ipcluster("start", "-n", 1, *args, code=1)
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    profile.wait_gone()
    assert not profile.file().exists() and not profile.pid_file().exists()


def test_ctrl_c_during_the_start(profile, configure):
    configure(LocalControllerLauncher={"controller_cmd": script("exec sleep 600")})
    program = profile.foreground("-n", 2)
    wait_until(lambda: profile.file().exists(), "the cluster file")
    os.kill(program.pid, signal.SIGINT)
    assert program.wait() == 130
    profile.wait_gone()


def test_empty_set(profile):
    program = profile.foreground("-n", 0)
    wait_until(lambda: profile.file().exists() and profile.state()["engines"]["sets"], "an empty set")
    assert profile.engine_pids() == []
    os.kill(program.pid, signal.SIGINT)
    assert program.wait() == 130


def test_signals_reach_engines(profile, configure):
    text = 'trap "echo got it" USR1; echo ready; while :; do sleep 0.02; done'
    configure(LocalEngineSetLauncher={"engine_cmd": script(text), "stop_seconds_until_kill": 1})
    program = profile.foreground("-n", 2)
    profile.wait_up(2)

    def logs():
        return [path.read_text() for path in (profile.dir / "log").glob("ipengine-*.log")]

    wait_until(lambda: [log for log in logs()] == ["ready\n"] * 2, "two engines")
    os.kill(program.pid, signal.SIGUSR1)
    wait_until(lambda: all("got it" in log for log in logs()), "the signal in both")
    profile.ipcluster("stop", "--signal=9")
    assert program.wait() == 0, program.output()


def test_output_is_followed_with_debug(profile, configure):
    configure(LocalEngineSetLauncher={"engine_cmd": script("echo a line of $IPP_CLUSTER_ID; exec sleep 600")})
    program = profile.foreground("-n", 1, "--debug", "--cluster-id=x")
    wait_until(lambda: "a line of x" in program.output(), "the engine's output")
    os.kill(program.pid, signal.SIGINT)
    program.wait()


def test_environment_and_arguments(profile, configure):
    text = 'echo "$@" "$MINE" "$IPP_CONNECTION_INFO."; exec sleep 600'
    configure(LocalEngineSetLauncher={"engine_cmd": [*SHELL, text, "script"], "engine_args": ["--one"],
                                      "environment": {"MINE": "yes"}},
              Cluster={"controller_args": ["--HeartMonitor.period=2000"]})
    profile.env["IPP_CONNECTION_INFO"] = '{"another": "cluster"}'
    program = profile.foreground("-n", 1, "--", "--nodb")
    profile.wait_up(1)
    log = next((profile.dir / "log").glob("ipengine-*.log"))
    wait_until(lambda: log.read_text(), "output")
    assert log.read_text() == f"--file={profile.dir}/security/ipcontroller-engine.json --one yes .\n"
    argv = pathlib.Path(f"/proc/{profile.controller_pid()}/cmdline").read_text().split("\0")
    assert argv[1:3] == ["--HeartMonitor.period=2000", "--nodb"]
    assert profile.state()["cluster"]["controller_args"] == ["--HeartMonitor.period=2000", "--nodb"]
    os.kill(program.pid, signal.SIGINT)
    program.wait()


def test_options_for_the_programs_that_are_started(profile):
    """What is said of ipcontroller's and ipengine's classes reaches them, checked first."""
    done = profile.ipcluster("start", "--IPEngine.timeout=soon", code=1)
    assert "--IPEngine.timeout=soon: IPEngine.timeout: 'soon' is not allowed" in done.stderr
    program = profile.foreground("-n", 1, "--IPEngine.startup_command=x = 1", "--TaskScheduler.scheme_name", "lru",
                                 "--Session.username=me", "--InteractiveShell.colors=nocolor", "--", "--nodb")
    profile.wait_up(1)

    def argv(pid):
        return pathlib.Path(f"/proc/{pid}/cmdline").read_text().split("\0")[1:-1]

    assert argv(profile.controller_pid()) == ["--TaskScheduler.scheme_name=lru", "--Session.username=me", "--nodb"]
    assert argv(profile.engine_pids()[0])[1:] == [
        "--IPEngine.startup_command=x = 1", "--Session.username=me", "--InteractiveShell.colors=nocolor"]
    assert profile.state()["cluster"]["controller_args"] == argv(profile.controller_pid())
    os.kill(program.pid, signal.SIGINT)
    program.wait()


def test_quiet(profile):
    assert profile.ipcluster("start", "-n", 1, "--daemonize", "--quiet").stderr == ""
    profile.ipcluster("stop", "--quiet")


def test_a_python_that_is_not_there_is_told_at_once(profile):
    profile.make()
    start = time.monotonic()
    done = subprocess.run([BIN / "ipengine", f"--profile-dir={profile.dir}", "--python=/nosuch/python3",
                           "--IPEngine.wait_for_url_file=50"],
                          env=profile.env, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 1 and "/nosuch/python3" in done.stderr
    assert "Waiting" not in done.stderr and time.monotonic() - start < 20


@pytest.fixture
def stranger():
    process = subprocess.Popen(["sleep", "600"])
    yield process
    assert process.poll() is None, "a process of somebody else was signalled"
    process.kill()
    process.wait()


@pytest.mark.parametrize("identity", [{}, {"ersa": {"start": 1, "boot": "00000000-0000-0000-0000-000000000000"}}])
def test_reused_pids_are_nobodys(profile, stranger, identity):
    profile.make()
    state = {"cluster_id": "", "profile_dir": str(profile.dir), "state": "running", "pid": stranger.pid,
             "output_file": "", **identity}
    lie = {"cluster": {"cluster_id": "", "profile_dir": str(profile.dir), "controller_args": [], "n": 1, "delay": 0},
           "controller": {"class": "local", "state": state},
           "engines": {"class": "local", "sets": {"1": {"n": 1, "pid": -1, "state": "running", "engines": {"0": state}}}}}
    profile.file().write_text(json.dumps(lie))
    assert "False         0 Local" in profile.ipcluster("list").stdout
    profile.ipcluster("stop")
    assert not profile.file().exists()
    profile.file().write_text(json.dumps(lie))
    profile.ipcluster("start", "-n", 1, "--daemonize")
    profile.ipcluster("stop")


def test_broken_cluster_file(profile):
    profile.make()
    profile.file().write_text('{"cluster": {"cluster_id": ')
    assert "Error loading cluster from file" in profile.ipcluster("list").stderr
    assert "cluster-.json" in profile.ipcluster("stop", code=1).stderr
    done = profile.ipcluster("start", "-n", 1, "--daemonize")
    assert "Assuming stopped cluster." in done.stderr
    profile.ipcluster("stop")


def test_cluster_of_another_launcher(profile):
    profile.make()
    profile.file().write_text(json.dumps({
        "cluster": {"cluster_id": "", "profile_dir": str(profile.dir), "controller_args": []},
        "controller": {"class": "slurm", "state": {"job_id": "7"}},
        "engines": {"class": "slurm", "sets": {"9": {"n": 4, "job_id": "8"}}}}))
    before = profile.file().read_text()
    assert "True          4 Slurm" in profile.ipcluster("list").stdout
    assert "slurm" in profile.ipcluster("stop", code=1).stderr
    profile.ipcluster("start", code=10)
    assert profile.file().read_text() == before


def test_clean(profile):
    profile.ipcluster("start", "-n", 1, "--daemonize", "--cluster-id=live")
    security = profile.dir / "security"
    profile.file("dead").write_text(profile.file("live").read_text().replace('"pid": ', '"pid": 0, "old": '))
    (security / "ipcontroller-dead-client.json").write_text("{}")
    (profile.dir / "log" / "ipengine-dead-1-0.log").write_text("x")
    done = profile.ipcluster("clean", code=1)
    assert "'live'" in done.stderr and "still running" in done.stderr
    assert sorted(p.name for p in security.iterdir()) == [
        "cluster-live.json", "ipcontroller-live-client.json", "ipcontroller-live-engine.json"]
    assert not (profile.dir / "log" / "ipengine-dead-1-0.log").exists()
    profile.ipcluster("stop", "live")
    profile.ipcluster("clean")
    assert list(security.iterdir()) == []


def test_command_line(profile):
    done = subprocess.run(profile.argv("start")[:1], capture_output=True, text=True)
    assert done.returncode == 1 and "No subcommand specified" in done.stderr
    assert "unknown command 'nosuch'; there are 'start', 'stop'" in profile.ipcluster("nosuch", code=2).stderr
    assert "unknown command 'stat'; did you mean start?" in profile.ipcluster("stat", code=2).stderr
    for verb in "start", "list", "engines", "clean":
        assert "unexpected word 'foo'" in profile.ipcluster(verb, "foo", code=2).stderr
    assert subprocess.run([profile.argv("start")[0], "--version"], capture_output=True, text=True).stdout.count("\n") == 1
    for verb in "start", "stop", "list", "engines", "clean":
        assert profile.ipcluster(verb, "--help").stdout
        assert "Class options" in profile.ipcluster(verb, "--help-all").stdout
        profile.ipcluster(verb, "--no-such-option", code=2)
    assert not list(profile.dir.glob("security/*"))


def test_terminal_of_a_daemon_is_left(profile):
    """After --daemonize nothing holds the descriptors of who started it."""
    done = subprocess.run([*profile.argv("start", "-n", "1", "--daemonize")], env=profile.env, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=30)  # would wait for the pipes' ends
    assert done.returncode == 0
    owner = profile.owner()
    assert os.getsid(owner) == owner and is_alive(owner)
    profile.ipcluster("stop")


def test_daemonize_tells_of_engines_that_fail_after_their_start(profile, configure):
    """The reason and the log's name, also where only what ends the program is logged."""
    text = 'while [ ! -e "$IPP_PROFILE_DIR"/security/ipcontroller-client.json ]; do sleep 0.02; done; sleep 0.3; echo no luck; exit 3'
    configure(LocalEngineSetLauncher={"engine_cmd": script(text)})
    done = profile.ipcluster("start", "-n", 2, "--daemonize", "--quiet", code=14)
    assert "Engines shutdown early" in done.stderr and f"{profile.dir}/log/ipengine--" in done.stderr
    assert "no luck" in profile.ipcluster("start", "-n", 2, "--daemonize", code=14).stderr
    profile.wait_gone()
    assert not profile.file().exists() and not profile.pid_file().exists()


def test_daemonize_leaves_when_the_engines_have_registered(profile):
    done = profile.ipcluster("start", "-n", 2, "--daemonize")
    assert "2 of 2 engines have registered" in done.stderr
    for log in (profile.dir / "log").glob("ipengine-*.log"):
        assert "Completed registration" in log.read_text()
    done = profile.ipcluster("engines", "-n", 1, "--daemonize")
    assert "1 of 1 engines have registered" in done.stderr
    profile.ipcluster("stop")


def test_daemonize_with_a_python_that_cannot_serve(profile):
    done = profile.ipcluster("start", "-n", 2, "--daemonize", "--IPEngine.python=/bin/false", code=14)
    assert "/bin/false" in done.stderr
    profile.wait_gone()


@pytest.mark.parametrize("seconds, code", [("300ms", 14), ("0", 0)])
def test_engine_timeout(profile, configure, seconds, code):
    """Engines that run, but never register."""
    configure(LocalEngineSetLauncher={"engine_cmd": script("exec sleep 600")})
    done = profile.ipcluster("start", "-n", 2, "--daemonize", f"--Cluster.engine_timeout={seconds}", code=code)
    if code:
        assert "0 of 2 engines have registered within 0.3 seconds" in done.stderr and "/log/ipengine--" in done.stderr
        profile.wait_gone()
    profile.ipcluster("stop", code=0 if not code else 11)


def test_engine_timeout_in_the_foreground_is_a_warning(profile, configure):
    configure(LocalEngineSetLauncher={"engine_cmd": script("exec sleep 600")})
    program = profile.foreground("-n", 1, "--Cluster.engine_timeout=0.2")
    wait_until(lambda: "0 of 1 engines have registered" in program.output(), "a warning")
    assert program.is_running()
    os.kill(program.pid, signal.SIGTERM)
    assert program.wait() == 143


def test_daemonize_waits_where_all_is_encrypted(profile):
    done = profile.ipcluster("start", "-n", 1, "--daemonize", "--IPController.enable_curve=True")
    assert "1 of 1 engines have registered" in done.stderr
    profile.ipcluster("stop")
