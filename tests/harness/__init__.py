# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of the command are written with. A test program registers functions and ends with main():

    import sys
    sys.path[0] += "/.."
    from harness import *

    @test
    def pending_one_thread():
        with target(seed=1, mode="minor") as (t, m):
            t.touch(id=m["id"], access="read")
            wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 1, "it waits")
            eq(len(run("pending", "-J", t.pid, check=0).json()["pending"]), 1, "rows")

    main()

`python3 tests/harness PROGRAM...` runs many programs and merges what they print.
"""
from .check import SLOW, Failure, Skip, contains, eq, fewer, ok, skip, wait_until
from .memory import HUGE, PAGE, cgroup, hugepages, image, into, pattern_page, small_tmpfs, swap
from .proc import ended, fdinfo, links, pagemap, smaps_flags, stat, stopped, take_fd
from .program import main, test
from .run import BUILD, HELPERS, ROOT, UFFDCTL, Result, run, spawn
from .target import FEATURES, Target, TargetError, target

__all__ = ["BUILD", "FEATURES", "Failure", "HELPERS", "HUGE", "PAGE", "ROOT", "Result", "SLOW", "Skip", "Target",
           "TargetError", "UFFDCTL", "cgroup", "contains", "ended", "eq", "fdinfo", "fewer", "hugepages", "image", "into",
           "links", "main", "ok", "pagemap", "pattern_page", "run", "skip", "small_tmpfs", "smaps_flags", "spawn", "stat", "stopped",
           "swap", "take_fd", "target", "test", "wait_until"]
