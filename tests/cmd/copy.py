# SPDX-License-Identifier: GPL-2.0-or-later
"""copy and zeropage: what gets a page and which, what is left alone, what happens when the target moves."""
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time

sys.path[0] += "/.."
from harness import (FEATURES, HELPERS, HUGE, PAGE, Target, cgroup, contains, eq, fdinfo, hugepages, image, into,
                     links, main, ok, pagemap, pattern_page, run, skip, spawn, stopped, target, test, wait_until)
from harness.moves import MOVES, moving

KINDS = {
    "anon": ("anon", False, PAGE),
    "shmem-shared": ("memfd", True, PAGE),
    "shmem-private": ("memfd", False, PAGE),
    "tmpfs": ("tmpfs", True, PAGE),
    "hugetlb-shared": ("hugetlb", True, HUGE),
    "hugetlb-private": ("hugetlb", False, HUGE),
}


def result(command, *args, rc=0, **kw):
    return run(command, "-J", *args, check=rc, **kw).json()[command]


def peek(t, m, page, through="self"):
    return t.peek(id=m["id"], offset=page * PAGE, len=8, through=through)["hex"]


def head(seed, page):
    return pattern_page(seed, page)[:8].hex()


def counts(row):
    return row["mapped"], row["already"], row["absent"], row["error"]


# ---- every kind of memory ----

def story(command, kind, shared, page):
    """A thread waits for the first of 8 pages and gets it, then all the others."""
    nr = 8
    with target(kind, nr * page, shared=shared) as (t, m), image(nr, 7, page) as img:
        seed = 7 if command == "copy" else 0
        source = ["--from", img.name] if command == "copy" else []
        row = run("register", "-J", t.pid, m["addr"] + f"+{nr * page}", "-m", "missing", check=0).json()["register"][0]
        ok(command in row["ioctls"], f"{command} is granted")
        th = t.touch(id=m["id"], access="read", **({"seed": seed} if seed else {}))["threads"][0]
        wait_until(lambda: fdinfo(t.pid, t.u)["pending"] == 1, "a fault that waits")
        eq([w["kind"] for w in run("pending", "-J", t.pid, check=0).json()["pending"]], ["missing"], "its kind")
        eq(counts(result(command, t.pid, f"{m['addr']}+{page}", *source)[0]), (page, 0, 0, None), "the first page")
        wait_until(lambda: t.status(thread=th)["touched"] == 1, "the thread goes on by one page")
        row = result(command, t.pid, "all", *source)[0]
        eq((row["start"], row["end"]), (m["addr"], hex(m["start"] + nr * page)), "the range")
        eq(counts(row), ((nr - 1) * page, page, 0, None), "the rest")
        j = t.join(thread=th)
        eq((j["done"], j["touched"], j["mismatches"]), (True, nr, 0), "the thread")
        # Pattern 0 is none, so zeros are looked at here.
        for i in range(nr):
            for at in ((0, page - PAGE) if not seed else ()):
                eq(t.peek(id=m["id"], offset=i * page + at, len=PAGE, through="self")["hex"], "00" * PAGE, f"page {i}")
        eq(t.check(id=m["id"], seed=7)["differ"], 0 if seed else nr, "contents of all pages")


def zeropage_hugetlb(shared):
    with target("hugetlb", 4 * HUGE, mode="missing", shared=shared) as (t, _):
        r = run("zeropage", "-J", t.pid, "all", check=1)
        contains(r.err, "no zero page for hugetlbfs: copy zeros instead (uffdctl copy --from-zero)")
        eq(counts(result("copy", t.pid, "all", "--from-zero")[0]), (4 * HUGE, 0, 0, None), "which does")


@test(each=KINDS)
def copy(kind, shared, page):
    with hugepages(20 if kind == "hugetlb" else 0):
        story("copy", kind, shared, page)


@test(each=KINDS)
def zeropage(kind, shared, page):
    with hugepages(20 if kind == "hugetlb" else 0):
        if kind == "hugetlb":
            zeropage_hugetlb(shared)
        else:
            story("zeropage", kind, shared, page)


# ---- what is there is left alone ----

