# SPDX-License-Identifier: GPL-2.0-or-later
"""What the demos share: each command is shown as one would type it, with its real output, and checked."""
import os
import re
import shlex
import sys
import textwrap
import time

from .run import run

# A guest's output always seems to be a terminal: vm.py says what it goes to.
TERMINAL = bool(os.environ["UFFDCTL_TERMINAL"]) if "UFFDCTL_TERMINAL" in os.environ else sys.stdout.isatty()
COLOUR = TERMINAL and not os.environ.get("NO_COLOR")
PAUSE = 1.0 if TERMINAL else 0  # for reading


class Wrong(Exception):
    """Something is not as it should be; says what."""


def check(cond, what):
    if not cond:
        raise Wrong(what)


# ---- printing ----

def colour(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


def say(text):
    print("\n" + "\n".join(colour("36", "# " + line) for line in textwrap.wrap(text, 76)),
          flush=True)


def quoted(arg):
    """Quoted as a person would do it."""
    return arg if re.fullmatch(r"[\w@%+=:,./-]+", arg) else shlex.quote(arg)


def uffdctl(*args, rc=0):
    """Shows a command and its output; returns what it printed to stdout."""
    args = [str(a) for a in args]
    print(colour("1", "$ uffdctl " + " ".join(map(quoted, args))), flush=True)
    result = run(*args, timeout=30)
    # Messages first: on a terminal they come before the table.
    sys.stdout.write(colour("33", result.err.rstrip("\n")) + "\n" if result.err else "")
    sys.stdout.write(result.out)
    sys.stdout.flush()
    check(result.rc == rc, f"its exit status is {result.rc}, not {rc}")
    time.sleep(PAUSE)
    return result.out


def row(out, **expected):
    """The only row of a table, whose columns named in expected must have those values."""
    lines = out.splitlines()
    check(len(lines) == 2, f"there are {max(0, len(lines) - 1)} rows, not one")
    cells = dict(zip(lines[0].split(), lines[1].split()))
    for name, value in expected.items():
        check(cells.get(name) == str(value), f"{name} is {cells.get(name)}, not {value}")


def tell(story):
    """Runs a demo; the process ends with 1 and a reason where something is not as it should be."""
    try:
        story()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as e:  # what the harness raises says enough
        sys.stdout.flush()
        sys.exit(f"demo: not as it should be: {'' if isinstance(e, Wrong) else type(e).__name__ + ': '}{e}")
