# SPDX-License-Identifier: GPL-2.0-or-later
"""A guest that lies to the uplink, and an outside that misbehaves.

What a hostile kernel could write into its segment is written there by the
case, see LabWorld.segment(). Only the liar's circuit may suffer.
"""

import random
import time
from errno import ECONNRESET, EPIPE

import pytest

import uplinkworld

pytestmark = [pytest.mark.circuit, pytest.mark.uplink, pytest.mark.one_family]

SENT = 4321
RING_MAX = 4 << 20
# In a control page, see proto/ring.h.
OPTIONS, NR_OPTIONS = 192, 7


@pytest.fixture
def ends(world, family):
    return world.set_ends(family, world.outside, world.nat)


@pytest.fixture
def new_segments(world):
    """Afterwards: the liar's own bells are spoilt for all its circuits."""
    yield
    for guest in world.guests:
        guest.tell("vmcircuit: the switch")
    world.trouble = ("switch_lost",)
    world.restart()


@pytest.fixture
def bystander(world, server):
    """A circuit of the other guest; it must have lost nothing afterwards."""
    pid, other = world.switch.pid(), world.routed
    other.set(FAMILY=2, SERVER=server.v4,
              PORT=server.run("t = listen(); port_of(t)"))
    other.run("e = connect()")
    server.run("f, _ = t.accept()")
    echo = server.spawn("while part := f.recv(65536): f.sendall(part)")
    yield other
    assert other.run("""
bad = 0
for i in range(20):
    e.sendall(pattern(3000, i))
    bad += receive(e, 3000) != pattern(3000, i)
e.shutdown(SHUT_WR)
bad
""") == 0
    echo.join()
    assert world.switch.pid() == pid


@pytest.fixture
def liar(world, server, client, bystander, joined):
    """The guest's segment, and the slot; all that was sent is read."""
    client.tell("vmcircuit: peer .* impossible")
    world.tell('vm "vm1"')
    client.run(f"c.sendall(bytes({SENT}))")
    assert server.run(f"len(receive(a, {SENT}))") == SENT
    port = client.run("port_of(c)")
    slot = next(line["slot"] for line in world.ask("show", client.name)
                if line["type"] == "circuit" and
                line["local"].endswith(f":{port}"))
    segment = world.segment(slot, SENT)
    yield segment, slot
    segment.close()


def assert_caught(world, server, client, lies):
    assert server.errno("wait_ready(a, POLLERR); a.recv(1)") == ECONNRESET
    assert world.switch_stats(client)["lies"] > lies
    assert client.run("sent_until_error(c)") in (ECONNRESET, EPIPE)
    client.run("d = connect(); d.sendall(b'fine')")
    assert server.run("g, _ = s.accept(); receive(g, 4)") == b"fine"


@pytest.mark.parametrize("prod", [
    SENT - 1, 0, SENT + RING_MAX + 1, SENT + (1 << 31), 0xffffffff],
    ids=["behind", "zero", "overfull", "far", "maximum"])
def test_impossible_producer_index_resets_its_circuit(world, server, client,
                                                      liar, prod):
    segment, slot = liar
    lies = world.switch_stats(client)["lies"]
    segment.put(segment.ctl(slot, segment.PROD), prod)
    server.run("a.sendall(b'look')")    # makes the switch look
    assert_caught(world, server, client, lies)


@pytest.mark.parametrize("cons", [100, 1 << 31, 0 - RING_MAX - 1],
                         ids=["ahead", "far", "behind"])
def test_impossible_consumer_index_resets_its_circuit(world, server, client,
                                                      liar, cons):
    segment, slot = liar
    lies = world.switch_stats(client)["lies"]
    segment.put(segment.ctl(slot, segment.CONS), cons)
    server.run("a.sendall(b'look')")
    assert_caught(world, server, client, lies)


@pytest.mark.parametrize("flags", [0xfffffff8, 0x80000000],
                         ids=["all", "top"])
