# SPDX-License-Identifier: GPL-2.0-or-later
"""Renders the picture of the view in README: tests/picture.py FILE.svg, or `make picture`.

What it shows is real: a QEMU that receives a guest by post-copy migration, whose source stops sending on the way, and
a capture of the terminal.
"""
import html
import re
import signal
import sys
import tempfile
import time

from harness.machine import Machine, post_copy
from harness.screen import Screen

SIZE = (110, 30)
CELL = (8.4, 18)
CPUS, RAM, RATE = 4, "512M", 24 << 20  # bytes a second
BACK, FRONT, DIM = "#16191d", "#d4d7db", "#7c848c"
COLOURS = {31: "#ff6b60", 32: "#7fc97f", 33: "#f0c040", 36: "#56c8d8", 30: "#16191d"}
EIGHTHS = "▁▂▃▄▅▆▇█"


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
    with tempfile.TemporaryDirectory() as folder, Machine(cpus=CPUS, ram=RAM) as source, \
            Machine("-S", "-incoming", "defer", cpus=CPUS, ram=RAM) as destination:
        source.wait_running()
        post_copy(source, destination, f"{folder}/migration", RATE)
        with Screen(destination.pid, size=SIZE) as s:
            s.keys("F5")
            s.wait("by thread")
            destination("cont")
            time.sleep(14)
            source.process.send_signal(signal.SIGSTOP)
            time.sleep(4)
            s.wait(rf"CPU {CPUS - 1}/TCG")
            lines = s.lines("-e")
    with open(path, "w") as f:
        f.write(svg(lines))


main(sys.argv[1])
