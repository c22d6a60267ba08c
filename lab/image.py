# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest image: a Debian 13 on one read-only file, its kernel, its initramfs.

The image is uncompressed erofs: under emulation, decompressing costs more than
reading. The kernel is Debian's own, only taken out of its compressed wrapper,
because QEMU starts the bare ELF (PVH) at once and an emulated processor needs
seconds to unpack it.
"""

import lzma
import os
import re
import shutil
import struct
import subprocess

from lab import place, tree
from lab.cpio import Archive
from lab.report import LabError

PACKAGES = """
    bind9-dnsutils bpftool busybox-static ca-certificates curl dnsmasq-base ethtool haproxy iperf3 iproute2 iputils-ping kmod
    less libbpf1 libelf1t64 libmnl0 linux-headers-amd64 linux-image-amd64
    netcat-openbsd netperf ngtcp2-client ngtcp2-server nginx openssh-client openssh-server openssl procps psmisc python3
    qemu-guest-agent redis-server redis-tools rsync socat sockperf strace
    systemd-sysv tcl udev wrk
""".split()

# What the initramfs loads: the rest waits for whoever wants it. virtio_net is
# here so that eth0 is configured without waiting for systemd; libcrc32c asks
# for a "crc32c" by name, which modules.dep does not tell.
MODULES = ["crc32c_generic", "virtio_blk", "erofs", "overlay", "virtio_console", "virtio_net"]
APPLETS = "sh mount umount mkdir insmod ln cat cp ip usleep switch_root poweroff printf"


class Image:
    """The files of a built guest image."""

    def __init__(self, directory):
        self.directory = directory
        self.root = directory / "root.erofs"
        self.kernel = directory / "vmlinux"
        self.initrd = directory / "initrd"
        self.release = (directory / "release").read_text().strip()


def ensure(extra=()):
    """Return the guest image, made if needed.

    extra, and the variable LAB_PACKAGES, add Debian packages; each set of
    packages is an image of its own.
    """
    packages = sorted({*PACKAGES, *extra,
                       *os.environ.get("LAB_PACKAGES", "").split()})
    guest = place.HERE / "guest"
    sources = [path.read_bytes() for path in sorted(guest.iterdir())]
    sources.append((place.HERE / "image.py").read_bytes())

    # Two steps, so that a change of the lab's own scripts takes seconds.
    def install(directory):
        tree.debootstrap(directory / "root", packages)

    def build(directory):
        installed = tree.generation("guest-tree", tree.key(*packages), install)
        root = directory / "root"
        run(["cp", "-a", installed / "root", root])
        run(["cp", guest / "lab-agent.service", root / "etc/systemd/system/"])
        run(["sh", guest / "customize", root])
        pack(directory, root, guest)
        shutil.rmtree(root)

    return Image(tree.generation("guest", tree.key(*packages, *sources),
                                 build))


def run(command):
    done = subprocess.run([str(word) for word in command], text=True,
                          capture_output=True)
    if done.returncode:
        raise LabError(f"'{command[0]}' failed while making the guest image; "
                       f"check the free space of {place.CACHE}. It said:\n"
                       f"{(done.stdout + done.stderr).strip()[-1000:]}")


def pack(directory, root, guest):
    """Turn the tree root into the files of an Image in directory."""
    releases = sorted(path.name for path in (root / "lib/modules").iterdir()
                      if (path / "modules.dep").exists() and
                      (root / f"boot/vmlinuz-{path.name}").exists())
    if len(releases) != 1:
        raise LabError(f"the guest must have one kernel, not {releases}: "
                       "take kernel packages out of LAB_PACKAGES")
    release = releases[0]
    (directory / "release").write_text(release + "\n")
    wrapped = (root / f"boot/vmlinuz-{release}").read_bytes()
    (directory / "vmlinux").write_bytes(unwrap_kernel(wrapped))
    (directory / "initrd").write_bytes(initramfs(root, release, guest))
    run(["mkfs.erofs", "-Enosbcrc", "-T0", directory / "root.erofs", root])


def unwrap_kernel(bzimage):
    """Return the ELF kernel inside a bzImage (see Linux' x86/boot.rst)."""
    setup_sectors = bzimage[0x1f1] or 4
    offset, length = struct.unpack_from("<II", bzimage, 0x248)
    begin = (setup_sectors + 1) * 512 + offset
    data = bzimage[begin:begin + length]
    if data.startswith(b"\xfd7zXZ\0"):
        # The kernel's build appends the unpacked size after the stream.
        elf = lzma.LZMADecompressor().decompress(data)
    elif data.startswith(b"\x28\xb5\x2f\xfd"):
        elf = subprocess.run(["zstd", "-dc"], input=data[:-4],
                             capture_output=True).stdout
    else:
        elf = b""
    if not elf.startswith(b"\x7fELF"):
        raise LabError("the guest's kernel is compressed in a way that "
                       "lab/image.py does not know: teach unwrap_kernel()")
    return elf


def module_order(root, release, names):
    """Paths of the named modules and what they need, in loading order."""
    depends = {}
    base = root / "lib/modules" / release
    for line in (base / "modules.dep").read_text().splitlines():
        path, _, needs = line.partition(":")
        depends[path] = needs.split()
    by_name = {re.sub(r"\.ko.*", "", os.path.basename(path)).replace("-", "_"):
               path for path in depends}
    order = []
    for name in names:
        path = by_name.get(name)
        if not path:    # built into the kernel
            continue
        # modules.dep lists what must be loaded first last.
        for wanted in [*reversed(depends[path]), path]:
            if wanted not in order:
                order.append(wanted)
    return [base / path for path in order]


def initramfs(root, release, guest):
    """The initramfs: busybox, the modules above, and guest/init."""
    archive = Archive()
    for name in ("dev", "proc", "sys", "image", "rw", "root"):
        archive.directory(name)
    archive.device("dev/console", 5, 1)
    archive.file("init", (guest / "init").read_bytes(), 0o755)
    archive.file("bin/busybox", (root / "usr/bin/busybox").read_bytes(), 0o755)
    for applet in APPLETS.split():
        archive.link(f"bin/{applet}", "busybox")
    order = []
    for path in module_order(root, release, MODULES):
        data = path.read_bytes()
        if path.suffix == ".xz":
            data = lzma.decompress(data)
        name = path.name.removesuffix(".xz")
        archive.file(f"modules/{name}", data)
        order.append(name)
    archive.file("modules/order", "".join(f"{name}\n" for name in order)
                 .encode())
    return archive.bytes()
