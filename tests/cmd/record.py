# SPDX-License-Identifier: GPL-2.0-or-later
"""watch --record: a file with every fault, and with the totals of the summary, whatever ends the recording."""
import contextlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import tempfile

sys.path[0] += "/.."
from harness import PAGE, ROOT, TargetError, UFFDCTL, contains, eq, fewer, main, ok, run, skip, target, test, wait_until
from harness.record import blocks
from harness.watch import Storm, Watch, backends, complete

BACKENDS = backends(os.environ.get("UFFDCTL_TEST_BACKENDS"))
EXTRA = {"recording", "mapping_waits", "waiters", "longest", "instructions", "left_out"}


@contextlib.contextmanager
def folder():
    with tempfile.TemporaryDirectory(prefix="uffdctl-record.") as d:
        yield d


def size_of(path):
    """0 before watch has made it, which is after it says that it watches."""
    return os.stat(path).st_size if os.path.exists(path) else 0


def report(*files, **kw):
    r = run("report", "-J", *files, timeout=120, **kw).json()
    return r["report"], r["errors"]


def record_storm(path, n, *args):
    """The lines that watch prints while it records a storm of n faults; the storm's own counts."""
    s = Storm("-n", str(n), "-t", "4", "-b", "4")
    w = Watch("--record", path, *args, s.pid)
    s.go()
    counted = s.result()
    return w.lines(timeout=300), counted


def same_as_summary(told, summary):
    """All that the summary says, the report says too."""
    eq(set(told) - set(summary), EXTRA, "keys that the report has more")
    for key in summary:
        eq(told[key], summary[key], key)


@test(limit=120, each={b: (b,) for b in BACKENDS})
def record_totals(backend):
    with folder() as d:
        path, n = f"{d}/record", fewer(50000)
        (summary,), counted = record_storm(path, n, f"--backend={backend}")
        told, errors = report(path, check=0)
        complete(summary)
        eq(errors, [], "errors")
        same_as_summary(told, summary)
        eq((told["recording"]["faults"], told["recording"]["end"]), (counted["messages"], "complete"), "faults in the file")
        eq(told["backend"], backend, "backend")


@test(limit=600)
def record_million():
    """Of 10^6 faults, report's totals are those of the summary, and so are the totals of the single faults."""
    with folder() as d:
        path, n = f"{d}/record", fewer(1000000)
        (summary,), counted = record_storm(path, n)
        told, _ = report(path, check=0)
        same_as_summary(told, summary)
        eq(told["recording"]["faults"], counted["messages"] - summary["lost_events"], "faults in the file")
        ok(os.stat(path).st_size < 40 * n + 65536, f"{os.stat(path).st_size} bytes for {n} faults")
        # All of them, but counted one by one.
        zoomed, _ = report("--time=0-1000h", path, check=0)
        eq((zoomed["pending"], zoomed["delivered"]), (None, None), "what faults do not say is not known")
        if summary["lost_events"]:
            skip("faults were lost, of which the file can't tell; a faster or less busy machine runs the rest")
        for key in ("faults", "ended", "wait_ns", "queue_ns", "handle_ns", "histogram", "unknown_waits"):
            eq(zoomed[key], summary[key], key)
        rows = lambda s: sorted((r["tid"], r["faults"], json.dumps(r["handle_ns"])) for r in s["resolvers"])
        eq(rows(zoomed), rows(summary), "resolvers")


@test(limit=120)
def record_faults():
    """What is in the file is what --line --json prints at the same time."""
    with folder() as d, target("memfd", 64 * PAGE, mode="missing") as (t, m):
        t.child_handler(uffd=t.u, action="copy", seed=1)
        path = f"{d}/record"
        w = Watch("--record", path, "--line", t.pid)
        for th in t.touch(id=m["id"], access="write", threads=4, split=True, value=1)["threads"]:
            wait_until(lambda th=th: t.join(thread=th, timeout_ms=5000)["done"], "thread")
        faults, summary = w.stop()
        eq(len(faults), 64, "faults")
        r = run("report", "--faults", "--json", path, check=0)
        eq([json.loads(line) for line in r.out.splitlines()], faults, "each with all that is known")
        ok(all(f["resolver_pid"] not in (None, t.pid) and f["name"] and f["offset"] is not None for f in faults), "who and where")
        told, _ = report(path, check=0)
        same_as_summary(told, summary)
        lines = run("report", "--faults", "-n", path, check=0).out.splitlines()
        eq(len(lines), 64, "lines")
        contains(lines[0], "/memfd:")


