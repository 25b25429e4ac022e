# SPDX-License-Identifier: GPL-2.0-or-later
"""serve --inject: ranges that are registered for as long as they are served, in processes that know nothing of it."""
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path[0] += "/.."
from harness import (BUILD, PAGE, SLOW, Target, contains, eq, fdinfo, image, main, ok, run, skip, stopped, target, test,
                     wait_until)
from harness.serve import Serve, joined, touch, zeros

NR = 64
SEED = 9


def registered(pid):
    return run("smaps", "-J", pid, check=0).json()["smaps"]


def area(m, nr=NR):
    return f"{m['addr']}+{nr * PAGE}"


@contextlib.contextmanager
def plain(kind="anon", **how):
    """A process that has no userfaultfd."""
    with Target() as t:
        yield t, t.memory(kind, NR * PAGE, **how)


# ---- the ranges ----

@test(each={"anon": ("anon", "missing"), "shmem": ("memfd", "minor,missing"), "private": ("memfd", "missing", False)})
def serve_inject_from(kind, mode, shared=True):
    """Served, and with --until-complete the process is as before, a descriptor aside."""
    with plain(kind, shared=shared) as (t, m), image(NR) as img:
        files = len(os.listdir(f"/proc/{t.pid}/fd"))
        args = ("--inject", "-m", mode, "--from", img.name, "--until-complete", t.pid, area(m))
        with Serve(*args) as s:
            eq((s.start["holder"], s.start["done"]), (t.pid, 0), "start")
            joined(t, touch(t, m, seed=SEED))
            end = s.ended(0)
        eq((end["reason"], end["demand"]), ("complete", NR * PAGE), f"end: {end}")
        eq(registered(t.pid), [], "nothing is registered")
        eq(len(os.listdir(f"/proc/{t.pid}/fd")), files + 1, "one descriptor")
        eq(t.check(id=m["id"], seed=SEED)["differ"], 0, "contents")
        with Serve("--inject", "-m", mode, "--zero", "--prefault", "--until-complete", t.pid, area(m)) as s:
            eq(s.ended(0)["reason"], "complete", "there is one already: it is used")
        eq(len(os.listdir(f"/proc/{t.pid}/fd")), files + 1, "one descriptor")


