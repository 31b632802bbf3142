# SPDX-License-Identifier: BSD-3-Clause
"""A cluster whose engines are killed, stopped, woken and cut off at random; those that ended are replaced.

Kinds of engine: `ours` (one connection), `cut` (the same through a proxy that resets it), `sockets` (ours over the
eight stock sockets), `hub` (the same with a proxy in front of the one to the hub), `reference`. A stop may be shorter or longer than the heart monitor's patience and the grace
behind it."""
import collections
import contextlib
import json
import os
import random
import signal
import threading
import time

from clusters import Cluster
from processes import family

from proxy import Proxy

PING_MS, MISSES = 200, 4
SHORT_S, LONG_S = (0.02, 0.6), (1.2, 9.0)
PAUSE_S = 0.35  # between two blows, on average


class Troubled(Cluster):
    """Of our controller. `kinds`: one engine each."""

    def __init__(self, folder, kinds, controller_args=()):
        super().__init__("ours-ours", folder, engines=0, controller_args=[
            f"--HeartMonitor.period={PING_MS}", f"--HeartMonitor.max_heartmonitor_misses={MISSES}", *controller_args])
        self.kinds = kinds
        self.current = {}  # place -> (kind, engine)

    def __enter__(self):
        super().__enter__()
        for place, kind in enumerate(self.kinds):
            self.replace(place, kind)
        return self

    def replace(self, place, kind):
        self.engine_kind = "reference" if kind == "reference" else "ours"
        disabled = "attach" if kind in ("sockets", "hub", "task") else ""
        port = {"cut": "attach", "hub": "registration", "task": "task"}.get(kind)
        self.current[place] = (kind, self.start_through(disabled, **({port: Proxy} if port else {})))

    def start_through(self, disabled, **proxies):
        """An engine without these capabilities that has a proxy, of that class, in front of these ports."""
        args = [f"--Ersa.disable={disabled}"] if disabled else []
        path = self.profile / "security" / "ipcontroller-engine.json"
        info = json.loads(path.read_text())
        started = {}
        for port, make in proxies.items():
            place = info["ersa"] if port == "attach" else info
            started[port] = make(("127.0.0.1", place[port]))
            place[port] = started[port].port
        if started:
            own = self.folder / f"engine-{len(self.engines)}.json"
            own.write_text(json.dumps(info))
            args.append(f"--file={own}")
        engine = self.start_engine(*args)
        engine.proxies = started
        engine.proxy = next(iter(started.values()), None)
        return engine

    def stop(self):
        for engine in self.engines:
            for proxy in getattr(engine, "proxies", {}).values():
                proxy.stop()
        super().stop()


class Trouble(threading.Thread):
    """Blows at the engines of a cluster until it is told to end; then all are awake. `log` says what was done."""

    def __init__(self, cluster, seed):
        super().__init__(daemon=True)
        self.cluster = cluster
        self.random = random.Random(f"{seed} trouble")
        self.has_to_end = threading.Event()
        self.asleep = {}  # pid -> when it is woken
        self.counts = collections.Counter()
        self.log = []
        self.error = None
        self.blows = [
            (self.kill, ("engine",), 2), (self.kill, ("runtime",), 2), (self.kill, ("engine", "runtime"), 1),
            (self.put_to_sleep, ("engine",), 4), (self.put_to_sleep, ("runtime",), 2),
            (self.put_to_sleep, ("engine", "runtime"), 3), (self.cut, (), 4), (self.hold, (), 3),
        ]

    def run(self):
        try:
            while not self.has_to_end.wait(0.02):
                self.wake_up(time.monotonic())
                self.replace_dead()
                if self.random.random() < 0.02 / PAUSE_S:
                    self.strike()
        except Exception as error:
            self.error = error
        finally:
            self.wake_up(float("inf"))

    def note(self, what, engine):
        self.counts[what] += 1
        self.log.append(f"{time.monotonic():.6f} {what} {engine.log.name}")

    def strike(self):
        place = self.random.choice(list(self.cluster.current))
        kind, engine = self.cluster.current[place]
        blow, whom, _ = self.random.choices(self.blows, [b[2] for b in self.blows])[0]
        blow(kind, engine, whom)

    def pids(self, engine, whom):
        """Of the engine's program and of where its user code runs; a stock engine is both."""
        pids = family(engine.pid) if engine.is_running() else []
        engine.known.update(pids)
        return [pid for pid in pids if ("engine" if pid == engine.pid else "runtime") in whom]

    def signal(self, pids, signo):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signo)

    def kill(self, kind, engine, whom):
        pids = self.pids(engine, whom)
        if self.random.random() < 0.5:
            pids.reverse()
        self.note("kill " + "+".join(whom), engine)
        self.signal(pids, signal.SIGKILL)

    def put_to_sleep(self, kind, engine, whom):
        is_long = self.random.random() < 0.4
        until = time.monotonic() + self.random.uniform(*(LONG_S if is_long else SHORT_S))
        pids = self.pids(engine, whom)
        self.note(("long" if is_long else "short") + " stop " + "+".join(whom), engine)
        self.signal(pids, signal.SIGSTOP)
        self.asleep.update(dict.fromkeys(pids, until))

    def cut(self, kind, engine, whom):
        if engine.proxy:
            self.note("cut", engine)
            engine.proxy.cut()

    def hold(self, kind, engine, whom):
        if engine.proxy:
            self.note("held back", engine)
            engine.proxy.hold(self.random.uniform(*LONG_S))

    def wake_up(self, now):
        due = [pid for pid, until in self.asleep.items() if until <= now]
        for pid in due:
            del self.asleep[pid]
        if due:
            self.log.append(f"{time.monotonic():.6f} wake {due}")
        self.signal(due, signal.SIGCONT)

    def replace_dead(self):
        for place, (kind, engine) in list(self.cluster.current.items()):
            if not engine.is_running():
                self.log.append(f"{time.monotonic():.6f} replaced {engine.log.name}")
                self.cluster.replace(place, kind)

    def finish(self):
        self.has_to_end.set()
        self.join(30)
        if self.error:
            raise self.error
