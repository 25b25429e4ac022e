# SPDX-License-Identifier: GPL-2.0-or-later
"""`make vm-demo`: faults on guest_memfd, driven and watched, on a kernel with the patches of kernel-patches/.

Runs inside the guest (vm.py 7.3-patched). Like tests/demo.py it shows each command as one would type it, and checks
what it prints.
"""
import os
import platform
import signal
import sys
import tempfile
import time

sys.path[0] += "/.."
from harness import Target, pattern_page, run, spawn, wait_until
from harness.show import PAUSE, check, colour, row, say, tell, uffdctl

SIZE = 16 << 20
PAGE = os.sysconf("SC_PAGESIZE")
FIRST, SECOND = 3, 7  # pages that a thread runs into
SNAPSHOT, STALE, RIGHT = 1, 2, 3  # seeds of contents
NAME = "@*kvm-gmem*"


class Watch:
    """uffdctl watch, in the background; what it has said is shown at the end."""

    def __init__(self, pid):
        self.out = tempfile.TemporaryFile(mode="w+")
        print(colour("1", f"$ uffdctl watch {pid} >faults &"), flush=True)
        self.p = spawn("watch", "-v", pid, stdout=self.out, stderr=self.out)
        wait_until(lambda: "watching with" in self.said(), "watch is attached", timeout=30)

    def said(self):
        self.out.seek(0)
        return self.out.read()

    def stop(self):
        self.p.send_signal(signal.SIGINT)
        check(self.p.wait(60) == 0, f"watch ended with {self.p.returncode}: {self.said()}")
        print(colour("1", "$ kill -INT %1; cat faults") + "\n" + self.said(), end="", flush=True)
        return self.said()


def page_file(name, seed, page):
    with open(name, "wb") as f:
        f.write(pattern_page(seed, page, PAGE))
    return name


def stuck(target, memory, page, kind, seed):
    """Has a thread touch a page; shows that it waits there."""
    thread = target.touch(id=memory["id"], offset=page * PAGE, len=PAGE, access="read", seed=seed,
                          name="vcpu0")["threads"][0]
    wait_until(lambda: run("pending", "-J", target.pid).json()["pending"], "the thread to wait")
    row(uffdctl("pending", "-o", "TID,PID,COMM,KIND,ACCESS,STATE,ADDR", target.pid), KIND=kind)
    return thread


def through(target, thread):
    end = target.join(thread=thread)
    check(end["done"], "the thread still waits")
    check(not end["mismatches"], "the thread read other contents than those of the file")
    print("the thread went on, and read just that", flush=True)
    time.sleep(PAUSE)


def story():
    target = Target(timeout=60)
    target.comm(name="vmm")
    fd = target.userfaultfd([])
    memory = target.memory("guest_memfd", SIZE)
    pid, start = target.pid, memory["start"]
    at = {n: f"{start + n * PAGE:x}+{PAGE // 1024}K" for n in (FIRST, SECOND)}

    say(f"Linux {platform.release()} with the patches of kernel-patches/. Process {pid} (vmm) has mapped "
        f"{SIZE >> 20} MiB of guest_memfd, the memory of a virtual machine: nothing is in it yet.")
    row(uffdctl("register", "-q", "-m", "minor,missing", pid, NAME), FD=fd, MODE="missing,minor")
    row(uffdctl("smaps", pid), FLAGS="um,ui")

    say("Watch the faults, by the tracepoints of that kernel.")
    watch = Watch(pid)

    say("A thread reads a page that is not there: it waits (missing). It gets exactly what copy puts there.")
    thread = stuck(target, memory, FIRST, "missing", SNAPSHOT)
    row(uffdctl("copy", "--from", page_file("snapshot.bin", SNAPSHOT, FIRST), pid, at[FIRST]), MAPPED="4K", ABSENT="0B")
    through(target, thread)

    say("Another page is populated through a second mapping, with contents that are out of date. It is in the page "
        "cache, but not in the page table: the fault is minor. It is corrected, then mapped.")
    target.fill(id=memory["id"], offset=SECOND * PAGE, len=PAGE, seed=STALE)
    thread = stuck(target, memory, SECOND, "minor", RIGHT)
    row(uffdctl("continue", "--from", page_file("right.bin", RIGHT, SECOND), pid, at[SECOND]), MAPPED="4K", ABSENT="0B")
    through(target, thread)

    say("The rest in bulk: zeros, before anybody asks for it.")
    row(uffdctl("zeropage", "-b", pid, "all"), MAPPED=SIZE - 2 * PAGE, ALREADY=2 * PAGE, ABSENT=0)
    thread = target.touch(id=memory["id"], access="read", name="vcpu0")["threads"][0]
    check(target.join(thread=thread)["touched"] == SIZE // PAGE, "a thread reads all of it without a fault")

    say("What watch has seen: two faults, who resolved them, with what, and how long the thread waited.")
    said = watch.stop()
    check("(tracepoint)" in said, "watch did not use the tracepoints")
    check("missing 1" in said and "minor 1" in said, "watch counted other faults than these two")

    row(uffdctl("unregister", pid, "all"), MODE="missing,minor")
    target.kill()
    say("All of it was as it should be.")


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            story()
        finally:
            os.chdir("/")


tell(main)
