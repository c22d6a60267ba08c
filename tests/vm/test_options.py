# SPDX-License-Identifier: GPL-2.0-or-later
"""Socket options: taken and told, or refused with Linux' own errno."""

from errno import (EAGAIN, EBADF, EFAULT, EINVAL, ENODEV, ENOENT,
                   ENOPROTOOPT, EOPNOTSUPP, EPERM)

import pytest

# Option, value to set, value that is told then.
INTEGERS = [
    ("SOL_SOCKET", "SO_REUSEADDR", 1, 1),
    ("SOL_SOCKET", "SO_REUSEPORT", 1, 1),
    ("SOL_SOCKET", "SO_KEEPALIVE", 1, 1),
    ("SOL_SOCKET", "SO_OOBINLINE", 1, 1),
    ("SOL_SOCKET", "SO_RCVBUF", 40000, 80000),
    ("SOL_SOCKET", "SO_SNDBUF", 40000, 80000),
    ("SOL_SOCKET", "SO_RCVLOWAT", 100, 100),
    ("SOL_SOCKET", "SO_PRIORITY", 3, 3),
    ("SOL_SOCKET", "SO_MARK", 5, 5),
    ("SOL_SOCKET", "SO_DONTROUTE", 1, 1),
    ("SOL_SOCKET", "SO_BUSY_POLL", 50, 50),
    ("IPPROTO_TCP", "TCP_NODELAY", 1, 1),
    ("IPPROTO_TCP", "TCP_CORK", 1, 1),
    ("IPPROTO_TCP", "TCP_KEEPIDLE", 77, 77),
    ("IPPROTO_TCP", "TCP_KEEPINTVL", 9, 9),
    ("IPPROTO_TCP", "TCP_KEEPCNT", 4, 4),
    ("IPPROTO_TCP", "TCP_SYNCNT", 3, 3),
    ("IPPROTO_TCP", "TCP_LINGER2", 11, 11),
    ("IPPROTO_TCP", "TCP_USER_TIMEOUT", 12345, 12345),
    ("IPPROTO_TCP", "TCP_QUICKACK", 1, 1),
    ("IPPROTO_TCP", "TCP_NOTSENT_LOWAT", 5000, 5000),
]
UNCONNECTED_ONLY = [
    ("IPPROTO_TCP", "TCP_DEFER_ACCEPT", 1, 1),
    ("IPPROTO_TCP", "TCP_FASTOPEN", 5, 5),
]


# Those whose value connect() could lose.
KEPT_BY_CONNECT = [row for row in INTEGERS if row[1] in (
    "SO_KEEPALIVE", "TCP_NODELAY", "TCP_KEEPIDLE", "TCP_KEEPINTVL",
    "TCP_KEEPCNT", "TCP_USER_TIMEOUT", "SO_RCVBUF", "SO_SNDBUF",
    "SO_RCVLOWAT")]

# A guest tries a whole table at once, so that a case is one, not forty.
HELPERS = """
def number_of(name):
    "An option's number; the one that Python has no name for is of a socket."
    return getattr(socket, name, 46)

def told(sock, level, name, value):
    sock.setsockopt(globals()[level], number_of(name), value)
    return sock.getsockopt(globals()[level], number_of(name))

def answer(call, *arguments):
    "The errno of a call that must fail."
    try:
        return "success", call(*arguments)
    except OSError as error:
        return error.errno
"""


def told_of(table):
    return {name: told for _, name, _, told in table}


@pytest.mark.remote
@pytest.mark.no_circuit
def test_options_of_a_new_socket_are_kept(client):
    table = INTEGERS + UNCONNECTED_ONLY
    assert client.run(HELPERS + f"""
{{name: told(new_socket(), level, name, value)
  for level, name, value, _ in {table}}}
""") == told_of(table)


@pytest.mark.remote
def test_options_of_a_connected_socket_are_kept(server, client, listener):
    assert client.run(HELPERS + f"""
found, socks = {{}}, []
for level, name, value, _ in {INTEGERS}:
    socks.append(connect())
    found[name] = told(socks[-1], level, name, value)
    socks[-1].sendall(b"x")
    socks[-1].setsockopt(IPPROTO_TCP, TCP_CORK, 0)
found
""") == told_of(INTEGERS)
    assert server.run(f"[receive(s.accept()[0], 1) for _ in "
                      f"range({len(INTEGERS)})]") == [b"x"] * len(INTEGERS)


@pytest.mark.remote
def test_options_set_before_connect_hold_after_it(server, client, listener):
    assert client.run(HELPERS + f"""
found, socks = {{}}, []
for level, name, value, _ in {KEPT_BY_CONNECT}:
    c = new_socket()
    socks.append(c)
    c.setsockopt(globals()[level], number_of(name), value)
    c.connect((SERVER, PORT))
    found[name] = c.getsockopt(globals()[level], number_of(name))
found
""") == told_of(KEPT_BY_CONNECT)