@test
def copy_already():
    """What the target has is its own: each second page, changed by it, outlives a copy and a zeropage."""
    nr = 512
    for kind in ("anon", "memfd"):
        with target(kind, nr * PAGE) as (t, m), image(nr) as img:
            t.small_pages(m)
            for i in range(0, nr, 2):
                t.poke(id=m["id"], offset=i * PAGE, hex="%016x" % i, through="self")
            t.register(uffd=t.u, id=m["id"], mode=["missing"])
            row = result("copy", t.pid, "all", "--from", img.name)[0]
            eq(counts(row), (nr // 2 * PAGE, nr // 2 * PAGE, 0, None), "half and half")
            eq(counts(result("zeropage", t.pid, "all")[0]), (0, nr * PAGE, 0, None), "all are there")
            for i in range(nr):
                eq(peek(t, m, i), "%016x" % i if i % 2 == 0 else head(9, i), f"{kind}: page {i}")


@test
def copy_in_the_page_cache():
    """A page of the file that is not mapped counts as already; on a private mapping the copy covers it."""
    for shared in (True, False):
        with target(shared=shared) as (t, m), image(16) as img:
            t.fill(id=m["id"], offset=0, len=8 * PAGE, seed=1, through="second")
            t.register(uffd=t.u, id=m["id"], mode=["missing"])
            row = result("copy", t.pid, m["addr"] + "+64K", "--from", img.name)[0]
            eq(row["already"], 8 * PAGE if shared else 0, "those of the file")
            eq(peek(t, m, 0), head(1 if shared else 9, 0), "the first")
            eq(peek(t, m, 8), head(9, 8), "the ninth")
            if not shared:
                eq(peek(t, m, 0, through="second"), head(1, 0), "the file has its own")


@test
def copy_wakes_who_sleeps_on_a_page_that_is_there():
    with target(mode="missing,minor") as (t, m):
        th = t.touch(id=m["id"], len=PAGE, access="read")["threads"][0]
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 1, "a thread waits")
        run("copy", t.pid, m["addr"] + "+4K", "--from-zero", "--no-wake", check=0)
        eq(fdinfo(t.pid, t.u)["total"], 1, "still")
        eq(result("zeropage", t.pid, m["addr"] + "+4K")[0]["already"], PAGE, "already")
        ok(t.join(thread=th)["done"], "it goes on")


@test
def copy_leaves_who_waits_for_a_minor_fault():
    """It can't end a minor fault, which then waits anew: not without a word."""
    with target(mode="missing,minor") as (t, m), image(16) as img:
        t.fallocate(id=m["id"], offset=0, len=4 * PAGE, mode="alloc")
        thread = t.touch(id=m["id"], len=PAGE, access="read")["threads"][0]
        wait_until(lambda: fdinfo(t.pid, t.u)["pending"] == 1, "a minor fault that waits")
        for command, source in (("copy", ["--from", img.name]), ("zeropage", [])):
            r = run(command, "-b", t.pid, "all", *source, check=0)
            contains(r.err, f"{4 * PAGE} bytes are in the page cache and not mapped")
            contains(r.err, "uffdctl continue")
        run("continue", t.pid, "all", check=0)
        ok(t.join(thread=thread)["done"], "the thread is through")
        ok("page cache" not in run("zeropage", t.pid, "all", check=0).err, "nothing to say where all is mapped")


@test
def copy_at_the_limit_of_a_cgroup():
    """What would get the target killed is refused; what fits is done, and pages that are there need nothing."""
    for kind in ("anon", "memfd"):
        with cgroup(32 << 20) as path:
            with target(kind, 64 << 20, mode="missing") as (t, m):
                into(path, t.pid)
                for options in ([], ["--dry-run"]):
                    r = run("copy", "--from-zero", *options, t.pid, "all", check=1)
                    contains(r.err, "memory cgroup has room for")
                    contains(r.err, "--force")
                half = f"{m['addr']}+16M"
                eq(result("copy", "--from-zero", t.pid, half)[0]["mapped"], 16 << 20, "what fits")
                eq(result("copy", "--from-zero", t.pid, half)[0]["already"], 16 << 20, "again")
                if kind == "anon":
                    eq(result("zeropage", t.pid, "all")[0]["mapped"], 48 << 20, "the one zero page")
                eq(t.proc.poll(), None, "it lives")


@test
def copy_into_a_32_bit_process():
    """The kernel wants the source below 4 GiB too."""
    size = 1 << 20
    with image(256) as img, open(img.name, "rb") as f:
        p = spawn_target32()
        start, end = (p.stdout.readline().strip().decode() for _ in range(2))
        row = result("copy", p.pid, f"{start}-{end}", "--from", img.name)[0]
        eq(counts(row), (size, 0, 0, None), "all of it")
        total = sum(f.read())
        out, _ = p.communicate(b"x", timeout=20)
        eq(int(out, 16), total, "the sum of what it sees")


def spawn_target32():
    program = os.path.join(HELPERS, "target32")
    if not os.path.exists(program):
        skip("no 32-bit target: the compiler makes none (x86 only)")
    try:
        p = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    except OSError as e:
        skip(f"this kernel runs no 32-bit programs ({e.strerror})")
    return p


@test
def copy_by_offset():
    """An image of the file, by the offset that each page has there, from a file and from a pipe."""
    for command, mode in (("copy", "missing"), ("continue", "minor")):
        with target(mode=mode) as (t, m), image(20, 7) as img, open(img.name, "rb") as f:
            if mode == "minor":
                t.fallocate(id=m["id"], offset=0, len=16 * PAGE, mode="alloc")
            at = lambda page: f"{m['start'] + page * PAGE:x}+4K"
            run(command, "--by-offset", "--from", img.name, t.pid, at(9), at(2), check=0)
            run(command, "--by-offset", "--from", img.name + "@4K", t.pid, at(5), check=0)
            p = spawn(command, "--by-offset", "--from", "-", t.pid, at(11), stdin=f)
            eq(p.wait(20), 0, "by a pipe")
            for page, contents in ((9, 9), (2, 2), (5, 6), (11, 11)):
                eq(peek(t, m, page), head(7, contents), f"page {page}")
            contains(run(command, "--by-offset", "--from", img.name + "@40K", t.pid, at(15), check=1).err, "too short")
    with target("anon", mode="missing") as (t, m), image(16) as img:
        contains(run("copy", "--by-offset", "--from", img.name, t.pid, "all", check=1).err, "no offset in a file")
        contains(run("copy", "--by-offset", "--from-zero", t.pid, "all", check=2).err, "needs --from")


@test
def copy_longer_contents():
    """Whoever forgets the offset is told that there is more; whoever gives one knows."""
    with target(mode="missing") as (t, m), image(16) as img:
        part = f"{m['start'] + 4 * PAGE:x}+8K"
        contains(run("copy", "--dry-run", t.pid, part, "--from", img.name, check=0).err,
                 f"the first {2 * PAGE} of {16 * PAGE} bytes")
        ok("bytes of the contents" not in run("copy", t.pid, part, "--from", img.name + "@16K", check=0).err, "quiet")


@test
def copy_no_wake():
    for command, source in (("copy", ["--from-zero"]), ("zeropage", [])):
        with target(mode="missing") as (t, m):
            th = t.touch(id=m["id"], len=PAGE, access="read")["threads"][0]
            wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 1, "a thread waits")
            contains(run(command, t.pid, "all", "--no-wake", *source, check=0).err, "stay asleep")
            eq(fdinfo(t.pid, t.u)["total"], 1, "it waits on")
            run("wake", t.pid, "all", check=0)
            ok(t.join(thread=th)["done"], "now it goes on")


