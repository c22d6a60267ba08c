# SPDX-License-Identifier: GPL-2.0-or-later
"""Mapped circuits to the outside: the peer is the switch, with a host socket.

The server is a peer in the outside, the client a guest; `m` is its mapped end.
The helpers in the guest are those of mapped.py.
"""

from errno import ECONNRESET

import pytest

from mapping import HELPERS, SCRIBBLER, stop_bystanders

pytestmark = [pytest.mark.circuit, pytest.mark.uplink, pytest.mark.one_family]

SIZE = (3 << 20) + 12345


@pytest.fixture
def ends(world, family):
    return world.set_ends(family, world.outside, world.nat)


@pytest.fixture
def mapped(client, joined):
    client.run(HELPERS + "m = Mapped(c)")


def test_mapped_guest_sends_to_the_outside(server, client, mapped):
    task = client.spawn(f"m.send(pattern({SIZE}), 70001); "
                        "c.shutdown(SHUT_WR)")
    assert server.run(f"read_to_end(a) == pattern({SIZE})")
    task.join()


def test_outside_sends_to_a_mapped_guest(server, client, mapped):
    task = server.spawn(f"a.sendall(pattern({SIZE})); a.close()")
    assert client.run(f"m.receive(1 << 30, 70001) == pattern({SIZE})")
    task.join()


def test_both_directions_at_once_and_then_ordinary_calls(server, client,
                                                         mapped):
    tasks = [server.spawn(f"a.sendall(pattern({SIZE}, 1))"),
             client.spawn(f"m.send(pattern({SIZE}, 2))"),
             server.spawn(f"receive(a, {SIZE}) == pattern({SIZE}, 2)")]
    assert client.run(f"m.receive({SIZE}) == pattern({SIZE}, 1)", 40)
    assert tasks[2].join(20)
    for task in tasks[:2]:
        task.join()
    client.run("m.unmap(); c.sendall(b'question')")
    assert server.run("receive(a, 8)") == b"question"
    server.run("a.sendall(b'answer')")
    assert client.run("receive(c, 6)") == b"answer"


def test_mapped_guest_in_which_the_outside_dials(world, family):
    server, client = world.set_ends(family, world.routed, world.outside)
    server.run(HELPERS + "s = listen(8090)")
    client.run("c = connect(8090)")
    server.run("a, _ = s.accept(); m = Mapped(a)")
    client.run("c.sendall(pattern(5000)); c.shutdown(SHUT_WR)")
    assert server.run("m.receive(9999) == pattern(5000)")
    server.run("m.put(b'thanks'); m.unmap(); a.close()")
    assert client.run("read_to_end(c)") == b"thanks"


def test_reset_from_outside_is_told_while_mapped(server, client, mapped):
    task = client.spawn("wait_ready(c, POLLPRI)").block()
    server.run("linger(a, 1, 0); a.close()")
    assert task.join() & client.run("POLLERR")
    assert client.run("error_of(c)") == ECONNRESET


def test_killed_program_leaves_the_outside_what_it_committed(server, client,
                                                             mapped):
    client.run("""
m.unmap()
pid = os.fork()
if pid == 0:
    Mapped(c).put(pattern(200000), ring=False)
    signal.pause()
eventually(lambda: ioctl_int(c, 0x5411))
c.close()
os.kill(pid, SIGKILL)
""")
    assert server.run("read_to_end(a) == pattern(200000)")


def test_end_of_the_switch_takes_the_pages(world, server, client, mapped):
    for guest in world.guests:
        guest.tell("vmcircuit: the switch")
    world.trouble = ("switch_lost",)
    client.run("m.put(pattern(1000))")
    world.restart()
    client.run("wait_ready(c, POLLPRI); eventually(m.is_taken)")
    assert client.run("error_of(c)") == ECONNRESET
    # With the old pages still there.
    client.run("d = connect(); d.sendall(b'new')")
    assert server.run("b, _ = s.accept(); receive(b, 3)") == b"new"


def test_program_that_scribbles_harms_no_other_guest(world, server, client,
                                                     listener):
    # The page that it spoils tells the switch of options and figures, too.
    client.tell("vmcircuit: .* impossible")
    world.tell('vm "vm1"')
    world.trouble = ("lies",)
    pid, other = world.switch.pid(), world.routed
    other.set(FAMILY=2, SERVER=server.v4)
    port = server.run(HELPERS + SCRIBBLER + "t = listen(); port_of(t)")
    tasks, bystanders = [], []
    for seed, guest in enumerate((client, other)):
        guest.run(HELPERS + SCRIBBLER + f"e = connect({port})")
        tasks.append(server.spawn("echo(t.accept()[0])"))
        bystanders.append(guest.spawn(f"traffic(e, stop, {seed})"))
    victims = server.spawn("suffer(s, False)")
    spoilt = client.spawn("attacks(8, 'uplink')").join(60)
    rounds = stop_bystanders((client, other), bystanders)
    assert spoilt > 80 and min(rounds) > 8, (spoilt, rounds)
    for task in tasks:
        task.join(30)
    client.run("c = connect(); c.sendall(b'fine')")
    assert client.run("receive(c, 4)") == b"fine"
    server.run("s.shutdown(SHUT_RDWR)")
    assert victims.join(30) > 4
    assert world.switch.pid() == pid
