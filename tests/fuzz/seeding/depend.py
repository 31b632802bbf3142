# SPDX-License-Identifier: BSD-3-Clause
"""Tasks with dependencies, targets, retries and timeouts, while engines come, answer and go."""
from seeding.inputs import text


def depend_seeds():
    submit, raw, reply, come, leave, wait, note, _ = range(8)
    engines = bytes([come, 0, 1, come, 1, 0])

    def ask(task, after=None, follow=None, targets=None, limits=None):
        what = (after is not None) | (follow is not None) << 1 | (targets is not None) << 2 | (limits is not None) << 3
        return bytes([submit, task, what, *(after or []), *(follow or []), *([targets] if targets is not None else []), *(limits or [])])

    def meta(value):
        return bytes([raw, 9]) + text(value)

    yield "plain", b"\0" + engines + ask(0) + bytes([reply, 0, 0, 0, reply, 1, 0, 0])
    yield "chain", b"\0" + engines + ask(0) + b"".join(ask(n, after=[3, 1, n - 1]) for n in range(1, 6)) + b"".join(
        bytes([reply, e, n, 0]) for n in range(6) for e in (0, 1))
    for flags in range(16):
        yield f"flags-{flags}", b"\1" + engines + ask(0) + ask(1) + ask(2, after=[flags, 2, 0, 1], follow=[flags, 2, 0, 1]) + bytes(
            [reply, 0, 0, 0, reply, 1, 0, 0, reply, 1, 1, flags % 2, reply, 0, 1, flags % 2, reply, 0, 2, 0])
    yield "targets", b"\0" + engines + ask(0, targets=2) + ask(1, targets=8) + ask(2, targets=0) + bytes([leave, 1, 0, wait, 100])
    yield "timeout", b"\0" + ask(0, limits=[1, 2]) + ask(1, after=[3, 1, 0], limits=[2, 0]) + bytes([wait, 30, wait, 30])
    yield "retries", b"\0" + engines + ask(0, limits=[0, 3]) + bytes([reply, 0, 0, 1, reply, 1, 0, 1, reply, 0, 0, 2, reply, 1, 0, 2])
    yield "unknown", b"\0" + engines + ask(0, after=[3, 1, 200]) + ask(1, follow=[11, 1, 1])
    yield "abort", (b"\1" + engines + b"".join(ask(n) for n in range(9))
                    + bytes([note, 0, 0, 8, note, 0, 1, 0, note, 0, 2, 3, leave, 0, 1, wait, 9]))
    for i, value in enumerate([
            {"after": "t0", "follow": ["t0"], "targets": ["e0", "no"], "retries": 2.5, "timeout": "3.5"}, {"after": 3},
            {"follow": {"all": 3}}, {"after": {"dependencies": ["t0"], "success": False, "failure": False}}, {"targets": "e0"},
            {"targets": [3]}, {"retries": "x"}, {"timeout": []}, {"timeout": "x"}, {"timeout": ""}, {"timeout": -1}, {"timeout": 1e300},
            {"after": None, "follow": []}, {"after": {"dependencies": [4]}}, {"follow": "x" * 600}, {"retries": 1e12},
            {"timeout": "1" * 90}, [], b"{", {"follow": ["t\u0030", "t9"]}, {"after": {"dependencies": "t\u00e9"}}, b'{"timeout": NaN}',
            b'{"retries": NaN}', b'{"after": "t\\u0030"}']):
        yield f"meta-{i}", b"\0" + engines + ask(0) + meta(value) + bytes([reply, 0, 0, 0, reply, 1, 0, 0, wait, 255])
