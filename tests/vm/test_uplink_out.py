# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests without a network card reach the outside: circuits over the uplink.

The server is a peer in the outside, the client a guest.
"""

from errno import (EACCES, EAGAIN, EALREADY, ECONNREFUSED, ECONNRESET,
                   EHOSTUNREACH, EINPROGRESS, ENETUNREACH, EPIPE, ETIMEDOUT)

import socket
import struct

import pytest

from uplinkworld import DENIED, outside

pytestmark = [pytest.mark.circuit, pytest.mark.uplink]

# At once, for an emulated machine.
SOON_S = 1.5


@pytest.fixture
def ends(world, family):
    return world.set_ends(family, world.outside, world.nat)


def of(addresses, family):
    return addresses[family == "inet6"]


# -- bytes

def test_bytes_go_both_ways(server, client, joined):
    task = client.spawn("c.sendall(pattern(3 << 20, 1))")
    assert server.run("receive(a, 3 << 20) == pattern(3 << 20, 1)")
    task.join()
    task = server.spawn("a.sendall(pattern(3 << 20, 2))")
    assert client.run("receive(c, 3 << 20) == pattern(3 << 20, 2)")
    task.join()


def test_bytes_go_both_ways_at_once(server, client, joined):
    tasks = [server.spawn("a.sendall(pattern(4 << 20, 1))"),
             client.spawn("c.sendall(pattern(4 << 20, 2))"),
             server.spawn("digest(receive(a, 4 << 20)) == "
                          "digest(pattern(4 << 20, 2))")]
    assert client.run("digest(receive(c, 4 << 20)) == "
                      "digest(pattern(4 << 20, 1))", 40)
    assert tasks[2].join(20)
    for task in tasks[:2]:
        task.join()


def test_single_bytes_make_round_trips(server, client, joined):
    task = server.spawn("for _ in range(200): a.sendall(receive(a, 1))")
    client.run("""
for i in range(200):
    c.sendall(bytes([i]))
    assert receive(c, 1) == bytes([i])
""")
    task.join()


def test_end_comes_after_the_last_byte(server, client, joined):
    task = client.spawn("c.sendall(pattern(2 << 20)); c.close()")
    assert server.run("read_to_end(a) == pattern(2 << 20)")
    task.join()


def test_end_of_the_peer_comes_after_its_last_byte(server, client, joined):
    task = server.spawn("a.sendall(pattern(2 << 20)); a.close()")
    assert client.run("read_to_end(c) == pattern(2 << 20)")
    task.join()


def test_guest_that_has_closed_its_half_still_receives(server, client,
                                                       joined):
    client.run("c.sendall(b'question'); c.shutdown(SHUT_WR)")
    assert server.run("read_to_end(a)") == b"question"
    task = server.spawn("a.sendall(pattern(1 << 20)); a.close()")
    assert client.run("read_to_end(c) == pattern(1 << 20)")
    task.join()
    assert client.errno("c.send(b'x', MSG_NOSIGNAL)") == EPIPE


def test_peer_that_has_closed_its_half_still_receives(server, client,
                                                      joined):
    server.run("a.sendall(b'question'); a.shutdown(SHUT_WR)")
    assert client.run("read_to_end(c)") == b"question"
    assert client.run("ready(c)") & client.run("POLLRDHUP")
    task = client.spawn("c.sendall(pattern(1 << 20)); c.close()")
    assert server.run("read_to_end(a) == pattern(1 << 20)")
    task.join()


def test_hundred_connections_one_after_the_other(server, client, listener):
    task = server.spawn("""
for _ in range(100):
    a, _ = s.accept()
    a.sendall(read_to_end(a))
    a.close()
""")
    client.run("""
for i in range(100):
    c = connect()
    c.sendall(b"%d" % i)
    c.shutdown(SHUT_WR)
    assert read_to_end(c) == b"%d" % i
    c.close()
