# SPDX-License-Identifier: GPL-2.0-or-later
"""Host processes as endpoints, with guests that do not notice.

The host's side works through libvmcircuit, the guests' programs with ordinary
sockets.
"""

import threading
from errno import (EAGAIN, ECONNREFUSED, ECONNRESET, EHOSTUNREACH, ENOTCONN,
                   EPIPE)

import pytest

from endpoint import (LIBRARY, WAIT_DATA, WAIT_SPACE, Endpoint, Process,
                      errno_of)
from lab.configuration import ENDPOINT, ENDPOINT_ADDRESSES
from puppet import digest, pattern

pytestmark = [pytest.mark.circuit, pytest.mark.remote]

PORT = 7100
SIZE = (5 << 20) + 1234
# Of a megabyte that a guest writes, so much is in the ring at most.
RING_BYTES = 1 << 20


@pytest.fixture
def endpoint(world, server):
    """The host's process, for the lab's endpoint."""
    endpoint = Endpoint(LIBRARY, world.switch.endpoint)
    yield endpoint
    endpoint.close()


@pytest.fixture
def process(world, server):
    """A process of its own, which may be killed."""
    process = Process(LIBRARY, str(world.switch.endpoint))
    yield process
    process.close()


@pytest.fixture
def here(family):
    """The endpoint's address."""
    return ENDPOINT_ADDRESSES[family == "inet6"]


@pytest.fixture
def dialled(endpoint, server, listener, family):
    """The process has dialled the guest: `a` in the server, this here."""
    connection = endpoint.dial(server.address(family), listener)
    server.run("a, name = s.accept()")
    return connection


@pytest.fixture
def accepted(endpoint, server, here):
    """The guest has dialled the process: `c` in the server, this here."""
    place = endpoint.listen(here, PORT)
    server.run(f"c = connect({PORT}, '{here}')")
    return place.accept()[0]


def rows(world):
    """The endpoint's processes, as vmcircuitctl has them."""
    return [row for row in world.ask("list") if row["name"] == ENDPOINT]


# -- names and refusals

def test_process_dials_a_guest(server, dialled, here):
    assert server.run("name[0], a.getpeername()[0], a.getsockname()[1]"
                      " == PORT") == (here, here, True)


def test_guest_dials_a_process(server, endpoint, here, family):
    place = endpoint.listen(here, PORT)
    own, peer = server.run(f"c = connect({PORT}, '{here}')\n"
                           "c.getsockname()[:2], c.getpeername()[:2]")
    _, name = place.accept()
    assert name == own and own[0] == server.address(family)
    assert peer == (here, PORT)


@pytest.mark.no_circuit
def test_nobody_listens(server, endpoint, here, family):
    port = server.run("unused_port()")
    assert errno_of(endpoint.dial, server.address(family), port) == \
        ECONNREFUSED
    assert server.errno(f"connect({PORT}, '{here}')") == ECONNREFUSED


@pytest.mark.one_family
@pytest.mark.no_circuit
def test_no_process_is_there(server, here):
    assert server.errno(f"connect({PORT}, '{here}')") == EHOSTUNREACH


@pytest.mark.one_family
@pytest.mark.no_circuit
def test_address_of_nobody(server, endpoint, here):
    assert errno_of(endpoint.dial, here[:-3] + "99", 80) == EHOSTUNREACH


@pytest.mark.one_family
def test_guest_need_not_wait_for_accept(server, endpoint, here):
    place = endpoint.listen("0.0.0.0", PORT)
    server.run(f"c = connect({PORT}, '{here}'); c.sendall(b'early')")
    server.run(f"d = connect({PORT}, '{here}'); d.close()")
    connection, _ = place.accept()
    assert connection.recv(9) == b"early"
    connection, _ = place.accept()
    assert connection.recv(9) == b""


