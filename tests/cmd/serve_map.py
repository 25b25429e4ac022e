# SPDX-License-Identifier: GPL-2.0-or-later
"""serve --map: several ranges, each with contents of its own."""
import os
import signal
import sys
import tempfile

sys.path[0] += "/.."
from harness import HUGE, PAGE, Target, contains, eq, fdinfo, hugepages, image, main, ok, pattern_page, run, target, test, wait_until
from harness.nbd import nbd_image, nbd_server
from harness.serve import Serve, joined, touch

NR, A, B, STALE = 64, 9, 8, 1


def part(m, first, nr, page=PAGE):
    return f"{m['start'] + first * page:x}+{nr * page}"


def is_seed(t, m, seed, first=0, nr=NR, page=PAGE):
    """These pages are those of the image that was made with it, which begins with the first of them."""
    for i in range(nr):
        eq(bytes.fromhex(t.peek(id=m["id"], offset=(first + i) * page, len=8, through="self")["hex"]), page_start(seed, i), f"page {first + i}")


def page_start(seed, i):
    return pattern_page(seed, i)[:8]


# ---- which contents a page gets ----

@test(each={"shmem": ("memfd", "missing"), "minor": ("memfd", "minor"), "both": ("memfd", "minor,missing")})
def serve_map_files(kind, mode):
    """Two mapped files, an image each: a page has its contents at its offset in its file."""
    with target(kind, NR * PAGE, mode=mode, seed=STALE if "minor" in mode else None, name="guest-a") as (t, m), image(NR, A) as a, image(NR, B) as b:
        n = t.memory(kind, NR * PAGE, mode=mode, seed=STALE if "minor" in mode else None, name="guest-b")
        with Serve(t.pid, "--map", f"@/memfd:guest-a={a.name}", "--map", f"@/memfd:guest-b={b.name}") as s:
            eq((s.start["source"], s.start["total"]), ("map", 2 * NR * PAGE), "start")
            joined(t, touch(t, m, seed=A) + touch(t, n, seed=B))
            end = s.stop()
        eq((end["demand"], end["errors"]), (2 * NR * PAGE, 0), f"{end}")


@test
def serve_map_anonymous():
    """A range takes its image from the beginning, or from an offset; --from has the rest, at the places it has without --map."""
    with target("anon", NR * PAGE, mode="missing") as (t, m), image(NR, A) as a, image(NR, B) as b:
        args = ("--from", a.name, "--map", f"{part(m, 8, 4)}={b.name}", "--map", f"{part(m, 20, 4)}={b.name}@{4 * PAGE}")
        with Serve(t.pid, *args, "--prefault", "--until-complete") as s:
            eq(s.ended()["done"], NR * PAGE, "done")
        want = [page_start(A, i) for i in range(NR)]
        want[8:12] = [page_start(B, i) for i in range(4)]
        want[20:24] = [page_start(B, i + 4) for i in range(4)]
        eq([bytes.fromhex(t.peek(id=m["id"], offset=i * PAGE, len=8, through="self")["hex"]) for i in range(NR)], want, "contents")


@test
def serve_map_zero_rest():
    with target("anon", NR * PAGE, mode="missing") as (t, m), image(NR, A) as a:
        with Serve(t.pid, "--zero", "--map", f"{part(m, 0, 8)}={a.name}", "--prefault", "--until-complete") as s:
            s.ended()
        is_seed(t, m, A, 0, 8)
        joined(t, touch(t, m, offset=8 * PAGE, len=(NR - 8) * PAGE))


@test
def serve_map_alone():
    """Without --from, nothing outside is served: a thread that faults there waits, which is said."""
    with target("anon", NR * PAGE, mode="missing") as (t, m), image(NR, A) as a:
        with Serve(t.pid, "--map", f"{part(m, 8, 8)}={a.name}") as s:
            eq(s.start["total"], 8 * PAGE, "total")
            th = touch(t, m, threads=1, offset=0, len=PAGE)
            contains(s.error(), "not in the ranges that are served")
            joined(t, touch(t, m, offset=8 * PAGE, len=8 * PAGE))
            s.stop(rc=1)
        contains(s.err, "is registered on this userfaultfd and not served")
        is_seed(t, m, A, 8, 8)
        with Serve(t.pid, "--zero") as s:
            joined(t, th)
            s.stop()


