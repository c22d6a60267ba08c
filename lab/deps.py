# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine's own packages that the lab needs, and where Debian is."""

import os
import shutil
import subprocess

from lab.report import LabError, Step

# Program to look for -> Debian package that has it.
PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "mkfs.erofs": "erofs-utils",
    "ip": "iproute2",
    "zstd": "zstd",
    "unshare": "util-linux",
}
# The archive keys of Debian 13 are in Debian 12's keyring since 12.11.
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
TRIXIE_KEY = "/usr/share/keyrings/debian-archive-trixie-stable.gpg"


def ensure():
    """Install what is missing; cheap when nothing is."""
    if os.geteuid() != 0:
        raise LabError("the lab makes trees, namespaces and taps: "
                       "run it as root")
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = sorted({package for program, package in PROGRAMS.items()
                      if not shutil.which(program, path=path)})
    if not os.path.exists(TRIXIE_KEY):
        missing.append("debian-archive-keyring")
    if not missing:
        return
    with Step(f"installing {' '.join(missing)} on this machine"):
        environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
        for command in (["update", "-qq"],
                        ["install", "-y", "-qq", "--no-install-recommends",
                         *missing]):
            done = subprocess.run(["apt-get", *command], env=environment,
                                  stdout=subprocess.PIPE, text=True,
                                  stderr=subprocess.STDOUT)
            if done.returncode:
                raise LabError(f"apt-get {command[0]} failed; run 'apt-get "
                               f"install {' '.join(missing)}' and try again:"
                               f"\n{done.stdout[-2000:]}")
    if not os.path.exists(TRIXIE_KEY):
        raise LabError("this machine's debian-archive-keyring has no Debian "
                       "13 keys; upgrade the package and try again")


def mirror():
    """The Debian mirror that the machine's apt uses."""
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(LABEL)|$(REPO_URI)",
         "Created-By: Packages"], capture_output=True, text=True)
    for line in done.stdout.splitlines():
        label, _, uri = line.partition("|")
        if label == "Debian":
            return uri.rstrip("/")
    return "http://deb.debian.org/debian"


def proxy_options():
    """The machine's apt proxy settings, as options for another apt."""
    done = subprocess.run(["apt-config", "dump"], capture_output=True,
                          text=True)
    return [line for line in done.stdout.splitlines()
            if line.startswith(("Acquire::http::Proxy",
                                "Acquire::https::Proxy")) and '""' not in line]
