# SPDX-License-Identifier: GPL-2.0-or-later
"""endpoints: two processes of the host over a circuit, beside what else they
could use. Both are the lab's endpoint; no guest has a part in it."""

import json
import os
import subprocess

from bench.benchmark import Benchmark, Case, Run
from bench.guest import BenchError
from lab import place
from lab.configuration import ENDPOINT_ADDRESSES

NATIVE = place.CHECKOUT / "build/demo/native"
BLOCK_BYTES = 64 << 10
TRIPS = 50000
STREAMS = {"in place": "in-place", "circuits": "circuit",
           "AF_UNIX": "unix", "TCP loopback": "tcp"}
ROUND_TRIPS = {"circuits": "circuit-trip", "eventfd": "eventfd-trip"}


class Way:
    """Stands where subjects stand, for the turns: a word of demo/native."""

    is_circuit = has_backend = False

    def __init__(self, name, word):
        self.name, self.word = name, word

    def before(self, world):
        """Nothing is to be changed for it."""

    def run(self, world, *words):
        socket = str(world.cluster.switch.endpoint)
        environment = {**os.environ, "SOCKET_A": socket, "SOCKET_B": socket,
                       "ADDRESS_B": ENDPOINT_ADDRESSES[0]}
        done = subprocess.run([NATIVE, self.word, *map(str, words)],
                              env=environment, capture_output=True, text=True,
                              timeout=60)
        if done.returncode:
            raise BenchError(f"native {self.word}: {done.stderr.strip()}")
        return json.loads(done.stdout)


class Streams(Benchmark):
    name = "endpoints"
    baseline = "AF_UNIX"
    limits = {"throughput": ("host", "memcpy")}
    is_proved = False
    ways = STREAMS

    def nr_takers(self):
        return len(self.ways)

    def takers(self, world):
        return [Way(*way) for way in self.ways.items()]

    def cases(self, plan):
        return [Case("a stream", BLOCK_BYTES, 1)]

    def once(self, world, subject, case, plan):
        line = subject.run(world, max(1, round(plan.seconds)), case.size)
        return Run({"throughput": (line["bytes_per_second"], "bytes/s")})


class RoundTrips(Streams):
    """64 bytes there and back, asleep in between."""

    name = "endpoints, round trips"
    baseline = "eventfd"
    limits = {}
    ways = ROUND_TRIPS

    def cases(self, plan):
        return [Case("two processors", None, 1)]

    def once(self, world, subject, case, plan):
        time, unit = subject.run(world, "TWO", TRIPS)["us"], "us"
        return Run({"round trip": (time, unit)}, less=("round trip",))


BENCHMARKS = (Streams, RoundTrips)
