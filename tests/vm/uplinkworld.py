# SPDX-License-Identifier: GPL-2.0-or-later
"""The world of the uplink's cases: two guests, a host and an outside.

`nat` leaves by the host's address, `routed` by its own. Peers are puppets as
in the guests: `outside` runs where the guests' connections go, `host` where
the switch runs, to look at its sockets.
"""

import contextlib
import copy
import ctypes
import os
import socket
import subprocess

from labworld import LabWorld, free_instance, status
from line import Line
from world import HERE, Guest, Puppet, Silence, wait_until

from lab import outside

# Ports of the host that lead to the first VM, and the routed VM's that a rule
# opens. What is published is the same for all cases: changing it takes a
# restart.
PUBLISHED, OPENED = 8081, 8090
# Of the host's loopback, which a rule opens to the first VM.
HOST_PORT = 8083


def out(action, **keys):
    """A rule for what leaves, without its name."""
    return {"action": action, "direction": "out", **keys}


def into(action, **keys):
    """A rule for what comes in."""
    return {"action": action, "direction": "in", **keys}


def both(number):
    """An address of the outside in both families."""
    return [outside.address(number), outside.address(number, "inet6")]


# The addresses of the outside that rules treat otherwise than .1.
MPTCP, RENO, BBR, OPEN_PROXY, LOCKED_PROXY, WRONG_PROXY, DENIED, PROXY = \
    range(2, 10)

SETTINGS = {
    "vms": {"vm2": {"source": "routed"}},
    "publish": [f"{outside.HOST[0]}:{PUBLISHED} -> vm1:{PUBLISHED}",
                f"[{outside.HOST[1]}]:{PUBLISHED} -> vm1:{PUBLISHED}",
                # At any address, so that it matters whence answers come.
                f"0.0.0.0:{PUBLISHED}/udp -> vm1:{PUBLISHED}",
                f"[::]:{PUBLISHED}/udp -> vm1:{PUBLISHED}"],
    "proxies": {
        "open": {"address": f"{outside.address(PROXY)}:1080"},
        "locked": {"address": f"{outside.address(PROXY)}:1081",
                   "user": "guest", "password": "a secret"},
        "wrong": {"address": f"{outside.address(PROXY)}:1081",
                  "user": "guest", "password": "no secret"}},
    "rules": {
        "two paths": out("allow", remote=both(MPTCP), transport="mptcp"),
        "reno": out("allow", remote=both(RENO), congestion="reno"),
        "bbr": out("allow", remote=both(BBR), congestion="bbr"),
        "open proxy": out("allow", remote=both(OPEN_PROXY), proxy="open"),
        "locked proxy": out("allow", remote=both(LOCKED_PROXY),
                            proxy="locked"),
        "wrong password": out("allow", remote=both(WRONG_PROXY),
                              proxy="wrong"),
        "denied": out("deny", remote=both(DENIED)),
        "the host": out("allow", vm=["vm1"], remote=["127.0.0.1", "::1"],
                        ports=[str(HOST_PORT)]),
        "routed listeners": into("allow", vm=["vm2"],
                                 ports=[f"{OPENED}-{OPENED + 9}"])}}

# A peer gets /tmp for itself, in the mount namespace that ip makes anyway.
PEER = 'mount -t tmpfs tmpfs /tmp && exec "$@"'
SYS_PIDFD_OPEN, SYS_PIDFD_GETFD = 434, 438


