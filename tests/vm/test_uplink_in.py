# SPDX-License-Identifier: GPL-2.0-or-later
"""The outside reaches guests: published ports, and routed guests' own.

The server is a guest, the client a peer in the outside.
"""

import subprocess
from errno import ECONNREFUSED, ECONNRESET

import pytest

import uplinkworld
from inbound import ends, entry, way  # noqa: F401 (fixtures)
from lab import configuration
from programs import host_part

pytestmark = [pytest.mark.circuit, pytest.mark.uplink]

SOON_S = 1.5
BACKLOG, WAITING = 8, 200


@pytest.fixture
def listener(server, entry):
    """A listener `s` in the guest, at the port that leads there."""
    server.run("s = listen(PORT)")
    return entry


def test_bytes_go_both_ways(server, client, joined):
    task = client.spawn("c.sendall(pattern(3 << 20, 1))")
    assert server.run("receive(a, 3 << 20) == pattern(3 << 20, 1)")
    task.join()
    task = server.spawn("a.sendall(pattern(3 << 20, 2))")
    assert client.run("receive(c, 3 << 20) == pattern(3 << 20, 2)")
    task.join()


def test_guest_sees_who_called(server, client, family, joined):
    name = client.run("c.getsockname()[:2]")
    assert server.run("name[:2]") == name
    assert server.run("a.getpeername()[:2]") == name
    assert server.run("a.getsockname()[:2]") == (server.address(family),
                                                 server.run("PORT"))


def test_listener_at_any_address_is_reached(server, client, listener):
    server.run("s.close(); s = listen(PORT, ANY)")
    client.run("c = connect(); c.sendall(b'x')")
    assert server.run("a, _ = s.accept(); receive(a, 1)") == b"x"


def test_end_comes_after_the_last_byte(server, client, joined):
    task = server.spawn("a.sendall(pattern(1 << 20)); a.close()")
    assert client.run("read_to_end(c) == pattern(1 << 20)")
    task.join()


def test_peer_that_has_closed_its_half_still_receives(server, client,
                                                      joined):
    client.run("c.sendall(b'question'); c.shutdown(SHUT_WR)")
    assert server.run("read_to_end(a)") == b"question"
    task = server.spawn("a.sendall(pattern(1 << 20)); a.close()")
    assert client.run("read_to_end(c) == pattern(1 << 20)")
    task.join()


def test_reset_goes_both_ways(server, client, listener):
    client.run("c = connect(); d = connect()")
    server.run("a, _ = s.accept(); b, _ = s.accept()")
    # Whichever came first.
    client.run("c.sendall(b'c'); d.sendall(b'd')")
    server.run("if receive(a, 1) == b'd': a, b = b, a")
    client.run("linger(c, 1, 0); c.close()")
    assert server.errno("wait_ready(a, POLLERR); a.recv(1)") == ECONNRESET
    server.run("linger(b, 1, 0); b.close()")
    assert client.errno("wait_ready(d, POLLERR); d.recv(1)") == ECONNRESET


def test_many_connections_one_after_the_other(server, client, listener):
    task = server.spawn("""
for _ in range(60):
    a, _ = s.accept()
    a.sendall(read_to_end(a))
    a.close()
""")
    client.run("""
for i in range(60):
    c = connect()
    c.sendall(b"%d" % i)
    c.shutdown(SHUT_WR)
    assert read_to_end(c) == b"%d" % i
    c.close()
""", 40)
    task.join()


def test_routed_guest_may_serve_a_port_of_the_privileged(world, family):
    guest, peer = world.set_ends(family, world.routed, world.outside)
    with world.policy({"web": uplinkworld.into("allow", ports=["80"])}):
        guest.run("s = listen(80)")
        peer.run("c = connect(80); c.sendall(b'x')")
        assert guest.run("a, _ = s.accept(); receive(a, 1)") == b"x"


# -- who is not let in

@pytest.mark.no_circuit
def test_guest_that_does_not_listen_refuses_at_once(world, server, client,
                                                    way):
    client.set(PORT=uplinkworld.PUBLISHED if way == "published" else
               uplinkworld.OPENED)
    number, spent = client.run("timed(connect)")
    assert number == ECONNREFUSED
    assert spent < SOON_S


def test_guest_that_listens_no_more_refuses(server, client, listener,
                                            eventually):
    client.run("c = connect()")
    server.run("a, _ = s.accept(); s.close()")
    eventually(lambda: client.run("timed(connect)[0]") == ECONNREFUSED,
               "new connections are refused")
    # The old one goes on, and so does the port when somebody listens again.
    client.run("c.sendall(b'x')")
    assert server.run("receive(a, 1)") == b"x"
    server.run("s = listen(PORT)")
    client.run("d = connect(); d.sendall(b'y')")
    assert server.run("b, _ = s.accept(); receive(b, 1)") == b"y"


