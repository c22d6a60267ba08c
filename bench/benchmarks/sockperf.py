# SPDX-License-Identifier: GPL-2.0-or-later
"""sockperf: percentiles of round trips, one at a time and under load."""

import re

from bench.benchmark import Benchmark, Case, Run
from bench.guest import BenchError

PORT = 11111
MESSAGE_BYTES = 64
PERCENTILES = {"50.000": "p50", "99.000": "p99", "99.900": "p99.9"}
# A rate that every subject can keep up with, so that all do the same work.
LOAD_PER_S = 500


def parse(text):
    """{p50, p99, p99.9: microseconds of a whole round trip}."""
    found = dict(re.findall(r"percentile +([\d.]+) *= *([\d.]+)", text))
    if not set(PERCENTILES) <= set(found):
        raise BenchError(f"sockperf said: {text.strip()[-300:]}")
    return {name: float(found[key]) for key, name in PERCENTILES.items()}


class Sockperf(Benchmark):
    """One message at a time."""

    name = "sockperf ping-pong"
    words = ("ping-pong",)
    protocol = ("--tcp",)

    def cases(self, plan):
        return [Case(self.words[0], MESSAGE_BYTES, 1)]

    def prepare(self, world, subjects, plan):
        for subject in subjects:
            port = subject.port(PORT)
            world.serve(subject, "sockperf", "server", *self.protocol,
                        "-i", "0.0.0.0", "-p", port, port=port)

    def once(self, world, subject, case, plan):
        out = subject.client(world).run(
            "sockperf", *self.words, *self.protocol,
            "-i", subject.address(world), "-p", subject.port(PORT),
            "-m", case.size, "--full-rtt", "-t", max(1, round(plan.seconds)),
            group=subject.group)
        figures = {name: (value, "us") for name, value in parse(out).items()}
        return Run(figures, less=tuple(figures))


class UnderLoad(Sockperf):
    """At a fixed rate, whether answers have come or not."""

    name = "sockperf under-load"
    is_quick = False
    words = ("under-load", "--mps", str(LOAD_PER_S), "--reply-every", "1")


class Datagrams(Sockperf):
    """One datagram at a time."""

    name = "sockperf UDP"
    protocol = ()


BENCHMARKS = (Sockperf, UnderLoad, Datagrams)
