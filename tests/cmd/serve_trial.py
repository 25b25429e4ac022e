# SPDX-License-Identifier: GPL-2.0-or-later
"""serve: only stale pages are fetched; delays and failing pages for software under test; what was filled is verified."""
import errno
import json
import sys
import tempfile
import time

sys.path[0] += "/.."
from harness import (FEATURES, HUGE, PAGE, TargetError, contains, eq, fdinfo, hugepages, image, main, ok, pattern_page, run, skip, target, test,
                     wait_until)
from harness.serve import Serve, joined, touch

NR, SEED, STALE = 64, 9, 1


def bitmap(marked, nr=NR):
    f = tempfile.NamedTemporaryFile()
    f.write(sum(1 << i for i in marked).to_bytes((nr + 7) // 8, "little"))
    f.flush()
    return f


def page(t, m, i, size=PAGE):
    return bytes.fromhex(t.peek(id=m["id"], offset=i * size, len=8, through="self")["hex"])


# ---- stale pages ----

@test(each={"shmem": ("memfd", PAGE), "hugetlb": ("hugetlb", HUGE)}, limit=60)
def serve_stale(kind, size):
    """A VMM has all of the file mapped, half of which is newer in the image: marked pages are the image, others stay."""
    nr, marked = (NR, {0, 5, 6, 7, 20, 63}) if size == PAGE else (8, {0, 5})
    with hugepages(2 * nr + 2 if size == HUGE else 0):
        with target(kind, nr * size, seed=STALE) as (t, m), image(nr, SEED, size) as img, bitmap(marked, nr) as bits:
            other = t.memory(kind, nr * size, of=m["id"])
            joined(t, touch(t, other, threads=1, seed=STALE))
            t.register(uffd=t.u, id=m["id"], mode=["minor"])
            for more in ((), ("--prefault", "--until-complete")):
                with Serve(t.pid, "--from", img.name, "--stale", bits.name, *more) as s:
                    eq((s.start["total"], s.start["done"]), (nr * size, (nr - len(marked)) * size if not more else nr * size), "start")
                    if more:
                        eq(s.ended()["prefault"], 0, "the second one finds all filled")
                        continue
                    joined(t, touch(t, m))
                    end = s.stop()
                    eq((end["demand"], end["mapped"], end["done"], end["errors"]),
                       (len(marked) * size, (nr - len(marked)) * size, nr * size, 0), f"{end}")
            for i in range(nr):
                eq(page(t, m, i, size), pattern_page(SEED if i in marked else STALE, i)[:8], f"page {i}")
                eq(page(t, other, i, size), page(t, m, i, size), f"page {i} of the other mapping")


@test
def serve_stale_in_the_background():
    """What is marked comes; what is not is not even mapped."""
    with target(size=NR * PAGE, seed=STALE, mode="minor") as (t, m), image(NR) as img, bitmap(range(8, 24)) as bits:
        with Serve(t.pid, "--from", img.name, "--stale", bits.name, "--prefault", "--until-complete") as s:
            end = s.ended()
        eq((end["prefault"], end["mapped"], end["done"]), (16 * PAGE, 0, NR * PAGE), f"{end}")
        for i in range(NR):
            eq(page(t, m, i), pattern_page(SEED if 8 <= i < 24 else STALE, i)[:8], f"page {i}")


@test
def serve_stale_is_mapped():
    """A marked page that the process has mapped already is left, which is said."""
    with target(size=NR * PAGE, seed=STALE, mode="minor") as (t, m), image(NR) as img, bitmap({1, 2}) as bits:
        t.continue_(uffd=t.u, id=m["id"], offset=PAGE, len=PAGE)
        with Serve(t.pid, "--from", img.name, "--stale", bits.name) as s:
            joined(t, touch(t, m))
            s.stop()
        contains(s.err, f"{PAGE} bytes that are marked as stale are mapped")
        eq([page(t, m, i) for i in (1, 2)], [pattern_page(STALE, 1)[:8], pattern_page(SEED, 2)[:8]], "contents")


@test
def serve_stale_refused():
    with target(size=NR * PAGE, seed=STALE, mode="minor") as (t, m), image(NR) as img, bitmap({1}) as bits:
        for nr in (NR - 8, NR + 72):
            with bitmap({1}, nr) as wrong:
                contains(run("serve", t.pid, "--from", img.name, "--stale", wrong.name, check=1).err, f"it must have {NR // 8}\n")
        contains(run("serve", t.pid, "--from", img.name, "--stale", "/dev/null", check=1).err, "not a regular file")
        contains(run("serve", t.pid, "--from", img.name, "--stale", "/no/such", check=1).err, "No such file")
        contains(run("serve", t.pid, "--zero", "--stale", bits.name, check=2).err, "--stale needs --from")
        contains(run("serve", t.pid, "--from", img.name, "--stale", bits.name, "--elsewhere=keep", check=2).err, "leave --elsewhere out")
    with target(size=NR * PAGE, mode="missing") as (t, m), image(NR) as img, bitmap({1}) as bits:
        contains(run("serve", t.pid, "--from", img.name, "--stale", bits.name, check=1).err, "not registered for minor")


# ---- on purpose ----

@test(each={"delay": ("--delay=20ms", 0.02), "jitter": ("--jitter=1ms", 0), "both": ("--delay=20ms", 0.02, "--jitter=2ms"),
            "keep": ("--delay=20ms", 0.02, "--keep")})
def serve_delay(option, least, *more):
    """One after the other, each fault takes that long at least."""
    with target(size=NR * PAGE, seed=SEED, mode="minor") as (t, m), image(NR) as img:
        source = () if "--keep" in more else ("--from", img.name)
        with Serve(t.pid, *source, option, *more) as s:
            began = time.monotonic()
            joined(t, touch(t, m, threads=1, order="seq", len=8 * PAGE, seed=SEED))
            ok(time.monotonic() - began >= 8 * least, "eight faults")
            end = s.stop()
        eq(end["faults"]["minor"], 8, f"{end}")


@test
def serve_delay_stops():
    """A long delay holds up neither Ctrl-C nor the next handler."""
    with target(size=NR * PAGE, seed=SEED, mode="minor") as (t, m):
        with Serve(t.pid, "--keep", "--delay=3600s") as s:
            threads = touch(t, m, threads=1, len=PAGE, seed=SEED)
            wait_until(lambda: fdinfo(t.pid, t.u)["pending"] == 0 and fdinfo(t.pid, t.u)["total"] == 1, "it is read")
            s.stop()
        with Serve(t.pid, "--keep") as s:
            joined(t, threads)
            s.stop()


@test(each={"missing": ("missing", "anon"), "shmem": ("missing", "memfd"), "minor": ("minor", "memfd")})
def serve_fail_page(mode, kind):
    """Who touches the page gets SIGBUS, all else is served; the background leaves it alone."""
    with target(kind, NR * PAGE, mode=mode, seed=STALE if mode == "minor" else None) as (t, m), image(NR) as img:
        try:
            t.poison(uffd=t.u, id=m["id"], offset=(NR - 1) * PAGE, len=PAGE)
        except TargetError as e:
            eq(e.errno, errno.EINVAL, "errno")
            skip("no UFFDIO_POISON; Linux 6.6 runs this")
        fails = f"{m['start'] + 5 * PAGE:x}+8K"
        with Serve(t.pid, "--from", img.name, "--fail-page", fails, "--prefault", "--until-complete", "--verify") as s:
            eq(s.ended()["done"], NR * PAGE, "done")
        eq(next(o for o in s.objects if o["type"] == "verify"),
           {"type": "verify", "pid": t.pid, "same": (NR - 3) * PAGE, "differ": 0, "gone": 0, "unread": 0}, "what fails is in no number")
        eq(t.check(id=m["id"], len=5 * PAGE, seed=SEED)["differ"], 0, "before")
        eq(t.check(id=m["id"], offset=7 * PAGE, len=(NR - 8) * PAGE, seed=SEED)["differ"], 0, "behind")
        for i in (5, 6):
            done = t.join(thread=touch(t, m, threads=1, offset=i * PAGE, len=PAGE)[0], timeout_ms=20000)
            eq((done["done"], done["errno"]), (True, errno.EFAULT), "SIGBUS, as the target notes it")


@test
def serve_fail_page_refused():
    with target("anon", NR * PAGE, mode="missing") as (t, m), image(NR) as img:
        joined_page = f"{m['addr']}+4K"
        with Serve(t.pid, "--from", img.name) as s:
            joined(t, touch(t, m, threads=1, len=PAGE, seed=SEED))
            s.stop()
        contains(run("serve", t.pid, "--from", img.name, "--fail-page", joined_page, check=1).err, "has the page already")
        half = f"{m['start'] + NR // 2 * PAGE:x}+{NR // 2 * PAGE}"
        contains(run("serve", t.pid, "--from", img.name, half, "--fail-page", f"{m['start'] + PAGE:x}+4K", check=1).err,
                 "not in what is served")
        contains(run("serve", t.pid, "--keep", "--prefault", "--fail-page", half, check=2).err, "--fail-page excludes")
        contains(run("serve", t.pid, "--keep", "--fail-page", "x", check=2).err, "x")


@test
def serve_stale_errors():
    """A bitmap that can't be read is an error that JSON has as all others."""
    with target(size=NR * PAGE, mode="minor", seed=STALE) as (t, m), image(NR) as img, tempfile.TemporaryDirectory() as d:
        for path, name in ((f"{d}/none", "ENOENT"), (d, "EINVAL")):
            r = run("serve", "-J", t.pid, "--from", img.name, "--stale", path, check=1)
            eq([(o["type"], o["error"], o["message"].split(": ")[0]) for o in map(json.loads, r.out.splitlines())], [("error", name, path)], r.err)
        r = run("serve", "-J", t.pid, "--from", f"{d}/none", check=1)
        eq([o["error"] for o in map(json.loads, r.out.splitlines())], ["ENOENT"], "and the image")


# ---- verifying ----

@test(each={"anon": ("anon", "missing"), "shmem": ("memfd", "missing"), "minor": ("memfd", "minor")})
def serve_verify(kind, mode):
    """What the process has changed is counted and, with -v, said; what was there before is not compared."""
    with target(kind, NR * PAGE, mode=mode, seed=STALE if mode == "minor" else None) as (t, m), image(NR) as img:
        if mode == "minor":
            t.continue_(uffd=t.u, id=m["id"], offset=(NR - 1) * PAGE, len=PAGE)
        with Serve("-v", t.pid, "--from", img.name, "--verify") as s:
            joined(t, touch(t, m, len=16 * PAGE, seed=SEED))
            joined(t, touch(t, m, threads=1, access="write", value=7, offset=3 * PAGE, len=2 * PAGE))
            joined(t, touch(t, m, threads=1, access="write", value=7, offset=20 * PAGE, len=PAGE))
            s.stop()
        found = [o for o in s.objects if o["type"] in ("differs", "verify")]
        at = [m["start"] + i * PAGE for i in (3, 5, 20, 21)]
        eq([(int(o["start"], 16), int(o["end"], 16)) for o in found[:-1]], [(at[0], at[1]), (at[2], at[3])], "ranges")
        eq(found[-1], {"type": "verify", "pid": t.pid, "same": 14 * PAGE, "differ": 3 * PAGE, "gone": 0, "unread": 0}, "sum")


@test
def serve_verify_complete():
    with target("anon", NR * PAGE, mode="missing") as (t, m), image(NR) as img:
        r = run("serve", t.pid, "--from", img.name, "--prefault", "--until-complete", "--verify", check=0)
        contains(r.out, f"verified: {NR * PAGE} bytes are as in the source, 0 differ")
    with target(size=NR * PAGE, shared=False, mode="missing") as (t, m), image(NR) as img:
        contains(run("serve", t.pid, "--from", img.name, "--verify", check=1).err, "can't be verified")
        contains(run("serve", t.pid, "--keep", "--verify", check=2).err, "--verify needs")


@test
def serve_verify_gone():
    """Pages that the process has removed are said to be gone; a process that has ended can't be verified."""
    with target("anon", NR * PAGE, mode="missing") as (t, m), image(NR) as img:
        with Serve(t.pid, "--from", img.name, "--verify") as s:
            joined(t, touch(t, m, seed=SEED))
            t.madvise(id=m["id"], advice="dontneed", offset=8 * PAGE, len=4 * PAGE)
            s.stop()
        eq(next(o for o in s.objects if o["type"] == "verify"),
           {"type": "verify", "pid": t.pid, "same": (NR - 4) * PAGE, "differ": 0, "gone": 4 * PAGE, "unread": 0}, "sum")


@test(each={"event": (["event_unmap"],), "no-event": ([],)})
def serve_verify_unmapped(features):
    """What was filled and then unmapped is gone."""
    with target("anon", NR * PAGE, mode="missing", features=[*FEATURES, *features]) as (t, m), image(NR) as img:
        with Serve(t.pid, "--from", img.name, "--verify") as s:
            joined(t, touch(t, m, seed=SEED))
            t.munmap(id=m["id"], offset=NR // 2 * PAGE, len=NR // 4 * PAGE)
            s.stop()
        eq(next(o for o in s.objects if o["type"] == "verify"),
           {"type": "verify", "pid": t.pid, "same": NR * 3 // 4 * PAGE, "differ": 0, "gone": NR // 4 * PAGE, "unread": 0}, "sum")


main()
