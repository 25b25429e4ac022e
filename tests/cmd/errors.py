# SPDX-License-Identifier: GPL-2.0-or-later
"""Bad input: each its own message and exit code, and nothing changed."""
import errno
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile

sys.path[0] += "/.."
from harness import (HELPERS, PAGE, ROOT, Target, UFFDCTL, contains, eq, fdinfo, main, ok, run, skip, smaps_flags,
                     spawn, stat, target, test, wait_until)
from harness.sandbox import ERRNO, filtered

NOBODY = 65534
ACTIONS = ("register", "unregister", "continue", "wake")


def each(args, rc, *texts, commands=ACTIONS, **kw):
    for c in commands:
        r = run(c, *args, check=rc, **kw)
        for text in texts:
            contains(r.err, text)
        eq(r.out, "", f"{c}: nothing on stdout")


@test
def error_no_such_process():
    each((999999999, "all"), 1, "999999999: no such process")
    contains(run("smaps", 999999999, check=1).err, "no such process")
    contains(run("list", 999999999, check=1).err, "no such process")


@test
def error_not_a_pid():
    for text in ("", "abc", "-5", "0", "12x", "99999999999999999999", " 1"):
        each((text, "all"), 2) if text != "-5" else each(("--", text, "all"), 2, "not a PID")
        run("smaps", "--", text, check=2)
        run("list", "--", text, check=2)


@test
def error_kernel_thread():
    if not os.path.exists("/proc/2") or os.readlink("/proc/self/ns/pid") != os.readlink("/proc/2/ns/pid"):
        skip("no kernel thread in sight; the initial pid namespace runs this")
    each((2, "all"), 1, "is a kernel thread")


@test
def error_zombie():
    child = os.fork()
    if not child:
        os._exit(0)
    wait_until(lambda: stat(child)[1] == "Z", "a zombie")
    each((child, "all"), 1, "is a zombie")
    os.waitpid(child, 0)


@test
def error_thread():
    with target() as (t, _):
        t.threads_idle(n=1)
        tid = [int(x) for x in os.listdir(f"/proc/{t.pid}/task") if int(x) != t.pid][0]
        each((tid, "all"), 1, f"{tid}: is a thread of process {t.pid}")


@test
def error_not_ours():
    with target() as (t, _):
        each((t.pid, "all"), 1, "needs ptrace access", user=NOBODY)
        contains(run("smaps", t.pid, user=NOBODY, check=1).err, "needs ptrace access")


@test
def error_hidepid():
    """Where /proc hides what is in a process's folder, it has not ended."""
    with target() as (t, _):
        r = subprocess.run(["unshare", "--mount", "sh", "-c",
                            "mount -t proc -o hidepid=1 proc /proc && echo mounted && "
                            f"exec setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups {UFFDCTL} smaps {t.pid}"],
                           capture_output=True, text=True)
        if r.stdout != "mounted\n":
            skip(f"/proc can't be mounted with hidepid ({r.stderr.strip()}); root runs this")
        eq(r.returncode, 1, "exit status")
        contains(r.stderr, f"{t.pid} (?): Operation not permitted (needs ptrace access")


@test
def error_no_userfaultfd():
    with Target() as t:
        m = t.memory(size=PAGE)
        each((t.pid, m["addr"] + "+4K"), 1, f"{t.pid}: has no userfaultfd")


@test
def error_fd():
    with target() as (t, m):
        each((t.pid, "all", "-f", 999), 1, "has no descriptor 999")
        each((t.pid, "all", "-f", m["fd"]), 1, f"fd {m['fd']} is no userfaultfd")
        each((t.pid, "all", "-f", "x"), 2, "write FD or PID:FD")
        each((t.pid, "all", "-f", "-1"), 2, "write FD or PID:FD")
        each((t.pid, "all", "-f", "0:3"), 2, "not a PID")
        each((t.pid, "all", "-f", f"999999999:3"), 1, "No such process")


