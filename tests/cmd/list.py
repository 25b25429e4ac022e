# SPDX-License-Identifier: GPL-2.0-or-later
"""list and smaps: holders, owners, both sources, output forms."""
import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

sys.path[0] += "/.."
from harness import (HUGE, PAGE, ROOT, Target, contains, eq, fdinfo, hugepages, main, ok, run, skip, smaps_flags,
                     spawn, target, test, wait_until)


def rows(*args, rc=0):
    return run("list", "-J", *args, check=rc).json()["list"]


@test
def list_one():
    with target(features=["minor_shmem", "thread_id"]) as (t, m):
        t.register(uffd=t.u, id=m["id"], len=8 * PAGE, mode=["minor"])
        t.register(uffd=t.u, id=m["id"], offset=8 * PAGE, len=4 * PAGE, mode=["minor", "missing"])
        r = rows(t.pid)
        eq(r, [{"ctx": r[0]["ctx"], "pid": t.pid, "comm": "target", "fd": t.u, "target_pid": t.pid, "pending": 0,
                "total": 0, "reader": False, "minor": 12 * PAGE, "missing": 4 * PAGE, "wp": 0, "rwp": 0,
                "features": ["thread_id", "minor_shmem"]}], "the row")
        text = run("list", t.pid, check=0).out.splitlines()
        eq(text[0].split(), "CTX PID COMM FD TARGET_PID PENDING TOTAL READER MINOR MISSING WP".split(), "headings")
        eq(text[1].split()[7:10], ["no", "48K", "16K"], "reader and sizes")


@test
def list_same_userfaultfd():
    """Duplicates, also in another process, have one number; another userfaultfd has its own."""
    with Target() as t:
        fd = t.userfaultfd()
        dup = t.dup(fd=fd)["fd"]
        other = t.userfaultfd()
        child = t.child_handler(uffd=fd, action="none")["pid"]
        r = {(x["pid"], x["fd"]): x for x in rows(t.pid)}
        eq(len({r[(t.pid, fd)]["ctx"], r[(t.pid, dup)]["ctx"]} | {x["ctx"] for k, x in r.items() if k == (child, fd)}), 1,
           "one userfaultfd")
        ok(r[(t.pid, other)]["ctx"] != r[(t.pid, fd)]["ctx"], "another")
        ok(any(k[0] == child for k in r), "its holder elsewhere is listed with it")
        eq({x["target_pid"] for x in r.values()}, {t.pid}, "whose memory")
        eq({x["target_pid"] for x in rows(child)}, {t.pid}, "asked by the holder")


@test
def list_many_holders():
    """However many descriptors a userfaultfd has, all are named, and each waiter once."""
    with target(size=4 * PAGE, seed=1, mode="minor") as (t, m):
        t.touch(id=m["id"], access="read", threads=3)
        for _ in range(300):
            t.dup(fd=t.u)
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 3, "three wait")
        eq(len(run("smaps", "-J", t.pid, check=0).json()["smaps"][0]["holders"]), 301, "holders")
        r = run("pending", "-J", t.pid, check=0)
        eq((len(r.json()["pending"]), r.err), (3, ""), "waiters")


@test
def list_no_handshake():
    with Target() as t:
        t.uffd(handshake=False)
        eq(rows(t.pid)[0]["features"], None, "not known before the handshake")
        t.userfaultfd([])
        eq(rows(t.pid)[1]["features"], [], "none asked for")


@test
def list_pending():
    with target(seed=1, mode="minor") as (t, m):
        t.touch(id=m["id"], access="read", threads=3, split=True)
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 3, "three wait")
        t.read_msg(uffd=t.u, timeout_ms=1000)
        eq([(x["pending"], x["total"]) for x in rows(t.pid)], [(2, 3)], "one was read")


@test
def list_reader():
    """Does anybody read the messages? yes and no in the table, true and false in JSON; not known without BPF."""
    with target(mode="minor") as (t, m):
        def reader(*args):
            return run("list", "-n", "-o", "reader", *args, t.pid, check=0).out.strip()
        eq((reader(), rows(t.pid)[0]["reader"]), ("no", False), "nobody")
        t.handler(uffd=t.u, action="continue")
        wait_until(lambda: reader() == "yes", "a handler reads")
        eq(rows(t.pid)[0]["reader"], True, "in JSON")
        eq((reader("--source=proc"), rows("--source=proc", t.pid)[0]["reader"]), ("-", None), "not known")


