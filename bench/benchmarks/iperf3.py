# SPDX-License-Identifier: GPL-2.0-or-later
"""iperf3: streams of 1 and of 8 connections, and each size of message."""

import json

from bench.benchmark import Benchmark, Case, Run
from bench.figure import jain
from bench.guest import BenchError

PORT = 5201
SIZES = (64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20)
QUICK_SIZES = (1 << 10, 1 << 20)
USUAL_SIZE = 128 << 10          # iperf3's own
LIMIT = ("guest", "kernel copy")


def parse(text):
    """(bytes a second, bytes, bytes of each connection) that were received."""
    try:
        end = json.loads(text)["end"]
        total = end["sum_received"]
        each = [stream["receiver"]["bytes"] for stream in end["streams"]]
    except (ValueError, KeyError, TypeError) as error:
        raise BenchError(f"iperf3 said something unknown ({error!r}): "
                         f"{text.strip()[-300:]}")
    return total["bits_per_second"] / 8, total["bytes"], each


def parse_datagrams(text, size):
    """(datagrams a second, bytes) that were received.

    By the bytes, for of losses two versions of iperf3 do not agree.
    """
    try:
        total = json.loads(text)["end"]["sum_received"]
        return total["bits_per_second"] / 8 / size, total["bytes"]
    except (ValueError, KeyError, TypeError) as error:
        raise BenchError(f"iperf3 said something unknown ({error!r}): "
                         f"{text.strip()[-300:]}")


def measure(world, subject, case, seconds):
    """One run of a client; the server runs already."""
    out = subject.client(world).run(
        "iperf3", "-c", subject.address(world), "-p", subject.port(PORT),
        # iperf3 counts whole seconds only.
        "-t", max(1, round(seconds)), "-J", "-P", case.connections,
        "-l", case.size, *case.options.get("words", ()),
        group=subject.group, timeout=seconds + 60)
    rate, nr_bytes, each = parse(out)
    figures = {"throughput": (rate, "bytes/s")}
    if case.connections > 1 and any(each):
        figures["fairness"] = (jain(each), "Jain's index")
    return Run(figures, nr_bytes=nr_bytes)


class Iperf3(Benchmark):
    name = "iperf3"
    limits = {"throughput": LIMIT}
    has_costs = True

    def cases(self, plan):
        return [Case(f"{nr} connection{'s' * (nr > 1)}", USUAL_SIZE, nr)
                for nr in (1, 8)]

    def prepare(self, world, subjects, plan):
        for subject in subjects:
            port = subject.port(PORT)
            world.serve(subject, "iperf3", "-s", "-p", port, port=port)

    def once(self, world, subject, case, plan):
        return measure(world, subject, case, 2 * plan.seconds)


class Sizes(Iperf3):
    name = "iperf3 sizes"

    def cases(self, plan):
        return [Case(f"messages of {size} bytes", size, 1)
                for size in (QUICK_SIZES if plan.is_quick else SIZES)]

    def once(self, world, subject, case, plan):
        return measure(world, subject, case, plan.seconds)


BENCHMARKS = (Iperf3, Sizes)
