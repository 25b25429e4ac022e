# SPDX-License-Identifier: GPL-2.0-or-later
"""Commands that change the same memory exclude each other; none acts on the memory of another process."""
import contextlib
import ctypes
import fcntl
import json
import os
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile

sys.path[0] += "/.."
from harness import (PAGE, UFFDCTL, contains, eq, image, main, ok, run, skip, smaps_flags, spawn, take_fd, target,
                     test, wait_until)


class held:
    """An uffdctl that holds the lock: strace(1) keeps it in the first read of its contents."""

    def __init__(self, t, m, *args, **popen):
        self.image = image(m["size"] // PAGE)
        self.child = subprocess.Popen(
            ["strace", "-f", "-qq", "-o", "/dev/null", "-P", self.image.name,
             "-e", "inject=pread64:delay_enter=60000000", UFFDCTL, "continue", "-t", "1", str(t.pid),
             f"{m['addr']}+{m['size']}", "--from", self.image.name, *map(str, args)], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, **popen)
        self.pid = None
        wait_until(lambda: self._find(t) or self.child.poll() is not None, "another uffdctl holds the lock")
        if self.child.poll() is not None:
            skip(f"needs strace: {self.child.stderr.read().decode()}")

    def _find(self, t):
        """In /proc/locks stands who holds a record lock on the userfaultfd's inode: bytes 0 and 1."""
        fd = take_fd(t.pid, t.u)
        inode = os.fstat(fd).st_ino
        os.close(fd)
        for line in open("/proc/locks"):
            words = line.split()
            if words[1] == "POSIX" and words[5].endswith(f":{inode}") and words[6:] == ["0", "1"]:
                self.pid = int(words[4])
        return self.pid

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.end()

    def end(self):
        """Killed, as at any moment. It ends by itself when its target does, strace a moment later."""
        if self.child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.child.kill()
            self.child.wait()
        self.child.stdout.close()
        self.child.stderr.close()
        self.image.close()


@test(rule="exclusive")
def lock_names_its_holder():
    """Whatever changes the memory says who is at it and fails at once; what looks does not mind."""
    with target(seed=1, mode="minor") as (t, m), held(t, m) as other:
        area = f"{m['addr']}+{m['size']}"
        for command in (["continue", t.pid, area], ["continue", t.pid, area, "--from-zero"],
                        ["copy", t.pid, area, "--from-zero"], ["zeropage", t.pid, area],
                        ["register", t.pid, area], ["unregister", t.pid, area], ["zap", t.pid, area]):
            r = run(*command, check=1)
            contains(r.err, f"process {other.pid} is changing this memory")
            contains(r.err, "--wait-lock")
        eq(t.check_file(id=m["id"], seed=1)["differ"], 0, "nothing was written")
        ok("ui" in smaps_flags(t.pid, m["addr"]), "nor unregistered")
        for command in (["list", t.pid], ["smaps", t.pid], ["pending", t.pid], ["wake", t.pid, area],
                        ["continue", t.pid, area, "--dry-run"]):
            run(*command, check=0)


@test
def lock_waits():
    """--wait-lock TIME: until the other has ended, or the time is up."""
    with target(seed=1, mode="minor") as (t, m), held(t, m) as other:
        r = run("continue", t.pid, "all", "--wait-lock=100ms", check=1)
        contains(r.err, f"waiting for process {other.pid}")
        contains(r.err, "is changing this memory")
        p = spawn("continue", "-J", t.pid, "all", "--wait-lock=1m")
        ok(b"waiting for process" in os.read(p.stderr.fileno(), 4096), "it waits")
        other.end()
        out, _ = p.communicate(timeout=50)
        eq((p.returncode, json.loads(out)["continue"][0]["mapped"]), (0, m["size"]), "the lock ends with its holder")


@test
def lock_wait_for_a_process_that_ends():
    with target(seed=1, mode="minor") as (t, m), held(t, m):
        p = spawn("continue", t.pid, "all", "--wait-lock=1m")
        ok(b"waiting for process" in os.read(p.stderr.fileno(), 4096), "it waits")
        os.kill(t.pid, signal.SIGKILL)
        _, err = p.communicate(timeout=20)
        eq(p.returncode, 1, "exit status")
        contains(err.decode(), "exit")


@test
def lock_wait_interrupted():
    with target(seed=1, mode="minor") as (t, m), held(t, m):
        for command in ("continue", "unregister"):
            p = spawn(command, t.pid, "all", "--wait-lock=1m")
            ok(b"waiting for process" in os.read(p.stderr.fileno(), 4096), "it waits")
            p.send_signal(signal.SIGINT)
            _, err = p.communicate(timeout=50)
            eq(p.returncode, 1, "exit status")
            contains(err.decode(), "interrupted")


@test
def lock_other_pid_namespace():
    """The lock is the machine's: one who works in another PID namespace is seen, though not by a number."""
    if subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", "true"], capture_output=True).returncode:
        skip("no PID namespace can be made; root runs this")
    with target(seed=1, mode="minor") as (t, m), held(t, m):
        fd = take_fd(t.pid, t.u)
        code = ("import fcntl, struct\n"
                f"l = fcntl.fcntl({fd}, fcntl.F_GETLK, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 0, 0))\n"
                "print(*struct.unpack('hhqqi4x', l))")
        r = subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", code], pass_fds=[fd],
                           capture_output=True, check=True)
        os.close(fd)
        kind, _, start, length, pid = map(int, r.stdout.split())
        eq((kind, start, length), (fcntl.F_RDLCK, 0, 2), "it is seen from there")
        ok(pid <= 0, f"the PID means nothing there: {pid}")


