# SPDX-License-Identifier: GPL-2.0-or-later
"""How the host carries what guests send: MPTCP, congestion control, proxies.

Which it is, a rule says by the address that a guest dials; see uplinkworld.py.
"""

from errno import (EACCES, ECONNREFUSED, ECONNRESET, EHOSTUNREACH,
                   EPROTO)

import pytest

import uplinkworld

pytestmark = [pytest.mark.circuit, pytest.mark.uplink]

REUSE = "options=[(SOL_SOCKET, SO_REUSEADDR, 1)]"
MPTCP_LISTENER = """
s = socket.socket(FAMILY, socket.SOCK_STREAM, 262)
s.bind((SERVER, 0))
s.listen()
port_of(s)
"""


def dial(world, family, number, listener="s = listen(); port_of(s)"):
    """Join the guest `c` and the outside's address of that number, `a`."""
    address = uplinkworld.both(number)[family == "inet6"]
    server, client = world.set_ends(family, world.outside, world.nat, address)
    client.set(PORT=server.run(listener))
    client.run("c = connect()")
    server.run("a, name = s.accept()")
    return server, client, client.run("PORT")


def converse(server, client):
    """Bytes both ways, and the end of each."""
    task = client.spawn("c.sendall(pattern(1 << 20, 1)); "
                        "c.shutdown(SHUT_WR)")
    assert server.run("read_to_end(a) == pattern(1 << 20, 1)")
    task.join()
    task = server.spawn("a.sendall(pattern(1 << 20, 2)); a.close()")
    assert client.run("read_to_end(c) == pattern(1 << 20, 2)")
    task.join()


def test_rule_makes_it_mptcp(world, family):
    server, client, port = dial(world, family, uplinkworld.MPTCP,
                                MPTCP_LISTENER)
    client.run("c.sendall(b'x')")
    server.run("receive(a, 1)")
    assert f":{port}" in world.shell("ss -HMn state established")
    converse(server, client)


def test_mptcp_falls_back_where_the_peer_has_none(world, family):
    server, client, _ = dial(world, family, uplinkworld.MPTCP)
    converse(server, client)


def test_peer_that_resets_mptcp_is_told_to_the_guest(world, family):
    server, client, _ = dial(world, family, uplinkworld.MPTCP, MPTCP_LISTENER)
    server.run("linger(a, 1, 0); a.close()")
    assert client.errno("wait_ready(c, POLLERR); c.recv(1)") == ECONNRESET


@pytest.mark.parametrize("name, number", [
    ("reno", uplinkworld.RENO), ("bbr", uplinkworld.BBR)])
def test_rule_chooses_the_congestion_control(world, family, name, number):
    available = world.shell(
        "cat /proc/sys/net/ipv4/tcp_available_congestion_control").split()
    if name not in available:
        pytest.skip(f"this kernel has {', '.join(available)} only")
    server, client, port = dial(world, family, number)
    assert world.ask_socket(port, lambda sock: sock.getsockopt(
        6, 13, 16).rstrip(b"\0")) == name.encode()      # TCP_CONGESTION
    assert f" {name} " in world.shell(f"ss -Htni dport = {port}") + " "
    converse(server, client)


@pytest.mark.one_family
def test_bytes_sent_without_a_copy_arrive_over_a_bad_line(world, family):
    # A ring's bytes must stay until the last retransmission of them.
    settings = {**world.switch.uplink["uplink"], "zero_copy_size": 16384}
    with world.settings(uplink=settings), \
            world.line(delay_ms=5, loss=0.02) as line:
        server, client = world.set_ends(family, world.outside, world.nat,
                                        line.address(family))
        client.set(PORT=server.run("s = listen(); port_of(s)"))
        client.run("c = connect()")
        server.run("a, name = s.accept()")
        converse(server, client)
        # And such a circuit may be reset while they are under way.
        client.run("c = connect(); fill_stably(c)", 40)
        server.run("a, name = s.accept()")
        client.run("linger(c, 1, 0); c.close()")
        assert server.errno("read_to_end(a)") == ECONNRESET


# -- proxies

@pytest.fixture
def proxies(world, family):
    """Two SOCKS5 servers outside: one asks for a password."""
    address = uplinkworld.both(uplinkworld.PROXY)[0]
    world.set_ends(family, world.outside, world.nat)
    world.outside.run(f"""
proxies = [start("microsocks", "-i", {address!r}, "-p", "1080"),
           start("microsocks", "-i", {address!r}, "-p", "1081", "-u",
                 "guest", "-P", "a secret")]
def up():
    return all(":%d" % port in program("ss", "-Hltn")[1]
               for port in (1080, 1081))
eventually(up)
""")


