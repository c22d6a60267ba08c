# SPDX-License-Identifier: GPL-2.0-or-later
"""MSG_ flags of send and recv."""

from errno import EAGAIN, ECONNRESET, EINVAL, EPIPE

import pytest


def test_peek_leaves_the_bytes(server, client, joined):
    client.run("c.sendall(b'look')")
    server.run("eventually(lambda: unread(a) == 4)")
    assert server.run("a.recv(2, MSG_PEEK), a.recv(10, MSG_PEEK), "
                      "a.recv(10)") == (b"lo", b"look", b"look")


def test_peek_waits_for_data(server, client, joined):
    task = server.spawn("a.recv(10, MSG_PEEK)")
    task.assert_blocked()
    client.run("c.sendall(b'x')")
    assert task.join() == b"x"
    assert server.run("a.recv(10)") == b"x"


def test_peek_sees_more_as_it_comes(server, client, joined):
    client.run("c.sendall(b'ab')")
    server.run("eventually(lambda: a.recv(10, MSG_PEEK) == b'ab')")
    client.run("c.sendall(b'cd')")
    server.run("eventually(lambda: a.recv(10, MSG_PEEK) == b'abcd')")


def test_peek_at_the_end_gives_the_end_each_time(server, client, joined):
    client.run("c.close()")
    assert server.run("a.recv(1, MSG_PEEK), a.recv(1, MSG_PEEK), "
                      "a.recv(1)") == (b"", b"", b"")


def test_peek_across_the_wrap_of_the_buffer(server, client, joined):
    size = 200000
    for turn in range(6):
        task = client.spawn(f"c.sendall(pattern({size}, {turn}))")
        assert server.run(f"""
whole = b""
while len(whole) < {size}:
    seen = a.recv(50001, MSG_PEEK)
    part = a.recv(len(seen))
    if part != seen[:len(part)]:
        raise ValueError("peek and recv differ")
    whole += part
whole == pattern({size}, {turn})
""")
        task.join()


def test_waitall_waits_for_all(server, client, joined):
    task = server.spawn("a.recv(10, MSG_WAITALL)")
    task.assert_blocked()
    client.run("c.sendall(b'12345')")
    task.assert_blocked()
    client.run("c.sendall(b'67890more')")
    assert task.join() == b"1234567890"
    assert server.run("a.recv(10)") == b"more"


def test_waitall_gives_what_came_before_the_end(server, client, joined):
    client.run("c.sendall(b'12345'); c.close()")
    assert server.run("a.recv(10, MSG_WAITALL)") == b"12345"


def test_waitall_takes_more_than_the_buffer_holds(server, client, joined):
    size = 8 << 20
    task = client.spawn(f"c.sendall(pattern({size}))")
    assert server.run(f"digest(a.recv({size}, MSG_WAITALL))") == \
        client.run(f"digest(pattern({size}))")
    task.join()


def test_waitall_gives_what_came_before_a_timeout(server, client, joined):
    client.run("c.sendall(b'123')")
    assert server.run("""
eventually(lambda: unread(a) == 3)
a.setsockopt(SOL_SOCKET, SO_RCVTIMEO, timeval(0.1))
a.recv(10, MSG_WAITALL)
""") == b"123"


def test_waitall_gives_what_came_before_a_reset(server, client, joined):
    task = server.spawn("a.recv(10, MSG_WAITALL)")
    task.assert_blocked()
    client.run("c.sendall(b'123'); eventually(lambda: "
               "ioctl_int(c, TIOCOUTQ) == 0); linger(c, 1, 0); c.close()")
    assert task.join() == b"123"
    assert server.errno("a.recv(1)") == ECONNRESET


def test_peek_with_waitall_waits_for_all(server, client, joined):
    task = server.spawn("a.recv(6, MSG_PEEK | MSG_WAITALL)")
    task.assert_blocked()
    client.run("c.sendall(b'abc')")
    server.run("eventually(lambda: unread(a) == 3)")
    client.run("c.sendall(b'def')")
    assert task.join() == b"abcdef"
    assert server.run("a.recv(10)") == b"abcdef"


def test_dontwait_receive_would_block(server, joined):
    assert server.errno("a.recv(1, MSG_DONTWAIT)") == EAGAIN


def test_dontwait_send_would_block_when_full(client, joined):
    assert client.errno("fill_stably(c); c.send(b'x', MSG_DONTWAIT)") == \
        EAGAIN


def test_dontwait_with_waitall_takes_what_there_is(server, client, joined):
    client.run("c.sendall(b'abc')")
    assert server.run("eventually(lambda: unread(a) == 3); "
                      "a.recv(10, MSG_WAITALL | MSG_DONTWAIT)") == b"abc"


