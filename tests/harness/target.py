# SPDX-License-Identifier: GPL-2.0-or-later
"""A live process to work on: tests/helpers/target, and the one way to build one."""
import contextlib
import json
import os
import select
import subprocess
import time

from .check import SLOW, Failure
from .memory import PAGE
from .run import HELPERS, ids, text_of

# What a userfaultfd can do with all memory but guest_memfd, without events.
FEATURES = ["minor_shmem", "minor_hugetlbfs", "missing_shmem", "missing_hugetlbfs", "wp_hugetlbfs_shmem",
            "pagefault_flag_wp"]


class TargetError(Exception):
    """The helper answered ok:false; .errno, .reply."""

    def __init__(self, command, reply):
        super().__init__(f"target: {command}: {reply.get('error')} (errno {reply.get('errno')})")
        self.errno = reply.get("errno")
        self.reply = reply


class Target:
    """The helper process (tests/helpers/target/): t.map(kind="memfd", size=4096)["addr"].

    Each method name that is not found here is a command of the helper; a name that Python reserves gets an
    underscore behind it (async_=True, t.continue_()). Bytes that are no UTF-8 go as surrogates.
    """

    u = None  # the descriptor of its first userfaultfd

    def __init__(self, user=None, timeout=20, program=None, env=None):
        self.user = user
        self.timeout = timeout * SLOW
        self._line = b""
        self.proc = subprocess.Popen([program or os.environ.get("TARGET") or os.path.join(HELPERS, "target")],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
                                     env={**os.environ, **(env or {})}, **ids(user))
        self.pid = self._answer("start")["pid"]

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.kill()

    def kill(self):
        self.proc.kill()
        self.proc.wait()
        self.proc.stdin.close()
        self.proc.stdout.close()

    def userfaultfd(self, features=FEATURES, user_mode_only=None):
        """Opens one and returns its descriptor. Another user, without privileges, gets one for user-mode faults."""
        if user_mode_only is None:
            user_mode_only = self.user is not None
        fd = self.uffd(features=features, user_mode_only=user_mode_only)["fd"]
        self.u = fd if self.u is None else self.u
        return fd

    def small_pages(self, m):
        """No huge pages in memory that is empty. khugepaged may have made one before, of it and what lies beside it."""
        self.madvise(id=m["id"], advice="nohugepage")
        self.madvise(id=m["id"], advice="dontneed")

    def memory(self, kind="memfd", size=16 * PAGE, seed=None, alloc=False, mode="", uffd=None, **how):
        """Maps memory, fills it with the pattern of a seed or allocates it, and registers it: mode="minor,missing".

        Answers as map does, which has how for its other arguments, and with "start": the address as a number.
        """
        path = f"/dev/shm/uffdctl-test-{self.pid}"
        ours = kind == "tmpfs" and not how.keys() & {"path", "of"}
        m = self.map(kind=kind, size=size, **how, **({"path": path} if ours else {}))
        if ours:
            os.unlink(path)
        m["start"] = int(m["addr"], 16)
        if seed:
            self.fill(id=m["id"], seed=seed)
        if alloc:
            self.fallocate(id=m["id"], mode="alloc")
        if mode:
            self.register(uffd=self.u if uffd is None else uffd, id=m["id"], mode=mode.split(","))
        return m

    def command(self, name, /, **args):
        args = {key.rstrip("_"): value for key, value in args.items()}
        line = json.dumps({"cmd": name, **args}, ensure_ascii=False)
        try:
            self.proc.stdin.write(line.encode("utf-8", "surrogateescape") + b"\n")
        except BrokenPipeError:
            pass  # _answer says how it ended
        return self._answer(name)

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda **args: self.command(name.rstrip("_"), **args)

    def _answer(self, command):
        end = time.monotonic() + self.timeout
        while b"\n" not in self._line:
            left = max(0, end - time.monotonic())
            if not select.select([self.proc.stdout], [], [], left)[0]:
                raise Failure(f"target {self.proc.pid}: no answer to {command} "
                              f"after {self.timeout} s")
            data = os.read(self.proc.stdout.fileno(), 65536)
            if not data:
                raise Failure(f"target {self.proc.pid}: ended during {command}, "
                              f"exit {self.proc.wait()}")
            self._line += data
        line, self._line = self._line.split(b"\n", 1)
        reply = json.loads(text_of(line))
        if not reply.pop("ok"):
            raise TargetError(command, reply)
        return reply


@contextlib.contextmanager
def target(kind="memfd", size=16 * PAGE, features=FEATURES, user=None, timeout=20, program=None, **memory):
    """A process with a userfaultfd and memory, as Target.memory() makes it: target(seed=1, mode="minor") as (t, m)."""
    with Target(user, timeout, program) as t:
        t.userfaultfd(features)
        yield t, t.memory(kind, size, **memory)
