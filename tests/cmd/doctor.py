# SPDX-License-Identifier: GPL-2.0-or-later
"""doctor: each verdict is proved by running the command in question, at the same place."""
import contextlib
import ctypes
import errno
import fcntl
import json
import os
import pty
import re
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios

sys.path[0] += "/.."
from harness import (FEATURES, HUGE, PAGE, ROOT, UFFDCTL, Target, TargetError, contains, eq, fdinfo, hugepages, main, ok, run,
                     skip, smaps_flags, target, test, wait_until)
from harness.sandbox import DOCKER_DENIES, KILL, NOBODY, Place, setting

DEVICE = "/dev/userfaultfd"
MODES = ("missing", "wp", "minor", "rwp")
CONTAINER = {"unshare": ["--pid", "--fork", "--mount", "--mount-proc"], "nsenter": ["-p", "-m"]}
PLACES = {
    "root": lambda: Place(),
    "user": lambda: Place(user=NOBODY),
    "user-ns": lambda: Place(user=NOBODY, unshare=["-Ur"], nsenter=["-U", "--preserve-credentials"]),
    "container": lambda: Place(**CONTAINER, deny=DOCKER_DENIES),
    "no-bpf": lambda: Place(deny=["bpf"]),
    "no-bpf-user": lambda: Place(user=NOBODY, deny=["bpf"]),
    "no-userfaultfd": lambda: Place(deny=["userfaultfd"]),
}


def checks(text):
    return {c["check"]: c for c in json.loads(text)["doctor"]}


def ask(place, *args):
    """The exit status, and the checks by name."""
    rc, out, err = place.run("doctor", "-J", *args)
    ok(rc in (0, 1, 3) and not err, f"doctor {args}: exit {rc}: {out} {err}")
    return rc, checks(out)


# ---- the verdicts ----

def prove(place, t, command, *args):
    """Asks, does, and compares; whether it works."""
    rc, found = ask(place, "--for", command, t.pid)
    eq({0: True, 1: False, 3: None}[rc], found[command]["ok"], f"{command}: exit status {rc} and {found[command]}")
    done, out, err = place.run(command, *args)
    text = f"{command}: doctor says {found[command]}, it exits with {done}: {out} {err}"
    ok(rc != 3, f"it is not known: {text}")
    eq(done == 0, rc == 0, text)
    return rc == 0


@test(limit=120, each={k: (v,) for k, v in PLACES.items()})
def doctor_proved(make):
    """What works, works; what does not, does not; before and after something is registered."""
    place = make()
    with place.target() as t:
        t.userfaultfd(user_mode_only=place.user is not None)
        shared, private = t.memory("memfd", 8 * PAGE, seed=1), t.memory("anon", 8 * PAGE)
        for command in ("list", "pending", "smaps"):
            prove(place, t, command, t.pid)
        prove(place, t, "watch", "--summary", "-d", "10ms", t.pid)
        for command in ("unregister", "continue", "zeropage", "copy", "poison", "writeprotect", "rwprotect"):
            more = ["--from-zero"] if command == "copy" else []
            ok(not prove(place, t, command, *more, t.pid, "all"), f"{command}: nothing is registered")
        if prove(place, t, "register", t.pid, f"{shared['addr']}+{8 * PAGE}"):
            prove(place, t, "register", "-m", "missing", t.pid, f"{private['addr']}+{8 * PAGE}")
        for command in ("continue", "wake"):
            prove(place, t, command, t.pid, "all")
        prove(place, t, "zeropage", t.pid, f"{private['addr']}+{PAGE}")
        prove(place, t, "copy", "--from-zero", t.pid, "all")
        for command in ("poison", "writeprotect"):
            prove(place, t, command, t.pid, "all")
        prove(place, t, "unregister", t.pid, "all")


