# SPDX-License-Identifier: GPL-2.0-or-later
"""A circuit that its program has mapped: the calls, and the bytes.

The helpers in the guests are those of mapped.py. `m` is a mapped end.
"""

from errno import (EACCES, EBUSY, EFAULT, EINVAL, ENODEV, ENOTCONN, ENOTTY,
                   EOVERFLOW)

import pytest

from mapping import helpers, mapped  # noqa: F401 (fixtures)

pytestmark = pytest.mark.circuit

SIGSEGV = 11

one_family = pytest.mark.one_family


@pytest.fixture(params=["dialled", "accepted"])
def sides(request, server, client, helpers, joined):
    """(guest, name) of the end to map, and of the ordinary one."""
    ends = [(client, "c"), (server, "a")]
    return ends if request.param == "dialled" else ends[::-1]


# -- the calls

@one_family
def test_sizes_of_both_rings_are_told(server, client, helpers, listener):
    client.run("""
c = new_socket()
c.setsockopt(SOL_SOCKET, SO_SNDBUF, 20000)
c.setsockopt(SOL_SOCKET, SO_RCVBUF, 150000)
c.connect((SERVER, PORT))
""")
    tx, rx = client.run("map_info(c)")
    server.run("a, _ = s.accept()")
    assert server.run("map_info(a)") == (rx, tx)
    for size in (tx, rx):
        assert 16 << 10 <= size <= 4 << 20 and not size & size - 1
    # Two sizes, or the case could not tell one ring from the other.
    assert tx < rx
    task = client.spawn("m = Mapped(c); m.send(pattern(3 << 20))")
    assert server.run("n = Mapped(a); n.receive(3 << 20) == "
                      "pattern(3 << 20)")
    task.join()


def proc_row(guest, sock):
    """What /proc says of a socket's circuit."""
    return guest.run(f"""
next(line for line in open("/proc/net/vmcircuit/circuits")
     if line.split()[0].endswith(f":{{port_of({sock})}}")).split()
""")


@one_family
def test_kernel_copies_nothing_of_a_mapped_circuit(server, client, helpers,
                                                   joined):
    client.run("c.sendall(b'copied')")
    assert server.run("receive(a, 6)") == b"copied"
    assert proc_row(client, "c")[8:] == ["6", "0"]
    task = client.spawn("m = Mapped(c); m.send(pattern(3 << 20)); "
                        "m.receive(1 << 20) == pattern(1 << 20)")
    assert server.run("n = Mapped(a); n.receive(3 << 20) == "
                      "pattern(3 << 20)")
    server.run("n.send(pattern(1 << 20))")
    assert task.join()
    assert proc_row(client, "c")[8:] == ["6", "0"]
    assert proc_row(server, "a")[8:] == ["0", "6"]


@one_family
def test_default_rings_are_as_large_as_proc_says(client, helpers, joined):
    tx, rx = client.run("map_info(c)")
    row = proc_row(client, "c")
    assert row[6].endswith(f"/{rx}") and row[7].endswith(f"/{tx}")


@one_family
@pytest.mark.no_circuit
def test_socket_without_connection_says_so(server, helpers):
    assert server.run("""
s, d = listen(), new_socket()
[errno_of(call, sock, *rest) for sock in (s, d)
 for call, *rest in ((map_info,), (fcntl.ioctl, RING_PEER),
                     (map_area, PAGE, READ, PEER))]
""") == [ENOTCONN] * 6


@pytest.mark.remote
@pytest.mark.fallback
def test_fallback_connection_cannot_be_mapped(server, helpers):
    # accept() gives the kernel's own TCP socket, connect() one of ours.
    assert server.run("""
s, a, c = pair_of_sockets()
[errno_of(map_info, c), errno_of(fcntl.ioctl, c, RING_PEER),
 errno_of(map_area, c, PAGE, READ, PEER), errno_of(map_info, a),
 errno_of(fcntl.ioctl, a, RING_PEER)]
""") == [ENOTTY, ENOTTY, ENODEV, ENOTTY, ENOTTY]


@one_family
@pytest.mark.no_circuit
def test_other_sockets_do_not_know_the_requests(server, helpers):
    assert server.run("""
others = [socket.socket(AF_INET, SOCK_DGRAM), socket.socket(AF_UNIX)]
[errno_of(fcntl.ioctl, sock, request, bytes(8))
 for sock in others for request in (MAP_INFO, RING_PEER)]
""") == [ENOTTY] * 4


