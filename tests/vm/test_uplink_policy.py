# SPDX-License-Identifier: GPL-2.0-or-later
"""What the switch allows its guests outside, and how much of it."""

from errno import EACCES, ECONNREFUSED, ENOBUFS

import pytest

from uplinkworld import DENIED, HOST_PORT, PUBLISHED, SETTINGS, both, out, \
    outside

pytestmark = [pytest.mark.circuit, pytest.mark.uplink]


@pytest.fixture
def ends(world, family):
    return world.set_ends(family, world.outside, world.nat)


def rules(**first):
    """Rules before the usual ones."""
    return {**first, **SETTINGS["rules"]}


@pytest.fixture
def ports(server, client):
    """Two ports outside with a listener each."""
    return server.run("s, t = listen(host=ANY), listen(host=ANY); "
                      "port_of(s), port_of(t)")


def result(guest, port, host=None):
    """0 or the errno of a connect."""
    return guest.run(f"""
try:
    connect({port}, {host!r}).close()
    number = 0
except OSError as error:
    number = error.errno
number
""")


# -- rules

def test_rule_denies_an_address(world, server, client, family, ports):
    with world.policy(rules(away=out("deny", remote=both(53)))):
        host = both(53)[family == "inet6"]
        assert result(client, ports[0], host) == EACCES
        assert result(client, ports[0]) == 0


def test_rule_denies_a_network_but_an_earlier_one_allows(
        world, server, client, family, ports):
    away = out("deny", remote=["192.0.2.0/29", "2001:db8::/125"])
    but = out("allow", remote=both(4))
    with world.policy({"but": but, "away": away}):
        index = family == "inet6"
        assert result(client, ports[0], both(1)[index]) == EACCES
        assert result(client, ports[0], both(4)[index]) == 0
        assert result(client, ports[0], both(8)[index]) == 0


def test_rule_denies_ports(world, server, client, ports):
    low, high = sorted(ports)
    away = out("deny", ports=[f"{low}-{high - 1}", "1"])
    with world.policy(rules(away=away)):
        assert result(client, low) == EACCES
        assert result(client, high - 1) in (EACCES,)
        assert result(client, high) == 0
        assert result(client, 1) == EACCES
        assert result(client, 2) == ECONNREFUSED


def test_rule_denies_one_vm(world, server, client, family, ports):
    with world.policy(rules(away=out("deny", vm=["vm2"]))):
        assert result(client, ports[0]) == 0
        world.set_ends(family, server, world.routed)
        before = world.switch_stats(world.routed)["denied"]
        assert result(world.routed, ports[0]) == EACCES
        assert world.switch_stats(world.routed)["denied"] == before + 1


def test_rule_for_datagrams_leaves_streams_alone(world, server, client,
                                                 ports):
    with world.policy(rules(away=out("deny", protocol="udp"))):
        assert result(client, ports[0]) == 0


def test_all_but_some_may_be_denied(world, server, client, ports):
    some = out("allow", ports=[str(ports[0])])
    with world.policy({"some": some, "else": out("deny")}):
        assert result(client, ports[0]) == 0
        assert result(client, ports[1]) == EACCES


def test_reload_leaves_what_is_open(world, server, client, joined):
    with world.policy({"nothing": out("deny")}):
        assert result(client, client.run("PORT")) == EACCES
        task = client.spawn("c.sendall(pattern(1 << 20))")
        assert server.run("receive(a, 1 << 20) == pattern(1 << 20)")
        task.join()
    client.run("d = connect(); d.sendall(b'x')")
    assert server.run("b, _ = s.accept(); receive(b, 1)") == b"x"


@pytest.mark.no_circuit
@pytest.mark.one_family
def test_broken_configuration_changes_nothing(world, server, client):
    # The rule that denies must still stand.
    world.tell("switch.conf|policy|configuration")
    text = world.switch.config.read_text()
    world.switch.config.write_text(text.replace('"deny"', '"dney"'))
    try:
        said = world.ctl("policy", "reload", code=1)
        assert "dney" in said and "switch.conf:" in said
    finally:
        world.switch.config.write_text(text)
    assert result(client, 9, both(DENIED)[0]) == EACCES


@pytest.mark.no_circuit
def test_policy_test_tells_what_a_connect_would_get(world, server, client,
                                                    family):
    index = family == "inet6"
    loopback = ("127.0.0.1", "::1")[index]
    assert world.allowed(client, both(1)[index], 80)
    assert not world.allowed(client, both(DENIED)[index], 80)
    assert world.allowed(client, loopback, HOST_PORT)
    assert not world.allowed(client, loopback, HOST_PORT + 1)
    assert not world.allowed(world.routed, loopback, HOST_PORT)
    if family == "inet":
        assert not world.allowed(client, "169.254.169.254", 80)


