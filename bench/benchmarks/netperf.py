# SPDX-License-Identifier: GPL-2.0-or-later
"""netperf: round trips on a connection, and connections for a round trip."""

import re

from bench.benchmark import Benchmark, Case, Run
from bench.guest import BenchError

PORT = 12865
# What both kinds do in about a second.
CONNECTIONS_PER_S = 500


def parse(text):
    """The figure of a run with -P 0 -v 0."""
    if not re.fullmatch(r"\s*\d+(\.\d+)?\s*", text):
        raise BenchError(f"netperf said: {text.strip()[-300:]}")
    return float(text)


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


class Connections(RoundTrips):
    """A connection for each round trip."""

    name = "netperf TCP_CRR"
    test = "TCP_CRR"
    limits = {"rate": ("guest", "TCP loopback connections")}


BENCHMARKS = (RoundTrips, Connections)
