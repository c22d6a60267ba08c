# SPDX-License-Identifier: GPL-2.0-or-later
"""Cached results of slow recipes, and Debian trees made with mmdebstrap.

A *generation* is a directory ``<cache>/<kind>-<hash of the recipe>``. It is
made under a temporary name and renamed into place, so it is whole or absent.
"""

import hashlib
import os
import shutil
import subprocess
import time

from lab import deps, place
from lab.report import LabError, Step, say

SUITE = "trixie"
BACKPORTS = "trixie-backports"
UNUSED_S = 24 * 3600


def key(*parts):
    """Hash of everything that a recipe depends on."""
    digest = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()[:12]


def generation(kind, recipe_key, build):
    """Return the directory of a generation, making it first if needed.

    build(directory) fills an empty directory. Two simultaneous calls make it
    once: the second waits.
    """
    final = place.CACHE / f"{kind}-{recipe_key}"
    if not (final / "complete").exists():
        with place.Lock(place.CACHE / f"{kind}.lock",
                        lambda: say(f"waiting for another build of {kind}")):
            if not (final / "complete").exists():
                make(kind, final, build)
    os.utime(final / "complete")
    return final


def make(kind, final, build):
    """Make a generation; the caller holds the lock of its kind."""
    for left in place.CACHE.glob(f".{kind}-{'?' * 12}"):
        shutil.rmtree(left)
    temporary = place.CACHE / f".{final.name}"
    temporary.mkdir(mode=0o755)
    deps.ensure()
    with Step(f"building {kind} in {final}"):
        build(temporary)
    (temporary / "complete").touch()
    temporary.rename(final)
    # A generation that nobody used for a day is old. Not sooner: another
    # checkout, or another LAB_PACKAGES, may still want it.
    for other in place.CACHE.glob(f"{kind}-{'?' * 12}"):
        stamp = other / "complete"
        if other != final and (not stamp.exists() or
                               time.time() - stamp.stat().st_mtime > UNUSED_S):
            say(f"removing old {other}")
            shutil.rmtree(other)


def debootstrap(root, packages, hooks=(), log=None):
    """Make a Debian 13 tree in the directory root.

    packages come from trixie; hooks are mmdebstrap customize hooks, which may
    take more from backports. Signatures are checked with Debian's own keys.
    """
    mirror = deps.mirror()
    sources = [f"deb [signed-by={deps.KEYRING}] {mirror} {suite} main"
               for suite in (SUITE, BACKPORTS)]
    command = ["mmdebstrap", "--mode=root", "--variant=apt",
               "--format=directory", f"--keyring={deps.KEYRING}",
               "--dpkgopt=force-unsafe-io",
               "--dpkgopt=path-exclude=/usr/share/man/*",
               "--dpkgopt=path-exclude=/usr/share/doc/*",
               "--dpkgopt=path-exclude=/usr/share/locale/*",
               f"--include={','.join(packages)}"]
    command += [f"--aptopt={option}" for option in deps.proxy_options()]
    command += [f"--customize-hook={hook}" for hook in hooks]
    command += [SUITE, str(root), *sources]
    # INITRD=No: the lab boots with an initramfs of its own.
    environment = dict(os.environ, INITRD="No", LC_ALL="C.UTF-8",
                       PATH="/usr/sbin:/usr/bin:/sbin:/bin")
    log = log or root.parent / "build.log"
    with open(log, "ab") as output:
        done = subprocess.run(command, stdin=subprocess.DEVNULL,
                              stdout=output, stderr=output, env=environment)
    if done.returncode:
        tail = "\n".join(open(log, errors="replace").read()
                         .splitlines()[-15:])
        raise LabError(f"mmdebstrap failed; see {log}, correct the cause and "
                       f"run the same command again. Its end:\n{tail}")