@test(each={k: (PLACES[k],) for k in ("root", "user")})
def doctor_proved_without_userfaultfd(make):
    """zap needs none; register and serve need --inject, and whether that works is said."""
    place = make()
    with place.target() as t:
        private = t.memory("anon", 8 * PAGE)
        ok(not prove(place, t, "zap", t.pid, f"{private['addr']}+{PAGE}"), "nothing to zap")
        m = t.memory("memfd", 8 * PAGE, seed=1)
        ok(prove(place, t, "zap", t.pid, f"{m['addr']}+{PAGE}"), "zap")
        area = f"{m['addr']}+{8 * PAGE}"
        ok(not prove(place, t, "serve", "--zero", t.pid, area), "serve")
        ok(not prove(place, t, "register", t.pid, area), "register")
        rc, found = ask(place, "--for", "register", t.pid)
        rc, out, err = place.run("register", "--inject", t.pid, area)
        eq(found["process-inject"]["ok"], rc == 0, f"{found['process-inject']} {out} {err}")
        verdict = found["register"]["remedy"]
        eq(bool(verdict) and "--inject" in verdict, rc == 0, f"{found['register']}")
        if rc:
            eq("setfacl" in err and f"u:{place.user}:rw" in err, "setfacl" in (found["process-inject"]["remedy"] or ""), f"{err} {found}")


@test
def doctor_serve_without_bpf():
    """It is not known who reads: it says that --force is needed, and it is."""
    place = PLACES["no-bpf"]()
    with place.target() as t:
        t.userfaultfd()
        m = t.memory("anon", 8 * PAGE, mode="missing")
        contains(ask(place, "--for", "serve", t.pid)[1]["serve"]["detail"], "it works, only with --force")
        rc, out, err = place.run("serve", "--zero", "--prefault", "--until-complete", t.pid, m["addr"] + f"+{8 * PAGE}")
        ok(rc == 1 and "--force" in err, f"{rc} {out} {err}")
        rc, out, err = place.run("serve", "--zero", "--force", "--prefault", "--until-complete", t.pid, m["addr"] + f"+{8 * PAGE}")
        eq(rc, 0, f"with it: {out} {err}")


@contextlib.contextmanager
def with_caps(caps):
    """A place of an ordinary user where uffdctl has these capabilities."""
    if not shutil.which("setcap"):
        skip("no setcap; Debian's package libcap2-bin runs this")
    with tempfile.TemporaryDirectory() as d:
        os.chmod(d, 0o755)
        place = Place(user=NOBODY)
        place.program = shutil.copy(UFFDCTL, f"{d}/uffdctl")
        p = subprocess.run(["setcap", f"{caps}+ep", place.program], capture_output=True, text=True)
        if p.returncode:
            skip(f"setcap: {p.stderr.strip()}; root, and a file system with capabilities, runs this")
        yield place


CAPS = {"ptrace": "cap_sys_ptrace", "ptrace-dac": "cap_sys_ptrace,cap_dac_read_search", "bpf": "cap_bpf,cap_perfmon",
        "bpf-ptrace": "cap_bpf,cap_perfmon,cap_sys_ptrace"}


@test(limit=120, each={f"{k}-{u or 'root'}": (c, u) for k, c in CAPS.items() for u in (None, NOBODY)})
def doctor_proved_caps(caps, user):
    """Some capabilities, on root's process and on one of the same user."""
    with with_caps(caps) as place, Target(user=user) as t:
        t.userfaultfd()
        m = t.memory("memfd", mode="minor", seed=1)
        t.memory("anon", mode="missing")
        wp = t.memory("memfd", mode="minor,wp", seed=2)
        for command in ("list", "pending", "smaps"):
            prove(place, t, command, t.pid)
        prove(place, t, "watch", "--summary", "-d", "10ms", t.pid)
        prove(place, t, "register", "-m", "missing", t.pid, f"{m['addr']}+{PAGE}")
        for command in ("wake", "zeropage"):
            prove(place, t, command, t.pid, "all")
        prove(place, t, "continue", t.pid, "all")
        t.unregister(uffd=t.u, id=wp["id"])  # its marks were to be kept
        for command in ("continue", "unregister"):
            prove(place, t, command, t.pid, "all")


@test(each={k: (k,) for k in PLACES})
def doctor_is_expected(name):
    """Else a doctor and a command that both fail would agree: where what can be had is known, it is compared."""
    place = PLACES[name]()
    with place.target() as t:
        t.userfaultfd(user_mode_only=place.user is not None)
        t.memory("memfd", mode="minor")
        works = {c for c in ("list", "pending", "smaps", "register", "continue", "wake", "watch")
                 if ask(place, "--for", c, t.pid)[0] == 0}
    acting = {"register", "continue", "wake"} if name != "container" else set()
    watch = {"watch"} if name in ("root", "no-userfaultfd") else set()
    eq(works, {"list", "pending", "smaps"} | acting | watch, "works")


