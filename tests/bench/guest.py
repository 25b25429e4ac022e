# SPDX-License-Identifier: GPL-2.0-or-later
"""What a fault costs more while it is watched, in instructions: run by bench.py in a guest whose clock counts them.

Prints a JSON object: for each way of watching, the instructions of a fault, those of whoever watches included.
"""
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time

sys.path[0] += "/.."
from harness import UFFDCTL, target

FAULTS = 8000
PAGE = os.sysconf("SC_PAGESIZE")

# Address, kind and wait of each fault; the summary: how many of a kind, and the histogram. The totals are
# nearer to all that --summary tells: also how many were woken, and messages read.
READY = 'interval:s:1 /!@ready/ { printf("watching\\n"); @ready = 1; }\n'
SUMMARY = """
BEGINS:handle_userfault { @start[tid] = nsecs; @kinds[REASON] = count(); }
ENDS:handle_userfault /@start[tid]/ { @us = hist((nsecs - @start[tid]) / 1000); delete(@start[tid]); }
"""
TOTALS = SUMMARY + """
BEGINS:userfaultfd_wake_function { @woken[pid] = count(); }
ENDS:userfaultfd_read_iter /retval > 0/ { @delivered = count(); }
"""
LINES = """
BEGINS:handle_userfault { @start[tid] = nsecs; @addr[tid] = ADDRESS; @reason[tid] = REASON; }
ENDS:handle_userfault /@start[tid]/ {
    printf("%d %llx %lx %d\\n", tid, @addr[tid], @reason[tid], (nsecs - @start[tid]) / 1000);
    delete(@start[tid]); delete(@addr[tid]); delete(@reason[tid]);
}
"""
WORDS = {"fentry": {"BEGINS": "kfunc", "ENDS": "kretfunc", "REASON": "args->reason", "ADDRESS": "args->vmf->real_address"},
         "kprobe": {"BEGINS": "kprobe", "ENDS": "kretprobe", "REASON": "arg1",
                    "ADDRESS": "((struct vm_fault *)arg0)->real_address"},
         "tracepoint": {"BEGINS:handle_userfault": "tracepoint:userfaultfd:uffd_fault_begin",
                        "ENDS:handle_userfault": "tracepoint:userfaultfd:uffd_fault_end",
                        "BEGINS:userfaultfd_wake_function": "tracepoint:userfaultfd:uffd_fault_woken",
                        "ENDS:userfaultfd_read_iter /retval > 0/": "tracepoint:userfaultfd:uffd_fault_read",
                        "REASON": "args->reason", "ADDRESS": "args->real_address"}}


def bpftrace(script, backend):
    for word, text in WORDS[backend].items():
        script = script.replace(word, text)
    return ["bpftrace", "-e", script + READY]


class Watcher:
    def __init__(self, command, terminal=False):
        self.p = self.out = None
        if not command:
            return
        out = self.out = tempfile.TemporaryFile()
        if terminal:
            ours, out = pty.openpty()
            fcntl.ioctl(out, termios.TIOCSWINSZ, struct.pack("4H", 50, 160, 0, 0))
            threading.Thread(target=self.drain, args=(ours,), daemon=True).start()
        err = tempfile.TemporaryFile()
        self.p = subprocess.Popen(command, stdin=out if terminal else subprocess.DEVNULL, stdout=out, stderr=err,
                                  env={**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"})
        # The clock jumps while all wait for the disk: what is said counts, not the time.
        while not any(b"watching" in os.pread(f.fileno(), 65536, 0) for f in ([err] if terminal else [err, out])):
            if self.p.poll() is not None:
                raise SystemExit(f"{command}: ended with {self.p.returncode}: {os.pread(err.fileno(), 4096, 0)}")
            time.sleep(0.1)
        time.sleep(5)

    @staticmethod
    def drain(fd):
        try:
            while os.read(fd, 65536):
                pass
        except OSError:
            pass

    def end(self):
        """What it wrote."""
        if not self.p:
            return ""
        self.p.send_signal(signal.SIGINT)
        self.p.wait()
        self.out.seek(0)
        return self.out.read().decode()


def storm(t, m, half):
    """Touches the first or the second half of the pages; ns."""
    began = time.monotonic_ns()
    thread = t.touch(id=m["id"], access="read", offset=half * m["size"] // 2, len=m["size"] // 2)["threads"][0]
    if not t.join(thread=thread, timeout_ms=500000)["done"]:
        raise SystemExit("the storm did not end")
    return time.monotonic_ns() - began


def per_fault(command, terminal=False, seen=None):
    """seen: what the output must match once for each fault, or once with their number in it."""
    with target(size=FAULTS * PAGE, alloc=True, mode="minor", timeout=600) as (t, m):
        t.handler(uffd=t.u, action="continue")
        w = Watcher(command, terminal)
        # The better of two: the clock goes on while all wait for the disk, as for a program's next page.
        passed = min(storm(t, m, half) for half in (0, 1))
        out = w.end()
    found = re.findall(seen, out, re.M) if seen else []
    # bpftrace misses some.
    if seen and len(found) < 0.99 * FAULTS and found != [str(FAULTS)]:
        raise SystemExit(f"{command}: saw {len(found)} faults, or {found[:1]}, of {FAULTS}: {out[-500:]}")
    return round(passed / (FAULTS // 2))


def main():
    figures = {"bare": per_fault(None)}
    for backend in sys.argv[1:]:
        watch = [UFFDCTL, "watch", "-v", "--backend", backend]
        figures[f"summary {backend}"] = per_fault([*watch, "--summary"], seen=r"^(\d+) faults")
        figures[f"lines {backend}"] = per_fault([*watch, "--line"], seen=r"^ .* minor .* continue ")
        figures[f"view {backend}"] = per_fault(watch, terminal=True)
        with tempfile.TemporaryDirectory() as d:
            figures[f"record {backend}"] = per_fault([*watch, "--record", f"{d}/record"], seen=r"^(\d+) faults")
            figures[f"metrics {backend}"] = per_fault([*watch, "--openmetrics", f"{d}/metrics"])
        if backend in WORDS:
            figures[f"summary bpftrace {backend}"] = per_fault(bpftrace(SUMMARY, backend), seen=r"^@kinds\[.*\]: (\d+)")
            figures[f"totals bpftrace {backend}"] = per_fault(bpftrace(TOTALS, backend), seen=r"^@kinds\[.*\]: (\d+)")
            figures[f"lines bpftrace {backend}"] = per_fault(bpftrace(LINES, backend), seen=r"^\d+ [0-9a-f]{9,}.*\d$")
    print(json.dumps(figures))


main()