@test
def serve_map_huge():
    with hugepages(18), target("hugetlb", 8 * HUGE, mode="missing") as (t, m), image(8, A, HUGE) as a, image(8, B, HUGE) as b:
        with Serve(t.pid, "--from", a.name, "--map", f"{part(m, 4, 4, HUGE)}={b.name}") as s:
            joined(t, touch(t, m, len=4 * HUGE, seed=A) + touch(t, m, offset=4 * HUGE, len=4 * HUGE, seed=B))
            s.stop()


@test
def serve_map_server():
    """A range on a server, another one in a file."""
    contents = image(NR, B)
    with open(contents.name, "rb") as f, nbd_image(contents=f.read()) as d, nbd_server(d) as (uri, _), image(NR, A) as a:
        with target("anon", NR * PAGE, mode="missing") as (t, m):
            with Serve(t.pid, "--map", f"{part(m, 0, 32)}={uri}", "--map", f"{part(m, 32, 32)}={a.name}", "--prefault", "--until-complete") as s:
                s.ended()
            is_seed(t, m, B, 0, 32)
            is_seed(t, m, A, 32, 32)


@test
def serve_map_pipe():
    """The data of a pipe are read first."""
    with target("anon", NR * PAGE, mode="missing") as (t, m), image(NR, A) as a, image(NR, B) as b, open(b.name, "rb") as f:
        r, w = os.pipe()
        if os.fork() == 0:
            os.write(w, f.read(8 * PAGE))
            os._exit(0)
        os.close(w)
        with Serve(t.pid, "--from", a.name, "--map", f"{part(m, 0, 8)}=-", "--prefault", "--until-complete", stdin=r) as s:
            s.ended()
        os.close(r)
        os.wait()
        is_seed(t, m, B, 0, 8)


# ---- with other options ----

@test
def serve_map_state():
    """Killed in the middle and started again: what the process has written is not filled again."""
    with target("anon", NR * PAGE, mode="missing") as (t, m), image(NR, A) as a, image(NR, B) as b, tempfile.TemporaryDirectory() as d:
        args = ("--from", a.name, "--map", f"{part(m, 32, 32)}={b.name}@{32 * PAGE}", "--state", f"{d}/state")
        with Serve(t.pid, *args) as s:
            joined(t, touch(t, m, offset=32 * PAGE, len=8 * PAGE, seed=B))
            t.fill(id=m["id"], offset=32 * PAGE, len=4 * PAGE, seed=3, through="self")
            s.proc.send_signal(signal.SIGKILL)
            s.proc.wait()
        with Serve(t.pid, *args) as s:
            eq(s.start["done"], 8 * PAGE, "what it knows")
            s.stop()
        with Serve(t.pid, *args, "--prefault", "--until-complete") as s:
            s.ended()
        ok(not os.path.exists(f"{d}/state"), "it is removed")
        eq(t.check(id=m["id"], len=32 * PAGE, seed=A)["differ"], 0, "the first half")
        eq(bytes.fromhex(t.peek(id=m["id"], offset=36 * PAGE, len=8, through="self")["hex"]), page_start(B, 36), "the second half")


@test
def serve_map_verify():
    with target("anon", NR * PAGE, mode="missing") as (t, m), image(NR, A) as a, image(NR, B) as b:
        with Serve(t.pid, "--from", a.name, "--map", f"{part(m, 32, 32)}={b.name}", "--verify") as s:
            joined(t, touch(t, m))
            joined(t, touch(t, m, threads=1, access="write", value=7, offset=40 * PAGE, len=PAGE))
            s.stop()
        eq(next(o for o in s.objects if o["type"] == "verify"),
           {"type": "verify", "pid": t.pid, "same": (NR - 1) * PAGE, "differ": PAGE, "gone": 0, "unread": 0}, "sum")


