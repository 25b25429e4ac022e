# SPDX-License-Identifier: GPL-2.0-or-later
"""The tracepoints of kernel-patches/, as tracefs shows them: their fields, their order, and that none is missing."""
import contextlib
import ctypes
import errno
import fcntl
import mmap
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading

sys.path[0] += "/.."
from harness import Target, TargetError, eq, fdinfo, fewer, main, ok, skip, test, wait_until

TRACING = "/sys/kernel/tracing"
PAGE = os.sysconf("SC_PAGESIZE")
LIBC = ctypes.CDLL(None, use_errno=True)
PIDFD_GETFD = 438
USERFAULTFD = 323 if os.uname().machine == "x86_64" else 282

# The fields of each event, in this order.
FAULT = ["ino", "address", "real_address", "reason"]
EVENT = ["ino", "event", "start", "len", "to"]
FIELDS = {
    "uffd_fault_begin": [*FAULT, "flags", "features"],
    "uffd_fault_read": [*FAULT, "waiter"],
    "uffd_fault_woken": [*FAULT, "waiter"],
    "uffd_fault_end": [*FAULT, "why"],
    "uffd_event_begin": EVENT,
    "uffd_event_read": [*EVENT, "waiter"],
    "uffd_event_end": ["ino", "event", "why"],
    "uffd_wake": ["ino", "start", "len", "nr_woken"],
    "uffd_range_op": ["ino", "start", "len", "src", "mode", "result", "nr"],
    "uffd_set_mode": ["ino", "enable", "disable", "result"],
}
# The values that are printed by name, by event and field: include/linux/mm_types.h, include/uapi/linux/userfaultfd.h
# and include/linux/userfaultfd_k.h.
FAULT_FLAGS = ("WRITE", "MKWRITE", "ALLOW_RETRY", "RETRY_NOWAIT", "KILLABLE", "TRIED", "USER", "REMOTE", "INSTRUCTION",
               "INTERRUPTIBLE", "UNSHARE", "ORIG_PTE_VALID", "VMA_LOCK")
REASONS = {0: "MISSING", 2: "WP", 4: "MINOR", 8: "RWP"}
EVENTS = {0x13: "FORK", 0x14: "REMAP", 0x15: "REMOVE", 0x16: "UNMAP"}
ENDS = dict(enumerate(("WOKEN", "RELEASED", "SIGNAL", "SPURIOUS", "NOT_WAITED")))
# The ioctls on ranges by number, and how long what they read and write is.
REGISTER, UNREGISTER, WAKE, COPY, ZEROPAGE, MOVE, WRITEPROTECT, CONTINUE, POISON, RWPROTECT, SET_MODE = range(11)
SIZES = {REGISTER: 32, UNREGISTER: 16, WAKE: 16, COPY: 40, ZEROPAGE: 32, MOVE: 40, WRITEPROTECT: 24, CONTINUE: 32, POISON: 32, RWPROTECT: 24, SET_MODE: 16}
NAMES = dict(enumerate(("REGISTER", "UNREGISTER", "WAKE", "COPY", "ZEROPAGE", "MOVE", "WRITEPROTECT", "CONTINUE", "POISON",
                        "RWPROTECT")))
VALUES = {
    **{name: {"reason": REASONS} for name in FIELDS if name.startswith("uffd_fault")},
    **{name: {"event": EVENTS} for name in FIELDS if name.startswith("uffd_event")},
    "uffd_range_op": {"nr": NAMES},
}
VALUES["uffd_fault_begin"]["flags"] = {1 << i: name for i, name in enumerate(FAULT_FLAGS)}
VALUES["uffd_fault_end"]["why"] = VALUES["uffd_event_end"]["why"] = ENDS
FEATURE_RWP, FEATURE_RWP_ASYNC = 1 << 17, 1 << 18
MAPPINGS = []  # else they are unmapped when nothing refers to them


# ---- tracefs ----

def write(path, text):
    with open(path, "w") as f:
        f.write(text)


def read(path):
    with open(path) as f:
        return f.read()


class Event:
    """A line of the trace: name, tid of who was running, and its fields; numbers as such."""

    LINE = re.compile(r"\s*(?P<comm>.*)-(?P<tid>\d+)\s+\[\d+\]\s.*?(?P<at>\d+): (?P<name>uffd_\w+): (?P<fields>.*)")

    def __init__(self, line):
        m = self.LINE.fullmatch(line)
        ok(m, f"no trace line: {line!r}")
        self.line, self.name, self.tid = line, m["name"], int(m["tid"])
        for word in m["fields"].split():
            key, value = word.split("=", 1)
            number = re.fullmatch(r"-?\d+|0x[0-9a-f]+", value)
            setattr(self, key, int(value, 0) if number else value)

    def __repr__(self):
        return "\n" + self.line


