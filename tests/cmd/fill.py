# SPDX-License-Identifier: GPL-2.0-or-later
"""continue --from: no byte of the target's is lost, no blank page is left, no fill is reported that was none."""
import contextlib
import ctypes
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

sys.path[0] += "/.."
from harness import (FEATURES, HUGE, PAGE, Target, UFFDCTL, contains, eq, fdinfo, hugepages, image, main, ok,
                     pattern_page, run, skip, small_tmpfs, swap, take_fd, target, test, wait_until)

OLD, NEW = 1, 9  # seeds of contents


def result(*args, rc=0):
    r = run("continue", "-J", *args, check=rc)
    return r.json()["continue"][0], r.err


def counts(row):
    return row["mapped"], row["filled"], row["already"], row["absent"], row["elsewhere"]


def head(t, m, page, through="second", size=PAGE):
    return t.peek(id=m["id"], offset=page * size, len=8, through=through)["hex"]


def pattern(seed, page, size=PAGE):
    return pattern_page(seed, page, size)[:8].hex()


# ---- pages that are mapped elsewhere ----

def elsewhere(kind, page, other_process, what):
    """Four of eight pages are mapped elsewhere: left alone unless one says what to do, and then just that."""
    with target(kind, 8 * page, seed=OLD, mode="minor") as (t, m), Target() as other, image(8, NEW, page) as img:
        owner = other if other_process else t
        n = owner.memory("file" if other_process else kind, 8 * page,
                         **({"path": f"/proc/{t.pid}/fd/{m['fd']}"} if other_process else {"of": m["id"]}))
        # Written, since a read maps the neighbours of a page too (fault-around).
        for i in range(4):
            owner.poke(id=n["id"], offset=i * page, hex=pattern(OLD, i, page), through="self")
        th = t.touch(id=m["id"], access="read", len=page)["threads"][0]
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 1, "a thread waits for the first page")
        row, err = result(t.pid, f"{m['addr']}+{8 * page}", "--from", img.name, f"--elsewhere={what}",
                          rc=what == "refuse")
        half = 4 * page
        eq(counts(row), {"refuse": (half, half, 0, 0, half), "overwrite": (2 * half, 2 * half, 0, 0, 0),
                         "keep": (2 * half, half, 0, 0, 0)}[what], what)
        for i in range(8):
            seed = OLD if i < 4 and what != "overwrite" else NEW
            eq(head(t, m, i, size=page), pattern(seed, i, page), f"{what}: page {i}")
        if what == "refuse":
            contains(err, f"{half} bytes are mapped elsewhere")
            contains(err, "--elsewhere=overwrite")
            contains(err, "--elsewhere=keep")
            eq(fdinfo(t.pid, t.u)["total"], 1, "who waits there waits on")
            run("continue", t.pid, f"{m['addr']}+{page}", check=0)
        ok(t.join(thread=th)["done"], "the thread goes on")


@test(rule="elsewhere", each={f"{name}-{where}": (kind, page, where)
                              for name, kind, page in (("shmem", "memfd", PAGE), ("hugetlb", "hugetlb", HUGE))
                              for where in ("the-process-itself", "another-process")})
def fill_elsewhere(kind, page, where):
    with hugepages(8 if kind == "hugetlb" else 0):
        for what in ("refuse", "overwrite", "keep"):
            elsewhere(kind, page, where == "another-process", what)


