# SPDX-License-Identifier: BSD-3-Clause
"""Task stores from outside: stock clients, our controller and engines, the reference's own store classes.

Runs in .venv-ref. `cluster` is one of ours for each store in turn."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
from clusters import Cluster  # noqa: E402

STORES = {
    "memory": ["--dictdb"],
    "sqlite": ["--sqlitedb"],
}


@pytest.fixture(scope="module", params=STORES)
def cluster(request, tmp_path_factory):
    """Two engines, and records of everything that a module's tests do."""
    with Cluster("ours-ours", tmp_path_factory.mktemp(request.param), engines=2,
                 controller_args=STORES[request.param]) as cluster:
        yield cluster


@pytest.fixture
def client(cluster):
    with cluster.client() as client:
        yield client
