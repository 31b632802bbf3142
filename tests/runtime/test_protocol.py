# SPDX-License-Identifier: BSD-3-Clause
"""Frames, bounds, blocks, beginning and end of a runtime (docs/protocol/runtime.md 1 to 3, 6)."""
import os
import pickle
import shutil
import struct
import subprocess

import pytest

import fakeengine
from fakeengine import HEAD, PART, SHUTDOWN, FakeEngine, Gone, head
from packing import memory, pack_call


def test_ready_says_who_it_is(engine):
    assert engine.ready["v"] == 1 and engine.ready["language"] == "python"
    assert engine.ready["pid"] == engine.process.pid
    assert engine.ready["version"].count(".") == 2


def test_shutdown_runs_exit_handlers(engine):
    engine.execute("import atexit; atexit.register(print, 'bye')")
    assert engine.shutdown() == 0
    assert engine.output() == "bye\n"


def test_shutdown_before_it_has_begun():
    """An engine that was not let in ends like this; nothing is wrong with it."""
    fake = FakeEngine(start=False)
    try:
        fake.send(SHUTDOWN, [])
        assert fake.process.wait(30) == 0
        assert fake.output(2) == ""
    finally:
        fake.close()


def test_working_directory_that_is_gone(tmp_path):
    (tmp_path / "gone").mkdir()
    prefix = ["sh", "-c", 'rmdir ../gone; exec "$@"', "sh"]
    fake = FakeEngine(cwd=tmp_path / "gone", prefix=prefix)
    try:
        assert fake.value("lambda: 1") == 1
        assert fake.call("lambda: __import__('os').getcwd()").content["ename"] == "FileNotFoundError"
    finally:
        fake.close()


def test_end_of_the_channel_ends_the_runtime(engine):
    engine.sock.close()
    assert engine.wait() == 0


def test_type_that_nobody_knows_has_no_reply(engine):
    assert engine.request("no_such_request").status == "none"
    assert engine.value("lambda: 1") == 1


def test_message_in_small_pieces(engine):
    parts = [b"apply_request", b"id-1", b"{}", b"{}", b"{}", *pack_call("lambda x: x + 1", (41,))]
    for octet in head(fakeengine.RUN, parts):
        engine.raw(bytes([octet]))
    reply = engine.answer(b"id-1")
    assert pickle.loads(reply.buffers[0]) == 42


def test_several_requests_in_one_piece(engine):
    octets = b"".join(
        head(fakeengine.RUN, [b"apply_request", b"id-%d" % i, b"{}", b"{}", b"{}", *pack_call("lambda x: x", (i,))])
        for i in range(20))
    engine.raw(octets)
    assert [pickle.loads(engine.answer(b"id-%d" % i).buffers[0]) for i in range(20)] == list(range(20))


