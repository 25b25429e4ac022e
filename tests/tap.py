# SPDX-License-Identifier: GPL-2.0-or-later
"""The harness of the command tests in tests/cmd/, and the runner of all tests.

A test program imports it, registers functions with @test("area-case") and ends with main():

    import os, sys
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
    from tap import *

    @test("pending-one-thread")
    def _():
        with Target() as t:
            m = t.map(kind="memfd", size=1 << 20)
            eq(run("pending", "-J", t.pid, check=0).json()["pending"], [], "rows")

    main()

As a script, `tests/tap.py FILE...` runs many test programs and merges what they print.
"""
import atexit
import contextlib
import ctypes
import fcntl
import fnmatch
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
import traceback

from rules import RULES

__all__ = ["Target", "TargetError", "run", "spawn", "test", "skip", "eq", "ok", "contains", "main",
           "hugepages", "pattern_page", "fdinfo", "smaps_flags", "take_fd", "uffdctl_path", "wait_until", "fewer", "ROOT"]

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PR_SET_CHILD_SUBREAPER = 36
# How many times longer things may take, as on an emulated machine (tests/vm/): stretches every limit.
SLOW = int(os.environ.get("UFFDCTL_TEST_SLOW") or 1)


class Failure(Exception):
    """What an assertion raises."""


class Skip(Exception):
    """What skip() raises."""


class Limit(BaseException):
    """The test took too long; no Exception, so that no test catches it by accident."""


class TargetError(Exception):
    """The helper answered ok:false; .errno, .reply."""

    def __init__(self, command, reply):
        super().__init__(f"target: {command}: {reply.get('error')} (errno {reply.get('errno')})")
        self.errno = reply.get("errno")
        self.reply = reply


# ---- assertions ----

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


# ---- processes ----

def _built(variable, path):
    return os.environ.get(variable) or os.path.join(os.environ.get("O") or os.path.join(ROOT, "build"), path)


def _ids(user):
    """Popen arguments that drop to a user id, the group of the same number and no other group."""
    return {} if user is None else {"user": user, "group": user, "extra_groups": []}


def _text(data):
    return data.decode("utf-8", "surrogateescape")


class Result:
    """What a finished uffdctl left: rc (negative: the signal), out, err."""

    def __init__(self, args, rc, out, err):
        self.args, self.rc, self.out, self.err = args, rc, out, err

    def json(self):
        try:
            return json.loads(self.out)
        except ValueError as e:
            raise Failure(f"{self}: no JSON: {e}") from None

    def __str__(self):
        return f"{' '.join(self.args)}: exit {self.rc}\nstdout: {self.out}\nstderr: {self.err}"


