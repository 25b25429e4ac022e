# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs test programs inside other kernels and merges what they print.

    tests/vm/check.py "6.12 6.1" tests/cmd/list.py build/tests/lib/unit
"""
import os
import sys

os.environ.setdefault("UFFDCTL_TEST_SLOW", "10")  # an emulated CPU
os.environ.setdefault("UFFDCTL_TEST_BACKENDS", "fentry kprobe sched")  # Debian's kernels have all
os.environ["UFFDCTL_TEST_GUEST"] = "1"
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from tap import ROOT, Runner

LIMIT = int(os.environ.get("UFFDCTL_VM_LIMIT", "1800"))  # seconds a kernel


def main(kernels, programs):
    runner = Runner()
    for kernel in kernels:
        runner.prefix = f"{kernel}: "
        # vm.py is a test program: a guest that dies prints no plan. It says so itself before the runner ends it.
        runner.program("vm.py", LIMIT + 60, [
            sys.executable, os.path.join(HERE, "vm.py"), kernel, "--timeout", str(LIMIT), "--",
            sys.executable, os.path.join(ROOT, "tests/tap.py"), *programs])
    return runner.end()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1].split(), sys.argv[2:]))
