#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Lies that guests and hypervisors tell the switch: one VM pays, others live.

usage: switch_lies_test.py VMCIRCUITD [unittest's arguments]
"""

import os
import struct
import unittest

import fake_vm as fake
from fake_vm import Gone
from switch_life_test import A, B, Base


class Lies(Base):
    expected_log = "is disconnected"

    def setUp(self):
        super().setUp()
        # The witnesses: what happens to "a" must not touch them.
        self.witness = self.vm("d")

    def tearDown(self):
        self.assertEqual(self.witness.listen(1, "0.0.0.0", 80), 0)
        super().tearDown()

    def tell_lie(self, a, *request):
        a.request(*request)
        a.expect_gone()


class GuestLies(Lies):
    def test_unknown_request(self):
        self.tell_lie(self.vm("a"), 33, bytes(8))

    def test_event_as_request(self):
        self.tell_lie(self.vm("a"), fake.KICK, bytes(8))

    def test_short_request(self):
        self.tell_lie(self.vm("a"), fake.HELLO, bytes(8))

    def test_long_request(self):
        self.tell_lie(self.vm("a"), fake.CANCEL, bytes(100))

    def test_malformed_names(self):
        for body in (bytes(40), struct.pack("<I", 1) + bytes([2]) + bytes(3) +
                     fake.name(A, 80) + bytes(8)):
            a = self.vm("a")
            self.tell_lie(a, fake.LISTEN, body)
            a.close()
            self.vms.remove(a)

    def test_flags_that_do_not_exist(self):
        for flags in (3, 4, 0x80000000):
            a = self.vm("a")
            a.connect(1, (A, 1), (B, 80), flags=flags)
            a.expect_gone()
            a.close()
            self.vms.remove(a)

    def test_cookie_in_use(self):
        a, _ = self.pair()
        a.connect(1, (A, 1), (B, 80))
        a.connect(1, (A, 2), (B, 80))
        a.expect_gone()

    def test_ids(self):
        for kind, identity in (
                (fake.CLOSE, (0, 0, 1)),            # before any link
                (fake.CLOSE, (60, 0, 1)),
                (fake.CLOSE, (0xffffffff, 0, 1))):
            a = self.vm("a")
            self.tell_lie(a, kind, struct.pack("<IIII", *identity, 0))
            a.close()
            self.vms.remove(a)

    def test_ids_in_a_link(self):
        for kind, identity in (
                (fake.CLOSE, (0, 1, 1)),            # never used
                (fake.CLOSE, (0, 16384, 1)),
                (fake.CLOSE, (0, 0xffffffff, 1)),
                (fake.CLOSE, (0, 0, 0)),
                (fake.CLOSE, (0, 0, 2)),            # not yet
                (fake.ACCEPT, (0, 0, 1)),           # is open
                (fake.REFUSE, (0, 0, 1))):
            a, b = self.pair()
            self.circuit(a, b)
            tail = bytes(0 if kind == fake.CLOSE else 8)
            self.tell_lie(b, kind, struct.pack("<IIII", *identity, 0) + tail)
            for vm in (a, b):
                vm.close()
                self.vms.remove(vm)

    def test_dialler_answers_its_own_offer(self):
        a, b = self.pair()
        offer = self.offer(a, b)
        self.tell_lie(a, fake.ACCEPT, offer.id + bytes(8))

    def test_release_of_a_link_that_is_up(self):
        a, b = self.pair()
        self.circuit(a, b)
        self.tell_lie(a, fake.LINK_RELEASED, struct.pack("<II", 0, 1))

    def test_release_twice(self):
        a, b = self.pair()
        self.circuit(a, b)
        b.close()
        self.vms.remove(b)
        down = a.expect(fake.LINK_DOWN)
        body = struct.pack("<II", down.link, down.generation)
        a.request(fake.LINK_RELEASED, body)
        self.tell_lie(a, fake.LINK_RELEASED, body)

    def test_doorbell_of_no_link(self):
        a = self.vm("a")
        a.doorbell(60)
        a.expect_gone()

    def test_doorbell_of_a_free_link_is_innocent(self):
        self.expected_log = None
        a = self.vm("a")
        a.doorbell(5)
        self.assertEqual(a.listen(1, A, 80), 0)
        self.assertEqual(self.stats("a")["stale"], 1)


class QueueLies(Lies):
    def lie(self, desc=None, slot=None, count=1, queue=0):
        a = self.vm("a")
        target = a.queues[queue]
        if desc:
            target.set_desc(3, *desc)
        target.post(3 if slot is None else slot, count)
        target.notify()
        a.expect_gone()

    def test_descriptor_outside_the_memory(self):
        self.lie((0, 64))

    def test_descriptor_across_the_end(self):
        self.lie((fake.RAM_GUEST + fake.RAM - 8, 64))

    def test_descriptor_that_wraps(self):
        self.lie((0xffffffffffffffff, 64))

    def test_descriptor_of_no_length(self):
        self.lie((fake.RAM_GUEST, 0))

    def test_descriptor_of_huge_length(self):
        self.lie((fake.RAM_GUEST, 0xffffffff))

    def test_descriptor_loop(self):
        self.lie((fake.RAM_GUEST, 64, 1, 3))

    def test_descriptor_next_beyond_the_queue(self):
        self.lie((fake.RAM_GUEST, 64, 1, 256))

    def test_indirect_descriptor(self):
        self.lie((fake.RAM_GUEST, 64, 4))

    def test_head_beyond_the_queue(self):
        self.lie(slot=256)

    def test_avail_index_jumps(self):
        self.lie((fake.RAM_GUEST, 64), count=300)

    def test_writable_request(self):
        self.lie((fake.RAM_GUEST, 64, 2))

    def test_short_doorbell(self):
        self.lie((fake.RAM_GUEST, 4), queue=2)

    def test_small_event_buffer(self):
        a = self.vm("a", hello=False, attach=False)
        a.negotiate()
        a.add_ram()
        for i in range(3):
            a.set_queue(i)
        a.queues[1].set_desc(0, fake.RAM_GUEST, 255, 2)
        a.queues[1].post(0)
        with self.assertRaises((Gone, OSError)):
            a.enable()
            a.read_all(a.socket, 1)

    def test_readable_event_buffer(self):
        a = self.vm("a", buffers=3)
        a.queues[1].set_desc(9, fake.RAM_GUEST, 256, 0)
        a.queues[1].post(9)
        a.queues[1].notify()
        for listener in (1, 2):
            a.request(fake.LISTEN, struct.pack("<IB3x", listener, 0) +
                      fake.name(A, 80) + bytes(8))
        a.expect(fake.LISTENING)
        a.expect_gone()


class HypervisorLies(Lies):
    def raw(self):
        return self.vm("a", hello=False, attach=False)

    def lie(self, request, body=b"", fds=(), flags=1, vm=None):
        vm = vm or self.raw()
        try:
            vm.send(request, body, fds, flags)
            vm.receive()
        except Gone:
            return
        raise AssertionError("still connected")

    def negotiated(self):
        vm = self.raw()
        vm.negotiate()
        return vm

    def test_unknown_requests(self):
        for request in (0, 6, 7, 19, 45, 255, 0xffffffff):
            self.lie(request)

    def test_wrong_version(self):
        self.lie(1, flags=2)

    def test_wrong_lengths(self):
        self.lie(1, bytes(8))
        self.lie(2, bytes(7))
        self.lie(9, bytes(39))
        self.lie(2, bytes(400))

    def test_absurd_length(self):
        vm = self.raw()
        vm.socket.sendall(struct.pack("<III", 5, 1, 0xffffffff))
        with self.assertRaises(Gone):
            vm.receive()

    def test_descriptors(self):
        fd = os.open("/dev/null", os.O_RDWR)
        self.lie(1, fds=[fd])
        self.lie(37, bytes(40))
        self.lie(37, bytes(40), [fd, fd])
        self.lie(37, bytes(40), [fd] * 20)
        self.lie(21)
        self.lie(12, struct.pack("<Q", 0))
        self.lie(12, struct.pack("<Q", 0x100), [fd])
        self.lie(12, struct.pack("<Q", 0), [fd])
        os.close(fd)

    def test_features_not_offered(self):
        self.lie(2, struct.pack("<Q", 1 << 29))
        self.lie(16, struct.pack("<Q", 1 << 60))

    def test_no_shared_memory(self):
        self.expected_log = "lacks shared memory"
        self.lie(16, struct.pack("<Q", 1 << 3))

    def test_queue_numbers_and_sizes(self):
        for request, index, num in ((8, 3, 256), (8, 0, 0), (8, 0, 255),
                                    (8, 0, 2048), (10, 0, 65536), (11, 3, 0),
                                    (18, 0, 2), (18, 9, 1)):
            self.lie(request, struct.pack("<II", index, num))

    def test_change_of_a_running_queue(self):
        for request in (8, 10):
            vm = self.vm("a")
            self.lie(request, struct.pack("<II", 0, 128), vm=vm)
            vm.close()
            self.vms.remove(vm)

    def test_queue_outside_the_memory(self):
        vm = self.negotiated()
        vm.add_ram()
        vm.tell(8, struct.pack("<II", 0, 256))
        vm.tell(9, struct.pack("<IIQQQQ", 0, 0, 0, 0, 0, 0))
        vm.tell(12, struct.pack("<Q", 0), [vm.queues[0].kick])
        self.lie(18, struct.pack("<II", 0, 1), vm=vm)

    def test_regions(self):
        for guest, size, user, offset in (
                (0, 0, 0, 0), (0, 1 << 63, 0, 0), (2**64 - 1, 4096, 0, 0),
                (0, 4096, 0, 2**64 - 1), (0, fake.RAM + 1, 0, 0),
                (0, 4096, 0, fake.RAM)):
            vm = self.negotiated()
            self.lie(37, vm.region(guest, size, user, offset), [vm.ram_fd],
                     vm=vm)
            vm.close()
            self.vms.remove(vm)

    def test_regions_overlap(self):
        vm = self.negotiated()
        vm.add_ram()
        self.lie(37, vm.region(fake.RAM_GUEST + 4096, 4096, 0), [vm.ram_fd],
                 vm=vm)

    def test_too_many_regions(self):
        vm = self.negotiated()
        with self.assertRaises((Gone, OSError)):
            for i in range(1, 200):
                vm.tell(37, vm.region(i << 32, 4096, i << 32), [vm.ram_fd])

    def test_removal_of_an_unknown_region(self):
        vm = self.negotiated()
        self.lie(38, vm.region(5, 5, 5), vm=vm)

    def test_removal_under_the_queues_detaches(self):
        self.expected_log = None
        a, b = self.pair()
        self.circuit(a, b)
        b.tell(38, b.region(fake.RAM_GUEST, fake.RAM, fake.RAM_USER))
        a.expect(fake.LINK_DOWN)

    def test_memory_that_is_cut_short(self):
        for queue in range(3):
            vm = self.vm("a")
            os.ftruncate(vm.ram_fd, 0)
            vm.queues[queue].notify()
            with self.assertRaises(Gone):
                vm.read_all(vm.socket, 1)
            vm.close()
            self.vms.remove(vm)

    def test_memory_table(self):
        for body, nr_fds in ((struct.pack("<II", 9, 0) + bytes(264), 8),
                             (struct.pack("<II", 1, 0) + bytes(32), 0),
                             (struct.pack("<II", 2, 0) + bytes(32), 2),
                             (bytes(4), 0)):
            vm = self.negotiated()
            self.lie(5, body, [vm.ram_fd] * nr_fds, vm=vm)
            vm.close()
            self.vms.remove(vm)

    def test_config_reads(self):
        for offset, size in ((0, 257), (256, 1), (2**32 - 1, 2)):
            self.lie(24, struct.pack("<III", offset, size, 0) +
                     bytes(min(size, 256)))

    def test_config_is_zero(self):
        self.expected_log = None
        vm = self.raw()
        reply = vm.ask(24, struct.pack("<III", 0, 256, 0) + bytes(256))
        self.assertEqual(reply[12:], bytes(256))

    def test_message_in_pieces(self):
        self.expected_log = None
        vm = self.raw()
        for byte in struct.pack("<III", 1, 1, 0):
            vm.socket.sendall(bytes([byte]))
        vm.receive()

    def test_unasked_answer_on_the_back_end_channel(self):
        a = self.vm("a")
        a.backend.sendall(struct.pack("<IIIQ", 9, 5, 8, 0))
        a.expect_gone()

    def test_back_end_channel_closed(self):
        self.expected_log = None
        a = self.vm("a")
        a.backend.shutdown(2)
        with self.assertRaises(Gone):
            a.read_all(a.socket, 1)

    def test_second_hypervisor(self):
        self.expected_log = "second hypervisor"
        self.vm("a")
        second = self.raw()
        with self.assertRaises(Gone):
            second.ask(1)

    def test_kick_descriptor_that_is_closed(self):
        self.expected_log = "kick"
        a = self.vm("a", hello=False, attach=False)
        a.negotiate()
        a.add_ram()
        for i in range(3):
            a.set_queue(i)
        reader, writer = os.pipe()
        a.tell(12, struct.pack("<Q", 2), [reader])
        os.close(reader)
        a.enable()
        os.close(writer)
        with self.assertRaises(Gone):
            a.read_all(a.socket, 1)


if __name__ == "__main__":
    unittest.main()
