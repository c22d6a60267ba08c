# SPDX-License-Identifier: GPL-2.0-or-later
"""Datagrams: whole, with the right names, and what UDP says of what cannot be.

The helpers in the guests are those of datagram.py. `s` is bound in the server.
"""

from errno import (EAGAIN, ECONNREFUSED, EDESTADDRREQ, EFAULT,
                   EINVAL, EMSGSIZE, ENOTCONN, EOPNOTSUPP, EPIPE)

import pytest

from datagrams import helpers, known, waiting  # noqa: F401 (fixtures)
from datagrams import check_echoes

pytestmark = pytest.mark.remote

one_family = pytest.mark.one_family
SIZES = (0, 1, 7, 8, 9, 64, 1400, 4096)


# -- there and back

@pytest.mark.parametrize("size", [0, 1, 64, 1400, 2049, 9000, 65507])
def test_a_datagram_comes_back_from_where_it_went(server, client, waiting,
                                                  size):
    check_echoes(server, client, size)


def test_the_largest_datagram_arrives_whole(server, client, waiting):
    for _ in range(2):
        sent = client.run("c = udp(); c.sendto(payload(3, LARGEST[FAMILY]), "
                          "target()); digest(payload(3, LARGEST[FAMILY]))")
        assert server.run("digest(s.recv(70000))") == sent


def test_larger_than_the_largest_is_refused(server, client, known):
    assert client.errno("c.send(bytes(LARGEST[FAMILY] + 1))") == EMSGSIZE
    assert client.errno("udp().sendto(bytes(LARGEST[FAMILY] + 1), target())") \
        == EMSGSIZE
    client.run("c.send(b'still')")
    assert server.run("s.recv(100)") == b"still"


def test_the_senders_name_is_seen(server, client, waiting):
    name = client.run("""
c = udp(0, CLIENT)
for _ in range(3): c.sendto(b'x', target())
name_of(c.getsockname())
""")
    assert server.run("[name_of(s.recvfrom(10)[1]) for _ in range(3)]") == \
        [name] * 3


def test_boundaries_are_kept_and_order_too(server, client, waiting):
    sent = client.run(f"""
chosen = random.Random(3)
sizes = [chosen.choice({SIZES}) for _ in range(60)]
c = udp()
for number, size in enumerate(sizes):
    c.sendto(payload(number, size), target())
digest_of(payload(number, size) for number, size in enumerate(sizes))
""")
    assert server.run("take(s, 60)") == sent


def test_the_first_datagrams_are_neither_lost_nor_overtaken(server, client,
                                                            waiting):
    # All leave before the circuit can be there.
    sent = client.run("""
c = udp()
for number in range(50): c.sendto(payload(number, 900), target())
digest_of(payload(number, 900) for number in range(50))
""")
    assert server.run("take(s, 50)") == sent


def test_a_datagram_of_a_socket_that_was_closed_at_once_arrives(
        server, client, waiting):
    for number in range(5):
        client.run(f"c = udp(); c.sendto(payload({number}, 500), target()); "
                   "c.close()")
        assert server.run(f"s.recv(1000) == payload({number}, 500)")


def test_many_sizes_wrap_around_the_ring(server, client, known):
    task = server.spawn("take(s, 3000, step=50)")
    sent = client.run("""
chosen = random.Random(5)
digest_of(steadily(c, (payload(number, chosen.randrange(0, 3000))
                       for number in range(3000)), 50))
""", 60)
    assert task.join(30) == sent


# -- receiving

def test_what_does_not_fit_is_cut_and_its_length_told(server, client, known):
    client.run("c.send(payload(1, 3000)); c.send(b'next')")
    assert server.run("""
data, _, flags, _ = s.recvmsg(100)
data == payload(1, 3000)[:100], bool(flags & MSG_TRUNC)
""") == (True, True)
    assert server.run("s.recv(100)") == b"next"
    client.run("c.send(payload(2, 3000))")
    assert server.run("system('recv', s.fileno(), ctypes.create_string_buffer("
                      "10), 10, MSG_TRUNC)") == 3000


