# SPDX-License-Identifier: GPL-2.0-or-later
"""connect(): success, refusal, waiting, and what it says when it must not."""

from errno import (EAFNOSUPPORT, EALREADY, ECONNREFUSED, ECONNRESET,
                   EHOSTUNREACH, EINPROGRESS, EINVAL, EISCONN, ENOTCONN,
                   EPIPE, ETIMEDOUT)

import pytest

pytestmark = pytest.mark.of_names


def test_connect_and_accept_carry_bytes_both_ways(server, client, joined):
    client.run("c.sendall(b'question')")
    assert server.run("receive(a, 8)") == b"question"
    server.run("a.sendall(b'answer')")
    assert client.run("receive(c, 6)") == b"answer"


def test_user_timeout_ends_a_connect_that_nobody_answers(server, client):
    client.set(PORT=server.run("s = listen(backlog=0); port_of(s)"))
    client.run("first = connect()")
    server.run("wait_ready(s, POLLIN)")
    client.run("d = new_socket(); "
               "d.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000)")
    assert client.errno("d.connect((SERVER, PORT))") == ETIMEDOUT


def test_connect_returns_before_accept(server, client, listener):
    client.run("c = connect(); c.sendall(b'early')")
    server.run("a, _ = s.accept()")
    assert server.run("receive(a, 5)") == b"early"


@pytest.mark.no_circuit
def test_connect_is_refused_where_nobody_listens(server, client):
    client.set(PORT=server.run("unused_port()"))
    assert client.errno("connect()") == ECONNREFUSED


@pytest.mark.no_circuit
def test_nonblocking_connect_to_nobody_tells_refusal_once(server, client):
    client.set(PORT=server.run("unused_port()"))
    number = client.run("c, number = dial(); number")
    assert number == EINPROGRESS
    told = client.run("wait_ready(c, POLLOUT)")
    both = client.run("POLLERR | POLLHUP")
    assert told & both == both
    assert client.run("error_of(c)") == ECONNREFUSED
    assert client.run("error_of(c)") == 0


def test_connect_after_a_refusal_works_on_the_same_socket(server, client,
                                                          listener):
    nobody = server.run("unused_port()")
    assert client.errno(f"c = new_socket(); c.connect((SERVER, {nobody}))") \
        == ECONNREFUSED
    client.run("c.connect((SERVER, PORT)); c.sendall(b'x')")
    assert server.run("a, _ = s.accept(); receive(a, 1)") == b"x"


def test_nonblocking_connect_is_in_progress_then_writable(server, client,
                                                          listener):
    assert client.run("c, number = dial(); number") == EINPROGRESS
    assert client.run("wait_ready(c, POLLOUT)") == client.run("POLLOUT")
    assert client.run("error_of(c)") == 0
    server.run("a, _ = s.accept()")
    client.run("c.sendall(b'x')")
    assert server.run("receive(a, 1)") == b"x"


def test_nonblocking_connect_again_says_it_is_connected(server, client,
                                                        listener):
    client.run("c, _ = dial(); wait_ready(c, POLLOUT)")
    # The first call after success takes it; Linux says 0, then EISCONN.
    assert client.run("c.connect_ex((SERVER, PORT))") == 0
    assert client.run("c.connect_ex((SERVER, PORT))") == EISCONN


def test_connect_on_a_connected_socket_says_so(server, client, joined):
    assert client.errno("c.connect((SERVER, PORT))") == EISCONN
    assert server.errno("a.connect((SERVER, PORT))") == EISCONN
    client.run("c.sendall(b'x')")
    assert server.run("receive(a, 1)") == b"x"


@pytest.mark.no_circuit
def test_connect_on_a_listener_says_connected(server, listener):
    assert server.errno("s.connect((SERVER, PORT))") == EISCONN


@pytest.mark.no_circuit
def test_connect_with_a_wrong_family_is_refused(client):
    assert client.errno("""
c = new_socket()
system("connect", c.fileno(), struct.pack("H26x", AF_UNIX), 28)
""") == EAFNOSUPPORT


