# SPDX-License-Identifier: GPL-2.0-or-later
"""serve -- COMMAND: programs that are started, and served from their first instruction on."""
import json
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path[0] += "/.."
from harness import HELPERS, PAGE, SLOW, UFFDCTL, contains, eq, image, main, ok, run, skip, spawn, test

NR = 256
SEED = 9
NOBODY = 65534


def started(*args):
    """The helper bss under serve: what it prints, and what serve prints, objects."""
    p = spawn("serve", "-J", *args, "--", f"{HELPERS}/bss")
    out, err = p.communicate(timeout=60 * SLOW)
    eq(p.returncode, 7, f"exit status; {err}")
    return out, [json.loads(x) for x in err.splitlines() if x.startswith(b"{")]


# ---- what is served ----

@test(each={"demand": ((),), "prefault": (("--prefault",),), "until-complete": (("--prefault", "--until-complete"),)})
def serve_command_from(options):
    """An array of the program has the image from its first access on, of its own or of the kernel."""
    with image(NR, SEED) as img:
        out, objects = started("--from", img.name, *options, ":arena")
        with open(img.name, "rb") as f:
            eq(out == f.read(), True, "what it has seen")
    start, end = objects[0], objects[-1]
    eq((start["type"], start["total"], start["holder"]), ("start", NR * PAGE, start["pid"]), "start")
    eq((end["errors"], end["demand"] + end["prefault"]), (0, NR * PAGE), f"end: {end}")
    # The program may end first.
    ok(end["reason"] in ("gone", "complete" if "--until-complete" in options else "gone"), f"end: {end}")


@test
def serve_command_map():
    """--map names the ranges, and none is given besides."""
    with image(NR, SEED) as img:
        out, objects = started("--map", f":arena={img.name}")
        with open(img.name, "rb") as f:
            eq(out == f.read(), True, "what it has seen")
    eq((objects[0]["source"], objects[0]["total"]), ("map", NR * PAGE), "start")


PYTHON = "import sys; print(sys.stdin.readline(), sum(len(str(i)) for i in range(100000)), sys.argv[1:]); sys.exit(3)"


@test(each={f"{n}-{s.strip('-')}": (n, s) for n in ("python3", "sqlite3", "sh") for s in ("--keep", "--zero")}, limit=120)
def serve_command_program(name, source):
    """The same input, output and exit status as without, which nothing of ours is mixed into."""
    program = shutil.which(name)
    if not program:
        skip(f"there is no {name}")
    args, data = {
        "python3": (["-c", PYTHON, "-x", "--", "a b"], b"line\n"),
        "sqlite3": ([":memory:"], b"create table t(a);\ninsert into t values (1),(2);\nselect sum(a), length(zeroblob(9999999)) from t;\nx;\n"),
        "sh": (["-c", "cat; (exit 5); echo $?; exec sh -c 'echo $0; exit 4' x"], b"line\n"),
    }[name]
    want = subprocess.run([program, *args], input=data, capture_output=True)
    p = spawn("serve", source, "--prefault", "all", "--", program, *args)
    out, err = p.communicate(data, timeout=60 * SLOW)
    eq((p.returncode, out), (want.returncode, want.stdout), f"exit status and output; {err}")
    contains(err.decode(), "serving ")
    p = spawn("serve", "-q", source, "--", name, *args)
    out, err = p.communicate(data, timeout=60 * SLOW)
    eq((p.returncode, out, err), (want.returncode, want.stdout, want.stderr), "quiet, and found in PATH")


@test(each={"keep": ("--keep",), "zero": ("--zero",), "complete": ("--zero", "--prefault", "--until-complete")})
def serve_command_stack_grows(*options):
    """The stack of a program is served; what it grows by is registered, too."""
    p = spawn("serve", "-q", *options, "--", "sh", "-c", "f() { [ $1 = 0 ] || f $(($1 - 1)); }; f 900; grep VmStk /proc/$$/status")
    out, err = p.communicate(timeout=30 * SLOW)
    eq((p.returncode, err), (0, b""), "it goes on")
    ok(int(out.split()[1]) > 200, f"it has grown: {out}")


@test
def serve_command_killed():
    """With --keep, the program runs on when serve is killed."""
    p = spawn("serve", "-q", "--keep", "--prefault", "--", "sh", "-c", "echo $$; read x; echo $x; f() { [ $1 = 0 ] || f $(($1 - 1)); }; f 500; echo deep")
    pid = int(p.stdout.readline())
    p.kill()
    p.wait()
    p.stdin.write(b"line\n")
    p.stdin.close()
    eq(p.stdout.read(), b"line\ndeep\n", f"{pid} goes on")


