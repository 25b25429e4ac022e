# SPDX-License-Identifier: GPL-2.0-or-later
"""What a target may do while its memory is resolved in bulk (continue, copy, zeropage)."""
from .check import ok, wait_until
from .proc import links
from .run import spawn
from .target import target

SIZE = 1 << 30
GONE = ("unmapped", "gone", "exited", "execve", "absent", "nothing is mapped", "not registered", "has no userfaultfd",
        "No such process")


def split(t, m):
    """A mapping that becomes many is done all the same."""
    for i in range(1, 64, 2):
        t.mprotect(id=m["id"], offset=i * (16 << 20), len=16 << 20, prot="r")


# What it does, and what an error may say; nothing: there may be none. For test(each=MOVES).
MOVES = {
    "unmapped": (lambda t, m: t.munmap(id=m["id"], offset=SIZE // 2, len=SIZE // 4), GONE),
    "remapped": (lambda t, m: t.mremap(id=m["id"], new_size=2 * SIZE, move=True), GONE),
    "exec": (lambda t, m: t.exec(), GONE),
    "exit": (lambda t, m: t.kill(), GONE),
    "fork": (lambda t, m: t.fork(), GONE),
    "split": (split, ()),
}


def moving(action, texts, command, mode, *options):
    """1 GiB is resolved while the target does something to it; whatever comes, no crash and a true report."""
    with target(size=SIZE, alloc=mode == "minor", mode=mode) as (t, m):
        p = spawn(command, "-J", t.pid, f"{m['addr']}+{SIZE}", "--threads", "1", *options)
        # The descriptors that it holds once it works: pidfd, /proc files, the userfaultfd.
        wait_until(lambda: any("userfaultfd" in link for link in links(p.pid)) or p.poll() is not None,
                   "it has the userfaultfd")
        action(t, m)
        _, err = p.communicate(timeout=50)
        err = err.decode()
        ok(p.returncode in (0, 1) if texts else p.returncode == 0, f"exit {p.returncode}: {err}")
        if p.returncode:
            ok(any(text in err for text in texts), f"a clear error: {err}")