@pytest.mark.no_circuit
def test_connect_with_a_short_address_is_invalid(client):
    assert client.errno("""
c = new_socket()
system("connect", c.fileno(), struct.pack("H26x", FAMILY), 6)
""") == EINVAL


@pytest.mark.remote
@pytest.mark.no_circuit
@pytest.mark.fallback
def test_connect_to_an_address_of_nobody_says_unreachable(client):
    assert client.errno("connect(80, SERVER[:-1] + '99')") == EHOSTUNREACH


@pytest.mark.remote
@pytest.mark.no_circuit
@pytest.mark.fallback
def test_nonblocking_connect_to_nobody_tells_unreachable(client):
    client.run("c, number = dial(80, SERVER[:-1] + '99')")
    assert client.run("number") == EINPROGRESS
    client.run("wait_ready(c, POLLOUT)")
    assert client.run("error_of(c)") == EHOSTUNREACH


@pytest.mark.no_circuit
@pytest.mark.fallback("fallback_no_route")
def test_connect_without_a_route_is_unreachable_at_once(client, family):
    target = "203.0.113.1" if family == "inet" else "3fff::1"
    value, seconds = client.run(
        f"timed(new_socket().connect, ('{target}', 80))")
    assert value == client.run("ENETUNREACH")
    assert seconds < 1


def test_connect_from_a_bound_port_shows_it_to_the_peer(server, client,
                                                        listener):
    port = client.run("""
c = new_socket(); c.bind((CLIENT, 0)); mine = port_of(c)
c.connect((SERVER, PORT)); mine
""")
    assert server.run("a, name = s.accept(); name[1]") == port
    assert client.run("port_of(c)") == port


def test_connect_from_a_bound_address_shows_it_to_the_peer(server, client,
                                                           listener):
    client.run("c = new_socket(); c.bind((CLIENT, 0)); "
               "c.connect((SERVER, PORT))")
    assert server.run("a, name = s.accept(); name[0] == CLIENT")


def test_twenty_connects_at_once_all_succeed(server, client, listener):
    client.run("socks = [dial()[0] for _ in range(20)]")
    server.run("accepted = [s.accept()[0] for _ in range(20)]")
    assert client.run("[wait_ready(c, POLLOUT) == POLLOUT and error_of(c) "
                      "for c in socks]") == [0] * 20
    client.run("for i, c in enumerate(socks): c.sendall(bytes([i]))")
    assert server.run("sorted(receive(a, 1)[0] for a in accepted)") == \
        list(range(20))


def test_who_is_accepted_is_connected(server, client, listener, place):
    if place == "remote":
        client.run("c, _ = dial()")
        server.run("a, _ = s.accept()")
        assert client.run("ready(c, POLLOUT, 0)") == client.run("POLLOUT")
        return
    # Here accept() and what looks at the dialler are microseconds apart.
    assert client.run("""
def writable():
    c, _ = dial()
    a, _ = s.accept()
    mask = ready(c, POLLOUT, 0)
    c.close()
    a.close()
    return mask

{writable() for _ in range(100)} == {POLLOUT}
""")


@pytest.fixture
def full(server, client):
    """A listener `s` whose backlog of one is taken by `first`."""
    port = server.run("s = listen(backlog=0); port_of(s)")
    client.set(PORT=port)
    client.run("first = connect()")
    # Where accepting is a matter of moments, wait until it is queued.
    server.run("wait_ready(s, POLLIN)")


def test_connect_to_a_full_backlog_waits_for_accept(server, client, full):
    client.run("c, _ = dial()")
    assert client.run("ready(c, POLLOUT, 300)") == 0
    server.run("a, _ = s.accept()")
    server.run("b, _ = s.accept()")
    assert client.run("wait_ready(c, POLLOUT)") == client.run("POLLOUT")
    client.run("c.sendall(b'second')")
    assert server.run("receive(b, 6)") == b"second"


def test_second_connect_under_way_says_already(client, full):
    client.run("c, _ = dial()")
    assert client.run("c.connect_ex((SERVER, PORT))") == EALREADY


