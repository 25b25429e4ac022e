# SPDX-License-Identifier: GPL-2.0-or-later
"""peek: what pages hold, also those that are not mapped; what is not there is not read."""
import errno
import os
import subprocess
import sys
import tempfile

sys.path[0] += "/.."
from harness import (HUGE, PAGE, UFFDCTL, Target, TargetError, contains, eq, fdinfo, hugepages, image, main, ok, pagemap,
                     pattern_page, run, skip, swap, target, test, wait_until)


def place(m, first=0, nr=None):
    nr = m["size"] // m["page_size"] - first if nr is None else nr
    return f"{m['start'] + first * m['page_size']:x}+{nr * m['page_size']}"


def raw(*args, rc=0):
    """The bytes that --raw writes into a pipe, and what it says."""
    p = subprocess.run([UFFDCTL, "peek", "--raw", *map(str, args)], capture_output=True)
    eq(p.returncode, rc, p.stderr.decode())
    return p.stdout, p.stderr.decode()


def pattern(nr, seed=1, page=PAGE):
    return b"".join(pattern_page(seed, i, page) for i in range(nr))


def touch(t, m, **how):
    """Touches memory, and waits until that is done."""
    for thread in t.touch(id=m["id"], **how)["threads"]:
        while not t.join(thread=thread, timeout_ms=15000)["done"]:
            pass


