# SPDX-License-Identifier: GPL-2.0-or-later
"""serve --around: the pages around a fault come with it."""
import os
import sys

sys.path[0] += "/.."
from harness import FEATURES, HUGE, PAGE, contains, eq, fdinfo, hugepages, image, main, ok, run, skip, target, test, wait_until
from harness.serve import Serve, joined, touch, zeros

NR, N, SEED, STALE = 64, 8, 9, 1
AT = "0x600000000000"  # windows are aligned by address
KINDS = {"anon": ("anon", "missing"), "shmem": ("memfd", "missing"), "minor": ("memfd", "minor"), "both": ("memfd", "minor,missing")}


def mapped(t, m, nr=NR, page=PAGE):
    """Numbers of the pages that it has."""
    rows = run("pages", "-J", "--runs", t.pid, f"{m['addr']}+{nr * page}", check=0).json()["pages"]
    return {i for r in rows if r["state"] == "mapped" for i in range((int(r["start"], 16) - m["start"]) // page, (int(r["end"], 16) - m["start"]) // page)}


def becomes(t, m, want, page=PAGE, nr=NR):
    """Neighbours may come after the thread has gone on."""
    wait_until(lambda: mapped(t, m, nr, page) >= want, "the neighbours are there")
    eq(mapped(t, m, nr, page), want, "mapped")


def one(t, m, i, page=PAGE, **how):
    joined(t, touch(t, m, threads=1, offset=i * page, len=page, **how))


@test(each=KINDS)
def serve_around_from(kind, mode):
    """The aligned window, once; what is behind a mapped page, too; what the process has written is left."""
    with target(kind, NR * PAGE, addr=AT, mode=mode, seed=STALE if "minor" in mode else None) as (t, m), image(NR) as img:
        if "minor" in mode:
            t.continue_(uffd=t.u, id=m["id"], offset=19 * PAGE, len=PAGE)
        else:
            t.copy(uffd=t.u, id=m["id"], offset=19 * PAGE, len=PAGE, seed=STALE)
        with Serve(t.pid, "--from", img.name, "--around", N) as s:
            one(t, m, 13, seed=SEED)
            becomes(t, m, {19, *range(8, 16)})
            one(t, m, 21, seed=SEED)
            becomes(t, m, set(range(8, 24)))
            one(t, m, 63, seed=SEED)
            becomes(t, m, {*range(8, 24), *range(56, 64)})
            end = s.stop()
        eq((sum(end["faults"].values()), end["demand"], end["around"], end["errors"], end["done"]),
           (3, 23 * PAGE, 20 * PAGE, 0, 24 * PAGE), f"{end}")
        for first, nr in ((8, 11), (20, 4), (56, 8)):
            eq(t.check(id=m["id"], offset=first * PAGE, len=nr * PAGE, seed=SEED)["differ"], 0, f"contents from {first} on")
        eq(t.check(id=m["id"], offset=19 * PAGE, len=PAGE, seed=STALE)["differ"], 0, "what was there")


@test(each={k: v for k, v in KINDS.items() if k != "both"})
def serve_around_keep(kind, mode):
    with target(kind, NR * PAGE, addr=AT, mode=mode, seed=SEED if mode == "minor" else None) as (t, m):
        if mode == "minor":
            t.continue_(uffd=t.u, id=m["id"], offset=11 * PAGE, len=2 * PAGE)
        with Serve(t.pid, "--keep", "--around", N) as s:
            for i in (13, 10, 63):
                one(t, m, i)
            becomes(t, m, {*range(8, 16), *range(56, 64)})
            end = s.stop()
        had = 2 * PAGE if mode == "minor" else 0
        eq((sum(end["faults"].values()), end["around"]), (2, 14 * PAGE - had), f"{end}")
        eq(end["mapped"] + end["zero"], 16 * PAGE - had, f"{end}")


@test
def serve_around_keep_holes():
    """A page that is not in the page cache stays absent, and the fault is resolved all the same."""
    with target(size=NR * PAGE, addr=AT, mode="minor") as (t, m):
        t.fill(id=m["id"], offset=12 * PAGE, len=2 * PAGE, seed=SEED)
        with Serve(t.pid, "--keep", "--around", N) as s:
            one(t, m, 13, seed=SEED)
            s.stop()
        eq(mapped(t, m) - {12}, {13}, "mapped")
        eq(run("pages", "-J", t.pid, f"{m['addr']}+{NR * PAGE}", check=0).json()["pages"][0]["absent"], (NR - 2) * PAGE, "absent")


@test
def serve_around_huge():
    with hugepages(18), target("hugetlb", 8 * HUGE, addr=AT, mode="missing") as (t, m), image(8, SEED, HUGE) as img:
        with Serve(t.pid, "--from", img.name, "--around", 2) as s:
            one(t, m, 5, HUGE, seed=SEED)
            becomes(t, m, {4, 5}, HUGE, 8)
            s.stop()


@test
def serve_around_stays_inside():
    """Not beyond the range that is served, nor into the next mapping."""
    with target("anon", NR * PAGE, addr=AT, mode="missing") as (t, m), image(NR) as img:
        with Serve(t.pid, "--from", img.name, "--around", 64, f"{m['start'] + 5 * PAGE:x}+{4 * PAGE}") as s:
            one(t, m, 6)
            becomes(t, m, {5, 6, 7, 8})
            s.stop()


@test
def serve_around_elsewhere():
    """A neighbour that another mapping shows is left as it is: nobody waits for it, and nothing is said of it."""
    with target(size=NR * PAGE, addr=AT, seed=STALE, mode="minor") as (t, m), image(NR) as img:
        n = t.memory("memfd", NR * PAGE, of=m["id"])
        joined(t, touch(t, n, threads=1, offset=9 * PAGE, len=PAGE, seed=STALE))
        elsewhere = mapped(t, n)  # the kernel maps some around it
        with Serve(t.pid, "--from", img.name, "--around", NR) as s:
            one(t, m, 40, seed=SEED)
            becomes(t, m, {*range(NR)} - elsewhere)
            end = s.stop()
        ok(9 in elsewhere and len(elsewhere) <= 16, f"{elsewhere}")
        eq((end["errors"], end["held"], s.errors()), (0, 0, []), f"{end}")


@test
def serve_around_source_fails():
    """The contents of the neighbours are lost: nothing is said, and the page that was asked for is there."""
    with target("anon", NR * PAGE, addr=AT, mode="missing") as (t, m), image(NR) as img:
        with Serve(t.pid, "--from", img.name, "--around", N) as s:
            os.truncate(img.name, 9 * PAGE)
            one(t, m, 8, seed=SEED)
            late = touch(t, m, threads=1, offset=12 * PAGE, len=PAGE)
            contains(s.error(), "the contents end before this page")
            with image(NR) as again, open(again.name, "rb") as f, open(img.name, "r+b") as g:
                g.write(f.read())
            joined(t, late, 20000)
            end = s.stop()
        eq(end["held"], 0, f"{end}")


@test
def serve_around_wp():
    """Marks of neighbours stay."""
    with target("anon", NR * PAGE, addr=AT, mode="wp") as (t, m):
        t.fill(id=m["id"], seed=SEED, through="self")
        run("writeprotect", "-q", t.pid, "all", check=0)
        with Serve(t.pid, "--keep", "--around", N) as s:
            one(t, m, 13, access="write", value=5)
            end = s.stop()
        eq((end["unprotected"], end["around"]), (PAGE, 0), f"{end}")


@test
def serve_around_removed():
    """What the process has removed is not filled by the fault of a neighbour."""
    with target("anon", NR * PAGE, addr=AT, mode="missing", features=[*FEATURES, "event_remove"]) as (t, m), image(NR) as img:
        with Serve(t.pid, "--from", img.name, "--around", N) as s:
            t.madvise(id=m["id"], advice="dontneed", offset=9 * PAGE, len=PAGE)
            one(t, m, 13, seed=SEED)
            becomes(t, m, {*range(8, 16)} - {9})
            one(t, m, 9)
            zeros(t, m, 9 * PAGE)
            s.stop()


@test(each={"from": ("--from",), "keep": ("--keep",)}, limit=120)
def serve_around_crowd(source):
    """8 threads touch at random, with windows that overlap what others ask for: each page is filled once, and nobody waits."""
    nr = 8192
    for mode in ("minor", "minor,missing"):
        with target(size=nr * PAGE, mode=mode, seed=SEED if source == "--keep" else STALE, timeout=60) as (t, m), image(nr) as img:
            with Serve(t.pid, source, *([img.name] if source == "--from" else []), "--around", 64) as s:
                joined(t, touch(t, m, seed=SEED), 60000)
                end = s.stop()
            eq((end["errors"], end["held"], fdinfo(t.pid, t.u)["total"]), (0, 0, 0), f"{end}")
            ok(end["around"] > 0, f"{end}")
            eq(t.check(id=m["id"], seed=SEED)["differ"], 0, "contents")


@test
def serve_around_refused():
    for n in ("0", "3", "8192", "x", "-1"):
        contains(run("serve", 1, "--keep", f"--around={n}", check=2).err, "write a power of 2 from 1 to 4096")


main()
