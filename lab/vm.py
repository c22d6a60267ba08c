# SPDX-License-Identifier: GPL-2.0-or-later
"""One VM's life: start, exec, files in and out, console, end."""

import os
import stat
import time

from lab.agent import Agent, AgentSilent
from lab.process import Daemon
from lab.report import LabError

BOOT_TIMEOUT_S = int(os.environ.get("LAB_BOOT_TIMEOUT", "120"))


class VM:
    """A VM of a cluster; its files are <state>/<name>.* .

    number (from 1) gives the addresses: 10.78.0.N and fd78::N on virtio's
    eth0, 10.77.0.N and fd77::N on the circuit's circuit0. start_qemu is
    called to start the hypervisor: the cluster knows trees and namespaces.
    queues: of the virtio network card.
    """

    def __init__(self, state, name, number, memory, cpus, virtio, circuit,
                 start_qemu, queues=1):
        self.state, self.name, self.number = state, name, number
        self.memory, self.cpus = memory, cpus
        self.virtio, self.circuit = virtio, circuit
        self.queues = queues
        self.start_qemu = start_qemu
        # QEMU's own messages, assertions included, are in <name>.qemu.log.
        self.qemu = Daemon(f"QEMU of {name}", self.path("pid"),
                           self.path("qemu.log"), self.path("qmp"))
        self.agent = Agent(name, self.path("agent"), self.running)

    def path(self, suffix):
        return self.state / f"{self.name}.{suffix}"

    @property
    def test_socket(self):
        """Host's end of the guest's /dev/virtio-ports/vmcircuit.test."""
        return self.path("test")

    @property
    def circuit_addresses(self):
        return [f"10.77.0.{self.number}", f"fd77::{self.number:x}"]

    @property
    def virtio_addresses(self):
        return [f"10.78.0.{self.number}", f"fd78::{self.number:x}"]

    def running(self):
        return self.qemu.pid() is not None

    def launch(self):
        """Start QEMU and return at once."""
        if self.running():
            raise LabError(f"{self.name} runs already: kill it first")
        self.path("console").write_text("")
        self.path("qemu.log").write_text("")
        self.path("qmp").unlink(missing_ok=True)
        self.agent.prepare()
        self.start_qemu(self)

    def wait_ready(self, timeout=BOOT_TIMEOUT_S):
        """Return when the guest answers; say why if it does not."""
        end = time.monotonic() + timeout
        # QEMU opens the fifos a moment after its start.
        while True:
            try:
                self.agent.request("guest-ping",
                                   timeout=max(0, end - time.monotonic()))
                return
            except AgentSilent:
                if not self.running():
                    raise LabError(f"{self.name} died while booting: "
                                   f"{self.last_words()}")
                if time.monotonic() > end:
                    raise LabError(f"{self.name} did not answer within "
                                   f"{timeout} s: {self.last_words()}")
                time.sleep(0.02)

    def last_words(self):
        """The end of QEMU's messages and of the console, for an error."""
        lines = [*self.qemu.log().splitlines()[-3:],
                 *self.console_log().splitlines()[-8:]]
        return (f"look into {self.path('qemu.log')} and "
                f"{self.path('console')}, which end with:\n"
                + "\n".join(lines))

    def start(self):
        """Start the VM and wait until it answers."""
        self.launch()
        self.wait_ready()

    def restart(self):
        """A cold start with an unchanged image: nothing survives."""
        self.kill()
        self.start()

    def kill(self):
        """End the VM as a power cut does."""
        self.qemu.kill()

    def exec(self, command, input=None, timeout=None):
        """Run a command in the guest and return its Result.

        input: bytes or str for its stdin. timeout: seconds, after which the
        command and its process group are killed and ExecTimeout is raised.
        The call ends when the command has ended and nobody holds its stdout
        and stderr any more: redirect those of what shall stay behind.
        """
        data = input.encode() if isinstance(input, str) else input
        pid = self.agent.spawn(command, data)
        return self.agent.collect(pid, timeout, " ".join(map(str, command)))

    def spawn(self, command):
        """Start a command in the guest, output discarded; return its pid."""
        return self.agent.spawn(command, capture=False)

    def push(self, source, path):
        """Copy the machine's file source to path in the guest."""
        with open(source, "rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            self.agent.push(file.read(), str(path))
        self.exec(["chmod", f"{mode:o}", path])

    def pull(self, path, target):
        """Copy path in the guest to the machine's file target."""
        data = self.agent.pull(str(path))
        with open(target, "wb") as file:
            file.write(data)

    def console_log(self):
        """Everything the guest wrote on its console since its start."""
        try:
            return self.path("console").read_text(errors="replace")
        except FileNotFoundError:
            return ""
