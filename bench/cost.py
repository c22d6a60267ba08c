# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run cost: counters of guests, hypervisors, switch and bridge.

A Sample is all counters at a moment; costs() is what lies between two of them,
for each unit of work. Nothing is counted that was not read: a cost whose
counter a subject does not have is left out.
"""

import contextlib
import json
import os
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from bench.guest import BenchError
from lab import place

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
GIB, MIB = 1 << 30, 1 << 20
CTL = place.CHECKOUT / "build/ctl/vmcircuitctl"
GUEST_FILES = ("/proc/interrupts", "/proc/net/vmcircuit/stats",
               "/proc/net/netstat", "/proc/stat")
# What QEMU's names of virtual processors' threads have in common.
PROCESSOR_THREAD = re.compile(r"CPU \d+/")


def named_numbers(text):
    """Lines 'name number': the module's counters."""
    return {name: int(number) for name, number in
            re.findall(r"^(\w+) (\d+)$", text, re.M)}


def interrupts(text):
    """/proc/interrupts: {name of the last column: sum over processors}."""
    lines = text.splitlines()
    nr = len(lines[0].split()) if lines else 0
    counts = {}
    for line in lines[1:]:
        words = line.split()
        numbers = [int(word) for word in words[1:1 + nr] if word.isdigit()]
        counts[words[-1]] = counts.get(words[-1], 0) + sum(numbers)
    return counts


def tcp_octets(text):
    """/proc/net/netstat: octets of IPv4 that came in and went out."""
    rows = [line.split() for line in text.splitlines()
            if line.startswith("IpExt:")]
    if len(rows) != 2:
        return 0, 0
    values = dict(zip(rows[0], rows[1]))
    return int(values["InOctets"]), int(values["OutOctets"])


def device_interrupts(counts, device):
    """Interrupts of one virtio device, of all its queues."""
    return sum(count for name, count in counts.items()
               if name == device or name.startswith(f"{device}-"))


def process_s(pid):
    """Processor time of a process, ended threads included, in seconds."""
    if pid is None:
        raise BenchError("a process whose time is measured has ended; see its "
                         "log in build/bench/logs")
    # The kernel's number for the clock of a process, see clock_getcpuclockid.
    return time.clock_gettime((~pid << 3) | 2)


def processors_s(pid):
    """Processor time of the virtual processors of a QEMU."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        # Workers of QEMU's own come and go; virtual processors stay.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if PROCESSOR_THREAD.match((task / "comm").read_text()):
                ran_ns, *_ = (task / "schedstat").read_text().split()
                total += int(ran_ns) / 1e9
    return total


def machine_busy_s():
    """Processor time of everything on the host since its start."""
    with open("/proc/stat") as file:
        user, nice, system, idle, iowait, irq, softirq = map(
            int, file.readline().split()[1:8])
    return (user + nice + system + irq + softirq) / CLOCK_TICKS


@dataclass
class Sample:
    """All counters at a moment."""

    cpu: dict = field(default_factory=dict)         # seconds by who
    module: dict = field(default_factory=dict)      # sums over guests
    switch: dict = field(default_factory=dict)
    irqs: int = 0                                   # of the subject's devices
    octets_in: int = 0                              # of IPv4, in guests
    octets_out: int = 0
    octets_tap: int = 0                             # both directions
    circuits: int = 0
    clock_s: float = 0
    busy_s: float = 0                               # of the whole machine


def add(total, more):
    for name, count in more.items():
        total[name] = total.get(name, 0) + count


class Meter:
    """Reads the counters of a world for one subject."""

    def __init__(self, world, subject):
        self.world, self.subject = world, subject
        self.drivers = [self.find_devices(guest) for guest in world.guests]

    @staticmethod
    def find_devices(guest):
        """{driver or interface: virtio device} in a guest."""
        if not hasattr(guest, "virtio_devices"):
            out = guest.run("sh", "-c", "cd /sys/bus/virtio/devices; for d in "
                            '*; do echo "$d" $(readlink $d/driver) '
                            "$(ls $d/net 2>/dev/null); done")
            guest.virtio_devices = {}
            for line in out.splitlines():
                device, driver, *name = line.split() + [""]
                guest.virtio_devices[name[0] or Path(driver).name] = device
        return guest.virtio_devices

    def device(self, drivers):
        """The virtio device that a subject's bytes go through."""
        subject = self.subject
        if subject.is_circuit:
            return next((device for name, device in drivers.items()
                         if "vmcircuit" in name), None)
        return drivers.get({"vsock": "vmw_vsock_virtio_transport",
                            "passt": "eth1"}.get(subject.name, "eth0"))

    def read(self):
        sample = Sample(clock_s=time.monotonic(), busy_s=machine_busy_s())
        guests = self.world.guests
        # Each takes tens of milliseconds under emulation, so all at once.
        with ThreadPoolExecutor(len(guests)) as pool:
            readings = list(pool.map(self.read_guest, guests))
        for drivers, reading in zip(self.drivers, readings):
            self.add_guest(sample, drivers, *reading)
        add(sample.cpu, {"backend": sum(
            process_s(pid) for pid in self.subject.backend_pids(self.world))})
        if self.subject.is_circuit:
            sample.switch = self.read_switch()
        elif "virtio" in self.subject.name:
            sample.octets_tap = self.read_taps()
        return sample

    @staticmethod
    def read_guest(guest):
        """({who: processor seconds}, [texts of GUEST_FILES])."""
        pid = guest.vm.qemu.pid()
        processors = processors_s(pid)
        cpu = {"guest": processors, "qemu": process_s(pid) - processors}
        # One program: each takes its time.
        out = guest.run("tail", "-v", "-n", "+1", *GUEST_FILES)
        return cpu, [text.partition("\n")[2].rstrip("\n")
                     for text in out.split("==> ")[1:]]

    def add_guest(self, sample, drivers, cpu, texts):
        irqs, module, netstat, _ = texts
        counters = named_numbers(module)
        add(sample.module, counters)
        sample.circuits += counters.get("circuits_connected", 0)
        device = self.device(drivers)
        if device:
            sample.irqs += device_interrupts(interrupts(irqs), device)
        octets_in, octets_out = tcp_octets(netstat)
        sample.octets_in += octets_in
        sample.octets_out += octets_out
        add(sample.cpu, cpu)

    def read_switch(self):
        done = subprocess.run(
            [CTL, "--json", "--socket", self.world.cluster.switch.control,
             "stats"], capture_output=True, text=True, check=True)
        total = {}
        for line in done.stdout.splitlines():
            add(total, {name: value for name, value in
                        json.loads(line).items() if isinstance(value, int)})
        return total

    def read_taps(self):
        prefix = self.world.cluster.bridge.prefix()
        out = subprocess.run(
            [*prefix, "sh", "-c", "cat /sys/class/net/tap*/statistics/"
             "[rt]x_bytes"], capture_output=True, text=True, check=True).stdout
        return sum(map(int, out.split()))