@test(limit=200)
def serve_command_killed_while_held():
    """Killed at any ptrace call: the program has not begun, and is gone, or it runs."""
    if not shutil.which("strace"):
        skip("needs strace")
    args = ("serve", "-q", "--keep", "--", "sh", "-c", "echo begun")
    # Not its children: they can't be traced twice.
    with tempfile.NamedTemporaryFile("r") as f:
        subprocess.run(["strace", "-qq", "-o", f.name, "-e", "trace=ptrace", UFFDCTL, *args], capture_output=True)
        calls = f.read().count("ptrace(")
    ok(calls > 10, f"calls: {calls}")
    for nr in range(1, calls + 1):
        r = subprocess.run(["strace", "-qq", "-o", "/dev/null", "-e", f"inject=ptrace:signal=KILL:when={nr}", UFFDCTL, *args],
                           capture_output=True, timeout=30 * SLOW)
        # All that holds its stdout has ended.
        ok(r.stdout in (b"", b"begun\n") and (nr == calls or r.stdout == b""), f"at {nr} of {calls}: {r}")


# ---- how it ends ----

@test
def serve_command_statuses():
    for args, status in ((["sh", "-c", "exit 42"], 42), (["sh", "-c", "kill -9 $$"], 137), (["no-such-program"], 127), (["/"], 126),
                         (["/dev/null"], 126)):
        eq(run("serve", "-q", "--zero", "--", *args).rc, status, f"{args}")
        r = run("serve", "-J", "--zero", "--", *args)
        eq(r.out, "", "nothing of ours is in its output")
        ok(json.loads(r.err[r.err.index("{"):].splitlines()[-1])["type"] in ("error", "end"), "JSON is beside it")
    eq(run("serve", "--zero", "-m", "minor", "all", "--", "true").rc, 125, "nothing can be registered for minor")
    eq(run("serve", "--zero", "@nothing", "--", "sh", "-c", "echo started").out, "", "it has not run")
    contains(run("serve", "--from", "/nonexistent", "--", "true", check=125).err, "No such file")


@test(each={s.name.lower(): (s,) for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)})
def serve_command_signals(sig):
    """They go to the program, which may handle them; serving goes on meanwhile."""
    code = "import signal, sys\nsignal.signal(%d, lambda *x: (print(str(len('x' * 9999999))), sys.exit(6)))\nprint('ready', flush=True)\nwhile True: signal.pause()" % sig
    p = spawn("serve", "-q", "--zero", "--", sys.executable, "-c", code)
    eq(p.stdout.readline(), b"ready\n", "it has started")
    p.send_signal(sig)
    out, err = p.communicate(timeout=30 * SLOW)
    eq((p.returncode, out, err), (6, b"9999999\n", b""), "the program has handled it")
    p = spawn("serve", "-q", "--zero", "--", "sh", "-c", "echo ready; exec sleep 100")
    p.stdout.readline()
    p.send_signal(sig)
    p.communicate(timeout=30 * SLOW)
    eq(p.returncode, 128 + sig, "the program has not handled it")


@test
def serve_command_as_without():
    """Signals, working directory and descriptors are what they would be, with contents one descriptor aside."""
    code = "import os; print([l for l in open('/proc/self/status') if 'Sig' in l and 'SigQ' not in l], os.getcwd(), os.getppid() > 1, sorted(os.listdir('/proc/self/fd')))"
    want = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    eq(run("serve", "-q", "--keep", "--", sys.executable, "-c", code, check=0).out, want.stdout, "with --keep all")
    got = run("serve", "-q", "--zero", "--", sys.executable, "-c", code, check=0)
    eq(eval_list(got.out), sorted([*eval_list(want.stdout), str(len(eval_list(want.stdout)))]), "one more")
    eq(got.out.split("[", 2)[1], want.stdout.split("[", 2)[1], "the rest")


def eval_list(text):
    return sorted(json.loads(text[text.rindex("["):].replace("'", '"')))


@test
def serve_command_by_a_user():
    """Without privileges, where the user may make userfaultfds; otherwise it is said, and the program has not run."""
    r = run("serve", "--zero", "--", "/bin/echo", "hello", user=NOBODY)
    if r.rc:
        eq((r.rc, r.out), (125, ""), f"{r}")
        contains(r.err, "userfaultfd")
    else:
        eq(r.out, "hello\n", "its output")


@test
def serve_command_usage():
    for args, text in ((("--zero", "-f", 3, "--", "true"), "goes with none of"), (("--zero", "--inject", "all", "--", "true"), "goes with none of"),
                       (("--zero", "--dry-run", "--", "true"), "goes with none of"), (("--zero", "--"), "no PID given"),
                       (("--zero", "--handoff", "x", "--", "true"), "goes with none of"), (("--", "true"), "write one of --from"),
                       (("--zero", 1, "-m", "missing"), "--mode needs")):
        contains(run("serve", *args, check=2).err, text)


main()