@test(limit=120)
def record_selection():
    with folder() as d, target("memfd", 16 * PAGE, mode="missing") as (t, m):
        t.handler(uffd=t.u, action="copy", seed=1)
        path, half = f"{d}/record", 8 * PAGE
        w = Watch("--record", path, "--range", f"{m['start']:x}+{half}", "--kind=missing", t.pid)
        for th in t.touch(id=m["id"], access="read")["threads"]:
            ok(t.join(thread=th)["done"], "thread")
        w.stop()
        told, _ = report(path, check=0)
        eq((told["faults"]["missing"], told["recording"]["faults"]), (8, 8), "faults")
        eq(told["recording"]["selection"], f"PID {t.pid} --range={m['start']:x}+{half} --kind=missing", "selection")
        eq(told["recording"]["kernel"], os.uname().release, "kernel")


@test(each={b: (b,) for b in BACKENDS})
def record_failures(backend):
    """Ioctls that failed, as the summary has them."""
    with folder() as d, target("anon", mode="missing") as (t, m):
        path = f"{d}/record"
        w = Watch("--record", path, f"--backend={backend}", t.pid)
        wait_until(lambda: size_of(path), "the file")
        for offset in (1, 1, 2):
            with contextlib.suppress(TargetError):
                t.copy(uffd=t.u, id=m["id"], offset=offset, len=PAGE, seed=1)
        _, summary = w.stop()
        told, _ = report(path, check=0)
        same_as_summary(told, summary)
        eq([(f["tid"], f["op"], f["errno"], f["count"]) for f in told["failures"]], [(t.pid, "copy", "EINVAL", 3)], "failures")
        contains(run("report", path, check=0).out, "WHO FAILED")
        eq(report("--time=0-1h", path, check=0)[0]["failures"], None, "of a part it is not known")


@test(limit=120)
def record_killed():
    """At most the last second is missing; a block that was cut in half is left out, and that is said."""
    with folder() as d:
        path = f"{d}/record"
        s = Storm("-t", "2", "-s", "3600")
        w = Watch("--record", path, s.pid)
        s.go()
        # Three blocks with faults, written because time had passed or because they were full: two are cut off below.
        size = 100000
        for _ in range(3):
            wait_until(lambda: size_of(path) > size, "more faults are written", timeout=30)
            size = size_of(path)
        w.p.kill()
        w.p.wait()
        s.kill()
        told, errors = report(path, check=0)
        eq((told["recording"]["end"], errors), ("cut", []), "the recording has no end")
        eq(sum(told["faults"].values()), told["recording"]["faults"], "totals are those of its faults")
        eq((told["pending"], told["teams"]), (None, None), "what faults do not say")
        contains(run("report", path, check=0).out, "no end, as after a kill")
        with open(path, "rb") as f:
            data = f.read()
        starts = blocks(data)
        with open(path, "wb") as f:
            f.write(data[:starts[-2] + 20])
        r = run("report", "-J", path, check=0)
        contains(r.err, "last block is incomplete, as after a kill: its 20 bytes were left out")
        ok(0 < r.json()["report"]["recording"]["faults"] < told["recording"]["faults"], "the rest is there")


@test(limit=120)
def record_each_second():
    """A single fault is in the file soon, also if no other follows it and the recording is killed."""
    with folder() as d, target("memfd", 16 * PAGE, mode="missing") as (t, m):
        t.handler(uffd=t.u, action="copy", seed=1)
        path = f"{d}/record"
        w = Watch("--record", path, t.pid)
        size = wait_until(lambda: size_of(path), "the file")
        ok(t.join(thread=t.touch(id=m["id"], len=PAGE, access="read")["threads"][0])["done"], "thread")

        def faults():
            return os.stat(path).st_size > size and report(path, check=0)[0]["recording"]["faults"]
        eq(wait_until(faults, "the fault is in the file"), 1, "faults")
        w.p.kill()
        w.p.wait()
        eq(report(path, check=0)[0]["recording"]["faults"], 1, "after a kill, too")


@test(limit=120)
def record_size():
    """Older files get numbers, the oldest go, and report puts those that are left together."""
    with folder() as d:
        path, n = f"{d}/record", fewer(200000)
        (summary,), counted = record_storm(path, n, "--record-size=64K")
        names = sorted(os.listdir(d), key=lambda x: (len(x), x))
        eq(names, ["record"] + [f"record.{i}" for i in range(1, len(names))], "files")
        ok(2 <= len(names) <= 9, f"{len(names)} files, of which eight are older")
        ok(all(os.stat(f"{d}/{x}").st_mode & 0o777 == 0o600 for x in names), "nobody else reads them")
        ok(all(os.stat(f"{d}/{x}").st_size < 64 * 1024 * 4 for x in names), "none is much larger")
        r = run("report", "-J", *(f"{d}/{x}" for x in reversed(names)), check=0)
        told = r.json()["report"]
        # Mappings are counted by the faults that are left.
        for key in set(summary) - {"mappings"}:
            eq(told[key], summary[key], f"{key} of the whole recording")
        parts = [f["part"] for f in told["recording"]["files"]]
        eq(parts, list(range(parts[0], parts[0] + len(parts))), "in their order")
        eq(bool(parts[0]), "not given" in r.err, "that older ones are gone is said")
        eq(told["recording"]["faults"] < counted["messages"], bool(parts[0]), "faults")
        first = run("report", "-J", f"{d}/record.1", check=0).json()["report"]["recording"]
        eq(first["end"], "continues", "an older file alone")


