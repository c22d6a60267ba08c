# SPDX-License-Identifier: GPL-2.0-or-later
"""Worlds made of the lab's VMs, see world.py."""

import fcntl
import json
import mmap
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import time

from world import CHECKOUT, HERE, Guest, GuestError, Silence, World, attach, \
    wait_until

sys.path.insert(0, str(CHECKOUT))

from lab import place               # noqa: E402
from lab.cluster import Cluster     # noqa: E402
from lab.report import LabError     # noqa: E402

PUPPET = "/run/puppet.py"
PORT = "/dev/virtio-ports/vmcircuit.test"


def free_instance(transport):
    """A lab that no other run of the tests uses: (its name, its lock).

    The lock goes with the process; a run that was killed leaves its VMs to
    the next run, which takes the lock and ends them.
    """
    for number in range(1, 9):
        name = f"tests-{transport}-{number}"
        path = place.state_dir(name).with_suffix(".tests")
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = open(path, "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return name, lock
        except BlockingIOError:
            lock.close()
    raise RuntimeError("eight runs of the tests at once are enough")


class LabWorld(World):
    """VMs joined by circuits, or by virtio-net to judge the cases."""

    def __init__(self, transport, n=2, instance=None, net=None,
                 uplink=False):
        super().__init__(transport)
        circuit = transport == "circuit"
        self.lock, self.name = None, transport
        if instance is None:
            instance, self.lock = free_instance(transport)
        self.frozen, self.crashes = None, []
        self.cluster = Cluster(
            n, net=net or ("circuit" if circuit else "virtio"),
            instance=instance, payload=None if circuit else False,
            uplink=uplink)

    def start(self):
        # What a run that was killed left behind.
        self.cluster.down()
        self.cluster.up()
        self.meet()

    def meet(self):
        """Start the puppets of VMs that are up."""
        for vm in self.cluster.vms:
            v4, v6 = (vm.circuit_addresses if self.transport == "circuit"
                      else vm.virtio_addresses)
            guest = Guest(vm.number, vm.name, v4, v6, vm=vm)
            self.guests.append(guest)
            self.wire(guest)

    def wire(self, guest):
        """Start the puppet of a VM that has just booted."""
        guest.vm.push(HERE / "puppet.py", PUPPET)
        guest.vm.spawn(["/usr/bin/python3", PUPPET, "--port", PORT])
        guest.puppet = attach(guest.name, guest.vm.test_socket)
        guest.look(guest.fresh())

    def reboot(self, *guests):
        """A cold start of VMs; they join the network again."""
        for guest in guests:
            if guest.puppet:
                guest.puppet.sock.close()
                guest.puppet = None
            guest.vm.kill()
            if self.circuit:
                wait_until(lambda: self.vm_state(guest) == "absent",
                           f"the switch knows that {guest.name} is gone")
            guest.vm.launch()
        for guest in guests:
            try:
                guest.vm.wait_ready()
            except LabError:
                # A process that is just becoming QEMU can look dead.
                wait_until(guest.vm.running, f"{guest.name} runs", 2)
                guest.vm.wait_ready()
            if self.circuit:
                self.cluster.join(guest.vm)
            guest.stats = {}
            self.local.discard(guest)
            self.wire(guest)

    def heal(self):
        lost = [guest for guest in self.guests
                if not guest.vm.running() or not guest.puppet]
        if self.frozen:
            self.thaw()
        if self.circuit and not self.switch.running():
            # VMs can not join a switch that was not there when they started.
            self.switch.start()
            lost = self.guests
        self.reboot(*lost)
        if self.circuit:
            self.wait_attached()

    def is_alive(self, guest):
        return guest.vm.running() and guest.puppet is not None

    def crash(self):
        """Kill the switch; its keeper starts another. The keeper gives up
        if that happens ten times in ten seconds, so not that fast."""
        while len(self.crashes) >= 8 and \
                time.monotonic() - self.crashes[-8] < 10.5:
            time.sleep(0.1)
        self.switch.crash()
        self.crashes.append(time.monotonic())

    def freeze(self):
        """Stop the switch as a hang does: it neither serves nor beats."""
        self.frozen = self.switch.pid()
        os.kill(self.frozen, signal.SIGSTOP)

    def thaw(self):
        os.kill(self.frozen, signal.SIGCONT)
        self.frozen = None

    @property
    def switch(self):
        return self.cluster.switch

    def wait_attached(self, deadline_s=20):
        """Wait until the switch serves every guest, and they know.

        In this order: after a crash a guest says for a moment that it is
        attached, to the last run. The switch says so when it greets it anew.
        """
        for guest in self.guests:
            wait_until(lambda: self.serves(guest) and
                       status(guest).get("state") == "attached",
                       f"{guest.name} is attached to the switch", deadline_s)

    def serves(self, guest):
        """Whether the switch runs and has greeted the guest."""
        done = self.run_ctl("--json", "list")
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return any(line.get("name") == guest.name and
                   line["state"] == "attached" for line in lines)

    def tool(self, guest, *words, code=0):
        """Run vmcircuit in a guest; return its stdout."""
        done = guest.vm.exec(["/usr/sbin/vmcircuit", *words], timeout=30)
        assert done.rc == code, \
            f"vmcircuit {words} in {guest.name} gave {done.rc}, not {code}: " \
            f"{done.out}{done.err}"
        return done.out if code == 0 else done.err

    @property
    def ctl_program(self):
        """Stands where meson builds it, beside the switch."""
        return os.path.join(os.path.dirname(self.switch.program),
                            "../ctl/vmcircuitctl")

    def run_ctl(self, *words):
        return subprocess.run(
            [self.ctl_program, "--socket", self.switch.control, *words],
            capture_output=True, text=True, timeout=20)

    def ctl(self, *words, code=0):
        """Run vmcircuitctl; return its stdout, or stderr if it fails."""
        done = self.run_ctl(*words)
        assert done.returncode == code, \
            f"vmcircuitctl {words} gave {done.returncode}, not {code}: " \
            f"{done.stdout}{done.stderr}"
        return done.stdout if code == 0 else done.stderr

    def ask(self, *words):
        """vmcircuitctl --json: its lines, without the last."""
        lines = [json.loads(line)
                 for line in self.ctl("--json", *words).splitlines()]
        assert lines[-1]["type"] == "end"
        return lines[:-1]

    def vm_state(self, guest):
        """The state of a VM as vmcircuitctl lists it."""
        return next(line["state"] for line in self.ask("list")
                    if line["name"] == guest.name)

    def switch_stats(self, guest):
        return self.ask("stats", guest.name)[0]

    def segment(self, slot, prod):
        """The segment whose end at slot has put prod bytes, to spoil it.

        What a hostile VM could write into its own memory is written from
        here: into the memfd that the switch still holds open.
        """
        pid = self.switch.pid()
        for entry in os.listdir(f"/proc/{pid}/fd"):
            path = f"/proc/{pid}/fd/{entry}"
            if "vmcircuit-segment" not in os.readlink(path):
                continue
            segment = Segment(path)
            if segment.get(segment.ctl(slot)) == prod:
                return segment
            segment.close()
        raise AssertionError(f"no segment has {prod} bytes in slot {slot}")

    def stop(self):
        for guest in self.guests:
            if guest.puppet:
                guest.puppet.sock.close()
        if self.frozen:
            self.thaw()
        self.keep_logs()
        self.cluster.down()

    def keep_logs(self):
        """Copy consoles and logs to build/tests/, for who looks later."""
        kept = CHECKOUT / "build/tests" / f"vm-{self.name}"
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        for pattern in ("*.console", "*.log", "switch.conf"):
            for path in self.cluster.state.glob(pattern):
                shutil.copy(path, kept)

    def switch_log(self):
        return self.cluster.switch.log() if self.circuit else ""

    def consoles(self):
        return [(guest.name, guest.vm.console_log())
                for guest in self.guests]


def status(guest):
    """What the guest's module says of its attachment, as a dictionary."""
    try:
        text = guest.puppet.ask("read", path="/proc/net/vmcircuit/status")
    except (GuestError, Silence):
        return {}
    return dict(re.findall(r"^(\w+)\s+(.*?)\s*$", text, re.M))


class Segment:
    """A segment's memory, with the offsets of proto/ring.h."""

    PAGE, KICK_WANTED, PENDING, ACK = 4096, 64, 128, 128 + 2048
    CTL, RINGS = 4 * 4096, 4 * 4096 + 16384 * 4096
    PROD, FLAGS, URGENT, CONS, DATA_WAIT, SPACE_WAIT = 0, 4, 8, 64, 128, 132

    def __init__(self, path):
        with open(path, "r+b", buffering=0) as file:
            self.map = mmap.mmap(file.fileno(), self.RINGS)

    def ctl(self, slot, field=0):
        return self.CTL + slot * self.PAGE + field

    def get(self, offset):
        return struct.unpack_from("<I", self.map, offset)[0]

    def put(self, offset, value):
        struct.pack_into("<I", self.map, offset, value & 0xffffffff)

    def close(self):
        self.map.close()
