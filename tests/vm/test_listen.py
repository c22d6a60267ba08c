# SPDX-License-Identifier: GPL-2.0-or-later
"""bind(), listen(), accept(): who gets which connection, and the errors."""

from errno import (EACCES, EADDRINUSE, EADDRNOTAVAIL, EAGAIN, ECONNREFUSED,
                   ECONNRESET, EINVAL)

import pytest

pytestmark = pytest.mark.of_names


@pytest.mark.no_circuit
def test_bind_to_port_zero_gives_a_port(server):
    ports = server.run("""
socks = [new_socket() for _ in range(5)]
for sock in socks: sock.bind((SERVER, 0))
[port_of(sock) for sock in socks]
""")
    assert 0 not in ports
    assert len(set(ports)) == 5


@pytest.mark.no_circuit
def test_bind_to_a_taken_port_says_in_use(server, listener):
    assert server.errno("new_socket().bind((SERVER, PORT))") == EADDRINUSE
    assert server.errno("new_socket().bind((ANY, PORT))") == EADDRINUSE


@pytest.mark.no_circuit
def test_bind_to_a_foreign_address_is_not_available(server, family):
    foreign = "192.0.2.1" if family == "inet" else "2001:db8::1"
    assert server.errno(f"new_socket().bind(('{foreign}', 0))") == \
        EADDRNOTAVAIL


@pytest.mark.no_circuit
def test_second_bind_is_invalid(server):
    assert server.errno("s = new_socket(); s.bind((SERVER, 0)); "
                        "s.bind((SERVER, 0))") == EINVAL


@pytest.mark.no_circuit
def test_bind_to_a_low_port_needs_privilege(server):
    assert server.run("""
def child():
    os.setresuid(65534, 65534, 65534)
    try:
        new_socket().bind((SERVER, 81))
    except OSError as error:
        return error.errno
os.waitstatus_to_exitcode(in_child(child))
""") == EACCES


def test_listen_without_bind_picks_a_port(server, client):
    port = server.run("s = new_socket(); s.listen(); port_of(s)")
    assert port
    client.set(PORT=port)
    client.run("c = connect(); c.sendall(b'x')")
    assert server.run("a, _ = s.accept(); receive(a, 1)") == b"x"


def test_listen_again_keeps_what_is_queued(server, client, listener):
    client.run("c = connect(); c.sendall(b'x')")
    server.run("wait_ready(s, POLLIN); s.listen(10)")
    assert server.run("a, _ = s.accept(); receive(a, 1)") == b"x"


def test_listen_on_a_connected_socket_is_invalid(server, client, joined):
    assert client.errno("c.listen()") == EINVAL
    client.run("c.sendall(b'x')")
    assert server.run("receive(a, 1)") == b"x"


@pytest.mark.no_circuit
def test_accept_without_listen_is_invalid(server):
    assert server.errno("s = new_socket(); s.bind((SERVER, 0)); "
                        "s.accept()") == EINVAL


@pytest.mark.no_circuit
def test_nonblocking_accept_without_client_would_block(server, listener):
    assert server.errno("s.setblocking(False); s.accept()") == EAGAIN


def test_accept_blocks_until_somebody_connects(server, client, listener):
    task = server.spawn("a, name = s.accept()")
    task.assert_blocked()
    client.run("c = connect(); c.sendall(b'x')")
    task.join()
    assert server.run("receive(a, 1)") == b"x"


@pytest.mark.no_circuit
def test_receive_timeout_bounds_accept(server, listener):
    value, seconds = server.run("""
s.setsockopt(SOL_SOCKET, SO_RCVTIMEO, timeval(0.2))
timed(s.accept)
""")
    assert value == EAGAIN
    assert 0.15 < seconds < 2


def test_accept_gives_connections_in_their_order(server, client, listener):
    client.run("""
socks = []
for i in range(8):
    socks.append(connect())
    socks[-1].sendall(bytes([i]))
""")
    assert server.run("""
accepted = [s.accept()[0] for _ in range(8)]
[receive(a, 1)[0] for a in accepted]
""") == list(range(8))


