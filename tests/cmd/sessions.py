# SPDX-License-Identifier: GPL-2.0-or-later
"""The sessions of uffdctl.1, typed in a shell: what is printed is what the page shows."""
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile

sys.path[0] += "/.."
from harness import PAGE, ROOT, UFFDCTL, Target, eq, fdinfo, image, main, ok, run, target, test, wait_until

MIB = 1 << 20


def sessions():
    """{title: [(command, lines of its output)]}"""
    with open(f"{ROOT}/man/uffdctl.1") as f:
        text = re.search(r"^\.SH EXAMPLES\n(.*?)^\.SH ", f.read(), re.M | re.S)[1]
    found = {}
    for part in re.split(r"^\.SS ", text, flags=re.M)[1:]:
        shown = "\n".join(re.findall(r"^\.EX\n(.*?)^\.EE$", part, re.M | re.S))
        shown = re.sub(r"\\f.", "", shown.replace("\\-", "-"))
        commands = re.split(r"^\$ ", re.sub(r"\\e\n {6}", "", shown), flags=re.M)[1:]
        found[part.split("\n")[0].replace("\\-", "-")] = [(c.split("\n")[0], [line for line in c.split("\n")[1:] if line]) for c in commands]
    return found


class Session:
    """Types the commands of a session; numbers of the page stand for those of the process."""

    def __init__(self, title, numbers, directory="/"):
        self.commands, self.numbers, self.directory = iter(sessions()[title]), numbers, directory

    def put_in(self, text):
        """The page's numbers become the process's."""
        return re.sub(r"\b\w+\b", lambda m: self.numbers.get(m[0], m[0]), text)

    def same(self, shown, got):
        """A word of the page and one of the output."""
        if re.fullmatch(r"[0-9.]+(s|ms)?", shown) and "." in shown:  # times
            return re.fullmatch(r"\(?[0-9.]+(ns|us|ms|s)?", got) or shown == got
        return self.put_in(shown) == got

    def line(self, shown, got):
        """The words of the output's line that are not in the page's line; None: they differ."""
        words, cut = shown.split(), shown.endswith("\\e")
        if cut:
            words.pop()
            # The word at the cut may be a part; it may also end a word.
            rest = got.split()
            for i, w in enumerate(words):
                if i >= len(rest) or not (self.same(w, rest[i]) or i == len(words) - 1 and rest[i].startswith(self.put_in(w))):
                    return None
            return []
        rest = got.split()
        if len(rest) < len(words) or not all(self.same(w.strip("()"), g.strip("()")) for w, g in zip(words, rest)):
            return None
        return rest[len(words):]

    def step(self, nr=1):
        for _ in range(nr):
            command, shown = next(self.commands)
            typed = self.put_in(command)
            p = subprocess.run(["bash", "-c", typed], cwd=self.directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, env={**os.environ, "PATH": f"{os.path.dirname(UFFDCTL)}:{os.environ['PATH']}"})
            got = [line for line in p.stdout.split("\n") if line]
            where = f"$ {typed}\n{p.stdout}the page has:\n" + "\n".join(shown)
            for line in shown:
                if line == "[...]":
                    got = []
                    break
                ok(got, f"a line is missing: {line}\n{where}")
                rest = self.line(line, got.pop(0))
                ok(rest is not None, f"differs: {line}\n{where}")
                # A long line goes on in the page's next line.
                got[:0] = [" ".join(rest)] if rest else []
            eq(got, [], f"more lines than the page has: {where}")
    

def waits(t, nr=1):
    wait_until(lambda: fdinfo(t.pid, t.u)["total"] == nr, "a thread waits")


def addresses(shown, at, *sizes):
    """The page's address, and those that are so much higher."""
    return {f"{int(shown, 16) + n:x}": f"{at + n:x}" for n in (0, *sizes)}


def of_list(t, key):
    return str(run("list", "-J", t.pid, check=0).json()["list"][0][key])