# A call, and the errnos that it may give.
BAD = {
    "setsockopt(SOL_SOCKET, 4000, 1)": [ENOPROTOOPT],
    "getsockopt(SOL_SOCKET, 4000)": [ENOPROTOOPT],
    "setsockopt(IPPROTO_TCP, 4000, 1)": [ENOPROTOOPT],
    "getsockopt(IPPROTO_TCP, 4000)": [ENOPROTOOPT],
    "setsockopt(4000, 1, 1)": [ENOPROTOOPT],
    "getsockopt(4000, 1)": [EOPNOTSUPP, ENOPROTOOPT],
    "setsockopt(IPPROTO_TCP, TCP_KEEPIDLE, 0)": [EINVAL],
    "setsockopt(IPPROTO_TCP, TCP_KEEPIDLE, 100000)": [EINVAL],
    "setsockopt(IPPROTO_TCP, TCP_KEEPCNT, 0)": [EINVAL],
    "setsockopt(IPPROTO_TCP, TCP_KEEPINTVL, -1)": [EINVAL],
    "setsockopt(IPPROTO_TCP, TCP_MAXSEG, 1)": [EINVAL],
    "setsockopt(IPPROTO_TCP, TCP_SYNCNT, 1000)": [EINVAL],
    "setsockopt(IPPROTO_TCP, TCP_USER_TIMEOUT, -1)": [EINVAL],
    "setsockopt(IPPROTO_TCP, TCP_NODELAY, b'x')": [EINVAL],
    "setsockopt(SOL_SOCKET, SO_KEEPALIVE, b'x')": [EINVAL],
    "setsockopt(SOL_SOCKET, SO_LINGER, b'1234')": [EINVAL],
    "setsockopt(SOL_SOCKET, SO_RCVTIMEO, b'1234')": [EINVAL],
    "setsockopt(SOL_SOCKET, SO_TYPE, 1)": [ENOPROTOOPT],
    "setsockopt(SOL_SOCKET, SO_ERROR, 1)": [ENOPROTOOPT],
    "setsockopt(SOL_SOCKET, SO_ACCEPTCONN, 1)": [ENOPROTOOPT],
    "setsockopt(SOL_SOCKET, SO_BINDTODEVICE, b'nonesuch0')": [ENODEV],
    "setsockopt(IPPROTO_TCP, TCP_CONGESTION, b'nonesuch')": [ENOENT],
    "setsockopt(IPPROTO_TCP, TCP_INFO, b'x' * 104)": [ENOPROTOOPT],
}
BAD_WHEN_CONNECTED = {
    "setsockopt(SOL_SOCKET, 4000, 1)": [ENOPROTOOPT],
    "setsockopt(IPPROTO_TCP, 4000, 1)": [ENOPROTOOPT],
    "setsockopt(IPPROTO_TCP, TCP_KEEPIDLE, 0)": [EINVAL],
    "setsockopt(IPPROTO_TCP, TCP_NODELAY, b'x')": [EINVAL],
    "setsockopt(IPPROTO_TCP, TCP_CONGESTION, b'nonesuch')": [ENOENT],
}


def wrong_answers(guest, sock, calls):
    """The calls of a table that do not fail as they must, with the answer."""
    answers = guest.run(HELPERS + f"""
c = {sock}
{{code: answer(eval, "c." + code) for code in {list(calls)}}}
""")
    return {code: got for code, got in answers.items()
            if got not in calls[code]}


@pytest.mark.remote
@pytest.mark.no_circuit
def test_bad_options_are_refused(client):
    assert not wrong_answers(client, "new_socket()", BAD)


@pytest.mark.remote
def test_bad_options_of_a_connected_socket_are_refused(client, joined):
    assert not wrong_answers(client, "c", BAD_WHEN_CONNECTED)


@pytest.mark.remote
def test_upper_layer_is_refused_or_there(client, joined):
    # TCP_ULP (31): TCP has it where the tls module is. A circuit has not,
    # and then answers with what its unconnected shadow says.
    assert client.run("""
try:
    c.setsockopt(IPPROTO_TCP, 31, b"tls")
    got = 0
except OSError as error:
    got = error.errno
got in (0, ENOENT, EOPNOTSUPP, ENOPROTOOPT, ENOTCONN)
""")
    if client.run("got") == 0:
        assert client.run("c.getsockopt(IPPROTO_TCP, 31, 16)")[:3] == b"tls"


def test_linger_is_kept_with_its_time(client, joined):
    assert client.run("""
linger(c, 1, 42)
struct.unpack("ii", c.getsockopt(SOL_SOCKET, SO_LINGER, 8))
""") == (1, 42)


