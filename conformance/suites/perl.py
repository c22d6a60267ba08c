# SPDX-License-Identifier: GPL-2.0-or-later
"""perl's own tests of sockets: those of the language, IO, Socket, libnet."""

from conformance.suite import Suite, of_tap
from conformance.world import DISK

TEST_S = 180
HERE = "/tmp/perl"
# The tests find modules in ../lib, so that is the guest's own perl.
SET_UP = f"""
cp -r {DISK}/perl {HERE} && mkdir -p {HERE}/lib && cd {HERE}/lib &&
for directory in $(perl -e 'print "@INC"'); do
	[ ! -d $directory ] || cp -rsn $directory/. . 2>/dev/null
done; true
"""
DIRECTORIES = {
    "t": ("io/socket.t", "io/socketpair.t"),
    "dist/IO": ("t/cachepropagate-tcp.t", "t/cachepropagate-udp.t",
                "t/io_multihomed.t", "t/io_poll.t", "t/io_sel.t",
                "t/io_sock.t", "t/io_sock_errstr.t", "t/io_udp.t"),
    "cpan/Socket": ("t/Socket.t", "t/getaddrinfo.t", "t/getnameinfo.t",
                    "t/sockaddr.t", "t/socketpair.t"),
    "cpan/IO-Socket-IP": tuple(f"t/{name}.t" for name in (
        "01local-client-v4", "02local-server-v4", "03local-cross-v4",
        "04local-client-v6", "05local-server-v6", "06local-cross-v6",
        "10args", "11sockopts", "12port-fallback", "13addrinfo", "14fileno",
        "15io-socket", "16v6only", "17gai-flags", "18fdopen", "19no-addrs",
        "20subclass", "21as-inet", "22timeout", "30nonblocking-connect")),
    "cpan/libnet": ("t/datasend.t", "t/ftp.t", "t/nntp_ipv6.t",
                    "t/pop3_ipv6.t", "t/smtp_ipv6.t"),
}


class Perl(Suite):
    name = "perl"
    title = "perl 5.40: tests of sockets"
    source = "perl"

    def prepare(self, guest):
        guest.shell(SET_UP)

    def run(self, guest, tell):
        for directory, names in DIRECTORIES.items():
            for name in names:
                part = f"{directory}/{name}"
                if not self.wants(part):
                    continue
                done = guest.job(["perl", name], f"{HERE}/{directory}",
                                 TEST_S)
                outcomes = list(of_tap(part, done))
                tell(part, outcomes, done.seconds)
                yield from outcomes


SUITES = (Perl(),)
