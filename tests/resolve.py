# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of the commands that resolve in bulk (continue, copy, zeropage) share."""
import contextlib
import os
import tempfile

from tap import Target, ok, pattern_page, skip, spawn, test, wait_until

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


# ---- memory cgroups ----

@contextlib.contextmanager
def cgroup(limit):
    """A memory cgroup of v1 or v2, as the folder of it."""
    roots = [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")]
    root, file = next((r for r in roots if os.path.exists(f"{r[0]}/cgroup.procs")), (None, None))
    if not root:
        skip("no memory cgroups are mounted")
    path = f"{root}/uffdctl-test-{os.getpid()}"
    try:
        if file == "memory.max":
            with open(f"{root}/cgroup.subtree_control", "w") as f:
                f.write("+memory")
        os.mkdir(path)
        with open(f"{path}/{file}", "w") as f:
            f.write(str(limit))
    except OSError as e:
        skip(f"no memory cgroup can be made: {e}")
    try:
        yield path
    finally:
        wait_until(lambda: not open(f"{path}/cgroup.procs").read(), "the cgroup is empty")
        os.rmdir(path)


def into(path, pid):
    with open(f"{path}/cgroup.procs", "w") as f:
        f.write(str(pid))


# ---- a target that moves ----

SIZE = 1 << 30
FEATURES = ["minor_shmem", "missing_shmem"]
GONE = ("unmapped", "gone", "exited", "execve", "absent", "nothing is mapped", "not registered", "has no userfaultfd",
        "No such process")


def split(t, m):
    """A mapping that becomes many is done all the same."""
    for i in range(1, 64, 2):
        t.mprotect(id=m["id"], offset=i * (16 << 20), len=16 << 20, prot="r")


# What it does, and what an error may say; nothing: there may be none.
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
    with Target() as t:
        uffd = t.uffd(features=FEATURES)["fd"]
        m = t.map(kind="memfd", size=SIZE)
        if mode == "minor":
            t.fallocate(id=m["id"], offset=0, len=SIZE, mode="alloc")
        t.register(uffd=uffd, id=m["id"], mode=[mode])
        p = spawn(command, "-J", t.pid, f"{m['addr']}+{SIZE}", "--threads", "1", *options)
        fd_pid = f"/proc/{p.pid}/fd"
        # The descriptors that it holds once it works: pidfd, /proc files, the userfaultfd.
        wait_until(lambda: any("userfaultfd" in link for link in links(fd_pid)) or p.poll() is not None,
                   "it has the userfaultfd")
        action(t, m)
        _, err = p.communicate(timeout=50)
        err = err.decode()
        ok(p.returncode in (0, 1) if texts else p.returncode == 0, f"exit {p.returncode}: {err}")
        if p.returncode:
            ok(any(text in err for text in texts), f"a clear error: {err}")


def add_moves(name, times, *runs):
    """Tests NAME-while-...; runs: command, mode that is registered, options."""
    for what, (action, texts) in MOVES.items():
        def fn(action=action, texts=texts):
            for args in runs * times:
                moving(action, texts, *args)
        test(f"{name}-while-{what}", limit=120)(fn)
