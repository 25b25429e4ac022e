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
# Of other kernels, the gate runs what depends on the kernel; make check-vm WHOLE=1 runs all of it, for hours.
WHOLE = bool(os.environ.get("WHOLE"))
# Each list is one boot: two fit on two CPUs. lockdown.py last: it takes away what the others need.
WATCH = ["tests/cmd/watch.py"]


def watch(*tests):
    """Of watch, these tests."""
    return WATCH if WHOLE else [" ".join(["tests/cmd/watch.py", *tests])]


def counts(*backends):
    """What these backends count. The rest of watch is tested once by each backend, by sched on the build machine."""
    return [f"watch-{t}*-{b}" for b in backends for t in (
        "exact", "record", "failed", "kernel", "one-page", "ends", "many", "readers")]


WATCH_PATCHED = ["tests/vm/tracepoints.py", *watch(*counts("tracepoint"), "watch-takes-*", "watch-no-*")]
KERNELS_OWN = ["tests/vm/selftests.py", f"{O}/tests/helpers/gmem-stress"]
# Of doctor, what the kernel says: users, namespaces and filters are the same everywhere.
SOME = {
    "doctor": ["doctor-proved-root", "doctor-backends-proved-root", "doctor-ways-proved-root", "doctor-memory-*", "doctor-ioctls"],
    "record": ["record-totals-*", "record-killed", "record-each-second", "record-full-disk"],
    "zap": ["zap-*", "inject-unnoticed-registers", "inject-unnoticed-nanosleep", "inject-unnoticed-epoll", "inject-other-user",
            "inject-seccomp", "inject-seccomp-put-back", "inject-stopped", "inject-pid-namespace"],
    "serve": [f"serve-{t}" for t in (
        "from-*", "keep-*", "zero-*", "wp-*", "minor-*", "blocking-*", "until-complete-*", "second-*", "removed", "moved",
        "unmapped-*", "fork-*", "state*", "target-goes-*")],
    "serve_inject": ["serve-inject-from-*", "serve-inject-keep-*", "serve-inject-contents-*"],
    "serve_around": ["serve-around-from-*", "serve-around-keep-*", "serve-around-huge", "serve-around-wp", "serve-around-removed"],
    "serve_death": ["serve-death-holds-*", "serve-death-releases-*", "serve-death-command"],
    "serve_command": ["serve-command-from-*", "serve-command-program-sh-*", "serve-command-statuses"],
    "serve_trial": ["serve-fail-page-*", "serve-stale-shmem", "serve-stale-hugetlb"],
    "handoff": ["handoff-one-*", "handoff-huge-pages"],
    "continue": [f"continue-{t}" for t in (
        "holes", "fallocated", "past-*", "dead-*", "only-*", "from-half*", "from-while-punched",
        "from-while-truncated", "while-mappings-*")],
    "copy": ["zeropage-*", *(f"copy-{t}" for t in (
        "anon", "shmem-*", "tmpfs", "hugetlb-*", "in-*", "at-*", "into-*", "past-*", "write-*", "beside-*", "by-*",
        "leaves-*", "changed-while-*"))],
}
# On the oldest kernel and on the newest one. In between, where little is new, less.
NAMES = ("list", "pages", "peek", "pending", "alarm", "handlers", "register", "continue", "fill", "copy", "protect", "serve", "gmem",
         "lock", "story", "zap", "serve_inject", "serve_command", "serve_trial", "serve_adopt", "serve_around", "serve_death", "handoff",
         "doctor", "record", "leader")
ON_ARM64 = ("zap", "serve_inject", "serve_command")
LESS = ("list", "pages", "pending", "register", "fill", "copy", "protect")


def rest(names):
    """All but watch: of these programs, the tests that depend on the kernel."""
    if WHOLE:
        names = (*NAMES, "errors", "cli")
    return ["tests/vm/rungs.py", *UNITS,
            *(" ".join([f"tests/cmd/{t}.py", *([] if WHOLE else SOME.get(t, []))]) for t in names), "tests/vm/lockdown.py"]


REST = rest(LESS)
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
        # A guest has no file system that holds swap files, and none but tmpfs that can be written to.
        self.rungs = {**DEBIAN, **(rungs or {})}
        self.skips = "|".join(filter(None, (skips, "swapon fails", "a file on a file system that has no userfaultfd")))
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
                      f"|no pidfds of threads|{NEITHER}", boots=(watch(*counts("kprobe", "sched")), rest(NAMES))),
    "6.12": Plan(skips=NEITHER, boots=(watch("*-fentry"), [*REST[:-1], *REAL, REST[-1]]), modules=CRIU_MODULES),
    # Another processor: what depends on that.
    "6.12-arm64": Plan(skips=NEITHER, boots=(rest(ON_ARM64)[len(UNITS) + 1:-1],)),
    "6.12-patched": Plan(OURS, skips=f"{NEITHER}|{PATCHED}", boots=(WATCH_PATCHED, REST)),
    "7.2": Plan(skips=NEITHER, modules=["kvm-amd"], boots=(watch(*counts("fentry")), rest(LESS))),
    "7.3-plain": Plan(RWP, skips=NO_GUEST_MEMFD),
    "7.3-patched": Plan({**RWP, **OURS, **GUEST_MEMFD}, skips=f"{PATCHED}|another's range",
                        boots=(WATCH_PATCHED, [*KERNELS_OWN, *rest(NAMES)])),
}


def plan(kernel):
    """That of a kernel; one without its own (a folder, another version) is expected to have what Debian's have."""
    return PLANS.get(kernel.split("+")[0]) or Plan()
