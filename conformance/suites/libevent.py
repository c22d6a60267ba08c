# SPDX-License-Identifier: GPL-2.0-or-later
"""libevent's own tests, by name, each a process."""

import re

from conformance.suite import SKIP, Outcome, Suite, of_job
from conformance.world import DISK

TEST_S = 120
PROGRAM = f"{DISK}/libevent/regress"
WANTED = re.compile(r"^(bufferevent|listener|http|dns|rpc|et|util/getaddrinfo|"
                    r"evbuffer/(.*(file|io|read|write|peek|send))|"
                    r"main/(.*(read|write|multiple|persistent|combined|close|"
                    r"eof|fd|poll|active|priority|simple)))", re.I)


class Libevent(Suite):
    name = "libevent"
    title = "libevent 2.1: bufferevents, listeners, HTTP, DNS, RPC, I/O events"
    source = "libevent"

    def names(self, guest):
        listed = guest.job([PROGRAM, "--list-tests"]).output
        # Some are followed by "(Off by default)", and are.
        names = [line.strip() for line in listed.splitlines()
                 if "(" not in line]
        return [name for name in names
                if WANTED.search(name) and self.wants(name)]

    def run(self, guest, tell):
        for name in self.names(guest):
            done = guest.job([PROGRAM, "--timeout", TEST_S - 10, name],
                             timeout=TEST_S)
            outcome = of_job(name, done)
            if not done.code and "1 skipped" in done.output:
                outcome = Outcome(name, SKIP, done.seconds, done.output)
            tell(name, [outcome], done.seconds)
            yield outcome


SUITES = (Libevent(),)
