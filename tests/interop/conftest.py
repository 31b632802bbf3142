# SPDX-License-Identifier: BSD-3-Clause
"""The interop matrix: a stock client with every mixture of our and the reference's controller and engines.

Runs in a virtual environment with the reference (.venv-ref: newest, .venv-ref-old: oldest). A *cell* is
"<controller>-<engines>". ERSA_INTEROP_CELLS (spaces between) runs others than CELLS, such as
`reference-reference`, to see what the reference does itself; ERSA_INTEROP_DISABLE names capabilities to be
switched off in our programs."""
import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from clusters import Cluster  # noqa: E402

CELLS = os.environ.get("ERSA_INTEROP_CELLS", "ours-ours ours-reference reference-ours").split()


def pytest_configure(config):
    config.addinivalue_line("markers", "ours(part): only cells in which `controller` or `engines` are ours: what the "
                            "reference does not do")


def pytest_generate_tests(metafunc):
    if "cell" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("ours")
    place = {"controller": 0, "engines": 1}
    cells = [c for c in CELLS if not marker or c.split("-")[place[marker.args[0]]] == "ours"]
    metafunc.parametrize("cell", cells, scope="module")


@pytest.fixture(scope="module")
def shared_cluster(cell, tmp_path_factory):
    """Three engines for all tests of a module; a test leaves them as it found them."""
    with Cluster(cell, tmp_path_factory.mktemp(cell), engines=3) as cluster:
        yield cluster


@pytest.fixture
def client(shared_cluster):
    with shared_cluster.client() as client:
        yield client


@pytest.fixture
def own_cluster(cell, tmp_path):
    """Two engines that this test may break."""
    with Cluster(cell, tmp_path, engines=2) as cluster:
        yield cluster
