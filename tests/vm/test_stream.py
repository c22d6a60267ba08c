# SPDX-License-Identifier: GPL-2.0-or-later
"""Bytes: all of them, in order, once; and waiting for room or data."""

from errno import EAGAIN, EBADF, EFAULT, EINVAL, ENOTTY, EPIPE, ESPIPE

import pytest

MEBI = 1 << 20


@pytest.mark.parametrize("size", [1, 4096, 65537, MEBI + 1])
def test_bytes_arrive_whole_and_in_order(server, client, joined, size):
    task = client.spawn(f"c.sendall(pattern({size})); c.shutdown(SHUT_WR)")
    assert server.run("digest(read_to_end(a))") == \
        client.run(f"digest(pattern({size}))")
    task.join()


def test_large_streams_cross_in_both_directions(server, client, joined):
    size = 6 * MEBI
    server.spawn(f"a.sendall(pattern({size}, 1))")
    client.spawn(f"c.sendall(pattern({size}, 2))")
    reader = server.spawn(f"digest(receive(a, {size}))")
    assert client.run(f"digest(receive(c, {size}))") == \
        client.run(f"digest(pattern({size}, 1))")
    assert reader.join() == client.run(f"digest(pattern({size}, 2))")


def test_pieces_of_odd_sizes_wrap_around_the_buffer(server, client, joined):
    reader = server.spawn("""
chosen, parts = random.Random(7), []
while part := a.recv(chosen.randrange(1, 50000)):
    parts.append(part)
digest(b"".join(parts))
""")
    sent = client.run("""
chosen, data, at = random.Random(5), pattern(3 << 20), 0
while at < len(data):
    at += c.send(data[at:at + chosen.randrange(1, 70000)])
c.shutdown(SHUT_WR)
digest(data)
""")
    assert reader.join() == sent


def test_single_bytes_arrive_in_order(server, client, joined):
    task = client.spawn("for byte in pattern(3000): c.send(bytes([byte]))")
    assert server.run("receive(a, 3000) == pattern(3000)")
    task.join()


def test_reading_single_bytes_loses_none(server, client, joined):
    client.run("c.sendall(pattern(3000))")
    assert server.run("b''.join(a.recv(1) for _ in range(3000)) == "
                      "pattern(3000)")


def test_writes_have_no_boundaries(server, client, joined):
    client.run("c.send(b'one'); c.send(b'two'); c.send(b'three')")
    server.run("eventually(lambda: unread(a) == 11)")
    assert server.run("a.recv(100)") == b"onetwothree"


def test_receive_takes_no_more_than_asked(server, client, joined):
    client.run("c.sendall(b'abcdef')")
    server.run("eventually(lambda: unread(a) == 6)")
    assert server.run("a.recv(4)") == b"abcd"
    assert server.run("a.recv(4)") == b"ef"


def test_receive_gives_what_there_is(server, client, joined):
    client.run("c.sendall(b'abc')")
    assert server.run("wait_ready(a, POLLIN); a.recv(1000)") == b"abc"


def test_blocking_receive_waits_for_data(server, client, joined):
    task = server.spawn("a.recv(10)")
    task.assert_blocked()
    client.run("c.sendall(b'now')")
    assert task.join() == b"now"


def test_blocking_send_waits_for_room(server, client, joined):
    task = client.spawn("c.sendall(pattern(16 << 20)); c.shutdown(SHUT_WR)")
    task.assert_blocked()
    assert server.run("digest(read_to_end(a))") == \
        client.run("digest(pattern(16 << 20))")
    task.join()


def test_nonblocking_receive_without_data_would_block(server, client, joined):
    assert server.errno("a.setblocking(False); a.recv(1)") == EAGAIN


def test_nonblocking_send_fills_up_and_then_would_block(server, client,
                                                        joined):
    sent = client.run("c.setblocking(False); fill_stably(c)")
    assert sent > 16384
    assert client.errno("c.send(b'x')") == EAGAIN
    server.run(f"receive(a, {sent})")
    client.run("wait_ready(c, POLLOUT); c.send(b'x')")
    assert server.run("receive(a, 1)") == b"x"


def test_nonblocking_send_takes_a_part_when_little_room_is_left(
        server, client, joined):
    sent = client.run("c.setblocking(False); c.send(pattern(64 << 20))")
    assert 0 < sent < 64 * MEBI
    assert server.run(f"digest(receive(a, {sent}))") == \
        client.run(f"digest(pattern(64 << 20)[:{sent}])")


def test_sending_nothing_is_not_the_end(server, client, joined):
    assert client.run("c.send(b'')") == 0
    client.run("c.sendall(b'x')")
    assert server.run("a.recv(10)") == b"x"