@pytest.mark.parametrize("flags, status, cloexec", [
    ("0", False, False), ("SOCK_NONBLOCK", True, False),
    ("SOCK_CLOEXEC", False, True), ("SOCK_NONBLOCK | SOCK_CLOEXEC", True,
                                    True)])
def test_accept4_sets_exactly_the_flags_asked_for(server, client, listener,
                                                  flags, status, cloexec):
    client.run("c = connect()")
    got = server.run(f"""
fd = system("accept4", s.fileno(), None, None, {flags})
(bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK),
 bool(fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC))
""")
    assert got == (status, cloexec)


@pytest.mark.no_circuit
def test_accept4_with_unknown_flags_is_invalid(server, listener):
    assert server.errno('system("accept4", s.fileno(), None, None, 0x100)') \
        == EINVAL


def test_accepted_socket_does_not_inherit_nonblocking(server, client,
                                                      listener):
    client.run("c = connect()")
    assert server.run("""
s.setblocking(False)
wait_ready(s, POLLIN)
fd = system("accept4", s.fileno(), None, None, 0)
fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK
""") == 0


@pytest.mark.parametrize("level, name, value", [
    ("SOL_SOCKET", "SO_KEEPALIVE", 1), ("IPPROTO_TCP", "TCP_NODELAY", 1),
    ("IPPROTO_TCP", "TCP_KEEPIDLE", 33), ("SOL_SOCKET", "SO_OOBINLINE", 1),
    ("SOL_SOCKET", "SO_RCVLOWAT", 7), ("SOL_SOCKET", "SO_REUSEADDR", 1)])
@pytest.mark.remote
def test_accepted_socket_inherits_the_option(server, client, level, name,
                                             value):
    client.set(PORT=server.run(
        f"s = listen(options=[({level}, {name}, {value})]); port_of(s)"))
    client.run("c = connect()")
    assert server.run(f"a, _ = s.accept(); "
                      f"a.getsockopt({level}, {name})") == value


@pytest.mark.remote
def test_accepted_socket_inherits_buffer_sizes(server, client):
    client.set(PORT=server.run("""
s = listen(options=[(SOL_SOCKET, SO_SNDBUF, 50000),
                    (SOL_SOCKET, SO_RCVBUF, 60000)]); port_of(s)
"""))
    client.run("c = connect()")
    server.run("a, _ = s.accept()")
    for name in ("SO_SNDBUF", "SO_RCVBUF"):
        assert server.run(f"a.getsockopt(SOL_SOCKET, {name})") == \
            server.run(f"s.getsockopt(SOL_SOCKET, {name})")


def test_close_of_a_listener_refuses_later_connects(server, client, joined):
    server.run("s.close()")
    assert client.errno("connect()") == ECONNREFUSED




def test_close_of_a_listener_resets_who_was_not_accepted(server, client,
                                                         listener):
    client.run("c = connect()")
    server.run("wait_ready(s, POLLIN); s.close()")
    assert client.errno("c.recv(1)") == ECONNRESET


def test_close_of_a_listener_leaves_accepted_connections(server, client,
                                                         joined):
    server.run("s.close()")
    client.run("c.sendall(b'still')")
    assert server.run("receive(a, 5)") == b"still"
    server.run("a.sendall(b'here')")
    assert client.run("receive(c, 4)") == b"here"


@pytest.mark.no_circuit
def test_shutdown_of_a_listener_wakes_accept(server, listener):
    task = server.spawn("s.accept()")
    task.assert_blocked()
    server.run("s.shutdown(SHUT_RDWR)")
    assert task.errno() == EINVAL


@pytest.mark.no_circuit
def test_shutdown_of_a_listener_refuses_connects(server, client, listener):
    server.run("s.shutdown(SHUT_RD)")
    assert client.errno("connect()") == ECONNREFUSED


