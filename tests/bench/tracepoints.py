# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tracepoints of kernel-patches/ cost, in instructions: the same kernel without and with the patches.

    make build/tests/helpers/cost
    python3 tests/bench/tracepoints.py path/to/linux path/to/linux-patched

Each is a kernel for vm.py. A fault here is the whole of it: two system calls of the handler and two task switches
included; an ioctl does one page that nobody waits for; 1,000 threads wait when the last close comes. "on": all events;
"waking": sched_waking in their place, which names who is woken as well.
"""
import os
import sys

sys.path[0] += "/.."
from harness import HELPERS
from vm import vm

COST = os.path.join(HELPERS, "cost")
ON = "echo 1 >/sys/kernel/tracing/events/userfaultfd/enable"
WAKING = "echo 1 >/sys/kernel/tracing/events/sched/sched_waking/enable"


def figures(kernel, before=""):
    """{what: instructions}"""
    status, out = vm.run(kernel, ["sh", "-c", f"{before or ':'} && {COST}"], icount=True)
    if status:
        raise SystemExit(f"{kernel}: {out.decode()}")
    return {name: int(n) for name, n in (line.split() for line in out.decode().splitlines())}


def main(plain, patched):
    runs = figures(plain), figures(patched), figures(patched, ON), figures(patched, WAKING)
    print(f"{'':16}{'plain':>9}{'off':>9}{'':>9}{'on':>9}{'':>9}{'waking':>9}{'':>9}")
    for name, bare in runs[0].items():
        print(f"{name:16}{bare:9}" + "".join(f"{r[name]:9}{r[name] - bare:+9}" for r in runs[1:]))


if __name__ == "__main__":
    main(*sys.argv[1:])
