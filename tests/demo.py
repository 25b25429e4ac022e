# SPDX-License-Identifier: GPL-2.0-or-later
"""`make demo`: the main job of uffdctl on a live process, in about ten seconds.

Prints each command as one would type it, and its real output; checks what it shows, and ends
with exit status 1 and a reason where that is not as it should be.
"""
import os
import platform
import tempfile
import time

from harness import Target, TargetError, pattern_page, run, wait_until
from harness.show import PAUSE, Wrong, check, row, say, tell, uffdctl

SIZE = 64 << 20
PAGE = os.sysconf("SC_PAGESIZE")
STUCK = 5 * PAGE  # where in the memory the thread runs into a fault
OWN_AT, OWN = 1 << 20, 16 * PAGE  # what the process uses through its second mapping
OLD, NEW = 1, 2  # seeds of contents


# ---- what can be had here ----

def userfaultfd(target):
    features = ["minor_shmem", "missing_shmem"]
    try:
        return target.userfaultfd(features)
    except TargetError as first:
        try:
            # Without privileges, faults of the kernel's own accesses can't be handled.
            return target.userfaultfd(features, user_mode_only=True)
        except TargetError:
            raise Wrong(f"{first}: this needs a kernel with CONFIG_USERFAULTFD and with minor "
                        f"faults on shmem (Linux 5.14); this is {platform.release()}") from None


def has_bpf():
    """Whether BPF tells owners; says what is missing where it does not."""
    result = run("list", "-S", "bpf", "-q")
    if result.rc == 0:
        return True
    say("BPF is not available here: owners and registered bytes are not shown, and it is not known "
        "whether a handler runs (--force says that there is none). Run this as root to see all.")
    print(result.err, end="")
    return False


# ---- the story ----

def demo(target, page_file, image_file):
    fd = userfaultfd(target)
    target.comm(name="vmm")
    memory = target.memory(size=SIZE, seed=OLD, name="guest")
    with open(page_file, "wb") as f:
        f.write(pattern_page(NEW, STUCK // PAGE, PAGE))
    with open(image_file, "wb") as f:
        for i in range(SIZE // PAGE):
            f.write(pattern_page(NEW, i, PAGE))
    pid, start = target.pid, memory["start"]
    page = f"{start + STUCK:x}+{PAGE // 1024}K"
    bpf = has_bpf()
    quiet = [] if bpf else ["-q"]
    known = (lambda text: text) if bpf else (lambda text: "-")
    holder = known(f"{pid}:{fd}")

    say(f"Process {pid} (vmm) has {SIZE >> 20} MiB of shared memory, memfd:guest, and a "
        "userfaultfd on which nothing is registered.")
    row(uffdctl("list", *quiet, pid), PID=pid, FD=fd, PENDING=0, TOTAL=0, MINOR=known("0B"))

    say("Register that memory for minor faults. The process is not involved."
        + (" It has no fault handler; uffdctl warns about that." if bpf else ""))
    row(uffdctl("register", *quiet, pid, "@/memfd:guest"), START=f"{start:x}", MODE="minor", FD=fd)

    say("The mapping has the flag ui now.")
    row(uffdctl("smaps", *quiet, pid), START=f"{start:x}", FLAGS="ui", HOLDERS=holder)

    say("A thread of the process reads a page. The page is in the page cache, but not in the "
        "page table: the thread waits.")
    thread = target.touch(id=memory["id"], offset=STUCK, len=PAGE, access="read", seed=NEW,
                          name="vcpu0")["threads"][0]
    wait_until(lambda: run("list", "-J", "-q", pid).json()["list"][0]["pending"] == 1,
               "the thread to wait")
    row(uffdctl("list", *quiet, pid), PENDING=1, TOTAL=1, MINOR=known(f"{SIZE >> 20}M"))
    check(not target.status(thread=thread)["done"], "the thread did not wait")

    say("Correct that page: page.bin is written through a second mapping of the memfd, then the "
        "page is mapped.")
    force = [] if bpf else ["--force"]
    row(uffdctl("continue", *quiet, *force, "--from", page_file, pid, page),
        MAPPED=f"{PAGE // 1024}K", FILLED=f"{PAGE // 1024}K", ALREADY="0B", ABSENT="0B", ELSEWHERE="0B")
    end = target.join(thread=thread)
    check(end["done"], "the thread still waits")
    check(not end["mismatches"], "the thread read other contents than those of page.bin")
    seen = target.peek(id=memory["id"], offset=STUCK, len=16)["hex"]
    wanted = pattern_page(NEW, STUCK // PAGE, PAGE)[:16].hex()
    old = pattern_page(OLD, STUCK // PAGE, PAGE)[:16].hex()
    print(f"the thread went on, and read   {seen}...\n"
          f"page.bin begins with           {wanted}...\n"
          f"before, the memory had there   {old}...", flush=True)
    check(seen == wanted, "the process sees other contents than those of page.bin")
    time.sleep(PAUSE)

    say(f"Live migration: guest.mem is an image of the memory as it should be. But the process has "
        f"a second mapping of the memfd, as each VMM has, and used {OWN >> 10} KiB of it. Is what is there "
        "newer than the image, or older? Only you know, so these pages are left alone.")
    own = target.memory(size=SIZE, of=memory["id"])
    for i in range(OWN // PAGE):
        target.poke(id=own["id"], offset=OWN_AT + i * PAGE, hex="77" * 8, through="self")
    row(uffdctl("continue", "-b", *quiet, *force, "--from", image_file, pid, f"{start:x}+{SIZE >> 20}M", rc=1),
        MAPPED=SIZE - OWN - PAGE, FILLED=SIZE - OWN - PAGE, ALREADY=PAGE, ELSEWHERE=OWN)
    kept = target.peek(id=own["id"], offset=OWN_AT, len=8, through="self")["hex"]
    check(kept == "77" * 8, "a page that the process had mapped was written")

    say("Here they are newer: continue them as they are.")
    row(uffdctl("continue", "-b", *quiet, *force, "--from", image_file, "--elsewhere=keep", pid, "all"),
        MAPPED=OWN, FILLED=0, ALREADY=SIZE - OWN, ELSEWHERE=0)
    whole = target.check(id=memory["id"], seed=NEW)
    check(whole["match"] == (SIZE - OWN) // PAGE and whole["first_differ"] == OWN_AT,
          f"not all other pages are those of the image: {whole}")

    say("Unregister. No flag is left; the process runs on as before.")
    row(uffdctl("unregister", *quiet, pid, "all"), START=f"{start:x}", MODE="minor")
    check(uffdctl("smaps", *quiet, pid) == "", "a mapping is still registered")


def main():
    with tempfile.TemporaryDirectory() as folder, Target() as target:
        os.chdir(folder)
        try:
            demo(target, "page.bin", "guest.mem")
        finally:
            os.chdir("/")
    say("Everything was as expected. See man/uffdctl.1 for more.")


tell(main)
