#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A slow line that loses packets, between two network namespaces.

Two TUN devices, line0 in each namespace, and this process, which carries each
packet from one to the other after a while, or not at all. It does what netem
does, on machines whose kernel has none. The line is there while the process is.

    line.py NETNS NETNS DELAY_MS LOSS      (each way; LOSS is 0 to 1)
"""

import ctypes
import fcntl
import heapq
import itertools
import os
import random
import select
import struct
import subprocess
import sys
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454ca
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000

# The ends: 198.51.100.N and 2001:db8:51::N.
ENDS = (254, 1)


class Line:
    """The line from the host's namespace to the outside's, while it is."""

    def __init__(self, host, outside, delay_ms=0, loss=0):
        self.process = subprocess.Popen(
            ["/usr/bin/python3", __file__, host, outside, str(delay_ms),
             str(loss)], stdout=subprocess.PIPE)
        if self.process.stdout.readline() != b"ready\n":
            self.cut()
            raise RuntimeError("the slow line did not come up")

    @staticmethod
    def address(family="inet"):
        """Of the outside's end."""
        return "198.51.100.1" if family == "inet" else "2001:db8:51::1"

    def cut(self):
        """From now on nothing gets through."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cut()


def open_tun(netns, number):
    """Enter a namespace for good and make line0 there."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open(f"/run/netns/{netns}") as file:
        if libc.setns(file.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"cannot enter {netns}")
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF,
                struct.pack("16sH22x", b"line0", IFF_TUN | IFF_NO_PI))
    subprocess.run(
        ["ip", "-batch", "-"], check=True, text=True,
        input=f"addr add 198.51.100.{number}/24 dev line0\n"
              f"addr add 2001:db8:51::{number}/64 dev line0 nodad\n"
              "link set line0 up\n")
    return tun


def carry(tuns, delay_s, loss):
    """Carry packets to and fro."""
    other = {tuns[0]: tuns[1], tuns[1]: tuns[0]}
    chance, order = random.Random(1), itertools.count()
    under_way, poll = [], select.epoll()
    for tun in tuns:
        poll.register(tun, select.EPOLLIN)
    while True:
        left = under_way[0][0] - time.monotonic() if under_way else -1
        for tun, _ in poll.poll(max(left, 0) if under_way else None):
            try:
                packet = os.read(tun, 65536)
            except BlockingIOError:
                continue
            if chance.random() >= loss:
                heapq.heappush(under_way, (time.monotonic() + delay_s,
                                           next(order), other[tun], packet))
        now = time.monotonic()
        while under_way and under_way[0][0] <= now:
            _, _, tun, packet = heapq.heappop(under_way)
            try:
                os.write(tun, packet)
            except BlockingIOError:
                pass


def main():
    tuns = [open_tun(netns, number)
            for netns, number in zip(sys.argv[1:3], ENDS)]
    print("ready", flush=True)
    carry(tuns, float(sys.argv[3]) / 1000, float(sys.argv[4]))


if __name__ == "__main__":
    main()
