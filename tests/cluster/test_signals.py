# SPDX-License-Identifier: BSD-3-Clause
"""Signals to bare programs: a terminal that is closed, nohup, and what asks for nothing."""
import contextlib
import os
import pty
import signal
import subprocess

import pytest
from processes import BIN, Program, wait_until

TERMINAL = "import os, sys, fcntl, termios; os.setsid(); fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
NOHUP = "import os, sys, signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); os.execvp(sys.argv[1], sys.argv[1:])"
CTL, ENG = "ipcontroller", "ipengine"


@pytest.fixture
def bare(profile, tmp_path):
    """bare(name, *args): one of our programs without a terminal. bare.in_terminal(...): one whose terminal
    goes when .hang_up() is called."""
    programs, descriptors = [], []
    env = dict(profile.env, IPP_PROFILE_DIR=str(profile.dir))

    def argv(name, args):
        return [str(BIN / name), *args]

    def start(name, *args, before=()):
        program = Program([*before, *argv(name, args)], tmp_path / f"{name}.log", env=env)
        programs.append(program)
        return program

    def in_terminal(name, *args, before=()):
        master, slave = pty.openpty()
        with open(tmp_path / f"{name}.log", "ab") as out:
            process = subprocess.Popen(["python3", "-c", TERMINAL, *before, *argv(name, args)], stdin=slave, stdout=out,
                                       stderr=out, env=env)
        os.close(slave)
        program = Program.__new__(Program)
        program.argv, program.log, program.process = [name], tmp_path / f"{name}.log", process
        program.pid, program.known = process.pid, {process.pid}
        programs.append(program)
        descriptors.append(master)
        program.hang_up = lambda: os.close(descriptors.pop(descriptors.index(master)))
        return program

    start.in_terminal = in_terminal
    profile.make()
    yield start
    for program in reversed(programs):
        program.stop()
    for fd in descriptors:
        with contextlib.suppress(OSError):
            os.close(fd)


def wait_for(program, text):
    wait_until(lambda: text in program.output(), lambda: f"'{text}' in\n{program.output()}", 30)


def start_controller(profile, start):
    program = start(CTL)
    wait_until(lambda: (profile.dir / "security" / "ipcontroller-client.json").exists(), "connection files")
    return program


@pytest.mark.parametrize("signo", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_programs_without_a_terminal_go_on(profile, bare, signo):
    controller = start_controller(profile, bare)
    engine = bare(ENG)
    wait_for(engine, "Completed registration with id 0")
    for program in controller, engine:
        os.kill(program.pid, signo)
    if signo != signal.SIGHUP:
        wait_for(engine, f"Ignoring signal {int(signo)}")
        wait_for(controller, f"Ignoring signal {int(signo)}")
    second = bare(ENG)  # both are heard of once more
    wait_for(controller, "engine::Engine Connected: 1")
    for program in second, engine, controller:
        assert program.is_running()
        os.kill(program.pid, signal.SIGTERM)
        assert program.wait() == 0, program.output()


def test_a_terminal_that_goes_ends_programs_in_order(profile, bare):
    controller = start_controller(profile, bare.in_terminal)
    engine = bare.in_terminal(ENG)
    wait_for(engine, "Completed registration with id 0")
    engine.hang_up()
    assert engine.wait() == 0, engine.output()
    wait_for(controller, "registration::unregister_engine(0)")
    controller.hang_up()
    assert controller.wait() == 0, controller.output()
    assert not list((profile.dir / "security").iterdir())


def test_nohup(profile, bare):
    def nohup(name, *args):
        return bare.in_terminal(name, *args, before=["python3", "-c", NOHUP])

    controller = start_controller(profile, nohup)
    engine = nohup(ENG)
    wait_for(engine, "Completed registration with id 0")
    for program in controller, engine:
        program.hang_up()
        os.kill(program.pid, signal.SIGHUP)
    bare(ENG, "--log-to-file")
    wait_for(controller, "engine::Engine Connected: 1")
    assert controller.is_running() and engine.is_running()


def test_usr1_reaches_user_code_that_handles_it(profile, bare, tmp_path):
    start_controller(profile, bare)
    mark, ready = tmp_path / "mark", tmp_path / "ready"
    code = (f"import signal; signal.signal(signal.SIGUSR1, lambda *a: open({str(mark)!r}, 'w').close()); "
            f"open({str(ready)!r}, 'w').close()")
    engine = bare(ENG, "-c", code)
    wait_until(ready.exists, "the handler")
    os.kill(engine.pid, signal.SIGUSR1)
    wait_until(mark.exists, "a call of the handler", 10)
    assert engine.is_running()
