# SPDX-License-Identifier: GPL-2.0-or-later
"""ruby's own tests of its socket library."""

import re

from conformance.suite import CRASH, FAIL, HANG, PASS, SKIP, Outcome, Suite, \
    of_job
from conformance.world import DISK

FILE_S = 600
FILES = ("test_addrinfo", "test_ancdata", "test_basicsocket", "test_nonblock",
         "test_socket", "test_sockopt", "test_tcp", "test_udp")
# "[1/9] TestSocket_TCPSocket#test_recvfrom = 0.02 s", and at the end what was
# not all right: "  1) Failure:", and the test's name in the next line.
LINE = re.compile(r"^\[ *\d+/\d+\] ([^\s#]+#\S+)( = ([\d.]+) s)?", re.M)
ODD = re.compile(r"^ +\d+\) (Failure|Error|Skipped|Omitted|Pending):\n"
                 r"([^\s#]+#[^\s:]+)(.*?)(?=^ +\d+\) |^Finished tests|\Z)",
                 re.M | re.S)


class Ruby(Suite):
    name = "ruby"
    title = "ruby 3.3: tests of its socket library"
    source = "ruby3.3"

    def run(self, guest, tell):
        for name in filter(self.wants, FILES):
            done = guest.job(["ruby", "test/runner.rb", "-v",
                              f"test/socket/{name}.rb"], f"{DISK}/ruby",
                             FILE_S)
            outcomes = list(self.outcomes(name, done))
            tell(name, outcomes, done.seconds)
            yield from outcomes

    @staticmethod
    def outcomes(name, done):
        """The Outcome of each test in a file's output, and of the file."""
        odd = {test: (FAIL if word in ("Failure", "Error") else SKIP, text)
               for word, test, text in ODD.findall(done.output)}
        last = HANG if done.is_hang else CRASH
        for test, ended, seconds in LINE.findall(done.output):
            result, text = odd.get(test, (PASS if ended else last, ""))
            yield Outcome(f"{name}: {test}", result, float(seconds or 0),
                          text)
        if done.is_hang or done.code > 128:
            yield of_job(name, done)


SUITES = (Ruby(),)
