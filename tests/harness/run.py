# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs uffdctl."""
import json
import os
import subprocess

from .check import SLOW, Failure

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.abspath(os.environ.get("O") or os.path.join(ROOT, "build"))
HELPERS = os.path.join(BUILD, "tests/helpers")
UFFDCTL = os.environ.get("UFFDCTL") or os.path.join(BUILD, "uffdctl")


def ids(user):
    """Popen arguments that drop to a user id, the group of the same number and no other group."""
    return {} if user is None else {"user": user, "group": user, "extra_groups": []}


def text_of(data):
    """Bytes that are no UTF-8 become surrogates."""
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
    return subprocess.Popen([UFFDCTL, *map(str, args)], env={**os.environ, **(env or {})},
                            **{**pipes, **ids(user), **popen})


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
        partial = Result(words, "none", text_of(e.stdout or b""), text_of(e.stderr or b""))
        raise Failure(f"not ended (or a child of it holds its output) after {timeout * SLOW} s: "
                      f"{partial}") from None
    result = Result(words, child.returncode, text_of(out), text_of(err))
    if check is not None and result.rc != check:
        raise Failure(f"exit status {result.rc}, expected {check}: {result}")
    return result
