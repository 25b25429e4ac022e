# SPDX-License-Identifier: GPL-2.0-or-later
"""A uffdctl serve that runs, and the threads that it serves."""
import json
import signal

from .check import SLOW, Failure, eq
from .memory import PAGE
from .run import spawn


class Serve:
    """A serve -J that reads messages: .start, and after stop() .objects, .end and .err."""

    def __init__(self, pid, *args, **popen):
        self.proc = spawn("serve", "-J", pid, *args, bufsize=0, **popen)  # communicate() would not see what is buffered
        line = self.proc.stdout.readline()
        if not line:
            raise Failure(f"serve does not start: {self.proc.stderr.read().decode()}")
        self.start = json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.proc.kill()
        self.proc.wait()

    def ended(self, rc=0):
        """Waits for its end; the last object."""
        out, err = self.proc.communicate(timeout=30 * SLOW)
        self.err = err.decode()
        self.objects = [json.loads(line) for line in out.splitlines()]
        eq(self.proc.returncode, rc, f"exit status; {self.objects[-1:]}; {self.err}")
        self.end = self.objects[-1]
        eq(self.end["type"], "end", "the last object")
        return self.end

    def stop(self, rc=0, sig=signal.SIGINT):
        self.proc.send_signal(sig)
        end = self.ended(rc)
        eq(end["reason"], "stopped", "reason")
        return end

    def errors(self):
        return [o["message"] for o in self.objects if o["type"] == "error"]

    def error(self):
        """The next one, while it runs."""
        for line in self.proc.stdout:
            o = json.loads(line)
            if o["type"] == "error":
                return o["message"]
        raise Failure("no error came")


def touch(t, m, threads=8, **how):
    return t.touch(id=m["id"], threads=threads, **{"access": "read", "order": "random", **how})["threads"]


def joined(t, threads, timeout_ms=20000):
    for th in threads:
        j = t.join(thread=th, timeout_ms=timeout_ms * SLOW)
        eq((j["done"], j["mismatches"], j["errors"]), (True, 0, 0), "thread")


def zeros(t, m, offset=0, size=PAGE, what="zeros"):
    """These mapped pages are; nobody faults."""
    with open(f"/proc/{t.pid}/mem", "rb", 0) as mem:
        mem.seek(m["start"] + offset)
        eq(mem.read(size) == bytes(size), True, what)