def test_listener_listens_again_after_shutdown(server, client, listener):
    # The port was the system's choice, so it may be another now.
    port = server.run("s.shutdown(SHUT_RDWR); s.listen(5); port_of(s)")
    client.run(f"c = connect({port}); c.sendall(b'x')")
    assert server.run("a, _ = s.accept(); receive(a, 1)") == b"x"


def test_reuseaddr_rebinds_a_port_with_old_connections(server, client):
    port = server.run("reuse = [(SOL_SOCKET, SO_REUSEADDR, 1)]; "
                      "s = listen(options=reuse); port_of(s)")
    client.set(PORT=port)
    client.run("c = connect()")
    server.run("a, _ = s.accept(); a.close(); s.close()")
    client.run("c.recv(1)")
    server.run(f"s = listen({port}, options=reuse)")
    client.run("d = connect(); d.sendall(b'x')")
    assert server.run("a, _ = s.accept(); receive(a, 1)") == b"x"


def test_reuseport_spreads_connections_over_listeners(server, client):
    port = server.run("""
shared = [(SOL_SOCKET, SO_REUSEPORT, 1)]
s = listen(options=shared); t = listen(port_of(s), options=shared); port_of(s)
""")
    client.set(PORT=port)
    client.run("socks = [connect() for _ in range(40)]")
    taken = server.run("""
taken = {s.fileno(): 0, t.fileno(): 0}
accepted = []
while sum(taken.values()) < 40:
    for sock in select.select([s, t], [], [], 8)[0]:
        accepted.append(sock.accept()[0])
        taken[sock.fileno()] += 1
list(taken.values())
""")
    assert sum(taken) == 40
    assert min(taken) > 0, "one listener got nothing of 40 connections"


@pytest.mark.no_circuit
def test_reuseport_needs_both_sides_to_agree(server, listener):
    assert server.errno(
        "listen(PORT, options=[(SOL_SOCKET, SO_REUSEPORT, 1)])") == EADDRINUSE


def test_reuseport_listener_that_closes_leaves_the_others(server, client):
    port = server.run("""
shared = [(SOL_SOCKET, SO_REUSEPORT, 1)]
s = listen(options=shared); t = listen(port_of(s), options=shared); s.close()
port_of(t)
""")
    client.set(PORT=port)
    client.run("socks = [connect() for _ in range(10)]")
    assert server.run("len([t.accept() for _ in range(10)])") == 10


def test_wildcard_listener_takes_connections_to_an_address(server, client):
    client.set(PORT=server.run("s = listen(host=ANY); port_of(s)"))
    client.run("c = connect()")
    server.run("a, name = s.accept()")
    assert server.run("a.getsockname()[0] == SERVER")
    assert server.run("s.getsockname()[0] == ANY")
    client.run("c.sendall(b'x')")
    assert server.run("receive(a, 1)") == b"x"


def test_listener_on_the_address_goes_before_the_wildcard(server, client):
    port = server.run("""
shared = [(SOL_SOCKET, SO_REUSEPORT, 1)]
wild = listen(host=ANY, options=shared)
s = listen(port_of(wild), options=shared)
port_of(s)
""")
    client.set(PORT=port)
    client.run("socks = [connect() for _ in range(10)]")
    server.run("accepted = [s.accept() for _ in range(10)]")
    assert server.run("ready(wild, POLLIN)") == 0


@pytest.mark.inet6
def test_dual_stack_listener_takes_ipv4(server, client):
    port = server.run("s = listen(host='::'); port_of(s)")
    client.run(f"c = connect({port}, '{server.v4}', AF_INET); "
               "c.sendall(b'four')")
    assert server.run("a, name = s.accept(); name[0]") == \
        f"::ffff:{client.v4}"
    assert server.run("a.getsockname()[0]") == f"::ffff:{server.v4}"
    assert server.run("receive(a, 4)") == b"four"
    client.run(f"d = connect({port}); d.sendall(b'six')")
    assert server.run("b, name = s.accept(); name[0] == CLIENT")
    assert server.run("receive(b, 3)") == b"six"


