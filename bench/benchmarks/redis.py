# SPDX-License-Identifier: GPL-2.0-or-later
"""redis-benchmark: requests of 50 connections, plain and pipelined."""

import re

from bench.benchmark import Benchmark, Case, Run
from bench.guest import BenchError

PORT = 6379
CONNECTIONS = 50
DEPTH = 16
VALUE_BYTES = 64
# So many that the slower subject needs a second or two.
REQUESTS = {"plain": 4000, "pipelined": 24000}


def parse(text):
    """{SET, GET: requests a second}."""
    rates = dict(re.findall(r'^"(SET|GET)[^"]*","([\d.]+)"', text, re.M))
    if len(rates) != 2:
        raise BenchError(f"redis-benchmark said: {text.strip()[-300:]}")
    return {word: float(rate) for word, rate in rates.items()}


class Redis(Benchmark):
    name = "redis"

    def cases(self, plan):
        return [Case("plain", VALUE_BYTES, CONNECTIONS)]

    def prepare(self, world, subjects, plan):
        for subject in subjects:
            port = subject.port(PORT)
            world.serve(subject, "redis-server", "--port", port, "--bind",
                        "0.0.0.0", "--save", "", "--protected-mode", "no",
                        port=port)

    def words(self):
        return ()

    def once(self, world, subject, case, plan):
        requests = int(REQUESTS[case.label] * plan.seconds)
        out = subject.client(world).run(
            "redis-benchmark", "-h", subject.address(world), "-p",
            subject.port(PORT), "-t", "set,get", "-c", case.connections,
            "-d", case.size, "-n", requests, "--csv", *self.words(),
            group=subject.group)
        return Run({word: (rate, "requests/s")
                    for word, rate in parse(out).items()})


class Pipelined(Redis):
    name = "redis pipelined"
    is_quick = False

    def cases(self, plan):
        return [Case("pipelined", VALUE_BYTES, CONNECTIONS)]

    def words(self):
        return "-P", DEPTH


BENCHMARKS = (Redis, Pipelined)
