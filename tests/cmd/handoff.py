# SPDX-License-Identifier: GPL-2.0-or-later
"""serve --handoff: processes that hand their userfaultfds over as Firecracker does, several at a time."""
import contextlib
import json
import os
import queue
import re
import signal
import socket
import stat
import sys
import tempfile
import threading
import time
import urllib.request

sys.path[0] += "/.."
from harness import (FEATURES, HUGE, PAGE, SLOW, Failure, Target, contains, eq, fdinfo, hugepages, main, ok, pattern_page, run, spawn,
                     take_fd, target, test, wait_until)
from harness.nbd import nbd_image, nbd_server
from harness.serve import Serve, joined, touch, zeros

NR = 256
NOBODY = 65534


class Reception:
    """A serve -J --handoff: .path, and its objects in the order in which they come."""

    def __init__(self, *args, folder=None, **popen):
        self.folder = tempfile.TemporaryDirectory()
        os.chmod(self.folder.name, 0o755)
        self.path = f"{folder or self.folder.name}/socket"
        self.proc = spawn("serve", "-J", "--handoff", self.path, *args, **popen)
        self.queue, self.seen = queue.Queue(), []
        threading.Thread(target=self._read, daemon=True).start()
        self.next("listen")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.proc.kill()
        self.proc.wait()
        self.folder.cleanup()

    def _read(self):
        for line in self.proc.stdout:
            self.queue.put(json.loads(line))
        self.queue.put(None)

    def next(self, kind, pid=None):
        """The next object of this type that is about this process, seen already or not."""
        fits = lambda o: o["type"] == kind and pid in (None, o.get("pid"))
        end = time.monotonic() + 30 * SLOW
        while not any(map(fits, self.seen)):
            o = self.queue.get(timeout=max(0.1, end - time.monotonic()))
            if o is None:
                raise Failure(f"no {kind} came: {self.seen}; {self.proc.stderr.read().decode()}")
            self.seen.append(o)
        o = next(filter(fits, self.seen))
        self.seen.remove(o)
        return o

    def stop(self, rc=0):
        self.proc.send_signal(signal.SIGINT)
        self.ended(rc)

    def ended(self, rc=0):
        eq(self.proc.wait(timeout=30 * SLOW), rc, "exit status")
        ok(not os.path.exists(self.path), "the socket is removed")


def image(*parts):
    """A file of (seed, number of pages, size of a page) each."""
    f = tempfile.NamedTemporaryFile()
    for seed, nr, page in parts:
        for i in range(nr):
            f.write(pattern_page(seed, i, page))
    f.flush()
    return f


def message(*regions, key="page_size"):
    """(memory, number of bytes, offset in the image, size of a page) each."""
    return json.dumps([{"base_host_virt_addr": m["start"], "size": n, "offset": offset, key: page} for m, n, offset, page in regions])


def hand_over(t, path, text, apart=False):
    fd = t.connect(path=path)["fd"]
    if apart:
        t.send(fd=fd, text=text)
        text = "x"
    t.send(fd=fd, text=text, uffd=t.u)
    return fd


@contextlib.contextmanager
def vm(nr=NR, kind="anon", page=PAGE, **how):
    """As Firecracker restores a VM: missing faults, EVENT_REMOVE."""
    with target(kind, nr * page, features=[*FEATURES, "event_remove"], timeout=60, mode="missing", **how) as (t, m):
        yield t, m


# ---- what is served ----

@test(each={"together": (False, "page_size"), "apart": (True, "page_size"), "old": (False, "page_size_kib")})
def handoff_one(apart, key):
    """Two regions, at offsets of their own; when the process ends, nothing else does."""
    with vm() as (t, m), image((1, NR, PAGE), (2, NR, PAGE)) as img, Reception("--from", img.name) as s:
        n = t.memory("anon", NR * PAGE, mode="missing")
        hand_over(t, s.path, message((n, NR * PAGE, 0, PAGE), (m, NR * PAGE, NR * PAGE, PAGE), key=key), apart)
        start = s.next("start", t.pid)
        eq((start["ranges"], start["total"], start["source"]), (2, 2 * NR * PAGE, "file"), f"start: {start}")
        joined(t, touch(t, m, seed=2) + touch(t, n, seed=1))
        t.kill()
        end = s.next("end", t.pid)
        eq((end["reason"], end["demand"], end["errors"]), ("gone", 2 * NR * PAGE, 0), f"end: {end}")
        s.stop()


