# SPDX-License-Identifier: GPL-2.0-or-later
"""A process of an endpoint without the library: what it likes, it sends."""

import os
import select
import socket
import struct
import time

from fake_vm import Event, Gone, Talker


class FakeProcess(Talker):
    """Connected to an endpoint's socket; its events carry descriptors."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.connect(path)
        self.fds = []

    def send(self, raw, fds=()):
        try:
            if fds:
                socket.send_fds(self.socket, [raw], list(fds))
            else:
                self.socket.send(raw)
        except OSError as error:
            raise Gone(str(error)) from error

    def request(self, kind, body):
        self.send(struct.pack("<HHI", kind, 8 + len(body), 0) + body)

    def next_event(self, timeout=5):
        """The next event, or None when none comes in time."""
        if not select.select([self.socket], [], [], timeout)[0]:
            return None
        try:
            raw, fds, _, _ = socket.recv_fds(self.socket, 256, 2)
        except OSError as error:
            raise Gone(str(error)) from error
        if not raw:
            raise Gone("closed")
        self.fds += fds
        event = Event(raw)
        event.fds = fds
        return event

    def events(self, until, timeout=5):
        """So many events."""
        end = time.monotonic() + timeout
        found = []
        while len(found) < until:
            event = self.next_event(max(0, end - time.monotonic()))
            assert event is not None, found
            found.append(event)
        return found

    def close(self):
        self.socket.close()
        for fd in self.fds:
            os.close(fd)
        self.fds = []
