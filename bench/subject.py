# SPDX-License-Identifier: GPL-2.0-or-later
"""A subject: one way for two programs of a world to talk."""

from bench.guest import CIRCUITS, PLAIN

# Servers of different subjects listen at the same time on different ports.
OFFSET_STEP = 10000


class Subject:
    """What all subjects have; see bench/subjects/ for the real ones.

    worlds: where it exists. group: the cgroup of its programs. offset: moves
    its ports. missing: None, or (reason, evidence) once it is known that this
    machine cannot have it. is_circuit: whether its connections must be
    circuits. has_backend: whether backend_pids() names anybody. max_bytes:
    what one call may send at most, or None.
    """

    name = title = ""
    worlds = ()
    group = PLAIN
    offset = 0
    is_circuit = has_backend = False
    max_bytes = None

    def __init__(self):
        self.missing = None
        # What it cannot do though it is here, likewise.
        self.unable = None

    def devices(self, world, vm):
        """Called before a VM starts: more words for its hypervisor."""
        return []

    def ready(self, world):
        """Called when the guests answer; may find that it is missing."""

    def address(self, world):
        """Where the server is, for the client."""
        raise NotImplementedError

    def port(self, base):
        return base + self.offset

    def backend_pids(self, world):
        """Processes, other than QEMU, that work for the connections."""
        return []

    def client(self, world):
        """The place where its client programs run."""
        return world.client

    def before(self, world):
        """Called before each of its runs, outside of what is measured."""

    def stop(self):
        """End what devices() started."""


class CircuitSubject(Subject):
    group = CIRCUITS
    is_circuit = has_backend = True

    def backend_pids(self, world):
        return [world.cluster.switch.pid()]