@test
def handoff_killed():
    """What the first line says of the regions is enough to go on with --map: no page has another's contents."""
    with vm() as (t, m), image((1, NR, PAGE), (2, NR, PAGE)) as img, Reception("--from", img.name) as s:
        n = t.memory("anon", NR * PAGE, mode="missing")
        hand_over(t, s.path, message((n, NR * PAGE, 0, PAGE), (m, NR * PAGE, NR * PAGE, PAGE)))
        regions = s.next("start", t.pid)["regions"]
        eq([(r["start"], r["end"], r["offset"]) for r in regions],
           [(hex(x["start"]), hex(x["start"] + NR * PAGE), o) for x, o in ((n, 0), (m, NR * PAGE))], "regions")
        joined(t, touch(t, m, len=PAGE, seed=2))
        s.proc.kill()
        s.proc.wait()
        maps = [f"--map={r['start']}-{r['end']}={img.name}@{r['offset']}" for r in regions]
        with Serve(t.pid, *maps) as again:
            joined(t, touch(t, m, seed=2) + touch(t, n, seed=1))
            again.stop()


@test(limit=60)
def handoff_metrics():
    """Of all that are served now, by name and PID, by HTTP and as a file; they come and go while somebody asks."""
    with vm() as (t, m), vm() as (u, n), image((1, NR, PAGE)) as img, tempfile.TemporaryFile() as err, tempfile.TemporaryDirectory() as d, \
            Reception("--from", img.name, "--listen=0", "--openmetrics", f"{d}/prom", stderr=err) as s:
        url = wait_until(lambda: re.search(r"http://[0-9.:]+/metrics", os.pread(err.fileno(), 4096, 0).decode()), "it listens")[0]

        def filled(text):
            return {int(pid): int(nr) for pid, nr in re.findall(r'uffd_filled_bytes_total\{process="target",pid="(\d+)",by="demand"\} (\d+)', text)}

        def asked():
            with urllib.request.urlopen(url, timeout=20) as r:
                return filled(r.read().decode())

        def written():
            with open(f"{d}/prom") as f:
                return filled(f.read())

        eq(asked(), {}, "nobody is served")
        for x, y in ((t, m), (u, n)):
            hand_over(x, s.path, message((y, NR * PAGE, 0, PAGE)))
            s.next("start", x.pid)
        asking = threading.Thread(target=lambda: [asked() for _ in range(50)])
        asking.start()
        joined(t, touch(t, m, seed=1) + touch(t, m, seed=1, len=PAGE))
        wait_until(lambda: asked() == {t.pid: NR * PAGE, u.pid: 0}, "both are there")
        wait_until(lambda: os.path.exists(f"{d}/prom") and written() == {t.pid: NR * PAGE, u.pid: 0}, "in the file, too", 20)
        t.kill()
        s.next("end", t.pid)
        wait_until(lambda: asked() == {u.pid: 0}, "one has gone", 20)
        asking.join()
        s.stop()
        eq(written(), {}, "at the end, nobody is served")


@test
def handoff_server():
    """The image may be on a server; faults may be delayed."""
    with nbd_image(contents=b"".join(pattern_page(1, i) for i in range(NR))) as d, nbd_server(d) as (uri, _), vm() as (t, m), \
            Reception("--from", uri, "--delay=300ms", "--threads=8") as s:
        hand_over(t, s.path, message((m, NR * PAGE, 0, PAGE)))
        eq(s.next("start", t.pid)["source"], "server", "source")
        joined(t, touch(t, m, seed=1, threads=1, len=PAGE))
        t.kill()
        end = s.next("end", t.pid)
        eq((end["demand"], end["errors"]), (PAGE, 0), f"end: {end}")
        ok(end["duration_ns"] >= 300e6, f"it took its time: {end}")
        s.stop()


