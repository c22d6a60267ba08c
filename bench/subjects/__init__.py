# SPDX-License-Identifier: GPL-2.0-or-later
"""The subjects, in the order of their turns.

Each is a module with one class that is a bench.subject.Subject. Host processes
as ends of circuits are no subject: nothing else joins what they join, so the
benchmark "endpoints" has its own.
"""

import importlib

NAMES = ("circuits", "mapped", "virtio", "multiqueue", "vsock", "uplink",
         "passt", "native")


def load():
    """A fresh object of each subject."""
    return [importlib.import_module(f"bench.subjects.{name}").SUBJECT()
            for name in NAMES]
