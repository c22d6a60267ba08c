# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest and its host: the uplink, virtio with tap, passt, and the host's own
TCP, of which the others' figures are a share."""

from bench.benchmark import Case
from bench.benchmarks import iperf3, netperf

SUBJECTS = ("circuits", "virtio-net", "passt", "native")
NATIVE = "native"


class Outside:
    world = "outside"
    subjects = SUBJECTS
    is_quick = False


class Out(Outside, iperf3.Iperf3):
    name = "uplink, iperf3 out"
    limits = {"throughput": NATIVE}
    words = ()

    def cases(self, plan):
        return [Case("1 connection", iperf3.USUAL_SIZE, 1,
                     {"words": self.words})]

    def once(self, world, subject, case, plan):
        return iperf3.measure(world, subject, case, plan.seconds)


class In(Out):
    name = "uplink, iperf3 in"
    words = ("-R",)


class RoundTrips(Outside, netperf.RoundTrips):
    name = "uplink, TCP_RR"
    limits = {"rate": NATIVE}


class Connections(Outside, netperf.Connections):
    name = "uplink, TCP_CRR"
    limits = {"rate": NATIVE}


BENCHMARKS = (Out, In, RoundTrips, Connections)