def test_receiving_nothing_returns_at_once(server, client, joined):
    assert server.run("a.recv(0)") == b""


def test_receiving_nothing_leaves_what_is_there(server, client, joined):
    # recv() of Python makes no call for nothing, recvfrom_into() does.
    client.run("c.sendall(b'x')")
    server.run("wait_ready(a, POLLIN)")
    assert server.run("a.recvfrom_into(bytearray())[0]") == 0
    assert server.run("a.recv(10)") == b"x"


def test_read_and_write_work_on_the_descriptor(server, client, joined):
    assert client.run("os.write(c.fileno(), b'plain')") == 5
    server.run("wait_ready(a, POLLIN)")
    assert server.run("os.read(a.fileno(), 100)") == b"plain"


def test_writev_and_readv_gather_and_scatter(server, client, joined):
    assert client.run("os.writev(c.fileno(), [b'ab', b'', b'cde', b'f'])") \
        == 6
    server.run("eventually(lambda: unread(a) == 6)")
    assert server.run("""
parts = [bytearray(1), bytearray(3), bytearray(10)]
count = os.readv(a.fileno(), parts)
count, parts
""") == (6, [b"a", b"bcd", b"ef" + bytes(8)])


def test_sendmsg_and_recvmsg_gather_and_scatter(server, client, joined):
    assert client.run("c.sendmsg([b'x' * 100, b'y' * 100000])") > 100
    assert server.run("""
one, two = bytearray(100), bytearray(50)
wait_ready(a, POLLIN)
count, control, flags, name = a.recvmsg_into([one, two])
bytes(one), bytes(two[:1]), control, flags
""") == (b"x" * 100, b"y", [], 0)


def test_writev_of_a_thousand_pieces_arrives(server, client, joined):
    client.run("data = pattern(64000)")
    assert client.run("""
os.writev(c.fileno(), [data[i:i + 64] for i in range(0, 64000, 64)])
""") == 64000
    assert server.run("receive(a, 64000) == pattern(64000)")


def test_sendmmsg_and_recvmmsg_carry_several_messages(server, client, joined):
    code = """
class iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]
class msghdr(ctypes.Structure):
    _fields_ = [("name", ctypes.c_void_p), ("namelen", ctypes.c_uint),
                ("iov", ctypes.POINTER(iovec)), ("iovlen", ctypes.c_size_t),
                ("control", ctypes.c_void_p), ("controllen", ctypes.c_size_t),
                ("flags", ctypes.c_int)]
class mmsghdr(ctypes.Structure):
    _fields_ = [("hdr", msghdr), ("len", ctypes.c_uint)]
def messages(buffers):
    batch = (mmsghdr * len(buffers))()
    for message, buffer in zip(batch, buffers):
        message.vec = iovec(ctypes.addressof(buffer), len(buffer))
        message.hdr.iov = ctypes.pointer(message.vec)
        message.hdr.iovlen = 1
    return batch
"""
    client.run(code)
    server.run(code)
    assert client.run("""
buffers = [ctypes.create_string_buffer(text, 5)
           for text in (b"first", b"again", b"third")]
batch = messages(buffers)
system("sendmmsg", c.fileno(), batch, 3, 0), [m.len for m in batch]
""") == (3, [5, 5, 5])
    server.run("eventually(lambda: unread(a) == 15)")
    assert server.run("""
buffers = [ctypes.create_string_buffer(5) for _ in range(3)]
batch = messages(buffers)
count = system("recvmmsg", a.fileno(), batch, 3, 0, None)
count, [b.raw for b in buffers]
""") == (3, [b"first", b"again", b"third"])


def test_sending_from_bad_memory_is_a_fault(server, client, joined):
    assert client.errno('system("send", c.fileno(), 8, 100, 0)') == EFAULT
    client.run("c.sendall(b'fine')")
    assert server.run("a.recv(100)") == b"fine"


def test_receiving_into_bad_memory_is_a_fault(server, client, joined):
    client.run("c.sendall(b'kept')")
    server.run("wait_ready(a, POLLIN)")
    assert server.errno('system("recv", a.fileno(), 8, 4, 0)') == EFAULT
    assert server.run("a.recv(100)") == b"kept"


def test_fault_amid_a_send_keeps_what_was_before_it(server, client, joined):
    # A page, then none: what lies before the hole may be sent, no more.
    sent = client.run("""
import mmap
page = mmap.mmap(-1, 8192)
base = ctypes.addressof(ctypes.c_char.from_buffer(page))
page[:4096] = pattern(4096)
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
system("mprotect", base + 4096, 4096, 0)
try:
    sent = system("send", c.fileno(), ctypes.c_void_p(base),
                  ctypes.c_size_t(8192), 0)
except OSError as error:
    assert error.errno == EFAULT
    sent = 0
sent
""")
    assert 0 <= sent <= 4096
    client.run("c.shutdown(SHUT_WR)")
    assert server.run("read_to_end(a)") == \
        client.run(f"pattern(4096)[:{sent}]")


