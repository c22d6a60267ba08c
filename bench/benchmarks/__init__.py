# SPDX-License-Identifier: GPL-2.0-or-later
"""The benchmarks, in the order in which they run.

Each is a module with one or more classes that are bench.benchmark.Benchmark,
listed in its BENCHMARKS.
"""

import importlib

NAMES = ("limit", "endpoint", "iperf3", "netperf", "sockperf", "redis", "http",
         "place", "file", "crowd", "queues", "uplink")


def load():
    """A fresh object of each benchmark."""
    return [cls() for name in NAMES for cls in importlib.import_module(
        f"bench.benchmarks.{name}").BENCHMARKS]
