# SPDX-License-Identifier: GPL-2.0-or-later
"""A target whose files are on a file system that does not answer, are cut short, or blow up: nothing of it hangs us."""
import contextlib
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import zlib

sys.path[0] += "/.."
from harness import (HELPERS, PAGE, Target, UFFDCTL, contains, eq, links, main, ok, run, skip, smaps_flags, spawn,
                     stat, target, test, wait_until)
from harness.proc import parents

LIMIT = 30  # seconds a command may take: files are given up after 5


class Stall:
    """Files on a FUSE mount (tests/helpers/stall.c); .dir; say("stall") and so on; ends with the with block."""

    def __init__(self, *files):
        if not os.access("/dev/fuse", os.W_OK):
            skip("no /dev/fuse; root and a kernel with FUSE run this")
        self.dir = tempfile.mkdtemp(prefix="uffdctl-stall.")
        os.chmod(self.dir, 0o755)
        self.proc = subprocess.Popen([os.path.join(HELPERS, "stall"), self.dir, *files], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self.proc.stdout.readline() != "ready\n":
            os.rmdir(self.dir)
            skip(f"no FUSE mount ({self.proc.stderr.read().strip()}); root and a kernel with FUSE run this")

    def path(self, name):
        return os.path.join(self.dir, name)

    def say(self, word):
        self.proc.stdin.write(word + "\n")
        self.proc.stdin.flush()
        eq(self.proc.stdout.readline(), "ok\n", word)

    def __enter__(self):
        return self

    def end(self):
        """All that waits fails: before that, nothing that has a file open can end."""
        if self.proc.poll() is None:
            self.proc.stdin.close()
            self.proc.wait()
            os.rmdir(self.dir)

    def __exit__(self, *exc):
        self.end()


def read_all(path):
    """Into the page cache, so that what is mapped of it needs the server no more."""
    with open(path, "rb") as f:
        return len(f.read())


@contextlib.contextmanager
def stalled(word, user=None):
    """A target that runs from such a file system, has a file of it open and mapped, and memory to register."""
    with Stall(os.path.join(HELPERS, "target"), os.path.join(HELPERS, "libarena.so.1")) as s:
        read_all(s.path("target"))
        with target(program=s.path("target"), user=user) as (t, t.m):
            t.file = t.memory("file", PAGE, path=s.path("libarena.so.1"), shared=False)
            s.say(word)
            try:
                yield s, t
            finally:
                s.end()


def ours():
    """Processes of uffdctl that this test has started, and those that they left behind: pid to state."""
    found, parents = {}, {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            name, state, parents[int(pid)] = stat(pid)
            if name == "uffdctl":
                found[int(pid)] = state
    return {pid: state for pid, state in found.items() if os.getpid() in (parents[pid], parents.get(parents[pid]))}


def waits(pid):
    """For a FUSE server's answer."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stack") as f:
        return "request_wait_answer" in f.read()


def check_left():
    """Whoever is left behind, since it can't be killed, holds nothing of the target's and none of our pipes."""
    for pid in ours():
        held = [x for x in links(pid) if "userfaultfd" in x or "memfd" in x or "pipe:" in x or "libarena" in x]
        eq(held, [], f"what {pid} holds")


def each_command(t, commands, **kw):
    for args, rc, text in commands:
        r = run(*args, timeout=LIMIT, **kw)
        ok(r.rc == rc, f"exit status {rc}: {r}")
        contains(r.err + r.out, text)
        check_left()


def commands(t, unsearched):
    """Each with its exit status, and what it says."""
    silent = "its file system does not answer"
    memfd = f"{t.m['start']:x}"
    return [
        (["list", t.pid], 0, str(t.u)),
        (["smaps", "--all", t.pid], 0, "libarena"),
        (["pending", t.pid], 0, ""),
        (["pages", "--all", t.pid], 0, "libarena"),
        (["pages", "--runs", t.pid, f"{t.file['start']:x}+4K"], 0, "unknown"),
        (["peek", t.pid, f"{t.file['start']:x}+4K"], 1, "(unknown: "),
        (["register", t.pid, "all", "--dry-run"], 0, memfd),
        (["register", t.pid, "all"], 0, memfd),
        (["smaps", t.pid], 0, memfd),
        (["continue", t.pid, "@/memfd:guest*", "--from-zero", "--force"], 0, memfd),
        (["unregister", t.pid, "all"], 0, memfd),
        (["register", t.pid, "@/memfd:guest*", "-m", "missing"], 0, memfd),
        (["zeropage", t.pid, f"{memfd}+16K"], 0, memfd),
        (["wake", t.pid, "all"], 0, memfd),
        (["register", t.pid, f"{t.file['start']:x}+4K"], 1, "this kind of memory can't be registered"),
        (["register", t.pid, ":arena"], 1, silent if unsearched else "no data object"),
        (["register", t.pid, "target:arena"], 1, silent),
    ]


@test(rule="nothing-stalls-us")
def stall_every_command():
    """The server has taken the request, and never answers: not even SIGKILL ends who asked."""
    with stalled("stall") as (_, t):
        each_command(t, commands(t, True))
        ok("ui" not in smaps_flags(t.pid, t.m["addr"]), "registered for missing alone")


@test
def stall_every_command_queued():
    """The server takes no request at all."""
    with stalled("queue") as (_, t):
        each_command(t, commands(t, True))


@test
def stall_every_command_without_bpf():
    """The kind of each mapping is known by its device."""
    with stalled("stall", user=65534) as (_, t):
        for args, rc, text in commands(t, True)[:6]:
            r = run(*args, timeout=LIMIT, user=65534)
            ok(r.rc == rc, f"exit status {rc}: {r}")
            contains(r.err + r.out, text)
        r = run("register", t.pid, ":arena", timeout=LIMIT, user=65534, check=1)
        contains(r.err, "does not answer")


@test
def stall_kind_unknown():
    """A tmpfs that is mounted no more, without BPF: the kernel alone knows whether it can be registered."""
    d = tempfile.mkdtemp(prefix="uffdctl-stall.")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=777", "none", d], stderr=subprocess.DEVNULL).returncode:
        os.rmdir(d)
        skip("no tmpfs can be mounted; root runs this")
    try:
        with target("tmpfs", 4 * PAGE, user=65534, path=os.path.join(d, "guest")) as (t, m):
            subprocess.run(["umount", "-l", d], check=True)
            r = run("register", t.pid, "all", "--dry-run", user=65534, check=1)
            contains(r.err, "without BPF it is not known")
            r = run("register", "-J", t.pid, "all", user=65534, check=0)
            eq([x["start"] for x in r.json()["register"]], [m["addr"]], "registered")
            r = run("continue", t.pid, "all", "--from-zero", "--force", user=65534, check=1)
            contains(r.err, "its file is not opened, because its file system is not known without BPF")
            ok("ui" in smaps_flags(t.pid, m["addr"]), "registered still")
            eq(run("register", "-J", t.pid, "all", check=0).json()["register"][0]["start"], m["addr"], "by BPF")
    finally:
        subprocess.run(["umount", "-l", d], stderr=subprocess.DEVNULL)
        os.rmdir(d)


@test
def stall_other_files_are_searched():
    """One file does not answer, the others are searched all the same."""
    with Target() as t, Stall(os.path.join(HELPERS, "libarena.so.1")) as s:
        t.userfaultfd()
        m = t.memory("symbol", 1 << 20)
        t.memory("file", PAGE, path=s.path("libarena.so.1"), shared=False)
        s.say("stall")
        r = run("register", "-J", t.pid, ":arena", check=0, timeout=LIMIT)
        eq([x["start"] for x in r.json()["register"]], [m["addr"]], "the program's")
        contains(r.err, "libarena.so.1 was not searched for arena: its file system does not answer")
        r = run("register", "-J", t.pid, "target:arena", "--dry-run", timeout=LIMIT)
        eq([x["start"] for x in r.json()["register"]], [m["addr"]], "by the file's name")


@test
def stall_ctrl_c():
    """It ends at once, nothing changed, whatever its child waits for."""
    with stalled("stall") as (_, t):
        p = spawn("register", t.pid, ":arena", "@/memfd:guest*")
        wait_until(lambda: any(pid != p.pid and waits(pid) for pid in ours()),
                   "its child waits for the server")
        p.send_signal(signal.SIGINT)
        _, err = p.communicate(timeout=LIMIT)
        eq(p.returncode, 1, "exit status")
        contains(err.decode(), "interrupted while its ELF files were read: nothing was changed")
        check_left()
        ok("ui" not in smaps_flags(t.pid, t.m["addr"]), "nothing was changed")


@test
def stall_ctrl_c_between_two_waits():
    """The signal comes while a message of the child's is taken, before the wait for the next one: it is not lost."""
    if not shutil.which("strace"):
        skip("needs strace; apt-get install strace runs this")
    with target("symbol", 1 << 20) as (t, m), Stall(os.path.join(HELPERS, "libarena.so.1")) as s:
        t.memory("file", PAGE, path=s.path("libarena.so.1"), shared=False)
        s.say("stall")
        # The program has an arena, which is the first message; the library, behind it, does not answer.
        r = subprocess.run(["strace", "-qq", "-o", "/dev/null", "-e", "inject=recvfrom:signal=INT:when=1", UFFDCTL,
                            "register", str(t.pid), ":arena"], capture_output=True, text=True, timeout=LIMIT)
        eq(r.returncode, 1, f"exit status: {r.stderr}")
        contains(r.stderr, "interrupted while its ELF files were read: nothing was changed")
        ok("ui" not in smaps_flags(t.pid, m["addr"]), "nothing is registered")


@test
def stall_second_ctrl_c():
    """Contents that do not come: the first signal waits for them, another one half a second later kills."""
    with target("anon", 16 * PAGE, mode="missing") as (t, m), Stall(os.path.join(HELPERS, "target")) as s:
        p = spawn("serve", t.pid, f"--from={s.path('target')}")
        wait_until(lambda: p.stdout.readline(), "it serves")
        s.say("stall")
        t.touch(id=m["id"], len=PAGE)
        wait_until(lambda: any(waits(tid) for tid in os.listdir(f"/proc/{p.pid}/task")), "it reads")
        p.send_signal(signal.SIGINT)
        time.sleep(0.6)
        eq(p.poll(), None, "it waits")
        p.send_signal(signal.SIGINT)
        s.end()
        eq(p.wait(timeout=LIMIT), -signal.SIGINT, "exit status")


@test
def stall_contents():
    """The user's own file: opened before anything of the target's is held, and Ctrl-C ends that."""
    with stalled("queue") as (s, t):
        p = spawn("continue", t.pid, "@/memfd:guest*", f"--from={s.path('target')}")
        wait_until(lambda: waits(p.pid), "it opens the file")
        eq([x for x in links(p.pid) if "userfaultfd" in x], [], "what it holds")
        p.send_signal(signal.SIGINT)
        p.communicate(timeout=LIMIT)
        eq(p.returncode, -signal.SIGINT, "exit status")


@test
def stall_watch():
    """A fault by an instruction of such a file: its name stands there without a function."""
    with stalled("stall") as (_, t):
        t.register(id=t.m["id"], uffd=t.u, mode=["missing"])
        p = spawn("watch", "--json", "-d", "2", t.pid)
        wait_until(lambda: attached(p), "watch has begun", timeout=30)
        t.handler(uffd=t.u, action="copy")
        t.touch(id=t.m["id"], access="read")
        out, err = p.communicate(timeout=LIMIT)
        eq(p.returncode, 0, f"exit status: {err.decode()}")
        lines = [json.loads(x) for x in out.decode().splitlines()]
        eq((lines[-1]["type"], lines[-1]["faults"]["missing"]), ("summary", 16), "the end")
        eq({x["symbol"] for x in lines[:-1] if x["symbol"] and "+" in x["symbol"].split()[0]
            and "(target)" in x["symbol"]}, set(), "functions that can't be known")
        check_left()


def attached(p):
    """Its programs are loaded: it waits for events."""
    return any("bpf" in x for x in links(p.pid)) and stat(p.pid)[1] == "S"


# ---- files that are cut short, or blow up ----

SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB = 1, 2, 3
SHF_COMPRESSED = 0x800


def write_elf(path, sections):
    """An ELF64 file of (name, type, flags, link, entsize, contents or length of a hole), loaded from its first page."""
    names = b"\0" + b"".join(s[0].encode() + b"\0" for s in sections) + b".shstrtab\0"
    headers, name_at, at = [bytes(64)], 1, PAGE
    with open(path, "wb") as f:
        for name, kind, flags, link, entsize, data in [*sections, (".shstrtab", SHT_STRTAB, 0, 0, 0, names)]:
            length = data if isinstance(data, int) else len(data)
            headers.append(struct.pack("<IIQQQQIIQQ", name_at, kind, flags, 0, at, length, link, 0, 1, entsize))
            name_at += len(name) + 1
            if not isinstance(data, int):
                f.seek(at)
                f.write(data)
            at += length
        phdr = struct.pack("<IIQQQQQQ", 1, 6, 0, 0, 0, PAGE, PAGE, PAGE)
        f.seek(0)
        f.write(struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1" + bytes(9), 3, 62, 1, 0, 64, 64 + len(phdr), 0, 64,
                            len(phdr), 1, 64, len(headers), len(headers) - 1) + phdr + b"".join(headers))


def compressed(size):
    """Zeros under a header that says what they come to."""
    data = zlib.compress(bytes(size), 1)
    return struct.pack("<IIQQ", 1, 0, size, 1) + data


def peak(args):
    """Exit status, stderr, and the most memory that it or a child of its had, in bytes."""
    p = spawn(*args, stdout=subprocess.DEVNULL)
    err = p.stderr.read().decode()
    _, status, usage = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    return p.returncode, err, usage.ru_maxrss * 1024


@contextlib.contextmanager
def mapped(sections):
    with tempfile.TemporaryDirectory() as d, Target() as t:
        t.userfaultfd()
        t.memory(size=PAGE)
        path = os.path.join(d, "libhuge.so")
        write_elf(path, sections)
        t.memory("file", PAGE, path=path, shared=False)
        yield t


def check_small(sections):
    with mapped(sections) as t:
        _, _, plain = peak(["register", t.pid, "@/memfd:guest*", "--dry-run"])
        rc, err, huge = peak(["register", t.pid, "libhuge.so:zeros"])
        eq(rc, 1, "exit status")
        contains(err, "zeros")
        ok(huge < plain + (64 << 20), f"{huge >> 20} MiB, without :SYMBOL {plain >> 20} MiB")


@test
def symbol_compressed_tables():
    """A quarter of a gigabyte in a quarter of a megabyte."""
    size = (128 << 20) // 24 * 24
    data = compressed(size)
    check_small([(".symtab", SHT_SYMTAB, SHF_COMPRESSED, 2, 24, data), (".strtab", SHT_STRTAB, SHF_COMPRESSED, 0, 0, data)])


@test
def symbol_sparse_tables():
    """A file that is large and empty."""
    check_small([(".symtab", SHT_SYMTAB, 0, 2, 24, 24 * (1 << 20)), (".strtab", SHT_STRTAB, 0, 0, 0, 1 << 29)])


@test(rule="nothing-stalls-us")
def symbol_cut_short():
    """The file ends earlier than it did when it was opened: bytes are missing, and nobody dies."""
    syms = bytes(24) + struct.pack("<IBBHQQ", 1, 0x11, 0, 1, 0, 8)
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "libcut.so")
        write_elf(path, [(".data", SHT_PROGBITS, 3, 0, 0, bytes(1 << 20)),
                         (".symtab", SHT_SYMTAB, 0, 3, 24, syms),
                         (".strtab", SHT_STRTAB, 0, 0, 0, b"\0zeros\0" + bytes(1 << 20))])
        with Target() as t, Stall(path) as s:
            t.userfaultfd()
            t.memory("file", PAGE, path=s.path("libcut.so"), shared=False)
            r = run("register", "-J", t.pid, ":zeros", "-m", "wp", "--dry-run", timeout=LIMIT)
            eq(len(r.json()["register"]), 1, "there")
            s.say("cut")
            r = run("register", t.pid, ":zeros", "-m", "wp", "--dry-run", timeout=LIMIT, check=1)
            contains(r.err, "no data object zeros")


@test
def symbol_debugdata():
    """Symbols in .gnu_debugdata, of a file without others (MiniDebugInfo)."""
    if not shutil.which("xz"):
        skip("no xz; xz-utils runs this")
    with tempfile.TemporaryDirectory() as d:
        library, mini = os.path.join(d, "libmini.so"), os.path.join(d, "mini")
        shutil.copy(os.path.join(HELPERS, "libarena.so.1"), library)
        shutil.copy(os.path.join(HELPERS, "libarena.so.1.debug"), mini)
        subprocess.run(["objcopy", "--strip-debug", mini], check=True)
        subprocess.run(["xz", "--force", mini], check=True)
        subprocess.run(["objcopy", "--remove-section=.gnu_debuglink", "--remove-section=.note.gnu.build-id",
                        f"--add-section=.gnu_debugdata={mini}.xz", library], check=True)
        with Target(env={"LD_PRELOAD": library}) as t:
            t.userfaultfd()
            r = run("register", "-J", t.pid, ":hidden_pool", "-m", "wp", "--dry-run", check=0)
            ok(r.json()["register"], "a symbol that only .gnu_debugdata has")


main()