@test(each={k: (v,) for k, v in PLACES.items()})
def doctor_backends_proved(make):
    place = make()
    with place.target() as t:
        _, found = ask(place)
        for backend in ("tracepoint", "fentry", "kprobe", "sched"):
            rc, _, err = place.run("watch", "--summary", "-d", "10ms", f"--backend={backend}", t.pid)
            eq(found[f"watch-{backend}"]["ok"], rc == 0, f"{backend}: {found[f'watch-{backend}']} and {err}")


# ---- each way to a userfaultfd ----

def try_ways(number):
    """By the device, by the call, and for user mode only."""
    syscall = ctypes.CDLL(None).syscall
    try:
        device = fcntl.ioctl(os.open(DEVICE, os.O_RDWR), 0xaa00, 0)
    except OSError:
        device = -1
    return [fd >= 0 for fd in (device, syscall(number, 0), syscall(number, 1))]


def ways(found):
    return [found[f"userfaultfd-{w}"]["ok"] for w in ("device", "syscall", "user-mode")]


def ways_by_doing(place):
    number = place.numbers()["userfaultfd"]
    return json.loads(place.call(lambda: json.dumps(try_ways(number))))


@test(each={k: (v,) for k, v in PLACES.items()})
def doctor_ways_proved(make):
    place = make()
    with place.target():
        found = ask(place)[1]
        eq(ways(found), ways_by_doing(place), "ways to a userfaultfd")


@test(each={str(n): (n,) for n in (0, 1)})
def doctor_sysctl(value):
    """vm.unprivileged_userfaultfd decides for those who have no privilege."""
    place = Place(user=NOBODY)
    with setting("vm.unprivileged_userfaultfd", value):
        found = ask(place)[1]
        eq((ways(found)[1], ways(found)), (value == 1, ways_by_doing(place)), "userfaultfd(2)")
        c = found["userfaultfd-syscall"]
        if not value:
            eq(c["layers"], ["sysctl"], "layers")
            remedies = c["remedy"].split("; or ")
            eq([re.split(r"[ :]", r)[0] for r in remedies], ["setfacl", "sysctl", "run"], "least privilege first")


# ---- which layer ----

LAYERS = {
    "user": {"userfaultfd-device": "file", "userfaultfd-syscall": "sysctl", "bpf-map": "capability",
             "bpf-iterators": "capability", "other-users": "capability", "map-files": "capability"},
    "user-ns": {"userfaultfd-device": "file", "bpf-map": "user_ns", "other-users": "user_ns", "map-files": "user_ns"},
    "container": {"userfaultfd-syscall": "seccomp", "userfaultfd-user-mode": "seccomp", "bpf-map": "seccomp",
                  "bpf-iterators": "seccomp", "pidfd-getfd": "seccomp", "process-vm": "seccomp", "kcmp": "seccomp",
                  "other-users": "seccomp"},
    "no-bpf-user": {"bpf-map": "seccomp", "userfaultfd-device": "file", "map-files": "capability"},
}


@test(each={k: (k,) for k in LAYERS})
def doctor_layers(name):
    place = PLACES[name]()
    with setting("vm.unprivileged_userfaultfd", 0), place.target():
        found = ask(place)[1]
        for check, layer in LAYERS[name].items():
            c = found[check]
            eq((c["ok"], c["layers"]), (False, [layer]), f"{check}: {c}")
            ok(c["remedy"], f"{check} has a remedy")


@test
def doctor_layer_is_not_claimed():
    """ENOSYS can come from the kernel or from a filter: both are named, and that it is not known."""
    place = Place(user=NOBODY, deny=["bpf"], action=0x00050000 | errno.ENOSYS)
    c = ask(place)[1]["bpf-map"]
    eq((c["ok"], sorted(c["layers"])), (False, ["kernel", "seccomp"]), "layers")
    contains(c["detail"], "not known")


