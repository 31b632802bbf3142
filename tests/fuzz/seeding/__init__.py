# SPDX-License-Identifier: BSD-3-Clause
"""The hand-made inputs of the fuzz targets (seeds.py): each function `<target>_seeds` yields names and octets."""