@pytest.mark.inet6
def test_v6only_listener_refuses_ipv4(server, client):
    port = server.run("s = listen(host='::', options=[(IPPROTO_IPV6, "
                      "IPV6_V6ONLY, 1)]); port_of(s)")
    assert client.errno(f"connect({port}, '{server.v4}', AF_INET)") == \
        ECONNREFUSED
    client.run(f"c = connect({port}); c.sendall(b'x')")
    assert server.run("a, _ = s.accept(); receive(a, 1)") == b"x"


@pytest.mark.inet6
def test_v6only_and_ipv4_listeners_share_a_port(server, client):
    port = server.run("""
s = listen(host='::', options=[(IPPROTO_IPV6, IPV6_V6ONLY, 1)])
t = listen(port_of(s), '0.0.0.0', family=AF_INET)
port_of(s)
""")
    client.run(f"four = connect({port}, '{server.v4}', AF_INET); "
               "four.sendall(b'4')")
    client.run(f"six = connect({port}); six.sendall(b'6')")
    assert server.run("a, _ = t.accept(); receive(a, 1)") == b"4"
    assert server.run("b, _ = s.accept(); receive(b, 1)") == b"6"


@pytest.mark.inet6
@pytest.mark.no_circuit
def test_dual_stack_listener_takes_the_ipv4_port_too(server):
    assert server.errno(
        "s = listen(host='::'); "
        "listen(port_of(s), '0.0.0.0', family=AF_INET)") == EADDRINUSE


@pytest.mark.inet6
def test_mapped_address_listener_takes_ipv4(server, client):
    port = server.run(f"s = listen(host='::ffff:{server.v4}'); port_of(s)")
    client.run(f"c = connect({port}, '{server.v4}', AF_INET); "
               "c.sendall(b'x')")
    assert server.run("a, name = s.accept(); receive(a, 1)") == b"x"
    assert server.run("name[0]") == f"::ffff:{client.v4}"


def test_accept_after_the_client_closed_gives_its_bytes(server, client,
                                                        listener):
    client.run("c = connect(); c.sendall(b'bye'); c.close()")
    assert server.run("a, _ = s.accept(); read_to_end(a)") == b"bye"


def test_accept_after_the_client_reset_tells_the_reset(server, client,
                                                       listener):
    client.run("c = connect(); linger(c, 1, 0)")
    server.run("wait_ready(s, POLLIN)")
    client.run("c.close()")
    server.run("a, _ = s.accept()")
    assert server.errno("wait_ready(a, POLLIN); a.recv(1)") == ECONNRESET


def test_many_threads_accept_from_one_listener(server, client, listener):
    tasks = [server.spawn(f"a{i}, _ = s.accept(); receive(a{i}, 1)")
             for i in range(4)]
    for task in tasks:
        task.assert_blocked()
    client.run("""
socks = [connect() for _ in range(4)]
for i, c in enumerate(socks): c.sendall(bytes([i]))
""")
    assert sorted(task.join() for task in tasks) == \
        [bytes([i]) for i in range(4)]


def test_port_is_free_again_after_close(server, client, listener):
    server.run("s.close(); s = listen(PORT)")
    client.run("c = connect(); c.sendall(b'x')")
    assert server.run("a, _ = s.accept(); receive(a, 1)") == b"x"


@pytest.mark.no_circuit
def test_listener_knows_that_it_accepts(server, listener):
    assert server.run("s.getsockopt(SOL_SOCKET, SO_ACCEPTCONN)") == 1
    assert server.run("new_socket().getsockopt(SOL_SOCKET, "
                      "SO_ACCEPTCONN)") == 0


@pytest.mark.no_circuit
def test_ephemeral_ports_keep_to_the_configured_range(server):
    low, high = server.run("""
with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
    low, high = map(int, file.read().split())
low, high
""")
    assert server.run("""
socks = [listen() for _ in range(10)]
[port_of(sock) for sock in socks if not low <= port_of(sock) <= high]
""") == []
