# SPDX-License-Identifier: GPL-2.0-or-later
"""The benchmarks, in the order in which they run.

Each is a module with one or more classes that are bench.benchmark.Benchmark,
listed in its BENCHMARKS.
"""

import importlib

NAMES = ("limit", "iperf3", "netperf", "sockperf", "redis", "http", "place",
         "file", "crowd", "queues", "uplink")

# What is still to be measured.
NOT_YET = tuple(
    {"bench": bench, "reason": "not yet: no benchmark of datagrams is written; "
     "doc/architecture.md has figures"}
    for bench in ("netperf UDP_RR", "netperf UDP_STREAM", "sockperf UDP"))


def load():
    """A fresh object of each benchmark."""
    return [cls() for name in NAMES for cls in importlib.import_module(
        f"bench.benchmarks.{name}").BENCHMARKS]
