# SPDX-License-Identifier: GPL-2.0-or-later
"""watch as a view, driven through tmux: what is on the screen, where, and what keys do."""
import contextlib
import errno
import fcntl
import itertools
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time

sys.path[0] += "/.."
from harness import PAGE, Target, TargetError, UFFDCTL, contains, eq, fdinfo, main, ok, run, target, test, wait_until
from harness.screen import Screen, width
from harness.watch import Storm


@contextlib.contextmanager
def stuck_target(nr=3, name="guest"):
    """Threads that wait for the first pages of a memory that nobody serves, 512 of 1024 KiB."""
    with target(size=256 * PAGE, seed=1, mode="minor", name=name, timeout=60) as (t, t.m):
        t.comm(name="vmm")
        t.tids = [t.touch(id=t.m["id"], offset=i * PAGE, len=PAGE, access="read", name=f"vcpu{i}")["tids"][0]
                  for i in range(nr)]
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == nr, "all wait")
        yield t


@contextlib.contextmanager
def busy_target(delay_us=2000):
    """Two threads that fault all the time, and a handler."""
    with target(size=256 << 20, alloc=True, mode="minor", timeout=60) as (t, t.m):
        t.comm(name="vmm")
        a = t.memory("anon", 256 << 20, mode="missing")
        t.handler(uffd=t.u, action="copy", seed=1)
        t.threads = [t.touch(id=m["id"], access=access, delay_us=delay_us, name=name)["threads"][0]
                     for m, access, name in ((t.m, "read", "reader"), (a, "write", "writer"))]
        yield t


def rows(screen, title):
    """The lines below the title of a pane (a pattern), up to the next title or the bottom line."""
    lines = screen.split("\n")
    at = next((i for i, line in enumerate(lines) if re.search(title, line)), None)
    ok(at is not None, f"no pane {title}:\n{screen}")
    below = itertools.takewhile(lambda line: not re.match("──|--|F1Help", line), lines[at + 1:])
    return [line for line in below]


def fits(s):
    """Nothing wraps and nothing is wider than the terminal."""
    lines = s.lines()
    eq(len(lines), s.size[1], "lines")
    for line in lines:
        ok(width(line) <= s.size[0], f"too wide: {line!r}")
    ok(lines[-1].startswith("F1Help"), f"the last line has the keys: {lines[-1]!r}")


# ---- where things are ----

def skeleton(lines):
    """Titles, names of columns and keys as they are; for lines of data, a tilde."""
    fixed = re.compile(r"──|--|F1Help|.*(TID +COMM|MAPPING +FAULTS)")
    return [re.sub(r"[│|].*", "│~", line) if fixed.match(line) else "~" for line in lines]


@test(each={"80x24": (80, 24), "200x50": (200, 50), "60x15": (60, 15)})
def view_layout(w, h):
    with stuck_target() as t, Screen(t.pid, size=(w, h)) as s:
        # Threads that wait for a second get more room: wait for that.
        s.wait(r"! +\d+ vcpu0")
        fits(s)
        got = skeleton(s.lines())
        path = os.path.join(os.path.dirname(__file__), f"view.{w}x{h}")
        if os.environ.get("UPDATE"):
            with open(path, "w") as f:
                f.write("\n".join(got) + "\n")
        with open(path) as f:
            want = f.read().split("\n")[:-1]
        for i, (a, b) in enumerate(zip(got, want)):
            eq(a, b, f"line {i} of {path}")
        eq(len(got), len(want), "lines")
        # Values stand under the names of their columns.
        lines = s.lines()
        row = next(line for line in lines if "vcpu0" in line)
        for head in (line for line in lines if "TID" in line):
            eq(row.index("vcpu0"), head.index("COMM"), "COMM")
            eq(row.index("queued"), head.index("STATE"), "STATE")
            if "KIND" in head:
                eq(row.index("minor"), head.index("KIND"), "KIND")
            eq(row.index("guest+0x"), head.index("WHERE"), "WHERE")
            eq(re.search(r"\d+(?= vcpu0)", row).end(), head.index("TID") + 3, "TID")
        s.keys("q")
        s.wait(r"shell>\s*\Z")


