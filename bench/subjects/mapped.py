# SPDX-License-Identifier: GPL-2.0-or-later
"""Circuits whose rings are mapped into programs written to libvmcircuit."""

from bench.subject import OFFSET_STEP, CircuitSubject


class Mapped(CircuitSubject):
    name = "mapped"
    title = "circuits, mapped"
    worlds = ("pair",)
    offset = 4 * OFFSET_STEP

    def address(self, world):
        return world.server.vm.circuit_addresses[0]


SUBJECT = Mapped
