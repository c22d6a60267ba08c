# SPDX-License-Identifier: GPL-2.0-or-later
"""What the cases of datagram circuits have in common: the text that runs in the
guests, and the fixtures that bring it there.
"""

import pytest

from world import HERE

HELPERS = (HERE / "datagram.py").read_text()


@pytest.fixture
def helpers(server, client):
    for guest in {server, client}:
        guest.run(HELPERS)


@pytest.fixture
def waiting(server, client, helpers):
    """A bound socket `s` in the server; target() of the client is there."""
    port = server.run("s = udp(0); port_of(s)")
    for guest in {server, client}:
        guest.set(PORT=port)
    return port


@pytest.fixture
def known(client, waiting, server):
    """As waiting, with `c` in the client, connected, and its first datagram
    there: what is sent now finds a circuit."""
    client.run("c = udp(); c.connect(target()); c.send(b'first')")
    assert server.run("data, name = s.recvfrom(100); data") == b"first"


def sent_and_lost(guest, name):
    """A counter of the module as it stands in a guest."""
    return guest.run(f"stats().get('{name}', 0)")


def check_echoes(server, client, size):
    """Two datagrams come back whole, from where they went; with `waiting`."""
    task = server.spawn("echo(s, 2)")
    assert client.run(f"""
c = udp()
answers = []
for number in range(2):
    c.sendto(payload(number, {size}), target())
    data, name = c.recvfrom(70000)
    answers.append((data == payload(number, {size}),
                    name_of(name) == target()))
answers
""") == [(True, True)] * 2
    task.join()