@test
def serve_inject_keep_stopped():
    """Ctrl-C: what it has registered is unregistered, what was registered before stays; the process goes on."""
    with plain() as (t, m):
        n = t.memory("memfd", NR * PAGE)
        run("register", "-q", "--inject", "-m", "missing", t.pid, area(n), check=0)
        with Serve("--inject", "-m", "missing", "--keep", t.pid, area(m), area(n)) as s:
            joined(t, touch(t, m, len=NR // 2 * PAGE) + touch(t, n, len=PAGE))
            eq(len(registered(t.pid)), 2, "both")
            s.stop()
        eq([r["start"] for r in registered(t.pid)], [n["addr"]], "the other one stays")
        joined(t, touch(t, m))
        zeros(t, m, size=NR * PAGE)


@test(each={"int": (signal.SIGINT,), "kill": (signal.SIGKILL,)})
def serve_inject_keep_ends(sig):
    """Its userfaultfd is its own: nothing is left in the process, who waits goes on, also when it is killed."""
    with plain() as (t, m):
        files = sorted(os.listdir(f"/proc/{t.pid}/fd"))
        with Serve("--inject", "-m", "missing", "--keep", t.pid, area(m)) as s:
            eq((s.start["holder"], sorted(os.listdir(f"/proc/{t.pid}/fd"))), (s.proc.pid, files), "who holds it")
            joined(t, touch(t, m, len=NR // 2 * PAGE))
            s.proc.send_signal(signal.SIGSTOP)
            wait_until(lambda: stopped(s.proc.pid), "it is stopped")
            ths = touch(t, m)
            wait_until(lambda: run("pending", "-J", t.pid).json()["pending"], "they wait")
            s.proc.send_signal(sig)
            s.proc.send_signal(signal.SIGCONT)
            s.proc.wait(timeout=30 * SLOW)
        joined(t, ths)
        eq((registered(t.pid), sorted(os.listdir(f"/proc/{t.pid}/fd"))), ([], files), "as before")
        zeros(t, m, size=NR * PAGE)


@test(each={f"{kind}-{source.strip('-')}{end}": (kind, mode, source, end) for kind, mode in (("anon", "missing"), ("memfd", "minor,missing"))
            for source in ("--keep", "--zero") for end in ("", "-complete")})
def serve_inject_grown(kind, mode, source, end):
    """What has grown from a range, in its place, is registered with it: it has what it would have, and goes free with it."""
    with Target() as t:
        m = t.memory(kind, 2 * NR * PAGE)
        if kind == "memfd":
            t.fill(id=m["id"], offset=NR * PAGE, len=NR // 2 * PAGE, seed=SEED)
        t.mremap(id=m["id"], new_size=NR * PAGE, move=False)
        options = ["--prefault", "--until-complete", f"--rate={NR // 2 * PAGE}"] if end else ["--on-death=hold"]
        with Serve("--inject", "-m", mode, source, *options, t.pid, area(m)) as s:
            eq(t.mremap(id=m["id"], new_size=2 * NR * PAGE, move=False)["addr"], m["addr"], "it stays in its place")
            joined(t, touch(t, m, offset=NR * PAGE, len=NR // 4 * PAGE, **({"seed": SEED} if kind == "memfd" else {})))
            joined(t, touch(t, m, offset=NR * 3 // 2 * PAGE, len=NR // 4 * PAGE))
            last = s.ended() if end else s.stop(rc=0)
        eq((last["errors"], last["held"]), (0, 0), f"end: {last}")
        if end or source == "--keep":
            eq(registered(t.pid), [], "nothing is registered")
            joined(t, touch(t, m, offset=NR * PAGE))
        zeros(t, m, NR * 3 // 2 * PAGE, NR // 4 * PAGE)


@test
def serve_inject_no_file():
    """What can't begin for want of its file makes nothing in the process."""
    with plain() as (t, m):
        files = sorted(os.listdir(f"/proc/{t.pid}/fd"))
        contains(run("serve", "--inject", "-m", "missing", "--from", "nofile", t.pid, area(m), check=1).err, "nofile: No such file")
        eq(sorted(os.listdir(f"/proc/{t.pid}/fd")), files, "descriptors")


@test
def serve_inject_grown_beside():
    """What is registered beside it, and not served, is not taken for grown: who faults there waits, and is told of."""
    with Target() as t:
        m = t.memory("anon", NR * PAGE)
        half = NR // 2 * PAGE
        run("register", "-q", "--inject", "-m", "missing", t.pid, area(m), check=0)
        with Serve("--inject", "-m", "missing", "--zero", t.pid, f"{m['addr']}+{half}") as s:
            ths = touch(t, m, offset=half, len=PAGE, threads=1)
            contains(s.error(), "not in the ranges that are served")
            s.stop(1)
        run("unregister", "-q", t.pid, "all", check=0)
        joined(t, ths)


@test
def serve_inject_keep_changed():
    """Half of it has been replaced by memory that can't be registered: the rest is unregistered all the same."""
    if not os.access(BUILD, os.W_OK):
        skip("needs a file on a file system that has no userfaultfd; a build folder that can be written to runs this")
    with plain() as (t, m), tempfile.NamedTemporaryFile(dir=BUILD) as f:
        with Serve("--inject", "-m", "missing", "--keep", t.pid, area(m)) as s:
            t.munmap(id=m["id"], offset=NR // 4 * PAGE, len=NR // 4 * PAGE)
            t.map(kind="file", size=NR // 4 * PAGE, path=f.name, shared=False, addr=hex(m["start"] + NR // 4 * PAGE))
            s.stop()
        eq((registered(t.pid), s.err), ([], ""), "nothing is registered")
        joined(t, touch(t, m, len=NR // 4 * PAGE) + touch(t, m, offset=NR // 2 * PAGE, len=NR // 2 * PAGE))


@test(each={"int": (signal.SIGINT,), "kill": (signal.SIGKILL,)})
def serve_inject_contents_stopped(sig):
    """With contents, what is left would be zeros: faults wait, which is said, for the next one."""
    with plain() as (t, m), image(NR) as img:
        args = ("--inject", "-m", "missing", "--from", img.name, t.pid, area(m))
        with Serve(*args) as s:
            joined(t, touch(t, m, len=NR // 2 * PAGE, seed=SEED))
            s.proc.send_signal(sig)
            if sig == signal.SIGKILL:
                s.proc.wait()
            else:
                eq(s.ended(0)["reason"], "stopped", "reason")
                contains(s.err, f"stay registered, and threads that fault there wait: serve them again with uffdctl serve")
        ths = touch(t, m, seed=SEED)
        fd = run("list", "-J", t.pid).json()["list"][0]["fd"]
        wait_until(lambda: fdinfo(t.pid, fd)["total"] > 0, "they wait")
        with Serve(*args) as s:
            joined(t, ths)
            s.stop()
        eq(t.check(id=m["id"], seed=SEED)["differ"], 0, "contents")
        run("unregister", "-q", t.pid, "all", check=0)


@test
def serve_inject_fails():
    """What it could not begin with is undone; and what a handler of the process's own serves is not touched."""
    with plain() as (t, m), image(1) as img:
        contains(run("serve", "--inject", "-m", "missing", "--from", img.name, t.pid, area(m), check=1).err, "too short")
        eq(registered(t.pid), [], "nothing stays registered")
        contains(run("serve", "--inject", "--zero", t.pid, area(m), check=1).err, "minor needs shmem")
        contains(run("serve", "--inject", "-m", "missing", "--zero", t.pid, area(m), "@?stack?x", check=1).err, "no mapping has")
        eq(registered(t.pid), [], "nothing stays registered")
        joined(t, touch(t, m))
    with target(size=NR * PAGE, seed=SEED, mode="minor") as (t, m):
        n = t.memory("anon", NR * PAGE)
        t.handler(uffd=t.u, action="continue")
        contains(run("serve", "--inject", "-m", "missing", "--zero", t.pid, area(n), check=1).err, "a handler reads the messages")
        eq([r["start"] for r in registered(t.pid)], [m["addr"]], "nothing else is registered")


@test
def serve_inject_dry_run():
    with plain() as (t, m):
        files = len(os.listdir(f"/proc/{t.pid}/fd"))
        r = run("serve", "--inject", "-m", "missing", "--zero", "--dry-run", t.pid, area(m), check=0)
        contains(r.err, "dry run: nothing was changed")
        eq((r.out, registered(t.pid), len(os.listdir(f"/proc/{t.pid}/fd"))), ("", [], files), "nothing was changed")
        contains(run("serve", "--inject", "--zero", "--dry-run", t.pid, area(m), check=1).err, "minor needs shmem")


@test
def serve_inject_usage():
    for args, text in ((("-m", "missing", "--zero", 1), "--mode needs --inject"), (("--inject", "--zero", 1), "no RANGE given"),
                       (("--inject", "-f", 3, "--zero", 1, "all"), "--fd names one"),
                       (("--inject", "-m", "x", "--zero", 1, "all"), "write minor, missing")):
        contains(run("serve", *args, check=2).err, text)


# ---- programs of others ----

PYTHON = """
import hashlib, mmap, sys
m = mmap.mmap(-1, 16 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
sys.stdout.write('ready\\n'); sys.stdout.flush()
sys.stdin.readline()
x = {i: str(i) * (i % 1000) for i in range(20000)}
for i in range(0, len(m), 4096):
    m[i] = i >> 12 & 255
print(hashlib.sha256(m).hexdigest(), hashlib.sha256(repr(x).encode()).hexdigest(), sum(map(len, x.values())))
"""
SQL = """
create table t(a integer primary key, b text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 50000) insert into t select i, hex(i * i) || printf('%.100c', 'x') from n;
create index u on t(b);
select count(*), sum(length(b)), max(b), min(b) from t;
delete from t where a % 3 = 0;
select count(*), sum(a), max(b) from t where b > '4';
"""


@test(each={f"{p}-{s.strip('-')}": (p, s) for p in ("python3", "sqlite3") for s in ("--keep", "--zero")}, limit=120)
def serve_inject_program(name, source):
    """From start to end with the same output: heap, stack, libraries' data and what it had mapped are served."""
    program = shutil.which(name)
    if not program:
        skip(f"there is no {name}")
    args = [program, "-c", PYTHON] if name == "python3" else [program, "-batch", ":memory:"]
    first, rest = (b"", b"\n") if name == "python3" else (b"select 'ready';\n", SQL.encode())

    def start():
        p = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        p.stdin.write(first)
        p.stdin.flush()
        eq(p.stdout.readline(), b"ready\n", "it has started")
        return p

    def finish(p):
        out, _ = p.communicate(rest, timeout=60 * SLOW)
        eq(p.returncode, 0, "exit status")
        return out

    want = finish(start())
    p = start()
    with Serve("--inject", "-m", "missing", source, "--prefault", p.pid, "all") as s:
        eq(finish(p), want, "its output")
        end = s.ended(0)
    eq((end["reason"], end["errors"]), ("gone", 0), f"end: {end}")
    ok(end["zero"] > 0, f"end: {end}")


main()
