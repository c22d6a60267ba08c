# SPDX-License-Identifier: GPL-2.0-or-later
"""Connections that end in disorder: who is told what, and once."""

from errno import ECONNRESET, EISCONN, ENOTCONN, EPIPE

import pytest


@pytest.fixture
def reset(server, client, joined):
    """A connection that the client has reset; `a` knows it."""
    client.run("linger(c, 1, 0); c.close()")
    server.run("wait_ready(a, POLLERR)")


def test_close_with_unread_bytes_resets_the_peer(server, client, joined):
    client.run("c.sendall(b'unread')")
    server.run("eventually(lambda: unread(a) == 6); a.close()")
    assert client.errno("c.recv(1)") == ECONNRESET


def test_close_with_linger_zero_resets_the_peer(server, client, joined):
    client.run("linger(c, 1, 0); c.close()")
    assert server.errno("a.recv(1)") == ECONNRESET


def test_reset_wakes_a_blocked_reader(server, client, joined):
    task = server.spawn("a.recv(1)")
    task.assert_blocked()
    client.run("linger(c, 1, 0); c.close()")
    assert task.errno() == ECONNRESET


def test_reset_wakes_a_blocked_writer(server, client, joined):
    server.run("fill_stably(a)")
    task = server.spawn("a.send(bytes(1000), MSG_NOSIGNAL)")
    task.assert_blocked()
    client.run("linger(c, 1, 0); c.close()")
    assert task.errno() == ECONNRESET


def test_reset_wakes_poll(server, client, joined):
    task = server.spawn("wait_ready(a, POLLIN)")
    task.assert_blocked()
    client.run("linger(c, 1, 0); c.close()")
    told = task.join()
    wanted = server.run("POLLIN | POLLERR | POLLHUP")
    assert told & wanted == wanted


def test_reset_is_told_once_and_then_the_end(server, reset):
    assert server.errno("a.recv(1)") == ECONNRESET
    assert server.run("a.recv(1)") == b""


def test_reset_is_in_so_error_once(server, reset):
    assert server.run("error_of(a)") == ECONNRESET
    assert server.run("error_of(a)") == 0
    assert server.run("a.recv(1)") == b""


def test_sending_after_a_reset_fails_once_with_it_then_pipe(server, reset):
    assert server.errno("a.send(b'x', MSG_NOSIGNAL)") == ECONNRESET
    assert server.errno("a.send(b'x', MSG_NOSIGNAL)") == EPIPE


def test_shutdown_after_a_reset_says_not_connected(server, reset):
    assert server.errno("a.shutdown(SHUT_RDWR)") == ENOTCONN


def test_poll_after_a_reset_tells_everything(server, reset):
    wanted = server.run("POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP")
    assert server.run("ready(a)") & wanted == wanted


def test_poll_after_the_error_was_taken_tells_a_hangup(server, reset):
    server.run("error_of(a)")
    told = server.run("ready(a)")
    assert told & server.run("POLLHUP")
    assert not told & server.run("POLLERR")


def test_bytes_before_a_reset_can_still_be_read(server, client, joined):
    client.run("c.sendall(b'last')")
    server.run("eventually(lambda: unread(a) == 4)")
    client.run("linger(c, 1, 0); c.close()")
    server.run("wait_ready(a, POLLERR)")
    assert server.run("a.recv(10)") == b"last"
    assert server.errno("a.recv(10)") == ECONNRESET


def test_sending_to_a_closed_peer_ends_in_a_broken_pipe(server, client,
                                                        joined):
    client.run("c.close()")
    server.run("wait_ready(a, POLLRDHUP)")
    assert server.run("sent_until_error(a)") == EPIPE


def test_sending_to_a_closed_peer_leaves_reading_at_the_end(server, client,
                                                            joined):
    client.run("c.sendall(b'bye'); c.close()")
    server.run("wait_ready(a, POLLRDHUP)")
    server.run("receive(a, 3)")
    server.run("sent_until_error(a)")
    assert server.run("a.recv(1)") == b""


def test_blocked_writer_learns_that_the_peer_closed(server, client, joined):
    client.run("fill_stably(c)")
    task = client.spawn("c.send(bytes(1000), MSG_NOSIGNAL)")
    task.assert_blocked()
    server.run("a.close()")
    assert task.errno() == ECONNRESET


def test_peer_that_closes_unread_resets_even_after_own_shutdown(
        server, client, joined):
    client.run("c.sendall(b'x'); c.shutdown(SHUT_WR)")
    server.run("wait_ready(a, POLLRDHUP); a.close()")
    assert client.errno("wait_ready(c, POLLIN); c.recv(1)") == ECONNRESET


def test_reset_of_one_connection_leaves_the_others(server, client, listener):
    client.run("socks = [connect() for _ in range(4)]")
    server.run("accepted = [s.accept()[0] for _ in range(4)]")
    client.run("linger(socks[1], 1, 0); socks[1].close()")
    assert server.errno("wait_ready(accepted[1], POLLERR); "
                        "accepted[1].recv(1)") == ECONNRESET
    for i in (0, 2, 3):
        client.run(f"socks[{i}].sendall(b'alive')")
        assert server.run(f"receive(accepted[{i}], 5)") == b"alive"


def test_socket_that_was_reset_connects_again_once_dissolved(server, client,
                                                             joined):
    server.run("linger(a, 1, 0); a.close()")
    client.run("wait_ready(c, POLLERR); error_of(c)")
    assert client.errno("c.connect((SERVER, PORT))") == EISCONN
    client.run('system("connect", c.fileno(), '
               'struct.pack("H14x", AF_UNSPEC), 16)')
    client.run("c.connect((SERVER, PORT)); c.sendall(b'again')")
    assert server.run("b, _ = s.accept(); receive(b, 5)") == b"again"


def test_linger_with_time_closes_without_loss(server, client, joined):
    # TCP's close waits until all is acknowledged; a circuit's may return at
    # once, since the bytes lie with the peer already. Neither loses any.
    task = client.spawn("linger(c, 1, 5); c.sendall(pattern(200000)); "
                        "c.close()")
    assert server.run("read_to_end(a) == pattern(200000)")
    task.join()


def test_hundreds_of_resets_leave_nothing(server, client, listener):
    server.run("s.listen(512)")
    accept = server.spawn("""
wrong = 0
for _ in range(300):
    a, _ = s.accept()
    try:
        wrong += a.recv(1) != b""
    except ConnectionResetError:
        pass
    a.close()
wrong
""")
    client.run("for _ in range(300): c = connect(); linger(c, 1, 0); "
               "c.close()")
    assert accept.join() == 0
