#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes hand-made inputs for the fuzz targets into a folder: seeds.py FOLDER.

The committed corpora began with these; after a change of an input's form they are made again, fed to the fuzzer
and merged (README.md). What is made for each target stands in seeding/."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from seeding.broadcast import broadcast_seeds  # noqa: E402
from seeding.depend import depend_seeds  # noqa: E402
from seeding.engine import engine_seeds  # noqa: E402
from seeding.files import files_seeds  # noqa: E402
from seeding.options import options_seeds  # noqa: E402
from seeding.records import records_seeds  # noqa: E402
from seeding.router import attach_seeds, registration_seeds  # noqa: E402
from seeding.rows import rows_seeds  # noqa: E402
from seeding.rtchannel import rtchannel_seeds  # noqa: E402
from seeding.texts import header_seeds, jscan_seeds, query_seeds  # noqa: E402
from seeding.wire import curve_seeds, zmtp_seeds  # noqa: E402

SEEDS = {"attach": attach_seeds, "broadcast": broadcast_seeds, "curve": curve_seeds, "depend": depend_seeds, "engine": engine_seeds,
         "files": files_seeds, "header": header_seeds, "jscan": jscan_seeds, "options": options_seeds, "query": query_seeds,
         "records": records_seeds, "registration": registration_seeds, "rows": rows_seeds, "rtchannel": rtchannel_seeds, "zmtp": zmtp_seeds}


def main(folder):
    for name, seeds in SEEDS.items():
        into = pathlib.Path(folder) / name
        into.mkdir(parents=True, exist_ok=True)
        for seed, octets_of in seeds():
            (into / seed).write_bytes(octets_of)


if __name__ == "__main__":
    main(sys.argv[1])
