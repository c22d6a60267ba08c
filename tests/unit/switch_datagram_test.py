# SPDX-License-Identifier: GPL-2.0-or-later
"""Datagram circuits, as the switch sees them: whom they are offered to, and
what it shows of their losses. The VMs are played, see fake_vm.py.
"""

import errno
import struct
import unittest

import fake_vm as fake
from switch_life_test import A, B, Base

DATAGRAM = 1                    # the flag of CONNECT and OFFER
FEATURE = 2
RING = 256 << 10
UNSENT, REFUSED = 384, 388      # of a control page


class Datagrams(Base):
    def talkers(self):
        """Two VMs that know datagrams; nobody listens."""
        vms = [self.vm(name, hello=False) for name in ("a", "b")]
        for vm in vms:
            welcome = vm.hello(features=FEATURE)
            self.assertTrue(welcome.features & FEATURE)
        return vms

    def offer_datagrams(self, a, b):
        a.connect(1, (A, 1001), (B, 53), tx=RING, rx=RING, flags=DATAGRAM)
        for event in self.collect(a, b, until=3)[1]:
            if event.type == fake.OFFER:
                return event
        raise AssertionError("no OFFER")

    def test_a_datagram_circuit_is_offered_though_nobody_listens(self):
        a, b = self.talkers()
        offer = self.offer_datagrams(a, b)
        self.assertEqual((offer.listener, offer.flags), (0, DATAGRAM))
        self.assertEqual((offer.tx_bytes, offer.rx_bytes), (RING, RING))
        self.assertEqual((offer.local, offer.remote),
                         (fake.name(B, 53), fake.name(A, 1001)))
        b.accept(offer)
        connected = a.expect(fake.CONNECTED, cookie=1)
        self.assertEqual(connected.tx_offset, offer.rx_offset)

    def test_a_refusal_reaches_the_dialler(self):
        a, b = self.talkers()
        offer = self.offer_datagrams(a, b)
        b.request(fake.REFUSE, offer.id +
                  struct.pack("<II", errno.ECONNREFUSED, 0))
        a.expect(fake.FAILED, cookie=1, error=errno.ECONNREFUSED)

    def test_listeners_of_streams_get_no_datagrams(self):
        a, b = self.talkers()
        self.assertEqual(b.listen(7, "0.0.0.0", 53), 0)
        self.assertEqual(self.offer_datagrams(a, b).listener, 0)

    def test_streams_say_so(self):
        a, b = self.pair()
        self.assertEqual(self.offer(a, b).flags, 0)

    def test_a_guest_that_knows_no_datagrams_is_not_asked(self):
        a, b = self.pair()
        a.connect(1, (A, 1001), (B, 80), flags=DATAGRAM)
        a.expect(fake.FAILED, cookie=1, error=errno.ECONNREFUSED)
        b.expect_nothing()

    def test_no_datagrams_to_the_outside(self):
        a, _ = self.talkers()
        a.connect(1, (A, 1001), ("192.0.2.1", 53), flags=DATAGRAM)
        event = a.expect(fake.FAILED, cookie=1)
        self.assertIn(event.error, (errno.EHOSTUNREACH, errno.ENETUNREACH))

    def count(self, vm, up, slot, field, number):
        """A guest counts in its own control page."""
        page = vm.maps[up.tx_window][0]
        struct.pack_into("<I", page, 4 * 4096 + slot * 4096 + field, number)

    def test_losses_are_shown_while_open_and_kept_afterwards(self):
        a, b = self.talkers()
        a.connect(1, (A, 1001), (B, 53), flags=DATAGRAM)
        ups, offer = {}, None
        for vm, events in zip((a, b), self.collect(a, b, until=3)):
            for event in events:
                if event.type == fake.LINK_UP:
                    ups[vm] = event
                else:
                    offer = event
        b.accept(offer)
        connected = a.expect(fake.CONNECTED)
        self.count(a, ups[a], offer.slot, UNSENT, 7)
        self.count(b, ups[b], offer.slot, REFUSED, 5)
        for _ in range(2):
            shown = [(self.stats(name)["datagrams_unsent"],
                      self.stats(name)["datagrams_refused"])
                     for name in ("a", "b")]
            self.assertEqual(shown, [(7, 0), (0, 5)])
            a.request(fake.CLOSE, connected.id)
            b.request(fake.CLOSE, offer.id)
            a.expect_nothing()


if __name__ == "__main__":
    unittest.main()
