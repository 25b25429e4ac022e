# SPDX-License-Identifier: GPL-2.0-or-later
"""serve --adopt: the handler has died or hangs; what it had read comes again, and goes on from the same image."""
import os
import signal
import sys

sys.path[0] += "/.."
from harness import PAGE, contains, eq, fdinfo, image, main, ok, run, stat, target, test, wait_until
from harness.serve import Serve, joined, touch

NR, SEED, STALE = 64, 9, 1


def left_waiting(t, m, action="count", nr=4):
    """The PID of a handler in another process, which has read the messages of the threads and resolved none."""
    child = t.child_handler(uffd=t.u, action=action)["pid"]
    threads = [th for i in range(nr) for th in touch(t, m, threads=1, offset=i * PAGE, len=PAGE, seed=SEED)]
    wait_until(lambda: fdinfo(t.pid, t.u) == {**fdinfo(t.pid, t.u), "pending": 0, "total": nr}, "all are read")
    return child, threads


@test(each={f"{mode}-{how}{'' if args else '-unasked'}": (mode, how, args) for mode in ("missing", "minor")
            for how in ("killed", "stopped", "hangs") for args in (["--adopt"], [])})
def serve_adopt(mode, how, args):
    """Killed or suspended, or it waits for something else, with messages in its hands: its threads go on with the image,
    and who may go on is named, also without the option."""
    nr = 1 if how == "hangs" else 4
    with target(size=NR * PAGE, mode=mode, seed=STALE if mode == "minor" else None) as (t, m), image(NR) as img:
        child, threads = left_waiting(t, m, "futex" if how == "hangs" else "count", nr)
        if how != "hangs":
            os.kill(child, signal.SIGKILL if how == "killed" else signal.SIGSTOP)
            wait_until(lambda: stat(child)[1] in "ZT", "it does nothing")
        with Serve(t.pid, *args, "--from", img.name) as s:
            eq(s.start["put_back"], nr, "start")
            joined(t, threads)
            joined(t, touch(t, m, seed=SEED))
            end = s.stop()
        eq((end["demand"], end["errors"]), (NR * PAGE, 0), f"{end}")
        contains(s.err, "1 thread waits whose message another handler has read: it is put back" if nr == 1 else
                 f"{nr} threads wait whose messages another handler has read: these are put back")
        eq(f"of process {child} has not ended" in s.err, how != "killed", f"the one that may go on: {s.err}")
        eq(t.check(id=m["id"], seed=SEED)["differ"], 0, "contents")


@test
def serve_adopt_refused():
    """A handler that reads is named; --force overrides; a dry run puts nothing back."""
    with target(size=NR * PAGE, mode="missing") as (t, m), image(NR) as img:
        child, threads = left_waiting(t, m)
        err = run("serve", "--adopt", t.pid, "--from", img.name, check=1).err
        contains(err, "a handler reads the messages")
        contains(err, f"of process {child};")
        eq(fdinfo(t.pid, t.u)["total"], 4, "they wait")
        os.kill(child, signal.SIGSTOP)
        wait_until(lambda: stat(child)[1] == "T", "it is suspended")
        contains(run("serve", "--adopt", "--dry-run", t.pid, "--from", img.name, check=0).err, "these would be put back")
        eq(fdinfo(t.pid, t.u)["pending"], 0, "not yet")
        os.kill(child, signal.SIGCONT)
        with Serve(t.pid, "--adopt", "--force", "--from", img.name, "--prefault", "--until-complete") as s:
            joined(t, threads)
            eq(s.ended()["reason"], "complete", "reason")
        ok(all(t.status(thread=th)["done"] for th in threads), "all go on")


@test
def serve_reader_is_named():
    """Without --adopt, too, and when nobody waits."""
    with target(size=NR * PAGE, mode="missing") as (t, _):
        t.handler(uffd=t.u, action="count")
        contains(run("serve", t.pid, "--keep", check=1).err, f"one of its holders ({t.pid}:{t.u})")


main()