@test
def error_ranges():
    """Each names the text and what would do; a usage error, before the process is touched."""
    with target() as (t, m):
        a = m["start"]
        for text, part in ((f"{a + 1:x}+4K", f"{a:x}-{a + 2 * PAGE:x}"), (f"{a:x}+100", f"{a:x}-{a + PAGE:x}"),
                           (f"{a:x}-{a:x}", "is empty"), (f"{a:x}+0", "is empty"),
                           (f"{a + PAGE:x}-{a:x}", "ends before it starts"),
                           ("ffffffffffffffff+4K", "beyond the end"), ("fffffffffffff000+8K", "beyond the end"),
                           ("1" * 17 + "-" + "2" * 17, "beyond the end"), (f"{a:x}+99999999T", "beyond the end"),
                           ("", "not a range"), ("1234", "not a range"), ("0x", "not a range"),
                           ("guest-ram", "did you mean '@*guest-ram*'?"), ("xyz-123", "not a range"),
                           ("/dev/shm/ram", "did you mean '@/dev/shm/ram*'?"),
                           ("123456789abcdef01", "beyond the end"),
                           (f"{a:x}+4X", "not a range"), (f"{a:x}-", "not a range"), ("@", "no pattern"),
                           (":", "no symbol"), ("ALL", "did you mean all?"), (f" {a:x}+4K", "not a range")):
            each((t.pid, text), 2, text, part)


@test
def error_holes():
    with target() as (t, m):
        t.register(uffd=t.u, id=m["id"], mode=["minor"])
        t.munmap(id=m["id"], offset=4 * PAGE, len=4 * PAGE)
        a = m["start"]
        for text in (f"{a:x}+64K", f"{a + 4 * PAGE:x}+4K", f"{a + 4 * PAGE:x}", "1000+4K", "0x1000"):
            each((t.pid, text), 1, text, "nothing is mapped at", "nearest:",
                 commands=("register", "unregister", "continue"))
        ok("ui" in smaps_flags(t.pid, a), "nothing changed")
        eq(run("continue", "-J", t.pid, "1000+4K", f"{a:x}+4K", check=1).json()["continue"][0]["absent"], PAGE,
           "the other range is tried")
        each((t.pid, "@/nothing*"), 1, "no mapping has such a name")
        contains(run("register", t.pid, "@*libc.so*", check=1).err, "this kind of memory can't be registered")
        contains(run("continue", t.pid, "@*libc.so*", check=1).err, "not registered")
        contains(run("unregister", t.pid, "@*libc.so*", check=1).err, "not registered")


@test
def error_usage():
    run(check=2)
    contains(run("frob", check=2).err, "frob: no such command")
    for c in ACTIONS:
        contains(run(c, check=2).err, "no PID given")
        contains(run(c, os.getpid(), check=2).err, "no RANGE given")
        run(c, "--frob", check=2)
        contains(run(c, "--help", check=0).out, f"Usage: uffdctl {c}")
    run("continue", 1, "all", "--threads=0", check=2)
    run("continue", 1, "all", "--progress=maybe", check=2)
    run("smaps", "--flag=xx", 1, check=2)
    run("list", "--source=xx", check=2)
    run("list", "--color=xx", check=2)
    contains(run("--version", check=0).out, "uffdctl 0.")


@test
def error_stdout_full():
    with target() as (t, _):
        for c in (("list",), ("list", "-J"), ("smaps", "--all", t.pid), ("list", "--list-columns"),
                  ("register", t.pid, "all")):
            with open("/dev/full", "w") as full:
                p = spawn(*c, stdout=full)
                _, err = p.communicate()
            eq(p.returncode, 1, f"{c}: exit status")
            contains(err.decode(), "No space left on device")


