# SPDX-License-Identifier: GPL-2.0-or-later
"""Measures uffdctl beside the nearest thing that does the same without it, in the same run, and prints a table.

Figures are medians of runs that alternate with those of the alternative. Nothing here fails a build: times
depend on the machine and on what else it does. What can't be measured says why in its line.
"""
import contextlib
import fcntl
import json
import os
import pty
import re
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:1] = [os.path.join(HERE, ".."), os.path.join(HERE, "../vm")]
import build
import plan
import vm
from harness import HELPERS, UFFDCTL, Target, target  # ends what is started here, should this be killed: it reads our pipes

LOOP = os.path.join(HELPERS, "loop")
FAULTS = os.path.join(HELPERS, "faults")
GUEST_KERNEL = "6.12"
PATCHED_KERNEL = "7.3-patched"
GIB = 1 << 30
PAGE = os.sysconf("SC_PAGESIZE")
SCRATCH = tempfile.mkdtemp(prefix="uffdctl-bench.")


# ---- running ----

class Unmeasured(Exception):
    """Why a figure is not to be had."""


class Run:
    """A command that ran to its end: seconds, what it wrote. Output goes to files, as a user's would to a pipe."""

    def __init__(self, *argv, check=True):
        argv = [str(a) for a in argv]
        paths = [os.path.join(SCRATCH, name) for name in ("out", "err")]
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        program = shutil.which(argv[0])
        if not program:
            raise Unmeasured(f"{argv[0]} is not installed")
        actions = [(os.POSIX_SPAWN_OPEN, i + 1, path, flags, 0o600) for i, path in enumerate(paths)]
        began = time.monotonic()
        pid = os.posix_spawn(program, argv, os.environ, file_actions=actions)
        status = os.waitpid(pid, 0)[1]
        self.seconds = time.monotonic() - began
        self.out, self.err = (open(p, "rb").read().decode("utf-8", "replace") for p in paths)
        if check and os.waitstatus_to_exitcode(status):
            raise Unmeasured(f"{' '.join(argv)}: {self.err.strip() or status}")


def peak_bytes(*argv):
    """Peak memory of a command. It counts the memory of who starts it in, so that is as little as can be had."""
    spawn = ("import os, sys; a = sys.argv[1:]; null = os.open('/dev/null', os.O_WRONLY);"
             "pid = os.posix_spawnp(a[0], a, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, null, 1)]);"
             "print(os.wait4(pid, 0)[2].ru_maxrss)")
    return int(Run(sys.executable, "-I", "-S", "-c", spawn, *argv).out) * 1024


def alternate(rounds, before, *runs):
    """Medians of what each run returns; before each, before() restores the state."""
    figures = [[] for _ in runs]
    for i in range(rounds):
        order = list(range(len(runs)))
        for k in order if i % 2 == 0 else reversed(order):
            if before:
                before()
            figures[k].append(runs[k]())
    return [statistics.median(f) for f in figures]


# ---- the table ----

ROWS = []


def text_of(figure, unit):
    if figure is None:
        return ""
    if unit == "MiB":
        return f"{figure / (1 << 20):.1f} MiB"
    if unit == "insns":
        return f"{figure:,} insns"
    return f"{figure * 1000:.1f} ms" if figure < 1 else f"{figure:.3f} s"


def row(what, figure, beside="", other=None, ratio="", aim="", met=None, unit="s"):
    ROWS.append((what, text_of(figure, unit), beside, text_of(other, unit), ratio, aim,
                 "" if met is None else "yes" if met else "NO"))


def faster(figure, other):
    times = other / figure
    return f"{times:.{2 if times < 10 else 0}f}x"


def print_table():
    head = ("MEASURED", "FIGURE", "BESIDE", "ITS FIGURE", "RATIO", "AIM", "MET")
    widths = [max(len(r[i]) for r in [head, *ROWS]) for i in range(len(head))]
    for r in [head, *ROWS]:
        print("  ".join(cell.rjust(w) if i in (1, 3, 4) else cell.ljust(w)
                        for i, (cell, w) in enumerate(zip(r, widths))).rstrip())


