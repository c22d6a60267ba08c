# SPDX-License-Identifier: GPL-2.0-or-later
"""When the machine itself stood still.

A guest whose machine gives it no processor for half a minute complains of a
lockup, whoever's fault it is. A thread here that was not run at the same time
tells whose.
"""

import re
import threading
import time

STEP_S, STALL_S = 0.5, 8
# A complaint, and what belongs to it.
LATE = re.compile(r"soft lockup|rcu: .*stall|blocked for more than")
REPORT_LINES = 80


class Watch(threading.Thread):
    """Notes the moments in which this process did not run."""

    def __init__(self):
        super().__init__(daemon=True)
        self.stalls = []
        self.is_over = threading.Event()

    def run(self):
        last = time.monotonic()
        while not self.is_over.wait(STEP_S):
            now = time.monotonic()
            if now - last > STALL_S:
                self.stalls.append(round(now - last, 1))
            last = now

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()


def complaints(lines, pattern, is_stalled):
    """Lines that a kernel has to answer for. lines: of its console. pattern:
    what a complaint is. is_stalled: whether the machine stood still, which
    excuses those of being late, with the traces that follow them."""
    found, excused_until = [], -1
    for index, line in enumerate(lines):
        if LATE.search(line):
            late = lines[index:index + 12]
            # "Stuck" in a program: the kernel was not even running.
            if is_stalled or any("RIP: 0033:" in one for one in late):
                excused_until = index + REPORT_LINES
                continue
        if pattern.search(line) and not (
                index <= excused_until and "Call Trace" in line):
            found.append(line)
    return found
