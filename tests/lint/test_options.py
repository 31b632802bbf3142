# SPDX-License-Identifier: BSD-3-Clause
"""Every option has an effect, or its row says that it has none (`inert`: help and a warning tell its user)."""
import pathlib
import re

SRC = pathlib.Path(__file__).resolve().parents[2] / "src"
TABLES = [SRC / "config" / f"options_{name}.c" for name in ("common", "controller", "engine", "cluster")]
ROW = re.compile(r'^    \{[^"{}]+, (?:"(\w+)"|(\w+)), "(\w+)", OPT_.*?(?=^    \{|^\};)', re.M | re.S)


def test_option_without_reader_is_inert():
    others = "\n".join(p.read_text() for p in SRC.rglob("*.c") if p not in TABLES and not p.name.endswith("_test.c"))
    read = set(re.findall(r'"(?:[\w%]+\.)?(\w+)"', others))
    rows = [(m[1] or m[2], m[3], m[0]) for table in TABLES for m in ROW.finditer(table.read_text())]
    assert len(rows) == sum(len(re.findall(r'", OPT_', table.read_text())) for table in TABLES)
    silent = [f"{cls}.{trait}" for cls, trait, row in rows
              if trait not in read and "inert = true" not in row and not re.search(r'choices = "\w+"', row)]
    assert not silent, silent
