# SPDX-License-Identifier: GPL-2.0-or-later
"""QEMU: what it counts and measures in post-copy migration and background snapshot, beside what uffdctl shows."""
import contextlib
import glob
import json
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
import time

sys.path[0] += "/.."
from harness import eq, hugepages, main, ok, run, skip, spawn, test, wait_until
from harness.machine import FIRST, PART_SIZE, Machine, post_copy
from harness.watch import Watch, complete

RATE = 1 << 20  # bytes a second: what takes a minute can be stopped on the way
STOPS, STOPPED = 3, 1  # so often, for so many seconds, the source sends nothing: long beside all other waits
FAULT_READ = "postcopy_ram_fault_thread_request"
SENT = "migrate_send_rp_message"
BEGIN, END = "mark_postcopy_blocktime_begin", "mark_postcopy_blocktime_end"
PAGE_REQUESTS = ("3", "4")  # messages to the source for a page, with and without its block's name


# ---- what the kernel itself says ----

def userfaultfds(pid):
    """The descriptors of a process's userfaultfds."""
    found = []
    for link in glob.glob(f"/proc/{pid}/fd/*"):
        with contextlib.suppress(FileNotFoundError):
            if os.readlink(link) == "anon_inode:[userfaultfd]":
                found.append(int(os.path.basename(link)))
    return found


def registered(pid, flag):
    """{start: size} of the mappings with a flag, as /proc/PID/smaps has them."""
    found, where = {}, None
    with open(f"/proc/{pid}/smaps") as f:
        for line in f:
            head = re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line)
            if head:
                where = [int(x, 16) for x in head.groups()]
            elif line.startswith("VmFlags:") and flag in line.split():
                found[where[0]] = where[1] - where[0]
    return found


def waiting(pid):
    """The threads that wait in a userfault."""
    found = set()
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/stack") as f:
            if "handle_userfault" in f.read():
                found.add(int(tid))
    return found


# ---- what uffdctl says ----

def pending(m):
    """pending's rows, by thread; how long each sleeps is left out."""
    rows = run("pending", "-J", m.pid, check=0, timeout=20).json()["pending"]
    return {r["tid"]: {k: v for k, v in r.items() if k != "slept_ns"} for r in rows}


def stuck(m, kind, flag):
    """Waits until vCPUs are stuck for good, and checks each row of list, pending and smaps then.

    All are stuck, but where one waits for the other inside QEMU. Returns the descriptor and pending's rows.
    """
    def same():
        rows = pending(m)
        time.sleep(0.3)
        return rows == pending(m) and rows

    rows = wait_until(same, "vCPUs are stuck", timeout=30)
    vcpus = m.vcpus()
    fd, = userfaultfds(m.pid)
    held, = run("list", "-J", m.pid, check=0, timeout=20).json()["list"]
    mappings = registered(m.pid, flag)
    eq(set(rows), waiting(m.pid), "pending's threads")
    for tid, r in rows.items():
        eq((r["comm"], r["kind"], r["pid"], r["target_pid"], r["holders"]),
           (f"CPU {vcpus.index(tid)}/TCG", kind, m.pid, m.pid, [f"{m.pid}:{fd}"]), "pending")
        ok(any(start <= int(r["addr"], 16) < start + size for start, size in mappings.items()), f"{r} is in {mappings}")
    eq((held["pid"], held["fd"], held["target_pid"], held["comm"]), (m.pid, fd, m.pid, "qemu-system-x86"), "list")
    eq({k: held[k] for k in ("minor", "missing", "wp")},
       {**dict.fromkeys(("minor", "missing", "wp"), 0), kind: sum(mappings.values())}, "bytes registered")
    states = [r["state"] for r in rows.values()]
    eq((held["pending"], held["total"]), (states.count("queued"), len(states)), "list's pending and total")
    maps = run("smaps", "-J", m.pid, check=0, timeout=20).json()["smaps"]
    eq({int(r["start"], 16): (r["size"], r["flags"], r["holders"]) for r in maps},
       {start: (size, [flag], [f"{m.pid}:{fd}"]) for start, size in mappings.items()}, "smaps")
    return fd, rows


def ended_well(s, kind, faults):
    """All are of one kind, each has its line, and none is left."""
    eq(s["faults"], {**dict.fromkeys(s["faults"], 0), kind: len(faults)}, "faults")
    eq((s["pending"], s["ended"]["released"]), (0, 0), "left, and not resolved")


