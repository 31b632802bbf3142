# SPDX-License-Identifier: BSD-3-Clause
"""The older place of publish_data()."""
from ipyparallel.datapub import publish_data

__all__ = ("publish_data",)
