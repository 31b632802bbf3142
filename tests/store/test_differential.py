# SPDX-License-Identifier: BSD-3-Clause
"""The same records and the same queries for every store and for the reference's own store in memory, whose known mistakes are
mended here (db.md, sharp edges 1 to 3): whoever asks gets the same answer from each."""
import datetime
import fnmatch
import json
import os
import pathlib
import random
import subprocess

import pytest
from conftest import ROOT
from ipyparallel.controller.dictdb import DictDB
from jupyter_client.jsonutil import extract_dates

BUILD = pathlib.Path(os.environ.get("ERSA_BUILD", ROOT / "build"))
DATES = ("submitted", "started", "completed", "received")
TEXTS = ("client_uuid", "engine_uuid", "resubmitted", "queue", "execute_input", "stdout", "stderr", "label")
TREES = ("header", "metadata", "content", "result_header", "result_metadata", "result_content", "execute_result", "error")
LISTS = ("buffers", "result_buffers")

LABELS = ["", "a", "A", "ab", "a/b", "a*", "a?", "[a]", "[", "]", "a]b", "a.b", "a b", "é", "e\u0301", "日本", "\U0001f600", "a\0b",
          "a%", "a_b", "null", "0", "'", "\"", "\\", "a\nb", "group_a/subgroup_a", "\uffff", "\U00010000", "2026-01-02", "-", "!",
          "^", "x" * 1000]
WHENS = ["2026-01-02T03:04:05.678901Z", "2026-01-02T03:04:05.678902Z", "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000001Z",
         "2026-01-02T03:04:05.678Z", "1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z",
         "9999-12-31T23:59:59.999999Z", "2026-01-02T05:04:05.678901+02:00", "2026-01-01T20:04:05.678901-07:00"]
OBJECTS = [{}, {"a": 1}, {"a": 1.5, "b": [1, {"c": None}]}, {"a.b": 1, "$c": 2}, {"": 1}, {"é": "日本"}, {"status": "ok"},
           {"n": 2**53 + 1}, {"n": -2**63}, {"e": 1e300}, {"t": True, "f": False, "l": []}]
GLOBS = ["*", "", "?", "a*", "*b", "[ab]", "[!a]", "[[]", "[]]", "[a", "a[*]", "a[?]", "[!]]*", "[a-c]b", "[c-a]", "a/*", "*\n*", "é",
         "??", "[é]*", "*[*]*", "*[?]*", "group_?/*_[ab]", "\\*", "a\\*", "[^a]", "[!^]", "a**b", "x*x", "*" * 50 + "b"]
PATTERN_OPS = ("$eq", "$ne", "$lt", "$lte", "$gt", "$gte", "$in", "$nin", "$all", "$exists", "$glob")


def make_records(dice):
    records = []
    for i in range(60):
        record = {"msg_id": f"id{i}", "stdout": "", "stderr": ""}
        for field in TEXTS:
            if dice.random() < 0.6:
                record[field] = dice.choice(LABELS)
        for field in DATES:
            if dice.random() < 0.7:
                record[field] = dice.choice(WHENS)
        for field in TREES:
            if dice.random() < 0.6:
                record[field] = dice.choice(OBJECTS)
        for field in LISTS:
            if dice.random() < 0.7:
                record[field] = dice.choice([[], [""], ["one", "", "x" * 300]])
        records.append(record)
    return records


def make_operand(dice, field, op):
    pool = WHENS if field in DATES else OBJECTS if field in TREES else [f"id{i}" for i in range(62)] if field == "msg_id" else LABELS
    if dice.random() < 0.1:
        pool = [None, 0, 1.5, True, "", [], ["a"], "2026-01-02T03:04:05Z", 2**40]
    if op == "$glob":
        return dice.choice(GLOBS)
    if op == "$all":
        return [dice.choice(pool) for _ in range(dice.randrange(3))] if dice.random() < 0.5 else \
            [[dice.choice(pool) for _ in range(4)] for _ in range(dice.randrange(3))]
    if op in ("$in", "$nin"):
        return [dice.choice([*pool, None]) for _ in range(dice.choice([0, 1, 2, 5, 30]))]
    if op == "$exists":
        return dice.choice([True, False, 0, 1, None, "", "x", [], [0], {}])
    return dice.choice(pool)


