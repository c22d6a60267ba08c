#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Lies that processes tell the switch and each other: one pays, others live.

usage: endpoint_lies_test.py VMCIRCUITD BYSTANDER [unittest's arguments]

The two bystanders of each test send each other bytes all the while.
"""

import errno
import mmap
import os
import random
import struct
import subprocess
import sys
import time
import unittest

import fake_vm as fake
from fake_process import FakeProcess
from fake_vm import Gone
from switch_life_test import Base

BYSTANDER = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else ""

A, B, GOOD, VICTIM = "10.77.0.1", "10.77.0.2", "10.77.0.3", "10.77.0.5"
CONFIG = """
control = "{0}/control"
sandbox = {1}
endpoint "a" {{ socket = "{0}/a" addresses = {{ "10.77.0.1/24" }} }}
endpoint "b" {{ socket = "{0}/b" addresses = {{ "10.77.0.2/24" }} }}
endpoint "good" {{ socket = "{0}/good" addresses = {{ "10.77.0.3/24" }} }}
endpoint "fine" {{ socket = "{0}/fine" addresses = {{ "10.77.0.4/24" }} }}
endpoint "victim" {{ socket = "{0}/victim" addresses = {{ "10.77.0.5/24" }} }}
""" + "".join(f"""
endpoint "liar{i}" {{{{ socket = "{{0}}/liar{i}"
                       addresses = {{{{ "10.77.1.{i}/16" }}}} }}}}
""" for i in range(30))
HEADER = 16384              # of a segment, and a control page follows each 4096


class World(Base):
    configuration = CONFIG

    def setUp(self):
        super().setUp()
        self.processes = []
        self.server = self.bystander("serve", "good", GOOD)
        self.checker = self.bystander("check", "fine", GOOD)

    def tearDown(self):
        for process in self.processes:
            process.close()
        try:
            checked = self.finish(self.checker)
            self.finish(self.server)
        finally:
            super().tearDown()
        self.assertGreater(int(checked.split()[0]), 0)

    def bystander(self, role, endpoint, address, port=80):
        """A process that is under way."""
        bystander = subprocess.Popen(
            [BYSTANDER, role, f"{self.directory.name}/{endpoint}", address,
             str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True)
        self.assertEqual(bystander.stdout.readline(), "ready\n")
        return bystander

    def finish(self, bystander):
        try:
            out, err = bystander.communicate(timeout=15)
        finally:
            bystander.kill()
        self.assertEqual((bystander.returncode, err), (0, ""), out)
        return out

    def process(self, name, hello=True):
        process = FakeProcess(f"{self.directory.name}/{name}")
        self.processes.append(process)
        if hello:
            self.assertEqual(process.hello().error, 0)
        return process

    def pair(self):
        """Two processes; b listens on port 80."""
        a, b = self.process("a"), self.process("b")
        self.assertEqual(b.listen(7, "0.0.0.0", 80), 0)
        return a, b

    def offer(self, a, b, cookie=1, remote=B):
        a.connect(cookie, (A, 1000 + cookie), (remote, 80))
        while True:
            event = b.next_event()
            if event.type == fake.OFFER:
                return event
            self.assertEqual(event.type, fake.LINK_UP)

    def circuit(self, a, b, cookie=1, remote=B):
        offer = self.offer(a, b, cookie, remote)
        while True:
            event = a.next_event()
            if event.type == fake.CONNECTED:
                return event, offer

    def switch_fds(self):
        return len(os.listdir(f"/proc/{self.switch.pid}/fd"))

    def await_fds(self, count):
        """No more than so many; a control connection may be among them."""
        end = time.monotonic() + 5
        while self.switch_fds() > count:
            self.assertLess(time.monotonic(), end, self.switch_fds())
            time.sleep(0.002)


def message(kind, body=b"", size=None, pad=0):
    """A message, or something like it."""
    size = 8 + len(body) if size is None else size
    return struct.pack("<HHI", kind, size, pad) + body


def name(at, value):
    """A name with one wrong byte."""
    raw = bytearray(fake.name(A, 1))
    raw[at] = value
    return bytes(raw)


def identity(*numbers):
    return struct.pack("<IIII", *numbers, 0)


class Lies(World):
    """Each costs who tells it its place, and one line of the log."""

    expected_log = "is disconnected"

    MESSAGES = [
        message(33, bytes(8)), message(0, bytes(8)), message(0xffff, bytes(8)),
        message(fake.KICK, bytes(8)), message(fake.ATTACH, bytes(16)),
        message(fake.HELLO, bytes(8)), message(fake.CANCEL, bytes(100)),
        message(fake.CANCEL, size=16), b"\x05",
        message(fake.CANCEL, bytes(8), size=0),
        message(fake.CANCEL, bytes(8), pad=1),
        message(fake.CANCEL, bytes(8), size=16) + b"more",
        message(fake.CANCEL, bytes(292)), os.urandom(65536),
        message(fake.LISTEN, bytes(40)),
        message(fake.LISTEN, struct.pack("<IB3x", 1, 2) + fake.name(A, 80) +
                bytes(8)),
        message(fake.LISTEN, bytes(8) + name(5, 1) + bytes(8)),
        message(fake.CONNECT, bytes(16) + name(18, 5) + fake.name(B, 80)),
        message(fake.CONNECT, bytes(16) + fake.name(A, 1) + name(9, 1)),
        message(fake.CONNECT, bytes(16) + fake.name(A, 1) + name(20, 1)),
        message(fake.CLOSE, identity(0, 0, 1)),         # before any link
        message(fake.ACCEPT, identity(60, 0, 1) + bytes(8)),
        message(fake.REFUSE, identity(0xffffffff, 0, 1) + bytes(8)),
        message(fake.LINK_RELEASED, struct.pack("<II", 0, 1)),
        message(fake.LINK_RELEASED, struct.pack("<II", 0xffffffff, 1)),
    ]
    # Of who has the circuit 0:0:1, open.
    ABOUT_CIRCUITS = [
        message(fake.CLOSE, identity(0, 1, 1)),         # never used
        message(fake.CLOSE, identity(0, 16384, 1)),
        message(fake.CLOSE, identity(0, 0xffffffff, 1)),
        message(fake.CLOSE, identity(0, 0, 0)),
        message(fake.CLOSE, identity(0, 0, 2)),         # not yet
        message(fake.ACCEPT, identity(0, 0, 1) + bytes(8)),
        message(fake.REFUSE, identity(0, 0, 1) + bytes(8)),
        message(fake.LINK_RELEASED, struct.pack("<II", 0, 1)),
    ]

    def expect_end(self, liar, endpoint):
        try:
            while liar.next_event():
                pass
        except Gone:
            pass
        else:
            self.fail("still connected")
        with open(self.directory.name + "/log", encoding="ascii") as log:
            words = f'endpoint "{endpoint}" is disconnected'
            self.assertEqual(log.read().count(words), 1)

    def test_messages(self):
        for number, raw in enumerate(self.MESSAGES):
            with self.subTest(raw[:64]):
                liar = self.process(f"liar{number}")
                liar.send(raw)
                self.expect_end(liar, f"liar{number}")

    def test_messages_about_circuits(self):
        for number, raw in enumerate(self.ABOUT_CIRCUITS):
            with self.subTest(raw):
                a, liar = self.process("a"), self.process(f"liar{number}")
                self.assertEqual(liar.listen(7, "0.0.0.0", 80), 0)
                self.circuit(a, liar, remote=f"10.77.1.{number}")
                liar.send(raw)
                self.expect_end(liar, f"liar{number}")
                self.assertEqual(a.listen(9, A, 9), 0)
                a.close()

    def test_release_twice(self):
        a, b = self.pair()
        connected, _ = self.circuit(a, b)
        a.request(fake.CLOSE, connected.id)
        b.close()
        down = a.expect(fake.LINK_DOWN)
        body = struct.pack("<II", down.link, down.generation)
        a.request(fake.LINK_RELEASED, body)
        a.request(fake.LINK_RELEASED, body)
        self.expect_end(a, "a")

    def test_dialler_answers_its_own_offer(self):
        a, b = self.pair()
        a.accept(self.offer(a, b))
        self.expect_end(a, "a")


class Oddities(World):
    """Strange, and no lies."""

    def test_empty_message_is_an_end(self):
        a = self.process("a")
        a.send(b"")
        a.expect_gone()

    def test_hello_again_starts_afresh(self):
        a, b = self.pair()
        connected, offer = self.circuit(a, b)
        page = mmap.mmap(b.fds[1], 4096, prot=mmap.PROT_READ,
                         offset=HEADER + 4096 * offer.slot)
        a.send_hello()
        self.assertEqual(a.expect(fake.WELCOME).error, 0)
        # A process that starts again has no circuits: FIN, RST and GONE.
        self.assertEqual(struct.unpack_from("<I", page, 4)[0], 7)
        # It knows nothing of the circuit; what it says of it is a lie.
        self.expected_log = "is disconnected"
        a.request(fake.CLOSE, connected.id)
        a.expect_gone()

    def test_wrong_version(self):
        self.expected_log = "speaks protocol version 9"
        a = self.process("a", hello=False)
        self.assertEqual(a.hello(version=9).error, errno.EPROTONOSUPPORT)

    def test_requests_before_hello_are_nothing(self):
        a = self.process("a", hello=False)
        attach = a.expect(fake.ATTACH)
        a.request(fake.LISTEN, struct.pack("<IB3x", 1, 0) +
                  fake.name(A, 80) + bytes(8))
        a.epoch = attach.epoch
        a.send_hello()
        self.assertEqual(a.expect(fake.WELCOME).error, 0)

    def test_descriptors_are_not_taken(self):
        a = self.process("a")
        before = self.switch_fds()
        with open("/dev/null", "rb") as null:
            for listener in range(200):
                a.send(struct.pack("<HHI", fake.LISTEN, 48, 0) +
                       struct.pack("<IB3x", listener, 0) +
                       fake.name(A, 1000 + listener) + bytes(8),
                       [null.fileno()] * 100)
                a.expect(fake.LISTENING, listener=listener, error=0)
        self.assertLessEqual(self.switch_fds(), before)

    def test_who_does_not_listen_is_not_dialled_for_ever(self):
        a = self.process("a")
        before = self.switch_fds()
        b = self.process("b")
        self.assertEqual(b.listen(7, "0.0.0.0", 80), 0)
        for cookie in range(1000):
            a.connect(cookie, (A, 1000 + cookie), (B, 80))
        # Behind them all.
        a.request(fake.LISTEN, struct.pack("<IB3x", 9, 0) +
                  fake.name(A, 9) + bytes(8))
        found = a.events(until=1)
        while found[-1].type != fake.LISTENING:
            found += a.events(until=1)
        refused = [event for event in found if event.type == fake.FAILED]
        made = [event for event in found if event.type == fake.CONNECTED]
        self.assertGreater(len(refused), 200)
        self.assertGreater(len(made), 64)
        self.assertEqual({event.error for event in refused},
                         {errno.ECONNREFUSED})
        self.assertLess(self.switch_fds() - before, 1000)
        # Who gives up makes no room: b has not heard of it.
        for event in made:
            a.request(fake.CLOSE, event.id)
        for cookie in range(1000, 2000):
            a.connect(cookie, (A, 1000 + cookie), (B, 80))
        found = a.events(until=1000)
        self.assertEqual({event.type for event in found}, {fake.FAILED})
        self.assertLess(self.switch_fds() - before, 1000)
        b.close()
        down = a.expect(fake.LINK_DOWN)
        a.request(fake.LINK_RELEASED,
                  struct.pack("<II", down.link, down.generation))
        self.await_fds(before)

    def test_scribbler(self):
        victim = self.bystander("serve", "victim", VICTIM)
        a = self.process("a")
        chance = random.Random(77)
        end = time.monotonic() + 5
        segment, nr = None, 0
        while time.monotonic() < end:
            nr += 1
            a.connect(nr, (A, 1000 + nr), (VICTIM, 80))
            event = a.next_event()
            while event.type not in (fake.CONNECTED, fake.FAILED):
                if event.type == fake.LINK_UP:
                    segment = mmap.mmap(event.fds[0], event.segment_bytes)
                event = a.next_event()
            if event.type == fake.CONNECTED:
                self.scribble(chance, segment, event)
                a.request(fake.CLOSE, event.id)
                for fd in event.fds:
                    os.close(fd)
                    a.fds.remove(fd)
        self.assertGreater(nr, 20)
        segment.close()
        a.close()
        # It is of good use to others.
        checker = self.bystander("check", "b", VICTIM)
        served = self.finish(checker)
        self.assertGreater(int(served.split()[0]), 0)
        print(nr, "circuits;", self.finish(victim), end="", file=sys.stderr)

    @staticmethod
    def scribble(chance, segment, event):
        """Over all that can be written: header, control pages, rings."""
        page = HEADER + 4096 * event.slot
        fields = [0, 4, 64, 128, 132, 384, 388]     # prod ... waits_by
        values = [0, 1, 2, 5, 6, 7, 0x7fffffff, 0x80000000, 0xffffffff,
                  event.tx_bytes, event.tx_bytes + 1]
        end = time.monotonic() + 0.05
        while time.monotonic() < end:
            for _ in range(50):
                struct.pack_into("<I", segment, page + chance.choice(fields),
                                 chance.choice(values)
                                 if chance.random() < 0.5
                                 else chance.getrandbits(32))
                # Something that may be true, too: more bytes, and a bell.
                prod, = struct.unpack_from("<I", segment, page)
                struct.pack_into("<I", segment, page,
                                 prod + chance.randrange(5000) & 0xffffffff)
                if event.fds and chance.random() < 0.3:
                    try:
                        os.write(event.fds[0], b"bells")
                    except OSError:
                        pass
            for at in (chance.randrange(0, HEADER, 64),
                       HEADER + chance.randrange(0, 4096 * 200, 256),
                       event.tx_offset + chance.randrange(0, event.tx_bytes,
                                                          256)):
                segment[at:at + 64] = chance.randbytes(64)


if __name__ == "__main__":
    unittest.main()
