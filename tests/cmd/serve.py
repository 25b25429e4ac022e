# SPDX-License-Identifier: GPL-2.0-or-later
"""serve: each kind of memory, mode and source; killed and started again; what the target does meanwhile.

UFFDCTL_SERVE_BYTES: the size of the memory of serve-hash-* (make serve-large has 2 GiB).
"""
import contextlib
import hashlib
import json
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time

sys.path[0] += "/.."
from harness import (BUILD, FEATURES, HUGE, PAGE, SLOW, UFFDCTL, Failure, contains, eq, fdinfo, fewer, hugepages, image, links, main, ok,
                     pattern_page, run, skip, small_tmpfs, spawn, target, test, wait_until)
from harness.serve import Serve, joined, touch, zeros

NR = 64
SEED, STALE = 9, 1
LARGE = int(os.environ.get("UFFDCTL_SERVE_BYTES") or 64 << 20)
EVENTS = ["event_fork", "event_remap", "event_remove", "event_unmap"]
KINDS = {"anon": ("anon", PAGE, True), "shmem": ("memfd", PAGE, True), "private": ("memfd", PAGE, False), "hugetlb": ("hugetlb", HUGE, True),
         "hugetlb-private": ("hugetlb", HUGE, False)}


def pages(kind, nr):
    """Huge pages for it, and for copies of private ones."""
    return hugepages(2 * nr + 2) if kind == "hugetlb" else contextlib.nullcontext()


# ---- what is resolved, and with what ----

def cases():
    for name, (kind, page, shared) in KINDS.items():
        for mode in ("missing", "minor", "minor,missing"):
            if kind != "anon" or mode == "missing":
                yield f"{name}-{mode.replace(',', '-')}", (kind, page, shared, mode)


@test(each=dict(cases()), limit=120)
def serve_from(kind, page, shared, mode):
    """Threads that touch at random see the image, each page filled once; what was in the page cache is overwritten."""
    nr = NR if page == PAGE else 8
    with pages(kind, nr), target(kind, nr * page, shared=shared) as (t, m), image(nr, SEED, page) as img:
        if "minor" in mode:
            t.fill(id=m["id"], seed=STALE)
        t.register(uffd=t.u, id=m["id"], mode=mode.split(","))
        with Serve(t.pid, "--from", img.name) as s:
            eq((s.start["source"], s.start["total"], s.start["done"]), ("file", nr * page, 0), "start")
            joined(t, touch(t, m, seed=SEED))
            end = s.stop()
        eq((end["done"], end["demand"], end["errors"], end["held"]), (nr * page, nr * page, 0, 0), f"end: {end}")
        faults = end["faults"]
        ok(faults["minor" if "minor" in mode else "missing"] >= nr, f"faults: {faults}")
        eq(t.check(id=m["id"], seed=SEED)["differ"], 0, "contents")


@test(each={k: v for k, v in cases() if "minor-missing" not in k}, limit=120)
def serve_keep(kind, page, shared, mode):
    """What is in the page cache is mapped as it is; what is not is zeros."""
    nr = NR if page == PAGE else 8
    with pages(kind, nr), target(kind, nr * page, shared=shared) as (t, m):
        if mode == "minor":
            t.fill(id=m["id"], seed=SEED)
        t.register(uffd=t.u, id=m["id"], mode=mode.split(","))
        with Serve(t.pid, "--keep") as s:
            joined(t, touch(t, m, seed=SEED) if mode == "minor" else touch(t, m))
            end = s.stop()
        eq((end["mapped"], end["zero"], end["demand"], end["done"]),
           ((nr * page, 0) if mode == "minor" else (0, nr * page)) + (0, None), f"end: {end}")
        if mode == "missing":
            zeros(t, m, size=nr * page)


@test(each={k: v for k, v in cases() if "minor-missing" not in k}, limit=120)
def serve_zero(kind, page, shared, mode):
    nr = NR if page == PAGE else 8
    with pages(kind, nr), target(kind, nr * page, shared=shared) as (t, m):
        if mode == "minor":
            t.fill(id=m["id"], seed=STALE)
        t.register(uffd=t.u, id=m["id"], mode=mode.split(","))
        with Serve(t.pid, "--zero") as s:
            joined(t, touch(t, m))
            end = s.stop()
        eq((end["done"], end["zero"] + end["demand"]), (nr * page, nr * page), f"end: {end}")
        zeros(t, m, size=nr * page)


@test(each={k: (*v[:2], s) for k, v in KINDS.items() if v[2] for s in ["--keep"]} | {"from": ("anon", PAGE, "--from")})
def serve_wp(kind, page, source):
    """Writers go on; who has not written keeps its mark."""
    nr = 8
    with pages(kind, nr), target(kind, nr * page, mode="wp") as (t, m), image(nr, SEED, page) as img:
        t.fill(id=m["id"], seed=SEED, through="self")
        run("writeprotect", "-q", t.pid, "all", check=0)
        with Serve(t.pid, source, *([img.name] if source == "--from" else [])) as s:
            joined(t, touch(t, m, offset=0, len=4 * page, access="write", value=5))
            end = s.stop()
        eq((end["faults"]["wp"] >= 4, end["unprotected"] >= 4 * page, end["demand"]), (True, True, 0), f"end: {end}")
        rows = run("pages", "-J", t.pid, f"{m['addr']}+{nr * page}", check=0).json()["pages"]
        if any(r["wp"] is None for r in rows):
            skip("the marks of huge pages can't be seen; Linux 6.7 runs this")
        eq(sum(r["wp"] for r in rows), 4 * page, "marks")


