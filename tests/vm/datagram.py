# SPDX-License-Identifier: GPL-2.0-or-later
"""Datagram sockets, for the cases of datagram circuits.

The text of this file runs in the guests, among the helpers of puppet.py, where
a case asks for it: guest.run(HELPERS).
"""

import struct

UDP_CORK, UDP_SEGMENT, UDP_GRO = 1, 103, 104
IP_PKTINFO, IP_RECVERR, IP_RECVTTL, IP_MTU = 8, 11, 12, 14
IPV6_RECVERR, IPV6_RECVPKTINFO, IPV6_PKTINFO, IPV6_ADDRFORM = 25, 49, 50, 1
SO_RXQ_OVFL, SO_TIMESTAMP, SO_TIMESTAMPNS = 40, 29, 35
SO_ATTACH_FILTER = 26
MSG_CONFIRM = 0x800

# The largest payload of IPv4 and of IPv6.
LARGEST = {2: 65507, 10: 65527}


def udp(port=None, host=None, family=None, timeout=DEADLINE_S):
    """A datagram socket, bound if a port is given."""
    sock = socket.socket(FAMILY if family is None else family,
                         socket.SOCK_DGRAM)
    if timeout is not None:
        sock.settimeout(timeout)
    if port is not None:
        sock.bind((SERVER if host is None else host, port))
    return sock


def target():
    return SERVER, PORT


def name_of(address):
    """Host and port, without IPv6's other two."""
    return address[:2]


def payload(number, size):
    """Bytes that tell which datagram they are and that none is missing."""
    return (number.to_bytes(4, "big") + pattern(size, number % 7))[:size]


def take(sock, count, size=70000, step=0):
    """Receive so many; return a digest of all, boundaries included. With a
    step, tell who sends after each so many, see steadily()."""
    def taken():
        for number in range(1, count + 1):
            data, name = sock.recvfrom(size)
            if step and number % step == 0:
                sock.sendto(b"go on", name)
            yield data
    return digest_of(taken())


def steadily(sock, datagrams, step):
    """Send them no faster than they are taken; yield each."""
    for number, data in enumerate(datagrams, 1):
        sock.send(data)
        yield data
        if number % step == 0:
            sock.recv(100)


def digest_of(datagrams):
    total = hashlib.blake2b(digest_size=16)
    count = 0
    for data in datagrams:
        total.update(len(data).to_bytes(4, "big") + data)
        count += 1
    return count, total.hexdigest()


def echo(sock, count):
    """Send back so many to where they came from."""
    for _ in range(count):
        data, address = sock.recvfrom(70000)
        sock.sendto(data, address)


def queued(sock):
    """Bytes of the first datagram that waits, by FIONREAD."""
    return unread(sock)


def errors(sock):
    """What stands in the error queue: [(errno, origin, type, code)]."""
    found = []
    sock.setblocking(False)
    while True:
        try:
            _, ancillary, flags, _ = sock.recvmsg(0, 512, MSG_ERRQUEUE)
        except BlockingIOError:
            return found
        for level, kind, data in ancillary:
            if kind in (IP_RECVERR, IPV6_RECVERR):
                found.append(struct.unpack_from("IBBB", data))


def receive_all(sock, quiet_s=0.3):
    """Everything that comes until nothing has for a while."""
    parts = []
    sock.settimeout(quiet_s)
    while True:
        try:
            parts.append(sock.recv(70000))
        except TimeoutError:
            return parts


class MessageHeader(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("name_bytes", ctypes.c_uint32),
                ("parts", ctypes.c_void_p), ("nr_parts", ctypes.c_size_t),
                ("control", ctypes.c_void_p),
                ("control_bytes", ctypes.c_size_t),
                ("flags", ctypes.c_int), ("pad", ctypes.c_int),
                ("bytes", ctypes.c_uint), ("pad2", ctypes.c_int)]


class Part(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("bytes", ctypes.c_size_t)]


def messages_of(buffers):
    parts = (Part * len(buffers))()
    headers = (MessageHeader * len(buffers))()
    for part, header, buffer in zip(parts, headers, buffers):
        part.base, part.bytes = ctypes.addressof(buffer), len(buffer)
        header.parts, header.nr_parts = ctypes.addressof(part), 1
    headers.keep = parts, buffers
    return headers


def send_many(sock, datagrams):
    """sendmmsg() on a connected socket; how many went, and their lengths."""
    buffers = [(ctypes.c_char * len(data)).from_buffer_copy(data)
               if data else (ctypes.c_char * 0)() for data in datagrams]
    headers = messages_of(buffers)
    done = system("sendmmsg", sock.fileno(), ctypes.byref(headers),
                  len(headers), 0)
    return done, [header.bytes for header in headers[:done]]


def receive_many(sock, count, size=70000, flags=0):
    """recvmmsg(); the datagrams."""
    buffers = [(ctypes.c_char * size)() for _ in range(count)]
    headers = messages_of(buffers)
    done = system("recvmmsg", sock.fileno(), ctypes.byref(headers),
                  len(headers), flags, None)
    return [buffer.raw[:header.bytes]
            for buffer, header in zip(buffers[:done], headers[:done])]