def make_query(dice):
    query = {}
    for _ in range(dice.choice([0, 1, 1, 1, 1, 2, 3])):
        field = dice.choice(["msg_id", *DATES, *TEXTS, *TREES, *LISTS, "label", "label", "nothing"])
        if dice.random() < 0.3:
            value = make_operand(dice, field, "$eq")
            query[field] = {"$eq": value} if isinstance(value, dict) else value
        else:
            query[field] = {}
            for _ in range(dice.choice([1, 1, 2])):
                op = dice.choice(PATTERN_OPS)
                query[field][op] = make_operand(dice, field, op)
    return query


def order(holds):
    """Nulls, and what has no order, do not match."""
    def test(a, b):
        try:
            return a is not None and b is not None and type(a) is type(b) and holds(a, b)
        except TypeError:
            return False
    return test


def inside(a, b):
    try:
        return all(a in x for x in b)
    except TypeError:
        return all(isinstance(x, list) and a in x for x in b)


FILTERS = {
    "$eq": lambda a, b: a == b, "$ne": lambda a, b: a != b, "$in": lambda a, b: a in b, "$nin": lambda a, b: a not in b,
    "$lt": order(lambda a, b: a < b), "$lte": order(lambda a, b: a <= b),
    "$gt": order(lambda a, b: a > b), "$gte": order(lambda a, b: a >= b), "$all": inside,
    "$exists": lambda a, b: bool(b) == (a is not None), "$glob": lambda a, b: isinstance(a, str) and fnmatch.fnmatchcase(a, b),
}


class Mended(DictDB):
    def _match(self, check):
        def holds(record, field, test):
            tests = test if isinstance(test, dict) else {"$eq": test}
            return all(FILTERS[op](record.get(field), value) for op, value in tests.items())
        return [r for r in self._records.values() if all(holds(r, *condition) for condition in check.items())]


def dated(field, value):
    """As it is in the reference's record: texts stay texts, also those that look like a date."""
    return datetime.datetime.fromisoformat(value) if field in DATES and value else value


def operand(field, value):
    if field in DATES:
        return [operand(field, x) for x in value] if isinstance(value, list) else extract_dates(value)
    return value


def for_reference(query):
    return {field: {op: operand(field, x) for op, x in test.items()} if isinstance(test, dict) else operand(field, test)
            for field, test in query.items()}


def expected(records, queries):
    db = Mended(session="s")
    for record in records:
        db.add_record(record["msg_id"], {field: dated(field, record.get(field)) for field in
                                         ("msg_id", *DATES, *TEXTS, *TREES)}
                      | {field: [b.encode() for b in record[field]] if record.get(field) else None for field in LISTS})
    return [[r["msg_id"] for r in db.find_records(for_reference(q), ["msg_id"])] for q in queries], db.get_history()


def ask(args, records, queries):
    done = subprocess.run([str(BUILD / "tests/store/store_probe"), *args], input=json.dumps({"records": records, "queries": queries}),
                          capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return lines[:len(queries)], lines[len(queries)], lines[len(queries) + 1:]


@pytest.fixture(params=["memory", "sqlite", "mongodb"])
def store(request, tmp_path):
    if request.param == "mongodb":
        return ["mongodb", request.getfixturevalue("mongodb").uri, f"differential_{random.randrange(10**9)}"]
    return ["sqlite", str(tmp_path / "tasks.db")] if request.param == "sqlite" else ["memory"]


@pytest.mark.parametrize("seed", range(3))
def test_same_answers(store, seed):
    dice = random.Random(seed)
    records = make_records(dice)
    queries = [make_query(dice) for _ in range(250)]
    want, history = expected(records, queries)
    got, got_history, whole = ask(store, records, queries)
    wrong = [(q, sorted(set(w) - set(g)), sorted(set(g) - set(w))) for q, w, g in zip(queries, want, got) if sorted(w) != sorted(g)]
    assert not wrong, f"{len(wrong)} of {len(queries)}, for example (query, missing, too many) " + "\n".join(map(str, wrong[:5]))
    dates = {r["msg_id"]: dated("submitted", r.get("submitted")) for r in records}
    assert [dates[i] for i in got_history] == [dates[i] for i in history] and set(got_history) == set(history)
    for before, after in zip(records, whole):
        for field in ("msg_id", *DATES, *TEXTS, *TREES, *LISTS):
            assert dated(field, after[field] or None) == dated(field, before.get(field) or None) or \
                (field in TREES and after[field] == before.get(field)), (field, before, after)