# What is no whole area: (length, offset), of a ring of b bytes.
PARTS = """
b = map_info(c)[0]
parts = [(PAGE, TX), (b, TX), (2 * b - PAGE, TX), (2 * b + PAGE, TX),
         (PAGE, TX + PAGE), (2 * b, TX + b), (2 * b - PAGE, TX + PAGE),
         (2 * PAGE, OWN), (PAGE, OWN + PAGE), (2 * b, PEER), (b, RX),
         (2 * PAGE, PEER)]
# And beyond the last: nothing there is another circuit's.
beyond = [(size, area << 32) for size in (PAGE, 2 * b)
          for area in (4, 5, 7, 8, 1 << 10, 1 << 20, (1 << 30) + 2)]
"""


@one_family
def test_only_whole_areas_can_be_mapped(server, client, helpers, joined):
    assert set(client.run(PARTS + """
[errno_of(map_area, c, size, READ, offset) for size, offset in parts]
""")) == {EINVAL}
    assert set(client.run("""
beyond += [(PAGE, -PAGE), (PAGE, -RX)]
[errno_of(map_area, c, size, READ, offset) for size, offset in beyond]
""")) <= {EINVAL, EOVERFLOW}
    # What failed has left nothing behind.
    client.run("c.sendall(b'as ever')")
    assert server.run("receive(a, 7)") == b"as ever"


@one_family
def test_private_mappings_are_refused(client, helpers, joined):
    assert client.run("""
[errno_of(map_area, c, size, READ, area, mmap.MAP_PRIVATE)
 for size, area in ((PAGE, OWN), (PAGE, PEER), (2 * map_info(c)[0], TX),
                    (2 * map_info(c)[1], RX))]
""") == [EINVAL] * 4


@one_family
def test_what_the_peer_writes_cannot_be_mapped_to_write(client, helpers,
                                                        joined):
    assert client.run("""
[errno_of(map_area, c, size, prot, area) for prot in (WRITE, READ | WRITE)
 for size, area in ((PAGE, PEER), (2 * map_info(c)[1], RX))]
""") == [EACCES] * 4


@one_family
def test_what_the_peer_writes_cannot_be_made_writable(client, mapped):
    assert client.run("""
[errno_of(system, "mprotect", *m.areas[area], READ | WRITE)
 for area in (PEER, RX, OWN, TX)]
""") == [EACCES, EACCES, 0, 0]
    # And a program that stores there nevertheless is killed.
    for area in ("PEER", "RX"):
        assert client.run(f"""
d = connect()
def store():
    ctypes.memset(Mapped(d).at({area}), 1, 1)
in_child(store)
""") == SIGSEGV


@one_family
def test_mapping_cannot_grow_or_become_another_area(client, mapped):
    # mremap() and remap_file_pages() by number; glibc hides the second.
    assert client.run("""
b = m.tx_bytes
def remap(size):
    system("syscall", 25, ctypes.c_void_p(m.at(TX)), ctypes.c_size_t(2 * b),
           ctypes.c_size_t(size), 1, None)
def other_area(area):
    system("syscall", 216, ctypes.c_void_p(m.at(TX)), ctypes.c_size_t(2 * b),
           ctypes.c_size_t(0), ctypes.c_size_t(area // PAGE), 0)
[errno_of(remap, 4 * b), errno_of(other_area, RX),
 errno_of(other_area, TX + PAGE), errno_of(other_area, 4 << 32)]
""") == [EFAULT, EACCES, EINVAL, EINVAL]


@one_family
def test_rings_are_not_to_be_executed(client, mapped):
    assert client.run("""
EXEC = mmap.PROT_EXEC
[errno_of(map_area, c, PAGE, READ | EXEC, PEER)] + [
    errno_of(system, "mprotect", *m.areas[area], READ | EXEC)
    for area in m.areas]
""") == [EACCES] * 5


# -- the bytes

SIZE = (3 << 20) + 12345        # several times the default ring


def test_mapped_end_sends_to_an_ordinary_one(sides):
    (near, sock), (far, other) = sides
    near.run(f"m = Mapped({sock})")
    task = near.spawn(f"m.send(pattern({SIZE}), 70001); "
                      f"{sock}.shutdown(SHUT_WR)")
    assert far.run(f"digest(read_to_end({other}))") == \
        near.run(f"digest(pattern({SIZE}))")
    task.join()


def test_mapped_end_receives_from_an_ordinary_one(sides):
    (near, sock), (far, other) = sides
    near.run(f"m = Mapped({sock})")
    task = far.spawn(f"{other}.sendall(pattern({SIZE})); "
                     f"{other}.shutdown(SHUT_WR)")
    assert near.run("digest(m.receive(1 << 30, 70001))") == \
        near.run(f"digest(pattern({SIZE}))")
    task.join()