def test_unknown_flags_do_no_harm(server, client, liar, flags):
    segment, slot = liar
    segment.put(segment.ctl(slot, segment.FLAGS), flags)
    server.run("a.sendall(b'look')")
    assert client.run("receive(c, 4)") == b"look"
    client.run("d = connect(); d.sendall(b'fine')")
    assert server.run("g, _ = s.accept(); receive(g, 4)") == b"fine"


@pytest.mark.parametrize("value", [0xffffffff, 0x80000000, 0x7fffffff],
                         ids=hex)
def test_absurd_options_are_bounded(world, server, client, listener, liar,
                                    value):
    segment, slot = liar
    place = segment.ctl(slot, OPTIONS)
    for i in reversed(range(NR_OPTIONS)):       # the serial number comes last
        segment.put(place + 4 * i, value)
    server.run("a.sendall(b'look')")
    client.run("receive(c, 4); c.sendall(b'still here')")
    assert server.run("receive(a, 10)") == b"still here"
    told = world.options(listener, ["TCP_KEEPIDLE", "TCP_KEEPINTVL",
                                    "TCP_KEEPCNT", "TCP_USER_TIMEOUT"])
    assert all(number > 0 for number in told.values())


def test_indexes_that_change_all_the_time_do_no_harm(world, server, client,
                                                     liar):
    segment, slot = liar
    task = server.spawn("""
try:
    while True:
        a.sendall(bytes(5000))
except OSError:
    pass
""")
    drain = client.spawn("""
try:
    while c.recv(65536): pass
except OSError:
    pass
""")
    chance, end = random.Random(1), time.monotonic() + 1
    while time.monotonic() < end:
        field = chance.choice((segment.PROD, segment.FLAGS, segment.CONS,
                               segment.DATA_WAIT, segment.SPACE_WAIT,
                               OPTIONS, OPTIONS + 24))
        segment.put(segment.ctl(slot, field), chance.getrandbits(32))
    segment.put(segment.ctl(slot, segment.FLAGS), 2)
    # Whoever was not reset ends by this.
    client.run("timed(c.shutdown, SHUT_RDWR)")
    server.run("timed(a.shutdown, SHUT_RDWR)")
    drain.join()
    task.join()


def test_bells_for_nothing_do_no_harm(world, new_segments, server, client,
                                      liar):
    segment, slot = liar
    for i in range(2048 // 4):
        segment.put(segment.PENDING + 4 * i, 0xffffffff)
    client.run("c.sendall(b'x')")
    server.run("a.sendall(b'look')")
    client.run("linger(c, 1, 0); c.close()")


def test_peers_that_connect_and_vanish_leave_nothing(world, server, client,
                                                     eventually):
    port = uplinkworld.PUBLISHED
    client.run(f"s = listen({port}, CLIENT, backlog=16)")
    sockets = world.nr_sockets()
    server.run(f"""
for i in range(300):
    c = new_socket()
    c.connect(({world.host.v4!r}, {port}))
    if i % 2:
        linger(c, 1, 0)
    if i % 3:
        c.send(b"x")
    c.close()
""", 40)
    client.run("""
s.settimeout(1)
try:
    while True:
        s.accept()[0].close()
except OSError:
    pass
""", 60)
    eventually(lambda: world.nr_sockets() <= sockets,
               "the switch has closed them")
    server.run(f"c = connect({port}, {world.host.v4!r}); c.sendall(b'y')")
    assert client.run("s.settimeout(None); receive(s.accept()[0], 1)") == b"y"


def test_flood_of_connections_to_a_deaf_guest_stays_outside(world, server,
                                                            client):
    port = uplinkworld.PUBLISHED
    client.run(f"s = listen({port}, CLIENT, backlog=4)")
    sockets = world.nr_sockets()
    server.run("import resource; resource.setrlimit("
               "resource.RLIMIT_NOFILE, (8192, 8192))")
    server.run(f"""
socks = []
for _ in range(3000):
    c = new_socket()
    c.setblocking(False)
    c.connect_ex(({world.host.v4!r}, {port}))
    socks.append(c)
""", 40)
    # Those that the guest was offered; the rest waits in the host's backlog.
    assert world.nr_sockets() - sockets < 4 + 70