class UplinkWorld(LabWorld):
    """Guests whose switch has an uplink."""

    def __init__(self):
        instance, lock = free_instance("uplink")
        super().__init__("circuit", 2, instance, uplink=SETTINGS)
        self.lock, self.name = lock, "uplink"
        self.peers, self.processes = [], []
        self.sockets_before = 0

    def start(self):
        super().start()
        self.nat, self.routed = self.guests
        place = self.cluster.outside
        self.outside = self.peer("outside", place.prefix(),
                                 outside.address(),
                                 outside.address(family="inet6"))
        self.host = self.peer("host", place.host_prefix(), *outside.HOST)

    def peer(self, name, prefix, v4, v6):
        """Start a puppet in a namespace."""
        ours, theirs = socket.socketpair()
        with open(HERE / "puppet.py") as code:
            # By descriptor: the checkout may lie in /tmp.
            self.processes.append(subprocess.Popen(
                [*prefix, "sh", "-c", PEER, "sh", "/usr/bin/python3",
                 f"/proc/self/fd/{code.fileno()}", "--fd",
                 str(theirs.fileno())],
                pass_fds=[theirs.fileno(), code.fileno()]))
        theirs.close()
        peer = Guest(0, name, v4, v6, Puppet(name, ours))
        peer.look(peer.fresh())
        self.peers.append(peer)
        return peer

    def stop(self):
        for process in self.processes:
            process.kill()
            process.wait()
        super().stop()

    # -- what each case must leave behind

    def begin(self):
        super().begin()
        self.sockets_before = self.nr_sockets()

    def end(self, node):
        faults = []
        for peer, sent in [(peer, peer.fresh()) for peer in self.peers]:
            try:
                _, news = peer.look(sent)
            except Silence as silence:
                faults.append(str(silence))
            else:
                faults += peer.faults(news)
        faults += super().end(node)
        try:
            wait_until(lambda: self.nr_sockets() <= self.sockets_before,
                       "the switch has closed the case's sockets", 5)
        except AssertionError:
            faults.append(f"the switch has {self.nr_sockets()} sockets, "
                          f"{self.sockets_before} before the case: "
                          f"{self.shell('ss -Htanp')}")
        return faults

    def shell(self, command):
        """Run a command line on the host; return its output."""
        done = subprocess.run(
            [*self.cluster.outside.host_prefix(), "sh", "-c", command],
            capture_output=True, text=True, timeout=20)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def descriptors(self):
        """What the switch has open: [(number, what)]."""
        found = []
        place = f"/proc/{self.switch.pid()}/fd"
        for entry in os.listdir(place):
            with contextlib.suppress(FileNotFoundError):
                found.append((int(entry), os.readlink(f"{place}/{entry}")))
        return found

    def nr_sockets(self):
        return sum(what.startswith("socket:")
                   for _, what in self.descriptors())

    # -- who talks to whom

    def set_ends(self, family, server, client, address=None):
        """Give the helpers of a case's ends its family and addresses."""
        for end in (server, client, self.host):
            end.set(FAMILY=2 if family == "inet" else 10,
                    SERVER=address or server.address(family),
                    CLIENT=client.address(family), PORT=None,
                    ANY="0.0.0.0" if family == "inet" else "::",
                    FAMILY_NAME=family)
        return server, client

    def line(self, delay_ms=0, loss=0):
        """A slow line beside the fast one, as long as a with block."""
        place = self.cluster.outside
        return Line(place.host, place.name, delay_ms, loss)

    # -- the host's sockets

    def ask_socket(self, port, ask):
        """What ask() says of the switch's socket to that port outside."""
        pidfd = call(SYS_PIDFD_OPEN, self.switch.pid(), 0)
        try:
            for number, what in self.descriptors():
                if not what.startswith("socket:"):
                    continue
                fd = call(SYS_PIDFD_GETFD, pidfd, number, 0)
                with socket.socket(fileno=fd) as sock:
                    with contextlib.suppress(OSError, IndexError, TypeError):
                        if sock.getpeername()[1] == port:
                            return ask(sock)
        finally:
            os.close(pidfd)
        raise AssertionError(f"the switch has no socket to port {port}: "
                             f"{self.shell('ss -Htanp')}")

    def options(self, port, names):
        """Options of that socket, by name."""
        return self.ask_socket(port, lambda sock: {
            name: sock.getsockopt(
                socket.SOL_SOCKET if name.startswith("SO_") else
                socket.IPPROTO_TCP, getattr(socket, name))
            for name in names})

    def connecting(self, address):
        """How many sockets of the host wait for an answer from there."""
        return len(self.shell(f"ss -Htn state syn-sent dst '[{address}]'"
                              ).splitlines())

    # -- other configurations

    @contextlib.contextmanager
    def policy(self, rules, reload=None):
        """Other rules, and the old ones after the with block."""
        try:
            self.apply({"rules": rules}, reload)
            yield
        finally:
            self.apply({"rules": SETTINGS["rules"]})

    def apply(self, parts, reload=None):
        self.switch.uplink.update(copy.deepcopy(parts))
        self.switch.configure()
        (reload or self.reload)()

    def reload(self):
        self.ctl("policy", "reload")

    @contextlib.contextmanager
    def settings(self, **parts):
        """A switch with other settings: it is started again, twice."""
        for guest in self.guests:
            guest.tell("vmcircuit: the switch")
        self.trouble = ("switch_lost",)
        before = copy.deepcopy(self.switch.uplink)
        try:
            self.apply(parts, self.restart)
            yield
        finally:
            self.apply({name: before.get(name, {}) for name in parts},
                       self.restart)

    def restart(self):
        # A guest may still be what it was to the last run of the switch.
        before = {guest: status(guest).get("epoch") for guest in self.guests}
        self.switch.restart()
        for guest, epoch in before.items():
            wait_until(lambda: status(guest).get("epoch") != epoch,
                       f"{guest.name} hears of the new switch")
        self.wait_attached()

    def allowed(self, guest, address, port, protocol="tcp"):
        """What the policy says of a guest's connect."""
        name = f"[{address}]:{port}" if ":" in address else \
            f"{address}:{port}"
        done = subprocess.run(
            [self.ctl_program, "--socket", self.switch.control, "policy",
             "test", guest.name, protocol, name], capture_output=True,
            text=True, timeout=20)
        assert done.returncode in (0, 1), done.stderr
        return done.returncode == 0


def call(number, *arguments):
    """A system call that Python does not know."""
    libc = ctypes.CDLL(None, use_errno=True)
    done = libc.syscall(number, *arguments)
    if done < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return done
