# SPDX-License-Identifier: GPL-2.0-or-later
"""pending: who should resolve what waits, and what keeps it."""
import contextlib
import ctypes
import errno
import os
import signal
import socket
import subprocess
import sys
import tempfile

sys.path[0] += "/.."
from harness import PAGE, Target, contains, eq, fdinfo, main, ok, run, skip, stat, target, test, wait_until


def pending(*args):
    return run("pending", "-J", *args, check=0).json()


def handler(look, comm="handler"):
    """The row of the thread of this name."""
    found = [h for h in look["handlers"] if h["comm"] == comm]
    eq(len(found), 1, f"one thread {comm}: {look['handlers']}")
    return found[0]


@contextlib.contextmanager
def delivered(**how):
    """A target whose handler has read the message of one thread, and is then in something else."""
    with target(seed=1, mode="minor") as (t, m):
        t.handler(uffd=t.u, **{k: v(t) if callable(v) else v for k, v in how.items()})
        t.touch(id=m["id"], len=PAGE, access="read")
        wait_until(lambda: (lambda i: (i["pending"], i["total"]))(fdinfo(t.pid, t.u)) == (0, 1), "it is read")
        yield t


def in_call(t, name):
    return wait_until(lambda: (h := handler(pending(t.pid)))["syscall"] == name and h, f"it is in {name}")


@test
def handlers_tcp():
    try:
        server = socket.create_server(("127.0.0.1", 0))
    except OSError as e:
        if e.errno != errno.EAFNOSUPPORT:
            raise
        skip("this kernel has no IPv4")
    with server as s:
        port = s.getsockname()[1]
        with delivered(action="read", fd=lambda t: t.connect(port=port)["fd"]) as t:
            h = in_call(t, "read")
            eq((h["pid"], h["fd"], h["on"], h["state"], h["peer_pid"]), (t.pid, t.u, f"tcp 127.0.0.1:{port}", "S", None),
               "the socket")
            ok(h["wchan"], f"wchan: {h}")
            text = run("pending", t.pid, check=0).out
            ok(f"tcp 127.0.0.1:{port}" in text.split("\n\n")[1], f"in the text too: {text}")


@test
def handlers_many():
    """The text has those that come first; JSON has all."""
    with target(size=64 * PAGE, seed=1, mode="minor") as (t, m):
        second = t.userfaultfd(["minor_shmem"])
        other = t.memory(size=64 * PAGE, alloc=True, mode="minor", uffd=second)
        t.touch(id=m["id"], len=PAGE, access="read")
        t.touch(id=other["id"], access="read", threads=40, split=True)
        wait_until(lambda: (fdinfo(t.pid, t.u)["total"], fdinfo(t.pid, second)["total"]) == (1, 40), "all wait")
        nr = len(pending(t.pid)["handlers"])
        ok(nr > 40, f"{nr} threads can resolve")
        r = run("pending", t.pid, check=0)
        eq(len(r.out.split("\n\n")[1].splitlines()) - 1, 32, "rows")
        contains(r.err, f"{nr - 32} more threads can resolve")
        contains(r.err, f"no thread waits for the messages of userfaultfd {t.u} of {t.pid} (1 not read), nor for those of 1 more")


@test
def handlers_unix():
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as s:
        s.bind(f"{folder}/s\x1b[1m")
        s.listen()
        with delivered(action="read", fd=lambda t: t.connect(path=f"{folder}/s\x1b[1m")["fd"]) as t:
            h = in_call(t, "read")
            eq((h["on"], h["peer_pid"]), (f"unix {folder}/s\\x1b[1m", os.getpid()), "path and process")


@test
def handlers_pipe():
    with delivered(action="read", fd=lambda t: t.pipe()["fd"]) as t:
        eq(in_call(t, "read")["on"], "pipe", "what it reads")


@test
def handlers_futex():
    with delivered(action="futex") as t:
        h = in_call(t, "futex")
        eq((h["on"], h["syscall_fd"]), (None, None), "no descriptor")


@test
def handlers_spin():
    with delivered(action="spin") as t:
        h = wait_until(lambda: (h := handler(pending(t.pid)))["state"] == "R" and h, "it runs")
        eq((h["syscall"], h["syscall_nr"], h["on"], h["wchan"]), (None, None, None, None), "in nothing")
        t.handler_stop(uffd=t.u)


