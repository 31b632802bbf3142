# SPDX-License-Identifier: BSD-3-Clause
"""/metrics and /healthz: the text format, figures that move as they should, clients that misbehave."""
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse

import pytest
from prometheus_client.parser import text_string_to_metric_families

import test_broadcast as broadcasts
import test_recall
from controllers import BIN, Controller
from processes import freeze
from waiting import PATIENCE_S, wait_until

KINDS = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


def check_text(text):
    """What the format demands beyond what the parser refuses."""
    assert text.endswith("\n") and "\n\n" not in text
    typed, helped, current, seen = {}, set(), None, set()
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split()[2]
            assert name not in helped, f"{name}: two HELP lines"
            helped.add(name)
        elif line.startswith("# TYPE "):
            name, kind = line.split()[2:]
            assert name in helped and name not in typed, f"{name}: HELP first, TYPE once"
            typed[name], current = kind, name
        else:
            series = line.rsplit(" ", 1)[0]
            assert series not in seen, f"{series} stands there twice"
            seen.add(series)
            base = series.split("{")[0]
            assert base in {current + suffix for suffix in KINDS[typed[current]]}, f"{series} under {current}"
            float(line.rsplit(" ", 1)[1])
    assert set(typed) == helped
    for name, kind in typed.items():
        assert name.startswith(("ersa_", "process_"))
        assert name.endswith("_total") == (kind == "counter"), name


def check_histograms(families):
    for family in families:
        if family.type != "histogram":
            continue
        buckets = [(float(s.labels["le"]), s.value) for s in family.samples if s.name.endswith("_bucket")]
        assert [b for b, _ in buckets] == sorted({b for b, _ in buckets}) and buckets[-1][0] == float("inf")
        counts = [n for _, n in buckets]
        assert counts == sorted(counts)
        total = next(s.value for s in family.samples if s.name.endswith("_sum"))
        assert counts[-1] == next(s.value for s in family.samples if s.name.endswith("_count"))
        low = sum(count * bound for count, bound in
                  zip((n - m for m, n in zip(counts, counts[1:])), (b for b, _ in buckets)))
        assert total >= low - 1e-6, f"{family.name}: the sum is less than its buckets say"


class Metrics:
    def __init__(self, controller):
        self.url = urllib.parse.urlsplit(controller.client_info["ersa"]["metrics"])
        self.controller = controller

    def fetch(self, path="/metrics", method="GET"):
        connection = http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=PATIENCE_S)
        with contextlib.closing(connection):
            connection.request(method, path)
            response = connection.getresponse()
            return response, response.read().decode()

    def text(self):
        response, text = self.fetch()
        assert response.status == 200, text
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return text

    def read(self):
        """Every sample: (name, label values...) -> value."""
        text = self.text()
        check_text(text)
        families = list(text_string_to_metric_families(text))
        check_histograms(families)
        values = {(s.name, *s.labels.values()): s.value for f in families for s in f.samples
                  if not s.name.endswith("_bucket")}
        check_accounts(values)
        return values

    def wait(self, condition, what):
        """Until the figures are so; they."""
        return wait_until(lambda: (v := self.read()) and condition(v) and v, what=what)


def check_accounts(v):
    """What must hold between the figures of one moment."""
    ended = sum(value for (name, *_), value in v.items() if name == "ersa_tasks_ended_total")
    waiting = v["ersa_tasks", "dependent"] + v["ersa_tasks", "queued"]
    assert v["ersa_task_seconds_count",] == ended
    assert v["ersa_task_queue_seconds_count",] == v["ersa_task_engine_seconds_count",] + v["ersa_tasks", "sent"]
    # A task that is answered twice over (its engine was thought dead) is at an engine after its end.
    assert v["ersa_tasks_submitted_total",] <= ended + waiting + v["ersa_tasks", "sent"]
    assert waiting <= v["ersa_tasks_submitted_total",] - ended


