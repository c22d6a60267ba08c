# SPDX-License-Identifier: GPL-2.0-or-later
"""Guests find names by the switch's name servers."""

import pytest

pytestmark = [pytest.mark.circuit, pytest.mark.uplink, pytest.mark.one_family]

# Answers A and AAAA of peer.test over UDP, and those of long.test over TCP
# only: over UDP it says that the answer is too long.
SERVER = """
def answer(query, is_datagram):
    end = 12
    while query[end]:
        end += query[end] + 1
    name, (kind, _) = query[12:end + 1], struct.unpack_from("!HH", query,
                                                            end + 1)
    known = {1: socket.inet_pton(AF_INET, "192.0.2.1"),
             28: socket.inet_pton(AF_INET6, "2001:db8::1")}
    data = known.get(kind) if name in (b"\\4peer\\4test\\0",
                                       b"\\4long\\4test\\0") else None
    flags = 0x8180 if data else 0x8183
    if is_datagram and name[1:5] == b"long":
        flags, data = 0x8380, None
    head = query[:2] + struct.pack("!HHHHH", flags, 1, bool(data), 0, 0)
    record = b"\\xc0\\x0c" + struct.pack("!HHIH", kind, 1, 60,
                                       len(data)) + data if data else b""
    return head + query[12:end + 5] + record

def serve(s):
    while True:
        a, _ = s.accept()
        threading.Thread(target=converse, args=(a,), daemon=True).start()

def serve_datagrams(u):
    while True:
        query, whence = u.recvfrom(1000)
        u.sendto(answer(query, True), whence)

def converse(a):
    while size := receive(a, 2):
        said = answer(receive(a, struct.unpack("!H", size)[0]), False)
        a.sendall(struct.pack("!H", len(said)) + said)
    a.close()
"""


@pytest.fixture
def ends(world, family):
    return world.set_ends(family, world.outside, world.nat)


@pytest.fixture
def names(server):
    server.run(SERVER + "s = listen(53, '192.0.2.53', options=["
               "(SOL_SOCKET, SO_REUSEADDR, 1)])\n"
               "u = socket.socket(AF_INET, SOCK_DGRAM)\n"
               "u.bind(('192.0.2.53', 53))")
    return server.spawn("serve(s)"), server.spawn("serve_datagrams(u)")


@pytest.mark.no_circuit
def test_guest_asks_the_name_servers_of_the_switch(client):
    text = client.run("open('/etc/resolv.conf').read()")
    assert "nameserver 192.0.2.53\n" in text
    assert "nameserver 2001:db8::53\n" in text
    assert "use-vc" not in text
    assert client.run("os.readlink('/etc/resolv.conf')").startswith("/run/")


@pytest.mark.parametrize("name", ["peer.test", "long.test"])
def test_name_of_the_outside_is_found(server, client, names, name):
    """The second is asked for over TCP, because its answer is too long."""
    code, out, err = client.run(f"program('getent', 'ahosts', {name!r})", 40)
    assert code == 0, err
    found = {line.split()[0] for line in out.splitlines()}
    assert found == {"192.0.2.1", "2001:db8::1"}


def test_unknown_name_is_unknown(server, client, names):
    code, _, _ = client.run("program('getent', 'hosts', 'nobody.test')", 40)
    assert code == 2


def test_curl_follows_a_name(server, client, names):
    task = server.spawn("""
web = listen(8000, options=[(SOL_SOCKET, SO_REUSEADDR, 1)])
b, _ = web.accept()
b.recv(10000)
b.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\nby name")
b.close()
""")
    server.run("eventually(lambda: ':8000' in program('ss', '-Hltn')[1])")
    code, out, err = client.run(
        "program('curl', '-sg4', 'http://peer.test:8000/')", 40)
    assert (code, out) == (0, "by name"), err
    task.join()