@test
def copy_past_end_of_file():
    for command, source in (("copy", ["--from-zero"]), ("zeropage", [])):
        for shared in (True, False):
            with target(mode="missing", shared=shared) as (t, m):
                t.truncate(id=m["id"], size=8 * PAGE)
                r = run(command, "-J", t.pid, "all", *source, check=1)
                contains(r.err, "32768 bytes are absent: they are past the end of the mapped file")
                eq(counts(r.json()[command][0]), (8 * PAGE, 0, 8 * PAGE, None), f"{command}, shared {shared}")
                eq(os.stat(f"/proc/{t.pid}/fd/{m['fd']}").st_size, 8 * PAGE, "the file did not grow")


# ---- write protection ----

@test(each={"anon": ("anon", PAGE), "memfd": ("memfd", PAGE), "hugetlb": ("hugetlb", HUGE)})
def copy_write_protects(kind, page):
    """In a range registered for wp the first write to each copied page is reported, marked before or not."""
    with hugepages(8 if kind == "hugetlb" else 0):
        with target(kind, 4 * page, mode="missing,wp") as (t, m), image(4, page=page) as img:
            t.writeprotect(uffd=t.u, id=m["id"], offset=page, len=page, protect=True)
            r = run("copy", "-J", t.pid, "all", "--from", img.name, check=0)
            contains(r.err, "write-protected pages, and no handler was seen reading")
            eq(counts(r.json()["copy"][0]), (4 * page, 0, 0, None), "all")
            t.handler(uffd=t.u, action="continue")
            th = t.touch(id=m["id"], access="write", value=0xa5)["threads"][0]
            ok(t.join(thread=th)["done"], "the writer is through, by the handler's help")
            stats = t.handler_stats(uffd=t.u)
            eq((stats["wp"], stats["missing"]), (4, 0), "each page faulted, for write-protect")