MALFORMED = {
    "type": HEAD.pack(99, 0, 0),
    "type of the other side": HEAD.pack(fakeengine.REPLY, 0, 0),
    "too many parts": HEAD.pack(fakeengine.RUN, 1_000_001, 0),
    "too many octets": HEAD.pack(fakeengine.RUN, 1, (64 << 20) + 1),
    "sum": head(fakeengine.RUN, [b"abc"], inline=2) + b"x" * 10,
    "reserved": HEAD.pack(fakeengine.RUN, 1, 0) + PART.pack(0, 0, 1),
    "large inline part": HEAD.pack(fakeengine.RUN, 1, 65536) + PART.pack(65536, 0, 0) + bytes(65536),
    "length that overflows": HEAD.pack(fakeengine.RUN, 2, 0) + PART.pack(2**64 - 1, 0, 0) + PART.pack(1, 0, 0),
    "unknown block": HEAD.pack(fakeengine.RUN, 1, 0) + PART.pack(70000, 7, 0),
    "block without descriptor": head(fakeengine.BLOCK, [struct.pack("=IQ", 1, 4096)]),
    "short block": head(fakeengine.BLOCK, [b"1234"]),
    "block without parts": HEAD.pack(fakeengine.BLOCK, 0, 0),
    "release of nothing": head(fakeengine.RELEASE, [struct.pack("=I", 1)]),
    "odd release": head(fakeengine.RELEASE, [b"123"]),
    "few parts": head(fakeengine.RUN, [b"apply_request"]),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_message_ends_the_runtime(engine, name):
    engine.raw(MALFORMED[name])
    with pytest.raises((Gone, BrokenPipeError)):
        engine.until(fakeengine.REPLY)
    assert engine.wait() == 3
    assert engine.text[2].startswith(b"ersa.runtime: ") and engine.text[2].count(b"\n") == 1


def test_block_smaller_than_it_says(engine):
    fd = os.memfd_create("small")
    os.ftruncate(fd, 4096)
    engine.raw(head(fakeengine.BLOCK, [struct.pack("=IQ", 1, 1 << 20)]), [fd])
    os.close(fd)
    with pytest.raises(Gone):
        engine.until(fakeengine.REPLY)
    assert engine.wait() == 3


def test_part_larger_than_its_block(engine):
    engine.announce(1, 65536)
    engine.raw(HEAD.pack(fakeengine.RUN, 1, 0) + PART.pack(65537, 1, 0))
    with pytest.raises(Gone):
        engine.until(fakeengine.REPLY)


def test_block_named_twice_in_one_message(engine):
    engine.announce(1, 65536)
    engine.raw(HEAD.pack(fakeengine.RUN, 2, 0) + PART.pack(65536, 1, 0) * 2)
    with pytest.raises(Gone):
        engine.until(fakeengine.REPLY)


def test_wrong_beginning():
    with FakeEngine(start=False) as e:
        e.send(fakeengine.RUN, [b"apply_request", b"1", b"{}", b"{}", b"{}"])
        with pytest.raises(Gone):
            e.until(fakeengine.READY)
        assert e.wait() == 3
    with FakeEngine(start=False) as e:
        e.send(fakeengine.HELLO, [b'{"v": 2}'])
        with pytest.raises(Gone):
            e.until(fakeengine.READY)
        assert e.wait() == 3 and b"version 2" in e.text[2]


# Blocks

def test_large_octets_each_way(engine):
    data = os.urandom(3_000_000)
    reply = engine.call("lambda b: (len(b), b)", data)
    assert len(reply.buffers) == 2 and reply.buffers[1] == data


def test_blocks_are_given_back_and_used_again(engine):
    data = bytes(200_000)
    for _ in range(20):
        assert engine.value("lambda b: len(b)", data) == len(data)
        assert len(engine.call("lambda: bytes(300000)").buffers[1]) == 300_000
    assert engine.value("lambda: 1") == 1
    assert len(engine.lent) <= 2 and len(engine.blocks) <= 2
    assert not any(is_lent for _, is_lent in engine.lent.values())


def test_block_that_user_code_keeps(engine):
    first, second = b"a" * 100_000, b"b" * 100_000
    engine.value("def keep(v):\n import sys\n sys.kept = v\n", memory(first))
    assert any(is_lent for _, is_lent in engine.lent.values())
    assert engine.value("lambda v: v.nbytes", memory(second)) == 100_000
    reply = engine.call("lambda: bytes(__import__('sys').kept)")
    assert reply.buffers[1] == first
    engine.execute("import sys; del sys.kept")
    engine.value("lambda: 1")
    assert not any(is_lent for _, is_lent in engine.lent.values())


@pytest.mark.parametrize("size", [2000, 100_000])
def test_received_memory_can_be_written(engine, size):
    code = "def change(v):\n v[0] = 7\n return v.readonly, v[0]"
    assert engine.value(code, memory(bytes(size))) == (False, 7)


def test_block_announced_again(engine):
    engine.announce(1, 65536)
    engine.announce(1, 131072)
    assert engine.value("lambda b: len(b)", bytes(131072)) == 131072
    assert list(engine.lent) == [1]


def test_many_buffers_of_all_sizes(engine):
    sizes = [0, 1, 1024, 1025, 65535, 65536, 65537, 1_000_000]
    reply = engine.call("lambda *args: [len(a) for a in args]", *map(bytes, sizes))
    assert pickle.loads(reply.buffers[0]) == sizes
    reply = engine.call("lambda sizes: [bytes(n) for n in sizes]", sizes)
    assert [len(b) for b in reply.buffers[1:]] == [n for n in sizes if n > 1024]


def test_more_inline_octets_than_one_message_takes(engine):
    code = ("def many(n):\n import ersa.runtime\n rt = ersa.runtime.current\n"
            " rt.publish('x', {}, buffers=[bytes(60000)] * n)")
    for _ in range(2):
        assert engine.call(code, 1200).status == "ok"
    buffers = engine.published[-1][4]
    assert len(buffers) == 1200 and set(map(len, buffers)) == {60000}


# Environment

def test_environment_is_what_the_user_set():
    code = ("import os, sys; print([os.environ.get(k) for k in ('PYTHONPATH', 'ERSA_RUNTIME_FD', 'ERSA_PYTHONPATH')], "
            "sys.path[0], sys.argv, any(p.endswith('build/python') for p in sys.path), __name__)")
    with FakeEngine() as e:
        e.execute(code)
        assert e.output() == "[None, None, None]  ['ipengine', '--x'] False __main__\n"
    path = fakeengine.PYTHON_DIR + os.pathsep + "/some/where"
    with FakeEngine(env={"ERSA_PYTHONPATH": "/some/where", "PYTHONPATH": path}) as e:
        e.execute(code + "; print('/some/where' in sys.path)")
        assert e.output() == "['/some/where', None, None]  ['ipengine', '--x'] False __main__\nTrue\n"


def test_descriptor_is_out_of_the_way(engine):
    fds = engine.value("def f():\n import os\n return sorted(map(int, os.listdir('/proc/self/fd')))")
    assert fds[:3] == [0, 1, 2] and all(fd > 500 for fd in fds[4:])  # one is the listing itself


def test_missing_extension_is_one_clear_line(tmp_path):
    shutil.copytree(fakeengine.PYTHON_DIR, tmp_path / "python", ignore=shutil.ignore_patterns("*.so", "*.so.p"))
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run([fakeengine.PYTHON, "-m", "ersa.runtime"], capture_output=True, text=True,
                          env={**env, "PYTHONPATH": str(tmp_path / "python"), "ERSA_RUNTIME_FD": "0"})
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1 and fakeengine.PYTHON in done.stderr and "--python" in done.stderr


def test_startup_code(tmp_path):
    folder = tmp_path / "startup"
    folder.mkdir()
    (folder / "10-a.py").write_text("order = ['a']\n")
    (folder / "20-b.py").write_text("order.append('b')\n1/0\n")
    (folder / "30-c.txt").write_text("order.append('no')\n")
    script = tmp_path / "script.py"
    script.write_text("order.append(__file__[-9:])\n")
    hello = {"startup": {"dir": str(folder), "lines": ["order.append('line')", "syntax error"],
                         "command": "order.append('command')", "script": str(script), "files": ["/no/such/file"]},
             "config": {"IPKernelApp": {"exec_lines": ["order.append('exec')"]}}}
    with FakeEngine(hello=hello) as e:
        e.execute("print(order)")
        assert e.output() == "['a', 'b', 'exec', 'line', 'command', 'script.py']\n"
        errors = e.output(2)
        assert "ZeroDivisionError" in errors and "SyntaxError" in errors and "/no/such/file" in errors
