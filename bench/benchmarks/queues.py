# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests of two processors: what more queues are good for."""

from bench.benchmarks import iperf3, netperf

SUBJECTS = ("circuits", "virtio-net", "virtio-net-mq")


class TwoProcessors:
    world = "smp"
    subjects = SUBJECTS
    is_quick = False
    limits = {}

    def prepare(self, world, subjects, plan):
        # Both kinds of virtio have the same card and the same server.
        super().prepare(world, subjects[:2], plan)


class Iperf3(TwoProcessors, iperf3.Iperf3):
    name = "two processors, iperf3"


class RoundTrips(TwoProcessors, netperf.RoundTrips):
    name = "two processors, TCP_RR"


BENCHMARKS = (Iperf3, RoundTrips)