def test_fionread_counts_unread_bytes(server, client, joined):
    assert server.run("unread(a)") == 0
    client.run("c.sendall(bytes(1234))")
    server.run("eventually(lambda: unread(a) == 1234)")
    server.run("a.recv(234)")
    assert server.run("unread(a)") == 1000


@pytest.mark.no_circuit
def test_fionread_on_a_listener_is_invalid(server, listener):
    assert server.errno("unread(s)") == EINVAL


def test_siocoutq_counts_down_to_zero(server, client, joined):
    # TCP counts what the peer's kernel has not acknowledged, a circuit what
    # the peer's application has not read; both end at zero once it has.
    client.run("c.sendall(bytes(100000))")
    assert server.run("len(receive(a, 100000))") == 100000
    client.run("eventually(lambda: ioctl_int(c, TIOCOUTQ) == 0)")


def test_siocoutq_tells_of_bytes_that_wait(server, client, joined):
    client.run("fill_stably(c)")
    assert client.run("ioctl_int(c, TIOCOUTQ)") > 0


def test_terminal_ioctl_says_it_is_no_terminal(server, client, joined):
    assert client.errno("fcntl.ioctl(c, termios.TCGETS, bytes(60))") == ENOTTY


def test_unknown_ioctl_is_refused(server, client, joined):
    assert client.errno("fcntl.ioctl(c, 0x1234)") in (ENOTTY,
                                                           EINVAL)


def test_socket_can_not_seek(server, client, joined):
    assert client.errno("os.lseek(c.fileno(), 0, os.SEEK_SET)") == ESPIPE


def test_pread_is_refused(server, client, joined):
    assert client.errno("os.pread(c.fileno(), 1, 0)") == ESPIPE


def test_fionbio_switches_blocking(server, client, joined):
    assert server.errno("""
fcntl.ioctl(a, termios.FIONBIO, struct.pack("i", 1))
a.recv(1)
""") == EAGAIN


def test_sendfile_sends_a_file(server, client, joined):
    task = client.spawn("""
with open("/tmp/file", "wb") as file:
    file.write(pattern(500000))
with open("/tmp/file", "rb") as file:
    offset = 0
    while offset < 500000:
        offset += os.sendfile(c.fileno(), file.fileno(), offset, 500000)
c.shutdown(SHUT_WR)
""")
    assert server.run("digest(read_to_end(a))") == \
        client.run("digest(pattern(500000))")
    task.join()


def test_sendfile_honours_its_offset_and_count(server, client, joined):
    client.run("""
with open("/tmp/file", "wb") as file:
    file.write(pattern(50000))
with open("/tmp/file", "rb") as file:
    sent = os.sendfile(c.fileno(), file.fileno(), 12345, 100)
""")
    assert client.run("sent") == 100
    assert server.run("receive(a, 100) == pattern(50000)[12345:12445]")


def test_nonblocking_sendfile_would_block_when_full(server, client, joined):
    assert client.errno("""
c.setblocking(False)
fill_stably(c)
with open("/proc/self/exe", "rb") as file:
    os.sendfile(c.fileno(), file.fileno(), 0, 100000)
""") == EAGAIN


def test_two_threads_that_write_lose_nothing(server, client, joined):
    tasks = [client.spawn(f"for _ in range(200): c.sendall(b'{mark}' * 500)")
             for mark in "xy"]
    data = server.spawn("data = receive(a, 200000); "
                        "data.count(b'x'), data.count(b'y')")
    for task in tasks:
        task.join()
    assert data.join() == (100000, 100000)


def test_two_threads_that_read_share_the_bytes(server, client, joined):
    code = """
total = 0
while part := a.recv(1000):
    total += len(part)
total
"""
    tasks = [server.spawn(f"def read{i}():\n" + "\n".join(
        "    " + line for line in code.strip().splitlines()[:-1]) +
        f"\n    return total\nread{i}()") for i in range(2)]
    client.run("c.sendall(pattern(200000)); c.shutdown(SHUT_WR)")
    assert sum(task.join() for task in tasks) == 200000


def test_thread_reads_while_another_writes_the_same_socket(server, client,
                                                           joined):
    echo = server.spawn("""
while part := a.recv(65536):
    a.sendall(part)
a.shutdown(SHUT_WR)
""")
    reader = client.spawn("digest(read_to_end(c))")
    client.run("c.sendall(pattern(4 << 20)); c.shutdown(SHUT_WR)")
    assert reader.join() == client.run("digest(pattern(4 << 20))")
    echo.join()


