# SPDX-License-Identifier: GPL-2.0-or-later
"""The main job on every kind of memory: register, see ui, fault, correct, continue, unregister."""
import os
import re
import sys
import tempfile

sys.path[0] += "/.."
from harness import (HUGE, PAGE, Target, eq, fdinfo, hugepages, image, main, ok, pattern_page, run, skip, smaps_flags,
                     test, wait_until)

KINDS = {
    "shmem-shared": ("memfd", True, PAGE),
    "shmem-private": ("memfd", False, PAGE),
    "tmpfs": ("tmpfs", True, PAGE),
    "hugetlb-shared": ("hugetlb", True, HUGE),
    "hugetlb-private": ("hugetlb", False, HUGE),
}
FEATURES = ["minor_shmem", "minor_hugetlbfs", "missing_shmem", "missing_hugetlbfs"]


def make(t, kind, shared, size, writable=True, **kw):
    if kind == "tmpfs":
        kw["path"] = f"/dev/shm/uffdctl-test-{t.pid}"
    return t.map(kind=kind, size=size, shared=shared, writable=writable, **kw)


def drop(t, kind):
    if kind == "tmpfs":
        os.unlink(f"/dev/shm/uffdctl-test-{t.pid}")


@test(each={f"{name}-{'rw' if writable else 'ro'}": (*kind, writable)
            for name, kind in KINDS.items() for writable in (True, False)})
def story(kind, shared, page, writable):
    """8 pages: 4 filled with pattern 1, corrected by uffdctl to pattern 7 from a file, continued."""
    nr = 8
    with hugepages(20 if kind == "hugetlb" else 0), Target() as t, tempfile.NamedTemporaryFile() as image:
        uffd = t.uffd(features=FEATURES)["fd"]
        m = make(t, kind, shared, nr * page, writable)
        try:
            t.fill(id=m["id"], seed=1)
            pid, addr = str(t.pid), int(m["addr"], 16)
            r = run("register", "-J", pid, f"{m['addr']}+{nr * page}", check=0).json()["register"]
            eq(len(r), 1, "one row")
            eq(r[0]["mode"], ["minor"], "mode")
            ok("continue" in r[0]["ioctls"], "continue is granted")
            eq(r[0]["fd"], uffd, "fd")
            ok("ui" in smaps_flags(t.pid, addr), "the kernel shows ui")
            rows = run("smaps", "-J", pid, check=0).json()["smaps"]
            eq([(x["start"], x["flags"], x["holders"], x["page_size"]) for x in rows],
               [(hex(addr), ["ui"], [f"{pid}:{uffd}"], page)], "smaps")

            th = t.touch(id=m["id"], access="read")["threads"][0]
            wait_until(lambda: fdinfo(t.pid, uffd)["pending"] == 1, "a fault that waits")
            eq(run("list", "-J", pid, check=0).json()["list"][0]["pending"], 1, "list: pending")

            image.write(b"".join(pattern_page(7, i, page) for i in range(nr)))
            image.flush()
            r = run("continue", "-J", pid, f"{m['addr']}+{page}", "--from", image.name, check=0).json()
            eq(r["continue"][0]["mapped"], page, "the first page")
            wait_until(lambda: t.status(thread=th)["touched"] == 1, "the thread goes on by one page")
            wait_until(lambda: fdinfo(t.pid, uffd)["total"] == 1, "and waits on the second")
            r = run("continue", "-J", pid, "all", "--from", image.name, check=0).json()["continue"][0]
            eq((r["mapped"], r["already"], r["absent"], r["error"]), ((nr - 1) * page, page, 0, None), "the rest")
            eq(t.join(thread=th)["touched"], nr, "the thread is through")
            eq(fdinfo(t.pid, uffd), {**fdinfo(t.pid, uffd), "pending": 0, "total": 0}, "nobody waits")
            eq(t.check(id=m["id"], seed=7)["differ"], 0, "the target reads the corrected contents")

            run("unregister", pid, "all", check=0)
            ok("ui" not in smaps_flags(t.pid, addr), "ui is gone")
            eq(run("smaps", "-J", pid, check=0).json()["smaps"], [], "smaps is empty")
        finally:
            drop(t, kind)