@test(limit=300)
def doctor_survives_filters_that_kill():
    for call in ("userfaultfd", "bpf", "pidfd_getfd", "pidfd_open", "ptrace", "process_vm_readv", "kcmp", "cachestat",
                 "memfd_create"):
        for user in (None, NOBODY):
            place = Place(user=user, deny=[call], action=KILL)
            if call not in place.numbers():
                continue
            with place.target() as t:
                t.userfaultfd()
                t.memory()
                eq(ask(place)[0], 0, call)
                ask(place, "--for", "register", t.pid)
    c = ask(Place(user=NOBODY, deny=["bpf"], action=KILL))[1]["bpf-map"]
    eq((c["ok"], c["layers"]), (False, ["seccomp"]), "layers")
    contains(c["detail"], "kills")


def in_mounts(script, user=None):
    """The checks of a doctor in a mount namespace of its own, after a shell script."""
    drop = f"setpriv --reuid={user} --regid={user} --clear-groups " if user else ""
    p = subprocess.run(["unshare", "--mount", "sh", "-ec", f"{script}\nexec {drop}{shlex.quote(UFFDCTL)} doctor -J"],
                       capture_output=True, text=True)
    if p.returncode:
        skip(f"unshare --mount: {p.stderr.strip()}; root runs this")
    return checks(p.stdout)


ACL = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", tag, perm, who) for tag, perm, who in (
    (1, 6, 0xffffffff), (2, 6, NOBODY), (4, 0, 0xffffffff), (0x10, 6, 0xffffffff), (0x20, 0, 0xffffffff)))


@test
def doctor_acl():
    """The first remedy is enough: as setfacl(1) does it, on a node of our own in place of the device."""
    if not os.path.exists(DEVICE):
        skip(f"no {DEVICE}: a kernel that has it runs this")
    found = ask(Place(user=NOBODY))[1]["userfaultfd-device"]
    contains(found["remedy"], "setfacl -m u:nobody:rw /dev/userfaultfd")
    with tempfile.TemporaryDirectory() as d:
        with open(f"{d}/acl", "wb") as f:
            f.write(ACL)
        rdev = os.stat(DEVICE).st_rdev
        script = (
            f"mkdir -p {d}/m && mount -t tmpfs none {d}/m && chmod 755 {d} {d}/m\n"
            f"mknod -m 600 {d}/m/u c {os.major(rdev)} {os.minor(rdev)}\n"
            f"mount --bind {d}/m/u {DEVICE}\n")
        grant = (f"{shlex.quote(sys.executable)} -c 'import os; os.setxattr(\"{d}/m/u\", \"system.posix_acl_access\", "
                 f"open(\"{d}/acl\", \"rb\").read())'\n")
        eq(in_mounts(script, NOBODY)["userfaultfd-device"]["layers"], ["file"], "without")
        eq(in_mounts(script + grant, NOBODY)["userfaultfd-device"]["ok"], True, "with the ACL")


@test
def doctor_no_device():
    """The kernel has it, and this /dev does not."""
    if not os.path.exists(DEVICE):
        skip(f"no {DEVICE}: a kernel that has it runs this")
    c = in_mounts("mount -t tmpfs none /dev")["userfaultfd-device"]
    eq((c["ok"], c["layers"]), (False, ["setup"]), f"{c}")
    contains(c["remedy"], "docker run --device /dev/userfaultfd")
    rdev = os.stat(DEVICE).st_rdev
    contains(c["remedy"], f"mknod -m 600 {DEVICE} c {os.major(rdev)} {os.minor(rdev)}")
    c = in_mounts(f"mount -t tmpfs none /dev\n{c['remedy'].split('; or ')[1]}")["userfaultfd-device"]
    eq(c["ok"], True, f"after the remedy: {c}")


@test
def doctor_nodev():
    if not os.path.exists(DEVICE):
        skip(f"no {DEVICE}: a kernel that has it runs this")
    rdev = os.stat(DEVICE).st_rdev
    c = in_mounts(f"mount -t tmpfs -o nodev none /dev\nmknod -m 666 {DEVICE} c {os.major(rdev)} {os.minor(rdev)}",
                  NOBODY)["userfaultfd-device"]
    eq((c["ok"], c["layers"]), (False, ["setup"]), f"{c}")
    contains(c["detail"], "nodev")


