# SPDX-License-Identifier: GPL-2.0-or-later
"""Datagrams of a VM to itself: circuits if net.vmcircuit.local says so. The
helpers in the guest are those of datagram.py.
"""

from errno import ECONNREFUSED

import pytest

from datagrams import HELPERS

pytestmark = pytest.mark.circuit

LOOPBACK = {"inet": "127.0.0.1", "inet6": "::1"}


@pytest.fixture(params=["own", "loopback"])
def guest(world, family, request):
    """`s` is bound there, at an address of circuit0 or the loopback."""
    world.set_local(True)
    guest = world.guests[0]
    address = guest.address(family) if request.param == "own" else \
        LOOPBACK[family]
    guest.set(FAMILY=2 if family == "inet" else 10, SERVER=address,
              CLIENT=address, PORT=None)
    guest.run(HELPERS)
    guest.set(PORT=guest.run("s = udp(0); port_of(s)"))
    yield guest
    world.set_local(False)


def counters(guest):
    found = guest.run("stats()")
    return [found[name] for name in ("datagrams_sent", "datagrams_received",
                                     "circuits_connected")]


def test_datagrams_come_back_by_a_circuit(guest):
    before = counters(guest)
    assert guest.run("""
c = udp(0)
found = []
for size in (0, 1, 1400, 9000, LARGEST[FAMILY]):
    c.sendto(payload(1, size), target())
    data, name = s.recvfrom(70000)
    s.sendto(data, name)
    found.append((c.recv(70000) == payload(1, size),
                  name_of(name) == name_of(c.getsockname())))
found
""") == [(True, True)] * 5
    sent, received, made = (after - then for after, then in
                            zip(counters(guest), before))
    assert (sent, received) == (10, 10) and 1 <= made <= 2


def test_who_answers_by_the_device_it_was_told_is_heard(guest):
    device = guest.run("""
level, ask, told = (IPPROTO_IP, IP_PKTINFO, IP_PKTINFO) if FAMILY == 2 else \
    (IPPROTO_IPV6, IPV6_RECVPKTINFO, IPV6_PKTINFO)
s.setsockopt(level, ask, 1)
c = udp(0)
c.sendto(b'question', target())
data, control, _, name = s.recvmsg(100, 200)
s.sendmsg([b'answer'], control, 0, name)
assert c.recv(100) == b'answer'
info = {kind: data for _, kind, data in control}[told]
index = info[:4] if FAMILY == 2 else info[16:]
socket.if_indextoname(struct.unpack("i", index)[0])
""")
    own = guest.run("SERVER not in ('127.0.0.1', '::1')")
    assert device == ("circuit0" if own else "lo")


def test_many_sizes_wrap_around_the_ring(guest):
    task = guest.spawn("take(s, 3000, step=50)")
    sent = guest.run("""
chosen = random.Random(5)
c = udp(); c.connect(target())
digest_of(steadily(c, (payload(number, chosen.randrange(0, 3000))
                       for number in range(3000)), 50))
""", 60)
    assert task.join(30) == sent


def test_nobody_there_is_told(guest):
    guest.run("port = port_of(s); s.close(); c = udp(); "
              "c.connect((SERVER, port)); c.send(b'x')")
    assert guest.errno("c.recv(10)") == ECONNREFUSED
    guest.run("s = udp(port); c.send(b'now'); s.recv(10)")


def test_what_has_control_messages_keeps_its_place(guest):
    assert guest.run("""
c = udp(); c.connect(target())
level, name = (0, 2) if FAMILY == 2 else (41, 52)
for number in range(100):
    if number % 3:
        c.send(bytes([number]))
    else:
        c.sendmsg([bytes([number])], [(level, name, struct.pack('i', 9))])
[s.recv(10)[0] for _ in range(100)]
""") == list(range(100))


