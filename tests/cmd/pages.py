# SPDX-License-Identifier: GPL-2.0-or-later
"""pages: the state of each page, beside what the process was made to have."""
import contextlib
import errno
import os
import subprocess
import sys
import tempfile

sys.path[0] += "/.."
from harness import (HUGE, PAGE, Target, TargetError, contains, eq, fdinfo, hugepages, main, ok, pagemap, run, skip,
                     smaps_flags, spawn, target, test, wait_until)

STATES = ("mapped", "minor", "absent", "swapped", "unknown")


def rows(*args, rc=0):
    return run("pages", "-J", *args, check=rc).json()["pages"]


def place(m, size=None):
    return f"{m['addr']}+{size or m['size']}"


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


def expect(t, m, want):
    """want: a word for each page. Totals agree with the runs."""
    eq(pages(t, m), want, "pages")
    words = [w.split("+") for w in want]
    count = {s: sum(s in w for w in words) for s in (*STATES, "wp", "rwp", "poisoned")}
    eq(sums(t, m), {s: n for s, n in count.items() if n}, "totals")


def mixed(t, m, nr=16):
    """Mapped 0-3, in the page cache only 4-7, allocated and never written 8-9, absent from 10 on."""
    page = m["page_size"]
    t.fill(id=m["id"], len=8 * page, seed=1)
    t.fallocate(id=m["id"], offset=8 * page, len=2 * page, mode="alloc")
    t.touch(id=m["id"], len=4 * page, access="read")
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


main()