def test_peeking_takes_nothing(server, client, known):
    client.run("c.send(b'look'); c.send(b'again')")
    assert server.run("[s.recv(100, MSG_PEEK) for _ in range(3)]") == \
        [b"look"] * 3
    assert server.run("s.recv(100), s.recv(100)") == (b"look", b"again")


def test_an_empty_datagram_is_one(server, client, known):
    client.run("c.send(b''); c.send(b'x')")
    assert server.run("s.recv(10), s.recv(10)") == (b"", b"x")


def test_ioctl_tells_the_length_of_the_first(server, client, known):
    client.run("c.send(bytes(321)); c.send(bytes(5))")
    server.run("eventually(lambda: queued(s) == 321); s.recv(1000)")
    server.run("eventually(lambda: queued(s) == 5)")


def test_blocking_receive_waits(server, client, known):
    task = server.spawn("s.setblocking(True); s.recv(10)")
    task.assert_blocked()
    client.run("c.send(b'now')")
    assert task.join() == b"now"


def test_nonblocking_receive_without_datagrams_would_block(server, client,
                                                           known):
    assert server.errno("s.setblocking(False); s.recv(10)") == EAGAIN


def test_receiving_has_its_time(server, client, known):
    assert server.run("""
s.setblocking(True)
s.setsockopt(SOL_SOCKET, SO_RCVTIMEO, timeval(0.2))
value, seconds = timed(s.recv, 10)
value, 0.15 < seconds < 2
""") == (EAGAIN, True)


def test_several_threads_share_a_socket(server, client, known):
    tasks = [server.spawn("s.settimeout(None); [s.recv(100) for _ in "
                          "range(20)]") for _ in range(3)]
    client.run("for number in range(60): c.send(payload(number, 50))")
    got = sum((task.join() for task in tasks), [])
    assert sorted(got) == sorted(
        client.run("[payload(number, 50) for number in range(60)]"))


# -- poll

@pytest.mark.parametrize("mode", ["EPOLLIN", "EPOLLIN | EPOLLET"])
def test_epoll_tells_of_datagrams(server, client, known, mode):
    server.run(f"e = select.epoll(); e.register(s, {mode}); e.poll(0)")
    for number in range(3):
        task = server.spawn("e.poll(5)")
        task.assert_blocked()
        client.run(f"c.send(payload({number}, 100))")
        assert task.join() == server.run("[(s.fileno(), EPOLLIN)]")
        assert server.run(f"s.recv(1000) == payload({number}, 100)")
    assert server.run("e.poll(0)") == []


def test_an_edge_for_each_burst_though_nobody_looks_between(server, client,
                                                           known):
    # Programs that take one datagram for each edge lag, and do not hang.
    server.run("e = select.epoll(); e.register(s, EPOLLIN | EPOLLET); "
               "e.poll(0)")
    for number in range(5):
        client.run("c.send(b'a'); c.send(b'b')")
        assert len(server.run("e.poll(5)")) == 1
        server.run("s.recv(10)")
    assert server.run("sorted(s.recv(10) for _ in range(5))")


def test_poll_finds_room_to_send(server, client, known):
    assert client.run("ready(c)") == client.run("POLLOUT")
    client.run("c.send(b'x')")
    assert server.run("wait_ready(s, POLLIN) & POLLIN")


# -- connected

def test_connected_sockets_have_names(server, client, known):
    assert client.run("name_of(c.getpeername()) == target()")
    assert server.run("name_of(name)") == client.run(
        "name_of(c.getsockname())")
    assert server.errno("s.getpeername()") == ENOTCONN
    assert server.errno("s.send(b'x')") == EDESTADDRREQ


def test_a_connected_socket_hears_its_peer_only(server, client, known):
    server.run("t = udp(0); s.connect(name[:2]); s.send(b'peer'); "
               "t.sendto(b'other', name[:2])")
    assert client.run("c.recv(100)") == b"peer"
    client.run("c.setblocking(False)")
    assert client.errno("c.recv(100)") == EAGAIN