@test(limit=120)
def handoff_two_at_a_time():
    """Balloons that remove pages all the time, contents in the background, and callers who know nothing beside them."""
    with vm(nr=2048) as (t, m), vm(nr=2048) as (u, n), image((1, 2048, PAGE)) as img, Reception("--from", img.name, "--prefault") as s:
        half, all_ = 1024 * PAGE, 2048 * PAGE
        strangers = [stranger(s.path, b"[{"), stranger(s.path, b""), stranger(s.path, b"GET / HTTP/1.1\r\n\r\n")]
        for x, y in ((t, m), (u, n)):
            hand_over(x, s.path, message((y, all_, 0, PAGE)))
        storms = [(x, x.touch(id=y["id"], offset=half, len=64 * PAGE, threads=4, order="random", access="write", value=0, zap=True,
                              loop=True)["threads"]) for x, y in ((t, m), (u, n))]
        contains(s.next("error")["message"], "not JSON")
        ths = [(x, touch(x, y, len=half, seed=1)) for x, y in ((t, m), (u, n))]
        for x, th in ths:
            joined(x, th, 50000)
        for x, th in storms:
            wait_until(lambda x=x, th=th: all(x.status(thread=i)["touched"] > 50 for i in th), "each has removed pages", 30)
            for i in th:
                x.stop(thread=i)
            for i in th:
                ok(x.join(thread=i, timeout_ms=20000 * SLOW)["done"], "a thread that removes ends")
        for x, y in ((t, m), (u, n)):
            x.madvise(id=y["id"], offset=half, len=64 * PAGE, advice="dontneed")
            joined(x, touch(x, y, offset=half, len=64 * PAGE))
            joined(x, touch(x, y, offset=half + 64 * PAGE, len=half - 64 * PAGE, seed=1))
            zeros(x, y, half, 64 * PAGE)
            eq(x.check(id=y["id"], len=half, seed=1)["differ"], 0, "the image")
        t.kill()
        eq(s.next("end", t.pid)["reason"], "gone", "the first one")
        with vm() as (v, o):
            hand_over(v, s.path, message((o, NR * PAGE, 0, PAGE)))
            joined(v, touch(v, o, seed=1))
            s.stop()
            for x in (u, v):
                end = s.next("end", x.pid)
                eq((end["reason"], end["errors"]), ("stopped", 0), f"end: {end}")
        for x in strangers:
            x.close()


@test
def handoff_huge_pages():
    with hugepages(9), vm(4, "hugetlb", HUGE, shared=False) as (t, m), image((1, 4, HUGE)) as img, Reception("--from", img.name) as s:
        hand_over(t, s.path, message((m, 4 * HUGE, 0, HUGE)))
        joined(t, touch(t, m, seed=1))
        s.stop()


@test
def handoff_until_complete():
    """What is complete is unregistered, and others go on."""
    with vm() as (t, m), image((1, NR, PAGE)) as img, Reception("--from", img.name, "--prefault", "--until-complete") as s:
        hand_over(t, s.path, message((m, NR * PAGE, 0, PAGE)))
        end = s.next("end", t.pid)
        eq((end["reason"], end["done"]), ("complete", NR * PAGE), f"end: {end}")
        eq(t.check(id=m["id"], seed=1)["differ"], 0, "contents")
        with vm() as (u, n):
            hand_over(u, s.path, message((n, NR * PAGE, 0, PAGE)))
            eq(s.next("end", u.pid)["reason"], "complete", "the next one")
        s.stop()


@test
def handoff_once():
    """Strangers are not the first one; with the first one the socket goes, and with its end the command."""
    with vm() as (t, m), image((1, NR, PAGE)) as img, Reception("--once", "--from", img.name) as s:
        stranger(s.path, b"x").close()
        s.next("error")
        half = stranger(s.path, b"[")
        hand_over(t, s.path, message((m, NR * PAGE, 0, PAGE)))
        s.next("start", t.pid)
        wait_until(lambda: not os.path.exists(s.path), "the socket is removed")
        eq(half.recv(1), b"", "who has not sent all is closed")
        joined(t, touch(t, m, seed=1))
        t.kill()
        eq(s.next("end", t.pid)["reason"], "gone", "reason")
        s.ended()


@test
def handoff_by_a_user():
    """Without privileges, from a process of one's own."""
    with vm(user=NOBODY) as (t, m), image((1, NR, PAGE)) as img, tempfile.TemporaryDirectory() as folder:
        os.chown(folder, NOBODY, NOBODY)
        os.chmod(img.name, 0o644)
        with Reception("--from", img.name, "--force", user=NOBODY, folder=folder) as s:
            hand_over(t, s.path, message((m, NR * PAGE, 0, PAGE)))
            joined(t, touch(t, m, seed=1))
            s.stop()
            eq(s.next("end", t.pid)["demand"], NR * PAGE, "demand")


# ---- what is refused ----

def stranger(path, data):
    c = socket.socket(socket.AF_UNIX)
    c.connect(path)
    c.sendall(data)
    return c


