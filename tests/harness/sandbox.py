# SPDX-License-Identifier: GPL-2.0-or-later
"""Less than all privileges: a seccomp filter, another user, namespaces; for the process to work on and for uffdctl."""
import contextlib
import ctypes
import errno
import os
import shlex
import subprocess
import tempfile

from .check import Failure, Skip
from .proc import parents
from .run import HELPERS, UFFDCTL, ids
from .target import Target

NOBODY = 65534
# What Docker's default profile denies of what uffdctl uses, without capabilities.
DOCKER_DENIES = ("userfaultfd", "bpf", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "kcmp", "perf_event_open")

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER_MODE = 38, 22, 2
_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, ERRNO, KILL = 0x7fff0000, 0x00050000, 0x80000000


def _numbers():
    """{name: number} of this machine's system calls."""
    with open(os.path.join(HELPERS, "syscalls")) as f:
        return {name: int(number) for name, number in map(str.split, f)}


def filtered(names, action=ERRNO | errno.EPERM):
    """For preexec_fn: a seccomp filter that answers these system calls with an error, or with another action."""
    numbers = _numbers()
    code = [(_LOAD, 0, 0, 0)]
    for n in names:
        code += [(_JUMP_EQUAL, 0, 1, numbers[n]), (_RETURN, 0, 0, action)]
    code.append((_RETURN, 0, 0, _ALLOW))
    packed = b"".join(c.to_bytes(2, "little") + bytes((t, f)) + k.to_bytes(4, "little") for c, t, f, k in code)
    buf = ctypes.create_string_buffer(packed)

    class Program(ctypes.Structure):
        _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    program = Program(len(code), ctypes.addressof(buf))
    libc = ctypes.CDLL(None, use_errno=True)

    def install():
        # Root may do without no_new_privs.
        if libc.prctl(_PR_SET_SECCOMP, _FILTER_MODE, ctypes.byref(program), 0, 0):
            libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            if libc.prctl(_PR_SET_SECCOMP, _FILTER_MODE, ctypes.byref(program), 0, 0):
                os._exit(99)
        assert buf  # keeps it
    return install


class Place:
    """Where uffdctl runs, and its Popen arguments; user: of both it and the target."""

    def __init__(self, user=None, unshare=(), nsenter=(), deny=(), action=ERRNO | errno.EPERM):
        self.user, self.unshare, self.nsenter = user, list(unshare), list(nsenter)
        self.deny, self.action = deny, action
        self.program = UFFDCTL
        self.inside = None  # as PID outside: a process in the namespaces

    @contextlib.contextmanager
    def target(self):
        """A process that is there."""
        with tempfile.TemporaryDirectory() as d:
            program = None
            if self.unshare:
                program = f"{d}/target"
                with open(program, "w") as f:
                    f.write(f"#!/bin/sh\nexec unshare {shlex.join(self.unshare)} {shlex.quote(HELPERS)}/target\n")
                os.chmod(program, 0o755)
                os.chmod(d, 0o755)
            try:
                t = Target(user=self.user, program=program)
            except Failure as e:
                raise Skip(f"unshare {shlex.join(self.unshare)}: {e}; root, and a kernel with these namespaces, runs this") from None
            with t:
                if self.unshare:
                    forks = "--fork" in self.unshare
                    self.inside = next(p for p, parent in parents().items() if parent == t.proc.pid) if forks else t.proc.pid
                yield t

    def become(self):
        """Makes this process, a child, be there: for what needs no program. Of namespaces, the user's and mounts."""
        if self.user is not None:
            os.setgroups([])
            os.setresgid(*[self.user] * 3)
            os.setresuid(*[self.user] * 3)
        for option, name in (("-U", "user"), ("-m", "mnt")):
            if option in self.nsenter:
                fd = os.open(f"/proc/{self.inside}/ns/{name}", os.O_RDONLY)
                if ctypes.CDLL(None, use_errno=True).setns(fd, 0):
                    raise OSError(ctypes.get_errno(), "setns")
        if self.deny:
            filtered(self.deny, self.action)()

    def call(self, fn):
        """What a function returns, as text, in a child that is there."""
        r, w = os.pipe()
        child = os.fork()
        if not child:
            try:
                self.become()
                os.write(w, str(fn()).encode())
            finally:
                os._exit(0)
        os.close(w)
        with os.fdopen(r) as f:
            text = f.read()
        os.waitpid(child, 0)
        return text

    @staticmethod
    def numbers():
        return _numbers()

    def execute(self, *args):
        """Runs a program there: (exit status, stdout, stderr)."""
        enter = ["nsenter", *self.nsenter, "-t", str(self.inside), "--"] if self.nsenter else []
        # The leak checker of ASan uses ptrace(2) itself, and waits for ever for a tracer that the filter killed.
        env = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"} if "ptrace" in self.deny else None
        p = subprocess.run([*enter, *map(str, args)], capture_output=True, text=True, timeout=120, env=env,
                           preexec_fn=filtered(self.deny, self.action) if self.deny else None, **ids(self.user))
        return p.returncode, p.stdout, p.stderr

    def run(self, *args):
        """The same with uffdctl."""
        return self.execute(self.program, *args)


@contextlib.contextmanager
def setting(name, value):
    """A sysctl with another value; put back afterwards."""
    path = f"/proc/sys/{name.replace('.', '/')}"
    try:
        with open(path) as f:
            before = f.read().strip()
        with open(path, "w") as f:
            f.write(str(value))
    except OSError as e:
        raise Skip(f"{name}={value}: {e.strerror}; root, and a kernel that has it, runs this") from None
    try:
        yield
    finally:
        with open(path, "w") as f:
            f.write(before)
