# SPDX-License-Identifier: BSD-3-Clause
"""Copies the Python files of the package into the build folder, for python/ersa/meson.build, and removes there
what is gone here.

    copy_tree.py SOURCE TARGET STAMP
"""
import pathlib
import shutil
import sys

SUFFIXES = {".py", ".pyi"}


def files(top):
    return {p.relative_to(top) for p in top.rglob("*") if p.suffix in SUFFIXES and "__pycache__" not in p.parts}


source, target, stamp = map(pathlib.Path, sys.argv[1:])
wanted = files(source)
for name in wanted:
    (target / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source / name, target / name)
for name in files(target) - wanted:
    (target / name).unlink()
stamp.write_text(f"{len(wanted)} files\n", encoding="utf-8")