""", 40)
    task.join()


# -- names

def test_peer_sees_the_address_of_the_host(world, server, client, family,
                                           joined):
    assert server.run("a.getpeername()[0]") == world.host.address(family)


def test_guest_sees_the_names_it_used(server, client, family, listener,
                                      joined):
    assert client.run("c.getpeername()[:2]") == (server.address(family),
                                                 listener)
    assert client.run("c.getsockname()[0]") == client.address(family)


def test_peer_sees_the_name_of_a_routed_guest(world, server, family):
    guest = world.routed
    world.set_ends(family, server, guest)
    guest.set(PORT=server.run("s = listen(); port_of(s)"))
    name = guest.run("c = connect(); c.getsockname()[:2]")
    assert server.run("a, name = s.accept(); name[:2]") == name
    assert name[0] == guest.address(family)
    server.run("a.sendall(b'to you')")
    assert guest.run("receive(c, 6)") == b"to you"


@pytest.mark.one_family
def test_mapped_address_is_the_ipv4_address(world, server, client, listener):
    client.run("c = new_socket(AF_INET6); "
               "c.connect(('::ffff:' + SERVER, PORT)); c.sendall(b'mapped')")
    assert server.run("a, name = s.accept(); receive(a, 6)") == b"mapped"
    assert server.run("name[0]") == world.host.v4
    assert client.run("c.getpeername()[0]") == "::ffff:" + server.v4


# -- connects that fail

def failure(client, host, port=9):
    """(errno, seconds) of a connect."""
    number, spent = client.run(
        f"timed(new_socket().connect, ({host!r}, {port}))", 40)
    return number, spent


@pytest.mark.no_circuit
def test_port_where_nobody_listens_refuses_at_once(server, client):
    port = server.run("unused_port()")
    number, spent = failure(client, client.run("SERVER"), port)
    assert number == ECONNREFUSED
    assert spent < SOON_S


@pytest.mark.no_circuit
def test_unreachable_host_is_told_at_once(client, family):
    number, spent = failure(client, of(outside.UNREACHABLE, family))
    assert number == EHOSTUNREACH
    assert spent < SOON_S


@pytest.mark.no_circuit
def test_network_without_a_route_is_told_at_once(client, family):
    number, spent = failure(client, of(outside.UNKNOWN, family))
    assert number == ENETUNREACH
    assert spent < SOON_S


@pytest.mark.no_circuit
def test_policy_denies_at_once(world, client, family):
    before = world.switch_stats(client)["denied"]
    number, spent = failure(client, outside.address(DENIED, family))
    assert number == EACCES
    assert spent < SOON_S
    assert world.switch_stats(client)["denied"] == before + 1


@pytest.mark.no_circuit
def test_vm_that_is_not_there_is_unreachable(client, family):
    host = "10.77.0.99" if family == "inet" else "fd77::99"
    number, spent = failure(client, host)
    assert number == EHOSTUNREACH
    assert spent < SOON_S


@pytest.mark.no_circuit
def test_loopback_of_the_host_is_denied(world, client, family):
    # Somebody listens there, on a port that no rule names.
    port = world.host.run("s = listen(host='127.0.0.1' if FAMILY == 2 else "
                          "'::1'); port_of(s)")
    number, _ = failure(client, of(outside.HOST_FOR_GUESTS, family), port)
    assert number == EACCES


@pytest.mark.no_circuit
@pytest.mark.one_family
def test_link_local_addresses_are_denied(client):
    assert failure(client, "169.254.169.254", 80)[0] == EACCES


@pytest.fixture
def impatient(world):
    """A host whose TCP gives up after two retries."""
    name = "/proc/sys/net/ipv4/tcp_syn_retries"
    before = world.host.puppet.ask("read", path=name)
    world.host.write(name, "1")
    yield
    world.host.write(name, before)


@pytest.mark.no_circuit
def test_silence_is_a_timeout_of_the_host(world, client, family, impatient):
    host = of(outside.SILENT, family)
    number, spent = failure(client, host)
    assert number == ETIMEDOUT
    assert 0.9 < spent < 10
    assert world.connecting(host) == 0


@pytest.mark.no_circuit
@pytest.mark.one_family
@pytest.mark.parametrize("option, value", [
    ("TCP_USER_TIMEOUT", 1500), ("TCP_SYNCNT", 1)])
def test_guests_own_patience_ends_a_connect(world, client, option, value,
                                            eventually):
    name = "/proc/sys/net/ipv4/tcp_syn_linear_timeouts"
    before = client.puppet.ask("read", path=name)
    client.write(name, "0")
    number, spent = client.run(f"""
