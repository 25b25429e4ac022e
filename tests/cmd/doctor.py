# SPDX-License-Identifier: GPL-2.0-or-later
"""doctor: each verdict is proved by running the command in question, at the same place."""
import json
import os
import re
import subprocess
import sys
import tempfile

sys.path[0] += "/.."
from harness import (FEATURES, HUGE, PAGE, Target, TargetError, UFFDCTL, contains, eq, hugepages, main, ok, run, skip,
                     target, test)
from harness.sandbox import DOCKER_DENIES, KILL, NOBODY, Place, filtered, setting

PLACES = {
    "root": lambda: Place(),
    "user": lambda: Place(user=NOBODY),
    "user-ns": lambda: Place(user=NOBODY, unshare=["-Ur"], nsenter=["-U", "--preserve-credentials"]),
    "container": lambda: Place(unshare=["--pid", "--fork", "--mount", "--mount-proc"], nsenter=["-p", "-m"],
                               deny=DOCKER_DENIES),
    "no-bpf": lambda: Place(deny=["bpf"]),
    "no-bpf-user": lambda: Place(user=NOBODY, deny=["bpf"]),
    "no-userfaultfd": lambda: Place(deny=["userfaultfd"]),
}


def checks(out):
    return {c["check"]: c for c in json.loads(out)["doctor"]}


def ask(place, *args):
    """The exit status and the checks."""
    rc, out, err = place.run("doctor", "-J", *args)
    ok(rc in (0, 1, 3) and not err, f"doctor {args}: exit {rc}: {out} {err}")
    return rc, checks(out)


def names(out):
    return [line.split()[0] for line in out.splitlines() if line]


# ---- the verdicts ----

def prove(place, t, command, *args):
    """Asks, does, and compares."""
    rc, found = ask(place, "--for", command, t.pid)
    eq({0: True, 1: False, 3: None}[rc], found[command]["ok"], f"{command}: exit status {rc} and {found[command]}")
    done, out, err = place.run(command, *args)
    text = f"{command}: doctor says {found[command]}, it exits with {done}: {out} {err}"
    ok(rc != 3, f"it is not known: {text}")
    eq(done == 0, rc == 0, text)
    return rc == 0, found


@test(each={k: (v,) for k, v in PLACES.items()})
def doctor_proved(make):
    """What works, works; what does not, does not."""
    place = make()
    with place.target() as t:
        t.userfaultfd(user_mode_only=place.user is not None)
        shared, private = t.memory("memfd", 8 * PAGE, seed=1), t.memory("anon", 8 * PAGE)
        for command in ("list", "pending", "smaps"):
            prove(place, t, command, t.pid)
        prove(place, t, "watch", "--summary", "-d", "10ms", t.pid)
        for command in ("unregister", "continue", "zeropage", "copy"):
            more = ["--from-zero"] if command == "copy" else []
            works, _ = prove(place, t, command, *more, t.pid, "all")
            ok(not works, f"{command}: nothing is registered")
        ready, found = prove(place, t, "register", t.pid, f"{shared['addr']}+{8 * PAGE}")
        if ready:
            prove(place, t, "register", "-m", "missing", t.pid, f"{private['addr']}+{8 * PAGE}")
        for command in ("continue", "wake"):
            prove(place, t, command, t.pid, "all")
        prove(place, t, "zeropage", t.pid, f"{private['addr']}+{PAGE}")
        prove(place, t, "copy", "--from-zero", t.pid, "all")
        prove(place, t, "unregister", t.pid, "all")


main()