def test_nobody_there_refuses_a_connected_socket(server, client, helpers):
    port = server.run("t = udp(0); port = port_of(t); t.close(); port")
    client.set(PORT=port)
    for _ in range(2):
        client.run("c = udp(); c.connect(target()); c.send(b'x')")
        assert client.errno("c.recv(10)") == ECONNREFUSED
        assert client.run("error_of(c)") == 0
    # As sent by one that is not connected, which nobody hears of.
    client.run("d = udp(); d.sendto(b'x', target())")
    client.run("d.setblocking(False)")
    assert client.errno("eventually(lambda: error_of(c) == 0); d.recv(10)") \
        == EAGAIN
    client.run("u = udp(0, CLIENT); u.sendto(b'me', u.getsockname()[:2])")
    assert client.run("u.recv(10)") == b"me"
    # Somebody there.
    server.run(f"t = udp({port})")
    client.run("c.send(b'there')")
    assert server.run("t.recv(10)") == b"there"


def test_a_peer_that_closed_refuses_what_comes_later(server, client, known):
    server.run("s.close()")
    client.run("""
def refused():
    try:
        c.send(b'x')
    except ConnectionRefusedError:
        return True
eventually(refused)
""")


def test_poll_tells_of_a_refusal(server, client, known):
    server.run("s.close()")
    client.run("""
def told():
    try:
        c.send(b'x')
    except ConnectionRefusedError:
        pass
    return ready(c, POLLIN, 20) & POLLERR
eventually(told)
""")


@pytest.mark.own_proof
def test_the_error_queue_tells_who_refused(server, client, helpers):
    port = server.run("t = udp(0); port = port_of(t); t.close(); port")
    client.set(PORT=port)
    client.run("""
c = udp()
if FAMILY == 2:
    c.setsockopt(IPPROTO_IP, IP_RECVERR, 1)
else:
    c.setsockopt(IPPROTO_IPV6, IPV6_RECVERR, 1)
c.sendto(b'x', target())
""")
    assert client.run("wait_ready(c, POLLERR); [entry[0] for entry in "
                      "errors(c)]") == [ECONNREFUSED]


def test_a_socket_connects_elsewhere_and_nowhere(server, client, known):
    other = server.run("t = udp(0); port_of(t)")
    client.run(f"c.connect((SERVER, {other})); c.send(b'elsewhere')")
    assert server.run("t.recv(100)") == b"elsewhere"
    client.run("""
address = ctypes.create_string_buffer(struct.pack("H14x", 0))
system("connect", c.fileno(), address, 16)
""")
    assert client.errno("c.send(b'x')") == EDESTADDRREQ
    client.run("c.sendto(b'again', target())")
    assert server.run("s.recv(100)") == b"again"


def test_sending_to_a_name_from_a_connected_socket(server, client, known):
    other = server.run("t = udp(0); port_of(t)")
    client.run(f"c.sendto(b'aside', (SERVER, {other})); c.send(b'ahead')")
    assert server.run("t.recv(100), s.recv(100)") == (b"aside", b"ahead")


def test_nothing_is_sent_after_shutdown(server, client, known):
    client.run("c.shutdown(SHUT_WR)")
    assert client.errno("c.send(b'x')") == EPIPE


# -- many to many

def test_one_socket_talks_to_many(server, client, helpers):
    ports = server.run("t = [udp(0) for _ in range(20)]; [port_of(u) for u "
                       "in t]")
    client.run(f"""
c = udp()
for turn in range(3):
    for number, port in enumerate({ports}):
        c.sendto(payload(number, 100 + turn), (SERVER, port))
""")
    assert server.run("""
all(u.recv(1000) == payload(number, 100 + turn)
    for number, u in enumerate(t) for turn in range(3))
""")


def test_many_sockets_talk_to_one(server, client, waiting):
    task = server.spawn("echo(s, 90)")
    assert client.run("""
clients = [udp() for _ in range(30)]
for turn in range(3):
    for number, c in enumerate(clients):
        c.sendto(payload(number, 64 + turn), target())
all(c.recv(1000) == payload(number, 64 + turn)
    for number, c in enumerate(clients) for turn in range(3))
""")
    task.join()


