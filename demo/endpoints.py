#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Two processes of this host over a circuit, beside what else they could use.

No VM is needed: a switch with two endpoints is started, and demo/native.c
measures in turns memcpy(), circuits in place and with copies, AF_UNIX, TCP over
the loopback, and round trips beside an eventfd's.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import table

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent
RESULT = CHECKOUT / "build/demo-endpoints.json"
NATIVE = CHECKOUT / "build/demo/native"
SWITCH = CHECKOUT / "build/switch/vmcircuitd"
ROUNDS = 5
SECONDS, BLOCK_BYTES = "1", "65536"
TRIPS, SPINS = "100000", "300000"
ADDRESSES = {"a": "10.77.0.100", "b": "10.77.0.101"}

THROUGHPUT = {"memcpy": "memcpy", "in place": "in-place",
              "circuit, copied": "circuit", "AF_UNIX": "unix",
              "TCP loopback": "tcp"}
TRIP_TIMES = {"circuit, one core": ("circuit-trip", "ONE", TRIPS),
              "eventfd, one core": ("eventfd-trip", "ONE", TRIPS),
              "circuit, two cores": ("circuit-trip", "TWO", TRIPS),
              "eventfd, two cores": ("eventfd-trip", "TWO", TRIPS),
              "circuit, spinning": ("spin-trip", "TWO", SPINS),
              "one word, spinning": ("word-trip", "TWO", SPINS)}
TARGETS = {"in place / memcpy": 0.9, "circuit, copied / AF_UNIX": 2.0,
           "circuit, copied / TCP loopback": 3.0,
           "circuit, one core / eventfd, one core": table.at_most(1.15),
           "circuit, two cores / eventfd, two cores": table.at_most(1.15),
           "circuit, spinning / one word, spinning": None}


class Switch:
    """A switch with the two endpoints, in a directory of its own."""

    def __enter__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="vmcircuit-")
        where = pathlib.Path(self.directory.name)
        sockets = {name: where / f"{name}.sock" for name in ADDRESSES}
        config = where / "switch.conf"
        config.write_text(f'control = "{where}/control.sock"\n' + "".join(
            f'endpoint "{name}" {{ socket = "{sockets[name]}"\n'
            f'addresses = {{ "{address}/24" }}\n'
            f'users = {{ "{os.getuid()}" }} }}\n'
            for name, address in ADDRESSES.items()))
        self.log = open(where / "log", "w+")
        self.child = subprocess.Popen([SWITCH, "--config", config],
                                      stderr=self.log)
        end = time.monotonic() + 10
        while not all(path.exists() for path in sockets.values()):
            if self.child.poll() is not None or time.monotonic() > end:
                self.log.seek(0)
                raise RuntimeError(f"no switch: {self.log.read()}")
            time.sleep(0.02)
        return {"SOCKET_A": str(sockets["a"]), "SOCKET_B": str(sockets["b"]),
                "ADDRESS_B": ADDRESSES["b"]}

    def __exit__(self, *failure):
        self.child.terminate()
        self.child.wait()
        self.log.close()
        self.directory.cleanup()


def native(environment, *words):
    out = subprocess.run([NATIVE, *words], env={**os.environ, **environment},
                         capture_output=True, text=True, timeout=60)
    if out.returncode:
        raise RuntimeError(f"native {' '.join(words)}: {out.stderr.strip()}")
    return json.loads(out.stdout)


def measure(environment):
    values = {}
    for what, word in THROUGHPUT.items():
        row = native(environment, word, SECONDS, BLOCK_BYTES)
        values[what] = row["bytes_per_second"] / 1e9, "GB/s"
    for what, words in TRIP_TIMES.items():
        values[what] = native(environment, *words)["us"], "us"
    return values


def main():
    argparse.ArgumentParser(
        description="Measure circuits between two processes of this host "
        "beside what else they could use. Writes "
        f"{RESULT.relative_to(CHECKOUT)}.").parse_args()
    samples = {}
    try:
        with Switch() as environment:
            for number in range(1, ROUNDS + 1):
                values = measure(environment)
                table.add(samples, values)
                print(f"round {number} of {ROUNDS}: {table.told(values)}",
                      flush=True)
    except (RuntimeError, subprocess.SubprocessError) as error:
        print(f"FAILED: {error}")
        return 1
    result = table.summary(samples, TARGETS)
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    table.show(result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
