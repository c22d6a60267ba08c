# SPDX-License-Identifier: GPL-2.0-or-later
"""Control messages, many datagrams in one call, and one call in many datagrams.

The helpers in the guests are those of datagram.py. `s` is bound in the server,
`c` in the client is connected to it.
"""

from errno import EINVAL, EMSGSIZE

import pytest

from datagrams import helpers, known, waiting  # noqa: F401 (fixtures)

pytestmark = pytest.mark.remote

one_family = pytest.mark.one_family
inet6 = pytest.mark.inet6


# -- what is told with a datagram

def test_packet_info_tells_the_address_that_was_dialled(server, client,
                                                        known):
    server.run("""
if FAMILY == 2:
    s.setsockopt(IPPROTO_IP, IP_PKTINFO, 1)
else:
    s.setsockopt(IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
""")
    client.run("c.send(b'x'); c.send(b'y')")
    assert server.run("""
def told():
    data, ancillary, flags, _ = s.recvmsg(100, 200)
    (level, kind, info), = ancillary
    if FAMILY == 2:
        index, spec, address = struct.unpack("I4s4s", info)
        assert (level, kind) == (IPPROTO_IP, IP_PKTINFO) and spec == address
    else:
        address, index = struct.unpack("16sI", info)
        assert (level, kind) == (IPPROTO_IPV6, IPV6_PKTINFO)
    return (data, socket.inet_ntop(FAMILY, address) == SERVER,
            socket.if_indextoname(index))
told(), told()[:2]
""")[1] == (b"y", True)


@pytest.mark.circuit
def test_packet_info_names_the_interface(server, client, known):
    server.run("s.setsockopt(*((IPPROTO_IP, IP_PKTINFO, 1) if FAMILY == 2 "
               "else (IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)))")
    client.run("c.send(b'x')")
    assert server.run("""
info = s.recvmsg(100, 200)[1][0][2]
index = struct.unpack_from("I", info, 0 if FAMILY == 2 else 16)[0]
socket.if_indextoname(index)
""") == "circuit0"


@one_family
def test_packet_info_tells_ipv4_to_an_ipv6_socket(server, client, helpers):
    port = server.run("""
d = udp(0, "::", AF_INET6)
d.setsockopt(IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
port_of(d)
""")
    client.set(PORT=port)
    client.run("c = udp(); c.sendto(b'x', target())")
    assert server.run("""
kinds = {kind: info for level, kind, info in d.recvmsg(100, 400)[1]}
socket.inet_ntop(AF_INET6, kinds[IPV6_PKTINFO][:16]) == '::ffff:' + SERVER
""") is True


def test_a_server_answers_from_the_address_that_was_dialled(server, client,
                                                            helpers):
    port = server.run("""
w = udp(0, ANY)
w.setsockopt(*((IPPROTO_IP, IP_PKTINFO, 1) if FAMILY == 2 else
               (IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)))
port_of(w)
""")
    client.set(PORT=port)
    client.run("c = udp(); c.connect(target()); c.send(b'ask'); "
               "c.send(b'again')")
    server.run("""
for _ in range(2):
    data, ancillary, _, name = w.recvmsg(100, 400)
    w.sendmsg([b"to ", data], ancillary, 0, name)
""")
    assert client.run("c.recv(100), c.recv(100)") == (b"to ask", b"to again")


@pytest.mark.parametrize("option", ["SO_TIMESTAMP", "SO_TIMESTAMPNS"])
def test_times_are_told(server, client, known, option):
    server.run(f"s.setsockopt(SOL_SOCKET, {option}, 1)")
    client.run("c.send(b'x'); c.send(b'y')")
    for data in (b"x", b"y"):
        assert server.run(f"""
data, ancillary, _, _ = s.recvmsg(100, 200)
(level, kind, info), = ancillary
seconds, part = struct.unpack("qq", info)
data, (level, kind) == (SOL_SOCKET, {option}), \
    abs(seconds - time.time()) < 5
""") == (data, True, True)


@one_family
def test_hop_limit_is_told(server, client, known):
    server.run("s.setsockopt(IPPROTO_IP, IP_RECVTTL, 1)")
    client.run("c.send(b'x')")
    assert server.run("struct.unpack('i', s.recvmsg(100, 200)[1][0][2])[0] "
                      "> 0")


@one_family
def test_a_filter_keeps_datagrams_out(server, client, known):
    # Those of more than 10 bytes: with UDP's header 18.
    server.run("""
code = [(0x80, 0, 0, 0), (0x25, 1, 0, 18), (0x06, 0, 0, 0xffff),
        (0x06, 0, 0, 0)]
program = ctypes.create_string_buffer(b"".join(
    struct.pack("HBBI", *line) for line in code))
s.setsockopt(SOL_SOCKET, SO_ATTACH_FILTER,
             struct.pack("HL", len(code), ctypes.addressof(program)))
""")
    client.run("c.send(b'short'); c.send(b'much too long'); c.send(b'fine')")
    assert server.run("s.recv(100), s.recv(100)") == (b"short", b"fine")


# -- many at once

