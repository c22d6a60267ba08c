# SPDX-License-Identifier: GPL-2.0-or-later
"""A client on the host itself: what the host's TCP can do at best."""

from bench.subject import OFFSET_STEP, Subject
from lab import outside


class Native(Subject):
    name = "native"
    title = "a client on the host, TCP loopback"
    worlds = ("outside",)
    offset = 5 * OFFSET_STEP

    def address(self, world):
        return outside.HOST[0]

    def client(self, world):
        return world.host


SUBJECT = Native
