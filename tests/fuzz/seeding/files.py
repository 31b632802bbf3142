# SPDX-License-Identifier: BSD-3-Clause
"""Connection files, key pairs, cluster files, config files, and what Python made of one."""
import json


def files_seeds():
    both = {"ssh": "", "interface": "tcp://127.0.0.1", "registration": 10101, "control": 10102, "mux": 10103, "task": 10104, "iopub": 10105,
            "key": "0123", "curve_serverkey": None, "location": "here", "pack": "json", "unpack": "json", "signature_scheme": "hmac-sha256"}
    client = dict(both, task_scheme="leastload", notification=10106, broadcast=10107,
                  ersa={"v": 1, "caps": ["attach"], "metrics": "http://127.0.0.1:9"})
    engine = dict(both, hb_ping=10106, hb_pong=10107, broadcast=[10108, 10109], curve_serverkey="x",
                  ersa={"v": 1, "caps": [], "attach": 10110})
    for i, change in enumerate([{}, {"ssh": None, "curve_serverkey": ""}, {"mux": 0}, {"mux": "x"}, {"key": 3}, {"interface": "x"},
                                {"pack": None}, {"ersa": 3}, {"broadcast": None}, {"broadcast": [0]}, {"broadcast": 70000},
                                {"interface": "ipc:///tmp/x"}]):
        yield f"client-{i}", b"\0" + json.dumps(dict(client, **change)).encode()
        yield f"engine-{i}", b"\1" + json.dumps(dict(engine, **change)).encode()
    for i, interface in enumerate(["tcp://10.0.0.256", "tcp://[::1]", "ipc:///tmp/" + "x" * 100, "ipc://x", "udp://127.0.0.1"]):
        yield f"interface-{i}", b"\1" + json.dumps(dict(engine, interface=interface)).encode()
    public, secret = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7", "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"  # those of RFC 26
    yield "server-key", b"\1" + json.dumps(dict(engine, curve_serverkey=public)).encode()
    pair = f'curve\n    public-key = "{public}"\n    secret-key = "{secret}"\n'
    for i, keys in enumerate([pair, pair.replace("rq:", "rq;"), pair.replace("secret", "x"), pair[:-3], pair.replace("JTK", "\xe9TK"),
                              pair * 40, pair.replace("JTKVS", "#####"), pair.replace("rq:rM", "JTKVS")]):
        yield f"keys-{i}", b"\7" + keys.encode("latin-1")
    yield "short", b"\0" + b"{}"
    yield "list", b"\1[]"
    cluster = {"cluster": {"cluster_id": "x", "profile_dir": "/x", "controller_ip": "", "controller_location": None,
                           "controller_args": ["--x"], "delay": 1.5, "n": 4, "class": "ipyparallel.cluster.cluster.Cluster"},
               "controller": {"class": "local", "state": {"pid": 4}}, "engines": {"class": "local", "sets": {"1": {"n": 4}}}}
    yield "cluster", b"\2" + json.dumps(cluster).encode()
    for i, (part, change) in enumerate([("cluster", {"n": None}), ("cluster", {"n": 2e9}), ("cluster", {"controller_args": 3}),
                                        ("cluster", {"cluster_id": None}), ("controller", {"class": 3}), ("controller", {"state": 3}),
                                        ("engines", {"class": 3}), ("engines", {"sets": []}), ("cluster", {"profile_dir": 3}),
                                        ("cluster", {"controller_ip": 3}), ("cluster", {"controller_location": 3}),
                                        ("cluster", {"class": 3})]):
        yield f"cluster-{i}", b"\2" + json.dumps(dict(cluster, **{part: dict(cluster[part], **change)})).encode()
    yield "cluster-empty", b"\2" + json.dumps({"cluster": cluster["cluster"]}).encode()
    yield "cluster-none", b"\2{}"
    config = {"IPController": {"ports": "10101-10105"}, "HubFactory": {"engine_ip": "*"}, "BaseIPythonApplication": {"log_level": 10},
              "Foreign": {"x": [1]}}
    for program in (0, 1, 2, 8, 16):
        for i, value in enumerate([config, dict(config, version=1), dict(config, version=2), {"IPController": 3}, [], b"{",
                                   {"HubFactory": {"no": 1}}]):
            octets_of = value if isinstance(value, bytes) else json.dumps(value).encode()
            yield f"config-{program}-{i}", bytes([3 | program << 3]) + octets_of
            yield f"extra-{program}-{i}", bytes([6 | program << 3]) + octets_of
        yield f"extra-{program}-none", bytes([6 | program << 3 | 0x18 << 3 & 0xff]) + b"{}"
    for form in range(4):
        yield f"extra-form-{form}", bytes([6 | form << 6]) + b"{}"
    for i, python in enumerate([b"# nothing\n\nc = get_config()  # so far\n", b"c.X.y = 1\n", b"c = get_config(); c.X.y = 1\n",
                                b" \t\r\f\n#", b"\0"]):
        yield f"python-{i}", b"\4" + python
        yield f"python-suppressed-{i}", bytes([4 | 16 << 3]) + python
    change = {"insert": [[0, "a"], [-9, "b"], [99, "c"]], "prepend": ["d"], "extend": ["e"]}
    for i, entries in enumerate([[["IPController", "ports", "value", "10101", "f.py", 3]],
                                 [["Foreign", "x", "value", [1], "f.py", 3], ["Foreign", "x", "change", change, "f.py", 4]],
                                 [["IPController", "ip", "opaque", "<x>", "f.py", 1]], [["Foreign", "x", "opaque", "<x>", "f.py", 1]],
                                 [[1, 2]], 3,
                                 [["Foreign", "d", "value", {"a": 1}, "f", 1], ["Foreign", "d", "change", {"update": [{"b": 2}]}, "f", 2]],
                                 [["ControllerLauncher", "controller_args", "value", ["--a"], "f", 1],
                                  ["ControllerLauncher", "controller_args", "change", change, "f", 2]],
                                 [["IPController", "ports", "value", {}, "f", 1]],
                                 [["Foreign", "d", "change", {"update": [{"b": 2}]}, "f", 2]]]):
        for program in range(5):
            yield f"entries-{i}-{program}", bytes([5 | program << 3]) + json.dumps(entries).encode()
