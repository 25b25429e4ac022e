# SPDX-License-Identifier: GPL-2.0-or-later
"""watch for long: counts beside independent ones, memory, and what is left behind when it is killed.

    python3 tests/soak/watch.py [storm] [memory] [kills]      all three without

    SOAK_FAULTS     faults by each backend (10,000,000)
    SOAK_SECONDS    how long memory is looked at (600)
    SOAK_STARTS     starts and kills (1,000)
    SOAK_BACKENDS   "sched fentry"; without, those that can be had
    SOAK_SHAPES     numbers of the storms below; without, all

The independent counts are those of tests/helpers/storm.c: messages that its handlers read, and how often its faulting
threads slept as rusage(2) has it; and, where kprobes can be had, bpftrace's count of calls of handle_userfault(). Ends
with 1 where a number differs and watch does not say so.
"""
import contextlib
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

sys.path[0] += "/.."
from harness import UFFDCTL
from harness.watch import Storm, Watch, backends

BACKENDS = backends(os.environ.get("SOAK_BACKENDS"))
FAULTS = int(os.environ.get("SOAK_FAULTS") or 10_000_000)
SECONDS = int(os.environ.get("SOAK_SECONDS") or 600)
STARTS = int(os.environ.get("SOAK_STARTS") or 1000)
# Threads, handlers, batches: each shape brings other orders of a fault's signs about.
SHAPES = [
    ("one thread, waker spins on another CPU", "-t 1 -p -F 0 -H 1"),
    ("one thread, waker on the same CPU", "-t 1 -F 0 -H 0"),
    ("2 threads, waker spins", "-t 2 -p"),
    ("6 threads, batches of 16", "-t 6 -b 16"),
    ("8 threads, 2 handlers, batches of 4, CPUs busy", "-t 8 -r 2 -b 4 -y 2"),
    ("6 userfaultfds, preadv2, minor", "-t 6 -u 6 -b 3 -c preadv2 -m"),
    ("4 threads, 3 handlers, readv, minor", "-t 4 -r 3 -b 8 -c readv -m"),
]
# A thread may sleep elsewhere in a page fault, for a lock: so many of a million.
OTHER_SLEEPS = 200
bad = []


def table(head, rows):
    widths = [max(len(str(r[i])) for r in [head, *rows]) for i in range(len(head))]
    for row in [head, *rows]:
        print("  ".join(str(c).ljust(w) if i == 0 else str(c).rjust(w) for i, (c, w) in enumerate(zip(row, widths))))
    print(flush=True)


def check(good, text):
    if not good:
        bad.append(text)
        print(f"DIFFERS: {text}", flush=True)


