# SPDX-License-Identifier: GPL-2.0-or-later
"""ping in guests without a network card: to each other, to the host, and to the
outside over the uplink.
"""

import re
import subprocess

import pytest

from uplinkworld import DENIED, SETTINGS, out, outside
from world import wait_until

pytestmark = [pytest.mark.circuit, pytest.mark.uplink, pytest.mark.own_proof]

FAMILIES = ["inet", "inet6"]


@pytest.fixture
def pings(world):
    """What pings: ping(guest, words) gives ping's output."""
    # Ping sockets of the host stay a while, see the case of their end.
    world.sockets_before = 1 << 20
    before = packets(world.nat)
    yield ping
    assert packets(world.nat)["packets_sent"] > before["packets_sent"]


def packets(guest):
    return guest.run("stats()")


def ping(guest, *words, code=0, timeout=30):
    done = guest.vm.exec(["ping", *words], timeout=timeout)
    assert done.rc == code, done.out + done.err
    return done.out


def figures(text):
    """How many went, how many came, and how many errors."""
    sent, came = map(int, re.search(
        r"(\d+) packets transmitted, (\d+) received", text).groups())
    errors = re.search(r"\+(\d+) errors", text)
    return sent, came, int(errors[1]) if errors else 0


def prefixed(world, command):
    """A command line in the outside."""
    subprocess.run([*world.cluster.outside.prefix(), "sh", "-c", command],
                   check=True)


def test_a_sibling_answers(world, pings, family):
    sibling = world.routed.address(family)
    text = pings(world.nat, "-c", "3", "-i", "0.2", sibling)
    assert figures(text) == (3, 3, 0)
    assert text.count(f"from {sibling}") == 3
    assert text.count("ttl=64") == 3
    for size in ("0", "1400", "60000"):
        assert figures(pings(world.nat, "-c", "2", "-i", "0.2", "-s", size,
                             sibling)) == (2, 2, 0)


def test_the_outside_answers(world, pings, family):
    for guest in (world.nat, world.routed):
        text = pings(guest, "-c", "3", "-i", "0.2",
                     outside.address(family=family))
        assert figures(text) == (3, 3, 0)
        assert text.count("ttl=64") == 3
    for size in ("0", "1400", "60000"):
        assert figures(pings(world.nat, "-c", "2", "-i", "0.2", "-s", size,
                             outside.address(2, family))) == (2, 2, 0)


def test_a_flood_loses_nothing(world, pings):
    for address in (world.routed.v4, world.routed.v6, outside.address()):
        assert figures(pings(world.nat, "-f", "-q", "-c", "1000",
                             address)) == (1000, 1000, 0)


def test_where_nobody_is_an_error_comes(world, pings):
    for family, reason in (("inet", "Destination Host Unreachable"),
                           ("inet6", "Address unreachable")):
        near = "10.77.0.99" if family == "inet" else "fd77::99"
        for address in (outside.UNREACHABLE[family == "inet6"], near):
            text = pings(world.nat, "-c", "2", "-i", "0.2", address, code=1)
            assert figures(text) == (2, 0, 2), text
            assert reason in text or family == "inet6" and \
                "No route" in text, text
    text = pings(world.nat, "-c", "1", outside.UNKNOWN[0], code=1)
    assert "Destination Net Unreachable" in text


def test_the_policy_decides(world, pings):
    denied = outside.address(DENIED)
    text = pings(world.nat, "-c", "2", "-i", "0.2", denied, code=1)
    assert figures(text) == (2, 0, 2)
    assert text.count("Packet filtered") == 2
    for address, said in ((denied, 'denied: rule "denied"'),
                          (outside.address(), "to 192.0.2.1 over icmp")):
        assert said in world.run_ctl("policy", "test", "vm1", "icmp",
                                     address).stdout
    alias = outside.HOST_FOR_GUESTS[0]
    assert "Packet filtered" in pings(world.nat, "-c", "1", alias, code=1)


