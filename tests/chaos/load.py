# SPDX-License-Identifier: BSD-3-Clause
"""Clients under whose load engines die: stock ones with direct and load-balanced views, and a raw one that counts each
reply. All keep a window of tasks outstanding and note what they were told of each."""
import contextlib
import json
import pathlib
import random
import threading
import time

import ipyparallel as ipp
import zmq
from clients import Client as RawClient
from ipyparallel.serialize import pack_apply_message

from verdict import FAILURE, LOST, REFUSED, RESULT, Sent

WINDOW = 40
KEEP_S = 30  # what a stock client remembers of a finished task
REFUSALS = ("ImpossibleDependency", "InvalidDependency", "TaskTimeout", "DependencyTimeout")


def work(ident, path, seconds, fails, payload):
    """One task: a line before, a line after."""
    import os
    import time

    def note(sign):
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(fd, f"{sign} {ident} {os.getpid()} {time.monotonic():.6f}\n".encode())
        os.close(fd)

    note("+")
    if seconds:
        time.sleep(seconds)
    if fails:
        raise ValueError(ident)
    note("-")
    return ident, payload[:200_000]


work.__module__ = "__main__"  # by value: engines can't import this file
pack_apply_message(work, (), {})  # its first use fills tables, which several threads must not do at once


def kind_of(ename):
    """The outcome that an error is. None: no error that such a task may have."""
    if ename == "EngineError":
        return LOST
    return REFUSED if ename in REFUSALS else FAILURE if ename == "ValueError" else f"strange {ename}"


class Load(threading.Thread):
    """Base of both. `tasks` has all that was sent."""

    def __init__(self, name, seed, path):
        super().__init__(daemon=True, name=name)
        self.random = random.Random(f"{seed} {name}")
        self.path = str(path)
        self.tasks = []
        self.has_to_end = threading.Event()
        self.is_abandoned = False
        self.error = None

    def new_task(self, retries):
        # One that fails wherever it is tried would wait for a new engine: it gets few retries.
        sent = Sent(f"{self.name}-{len(self.tasks)}", retries, fails=retries < 2 and self.random.random() < 0.05)
        seconds = self.random.choices((0, 0.005, 0.2), (12, 6, 1))[0]
        payload = bytes(self.random.choice((300_000, 3_000_000))) if self.random.random() < 0.02 else b""
        self.tasks.append(sent)
        return sent, (sent.ident, self.path, seconds, sent.fails, payload)

    def retries(self):
        return self.random.choice((0, 0, 0, 1, 3))

    def run(self):
        try:
            self.keep_busy()
        except Exception as error:
            self.error = error

    def finish(self, deadline):
        self.has_to_end.set()
        self.join(max(1, deadline - time.monotonic()))
        if self.error:
            raise self.error

    def abandon(self):
        """Ends without what is still unanswered."""
        self.is_abandoned = True
        self.finish(time.monotonic() + 30)
        for sent in self.tasks:
            sent.may_stay_open = True


