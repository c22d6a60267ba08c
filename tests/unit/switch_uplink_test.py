#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The uplink, seen by guests that are played and by sockets of the host.

usage: switch_uplink_test.py VMCIRCUITD [unittest's arguments]
"""

import ctypes
import errno
import os
import random
import socket
import struct
import subprocess
import threading
import time
import unittest

import fake_vm as fake
from switch_life_test import A, B, CONFIG, Base

LIBC = ctypes.CDLL(None, use_errno=True)

HOST = "10.77.0.254"        # the guests' name for the host's loopback
UPLINK = 1                  # flag of LINK_UP
CTL, PENDING, ACK, KICK_WANTED = 4 * 4096, 128, 128 + 2048, 64
PROD, FLAGS, CONS, DATA_WAIT, SPACE_WAIT = 0, 4, 64, 128, 132
FIN, RST, GONE = 1, 2, 4


def free_port(kind=socket.SOCK_STREAM):
    """Below the ephemeral ones: nobody else gets it before the switch."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


PUBLISHED = free_port()

UPLINK_CONFIG = CONFIG + f"""
uplink {{{{ host_addresses = {{{{ "{HOST}" }}}} }}}}
publish = {{{{ "127.0.0.1:{PUBLISHED} -> a:80" }}}}
rule "home" {{{{ action = "allow" direction = "out"
               remote = {{{{ "127.0.0.0/8" }}}} }}}}
"""


def read(peer, size):
    """So many bytes, or what there is before the end."""
    data = b""
    while len(data) < size:
        part = peer.recv(size - len(data))
        if not part:
            break
        data += part
    return data


class End:
    """A guest's end of an uplink circuit, played in shared memory."""

    def __init__(self, vm, up, event):
        self.vm, self.link, self.event = vm, event.link, event
        self.id, self.slot = event.id, event.slot
        self.tx = vm.maps[up.tx_window][0]
        self.rx = vm.maps[up.rx_window][0]
        self.prod = self.cons = 0

    def ctl(self, field):
        return CTL + self.slot * 4096 + field

    def get(self, field):
        """A field of the uplink's control page."""
        return struct.unpack_from("<I", self.rx, self.ctl(field))[0]

    def put(self, field, value):
        struct.pack_into("<I", self.tx, self.ctl(field), value & 0xffffffff)

    def ring(self):
        """Ask for a look at the circuit, unless that is under way."""
        word, bit = 8 * (self.slot // 64), 1 << self.slot % 64
        pending, = struct.unpack_from("<Q", self.tx, PENDING + word)
        heard, = struct.unpack_from("<Q", self.rx, ACK + word)
        if not (pending ^ heard) & bit:
            struct.pack_into("<Q", self.tx, PENDING + word, pending ^ bit)
        self.vm.doorbell(self.link)

    def send(self, data):
        """Put data into the ring; it must have room, and not wrap."""
        at = self.event.tx_offset + self.prod % self.event.tx_bytes
        self.tx[at:at + len(data)] = data
        self.prod += len(data)
        self.put(PROD, self.prod)
        self.ring()

    def wait(self, what, timeout=5):
        end = time.monotonic() + timeout
        while not what():
            assert time.monotonic() < end, "it does not come"
            time.sleep(0.001)

    def receive(self, size):
        """Take so many bytes; they must not wrap."""
        self.wait(lambda: self.get(PROD) - self.cons >= size)
        at = self.event.rx_offset + self.cons % self.event.rx_bytes
        data = self.rx[at:at + size]
        self.cons += size
        self.put(CONS, self.cons)
        self.ring()
        return data

    def say(self, flags):
        self.put(FLAGS, flags)
        self.ring()

    def close(self, flags=FIN | GONE):
        self.put(FLAGS, flags)
        self.vm.request(fake.CLOSE, self.id)


class Uplink(Base):
    configuration = UPLINK_CONFIG

    def setUp(self):
        super().setUp()
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.server.settimeout(5)
        self.links = {}
        self.peers = []

    def tearDown(self):
        for peer in (self.server, *self.peers):
            peer.close()
        super().tearDown()

    def up(self, vm):
        """The link to the uplink, from the LINK_UP that is due first."""
        if vm not in self.links:
            self.links[vm] = vm.expect(fake.LINK_UP, flags=UPLINK)
        return self.links[vm]

    def dial(self, vm, address=A, cookie=1):
        """An open circuit from a guest to the host: (its end, the peer)."""
        vm.connect(cookie, (address, 1000 + cookie), (HOST, self.port))
        up = self.up(vm)
        end = End(vm, up, vm.expect(fake.CONNECTED, cookie=cookie))
        peer, _ = self.server.accept()
        peer.settimeout(5)
        self.peers.append(peer)
        return end, peer

    def echo(self, end, peer, data=b"over and back"):
        end.send(data)
        self.assertEqual(read(peer, len(data)), data)
        peer.sendall(data[::-1])
        self.assertEqual(end.receive(len(data)), data[::-1])

    def assert_reset(self, peer):
        with self.assertRaises(ConnectionResetError):
            while peer.recv(65536):
                pass


class Out(Uplink):
    def test_bytes_go_both_ways(self):
        end, peer = self.dial(self.vm("a"))
        for number in range(20):
            self.echo(end, peer, bytes([number]) * 3001)

    def test_link_is_called_uplink_and_made_once(self):
        a = self.vm("a")
        self.dial(a)
        self.assertEqual(self.links[a].peer.rstrip(b"\0"), b"uplink")
        before = a.map_requests
        self.dial(a, cookie=2)
        self.assertEqual(a.map_requests, before)

    def test_sleeping_guest_is_kicked(self):
        end, peer = self.dial(self.vm("a"))
        end.put(DATA_WAIT, 1)
        struct.pack_into("<I", end.tx, KICK_WANTED, 1)
        peer.sendall(b"wake up")
        end.vm.expect(fake.KICK, link=end.link)
        self.assertEqual(end.receive(7), b"wake up")

    def test_guest_ends_first(self):
        end, peer = self.dial(self.vm("a"))
        end.send(b"last words")
        end.say(FIN)
        self.assertEqual(read(peer, 100), b"last words")
        peer.sendall(b"answer")
        self.assertEqual(end.receive(6), b"answer")
        peer.close()
        end.wait(lambda: end.get(FLAGS) & FIN)
        end.close()
        self.wait_stat("a", "circuits_now", 0)
        at = end.event.tx_offset
        self.assertEqual(end.tx[at:at + 10], bytes(10))

    def test_host_ends_first(self):
        end, peer = self.dial(self.vm("a"))
        peer.sendall(b"last words")
        peer.shutdown(socket.SHUT_WR)
        end.wait(lambda: end.get(FLAGS) & FIN)
        self.assertEqual(end.receive(10), b"last words")
        end.send(b"answer")
        end.close()
        self.assertEqual(read(peer, 100), b"answer")
        self.wait_stat("a", "circuits_now", 0)

    def test_close_without_a_bell_sends_all(self):
        end, peer = self.dial(self.vm("a"))
        data = os.urandom(200000)
        at = end.event.tx_offset
        end.tx[at:at + len(data)] = data
        end.put(PROD, len(data))
        end.close()
        self.assertEqual(read(peer, 300000), data)

    def test_guest_resets(self):
        end, peer = self.dial(self.vm("a"))
        end.close(FIN | GONE | RST)
        self.assert_reset(peer)
        self.wait_stat("a", "circuits_now", 0)

    def fill(self, end):
        """Send until neither the peer nor its host take more."""
        for _ in range(64):
            try:
                end.wait(lambda: end.get(CONS) == end.prod, 0.3)
            except AssertionError:
                return
            end.send(bytes(end.event.tx_bytes))
        self.fail("the peer takes all")

    def test_guest_resets_while_the_peer_does_not_read(self):
        end, peer = self.dial(self.vm("a"))
        self.fill(end)
        end.close(FIN | GONE | RST)
        self.wait_stat("a", "circuits_now", 0)
        self.assert_reset(peer)

    def test_guest_resets_after_its_fin(self):
        end, peer = self.dial(self.vm("a"))
        end.say(FIN)
        self.assertEqual(read(peer, 1), b"")
        peer.sendall(b"not read")
        end.wait(lambda: end.get(PROD) == 8)
        end.close(FIN | GONE | RST)
        self.wait_stat("a", "circuits_now", 0)
        with self.assertRaises(ConnectionError):
            for _ in range(100):
                peer.sendall(b"x")
                time.sleep(0.01)

    def test_peer_that_never_reads_holds_the_rings_for_a_time(self):
        end, peer = self.dial(self.vm("a"))
        self.fill(end)
        end.close()
        self.wait_stat("a", "circuits_now", 1)
        timers = subprocess.run(["ss", "-Hton", "dport", f"= {self.port}"],
                                capture_output=True, text=True, check=True)
        self.assertIn("timer:", timers.stdout)
        self.assertEqual(self.host_option(socket.TCP_USER_TIMEOUT), 120000)

    def host_option(self, option):
        """A TCP option of the switch's socket to our server."""
        pidfd = os.pidfd_open(self.switch.pid)
        for entry in os.listdir(f"/proc/{self.switch.pid}/fd"):
            path = f"/proc/{self.switch.pid}/fd/{entry}"
            if not os.readlink(path).startswith("socket:"):
                continue
            # pidfd_getfd(2), which Python does not have.
            fd = LIBC.syscall(438, pidfd, int(entry), 0)
            with socket.socket(fileno=fd) as copy:
                try:
                    if copy.getpeername() == ("127.0.0.1", self.port):
                        return copy.getsockopt(socket.IPPROTO_TCP, option)
                except OSError:
                    continue
        raise AssertionError("the switch has no such socket")

    def test_host_resets_after_data(self):
        end, peer = self.dial(self.vm("a"))
        end.vm.expect_nothing(0.01)
        peer.sendall(b"before")
        end.wait(lambda: end.get(PROD) == 6)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                        struct.pack("ii", 1, 0))
        peer.close()
        reset = end.vm.expect(fake.RESET)
        self.assertEqual((reset.id, reset.error), (end.id, errno.ECONNRESET))
        self.assertEqual(end.receive(6), b"before")
        end.close()
        self.wait_stat("a", "circuits_now", 0)

    def test_full_ring_stops_its_own_direction_only(self):
        a = self.vm("a")
        end, peer = self.dial(a)
        other, other_peer = self.dial(a, cookie=2)
        size = end.event.rx_bytes
        data = os.urandom(3 * size)
        sender = threading.Thread(target=peer.sendall, args=(data,))
        sender.start()
        end.wait(lambda: end.get(PROD) == size)
        self.echo(other, other_peer)
        end.send(b"still open")
        self.assertEqual(read(peer, 10), b"still open")
        got = b""
        while len(got) < len(data):
            got += end.receive(min(size // 4, len(data) - len(got)))
        sender.join()
        self.assertEqual(got, data)

    def test_errors(self):
        a = self.vm("a")
        self.server.close()
        for remote, error in (((HOST, self.port), errno.ECONNREFUSED),
                              (("10.77.0.9", 80), errno.EHOSTUNREACH),
                              (("169.254.169.254", 80), errno.EACCES),
                              (("fe80::1", 80), errno.EACCES)):
            local = (A if "." in remote[0] else "fd77::1", 1001)
            a.connect(5, local, remote)
            if remote[0] == HOST:
                self.up(a)
            a.expect(fake.FAILED, cookie=5, error=error)
        self.assertEqual(self.stats("a")["denied"], 2)

    def test_cancel_ends_the_host_socket(self):
        a = self.vm("a")
        deaf = socket.socket()
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        self.peers += [deaf, socket.create_connection(deaf.getsockname())]
        before = self.descriptors()
        a.connect(9, (A, 1009), (HOST, deaf.getsockname()[1]))
        self.up(a)
        a.expect_nothing(0.05)
        linked = self.descriptors()
        self.assertGreater(linked, before)
        a.request(fake.CANCEL, struct.pack("<II", 9, 0))
        end = time.monotonic() + 5
        while self.descriptors() == linked:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.005)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.switch.pid}/fd"))

    def test_a_vm_that_leaves_resets_its_peers(self):
        a = self.vm("a")
        _, first = self.dial(a)
        _, second = self.dial(a, cookie=2)
        a.close()
        self.vms.remove(a)
        self.assert_reset(first)
        self.assert_reset(second)

    def test_a_vm_that_leaves_with_unsent_data(self):
        before = self.descriptors()
        a = self.vm("a")
        end, peer = self.dial(a)
        self.fill(end)
        a.close()
        self.vms.remove(a)
        # The peer has not read, so nothing of the rest is acknowledged.
        end = time.monotonic() + 5
        while self.descriptors() > before:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.005)
        self.assert_reset(peer)

    def test_much_data_goes_out_whole(self):
        end, peer = self.dial(self.vm("a"))
        sent = []
        reader = []
        thread = threading.Thread(
            target=lambda: reader.append(read(peer, 20 << 20)))
        thread.start()
        for _ in range(20):
            end.wait(lambda: end.get(CONS) == end.prod)
            sent.append(os.urandom(1 << 20))
            end.send(sent[-1])
        thread.join()
        self.assertEqual(reader[0], b"".join(sent))

    def test_hello_starts_afresh(self):
        a = self.vm("a")
        end, peer = self.dial(a)
        a.send_hello()
        self.assert_reset(peer)
        a.expect(fake.WELCOME, error=0)
        self.assertEqual(self.stats("a")["circuits_now"], 0)
        del self.links[a]
        self.echo(*self.dial(a))


