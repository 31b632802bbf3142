# SPDX-License-Identifier: BSD-3-Clause
"""Values of options, from config files and from command lines."""
import json


def options_seeds():
    controller = {"IPController": {"ip": "127.0.0.1", "ports": "10101-10105,10108"}, "HubFactory": {"engine_ip": "*"},
                  "TaskScheduler": {"hwm": 1, "scheme_name": "lru"}, "HeartMonitor": {"period": 3000, "max_heartmonitor_misses": 10},
                  "Session": {"key": "0123", "digest_history_size": 10}, "DictDB": {"size_limit": 1e9, "record_limit": 1024}}
    for program in range(7):
        yield f"json-{program}", bytes([program]) + json.dumps(controller).encode()
        yield f"argv-{program}", bytes([program | 0x40]) + b"\n".join(
            [b"--debug", b"-n", b"4", b"--profile=x", b"--TaskScheduler.hwm=0", b"--scheme=lru", b"--nodb", b"--ip=*", b"--no-such"])
    values = [("Session", "check_pid", True), ("Session", "debug", 0), ("Session", "key", "x"), ("Session", "packer", "pickle"),
              ("Session", "metadata", {"a": 1}), ("Session", "metadata", 3), ("Ersa", "disable", ["attach", "begun"]),
              ("Ersa", "disable", "attach, ready"), ("Ersa", "disable", ["no"]), ("Application", "log_level", "DEBUG"),
              ("Application", "log_level", 10), ("Application", "log_level", "x"), ("Cluster", "controller_args", ["--a"]),
              ("Cluster", "controller_args", [1, True, False, None, {}]), ("Cluster", "n", None), ("Cluster", "delay", 0.5),
              ("Cluster", "delay", "2s"), ("TaskScheduler", "hwm", "auto"), ("TaskScheduler", "hwm", 0),
              ("TaskScheduler", "scheme_name", "x.lru"), ("TaskScheduler", "scheme_name", None), ("IPController", "ports", [1, 2]),
              ("IPController", "ports", "1-3,x"), ("IPController", "ports", [99999]), ("HeartMonitor", "period", "3s"),
              ("DictDB", "size_limit", "2G"), ("DictDB", "size_limit", []), ("IPClusterList", "output_format", "json"),
              ("SQLiteDB", "table", 3)]
    for program in range(7):
        yield f"every-{program}", bytes([program]) + json.dumps({f"{c}": {t: v} for c, t, v in reversed(values)}).encode()
        for i, (c, t, v) in enumerate(values):
            yield f"one-{program}-{i}", bytes([program]) + json.dumps({c: {t: v}}).encode()
            word = v if isinstance(v, str) else json.dumps(v)
            yield f"word-{program}-{i}", bytes([program | 0x40]) + f"--{c}.{t}={word}\n--{c}.{t}={word}".encode()
    for name in ("controller_args", "environment"):
        for i, value in enumerate(["a=b", "=b", "{'a': 'b'}", "['--a', '--b']", "[", "a"]):
            for owner in ("Cluster", "LocalControllerLauncher", "LocalEngineSetLauncher", "LocalEngineLauncher", "ControllerLauncher",
                          "Session"):
                yield f"list-{owner}-{name}-{i}", bytes([0x42]) + f"--{owner}.{name}={value}\n--{owner}.{name}=c=d".encode()
    for i, value in enumerate(["a=b", "=b", "{'a': 'b'}", "{"]):
        yield f"dict-{i}", bytes([0x40]) + f"--Session.metadata={value}\n--Session.metadata=c=d".encode()
    yield "range", bytes([0x40]) + b"--HeartMonitor.period=-1\n--hwm=99999999999999999999"
    yield "units", bytes([0x40]) + b"--DictDB.size_limit=2G\n--HeartMonitor.period=3s\n--log-level=DEBUG"
