# SPDX-License-Identifier: BSD-3-Clause
"""publish_data(): results while a task still runs (engine.md 14)."""


def publish_data(data):
    """Sends a dict to the client, where it is merged into the task's `data`. Any thread."""
    import ersa.runtime
    if ersa.runtime.current is None:
        raise RuntimeError("publish_data() works on engines only")
    ersa.runtime.current.publish_data(data)
