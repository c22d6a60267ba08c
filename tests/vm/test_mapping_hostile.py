# SPDX-License-Identifier: GPL-2.0-or-later
"""Mapped circuits when links die, and programs that abuse what they mapped.

What a program can reach is its own circuit: nobody else may notice. The
helpers in the guests are those of mapped.py and scribbler.py.
"""

from errno import EBUSY, ECONNRESET, ENOTCONN

import pytest

from mapping import helpers  # noqa: F401 (fixture)
from mapping import HELPERS, SCRIBBLER, stop_bystanders

pytestmark = [pytest.mark.circuit, pytest.mark.remote, pytest.mark.one_family]



@pytest.fixture
def mapped(server, client, helpers, joined):
    """Both ends are mapped, `m` in the client and `n` in the server, and both
    rings full of what the other has not read."""
    client.run("m = Mapped(c); m.put(pattern(m.tx_bytes))")
    server.run("n = Mapped(a); n.put(pattern(n.tx_bytes))")


@pytest.fixture
def deadly(world):
    """What may be said of a death: guests warn once, the switch informs."""
    for guest in world.guests:
        guest.tell("vmcircuit: (the switch|peer|link)")
    world.tell('vm "vm2"|vm2')
    world.trouble = ("switch_lost",)
    return world


# -- links that die

LOST = """
def lost(m):
    "Wait for the loss of m's circuit and of its pages; give its errno."
    told = wait_ready(m.sock, POLLPRI)
    assert told & (POLLERR | POLLHUP), told
    eventually(m.is_taken)
    return error_of(m.sock)
"""


def assert_taken_away(guest, name, sock):
    assert guest.run(LOST + f"lost({name})") == ECONNRESET
    # No touch raised a signal; writing goes nowhere.
    assert guest.run(f"""
for area in (OWN, TX):
    base, size = {name}.areas[area]
    ctypes.memset(base, 0x55, size)
[errno_of(map_info, {sock}), errno_of(fcntl.ioctl, {sock}, RING_PEER),
 errno_of(map_area, {sock}, PAGE, READ, PEER)]
""") == [ENOTCONN] * 3


def assert_new_circuits_work(server, client):
    """Though the programs still have the old pages."""
    client.run("d = connect(); o = Mapped(d)")
    server.run("s.setsockopt(SOL_SOCKET, SO_RCVTIMEO, timeval(8))\n"
               "b, _ = s.accept(); p = Mapped(b)")
    task = client.spawn("o.send(pattern(2 << 20, 7))")
    assert server.run("p.receive(2 << 20) == pattern(2 << 20, 7)")
    task.join()
    server.run("p.put(b'answer')")
    assert client.run("o.receive(6)") == b"answer"


def test_killed_peer_takes_its_pages_along(deadly, server, client, mapped,
                                           listener):
    client.vm.kill()
    assert_taken_away(server, "n", "a")
    deadly.reboot(client)
    client.set(FAMILY=2, SERVER=server.v4, CLIENT=client.v4, PORT=listener)
    client.run(HELPERS)
    assert_new_circuits_work(server, client)
    # The old areas show nothing of that.
    assert server.run("set(n.whole(TX)) <= {0, 0x55}")


def test_crash_of_the_switch_takes_the_pages(deadly, server, client, mapped):
    deadly.crash()
    for guest, name, sock in ((server, "n", "a"), (client, "m", "c")):
        assert_taken_away(guest, name, sock)
    deadly.wait_attached()
    assert_new_circuits_work(server, client)
    for guest, name in ((server, "n"), (client, "m")):
        assert guest.run(f"set({name}.whole(TX)) <= {{0, 0x55}}")
        guest.run(f"{name}.unmap()")