class StockLoad(Load):
    """An ipyparallel.Client with its views."""

    def __init__(self, name, seed, path, connection_file):
        super().__init__(name, seed, path)
        self.client = ipp.Client(connection_file)
        self.balanced = self.client.load_balanced_view()
        self.pending, self.finished, self.recent = [], [], []

    def submit_direct(self):
        ids = self.client.ids
        if not ids:
            return
        view = self.client[self.random.choice(ids)]
        sent, args = self.new_task(0)
        self.pending.append((sent, view.apply_async(work, *args)))

    def submit_balanced(self):
        sent, args = self.new_task(self.retries())
        flags = {"retries": sent.retries}
        if self.recent and self.random.random() < 0.2:
            sent.is_choosy = True
            flags[self.random.choice(("after", "follow"))] = self.random.choice(self.recent)
        with self.balanced.temp_flags(**flags):
            result = self.balanced.apply_async(work, *args)
        self.recent = [*self.recent[-20:], result]
        self.pending.append((sent, result))

    def submit(self):
        n_sent = len(self.tasks)
        try:
            (self.submit_direct if self.random.random() < 0.2 else self.submit_balanced)()
        except (IndexError, ipp.error.NoEnginesRegistered):  # it is going right now
            del self.tasks[n_sent:]  # the client has refused to send it
            time.sleep(0.01)

    def collect(self):
        still = []
        for sent, result in self.pending:
            if not result.ready():
                still.append((sent, result))
                continue
            sent.outcomes += (self.outcome(sent, result),)
            self.finished.append((time.monotonic(), result))
        self.pending = still

    @staticmethod
    def outcome(sent, result):
        try:
            value = result.get(0)
        except ipp.error.RemoteError as error:
            return kind_of(error.ename)
        except ipp.error.EngineError:
            return LOST
        except Exception as error:
            return f"strange {error!r}"
        return RESULT if value[0] == sent.ident else f"strange result {value[0]!r}"

    def forget(self):
        while self.finished and self.finished[0][0] < time.monotonic() - KEEP_S:
            with contextlib.suppress(Exception):
                self.client.purge_local_results(self.finished[0][1])
            self.finished.pop(0)

    def keep_busy(self):
        while not self.is_abandoned and (self.pending or not self.has_to_end.is_set()):
            self.collect()
            self.forget()
            if len(self.pending) < WINDOW and not self.has_to_end.is_set():
                self.submit()
            else:
                time.sleep(0.002)

    def open_tasks(self):
        """What the hub knows of those that are unanswered, a line each."""
        keys = ["msg_id", "queue", "metadata", "engine_uuid", "submitted", "started", "completed", "result_metadata"]
        ids = [i for _, result in self.pending for i in result.msg_ids]
        known = {r["msg_id"]: r for r in self.client.db_query({"msg_id": {"$in": ids}}, keys=keys)} if ids else {}
        return [f"{sent} {i} {'outstanding' if i in self.client.outstanding else 'not outstanding'} {known.get(i)}"
                for sent, result in self.pending for i in result.msg_ids]

    def close(self):
        self.client.close()


class Place:
    """What clients.Client wants to know of a controller."""

    def __init__(self, connection_file):
        self.client_info = json.loads(pathlib.Path(connection_file).read_text())
        self.key = self.client_info["key"]

    def url(self, key):
        return f"{self.client_info['interface']}:{self.client_info[key]}"


class RawLoad(Load):
    """Frames: each reply counts, a second one as well."""

    def __init__(self, name, seed, path, connection_file):
        super().__init__(name, seed, path)
        self.context = zmq.Context()
        self.client = RawClient(self.context, Place(connection_file))
        self.by_id = {}

    def submit(self):
        sent, args = self.new_task(self.retries())
        buffers = [bytes(b) for b in pack_apply_message(work, args, {})]
        header = self.client.submit({}, {"retries": sent.retries}, buffers)
        self.by_id[header["msg_id"]] = sent

    def collect(self, wait_ms):
        while self.client.task.poll(wait_ms):
            reply = self.client.session.unpack(self.client.task.recv_multipart())
            content = reply.content
            outcome = RESULT if content["status"] == "ok" else kind_of(content.get("ename"))
            self.by_id[reply.parent["msg_id"]].outcomes += (outcome,)
            wait_ms = 0

    def keep_busy(self):
        done = 0  # all before that have an outcome
        while not self.is_abandoned and (not self.has_to_end.is_set() or done < len(self.tasks)):
            while done < len(self.tasks) and self.tasks[done].outcomes:
                done += 1
            if len(self.tasks) - done < 2 * WINDOW and not self.has_to_end.is_set():
                self.submit()
                self.collect(0)
            else:
                self.collect(5)
        self.collect(1000)  # a second reply to anything

    def close(self):
        self.client.close()
        self.context.destroy(linger=0)