def test_nosignal_send_fails_without_a_signal(client, joined):
    assert client.run("""
signal.signal(SIGPIPE, lambda *_: caught.append(1))
caught = []
c.shutdown(SHUT_WR)
try:
    c.send(b"x", MSG_NOSIGNAL)
except BrokenPipeError:
    pass
caught
""") == []


def test_trunc_drops_bytes_and_counts_them(server, client, joined):
    client.run("c.sendall(b'dropkeep')")
    assert server.run("""
eventually(lambda: unread(a) == 8)
system("recv", a.fileno(), None, ctypes.c_size_t(4), MSG_TRUNC)
""") == 4
    assert server.run("a.recv(10)") == b"keep"


def test_trunc_drops_a_megabyte(server, client, joined):
    task = client.spawn("c.sendall(bytes(1 << 20)); c.sendall(b'tail')")
    assert server.run("""
dropped = 0
while dropped < 1 << 20:
    dropped += system("recv", a.fileno(), None,
                      ctypes.c_size_t((1 << 20) - dropped), MSG_TRUNC)
a.recv(4, MSG_WAITALL)
""") == b"tail"
    task.join()


def test_more_is_pushed_by_the_next_send(server, client, joined):
    client.run("c.send(b'head', MSG_MORE); c.send(b'tail')")
    assert server.run("receive(a, 8)") == b"headtail"


HELD = "ioctl_int(c, 0x894b)"            # SIOCOUTQNSD


def test_more_is_held_back(server, client, joined):
    # A machine that stalls may spend the 200 ms before the question comes.
    turns = client.run(f"""
turns = 0
def is_held():
    global turns
    turns += 1
    c.send(b'head', MSG_MORE)
    held = {HELD}
    c.send(b'tail')
    return held == 4
eventually(is_held)
eventually(lambda: {HELD} == 0)
turns
""")
    assert server.run(f"receive(a, {turns} * 8) == b'headtail' * {turns}")


def test_more_than_a_segment_is_not_held_whole(server, client, joined):
    client.run("c.sendall(pattern(200000), MSG_MORE)")
    assert server.run("receive(a, 200000) == pattern(200000)")


def test_urgent_byte_takes_along_what_is_held(server, client, joined):
    client.run("c.send(b'head', MSG_MORE); c.send(b'!', MSG_OOB)")
    server.run("wait_ready(a, POLLPRI)")
    assert server.run("receive(a, 4), a.recv(1, MSG_OOB)") == (b"head", b"!")


def test_more_arrives_even_if_nothing_follows(server, client, joined):
    client.run("c.send(b'alone', MSG_MORE)")
    assert server.run("receive(a, 5)") == b"alone"


@pytest.mark.parametrize("end", ["c.shutdown(SHUT_WR)", "c.close()"])
def test_more_before_the_end_is_not_lost(server, client, joined, end):
    client.run(f"c.send(b'last', MSG_MORE); {end}")
    assert server.run("read_to_end(a)") == b"last"


def test_peek_offset_moves_with_what_is_read(server, client, joined):
    client.run("c.sendall(b'abcdef')")
    server.run("eventually(lambda: unread(a) == 6)")
    assert server.run("""
a.setsockopt(SOL_SOCKET, 42, 0)                     # SO_PEEK_OFF
[a.recv(2, MSG_PEEK), a.recv(2, MSG_PEEK), a.recv(3), a.recv(2, MSG_PEEK),
 a.getsockopt(SOL_SOCKET, 42), a.recv(9)]
""") == [b"ab", b"cd", b"abc", b"ef", 3, b"def"]


def test_receiver_is_told_how_much_is_left(server, client, joined):
    server.run("""
def inq():
    data, ancillary, _, _ = a.recvmsg(4, 100)
    [(level, kind, value)] = ancillary
    return data, (level, kind) == (IPPROTO_TCP, 36), \
        struct.unpack("i", value)[0]
a.setsockopt(IPPROTO_TCP, 36, 1)                    # TCP_INQ
""")
    client.run("c.sendall(b'abcdef')")
    server.run("eventually(lambda: unread(a) == 6)")
    assert server.run("inq()") == (b"abcd", True, 2)
    assert server.run("inq()") == (b"ef", True, 0)
    client.run("c.sendall(b'gh'); c.shutdown(SHUT_WR)")
    server.run("wait_ready(a, POLLRDHUP)")
    # The end is something to read, too.
    assert server.run("inq()") == (b"gh", True, 1)


def test_error_queue_is_empty(server, joined):
    assert server.errno("a.recvmsg(10, 100, MSG_ERRQUEUE)") == EAGAIN


