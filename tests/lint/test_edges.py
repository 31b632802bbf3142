# SPDX-License-Identifier: BSD-3-Clause
"""docs/edges.md names tests that are there."""
import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
NAMED = sorted(set(re.findall(r"`([\w/.]+)::(\w+)`", (ROOT / "docs" / "edges.md").read_text())))


def files_of(name):
    return [p for folder in ("src", "tests") for p in (ROOT / folder).rglob(name.rsplit("/", 1)[-1]) if str(p).endswith("/" + name)]


def test_there_are_some():
    assert len(NAMED) > 50


@pytest.mark.parametrize("file, test", NAMED)
def test_exists(file, test):
    files = files_of(file)
    assert len(files) == 1, files
    assert re.search(rf"(def|static void) {test}\(", files[0].read_text())


def test_every_row_names_one():
    rows = [line for line in (ROOT / "docs" / "edges.md").read_text().splitlines() if line.startswith("| ") and not line.startswith(("| edge", "| ---"))]
    assert [r for r in rows if "::" not in r.rsplit(" | ", 1)[-1]] == []