@test
def zeropage_refused_with_wp():
    with target("anon", mode="missing,wp") as (t, _):
        row = result("zeropage", t.pid, "all", rc=1)[0]
        contains(row["error"], "UFFDIO_ZEROPAGE can't write-protect: copy zeros")
        eq(result("copy", "-q", t.pid, "all", "--from-zero")[0]["already"], 0, "nothing was mapped")


@test
def copy_beside_read_write_protected():
    """In a range registered for rwp too, a protected page keeps its mark, and the others are done."""
    with Target() as t:
        if "rwp" not in t.uffd()["supported"]:
            skip("this kernel has no rwp; Linux 7.3 runs this")
    for command, source in (("copy", ["--from-zero"]), ("zeropage", [])):
        for kind in ("anon", "memfd"):
            with target(kind, 4 * PAGE, features=FEATURES + ["rwp"], mode="missing,rwp") as (t, m):
                run("copy", t.pid, m["addr"] + "+4K", "--from-zero", check=0)
                t.rwprotect(uffd=t.u, id=m["id"], offset=0, len=2 * PAGE, protect=True)
                eq(counts(result(command, t.pid, "all", *source)[0]), (3 * PAGE, PAGE, 0, None), "the others")
                th = t.touch(id=m["id"], access="read")["threads"][0]
                wait_until(lambda: fdinfo(t.pid, t.u)["pending"] == 1, "who reads the protected one waits")
                eq(run("pending", "-J", t.pid, check=0).json()["pending"][0]["kind"], "rwp", "for what")
                t.rwprotect(uffd=t.u, id=m["id"], offset=0, len=PAGE, protect=False)
                ok(t.join(thread=th)["done"], "it goes on")


# ---- contents ----

@test
def copy_offset_and_ranges():
    """Contents follow on from range to range, from OFFSET on."""
    with target(mode="missing") as (t, m), image(16) as img:
        a = m["start"]
        rows = result("copy", t.pid, f"{a + 8 * PAGE:x}+8K", f"{a:x}-{a + PAGE:x}", "--from", f"{img.name}@4K")
        eq([x["mapped"] for x in rows], [2 * PAGE, PAGE], "rows")
        run("zeropage", t.pid, "all", check=0)
        for page, content in ((8, 1), (9, 2), (0, 3)):
            eq(peek(t, m, page), head(9, content), f"page {page}")
        eq(peek(t, m, 1), "00" * 8, "another")


