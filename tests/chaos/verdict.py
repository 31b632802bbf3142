# SPDX-License-Identifier: BSD-3-Clause
"""What tasks wrote, against what clients were told.

Each task writes one line when it begins, one when it has done its work: `+ id pid time` and `- id pid time`, each in
one write to a file opened with O_APPEND. That is the truth about what ran; no program's accounts are asked."""
import collections
from dataclasses import dataclass

RESULT, FAILURE, LOST, REFUSED = "result", "failure", "engine-lost", "refused"
KINDS = (RESULT, FAILURE, LOST, REFUSED)


@dataclass
class Sent:
    """A task as its client sees it. `outcomes`: what it was told, which must be one thing."""
    ident: str
    retries: int = 0
    fails: bool = False    # it raises
    is_choosy: bool = False  # it depends on others, so it may be refused
    may_stay_open: bool = False  # its controller was killed: nobody owes it an answer
    outcomes: tuple = ()


def read_lines(path):
    """id -> [(time, pid)] of beginnings, and of ends."""
    begun, done = collections.defaultdict(list), collections.defaultdict(list)
    if path.exists():
        for line in path.read_text().splitlines():
            sign, ident, pid, when = line.split(" ")
            (begun if sign == "+" else done)[ident].append((float(when), int(pid)))
    return begun, done


def complaint(task, n_begun, n_done):
    """What is wrong with that task; None: nothing."""
    if task.may_stay_open and not task.outcomes:
        return f"ran {n_begun} times with {task.retries} retries, unanswered" if n_begun > task.retries + 1 else None
    if len(task.outcomes) != 1:
        return f"{len(task.outcomes)} outcomes {task.outcomes}"
    outcome = task.outcomes[0]
    if n_begun > task.retries + 1:
        return f"ran {n_begun} times with {task.retries} retries ({outcome})"
    if n_done > n_begun:
        return f"ended {n_done} times, began {n_begun} times"
    if outcome == RESULT and not n_done:
        return "has a result, but was never done"
    if outcome == RESULT and task.fails:
        return "raises, but has a result"
    if outcome == FAILURE and not (task.fails and n_begun):
        return f"failed without having raised (began {n_begun} times)"
    if outcome == REFUSED and not task.is_choosy:
        return "was refused, but depends on nothing"
    if outcome == REFUSED and n_begun > task.retries:
        return "was refused, but ran"
    return None


def judge(tasks, path):
    """Complaints, as lines."""
    begun, done = read_lines(path)
    lines = []
    for task in tasks:
        wrong = complaint(task, len(begun[task.ident]), len(done[task.ident]))
        if wrong:
            lines.append(f"{task.ident}: {wrong}; + {begun[task.ident]} - {done[task.ident]}")
    known = {t.ident for t in tasks}
    lines += [f"{ident}: ran, but nobody sent it" for ident in begun if ident not in known]
    return lines


def tally(tasks, path):
    """One line of figures."""
    begun, _ = read_lines(path)
    counts = collections.Counter(o for t in tasks for o in t.outcomes)
    again = sum(len(begun[t.ident]) > 1 for t in tasks)
    return ", ".join([f"{len(tasks)} tasks", *(f"{counts[k]} {k}" for k in KINDS), f"{again} ran again by retries"])
