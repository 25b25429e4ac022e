# SPDX-License-Identifier: GPL-2.0-or-later
"""How long it takes to restore a process lazily, by CRIU and by uffdctl: run by bench.py in a guest where CRIU works.

CRIU dumps tests/helpers/restored, and restores it with lazy-pages. serve starts the same program anew, with the same
pages from CRIU's own image. Both begin with the first command that a user types, and make the process. CRIU also
restores all else of it: its few files and other mappings.

Prints a JSON object: {who and how many pages are touched: [seconds to the first page, seconds to all pages]}.
"""
import json
import mmap
import os
import subprocess
import sys
import tempfile
import time

sys.path[0] += "/.."
from harness import HELPERS, UFFDCTL

RESTORED = os.path.join(HELPERS, "restored")
PAGE = 4096
PAGES = (1 << 30) // PAGE
ACCEPTS = "00010000"  # a flag in /proc/net/unix


def start(*argv):
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def wait_until(there, p):
    while not there():
        if p.poll():
            raise SystemExit(f"{p.args}: ended with {p.returncode}")
        time.sleep(0.001)


def ended(p):
    if p.wait():
        raise SystemExit(f"{p.args}: ended with {p.returncode}")


def dump():
    p = subprocess.Popen([RESTORED, "fill"], start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL)
    wait_until(lambda: os.path.exists("ready"), p)
    ended(start("criu", "dump", "-t", str(p.pid), "-D", "."))
    p.wait()


def where():
    """Where the first page is in the image. CRIU has the pages of a mapping in order, and here without a hole."""
    with open("pages-1.img", "rb") as f, mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) as m:
        def number(at):
            return int.from_bytes(m[at:at + 8], "little")
        for at in range(0, len(m) - (PAGES - 1) * PAGE, PAGE):
            if number(at) == 1 and number(at + PAGE) == 2 and number(at + (PAGES - 1) * PAGE) == PAGES:
                return at
    raise SystemExit("the image does not have the pages in order")


def listens():
    with open("/proc/net/unix") as f:
        return any(line.endswith(" lazy-pages.socket\n") and line.split()[3] == ACCEPTS for line in f)


def criu():
    if os.path.exists("lazy-pages.socket"):
        os.unlink("lazy-pages.socket")
    daemon = start("criu", "lazy-pages", "-D", ".")
    wait_until(listens, daemon)
    return daemon, start("criu", "restore", "--lazy-pages", "-d", "-D", ".")


def serve(at):
    return start(UFFDCTL, "serve", "-q", "--from", f"pages-1.img@{at}", "--prefault", ":memory", "--", RESTORED),


def timed(run, touches):
    with open("go", "w") as f:
        f.write(str(touches))
    began = time.time_ns()
    commands = run()
    wait_until(lambda: os.path.exists("result"), commands[-1])
    for p in commands:
        ended(p)
    with open("result") as f:
        first, every, right = map(int, f.read().split())
    if right != PAGES:
        raise SystemExit(f"{run}: {right} pages of {PAGES} are right")
    os.unlink("result")
    return (first - began) / 1e9, (every - began) / 1e9


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        dump()
        at = where()
        ways = {"criu": criu, "serve": lambda: serve(at)}
        print(json.dumps({f"{name} {what}": timed(way, touches) for what, touches in (("one", 1), ("all", PAGES))
                          for name, way in ways.items()}))
        os.chdir("/")


main()
