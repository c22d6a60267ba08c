# SPDX-License-Identifier: GPL-2.0-or-later
"""virtio-net with a queue for each processor, taps likewise, and a bridge."""

import re

from bench.guest import BenchError
from bench.subjects import virtio


class MultiQueue(virtio.Virtio):
    name = "virtio-net-mq"
    title = "virtio-net, multi-queue"
    worlds = ("smp",)

    def ready(self, world):
        try:
            virtio.set_queues(world, world.client.vm.queues)
        except BenchError as error:
            self.missing = ("the guest's card has one queue", str(error))
            return
        told = world.client.run("ethtool", "-l", "eth0")
        if re.findall(r"Combined:\s+(\d+)", told)[-1:] == ["1"]:
            self.missing = ("the guest's card uses one queue", told.strip())

    def before(self, world):
        virtio.set_queues(world, world.client.vm.queues)


SUBJECT = MultiQueue