@pytest.fixture
def controller(start_controller):
    return start_controller("--ping=200", "--metrics-port=0", "--hwm=1")


@pytest.fixture
def metrics(controller):
    return Metrics(controller)


def work(client, engine, n, **answer):
    for _ in range(n):
        client.submit()
        engine.answer(engine.recv(), **answer)
        client.recv(client.task)


# Serving


def test_off_unless_asked_for(start_controller):
    controller = start_controller()
    assert "metrics" not in controller.client_info["ersa"]
    assert "Metrics at" not in controller.log()
    threads = list(pathlib.Path(f"/proc/{controller.process.pid}/task").iterdir())
    listening = subprocess.run(["ls", "-l", f"/proc/{controller.process.pid}/fd"], capture_output=True, text=True).stdout
    assert len(threads) <= 3 and "http" not in listening


def test_address_is_announced(controller, metrics):
    url = controller.client_info["ersa"]["metrics"]
    assert url == f"http://127.0.0.1:{metrics.url.port}/metrics"
    assert controller.wait_log("Metrics at (.*)").group(1) == url
    assert "metrics" not in controller.engine_info["ersa"]
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.2", metrics.url.port), timeout=5)


def test_the_text_keeps_the_format(metrics):
    values = metrics.read()
    assert values["ersa_build_info", "0.1.0"] == 1
    assert values["ersa_scheduler_info", "leastload"] == 1
    assert values["ersa_store_info", "memory"] == 1
    promtool = shutil.which("promtool")
    if promtool:
        run = subprocess.run([promtool, "check", "metrics"], input=metrics.text(), capture_output=True, text=True)
        assert run.returncode == 0 and not run.stderr, run.stderr


def test_health_and_other_paths(metrics):
    response, text = metrics.fetch("/healthz")
    assert (response.status, text) == (200, "ok\n")
    assert metrics.fetch("/")[0].status == 404
    assert metrics.fetch("/metrics", "POST")[0].status == 405
    response, text = metrics.fetch(method="HEAD")
    assert response.status == 200 and text == ""
    values = metrics.read()
    assert values["ersa_http_requests_total", "404"] == values["ersa_http_requests_total", "405"] == 1


def test_absolute_targets(metrics):
    """As a proxy is asked, and every server must understand (RFC 9112 3.2.2)."""
    for target, status in (("http://h/metrics", 200), ("HTTP://127.0.0.1:1/healthz", 200), ("https://h/metrics?x=1", 200),
                           ("http://h", 404), ("http://h/", 404), ("http://h/x/metrics", 404), ("http:///metrics", 200),
                           ("ftp://h/metrics", 404), ("h/metrics", 404)):
        assert metrics.fetch(target)[0].status == status, target


def test_a_port_in_use_does_not_end_the_controller(start_controller, make_peers):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        controller = start_controller(f"--metrics-port={taken.getsockname()[1]}")
        controller.wait_log(r"metrics::not served: 127\.0\.0\.1, port \d+: .*in use")
        assert "metrics" not in controller.client_info["ersa"]
        assert make_peers(controller).client().engines() == {}


def test_reused_files_name_the_new_address(tmp_path):
    first = Controller(tmp_path, "--metrics-port=0", "--reuse")
    url = first.client_info["ersa"]["metrics"]
    first.stop()
    second = Controller(tmp_path, "--reuse", name="ipcontroller")
    try:
        wait_until(lambda: "metrics" not in json.loads(second.path("client").read_text())["ersa"], what="new file")
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", urllib.parse.urlsplit(url).port), timeout=5)
    finally:
        second.stop()


# Figures


def test_process(controller, metrics):
    values = metrics.read()
    assert abs(values["process_start_time_seconds",] - time.time()) < 60
    assert abs(values["process_resident_memory_bytes",] / 1e6 - controller.rss_mb()) < 20
    fds = len(os.listdir(f"/proc/{controller.process.pid}/fd"))
    assert abs(values["process_open_fds",] - fds) <= 2
    assert 0 < values["process_cpu_seconds_total",] < 60
    for thread in ("router", "records", "web"):
        assert values["ersa_thread_cpu_seconds_total", thread] > 0
    assert values["ersa_snapshot_age_seconds", "router"] < 5


