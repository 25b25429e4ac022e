# SPDX-License-Identifier: GPL-2.0-or-later
"""What the kernel says of a process, beside what uffdctl says."""
import contextlib
import ctypes
import os
import re

from .check import Failure


def stat(pid, tid=None):
    """Name, state (a letter) and parent of a process, or of a thread of it."""
    with open(f"/proc/{pid}/task/{tid}/stat" if tid else f"/proc/{pid}/stat", errors="surrogateescape") as f:
        head, rest = f.read().rsplit(")", 1)
    state, parent = rest.split()[:2]
    return head.split("(", 1)[1], state, int(parent)


def ended(pid):
    """Also one that its parent has not yet waited for."""
    try:
        return stat(pid)[1] in "ZX"
    except OSError:
        return True


def parents():
    """{pid: its parent} of all processes."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):  # it has ended
            found[int(pid)] = stat(pid)[2]
    return found


def fdinfo(pid, fd):
    """pending, total and features of a userfaultfd (without the kernel's internal bit)."""
    with open(f"/proc/{pid}/fdinfo/{fd}") as f:
        lines = dict(line.rstrip("\n").split(":", 1) for line in f)
    features = int(lines["API"].split(":")[1], 16) & 0x7fffffff
    return {"pending": int(lines["pending"]), "total": int(lines["total"]), "features": features}


def smaps_flags(pid, addr):
    """The VmFlags of the mapping that contains addr; a failure when there is none."""
    addr = int(addr, 16) if isinstance(addr, str) else addr
    inside = False
    with open(f"/proc/{pid}/smaps", errors="replace") as f:
        for line in f:
            head = re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line)
            if head:
                inside = int(head[1], 16) <= addr < int(head[2], 16)
            elif inside and line.startswith("VmFlags:"):
                return set(line.split()[1:])
    raise Failure(f"process {pid} has no mapping at {addr:#x}")


def pagemap(pid, addr, nr):
    """The words of nr pages in /proc/PID/pagemap: bit 63 is present, 57 write-protected by userfaultfd."""
    with open(f"/proc/{pid}/pagemap", "rb") as f:
        f.seek(addr // os.sysconf("SC_PAGESIZE") * 8)
        return [int.from_bytes(f.read(8), "little") for _ in range(nr)]


def stopped(pid):
    """All of its threads: each ends its system call first."""
    states = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/stat", "rb") as f:
            states.append(f.read().rsplit(b") ", 1)[1][:1])
    return set(states) == {b"T"}


def links(pid):
    """Where the descriptors of a process lead, as far as they are still there."""
    with contextlib.suppress(OSError):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                yield os.readlink(f"/proc/{pid}/fd/{fd}")


def take_fd(pid, fd):
    """A descriptor of another process, by pidfd_getfd(2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(pid)
    try:
        taken = libc.syscall(438, pidfd, fd, 0)  # __NR_pidfd_getfd
    finally:
        os.close(pidfd)
    if taken < 0:
        raise Failure(f"pidfd_getfd of {pid}:{fd}: {os.strerror(ctypes.get_errno())}")
    return taken
