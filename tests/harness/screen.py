# SPDX-License-Identifier: GPL-2.0-or-later
"""A terminal of tmux's for tests, with uffdctl watch in it: keys go in, screens come out."""
import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import unicodedata

from .check import Failure, skip, wait_until
from .run import UFFDCTL

# Sanitizers and other people's builds take their time; whoever has to wait longer has found an error.
PATIENCE = 30


def width(text):
    """Columns that a terminal takes for it."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


class Screen:
    """A shell in a terminal of tmux's, and uffdctl watch in that."""

    def __init__(self, *args, size=(80, 24), locale="C.UTF-8", term="tmux-256color", start=True, **env):
        if not shutil.which("tmux"):
            skip("tmux is not installed; make deps runs this")
        self.folder = tempfile.mkdtemp(prefix="uffdctl-view.")
        self.socket = os.path.join(self.folder, "tmux")
        self.size = size
        self.command = " ".join([UFFDCTL, "watch", *map(str, args)])
        env = {"LC_ALL": locale, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", ""), **env}
        with open(f"{self.folder}/conf", "w") as f:
            f.write(f"set -g default-terminal {term}\n")
        with open(f"{self.folder}/rc", "w") as f:
            f.write("PS1='shell> '\nHISTFILE=\n")
        self.tmux("-f", f"{self.folder}/conf", "new-session", "-d", "-x", size[0], "-y", size[1], "-c", self.folder,
                  *(x for key, value in env.items() for x in ("-e", f"{key}={value}")),
                  f"bash --noprofile --rcfile {self.folder}/rc -i")
        self.tmux("set", "-g", "window-size", "manual")
        self.wait("shell>")
        if start:
            self.run(self.command)
            self.wait("Help")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.tmux("kill-server")
        shutil.rmtree(self.folder, ignore_errors=True)

    def tmux(self, *args):
        env = {k: v for k, v in os.environ.items() if k != "TMUX"}
        r = subprocess.run(["tmux", "-u", "-S", self.socket, *map(str, args)], capture_output=True, text=True,
                           env={**env, "LC_ALL": "C.UTF-8"}, errors="replace")
        return r.stdout

    def run(self, line):
        self.tmux("send-keys", "-l", line)
        self.keys("Enter")

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def text(self, text):
        self.tmux("send-keys", "-l", text)

    def mouse(self, x, y, button=0):
        """A click, as a terminal reports it in the way that this one's terminfo asks for."""
        self.tmux("send-keys", "-l", f"\033[M{chr(button + 32)}{chr(x + 33)}{chr(y + 33)}\033[M#{chr(x + 33)}{chr(y + 33)}")

    def lines(self, *flags):
        return self.tmux("capture-pane", "-p", *flags).split("\n")[:-1]

    def screen(self, *flags):
        return "\n".join(self.lines(*flags))

    def history(self):
        return self.screen("-J", "-S", "-")

    def wait(self, part, timeout=PATIENCE, gone=False):
        """The screen with this text (a pattern, or a function of the screen) on it, or without it."""
        found = part if callable(part) else re.compile(part).search
        with contextlib.suppress(Exception):
            return wait_until(lambda: (s := self.screen()) and bool(found(s)) != gone and s, part, timeout)
        raise Failure(f"waited for {'no ' if gone else ''}{part}: the screen is\n{self.screen()}")

    def resize(self, w, h):
        self.size = (w, h)
        self.tmux("resize-window", "-x", w, "-y", h)

    def pid(self):
        shell = int(self.tmux("list-panes", "-F", "#{pane_pid}"))
        with open(f"/proc/{shell}/task/{shell}/children") as f:
            return int(f.read().split()[0])

    def flag(self, name):
        return self.tmux("display-message", "-p", f"#{{{name}}}").strip()
