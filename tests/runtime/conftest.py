# SPDX-License-Identifier: BSD-3-Clause
"""Tests of the Python runtime without an engine: fakeengine.py stands for it."""
import os
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
os.environ.setdefault("ERSA_PYTHON_DIR", str(HERE.parents[1] / "build" / "python"))
sys.path.insert(0, str(HERE))

from fakeengine import FakeEngine  # noqa: E402


@pytest.fixture
def engine():
    with FakeEngine() as e:
        yield e


@pytest.fixture(scope="session")
def ref_python():
    path = os.environ.get("ERSA_REF_PYTHON", str(HERE.parents[1] / ".venv-ref/bin/python"))
    if not os.path.exists(path):
        pytest.fail("the reference is not installed: make deps")
    return path
