# SPDX-License-Identifier: GPL-2.0-or-later
"""zap and register --inject: calls inside a process that notices nothing of it, also when uffdctl is killed."""
import os
import shutil
import signal
import subprocess
import sys
import time

sys.path[0] += "/.."
from harness import (HELPERS, HUGE, PAGE, SLOW, Target, contains, eq, fewer, hugepages, main, ok, pagemap, run, skip, spawn,
                     stat, target, test, wait_until)
from harness.proc import parents
from harness.sandbox import KILL, NOBODY, Place, filtered
from harness.steady import Steady, calls_of, killed_at

NR = 16
# What the first thread does while the call is run in it.
JOBS = ("registers", "stack", "tiles", "read", "nanosleep", "poll", "ppoll", "futex", "epoll", "signals", "births", "memory")


def area(m, nr=NR, page=PAGE):
    return f"{m['addr']}+{nr * page}"


def zapped(t, *args, check=0):
    return [(r["zapped"], r["error"]) for r in run("zap", "-J", "-q", t.pid, *args, check=check).json()["zap"]]


def status(pid, key):
    with open(f"/proc/{pid}/status") as f:
        return next(line.split(None, 1)[1].strip() for line in f if line.startswith(f"{key}:"))


# ---- what it does ----

@test(each={"shmem": ("memfd", PAGE), "tmpfs": ("tmpfs", PAGE), "hugetlb": ("hugetlb", HUGE)})
def zap_keeps_data(kind, page):
    """Nothing is mapped any more, all of it is there still, and only what was mapped is counted."""
    with hugepages(NR if kind == "hugetlb" else 0), target(kind, NR * page, seed=1) as (t, m):
        t.fill(id=m["id"], seed=1, through="self")
        dry = run("zap", "-J", "--dry-run", t.pid, area(m, NR, page), check=0).json()["zap"]
        eq((dry[0]["zapped"], dry[0]["dry_run"]), (None, True), "dry run")
        eq(zapped(t, area(m, NR, page)), [(NR * page, None)], "zap")
        eq(sum(w >> 63 for w in pagemap(t.pid, m["start"], NR * page // PAGE)), 0, "mapped")
        eq(zapped(t, area(m, NR, page)), [(0, None)], "there is nothing more")
        eq(t.check(id=m["id"], seed=1)["differ"], 0, "the data")


@test
def zap_guest_memfd():
    with Target() as t:
        try:
            m = t.memory("guest_memfd", NR * PAGE)
        except Exception as e:
            skip(f"no guest_memfd that can be mapped: {e}")
        t.fill(id=m["id"], seed=1, through="self")
        eq(zapped(t, area(m)), [(NR * PAGE, None)], "zap")
        eq(t.check(id=m["id"], seed=1)["differ"], 0, "the data")


@test
def zap_keeps_marks():
    """Write-protect marks survive."""
    with target(size=NR * PAGE, mode="minor,wp") as (t, m):
        t.fill(id=m["id"], seed=1, through="self")
        t.writeprotect(uffd=t.u, id=m["id"], len=4 * PAGE)
        run("zap", "-q", t.pid, area(m), check=0)
        eq(sum(w >> 57 & 1 for w in pagemap(t.pid, m["start"], NR)), 4, "marks")


@test
def zap_story():
    """As its man page has it: a process that knows nothing of userfaultfd, and what its threads wait for."""
    with Target() as t:
        m = t.memory(size=NR * PAGE, seed=1)
        t.fill(id=m["id"], seed=1, through="self")
        before = set(os.listdir(f"/proc/{t.pid}/fd"))
        r = run("register", "-J", "--inject", "-m", "minor", t.pid, "@/memfd:*", check=0).json()["register"]
        eq([(x["mode"], x["error"]) for x in r], [(["minor"], None)], "registered")
        eq({str(r[0]["fd"])}, set(os.listdir(f"/proc/{t.pid}/fd")) - before, "its only new descriptor")
        again = run("register", "-J", "-q", "--inject", t.pid, area(m), check=0).json()["register"]
        eq(again[0]["fd"], r[0]["fd"], "there is one: it is used")
        eq(zapped(t, "all"), [(NR * PAGE, None)], "zap")
        threads = [t.touch(id=m["id"], offset=i * PAGE, len=PAGE, access=a)["threads"][0]
                   for i, a in ((3, "read"), (5, "write"), (7, "kernel_read"))]
        waits = lambda: sorted((w["kind"], int(w["addr"], 16)) for w in run("pending", "-J", t.pid).json()["pending"])
        wait_until(lambda: waits() == [("minor", m["start"] + i * PAGE) for i in (3, 5, 7)], "three threads wait")
        contains(run("zap", t.pid, "all", check=1).err, "waits for a page within a system call (write)")
        run("continue", t.pid, f"{hex(m['start'] + 7 * PAGE)}+{PAGE}", check=0)
        ok(t.join(thread=threads.pop(), timeout_ms=5000)["done"], "the kernel goes on")
        eq(zapped(t, "all"), [(PAGE, None)], "while two wait")
        wait_until(lambda: len(waits()) == 2, "they wait again")
        run("continue", t.pid, "all", check=0)
        for th in threads:
            ok(t.join(thread=th, timeout_ms=5000)["done"], "it goes on")
        eq(t.check(id=m["id"], offset=8 * PAGE, seed=1)["differ"], 0, "the contents")


@test
def zap_python():
    """A program of others."""
    code = "import mmap, sys\nm = mmap.mmap(-1, 4096)\nm[0:4] = b'abcd'\nprint(1, flush=True)\nsys.stdin.readline()\nprint(m[0:4], flush=True)\n"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as p:
        p.stdout.readline()
        run("register", "-q", "--inject", p.pid, "@/dev/zero*", check=0)
        eq([r["zapped"] for r in run("zap", "-J", "-q", p.pid, "all", check=0).json()["zap"]], [PAGE], "zap")
        p.stdin.write(b"\n")
        p.stdin.flush()
        wait_until(lambda: len(run("pending", "-J", p.pid).json()["pending"]) == 1, "it waits")
        run("continue", p.pid, "all", check=0)
        eq(p.stdout.readline(), b"b'abcd'\n", "its data")


# ---- what it refuses ----

@test
def zap_refused():
    """Where data would be lost, or would not come back."""
    with Target() as t:
        t.userfaultfd()
        anon = t.memory("anon", NR * PAGE)
        private = t.memory("memfd", NR * PAGE, shared=False)
        shared = t.memory("memfd", NR * PAGE, seed=1)
        for m in (anon, private):
            t.fill(id=m["id"], seed=2, through="self")
        contains(run("zap", t.pid, area(anon), check=1).err, "private memory: its data would be lost")
        contains(run("zap", t.pid, area(private), check=1).err, "pages that the process has written would be lost")
        contains(run("zap", t.pid, "@?stack?", check=1).err, "private memory")
        contains(run("zap", t.pid, "all", check=1).err, "register memory first")
        for m in (anon, private):
            eq(t.check(id=m["id"], seed=2)["differ"], 0, "the data")
        t.fill(id=shared["id"], seed=1, through="self")
        eq(zapped(t, area(anon), area(shared), check=1)[1], (NR * PAGE, None), "the rest is done")


@test
def zap_locked():
    """What is locked in memory stays mapped."""
    code = ("import ctypes, mmap, sys\nm = mmap.mmap(-1, 65536)\nm[0] = 1\nb = ctypes.addressof(ctypes.c_char.from_buffer(m))\n"
            "assert not ctypes.CDLL(None).mlock(ctypes.c_void_p(b), 65536)\nprint(hex(b), flush=True)\nsys.stdin.readline()\n")
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as p:
        start = p.stdout.readline().decode().strip()
        contains(run("zap", p.pid, f"{start}+65536", check=1).err, "locked in memory (mlock)")
        p.stdin.close()


@test
def zap_remove_events():
    """A handler that reads remove events would zero the pages."""
    with target(size=NR * PAGE, seed=1, mode="minor", features=["minor_shmem", "missing_shmem", "event_remove"]) as (t, m):
        contains(run("zap", t.pid, area(m), check=1).err, "asks for remove events")


@test
def inject_traced():
    if not shutil.which("strace"):
        skip("needs strace")
    with Steady() as s, subprocess.Popen(["strace", "-qq", "-o", "/dev/null", "-p", str(s.pid)]) as tracer:
        wait_until(lambda: status(s.pid, "TracerPid") == str(tracer.pid), "it is traced")
        for command in (("zap", s.pid, s.area), ("register", "--inject", s.pid, s.area)):
            for dry in ((), ("--dry-run",)):
                contains(run(*command, *dry, check=1).err, f"is traced by process {tracer.pid} (strace)")
        tracer.terminate()
        tracer.wait()
        run("zap", s.pid, s.area, check=0)
        s.check(may_be_interrupted=True)


@test
def inject_32bit():
    program = os.path.join(HELPERS, "target32")
    if not os.path.exists(program):
        skip("no 32-bit program here; x86-64 runs this")
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as p:
        p.stdout.readline()
        end = int(p.stdout.readline(), 16)
        contains(run("zap", "-q", p.pid, f"{end:x}+{PAGE}", check=1).err, "it runs 32-bit code")
        eq(stat(p.pid)[1], "S", "it waits as before")
        p.kill()


# ---- the target is as before ----

@test(each={j: (j,) for j in JOBS})
def inject_unnoticed(job):
    """No call ends early, no signal is lost, no register changes."""
    with Steady(job) as s:
        for _ in range(fewer(10)):
            run("zap", "-q", s.pid, s.area, check=0)
        run("register", "-q", "--inject", "-m", "missing", s.pid, s.area, check=0)
        s.check()


@test(limit=300, each={j: (j,) for j in ("registers", "tiles", "nanosleep", "read", "signals")})
def inject_killed(job):
    """Killed at each system call of ours that touches the process, before it and so after the one before it."""
    if not shutil.which("strace"):
        skip("needs strace")
    with Steady(job) as s:
        args = ("zap", "-q", s.pid, s.area)
        for name in ("ptrace", "pwrite64"):
            for nr in range(1, calls_of(args, name) + 1, SLOW):
                killed_at(args, name, nr)
        s.check(may_be_interrupted=True)


@test(limit=300, each={"own": (None,), "given": (NOBODY,)})
def inject_killed_making(user):
    """The same while a userfaultfd is made: what remains is descriptors at most."""
    may_remain = {"anon_inode:[userfaultfd]", *(["anon_inode:[pidfd]", "/dev/userfaultfd"] if user else [])}
    if not shutil.which("strace"):
        skip("needs strace")
    with Steady(user=user) as s:
        calls = calls_of(("register", "-q", "--inject", "-m", "missing", s.pid, s.area), "ptrace")
    left = 0
    for nr in range(1, calls + 1, SLOW):
        with Steady("nanosleep", user=user) as s:
            s.check()
            before = set(os.listdir(f"/proc/{s.pid}/fd"))
            killed_at(("register", "-q", "--inject", "-m", "missing", s.pid, s.area), "ptrace", nr)
            s.check(may_be_interrupted=True)
            new = [os.readlink(f"/proc/{s.pid}/fd/{fd}") for fd in set(os.listdir(f"/proc/{s.pid}/fd")) - before]
            # Newer kernels call a pidfd "pidfd:[N]".
            names = {"anon_inode:[pidfd]" if n.startswith("pidfd:") else n for n in new}
            ok(names <= may_remain, f"left: {new}")
            left += bool(new)
    ok(left < calls, "mostly nothing is left")


@test
def inject_stopped():
    """Stopped by job control: it stays so, and goes on only with SIGCONT."""
    with Steady("nanosleep") as s:
        os.kill(s.pid, signal.SIGSTOP)
        wait_until(lambda: stat(s.pid)[1] == "T", "it is stopped")
        run("zap", "-q", s.pid, s.area, check=0)
        # A thread that is let go runs for a moment, until it sees that all are stopped.
        wait_until(lambda: {stat(s.pid, int(tid))[1] for tid in os.listdir(f"/proc/{s.pid}/task")} == {"T"}, "it is stopped still")
        os.kill(s.pid, signal.SIGCONT)
        s.check(may_be_interrupted=True)


@test
def inject_pending_signal():
    """A blocked signal that waits, and one that comes meanwhile."""
    with Steady("read") as s:
        with open(f"/proc/{s.pid}/status") as f:
            before = [line for line in f if line.startswith(("SigBlk", "SigCgt", "SigIgn"))]
        p = spawn("zap", "-q", s.pid, s.area)
        for _ in range(50):
            os.kill(s.pid, signal.SIGCONT)
        p.communicate()
        eq(p.returncode, 0, "zap")
        with open(f"/proc/{s.pid}/status") as f:
            eq([line for line in f if line.startswith(("SigBlk", "SigCgt", "SigIgn"))], before, "signals")
        s.check(may_be_interrupted=True)


@test
def inject_stop_meanwhile():
    """SIGSTOP and SIGCONT at any moment of it: neither is lost."""
    with Steady("nanosleep") as s:
        for i in range(fewer(30)):
            p = spawn("zap", "-q", s.pid, s.area)
            time.sleep(i * 0.001)
            os.kill(s.pid, signal.SIGSTOP)
            p.communicate()
            eq(p.returncode, 0, "zap")
            wait_until(lambda: stat(s.pid)[1] == "T", "it is stopped")
            os.kill(s.pid, signal.SIGCONT)
        s.check(may_be_interrupted=True)


@test
def inject_exits_meanwhile():
    """Killed at any moment: an error, and no hang."""
    for i in range(fewer(20)):
        with Steady() as s:
            p = spawn("zap", "-q", s.pid, s.area)
            time.sleep(i * 0.001)
            s.proc.kill()
            _, err = p.communicate(timeout=20)
            ok(p.returncode in (0, 1), f"exit {p.returncode}: {err}")


@test
def inject_other_user():
    """It may not make a userfaultfd that handles faults of the kernel: it gets one through /dev/userfaultfd."""
    with Steady(user=NOBODY) as s:
        s.check()
        before = set(os.listdir(f"/proc/{s.pid}/fd"))
        r = run("register", "-J", "-q", "--inject", "-m", "missing", s.pid, s.area, check=0).json()["register"]
        eq({str(r[0]["fd"])}, set(os.listdir(f"/proc/{s.pid}/fd")) - before, "its only new descriptor")
        s.check()
    with Target(user=NOBODY) as t:
        m = t.memory(size=NR * PAGE)
        run("register", "-q", "--inject", "-m", "missing", t.pid, area(m), check=0)
        th = t.touch(id=m["id"], len=PAGE, access="kernel_read")["threads"][0]
        wait_until(lambda: len(run("pending", "-J", t.pid).json()["pending"]) == 1, "the kernel waits for a page")
        run("zeropage", "-q", t.pid, area(m), check=0)
        done = t.join(thread=th, timeout_ms=5000)
        eq((done["done"], done["errno"]), (True, 0), "it goes on")


@test
def inject_pid_namespace():
    """A container: the target sees other PIDs."""
    place = Place(user=None, unshare=["--pid", "--fork", "--mount-proc", "--setuid", str(NOBODY)])
    with place.target() as t:
        pid = place.inside
        m = t.memory(size=NR * PAGE)
        r = run("register", "-J", "-q", "--inject", "-m", "missing", pid, area(m), check=0).json()["register"]
        eq([x["error"] for x in r], [None], "registered")
        # This process would get them.
        eq([p for p, parent in parents().items() if parent == os.getpid() and p != t.proc.pid], [], "processes left")


@test
def inject_seccomp():
    """A filter that forbids a call is suspended; one that would kill is not tried. Without that right, it is left alone."""
    with Steady(preexec_fn=filtered(["madvise"])) as s:
        run("zap", "-q", s.pid, s.area, check=0)
        s.check()
    with Steady(preexec_fn=filtered(["userfaultfd", "pidfd_open"])) as s:
        run("register", "-q", "--inject", "-m", "missing", s.pid, s.area, check=0)
        s.check()
        eq(status(s.pid, "Seccomp"), "2", "its filter")
    with Steady("nanosleep", preexec_fn=filtered(["userfaultfd"], KILL)) as s:
        contains(run("register", "-q", "--inject", "-m", "missing", s.pid, s.area, check=1).err, "(userfaultfd)")
        s.check()
    for action in (KILL, 0x50001):
        code = "import mmap, sys\nm = mmap.mmap(-1, 4096)\nm[0] = 1\nprint(1, flush=True)\nsys.stdin.readline()\nprint(m[0], flush=True)\n"
        with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              preexec_fn=filtered(["rt_sigreturn"], action)) as p:
            p.stdout.readline()
            contains(run("zap", "-q", p.pid, "@/dev/zero*", check=1).err, "rt_sigreturn")
            eq(p.communicate(b"\n")[0], b"1\n", "it goes on")
    with Steady(user=NOBODY) as s:
        run("zap", "-q", s.pid, s.area, user=NOBODY, check=0)
        for dry in ((), ("--dry-run",)):
            contains(run("register", "-q", "--inject", *dry, "-m", "missing", s.pid, s.area, user=NOBODY, check=1).err,
                     f"may not open /dev/userfaultfd (setfacl -m u:{NOBODY}:rw")
        s.check()
    with Steady(user=NOBODY, preexec_fn=filtered(["pidfd_open"], KILL)) as s:
        contains(run("zap", "-q", s.pid, s.area, user=NOBODY, check=1).err, "seccomp")
        s.check()


SLEEPER = "import mmap, time\nm = mmap.mmap(-1, 4096)\nm[0] = 1\nprint(1, flush=True)\ntime.sleep(3600)\n"


@test
def inject_seccomp_put_back():
    """On arm64, one more call puts back where a thread was, and leaves no trace: one that no filter kills it for."""
    harmless = ["getpid", "getuid", "getppid"]
    for denied in (harmless[:1], harmless[:2], harmless):
        with subprocess.Popen([sys.executable, "-IS", "-c", SLEEPER], stdout=subprocess.PIPE, preexec_fn=filtered(denied, KILL)) as p:
            p.stdout.readline()
            wait_until(lambda: stat(p.pid)[1] == "S", "it sleeps")
            err = run("zap", p.pid, "@/dev/zero*", check=0).err
            p.kill()
        if denied == harmless and os.uname().machine == "aarch64":
            contains(err, f"{p.pid}: the system call in which thread {p.pid} was may end early, with EINTR")
        else:
            eq(err, "", f"without {denied}")
    for job in ("nanosleep", "epoll"):
        with Steady(job, preexec_fn=filtered(harmless[:1], KILL)) as s:
            run("zap", "-q", s.pid, s.area, check=0)
            s.check()


@test
def inject_vfork():
    """A thread that does not stop: that is said after a while, and all go on."""
    fifo = f"/tmp/uffdctl-test-fifo-{os.getpid()}"
    # The child opens the FIFO before it calls execve(2): until then the thread that made it does not stop.
    code = ("import mmap, os, sys, threading\nm = mmap.mmap(-1, 4096)\nm[0] = 1\n"
            f"actions = [(os.POSIX_SPAWN_OPEN, 5, '{fifo}', os.O_RDONLY, 0)]\n"
            "spawn = lambda: os.posix_spawn('/bin/true', ['true'], {}, file_actions=actions)\n"
            "threading.Thread(target=spawn, daemon=True).start()\nsys.stdin.readline()\nprint(m[0], flush=True)\n")
    os.mkfifo(fifo)
    try:
        with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as p:
            others = lambda: [int(x) for x in os.listdir(f"/proc/{p.pid}/task") if int(x) != p.pid]
            wait_until(lambda: others() and stat(p.pid, others()[0])[1] == "D", "a thread waits for its child")
            err = run("zap", "-q", p.pid, "@/dev/zero*", check=1).err
            contains(err, f"thread {others()[0]} (state D")
            contains(err, "did not stop")
            with open(fifo, "w"):
                pass
            eq(p.communicate(b"\n")[0], b"1\n", "it goes on")
    finally:
        os.unlink(fifo)


main()
