# SPDX-License-Identifier: GPL-2.0-or-later
"""virtio-net over vhost-user to passt, which ends connections in host sockets.

passt runs where the switch runs, in the host's namespace, and reaches the same
servers.
"""

import subprocess
import time

from bench.guest import BenchError
from bench.subject import OFFSET_STEP, Subject
from lab import outside
from lab.hypervisor import program
from lab.process import Daemon
from lab.report import LabError

START_TIMEOUT_S = 5
GUEST, GATEWAY = "10.79.0.1", "10.79.0.254"


class Passt(Subject):
    name = "passt"
    title = "virtio-net, vhost-user, passt"
    worlds = ("outside",)
    has_backend = True
    offset = 3 * OFFSET_STEP

    def __init__(self):
        super().__init__()
        self.daemon = None

    def address(self, world):
        return outside.address(9)

    def devices(self, world, vm):
        try:
            self.start(world, vm)
        except LabError as error:
            self.missing = ("passt does not start", str(error))
            return []
        return ["-chardev", f"socket,id=passt,path={self.socket(world, vm)}",
                "-netdev", "vhost-user,id=passt,chardev=passt",
                "-device", "virtio-net-pci,netdev=passt,romfile=,"
                "mac=52:54:00:79:00:01"]

    def socket(self, world, vm):
        return world.directory / "passt.sock"

    def start(self, world, vm):
        self.stop()         # of a boot before that failed
        self.socket(world, vm).unlink(missing_ok=True)
        state = world.directory
        self.daemon = Daemon("passt", state / "passt.pid", state / "passt.log",
                             self.socket(world, vm))
        words = [*world.cluster.outside.host_prefix(),
                 *program(world.tree, "passt"), "--foreground",
                 "--vhost-user", "--socket", self.socket(world, vm),
                 "--runas", "0", "-a", GUEST, "-n", "24", "-g", GATEWAY,
                 # The host itself, under a name that routes to nobody else.
                 "--map-host-loopback", outside.address(9),
                 "-t", "none", "-u", "none", "--no-dhcp", "--no-dhcpv6",
                 "--no-ra", "--no-ndp", "-4"]
        self.daemon.start(words)
        end = time.monotonic() + START_TIMEOUT_S
        while not self.socket(world, vm).exists():
            if not self.daemon.pid() or time.monotonic() > end:
                raise LabError(f"it made no socket: {self.daemon.log()}")
            time.sleep(0.02)

    def ready(self, world):
        if self.missing:
            return
        try:
            for words in (["link", "set", "eth1", "up"],
                          ["addr", "add", f"{GUEST}/24", "dev", "eth1"],
                          ["route", "add", outside.address(9), "via",
                           GATEWAY, "dev", "eth1"]):
                world.client.run("ip", *words)
        except BenchError as error:
            self.missing = ("the guest has no second card", str(error))

    def backend_pids(self, world):
        return [self.daemon.pid()]

    def stop(self):
        if self.daemon:
            self.daemon.kill()
        self.daemon = None


SUBJECT = Passt