@test
def serve_minor_keeps_marks():
    """A page that is continued keeps its mark: its first write is a fault of its own."""
    if not marks_are_kept():
        skip("marks can't be kept on this kernel; Linux 6.4 runs this")
    with target(size=NR * PAGE, seed=SEED, mode="minor,wp", features=[*FEATURES, "wp_unpopulated"]) as (t, m):
        run("writeprotect", "-q", t.pid, "all", check=0)
        with Serve(t.pid, "--keep") as s:
            joined(t, touch(t, m, seed=SEED))
            joined(t, touch(t, m, threads=1, len=4 * PAGE, access="write", value=5))
            end = s.stop()
        eq((end["faults"]["wp"], end["unprotected"]), (4, 4 * PAGE), f"end: {end}")


def marks_are_kept():
    with target(size=PAGE, seed=1, mode="minor,wp") as (t, m):
        return run("continue", "--wp", "-J", t.pid, "all").json()["continue"][0]["error"] is None


@test
def serve_rwp():
    with target("anon", 8 * PAGE) as (t, m):
        if "rwp" not in t.uffd()["supported"]:
            skip("this kernel has no rwp; Linux 7.3 runs this")
    with target("anon", 8 * PAGE, features=[*FEATURES, "rwp"]) as (t, m):
        run("register", "-q", "-m", "rwp", t.pid, m["addr"] + f"+{8 * PAGE}", check=0)
        t.fill(id=m["id"], seed=SEED, through="self")
        run("rwprotect", "-q", t.pid, "all", check=0)
        with Serve(t.pid, "--keep") as s:
            joined(t, touch(t, m, seed=SEED))
            ok(s.stop()["faults"]["rwp"] >= 8, "faults")


@test
def serve_blocking_descriptor():
    """There poll(2) does not work; it ends all the same."""
    with target(size=NR * PAGE) as (t, m):
        fd = t.uffd(features=FEATURES, nonblock=False)["fd"]
        t.fill(id=m["id"], seed=SEED)
        t.register(uffd=fd, id=m["id"], mode=["minor"])
        for _ in range(2):
            with Serve(t.pid, "--keep", "-f", fd) as s:
                joined(t, touch(t, m, seed=SEED))
                s.stop()


@test
def serve_same_file_twice():
    """Two registered mappings show one page: it is filled once, and then both see what was written."""
    with target(size=NR * PAGE, seed=STALE) as (t, m), image(NR) as img:
        n = t.memory("memfd", NR * PAGE, of=m["id"])
        for x in (m, n):
            t.register(uffd=t.u, id=x["id"], mode=["minor"])
        with Serve(t.pid, "--from", img.name) as s:
            eq(s.start["total"], NR * PAGE, "pages are counted once")
            joined(t, touch(t, m, seed=SEED))
            t.fill(id=m["id"], seed=3, through="self")
            joined(t, touch(t, n, seed=3))
            eq(s.stop()["demand"], NR * PAGE, "filled once")


@test
def serve_many_mappings():
    """As many as a file has pages, alternately read-only: each is found, filled, and unregistered in the end."""
    nr = 3000
    with target() as (t, _), image(nr, SEED) as img:
        many = t.maps_many(n=nr)
        area = f"{many['addr']}+{nr * PAGE}"
        run("register", "-q", "-m", "minor,missing", t.pid, area, check=0)
        with Serve(t.pid, "--from", img.name, "--prefault", "--until-complete", area) as s:
            eq(s.ended()["done"], nr * PAGE, "filled")
        eq(t.check(id=many["id_many"], seed=SEED)["differ"], 0, "contents")
        eq(run("smaps", "-J", t.pid).json()["smaps"], [], "nothing is registered")


@test
def serve_refault_is_not_filled_again():
    """MADV_DONTNEED drops the entry and keeps the data, which the process has changed."""
    with target(size=NR * PAGE, seed=STALE, mode="minor,missing") as (t, m), image(NR) as img, Serve(t.pid, "--from", img.name) as s:
        joined(t, touch(t, m, seed=SEED))
        t.fill(id=m["id"], seed=3, through="self")
        t.madvise(id=m["id"], advice="dontneed")
        joined(t, touch(t, m, seed=3))
        t.madvise(id=m["id"], advice="remove", len=8 * PAGE)
        joined(t, touch(t, m, len=8 * PAGE))
        zeros(t, m, size=8 * PAGE)
        end = s.stop()
        eq((end["demand"], end["mapped"], end["zero"]), (NR * PAGE, NR * PAGE, 8 * PAGE), f"end: {end}")


@test
def serve_elsewhere():
    """A page that another mapping shows may be newer: it is held, overwritten or kept, as the user says."""
    for how, seed in ((None, None), ("overwrite", SEED), ("keep", STALE)):
        with target(size=NR * PAGE, seed=STALE, mode="minor") as (t, m), image(NR) as img:
            n = t.memory("memfd", NR * PAGE, of=m["id"])
            joined(t, touch(t, n, threads=1, seed=STALE))
            with Serve(t.pid, "--from", img.name, *([f"--elsewhere={how}"] if how else [])) as s:
                th = touch(t, m, threads=1, len=PAGE, **({"seed": seed} if how else {}))
                if how:
                    joined(t, th)
                    s.stop()
                    continue
                contains(s.error(), "is mapped elsewhere too")
                eq(fdinfo(t.pid, t.u)["total"], 1, "it waits")
                eq(s.stop(rc=1)["held"], 1, "held")
                wait_until(lambda: fdinfo(t.pid, t.u)["pending"] == 1, "its message is queued again")


# ---- much memory ----