def test_thousand_round_trips_keep_their_order(server, client, joined):
    echo = server.spawn("""
while part := a.recv(100):
    a.sendall(part)
""")
    assert client.run("""
wrong = 0
for i in range(1000):
    c.sendall(i.to_bytes(4, "big"))
    wrong += receive(c, 4) != i.to_bytes(4, "big")
c.shutdown(SHUT_WR)
wrong
""") == 0
    echo.join()


def test_connections_do_not_mix(server, client, listener):
    client.run("socks = [connect() for _ in range(10)]")
    server.run("accepted = [s.accept()[0] for _ in range(10)]")
    client.run("for i, c in enumerate(socks): "
               "c.sendall(pattern(5000, i)); c.shutdown(SHUT_WR)")
    assert server.run("[read_to_end(a) == pattern(5000, i) "
                      "for i, a in enumerate(accepted)]") == [True] * 10


def test_small_buffers_still_carry_everything(server, client, listener):
    client.run("""
c = new_socket()
c.setsockopt(SOL_SOCKET, SO_SNDBUF, 4096)
c.connect((SERVER, PORT))
""")
    server.run("a, _ = s.accept()")
    task = client.spawn("c.sendall(pattern(300000)); c.shutdown(SHUT_WR)")
    assert server.run("read_to_end(a) == pattern(300000)")
    task.join()


def test_send_buffer_set_later_bounds_what_lies_unread(server, client, joined):
    large, small = client.run("""
d = connect()
d.setblocking(False), c.setblocking(False)
c.setsockopt(SOL_SOCKET, SO_SNDBUF, 1)
fill_stably(d), fill_stably(c)
""")
    assert small < large
    assert not client.run("ready(c, POLLOUT)")
    server.run(f"whole = receive(a, {small})")
    client.run("wait_ready(c, POLLOUT)")
    # And it still carries everything.
    client.run("c.setblocking(True)")
    task = client.spawn("c.sendall(pattern(300000)); c.shutdown(SHUT_WR)")
    assert server.run("read_to_end(a) == pattern(300000)")
    task.join()


@pytest.mark.circuit
def test_larger_send_buffer_lets_a_waiting_sender_go_on(server, client,
                                                        joined):
    client.run("c.setsockopt(SOL_SOCKET, SO_SNDBUF, 1)")
    task = client.spawn("c.sendall(pattern(200000))")
    task.assert_blocked()
    client.run("c.setsockopt(SOL_SOCKET, SO_SNDBUF, 200000)")
    task.join()
    assert server.run("receive(a, 200000) == pattern(200000)")


def test_closed_descriptor_is_bad(server, client, joined):
    assert client.errno("""
number = c.fileno(); c.close()
os.write(number, b"x")
""") == EBADF


def test_zerocopy_send_is_told_about(server, client, joined):
    client.run("""
c.setsockopt(SOL_SOCKET, 60, 1)                     # SO_ZEROCOPY
buffer = pattern(20000)
c.send(buffer, 0x4000000), c.send(buffer, 0x4000000)
""")
    assert server.run("receive(a, 40000) == 2 * pattern(20000)")
    client.run("""
notices = []
def hear():
    wait_ready(c, POLLERR)
    data, [(level, kind, told)], flags, _ = c.recvmsg(0, 1000, MSG_ERRQUEUE)
    notices.append((data, flags & MSG_ERRQUEUE,
                    struct.unpack_from("IBBBBII", told)))
    return notices[-1][2][6]
eventually(lambda: hear() == 1)
""")
    # errno 0, of MSG_ZEROCOPY, and which calls: the first, the last.
    for data, flag, told in (notices := client.run("notices")):
        assert (data, bool(flag)) == (b"", True)
        assert told[:3] == (0, 5, 0) and told[3] in (0, 1)
    assert notices[0][2][5] == 0
    assert client.errno("c.recvmsg(0, 1000, MSG_ERRQUEUE)") == EAGAIN
    assert client.errno("c.shutdown(SHUT_WR); c.send(buffer, 0x4000000 | "
                        "MSG_NOSIGNAL)") == EPIPE
    assert client.errno("c.recvmsg(0, 1000, MSG_ERRQUEUE)") == EAGAIN


def test_small_send_of_untouched_memory_arrives_in_one_piece(server, client,
                                                             joined):
    task = server.spawn("len(a.recv(100000))")
    task.assert_blocked()
    client.run("import mmap; m = mmap.mmap(-1, 16384); m[0] = 1; c.send(m)")
    assert task.join() == 16384