@pytest.mark.own_proof
def test_without_the_sysctl_they_go_by_lo(world, guest):
    code = "c = udp(); c.sendto(b'x', target()); s.recv(10)"
    world.set_local(False)
    before = counters(guest)
    assert guest.run(code) == b"x"
    assert counters(guest) == before
    world.set_local(True)
    assert guest.run(code) == b"x"
    assert counters(guest) != before
    world.set_local(False)
    before = counters(guest)
    assert guest.run(code) == b"x"
    assert counters(guest) == before


AT_ONCE = """
def at_once(sock):
    return sock.recv(70000, socket.MSG_DONTWAIT)

receivers = [udp(0) for _ in range(5)]
names = [name_of(one.getsockname()) for one in receivers]
"""


def test_what_is_sent_has_come_when_send_returns(guest):
    """The first datagram, for which the switch is asked, and those after it."""
    assert guest.run(AT_ONCE + """
def sent(one, name, is_connected):
    c = udp()
    if is_connected:
        c.connect(name)
    found = []
    for number in range(20):
        c.send(bytes([number])) if is_connected else \
            c.sendto(bytes([number]), name)
        if number != 5:
            found += at_once(one)
    return found + list(at_once(one))

[(one, is_connected) for round in range(10)
 for one, name in zip(receivers, names) for is_connected in (False, True)
 if sent(one, name, is_connected) != list(range(20))]
""", 60) == []


def test_what_goes_the_long_way_has_come_when_send_returns(guest):
    assert guest.run(AT_ONCE + """
found = []
for one, name in zip(receivers, names):
    c = udp(); c.connect(name)
    level, kind = (0, 2) if FAMILY == 2 else (41, 52)
    c.sendmsg([b"control"], [(level, kind, struct.pack("i", 9))])
    found.append(at_once(one))
    c.setsockopt(17, UDP_CORK, 1); c.send(b"cor"); c.send(b"ked")
    c.setsockopt(17, UDP_CORK, 0)
    found.append(at_once(one))
    c.setsockopt(17, UDP_SEGMENT, 4); c.send(b"segments")
    found += [at_once(one), at_once(one)]
found
""") == [b"control", b"corked", b"segm", b"ents"] * 5


def test_answers_have_come_when_send_returns(guest):
    assert guest.run(AT_ONCE + """
found = []
for one, name in zip(receivers, names):
    c = udp(); c.connect(name); c.send(b"x")
    for number in range(3):
        one.sendto(b"answer", one.recvfrom(10, socket.MSG_DONTWAIT)[1])
        found.append(at_once(c)); c.send(b"y")
found
""") == [b"answer"] * 15


@pytest.mark.own_proof
def test_who_sends_to_nobody_knows_at_once(guest):
    refused = guest.run("stats()['offers_refused']")
    assert guest.run(AT_ONCE + """
def error_of(sock):
    try:
        return at_once(sock)
    except OSError as error:
        return error.errno

found = []
for one, name in zip(receivers, names):
    one.close()
    c = udp(); c.connect(name)
    for _ in range(3):
        c.send(b"x")
        found.append(error_of(c))
    c = udp(); c.setsockopt(0 if FAMILY == 2 else 41, IP_RECVERR
                            if FAMILY == 2 else IPV6_RECVERR, 1)
    c.sendto(b"x", name)
    found.append([number for number, *_ in errors(c)][0])
found
""") == [ECONNREFUSED] * 20
    assert guest.run("stats()['offers_refused']") == refused + 20


@pytest.mark.own_proof
def test_addresses_that_the_switch_does_not_know_stay_on_lo(guest):
    """Of another device, as lo."""
    address = "10.99.0.1/32" if guest.run("FAMILY") == 2 else "fd99::1/128"
    guest.run(f"program('ip', 'addr', 'add', '{address}', 'dev', 'lo')")
    before = counters(guest)
    try:
        assert guest.run(AT_ONCE + f"""
t = udp(0, {address.partition("/")[0]!r})
c = udp(); c.sendto(b"by lo", t.getsockname())
at_once(t)
""") == b"by lo"
    finally:
        guest.run(f"program('ip', 'addr', 'del', '{address}', 'dev', 'lo')")
    assert counters(guest) == before
