# SPDX-License-Identifier: BSD-3-Clause
"""The function behind BroadcastView.map(). It comes by value and looks up get_ipython() here."""
from ipyparallel.util import get_ipython


class BroadcastView:
    @staticmethod
    def _broadcast_map(f, *sequence_names):
        """Maps over sequences that were scattered under these names."""
        shell = get_ipython()
        sequences = [shell.user_ns.pop(name) for name in sequence_names]
        return list(map(f, *sequences))