def test_both_ends_mapped_stream_in_both_directions(server, client, mapped):
    server.run("n = Mapped(a)")
    tasks = [client.spawn(f"m.send(pattern({SIZE}, 1))"),
             server.spawn(f"n.send(pattern({SIZE}, 2))")]
    reader = server.spawn(f"digest(n.receive({SIZE}))")
    assert client.run(f"digest(m.receive({SIZE}))") == \
        client.run(f"digest(pattern({SIZE}, 2))")
    assert reader.join() == client.run(f"digest(pattern({SIZE}, 1))")
    for task in tasks:
        task.join()


@one_family
def test_ring_goes_on_beyond_its_end(server, client, mapped):
    server.run("n = Mapped(a)")
    # Both rings stand a little before their end.
    client.run("d = pattern(m.tx_bytes - 100); m.send(d)")
    assert server.run("n.receive(n.rx_bytes - 100) == "
                      "pattern(n.rx_bytes - 100)")
    client.run("m.put(pattern(10000, 3))")
    assert server.run("wait_ready(a, POLLIN); n.look(20000) == "
                      "pattern(10000, 3)")
    for guest, name, area in ((client, "m", "TX"), (server, "n", "RX")):
        assert guest.run(f"""
base, size = {name}.areas[{area}]
ctypes.string_at(base, size // 2) == \
    ctypes.string_at(base + size // 2, size // 2)
""")
    assert server.run("n.take(20000) == pattern(10000, 3)")


@one_family
def test_ring_can_be_filled_to_the_last_byte(server, client, mapped):
    assert client.run("""
m.put(pattern(m.tx_bytes)) == m.tx_bytes, m.put(b"x"), ready(c, POLLOUT)
""") == (True, 0, 0)
    assert server.run("""
size = unread(a)
size, receive(a, size) == pattern(size)
""") == (client.run("m.tx_bytes"), True)
    assert client.run("wait_ready(c, POLLOUT); m.room()") == \
        client.run("m.tx_bytes")


@one_family
@pytest.mark.parametrize("how", ["recv", "poll", "epoll"])
def test_bell_wakes_an_ordinary_reader(server, client, mapped, how):
    task = server.spawn({
        "recv": "a.recv(10)",
        "poll": "wait_ready(a, POLLIN); a.recv(10)",
        "epoll": "p = select.epoll(); p.register(a, EPOLLIN | EPOLLET); "
                 "p.poll(8); a.recv(10)"}[how]).block()
    client.run("m.put(b'wake up')")
    assert task.join() == b"wake up"


@one_family
@pytest.mark.parametrize("how", ["poll", "epoll"])
def test_send_wakes_a_mapped_reader(server, client, mapped, how):
    client.run("p = select.epoll(); p.register(c, EPOLLIN | EPOLLET)")
    for word in (b"first", b"second"):
        # Edge-triggered as well: each arrival is told, though m takes none.
        task = client.spawn("p.poll(8)" if how == "epoll" else
                            "m.take(100); wait_ready(c, POLLIN)").block()
        server.run(f"a.sendall({word!r})")
        assert task.join()
    assert client.run("m.look(100)") == \
        (b"firstsecond" if how == "epoll" else b"second")


@one_family
def test_mapped_reader_that_makes_room_wakes_an_ordinary_writer(
        server, client, mapped):
    sent = server.run("fill_stably(a)")
    task = server.spawn("a.sendall(pattern(1000, 5))").block()
    assert client.run(f"len(m.receive({sent}))") == sent
    assert client.run("m.receive(1000) == pattern(1000, 5)")
    task.join()


@one_family
@pytest.mark.parametrize("how", ["poll", "epoll"])
def test_ordinary_reader_that_makes_room_wakes_a_mapped_writer(
        server, client, mapped, how):
    client.run("m.put(bytes(m.tx_bytes)); p = select.epoll(); "
               "p.register(c, EPOLLOUT | EPOLLET); p.poll(0)")
    task = client.spawn("p.poll(8)" if how == "epoll" else
                        "wait_ready(c, POLLOUT)").block()
    server.run("receive(a, map_info(a)[1])")
    assert task.join()
    assert client.run("m.room() == m.tx_bytes")


@one_family
def test_counts_of_bytes_follow_the_program(server, client, mapped):
    count = "[unread({0}), ioctl_int({0}, 0x5411)]"     # SIOCINQ, SIOCOUTQ
    client.run("m.put(bytes(1000))")
    server.run("a.sendall(bytes(300)); eventually(lambda: unread(a) == 1000)")
    assert client.run(count.format("c")) == [300, 1000]
    assert server.run(count.format("a")) == [1000, 300]
    client.run("m.take(100)")
    server.run("a.recv(10)")
    assert client.run(count.format("c")) == [200, 990]
    assert server.run(count.format("a")) == [990, 200]


