# SPDX-License-Identifier: GPL-2.0-or-later
"""register and unregister: ranges, modes, owners."""
import sys

sys.path[0] += "/.."
from harness import (HELPERS, HUGE, PAGE, Target, TargetError, contains, eq, fdinfo, hugepages, main, ok, run, skip,
                     smaps_flags, target, test, wait_until)


def rows(command, *args, rc=0):
    return run(command, "-J", *args, check=rc).json()[command]


@test
def register_range_forms():
    with target() as (t, m):
        a = m["start"]
        for text, size in ((f"{a:x}-{a + 2 * PAGE:x}", 2 * PAGE), (f"0x{a:x}-0x{a + PAGE:x}", PAGE),
                           (f"{a:x}+8192", 2 * PAGE), (f"{a:x}+4K", PAGE), (f"{a:x}+0x3000", 3 * PAGE),
                           ("@/memfd:guest", 16 * PAGE), ("@/memfd:g*", 16 * PAGE),
                           (f"{a:x}", PAGE), (f"0x{a + 7:x}", PAGE), ("1@/memfd:guest", 16 * PAGE),
                           ("@/memfd:guest (deleted)", 16 * PAGE), ("all", 16 * PAGE)):
            r = rows("register", t.pid, text)
            eq([(x["start"], sum(int(y["end"], 16) - int(y["start"], 16) for y in r)) for x in r[:1]],
               [(hex(a), size)], text)
            rows("unregister", t.pid, "all")


@test(rule="keeps-modes")
def register_keeps_modes():
    """The ioctl replaces the modes; the command adds to them."""
    with target() as (t, m):
        eq(rows("register", t.pid, "all", "-m", "missing")[0]["mode"], ["missing"], "first")
        r = rows("register", t.pid, f"{m['start'] + 4 * PAGE:x}+4K")
        eq(sorted(r[0]["mode"]), ["minor", "missing"], "second")
        eq(smaps_flags(t.pid, m["start"] + 4 * PAGE) & {"ui", "um", "uw"}, {"ui", "um"}, "the page")
        eq(smaps_flags(t.pid, m["start"]) & {"ui", "um", "uw"}, {"um"}, "the rest")
        r = rows("register", t.pid, "@/memfd:guest", "-m", "wp,minor")
        eq([sorted(x["mode"]) for x in r], [["minor", "missing", "wp"]] * 3, "each mapping by itself")


@test
def register_modes():
    with target() as (t, m):
        a = t.memory("anon", 8 * PAGE)
        for mode, flag in (("minor", "ui"), ("missing", "um"), ("wp", "uw")):
            rows("register", t.pid, f"{m['addr']}+64K", "-m", mode)
            ok(flag in smaps_flags(t.pid, m["addr"]), f"{mode}: {flag}")
            rows("unregister", t.pid, "all")
        r = run("register", "-J", t.pid, f"{a['addr']}+32K", check=1)
        contains(r.err, "minor needs shmem or hugetlbfs memory")
        contains(r.json()["register"][0]["error"], "minor needs")
        r = run("register", t.pid, f"{m['addr']}+64K", "-m", "rwp")
        ok(r.rc == 0 or "7.3" in r.err, "rwp: had, or the version that has it is named")
        r = run("register", t.pid, f"{m['addr']}+64K", "-m", "frob", check=2)
        contains(r.err, "minor, missing, wp, rwp")


@test
def register_hugetlb_alignment():
    with hugepages(4):
        with target("hugetlb", 4 * HUGE) as (t, m):
            r = run("register", t.pid, f"{m['start'] + PAGE:x}+4K", check=1)
            contains(r.err, "pages of 2M")
            contains(r.err, f"{m['start']:x}-{m['start'] + HUGE:x}")
            eq(len(rows("register", t.pid, f"{m['start']:x}+2M")), 1, "aligned")


