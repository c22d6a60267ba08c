#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The hub, seen by guests that are played: datagrams to many, and echoes.

usage: switch_hub_test.py VMCIRCUITD [unittest's arguments]
"""

import errno
import os
import socket
import struct
import time
import unittest

import fake_vm as fake
from switch_life_test import CONFIG, SANDBOX, A, A6, B, Base
from switch_uplink_datagram_test import UNSENT, Flow
from switch_uplink_test import CONS, FIN, FLAGS, GONE, PROD, UPLINK

HUB, FEATURE = 2, 8             # the flag of CONNECT, the feature of WELCOME
RING = 1 << 20
GROUPS, GROUP_BITS = 512, 2048
F, F6, D, G = "10.77.0.6", "fd77::6", "10.78.0.1", "10.78.0.9"
GROUP, GROUP6 = "239.1.2.3", "ff05::1:3"
ICMP, UDP, ICMP6 = 1, 17, 58

CONFIGURATION = CONFIG + """
vm "f" {{ socket = "{0}/f" addresses = {{ "10.77.0.6/24", "fd77::6/64" }} }}
vm "g" {{ socket = "{0}/g" addresses = {{ "10.78.0.9/24" }} }}
"""


def raw(address):
    """An address as packets have it, and whether it is IPv4."""
    try:
        return socket.inet_pton(socket.AF_INET, address), True
    except OSError:
        return socket.inet_pton(socket.AF_INET6, address), False


def checksum(data):
    total = sum(struct.unpack(f">{len(data + bytes(len(data) % 2)) // 2}H",
                              data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ip(source, to, protocol, payload, hops=64, offset=0):
    """An IP packet."""
    (source, is_inet), (to, _) = raw(source), raw(to)
    if not is_inet:
        return struct.pack(">IHBB", 6 << 28, len(payload), protocol,
                           hops) + source + to + payload
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 0, offset,
                       hops, protocol, 0) + source + to
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def datagram(source, to, data, port=5353, **options):
    return ip(source, to, UDP, struct.pack(">HHHH", 1001, port,
                                           8 + len(data), 0) + data, **options)


def echo(source, to, data=b"echo", identifier=77, number=1, **options):
    is_inet = raw(source)[1]
    head = struct.pack(">BBHHH", 8 if is_inet else 128, 0, 0, identifier,
                       number)
    return ip(source, to, ICMP if is_inet else ICMP6, head + data, **options)


class Icmp:
    """An ICMP packet taken apart; its sums are right."""

    def __init__(self, packet):
        is_inet = packet[0] >> 4 == 4
        head = 20 if is_inet else 40
        at = 12 if is_inet else 8
        size = 4 if is_inet else 16
        family = socket.AF_INET if is_inet else socket.AF_INET6
        addresses = packet[at:at + 2 * size]
        self.source = socket.inet_ntop(family, addresses[:size])
        self.to = socket.inet_ntop(family, addresses[size:])
        body = packet[head:]
        if is_inet:
            assert packet[9] == ICMP and not checksum(packet[:20])
            assert not checksum(body)
        else:
            assert packet[6] == ICMP6
            assert not checksum(addresses + struct.pack(">II", len(body),
                                                        ICMP6) + body)
        self.hops = packet[8 if is_inet else 7]
        self.type, self.code, _, self.identifier, self.number = \
            struct.unpack_from(">BBHHH", body)
        self.data = body[8:]


class Port(Flow):
    """A guest's end of its circuit to the hub."""

    def join(self, *groups):
        for group in groups:
            number = 0x811c9dc5
            for byte in raw(group)[0]:
                number = (number ^ byte) * 0x01000193 & 0xffffffff
            bit = (number ^ number >> 16) % GROUP_BITS
            at = self.ctl(GROUPS) + bit // 64 * 8
            word, = struct.unpack_from("<Q", self.tx, at)
            struct.pack_into("<Q", self.tx, at, word | 1 << bit % 64)

    def is_empty(self):
        return self.get(PROD) == self.cons & 0xffffffff


class HubBase(Base):
    configuration = CONFIGURATION

    def open(self, name, *groups):
        """A VM with a port, that has joined groups."""
        vm = self.vm(name, hello=False)
        self.assertTrue(vm.hello(features=2).features & FEATURE)
        return self.port(vm, *groups)

    def port(self, vm, *groups):
        vm.connect(0, ("0.0.0.0", 0), ("0.0.0.0", 0), flags=HUB)
        up = vm.expect(fake.LINK_UP, flags=UPLINK)
        port = Port(vm, up, vm.expect(fake.CONNECTED, cookie=0))
        self.assertEqual((port.event.tx_bytes, port.event.rx_bytes),
                         (RING, RING))
        port.up, port.cookie = up, 0
        port.join(*groups)
        return port

    def refused(self, name):
        return self.stats(name)["packets_refused"]

    def descriptors(self):
        """The switch's; a control connection may be among them."""
        return len(os.listdir(f"/proc/{self.switch.pid}/fd"))


class Many(HubBase):
    def test_the_circuit_is_there_and_counts_nowhere(self):
        a = self.open("a")
        self.assertEqual(a.up.peer.rstrip(b"\0"), b"hub")
        stats = self.stats("a")
        self.assertEqual((stats["circuits_now"], stats["ring_bytes"],
                          stats["circuits_opened"]), (0, 0, 0))
        shown = self.ask(command="show", vm="a")
        self.assertEqual([line for line in shown if line["type"] == "circuit"],
                         [])
        self.assertEqual([line["circuits"] for line in shown
                          if line["type"] == "link"], [0])

    def test_one_is_enough(self):
        a = self.open("a")
        a.vm.connect(0, ("0.0.0.0", 0), ("0.0.0.0", 0), flags=HUB)
        a.vm.expect(fake.FAILED, cookie=0, error=errno.EISCONN)

    def test_only_the_first_way_there_is_free(self):
        self.tearDown()
        self.configuration = CONFIGURATION + "max_connects_per_second = 1\n"
        self.setUp()
        a = self.open("a")
        errors = set()
        for _ in range(20):
            a.vm.connect(0, ("0.0.0.0", 0), ("0.0.0.0", 0), flags=HUB)
            errors.add(a.vm.expect(fake.FAILED, cookie=0).error)
        self.assertEqual(errors, {errno.EISCONN, errno.ENOBUFS})

    def test_a_group_is_all_who_joined(self):
        a, b, f = self.open("a", GROUP), self.open("b", GROUP), self.open("f")
        packets = [datagram(A, GROUP, bytes([i])) for i in range(3)]
        a.send(*packets)
        self.assertEqual([b.receive() for _ in range(3)], packets)
        f.join(GROUP)
        a.send(packets[0])
        self.assertEqual((b.receive(), f.receive()), (packets[0],) * 2)
        a.wait_sent()
        self.assertTrue(a.is_empty() and b.is_empty() and f.is_empty())

    def test_both_families_and_all_sizes(self):
        a, b = self.open("a"), self.open("b", GROUP, GROUP6)
        for size in (0, 1, 7, 1400, 65507):
            for packet in (datagram(A, GROUP, os.urandom(size)),
                           datagram(A6, GROUP6, os.urandom(size))):
                a.send(packet)
                self.assertEqual(b.receive(), packet)

    def test_networks_are_kept_apart(self):
        ports = {name: self.open(name, GROUP) for name in "abcde"}
        ports["a"].send(datagram(A, GROUP, b"1"))
        ports["d"].send(datagram(D, GROUP, b"2"))
        ports["c"].send(datagram("10.77.0.3", GROUP, b"3"))
        ports["b"].receive()
        for port in ports.values():
            port.wait_sent()
            self.assertTrue(port.is_empty())

    def test_a_broadcast_is_for_all_of_its_network(self):
        a, b, f, g = (self.open(name) for name in "abfg")
        for to in ("10.77.0.255", "255.255.255.255"):
            a.send(datagram(A, to, b"all"))
            self.assertEqual(b.receive(), f.receive())
        a.send(datagram(A, "255.255.255.255", b"again"))
        self.assertEqual(Icmp if g.is_empty() else len(g.receive()),
                         20 + 8 + 3)
        # Of another network than the sender's it is nobody's.
        a.send(datagram(A, "10.78.0.255", b"no"))
        a.wait_sent()
        self.assertEqual(self.refused("a"), 1)

    def test_what_is_not_for_the_hub_is_refused(self):
        a, b = self.open("a", GROUP), self.open("b", GROUP, GROUP6)
        good = datagram(A, GROUP, b"good")
        bad = [datagram(B, GROUP, b"another's name"),
               datagram("10.77.0.77", GROUP, b"nobody's name"),
               datagram("0.0.0.0", GROUP, b""),
               datagram(A, B, b"to one"),
               datagram(A, GROUP, b"", offset=0x2000),
               datagram(A, GROUP, b"", offset=1),
               ip(A, GROUP, 2, bytes(8)), ip(A, GROUP, 6, bytes(20)),
               ip(A6, GROUP6, 0, bytes(8)), ip(A6, GROUP6, 44, bytes(16)),
               good[:-1], good + b"\0", good[:20], good[:12], b"\x45", b"\0",
               bytes([0x46]) + good[1:], bytes([0x65]) + good[1:],
               datagram(A6, GROUP6, b"x")[:-1], datagram(A6, GROUP6, b"")[:39],
               ip(A, GROUP, UDP, struct.pack(">HHHH", 1, 1, 9, 0)),
               ip(A, B, ICMP, bytes([8, 1]) + bytes(6)),
               ip(A, B, ICMP, bytes([8] + [0] * 6)),
               ip(A, B, ICMP, bytes([5] + [0] * 7)),
               ip(A, GROUP, ICMP, bytes(8))]
        a.send(*bad, good)
        self.assertEqual(b.receive(), good)
        self.assertTrue(a.is_empty() and b.is_empty())
        self.assertEqual(self.refused("a"), len(bad))

    def test_who_does_not_read_loses_and_slows_nobody(self):
        a, b, f = self.open("a"), self.open("b", GROUP), self.open("f", GROUP)
        packets = [datagram(A, GROUP, struct.pack("<I", i) + bytes(8000))
                   for i in range(400)]
        for i in range(0, 400, 50):
            a.send(*packets[i:i + 50])
            for packet in packets[i:i + 50]:
                self.assertEqual(b.receive(), packet)
        lost = self.stats("f")["packets_lost"]
        self.assertTrue(200 < lost < 400, lost)
        self.assertEqual(f.get(UNSENT), lost)
        self.assertEqual(self.stats("b")["packets_lost"], 0)
        for i in range(400 - lost):
            f.receive()
        a.send(packets[7])
        self.assertEqual((b.receive(), f.receive()), (packets[7],) * 2)

    def test_a_flood_leaves_room_for_others(self):
        a, b, f = self.open("a"), self.open("b", GROUP), self.open("f")
        for i in range(0, 300):
            a.send(datagram(A, GROUP, bytes(8000)))
        a.wait_sent()
        lost = self.stats("b")["packets_lost"]
        self.assertGreater(lost, 100)
        f.send(datagram(F, GROUP, bytes(60000)))
        f.wait_sent()
        self.assertEqual(self.stats("b")["packets_lost"], lost)

    def test_a_receiver_leaves_in_the_middle(self):
        a, b = self.open("a"), self.open("b", GROUP)
        before = self.descriptors()
        for _ in range(3):
            f = self.open("f", GROUP)
            a.send(*[datagram(A, GROUP, bytes(1000)) for _ in range(50)])
            f.receive()
            f.vm.socket.close()
            a.send(datagram(A, GROUP, b"end"))
            while b.receive()[-3:] != b"end":
                pass
            f.wait(lambda: self.descriptors() <= before)
            self.vms.remove(f.vm)
            f.vm.close()

    def test_a_sender_leaves_in_the_middle(self):
        a, b = self.open("a"), self.open("b", GROUP)
        a.put_records([datagram(A, GROUP, bytes(60000)) for _ in range(16)])
        a.ring()
        a.vm.send_hello()
        a.vm.expect(fake.WELCOME)
        a = self.port(a.vm)
        a.send(datagram(A, GROUP, b"again"))
        while b.receive()[-5:] != b"again":
            pass

    def test_a_port_is_closed_and_opened_again(self):
        a, b = self.open("a", GROUP), self.open("b")
        a.close()
        # Its answer comes after the CLOSE was taken.
        self.assertEqual(a.vm.listen(1, "0.0.0.0", 80), 0)
        b.send(datagram(B, GROUP, b"nobody"), echo(B, A))
        self.assertEqual(Icmp(b.receive()).type, 3)
        a = self.again(a)
        a.join(GROUP)
        b.send(datagram(B, GROUP, b"somebody"))
        self.assertEqual(a.receive(), datagram(B, GROUP, b"somebody"))

    def lie(self, a, b, f):
        """a's port is gone, nothing else is; return another of a's."""
        a.vm.expect(fake.RESET, error=errno.ECONNRESET)
        self.assertEqual(self.stats("a")["lies"], a.cookie + 1)
        f.send(datagram(F, GROUP, b"x"))
        self.assertEqual(b.receive(), datagram(F, GROUP, b"x"))
        self.assertTrue(a.is_empty())
        a.close(FIN | GONE)
        return self.again(a)

    def again(self, old):
        """Another port over the link that is there."""
        cookie = old.cookie + 1
        old.vm.connect(cookie, ("0.0.0.0", 0), ("0.0.0.0", 0), flags=HUB)
        port = Port(old.vm, old.up, old.vm.expect(fake.CONNECTED,
                                                  cookie=cookie))
        port.up, port.cookie = old.up, cookie
        self.assertNotEqual((port.slot, port.event.generation),
                            (old.slot, old.event.generation))
        return port

    def test_a_lie_about_a_length(self):
        self.expected_log = "is impossible"
        a, b, f = self.open("a"), self.open("b", GROUP), self.open("f")
        for size in (0, 65576, 0xffffffff):
            a.prod = 100000
            a.put(PROD, a.prod)
            struct.pack_into("<I", a.tx, a.event.tx_offset, size)
            a.ring()
            a = self.lie(a, b, f)

    def test_a_record_beyond_the_index(self):
        self.expected_log = "is impossible"
        a, b, f = self.open("a"), self.open("b", GROUP), self.open("f")
        struct.pack_into("<I", a.tx, a.event.tx_offset, 1000)
        a.put(PROD, 512)
        a.ring()
        self.lie(a, b, f)

    def test_a_lie_about_an_index(self):
        self.expected_log = "is impossible"
        a, b, f = self.open("a"), self.open("b", GROUP), self.open("f")
        a.put(PROD, RING + 8)
        a.ring()
        self.lie(a, b, f)

    def test_a_receivers_lie_hits_the_receiver(self):
        self.expected_log = "is impossible"
        a, b, f = self.open("a", GROUP), self.open("b", GROUP), self.open("f")
        a.put(CONS, 99)
        f.send(datagram(F, GROUP, b"x"))
        self.assertEqual(b.receive(), datagram(F, GROUP, b"x"))
        self.lie(a, b, f)

    def test_flags_change_nothing(self):
        a, b = self.open("a"), self.open("b", GROUP)
        a.put(FLAGS, 0xffffffff)
        a.send(datagram(A, GROUP, b"x"))
        self.assertEqual(b.receive(), datagram(A, GROUP, b"x"))


class Between(HubBase):
    """Echoes between VMs, and to nobody: there is no uplink."""

    def test_requests_and_replies_are_passed_on(self):
        a, b = self.open("a"), self.open("b")
        for packet in (echo(A, B), echo(A6, "fd77::2"),
                       echo(A, B, bytes(60000), hops=3)):
            a.send(packet)
            self.assertEqual(b.receive(), packet)
        reply = ip(B, A, ICMP, bytes([0] * 8) + b"reply")
        b.send(reply)
        self.assertEqual(a.receive(), reply)

    def test_an_echo_to_all(self):
        a, b, f = self.open("a"), self.open("b", "ff02::1"), self.open("f")
        packet = echo(A6, "ff02::1", hops=1)
        a.send(packet)
        self.assertEqual(b.receive(), packet)
        self.assertTrue(f.is_empty())

    def test_nobody_is_unreachable(self):
        a = self.open("a")
        self.vm("b")                        # knows of no hub
        self.open("c")                      # another network
        for to in (B, F, "10.77.0.3", "10.77.0.99", "192.0.2.1", "0.0.0.0"):
            request = echo(A, to, bytes(300))
            a.send(request)
            said = Icmp(a.receive())
            self.assertEqual((said.source, said.to, said.type, said.code),
                             (to, A, 3, 1))
            self.assertEqual(said.data, request[:128])
        a.send(echo(A6, "fd77::99"))
        said = Icmp(a.receive())
        self.assertEqual((said.source, said.type, said.code),
                         ("fd77::99", 1, 3))
        # No error is said of a reply.
        a.send(ip(A, B, ICMP, bytes(8)))
        a.wait_sent()
        self.assertTrue(a.is_empty())


NETWORK = """ip link set lo up && ip -6 route add unreachable 2001:db8::/32 &&
echo '{}' >/proc/sys/net/ipv4/ping_group_range && exec "$@"
"""
HOST, HOST6 = "10.77.0.254", "fd77::fe"

UPLINK_CONFIG = CONFIGURATION + f"""
uplink {{{{ host_addresses = {{{{ "{HOST}", "{HOST6}" }}}} }}}}
rule "ports" {{{{ action = "deny" direction = "out" ports = {{{{ "77" }}}} }}}}
rule "b not" {{{{ action = "deny" direction = "out" protocol = "icmp"
                vm = {{{{ "b" }}}} }}}}
rule "home" {{{{ action = "allow" direction = "out" protocol = "icmp"
               remote = {{{{ "127.0.0.0/8", "::1" }}}} }}}}
"""


def in_network(groups):
    """Words that run the switch in a network of its own."""
    return ("unshare", "-n" if os.geteuid() == 0 else "-rn", "sh", "-c",
            NETWORK.format(groups), "sh")


class Outside(HubBase):
    """Echoes to the outside, which is the loopback of a namespace."""

    configuration = UPLINK_CONFIG
    prefix = in_network("0 2147483647")

    def test_the_host_answers(self):
        a = self.open("a")
        self.assertEqual(a.up.peer.rstrip(b"\0"), b"uplink")
        for local, remote in ((A, HOST), (A6, HOST6)):
            for size in (0, 1, 56, 1400, 60000):
                data = os.urandom(size)
                a.send(echo(local, remote, data, 4711, size % 65536))
                said = Icmp(a.receive())
                self.assertEqual(
                    (said.source, said.to, said.type, said.code,
                     said.identifier, said.number, said.data, said.hops),
                    (remote, local, 0 if local == A else 129, 0, 4711,
                     size % 65536, data, 64))

    def test_a_hundred_at_once_come_back(self):
        a = self.open("a")
        a.send(*[echo(A, HOST, bytes(56), 1, i) for i in range(100)])
        self.assertEqual([Icmp(a.receive()).number for _ in range(100)],
                         list(range(100)))

    def test_the_policy_is_asked(self):
        b = self.open("b")
        b.send(echo(B, HOST))
        said = Icmp(b.receive())
        self.assertEqual((said.source, said.type, said.code), (HOST, 3, 13))
        b.send(echo("fd77::2", HOST6))
        said = Icmp(b.receive())
        self.assertEqual((said.type, said.code), (1, 1))
        self.assertEqual(self.stats("b")["denied"], 2)
        for vm, is_allowed in (("a", True), ("b", False)):
            verdict = self.ask(command="policy-test", vm=vm, protocol="icmp",
                               direction="out", remote=HOST)[0]
            self.assertEqual(verdict["allowed"], is_allowed)
        self.assertEqual(verdict["reason"], 'rule "b not" (conf:16)')

    def test_no_route_and_unreachable(self):
        a = self.open("a")
        for local, remote, answer in ((A, "192.0.2.1", (3, 0)),
                                      (A6, "2001:db8::1", (1, 3)),
                                      (A, "10.77.0.99", (3, 1))):
            a.send(echo(local, remote, number=5))
            said = Icmp(a.receive())
            self.assertEqual((said.source, said.type, said.code),
                             (remote, *answer))

    def test_sockets_are_bounded_and_given_back(self):
        before = self.descriptors()
        a = self.open("a")
        opened = self.descriptors()
        for identifier in range(300):
            a.send(echo(A, HOST, b"", identifier))
            self.assertEqual(Icmp(a.receive()).identifier, identifier)
        self.assertTrue(120 < self.descriptors() - opened <= 128)
        a.vm.socket.close()
        a.wait(lambda: self.descriptors() <= before)
        self.vms.remove(a.vm)
        a.vm.close()

    def test_connects_per_second_are_counted(self):
        self.tearDown()
        self.configuration = UPLINK_CONFIG + "max_connects_per_second = 5\n"
        self.setUp()
        a = self.open("a")
        time.sleep(1.1)
        a.send(*[echo(A, HOST, b"", 100 + i) for i in range(20)])
        types = [Icmp(a.receive()).type for _ in range(20)]
        self.assertTrue(5 <= types.count(0) <= 10, types)
        self.assertEqual(types.count(0) + types.count(3), 20)


class Forbidden(HubBase):
    """The system permits no ping sockets."""

    configuration = UPLINK_CONFIG
    prefix = in_network("1 0")
    expected_log = "net.ipv4.ping_group_range"

    def test_the_guest_is_told_and_the_log_says_what_to_do(self):
        a = self.open("a")
        a.send(echo(A, HOST))
        said = Icmp(a.receive())
        self.assertEqual((said.type, said.code), (3, 13))


if __name__ == "__main__":
    unittest.main()
