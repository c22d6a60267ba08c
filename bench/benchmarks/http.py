# SPDX-License-Identifier: GPL-2.0-or-later
"""nginx and wrk: small and large files, connections kept or not."""

import re

from bench.benchmark import Benchmark, Case, Run
from bench.guest import BenchError

PORT = 8080
CONNECTIONS = 16
SIZES = (1 << 10, 1 << 20)
CONFIGURATION = """
daemon off; master_process off; pid /run/nginx-{port}.pid; error_log stderr;
events {{ worker_connections 1024; }}
http {{ access_log off; sendfile on; keepalive_requests 1000000;
server {{ listen {port} backlog=1024; root /srv; }} }}
"""
MICROSECONDS = {"us": 1, "ms": 1e3, "s": 1e6}


def parse(text):
    """(requests a second, microseconds of the median, of p99)."""
    rate = re.search(r"^Requests/sec:\s+([\d.]+)", text, re.M)
    failed = re.search(r"^\s*(Socket errors|Non-2xx).*", text, re.M)
    latencies = {part: float(value) * MICROSECONDS[unit]
                 for part, value, unit in re.findall(
                     r"^\s+(\d+)%\s+([\d.]+)(us|ms|s)\s*$", text, re.M)}
    if failed or not {"50", "99"} <= set(latencies) or not rate or \
            not float(rate[1]):
        raise BenchError(f"wrk said: {(failed or [text.strip()[-300:]])[0]}")
    return float(rate[1]), latencies["50"], latencies["99"]


class Http(Benchmark):
    """Connections are kept."""

    name = "nginx, kept"
    words = ()

    def cases(self, plan):
        return [Case("files", size, CONNECTIONS)
                for size in (SIZES[:1] if plan.is_quick else SIZES)]

    def prepare(self, world, subjects, plan):
        for size in SIZES:
            world.server.run("sh", "-c", "mkdir -p /srv && head -c "
                             f"{size} /dev/urandom >/srv/{size}")
        for subject in subjects:
            port = subject.port(PORT)
            path = f"/tmp/nginx-{port}.conf"
            world.server.run("sh", "-c", f"cat >{path}",
                             input=CONFIGURATION.format(port=port))
            world.serve(subject, "nginx", "-c", path, port=port)

    def once(self, world, subject, case, plan):
        out = subject.client(world).run(
            "wrk", "-t", 1, "-c", case.connections, "-d",
            f"{max(1, round(plan.seconds))}s", "--latency", *self.words,
            f"http://{subject.address(world)}:{subject.port(PORT)}/"
            f"{case.size}", group=subject.group)
        rate, middle, high = parse(out)
        return Run({"rate": (rate, "requests/s"), "p50": (middle, "us"),
                    "p99": (high, "us")}, less=("p50", "p99"))


class Close(Http):
    """A connection for each request."""

    name = "nginx, closed"
    words = ("-H", "Connection: close")


BENCHMARKS = (Http, Close)
