# SPDX-License-Identifier: GPL-2.0-or-later
"""continue and wake: what is mapped, what is left alone, what happens when the target moves."""
import json
import os
import signal
import sys
import time

sys.path[0] += "/.."
from harness import (FEATURES, PAGE, cgroup, contains, eq, fdinfo, fewer, image, into, links, main, ok, pattern_page,
                     run, spawn, target, test, wait_until)
from harness.moves import MOVES, moving


def result(*args, rc=0):
    return run("continue", "-J", *args, check=rc).json()["continue"]


@test
def continue_holes():
    """Every second page is missing in the page cache: absent, and the exit status says so."""
    with target() as (t, m):
        for i in range(0, 16, 2):
            t.fill(id=m["id"], offset=i * PAGE, len=PAGE, seed=1)
        t.register(uffd=t.u, id=m["id"], mode=["minor"])
        r = run("continue", "-J", t.pid, "all", check=1)
        contains(r.err, "32768 bytes are absent")
        row = r.json()["continue"][0]
        eq((row["mapped"], row["already"], row["absent"]), (8 * PAGE, 0, 8 * PAGE), "every second")
        row = result(t.pid, "all", rc=1)[0]
        eq((row["mapped"], row["already"], row["absent"]), (0, 8 * PAGE, 8 * PAGE), "again")


@test
def continue_fallocated():
    """Pages that were allocated and never written are in the page cache: they minor-fault."""
    with target() as (t, m):
        t.fallocate(id=m["id"], offset=0, len=8 * PAGE, mode="alloc")
        t.register(uffd=t.u, id=m["id"], mode=["minor"])
        row = result(t.pid, "all", rc=1)[0]
        eq((row["mapped"], row["absent"]), (8 * PAGE, 8 * PAGE), "the allocated half")


@test
def continue_past_end_of_file():
    with target(seed=1, mode="minor") as (t, m):
        t.truncate(id=m["id"], size=8 * PAGE)
        row = result(t.pid, "all", "--from-zero", rc=1)[0]
        eq((row["mapped"], row["absent"]), (8 * PAGE, 8 * PAGE), "what lies past the end is absent")
        eq(os.stat(f"/proc/{t.pid}/fd/{m['fd']}").st_size, 8 * PAGE, "the file did not grow")


@test
def continue_several_mappings():
    with target(seed=1, mode="minor") as (t, m):
        n = t.memory(size=8 * PAGE, seed=2, mode="minor", name="other")
        rows = result(t.pid, "@/memfd:*")
        eq(sorted(r["mapped"] for r in rows), [8 * PAGE, 16 * PAGE], "both, each in its own row")
        eq(t.check(id=m["id"], seed=1)["differ"] + t.check(id=n["id"], seed=2)["differ"], 0, "contents")


@test
def continue_threads():
    """64 MiB by one thread and by three: the same, to the byte; wakes all."""
    for n in (1, 3):
        with target(size=64 << 20, seed=1, mode="minor") as (t, m):
            ths = t.touch(id=m["id"], access="read", seed=1, threads=4, split=True)["threads"]
            wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 4, "four threads wait")
            row = result(t.pid, "all", "--threads", n)[0]
            eq((row["mapped"], row["already"], row["absent"]), (64 << 20, 0, 0), f"{n} threads")
            for th in ths:
                j = t.join(thread=th)
                eq((j["done"], j["mismatches"]), (True, 0), "thread")


@test(rule="blocked-is-said")
def continue_no_wake():
    with target(seed=1, mode="minor") as (t, m):
        th = t.touch(id=m["id"], len=PAGE, access="read")["threads"][0]
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 1, "a thread waits")
        r = run("continue", t.pid, "all", "--no-wake", check=0)
        contains(r.err, "stay asleep")
        eq(fdinfo(t.pid, t.u)["total"], 1, "it waits on")
        rows = run("wake", "-J", t.pid, "all", check=0).json()["wake"]
        eq([(x["start"], x["mapped"], x["error"]) for x in rows], [(m["addr"], None, None)], "wake")
        ok(t.join(thread=th)["done"], "now it goes on")


