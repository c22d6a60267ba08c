# SPDX-License-Identifier: GPL-2.0-or-later
"""Circuits to the host and the outside, ended by the switch's uplink."""

from bench.subject import CircuitSubject
from lab import outside


class Uplink(CircuitSubject):
    name = "circuits"
    title = "circuits, by the uplink"
    worlds = ("outside",)

    def address(self, world):
        return outside.HOST[0]


SUBJECT = Uplink