# ---- (a) continue ----

def continue_run(pid, m, threads, wall):
    run = Run(UFFDCTL, "continue", pid, f"{m['addr']}+{m['size']}", f"--threads={threads}", "-v")
    done = re.search(r"mapped (\d+) bytes in ([\d.]+) s", run.err)
    if not done or int(done[1]) != m["size"]:
        raise Unmeasured(f"continue mapped not all of it: {run.err}")
    return run.seconds if wall else float(done[2])


def large():
    """As much memory as a small virtual machine has, if this machine has it twice and more."""
    return (4 if os.sysconf("SC_AVPHYS_PAGES") * PAGE > 12 * GIB else 1) * GIB


def bench_continue():
    """1 GiB, and as much as a virtual machine has: what a command costs besides is the same."""
    for size in sorted({GIB, large()}):
        what = f"continue {size // GIB} GiB"
        with target(size=size, timeout=60) as (t, m):
            t.madvise(id=m["id"], advice="nohugepage")
            t.fill(id=m["id"])
            t.register(uffd=t.u, id=m["id"], mode=["minor"])

            def loop(step):
                return lambda: float(Run(LOOP, t.pid, t.u, m["addr"], size, step).out)

            def ours(threads, wall=False):
                return lambda: continue_run(t.pid, m, threads, wall)

            def unmap():
                t.madvise(id=m["id"], advice="dontneed")

            for once in (loop(4 << 20), ours(2)):  # page tables and caches
                unmap()
                once()
            one, two, whole, pieces, wall, wall2 = alternate(15, unmap, ours(1), ours(2), loop(size), loop(4 << 20),
                                                             ours(1, True), ours(2, True))
        row(f"{what}, 1 thread", one, "ioctl loop, 4 MiB pieces", pieces, f"{one / pieces:.3f}", "<= 1.03",
            one / pieces <= 1.03)
        row(f"{what}, 1 thread", one, "one ioctl for all", whole, f"{one / whole:.3f}")
        row(f"{what}, 2 threads", two, "1 thread", one, faster(two, one), ">= 1.9x", one / two >= 1.9)
        row("  whole command, 1 thread", wall, "ioctl loop, 4 MiB pieces", pieces, f"{wall / pieces:.3f}")
        row("  whole command, 2 threads", wall2, "one ioctl for all", whole, faster(wall2, whole), ">= 1.8x",
            whole / wall2 >= 1.8)


def bench_fill():
    """Beside dd(1) into the process's own descriptor and one ioctl, which loses what the process writes meanwhile."""
    image = os.path.join(SCRATCH, "image")
    with open(image, "wb") as f:
        for _ in range(1024):
            f.write(os.urandom(1 << 20))
    for what, advice in (("absent", "remove"), ("in the page cache", "dontneed")):
        with target(size=GIB, seed=1, mode="minor", timeout=60) as (t, m):
            def ours(threads):
                return lambda: Run(UFFDCTL, "continue", "-q", t.pid, "all", "--from", image, "-t", threads).seconds

            def by_hand():
                copied = Run("dd", f"if={image}", f"of=/proc/{t.pid}/fd/{m['fd']}", "bs=256k", "conv=notrunc").seconds
                return copied + float(Run(LOOP, t.pid, t.u, m["addr"], GIB, GIB).out)

            one, two, other = alternate(5, lambda: t.madvise(id=m["id"], advice=advice), ours(1), ours(2), by_hand)
        row(f"continue --from, 1 GiB {what}, 1 thread", one, "dd and one ioctl", other, f"{one / other:.2f}")
        row(f"continue --from, 1 GiB {what}, 2 threads", two, "dd and one ioctl", other, f"{two / other:.2f}")