def test_threads_have_names(metrics, controller):
    """As `top -H` shows them; the router is the first, and has the program's."""
    metrics.read()
    names = [name.read_text().strip() for name in pathlib.Path(f"/proc/{controller.process.pid}/task").glob("*/comm")]
    assert sorted(names) == ["ipcontroller", "records", "web"]


def test_tasks_by_state(metrics, controller, client, peers):
    def states(v):
        return tuple(v["ersa_tasks", s] for s in ("dependent", "queued", "sent"))

    before = metrics.read()
    first = client.submit()
    client.submit()
    client.submit(metadata={"after": [first["msg_id"]]})
    metrics.wait(lambda v: states(v) == (1, 2, 0), "waiting tasks")
    engine = peers.attached()
    request = engine.recv()
    values = metrics.wait(lambda v: states(v) == (1, 1, 1), "one task at the engine")
    assert values["ersa_task_queue_seconds_count",] == 1
    assert values["ersa_store_queue_capacity_events",] > 0
    engine.answer(request)
    client.recv(client.task)
    for _ in range(2):
        engine.answer(engine.recv(), content={"status": "error", "ename": "E", "evalue": "", "traceback": []},
                      metadata={"status": "error"})
        client.recv(client.task)
    values = metrics.read()
    assert states(values) == (0, 0, 0)
    assert values["ersa_tasks_submitted_total",] - before["ersa_tasks_submitted_total",] == 3
    assert values["ersa_tasks_ended_total", "done"] == 1 and values["ersa_tasks_ended_total", "failed"] == 2
    metrics.wait(lambda v: v["ersa_store_events_total",] >= 6 and v["ersa_store_lag_seconds",] == 0, "events in the store")


def test_latencies(metrics, client, peers):
    engine = peers.attached()
    client.wait_engines(1)
    begin = time.monotonic()
    client.submit()
    client.submit()
    request = engine.recv()
    time.sleep(0.3)  # the time that is measured
    engine.answer(request)
    engine.answer(engine.recv())
    for _ in range(2):
        client.recv(client.task)
    took = time.monotonic() - begin
    text = metrics.text()
    values = metrics.read()
    assert values["ersa_task_engine_seconds_count",] == values["ersa_task_seconds_count",] == 2
    assert 0.3 <= values["ersa_task_engine_seconds_sum",] <= 2 * took
    assert 0.3 <= values["ersa_task_queue_seconds_sum",] <= 2 * took  # of the second
    assert values["ersa_task_seconds_sum",] == pytest.approx(
        values["ersa_task_engine_seconds_sum",] + values["ersa_task_queue_seconds_sum",], abs=1e-6)
    assert 'ersa_task_seconds_bucket{le="0.25"} 0\n' in text


def test_under_load(metrics, client, peers):
    engines = [peers.attached() for _ in range(3)]
    client.wait_engines(3)
    last = metrics.read()
    for round in range(1, 5):
        for _ in range(60):
            client.submit()
        for i in range(60):
            engine = wait_until(lambda: next((e for e in engines if not e.channels["task"].empty()), None), what="task")
            engine.answer(engine.recv())
            if i % 20 == 0:
                metrics.read()  # in the middle of it everything adds up as well
        for _ in range(60):
            client.recv(client.task)
        values = metrics.read()
        assert values["ersa_tasks_ended_total", "done"] == 60 * round
        for key, value in values.items():
            if key[0].endswith(("_total", "_count")):
                assert value >= last[key], f"{key} went back"
        for name in ("received", "sent"):
            assert values[f"ersa_{name}_bytes_total",] > last[f"ersa_{name}_bytes_total",] + 60 * 500
            assert values[f"ersa_{name}_messages_total",] >= last[f"ersa_{name}_messages_total",] + 120
        last = values


