# SPDX-License-Identifier: GPL-2.0-or-later
"""epoll: level and edge, once and exclusive, across connect()."""

from errno import EEXIST, ENOENT

import pytest


@pytest.fixture
def watched(server, joined):
    """An epoll `p` in the server, empty; `watch` adds the accepted end."""
    server.run("""
p = select.epoll()
def watch(events):
    p.register(a, events)
def told(timeout=0):
    found = p.poll(timeout)
    return found[0][1] if found else 0
""")


def test_level_is_told_until_read(server, client, watched):
    server.run("watch(EPOLLIN)")
    assert server.run("told()") == 0
    client.run("c.sendall(b'x')")
    assert server.run("told(8)") == server.run("EPOLLIN")
    assert server.run("told()") == server.run("EPOLLIN")
    server.run("a.recv(1)")
    assert server.run("told()") == 0


def test_edge_is_told_once_per_arrival(server, client, watched):
    server.run("watch(EPOLLIN | EPOLLET)")
    client.run("c.sendall(b'x')")
    assert server.run("told(8)") == server.run("EPOLLIN")
    assert server.run("told()") == 0
    client.run("c.sendall(b'y')")
    assert server.run("told(8)") == server.run("EPOLLIN")
    assert server.run("a.recv(10)") == b"xy"


def test_edge_is_told_for_what_was_there_before(server, client, watched):
    client.run("c.sendall(b'x')")
    server.run("wait_ready(a, POLLIN); watch(EPOLLIN | EPOLLET)")
    assert server.run("told()") == server.run("EPOLLIN")
    assert server.run("told()") == 0


def test_edge_after_reading_all_comes_with_new_data(server, client, watched):
    server.run("watch(EPOLLIN | EPOLLET)")
    for byte in (b"1", b"2", b"3"):
        client.run(f"c.sendall({byte!r})")
        assert server.run("told(8)") == server.run("EPOLLIN")
        assert server.run("a.recv(10)") == byte
        assert server.run("told()") == 0


def test_edge_reader_that_drains_loses_no_wakeup(server, client, watched):
    server.run("a.setblocking(False); watch(EPOLLIN | EPOLLET)")
    task = server.spawn("""
total, done = 0, False
while not done:
    if not p.poll(8):
        raise TimeoutError(f"no event after {total} bytes")
    try:
        while True:
            part = a.recv(10000)
            total += len(part)
            if not part:
                done = True
                break
    except BlockingIOError:
        pass
total
""")
    client.run("data = pattern(7001)\n"
               "for _ in range(300): c.sendall(data)\n"
               "c.shutdown(SHUT_WR)")
    assert task.join() == 300 * 7001


def test_edge_writer_is_told_of_new_room(server, client, joined):
    client.run("c.setblocking(False); p = select.epoll(); "
               "p.register(c, EPOLLOUT | EPOLLET)")
    assert client.run("p.poll(8)[0][1]") == client.run("EPOLLOUT")
    assert client.run("p.poll(0)") == []
    sent = client.run("fill_stably(c)")
    client.run("p.poll(0)")
    task = client.spawn("p.poll(8)")
    task.assert_blocked()
    server.run(f"receive(a, {sent})")
    assert task.join()[0][1] & client.run("EPOLLOUT")


def test_edge_writer_that_fills_loses_no_wakeup(server, client, joined):
    client.run("c.setblocking(False); p = select.epoll(); "
               "p.register(c, EPOLLOUT | EPOLLET)")
    task = client.spawn("""
left = 12 << 20
data = bytes(100000)
while left > 0:
    if not p.poll(8):
        raise TimeoutError(f"no event with {left} bytes left")
    try:
        while left > 0:
            left -= c.send(data[:left])
    except BlockingIOError:
        pass
left
""")
    assert server.run(f"len(receive(a, {12 << 20}))") == 12 << 20
    assert task.join() == 0


def test_one_shot_is_told_once_until_armed_again(server, client, watched):
    server.run("watch(EPOLLIN | EPOLLONESHOT)")
    client.run("c.sendall(b'x')")
    assert server.run("told(8)") == server.run("EPOLLIN")
    client.run("c.sendall(b'y')")
    server.run("eventually(lambda: unread(a) == 2)")
    assert server.run("told()") == 0
    server.run("p.modify(a, EPOLLIN | EPOLLONESHOT)")
    assert server.run("told()") == server.run("EPOLLIN")


def test_peers_end_is_told_as_rdhup(server, client, watched):
    server.run("watch(EPOLLIN | EPOLLRDHUP)")
    client.run("c.shutdown(SHUT_WR)")
    assert server.run("told(8)") == server.run("EPOLLIN | EPOLLRDHUP")


def test_edge_of_the_end_is_told_once(server, client, watched):
    server.run("watch(EPOLLIN | EPOLLRDHUP | EPOLLET)")
    client.run("c.shutdown(SHUT_WR)")
    assert server.run("told(8)") == server.run("EPOLLIN | EPOLLRDHUP")
    assert server.run("told()") == 0


def test_reset_is_told_as_error_and_hangup(server, client, watched):
    server.run("watch(EPOLLIN)")
    client.run("linger(c, 1, 0); c.close()")
    assert server.run("told(8)") == \
        server.run("EPOLLIN | EPOLLERR | EPOLLHUP")


