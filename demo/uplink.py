#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The uplink, measured: a guest and its host, circuits beside virtio and tap.

One guest has a circuit to the switch and, beside it, a virtio network card.
The same servers on the host are reached over both, in turns, and by a client on
the host itself, which is the ceiling of what the host's TCP can do.
"""

import argparse
import contextlib
import json
import re
import statistics
import subprocess
import sys
import time

from demo import CHECKOUT, Cluster, DemoError, LabError, run, say

from lab import buildtree, outside
from lab.hypervisor import program

RESULT = CHECKOUT / "build/demo-uplink.json"
ROUNDS = 5
SECONDS = 3
IPERF, NETPERF = "5201", "12865"
UPLINK = outside.HOST[0]
VIRTIO = "10.78.0.254"

# What is measured: its unit, and the ratio that is the goal.
MEASURED = {
    "iperf3, guest to host": ("Gbit/s", 2.0),
    "iperf3, host to guest": ("Gbit/s", 2.0),
    "netperf TCP_RR": ("round trips/s", None),
    "netperf TCP_CRR": ("connections/s", 2.0),
}


def iperf(execute, host, *options):
    """Gbit/s that the receiver got."""
    out = execute("iperf3", "-c", host, "-p", IPERF, "-t", str(SECONDS), "-J",
                  *options)
    return json.loads(out)["end"]["sum_received"]["bits_per_second"] / 1e9


def netperf(execute, host, test):
    """Transactions a second."""
    out = execute("netperf", "-H", host, "-p", NETPERF, "-t", test, "-l",
                  str(SECONDS), "-P", "0", "-v", "0")
    if not re.fullmatch(r"\s*[\d.]+\s*", out):
        raise DemoError(f"netperf {test} to {host} said: {out.strip()}")
    return float(out)


def measure(execute, host):
    """Everything, once: {what: value}."""
    values = (iperf(execute, host), iperf(execute, host, "-R"),
              netperf(execute, host, "TCP_RR"),
              netperf(execute, host, "TCP_CRR"))
    return dict(zip(MEASURED, values))


class Host:
    """The host's side: servers, and a client for the ceiling."""

    def __init__(self, cluster):
        self.prefix = cluster.outside.host_prefix()
        self.tree = buildtree.ensure()
        self.servers = []

    def words(self, name, *arguments):
        return [*self.prefix, *program(self.tree, name), *arguments]

    def start(self):
        for words in (self.words("iperf3", "-s", "-p", IPERF),
                      self.words("netserver", "-D", "-4", "-p", NETPERF)):
            self.servers.append(subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL))
        self.wait_listening()

    def wait_listening(self, timeout_s=10):
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            table = subprocess.run([*self.prefix, "ss", "-Hltn"], check=True,
                                   capture_output=True, text=True).stdout
            if all(f":{port} " in table for port in (IPERF, NETPERF)):
                return
            time.sleep(0.1)
        raise DemoError("the servers on the host do not listen")

    def run(self, name, *arguments):
        done = subprocess.run(self.words(name, *arguments), timeout=60,
                              capture_output=True, text=True)
        if done.returncode:
            raise DemoError(f"{name} on the host failed: "
                            f"{(done.stderr or done.stdout).strip()}")
        return done.stdout

    def stop(self):
        for server in self.servers:
            server.terminate()
            server.wait()


def circuits(vm):
    status = json.loads(run(vm, "vmcircuit", "status", "--json"))
    return status["counters"]["circuits_connected"]


def measure_guest(vm, network):
    """One network; only the uplink may, and must, use circuits."""
    is_uplink = network == "uplink"
    run(vm, "vmcircuit", "up", *([] if is_uplink else ["--no-redirect"]))
    before = circuits(vm)
    values = measure(lambda *words: run(vm, *words),
                     UPLINK if is_uplink else VIRTIO)
    opened = circuits(vm) - before
    if (opened > 0) != is_uplink:
        raise DemoError(f"{network} was measured over {opened} circuits")
    return values


def rounds(vm, host):
    """All subjects in turns: {what: {subject: [values]}}."""
    samples = {what: {} for what in MEASURED}
    for number in range(1, ROUNDS + 1):
        for subject in ("uplink", "virtio", "native"):
            values = (measure(host.run, UPLINK) if subject == "native"
                      else measure_guest(vm, subject))
            for what, value in values.items():
                samples[what].setdefault(subject, []).append(value)
            say(f"round {number} of {ROUNDS}, {subject}: "
                + ", ".join(f"{what} {shown(value)} {MEASURED[what][0]}"
                            for what, value in values.items()))
    return samples


def shown(value):
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"


def summary(samples):
    table = {}
    for what, subjects in samples.items():
        row = {subject: statistics.median(values)
               for subject, values in subjects.items()}
        # Pair by pair, so that what disturbs a round disturbs both.
        row["ratio"] = statistics.median(
            a / b for a, b in zip(subjects["uplink"], subjects["virtio"]))
        row["share_of_native"] = row["uplink"] / row["native"]
        row["unit"], row["target"] = MEASURED[what]
        row["samples"] = subjects
        table[what] = row
    return table


def show_table(table):
    print(f"\n{'median of ' + str(ROUNDS):38}{'uplink':>9}{'virtio':>9}"
          f"{'ratio':>7}{'target':>8}{'native':>9}{'share':>7}")
    for what, row in table.items():
        target = f"{row['target']:.1f}" if row["target"] else "-"
        low = "  below" if row["target"] and row["ratio"] < row["target"] \
            else ""
        print(f"{what + ', ' + row['unit']:38}{shown(row['uplink']):>9}"
              f"{shown(row['virtio']):>9}{row['ratio']:>7.2f}{target:>8}"
              f"{shown(row['native']):>9}{row['share_of_native']:>7.0%}{low}")


def main():
    argparse.ArgumentParser(
        description="Measure the uplink beside virtio-net and tap, and beside "
        f"a client on the host. Writes {RESULT.relative_to(CHECKOUT)}."
    ).parse_args()
    say("booting a guest: the uplink and virtio side by side")
    try:
        with contextlib.ExitStack() as stack:
            cluster = stack.enter_context(
                Cluster(1, net="both", memory=1024, cpus=1, prefix="vm",
                        instance="demo", uplink=True))
            host = Host(cluster)
            stack.callback(host.stop)
            host.start()
            table = summary(rounds(cluster.vms[0], host))
    except (DemoError, LabError) as error:
        say(f"FAILED: {error}")
        return 1
    RESULT.write_text(json.dumps(table, indent=2) + "\n")
    show_table(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
