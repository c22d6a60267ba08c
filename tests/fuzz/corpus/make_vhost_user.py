#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Make the seeds of corpus/vhost_user: what QEMU says, and near misses."""

import os
import struct

HERE = os.path.dirname(os.path.abspath(__file__))
USER = 0x7f0000000000


def message(request, body=b"", fds=0, flags=9):
    return struct.pack("<III", request, flags | fds << 8, len(body)) + body


def u64(value):
    return struct.pack("<Q", value)


def state(index, num):
    return struct.pack("<II", index, num)


def region(guest, size, user, offset=0):
    return struct.pack("<QQQQ", guest, size, user, offset)


NEGOTIATE = (message(1) + message(15) + message(16, u64(1 << 22 | 0x8629)) +
             message(17) + message(44) + message(36) + message(21, fds=1) +
             message(3) + message(2, u64(1 << 32 | 1 << 30)))
MEMORY = message(37, u64(0) + region(0x1000, 0x10000, USER), 1)


def queue(i):
    at = USER + i * 0x4000
    return (message(8, state(i, 256)) + message(10, state(i, 0)) +
            message(9, state(i, 0) + struct.pack(
                "<QQQQ", at, at + 0x2000, at + 0x1000, 0)) +
            message(12, u64(i), 1) + message(13, u64(i), 1))


QUEUES = b"".join(map(queue, range(3)))
ENABLE = b"".join(message(18, state(i, 1)) for i in range(3))
STOP = b"".join(message(11, state(i, 0)) for i in range(3))
SEEDS = {
    "start": NEGOTIATE + MEMORY + QUEUES + ENABLE,
    "restart": NEGOTIATE + MEMORY + QUEUES + ENABLE + STOP + QUEUES + ENABLE,
    "table": NEGOTIATE + message(5, state(2, 0) + region(0, 0x8000, USER) +
                                 region(0x8000, 0x8000, USER + 0x8000), 2),
    "remove": NEGOTIATE + MEMORY + QUEUES + ENABLE +
    message(38, u64(0) + region(0x1000, 0x10000, USER)),
    "config": message(24, struct.pack("<III", 0, 256, 0) + bytes(256)),
    "overlap": NEGOTIATE + MEMORY + MEMORY,
    "kick": message(12, u64(0x100)) + message(12, u64(2), 2),
    "reset": NEGOTIATE + MEMORY + QUEUES + ENABLE + message(34) + message(4),
}

for name, data in SEEDS.items():
    with open(f"{HERE}/vhost_user/{name}", "wb") as file:
        file.write(data)