class Limits(Uplink):
    configuration = UPLINK_CONFIG.replace(
        'vm "a" {{', 'vm "a" {{ max_ring_mib = 4 ')
    expected_log = "is at its limit"

    def test_many_connects_at_once_do_not_evade_the_limit(self):
        a = self.vm("a")
        self.dial(a)
        for cookie in range(2, 22):
            a.connect(cookie, (A, 1000 + cookie), (HOST, self.port))
        answers = [a.next_event().type for _ in range(2, 22)]
        self.assertEqual(answers.count(fake.CONNECTED), 1)
        self.assertEqual(self.stats("a")["ring_bytes"], 4 << 20)
        self.assertGreater(self.stats("a")["over_quota"], 0)


class LittleLockedMemory(Uplink):
    prefix = ("prlimit", f"--memlock={1 << 20}", "setpriv", "--bounding-set",
              "-all")

    def test_sends_go_on_with_a_copy(self):
        a = self.vm("a")
        circuits = [self.dial(a, cookie=cookie) for cookie in range(1, 17)]
        data = os.urandom(1 << 20)
        for end, _ in circuits:
            end.send(data)
        for _, peer in circuits:
            self.assertEqual(read(peer, len(data)), data)
        for circuit in circuits:
            self.echo(*circuit)


@unittest.skipUnless(os.path.exists("/proc/sys/net/mptcp/enabled"),
                     "this host has no MPTCP")
