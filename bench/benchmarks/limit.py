# SPDX-License-Identifier: GPL-2.0-or-later
"""The limits: what guest and host do with no network in between.

Their rows are of bench "limit", with the place as the subject; other rows give
their share of them.
"""

import json

from bench.benchmark import Benchmark, Case, Run
from bench.benchmarks import iperf3, netperf
from bench.guest import PLAIN, BenchError
from bench.world import BUILT

# What limit.c calls it, and the metric.
WHAT = {"copy": "kernel copy", "memcpy": "memcpy",
        "memcpy-far": "memcpy beyond the cache", "eventfd": "eventfd",
        "unix-stream": "AF_UNIX stream", "unix-rr": "AF_UNIX round trips"}
TOUCH = {"both": "touch memory, both sides",
         "produce": "touch memory, write", "consume": "touch memory, read"}
LOOPBACK = "127.0.0.1"
IPERF_PORT, NETPERF_PORT = 25201, 22865
LOOPBACK_TESTS = (
    ("TCP_RR", "TCP loopback round trips", "round trips/s"),
    ("TCP_CRR", "TCP loopback connections", "connections/s"))
SHORT_S = 0.4


def parse(text):
    """(rate, unit) of one line of limit."""
    try:
        line = json.loads(text)
        return line["rate"], line["unit"]
    except (ValueError, KeyError) as error:
        raise BenchError(f"limit said something unknown ({error!r}): {text}")


def parse_touch(text):
    """{how: bytes a second} of the lines of touch memory."""
    lines = [json.loads(line) for line in text.splitlines()]
    return {line["how"]: line["bytes_per_second"] for line in lines}


class Place:
    """Stands where subjects stand, for the turns: a guest, or the host."""

    is_circuit = has_backend = False

    def __init__(self, name, execute, path):
        self.name, self.execute, self.path = name, execute, path

    def before(self, world):
        """Nothing is to be changed for it."""

    def own(self, program, *words):
        """Run a program of ours."""
        return self.execute(self.path + program, *words)


class Limit(Benchmark):
    """Guest and host in turns, which no counters accompany."""

    name = "limit"
    baseline = None
    is_proved = False

    def nr_takers(self):
        return 4        # two places, and much to do in each

    def takers(self, world):
        guest = world.client
        return [
            Place("guest", lambda *words: guest.run(*words, group=PLAIN), ""),
            Place("host", world.host.run, f"{BUILT}/")]

    def cases(self, plan):
        return [Case("guest and host")]

    def prepare(self, world, subjects, plan):
        for place in (world.client, world.host):
            place.serve("iperf3", "-s", "-B", LOOPBACK, "-p", IPERF_PORT,
                        port=IPERF_PORT)
            place.serve("netserver", "-D", "-L", LOOPBACK, "-4", "-p",
                        NETPERF_PORT, port=NETPERF_PORT)

    def once(self, world, subject, case, plan):
        seconds = SHORT_S * plan.seconds
        figures = {metric: parse(subject.own("limit", what, seconds))
                   for what, metric in WHAT.items()}
        touched = parse_touch(subject.own("vmc-touch", "memory", seconds))
        for how, metric in TOUCH.items():
            figures[metric] = (touched[how], "bytes/s")
        out = subject.execute("iperf3", "-c", LOOPBACK, "-p", IPERF_PORT,
                              "-t", 1, "-J")
        figures["TCP loopback"] = (iperf3.parse(out)[0], "bytes/s")
        for test, metric, unit in LOOPBACK_TESTS:
            out = subject.execute("netperf", "-H", LOOPBACK, "-p",
                                  NETPERF_PORT, "-4", "-t", test, "-l",
                                  netperf.length(test, seconds), "-P", 0,
                                  "-v", 0)
            figures[metric] = (netperf.parse(out), unit)
        return Run(figures)


BENCHMARKS = (Limit,)
