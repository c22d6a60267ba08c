# SPDX-License-Identifier: GPL-2.0-or-later
"""Conformance: other people's socket tests, over TCP and over circuits.

Read run first. A *suite* (suites/) is somebody else's collection of tests, as
Debian 13 packages or builds it. Each runs twice in one guest (world.py): on
the kernel's own sockets, then on redirected ones, of which connections to the
guest itself are circuits. compare.py sets the two side by side: what passes on
the first and not on the second is a defect, unless known.toml has its cause.
memory.py sees that nothing stays behind.

A new suite is a file in suites/ and a word in the __init__.py there; what it
needs is a list of Debian packages, or a script in build/ that makes its tests
from a Debian source package (sources.py).
"""
