# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's own tests of what kernel-patches/ changes, as build.py has left them beside the kernel that runs."""
import glob
import os
import subprocess
import sys

sys.path[0] += "/.."
from harness.runner import Runner

# Enough for the largest kind of memory that the uffd tests use, in each of two mappings.
HUGE_PAGES = 64
LIMIT = 900
SKIPPED = 4  # kselftest.h


def results(runner, path):
    """A program that prints no TAP of its own is one test."""
    name = os.path.basename(path)
    try:
        p = subprocess.run([path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           timeout=LIMIT, cwd="/tmp")
    except subprocess.TimeoutExpired as e:
        runner.results(name, (e.stdout or b"").splitlines(), lambda: -9, LIMIT)
        return
    lines = p.stdout.splitlines()
    if not any(line.startswith(b"1..") for line in lines):
        skip = b" # SKIP it skips itself" if p.returncode == SKIPPED else b""
        lines += [b"%sok 1 - %s%s" % (b"" if p.returncode in (0, SKIPPED) else b"not ", name.encode(), skip), b"1..1"]
    runner.prefix = f"{name}: "
    runner.results(name, lines, lambda: 0 if p.returncode == SKIPPED else p.returncode, LIMIT)


def main():
    folder = os.environ.get("UFFDCTL_VM_FOLDER")
    programs = sorted(glob.glob(f"{folder}/selftests/*"))
    if not folder or not programs:
        print("1..0 # SKIP no selftests beside this kernel: vm.py builds them with 7.3-patched")
        return 0
    with open("/proc/sys/vm/nr_hugepages", "w") as f:
        f.write(str(HUGE_PAGES))
    runner = Runner()
    for path in programs:
        results(runner, path)
    return runner.end()


if __name__ == "__main__":
    sys.exit(main())
