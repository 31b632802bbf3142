# SPDX-License-Identifier: BSD-3-Clause
"""Ersa: IPython Parallel in C. This file stays light: an engine's runtime imports it first."""

__version__ = "0.1.0"
