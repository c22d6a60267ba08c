# SPDX-License-Identifier: GPL-2.0-or-later
"""Datagrams of guests without a network card to the outside, and back.

The server is a peer in the outside, the client a guest. The helpers in both
are those of datagram.py. `s` is bound in the server.
"""

from errno import ECONNREFUSED, EHOSTUNREACH, ENETUNREACH

import pytest

from datagrams import HELPERS, helpers, known, waiting  # noqa: F401
from datagrams import check_echoes
from uplinkworld import DENIED, HOST_PORT, OPEN_PROXY, outside

pytestmark = [pytest.mark.circuit, pytest.mark.uplink]

one_family = pytest.mark.one_family
SIZES = (0, 1, 7, 8, 9, 64, 1400, 4096)


@pytest.fixture
def ends(world, family):
    return world.set_ends(family, world.outside, world.nat)


def of(addresses, family):
    return addresses[family == "inet6"]


# -- there and back

@pytest.mark.parametrize("size", [0, 1, 1400, 9000, 65507])
def test_a_datagram_comes_back_from_where_it_went(server, client, waiting,
                                                  size):
    check_echoes(server, client, size)


def test_boundaries_are_kept_both_ways(server, client, known):
    """Of all sizes, few enough at once for every buffer."""
    task = server.spawn("take(s, 120)")
    sent = client.run(f"""
sizes = [size for size in {SIZES} for _ in range(15)]
for number, size in enumerate(sizes):
    c.send(payload(number, size))
    if number % 10 == 9: time.sleep(0.01)
digest_of(payload(number, size) for number, size in enumerate(sizes))
""")
    assert task.join() == sent
    task = client.spawn("take(c, 120)")
    sent = server.run(f"""
sizes = [size for size in {SIZES} for _ in range(15)]
for number, size in enumerate(sizes):
    s.sendto(payload(number, size), name)
    if number % 10 == 9: time.sleep(0.01)
digest_of(payload(number, size) for number, size in enumerate(sizes))
""")
    assert task.join() == sent


@one_family
def test_many_of_one_system_call_arrive_one_by_one(server, client, known):
    lengths = [100] * 20 + [64, 0, 1400, 1400, 9]
    task = server.spawn(f"take(s, {len(lengths)})")
    done, sent = client.run(f"""
datagrams = [payload(i, size) for i, size in enumerate({lengths})]
send_many(c, datagrams)[0], digest_of(datagrams)
""")
    assert done == len(lengths)
    assert task.join() == sent


@one_family
def test_a_segmented_send_arrives_in_pieces(server, client, known):
    sent = client.run("""
c.setsockopt(17, UDP_SEGMENT, 1000)
data = payload(5, 20500)
c.send(data)
digest_of(data[at:at + 1000] for at in range(0, len(data), 1000))
""")
    assert server.run("take(s, 21)") == sent


@one_family
def test_a_segmented_send_from_outside_arrives_in_pieces(server, client,
                                                         known):
    sent = server.run("""
s.setsockopt(17, UDP_SEGMENT, 1000)
data = payload(5, 20500)
s.sendto(data, name)
digest_of(data[at:at + 1000] for at in range(0, len(data), 1000))
""")
    assert client.run("take(c, 21)") == sent


# -- names

def test_peer_sees_one_port_of_the_host(world, server, client, family,
                                        waiting):
    """The same for all that one socket talks to."""
    server.run("other = udp(0)")
    port = server.run("port_of(other)")
    client.run(f"c = udp(); c.sendto(b'x', target()); "
               f"c.sendto(b'y', (SERVER, {port}))")
    first = server.run("name_of(s.recvfrom(10)[1])")
    assert server.run("name_of(other.recvfrom(10)[1])") == first
    assert first[0] == world.host.address(family)


def test_peer_sees_the_name_of_a_routed_guest(world, family):
    server, client = world.set_ends(family, world.outside, world.routed)
    for end in (server, client):
        end.run(HELPERS)
    port = server.run("s = udp(0); port_of(s)")
    client.set(PORT=port)
    name = client.run("c = udp(0, CLIENT); c.sendto(b'x', target()); "
                      "name_of(c.getsockname())")
    assert server.run("data, whence = s.recvfrom(10); name_of(whence)") == name
    server.run("s.sendto(b'y', whence)")
    assert client.run("c.recv(10)") == b"y"


@one_family
def test_one_socket_and_many_peers_need_one_descriptor(world, server, client,
                                                       waiting):
    server.run("socks = [udp(0) for _ in range(200)]")
    client.run("c = udp(); c.sendto(b'first', target())")
    assert server.run("s.recv(10)") == b"first"
    before = world.nr_sockets()
    ports = server.run("[port_of(sock) for sock in socks]")
    client.run(f"""
for i, port in enumerate({ports}):
    c.sendto(b"%d" % i, (SERVER, port))
""")
    assert server.run("""
names = set()
for i, sock in enumerate(socks):
    data, name = sock.recvfrom(10)
    assert data == b"%d" % i
    sock.sendto(data, name)
    names.add(name)
len(names)
""") == 1
    assert client.run("sorted(int(c.recv(10)) for _ in range(200))") == \
        list(range(200))
    # Fewer if an earlier case's were among them.
    assert world.nr_sockets() <= before