@test
def lock_not_for_others():
    """Another user, who may not take the userfaultfd, can't keep anybody from working."""
    with target(seed=1, mode="minor") as (t, _):
        for path in (f"/proc/{t.pid}", f"/proc/{t.pid}/status", f"/proc/{t.pid}/cmdline"):
            f = os.open(path, os.O_RDONLY)
            fcntl.flock(f, fcntl.LOCK_EX)
        run("continue", t.pid, "all", user=65534, check=1)
        run("continue", t.pid, "all", check=0)


@test
def lock_free_after_each_end():
    """Nothing is left in /proc/locks by one that ended, failed or was killed."""
    with target(seed=1, mode="minor") as (t, _):
        fd = take_fd(t.pid, t.u)
        inode = os.fstat(fd).st_ino
        os.close(fd)
        run("continue", t.pid, "all", check=0)
        run("continue", t.pid, "all", "--from", "/nonexistent", check=1)
        p = spawn("continue", t.pid, "all", "--from-zero")
        p.kill()
        p.wait()
        ok(not [x for x in open("/proc/locks") if f":{inode} " in x], "no lock")


@test(rule="exclusive", limit=180)
def lock_two_that_fill():
    """
    Two continue --from at once on a target whose threads write: one works, the other fails or waits, and no
    word that the target has written is overwritten.
    """
    nr = 2048
    for round in range(6):
        with target(size=nr * PAGE, seed=1, mode="minor") as (t, m), image(nr) as img:
            ths = t.touch(id=m["id"], access="write", value=0x5a5a, threads=2, order="random")["threads"]
            wait = ["--wait-lock=1m"] if round % 2 else []
            both = [spawn("continue", "-J", t.pid, "all", "--from", img.name, *wait) for _ in range(2)]
            ends = [(p.communicate(timeout=60), p.returncode) for p in both]
            if not wait and sorted(rc for _, rc in ends) != [0, 0]:
                eq(sorted(rc for _, rc in ends), [0, 1], f"one is told: {ends}")
                ok(any(b"is changing this memory" in err for (_, err), _ in ends), f"why: {ends}")
            for th in ths:
                ok(t.join(thread=th, timeout_ms=30000)["done"], "writer")
            eq(t.check_file(id=m["id"], seed=9, tail=0x5a5a)["differ"], 0, "each page has contents and the write")


@test
def lock_plain_continue_beside_a_fill():
    """A plain continue, which would map pages that are not filled yet, has to wait."""
    nr = 4096
    with target(size=nr * PAGE, seed=1, mode="minor") as (t, m), image(nr) as img:
        p = spawn("continue", "-J", t.pid, "all", "--from", img.name, "-t", "1")
        q = spawn("continue", "-J", t.pid, "all", "--wait-lock=1m")
        q.communicate(timeout=60)
        out, _ = p.communicate(timeout=60)
        differ = t.check_file(id=m["id"], seed=9)["differ"]
        row = json.loads(out)["continue"]
        ok(differ in (0, nr), f"all pages or none have the contents, but {differ} of {nr} differ: {row}")


@test
def lock_all_userfaultfds_of_a_memory():
    """Two userfaultfds of one memory: their ranges may show the same pages, so the lock is on both."""
    with target(seed=1, mode="minor") as (t, m):
        v = t.userfaultfd()
        n = t.memory(size=m["size"], of=m["id"], mode="minor", uffd=v)
        with held(t, m) as other:
            r = run("continue", t.pid, f"{n['addr']}+{n['size']}", "-f", v, check=1)
            contains(r.err, f"process {other.pid} is changing this memory")