@test
def list_80_columns():
    """The longest name of a process fits a usual terminal."""
    with target(mode="minor") as (t, m):
        t.comm(name="qemu-system-x86")
        main_end, end = pty.openpty()
        fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        p = spawn("list", t.pid, stdout=end)
        os.close(end)
        p.communicate()
        with open(main_end, "rb", 0) as f:
            lines = [line.rstrip() for line in f.read(65536).decode().splitlines()]
        eq((p.returncode, len(lines)), (0, 2), f"heading and row: {lines}")
        ok(max(map(len, lines)) <= 80 and " qemu-system-x86 " in lines[1], f"{lines}")


@test
def list_proc_agrees():
    with Target() as t:
        t.dup(fd=t.userfaultfd())
        a, b = rows(t.pid), rows(t.pid, "--source=proc")
        known = ("pid", "comm", "fd", "pending", "total", "features")
        eq([{k: x[k] for k in known} for x in b], [{k: x[k] for k in known} for x in a], "what both know")
        eq(len({x["ctx"] for x in b}), 1, "kcmp groups")
        eq([x["target_pid"] for x in b] + [x["minor"] for x in b], [None] * 4, "what proc can't tell")


@test
def list_pid_namespace():
    """PIDs are those of the namespace that uffdctl runs in."""
    code = ("import sys; sys.path.insert(0, 'tests'); from harness import Target, run\n"
            "t = Target(); t.userfaultfd(['minor_shmem'])\n"
            "r = run('list', '-J', check=0).json()['list']\n"
            "assert [(x['pid'], x['target_pid']) for x in r] == [(t.pid, t.pid)], r\n"
            "assert t.pid < 100, t.pid\n")
    p = subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", code], cwd=ROOT,
                       capture_output=True, text=True)
    if "Operation not permitted" in p.stderr:
        skip("unshare: Operation not permitted; root runs this")
    eq((p.returncode, p.stderr), (0, ""), "in the namespace")


@test(rule="untrusted-names")
def list_hostile_name():
    """Escape sequences and broken UTF-8 in names come out harmless, in each form of output."""
    with Target() as t:
        t.comm(name="\x1b[2J\udcff\"}")
        t.userfaultfd()
        t.memory(size=PAGE, name="a\x1b]0;x\x07\nb\udcfe\u202e", mode="minor")
        eq(rows(t.pid)[0]["comm"], "\\x1b[2J\\xff\"}", "JSON")
        for args in (("list",), ("list", "-J"), ("list", "-r"), ("list", "--source=proc"), ("smaps", t.pid),
                     ("smaps", "-J", t.pid), ("smaps", "--all", "--sizes", t.pid)):
            out = run(*args, check=0).out
            ok(all(c == "\n" or " " <= c < "\x7f" for c in out), f"{args}: printable: {out!r}")
        raw = run("list", "-n", "-r", "-o", "comm", t.pid, check=0).out.strip()
        eq(raw.encode().decode("unicode_escape").encode("latin1"), b'\x1b[2J\xff"}', "--raw can be undone")
        t.comm(name="\\x20 \u20ac")
        raw = run("list", "-n", "-r", "-o", "comm", t.pid, check=0).out.strip()
        eq(raw.encode().decode("unicode_escape").encode("latin1").decode(), "\\x20 \u20ac", f"so can {raw}")
        contains(run("register", t.pid, "@/memfd:zz*\x1b[1m", check=1).err, "\\x1b[1m")


@test
def list_nothing():
    with Target() as t:
        r = run("list", t.pid, check=0)
        eq((r.out.strip().count("\n"), "no userfaultfd" in r.err), (0, True), "says so")
        eq(rows(t.pid), [], "JSON")


@test
def smaps_nothing():
    """What would show more is said."""
    with target() as (t, m):
        contains(run("smaps", t.pid, check=0).err, "no mapping is registered on a userfaultfd: --all lists every mapping")
        t.register(uffd=t.u, id=m["id"], mode=["minor"])
        contains(run("smaps", "--flag=uw", t.pid, check=0).err, "with such a flag: without --flag, all that are registered")
        eq(run("smaps", "--flag=ui", t.pid, check=0).err, "", "no note where there is a row")


