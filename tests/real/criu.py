# SPDX-License-Identifier: GPL-2.0-or-later
"""CRIU's lazy-pages: the faults that its daemon logs, beside what uffdctl shows of them.

Debian 12's CRIU fails on Linux 6.18, whose vDSO it does not know, so tests/vm/ runs this in a guest.
"""
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path[0] += "/.."
from harness import Failure, SLOW, eq, main, ok, run, skip, test, wait_until
from harness.watch import Watch, complete

PAGES = 4096
# Fills memory, and once it may go on compares it, each page once and in no order that could be foreseen.
PROGRAM = f"""
import mmap, os, time
m = mmap.mmap(-1, {PAGES} << 12, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for i in range({PAGES}): m[i << 12:(i << 12) + 8] = i.to_bytes(8, "little")
open("ready", "w").close()
while not os.path.exists("go"): time.sleep(0.1)
order = [i * 1365 % {PAGES} for i in range({PAGES})]
good = sum(m[i << 12:(i << 12) + 8] == i.to_bytes(8, "little") for i in order)
with open("result.new", "w") as f: f.write(str(good))
os.rename("result.new", "result")
"""


def criu(folder, *words, log=None):
    """Starts criu, with images and log in the folder."""
    return subprocess.Popen(["criu", *words, "-D", folder, "-v4", "-o", log or f"{words[0]}.log"],
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def ended(p, folder, name):
    """Waits for a criu's end."""
    if p.wait(60 * SLOW):
        with open(f"{folder}/{name}.log", errors="replace") as f:
            raise Failure(f"criu {name}: {f.read()[-1500:]}")


class Pipe:
    """A named pipe that a criu logs to: when it is full, this criu waits. SIGSTOP would end its epoll_wait."""

    def __init__(self, path):
        self.path = path
        os.mkfifo(path)
        self.read, self.write = (os.open(path, how | os.O_NONBLOCK) for how in (os.O_RDONLY, os.O_WRONLY))
        self.text = b""

    def drain(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                self.text += os.read(self.read, 65536)

    def fill(self):
        for size in (4096, 1):
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(self.write, b"\n" * size)

    def wait_until(self, fn, what, timeout=20):
        """Reads the log meanwhile."""
        wait_until(lambda: self.drain() or fn(), what, timeout)


def needs():
    if not shutil.which("criu"):
        skip("criu is not installed; Debian's package criu runs this")
    if os.geteuid():
        skip("criu needs privileges; root runs this")
    check = subprocess.run(["criu", "check"], capture_output=True, text=True)
    if check.returncode:
        errors = re.findall(r"Error \(\S+ (?!exited)(.*)", check.stderr) or ["?"]
        skip(f"this criu does not work on this kernel ({errors[0]}); make check-vm runs this on 6.12")


def dumped(folder):
    """Starts the program and has it dumped, which ends it. Its pid."""
    p = subprocess.Popen([sys.executable, "-c", PROGRAM], cwd=folder, start_new_session=True, stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: os.path.exists(f"{folder}/ready"), "the program has filled its memory", timeout=20)
    ended(criu(folder, "dump", "-t", str(p.pid)), folder, "dump")
    eq(p.wait(10 * SLOW), -signal.SIGKILL, "how a dumped process ends")
    return p.pid


def restore(folder, log):
    """Restores all but the pages, and has lazy-pages wait before it serves one to the restored process."""
    script = f"{folder}/script"
    with open(script, "w") as f:
        f.write(f"""#!/bin/sh
            [ "$CRTOOLS_SCRIPT_ACTION" = post-restore ] || exit 0
            touch {folder}/restored
            while [ ! -e {folder}/full ]; do sleep 0.1; done
            """)
    os.chmod(script, 0o755)
    p = criu(folder, "restore", "--lazy-pages", "-d", "--action-script", script)
    log.wait_until(lambda: os.path.exists(f"{folder}/restored") or p.poll() is not None, "all but pages is there")
    log.fill()
    open(f"{folder}/full", "w").close()
    ended(p, folder, "restore")


def look(pid, daemon):
    """While the restored process is stuck. It has given its own descriptor away: the daemon is the only holder."""
    rows = wait_until(lambda: run("pending", "-J", pid, check=0).json()["pending"], "the process is stuck", timeout=20)
    held, = run("list", "-J", pid, check=0).json()["list"]
    maps = run("smaps", "-J", pid, check=0).json()["smaps"]
    fd = held["fd"]
    eq([(r["tid"], r["target_pid"], r["kind"], r["state"], r["holders"]) for r in rows],
       [(pid, pid, "missing", "queued", [f"{daemon}:{fd}"])], "pending")
    eq((held["pid"], held["target_pid"], held["pending"], held["total"]), (daemon, pid, 1, 1), "list")
    eq(os.readlink(f"/proc/{daemon}/fd/{fd}"), "anon_inode:[userfaultfd]", "its descriptor")
    eq(held["missing"], sum(r["size"] for r in maps), "list's bytes are those of smaps")
    eq({(*r["flags"], *r["holders"]) for r in maps}, {("um", f"{daemon}:{fd}")}, "smaps")
    ok(any(int(r["start"], 16) <= int(rows[0]["addr"], 16) < int(r["end"], 16) for r in maps), f"{rows} is in {maps}")


@test(limit=60)
def real_criu_lazy_pages():
    needs()
    with tempfile.TemporaryDirectory() as folder:
        pid = dumped(folder)
        w = Watch()
        log = Pipe(f"{folder}/lazy-pages.log")
        daemon = criu(folder, "lazy-pages", log=log.path)
        log.wait_until(lambda: os.path.exists(f"{folder}/lazy-pages.socket"), "lazy-pages listens")
        open(f"{folder}/go", "w").close()
        restore(folder, log)
        look(pid, daemon.pid)
        log.wait_until(lambda: daemon.poll() is not None and os.path.exists(f"{folder}/result"),
                       "all pages are there and compared", timeout=60)
        log.drain()
        faults, s = w.stop()
        complete(s)
        with open(f"{folder}/result") as f:
            eq(f.read(), str(PAGES), "pages that are right")
    eq(s["delivered"], log.text.count(b"#PF at "), "delivered is what lazy-pages logs")
    eq(s["faults"], {**dict.fromkeys(s["faults"], 0), "missing": len(faults)}, "faults")
    eq({(f["target_pid"], f["kind"]) for f in faults}, {(pid, "missing")}, "whose they are")


main()
