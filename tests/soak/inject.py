# SPDX-License-Identifier: GPL-2.0-or-later
"""make soak-inject: zap and register --inject, killed at random moments under load, on processes that notice.

    SOAK_KILLS      how often (500)

A process (tests/helpers/steady) lives for 20 of them; its first thread does another kind of work each time, since it is
the one that runs the calls. At the end of each life nothing was odd: no register, no byte of stack or pipe, no signal.
Two threads keep the CPUs busy meanwhile.
"""
import collections
import itertools
import os
import random
import subprocess
import sys
import time

sys.path[0] += "/.."
from harness import main, ok, spawn, test
from harness.steady import Steady

KILLS = int(os.environ.get("SOAK_KILLS") or 500)
JOBS = ("registers", "stack", "tiles", "read", "nanosleep", "poll", "ppoll", "futex", "epoll", "signals", "births", "memory")
BURN = "while True: pass"


def attempt(s, what, rng, took):
    """One command, killed after a random part of what it takes; whether it was."""
    began = time.monotonic()
    p = spawn(*what, s.pid, s.area, stdin=subprocess.DEVNULL)
    # Stopping takes the last third of it: most kills go there.
    delay = took[what[0]] * (1 - rng.random() ** 2 * 0.9)
    time.sleep(delay)
    p.kill()
    p.communicate()
    if p.returncode == 0:
        took[what[0]] = 0.9 * took[what[0]] + 0.1 * min(delay, time.monotonic() - began)
    else:
        took[what[0]] *= 1.01
    return p.returncode == -9


@test(limit=36000)
def inject_killed_at_random():
    rng = random.Random(os.environ.get("SOAK_SEED") or 1)
    took = {"zap": 0.02, "register": 0.03}
    counts = collections.Counter()
    burners = [subprocess.Popen([sys.executable, "-c", BURN]) for _ in range(2)]
    for job in itertools.cycle(JOBS):
        with Steady(job) as s:
            s.check()
            for _ in range(20):
                what = rng.choice((["zap", "-q"], ["register", "-q", "--inject", "-m", "missing"]))
                if attempt(s, what, rng, took):
                    counts[what[0]] += 1
                else:
                    counts["ended before"] += 1
                if what[0] == "register" and any(os.readlink(f"/proc/{s.pid}/fd/{fd}") == "anon_inode:[userfaultfd]"
                                                 for fd in os.listdir(f"/proc/{s.pid}/fd")):
                    counts["userfaultfd made"] += 1
                    break
            counts["calls that ended with EINTR"] += s.check(may_be_interrupted=True)
            counts["lives"] += 1
        if counts["zap"] + counts["register"] >= KILLS:
            break
    for b in burners:
        b.kill()
        b.wait()
    print(f"# {dict(counts)}", flush=True)
    ok(counts["zap"] and counts["register"], "both were killed")


main()