@one_family
def test_traffic_class_and_hop_limit_go_both_ways(server, client, known):
    server.run("""
s.setsockopt(IPPROTO_IP, IP_RECVTOS, 1)
s.setsockopt(IPPROTO_IP, IP_RECVTTL, 1)
""")
    client.run("c.setsockopt(IPPROTO_IP, IP_TOS, 0x2a); "
               "c.setsockopt(IPPROTO_IP, IP_TTL, 7); c.send(b'x')")
    assert server.run("""
_, said, _, name = s.recvmsg(10, 200)
{kind: data[0] for _, kind, data in said}
""") == {1: 0x2a, 2: 7}
    client.run("c.setsockopt(IPPROTO_IP, IP_RECVTOS, 1)")
    server.run("s.setsockopt(IPPROTO_IP, IP_TOS, 3); s.sendto(b'y', name)")
    assert client.run("[data[0] for _, kind, data in c.recvmsg(10, 200)[1] "
                      "if kind == IP_TOS]") == [3]


# -- who is not there

def test_refusal_from_outside_is_told(server, client, known):
    server.run("s.close()")
    client.run("c.send(b'x')")
    assert client.errno("wait_ready(c, POLLERR); c.send(b'y')") == \
        ECONNREFUSED


def test_refusal_stands_in_the_error_queue(server, client, waiting, family):
    server.run("s.close()")
    client.run("""
c = udp()
c.setsockopt(*((IPPROTO_IP, IP_RECVERR, 1) if FAMILY == 2 else
               (IPPROTO_IPV6, IPV6_RECVERR, 1)))
c.sendto(b"x", target())
wait_ready(c, POLLERR)
""")
    found = client.run("errors(c)")
    # Port unreachable, in each family's words.
    assert found == [(ECONNREFUSED, 2, 3, 3) if family == "inet" else
                     (ECONNREFUSED, 3, 1, 4)]


@pytest.mark.parametrize("addresses, error", [
    (("203.0.113.1", "2001:db8:dead::1"), EHOSTUNREACH),
    (("203.0.113.129", "2001:db8:ffff::1"), ENETUNREACH)])
def test_errors_of_the_hosts_routes_are_told(client, helpers, family,
                                             addresses, error):
    found = client.run(f"""
c = udp()
c.setsockopt(*((IPPROTO_IP, IP_RECVERR, 1) if FAMILY == 2 else
               (IPPROTO_IPV6, IPV6_RECVERR, 1)))
c.sendto(b"x", ({of(addresses, family)!r}, 9))
wait_ready(c, POLLERR)
[entry[0] for entry in errors(c)]
""")
    # IPv6 has its own numbers for what is unreachable.
    assert found and found[0] in (error, EHOSTUNREACH, ENETUNREACH)


@one_family
def test_strangers_are_not_heard(world, server, client, known):
    before = world.switch_stats(client)["datagrams_unwanted"]
    server.run("t = udp(0); t.sendto(b'let me in', name)")
    server.run("s.sendto(b'friend', name)")
    assert client.run("c.recv(100)") == b"friend"
    assert world.switch_stats(client)["datagrams_unwanted"] == before + 1


# -- the policy

@pytest.mark.no_circuit
@pytest.mark.parametrize("number", [DENIED, OPEN_PROXY])
def test_policy_denies_and_says_so(world, client, helpers, family, number):
    """Also where a rule names a proxy, which carries no datagrams."""
    address = outside.address(number, family)
    assert not world.allowed(client, address, 53, "udp")
    before = world.switch_stats(client)["denied"]
    client.run(f"""
c = udp()
c.setsockopt(*((IPPROTO_IP, IP_RECVERR, 1) if FAMILY == 2 else
               (IPPROTO_IPV6, IPV6_RECVERR, 1)))
c.sendto(b"x", ({address!r}, 53))
wait_ready(c, POLLERR)
""")
    assert world.switch_stats(client)["denied"] == before + 1


@one_family
def test_a_rule_may_allow_datagrams_only(world, server, client, waiting):
    rules = {"udp": {"action": "allow", "direction": "out",
                     "protocol": "udp"},
             "rest": {"action": "deny", "direction": "out"}}
    with world.policy(rules):
        client.run("c = udp(); c.sendto(b'x', target())")
        assert server.run("s.recv(10)") == b"x"
        assert world.allowed(client, server.address("inet"), 7, "udp")
        assert not world.allowed(client, server.address("inet"), 7, "tcp")


# -- losses

def lost_on_the_way_out(world, guest):
    """Counted so far, by the guest and by the switch."""
    stats = world.switch_stats(guest)
    return guest.run("stats().get('datagrams_unsent', 0)") + \
        stats["datagrams_undeliverable"] + stats["datagrams_too_large"]