@pytest.mark.parametrize("name", ["SO_RCVTIMEO", "SO_SNDTIMEO"])
def test_timeout_is_told_as_it_was_set(client, joined, name):
    assert client.run(f"""
c.setsockopt(SOL_SOCKET, {name}, timeval(2.5))
struct.unpack("ll", c.getsockopt(SOL_SOCKET, {name}, 16))
""") == (2, 500000)


def test_receive_timeout_ends_a_blocking_receive(server, client, joined):
    value, seconds = server.run("""
a.setsockopt(SOL_SOCKET, SO_RCVTIMEO, timeval(0.2))
timed(a.recv, 1)
""")
    assert value == EAGAIN
    assert 0.15 < seconds < 2


def test_receive_timeout_leaves_data_alone(server, client, joined):
    server.run("a.setsockopt(SOL_SOCKET, SO_RCVTIMEO, timeval(0.05))")
    assert server.errno("a.recv(1)") == EAGAIN
    client.run("c.sendall(b'late')")
    server.run("wait_ready(a, POLLIN)")
    assert server.run("a.recv(10)") == b"late"


def test_send_timeout_ends_a_blocking_send(server, client, joined):
    value, seconds = client.run("""
fill_stably(c)
c.setsockopt(SOL_SOCKET, SO_SNDTIMEO, timeval(0.2))
timed(c.send, bytes(1000))
""")
    assert value == EAGAIN
    assert 0.15 < seconds < 2


def test_send_timeout_gives_the_part_that_went(server, client, joined):
    sent = client.run("""
c.setsockopt(SOL_SOCKET, SO_SNDTIMEO, timeval(0.3))
c.send(pattern(64 << 20))
""", 30)
    assert 0 < sent < 64 << 20


def test_low_water_mark_holds_a_reader_back(server, client, joined):
    server.run("a.setsockopt(SOL_SOCKET, SO_RCVLOWAT, 10)")
    task = server.spawn("a.recv(100)")
    task.assert_blocked()
    client.run("c.sendall(b'12345')")
    # Whether the reader has taken them already is its own business.
    task.assert_blocked()
    client.run("c.sendall(b'67890')")
    assert task.join() == b"1234567890"


def test_low_water_mark_holds_poll_back(server, client, joined):
    server.run("a.setsockopt(SOL_SOCKET, SO_RCVLOWAT, 10)")
    client.run("c.sendall(b'12345')")
    server.run("eventually(lambda: unread(a) == 5)")
    assert server.run("ready(a, POLLIN)") == 0
    client.run("c.sendall(b'67890')")
    assert server.run("wait_ready(a, POLLIN)") == server.run("POLLIN")


def test_low_water_mark_yields_to_the_end(server, client, joined):
    server.run("a.setsockopt(SOL_SOCKET, SO_RCVLOWAT, 10)")
    client.run("c.sendall(b'123'); c.shutdown(SHUT_WR)")
    assert server.run("wait_ready(a, POLLIN); a.recv(100)") == b"123"


def test_cork_is_drawn_by_clearing_it(server, client, joined):
    # Or the 200 ms are over before. Clearing it lets everything out.
    client.run("""
c.setsockopt(IPPROTO_TCP, TCP_CORK, 1)
c.send(b'head'); c.send(b'body')
c.setsockopt(IPPROTO_TCP, TCP_CORK, 0)
""")
    assert server.run("receive(a, 8)") == b"headbody"


def test_corked_bytes_arrive_even_if_nobody_clears_it(server, client, joined):
    client.run("c.setsockopt(IPPROTO_TCP, TCP_CORK, 1); c.send(b'stuck')")
    assert server.run("receive(a, 5)") == b"stuck"


def test_tcp_info_says_established(server, client, joined):
    assert client.run("tcp_state(c)") == 1
    assert server.run("tcp_state(a)") == 1


@pytest.mark.no_circuit
def test_tcp_info_says_listening_or_closed(server, listener):
    assert server.run("tcp_state(s)") == 10
    assert server.run("tcp_state(new_socket())") == 7


def test_tcp_info_says_that_the_peer_ended(server, client, joined):
    client.run("c.shutdown(SHUT_WR)")
    server.run("wait_ready(a, POLLRDHUP)")
    assert server.run("tcp_state(a)") == 8      # CLOSE_WAIT
    assert client.run("tcp_state(c)") in (4, 5)     # FIN_WAIT1, FIN_WAIT2


def test_tcp_info_has_sensible_sizes(server, client, joined):
    client.run("c.sendall(bytes(10000))")
    server.run("receive(a, 10000)")
    assert client.run("""
info = c.getsockopt(IPPROTO_TCP, TCP_INFO, 104)
mss, rtt = struct.unpack_from("I", info, 16)[0], \
    struct.unpack_from("I", info, 68)[0]
len(info) == 104 and mss >= 500 and rtt < 10_000_000
""")


