# SPDX-License-Identifier: GPL-2.0-or-later
"""redis' own test suite, from its Debian source package.

It can test a server that it has not started, on another machine: then it
leaves out what must start servers, or look at their files, by itself. Its
files are Tcl, so there is nothing to build.
"""

import re
import subprocess
import tempfile
from pathlib import Path

import labworld     # noqa: F401 (makes the lab's modules known)

from conformance import sources
from lab import tree

SOURCE = "redis"
# Of its tests, what those of a foreign server use.
PARTS = ("assets", "helpers", "support", "test_helper.tcl", "tmp", "unit")
# Those of connections, replies, and clients that wait for each other; and of
# the commands, those for the types that most programs use. Others spend hours
# of an emulated processor on random data, which is no matter of sockets.
UNITS = ("unit/protocol", "unit/pubsub", "unit/multi", "unit/tracking",
         "unit/pause", "unit/quit", "unit/auth", "unit/networking",
         "unit/querybuf", "unit/keyspace", "unit/type/incr",
         "unit/type/hash", "unit/type/string")
# What needs the clocks of two emulated guests to agree to some milliseconds: a
# key that is read 110 ms after it was given 100 to live, and absolute times.
SKIPPED = ("Tracking invalidation message is not interleaved with multiple "
           "keys response", "/[EP]XAT option")
PLACE = "/tmp/redis"


def ensure():
    """The tests in a tar file, fetched once."""
    return tree.generation("redis-tests", tree.key(SOURCE, *PARTS),
                           fetch) / "tests.tar"


def fetch(directory):
    """Fill a generation."""
    with tempfile.TemporaryDirectory() as work:
        packages = Path(work) / "packages"
        packages.mkdir()
        sources.download(packages, [SOURCE])
        archive, = packages.glob(f"{SOURCE}_*.orig.tar.*")
        subprocess.run(["tar", "-C", work, "--strip-components=1", "-xf",
                        archive, "--wildcards", "*/tests"], check=True)
        subprocess.run(["tar", "-C", work, "-cf", directory / "tests.tar",
                        *[f"tests/{part}" for part in PARTS]], check=True)


def bring(guest):
    """Put the suite into a guest."""
    guest.vm.push(ensure(), "/tmp/redis-tests.tar")
    done = guest.vm.exec(["sh", "-ec", f"""
rm -rf {PLACE}; mkdir -p {PLACE}/src; cd {PLACE}
tar -xf /tmp/redis-tests.tar
ln -s /usr/bin/redis-cli /usr/bin/redis-benchmark /usr/bin/redis-server src
"""], timeout=60)
    assert done.rc == 0, done.err


def play(guest, host, port, timeout=1500):
    """Play UNITS against a server: (how many passed, those that did not, all
    that was said)."""
    words = [word for unit in UNITS for word in ("--single", unit)]
    words += [word for name in SKIPPED for word in ("--skiptest", name)]
    done = guest.vm.exec(
        ["sh", "-c", f'cd {PLACE} && exec tclsh tests/test_helper.tcl "$@"',
         "sh", "--host", host, "--port", str(port), "--clients", "1",
         "--tags", "-slow", *words], timeout=timeout)
    said = re.sub(r"\x1b\[[0-9;]*m", "", done.out + done.err)
    bad = re.findall(r"^\[(?:err|exception|timeout)\].*", said, re.M)
    if done.rc and not bad:
        bad = [f"the suite ended with {done.rc}"]
    return len(re.findall(r"^\[ok\]", said, re.M)), bad, said
