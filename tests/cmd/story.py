# SPDX-License-Identifier: GPL-2.0-or-later
"""The main job on every kind of memory: register, see ui, fault, correct, continue, unregister."""
import re
import sys

sys.path[0] += "/.."
from harness import (HUGE, PAGE, Target, eq, fdinfo, hugepages, image, main, ok, run, skip, smaps_flags, target, test,
                     wait_until)

KINDS = {
    "shmem-shared": ("memfd", True, PAGE),
    "shmem-private": ("memfd", False, PAGE),
    "tmpfs": ("tmpfs", True, PAGE),
    "hugetlb-shared": ("hugetlb", True, HUGE),
    "hugetlb-private": ("hugetlb", False, HUGE),
}


@test(each={f"{name}-{'rw' if writable else 'ro'}": (*kind, writable)
            for name, kind in KINDS.items() for writable in (True, False)})
def story(kind, shared, page, writable):
    """8 pages: 4 filled with pattern 1, corrected by uffdctl to pattern 7 from a file, continued."""
    nr = 8
    with hugepages(20 if kind == "hugetlb" else 0), image(nr, 7, page) as img, \
            target(kind, nr * page, seed=1, shared=shared, writable=writable) as (t, m):
        pid, addr = str(t.pid), m["start"]
        r = run("register", "-J", pid, f"{m['addr']}+{nr * page}", check=0).json()["register"]
        eq(len(r), 1, "one row")
        eq(r[0]["mode"], ["minor"], "mode")
        ok("continue" in r[0]["ioctls"], "continue is granted")
        eq(r[0]["fd"], t.u, "fd")
        ok("ui" in smaps_flags(t.pid, addr), "the kernel shows ui")
        rows = run("smaps", "-J", pid, check=0).json()["smaps"]
        eq([(x["start"], x["flags"], x["holders"], x["page_size"]) for x in rows],
           [(hex(addr), ["ui"], [f"{pid}:{t.u}"], page)], "smaps")

        th = t.touch(id=m["id"], access="read")["threads"][0]
        wait_until(lambda: fdinfo(t.pid, t.u)["pending"] == 1, "a fault that waits")
        eq(run("list", "-J", pid, check=0).json()["list"][0]["pending"], 1, "list: pending")

        r = run("continue", "-J", pid, f"{m['addr']}+{page}", "--from", img.name, check=0).json()
        eq(r["continue"][0]["mapped"], page, "the first page")
        wait_until(lambda: t.status(thread=th)["touched"] == 1, "the thread goes on by one page")
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 1, "and waits on the second")
        r = run("continue", "-J", pid, "all", "--from", img.name, check=0).json()["continue"][0]
        eq((r["mapped"], r["already"], r["absent"], r["error"]), ((nr - 1) * page, page, 0, None), "the rest")
        eq(t.join(thread=th)["touched"], nr, "the thread is through")
        eq(fdinfo(t.pid, t.u), {**fdinfo(t.pid, t.u), "pending": 0, "total": 0}, "nobody waits")
        eq(t.check(id=m["id"], seed=7)["differ"], 0, "the target reads the corrected contents")

        run("unregister", pid, "all", check=0)
        ok("ui" not in smaps_flags(t.pid, addr), "ui is gone")
        eq(run("smaps", "-J", pid, check=0).json()["smaps"], [], "smaps is empty")


@test
def story_handler_counts():
    """The target's own handler counts each fault once; continue from outside resolves what it leaves."""
    with target(size=64 * PAGE, seed=3, mode="minor") as (t, m):
        t.handler(uffd=t.u, action="count")
        threads = t.touch(id=m["id"], access="read", seed=3, threads=4, split=True)["threads"]
        wait_until(lambda: t.handler_stats(uffd=t.u)["minor"] == 4, "four messages")
        eq((fdinfo(t.pid, t.u)["pending"], fdinfo(t.pid, t.u)["total"]), (0, 4), "all read, none resolved")
        r = run("continue", "-J", t.pid, "@/memfd:guest", check=0).json()["continue"][0]
        eq(r["mapped"], 64 * PAGE, "all mapped")
        for th in threads:
            j = t.join(thread=th)
            eq((j["done"], j["mismatches"]), (True, 0), "thread")
        # A late wake-up of what a thread waited for before wakes it here, too, once: then it faults again for its page.
        n = t.handler_stats(uffd=t.u)["minor"]
        ok(4 <= n <= 8, f"{n} messages of 4 threads")


