# SPDX-License-Identifier: GPL-2.0-or-later
"""When a connection is ordinary TCP, and that it is counted why."""

import pytest

pytestmark = [pytest.mark.circuit, pytest.mark.own_proof,
              pytest.mark.of_names]


@pytest.fixture
def counted(server, client):
    """Counters of all guests of the case, as they rise from here."""
    guests = {server, client}
    before = {guest: guest.run("stats()") for guest in guests}

    def risen(name):
        return sum(guest.run("stats()")[name] - before[guest][name]
                   for guest in guests)
    return risen


@pytest.mark.remote
def test_local_destination_is_tcp_by_default(server, family, counted):
    server.run("s = listen(); c = connect(port_of(s)); a, _ = s.accept(); "
               "c.sendall(b'x')")
    assert server.run("receive(a, 1)") == b"x"
    assert counted("fallback_local") == 1
    assert counted("circuits_connected") == 0


@pytest.mark.remote
def test_loopback_is_tcp_by_default(server, family, counted):
    host = "127.0.0.1" if family == "inet" else "::1"
    server.run(f"s = listen(host='{host}'); c = connect(port_of(s), "
               f"'{host}'); a, _ = s.accept(); c.sendall(b'x')")
    assert server.run("receive(a, 1)") == b"x"
    assert counted("fallback_local") == 1
    assert counted("circuits_connected") == 0


def test_local_destination_is_a_circuit_when_asked_for(world, server, client,
                                                       counted):
    world.set_local(True)
    server.run("s = listen(); c = connect(port_of(s)); a, _ = s.accept(); "
               "c.sendall(b'x')")
    assert server.run("receive(a, 1)") == b"x"
    assert counted("fallback_local") == 0
    assert counted("circuits_connected") == 1


def test_socket_that_connects_to_itself_meets_itself(world, server, client,
                                                     counted):
    world.set_local(True)
    server.run("""
c = new_socket()
c.bind((SERVER, 0))
c.connect(c.getsockname())
c.sendall(b"x")
""")
    assert server.run("receive(c, 1)") == b"x"
    assert counted("fallback_local") == 1
    assert counted("circuits_connected") == 0


@pytest.mark.remote
def test_destination_without_route_is_tcp_and_counted(server, family,
                                                      counted):
    target = "203.0.113.1" if family == "inet" else "3fff::1"
    assert server.errno(f"connect(80, '{target}')") == \
        server.run("ENETUNREACH")
    assert counted("fallback_no_route") == 1


@pytest.mark.remote
def test_listener_accepts_circuits_and_tcp(server, client, counted):
    port = server.run("s = listen(host=ANY); port_of(s)")
    client.set(PORT=port)
    client.run("c = connect(); c.sendall(b'far')")
    server.run("d = connect(port_of(s), SERVER); d.sendall(b'near')")
    got = server.run("""
accepted = [s.accept()[0] for _ in range(2)]
sorted(a.recv(10) for a in accepted)
""")
    assert got == [b"far", b"near"]
    assert counted("circuits_accepted") == 1
    assert counted("accepted_tcp") == 1


@pytest.mark.remote
def test_poll_on_a_listener_tells_of_both_kinds(server, client):
    client.set(PORT=server.run("s = listen(host=ANY); port_of(s)"))
    for connect in ("near", "far"):
        task = server.spawn("wait_ready(s, POLLIN)")
        task.assert_blocked()
        if connect == "far":
            client.run("c = connect()")
        else:
            server.run("d = connect(port_of(s), SERVER)")
        assert task.join() == server.run("POLLIN")
        server.run("s.accept()")


@pytest.mark.remote
def test_blocked_accept_is_woken_by_tcp_too(server):
    server.run("s = listen()")
    task = server.spawn("a, name = s.accept(); a.recv(1)")
    task.assert_blocked()
    server.run("c = connect(port_of(s), SERVER); c.sendall(b'x')")
    assert task.join() == b"x"


@pytest.mark.remote
def test_epoll_registered_before_a_fallback_still_fires(server):
    server.run("s = listen(); c = new_socket(); p = select.epoll(); "
               "p.register(c, EPOLLIN | EPOLLET); p.poll(0); "
               "c.connect((SERVER, port_of(s))); a, _ = s.accept()")
    task = server.spawn("p.poll(8)")
    task.assert_blocked()
    server.run("a.sendall(b'x')")
    assert task.join()[0][1] & server.run("EPOLLIN")


@pytest.mark.remote
def test_fallback_carries_options_set_before(server, counted):
    server.run("s = listen(); c = new_socket(); "
               "c.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1); "
               "c.setsockopt(SOL_SOCKET, SO_KEEPALIVE, 1); "
               "c.connect((SERVER, port_of(s)))")
    assert server.run("[c.getsockopt(IPPROTO_TCP, TCP_NODELAY), "
                      "c.getsockopt(SOL_SOCKET, SO_KEEPALIVE)]") == [1, 1]
    assert counted("fallback_local") == 1


@pytest.mark.remote
def test_fallback_streams_whole_and_ends(server):
    server.run("s = listen(); c = connect(port_of(s), SERVER); "
               "a, _ = s.accept()")
    server.spawn("c.sendall(pattern(1 << 20)); c.shutdown(SHUT_WR)")
    assert server.run("read_to_end(a) == pattern(1 << 20)")
    server.run("a.close()")
    assert server.run("c.recv(1)") == b""


@pytest.mark.remote
def test_status_names_each_fallback(world, server, counted):
    server.run("s = listen(); c = connect(port_of(s), SERVER)")
    text = world.tool(server, "status")
    assert "local" in text
