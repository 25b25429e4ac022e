# SPDX-License-Identifier: GPL-2.0-or-later
"""The tests of one program: they register themselves, and main() runs them. TAP goes to stdout."""
import contextlib
import ctypes
import fnmatch
import os
import signal
import sys
import traceback

from .check import SLOW, Failure, Skip
from .proc import parents
from .rules import RULES
from .target import TargetError

PR_SET_CHILD_SUBREAPER = 36
_tests = []


class Limit(BaseException):
    """The test took too long; no Exception, so that no test catches it by accident."""


def test(fn=None, limit=60, rule=None, each=None):
    """Registers a function: @test, or @test(limit=120, rule=..., each=...). lock_waits() is the test lock-waits.

    It fails when it takes more than limit seconds, SLOW times. rule: the one of rules.py that it holds. each: several
    tests, by what their names end with: {"anon": arguments of the function, ...}.
    """
    if rule and rule not in RULES:
        raise ValueError(f"{rule} is no rule")

    def register(fn):
        name = fn.__name__.replace("_", "-")
        cases = {f"{name}-{key}": args for key, args in each.items()} if each else {name: ()}
        _tests.extend((case, lambda args=args: fn(*args), limit * SLOW) for case, args in cases.items())
        return fn
    return register(fn) if fn else register


def _kill_children():
    """All descendants: orphans become children of this subreaper and are found next time."""
    while pids := [pid for pid, parent in parents().items() if parent == os.getpid()]:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _on_alarm(_signum, _frame):
    raise Limit


def _where(error):
    """file:line of the last frame outside the harness."""
    frames = [f for f in traceback.extract_tb(error.__traceback__)
              if os.path.dirname(f.filename) != os.path.dirname(__file__)]
    return f"{os.path.relpath(frames[-1].filename)}:{frames[-1].lineno}" if frames else "?"


def _run_test(fn, limit):
    """None, or the Failure, Skip or other exception that ended it."""
    try:
        signal.setitimer(signal.ITIMER_REAL, limit)
        fn()
    except (Exception, Limit) as e:
        return e
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return None


def _explain(error, limit):
    text = f"took more than {limit} s" if isinstance(error, Limit) else str(error)
    if not isinstance(error, (Failure, TargetError, Limit)):
        text = f"{type(error).__name__}: {text}"
    for line in f"{_where(error)}: {text}".split("\n"):
        print("# " + line.encode("utf-8", "backslashreplace").decode(), flush=True)


def _report(number, name, error, limit):
    """Prints the lines of one test; whether it failed."""
    if error is None or isinstance(error, Skip):
        print(f"ok {number} - {name}{f' # SKIP {error}' if error else ''}", flush=True)
        return False
    print(f"not ok {number} - {name}")
    _explain(error, limit)
    return True


def main():
    """Runs the registered tests whose names match one of the arguments (all without; -l lists)."""
    patterns = [a for a in sys.argv[1:] if a != "-l"]
    chosen = [t for t in _tests if not patterns or any(fnmatch.fnmatch(t[0], p) for p in patterns)]
    if "-l" in sys.argv[1:]:
        print("\n".join(t[0] for t in chosen))
        sys.exit(0)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGALRM, _on_alarm)
    # A shell ignores it for what it starts in the background: what is tested would too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    failed = 0
    for number, (name, fn, limit) in enumerate(chosen, 1):
        error = _run_test(fn, limit)
        _kill_children()
        failed += _report(number, name, error, limit)
    print(f"1..{len(chosen)}", flush=True)
    sys.exit(1 if failed else 0)
