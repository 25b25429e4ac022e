# SPDX-License-Identifier: GPL-2.0-or-later
"""guest_memfd: what is shown and refused on every kernel, and faults on one with the series of kernel-patches/."""
import contextlib
import errno
import signal
import sys

sys.path[0] += "/.."
from harness import (PAGE, Target, TargetError, contains, eq, fdinfo, image, main, ok, pattern_page, run, skip,
                     smaps_flags, spawn, test, wait_until)
from harness.screen import Screen

NR = 16
NAMES = ("anon_inode:[kvm-gmem]", "/[kvm-gmem] (deleted)")


def registers(t, m):
    """Whether the kernel lets the target register it: no feature bit tells."""
    try:
        t.register(uffd=t.u, id=m["id"], mode=["missing"])
    except TargetError as e:
        eq(e.errno, errno.EINVAL, "the kernel refuses")
        return False
    t.unregister(uffd=t.u, id=m["id"])
    return True


@contextlib.contextmanager
def guest_memfd(patched=None, mode="", size=NR * PAGE):
    """A target with a guest_memfd, where userfaultfd knows it, where it does not, or (None) on any kernel; or skips."""
    with Target() as t:
        t.userfaultfd([])
        try:
            m = t.memory("guest_memfd", size)
        except TargetError as e:
            if e.errno in (errno.ENOENT, errno.EACCES, errno.ENODEV, errno.EINVAL, errno.ENOTTY):
                skip(f"no guest_memfd that can be mapped ({e}); /dev/kvm and Linux 6.18 run this")
            raise
        has = registers(t, m)
        if patched not in (None, has):
            skip("this kernel has userfaultfd for guest_memfd; one without the patches runs this" if has else
                 "this kernel has no userfaultfd for guest_memfd; one with the patches of kernel-patches/7.3 runs this")
        if mode:
            run("register", "-q", t.pid, f"{m['addr']}+{size}", "-m", mode, check=0)
        yield t, m


def counts(command, *args, rc=0):
    row = run(command, "-J", *args, check=rc).json()[command][0]
    return row["mapped"], row["already"], row["absent"], row["error"]


def peek(t, m, page, through="self"):
    return t.peek(id=m["id"], offset=page * PAGE, len=PAGE, through=through)["hex"]


# ---- every kernel ----

@test
def gmem_smaps():
    with guest_memfd() as (t, m):
        rows = run("smaps", "-J", "--all", t.pid, check=0).json()["smaps"]
        row = next(r for r in rows if r["start"] == m["addr"])
        ok(row["name"] in NAMES, f"the name: {row['name']}")
        eq((row["size"], row["page_size"], row["perms"], row["holders"]), (NR * PAGE, PAGE, "rw-s", []), "the rest")
        eq(run("smaps", "-J", t.pid, check=0).json()["smaps"], [], "nothing is registered")
        contains(run("continue", t.pid, m["addr"] + "+4K", "--from-zero", check=1).err, "not registered")


@test
def gmem_refused_without_the_patches():
    with guest_memfd(False) as (t, m):
        for mode in ("minor", "missing", "minor,missing"):
            for dry in ([], ["--dry-run"]):
                r = run("register", "-J", t.pid, m["addr"] + "+64K", "-m", mode, *dry, check=1)
                contains(r.json()["register"][0]["error"], "no userfaultfd for guest_memfd")
                contains(r.err, "kernel-patches/")
        contains(run("register", t.pid, "@*kvm-gmem*", check=1).err, "no userfaultfd for guest_memfd")
        n = t.memory(size=PAGE)
        rows = run("register", "-J", "-q", t.pid, "all", check=0).json()["register"]
        eq([r["start"] for r in rows if r["start"] in (m["addr"], n["addr"])], [n["addr"]], "all leaves it out")


@test
def gmem_no_wp():
    with guest_memfd() as (t, m):
        for mode in ("wp", "minor,wp"):
            r = run("register", t.pid, m["addr"] + "+64K", "-m", mode, check=1)
            contains(r.err, "guest_memfd can't be registered for wp or rwp")
        ok("uw" not in smaps_flags(t.pid, m["addr"]), "nothing was registered")


# ---- with the patches ----

@test
def gmem_listed():
    with guest_memfd(True, mode="minor,missing") as (t, m):
        ok({"ui", "um"} <= smaps_flags(t.pid, m["addr"]), "the kernel's flags")
        row = run("smaps", "-J", t.pid, check=0).json()["smaps"][0]
        eq((row["start"], row["flags"], row["page_size"]), (m["addr"], ["um", "ui"], PAGE), "smaps")
        row = run("list", "-J", t.pid, check=0).json()["list"][0]
        eq((row["features"], row["minor"], row["missing"]), ([], NR * PAGE, NR * PAGE), "list")


