# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs many test programs and merges what they print."""
import contextlib
import os
import re
import signal
import subprocess
import sys
import time

from .check import SLOW

LIMIT = int(os.environ.get("TAP_LIMIT", "900")) * SLOW  # seconds a program


def command_of(program):
    """A program's path; behind it may stand the names of the tests to run, or patterns of them."""
    words = program.split()
    return [sys.executable, *words] if words[0].endswith(".py") else [os.path.abspath(words[0]), *words[1:]]


class Runner:
    """Runs test programs one after another and prints one TAP stream."""

    LINE = re.compile(r"(not )?ok\b *(\d+)? *(?:- *)?(.*)")

    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.prefix = ""  # of each test's name
        self.skips = []  # the lines of skipped ones

    def line(self, good, text):
        number = self.passed + self.failed + self.skipped + 1
        if good and re.search(r"# *skip", text, re.I):
            self.skipped += 1
            self.skips.append(text)
        elif good:
            self.passed += 1
        else:
            self.failed += 1
        print(f"{'' if good else 'not '}ok {number} - {self.prefix}{text}", flush=True)

    def results(self, path, lines, ended, limit):
        """What one test program prints, until ended() says how; a death, no plan or too few tests are a failed test."""
        before, plan, seen, bad = self.failed, None, 0, None
        print(f"# {path}", flush=True)
        for raw in lines:
            line = raw.decode("utf-8", "backslashreplace").rstrip("\n")
            result = self.LINE.match(line)
            number = re.match(r"1\.\.(\d+)\s*(#.*)?$", line)
            if result:
                seen += 1
                self.line(not result[1], result[3] or path)
            elif number:
                plan = int(number[1])
                if plan == 0:
                    self.line(True, f"{path} {number[2] or '# SKIP it has no test'}")
            else:
                print(line if line.startswith("#") else f"# {line}", flush=True)
        rc = ended()
        if rc < 0:
            bad = f"died of {signal.Signals(-rc).name} (its limit is {limit} s)"
        elif plan is None:
            bad = f"printed no plan, exit {rc}"
        elif plan != seen:
            bad = f"planned {plan} tests and ran {seen}, exit {rc}"
        elif rc and self.failed == before:
            bad = f"exit {rc} though no test failed"
        if bad:
            self.line(False, f"{path}: {bad}")

    def program(self, path, limit=LIMIT):
        """Runs one test program."""
        began = time.monotonic()
        try:
            child = subprocess.Popen(command_of(path), stdout=subprocess.PIPE, start_new_session=True)
        except OSError as e:
            self.line(False, f"{path}: {e.strerror}")
            return
        # A program that hangs is ended whole: its session holds what it started.
        signal.signal(signal.SIGALRM, lambda *_: os.killpg(child.pid, signal.SIGKILL))
        signal.alarm(limit)
        try:
            self.results(path, child.stdout, child.wait, limit)
            print(f"# {path}: {time.monotonic() - began:.0f} s", flush=True)
        finally:
            signal.alarm(0)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)

    def end(self):
        """Prints the plan and the closing line; the exit status."""
        print(f"1..{self.passed + self.failed + self.skipped}")
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        return 1 if self.failed else 0


def main(args):
    """The exit status."""
    programs = [a for a in args if a != "-l"]
    if len(programs) < len(args):
        return max((subprocess.run([*command_of(p), "-l"]).returncode for p in programs), default=0)
    runner = Runner()
    for path in programs:
        runner.program(path)
    return runner.end()
