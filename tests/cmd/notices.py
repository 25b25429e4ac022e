# SPDX-License-Identifier: GPL-2.0-or-later
"""watch says why it shows nothing: nobody resolves, no userfaultfd, the last one was closed."""
import contextlib
import os
import re
import signal
import sys
import time

sys.path[0] += "/.."
from harness import PAGE, Target, TargetError, contains, eq, fdinfo, main, ok, run, target, test, wait_until
from harness.screen import Screen
from harness.watch import Watch, consistent

STUCK = "for more than 3 seconds, and no fault has ended meanwhile: see uffdctl pending"
BEFORE = "since before watching began: see uffdctl pending"


def touch(t, m, page):
    return t.touch(id=m["id"], offset=page * PAGE, len=PAGE, access="read")["threads"]


@test
def notices_stuck():
    """Threads wait and no fault ends: one note, and another only when faults have ended in between."""
    with target(seed=1, mode="minor") as (t, m):
        w = Watch("-c", "1000", t.pid)
        threads = t.touch(id=m["id"], len=2 * PAGE, access="read", threads=2, split=True)["threads"]
        time.sleep(2)
        threads += touch(t, m, 2)
        wait_until(lambda: STUCK in w.said(), "it says so", timeout=20)
        contains(w.said(), f"{t.pid}: 2 threads have waited {STUCK} {t.pid}\n")
        time.sleep(5)
        eq(w.said().count(STUCK), 1, "once")
        run("continue", t.pid, "all", check=0)
        # One that has not read its page yet would wait again.
        ok(all(t.join(thread=th, timeout_ms=5000)["done"] for th in threads), "they go on")
        t.madvise(id=m["id"], advice="dontneed")
        touch(t, m, 3)
        wait_until(lambda: w.said().count(STUCK) == 2, "again", timeout=20)
        contains(w.said(), f"{t.pid}: 1 thread has waited {STUCK} {t.pid}\n")
        ok(BEFORE not in w.said(), "nobody waited before")
        consistent(w.stop()[1])


@test
def notices_unread_event():
    """Who is in madvise(2) or the like, if that is why pages can't be filled."""
    with target("anon", mode="missing", features=["event_remove"]) as (t, m):
        w = Watch("--backend=sched", t.pid)
        t.comm(name="drops")
        th = t.madvise(id=m["id"], len=PAGE, advice="dontneed", **{"async": True})["thread"]
        wait_until(lambda: [x for x in run("pending", "-J", t.pid, check=0).json()["pending"] if x["kind"] == "remove"], "it waits")
        tid = run("pending", "-J", t.pid, check=0).json()["pending"][0]["tid"]
        for _ in range(2):
            with contextlib.suppress(TargetError):
                t.copy(uffd=t.u, id=m["id"], offset=PAGE, len=PAGE, seed=1)
            wait_until(lambda: "EAGAIN" in w.said(), "it says so")
        ok(re.search(rf"{t.pid}: filling pages fails with EAGAIN until the handler reads the event remove of thread {tid} \(.*\), "
                     r"which waits since [\d.]+m?s: see uffdctl pending\n", w.said()), w.said())
        eq(w.said().count("EAGAIN"), 1, "once")
        t.read_msg(uffd=t.u, timeout_ms=1000)
        ok(t.join(thread=th, timeout_ms=5000)["done"], "madvise goes on")
        eq([(f["op"], f["errno"], f["count"]) for f in w.stop()[1]["failures"]], [("copy", "EAGAIN", 2)], "failures")


@test
def notices_waited_before():
    """Told once, and not again as threads that are stuck; one that waits no longer is not worth a note."""
    with target(seed=1, mode="minor") as (t, m):
        for page in range(2):
            touch(t, m, page)
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 2, "they wait")
        w = Watch(t.pid)
        wait_until(lambda: BEFORE in w.said(), "it says so")
        contains(w.said(), f"{t.pid}: 2 threads have waited {BEFORE} {t.pid}\n")
        time.sleep(4.5)
        ok(STUCK not in w.said(), "the same threads")
        w.stop()
        w = Watch("--duration=2s", t.pid)
        run("continue", t.pid, "all", check=0)
        eq(w.stop()[1]["pending_before"], 2, "they are counted")
        ok("waited" not in w.said(), w.said())


@test
def notices_closed():
    """Said once, when it was the last one; --until-closed ends."""
    with target(seed=1, mode="minor") as (t, m):
        said = f"{t.pid}: the last userfaultfd that governed its memory was closed"
        dup, other = t.dup(fd=t.u)["fd"], t.userfaultfd()
        child = t.child_handler(uffd=other, action="none")["pid"]
        w, until = Watch("--interval=100ms", "--summary", t.pid), Watch("--until-closed", t.pid)
        touch(t, m, 0)
        run("continue", t.pid, "all", "-f", t.u, check=0)
        for fd in (t.u, dup, other):
            ok(said not in w.said(), "there are others")
            t.close(fd=fd)
            time.sleep(2.5)
        ok(said not in w.said() and until.p.poll() is None, "the child has one")
        os.kill(child, signal.SIGKILL)
        faults, s = until.stop(sig=0)
        eq((len(faults), s["faults"]["minor"]), (1, 1), "what was seen before")
        wait_until(lambda: said in w.said(), "it is said")
        time.sleep(3)
        eq(w.said().count(said), 1, "once")
        ok("yet" not in w.said() + until.said(), "it was there")


@test
def notices_closed_without_any():
    """A process that has none yet is waited for."""
    with Target() as t:
        w = Watch("--until-closed", t.pid)
        contains(w.said(), f"{t.pid}: no userfaultfd governs its memory yet")
        time.sleep(3)
        ok(w.p.poll() is None, "it goes on")
        fd = t.userfaultfd()
        time.sleep(2.5)
        ok(w.p.poll() is None, "it goes on")
        t.close(fd=fd)
        eq(w.stop(sig=0)[0], [], "it ends")
        ok("was closed" not in w.said(), "the end says it")
    contains(run("watch", "--until-closed", check=2).err, "requires a PID")


@test
def notices_in_the_view():
    """What did not hold for long is not printed again when the view has ended."""
    with Target() as t, Screen(t.pid) as s:
        s.wait("no userfaultfd governs its memory yet")
        fd = t.userfaultfd()
        m = t.memory(seed=1, mode="minor", uffd=fd)
        t.handler(uffd=fd, action="continue")
        touch(t, m, 0)
        s.wait("/memfd")
        s.keys("q")
        s.wait("1 faults in")
        ok("governs" not in s.history(), s.history())


main()
