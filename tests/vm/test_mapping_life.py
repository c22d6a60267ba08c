# SPDX-License-Identifier: GPL-2.0-or-later
"""How a mapped circuit ends: streams, descriptors, processes.

The helpers in the guests are those of mapped.py. `m` is a mapped end.
"""

import json
from errno import ECONNRESET, EPIPE

import pytest

from mapping import helpers, mapped  # noqa: F401 (fixtures)

pytestmark = pytest.mark.circuit

SIGSEGV = 11

one_family = pytest.mark.one_family


# -- ends of the stream

def test_shutdown_ends_a_mapped_stream(server, client, mapped):
    client.run("m.send(pattern(5000)); c.shutdown(SHUT_WR)")
    assert server.run("read_to_end(a) == pattern(5000)")
    assert client.run("m.get(OWN, FLAGS) & FIN")
    # The other direction is still there.
    server.run("a.sendall(b'reply'); a.close()")
    assert client.run("m.receive(100)") == b"reply"
    client.run("m.unmap()")
    assert client.errno("c.send(b'x', MSG_NOSIGNAL)") == EPIPE
    assert client.run("c.recv(1)") == b""


def test_end_of_the_peer_is_told_while_mapped(server, client, mapped):
    task = client.spawn("wait_ready(c, POLLRDHUP)").block()
    server.run("a.sendall(b'last'); a.shutdown(SHUT_WR)")
    assert task.join() & client.run("POLLRDHUP")
    assert client.run("m.get(PEER, FLAGS)") == 1
    assert client.run("m.take(2)") == b"la"
    client.run("m.put(b'more')")
    assert server.run("receive(a, 4)") == b"more"
    client.run("m.unmap()")
    assert client.run("[c.recv(10), c.recv(10)]") == [b"st", b""]


def test_reset_by_the_peer_is_told_while_mapped(server, client, mapped):
    server.run("a.sendall(b'last')")
    client.run("eventually(lambda: m.fill() == 4)")
    task = client.spawn("wait_ready(c, POLLPRI)").block()
    server.run("linger(a, 1, 0); a.close()")
    wanted = client.run("POLLERR | POLLHUP")
    assert task.join() & wanted == wanted
    assert client.run("m.get(PEER, FLAGS) & RST")
    # As over TCP: what came before the reset can be read.
    assert client.run("m.take(10)") == b"last"
    assert client.run("[error_of(c), error_of(c)]") == [ECONNRESET, 0]
    client.run("m.unmap()")
    assert client.run("c.recv(1)") == b""
    assert client.errno("c.send(b'x', MSG_NOSIGNAL)") == EPIPE


@one_family
def test_indexes_beyond_the_ring_reset_the_circuit_when_given_back(
        world, server, client, mapped):
    world.trouble = ("lies",)
    for guest in {server, client}:
        guest.tell("vmcircuit: .* impossible")
    client.run("m.set(CONS, 5); m.unmap()")
    assert client.run("error_of(c)") == ECONNRESET
    assert server.errno("wait_ready(a, POLLERR); a.recv(1)") == ECONNRESET
    client.run("d = connect(); d.sendall(b'fine')")
    assert server.run("b, _ = s.accept(); receive(b, 4)") == b"fine"


# -- the life of a mapping

def test_closed_socket_lives_until_it_is_unmapped(server, client, mapped):
    client.run("c.close(); m.put(b'after close', ring=False)")
    server.run("eventually(lambda: unread(a) == 11)")
    assert server.run("a.recv(100)") == b"after close"
    assert server.run("ready(a, POLLIN | POLLRDHUP)") == 0
    task = server.spawn("a.recv(1)").block()
    # The rings hold it as well as the indexes do.
    client.run("m.unmap(OWN, PEER, TX)")
    task.assert_blocked()
    client.run("m.unmap()")
    assert task.join() == b""