def test_both_ends_may_begin(server, client, helpers):
    ports = [guest.run(f"u = udp(0, {who}); port_of(u)")
             for guest, who in ((server, "SERVER"), (client, "CLIENT"))]
    tasks = [guest.spawn(f"for n in range(40): u.sendto(payload(n, 200), "
                         f"({who}, {port}))")
             for guest, who, port in ((server, "CLIENT", ports[1]),
                                      (client, "SERVER", ports[0]))]
    for task in tasks:
        task.join()
    for guest in (server, client):
        assert guest.run("take(u, 40)") == \
            guest.run("digest_of(payload(n, 200) for n in range(40))")


@one_family
def test_sockets_that_share_a_port_share_the_senders(server, client, helpers):
    port = server.run("""
t = []
for _ in range(4):
    u = socket.socket(FAMILY, SOCK_DGRAM)
    u.setsockopt(SOL_SOCKET, SO_REUSEPORT, 1)
    u.bind((SERVER, port_of(t[0]) if t else 0))
    u.setblocking(False)
    t.append(u)
port_of(t[0])
""")
    client.set(PORT=port)
    client.run("""
clients = [udp() for _ in range(40)]
for turn in range(3):
    for c in clients: c.sendto(b'x', target())
""")
    shares = server.run("""
def heard(u):
    names = []
    while True:
        try:
            names.append(u.recvfrom(10)[1])
        except BlockingIOError:
            return names
found = [[] for _ in t]
def all_heard():
    for u, names in zip(t, found): names += heard(u)
    return sum(map(len, found)) == 120
eventually(all_heard)
[len(set(names)) for names in found], [len(names) for names in found]
""")
    senders, datagrams = shares
    assert sum(senders) == 40 and sum(datagrams) == 120
    # Each sender stays with one, and not all with the same.
    assert max(senders) < 40


@one_family
def test_a_wildcard_socket_of_ipv6_takes_ipv4(server, client, helpers):
    port = server.run("d = udp(0, '::', AF_INET6); port_of(d)")
    client.set(PORT=port)
    client.run("c = udp(); c.sendto(b'four', target())")
    assert server.run("""
data, name = d.recvfrom(100)
d.sendto(b'back', name)
data, name[0] == '::ffff:' + CLIENT
""") == (b"four", True)
    assert client.run("c.recv(100)") == b"back"


# -- options and errors of UDP itself

def test_the_socket_says_that_it_is_udp(server, client, known):
    assert client.run("c.getsockopt(SOL_SOCKET, SO_PROTOCOL), "
                      "c.getsockopt(SOL_SOCKET, SO_TYPE)") == (17, 2)


def test_buffer_sizes_are_kept(server, client, known):
    assert client.run("c.setsockopt(SOL_SOCKET, SO_RCVBUF, 50000); "
                      "c.getsockopt(SOL_SOCKET, SO_RCVBUF)") == 100000


@pytest.mark.circuit
def test_what_cannot_be_is_refused(server, client, known):
    if client.run("FAMILY") == 10:
        assert client.errno("c.setsockopt(IPPROTO_IPV6, IPV6_ADDRFORM, 2)") \
            == EOPNOTSUPP
    assert client.errno("c.listen()") == EOPNOTSUPP
    assert client.errno("c.sendto(b'x', ('0.0.0.0' if FAMILY == 2 else '::', "
                        "0))") == EINVAL


def test_memory_that_is_not_there_ends_the_call(server, client, known):
    assert client.errno("system('send', c.fileno(), ctypes.c_void_p(4096), "
                        "100, 0)") == EFAULT
    client.run("c.send(b'fine')")
    assert server.run("s.recv(100)") == b"fine"
    client.run("c.send(b'lost')")
    assert server.errno("eventually(lambda: queued(s) == 4); system('recv', "
                        "s.fileno(), ctypes.c_void_p(4096), 100, 0)") == EFAULT