@test
def gmem_missing():
    """A thread on a page that is not there waits, and gets just what copy puts there."""
    with guest_memfd(True, mode="missing") as (t, m), image(NR, 7) as img:
        th = t.touch(id=m["id"], access="read", seed=7)["threads"][0]
        wait_until(lambda: fdinfo(t.pid, t.u)["pending"] == 1, "it waits")
        w = run("pending", "-J", t.pid, check=0).json()["pending"][0]
        eq((w["kind"], w["addr"], w["offset"]), ("missing", m["addr"], 0), "for what")
        ok(w["name"] in NAMES, f"where: {w['name']}")
        eq(counts("copy", t.pid, m["addr"] + "+4K", "--from", img.name), (PAGE, 0, 0, None), "the first page")
        wait_until(lambda: t.status(thread=th)["touched"] == 1, "it goes on by one page")
        eq(fdinfo(t.pid, t.u)["total"], 1, "and waits again")
        eq(counts("copy", t.pid, "all", "--from", img.name), ((NR - 1) * PAGE, PAGE, 0, None), "the rest")
        j = t.join(thread=th)
        eq((j["done"], j["touched"], j["mismatches"]), (True, NR, 0), "it is through")
        for i in range(NR):
            eq(peek(t, m, i, "second"), pattern_page(7, i).hex(), f"page {i} of the file")


@test
def gmem_zeropage():
    with guest_memfd(True, mode="missing") as (t, m):
        r = run("zeropage", "-J", t.pid, "all")
        row = r.json()["zeropage"][0]
        if r.rc:
            contains(row["error"], "this memory has no zero page on this kernel: copy zeros instead")
            eq(counts("copy", t.pid, "all", "--from-zero"), (NR * PAGE, 0, 0, None), "which does")
        else:
            eq(row["mapped"], NR * PAGE, "all")
        eq([peek(t, m, i) for i in range(NR)], ["00" * PAGE] * NR, "zeros")


@test
def gmem_minor():
    """A page that is there faults minor, and shows what the second mapping wrote before continue."""
    with guest_memfd(True, mode="minor") as (t, m):
        t.fill(id=m["id"], seed=1, through="second")
        th = t.touch(id=m["id"], access="read", seed=2)["threads"][0]
        wait_until(lambda: fdinfo(t.pid, t.u)["pending"] == 1, "it waits")
        eq(run("pending", "-J", t.pid, check=0).json()["pending"][0]["kind"], "minor", "for what")
        t.fill(id=m["id"], seed=2, through="second")
        eq(counts("continue", t.pid, m["addr"] + "+4K"), (PAGE, 0, 0, None), "the first page")
        wait_until(lambda: t.status(thread=th)["touched"] == 1, "it goes on by one page")
        eq(counts("continue", t.pid, "all"), ((NR - 1) * PAGE, PAGE, 0, None), "the rest")
        j = t.join(thread=th)
        eq((j["done"], j["touched"], j["mismatches"]), (True, NR, 0), "it saw what was written last")


@test
def gmem_peek():
    """What waits to be continued is shown by the view, though the file can't be read."""
    with guest_memfd(True, mode="minor") as (t, m):
        t.fill(id=m["id"], seed=1, through="second")
        t.touch(id=m["id"], offset=5 * PAGE, len=PAGE, access="read", name="stuck")
        with Screen("--control", t.pid) as s:
            s.wait("stuck")
            s.keys("c")
            s.wait("begins with")
            s.wait(pattern_page(1, 5)[:16].hex(" "))


@test
def gmem_absent():
    """Pages that the file has not: absent for continue; those that it has: already for copy."""
    with guest_memfd(True, mode="minor,missing") as (t, m), image(NR) as img:
        t.fill(id=m["id"], offset=4 * PAGE, len=4 * PAGE, seed=1, through="second")
        eq(counts("copy", t.pid, "all", "--from", img.name), (12 * PAGE, 4 * PAGE, 0, None), "copy")
        eq(counts("continue", t.pid, "all"), (4 * PAGE, 12 * PAGE, 0, None), "what it left")
        for i in range(NR):
            eq(peek(t, m, i), pattern_page(1 if 4 <= i < 8 else 9, i).hex(), f"page {i}")
        t.fallocate(id=m["id"], offset=0, len=2 * PAGE, mode="punch")
        eq(counts("continue", t.pid, "all", rc=1), (0, 14 * PAGE, 2 * PAGE, None), "a hole")


