# SPDX-License-Identifier: BSD-3-Clause
"""Our runtime and the reference's own code, octets carried in between: it packs, we run, it unpacks. Once in an
interpreter without the reference package, once in its own."""
import functools
import os
import pathlib
import pickle
import subprocess
import sys

import pytest

import fakeengine
from fakeengine import FakeEngine

PEER = pathlib.Path(__file__).with_name("stock_peer.py")


def start_peer(ref_python):
    env = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    peer = subprocess.Popen([ref_python, str(PEER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env=env, cwd="/")
    return peer, pickle.load(peer.stdout)


@pytest.fixture(params=["without the reference", "with the reference"])
def python(request, ref_python):
    return fakeengine.PYTHON if request.param.startswith("without") else ref_python


def test_calls_of_the_stock_package(ref_python, python):
    peer, (calls, _) = start_peer(ref_python)
    answers = {}
    with FakeEngine(python=python) as engine:
        for name, buffers in calls:
            reply = engine.request("apply_request", {}, buffers)
            answers[name] = reply.status, reply.content, [bytes(b) for b in reply.buffers]
            assert reply.flags == ("u" if name in ("require missing", "depend false") else "")
        loaded = engine.value(
            "lambda: [n for n in ('IPython', 'ipykernel', 'zmq', 'asyncio') if n in __import__('sys').modules]")
        assert loaded == []
        path = engine.value("lambda: __import__('ipyparallel').__file__")
        assert path.startswith(fakeengine.PYTHON_DIR)
    _, complaints = peer.communicate(pickle.dumps(answers), timeout=60)
    assert peer.returncode == 0, complaints.decode()


def test_octets_are_those_of_the_stock_package(ref_python):
    """Serialized by us, in this interpreter, and by the reference."""
    np = pytest.importorskip("numpy")
    peer, (_, vectors) = start_peer(ref_python)
    peer.communicate(pickle.dumps({}), timeout=60)
    serialize = load_serialize()
    values = {
        "int": 1, "none": None, "true": True, "float": 1.5, "str": "a", "list": [1, 2], "tuple": (1,), "dict": {"b": 1, "a": 2},
        "bytes": b"abc", "long bytes": b"x" * 1025, "view": memoryview(b"abc"), "array": np.arange(3), "long array": np.zeros(300),
        "mixed": [b"x" * 1025, 2], "reference": serialize.canning.Reference("a"), "builtin": len,
        "struct": np.array([(1, 2.5, b"x")], dtype=[("i", "<i4"), ("f", "<f8"), ("s", "S3")]),
        "partial": functools.partial(max, b"y" * 2000, key=len), "empty array": np.zeros((0, 5)),
    }
    assert set(values) == set(vectors)
    for name, value in values.items():
        assert [bytes(b) for b in serialize.serialize_object(value)] == vectors[name], name


def load_serialize():
    if fakeengine.PYTHON_DIR not in sys.path:
        sys.path.insert(0, fakeengine.PYTHON_DIR)
    from ersa.runtime import imports
    if imports.Finder not in sys.meta_path:
        imports.install()
    import ipyparallel.serialize.serialize as serialize
    return serialize


def test_installed_package_comes_when_it_is_asked_for(ref_python):
    with FakeEngine(python=ref_python) as engine:
        code = ("def f():\n import ipyparallel as ipp\n from ipyparallel.client.client import Client\n"
                " return ipp.Client is Client, ipp.Cluster.__module__, Client.__module__")
        assert engine.value(code) == (True, "ipyparallel.cluster.cluster", "ipyparallel.client.client")
        assert engine.value("lambda x: x + 1", 1) == 2  # through its code now
        reply = engine.call("lambda: [bytes(2000), 1]")
        assert len(reply.buffers) == 2
        code = "def f():\n from ipyparallel.datapub import publish_data\n publish_data({'a': 1})"
        assert engine.call(code).status == "ok"
        assert [m[:3] for m in engine.published] == [("data_message", "datapub", {"keys": ["a"]})]


def test_package_that_is_not_installed(engine):
    reply = engine.call("lambda: __import__('ipyparallel').Client")
    assert reply.content["ename"] == "AttributeError" and "not installed" in reply.content["evalue"]
    assert engine.call("lambda: __import__('ipyparallel.cluster')").content["ename"] == "ModuleNotFoundError"
    assert engine.value("lambda: __import__('ipyparallel').__version__").count(".") == 2
