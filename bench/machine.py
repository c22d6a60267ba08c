# SPDX-License-Identifier: GPL-2.0-or-later
"""Where and with what was measured."""

import os
import platform
import re
import subprocess

from lab import buildtree, hypervisor, image, place

GUEST_PROGRAMS = ("iperf3", "netperf", "sockperf", "redis-server", "nginx",
                  "wrk", "openssh-server")
MODULE = "/usr/lib/modules/$(uname -r)/updates/vmcircuit.ko"
TREE_PROGRAMS = ("qemu-system-x86", "passt")


def first(pattern, text):
    found = re.search(pattern, text, re.M)
    return found[1].strip() if found else None


def commit():
    """The commit measured, with a word if files differ from it."""
    done = subprocess.run(["git", "describe", "--always", "--dirty"],
                          cwd=place.CHECKOUT, capture_output=True, text=True)
    return done.stdout.strip() or None


def packages(root, names):
    """{package: version} by the dpkg of a Debian tree."""
    done = subprocess.run(
        ["dpkg-query", f"--admindir={root}/var/lib/dpkg", "-W",
         "-f", "${Package} ${Version}\n", *names],
        capture_output=True, text=True)
    return dict(line.split() for line in done.stdout.splitlines())


def describe():
    """Of the machine and of what is the same in all worlds."""
    with open("/proc/cpuinfo") as file:
        cpuinfo = file.read()
    with open("/proc/meminfo") as file:
        memory_kib = int(first(r"^MemTotal:\s+(\d+)", file.read()))
    guest, tree = image.ensure(), buildtree.ensure()
    accelerator = hypervisor.accelerator(tree, guest.kernel)[1]
    return {
        "machine": {
            "processor": first(r"^model name\s*:\s*(.*)", cpuinfo),
            "processors": os.cpu_count(),
            "memory_gib": round(memory_kib / (1 << 20), 1),
            "kernel": platform.release(),
            "accelerator": accelerator.split(",")[0]},
        "versions": {"vmcircuit": commit(), "guest kernel": guest.release,
                     **packages(tree, TREE_PROGRAMS)}}


def guest_versions(guest):
    """Of the programs that a guest has."""
    out = guest.run("dpkg-query", "-W", "-f", "${Package} ${Version}\n",
                    *GUEST_PROGRAMS)
    checks = guest.run("sh", "-c", f"modinfo -F checks {MODULE}").strip()
    return {"module": f"checks {checks}" if checks else "as installed",
            **dict(line.split() for line in out.splitlines())}