def test_direct_requests(metrics, client, peers):
    engine = peers.stock()
    client.wait_engines(1)
    client.send_mux(engine.uuid)
    request = engine.recv()
    assert metrics.read()["ersa_direct_requests",] == 1
    engine.answer(request)
    client.recv(client.mux)
    values = metrics.read()
    assert values["ersa_direct_requests",] == 0 and values["ersa_direct_seconds_count",] == 1


def test_broadcasts(metrics, client, peers):
    engines = [peers.attached(), peers.stock()]
    client.wait_engines(2)
    broadcasts.send(client, engines)
    broadcasts.send(client, engines, coalescing=True)
    broadcasts.send(client, [], metadata={"targets": 5})
    client.recv(client.broadcast)
    values = metrics.read()
    assert values["ersa_broadcasts_total",] == 3 and values["ersa_broadcasts_coalescing",] == 1
    assert values["ersa_broadcast_parts_total", "sent"] == 4 and values["ersa_broadcasts_refused_total",] == 1
    assert values["ersa_broadcast_parts_total", "answered"] == 0
    for engine in engines:
        for _ in range(2):
            broadcasts.answer(engine, broadcasts.receive(engine))
    for _ in range(3):
        client.recv(client.broadcast)
    values = metrics.read()
    assert values["ersa_broadcasts_coalescing",] == 0 and values["ersa_broadcast_parts_total", "answered"] == 4


def test_recalls(start_controller, make_peers):
    controller = start_controller("--ping=1000", "--metrics-port=0")
    peers = make_peers(controller)
    client = peers.client()
    worker = test_recall.Worker(client, peers.attached())
    worker.begin(worker.hold(5)[0])
    peers.attached()
    recall, asked = worker.recv_recall()
    worker.give_back(recall, asked)
    values = Metrics(controller).wait(lambda v: v["ersa_tasks_recalled_total",] == len(asked), "its answer")
    assert values["ersa_task_recalls_total",] >= 1


@pytest.mark.parametrize("end", ["unregister", "disconnected", "heart_failed"])
def test_engines(metrics, client, peers, end):
    engine = peers.stock() if end == "heart_failed" else peers.attached()
    client.wait_engines(1)
    values = metrics.read()
    assert values["ersa_engines", "alive"] == 1 and values["ersa_engines_registered_total",] == 1
    client.submit()
    engine.recv()
    if end == "unregister":
        engine.unregister()
    elif end == "disconnected":
        engine.close()
    else:
        engine.stop_heart()
        metrics.wait(lambda v: v["ersa_engines", "probation"] == 1, "a silent engine")
    values = metrics.wait(lambda v: v["ersa_engines_ended_total", end] == 1, "its end")
    assert values["ersa_engines", "alive"] == values["ersa_engines", "probation"] == 0
    values = metrics.wait(lambda v: v["ersa_engines", "gone"] == 0, "its last task")
    assert values["ersa_tasks", "sent"] + values["ersa_tasks", "queued"] + values["ersa_tasks_ended_total", "failed"] == 1


def test_a_registration_that_is_pending(metrics, client, peers):
    peers.stock(beat=False)
    assert metrics.read()["ersa_engines", "pending"] == 1


def test_connections(metrics, client, peers):
    values = metrics.wait(lambda v: v["ersa_connections", "client", "task"] == 1, "the client's connections")
    assert values["ersa_connections", "client", "iopub"] == values["ersa_connections", "both", "registration"] == 1
    accepted = values["ersa_accepted_connections_total",]
    engine = peers.attached()
    client.wait_engines(1)
    values = metrics.read()
    assert values["ersa_connections", "engine", "attach"] == 1 and values["ersa_accepted_connections_total",] == accepted + 1
    engine.close()
    metrics.wait(lambda v: v["ersa_connections", "engine", "attach"] == 0, "the end of the connection")