@test(rule="exclusive")
def lock_closed_meanwhile():
    """The target closes the userfaultfd that is locked, and makes another one: what is registered shows the first."""
    with target(seed=1, mode="minor") as (t, m), held(t, m) as other:
        t.close(fd=t.u)
        v = t.userfaultfd()
        n = t.memory(size=m["size"], of=m["id"], mode="minor", uffd=v)
        r = run("continue", t.pid, f"{n['addr']}+{n['size']}", "-f", v, check=1)
        contains(r.err, f"process {other.pid} is changing this memory")


@test(rule="exclusive")
def lock_held_by_the_handler_alone():
    """The target has closed its descriptor: one that other processes hold is found all the same, by any command."""
    with target(seed=1, mode="minor") as (t, m):
        child = t.fork()["pid"]
        with held(t, m) as other:
            t.close(fd=t.u)
            for args in ((), ("-f", f"{child}:{t.u}")):
                r = run("continue", t.pid, f"{m['addr']}+{m['size']}", *args, check=1)
                contains(r.err, f"process {other.pid} is changing this memory")


@test
def lock_looks_at_the_target_first():
    """With --fd, what other processes hold is not looked at; without, nothing is read about those of other memories."""
    if not shutil.which("strace"):
        skip("needs strace; apt-get install strace runs this")
    with target(seed=1, mode="minor") as (t, m), target(mode="minor") as (stranger, _), tempfile.NamedTemporaryFile() as log:
        for args in (["-f", str(t.u)], []):
            r = subprocess.run(["strace", "-f", "-qq", "-o", log.name, "-e", "trace=openat,bpf", UFFDCTL, "continue",
                                str(t.pid), f"{m['addr']}+{m['size']}", *args], stdout=subprocess.DEVNULL,
                               env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})  # which needs ptrace itself
            eq(r.returncode, 0, "exit status")
            calls = log.read().decode()
            log.seek(0)
            ok(f'"/proc/{t.pid}"' in calls, "the target's directory is opened")
            ok(f"/proc/{stranger.pid}" not in calls, f"not that of a stranger, {args}")
            eq("iter_info=NULL" in calls, not args, f"a walk over all processes, {args}")


@test(rule="exclusive")
def lock_all_userfaultfds_without_bpf():
    """Which of them govern this memory is not known then: all that the process holds are locked."""
    with target(seed=1, mode="minor") as (t, m):
        v = t.userfaultfd()
        n = t.memory(size=m["size"], of=m["id"], mode="minor", uffd=v)
        with held(t, m, "-f", t.u, "--force", preexec_fn=without_bpf) as other:
            for preexec in (None, without_bpf):
                p = spawn("continue", t.pid, f"{n['addr']}+{n['size']}", "-f", v, preexec_fn=preexec)
                _, err = p.communicate(timeout=50)
                contains(err.decode(), f"process {other.pid} is changing this memory")
                eq(p.returncode, 1, "exit status")


@test
def lock_needs_descriptors():
    """Where there is no room for all userfaultfds of a memory, it is not worked on unlocked."""
    with target(seed=1, mode="minor") as (t, m):
        for _ in range(40):
            t.memory(size=PAGE, of=m["id"], mode="minor", uffd=t.userfaultfd())
        p = spawn("continue", t.pid, f"{m['addr']}+{m['size']}",
                  preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40)))
        _, err = p.communicate(timeout=50)
        contains(err.decode(), "ulimit -n")
        eq(p.returncode, 1, "exit status")


# ---- whose memory it is, without BPF ----

CAP_SYS_ADMIN, CAP_PERFMON, CAP_BPF = 21, 38, 39
PR_CAPBSET_DROP = 24