@test(limit=120)
def view_resize():
    """While it runs, to any size: what is too small says so, and comes back."""
    with busy_target() as t, Screen(t.pid) as s:
        # Each grows one way: what is left of the frame before, cut off, is not taken for the new one.
        for w, h in ((200, 50), (60, 60), (80, 15), (61, 33), (100, 20), (80, 24)):
            s.resize(w, h)
            s.wait(lambda x: len(x.split("\n")) == h and x.split("\n")[-1].startswith("F1Help")
                   and max(width(line) for line in x.split("\n") if "──" in line) == w)
            fits(s)
        for w, h in ((59, 24), (80, 14), (20, 5), (5, 2)):
            s.resize(w, h)
            s.wait(lambda x: x.startswith(f"{w}x{h}") and "F1" not in x)
        for w, h in ((60, 15), (80, 24)):
            s.resize(w, h)
            s.wait(lambda x: len(x.split("\n")) == h and x.split("\n")[-1].startswith("F1Help"))
            fits(s)


class Raw:
    """A terminal without tmux, which has sizes of its own: what is written to it, as it comes."""

    def __init__(self, height, width):
        self.out = b""
        self.pid, self.fd = pty.fork()
        if not self.pid:
            self.size(height, width, 0)
            os.execve(UFFDCTL, [UFFDCTL, "watch", str(os.getppid())],
                      {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"})

    def size(self, height, width, fd=None):
        fcntl.ioctl(self.fd if fd is None else fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def wait(self, part):
        """Until this is written; what came before is forgotten."""
        def found():
            if select.select([self.fd], [], [], 0.1)[0]:
                self.out += os.read(self.fd, 1 << 16)
            return part in self.out
        wait_until(found, part, timeout=30)
        self.out = self.out.split(part, 1)[1]


@test(limit=120)
def view_sizes_that_no_terminal_has():
    """A terminal may say up to 65535 lines and columns, at the start and later: ncurses counts in short."""
    for height, columns in (40000, 100), (100, 40000), (65535, 65535), (30, 80):
        s = Raw(height, columns)
        s.wait(b"F1")
        for h, w in ((24, 80), (40000, 100), (65535, 65535), (80, 40000), (24, 80)):
            s.size(h, w)
            s.wait(b"\033[H\033[2J")
            s.wait(b"F1")
        os.write(s.fd, b"q")
        eq(os.waitstatus_to_exitcode(os.waitpid(s.pid, 0)[1]), 0, f"a clean end, from {height}x{columns}")
        os.close(s.fd)


# ---- keys ----

@test
def view_help_fits():
    """On 60 columns nothing of it is cut off."""
    pages = []
    with Target() as t:
        for columns in (60, 200):
            with Screen(t.pid, "--control", size=(columns, 60)) as s:
                s.wait("F1Help")
                s.keys("F1")
                s.wait("F10 q +quit")
                pages.append([line.rstrip() for line in s.screen().split("\n")])
    ok(len(pages[0]) > 30, pages[0])
    eq(pages[0], pages[1], "help")


def cell(s, title, column):
    """A column of the first row below its name."""
    head, first = rows(s, title)[:2]
    return first[head.index(column):].split()[0]


@test(limit=180)
def view_keys():
    with busy_target() as t, Screen(t.pid, size=(120, 40)) as s:
        s.wait("guest .*continue")
        for name in ("thread", "team", "process", "resolver", "instruction", "mapping"):
            s.keys("F5")
            s.wait(f"by {name} ")
        s.keys("g")
        screen = s.wait("by thread (.|\n)*reader(.|\n)*writer|by thread (.|\n)*writer(.|\n)*reader")
        for key in ("F1", "h", "?"):
            s.keys(key)
            s.wait("F10 q +quit")
            ok(" continue" not in s.screen(), "no key of --control in help")
            s.keys("Escape")
            s.wait("F1Help")
        # sorting: the mark moves, and the order is that of the column
        contains(screen, "FAULTS▼")
        s.keys("<")
        s.wait("THREAD▲")
        s.keys(">")
        s.wait("FAULTS▼")
        s.keys("I")
        s.wait("FAULTS▲")
        s.keys("F6")
        s.wait("Sort by")
        s.keys("Up", "Enter")
        s.wait("THREAD▲")
        tids = [int(line.split()[0]) for line in rows(s.screen(), "by thread")[1:] if line.strip()]
        eq(tids, sorted(tids), "by thread")
        # filter
        for key in ("F4", "\\"):
            s.keys(key)
            s.text("read")
            s.wait("Filter table and log by .*: read_")
            s.wait("by thread .*filter: read 1 of 2 rows, [\\d,]+ of [\\d,]+ faults")
            ok("writer" not in "\n".join(rows(s.screen(), "by thread")), "filtered")
            log = rows(s.screen(), "last faults filter: read \\d+ of \\d+ faults")[:-1]
            ok(all("reader" in line for line in log), log)
            s.keys("Enter")
            s.wait("F1Help")
            if key == "F4":
                s.keys("F4", "Escape")
                s.wait("by thread .* 2 rows")
        # from any pane
        s.keys("Tab", "Tab", "Escape")
        s.wait("by thread .* 2 rows")
        s.wait("no filter any more")
        s.keys("Escape")
        s.wait("no filter is set")
        s.keys("BTab", "BTab")
        # search moves the selection, which shows in reverse or colour
        for key in ("F3", "/"):
            s.keys("Home", key)
            s.text("writer")
            s.wait("Search: writer_")
            s.keys("Enter")
            s.wait("F1Help")
            line = next(x for x in s.lines("-e") if "writer" in x and "──" not in x and "copy" in x)
            ok("\033[" in line[:8], f"selected: {line!r}")
        s.keys("/")
        s.text("frobnicate")
        s.wait("Search: frobnicate_")
        s.keys("Enter")
        s.wait("not found: frobnicate")
        # the log, and panes
        s.wait("last faults")
        s.keys("l")
        s.wait("last faults", gone=True)
        s.keys("l")
        s.wait("last faults")
        for key in ("Tab", "BTab", "Down", "Up", "PPage", "NPage", "Home", "End", "j", "k", "n", "C-l", "Tab", "End", "Home", "Tab", "Tab"):
            s.keys(key)
            s.wait("F1Help")
        fits(s)
        for key in ("Space", "p"):
            s.keys(key)
            s.wait("PAUSED")
            s.wait("not found: frobnicate", gone=True)
            wait_until(lambda: s.screen() == (time.sleep(0.1), s.screen())[1], "all of it is drawn")
            one = s.screen()
            time.sleep(1.5)
            eq(s.screen(), one, "the picture stands")
            s.keys(key)
            s.wait("PAUSED", gone=True)
        ok(cell(s.screen(), "by thread", "FAULTS") > "0", "faults go on")
        # keys that are --control's ask nothing
        s.keys("c", "C")
        s.wait("F1Help")
        ok("Continue" not in s.screen(), "no question")
        s.keys("F10")
        s.wait(r"shell>\s*\Z")


@test(limit=120, each={"80x24": (80, 24), "200x50": (200, 50), "60x15": (60, 15)})
def view_no_key_is_silent(w, h):
    """Each key changes something on the screen, or a message says why not, whatever has room there."""
    with stuck_target() as t, Screen(t.pid, size=(w, h)) as s:
        s.wait("3 waiting")
        s.keys("Space")
        s.wait("PAUSED")

        def press(key, then=()):
            # No filter is set: that says so, and replaces an older message.
            s.keys("Escape")
            s.wait("no filter is set")
            before = s.screen("-e")
            s.keys(key)
            wait_until(lambda: s.screen("-e") != before, f"something happens at {key}", timeout=5)
            screen = s.screen()
            s.keys(*then)
            return screen
        for key, then in (("F1", ["q"]), ("h", ["q"]), ("F3", ["Enter"]), ("/", ["Enter"]), ("n", ["Enter"]),
                          ("F4", ["Enter"]), ("\\", ["Enter"]), ("F6", ["Escape"])):
            press(key, then)
        for key in ("F5", "g", "<", ">", ",", ".", "I", "r", "w", "s", "Down", "j", "Up", "k", "PPage", "NPage", "Home",
                    "End", "F2", "x"):
            press(key)
        contains(press("c"), "only with watch --control")
        contains(press("C"), "only with watch --control")
        # Tab goes to each pane that is there, and in the waiters' there are rows.
        for key in ("Tab", "BTab", "Tab", "Tab") if h < 40 else ("Tab", "BTab", "Tab", "Tab", "Tab"):
            press(key)
        s.wait("3 waiting")
        log = press("l")
        contains(log, "the log needs a screen of 17 lines; this one has 15") if h == 15 else None
        eq("last faults" in log, h == 24, "the log")
        press("l")
        # What there is to sort by has room, in the list and then in the table.
        s.keys("Escape", "F6")
        names = re.findall(r"[A-Z/][A-Z0-9]+|/S", s.wait("Sort by(.|\n)* RWP"))
        ok({"FAULTS", "/S", "P50", "QUEUED", "HANDLED", "TOTAL", "AVG", "RESOLVER", "RWP"} <= set(names), names)
        s.keys("Up", "Up", "Up", "Up", "Up", "Enter")
        s.wait(r"[A-Z]+▼")
        s.keys("q")
        s.wait(r"shell>\s*\Z")


@test(each={"80x24": (80, 24), "200x50": (200, 50), "60x15": (60, 15)})
def view_failed_ioctls(w, h):
    """A pane comes when the first ioctl fails, where there is room for it."""
    with target(size=16 * PAGE, seed=1, mode="minor") as (t, m), Screen("--backend=sched", t.pid, size=(w, h)) as s:
        s.wait("by mapping")
        t.comm(name="fails")
        for _ in range(3):
            try:
                t.copy(uffd=t.u, id=m["id"], offset=1, len=PAGE, seed=1)
            except TargetError as e:
                eq(e.errno, errno.EINVAL, "errno")
        if h < 20:
            s.wait(r" failed 3\b")
        else:
            s.wait("ioctls that failed 3 in all")
            s.wait(rf"WHO FAILED +IOCTL +ERROR +COUNT\n *{t.pid} fails +copy +EINVAL +3")
        fits(s)
        s.keys("r")
        s.wait("ioctls that failed|failed 3", gone=True)
        s.keys("q")


@test(limit=90)
def view_mouse():
    with busy_target() as t, Screen(t.pid, size=(120, 40)) as s:
        # All panes have what they will have: the table does not move any more.
        screen = s.wait(lambda x: all(re.search(p, x) for p in ("guest .*continue", r"\[anon:[0-9a-f]+\] .*copy"))).split("\n")
        y = next(i for i, line in enumerate(screen) if "MAPPING" in line)
        s.mouse(screen[y].index("MAX"), y)
        s.wait("MAX▼")
        s.mouse(3, y + 2)
        s.wait(lambda x: any("\033[" in line[:8] for line in s.lines("-e")[y + 2:y + 3]))
        s.mouse(3, y + 1, button=64)
        s.mouse(screen[-1].index("Group"), len(screen) - 1)
        s.wait("by thread")
        s.mouse(screen[-1].index("Quit"), len(screen) - 1)
        s.wait(r"shell>\s*\Z")


def number(text, what):
    return int(re.search(rf"{what} +([\d,]+)|([\d,]+) {what}", text).expand(r"\1\2").replace(",", ""))


def sums(text):
    """Of each table in it, the faults of all rows; by the grouping's name."""
    found = {}
    for m in re.finditer(r"^(?:──|--) by (\w+) .*\n(.*FAULTS.*)\n((?:(?!──|--|F1Help).*\n)*)", text, re.M):
        end = m[2].index("FAULTS") + 7  # and the mark of the order
        found[m[1]] = sum(int(line[:end].split()[-1].replace(",", "")) for line in m[3].split("\n") if line.strip())
    return found


def duration(text):
    """Seconds."""
    value, unit = re.fullmatch(r"([\d.]+)([µnm]?s)", text).groups()
    return float(value) * {"s": 1, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9}[unit]


@test(limit=120)
def view_one_frame_one_reading():
    """While faults come and go, header, histogram, table and a snapshot of one frame have the same numbers."""
    with busy_target(delay_us=500) as t, Screen(t.pid, size=(200, 50)) as s:
        s.wait("guest ")
        done = []
        for i in range(5):
            before = number(s.screen(), "total")
            s.wait(lambda x, n=before: number(x, "total") > n + 1000)
            s.keys("Space")
            frame = s.wait("PAUSED")
            ok(not number(frame, "lost"), "nothing is lost")
            ended = number(frame, "total") - number(frame, "pending")
            eq((number(frame, "ended"), sums(frame)), (ended, {"mapping": ended}), f"frame {i}")
            s.keys("s")
            names = {None, *done}
            s.wait(lambda x: names.add((re.search(r"snapshot: (\S+\.txt)", x) or [None] * 2)[1]) or len(names) > len(done) + 1)
            done.append((names - {None, *done}).pop())
            with open(f"{s.folder}/{done[-1]}") as f:
                text = f.read()
            eq((number(text, "total") - number(text, "pending"), number(text, "ended"), sums(text)),
               (ended, ended, {g: ended for g in ("mapping", "thread", "team", "process", "resolver", "instruction")}), f"snapshot {i}")
            s.keys("Space")
            s.wait("PAUSED", gone=True)


@test(limit=90)
def view_reset():
    """Counts begin anew, and are of one reading: totals, rows and percentiles."""
    with busy_target(delay_us=500) as t, Screen(t.pid, size=(120, 40)) as s:
        s.wait(lambda x: number(x, "total") > 10000 and "since start" in x)
        s.keys("r")
        s.wait("since \\d\\d:\\d\\d:\\d\\d (.|\n)*since reset")
        s.wait("counting from now on")
        s.wait(lambda x: 0 < number(x, "total") < 10000)
        s.keys("Space")
        frame = s.wait("PAUSED")
        ended = number(frame, "total") - number(frame, "pending")
        eq((number(frame, "ended"), sums(frame)), (ended, {"mapping": ended}), "since the reset")
        # While it is paused, only what is not shown begins anew.
        s.keys("r")
        s.wait("the screen stays as it is")
        contains(s.screen(), f"total {number(frame, 'total'):,} ")
        s.keys("Space")
        s.wait("PAUSED", gone=True)


@test(limit=90)
def view_small_header():
    """On a small screen, w shows each of the waits in turn; on a large one, all are there, and it says so."""
    with busy_target() as t, Screen(t.pid, size=(60, 15)) as s:
        for line in ("^queued p50 ≤", "^handled p50 ≤", "^wait last 1s p50 ≤", "^queued last 1s p50 ≤",
                     "^handled last 1s p50 ≤", "^wait p50 ≤"):
            s.keys("w")
            s.wait(re.compile(line, re.M).search)
        s.resize(80, 24)
        screen = s.wait("since start  p50")
        for part in ("wait", "queued", "handled"):
            ok(re.search(rf"^{part}(?: +≤?[\d.]+[µnm]?s){{8}}$", screen, re.M), screen)
        s.keys("w")
        s.wait("all waits are shown")


@test(limit=90)
def view_snapshot():
    with busy_target() as t, Screen(t.pid, size=(60, 15)) as s:
        s.wait("guest ")
        s.keys("s")
        name = re.search(r"snapshot: (\S+)", s.wait(r"snapshot: \S+\.txt"))[1]
        ok(re.fullmatch(rf"uffdctl-watch-{t.pid}-\d{{8}}-\d{{6}}\.txt", name), name)
        for _ in range(3):
            s.keys("s")
        wait_until(lambda: len([f for f in os.listdir(s.folder) if f.endswith(".txt")]) == 4, "four files")
        with open(f"{s.folder}/{name}") as f:
            text = f.read()
        for part in ("waiting longest", "how long they waited", "where", "by mapping", "by thread", "by process",
                     "by resolver", "by instruction", "last faults", "reader", "writer", "/memfd:guest", "RESOLVER"):
            contains(text, part)
        ok("\033" not in text, "plain text")
        # a folder that can't be written, and a full disk
        s.keys("q")
        s.wait(r"shell>\s*\Z")
        s.run(f"mkdir full; mount -t tmpfs -o size=4k none full && cd full && {s.command}; cd ..; umount full")
        s.wait("guest ")
        s.keys("s")
        s.wait("no snapshot: No space left")
        eq([f for f in os.listdir(f"{s.folder}/full")], [], "no half file stays")
        s.keys("q")
        s.wait(r"shell>\s*\Z")


# ---- what comes from outside ----

@test(limit=120)
def view_storm():
    """As many faults as can be made: keys are answered, and totals are those of the handler."""
    n = 100000
    with target(size=n * PAGE, alloc=True, mode="minor", timeout=60) as (t, m):
        t.handler(uffd=t.u, action="continue")
        with Screen(t.pid) as s:
            threads = t.touch(id=m["id"], access="read", threads=4, split=True)["threads"]
            for name in ("thread", "team", "process", "resolver", "instruction", "mapping"):
                s.keys("F5")
                s.wait(f"by {name} ", timeout=5)
            for thread in threads:
                wait_until(lambda thread=thread: t.join(thread=thread, timeout_ms=5000)["done"], "thread", timeout=60)
            faults = t.handler_stats(uffd=t.u)["minor"]
            s.wait(f"total {faults:,} ")
            s.keys("q")
            s.wait(r"shell>\s*\Z")
            contains(s.history(), f"{faults} faults in")


@test(limit=90, each={"slow": (("-t", "1", "-d", "20000"), "handled", (80, 24)),
                      "busy": (("-t", "8", "-d", "5000"), "queued", (80, 24)),
                      "slow-60x24": (("-t", "1", "-d", "20000"), "handled", (60, 24))})
def view_handler(args, most, size):
    """One that is slow, and one that eight threads wait for: header and resolver's row tell which."""
    with contextlib.ExitStack() as stack:
        storm = Storm("-n", "100000", *args)
        stack.callback(storm.kill)
        s = stack.enter_context(Screen(storm.pid, size=size))
        storm.go()
        s.keys("F5", "F5", "F5", "F5")
        s.wait(lambda x: "by resolver" in x and number(x, "total") > 100)
        s.keys("Space")
        frame = s.wait("PAUSED")
        parts = {name: duration(re.search(rf"^{name} +\S+ +\S+ +≤(\S+)", frame, re.M)[1])
                 for name in ("wait", "queued", "handled")}
        head, row = rows(frame, "by resolver")[:2]
        for name in "queued", "handled":
            eq(duration(row[:head.index(name.upper()) + len(name)].split("≤")[-1]), parts[name], f"{name} in its row")
        ok(parts[most] > 0.7 * parts["wait"], f"most of it is {most}: {parts}")
        ok(parts["handled" if most == "queued" else "queued"] < 0.4 * parts["wait"], parts)


@test(limit=90)
def view_target_exits():
    with stuck_target() as t, Screen(t.pid) as s:
        s.wait("vcpu2")
        t.kill()
        s.wait(f"{t.pid} vmm \\(ended\\)")
        s.wait("has ended")
        s.wait("waiting longest none")
        fits(s)
        s.keys("F5")
        s.wait("by thread")
        s.keys("q")
        s.wait(r"shell>\s*\Z")


@test(limit=120)
def view_hostile_names():
    """Nothing of a name reaches the terminal as it is, and columns stay where they are."""
    comms = ["\033[2J\033]0;x\007", "你好世界e\u0301", "\udcff\udcfeab", "a\u0301\u0301\u0301\u0301\u0301b", "\u202etxt"]
    with Target(timeout=60) as t:
        t.comm(name="\033[31mvmm\033[5m")
        t.userfaultfd()
        m = t.memory(size=256 * PAGE, seed=1, mode="minor", name="\033[41m你好\udcffé\u202ex\n" + "長" * 40)
        for i, comm in enumerate(comms):
            t.touch(id=m["id"], offset=i * PAGE, len=PAGE, access="read", name=comm)
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == len(comms), "all wait")
        for locale in ("C.UTF-8", "C"):
            with Screen(t.pid, size=(120, 40), locale=locale) as s:
                s.wait(r"\\x1b\[2J")
                fits(s)
                contains(s.lines()[0], r"\x1b[31mvmm")
                got = rows(s.screen(), "waiting longest")
                at = got[0].index("STATE")
                for row in got[1:1 + len(comms)]:
                    eq(width(row[:row.index(" queued ")]) + 1, at, f"STATE in {row!r}")
                    ok(row.rstrip().endswith(("│", "|")) or "│" in row or "|" in row, f"the histogram's edge: {row!r}")
                if locale == "C":
                    ok(all(ord(c) < 127 for c in s.screen()), "ASCII alone")
                else:
                    contains(s.screen(), "你好世界")
                s.keys("s")
                s.wait("snapshot:")
                name = next(f for f in os.listdir(s.folder) if f.endswith(".txt"))
                with open(f"{s.folder}/{name}", "rb") as f:
                    ok(b"\033" not in f.read(), "nor in a snapshot")
                s.keys("q")
                s.wait(r"shell>\s*\Z")


@test(limit=120)
def view_no_colour():
    """Reverse and bold tell, and a mark; no colour is set."""
    colours = re.compile(r"\033\[[\d;]*\b(3[0-7]|4[0-7]|38|48|9[0-7])[;m]")
    with stuck_target() as t:
        for args, env, term in ((("--color=never",), {}, "tmux-256color"), ((), {"NO_COLOR": "1"}, "tmux-256color"),
                                ((), {}, "vt100")):
            with Screen(*args, t.pid, term=term, **env) as s:
                s.wait("! +\\d+ vcpu0")
                ok(not colours.search(s.screen("-e")), "no colour")
                ok("\033[7m" in s.screen("-e") or "\033[1;7m" in s.screen("-e"), "reverse is used")
                s.keys("q")
                s.wait(r"shell>\s*\Z")
        with Screen(t.pid) as s:
            s.wait("! +\\d+ vcpu0")
            ok(colours.search(s.screen("-e")), "colours otherwise")


@test(limit=90)
def view_ascii():
    with busy_target() as t, Screen(t.pid, size=(120, 40), locale="C") as s:
        s.wait(r"guest .*continue")
        s.wait(r"guest .*\[.*[-.:=+*#@].*\]")
        ok(all(ord(c) < 127 for c in s.screen()), "ASCII alone")
        contains(s.screen(), "FAULTSv")
        fits(s)


# ---- the terminal ----

@test(limit=180)
def view_leaves_terminal_sane():
    with stuck_target(1) as t, Screen(t.pid, start=False) as s:
        def after(what, cause, code):
            s.run(f"clear; stty -a >before; {s.command} -d 5m; echo code $?; stty -a >after")
            s.wait("F1Help")
            eq((s.flag("alternate_on"), s.flag("cursor_flag")), ("1", "0"), "the view's own screen, no cursor")
            cause()
            s.wait(f"code {code}\n")
            wait_until(lambda: os.path.exists(f"{s.folder}/after") and os.path.getsize(f"{s.folder}/after"), "stty")
            eq((s.flag("alternate_on"), s.flag("cursor_flag"), s.flag("mouse_any_flag")), ("0", "1", "0"), what)
            with open(f"{s.folder}/before") as a, open(f"{s.folder}/after") as b:
                eq(b.read(), a.read(), f"{what}: stty")
            os.unlink(f"{s.folder}/after")
            return s.screen()
        contains(after("q", lambda: s.keys("q"), 0), "0 faults in")
        contains(after("Ctrl-C", lambda: s.keys("C-c"), 0), "waited before 1")
        for sig in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            after(sig.name, lambda sig=sig: os.kill(s.pid(), sig), 0)
        if "asan" not in UFFDCTL:
            after("SIGSEGV", lambda: os.kill(s.pid(), signal.SIGSEGV), 139)
            after("SIGQUIT", lambda: s.keys("C-\\"), 131)


@test(limit=90)
def view_stop_and_go_on():
    with stuck_target(1) as t, Screen(t.pid) as s:
        s.wait("vcpu0")
        s.keys("C-z")
        s.wait("Stopped")
        eq((s.flag("alternate_on"), s.flag("cursor_flag")), ("0", "1"), "the shell's screen")
        s.run("stty -a | grep -o ' echo '; echo typed")
        s.wait("\ntyped")
        s.run("fg")
        s.wait("F1Help")
        s.wait("vcpu0")
        eq((s.flag("alternate_on"), s.flag("cursor_flag")), ("1", "0"), "the view's screen")
        fits(s)
        s.keys("q")
        s.wait(r"shell>\s*\Z")


@test(limit=60)
def view_messages_at_end():
    """Not without a terminal, and not on one that can't."""
    with stuck_target(1) as t, Screen(t.pid, start=False, term="tmux-256color") as s:
        s.run(f"TERM=dumb {s.command} -d 0.1")
        s.wait("0 faults in")
        s.run(f"clear; {s.command} --line -d 0.1")
        s.wait("0 faults in")
        s.run(f"clear; TERM=dumb {UFFDCTL} watch --control {t.pid}; echo code $?")
        s.wait("needs a terminal(.|\n)*code 2")
        s.run(f"clear; {UFFDCTL} watch --control --line {t.pid}; echo code $?")
        s.wait("needs a terminal(.|\n)*code 2")


# ---- --control ----

@test(limit=150)
def view_control():
    """c frees one thread of a hung target, C all of them; each after a question."""
    with stuck_target(4) as t, Screen("--control", t.pid, size=(100, 30)) as s:
        threads = {tid: i for i, tid in enumerate(t.tids)}
        s.wait("vcpu3")
        s.keys("F1")
        s.wait("continue the selected")
        s.keys("q")
        s.wait("F1Help .*cContinue")
        s.keys("c")
        screen = s.wait("yes")
        contains(screen, "Continue the minor fault of thread")
        contains(screen, "in the page cache and begins with")
        page = int(re.search(r"4K at ([0-9a-f]+)", screen)[1], 16) - t.m["start"]
        data = t.peek(id=t.m["id"], offset=page, len=16, through="second")["hex"]
        contains(screen, " ".join(data[i:i + 2] for i in range(0, 32, 2)))
        s.keys("n")
        s.wait("nothing was done")
        eq(fdinfo(t.pid, t.u)["total"], 4, "all wait still")
        s.keys("c")
        tid = int(re.search(r"of thread (\d+)", s.wait("yes"))[1])
        s.keys("y")
        s.wait("continued: 4K mapped")
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 3, "one goes on")
        wait_until(lambda: not os.path.exists(f"/proc/{t.pid}/task/{tid}"), "the one that was asked about")
        ok(tid in threads, "one of them")
        s.wait("3 waiting")
        s.keys("C")
        contains(s.wait("yes"), "Continue all 3 minor faults")
        s.keys("y")
        s.wait("continued: 12K mapped")
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 0, "all go on")
        s.wait("waiting longest none")
        s.keys("c")
        s.wait("no thread waits")


@test(limit=60)
def view_control_late():
    """What was asked about has been resolved, or its process is gone, before the yes: nothing is done."""
    with stuck_target(2) as t, Screen("--control", t.pid, size=(100, 30)) as s:
        s.wait("vcpu1")
        s.keys("C")
        s.wait("Continue all 2")
        run("unregister", t.pid, "all", check=0)
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 0, "both go on")
        s.keys("y")
        s.wait("no thread waits there any more")
    with stuck_target(1) as t, Screen("--control", t.pid, size=(100, 30)) as s:
        s.wait("vcpu0")
        s.keys("c")
        s.wait("yes")
        t.kill()
        s.keys("y")
        s.wait("has exited|is gone|no such process|nobody waits")


@test(limit=60)
def view_control_missing():
    """Only minor faults: another one says why not."""
    with target("anon", mode="missing") as (t, a):
        t.touch(id=a["id"], len=PAGE, access="read", name="stuck")
        with Screen("--control", t.pid) as s:
            s.wait("stuck")
            s.keys("c")
            s.wait("missing: see uffdctl copy")
            s.keys("C")
            s.wait("no minor fault waits")
            eq(fdinfo(t.pid, t.u)["total"], 1, "it waits still")


main()
