# SPDX-License-Identifier: GPL-2.0-or-later
"""virtio-net with one queue, a tap for each guest, and a bridge."""

from bench.subject import OFFSET_STEP, Subject


def set_queues(world, queues):
    """Queues of the cards that have several; which stays until changed."""
    for guest in world.guests:
        if guest.vm.queues > 1:
            guest.run("ethtool", "-L", "eth0", "combined", queues)


class Virtio(Subject):
    name = "virtio-net"
    title = "virtio-net, tap, bridge"
    worlds = ("pair", "smp", "outside")
    offset = OFFSET_STEP

    def address(self, world):
        return world.server_virtio_address()

    def before(self, world):
        if world.name == "smp":
            set_queues(world, 1)


SUBJECT = Virtio