def contents(path):
    with open(path) as f:
        return f.read()


# ---- post-copy migration ----

def keeps(m, rows, source):
    """One command names who waits, who reads the messages, and the thread that sits in a read of the source's socket."""
    look = run("pending", "-J", m.pid, check=0, timeout=20).json()
    eq({r["tid"] for r in look["pending"]}, set(rows), "who waits")
    reader, = [h for h in look["handlers"] if h["role"]]
    eq({(r["handler_pid"], r["handler_tid"], r["handler_comm"]) for r in look["pending"]},
       {(m.pid, reader["tid"], reader["comm"])}, "who should resolve")
    eq((reader["role"], reader["syscall"], reader["state"]), ("reader", "poll", "S"), "the thread that reads messages")
    listen = [h for h in look["handlers"] if h["peer_pid"] == source.pid]
    eq([(h["syscall"], h["on"].split()[0], h["comm"] == reader["comm"]) for h in listen], [("recvmsg", "unix", False)],
       "what keeps it: the thread that reads from the source")
    lists = run("pending", m.pid, check=0, timeout=20).out.split("\n\n")
    ok(all(re.search(rf"^ *{tid} .* {reader['tid']} ", lists[0], re.M) for tid in rows), f"the text names them: {lists}")
    ok(re.search(rf"^ *{listen[0]['tid']} .* recvmsg +{source.pid} unix ", lists[1], re.M), f"and what keeps it: {lists}")


class Log:
    """What a QEMU has traced."""

    def __init__(self, path):
        # The last line may be half written.
        self.lines = [line.split(None, 1) for line in contents(path).split("\n")[:-1]]

    def of(self, name):
        return [text for n, text in self.lines if n == name]

    def faults(self):
        """(thread, address) of each message that the fault thread has read."""
        words = (re.match(r"Request for HVA=(\S+) .*pid=(\d+)", text).groups() for text in self.of(FAULT_READ))
        return [(int(pid), int(addr, 16)) for addr, pid in words]

    def requests(self):
        """How many pages it asked the source for."""
        return sum(text.split(":")[0] in PAGE_REQUESTS for text in self.of(SENT))

    def measured(self, cpus):
        """By vCPU, the addresses whose waits are in its block time. No two vCPUs may have waited for one page.

        QEMU keeps one wait a vCPU: where the vCPU runs into its next fault before the thread that has placed the page
        notes the end, it forgets the wait, and the end affects no vCPU.
        """
        affected = {m[1] for t in self.of(END) if (m := re.match(r"addr: (\w+), .*affected_cpu: [^0]", t))}
        found = [set() for _ in range(cpus)]
        for text in self.of(BEGIN):
            addr, cpu = re.match(r"addr: (\w+), .*cpu: (\d+)", text).groups()
            if addr in affected:
                found[int(cpu)].add(int(addr, 16))
        return found


def block(fault):
    """(begin, end) of a wait as QEMU has it: it begins when the message is read. One that was not measured was short."""
    if fault["wait_ns"] is None:
        return fault["ts_ns"], fault["ts_ns"]
    return fault["ts_ns"] + (fault["queue_ns"] or 0), fault["ts_ns"] + fault["wait_ns"]


def all_blocked_ns(waits):
    """For how long each of several threads waited, all at a time; waits: (begin, end) of each thread."""
    edges = sorted((t, change) for w in waits for begin, end in w for t, change in ((begin, 1), (end, -1)))
    total = blocked = last = 0
    for t, change in edges:
        total += t - last if blocked == len(waits) else 0
        blocked, last = blocked + change, t
    return total


def close_to(ours_ns, theirs_ms, what):
    """Within 10 %, or what QEMU's clock of milliseconds makes of many short waits."""
    ours_ms = ours_ns / 1e6
    ok(abs(ours_ms - theirs_ms) <= max(theirs_ms / 10, 50), f"{what}: {ours_ms:.1f} ms, QEMU has {theirs_ms} ms")


