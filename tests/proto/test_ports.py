# SPDX-License-Identifier: BSD-3-Clause
"""Which numbers and addresses the ports get (controller.md 3 and 4): pools, interfaces, names, ipc directories."""
import contextlib
import functools
import pathlib
import random
import re
import resource
import shutil
import socket
import stat

import pytest

from controllers import Controller
from messages import header_of
from waiting import wait_until

ENGINE_KEYS = ["registration", "control", "mux", "task", "iopub", "hb_ping", "hb_pong"]
CLIENT_KEYS = ["control", "mux", "task", "iopub", "notification", "broadcast"]
PLAIN = "--IPController.enable_curve=False"


def free_range(n):
    """The first of n numbers in a row that nobody listens on."""
    for _ in range(1000):
        first = random.randrange(12000, 32000)  # what is beside us takes others
        try:
            for number in range(first, first + n):
                with socket.socket() as s:
                    s.bind(("127.0.0.1", number))
        except OSError:
            continue
        return first
    raise AssertionError("no free ports")


def three_goes(test):
    """A program beside us may take one of the numbers before the controller does."""
    @functools.wraps(test)
    def go(*args, **kw):
        for _ in range(2):
            with contextlib.suppress(AssertionError):
                return test(*args, **kw)
        return test(*args, **kw)
    return go


def numbers_of(controller):
    """Engines' side, clients' side, in the order in which numbers are given out."""
    e, c = controller.engine_info, controller.client_info
    assert e["registration"] == c["registration"]
    return [e[k] for k in ENGINE_KEYS] + e["broadcast"], [c[k] for k in CLIENT_KEYS]


def is_served(peers):
    """Both kinds of engine and a client, wherever they have to connect."""
    client, stock, attached = peers.client(), peers.stock(), peers.attached()
    client.wait_engines(2)
    for engine in (stock, attached):
        header = client.submit(metadata={"targets": [engine.uuid]})
        request = engine.recv()
        engine.answer(request)
        assert client.recv(client.task).parent == header == header_of(request)
    return True


def fails(folder, *args):
    """The log of a controller that must not start."""
    controller = Controller(folder, *args, files_in=0)
    assert controller.process.wait(15) == 1, controller.log()
    assert not controller.path("client").exists() and not controller.path("engine").exists()
    controller.log_file.close()
    return controller.log()


@three_goes
def test_common_pool_in_the_order_of_the_reference(start_controller, make_peers):
    first = free_range(20)
    controller = start_controller("--ping=200", f"--ports={first}-{first + 19}")
    assert numbers_of(controller) == (list(range(first, first + 9)), list(range(first + 9, first + 15)))
    assert controller.engine_info["ersa"]["attach"] == first + 15
    assert is_served(make_peers(controller))


@three_goes
def test_former_options_go_to_the_ends_of_the_pools(start_controller):
    first = free_range(6)
    controller = start_controller(f"--engine-ports={first}", f"--port={first + 1}", f"--IPController.hb={first + 2},{first + 3}",
                                  f"--client-ports={first + 4}", f"--IPController.notifier_port={first + 5}")
    engine, client = numbers_of(controller)
    assert engine[:4] == list(range(first, first + 4))
    assert client[:2] == [first + 4, first + 5]


@three_goes
def test_pools_of_the_sides_come_first(start_controller):
    first = free_range(12)
    controller = start_controller(f"--ports={first},{first + 1}", f"--engine-ports={first + 2}-{first + 9}",
                                  f"--client-ports={first + 10}")
    engine, client = numbers_of(controller)
    assert engine[:9] == [*range(first + 2, first + 10), first]
    assert client[:2] == [first + 10, first + 1]
    assert not set(client[2:]) & set(range(first, first + 12))
    controller.wait_log("Exhausted 8 engine ports")
    controller.wait_log("Exhausted 1 client ports")
    controller.wait_log("Exhausted 2 common ports")
    assert controller.log().count("Exhausted") == 3


@three_goes
def test_depth_of_the_broadcast_tree_takes_more(start_controller):
    first = free_range(20)
    controller = start_controller(f"--ports={first}-{first + 19}", "--IPController.broadcast_scheduler_depth=2")
    assert controller.engine_info["broadcast"] == list(range(first + 7, first + 11))
    assert controller.client_info["control"] == first + 11


def test_number_that_is_taken(tmp_path):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        number = s.getsockname()[1]
        log = fails(tmp_path, f"--engine-ports={number}")
    assert f"127.0.0.1:{number}" in log and "registration" in log


