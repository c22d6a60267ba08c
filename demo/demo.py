#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The main job, shown: two VMs whose unmodified programs talk over circuits.

Boots two guests that have circuits and, beside them, an ordinary virtio
network. Runs real programs over circuits and proves by the guests' counters
that they were circuits; then measures both networks in turns.
"""

import argparse
import contextlib
import json
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))

from lab.cluster import Cluster                         # noqa: E402
from lab.report import LabError                         # noqa: E402

RESULT = CHECKOUT / "build/demo.json"
ECHO = CHECKOUT / "build/demo/echo"

ROUNDS = 3
IPERF_S = 4
REDIS_S = 3
REDIS_REQUESTS = (2000, 500000)    # at least, at most
FILE_MIB = 32
TARGETS = {"iperf3": 3.0, "redis SET": 2.0, "redis GET": 2.0}

# Ports of the servers: circuits' on PORT, virtio's on PORT + PLAIN.
PLAIN = 10000
IPERF, REDIS, HTTP, ECHO_PORT, PYTHON = 5201, 6379, 80, 7000, 8000

TROUBLE = re.compile(r"WARNING:|BUG:|Oops|Call Trace|KASAN|Kernel panic|"
                     r"blocked for more than|soft lockup|refcount_t:")

# As "python3 -m http.server", which asks a name server before it listens.
SERVE = """
import http.server, os, socket, socketserver, sys
class Server(socketserver.ThreadingTCPServer):
    address_family = socket.AF_INET6
os.chdir(sys.argv[2])
Server(("::", int(sys.argv[1])),
       http.server.SimpleHTTPRequestHandler).serve_forever()
"""

FETCH = """
import hashlib, sys, urllib.request
with urllib.request.urlopen(sys.argv[1]) as answer:
    print(hashlib.sha256(answer.read()).hexdigest())
