# SPDX-License-Identifier: GPL-2.0-or-later
"""poison, writeprotect and rwprotect: what is marked, who waits, and who goes on."""
import errno
import sys

sys.path[0] += "/.."
from harness import (FEATURES, HUGE, PAGE, Target, TargetError, contains, eq, fdinfo, hugepages, main, ok, run, skip, smaps_flags, swap, target,
                     test, wait_until)

NR = 8
KINDS = {"anon": ("anon", PAGE), "shmem": ("memfd", PAGE), "hugetlb": ("hugetlb", HUGE)}


def totals(t, m, page):
    """Bytes by state and mark, as uffdctl pages counts them."""
    r = run("pages", "-J", t.pid, f"{m['addr']}+{NR * page}", check=0).json()["pages"]
    if any(x["wp"] is None for x in r):
        skip("the marks of huge pages can't be seen; Linux 6.7 runs this")
    return {k: sum(x[k] for x in r) for k in ("mapped", "minor", "absent", "swapped", "wp", "rwp", "poisoned")}


def pending(t):
    return [(w["kind"], w["addr"]) for w in run("pending", "-J", t.pid).json()["pending"]]


def has_poison(t, m, page):
    """Else skips: poisons the last page."""
    try:
        t.poison(uffd=t.u, id=m["id"], offset=(NR - 1) * page, len=page)
    except TargetError as e:
        eq(e.errno, errno.EINVAL, "errno")
        skip("no UFFDIO_POISON; Linux 6.6 runs this")


@test(each={k: v for k, v in KINDS.items()})
def protect_poison(kind, page):
    """What is mapped stays; the rest is poisoned, and who waits for it gets SIGBUS."""
    with hugepages(2 * NR if kind == "hugetlb" else 0), target(kind, NR * page, mode="missing") as (t, m):
        has_poison(t, m, page)
        t.copy(uffd=t.u, id=m["id"], offset=page, len=page, seed=1)
        place = f"{m['addr']}+{NR * page}"
        r = run("poison", "-J", "--dry-run", t.pid, place, check=0).json()["poison"]
        eq((r[0]["poisoned"], r[0]["dry_run"]), (None, True), "dry run")
        eq(totals(t, m, page)["poisoned"], page, "nothing is done")
        th = t.touch(id=m["id"], offset=3 * page, len=page, access="read")["threads"][0]
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 1, "a thread waits")
        r = run("poison", "-J", t.pid, place, check=0).json()["poison"]
        eq([(x["poisoned"], x["already"], x["absent"], x["error"]) for x in r], [((NR - 2) * page, 2 * page, 0, None)], "result")
        done = t.join(thread=th, timeout_ms=5000)
        eq((done["done"], done["errno"]), (True, errno.EFAULT), "SIGBUS, as the target notes it")
        eq(totals(t, m, page)["poisoned"], (NR - 1) * page, "pages")


@test
def protect_poison_is_seen():
    """A minor fault is resolved by it as well; the page cache keeps its page."""
    with target(size=NR * PAGE, seed=1) as (t, m):
        t.register(uffd=t.u, id=m["id"], mode=["minor"])
        has_poison(t, m, PAGE)
        r = run("poison", "-J", t.pid, f"{m['addr']}+{2 * PAGE}", check=0).json()["poison"]
        eq((r[0]["poisoned"], r[0]["already"]), (2 * PAGE, 0), "result")
        eq(totals(t, m, PAGE)["poisoned"], 3 * PAGE, "pages")
        eq(t.check_file(id=m["id"], len=2 * PAGE, seed=1)["differ"], 0, "the file")
        err = run("poison", t.pid, f"{m['addr']}+{NR * PAGE}", check=0)
        contains(err.out, "POISONED")


@test(each={f"{k}-{c}": (*v, c) for k, v in KINDS.items() for c in ("copy", "continue", "zeropage")
            if (k, c) not in (("anon", "continue"), ("hugetlb", "zeropage"))})