@one_family
def test_each_datagram_arrives_or_is_counted(world, server, client, known):
    """A guest that sends faster than the peer reads."""
    before = lost_on_the_way_out(world, client)
    server.run("s.setsockopt(SOL_SOCKET, SO_RXQ_OVFL, 1)")
    client.run("data = pattern(1000)\nfor _ in range(6000): c.send(data)", 60)
    arrived = server.run("len(receive_all(s, 1))", 60)
    server.run("s.settimeout(10)")
    client.run("c.send(b'last')")
    dropped = server.run("""
_, said, _, _ = s.recvmsg(100, 100)
sum(struct.unpack("I", data)[0] for _, kind, data in said
    if kind == SO_RXQ_OVFL)
""")
    lost = lost_on_the_way_out(world, client) - before
    assert arrived + dropped + lost == 6000
    assert arrived > 0


@one_family
def test_each_datagram_from_outside_arrives_or_is_counted(
        world, server, client, known, eventually):
    """A peer that sends faster than the guest reads."""
    before = world.switch_stats(client)
    client.run("c.setsockopt(SOL_SOCKET, SO_RCVBUF, 20000)")
    server.run("data = pattern(1000)\n"
               "for _ in range(3000): s.sendto(data, name)", 60)

    def came():
        now = world.switch_stats(client)
        return (now["datagrams_in"] - before["datagrams_in"],
                now["datagrams_no_room"] - before["datagrams_no_room"])

    arrived = client.run("len(receive_all(c, 1))", 60)
    given, dropped = came()
    assert arrived == given
    # The host's socket may have dropped some before the switch saw them.
    assert given + dropped <= 3000
    assert dropped > 0


@one_family
def test_too_large_for_the_path_is_lost_if_it_must_stay_whole(
        world, server, client, known):
    """As a program that looks for the path's MTU wants it."""
    before = world.switch_stats(client)["datagrams_too_large"]
    client.run("c.setsockopt(IPPROTO_IP, 10, 3); c.send(bytes(3000)); "
               "c.send(b'small')")
    assert server.run("s.recv(4000)") == b"small"
    assert world.switch_stats(client)["datagrams_too_large"] == before + 1
    client.run("c.setsockopt(IPPROTO_IP, 10, 1); c.send(bytes(3000))")
    assert server.run("len(s.recv(4000))") == 3000


@one_family
def test_socket_that_takes_no_more_stalls_no_other(world, server, client,
                                                   known):
    """A line of 1 Mbit/s beside the host's own loopback."""
    world.host.run(HELPERS)
    world.host.run(f"h = udp({HOST_PORT}, '127.0.0.1')")
    echo = world.host.spawn("echo(h, 20)")
    before = lost_on_the_way_out(world, client)
    world.shell("tc qdisc add dev up0 root tbf rate 1mbit burst 10kb "
                "limit 2mb")
    try:
        task = client.spawn(
            "data = pattern(1000)\nfor _ in range(800): c.send(data)")
        late = client.run(f"""
d = udp()
d.connect(({outside.HOST_FOR_GUESTS[0]!r}, {HOST_PORT}))
late = []
for number in range(20):
    before = time.monotonic()
    d.send(b"%d" % number)
    assert d.recv(10) == b"%d" % number
    late.append(time.monotonic() - before)
max(late)
""", 30)
        early = server.run("len(receive_all(s, 0.01))")
        task.join(30)
        arrived = early + server.run("len(receive_all(s, 2))", 60)
    finally:
        world.shell("tc qdisc del dev up0 root")
    echo.join()
    assert late < 1
    # The line was still busy then. That nothing moves on it for 10 ms, which
    # is all that a guest waits, costs datagrams; but each is counted.
    assert early < 800
    assert arrived + lost_on_the_way_out(world, client) - before == 800


# -- the end

@one_family
def test_closed_sockets_leave_nothing(world, server, client, waiting,
                                      eventually):
    before = world.nr_sockets()
    circuits = world.switch_stats(client)["circuits_now"]
    for _ in range(3):
        client.run("""
for number in range(20):
    with udp() as c:
        c.sendto(b"%d" % number, target())
""")
        assert server.run("[int(s.recv(10)) for _ in range(20)]") == \
            list(range(20))
    eventually(lambda: world.nr_sockets() <= before, "the sockets close")
    assert world.switch_stats(client)["circuits_now"] <= circuits


@one_family
def test_idle_flow_ends_and_its_name_keeps_the_port(world, server, client,
                                                    known, eventually):
    first = server.run("name_of(name)")
    circuits = world.switch_stats(client)["circuits_now"]
    client.run("open('/proc/sys/net/vmcircuit/idle_ms', 'w').write('1')")
    try:
        eventually(lambda: world.switch_stats(client)["circuits_now"] <
                   circuits, "the flow ends")
    finally:
        client.run("open('/proc/sys/net/vmcircuit/idle_ms', 'w')"
                   ".write('30000')")
    client.run("c.send(b'again')")
    assert server.run("data, name = s.recvfrom(10); name_of(name)") == first
    server.run("s.sendto(b'welcome', name)")
    assert client.run("c.recv(10)") == b"welcome"
