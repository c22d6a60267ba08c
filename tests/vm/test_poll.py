# SPDX-License-Identifier: GPL-2.0-or-later
"""poll() and select(): which events, and when they come."""

import pytest


@pytest.mark.no_circuit
def test_new_socket_polls_as_hung_up(client):
    assert client.run("ready(new_socket())") == \
        client.run("POLLOUT | POLLHUP")


@pytest.mark.no_circuit
def test_idle_listener_polls_as_nothing(server, listener):
    assert server.run("ready(s)") == 0


def test_listener_polls_readable_when_somebody_connects(server, client,
                                                        listener):
    client.run("c = connect()")
    assert server.run("wait_ready(s, POLLIN)") == server.run("POLLIN")
    server.run("a, _ = s.accept()")
    assert server.run("ready(s)") == 0


def test_fresh_connection_polls_writable_only(server, client, joined):
    assert client.run("ready(c)") == client.run("POLLOUT")
    assert server.run("ready(a)") == server.run("POLLOUT")


def test_data_polls_readable_until_read(server, client, joined):
    client.run("c.sendall(b'xyz')")
    assert server.run("wait_ready(a, POLLIN)") == server.run("POLLIN")
    server.run("a.recv(2)")
    assert server.run("ready(a, POLLIN)") == server.run("POLLIN")
    server.run("a.recv(2)")
    assert server.run("ready(a, POLLIN)") == 0


def test_data_polls_as_normal_data_too(server, client, joined):
    client.run("c.sendall(b'x')")
    wanted = server.run("POLLIN | POLLRDNORM")
    assert server.run("wait_ready(a, POLLIN | POLLRDNORM | POLLRDBAND)") == \
        wanted


def test_full_connection_is_not_writable_until_drained(server, client,
                                                       joined):
    sent = client.run("fill_stably(c)")
    assert client.run("ready(c, POLLOUT)") == 0
    server.run(f"receive(a, {sent})")
    assert client.run("wait_ready(c, POLLOUT)") == client.run("POLLOUT")


def test_poll_for_room_is_woken_by_the_reader(server, client, joined):
    sent = client.run("fill_stably(c)")
    task = client.spawn("wait_ready(c, POLLOUT)")
    task.assert_blocked()
    server.run(f"receive(a, {sent})")
    assert task.join() == client.run("POLLOUT")


def test_blocked_poll_is_woken_by_data(server, client, joined):
    task = server.spawn("wait_ready(a, POLLIN)")
    task.assert_blocked()
    client.run("c.sendall(b'x')")
    assert task.join() == server.run("POLLIN")


def test_blocked_poll_on_a_listener_is_woken_by_a_client(server, client,
                                                         listener):
    task = server.spawn("wait_ready(s, POLLIN)")
    task.assert_blocked()
    client.run("c = connect()")
    assert task.join() == server.run("POLLIN")


def test_peers_end_polls_readable_and_hung_up_for_reading(server, client,
                                                          joined):
    client.run("c.shutdown(SHUT_WR)")
    server.run("wait_ready(a, POLLRDHUP)")
    assert server.run("ready(a)") == \
        server.run("POLLIN | POLLOUT | POLLRDHUP")


@pytest.mark.circuit
@pytest.mark.remote
@pytest.mark.one_family
def test_a_look_for_the_end_alone_asks_for_one_bell(server, client, joined):
    """A program with a mapped circuit looks so, again and again."""
    assert server.run("ready(a, POLLRDHUP)") == 0
    before = client.run("stats()['doorbells_sent']")
    client.run("""
for _ in range(20):
    c.send(b"x")
    time.sleep(0.02)
""")
    assert client.run("stats()['doorbells_sent']") - before <= 2


def test_end_is_not_told_to_who_did_not_ask(server, client, joined):
    client.run("c.shutdown(SHUT_WR)")
    server.run("wait_ready(a, POLLRDHUP)")
    assert server.run("ready(a, POLLOUT)") == server.run("POLLOUT")


def test_own_end_stays_writable(server, client, joined):
    client.run("c.shutdown(SHUT_WR)")
    server.run("wait_ready(a, POLLRDHUP)")
    assert client.run("ready(c)") == client.run("POLLOUT")


def test_own_reading_end_polls_as_ended(server, client, joined):
    client.run("c.shutdown(SHUT_RD)")
    assert client.run("ready(c)") == \
        client.run("POLLIN | POLLOUT | POLLRDHUP")


def test_both_ends_poll_as_hung_up(server, client, joined):
    client.run("c.shutdown(SHUT_WR)")
    server.run("wait_ready(a, POLLRDHUP); a.shutdown(SHUT_WR)")
    wanted = client.run("POLLIN | POLLOUT | POLLRDHUP | POLLHUP")
    client.run(f"eventually(lambda: ready(c) == {wanted})")
    server.run(f"eventually(lambda: ready(a) == {wanted})")


def test_poll_without_events_still_tells_a_hangup(server, client, joined):
    client.run("linger(c, 1, 0); c.close()")
    server.run("wait_ready(a, POLLERR)")
    assert server.run("ready(a, 0)") == server.run("POLLERR | POLLHUP")


def test_poll_ends_at_its_timeout(server, client, joined):
    value, seconds = server.run("timed(ready, a, POLLIN, 100)")
    assert value == 0
    assert 0.09 < seconds < 2


def test_select_tells_readable_and_writable(server, client, joined):
    assert server.run("""
found = select.select([a], [a], [a], 0)
[len(part) for part in found]
""") == [0, 1, 0]
    client.run("c.sendall(b'x')")
    server.run("wait_ready(a, POLLIN)")
    assert server.run("[len(part) for part in "
                      "select.select([a], [a], [a], 0)]") == [1, 1, 0]


def test_blocked_select_is_woken_by_data(server, client, joined):
    task = server.spawn("len(select.select([a], [], [], 8)[0])")
    task.assert_blocked()
    client.run("c.sendall(b'x')")
    assert task.join() == 1


def test_poll_over_many_sockets_tells_the_ready_ones(server, client,
                                                     listener):
    client.run("socks = [connect() for _ in range(50)]")
    server.run("accepted = [s.accept()[0] for _ in range(50)]; "
               "poller = select.poll()\n"
               "for a in accepted: poller.register(a, POLLIN)")
    assert server.run("poller.poll(0)") == []
    client.run("for i in (3, 17, 49): socks[i].sendall(b'x')")
    server.run("eventually(lambda: len(poller.poll(0)) == 3)")
    assert server.run("sorted(fd for fd, _ in poller.poll()) == "
                      "sorted(accepted[i].fileno() for i in (3, 17, 49))")


def test_two_pollers_are_both_woken(server, client, joined):
    tasks = [server.spawn("wait_ready(a, POLLIN)") for _ in range(2)]
    for task in tasks:
        task.assert_blocked()
    client.run("c.sendall(b'x')")
    for task in tasks:
        assert task.join() == server.run("POLLIN")


def test_poll_before_connect_is_woken_by_its_end(server, client, listener):
    client.run("c = new_socket(); c.setblocking(False); p = select.epoll(); "
               "p.register(c, EPOLLIN | EPOLLOUT | EPOLLET); p.poll(0)")
    task = client.spawn("p.poll(8)")
    task.assert_blocked()
    client.run("c.connect_ex((SERVER, PORT))")
    assert task.join()[0][1] & client.run("EPOLLOUT")
