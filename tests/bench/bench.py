# SPDX-License-Identifier: BSD-3-Clause
"""`make bench`: figures measured side by side with the reference, in one run, interleaved.

    .venv-ref/bin/python tests/bench/bench.py [--only key,key]

Runs in the reference's virtual environment (the stock client is one of the things measured). Each key is
a function below with the decorator `key`; it returns runs of pairs (ours, rival). Value and the two
sides are medians. Prints a table and writes build/bench.json: one object a key, `{"ours", "rival", "value",
"reach", "unit", "runs"}`, plus what was measured beside it.
"""
import argparse
import json
import os
import statistics
import sys

from measure import KEYS, Void, run_key
import keys_controller  # noqa: F401  (registers its keys)
import keys_cluster  # noqa: F401
import keys_memory  # noqa: F401
import keys_scale  # noqa: F401

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def text(value):
    return "-" if value is None else f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def main():
    parser = argparse.ArgumentParser(description="figures side by side with the reference")
    parser.add_argument("--only", default="", help="keys, separated by commas")
    wanted = [k for k in parser.parse_args().only.split(",") if k] or list(KEYS)
    unknown = set(wanted) - set(KEYS)
    if unknown:
        sys.exit(f"bench: no key called {', '.join(sorted(unknown))}; there are {', '.join(KEYS)}")
    path = os.path.join(ROOT, "build", "bench.json")
    results = json.load(open(path)) if os.path.exists(path) else {}
    missed, void = [], []
    for name in wanted:
        try:
            result = results[name] = run_key(name)
        except Void as why:
            void.append(name)
            results.pop(name, None)
            print(f"{name:26s}      void: {why}", flush=True)
            continue
        mark = "reached" if result["reached"] else "NOT REACHED"
        if not result["reached"]:
            missed.append(name)
        print(f"{name:26s} {text(result['value']):>9s}  (reach {KEYS[name].relation} {text(result['reach'])} {result['unit']})  "
              f"{mark}; ours {text(result['ours'])}, rival {text(result['rival'])}; {result['seconds']:.0f} s", flush=True)
        for label, figure in result["beside"].items():
            figure = statistics.median(figure) if isinstance(figure, list) else figure
            print(f"    {label:50s} {text(figure):>9s}")
        with open(path, "w") as f:
            json.dump(results, f, indent=2)
    if missed:
        print("not reached: " + ", ".join(missed))
    if void:
        sys.exit("void, to be run again when the machine has nothing else to do: " + ", ".join(void))


if __name__ == "__main__":
    main()
