# SPDX-License-Identifier: GPL-2.0-or-later
"""serve and working sets: what is touched is recorded in its order, and brought in in this order another time."""
import os
import random
import sys
import tempfile

sys.path[0] += "/.."
from harness import HUGE, PAGE, contains, eq, fdinfo, hugepages, image, main, ok, run, small_tmpfs, target, test, wait_until
from harness.serve import Serve, joined, touch

NR, SEED, STALE = 64, 9, 1


def served(mode="missing", nr=NR):
    return target("memfd", nr * PAGE, mode=mode, seed=STALE if "minor" in mode else None)


def touch_page(t, m, i, page=PAGE, **how):
    """Waits until it is done, so that the order is certain."""
    joined(t, touch(t, m, threads=1, offset=i * page, len=page, **({"seed": SEED} if "access" not in how else {}), **how))


def runs(path):
    rows = run("set", "show", "-J", "--runs", path, check=0).json()["set"]
    return [(r["offset"] // PAGE, r["size"] // PAGE, r["access"]) for r in rows]


def pages_of(path):
    return {i for offset, size, _ in runs(path) for i in range(offset, offset + size)}


@test(each={"missing": ("missing",), "minor": ("minor",)})
def serve_set_record(mode):
    """Offsets in the image in the order of the first touch, with the access; a second touch adds nothing."""
    order = random.Random(1).sample(range(0, NR, 2), 8)
    with served(mode) as (t, m), image(NR) as img, tempfile.TemporaryDirectory() as d:
        with Serve(t.pid, "--from", img.name, "--record-set", f"{d}/set") as s:
            for n, i in enumerate(order):
                touch_page(t, m, i, **({"access": "write", "value": 5} if n % 2 else {}))
                touch_page(t, m, i, access="read")
            end = s.stop()
        eq(runs(f"{d}/set"), [(i, 1, "write" if n % 2 else "read") for n, i in enumerate(order)], "runs")
        eq((end["touched"], end["prefetch"], end["late"]), (8 * PAGE, 0, 0), f"{end}")
        eq(os.listdir(d), ["set"], "no other file")
        shown, = run("set", "show", "-J", f"{d}/set", check=0).json()["set"]
        eq(shown["image"], NR * PAGE, "image")


@test
def serve_set_is_of_the_image():
    """Offsets are those in the image, also if it begins later in the file and the range later in the image."""
    with served() as (t, m), image(NR + 2) as img, tempfile.TemporaryDirectory() as d:
        place = f"{m['start'] + NR // 2 * PAGE:x}+{NR // 2 * PAGE}"
        with Serve(t.pid, "--from", f"{img.name}@{2 * PAGE}", "--record-set", f"{d}/set", place) as s:
            touch_page(t, m, NR - 1, access="read")
            s.stop()
        eq(runs(f"{d}/set"), [(NR - 1, 1, "read")], "runs")
    with target("anon", NR * PAGE, mode="missing") as (t, m), image(NR) as img, tempfile.TemporaryDirectory() as d:
        place = f"{m['start'] + NR // 2 * PAGE:x}+{NR // 2 * PAGE}"
        with Serve(t.pid, "--from", img.name, "--record-set", f"{d}/set", place) as s:
            touch_page(t, m, NR - 1, access="read")
            s.stop()
        eq(runs(f"{d}/set"), [(NR // 2 - 1, 1, "read")], "in sequence")


@test
def serve_set_background_is_not_recorded():
    with served() as (t, m), image(NR) as img, tempfile.TemporaryDirectory() as d:
        with Serve(t.pid, "--from", img.name, "--record-set", f"{d}/set", "--prefault", "--until-complete") as s:
            eq(s.ended()["touched"], 0, "touched")
        eq(runs(f"{d}/set"), [], "runs")
    with served() as (t, m), image(NR) as img, tempfile.TemporaryDirectory() as d:
        with Serve(t.pid, "--from", img.name, "--record-set", f"{d}/a") as s:
            for i in range(8):
                touch_page(t, m, i * 4)
            s.stop()
        with served() as (t, m), Serve(t.pid, "--from", img.name, "--prefetch-set", f"{d}/a", "--record-set", f"{d}/b") as s:
            wait_until(lambda: run("pages", "-J", t.pid, m["addr"] + f"+{NR * PAGE}", check=0).json()["pages"][0]["mapped"] == 8 * PAGE,
                       "the set is there")
            for i in range(0, NR, 2):
                touch_page(t, m, i)
            s.stop()
        eq(pages_of(f"{d}/b"), {i for i in range(0, NR, 2) if i % 4 or i >= 32}, "what was not prefetched")


@test
def serve_set_limits():
    """By size: written then, while it serves on; by time, too."""
    for limit in ("--set-size=16K", "--set-time=1ms"):
        with served() as (t, m), image(NR) as img, tempfile.TemporaryDirectory() as d:
            with Serve(t.pid, "--from", img.name, "--record-set", f"{d}/set", limit) as s:
                for i in range(0, 16, 2):
                    touch_page(t, m, i)
                wait_until(lambda: os.path.exists(f"{d}/set"), "it is written", 20)
                before = runs(f"{d}/set")
                touch_page(t, m, 20)
                s.stop()
            eq(runs(f"{d}/set"), before, "nothing more")
            if "size" in limit:
                eq([r[0] for r in before], [0, 2, 4, 6], "runs")
            ok(len(before) <= 8, f"{before}")


@test(each={"missing": ("missing",), "minor": ("minor",), "both": ("minor,missing",)})
def serve_set_prefetch(mode):
    """What the set has is there without a fault, and right; nothing else is; with --prefault all else comes, too."""
    order = random.Random(2).sample(range(0, NR, 2), 8)
    with image(NR) as img, tempfile.TemporaryDirectory() as d:
        with served(mode) as (t, m), Serve(t.pid, "--from", img.name, "--record-set", f"{d}/set") as s:
            for i in order:
                touch_page(t, m, i)
            s.stop()
        with served(mode) as (t, m), Serve(t.pid, "--from", img.name, "--prefetch-set", f"{d}/set") as s:
            place = f"{m['addr']}+{NR * PAGE}"
            wait_until(lambda: run("pages", "-J", t.pid, place, check=0).json()["pages"][0]["mapped"] == 8 * PAGE, "they are there")
            for i in order:
                touch_page(t, m, i)
            end = s.stop()
            eq((sum(end["faults"].values()), end["prefetch"], end["late"], end["demand"]), (0, 8 * PAGE, 0, 0), f"{end}")
        with served(mode) as (t, m):
            with Serve(t.pid, "--from", img.name, "--prefetch-set", f"{d}/set", "--prefault", "--until-complete") as s:
                end = s.ended()
            eq((end["prefetch"], end["prefault"], end["done"]), (8 * PAGE, (NR - 8) * PAGE, NR * PAGE), f"{end}")
            eq(t.check(id=m["id"], seed=SEED)["differ"], 0, "contents")


@test
def serve_set_order():
    """By address, all else need not wait for the set; without that it does."""
    with image(NR) as img, tempfile.TemporaryDirectory() as d:
        with served() as (t, m), Serve(t.pid, "--from", img.name, "--record-set", f"{d}/set") as s:
            for i in range(0, NR, 2):
                touch_page(t, m, i)
            s.stop()
        # The set is brought in with 1 page a second; so is the rest, which is the first thing then, or comes after it.
        for order, first in (("address", True), ("set", False)):
            with served() as (t, m):
                args = ("--prefetch-set", f"{d}/set", "--prefault", "--rate=4K", "--order", order)
                with Serve(t.pid, "--from", img.name, *args) as s:
                    wait_until(lambda: run("pages", "-J", t.pid, m["addr"] + f"+{NR * PAGE}", check=0).json()["pages"][0]["mapped"] > PAGE,
                               "it begins", 20)
                    end = s.stop()
                eq(end["prefault"] > 0, first, f"{order}: {end}")
        with served() as (t, m):
            for args in (("--from", img.name, "--order=set"), ("--from", img.name, "--order=address", "--prefault")):
                contains(run("serve", t.pid, *args, check=2).err, "--order needs")
            contains(run("serve", t.pid, "--zero", "--order=x", check=2).err, "write set or address")


@test
def serve_set_huge():
    with hugepages(18), image(8, SEED, HUGE) as img, tempfile.TemporaryDirectory() as d:
        with target("hugetlb", 8 * HUGE, mode="missing") as (t, m):
            with Serve(t.pid, "--from", img.name, "--record-set", f"{d}/set") as s:
                for i in (5, 2):
                    touch_page(t, m, i, HUGE)
                s.stop()
        eq(runs(f"{d}/set"), [(5 * 512, 512, "read"), (2 * 512, 512, "read")], "runs")
        with target("hugetlb", 8 * HUGE, mode="missing") as (t, m), Serve(t.pid, "--from", img.name, "--prefetch-set", f"{d}/set") as s:
            wait_until(lambda: run("pages", "-J", t.pid, f"{m['addr']}+{8 * HUGE}", check=0).json()["pages"][0]["mapped"] == 2 * HUGE,
                       "they are there")
            eq(s.stop()["prefetch"], 2 * HUGE, "prefetch")


@test
def serve_set_refused():
    """A set of another image, no set, no place to write one: before anything is read."""
    with served() as (t, m), image(NR) as img, image(NR, SEED + 1) as other, image(NR + 1) as longer, \
            tempfile.TemporaryDirectory() as d:
        with Serve(t.pid, "--from", img.name, "--record-set", f"{d}/set") as s:
            touch_page(t, m, 3)
            s.stop()
        touch(t, m, threads=1, offset=PAGE, len=PAGE)
        wait_until(lambda: fdinfo(t.pid, t.u)["pending"] == 1, "a thread waits")
        for path in (other.name, longer.name, f"{img.name}@4K"):
            r = run("serve", t.pid, "--from", path, "--prefetch-set", f"{d}/set", check=1)
            ok("another image" in r.err or "too short" in r.err, r.err)
        contains(run("serve", "--dry-run", t.pid, "--from", other.name, "--prefetch-set", f"{d}/set", check=1).err, "another image")
        contains(run("serve", t.pid, "--from", img.name, "--prefetch-set", img.name, check=1).err, "not a")
        contains(run("serve", t.pid, "--from", img.name, "--prefetch-set", f"{d}/none", check=1).err, "No such file")
        contains(run("serve", t.pid, "--from", img.name, "--record-set", f"{d}/none/set", check=1).err, "can't be made")
        contains(run("serve", t.pid, "--from", "/dev/zero", "--record-set", f"{d}/a", check=1).err, "an image that has a size")
        eq((fdinfo(t.pid, t.u)["pending"], os.listdir(d)), (1, ["set"]), "nothing is read or written")
        for args, text in ((("--keep", "--record-set=x"), "need --from"), (("--zero", "--prefetch-set=x"), "need --from"),
                           (("--zero", "--set-time=1s"), "need --record-set"), (("--from=x", "--record-set=x", "--set-size=0"), "--set-size=0"),
                           (("--from=x", "--record-set=x", "--set-time=0"), "--set-time=0"),
                           *((("--from=x", f"--{name}="), f"--{name}=: write the path")
                             for name in ("record-set", "prefetch-set", "stale", "state", "openmetrics"))):
            contains(run("serve", t.pid, *args, check=2).err, text)


@test
def serve_set_lost():
    """What can't be written at the end is an error about this file, before the last object."""
    with served() as (t, m), image(NR) as img, tempfile.TemporaryDirectory() as d:
        os.mkdir(f"{d}/a")
        with Serve(t.pid, "--from", img.name, "--record-set", f"{d}/a/set", "--openmetrics", f"{d}/a/prom") as s:
            touch_page(t, m, 3)
            for name in os.listdir(f"{d}/a"):
                os.unlink(f"{d}/a/{name}")
            os.rmdir(f"{d}/a")
            s.stop(1)
        text = " ".join(s.errors())
        contains(text, f"{d}/a/set: not written")
        contains(text, f"{d}/a/prom")


@test
def serve_set_full_disk():
    """What can't be written is said with its reason, and nothing half-made stays."""
    with served() as (t, m), image(NR) as img, small_tmpfs(2 * PAGE) as d:
        with open(f"{d}/other", "wb") as f:
            f.write(bytes(2 * PAGE))
        with Serve(t.pid, "--from", img.name, "--record-set", f"{d}/set") as s:
            touch_page(t, m, 3)
            s.stop(1)
        eq([(o["error"], o["message"].split(": ")[-1]) for o in s.objects if o["type"] == "error"],
           [("ENOSPC", "No space left on device"), ("ENOSPC", "what was recorded is lost")], "errors")
        eq(os.listdir(d), ["other"], "files")


@test(each={"set": ("--record-set",), "metrics": ("--openmetrics",)})
def serve_set_replaces_files_only(option):
    """What is renamed into place must not take the place of a device, or fail at the end only."""
    with served() as (t, m), image(NR) as img, tempfile.TemporaryDirectory() as d:
        os.mkfifo(f"{d}/fifo")
        os.mkdir(f"{d}/folder")
        for name, text in (("fifo", "not a regular file"), ("folder", "Is a directory")):
            contains(run("serve", t.pid, "--from", img.name, "--prefault", "--until-complete", option, f"{d}/{name}", check=1).err, text)
        eq(sorted(os.listdir(d)), ["fifo", "folder"], "as before")
        eq(len(run("smaps", "-J", t.pid, check=0).json()["smaps"]), 1, "it is registered still: nothing was served")


main()
