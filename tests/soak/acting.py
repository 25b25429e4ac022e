# SPDX-License-Identifier: GPL-2.0-or-later
"""make soak: two commands that act at a time, at random, on one process, with signals and kills; then each page.

A round is a fresh process with two pieces of memory. The first is in the page cache with old contents and registered
for minor: its pages become new contents (continue --from), or stay old (continue, unregister), and threads write one
word into each. The second is empty and registered for missing: threads read what copy puts there. At the end each page
is whole, old or new, with the word that a thread wrote: none is blank, none is half written, no word is lost.
"""
import collections
import os
import random
import signal
import sys
import threading
import time

sys.path[0] += "/.."
from harness import PAGE, Target, eq, image, main, ok, pattern_page, spawn, test

NR = 4096
OLD, NEW, TAIL = 1, 9, 0x5a5a
SECONDS = int(os.environ.get("SOAK_SECONDS", "600"))
EXPECTED = ("is changing this memory", "interrupted", "not registered", "registered differently meanwhile", "waiting for")


class Round:
    def __init__(self, t, new, rng):
        self.t, self.new, self.rng = t, new, rng
        t.userfaultfd()
        self.minor = t.memory(size=NR * PAGE, seed=OLD, mode="minor", name="minor")
        self.missing = t.memory(size=NR * PAGE, mode="missing", name="missing")
        self.counts = collections.Counter()
        self.wrong = []
        self.over = False

    def part(self, m):
        """A piece of a memory, or all of it."""
        if self.rng.random() < 0.005:
            return [m["addr"] + f"+{NR * PAGE}"]
        first = self.rng.randrange(NR)
        nr = self.rng.randrange(1, min(128, NR - first) + 1)
        return [f"{m['start'] + first * PAGE:x}+{nr * PAGE}"]

    def command(self):
        pid, fill = self.t.pid, ["--from", self.new, "--by-offset"]
        wait = ["--wait-lock", "2s"] if self.rng.random() < 0.5 else []
        what = self.rng.choice(["fill", "fill", "fill", "continue", "copy", "copy", "zeropage", "register", "unregister",
                                "wake"])
        threads = ["-t", str(self.rng.choice([1, 2, 4]))]
        if what == "fill":
            return what, ["continue", *wait, *threads, *fill, pid, *self.part(self.minor)]
        if what == "copy":
            return what, ["copy", *wait, *threads, *fill, pid, *self.part(self.missing)]
        if what in ("register", "unregister"):
            return what, [what, *wait, *(["-m", "minor"] if what == "register" else []), pid, *self.part(self.minor)]
        if what == "zeropage":
            # Where copy has its pages: only past them there would be zeros, so that it finds all there, or nothing.
            return what, ["zeropage", *wait, "--dry-run", pid, *self.part(self.missing)]
        return what, [what, *(wait if what == "continue" else []), pid, *self.part(self.minor)]

    def disturb(self, p):
        """Sometimes a signal comes, at any moment."""
        if self.rng.random() < 0.6:
            return None
        time.sleep(self.rng.random() * 0.05)
        sig = self.rng.choice([signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGSTOP])
        p.send_signal(sig)
        if sig == signal.SIGSTOP:
            time.sleep(self.rng.random() * 0.05)
            p.send_signal(signal.SIGCONT)
        return sig

    def act(self):
        while not self.over:
            what, args = self.command()
            p = spawn(*args)
            sig = self.disturb(p)
            _, err = p.communicate(timeout=60)
            err = err.decode()
            self.counts[what] += 1
            self.counts[f"exit {p.returncode}"] += 1
            self.counts["locked"] += "is changing this memory" in err
            if p.returncode not in (0, 1) and -p.returncode not in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM):
                self.wrong.append(f"{args}: {p.returncode}: {err}")
            if p.returncode == 1 and not any(x in err for x in EXPECTED):
                self.wrong.append(f"{args} (signal {sig}): {err}")

    def run(self, seconds):
        t = self.t
        writers = t.touch(id=self.minor["id"], access="write", value=TAIL, threads=2, order="random",
                         delay_us=300)["threads"]
        readers = t.touch(id=self.missing["id"], access="read", seed=NEW, threads=2, order="random",
                         delay_us=300)["threads"]
        actors = [threading.Thread(target=self.act) for _ in range(2)]
        for a in actors:
            a.start()
        time.sleep(seconds)
        self.over = True
        for a in actors:
            a.join()
        # What is left is done by one alone; what is registered no more comes by a touch.
        for args in (["copy", "--from", self.new, "--by-offset", t.pid, f"{self.missing['addr']}+{NR * PAGE}"],
                     ["unregister", t.pid, "@/memfd:minor"]):
            p = spawn(*args)
            _, err = p.communicate(timeout=60)
            ok(not p.returncode or b"not registered" in err, f"{args}: {err}")
        for th in writers + readers:
            j = t.join(thread=th, timeout_ms=30000)
            ok(j["done"], f"a thread is through: {j}")
            eq(j["mismatches"], 0, "what a thread read")
        return self.check()

    def check(self):
        tail = TAIL.to_bytes(8, sys.byteorder)
        nr = collections.Counter()
        with open(f"/proc/{self.t.pid}/fd/{self.minor['fd']}", "rb") as f, \
                open(f"/proc/{self.t.pid}/fd/{self.missing['fd']}", "rb") as g:
            for i in range(NR):
                page, other = f.read(PAGE), g.read(PAGE)
                old, new = (pattern_page(seed, i)[:-8] + tail for seed in (OLD, NEW))
                nr["old" if page == old else "new" if page == new else "wrong"] += 1
                if page not in (old, new):
                    self.wrong.append(f"page {i} of minor: {page[:16].hex()}...{page[-16:].hex()}")
                if other != pattern_page(NEW, i):
                    self.wrong.append(f"page {i} of missing: {other[:16].hex()}...")
        return nr


@test(limit=SECONDS + 600)
def soak_acting():
    seed = int(os.environ.get("SOAK_SEED", time.time_ns() % 10**9))
    print(f"# SOAK_SEED={seed}", flush=True)
    rng, total, pages, rounds = random.Random(seed), collections.Counter(), collections.Counter(), 0
    end = time.monotonic() + SECONDS
    with image(NR, NEW) as new:
        while time.monotonic() < end:
            with Target() as t:
                r = Round(t, new.name, rng)
                pages += r.run(min(5, max(1, end - time.monotonic())))
                total += r.counts
                rounds += 1
                ok(not r.wrong, f"round {rounds}: " + "\n".join(map(str, r.wrong[:10])))
    print(f"# {rounds} rounds, commands and how they ended: {dict(sorted(total.items()))}")
    print(f"# pages checked: {dict(pages)}")


main()
