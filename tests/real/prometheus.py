# SPDX-License-Identifier: GPL-2.0-or-later
"""watch --openmetrics: checked by promtool, and read by Prometheus through node_exporter while faults come."""
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.error
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


def fail(t, m, nr):
    """Ioctls that fail."""
    for _ in range(nr):
        with contextlib.suppress(TargetError):
            t.copy(uffd=t.u, id=m["id"], offset=1, len=PAGE, seed=1)


@test
def real_prometheus_promtool():
    need("promtool")
    with tempfile.TemporaryDirectory() as d, target(size=FAULTS * PAGE, seed=1, mode="minor") as (t, m):
        t.handler(uffd=t.u, action="continue")
        with writing(d, t.pid) as (_, path):
            faults(t, m, 0)
            fail(t, m, 2)
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
def real_prometheus_mapping():
    """By mapping, if this is asked for: two of a process, and one without a name."""
    need("promtool")
    with tempfile.TemporaryDirectory() as d, target(size=FAULTS * PAGE, seed=1, mode="minor") as (t, m):
        t.handler(uffd=t.u, action="continue")
        with writing(d, t.pid, "--by-mapping") as (_, path):
            faults(t, m, 0)
            second = t.userfaultfd()
            other = t.memory("anon", size=8 * PAGE, mode="missing", uffd=second)
            t.handler(uffd=second, action="copy", seed=1)
            faults(t, other, 0, 8)
            name = 'uffd_mapping_faults_total{process="target",mapping="%s"}'
            wait_until(lambda: metrics(path).get(name % "[anon]") == 8 and minor(metrics(path)) >= FAULTS, "all counted")
            seen = metrics(path)
            with open(path) as f:
                r = subprocess.run(["promtool", "check", "metrics"], stdin=f, capture_output=True, text=True)
            eq((r.returncode, r.stdout, r.stderr), (0, "", ""), "promtool check metrics")
        named = [k for k in seen if k.startswith('uffd_mapping_faults_total{process="target",mapping="/memfd:')]
        eq(len(named), 1, f"mappings: {seen}")
        near(seen[named[0]], FAULTS, "faults of the memfd")
        ok(seen[named[0].replace("faults_total", "wait_seconds_total")] > 0, "their waits")
        os.unlink(path)
        with writing(d, t.pid) as (_, path):
            ok("uffd_mapping" not in open(path).read(), "not without --by-mapping")
        for args in ([], ["--summary"], ["--line"]):
            run("watch", "--by-mapping", *args, t.pid, check=2)


