# SPDX-License-Identifier: GPL-2.0-or-later
"""The edges of the command line: JSON after a failure, exit statuses, -q, pipes, help, processes by name."""
import json
import os
import re
import signal
import sys

sys.path[0] += "/.."
from harness import PAGE, contains, eq, fdinfo, main, ok, run, smaps_flags, spawn, target, test, wait_until

GONE = 999999999
LISTINGS = (["list", GONE], ["pending", GONE], ["smaps", GONE])
NO_SUCH = {"pid": GONE, "range": None, "error": "ESRCH", "message": f"{GONE}: no such process"}
ACTIONS = tuple([c, GONE, "all"] for c in ("register", "unregister", "continue", "zeropage", "wake"))
FAILING = LISTINGS + ACTIONS + (["copy", GONE, "all", "--from-zero"], ["pending", "-S", "bpf", "-e", GONE])


def without_number(message):
    return re.sub(r"\b\d+ processes", "N processes", message)


def texts(err):
    """The messages on stderr; processes come and go, and so does their number."""
    return [without_number(line.removeprefix("uffdctl: ")) for line in err.splitlines()]


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


# ---- -q, exit statuses, pipes ----

@test
def cli_quiet_says_errors():
    """-q leaves out notes and warnings, and no error."""
    with target() as (t, m):
        calls = [(None, c) for c in (*FAILING, ["register", t.pid, "@*libc.so*"], ["continue", t.pid, m["addr"] + "+4K"],
                                     ["register", t.pid, m["addr"] + "+4K"], ["continue", t.pid, m["addr"] + "+4K"],
                                     ["smaps", os.getpid()], ["list", os.getpid()])]
        calls += [(65534, c) for c in (["list", "-S", "bpf"], ["smaps", t.pid], ["pending", "-e", "-S", "proc"],
                                       ["register", t.pid, "all"], ["pending", "-e", t.pid], ["list"])]
        for user, c in calls:
            loud, quiet, json_ = (run(*c, *more, user=user) for more in ([], ["-q"], ["-J"]))
            eq((quiet.rc, texts(quiet.err)), (loud.rc,
               [without_number(e["message"]) for e in json_.json()["errors"]]), f"{c}: errors")
            ok(set(texts(quiet.err)) <= set(texts(loud.err)), f"{c}: {quiet.err} {loud.err}")
            ok(quiet.rc == 0 or quiet.err, f"{c}: exit status {quiet.rc} without a word")
        for args in ([GONE], [t.pid, "--range=@frob"]):
            ok(run("watch", "-q", *args, check=1).err, f"watch {args}")
        ok(run("watch", "-q", "-d", "1", t.pid, user=65534, check=1).err, "watch without privileges")


@test
def cli_health_check():
    """pending -e: 0 nobody waits, 1 a thread waits, 3 it is not known."""
    with target(size=PAGE, seed=1, mode="minor") as (t, m):
        run("pending", "-e", t.pid, check=0)
        for args in (["-e", GONE], ["-e", "-J", GONE], ["-e", t.pid, GONE], ["-e", "--watch=10ms", GONE]):
            contains(run("pending", *args, check=3).err, "no such process")
        run("pending", GONE, check=1)
        run("pending", "-e", "frob", check=2)
        contains(run("pending", "-q", "-e", user=65534, check=3).err, "it is not known whether a thread waits")
        run("pending", "-q", user=65534, check=0)
        t.touch(id=m["id"], access="read")
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 1, "it waits")
        run("pending", "-e", t.pid, check=1)
        for preexec, text in ((lambda: os.close(1), "stdout is closed"), (None, "No space left")):
            with open("/dev/full", "w") as full:
                p = spawn("pending", "-e", t.pid, stdout=full, preexec_fn=preexec)
                _, err = p.communicate()
            eq(p.returncode, 3, text)
            contains(err.decode(), text)


def into_closed_pipe(*args):
    r, w = os.pipe()
    os.close(r)
    p = spawn(*args, stdout=w)
    os.close(w)
    _, err = p.communicate(timeout=60)
    return p.returncode, err.decode()


@test
def cli_pipe_without_reader():
    """The reader has seen enough: no message."""
    with target() as (t, _):
        for c in (["list"], ["smaps", "-a", t.pid], ["smaps", "-a", "-J", t.pid], ["pending", "-J"], ["--help"],
                  ["pending", "-J", "--watch=10ms"], ["list", "--list-columns"], ["watch", "-q", t.pid],
                  ["watch", "--json", "--interval=20ms"], ["watch", "-q", "--summary", t.pid]):
            eq(into_closed_pipe(*c), (-signal.SIGPIPE, ""), f"{c}")


@test
def cli_pipe_without_reader_acts():
    """What is to be done is done, and the exit status says whether it was."""
    with target(seed=1) as (t, m):
        eq(into_closed_pipe("register", "-q", t.pid, "all"), (0, ""), "registered")
        ok("ui" in smaps_flags(t.pid, m["addr"]), "registered")
        eq(into_closed_pipe("continue", "-J", t.pid, "all"), (0, ""), "continued")
        eq(run("continue", "-J", t.pid, "all", check=0).json()["continue"][0]["mapped"], 0, "all was mapped")
        rc, err = into_closed_pipe("continue", t.pid, "1000+4K", "all")
        eq(rc, 1, "a range fails")
        eq(texts(err)[0].split(":")[0], str(t.pid), "and is reported")


# ---- help ----

@test
def cli_help():
    main_help = run("--help", check=0).out
    for args in (["-h"], ["-?"], ["help"], ["-h", "list"]):
        eq(run(*args, check=0).out, main_help, f"{args}")
    for c in ("list", "watch", "copy"):
        want = run(c, "--help", check=0).out
        contains(want, f"Usage: uffdctl {c}")
        for args in (["help", c], [c, "-h"], [c, "-?"], [c, "1", "-h"], ["-q", "help", c], ["help", c, "all"]):
            eq(run(*args, check=0).out, want, f"{args}")
    for args in (["help", "frob"], ["help", "help"], ["help", "-x"]):
        r = run(*args, check=2)
        contains(r.err, f"{args[1]}: no such command")
        eq(r.out, "", f"{args}")


main()
