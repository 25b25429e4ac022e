# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of the commands that resolve in bulk (continue, copy, zeropage) share."""
import contextlib
import os
import tempfile

from tap import Target, ok, pattern_page, spawn, wait_until

GONE = {"rc": (0, 1), "text": ("unmapped", "gone", "exited", "execve", "absent", "nothing is mapped", "not registered",
                               "has no userfaultfd", "No such process")}


def image(nr, seed=9, page=4096):
    """A file of nr pages of the pattern; goes with the with block."""
    f = tempfile.NamedTemporaryFile()
    for i in range(nr):
        f.write(pattern_page(seed, i, page))
    f.flush()
    return f


def links(path):
    """Where the descriptors of a process lead, as far as they are still there."""
    for root, _, files in os.walk(path):
        for f in files:
            with contextlib.suppress(OSError):
                yield os.readlink(os.path.join(root, f))


def moving(command, mode, action, expect, features, *options):
    """1 GiB is resolved while the target does something to it; whatever comes, no crash and a true report."""
    size = 1 << 30
    with Target() as t:
        uffd = t.uffd(features=features)["fd"]
        m = t.map(kind="memfd", size=size)
        if mode == "minor":
            t.fallocate(id=m["id"], offset=0, len=size, mode="alloc")
        t.register(uffd=uffd, id=m["id"], mode=[mode])
        p = spawn(command, "-J", t.pid, f"{m['addr']}+1G", "--threads", "1", *options)
        fd_pid = f"/proc/{p.pid}/fd"
        # The descriptors that it holds once it works: pidfd, /proc files, the userfaultfd.
        wait_until(lambda: any("userfaultfd" in link for link in links(fd_pid)) or p.poll() is not None,
                   "it has the userfaultfd")
        action(t, m)
        _, err = p.communicate(timeout=50)
        err = err.decode()
        ok(p.returncode in expect["rc"], f"exit {p.returncode}: {err}")
        if p.returncode:
            ok(any(text in err for text in expect["text"]), f"a clear error: {err}")