@test
def error_stdout_closed():
    """A descriptor that we open must not be taken for stdout."""
    with target() as (t, m):
        t.fill(id=m["id"], seed=1)
        t.register(uffd=t.u, id=m["id"], mode=["minor"])
        for c in (("list",), ("continue", t.pid, "all", "--from-zero"), ("--version",)):
            p = spawn(*c, stdout=None, preexec_fn=lambda: os.close(1))
            _, err = p.communicate()
            eq(p.returncode, 1, f"{c}: exit status")
            contains(err.decode(), "stdout is closed")
        eq(t.check_file(id=m["id"], seed=1)["differ"], 0, "nothing was done")
        p = spawn("continue", t.pid, "all", "--from-zero", stdin=None, stderr=None,
                  preexec_fn=lambda: (os.close(0), os.close(2)))
        out, _ = p.communicate()
        eq(p.returncode, 0, "stdin and stderr are not needed")
        eq(t.peek(id=m["id"], offset=0, len=64, through="second")["hex"], "00" * 64, "nothing but zeros was written")


@test(rule="identified-once")
def error_recycled_pid():
    """A PID that another process got meanwhile: the new one is not touched."""
    code = r"""
import sys
sys.path.insert(0, 'tests')
from harness import Target, links, run, spawn, wait_until
t = Target()
t.userfaultfd()
t.memory(size=1 << 30, alloc=True, mode='minor')
p = spawn('continue', '-J', t.pid, 'all', '--threads', '1')
wait_until(lambda: p.poll() is not None or any('userfaultfd' in x for x in links(p.pid)), 'it is at work')
t.kill()
with open('/proc/sys/kernel/ns_last_pid', 'w') as f:
    f.write(str(t.pid - 1))
n = Target()
assert n.pid == t.pid, (n.pid, t.pid)
n.userfaultfd()
n.memory(size=1 << 20, seed=1, mode='minor')
out, err = p.communicate()
assert p.returncode in (0, 1), p.returncode
mapped = run('continue', '-J', n.pid, 'all', check=0).json()['continue'][0]
assert mapped['already'] == 0, mapped
"""
    p = subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", code], cwd=ROOT,
                       capture_output=True, text=True)
    if "Operation not permitted" in p.stderr or "ns_last_pid" in p.stderr:
        skip("a pid namespace with ns_last_pid can't be had; root and CONFIG_CHECKPOINT_RESTORE run this")
    eq((p.returncode, p.stderr), (0, ""), "in the namespace")


@test
def error_debug_file_is_a_fifo():
    """What a target's ELF file names as its debug file is not opened unless it is a regular file."""
    with tempfile.TemporaryDirectory() as d:
        program = os.path.join(d, "target")
        shutil.copy(os.path.join(HELPERS, "target"), program)
        open(program + ".debug", "w").close()
        for c in (["strip", "--strip-all", "--remove-section=.note.gnu.build-id"],
                  ["objcopy", f"--add-gnu-debuglink={program}.debug"]):
            subprocess.run(c + [program], check=True)
        os.unlink(program + ".debug")
        os.mkfifo(program + ".debug")
        with Target(program=program) as t:
            t.userfaultfd()
            contains(run("register", t.pid, ":scratch", timeout=10, check=1).err, "no data object scratch")


@test
def error_other_proc():
    """A /proc of another pid namespace would mix two processes."""
    p = subprocess.run(["unshare", "--pid", "--fork", UFFDCTL, "list"],
                       capture_output=True, text=True)
    if "unshare:" in p.stderr:
        skip("unshare: not permitted; root runs this")
    eq(p.returncode, 1, "exit status")
    contains(p.stderr, "another pid namespace")


@test
def error_help_into_full_disk():
    for c in (("--help",), ("register", "--help"), ("--version",)):
        with open("/dev/full", "w") as full:
            p = spawn(*c, stdout=full)
            _, err = p.communicate()
        eq(p.returncode, 1, f"{c}")
        contains(err.decode(), "No space left")