@test
def doctor_device_cgroup():
    """A container's cgroup allows few devices: it has another errno than the mode of the device."""
    path = f"/sys/fs/cgroup/devices/uffdctl-test-{os.getpid()}"
    if not os.path.exists(DEVICE):
        skip(f"no {DEVICE}: a kernel that has it runs this")
    try:
        os.mkdir(path)
    except OSError as e:
        skip(f"{path}: {e.strerror}; root, and devices of cgroup v1, run this")
    try:
        rdev = os.stat(DEVICE).st_rdev
        with open(f"{path}/devices.deny", "w") as f:
            f.write(f"c {os.major(rdev)}:{os.minor(rdev)} rwm")
        p = subprocess.run(["sh", "-c", f"echo $$ >{path}/cgroup.procs; exec {shlex.quote(UFFDCTL)} doctor -J"],
                           capture_output=True, text=True, check=True)
        c = checks(p.stdout)["userfaultfd-device"]
        eq((c["ok"], c["layers"]), (False, ["lsm", "cgroup"]), f"{c}")
        contains(c["remedy"], "docker run --device /dev/userfaultfd")
    finally:
        os.rmdir(path)


@test
def doctor_no_proc():
    """Nothing is claimed that /proc would show."""
    found = in_mounts("mount -t tmpfs none /proc")
    eq((found["proc"]["ok"], found["proc"]["layers"]), (False, ["setup"]), "proc")
    eq(found["ptrace-read"]["ok"], None, f"{found['ptrace-read']}")
    contains(found["capabilities"]["detail"], "not known")


# ---- remedies ----

def as_typed(remedy, path):
    """Runs the first command of a remedy on a copy of uffdctl."""
    command = remedy.split("; or ")[0]
    contains(command, UFFDCTL)
    subprocess.run(command.replace(UFFDCTL, path), shell=True, check=True)


@test
def doctor_setcap():
    """Typing what is said gives what lacked, one remedy after the other."""
    if not shutil.which("setcap"):
        skip("no setcap; Debian's package libcap2-bin runs this")
    with tempfile.TemporaryDirectory() as d:
        os.chmod(d, 0o755)
        path = shutil.copy(UFFDCTL, f"{d}/uffdctl")
        drop = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", path]

        def look():
            p = subprocess.run([*drop, "doctor", "-J"], capture_output=True, text=True, check=True)
            found = checks(p.stdout)
            for c in found.values():
                c["remedy"] = (c["remedy"] or "").replace(path, UFFDCTL)
            return found
        for check in ("bpf-iterators", "map-files", "other-users"):
            found = look()
            eq(found[check]["ok"], False, f"{check}: {found[check]}")
            as_typed(found[check]["remedy"], path)
            now = look()
            # Whether others can be made to try it on is another matter.
            ok(now[check]["ok"] is not False, f"{check}: {found[check]['remedy']}: {now[check]}")
        eq(now["bpf-iterators"]["ok"], True, f"kept: {now['bpf-iterators']}")
        eq(now["watch-sched"]["ok"], run("watch", "--summary", "-d", "10ms", "--backend=sched").rc == 0, "watch")


# ---- kinds of memory ----

KINDS = {"anon": ("anon", {}, PAGE), "shmem": ("memfd", {}, PAGE), "shmem-private": ("memfd", {"shared": False}, PAGE),
         "tmpfs": ("tmpfs", {}, PAGE), "hugetlb": ("hugetlb", {}, HUGE), "guest_memfd": ("guest_memfd", {}, PAGE)}


def registers(t, kind, how, page, mode):
    """Does it, as the process itself."""
    m = t.memory(kind, 2 * page, **how)
    try:
        t.register(uffd=t.u, id=m["id"], mode=[mode])
        t.unregister(uffd=t.u, id=m["id"])
        return True
    except TargetError:
        return False


def supported(t):
    return t.uffd()["supported"]


@test(each={k: (k,) for k in KINDS})
def doctor_memory(name):
    """Each kind can have the modes that it says, and no others."""
    kind, how, page = KINDS[name]
    with hugepages(16 if kind == "hugetlb" else 0), Target() as t:
        with Target() as other:
            known = supported(other)
        t.userfaultfd([f for f in [*FEATURES, "rwp"] if f in known])
        found = ask(Place())[1]
        for mode in MODES:
            c = found.get(f"{mode}-{name}") or found[mode]
            try:
                works = registers(t, kind, how, page, mode)
            except TargetError:
                ok(c["ok"] is not True, f"this memory can't be made: {c}")
                continue
            eq(c["ok"], works, f"{c}")


