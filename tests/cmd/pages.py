# SPDX-License-Identifier: GPL-2.0-or-later
"""pages: the state of each page, beside what the process was made to have."""
import contextlib
import ctypes
import errno
import json
import os
import re
import subprocess
import sys
import tempfile

sys.path[0] += "/.."
from harness import (HUGE, PAGE, Target, TargetError, contains, eq, fdinfo, hugepages, main, ok, pagemap, run, skip,
                     smaps_flags, spawn, swap, target, test, wait_until)

def has_cachestat():
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.syscall(451, -1, None, None, 0) == 0 or ctypes.get_errno() != errno.ENOSYS


CACHESTAT = has_cachestat()
STATES = ("mapped", "minor", "absent", "swapped", "unknown")


def rows(*args, rc=0):
    return run("pages", "-J", *args, check=rc).json()["pages"]


def place(m, size=None):
    return f"{m['addr']}+{size or m['size']}"


def touch(t, m, **how):
    """Touches memory, and waits until that is done."""
    for thread in t.touch(id=m["id"], **how)["threads"]:
        while not t.join(thread=thread, timeout_ms=15000)["done"]:
            pass


def sums(t, m):
    """{state: pages} of a mapping; they cover it."""
    row, = rows(t.pid, place(m))
    eq(sum(row[s] for s in STATES), m["size"], "the sum")
    return {s: row[s] // m["page_size"] for s in (*STATES, "wp", "rwp", "poisoned") if row[s]}


def pages(t, m):
    """A word for each page of a mapping, as "mapped" or "minor+wp", from the runs."""
    found, at = [], m["start"]
    for r in rows("--runs", t.pid, place(m)):
        start, end = int(r["start"], 16), int(r["end"], 16)
        eq((start, r["size"]), (at, end - start), f"runs are in order, without holes: {r}")
        at = end
        found += ["+".join([r["state"], *r["marks"]])] * ((end - start) // m["page_size"])
    eq(at, m["start"] + m["size"], "the end of the last run")
    return found


def without_cachestat(want, got):
    """Before Linux 6.5: what is not written is unknown in a file that has pages that were allocated and never written."""
    if CACHESTAT or not any(w.startswith("unknown") for w in got):
        return want
    return [g if g == w.replace(w.split("+")[0], "unknown") and not w.startswith("mapped") else w
            for w, g in zip(want, got)]


def expect(t, m, want):
    """want: a word for each page. Totals agree with the runs."""
    got = pages(t, m)
    want = without_cachestat(want, got)
    eq(got, want, "pages")
    words = [w.split("+") for w in want]
    count = {s: sum(s in w for w in words) for s in (*STATES, "wp", "rwp", "poisoned")}
    eq(sums(t, m), {s: n for s, n in count.items() if n}, "totals")


def mixed(t, m, nr=16):
    """Mapped 0-3, in the page cache only 4-7, allocated and never written 8-9, absent from 10 on."""
    page = m["page_size"]
    t.fill(id=m["id"], len=8 * page, seed=1)
    t.fallocate(id=m["id"], offset=8 * page, len=2 * page, mode="alloc")
    touch(t, m, len=4 * page, access="write")  # reading would map the pages around as well
    return ["mapped"] * 4 + ["minor"] * 6 + ["absent"] * (nr - 10)


@test
def pages_shmem():
    for kind in ("memfd", "tmpfs"):
        with target(kind, mode="") as (t, m):
            want = mixed(t, m)
            expect(t, m, want)
            t.register(uffd=t.u, id=m["id"], mode=["minor", "missing"])
            expect(t, m, want)
            eq([r["start"] for r in rows(t.pid)], [m["addr"]], "what is registered")
            t.fallocate(id=m["id"], mode="punch", offset=PAGE, len=PAGE)
            expect(t, m, ["mapped", "absent", *want[2:]])


@test
def pages_shared_without_a_file():
    with target("anon", shared=True) as (t, m):
        touch(t, m, len=2 * PAGE, access="write")
        touch(t, m, offset=4 * PAGE, len=2 * PAGE, access="write")
        t.madvise(id=m["id"], offset=4 * PAGE, len=2 * PAGE, advice="dontneed")
        expect(t, m, ["mapped"] * 2 + ["absent"] * 2 + ["minor"] * 2 + ["absent"] * 10)


@test
def pages_offset():
    """A mapping that begins in the middle of its file, and one that goes beyond its end."""
    with target(size=16 * PAGE) as (t, m):
        mixed(t, m)
        n = t.memory(of=m["id"], size=8 * PAGE, offset=2 * PAGE)
        expect(t, n, ["minor"] * 8)
        t.truncate(id=m["id"], size=5 * PAGE)
        expect(t, n, ["minor"] * 3 + ["absent"] * 5)


@test
def pages_anon():
    with target("anon") as (t, m):
        touch(t, m, offset=2 * PAGE, len=2 * PAGE, access="write")
        touch(t, m, offset=6 * PAGE, len=PAGE, access="read")
        expect(t, m, ["absent"] * 2 + ["mapped"] * 2 + ["absent"] * 2 + ["mapped"] + ["absent"] * 9)


@test
def pages_private():
    """A private mapping has pages of its own, which the file need not have, beside those of the file."""
    for kind in ("memfd", "tmpfs"):
        with target(kind, shared=False) as (t, m):
            t.fill(id=m["id"], len=8 * PAGE, seed=1)
            touch(t, m, offset=4 * PAGE, len=2 * PAGE, access="write")
            touch(t, m, offset=10 * PAGE, len=2 * PAGE, access="write")
            own = ["minor"] * 4 + ["mapped"] * 2 + ["minor"] * 2 + ["absent"] * 2 + ["mapped"] * 2 + ["absent"] * 4
            # What is written first was read from the file, where that makes the page on some kernels.
            eq([w.replace("minor", "absent") for w in pages(t, m)], [w.replace("minor", "absent") for w in own], kind)
            eq(pages(t, m)[:9], own[:9], kind)
            t.fallocate(id=m["id"], mode="punch", len=16 * PAGE)
            eq(pages(t, m), [w.replace("minor", "absent") for w in own], f"{kind}: punched")


@test
def pages_hugetlb():
    """Also allocated huge pages; none is made, reserved or taken by asking."""
    with hugepages(8), target("hugetlb", 16 * HUGE, noreserve=True, timeout=60) as (t, m):
        t.fill(id=m["id"], len=2 * HUGE, seed=1)
        t.fallocate(id=m["id"], offset=2 * HUGE, len=2 * HUGE, mode="alloc")
        t.fallocate(id=m["id"], offset=9 * HUGE, len=HUGE, mode="alloc")
        touch(t, m, len=HUGE, access="read")
        t.register(uffd=t.u, id=m["id"], mode=["minor"])
        info = hugepages.meminfo()
        expect(t, m, ["mapped"] + ["minor"] * 3 + ["absent"] * 5 + ["minor"] + ["absent"] * 6)
        after = hugepages.meminfo()
        keys = ("HugePages_Total:", "HugePages_Free:", "HugePages_Rsvd:", "HugePages_Surp:")
        eq([after[k] for k in keys], [info[k] for k in keys], "huge pages")
        eq(rows(t.pid)[0]["page_size"], HUGE, "page_size")
        contains(run("pages", t.pid, f"{m['addr']}+4K", check=1).err, "not aligned to its pages of 2M")


@test
def pages_hugetlb_private():
    with hugepages(4), target("hugetlb", 4 * HUGE, shared=False, noreserve=True, timeout=60) as (t, m):
        t.fallocate(id=m["id"], offset=HUGE, len=2 * HUGE, mode="alloc")
        touch(t, m, offset=2 * HUGE, len=HUGE, access="write")
        expect(t, m, ["absent", "minor", "mapped", "absent"])


@test
def pages_guest_memfd():
    with Target() as t:
        try:
            m = t.memory("guest_memfd", 16 * PAGE)
        except TargetError as e:
            if e.errno in (errno.ENOENT, errno.EACCES, errno.ENODEV, errno.EINVAL, errno.ENOTTY):
                skip(f"no guest_memfd that can be mapped ({e}); /dev/kvm and Linux 6.18 run this")
            raise
        touch(t, m, offset=4 * PAGE, len=6 * PAGE, access="write")
        t.madvise(id=m["id"], offset=4 * PAGE, len=2 * PAGE, advice="dontneed")
        expect(t, m, ["absent"] * 4 + ["minor"] * 2 + ["mapped"] * 4 + ["absent"] * 6)


@test
def pages_huge_entries():
    """Memory that is mapped by huge entries counts as the bytes that they map."""
    for kind in ("anon", "memfd"):
        with target(kind, 4 * HUGE, align=HUGE) as (t, m):
            t.madvise(id=m["id"], advice="hugepage")
            touch(t, m, offset=HUGE, len=HUGE, access="write")
            with contextlib.suppress(TargetError):
                t.madvise(id=m["id"], offset=HUGE, len=HUGE, advice="collapse")
            nr = HUGE // PAGE
            eq(sums(t, m), {"mapped": nr, "absent": 3 * nr}, f"{kind}: totals")
            eq(len(rows("--runs", t.pid, place(m))), 3, f"{kind}: runs")
            if kind == "memfd":
                t.madvise(id=m["id"], offset=HUGE, len=HUGE, advice="dontneed")
                eq(sums(t, m), {"minor": nr, "absent": 3 * nr}, "in the page cache")


# ---- swap ----

def swapped(t, m):
    """Swaps out what is mapped; the pages that went, by what the kernel counts of the whole process."""
    t.madvise(id=m["id"], advice="pageout")
    with open(f"/proc/{t.pid}/smaps") as f:
        inside = False
        for line in f:
            if line[0].isalnum() and "-" in line.split()[0]:
                inside = line.startswith(m["addr"][2:])
            elif inside and line.startswith("Swap:"):
                return int(line.split()[1]) * 1024 // PAGE
    return 0


@test
def pages_swapped_anon():
    with swap(64 << 20), target("anon", 64 * PAGE) as (t, m):
        touch(t, m, len=32 * PAGE, access="write")
        n = swapped(t, m)
        if not n:
            skip("nothing was swapped out")
        for _ in range(2):  # looking reads nothing in
            got = sums(t, m)
            eq((got.get("swapped"), got.get("mapped", 0)), (n, 32 - n), f"by smaps: {got}")
        eq(swapped(t, m) >= n, True, "still swapped out")


@test
def pages_swapped_shmem():
    """They are in no page table; the page cache knows them."""
    with swap(64 << 20), target(size=64 * PAGE, seed=1) as (t, m):
        t.fallocate(id=m["id"], mode="punch", offset=48 * PAGE, len=16 * PAGE)
        touch(t, m, len=32 * PAGE, access="write")
        n = swapped(t, m)
        if not n:
            skip("nothing was swapped out")
        for _ in range(2):
            got = sums(t, m)
            if got.get("unknown"):
                skip(f"this kernel tells it only of written files: {got}")
            eq((got["swapped"], got["absent"], sum(got.values())), (n, 16, 64), f"by smaps: {got}")
            # As they are for a minor fault.
        t.register(uffd=t.u, id=m["id"], mode=["minor"])
        first = pages(t, m).index("swapped")
        t.touch(id=m["id"], offset=first * PAGE, len=PAGE, access="read")
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 1, "a fault on it is a minor fault")
        eq(run("pending", "-J", t.pid).json()["pending"][0]["kind"], "minor", "kind")


@test
def pages_swapped_without_privileges():
    """Without CAP_SYS_ADMIN the kernel shows no type, and smaps counts: a poison mark among them is not guessed."""
    marks = "poison" in supported()
    with swap(64 << 20), target("anon", 64 * PAGE, user=65534, features=["poison"] if marks else []) as (t, m):
        def row():
            return run("pages", "-J", t.pid, place(m), user=65534, check=0).json()["pages"][0]
        t.register(uffd=t.u, id=m["id"], mode=["missing"])
        t.copy(uffd=t.u, id=m["id"], len=32 * PAGE)
        n = swapped(t, m)
        if not n:
            skip("nothing was swapped out")
        eq((row()["swapped"], row()["absent"], row()["unknown"]), (n * PAGE, 32 * PAGE, 0), "all are swapped out")
        if marks:
            t.poison(uffd=t.u, id=m["id"], offset=40 * PAGE, len=PAGE)
            eq((row()["swapped"], row()["unknown"]), (0, (n + 1) * PAGE), "one of them is not")


# ---- marks ----

WP = ["minor_shmem", "missing_shmem", "wp_hugetlbfs_shmem", "pagefault_flag_wp"]


def supported():
    with Target() as t:
        return set(t.uffd()["supported"])


@test
def pages_write_protected():
    """The mark on pages, and in place of pages, in shared memory."""
    with target(features=WP) as (t, m):
        want = mixed(t, m)
        t.register(uffd=t.u, id=m["id"], mode=["wp"])
        t.writeprotect(uffd=t.u, id=m["id"], offset=2 * PAGE, len=4 * PAGE)
        t.writeprotect(uffd=t.u, id=m["id"], offset=12 * PAGE, len=PAGE)
        for i in (2, 3, 4, 5, 12):
            want[i] += "+wp"
        expect(t, m, want)
        t.unregister(uffd=t.u, id=m["id"])
        expect(t, m, [w.split("+")[0] for w in want])


@test
def pages_write_protected_hugetlb():
    with hugepages(4), target("hugetlb", 4 * HUGE, features=[*WP, "minor_hugetlbfs"], noreserve=True, timeout=60) as (t, m):
        t.fill(id=m["id"], len=2 * HUGE, seed=1)
        touch(t, m, len=HUGE, access="read")
        t.register(uffd=t.u, id=m["id"], mode=["wp"])
        t.writeprotect(uffd=t.u, id=m["id"])
        r, = rows(t.pid)
        eq((r["mapped"], r["minor"], r["absent"]), (HUGE, HUGE, 2 * HUGE), f"states: {r}")
        if r["wp"] is None:
            skip("marks of huge pages are not known here; Linux 6.7 runs the rest of this")
        expect(t, m, ["mapped+wp", "minor+wp", "absent+wp", "absent+wp"])


@test
def pages_write_protected_anon():
    if "wp_unpopulated" not in supported():
        skip("no UFFD_FEATURE_WP_UNPOPULATED; Linux 6.4 runs this")
    with target("anon", features=[*WP, "wp_unpopulated"]) as (t, m):
        touch(t, m, len=4 * PAGE, access="write")
        t.register(uffd=t.u, id=m["id"], mode=["wp"])
        t.writeprotect(uffd=t.u, id=m["id"], offset=2 * PAGE, len=4 * PAGE)
        expect(t, m, ["mapped"] * 2 + ["mapped+wp"] * 2 + ["absent+wp"] * 2 + ["absent"] * 10)


@test
def pages_read_write_protected():
    if "rwp" not in supported():
        skip("this kernel has no rwp; Linux 7.3 runs this")
    with target(features=[*WP, "rwp"]) as (t, m):
        want = mixed(t, m)
        t.register(uffd=t.u, id=m["id"], mode=["rwp"])
        t.rwprotect(uffd=t.u, id=m["id"], offset=PAGE, len=2 * PAGE)
        expect(t, m, [w + "+rwp" if i in (1, 2) else w for i, w in enumerate(want)])


@test
def pages_poisoned():
    if "poison" not in supported():
        skip("no UFFDIO_POISON; Linux 6.6 runs this")
    for kind in ("memfd", "anon"):
        with target(kind, features=[*WP, "poison"]) as (t, m):
            t.register(uffd=t.u, id=m["id"], mode=["missing"])
            t.copy(uffd=t.u, id=m["id"], len=4 * PAGE)
            t.poison(uffd=t.u, id=m["id"], offset=6 * PAGE, len=2 * PAGE)
            expect(t, m, ["mapped"] * 4 + ["absent"] * 2 + ["absent+poisoned"] * 2 + ["absent"] * 8)
            contains(run("pages", t.pid, place(m), check=0).err, f"{2 * PAGE} bytes are poisoned")


@test
def pages_poisoned_hugetlb():
    """pagemap does not show such a mark; smaps does not count it as a page."""
    if "poison" not in supported():
        skip("no UFFDIO_POISON; Linux 6.6 runs this")
    with hugepages(4), target("hugetlb", 8 * HUGE, features=[*WP, "minor_hugetlbfs", "poison"], noreserve=True,
                              timeout=60) as (t, m):
        t.fill(id=m["id"], len=3 * HUGE, seed=1)
        touch(t, m, len=HUGE, access="read")
        t.register(uffd=t.u, id=m["id"], mode=["missing", "minor"])
        t.poison(uffd=t.u, id=m["id"], offset=2 * HUGE, len=HUGE)
        t.poison(uffd=t.u, id=m["id"], offset=5 * HUGE, len=2 * HUGE)
        expect(t, m, ["mapped", "minor", "minor+poisoned", "absent", "absent", "absent+poisoned", "absent+poisoned", "absent"])


# ---- what is not known ----

@test(rule="unknown-is-unknown")
def pages_of_other_files():
    """Their file systems might block: their files are not opened, and what is not mapped is unknown."""
    with Target() as t:
        found = [r for r in rows("--all", t.pid) if "/libc.so" in r["name"]]
        ok(found, "the C library is mapped")
        for r in found:
            size = int(r["end"], 16) - int(r["start"], 16)
            eq((r["minor"], r["absent"], r["swapped"], r["mapped"] + r["unknown"]), (0, 0, 0, size), f"{r}")
        ok(any(r["unknown"] for r in found), "not all of it is mapped")
        contains(run("pages", "-v", t.pid, "@*/libc.so*", check=0).err, "not opened")


@test(rule="unknown-is-unknown")
def pages_without_privileges():
    """One's own process: the file is had by its descriptor; without one, what is not mapped is unknown."""
    with target(user=65534, features=["minor_shmem"]) as (t, m):
        mixed(t, m)
        def row():
            r = run("pages", "-J", t.pid, place(m), user=65534, check=0)
            return [r.json()["pages"][0][s] // PAGE for s in ("mapped", "minor", "absent", "unknown")], r.err
        if CACHESTAT:
            eq(row(), ([4, 6, 6, 0], ""), "with a descriptor")
        t.close(fd=m["fd"])
        states, err = row()
        eq(states, [4, 0, 0, 12], "without")
        contains(err, "needs CAP_CHECKPOINT_RESTORE")
    contains(run("pages", 1, user=65534, check=1).err, "needs ptrace access")


@test
def pages_all():
    """Every mapping has its row, and nothing is registered without --all."""
    with Target() as t:
        r = run("pages", t.pid, check=0)
        contains(r.err, "--all")
        found = rows("--all", t.pid)
        listed = run("smaps", "-J", "--all", t.pid, check=0).json()["smaps"]
        eq([(r["start"], r["end"], r["page_size"], r["name"]) for r in found],
           [(r["start"], r["end"], r["page_size"], r["name"]) for r in listed], "mappings")
        for r in found:
            eq(sum(r[s] for s in STATES), int(r["end"], 16) - int(r["start"], 16), f"{r}")


# ---- the target is left alone ----

@test(rule="looking-changes-nothing")
def pages_changes_nothing():
    """No page is mapped, made, or marked as accessed, no thread woken and no descriptor left."""
    with target(mode="minor,missing") as (t, m):
        t.fill(id=m["id"], len=8 * PAGE, seed=1)
        t.continue_(uffd=t.u, id=m["id"], len=4 * PAGE)
        t.touch(id=m["id"], offset=6 * PAGE, len=PAGE, access="read")
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 1, "a thread waits")
        def state():
            with open(f"/proc/{t.pid}/smaps_rollup") as f:
                rollup = re.findall(r"^(?:Rss|Anonymous|Swap):.*$", f.read(), re.M)
            with open(f"/proc/{t.pid}/stat") as f:
                faults = f.read().rsplit(")", 1)[1].split()[7:11]
            blocks = os.stat(f"/proc/{t.pid}/fd/{m['fd']}").st_blocks
            return (fdinfo(t.pid, t.u), pagemap(t.pid, m["start"], 16), rollup, faults, blocks,
                    sorted(os.listdir(f"/proc/{t.pid}/fd")))
        before = state()
        for args in ([], ["--all"], ["--runs"], ["--map"], ["--map=html"]):
            run("pages", *args, t.pid, check=0)
            eq(state(), before, f"after {args}")


@test
def pages_while_it_changes():
    """Mappings and pages that come and go: each answer adds up, and the command ends."""
    with target(size=4096 * PAGE, seed=1, mode="minor") as (t, m):
        t.churn(threads=1)
        for i in range(20):
            part = {"offset": i % 4 * 1024 * PAGE, "len": 1024 * PAGE}
            p = spawn("pages", "-J", "--all", t.pid)
            t.continue_(uffd=t.u, id=m["id"], **part)
            t.fallocate(id=m["id"], mode="punch", **part)
            t.fill(id=m["id"], seed=1, **part)
            out, err = p.communicate(timeout=60)
            eq(p.returncode, 0, err)
            for r in json.loads(out)["pages"]:
                eq(sum(r[s] for s in STATES), int(r["end"], 16) - int(r["start"], 16), f"{r}")


@test
def pages_ended():
    with target(mode="minor") as (t, m):
        t.kill()
        contains(run("pages", t.pid, check=1).err, "no such process")
    eq(run("pages", "-J", 1 << 22, check=1).json()["errors"][0]["error"], "ESRCH", "in JSON")


# ---- sizes ----

@test
def pages_sparse_terabyte():
    """1 TiB of address space with scattered pages, in less than 64 MiB."""
    tib, stride = 1 << 40, 8 << 30
    with target(size=tib, noreserve=True, mode="minor,missing", timeout=60) as (t, m):
        for i in range(0, tib, stride):
            t.fill(id=m["id"], offset=i, len=2 * PAGE, seed=1)
            t.continue_(uffd=t.u, id=m["id"], offset=i, len=PAGE)
        n = tib // stride
        eq(sums(t, m), {"mapped": n, "minor": n, "absent": tib // PAGE - 2 * n}, "totals")
        found = rows("--runs", t.pid)
        eq([r["state"] for r in found], ["mapped", "minor", "absent"] * n, "runs")
        p = spawn("pages", t.pid, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(p.pid, 0)
        p.returncode = status
        eq(status, 0, "exit status")
        ok(usage.ru_maxrss < 64 << 10, f"its peak: {usage.ru_maxrss} KiB")


@test
def pages_threads():
    """A long mapping is shared out among threads: they find what one finds, also where there is no room for its runs."""
    size, block = 8 << 30, 3 << 20
    with target(size=size, noreserve=True, mode="minor", timeout=60) as (t, m):
        places = [*range(0, size, 1 << 30), size - block]
        for at in places:
            t.fill(id=m["id"], offset=at, len=block, seed=1)
            t.continue_(uffd=t.u, id=m["id"], offset=at, len=block // 2)
        n, half = len(places) * block // PAGE, len(places) * (block // 2) // PAGE
        eq(sums(t, m), {"mapped": half, "minor": n - half, "absent": size // PAGE - n}, "totals")
        touched = range(5 << 29, (5 << 29) + 5000 * 2 * PAGE, 2 * PAGE)
        for at in touched:
            t.fill(id=m["id"], offset=at, len=PAGE, seed=1)
            t.continue_(uffd=t.u, id=m["id"], offset=at, len=PAGE)
        eq(sums(t, m), {"mapped": half + 5000, "minor": n - half, "absent": size // PAGE - n - 5000}, "crowded")
        everything = run("pages", "-J", "--runs", t.pid, check=0).out
        cpus = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(cpus)})
        try:
            eq(run("pages", "-J", "--runs", t.pid, check=0).out == everything, True, "the same with one CPU")
        finally:
            os.sched_setaffinity(0, cpus)


@test
def pages_many_runs():
    """More runs than the kernel or uffdctl gathers at once: none is found twice or left out."""
    nr = 20000
    with target("anon", nr * PAGE) as (t, m):
        t.small_pages(m)
        touch(t, m, access="write", stride=2 * PAGE)
        eq(pages(t, m), ["mapped", "absent"] * (nr // 2), "pages")
        eq(sums(t, m), {"mapped": nr // 2, "absent": nr // 2}, "totals")


@test
def pages_alternating():
    """The worst case: no two pages are alike."""
    nr = 1 << 15
    with target(size=nr * PAGE, mode="minor", timeout=60) as (t, m):
        t.small_pages(m)
        with open(f"/proc/{t.pid}/fd/{m['fd']}", "r+b", 0) as f:
            for i in range(0, nr, 4):
                os.pwrite(f.fileno(), b"x" * PAGE, i * PAGE)
                os.pwrite(f.fileno(), b"x" * PAGE, (i + 2) * PAGE)
        for i in range(0, nr, 256):
            t.continue_(uffd=t.u, id=m["id"], offset=i * PAGE, len=PAGE)
        want = {"mapped": nr // 256, "minor": nr // 2 - nr // 256, "absent": nr // 2}
        eq(sums(t, m), want, "totals")
        found = pages(t, m)
        eq({w: found.count(w) for w in set(found)}, want, "runs")
        eq(found[:4], ["mapped", "absent", "minor", "absent"], "the first")
        t.fallocate(id=m["id"], mode="alloc")
        rest = "minor" if CACHESTAT else "unknown"
        want = {"mapped": nr // 256, "minor": nr // 2 - nr // 256}
        want[rest] = want.get(rest, 0) + nr // 2
        eq(sums(t, m), want, "all allocated")


# ---- ranges and options ----

@test
def pages_sources():
    """However the mappings are found, with and without RANGE, the pages are the same."""
    with target(features=WP) as (t, m):
        mixed(t, m)
        t.register(uffd=t.u, id=m["id"], mode=["minor", "wp"])
        t.writeprotect(uffd=t.u, id=m["id"], len=2 * PAGE)
        found = [rows(*args, t.pid, *place_args) for args in ([], ["--source=proc"], ["--source=auto"])
                 for place_args in ([], [place(m)], ["all"], ["@/memfd:guest"])]
        for f in found[1:]:
            eq(f, found[0], "pages")
        eq(found[0][0]["wp"], 2 * PAGE, "marks")


@test
def pages_ranges():
    with target(mode="minor") as (t, m):
        mixed_at = m["start"]
        t.fill(id=m["id"], len=4 * PAGE, seed=1)
        n = t.memory(size=4 * PAGE, name="other")
        r = rows(t.pid, f"{mixed_at + 2 * PAGE:x}-{mixed_at + 6 * PAGE:x}", "@/memfd:other", "all")
        eq([(int(x["start"], 16), int(x["end"], 16), x["minor"], x["absent"]) for x in r],
           [(mixed_at + 2 * PAGE, mixed_at + 6 * PAGE, 2 * PAGE, 2 * PAGE), (n["start"], n["start"] + 4 * PAGE, 0, 4 * PAGE),
            (mixed_at, mixed_at + 16 * PAGE, 4 * PAGE, 12 * PAGE)], "rows, in the order of the ranges")
        r = run("pages", "-J", t.pid, "@/none", place(m), check=1)
        eq(len(r.json()["pages"]), 1, "the other range is shown all the same")
        contains(r.err, "no mapping has such a name")
        contains(run("pages", t.pid, "1000-2000", check=1).err, "nothing is mapped")
        contains(run("pages", t.pid, f"{m['addr']}+1", check=2).err, "not aligned")


@test
def pages_usage():
    for args in (["--cells=8", 1], ["--to=x", 1], ["--map", "--runs", 1], ["--map=png", 1], ["--map", "--json", 1],
                 ["--map", "--cells=0", 1], ["--watch=0", 1], ["--all", 1, "all"], [], ["x"]):
        r = run("pages", *args)
        eq((r.rc, r.out), (2, ""), f"{args}: {r.err}")


@test
def pages_map():
    with target(mode="minor") as (t, m):
        t.fill(id=m["id"], len=8 * PAGE, seed=1)
        t.continue_(uffd=t.u, id=m["id"], len=4 * PAGE)
        out = run("pages", "--map", "--cells=8", t.pid, check=0, env={"LC_ALL": "C"}).out.splitlines()
        eq(out[0].split(), ["START", "PAGES", "END", "CELL", "NAME"], "heading")
        eq(out[1].split()[:4], [m["addr"][2:], "99mm....", f"{m['start'] + m['size']:x}", "8K"], "the line")
        contains(out[2], "A cell is CELL bytes: 0 little to 9 all")
        text = run("pages", "--map", "--cells=4", t.pid, check=0, env={"LC_ALL": "C.UTF-8"}).out
        eq(text.splitlines()[1].split()[1], "█m..", "shades")
        eq(run("pages", "--map", "--cells=1", "-n", t.pid, check=0, env={"LC_ALL": "C"}).out.split()[1], "2", "a share")
        contains(run("pages", "--map", "--color=always", t.pid, check=0).out, "\033[0;32m")


@test
def pages_pictures():
    """Well-formed, without references to anything outside, and with harmless names."""
    from xml.etree import ElementTree
    with target(mode="minor", name='<b>"&\033[31m') as (t, m), tempfile.TemporaryDirectory() as d:
        mixed_here = t.fill(id=m["id"], len=8 * PAGE, seed=1)
        eq(mixed_here, {}, "filled")
        t.continue_(uffd=t.u, id=m["id"], len=4 * PAGE)
        svg = run("pages", "--map=svg", t.pid, check=0).out
        tree = ElementTree.fromstring(svg)
        titles = [e.text for e in tree.iter("{http://www.w3.org/2000/svg}title")]
        eq([x.split(", a cell:")[1].strip() for x in titles], ["4K mapped", "4K minor", "4K absent"], "cells")
        texts = [e.text for e in tree.iter("{http://www.w3.org/2000/svg}text")]
        ok(m["addr"][2:] in texts and f"{m['start'] + m['size']:x}" in texts, f"the axis: {texts}")
        path = f"{d}/p.html"
        run("pages", "--map=html", f"--to={path}", t.pid, check=0)
        with open(path) as f:
            html = f.read()
        eq(os.listdir(d), ["p.html"], "files")
        for text in (svg, html):
            ok("\033" not in text and "<b>" not in text and "&lt;b&gt;&quot;&amp;" in text, "the name is escaped")
            for word in ("href", "src=", "@import", "url("):
                ok(word not in text, f"{word} is in it")
        contains(run("pages", "--map=svg", f"--to={d}/none/x", t.pid, check=1).err, "No such file")


@test
def pages_watch():
    """A migration that fills up: share, rate and the time left."""
    with target(size=64 * PAGE, seed=1, mode="minor") as (t, m):
        p = spawn("pages", "-J", "--watch=200ms", t.pid)
        decoder, text, looks = json.JSONDecoder(), "", []

        def look():
            nonlocal text
            while True:
                try:
                    found, end = decoder.raw_decode(text.lstrip())
                    text = text.lstrip()[end:]
                    return found["pages"][0]
                except ValueError:
                    text += os.read(p.stdout.fileno(), 65536).decode()
        looks.append(look())
        eq((looks[0]["mapped"], looks[0]["share"], looks[0]["rate"], looks[0]["left_ns"]), (0, 0, None, None), "the first")
        t.continue_(uffd=t.u, id=m["id"], len=32 * PAGE)
        r = wait_until(lambda: (lambda x: x["mapped"] and x)(look()), "it was seen")
        eq((r["mapped"], r["share"]), (32 * PAGE, 50), "half of it")
        ok(r["rate"] > 0 and r["left_ns"] > 0, f"rate and time left: {r}")
        r = wait_until(lambda: (lambda x: x["rate"] == 0 and x)(look()), "it rests")
        eq(r["left_ns"], None, "no time is left to be told")
        t.kill()
        err = p.communicate(timeout=20)[1].decode()
        eq(p.returncode, 1, "its end")
        contains(err, "has exited")


main()
