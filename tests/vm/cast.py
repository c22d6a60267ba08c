# SPDX-License-Identifier: GPL-2.0-or-later
"""Groups and broadcasts, for the cases of datagrams to many.

The text of this file runs in the guests, after datagram.py. OWN is the guest's
address of the case's family.
"""

IP_MULTICAST_IF, IP_MULTICAST_TTL, IP_MULTICAST_LOOP = 32, 33, 34
IP_ADD_MEMBERSHIP, IP_DROP_MEMBERSHIP, IP_ADD_SOURCE_MEMBERSHIP = 35, 36, 39
IPV6_MULTICAST_IF, IPV6_MULTICAST_HOPS, IPV6_MULTICAST_LOOP = 17, 18, 19
MCAST_JOIN_SOURCE_GROUP = 46
SOL_IP, SOL_IPV6, SO_RCVBUFFORCE = 0, 41, 33

IS_INET = FAMILY == socket.AF_INET
ANY = "0.0.0.0" if IS_INET else "::"
GROUP = "239.1.2.3" if IS_INET else "ff05::1:3"
OTHER_GROUP = "239.1.2.4" if IS_INET else "ff15::77"
BROADCAST = OWN.rsplit(".", 1)[0] + ".255"
INTERFACE = next(index for index, name in socket.if_nameindex()
                 if name in ("circuit0", "eth0"))
LEVEL = SOL_IP if IS_INET else SOL_IPV6


def address_bytes(address):
    return socket.inet_pton(FAMILY, address)


def group_request(group):
    """struct ip_mreqn, or struct ipv6_mreq."""
    if IS_INET:
        return address_bytes(group) + bytes(4) + struct.pack("i", INTERFACE)
    return address_bytes(group) + struct.pack("i", INTERFACE)


def join(sock, group=GROUP):
    sock.setsockopt(LEVEL, IP_ADD_MEMBERSHIP if IS_INET else 20,
                    group_request(group))


def leave(sock, group=GROUP):
    sock.setsockopt(LEVEL, IP_DROP_MEMBERSHIP if IS_INET else 21,
                    group_request(group))


def storage(address):
    """struct sockaddr_storage."""
    if IS_INET:
        raw = struct.pack("=HH", FAMILY, 0) + address_bytes(address)
    else:
        raw = struct.pack("=HHI", FAMILY, 0, 0) + address_bytes(address)
    return raw.ljust(128, b"\0")


def join_from(sock, source, group=GROUP):
    sock.setsockopt(LEVEL, MCAST_JOIN_SOURCE_GROUP, struct.pack(
        "Q", INTERFACE) + storage(group) + storage(source))


def reused(port):
    """A socket at a port that others may have, too."""
    sock = udp()
    sock.setsockopt(SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((ANY, port))
    # Only members of a group get what is for it.
    sock.setsockopt(LEVEL, 49 if IS_INET else 29, 0)
    return sock


def joined(port, group=GROUP):
    sock = reused(port)
    join(sock, group)
    return sock


def caster():
    """A socket that sends by the case's interface."""
    sock = udp()
    sock.bind((ANY, 0))
    if IS_INET:
        sock.setsockopt(SOL_IP, IP_MULTICAST_IF, bytes(8) +
                        struct.pack("i", INTERFACE))
    else:
        sock.setsockopt(SOL_IPV6, IPV6_MULTICAST_IF, INTERFACE)
    return sock


def loop(sock, on):
    sock.setsockopt(LEVEL, IP_MULTICAST_LOOP if IS_INET else
                    IPV6_MULTICAST_LOOP, on)


def hops(sock, most):
    sock.setsockopt(LEVEL, IP_MULTICAST_TTL if IS_INET else
                    IPV6_MULTICAST_HOPS, most)


def want_info(sock):
    sock.setsockopt(LEVEL, IP_PKTINFO if IS_INET else IPV6_RECVPKTINFO, 1)


def info_of(sock):
    """The group that a datagram was sent to, and where it came in."""
    _, ancillary, _, _ = sock.recvmsg(100, 100)
    (_, _, data), = ancillary
    if IS_INET:
        interface, _, address = struct.unpack("i4s4s", data)
    else:
        address, interface = struct.unpack("16si", data)
    return socket.inet_ntop(FAMILY, address), interface