def between(before, after):
    """The difference of two samples, as a sample."""
    def minus(one, other):
        return {name: value - other.get(name, 0)
                for name, value in one.items()}
    return Sample(
        minus(after.cpu, before.cpu), minus(after.module, before.module),
        minus(after.switch, before.switch),
        *(getattr(after, name) - getattr(before, name) for name in
          ("irqs", "octets_in", "octets_out", "octets_tap", "circuits",
           "clock_s", "busy_s")))


def elsewhere(spent):
    """Processors that others kept busy meanwhile, who may have disturbed.

    What the host's kernel does outside of processes, and this program itself,
    is among them.
    """
    return max(0.0, (spent.busy_s - sum(spent.cpu.values()))
               / spent.clock_s)


def costs(spent, subject, nr_bytes=0, nr_trips=0):
    """{metric: (value, unit)} of the work: bytes, or else round trips."""
    if subject.name == "native":
        return {}
    if nr_bytes:
        great, great_name = nr_bytes / GIB, "GiB"
        small, small_name = nr_bytes / MIB, "MiB"
    elif nr_trips:
        great = small = nr_trips / 1000
        great_name = small_name = "1000 round trips"
    else:
        return {}
    table = {}
    for who, seconds in spent.cpu.items():
        if who == "backend" and not subject.has_backend:
            continue
        table[f"cpu {who}"] = (seconds / great, f"s/{great_name}")
    table["cpu all"] = (sum(spent.cpu.values()) / great, f"s/{great_name}")
    table["interrupts"] = (spent.irqs / small, f"1/{small_name}")
    if subject.is_circuit:
        table["doorbells"] = (spent.module.get("doorbells_sent", 0) / small,
                              f"1/{small_name}")
        table["kicks"] = (spent.module.get("kicks_sent", 0) / small,
                          f"1/{small_name}")
        table["switch kicks"] = (spent.switch.get("kicks_out", 0) / small,
                                 f"1/{small_name}")
    copies = copied_bytes(spent, subject)
    if nr_bytes and copies is not None:
        table["kernel copies"] = (copies / nr_bytes, "copies/byte")
    return table


def copied_bytes(spent, subject):
    """Bytes that kernels copied, by counters: the module's for circuits; for
    virtio the guests' own sockets (each octet sent and each received is copied
    once) and the taps, which copy what passes them. None if not counted."""
    if subject.is_circuit:
        return (spent.module.get("bytes_sent", 0)
                + spent.module.get("bytes_received", 0))
    if spent.octets_tap:
        return spent.octets_in + spent.octets_out + spent.octets_tap
    return None