class Mptcp(Uplink):
    configuration = UPLINK_CONFIG.replace(
        "remote =", 'transport = "mptcp" remote =')

    def test_mptcp_sends_with_a_copy(self):
        end, peer = self.dial(self.vm("a"))
        data = os.urandom(500000)
        end.send(data)
        self.assertEqual(read(peer, len(data)), data)
        self.echo(end, peer)


class In(Uplink):
    def call(self):
        """A connection from outside."""
        peer = socket.create_connection(("127.0.0.1", PUBLISHED), 5)
        self.peers.append(peer)
        return peer

    def listening(self):
        a = self.vm("a")
        self.assertEqual(a.listen(7, "0.0.0.0", 80), 0)
        return a

    def test_nobody_listens(self):
        self.vm("a")
        with self.assertRaises(ConnectionRefusedError):
            self.call()

    def test_outside_comes_in(self):
        a = self.listening()
        peer = self.call()
        up = self.up(a)
        offer = a.expect(fake.OFFER, listener=7)
        self.assertEqual(offer.local, fake.name(A, 80))
        # Not 127.0.0.1, which guests trust.
        self.assertEqual(offer.remote,
                         fake.name(HOST, peer.getsockname()[1]))
        a.accept(offer)
        self.echo(End(a, up, offer), peer)

    def test_refusal_is_a_reset(self):
        a = self.listening()
        peer = self.call()
        self.up(a)
        offer = a.expect(fake.OFFER)
        a.request(fake.REFUSE, offer.id + struct.pack("<II", 0, 0))
        self.assert_reset(peer)
        self.wait_stat("a", "circuits_now", 0)

    def test_peer_that_leaves_before_the_answer(self):
        a = self.listening()
        peer = self.call()
        up = self.up(a)
        offer = a.expect(fake.OFFER)
        peer.sendall(b"gone")
        peer.close()
        a.accept(offer)
        end = End(a, up, offer)
        self.assertEqual(end.receive(4), b"gone")
        end.wait(lambda: end.get(FLAGS) & FIN)

    def test_unanswered_offers_are_bounded(self):
        a = self.listening()
        for _ in range(70):
            self.call()
        self.up(a)
        offers = [a.expect(fake.OFFER) for _ in range(64)]
        a.expect_nothing(0.05)
        a.accept(offers[0])
        a.expect(fake.OFFER)

    def test_unlisten_closes_the_port(self):
        a = self.listening()
        a.request(fake.UNLISTEN, struct.pack("<II", 7, 0))
        self.assertEqual(a.listen(8, "0.0.0.0", 81), 0)
        with self.assertRaises(ConnectionRefusedError):
            self.call()
        self.assertEqual(a.listen(9, "0.0.0.0", 80), 0)
        self.call()


