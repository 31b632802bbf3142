# SPDX-License-Identifier: BSD-3-Clause
"""The rules of the house that a script can check: layers, file lengths, first lines, words that
have no place in the tree."""
import ast
import graphlib
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]

# A folder may include itself, what stands in a row below its own, and nothing beside it.
ROWS = [
    {"cli"},
    {"router", "records", "engine", "launch", "web"},
    {"store", "config", "stats"},
    {"wire"},
    {"loop"},
    {"util"},
]
RANK = {name: len(ROWS) - i for i, row in enumerate(ROWS) for name in row}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
LONGEST = 600


def tracked(*patterns):
    out = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
                         cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [ROOT / line for line in out.splitlines() if (ROOT / line).exists()]


C_FILES = tracked("*.c", "*.h")
TEXT_FILES = tracked("*.c", "*.h", "*.py", "*.pyi", "*.sh", "*.md", "*.build", "*.txt", "*.def", "Makefile", ".ci/run")


def test_includes_point_downwards():
    bad = []
    for path in C_FILES:
        part = path.relative_to(ROOT).parts
        if part[0] != "src":
            continue
        for target in INCLUDE.findall(path.read_text()):
            folder = target.split("/")[0]
            if folder == "ersa":
                continue
            if folder not in RANK:
                bad.append(f"{path.relative_to(ROOT)}: write the include from src/: {target}")
            elif folder != part[1] and RANK[folder] >= RANK[part[1]]:
                bad.append(f"{path.relative_to(ROOT)} ({part[1]}) includes {target}")
    assert not bad, "\n".join(bad)


def test_only_the_extension_includes_python():
    bad = [str(p.relative_to(ROOT)) for p in C_FILES
           if "Python.h" in p.read_text() and p.relative_to(ROOT).parts[:2] != ("python", "ext")]
    assert not bad, bad


def test_only_wire_knows_zmtp():
    bad = [str(p.relative_to(ROOT)) for p in C_FILES
           if p.relative_to(ROOT).parts[0] == "src" and p.relative_to(ROOT).parts[1] != "wire"
           and re.search(r'"wire/(zmtp|conn|mech)\w*\.h"', p.read_text())]
    assert not bad, bad


def test_no_program_links_libzmq():
    binaries = [p for p in (ROOT / "build" / "bin").glob("*") if p.is_file()] if (ROOT / "build").exists() else []
    if not binaries:
        pytest.fail("build/bin holds no programs: run make first")
    for binary in binaries:
        libs = subprocess.run(["ldd", str(binary)], check=True, capture_output=True, text=True).stdout
        assert "libzmq" not in libs, binary


@pytest.mark.parametrize("path", C_FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_file_is_short_and_says_what_it_is(path):
    lines = path.read_text().splitlines()
    assert len(lines) <= LONGEST, f"{len(lines)} lines"
    assert "SPDX-License-Identifier: BSD-3-Clause" in lines[0]


def test_words_that_promise_something_for_later():
    word = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    bad = [f"{p.relative_to(ROOT)}:{n}: {line.strip()}" for p in TEXT_FILES
           if p != pathlib.Path(__file__).resolve()
           for n, line in enumerate(p.read_text(errors="replace").splitlines(), 1) if word.search(line)]
    assert not bad, "\n".join(bad)


def test_map_is_true():
    run = subprocess.run([sys.executable, "tools/map.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_c_is_formatted():
    run = subprocess.run(["clang-format", "--dry-run", "--Werror", *map(str, C_FILES)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-4000:]


def imports_of(path, modules):
    """What a Python file of ours imports from ours, wherever the statement stands."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    found = {re.sub(r"^ipyparallel\b", "ersa.stock", name) for name in found}  # as which it answers
    return {max((name for name in modules if f"{f}.".startswith(f"{name}.")), key=len, default=None) for f in found} - {None}


def test_python_imports_go_round_in_no_circle():
    """Late imports count: they only hide a circle. A package's own file may be imported by all below it."""
    top = ROOT / "python"
    names = {".".join(p.relative_to(top).with_suffix("").parts).removesuffix(".__init__"): p for p in tracked("python/ersa/*.py")}
    graph = {name: imports_of(path, names) - {name, "ersa", "ersa.runtime"} for name, path in names.items()}
    try:
        list(graphlib.TopologicalSorter(graph).static_order())
    except graphlib.CycleError as circle:
        pytest.fail(" < ".join(circle.args[1]))