@pytest.mark.parametrize("number", [
    uplinkworld.OPEN_PROXY, uplinkworld.LOCKED_PROXY],
    ids=["open", "password"])
def test_rule_leads_through_a_proxy(world, family, proxies, number):
    server, client, port = dial(world, family, number)
    # Within the outside the proxy dials itself: not from the host.
    assert server.run("name[0]") != world.host.address(family)
    assert world.shell(f"ss -Htn dport = {port}") == ""
    assert client.run("c.getpeername()[:2]") == (
        uplinkworld.both(number)[family == "inet6"], port)
    # This proxy ends when either half does.
    task = client.spawn("c.sendall(pattern(1 << 20, 1)); "
                        "receive(c, 1 << 20) == pattern(1 << 20, 2)")
    assert server.run("receive(a, 1 << 20) == pattern(1 << 20, 1)")
    server.run("a.sendall(pattern(1 << 20, 2))")
    assert task.join()
    server.run("a.close()")
    assert client.run("c.recv(1)") == b""


def failure(world, family, number, port=None):
    server, client = world.set_ends(
        family, world.outside, world.nat,
        uplinkworld.both(number)[family == "inet6"])
    client.set(PORT=port or server.run("s = listen(); port_of(s)"))
    return client.errno("connect()")


@pytest.mark.no_circuit
def test_wrong_password_fails_the_connect(world, family, proxies):
    assert failure(world, family, uplinkworld.WRONG_PROXY) in \
        (EACCES, ECONNREFUSED)


@pytest.mark.no_circuit
def test_refusal_behind_a_proxy_is_a_refusal(world, family, proxies):
    port = world.outside.run("unused_port()")
    assert failure(world, family, uplinkworld.OPEN_PROXY,
                   port) == ECONNREFUSED


@pytest.mark.no_circuit
def test_proxy_that_is_not_there_refuses(world, family):
    assert failure(world, family, uplinkworld.OPEN_PROXY) == ECONNREFUSED


@pytest.mark.no_circuit
@pytest.mark.one_family
@pytest.mark.parametrize("answer", [
    b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\5\2", b"\5\xff",
    b"\5\0\5\1\0\1\0\0\0\0\0\0", b"\5\0\4\0\0\1\0\0\0\0\0\0",
    b"\5\0\5\0\0\x09\0\0\0\0\0\0"],
    ids=["hangs up", "no proxy", "asks for a password", "no method",
         "failure", "wrong version", "wrong address"])
def test_proxy_that_misbehaves_fails_the_connect(world, family, answer):
    proxy = uplinkworld.both(uplinkworld.PROXY)[0]
    world.set_ends(family, world.outside, world.nat)
    world.outside.run(f"p = listen(1080, {proxy!r}, {REUSE})")
    task = world.outside.spawn(f"""
b, _ = p.accept()
b.sendall({answer!r})
try:
    b.shutdown(SHUT_WR)
    read_to_end(b)
except OSError:
    pass
""")
    assert failure(world, family, uplinkworld.OPEN_PROXY) in \
        (EACCES, ECONNREFUSED, EHOSTUNREACH, EPROTO)
    task.join()


@pytest.mark.one_family
def test_proxy_that_speaks_in_bits_is_understood(world, family):
    proxy = uplinkworld.both(uplinkworld.PROXY)[0]
    number = uplinkworld.OPEN_PROXY
    server, client = world.set_ends(family, world.outside, world.nat,
                                    uplinkworld.both(number)[0])
    server.run(f"p = listen(1080, {proxy!r}, {REUSE})")
    # The answer to CONNECT and the peer's first words come at once.
    task = server.spawn("""
b, _ = p.accept()
b.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
receive(b, 3)
for byte in b"\\5\\0":
    b.sendall(bytes([byte]))
    time.sleep(0.02)
request = receive(b, 10)
for byte in b"\\5\\0\\0\\3\\4name\\0":
    b.sendall(bytes([byte]))
    time.sleep(0.02)
b.sendall(b"\\x50" + b"first words")
request
""")
    client.set(PORT=4660)
    client.run("c = connect()")
    assert client.run("receive(c, 11)") == b"first words"
    assert task.join() == b"\5\1\0\1" + bytes([192, 0, 2, number]) + \
        b"\x12\x34"