def ioctls(c):
    """What worked, and what failed."""
    worked = re.search(r"ioctls: ([\w,]+)", c["detail"])
    failed = re.search(r"fail: ([\w,]+)", c["detail"])
    return [set(m[1].split(",")) if m else set() for m in (worked, failed)]


@test
def doctor_ioctls():
    """What the kernel names for shmem and never does is not claimed; what a handler issues there is."""
    with hugepages(16):
        found = ask(Place())[1]
    with Target() as t:
        has_move = "move" in supported(t)
    worked, failed = ioctls(found["missing-shmem"])
    ok({"copy", "zeropage", "wake"} <= worked, f"{found['missing-shmem']}")
    ok("move" not in worked and failed <= {"move"}, f"{found['missing-shmem']}")  # 7.3 names it no more
    eq("move" in ioctls(found["missing-anon"])[0], has_move, f"{found['missing-anon']}")
    for name in ("minor-shmem", "minor-hugetlb"):
        ok("continue" in ioctls(found[name])[0], f"{found[name]}")
    ok("copy" in ioctls(found["missing-hugetlb"])[0], f"{found['missing-hugetlb']}")
    ok("zeropage" not in ioctls(found["missing-hugetlb"])[0], f"{found['missing-hugetlb']}")
    ok("writeprotect" in ioctls(found["wp-anon"])[0], f"{found['wp-anon']}")


@test
def doctor_takes_no_reserved_huge_page():
    """Where few are free, none is taken: what it would need one for is not tried, and it says so."""
    with hugepages(1) as h:
        if h.nr_free() > 6:
            skip("there are many free huge pages; a machine without runs this")
        c = ask(Place())[1]["missing-hugetlb"]
        contains(c["detail"], "not tried: copy")
        eq(h.nr_free() >= 1, True, "it is free still")


@test
def doctor_huge_pages():
    def found():
        return ask(Place())[1]["hugepages-2048kB"]
    with hugepages(3):
        c = found()
        eq(c["ok"], True, f"{c}")
        info = hugepages.meminfo()
        contains(c["detail"], f"{info['HugePages_Total:']} set aside, {info['HugePages_Free:']} free")
    if not hugepages.meminfo()["HugePages_Total:"]:
        c = found()
        eq((c["ok"], c["layers"]), (False, ["resource"]), f"{c}")


# ---- a process ----

def prospects(pid, user=None, rc=0):
    r = run("doctor", "-J", "--for", "register", pid, user=user, check=rc).json()
    return {m["start"]: m for m in r["mappings"]}


SETS = {"plain": FEATURES, "no-features": [], "wp-async": [*FEATURES, "wp_async"]}


@test(limit=120, each={f"{k}-{u or 'root'}": (f, u) for k, f in SETS.items() for u in (None, NOBODY)})
def doctor_mappings_proved(features, user):
    """For each mapping and mode, registering does what was said; mode is what it has."""
    with Target(user=user) as t:
        with Target() as other:
            known = supported(other)
        if not set(features) <= set(known):
            skip(f"this kernel lacks {set(features) - set(known)}; one with UFFD_FEATURE_WP_ASYNC runs this")
        t.userfaultfd(features)
        memories = [t.memory("anon"), t.memory("memfd"), t.memory("memfd", shared=False), t.memory("tmpfs")]
        with contextlib.suppress(OSError), tempfile.NamedTemporaryFile(dir=ROOT) as file:  # read-only in a guest
            os.chmod(file.name, 0o666)
            memories += [t.memory("file", path=file.name, shared=shared) for shared in (False, True)]
        found = prospects(t.pid, user)
        for m in memories:
            p = found[m["addr"]]
            for mode in MODES[:3]:
                if mode in p["unknown"]:
                    continue
                r = run("register", "-q", "-m", mode, t.pid, f"{m['addr']}+{m['size']}", user=user)
                eq(r.rc == 0, mode in p["can"], f"{mode} of {p}: {r}")
                if r.rc == 0:
                    eq(mode in prospects(t.pid, user)[m["addr"]]["mode"], True, "it is registered now")
                    run("unregister", "-q", t.pid, f"{m['addr']}+{m['size']}", user=user, check=0)


