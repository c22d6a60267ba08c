# SPDX-License-Identifier: GPL-2.0-or-later
"""libuv's own tests, by name, each a process."""

import re

from conformance.suite import SKIP, Outcome, Suite, of_job
from conformance.world import DISK

TEST_S = 120
HERE = "/tmp/libuv"
PROGRAM = f"{HERE}/uv_run_tests"
WANTED = re.compile(r"^(?!fs_).*(tcp|udp|poll|getsockname|shutdown|connect|"
                    r"listen|accept|"
                    r"socket|ipc|oob|stream|pipe_getsock|emfile|eof|"
                    r"half_open|delayed|watcher_cross|rst|close_fd|bind)")
# Its own limits, of seconds, are not for an emulated processor.
ENVIRONMENT = (("UV_RUN_AS_ROOT", 1), ("UV_TEST_TIMEOUT_MULTIPLIER", 8))
# Its exit code for a test that cannot run here.
SKIPPED = 7


class Libuv(Suite):
    name = "libuv"
    title = "libuv 1.50: tests of streams, datagrams and polling"
    source = "libuv1"

    def prepare(self, guest):
        # Some tests write beside themselves.
        guest.shell(f"cp -r {DISK}/libuv {HERE}")

    def names(self, guest):
        listed = guest.job([PROGRAM, "--list"], HERE,
                           environment=ENVIRONMENT).output
        # Some names are followed by those of their helpers.
        names = [line.split()[0] for line in listed.splitlines() if line]
        return [name for name in names
                if WANTED.search(name) and self.wants(name)]

    def run(self, guest, tell):
        for name in self.names(guest):
            done = guest.job([PROGRAM, name], HERE, TEST_S, ENVIRONMENT)
            outcome = of_job(name, done)
            if done.code == SKIPPED:
                outcome = Outcome(name, SKIP, done.seconds, done.output)
            tell(name, [outcome], done.seconds)
            yield outcome


SUITES = (Libuv(),)
