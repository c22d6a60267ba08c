# SPDX-License-Identifier: GPL-2.0-or-later
"""The virtio network: a bridge and a tap per VM in a namespace of their own.

QEMU itself runs in that namespace (unix sockets by path work across), so
nothing of it is visible on the machine. The machine's end of the bridge is
10.78.0.254 and fd78::fe inside the namespace.
"""

import subprocess

from lab.report import LabError


class Bridge:
    """The network of one cluster. name: of the network namespace."""

    def __init__(self, name):
        self.name = name

    def prefix(self):
        """Words before a command that shall run in the namespace."""
        return ["ip", "netns", "exec", self.name]

    def create(self, numbers, queues=1):
        """Make it for the VMs with these numbers; queues: of each card."""
        self.remove()
        several = " multi_queue" if queues > 1 else ""
        inside = ["link set lo up", "link add br0 type bridge",
                  "link set br0 up", "addr add 10.78.0.254/24 dev br0",
                  "addr add fd78::fe/64 dev br0 nodad"]
        for number in numbers:
            inside += [f"tuntap add dev tap{number} mode tap{several}",
                       f"link set tap{number} master br0 up"]
        self.ip(["netns", "add", self.name])
        self.ip(["-n", self.name, "-batch", "-"],
                "".join(f"{line}\n" for line in inside))

    def remove(self):
        subprocess.run(["ip", "netns", "delete", self.name],
                       stderr=subprocess.DEVNULL)

    def ip(self, words, text=None):
        done = subprocess.run(["ip", *words], input=text, text=True,
                              stderr=subprocess.PIPE)
        if done.returncode:
            raise LabError("cannot make the VMs' network, check that this "
                           "kernel has namespaces, bridges and taps: "
                           f"{done.stderr.strip()}")
