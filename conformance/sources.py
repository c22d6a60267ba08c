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
from lab.report import Step

SCRIPTS = place.CHECKOUT / "conformance/compile"
WORK = place.CHECKOUT / "build/conformance/sources"
# Debian source packages, and packages that are sources.
SOURCES = ("libuv1", "libevent", "perl", "ruby3.3")
BINARIES = ("linux-source-6.12", "libcap-dev")


def ensure(name):
    """The disk's image if the suite of this name is on it, else None."""
    if not (SCRIPTS / f"{name}.sh").exists():
        return None
    parts = [path.read_bytes() for path in sorted(SCRIPTS.iterdir())]
    key = tree.key(*SOURCES, *BINARIES, *parts)
    return tree.generation("suites", key, build) / "suites.erofs"


def build(directory):
    """Fill a generation."""
    shutil.rmtree(WORK, ignore_errors=True)
    (WORK / "packages").mkdir(parents=True)
    (WORK / "disk").mkdir()
    buildtree.ensure()
    with Step(f"fetching {', '.join((*SOURCES, *BINARIES))}"):
        download(WORK / "packages", SOURCES, BINARIES)
    for script in sorted(SCRIPTS.glob("*.sh")):
        target = WORK / "disk" / script.stem
        target.mkdir()
        with Step(f"compiling the suite {script.stem}"):
            compile_suite(script, target, WORK / f"{script.stem}.log")
    (WORK / "disk/versions").write_text("".join(
        f"{path.name}\n" for path in sorted((WORK / "packages").iterdir())
        if path.suffix in (".gz", ".xz", ".deb")))
    run(["mkfs.erofs", "-Enosbcrc", "-T0", directory / "suites.erofs",
         WORK / "disk"])
    shutil.rmtree(WORK)


def compile_suite(script, target, log):
    """Run a script in the build tree; it must leave something."""
    lab = place.CHECKOUT / "lab/lab"
    with open(log, "wb") as output:
        code = subprocess.run(
            [lab, "build-shell", "--", "sh", "-e", script, WORK / "packages",
             target], stdin=subprocess.DEVNULL, stdout=output,
            stderr=output).returncode
    if not code and any(target.iterdir()):
        return
    end = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
    raise ConformanceError(
        f"{script.name} " + (f"ended with {code}" if code else
                             "made nothing") +
        f"; see {log}, mend the script and run the same command again. "
        f"Its end:\n{end}")


def run(command, **options):
    done = subprocess.run([str(word) for word in command], text=True,
                          capture_output=True, **options)
    if done.returncode:
        name = " ".join(str(word) for word in command
                        if not str(word).startswith("-"))
        raise ConformanceError(f"'{name}' failed: "
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
        "APT::Sandbox::User=root", "APT::Update::Error-Mode=any",
        *deps.proxy_options())]
    environment = dict(os.environ, LC_ALL="C.UTF-8")
    commands = [["update"], ["source", "--tar-only", *sources]]
    if binaries:
        commands.append(["download", *binaries])
    for command in commands:
        run(["apt-get", "-q", *options, *command], cwd=target,
            env=environment)