def test_blocking_connect_blocks_while_the_backlog_is_full(server, client,
                                                           full):
    task = client.spawn("c = connect()")
    task.assert_blocked()
    server.run("a, _ = s.accept(); b, _ = s.accept()")
    task.join()
    client.run("c.sendall(b'x')")
    assert server.run("receive(b, 1)") == b"x"


def test_send_timeout_bounds_a_blocking_connect(client, full):
    value, seconds = client.run("""
c = new_socket()
c.setsockopt(SOL_SOCKET, SO_SNDTIMEO, timeval(0.2))
timed(c.connect, (SERVER, PORT))
""")
    assert value == EINPROGRESS
    assert 0.15 < seconds < 2


def test_connect_given_up_leaves_the_listener_working(server, client, full):
    client.run("c, _ = dial(); c.close()")
    server.run("a, _ = s.accept()")
    client.run("d = connect(); d.sendall(b'after')")
    # The one given up may or may not be in the queue; it has no bytes.
    assert server.run("""
b, _ = s.accept()
data = receive(b, 5)
if not data:
    b, _ = s.accept()
    data = receive(b, 5)
data
""") == b"after"


def test_connect_under_way_can_not_send_or_receive(client, full):
    client.run("c, _ = dial()")
    assert client.errno("c.send(b'x')") == client.run("EAGAIN")
    assert client.errno("c.recv(1)") == client.run("EAGAIN")


def test_shutdown_ends_a_connect_under_way(client, full):
    client.run("c, _ = dial()")
    client.run("c.shutdown(SHUT_RDWR)")
    assert client.run("wait_ready(c, POLLOUT)") & client.run("POLLHUP")


def test_connect_to_af_unspec_dissolves_the_connection(server, client,
                                                       joined):
    client.run("""
system("connect", c.fileno(), struct.pack("H14x", AF_UNSPEC), 16)
""")
    assert server.errno("a.recv(1)") == ECONNRESET
    assert client.errno("c.getpeername()") == ENOTCONN
    client.run("c.connect((SERVER, PORT)); c.sendall(b'again')")
    assert server.run("a, _ = s.accept(); receive(a, 5)") == b"again"


@pytest.mark.no_circuit
def test_unconnected_socket_neither_sends_nor_receives(client):
    client.run("c = new_socket()")
    assert client.errno("c.send(b'x', MSG_NOSIGNAL)") == EPIPE
    assert client.errno("c.recv(1)") == ENOTCONN


@pytest.mark.inet6
def test_ipv6_socket_connects_to_a_mapped_ipv4_address(world, server, client):
    target = server.v4
    port = server.run(f"s = listen(host='{target}', family=AF_INET); "
                      "port_of(s)")
    client.run(f"c = connect({port}, '::ffff:{target}'); c.sendall(b'x')")
    assert server.run("a, name = s.accept(); receive(a, 1)") == b"x"
    assert client.run("c.getpeername()[:2]") == (f"::ffff:{target}", port)
    assert client.run("c.getsockname()[0]").startswith("::ffff:")
    assert server.run("name[0]") == client.v4


@pytest.mark.inet6
@pytest.mark.no_circuit
def test_v6only_socket_does_not_connect_to_a_mapped_address(server, client):
    assert client.errno(
        "c = new_socket(); c.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 1); "
        f"c.connect(('::ffff:{server.v4}', 80))") == \
        client.run("ENETUNREACH")


@pytest.mark.no_circuit
@pytest.mark.fallback("fallback_local")
def test_connect_to_a_wildcard_reaches_oneself_over_tcp(server, listener,
                                                        family):
    # Linux takes the wildcard for loopback, where nobody listens here.
    assert server.errno("connect(PORT, ANY)") == ECONNREFUSED


@pytest.mark.remote
def test_connect_by_name_sees_the_peer_before_data(server, client, listener):
    client.run("c = connect()")
    assert server.run("wait_ready(s, POLLIN)") == server.run("POLLIN")
    server.run("a, _ = s.accept()")
    assert client.run("c.getpeername()[:2]") == \
        server.run("a.getsockname()[:2]")
