# SPDX-License-Identifier: GPL-2.0-or-later
"""stress-ng's userfaultfd stressor: its own count of faults beside watch's, and looks at it while it runs."""
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path[0] += "/.."
from harness import contains, ended, eq, fewer, main, ok, run, skip, test, wait_until
from harness.proc import parents
from harness.watch import Watch, complete

WORKERS = 2
SIZE = 8 << 20  # of each worker's memory
OPS = fewer(200000)  # all together
RESOLVES = ("copy", "zeropage")
LINES = 10000  # of faults, as many as there is room for even if nobody reads them


class Stress:
    """stress-ng, stopped before it starts, so that nothing of it is missed."""

    def __init__(self, ops=OPS):
        if not shutil.which("stress-ng"):
            skip("stress-ng is not installed; Debian's package stress-ng runs this")
        if os.geteuid():
            skip("stress-ng makes userfaultfds and watch needs BPF; root runs this")
        self.metrics = tempfile.NamedTemporaryFile()
        self.said = tempfile.TemporaryFile()
        words = ["stress-ng", "--userfaultfd", WORKERS, "--userfaultfd-ops", ops, "--userfaultfd-bytes", SIZE * WORKERS,
                 "--metrics", "--yaml", self.metrics.name, "--temp-path", tempfile.gettempdir()]
        self.p = subprocess.Popen(["sh", "-c", 'kill -STOP $$; exec "$@"', "sh", *map(str, words)],
                                  stdin=subprocess.DEVNULL, stdout=self.said, stderr=self.said)
        os.waitpid(self.p.pid, os.WUNTRACED)

    def start(self):
        self.p.send_signal(signal.SIGCONT)

    def processes(self):
        """All that come from it, by parent."""
        all_processes, found = parents(), {self.p.pid}
        while more := {p for p, parent in all_processes.items() if parent in found and p not in found}:
            found |= more
        return found

    def handled(self):
        """Its count, when it has ended. A handler counts a fault when it has read and resolved it."""
        status = self.p.wait()
        self.said.seek(0)
        text = self.said.read().decode()
        if status == 3 or "skipped" in text:
            skip(f"stress-ng can't: {text.strip()}")
        eq(status, 0, f"exit of stress-ng: {text}")
        return int(re.search(rb"bogo-ops: (\d+)", self.metrics.read())[1])


@test(limit=120)
def real_stress_ng_count():
    s = Stress()
    w = Watch("--summary", "--children", s.p.pid)
    s.start()
    handled = s.handled()
    _, seen = w.stop()
    complete(seen)
    eq(handled, OPS, "what stress-ng was to handle")
    eq(seen["delivered"], handled, "delivered is what stress-ng counts")
    # Now and then a worker wakes who faults before it has read the message, and at its end it kills it.
    f = seen["faults"]
    ok(f["missing"] >= handled, f"{f['missing']} missing faults of {handled}")
    eq((f["minor"], f["wp"], f["rwp"], seen["pending"]), (0, 0, 0, 0), "of no other kind, none left")


@test(limit=60)
def real_stress_ng_lines():
    s = Stress(LINES)
    w = Watch("--children", s.p.pid)
    s.start()
    handled = s.handled()
    faults, seen = w.stop()
    complete(seen)
    eq((handled, seen["delivered"]), (LINES, LINES), "handled, delivered")
    eq(len(faults), seen["faults"]["missing"], "a line for each fault")
    resolved = [f for f in faults if f["op"] in RESOLVES]
    eq(len(resolved), handled, "those that a worker resolved are those it counts")
    for f in faults:
        eq((f["kind"], f["access"]), ("missing", "write"), f"{f}")
        contains(f["comm"], "stress-ng")
        ok(f["op"] in RESOLVES or f["op"] == "wake" or f["ended"] in ("signal", "not_waited"), f"ended otherwise: {f}")


def looks(s):
    """What list, smaps and pending say of workers that come and go, checked row by row; how many rows of each."""
    lists = run("list", "-J", timeout=20)
    eq(lists.rc, 0, f"{lists}")
    mine = s.processes()
    held = [r for r in lists.json()["list"] if r["pid"] in mine]
    for r in held:
        contains(r["comm"], "stress-ng")
        # One that is just being set up has no memory registered yet.
        ok(r["missing"] in (0, SIZE) and not (r["minor"] or r["wp"] or r["rwp"]), f"list: {r}")
        ok(r["pending"] <= r["total"] <= 1, f"one process of a worker faults: {r}")
    pending = run("pending", "-J", timeout=20)
    eq(pending.rc, 0, f"{pending}")
    waiting = [r for r in pending.json()["pending"] if r["tid"] in mine]
    for r in waiting:
        anon = f"[anon:{int(r['addr'], 16) - r['offset']:x}]"
        eq((r["kind"], r["access"], r["name"]), ("missing", "write", anon), f"pending: {r}")
        contains(r["comm"], "stress-ng")
    mappings = 0
    for pid in {r["pid"] for r in held}:
        smaps = run("smaps", "-J", pid, timeout=20)
        if smaps.rc:
            wait_until(lambda pid=pid: ended(pid), f"only of one that ends: {smaps}", 10)
            continue
        rows = smaps.json()["smaps"]
        mappings += len(rows)
        for r in rows:
            eq((r["size"], r["flags"], r["name"]), (SIZE, ["um"], f"[anon:{r['start'][2:]}]"), f"smaps: {r}")
    return len(held), len(waiting), mappings


@test(limit=180)
def real_stress_ng_looks():
    s = Stress()
    s.start()
    seen = [0, 0, 0]
    while s.p.poll() is None:
        seen = [a + b for a, b in zip(seen, looks(s))]
    eq(s.handled(), OPS, "it did all it was to do, though looked at")
    ok(all(seen), f"rows of list, pending and smaps: {seen}")


main()