def test_the_host_answers_if_a_rule_says_so(world, pings, family):
    rules = {"loopback": out("allow", protocol="icmp",
                             remote=["127.0.0.1", "::1"]),
             **SETTINGS["rules"]}
    alias = outside.HOST_FOR_GUESTS[family == "inet6"]
    with world.policy(rules):
        text = pings(world.nat, "-c", "2", "-i", "0.2", alias)
        assert text.count(f"from {alias}") == 2
        assert figures(pings(world.routed, "-c", "1", alias)) == (1, 1, 0)


def test_ping_sockets_of_the_guest_work_as_raw_ones_do(world, pings):
    """Whichever a system's ping uses."""
    for family in FAMILIES:
        for address in (world.routed.address(family),
                        outside.address(family=family)):
            assert world.nat.run(f"""
open('/proc/sys/net/ipv4/ping_group_range', 'w').write('0 100')
found = []
for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
    is_inet = '.' in {address!r}
    p = socket.socket(socket.AF_INET if is_inet else socket.AF_INET6, kind,
                      1 if is_inet else 58)
    p.settimeout(5)
    p.connect(({address!r}, 0))
    p.send(bytes([8 if is_inet else 128]) + bytes(6) + b'\\x07' + b'data')
    answer = p.recv(1000)
    found.append(answer[-5:])
    p.close()
open('/proc/sys/net/ipv4/ping_group_range', 'w').write('1 0')
found
""") == [b"\x07data"] * 2


def test_a_guest_that_ignores_pings_does(world, pings):
    ignore = "/proc/sys/net/ipv4/icmp_echo_ignore_all"
    world.routed.write(ignore, "1")
    try:
        assert figures(pings(world.nat, "-c", "2", "-i", "0.2", "-W", "1",
                             world.routed.v4, code=1)) == (2, 0, 0)
    finally:
        world.routed.write(ignore, "0")


def test_routers_on_the_way_are_seen(world, pings):
    forwarding = "/proc/sys/net/ipv4/ip_forward"
    net = "203.0.113.64/26"
    prefixed(world, f"echo 1 >{forwarding}; ip route del blackhole {net}; "
             f"ip route add {net} dev eth0")
    try:
        text = pings(world.nat, "-c", "2", "-i", "0.2", "-t", "1",
                     outside.SILENT[0], code=1)
    finally:
        prefixed(world, f"echo 0 >{forwarding}; ip route del {net}; "
                 f"ip route add blackhole {net}")
    assert text.count(f"From {outside.address()} ") == 2
    assert text.count("Time to live exceeded") == 2


def test_a_routed_guest_keeps_its_address(world, pings):
    world.outside.run("""
r = socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)
r.settimeout(5)
""")
    for guest, address in ((world.routed, world.routed.v4),
                           (world.nat, outside.HOST[0])):
        pings(guest, "-c", "1", "-s", "33", outside.address())
        assert world.outside.run("""
while True:
    data, name = r.recvfrom(1000)
    if data[20] == 8: break
len(data), name[0]
""") == (20 + 8 + 33, address)
    pings(world.nat, "-c", "1", outside.address())


def test_without_permission_the_log_says_what_to_do(world, pings):
    world.cluster.outside.permit_ping("1 0")
    try:
        text = pings(world.nat, "-c", "1", outside.address(3), code=1)
    finally:
        world.cluster.outside.permit_ping()
    assert "Packet filtered" in text
    assert "net.ipv4.ping_group_range" in world.switch_log()
    assert figures(pings(world.nat, "-c", "1", outside.address(3))) == \
        (1, 1, 0)


def test_idle_sockets_of_the_host_are_closed(world, pings):
    before = world.nr_sockets()
    pings(world.nat, "-c", "1", outside.address(4))
    assert world.nr_sockets() > before - 20
    wait_until(lambda: "ping" not in world.shell("cat /proc/net/icmp") and
               len(world.shell("cat /proc/net/icmp").splitlines()) == 1,
               "the host has no ping socket", 20)