class Tracing:
    """All userfaultfd events of the machine, in the order in which they happened on whatever CPU."""

    def __init__(self):
        if not os.path.isdir(f"{TRACING}/events"):
            subprocess.run(["mount", "-t", "tracefs", "none", TRACING], check=False)
        if not os.path.isdir(f"{TRACING}/events"):
            skip("no tracefs; root, and a kernel with CONFIG_FTRACE, run this")
        if not os.path.isdir(f"{TRACING}/events/userfaultfd"):
            skip("this kernel has no userfaultfd tracepoints; one with kernel-patches/ runs this")
        self.folder = f"{TRACING}/instances/uffdctl-{os.getpid()}"

    def __enter__(self):
        os.mkdir(self.folder)
        write(f"{self.folder}/trace_clock", "counter")
        write(f"{self.folder}/buffer_size_kb", "8192")
        write(f"{self.folder}/events/userfaultfd/enable", "1")
        return self

    def __exit__(self, *exc):
        write(f"{self.folder}/events/userfaultfd/enable", "0")
        os.rmdir(self.folder)

    def events(self, *names):
        """What was traced since the last call; of these names, if any."""
        lines = read(f"{self.folder}/trace").splitlines()
        for cpu in os.listdir(f"{self.folder}/per_cpu"):
            for line in read(f"{self.folder}/per_cpu/{cpu}/stats").splitlines():
                ok(not re.match(r"(overrun|dropped events): [1-9]", line), f"the trace has lost events: {line}")
        write(f"{self.folder}/trace", "")
        found = [Event(line) for line in lines if line and not line.startswith("#")]
        return [e for e in found if not names or e.name in names]

    def wait_for(self, name):
        """What was traced since the last call of events(), once this is in it. Nothing may be traced beside it: what
        comes between reading and emptying the trace would be lost."""
        return wait_until(lambda: f" {name}: " in read(f"{self.folder}/trace") and self.events(), name)


def names(events):
    return [e.name for e in events]


def one(events, name):
    found = [e for e in events if e.name == name]
    ok(len(found) == 1, f"{len(found)} {name}, expected one: {events}")
    return found[0]


# ---- userfaultfds ----

def borrow(t, fd):
    """The target's userfaultfd in this process."""
    pidfd = os.pidfd_open(t.pid)
    ours = LIBC.syscall(PIDFD_GETFD, pidfd, fd, 0)
    os.close(pidfd)
    ok(ours >= 0, f"pidfd_getfd: {os.strerror(ctypes.get_errno())}")
    return ours


def op(fd, nr, *args):
    """A range ioctl; its errno (0: none), and what it wrote at its end."""
    direction = 2 if nr in (UNREGISTER, WAKE) else 1 if nr == SET_MODE else 3
    data = bytearray(struct.pack(f"{len(args)}Q", *args).ljust(SIZES[nr], b"\0"))
    error = 0
    try:
        fcntl.ioctl(fd, direction << 30 | SIZES[nr] << 16 | 0xAA << 8 | nr, data)
    except OSError as e:
        error = e.errno
    return error, struct.unpack("q", data[-8:])[0]


def handshake(features):
    """A userfaultfd of this process, and the features that the kernel knows."""
    fd = LIBC.syscall(USERFAULTFD, os.O_CLOEXEC | os.O_NONBLOCK)
    ok(fd >= 0, f"userfaultfd: {os.strerror(ctypes.get_errno())}")
    return fd, struct.unpack("3Q", fcntl.ioctl(fd, 0xC018AA3F, struct.pack("3Q", 0xAA, features, 0)))[1]


