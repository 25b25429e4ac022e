# SPDX-License-Identifier: GPL-2.0-or-later
"""The edges of the command line: JSON after a failure, exit statuses, -q, pipes, help, processes by name."""
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path[0] += "/.."
from harness import (HELPERS, PAGE, Target, UFFDCTL, contains, eq, fdinfo, main, ok, run, smaps_flags, spawn, stat, target, test,
                     wait_until)

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
        more = {"handlers": []} if c[0] == "pending" else {}
        eq(r.json(), {c[0]: [], **more, "errors": [NO_SUCH]}, f"{c}")
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
        for args in (["-e", GONE], ["-e", "-J", GONE], ["-e", t.pid, GONE], ["--wait", GONE], ["--wait", "-J", GONE]):
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
                  ["pending", "-q", "--watch=10ms", t.pid], ["pending", "-J", "--watch=10ms"], ["list", "--list-columns"], ["watch", "-q", t.pid],
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


@test
def cli_help_lists_what_is_taken():
    """watch prints no table; before the command's name, the options of tables are for any command."""
    for args in (["-o", "PID"], ["--list-columns"], ["--raw"], ["-b"]):
        contains(run("watch", *args, check=2).err, "option")
        ok(not re.search(rf" {args[0]}[,= ]", run("watch", "--help").out), f"{args}")
    for args in (["-o", "PID"], ["-r"], ["-b"]):
        contains(run(*args, "watch", check=2).err, "for commands that print a table")
        run(*args, "list", check=0)


# ---- processes by name ----

@contextlib.contextmanager
def named(n, argv0="sleep"):
    """So many processes with this first argument."""
    children = [subprocess.Popen([argv0, "600"], executable="/bin/sleep") for _ in range(n)]
    wait_until(lambda: all(stat(p.pid)[0] == "sleep" for p in children), "they run")
    try:
        yield children
    finally:
        for p in children:
            p.kill()
            p.wait()


@test
def cli_process_by_name():
    """%NAME wherever a PID is taken; each message and row has the PID."""
    name = f"u{os.getpid()}: x%"
    with target(seed=1, mode="minor") as (t, m):
        t.comm(name=name)
        for c in ("list", "pending", "smaps"):
            eq(run(c, "-J", "%" + name, check=0).json(), run(c, "-J", t.pid, check=0).json(), c)
        row = run("continue", "-J", "%" + name, "all", "-f", f"%{name}:{t.u}", check=0).json()["continue"][0]
        eq((row["pid"], row["start"]), (t.pid, m["addr"]), "continue")
        contains(run("register", "%" + name, "1000+4K", check=1).err, f"uffdctl: {t.pid}: ")
        watch = run("watch", "-J", "-d", "10ms", f"%{name}", check=0)
        eq(watch.json()["type"], "summary", "watch")
        run("pending", "-e", f"%{name}", str(t.pid), check=0)
    for c, rc in ((["pending", "-e"], 3), (["list"], 1), (["smaps"], 1), (["wake"], 1)):
        r = run(*c, "-J", "%" + name, *["all"][:c == ["wake"]], check=rc)
        contains(r.err, f"no process has the name {name}")
        eq(([e["error"] for e in r.json()["errors"]], r.json()[c[0]]), (["ESRCH"], []), f"{c}")
    run("list", "%", check=2)


@test
def cli_process_by_program():
    """A file's name is longer than comm; the file may be gone. The first argument is what its caller made it."""
    with tempfile.TemporaryDirectory() as d:
        program = f"{d}/target-{os.getpid()}-of-this-test"
        shutil.copy(os.path.join(HELPERS, "target"), program)
        with Target(program=program) as t:
            t.userfaultfd()
            for _ in range(2):
                eq(run("list", "-J", "%" + os.path.basename(program), check=0).json()["list"][0]["pid"], t.pid, "by program")
                if os.path.exists(program):
                    os.unlink(program)
        with named(1, f"/no/where/x-{os.getpid()}") as (p,):
            contains(run("register", f"%x-{os.getpid()}", "all", check=1).err, f"{p.pid}: has no userfaultfd")


@test
def cli_process_is_ambiguous():
    """Candidates are listed, escaped, and none is taken."""
    with named(12, f"/evil-{os.getpid()}\033[31m" + "é" * 60) as children:
        r = run("list", "-J", f"%evil-{os.getpid()}\033[31m" + "é" * 60, check=1)
        contains(r.err, "12 processes have the name evil")
        for p in children[:10]:
            contains(r.err, f"{p.pid} (/evil-{os.getpid()}\\x1b[31mé")
        contains(r.err, "é...), and 2 more: give the PID of one")
        ok("\033" not in r.err and "\\xc3" not in r.err, r.err)
        eq([e["error"] for e in r.json()["errors"]], ["ENOTUNIQ"], "JSON")


@test
def cli_process_left_out():
    """uffdctl itself, zombies, kernel threads; a process lives on without its first thread."""
    name = f"z{os.getpid()}"
    with Target() as t:
        t.comm(name=name)
        t.userfaultfd()
        child = os.fork()
        if not child:
            with open("/proc/self/comm", "w") as f:
                f.write(name)
            os._exit(0)
        wait_until(lambda: stat(child)[1] == "Z", "a zombie")
        eq(run("list", "-J", "%" + name, check=0).json()["list"][0]["pid"], t.pid, "the other one")
        os.waitpid(child, 0)
        t.threads_idle(n=1)
        t.leader_ends()
        wait_until(lambda: stat(t.pid)[1] == "Z", "the first thread has ended")
        eq(run("list", "-J", "%" + name, check=0).json()["list"][0]["pid"], t.pid, "it lives")
    with tempfile.TemporaryDirectory() as d:
        itself = shutil.copy(UFFDCTL, f"{d}/u{os.getpid()}")
        for name in (os.path.basename(itself), "kthreadd"):
            r = subprocess.run([itself, "list", "%" + name], capture_output=True, text=True)
            eq(r.returncode, 1, name)
            contains(r.stderr, f"no process has the name {name}")


main()
