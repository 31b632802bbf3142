# SPDX-License-Identifier: BSD-3-Clause
"""Chaos: engines of both kinds are killed, stopped and cut off under load; files that the tasks wrote are compared
with what clients were told."""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support"), str(HERE.parent / "proto")]