def test_dropped_messages_by_reason(metrics, controller, client, peers):
    stranger = peers.client(key="another key")
    stranger.submit()
    client.task.send_multipart([b"no message"])
    frames = client.session.pack("apply_request")
    for _ in range(2):
        client.task.send_multipart(frames)
    metrics.wait(lambda v: v["ersa_dropped_messages_total", "signature"] == 1
                 and v["ersa_dropped_messages_total", "malformed"] == 1
                 and v["ersa_tasks_refused_total", "known"] == 1, "dropped messages")
    with socket.create_connection(("127.0.0.1", controller.client_info["task"])) as s:
        s.sendall(b"GET / HTTP/1.0\r\n\r\n" * 10)
        metrics.wait(lambda v: v["ersa_protocol_errors_total",] + v["ersa_failed_handshakes_total",] >= 1,
                     "a peer that speaks something else")


def test_what_a_database_has_still_to_write(start_controller, make_peers):
    controller = start_controller("--sqlitedb", "--metrics-port=0")
    metrics, client = Metrics(controller), make_peers(controller).client()
    assert metrics.read()["ersa_store_info", "sqlite"] == 1
    client.submit()
    metrics.wait(lambda v: v["ersa_store_pending_records",] == 1 and v["ersa_store_pending_bytes",] > 0, "a pending record")
    metrics.wait(lambda v: v["ersa_store_pending_records",] == 0, "the record in the database")


# Misbehaviour


def test_a_stopped_router_is_noticed_and_comes_back(metrics, controller):
    """SIGSTOP stops the web thread, too: the scrape waits, and is answered afterwards."""
    with socket.create_connection((metrics.url.hostname, metrics.url.port), timeout=PATIENCE_S) as s:
        freeze(controller.process.pid)
        s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        controller.process.send_signal(signal.SIGCONT)
        assert s.recv(12) == b"HTTP/1.1 200"


def test_a_crowd_of_connections(metrics, controller, client, peers):
    """A thousand that say nothing: bounded, and neither scrapes nor tasks stop."""
    engine = peers.attached()
    client.wait_engines(1)
    before = controller.rss_mb()
    crowd = []
    try:
        for _ in range(1000):
            crowd.append(socket.create_connection((metrics.url.hostname, metrics.url.port), timeout=PATIENCE_S))
        work(client, engine, 5)
        values = metrics.read()
        assert values["ersa_tasks_ended_total", "done"] == 5
        assert values["ersa_http_connections",] <= 128
        assert values["ersa_http_evicted_total",] >= 500
        assert controller.rss_mb() < before + 20
    finally:
        for s in crowd:
            s.close()
    metrics.wait(lambda v: v["ersa_http_connections",] <= 2, "an empty server")


def test_garbage(metrics, controller):
    for octets in (b"\0" * 5000, os.urandom(70000), b"GET /metrics HTTP/1.1\r\n" + b"A: " + b"b" * 100000 + b"\r\n\r\n",
                   b"GET " + b"/" * 100000, b"PUT /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"):
        with socket.create_connection((metrics.url.hostname, metrics.url.port), timeout=PATIENCE_S) as s:
            with contextlib.suppress(OSError):
                s.sendall(octets)
                s.shutdown(socket.SHUT_WR)
                while s.recv(65536):
                    pass
    assert controller.alive() and metrics.fetch("/healthz")[0].status == 200


def test_scrapes_under_way_do_not_delay_the_end(metrics, controller):
    crowd = [socket.create_connection((metrics.url.hostname, metrics.url.port)) for _ in range(30)]
    for s in crowd:
        s.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
    start = time.monotonic()
    assert controller.stop() == 0
    assert time.monotonic() - start < 10
    for s in crowd:
        s.close()


def test_help_names_the_option():
    run = subprocess.run([BIN / "ipcontroller", "--help-all"], capture_output=True, text=True, check=True)
    assert "--metrics-port" in run.stdout and "IPController.metrics_ip" in run.stdout