@one_family
def test_calls_that_move_bytes_are_busy_meanwhile(server, client, mapped):
    server.run("a.sendall(b'still here')")
    client.run("eventually(lambda: unread(c) == 10)")
    assert client.run("""
r, w = os.pipe()
os.write(w, b"x")
with open("/tmp/source", "wb") as out:
    out.write(b"y")
source = open("/tmp/source", "rb")
[errno_of(*call) for call in (
    (c.send, b"x"), (c.send, b"x", MSG_DONTWAIT), (os.write, c.fileno(), b"x"),
    (os.writev, c.fileno(), [b"x", b"y"]), (c.recv, 10),
    (c.recv, 10, MSG_PEEK),
    (c.recv, 10, MSG_DONTWAIT), (os.read, c.fileno(), 10),
    (c.recv, 10, MSG_WAITALL), (os.splice, c.fileno(), w, 10),
    (os.splice, r, c.fileno(), 1),
    (os.sendfile, c.fileno(), source.fileno(), 0, 1),
    (system, "connect", c.fileno(), struct.pack("H14x", AF_UNSPEC), 16))]
""") == [EBUSY] * 13
    assert client.run("m.take(100)") == b"still here"
    client.run("m.unmap(); c.sendall(b'z')")
    # Of all that was refused not a byte came.
    assert server.run("a.recv(10)") == b"z"


@one_family
def test_reader_that_sleeps_in_the_kernel_gives_way(server, client, helpers,
                                                    joined):
    task = client.spawn("c.recv(10)").block()
    client.run("m = Mapped(c)")
    server.run("a.sendall(b'for m')")
    assert task.errno() == EBUSY
    assert client.run("m.take(10)") == b"for m"


@one_family
def test_rings_without_the_indexes_leave_send_and_receive_alone(
        server, client, mapped):
    client.run("m.unmap(OWN); c.sendall(b'out')")
    server.run("a.sendall(b'in')")
    assert server.run("receive(a, 3)") == b"out"
    assert client.run("wait_ready(c, POLLIN); "
                      "ctypes.string_at(m.at(RX), 2), c.recv(10)") == \
        (b"in", b"in")
    assert client.run("m.get(PEER, PROD)") == 2


def test_ordinary_calls_go_on_where_the_program_stopped(sides):
    (near, sock), (far, other) = sides
    data = "pattern(1 << 20)"
    for turn in range(3):
        far.run(f"{other}.sendall({data}[:5000])")
        near.run(f"m = Mapped({sock}); m.put({data}[:3000])")
        assert near.run(f"m.receive(2000) == {data}[:2000]")
        near.run(f"m.unmap(); {sock}.sendall({data}[3000:7000])")
        assert far.run(f"receive({other}, 7000) == {data}[:7000]")
        assert near.run(f"receive({sock}, 3000) == {data}[2000:5000]")


@one_family
def test_committed_bytes_without_a_bell_are_told_at_the_unmapping(
        server, client, mapped):
    task = server.spawn("a.recv(10)").block()
    client.run("m.put(b'quietly', ring=False)")
    client.run("m.unmap(OWN)")
    assert task.join() == b"quietly"


@one_family
def test_indexes_stay_the_programs_until_the_last_unmaps(server, client,
                                                         mapped):
    client.run("n = Mapped(c); m.put(b'by both'); n.put(b', in turn')")
    assert server.run("receive(a, 16)") == b"by both, in turn"
    client.run("m.unmap()")
    assert client.errno("c.send(b'x')") == EBUSY
    client.run("n.unmap(); c.send(b'x')")
    assert server.run("a.recv(10)") == b"x"


@one_family
def test_areas_can_go_in_parts(server, client, mapped):
    # A hole in the middle of a ring, and its first half moved elsewhere, by
    # mremap(MREMAP_MAYMOVE | MREMAP_FIXED).
    assert client.run("""
base, size = m.areas.pop(TX)
system("munmap", base + size // 2, PAGE)
free = libc.mmap(None, size, 0, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
half = ctypes.c_size_t(size // 2)
moved = system("syscall", 25, ctypes.c_void_p(base), half, half, 3,
               ctypes.c_void_p(free))
m.areas[TX] = moved, size
m.put(b"in front")
moved == free, errno_of(c.send, b"x")
""") == (True, EBUSY)
    assert server.run("receive(a, 8)") == b"in front"
    client.run("""
system("munmap", base, size)
m.unmap()
c.sendall(b"behind")
""")
    assert server.run("receive(a, 6)") == b"behind"