@test(each={k: v for k, v in cases() if k in ("anon-missing", "shmem-missing", "shmem-minor-missing", "hugetlb-minor-missing")}, limit=600)
def serve_hash(kind, page, shared, mode):
    """8 threads touch at random while all is brought in; then the whole has the image's hash."""
    nr = LARGE // page
    with pages(kind, nr), tempfile.NamedTemporaryFile() as img:
        want = hashlib.sha256()
        for i in range(nr):
            one = pattern_page(SEED, i, page)
            img.write(one)
            want.update(one)
        img.flush()
        with target(kind, LARGE, timeout=300, shared=shared, mode=mode) as (t, m):
            with Serve(t.pid, "--from", img.name, "--prefault") as s:
                joined(t, touch(t, m, seed=SEED), 250000)
                wait_until(lambda: json.loads(s.proc.stdout.readline()).get("done") == LARGE, "all is there", 60)
                end = s.stop()
            eq((end["demand"] + end["prefault"], end["done"], end["errors"]), (LARGE, LARGE, 0), f"end: {end}")
            got = hashlib.sha256()
            with open(f"/proc/{t.pid}/mem", "rb", 0) as mem:
                mem.seek(m["start"])
                for _ in range(0, LARGE, 1 << 20):
                    got.update(mem.read(1 << 20))
            eq(got.hexdigest(), want.hexdigest(), "hash")


