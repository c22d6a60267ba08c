# SPDX-License-Identifier: GPL-2.0-or-later
"""Datagrams to many: multicast and broadcast between the VMs of a network.

The server and the client stand for two of them; a third is there, too, if the
world has one. The helpers in the guests are those of datagram.py and cast.py.
"""

from errno import EACCES

import pytest

from datagrams import helpers  # noqa: F401 (fixture)
from world import HERE, wait_until

pytestmark = [pytest.mark.remote, pytest.mark.own_proof]

CAST = (HERE / "cast.py").read_text()


@pytest.fixture
def guests(world, server, client, family, helpers):     # noqa: F811
    """The client, which sends, and all others."""
    others = [guest for guest in world.guests if guest is not client]
    for guest in world.guests:
        if guest not in (server, client):
            guest.set(FAMILY=server.run("FAMILY"))
            guest.run((HERE / "datagram.py").read_text())
        guest.set(OWN=guest.address(family))
        guest.run(CAST)
    before = {guest: packets(guest) for guest in world.guests}
    yield client, others
    if world.circuit:
        after = {guest: packets(guest) for guest in world.guests}
        assert after[client]["packets_sent"] > before[client]["packets_sent"]
        for guest in world.guests:
            assert after[guest]["lies"] == before[guest]["lies"]


def packets(guest):
    return guest.run("{name: value for name, value in stats().items() if "
                     "name.startswith('packets') or name == 'lies'}")


def joined_everywhere(guests, port=0):
    """`s` is joined at one port in all guests; return the port."""
    for guest in guests:
        port = guest.run(f"s = joined({port}); port_of(s)")
    return port


def test_everybody_who_joined_gets_it(guests):
    client, others = guests
    port = joined_everywhere(others)
    name = client.run(f"c = caster(); c.sendto(b'to all', (GROUP, {port})); "
                      "name_of(c.getsockname())")
    address = client.run("OWN")
    for guest in others:
        assert guest.run("data, name = s.recvfrom(100); data, name_of(name)") \
            == (b"to all", (address, name[1]))


def test_every_socket_of_a_guest_gets_it(guests):
    client, (server, *_) = guests
    port = joined_everywhere([server])
    server.run(f"more = [joined({port}) for _ in range(3)]")
    client.run(f"caster().sendto(b'x', (GROUP, {port}))")
    assert server.run("[one.recv(10) for one in [s] + more]") == [b"x"] * 4


def test_who_did_not_join_gets_nothing(guests):
    client, (server, *_) = guests
    port = joined_everywhere([server])
    server.run(f"alone = udp({port + 1 if port < 65535 else 1024}, ANY); "
               "other = joined(0, OTHER_GROUP)")
    other = server.run("port_of(other)")
    client.run(f"""
c = caster()
c.sendto(b'none', (OTHER_GROUP, {port}))
c.sendto(b'none', (GROUP, {other}))
c.sendto(b'end', (GROUP, {port}))
c.sendto(b'end', (OTHER_GROUP, {other}))
""")
    assert server.run("s.recv(10), other.recv(10)") == (b"end", b"end")
    assert server.run("receive_all(alone) + receive_all(s) + "
                      "receive_all(other)") == []


def test_the_sender_gets_it_once_if_it_joined(guests):
    client, others = guests
    port = joined_everywhere([client, *others])
    client.run(f"c = caster(); c.sendto(b'all', (GROUP, {port}))")
    for guest in [client, *others]:
        assert guest.run("s.recv(10)") == b"all"
    client.run(f"loop(c, 0); c.sendto(b'others', (GROUP, {port}))")
    for guest in others:
        assert guest.run("s.recv(10)") == b"others"
    for guest in [client, *others]:
        assert guest.run("receive_all(s)") == []


def test_who_joins_late_gets_what_comes_then(guests):
    client, (server, *_) = guests
    port = joined_everywhere([client])
    client.run(f"""
c = caster()
for number in range(50): c.sendto(b'early', (GROUP, {port}))
""")
    server.run(f"s = joined({port})")
    client.run(f"c.sendto(b'late', (GROUP, {port}))")
    assert server.run("s.recv(10)") == b"late"
    server.run("leave(s)")
    client.run(f"c.sendto(b'later', (GROUP, {port}))")
    assert server.run("receive_all(s)") == []
    server.run("join(s)")
    client.run(f"c.sendto(b'again', (GROUP, {port}))")
    assert server.run("s.recv(10)") == b"again"


@pytest.mark.parametrize("size", [0, 1, 1400, 2048, 9000, 65000])
def test_datagrams_arrive_whole(guests, size):
    client, others = guests
    port = joined_everywhere(others)
    sent = client.run(f"""
c = caster()
for number in range(3): c.sendto(payload(number, {size}), (GROUP, {port}))
digest_of(payload(number, {size}) for number in range(3))
""")
    for guest in others:
        assert guest.run("take(s, 3)") == sent


def test_an_answer_to_one_is_a_flow_of_its_own(guests):
    client, others = guests
    port = joined_everywhere(others)
    client.run(f"c = caster(); c.sendto(b'who', (GROUP, {port}))")
    for guest in others:
        guest.run("data, name = s.recvfrom(10); s.sendto(b'me', name)")
    found = client.run(f"sorted(c.recvfrom(10)[1][0] for _ in "
                       f"range({len(others)}))")
    assert found == sorted(guest.run("OWN") for guest in others)