@pytest.mark.parametrize("engine, client", [("127.0.0.1", "127.0.0.2"), ("127.0.0.3", "127.0.0.1")])
def test_each_side_has_its_address(start_controller, make_peers, engine, client):
    controller = start_controller("--ping=200", f"--IPController.engine_ip={engine}", f"--IPController.client_ip={client}")
    assert controller.engine_info["interface"] == f"tcp://{engine}"
    assert controller.client_info["interface"] == f"tcp://{client}"
    assert is_served(make_peers(controller))


def test_number_that_is_taken_at_the_other_address(start_controller):
    """Queries have one number at both addresses: half of those that the system gives at one are taken at the other."""
    low, high = map(int, pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
    taken = []
    with contextlib.ExitStack() as holders:
        holders.callback(resource.setrlimit, resource.RLIMIT_NOFILE, limit)
        for number in range(low, high):
            if (number - low) % 4 > 1 or len(taken) > limit[1] - 1000:
                continue
            holder = holders.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                holder.bind(("127.0.0.4", number))
                taken.append(number)
        for _ in range(6):
            controller = start_controller("--ping=200", "--IPController.engine_ip=127.0.0.1", "--IPController.client_ip=127.0.0.4")
            assert controller.engine_info["registration"] == controller.client_info["registration"]
            controller.stop()


@pytest.mark.parametrize("engine, client", [("*", "127.0.0.1"), ("127.0.0.1", "*"), ("0.0.0.0", "127.0.0.1"), ("*", "*")])
def test_every_interface_for_one_side(start_controller, make_peers, engine, client):
    controller = start_controller("--ping=200", PLAIN, f"--IPController.engine_ip={engine}", f"--IPController.client_ip={client}")
    for info, ip in ((controller.engine_info, engine), (controller.client_info, client)):
        assert info["interface"] == f"tcp://{ip}"
        info["interface"] = "tcp://127.0.0.1"
    assert is_served(make_peers(controller))


@pytest.mark.parametrize("name", ["lo", "localhost"])
def test_interface_or_host_by_name(start_controller, make_peers, name):
    """Peers get the address: the name of an interface means nothing to them."""
    controller = start_controller("--ping=200", f"--ip={name}")
    assert controller.engine_info["interface"] == controller.client_info["interface"] == "tcp://127.0.0.1"
    assert is_served(make_peers(controller))


def test_name_that_is_not_known(tmp_path):
    log = fails(tmp_path, "--ip=no-such-name.invalid")
    assert "no-such-name.invalid" in log and "--ip" in log


def test_address_of_another_machine(tmp_path):
    assert "203.0.113.7" in fails(tmp_path, "--ip=203.0.113.7", PLAIN)


def test_location(start_controller):
    assert start_controller().client_info["location"] == socket.gethostname()
    controller = start_controller("--location=there.example")
    assert controller.client_info["location"] == controller.engine_info["location"] == "there.example"


# ipc

def folder_of(controller):
    return pathlib.Path(controller.client_info["interface"].removeprefix("ipc://")).parent


@pytest.mark.parametrize("args", [["--transport=ipc"], ["--IPController.engine_transport=ipc"],
                                  ["--IPController.client_transport=ipc"]], ids=["both", "engines", "clients"])
def test_ipc(start_controller, make_peers, args):
    controller = start_controller("--ping=200", *args)
    assert is_served(make_peers(controller))
    engine, client = (i["interface"].split(":")[0] for i in (controller.engine_info, controller.client_info))
    assert (engine == "tcp") + (client == "tcp") == (len(args[0]) > 20)


def test_number_that_somebody_has_for_a_moment(start_controller):
    first = start_controller("--reuse")
    first.kill()
    with socket.create_server(("127.0.0.1", first.client_info["task"])):
        again = Controller(first.profile.parent, "--reuse", files_in=0)
        again.wait_log(f"Port {first.client_info['task']} is in use; trying again")
    again.wait_log("(?s) is in use.*Task scheduler started")
    again.read_files()
    again.stop()
    assert numbers_of(again) == numbers_of(first)


def test_number_that_somebody_keeps(start_controller):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        controller = start_controller(f"--ports={number}", files_in=0)
        assert controller.process.wait(60) == 1
    controller.log_file.close()
    assert re.search(f"{number}.*Address already in use", controller.log())


def listening(number):
    return socket.create_server(("127.0.0.1", number))


def test_address_of_the_files_stays_with_reuse(start_controller):
    """Peers know it; an option that names another one is not passed over in silence."""
    first = start_controller("--reuse")
    first.stop()
    for i, ip in enumerate(["127.0.0.3", "localhost"], 2):
        again = Controller(first.profile.parent, f"--ip={ip}", "--reuse")
        wait_until(lambda: again.log().count("Task scheduler started") == i, what="start")
        again.read_files()
        again.stop()
        assert again.client_info["interface"] == "tcp://127.0.0.1"
    assert again.log().count("has no effect: ") == again.log().count("--ip=127.0.0.3 has no effect: ") == 2


@three_goes
def test_numbers_that_somebody_keeps_are_passed_over(start_controller, make_peers):
    """At any place of a pool, and without a wait."""
    first = free_range(20)
    taken = [first, first + 8, first + 9]
    with contextlib.ExitStack() as holders:
        for number in taken:
            holders.enter_context(listening(number))
        controller = start_controller("--ping=200", f"--ports={first}-{first + 19}")
        engine, client = numbers_of(controller)
        assert engine + client == [n for n in range(first, first + 18) if n not in taken]
        assert is_served(make_peers(controller))
    assert "trying again" not in controller.log()
    assert f"Port {first + 8} is in use, and passed over" in controller.log()


@three_goes
def test_pool_of_a_side_goes_on_in_the_common_one(start_controller):
    first = free_range(20)
    with listening(first):
        controller = start_controller(f"--engine-ports={first}-{first + 1}", f"--ports={first + 2}-{first + 18}")
    engine, client = numbers_of(controller)
    assert engine == list(range(first + 1, first + 10)) and client == list(range(first + 10, first + 16))


@three_goes
def test_number_that_was_passed_over_is_taken_when_there_is_no_other(start_controller):
    """A pool that is just large enough; its first number is free again after a moment."""
    first = free_range(16)
    with listening(first):
        controller = start_controller(f"--ports={first}-{first + 15}", files_in=0)
        controller.wait_log(f"Port {first} is in use; trying again")
    wait_until(controller.has_files, what="connection files")
    controller.read_files()
    engine, client = numbers_of(controller)
    assert engine + client + [controller.engine_info["ersa"]["attach"]] == [*range(first + 1, first + 16), first]


@three_goes
def test_pools_may_overlap(start_controller):
    first = free_range(16)
    controller = start_controller(f"--engine-ports={first}-{first + 3}", f"--ports={first}-{first + 15}")
    engine, client = numbers_of(controller)
    assert engine + client == list(range(first, first + 15))
    assert "in use" not in controller.log()


@three_goes
def test_pool_that_is_too_small_and_has_a_number_that_somebody_keeps(tmp_path):
    """Who gives numbers wants no others."""
    first = free_range(3)
    with listening(first + 1):
        log = fails(tmp_path, f"--ports={first}-{first + 2}")
    assert f"127.0.0.1:{first + 1}: Address already in use" in log


def test_ipc_takes_numbers_from_pools_too(start_controller):
    controller = start_controller("--transport=ipc", "--ports=700-720")
    assert numbers_of(controller) == (list(range(700, 709)), list(range(709, 715)))


@pytest.mark.parametrize("is_gone", [False, True])
def test_ipc_after_a_kill(start_controller, make_peers, is_gone):
    """Its socket files are left, or all of the directory is gone: the next run listens there again."""
    first = start_controller("--ping=200", "--transport=ipc", "--reuse")
    folder = folder_of(first)
    client = make_peers(first).client()
    client.engines()
    first.kill()
    if is_gone:
        shutil.rmtree(folder)
    again = Controller(first.profile.parent, "--ping=200", "--transport=ipc", "--reuse")
    try:
        wait_until(lambda: client.engines() == {}, what="answer")
        assert again.client_info == first.client_info
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert is_served(make_peers(again))
    finally:
        again.stop()
        shutil.rmtree(folder)


def test_ipc_directory_that_others_may_enter_is_refused(start_controller):
    first = start_controller("--transport=ipc", "--reuse")
    folder = folder_of(first)
    first.kill()
    folder.chmod(0o755)
    again = Controller(first.profile.parent, "--reuse", files_in=0)
    assert again.process.wait(15) == 1
    again.log_file.close()
    shutil.rmtree(folder)
    assert "only its owner" in again.log()
