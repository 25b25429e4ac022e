# SPDX-License-Identifier: GPL-2.0-or-later
"""pending: which threads wait, on what, without anything having run before."""
import ctypes
import json
import os
import sys
import tempfile
import time

sys.path[0] += "/.."
from harness import PAGE, Target, contains, eq, fdinfo, fewer, main, ok, run, spawn, target, test, wait_until


def rows(*args, rc=0):
    return run("pending", "-J", *args, check=rc).json()["pending"]


@test
def pending_kinds():
    """Minor, missing and write-protect, read and write, by the thread and by the kernel for it."""
    with target() as (t, m):
        a = t.memory("anon")
        t.fill(id=m["id"], seed=1)
        t.register(uffd=t.u, id=m["id"], mode=["minor", "wp"])
        t.register(uffd=t.u, id=a["id"], mode=["missing"])
        t.continue_(uffd=t.u, id=m["id"], offset=8 * PAGE, len=PAGE)
        t.writeprotect(uffd=t.u, id=m["id"], offset=8 * PAGE, len=PAGE, protect=True)
        want = set()
        for mapping, page, access, kind in ((m, 0, "read", "minor"), (m, 1, "write", "minor"), (m, 8, "write", "wp"),
                                            (a, 2, "read", "missing"), (a, 3, "write", "missing"),
                                            (m, 4, "kernel_read", "minor"), (a, 5, "kernel_write", "missing")):
            th = t.touch(id=mapping["id"], offset=page * PAGE, len=PAGE, access=access, name=f"t{page}")
            want.add((th["tids"][0], f"t{page}", hex(mapping["start"] + page * PAGE), kind,
                      access.replace("kernel_", ""), "queued", page * PAGE))
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 7, "all wait")
        r = rows(t.pid)
        eq({(x["tid"], x["comm"], x["addr"], x["kind"], x["access"], x["state"], x["offset"]) for x in r}, want, "waiters")
        eq({(x["pid"], x["target_pid"], tuple(x["holders"])) for x in r}, {(t.pid, t.pid, (f"{t.pid}:{t.u}",))}, "whose")
        anon = f"[anon:{a['start']:x}]"
        eq({x["name"] for x in r}, {"/memfd:guest (deleted)", anon}, "mappings")
        s = run("smaps", "-J", t.pid, check=0).json()["smaps"]
        eq([x["name"] for x in s if x["start"] == hex(a["start"])], [anon], "in smaps too")
        eq(fdinfo(t.pid, t.u)["pending"], 7, "no message was taken")


@test
def pending_delivered_and_oldest_first():
    with target(seed=1, mode="minor") as (t, m):
        first = t.touch(id=m["id"], len=PAGE, access="read")["tids"][0]
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 1, "the first waits")
        t.read_msg(uffd=t.u, timeout_ms=1000)
        time.sleep(0.3)
        second = t.touch(id=m["id"], offset=PAGE, len=PAGE, access="read")["tids"][0]
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 2, "the second waits")
        r = rows(t.pid)
        eq([(x["tid"], x["state"]) for x in r], [(first, "delivered"), (second, "queued")], "order and states")
        ok(r[0]["slept_ns"] - r[1]["slept_ns"] > 200e6, f"0.3 s apart: {r[0]['slept_ns']}, {r[1]['slept_ns']}")


@test
def pending_events():
    """Threads that are stuck in an event that nobody reads are in no count of fdinfo."""
    with Target() as t:
        stuck = {}
        for feature, what in (("event_remove", "remove"), ("event_unmap", "unmap"), ("event_remap", "remap"),
                              ("event_fork", "fork")):
            fd = t.userfaultfd(["missing_shmem", feature])
            a = t.memory("anon", mode="missing", uffd=fd)
            if what == "remove":
                tid = t.madvise(id=a["id"], advice="dontneed", async_=True)["tid"]
            elif what == "unmap":
                tid = t.munmap(id=a["id"], offset=0, len=16 * PAGE, async_=True)["tid"]
            elif what == "remap":
                tid = t.mremap(id=a["id"], new_size=64 * PAGE, move=True, async_=True)["tid"]
            else:
                tid = t.fork(async_=True)["tid"]
            stuck[tid] = (what, None if what == "fork" else a["addr"], f"{t.pid}:{fd}")
            wait_until(lambda: tid in {x["tid"] for x in rows(t.pid)}, what)
        eq({x["tid"]: (x["kind"], x["addr"], x["holders"][0]) for x in rows(t.pid)}, stuck, "events")


@test
def pending_many_threads():
    """More than the iterator's own buffer has room for."""
    n = 1000
    with target(size=n * PAGE, seed=1, mode="minor", timeout=60) as (t, m):
        dup = t.dup(fd=t.u)["fd"]
        t.touch(id=m["id"], access="read", threads=n, split=True)
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == n, "all wait", timeout=20)
        r = rows(t.pid)
        eq((len(r), len({x["tid"] for x in r}), len({x["addr"] for x in r})), (n, n, n), "each thread once")
        eq(set(r[0]["holders"]), {f"{t.pid}:{t.u}", f"{t.pid}:{dup}"}, "both descriptors")