def test_what_a_program_writes_after_the_loss_does_not_come_from_its_peer(
        deadly, server, client, mapped):
    # Or it would take its own bytes for the peer's flags and data: a FIN, an
    # orderly end where there was none.
    deadly.crash()
    assert server.run(LOST + "lost(n)") == ECONNRESET
    assert server.run("""
for area in (OWN, TX):
    base, size = n.areas[area]
    ctypes.memset(base, 0x55, size)
0x55 in n.whole(PEER), 0x55 in n.whole(RX), n.get(PEER, FLAGS) == RST | GONE
""") == (False, False, True)


def test_program_that_works_in_its_rings_survives_the_loss(
        deadly, server, client, helpers, listener):
    # It touches all areas all the time, and maps and unmaps: whatever page is
    # put in just then, nobody gets SIGBUS, and the guest attaches again.
    work = """
def work(sock):
    "Until the connection breaks; return how it broke."
    rounds = 0
    while not (number := error_of(sock)):
        if rounds % 8 == 0:
            try:
                m = Mapped(sock)
            except OSError as error:
                assert error.errno in (ENOTCONN, EAGAIN), error
                continue
        for area in (TX, OWN):
            ctypes.memset(m.at(area) + 512, 1, 1024)
        m.whole(PEER), m.whole(RX)
        rounds += 1
        if rounds % 8 == 0:
            m.unmap()
    return number
"""
    for guest in (server, client):
        guest.run(work)
    for _ in range(3):
        client.run("c, e = connect(), connect()")
        server.run("a, b = [s.accept()[0] for _ in range(2)]")
        tasks = [guest.spawn(f"work({sock})") for guest, sock in (
            (server, "a"), (server, "b"), (client, "c"), (client, "e"))]
        deadly.crash()
        for task in tasks:
            assert task.join() == ECONNRESET
        deadly.wait_attached()
    assert_new_circuits_work(server, client)


# -- pages of others

MARKER = "bytes.fromhex('c0ffee15600d') * 700"


def test_new_circuits_show_nothing_of_old_ones(server, client, helpers,
                                               listener):
    # Both ends leave their mark in all they can write, committed or not, and
    # look for it in all that the next circuits show them, in turn (rings) and
    # many at once (slots rest before they are used again).
    code = f"""
mark = ({MARKER})[:PAGE]
def look(m):
    "Areas that show a mark, or a ring with anything in it."
    return [area for area in m.areas if mark[:6] in m.whole(area)
            or area in (TX, RX) and not m.is_clear(area)]
def spoil(m):
    for place in range(0, m.tx_bytes, PAGE):
        ctypes.memmove(m.at(TX) + place, mark, PAGE)
    # All but the indexes and flags, in the first three lines.
    ctypes.memmove(m.at(OWN) + 192, mark, PAGE - 192)
"""
    near = client.spawn(code + """
found = []
for count in (1,) * 20 + (8,) * 5:
    socks = [connect() for _ in range(count)]
    ends = [Mapped(c) for c in socks]
    # Nobody may write before both have looked.
    found += [look(m) for m in ends]
    for m in ends:
        m.put(b"x")
    for c, m in zip(socks, ends):
        m.receive(2)
        spoil(m)
        m.unmap()
        c.close()
found
""")
    # The client's byte says that it has looked, the server's end that it has.
    far = server.run(code + """
found = []
for count in (1,) * 20 + (8,) * 5:
    socks = [s.accept()[0] for _ in range(count)]
    for a in socks:
        wait_ready(a, POLLIN)
    for a in socks:
        m = Mapped(a)
        found += [[area for area in look(m) if area != RX]]
        m.take(1)
        spoil(m)
        a.close()
        m.unmap()
found
""", 60)
    assert near.join(60) == [[]] * 60
    assert far == [[]] * 60