@test
def list_columns():
    with Target() as t:
        t.userfaultfd()
        eq(run("list", "-n", "-o", "pid,FD", t.pid, check=0).out.split()[0], str(t.pid), "chosen columns")
        t.uffd(handshake=False)
        for line in run("list", "-n", "-r", "-o", "features,fd,pid", t.pid, check=0).out.splitlines():
            eq(len(line.split()), 3, f"--raw has each field: {line}")
        contains(run("list", "-o", "pid,frob", check=2).err, "frob: no such column")
        names = [line.split()[0] for line in run("list", "--list-columns", check=0).out.splitlines()]
        eq(set(rows("-o", ",".join(names))[0]), {n.lower() for n in names}, "each listed column can be had")


# ---- smaps ----

def zoo(t):
    """Anonymous, shmem, hugetlb, private file, all registered or not, in several modes."""
    t.userfaultfd()
    path = f"/tmp/uffdctl-test-{t.pid}"
    kinds = [dict(kind="anon"), dict(kind="memfd"), dict(kind="memfd", shared=False), dict(kind="hugetlb"),
             dict(kind="hugetlb", shared=False), dict(kind="file", path=path, shared=False)]
    maps = [t.memory(size=2 * HUGE, **k) for k in kinds]
    os.unlink(path)
    for m, modes in zip(maps, (["missing"], ["minor", "missing"], ["minor"], ["minor", "wp"], ["missing"])):
        t.register(uffd=t.u, id=m["id"], len=HUGE, mode=modes)
    t.fill(id=maps[1]["id"], len=64 * PAGE, seed=1)


@test
def smaps_sources_agree():
    """To the byte, on every column that both have; and with the kernel's own smaps."""
    with hugepages(12), Target() as t:
        zoo(t)
        for args in ((), ("--all",), ("--flag", "ui,uw"), ("--sizes",), ("--all", "--sizes")):
            columns = "PID,START,END,SIZE,PERMS,FLAGS,OFFSET,PAGE_SIZE,NAME"
            # Not Pss: that changes with the neighbours.
            columns += ",RSS,SWAP,SHARED_HUGETLB,PRIVATE_HUGETLB,ANONYMOUS" if "--sizes" in args else ""
            bpf, proc = (run("smaps", "--source", s, "-b", "-o", columns, *args, t.pid, check=0).out.splitlines()
                         for s in ("bpf", "proc"))
            ok(len(bpf) > 3, "there is something to compare")
            eq([(a, b) for a, b in zip(bpf, proc) if a != b], [], f"smaps {args}")
            eq(len(bpf), len(proc), f"smaps {args}: lines")
        for x in run("smaps", "-J", "--all", t.pid, check=0).json()["smaps"]:
            eq(set(x["flags"]), smaps_flags(t.pid, x["start"]), x["name"])


@test
def smaps_all_is_all():
    with Target() as t:
        with open(f"/proc/{t.pid}/maps") as f:
            want = [line.split()[0] for line in f if "[vsyscall]" not in line]
        got = [f"{x['start'][2:]}-{x['end'][2:]}" for x in run("smaps", "-J", "--all", t.pid, check=0).json()["smaps"]]
        eq([x.lstrip("0") for x in got], [x.lstrip("0") for x in want], "every mapping, in order")


NAMED = r"""
import ctypes, os, sys
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 3 + [ctypes.c_char_p]

def name(addr, text):
    libc.prctl(0x53564d41, 0, addr, 4096, text)  # PR_SET_VMA, PR_SET_VMA_ANON_NAME

for flags in (0x22, 0x21):  # private and shared anonymous
    addr = libc.mmap(None, 8 * 4096, 3, flags, -1, 0)
    libc.mprotect(ctypes.c_void_p(addr + 6 * 4096), 4096, 1)
    for page in (1, 2, 4):
        name(addr + page * 4096, b"page %d" % (page // 2))
fds = [os.memfd_create(x) for x in ("one", "two")]
for fd in fds:
    os.truncate(fd, 8 * 4096)
addr = libc.mmap(None, 16 * 4096, 3, 0x22, -1, 0)
for page, (fd, offset) in enumerate(((0, 0), (0, 4), (1, 5), (0, 6), (0, 1), (1, 2), (1, 0))):
    libc.mmap(addr + page * 4096, 4096, 1, 0x10 | page % 2 + 1, fds[fd], offset * 4096)
print(flush=True)
sys.stdin.read()
"""