c = new_socket()
c.setsockopt(IPPROTO_TCP, {option}, {value})
timed(c.connect, ({outside.SILENT[0]!r}, 9))
""", 40)
    client.write(name, before)
    assert number == ETIMEDOUT
    assert 0.9 < spent < 10
    eventually(lambda: world.connecting(outside.SILENT[0]) == 0,
               "the host has given up, too")


# -- connects that are not waited for

def test_connect_in_progress_is_told_by_poll(server, client, listener):
    assert client.run("c, number = dial(); number") == EINPROGRESS
    client.run("wait_ready(c, POLLOUT)")
    assert client.run("error_of(c)") == 0
    client.run("c.send(b'hello')")
    assert server.run("a, _ = s.accept(); receive(a, 5)") == b"hello"


@pytest.mark.no_circuit
def test_failed_connect_is_told_by_poll(server, client):
    client.set(PORT=server.run("unused_port()"))
    assert client.run("c, number = dial(); number") == EINPROGRESS
    told = client.run("wait_ready(c, POLLOUT)")
    assert told & client.run("POLLERR")
    assert client.run("error_of(c)") == ECONNREFUSED
    assert client.run("error_of(c)") == 0


@pytest.mark.no_circuit
@pytest.mark.parametrize("end", [
    "c.close()",
    "system('connect', c.fileno(), struct.pack('H26x', AF_UNSPEC), 28)"],
    ids=["close", "dissolve"])
def test_connect_that_is_given_up_leaves_no_socket(world, client, family,
                                                   end, eventually):
    host = of(outside.SILENT, family)
    client.set(SERVER=host, PORT=9)
    assert client.run("c, number = dial(); number") == EINPROGRESS
    assert client.run("c.connect_ex((SERVER, PORT))") == EALREADY
    eventually(lambda: world.connecting(host) == 1, "the host connects")
    client.run(end)
    eventually(lambda: world.connecting(host) == 0,
               "the host's socket is closed")


@pytest.mark.no_circuit
def test_connect_of_a_killed_program_leaves_no_socket(world, client, family,
                                                      eventually):
    host = of(outside.SILENT, family)
    client.set(SERVER=host, PORT=9)
    client.run("pid = os.fork()\nif pid == 0:\n    connect()")
    eventually(lambda: world.connecting(host) == 1, "the host connects")
    client.run("os.kill(pid, SIGKILL); os.waitpid(pid, 0)")
    eventually(lambda: world.connecting(host) == 0,
               "the host's socket is closed")


# -- disorder

def test_reset_of_the_peer_comes_after_what_it_sent(server, client, joined):
    server.run("a.sendall(pattern(100000))")
    client.run("eventually(lambda: unread(c) == 100000)")
    server.run("linger(a, 1, 0); a.close()")
    client.run("wait_ready(c, POLLERR)")
    assert client.run("receive(c, 100000) == pattern(100000)")
    assert client.errno("c.recv(1)") == ECONNRESET
    assert client.run("c.recv(1)") == b""


def test_reset_of_the_peer_wakes_a_blocked_reader(server, client, joined):
    task = client.spawn("c.recv(1)").block()
    server.run("linger(a, 1, 0); a.close()")
    assert task.errno() == ECONNRESET


def test_reset_of_the_peer_wakes_a_blocked_writer(server, client, joined):
    client.run("fill_stably(c)")
    task = client.spawn("c.send(bytes(1000), MSG_NOSIGNAL)").block()
    server.run("linger(a, 1, 0); a.close()")
    assert task.errno() == ECONNRESET


def test_linger_zero_resets_the_peer(server, client, joined):
    client.run("linger(c, 1, 0); c.close()")
    assert server.errno("wait_ready(a, POLLERR); a.recv(1)") == ECONNRESET


def test_close_with_unread_bytes_resets_the_peer(server, client, joined):
    server.run("a.sendall(b'unread')")
    client.run("eventually(lambda: unread(c) == 6); c.close()")
    assert server.errno("wait_ready(a, POLLERR); a.recv(1)") == ECONNRESET


def test_bytes_for_a_closed_guest_reset_the_peer(server, client, joined):
    client.run("c.close()")
    assert server.run("a.recv(1)") == b""
    assert server.run("sent_until_error(a)") in (ECONNRESET, EPIPE)


def test_peer_that_does_not_read_stops_the_guest(server, client, listener):
    client.run("slow = connect(); fast = connect()")
    server.run("a, _ = s.accept(); b, _ = s.accept()")
    sent = client.run("fill_stably(slow)", 40)
    assert client.errno("slow.send(b'x', MSG_DONTWAIT)") == EAGAIN
    client.spawn("slow.send(bytes(1000))").assert_blocked()
    # The other circuit goes on.
    task = client.spawn("fast.sendall(pattern(2 << 20)); "
                        "fast.shutdown(SHUT_WR)")
    assert server.run("read_to_end(b) == pattern(2 << 20)")
    task.join()
    assert server.run(f"len(receive(a, {sent}))", 40) == sent


def test_guest_that_does_not_read_stops_the_peer(server, client, listener):
    client.run("slow = connect(); fast = connect()")
    server.run("a, _ = s.accept(); b, _ = s.accept()")
    sent = server.run("fill_stably(a)", 40)
    assert server.errno("a.send(b'x', MSG_DONTWAIT)") == EAGAIN
    task = server.spawn("b.sendall(pattern(2 << 20)); b.shutdown(SHUT_WR)")
    assert client.run("read_to_end(fast) == pattern(2 << 20)")
    task.join()
    assert client.run(f"len(receive(slow, {sent}))", 40) == sent
    server.run("a.sendall(b'more')")
    assert client.run("receive(slow, 4)") == b"more"


# -- options and figures

def test_options_of_the_guest_are_the_hosts(world, server, client, listener,
                                            joined, eventually):
    client.run("""
