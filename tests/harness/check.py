# SPDX-License-Identifier: GPL-2.0-or-later
"""Assertions, and how a test ends."""
import os
import time

# How many times longer things may take, as on an emulated machine (tests/vm/): stretches every limit.
SLOW = int(os.environ.get("UFFDCTL_TEST_SLOW") or 1)


class Failure(Exception):
    """What an assertion raises."""


class Skip(Exception):
    """What skip() raises."""


def ok(cond, what):
    if not cond:
        raise Failure(what)


def eq(a, b, what="value"):
    if a != b:
        raise Failure(f"{what}: got {a!r}, expected {b!r}")


def contains(text, part):
    if part not in text:
        raise Failure(f"{part!r} is not in: {text!r}")


def skip(reason):
    """Ends the test; the reason says what would run it: skip("no huge pages; run as root")."""
    raise Skip(reason)


def fewer(n):
    """How many of n repetitions a slow machine does."""
    return max(1, n // SLOW)


def wait_until(fn, what, timeout=5):
    """fn's first true result; it is tried for timeout seconds, SLOW times."""
    timeout *= SLOW
    end = time.monotonic() + timeout
    while True:
        late = time.monotonic() > end  # looked at before fn: a machine that stood still gets one more try
        result = fn()
        if result:
            return result
        if late:
            raise Failure(f"waited {timeout} s for: {what}")
        time.sleep(0.01)