@test
def gmem_continue_from():
    """Pages are filled through a second mapping of the process's own descriptor, which can't be opened again."""
    with guest_memfd(True, mode="minor,missing") as (t, m), image(NR) as img:
        th = t.touch(id=m["id"], access="read", seed=9)["threads"][0]
        wait_until(lambda: fdinfo(t.pid, t.u)["pending"] == 1, "a thread waits")
        eq(counts("continue", t.pid, "all", "--from", img.name), (NR * PAGE, 0, 0, None), "all")
        eq(t.join(thread=th)["mismatches"], 0, "it saw the contents")


@test
def gmem_continue_from_mapped_elsewhere():
    with guest_memfd(True, mode="minor,missing") as (t, m):
        n = t.memory("guest_memfd", NR * PAGE, of=m["id"])
        t.poke(id=n["id"], offset=3 * PAGE, hex="77" * 8, through="self")
        r = run("continue", "-J", t.pid, m["addr"] + "+64K", "--from-zero", check=1)
        row = r.json()["continue"][0]
        eq((row["mapped"], row["filled"], row["elsewhere"]), ((NR - 1) * PAGE,) * 2 + (PAGE,), "all but one")
        eq([peek(t, n, i)[:16] for i in (2, 3)], ["00" * 8, "77" * 8], "the process's own page was not written")
        run("continue", t.pid, m["addr"] + "+64K", "--from-zero", "--elsewhere=overwrite", check=0)
        eq(peek(t, m, 3)[:16], "00" * 8, "now it was")


@test
def gmem_copy_while_punched():
    """Pages are taken out of the file while they are copied: a hole waits again, and is filled by the next copy."""
    nr = 2048
    with guest_memfd(True, mode="missing", size=nr * PAGE) as (t, m), image(nr) as img:
        for _ in range(5):
            p = spawn("copy", t.pid, "all", "--from", img.name)
            while p.poll() is None:
                for i in range(0, nr, 64):
                    t.fallocate(id=m["id"], offset=i * PAGE, len=32 * PAGE, mode="punch")
            eq(p.returncode, 0, f"exit status: {p.stderr.read()}")
        t.fallocate(id=m["id"], offset=8 * PAGE, len=PAGE, mode="punch")
        th = t.touch(id=m["id"], access="read", seed=9)["threads"][0]
        wait_until(lambda: fdinfo(t.pid, t.u)["pending"] == 1, "a hole is missing")
        run("copy", t.pid, "all", "--from", img.name, check=0)
        j = t.join(thread=th, timeout_ms=20000)
        eq((j["done"], j["touched"], j["mismatches"]), (True, nr, 0), "contents of all pages")


@test
def gmem_register_all():
    with guest_memfd(True) as (t, m):
        rows = run("register", "-J", "-q", t.pid, "all", check=0).json()["register"]
        eq([(r["start"], r["mode"]) for r in rows], [(m["addr"], ["minor"])], "all takes it")


@test
def gmem_no_descriptor():
    """A process that closed its descriptor can't be given a second mapping."""
    with guest_memfd(True, mode="minor,missing") as (t, m):
        t.close(fd=m["fd"])
        contains(run("continue", t.pid, "all", "--from-zero", check=1).err, "can't be opened a second time (ENXIO)")
        eq(counts("copy", t.pid, "all", "--from-zero"), (NR * PAGE, 0, 0, None), "copy needs none")


@test(each={"minor": ("minor,missing", 1), "missing": ("missing", None)})
def gmem_serve(mode, stale):
    """serve fills it, on demand and in the background."""
    with guest_memfd(True) as (t, m), image(NR) as img:
        if stale:
            t.fill(id=m["id"], seed=stale, len=NR // 2 * PAGE)
        run("register", "-q", t.pid, f"{m['addr']}+{NR * PAGE}", "-m", mode, check=0)
        p = spawn("serve", t.pid, "--from", img.name, "--elsewhere=overwrite", bufsize=0)
        ok(p.stdout.readline().startswith(b"serving "), "it serves")
        th = t.touch(id=m["id"], access="read", order="random", seed=9, threads=4)["threads"]
        for x in th:
            j = t.join(thread=x, timeout_ms=20000)
            eq((j["done"], j["mismatches"], j["errors"]), (True, 0, 0), "thread")
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=20)
        eq((p.returncode, err), (0, b""), "end")
        contains(out.decode(), f"there: {NR * PAGE} of {NR * PAGE} bytes")


main()