# A parent and a child that has one userfaultfd of its own and one of its parent's, both of the same layout.
FAMILY = r"""
import ctypes, fcntl, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)

def check(r, what):
    if r < 0:
        sys.exit(f"{what}: {os.strerror(ctypes.get_errno())}")
    return r

def uffd(addr, size):
    fd = check(libc.syscall(323, os.O_NONBLOCK), "userfaultfd")
    api = bytearray(struct.pack("QQQ", 0xaa, 1 << 10 | 1 << 5, 0))
    fcntl.ioctl(fd, 0xc018aa3f, api)
    fcntl.ioctl(fd, 0xc020aa00, bytearray(struct.pack("QQQQ", addr, size, 1 << 2 | 1, 0)))
    return fd

size = 16 * 4096
fd = os.memfd_create("guest")
os.truncate(fd, size)
os.pwrite(fd, b"x" * (size // 2), 0)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
addr = libc.mmap(None, size, 3, 1, fd, 0)
first = uffd(addr, size)
r, w = os.pipe()
child = os.fork()
if not child:
    second = uffd(addr, size)
    os.write(w, b"%d" % second)
    sys.stdin.read()
    os._exit(0)
print(child, hex(addr), size, first, os.read(r, 16).decode(), flush=True)
sys.stdin.read()
os.kill(child, 9)
os.waitpid(child, 0)
"""


def without_bpf():
    libc = ctypes.CDLL(None)
    for cap in (CAP_SYS_ADMIN, CAP_PERFMON, CAP_BPF):
        libc.prctl(PR_CAPBSET_DROP, cap, 0, 0, 0)


@test(rule="governs")
def governs_not_the_parent():
    """Through a userfaultfd that the child inherited, everything would go to its parent: refused without BPF too."""
    family = subprocess.Popen([sys.executable, "-c", FAMILY], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    line = family.stdout.readline().split()
    if len(line) != 5:
        skip("no userfaultfd can be made")
    child, addr, size, first, second = (int(x, 0) for x in line)
    parent = family.pid
    area = f"{addr:x}+{size}"
    try:
        for command in (["continue"], ["continue", "--from-zero", "--force"], ["copy", "--from-zero"], ["zeropage"],
                        ["register"], ["unregister"]):
            for bpf, preexec in ((True, None), (False, without_bpf)):
                p = spawn(*command, child, area, "-f", first, preexec_fn=preexec)
                _, err = p.communicate(timeout=50)
                eq(p.returncode, 1, f"{command}, BPF {bpf}: {err}")
                contains(err.decode(), "of another process" if bpf else f"may govern the memory of process {parent}")
        ok("ui" in smaps_flags(parent, addr) and "ui" in smaps_flags(child, addr), "both are registered as before")
        with open(f"/proc/{parent}/pagemap", "rb") as f:
            f.seek(addr // PAGE * 8)
            entries = struct.unpack(f"{size // PAGE}Q", f.read(size // PAGE * 8))
        ok(not any(e >> 62 for e in entries), "no page came to the parent")
        run("continue", child, f"{addr:x}+{size // 2}", "-f", second, check=0)
    finally:
        family.stdin.close()
        family.wait()


@test(rule="governs")
def governs_what_the_parent_has_registered():
    """register is not tried where it would replace, and take back, what another process has registered."""
    family = subprocess.Popen([sys.executable, "-c", FAMILY.replace("uffd(addr, size)\n    os.write", "0\n    os.write")],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    line = family.stdout.readline().split()
    if len(line) != 5:
        skip("no userfaultfd can be made")
    child, addr, size, first, _ = (int(x, 0) for x in line)
    try:
        p = spawn("register", child, f"{addr:x}+{size}", "-f", first, preexec_fn=without_bpf)
        _, err = p.communicate(timeout=50)
        contains(err.decode(), f"may govern the memory of process {family.pid}")
        eq(p.returncode, 1, "exit status")
        ok({"ui", "um"} <= smaps_flags(family.pid, addr), "the parent's is registered as before")
    finally:
        family.stdin.close()
        family.wait()


@test
def governs_inherited_by_whom_one_may_not_look_into():
    """A process of one's own that has called no execve(2) may have its userfaultfd from a parent that is hidden."""
    code = FAMILY.replace('libc.syscall(323, os.O_NONBLOCK)', 'libc.syscall(323, os.O_NONBLOCK | 1)')
    # The interpreter of the tests may lie where another user may not go.
    family = subprocess.Popen(["/usr/bin/python3", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              user=65534, group=65534, extra_groups=[])
    child, addr, size, first, second = (int(x, 0) for x in family.stdout.readline().split())
    try:
        r = run("continue", child, f"{addr:x}+4K", "-f", second, user=65534, check=1)
        contains(r.err, "may govern")
        r = run("continue", family.pid, f"{addr:x}+4K", user=65534, check=1)
        contains(r.err, "may govern")
        os.kill(child, 9)
        wait_until(lambda: run("continue", family.pid, f"{addr:x}+4K", user=65534).err.count("it can't be shown"),
                   "a descriptor that is no close-on-exec one may be inherited")
    finally:
        family.stdin.close()
        family.wait()


main()