@test
def continue_wakes_who_sleeps_on_a_mapped_page():
    """EEXIST is no reason to let a thread sleep: somebody mapped the page without waking."""
    with target(seed=1, mode="minor") as (t, m):
        th = t.touch(id=m["id"], len=PAGE, access="read")["threads"][0]
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 1, "a thread waits")
        t.continue_(uffd=t.u, id=m["id"], offset=0, len=PAGE, wake=False)
        eq(fdinfo(t.pid, t.u)["total"], 1, "still")
        row = result(t.pid, f"{m['addr']}+4K")[0]
        eq((row["mapped"], row["already"]), (0, PAGE), "already")
        ok(t.join(thread=th)["done"], "it goes on")


@test
def continue_dead_handler():
    """A handler read the message and died: wake makes the thread ask again, continue frees it."""
    with target(seed=1, mode="minor") as (t, m):
        th = t.touch(id=m["id"], len=PAGE, access="read", seed=1)["threads"][0]
        t.read_msg(uffd=t.u, timeout_ms=5000)
        eq((fdinfo(t.pid, t.u)["pending"], fdinfo(t.pid, t.u)["total"]), (0, 1), "delivered, not resolved")
        run("wake", t.pid, f"{m['addr']}+4K", check=0)
        wait_until(lambda: fdinfo(t.pid, t.u)["pending"] == 1, "the message is back in the queue")
        result(t.pid, f"{m['addr']}+4K")
        j = t.join(thread=th)
        eq((j["done"], j["mismatches"]), (True, 0), "it goes on")


@test
def continue_wake_after_munmap():
    """A thread blocked on a range that was unmapped meanwhile is freed by wake, mapped or not."""
    with target(seed=1, mode="minor") as (t, m):
        th = t.touch(id=m["id"], len=PAGE, access="read")["threads"][0]
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 1, "a thread waits")
        t.unregister(uffd=t.u, id=m["id"], offset=0, len=16 * PAGE)
        time.sleep(0.1)
        ok(not t.status(thread=th)["done"], "the kernel does not wake it")
        run("wake", t.pid, f"{m['addr']}+4K", check=0)
        ok(t.join(thread=th)["done"], "wake does")


# ---- filling ----

