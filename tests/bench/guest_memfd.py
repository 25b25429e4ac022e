# SPDX-License-Identifier: GPL-2.0-or-later
"""What a page of guest_memfd costs beside one of shmem, in instructions: the same kernel without and with the patches.

    make build/tests/helpers/gmem-cost
    python3 tests/bench/guest_memfd.py path/to/linux path/to/linux-patched

Each is a kernel for vm.py. Averages of 4,096 pages; timer interrupts are in them, and handler and task switches where a
handler resolves. "-": the kernel refuses to register that.
"""
import os
import sys

sys.path[0] += "/.."
from harness import HELPERS
from vm import vm

COST = os.path.join(HELPERS, "gmem-cost")
MODULES = os.environ.get("UFFDCTL_VM_MODULES", "").split()  # kvm-amd, of a kernel that has it as one


def figures(kernel):
    """{(kind, what): instructions}"""
    status, out = vm.run(kernel, [COST], icount=True, modules=MODULES)
    if status:
        raise SystemExit(f"{kernel}: {out.decode()}")
    return {(kind, what): int(n) for kind, what, n in (line.split() for line in out.decode().splitlines())}


def main(plain, patched):
    runs = figures(plain), figures(patched)
    columns = [(r, kind) for kind in ("shmem", "guest_memfd") for r in runs]
    print(f"{'':22}" + "".join(f"{name:>16}" for name in ("shmem", "patched", "guest_memfd", "patched")))
    for what in dict.fromkeys(w for r in runs for _, w in r):
        print(f"{what:22}" + "".join(f"{r.get((kind, what), '-'):>16}" for r, kind in columns))


if __name__ == "__main__":
    main(*sys.argv[1:])
