# SPDX-License-Identifier: GPL-2.0-or-later
"""A process whose first thread has ended, and whose other threads live: all commands work on it as on others."""
import json
import os
import signal
import sys

sys.path[0] += "/.."
from harness import PAGE, Target, contains, eq, main, ok, run, skip, spawn, stat, test, wait_until


def takes_from_threads():
    """Linux 6.9: pidfd_open(2) of a thread."""
    try:
        os.close(os.pidfd_open(os.getpid(), os.O_EXCL))
    except OSError:
        return False
    return True


def needs_threads():
    if not takes_from_threads():
        skip("the kernel has no pidfds of threads; Linux 6.9 runs this")


class Headless:
    """A target with three threads that wait in minor and two in missing faults, and without its first thread."""

    def __init__(self):
        t = self.t = Target()
        self.pid = t.pid
        self.fd = t.userfaultfd(["minor_shmem", "missing_shmem"])
        self.m, self.a = t.memory(seed=1, mode="minor"), t.memory("anon", mode="missing")
        self.minor = t.touch(id=self.m["id"], access="read", threads=3, split=True)
        self.missing = t.touch(id=self.a["id"], access="read", threads=2, split=True)
        t.leader_ends()
        wait_until(lambda: stat(t.pid, t.pid)[1] == "Z", "the first thread has ended")
        self.tid = self.minor["tids"][0]
        wait_until(lambda: self.total() == 5, "five wait")

    def total(self):
        with open(f"/proc/{self.pid}/task/{self.tid}/fdinfo/{self.fd}") as f:
            return int(f.read().split("total:")[1].split()[0])

    def at(self, mapping, page, n=1):
        start = mapping["start"] + page * PAGE
        return f"{start:x}-{start + n * PAGE:x}"

    def gone_on(self, threads):
        for th in threads["threads"]:
            wait_until(lambda th=th: self.t.join(thread=th, timeout_ms=1000)["done"], "it goes on")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.t.kill()


@test
def leader_list():
    """One descriptor, once, with its owner and what is registered."""
    with Headless() as h:
        rows = run("list", "-J", h.pid, check=0).json()["list"]
        eq([(x["pid"], x["fd"], x["target_pid"], x["comm"], x["minor"], x["missing"], x["pending"], x["total"],
             x["features"]) for x in rows],
           [(h.pid, h.fd, h.pid, "target", 16 * PAGE, 16 * PAGE, 5, 5, ["missing_shmem", "minor_shmem"])], "the row")
        rows = run("list", "-J", "--source=proc", h.pid, check=0).json()["list"]
        eq([(x["pid"], x["fd"], x["comm"], x["total"]) for x in rows], [(h.pid, h.fd, "target", 5)], "from proc")


@test
def leader_list_shared():
    """Without BPF, too, two descriptors of one userfaultfd have one number."""
    with Headless() as h:
        dup = h.t.dup(fd=h.fd)["fd"]
        for source in "bpf", "proc":
            rows = run("list", "-J", f"--source={source}", h.pid, check=0).json()["list"]
            eq(sorted((x["fd"], x["ctx"]) for x in rows), [(h.fd, rows[0]["ctx"]), (dup, rows[0]["ctx"])], source)


@test
def leader_pending():
    with Headless() as h:
        anon = f"[anon:{h.a['start']:x}]"
        look = run("pending", "-J", h.pid, check=0).json()
        rows = look["pending"]
        eq(sorted((x["tid"], x["pid"], x["target_pid"], x["kind"], x["name"], x["holders"][0]) for x in rows),
           sorted([(tid, h.pid, h.pid, "minor", "/memfd:guest (deleted)", f"{h.pid}:{h.fd}") for tid in h.minor["tids"]] +
                  [(tid, h.pid, h.pid, "missing", anon, f"{h.pid}:{h.fd}") for tid in h.missing["tids"]]), "waiters")
        eq([x for x in look["handlers"] if x["pid"] != h.pid or x["tid"] == h.pid], [], "the ended thread can't resolve")
        ok(look["handlers"], "another can")
        rows = run("pending", "-J", "--source=proc", h.pid, check=0).json()["pending"]
        eq(sorted(x["tid"] for x in rows), sorted(h.minor["tids"] + h.missing["tids"]), "from proc")


