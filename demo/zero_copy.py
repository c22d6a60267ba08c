#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Zero copy, measured: two guests, one circuit, in place and copied.

The same touching of the same data (demo/touch.c) is done by programs that work
in their rings through libvmcircuit, by programs that know send() and recv()
only, and in one guest's own memory. The module's counters show that the
programs in place were copied nothing.
"""

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys

import table

from demo import CHECKOUT, Cluster, DemoError, LabError, build, run, say, \
    wait_listening

RESULT = CHECKOUT / "build/demo-zero-copy.json"
TOUCH = CHECKOUT / "build/demo/touch"
EXAMPLES = CHECKOUT / "build/examples"
HOST_FILE = CHECKOUT / "build/demo/file"
SOURCES = ("demo/touch.c", "examples/dial.c",
           *(str(path.relative_to(CHECKOUT))
             for path in sorted(CHECKOUT.glob("lib/*.c"))))
ROUNDS = 5
SECONDS = 3
SERVER, VIRTIO = "10.77.0.2", "10.78.0.2"
TOUCH_PORT, SERVE_PORT, SPIN_PORT, COPY_PORT = "9100", "9101", "9102", "9103"
FILE, FILE_MIB = "/tmp/file", 128
SPIN_US = "1000"

# What the ratio of one row to another shall be.
TARGETS = {"in place / copied": 2.0, "in place / own memory": 0.85,
           "in place / own memory, one half": None,
           "vmc-cp, circuit / vmc-cp, virtio": None}


def copied_bytes(vm):
    counters = json.loads(run(vm, "vmcircuit", "status", "--json"))["counters"]
    return counters["bytes_sent"] + counters["bytes_received"]


def spawn(vm, *words):
    """Start a server in a guest, whose port is the last word; its pid."""
    pid = vm.spawn(list(words))
    wait_listening(vm, int(words[-1]))
    return pid


def touch(client, server, *options):
    """Gbyte/s until the consumer had touched everything."""
    consumer = spawn(server, "/tmp/touch", "listen", *options, TOUCH_PORT)
    out = run(client, "/tmp/touch", "send", *options, SERVER, TOUCH_PORT,
              str(SECONDS))
    run(server, "tail", f"--pid={consumer}", "-f", "/dev/null")
    return json.loads(out)["bytes_per_second"] / 1e9


def in_place(client, server):
    before = [copied_bytes(vm) for vm in (client, server)]
    value = touch(client, server)
    if before != [copied_bytes(vm) for vm in (client, server)]:
        raise DemoError("the module copied bytes of programs in place")
    return value


def own_memory(client):
    """Gbyte/s of one guest that does both, and of its slower half: what two
    guests could do at best, if their caches were one."""
    lines = run(client, "/tmp/touch", "memory", str(SECONDS)).splitlines()
    rates = {row["how"]: row["bytes_per_second"] / 1e9
             for row in map(json.loads, lines)}
    return rates["both"], min(rates["produce"], rates["consume"])


def round_trip(client, port, *options):
    """Median microseconds of 64 bytes there and back."""
    out = run(client, "vmc-serve", *options, "-n", "5000", SERVER, port)
    return float(re.search(r"in place: median ([\d.]+) us", out)[1])


def host_round_trip(endpoint, port, *options):
    """The same, asked by a process of the host that is an endpoint."""
    out = subprocess.run([EXAMPLES / "vmc-serve", "-e", endpoint, *options,
                          "-n", "5000", SERVER, port], check=True,
                         capture_output=True, text=True, timeout=60).stdout
    return float(re.search(r"in place: median ([\d.]+) us", out)[1])


def host_copy(endpoint, server):
    """Gbit/s of a file sent from the host, compared by checksum."""
    receiver = spawn(server, "sh", "-c", "exec vmc-cp -l $0 /tmp/copy",
                     COPY_PORT)
    sent = subprocess.run([EXAMPLES / "vmc-cp", "-e", endpoint, HOST_FILE,
                           SERVER, COPY_PORT], check=True, text=True,
                          capture_output=True, timeout=60).stderr
    run(server, "tail", f"--pid={receiver}", "-f", "/dev/null")
    if checksum(server, "/tmp/copy") != hashlib.md5(
            HOST_FILE.read_bytes()).hexdigest():
        raise DemoError("vmc-cp from the host changed the file")
    return float(re.search(r"([\d.]+) Gbit/s, over a circuit", sent)[1])


def copy_file(client, server, address, kind):
    """Gbit/s of a file sent with vmc-cp, compared by checksum."""
    receiver = spawn(server, "sh", "-c", "exec vmc-cp -l $0 /tmp/copy",
                     COPY_PORT)
    out = client.exec(["vmc-cp", FILE, address, COPY_PORT], timeout=60)
    run(server, "tail", f"--pid={receiver}", "-f", "/dev/null")
    told = re.search(rf"([\d.]+) Gbit/s, over a {kind}", out.err)
    if out.rc or not told:
        raise DemoError(f"vmc-cp to {address}: {out.err.strip()}")
    if checksum(client, FILE) != checksum(server, "/tmp/copy"):
        raise DemoError(f"vmc-cp to {address} changed the file")
    return float(told[1])


def checksum(vm, path):
    return run(vm, "md5sum", path).split()[0]


def measure(client, server, endpoint):
    both, half = own_memory(client)
    return {
        "in place": (in_place(client, server), "GB/s"),
        "copied": (touch(client, server, "-c"), "GB/s"),
        "own memory": (both, "GB/s"),
        "own memory, one half": (half, "GB/s"),
        "round trip, sleeping": (round_trip(client, SERVE_PORT), "us"),
        "round trip, spinning": (round_trip(client, SPIN_PORT, "-s", SPIN_US),
                                 "us"),
        "vmc-cp, circuit": (copy_file(client, server, SERVER, "circuit"),
                            "Gbit/s"),
        "vmc-cp, virtio": (copy_file(client, server, VIRTIO, "socket"),
                           "Gbit/s"),
        "vmc-cp, host to guest": (host_copy(endpoint, server), "Gbit/s"),
        "host and guest, sleeping": (host_round_trip(endpoint, SERVE_PORT),
                                     "us"),
        "host and guest, spinning": (host_round_trip(
            endpoint, SPIN_PORT, "-s", SPIN_US), "us"),
    }


def rounds(client, server, endpoint):
    samples = {}
    for number in range(1, ROUNDS + 1):
        values = measure(client, server, endpoint)
        table.add(samples, values)
        say(f"round {number} of {ROUNDS}: {table.told(values)}")
    return samples


def perform():
    build(TOUCH, *SOURCES)
    say("booting two guests")
    with Cluster(2, net="both", memory=1024, cpus=1, prefix="vm",
                 instance="demo") as cluster:
        client, server = cluster.vms
        for vm in cluster.vms:
            vm.push(TOUCH, "/tmp/touch")
        run(client, "sh", "-c",
            f"head -c {FILE_MIB}M /dev/urandom >{FILE}")
        spawn(server, "vmc-serve", SERVE_PORT)
        spawn(server, "vmc-serve", "-s", SPIN_US, SPIN_PORT)
        HOST_FILE.write_bytes(os.urandom(FILE_MIB << 20))
        return table.summary(rounds(client, server, cluster.switch.endpoint),
                             TARGETS)


def main():
    argparse.ArgumentParser(
        description="Measure programs that work in place in their circuit's "
        "rings beside such as copy. Writes "
        f"{RESULT.relative_to(CHECKOUT)}.").parse_args()
    try:
        result = perform()
    except (DemoError, LabError, subprocess.SubprocessError) as error:
        say(f"FAILED: {error}")
        return 1
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    table.show(result)
    print("  copied by the kernel for the programs in place: 0 bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