@pytest.mark.one_family
def test_who_is_not_accepted_is_reset(server, endpoint, here):
    place = endpoint.listen(here, PORT)
    server.run(f"c = connect({PORT}, '{here}')")
    place.close()
    assert server.errno("wait_ready(c, POLLIN); c.recv(1)") == ECONNRESET
    assert server.errno(f"connect({PORT}, '{here}')") == ECONNREFUSED


@pytest.mark.one_family
@pytest.mark.fallback
def test_backlog_of_a_process_has_an_end(server, endpoint, here):
    place = endpoint.listen(here, PORT)
    made, error = server.run(f"""
made = []
try:
    while len(made) < 2000:
        made.append(connect({PORT}, '{here}'))
except OSError as failure:
    error = failure.errno
len(made), error
""", 60)
    assert 64 <= made < 2000 and error == ECONNREFUSED
    for _ in range(made):
        place.accept()[0].close()
    server.run(f"connect({PORT}, '{here}')")


# -- bytes

def both_ways(guest, name, connection):
    """Send a pattern each way at once; both compare."""
    task = guest.spawn(f"""
t = threading.Thread(target={name}.sendall, args=(pattern({SIZE}, 1),))
t.start()
got = digest(receive({name}, {SIZE}))
t.join()
got
""")
    sender = threading.Thread(target=connection.send,
                              args=(pattern(SIZE, 2),))
    sender.start()
    assert digest(connection.receive(SIZE)) == digest(pattern(SIZE, 1))
    sender.join()
    assert task.join(30) == digest(pattern(SIZE, 2))


def test_bytes_go_both_ways_when_dialled(server, dialled):
    both_ways(server, "a", dialled)


def test_bytes_go_both_ways_when_accepted(server, accepted):
    both_ways(server, "c", accepted)


@pytest.mark.one_family
def test_two_processes_and_a_guest_at_once(world, server, endpoint, process,
                                           here):
    place = endpoint.listen(here, PORT)
    process.run(f"other = endpoint.listen('{here}', {PORT + 1})")
    task = server.spawn(f"d = connect({PORT + 1}, '{here}')\n"
                        "d.sendall(b'to the other')\nd.recv(99)")
    assert process.run("c, name = other.accept()\nc.recv(99)") == \
        b"to the other"
    process.run("c.send(b'from the other')")
    assert task.join() == b"from the other"
    assert len(rows(world)) == 2
    # And between the two, the switch aside.
    process.run(f"e = endpoint.dial('{here}', {PORT})")
    between, _ = place.accept()
    process.run("e.send(b'of one host')")
    assert between.recv(99) == b"of one host"


@pytest.mark.one_family
def test_many_circuits(server, endpoint, listener, family):
    count = 200
    accepting = server.spawn(
        f"accepted = [s.accept()[0] for _ in range({count})]")
    connections = [endpoint.dial(server.address(family), listener)
                   for _ in range(count)]
    accepting.join()
    for number, connection in enumerate(connections):
        connection.send(number.to_bytes(4, "big"))
    numbers = server.run("[int.from_bytes(receive(a, 4), 'big')"
                         " for a in accepted]")
    assert numbers == list(range(count))
    server.run("for a in accepted: a.sendall(b'!'); a.close()")
    assert all(connection.read_to_end() == b"!"
               for connection in connections)


@pytest.mark.one_family
def test_poll_loop(server, accepted):
    import select
    poll = select.poll()
    poll.register(accepted.fd(), accepted.events(WAIT_DATA))
    task = server.spawn("""
for number in range(300):
    c.sendall(b'%5d' % number)
    receive(c, 5)
""")
    got = b""
    while len(got) < 1500:
        try:
            part = accepted.recv(99, 0)
            got += part
            if len(got) % 5 == 0:
                accepted.send(got[-5:])
        except BlockingIOError:
            assert poll.poll(5000), "no bell in five seconds"
    task.join()
    assert got == b"".join(b"%5d" % number for number in range(300))


# -- ends

