# SPDX-License-Identifier: GPL-2.0-or-later
"""crowd: from one to many connections at once, over anything with streams."""

import json
import re
import time
from pathlib import Path

from bench.benchmark import Benchmark, Case, Run
from bench.figure import jain
from bench.guest import BenchError

PORT = 7100
SUBJECTS = ("circuits", "virtio-net", "vsock")
CONNECTIONS = (1, 10, 100, 1000)
QUICK_CONNECTIONS = (10,)
SIZES = (64, 1 << 10, 2 << 10, 16 << 10)
STREAM_BYTES = 16 << 10
REQUEST_BYTES = 64
MOST_CONNECTIONS = 10000
# With fewer, what they hold is lost in what else goes on.
FEWEST_IDLE = 1000
ANY_CID = 0xffffffff
HOLD_FILE = "/tmp/hold"


def parse(text):
    """What crowd's client said."""
    try:
        line = json.loads(text)
        line["rate"] = line["total"] / line["seconds"]
        return line
    except (ValueError, KeyError, ZeroDivisionError) as error:
        raise BenchError(f"crowd said something unknown ({error!r}): "
                         f"{text[-300:]}")


def start_servers(world, subjects):
    for subject in subjects:
        port = subject.port(PORT)
        if subject.name == "vsock":
            world.server.serve("crowd", "serve", f"vsock:{ANY_CID}", port)
            time.sleep(0.5)     # it is in no table that could be read
        else:
            world.serve(subject, "crowd", "serve", "0.0.0.0", port, port=port)


def fairness(case, line):
    """How evenly the connections were served, if that was measured."""
    if case.connections > 1 and line["total"]:
        return {"fairness": (jain(line["each"]), "Jain's index")}
    return {}


class Sizes(Benchmark):
    """A stream, by the size of its messages; with vsock."""

    name = "crowd sizes"
    subjects = SUBJECTS
    limits = {"throughput": ("guest", "kernel copy")}

    def cases(self, plan):
        return [Case(f"messages of {size} bytes", size, 1)
                for size in (SIZES[1:2] if plan.is_quick else SIZES)]

    def prepare(self, world, subjects, plan):
        start_servers(world, subjects)

    def excuse(self, subject, case):
        if subject.max_bytes and case.size > subject.max_bytes:
            return subject.excuse
        return None

    def once(self, world, subject, case, plan):
        line = parse(world.client.run(
            "crowd", "send", subject.address(world), subject.port(PORT),
            case.connections, case.size, plan.seconds, group=subject.group,
            timeout=plan.seconds + 60))
        return Run({"throughput": (line["rate"], "bytes/s"),
                    **fairness(case, line)}, nr_bytes=line["total"])


class Streams(Sizes):
    """A stream on each of many connections."""

    name = "crowd streams"
    is_quick = False
    subjects = ("circuits", "virtio-net")

    def cases(self, plan):
        return [Case(f"{nr} connections", STREAM_BYTES, nr)
                for nr in CONNECTIONS]


class Requests(Benchmark):
    """Connections that nobody uses: how fast they stand and what memory they
    hold, in guests and on the host; then requests on all of them, one at a time
    on each."""

    name = "crowd requests"
    subjects = SUBJECTS
    limits = {"rate": ("guest", "AF_UNIX round trips")}

    def cases(self, plan):
        return [Case(f"{nr} connections", REQUEST_BYTES, nr) for nr in
                (QUICK_CONNECTIONS if plan.is_quick else
                 (*CONNECTIONS, MOST_CONNECTIONS))]

    def excuse(self, subject, case):
        if subject.name == "vsock" and case.connections == MOST_CONNECTIONS:
            return ("so many take half a minute to stand",
                    "10000 connections after 29.8 s")
        return None

    def prepare(self, world, subjects, plan):
        start_servers(world, subjects)

    def once(self, world, subject, case, plan):
        is_idle_measured = case.connections >= FEWEST_IDLE
        before = memory(world, subject) if is_idle_measured else {}
        world.client.run("touch", HOLD_FILE)
        holder = world.client.serve(
            "crowd", "ask", subject.address(world), subject.port(PORT),
            case.connections, case.size, plan.seconds, HOLD_FILE,
            group=subject.group)
        try:
            stood = wait_lines(world, 1)[0]
            after = memory(world, subject) if is_idle_measured else {}
        finally:
            world.client.run("rm", "-f", HOLD_FILE)
        asked = wait_lines(world, 2)[1]
        world.client.wait_end(holder)
        figures = {"rate": (asked["rate"], "round trips/s"),
                   **fairness(case, asked)}
        idle = {f"memory, {where}":
                ((after[where] - before[where]) / case.connections, "bytes")
                for where in after}
        if is_idle_measured:
            figures["connect"] = (stood["connections"] / stood["seconds"],
                                  "connections/s")
        return Run({**figures, **idle}, less=tuple(idle))


def wait_lines(world, count, timeout=90):
    """The first lines of what crowd says in the background."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        text = world.client.run("cat", world.client.log_path("crowd"))
        lines = text.split("\n")[:-1]
        if len(lines) >= count:
            return [parse(line) for line in lines]
        time.sleep(0.1)
    raise BenchError(f"crowd said too little in time: {text.strip()[-300:]}")


def memory(world, subject):
    """{guests, host: bytes in use}; see own_bytes() for the host's."""
    used = 0
    for guest in world.guests:
        # Free pages only: what the kernel could give back is not idle cost.
        text = guest.run("cat", "/proc/meminfo")
        used -= int(re.search(r"^MemAvailable:\s+(\d+)", text, re.M)[1])
    pids = [guest.vm.qemu.pid() for guest in world.guests]
    return {"guests": used * 1024, "host": sum(
        map(own_bytes, pids + subject.backend_pids(world)))
        + ring_bytes(subject.backend_pids(world))}


def own_bytes(pid):
    """A process's own memory, without files and guests' memory."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^RssAnon:\s+(\d+)", text, re.M)[1]) * 1024


def ring_bytes(pids):
    """Pages of files in memory, other than guests' memory, that are held."""
    files = {}
    for pid in pids:
        for path in Path(f"/proc/{pid}/fd").iterdir():
            name = str(path.readlink())
            if "memfd:" in name and "memory-backend" not in name:
                stat = path.stat()
                files[stat.st_ino] = stat.st_blocks * 512
    return sum(files.values())


BENCHMARKS = (Sizes, Streams, Requests)
