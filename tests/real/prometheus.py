# SPDX-License-Identifier: GPL-2.0-or-later
"""watch --openmetrics: checked by promtool, and read by Prometheus through node_exporter while faults come."""
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request

sys.path[0] += "/.."
from harness import PAGE, ROOT, TargetError, UFFDCTL, eq, main, ok, run, skip, spawn, target, test, wait_until

FAULTS = 500
THREADS = 4


def need(*programs):
    for p in programs:
        if not shutil.which(p):
            skip(f"{p} is not installed; Debian's packages prometheus and prometheus-node-exporter run this")
    if os.geteuid():
        skip("watch needs BPF; root runs this")


def metrics(path):
    """Values by name and labels, as written."""
    with open(path) as f:
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in f if not line.startswith("#")}


# A thread that is woken too late by something else faults anew, and then there is a fault more than pages.
LATE = 5


def minor(seen):
    """Minor faults that have ended, however."""
    return sum(v for k, v in seen.items() if k.startswith('uffd_faults_total{kind="minor"'))


def near(n, want, text):
    ok(want <= n <= want + LATE, f"{text}: {n}, expected {want} or a few more")


@contextlib.contextmanager
def writing(directory, pid, *args):
    path = os.path.join(directory, "uffdctl.prom")
    p = spawn("watch", "--openmetrics", path, "--interval=200ms", *args, pid)
    try:
        wait_until(lambda: os.path.exists(path) or p.poll() is not None, "the first file")
        yield p, path
    finally:
        p.terminate()
        eq(p.wait(), 0, "exit status")


def faults(t, m, first, nr=FAULTS):
    """Minor faults that a handler resolves."""
    for th in t.touch(id=m["id"], offset=first * PAGE, len=nr * PAGE, access="read", threads=THREADS,
                      split=True)["threads"]:
        ok(t.join(thread=th)["done"], "thread")


@test
def real_prometheus_promtool():
    need("promtool")
    with tempfile.TemporaryDirectory() as d, target(size=FAULTS * PAGE, seed=1, mode="minor") as (t, m):
        t.handler(uffd=t.u, action="continue")
        with writing(d, t.pid) as (_, path):
            faults(t, m, 0)
            for _ in range(2):
                with contextlib.suppress(TargetError):
                    t.copy(uffd=t.u, id=m["id"], offset=1, len=PAGE, seed=1)
            wait_until(lambda: minor(metrics(path)) >= FAULTS, "all counted")
            wait_until(lambda: metrics(path).get('uffd_ioctl_errors_total{op="copy",errno="EINVAL"}') == 2, "errors")
            with open(path) as f:
                r = subprocess.run(["promtool", "check", "metrics"], stdin=f, capture_output=True, text=True)
            eq((r.returncode, r.stdout, r.stderr), (0, "", ""), "promtool check metrics")
            seen = metrics(path)
        for part in ("wait", "queue", "handle"):
            name = f"uffd_fault_{part}_seconds"
            eq(seen[f"{name}_count"], seen[name + '_bucket{le="+Inf"}'], name)
            ok(FAULTS - LATE <= seen[f"{name}_count"] <= FAULTS + LATE, f"{name}_count: {seen[f'{name}_count']}")
            le = [v for k, v in seen.items() if k.startswith(f"{name}_bucket")]
            eq(le, sorted(le), f"{name} is cumulative")
            ok(seen[f"{name}_sum"] > 0, f"{name}_sum")
        near(minor(seen), FAULTS, "faults")
        near(seen['uffd_process_faults_total{process="target"}'], FAULTS, "by name of the process")
        eq(os.listdir(d), ["uffdctl.prom"], "no other file is left")


@test
def real_prometheus_pending():
    """Threads that wait, and how long."""
    need()
    with tempfile.TemporaryDirectory() as d, target(seed=1, mode="minor") as (t, m), writing(d, t.pid) as (_, path):
        eq((metrics(path)["uffd_pending_threads"], metrics(path)["uffd_longest_wait_seconds"]), (0, 0), "none")
        t.touch(id=m["id"], len=2 * PAGE, access="read", threads=2, split=True)
        wait_until(lambda: metrics(path)["uffd_pending_threads"] == 2, "two wait")
        wait_until(lambda: metrics(path)["uffd_longest_wait_seconds"] > 0.3, "for some time")