@test
def story_handler_counts():
    """The target's own handler counts each fault once; continue from outside resolves what it leaves."""
    with Target() as t:
        uffd = t.uffd(features=FEATURES)["fd"]
        m = t.map(kind="memfd", size=64 * PAGE)
        t.fill(id=m["id"], seed=3)
        t.register(uffd=uffd, id=m["id"], mode=["minor"])
        t.handler(uffd=uffd, action="count")
        threads = t.touch(id=m["id"], access="read", seed=3, threads=4, split=True)["threads"]
        wait_until(lambda: t.handler_stats(uffd=uffd)["minor"] == 4, "four messages")
        eq((fdinfo(t.pid, uffd)["pending"], fdinfo(t.pid, uffd)["total"]), (0, 4), "all read, none resolved")
        r = run("continue", "-J", t.pid, "@/memfd:guest", check=0).json()["continue"][0]
        eq(r["mapped"], 64 * PAGE, "all mapped")
        for th in threads:
            j = t.join(thread=th)
            eq((j["done"], j["mismatches"]), (True, 0), "thread")
        # A late wake-up of what a thread waited for before wakes it here, too, once: then it faults again for its page.
        n = t.handler_stats(uffd=uffd)["minor"]
        ok(4 <= n <= 8, f"{n} messages of 4 threads")


@test(limit=120)
def story_hugetlb_sharing():
    """Two mappings on 1 GiB bounds could share page tables, and the registered one would not fault."""
    gib = 1 << 30
    with hugepages(gib // HUGE + 4), Target(timeout=60) as t:
        uffd = t.uffd(features=FEATURES)["fd"]
        a = t.map(kind="hugetlb", size=gib, align=gib)
        b = t.map(kind="hugetlb", size=gib, align=gib, of=a["id"])
        t.fill(id=a["id"], len=4 * HUGE, seed=5)
        # Both are populated: with sharing on, they use one page table now.
        for m in (a, b):
            th = t.touch(id=m["id"], len=4 * HUGE, access="read")["threads"][0]
            ok(t.join(thread=th)["done"], "populated")
        t.madvise(id=b["id"], len=4 * HUGE, advice="dontneed")
        run("register", t.pid, f"{b['addr']}+1G", check=0)
        th = t.touch(id=b["id"], len=2 * HUGE, access="read", seed=5)["threads"][0]
        wait_until(lambda: fdinfo(t.pid, uffd)["pending"] == 1, "the registered mapping faults")
        eq(t.check(id=a["id"], len=2 * HUGE, seed=5)["differ"], 0, "the other one does not")
        r = run("continue", "-J", t.pid, f"{b['addr']}+8M", check=0).json()["continue"][0]
        eq(r["mapped"], 4 * HUGE, "mapped")
        eq(t.join(thread=th)["mismatches"], 0, "contents")


@test
def story_private_stays_cow():
    with Target() as t:
        t.uffd(features=FEATURES)
        m = t.map(kind="memfd", size=4 * PAGE, shared=False)
        t.fill(id=m["id"], seed=1)
        run("register", t.pid, "all", check=0)
        run("continue", t.pid, "all", check=0)
        t.poke(id=m["id"], offset=0, hex="5a" * 8, through="self")
        eq(t.peek(id=m["id"], offset=0, len=8, through="self")["hex"], "5a" * 8, "the mapping has the write")
        eq(t.check_file(id=m["id"], seed=1)["differ"], 0, "the file does not")


@test(rule="marks-survive", each={"memfd": ("memfd", PAGE), "hugetlb": ("hugetlb", HUGE)})
def story_wp_mark_survives(kind, page):
    """A write-protect mark on a page that is not mapped outlives continue: the write still faults."""
    with hugepages(8 if kind == "hugetlb" else 0), Target() as t:
        uffd = t.uffd(features=FEATURES + ["wp_hugetlbfs_shmem", "pagefault_flag_wp"])["fd"]
        m = t.map(kind=kind, size=4 * page)
        t.fill(id=m["id"], seed=1)
        addr = int(m["addr"], 16)
        run("register", t.pid, "all", "-m", "minor,wp", check=0)
        ok({"ui", "uw"} <= smaps_flags(t.pid, addr), "both modes")
        t.writeprotect(uffd=uffd, id=m["id"], offset=page, len=page, protect=True)
        r = run("continue", "-J", t.pid, "all")
        if r.rc and re.search(r"needs Linux 6\.[47]", r.err):
            skip("marks can't be kept, and continue refuses; Linux 6.4, on hugetlbfs 6.7, runs this")
        eq(r.rc, 0, "continue")
        eq(r.json()["continue"][0]["mapped"], 4 * page, "all mapped")
        t.handler(uffd=uffd, action="continue")
        th = t.touch(id=m["id"], access="write", value=0xa5)["threads"][0]
        ok(t.join(thread=th)["done"], "the writer is through, by the handler's help")
        stats = t.handler_stats(uffd=uffd)
        eq((stats["wp"], stats["minor"]), (1, 0), "just the marked page faulted, for write-protect")


main()