@test
def error_few_descriptors():
    """Too few descriptors for ourselves is an error, not a machine without userfaultfds."""
    with target() as (t, _):
        for n in range(4, 20):
            p = spawn("list", preexec_fn=lambda n=n: resource.setrlimit(resource.RLIMIT_NOFILE, (n, n)))
            out, err = p.communicate()
            ok(p.returncode == 1 or str(t.pid) in out.decode(), f"{n} descriptors: {p.returncode}: {out} {err}")


@test
def error_holds_anothers():
    with target() as (t, m):
        child = t.child_handler(uffd=t.u, action="none")["pid"]
        r = run("continue", child, "all", check=1)
        contains(r.err, f"governs the memory of process {t.pid}: give that PID")
        # Without BPF only the deed tells; what went to the parent is taken back.
        fd = int(re.search(r"holds fd (\d+)", r.err)[1])
        p = subprocess.run(["setpriv", "--bounding-set=-bpf,-perfmon,-sys_admin", "--inh-caps=-bpf,-perfmon,-sys_admin",
                            UFFDCTL, "register", str(child),
                            m["addr"] + "+64K", "-f", str(fd)], capture_output=True, text=True)
        eq(p.returncode, 1, f"refused: {p.stderr}")
        contains(p.stderr, "another process's memory")
        ok("ui" not in smaps_flags(t.pid, m["addr"]), "nothing is left in the other process")


@test
def error_libbpf_is_quiet():
    """What libbpf says comes with -v -v only: its lines say the same again, in other words."""
    for backend in ("fentry", "kprobe"):
        r = run("watch", "--summary", "-v", "-d", "0.01", f"--backend={backend}")
        ok("libbpf" not in r.err, r.err)


@test
def error_long_path():
    """A mapping whose path no buffer takes is no shield for the others."""
    with target() as (t, m), tempfile.TemporaryDirectory() as d:
        here = os.getcwd()
        os.chdir(d)
        try:
            for _ in range(21):
                os.mkdir("x" * 200)
                os.chdir("x" * 200)
            with open("file", "w") as f:
                f.truncate(PAGE)
            t.memory("file", PAGE, path=f"/proc/{os.getpid()}/cwd/file", shared=False)
        finally:
            os.chdir(here)
        t.register(uffd=t.u, id=m["id"], mode=["minor"])
        t.fill(id=m["id"], seed=1)
        run("continue", t.pid, "all", check=0)
        bpf, proc = (run("smaps", "--all", "-o", "START,NAME", "-S", s, t.pid, check=0).out for s in ("bpf", "proc"))
        ok(bpf == proc and "x" * 200 in bpf, "both sources")
        shutil.rmtree(os.path.join(d, "x" * 200), ignore_errors=True)


# ---- without privileges ----

@test
def user_own_process():
    """register, continue, smaps and list on one's own process, with a userfaultfd for user-mode faults."""
    with target(user=NOBODY) as (t, m):
        t.fill(id=m["id"], seed=1)
        r = run("register", "-J", t.pid, "@/memfd:guest", user=NOBODY, check=0)
        eq(r.err.count("setcap cap_bpf,cap_perfmon+ep"), 1, f"the remedy, once: {r.err}")
        ok("ui" in smaps_flags(t.pid, m["addr"]), "registered")
        th = t.touch(id=m["id"], access="read", seed=1)["threads"][0]
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 1, "a thread waits")
        r = run("list", "-J", user=NOBODY, check=0)
        mine = [x for x in r.json()["list"] if x["pid"] == t.pid]
        eq([(x["fd"], x["pending"], x["target_pid"], x["minor"]) for x in mine], [(t.u, 1, None, None)], "list")
        rows = run("smaps", "-J", t.pid, user=NOBODY, check=0).json()["smaps"]
        eq([(x["start"], x["flags"], x["holders"]) for x in rows], [(m["addr"], ["ui"], None)], "smaps")
        row = run("continue", "-J", t.pid, f"{m['addr']}+32K", user=NOBODY, check=0).json()["continue"][0]
        eq(row["mapped"], 8 * PAGE, "continue")
        r = run("continue", t.pid, "all", "--from-zero", user=NOBODY, check=1)
        contains(r.err, "without BPF it is not known")
        row = run("continue", "-J", t.pid, "all", "--from-zero", "--force", user=NOBODY, check=0).json()["continue"][0]
        eq((row["mapped"], row["already"]), (8 * PAGE, 8 * PAGE), "--from-zero by the process's own descriptor of the file")
        ok(t.join(thread=th)["done"], "the thread is through")
        n = t.memory("anon", 4 * PAGE, mode="missing")
        row = run("copy", "-J", t.pid, f"{n['addr']}+4K", "--from-zero", user=NOBODY, check=0).json()["copy"][0]
        eq(row["mapped"], PAGE, "copy")
        row = run("zeropage", "-J", t.pid, "all", user=NOBODY, check=0).json()["zeropage"][0]
        eq((row["mapped"], row["already"]), (3 * PAGE, PAGE), "zeropage")
        run("unregister", t.pid, "all", user=NOBODY, check=0)
        contains(run("list", "--source=bpf", user=NOBODY, check=1).err, "CAP_BPF")
        contains(run("smaps", "--source=bpf", t.pid, user=NOBODY, check=1).err, "CAP_BPF")


