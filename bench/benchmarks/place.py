# SPDX-License-Identifier: GPL-2.0-or-later
"""Programs written to libvmcircuit, which work in their rings in place.

On what is no circuit the same programs run with send() and recv() on a buffer.
"""

import json
import re

from bench.benchmark import Benchmark, Case, Run
from bench.guest import BenchError

TOUCH_PORT, SERVE_PORT, SPIN_PORT, COPY_PORT = 5300, 5301, 5302, 5303
BLOCK_BYTES = 256 << 10         # of touch.c
REQUEST_BYTES = 64
SPIN_US = 1000
FILE_BYTES = 64 << 20
SUBJECTS = ("mapped", "virtio-net")


class Touch(Benchmark):
    """Both sides touch each cache line of what passes."""

    name = "touch"
    subjects = ("mapped", "circuits", "virtio-net")
    limits = {"throughput": ("guest", "touch memory, both sides")}
    has_costs = True

    def cases(self, plan):
        return [Case("each cache line", BLOCK_BYTES, 1)]

    def once(self, world, subject, case, plan):
        port = subject.port(TOUCH_PORT)
        words = [] if subject.name == "mapped" else ["-c"]
        consumer = world.serve(subject, "vmc-touch", "listen", *words, port,
                               port=port)
        out = world.client.run("vmc-touch", "send", *words,
                               subject.address(world), port, plan.seconds,
                               group=subject.group)
        world.server.wait_end(consumer)
        line = json.loads(out)
        return Run({"throughput": (line["bytes_per_second"], "bytes/s")},
                   nr_bytes=line["bytes"])


class Serve(Benchmark):
    """vmc-serve: requests answered in place; with -s both sides spin."""

    name = "vmc-serve"
    subjects = SUBJECTS
    ports = {"sleeping": SERVE_PORT, "spinning": SPIN_PORT}

    def cases(self, plan):
        # Spinning needs both processors for itself: on a busy machine it takes
        # long and shows nothing.
        ports = ["sleeping"] if plan.is_quick else self.ports
        return [Case(how, REQUEST_BYTES, 1, {"how": how}) for how in ports]

    def words(self, case):
        return ["-s", SPIN_US] if case.options["how"] == "spinning" else []

    def prepare(self, world, subjects, plan):
        for subject in subjects:
            for case in self.cases(plan):
                port = subject.port(self.ports[case.label])
                world.serve(subject, "vmc-serve", *self.words(case), port,
                            port=port)

    def once(self, world, subject, case, plan):
        out = world.client.run(
            "vmc-serve", *self.words(case), "-n", int(2000 * plan.seconds),
            "-b", case.size, subject.address(world),
            subject.port(self.ports[case.label]), group=subject.group)
        found = re.search(r"median ([\d.]+) us", out)
        if not found:
            raise BenchError(f"vmc-serve said: {out.strip()[-300:]}")
        metric = f"p50, {case.label}"
        return Run({metric: (float(found[1]), "us")}, less=(metric,))


class Copy(Benchmark):
    """vmc-cp: a file to the ring, and from the ring to a file."""

    name = "vmc-cp"
    is_quick = False
    subjects = SUBJECTS

    def cases(self, plan):
        return [Case("a file", FILE_BYTES, 1)]

    def prepare(self, world, subjects, plan):
        world.client.run("sh", "-c", f"head -c {FILE_BYTES} "
                         "/dev/urandom >/tmp/file")

    def once(self, world, subject, case, plan):
        port = subject.port(COPY_PORT)
        receiver = world.serve(subject, "vmc-cp", "-l", port, "/tmp/copy",
                               port=port)
        told = world.client.stderr_of("vmc-cp", "/tmp/file",
                                      subject.address(world), port,
                                      group=subject.group)
        world.server.wait_end(receiver)
        rate = re.search(r"([\d.]+) Gbit/s", told)
        if not rate:
            raise BenchError(f"vmc-cp said: {told.strip()[-300:]}")
        return Run({"throughput": (float(rate[1]) * 1e9 / 8, "bytes/s")})


BENCHMARKS = (Touch, Serve, Copy)