@test
def doctor_mapping_of_another():
    """One that is registered on another userfaultfd can't be had on this one."""
    with Target() as t:
        first, second = t.userfaultfd(), t.userfaultfd()
        m = t.memory("memfd", mode="minor", uffd=second)
        t.memory("memfd", mode="minor", uffd=first)
        r = run("doctor", "-J", "--for", "register", t.pid, check=0).json()
        contains(checks(json.dumps(r))["process-userfaultfd"]["detail"], "several")
        p = next(x for x in r["mappings"] if x["start"] == m["addr"])
        eq(p["mode"], ["minor"], "mode")
        # None of the two was chosen.
        ok(not p["can"] and p["unknown"], f"{p}")
        verdict = checks(json.dumps(r))["register"]
        contains(verdict["detail"], "with --fd=PID:FD")
        run("register", "-q", t.pid, m["addr"] + "+4K", check=0)  # the range tells which
        free = t.memory("memfd")
        contains(run("register", "-q", t.pid, free["addr"] + "+4K", check=1).err, "--fd=PID:FD")
        run("register", "-q", "-f", first, t.pid, free["addr"] + "+4K", check=0)


@contextlib.contextmanager
def not_dumpable():
    """A process that has changed its user: the kernel then takes that away."""
    r, w = os.pipe()
    child = os.fork()
    if not child:
        Place(user=NOBODY).become()
        os.write(w, b"x")
        signal.pause()
    os.read(r, 1)
    try:
        yield child
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@test
def doctor_process_says_no():
    """No such process, another user's, not dumpable, no userfaultfd, no handshake: each has its row."""
    eq(run("doctor", "--for", "register", 999999999).rc, 1, "no such process")
    with Target() as t:
        r = run("doctor", "-J", "--for", "register", t.pid, check=1)
        c = checks(r.out)["process-userfaultfd"]
        eq((c["ok"], c["layers"]), (False, ["target"]), f"no userfaultfd: {c}")
        contains(c["remedy"], f"uffdctl register --inject {t.pid} RANGE")
        c = checks(run("doctor", "-J", "--for", "smaps", t.pid, user=NOBODY, check=1).out)["process-read"]
        eq((c["ok"], c["layers"]), (False, ["capability"]), f"another user's: {c}")
        t.uffd(handshake=False)
        c = checks(run("doctor", "-J", "--for", "register", t.pid, check=1).out)["process-userfaultfd"]
        contains(c["remedy"], f"uffdctl register --handshake {t.pid}")
    with not_dumpable() as pid:
        c = checks(run("doctor", "-J", "--for", "smaps", pid, user=NOBODY, check=1).out)["process-read"]
        ok("target" in c["layers"], f"not dumpable: {c}")
        run("smaps", pid, user=NOBODY, check=1)


@test(rule="looking-changes-nothing")
def doctor_changes_nothing():
    """Neither the registrations nor the waiters, nor the descriptors."""
    with target(size=4 * PAGE, seed=1, mode="minor") as (t, m):
        th = t.touch(id=m["id"], access="read")["threads"][0]
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 1, "it waits")

        def state():
            return fdinfo(t.pid, t.u), smaps_flags(t.pid, m["addr"]), sorted(os.listdir(f"/proc/{t.pid}/fd"))
        before = state()
        run("doctor", check=0)
        for command in ("register", "continue", "unregister", "watch", "pending"):
            run("doctor", "--for", command, t.pid, check=0)
            eq(state(), before, command)
        run("continue", t.pid, "all", check=0)
        ok(t.join(thread=th)["done"], "the thread goes on")


@test
def doctor_leaves_nothing():
    """No process, and no huge page."""
    def children():
        with open(f"/proc/{os.getpid()}/task/{os.getpid()}/children") as f:
            return f.read().split()
    before = children(), hugepages.meminfo()["HugePages_Free:"]
    run("doctor", check=0)
    eq((children(), hugepages.meminfo()["HugePages_Free:"]), before, "after")


