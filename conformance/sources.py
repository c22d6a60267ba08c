# SPDX-License-Identifier: GPL-2.0-or-later
"""Suites that come in Debian's source packages: built once, a disk for guests.

For each there is a script in compile/, which is run in the lab's build tree as
"NAME.sh SOURCES TARGET": it unpacks what it needs, compiles it, and leaves in
the empty directory TARGET what the guest shall have.
"""

import os
import shutil
import subprocess

from conformance.suite import ConformanceError
from lab import buildtree, deps, place, tree

SCRIPTS = place.CHECKOUT / "conformance/compile"
WORK = place.CHECKOUT / "build/conformance/sources"
# Debian source packages, and packages that are sources.
SOURCES = ("libuv1", "libevent", "perl", "ruby3.3")
BINARIES = ("linux-source-6.12", "libcap-dev")


def ensure(name):
    """The disk's image if the suite of this name is on it, else None."""
    scripts = sorted(SCRIPTS.glob("*.sh"))
    if SCRIPTS / f"{name}.sh" not in scripts:
        return None
    parts = [path.read_bytes() for path in scripts]
    key = tree.key(*SOURCES, *BINARIES, *parts)
    return tree.generation("suites", key, build) / "suites.erofs"


def build(directory):
    """Fill a generation."""
    shutil.rmtree(WORK, ignore_errors=True)
    (WORK / "packages").mkdir(parents=True)
    (WORK / "disk").mkdir()
    buildtree.ensure()
    download(WORK / "packages", SOURCES, BINARIES)
    for script in sorted(SCRIPTS.glob("*.sh")):
        target = WORK / "disk" / script.stem
        target.mkdir()
        log = WORK / f"{script.stem}.log"
        if compile_suite(script, target, log):
            raise ConformanceError(
                f"{script.name} failed; see {log}. Its end:\n"
                + "\n".join(log.read_text().splitlines()[-10:]))
    (WORK / "disk/versions").write_text("".join(
        f"{path.name}\n" for path in sorted((WORK / "packages").iterdir())
        if path.suffix in (".gz", ".xz", ".deb")))
    run(["mkfs.erofs", "-Enosbcrc", "-T0", directory / "suites.erofs",
         WORK / "disk"])
    shutil.rmtree(WORK)


def compile_suite(script, target, log):
    """Run a script in the build tree; return its exit code."""
    lab = place.CHECKOUT / "lab/lab"
    with open(log, "wb") as output:
        return subprocess.run(
            [lab, "build-shell", "--", "sh", "-e", script, WORK / "packages",
             target], stdin=subprocess.DEVNULL, stdout=output,
            stderr=output).returncode


def run(command, **options):
    done = subprocess.run([str(word) for word in command], text=True,
                          capture_output=True, **options)
    if done.returncode:
        raise ConformanceError(f"'{command[0]} {command[-1]}' failed: "
                               f"{(done.stderr or done.stdout)[-500:]}")


def download(target, sources, binaries=()):
    """Packages of Debian 13, by an apt with lists of its own, which lie beside
    target."""
    lists, mirror = target.parent / "lists", deps.mirror()
    (lists / "partial").mkdir(parents=True)
    (target.parent / "sources.list").write_text("".join(
        f"{kind} [signed-by={deps.KEYRING}] {mirror} {tree.SUITE} main\n"
        for kind in ("deb", "deb-src")))
    options = [f"-o{option}" for option in (
        f"Dir::Etc::sourcelist={target.parent}/sources.list",
        "Dir::Etc::sourceparts=-", f"Dir::State::lists={lists}",
        "APT::Sandbox::User=root", *deps.proxy_options())]
    environment = dict(os.environ, LC_ALL="C.UTF-8")
    commands = [["update"], ["source", "--tar-only", *sources]]
    if binaries:
        commands.append(["download", *binaries])
    for command in commands:
        run(["apt-get", "-q", *options, *command], cwd=target,
            env=environment)