@test
def user_is_told_what_is_missing():
    """Once, last, with the remedy, and only where it concerns what was asked for."""
    with target(user=NOBODY, mode="minor") as (t, _):
        remedy = "BPF is not permitted (needs CAP_BPF and CAP_PERFMON: run as root, or setcap cap_bpf,cap_perfmon+ep"
        for args in (("list", t.pid), ("smaps", t.pid), ("list", "-J", t.pid)):
            lines = run(*args, user=NOBODY, check=0).err.splitlines()
            ok(len(lines) == 1 and lines[0].startswith(f"uffdctl: values are unknown: {remedy}"), f"{args}: {lines}")
        contains(run("list", user=NOBODY, check=0).err, "processes can't be seen: " + remedy)
        for args in (("list", "-o", "pid,fd,pending,total", t.pid), ("smaps", "-o", "start,end,flags", t.pid)):
            eq(run(*args, user=NOBODY, check=0).err, "", f"{args}: nothing that was asked for is missing")
        for args in (("list",), ("smaps",), ("pending",)):
            lines = run(*args, 999999999, user=NOBODY, check=1).err.splitlines()
            eq(lines, ["uffdctl: 999999999: no such process"], f"{args}: the error alone")
    with Target(user=NOBODY) as t:
        r = run("list", t.pid, user=NOBODY, check=0)
        eq(r.err, "uffdctl: no visible userfaultfd belongs to these processes (see uffdctl list)\n", "without a row")


NO_DEVICE = "[ ! -e /dev/userfaultfd ] || mount --bind /dev/null /dev/userfaultfd"


@test(each={"userfaultfd": ("userfaultfd", "a seccomp filter denies userfaultfd(2)", errno.EPERM),
            "userfaultfd-absent": ("userfaultfd", "a seccomp filter denies userfaultfd(2)", errno.ENOSYS),
            "bpf": ("bpf", "a seccomp filter denies bpf(2)", errno.EPERM)})
def denied_by_a_filter(call, text, err):
    """The layer that says no is named, and only that: a user would ask for privileges in vain."""
    with target(mode="minor") as (t, _):
        for args in (["list"], ["list", "--source=bpf"], ["smaps", "--source=bpf", str(t.pid)], ["pending", "--source=bpf"],
                     ["smaps", str(t.pid)]):
            p = subprocess.run(["unshare", "--mount", "sh", "-c", f'{NO_DEVICE}; exec "$@"', "sh", UFFDCTL, *args], capture_output=True,
                               text=True, preexec_fn=filtered([call], ERRNO | err))
            if "unshare:" in p.stderr or "mount:" in p.stderr:
                skip(f"{p.stderr.strip()}; root runs this")
            contains(p.stderr, text)
            ok("BPF is not permitted" not in p.stderr and "CAP_BPF" not in p.stderr, f"{args}: {p.stderr}")
            eq(p.returncode, 1 if "--source=bpf" in args else 0, f"{args}: {p.stderr}")


