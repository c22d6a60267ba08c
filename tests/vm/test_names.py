# SPDX-License-Identifier: GPL-2.0-or-later
"""What sockets say about themselves and their peers."""

from errno import EADDRINUSE, EFAULT, EINVAL, ENOTCONN

import pytest

pytestmark = pytest.mark.of_names


def test_names_of_both_ends_mirror_each_other(server, client, joined):
    assert client.run("c.getpeername()[:2]") == \
        server.run("a.getsockname()[:2]")
    assert client.run("c.getsockname()[:2]") == \
        server.run("a.getpeername()[:2]")
    assert client.run("c.getpeername()[:2] == (SERVER, PORT)")
    assert client.run("c.getsockname()[0] == CLIENT")


def test_accept_gives_the_peers_name(server, client, joined):
    assert server.run("name[:2]") == client.run("c.getsockname()[:2]")
    assert server.run("name == a.getpeername()")


def test_connected_socket_gets_a_port_of_the_range(server, client, joined):
    low, high = client.run("""
with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
    ports = list(map(int, file.read().split()))
ports
""")
    assert low <= client.run("port_of(c)") <= high


def test_clients_have_ports_of_their_own(server, client, listener):
    client.run("socks = [connect() for _ in range(10)]")
    assert client.run("len({port_of(c) for c in socks})") == 10
    seen = server.run("sorted(s.accept()[1][1] for _ in range(10))")
    assert seen == client.run("sorted(port_of(c) for c in socks)")


@pytest.mark.no_circuit
def test_unbound_socket_has_the_wildcard_name(server):
    assert server.run("new_socket().getsockname()[:2] == (ANY, 0)")


@pytest.mark.no_circuit
def test_unconnected_socket_has_no_peer(server):
    assert server.errno("new_socket().getpeername()") == ENOTCONN


@pytest.mark.no_circuit
def test_listener_has_no_peer(server, listener):
    assert server.errno("s.getpeername()") == ENOTCONN


def test_peers_name_stays_after_the_peer_closed(server, client, joined):
    name = server.run("name[:2]")
    client.run("c.close()")
    assert server.run("a.recv(1)") == b""
    assert server.run("a.getpeername()[:2]") == name


def test_peers_name_is_gone_after_a_reset(server, client, joined):
    client.run("linger(c, 1, 0); c.close()")
    server.run("wait_ready(a, POLLERR)")
    assert server.errno("a.getpeername()") == ENOTCONN


def test_own_name_stays_after_a_reset(server, client, joined):
    name = server.run("a.getsockname()[:2]")
    client.run("linger(c, 1, 0); c.close()")
    server.run("wait_ready(a, POLLERR)")
    assert server.run("a.getsockname()[:2]") == name


@pytest.mark.parametrize("end", ["listening", "accepted", "connected"])
def test_socket_says_it_is_tcp(server, client, joined, end):
    guest, sock = {"listening": (server, "s"), "accepted": (server, "a"),
                   "connected": (client, "c")}[end]
    assert guest.run(f"""
[{sock}.getsockopt(SOL_SOCKET, name) for name in
 (SO_DOMAIN, SO_TYPE, SO_PROTOCOL)] == [FAMILY, SOCK_STREAM, IPPROTO_TCP]
""")


def test_name_into_a_short_buffer_is_cut_and_says_its_length(server, client,
                                                             joined):
    assert client.run("""
buffer, size = ctypes.create_string_buffer(4), ctypes.c_int(4)
system("getsockname", c.fileno(), buffer, ctypes.byref(size))
(struct.unpack("HH", buffer.raw)[0] == FAMILY,
 struct.unpack("!HH", buffer.raw)[1] == port_of(c),
 size.value == (16 if FAMILY == AF_INET else 28))
""") == (True, True, True)


def test_name_into_bad_memory_is_a_fault(server, client, joined):
    assert client.errno("""
size = ctypes.c_int(28)
system("getpeername", c.fileno(), 8, ctypes.byref(size))
""") == EFAULT


def test_name_with_a_negative_length_is_invalid(server, client, joined):
    assert client.errno("""
size = ctypes.c_int(-1)
buffer = ctypes.create_string_buffer(28)
system("getpeername", c.fileno(), buffer, ctypes.byref(size))
""") == EINVAL


@pytest.mark.remote
@pytest.mark.no_circuit
def test_addresses_are_configured_on_the_interface(client, family):
    flag = "-4" if family == "inet" else "-6"
    code, text, _ = client.run(f"program('ip', '{flag}', '-o', 'addr')")
    assert code == 0
    assert client.address(family) + "/" in text


@pytest.mark.remote
@pytest.mark.no_circuit
def test_getaddrinfo_with_addrconfig_finds_the_family(server, family):
    assert server.run(f"""
bool(socket.getaddrinfo("{server.address(family)}", 80, FAMILY, SOCK_STREAM,
     flags=AI_ADDRCONFIG))
""") is True


def test_datagram_sockets_stay_ordinary_udp(server, client, joined):
    assert client.run("""
d = socket.socket(FAMILY, SOCK_DGRAM)
d.getsockopt(SOL_SOCKET, SO_PROTOCOL) == IPPROTO_UDP
""")


def test_name_of_who_closed_first_rests(server, client, joined):
    server.run("port = port_of(s); a.close()")
    client.run("read_to_end(c); c.close()")
    server.run("s.close()")
    assert server.errno("listen(port)") == EADDRINUSE
    assert server.errno("listen(port, options=[(SOL_SOCKET, SO_REUSEADDR, "
                        "1)])") == EADDRINUSE
    assert server.errno("listen(port, host='::' if FAMILY == AF_INET6 else "
                        "'0.0.0.0')") == EADDRINUSE
    # Another address of the same guest does not mind.
    other = server.run("'::1' if FAMILY == AF_INET6 else '127.0.0.9'")
    if server.run("SERVER") != other:
        server.run(f"listen(port, host='{other}')")


def test_name_that_both_reuse_does_not_rest(server, client):
    port = server.run("reuse = [(SOL_SOCKET, SO_REUSEADDR, 1)]; "
                      "s = listen(options=reuse); port_of(s)")
    client.run(f"c = connect({port})")
    server.run("a, _ = s.accept(); a.close()")
    client.run("read_to_end(c); c.close()")
    server.run(f"s.close(); listen({port}, options=reuse)")


def test_name_of_who_closed_last_is_free(server, client, joined):
    client.run("c.close()")
    # TCP waits for the last acknowledgement.
    server.run("""
read_to_end(a)
port = port_of(s)
a.close(), s.close()
def is_free():
    try:
        return listen(port)
    except OSError:
        return None
eventually(is_free)
""")
