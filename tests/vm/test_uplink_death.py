# SPDX-License-Identifier: GPL-2.0-or-later
"""Switches, guests and programs that die with circuits to the outside."""

from errno import ECONNRESET, EHOSTUNREACH, ENETUNREACH

import pytest

from uplinkworld import PUBLISHED, outside

pytestmark = [pytest.mark.circuit, pytest.mark.uplink, pytest.mark.one_family]


@pytest.fixture
def ends(world, family):
    return world.set_ends(family, world.outside, world.nat)


@pytest.fixture
def deadly(world):
    """What may be said of a death."""
    for guest in world.guests:
        guest.tell("vmcircuit: (the switch|peer|link)")
    world.tell('vm "vm1"|vm1')
    world.trouble = ("switch_lost",)
    return world


def end_of(world, how):
    if how == "crash":
        world.crash()
    else:
        world.switch.restart()


@pytest.mark.parametrize("how", ["restart", "crash"])
def test_switch_that_dies_resets_both_ends(deadly, server, client, joined,
                                           how):
    client.run("d = connect()")
    server.run("b, _ = s.accept(); fill_stably(b)")
    reader = client.spawn("c.recv(1)").block()
    client.run("fill_stably(d)")
    writer = client.spawn("d.send(bytes(1000), MSG_NOSIGNAL)").block()
    peer = server.spawn("a.recv(1)").block()
    end_of(deadly, how)
    assert reader.errno() == ECONNRESET
    assert writer.errno() == ECONNRESET
    assert peer.errno() == ECONNRESET
    assert server.errno("wait_ready(b, POLLERR); b.send(b'x')") == ECONNRESET
    deadly.wait_attached()
    client.run("e = connect(); e.sendall(b'again')")
    assert server.run("a, _ = s.accept(); receive(a, 5)") == b"again"


@pytest.mark.parametrize("how", ["restart", "crash"])
def test_switch_that_dies_fails_connects_under_way(deadly, server, client,
                                                   how, eventually):
    client.set(SERVER=outside.SILENT[0], PORT=9)
    task = client.spawn("connect()").block()
    eventually(lambda: deadly.connecting(outside.SILENT[0]) == 1,
               "the host connects")
    end_of(deadly, how)
    assert task.errno() in (ECONNRESET, ENETUNREACH, EHOSTUNREACH)
    assert deadly.connecting(outside.SILENT[0]) == 0
    deadly.wait_attached()
    client.set(SERVER=server.v4,
               PORT=server.run("s = listen(); port_of(s)"))
    client.run("c = connect()")


@pytest.mark.parametrize("how", ["restart", "crash"])
def test_published_port_leads_to_the_guest_again(deadly, server, client, how,
                                                 eventually):
    client.run(f"s = listen({PUBLISHED}, CLIENT)")
    server.set(SERVER=deadly.host.v4, PORT=PUBLISHED)
    server.run("c = connect()")
    client.run("a, _ = s.accept()")
    end_of(deadly, how)
    assert server.errno("wait_ready(c, POLLERR); c.recv(1)") == ECONNRESET
    assert client.errno("wait_ready(a, POLLERR); a.recv(1)") == ECONNRESET
    deadly.wait_attached()
    eventually(lambda: server.run("answers(PORT)"), "the port is open again")
    client.run("while s.accept()[0].recv(1): pass")
    server.run("d = connect(); d.sendall(b'x')")
    assert client.run("b, _ = s.accept(); receive(b, 1)") == b"x"


def test_killed_program_closes_its_connection(server, client, joined):
    client.run("pid = os.fork()\nif pid == 0:\n    signal.pause()\n"
               "c.close()")
    task = server.spawn("a.recv(1)").block()
    client.run("os.kill(pid, SIGKILL)")
    assert task.join() == b""


def test_killed_program_leaves_its_bytes_to_the_peer(server, client, joined):
    client.run("""
pid = os.fork()
if pid == 0:
    c.sendall(pattern(300000))
    os.kill(os.getpid(), SIGKILL)
c.close()
""")
    assert server.run("read_to_end(a) == pattern(300000)")


def test_killed_guest_resets_its_peers_and_comes_back(
        deadly, server, client, joined, eventually):
    client.run(f"d = connect(); t = listen({PUBLISHED}, CLIENT)")
    server.run(f"b, _ = s.accept(); fill_stably(b)\n"
               f"x = connect({PUBLISHED}, {deadly.host.v4!r})")
    client.run("y, _ = t.accept()")
    host = outside.SILENT[0]
    client.run(f"z, number = dial(9, {host!r})")
    eventually(lambda: deadly.connecting(host) == 1, "the host connects")
    before = deadly.nr_sockets()
    peer = server.spawn("a.recv(1)").block()
    client.vm.kill()
    assert peer.errno() == ECONNRESET
    assert server.errno("wait_ready(b, POLLERR); b.send(b'x')") == ECONNRESET
    assert server.errno("wait_ready(x, POLLERR); x.recv(1)") == ECONNRESET
    eventually(lambda: deadly.connecting(host) == 0,
               "the host does not connect any more")
    eventually(lambda: deadly.nr_sockets() <= before - 4,
               "the host's sockets are closed")
    # The other guest does not notice.
    other = deadly.routed
    deadly.set_ends("inet", server, other)
    other.set(PORT=server.run("port_of(s)"))
    other.run("c = connect(); c.sendall(b'here')")
    assert server.run("a, _ = s.accept(); receive(a, 4)") == b"here"
    # And this one is back after a reboot.
    deadly.reboot(client)
    deadly.set_ends("inet", server, client)
    client.set(PORT=server.run("port_of(s)"))
    client.run("c = connect(); c.sendall(b'back')")
    assert server.run("a, _ = s.accept(); receive(a, 4)") == b"back"