@test
def serve_map_inject():
    """The ranges are registered first, those of --map too."""
    with Target() as t, image(NR, A) as a, image(NR, B) as b:
        m, n = (t.memory("anon", NR * PAGE) for _ in range(2))
        with Serve("--inject", "-m", "missing", "--map", f"{part(m, 0, NR)}={a.name}", "--map", f"{part(n, 0, NR)}={b.name}", "--until-complete",
                   t.pid) as s:
            joined(t, touch(t, m, seed=A) + touch(t, n, seed=B))
            s.ended()
        eq(run("smaps", "-J", t.pid, check=0).json()["smaps"], [], "nothing stays registered")


@test
def serve_map_fork():
    """A child's pages come from the same images."""
    with target("anon", NR * PAGE, mode="missing", features=["event_fork"]) as (t, m), image(32, A) as half, image(NR, A) as a:
        report = t.memory("memfd", 2 * PAGE)
        with Serve(t.pid, "--from", half.name, "--map", f"{part(m, 32, 32)}={a.name}@{32 * PAGE}") as s:
            t.fork(id=m["id"], seed=A, report=report["id"])
            wait_until(lambda: t.peek(id=report["id"], len=8, through="self")["hex"] != "00" * 8, "the child has looked", 20)
            eq(t.peek(id=report["id"], len=8, through="self")["hex"], "01" + "00" * 7, "wrong pages")
            s.stop()


# ---- what is refused ----

@test
def serve_map_overlaps():
    with target(size=NR * PAGE, mode="missing") as (t, m), image(NR, A) as a, image(NR, B) as b:
        r = run("serve", t.pid, "--map", f"{part(m, 0, 16)}={a.name}", "--map", f"{part(m, 8, 16)}={b.name}", check=1)
        contains(r.err, f"{m['start'] + 8 * PAGE:x}-{m['start'] + 16 * PAGE:x}: the ranges {part(m, 0, 16)} and {part(m, 8, 16)} overlap there")
        n = t.memory(of=m["id"], size=NR * PAGE, mode="missing")
        r = run("serve", t.pid, "--map", f"{part(m, 0, NR)}={a.name}", "--map", f"{part(n, 0, NR)}={b.name}", check=1)
        contains(r.err, "show the same pages of a file")
        r = run("serve", t.pid, "--map", f"{part(m, 0, 16)}={a.name}@{NR * PAGE}", check=1)
        contains(r.err, "the contents are too short")
        eq(fdinfo(t.pid, t.u)["total"], 0, "nothing is read")


@test
def serve_map_refused():
    with target(size=NR * PAGE, mode="missing") as (t, m), image(NR, A) as a:
        one = f"{part(m, 0, 8)}={a.name}"
        for args, text in ((("--map", "x"), "write RANGE="), (("--map", f"=x"), "write RANGE="), (("--map", "all="), "write RANGE="),
                           (("--map", one, "--keep"), "--map excludes --keep"), (("--map", one, "--record-set=x", "--from=x"), "of one image"),
                           (("--map", one, "--from=x", "--stale=x"), "about one image"), (("--map", one, part(m, 0, 8)), "a RANGE needs --from"),
                           (("--map", part(m, 0, 8) + "=-", "--from=-"), "it can be read once"), (("--map", f"zz={a.name}"), "not a range")):
            contains(run("serve", t.pid, *args, check=2).err, text)
        contains(run("serve", "--handoff=x", "--map", one, check=2).err, "--map excludes --handoff")
        contains(run("serve", t.pid, "--map", "all=/no/such", check=1).err, "/no/such: No such file")
        contains(run("serve", "--inject", t.pid, "--from", a.name, "--map", one, check=2).err, "no RANGE given")


main()
