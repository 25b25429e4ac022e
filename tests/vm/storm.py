# SPDX-License-Identifier: GPL-2.0-or-later
"""Not in the gate: faults for SECONDS, with all events of kernel-patches/ recorded by tracefs and by uffdctl watch.

    python3 tests/vm/vm.py 6.12-patched+kasan --timeout 3600 -- python3 tests/vm/storm.py 600

Eight threads fault, four handlers of two userfaultfds resolve, another is first now and then; a second process does the
same on shmem, and two more come and go, whose userfaultfds are closed while threads wait. What the handlers have
read, watch has counted. Where there is lockdep, it is still on at the end.
"""
import os
import re
import subprocess
import sys
import threading

sys.path[0] += "/.."
from harness import PAGE, Target, ok
from harness.watch import Storm, Watch, consistent

TRACING = "/sys/kernel/tracing"
SECONDS = int(sys.argv[1])
STORMS = [f"-t 8 -u 2 -r 2 -k 1 -s {SECONDS}".split(), f"-t 4 -r 2 -b 4 -m -s {SECONDS}".split()]


def read(path):
    with open(path) as f:
        return f.read()


class Drain(threading.Thread):
    """Reads all that tracefs records, and counts it by event."""

    def __init__(self):
        super().__init__(daemon=True)
        with open(f"{TRACING}/events/userfaultfd/enable", "w") as f:
            f.write("1")
        self.counts, self.p = {}, subprocess.Popen(["cat", f"{TRACING}/trace_pipe"], stdout=subprocess.PIPE)
        self.start()

    def run(self):
        for line in self.p.stdout:
            m = re.search(rb" (uffd_\w+): ", line)
            if m:
                self.counts[m[1].decode()] = self.counts.get(m[1].decode(), 0) + 1


class Others(threading.Thread):
    """Processes whose threads wait, for pages or for a message to be read; they end, or close what is waited for."""

    def __init__(self):
        super().__init__(daemon=True)
        self.rounds, self.over, self.failed = 0, threading.Event(), None
        self.start()

    def run(self):
        while not self.over.is_set():
            try:
                self.round()
            except Exception as e:  # told by who waits for us
                self.failed = e
                return
            self.rounds += 1

    def round(self):
        storm = Storm("-t", "6", "-d", "200", "-s", "3600")
        storm.go()
        with Target() as t:
            fd = t.userfaultfd(["minor_shmem", "event_fork", "event_remap", "event_remove", "event_unmap"])
            m = t.memory("memfd", 8 * PAGE, alloc=True, mode="minor")
            for page in range(4):
                t.touch(addr=hex(m["start"] + page * PAGE), len=8, stride=8)
            waits = [lambda: t.madvise(id=m["id"], offset=4 * PAGE, len=PAGE, advice="dontneed", async_=True),
                     lambda: t.fork(async_=True),
                     lambda: t.mremap(id=m["id"], new_size=8 * PAGE, move=True, async_=True),
                     lambda: t.munmap(id=m["id"], offset=6 * PAGE, len=2 * PAGE, async_=True)]
            waits[self.rounds % len(waits)]()
            self.over.wait(1)
            if self.rounds // len(waits) % 2:
                t.close(fd=fd)
            storm.kill()


def main():
    lockdep = os.path.exists("/proc/lockdep_stats")
    drain, storms = Drain(), [Storm(*args) for args in STORMS]
    watch = Watch("--summary", "--backend=tracepoint", *(s.pid for s in storms))
    others = Others()
    for s in storms:
        s.go()
    told = [s.result() for s in storms]
    others.over.set()
    others.join()
    _, seen = watch.stop()
    drain.p.kill()
    print(f"# storms: {told}; {others.rounds} rounds of others")
    print(f"# tracefs: {drain.counts}")
    print(f"# watch: faults {seen['faults']}, ended {seen['ended']}, delivered {seen['delivered']}, pending {seen['pending']}")
    ok(not others.failed, f"others: {others.failed}")
    consistent(seen)
    ok(seen["delivered"] == sum(t["messages"] for t in told), "watch has counted what the handlers read")
    if lockdep:
        ok(re.search(r"debug_locks: +1", read("/proc/lockdep_stats")), "lockdep is still on")
    print(f"1..1\nok 1 - storm: {SECONDS} s{', lockdep still on' if lockdep else ''}")


main()