def served(threads, pages, cpu, order="random", *options):
    """Seconds that the faults of a process took, for which serve is the handler, on the other CPU if one is named."""
    pipe = subprocess.PIPE
    process = subprocess.Popen([FAULTS, str(threads), str(pages), "other", str(cpu), order], stdin=pipe, stdout=pipe, text=True)
    process.stdout.readline()
    argv = [UFFDCTL, "serve", "-J", "--keep", *options, str(process.pid)]
    serve = subprocess.Popen(["taskset", "-c", str(1 - cpu), *argv] if cpu >= 0 else argv, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
    serve.stdout.readline()
    out = process.communicate("\n")[0]
    end = json.loads(serve.communicate()[0].splitlines()[-1])
    if end["mapped"] != pages * PAGE:
        raise Unmeasured(f"serve mapped not all of it: {end}")
    return int(out.split()[0]) / 1e9


def looped(threads, pages, cpu, order="random"):
    return int(Run(FAULTS, threads, pages, "own", cpu, order).out.split()[0]) / 1e9


@contextlib.contextmanager
def image_of(size):
    """A file in the page cache."""
    path = os.path.join(SCRATCH, "image")
    with open(path, "wb") as f:
        for _ in range(0, size, 16 << 20):
            f.write(os.urandom(1 << 20) * 16)
    try:
        Run("cat", path)
        yield path
    finally:
        os.unlink(path)


def bench_populate():
    """All of it from a file in the page cache. Beside a copy of the file in /dev/shm, and mapping that at once."""
    size = large()
    copy = f"/dev/shm/uffdctl-bench-{os.getpid()}"

    def by_hand(t, m):
        try:
            with open(copy, "wb") as f:
                began = time.monotonic()
                subprocess.run(["cat", image], stdout=f, check=True)
                copied = time.monotonic() - began
        finally:
            os.unlink(copy)
        t.fallocate(id=m["id"], mode="alloc")
        return copied + float(Run(LOOP, t.pid, t.u, m["addr"], size, size).out)

    with image_of(size) as image:
        for mode in ("missing", "minor", "minor,missing"):
            with target(size=size, mode=mode, timeout=60) as (t, m), target(size=size, mode="minor", timeout=60) as (u, n):
                def empty():
                    t.madvise(id=m["id"], advice="remove")
                    t.register(uffd=t.u, id=m["id"], mode=mode.split(","))  # --until-complete has ended that
                    u.madvise(id=n["id"], advice="remove")

                ours, other = alternate(
                    3, empty, lambda: Run(UFFDCTL, "serve", "-q", "--from", image, "--prefault", "--until-complete", t.pid).seconds,
                    lambda: by_hand(u, n))
            row(f"serve --prefault, {size // GIB} GiB from a file, {mode}", ours, "cat to /dev/shm, continue", other, f"{ours / other:.2f}",
                "<= 1.15", ours / other <= 1.15)


def waited(image, size, touches, *options):
    """The 99th percentile of what a thread waits for pages at random, which come from an image."""
    pipe = subprocess.PIPE
    process = subprocess.Popen([FAULTS, "1", str(size // PAGE), "other", "-1", "random", str(touches)], stdin=pipe, stdout=pipe, text=True)
    process.stdout.readline()
    serve = subprocess.Popen([UFFDCTL, "serve", "-J", "--from", image, *options, str(process.pid)], stdout=pipe, stderr=subprocess.DEVNULL, text=True)
    serve.stdout.readline()
    out = process.communicate("\n")[0].split()
    serve.communicate()
    if int(out[2]) < touches // 50:
        raise Unmeasured(f"a thread waited {out[2]} times only")
    return int(out[1]) / 1e9


def bench_waits():
    size, touches = 2 * GIB, 10000
    with image_of(size) as image:
        busy, idle = alternate(5, None, lambda: waited(image, size, touches, "--prefault"), lambda: waited(image, size, touches))
    row("serve --from --prefault, p99 of a wait meanwhile", busy, "without --prefault", idle, f"{busy / idle:.2f}", "<= 3", busy / idle <= 3)


def bench_serve():
    """Beside a handler as the man page of userfaultfd has it, in a process of its own, too.

    With 8 threads on 2 CPUs, a fault takes 3 us of CPU time in the thread (exception, falling asleep, waking up), which
    no handler changes, 2.9 in the loop's handler and 1.8 in serve: most of that is the kernel's waking, and all code of
    ours is under 5 % of it. So with both CPUs busy, serve should be 5.9 / 4.8 = 1.2 times as fast. Waking each thread at
    once is slower, and so is not spinning.
    """
    pages = 40000
    one = 0 if os.cpu_count() > 1 else -1
    for threads, cpu, aim in ((1, one, 2.5), (8, -1, 2)):
        ours, loop = alternate(9, None, lambda: served(threads, pages, cpu), lambda: looped(threads, pages, cpu))
        row(f"serve --keep, {pages:,} minor faults, {threads} thread{'s' if threads > 1 else ''}", ours, "poll, read, continue", loop,
            faster(ours, loop), f">= {aim}x", loop / ours >= aim)
    for n in (64, 512):
        ours, loop = alternate(9, None, lambda: served(1, pages, one, "order", "--around", str(n)), lambda: looped(1, pages, one, "order"))
        row(f"serve --keep --around {n}, {pages:,} minor faults in order", ours, "poll, read, continue", loop, faster(ours, loop),
            ">= 25x", loop / ours >= 25)


def bench_restore():
    """Beside CRIU's lazy-pages, in a guest: Debian's CRIU fails on newer kernels. All of it is emulated, on one CPU of ours."""
    if not shutil.which("criu"):
        raise Unmeasured("criu is not installed")
    if os.sysconf("SC_AVPHYS_PAGES") * PAGE < 6 * GIB:
        raise Unmeasured("a guest with 5 GiB does not fit in memory")
    figures = in_guest(GUEST_KERNEL, "restore.py", mem="5G", timeout=300, modules=plan.CRIU_MODULES)
    for what, touches, i in (("its first page", "one", 0), ("all pages, one touched", "one", 1),
                             ("all pages, touched at random", "all", 1)):
        ours, criu = figures[f"serve {touches}"][i], figures[f"criu {touches}"][i]
        row(f"process of 1 GiB in a guest of {GUEST_KERNEL}, serve -- it: to {what}", ours, "criu restore --lazy-pages", criu, faster(ours, criu))


# ---- (b) smaps ----

def bench_smaps():
    with target(size=64 * PAGE, mode="minor", timeout=120) as (t, _):
        t.maps_many(n=60000, populate_bytes=4 * GIB)
        ours = {"smaps, 60,000 mappings, 4 GiB": [UFFDCTL, "smaps", t.pid],
                "smaps --all of the same": [UFFDCTL, "smaps", "--all", t.pid]}
        others = {"grep VmFlags /proc/PID/smaps": ["grep", "VmFlags", f"/proc/{t.pid}/smaps"],
                  "pmap -X": ["pmap", "-X", t.pid]}
        runs = ours | others
        figures = dict(zip(runs, alternate(5, None, *(lambda a=argv: Run(*a).seconds for argv in runs.values()))))
        peaks = {what: peak_bytes(*argv) for what, argv in runs.items()}
    for what in ours:
        for beside in others:
            aim = 2 if "--all" in what else 5
            row(what, figures[what], beside, figures[beside], faster(figures[what], figures[beside]),
                f">= {aim}x", figures[beside] / figures[what] >= aim)
        row("  its peak memory", peaks[what], "pmap -X", peaks["pmap -X"], faster(peaks[what], peaks["pmap -X"]),
            "< 32 MiB", peaks[what] < 32 << 20, "MiB")


# ---- (c) pages ----

def count_mapped(argv, want):
    """Seconds of a command that counts the mapped bytes, and has the right number."""
    run = Run(*argv)
    words = run.out.split()
    mapped = int(words[0]) if argv[0] == UFFDCTL else int(words[1]) * PAGE
    if mapped != want:
        raise Unmeasured(f"{argv[0]}: {mapped} bytes are mapped, not {want}")
    return run.seconds


def bench_pages():
    """4 GiB of 64 GiB are mapped, in pieces of 4 MiB; on a small machine 1 GiB."""
    size, piece = 64 * GIB, 4 << 20
    mapped = large()
    for kind in ("memfd", "anon"):
        with target(kind, size, noreserve=True, mode="minor" if kind == "memfd" else "missing", timeout=120) as (t, m):
            t.madvise(id=m["id"], advice="nohugepage")
            for i in range(0, size, size // (mapped // piece)):
                if kind == "memfd":
                    t.fill(id=m["id"], offset=i, len=piece)
                    t.continue_(uffd=t.u, id=m["id"], offset=i, len=piece)
                else:
                    t.copy(uffd=t.u, id=m["id"], offset=i, len=piece)
            place = f"{m['addr']}+{size}"
            ours, loop = alternate(
                9, None, lambda: count_mapped([UFFDCTL, "pages", "-bno", "mapped", t.pid, place], mapped),
                lambda: count_mapped([LOOP, "pagemap", t.pid, m["addr"], size], mapped))
            row(f"pages of 64 GiB {kind}, {mapped // GIB} GiB of it mapped", ours, "loop over /proc/PID/pagemap", loop, faster(ours, loop),
                ">= 10x", loop / ours >= 10)
    with target("memfd", 1024 * GIB, noreserve=True, mode="minor", timeout=120) as (t, m):
        for i in range(0, 1024 * GIB, GIB):
            t.fill(id=m["id"], offset=i, len=PAGE)
        argv = [UFFDCTL, "pages", t.pid]
        ours = alternate(9, None, lambda: Run(*argv).seconds)[0]
        peak = peak_bytes(*argv)
    row("pages of 1 TiB with a page in each GiB", ours, aim="< 1 s", met=ours < 1)
    row("  its peak memory", peak, aim="< 64 MiB", met=peak < 64 << 20, unit="MiB")


# ---- (d) start ----

def count_bpf_calls():
    log = os.path.join(SCRATCH, "strace")
    Run("strace", "-f", "-e", "trace=bpf", "-o", log, UFFDCTL, "--version")
    with open(log) as f:
        return sum("bpf(" in line for line in f)


def bench_start():
    ours, true = alternate(300, None, lambda: Run(UFFDCTL, "--version").seconds, lambda: Run("true").seconds)
    row("--version", ours, "true", true, f"+{(ours - true) * 1000:.2f} ms", "<= +1 ms", ours - true <= 0.001)
    try:
        calls = count_bpf_calls()
        row(f"  bpf(2) calls that it makes: {calls}", None, aim="none", met=calls == 0)
    except Unmeasured as e:
        row(f"  bpf(2) calls that it makes: {e}", None, aim="none")


def continue_page(t, m, *options):
    """Seconds of a continue of one page: all of it is start."""
    return lambda: Run(UFFDCTL, "continue", *options, t.pid, f"{m['addr']}+{PAGE}").seconds


def bench_start_of_actions():
    with target(size=PAGE, seed=1, mode="minor") as (t, m):
        page, version = alternate(100, None, continue_page(t, m), lambda: Run(UFFDCTL, "--version").seconds)
    row("continue of one page", page, "--version", version, f"+{(page - version) * 1000:.2f} ms")


def bench_doctor():
    (e,) = alternate(9, None, lambda: Run(UFFDCTL, "doctor").seconds)
    row("doctor, all that there is", e, aim="< 300 ms", met=e < 0.3)


def bench_report():
    path, nr = os.path.join(SCRATCH, "record"), 10_000_000
    env = dict(os.environ, UFFDCTL_TEST_RECORD=f"{path}:{nr}")
    subprocess.run([os.path.join(os.path.dirname(UFFDCTL), "tests/lib/record"), "record-large"], env=env, check=True,
                   stdout=subprocess.DEVNULL)
    size = os.path.getsize(path)
    for form in ([], ["--html"], ["--json"]):
        text, cat = alternate(3, None, lambda f=form: Run(UFFDCTL, "report", *f, path, check=False).seconds,
                              lambda: Run("cat", path).seconds)
        row(" ".join(["report", *form, f"of {nr:,} faults, {size >> 20} MiB"]), text, "cat", cat, aim="< 5 s", met=text < 5)
        peak = peak_bytes(UFFDCTL, "report", *form, path)
        row("  peak memory", peak, aim="< 200 MiB", met=peak < 200 << 20, unit="MiB")
    os.unlink(path)


# ---- (e) list ----

def count_files():
    """Processes that have files open, and these files: not kernel threads, nor what is left of an earlier crowd."""
    processes = files = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            nr = len(os.listdir(f"/proc/{pid}/fd"))
        except OSError:
            continue
        files += nr
        processes += nr > 0
    return processes, files


def make_crowd(crowd):
    """2,000 processes with 20 files each, and with the userfaultfds that it has."""
    crowd.open_files(n=20)
    for _ in range(2000):
        crowd.fork()


def bench_crowd():
    """Each holds a userfaultfd of its own: what is of no concern to an action costs it nothing."""
    with target(size=PAGE, seed=1, mode="minor") as (t, m), Target(timeout=60) as crowd:
        with_fd = continue_page(t, m, "--fd", t.u)
        alone = alternate(30, None, with_fd)[0]
        crowd.userfaultfd()
        make_crowd(crowd)
        processes, files = count_files()
        crowded, without = alternate(30, None, with_fd, continue_page(t, m))
    what = f"among {processes:,} processes with {files:,} files"
    row(f"continue --fd of one page, {what}", crowded, "alone", alone, f"{crowded / alone:.2f}", "<= 1.1",
        crowded / alone <= 1.1)
    row("  without --fd", without, "alone", alone, f"{without / alone:.2f}")


def bench_list():
    with Target() as t, Target(timeout=60) as crowd:
        t.userfaultfd()
        make_crowd(crowd)
        processes, files = count_files()
        runs = {"list": [UFFDCTL, "list"], "ls -l /proc/[0-9]*/fd": ["sh", "-c", "exec ls -l /proc/[0-9]*/fd"],
                "lsfd": ["lsfd"]}
        figures = {}
        for name, argv in runs.items():
            try:
                figures[name] = alternate(9 if name == "list" else 3, None,
                                          lambda argv=argv: Run(*argv, check=argv[0] == UFFDCTL).seconds)[0]
            except Unmeasured as e:
                row(f"list: {name}: {e}", None)
    ours = figures.pop("list")
    for name, figure in figures.items():
        row(f"list, {processes:,} processes, {files:,} files", ours, name, figure, faster(ours, figure), "< 15 ms",
            ours < 0.015)


# ---- (f) alarms ----

POLLS = """while "$0" pending -q -e -s "$1" "$2" >/dev/null; do sleep 0.02; done"""


def lateness(age, *argv):
    """Seconds from when a thread has waited so long to when the command says so."""
    with target(size=PAGE, seed=1, mode="minor") as (t, m):
        p = subprocess.Popen([*argv, str(t.pid)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        time.sleep(1)
        began = time.monotonic()
        t.touch(id=m["id"], access="read")
        p.stdout.read(1)
        late = time.monotonic() - began - age
        p.communicate()
        return late


def blocked_cost(*argv, seconds=5):
    """CPU time that a command takes that waits in vain, its start left out: the second half's."""
    def cpu(pid):
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rsplit(") ", 1)[1].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")

    with target(size=PAGE, seed=1, mode="minor") as (t, _):
        p = subprocess.Popen([*argv, str(t.pid)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(1)
        before = cpu(p.pid)
        time.sleep(seconds)
        after = cpu(p.pid)
        p.terminate()
        p.wait()
    return after - before


def bench_alarm():
    with Target(timeout=120) as crowd:
        for _ in range(10000):
            crowd.fork()
        processes, _ = count_files()
        wait = [UFFDCTL, "pending", "--wait"]
        for age in (0, 0.1, 2):
            aged = [*wait, f"--older-than={age}s"] if age else wait
            polls = ["sh", "-c", POLLS, UFFDCTL, f"{age}s"]
            ours, other = alternate(3, None, lambda: lateness(age, *aged), lambda: lateness(age, *polls))
            row(f"pending --wait, late, older than {age} s, {processes:,} processes", ours, "polled each 20 ms", other,
                faster(ours, other), "< 50 ms", ours < 0.05)
            row("  CPU time in 5 s in vain", blocked_cost(*aged), "polled each 20 ms", blocked_cost(*polls))


# ---- (g) watch ----

class Watched:
    """uffdctl watch in the background, ready; or nothing."""

    def __init__(self, *args):
        self.p = args and subprocess.Popen([UFFDCTL, "watch", *map(str, args)], stdout=subprocess.DEVNULL)

    def __enter__(self):
        time.sleep(0.5)

    def __exit__(self, *exc):
        if self.p:
            self.p.terminate()
            self.p.wait()


@contextlib.contextmanager
def faulting(n):
    """A process with a handler of its own, and a function that makes n faults by 4 threads."""
    with target(size=n * PAGE, alloc=True, mode="minor", timeout=60) as (t, m):
        t.handler(uffd=t.u, action="continue")

        def storm():
            for thread in t.touch(id=m["id"], access="read", threads=4, split=True)["threads"]:
                while not t.join(thread=thread, timeout_ms=15000)["done"]:
                    pass
        yield t, storm


def storm(args):
    """Seconds of 50,000 faults by 4 threads, served by a handler of the process's own."""
    with faulting(50000) as (_, faults):
        with Watched(*args):
            began = time.monotonic()
            faults()
            return time.monotonic() - began


def view_cpu():
    """What the view takes of a CPU while a storm goes on, and how many faults a second that has."""
    n = 200000
    with faulting(n) as (t, faults):
        pid, ours = pty.fork()
        if pid == 0:
            os.environ.update(TERM="xterm-256color", LC_ALL="C.UTF-8")
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("4H", 50, 160, 0, 0))
            os.execv(UFFDCTL, [UFFDCTL, "watch", str(t.pid)])
        threading.Thread(target=drain, args=(ours,), daemon=True).start()
        time.sleep(2)

        def cpu_ns():
            return sum(int(open(f"/proc/{pid}/task/{tid}/schedstat").read().split()[0])
                       for tid in os.listdir(f"/proc/{pid}/task"))
        began, used = time.monotonic(), cpu_ns()
        faults()
        seconds, used = time.monotonic() - began, cpu_ns() - used
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
    return used / 1e9 / seconds, n / seconds


def drain(fd):
    try:
        while os.read(fd, 65536):
            pass
    except OSError:
        pass


def switches(args):
    with Target() as t:
        t.userfaultfd()
        with Watched(*args):
            return float(Run(LOOP, "switch", 600000).out)


def bench_watch():
    bare, summary, stream = alternate(5, None, lambda: storm(()), lambda: storm(("--summary",)), lambda: storm(("--json",)))
    row("50,000 faults, watch --summary", summary, "not watched", bare, f"{summary / bare:.3f}")
    row("50,000 faults, watch --json", stream, "not watched", bare, f"{stream / bare:.3f}")
    cpu, rate = view_cpu()
    row(f"the view at {rate:,.0f} faults a second", None, f"{cpu * 100:.1f} % of a CPU", None, "", "< 50 %", cpu < 0.5)
    bare, summary = alternate(5, None, lambda: switches(()), lambda: switches(("--summary",)))
    row("600,000 task switches of others", summary, "not watched", bare, f"{summary / bare:.3f}")
    extra = max(0, summary - bare) / 600000
    row("  share of a CPU at 200,000 a second", None, f"{extra * 1e9:.0f} ns a switch", None, f"{extra * 2e7:.1f} %", "< 3 %",
        extra * 2e5 < 0.03)


def in_guest(kernel, script, *args, **machine):
    """What a script here prints as JSON."""
    try:
        status, out = vm.run(kernel, [sys.executable, os.path.join(HERE, script), *args], **machine)
    except (vm.Died, OSError, SystemExit, subprocess.SubprocessError) as e:
        raise Unmeasured(f"QEMU: {e}") from None
    if status:
        raise Unmeasured(out.decode()[-300:])
    return json.loads(out)


def count_instructions(kernel, *backends):
    """In a guest whose clock counts instructions. Returns a function that makes a row of one figure."""
    figures = in_guest(kernel, "guest.py", *backends, icount=True)
    bare = figures.pop("bare")
    row(f"a fault in Linux {os.path.basename(kernel)}, not watched", bare, unit="insns")

    def cost(name, beside=None, aim="", most=None):
        ours, other = figures[name] - bare, figures[beside] - bare if beside else None
        row(f"  more by {name}", ours, beside or "", other, f"{ours / other:.2f}" if other else "", aim,
            most and (ours / other <= most if other else ours < most), unit="insns")
    return cost


def bench_instructions():
    """On a kernel that has fentry and kprobes.

    Where the 2,000 of fentry go (6.12, counted instruction by instruction): six programs are entered and left, 900;
    bpf_ktime_get_ns() three times, 120; the programs: a fault begins 250, is woken 220, is counted 245, is read 140,
    a resolver comes 100, the fault ends 60, the ioctl ends 20. Reading a pointer of fentry's arguments costs 8, a
    look-up in an array 14, a helper that reads memory 80.
    Of kprobe's 4,700, 2,900 are the kernel's: four kprobes, three kretprobes and sched_switch. By kprobe.multi it would
    be 900 more.
    """
    cost = count_instructions(GUEST_KERNEL, "fentry", "kprobe", "sched")
    cost("summary fentry", aim="< 1500", most=1500)
    for backend in ("fentry", "kprobe"):
        cost(f"summary {backend}", f"totals bpftrace {backend}", "1/3", 1 / 3)
        cost(f"summary {backend}", f"summary bpftrace {backend}")
        cost(f"lines {backend}", f"lines bpftrace {backend}", "1/2", 1 / 2)
        cost(f"view {backend}", f"lines bpftrace {backend}")
        cost(f"record {backend}", f"lines {backend}", "< 1.1", 1.1)
        cost(f"metrics {backend}", f"summary {backend}", "< 1.05", 1.05)
    cost("summary sched", "totals bpftrace kprobe", "1/3", 1 / 3)
    cost("lines sched", "lines bpftrace kprobe", "1/2", 1 / 2)
    cost("view sched", "lines bpftrace kprobe")


def bench_tracepoint():
    """On a kernel that has the tracepoints too, beside what is next best there."""
    if not build.cached(PATCHED_KERNEL):
        raise Unmeasured(f"to be built before, in some minutes: make vm-kernels KERNELS={PATCHED_KERNEL}")
    cost = count_instructions(PATCHED_KERNEL, "tracepoint", "fentry")
    for dress in ("summary", "lines", "view"):
        cost(f"{dress} tracepoint", f"{dress} fentry", "< 1", 1)
    for by in ("tracepoint", "fentry"):
        cost("summary tracepoint", f"totals bpftrace {by}", "1/3", 1 / 3)
        cost("lines tracepoint", f"lines bpftrace {by}", "1/2", 1 / 2)


def main():
    began = time.monotonic()
    try:
        for part in (bench_continue, bench_fill, bench_serve, bench_populate, bench_waits, bench_restore, bench_smaps, bench_pages, bench_start, bench_start_of_actions, bench_doctor, bench_report, bench_list, bench_crowd, bench_alarm, bench_watch, bench_instructions, bench_tracepoint):
            try:
                part()
            except Unmeasured as e:
                row(f"{part.__name__}: {e}", None)
    finally:
        shutil.rmtree(SCRATCH)
    print_table()
    print(f"\n{os.uname().release}, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}; "
          f"medians of alternating runs; {time.monotonic() - began:.0f} s in all")


if __name__ == "__main__":
    main()