def test_many_in_one_call(server, client, known):
    assert client.run("""
datagrams = [payload(number, size) for number, size in
             enumerate([0, 1, 100, 1400, 3000] * 6)]
send_many(c, datagrams)
""") == (30, [0, 1, 100, 1400, 3000] * 6)
    assert server.run("""
got = []
while len(got) < 30: got += receive_many(s, 8, 4000)
got == [payload(number, size) for number, size in
        enumerate([0, 1, 100, 1400, 3000] * 6)]
""") is True


def test_receiving_many_stops_when_no_more_is_there(server, client, known):
    client.run("send_many(c, [b'a', b'b', b'c'])")
    assert server.run("s.setblocking(True); wait_ready(s, POLLIN); "
                      "eventually(lambda: queued(s) == 1); "
                      "receive_many(s, 3, 100)") == [b"a", b"b", b"c"]
    assert server.run("""
s.setblocking(False)
try:
    receive_many(s, 3, 100)
except BlockingIOError as error:
    number = error.errno
number == EAGAIN
""") is True


# -- segments

@pytest.mark.parametrize("total, segment", [
    (5000, 1000), (5001, 1000), (100, 1000), (60000, 1200), (1300, 1)])
def test_one_call_is_cut_into_datagrams(server, client, known, total,
                                        segment):
    if total // segment > 128:
        assert client.errno(f"c.setsockopt(17, UDP_SEGMENT, {segment}); "
                            f"c.send(bytes({total}))") == EINVAL
        return
    sent = client.run(f"""
c.setsockopt(17, UDP_SEGMENT, {segment})
data = payload(1, {total})
c.send(data)
digest_of(data[at:at + {segment}] for at in range(0, {total}, {segment}))
""")
    assert server.run(f"take(s, {-(-total // segment)})") == sent


def test_segments_by_control_message(server, client, known):
    sent = client.run("""
data = payload(2, 10000)
c.sendmsg([data], [(17, UDP_SEGMENT, struct.pack("H", 1400))])
digest_of(data[at:at + 1400] for at in range(0, 10000, 1400))
""")
    assert server.run("take(s, 8)") == sent


def test_a_receiver_that_takes_segments_gets_whole_datagrams(server, client,
                                                            known):
    server.run("s.setsockopt(17, UDP_GRO, 1)")
    sent = client.run("""
c.setsockopt(17, UDP_SEGMENT, 1000)
data = payload(3, 8500)
c.send(data)
digest_of(data[at:at + 1000] for at in range(0, 8500, 1000))
""")
    # Several may come in one, with their length told.
    assert server.run("""
parts = []
while sum(map(len, parts)) < 8500:
    data, ancillary, _, _ = s.recvmsg(70000, 200)
    size = struct.unpack("i", ancillary[0][2])[0] if ancillary else len(data)
    parts += [data[at:at + size] for at in range(0, len(data), size or 1)]
digest_of(parts)
""") == sent


# -- cork

def test_more_makes_one_datagram_of_several_calls(server, client, known):
    client.run("c.send(b'one', MSG_MORE); c.send(b'two', MSG_MORE); "
               "c.send(b'three'); c.send(b'next')")
    assert server.run("s.recv(100), s.recv(100)") == (b"onetwothree", b"next")


def test_cork_makes_one_datagram_of_several_calls(server, client, known):
    client.run("""
c.setsockopt(17, UDP_CORK, 1)
for part in (b"one", b"two"): c.send(part)
c.setsockopt(17, UDP_CORK, 0)
c.send(b'next')
""")
    assert server.run("s.recv(100), s.recv(100)") == (b"onetwo", b"next")


def test_corked_datagrams_have_their_limit(server, client, known):
    assert client.errno("c.send(bytes(40000), MSG_MORE); "
                        "c.send(bytes(40000))") == EMSGSIZE
    client.run("c.send(b'fine')")
    assert server.run("s.recv(70000)") == b"fine"


# -- other calls

def test_read_write_and_vectors(server, client, known):
    client.run("os.write(c.fileno(), b'plain'); "
               "os.writev(c.fileno(), [b'ab', b'', b'cde'])")
    assert server.run("os.read(s.fileno(), 100)") == b"plain"
    assert server.run("""
parts = [bytearray(1), bytearray(2), bytearray(10)]
os.readv(s.fileno(), parts), parts
""") == (5, [b"a", b"bc", b"de" + bytes(8)])


def test_splice_and_sendfile(server, client, known):
    client.run("""
file = open("/tmp/datagram", "w+b")
file.write(pattern(3000)); file.flush(); file.seek(0)
system("sendfile", c.fileno(), file.fileno(), None, 3000)
""")
    assert server.run("b''.join(receive_all(s)) == pattern(3000)")


def test_pages_that_are_not_there_yet_are_waited_for(server, client, known):
    assert server.run("""
area = __import__("mmap").mmap(-1, 65536)
True
""")
    client.run("""
import mmap
area = mmap.mmap(-1, 65536)
c.send(memoryview(area)[:20000])
""")
    assert server.run("s.recv_into(memoryview(area)[:30000]), "
                      "area[:20000] == bytes(20000)") == (20000, True)