@test
def real_prometheus_serve():
    """serve --openmetrics."""
    need("promtool")
    with tempfile.TemporaryDirectory() as d, target(size=FAULTS * PAGE, mode="missing") as (t, m):
        path = os.path.join(d, "serve.prom")
        with open(f"{d}/image", "wb") as f:
            f.write(os.urandom(FAULTS * PAGE))
        p = spawn("serve", "-q", "--from", f"{d}/image", "--openmetrics", path, t.pid, "all")
        try:
            wait_until(lambda: os.path.exists(path) or p.poll() is not None, "the first file")
            faults(t, m, 0, FAULTS // 2)
            by = 'uffd_filled_bytes_total{process="target",by="demand"}'
            wait_until(lambda: metrics(path).get(by) == FAULTS // 2 * PAGE, "what was filled")
            seen = metrics(path)
            with open(path) as f:
                r = subprocess.run(["promtool", "check", "metrics"], stdin=f, capture_output=True, text=True)
            eq((r.returncode, r.stdout, r.stderr), (0, "", ""), "promtool check metrics")
        finally:
            p.terminate()
            eq(p.wait(), 0, "exit status")
        eq(seen['uffd_complete_ratio{process="target"}'], 0.5, "the half is there")
        near(seen['uffd_serve_faults_total{process="target",kind="missing"}'], FAULTS // 2, "faults")
        eq(seen['uffd_serve_errors_total{process="target"}'], 0, "errors")
        run("serve", "--keep", "--openmetrics", "", t.pid, check=2)
        eq(sorted(os.listdir(d)), ["image", "serve.prom"], "no other file is left")


@test
def real_prometheus_pending():
    """Threads that wait, and how long."""
    need()
    with tempfile.TemporaryDirectory() as d, target(seed=1, mode="minor") as (t, m), writing(d, t.pid) as (_, path):
        eq((metrics(path)["uffd_pending_threads"], metrics(path)["uffd_longest_wait_seconds"]), (0, 0), "none")
        t.touch(id=m["id"], len=2 * PAGE, access="read", threads=2, split=True)
        wait_until(lambda: metrics(path)["uffd_pending_threads"] == 2, "two wait")
        wait_until(lambda: metrics(path)["uffd_longest_wait_seconds"] > 0.3, "for some time")


def get(url, method="GET"):
    """Status, type and text."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, method=method), timeout=5) as r:
            return r.status, r.headers["Content-Type"], r.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, None, e.read().decode()


@test
def real_prometheus_listen():
    """By HTTP, made anew for each request; only for this machine, and only what is asked for."""
    need("promtool")
    for args, status in ((["--listen="], 2), (["--listen=x"], 2), (["--listen=65536"], 2), (["--listen=:1"], 2),
                         (["--listen=1", "--json"], 2), (["--listen=1", "--openmetrics=/tmp/x"], 2),
                         (["--listen=1", "--interval=1"], 2), (["--listen=localhost:0"], 1), (["--listen=192.0.2.1:0"], 1)):
        run("watch", *args, "-d", "0.01", check=status)
    with target(size=FAULTS * PAGE, seed=1, mode="minor") as (t, m), tempfile.TemporaryFile() as err:
        t.handler(uffd=t.u, action="continue")
        p = spawn("watch", "--listen=0", t.pid, stderr=err)
        try:
            said = wait_until(lambda: re.search(r"http://127\.0\.0\.1:\d+", os.pread(err.fileno(), 4096, 0).decode()), "it listens")
            faults(t, m, 0)
            status, kind, text = get(said[0] + "/metrics")
            eq((status, kind), (200, "text/plain; version=0.0.4; charset=utf-8"), "answer")
            r = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
            eq((r.returncode, r.stdout, r.stderr), (0, "", ""), "promtool check metrics")
            near(sum(float(line.split()[-1]) for line in text.split("\n") if line.startswith('uffd_faults_total{kind="minor"')), FAULTS, "faults")
            eq([get(said[0] + path)[0] for path in ("/", "/other", "/metrics/..")], [200, 404, 404], "other paths")
            eq(get(said[0] + "/metrics", "POST")[0], 405, "POST")
            run("watch", f"--listen={said[0].rsplit(':', 1)[1]}", t.pid, check=1)  # the port is taken
            # A client that says nothing keeps nobody waiting, and the end of the process ends all.
            with socket.create_connection(("127.0.0.1", int(said[0].rsplit(":", 1)[1]))):
                eq(get(said[0] + "/metrics")[0], 200, "answer")
                t.kill()
                eq(p.wait(timeout=10), 0, "exit status")
        finally:
            p.kill()
            p.wait()


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


@contextlib.contextmanager
def by_file(directory, port, pid):
    """node_exporter at this port, with the file of watch."""
    need("prometheus-node-exporter")
    text = os.path.join(directory, "text")
    os.mkdir(text)
    with writing(text, pid), started("prometheus-node-exporter", "--collector.disable-defaults", "--collector.textfile",
                                     f"--collector.textfile.directory={text}", f"--web.listen-address=127.0.0.1:{port}"):
        yield


@contextlib.contextmanager
def by_http(_, port, pid):
    """watch itself at this port."""
    p = spawn("watch", "--listen", port, pid)
    try:
        yield
    finally:
        p.terminate()
        eq(p.wait(), 0, "exit status")


@test(limit=120, each={"file": (by_file,), "http": (by_http,)})
def real_prometheus_scrape(way):
    """Prometheus has the counts while faults come, and the last one when they have ended."""
    need("prometheus")
    source, port = free_port(), free_port()
    with tempfile.TemporaryDirectory() as d, target(size=4 * FAULTS * PAGE, seed=1, mode="minor") as (t, m):
        os.chmod(d, 0o755)
        config = os.path.join(d, "prometheus.yml")
        with open(config, "w") as f:
            f.write("global: {scrape_interval: 200ms}\nscrape_configs:\n- job_name: node\n  static_configs:\n"
                    f"  - targets: ['127.0.0.1:{source}']\n")
        t.handler(uffd=t.u, action="continue")
        query = 'sum(uffd_faults_total{kind="minor"})'
        with way(d, source, t.pid), started("prometheus", f"--config.file={config}", f"--storage.tsdb.path={d}/data",
                                            f"--web.listen-address=127.0.0.1:{port}"):
            wait_until(lambda: ask(port, query) == 0, "Prometheus has the first totals", timeout=60)
            fail(t, m, 2)
            for i in range(4):
                faults(t, m, i * FAULTS)
                wait_until(lambda i=i: ask(port, query) >= (i + 1) * FAULTS, "Prometheus has them", timeout=20)
            near(ask(port, query), 4 * FAULTS, "all")
            eq(ask(port, "histogram_quantile(1, uffd_fault_wait_seconds_bucket) > 0") is not None, True, "a quantile")
            for expr in dashboard():
                ok(ask(port, expr) is not None, f"the dashboard's {expr}")


main()