def looks(n, *args):
    """The rows of n looks, as fast as they come; nothing may stand on stderr."""
    err = tempfile.TemporaryFile()  # a pipe that nobody reads would hold it up
    p = spawn("pending", "-J", "--watch=10ms", *args, stderr=err)
    decoder, text = json.JSONDecoder(), ""
    while n:
        data = os.read(p.stdout.fileno(), 1 << 20)
        ok(data, "it looks on")
        text = (text + data.decode()).lstrip()
        try:
            while n and text:
                look, end = decoder.raw_decode(text)
                text = text[end:].lstrip()
                n -= 1
                yield look["pending"]
        except ValueError:
            pass  # the rest of it comes with the next read
    p.terminate()
    p.communicate()
    eq(os.pread(err.fileno(), 4096, 0).decode(), "", "stderr")


@test(limit=180)
def pending_beside_busy_threads():
    """Threads that come and go in the same userfaultfd hide none of those that stay, in no look."""
    with target(size=8 * PAGE, seed=1, mode="minor") as (t, m):
        busy = t.memory(size=1024 * PAGE, seed=1, mode="minor")
        stay = set(t.touch(id=m["id"], access="read", threads=8, split=True)["tids"])
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 8, "they wait")
        for _ in range(8):
            t.read_msg(uffd=t.u, timeout_ms=5000)
        other = t.userfaultfd()
        q = t.memory(size=4 * PAGE, seed=1, mode="minor", uffd=other)
        stay |= set(t.touch(id=q["id"], access="read", threads=4, split=True)["tids"])
        wait_until(lambda: fdinfo(t.pid, other)["total"] == 4, "they wait")
        t.handler(uffd=t.u, action="continue")
        t.touch(id=busy["id"], access="read", threads=4, split=True, loop=True, zap=True)
        wait_until(lambda: t.handler_stats(uffd=t.u)["minor"] > 100, "others come and go")
        for i, look in enumerate(looks(fewer(1500), t.pid)):
            tids = [x["tid"] for x in look]
            eq(sorted(stay - set(tids)), [], f"look {i}: lost")
            eq(len(tids), len(set(tids)), f"look {i}: each thread once")


@test
def pending_remote_access():
    """The waiting thread may be of another process: process_vm_readv(2) into the memory."""
    with target(size=PAGE, seed=1, mode="minor") as (t, m):
        child = os.fork()
        if not child:
            buf = ctypes.create_string_buffer(1)
            local = (ctypes.c_size_t * 2)(ctypes.addressof(buf), 1)
            remote = (ctypes.c_size_t * 2)(m["start"], 1)
            ctypes.CDLL(None).process_vm_readv(t.pid, local, 1, remote, 1, 0)
            os._exit(0)
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 1, "it waits")
        eq([(x["tid"], x["target_pid"], x["addr"]) for x in rows(t.pid)], [(child, t.pid, m["addr"])], "by target")
        eq(len(rows(child)), 1, "by the thread's own process")
        run("continue", t.pid, "all", check=0)
        os.waitpid(child, 0)


@test(rule="unknown-is-unknown")
def pending_proc():
    """Without BPF: the threads, and nothing that only BPF can tell."""
    with target(size=PAGE, seed=1, mode="minor") as (t, m):
        tid = t.touch(id=m["id"], access="read")["tids"][0]
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 1, "it waits")
        r = rows("--source=proc", t.pid)
        eq([(x["tid"], x["pid"], x["addr"], x["kind"], x["holders"]) for x in r], [(tid, t.pid, None, None, None)], "row")


@test
def pending_exit_status():
    with Target() as t:
        t.userfaultfd()
        eq(rows("--fail-if-any", t.pid), [], "nobody waits: 0")
        m = t.memory(size=PAGE, seed=1, mode="minor")
        t.touch(id=m["id"], access="read")
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 1, "it waits")
        eq(len(rows(t.pid)), 1, "without the option: 0")
        eq(len(rows("-e", t.pid, rc=1)), 1, "with it: 1")
        contains(run("pending", 999999999, check=1).err, "no such process")
        run("pending", "--watch=x", check=2)


@test
def pending_watch():
    with Target() as t:
        t.userfaultfd()
        p = spawn("pending", "--watch", "0.05", t.pid)
        for _ in range(3):
            contains(p.stderr.readline().decode(), "no thread waits")
        p.terminate()
        p.communicate()
        eq(p.returncode, 0, "a clean end")


@test
def pending_older_than():
    """A health check that healthy faults do not trip."""
    with target(size=4096, seed=1, mode="minor") as (t, m):
        t.touch(id=m["id"], access="read")
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 1, "it waits")
        run("pending", "-e", "--older-than=1h", t.pid, check=0)
        wait_until(lambda: run("pending", "-q", "-e", "--older-than=100ms", t.pid).rc == 1, "long enough")
        run("pending", "--older-than=frob", check=2)


@test
def pending_unprivileged_health_check():
    """Who may not look has not found all well."""
    with Target():
        r = run("pending", "-e", user=65534, check=3)
        contains(r.err, "may not inspect")
        contains(r.err, "it is not known whether a thread waits")
        contains(run("pending", user=65534, check=0).err, "no visible thread")


main()
