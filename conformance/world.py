# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest that suites run in, on plain sockets or on redirected ones."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass

from conformance import machine, memory
from conformance.suite import ConformanceError
from lab import place
from lab.agent import ExecTimeout
from lab.cluster import Cluster

HERE = place.CHECKOUT / "conformance"
DISK = "/mnt/suites"
# Of all suites, so that they share one image.
PACKAGES = ("libpython3.13-testsuite", "perl", "ruby", "ruby-test-unit")
MEMORY_MIB = 1280
PLAIN, CIRCUITS = "tcp", "circuits"
TROUBLE = re.compile(r"WARNING:|BUG:|Oops|Call Trace|Kernel panic|"
                     r"blocked for more than|soft lockup|rcu: .*stall|"
                     r"refcount_t:|"
                     r"vmcircuit: .*(lie|lying)")
# Beyond the job's own limit: the guest's clock and agent may be slow.
GRACE_S = 300


@dataclass
class Done:
    """What a job gave."""

    code: int
    seconds: float
    output: str
    is_hang: bool


class World(contextlib.ExitStack):
    """Booted on entry, gone on exit. name: of the suite, for its logs. disk:
    the image of suites, or None."""

    def __init__(self, name, disk=None):
        super().__init__()
        self.name, self.disk = name, disk
        instance = os.environ.get("LAB_INSTANCE", "")
        self.cluster = Cluster(1, net="circuit", memory=MEMORY_MIB,
                               packages=PACKAGES, devices=self.devices,
                               instance=f"{instance}-conformance")
        self.vm = self.cluster.vms[0]
        self.nr_lines = 0

    def devices(self, _):
        if not self.disk:
            return []
        return ["-blockdev", f"file,node-name=suites,filename={self.disk},"
                "read-only=on,locking=off",
                "-device", "virtio-blk-pci,drive=suites,num-queues=1"]

    def __enter__(self):
        super().__enter__()
        try:
            self.cluster.down()
            self.watch = self.enter_context(machine.Watch())
            self.enter_context(self.cluster)
            self.callback(self.save_log)
            self.vm.push(HERE / "guest/job", "/usr/local/bin/job")
            if self.disk:
                self.shell(f"mkdir -p {DISK} && modprobe virtio_blk; "
                           f"mount -t erofs -o ro /dev/vdb {DISK}")
            # As Debian's installer does: some tests look themselves up.
            self.shell('echo "127.0.1.1 $(hostname)" >>/etc/hosts')
            self.shell("echo 1 >/proc/sys/net/vmcircuit/local")
            self.redirect(CIRCUITS)
            # The link of the guest with itself is made by the first circuit,
            # and stays.
            self.shell(WARM_UP)
        except BaseException:
            self.close()
            raise
        return self

    def shell(self, script, timeout=GRACE_S):
        """Run a script in the guest, as its administrator would."""
        done = self.vm.exec(["sh", "-c", script], timeout=timeout)
        if done.rc:
            raise ConformanceError(
                f"'{script[:60]}' ended with {done.rc} in the guest: "
                f"{(done.err or done.out).strip()[-300:]}")
        return done.out

    def redirect(self, transport):
        """Which sockets programs get from now on."""
        self.shell("vmcircuit up" if transport == CIRCUITS else
                   "vmcircuit up --no-redirect")

    def job(self, command, directory="/tmp", timeout=60, environment=()):
        """Run a test's program to its end, or to that of its time."""
        command = [str(word) for word in command]
        words = ["/usr/local/bin/job", str(timeout), directory, "env",
                  *(f"{key}={value}" for key, value in environment),
                 *command]
        name = " ".join(command)[:80]
        begin = time.monotonic()
        try:
            done = self.vm.exec(words, timeout=timeout + GRACE_S)
        except ExecTimeout:
            raise ConformanceError(
                f"what '{name}' left in the guest cannot be "
                "killed: see the guest's console")
        seconds = time.monotonic() - begin
        first, _, output = done.out.partition("\n")
        if not first.startswith("job: "):
            raise ConformanceError(f"'{name}' could not be "
                                   f"started: {(done.out + done.err)[-300:]}")
        code = int(first.split()[1])
        return Done(code, seconds, output,
                    code == 137 and seconds >= timeout)

    def stats(self):
        """The module's counters."""
        text = self.shell("cat /proc/net/vmcircuit/stats")
        return {name: int(value) for name, value in
                re.findall(r"^(\w+)\s+(\d+)\s*$", text, re.M)}

    def trouble(self):
        """What the guest's kernel has complained of since the last call."""
        lines = self.vm.console_log().splitlines()
        new, self.nr_lines = lines[self.nr_lines:], len(lines)
        return machine.complaints(new, TROUBLE, bool(self.watch.stalls))

    def switch_view(self):
        """What the switch holds of the guest: circuits and segments."""
        program = os.path.join(os.path.dirname(self.cluster.switch.program),
                               "../ctl/vmcircuitctl")
        done = subprocess.run(
            [program, "--socket", self.cluster.switch.control, "--json",
             "stats", self.vm.name], capture_output=True, text=True,
            timeout=30)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        mine = next((line for line in lines
                     if line.get("name") == self.vm.name), None)
        if not mine:
            raise ConformanceError("the switch does not know the guest: see "
                                   "build/conformance/logs")
        return mine

    def snapshot(self):
        """What is allocated, see memory.py."""
        return memory.Snapshot(self.shell(memory.READ), self.switch_view())

    def save_log(self):
        """Keep the logs, for who looks later."""
        kept = place.CHECKOUT / "build/conformance/logs" / self.name
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        for pattern in ("*.console", "*.log"):
            for path in self.cluster.state.glob(pattern):
                shutil.copy(path, kept)


WARM_UP = """python3 -c '
import socket
for address in "127.0.0.1", "::1":
    with socket.create_server((address, 0), family=socket.AF_INET6
                              if ":" in address else socket.AF_INET) as s:
        with socket.create_connection(s.getsockname()[:2]) as c:
            a, _ = s.accept()
            a.close()
'"""
