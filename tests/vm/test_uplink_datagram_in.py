# SPDX-License-Identifier: GPL-2.0-or-later
"""Datagrams from the outside to guests: published ports, and routed guests'
own.

The server is a guest, the client a peer in the outside.
"""

from errno import ECONNREFUSED

import pytest

import uplinkworld
from datagrams import helpers  # noqa: F401 (fixture)
from inbound import ends, entry, way  # noqa: F401 (fixtures)

pytestmark = [pytest.mark.circuit, pytest.mark.uplink]


@pytest.fixture
def bound(server, entry, helpers):
    """A socket `s` in the guest, at the port that leads there."""
    server.run("s = udp(PORT)")
    return entry


def test_datagrams_go_both_ways_by_their_names(server, client, bound):
    task = server.spawn("""
names = set()
for _ in range(20):
    data, name = s.recvfrom(70000)
    names.add(name_of(name))
    s.sendto(data[::-1], name)
names
""")
    # Connected, so what comes from another address is not heard.
    name = client.run("""
c = udp()
c.connect(target())
for size in (1, 0, 1400, 9000) * 5:
    c.send(pattern(size))
    assert c.recv(70000) == pattern(size)[::-1]
name_of(c.getsockname())
""")
    assert task.join() == {name}


def test_what_comes_before_the_answer_is_not_lost(server, client, bound):
    client.run("c = udp(); c.connect(target())\n"
               "for i in range(20): c.send(b'%d' % i)")
    assert server.run("[int(s.recv(10)) for _ in range(20)]") == \
        list(range(20))


@pytest.mark.one_family
def test_many_callers(server, client, bound):
    task = server.spawn("echo(s, 300)")
    client.run("""
socks = [udp() for _ in range(100)]
for i, sock in enumerate(socks):
    sock.connect(target())
    for turn in range(3):
        sock.send(b"%d %d" % (i, turn))
        assert sock.recv(20) == b"%d %d" % (i, turn)
""", 60)
    task.join(20)


@pytest.mark.no_circuit
@pytest.mark.one_family
def test_nobody_is_bound(world, server, client, way, helpers, eventually):
    client.set(PORT=uplinkworld.PUBLISHED if way == "published" else
               uplinkworld.OPENED)
    before = world.switch_stats(server)["datagrams_unwanted"]
    client.run("c = udp(); c.connect(target())\n"
               "for _ in range(10): c.send(b'x')")
    eventually(lambda: world.switch_stats(server)["datagrams_unwanted"] ==
               before + 10, "all are counted")
    # And once somebody is, it works, after a moment of memory.
    server.set(PORT=client.run("PORT"))


@pytest.mark.no_circuit
def test_port_that_no_rule_opens_is_closed(world, server, client, helpers):
    port = uplinkworld.OPENED + 10
    server.run(f"s = udp({port})")
    client.set(PORT=port)
    client.run("c = udp(); c.connect(target()); c.send(b'x')")
    assert client.errno("wait_ready(c, POLLERR); c.send(b'y')") == \
        ECONNREFUSED


@pytest.mark.one_family
def test_rule_may_say_who_is_let_in(world, server, client, bound):
    friend = uplinkworld.outside.address(1)
    other = uplinkworld.outside.address(3)
    rules = {"a friend": uplinkworld.into("allow", protocol="udp",
                                          vm=[server.name],
                                          remote=[friend],
                                          ports=[str(bound)]),
             "nobody else": uplinkworld.into("deny")}
    with world.policy(rules):
        client.run(f"d = udp(0, {other!r}); d.sendto(b'other', target())\n"
                   f"c = udp(0, {friend!r}); c.sendto(b'friend', target())")
        assert server.run("s.recv(10)") == b"friend"
        assert server.run("ready(s, POLLIN)") == 0
