# SPDX-License-Identifier: GPL-2.0-or-later
"""Each rule that keeps a target safe is held by a test that names it."""
import glob
import os
import re
import sys

sys.path[0] += "/.."
from harness import PAGE, eq, fdinfo, main, ok, run, smaps_flags, target, test, wait_until
from harness.rules import RULES


@test
def rules_each_has_a_test():
    named = set()
    for path in glob.glob(os.path.join(os.path.dirname(os.path.abspath(__file__)), "*.py")):
        with open(path) as f:
            named |= set(re.findall(r'\brule="([^"]+)"', f.read()))
    eq(sorted(set(RULES) - named), [], "rules without a test")


@test(rule="looking-changes-nothing")
def rules_looking_takes_no_message():
    """Two threads wait, one of them delivered: so they do after all commands that look."""
    with target(size=4 * PAGE, seed=1, mode="minor") as (t, m):
        ths = []
        for i in range(2):
            ths += t.touch(id=m["id"], offset=i * PAGE, len=PAGE, access="read", seed=1)["threads"]
            wait_until(lambda: fdinfo(t.pid, t.u)["total"] == len(ths), "a thread waits")
            if i == 0:
                t.read_msg(uffd=t.u, timeout_ms=5000)
        before = fdinfo(t.pid, t.u), smaps_flags(t.pid, m["addr"]), sorted(os.listdir(f"/proc/{t.pid}/fd"))
        eq((before[0]["pending"], before[0]["total"]), (1, 2), "one is queued, one delivered")
        for command in (["list"], ["list", t.pid], ["smaps", t.pid], ["smaps", "--all", "--sizes", t.pid],
                        ["pending", t.pid], ["watch", "--summary", "-d", "0.3", t.pid],
                        ["watch", "--json", "-d", "0.3", t.pid], ["list", "-S", "proc"], ["pending", "-S", "proc"],
                        ["pages", t.pid], ["pages", "--runs", "--all", t.pid], ["pages", "--map", t.pid],
                        ["peek", t.pid, "all"], ["peek", "--diff=/dev/zero", t.pid, "all"]):
            run(*command, check=1 if "--diff=/dev/zero" in command else 0)
            after = fdinfo(t.pid, t.u), smaps_flags(t.pid, m["addr"]), sorted(os.listdir(f"/proc/{t.pid}/fd"))
            eq(after, before, f"after {command}")
        eq(t.read_msg(uffd=t.u, timeout_ms=5000)["addr"], hex(m["start"] + PAGE), "its message is there still")
        run("wake", t.pid, "all", check=0)
        run("continue", t.pid, "all", check=0)
        for th in ths:
            ok(t.join(thread=th)["done"], "the thread goes on")


main()