def test_sources_are_filtered(guests):
    client, (server, *_) = guests
    port = server.run("""
s = reused(0)
join_from(s, CLIENT)
none = reused(port_of(s))
join_from(none, OWN)
port_of(s)
""")
    client.run(f"caster().sendto(b'from me', (GROUP, {port}))")
    assert server.run("s.recv(10), receive_all(none)") == (b"from me", [])


def test_the_packets_group_and_interface_are_told(guests):
    client, (server, *_) = guests
    port = joined_everywhere([server])
    server.run("want_info(s)")
    client.run(f"caster().sendto(b'x', (GROUP, {port}))")
    assert server.run("info_of(s) == (GROUP, INTERFACE)")


def test_what_shall_stay_here_does(guests):
    client, others = guests
    port = joined_everywhere([client, *others])
    client.run(f"c = caster(); hops(c, 0); c.sendto(b'here', (GROUP, {port}))")
    assert client.run("s.recv(10)") == b"here"
    client.run(f"hops(c, 1); c.sendto(b'there', (GROUP, {port}))")
    for guest in others:
        assert guest.run("s.recv(10)") == b"there"


def test_a_connected_socket_sends_to_a_group(guests):
    client, others = guests
    port = joined_everywhere(others)
    client.run(f"c = caster(); c.connect((GROUP, {port})); "
               "[c.send(bytes([i])) for i in range(20)]")
    for guest in others:
        assert guest.run("[s.recv(10)[0] for _ in range(20)]") == \
            list(range(20))


def test_many_datagrams_from_both_sides(guests):
    client, (server, *_) = guests
    port = joined_everywhere([client, server])
    for guest in (client, server):
        guest.run("s.setsockopt(SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)")
    code = f"""
c = caster(); loop(c, 0)
for number in range(200): c.sendto(payload(number, 700), (GROUP, {port}))
"""
    tasks = [guest.spawn(code) for guest in (client, server)]
    wanted = client.run("digest_of(payload(number, 700) for number in "
                        "range(200))")
    for task in tasks:
        task.join(30)
    for guest in (client, server):
        assert guest.run("take(s, 200)", 30) == wanted


# -- broadcast

@pytest.mark.one_family
@pytest.mark.parametrize("to", ["BROADCAST", "'255.255.255.255'"])
def test_a_broadcast_reaches_all(world, guests, to):
    client, others = guests
    port = 0
    for guest in others:
        port = guest.run(f"s = reused({port}); port_of(s)")
    client.run("c = caster()")
    if not world.circuit:
        # `vmcircuit up` has made a route for it.
        client.run("c.setsockopt(SOL_SOCKET, 25, b'eth0')")
    assert client.errno(f"c.sendto(b'all', ({to}, {port}))") == EACCES
    client.run(f"c.setsockopt(SOL_SOCKET, SO_BROADCAST, 1); "
               f"c.sendto(b'all', ({to}, {port}))")
    for guest in others:
        assert guest.run("data, name = s.recvfrom(10); data, name[0] == CLIENT"
                         if guest is others[0] else
                         "s.recv(10), True") == (b"all", True)


@pytest.mark.one_family
def test_the_sender_of_a_broadcast_hears_itself_once(guests):
    client, _ = guests
    port = client.run("s = reused(0); port_of(s)")
    client.run("c = caster(); c.setsockopt(SOL_SOCKET, SO_BROADCAST, 1); "
               f"c.sendto(b'x', (BROADCAST, {port}))")
    assert client.run("receive_all(s)") == [b"x"]


# -- what only circuits have

@pytest.mark.circuit
@pytest.mark.one_family
def test_who_does_not_read_loses_and_slows_nobody(world, guests):
    client, (server, *others) = guests
    port = joined_everywhere([server, *others])
    server.run("s.setsockopt(SOL_SOCKET, SO_RCVBUF, 4000)")
    for guest in others:
        guest.run("s.setsockopt(SOL_SOCKET, SO_RCVBUFFORCE, 8 << 20)")
    wanted = client.run(f"""
c = caster()
for number in range(2000): c.sendto(payload(number, 1000), (GROUP, {port}))
digest_of(payload(number, 1000) for number in range(2000))
""", 60)
    for guest in others:
        assert guest.run("take(s, 2000)", 30) == wanted
    assert 0 < server.run("len(receive_all(s))") < 2000


@pytest.mark.circuit
@pytest.mark.one_family
def test_who_wants_nothing_is_not_woken(world, guests):
    client, (server, *others) = guests
    port = joined_everywhere([server])
    before = [packets(guest) for guest in others]
    client.run(f"""
c = caster()
for number in range(100): c.sendto(b'x', (GROUP, {port}))
""")
    server.run("[s.recv(10) for _ in range(100)]")
    assert [packets(guest) for guest in others] == before


@pytest.mark.circuit
@pytest.mark.one_family
def test_a_restarted_switch_goes_on(world, guests):
    client, (server, *_) = guests
    for guest in world.guests:
        guest.tell("vmcircuit: the switch")
    world.trouble = ("switch_lost",)
    port = joined_everywhere([server])
    epoch = server.run("open('/proc/net/vmcircuit/status').read()")
    world.switch.restart()
    for guest in world.guests:
        wait_until(lambda: guest.run(
            "open('/proc/net/vmcircuit/status').read()") != epoch,
            "the new switch")
    world.wait_attached()
    # The circuit to the hub comes after the WELCOME.
    client.run(f"""
c = caster()
def heard():
    c.sendto(b'anew', (GROUP, {port}))
""")
    wait_until(lambda: client.run("heard()") or
               server.run("receive_all(s, 0.05)"), "a datagram comes")
