# SPDX-License-Identifier: GPL-2.0-or-later
"""doctor: each verdict is proved by doing what it is about, as the same user and under the same limits."""
import ctypes
import errno
import json
import os
import platform
import struct
import subprocess
import sys

sys.path[0] += "/.."
from harness import FEATURES, PAGE, SLOW, UFFDCTL, Target, contains, eq, main, ok, run, skip, target, test
from harness.run import ids

# userfaultfd, bpf, pidfd_getfd, process_vm_readv
FILTERED = {"x86_64": (323, 321, 438, 310), "aarch64": (282, 280, 438, 270)}.get(platform.machine())


def forbid():
    """A seccomp filter such as containers have: these system calls fail with EPERM."""
    code = [struct.pack("HBBI", 0x20, 0, 0, 0)]  # the number
    for i, nr in enumerate(FILTERED):
        code.append(struct.pack("HBBI", 0x15, len(FILTERED) - i, 0, nr))
    code += [struct.pack("HBBI", 6, 0, 0, 0x7fff0000), struct.pack("HBBI", 6, 0, 0, 0x00050000 | errno.EPERM)]
    text = ctypes.create_string_buffer(b"".join(code))
    prog = struct.pack("HxxxxxxQ", len(code), ctypes.addressof(text))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.c_char_p(prog), 0, 0):
        os._exit(99)


# What stands before the command, and what Popen gets.
LIMITS = {"root": ([], {}),
          "user": ([], ids(65534)),
          "userns": (["unshare", "-Ur"], {}),
          "filter": ([], {"preexec_fn": forbid})}


def under(limits, *argv):
    prefix, popen = LIMITS[limits]
    return subprocess.run([*prefix, *map(str, argv)], capture_output=True, text=True, timeout=60 * SLOW, **popen)


def findings(limits, *args):
    r = under(limits, UFFDCTL, "doctor", "-J", *args)
    found = json.loads(r.stdout)
    eq(found["errors"], [], "errors")
    return {c["check"]: c for c in found["doctor"]}, found, r.returncode


def can_create(limits, how):
    """Can a userfaultfd be made so?"""
    nr = {"x86_64": 323, "aarch64": 282}[platform.machine()]
    code = {"userfaultfd by /dev/userfaultfd":
            "import fcntl, os; fcntl.ioctl(os.open('/dev/userfaultfd', os.O_RDWR), 0xaa00, 0)",
            "userfaultfd by userfaultfd(2)": f"import ctypes; assert ctypes.CDLL(None).syscall({nr}, 0) >= 0",
            "userfaultfd for user-mode faults": f"import ctypes; assert ctypes.CDLL(None).syscall({nr}, 1) >= 0"}[how]
    return under(limits, "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable, "-c",
                 code).returncode == 0


@test(each={k: (k,) for k in LIMITS}, limit=120)
def doctor_verdicts(limits):
    if limits == "filter" and not FILTERED:
        skip("the numbers of system calls are not known here")
    if limits == "userns" and under(limits, "true").returncode:
        skip("no user namespace can be made here: sysctl user.max_user_namespaces")
    user = 65534 if limits == "user" else None
    with target(size=PAGE, user=user, mode="minor") as (t, _):
        checks, _, rc = findings(limits)
        eq(rc, 0, "it reports")
        for how in [c for c in checks if c.startswith("userfaultfd ")]:
            eq(checks[how]["ok"], can_create(limits, how), how)
        eq(checks["BPF iterators"]["ok"], under(limits, UFFDCTL, "list", "-S", "bpf").returncode == 0, "iterators")
        backends = [c for c in checks if c.startswith("watch: backend ")]
        for c in backends:
            r = under(limits, UFFDCTL, "watch", f"--backend={c.split()[-1]}", "-d", "0.1", t.pid)
            eq(checks[c]["ok"], r.returncode == 0, f"{c}: {r.stderr}")
        eq(checks["watch"]["ok"], any(checks[c]["ok"] for c in backends), "by any")
        eq(checks["descriptors of other processes"]["ok"],
           under(limits, UFFDCTL, "wake", t.pid, "all").returncode == 0 or limits == "userns", "pidfd_getfd")
        for c in checks.values():
            ok(c["ok"] is not False or c["detail"], f"no reason: {c}")


@test
def doctor_names_the_layer():
    checks = findings("user")[0]
    c = checks["userfaultfd by /dev/userfaultfd"]
    if c["ok"] is False and os.path.exists("/dev/userfaultfd"):
        contains(c["detail"], "the file mode or ACL")
        contains(c["remedy"], "setfacl -m u:nobody:rw /dev/userfaultfd")
    contains(checks["BPF iterators"]["remedy"], "setcap cap_bpf,cap_perfmon+ep")
    if FILTERED:
        checks = findings("filter")[0]
        for name in ("userfaultfd by userfaultfd(2)", "descriptors of other processes", "BPF iterators"):
            contains(checks[name]["detail"], "a seccomp filter of this process forbids")