@test(each={"anon": ("anon", "missing", False), "shmem": ("memfd", "minor,missing", True)}, limit=120)
def serve_killed(kind, mode, state):
    """SIGKILL in the middle, and started again: waiters are served by the next one, nothing is filled twice or wrong."""
    nr, turns = 8192, fewer(20)
    with target(kind, nr * PAGE, timeout=100) as (t, m), image(nr) as img, tempfile.TemporaryDirectory() as folder:
        if kind == "memfd":
            t.fill(id=m["id"], seed=STALE, len=nr // 2 * PAGE)
        t.register(uffd=t.u, id=m["id"], mode=mode.split(","))
        args = ["--from", img.name, *(["--state", f"{folder}/state"] if state else [])]
        ths = touch(t, m, seed=SEED, delay_us=100)
        for i in range(turns):
            with Serve(t.pid, *args, "--prefault", "--rate=8M") as s:
                before = s.start["done"]
                time.sleep(0.02 + random.random() / 20)
                s.proc.send_signal(signal.SIGKILL)
                eq(s.proc.wait(), -signal.SIGKILL, "killed")
        ok(0 < before, "what was there is known again")
        with Serve(t.pid, *args) as s:
            joined(t, ths, 90000)
            eq(s.stop()["errors"], 0, "errors")
        eq(t.check(id=m["id"], seed=SEED)["differ"], 0, "contents")


REMOVED, HEADER, READING = 4, 4096, 72  # of lib/drive/serving.h and serve_state.c


def states(folder):
    with open(f"{folder}/state", "rb") as f:
        return f.read()[HEADER:]


@test
def serve_state_of_an_event():
    """Killed while it took in an event: what was removed is not known, and nothing is filled that may have been."""
    with target(size=NR * PAGE, mode="minor,missing", features=[*FEATURES, "event_remove"]) as (t, m), image(NR) as img, \
         tempfile.TemporaryDirectory() as folder:
        args = ["--from", img.name, "--state", f"{folder}/state"]
        with Serve(t.pid, *args) as s:
            joined(t, touch(t, m, len=PAGE))
            s.stop()
        with open(f"{folder}/state", "r+b") as f:
            eq(struct.unpack_from("Q", f.read(), READING), (0,), "it was not reading")
            f.seek(READING)
            f.write(struct.pack("Q", 1))
        r = run("serve", t.pid, *args, check=1)
        contains(r.err, "killed in the moment in which it read an event")
        os.unlink(f"{folder}/state")
        with Serve(t.pid, *args) as s:
            joined(t, touch(t, m, seed=SEED))
            s.stop()


@test
def serve_state():
    """Killed and started again: what the process has written to a page is kept, what it removed is zeros."""
    with target(size=NR * PAGE, seed=STALE, mode="minor,missing", features=[*FEATURES, "event_remove"]) as (t, m), image(NR) as img, \
         tempfile.TemporaryDirectory() as folder:
        args = ["--from", img.name, "--state", f"{folder}/state"]
        with Serve(t.pid, *args) as s:
            joined(t, touch(t, m, len=NR // 2 * PAGE, seed=SEED))
            t.fill(id=m["id"], len=8 * PAGE, seed=3, through="self")
            t.madvise(id=m["id"], advice="dontneed", len=8 * PAGE)
            t.madvise(id=m["id"], advice="remove", offset=NR // 2 * PAGE, len=8 * PAGE)
            wait_until(lambda: states(folder)[NR // 2:NR // 2 + 8] == bytes([REMOVED] * 8), "it is recorded")
            s.proc.send_signal(signal.SIGKILL)
            s.proc.wait()
        with Serve(t.pid, *args) as s:
            eq(s.start["done"], (NR // 2 + 8) * PAGE, "what it knows")
            joined(t, touch(t, m, len=8 * PAGE, seed=3))
            joined(t, touch(t, m, offset=NR // 2 * PAGE, len=8 * PAGE))
            zeros(t, m, NR // 2 * PAGE, 8 * PAGE)
            s.stop()
        contains(run("serve", t.pid, f"{m['addr']}+4K", *args, check=1).err, "was written for other ranges")
        with target("anon", NR * PAGE, mode="missing") as (u, _):
            contains(run("serve", u.pid, *args, check=1).err, "was written for another process")
        with image(NR, SEED + 1) as other:
            contains(run("serve", t.pid, "--from", other.name, *args[2:], check=1).err, "was written with other contents")
        with open(f"{folder}/other", "w") as f:
            f.write("x" * 9999)
        contains(run("serve", t.pid, "--zero", "--state", f.name, check=1).err, "is not what --state writes")
        for at in (1, 4500):
            with open(f"{folder}/small", "wb") as f:
                f.write(bytes(at) + b"data")
            contains(run("serve", t.pid, "--zero", "--state", f.name, check=1).err, "is not what --state writes")
            with open(f.name, "rb") as f:
                eq(f.read(), bytes(at) + b"data", "a small file that begins with zeros")
        with Serve(t.pid, *args, "--prefault", "--until-complete") as s:
            eq(s.ended(0)["done"], NR * PAGE, "done")
        ok(not os.path.exists(f"{folder}/state"), "it is removed")
        eq(t.check(id=m["id"], offset=8 * PAGE, len=(NR // 2 - 8) * PAGE, seed=SEED)["differ"], 0, "contents")


@test(each={"full": (PAGE, "No space left on device"), "limit": (NR * PAGE, "File too large")})
def serve_state_full_disk(room, text):
    """Nothing is served, and a file that could not be made whole is not left; one that was there is as it was."""
    limit = ["prlimit", "--fsize=4096"] if room > PAGE else []
    with target(size=NR * PAGE, mode="missing") as (t, m), small_tmpfs(room) as d:
        for made in (False, True):
            if made:
                open(f"{d}/state", "w").close()
            r = subprocess.run([*limit, UFFDCTL, "serve", "-J", "--zero", str(t.pid), "--state", f"{d}/state"], capture_output=True, text=True)
            error, = map(json.loads, r.stdout.splitlines())
            eq((r.returncode, error["error"]), (1, "EFBIG" if limit else "ENOSPC"), r.stderr)
            contains(error["message"], f"{d}/state: {text}: --state needs a file of {2 * PAGE} bytes")
            eq([(n, os.path.getsize(f"{d}/{n}")) for n in os.listdir(d)], [("state", 0)] if made else [], "files")


@test(each={"own": (), "inject": ("--inject", "-m", "missing")})
def serve_without_contents(*options):
    """A source without the contents of a range is named at the start, with what to type; the rest is as ever."""
    with target("anon", NR * PAGE, mode="" if options else "missing") as (t, m), tempfile.NamedTemporaryFile() as short:
        place = f"{m['start']:x}-{m['start'] + NR * PAGE:x}"
        with Serve(t.pid, "--from", "/dev/null", *options, place) as s:
            touch(t, m, threads=1, len=PAGE)
            contains(s.error(), f"{m['start']:x}: the contents end before this page")
            eq(s.stop(1)["held"], 1, "held")
        warning, = (line for line in s.err.splitlines() if "the source does not have" in line)
        contains(warning, f"uffdctl: {t.pid}: {place}: the source does not have the contents of all of this range: it ends before: threads")
        contains(warning, f"--map {place}=FILE")
        with Serve(t.pid, "--map", f"{place}=/dev/zero", *options) as s:
            s.stop()
        ok("does not have" not in s.err, s.err)
        short.write(bytes((NR - 1) * PAGE))
        short.flush()
        contains(run("serve", t.pid, "--from", short.name, *options, place, check=1).err, f"{(NR - 1) * PAGE} bytes from offset 0 on, the ranges need {NR * PAGE}")


@test(each={"own": (), "inject": ("--inject", "-m", "missing")})
def serve_pipe_of_a_process_that_ends(*options):
    """Nobody waits for the contents of a process that is gone, also if the pipe never ends."""
    with target("anon", NR * PAGE, mode="" if options else "missing") as (t, m):
        p = spawn("serve", "-J", t.pid, "--from", "-", *options, f"{m['start']:x}+{NR * PAGE}")
        wait_until(lambda: any("memfd:uffdctl-contents" in x for x in links(p.pid)), "it waits for its pipe")
        t.kill()
        p.wait(20)
        error, = map(json.loads, p.stdout.read().splitlines())
        eq((p.returncode, error["pid"], error["error"], error["message"]), (1, t.pid, "ESRCH", f"{t.pid}: the process has exited"), "its end")


@test(each={"address-space": (["--stack=8589934592", "--as=8589934592"], None, "RLIMIT_AS) is 8388608 KiB: type ulimit -v unlimited"),
            "data": (["--stack=8589934592", "--data=8589934592"], None, "RLIMIT_DATA) is 8388608 KiB: type ulimit -d unlimited"),
            "threads": (["--nproc=1"], 65534, "RLIMIT_NPROC) is 1: type ulimit -u")})
def serve_limits(names, user, text):
    """Which limit keeps threads from being started, and what to type."""
    if "--nproc=1" not in names and os.path.basename(BUILD) in ("asan", "tsan"):
        skip("sanitizers need more address space; make check runs this")
    with target("memfd", NR * PAGE, mode="minor", seed=STALE, user=user, **({"features": []} if user else {})) as (t, m):
        for command in (["serve", "--keep", "--force"], ["continue", "-t", "1"]):
            p = subprocess.run(["prlimit", *names, UFFDCTL, *command, str(t.pid), *(["all"] if command[0] == "continue" else [])],
                               capture_output=True, text=True, **({"user": user, "group": user, "extra_groups": []} if user else {}))
            eq(p.returncode, 1, p.stderr)
            contains(p.stderr, "starting threads: Resource temporarily unavailable: the limit of")
            contains(p.stderr, text)
            contains(p.stderr, "fewer threads need less (-t)")


@test
def serve_state_not_begun():
    """A file is not left by a command that could not begin to serve."""
    with target(size=NR * PAGE, mode="missing") as (t, m), tempfile.TemporaryDirectory() as d:
        args = (t.pid, "--zero", "--state", f"{d}/state", "--fail-page", f"{m['addr']}+4K", "--fail-page", f"{m['addr']}+4K")
        contains(run("serve", *args, check=1).err, "can't be made to fail")
        eq(os.listdir(d), [], "files")


# ---- in the background ----

@test(each={"from": ("--from", "anon", "missing"), "minor": ("--from", "memfd", "minor,missing"), "zero": ("--zero", "memfd", "missing"),
            "keep": ("--keep", "memfd", "minor")})
def serve_until_complete(source, kind, mode):
    """All comes in by itself; then the ranges are unregistered, and the exit status says so."""
    with target(kind, 4 * NR * PAGE) as (t, m), image(4 * NR) as img:
        if "minor" in mode:
            t.fill(id=m["id"], seed=SEED if source == "--keep" else STALE, len=NR * PAGE)
        t.register(uffd=t.u, id=m["id"], mode=mode.split(","))
        with Serve(t.pid, source, *([img.name] if source == "--from" else []), "--prefault", "--until-complete") as s:
            end = s.ended(0)
        eq((end["reason"], end["held"], sum(end["faults"].values())), ("complete", 0, 0), f"end: {end}")
        if source != "--keep":
            eq((end["done"], end["prefault"] + end["zero"]), (4 * NR * PAGE, 4 * NR * PAGE), f"end: {end}")
        eq(run("smaps", "-J", t.pid, check=0).json()["smaps"], [], "nothing is registered")
        if source == "--from":
            eq(t.check(id=m["id"], seed=SEED)["differ"], 0, "contents")


@test(each={"anon": ("anon", "prefault"), "shmem": ("memfd", "prefault"), "on-demand": ("memfd", "demand")})
def serve_until_complete_with_child(kind, how):
    """A child counts too: it has all that its parent has, when both are unregistered."""
    nr = 4 * NR
    with target(kind, nr * PAGE, mode="missing", features=[*FEATURES, "event_fork"]) as (t, m), image(nr, SEED) as img:
        options = ["--prefault", f"--rate={nr * PAGE}"] if how == "prefault" else []
        with Serve(t.pid, "--from", img.name, "--until-complete", *options) as s:
            looks = {"seed": SEED, "report": t.memory("memfd", 2 * PAGE)["id"]} if how == "demand" else {}
            child = t.fork(id=m["id"], **looks)["pid"]
            end = s.ended()
        eq((end["done"], end["errors"], end["reason"]), (nr * PAGE, 0, "complete"), f"end: {end}")
        with open(f"/proc/{child}/mem", "rb") as f:
            f.seek(m["start"])
            for page in range(nr):
                eq(f.read(PAGE), pattern_page(SEED, page), f"page {page}")
        t.kill_child(pid=child)


@test
def serve_until_complete_on_demand():
    with target("anon", NR * PAGE, mode="missing") as (t, m), image(NR) as img:
        with Serve(t.pid, "--from", img.name, "--until-complete") as s:
            joined(t, touch(t, m, seed=SEED))
            eq(s.ended(0)["demand"], NR * PAGE, "demand")
        with target("anon", NR * PAGE, mode="missing") as (u, _), Serve(u.pid, "--from", img.name, "--until-complete") as s:
            s.proc.send_signal(signal.SIGINT)
            eq(s.ended(130)["reason"], "stopped", "not complete, and the exit status says so")


@test
def serve_demand_comes_first():
    """At a rate that would take minutes, who asks is served at once; and the rate is kept."""
    nr = 4096
    with target("anon", nr * PAGE, mode="missing") as (t, m), image(nr) as img:
        with Serve(t.pid, "--from", img.name, "--prefault", "--rate=1M") as s:
            joined(t, touch(t, m, threads=4, seed=SEED, offset=nr // 2 * PAGE))
            end = s.stop()
        eq(end["demand"], nr // 2 * PAGE, f"end: {end}")
        ok(end["prefault"] < nr // 2 * PAGE, f"the rate is kept: {end}")


# ---- safety ----

@test
def serve_second_reader_is_refused():
    with target(size=NR * PAGE, seed=SEED, mode="minor") as (t, m):
        with Serve(t.pid, "--keep") as s:
            contains(run("serve", t.pid, "--keep", check=1).err, f"process {s.proc.pid} serves this userfaultfd")
            contains(run("serve", t.pid, "--keep", "--force", check=1).err, "end it first")
            run("wake", t.pid, "all", check=0)  # what others may do still
        t.handler(uffd=t.u, action="continue")
        contains(run("serve", t.pid, "--keep", check=1).err, "a handler reads the messages")
        with Serve(t.pid, "--keep", "--force") as s:
            joined(t, touch(t, m, seed=SEED))
            s.stop()


@test
def serve_with_contents_locks():
    with target(size=NR * PAGE, mode="minor,missing") as (t, _), Serve(t.pid, "--zero") as s:
        contains(run("continue", t.pid, "all", check=1).err, f"process {s.proc.pid} is changing this memory")
        s.stop()


@test
def serve_signal_from_timeout():
    """timeout(1) sends its signal twice: that is one, and all ends in order."""
    with target(size=NR * PAGE, seed=SEED, mode="minor") as (t, m):
        for i in range(5):
            with Serve(t.pid, "--keep") as s:
                s.proc.send_signal(signal.SIGINT)
                time.sleep(0.0005)
                eq(s.stop(sig=signal.SIGINT)["reason"], "stopped", "reason")


@test(each={"int": (signal.SIGINT,), "term": (signal.SIGTERM,), "hup": (signal.SIGHUP,)})
def serve_signals(sig):
    with target(size=NR * PAGE, seed=SEED, mode="minor") as (t, m), Serve(t.pid, "--keep") as s:
        joined(t, touch(t, m, len=PAGE, seed=SEED))
        s.stop(sig=sig)


@test
def serve_does_not_stop_on_ctrl_z():
    with target(size=NR * PAGE, seed=SEED, mode="minor") as (t, m), Serve(t.pid, "--keep") as s:
        s.proc.send_signal(signal.SIGTSTP)
        joined(t, touch(t, m, seed=SEED))
        s.stop()


@test
def serve_output_that_nobody_reads():
    """Neither the pipe of stdout nor that of stderr holds up a fault, nor the end."""
    if "TSAN_OPTIONS" in os.environ:
        skip("ThreadSanitizer keeps a signal back while write(2) blocks; make check runs this")
    r, w = os.pipe()
    os.set_blocking(w, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(w, b"x" * 4096):
            pass
    os.set_blocking(w, True)
    with target("anon", NR * PAGE, mode="missing") as (t, m), image(NR) as img:
        p = spawn("serve", "-J", t.pid, "--from", img.name, stdout=w, stderr=w)
        os.close(w)
        wait_until(lambda: run("list", "-J", t.pid).json()["list"][0]["reader"], "it reads")
        os.truncate(img.name, NR // 2 * PAGE)
        late = touch(t, m, threads=8, offset=NR // 2 * PAGE)
        joined(t, touch(t, m, len=NR // 2 * PAGE, seed=SEED))
        p.send_signal(signal.SIGINT)
        wait_until(lambda: fdinfo(t.pid, t.u)["pending"] == 8, "what was read and not resolved is queued again")
        os.close(r)
        p.wait(timeout=10 * SLOW)
        ok(not t.status(thread=late[0])["done"], "it waits")


@test
def serve_outside_of_the_ranges():
    """A message is read only once: a thread that nobody serves is told of, left waiting, and queued again at the end."""
    with target("anon", NR * PAGE, mode="missing") as (t, m):
        with Serve(t.pid, "--zero", f"{m['addr']}+{NR // 2 * PAGE}") as s:
            th = touch(t, m, threads=1, offset=NR // 2 * PAGE, len=PAGE)
            contains(s.error(), "not in the ranges that are served")
            joined(t, touch(t, m, len=NR // 2 * PAGE))
            end = s.stop(rc=1)
        contains(s.err, "is registered on this userfaultfd and not served")
        eq((end["errors"], end["held"]), (1, 1), f"end: {end}")
        wait_until(lambda: fdinfo(t.pid, t.u)["pending"] == 1, "it is queued again")
        with Serve(t.pid, "--zero") as s:
            joined(t, th)
            s.stop()


@contextlib.contextmanager
def short_image(nr=NR):
    """A process whose image loses its second half after the start."""
    with target("anon", nr * PAGE, mode="missing") as (t, m), image(nr) as img:
        yield t, m, img


@test
def serve_source_fails():
    """Who needs the lost half is held, others go on; when the contents are back, all do."""
    with short_image() as (t, m, img), Serve(t.pid, "--from", img.name) as s:
        os.truncate(img.name, NR // 2 * PAGE)
        late = touch(t, m, threads=2, offset=NR // 2 * PAGE, len=2 * PAGE, seed=SEED)
        contains(s.error(), "the contents end before this page")
        joined(t, touch(t, m, len=NR // 2 * PAGE, seed=SEED))
        eq(fdinfo(t.pid, t.u)["total"], 2, "two wait")
        with open(img.name, "r+b") as f:
            for i in range(NR):
                f.write(pattern_page(SEED, i))
        joined(t, late)
        end = s.stop()
        ok(end["errors"] >= 1 and end["held"] == 0, f"end: {end}")


@test
def serve_source_fails_in_the_background():
    """It is said once, the rest comes, and it is tried again until all is there."""
    nr = 1024
    with short_image(nr) as (t, m, img):
        with Serve(t.pid, "--from", img.name, "--prefault", "--until-complete", "--rate=1M") as s:
            os.truncate(img.name, nr // 2 * PAGE)
            joined(t, touch(t, m, len=nr // 2 * PAGE, seed=SEED))
            contains(s.error(), "tried again")
            with open(img.name, "r+b") as f:
                for i in range(nr):
                    f.write(pattern_page(SEED, i))
            end = s.ended(0)
        eq((end["reason"], end["done"], s.errors()), ("complete", nr * PAGE, []), f"end: {end}")
        eq(t.check(id=m["id"], seed=SEED)["differ"], 0, "contents")


@test(each={"stop": ("stop", "wait for another handler"), "kill": ("kill", "the process is killed"),
            "release": ("release", "goes on with what is there, or zeros")})
def serve_on_error(what, text):
    with short_image() as (t, m, img), Serve(t.pid, "--from", img.name, f"--on-error={what}") as s:
        os.truncate(img.name, NR // 2 * PAGE)
        th = touch(t, m, threads=1, offset=NR // 2 * PAGE, len=PAGE)
        eq(s.ended(1)["reason"], "failed", "reason")
        contains(s.errors()[0], text)
        if what == "kill":
            eq(t.proc.wait(timeout=10 * SLOW), -signal.SIGKILL, "the process")
            return
        if what == "release":
            joined(t, th)
            eq(run("smaps", "-J", t.pid, check=0).json()["smaps"], [], "nothing is registered")
            return
        wait_until(lambda: fdinfo(t.pid, t.u)["pending"] == 1, "it is queued again")


# ---- what the process does meanwhile ----

@test
def serve_target_goes_before_it_is_complete():
    """Who waits for all to be there is told by the exit status that it is not."""
    with target("anon", NR * PAGE, mode="missing") as (t, m), image(NR) as img:
        with Serve(t.pid, "--from", img.name, "--until-complete") as s:
            t.kill()
            eq(s.ended(1)["reason"], "gone", "reason")


@test(each={"exit": (lambda t: t.kill(), "has ended"), "exec": (lambda t: t.exec(), "has started another program")})
def serve_target_goes(goes, text):
    with target(size=NR * PAGE, mode="minor,missing") as (t, m), image(NR) as img, Serve(t.pid, "--from", img.name) as s:
        joined(t, touch(t, m, len=PAGE, seed=SEED))
        goes(t)
        eq(s.ended(0)["reason"], "gone", "reason")
        contains(s.err, text)


@test(each={f"{kind}-{mode}-{'with' if features else 'without'}-event": (kind, mode, features)
            for kind, mode in (("anon", "missing"), ("memfd", "minor")) for features in (["event_unmap"], [])})
def serve_unmapped(kind, mode, features):
    """What is unmapped is not missed, and the rest comes."""
    with target(kind, NR * PAGE, mode=mode, seed=STALE if mode == "minor" else None, features=[*FEATURES, *features]) as (t, m), \
            image(NR) as img:
        with Serve(t.pid, "--from", img.name) as s:
            joined(t, touch(t, m, threads=2, len=NR // 4 * PAGE, seed=SEED))
            t.munmap(id=m["id"], offset=NR // 2 * PAGE, len=NR // 4 * PAGE)
            joined(t, touch(t, m, threads=2, len=NR // 2 * PAGE, seed=SEED))
            joined(t, touch(t, m, threads=2, offset=NR * 3 // 4 * PAGE, len=NR // 4 * PAGE, seed=SEED))
            s.stop()


@test(each={"with-event": (["event_unmap"],), "without": ([],)})
def serve_replaced(features):
    """Memory that can't be registered has come into a range: all that was registered is unregistered in the end."""
    if not os.access(BUILD, os.W_OK):
        skip("needs a file on a file system that has no userfaultfd; a build folder that can be written to runs this")
    quarter = NR // 4 * PAGE
    with target("anon", NR * PAGE, mode="missing", features=[*FEATURES, *features]) as (t, m), image(NR) as img, \
            tempfile.NamedTemporaryFile(dir=BUILD) as f:
        with Serve(t.pid, "--from", img.name, "--until-complete") as s:
            joined(t, touch(t, m, threads=1, len=NR * PAGE - PAGE, seed=SEED))
            t.munmap(id=m["id"], offset=quarter, len=quarter)
            t.map(kind="file", size=quarter, path=f.name, shared=False, addr=hex(m["start"] + quarter))
            joined(t, touch(t, m, threads=1, offset=NR * PAGE - PAGE, len=PAGE, seed=SEED))
            eq((s.ended()["reason"], s.errors(), s.err), ("complete", [], ""), "reason")
        eq(run("smaps", "-J", t.pid, check=0).json()["smaps"], [], "nothing is registered")


@test
def serve_removed():
    """What the process has removed is zeros, filled before or not; all else is the image."""
    with target("anon", NR * PAGE, mode="missing", features=[*FEATURES, "event_remove"]) as (t, m), image(NR) as img:
        with Serve(t.pid, "--from", img.name) as s:
            joined(t, touch(t, m, len=NR // 4 * PAGE, seed=SEED))
            t.madvise(id=m["id"], advice="dontneed", offset=NR // 8 * PAGE, len=NR // 4 * PAGE)
            joined(t, touch(t, m))
            end = s.stop()
        eq((end["zero"], end["events"], end["done"]), (NR // 4 * PAGE, 1, NR * PAGE), f"end: {end}")
        eq(t.check(id=m["id"], len=NR // 8 * PAGE, seed=SEED)["differ"], 0, "before")
        eq(t.check(id=m["id"], offset=NR * 3 // 8 * PAGE, len=NR * 5 // 8 * PAGE, seed=SEED)["differ"], 0, "behind")
        zeros(t, m, NR // 8 * PAGE, NR // 4 * PAGE)


@test(limit=120)
def serve_remove_storm():
    """Threads that remove what they touch, all the time, while others read the image and it comes in in the background."""
    nr = 2048
    with target("anon", nr * PAGE, mode="missing", features=[*FEATURES, "event_remove"], timeout=60) as (t, m), image(nr) as img:
        half = nr // 2 * PAGE
        with Serve(t.pid, "--from", img.name, "--prefault") as s:
            storm = t.touch(id=m["id"], offset=half, len=64 * PAGE, threads=4, order="random", access="write", value=0, zap=True,
                            loop=True)["threads"]
            joined(t, touch(t, m, len=half, seed=SEED), 50000)
            wait_until(lambda: all(t.status(thread=th)["touched"] > 50 for th in storm), "each has removed pages", 30)
            for th in storm:
                t.stop(thread=th)
            for th in storm:
                ok(t.join(thread=th, timeout_ms=20000 * SLOW)["done"], "a thread that removes ends")
            t.madvise(id=m["id"], offset=half, len=64 * PAGE, advice="dontneed")
            joined(t, touch(t, m, offset=half, len=64 * PAGE))
            joined(t, touch(t, m, offset=half + 64 * PAGE, len=half - 64 * PAGE, seed=SEED))
            end = s.stop()
        ok(end["events"] > 200 and end["errors"] == 0, f"end: {end}")
        zeros(t, m, half, 64 * PAGE)
        eq(t.check(id=m["id"], len=half, seed=SEED)["differ"], 0, "the image")


@test
def serve_moved():
    with target("anon", NR * PAGE, mode="missing", features=[*FEATURES, *EVENTS]) as (t, m), image(NR) as img:
        with Serve(t.pid, "--from", img.name) as s:
            joined(t, touch(t, m, len=NR // 2 * PAGE, seed=SEED))
            new = t.mremap(id=m["id"], new_size=NR * PAGE, move=True)
            ok(int(new["addr"], 16) != m["start"], "it has moved")
            joined(t, touch(t, m, seed=SEED))
            end = s.stop()
        eq((end["demand"], end["errors"]), (NR * PAGE, 0), f"end: {end}")
        ok(end["events"] >= 1, "events")


@test
def serve_moved_and_left_behind():
    """MREMAP_DONTUNMAP: what has moved has its contents; what is left stays registered, and who faults there is told of."""
    with target("anon", NR * PAGE, mode="missing", features=[*FEATURES, *EVENTS]) as (t, m), image(NR, SEED) as img:
        with Serve(t.pid, "--from", img.name) as s:
            joined(t, touch(t, m, len=NR // 2 * PAGE, seed=SEED))
            new = int(t.mremap(id=m["id"], move=True, keep=True)["addr"], 16)
            with open(f"/proc/{t.pid}/mem", "rb") as f:
                for page in (0, NR // 2 - 1):
                    f.seek(new + page * PAGE)
                    eq(f.read(PAGE), pattern_page(SEED, page), "where it is now")
            ths = touch(t, m, len=PAGE, threads=1)
            contains(s.error(), "not in the ranges that are served")
            s.stop(1)
        run("unregister", "-q", t.pid, "all", check=0)
        joined(t, ths)


@test(each={"anon": ("anon",), "shmem": ("memfd",)})
def serve_fork(kind):
    """A child has what its parent had, and gets the rest from the image, too; and when the parent is gone."""
    with target(kind, NR * PAGE, mode="missing", features=[*FEATURES, "event_fork"]) as (t, m), image(NR) as img:
        report = t.memory("memfd", 2 * PAGE)
        with Serve(t.pid, "--from", img.name) as s:
            joined(t, touch(t, m, len=NR // 2 * PAGE, seed=SEED))
            child = t.fork(id=m["id"], seed=SEED, report=report["id"])["pid"]
            wait_until(lambda: t.peek(id=report["id"], len=8, through="self")["hex"] != "00" * 8, "the child has looked", 20)
            eq(t.peek(id=report["id"], len=8, through="self")["hex"], "01" + "00" * 7, "wrong pages")
            joined(t, touch(t, m, seed=SEED))
            t.kill_child(pid=child)
            for i in range(3):
                t.kill_child(pid=t.fork()["pid"])
            end = s.stop()
        eq((end["events"], end["errors"]), (4, 0), f"end: {end}")


@test
def serve_what_it_can_not_follow():
    with target(size=NR * PAGE, seed=STALE, mode="minor", features=[*FEATURES, "event_fork"]) as (t, _), image(NR) as img:
        contains(run("serve", t.pid, "--from", img.name, check=1).err, "has event_fork or event_remap")
    with target("anon", NR * PAGE, mode="missing") as (t, m), image(NR) as img:
        n = t.memory("memfd", NR * PAGE, mode="missing")
        contains(run("serve", t.pid, "--from", img.name, check=1).err, "from one image only if it is one kind")
        t.unregister(uffd=t.u, id=n["id"])
        t.unregister(uffd=t.u, id=m["id"], offset=NR // 2 * PAGE, len=PAGE)
        contains(run("serve", t.pid, "--from", img.name, check=1).err, "give each as START-END")
        half = [f"{m['start'] + i * PAGE:x}+{n * PAGE}" for i, n in ((NR // 2 + 1, 8), (0, 8))]
        with Serve(t.pid, "--from", img.name, *half) as s:
            touch(t, m, threads=1, offset=(NR // 2 + 1) * PAGE, len=PAGE)
            wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 0, "it goes on")
            s.stop()
        eq(t.peek(id=m["id"], offset=(NR // 2 + 1) * PAGE, len=8, through="self")["hex"], pattern_page(SEED, 0)[:8].hex(),
           "contents in the order of the ranges")


# ---- options ----

@test
def serve_dry_run():
    with target(size=NR * PAGE, seed=SEED, mode="minor") as (t, m):
        th = touch(t, m, threads=1, seed=SEED)
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 1, "a thread waits")
        r = run("serve", "--dry-run", "--keep", t.pid, check=0)
        contains(r.err, "dry run: nothing was changed")
        eq((fdinfo(t.pid, t.u)["pending"], r.out), (1, ""), "nothing is read")
        with Serve(t.pid, "--keep") as s:
            joined(t, th)
            s.stop()


@test
def serve_text():
    """A line when it serves, and a summary; nothing with -q."""
    with target(size=NR * PAGE, seed=SEED, mode="minor") as (t, _):
        r = run("serve", t.pid, "--keep", "--prefault", "--until-complete", check=0)
        lines = r.out.splitlines()
        eq(lines[0], f"serving {t.pid}: fd {t.u}, source keep, 1 range, {NR * PAGE} bytes", "the first line")
        ok(lines[1].startswith("complete after "), lines[1])
        eq(lines[2], "faults: missing 0, wp 0, minor 0, rwp 0; events: 0", "faults")
        contains(lines[3], f"mapped as they were {NR * PAGE};")
    with target(size=NR * PAGE, seed=SEED, mode="minor") as (t, _):
        r = run("serve", "-q", t.pid, "--keep", "--prefault", "--until-complete", check=0)
        ok(r.out.startswith(f"serving {t.pid}:") and not r.err, f"quiet: {r}")


@test
def serve_by_a_user():
    """Without privileges, for a process of one's own, by its own descriptors."""
    user = 65534
    with target(size=NR * PAGE, user=user, seed=STALE, mode="minor,missing") as (t, m), image(NR) as img:
        os.chmod(img.name, 0o644)
        contains(run("serve", t.pid, "--from", img.name, user=user, check=1).err, "without BPF it is not known")
        with Serve(t.pid, "--from", img.name, "--force", user=user) as s:
            joined(t, touch(t, m, seed=SEED))
            eq(s.stop()["demand"], NR * PAGE, "demand")


@test
def serve_usage():
    with target(size=PAGE, mode="minor") as (t, _):
        for args, text in (((), "write one of --from=FILE, --keep and --zero"), (("--keep", "--zero"), "write one of"),
                           (("--keep", "--elsewhere=keep"), "--elsewhere needs"), (("--zero", "--rate=1M"), "--rate needs --prefault"),
                           (("--zero", "--prefault", "--rate=x"), "write bytes a second"), (("--zero", "--on-error=x"), "on-error"),
                           (("--keep", "--until-complete"), "needs --prefault"), (("--keep", "--state=x"), "--keep fills nothing"),
                            (("--zero", "-t", 0), "from 1 to 4096")):
            contains(run("serve", t.pid, *args, check=2).err, text)
        with image(1) as img:
            contains(run("serve", t.pid, "--from", f"{img.name}@4K", check=1).err, "the contents are too short")
    with target(size=PAGE) as (t, m):
        contains(run("serve", t.pid, "--keep", check=1).err, "no mapping")
        contains(run("serve", t.pid, "--keep", m["addr"] + "+4K", check=1).err, "not registered on a userfaultfd")


main()