"""


class DemoError(Exception):
    """Something of the demo did not work."""


def say(text):
    print(f"demo: {text}", file=sys.stderr, flush=True)


def run(vm, *command, timeout=60):
    """Run a command in a VM that must succeed; return its stdout."""
    done = vm.exec(list(command), timeout=timeout)
    if done.rc:
        raise DemoError(f"'{' '.join(command)}' failed in {vm.name} with code "
                        f"{done.rc}: {(done.err or done.out).strip()[-500:]}")
    return done.out


def wait_listening(vm, port, timeout=60):
    """Wait until something in the VM listens on a TCP port."""
    # Circuit listeners have a shadow socket in the kernel's own tables.
    local = f":{port:04X}"
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        table = run(vm, "cat", "/proc/net/tcp", "/proc/net/tcp6")
        rows = [line.split() for line in table.splitlines()]
        if any(row[1].endswith(local) and row[3] == "0A" for row in rows):
            return
        time.sleep(0.2)
    raise DemoError(f"nobody listens on port {port} in {vm.name}")


class Counters:
    """The circuits that two VMs opened and accepted since a moment."""

    def __init__(self, client, server):
        self.client, self.server = client, server
        self.before = self.read()

    def read(self):
        values = []
        for vm, name in ((self.client, "circuits_connected"),
                         (self.server, "circuits_accepted")):
            status = json.loads(run(vm, "vmcircuit", "status", "--json"))
            values.append(status["counters"].get(name, 0))
        return values

    def since(self):
        """Circuits opened by the client and accepted by the server."""
        return [now - then for now, then in zip(self.read(), self.before)]


class Demo:
    def __init__(self, cluster, baseline):
        self.client, self.server = cluster.vms
        self.baseline = baseline
        self.jobs, self.samples, self.failures = [], {}, []

    def redirect(self, on):
        """Turn the redirect of both VMs on or off for new sockets."""
        if self.baseline:
            return
        for vm in (self.client, self.server):
            run(vm, "vmcircuit", "up", *([] if on else ["--no-redirect"]))

    def addresses(self):
        """The server's addresses, (IPv4, IPv6), on the network to show."""
        return (self.server.virtio_addresses if self.baseline
                else self.server.circuit_addresses)

    # Servers ------------------------------------------------------------

    def start_servers(self):
        """Start the servers of both networks."""
        vm = self.server
        with open(CHECKOUT / "build/demo/nginx.conf", "w") as file:
            file.write("pid /run/demo-nginx.pid; error_log stderr;\n"
                       "events { }\n"
                       "http { access_log off; sendfile on; server {\n"
                       f"listen {HTTP}; listen [::]:{HTTP}; root /srv; }} }}")
        vm.push(CHECKOUT / "build/demo/nginx.conf", "/etc/nginx/demo.conf")
        run(vm, "sh", "-c", "mkdir -p /srv && head -c "
            f"{FILE_MIB}M /dev/urandom >/srv/file")
        for machine in (self.client, self.server):
            machine.push(ECHO, "/usr/local/bin/echo-static")
        if not self.baseline:
            self.redirect(False)
            self.start_measured(PLAIN)
            self.redirect(True)
        vm.spawn(["nginx", "-c", "/etc/nginx/demo.conf", "-g", "daemon off;"])
        vm.spawn(["python3", "-c", SERVE, str(PYTHON), "/srv"])
        self.start_measured(0)
        for port in (HTTP, PYTHON):
            wait_listening(vm, port)

    def start_measured(self, offset):
        """Start what is measured, on ports moved by offset."""
        self.server.spawn(["iperf3", "-s", "-p", str(IPERF + offset)])
        self.server.spawn(["redis-server", "--port", str(REDIS + offset),
                           "--bind", "0.0.0.0", "::",
                           "--save", "", "--protected-mode", "no"])
        for port in (IPERF, REDIS):
            wait_listening(self.server, port + offset)

    # The main job -------------------------------------------------------

    def show_jobs(self):
        """Run every program once; each must work, and over circuits."""
        checksum = run(self.server, "sha256sum", "/srv/file").split()[0]
        four, six = self.addresses()
        for name, job in (
                ("nginx, curl, IPv4", lambda: self.curl(four, checksum)),
                ("nginx, curl, IPv6", lambda: self.curl(f"[{six}]", checksum)),
                ("python3 server and client, IPv6",
                 lambda: self.python(f"[{six}]", checksum)),
                ("static C program, IPv4", lambda: self.static(four)),
                ("static C program, IPv6", lambda: self.static(six)),
                ("redis-server, redis-cli", lambda: self.redis(four)),
                ("iperf3", lambda: self.iperf(four, 0, seconds=1))):
            self.show(name, job)

    def show(self, name, job):
        counters = None if self.baseline else Counters(self.client,
                                                       self.server)
        entry = {"name": name, "ok": False}
        self.jobs.append(entry)
        try:
            entry["result"] = job()
            entry["ok"] = True
            if counters:
                opened, accepted = counters.since()
                entry["circuits"] = opened
                if not opened or opened != accepted:
                    entry["ok"] = False
                    raise DemoError(
                        f"it worked, but over {opened} circuits opened and "
                        f"{accepted} accepted: see 'vmcircuit status'")
        except (DemoError, LabError) as error:
            self.failures.append(f"{name}: {error}")
            say(f"FAILED  {name}: {error}")
            return
        proof = f" ({entry['circuits']} circuits)" if counters else ""
        say(f"works   {name}: {entry['result']}{proof}")

    def curl(self, host, checksum):
        got = run(self.client, "sh", "-c",
                  f"curl -sS --fail http://{host}:{HTTP}/file | sha256sum")
        return self.compare(got.split()[0], checksum)

    def python(self, host, checksum):
        got = run(self.client, "python3", "-c", FETCH,
                  f"http://{host}:{PYTHON}/file")
        return self.compare(got.strip(), checksum)

    def compare(self, got, checksum):
        if got != checksum:
            raise DemoError(f"{FILE_MIB} MiB arrived with a wrong checksum")
        return f"{FILE_MIB} MiB with the right checksum"

    def static(self, host):
        self.server.spawn(["/usr/local/bin/echo-static", str(ECHO_PORT)])
        wait_listening(self.server, ECHO_PORT)
        return run(self.client, "/usr/local/bin/echo-static", str(ECHO_PORT),
                   host).strip()

    def redis(self, host):
        command = ["redis-cli", "-h", host, "-p", str(REDIS)]
        run(self.client, *command, "set", "word", "circuit")
        if run(self.client, *command, "get", "word").strip() != "circuit":
            raise DemoError("GET returned something else than was SET")
        return "SET, GET"

    # The measurements ---------------------------------------------------

    def iperf(self, host, offset, seconds=IPERF_S):
        """Gbit/s that the server received."""
        out = run(self.client, "iperf3", "-c", host, "-p",
                  str(IPERF + offset), "-t", str(seconds), "-J",
                  timeout=seconds + 30)
        end = json.loads(out)["end"]
        return f"{end['sum_received']['bits_per_second'] / 1e9:.2f} Gbit/s"

    def redis_measured(self, host, offset):
        """As redis_benchmark(), for about REDIS_S seconds each."""
        least, most = REDIS_REQUESTS
        rate = min(self.redis_benchmark(host, offset, least).values())
        return self.redis_benchmark(host, offset,
                                    int(min(max(rate * REDIS_S, least), most)))

    def redis_benchmark(self, host, offset, requests):
        """Requests per second of SET and GET."""
        out = run(self.client, "redis-benchmark", "-h", host, "-p",
                  str(REDIS + offset), "-t", "set,get", "-c", "50", "-n",
                  str(requests), "--csv", timeout=120)
        rates = dict(re.findall(r'^"(SET|GET)[^"]*","([\d.]+)"', out, re.M))
        if len(rates) != 2:
            raise DemoError(f"redis-benchmark said: {out.strip()}")
        return {word: float(rate) for word, rate in rates.items()}

    def measure(self):
        """Both networks in turns, so that what disturbs disturbs both."""
        for number in range(1, ROUNDS + 1):
            for network in (["virtio"] if self.baseline
                            else ["circuits", "virtio"]):
                self.redirect(network == "circuits")
                self.measure_once(number, network)
        self.redirect(True)

    def measure_once(self, number, network):
        circuits = network == "circuits"
        host = (self.server.circuit_addresses if circuits
                else self.server.virtio_addresses)[0]
        offset = 0 if circuits or self.baseline else PLAIN
        counters = None if self.baseline else Counters(self.client,
                                                       self.server)
        rate = self.iperf(host, offset)
        requests = self.redis_measured(host, offset)
        self.note("iperf3", network, float(rate.split()[0]))
        for word, value in requests.items():
            self.note(f"redis {word}", network, value)
        opened = counters.since()[0] if counters else 0
        # iperf3 has two connections, the benchmark (twice) 50 for each test.
        if counters and (opened < 202 if circuits else opened):
            raise DemoError(f"{network} were measured over {opened} circuits")
        say(f"round {number}, {network}: iperf3 {rate}, "
            f"SET {requests['SET']:.0f}/s, GET {requests['GET']:.0f}/s, "
            f"{opened} circuits")

    def note(self, what, network, value):
        self.samples.setdefault(what, {}).setdefault(network, []).append(value)

    # The results --------------------------------------------------------

    def check_consoles(self):
        for vm in (self.client, self.server):
            for line in vm.console_log().splitlines():
                if TROUBLE.search(line):
                    self.failures.append(f"{vm.name}'s kernel log: {line}")

    def result(self):
        table = {}
        for what, networks in self.samples.items():
            row = {network: statistics.median(values)
                   for network, values in networks.items()}
            if len(row) == 2 and row["virtio"]:
                row["ratio"] = row["circuits"] / row["virtio"]
                row["target"] = TARGETS[what]
            row["samples"] = networks
            table[what] = row
        return {"ok": not self.failures, "failures": self.failures,
                "jobs": self.jobs, "measurements": table}