def test_rule_opens_the_loopback_of_the_host(world, server, client, family):
    index = family == "inet6"
    loopback = ("127.0.0.1", "::1")[index]
    world.host.run(f"s = listen({HOST_PORT}, {loopback!r}, options=["
                   "(SOL_SOCKET, SO_REUSEADDR, 1)])")
    client.set(SERVER=outside.HOST_FOR_GUESTS[index], PORT=HOST_PORT)
    client.run("c = connect(); c.sendall(b'host')")
    assert world.host.run("a, name = s.accept(); receive(a, 4)") == b"host"
    assert world.host.run("name[0]") == loopback
    assert client.run("c.getpeername()[0]") == outside.HOST_FOR_GUESTS[index]
    # Only where the rule says so, and only for whom.
    assert result(client, HOST_PORT + 1) == EACCES
    world.set_ends(family, server, world.routed)
    assert result(world.routed, HOST_PORT,
                  outside.HOST_FOR_GUESTS[index]) == EACCES


# -- quotas

@pytest.mark.one_family
def test_circuits_of_a_vm_are_limited(world, server, client, family,
                                      listener):
    with world.settings(vms={**SETTINGS["vms"],
                             "vm1": {"max_circuits": 5}}):
        client.run("socks = [connect() for _ in range(5)]")
        before = world.switch_stats(client)["over_quota"]
        assert client.errno("connect()") == ENOBUFS
        assert world.switch_stats(client)["over_quota"] == before + 1
        # Another VM is not concerned.
        other = world.routed
        world.set_ends(family, server, other)
        other.set(PORT=listener)
        other.run("socks = [connect() for _ in range(10)]")
        # Who gives one back may have another.
        server.run("accepted = [s.accept()[0] for _ in range(15)]\n"
                   "for a in accepted: a.sendall(b'x')")
        client.run("for c in socks: receive(c, 1)")
        client.run("socks.pop().close()")
        server.run("for a in accepted: a.close()")
        client.run("eventually(lambda: not timed(connect)[0] == ENOBUFS)")


@pytest.mark.one_family
def test_circuits_from_outside_count_too(world, server, client, family):
    with world.settings(vms={**SETTINGS["vms"],
                             "vm1": {"max_circuits": 3}}):
        world.set_ends(family, client, world.outside)
        world.outside.set(SERVER=world.host.address(family), PORT=PUBLISHED)
        client.run(f"s = listen({PUBLISHED})")
        world.outside.run("socks = [connect() for _ in range(3)]")
        client.run("accepted = [s.accept()[0] for _ in range(3)]")
        assert world.outside.errno(
            "c = connect(); wait_ready(c, POLLERR | POLLHUP); c.recv(1)")
        assert world.switch_stats(client)["over_quota"] > 0
        world.outside.run("socks[0].sendall(b'x')")
        client.run("assert any(receive(a, 1) for a in accepted "
                   "if ready(a, POLLIN, 1000))")


@pytest.mark.one_family
def test_connects_per_second_are_limited(world, server, client, family,
                                         listener):
    with world.settings(vms={**SETTINGS["vms"],
                             "vm1": {"max_connects_per_second": 4}}):
        before = world.switch_stats(client)["over_quota"]
        numbers = client.run("""
numbers = []
for _ in range(30):
    numbers.append(new_socket().connect_ex((SERVER, PORT)))
numbers
""")
        assert set(numbers) == {0, ENOBUFS}
        assert numbers[:4] == [0] * 4
        refused = numbers.count(ENOBUFS)
        assert world.switch_stats(client)["over_quota"] == before + refused
        # After a second the VM may again.
        client.run("eventually(lambda: timed(connect)[0] != ENOBUFS)")
        world.set_ends(family, server, world.routed)
        world.routed.set(PORT=listener)
        world.routed.run("socks = [connect() for _ in range(20)]")


@pytest.mark.one_family
def test_memory_of_rings_is_limited(world, server, client, listener):
    with world.settings(vms={**SETTINGS["vms"],
                             "vm1": {"max_ring_mib": 8}}):
        numbers = client.run("""
socks, numbers = [], []
for _ in range(20):
    c = new_socket()
    numbers.append(c.connect_ex((SERVER, PORT)))
    socks.append(c)
numbers
""")
        # Two rings of 1 MiB each.
        assert numbers[:4] == [0] * 4
        assert numbers[-1] == ENOBUFS
        stats = world.switch_stats(client)
        assert 8 << 20 <= stats["ring_bytes"] <= 10 << 20
        assert stats["over_quota"] > 0


@pytest.mark.one_family
def test_limits_of_all_vms_are_for_each(world, server, client, family,
                                        listener):
    with world.settings(limits={"max_circuits": 3}):
        for guest in (client, world.routed):
            world.set_ends(family, server, guest)
            guest.set(PORT=listener)
            guest.run("socks = [connect() for _ in range(3)]")
            assert guest.errno("connect()") == ENOBUFS