@test
def handlers_unknown():
    """Several threads could have read the message: none is named, and each is listed."""
    with delivered(action="futex") as t:
        look = pending(t.pid)
        w, = look["pending"]
        eq((w["state"], w["handler_tid"], w["handler_pid"], w["handler_comm"]), ("delivered", None, None, None), "not known")
        eq(({h["comm"]: h["role"] for h in look["handlers"]}), {"handler": None, "target": None}, "both threads")
        ok(w["tid"] not in {h["tid"] for h in look["handlers"]}, "who waits is none of them")


@test
def handlers_reader():
    """The thread that waits for messages is named, by poll and by a read that blocks."""
    for nonblock in (True, False):
        with Target() as t:
            t.u = t.uffd(nonblock=nonblock)["fd"]
            m = t.memory(seed=1, mode="minor")
            t.handler(uffd=t.u, action="count")
            t.touch(id=m["id"], len=PAGE, access="read")
            wait_until(lambda: fdinfo(t.pid, t.u)["pending"] == 0 == fdinfo(t.pid, t.u)["total"] - 1, "it is read")
            h = wait_until(lambda: (h := handler(pending(t.pid)))["role"] and h, "it reads again")
            w, = pending(t.pid)["pending"]
            eq((h["role"], w["handler_tid"], w["handler_pid"], w["handler_comm"]), ("reader", h["tid"], t.pid, "handler"),
               "the reader")
            eq((h["syscall"], h["on"]), ("poll", None) if nonblock else ("read", "userfaultfd"), "its call")


@contextlib.contextmanager
def elsewhere(t, code):
    """A process with two threads, of which one runs the code with a duplicate of the userfaultfd, taken."""
    head = ("import os, select, sys, ctypes, threading\n"
            "pid, fd = int(sys.argv[1]), int(sys.argv[2])\n"
            "threading.Thread(target=sys.stdin.read, daemon=True).start()\n"
            "taken = ctypes.CDLL(None).syscall(438, os.pidfd_open(pid), fd, 0)\n"
            "print(flush=True)\n")
    p = subprocess.Popen([sys.executable, "-c", head + code, str(t.pid), str(t.u)], stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE)
    p.stdout.readline()
    yield p
    p.kill()
    p.communicate()


@test
def handlers_epoll():
    """The thread in epoll_wait is found behind the epoll, and nobody is if none is in it."""
    code = "e = select.epoll()\ne.register(taken, select.EPOLLIN | select.EPOLLET)\nwhile True: e.poll()\n"
    with target(seed=1, mode="minor") as (t, m), elsewhere(t, code) as p:
        t.touch(id=m["id"], len=PAGE, access="read")

        def named():
            w = pending(t.pid)["pending"]
            return w and w[0]["handler_tid"] == p.pid
        wait_until(named, "the thread in epoll_wait")
        h, = [h for h in pending(t.pid)["handlers"] if h["role"]]
        eq((h["tid"], h["syscall"], h["on"]), (p.pid, "epoll_wait", "eventpoll"), "its call")
        p.send_signal(signal.SIGSTOP)
        wait_until(lambda: stat(p.pid)[1] == "T", "it is stopped")
        look = pending(t.pid)
        eq((look["pending"][0]["handler_tid"], {h["state"] for h in look["handlers"] if h["pid"] == p.pid}),
           (None, {"T"}), "nobody waits for messages")


@test
def handlers_only():
    """A process with one thread that does not wait: no other can."""
    with target(seed=1, mode="minor") as (t, m):
        t.touch(id=m["id"], len=PAGE, access="read")
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 1, "it waits")
        look = pending(t.pid)
        h, = look["handlers"]
        eq((h["tid"], h["role"], h["syscall"], h["on"]), (t.pid, "only", "read", "pipe"), "the other thread")
        eq(look["pending"][0]["handler_tid"], t.pid, "it is named")
        eq(pending("--source=proc", t.pid)["handlers"], [], "only BPF knows")


@test
def handlers_other_process():
    """The handler is in another process, and both hold the userfaultfd."""
    with target(seed=1, mode="minor") as (t, m):
        child = t.child_handler(uffd=t.u, action="futex")["pid"]
        wait_until(lambda: stat(child)[1] == "S", "it waits for messages")
        t.touch(id=m["id"], len=PAGE, access="read")
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 1 and fdinfo(t.pid, t.u)["pending"] == 0, "it is read")

        def calls():
            look = pending(t.pid)
            return {h["pid"]: (h["role"], h["syscall"]) for h in look["handlers"]}
        wait_until(lambda: calls() == {child: (None, "futex"), t.pid: (None, "read")}, "both, and who read is not known")
        eq(pending(t.pid)["pending"][0]["handler_tid"], None, "not known")
        t.close(fd=t.u)
        eq([(h["tid"], h["role"]) for h in pending(t.pid)["handlers"]], [(child, "only")], "no other holds it")
        os.kill(child, signal.SIGSTOP)
        wait_until(lambda: stat(child)[1] == "T", "it is stopped")
        h, = pending(child)["handlers"]
        eq((h["state"], h["tracer_pid"]), ("T", None), "stopped")


