# SPDX-License-Identifier: BSD-3-Clause
"""The demo: a cluster of four engines reads the whole Python standard library.

Starts a controller and four engines with `ipcluster`, connects a stock `ipyparallel.Client`, and maps
a function over every module of the standard library on this machine: parse it with `ast`, count the
constructs, measure the functions. Shows who did what, the time against one engine, checks the result
against a serial run in this process, and stops everything it started.
"""
import collections
import os
import pathlib
import subprocess
import sys
import sysconfig
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
ENGINES = 4
BATCHES = 96
WANTED_SPEED_UP = 1.5


def analyse(paths):
    """Counts the syntax nodes of some modules and lists their functions by length.

    Returns (number of files parsed, files that are not valid Python, Counter of node names,
    the ten longest functions as (lines, "file:name"))."""
    import ast
    import collections

    parsed, broken = 0, []
    nodes = collections.Counter()
    functions = []
    for path in paths:
        with open(path, "rb") as f:
            source = f.read()
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError):
            broken.append(path)  # the test suite ships files that are broken on purpose
            continue
        parsed += 1
        for node in ast.walk(tree):
            nodes[type(node).__name__] += 1
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                functions.append((node.end_lineno - node.lineno + 1, f"{path}:{node.name}"))
    return parsed, broken, nodes, sorted(functions, reverse=True)[:10]


def reduce_results(results):
    parsed, broken, nodes, functions = 0, [], collections.Counter(), []
    for part in results:
        parsed += part[0]
        broken += part[1]
        nodes += part[2]
        functions += part[3]
    return parsed, sorted(broken), nodes, sorted(functions, reverse=True)[:10]


def library_in_batches():
    """Every module of the standard library, dealt into batches of about equal size."""
    top = pathlib.Path(sysconfig.get_paths()["stdlib"])
    files = [p for p in top.rglob("*.py") if not {"site-packages", "dist-packages"} & set(p.parts)]
    files.sort(key=lambda p: (-p.stat().st_size, str(p)))
    batches = [[] for _ in range(min(BATCHES, len(files)))]
    for i, path in enumerate(files):
        turn, place = divmod(i, len(batches))
        batches[place if turn % 2 == 0 else -1 - place].append(str(path))
    return batches


def run_on(view, batches, label):
    """Maps the batches over a load-balanced view with a progress line. Returns (results, seconds)."""
    start = time.perf_counter()
    results = []
    start_of_line = "\r" if sys.stdout.isatty() else ""
    for part in (pending := view.map_async(analyse, batches, ordered=False, chunksize=1)):
        results.append(part)
        if not sys.stdout.isatty() and len(results) < len(batches):
            continue  # a log gets the last state only
        bar = "#" * (30 * len(results) // len(batches))
        print(f"{start_of_line}  {label:12s} [{bar:30s}] {len(results)}/{len(batches)} batches", end="", flush=True)
    seconds = time.perf_counter() - start
    print(f"  {seconds:.2f} s")
    done = collections.Counter(pending.engine_id)
    print("  " + ", ".join(f"engine {e}: {n} batches" for e, n in sorted(done.items())))
    return results, seconds


def show(result):
    parsed, broken, nodes, functions = result
    print(f"\n{parsed} modules parsed, {len(broken)} not valid Python (broken on purpose, in the library's own tests)")
    print("\n  most used constructs        longest functions")
    for (name, n), (lines, where) in zip(nodes.most_common(10), functions):
        path, function = where.rsplit(":", 1)
        print(f"  {name:16s} {n:9,d}  {lines:6d} lines  {function} ({'/'.join(pathlib.Path(path).parts[-2:])})")


def ipcluster(*args):
    program = ROOT / "build" / "bin" / "ipcluster"
    subprocess.run([str(program), *args], check=True)


def work(profile):
    import ipyparallel as ipp

    start = time.perf_counter()
    ipcluster("start", "-n", str(ENGINES), "--daemonize", f"--profile-dir={profile}", "--quiet")
    with ipp.Client(profile_dir=profile) as client:
        client.wait_for_engines(ENGINES, timeout=30, interactive=False)
        print(f"controller and {ENGINES} engines up in {time.perf_counter() - start:.2f} s, ids {client.ids}")
        batches = library_in_batches()
        print(f"{sum(map(len, batches))} files of the standard library in {len(batches)} batches\n")
        client[:].apply_sync(os.getpid)
        _, one = run_on(client.load_balanced_view(client.ids[:1]), batches, "one engine")
        results, four = run_on(client.load_balanced_view(), batches, "four engines")
    result = reduce_results(results)
    show(result)
    serial = reduce_results(map(analyse, batches))
    if result != serial:
        sys.exit("demo: the engines' result differs from the serial run")
    print("\nchecked: the same as a serial run in this process")
    speed_up = one / four
    print(f"speed-up against one engine: {speed_up:.2f} on {os.cpu_count()} cores")
    if speed_up < WANTED_SPEED_UP:
        load = os.getloadavg()[0]
        print(f"  below {WANTED_SPEED_UP}: the engines compute, so they can be no faster than the free cores;"
              f" load average of this machine is {load:.1f} with {os.cpu_count()} cores")


def main():
    with tempfile.TemporaryDirectory(prefix="ersa-demo-") as profile:
        os.environ["VIRTUAL_ENV"] = str(ROOT / ".venv")  # the engines' interpreter
        try:
            work(profile)
        finally:
            if list(pathlib.Path(profile, "security").glob("cluster-*.json")):
                ipcluster("stop", f"--profile-dir={profile}", "--quiet")
                print("cluster stopped")


if __name__ == "__main__":
    main()