@test(limit=120)
def story_hugetlb_sharing():
    """Two mappings on 1 GiB bounds could share page tables, and the registered one would not fault."""
    gib = 1 << 30
    with hugepages(gib // HUGE + 4), target("hugetlb", gib, align=gib, timeout=60) as (t, a):
        b = t.memory("hugetlb", gib, align=gib, of=a["id"])
        t.fill(id=a["id"], len=4 * HUGE, seed=5)
        # Both are populated: with sharing on, they use one page table now.
        for m in (a, b):
            th = t.touch(id=m["id"], len=4 * HUGE, access="read")["threads"][0]
            ok(t.join(thread=th)["done"], "populated")
        t.madvise(id=b["id"], len=4 * HUGE, advice="dontneed")
        run("register", t.pid, f"{b['addr']}+1G", check=0)
        th = t.touch(id=b["id"], len=2 * HUGE, access="read", seed=5)["threads"][0]
        wait_until(lambda: fdinfo(t.pid, t.u)["pending"] == 1, "the registered mapping faults")
        eq(t.check(id=a["id"], len=2 * HUGE, seed=5)["differ"], 0, "the other one does not")
        r = run("continue", "-J", t.pid, f"{b['addr']}+8M", check=0).json()["continue"][0]
        eq(r["mapped"], 4 * HUGE, "mapped")
        eq(t.join(thread=th)["mismatches"], 0, "contents")


@test
def story_private_stays_cow():
    with Target() as t:
        t.userfaultfd()
        m = t.memory(size=4 * PAGE, seed=1, shared=False)
        run("register", t.pid, "all", check=0)
        run("continue", t.pid, "all", check=0)
        t.poke(id=m["id"], offset=0, hex="5a" * 8, through="self")
        eq(t.peek(id=m["id"], offset=0, len=8, through="self")["hex"], "5a" * 8, "the mapping has the write")
        eq(t.check_file(id=m["id"], seed=1)["differ"], 0, "the file does not")


@test(rule="marks-survive", each={"memfd": ("memfd", PAGE), "hugetlb": ("hugetlb", HUGE)})
def story_wp_mark_survives(kind, page):
    """A write-protect mark on a page that is not mapped outlives continue: the write still faults."""
    with hugepages(8 if kind == "hugetlb" else 0), target(kind, 4 * page, seed=1) as (t, m):
        addr = m["start"]
        run("register", t.pid, "all", "-m", "minor,wp", check=0)
        ok({"ui", "uw"} <= smaps_flags(t.pid, addr), "both modes")
        t.writeprotect(uffd=t.u, id=m["id"], offset=page, len=page, protect=True)
        r = run("continue", "-J", t.pid, "all")
        if r.rc and re.search(r"needs Linux 6\.[47]", r.err):
            skip("marks can't be kept, and continue refuses; Linux 6.4, on hugetlbfs 6.7, runs this")
        eq(r.rc, 0, "continue")
        eq(r.json()["continue"][0]["mapped"], 4 * page, "all mapped")
        t.handler(uffd=t.u, action="continue")
        th = t.touch(id=m["id"], access="write", value=0xa5)["threads"][0]
        ok(t.join(thread=th)["done"], "the writer is through, by the handler's help")
        stats = t.handler_stats(uffd=t.u)
        eq((stats["wp"], stats["minor"]), (1, 0), "just the marked page faulted, for write-protect")


main()
