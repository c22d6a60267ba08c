# SPDX-License-Identifier: GPL-2.0-or-later
"""Thousands of connections over the uplink at once, and what stays of them."""

import os

import pytest

from uplinkworld import PUBLISHED

pytestmark = [pytest.mark.circuit, pytest.mark.uplink, pytest.mark.one_family]

# What both ends know: connection number i carries these bytes there and back.
BYTES = """
import resource
limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
big = pattern(1 << 20)
SIZE = 5000

def share(i):
    return big[i * 97:i * 97 + SIZE]
"""
# One epoll loop each; connection i says its number, then its share.
PROGRAMS = BYTES + """
def echo(s, count, limit_s=100):
    "Serve count connections at once; return how many brought the right bytes."
    p, socks, got, good = select.epoll(), {}, {}, 0
    s.setblocking(False)
    p.register(s, EPOLLIN)
    held, end = [], time.monotonic() + limit_s
    while len(held) < count:
        if time.monotonic() > end:
            raise TimeoutError(f"{len(socks)} accepted, {len(held)} done")
        for fd, _ in p.poll(1):
            if fd == s.fileno():
                try:
                    while True:
                        a, _ = s.accept()
                        a.setblocking(False)
                        socks[a.fileno()], got[a.fileno()] = a, bytearray()
                        p.register(a, EPOLLIN)
                except BlockingIOError:
                    continue
            got[fd] += socks[fd].recv(1 << 16)
            if len(got[fd]) == SIZE + 2:
                number = int.from_bytes(got[fd][:2], "big")
                good += got[fd][2:] == share(number)
                p.unregister(fd)
                held.append(fd)
    # All are open now: answer each.
    for fd in held:
        socks[fd].setblocking(True)
        socks[fd].sendall(got[fd][2:][::-1])
        socks[fd].close()
    return good

def dial_all(count, limit_s=100):
    "Open count connections at once; return how many carried all right."
    p, socks, got, good = select.epoll(), {}, {}, 0
    end = time.monotonic() + limit_s
    for i in range(count):
        c, number = dial()
        if number not in (0, EINPROGRESS):
            raise OSError(number, f"connect number {i}")
        socks[c.fileno()], got[c.fileno()] = (c, i), None
        p.register(c, EPOLLOUT)
        if i % 64 == 63:
            good += turn(p, socks, got, 0)
    while socks:
        if time.monotonic() > end:
            raise TimeoutError(f"{len(socks)} of {count} are open still")
        good += turn(p, socks, got, 1)
    return good

def turn(p, socks, got, wait_s):
    good = 0
    for fd, events in p.poll(wait_s):
        c, i = socks[fd]
        if got[fd] is None:
            number = error_of(c)
            if number:
                raise OSError(number, f"connection {i}")
            c.setblocking(True)
            c.sendall(i.to_bytes(2, "big") + share(i))
            c.setblocking(False)
            got[fd] = bytearray()
            p.modify(fd, EPOLLIN)
            continue
        part = c.recv(1 << 16)
        got[fd] += part
        if not part:
            good += got[fd] == share(i)[::-1]
            p.unregister(fd)
            socks.pop(fd)[0].close()
    return good
"""


def used(world):
    """Descriptors, MiB of private memory, MiB of the segments' pages."""
    pid = world.switch.pid()
    with open(f"/proc/{pid}/status") as file:
        fields = dict(line.split(":", 1) for line in file)
    blocks = 0
    for number, what in world.descriptors():
        if "vmcircuit-segment" in what:
            blocks += os.stat(f"/proc/{pid}/fd/{number}").st_blocks
    return (len(world.descriptors()), int(fields["RssAnon"].split()[0]) >> 10,
            blocks >> 11)


def load(world, family, count):
    """count connections each way, all open at once."""
    guest, peer = world.set_ends(family, world.nat, world.outside)
    for end in (guest, peer):
        end.run(PROGRAMS, 40)
    there = peer.run("s = listen(host=CLIENT, backlog=4096); port_of(s)")
    guest.run(f"s = listen({PUBLISHED}, SERVER, backlog=4096)")
    peer.set(SERVER=world.host.address(family), PORT=PUBLISHED)
    guest.set(SERVER=peer.address(family), PORT=there)
    echoes = [end.spawn(f"echo(s, {count})") for end in (guest, peer)]
    dials = [end.spawn(f"dial_all({count})") for end in (guest, peer)]
    for task in (*dials, *echoes):
        assert task.join(120) == count
    for end in (guest, peer):
        end.run("s.close()")


def test_thousands_of_connections_in_both_directions_at_once(world, family,
                                                            eventually):
    count = 2000
    load(world, family, 20)     # what is made once
    before = used(world)
    stats = world.switch_stats(world.nat)
    load(world, family, count)
    after = world.switch_stats(world.nat)
    assert after["relays_out"] - stats["relays_out"] == count
    assert after["relays_in"] - stats["relays_in"] == count
    # Of the segments, a slot keeps its two control pages, not its rings.
    pages_mib = 2 * count * 2 * 4096 >> 20

    def is_back():
        files, private, segments = used(world)
        # The allocator keeps some; 4,000 relays are more than this.
        return files <= before[0] and private <= before[1] + 4 and \
            segments <= before[2] + pages_mib + 1
    try:
        eventually(is_back, "descriptors and memory are back", 10)
    except AssertionError as error:
        raise AssertionError(f"{error}: {before} before, {used(world)} now")


def test_hundreds_of_circuits_at_once_do_not_disturb_one(world, family):
    guest, peer = world.set_ends(family, world.routed, world.outside)
    guest.set(SERVER=peer.address(family),
              PORT=peer.run("s = listen(host=CLIENT); port_of(s)"))
    guest.run("c = connect()")
    peer.run("a, _ = s.accept()")
    task = guest.spawn("""
bad = 0
for i in range(300):
    c.sendall(pattern(1000, i))
    bad += receive(c, 1000) != pattern(1000, i)
c.shutdown(SHUT_WR)
bad
""")
    echo = peer.spawn("while part := a.recv(65536): a.sendall(part)")
    other = world.nat
    other.set(FAMILY=2, SERVER=peer.address(family), PORT=peer.run(
        "t = listen(host=CLIENT); port_of(t)"))
    churn = peer.spawn("for _ in range(300): t.accept()[0].close()")
    other.run("for _ in range(300): d = connect(); d.recv(1); d.close()", 60)
    assert task.join(60) == 0
    for one in (churn, echo):
        one.join(20)


def test_hundreds_of_resets_leave_nothing(world, family, eventually):
    guest, peer = world.set_ends(family, world.nat, world.outside)
    guest.set(SERVER=peer.address(family),
              PORT=peer.run("s = listen(host=CLIENT); port_of(s)"))
    before = len(world.descriptors())
    churn = peer.spawn("""
for i in range(300):
    a, _ = s.accept()
    if i % 2:
        linger(a, 1, 0)
    a.close()
""")
    guest.run("""
for i in range(300):
    c = new_socket()
    # The peer's reset may come before connect() has told of the connection.
    assert c.connect_ex((SERVER, PORT)) in (0, ECONNRESET)
    if i % 3 == 0:
        linger(c, 1, 0)
    c.close()
""", 60)
    churn.join(20)
    eventually(lambda: len(world.descriptors()) <= before + 4,
               "the switch's descriptors are back")
