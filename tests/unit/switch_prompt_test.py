#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Diallers that are answered before the listener is: when, and what follows."""

import errno
import struct
import unittest

import fake_vm as fake
from switch_life_test import A, B, Base


class Prompt(Base):
    def pair(self, room=1):
        """Two VMs with a link; b's listener says how much room it has."""
        a, b = super().pair()
        connected, offer = self.circuit(a, b)
        a.request(fake.CLOSE, connected.id)
        b.request(fake.CLOSE, offer.id)
        self.assertEqual(b.listen(8, "0.0.0.0", 90, room=room), 0)
        return a, b

    def dial(self, a, b, cookie):
        """CONNECT until OFFER."""
        return self.offer_again(a, b, cookie, (B, 90))

    def prompt(self, a, b, cookie):
        """CONNECT that is answered at once, though b did not yet."""
        offer = self.dial(a, b, cookie)
        return a.expect(fake.CONNECTED, cookie=cookie), offer

    def patient(self, a, b, cookie):
        """CONNECT that is not answered."""
        offer = self.dial(a, b, cookie)
        a.expect_nothing()
        return offer

    def test_room_is_used_up_and_told_anew(self):
        a, b = self.pair(room=1)
        connected, offer = self.prompt(a, b, 2)
        self.assertEqual((connected.tx_offset, connected.rx_offset),
                         (offer.rx_offset, offer.tx_offset))
        b.accept(offer, room=0)
        offer = self.patient(a, b, 3)
        b.accept(offer, room=2)
        a.expect(fake.CONNECTED, cookie=3)
        _, offer = self.prompt(a, b, 4)
        b.accept(offer, room=1)
        self.prompt(a, b, 5)

    def test_one_at_a_time_for_another_vm(self):
        a, b = self.pair(room=100)
        _, first = self.prompt(a, b, 2)
        second = self.patient(a, b, 3)
        b.accept(second, room=99)
        a.expect(fake.CONNECTED, cookie=3)
        third = self.patient(a, b, 4)
        b.accept(first, room=99)
        b.accept(third, room=98)
        a.expect(fake.CONNECTED, cookie=4)
        self.prompt(a, b, 5)

    def test_itself_as_far_as_there_is_room(self):
        a = self.vm("a")
        self.assertEqual(a.listen(1, "127.0.0.1", 80, room=2), 0)
        a.connect(1, ("127.0.0.1", 99), ("127.0.0.1", 80))
        a.expect(fake.LINK_UP)
        a.expect(fake.LINK_UP)
        # Who dials is connected before it can accept.
        a.expect(fake.CONNECTED, cookie=1)
        a.expect(fake.OFFER)
        a.connect(2, ("127.0.0.1", 98), ("127.0.0.1", 80))
        a.expect(fake.CONNECTED, cookie=2)
        a.expect(fake.OFFER)
        a.connect(3, ("127.0.0.1", 97), ("127.0.0.1", 80))
        a.accept(a.expect(fake.OFFER), room=0)
        a.expect(fake.CONNECTED, cookie=3)

    def test_refused_after_all(self):
        a, b = self.pair()
        connected, offer = self.prompt(a, b, 2)
        b.request(fake.REFUSE, offer.id + struct.pack("<II", 0, 0))
        reset = a.expect(fake.RESET, error=errno.ECONNRESET)
        self.assertEqual(reset.id, connected.id)
        a.request(fake.CLOSE, connected.id)
        self.wait_stat("a", "circuits_now", 0)
        # A refusal answers, too.
        self.prompt(a, b, 3)

    def test_dialler_is_gone_when_it_is_refused(self):
        a, b = self.pair()
        connected, offer = self.prompt(a, b, 2)
        a.request(fake.CLOSE, connected.id)
        self.wait_stat("a", "circuits_now", 1)
        b.request(fake.REFUSE, offer.id + struct.pack("<II", 0, 0))
        self.wait_stat("a", "circuits_now", 0)
        a.expect_nothing()

    def test_dialler_is_gone_when_it_is_accepted(self):
        a, b = self.pair()
        connected, offer = self.prompt(a, b, 2)
        a.request(fake.CLOSE, connected.id)
        b.accept(offer, room=1)
        b.request(fake.CLOSE, offer.id)
        self.wait_stat("b", "circuits_now", 0)
        self.assertEqual(self.stats("b")["lies"], 0)

    def test_what_a_cancelled_dial_leaves(self):
        a, b = self.pair(room=5)
        _, first = self.prompt(a, b, 2)
        second = self.patient(a, b, 3)
        a.request(fake.CANCEL, struct.pack("<II", 3, 0))
        b.expect(fake.RESET)
        b.request(fake.CLOSE, second.id)
        b.accept(first, room=4)
        self.prompt(a, b, 4)

    def test_what_a_dialler_that_died_leaves(self):
        a, b = self.pair(room=5)
        self.prompt(a, b, 2)
        a.close()
        self.vms.remove(a)
        b.expect(fake.LINK_DOWN)
        a = self.vm("a")
        a.connect(1, (A, 7), (B, 90))
        events, _ = self.collect(a, b, until=4)
        self.assertEqual([event.type for event in events],
                         [fake.LINK_UP, fake.CONNECTED])

    def test_a_listener_that_is_gone(self):
        a, b = self.pair(room=5)
        connected, offer = self.prompt(a, b, 2)
        b.request(fake.UNLISTEN, struct.pack("<II", 8, 0))
        b.request(fake.REFUSE, offer.id +
                  struct.pack("<II", errno.ECONNREFUSED, 0))
        a.expect(fake.RESET, error=errno.ECONNRESET)
        a.request(fake.CLOSE, connected.id)
        self.wait_stat("b", "circuits_now", 0)
        # Its number means another one now, which was offered nothing.
        self.assertEqual(b.listen(8, "0.0.0.0", 90, room=5), 0)
        self.prompt(a, b, 3)


if __name__ == "__main__":
    unittest.main()