class Lies(Uplink):
    expected_log = "an index of circuit 0 of the uplink is impossible"

    def lie(self, field, value):
        b = self.vm("b")
        witness = self.dial(b, B)
        end, peer = self.dial(self.vm("a"))
        end.put(field, value(end))
        end.ring()
        # The consumer's index is looked at when there is something to give;
        # for a lie about the other the peer is reset at once.
        if field == CONS:
            peer.sendall(b"data")
        self.assertEqual(end.vm.expect(fake.RESET).id, end.id)
        self.assert_reset(peer)
        self.assertEqual(self.stats("a")["lies"], 1)
        self.echo(*witness)

    def test_producer_index_beyond_the_ring(self):
        self.lie(PROD, lambda end: end.event.tx_bytes + 1)

    def test_producer_index_goes_back(self):
        self.lie(PROD, lambda end: -1)

    def test_consumer_index_ahead(self):
        self.lie(CONS, lambda end: 1000)


class Scribble(Uplink):
    expected_log = "is impossible|is disconnected"

    def test_scribbling_guest_harms_itself_only(self):
        witness = self.dial(self.vm("b"), B)
        a = self.vm("a")
        ends = [self.dial(a, cookie=cookie)[0] for cookie in range(1, 9)]
        chance = random.Random(7)
        until = time.monotonic() + 2
        while time.monotonic() < until:
            end = chance.choice(ends)
            value = chance.choice((0, 1, 0xffffffff, 0x80000000,
                                   chance.getrandbits(32)))
            # Its own segment and the uplink's: nobody keeps it from that.
            memory = chance.choice((end.tx, end.rx))
            at = chance.choice((
                end.ctl(chance.choice((PROD, FLAGS, CONS, DATA_WAIT,
                                       SPACE_WAIT))),
                end.ctl(4 * chance.randrange(1024)),
                4 * chance.randrange(16, 1056)))
            struct.pack_into("<I", memory, at, value)
            end.ring()
            if not chance.randrange(20):
                self.echo(*witness)
            while a.next_event(0):
                pass
        self.echo(*witness)
        self.assertGreater(self.stats("a")["lies"], 0)


if __name__ == "__main__":
    unittest.main()