@test
def handoff_refused():
    """Each with its reason; its threads are not touched, and the next one is served."""
    with vm() as (t, m), image((1, NR, PAGE)) as img, Reception("--from", img.name) as s, Target() as other:
        n = t.memory("anon", NR * PAGE)
        for text, why in ((message((m, NR * PAGE, 0, HUGE)), "does not begin and end with a page"),
                          (message((m, NR * PAGE, PAGE, PAGE)), "the contents are too short"),
                          (message((n, NR * PAGE, 0, PAGE)), "not registered on a userfaultfd"),
                          (message((m, NR * PAGE, 0, PAGE), (m, PAGE, 0, PAGE)), "overlap"),
                          ('[{"base_host_virt_addr": 4096, "size": 4096, "offset": 0}]', "nothing is mapped at 1000"),
                          ("[" * 100, "JSON"), ("[{}]", "lacks base_host_virt_addr")):
            fd = hand_over(t, s.path, text)
            contains(s.next("error", t.pid)["message"], why)
            t.close(fd=fd)
        c = stranger(s.path, message((m, NR * PAGE, 0, PAGE)).encode())
        c.close()
        contains(s.next("error", os.getpid())["message"], "closed the socket before all was sent")
        c = stranger(s.path, b"[")
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(80):
                c.sendall(b" " * (16 << 10))
        contains(s.next("error", os.getpid())["message"], "too long")
        c.close()
        other.userfaultfd()
        with socket.socket(socket.AF_UNIX) as c:
            c.connect(s.path)
            fd = take_fd(t.pid, t.u)
            socket.send_fds(c, [message((m, NR * PAGE, 0, PAGE)).encode()], [fd])
            contains(s.next("error", os.getpid())["message"], "governs the memory of another process")
            os.close(fd)
        wait_until(lambda: fdinfo(t.pid, t.u)["total"] == 0, "nobody waits")
        hand_over(t, s.path, message((m, NR * PAGE, 0, PAGE)))
        joined(t, touch(t, m, seed=1))
        s.stop()


@test(limit=120)
def handoff_slow_peer():
    """After ten seconds it is closed."""
    with image((1, 1, PAGE)) as img, Reception("--from", img.name) as s:
        c = stranger(s.path, b"[{")
        contains(s.next("error", os.getpid())["message"], "not complete after 10 s")
        eq(c.recv(1), b"", "closed")
        s.stop()


@test
def handoff_socket():
    """Only for the user; a dead one is replaced, one on which somebody listens is not, nor is a file."""
    with Reception("--zero") as s:
        eq(stat.S_IMODE(os.stat(s.path).st_mode), 0o600, "mode")
        contains(run("serve", "--zero", "--handoff", s.path, check=1).err, "somebody listens on this socket")
        eq([o for o in s.seen if o["type"] == "error"], [], "the other one has not said anything of it")
        ok(os.path.exists(s.path), "it stays")
        s.proc.kill()
        s.proc.wait()
        ok(os.path.exists(s.path), "left behind")
        with Reception("--zero", folder=s.folder.name) as r:
            eq(r.path, s.path, "the same path")
            os.unlink(r.path)
            with socket.socket(socket.AF_UNIX) as other:
                other.bind(r.path)
                r.proc.send_signal(signal.SIGINT)
                eq(r.proc.wait(timeout=30 * SLOW), 0, "exit status")
                ok(os.path.exists(r.path), "another one's socket stays")
    with tempfile.NamedTemporaryFile() as f:
        contains(run("serve", "--zero", "--handoff", f.name, check=1).err, "is no socket")
        eq(os.path.getsize(f.name), 0, "the file stays")
    contains(run("serve", "--zero", "--handoff", "x" * 200, check=1).err, "at most 107 bytes")


@test
def handoff_usage():
    for args, text in (((), "write one of --from"), (("--zero", 1), "no process is looked for"), (("--zero", "-f", 3), "goes with none of"),
                       (("--zero", "--dry-run"), "goes with none of"), (("--zero", "--state", "x"), "goes with none of"),
                       *((("--from", "x", option, "0-1000"), "about one process")
                         for option in ("--record-set", "--prefetch-set", "--stale", "--fail-page")),
                       (("--zero", "--verify"), "about one process")):
        contains(run("serve", "--handoff", "x", *args, check=2).err, text)
    contains(run("serve", "--zero", "--once", 1, check=2).err, "--once needs --handoff")
    contains(run("serve", "--from", "-", "--handoff", "x", stdin="x", check=1).err, "a pipe can be read once")


main()
