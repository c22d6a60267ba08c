#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The switch's whole life, seen by guests and hypervisors that are played.

usage: switch_life_test.py VMCIRCUITD [unittest's arguments]
"""

import errno
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

import fake_vm as fake
from fake_vm import FakeVm, Gone

# Sanitizers need system calls that the sandbox forbids.
SANDBOX = "false" if os.environ.get("NO_SANDBOX") else "true"
SWITCH = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else ""

CONFIG = """
control = "{0}/control"
sandbox = {1}
vm "a" {{ socket = "{0}/a" addresses = {{ "10.77.0.1/24", "fd77::1/64" }} }}
vm "b" {{ socket = "{0}/b" addresses = {{ "10.77.0.2/24", "fd77::2/64" }} }}
vm "c" {{ socket = "{0}/c" addresses = {{ "10.77.0.3/24" }} network = "else" }}
network "cells" {{ isolated = true }}
vm "d" {{ socket = "{0}/d" addresses = {{ "10.78.0.1/24" }} network = "cells" }}
vm "e" {{ socket = "{0}/e" addresses = {{ "10.78.0.2/24" }} network = "cells" }}
"""

A, A6 = "10.77.0.1", "fd77::1"
B, B6 = "10.77.0.2", "fd77::2"


class Base(unittest.TestCase):
    """One switch for each test."""

    # A sanitizer or a warning in the log fails the test, unless expected.
    expected_log = None
    environment = {}
    configuration = CONFIG
    prefix = ()             # words before the switch's command

    def setUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.config = self.directory.name + "/conf"
        with open(self.config, "w", encoding="ascii") as file:
            file.write(self.configuration.format(self.directory.name,
                                                 SANDBOX))
        self.log = open(self.directory.name + "/log", "w+b")
        self.vms = []
        self.start()

    def start(self):
        self.switch = subprocess.Popen([*self.prefix, SWITCH, "--config",
                                        self.config],
                                       stderr=self.log,
                                       env={**os.environ, **self.environment})
        control = self.directory.name + "/control"
        end = time.monotonic() + 10
        while True:
            try:
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect(control)
                return
            except OSError:
                self.assertIsNone(self.switch.poll(), "the switch ended")
                self.assertLess(time.monotonic(), end)
                time.sleep(0.01)

    def tearDown(self):
        for vm in self.vms:
            vm.close()
        self.switch.send_signal(signal.SIGTERM)
        code = self.switch.wait(10)
        self.log.seek(0)
        log = self.log.read().decode()
        self.log.close()
        self.directory.cleanup()
        self.assertEqual(code, 0, log)
        lies = [line for line in log.splitlines()
                if not re.match("vmcircuitd: (info|debug)", line)]
        if self.expected_log is None:
            self.assertEqual(lies, [])
        else:
            self.assertTrue(any(re.search(self.expected_log, line)
                                for line in lies), log)
            self.assertNotIn("Sanitizer", log)

    def vm(self, name, hello=True, **options):
        vm = FakeVm(f"{self.directory.name}/{name}", **options)
        self.vms.append(vm)
        if hello:
            self.assertEqual(vm.hello().error, 0)
        return vm

    def pair(self, **options):
        """Two VMs; b listens on port 80."""
        a, b = self.vm("a", **options), self.vm("b", **options)
        self.assertEqual(b.listen(7, "0.0.0.0", 80), 0)
        return a, b

    def collect(self, *vms, until, timeout=5):
        """Serve several VMs at once until the wanted number of events."""
        found = {vm: [] for vm in vms}
        end = time.monotonic() + timeout
        while sum(map(len, found.values())) < until:
            self.assertLess(time.monotonic(), end, found)
            for vm in vms:
                event = vm.next_event(0.002)
                if event:
                    found[vm].append(event)
        return [found[vm] for vm in vms]

    def offer(self, a, b, cookie=1, remote=(B, 80), **wishes):
        """CONNECT until OFFER over a link that is made when needed."""
        a.connect(cookie, (A, 1000 + cookie), remote, **wishes)
        for event in self.collect(a, b, until=3)[1]:
            if event.type == fake.OFFER:
                return event
        raise AssertionError("no OFFER")

    def offer_again(self, a, b, cookie, remote=(B, 80)):
        """The same over a link that is up."""
        a.connect(cookie, (A, 1000 + cookie), remote)
        return b.expect(fake.OFFER)

    def circuit(self, a, b, cookie=1, offer=None):
        offer = offer or self.offer(a, b, cookie)
        b.accept(offer)
        return a.expect(fake.CONNECTED, cookie=cookie), offer

    def ask(self, **request):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.directory.name + "/control")
            client.sendall(json.dumps(request).encode() + b"\n")
            lines = []
            for text in client.makefile():
                lines.append(json.loads(text))
                if lines[-1]["type"] in ("end", "error"):
                    return lines
        raise AssertionError("no end")

    def stats(self, name):
        return self.ask(command="stats", vm=name)[0]

    def wait_stat(self, name, key, value):
        end = time.monotonic() + 5
        while self.stats(name)[key] != value:
            self.assertLess(time.monotonic(), end,
                            f"{key} is {self.stats(name)[key]}")
            time.sleep(0.005)


class Handshake(Base):
    def test_welcome_tells_name_addresses_and_heartbeat(self):
        a = self.vm("a", hello=False)
        welcome = a.hello()
        self.assertEqual(welcome.name.rstrip(b"\0"), b"a")
        self.assertEqual(welcome.nr_addresses, 2)
        self.assertEqual(welcome.epoch, a.epoch)
        page, size, access = a.maps[welcome.switch_page]
        self.assertEqual((size, access), (4096, 0))
        self.assertEqual(struct.unpack_from("<QQ", page),
                         (0x31475753434d56, a.epoch))
        first, = struct.unpack_from("<I", page, 16)
        time.sleep(0.3)
        later, = struct.unpack_from("<I", page, 16)
        self.assertTrue(3 <= later - first <= 8, later - first)

    def test_nothing_is_answered_before_hello(self):
        a = self.vm("a", hello=False)
        a.expect(fake.ATTACH)
        a.request(fake.LISTEN, struct.pack("<IB3x", 1, 0) +
                  fake.name("0.0.0.0", 80) + bytes(8))
        a.expect_nothing()

    def test_wrong_version_is_welcomed_with_an_error(self):
        self.expected_log = "speaks protocol version 9"
        a = self.vm("a", hello=False)
        self.assertEqual(a.hello(version=9).error, errno.EPROTONOSUPPORT)

    def test_hello_for_another_epoch_is_ignored(self):
        a = self.vm("a", hello=False)
        a.epoch = a.expect(fake.ATTACH).epoch
        a.epoch ^= 1
        a.send_hello()
        a.expect_nothing()
        a.epoch ^= 1
        a.send_hello()
        a.expect(fake.WELCOME, error=0)

    def test_hello_again_drops_everything(self):
        a, b = self.pair()
        self.circuit(a, b)
        b.send_hello()
        b.expect(fake.WELCOME)
        self.assertEqual(len(b.maps), 1)
        down = a.expect(fake.LINK_DOWN)
        a.connect(9, (A, 5), (B, 80))
        a.expect(fake.FAILED, cookie=9, error=errno.ECONNREFUSED)
        a.request(fake.LINK_RELEASED, struct.pack("<II", down.link,
                                                  down.generation))
        a.expect_nothing()
        self.assertEqual(len(a.maps), 1)

    def test_a_hypervisor_without_announcements_is_served(self):
        a, b = self.pair(announce=False)
        self.circuit(a, b)

    def test_reset_of_the_device_starts_afresh(self):
        a, b = self.pair()
        self.circuit(a, b)
        b.reset()
        a.expect(fake.LINK_DOWN)
        b.start()
        b.hello()
        self.assertEqual(b.unmap_requests, 0)
        self.assertEqual(b.listen(7, "0.0.0.0", 80), 0)
        self.circuit(a, b, 2)

    def test_mappings_of_an_earlier_switch_are_cleared(self):
        b = self.vm("b")
        b.socket.close()
        b.backend.close()
        left = dict(b.maps)
        again = FakeVm(self.directory.name + "/b", attach=False)
        self.vms.append(again)
        again.negotiate()
        fd = os.memfd_create("left")
        os.ftruncate(fd, fake.SEGMENT)
        os.pwrite(fd, struct.pack("<Q", 0x31474553434d56), 0)
        offset = 5 * fake.SEGMENT
        again.maps = {offset: (None, fake.SEGMENT, 1)}
        again.tell(37, again.region(fake.WINDOW_GUEST + offset, fake.SEGMENT,
                                    fake.RAM_USER * 2 + offset), [fd])
        os.close(fd)
        again.add_ram()
        again.start()
        again.hello()
        self.assertEqual(list(again.maps), list(left))
        self.assertEqual(again.unmap_requests, 1)


class Connect(Base):
    def test_a_circuit_from_offer_to_close(self):
        a, b = self.pair()
        a.connect(1, (A, 1001), (B, 80))
        (up_a,), (up_b, offer) = self.collect(a, b, until=3)
        self.assertEqual((up_a.type, up_b.type), (fake.LINK_UP,) * 2)
        self.assertEqual(up_a.peer.rstrip(b"\0"), b"b")
        self.assertEqual((a.maps[up_a.tx_window][2],
                          a.maps[up_a.rx_window][2]), (1, 0))
        self.assertEqual(offer.local, fake.name(B, 80))
        self.assertEqual(offer.remote, fake.name(A, 1001))
        connected, offer = self.circuit(a, b, offer=offer)
        self.assertEqual((connected.tx_offset, connected.rx_offset),
                         (offer.rx_offset, offer.tx_offset))
        # What one writes into its segment, the other reads.
        at = connected.tx_offset
        a.maps[up_a.tx_window][0][at:at + 5] = b"hello"
        self.assertEqual(b.maps[up_b.rx_window][0][at:at + 5], b"hello")
        a.doorbell(connected.link)
        b.expect(fake.KICK, link=offer.link)
        b.doorbell(offer.link)
        a.expect(fake.KICK, link=connected.link)
        a.request(fake.CLOSE, connected.id)
        self.settle(a)
        self.assertEqual(self.stats("a")["circuits_now"], 1)
        b.request(fake.CLOSE, offer.id)
        self.settle(b)
        self.assertEqual(self.stats("a")["circuits_now"], 0)
        self.assertEqual(b.maps[up_b.rx_window][0][at:at + 5], bytes(5))

    def settle(self, vm):
        """Until the switch has handled all of a VM's requests."""
        vm.request(fake.UNLISTEN, struct.pack("<II", 9999, 0))
        vm.listen(9998, "0.0.0.0", 9)
        vm.request(fake.UNLISTEN, struct.pack("<II", 9998, 0))

    def test_a_second_circuit_maps_nothing(self):
        a, b = self.pair()
        self.circuit(a, b)
        before = a.map_requests, b.map_requests
        self.circuit(a, b, 2, self.offer_again(a, b, 2))
        self.assertEqual((a.map_requests, b.map_requests), before)

    def refused(self, vm, local, remote):
        vm.connect(5, local, remote)
        return vm.expect(fake.FAILED, cookie=5).error

    def test_errors(self):
        a, b = self.pair()
        self.vm("c")
        for local, remote, error in (
                ((A, 1), (B, 81), errno.ECONNREFUSED),
                ((A, 1), ("10.77.0.9", 80), errno.EHOSTUNREACH),
                ((A, 1), ("10.77.0.3", 80), errno.EHOSTUNREACH),
                ((A, 1), ("10.78.0.1", 80), errno.EHOSTUNREACH),
                (("10.77.0.9", 1), (B, 80), errno.EADDRNOTAVAIL),
                (("127.0.0.1", 1), (B, 80), errno.EADDRNOTAVAIL),
                ((B, 1), (B, 80), errno.EADDRNOTAVAIL),
                ((A6, 1), (B, 80), errno.EAFNOSUPPORT),
                ((A, 1), ("0.0.0.0", 80), errno.EADDRNOTAVAIL),
                ((A, 0), (B, 80), errno.EADDRNOTAVAIL)):
            self.assertEqual(self.refused(a, local, remote), error,
                             (local, remote))
        self.assertEqual(len(a.maps), 1)

    def test_isolated_network(self):
        d, e = self.vm("d"), self.vm("e")
        self.assertEqual(e.listen(1, "0.0.0.0", 80), 0)
        self.assertEqual(self.refused(d, ("10.78.0.1", 1), ("10.78.0.2", 80)),
                         errno.EHOSTUNREACH)

    def test_to_itself(self):
        a = self.vm("a")
        self.assertEqual(a.listen(1, "127.0.0.1", 80), 0)
        a.connect(1, ("127.0.0.1", 99), ("127.0.0.1", 80))
        ups = [a.expect(fake.LINK_UP), a.expect(fake.LINK_UP)]
        self.assertEqual((ups[0].tx_window, ups[0].rx_window),
                         (ups[1].rx_window, ups[1].tx_window))
        self.assertEqual({a.maps[up.tx_window][2] for up in ups}, {1})
        self.assertEqual(len(a.maps), 3)
        offer = a.expect(fake.OFFER)
        a.accept(offer)
        connected = a.expect(fake.CONNECTED)
        self.assertEqual({offer.link, connected.link},
                         {up.link for up in ups})
        a.doorbell(offer.link)
        a.expect(fake.KICK, link=connected.link)
        a.request(fake.CLOSE, offer.id)
        a.request(fake.CLOSE, connected.id)
        self.settle(a)
        self.assertEqual(self.stats("a")["circuits_now"], 0)

    def test_loopback_listener_is_for_oneself(self):
        a, b = self.pair()
        self.assertEqual(b.listen(8, "127.0.0.1", 90), 0)
        self.assertEqual(self.refused(a, (A, 1), (B, 90)),
                         errno.ECONNREFUSED)

    def test_listen_errors(self):
        a = self.vm("a")
        self.assertEqual(a.listen(1, B, 80), errno.EADDRNOTAVAIL)
        self.assertEqual(a.listen(1, A, 80), 0)
        self.assertEqual(a.listen(1, A, 81), errno.EADDRINUSE)
        self.assertEqual(a.listen(2, A, 80), 0)

    def test_dual_stack(self):
        a, b = self.vm("a"), self.vm("b")
        self.assertEqual(b.listen(1, "::", 80), 0)
        self.assertEqual(b.listen(2, "::", 81, v6only=1), 0)
        self.assertEqual(self.offer(a, b).listener, 1)
        self.assertEqual(self.refused(a, (A, 1), (B, 81)),
                         errno.ECONNREFUSED)
        a.connect(3, (A6, 1), (B6, 81))
        self.assertEqual(b.expect(fake.OFFER).listener, 2)

    def test_refuse(self):
        a, b = self.pair()
        offer = self.offer(a, b)
        b.request(fake.REFUSE, offer.id + struct.pack("<II", 0, 0))
        a.expect(fake.FAILED, cookie=1, error=errno.ECONNREFUSED)
        offer = self.offer_again(a, b, 2)
        b.request(fake.REFUSE, offer.id + struct.pack("<II", 13, 0))
        a.expect(fake.FAILED, cookie=2, error=13)
        self.assertEqual(self.stats("b")["circuits_now"], 0)

    def test_cancel_withdraws_the_offer(self):
        a, b = self.pair()
        offer = self.offer(a, b)
        a.request(fake.CANCEL, struct.pack("<II", 1, 0))
        reset = b.expect(fake.RESET)
        self.assertEqual(reset.id, offer.id)
        b.request(fake.CLOSE, offer.id)
        self.settle(b)
        self.assertEqual(self.stats("b")["circuits_now"], 0)

    def test_cancel_crosses_accept_and_refuse(self):
        a, b = self.pair()
        for cookie, answer in ((1, fake.ACCEPT), (2, fake.REFUSE)):
            offer = (self.offer if cookie == 1 else self.offer_again)(
                a, b, cookie)
            a.request(fake.CANCEL, struct.pack("<II", cookie, 0))
            b.expect(fake.RESET)
            b.request(answer, offer.id + bytes(8))
            b.request(fake.CLOSE, offer.id)
        self.settle(b)
        a.expect_nothing()
        stats = self.stats("b")
        self.assertEqual((stats["circuits_now"], stats["lies"]), (0, 0))

    def test_cancel_after_connected_is_ignored(self):
        a, b = self.pair()
        self.circuit(a, b)
        a.request(fake.CANCEL, struct.pack("<II", 1, 0))
        self.settle(a)
        b.expect_nothing()
        self.assertEqual(self.stats("a")["stale"], 2)

    def test_cancel_while_the_link_is_mapped(self):
        a, b = self.pair()
        a.connect(1, (A, 1), (B, 80))
        a.request(fake.CANCEL, struct.pack("<II", 1, 0))
        ups = self.collect(a, b, until=2)
        self.assertEqual([x.type for y in ups for x in y],
                         [fake.LINK_UP] * 2)
        b.expect_nothing()

    def test_wishes(self):
        a, b = self.vm("a"), self.vm("b")
        b.listen(7, "0.0.0.0", 80, tx=1 << 20, rx=0)
        offer = self.offer(a, b, tx=20000, rx=30000)
        self.assertEqual((offer.tx_bytes, offer.rx_bytes),
                         (1 << 20, 32768))

    def test_slots_are_not_reused_at_once(self):
        a, b = self.pair()
        seen = set()
        connected, offer = self.circuit(a, b)
        for cookie in range(2, 150):
            self.assertNotIn(offer.id, seen)
            seen.add(offer.id)
            a.request(fake.CLOSE, connected.id)
            b.request(fake.CLOSE, offer.id)
            self.settle(a)
            self.settle(b)
            connected, offer = self.circuit(
                a, b, cookie, self.offer_again(a, b, cookie))
        self.assertLess(max(struct.unpack("<IIII", x)[1] for x in seen), 70)

    def test_mapping_refused(self):
        self.expected_log = "cannot be mapped"
        a, b = self.pair()
        b.refuse_maps = True
        a.connect(1, (A, 1), (B, 80))
        (failed,), _ = self.collect(a, b, until=1)
        self.assertEqual((failed.type, failed.error),
                         (fake.FAILED, errno.ENOBUFS))
        for vm in (a, b):
            vm.expect_nothing()
            self.assertEqual(len(vm.maps), 1)
        b.refuse_maps = False
        self.circuit(a, b, 2)


class Death(Base):
    def test_peer_is_told_and_releases(self):
        a, b = self.pair()
        connected, _ = self.circuit(a, b)
        b.close()
        self.vms.remove(b)
        began = time.monotonic()
        down = a.expect(fake.LINK_DOWN, link=connected.link)
        self.assertLess(time.monotonic() - began, 0.1)
        # Not before the release.
        a.expect_nothing(0.2)
        self.assertEqual(len(a.maps), 3)
        a.request(fake.CLOSE, connected.id)
        a.request(fake.LINK_RELEASED,
                  struct.pack("<II", down.link, down.generation))
        a.expect_nothing()
        self.assertEqual(len(a.maps), 1)
        self.assertEqual(self.stats("a")["lies"], 0)

    def test_back_before_the_release(self):
        a, b = self.pair()
        connected, _ = self.circuit(a, b)
        b.close()
        self.vms.remove(b)
        a.expect(fake.LINK_DOWN)
        b = self.vm("b")
        b.listen(7, "0.0.0.0", 80)
        again, _ = self.circuit(a, b, 2)
        self.assertNotEqual(again.link, connected.link)

    def test_while_an_offer_is_open(self):
        a, b = self.pair()
        self.offer(a, b)
        b.close()
        self.vms.remove(b)
        a.expect(fake.FAILED, cookie=1, error=errno.EHOSTUNREACH)
        a.expect(fake.LINK_DOWN)

    def test_while_the_link_is_mapped(self):
        a, b = self.pair()
        a.connect(1, (A, 1), (B, 80))
        b.close()
        self.vms.remove(b)
        a.expect(fake.FAILED, cookie=1, error=errno.EHOSTUNREACH)
        a.expect_nothing()
        self.assertEqual(len(a.maps), 1)

    def test_of_the_dialler(self):
        a, b = self.pair()
        self.offer(a, b)
        a.close()
        self.vms.remove(a)
        b.expect(fake.LINK_DOWN)
        self.assertEqual(self.stats("b")["circuits_now"], 0)

    def test_of_the_switch(self):
        a, b = self.pair()
        self.circuit(a, b)
        self.switch.send_signal(signal.SIGTERM)
        for vm in (a, b):
            event = None
            while event is None or event.type != fake.LINK_DOWN:
                event = vm.poll_event()
        self.switch.wait(10)
        self.assertFalse(os.path.exists(self.directory.name + "/a"))
        self.start()

    def test_killed_switch_is_replaced(self):
        self.switch.kill()
        self.switch.wait()
        self.start()
        self.pair()


class Buffers(Base):
    def test_events_wait_for_buffers_in_order(self):
        b = self.vm("b")
        a = self.vm("a", buffers=4)
        for listener in range(6):
            a.request(fake.LISTEN, struct.pack("<IB3x", listener, 0) +
                      fake.name("0.0.0.0", 80) + bytes(8))
        self.assertEqual([a.next_event().listener for _ in range(2)], [0, 1])
        a.expect_nothing()
        for slot in range(4):
            a.queues[1].post(slot)
        a.queues[1].notify()
        self.assertEqual([a.next_event().listener for _ in range(4)],
                         [2, 3, 4, 5])
        del b

    def test_kicks_are_coalesced(self):
        b = self.vm("b")
        a = self.vm("a", buffers=4)
        b.listen(7, "0.0.0.0", 80)
        connected, offer = self.circuit(a, b)
        for _ in range(50):
            b.doorbell(offer.link)
        a.expect_nothing()
        for slot in range(4):
            a.queues[1].post(slot)
        a.queues[1].notify()
        a.expect(fake.KICK, link=connected.link)
        a.expect_nothing()

    def test_ten_thousand_circuits(self):
        a, b = self.pair()
        connected, offer = self.circuit(a, b)
        for cookie in range(2, 10002):
            offer = self.offer_again(a, b, cookie)
            b.accept(offer)
            connected = a.expect(fake.CONNECTED)
        self.assertEqual(offer.tx_bytes, 16384)
        lines = self.ask(command="show", vm="a")
        self.assertEqual(sum(x["type"] == "circuit" for x in lines), 10001)
        del connected

    def test_a_slow_control_client_stops_nobody(self):
        a, b = self.pair()
        client = socket.socket(socket.AF_UNIX)
        client.connect(self.directory.name + "/control")
        client.sendall(b'{"command": "show", "vm": "a"}\n' * 30)
        self.circuit(a, b)
        client.close()


class Service(Base):
    def setUp(self):
        self.runtime = tempfile.TemporaryDirectory()
        path = self.runtime.name + "/notify"
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.settimeout(5)
        self.notify.bind(path)
        self.environment = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000"}
        super().setUp()

    def tearDown(self):
        super().tearDown()
        self.notify.close()
        self.runtime.cleanup()

    def test_systemd_is_told(self):
        self.assertTrue(self.notify.recv(200).startswith(b"READY=1\n"))
        self.assertEqual(self.notify.recv(200), b"WATCHDOG=1")
        self.switch.send_signal(signal.SIGTERM)
        while (message := self.notify.recv(200)) == b"WATCHDOG=1":
            pass
        self.assertEqual(message, b"STOPPING=1")

    def test_privileges_are_dropped(self):
        self.notify.recv(200)
        with open(f"/proc/{self.switch.pid}/status", encoding="ascii") as file:
            status = dict(line.split(":", 1) for line in file)
        self.assertEqual(int(status["CapEff"], 16), 0)
        self.assertEqual(int(status["NoNewPrivs"]), 1)
        self.assertEqual(int(status["Seccomp"]), 2 if SANDBOX == "true" else 0)


if __name__ == "__main__":
    unittest.main()
