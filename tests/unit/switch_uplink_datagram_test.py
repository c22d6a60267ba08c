#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Datagrams through the uplink, seen by guests that are played and by sockets
of the host.

usage: switch_uplink_datagram_test.py VMCIRCUITD [unittest's arguments]
"""

import errno
import os
import random
import socket
import struct
import subprocess
import tempfile
import time
import unittest

import fake_vm as fake
import switch_life_test
from switch_life_test import A, A6, B, CONFIG, SANDBOX, Base
from switch_uplink_test import (CTL, FIN, FLAGS, GONE, HOST, PROD, CONS, RST,
                                UPLINK, End, free_port)

DATAGRAM = 1                    # the flag of CONNECT and OFFER
FEATURE = 2
RING = 256 << 10
UNSENT, ERRORS, ERROR = 384, 392, 396
IP_RECVTTL = 12                 # not in Python
HOST6 = "fd77::fe"
NR_PUBLISHED = 3                # below, for datagrams


PUBLISHED, ANYWHERE, CLOSED = (free_port(socket.SOCK_DGRAM)
                               for _ in range(3))

CONFIGURATION = CONFIG + f"""
uplink {{{{ host_addresses = {{{{ "{HOST}", "{HOST6}" }}}} }}}}
rule "no" {{{{ action = "deny" direction = "out" protocol = "udp"
             remote = {{{{ "127.0.0.0/8" }}}} ports = {{{{ "9" }}}} }}}}
rule "home" {{{{ action = "allow" direction = "out" protocol = "udp"
               remote = {{{{ "127.0.0.0/8", "::1" }}}} }}}}
rule "closed" {{{{ action = "deny" direction = "in" protocol = "udp"
                 ports = {{{{ "99" }}}} }}}}
publish = {{{{ "127.0.0.1:{PUBLISHED}/udp -> a:53",
             "127.0.0.1:{PUBLISHED} -> a:53",
             "127.0.0.1:{CLOSED}/udp -> a:99",
             "0.0.0.0:{ANYWHERE}/udp -> a:54" }}}}
"""


class Flow(End):
    """A guest's end of a flow."""

    def put_records(self, datagrams, traits=0):
        """Put datagrams into the ring; the caller rings."""
        for data in datagrams:
            raw = struct.pack("<II", len(data), traits) + data
            raw += bytes(-len(raw) % 8)
            for at in range(0, len(raw), 8):
                place = (self.event.tx_offset +
                         self.prod % self.event.tx_bytes)
                self.tx[place:place + 8] = raw[at:at + 8]
                self.prod += 8
        self.put(PROD, self.prod)

    def send(self, *datagrams, traits=0):
        self.put_records(datagrams, traits)
        self.ring()

    def take(self, size):
        """Bytes of the ring, which may wrap."""
        data = b""
        while size:
            at = self.cons % self.event.rx_bytes
            part = min(size, self.event.rx_bytes - at)
            place = self.event.rx_offset + at
            data += self.rx[place:place + part]
            self.cons += part
            size -= part
        return data

    def receive(self, timeout=5):
        """The next datagram. The uplink waits for no room, so no bell."""
        self.wait(lambda: self.get(PROD) != self.cons & 0xffffffff, timeout)
        size, self.traits = struct.unpack("<II", self.take(8))
        data = self.take(size)
        self.take(-size % 8)
        self.put(CONS, self.cons)
        return data

    def wait_sent(self):
        self.wait(lambda: self.get(CONS) == self.prod & 0xffffffff)

    def error(self):
        """The errno of the next error that is told."""
        before = getattr(self, "errors", 0)
        self.wait(lambda: self.get(ERRORS) != before)
        self.errors = self.get(ERRORS)
        return self.get(ERROR)


class Uplink(Base):
    configuration = CONFIGURATION

    def setUp(self):
        super().setUp()
        self.links = {}
        self.peers = []

    def tearDown(self):
        for peer in self.peers:
            peer.close()
        super().tearDown()

    def peer(self, family=socket.AF_INET):
        """A socket of the outside."""
        peer = socket.socket(family, socket.SOCK_DGRAM)
        peer.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
        peer.settimeout(5)
        self.peers.append(peer)
        return peer

    def guest(self, name="a"):
        vm = self.vm(name, hello=False)
        vm.hello(features=FEATURE)
        return vm

    def dial(self, vm, peer, local=(A, 1001), cookie=1):
        """An open flow from a guest to a socket of the host."""
        host = HOST6 if ":" in local[0] else HOST
        vm.connect(cookie, local, (host, peer.getsockname()[1]), tx=RING,
                   rx=RING, flags=DATAGRAM)
        if vm not in self.links:
            self.links[vm] = vm.expect(fake.LINK_UP, flags=UPLINK)
        return Flow(vm, self.links[vm], vm.expect(fake.CONNECTED,
                                                  cookie=cookie))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.switch.pid}/fd"))

    def wait_descriptors(self, number):
        """No more than so many; a control connection may be among them."""
        end = time.monotonic() + 5
        while self.descriptors() > number:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.005)