# ---- Yama ----

@test(each={str(n): (n,) for n in (1, 2)})
def doctor_yama(scope):
    """Of the same user, and no descendant: it says no, names Yama, and the command fails."""
    with setting("kernel.yama.ptrace_scope", scope), target(user=NOBODY) as (t, m):
        place = Place(user=NOBODY)
        rc, found = ask(place, "--for", "register", t.pid)
        eq((rc, found["process-descriptors"]["layers"]), (1, ["yama"]), f"{found['process-descriptors']}")
        eq(ask(place)[1]["pidfd-getfd"]["layers"], ["yama"], "pidfd-getfd")
        eq(place.run("register", t.pid, m["addr"] + "+4K")[0], 1, "register")
        eq(ask(Place(), "--for", "register", t.pid)[0], 0, "root may")


# ---- output ----

@test
def doctor_heading():
    out = run("doctor", check=0).out
    head, rest = out.split("\n\n", 1)
    facts = dict(line.split(": ", 1) for line in head.splitlines())
    eq(list(facts), ["uffdctl", "kernel", "user", "capabilities", "confinement"], "facts")
    contains(facts["kernel"], os.uname().release)
    eq(facts["user"], "root (0)", "user") if not os.geteuid() else None
    eq(rest.splitlines()[0].split(), ["CHECK", "OK", "DETAIL", "REMEDY"], "headings")
    eq(run("doctor", "-n", check=0).out.count("kernel:"), 0, "without headings")
    rows = run("doctor", "-J", check=0).json()
    eq([c["check"] for c in rows["doctor"] if c["group"] == "system"], list(facts), "in JSON")
    eq((set(rows), rows["errors"]), ({"doctor", "errors"}, []), "keys")
    names = [c["check"] for c in rows["doctor"]]
    eq(len(names), len(set(names)), "each name is there once")
    for c in rows["doctor"]:
        ok(c["ok"] in (True, False, None) and c["detail"] and (c["ok"] is not True or not c["remedy"]), f"{c}")


@test
def doctor_knows_all_commands():
    text = run("--help", check=0).out.split("Commands:\n")[1]
    for c in re.findall(r"^  ([a-z]+) ", text, re.M):
        r = run("doctor", "-J", "--for", c)
        eq(r.rc, {True: 0, False: 1, None: 3}[checks(r.out)[c]["ok"]], f"{c}: {r}")
        eq(list(checks(r.out))[5], c, "the verdict comes first")


@test
def doctor_usage():
    for args, text in ((["--for", "frob"], "no such command"), ([1], "a PID needs --for"), (["--for", "list", 1, 2], "at most one PID"),
                       (["--for", "list", "frob"], "not a PID")):
        contains(run("doctor", *args, check=2).err, text)
    contains(run("doctor", "--for", "list", "%no-such-name-here", check=3).err, "no process has the name")
    with open("/dev/full", "w") as full:
        p = subprocess.run([UFFDCTL, "doctor", "--for", "list"], stdout=full, stderr=subprocess.PIPE)
    eq(p.returncode, 3, "what could not be said is not known")


@test
def doctor_names_are_escaped():
    """A process's name and mapping in the output."""
    with Target() as t:
        t.comm(name="\033[31mx")
        t.userfaultfd()
        t.memory("memfd", name="\033[31m")
        for more in ([], ["-J"]):
            r = run("doctor", *more, "--for", "register", t.pid, check=0)
            ok("\033" not in r.out, f"{r}")


@test
def doctor_terminal():
    """On a terminal of 80 columns lines are wrapped, and the terminal is named."""
    main_end, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    p = subprocess.Popen([UFFDCTL, "doctor", "--color=never", "--for", "watch"], stdin=end, stdout=end,
                         env={**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8"})
    os.close(end)
    out = b""
    while True:
        try:
            data = os.read(main_end, 65536)
        except OSError:
            break
        if not data:
            break
        out += data
    p.wait()
    lines = out.decode().replace("\r", "").split("\n\n", 1)[1].splitlines()
    eq([line for line in lines if len(line) > 80], [], "lines")
    text = "\n".join(lines)
    contains(text, "TERM is xterm, 80")
    contains(text, "columns, 40 lines")


main()