@test
def sessions_frozen_thread():
    with target(size=64 * MIB, seed=1, mode="minor", name="guest") as (t, m):
        t.comm(name="vmm")
        at = 0x2c1000
        tid = t.touch(id=m["id"], offset=at, len=PAGE, access="read", name="vcpu0")["tids"][0]
        waits(t)
        wchan = wait_until(lambda: (now := pathlib.Path(f"/proc/{t.pid}/wchan").read_text()) != "0" and now, "it reads")
        s = Session("A frozen thread", {"32559": str(t.pid), "32576": str(tid), "3": of_list(t, "ctx"), "anon_pipe_read": wchan,
                                        **addresses("7f2d0c6e5000", m["start"], at, at + PAGE, 64 * MIB)})
        s.step(5)
        eq(list(s.commands), [], "commands that were not typed")


@test
def sessions_dead_handler():
    with target(size=64 * MIB, seed=1, mode="minor", name="guest") as (t, m):
        t.touch(id=m["id"], offset=0, len=PAGE, access="read")
        waits(t)
        t.read_msg(uffd=t.u, timeout_ms=1000)
        s = Session("A handler that died after it had read a message",
                    {"17856": str(t.pid), **addresses("7f6830f2c000", m["start"], 64 * MIB)})
        s.step(2)
        waits(t)
        s.step(4)
        eq(list(s.commands), [], "commands that were not typed")


