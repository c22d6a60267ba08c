#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A host process that abuses all that an endpoint shares with a guest.

    endpoint_scribbler.py LIBRARY SOCKET HOST PORT SECONDS SEED

Dials, maps whole segments and wake areas through the library's descriptors, and
writes random and chosen values all over them; begins anew as a new process each
few hundred milliseconds. Prints how often something was spoilt.
"""

import mmap
import os
import random
import signal
import struct
import sys
import time

from endpoint import Endpoint

PAGE = 4096
CONTROL, RINGS = 4 * PAGE, 4 * PAGE + 16384 * PAGE
# Beyond this no ring was ever placed.
USED = RINGS + (64 << 20)
CHOSEN = (0, 1, 0xffffffff, 0x7fffffff, 0x80000000, 0x100001)


def shared():
    """Everything writable that this process shares: [(name, mapping)]."""
    maps = []
    for number in os.listdir("/proc/self/fd"):
        path = f"/proc/self/fd/{number}"
        try:
            name = os.readlink(path)
        except OSError:
            continue
        if "vmcircuit-" not in name:
            continue
        fd = int(number)
        try:
            maps.append((name, mmap.mmap(fd, os.fstat(fd).st_size)))
        except PermissionError:
            pass        # the peer's
    return maps


def spoil(maps, dice):
    name, area = dice.choice(maps)
    places = [range(0, len(area), 64)] if "wake" in name else [
        range(0, CONTROL), range(CONTROL, CONTROL + 64 * PAGE),
        range(CONTROL, CONTROL + 8 * PAGE, 64), range(RINGS, USED)]
    place = dice.choice(dice.choice(places)) & ~3
    way = dice.randrange(4)
    if way == 0:
        size = dice.choice((64, PAGE))
        place = min(place, len(area) - size)
        area[place:place + size] = dice.randbytes(size)
    else:
        area[place:place + 4] = struct.pack("<I", dice.choice(
            (*CHOSEN, dice.getrandbits(32), dice.getrandbits(16))))


def attack(library, path, host, port, dice, count):
    """Until it is killed. An end that is lied to may be reset: dial again."""
    endpoint = Endpoint(library, path)
    connections = []
    while True:
        try:
            connections.append(endpoint.dial(host, port, 1000))
            connections[-1].send(dice.randbytes(dice.randrange(1, 4000)), 0)
        except OSError:
            pass
        maps = shared()
        for _ in range(300):
            spoil(maps, dice)
            count[:] = struct.pack("<Q", struct.unpack("<Q", count[:])[0] + 1)
            if connections and not dice.randrange(4):
                try:
                    connection = dice.choice(connections)
                    connection.send(b"x" * dice.randrange(1, 999), 0)
                    connection.recv(999, 0)
                except OSError:
                    pass
        if len(connections) > 20:
            connections.pop(0).close()


def main():
    library, path, host, port, seconds, seed = sys.argv[1:]
    end, dice = time.monotonic() + float(seconds), random.Random(int(seed))
    count = mmap.mmap(-1, 8)
    while time.monotonic() < end:
        seed = dice.random()
        pid = os.fork()
        if not pid:
            try:
                attack(library, path, host, int(port), random.Random(seed),
                       count)
            finally:
                os._exit(1)
        time.sleep(dice.uniform(0.2, 1.5))
        os.kill(pid, signal.SIGKILL)
        status = os.waitpid(pid, 0)[1]
        # Its own control page is the library's memory: that may be its end.
        if status not in (signal.SIGKILL, signal.SIGSEGV, signal.SIGBUS):
            raise RuntimeError(f"the attacker ended with {status}")
    print(struct.unpack("<Q", count[:])[0])


if __name__ == "__main__":
    main()
