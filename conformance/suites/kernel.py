# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's own selftests of sockets (tools/testing/selftests/net)."""

from conformance.suite import Suite, of_job, of_tap
from conformance.world import DISK

TEST_S, HARNESS_S = 240, 900
# What the scripts beside the programs do in network namespaces of their own,
# where there are no circuits, is done once in the guest's first one.
SET_UP = """
ip addr add 10.8.8.8 dev lo
ip addr add 2001:db8:0:f101::1 dev lo nodad
ip addr add 10.0.0.1/32 dev lo
ip addr add fd00::1/128 dev lo nodad noprefixroute
echo "install tls /bin/false" >/etc/modprobe.d/no-tls.conf
sysctl -q -w net.ipv4.tcp_fastopen=3 net.ipv6.ip_nonlocal_bind=1 \
	net.core.optmem_max=1000000
"""

# What a script does around a program.
ZEROCOPY = ("./msg_zerocopy -4 -t 4 -S 127.0.0.1 -D 127.0.0.1 -r tcp & "
            "sleep 1; ./msg_zerocopy -4 -t 2 -S 127.0.0.1 -D 127.0.0.1 {} "
            "tcp && wait $!")
SMALL_MTU = ("ip link set lo mtu 1500; ./udpgso {}; code=$?; "
             "ip link set lo mtu 65536; exit $code")
PORT_RANGE = ("range=$(sysctl -n net.ipv4.ip_local_port_range); "
              "sysctl -q -w net.ipv4.ip_local_port_range='40000 49999'; "
              "./ip_local_port_range; code=$?; "
              'sysctl -q -w net.ipv4.ip_local_port_range="$range"; '
              "exit $code")

# Each is a test: its name, and the shell's words.
PROGRAMS = (
    ("bind_bhash ipv4", "./bind_bhash 443 ipv4 10.8.8.8"),
    ("bind_bhash ipv6", "./bind_bhash 443 ipv6 2001:db8:0:f101::1"),
    *((name, f"./{name}") for name in (
        "reuseport_addr_any", "reuseport_bpf", "reuseport_bpf_cpu",
        "reuseport_dualstack", "reuseaddr_conflict", "sk_bind_sendto_listen",
        "sk_connect_zero_addr", "sk_so_peek_off", "so_netns_cookie",
        "socket")),
    ("stress_reuseport_listen", "./stress_reuseport_listen 100 20"),
    ("tcp_inq ipv4", "./tcp_inq -4 -p 5001"),
    ("tcp_inq ipv6", "./tcp_inq -6 -p 5001"),
    ("msg_zerocopy tcp", ZEROCOPY.format("")),
    ("msg_zerocopy tcp -z", ZEROCOPY.format("-z")),
    ("udpgso cmsg ipv4", SMALL_MTU.format("-4 -C")),
    ("udpgso cmsg ipv6", SMALL_MTU.format("-6 -C")),
    ("udpgso setsockopt ipv4", SMALL_MTU.format("-4 -C -s")),
    ("udpgso msg_more ipv4", SMALL_MTU.format("-4 -C -m")),
    *((f"tcp_fastopen_backup_key {flags}",
       f"./tcp_fastopen_backup_key {flags}") for flags in ("-4", "-6r")),
)
# Ciphers: without TLS their tests are the same.
VARIANTS = ("13_aes_gcm", "12_chacha", "13_chacha", "13_sm4_gcm",
            "13_sm4_ccm", "12_aes_ccm", "13_aes_ccm", "12_aes_gcm_256",
            "13_aes_gcm_256", "13_nopad", "12_aria_gcm", "12_aria_gcm_256")
# These write TAP: each of their tests counts.
HARNESSES = (
    ("ip_local_port_range", PORT_RANGE),
    *((name, f"./{name}") for name in (
        "bind_timewait", "bind_wildcard", "epoll_busy_poll",
        "rxtimestamp")),
    ("tls", "./tls " + " ".join(f"-V {name}" for name in VARIANTS)),
)
# Makes a namespace itself: proves nothing.
ELSEWHERE = ("so_incoming_cpu",)


class Kernel(Suite):
    name = "kernel"
    title = "Linux 6.12: selftests of sockets"
    source = "linux-source-6.12"
    note = ("Run in the guest's first network namespace, without the scripts "
            "that would make another. Left out: " + ", ".join(ELSEWHERE) +
            " makes a namespace of its own, where there are no circuits; "
            "msg_oob is of AF_UNIX only; so_rcv_listener is not in 6.12. "
            "Circuits have no kernel TLS (ENOENT), so tls runs without the "
            "tls module on both, once and not for each cipher: it then does "
            "the same calls on sockets without TLS. Its source is the only "
            "one that is touched: calls with an argument too many, which "
            "do not compile. udpgso is of UDP only.")

    def prepare(self, guest):
        guest.shell(SET_UP)

    def run(self, guest, tell):
        for table, parse, limit in ((PROGRAMS, self.single, TEST_S),
                                    (HARNESSES, of_tap, HARNESS_S)):
            for name, words in table:
                if not self.wants(name):
                    continue
                done = guest.job(["sh", "-c", words],
                                 f"{DISK}/kernel", limit)
                outcomes = list(parse(name, done))
                tell(name, outcomes, done.seconds)
                yield from outcomes

    @staticmethod
    def single(name, done):
        yield of_job(name, done)


SUITES = (Kernel(),)