@test
def user_with_bpf_alone():
    """As after setcap cap_bpf,cap_perfmon+ep: what others' fdinfo would say is unknown, and what else it needs is said."""
    caps = "+bpf,+perfmon"
    prefix = ["setpriv", f"--reuid={NOBODY}", "--clear-groups", f"--inh-caps={caps}", f"--ambient-caps={caps}", UFFDCTL]
    with target(mode="minor") as (t, _):
        def listed(*args):
            return subprocess.run([*prefix, "list", *args], capture_output=True, text=True, check=True)
        if "BPF is not permitted" in listed().stderr:
            skip("BPF is not permitted with CAP_BPF and CAP_PERFMON alone")
        r = listed("-J")
        row = next(x for x in json.loads(r.stdout)["list"] if x["pid"] == t.pid)
        eq((row["target_pid"], row["reader"], row["minor"], row["total"]), (t.pid, False, 16 * PAGE, None), "the row")
        contains(r.stderr, "setcap cap_bpf,cap_perfmon,cap_sys_ptrace+ep")
        eq(listed("-o", "pid,fd").stderr, "", "nothing that was asked for is missing")


@test
def user_ptrace_access():
    """What is missing is named; reading about a process is nothing that Yama forbids."""
    with target() as (t, _):
        for args in (("smaps", t.pid), ("continue", t.pid, "all")):
            r = run(*args, user=NOBODY, check=1)
            contains(r.err, "setcap cap_sys_ptrace+ep on this program")
            ok("Yama" not in r.err, r.err)


@test
def user_several_userfaultfds():
    with target(user=NOBODY) as (t, _):
        other = t.userfaultfd()
        r = run("register", t.pid, "all", user=NOBODY, check=1)
        contains(r.err, f"{t.pid}:{t.u}, {t.pid}:{other}")
        run("register", t.pid, "all", "-f", t.u, user=NOBODY, check=0)
        run("unregister", t.pid, "all", "-f", t.u, user=NOBODY, check=0)


@test
def errors_arguments_are_escaped():
    """What an argument holds can't act on the terminal, in whichever place and by whomever it is printed."""
    help_of = {c: run(c, "--help", check=0).out for c in re.findall(r"^  ([a-z]+) ", run("--help", check=0).out, re.M)}
    for evil, shown in (("\033[31m", "\\x1b[31m"), ("\n", "\\x0a"), ("\r", "\\x0d"), ("\u009b", "\\xc2\\x9b"),
                        ("\udcff", "\\xff"), ("\u202e", "\\xe2\\x80\\xae")):
        lines = [[evil], [f"--{evil}"], [f"--color={evil}", "list"], [f"--program-name={evil}", "list", "--x"]]
        for command, text in help_of.items():
            lines += [[command, *args] for args in (
                [evil], ["1", evil], [f"--{evil}"], [f"-{evil}"], [f"-q{evil}"], [f"--co={evil}"], [f"--no-such={evil}"],
                ["-o", evil, "1", "all"], [f"--help={evil}"])]
            lines += [[command, f"--{name}={evil}"] for name in re.findall(r"--([a-z-]+)=", text)
                      if name not in ("from", "output", "openmetrics", "prefetch-set", "record", "record-set", "state")]
        for command in ("report", "set"):  # which miss their first argument first
            lines.remove([command, "1", evil])
        for args in lines:
            r = run(*args)
            ok(r.rc in (1, 2) and evil not in r.err.rstrip("\n").replace("\nTry `", " ").replace("\ninformation", " "),
               f"{args}: {r.rc}: {r.err!r}")
            ok(shown in r.err or args[-1] not in (evil, f"--{evil}", f"-{evil}", f"-q{evil}", f"--no-such={evil}"), f"{args}: {r.err!r}")


main()