def test_tcp_info_gives_as_much_as_is_asked(client, joined):
    assert client.run("len(c.getsockopt(IPPROTO_TCP, TCP_INFO, 8))") == 8


def test_maximal_segment_is_told(client, joined):
    assert client.run("c.getsockopt(IPPROTO_TCP, TCP_MAXSEG)") >= 500


def test_congestion_control_is_told(client, joined):
    assert client.run("""
c.getsockopt(IPPROTO_TCP, TCP_CONGESTION, 16).rstrip(b"\\0").decode() in
    open("/proc/sys/net/ipv4/tcp_available_congestion_control").read()
""".strip().replace("\n", " "))


def test_buffers_are_told_in_a_sensible_size(server, client, joined):
    for guest, sock in ((server, "a"), (client, "c")):
        for name in ("SO_SNDBUF", "SO_RCVBUF"):
            assert guest.run(f"{sock}.getsockopt(SOL_SOCKET, {name})") >= 4096


def test_huge_buffer_wish_is_limited_not_refused(client, joined):
    told = client.run("c.setsockopt(SOL_SOCKET, SO_SNDBUF, 1 << 30); "
                      "c.getsockopt(SOL_SOCKET, SO_SNDBUF)")
    limit = client.run("int(open('/proc/sys/net/core/wmem_max').read())")
    assert told == 2 * limit


def test_error_of_a_sound_connection_is_zero(server, client, joined):
    assert client.run("error_of(c)") == 0
    assert server.run("error_of(a)") == 0


@pytest.mark.one_family
@pytest.mark.parametrize("name, value", [("IP_TOS", 0x10), ("IP_TTL", 33),
                                         ("IP_RECVTTL", 1)])
def test_ipv4_option_is_kept(client, joined, name, value):
    number = {"IP_RECVTTL": 12}.get(name, name)
    assert client.run(f"c.setsockopt(IPPROTO_IP, {number}, {value}); "
                      f"c.getsockopt(IPPROTO_IP, {number})") == value


@pytest.mark.inet6
@pytest.mark.parametrize("name, value", [
    ("IPV6_TCLASS", 0x20), ("IPV6_UNICAST_HOPS", 33),
    ("IPV6_RECVPKTINFO", 1)])
def test_ipv6_option_is_kept(client, joined, name, value):
    assert client.run(f"c.setsockopt(IPPROTO_IPV6, {name}, {value}); "
                      f"c.getsockopt(IPPROTO_IPV6, {name})") == value


@pytest.mark.inet6
@pytest.mark.no_circuit
def test_v6only_is_kept_before_bind_and_refused_after(server):
    assert server.run("s = new_socket(); "
                      "s.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 1); "
                      "s.getsockopt(IPPROTO_IPV6, IPV6_V6ONLY)") == 1
    server.run("s.bind(('::', 0))")
    assert server.errno("s.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 0)") == \
        EINVAL


@pytest.mark.one_family
@pytest.mark.no_circuit
def test_ipv6_option_of_an_ipv4_socket_is_refused(client):
    assert client.errno("new_socket().setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, "
                        "1)") == ENOPROTOOPT


def test_option_from_bad_memory_is_a_fault(client, joined):
    assert client.errno('system("setsockopt", c.fileno(), IPPROTO_TCP, '
                        'TCP_NODELAY, 8, 4)') == EFAULT


def test_option_with_a_negative_length_is_invalid(client, joined):
    assert client.errno("""
value, size = ctypes.c_int(0), ctypes.c_int(-1)
system("getsockopt", c.fileno(), IPPROTO_TCP, TCP_NODELAY,
       ctypes.byref(value), ctypes.byref(size))
""") == EINVAL


def test_option_into_a_short_buffer_is_cut(client, joined):
    assert client.run("""
value, size = ctypes.c_int(-1), ctypes.c_int(2)
c.setsockopt(IPPROTO_TCP, TCP_KEEPCNT, 6)
system("getsockopt", c.fileno(), IPPROTO_TCP, TCP_KEEPCNT,
       ctypes.byref(value), ctypes.byref(size))
size.value, value.value & 0xffff
""") == (2, 6)


@pytest.mark.no_circuit
def test_privileged_option_needs_privilege(client):
    assert client.run("""
def child():
    os.setresuid(65534, 65534, 65534)
    try:
        new_socket().setsockopt(SOL_SOCKET, 32, 1 << 20)
    except OSError as error:
        return error.errno
os.waitstatus_to_exitcode(in_child(child))
""") == EPERM


@pytest.mark.no_circuit
def test_option_of_a_closed_descriptor_is_bad(client):
    assert client.errno('system("getsockopt", 999, SOL_SOCKET, SO_ERROR, '
                        'None, None)') == EBADF