@pytest.mark.one_family
def test_half_close_by_the_process(server, dialled):
    dialled.send(b"last words")
    dialled.shutdown()
    assert server.run("read_to_end(a)") == b"last words"
    server.run("a.sendall(b'answer'); a.close()")
    assert dialled.read_to_end() == b"answer"
    assert errno_of(dialled.send, b"x") == EPIPE


@pytest.mark.one_family
def test_half_close_by_the_guest(server, dialled):
    server.run("a.sendall(b'last words'); a.shutdown(SHUT_WR)")
    assert dialled.read_to_end() == b"last words"
    dialled.send(b"answer")
    dialled.close()
    assert server.run("read_to_end(a)") == b"answer"


@pytest.mark.one_family
def test_guest_resets(server, dialled):
    server.run("linger(a, 1, 0); a.close()")
    assert errno_of(dialled.recv, 1) == ECONNRESET


@pytest.mark.one_family
def test_close_with_unread_bytes_resets_the_guest(server, dialled):
    server.run("a.sendall(b'unread')")
    assert dialled.wait(WAIT_DATA)
    dialled.close()
    assert server.errno("wait_ready(a, POLLIN); a.recv(1)") == ECONNRESET


@pytest.mark.one_family
def test_full_ring_blocks_and_goes_on(server, dialled):
    sent = dialled.send(bytes(2 * RING_BYTES), 100)
    assert sent == RING_BYTES
    assert errno_of(dialled.send, b"x", 0) == EAGAIN
    task = server.spawn(f"len(receive(a, {RING_BYTES}))")
    assert dialled.wait(WAIT_SPACE)
    assert task.join() == RING_BYTES


@pytest.mark.one_family
def test_guest_reads_what_a_killed_process_sent(world, server, process,
                                                listener, family):
    process.run(f"c = endpoint.dial('{server.address(family)}', {listener})")
    server.run("a, name = s.accept()")
    process.run(f"c.send(bytes({RING_BYTES}))")
    process.kill()
    assert server.run("len(read_to_end(a))") == RING_BYTES
    assert server.run("sent_until_error(a)") in (EPIPE, ECONNRESET)
    server.run("a.close()")
    assert [row["state"] for row in rows(world)] == ["absent"]


@pytest.mark.one_family
def test_links_of_processes_that_left_are_given_back(world, server, listener,
                                                     family, eventually):
    def mapped():
        return next(row["segments_mapped"] for row in world.ask("stats")
                    if row["name"] == server.name)
    before = mapped()
    # More than a VM can have links at once.
    for number in range(64):
        endpoint = Endpoint(LIBRARY, world.switch.endpoint)
        connection = endpoint.dial(server.address(family), listener)
        connection.send(b"%d" % number)
        endpoint.close()
        assert server.run("a, name = s.accept()\nread_to_end(a)") == \
            b"%d" % number
        server.run("a.close()")
    eventually(lambda: mapped() <= before, "the segments are unmapped")


@pytest.mark.one_family
@pytest.mark.own_proof
def test_guest_that_dies_resets(world, server, dialled):
    task = threading.Thread(target=world.reboot, args=(server,))
    task.start()
    try:
        assert errno_of(dialled.recv, 1) == ECONNRESET
    finally:
        task.join()


@pytest.mark.one_family
def test_switch_that_dies_resets_circuits_to_guests(world, server, endpoint,
                                                    dialled, listener,
                                                    family):
    world.tell("switch")
    world.crash()
    assert errno_of(dialled.recv, 1) == ECONNRESET
    assert errno_of(endpoint.dial, server.address(family), listener) == \
        ENOTCONN
    world.wait_attached()
    again = Endpoint(LIBRARY, world.switch.endpoint)
    server.run("s.close(); s = listen(PORT)")
    again.dial(server.address(family), listener).send(b"again")
    assert server.run("a, name = s.accept()\na.recv(9)") == b"again"
    again.close()
