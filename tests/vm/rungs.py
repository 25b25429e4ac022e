# SPDX-License-Identifier: GPL-2.0-or-later
"""Which rung of every ladder answers on a kernel, and what is said where it has none: compared with plan.py.

What is seen is printed as data ("# saw: {...}"), from which check.py makes the table in README.
"""
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile

sys.path.append(sys.path[0] + "/..")
from harness import (FEATURES, HUGE, PAGE, UFFDCTL, Target, TargetError, contains, eq, hugepages, main, ok,
                     pattern_page, run, test)
from plan import plan

KERNEL = os.environ.get("UFFDCTL_TEST_KERNEL", "")
MEMORY = {"anonymous": ("anon", PAGE), "shmem": ("memfd", PAGE), "hugetlbfs": ("hugetlb", HUGE),
          "guest_memfd": ("guest_memfd", PAGE)}
FLAGS = {"minor": "ui", "missing": "um", "wp": "uw", "rwp": "ur"}


def rung(fn, name=None):
    """A test whose function returns the rungs that answer, best first; they must be those that are expected."""
    name = name or fn.__name__.removeprefix("rung_")

    def compare():
        seen = fn()
        print("# saw: " + json.dumps({name: seen}), flush=True)
        eq(seen, plan(KERNEL).rungs[name], name)
    compare.__name__ = f"rung_{name}"
    return test(limit=120)(compare)