@test(rule="mapped-is-left-alone")
def fill_swapped_out():
    """What is swapped out is in no page table: it may have been mapped in the range and written there."""
    nr = 64
    for what in ("refuse", "keep", "overwrite"):
        with target(size=nr * PAGE, seed=OLD, mode="minor") as (t, m), image(nr, NEW) as img, swap(64 << 20):
            t.continue_(uffd=t.u, id=m["id"])
            t.touch(id=m["id"], access="write", value=0x77)
            t.madvise(id=m["id"], advice="pageout")
            row, _ = result(t.pid, "all", "--from", img.name, f"--elsewhere={what}", rc=None)
            if row["already"] == nr * PAGE:
                skip("nothing was swapped out")
            swapped = nr * PAGE - row["already"]
            eq(counts(row), {"refuse": (0, 0, row["already"], 0, swapped), "keep": (swapped, 0, row["already"], 0, 0),
                             "overwrite": (swapped, swapped, row["already"], 0, 0)}[what], what)
            new = sum(head(t, m, i) == pattern(NEW, i) for i in range(nr))
            eq(new, swapped // PAGE if what == "overwrite" else 0, f"{what}: pages written")


@test(rule="elsewhere")
def fill_elsewhere_second_range():
    """What is left alone in one range is so in the next one too, which shows the same pages."""
    with target(seed=OLD, mode="minor") as (t, m), image(32, NEW) as img:
        second, own = (t.memory(of=m["id"]) for _ in range(2))
        t.register(uffd=t.u, id=second["id"], mode=["minor"])
        for i in range(4):
            t.poke(id=own["id"], offset=i * PAGE, hex=pattern(OLD, i), through="self")
        r = run("continue", "-J", t.pid, *(f"{x['addr']}+{16 * PAGE}" for x in (m, second)), "--from", img.name, check=1)
        eq([counts(x) for x in r.json()["continue"]],
           [(12 * PAGE, 12 * PAGE, 0, 0, 4 * PAGE), (12 * PAGE, 0, 0, 0, 4 * PAGE)], "rows")
        for i in range(16):
            eq(head(t, m, i), pattern(OLD if i < 4 else NEW, i), f"page {i}")


@test(rule="mapped-is-left-alone")
def fill_one_range_twice():
    """The second time all of it is mapped, and by nobody else than us."""
    with target(seed=OLD, mode="minor") as (t, m), image(40, NEW) as img:
        first, whole = f"{m['addr']}+{8 * PAGE}", f"{m['addr']}+{16 * PAGE}"
        r = run("continue", "-J", t.pid, first, whole, whole, "--from", img.name, check=0)
        eq([counts(x) for x in r.json()["continue"]],
           [(8 * PAGE, 8 * PAGE, 0, 0, 0), (8 * PAGE, 8 * PAGE, 8 * PAGE, 0, 0), (0, 0, 16 * PAGE, 0, 0)], "rows")
        for i in range(16):
            # The second range begins with the ninth page of the contents.
            eq(head(t, m, i), pattern(NEW, i if i < 8 else i + 8), f"page {i}")


@test
def fill_elsewhere_usage():
    with target(seed=OLD, mode="minor") as (t, _):
        contains(run("continue", t.pid, "all", "--from-zero", "--elsewhere=what", check=2).err, "refuse, overwrite or keep")
        contains(run("continue", t.pid, "all", "--elsewhere=keep", check=2).err, "needs --from")


# ---- a fill that fails ----

def cached(t, m):
    """Bytes of the file that are there."""
    return os.stat(f"/proc/{t.pid}/fd/{m['fd']}").st_blocks * 512


class slow:
    """uffdctl under strace(1), which holds up or spoils its reads of one file."""

    def __init__(self, path, inject, *args):
        if subprocess.run(["strace", "-V"], capture_output=True).returncode:
            skip("needs strace; apt-get install strace runs this")
        self.path = path
        self.child = subprocess.Popen(["sh", "-c", 'kill -STOP $$ && exec "$@"', "sh", UFFDCTL, *map(str, args)],
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        wait_until(lambda: self.status("State").startswith("T"), "it has stopped before it begins")
        self.strace = subprocess.Popen(["strace", "-f", "-qq", "-o", "/dev/null", "-P", path, "-e",
                                        f"inject=pread64:{inject}", "-p", str(self.child.pid)])
        wait_until(lambda: self.status("TracerPid") != "0", "strace has it")
        os.kill(self.child.pid, signal.SIGCONT)

    def status(self, field):
        with open(f"/proc/{self.child.pid}/status") as f:
            return next(line.split(":", 1)[1].strip() for line in f if line.startswith(field + ":"))

    def wait_at_read(self):
        """Until it is held up at a read of the file."""
        with Target() as t:
            pread64 = str(t.syscall_nr(name="pread64")["nr"])

        def reads():
            with contextlib.suppress(OSError):
                for tid in os.listdir(f"/proc/{self.child.pid}/task"):
                    call = open(f"/proc/{tid}/syscall").read().split()
                    if call[0] == pread64 and os.readlink(f"/proc/{tid}/fd/{int(call[1], 16)}") == self.path:
                        return True
            return False
        wait_until(reads, f"it reads {self.path}", timeout=30)

    def release(self):
        self.strace.terminate()
        self.strace.wait()

    def interrupt(self):
        os.kill(self.child.pid, signal.SIGINT)

    def end(self):
        out, err = self.child.communicate(timeout=60)
        self.strace.wait()
        return self.child.returncode, json.loads(out) if out else None, err.decode()


@test(rule="whole-pages")
def fill_read_error_leaves_nothing():
    """The third read of the contents fails: what came before is there whole, and not one page more."""
    nr = 512
    with target(size=nr * PAGE, mode="minor") as (t, m), image(nr, NEW) as img:
        rc, out, err = slow(img.name, "error=EIO:when=3", "continue", "-J", "-t", "1", t.pid, "all",
                            "--from", img.name).end()
        row = out["continue"][0]
        eq(rc, 1, "exit status")
        contains(err, "the contents: Input/output error")
        ok(0 < row["mapped"] < nr * PAGE, "some were done")
        eq((row["filled"], cached(t, m)), (row["mapped"],) * 2, "just those are in the page cache")
        for i in range(row["mapped"] // PAGE):
            eq(head(t, m, i), pattern(NEW, i), f"page {i}")


@test
def fill_contents_end_early():
    """The file of the contents has become shorter when it is read the third time."""
    nr = 512
    with target(size=nr * PAGE, mode="minor") as (t, m), image(nr, NEW) as img:
        rc, out, err = slow(img.name, "retval=0:when=3", "continue", "-J", "-t", "1", t.pid, "all", "--from",
                            img.name).end()
        row = out["continue"][0]
        eq(rc, 1, "exit status")
        contains(err, "the contents ended early")
        ok(0 < row["mapped"] < nr * PAGE, "some were done")
        eq(cached(t, m), row["mapped"], "no page is there that was not filled")
        for i in range(row["mapped"] // PAGE):
            eq(head(t, m, i), pattern(NEW, i), f"page {i}")


@test(rule="no-false-fill")
def fill_read_error_and_a_second_range():
    """What could not be filled in one range is not continued as it was in another that shows the same pages."""
    nr = 256
    with target(size=nr * PAGE, seed=OLD, mode="minor") as (t, m), image(2 * nr, NEW) as img:
        n = t.memory(size=nr * PAGE, mode="minor", of=m["id"])
        rc, out, err = slow(img.name, "error=EIO:when=2+", "continue", "-J", "-t", "1", t.pid,
                            *(f"{x['addr']}+{nr * PAGE}" for x in (m, n)), "--from", img.name).end()
        eq(rc, 1, f"exit status: {err}")
        done = out["continue"][0]["mapped"]
        ok(0 < done < nr * PAGE, "some were done")
        # strace counts the reads of each thread: the second range gets further by one, too.
        first, second = out["continue"]
        eq((first["filled"], second["mapped"]), (done, done + second["filled"]), "rows")
        ok(second["filled"] > 0, "some more were done")
        for i in range(second["mapped"] // PAGE):
            eq(head(t, m, i), pattern(NEW, i if i < done // PAGE else i + nr), f"page {i}")


@test
def fill_interrupted_with_a_slow_source():
    """An interrupt ends the work after the step that is under way: not after sixteen reads of a slow source."""
    nr = 1024
    for command, mode in (("continue", "minor"), ("copy", "missing")):
        with target(size=nr * PAGE, mode=mode) as (t, m), image(nr, NEW) as img:
            p = slow(img.name, "delay_enter=1000000", command, "-J", "-t", "1", t.pid, "all", "--from", img.name)
            wait_until(lambda: cached(t, m), "it is at work", timeout=20)
            p.interrupt()
            rc, out, err = p.end()
            contains(err, "interrupted")
            row = out[command][0]
            eq((rc, row["mapped"]), (1, cached(t, m)), "what was done is reported")
            eq(row["error"], "interrupted", "and why the rest was not")
            ok(row["mapped"] < nr * PAGE, f"the rest was left: {row}")


@test(rule="whole-pages")
def fill_full_tmpfs_leaves_nothing():
    """A file system with room for half of it: nothing is left there that is not filled and mapped."""
    nr = 512
    with small_tmpfs(nr // 2 * PAGE) as d:
        with target("tmpfs", nr * PAGE, mode="minor", path=f"{d}/guest") as (t, m), image(nr, NEW) as img:
            row, err = result(t.pid, "all", "--from", img.name, "-t", 1, rc=1)
            contains(err, "no room in the file system")
            ok(row["mapped"] > 0 and row["mapped"] == row["filled"], "some were done")
            eq(cached(t, m), row["mapped"], "no page is there that was not filled")


@test
def copy_full_tmpfs():
    """A page that is there needs no room: it is left, and who waits on it is woken."""
    nr = 16
    with small_tmpfs(nr * PAGE) as d:
        with target("tmpfs", nr * PAGE, mode="missing", path=f"{d}/guest") as (t, m), image(nr, NEW) as img:
            t.fill(id=m["id"], seed=OLD, len=nr // 2 * PAGE)
            with open(f"{d}/rest", "wb") as f, contextlib.suppress(OSError):
                f.write(bytes(nr * PAGE))
            r = run("copy", "-J", t.pid, "all", "--from", img.name, check=1)
            row = r.json()["copy"][0]
            eq((row["mapped"], row["already"]), (0, nr // 2 * PAGE), r.err)
            contains(row["error"], "no room in the file system")


# ---- what is written and can't be continued ----

@test(rule="no-false-fill")
def fill_with_an_unread_event():
    """The kernel refuses all resolving then: nothing is written that could not be continued."""
    nr = 64
    with target(size=2 * nr * PAGE, features=FEATURES + ["event_remove"], seed=OLD, mode="minor") as (t, m), \
            image(nr, NEW) as img:
        t.madvise(id=m["id"], offset=nr * PAGE, len=PAGE, advice="dontneed", async_=True)
        wait_until(lambda: run("pending", "-J", t.pid, check=0).json()["pending"], "its thread is stuck")
        for what in ("refuse", "overwrite"):
            row, _ = result(t.pid, f"{m['addr']}+{nr * PAGE}", "--from", img.name, f"--elsewhere={what}", rc=1)
            eq(counts(row), (0, 0, 0, 0, 0), what)
            contains(row["error"], "EAGAIN")
            eq(t.check_file(id=m["id"], seed=OLD)["differ"], 0, "the file is as it was")


@test(rule="no-false-fill")
def fill_unmapped_meanwhile():
    """Pages that were made, and whose mapping has gone before they were continued, are reported."""
    nr = 256
    with target(size=nr * PAGE, mode="minor") as (t, m), image(nr, NEW) as img:
        p = slow(img.name, "delay_enter=600000000:when=1", "continue", "-J", "-t", "1", t.pid, "all", "--from", img.name)
        p.wait_at_read()
        t.munmap(id=m["id"])
        p.release()
        rc, out, _ = p.end()
        row = out["continue"][0]
        eq((rc, *counts(row)), (1, 0, 0, 0, 0, 0), "nothing was continued")
        contains(row["error"], "ENOENT")
        left = cached(t, m)
        ok(left, "something was made")
        contains(row["error"], f"; {left} bytes were written, but not continued")


@test
def fill_no_huge_page_leaves_nothing():
    with hugepages(4):
        nr = hugepages.nr_free() + 4
        with target("hugetlb", nr * HUGE, mode="minor", noreserve=True) as (t, m):
            row, err = result(t.pid, "all", "--from-zero", "-t", 1, rc=1)
            contains(err, "no free huge page")
            eq(row["mapped"], row["filled"], "filled")
            ok(row["mapped"] < nr * HUGE, "there was no room for all")
            eq(cached(t, m), row["mapped"], "no page is there that was not filled")


@test
def copy_no_huge_page():
    """Where no huge page is free, the kernel says EEXIST: it is not believed, and nobody is left waiting."""
    for shared in (True, False):
        with hugepages(1):
            nr = hugepages.nr_free() + 4
            with target("hugetlb", nr * HUGE, mode="missing", shared=shared, noreserve=True) as (t, _):
                r = run("copy", "-J", "-t", 1, t.pid, "all", "--from-zero", check=1)
                row = r.json()["copy"][0]
                contains(r.err, "no free huge page")
                ok(row["mapped"] < nr * HUGE and row["already"] == 0, f"nothing is there already: {row}")


# ---- what the target does meanwhile ----

@test(rule="no-false-fill")
def fill_while_the_file_grows():
    """What lay past the end of the file when the command began is filled, and not taken as it is."""
    with target(size=64 * PAGE, mode="minor") as (t, m), image(64, NEW) as img:
        t.truncate(id=m["id"], size=16 * PAGE)
        p = slow(img.name, "delay_enter=600000000:when=1", "continue", "-J", "-t", "1", t.pid, "all", "--from", img.name)
        p.wait_at_read()
        t.truncate(id=m["id"], size=64 * PAGE)
        t.fill(id=m["id"], seed=OLD, offset=16 * PAGE, len=48 * PAGE)
        p.release()
        rc, out, err = p.end()
        row = out["continue"][0]
        eq((rc, *counts(row)), (0, 64 * PAGE, 64 * PAGE, 0, 0, 0), err)
        for i in range(64):
            eq(head(t, m, i), pattern(NEW, i), f"page {i}")


@test(rule="no-false-fill")
def fill_slow_contents():
    """
    The target writes through its own second mapping while the contents are awaited. That page is mapped
    elsewhere then, and its word is not lost, however slow the source.
    """
    with target(seed=OLD, mode="minor") as (t, m), image(16, NEW) as img:
        n = t.memory(of=m["id"])
        p = slow(img.name, "delay_enter=600000000:when=1", "continue", "-J", "-t", "1", t.pid, f"{m['addr']}+64K",
                 "--from", img.name)
        p.wait_at_read()
        for i in range(16):
            t.poke(id=n["id"], offset=i * PAGE, hex="%016x" % (i + 7), through="self")
        p.release()
        rc, out, err = p.end()
        row = out["continue"][0]
        for i in range(16):
            eq(head(t, m, i), "%016x" % (i + 7), f"page {i}: {row}")
        eq((rc, row["elsewhere"]), (1, 16 * PAGE), "and it is said")


class Poller:
    """A handler in another process than the target that never sleeps in the kernel: it reads, and else naps."""

    UFFDIO_CONTINUE = 0xc020aa07
    UFFDIO_WAKE = 0x8010aa02

    def __init__(self, t):
        self.fd = take_fd(t.pid, t.u)
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.resolved = 0
        self.stopped = False
        self.thread = threading.Thread(target=self.loop, daemon=True)
        self.thread.start()

    def loop(self):
        while not self.stopped:
            try:
                msg = os.read(self.fd, 32)
            except BlockingIOError:
                time.sleep(0.001)
                continue
            addr = struct.unpack_from("QQ", msg, 8)[1] & ~(PAGE - 1)
            arg = ctypes.create_string_buffer(struct.pack("QQQq", addr, PAGE, 0, 0))
            if self.libc.ioctl(self.fd, ctypes.c_ulong(self.UFFDIO_CONTINUE), arg):
                wake = ctypes.create_string_buffer(struct.pack("QQ", addr, PAGE))
                self.libc.ioctl(self.fd, ctypes.c_ulong(self.UFFDIO_WAKE), wake)
            self.resolved += 1

    def stop(self):
        self.stopped = True
        self.thread.join()
        os.close(self.fd)


@test(rule="not-beside-a-reader", limit=120)
def fill_beside_a_polling_handler():
    """It is not seen before, but by the pages that it maps: the work stops, and says so."""
    nr = 4096
    with target(size=nr * PAGE, seed=OLD, mode="minor") as (t, m), image(nr, NEW) as img:
        poller = Poller(t)
        for _ in range(3):
            t.touch(id=m["id"], access="read", order="random", delay_us=1000)
        wait_until(lambda: poller.resolved > 10, "the handler is at work")
        rc, _, err = slow(img.name, "delay_enter=100000", "continue", "-J", "-t", 1, t.pid, "all", "--from",
                          img.name).end()
        poller.stop()
        eq(rc, 1, "exit status")
        # Or it is seen in read(2), where it is for a moment.
        ok(any(x in err for x in ("somebody else resolves faults", "a handler has read a message",
                                  "a handler reads the messages")), f"it is said: {err}")


# ---- whose file it is ----

PRIVATE = r"""
import ctypes, fcntl, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
size = os.stat(sys.argv[1]).st_size
fd = os.open(sys.argv[1], os.O_RDONLY)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
addr = libc.mmap(None, size, 3, 2, fd, 0)
u = libc.syscall(323, os.O_NONBLOCK | os.O_CLOEXEC | 1)
fcntl.ioctl(u, 0xc018aa3f, bytearray(struct.pack("QQQ", 0xaa, 1 << 10, 0)))
fcntl.ioctl(u, 0xc020aa00, bytearray(struct.pack("QQQQ", addr, size, 1 << 2, 0)))
print(os.getpid(), flush=True)
sys.stdin.read()
"""


@test
def fill_not_what_the_target_may_not_write():
    """A private mapping needs no more than the right to read: a fill by root does not write root's file for it."""
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as f:
        f.write(b"R" * 4 * PAGE)
        f.flush()
        os.chmod(f.name, 0o644)
        # The interpreter of the tests may lie where another user may not go.
        p = subprocess.Popen(["/usr/bin/python3", "-c", PRIVATE, f.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             user=65534, group=65534, extra_groups=[])
        try:
            r = run("continue", int(p.stdout.readline()), "all", "--from-zero", check=1)
            contains(r.err, "has not opened its file for writing")
            with open(f.name, "rb") as g:
                eq(g.read(), b"R" * 4 * PAGE, "root's file")
        finally:
            p.stdin.close()
            p.wait()


@test
def fill_while_a_page_is_punched_and_touched():
    """Without missing, the target maps a page that it has punched before: nobody is accused alone of that."""
    nr = 256
    with target(size=nr * PAGE, seed=OLD, mode="minor") as (t, m), image(nr, NEW) as img:
        p = slow(img.name, "delay_enter=600000000:when=1", "continue", "-J", "-t", "1", t.pid, "all", "--from", img.name)
        p.wait_at_read()
        t.madvise(id=m["id"], offset=200 * PAGE, len=PAGE, advice="remove")
        thread, = t.touch(id=m["id"], access="write", offset=200 * PAGE, len=PAGE, value=7)["threads"]
        ok(t.join(thread=thread)["done"], "it is not for missing")
        p.release()
        rc, _, err = p.end()
        eq(rc, 1, "exit status")
        contains(err, "removed pages from its file and touched them again")


# ---- contents ----

@test
def fill_offset_overflows():
    """An offset that wraps is refused, not taken for another."""
    with target(seed=OLD, mode="minor") as (t, m):
        for args in (["--by-offset", "--from", "/dev/zero@0xfffffffffffff000"], ["--from", "/dev/zero@0xfffffffffffff000"],
                     ["--from", "/dev/zero@0x7ffffffffffff000"]):
            r = run("continue", t.pid, "all", *args, check=1)
            contains(r.err, "beyond the end of any file")
        eq(t.check_file(id=m["id"], seed=OLD)["differ"], 0, "nothing was written")


main()