@test
def register_dry_run_says_so():
    """A dry run looks like none in its rows: a note and a key in JSON tell it from one, for every command."""
    with target(size=4 * PAGE, mode="minor,missing") as (t, _):
        for command, *options in (("register",), ("unregister",), ("wake",), ("continue",), ("copy", "--from-zero"),
                                  ("zeropage",)):
            r = run(command, "-J", t.pid, "all", *options, "--dry-run", check=0)
            eq((r.err.count("dry run: nothing was changed"), r.json()[command][0]["dry_run"]), (1, True), command)
        r = run("wake", "-J", t.pid, "all", check=0)
        eq(("dry run" in r.err, r.json()["wake"][0]["dry_run"]), (False, False), "no dry run")


@test
def register_dry_run():
    with target() as (t, m):
        r = rows("register", t.pid, "all", "--dry-run")
        eq([(x["mode"], x["ioctls"]) for x in r], [(["minor"], None)], "planned")
        ok("ui" not in smaps_flags(t.pid, m["addr"]), "nothing changed")
        a = t.memory("anon", PAGE)
        contains(run("register", t.pid, a["addr"] + "+4K", "--dry-run", check=1).err, "minor needs shmem")
        contains(run("register", t.pid, a["addr"] + "+4K", "--dry-run", "-m", "wp,rwp", check=1).err, "exclude")
        rows("register", t.pid, "all")
        rows("unregister", t.pid, "all", "--dry-run")
        ok("ui" in smaps_flags(t.pid, m["addr"]), "nothing changed")


@test
def register_owned_elsewhere():
    with target() as (t, m):
        other = t.userfaultfd()
        rows("register", t.pid, f"{m['addr']}+16K", "-f", t.u)
        r = run("register", t.pid, f"{m['addr']}+64K", "-f", other, check=1)
        contains(r.err, f"registered on another userfaultfd ({t.pid}:{t.u})")
        r = run("unregister", t.pid, f"{m['addr']}+16K", "-f", other, check=1)
        contains(r.err, f"registered on another userfaultfd ({t.pid}:{t.u})")
        ok("ui" in smaps_flags(t.pid, m["addr"]), "still registered")
        contains(r.out, "ERROR")
        r = run("register", t.pid, "@/memfd:guest", "-f", other, check=1)
        contains(r.err, f"registered on another userfaultfd ({t.pid}:{t.u})")
        r = run("register", t.pid, "all", check=1)
        contains(r.err, "choose one with --fd")


@test(rule="unregister-wakes")
def unregister_wakes():
    """Who waits on a minor range goes on: the kernel by itself would let it sleep."""
    with target() as (t, m):
        t.fill(id=m["id"], seed=4)
        rows("register", t.pid, "all")
        th = t.touch(id=m["id"], access="read", seed=4)["threads"][0]
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 1, "a thread waits")
        r = rows("unregister", t.pid, "all")
        eq(r[0]["mode"], ["minor"], "what it had")
        j = t.join(thread=th)
        eq((j["done"], j["touched"], j["mismatches"]), (True, 16, 0), "it goes on")


@test
def unregister_part():
    with target() as (t, m):
        rows("register", t.pid, "all")
        rows("unregister", t.pid, f"{m['start'] + 4 * PAGE:x}+16K")
        r = rows("smaps", t.pid)
        eq([int(x["size"]) for x in r], [4 * PAGE, 8 * PAGE], "before and behind")
        r = run("unregister", t.pid, f"{m['start'] + 4 * PAGE:x}+16K", check=1)
        contains(r.err, "not registered")


@test(rule="warns-of-own-memory")
def register_warns_of_own_memory():
    """Stack, heap and TLS of the process that handles its own faults."""
    with target() as (t, _):
        t.threads_idle(n=2)
        r = run("register", t.pid, "all", "-m", "wp", "--dry-run", check=0)
        for text in ("[stack]", "[heap]", "TLS of thread", "deadlock"):
            contains(r.err, text)
        r = run("register", t.pid, "@/memfd:guest", "--dry-run", check=0)
        ok("[stack]" not in r.err and "TLS" not in r.err, "no reason to warn of memory")
        contains(r.err, "no handler was seen reading")
        t.handler(uffd=t.u, action="continue")
        r = run("register", t.pid, "@/memfd:guest", "--dry-run", check=0)
        ok("no handler was seen" not in r.err, "somebody reads")
        r = run("register", t.pid, "@/memfd:guest", check=0)
        r = run("register", t.pid, "@/memfd:guest", "-m", "missing", "--dry-run", check=0)
        contains(r.err, "its handler may not know how to handle such faults")


