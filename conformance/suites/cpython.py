# SPDX-License-Identifier: GPL-2.0-or-later
"""CPython's own tests, as Debian packages them: those that use sockets."""

import json

from conformance.suite import CRASH, Outcome, Suite
from conformance.world import HERE

# A test opens as many files as it may.
RUN = 'ulimit -n 4096; exec python3 "$@"'
DRIVER, OUT = "/run/unittest_driver.py", "/tmp/tests.json"
# A test, under emulation, on a machine that others use, too.
TEST_S = 240
MODULE_S = 3600

# Tests of sockets that nobody redirects: they prove nothing.
FOREIGN = (r"(?!.*(ALG|BT|Bluetooth|CAN|HyperV|ISOTP|J1939|Qipcrtr|RDS|SCTP|"
           r"TIPC|UDPLITE|Unix|VSOCK))")

ON_EPOLL = r"^(?!.*\.(Poll|Select)EventLoop)"


class CPython(Suite):
    """modules: module, or module:regular expression of tests."""

    source = "libpython3.13-testsuite"

    def __init__(self, part, title, note, *modules):
        self.name = f"cpython-{part}"
        self.title = f"CPython 3.13: {title}"
        self.note, self.modules = note, modules

    def prepare(self, guest):
        guest.vm.push(HERE / "guest/unittest_driver.py", DRIVER)

    def run(self, guest, tell):
        for module in filter(self.wants, self.modules):
            done = guest.job(["sh", "-c", RUN, "sh", DRIVER, OUT, TEST_S,
                              f"test.{module}"], timeout=MODULE_S)
            lines = [json.loads(line) for line in
                     guest.shell(f"cat {OUT}; rm {OUT}").splitlines()]
            outcomes = [Outcome(line["test"].removeprefix("test."),
                                line["result"], line["seconds"],
                                line["said"])
                        for line in lines if "test" in line]
            if done.code:
                outcomes.append(Outcome(module, CRASH, done.seconds,
                                        done.output))
            tell(module.partition(":")[0], outcomes, done.seconds)
            yield from outcomes


SUITES = (
    CPython("socket", "socket, select, selectors",
            "Tests of other families of test_socket (Bluetooth, CAN, AF_ALG, "
            "Unix and so on) are left out: nobody redirects these sockets.",
            f"test_socket:^{FOREIGN}", "test_timeout", "test_socketserver",
            "test_select", "test_poll", "test_epoll", "test_selectors"),
    CPython("asyncio", "asyncio",
            "Of the three event loops, on epoll, poll and select, only the "
            "first, which is Linux' own: the others are tested by "
            "test_selectors.",
            f"test_asyncio.test_streams:{ON_EPOLL}",
            f"test_asyncio.test_sock_lowlevel:{ON_EPOLL}",
            f"test_asyncio.test_server:{ON_EPOLL}",
            f"test_asyncio.test_sendfile:{ON_EPOLL}",
            f"test_asyncio.test_events:{ON_EPOLL}"),
    CPython("protocols", "HTTP, FTP, SMTP, POP, IMAP, XML-RPC", "",
            "test_ftplib", "test_httplib", "test_smtplib", "test_poplib",
            "test_imaplib", "test_xmlrpc", "test_wsgiref", "test_docxmlrpc",
            "test_urllib2_localnet"),
    CPython("tls", "ssl, alone and with asyncio", "",
            "test_ssl", "test_asyncio.test_ssl"),
    CPython("processes", "multiprocessing's managers and connections", "",
            "test_multiprocessing_fork.test_manager",
            "test_multiprocessing_fork.test_processes:"
            "Connection|Listener|Picklable"),
)