@pytest.mark.no_circuit
def test_port_that_no_rule_opens_is_closed(world, server, client, way):
    port = uplinkworld.OPENED + 10
    server.run(f"s = listen({port})")
    assert client.run(f"timed(connect, {port})[0]") == ECONNREFUSED
    assert world.shell(f"ss -Hltn sport = {port}") == ""


@pytest.mark.no_circuit
def test_guest_behind_the_host_is_not_reached_at_its_own_address(world,
                                                                 family):
    world.set_ends(family, world.nat, world.outside)
    world.nat.run(f"s = listen({uplinkworld.OPENED})")
    world.outside.run("c = new_socket(); c.settimeout(1)")
    with pytest.raises(Exception, match="timed out|refused|unreachable"):
        world.outside.run(f"c.connect((SERVER, {uplinkworld.OPENED}))")


def test_full_backlog_of_a_guest_fills_the_hosts(world, server, client,
                                                 listener, eventually):
    server.run(f"s.listen({BACKLOG})")
    before = world.switch_stats(server)["circuits_now"]
    client.run(f"socks = [connect() for _ in range({WAITING})]\n"
               "for i, c in enumerate(socks): c.sendall(b'%03d' % i)", 40)
    queue = f"ss -Hltn sport = {listener}"
    eventually(lambda: int(world.shell(queue).split()[1]) > 50,
               "connections wait in the host's backlog")
    # The guest's backlog, and 64 that the switch has offered beyond it.
    assert world.switch_stats(server)["circuits_now"] - before <= \
        BACKLOG + 66
    assert server.run(f"""
accepted = [s.accept()[0] for _ in range({WAITING})]
sorted(int(receive(a, 3)) for a in accepted) == list(range({WAITING}))
""", 60)
    assert int(world.shell(queue).split()[1]) == 0


# -- the policy changes

@pytest.mark.parametrize("how", ["ctl", "signal"])
def test_reload_closes_and_opens_but_leaves_what_is_open(
        world, server, client, listener, way, how, eventually):
    client.run("c = connect()")
    server.run("a, _ = s.accept()")
    rules = {"nobody": uplinkworld.into("deny"),
             **uplinkworld.SETTINGS["rules"]}

    def is_closed():
        return client.run("""
try:
    d = connect()
    wait_ready(d, POLLIN)
    gone = error_of(d) != 0 or d.recv(1) == b""
except OSError:
    gone = True
gone
""")

    with world.policy(rules, world.switch.reload if how == "signal" else
                      None):
        eventually(is_closed, "nobody gets in any more")
        client.run("c.sendall(b'still here')")
        assert server.run("receive(a, 10)") == b"still here"
        server.run("a.sendall(b'so am I')")
        assert client.run("receive(c, 7)") == b"so am I"
    client.run("e = connect(); e.sendall(b'x')")
    assert server.run("b, _ = s.accept(); receive(b, 1)") == b"x"


def test_rule_may_say_who_is_let_in(world, server, client, listener, family,
                                    way):
    friend = uplinkworld.both(1)[family == "inet6"]
    rules = {"a friend": uplinkworld.into("allow", remote=[friend]),
             "nobody else": uplinkworld.into("deny")}
    other = uplinkworld.both(3)[family == "inet6"]
    with world.policy(rules):
        client.run(f"""
c, d = new_socket(), new_socket()
c.bind(({friend!r}, 0))
c.connect((SERVER, PORT))
c.sendall(b"friend")
d.bind(({other!r}, 0))
""")
        assert client.run("timed(lambda: (d.connect((SERVER, PORT)), "
                          "d.recv(1)))[0]") in (ECONNREFUSED, ECONNRESET)
        assert server.run("a, _ = s.accept(); receive(a, 6)") == b"friend"


# -- the configuration

@pytest.mark.no_circuit
def test_published_port_that_is_taken_stops_the_switch(world, family,
                                                       tmp_path):
    world.set_ends(family, world.nat, world.outside)
    world.host.set(SERVER=world.host.address(family))
    address = host_part(world.host.address(family))
    port = world.host.run("s = listen(); port_of(s)")
    config = tmp_path / "switch.conf"
    lines = configuration.Configuration()
    lines.set({"control": tmp_path / "control"})
    lines.section("uplink", None, {})
    lines.section("vm", "one", {"socket": tmp_path / "one.sock",
                                "addresses": ["10.1.0.1/24", "fd01::1/64"]})
    lines.set({"publish": [f"{address}:{port} -> one:80"]})
    config.write_text(lines.text())
    done = subprocess.run(
        [*world.cluster.outside.host_prefix(), world.switch.program,
         "--config", config], capture_output=True, text=True, timeout=10)
    assert done.returncode == 1
    assert f"{address}:{port}" in done.stderr
    assert "use" in done.stderr