def mapping(pages, fd=-1):
    """The address of a mapping of this process: private and anonymous, or of a file."""
    if fd >= 0:
        os.ftruncate(fd, pages * PAGE)
    area = mmap.mmap(fd, pages * PAGE, mmap.MAP_SHARED if fd >= 0 else mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    held = ctypes.c_char.from_buffer(area)
    MAPPINGS.append(held)
    return ctypes.addressof(held)


def register(fd, start, length, mode):
    fcntl.ioctl(fd, 0xC020AA00, struct.pack("4Q", start, length, mode, 0))


def minor(t, pages=8, features=()):
    """A userfaultfd of the target, and a mapping of pages that minor-fault: (fd, address)."""
    fd = t.userfaultfd(["minor_shmem", *features])
    return fd, t.memory(size=pages * PAGE, alloc=True, mode="minor", uffd=fd)["start"]


def blocked(t, fd, addr, **more):
    """Starts a thread that touches 8 bytes at addr, and waits until it sleeps: (thread, tid)."""
    before = fdinfo(t.pid, fd)["total"]
    thread = t.touch(addr=hex(addr), len=8, stride=8, **more)
    wait_until(lambda: fdinfo(t.pid, fd)["total"] == before + 1, "the thread to queue its message")
    tid = thread["tids"][0]
    wait_until(lambda: read(f"/proc/{tid}/stat").rsplit(")", 1)[1].split()[0] in "SD", "the thread to sleep")
    return thread["threads"][0], tid


def joined(t, thread):
    ok(t.join(thread=thread)["done"], "the thread still waits")


# ---- tests ----

def has_rwp():
    """Linux 7.3 has it, and with it UFFDIO_SET_MODE."""
    fd, known = handshake(0)
    os.close(fd)
    return known & FEATURE_RWP


def ino_of(pid, fd):
    """As fdinfo shows it."""
    return int(re.search(r"^ino:\t(\d+)$", read(f"/proc/{pid}/fdinfo/{fd}"), re.M)[1])


@test
def tracepoints_fields():
    """The format of each event has these fields, in this order."""
    Tracing()
    expected = {n: f for n, f in FIELDS.items() if n != "uffd_set_mode" or has_rwp()}
    for name, fields in expected.items():
        found = re.findall(r"^\tfield:.*?(\w+);", read(f"{TRACING}/events/userfaultfd/{name}/format"), re.M)
        eq([f for f in found if not f.startswith("common_")], fields, name)
    eq(sorted(n for n in os.listdir(f"{TRACING}/events/userfaultfd") if n.startswith("uffd_")), sorted(expected))


@test
def tracepoints_values():
    """Programs that print the events know each flag and each value: the format has numbers, and no names of an enum."""
    Tracing()
    rwp = has_rwp()
    for name, fields in VALUES.items():
        text = read(f"{TRACING}/events/userfaultfd/{name}/format")
        printed = text[text.index("print fmt:"):]
        for field, values in fields.items():
            found = re.search(rf"__print_(?:symbolic|flags)\(REC->{field}, ?(.*?\}})\)", printed)
            ok(found, f"{name}: {field} is not printed by name: {printed}")
            pairs = re.findall(r"\{ ?(.+?), ?\"(\w+)\" ?\}", found[1])
            for number, _ in pairs:
                ok(re.fullmatch(r"[\dx()< a-fA-F]+", number), f"{name}: {field}: {number} is no number")
            # A sum of digits, brackets and shifts, as was just seen.
            eq({eval(number): text for number, text in pairs},
               {v: n for v, n in values.items() if rwp or not n.startswith("RWP")}, f"{name}: {field}")


@test
def tracepoints_resolved():
    """A fault from begin to end, with who did what to it, in this order."""
    with Target() as t, Tracing() as trace:
        fd, start = minor(t)
        ours = borrow(t, fd)
        addr = start + PAGE
        thread, tid = blocked(t, fd, addr + 0x128, access="write")
        t.read_msg(uffd=fd)
        eq(op(ours, CONTINUE, addr, PAGE, 0), (0, PAGE), "UFFDIO_CONTINUE")
        joined(t, thread)
        events = trace.wait_for("uffd_fault_end")
        os.close(ours)

        eq({e.ino for e in events}, {ino_of(t.pid, fd)}, "ino of all events")
        eq(names(e for e in events if e.tid == tid), ["uffd_fault_begin", "uffd_fault_end"], "the thread's")
        eq(names(e for e in events if e.tid == t.pid), ["uffd_range_op", "uffd_fault_read"], "the reader's")
        eq(names(e for e in events if e.tid == os.getpid()), ["uffd_fault_woken", "uffd_wake", "uffd_range_op"], "ours")
        eq(names(events)[:4], ["uffd_range_op", "uffd_fault_begin", "uffd_fault_read", "uffd_fault_woken"], "order")

        for name in ("uffd_fault_begin", "uffd_fault_read", "uffd_fault_woken", "uffd_fault_end"):
            e = one(events, name)
            eq((e.address, e.real_address, e.reason), (addr, addr + 0x128, "MINOR"), name)
            eq(getattr(e, "waiter", tid), tid, name)
        begin = one(events, "uffd_fault_begin")
        eq(begin.features, fdinfo(t.pid, fd)["features"], "features")
        ok({"WRITE", "USER", "ALLOW_RETRY"} <= set(begin.flags.split("|")), begin.flags)
        e = one(events, "uffd_wake")
        eq((e.start, e.len, e.nr_woken), (addr, PAGE, 1), "wake")
        e = events[-1] if events[-1].name == "uffd_range_op" else events[-2]
        eq((e.nr, e.start, e.len, e.src, e.mode, e.result), ("CONTINUE", addr, PAGE, 0, 0, PAGE), "range_op")
        eq(one(events, "uffd_fault_end").why, "WOKEN", "end")


@test
def tracepoints_exact_address():
    """The addresses of an event do not depend on the one that the message has."""
    with Target() as t, Tracing() as trace:
        fd, start = minor(t, features=["exact_address"])
        thread, _tid = blocked(t, fd, start + 0x128)
        eq(t.read_msg(uffd=fd)["addr"], hex(start + 0x128), "the message's")
        t.continue_(uffd=fd, addr=hex(start), len=PAGE)
        joined(t, thread)
        events = [e for e in trace.events() if e.name.startswith("uffd_fault_")]
        eq(len(events), 4, "events")
        eq({(e.address, e.real_address) for e in events}, {(start, start + 0x128)}, "addresses")


@test
def tracepoints_ino():
    """Events tell one userfaultfd from another by what fdinfo has; a child's has its own."""
    with Target() as t, Tracing() as trace:
        fds = [t.userfaultfd(["event_fork"]), t.userfaultfd([])]
        inos = [ino_of(t.pid, fd) for fd in fds]
        ok(inos[0] != inos[1], f"{inos}")
        m = t.memory(size=PAGE)
        t.register(uffd=fds[0], id=m["id"], mode=["missing"])
        for fd in fds:
            t.wake(uffd=fd, addr=m["addr"], len=PAGE)
        eq([e.ino for e in trace.events("uffd_range_op")], [inos[0], *inos], "ino")
        forking = t.fork(async_=True)
        msg = wait_until(lambda: t.read_msg(uffd=fds[0]), "the message")
        joined(t, forking["thread"])
        child = ino_of(t.pid, msg["fd"])
        ok(child not in inos, f"{child} of the child's, {inos}")
        trace.events()
        t.wake(uffd=msg["fd"], addr=m["addr"], len=PAGE)
        eq({e.ino for e in trace.events()}, {child}, "ino of the child's")


@test
def tracepoints_kinds():
    """Missing, write-protect and, where there is one, read-write-protect."""
    with Target() as t, Tracing() as trace:
        for mode, features, reason in (("missing", ["missing_shmem"], "MISSING"), ("wp", ["pagefault_flag_wp"], "WP"),
                                       ("rwp", ["rwp"], "RWP")):
            try:
                fd = t.userfaultfd(features)
            except TargetError:
                continue  # this kernel has no such kind
            m = t.memory("memfd" if mode == "missing" else "anon", PAGE)
            addr = int(m["addr"], 16)
            if mode != "missing":
                t.madvise(id=m["id"], advice="populate_write")
            t.register(uffd=fd, id=m["id"], mode=[mode])
            protect = {"wp": t.writeprotect, "rwp": t.rwprotect}.get(mode)
            if protect:
                protect(uffd=fd, id=m["id"], protect=True)
            thread, _tid = blocked(t, fd, addr, access="write")
            if protect:
                protect(uffd=fd, id=m["id"], protect=False)
            else:
                t.copy(uffd=fd, id=m["id"])
            joined(t, thread)
            events = trace.events()
            for name in ("uffd_fault_begin", "uffd_fault_woken", "uffd_fault_end"):
                eq(one(events, name).reason, reason, name)


@test
def tracepoints_released():
    """The last close wakes and is told as the reason; resolved before it, a fault stays resolved."""
    with Target() as t, Tracing() as trace:
        fd, start = minor(t)
        first, tid = blocked(t, fd, start)
        second, other = blocked(t, fd, start + PAGE)
        t.continue_(uffd=fd, addr=hex(start), len=PAGE)
        t.close(fd=fd)
        joined(t, first)
        joined(t, second)
        events = trace.events()
        eq({e.tid: e.why for e in events if e.name == "uffd_fault_end"}, {tid: "WOKEN", other: "RELEASED"}, "why")
        eq({e.waiter for e in events if e.name == "uffd_fault_woken"}, {tid, other}, "woken")
        eq([(e.start, e.len, e.nr_woken) for e in events if e.name == "uffd_wake"], [(start, PAGE, 1), (0, 0, 1)])


@test
def tracepoints_signal():
    """A signal ends the sleep; the access is tried again, and that is a second fault."""
    with Target() as t, Tracing() as trace:
        fd, start = minor(t)
        thread, tid = blocked(t, fd, start)
        os.kill(t.pid, signal.SIGSTOP)
        wait_until(lambda: read(f"/proc/{tid}/stat").rsplit(")", 1)[1].split()[0] == "T", "the thread to stop")
        e = one(trace.events(), "uffd_fault_end")
        eq((e.tid, e.why), (tid, "SIGNAL"), "end")
        os.kill(t.pid, signal.SIGCONT)
        wait_until(lambda: fdinfo(t.pid, fd)["total"] == 1, "the second fault")
        t.continue_(uffd=fd, addr=hex(start), len=PAGE)
        joined(t, thread)
        eq([e.name for e in trace.events() if e.tid == tid], ["uffd_fault_begin", "uffd_fault_end"], "second fault")
        blocked(t, fd, start + PAGE, access="kernel_read")
        t.kill()
        eq(one(trace.wait_for("uffd_fault_end"), "uffd_fault_end").why, "SIGNAL", "killed")


@test
def tracepoints_spurious():
    """A wake-up of another wait is no signal: inotify's read copies while it is in a wait queue of its own."""
    with tempfile.TemporaryDirectory() as folder, Tracing() as trace:
        fd = handshake(0)[0]
        start = mapping(1)
        register(fd, start, PAGE, 1)
        notify = LIBC.inotify_init1(os.O_CLOEXEC)
        ok(notify >= 0 and LIBC.inotify_add_watch(notify, folder.encode(), 0x100) >= 0, "inotify")
        open(f"{folder}/first", "w").close()
        reader = threading.Thread(target=LIBC.read, args=(notify, ctypes.c_void_p(start), PAGE))
        reader.start()
        waits = lambda: fdinfo(os.getpid(), fd)["total"] == 1 and \
            read(f"/proc/self/task/{reader.native_id}/stat").rsplit(")", 1)[1].split()[0] == "S"
        wait_until(waits, "the thread to sleep")
        trace.events()
        open(f"{folder}/second", "w").close()
        events = trace.wait_for("uffd_fault_begin")
        eq([(e.name, e.tid) for e in events],
           [(n, reader.native_id) for n in ("uffd_fault_end", "uffd_fault_begin")], "events")
        eq(events[0].why, "SPURIOUS", "why")
        op(fd, ZEROPAGE, start, PAGE, 0)
        reader.join()
        eq(one(trace.events(), "uffd_fault_end").why, "WOKEN", "then")
        os.close(notify)
        os.close(fd)


@test(limit=120)
def tracepoints_not_waited():
    """The page was mapped between the fault and the sleep: bpftrace holds the thread up in between."""
    if not shutil.which("bpftrace"):
        skip("no bpftrace, which makes the race")
    with Target(timeout=120) as t, Tracing() as trace:
        pages = 256
        fd, start = minor(t, pages)
        delay = subprocess.Popen(["bpftrace", "-e", """
            BEGIN { printf("ready\\n"); }
            tracepoint:userfaultfd:uffd_fault_begin { $i = 0; while ($i < 10000) { @i = $i; $i++; } }
            """], stdout=subprocess.PIPE)
        eq(delay.stdout.readline(), b"Attaching 2 probes...\n", "bpftrace")
        eq(delay.stdout.readline(), b"ready\n", "bpftrace")
        trace.events()
        events = []
        for page in range(pages):
            # Who wins depends on the load: it goes on until both have won.
            if page >= 8 and "NOT_WAITED" in [e.why for e in events if e.name == "uffd_fault_end"]:
                break
            addr = start + page * PAGE
            thread = t.touch(addr=hex(addr), len=8, stride=8)["threads"][0]
            with contextlib.suppress(TargetError):
                t.continue_(uffd=fd, addr=hex(addr), len=PAGE)
            t.wake(uffd=fd, addr=hex(addr), len=PAGE)
            joined(t, thread)
            events += trace.events()
        delay.terminate()
        ends = [e.why for e in events if e.name == "uffd_fault_end"]
        ok("NOT_WAITED" in ends, f"none of the faults: {ends}")
        eq(set(ends) - {"NOT_WAITED", "WOKEN"}, set(), "other reasons")
        eq(ends.count("WOKEN"), names(events).count("uffd_fault_woken"), "woken")


@test
def tracepoints_wakes():
    """How many a wake finds; a second wake of the same waiter does not count."""
    with Target() as t, Tracing() as trace:
        fd, start = minor(t)
        threads = [blocked(t, fd, start + page * PAGE) for page in range(3)]
        trace.events()
        t.wake(uffd=fd, addr=hex(start + 4 * PAGE), len=PAGE)
        eq(names(trace.events()), ["uffd_wake", "uffd_range_op"], "nobody to wake")
        t.continue_(uffd=fd, addr=hex(start), len=4 * PAGE, wake=False)
        eq(names(trace.events()), ["uffd_range_op"], "without a wake")
        t.wake(uffd=fd, addr=hex(start), len=4 * PAGE)
        for thread, _tid in threads:
            joined(t, thread)
        events = trace.events()
        eq(one(events, "uffd_wake").nr_woken, 3)
        eq({e.waiter for e in events if e.name == "uffd_fault_woken"}, {tid for _thread, tid in threads}, "woken")
        eq([e.why for e in events if e.name == "uffd_fault_end"], ["WOKEN"] * 3, "ends")


@test(limit=300)
def tracepoints_storm():
    """Whatever races there are: a begin, a read and an end for each message, in this order; all wakes add up."""
    pages = fewer(8000)
    with Target(timeout=120) as t, Tracing() as trace:
        fd, start = minor(t, pages)
        t.handler(uffd=fd, action="continue")
        for thread in t.touch(addr=hex(start), len=pages * PAGE, threads=4, order="random")["threads"]:
            ok(t.join(thread=thread, timeout_ms=100000)["done"], "the storm did not end")
        t.handler_stop(uffd=fd)
        events = trace.events()
        count = {n: names(events).count(n) for n in FIELDS}
        ends = [e.why for e in events if e.name == "uffd_fault_end"]
        ok(count["uffd_fault_begin"] >= pages / 4, f"a storm: {count}")
        eq(len(ends), count["uffd_fault_begin"], "ends")
        eq(ends.count("WOKEN"), count["uffd_fault_woken"], "woken")
        eq(ends.count("WOKEN") + ends.count("NOT_WAITED"), len(ends), "other reasons")
        eq(sum(e.nr_woken for e in events if e.name == "uffd_wake"), count["uffd_fault_woken"], "wakes")
        step = {}  # of each thread's fault
        for e in events:
            if e.name == "uffd_fault_begin":
                eq(step.get(e.tid, "uffd_fault_end"), "uffd_fault_end", "before a begin")
                step[e.tid] = e.name
            elif e.name == "uffd_fault_end":
                ok(e.why == "NOT_WAITED" or step[e.tid] == "uffd_fault_woken", f"{e} after {step[e.tid]}")
                step[e.tid] = e.name
            elif e.name == "uffd_fault_read":
                eq(step[e.waiter], "uffd_fault_begin", "before a read")
                step[e.waiter] = e.name
            elif e.name == "uffd_fault_woken":
                ok(step[e.waiter] in ("uffd_fault_begin", "uffd_fault_read"), f"{e} after {step[e.waiter]}")
                step[e.waiter] = e.name


@test
def tracepoints_range_ops():
    """Each ioctl, on memory of our own: done, done in part and failed."""
    with Tracing() as trace:
        probe, known = handshake(0)
        os.close(probe)
        fd = handshake(known & FEATURE_RWP)[0]
        pages = os.memfd_create("tracepoints")
        a, f, src = mapping(8), mapping(4, pages), mapping(1)
        register(fd, a, 8 * PAGE, 3)  # missing, wp
        register(fd, f, 4 * PAGE, 4)  # minor
        os.pwrite(pages, b"x" * 2 * PAGE, 0)
        trace.events()
        for nr, args, error, done in (
                (COPY, (a, src, PAGE, 1), 0, PAGE),
                (COPY, (a, src, PAGE, 0), errno.EEXIST, 0),
                (COPY, (a + 1, src, PAGE, 0), errno.EINVAL, 0),
                (COPY, (a, src, PAGE, 4), errno.EINVAL, 0),
                (ZEROPAGE, (a + PAGE, 2 * PAGE, 0), 0, 2 * PAGE),
                (ZEROPAGE, (a + 3 * PAGE, PAGE, 2), errno.EINVAL, 0),
                (MOVE, (a + 4 * PAGE, a, PAGE, 0), 0, PAGE),
                (MOVE, (a + 5 * PAGE, a, PAGE, 0), errno.ENOENT, 0),
                (WRITEPROTECT, (a + 4 * PAGE, PAGE, 1), 0, PAGE),
                (WRITEPROTECT, (a, PAGE, 3), errno.EINVAL, 0),
                (WRITEPROTECT, (f, PAGE, 1), errno.ENOENT, 0),
                (POISON, (a + 6 * PAGE, PAGE, 0), 0, PAGE),
                (POISON, (a + 6 * PAGE, PAGE, 0), errno.EEXIST, 0),
                (CONTINUE, (f, PAGE, 1), 0, PAGE),
                (CONTINUE, (f, PAGE, 0), errno.EEXIST, 0),
                (CONTINUE, (f + PAGE, 3 * PAGE, 0), errno.EAGAIN, PAGE),
                (CONTINUE, (f + 2 * PAGE, PAGE, 0), errno.EFAULT, 0),
                (WAKE, (a, PAGE), 0, PAGE),
                (WAKE, (a, PAGE - 1), errno.EINVAL, 0),
                (RWPROTECT, (a, PAGE, 1), errno.ENOENT, 0),
                (REGISTER, (a, PAGE, 1 << 10), errno.EINVAL, 0),
                (UNREGISTER, (f, PAGE), 0, PAGE),
                (UNREGISTER, (f + 8, PAGE), errno.EINVAL, 0),
                (REGISTER, (f, PAGE, 5), 0, PAGE)):
            if nr == RWPROTECT and not known & FEATURE_RWP:
                continue
            eq(op(fd, nr, *args)[0], error, f"ioctl {nr} {args}")
            e = one(trace.events(), "uffd_range_op")
            length, mode = args[-2:] if nr not in (WAKE, UNREGISTER) else (args[-1], 0)
            eq((e.nr, e.start, e.len, e.src, e.mode, e.result),
               (NAMES[nr], args[0], length, args[1] if nr in (COPY, MOVE) else 0, mode, done or -error),
               f"ioctl {nr} {args}")
        eq(LIBC.ioctl(fd, 0xC028AA03, 8), -1, "arguments that can't be read")
        eq(names(trace.events()), [], "arguments that can't be read")
        os.close(fd)
        os.close(pages)


@test
def tracepoints_registered():
    """Ranges that come and go, and what was refused. Threads that wait are woken as their range goes."""
    with Target() as t, Tracing() as trace:
        fd = t.userfaultfd(["missing_shmem"])
        m = t.memory(size=4 * PAGE)
        start = int(m["addr"], 16)
        t.register(uffd=fd, id=m["id"], mode=["missing"])
        e = one(trace.events(), "uffd_range_op")
        eq((e.nr, e.start, e.len, e.mode, e.result), ("REGISTER", start, 4 * PAGE, 1, 4 * PAGE), "register")
        other = t.userfaultfd([])
        for again, mode in ((dict(uffd=other, id=m["id"], mode=["missing", "minor"]), 5),
                            (dict(uffd=fd, addr=hex(start + 8), len=PAGE, mode=["missing", "wp"]), 3)):
            try:
                t.register(**again)
                raise AssertionError("registered twice")
            except TargetError as error:
                e = one(trace.events(), "uffd_range_op")
                eq((e.nr, e.start, e.mode, e.result), ("REGISTER", int(again.get("addr", m["addr"]), 16), mode, -error.errno),
                   "refused")
        thread, tid = blocked(t, fd, start)
        trace.events()
        t.unregister(uffd=fd, id=m["id"])
        joined(t, thread)
        events = trace.events()
        e = one(events, "uffd_range_op")
        eq((e.nr, e.start, e.len, e.result), ("UNREGISTER", start, 4 * PAGE, 4 * PAGE), "unregister")
        eq(one(events, "uffd_wake").nr_woken, 1, "woken")
        eq([(e.tid, e.why) for e in events if e.name == "uffd_fault_end"], [(tid, "WOKEN")], "end")
        try:
            t.unregister(uffd=fd, addr=hex(start + 8), len=PAGE)
        except TargetError as error:
            eq(one(trace.events(), "uffd_range_op").result, -error.errno, "refused")


@test
def tracepoints_unregistered_by_another():
    """Through another userfaultfd of the same memory: until Linux 7.3 it is done, and wakes the waiters of the first."""
    with Target() as t, Tracing() as trace:
        fd, other = t.userfaultfd(["missing_shmem"]), t.userfaultfd([])
        first, second = ino_of(t.pid, fd), ino_of(t.pid, other)
        m = t.memory(size=PAGE)
        t.register(uffd=fd, id=m["id"], mode=["missing"])
        thread, tid = blocked(t, fd, int(m["addr"], 16))
        ours = borrow(t, other)
        trace.events()
        error = op(ours, UNREGISTER, int(m["addr"], 16), PAGE)[0]
        os.close(ours)
        if error:
            eq(error, errno.EINVAL, "refused")
            eq([(e.nr, e.ino, e.result) for e in trace.events()], [("UNREGISTER", second, -error)], "events")
            skip("this kernel refuses to unregister another's range; Linux 6.12 runs this")
        joined(t, thread)
        events = trace.events()
        eq({(e.name, e.ino) for e in events}, {("uffd_range_op", second), ("uffd_wake", first),
                                               ("uffd_fault_woken", first), ("uffd_fault_end", first)}, "whose they are")
        e = one(events, "uffd_fault_woken")
        eq((e.tid, e.waiter), (os.getpid(), tid), "woken")
        eq(one(events, "uffd_fault_end").why, "WOKEN", "the first is open")
        eq(one(events, "uffd_wake").nr_woken, 1)


@test
def tracepoints_set_mode():
    """Threads that wait for what no handler has to resolve any more are woken, and that is no close."""
    if not has_rwp():
        skip("this kernel has no rwp, and no UFFDIO_SET_MODE")
    with Target() as t, Tracing() as trace:
        fd = t.userfaultfd(["rwp"])
        m = t.memory("anon", PAGE)
        t.madvise(id=m["id"], advice="populate_write")
        t.register(uffd=fd, id=m["id"], mode=["rwp"])
        t.rwprotect(uffd=fd, id=m["id"], protect=True)
        thread, tid = blocked(t, fd, int(m["addr"], 16))
        ours = borrow(t, fd)
        trace.events()
        eq(op(ours, SET_MODE, FEATURE_RWP_ASYNC, 0)[0], 0, "UFFDIO_SET_MODE")
        joined(t, thread)
        events = trace.events()
        eq(names(e for e in events if e.tid == os.getpid()), ["uffd_fault_woken", "uffd_wake", "uffd_set_mode"], "ours")
        e = one(events, "uffd_wake")
        eq((e.start, e.len, e.nr_woken), (0, 0, 1), "wake")
        e = one(events, "uffd_set_mode")
        eq((e.enable, e.disable, e.result), (FEATURE_RWP_ASYNC, 0, 0), "set_mode")
        e = one(events, "uffd_fault_end")
        eq((e.tid, e.why), (tid, "WOKEN"), "end")
        eq(op(ours, SET_MODE, FEATURE_RWP_ASYNC, FEATURE_RWP_ASYNC)[0], errno.EINVAL)
        e = one(trace.events(), "uffd_set_mode")
        eq((e.enable, e.disable, e.result), (FEATURE_RWP_ASYNC, FEATURE_RWP_ASYNC, -errno.EINVAL), "refused")
        os.close(ours)


@test
def tracepoints_messages():
    """Messages that are no faults, and ioctls that fail as long as nobody reads such a one."""
    with Target() as t, Tracing() as trace:
        fd = t.userfaultfd(["missing_shmem", "event_remove", "event_remap", "event_unmap", "event_fork"])
        m = t.memory(size=8 * PAGE)
        start = int(m["addr"], 16)
        t.register(uffd=fd, id=m["id"], mode=["missing"])
        t.copy(uffd=fd, id=m["id"], offset=0, len=PAGE)

        def message(thread, event, address, length, before=()):
            """Its begin may be among the events before."""
            t.read_msg(uffd=fd)
            joined(t, thread["thread"])
            events = [e for e in [*before, *trace.events()] if e.name.startswith("uffd_event")]
            eq(names(events), ["uffd_event_begin", "uffd_event_read", "uffd_event_end"], event)
            begin, taken, end = events
            eq({e.event for e in events}, {event}, event)
            eq({(e.start, e.len, e.to) for e in (begin, taken)}, {(address, length, 0)}, event)
            eq((taken.tid, taken.waiter, end.tid, end.why), (t.pid, begin.tid, begin.tid, "WOKEN"), event)
            ok(begin.tid != t.pid, f"{event}: of a thread of its own")

        removing = t.madvise(id=m["id"], offset=0, len=PAGE, advice="dontneed", async_=True)
        ours = borrow(t, fd)
        wait_until(lambda: op(ours, ZEROPAGE, start + PAGE, PAGE, 0)[0] == errno.EAGAIN, "the mapping to change")
        before = trace.events()
        eq(op(ours, WRITEPROTECT, start, PAGE, 0)[0], errno.EAGAIN)
        eq(op(ours, ZEROPAGE, start + 2 * PAGE, PAGE, 0), (errno.EAGAIN, -errno.EAGAIN))
        eq([(e.nr, e.start, e.result) for e in trace.events()],
           [("WRITEPROTECT", start, -errno.EAGAIN), ("ZEROPAGE", start + 2 * PAGE, -errno.EAGAIN)], "while it changes")
        message(removing, "REMOVE", start, PAGE, before)
        message(t.fork(async_=True), "FORK", 0, 0)
        message(t.munmap(id=m["id"], offset=6 * PAGE, len=2 * PAGE, async_=True), "UNMAP", start + 6 * PAGE, 2 * PAGE)
        t.kill()
        wait_until(lambda: op(ours, ZEROPAGE, start + 3 * PAGE, PAGE, 0)[0] == errno.ESRCH, "the memory to go")
        eq(trace.events("uffd_range_op")[-1].result, -errno.ESRCH, "of a process that is gone")
        os.close(ours)


@test
def tracepoints_remap():
    """The message of mremap has where the mapping was, and where it is."""
    with Target() as t, Tracing() as trace:
        fd = t.userfaultfd(["missing_shmem", "event_remap"])
        m = t.memory(size=2 * PAGE)
        t.register(uffd=fd, id=m["id"], mode=["missing"])
        thread = t.mremap(id=m["id"], new_size=2 * PAGE, move=True, async_=True)
        moved = int(t.read_msg(uffd=fd)["to"], 16)
        joined(t, thread["thread"])
        events = trace.events()
        for name in ("uffd_event_begin", "uffd_event_read"):
            e = one(events, name)
            eq((e.event, e.start, e.len, e.to), ("REMAP", int(m["addr"], 16), 2 * PAGE, moved), name)


@test
def tracepoints_events_end():
    """A message that nobody reads: its thread goes on at the last close, or is killed."""
    with Target() as t, Tracing() as trace:
        m = t.memory(size=2 * PAGE)

        def removing():
            fd = t.userfaultfd(["missing_shmem", "event_remove"])
            t.register(uffd=fd, id=m["id"], mode=["missing"])
            trace.events()
            thread = t.madvise(id=m["id"], offset=0, len=PAGE, advice="dontneed", async_=True)
            begin = one(trace.wait_for("uffd_event_begin"), "uffd_event_begin")
            return fd, thread["thread"], begin.tid

        fd, thread, tid = removing()
        t.close(fd=fd)
        joined(t, thread)
        e = one(trace.events(), "uffd_event_end")
        eq((e.tid, e.event, e.why), (tid, "REMOVE", "RELEASED"), "closed")
        _fd, _thread, tid = removing()
        t.kill()
        e = one(trace.wait_for("uffd_event_end"), "uffd_event_end")
        eq((e.tid, e.event, e.why), (tid, "REMOVE", "SIGNAL"), "killed")


main()
