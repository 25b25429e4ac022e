# SPDX-License-Identifier: GPL-2.0-or-later
"""A process that notices whatever is done to it: tests/helpers/steady."""
import collections
import os
import subprocess
import tempfile

from .check import Failure, ok, skip, wait_until
from .run import HELPERS, UFFDCTL, ids


class Steady:
    """pid, start and size of its memory; job: what its first thread does."""

    size = 1 << 20

    def __init__(self, job=None, user=None, **popen):
        program = os.path.join(HELPERS, "steady")
        if not os.path.exists(program):
            skip("no tests/helpers/steady here; x86-64 and arm64 run this")
        self.proc = subprocess.Popen([program, *([job] if job else [])], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     bufsize=0, **ids(user), **popen)
        pid, start = self.proc.stdout.readline().split()
        self.pid, self.start = int(pid), int(start, 16)
        self.area = f"{self.start:x}+{self.size}"

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.proc.kill()
        self.proc.wait()
        self.proc.stdin.close()
        self.proc.stdout.close()

    def _ask(self):
        self.proc.stdin.write(b"\n")
        line = self.proc.stdout.readline().decode().split(" ", 6)
        if len(line) < 7:
            raise Failure(f"steady {self.pid} has ended: {self.proc.wait()}")
        return int(line[1]), int(line[3]), int(line[5]), line[6].strip()

    def check(self, may_be_interrupted=False):
        """All its threads go on, and nothing was odd."""
        before = self._ask()[2]
        wait_until(lambda: self._ask()[2] > before + 1, f"all threads of {self.pid} go on")
        odd, eintr, _, text = self._ask()
        ok(not odd, f"{odd} odd things: {text}")
        ok(may_be_interrupted or not eintr, f"{eintr} calls ended with EINTR")
        with open(f"/proc/{self.pid}/status") as f:
            ok("TracerPid:\t0\n" in f.read(), "it is traced no more")
        return eintr


def calls_of(args, name):
    """How often uffdctl makes this system call, in the thread that makes most of them."""
    with tempfile.NamedTemporaryFile("r") as f:
        subprocess.run(["strace", "-f", "-o", f.name, "-e", f"trace={name}", UFFDCTL, *map(str, args)],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return max(collections.Counter(line.split()[0] for line in f if f" {name}(" in line).values())


def killed_at(args, name, nr):
    """Runs uffdctl and kills it when it enters its nr-th call of this name; whether it came that far."""
    done = subprocess.run(["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"inject={name}:signal=KILL:when={nr}",
                           UFFDCTL, *map(str, args)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return done.returncode in (-9, 137)
