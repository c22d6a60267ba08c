# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest and its host: the uplink, virtio with tap, passt, and the host's own
TCP and UDP, of which the others' figures are a share."""

from bench.benchmark import Case, Run
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


class DatagramsOut(Out):
    """As many as the sender can, small ones and those that fill a packet."""

    name = "uplink, datagrams out"
    limits = {"rate": NATIVE}

    def cases(self, plan):
        return [Case(f"datagrams of {size} bytes", size, 1,
                     {"words": ("-u", "-b", "0", *self.words)})
                for size in (64, 1400)]

    def once(self, world, subject, case, plan):
        out = subject.client(world).run(
            "iperf3", "-c", subject.address(world), "-p",
            subject.port(iperf3.PORT), "-t", max(2, round(plan.seconds)),
            "-J", "-l", case.size, *case.options["words"],
            group=subject.group, timeout=plan.seconds + 60)
        rate, nr_bytes = iperf3.parse_datagrams(out, case.size)
        return Run({"rate": (rate, "datagrams/s")}, nr_bytes=nr_bytes)


class DatagramsIn(DatagramsOut):
    name = "uplink, datagrams in"
    words = ("-R",)


class RoundTrips(Outside, netperf.RoundTrips):
    name = "uplink, TCP_RR"
    limits = {"rate": NATIVE}


class Connections(Outside, netperf.Connections):
    name = "uplink, TCP_CRR"
    limits = {"rate": NATIVE}


BENCHMARKS = (Out, In, DatagramsOut, DatagramsIn, RoundTrips, Connections)
