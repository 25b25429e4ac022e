# SPDX-License-Identifier: GPL-2.0-or-later
"""serve is killed: who holds the userfaultfd then, and what becomes of the process.

UFFDCTL_SERVE_KILLS: how often serve-death-at-random-* kills it (make serve-killed has 50).
"""
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time

sys.path[0] += "/.."
from harness import PAGE, SLOW, UFFDCTL, Target, contains, eq, fewer, image, main, ok, run, stopped, target, test, wait_until
from harness.serve import Serve, joined, touch, zeros

NR, SEED, STALE = 64, 9, 1
KILLS = int(os.environ.get("UFFDCTL_SERVE_KILLS") or fewer(10))


@contextlib.contextmanager
def plain(kind="anon", nr=NR, **how):
    """A process that has no userfaultfd."""
    with Target(timeout=120) as t:
        yield t, t.memory(kind, nr * PAGE, **how)


def area(m, nr=NR):
    return f"{m['addr']}+{nr * PAGE}"


def files(t):
    return sorted(os.listdir(f"/proc/{t.pid}/fd"))


def parked(t):
    return sum(os.readlink(f"/proc/{t.pid}/fd/{fd}") == "anon_inode:[userfaultfd]" for fd in files(t))


def registered(pid):
    return run("smaps", "-J", pid, check=0).json()["smaps"]


def killed(s):
    s.proc.send_signal(signal.SIGKILL)
    s.proc.wait()


def waiting(t):
    return run("list", "-J", t.pid, check=0).json()["list"][0]["total"]


# ---- what is asked for ----

@test(each={"from": (("--from",), ()), "from-hold": (("--from",), ("--on-death=hold",)), "zero": (("--zero",), ()),
            "keep-hold": (("--keep",), ("--on-death=hold",))})
