# SPDX-License-Identifier: GPL-2.0-or-later
"""netperf: round trips on a connection and in datagrams, connections for a round
trip, and datagrams as fast as they go."""

import re

from bench.benchmark import Benchmark, Case, Run
from bench.guest import BenchError

PORT = 12865
# What both kinds do in about a second.
CONNECTIONS_PER_S = 500
DATAGRAM_SIZES = (64, 1400)


def parse(text):
    """The figure of a run with -P 0 -v 0."""
    if not re.fullmatch(r"\s*\d+(\.\d+)?\s*", text):
        raise BenchError(f"netperf said: {text.strip()[-300:]}")
    return float(text)


def parse_counts(text, names):
    """The numbers of a run with -k NAMES."""
    found = dict(re.findall(r"^(\w+)=([\d.]+)$", text, re.M))
    try:
        return [float(found[name]) for name in names.split(",")]
    except KeyError as missing:
        raise BenchError(f"netperf did not say {missing}: "
                         f"{text.strip()[-300:]}")


def length(test, seconds):
    """The word for -l. Less than zero is a number of transactions: netperf
    would wait four seconds more after connections of a fixed time."""
    if test == "TCP_CRR":
        return -int(CONNECTIONS_PER_S * seconds)
    return max(1, round(seconds))


def measure(world, subject, test, seconds):
    out = subject.client(world).run(
        "netperf", "-H", subject.address(world), "-p", subject.port(PORT),
        "-4", "-t", test, "-l", length(test, seconds), "-P", 0, "-v", 0,
        group=subject.group, timeout=seconds + 60)
    rate = parse(out)
    if test == "TCP_CRR":
        return Run({"rate": (rate, "connections/s")},
                   nr_trips=-length(test, seconds))
    return Run({"rate": (rate, "round trips/s")},
               nr_trips=rate * length(test, seconds))


class RoundTrips(Benchmark):
    """On one connection, one byte there and back."""

    name = "netperf TCP_RR"
    test = "TCP_RR"
    limits = {"rate": ("guest", "AF_UNIX round trips")}
    has_costs = True

    def cases(self, plan):
        return [Case(self.test, 1, 1)]

    def prepare(self, world, subjects, plan):
        for subject in subjects:
            port = subject.port(PORT)
            world.serve(subject, "netserver", "-D", "-4", "-p", port,
                        port=port)

    def once(self, world, subject, case, plan):
        return measure(world, subject, self.test, plan.seconds)


class DatagramRoundTrips(RoundTrips):
    """A datagram of one byte there and back."""

    name = "netperf UDP_RR"
    test = "UDP_RR"


class Connections(RoundTrips):
    """A connection for each round trip."""

    name = "netperf TCP_CRR"
    test = "TCP_CRR"
    limits = {"rate": ("guest", "TCP loopback connections")}


class Datagrams(RoundTrips):
    """Datagrams one way, as fast as the sender can."""

    name = "netperf UDP_STREAM"
    limits = {}
    counts = "LOCAL_SEND_CALLS,REMOTE_RECV_CALLS,ELAPSED_TIME"

    def cases(self, plan):
        return [Case(f"datagrams of {size} bytes", size)
                for size in DATAGRAM_SIZES]

    def once(self, world, subject, case, plan):
        out = subject.client(world).run(
            "netperf", "-H", subject.address(world), "-p",
            subject.port(PORT), "-4", "-t", "UDP_STREAM",
            "-l", max(1, round(plan.seconds)), "-P", 0, "--",
            # Without -R it sends to neighbours only.
            "-R", 1, "-m", case.size, "-k", self.counts,
            group=subject.group, timeout=plan.seconds + 60)
        sent, received, seconds = parse_counts(out, self.counts)
        if not sent:
            raise BenchError("netperf sent nothing")
        return Run({"received": (received / seconds, "datagrams/s"),
                    "lost": (1 - received / sent, "of 1")},
                   nr_bytes=received * case.size, less=("lost",))


BENCHMARKS = (RoundTrips, DatagramRoundTrips, Connections, Datagrams)