class Out(Uplink):
    def echo(self, flow, peer, data=b"over and back"):
        flow.send(data)
        got, address = peer.recvfrom(70000)
        self.assertEqual(got, data)
        peer.sendto(data[::-1], address)
        self.assertEqual(flow.receive(), data[::-1])
        return address

    def test_datagrams_go_both_ways(self):
        peer = self.peer()
        flow = self.dial(self.guest(), peer)
        for size in (1, 7, 8, 9, 0, 1472, 1473, 9000, 65507):
            self.echo(flow, peer, os.urandom(size))

    def test_ipv6(self):
        peer = self.peer(socket.AF_INET6)
        self.echo(self.dial(self.guest(), peer, (A6, 1001)), peer)

    def test_many_at_once_keep_their_boundaries_and_order(self):
        peer = self.peer()
        flow = self.dial(self.guest(), peer)
        chance = random.Random(3)
        for _ in range(60):
            size = chance.choice((0, 8, 1000, 1400, 3000))
            many = [os.urandom(size if chance.random() < 0.8 else
                               chance.randrange(2000)) for _ in range(40)]
            flow.send(*many)
            for data in many:
                self.assertEqual(peer.recv(70000), data)
        self.assertEqual(self.stats("a")["datagrams_out"], 2400)

    def test_one_name_shows_one_port_and_needs_one_descriptor(self):
        a = self.guest()
        first = self.peer()
        flows = [(self.dial(a, first), first)]
        before = self.descriptors()
        for cookie in range(2, 42):
            peer = self.peer()
            flows.append((self.dial(a, peer, cookie=cookie), peer))
        self.assertEqual({self.echo(*flow) for flow in flows},
                         {self.echo(*flows[0])})
        self.wait_descriptors(before)
        self.assertEqual(self.stats("a")["host_sockets"],
                         NR_PUBLISHED + 1)

    def test_strangers_are_dropped_and_counted(self):
        peer, stranger = self.peer(), self.peer()
        flow = self.dial(self.guest(), peer)
        address = ("127.0.0.1", self.echo(flow, peer)[1])
        stranger.sendto(b"let me in", address)
        self.wait_stat("a", "datagrams_unwanted", 1)
        self.echo(flow, peer)

    def test_policy(self):
        a = self.guest()
        a.connect(1, (A, 1001), (HOST, 9), flags=DATAGRAM)
        a.expect(fake.FAILED, cookie=1, error=errno.EACCES)
        a.connect(1, (A, 1001), ("10.77.0.99", 99), flags=DATAGRAM)
        a.expect(fake.FAILED, cookie=1, error=errno.EHOSTUNREACH)

    def test_refusals_are_told(self):
        gone = self.peer()
        flow = self.dial(self.guest(), gone)
        gone.close()
        flow.send(b"is there anybody")
        self.assertEqual(flow.error(), errno.ECONNREFUSED)
        flow.send(b"really not?")
        self.assertEqual(flow.error(), errno.ECONNREFUSED)

    def test_refusal_of_one_is_not_anothers(self):
        a = self.guest()
        gone, peer = self.peer(), self.peer()
        refused = self.dial(a, gone)
        flow = self.dial(a, peer, cookie=2)
        gone.close()
        for _ in range(20):
            refused.send(b"is there anybody")
            self.echo(flow, peer)
        self.assertEqual(refused.error(), errno.ECONNREFUSED)
        self.assertEqual(flow.get(ERRORS), 0)

    def test_full_ring_drops_and_counts(self):
        peer = self.peer()
        flow = self.dial(self.guest(), peer)
        address = self.echo(flow, peer)
        for _ in range(400):
            peer.sendto(bytes(1000), address)
        end = time.monotonic() + 5
        while True:
            stats = self.stats("a")
            # One datagram was the echo's.
            if stats["datagrams_in"] - 1 + stats["datagrams_no_room"] == 400:
                break
            self.assertLess(time.monotonic(), end, stats)
        self.assertEqual(stats["datagrams_no_room"], flow.get(UNSENT))
        self.assertEqual(stats["datagrams_in"] - 1, RING // 1008)
        for _ in range(RING // 1008):
            self.assertEqual(flow.receive(), bytes(1000))
        self.echo(flow, peer)

    def test_close_sends_what_is_left(self):
        peer = self.peer()
        flow = self.dial(self.guest(), peer)
        flow.put_records([b"last", b"words"])
        flow.close()
        self.assertEqual([peer.recv(10) for _ in range(2)],
                         [b"last", b"words"])
        self.wait_stat("a", "circuits_now", 0)
        self.wait_stat("a", "host_sockets", NR_PUBLISHED)

    def test_idle_flow_ends_in_order_and_keeps_its_port(self):
        peer = self.peer()
        a = self.guest()
        flow = self.dial(a, peer)
        address = self.echo(flow, peer)
        peer.sendto(b"for later", address)
        flow.wait(lambda: flow.get(PROD) != flow.cons)
        flow.put_records([b"before the end"])
        flow.say(FIN)
        flow.wait(lambda: flow.get(FLAGS) & FIN)
        self.assertEqual(peer.recv(100), b"before the end")
        # What the guest has not read stays until it closes.
        self.assertEqual(self.stats("a")["circuits_now"], 1)
        self.assertEqual(flow.receive(), b"for later")
        flow.close()
        self.wait_stat("a", "circuits_now", 0)
        again = self.dial(a, peer, cookie=2)
        self.assertEqual(self.echo(again, peer), address)

    def test_reset_frees_everything(self):
        peer = self.peer()
        flow = self.dial(self.guest(), peer)
        flow.close(FIN | GONE | RST)
        self.wait_stat("a", "circuits_now", 0)
        self.wait_stat("a", "host_sockets", NR_PUBLISHED)

    def test_a_vm_that_leaves_amid_datagrams(self):
        before = self.descriptors()
        a = self.guest()
        peer = self.peer()
        flows = [self.dial(a, peer, (A, 1000 + cookie), cookie)
                 for cookie in range(1, 20)]
        for flow in flows:
            flow.send(*[bytes(1000)] * 200)
        a.close()
        self.vms.remove(a)
        self.wait_descriptors(before)

    def test_traffic_class_and_hop_limit(self):
        peer = self.peer()
        peer.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        peer.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
        flow = self.dial(self.guest(), peer)
        flow.send(b"x", traits=0x0b02)
        _, ancillary, _, address = peer.recvmsg(10, 100)
        got = {kind: data[0] for _, kind, data in ancillary}
        self.assertEqual(got, {socket.IP_TOS: 2, socket.IP_TTL: 11})
        peer.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 3)
        peer.sendto(b"y", address)
        self.assertEqual(flow.receive(), b"y")
        self.assertEqual(flow.traits & 0xff, 3)


class Limits(Uplink):
    """What one VM may use of the host."""

    def test_host_sockets_are_bounded_and_idle_ones_give_way(self):
        a = self.guest()
        peer = self.peer()
        room = 1024 - NR_PUBLISHED
        flows = [self.dial(a, peer, (A, 2000 + i), i + 1)
                 for i in range(room)]
        self.assertEqual(self.stats("a")["host_sockets"], 1024)
        a.connect(5000, (A, 1001), (HOST, peer.getsockname()[1]), tx=RING,
                  rx=RING, flags=DATAGRAM)
        a.expect(fake.FAILED, cookie=5000, error=errno.ENOBUFS)
        self.assertEqual(self.stats("a")["over_quota"], 1)
        # One whose flow was idle gives way, one that is in use does not.
        flows[7].say(FIN)
        flows[7].wait(lambda: flows[7].get(FLAGS) & FIN)
        flows[7].close()
        self.wait_stat("a", "circuits_now", room - 1)
        flow = self.dial(a, peer, cookie=5001)
        flow.send(b"there is room")
        self.assertEqual(peer.recv(100), b"there is room")
        before = self.descriptors()
        for flow in flows[10:110]:
            flow.close()
        self.wait_descriptors(before - 100)


class Quota(Uplink):
    configuration = CONFIGURATION.replace(
        'vm "a" {{', 'vm "a" {{ max_circuits = 3 '
        'max_connects_per_second = 8 ')
    expected_log = "is at its limit"

    def test_circuits_and_connects(self):
        a = self.guest()
        peer = self.peer()
        name = (HOST, peer.getsockname()[1])
        for cookie in range(1, 4):
            self.dial(a, peer, cookie=cookie)
        a.connect(4, (A, 1001), name, flags=DATAGRAM)
        a.expect(fake.FAILED, cookie=4, error=errno.ENOBUFS)
        # Nor does the outside get in, and that is counted.
        peer.sendto(b"x", ("127.0.0.1", PUBLISHED))
        self.wait_stat("a", "datagrams_unwanted", 1)
        self.assertEqual(self.stats("a")["circuits_now"], 3)


class Calls(Uplink):
    """The outside begins."""

    def call(self, data=b"hello", port=PUBLISHED, address="127.0.0.1"):
        """A socket of the outside that has sent something in."""
        peer = self.peer()
        peer.connect((address, port))
        peer.send(data)
        return peer

    def offered(self, vm, **fields):
        """The end of the flow that is offered next."""
        if vm not in self.links:
            self.links[vm] = vm.expect(fake.LINK_UP, flags=UPLINK)
        offer = vm.expect(fake.OFFER, listener=0, flags=DATAGRAM, **fields)
        return Flow(vm, self.links[vm], offer)

    def taken(self, vm):
        flow = self.offered(vm)
        vm.accept(flow)
        return flow


class In(Calls):
    def test_outside_comes_in_by_its_name(self):
        a = self.guest()
        peer = self.call(b"first")
        peer.send(b"second")
        flow = self.offered(a, local=fake.name(A, 53), remote=fake.name(
            HOST, peer.getsockname()[1]))
        peer.send(b"third")
        a.accept(flow)
        peer.send(b"fourth")
        self.assertEqual([flow.receive() for _ in range(4)],
                         [b"first", b"second", b"third", b"fourth"])
        flow.send(b"welcome")
        # The peer is connected: it hears the published name only.
        self.assertEqual(peer.recv(100), b"welcome")

    def test_answer_comes_from_where_the_question_went(self):
        a = self.guest()
        for address in ("127.0.0.1", "127.0.0.7", "127.1.2.3"):
            peer = self.call(b"hello", ANYWHERE, address)
            flow = self.taken(a)
            self.assertEqual(flow.receive(), b"hello")
            flow.send(address.encode())
            self.assertEqual(peer.recv(100), address.encode())

    def test_refusal_is_remembered_for_a_while(self):
        a = self.guest()
        peer = self.call()
        flow = self.offered(a)
        a.request(fake.REFUSE, flow.id +
                  struct.pack("<II", errno.ECONNREFUSED, 0))
        self.wait_stat("a", "datagrams_unwanted", 1)
        for _ in range(5):
            peer.send(b"again")
        a.expect_nothing()
        self.assertEqual(self.stats("a")["datagrams_unwanted"], 6)
        self.wait_stat("a", "circuits_now", 0)
        # Others are offered all the same; and so is it, later.
        self.call()
        self.taken(a)
        time.sleep(1)
        peer.send(b"and again")
        self.assertEqual(self.taken(a).receive(), b"and again")

    def test_policy_closes_a_published_port(self):
        a = self.guest()
        self.call(port=CLOSED)
        self.wait_stat("a", "datagrams_unwanted", 1)
        a.expect_nothing()

    def test_nobody_is_there(self):
        self.call()
        self.wait_stat("a", "datagrams_unwanted", 1)

    def test_guest_that_knows_no_datagrams(self):
        a = self.vm("a")
        self.call()
        self.wait_stat("a", "datagrams_unwanted", 1)
        a.expect_nothing()

    def test_unanswered_offers_are_bounded(self):
        a = self.guest()
        for _ in range(70):
            self.call()
        flows = [self.offered(a) for _ in range(64)]
        self.wait_stat("a", "datagrams_unwanted", 6)
        a.expect_nothing(0.05)
        a.accept(flows[0])
        self.call()
        self.offered(a)

    def test_unanswered_offer_is_withdrawn(self):
        a = self.guest()
        self.call()
        flow = self.offered(a)
        reset = a.next_event(20)
        self.assertEqual((reset.type, reset.id), (fake.RESET, flow.id))
        a.request(fake.CLOSE, flow.id)
        self.wait_stat("a", "circuits_now", 0)

    def test_vm_that_leaves_keeps_its_ports(self):
        a = self.guest()
        flow = None
        for _ in range(10):
            self.call()
            flow = self.taken(a)
        before = self.descriptors()
        a.close()
        self.vms.remove(a)
        self.wait_stat("a", "circuits_now", 0)
        del self.links[a], flow
        a = self.guest()
        self.call(b"once more")
        self.assertEqual(self.taken(a).receive(), b"once more")
        self.wait_descriptors(before)

    def test_what_the_guest_sends_itself_leaves_by_another_port(self):
        a = self.guest()
        server = self.peer()
        flow = self.dial(a, server, (A, 53))
        flow.send(b"query")
        self.assertNotEqual(server.recvfrom(100)[1][1], PUBLISHED)


class Idle(Calls):
    """Flows that the outside began and nobody uses, while there are many."""

    def test_a_crowd_of_callers_is_ended(self):
        a = self.guest()
        flows = []
        for _ in range(520):
            self.call()
            flows.append(self.taken(a))
        # The last, for a slow machine may take long to open them all.
        polite, deaf = flows[-1], flows[0]
        polite.wait(lambda: polite.get(FLAGS) & FIN, 40)
        polite.say(FIN)
        polite.close()
        deaf.wait(lambda: deaf.get(FLAGS) & FIN)
        self.wait_stat("a", "circuits_now", 519)
        # Who does not answer is reset.
        # On a slow machine the first are gone when the last are no crowd.
        resets = [a.next_event(40) for _ in range(519)]
        self.assertEqual({reset.type for reset in resets}, {fake.RESET})
        resets = [reset.id for reset in resets]
        self.assertIn(deaf.id, resets)
        for flow in flows[:-1]:
            a.request(fake.CLOSE, flow.id)
            if flow.slot % 50 == 0:
                a.expect_nothing(0.02)
        self.wait_stat("a", "circuits_now", 0)


class TakenPort(Uplink):
    """A published port that somebody has is told at the start."""

    def setUp(self):
        self.holder = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.holder.bind(("127.0.0.1", PUBLISHED))

    def tearDown(self):
        self.holder.close()

    def test_taken_port(self):
        with tempfile.TemporaryDirectory() as directory:
            path = directory + "/conf"
            with open(path, "w", encoding="ascii") as file:
                file.write(CONFIGURATION.format(directory, SANDBOX))
            end = subprocess.run([switch_life_test.SWITCH, "--config", path],
                                 stderr=subprocess.PIPE, text=True,
                                 timeout=20, check=False)
        self.assertNotEqual(end.returncode, 0)
        self.assertIn(f'cannot publish "127.0.0.1:{PUBLISHED}/udp -> a:53": '
                      "Address already in use", end.stderr)


class Lies(Uplink):
    expected_log = "an index of circuit 0 of the uplink is impossible"

    def lie(self, act):
        peer = self.peer()
        witness = self.dial(self.guest("b"), peer, (B, 1001))
        flow = self.dial(self.guest(), peer)
        act(flow, peer)
        self.assertEqual(flow.vm.expect(fake.RESET).id, flow.id)
        self.assertEqual(self.stats("a")["lies"], 1)
        witness.send(b"still here")
        self.assertEqual(peer.recv(100), b"still here")

    def test_index_beyond_the_ring(self):
        def act(flow, _):
            flow.put(PROD, RING + 8)
            flow.ring()
        self.lie(act)

    def test_length_beyond_the_index(self):
        def act(flow, _):
            flow.put_records([bytes(8)])
            struct.pack_into("<I", flow.tx, flow.event.tx_offset, 9)
            flow.ring()
        self.lie(act)

    def test_impossible_length_behind_a_good_one(self):
        def act(flow, peer):
            flow.put_records([b"good one", b"bad one."])
            struct.pack_into("<I", flow.tx, flow.event.tx_offset + 16,
                             0xffffffff)
            flow.ring()
        self.lie(act)


class Scribble(Uplink):
    expected_log = "is impossible|is disconnected"

    def test_scribbling_guest_harms_itself_only(self):
        peer, other = self.peer(), self.peer()
        witness = self.dial(self.guest("b"), other, (B, 1001))
        a = self.guest()
        flows = [self.dial(a, peer, cookie=cookie) for cookie in range(1, 9)]
        chance = random.Random(7)
        until = time.monotonic() + 2
        peer.setblocking(False)
        while time.monotonic() < until:
            flow = chance.choice(flows)
            memory = chance.choice((flow.tx, flow.rx))
            at = chance.choice((
                flow.ctl(chance.choice((PROD, FLAGS, CONS, UNSENT, ERRORS))),
                flow.event.tx_offset + 8 * chance.randrange(64),
                4 * chance.randrange(16, 1056)))
            struct.pack_into("<I", memory, at, chance.choice(
                (0, 1, 8, 64, 1472, 0xffffffff, chance.getrandbits(32))))
            flow.ring()
            try:
                _, address = peer.recvfrom(70000)
                peer.sendto(bytes(100), address)
            except BlockingIOError:
                pass
            if not chance.randrange(20):
                witness.send(b"still here")
                self.assertEqual(other.recv(100), b"still here")
            while a.next_event(0):
                pass
        self.assertGreater(self.stats("a")["lies"], 0)


if __name__ == "__main__":
    unittest.main()