def serve_death_holds(source, how):
    """The descriptor is in the process: threads wait, and the next one finds it and goes on."""
    with plain() as (t, m), image(NR) as img:
        args = ("--inject", "-m", "missing", *source, *([img.name] if source == ("--from",) else []), *how, t.pid, area(m))
        seed = {"seed": SEED} if source == ("--from",) else {}
        with Serve(*args) as s:
            eq(s.start["holder"], t.pid, "holder")
            joined(t, touch(t, m, len=NR // 2 * PAGE, **seed))
            s.proc.send_signal(signal.SIGSTOP)
            wait_until(lambda: stopped(s.proc.pid), "it is stopped")
            ths = touch(t, m, offset=NR // 2 * PAGE, len=8 * PAGE, **seed)
            wait_until(lambda: waiting(t), "they wait")
            killed(s)
        ths += touch(t, m, offset=NR // 2 * PAGE, **seed)
        eq(parked(t), 1, "it is parked there")
        wait_until(lambda: waiting(t) >= 8, "those that fault later wait, too")
        # By itself, and with --adopt, which says what was left.
        with Serve(*args, "--adopt") as s:
            contains(run("list", "-J", t.pid, check=0).out, str(s.proc.pid))
            joined(t, ths)
            s.stop()
        if source == ("--from",):
            eq(t.check(id=m["id"], seed=SEED)["differ"], 0, "contents")
        run("unregister", "-q", t.pid, "all", check=0 if source != ("--keep",) else None)


@test(each={"anon": ("anon", "missing"), "shmem": ("memfd", "minor,missing")})
def serve_death_releases(kind, mode):
    """Nothing is left in the process, and it goes on with what is there, which is said before."""
    with plain(kind) as (t, m), image(NR) as img:
        before = files(t)
        with Serve("--inject", "-m", mode, "--from", img.name, "--on-death=release", t.pid, area(m)) as s:
            eq((s.start["holder"], files(t)), (s.proc.pid, before), "who holds it")
            joined(t, touch(t, m, len=NR // 2 * PAGE, seed=SEED))
            s.proc.send_signal(signal.SIGSTOP)
            wait_until(lambda: stopped(s.proc.pid), "it is stopped")
            ths = touch(t, m, offset=NR // 2 * PAGE)
            wait_until(lambda: run("pending", "-J", t.pid).json()["pending"], "they wait")
            killed(s)
            contains(s.proc.stderr.read().decode(), "goes on with wrong contents")
        joined(t, ths)
        eq((registered(t.pid), files(t)), ([], before), "as before")
        eq(t.check(id=m["id"], len=NR // 2 * PAGE, seed=SEED)["differ"], 0, "what was filled")
        zeros(t, m, NR // 2 * PAGE, NR // 2 * PAGE)


@test
def serve_death_release_stopped():
    """A signal: it is said how much is wrong; nothing, if all is there."""
    with image(NR) as img:
        for nr, said in ((NR // 2, f"for {NR // 2 * PAGE} bytes that were not filled"), (NR, None)):
            with plain() as (t, m), Serve("--inject", "-m", "missing", "--from", img.name, "--on-death=release", t.pid, area(m)) as s:
                joined(t, touch(t, m, len=nr * PAGE, seed=SEED))
                s.stop()
                eq(registered(t.pid), [], "nothing is registered")
                if said:
                    contains(s.err, said)
                ok("stay registered" not in s.err and (said or "not filled" not in s.err), s.err)


@test
def serve_death_command():
    """-- COMMAND: with release, the program has no descriptor of it, and goes on when we are killed."""
    with image(1) as img, tempfile.TemporaryDirectory() as d:
        for how, nr in (("hold", 1), ("release", 0)):
            program = "ls -l /proc/$$/fd | grep -c userfaultfd >$0; exec sleep 0.2"
            run("serve", "-q", "--zero", f"--on-death={how}", "--", "sh", "-c", program, f"{d}/n", check=0)
            with open(f"{d}/n") as f:
                eq(int(f.read()), nr, how)


@test
def serve_death_refused():
    with plain() as (t, m), image(NR) as img:
        run("register", "-q", "--inject", "-m", "missing", t.pid, area(m), check=0)
        r = run("serve", "--inject", "-m", "missing", "--from", img.name, "--on-death=release", t.pid, area(m), check=1)
        contains(r.err, "there is a userfaultfd already")
        for args, text in ((("--from", img.name, "--on-death=hold", t.pid), "--on-death needs --inject"),
                           (("--inject", "--zero", "--on-death=release", "--state=x", t.pid, area(m)), "excludes --state"),
                           (("--inject", "--zero", "--on-death=x", t.pid, area(m)), "write hold or release")):
            contains(run("serve", *args, check=2).err, text)


# ---- at random ----

def attempt(args, rng):
    """Started, and killed: while it is put in, while it begins, or while it serves."""
    p = subprocess.Popen([UFFDCTL, "serve", "-q", *(str(a) for a in args)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
    time.sleep(rng.random() ** 2 * 0.15 * SLOW)
    p.kill()
    return p.wait() == -signal.SIGKILL


@test(each={"anon": ("anon", "missing", ()), "anon-state": ("anon", "missing", ("--state",)), "shmem-state": ("memfd", "minor,missing", ("--state",)),
            "adopt": ("memfd", "missing", ("--adopt",))}, limit=600)
def serve_death_at_random(kind, mode, how):
    """8 threads touch, half of them write what they have touched; each kill is followed by the next start; all is right at the end."""
    nr, rng = 16384, random.Random(KILLS)
    with plain(kind, nr) as (t, m), image(nr) as img, tempfile.TemporaryDirectory() as d:
        args = ["--inject", "-m", mode, "--from", img.name, "--prefault", "--rate=16M", t.pid, area(m, nr)]
        args += [*how, *([f"{d}/state"] if how == ("--state",) else [])]
        with Serve(*args) as s:
            first = touch(t, m, len=16 * PAGE, seed=SEED)
            joined(t, first)
            t.fill(id=m["id"], len=16 * PAGE, seed=3, through="self")  # the process's own from now on
            killed(s)
        ths = touch(t, m, offset=16 * PAGE, seed=SEED, delay_us=50)
        ok(sum(attempt(args, rng) for _ in range(KILLS)) > KILLS // 2, "it was killed")
        with Serve(*args) as s:
            joined(t, ths, 90000)
            end = s.stop()
        eq((end["errors"], end["held"]), (0, 0), f"{end}")
        eq(t.check(id=m["id"], offset=16 * PAGE, len=(nr - 16) * PAGE, seed=SEED)["differ"], 0, "contents")
        eq(t.check(id=m["id"], len=16 * PAGE, seed=3)["differ"], 0, "what the process has written")
        eq(parked(t), 1, "one descriptor")


@test
def serve_state_link():
    """Not followed: it may be another user's; and what to do is said."""
    with target("anon", 4 * PAGE, mode="missing") as (t, m), tempfile.TemporaryDirectory() as d:
        os.symlink("state", f"{d}/link")
        contains(run("serve", "--zero", "--state", f"{d}/link", t.pid, check=1).err, "it is a symbolic link: write the path of the file itself")
        eq(os.listdir(d), ["link"], "files")


main()