class Entries:
    """bpftrace's count of the calls of handle_userfault() by a process; nothing where there is no bpftrace or kprobe."""

    def __init__(self, pid):
        self.p = None
        if not shutil.which("bpftrace") or not os.access("/sys/kernel/tracing/kprobe_events", os.W_OK):
            return
        script = f"BEGIN {{ printf(\"ready\\n\"); }} kprobe:handle_userfault /pid == {pid}/ {{ @ = count(); }}"
        self.p = subprocess.Popen(["bpftrace", "-e", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        if not any("ready" in line for line in self.p.stdout):
            self.p = None
        else:
            time.sleep(1)  # BEGIN runs before the probe is attached

    def stop(self):
        if not self.p:
            return None
        self.p.send_signal(signal.SIGINT)
        found = re.search(r"@: (\d+)", self.p.communicate()[0])
        return int(found[1]) if found else None


def storm(backend, name, args, n):
    s = Storm("-n", str(n), *args.split())
    entries, w = Entries(s.pid), Watch("--summary", f"--backend={backend}", s.pid)
    began = time.monotonic()
    s.go()
    r = s.result()
    took = time.monotonic() - began
    _, t = w.stop()
    entered = entries.stop()
    faults, ended = sum(t["faults"].values()), sum(t["ended"].values())
    late = t["ended"]["signal"]  # woken by another than the userfaultfd, and faulted again: FACTS, watch(1)
    where = f"{backend}: {name}"
    check(faults - late == r["messages"], f"{where}: {faults} faults ({late} woken by others), {r['messages']} messages")
    check(t["delivered"] == r["messages"], f"{where}: {t['delivered']} delivered, {r['messages']} messages")
    check(0 <= r["slept"] - t["blocked"] <= max(3, n * OTHER_SLEEPS // 1000000),
          f"{where}: {t['blocked']} blocked, the threads slept {r['slept']} times")
    check(faults == ended + t["pending"] and not t["pending"] and not t["missed"],
          f"{where}: {faults} faults, {ended} ended, {t['pending']} pending, {t['missed']} missed")
    check(sum(b["count"] for b in t["histogram"]) + t["unknown_waits"] == ended, f"{where}: histogram")
    check(entered in (None, faults), f"{where}: {entered} calls of handle_userfault(), {faults} faults")
    return [where, r["touched"], r["messages"], faults - r["messages"], t["delivered"] - r["messages"], r["slept"],
            t["blocked"] - r["slept"], t["unknown_waits"], late, "-" if entered is None else entered - faults, f"{took:.0f}"]


def storms():
    chosen = [SHAPES[int(i)] for i in (os.environ.get("SOAK_SHAPES") or "").split()] or SHAPES
    rows = [storm(backend, name, args, FAULTS // len(chosen)) for backend in BACKENDS for name, args in chosen]
    table(["STORM", "TOUCHED", "MESSAGES", "FAULTS", "DELIVERED", "SLEPT", "BLOCKED", "UNKNOWN WAITS", "WOKEN BY OTHERS",
           "CALLS", "SECONDS"], rows)


# ---- memory ----

def resident_kib(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])


def memory():
    """Lines and JSON, both under a storm that they can't follow."""
    for extra in ([], ["--summary", "--interval=1s"]):
        s = Storm("-t", "4", "-b", "4", "-s", str(SECONDS + 5))
        w = subprocess.Popen([UFFDCTL, "watch", "-J", *extra, str(s.pid)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        s.go()
        time.sleep(min(10, SECONDS / 4))
        sizes = [resident_kib(w.pid)]
        end = time.monotonic() + SECONDS - min(10, SECONDS / 4)
        while time.monotonic() < end:
            time.sleep(min(10, SECONDS / 20))
            sizes.append(resident_kib(w.pid))
        w.send_signal(signal.SIGINT)
        w.wait()
        r = s.result()
        table(["MEMORY", "SECONDS", "FAULTS", "KIB FIRST", "KIB LAST", "KIB MOST"],
              [["watch " + (" ".join(extra) or "--json"), SECONDS, r["touched"], sizes[0], sizes[-1], max(sizes)]])
        check(sizes[-1] <= sizes[0] + 512, f"memory grew from {sizes[0]} to {sizes[-1]} KiB")


# ---- what is left behind ----

def objects(kind):
    env = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin"}
    out = subprocess.run(["bpftool", "-j", kind, "show"], stdout=subprocess.PIPE, env=env, check=True).stdout
    return {(x["id"], x.get("name"), x.get("type")) for x in json.loads(out or "[]")}


def held():
    """What some process has a descriptor of: others on this machine work with BPF, too."""
    ids = {"prog": set(), "map": set(), "link": set()}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            for fd in os.listdir(f"/proc/{pid}/fdinfo"):
                with contextlib.suppress(OSError), open(f"/proc/{pid}/fdinfo/{fd}") as f:
                    for kind, number in re.findall(r"^(prog|map|link)_id:\t(\d+)", f.read(), re.M):
                        ids[kind].add(int(number))
    return ids


def left_behind(before):
    used = held()
    return {k: {o for o in objects(k) - before[k] if o[0] not in used[k]} for k in before}


def kills():
    """SIGKILL at any moment of a start, of watch by each backend and of pending."""
    s = Storm("-t", "2", "-s", "86400")
    s.go()
    commands = [["watch", "--summary", f"--backend={b}", str(s.pid)] for b in BACKENDS]
    commands += [["watch", "-J", f"--backend={b}"] for b in BACKENDS] + [["pending", str(s.pid)], ["pending"]]
    kinds = ("prog", "map", "link")
    before, began, early = {k: objects(k) for k in kinds}, time.monotonic(), 0
    for i in range(STARTS):
        p = subprocess.Popen([UFFDCTL, *commands[i % len(commands)]], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(random.uniform(0, 0.15))
        early += p.poll() is None
        with contextlib.suppress(ProcessLookupError):
            p.kill()
        p.wait()
    # The kernel frees them when no program can be running any more.
    for _ in range(300):
        left = left_behind(before)
        if not any(left.values()):
            break
        time.sleep(0.1)
    s.kill()
    table(["KILLS", "STARTS", "KILLED", *(f"{k.upper()}S BEFORE" for k in kinds), *(f"{k.upper()}S LEFT" for k in kinds), "SECONDS"],
          [["SIGKILL within 150 ms", STARTS, early, *(len(before[k]) for k in kinds), *(len(left[k]) for k in kinds),
            f"{time.monotonic() - began:.0f}"]])
    for k in kinds:
        check(not left[k], f"kills: left behind, {k}: {sorted(left[k])[:5]}")


def main():
    parts = {"storm": storms, "memory": memory, "kills": kills}
    chosen = sys.argv[1:] or list(parts)
    if set(chosen) - set(parts):
        sys.exit(f"usage: {sys.argv[0]} [{'] ['.join(parts)}]")
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY,) * 2)
    for part in chosen:
        parts[part]()
    if bad:
        sys.exit(f"{len(bad)} differences")


main()