def protect_poison_stays(kind, page, command):
    """The kernel would replace it by a page, and nobody would know that this one was lost."""
    with hugepages(2 * NR if kind == "hugetlb" else 0), target(kind, NR * page) as (t, m):
        t.register(uffd=t.u, id=m["id"], mode=["missing"] if kind == "anon" else ["missing", "minor"])
        if command == "continue":
            run("copy", "-q", "--from-zero", t.pid, "all", check=0)
            run("zap", "-q", t.pid, "all", check=0)
        has_poison(t, m, page)
        t.poison(uffd=t.u, id=m["id"], offset=2 * page, len=2 * page)
        totals(t, m, page)
        r = run(command, "-J", *(["--from-zero"] if command == "copy" else []), t.pid, "all", check=0)
        eq([(x["mapped"], x["already"], x["error"]) for x in r.json()[command]], [((NR - 3) * page, 3 * page, None)], "result")
        contains(r.err, f"{3 * page} bytes are poisoned, and were left so")
        eq(totals(t, m, page)["poisoned"], 3 * page, "it is there")
        eq(t.join(thread=t.touch(id=m["id"], offset=3 * page, len=page, access="read")["threads"][0], timeout_ms=5000)["errno"],
           errno.EFAULT, "SIGBUS")


@test(each={f"{k}-{e}": (*v, e) for k, v in KINDS.items() for e in ("zero", "keep")})
def protect_poison_stays_served(kind, page, source):
    with hugepages(2 * NR if kind == "hugetlb" else 0), target(kind, NR * page) as (t, m):
        t.register(uffd=t.u, id=m["id"], mode=["missing"] if kind == "anon" else ["missing", "minor"])
        run("copy", "-q", "--from-zero", t.pid, f"{m['addr']}+{2 * page}", check=0)
        if kind != "anon":
            run("zap", "-q", t.pid, "all", check=0)
        has_poison(t, m, page)
        t.poison(uffd=t.u, id=m["id"], offset=(1 if kind != "anon" else 3) * page, len=page)
        totals(t, m, page)
        run("serve", "-q", f"--{source}", "--elsewhere=overwrite" if source == "zero" else "--force", "--prefault", "--until-complete", t.pid,
            check=0)
        eq(totals(t, m, page)["poisoned"], 2 * page, "it is there")


@test(each={f"{k}-{how}": (*v, how) for k, v in KINDS.items() for how in ("quiet", "handled")})
def protect_write(kind, page, how):
    """From the mark to the fault to the release; what nobody touched stays marked."""
    with hugepages(2 * NR if kind == "hugetlb" else 0), target(kind, NR * page, mode="wp") as (t, m):
        t.fill(id=m["id"], seed=1, through="self")
        place = f"{m['addr']}+{NR * page}"
        if how == "handled":
            t.handler(uffd=t.u, action="count")
        ok("uw" in smaps_flags(t.pid, m["start"]), "uw")
        r = run("writeprotect", "-J", t.pid, "all", check=0)
        eq([(x["done"], x["error"]) for x in r.json()["writeprotect"]], [(NR * page, None)], "result")
        eq("no handler was seen reading" in r.err or bool(r.json()["errors"]), how == "quiet", f"a warning: {r.err}")
        eq(totals(t, m, page)["wp"], NR * page, "all are marked")
        th = t.touch(id=m["id"], offset=2 * page, len=page, access="write", value=1)["threads"][0]
        wait_until(lambda: pending(t) == [("wp", hex(m["start"] + 2 * page))], "a writer waits")
        eq(t.check(id=m["id"], offset=4 * page, len=page, seed=1)["differ"], 0, "reading is free")
        one = f"{hex(m['start'] + 2 * page)}+{page}"
        run("writeprotect", "--off", "--no-wake", t.pid, one, check=0)
        eq(totals(t, m, page)["wp"], (NR - 1) * page, "one mark is gone")
        eq(t.status(thread=th)["done"], False, "it waits still")
        run("writeprotect", "--off", t.pid, one, check=0)
        ok(t.join(thread=th, timeout_ms=5000)["done"], "it goes on")
        run("writeprotect", "--off", "-q", t.pid, "all", check=0)
        eq(totals(t, m, page)["wp"], 0, "none is marked")
        if how == "handled":
            eq(t.handler_stats(uffd=t.u)["wp"], 1, "the handler was told once")


