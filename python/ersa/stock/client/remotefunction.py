# SPDX-License-Identifier: BSD-3-Clause
"""The function behind view.map()."""


def _map(f, *sequences):
    return list(map(f, *sequences))
