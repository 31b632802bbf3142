# SPDX-License-Identifier: BSD-3-Clause
"""Clusters of ours in the hands of the stock ipyparallel, and the other way round."""
import subprocess

from processes import REF_PYTHON, is_alive, wait_until

FROM_FILE = """
import os, sys
import ipyparallel as ipp
cluster = ipp.Cluster.from_file(profile_dir=sys.argv[1])
assert cluster.controller is not None and cluster.n == 2
with cluster.connect_client_sync() as client:
    client.wait_for_engines(2, timeout=30, interactive=False)
    print(sorted(client[:].apply_sync(lambda: 6 * 7)))
if sys.argv[2] == "stop":
    cluster.stop_cluster_sync()
"""
CLIENT = """
import os, sys
import ipyparallel as ipp
with ipp.Client(profile_dir=sys.argv[1], cluster_id=sys.argv[2]) as client:
    client.wait_for_engines(1, timeout=30, interactive=False)
    print(client[:].apply_sync(abs, -3))
"""


def stock(profile, verb, *args):
    return subprocess.run([REF_PYTHON, "-m", "ipyparallel.cluster", verb, f"--profile-dir={profile.dir}", *args],
                          env=profile.env, capture_output=True, text=True, timeout=60)


def test_from_file(profile):
    profile.ipcluster("start", "-n", 2, "--daemonize")
    assert profile.reference(FROM_FILE, "keep") == "[42, 42]"
    # The stock Cluster has rewritten the file; it is still good enough for us.
    assert "True          2 Local" in profile.ipcluster("list").stdout
    profile.ipcluster("stop")
    profile.wait_gone()


def test_stopped_by_a_stock_cluster(profile):
    profile.ipcluster("start", "-n", 2, "--daemonize")
    owner = profile.owner()
    assert profile.reference(FROM_FILE, "stop") == "[42, 42]"
    wait_until(lambda: not is_alive(owner), "end of our ipcluster")
    profile.wait_gone()
    assert not profile.file().exists() and not profile.pid_file().exists()


def test_client_by_profile(profile):
    profile.ipcluster("start", "-n", 1, "--daemonize", "--cluster-id=c")
    assert profile.reference(CLIENT, "c") == "[3]"
    profile.ipcluster("stop", "c")


def test_stock_list_and_stop(profile):
    profile.ipcluster("start", "-n", 2, "--daemonize")
    owner = profile.owner()
    done = stock(profile, "list")
    assert done.stdout.splitlines()[1].split()[1:] == ["''", "True", "2", "Local"], done.stdout + done.stderr
    done = stock(profile, "stop")
    assert done.returncode == 0, done.stderr
    wait_until(lambda: not is_alive(owner), "end of our ipcluster")
    profile.wait_gone()
    assert not profile.file().exists()


def test_stop_of_a_stock_cluster(profile):
    profile.make()
    done = stock(profile, "start", "-n", "2", "--daemonize")
    assert done.returncode == 0, done.stderr
    assert "True          2 Local" in profile.ipcluster("list").stdout
    profile.ipcluster("start", code=10)
    profile.ipcluster("stop")
    profile.wait_gone()
    assert not profile.file().exists()