def state(t, m):
    """What reading must not change."""
    with open(f"/proc/{t.pid}/stat") as f:
        faults = f.read().rsplit(")", 1)[1].split()[7:11]
    blocks = os.stat(f"/proc/{t.pid}/fd/{m['fd']}").st_blocks if m["fd"] >= 0 else None
    return pagemap(t.pid, m["start"], m["size"] // PAGE), faults, blocks, sorted(os.listdir(f"/proc/{t.pid}/fd"))


def check_contents(t, m, absent):
    """The first pages hold the pattern, the others are absent; looking changes nothing."""
    page, nr = m["page_size"], m["size"] // m["page_size"]
    before = state(t, m)
    out, err = raw(t.pid, place(m), rc=1 if absent else 0)
    eq(out == pattern(nr - absent, page=page) + bytes(absent * page), True, "the bytes")
    eq(f"{absent * page} bytes are absent" in err, bool(absent), err)
    dump = run("peek", t.pid, place(m), check=0).out
    eq(f"{m['start'] + (nr - absent) * page:012x}  (absent: {absent * page} bytes)\n" in dump, bool(absent), "in the dump")
    eq(state(t, m), before, "the process")


@test(rule="looking-changes-nothing")
def peek_shmem():
    for kind in ("memfd", "tmpfs"):
        with target(kind, mode="minor,missing") as (t, m):
            t.fill(id=m["id"], len=8 * PAGE, seed=1)
            t.continue_(uffd=t.u, id=m["id"], len=4 * PAGE)
            check_contents(t, m, 8)


@test
def peek_hugetlb():
    with hugepages(4), target("hugetlb", 4 * HUGE, noreserve=True, mode="minor", timeout=60) as (t, m):
        t.fill(id=m["id"], len=2 * HUGE, seed=1)
        t.continue_(uffd=t.u, id=m["id"], len=HUGE)
        info = hugepages.meminfo()
        check_contents(t, m, 2)
        eq({k: v for k, v in hugepages.meminfo().items() if k.startswith("HugePages")},
           {k: v for k, v in info.items() if k.startswith("HugePages")}, "huge pages")


@test
def peek_guest_memfd():
    with Target() as t:
        try:
            m = t.memory("guest_memfd", 16 * PAGE)
        except TargetError as e:
            if e.errno in (errno.ENOENT, errno.EACCES, errno.ENODEV, errno.EINVAL, errno.ENOTTY):
                skip(f"no guest_memfd that can be mapped ({e}); /dev/kvm and Linux 6.18 run this")
            raise
        t.fill(id=m["id"], len=8 * PAGE, seed=1)
        touch(t, m, len=2 * PAGE, access="read")
        if "(unknown: " in run("peek", t.pid, place(m)).out:
            eq(raw(t.pid, place(m), rc=1)[0] == pattern(8) + bytes(8 * PAGE), True, "what is known to be there")
            skip("no cachestat; Linux 6.5 with CONFIG_CACHESTAT_SYSCALL runs the rest of this")
        check_contents(t, m, 8)


@test
def peek_anon():
    """Absent pages are not read, which would make them, or wait for a handler."""
    with target("anon", mode="missing") as (t, m):
        t.copy(uffd=t.u, id=m["id"], len=8 * PAGE)
        check_contents(t, m, 8)
        eq(fdinfo(t.pid, t.u)["total"], 0, "nobody waits")


@test
def peek_private():
    """A mapped page of a private mapping is its own, others are the file's."""
    with target(shared=False, seed=1) as (t, m):
        t.poke(id=m["id"], offset=2 * PAGE, hex="aa" * 16)
        out, _ = raw(t.pid, place(m))
        want = bytearray(pattern(16))
        want[2 * PAGE:2 * PAGE + 16] = b"\xaa" * 16
        eq(out == bytes(want), True, "the bytes")


@test
def peek_end_of_file():
    """The last page of a file has zeros behind its end, and what is mapped beyond is absent."""
    with target(seed=1, size=4 * PAGE) as (t, m):
        t.truncate(id=m["id"], size=PAGE + 16)
        out, err = raw(t.pid, place(m), rc=1)
        eq(out == pattern(2)[:PAGE + 16] + bytes(3 * PAGE - 16), True, "the bytes")
        contains(err, f"{2 * PAGE} bytes are absent")


@test
def peek_swapped():
    """Not read in: neither shmem nor anonymous memory."""
    for kind in ("memfd", "anon"):
        with swap(64 << 20), target(kind, 64 * PAGE) as (t, m):
            touch(t, m, access="write")
            t.madvise(id=m["id"], advice="pageout")
            before = run("pages", "-bno", "swapped", t.pid, place(m), check=0).out
            if int(before) == 0:
                skip("nothing was swapped out, or this kernel does not tell it")
            r = run("peek", t.pid, place(m), check=1)
            contains(r.out, "(swapped: ")
            contains(r.err, f"{int(before)} bytes are swapped out")
            eq(run("pages", "-bno", "swapped", t.pid, place(m), check=0).out, before, "still swapped out")


@test
def peek_dump():
    """As hexdump -C has it, with the addresses of the process."""
    with target(size=4 * PAGE, seed=1) as (t, m):
        t.poke(id=m["id"], offset=16, hex="48656c6c6f0a007f" + "00" * 8, through="second")
        t.fallocate(id=m["id"], mode="punch", offset=2 * PAGE, len=PAGE)
        lines = run("peek", t.pid, place(m), check=0).out.splitlines()
        a = m["start"]
        eq(lines[1], f"{a + 16:012x}  48 65 6c 6c 6f 0a 00 7f  00 00 00 00 00 00 00 00  |Hello...........|", "a line")
        eq((lines[3], lines[4].split()[0]), ("*", f"{a + PAGE:012x}"), "lines that are alike")
        eq(lines[6], f"{a + 2 * PAGE:012x}  (absent: {PAGE} bytes)", "a hole")
        eq(lines[-1], f"{a + 4 * PAGE:012x}", "the end")
        with tempfile.NamedTemporaryFile() as f:
            f.write(raw(t.pid, place(m, 0, 2))[0])
            f.flush()
            try:
                other = subprocess.run(["hexdump", "-C", f.name], capture_output=True, text=True).stdout.splitlines()
            except FileNotFoundError:
                skip("no hexdump; bsdextrautils runs the rest of this")
        ours = run("peek", t.pid, place(m, 0, 2), check=0).out.splitlines()
        eq([x.split("  ", 1)[1:] for x in ours], [x.split("  ", 1)[1:] for x in other], "but for the addresses")


@test
def peek_raw_into_a_file():
    """Absent pages become holes; the file is as long as the ranges."""
    with target(size=1 << 30, noreserve=True) as (t, m), tempfile.NamedTemporaryFile() as f:
        t.fill(id=m["id"], len=PAGE, seed=1)
        p = subprocess.run([UFFDCTL, "peek", "--raw", str(t.pid), place(m)], stdout=f, stderr=subprocess.PIPE)
        st = os.stat(f.name)
        eq((p.returncode, st.st_size, st.st_blocks * 512 < 1 << 20), (1, 1 << 30, True), p.stderr)
        with open(f.name, "rb") as g:
            eq(g.read(PAGE) == pattern_page(1, 0), True, "the first page")


@test
def peek_json():
    with target(size=4 * PAGE) as (t, m):
        t.fill(id=m["id"], len=PAGE, seed=1)
        rows = run("peek", "-J", t.pid, place(m), check=0).json()["peek"]
        eq([(r["start"], r["size"], r["state"]) for r in rows],
           [(m["addr"], PAGE, "minor"), (hex(m["start"] + PAGE), 3 * PAGE, "absent")], "rows")
        eq([rows[0]["hex"], rows[1]["hex"]], [pattern_page(1, 0).hex(), None], "bytes")


# ---- diff ----

def diff(t, *args, rc):
    r = run("peek", "-J", t.pid, *args, check=rc)
    return [(int(x["start"], 16), x["size"], x["state"], x["offset"]) for x in r.json()["peek"]]


@test
def peek_diff():
    with target(size=8 * PAGE, seed=9) as (t, m), image(8) as img:
        a = m["start"]
        eq(diff(t, place(m), "--diff", img.name, rc=0), [], "the image of another moment is the same")
        for i in (2, 3, 6):
            t.poke(id=m["id"], offset=i * PAGE + 100, hex="55", through="second")
        want = [(a + 2 * PAGE, 2 * PAGE, "differs", 2 * PAGE), (a + 6 * PAGE, PAGE, "differs", 6 * PAGE)]
        eq(diff(t, place(m), "--diff", img.name, rc=1), want, "runs")
        text = run("peek", t.pid, place(m), "--diff", img.name, check=1).out.splitlines()
        eq((text[0].split(), len(text)), ("PID START END SIZE STATE OFFSET NAME".split(), 3), "as text")
        eq(diff(t, place(m, 4, 2), "--diff", f"{img.name}@{4 * PAGE}", rc=0), [], "at an offset")
        eq(diff(t, place(m, 6, 1), "--diff", img.name, "--by-offset", rc=1), [(a + 6 * PAGE, PAGE, "differs", 6 * PAGE)],
           "by its offset in the file")
        eq(diff(t, place(m, 4, 2), place(m, 7, 1), "--diff", f"{img.name}@{4 * PAGE}", rc=1),
           [(a + 7 * PAGE, PAGE, "differs", 6 * PAGE)], "ranges one after another")


@test
def peek_diff_what_is_not_there():
    with target(size=8 * PAGE, seed=9) as (t, m), image(6) as img:
        a = m["start"]
        eq(diff(t, place(m), "--diff", img.name, rc=3), [(a + 6 * PAGE, 2 * PAGE, "beyond", 6 * PAGE)], "a short image")
        t.fallocate(id=m["id"], mode="punch", offset=PAGE, len=PAGE)
        eq(diff(t, place(m, 0, 6), "--diff", img.name, rc=1), [(a + PAGE, PAGE, "absent", PAGE)], "an absent page")
        run("peek", t.pid, "@/none", place(m), "--diff", img.name, check=3)
        run("peek", t.pid, place(m), "--diff", "/none", check=3)
        contains(run("peek", t.pid, place(m), "--diff", "-", stdin="x", check=3).err, "must be a file")
    run("peek", 1 << 22, "1000+4K", "--diff", os.devnull, check=3)


@test
def peek_diff_hugetlb():
    """Differences are found to the small page."""
    with hugepages(2), target("hugetlb", 2 * HUGE, noreserve=True, seed=9, timeout=60) as (t, m), image(2, page=HUGE) as img:
        eq(diff(t, place(m), "--diff", img.name, rc=0), [], "the same")
        t.poke(id=m["id"], offset=HUGE + 5 * PAGE, hex="55", through="second")
        eq(diff(t, place(m), "--diff", img.name, rc=1), [(m["start"] + HUGE + 5 * PAGE, PAGE, "differs", HUGE + 5 * PAGE)],
           "the page")


@test(rule="unknown-is-unknown")
def peek_of_other_files():
    """Their pages are not read: one that went meanwhile might block, and a device's is no memory."""
    with Target() as t:
        r = run("peek", t.pid, "@*/libc.so*", check=1)
        for line in r.out.splitlines():
            ok(len(line) == 12 or "(unreadable: " in line or "(unknown: " in line, f"bytes were read: {line}")
        contains(r.out, "(unreadable: ")
        contains(r.err, "bytes could not be read")


@test
def peek_usage():
    for args in ([], [1], ["--raw", "--diff=x", 1, "all"], ["--by-offset", 1, "all"], ["--raw", "-J", 1, "all"]):
        r = run("peek", *args)
        eq((r.rc, r.out), (2, ""), f"{args}: {r.err}")
    with Target() as t:
        contains(run("peek", t.pid, "all", check=1).err, "registered")


main()
