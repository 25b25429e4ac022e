# SPDX-License-Identifier: GPL-2.0-or-later
"""Memory that a test needs: contents, huge pages, a limit."""
import atexit
import contextlib
import fcntl
import os
import subprocess
import sys
import tempfile

from .check import skip, wait_until

PAGE = 4096
HUGE = 2 << 20


def pattern_page(seed, index, page_size=PAGE):
    """The page that tests/helpers/target writes for this seed as page number index of the file."""
    mask = (1 << 64) - 1
    x = (seed * 0x9e3779b97f4a7c15 + index) & mask
    x = ((x ^ (x >> 30)) * 0xbf58476d1ce4e5b9) & mask
    x = ((x ^ (x >> 27)) * 0x94d049bb133111eb) & mask
    return ((x ^ (x >> 31)).to_bytes(8, sys.byteorder)) * (page_size // 8)


def image(nr, seed=9, page=PAGE):
    """A file of nr pages of the pattern; goes with the with block."""
    f = tempfile.NamedTemporaryFile()
    for i in range(nr):
        f.write(pattern_page(seed, i, page))
    f.flush()
    return f


class hugepages:
    """Ensures n free 2 MiB pages until the end of the with block, or of the program; or skips."""

    NR = "/proc/sys/vm/nr_hugepages"

    def __init__(self, n):
        self.grown = 0
        if self.meminfo().get("Hugepagesize:") != HUGE // 1024:
            skip("the default huge page is not of 2 MiB; default_hugepagesz=2M runs this")
        free = self.nr_free()
        if free >= n:
            return
        try:
            self.grown = self._add(n - free)
        except OSError as e:
            skip(f"{n} free huge pages: {e.strerror}; root, or vm.nr_hugepages={n}, runs this")
        atexit.register(self.restore)
        if self.grown < n - free:
            self.restore()
            skip(f"no memory for {n} huge pages; more memory, or a fresh boot, runs this")

    @staticmethod
    def meminfo():
        with open("/proc/meminfo") as f:
            return {key: int(value) for key, value in (line.split()[:2] for line in f)}

    @classmethod
    def nr_free(cls):
        """Those that nobody has and nobody is promised."""
        info = cls.meminfo()
        return info["HugePages_Free:"] - info["HugePages_Rsvd:"]

    def _add(self, n):
        """Adds n (or takes -n away) under a lock, since others may do so too; returns how many."""
        with open(self.NR, "r+") as f, open(__file__) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = int(f.read())
            f.seek(0)
            f.write(str(max(0, before + n)))
            f.flush()
            f.seek(0)
            return int(f.read()) - before

    def restore(self):
        grown, self.grown = self.grown, 0
        if grown:
            self._add(-grown)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.restore()


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
    """Moves a process into a cgroup."""
    with open(f"{path}/cgroup.procs", "w") as f:
        f.write(str(pid))


@contextlib.contextmanager
def small_tmpfs(size):
    with tempfile.TemporaryDirectory() as d:
        if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "uffdctl-test", d],
                          capture_output=True).returncode:
            skip("a tmpfs can't be mounted; root runs this")
        try:
            yield d
        finally:
            subprocess.run(["umount", "-l", d], check=True)


@contextlib.contextmanager
def swap(size):
    """A swap file, where one can be had."""
    fd, path = tempfile.mkstemp(dir="/var/tmp")
    try:
        os.posix_fallocate(fd, 0, size)
        os.close(fd)
        for command in ("mkswap", "swapon"):
            if subprocess.run([command, path], capture_output=True).returncode:
                skip(f"{command} fails; root with swap files on /var/tmp runs this")
        yield
    finally:
        subprocess.run(["swapoff", path], capture_output=True)
        os.unlink(path)