@test(limit=120)
def real_qemu_post_copy():
    traces = [word for name in (FAULT_READ, SENT, BEGIN, END) for word in ("-trace", name)]
    with tempfile.TemporaryDirectory() as folder, Machine() as source, \
            Machine("-S", "-incoming", "defer", "-D", f"{folder}/log", *traces) as destination:
        if not os.path.exists(f"{folder}/log"):
            skip("this QEMU does not trace to a log; one built with the trace backend log, as Debian's, runs this")
        source.wait_running()
        w = Watch(destination.pid)
        post_copy(source, destination, f"{folder}/migration", RATE)
        destination("cont")
        vcpus = destination.vcpus()
        wait_until(lambda: set(vcpus) <= {tid for tid, _ in Log(f"{folder}/log").faults()}, "each vCPU faults", 30)
        source.process.send_signal(signal.SIGSTOP)
        _, rows = stuck(destination, "missing", "um")
        last = dict(Log(f"{folder}/log").faults())  # of each thread
        for tid, r in rows.items():
            eq((int(r["addr"], 16), r["state"]), (last[tid], "delivered"), "it waits for what QEMU has read last")
        keeps(destination, rows, source)
        for _ in range(STOPS):
            source.process.send_signal(signal.SIGSTOP)
            time.sleep(STOPPED)
            source.process.send_signal(signal.SIGCONT)
            time.sleep(0.05)
        source("migrate-set-parameters", max_postcopy_bandwidth=0)
        sent = source.migration("completed")["ram"]["postcopy-requests"]
        theirs = destination.migration("completed")
        faults, s = w.stop()
        complete(s)
        log = Log(f"{folder}/log")

    eq(s["delivered"], len(log.faults()), "delivered is what the fault thread has read")
    # The source's figure is smaller: a page that has come before its message is read is not asked for.
    eq(sent, log.requests(), "pages that the source was asked for")
    ok(0 < sent <= s["delivered"] <= len(faults), f"{sent} requests, {s['delivered']} delivered, {s['faults']}")
    ended_well(s, "missing", faults)
    for n, (tid, measured, ms) in enumerate(zip(vcpus, log.measured(len(vcpus)), theirs["postcopy-vcpu-blocktime"])):
        mine = [block(f) for f in faults if f["tid"] == tid and int(f["addr"], 16) in measured]
        close_to(sum(end - begin for begin, end in mine), ms, f"block time of vCPU {n}")
    # QEMU adds to this one when a wait ends while all vCPUs wait, by a counter that a wait which it forgets can leave
    # too low, and from the last fault on that it has seen: its figure may be lower, and is never higher.
    ours = all_blocked_ns([[block(f) for f in faults if f["tid"] == tid] for tid in vcpus]) / 1e6
    ok(theirs["postcopy-blocktime"] <= ours * 1.1, f"block time of all vCPUs: {ours:.1f} ms, {theirs}")


# ---- background snapshot ----

def messages_read(log, fd):
    """How many messages of userfaultfd fd, of 32 bytes each, strace has seen read."""
    size, begun = 0, set()  # threads whose read is shown in two lines
    for line in log.splitlines():
        m = re.match(rf"(\d+) +read\({fd}<anon_inode:\[userfaultfd\]>.*(<unfinished \.\.\.>| = (\d+))$", line)
        resumed = re.match(r"(\d+) +<\.\.\. read resumed>.* = (-?\d+)", line)
        if m and m[3]:
            size += int(m[3])
        elif m:
            begun.add(m[1])
        elif resumed and resumed[1] in begun:
            begun.discard(resumed[1])
            size += max(0, int(resumed[2]))
    return size // 32


