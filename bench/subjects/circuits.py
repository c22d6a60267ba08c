# SPDX-License-Identifier: GPL-2.0-or-later
"""Circuits, used by unmodified programs through sockets."""

from bench.subject import CircuitSubject


class Circuits(CircuitSubject):
    name = "circuits"
    title = "circuits, by sockets"
    worlds = ("pair", "smp")

    def address(self, world):
        return world.server.vm.circuit_addresses[0]


SUBJECT = Circuits
