# SPDX-License-Identifier: GPL-2.0-or-later
"""Renders the picture of the view in README: tests/picture.py FILE.svg, or `make picture`.

What it shows is real: a process with memory, a handler and threads that fault, and a capture of the terminal.
"""
import contextlib
import html
import os
import re
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from screen import Screen
from tap import Target, fdinfo, wait_until

SIZE = (110, 30)
CELL = (8.4, 18)
FEATURES = ["minor_shmem", "missing_shmem", "missing_hugetlbfs", "pagefault_flag_wp"]
BACK, FRONT, DIM = "#16191d", "#d4d7db", "#7c848c"
COLOURS = {31: "#ff6b60", 32: "#7fc97f", 33: "#f0c040", 36: "#56c8d8", 30: "#16191d"}
EIGHTHS = "▁▂▃▄▅▆▇█"


@contextlib.contextmanager
def guest():
    """Memory of a guest that is half there, as after a snapshot was restored; two of its threads are stuck."""
    with Target(timeout=60) as t:
        handled, lost = (t.uffd(features=FEATURES)["fd"] for _ in range(2))
        t.comm(name="restore")
        t.child_handler(uffd=handled, action="copy", seed=1)
        t.comm(name="qemu-system-x86")
        ram = t.map(kind="memfd", size=512 << 20, name="guest")
        vram = t.map(kind="memfd", size=64 << 20, name="vram")
        rom = t.map(kind="memfd", size=16 << 20, name="pc.bios")
        t.fallocate(id=ram["id"], offset=0, len=512 << 20, mode="alloc")
        t.fill(id=rom["id"], seed=1)
        t.register(uffd=handled, id=ram["id"], mode=["minor", "missing"])
        t.register(uffd=handled, id=vram["id"], mode=["missing"])
        t.register(uffd=lost, id=rom["id"], mode=["minor"])
        t.touch(id=rom["id"], offset=0xc1000, len=4096, access="read", name="CPU 2/KVM")
        wait_until(lambda: fdinfo(t.pid, lost)["total"] == 1, "one is stuck")
        time.sleep(6)
        t.touch(id=rom["id"], offset=0x3ff000, len=4096, access="read", name="CPU 3/KVM")
        yield t, ram, vram


def fault(t, ram, vram):
    for name, offset, delay in (("CPU 0/KVM", 0, 150), ("CPU 1/KVM", 300 << 20, 220)):
        t.touch(id=ram["id"], offset=offset, len=160 << 20, access="read", delay_us=delay, name=name)
    t.touch(id=ram["id"], offset=200 << 20, len=40 << 20, access="read", order="random", delay_us=900, name="IO iothread1")
    t.touch(id=vram["id"], access="write", delay_us=1500, name="vnc_worker")


def cells(line):
    """(character, colour, background, bold) for each column of a line with escape sequences."""
    style, out = [0, None, None, False, False], []
    for code, char in re.findall(r"\033\[([\d;]*)m|(.)", line):
        for n in (int(x or 0) for x in code.split(";")) if not char else ():
            if n == 0:
                style = [0, None, None, False, False]
            elif n in (1, 2, 7):
                style[{1: 3, 2: 4, 7: 0}[n]] = True
            elif 30 <= n <= 39:
                style[1] = COLOURS.get(n)
            elif 40 <= n <= 49:
                style[2] = COLOURS.get(n - 10)
        if char:
            front = style[1] or (DIM if style[4] else FRONT)
            back = style[2]
            out.append((char, back or BACK, front, style[3]) if style[0] else (char, front, back, style[3]))
    return out


def runs(row):
    """Neighbours that look the same, from which column on; blocks alone, as they are drawn, not written."""
    start = 0
    for i in range(1, len(row) + 1):
        if i == len(row) or row[i][1:] != row[start][1:] or row[i][0] in EIGHTHS or row[start][0] in EIGHTHS:
            yield start, "".join(c[0] for c in row[start:i]), row[start]
            start = i


def svg(lines):
    w, h = CELL
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE[0] * w + 24:.0f} {SIZE[1] * h + 24}" '
           f'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14">',
           "<!-- SPDX-License-Identifier: GPL-2.0-or-later; made by tests/picture.py -->",
           "<title>uffdctl watch</title>",
           f'<rect width="100%" height="100%" rx="6" fill="{BACK}"/><g transform="translate(12 12)">']
    for y, line in enumerate(lines):
        for x, text, (_, front, back, bold) in runs(cells(line)):
            if back:
                out.append(f'<rect x="{x * w:.1f}" y="{y * h}" width="{len(text) * w:.1f}" height="{h}" fill="{back}"/>')
            if text in EIGHTHS:
                part = (EIGHTHS.index(text) + 1) * h / 8
                out.append(f'<rect x="{x * w:.1f}" y="{y * h + h - part:.2f}" width="{w + 0.1:.1f}" height="{part:.2f}" fill="{front}"/>')
            elif text.strip():
                weight = ' font-weight="bold"' if bold else ""
                out.append(f'<text x="{x * w:.1f}" y="{y * h + 14}" textLength="{len(text) * w:.1f}" fill="{front}"{weight} '
                           f'xml:space="preserve">{html.escape(text)}</text>')
    return "\n".join([*out, "</g></svg>"]) + "\n"


def main(path):
    with guest() as (t, ram, vram), Screen(t.pid, size=SIZE) as s:
        s.wait("CPU 3/KVM")
        fault(t, ram, vram)
        s.keys("F5")
        s.wait("by thread")
        time.sleep(12)
        lines = s.lines("-e")
    with open(path, "w") as f:
        f.write(svg(lines))


main(sys.argv[1])