@test
def leader_smaps():
    with Headless() as h:
        for source in "bpf", "proc":
            rows = run("smaps", "-J", f"--source={source}", h.pid, check=0).json()["smaps"]
            eq(sorted((x["start"], x["size"], x["flags"]) for x in rows),
               sorted([(h.m["addr"], 16 * PAGE, ["ui"]), (h.a["addr"], 16 * PAGE, ["um"])]), source)


@test
def leader_resolve():
    """Its five threads are freed, each as its fault asks for; what is filled is filled."""
    needs_threads()
    with Headless() as h:
        run("continue", "--from-zero", h.pid, h.at(h.m, 0), check=0)
        eq(h.t.peek(id=h.m["id"], offset=0, len=8, through="second")["hex"], "00" * 8, "page 0 was filled")
        run("continue", h.pid, h.at(h.m, 1, 15), check=0)
        h.gone_on(h.minor)
        run("copy", "--from-zero", h.pid, h.at(h.a, 0), check=0)
        run("zeropage", h.pid, h.at(h.a, 1, 15), check=0)
        h.gone_on(h.missing)


@test
def leader_register():
    needs_threads()
    with Headless() as h:
        n = h.t.memory(size=4 * PAGE)
        h.t.fill(id=n["id"], seed=1)
        run("register", "--mode=minor", h.pid, h.at(n, 0, 4), check=0)
        late = h.t.touch(id=n["id"], access="read")
        wait_until(lambda: h.total() == 6, "it waits")
        run("unregister", h.pid, "all", check=0)
        for threads in late, h.minor, h.missing:
            h.gone_on(threads)


@test
def leader_wake():
    """Threads that are woken try again, and wait again."""
    needs_threads()
    with Headless() as h:
        h.t.read_msg(uffd=h.fd, timeout_ms=1000)
        ok("delivered" in run("pending", h.pid, check=0).out, "one is read")
        run("wake", h.pid, "all", check=0)
        wait_until(lambda: run("pending", h.pid, check=0).out.count("queued") == 5, "all are queued again")


@test
def leader_watch():
    """Faults of its threads are counted, their mappings named; it may end while it is watched."""
    needs_threads()
    with Headless() as h:
        p = spawn("watch", "--json", "-v", h.pid)
        said = b""
        while b"watching with" not in said:
            line = p.stderr.readline()
            ok(line, f"it watches: {said}")
            said += line
        run("continue", h.pid, h.at(h.m, 0, 8), check=0)
        h.gone_on({"threads": h.minor["threads"][:1]})
        late = h.t.touch(id=h.m["id"], offset=8 * PAGE, access="read")
        wait_until(lambda: late["tids"][0] in {x["tid"] for x in run("pending", "-J", h.pid).json()["pending"]}, "it waits")
        run("continue", h.pid, h.at(h.m, 8, 8), check=0)
        h.gone_on(late)
        p.send_signal(signal.SIGINT)
        faults = [json.loads(x) for x in p.communicate(timeout=30)[0].decode().splitlines()]
        eq(p.returncode, 0, "exit")
        named = [x for x in faults if x["type"] == "fault"]
        eq({(x["pid"], x["target_pid"], x["kind"], x["name"]) for x in named},
           {(h.pid, h.pid, "minor", "/memfd:guest (deleted)")}, "faults")


@test
def leader_taken_or_told():
    """Where a descriptor can't be taken from another thread, that is said, and nothing is changed."""
    with Headless() as h:
        if takes_from_threads():
            run("wake", h.pid, "all", check=0)
            contains(run("wake", "-f", 999, h.pid, "all", check=1).err, "has no descriptor 999")
        else:
            contains(run("wake", h.pid, "all", check=1).err, "first thread has ended, and before Linux 6.9 its "
                     "descriptors can't be taken")
        wait_until(lambda: h.total() == 5, "five wait")


main()