@test
def real_prometheus_unwritable():
    with target() as (t, _):
        run("watch", "--openmetrics", "/nonexistent/file.prom", "-d", "1", t.pid, check=1)
        run("watch", "--openmetrics", "", t.pid, check=2)
        run("watch", "--openmetrics", "/tmp/x.prom", "--line", t.pid, check=2)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def started(*argv):
    p = subprocess.Popen(list(map(str, argv)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield p
    finally:
        p.terminate()
        p.wait()


def ask(port, query):
    url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": query})
    try:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=5) as r:
            result = json.load(r)["data"]["result"]
    except OSError:
        return None
    return float(result[0]["value"][1]) if result else None


def dashboard():
    """What the dashboard asks for, with its variables set."""
    with open(os.path.join(ROOT, "dist/uffdctl-dashboard.json")) as f:
        panels = json.load(f)["panels"]
    return [t["expr"].replace("$instance", ".*").replace("$__rate_interval", "1m") for p in panels for t in p["targets"]]


@test
def real_prometheus_service():
    """The command of the unit works with the capabilities that it leaves."""
    need("setpriv")
    with open(os.path.join(ROOT, "dist/uffdctl-metrics.service")) as f:
        unit = dict(line.strip().split("=", 1) for line in f if "=" in line and not line.startswith("#"))
    caps = unit["CapabilityBoundingSet"].lower().replace("cap_", "+").split()
    argv = unit["ExecStart"].split()
    with tempfile.TemporaryDirectory() as d:
        argv[0], argv[-1] = UFFDCTL, os.path.join(d, os.path.basename(argv[-1]))
        r = subprocess.run(["setpriv", "--bounding-set", ",".join(["-all", *caps]), "--no-new-privs", *argv, "-d", "0.5"],
                           capture_output=True, text=True)
        eq((r.returncode, r.stdout, r.stderr), (0, "", ""), "watch")
        ok("uffd_pending_threads" in metrics(argv[-1]), "its file")


@test(limit=120)
def real_prometheus_scrape():
    """Prometheus has the counts while faults come, and the last one when they have ended."""
    need("prometheus", "prometheus-node-exporter")
    exporter, port = free_port(), free_port()
    with tempfile.TemporaryDirectory() as d, target(size=4 * FAULTS * PAGE, seed=1, mode="minor") as (t, m):
        os.chmod(d, 0o755)
        text, config = os.path.join(d, "text"), os.path.join(d, "prometheus.yml")
        os.mkdir(text)
        with open(config, "w") as f:
            f.write("global: {scrape_interval: 200ms}\nscrape_configs:\n- job_name: node\n  static_configs:\n"
                    f"  - targets: ['127.0.0.1:{exporter}']\n")
        t.handler(uffd=t.u, action="continue")
        query = 'sum(uffd_faults_total{kind="minor"})'
        with writing(text, t.pid), \
                started("prometheus-node-exporter", "--collector.disable-defaults", "--collector.textfile",
                        f"--collector.textfile.directory={text}", f"--web.listen-address=127.0.0.1:{exporter}"), \
                started("prometheus", f"--config.file={config}", f"--storage.tsdb.path={d}/data",
                        f"--web.listen-address=127.0.0.1:{port}"):
            wait_until(lambda: ask(port, query) == 0, "Prometheus has the first file", timeout=60)
            for i in range(4):
                faults(t, m, i * FAULTS)
                wait_until(lambda i=i: ask(port, query) >= (i + 1) * FAULTS, "Prometheus has them", timeout=20)
            near(ask(port, query), 4 * FAULTS, "all")
            eq(ask(port, "histogram_quantile(1, uffd_fault_wait_seconds_bucket) > 0") is not None, True, "a quantile")
            for expr in dashboard():
                ok(ask(port, expr) is not None, f"the dashboard's {expr}")


main()
