# SPDX-License-Identifier: GPL-2.0-or-later
"""serve with an image from nbdkit: a server that is slow, fails, goes away and comes back; working sets brought in from it."""
import os
import random
import re
import signal
import sys

sys.path[0] += "/.."
from harness import PAGE, contains, eq, fdinfo, links, main, ok, pattern_page, run, spawn, target, test, wait_until
from harness.nbd import nbd_image, nbd_server
from harness.serve import Serve, joined, touch

NR, SEED, STALE = 256, 9, 1
CONTENTS = b"".join(pattern_page(SEED, i) for i in range(NR))


def served(mode="missing", kind="memfd"):
    return target(kind, NR * PAGE, mode=mode, seed=STALE if mode == "minor" else None, timeout=60)


def mapped(t, m):
    return run("pages", "-J", t.pid, f"{m['addr']}+{NR * PAGE}", check=0).json()["pages"][0]["mapped"]


def is_right(t, m):
    eq(t.check(id=m["id"], seed=SEED)["differ"], 0, "contents")


@test(each={"anon-missing": ("missing", "anon"), "shmem-missing": ("missing", "memfd"), "shmem-minor": ("minor", "memfd")})
def real_nbd_serve(mode, kind):
    """Each page is asked for once: by several threads, and as many requests as the server has counted."""
    with nbd_image(contents=CONTENTS) as d, served(mode, kind) as (t, m):
        with nbd_server(d, f"statsfile={d}/stats", filters=("stats",)) as (uri, p):
            with Serve(t.pid, "--from", uri) as s:
                eq((s.start["source"], s.start["total"]), ("server", NR * PAGE), "start")
                joined(t, touch(t, m, threads=1, order="seq", len=NR // 2 * PAGE, seed=SEED))
                joined(t, touch(t, m, seed=SEED, offset=NR // 2 * PAGE, len=NR // 2 * PAGE))
                end = s.stop()
            p.terminate()
            p.wait()
            with open(f"{d}/stats") as f:
                stats = f.read()
        reads = re.search(r"read: (\d+) ops, .*?, ([\d.]+) (\w+)", stats)
        ok(NR // 2 <= int(reads[1]) <= NR, f"{stats}")
        eq(float(reads[2]) * {"KiB": 1 << 10, "MiB": 1 << 20}[reads[3]], NR * PAGE, f"bytes: {stats}")
        eq((end["demand"], end["done"], end["errors"]), (NR * PAGE, NR * PAGE, 0), f"end: {end}")
        is_right(t, m)


@test
def real_nbd_serve_counts():
    """One thread, one page at a time: a request each; in the background 256 KiB each."""
    for args, requests in (((), NR), (("--prefault", "--until-complete"), NR * PAGE >> 18)):
        with nbd_image(contents=CONTENTS) as d, served() as (t, m):
            with nbd_server(d, f"statsfile={d}/stats", filters=("stats",)) as (uri, p):
                with Serve(t.pid, "--from", uri, *args) as s:
                    if args:
                        eq(s.ended()["reason"], "complete", "reason")
                    else:
                        joined(t, touch(t, m, threads=1, order="seq", seed=SEED))
                        eq(s.stop()["faults"]["missing"], NR, "faults")
                p.terminate()
                p.wait()
                with open(f"{d}/stats") as f:
                    eq(int(re.search(r"read: (\d+) ops", f.read())[1]), requests, "requests")
            is_right(t, m)


@test(limit=120)
def real_nbd_serve_comes_back():
    """The server is killed in the middle: pages wait, none is wrong; it is started again, and all of it comes."""
    with nbd_image(contents=CONTENTS) as d, served("minor") as (t, m):
        with nbd_server(d, "delay-read=5ms", filters=("delay",)) as (uri, p):
            s = Serve(t.pid, "--from", uri, "--prefault", "--rate=64K")
            threads = touch(t, m, threads=4, seed=SEED, delay_us=2000)
            wait_until(lambda: fdinfo(t.pid, t.u)["total"] > 0, "threads fault", 20)
            p.kill()
            p.wait()
        with s:
            while "threads that need this page wait" not in s.error():
                pass
            ok(not all(t.status(thread=th)["done"] for th in threads), "threads wait")
            with nbd_server(d) as (uri, _):
                joined(t, threads, 60000)
                joined(t, touch(t, m, seed=SEED))
                end = s.stop()
        eq((end["done"], end["held"]), (NR * PAGE, 0), f"end: {end}")
        is_right(t, m)


@test(limit=120)
def real_nbd_serve_errors():
    """What the server fails to read is tried again, until it is there."""
    with nbd_image(contents=CONTENTS) as d, served() as (t, m):
        with nbd_server(d, "error-pread-rate=30%", "error=EIO", filters=("error",)) as (uri, _), Serve(t.pid, "--from", uri) as s:
            joined(t, touch(t, m, seed=SEED), 60000)
            eq(s.stop()["demand"], NR * PAGE, "demand")
        is_right(t, m)


@test(limit=60)
def real_nbd_serve_another_image():
    """A server that comes back with an image of another size is not read."""
    with nbd_image(contents=CONTENTS) as d, served() as (t, m):
        with nbd_server(d) as (uri, _):
            s = Serve(t.pid, "--from", uri)
            joined(t, touch(t, m, threads=1, len=PAGE, seed=SEED))
        with s:
            os.truncate(f"{d}/image", NR * PAGE * 2)
            with nbd_server(d) as (uri, _):
                th = touch(t, m, threads=1, offset=PAGE, len=PAGE, seed=SEED)
                contains(s.error(), "an image of another size")
            os.truncate(f"{d}/image", NR * PAGE)
            with nbd_server(d) as (uri, _):
                joined(t, th, 30000)
                s.stop()


@test(limit=120)
def real_nbd_serve_another_image_untouched():
    """It is said although no thread faults, and although another reason was said before."""
    with nbd_image(contents=CONTENTS) as d, served() as (t, m):
        with nbd_server(d) as (uri, _):
            s = Serve(t.pid, "--from", uri, "--prefault", "--rate=64K")
        with s:
            contains(s.error(), "can't be brought in")
            os.truncate(f"{d}/image", NR * PAGE * 2)
            with nbd_server(d):
                while "an image of another size" not in s.error():
                    pass
            os.truncate(f"{d}/image", NR * PAGE)
            with nbd_server(d):
                joined(t, touch(t, m, seed=SEED), 60000)
                s.stop()
        is_right(t, m)


@test(limit=60)
def real_nbd_serve_does_not_answer():
    """Ctrl-C ends it at once, also before it serves; the waiters are the next one's."""
    with nbd_image(contents=CONTENTS) as d, served() as (t, m):
        with nbd_server(d, "delay-read=3600", filters=("delay",)) as (uri, _):
            with Serve(t.pid, "--from", uri, "--prefault") as s:
                threads = touch(t, m, threads=4, seed=SEED)
                wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 4, "they wait")
                end = s.stop()
                eq((end["errors"], s.errors()), (0, []), f"{end}")
            c = spawn("serve", t.pid, "--from", uri, "--record-set", f"{d}/set")
            wait_until(lambda: any(link.startswith("socket:") for link in links(c.pid)), "it reads")
            c.send_signal(signal.SIGINT)
            out, err = c.communicate(timeout=30)
            eq((c.returncode, out), (1, b""), f"it ends: {err}")
            contains(err.decode(), "interrupted: nothing was changed")
        with nbd_server(d) as (uri, _), Serve(t.pid, "--from", uri) as s:
            joined(t, threads)
            s.stop()
        is_right(t, m)


@test(limit=120)
def real_nbd_serve_set():
    """Each read takes 2 ms: with the set that another run recorded, few of its pages are still waited for."""
    order = random.Random(3).sample(range(0, NR, 2), NR // 4)
    with nbd_image(contents=CONTENTS) as d, nbd_server(d, "delay-read=2ms", filters=("delay",)) as (uri, _):
        def replay(*args):
            with served() as (t, m), Serve(t.pid, "--from", uri, *args) as s:
                if "--prefetch-set" in args:
                    wait_until(lambda: mapped(t, m) >= NR // 8 * PAGE, "half of it is there")
                for i in order:
                    joined(t, touch(t, m, threads=1, offset=i * PAGE, len=PAGE, seed=SEED))
                return s.stop()

        end = replay("--record-set", f"{d}/set")
        eq((end["faults"]["missing"], end["touched"]), (NR // 4, NR // 4 * PAGE), "the first run")
        end = replay("--prefetch-set", f"{d}/set")
        ok(end["faults"]["missing"] <= NR // 8, f"few faults: {end}")
        ok(end["late"] <= end["faults"]["missing"], f"late: {end}")
        eq(end["prefetch"] + end["demand"], NR // 4 * PAGE, f"all of it came once: {end}")
        with nbd_image(contents=CONTENTS[PAGE:] + CONTENTS[:PAGE]) as e, nbd_server(e) as (other, _), served() as (t, _):
            contains(run("serve", t.pid, "--from", other, "--prefetch-set", f"{d}/set", check=1).err, "another image")


@test(limit=60)
def real_nbd_serve_set_comes_back():
    """What of a set could not be brought in, because the server was away, comes later, though nobody asks for it."""
    lines = [f"{i * 2 * PAGE:x} {PAGE:x} r {i}" for i in range(NR // 4)]
    with nbd_image(contents=CONTENTS) as d, served() as (t, m):
        with nbd_server(d) as (uri, _), served() as (u, n), Serve(u.pid, "--from", uri, "--record-set", f"{d}/set") as s:
            joined(u, touch(u, n, threads=1, len=PAGE, seed=SEED))
            s.stop()
        with open(f"{d}/set") as f:
            head = f.read().splitlines()[:2]
        with open(f"{d}/set", "w") as f:
            f.write("\n".join([*head, *lines, f"end {len(lines)}", ""]))
        with nbd_server(d, "delay-read=30ms", filters=("delay",)) as (uri, p):
            s = Serve(t.pid, "--from", uri, "--prefetch-set", f"{d}/set")
            p.kill()
            p.wait()
        with s:
            contains(s.error(), "can't be brought in")
            with nbd_server(d) as (uri, _):
                wait_until(lambda: mapped(t, m) == NR // 4 * PAGE, "all of it is there", 30)
                end = s.stop()
            eq((end["demand"], end["prefetch"], sum(end["faults"].values())), (0, NR // 4 * PAGE, 0), f"{end}")


main()
