# SPDX-License-Identifier: GPL-2.0-or-later
"""continue and copy with contents from nbdkit: an image on a server, which may be slow, fail, stop or go away."""
import os
import signal
import sys

sys.path[0] += "/.."
from harness import contains, eq, main, ok, run, spawn, target, test, wait_until
from harness.nbd import NBD_SIZE as SIZE, nbd_image as image, nbd_server as server


def same(d, t, m):
    """The memory is what the image has."""
    run("peek", "--diff", f"{d}/image", t.pid, f"{m['addr']}+{m['size']}", check=0)


def states(t):
    return {r["state"] for r in run("pages", "-J", "--runs", t.pid, check=0).json()["pages"]}


@test
def real_nbd_continue():
    with image() as d, server(d) as (uri, _), target(size=SIZE, mode="minor") as (t, m):
        row, = run("continue", "-J", "--from", uri, t.pid, "all", check=0).json()["continue"]
        eq((row["filled"], row["mapped"], row["error"]), (SIZE, SIZE, None), "row")
        same(d, t, m)


@test
def real_nbd_copy_by_offset():
    """A part of a file, by its offset; through several connections or one."""
    for filters in ((), ("noparallel",), ("multi-conn",)):
        args = ("multi-conn-mode=disable",) if "multi-conn" in filters else ()
        with image() as d, server(d, *args, filters=filters) as (uri, _), target(size=SIZE, mode="missing") as (t, m):
            place = f"{m['start'] + SIZE // 2:x}+{SIZE // 4}"
            run("copy", "--by-offset", "--from", uri, t.pid, place, check=0)
            run("peek", "--diff", f"{d}/image", "--by-offset", t.pid, place, check=0)
            run("copy", "--by-offset", "--from", f"{uri}@0", t.pid, "all", check=0)
            same(d, t, m)


@test
def real_nbd_too_short():
    with image(SIZE // 2) as d, server(d) as (uri, _), target(size=SIZE, mode="minor") as (t, m):
        contains(run("continue", "--from", uri, t.pid, "all", check=1).err, "too short")
        contains(run("continue", "--from", f"{uri}@{SIZE // 4}", t.pid, f"{m['addr']}+{SIZE // 2}", check=1).err, "too short")


@test
def real_nbd_refused():
    with image() as d, target(size=SIZE, mode="minor") as (t, _):
        for uri in (f"nbd+unix:///?socket={d}/none", "nbd://127.0.0.1:1", "nbd://\x1b[31m/", "nbd+unix:///"):
            r = run("continue", "--from", uri, t.pid, "all", check=1)
            ok("\x1b" not in r.err, f"{r}")
            contains(r.err, "the contents")
        r = run("peek", "--diff", "nbd://127.0.0.1:1", t.pid, "all", check=3)
        contains(r.err, "compares with a file")
        contains(run("continue", "--from", f"{d}/nbd://x", t.pid, "all", check=1).err, "No such file")


@test
def real_nbd_errors():
    """What the server can't read is not done, and said; what there is else is right; the next time all of it is."""
    with image() as d, target(size=SIZE, mode="minor") as (t, m):
        with server(d, "error-pread-rate=50%", "error=EIO", filters=("error",)) as (uri, _):
            row, = run("continue", "-J", "--from", uri, t.pid, "all", check=1).json()["continue"]
            ok(row["filled"] < SIZE and row["error"], f"{row}")
            diff = run("peek", "-J", "--diff", f"{d}/image", t.pid, "all").json()["peek"]
            eq([r for r in diff if r["state"] == "differs"], [], "nothing is wrong")
        with server(d) as (uri, _):
            run("continue", "--from", uri, t.pid, "all", check=0)
        same(d, t, m)


@test
def real_nbd_goes_away():
    """It is killed meanwhile: an error, and nothing is half filled."""
    with image() as d, target(size=SIZE, mode="minor") as (t, m):
        with server(d, "rate=8M", filters=("rate",)) as (uri, p):
            c = spawn("continue", "-J", "--from", uri, t.pid, "all")
            wait_until(lambda: states(t) != {"absent"}, "some is there")
            p.kill()
            out, err = c.communicate(timeout=60)
            eq(c.returncode, 1, f"exit status: {out} {err}")
        diff = run("peek", "-J", "--diff", f"{d}/image", t.pid, "all").json()["peek"]
        eq([r for r in diff if r["state"] == "differs"], [], "nothing is wrong")
        with server(d) as (uri, _):
            run("continue", "--from", uri, t.pid, "all", check=0)
        same(d, t, m)


@test
def real_nbd_does_not_answer():
    """Ctrl-C ends the wait for it."""
    with image() as d, target(size=SIZE, mode="minor,missing") as (t, _):
        with server(d, "delay-read=3600", filters=("delay",)) as (uri, _):
            for command in ("continue", "copy"):
                c = spawn(command, "--from", uri, t.pid, "all")
                wait_until(lambda c=c: len(os.listdir(f"/proc/{c.pid}/task")) > 2 or c.poll() is not None, "threads are at work")
                c.send_signal(signal.SIGINT)
                out, err = c.communicate(timeout=60)
                ok(c.returncode in (1, 130, -signal.SIGINT), f"{command}: {c.returncode} {out} {err}")
        eq(states(t), {"absent"}, "nothing was made")


main()