def show_table(result):
    """Print the medians side by side."""
    units = {"iperf3": "Gbit/s"}
    print(f"\n{'median of ' + str(ROUNDS):24}{'circuits':>12}{'virtio':>12}"
          f"{'ratio':>9}{'target':>9}")
    for what, row in result["measurements"].items():
        name = f"{what}, {units.get(what, 'requests/s')}"
        cells = [f"{row[key]:.2f}" if key in row and row[key] < 100 else
                 f"{row[key]:.0f}" if key in row else "-"
                 for key in ("circuits", "virtio")]
        ratio = f"{row['ratio']:.2f}" if "ratio" in row else "-"
        target = f"{row['target']:.1f}" if "target" in row else "-"
        low = "  below" if row.get("ratio", 9e9) < row.get("target", 0) else ""
        print(f"{name:24}{cells[0]:>12}{cells[1]:>12}{ratio:>9}{target:>9}"
              f"{low}")


def show_status(demo):
    for vm in (demo.client, demo.server):
        text = run(vm, "vmcircuit", "status")
        print(f"\n'vmcircuit status' in {vm.name}:\n"
              + "".join(f"  {line}\n" for line in text.splitlines()), end="")


def build(target, *sources, options=()):
    """Make a program for guests, in the tree that has their libc."""
    target.parent.mkdir(parents=True, exist_ok=True)
    sources = [CHECKOUT / source for source in sources]
    if target.exists() and all(target.stat().st_mtime > source.stat().st_mtime
                               for source in sources):
        return
    subprocess.run([CHECKOUT / "lab/lab", "build-shell", "--", "gcc", "-O2",
                    "-Wall", "-D_GNU_SOURCE", "-I", CHECKOUT, *options,
                    "-o", target, *sources], check=True, cwd=CHECKOUT)


def perform(arguments):
    """The whole demo; returns the result for build/demo.json."""
    begin = time.monotonic()
    build(ECHO, "demo/echo.c", options=["-static"])
    say("booting two guests: circuits and virtio side by side")
    with Cluster(2, net="virtio" if arguments.baseline else "both",
                 memory=1024, cpus=1, prefix="vm", instance="demo") as cluster:
        demo = Demo(cluster, arguments.baseline)
        try:
            demo.start_servers()
            demo.show_jobs()
            demo.measure()
        except (DemoError, LabError) as error:
            demo.failures.append(str(error))
        demo.check_consoles()
        result = demo.result()
        if not arguments.json:
            show_table(result)
            if not arguments.baseline:
                with contextlib.suppress(DemoError, LabError):
                    show_status(demo)
    result["seconds"] = round(time.monotonic() - begin, 1)
    return result


def main():
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--json", action="store_true",
                        help="print the result as JSON, not as a table")
    parser.add_argument("--baseline", action="store_true",
                        help="only the virtio half, without circuits")
    arguments = parser.parse_args()
    try:
        result = perform(arguments)
    except (LabError, subprocess.CalledProcessError) as error:
        say(f"error: {error}")
        return 1
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    if arguments.json:
        print(json.dumps(result, indent=2))
    print(f"\n{sum(job['ok'] for job in result['jobs'])} of "
          f"{len(result['jobs'])} jobs work, {result['seconds']:.0f} s; "
          f"details in {RESULT.relative_to(CHECKOUT)}", file=sys.stderr)
    for failure in result["failures"]:
        say(f"failed: {failure}")
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