def test_hangup_is_told_when_both_have_ended(server, client, watched):
    server.run("watch(EPOLLIN)")
    client.run("c.shutdown(SHUT_WR)")
    server.run("told(8); a.shutdown(SHUT_WR)")
    server.run("eventually(lambda: told() == EPOLLIN | EPOLLHUP)")


def test_registration_before_connect_sees_its_success(server, client,
                                                      listener):
    client.run("c = new_socket(); c.setblocking(False); p = select.epoll(); "
               "p.register(c, EPOLLOUT | EPOLLET)")
    # Linux tells a new socket as writable and hung up.
    assert client.run("p.poll(0)[0][1]") == client.run("EPOLLOUT | EPOLLHUP")
    client.run("c.connect_ex((SERVER, PORT))")
    client.run("""
def connected():
    return any(events == EPOLLOUT for _, events in p.poll(8))
eventually(connected)
""")
    assert client.run("error_of(c)") == 0


@pytest.mark.no_circuit
def test_registration_before_connect_sees_its_refusal(server, client):
    client.set(PORT=server.run("unused_port()"))
    client.run("c = new_socket(); c.setblocking(False); p = select.epoll(); "
               "p.register(c, EPOLLOUT | EPOLLET); p.poll(0); "
               "c.connect_ex((SERVER, PORT))")
    client.run("eventually(lambda: any(events & EPOLLERR "
               "for _, events in p.poll(8)))")
    assert client.run("error_of(c)") == client.run("ECONNREFUSED")


def test_registration_before_connect_sees_later_data(server, client,
                                                     listener):
    client.run("c = new_socket(); p = select.epoll(); "
               "p.register(c, EPOLLIN); c.connect((SERVER, PORT))")
    server.run("a, _ = s.accept()")
    task = client.spawn("p.poll(8)[0][1]")
    task.assert_blocked()
    server.run("a.sendall(b'x')")
    assert task.join() == client.run("EPOLLIN")


def test_registration_before_listen_sees_clients(server, client):
    server.run("s = new_socket(); s.bind((SERVER, 0)); p = select.epoll(); "
               "p.register(s, EPOLLIN | EPOLLET); p.poll(0); s.listen()")
    client.set(PORT=server.run("port_of(s)"))
    client.run("c = connect()")
    server.run("eventually(lambda: any(events & EPOLLIN "
               "for _, events in p.poll(8)))")
    server.run("a, _ = s.accept()")


def test_edge_on_a_listener_is_told_per_client(server, client, listener):
    server.run("s.setblocking(False); p = select.epoll(); "
               "p.register(s, EPOLLIN | EPOLLET)")
    for _ in range(3):
        client.run("c = connect()")
        assert server.run("p.poll(8)[0][1]") == server.run("EPOLLIN")
        server.run("a, _ = s.accept()")
        assert server.run("p.poll(0)") == []


def test_exclusive_waiters_on_a_listener_share_the_clients(server, client,
                                                           listener):
    server.run("""
s.setblocking(False)
taken = []
def waiter():
    p = select.epoll()
    p.register(s, EPOLLIN | EPOLLEXCLUSIVE)
    while len(taken) < 12:
        p.poll(0.2)
        try:
            taken.append(s.accept()[0])
        except BlockingIOError:
            pass
""")
    tasks = [server.spawn("waiter()") for _ in range(3)]
    client.run("socks = [connect() for _ in range(12)]")
    for task in tasks:
        task.join()
    assert server.run("len(taken)") == 12


def test_nested_epoll_passes_events_up(server, client, watched):
    server.run("watch(EPOLLIN); q = select.epoll(); "
               "q.register(p.fileno(), EPOLLIN)")
    assert server.run("q.poll(0)") == []
    task = server.spawn("q.poll(8)")
    task.assert_blocked()
    client.run("c.sendall(b'x')")
    assert len(task.join()) == 1


def test_adding_twice_says_it_exists(server, watched):
    server.run("watch(EPOLLIN)")
    assert server.errno("watch(EPOLLIN)") == EEXIST


def test_removing_what_is_not_there_says_so(server, watched):
    assert server.errno("p.unregister(a)") == ENOENT


def test_close_removes_the_registration(server, client, watched):
    server.run("watch(EPOLLIN)")
    client.run("c.sendall(b'x')")
    assert server.run("told(8)") == server.run("EPOLLIN")
    server.run("a.close()")
    assert server.run("told()") == 0


def test_modify_changes_what_is_told(server, client, watched):
    server.run("watch(EPOLLIN)")
    assert server.run("told()") == 0
    server.run("p.modify(a, EPOLLOUT)")
    assert server.run("told()") == server.run("EPOLLOUT")


def test_hundred_sockets_in_one_epoll_lose_no_event(server, client,
                                                    listener):
    server.run("s.listen(200)")
    client.run("socks = [connect() for _ in range(100)]")
    server.run("""
p, accepted, got = select.epoll(), {}, {}
for _ in range(100):
    a, _ = s.accept()
    accepted[a.fileno()] = a
    p.register(a, EPOLLIN | EPOLLET)
""")
    task = server.spawn("""
seen = 0
while seen < 100:
    events = p.poll(8)
    if not events:
        raise TimeoutError(f"only {seen} of 100 told")
    for fd, _ in events:
        seen += len(accepted[fd].recv(10))
seen
""")
    client.run("for c in socks: c.sendall(b'x')")
    assert task.join() == 100
