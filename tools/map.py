# SPDX-License-Identifier: BSD-3-Clause
"""Writes docs/map.md: the house, a line a file, from the top comment of each file.

    python tools/map.py            writes it
    python tools/map.py --check    fails when it is stale (tests/lint does that)

The order of folders, what stands above each, and which files are read first are here; every other
word comes from the files themselves."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
MAP = ROOT / "docs" / "map.md"
HEAD = """# The map

The house, a line a file, in reading order. Made by `tools/map.py` from the top comment of each file (`make map`); a test fails when it
is stale. Unit tests stand beside the sources (`x_test.c` beside `x.c`) and are not listed. Includes point downwards: a folder stands
only on those below it on this page's list of layers.

    programs   src/cli, bin                      python/ersa (package), python/ext (ersa._core)
    parts      src/router   src/records   src/engine   src/launch   src/web
    shared     src/store   src/config   src/stats
    wire       src/wire   on   src/loop
    ground     src/util, include/ersa

A task's way: `src/wire/reading.c` (octets to a message) > `src/router/ports.c` (whose port) > `src/router/tasks.c` > `src/router/sched_task.c` (verify, read in
place) > `src/router/assign.c` (which engine) > `src/router/link.c` > `src/wire/txq.c` > engine: `src/engine/channels_attach.c` > `src/engine/dispatch.c` >
`src/engine/runtime.c` > runtime: `python/ersa/runtime/serve.py` > `python/ersa/runtime/apply.py`, and back the same way.
"""
# Folder, what it is, which stems come first.
FOLDERS = [
    ("include/ersa", "The public API: what programs in C may include.", ["error"]),
    ("src/util", "The ground: knows nothing of messages.", ["err", "str", "buf", "block", "map", "list", "heap"]),
    ("src/loop", "One thread, one loop: descriptors, timers, rings between threads, children.", ["loop", "ring"]),
    ("src/wire", "ZMTP on the loop, and the Jupyter layer of a message. Nobody else knows ZMTP.",
     ["msg", "port", "wire_impl", "wire", "conn", "handshake", "reading", "peer", "flow", "txq", "zmtp", "mechanism", "session"]),
    ("src/config", "The one table of options, and the files around it.", ["options", "options_table", "options_common"]),
    ("src/store", "The seam for task records, its stores, and the query language.", ["store", "mail", "query"]),
    ("src/stats", "Figures: the list of metrics, histograms, and how a thread hands its figures to the one that serves them.",
     ["sheet", "metrics", "hist", "desk"]),
    ("src/router", "The controller's router: every socket, the registry, the heart, all routes and schedulers.",
     ["router", "core", "ports", "link", "engine", "registry", "registration", "heart", "hub", "direct", "tasks",
      "sched_task", "sched_core", "task", "assign", "line", "policy"]),
    ("src/records", "The thread that owns the store.", ["records", "core", "tasks", "query"]),
    ("src/web", "The thread that serves metrics.", ["web", "httpd", "visitors", "scrape", "text"]),
    ("src/engine", "The engine: connections, queue and life, apart from user code.",
     ["engine", "core", "life", "channels", "channels_attach", "channels_stock", "dispatch", "queue", "runtime", "rtproto",
      "rtchannel", "rtsend"]),
    ("src/launch", "Starting and stopping programs, here and later elsewhere.", ["launcher", "cluster", "local_impl", "local", "local_state"]),
    ("src/cli", "The programs' mains and commands.", ["ipcontroller", "ipengine", "ipcluster", "cli"]),
    ("python/ersa", "The Python package.", []),
    ("python/ersa/runtime", "The runtime: `python -m ersa.runtime`, the process in which user code runs.",
     ["__main__", "serve", "apply", "execute"]),
    ("python/ersa/stock", "What answers to `ipyparallel.*` on an engine.", []),
    ("python/ext", "`ersa._core`; only these files include Python.h.", ["module", "channel", "chan", "rx", "tx"]),
    ("tests/support", "What several suites share.", []),
    ("tests/proto", "Raw frames against the real controller.",
     ["messages", "waiting", "controllers", "sockets", "engines", "raw_engine", "clients", "conftest"]),
    ("tests/wire", "Ports with libzmq at the other end.", []),
    ("tests/runtime", "The Python runtime with a test as its engine.", []),
    ("tests/store", "Stores and the databases they share with the reference.", []),
    ("tests/interop", "The matrix: the reference in every seat.", ["conftest", "functions"]),
    ("tests/chaos", "Engines are killed, stopped and cut off under load; `make soak`.", ["test_chaos", "trouble", "load", "verdict"]),
    ("tests/cluster", "ipcluster as a user starts and stops it.", []),
    ("tests/fuzz", "Fuzz targets; their corpora are replayed in `make check`.", []),
    ("tests/lint", "Rules of the house.", []),
    ("tests/bench", "`make bench`.", ["bench", "measure", "loadgen"]),
    ("tools", "Scripts behind the make targets.", []),
]
SUFFIXES = (".c", ".h", ".def", ".py", ".pyi", ".sh")


def tracked():
    out = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True,
                         capture_output=True, text=True).stdout
    return [pathlib.Path(line) for line in out.splitlines() if (ROOT / line).exists()]


def top_comment(path):
    text = (ROOT / path).read_text(errors="replace")
    if path.suffix in (".c", ".h", ".def"):
        comments = [re.sub(r"\n\s*\* ?", "\n", c) for c in re.findall(r"/\*(.*?)\*/", text, re.S)]
        return next((c.strip() for c in comments if "SPDX" not in c), "")
    if path.suffix == ".sh":
        lines = [line[2:] for line in text.splitlines()[1:12] if line.startswith("# ") and "SPDX" not in line]
        return " ".join(lines)
    match = re.search(r'"""(.*?)"""', text, re.S)
    return match.group(1).strip() if match else ""


def first_sentence(path):
    text = re.split(r"\n\s*\n", top_comment(path))[0]
    text = re.sub(r"\s+", " ", text)
    return re.split(r"(?<=[^.]\.) |(?<=[a-z)]); ", text + " ")[0].strip().rstrip(".:")


def stems(folder, files):
    """Stem -> its files, for the files that stand right in the folder."""
    here = {}
    for path in files:
        if path.parent == pathlib.Path(folder) and path.suffix in SUFFIXES and not path.stem.endswith("_test"):
            here.setdefault(path.stem, []).append(path)
    return here


def line(stem, paths):
    header = next((p for p in paths if p.suffix == ".h"), paths[0])
    suffixes = ",".join(sorted(p.suffix[1:] for p in paths))
    name = f"{stem}.{suffixes}" if len(paths) == 1 else f"{stem}.{{{suffixes}}}"
    return f"- `{name}`: {first_sentence(header)}"


def deeper(folder, files):
    """Folders below that are in no row of their own."""
    rows = {row[0] for row in FOLDERS}
    found = {str(p.parent) for p in files if str(p).startswith(folder + "/") and p.suffix in SUFFIXES}
    return sorted(f for f in found if f != folder and f not in rows
                  and max((r for r in rows if f.startswith(r + "/")), key=len) == folder)


def render():
    files = tracked()
    parts = [HEAD]
    for folder, what, first in FOLDERS:
        blocks = []
        for place in [folder, *deeper(folder, files)]:
            here = stems(place, files)
            order = [s for s in first if s in here] + sorted(s for s in here if s not in first)
            blocks += [line(s, here[s]) if place == folder else
                       line(s, here[s]).replace("- `", f"- `{place[len(folder) + 1:]}/", 1) for s in order]
        if blocks:
            parts.append(f"## {folder}\n\n{what}\n\n" + "\n".join(blocks) + "\n")
    return "\n".join(parts)


def main():
    text = render()
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if MAP.exists() and MAP.read_text() == text else "docs/map.md is stale: make map")
    MAP.write_text(text)


if __name__ == "__main__":
    main()