@one_family
def test_child_does_not_get_the_mapping(server, client, mapped):
    for area in ("OWN", "PEER", "TX", "RX"):
        assert client.run(f"""
in_child(lambda: ctypes.string_at(m.at({area}), 1)[0] * 0)
""") == SIGSEGV
    client.run("m.put(b'mine')")
    assert server.run("receive(a, 4)") == b"mine"


# Bytes of the pattern, each piece counted where the parent sees it.
TRAFFIC = """
data = pattern(1 << 20)
count = mmap.mmap(-1, 8)
def traffic(sock, after=None):
    m, at = Mapped(sock), 0
    while after is None or at < after:
        at += m.put(data[at % len(data):][:3001])
        count[:] = at.to_bytes(8, "little")
        if m.room() < 3001:
            wait_ready(sock, POLLOUT)
counted = lambda: int.from_bytes(count[:], "little")
"""


@one_family
def test_exec_unmaps_and_closes(server, client, helpers, joined):
    client.run(TRAFFIC + """
def replace():
    traffic(c, 100000)
    os.execv("/bin/sleep", ["sleep", "100"])
pid = os.fork()
if pid == 0:
    replace()
c.close()
""")
    assert server.run("""
data = read_to_end(a)
len(data) >= 100000 and data == pattern(1 << 20)[:len(data)]
""")
    # sleep goes on: it was exec() that ended the circuit.
    assert client.run("os.waitpid(pid, os.WNOHANG)") == (0, 0)


@one_family
@pytest.mark.parametrize("is_read", [True, False], ids=["read", "unread"])
def test_killed_program_leaves_what_it_committed(server, client, helpers,
                                                 joined, is_read):
    if not is_read:
        server.run("a.sendall(b'nobody reads this')")
        client.run("eventually(lambda: unread(c) == 17)")
    task = server.spawn("""
parts, end = [], None
while end is None:
    try:
        part = a.recv(65536)
        parts.append(part)
        end = None if part else "end"
    except OSError as error:
        end = error.errno
data = b"".join(parts)
whole = pattern(1 << 20) * (len(data) // (1 << 20) + 1)
len(data), data == whole[:len(data)], end
""")
    counted = client.run(TRAFFIC + """
pid = os.fork()
if pid == 0:
    traffic(c)
c.close()
eventually(lambda: counted() > 3 << 20)
os.kill(pid, SIGKILL)
os.waitpid(pid, 0)
counted()
""")
    size, is_right, end = task.join()
    # It was killed before or after it counted its last piece.
    assert counted <= size <= counted + 3001
    assert is_right
    # As TCP: who had not read all is reset, and may have lost the rest.
    assert end == ("end" if is_read else ECONNRESET)


@one_family
def test_nothing_is_left_of_circuits_that_were_mapped(world, server, client,
                                                      helpers, listener):
    client.run("""
def use(way):
    c = connect()
    m = Mapped(c)
    m.send(pattern(5000))
    if way == 0: m.unmap(); c.close()
    if way == 1: c.close(); m.unmap()
    if way == 2: m.unmap(OWN)
    if way == 3: c.shutdown(SHUT_RDWR)
    if way == 4: os.kill(os.getpid(), SIGKILL)
ways = [in_child(lambda: use(way % 5)) for way in range(25)]
""")
    assert client.run("ways") == [0, 0, 0, 0, 9] * 5
    assert server.run("""
sum(read_to_end(s.accept()[0]) == pattern(5000) for _ in range(25))
""") == 25
    for guest in {server, client}:
        assert guest.run("""
def balance():
    now = stats()
    return now["circuits_connected"] + now["circuits_accepted"] == \
        now["circuits_closed"]
eventually(balance)
open("/proc/net/vmcircuit/circuits").read().count("\\n")
""") == 1       # the header
        status = json.loads(world.tool(guest, "status", "--json"))
        assert status["counters"]["circuits_open"] == 0