@test(each={k: KINDS[k] for k in ("anon", "shmem")})
def protect_survives_swap(kind, page):
    """A page that is swapped out keeps its mark, and its next writer waits."""
    with swap(64 << 20), target(kind, NR * page, mode="wp") as (t, m):
        t.fill(id=m["id"], seed=1, through="self")
        run("writeprotect", "-q", t.pid, "all", check=0)
        t.madvise(id=m["id"], advice="pageout")
        got = totals(t, m, page)
        if not got["swapped"]:
            skip("nothing was swapped out")
        eq(got["wp"], NR * page, f"all are marked still: {got}")
        eq(t.check(id=m["id"], len=page, seed=1)["differ"], 0, "read in again")
        eq(totals(t, m, page)["wp"], NR * page, "with their marks")
        th = t.touch(id=m["id"], offset=2 * page, len=page, access="write", value=1)["threads"][0]
        wait_until(lambda: pending(t) == [("wp", hex(m["start"] + 2 * page))], "a writer waits")
        run("writeprotect", "--off", "-q", t.pid, "all", check=0)
        ok(t.join(thread=th, timeout_ms=5000)["done"], "it goes on")
        eq(totals(t, m, page)["wp"], 0, "none is marked")


@test(each={f"{k}-{e}": (*KINDS[k], e) for k in ("anon", "shmem") for e in ("followed", "unfollowed")})
def protect_survives_fork(kind, page, event):
    """A child has its parent's marks only where the event of its fork is asked for: then it is registered, too."""
    features = [*FEATURES, "event_fork"] if event == "followed" else FEATURES
    with target(kind, NR * page, mode="wp", features=features) as (t, m):
        t.fill(id=m["id"], seed=1, through="self")
        t.handler(uffd=t.u, action="count")
        run("writeprotect", "-q", t.pid, "all", check=0)
        child = t.fork()["pid"]
        r = run("pages", "-J", child, f"{m['addr']}+{NR * page}", check=0).json()["pages"]
        eq(sum(x["wp"] for x in r), NR * page if event == "followed" else 0, "marks of the child")
        eq("uw" in smaps_flags(child, m["start"]), event == "followed", "uw of the child")
        eq(totals(t, m, page)["wp"], NR * page, "marks of the parent")
        t.kill_child(pid=child)


@test(each={k: v for k, v in KINDS.items()})
def protect_read_write(kind, page):
    """Reads wait as well."""
    with Target() as t:
        if "rwp" not in t.uffd()["supported"]:
            skip("this kernel has no rwp; Linux 7.3 runs this")
    with hugepages(2 * NR if kind == "hugetlb" else 0), target(kind, NR * page, features=[*FEATURES, "rwp"]) as (t, m):
        run("register", "-q", "-m", "rwp", t.pid, f"{m['addr']}+{NR * page}", check=0)
        t.fill(id=m["id"], seed=1, through="self")
        run("rwprotect", t.pid, "all", check=0)
        eq(totals(t, m, page)["rwp"], NR * page, "all are marked")
        th = t.touch(id=m["id"], offset=2 * page, len=page, access="read")["threads"][0]
        wait_until(lambda: pending(t) == [("rwp", hex(m["start"] + 2 * page))], "a reader waits")
        run("rwprotect", "--off", t.pid, f"{hex(m['start'] + 2 * page)}+{page}", check=0)
        ok(t.join(thread=th, timeout_ms=5000)["done"], "it goes on")
        eq(totals(t, m, page)["rwp"], (NR - 1) * page, "the others are marked")


@test
def protect_refused():
    with target("anon", NR * PAGE, mode="missing") as (t, m):
        place = f"{m['addr']}+{NR * PAGE}"
        for command, mode in (("writeprotect", "wp"), ("rwprotect", "rwp")):
            err = run(command, t.pid, place, check=1).err
            ok("will wait" not in err, f"no warning of what is not done: {err}")
            contains(err, f"not registered for {mode} (see uffdctl register -m {mode})")
            contains(run(command, "--no-wake", t.pid, place, check=2).err, "--no-wake is for --off")
        for command in ("writeprotect", "rwprotect"):
            ok("will wait" not in run(command, t.pid, "all", check=1).err, "nor for all")
        eq(totals(t, m, PAGE)["wp"], 0, "nothing is done")


main()