def traced(calls, *args):
    """The system calls that uffdctl makes, a line each; a file for each thread, so that none is cut in two."""
    with tempfile.TemporaryDirectory() as out:
        subprocess.run(["strace", "-ff", "-qq", "-o", f"{out}/calls", "-e", f"trace={calls}",
                        UFFDCTL, *map(str, args)],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        lines = []
        for name in os.listdir(out):
            with open(os.path.join(out, name)) as f:
                lines += f.read().splitlines()
        return lines


def answered(lines, pattern):
    """Whether such a call was made, and did not fail."""
    return any(re.search(pattern, line) and not re.search(r"\) += -1 ", line) for line in lines)


@contextlib.contextmanager
def memory(name, pages=2, populate=True, mode="minor"):
    """A target with a userfaultfd and memory of a kind, none of it in its page table; None where it can't be made."""
    kind, page = MEMORY[name]
    with hugepages(pages if kind == "hugetlb" else 0), Target() as t:
        # rwp and wp exclude each other only on a range, but rwp needs to be asked for.
        wanted = FEATURES + (["rwp"] if mode == "rwp" else [])
        with Target() as other:
            known = other.uffd()["supported"]
        t.userfaultfd([f for f in wanted if f in known])
        try:
            m = t.memory(kind, pages * page, alloc=kind in ("memfd", "hugetlb") and populate)
        except TargetError:
            if kind != "guest_memfd":
                raise
            yield None, None  # no /dev/kvm, or a kernel before 6.18
            return
        yield t, m


# ---- looking ----

@rung
def rung_list():
    """list, pending and smaps have one ladder; each must be on the same rung."""
    with memory("shmem") as (t, _):
        for command in ("list", "pending", "smaps"):
            pid = [t.pid] if command == "smaps" else []
            for source in ("bpf", "proc"):
                ok(run(command, f"--source={source}", *pid).rc in (0, 1), f"{command} by {source}")
        contains(run("smaps", "-v", t.pid).err, "from ")
        by = re.search(r"from (\w+)", run("smaps", "-v", t.pid).err)[1]
        rows = run("list", "-J", t.pid, check=0).json()["list"]
        # /proc can't tell whose memory it is.
        eq(rows[0]["target_pid"], t.pid if by == "bpf" else None, "list's rung is that of smaps")
    return by


@rung
def rung_watch():
    """All that can be had, best first; the best is what watch takes, and the others say what they lack."""
    rungs = []
    for backend in ("tracepoint", "fentry", "kprobe", "sched"):
        r = run("watch", "--summary", "-d", "0.1", f"--backend={backend}")
        if r.rc == 0:
            contains(r.out, f"({backend})")
            rungs.append(backend)
        else:
            contains(r.err, backend)
    contains(run("watch", "--summary", "-d", "0.1", check=0).out, f"({rungs[0]})")
    return " ".join(rungs)


@rung
def rung_mappings():
    with memory("shmem") as (t, m):
        run("register", "-q", t.pid, m["addr"] + "+4K", check=0)
        calls = traced("ioctl", "smaps", t.pid)
    return "PROCMAP_QUERY" if answered(calls, r"PROCMAP_QUERY|0x66, 0x11") else "maps"


@rung
def rung_huge_pages():
    """Looked at where it matters: for filling, and for write-protect marks."""
    with memory("hugetlbfs") as (t, _), tempfile.NamedTemporaryFile() as image:
        image.truncate(2 * HUGE)
        run("register", "-q", t.pid, "all", check=0)
        calls = traced("ioctl", "continue", "-q", "--from", image.name, t.pid, "all")
    return "PAGEMAP_SCAN" if answered(calls, r"PAGEMAP_SCAN|0x66, 0x10") else "pagemap"


@rung
def rung_userfaultfd():
    calls = traced("openat,ioctl,userfaultfd", "list")
    return "/dev/userfaultfd" if answered(calls, "USERFAULTFD_IOC_NEW|0xaa, 0") else "userfaultfd(2)"


@rung
def rung_second_mapping():
    with memory("shmem") as (t, _), tempfile.NamedTemporaryFile() as image:
        image.truncate(2 * PAGE)
        run("register", "-q", t.pid, "all", check=0)
        calls = traced("openat", "continue", "-q", "--from", image.name, t.pid, "all")
    # Found by one of the two, and opened for writing by what was found.
    ok(answered(calls, r'"/proc/self/fd/.*O_RDWR'), "nothing was opened for writing")
    return "descriptor" if answered(calls, r'"fd/') else "map_files"


@rung
def rung_looks_again():
    """By what continue sees that a mapping is the one it was: it looks for each 256 KiB that it fills."""
    with memory("shmem", pages=4096) as (t, _):
        run("register", "-q", t.pid, "all", check=0)
        calls = traced("openat,ioctl", "continue", "-q", "--from-zero", t.pid, "all")
    if sum('"maps"' in line for line in calls) > 4:
        return "maps"
    return "PROCMAP_QUERY" if answered(calls, r"PROCMAP_QUERY|0x66, 0x11") else "bpf"


# ---- acting: on which memory it can be done; where not, the error says why ----

NO_RWP = "needs Linux 7.3"
NO_GUEST_MEMFD = "no userfaultfd for guest_memfd (a kernel with the patches"
NO_MARKS = "a guest does not use the process's page table"
WITHOUT = {
    "missing": {"guest_memfd": NO_GUEST_MEMFD},
    "minor": {"anonymous": "minor needs shmem", "guest_memfd": NO_GUEST_MEMFD},
    "wp": {"guest_memfd": NO_MARKS},
    "rwp": {"anonymous": NO_RWP, "shmem": NO_RWP, "hugetlbfs": NO_RWP, "guest_memfd": NO_MARKS},
}


def registers(mode, name):
    """Whether memory of a kind can be registered for a mode, by the kernel's own flag; if not, the error helps."""
    with memory(name, mode=mode) as (t, m):
        if not t:
            return False
        r = run("register", "-q", "-m", mode, t.pid, f"{m['addr']}+{m['size']}")
        if r.rc == 0:
            rows = run("smaps", "-J", t.pid, check=0).json()["smaps"]
            eq([x["flags"] for x in rows], [[FLAGS[mode]]], "flags")
            return True
        contains(r.err, WITHOUT[mode].get(name, "?"))
        return False


for mode in WITHOUT:
    rung(lambda mode=mode: " ".join(name for name in MEMORY if registers(mode, name)), mode)


def resolves(command, name):
    """Whether a thread that waits for missing memory gets it from a command; if not, the error helps."""
    with memory(name, populate=False) as (t, m), tempfile.NamedTemporaryFile() as image:
        if not t or run("register", "-q", "-m", "missing", t.pid, f"{m['addr']}+{m['size']}").rc:
            return False
        image.write(pattern_page(5, 0, m["size"]))
        image.flush()
        thread = t.touch(id=m["id"], access="read")["threads"][0]
        source = ["--from", image.name] if command == "copy" else []
        r = run(command, "-J", "-q", *source, t.pid, "all")
        if r.rc:
            contains(r.err, "copy")  # which can do it
            return False
        eq(r.json()[command][0]["mapped"], m["size"], "mapped")
        ok(t.join(thread=thread)["done"], "the thread is through")
        return True


for command in ("copy", "zeropage"):
    rung(lambda command=command: " ".join(name for name in MEMORY if resolves(command, name)), command)


@rung
def rung_keeps_wp():
    """Where continue keeps a write-protect mark; where not, it refuses and says so."""
    kept = []
    for name, remedy in (("shmem", "needs Linux 6.4"), ("hugetlbfs", "needs Linux 6.7")):
        with memory(name) as (t, m):
            page = MEMORY[name][1]
            run("register", "-q", "-m", "minor,wp", t.pid, "all", check=0)
            t.writeprotect(uffd=t.u, id=m["id"], offset=0, len=page, protect=True)
            r = run("continue", "-q", t.pid, f"{m['addr']}+{page}")
            if r.rc == 0:
                kept.append(name)
            else:
                contains(r.err, remedy)
    return " ".join(kept)


main()
