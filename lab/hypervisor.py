# SPDX-License-Identifier: GPL-2.0-or-later
"""The QEMU command line.

QEMU comes from the build tree but runs on the machine, by the tree's own
dynamic linker: no chroot, so that paths, sockets, descriptors and pids mean
the same to QEMU and to the switch.
"""

import functools
import os
import re
import subprocess

from lab import place, tsc
from lab.report import Step, warn

# Verified on QEMU 11.1.3: with ERMS or FSRM the guest's kernel copies by
# "rep movsb", which TCG emulates byte by byte.
TCG = ["-accel", "tcg,thread=multi", "-cpu", "max,erms=off,fsrm=off"]
KVM = ["-accel", "kvm", "-cpu", "host"]


def program(tree, name="qemu-system-x86_64"):
    """The words that start a program of the tree on the machine."""
    return [tree / "lib64/ld-linux-x86-64.so.2", "--library-path",
            tree / "usr/lib/x86_64-linux-gnu", tree / "usr/bin" / name]


def base(tree):
    return [*program(tree), "-L", tree / "usr/share/qemu",
            "-L", tree / "usr/share/seabios", "-nodefaults",
            "-no-user-config", "-display", "none", "-no-reboot"]


@functools.cache
def accelerator(tree, kernel):
    """KVM if a kernel really runs under it, else TCG.

    /dev/kvm may open, and create VMs in which a kernel hangs. So the processor
    must have the extension, and a kernel must come as far as its panic (there
    is no root) and QEMU to its end. The answer is kept until the next boot.
    """
    with open("/proc/cpuinfo") as file:
        if not re.search(r"^flags\s*:.*\b(vmx|svm)\b", file.read(), re.M):
            return TCG
    known = place.state_dir().parent / "kvm"
    if not known.exists():
        known.parent.mkdir(parents=True, exist_ok=True)
        with Step("trying whether a kernel runs under KVM"):
            known.write_text("yes" if kvm_works(tree, kernel) else "no")
    if known.read_text() == "yes":
        return KVM
    warn("this processor has virtualisation, yet a kernel does not run under "
         f"KVM: emulating (delete {known} to try again)")
    return TCG


def kvm_works(tree, kernel):
    try:
        done = subprocess.run(
            [*base(tree), "-M", "q35", *KVM, "-m", "512", "-serial", "stdio",
             "-kernel", kernel, "-append", "console=ttyS0 panic=-1"],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
    except (subprocess.TimeoutExpired, OSError):
        return False
    return done.returncode == 0 and b"Kernel panic" in done.stdout


def command(vm, tree, image, initrd, devices=()):
    """The command line of one VM (see lab.vm.VM for its fields).

    devices: more words, for what only a benchmark has in its guests.
    """
    path = vm.path
    accelerated = accelerator(tree, image.kernel)
    append = [
        "console=ttyS0,115200", "ignore_loglevel", "loglevel=7",
        "printk.time=1", "printk.devkmsg=on", "log_buf_len=4M", "panic=-1",
        "net.ifnames=0", "audit=0",
        # Not "bpf": systemd would load an LSM program of its own, for 1.7 s.
        "lsm=capability",
        # Self-tests and jitter measurements of ciphers: 0.4 s.
        "cryptomgr.notests", "initcall_blacklist=jent_mod_init",
        "8250.nr_uarts=1", "random.trust_cpu=on", "tsc=reliable",
        # The kernel counts ticks against loops, and panics on a busy host.
        "no_timer_check",
        *([f"tsc_early_khz={tsc.khz()}"] if accelerated == TCG else []),
        "systemd.show_status=0", "systemd.firstboot=off",
        "systemd.log_target=journal",
        f"systemd.hostname={vm.name}", f"lab.number={vm.number}",
        f"systemd.machine_id={vm.number:032x}",
        # For trials; the last word wins.
        os.environ.get("LAB_KERNEL_ARGS", "")]
    words = [
        *base(tree), *accelerated,
        "-name", f"{vm.name},debug-threads=on",
        "-M", "q35,memory-backend=mem,vmport=off,hpet=off,usb=off,sata=off",
        "-object", f"memory-backend-memfd,id=mem,size={vm.memory}M,share=on",
        "-m", f"{vm.memory}M", "-smp", vm.cpus,
        "-kernel", image.kernel, "-initrd", initrd,
        "-append", " ".join(append),
        "-chardev", f"file,id=console,path={path('console')},append=on",
        "-serial", "chardev:console",
        "-qmp", f"unix:{path('qmp')},server=on,wait=off",
        "-blockdev", f"file,node-name=image,filename={image.root},"
        "read-only=on,locking=off",
        "-device", "virtio-blk-pci,drive=image,num-queues=1",
        "-device", "virtio-serial-pci,max_ports=3",
        # A pipe, for qemu-ga idles 100 ms at a time while a socket's other
        # end is away; a pipe is always there.
        "-chardev", f"pipe,id=agent,path={path('agent')}",
        "-device", "virtserialport,chardev=agent,"
        "name=org.qemu.guest_agent.0",
        "-chardev", f"socket,id=test,path={path('test')},server=on,wait=off",
        "-device", "virtserialport,chardev=test,name=vmcircuit.test",
    ]
    if vm.virtio:
        tap, card = "", ""
        if vm.queues > 1:
            # A vector for each direction of a queue, one for the changes of
            # the configuration and one for the control queue.
            tap = f",queues={vm.queues}"
            card = f",mq=on,vectors={2 * vm.queues + 2}"
        words += ["-netdev", f"tap,id=net,ifname=tap{vm.number},script=no,"
                  f"downscript=no{tap}",
                  "-device", f"virtio-net-pci,netdev=net,romfile=,"
                  f"mac=52:54:00:78:00:{vm.number:02x}{card}"]
    if vm.circuit:
        # No reconnect-ms: on 11.1.3 QEMU then aborts as soon as the switch
        # is back (vhost-user-base.c does not repeat vhost_dev_init()), and
        # already fails at its start, because the first connection is then
        # made in the background. The keeper holds the connection instead.
        words += ["-chardev", f"socket,id=vmc,path={path('sock')}",
                  "-device", "vhost-user-test-device-pci,chardev=vmc,"
                  "virtio-id=17,num_vqs=3,vq_size=256,config_size=256"]
    return [*words, *devices]
