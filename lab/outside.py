# SPDX-License-Identifier: GPL-2.0-or-later
"""What guests reach over the switch's uplink: a host and an outside.

Two network namespaces, joined by a veth pair. The switch runs in the *host*'s,
which is the bridge's where there is one; whoever plays a peer runs in the
*outside*'s. Nothing is translated in between: the switch ends the guests'
connections in sockets of the host. Routes lead from the outside to the guests'
own addresses, and the host takes those of routed guests as its own.

All addresses of the outside are of ranges kept for documentation.
"""

import contextlib
import os
import signal
import subprocess

from lab.report import LabError

HOST = ("192.0.2.254", "2001:db8::fe")
# Where peers may listen; .1 and ::1 if nothing else is said.
NUMBERS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 53)
RESOLVERS = ("192.0.2.53", "2001:db8::53")
# Names of the host's loopback, for guests.
HOST_FOR_GUESTS = ("10.77.0.254", "fd77::fe")

# The host knows that it is not there; it vanishes on the way; no route.
UNREACHABLE = ("203.0.113.1", "2001:db8:dead::1")
SILENT = ("203.0.113.65", "2001:db8:b1ac::1")
UNKNOWN = ("203.0.113.129", "2001:db8:ffff::1")

HOST_SETUP = """
link set lo up
link set up0 up
addr add 192.0.2.254/24 dev up0
addr add 2001:db8::fe/64 dev up0 nodad
route add unreachable 203.0.113.0/26
route add unreachable 2001:db8:dead::/48
route add 203.0.113.64/26 via 192.0.2.1
route add 2001:db8:b1ac::/48 via 2001:db8::1
"""
OUTSIDE_SETUP = """
link set lo up
link set eth0 up
route add 10.77.0.0/24 via 192.0.2.254
route add fd77::/64 via 2001:db8::fe
route add blackhole 203.0.113.64/26
route add blackhole 2001:db8:b1ac::/48
"""


def address(number=1, family="inet"):
    """The number-th address of the outside."""
    return f"192.0.2.{number}" if family == "inet" else \
        f"2001:db8::{number}"


class Outside:
    """The host's and the outside's namespace of one cluster.

    key: makes the names unique. bridge: the lab's, whose namespace is then
    the host's, or None.
    """

    def __init__(self, key, bridge=None):
        self.is_shared = bridge is not None
        self.host = bridge.name if bridge else f"vmch-{key}"
        self.name = f"vmco-{key}"

    def prefix(self):
        """Words before a command that shall run outside."""
        return ["ip", "netns", "exec", self.name]

    def host_prefix(self):
        """Words before a command that shall run on the host."""
        return ["ip", "netns", "exec", self.host]

    def create(self, routed):
        """Make both; routed: addresses that the host takes as its own."""
        self.remove()
        for name in (self.name,) if self.is_shared else (self.name, self.host):
            self.ip(["netns", "add", name])
        self.ip(["link", "add", "up0", "netns", self.host, "type", "veth",
                 "peer", "name", "eth0", "netns", self.name])
        own = [f"addr add {address(number)}/24 dev eth0\n"
               f"addr add {address(number, 'inet6')}/64 dev eth0 nodad\n"
               for number in NUMBERS]
        head, _, tail = OUTSIDE_SETUP.partition("route")
        self.ip(["-n", self.name, "-batch", "-"],
                head + "".join(own) + "route" + tail)
        self.ip(["-n", self.host, "-batch", "-"], HOST_SETUP + "".join(
            f"route add local {one} dev lo\n" for one in routed))
        self.permit_ping()

    def permit_ping(self, groups="0 2147483647"):
        """Let the switch have ping sockets, or not ("1 0")."""
        done = subprocess.run(
            [*self.host_prefix(), "sh", "-c", f"echo '{groups}' "
             ">/proc/sys/net/ipv4/ping_group_range"])
        if done.returncode:
            raise LabError("cannot permit ping sockets in a namespace")

    def remove(self):
        """Remove them, whatever there is of them, with all that runs there."""
        names = (self.name,) if self.is_shared else (self.name, self.host)
        for name in names:
            done = subprocess.run(["ip", "netns", "pids", name], text=True,
                                  capture_output=True)
            for pid in done.stdout.split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            subprocess.run(["ip", "netns", "delete", name],
                           stderr=subprocess.DEVNULL)
        if self.is_shared:
            subprocess.run(["ip", "-n", self.host, "link", "delete", "up0"],
                           stderr=subprocess.DEVNULL)

    def ip(self, words, text=None):
        done = subprocess.run(["ip", *words], input=text, text=True,
                              stderr=subprocess.PIPE)
        if done.returncode:
            raise LabError("cannot make the outside of the uplink, check "
                           "that this kernel has namespaces and veth: "
                           f"{done.stderr.strip()}")
