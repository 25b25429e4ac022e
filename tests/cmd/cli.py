# SPDX-License-Identifier: GPL-2.0-or-later
"""The edges of the command line: JSON after a failure, exit statuses, -q, pipes, help, processes by name."""
import json
import os
import sys

sys.path[0] += "/.."
from harness import contains, eq, main, ok, run, target, test

GONE = 999999999
LISTINGS = (["list", GONE], ["pending", GONE], ["smaps", GONE])
NO_SUCH = {"pid": GONE, "range": None, "error": "ESRCH", "message": f"{GONE}: no such process"}
ACTIONS = tuple([c, GONE, "all"] for c in ("register", "unregister", "continue", "zeropage", "wake"))
FAILING = LISTINGS + ACTIONS + (["copy", GONE, "all", "--from-zero"], ["pending", "-S", "bpf", "-e", GONE])


def texts(err):
    """The messages on stderr."""
    return [line.removeprefix("uffdctl: ") for line in err.splitlines()]


# ---- JSON ----

@test
def cli_json_of_failures():
    """Each command prints one object, with the errors of stderr."""
    for c in FAILING:
        r = run(*c, "-J")
        eq(r.json(), {c[0]: [], "errors": [NO_SUCH]}, f"{c}")
        eq(texts(r.err), [NO_SUCH["message"]], f"{c}: stderr")
    r = run("watch", "-J", GONE, check=1)
    eq(r.json(), {"type": "error", **NO_SUCH}, "watch")


@test
def cli_json_errors_beside_rows():
    """What was not done of a range has its row and its error; where all went well the array is empty."""
    with target() as (t, m):
        eq(run("list", "-J", t.pid, check=0).json()["errors"], [], "no error")
        r = run("register", "-J", t.pid, f"{m['addr']}+4K", "@*libc.so*", check=1)
        rows, errors = r.json()["register"], r.json()["errors"]
        eq([(f"{x['start']}-{x['end']}", x["error"]) for x in rows if x["error"]],
           [(e["range"], e["message"].split(": ", 2)[2]) for e in errors if e["range"]], "rows and errors")
        ok(len(rows) > len(errors) > 0 and {e["pid"] for e in errors} == {t.pid}, f"{rows} {errors}")
        ok(all(e["error"] for e in errors if e["range"]), f"names of the errors: {errors}")
        ok(set(texts(r.err)) >= {e["message"] for e in errors}, f"as on stderr: {r.err}")


@test
def cli_json_errors_are_escaped():
    r = run("watch", "-J", os.getpid(), "--range", "@\033[31m", check=1)
    contains(json.loads(r.out.splitlines()[0])["message"], "@\\x1b[31m")
    eq([json.loads(x)["message"] for x in r.out.splitlines()], texts(r.err), "as on stderr")


main()
