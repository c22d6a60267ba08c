# SPDX-License-Identifier: GPL-2.0-or-later
"""The Debian 13 tree with compilers, kernel headers, QEMU, and the servers of
measurements (the same versions as the guests' clients).

One tree serves for compiling the guest's side (``lab build-shell``) and for
running the hypervisor: they share most libraries, and one tree builds sooner
than two.
"""

import os
import subprocess

from lab import place, tree
from lab.report import LabError

PACKAGES = """
    bpftool ca-certificates clang file gcc git iperf3 kmod libc6-dev
    libconfuse-dev libelf-dev libjson-c-dev libbpf-dev libmnl-dev liburing-dev
    linux-headers-amd64 llvm make meson netperf ninja-build pkg-config python3
    sparse zlib1g-dev
""".split()

# The first linux-headers-amd64 is trixie's, which the guest boots; installing
# the one of backports over it leaves trixie's headers in place.
FROM_BACKPORTS = ["linux-headers-amd64", "qemu-system-x86", "passt"]
HOOK = ('chroot "$1" apt-get -y --no-install-recommends '
        f'-t {tree.BACKPORTS} install {" ".join(FROM_BACKPORTS)}')


def ensure():
    """Return the root directory of the build tree, made if needed."""
    def build(directory):
        tree.debootstrap(directory / "root", PACKAGES, [HOOK])

    recipe = tree.key(*PACKAGES, HOOK)
    return tree.generation("buildtree", recipe, build) / "root"


# $1 tree, $2 checkout, $3 directory to be in; then the command. The mount
# namespace is private, so all of this vanishes with the command.
ENTER = """
set -e
root=$1 checkout=$2 cwd=$3
shift 3
mkdir -p "$root$checkout"
mount --rbind "$checkout" "$root$checkout"
for dir in dev proc sys; do mount --rbind "/$dir" "$root/$dir"; done
mount -t tmpfs tmpfs "$root/tmp"
cp /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
exec chroot "$root" /usr/bin/env --chdir="$cwd" -- "$@"
"""


def shell(command):
    """Run a command in the build tree, in the checkout; return its code."""
    root = ensure()
    if os.geteuid() != 0:
        raise LabError("build-shell enters a chroot: run it as root")
    cwd = os.getcwd()
    if not (cwd + "/").startswith(f"{place.CHECKOUT}/"):
        cwd = str(place.CHECKOUT)
    environment = {name: value for name, value in os.environ.items()
                   if name in ("TERM", "MAKEFLAGS", "V", "SOURCE_DATE_EPOCH",
                               "CFLAGS", "LDFLAGS")}
    environment.update(PATH="/usr/sbin:/usr/bin:/sbin:/bin", HOME="/root",
                       LC_ALL="C.UTF-8")
    done = subprocess.run(
        ["/usr/bin/unshare", "--mount", "--propagation", "private",
         "/bin/sh", "-c", ENTER, "build-shell", str(root),
         str(place.CHECKOUT), cwd, *command], env=environment)
    return done.returncode if done.returncode >= 0 else 128 - done.returncode
