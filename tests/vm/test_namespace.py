# SPDX-License-Identifier: GPL-2.0-or-later
"""Sockets of other network namespaces stay TCP, and work."""

import pytest

CHILD = """
def child():
    system("unshare", 0x40000000)     # CLONE_NEWNET
    program("ip", "link", "set", "lo", "up")
    host = "127.0.0.1" if FAMILY == AF_INET else "::1"
    s = listen(host=host)
    c = connect(port_of(s), host)
    a, _ = s.accept()
    c.sendall(b"inside")
    {extra}
    return 0 if receive(a, 6) == b"inside" else 1
os.waitstatus_to_exitcode(in_child(child))
"""


@pytest.mark.remote
@pytest.mark.no_circuit
@pytest.mark.fallback("fallback_namespace", "fallback_local",
                      "fallback_no_route")
def test_sockets_of_another_namespace_connect_within_it(client):
    assert client.run(CHILD.format(extra="")) == 0


@pytest.mark.remote
@pytest.mark.no_circuit
@pytest.mark.fallback("fallback_namespace", "fallback_local",
                      "fallback_no_route")
def test_sockets_of_another_namespace_say_they_are_tcp(client):
    assert client.run(CHILD.format(
        extra="assert c.getsockopt(SOL_SOCKET, SO_PROTOCOL) == 6")) == 0


@pytest.mark.remote
@pytest.mark.circuit
@pytest.mark.own_proof
def test_other_namespace_does_not_reach_circuits(server, client, listener):
    before = client.run("stats()")["circuits_connected"]
    assert client.run("""
def child():
    system("unshare", 0x40000000)     # CLONE_NEWNET
    try:
        connect()
    except OSError as error:
        return error.errno
os.waitstatus_to_exitcode(in_child(child))
""") in (client.run("ENETUNREACH"), client.run("EADDRNOTAVAIL"))
    assert client.run("stats()")["circuits_connected"] == before


@pytest.mark.remote
def test_socket_made_before_leaving_stays_what_it_was(server, client,
                                                      listener):
    assert client.run("""
def child():
    c = new_socket()
    system("unshare", 0x40000000)     # CLONE_NEWNET
    c.connect((SERVER, PORT))
    c.sendall(b"from outside")
    return 0
os.waitstatus_to_exitcode(in_child(child))
""") == 0
    assert server.run("a, _ = s.accept(); receive(a, 12)") == b"from outside"
