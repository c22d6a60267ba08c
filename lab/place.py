# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the lab keeps things: the checkout, the cache, the state of a lab.

Owns every path and every name derived from the checkout's path, so that two
checkouts (or two instances of one, see LAB_INSTANCE) never collide.
"""

import fcntl
import hashlib
import os
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
HERE = CHECKOUT / "lab"
CACHE = Path(os.environ.get("VMCIRCUIT_CACHE") or
             "/var/cache/vmcircuit").absolute()


def instance_key(instance=None):
    """Eight hex digits that name this checkout's lab on this machine.

    LAB_INSTANCE (or instance) gives one checkout several independent labs,
    for instance one for tests while another serves a demo.
    """
    instance = instance or os.environ.get("LAB_INSTANCE", "")
    text = f"{CHECKOUT}\0{instance}"
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def state_dir(instance=None):
    """The run-time directory; short, because unix sockets live in it."""
    return Path("/run/vmcircuit-lab") / instance_key(instance)


class Lock:
    """An exclusive lock on a file, held for a ``with`` block."""

    def __init__(self, path, on_wait=None):
        self.path, self.on_wait = Path(path), on_wait

    def __enter__(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.file = open(self.path, "a")
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if self.on_wait:
                self.on_wait()
            fcntl.flock(self.file, fcntl.LOCK_EX)
        return self

    def __exit__(self, *_):
        self.file.close()