@test
def register_warns_of_two_mappings_of_a_file():
    """A handler that fills pages through the second mapping would wait for itself: both are named, and how to choose."""
    with target() as (t, m):
        second = t.memory(of=m["id"])
        first, second = sorted((m["start"], second["start"]))
        warning = "takes two mappings of one file"
        for text in ("@/memfd:guest", "all"):
            r = run("register", t.pid, text, "--dry-run", check=0)
            for part in (f"{text} {warning}", f"{first:x}-{first + 16 * PAGE:x} rw-s", f"{second:x}-{second + 16 * PAGE:x} rw-s",
                         "will wait for itself", "START-END"):
                contains(r.err, part)
        contains(run("register", t.pid, "@/memfd:guest", "--dry-run", check=0).err, "1@/memfd:guest or 2@/memfd:guest")
        for text in ("1@/memfd:guest", "2@/memfd:guest", f"{first:x}+64K"):
            ok(warning not in run("register", t.pid, text, "--dry-run", check=0).err, f"{text}: chosen")
        # What the kernel splits stays one mapping.
        rows("register", t.pid, f"{first:x}+8K")
        eq([x["start"] for x in rows("register", t.pid, "2@/memfd:guest")], [hex(second)], "the second")
        ok("ui" not in smaps_flags(t.pid, first + 2 * PAGE), "not the first")
        contains(run("register", t.pid, "3@/memfd:guest", check=1).err, "only 2 mappings have such a name")
        contains(run("register", t.pid, "0@/memfd:guest", check=2).err, "counted from 1")
        r = run("smaps", "--all", "-J", t.pid, check=0).json()["smaps"]
        eq(len({x["inode"] for x in r if x["name"].startswith("/memfd:guest")}), 1, "smaps shows that it is one file")
        child = t.child_handler(uffd=t.u, action="count")["pid"]
        t.close(fd=t.u)
        r = run("register", t.pid, "@/memfd:guest", "--dry-run", check=0)
        ok(warning not in r.err, f"a handler in another process ({child}) has mappings of its own")


@test
def register_two_parts_of_a_file():
    """Different parts of a file are no second mapping of one."""
    with target() as (t, m):
        t.munmap(id=m["id"], offset=4 * PAGE, len=4 * PAGE)
        ok("two mappings" not in run("register", t.pid, "@/memfd:guest", check=0).err, "no warning")


@test
def register_huge_page_of_an_address():
    hugepages(2)
    with target("hugetlb", 2 * HUGE) as (t, m):
        eq([(x["start"], x["end"]) for x in rows("register", t.pid, f"{m['start'] + HUGE + 5 * PAGE:x}")],
           [(hex(m["start"] + HUGE), hex(m["start"] + 2 * HUGE))], "the whole page")


@test
def register_nothing_for_all():
    """What all would have taken is said."""
    with Target() as t:
        t.userfaultfd()
        for args, text in ((("register",), "no mapping of this process can be registered for minor: minor needs shmem or hugetlbfs; "),
                           (("unregister",), "no mapping is registered on this userfaultfd (see"),
                           (("wake",), "no mapping is registered on this userfaultfd (see"),
                           (("continue",), "no mapping is registered on this userfaultfd for minor: register memory first"),
                           (("copy", "--from-zero"), "no mapping is registered on this userfaultfd for missing: register memory first")):
            contains(run(args[0], t.pid, "all", *args[1:], check=1).err, text)


@test
def register_all_takes_what_can_be_had():
    with target() as (t, m):
        t.memory("anon", 8 * PAGE)
        eq([x["start"] for x in rows("register", t.pid, "all", "--dry-run")], [m["addr"]], "minor: shmem alone")