@test(limit=120)
def sessions_taking_over():
    with tempfile.TemporaryDirectory() as d, target(size=64 * MIB, mode="missing", name="guest", timeout=60) as (t, m):
        with open(f"{d}/guest.mem", "wb") as f:
            for i in range(64):
                f.write(i.to_bytes(4, "little") * (MIB // 4))
        handler = t.child_handler(uffd=t.u, action="count")["pid"]
        tids = [t.touch(id=m["id"], offset=i * 3 * MIB, len=PAGE, access="read", name=f"vcpu{i}")["tids"][0] for i in range(2)]
        wait_until(lambda: fdinfo(t.pid, t.u) == {**fdinfo(t.pid, t.u), "pending": 0, "total": 2}, "both messages are read")
        os.kill(handler, signal.SIGKILL)
        s = Session("Taking over from a handler that died",
                    {"12414": str(t.pid), "12417": str(tids[0]), "12418": str(tids[1]),
                     **addresses("7f13bdd2e000", m["start"], 3 * MIB)}, d)
        s.step(3)
        eq(list(s.commands), [], "commands that were not typed")


@test(limit=120)
def sessions_snapshot():
    """A snapshot into a guest that has no memory yet."""
    with tempfile.TemporaryDirectory() as d, target(size=256 * MIB, name="guest", timeout=60) as (t, m):
        with open(f"{d}/guest.mem", "wb") as f:
            for i in range(256):
                f.write(i.to_bytes(4, "little") * (MIB // 4))
        s = Session("Filling a snapshot into guest memory",
                    {"17867": str(t.pid), **addresses("7fecdd858000", m["start"], 256 * MIB)}, d)
        s.step()
        t.touch(id=m["id"], offset=5 * PAGE, len=PAGE, access="read")
        waits(t)
        s.step(4)
        eq(list(s.commands), [], "commands that were not typed")


@test
def sessions_one_page():
    with image(64, 7) as img, target(size=64 * PAGE, seed=1, mode="minor", name="guest") as (t, m):
        with tempfile.TemporaryDirectory() as d:
            os.symlink(img.name, f"{d}/guest.mem")
            t.comm(name="vmm")
            tid = t.touch(id=m["id"], offset=32768, len=PAGE, access="read", name="vcpu0")["tids"][0]
            waits(t)
            s = Session("Filling one page from a snapshot",
                        {"24858": str(t.pid), "24866": str(tid), **addresses("7f0c68652000", m["start"] + 32768, PAGE)}, d)
            s.step(2)
            eq(list(s.commands), [], "commands that were not typed")


@test
def sessions_another_userfaultfd():
    with target(size=64 << 10, seed=1, name="guest") as (t, m):
        other = t.uffd(features=[])["fd"]
        t.register(uffd=other, id=m["id"], mode=["minor"])
        s = Session("A range on another userfaultfd",
                    {"17876": str(t.pid), "7": str(other), **addresses("7fb31db77000", m["start"], 64 << 10)})
        s.step(4)
        eq(list(s.commands), [], "commands that were not typed")


@test
def sessions_page_by_page():
    with target(size=2 * PAGE, seed=1, name="guest") as (t, m):
        s = Session("Page by page", {"17882": str(t.pid), **addresses("7f9ed912d000", m["start"], PAGE, 2 * PAGE)})
        s.step()
        t.touch(id=m["id"], access="read")
        for nr in (1, 1, 1, 1, 1, 1):
            waits(t)
            s.step(nr)
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 0, "the thread goes on")
        s.step(2)
        eq(list(s.commands), [], "commands that were not typed")


@test(limit=120)
def sessions_lazily():
    """A program that runs while its memory arrives."""
    with tempfile.TemporaryDirectory() as d, target(size=256 * MIB, name="guest", timeout=60) as (t, m):
        with open(f"{d}/guest.mem", "wb") as f:
            for i in range(256):
                f.write(i.to_bytes(4, "little") * (MIB // 4))
        s = Session("Restoring a snapshot lazily", {"20897": str(t.pid), **addresses("7fea8347e000", m["start"], 256 * MIB)}, d)
        s.step()
        t.touch(id=m["id"], offset=5 * PAGE, len=PAGE, access="read")
        waits(t)
        s.step(2)
        eq(list(s.commands), [], "commands that were not typed")


@test(limit=120)
def sessions_working_set():
    """Two runs of a program; the second has what the first one touched."""
    with tempfile.TemporaryDirectory() as d:
        with open(f"{d}/guest.mem", "wb") as f:
            for i in range(64):
                f.write(i.to_bytes(4, "little") * (MIB // 4))
        numbers = {}
        s = Session("Recording a working set", numbers, d)
        for pid, steps in (("4767", 2), ("4970", 1)):
            with target(size=64 * MIB, name="guest", mode="minor,missing") as (t, m):
                numbers[pid] = str(t.pid)
                for at, access in ((40, "read"), (3, "read"), (50, "read"), (60, "write")):
                    t.touch(id=m["id"], offset=at * MIB, len=64 * PAGE, access=access)
                waits(t, 4)
                s.step(steps)
        eq(list(s.commands), [], "commands that were not typed")


@test(limit=120)
def sessions_rehearsal():
    """A process that knows nothing of it, and has no userfaultfd."""
    with Target(timeout=60) as t:
        m = t.memory("memfd", size=256 * MIB, name="guest", seed=7)
        t.comm(name="vmm")
        t.join(thread=t.touch(id=m["id"], access="read")["threads"][0])
        numbers = {"21389": str(t.pid), **addresses("7fd2f8199000", m["start"], 256 * MIB)}
        s = Session("Rehearsing post-copy", numbers)
        s.step(2)
        touched = t.touch(id=m["id"], access="read", order="random", name="vcpu0")
        waiter, = wait_until(lambda: run("pending", "-J", t.pid).json()["pending"], "it waits")
        numbers |= {"21395": str(touched["tids"][0]), "7fd302dc3000": waiter["addr"][2:]}
        s.step(2)
        ok(t.join(thread=touched["threads"][0], timeout_ms=30000)["done"], "it has gone on")
        eq(list(s.commands), [], "commands that were not typed")


@test
def sessions_are_all_typed():
    with open(__file__) as f:
        text = f.read()
    eq([title for title in sessions() if f'"{title}"' not in text], [], "no test types them")


main()
