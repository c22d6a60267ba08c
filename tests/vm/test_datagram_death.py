# SPDX-License-Identifier: GPL-2.0-or-later
"""VMs and switches that die under datagrams: nothing hangs, nothing is left,
and the next datagram finds whoever is there again. The helpers in the guests are
those of datagram.py.
"""

from errno import EHOSTUNREACH

import pytest

from datagrams import HELPERS, helpers, known, waiting  # noqa: F401

pytestmark = [pytest.mark.circuit, pytest.mark.remote,
              pytest.mark.one_family]


@pytest.fixture
def deadly(world, server, client):
    """What may be said of a death: guests warn once, the switch informs."""
    for guest in world.guests:
        guest.tell("vmcircuit: (the switch|peer|link)")
    world.tell('vm "vm2"|vm2')
    world.trouble = ("switch_lost",)
    return world


# Sends until the end is told; whatever it is told on the way is UDP's to tell.
FLOOD = """
stop = threading.Event()
def flood():
    while not stop.is_set():
        try:
            c.send(payload(1, 1000))
        except OSError:
            pass
flooding = threading.Thread(target=flood, daemon=True)
flooding.start()
"""

SAY_UNTIL_HEARD = """
def said():
    try:
        d.send(b'there again?')
        d.settimeout(0.2)
        return d.recv(100) == b'yes'
    except OSError:
        return False
d = udp()
d.connect(target())
eventually(said, 15)
"""

ANSWER = """
def answer(sock):
    while True:
        data, name = sock.recvfrom(70000)
        if data == b'there again?':
            sock.sendto(b'yes', name)
            return True
"""


@pytest.mark.long
def test_a_killed_vm_is_nobody_and_comes_again(deadly, server, client, known):
    client.run(FLOOD)
    server.spawn("while True: s.recv(2000)")
    port = server.run("port_of(s)")
    deadly.reboot(server)
    client.run("stop.set(); flooding.join()")
    server.set(FAMILY=2, SERVER=server.v4, CLIENT=client.v4, PORT=port)
    server.run(HELPERS)
    server.run(ANSWER)
    server.run(f"s = udp({port}, timeout=15)")
    task = server.spawn("answer(s)")
    client.run(SAY_UNTIL_HEARD, 30)
    assert task.join(15)


def test_flows_begin_anew_with_the_next_switch(deadly, server, client, known):
    client.run(FLOOD)
    server.run(ANSWER)
    task = server.spawn("s.settimeout(30); answer(s)")
    deadly.crash()
    deadly.wait_attached()
    client.run("stop.set(); flooding.join()")
    client.run(SAY_UNTIL_HEARD, 30)
    assert task.join(30)


def test_a_hung_switch_holds_nobody_up(deadly, server, client, known):
    client.run("c.setsockopt(IPPROTO_IP, IP_RECVERR, 1)")
    deadly.freeze()
    # A flow that is dialled meanwhile fails when the switch is given up.
    client.run("""
d = udp()
d.setsockopt(IPPROTO_IP, IP_RECVERR, 1)
d.connect((SERVER, 9))
d.send(b'x')
""")
    assert client.errno("d.recv(10)") == EHOSTUNREACH
    client.run("eventually(lambda: stats()['circuits_open'] == 0)")
    deadly.thaw()
    deadly.wait_attached()
    server.run(ANSWER)
    task = server.spawn("answer(s)")
    client.run(SAY_UNTIL_HEARD, 30)
    assert task.join(15)


def test_a_hung_switch_costs_who_sends_to_itself_little(
        deadly, server, client, known):
    """Who waits for the first datagram of a flow to arrive waits 0.5 s, and
    not at all once the switch is given up."""
    deadly.set_local(True)
    deadly.freeze()
    client.run("""
d = [udp() for _ in range(50)]
begin = time.monotonic()
for number, one in enumerate(d, 20000):
    one.sendto(b'x', (CLIENT, number))
took = time.monotonic() - begin
""")
    assert client.run("took") < 3
    client.run("eventually(lambda: stats()['circuits_open'] == 0)")
    deadly.thaw()
    deadly.wait_attached()
    deadly.set_local(False)


def test_a_peer_that_vanishes_is_unreachable(deadly, server, client, known):
    """Many first datagrams, and those of a flow, while the peer's VM ends."""
    client.run("""
import itertools
c.setsockopt(IPPROTO_IP, IP_RECVERR, 1)
begun, stop = threading.Event(), threading.Event()
def begin():
    for number in itertools.count():
        d = udp()
        try: d.sendto(b'first', target())
        except OSError: pass
        d.close()
        if number == 20: begun.set()
        if stop.is_set(): break
threading.Thread(target=begin, daemon=True).start()
begun.wait()
""")
    server.vm.kill()
    server.puppet.sock.close()
    server.puppet = None
    client.run("""
def unreachable():
    try:
        c.send(b'x')
    except OSError as error:
        return error.errno == EHOSTUNREACH
eventually(unreachable)
stop.set()
""")
    client.run("eventually(lambda: stats()['circuits_open'] == 0, 15)", 30)
