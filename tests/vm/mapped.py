# SPDX-License-Identifier: GPL-2.0-or-later
"""A circuit in a program's own hands, for the cases of mmap().

The text of this file runs in the guests, among the helpers of puppet.py, where
a case asks for it: guest.run(HELPERS). It follows proto/mapping.h.
"""

import ctypes
import fcntl
import mmap
import struct

PAGE = 4096
OWN, PEER, TX, RX = (area << 32 for area in range(4))
MAP_INFO, RING_PEER = 0x8008b701, 0xb702
READ, WRITE = mmap.PROT_READ, mmap.PROT_WRITE

# A control page in words, see proto/ring.h.
PROD, FLAGS, CONS, DATA_WAIT, SPACE_WAIT = 0, 1, 16, 32, 33
FIN, RST, GONE = 1, 2, 4

MAP_FAILED = (1 << 64) - 1
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int,
                      ctypes.c_int, ctypes.c_int, ctypes.c_long]
for _name, _count in (("munmap", 2), ("mprotect", 3), ("madvise", 3)):
    getattr(libc, _name).argtypes = [ctypes.c_void_p, ctypes.c_size_t,
                                     ctypes.c_int][:_count]


def map_info(sock):
    """(bytes of the ring to the peer, of the one from it)."""
    return struct.unpack("II", fcntl.ioctl(sock, MAP_INFO, bytes(8)))


def map_area(sock, size, prot, offset, flags=mmap.MAP_SHARED):
    """The mmap() system call: Python's keeps a descriptor of the socket."""
    address = libc.mmap(None, size, prot, flags, sock.fileno(), offset)
    if address == MAP_FAILED:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), f"mmap {offset:#x}")
    return address


def errno_of(call, *arguments):
    """The errno of a call, 0 if it works."""
    try:
        call(*arguments)
    except OSError as error:
        return error.errno
    return 0


class Mapped:
    """All areas of a connected socket; what moves the indexes is here."""

    def __init__(self, sock):
        self.sock = sock
        self.tx_bytes, self.rx_bytes = map_info(sock)
        self.areas = {}
        for area, size, prot in ((PEER, PAGE, READ),
                                 (TX, 2 * self.tx_bytes, READ | WRITE),
                                 (RX, 2 * self.rx_bytes, READ),
                                 (OWN, PAGE, READ | WRITE)):
            self.areas[area] = map_area(sock, size, prot, area), size

    def at(self, area):
        return self.areas[area][0]

    def word(self, area, index):
        """A word of a control page, loaded and stored as a whole."""
        return ctypes.c_uint32.from_address(self.at(area) + 4 * index)

    def get(self, area, index):
        return self.word(area, index).value

    def set(self, index, value):
        self.word(OWN, index).value = value & 0xffffffff

    def room(self):
        return self.tx_bytes - \
            (self.get(OWN, PROD) - self.get(PEER, CONS) & 0xffffffff)

    def fill(self):
        return self.get(PEER, PROD) - self.get(OWN, CONS) & 0xffffffff

    def ring(self):
        """A system call is a full barrier, so the bell may always ring."""
        fcntl.ioctl(self.sock, RING_PEER)

    def place(self, data):
        """Write in one piece behind what was written; commit nothing."""
        place = self.get(OWN, PROD) % self.tx_bytes
        ctypes.memmove(self.at(TX) + place, data, len(data))

    def put(self, data, ring=True):
        """As much as there is room for, in one piece; return how much."""
        data = data[:max(0, min(self.room(), self.tx_bytes))]
        self.place(data)
        self.set(PROD, self.get(OWN, PROD) + len(data))
        if ring:
            self.ring()
        return len(data)

    def look(self, size):
        """What came, at most size bytes, in one piece; leave it there."""
        place = self.get(OWN, CONS) % self.rx_bytes
        # The peer may lie, since a moment ago: stay within the area.
        size = min(self.fill(), size, self.rx_bytes)
        return ctypes.string_at(self.at(RX) + place, size)

    def take(self, size, ring=True):
        data = self.look(size)
        self.set(CONS, self.get(OWN, CONS) + len(data))
        if ring and data:
            self.ring()
        return data

    def send(self, data, piece=1 << 20):
        while data:
            sent = self.put(data[:piece])
            data = data[sent:]
            if not sent:
                wait_ready(self.sock, select.POLLOUT)

    def receive(self, size, piece=1 << 20):
        """Exactly size bytes; fewer only if the stream ends."""
        parts = []
        while size:
            # In this order: who sees FIN sees the last index.
            flags = self.get(PEER, FLAGS)
            part = self.take(min(size, piece))
            parts.append(part)
            size -= len(part)
            if part:
                continue
            if flags & RST:
                raise ConnectionResetError(errno.ECONNRESET, "peer's flags")
            if flags & FIN:
                break
            wait_ready(self.sock, select.POLLIN)
        return b"".join(parts)

    def whole(self, area):
        """All bytes of an area, a ring's once."""
        address, size = self.areas[area]
        return ctypes.string_at(address, size if size == PAGE else size // 2)

    def is_clear(self, area):
        data = self.whole(area)
        return data == bytes(len(data))

    def is_taken(self):
        """Whether the pages were taken away: the peer's last words stand in
        what it wrote, and nothing in what the program writes."""
        last = struct.pack("<II", 0, RST | GONE) + bytes(PAGE - 8)
        return self.whole(PEER) == last and \
            self.whole(RX) == last * (self.rx_bytes // PAGE) and \
            self.is_clear(OWN) and self.is_clear(TX)

    def unmap(self, *areas):
        """Those areas, or all that are left."""
        for area in areas or list(self.areas):
            system("munmap", *self.areas.pop(area))
