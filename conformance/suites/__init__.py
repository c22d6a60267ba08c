# SPDX-License-Identifier: GPL-2.0-or-later
"""All suites, in the order in which they run."""

import importlib

NAMES = ("cpython", "kernel", "libuv", "libevent", "perl", "ruby")


def load():
    """Each suite, made."""
    return [suite for name in NAMES for suite in
            importlib.import_module(f"conformance.suites.{name}").SUITES]
