# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs test programs inside other kernels and merges what they print.

    tests/vm/check.py "7.3-patched 6.1"                                        what plan.py has for each
    tests/vm/check.py "6.12 6.1" tests/cmd/list.py build/tests/lib/range      these, in one boot

As many guests run at a time as there are CPUs (UFFDCTL_VM_JOBS), those of kernels that are to be built after the
others: they are built meanwhile. A kernel's results are printed when all of it has ended; until then they can be read
in build/vm/. Progress goes to stderr.
"""
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import time

HERE = sys.path[0]
sys.path.append(HERE + "/..")
import build
import table
from harness import BUILD, ROOT
from harness.runner import Runner
from plan import plan

LIMIT = int(os.environ.get("UFFDCTL_VM_LIMIT", "1800"))  # seconds a guest
OUTPUT = os.path.join(BUILD, "vm")
JOBS = int(os.environ.get("UFFDCTL_VM_JOBS") or os.cpu_count())
BEGAN = time.monotonic()


def say(text):
    print(f"check-vm: {time.monotonic() - BEGAN:4.0f} s: {text}", file=sys.stderr, flush=True)


def vm(kernel, *words, **popen):
    """vm.py, as a process: a guest that dies or hangs ends none but itself. Its exit status."""
    return subprocess.run([sys.executable, os.path.join(HERE, "vm.py"), kernel, *words], **popen).returncode


def boot(kernel, ready, programs, output):
    """One guest, once its kernel is there. Returns its exit status."""
    if ready.result():
        return ready.result()
    p = plan(kernel)
    env = {"UFFDCTL_TEST_SLOW": "10",  # an emulated CPU
           "UFFDCTL_TEST_BACKENDS": p.rungs["watch"], **os.environ,
           "UFFDCTL_TEST_GUEST": "1", "UFFDCTL_TEST_KERNEL": kernel}
    python = sys.executable
    if kernel.endswith("-arm64"):  # its programs are others
        env["O"], python = os.path.join(BUILD, "arm64"), "python3"
    began = time.monotonic()
    say(f"{kernel}: boots for {', '.join(os.path.basename(p.split()[0]) for p in programs)}")
    status = vm(kernel, "--timeout", str(LIMIT), *(f"--module={m}" for m in p.modules), "--",
                python, os.path.join(ROOT, "tests/harness"), *programs, stdout=output, env=env)
    say(f"{kernel}: ended after {time.monotonic() - began:.0f} s, exit {status}")
    return status


def results(runner, kernel, boots):
    """Prints what a kernel's guests printed; returns what rungs.py saw there, if all of it was well."""
    p, seen, failed = plan(kernel), {}, runner.failed
    runner.prefix = f"{kernel}: "
    for ended, output in boots:
        status = ended.result()
        output.seek(0)
        lines = output.read().split(b"\n")[:-1]
        runner.skips.clear()
        runner.results("vm.py", lines, lambda: status, LIMIT)
        for text in runner.skips:
            if not p.skips or not re.search(p.skips, text):
                runner.line(False, f"is skipped, but not expected to be: {text.replace('#', '-')}")
        for m in (re.match(rb"# saw: (.*)", line) for line in lines):
            seen.update(json.loads(m[1]) if m else {})
    return seen if runner.failed == failed else None


def main(kernels, programs):
    runner = Runner()
    os.makedirs(OUTPUT, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor() as ones, concurrent.futures.ThreadPoolExecutor(JOBS) as guests:
        # Ready once it is fetched or built; what is built needs the CPUs the longest, so it starts first.
        order = sorted(kernels, key=lambda k: not build.is_built(k))
        ready = {k: ones.submit(vm, k, "--get", stdout=subprocess.DEVNULL) for k in order}
        work = {k: [] for k in kernels}
        # What is built has the longest programs as well: first, if it is there already.
        for k in sorted(reversed(order), key=lambda k: not (build.is_built(k) and build.cached(k))):
            for number, words in enumerate([programs] if programs else plan(k).boots, 1):
                output = open(os.path.join(OUTPUT, f"{k.replace('/', '_')}.{number}"), "w+b")
                work[k].append((guests.submit(boot, k, ready[k], words, output), output))
        seen = {k: results(runner, k, work[k]) for k in kernels}
    runner.prefix = ""
    table.check(runner, seen)
    return runner.end()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1].split(), sys.argv[2:]))
