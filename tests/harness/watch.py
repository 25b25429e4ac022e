# SPDX-License-Identifier: GPL-2.0-or-later
"""A running uffdctl watch, and a storm of faults to watch."""
import json
import math
import os
import signal
import subprocess
import tempfile

from .check import Failure, eq, ok, wait_until
from .run import HELPERS, run, spawn


def backends(named):
    """Those that are named and must be had; without a name those that can be had here, and sched, the last of them."""
    return (named or "").split() or [b for b in ("tracepoint", "fentry", "kprobe")
                                     if not run("watch", "--summary", "-d", "0.01", f"--backend={b}").rc] + ["sched"]


class Watch:
    """uffdctl watch --json; stop() returns its faults and its summary."""

    def __init__(self, *args, **popen):
        self.err = tempfile.TemporaryFile()
        self.out = popen.setdefault("stdout", tempfile.TemporaryFile())  # no pipe: nobody reads before the end
        self.p = spawn("watch", "--json", "-v", *args, stderr=self.err, **popen)
        wait_until(lambda: self.p.poll() is not None or "watching with" in self.said(), "watch is attached", timeout=30)

    def said(self):
        return os.pread(self.err.fileno(), 65536, 0).decode()

    def lines(self, timeout=30):
        """Waits for its end: what it has printed."""
        if self.p.wait(timeout):
            raise Failure(f"watch: exit {self.p.returncode}: {self.said()}")
        self.out.seek(0)
        return [json.loads(line) for line in self.out]

    def stop(self, sig=signal.SIGINT):
        """Ends it, or waits for its end where the processes have ended."""
        if self.p.poll() is None:
            self.p.send_signal(sig)
        lines = self.lines()
        eq([x["type"] for x in lines], ["fault"] * (len(lines) - 1) + ["summary"], "lines")
        return lines[:-1], lines[-1]


def consistent(s):
    eq(sum(s["faults"].values()), sum(s["ended"].values()) + s["pending"], "faults = ended + pending")
    eq(sum(b["count"] for b in s["histogram"]) + s["unknown_waits"], sum(s["ended"].values()),
       "each ended fault is in the histogram, or its wait is not known")
    eq(s["missed"], 0, "missed")
    ended = sum(s["ended"].values())
    for part in ("teams", "threads"):
        counted = sum(x["faults"] for x in s[part])
        # sched: of some, only the message was seen.
        ok(ended - s["unknown_waits"] <= counted <= ended, f"{part}: {counted} faults of {ended}")
    ok(sum(r["faults"] for r in s["resolvers"]) <= s["ended"]["woken"], "resolvers")


def percentiles_agree(faults, told, of, what):
    """Percentiles are those of the stream, rounded up to the bound of a bucket."""
    values = sorted(x for x in map(of, faults) if x is not None)
    for name, share in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1)):
        if not values:
            eq(told[name], None, f"{what}: {name}")
            continue
        true = values[max(math.ceil(share * len(values)) - 1, 0)]
        ok(true <= told[name] <= max(1.07 * true, 1024), f"{what}: {name}: {told[name]} ns, by the stream {true} ns")


def parts_agree(faults, s):
    """The whole waits, and their parts before and after the message was read; of all, and by resolver."""
    def handled(f):
        return None if f["queue_ns"] is None else f["wait_ns"] - f["queue_ns"]
    groups = [("all", s, faults)]
    for r in s["resolvers"]:
        groups.append((r["comm"], r, [f for f in faults if f["resolver_tid"] == r["tid"]]))
    eq(s["wait_ns"]["sum"], sum(t["total_wait_ns"] for t in s["threads"]), "sum of the waits, and by thread")
    for what, told, some in groups:
        percentiles_agree(some, told["wait_ns"], lambda f: f["wait_ns"], f"{what}: wait")
        percentiles_agree(some, told["queue_ns"], lambda f: f["queue_ns"], f"{what}: queued")
        percentiles_agree(some, told["handle_ns"], handled, f"{what}: handled")


def complete(s):
    """Nothing was lost, so that its lines can be counted, too."""
    consistent(s)
    eq(s["lost_events"], 0, "lost")


class Storm:
    """tests/helpers/storm: faults, and counts of them that owe nothing to BPF."""

    def __init__(self, *args):
        self.p = subprocess.Popen([os.path.join(HELPERS, "storm"), *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = int(self.p.stdout.readline().split()[1])

    def go(self):
        self.p.stdin.write(b"go\n")
        self.p.stdin.flush()

    def result(self):
        """What it has counted, and its end: its threads end, and so does what they wait in."""
        counted = json.loads(self.p.stdout.readline())
        self.p.stdin.close()
        self.p.wait(timeout=30)
        return counted

    def kill(self):
        self.p.kill()
        self.p.wait()