@test
def copy_many_ranges():
    """Every second page of 1024, each as a range of its own, last first; then the others."""
    nr = 1024
    with target("anon", nr * PAGE, mode="missing") as (t, m), image(nr // 2) as img:
        pages = range(nr - 2, -1, -2)
        rows = result("copy", t.pid, *(f"{m['start'] + i * PAGE:x}+4K" for i in pages), "--from", img.name)
        eq((len(rows), {counts(x) for x in rows}), (nr // 2, {(PAGE, 0, 0, None)}), "rows")
        eq(counts(result("zeropage", t.pid, "all")[0])[:2], (nr // 2 * PAGE,) * 2, "the others")
        for k, i in enumerate(pages):
            eq((peek(t, m, i), peek(t, m, i + 1)), (head(9, k), "00" * 8), f"pages {i} and {i + 1}")


@test
def copy_sparse_file():
    """A hole of the contents is zeros."""
    with target("anon", 64 << 20, mode="missing") as (t, m), tempfile.NamedTemporaryFile() as img:
        os.truncate(img.fileno(), 64 << 20)
        os.pwrite(img.fileno(), pattern_page(9, 5), 5 * PAGE)
        eq(result("copy", t.pid, "all", "--from", img.name)[0]["mapped"], 64 << 20, "all")
        eq([peek(t, m, i) for i in (4, 5, 6, 16383)], ["00" * 8, head(9, 5), "00" * 8, "00" * 8], "contents")


@test
def copy_threads():
    """64 MiB by one thread and by three, under four that read it: the same, to the byte."""
    nr = 16384
    with image(nr, 1) as img:
        for n in (1, 3):
            for kind in ("anon", "memfd"):
                with target(kind, nr * PAGE, mode="missing") as (t, m):
                    ths = t.touch(id=m["id"], access="read", seed=1, threads=4, split=True)["threads"]
                    wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 4, "four threads wait")
                    row = result("copy", t.pid, "all", "--threads", n, "--from", img.name)[0]
                    eq(counts(row), (nr * PAGE, 0, 0, None), f"{n} threads")
                    for th in ths:
                        j = t.join(thread=th)
                        eq((j["done"], j["mismatches"]), (True, 0), "thread")
                    eq(t.check(id=m["id"], seed=1)["differ"], 0, "contents")


@test
def copy_stdin():
    """From a pipe, with an offset into it, and from a file that was read in part."""
    for source, seed_at in (("-", 0), ("-@8K", 2)):
        with target(mode="missing") as (t, m):
            data = b"".join(pattern_page(9, i) for i in range(16 + seed_at))
            eq(result("copy", t.pid, "all", "--from", source, stdin=data)[0]["mapped"], 16 * PAGE, "mapped")
            eq([peek(t, m, i) for i in range(16)], [head(9, i + seed_at) for i in range(16)], "contents")
    with target(mode="missing") as (t, m), image(17) as img, open(img.name, "rb") as f:
        os.lseek(f.fileno(), PAGE, os.SEEK_SET)
        p = spawn("copy", "-J", t.pid, "all", "--from=-", stdin=f)
        eq(p.wait(20), 0, "exit status")
        eq([peek(t, m, i) for i in range(16)], [head(9, i + 1) for i in range(16)], "contents from where it stands")
        eq(os.lseek(f.fileno(), 0, os.SEEK_CUR), PAGE, "where it stood")


@test
def copy_stdin_into_continue():
    """continue takes a pipe too, and reads it in the order that it needs."""
    with target(mode="minor") as (t, m):
        t.memory(mode="minor", of=m["id"])
        data = b"".join(pattern_page(9, i) for i in range(32))
        rows = result("continue", t.pid, "all", "--from", "-", stdin=data)
        eq([x["mapped"] for x in rows], [16 * PAGE] * 2, "both mappings of the file")
        eq(t.check(id=m["id"], seed=9)["differ"], 0, "contents")


@test
def copy_fifo():
    """A FIFO that nobody writes to yet is waited for, and not read to an end that is none."""
    with target(mode="missing") as (t, m), tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "fifo")
        os.mkfifo(path)
        p = spawn("copy", t.pid, "all", "--from", path)
        time.sleep(0.3)
        eq(p.poll(), None, "it waits")
        with open(path, "wb") as f:
            for i in range(16):
                f.write(pattern_page(9, i))
                f.flush()
                time.sleep(0.01)
        eq(p.wait(20), 0, "exit status")
        eq(t.check(id=m["id"], seed=9)["differ"], 0, "contents")


@test
def copy_pipe_progress():
    """What was read is shown, some ten times a second."""
    with target(mode="missing") as (t, _):
        p = spawn("copy", "-J", t.pid, "all", "--from", "-", "--progress=always")
        time.sleep(0.3)
        for i in range(16):
            p.stdin.write(pattern_page(9, i))
            p.stdin.flush()
            time.sleep(0.3 if i == 7 else 0)
        p.stdin.close()
        eq(p.wait(20), 0, "exit status")
        bars = p.stderr.read().decode().split("\r")[1:]
        contains(bars[0], "  0% [")
        contains(bars[0], "--:-- left")
        ok(any(b.startswith(" 50% [") and "--:--" not in b for b in bars), f"half of it was read: {bars}")
        ok(len(bars) < 20, f"{len(bars)} times")


@test
def copy_pipe_interrupted():
    """A pipe that nothing comes out of can be left by Ctrl-C; nothing was changed."""
    with target(mode="missing") as (t, _):
        p = spawn("copy", "-J", t.pid, "all", "--from", "-")
        p.stdin.write(bytes(100))
        p.stdin.flush()
        time.sleep(0.5)
        p.send_signal(signal.SIGINT)
        eq(p.wait(10), 1, "exit status")
        contains(p.stderr.read().decode(), "interrupted: 0 bytes were mapped")
        eq(result("copy", t.pid, "all", "--from-zero")[0]["already"], 0, "nothing was changed")


@test
def copy_bad_source():
    with target(mode="missing") as (t, m), image(15) as img:
        for source, text in ((img.name, "too short: 61440 bytes"), (img.name + "@64K", "too short: 0 bytes"),
                             ("/nonexistent", "No such file"), ("/nonexistent@4K", "append @0"), ("/tmp", "Is a directory"),
                             ("/dev/null", "the contents ended early")):
            contains(run("copy", t.pid, "all", "--from", source, check=1).err, text)
        r = run("copy", t.pid, "all", "--from", "-", stdin=bytes(PAGE + 1), check=1)
        contains(r.err, "too short: 4097 bytes from offset 0 on, the ranges need 65536")
        contains(run("copy", t.pid, "all", "--from", img.name, "--from-zero", check=2).err, "exclude each other")
        contains(run("copy", t.pid, "all", check=2).err, "no contents given")
        contains(run("zeropage", t.pid, "all", "--from-zero", check=2).err, "unrecognized option")
        eq(result("zeropage", t.pid, m["addr"] + "+64K")[0]["mapped"], 16 * PAGE, "nothing was changed")


@test
def copy_unreadable():
    """What reading the contents says is not taken for the kernel's word on the pages."""
    past = f"/dev/zero@{(1 << 63) - 1}"
    for command, mode in (("copy", "missing"), ("continue", "minor")):
        with target(mode=mode) as (t, _):
            contains(run(command, t.pid, "all", "--from", past, check=1).err, "beyond the end of any file")
            soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (512, hard))
            try:
                r = run(command, t.pid, "all", "--from", "-", stdin=bytes(16 * PAGE), check=1)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
            contains(r.err, "see ulimit -f")


@test
def copy_dry_run():
    with target(mode="missing") as (t, _):
        row = result("copy", t.pid, "all", "--dry-run", "--from-zero")[0]
        eq(counts(row), (None, None, None, None), "not known before it is done")
        eq(counts(result("zeropage", t.pid, "all", "--dry-run")[0]), (None, None, None, None), "likewise")
        row = result("copy", t.pid, "all", "--dry-run", "--from", "-", stdin=b"")[0]
        eq(counts(row), (None, None, None, None), "a pipe is not read")
        eq(result("zeropage", t.pid, "all")[0]["mapped"], 16 * PAGE, "nothing was there")


@test
def copy_dry_run_of_bad_contents():
    """What can't be read is found before, on standard input as by name, and -J is JSON all the same."""
    with target(mode="missing") as (t, _), open("/dev/null") as null:
        d = os.open("/tmp", os.O_RDONLY)
        for stdin, text in ((d, "takes a file"), (null, "input is empty"), (None, "standard input is closed")):
            p = spawn("copy", "-J", "--dry-run", "--from", "-", t.pid, "all", stdin=stdin or null,
                      preexec_fn=None if stdin else lambda: os.close(0))
            out, err = p.communicate(timeout=20)
            contains(err.decode(), text)
            got = json.loads(out)
            eq((p.returncode, got["copy"], len(got["errors"])), (1, [], 1), "exit status and JSON")
        eq(result("copy", t.pid, "all", "--from", "/nonexistent", rc=1), [], "likewise by name")


# ---- whose range, and who else resolves ----

@test(rule="only-the-owner")
def copy_only_what_is_registered_here():
    with target(mode="missing") as (t, m):
        n = t.memory("anon", 4 * PAGE)
        other = t.userfaultfd()
        contains(run("copy", "-f", other, t.pid, m["addr"] + "+4K", "--from-zero", check=1).err,
                 f"registered on another userfaultfd ({t.pid}:{t.u})")
        contains(run("zeropage", "-f", t.u, t.pid, n["addr"] + "+4K", check=1).err, "not registered")
        eq(result("copy", t.pid, m["addr"] + "+4K", "--from-zero")[0]["mapped"], PAGE, "it takes the owner")
        contains(run("zeropage", t.pid, "all", check=1).err, f"{t.pid}:{t.u}, {t.pid}:{other}")


@test
def copy_rows_in_order():
    """What is refused stands among the rest, where its range is."""
    with target(mode="missing") as (t, m):
        n = t.memory("anon", 4 * PAGE)
        parts = [m["start"], n["start"], m["start"] + PAGE]
        for options in ([], ["--dry-run"]):
            rows = result("zeropage", *options, t.pid, *(f"{p:x}+4K" for p in parts), rc=1)
            eq([int(row["start"], 16) for row in rows], parts, f"rows {options}")
            eq([bool(row["error"]) for row in rows], [False, True, False], "which is refused")
            eq(rows[1]["mapped"], 0, "of which nothing is done")


@test(limit=120)
def copy_beside_a_handler():
    """The target's handler resolves too: each page is whole, and from one of the two."""
    nr = 4096
    for kind in ("anon", "memfd"):
        with target(kind, nr * PAGE, mode="missing") as (t, m), image(nr) as img:
            t.handler(uffd=t.u, action="copy", seed=1)
            th = t.touch(id=m["id"], access="read", order="random", delay_us=200)["threads"][0]
            wait_until(lambda: t.status(thread=th)["touched"] > 10, "the handler is at work")
            row = result("copy", t.pid, "all", "--from", img.name)[0]
            ok(t.join(thread=th, timeout_ms=20000)["done"], "the thread is through")
            theirs, ours = t.check(id=m["id"], seed=1)["match"], t.check(id=m["id"], seed=9)["match"]
            eq((theirs + ours, ours * PAGE, theirs * PAGE), (nr, row["mapped"], row["already"]), f"{kind}: each once")
            ok(theirs and ours, f"both had a part: {theirs} and {ours}")


@test(limit=120)
def copy_while_written():
    """Threads write into the range while it is copied: each page ends as contents plus their write."""
    nr = 8192
    for kind in ("anon", "memfd"):
        with target(kind, nr * PAGE, mode="missing") as (t, m), image(nr) as img:
            ths = t.touch(id=m["id"], access="write", value=0x5a5a, threads=3, order="random")["threads"]
            eq(counts(result("copy", t.pid, "all", "--from", img.name)[0]), (nr * PAGE, 0, 0, None), "each page once")
            for th in ths:
                ok(t.join(thread=th, timeout_ms=20000)["done"], "writer")
            eq(t.check(id=m["id"], seed=9, tail=0x5a5a)["differ"], 0, f"{kind}: contents under the writes")


@test
def copy_no_handshake():
    """Where nothing can be registered the handshake isn't made either: the process's own still works."""
    with Target() as t:
        fd = t.uffd(handshake=False)["fd"]
        for command, source in (("copy", ["--from-zero"]), ("zeropage", []), ("continue", []),
                                ("unregister", []), ("wake", [])):
            contains(run(command, t.pid, "all", "--handshake", *source, check=2).err, "unrecognized option")
            contains(run(command, t.pid, "all", *source, check=1).err, "uffdctl register --handshake")
        eq(t.handshake(uffd=fd, features=[]).get("errno"), None, "its own")


# ---- what changes before it is done ----

def awaiting(t, *args):
    """A copy that waits for its pipe."""
    p = spawn(*args, "-J", "-f", t.u, "--from", "-")
    wait_until(lambda: any("memfd:uffdctl-contents" in x for x in links(p.pid)), "it waits for its pipe")
    return p


WP_FEATURES = FEATURES + ["wp_hugetlbfs_shmem", "pagefault_flag_wp"]


@test
def copy_changed_while_the_pipe_was_awaited():
    """wp that came meanwhile holds; what another userfaultfd has now, or is another mapping, is left alone."""
    def to_other(t, m, other):
        t.unregister(uffd=t.u, id=m["id"])
        t.register(uffd=other, id=m["id"], mode=["missing"])

    def to_memfd(t, m, _):
        t.munmap(id=m["id"])
        t.memory(size=4 * PAGE, mode="missing", addr=m["addr"])

    for kind, change, text in (("anon", to_other, "registered on another userfaultfd"),
                               ("anon", lambda t, m, _: t.unregister(uffd=t.u, id=m["id"]), "not registered"),
                               ("anon", to_memfd, "changed while the contents were read"),
                               ("anon", lambda t, m, _: t.munmap(id=m["id"]), "nothing is mapped"),
                               ("memfd", lambda t, m, _: t.register(uffd=t.u, id=m["id"], mode=["missing", "wp"]), None)):
        with target(kind, 4 * PAGE, mode="missing") as (t, m):
            other = t.userfaultfd()
            p = awaiting(t, "copy", t.pid, f"{m['addr']}+8K")
            change(t, m, other)
            _, err = p.communicate(bytes(2 * PAGE), timeout=20)
            eq(p.returncode, 1 if text else 0, f"exit status: {err}")
            contains(err.decode(), text or "")
            eq([(e >> 63, e >> 57 & 1) for e in pagemap(t.pid, m["start"], 4)], [(0, 0)] * 4 if text else [(1, 1)] * 2 + [(0, 0)] * 2,
               f"present, wp: {text}")


def changed_at_work(nr, command, source, change):
    """False if it was through before it could be stopped."""
    with target("anon", nr * PAGE, mode="missing") as (t, m):
        other = t.userfaultfd()
        t.small_pages(m)
        cpus = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(cpus)})  # with us on one CPU, it does not get through before we look
        try:
            p = spawn(command, "-J", "-t", 1, "-f", t.u, t.pid, f"{m['addr']}+{nr * PAGE}", *source)
            while p.poll() is None and not pagemap(t.pid, m["start"], 1)[0] >> 63:
                pass
            p.send_signal(signal.SIGSTOP)
        finally:
            os.sched_setaffinity(0, cpus)
        wait_until(lambda: p.poll() is not None or stopped(p.pid), "it is stopped")
        before = sum(e >> 63 for e in pagemap(t.pid, m["start"], nr))
        if before < nr:
            if change == "wp":
                t.register(uffd=t.u, id=m["id"], mode=["missing", "wp"])
            else:
                t.unregister(uffd=t.u, id=m["id"])
                t.register(uffd=other, id=m["id"], mode=["missing"])
        p.send_signal(signal.SIGCONT)
        _, err = p.communicate(timeout=60)
        if before == nr:
            return False
        after = pagemap(t.pid, m["start"], nr)
        plain = sum(1 for e in after if e >> 63 and not e >> 57 & 1)
        # What a look holds for: 4 MiB with contents, 16 MiB without.
        ok(plain <= before + (1024 if command == "copy" else 4096), f"{command}, {change}: without mark {before}, then {plain}")
        if command == "copy" and change == "wp":
            eq((p.returncode, all(e >> 63 for e in after)), (0, True), f"all are there: {err}")
        else:
            contains(err.decode(), "registered differently meanwhile")
        return True