@test
def record_file():
    """A file that is there is not overwritten, nor is a symbolic link followed; nobody else may read it."""
    with folder() as d:
        path = f"{d}/record"
        old = os.umask(0)
        try:
            run("watch", "--record", path, "-d", "0.1", check=0)
        finally:
            os.umask(old)
        eq(os.stat(path).st_mode & 0o7777, 0o600, "mode")
        with open(path, "rb") as f:
            before = f.read()
        err = run("watch", "--record", path, "-d", "0.1", check=1).err
        contains(err, "exists already: remove it, or record into another file")
        with open(path, "rb") as f:
            eq(f.read(), before, "contents")
        os.symlink(f"{d}/elsewhere", f"{d}/link")
        contains(run("watch", "--record", f"{d}/link", "-d", "0.1", check=1).err, "exists already")
        ok(not os.path.exists(f"{d}/elsewhere"), "the link was not followed")
        os.rename(path, f"{d}/other.3")
        contains(run("watch", "--record", f"{d}/other", "--record-size=1M", "-d", "0.1", check=1).err, "other.3: exists already")
        contains(run("watch", "--record", f"{d}/no/record", "-d", "0.1", check=1).err, "No such file")


FULL = "mount -t tmpfs -o size=256k none {0} && exec {1} watch --record {0}/record --json -d 60 {2}"


@test(limit=180)
def record_full_disk():
    """It says so and ends with 1, and what was written until then can be read."""
    with folder() as d:
        s = Storm("-t", "4", "-s", "3600", "-b", "4")
        # Its mounts are its own: the file is read while it is there.
        script = FULL.format(d, UFFDCTL, s.pid) + f"; rc=$?; {UFFDCTL} report -J {d}/record; exit $rc"
        script = script.replace("exec ", "")
        p = subprocess.Popen(["unshare", "--mount", "sh", "-c", script], cwd=ROOT, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
        s.go()
        out, err = p.communicate(timeout=150)
        s.kill()
        if "mount:" in err or "unshare:" in err:
            skip("no mounts here; root runs this")
        eq(p.returncode, 1, "exit status")
        contains(err, "No space left on device: recording has ended; what was written until then can be read by uffdctl report")
        eq(err.count("No space left"), 1, "said once")
        told = json.loads(out.splitlines()[-1])["report"]
        eq(told["recording"]["end"], "cut", "end")
        ok(told["recording"]["faults"] > 100, "faults are there")


@test
def record_limit():
    """ulimit -f is like a full disk."""
    with folder() as d:
        s = Storm("-t", "4", "-s", "3600", "-b", "4")
        p = subprocess.Popen([UFFDCTL, "watch", "--record", f"{d}/record", "-d", "60", str(s.pid)], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True,
                             preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000)))
        s.go()
        _, err = p.communicate(timeout=50)
        s.kill()
        eq(p.returncode, 1, "exit status")
        contains(err, "File too large")
        ok(report(f"{d}/record", check=0)[0]["recording"]["faults"], "faults are there")


@test
def record_summary():
    """Without --json, the summary is text, and report prints the same totals."""
    with folder() as d, target("memfd", 16 * PAGE, mode="missing") as (t, m):
        t.handler(uffd=t.u, action="copy", seed=1)
        p = subprocess.Popen([UFFDCTL, "watch", "-v", "--record", f"{d}/record", str(t.pid)], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
        while "watching with" not in (line := p.stderr.readline()):
            ok(line, "watch is attached")
        for th in t.touch(id=m["id"], access="read")["threads"]:
            ok(t.join(thread=th)["done"], "thread")
        p.send_signal(signal.SIGINT)
        out, _ = p.communicate(timeout=30)
        eq(p.returncode, 0, "exit status")
        ok(out.startswith("16 faults in "), f"no lines: {out}")
        told = run("report", f"{d}/record", check=0).out.splitlines()
        of = lambda lines: [re.sub(r" in .* s ", " ", x) for x in lines if re.match(r"\d+ faults in|delivered|wait|queued|handled", x)]
        eq(of(told), of(out.splitlines()), "totals")


@test
def record_usage():
    for args, words in ((["--record="], "--record=: write the name of a file"),
                        (["--record-size=1M"], "--record-size is for --record"),
                        (["--record=x", "--record-size=1K"], "--record-size=1K: write a size"),
                        (["--record=x", "--summary"], "--record alone prints a summary"),
                        (["--record=x", "--control"], "--control works only in the view")):
        contains(run("watch", *args, check=2).err, words)


main()
