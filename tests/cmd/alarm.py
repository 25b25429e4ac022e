# SPDX-License-Identifier: GPL-2.0-or-later
"""pending --wait: sleeps until a thread waits, or none does, and says so by its exit status."""
import contextlib
import json
import signal
import sys
import time

sys.path[0] += "/.."
from harness import PAGE, SLOW, Target, contains, eq, fdinfo, main, ok, run, spawn, stat, target, test, wait_until

SOURCES = {"bpf": (), "proc": ("-S", "proc")}


class Alarm:
    """pending --wait, asleep."""

    def __init__(self, *args, asleep=True):
        self.p = spawn("pending", "--wait", "-J", *args)
        if asleep:
            wait_until(lambda: stat(self.p.pid)[1] == "S" and self.looked(), "it sleeps")

    def looked(self):
        """It has looked once, and waits in one of these."""
        with open(f"/proc/{self.p.pid}/wchan") as f:
            return f.read() in ("ep_poll", "do_epoll_wait", "hrtimer_nanosleep", "do_nanosleep", "common_nsleep")

    def result(self, rc=0):
        out, err = self.p.communicate(timeout=20 * SLOW)
        eq(self.p.returncode, rc, f"exit status: {err}")
        return json.loads(out)["pending"] if out else None, err.decode()


@contextlib.contextmanager
def waiting(nr=1, **kw):
    """A target with threads that wait."""
    with target(seed=1, mode="minor", **kw) as (t, m):
        t.touch(id=m["id"], len=nr * PAGE, access="read", threads=nr, split=True)
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == nr, "they wait")
        yield t, m


@test(each=SOURCES)
def alarm_waits(*source):
    with target(seed=1, mode="minor") as (t, m):
        a = Alarm(*source, t.pid)
        tid = t.touch(id=m["id"], len=PAGE, access="read")["tids"][0]
        eq([r["tid"] for r in a.result()[0]], [tid], "the thread")


@test
def alarm_waits_anywhere():
    """Without PIDs, and on a userfaultfd that was made after the alarm."""
    with Target() as t:
        a = Alarm()
        m = t.memory(seed=1, mode="minor", uffd=t.userfaultfd())
        tid = t.touch(id=m["id"], len=PAGE, access="read")["tids"][0]
        ok(tid in [r["tid"] for r in a.result()[0]], "the thread")


@test
def alarm_is_true_at_once():
    with waiting() as (t, _), target():
        eq(len(Alarm(t.pid, asleep=False).result()[0]), 1, "a thread waits")
    with target() as (t, _):
        eq(Alarm("--none", t.pid, asleep=False).result()[0], [], "none waits")


@test(each={"short": (300,), "long": (1100,)})
def alarm_older_than(ms):
    """Neither a thread that has just begun to wait, nor one that goes on in time."""
    with target(seed=1, mode="minor") as (t, m):
        a = Alarm(f"--older-than={ms * SLOW}ms", t.pid)
        t.touch(id=m["id"], len=PAGE, access="read")
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 1, "one waits")
        run("continue", t.pid, "all", check=0)
        t.madvise(id=m["id"], advice="dontneed")
        tid = t.touch(id=m["id"], offset=PAGE, len=PAGE, access="read")["tids"][0]
        rows = a.result()[0]
        eq([r["tid"] for r in rows], [tid], "the one that waits on")
        ok(rows[0]["slept_ns"] >= ms * 1e6 * SLOW, f"{rows[0]['slept_ns']} ns")


@test(each=SOURCES)
def alarm_none(*source):
    with waiting(3) as (t, m):
        a = Alarm("--none", *source, t.pid)
        run("continue", t.pid, hex(m["start"]) + "+4K", check=0)
        time.sleep(0.1)
        eq(a.p.poll(), None, "two wait still")
        run("continue", t.pid, "all", check=0)
        eq(a.result()[0], [], "none")


@test
def alarm_none_older_than():
    """Threads that began to wait later do not count."""
    with waiting() as (t, m):
        time.sleep(0.5)
        a = Alarm("--none", "--older-than=400ms", t.pid)
        run("continue", t.pid, hex(m["start"]) + "+4K", check=0)
        eq(a.result()[0], [], "none as old")


@test
def alarm_none_after_kill():
    """Threads that are killed take themselves out of the queue."""
    with waiting(3) as (t, _):
        a = Alarm("--none")
        t.kill()
        eq(a.result()[0], [], "none")


@test
def alarm_timeout():
    with target() as (t, _):
        rows, err = Alarm("--timeout=200ms", t.pid, asleep=False).result(rc=1)
        eq(rows, [], "none")
        contains(err, "the time is over")
    with waiting(2) as (t, _):
        rows, err = Alarm("--none", "--timeout=200ms", t.pid, asleep=False).result(rc=1)
        eq(len(rows), 2, "they wait still")


@test
def alarm_interrupted():
    for args in ((), ("--none",), ("--older-than=1h",)):
        with (waiting() if args else target()) as (t, _):
            a = Alarm(*args, t.pid)
            a.p.send_signal(signal.SIGINT)
            eq(a.result(rc=130), (None, ""), "no answer")


@test
def alarm_process_ends():
    for args in ((), ("--older-than=1h",), ("-S", "proc")):
        with target() as (t, _):
            a = Alarm(*args, t.pid)
            t.kill()
            contains(a.result(rc=3)[1], f"{t.pid}")


@test
def alarm_hidden():
    """Who may not look everywhere can't say that no thread waits; but may see one."""
    with target():
        contains(run("pending", "--wait", "--none", user=65534, check=3).err, "can't be inspected")


@test
def alarm_usage():
    for args in (["--none"], ["--timeout=1"], ["--wait", "-e"], ["--wait", "-w", "1"], ["-e", "-w", "1"],
                 ["--wait", "--timeout=frob"]):
        run("pending", *args, check=2)


main()