@test
def handlers_traced():
    """The tracer is named; the column is in the table only then."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long] * 4
    with target(seed=1, mode="minor") as (t, m):
        child = t.child_handler(uffd=t.u, action="count")["pid"]
        t.touch(id=m["id"], len=PAGE, access="read")
        wait_until(lambda: fdinfo(t.pid, t.u)["pending"] == 0 == fdinfo(t.pid, t.u)["total"] - 1, "it is read")
        ok("TRACER_PID" not in run("pending", t.pid, check=0).out, "no column")
        eq(libc.ptrace(0x4206, child, 0, 0), 0, "PTRACE_SEIZE")
        eq(libc.ptrace(0x4207, child, 0, 0), 0, "PTRACE_INTERRUPT")
        wait_until(lambda: stat(child)[1] == "t", "it is stopped by its tracer")
        h, = [h for h in pending(t.pid)["handlers"] if h["pid"] == child]
        eq((h["state"], h["tracer_pid"]), ("t", os.getpid()), "by whom")
        ok("TRACER_PID" in run("pending", t.pid, check=0).out, "the column")


@test
def handlers_asked_by_another():
    """A waiter of another process, which was not asked for, is no handler either."""
    with target(size=2 * PAGE, seed=1, mode="minor") as (t, m):
        t.touch(id=m["id"], len=PAGE, access="read")
        child = os.fork()
        if not child:
            buf = ctypes.create_string_buffer(1)
            local = (ctypes.c_size_t * 2)(ctypes.addressof(buf), 1)
            remote = (ctypes.c_size_t * 2)(m["start"] + PAGE, 1)
            ctypes.CDLL(None).process_vm_readv(t.pid, local, 1, remote, 1, 0)
            os._exit(0)
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 2, "both wait")
        look = pending(child)
        eq(([w["tid"] for w in look["pending"]], [(h["tid"], h["role"]) for h in look["handlers"]]),
           ([child], [(t.pid, "only")]), "its waiter, and the one thread that can")
        run("continue", t.pid, "all", check=0)
        os.waitpid(child, 0)


@test
def handlers_stopped_in_read():
    """A thread that is stopped in its read of messages waits for none, and is known by the call."""
    with Target() as t:
        t.u = t.uffd(nonblock=False)["fd"]
        m = t.memory(seed=1, mode="minor")
        with elsewhere(t, "while True: os.read(taken, 32)") as p:
            t.touch(id=m["id"], len=PAGE, access="read")
            wait_until(lambda: fdinfo(t.pid, t.u)["pending"] == 0 == fdinfo(t.pid, t.u)["total"] - 1, "it is read")
            p.send_signal(signal.SIGSTOP)
            wait_until(lambda: stat(p.pid)[1] == "T", "it is stopped")
            h, = [h for h in pending(t.pid)["handlers"] if h["role"]]
            eq((h["tid"], h["role"], h["syscall"], h["on"], h["state"]), (p.pid, "reader", "read", "userfaultfd", "T"),
               "its role")


@test
def handlers_columns():
    """People get both lists; who chooses columns, or takes them without a heading, gets one."""
    with target(seed=1, mode="minor") as (t, m):
        t.touch(id=m["id"], len=PAGE, access="read")
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 1, "it waits")
        first, second = run("pending", t.pid, check=0).out.split("\n\n")
        eq(first.split("\n")[0].split(), "TID PID COMM SLEPT KIND STATE ADDR HANDLER_TID NAME".split(), "waiters")
        eq(second.split("\n")[0].split(), "TID PID COMM ROLE STATE SYSCALL PEER_PID ON WCHAN".split(), "handlers")
        for args in (("-n",), ("-r",), ("-o", "tid,handler_tid")):
            ok("\n\n" not in run("pending", *args, t.pid, check=0).out, f"{args}: waiters alone")
        eq(run("pending", "-s", "1h", t.pid, check=0).out, "", "none has slept so long")
        look = pending("-s", "1h", t.pid)
        eq((look["pending"], look["handlers"]), ([], []), "nor in JSON")
        for line in (first + "\n" + second).split("\n"):
            ok(len(line) <= 80 or "/memfd" in line, f"80 columns: {line}")


main()