@test
def smaps_names_as_in_maps():
    """Where names change from one mapping to the next: heap, stack, files, parts of anonymous memory with names."""
    p = subprocess.Popen([sys.executable, "-c", NAMED], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        p.stdout.readline()
        with open(f"/proc/{p.pid}/maps") as f:
            lines = [line.rstrip("\n").split(None, 5) for line in f if "[vsyscall]" not in line]
        want = [(*(int(x, 16) for x in w[0].split("-")), w[1], int(w[2], 16),
                 w[5].strip() if len(w) > 5 else f"[anon:{int(w[0].split('-')[0], 16):x}]") for w in lines]
        rows = run("smaps", "-J", "--all", p.pid, check=0).json()["smaps"]
        got = [(int(x["start"], 16), int(x["end"], 16), x["perms"], x["offset"], x["name"]) for x in rows]
        eq([(a, b) for a, b in zip(got, want) if a != b], [], "as in maps")
        eq(len(got), len(want), "mappings")
        ok({"[heap]", "[stack]", "[vdso]", "/memfd:one (deleted)"} <= {x[4] for x in got}, "each kind of name")
    finally:
        p.communicate()


@test
def smaps_default_is_registered():
    with hugepages(12), Target() as t:
        zoo(t)
        r = run("smaps", "-J", t.pid, check=0).json()["smaps"]
        eq(sorted(sorted(x["flags"]) for x in r), [["ui"], ["ui", "um"], ["ui", "uw"], ["um"], ["um"]], "flags")
        eq({tuple(x["holders"]) for x in r}, {(f"{t.pid}:{t.u}",)}, "holders")
        p = run("smaps", "-J", "--source=proc", t.pid, check=0).json()["smaps"]
        eq({x["holders"] is None for x in p}, {True}, "proc can't tell")


@test
def smaps_unheld():
    """A userfaultfd in flight over a socket is in nobody's table: its ranges show all the same."""
    with target(size=PAGE, mode="minor") as (t, _):
        t.send_uffd(uffd=t.u)
        t.close(fd=t.u)
        r = run("smaps", "-J", t.pid, check=0).json()["smaps"]
        eq([(x["flags"], x["holders"]) for x in r], [(["ui"], [])], "registered, held by nobody in sight")
        contains(run("continue", t.pid, "all", check=1).err, "has no userfaultfd")


@test(limit=120)
def smaps_many_mappings():
    """60,000 mappings: each once, although the iterator repeats itself on Linux 6.18."""
    with Target(timeout=60) as t:
        t.maps_many(n=60000, populate_bytes=0)
        with open(f"/proc/{t.pid}/maps") as f:
            want = sum("[vsyscall]" not in line for line in f)
        got = run("smaps", "-J", "--all", t.pid, check=0).json()["smaps"]
        eq(len(got), want, "mappings")
        eq(len({x["start"] for x in got}), want, "each once")
        for args in ([], ["-b"], ["-o", "NAME,START,PERMS,SIZE"]):
            lines = run("smaps", "--all", *args, t.pid, check=0).out.splitlines()
            eq(len(lines), want + 1, f"lines of the listing {args}")
            many = [line for line in lines if "/memfd:many" in line]
            eq({len(line) for line in many}, {len(many[0])}, f"columns are aligned in all of it {args}")
        starts = [line.split()[1] for line in run("smaps", "--all", "-n", "-o", "PID,START", t.pid, check=0).out.splitlines()]
        eq([f"0x{x}" for x in starts], [x["start"] for x in got], "the same as in JSON")


@test
def smaps_several_processes():
    with Target() as a, Target() as b:
        for t in (a, b):
            t.userfaultfd()
            t.memory(size=PAGE, mode="minor")
        r = run("smaps", "-J", a.pid, 999999999, b.pid, check=1)
        eq([x["pid"] for x in r.json()["smaps"]], [a.pid, b.pid], "the rest is shown")
        contains(r.err, "999999999: no such process")


main()
