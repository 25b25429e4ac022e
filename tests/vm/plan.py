# SPDX-License-Identifier: GPL-2.0-or-later
"""What is run on each kernel of the matrix, and what is expected there.

A kernel's name is vm.py's. A rung is the way by which something is found out or done (rungs.py has them all); what a
kernel is to have, no test may skip for want of.
"""
import glob
import os

O = os.environ.get("O") or "build"
UNITS = [os.path.join(O, "tests/lib", os.path.basename(p)[:-len(".c")])
         for p in sorted(glob.glob(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lib/*.c")))]
# Each list is one boot: two fit on two CPUs. lockdown.py last: it takes away what the others need.
WATCH = ["tests/cmd/watch.py"]


def counts(*backends, more=""):
    """Of watch, what depends on the kernel: of these backends, what they count."""
    return [" ".join(["tests/cmd/watch.py", *(f"watch-{t}-*{b}" for b in backends for t in (
        "exact", "record", "kernel", "one-page", "ends", "many", "readers")), more])]


# Each backend is tested whole on one kernel: sched on that of the build machine.
WATCH_FENTRY = counts("-kprobe", "-sched", more="*-fentry")
WATCH_KPROBE = counts("-fentry", more="*-kprobe")
WATCH_PATCHED = ["tests/vm/tracepoints.py", "tests/cmd/watch.py *-tracepoint watch-takes-* watch-no-*"]
KERNELS_OWN = ["tests/vm/selftests.py", f"{O}/tests/helpers/gmem-stress"]
# Of doctor, what the kernel says; users, namespaces and filters are the same everywhere.
ALL = {
    "doctor": [f"doctor-{t}" for t in ("proved-root", "proved-user", "proved-container", "backends-proved-root",
                                       "ways-proved-*", "memory-*", "ioctls")],
}
SOME = {
    **ALL,
    "continue": [f"continue-{t}" for t in (
        "holes", "fallocated", "past-*", "dead-*", "only-*", "from-half*", "from-while-punched",
        "from-while-truncated", "while-mappings-*")],
    "copy": ["zeropage-*", *(f"copy-{t}" for t in (
        "anon", "shmem-*", "tmpfs", "hugetlb-*", "in-*", "at-*", "into-*", "past-*", "write-*", "beside-*", "by-*",
        "leaves-*", "changed-while-*"))],
}
INSPECTS = ("list", "pages", "peek", "pending", "alarm", "doctor", "handlers", "record")
DRIVES = ("register", "continue", "fill", "copy", "protect", "gmem")
NAMES = (*INSPECTS, *DRIVES, "leader", "lock", "story")


def rest(names=NAMES, some=SOME):
    """All but watch: of these programs, the tests that some has for them, if it has any."""
    return ["tests/vm/rungs.py", *UNITS, *(" ".join([f"tests/cmd/{t}.py", *some.get(t, [])]) for t in names),
            "tests/vm/lockdown.py"]


REST = rest(some=ALL)
# Programs of others: by fentry, which few build machines let tests have, and one that fails on newer kernels.
REAL = ["tests/real/stress_ng.py real-stress-ng-lines", "tests/real/criu.py"]
# What criu looks for in a kernel.
CRIU_MODULES = ["crc32c_generic", "nf_tables"]

DEBIAN = {
    "list": "bpf",
    "watch": "fentry kprobe sched",
    "mappings": "PROCMAP_QUERY",
    "looks_again": "PROCMAP_QUERY",
    "huge_pages": "PAGEMAP_SCAN",
    "userfaultfd": "/dev/userfaultfd",
    "second_mapping": "map_files",
    "minor": "shmem hugetlbfs",
    "missing": "anonymous shmem hugetlbfs",
    "wp": "anonymous shmem hugetlbfs",
    "rwp": "",
    "copy": "anonymous shmem hugetlbfs",
    "zeropage": "anonymous shmem",
    "keeps_wp": "shmem hugetlbfs",
}


class Plan:
    """boots: programs of each; rungs: what must be seen, by rung; skips: why a test may be skipped there (regex)."""

    def __init__(self, rungs=None, skips="", boots=(WATCH, REST), modules=()):
        # A guest has no file system that holds swap files.
        self.rungs, self.skips = {**DEBIAN, **(rungs or {})}, "|".join(filter(None, (skips, "swapon fails")))
        self.boots, self.modules = boots, modules


RWP = {"rwp": "anonymous shmem hugetlbfs"}
OURS = {"watch": "tracepoint fentry kprobe sched"}
GUEST_MEMFD = {k: f"{DEBIAN[k]} guest_memfd" for k in ("minor", "missing", "copy", "zeropage")}
NO_GUEST_MEMFD = "no (userfaultfd for )?guest_memfd"
NEITHER = f"{NO_GUEST_MEMFD}|no rwp"
# Tests of what is said where it lacks, and of the kernel's own what needs swap.
PATCHED = "this kernel has (them|userfaultfd for guest_memfd|no IPv4)|did not swap the page|no cachestat"
PLANS = {
    "6.1": Plan({"mappings": "maps", "looks_again": "bpf", "huge_pages": "pagemap", "keeps_wp": ""},
                skips=f"UFFD_FEATURE_WP_ASYNC|UFFD_FEATURE_WP_UNPOPULATED|UFFDIO_POISON|marks can't be kept|marks of huge pages"
                      f"|no pidfds of threads|{NEITHER}", boots=(counts(""), rest())),
    "6.12": Plan(skips=NEITHER, boots=(WATCH_FENTRY, [*REST[:-1], *REAL, REST[-1]]), modules=CRIU_MODULES),
    "6.12-patched": Plan(OURS, skips=f"{NEITHER}|{PATCHED}", boots=(WATCH_PATCHED, REST)),
    "7.2": Plan(skips=NEITHER, modules=["kvm-amd"], boots=(WATCH_KPROBE, rest((*(n for n in INSPECTS if n != "doctor"), *DRIVES)))),
    "7.3-plain": Plan(RWP, skips=NO_GUEST_MEMFD),
    "7.3-patched": Plan({**RWP, **OURS, **GUEST_MEMFD}, skips=PATCHED,
                        boots=(WATCH_PATCHED, [*KERNELS_OWN, *rest()])),
}


def plan(kernel):
    """That of a kernel; one without its own (a folder, another version) is expected to have what Debian's have."""
    return PLANS.get(kernel.split("+")[0]) or Plan()
