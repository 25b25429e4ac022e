# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel in lockdown, which stays so until it is booted anew: for a guest, as its last test program."""
import os
import subprocess
import sys

sys.path[0] += "/.."
from harness import Target, contains, eq, main, run, skip, test

LOCKDOWN = "/sys/kernel/security/lockdown"


def lock(level):
    if not os.environ.get("UFFDCTL_TEST_GUEST"):
        skip("would lock this kernel down until it is booted again: make check-vm runs it")
    if not os.path.exists(LOCKDOWN):
        subprocess.run(["mount", "-t", "securityfs", "none", "/sys/kernel/security"], check=True)
    if not os.path.exists(LOCKDOWN):
        skip("this kernel has no CONFIG_SECURITY_LOCKDOWN_LSM")
    with open(LOCKDOWN, "w") as f:
        f.write(level)


@test
def lockdown_integrity():
    """Forbids nothing that is needed."""
    lock("integrity")
    for backend in os.environ["UFFDCTL_TEST_BACKENDS"].split():
        run("watch", "--summary", "-d", "0.1", f"--backend={backend}", check=0)
    run("pending", "--source=bpf", check=0)


@test
def lockdown_confidentiality():
    """What needs BPF says why not and what would help; the rest does without."""
    lock("confidentiality")
    with Target() as t:
        t.userfaultfd()
        for args in (["watch", "--summary", "-d", "0.1"], ["pending", "--source=bpf"], ["list", "--source=bpf"]):
            contains(run(*args, check=1).err, "lockdown=integrity or none")
        eq(run("list", "-n", "-o", "pid", t.pid, check=0).out.split(), [str(t.pid)], "list by /proc")
    found = {c["check"]: c for c in run("doctor", "-J", "--for", "watch", check=1).json()["doctor"]}
    eq((found["bpf-iterators"]["ok"], found["bpf-iterators"]["layers"]), (False, ["lockdown"]), "doctor")


main()