@test(limit=120)
def copy_changed_at_work():
    """Likewise between two chunks: at most one a thread is done as before."""
    nr = 1 << 18
    for command, source in (("copy", ["--from-zero"]), ("zeropage", [])):
        for change in ("wp", "other"):
            for _try in range(20):
                if changed_at_work(nr, command, source, change):
                    break
            else:
                ok(False, f"{command}: was through each time before it could be stopped")


# ---- a target that moves ----

@test(each=MOVES, limit=120)
def copy_while(action, texts):
    moving(action, texts, "copy", "missing", "--from-zero")
    moving(action, texts, "zeropage", "missing")


@test
def copy_unread_event():
    with target(features=FEATURES + ["event_remove"], mode="missing") as (t, m):
        t.madvise(id=m["id"], offset=0, len=PAGE, advice="dontneed", async_=True)
        time.sleep(0.2)
        for command, source in (("copy", ["--from-zero"]), ("zeropage", [])):
            contains(run(command, t.pid, "all", *source, check=1).err, "event of the userfaultfd is unread")


def resident(pid):
    with open(f"/proc/{pid}/statm") as f:
        return int(f.read().split()[1]) * PAGE


@test
def copy_interrupted():
    """Ctrl-C: a clean end, and a true report of what was done."""
    with target("anon", 2 << 30, mode="missing") as (t, _):
        p = spawn("copy", "-J", t.pid, "all", "--from-zero", "--progress=always", "-t", "1")
        wait_until(lambda: b"left" in os.read(p.stderr.fileno(), 4096) and resident(t.pid) > 64 << 20, "it is at work")
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=20)
        eq(p.returncode, 1, "exit status")
        contains(err.decode(), "interrupted")
        mapped = json.loads(out)["copy"][0]["mapped"]
        ok(0 < mapped < 2 << 30, f"a part was done: {mapped}")
        eq(result("zeropage", t.pid, "all")[0]["already"], mapped, "just what was reported")


main()