@pytest.mark.parametrize("option", [29, 35], ids=["micro", "nano"])
def test_receiver_is_told_the_time(server, client, joined, option):
    server.run(f"a.setsockopt(SOL_SOCKET, {option}, 1)")    # SO_TIMESTAMP, NS
    client.run("c.sendall(b'x')")
    kind, apart = server.run("""
wait_ready(a, POLLIN)
data, [(level, kind, told)], flags, name = a.recvmsg(9, 100)
(level, kind), struct.unpack("qq", told)[0] - time.time()
""")
    assert kind == (server.run("SOL_SOCKET"), option)
    assert abs(apart) < 60


def test_recvmsg_gives_no_name_and_no_control_data(server, client, joined):
    client.run("c.sendall(b'x')")
    assert server.run("data, control, flags, name = a.recvmsg(10, 100); "
                      "data, control, flags") == (b"x", [], 0)


def test_cmsg_cloexec_is_taken_and_given_back(server, client, joined):
    client.run("c.sendall(b'x')")
    assert server.run("data, control, flags, name = a.recvmsg(10, 100, "
                      "MSG_CMSG_CLOEXEC); data, flags == MSG_CMSG_CLOEXEC") \
        == (b"x", True)


def test_address_of_sendto_is_ignored_when_connected(server, client, joined):
    client.run("c.sendto(b'x', (SERVER, PORT))")
    assert server.run("a.recv(1)") == b"x"


def test_recvfrom_gives_no_address(server, client, joined):
    client.run("c.sendall(b'x')")
    assert server.run("""
buffer, size = ctypes.create_string_buffer(28), ctypes.c_int(28)
wait_ready(a, POLLIN)
count = system("recvfrom", a.fileno(), buffer, ctypes.c_size_t(10), 0,
               ctypes.byref(buffer, 1), ctypes.byref(size))
count, size.value
""") == (1, 0)


@pytest.mark.no_circuit
def test_sendto_without_connection_is_a_broken_pipe(client):
    assert client.errno("new_socket().sendto(b'x', MSG_NOSIGNAL, "
                        "(SERVER, 80))") == EPIPE


URGENT = """
c.sendall(b"ab")
c.send(b"c!", MSG_OOB)
c.sendall(b"de")
"""
AT_MARK = "ioctl_int(a, 0x8905)"        # SIOCATMARK


def test_urgent_byte_is_read_out_of_band(server, client, joined):
    client.run(URGENT)
    server.run("wait_ready(a, POLLPRI)")
    server.run("eventually(lambda: unread(a) == 3)")
    assert server.run("a.recv(9, MSG_PEEK)") == b"abc"
    # A receiver stops before it.
    assert server.run("a.recv(9)") == b"abc"
    assert server.run(AT_MARK)
    assert server.run("[a.recv(1, MSG_OOB | MSG_PEEK), a.recv(1, MSG_OOB)]") \
        == [b"!", b"!"]
    assert server.errno("a.recv(1, MSG_OOB)") == EINVAL
    assert server.run("receive(a, 2)") == b"de"
    assert not server.run(AT_MARK)
    assert not server.run("ready(a, POLLPRI)")


def test_urgent_byte_that_nobody_read_is_passed_over(server, client, joined):
    client.run(URGENT)
    server.run("wait_ready(a, POLLPRI)")
    assert server.run("a.recv(3)") == b"abc"
    assert server.run("receive(a, 2)") == b"de"
    assert server.errno("a.recv(1, MSG_OOB)") == EINVAL


def test_urgent_byte_is_in_its_place_when_asked_for(server, client, joined):
    server.run("a.setsockopt(SOL_SOCKET, SO_OOBINLINE, 1)")
    client.run(URGENT)
    server.run("wait_ready(a, POLLPRI)")
    assert server.errno("a.recv(1, MSG_OOB)") == EINVAL
    assert server.run("a.recv(9)") == b"abc"
    assert server.run(AT_MARK)
    assert server.run("receive(a, 3)") == b"!de"


def test_urgent_byte_sends_a_signal(server, client, joined):
    server.run("""
heard = []
signal.signal(signal.SIGURG, lambda *_: heard.append(1))
fcntl.fcntl(a, fcntl.F_SETOWN, os.getpid())
""")
    client.run("c.send(b'!', MSG_OOB)")
    server.run("eventually(lambda: heard)")
    server.run("signal.signal(signal.SIGURG, signal.SIG_DFL)")


def test_oob_receive_without_urgent_data_is_invalid(server, joined):
    assert server.errno("a.recv(1, MSG_OOB)") in (
        server.run("EINVAL"), server.run("EOPNOTSUPP"))