for level, name, value in ((IPPROTO_TCP, TCP_NODELAY, 1),
                           (SOL_SOCKET, SO_KEEPALIVE, 1),
                           (IPPROTO_TCP, TCP_KEEPIDLE, 77),
                           (IPPROTO_TCP, TCP_KEEPINTVL, 11),
                           (IPPROTO_TCP, TCP_KEEPCNT, 3),
                           (IPPROTO_TCP, TCP_USER_TIMEOUT, 4321)):
    c.setsockopt(level, name, value)
""")
    wanted = {"TCP_NODELAY": 1, "TCP_KEEPIDLE": 77, "TCP_KEEPINTVL": 11,
              "TCP_KEEPCNT": 3, "TCP_USER_TIMEOUT": 4321, "SO_KEEPALIVE": 1}
    eventually(lambda: world.options(listener, wanted) == wanted,
               "the host's socket has them")
    assert "keepalive" in world.shell(f"ss -Htno dport = {listener}")
    client.run("c.setsockopt(IPPROTO_TCP, TCP_NODELAY, 0); "
               "c.setsockopt(SOL_SOCKET, SO_KEEPALIVE, 0)")
    wanted.update(TCP_NODELAY=0, SO_KEEPALIVE=0)
    eventually(lambda: world.options(listener, wanted) == wanted,
               "the host's socket has them off again")


def test_options_set_before_connect_are_the_hosts(world, server, client,
                                                  listener, eventually):
    client.run("""
c = new_socket()
c.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
c.setsockopt(IPPROTO_TCP, TCP_USER_TIMEOUT, 1234)
c.connect((SERVER, PORT))
""")
    wanted = {"TCP_NODELAY": 1, "TCP_USER_TIMEOUT": 1234, "SO_KEEPALIVE": 0}
    eventually(lambda: world.options(listener, wanted) == wanted,
               "the host's socket has them")


INFO = """
info = c.getsockopt(IPPROTO_TCP, TCP_INFO, 256)
fields = struct.unpack_from("24I", info, 8)
dict(state=info[0], mss=fields[2], rtt=fields[15])
"""


def test_figures_of_a_guest_are_the_hosts(world, server, client, family):
    with world.line(delay_ms=15) as line:
        host = line.address(family)
        server.set(SERVER=host)
        client.set(SERVER=host, PORT=server.run("s = listen(); port_of(s)"))
        client.run("c = connect()")
        server.run("a, _ = s.accept()")
        task = server.spawn("for _ in range(5): a.sendall(receive(a, 100))")
        client.run("for _ in range(5): c.sendall(bytes(100)); "
                   "receive(c, 100)")
        task.join()
        info = client.run(INFO)
        assert info["state"] == 1
        assert 25000 < info["rtt"] < 500000
        # Of a line with an MTU of 1500, not of circuit0.
        assert 1300 < info["mss"] <= 1460
        assert info["mss"] == world.ask_socket(
            client.run("PORT"), lambda sock: struct.unpack_from(
                "3I", sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO,
                                      104), 8)[2])
        client.run("c.close()")
        server.run("a.close()")


def test_slow_line_that_loses_packets_loses_no_byte(world, server, client,
                                                    family):
    with world.line(delay_ms=10, loss=0.02) as line:
        host = line.address(family)
        server.set(SERVER=host)
        client.set(SERVER=host, PORT=server.run("s = listen(); port_of(s)"))
        client.run("c = connect()")
        server.run("a, _ = s.accept()")
        tasks = [server.spawn("a.sendall(pattern(600000, 1)); "
                              "a.shutdown(SHUT_WR)"),
                 client.spawn("c.sendall(pattern(600000, 2)); "
                              "c.shutdown(SHUT_WR)"),
                 server.spawn("read_to_end(a) == pattern(600000, 2)")]
        assert client.run("read_to_end(c) == pattern(600000, 1)", 60)
        assert tasks[2].join(60)
        for task in tasks:
            task.join()


def test_guests_timeout_ends_what_nobody_acknowledges(world, server, client,
                                                      family):
    with world.line() as line:
        host = line.address(family)
        server.set(SERVER=host)
        client.set(SERVER=host, PORT=server.run("s = listen(); port_of(s)"))
        client.run("c = connect(); "
                   "c.setsockopt(IPPROTO_TCP, TCP_USER_TIMEOUT, 1000); "
                   "c.sendall(b'x')")
        server.run("a, _ = s.accept(); receive(a, 1)")
        line.cut()
        client.run("c.sendall(b'into the void')")
        # A device that is gone may be told sooner than the silence.
        assert client.errno("wait_ready(c, POLLERR); c.recv(1)") in \
            (ETIMEDOUT, EHOSTUNREACH, ENETUNREACH)