@test(rule="mapped-is-left-alone")
def continue_from_half_mapped():
    """Pages that the target has mapped and changed are not written; all others get the contents."""
    nr = 512
    with target(size=nr * PAGE, seed=1, mode="minor") as (t, m), image(nr) as img:
        for i in range(0, nr, 2):
            t.continue_(uffd=t.u, id=m["id"], offset=i * PAGE, len=PAGE)
            t.poke(id=m["id"], offset=i * PAGE, hex="%016x" % i, through="self")
        row = result(t.pid, "all", "--from", img.name)[0]
        eq((row["mapped"], row["already"]), (nr // 2 * PAGE, nr // 2 * PAGE), "half and half")
        for i in range(nr):
            want = bytes.fromhex("%016x" % i) if i % 2 == 0 else pattern_page(9, i)[:8]
            eq(t.peek(id=m["id"], offset=i * PAGE, len=8, through="second")["hex"], want.hex(), f"page {i}")


@test(limit=120)
def continue_from_while_touched():
    """Threads write into the range while it is filled: each page ends as contents plus their write."""
    nr = 8192
    for fill in (True, False):
        with target(size=nr * PAGE, seed=1 if fill else None, mode="minor") as (t, m), image(nr) as img:
            ths = t.touch(id=m["id"], access="write", value=0x5a5a, threads=3, order="random")["threads"]
            row = result(t.pid, "all", "--from", img.name)[0]
            for th in ths:
                ok(t.join(thread=th, timeout_ms=20000)["done"], "writer")
            eq(row["mapped"] + row["already"], nr * PAGE, "each page once")
            c = t.check_file(id=m["id"], seed=9, tail=0x5a5a)
            if fill:
                eq(c["differ"], 0, "contents under the writes, nobody's write lost")
                eq(row["already"], 0, "in the page cache, none was mapped before it was filled")
            else:
                # Absent pages a thread may have mapped first, as zeros: those are its own.
                eq(c["match"] * PAGE, row["mapped"], "what was reported as mapped has the contents")
                zero = 0
                for i in range(nr):
                    head = t.peek(id=m["id"], offset=i * PAGE, len=8, through="second")["hex"]
                    zero += head == "00" * 8
                eq(zero * PAGE, row["already"], "what was reported as already is the target's own")


@test
def continue_from_offset_and_ranges():
    """Contents follow on from range to range, from OFFSET on."""
    with target(seed=1, mode="minor") as (t, m), image(16) as img:
        a = m["start"]
        rows = result(t.pid, f"{a + 8 * PAGE:x}+8K", f"{a:x}-{a + PAGE:x}", "--from", f"{img.name}@4K")
        eq([x["mapped"] for x in rows], [2 * PAGE, PAGE], "rows")
        for page, content in ((8, 1), (9, 2), (0, 3)):
            eq(t.peek(id=m["id"], offset=page * PAGE, len=8, through="second")["hex"],
               pattern_page(9, content)[:8].hex(), f"page {page}")
        eq(t.peek(id=m["id"], offset=PAGE, len=8, through="second")["hex"], pattern_page(1, 1)[:8].hex(), "untouched")


@test(rule="mapped-is-left-alone")
def continue_from_two_mappings_of_one_file():
    """A page of the file is filled once: the second mapping of it is only continued."""
    with target(seed=1, mode="minor") as (t, m), image(32) as img:
        t.memory(mode="minor", of=m["id"])
        rows = result(t.pid, "all", "--from", img.name)
        eq([x["mapped"] for x in rows], [16 * PAGE] * 2, "both are mapped")
        for i in range(16):
            eq(t.peek(id=m["id"], offset=i * PAGE, len=8, through="self")["hex"], pattern_page(9, i)[:8].hex(),
               f"page {i}")


@test(limit=120)
def continue_from_while_moved():
    """A mapping full of the target's data goes away under a fill: where it was looks empty, and is not written."""
    for how in ("mremap", "munmap"):
        with target(size=256 << 20) as (t, m):
            t.fill(id=m["id"], seed=1)
            t.register(uffd=t.u, id=m["id"], mode=["minor"])
            result(t.pid, "all")
            p = spawn("continue", t.pid, m["addr"] + "+256M", "--from-zero", "-t", "1")
            time.sleep(0.03)
            if how == "mremap":
                t.mremap(id=m["id"], new_size=256 << 20, move=True)
            else:
                t.munmap(id=m["id"], offset=0, len=256 << 20)
            p.communicate(timeout=60)
            if how == "mremap":
                eq(t.check_file(id=m["id"], seed=1)["differ"], 0, "nothing is lost")
            else:
                with open(f"/proc/{t.pid}/fd/{m['fd']}", "rb") as f:
                    for i in range(0, 65536, 7):
                        f.seek(i * PAGE)
                        eq(f.read(8), pattern_page(1, i)[:8], f"page {i}")


@test(limit=120)
def continue_from_while_punched():
    """Pages taken out of the file and written anew by the target during a fill keep what it wrote."""
    nr = 16384
    with target(size=nr * PAGE, seed=1, mode="minor") as (t, m):
        p = spawn("continue", t.pid, "all", "--from-zero", "-t", "1")
        mine = range(nr - 1, nr - 1500, -1)
        for i in mine:
            t.madvise(id=m["id"], offset=i * PAGE, len=PAGE, advice="remove")
            t.poke(id=m["id"], offset=i * PAGE, hex="%016x" % i, through="self")
            if p.poll() is not None:
                break
        p.communicate(timeout=60)
        for k in range(nr - 1, i - 1, -1):
            eq(t.peek(id=m["id"], offset=k * PAGE, len=8, through="second")["hex"], "%016x" % k, f"page {k}")


@test
def continue_signals_ignored():
    """What was ignored, as by nohup(1), stays ignored."""
    with target(size=1 << 30) as (t, m):
        t.fallocate(id=m["id"], offset=0, len=1 << 30, mode="alloc")
        t.register(uffd=t.u, id=m["id"], mode=["minor"])
        p = spawn("continue", t.pid, "all", preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        while p.poll() is None:
            p.send_signal(signal.SIGHUP)
            time.sleep(0.002)
        eq(p.returncode, 0, "done")


@test
def continue_from_zero():
    with target(seed=1, mode="minor") as (t, m):
        eq(result(t.pid, "all", "--from-zero")[0]["mapped"], 16 * PAGE, "mapped")
        eq(t.peek(id=m["id"], offset=5 * PAGE, len=64, through="self")["hex"], "00" * 64, "zeros")


@test(rule="not-beside-a-reader")
def continue_from_refused_with_a_handler():
    with target(seed=1, mode="minor") as (t, m), image(16) as img:
        t.handler(uffd=t.u, action="count")
        r = run("continue", t.pid, "all", "--from", img.name, check=1)
        contains(r.err, "--force")
        eq(t.check_file(id=m["id"], seed=1)["differ"], 0, "nothing was written")
        eq(result(t.pid, "all", "--from", img.name, "--force")[0]["mapped"], 16 * PAGE, "forced")


@test
def continue_from_bad_source():
    with target(seed=1, mode="minor") as (t, m), image(15) as img:
        for source, text in ((img.name, "too short: 61440 bytes"), (img.name + "@64K", "too short: 0 bytes"),
                             ("/nonexistent", "No such file"), ("/tmp", "Is a directory")):
            r = run("continue", t.pid, "all", "--from", source, check=1)
            contains(r.err, text)
        eq(t.check_file(id=m["id"], seed=1)["differ"], 0, "nothing was written")
        r = run("continue", t.pid, "all", "--from", img.name, "--from-zero", check=2)
        contains(r.err, "exclude each other")


@test
def continue_from_needs_minor():
    """On a range for missing only, the target could map a page while it is filled."""
    with target(seed=1) as (t, m):
        t.register(uffd=t.u, id=m["id"], mode=["missing"])
        r = run("continue", t.pid, f"{m['addr']}+4K", "--from-zero", check=1)
        contains(r.err, "not registered for minor")


@test
def continue_dry_run():
    with target(seed=1, mode="minor") as (t, m):
        row = result(t.pid, "all", "--dry-run", "--from-zero")[0]
        eq((row["mapped"], row["already"], row["error"]), (None, None, None), "not known before it is done")
        eq(t.check_file(id=m["id"], seed=1)["differ"], 0, "nothing was written")


# ---- a target that moves ----

@test(each=MOVES, limit=120)
def continue_while(action, texts):
    for _ in range(4):
        moving(action, texts, "continue", "minor")


@test
def continue_from_past_our_own_limit():
    """The pages that filling makes are charged to us: said before, as the kernel kills without a word."""
    with cgroup(256 << 20) as path:
        with target(size=512 << 20, mode="minor") as (t, _):
            p = spawn("continue", "--dry-run", "--from-zero", t.pid, "all", preexec_fn=lambda: into(path, os.getpid()))
            _, err = p.communicate(timeout=50)
            eq(p.returncode, 0, "exit status")
            contains(err.decode(), "uffdctl's own memory cgroup")


@test
def continue_from_while_truncated():
    """What lies past the new end is absent, and the rest is done."""
    size = 256 << 20
    with target(size=size, mode="minor") as (t, m):
        p = spawn("continue", "-J", "-t", "1", "--from-zero", t.pid, "all")
        wait_until(lambda: any("userfaultfd" in link for link in links(p.pid)) or p.poll() is not None,
                   "it has the userfaultfd")
        time.sleep(0.02)
        t.truncate(id=m["id"], size=size // 2)
        out, err = p.communicate(timeout=50)
        row = json.loads(out)["continue"][0]
        eq(row["error"], None, "error")
        eq(row["mapped"] + row["already"] + row["absent"], size, "each page is counted")
        ok(p.returncode == (row["absent"] > 0), f"exit status: {err}")


@test(limit=120)
def continue_while_mappings_come_and_go():
    """A process that maps and unmaps all the time keeps us waiting, and no more."""
    size = fewer(20) * (16 << 20)
    with target(size=size, seed=1, mode="minor") as (t, _):
        t.churn(threads=3)
        row = result(t.pid, "all", "--from-zero")[0]
        eq((row["mapped"], row["error"]), (size, None), "all of it")


@test
def continue_unread_event():
    """An event that nobody reads keeps the kernel from letting anybody act: told, after two seconds."""
    with target(features=FEATURES + ["event_remove"], seed=1, mode="minor") as (t, m):
        t.madvise(id=m["id"], offset=0, len=PAGE, advice="dontneed", async_=True)
        time.sleep(0.2)
        r = run("continue", t.pid, "all", check=1)
        contains(r.err, "event of the userfaultfd is unread")


@test
def continue_interrupted():
    """Ctrl-C: a clean end, and a report of what was done."""
    with target(size=8 << 30) as (t, m):
        t.register(uffd=t.u, id=m["id"], mode=["minor"])
        p = spawn("continue", "-J", t.pid, "all", "--progress=always")
        wait_until(lambda: b"left" in os.read(p.stderr.fileno(), 4096), "it is at work")
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=20)
        eq(p.returncode, 1, "exit status")
        contains(err.decode(), "interrupted")
        contains(out.decode(), '"absent"')


@test(rule="only-the-owner")
def continue_only_the_owner():
    """Through another userfaultfd CONTINUE would map the page and wake nobody: refused, and the owner found."""
    with target(seed=1, mode="minor") as (t, m):
        other = t.userfaultfd()
        r = run("continue", t.pid, f"{m['addr']}+4K", "-f", other, check=1)
        contains(r.err, f"registered on another userfaultfd ({t.pid}:{t.u})")
        eq(result(t.pid, f"{m['addr']}+4K")[0]["mapped"], PAGE, "by itself it takes the owner")
        r = run("continue", t.pid, "all", check=1)
        contains(r.err, f"{t.pid}:{t.u}, {t.pid}:{other}")


@test
def continue_reader_while_the_pipe_was_awaited():
    """A handler that begins to read while the contents are awaited stops the filling as one before would."""
    with target(seed=1, mode="minor") as (t, m):
        p = spawn("continue", t.pid, f"{m['addr']}+{m['size']}", "--from", "-")
        wait_until(lambda: any("memfd:uffdctl-contents" in x for x in links(p.pid)), "it waits")
        t.handler(uffd=t.u, action="count")
        _, err = p.communicate(bytes(m["size"]), timeout=20)
        eq(p.returncode, 1, "exit status")
        contains(err.decode(), "a handler reads the messages")


@test
def continue_leaks_nothing():
    """valgrind-like check by hand: descriptors of the target are as many as before."""
    with target(seed=1, mode="minor") as (t, _):
        before = sorted(os.listdir(f"/proc/{t.pid}/fd"))
        for _ in range(3):
            run("continue", t.pid, "all", "--from-zero", check=0)
        eq(sorted(os.listdir(f"/proc/{t.pid}/fd")), before, "descriptors")


main()
