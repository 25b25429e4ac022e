# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU machines that need no kernel image and no KVM: their guest is tests/real/guest.S."""
import json
import os
import shutil
import subprocess

from .check import Failure, skip, wait_until
from .run import BUILD

GUEST = os.path.join(BUILD, "tests/real/guest")
# What is where in guest.S.
CODE, PART_SIZE, FIRST = 0x100000, 0x101000, 0x400000


class Machine:
    """An emulated machine, which answers to QMP: m("query-migrate")["status"]. Options go last, under first."""

    def __init__(self, *args, under=(), cpus=2, ram="64M"):
        if not shutil.which("qemu-system-x86_64"):
            skip("qemu-system-x86_64 is not installed; Debian's package qemu-system-x86 runs this")
        if not os.path.exists(GUEST):
            skip(f"no {GUEST}: it is built on x86 only")
        # Named threads: CPU 0/TCG.
        self.process = subprocess.Popen(
            [*under, "qemu-system-x86_64", "-name", "guest,debug-threads=on", "-accel", "tcg,thread=multi",
             "-smp", str(cpus), "-m", ram, "-nodefaults", "-display", "none", "-kernel", GUEST, "-qmp", "stdio",
             *map(str, args)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = self.process.pid
        self._read()  # the greeting
        self("qmp_capabilities")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.kill()
        self.process.wait()

    def _read(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failure(f"QEMU ended, exit {self.process.wait()}")
        return json.loads(line)

    def __call__(self, command, **arguments):
        call = {"execute": command, "arguments": {k.replace("_", "-"): v for k, v in arguments.items()}}
        self.process.stdin.write(json.dumps(call).encode())
        self.process.stdin.flush()
        while True:
            answer = self._read()
            if "error" in answer:
                raise Failure(f"QEMU: {command}: {answer['error']['desc']}")
            if "return" in answer:  # else an event
                return answer["return"]

    def can(self, *capabilities):
        """Sets what a migration may do; what this QEMU or its user can't, is skipped."""
        try:
            self("migrate-set-capabilities", capabilities=[{"capability": c, "state": True} for c in capabilities])
        except Failure as e:
            skip(f"{e}; root runs this")

    def migration(self, status, timeout=60):
        """query-migrate's answer with this status."""
        def there():
            answer = self("query-migrate")
            if answer.get("status") in ("failed", "cancelled"):
                raise Failure(f"the migration failed: {answer}")
            return answer.get("status") == status and answer
        return wait_until(there, f"migration is {status}", timeout)

    def vcpus(self):
        """The thread of each vCPU."""
        return [c["thread-id"] for c in self("query-cpus-fast")]

    def word(self, address):
        """Of the guest's memory."""
        text = self("human-monitor-command", command_line=f"xp /1wx {address:#x}")
        return int(text.split()[1], 16)

    def wait_running(self):
        """Until each CPU has written to each page of its part."""
        wait_until(lambda: self.word(FIRST), "the guest runs", timeout=60)
        size = self.word(PART_SIZE)
        for n in range(len(self.vcpus())):
            wait_until(lambda n=n: self.word(FIRST + n * size) > 1, f"CPU {n} begins again", timeout=60)


def post_copy(source, destination, path, rate):
    """Migrates, post-copy from the first page on, over a socket at path, so many bytes a second.

    The destination was started with -S -incoming defer; it is where "cont" lets its vCPUs run.
    """
    source.can("postcopy-ram")
    destination.can("postcopy-ram", "postcopy-blocktime")
    source("migrate-set-parameters", max_bandwidth=1 << 20, max_postcopy_bandwidth=rate, downtime_limit=1)
    destination("migrate-incoming", uri=f"unix:{path}")
    source("migrate", uri=f"unix:{path}")
    source("migrate-start-postcopy")
    # Devices are loaded until then, which needs pages too.
    wait_until(lambda: destination("query-status")["status"] == "paused", "the destination could run", timeout=60)
    source.migration("postcopy-active")
    # What all vCPUs use: else they wait for one page at the same time.
    for address in (CODE, PART_SIZE):
        destination.word(address)
