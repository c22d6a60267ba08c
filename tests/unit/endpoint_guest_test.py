#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A process, with the library, and a guest that is played.

usage: endpoint_guest_test.py VMCIRCUITD LIBVMCIRCUIT VMCIRCUITCTL
       [unittest's arguments]
"""

import ctypes
import errno
import os
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest

import fake_vm as fake
from switch_life_test import Base

LIBRARY = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else ""
CTL = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else ""

GUEST, HOST = "10.77.0.1", "10.77.0.100"
CONFIG = """
control = "{0}/control"
sandbox = {1}
vm "guest" {{ socket = "{0}/guest" addresses = {{ "10.77.0.1/24" }} }}
endpoint "host" {{ socket = "{0}/host" addresses = {{ "10.77.0.100/24" }} }}
"""
HEADER = 16384
FIN, RST, GONE = 1, 2, 4


def sockaddr(address, port):
    return struct.pack("<H", socket.AF_INET) + struct.pack(">H", port) + \
        socket.inet_aton(address) + bytes(8)


class Guests(Base):
    configuration = CONFIG

    def setUp(self):
        super().setUp()
        self.lib = ctypes.CDLL(LIBRARY)
        self.lib.vmc_recv.restype = ctypes.c_ssize_t
        self.lib.vmc_send.restype = ctypes.c_ssize_t
        self.host = self.out("vmc_endpoint_open",
                             f"{self.directory.name}/host".encode())
        self.guest = self.vm("guest")

    def tearDown(self):
        error = self.lib.vmc_endpoint_close(self.host)
        super().tearDown()
        self.assertEqual(error, 0)

    def call(self, function, *arguments):
        """The result of a call, and what it puts out."""
        out = ctypes.c_void_p()
        error = getattr(self.lib, function)(*arguments, ctypes.byref(out))
        return error, out

    def out(self, function, *arguments):
        error, out = self.call(function, *arguments)
        self.assertEqual(error, 0, function)
        return out

    def listen(self, port=80):
        return self.out("vmc_listen", self.host, sockaddr(HOST, port), 16)

    def accept(self, listener, timeout_ms=5000):
        return self.call("vmc_accept", listener, timeout_ms, None)

    def fds(self):
        return len(os.listdir("/proc/self/fd"))

    def dial_host(self, cookie=1):
        """CONNECT; LINK_UP comes to the guest when it maps the link."""
        self.guest.connect(cookie, (GUEST, 1000 + cookie), (HOST, 80))
        return self.guest.expect(fake.LINK_UP)

    def segments(self, link_up):
        """Of a link: the one that the guest writes, and the other."""
        return [self.guest.maps[at][0] for at in (link_up.tx_window,
                                                  link_up.rx_window)]

    def await_departure(self):
        """The switch learns of it when it gets round to it."""
        end = time.monotonic() + 5
        while self.ask(command="show", vm="guest")[0]["state"] != "absent":
            self.assertLess(time.monotonic(), end)
        # What is said behind it comes behind it.
        self.lib.vmc_unlisten(self.listen(85))

    def still_of_use(self, listener):
        """The process was not turned away."""
        error, _ = self.accept(listener, 0)
        self.assertEqual(error, -errno.EAGAIN)
        self.lib.vmc_unlisten(listener)
        other = self.listen(81)
        self.lib.vmc_unlisten(other)

    def test_bytes_both_ways(self):
        listener = self.listen()
        link_up = self.dial_host()
        error, connection = self.accept(listener)
        self.assertEqual(error, 0)
        connected = self.guest.expect(fake.CONNECTED)
        tx, rx = self.segments(link_up)
        page = HEADER + 4096 * connected.slot
        tx[connected.tx_offset:connected.tx_offset + 5] = b"hello"
        struct.pack_into("<I", tx, page, 5)
        room = ctypes.create_string_buffer(8)
        self.assertEqual(self.lib.vmc_recv(connection, room, 8, 1000), 5)
        self.assertEqual(room.raw[:5], b"hello")
        self.assertEqual(self.lib.vmc_send(connection, b"world", 5, 0), 5)
        self.assertEqual(struct.unpack_from("<I", rx, page)[0], 5)
        at = connected.rx_offset
        self.assertEqual(bytes(rx[at:at + 5]), b"world")
        # The process ends and left nothing unread: FIN and GONE, no reset.
        struct.pack_into("<I", tx, page + 64, 5)
        self.assertEqual(self.lib.vmc_detach(connection), 0)
        self.assertEqual(struct.unpack_from("<I", rx, page + 4)[0],
                         FIN | GONE)
        self.lib.vmc_unlisten(listener)
        self.guest.request(fake.CLOSE, connected.id)

    def test_guest_leaves_before_it_is_accepted(self):
        listener = self.listen()
        before = self.fds()
        self.dial_host()
        # The process learns of all that at once, later.
        self.guest.close()
        self.vms.remove(self.guest)
        self.await_departure()
        self.still_of_use(listener)
        self.assertLessEqual(self.fds(), before)

    def test_guest_starts_again_before_it_is_accepted(self):
        listener = self.listen()
        self.dial_host()
        # It is known here that somebody called; not yet that it is void.
        poll_fd = self.lib.vmc_endpoint_fd(self.host)
        other = self.listen(82)
        self.guest.expect(fake.CONNECTED)
        self.guest.send_hello()
        self.assertEqual(self.guest.expect(fake.WELCOME).error, 0)
        third = self.listen(83)
        self.assertGreaterEqual(poll_fd, 0)
        self.lib.vmc_unlisten(third)
        self.lib.vmc_unlisten(other)
        self.still_of_use(listener)

    def test_unlisten_after_the_guest_left(self):
        listener = self.listen()
        self.dial_host()
        other = self.listen(82)
        self.guest.expect(fake.CONNECTED)
        self.guest.send_hello()
        self.assertEqual(self.guest.expect(fake.WELCOME).error, 0)
        third = self.listen(83)
        self.lib.vmc_unlisten(listener)
        for each in (other, third):
            self.lib.vmc_unlisten(each)
        self.lib.vmc_unlisten(self.listen(84))

    def test_guest_leaves_a_connection(self):
        listener = self.listen()
        self.dial_host()
        error, connection = self.accept(listener)
        self.assertEqual(error, 0)
        self.guest.expect(fake.CONNECTED)
        self.guest.close()
        self.vms.remove(self.guest)
        room = ctypes.create_string_buffer(8)
        self.assertEqual(self.lib.vmc_recv(connection, room, 8, 5000),
                         -errno.ECONNRESET)
        self.assertEqual(self.lib.vmc_detach(connection), 0)
        self.still_of_use(listener)

    def test_process_leaves_a_link_to_a_guest(self):
        """vmcircuitctl is asked meanwhile."""
        listener = self.listen()
        link_up = self.dial_host()
        error, connection = self.accept(listener)
        self.assertEqual(error, 0)
        connected = self.guest.expect(fake.CONNECTED)
        self.lib.vmc_unlisten(listener)
        page = HEADER + 4096 * connected.slot
        tx, rx = self.segments(link_up)
        struct.pack_into("<I", tx, 64, 1)       # the guest wants a KICK
        # As a process that ends: its socket closes, nothing is detached.
        with socket.socket(fileno=os.dup(self.socket_of_host())) as end:
            end.shutdown(socket.SHUT_RDWR)
        self.guest.expect(fake.KICK)
        self.assertEqual(struct.unpack_from("<I", rx, page + 4)[0],
                         FIN | GONE)
        for words in (["list"], ["show", "guest"], ["show", "host"],
                      ["stats"]):
            done = subprocess.run([CTL, "--socket",
                                   self.directory.name + "/control", *words],
                                  capture_output=True, text=True, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ""), words)
        self.guest.request(fake.CLOSE, connected.id)
        down = self.guest.expect(fake.LINK_DOWN)
        self.guest.request(fake.LINK_RELEASED,
                           struct.pack("<II", down.link, down.generation))
        self.assertEqual(self.guest.listen(5, GUEST, 5), 0)
        self.lib.vmc_detach(connection)

    def socket_of_host(self):
        """The library's socket to the switch: its struct begins with it."""
        return ctypes.cast(self.host, ctypes.POINTER(ctypes.c_int))[0]

    def test_dial_to_a_guest(self):
        self.assertEqual(self.guest.listen(7, "0.0.0.0", 80), 0)
        answer = []
        thread = threading.Thread(target=lambda: answer.append(
            self.call("vmc_dial", self.host, sockaddr(GUEST, 80), 16, 5000)))
        thread.start()
        self.guest.expect(fake.LINK_UP)
        offer = self.guest.expect(fake.OFFER)
        self.guest.accept(offer)
        thread.join()
        error, connection = answer[0]
        self.assertEqual(error, 0)
        self.guest.request(fake.CLOSE, offer.id)
        self.assertEqual(self.lib.vmc_detach(connection), 0)


if __name__ == "__main__":
    unittest.main()