@test
def register_handler_in_another_process():
    """The userfaultfd may be held by somebody else alone: found by whose memory it governs."""
    with target() as (t, m):
        child = t.child_handler(uffd=t.u, action="count")["pid"]
        t.close(fd=t.u)
        r = rows("register", t.pid, "@/memfd:guest")
        ok("ui" in smaps_flags(t.pid, m["addr"]), "registered")
        eq(run("smaps", "-J", t.pid, check=0).json()["smaps"][0]["holders"], [f"{child}:{r[0]['fd']}"], "the holder")
        rows("unregister", t.pid, "all", "-f", f"{child}:{r[0]['fd']}")
        r = run("register", child, "all", "-f", r[0]["fd"], check=1)
        contains(r.err, "memory of another process")


@test
def register_no_handshake():
    with Target() as t:
        fd = t.uffd(handshake=False)["fd"]
        m = t.memory(size=PAGE)
        r = run("register", t.pid, "all", check=1)
        contains(r.err, "has not issued UFFDIO_API yet")
        run("register", t.pid, "all", "--handshake", "--dry-run", check=0)
        eq(run("list", "-J", t.pid, check=0).json()["list"][0]["features"], None, "a dry run issues none")
        eq(t.handshake(uffd=fd, features=[]).get("errno"), None, "its own still works")
        fd2 = t.uffd(handshake=False)["fd"]
        r = run("register", t.pid, m["addr"] + "+4K", "-f", fd2, "--handshake", check=0)
        contains(r.err, "will fail with EINVAL")
        ok("ui" in smaps_flags(t.pid, m["addr"]), "registered")


# ---- symbols ----

@test
def symbol_executable():
    """A global of a PIE, with a memfd mapped over it; a static of the same program."""
    with Target() as t:
        t.userfaultfd()
        m = t.memory("symbol", 1 << 20)
        r = rows("register", t.pid, ":arena")
        eq([(x["start"], x["end"]) for x in r], [(m["addr"], hex(m["start"] + (1 << 20)))], "arena")
        r = rows("register", t.pid, "target:arena")
        eq(r[0]["start"], m["addr"], "with the file's name")
        r = run("register", "-J", t.pid, ":scratch", "-m", "wp", check=1)
        eq(len(r.json()["register"]), 1, "a local symbol of .data is found")
        contains(r.err, "this kind of memory")


@test
def register_wp_async_on_any_memory():
    with Target() as t:
        try:
            t.userfaultfd(["wp_async", "pagefault_flag_wp", "wp_unpopulated", "wp_hugetlbfs_shmem"])
        except TargetError as e:
            skip(f"this kernel has no UFFD_FEATURE_WP_ASYNC (Linux 6.7): {e}")
        eq(len(rows("register", t.pid, ":scratch", "-m", "wp")), 1, "private file memory")


@test
def symbol_errors():
    with Target() as t:
        t.userfaultfd()
        for text, want in ((":nonesuch", "no data object nonesuch"), ("nofile.so:arena", "no readable ELF file named"),
                           (":main", "no data object main")):
            contains(run("register", t.pid, text, check=1).err, want)


@test
def symbol_library():
    """Versioned, stripped with a separate debug file, and ambiguous."""
    with Target(env={"LD_PRELOAD": f"{HELPERS}/libarena.so.1"}) as t:
        t.userfaultfd()
        r = run("register", t.pid, "libarena.so.1:pool", "-m", "wp", "--dry-run", check=1)
        contains(r.err, "ambiguous")
        contains(r.err, "pool@POOL_1")
        contains(r.err, "pool@@POOL_2")
        one = rows("register", t.pid, ":pool@POOL_1", "-m", "wp", "--dry-run")
        two = rows("register", t.pid, ":pool@@POOL_2", "-m", "wp", "--dry-run")
        ok(one[0]["start"] != two[0]["start"], "two objects")
        r = rows("register", t.pid, ":hidden_pool", "-m", "wp", "--dry-run")
        ok(r, "a symbol that only the debug file has")
        # The program has an arena too.
        r = run("register", t.pid, ":arena", "--dry-run", check=1)
        contains(r.err, "target:arena")
        contains(r.err, "libarena.so.1:arena")


main()
