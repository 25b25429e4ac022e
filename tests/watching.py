# SPDX-License-Identifier: GPL-2.0-or-later
"""A running uffdctl watch, for tests that set its numbers beside another program's."""
import json
import os
import signal
import tempfile

from tap import Failure, eq, spawn, wait_until


class Watch:
    """uffdctl watch --json by the best backend; stop() returns its faults and its summary."""

    def __init__(self, *args):
        self.err = tempfile.TemporaryFile()
        self.out = tempfile.TemporaryFile()  # no pipe: nobody reads before the end
        self.p = spawn("watch", "--json", "-v", *args, stdout=self.out, stderr=self.err)
        wait_until(lambda: self.p.poll() is not None or "watching by" in self._said(), "watch is attached", timeout=30)

    def _said(self):
        return os.pread(self.err.fileno(), 65536, 0).decode()

    def stop(self):
        """Ends it, or waits for its end where the processes have ended."""
        if self.p.poll() is None:
            self.p.send_signal(signal.SIGINT)
        if self.p.wait(30):
            raise Failure(f"watch: exit {self.p.returncode}: {self._said()}")
        self.out.seek(0)
        lines = [json.loads(line) for line in self.out]
        eq([x["type"] for x in lines], ["fault"] * (len(lines) - 1) + ["summary"], "lines")
        faults, s = lines[:-1], lines[-1]
        eq(sum(s["faults"].values()), sum(s["ended"].values()) + s["pending"], "faults = ended + pending")
        eq((s["missed"], s["lost_events"]), (0, 0), "missed and lost")
        return faults, s