@test
def doctor_remedy_helps():
    """What it says to type for the device is typed."""
    if not os.path.exists("/dev/userfaultfd") or findings("user")[0]["userfaultfd by /dev/userfaultfd"]["ok"]:
        skip("an ordinary user has access to the device here, or there is none")
    mode = os.stat("/dev/userfaultfd").st_mode & 0o777
    try:
        os.chmod("/dev/userfaultfd", 0o666)
        eq(findings("user")[0]["userfaultfd by /dev/userfaultfd"]["ok"], True, "with access")
    finally:
        os.chmod("/dev/userfaultfd", mode)


@test
def doctor_sysctl():
    path = "/proc/sys/vm/unprivileged_userfaultfd"
    with open(path) as f:
        before = f.read()
    try:
        for value, verdict in (("0", False), ("1", True)):
            with open(path, "w") as f:
                f.write(value)
            c = findings("user")[0]["userfaultfd by userfaultfd(2)"]
            eq(c["ok"], verdict, f"vm.unprivileged_userfaultfd={value}")
            if not verdict:
                contains(c["detail"], "vm.unprivileged_userfaultfd is 0")
    finally:
        with open(path, "w") as f:
            f.write(before)


@test
def doctor_memory():
    """Each mode that it names for memory can be registered by a process on memory of that kind, and no other."""
    kinds = {"anonymous": {"kind": "anon"}, "shmem, shared": {"kind": "memfd"},
             "shmem, private": {"kind": "memfd", "shared": False}}
    found = findings("root")[1]["memory"]
    for name, memory in kinds.items():
        for row in (m for m in found if m["memory"] == name):
            with Target() as t:
                u = t.userfaultfd(features=FEATURES + (["rwp"] if row["mode"] == "rwp" and row["ok"] else []))
                m = t.memory(**memory)
                r = run("register", "-q", "-f", str(u), "-m", row["mode"], t.pid, f"{m['addr']}+4K")
                eq(row["ok"], r.rc == 0, f"{name}, {row['mode']}: {r.err}")


@test
def doctor_for():
    with target(size=PAGE) as (t, m):
        checks, found, rc = findings("root", "--for", "register", t.pid)
        eq(rc, 0, "register can be used")
        eq(all(c["needed"] for c in checks.values()), True, "only what it needs")
        row = [x for x in found["mappings"] if x["start"] == hex(m["start"])]
        eq(len(row), 1, "its mapping is there")
        modes = {x["mode"] for x in found["memory"] if x["memory"] == "shmem, shared" and x["ok"]}
        eq(set(row[0]["modes"]), modes, "with the modes of its memory")
        vdso = [x for x in found["mappings"] if x["name"] == "[vdso]"]
        eq([x["modes"] for x in vdso], [[]] * len(vdso), "not the vdso")
    with Target() as t:
        checks, _, rc = findings("root", "--for", "continue", t.pid)
        eq((rc, checks["its userfaultfds"]["ok"]), (1, False), "no userfaultfd")
        checks, _, rc = findings("user", "--for", "wake", t.pid)
        eq((rc, checks["the process"]["ok"]), (1, False), "another user's process")
    eq(findings("user", "--for", "list")[2], 1, "all processes")
    with target(user=65534, mode="minor") as (t, _):
        for command in ("list", "smaps", "pages", "wake"):
            eq(findings("user", "--for", command, t.pid)[2], 0, f"{command}, on a process of the same user")
            eq(run(command, t.pid, *(["all"] if command == "wake" else []), user=65534).rc, 0, f"{command} itself")
    eq(findings("root", "--for", "watch")[2], 0, "watch")
    eq(findings("user", "--for", "watch")[2], 1, "watch without privileges")


@test
def doctor_usage():
    for args in (["--for"], ["--for", "frob"], ["list"], ["1", "2"], ["--for", "list", "frob"]):
        run("doctor", *args, check=2)
    contains(run("doctor", "--for", "list", "%frob", check=3).err, "frob")
    contains(run("doctor", "--for", "list", 0x3fffff, check=1).out, "no such process")


@test
def doctor_changes_nothing():
    """No descriptor, no mapping and no process is left; a process that is asked about has what it had."""
    with target(size=PAGE) as (t, _):
        def state():
            return (sorted(os.listdir(f"/proc/{t.pid}/fd")), open(f"/proc/{t.pid}/maps").read())
        before = state()
        run("doctor", "--for", "register", t.pid, check=0)
        eq(state(), before, "the process")


main()