@test(limit=120)
def real_qemu_snapshot():
    if not shutil.which("strace"):
        skip("strace is not installed; it counts what QEMU reads, and Debian's package strace runs this")
    with tempfile.TemporaryDirectory() as folder:
        trace, file = f"{folder}/strace", f"{folder}/snapshot"
        # -D: the process is QEMU, not strace.
        strace = ["strace", "-D", "-f", "--seccomp-bpf", "-y", "-e", "trace=read", "-o", trace]
        with Machine(under=strace, ram="16M") as m, \
                socket.socket(socket.AF_UNIX) as listener:
            m.can("background-snapshot")
            m.wait_running()
            listener.bind(f"{folder}/socket")
            listener.listen()
            w = Watch(m.pid)
            m("migrate", uri=f"unix:{folder}/socket")
            receiver = listener.accept()[0]
            # Nobody reads the snapshot: each vCPU is stuck once it writes to a page that is not sent.
            fd, rows = stuck(m, "wp", "uw")
            eq({r["access"] for r in rows.values()}, {"write"}, "access")
            with receiver, open(file, "wb") as f:
                while data := receiver.recv(1 << 20):
                    f.write(data)
            m.migration("completed")
            faults, s = w.stop()
            complete(s)
            eq(registered(m.pid, "uw"), {}, "nothing is write-protected after")
        wait_until(lambda: re.search(rf"^{m.pid} +\+\+\+ ", contents(trace), re.M), "strace has written all", 20)
        read = messages_read(contents(trace), fd)
        size = os.path.getsize(file)
    eq(s["delivered"], read, "delivered is what QEMU has read")
    # A page that the snapshot comes to by itself before the message is read, is let go unread.
    ok(0 < s["delivered"] <= s["faults"]["wp"], f"{s['delivered']} delivered, {s['faults']}")
    ended_well(s, "wp", faults)
    eq({(f["kind"], f["access"], f["op"]) for f in faults if f["ended"] == "woken"}, {("wp", "write", "writeprotect")},
       "kind, access and operation")
    ok(size > 8 << 20, f"a snapshot of {size} bytes, of a guest that has written more")


if os.geteuid():
    print("1..0 # SKIP QEMU makes userfaultfds and watch needs BPF; root runs this")
    sys.exit(0)
# ---- a machine that knows nothing of it ----

def runs_on(q):
    """Its vCPUs go on."""
    before = [q.word(FIRST + n * q.word(PART_SIZE)) for n in range(len(q.vcpus()))]
    wait_until(lambda: all(q.word(FIRST + n * q.word(PART_SIZE)) > b for n, b in enumerate(before)), "all vCPUs go on", timeout=60)


@contextlib.contextmanager
def injected(hugetlb):
    """A machine whose memory is shared and registered for minor faults on a userfaultfd that was put into it."""
    backend = f"memory-backend-memfd,id=m,size=64M,share=on{',hugetlb=on' if hugetlb else ''}"
    with hugepages(40) if hugetlb else contextlib.nullcontext(), \
            Machine("-object", backend, "-machine", "q35,memory-backend=m") as q:
        q.wait_running()
        row, = run("register", "-J", "-q", "--inject", "-m", "minor", q.pid, "@/memfd:memory-backend-memfd*", check=0).json()["register"]
        eq(userfaultfds(q.pid), [row["fd"]], "its userfaultfd")
        yield q, row


@test(limit=120, each={"memfd": (False,), "hugetlb": (True,)})
def real_qemu_zapped(hugetlb):
    """It faults on all of its memory again, is shown to wait, and goes on; many times."""
    with injected(hugetlb) as (q, row):
        for i in range(10):
            zapped, = run("zap", "-J", "-q", q.pid, "all", check=0).json()["zap"]
            eq((zapped["start"], zapped["error"]), (row["start"], None), "zapped")
            if not i:
                wait_until(lambda: {int(w["tid"]) for w in run("pending", "-J", q.pid).json()["pending"]} >= set(q.vcpus()),
                           "both vCPUs wait", timeout=60)
            run("continue", "-q", q.pid, "all")  # what the guest never touched is absent
            eq(run("pending", "-J", q.pid).json()["pending"], [], "nobody waits")
        runs_on(q)


@test(limit=120, each={"memfd": (False,), "hugetlb": (True,)})
def real_qemu_served(hugetlb):
    """All of its memory is zapped again and again while a handler serves it: the guest goes on, and every fault is resolved."""
    with injected(hugetlb) as (q, _), tempfile.TemporaryFile() as out:
        p = spawn("serve", "-J", "-q", "--keep", q.pid, "all", stdout=out)
        try:
            for _ in range(10):
                run("zap", "-q", q.pid, "all", check=0)
                runs_on(q)
        finally:
            p.send_signal(signal.SIGINT)
            _, err = p.communicate(timeout=60)
        eq((p.returncode, err), (0, b""), "serve")
        out.seek(0)
        end = json.loads(out.read().splitlines()[-1])
        ok(end["faults"]["minor"] >= 10 * len(q.vcpus()) and not end["errors"] and not end["held"], f"its totals: {end}")
        run("unregister", "-q", q.pid, "all", check=0)
        runs_on(q)


main()