def test_connect_again_does_not_give_mapped_pages_away(server, client,
                                                       helpers, listener):
    # connect() on a socket that never heard how its first one ended, and was
    # reset meanwhile, dissolves the connection.
    client.run("""
c, _ = dial()
wait_ready(c, POLLOUT)
m = Mapped(c)
""")
    server.run("a, _ = s.accept(); linger(a, 1, 0); a.close()")
    client.run("wait_ready(c, POLLERR)")
    assert client.run("c.connect_ex((SERVER, PORT))") != 0
    # If it gave its circuit back, others get the pages that it still has.
    client.run(f"""
socks = [connect() for _ in range(20)]
for d in socks:
    d.sendall({MARKER})
""")
    server.run("accepted = [s.accept()[0] for _ in range(20)]\n"
               f"for b in accepted: b.sendall({MARKER})")
    assert client.run(f"""
for d in socks:
    receive(d, len({MARKER}))
[area for area in m.areas if ({MARKER})[:6] in m.whole(area)]
""") == []
    client.run("ctypes.memset(m.at(TX), 0x55, m.tx_bytes)")
    for name in ("c.connect_ex((SERVER, PORT))",
                 'errno_of(system, "connect", c.fileno(), '
                 'struct.pack("H14x", AF_UNSPEC), 16)'):
        assert client.run(name) != 0
    client.run("for d in socks: d.sendall(b'end')")
    assert server.run(f"[receive(b, 4203) == {MARKER} + b'end' "
                      "for b in accepted]") == [True] * 20


def test_mapping_that_a_child_was_let_have_is_the_childs(server, client,
                                                         helpers, joined):
    # MADV_DOFORK undoes what keeps mappings from children: then both have it,
    # and the circuit lives until neither has.
    client.run("""
m = Mapped(c)
for area in m.areas.values():
    system("madvise", *area, 11)
r, w = os.pipe()
pid = os.fork()
if pid == 0:
    os.read(r, 1)
    m.put(b"child", ring=False)
    signal.pause()
m.put(b"parent and ")
m.unmap()
refused = errno_of(c.send, b"x")
c.close()
os.write(w, b"x")
""")
    assert client.run("refused") == EBUSY
    server.run("eventually(lambda: unread(a) == 16)")
    client.run("os.kill(pid, SIGKILL)")
    assert server.run("read_to_end(a)") == b"parent and child"


# -- programs that scribble


@pytest.mark.parametrize("seconds", [
    4, pytest.param(300, marks=pytest.mark.long)])
@pytest.mark.parametrize("victim", ["ordinary", "mapped"])
def test_program_that_scribbles_harms_only_itself(world, server, client,
                                                  helpers, victim, seconds):
    world.trouble = ("lies",)
    for guest in world.guests:
        guest.tell("vmcircuit: .* impossible")
    world.tell('vm "vm[12]"')
    pid, third = world.switch.pid(), world.guests[2]
    third.set(FAMILY=2, SERVER=server.v4, CLIENT=third.v4)
    port = server.run(SCRIBBLER + "t = listen(); port_of(t)")
    client.set(PORT=server.run("s = listen(backlog=1000); port_of(s)"))
    # The bystanders: one of the same two VMs, one of a third.
    tasks = []
    for guest in (client, third):
        guest.run(HELPERS + SCRIBBLER + f"e = connect({port})")
        tasks.append(server.spawn("echo(t.accept()[0])"))
    victims = server.spawn(f"suffer(s, {victim == 'mapped'})")
    bystanders = [guest.spawn(f"traffic(e, stop, {seed})")
                  for seed, guest in enumerate((client, third))]
    attackers = client.spawn(f"attacks({seconds}, {victim!r})")
    spoilt = attackers.join(seconds + 60)
    rounds = stop_bystanders((client, third), bystanders)
    for task in tasks:
        task.join(30)
    # None of them stood still meanwhile.
    assert spoilt > 10 * seconds and min(rounds) > seconds, (spoilt, rounds)
    # The victims' program has come through, and others are served.
    client.run("c = connect(); c.sendall(b'fine')")
    assert client.run("receive(c, 4)") == b"fine"
    client.run("c.close()")
    server.run("s.shutdown(SHUT_RDWR)")
    assert victims.join(30) > seconds / 2
    assert world.switch.pid() == pid
