# SPDX-License-Identifier: GPL-2.0-or-later
"""A cluster: the VMs of one lab, their networks, and the directory of both.

Its state is in a file, so that any process can find a running cluster::

    with Cluster(2, net="both", memory=768, cpus=1) as cluster:
        one, two = cluster.vms
        print(one.exec(["ping", "-c1", two.virtio_addresses[0]]).out)
        cluster.switch.kill()
        cluster.switch.start()

    Cluster.running().vms[0].exec(["true"])     # one that "lab up" started
"""

import contextlib
import json
import shutil
import time

from lab import buildtree, deps, hypervisor, image, place
from lab.bridge import Bridge
from lab.configuration import uplink_of
from lab.cpio import Archive
from lab.outside import Outside
from lab.report import LabError, say
from lab.switch import Switch
from lab.vm import VM

NETS = ("circuit", "virtio", "both", "none")
MAX_VMS = 250
DEFAULT_PAYLOAD = place.CHECKOUT / "build/guest-root"


class Cluster:
    """N VMs that boot together.

    net: circuit, virtio, both or none. payload: a directory laid over the
    guests' root (default build/guest-root if it exists; False: none).
    memory in MiB and cpus are per VM. prefix: VM names are prefix1…N.
    instance: name of a lab of its own, as LAB_INSTANCE. uplink: whether the
    switch leads to an outside (see lab.outside), and its settings if not the
    plainest (a dictionary, see lab.configuration). queues: of each virtio
    network card. devices: a function that is called for each VM before its
    start, and returns more words for QEMU's command line. packages: more
    Debian packages in the guests, which get an image of their own.
    """

    def __init__(self, n=2, net="none", payload=None, memory=768, cpus=1,
                 prefix="vm", instance=None, uplink=False, queues=1,
                 devices=None, packages=()):
        if net not in NETS:
            raise LabError(f"net is one of {', '.join(NETS)}, not '{net}'")
        if not 1 <= n <= MAX_VMS:
            raise LabError(f"a lab has 1 to {MAX_VMS} VMs, not {n}")
        if payload is None and DEFAULT_PAYLOAD.is_dir():
            payload = DEFAULT_PAYLOAD
        if payload and not place.Path(payload).is_dir():
            raise LabError(f"the payload {payload} is no directory: build it "
                           "or name another")
        self.state = place.state_dir(instance)
        self.instance = instance
        self.settings = {"n": n, "net": net, "memory": memory, "cpus": cpus,
                         "prefix": prefix,
                         "payload": str(payload) if payload else False,
                         "uplink": uplink, "queues": queues,
                         "packages": list(packages)}
        self.devices = devices
        self.virtio = net in ("virtio", "both")
        self.circuit = net in ("circuit", "both")
        if uplink and not self.circuit:
            raise LabError("the uplink is the switch's: choose a net with "
                           "circuits")
        key = place.instance_key(instance)
        self.bridge = Bridge(f"vmc-{key}")
        self.outside = Outside(key, self.bridge if self.virtio else None) \
            if uplink else None
        self.vms = [VM(self.state, f"{prefix}{number}", number, memory, cpus,
                       self.virtio, self.circuit, self.start_qemu, queues)
                    for number in range(1, n + 1)]
        self.switch = Switch(
            self.state, self.vms, uplink=uplink_of(uplink),
            prefix=self.outside.host_prefix() if uplink else ())
        longest = max(len(str(vm.path("sock"))) for vm in self.vms)
        if longest > 100:
            raise LabError(f"the VM name prefix '{prefix}' makes socket paths "
                           "too long: choose a shorter one")

    @classmethod
    def running(cls, instance=None):
        """The cluster that is up in this checkout, or None."""
        try:
            text = (place.state_dir(instance) / "cluster.json").read_text()
        except FileNotFoundError:
            return None
        settings = json.loads(text)
        # The payload may be gone by now; the VMs' initramfs has it.
        payload = settings.pop("payload")
        cluster = cls(**settings, payload=False, instance=instance)
        cluster.settings["payload"] = payload
        return cluster

    def lock(self):
        return place.Lock(self.state.with_suffix(".lock"),
                          lambda: say("waiting for another lab command"))

    def vm(self, name):
        """The VM of that name; the number alone will do."""
        for vm in self.vms:
            if name in (vm.name, str(vm.number)):
                return vm
        raise LabError(f"there is no VM '{name}': this lab has "
                       f"{', '.join(vm.name for vm in self.vms)}")

    def up(self):
        """Boot all VMs, in parallel, and return when all answer."""
        deps.ensure()
        # Before the lock and the clock: these may take minutes, once.
        buildtree.ensure()
        guest = image.ensure(self.settings["packages"])
        with self.lock():
            if Cluster.running(self.instance):
                raise LabError(f"a lab is up already in {self.state}: see "
                               "'lab/lab status', end it with 'lab/lab down', "
                               "or set LAB_INSTANCE to have another")
            self.state.mkdir(parents=True, mode=0o755)
            try:
                self.boot(guest)
            except BaseException:
                self.save_logs()
                self.clean()
                raise

    def boot(self, guest):
        initrd = guest.initrd.read_bytes()
        if self.settings["payload"]:
            archive = Archive()
            archive.tree(self.settings["payload"], "payload")
            initrd += archive.bytes()
        (self.state / "initrd").write_bytes(initrd)
        (self.state / "image").symlink_to(guest.directory)
        (self.state / "cluster.json").write_text(json.dumps(self.settings))
        if self.virtio:
            self.bridge.create([vm.number for vm in self.vms],
                               self.settings["queues"])
        if self.outside:
            self.outside.create(self.routed_addresses())
        if self.circuit:
            self.switch.start()
        begin = time.monotonic()
        for vm in self.vms:
            vm.launch()
        for vm in self.vms:
            vm.wait_ready()
            say(f"{vm.name} answers after {time.monotonic() - begin:.1f} s")
        if self.circuit:
            for vm in self.vms:
                self.join(vm)

    def routed_addresses(self):
        """Of VMs that leave by their own addresses."""
        settings = self.switch.uplink.get("vms", {})
        return [one for vm in self.vms for one in vm.circuit_addresses
                if settings.get(vm.name, {}).get("source") == "routed"]

    def start_qemu(self, vm):
        """Start the hypervisor of a VM (called by the VM)."""
        guest = image.Image((self.state / "image").resolve())
        devices = self.devices(vm) if self.devices else ()
        command = hypervisor.command(vm, buildtree.ensure(), guest,
                                     self.state / "initrd", devices)
        vm.qemu.start([*self.bridge.prefix(), *command] if self.virtio
                      else command)

    def join(self, vm):
        """Attach the guest to the switch, if its payload has the tool."""
        done = vm.exec(["sh", "-c", "[ ! -x /usr/sbin/vmcircuit ] || "
                        "exec /usr/sbin/vmcircuit up"], timeout=60)
        if done.rc:
            raise LabError(f"'vmcircuit up' failed in {vm.name} with code "
                           f"{done.rc}; see the logs. It said:\n"
                           f"{(done.out + done.err).strip()}")

    def save_logs(self):
        """Keep the logs of a failed start, for whoever looks for the why."""
        kept = self.state.with_suffix(".failed")
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir()
        for pattern in ("*.console", "*.log", "switch.conf"):
            for path in self.state.glob(pattern):
                shutil.copy(path, kept)
        say(f"logs of the failed start are kept in {kept}")

    def down(self):
        """End everything and remove its traces, also after crashes."""
        with self.lock():
            self.clean()

    def clean(self):
        for vm in self.vms:
            vm.kill()
        self.switch.stop()
        if self.outside:
            self.outside.remove()
        self.bridge.remove()
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.state)

    def __enter__(self):
        self.up()
        return self

    def __exit__(self, *_):
        self.down()