def spawn(*args, user=None, env=None, **popen):
    """Starts uffdctl and returns the Popen (bytes, all three pipes); dies with the test."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = [_built("UFFDCTL", "uffdctl"), *map(str, args)]
    return subprocess.Popen(command, env={**os.environ, **(env or {})},
                            **{**pipes, **_ids(user), **popen})


def uffdctl_path():
    return _built("UFFDCTL", "uffdctl")


def take_fd(pid, fd):
    """A descriptor of another process, by pidfd_getfd(2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    pidfd = os.pidfd_open(pid)
    try:
        taken = libc.syscall(438, pidfd, fd, 0)  # __NR_pidfd_getfd
    finally:
        os.close(pidfd)
    if taken < 0:
        raise Failure(f"pidfd_getfd of {pid}:{fd}: {os.strerror(ctypes.get_errno())}")
    return taken


def run(*args, stdin=None, timeout=60, user=None, check=None, env=None):
    """Runs uffdctl to its end. check: the exit status that it must have."""
    if isinstance(stdin, str):
        stdin = stdin.encode("utf-8", "surrogateescape")
    child = spawn(*args, user=user, env=env)
    words = ["uffdctl", *map(str, args)]
    try:
        out, err = child.communicate(stdin, timeout * SLOW)
    except subprocess.TimeoutExpired as e:
        child.kill()
        partial = Result(words, "none", _text(e.stdout or b""), _text(e.stderr or b""))
        raise Failure(f"not ended (or a child of it holds its output) after {timeout * SLOW} s: "
                      f"{partial}") from None
    result = Result(words, child.returncode, _text(out), _text(err))
    if check is not None and result.rc != check:
        raise Failure(f"exit status {result.rc}, expected {check}: {result}")
    return result


class Target:
    """The helper process (tests/helpers/target.c): t.map(kind="memfd", size=4096)["addr"].

    Every other method name is a command of the helper; a name that Python reserves gets an
    underscore behind it (async_=True, t.continue_()). Bytes that are no UTF-8 go as surrogates.
    """

    def __init__(self, as_user=None, timeout=20, program=None):
        self.timeout = timeout * SLOW
        self._line = b""
        self.proc = subprocess.Popen([program or _built("TARGET", "tests/helpers/target")],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
                                     **_ids(as_user))
        self.pid = self._answer("start")["pid"]

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.kill()

    def kill(self):
        self.proc.kill()
        self.proc.wait()
        self.proc.stdin.close()
        self.proc.stdout.close()

    def command(self, name, /, **args):
        args = {key.rstrip("_"): value for key, value in args.items()}
        line = json.dumps({"cmd": name, **args}, ensure_ascii=False)
        try:
            self.proc.stdin.write(line.encode("utf-8", "surrogateescape") + b"\n")
        except BrokenPipeError:
            pass  # _answer says how it ended
        return self._answer(name)

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda **args: self.command(name.rstrip("_"), **args)

    def _answer(self, command):
        end = time.monotonic() + self.timeout
        while b"\n" not in self._line:
            left = max(0, end - time.monotonic())
            if not select.select([self.proc.stdout], [], [], left)[0]:
                raise Failure(f"target {self.proc.pid}: no answer to {command} "
                              f"after {self.timeout} s")
            data = os.read(self.proc.stdout.fileno(), 65536)
            if not data:
                raise Failure(f"target {self.proc.pid}: ended during {command}, "
                              f"exit {self.proc.wait()}")
            self._line += data
        line, self._line = self._line.split(b"\n", 1)
        reply = json.loads(_text(line))
        if not reply.pop("ok"):
            raise TargetError(command, reply)
        return reply


def _children():
    """The processes whose parent is this one."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/stat", "rb") as f:
                if int(f.read().rsplit(b")", 1)[1].split()[1]) == os.getpid():
                    yield int(pid)


def _kill_children():
    """All descendants: orphans become children of this subreaper and are found next time."""
    while True:
        pids = list(_children())
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


# ---- what a test needs to know or have ----

def pattern_page(seed, index, page_size=4096):
    """The page that target.c writes for this seed as page number index of the file."""
    mask = (1 << 64) - 1
    x = (seed * 0x9e3779b97f4a7c15 + index) & mask
    x = ((x ^ (x >> 30)) * 0xbf58476d1ce4e5b9) & mask
    x = ((x ^ (x >> 27)) * 0x94d049bb133111eb) & mask
    return ((x ^ (x >> 31)).to_bytes(8, sys.byteorder)) * (page_size // 8)


def fdinfo(pid, fd):
    """pending, total and features of a userfaultfd (without the kernel's internal bit)."""
    with open(f"/proc/{pid}/fdinfo/{fd}") as f:
        lines = dict(line.rstrip("\n").split(":", 1) for line in f)
    features = int(lines["API"].split(":")[1], 16) & 0x7fffffff
    return {"pending": int(lines["pending"]), "total": int(lines["total"]), "features": features}


def smaps_flags(pid, addr):
    """The VmFlags of the mapping that contains addr; a failure when there is none."""
    addr = int(addr, 16) if isinstance(addr, str) else addr
    inside = False
    with open(f"/proc/{pid}/smaps", errors="replace") as f:
        for line in f:
            head = re.match(r"([0-9a-f]+)-([0-9a-f]+) ", line)
            if head:
                inside = int(head[1], 16) <= addr < int(head[2], 16)
            elif inside and line.startswith("VmFlags:"):
                return set(line.split()[1:])
    raise Failure(f"process {pid} has no mapping at {addr:#x}")


class hugepages:
    """Ensures n free 2 MiB pages until the end of the with block, or of the program; or skips."""

    NR = "/proc/sys/vm/nr_hugepages"

    def __init__(self, n):
        self.grown = 0
        with open("/proc/meminfo") as f:
            info = dict(line.split()[:2] for line in f)
        if info.get("Hugepagesize:") != "2048":
            skip("the default huge page is not of 2 MiB; default_hugepagesz=2M runs this")
        free = int(info["HugePages_Free:"]) - int(info["HugePages_Rsvd:"])
        if free >= n:
            return
        try:
            self.grown = self._add(n - free)
        except OSError as e:
            skip(f"{n} free huge pages: {e.strerror}; root, or vm.nr_hugepages={n}, runs this")
        atexit.register(self.restore)
        if self.grown < n - free:
            self.restore()
            skip(f"no memory for {n} huge pages; more memory, or a fresh boot, runs this")

    def _add(self, n):
        """Adds n (or takes -n away) under a lock, since others may do so too; returns how many."""
        with open(self.NR, "r+") as f, open(__file__) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = int(f.read())
            f.seek(0)
            f.write(str(max(0, before + n)))
            f.flush()
            f.seek(0)
            return int(f.read()) - before

    def restore(self):
        grown, self.grown = self.grown, 0
        if grown:
            self._add(-grown)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.restore()


# ---- running the tests of one program ----

_tests = []


def test(name, limit=60, rule=None):
    """Registers a test; it fails when it takes more than limit seconds, SLOW times. rule: the one of rules.py that it holds."""
    if rule and rule not in RULES:
        raise ValueError(f"{name}: {rule} is no rule")

    def register(fn):
        _tests.append((name, fn, limit * SLOW))
        return fn
    return register


def _on_alarm(_signum, _frame):
    raise Limit


def _where(error):
    """file:line of the last frame outside this file."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename != __file__]
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


def _failed(error):
    return error is not None and not isinstance(error, Skip)


def _explain(error, limit):
    text = f"took more than {limit} s" if isinstance(error, Limit) else str(error)
    if not isinstance(error, (Failure, TargetError, Limit)):
        text = f"{type(error).__name__}: {text}"
    for line in f"{_where(error)}: {text}".split("\n"):
        print("# " + line.encode("utf-8", "backslashreplace").decode(), flush=True)


def _report(number, name, error, limit):
    """Prints the lines of one test."""
    if isinstance(error, Skip):
        print(f"ok {number} - {name} # SKIP {error}", flush=True)
    elif error is None:
        print(f"ok {number} - {name}", flush=True)
    else:
        print(f"not ok {number} - {name}")
        _explain(error, limit)


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
        _report(number, name, error, limit)
        failed += _failed(error)
    print(f"1..{len(chosen)}", flush=True)
    sys.exit(1 if failed else 0)


# ---- running many programs ----

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

    def program(self, path, limit):
        """Runs one test program; behind its path may stand the names of the tests to run, or patterns of them."""
        command = path.split()
        command = [sys.executable, *command] if command[0].endswith(".py") else [os.path.abspath(path)]
        began = time.monotonic()
        try:
            child = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
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


def run_programs(paths):
    runner = Runner()
    limit = int(os.environ.get("TAP_LIMIT", "900")) * SLOW
    for path in paths:
        runner.program(path, limit)
    return runner.end()


if __name__ == "__main__":
    sys.exit(run_programs(sys.argv[1:]))
