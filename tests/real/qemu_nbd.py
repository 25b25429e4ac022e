# SPDX-License-Identifier: GPL-2.0-or-later
"""serve --stale=qemu:dirty-bitmap:NAME: which pages are stale is said by QEMU's server, qemu-nbd."""
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile

sys.path[0] += "/.."
from harness import PAGE, contains, eq, image, main, pattern_page, run, skip, target, test, wait_until
from harness.serve import Serve, joined, touch

NR, SEED, STALE = 64, 9, 1
WRITTEN = {0, 5, 6, 7, 20, 63}


def tool(*argv):
    r = subprocess.run([str(a) for a in argv], capture_output=True, text=True)
    eq(r.returncode, 0, f"{argv}: {r.stderr}")


@contextlib.contextmanager
def exported(granularity, *args):
    """An image of QEMU's of which these pages were written after a bitmap was begun; the URI under which it is exported."""
    if not shutil.which("qemu-nbd"):
        skip("qemu-nbd is not installed; Debian's package qemu-utils, which make check installs, runs this")
    with tempfile.TemporaryDirectory(prefix="uffdctl-qemu.") as d, image(NR, SEED) as raw:
        tool("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw.name, f"{d}/image")
        tool("qemu-img", "bitmap", "--add", "--enable", "-g", granularity, f"{d}/image", "since")
        for i in WRITTEN:
            tool("qemu-io", "-f", "qcow2", "-c", f"write -P 0x55 {i * PAGE} {PAGE}", f"{d}/image")
        p = subprocess.Popen(["qemu-nbd", "-f", "qcow2", "-r", "-k", f"{d}/socket", *args, f"{d}/image"], stdin=subprocess.DEVNULL)
        try:
            wait_until(lambda: os.path.exists(f"{d}/socket"), "it listens")
            yield f"nbd+unix:///?socket={d}/socket", p
        finally:
            p.kill()
            p.wait()


def first(t, m, i):
    return bytes.fromhex(t.peek(id=m["id"], offset=i * PAGE, len=8, through="self")["hex"])


@test(each={"page": (4096,), "default": (65536,)}, limit=60)
def real_qemu_nbd_stale(granularity):
    """What QEMU has marked comes from the image, all else stays as it is in the page cache. One connection is enough."""
    marked = {i for i in range(NR) if any(i * PAGE // granularity == w * PAGE // granularity for w in WRITTEN)}
    with exported(granularity, "--bitmap=since", "--shared=1") as (uri, p), target(size=NR * PAGE, seed=STALE, mode="minor") as (t, m):
        with Serve(t.pid, "--from", uri, "--stale=qemu:dirty-bitmap:since") as s:
            eq((s.start["total"], s.start["done"]), (NR * PAGE, (NR - len(marked)) * PAGE), "start")
            joined(t, touch(t, m))
            end = s.stop()
        eq((end["demand"], end["mapped"], end["errors"]), (len(marked) * PAGE, (NR - len(marked)) * PAGE, 0), f"{end}")
        for i in range(NR):
            eq(first(t, m, i), b"\x55" * 8 if i in WRITTEN else pattern_page(SEED if i in marked else STALE, i)[:8], f"page {i}")
        eq(p.wait(timeout=20), 0, "it ends with its only client")


@test(limit=60)
def real_qemu_nbd_stale_offset():
    """Bits are those of the export: the image may begin behind its beginning."""
    with exported(4096, "--bitmap=since", "-t", "--shared=0") as (uri, _), target(size=32 * PAGE, seed=STALE, mode="minor") as (t, m):
        with Serve(t.pid, "--from", f"{uri}@{16 * PAGE}", "--stale=qemu:dirty-bitmap:since", "--prefault", "--until-complete") as s:
            eq(s.ended()["prefault"], PAGE, "one page")
        eq([i for i in range(32) if first(t, m, i) == b"\x55" * 8], [4], "page 20 of the export")


@test(limit=60)
def real_qemu_nbd_stale_refused():
    with exported(4096, "--bitmap=since", "-t", "--shared=0") as (uri, _), target(size=NR * PAGE, seed=STALE, mode="minor") as (t, m):
        r = run("serve", t.pid, "--from", uri, "--stale=qemu:dirty-bitmap:other", check=1)
        contains(r.err, "the server has no qemu:dirty-bitmap:other")
        with image(NR) as img:
            contains(run("serve", t.pid, "--from", img.name, "--stale=qemu:dirty-bitmap:since", check=1).err, "needs contents of a server")
        contains(run("serve", t.pid, "--from", uri, "--stale=./qemu:dirty-bitmap:since", check=1).err, "No such file")


main()
