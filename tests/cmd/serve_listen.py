# SPDX-License-Identifier: GPL-2.0-or-later
"""serve --listen and --openmetrics: what was done, for Prometheus."""
import os
import re
import socket
import sys
import tempfile
import urllib.error
import urllib.request

sys.path[0] += "/.."
from harness import PAGE, contains, eq, image, main, ok, run, target, test, wait_until
from harness.serve import Serve, joined, touch

NR, SEED = 64, 9


def get(url, method="GET"):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=20) as r:
            return r.status, r.read().decode()
    except urllib.error.HTTPError as e:
        return e.code, e.read().decode()


def samples(text):
    return {line.rsplit(" ", 1)[0].replace('process="target"', ""): float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line[0] != "#"}


def numbers(url):
    status, text = get(url + "/metrics")
    eq(status, 200, "status")
    now = samples(text)
    return now['uffd_filled_bytes_total{,by="demand"}'], now['uffd_serve_faults_total{,kind="missing"}'], now["uffd_complete_ratio{}"]


def said_address(f):
    return wait_until(lambda: re.search(r"http://127\.0\.0\.1:\d+", os.pread(f.fileno(), 4096, 0).decode()), "it listens")[0]


@test
def serve_listen():
    """Made anew for each request, while output is not read; the same as in the file."""
    with target("anon", NR * PAGE, mode="missing") as (t, m), image(NR) as img, tempfile.TemporaryFile() as err, tempfile.TemporaryDirectory() as d:
        with Serve(t.pid, "--from", img.name, "--listen=0", "--openmetrics", f"{d}/file.prom", stderr=err) as s:
            url = said_address(err)
            for nr in (8, 16):
                joined(t, touch(t, m, threads=1, order="seq", len=nr * PAGE, seed=SEED))
                wait_until(lambda: numbers(url) == (nr * PAGE, nr, nr / NR), "it is counted")  # a thread goes on a little before that
            now = samples(get(url + "/metrics")[1])
            eq([get(url + p)[0] for p in ("/", "/other")], [200, 404], "other pages")
            eq(get(url + "/metrics", "POST")[0], 405, "POST")
            contains(run("serve", t.pid, "--zero", f"--listen={url.rsplit(':', 1)[1]}", check=1).err, "Address already in use")
            # A client that says nothing holds up neither faults nor the end.
            with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1]))):
                joined(t, touch(t, m, seed=SEED))
                s.proc.send_signal(2)
                eq(s.proc.wait(timeout=20), 0, "it ends")
            with open(f"{d}/file.prom") as f:
                last = samples(f.read())
        eq(last.keys(), now.keys(), "the same numbers")
        eq(last["uffd_complete_ratio{}"], 1, f"{last}")


@test
def serve_listen_refused():
    with target("anon", NR * PAGE, mode="missing") as (t, m):
        for args, rc in (("--listen=", 2), ("--listen=x", 2), ("--listen=65536", 2), ("--listen=:1", 2), ("--listen=localhost:0", 1),
                         ("--listen=192.0.2.1:0", 1)):
            ok("listen" in run("serve", t.pid, "--zero", args, check=rc).err, args)
        contains(run("serve", "--handoff=x", "--zero", "--listen=192.0.2.1:0", check=1).err, "--listen=192.0.2.1:0: Cannot assign")
        eq(run("serve", "--dry-run", t.pid, "--zero", "--listen=0", check=0).err.count("listening"), 0, "a dry run does not listen")


main()
