# SPDX-License-Identifier: GPL-2.0-or-later
"""Ending a direction: the last byte, then the end, and not before."""

from errno import EAGAIN, EINVAL, ENOTCONN, EPIPE

import pytest


def test_end_comes_after_the_last_byte(server, client, joined):
    task = client.spawn("c.sendall(pattern(2 << 20)); c.shutdown(SHUT_WR)")
    assert server.run("digest(read_to_end(a))") == \
        client.run("digest(pattern(2 << 20))")
    assert server.run("a.recv(1)") == b""
    task.join()


def test_other_direction_goes_on_after_a_half_close(server, client, joined):
    client.run("c.shutdown(SHUT_WR)")
    assert server.run("a.recv(1)") == b""
    task = server.spawn("a.sendall(pattern(1 << 20)); a.close()")
    assert client.run("digest(read_to_end(c))") == \
        client.run("digest(pattern(1 << 20))")
    task.join()


def test_close_lets_the_peer_read_to_the_end(server, client, joined):
    task = client.spawn("c.sendall(pattern(1 << 20)); c.close()")
    assert server.run("digest(read_to_end(a))") == \
        client.run("digest(pattern(1 << 20))")
    task.join()


def test_bytes_sent_before_close_are_read_much_later(server, client, joined):
    client.run("c.sendall(b'letter'); c.close()")
    assert server.run("wait_ready(a, POLLRDHUP); unread(a)") == 6
    assert server.run("a.recv(3), a.recv(3), a.recv(3)") == \
        (b"let", b"ter", b"")


def test_sending_after_shutdown_is_a_broken_pipe(server, client, joined):
    client.run("c.shutdown(SHUT_WR)")
    assert client.errno("c.send(b'x', MSG_NOSIGNAL)") == EPIPE


def test_receiving_after_own_shutdown_gives_the_end(server, client, joined):
    server.run("a.shutdown(SHUT_RD)")
    assert server.run("a.recv(10)") == b""


def test_queued_bytes_stay_readable_after_own_shutdown(server, client,
                                                       joined):
    client.run("c.sendall(b'queued')")
    server.run("eventually(lambda: unread(a) == 6); a.shutdown(SHUT_RD)")
    assert server.run("a.recv(10)") == b"queued"
    assert server.run("a.recv(10)") == b""


def test_shutdown_of_reading_leaves_writing(server, client, joined):
    server.run("a.shutdown(SHUT_RD); a.sendall(b'on')")
    assert client.run("receive(c, 2)") == b"on"


def test_peer_of_a_shut_reader_may_still_send(server, client, joined):
    server.run("a.shutdown(SHUT_RD)")
    assert client.run("c.send(b'x')") == 1
    assert client.run("c.send(b'y')") == 1


def test_shutdown_twice_is_harmless(server, client, joined):
    client.run("c.shutdown(SHUT_WR); c.shutdown(SHUT_WR)")
    assert server.run("a.recv(1)") == b""
    server.run("a.sendall(b'x')")
    assert client.run("receive(c, 1)") == b"x"


def test_shutdown_of_each_direction_in_turn_ends_both(server, client, joined):
    client.run("c.shutdown(SHUT_RD); c.shutdown(SHUT_WR)")
    assert server.run("a.recv(1)") == b""
    assert client.run("c.recv(1)") == b""


@pytest.mark.no_circuit
def test_shutdown_without_connection_says_so(server):
    assert server.errno("new_socket().shutdown(SHUT_RDWR)") == ENOTCONN


@pytest.mark.parametrize("how", [3, -1, 100])
def test_shutdown_with_a_bad_direction_is_invalid(server, client, joined,
                                                  how):
    assert client.errno(f"c.shutdown({how})") == EINVAL


def test_shutdown_after_both_ended_says_not_connected(server, client, joined):
    client.run("c.shutdown(SHUT_WR)")
    server.run("a.recv(1); a.shutdown(SHUT_WR)")
    # The side that ended last is done first: its end was acknowledged.
    server.run("eventually(lambda: ready(a) & POLLHUP)")
    server.run("eventually(lambda: tcp_state(a) == 7)")
    assert server.errno("a.shutdown(SHUT_RDWR)") == ENOTCONN


def test_own_shutdown_wakes_a_blocked_reader(server, client, joined):
    task = server.spawn("a.recv(1)")
    task.assert_blocked()
    server.run("a.shutdown(SHUT_RD)")
    assert task.join() == b""


def test_own_shutdown_wakes_a_blocked_writer(server, client, joined):
    client.run("fill_stably(c)")
    task = client.spawn("c.send(bytes(100), MSG_NOSIGNAL)")
    task.assert_blocked()
    client.run("c.shutdown(SHUT_WR)")
    assert task.errno() == EPIPE


def test_peers_end_wakes_a_blocked_reader(server, client, joined):
    task = server.spawn("a.recv(1)")
    task.assert_blocked()
    client.run("c.shutdown(SHUT_WR)")
    assert task.join() == b""


def test_end_passes_a_full_buffer(server, client, joined):
    sent = client.run("sent = fill_stably(c); c.shutdown(SHUT_WR); sent")
    assert server.run("len(read_to_end(a))") == sent


def test_close_passes_a_full_buffer(server, client, joined):
    sent = client.run("sent = fill_stably(c); c.close(); sent")
    assert server.run("len(read_to_end(a))") == sent


def test_end_repeats_on_every_read(server, client, joined):
    client.run("c.close()")
    assert server.run("[a.recv(5) for _ in range(4)]") == [b""] * 4


def test_nonblocking_reader_sees_the_end_not_eagain(server, client, joined):
    server.run("a.setblocking(False)")
    assert server.errno("a.recv(1)") == EAGAIN
    client.run("c.shutdown(SHUT_WR)")
    assert server.run("wait_ready(a, POLLIN); a.recv(1)") == b""


def test_both_sides_end_at_once(server, client, joined):
    client.run("c.sendall(b'from c'); c.shutdown(SHUT_WR)")
    server.run("a.sendall(b'from a'); a.shutdown(SHUT_WR)")
    assert server.run("read_to_end(a)") == b"from c"
    assert client.run("read_to_end(c)") == b"from a"


def test_both_sides_close_with_bytes_read(server, client, joined):
    client.run("c.sendall(b'ping')")
    server.run("receive(a, 4); a.sendall(b'pong')")
    client.run("receive(c, 4); c.close()")
    server.run("a.recv(1); a.close()")
    client.run("d = connect()")
    assert server.run("b, _ = s.accept(); b.fileno() > 0")


def test_half_closed_connection_carries_an_answer_of_megabytes(
        server, client, joined):
    answer = server.spawn("""
question = read_to_end(a)
a.sendall(question * 8)
a.close()
""")
    client.run("c.sendall(pattern(300000)); c.shutdown(SHUT_WR)")
    assert client.run("read_to_end(c) == pattern(300000) * 8")
    answer.join()
