# SPDX-License-Identifier: GPL-2.0-or-later
"""virtio-vsock between siblings, by Debian's vhost-device-vsock.

Debian 13 does not have the package; the one of the next Debian runs with Debian
13's C library, so that its program is taken out of the package and run by the
build tree's linker, as QEMU is.
"""

import subprocess
import time

from bench.guest import BenchError
from bench.subject import OFFSET_STEP, Subject
from lab import deps, tree
from lab.hypervisor import program
from lab.process import Daemon
from lab.report import LabError

SUITE = "forky"
PACKAGE = "vhost-device-vsock"
FIRST_CID = 3
START_TIMEOUT_S = 5
PROGRAMS = {"iperf3": ("iperf3", "--help"), "netperf": ("netperf", "-h"),
            "sockperf": ("sockperf", "help"),
            "redis-benchmark": ("redis-benchmark", "--help"),
            "wrk": ("wrk", "--help"), "nginx": ("nginx", "-h"),
            "scp": ("scp", "-h")}
ANY_CID = 0xffffffff
TRIAL_PORT = 7000
SMALL_BYTES, LARGE_BYTES = 2048, 64 << 10


def fetch(directory):
    """Take the program out of Debian's package, into the directory."""
    apt = directory / "apt"
    for name in ("lists/partial", "cache/archives/partial"):
        (apt / name).mkdir(parents=True)
    (apt / "status").touch()
    (apt / "sources.list").write_text(
        f"deb [signed-by={deps.KEYRING}] {deps.mirror()} {SUITE} main\n")
    options = [f"-oDir::State={apt}", f"-oDir::State::status={apt}/status",
               f"-oDir::State::lists={apt}/lists",
               f"-oDir::Cache={apt}/cache",
               "-oAcquire::http::Timeout=15", "-oAcquire::Retries=0",
               f"-oDir::Etc::sourcelist={apt}/sources.list",
               "-oDir::Etc::sourceparts=-", "-oAPT::Sandbox::User=root"]
    for words in (["update", "-qq"], ["download", "-qq", PACKAGE]):
        done = subprocess.run(["apt-get", *options, *words], cwd=directory,
                              text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT)
        if done.returncode:
            raise LabError(f"'apt-get {' '.join(words)}' failed: "
                           f"{done.stdout.strip()[-400:]}")
    package = next(directory.glob(f"{PACKAGE}_*.deb"))
    subprocess.run(["dpkg-deb", "-x", package, directory / "root"],
                   check=True)
    (directory / "version").write_text(package.name.split("_")[1])
    subprocess.run(["rm", "-r", apt, package], check=True)


class Vsock(Subject):
    name = "vsock"
    title = "virtio-vsock, vhost-device-vsock"
    worlds = ("pair",)
    has_backend = True
    offset = 2 * OFFSET_STEP

    def __init__(self):
        super().__init__()
        self.daemon, self.version = None, None

    def address(self, world):
        return f"vsock:{cid(world.server.vm)}"

    def devices(self, world, vm):
        if not self.daemon and not self.missing:
            try:
                self.start(world)
            except LabError as error:
                self.missing = (f"{PACKAGE} does not start", str(error))
        if self.missing:
            return []
        return ["-chardev", f"socket,id=vsock,path={self.socket(world, vm)}",
                "-device", "vhost-user-vsock-pci,chardev=vsock"]

    def socket(self, world, vm):
        return world.directory / f"{vm.name}.vsock"

    def start(self, world):
        """One process for all VMs of the world."""
        directory = tree.generation(PACKAGE, tree.key(PACKAGE, SUITE), fetch)
        self.version = (directory / "version").read_text().strip()
        state = world.directory
        self.daemon = Daemon(PACKAGE, state / "vsock.pid", state / "vsock.log",
                             state)
        words = program(world.tree, PACKAGE)
        words[-1] = directory / f"root/usr/bin/{PACKAGE}"
        for vm in world.cluster.vms:
            words += ["--vm", f"guest-cid={cid(vm)},"
                      f"socket={self.socket(world, vm)},"
                      f"uds-path={state}/{vm.name}.host,groups=lab"]
        self.daemon.start(words)
        sockets = [self.socket(world, vm) for vm in world.cluster.vms]
        end = time.monotonic() + START_TIMEOUT_S
        while not all(path.exists() for path in sockets):
            if not self.daemon.pid() or time.monotonic() > end:
                raise LabError(f"it made no sockets: {self.daemon.log()}")
            time.sleep(0.02)

    def ready(self, world):
        if self.missing:
            return
        try:
            for guest in world.guests:
                guest.run("modprobe", "vmw_vsock_virtio_transport")
        except BenchError as error:
            self.missing = ("the guest has no virtio-vsock", str(error))
            return
        self.find_programs(world)
        self.try_large(world)

    def find_programs(self, world):
        """Which programs of other benchmarks can use it, by their own help."""
        helps = " ".join(f"{name}={self.mentions(world, *words)}" for
                         name, words in PROGRAMS.items())
        self.unable = ("only crowd is measured: the other programs open no "
                       "AF_VSOCK sockets", f"lines of --help with vsock: "
                       f"{helps}")

    @staticmethod
    def mentions(world, *words):
        return world.client.run(
            "sh", "-c", '"$@" 2>&1 </dev/null | grep -ci vsock; true', "sh",
            *words).strip()

    def try_large(self, world):
        """vhost-device-vsock 0.3.0 loses what one call sends if it is more
        than a page between siblings: then larger messages are not measured."""
        port = self.port(TRIAL_PORT)
        world.server.serve("crowd", "serve", f"vsock:{ANY_CID}", port)
        time.sleep(0.5)         # it is in no table that could be read
        try:
            world.client.run("crowd", "send", self.address(world), port, 1,
                             LARGE_BYTES, 0.1, timeout=20)
        except (BenchError, LabError) as error:
            self.max_bytes = SMALL_BYTES
            self.excuse = (f"of messages above {SMALL_BYTES} bytes nothing "
                           "arrives between siblings", str(error))
        finally:
            world.server.stop()

    def backend_pids(self, world):
        return [self.daemon.pid()]

    def stop(self):
        if self.daemon:
            self.daemon.kill()
        self.daemon = None


def cid(vm):
    return FIRST_CID + vm.number - 1


SUBJECT = Vsock
