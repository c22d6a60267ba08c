# SPDX-License-Identifier: GPL-2.0-or-later
"""A world: guests that are booted together, with the subjects between them.

    pair      two guests of one processor each: between siblings
    smp       two guests of two processors each: what queues are good for
    outside   one guest and its host
"""

import contextlib
import re
import shutil

from bench.guest import BenchError, Guest, Host
from lab import buildtree, place
from lab.cluster import Cluster
from lab.report import LabError, warn

PROGRAMS = ("limit", "crowd", "vmc-touch")
BUILT = place.CHECKOUT / "build/guest/tool/bench"
MEMORY_MIB = 1024
BOOTS = 3
HUGE_PAGES = 4
VIRTIO_HOST = "10.78.0.254"
TROUBLE = re.compile(r"WARNING:|BUG:|Oops|Call Trace|Kernel panic|"
                     r"blocked for more than|soft lockup|refcount_t:")

SHAPES = {
    "pair": {"n": 2, "cpus": 1},
    "smp": {"n": 2, "cpus": 2, "queues": 2},
    "outside": {"n": 1, "cpus": 1, "uplink": True},
}


class World(contextlib.ExitStack):
    """Booted on entry, gone on exit."""

    def __init__(self, name, subjects):
        super().__init__()
        self.name, self.tree = name, buildtree.ensure()
        self.subjects = [one for one in subjects if name in one.worlds]
        self.cluster = Cluster(net="both", memory=MEMORY_MIB, prefix="vm",
                               instance="bench", devices=self.devices,
                               **SHAPES[name])
        # Sockets and logs of other back-ends, which outlive the cluster's own
        # directory by a moment.
        self.directory = self.cluster.state.with_suffix(".peers")
        self.guests = []

    def __enter__(self):
        super().__enter__()
        try:
            shutil.rmtree(self.directory, ignore_errors=True)
            self.directory.mkdir(parents=True)
            self.callback(shutil.rmtree, self.directory)
            for subject in self.subjects:
                self.callback(subject.stop)
            self.boot()
            self.callback(self.save_logs)
            self.join()
        except BaseException:
            self.close()
            raise
        return self

    def boot(self):
        """Under emulation a kernel of several processors now and then dies of
        its own patched code (an int3 that another processor saw too long)."""
        for tries_left in reversed(range(BOOTS)):
            try:
                return self.enter_context(self.cluster)
            except LabError as error:
                if not tries_left:
                    raise
                warn(f"booting again: {str(error).splitlines()[0]}")

    def join(self):
        """Take the guests over and make the subjects ready."""
        self.guests = [Guest(vm) for vm in self.cluster.vms]
        self.client, self.server = self.guests[0], self.guests[-1]
        outside = self.cluster.outside
        self.host = Host(outside.host_prefix() if outside else ())
        self.callback(self.host.stop)
        for guest in self.guests:
            guest.prepare([BUILT / name for name in PROGRAMS])
            # For the limit of copies only; the memory is there for them.
            guest.run("sh", "-c", f"echo {HUGE_PAGES} "
                      ">/proc/sys/vm/nr_hugepages")
        for subject in self.subjects:
            subject.ready(self)

    def devices(self, vm):
        return [word for subject in self.subjects
                for word in subject.devices(self, vm)]

    def subject(self, name):
        """The subject of this name, or None if it is not here."""
        return next((one for one in self.subjects
                     if one.name == name and not one.missing), None)

    def server_virtio_address(self):
        return (VIRTIO_HOST if self.name == "outside"
                else self.server.vm.virtio_addresses[0])

    @property
    def server_place(self):
        """Where servers run."""
        return self.host if self.name == "outside" else self.server

    def serve(self, subject, *words, port, **options):
        """Start a server for clients of a subject."""
        if self.name == "outside":
            return self.host.serve(*words, port=port)
        return self.server.serve(*words, group=subject.group, port=port,
                                 **options)

    def stop_servers(self):
        for place_ in (*self.guests, self.host):
            place_.stop()

    def save_logs(self):
        """Keep the logs of guests, switch and back-ends."""
        kept = place.CHECKOUT / "build/bench/logs" / self.name
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        for directory in (self.cluster.state, self.directory):
            for pattern in ("*.console", "*.log"):
                for path in directory.glob(pattern):
                    shutil.copy(path, kept)

    def check(self):
        """A kernel that complains has measured nothing."""
        for guest in self.guests:
            for line in guest.vm.console_log().splitlines():
                if TROUBLE.search(line):
                    raise BenchError(f"{guest.name}'s kernel log: {line}")
