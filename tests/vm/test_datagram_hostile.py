# SPDX-License-Identifier: GPL-2.0-or-later
"""A VM that lies in a datagram circuit: only that circuit suffers.

The client plays the liar, as in test_hostile.py: what its kernel could write
into its memory is written there by the test.
"""

import mmap
import os
import random
import struct

import pytest

from datagrams import helpers, known, waiting  # noqa: F401 (fixtures)
from labworld import Segment
from world import wait_until

pytestmark = [pytest.mark.circuit, pytest.mark.remote, pytest.mark.own_proof,
              pytest.mark.one_family]

SIZE = 1008                     # and a header of 8
SPAN = SIZE + 8
UNSENT, REFUSED = 384, 388


class DatagramSegment(Segment):
    """All of the segment, rings included."""

    BYTES = 512 << 20

    def __init__(self, path):
        with open(path, "r+b", buffering=0) as file:
            self.map = mmap.mmap(file.fileno(), self.BYTES)


NR_STUCK = 12


@pytest.fixture
def lied(world, server, client, known):
    """The liar's segment, its control page, its ring and its index there.

    NR_STUCK datagrams wait in the ring, for want of room in the receiver's
    buffer: so the receiver looks there as soon as it reads.
    """
    for guest in world.guests:
        guest.tell("vmcircuit: peer .* impossible")
    server.run("s.setsockopt(SOL_SOCKET, SO_RCVBUF, 1)")
    client.run(f"for _ in range({NR_STUCK + 8}): "
               f"c.send(b'mark' * {SIZE // 4})")
    prod = 16 + (NR_STUCK + 8) * SPAN   # "first", of the fixture, and these
    port = client.run("port_of(c)")
    slot = next(line["slot"] for line in world.ask("show", client.name)
                if line["type"] == "circuit" and
                line["local"].endswith(f":{port}"))
    pid = world.switch.pid()
    for entry in os.listdir(f"/proc/{pid}/fd"):
        path = f"/proc/{pid}/fd/{entry}"
        if "vmcircuit-segment" not in os.readlink(path):
            continue
        segment = DatagramSegment(path)
        if segment.get(segment.ctl(slot)) == prod:
            break
        segment.close()
    else:
        raise AssertionError("no such segment")
    ring = segment.map.find(b"mark" * 8, segment.RINGS) - 8 - 16
    assert ring >= segment.RINGS and not ring % 4096
    yield segment, segment.ctl(slot), ring, prod
    segment.close()


def lie_is_found(server, before):
    wait_until(lambda: server.run("stats()['lies']") > before,
               "the lie is found")


def read_all(server):
    """Read what there is; how many of those that are whole."""
    return server.run("len([part for part in receive_all(s, 0.2) "
                      f"if part == b'mark' * {SIZE // 4}])")


def goes_on(server, client):
    """Others are served, and the liar's own next circuit is, too."""
    client.run("d = udp(); d.sendto(b'honest again', target())")
    assert server.run("s.settimeout(8)\nwhile (data := s.recv(70000)) != "
                      "b'honest again': pass\ndata") == b"honest again"


@pytest.mark.parametrize("length", [
    SIZE + 8, 65527, 65528, 65535, 0x7fffffff, 0x80000000, 0xfffffff0,
    0xffffffff])
def test_a_length_beyond_what_there_is_is_a_lie(server, client, lied, length):
    segment, ctl, ring, prod = lied
    before = server.run("stats()['lies']")
    segment.map[ring + prod:ring + prod + 8] = struct.pack("<II", length, 0)
    segment.put(ctl, prod + SPAN)
    # The honest ones before it are read.
    assert read_all(server) == NR_STUCK + 8
    lie_is_found(server, before)
    goes_on(server, client)


@pytest.mark.parametrize("beyond", [1, 4, 7])
def test_an_index_that_is_no_records_end_is_a_lie(server, client, lied,
                                                  beyond):
    segment, ctl, _, prod = lied
    before = server.run("stats()['lies']")
    segment.put(ctl, prod + beyond)
    assert read_all(server) == NR_STUCK + 8
    lie_is_found(server, before)
    goes_on(server, client)


@pytest.mark.parametrize("prod", [0, 0x80000000, 0xffffffff])
def test_impossible_producer_indexes_are_lies(server, client, lied, prod):
    segment, ctl, _, _ = lied
    before = server.run("stats()['lies']")
    segment.put(ctl, prod)
    assert read_all(server) <= NR_STUCK + 8
    lie_is_found(server, before)
    goes_on(server, client)


@pytest.mark.parametrize("cons", [1, 0x7fffffff, 0x80000000])
def test_impossible_consumer_indexes_are_lies(server, client, lied, cons):
    segment, ctl, _, _ = lied
    before = server.run("stats()['lies']")
    segment.put(ctl + Segment.CONS, cons)
    server.run("s.sendto(b'look', name[:2])")
    lie_is_found(server, before)
    goes_on(server, client)


def test_counters_of_losses_are_the_liars_own(world, server, client, lied):
    segment, ctl, _, _ = lied
    segment.put(ctl + UNSENT, 0xffffffff)
    segment.put(ctl + REFUSED, 0x80000000)
    assert read_all(server) == NR_STUCK + 8
    assert world.switch_stats(client)["datagrams_unsent"] >= 0xffffffff
    assert world.switch_stats(server)["datagrams_unsent"] < 0xffffffff
    goes_on(server, client)


def test_flags_at_any_time_end_the_flow_only(world, server, client, lied):
    segment, ctl, _, _ = lied
    for flags in (0xfffffff8, 1, 4, 5, 2, 7):
        segment.put(ctl + Segment.FLAGS, flags)
        client.run("c.send(b'x')")
        server.run("receive_all(s, 0.1); s.settimeout(8)")
    goes_on(server, client)


def test_memory_that_changes_all_the_time(world, server, client, lied):
    """Everything the liar may write, written at random, while both talk."""
    segment, ctl, ring, _ = lied
    dice = random.Random(11)
    world.trouble = ("lies",)
    server.run("""
stop = threading.Event()
def talk():
    while not stop.is_set():
        for call in (lambda: s.recv(70000), lambda: s.sendto(b"y" * 3000,
                                                             name[:2])):
            try: call()
            except OSError: pass
s.settimeout(0.01)
threading.Thread(target=talk, daemon=True).start()
""")
    client.run("""
stop = threading.Event()
def talk():
    while not stop.is_set():
        try: c.send(b"x" * 2000)
        except OSError: pass
        try: c.recv(70000, MSG_DONTWAIT)
        except OSError: pass
threading.Thread(target=talk, daemon=True).start()
""")
    for _ in range(3000):
        way = dice.randrange(4)
        if way == 0:
            segment.put(ctl + dice.choice((0, 4, 64, 128, 132, UNSENT)),
                        dice.choice((0, 1, 0xffffffff, dice.getrandbits(32))))
        elif way == 1:
            at = ring + 8 * dice.randrange(256 << 7)
            segment.map[at:at + 8] = struct.pack("<II", dice.choice(
                (0, 65527, 0xffffffff, dice.getrandbits(32))), 0)
        elif way == 2:
            segment.map[ctl:ctl + 4096] = dice.randbytes(4096)
        else:
            at = ring + 4096 * dice.randrange(64)
            segment.map[at:at + 4096] = dice.randbytes(4096)
    for guest in (server, client):
        guest.run("stop.set()")
    server.run("time.sleep(0.1); s.settimeout(8)")
    goes_on(server, client)
