# SPDX-License-Identifier: GPL-2.0-or-later
"""Waits that spin before they sleep: when they do, and when they must not."""

import pytest

pytestmark = [pytest.mark.circuit, pytest.mark.remote, pytest.mark.one_family]

SYSCTL = "/proc/sys/net/vmcircuit/spin_us"
DEFAULT_US = "300"

# The client's guest counts its own waits only.
HELPERS = """
def spins():
    with open(STATS) as file:
        counts = dict(line.split() for line in file)
    return int(counts["spins_won"]), int(counts["spins_lost"])

def echo_stream(sock):
    while part := sock.recv(64):
        sock.sendall(part)

def echo_datagrams(sock):
    while (got := sock.recvfrom(64))[0] != b"end":
        sock.sendto(*got)

def round_trips(sock, count):
    for _ in range(count):
        sock.send(b"x")
        assert sock.recv(64) == b"x"

def until_spins_win(sock, deadline_s=40):
    begin, end = spins()[0], time.monotonic() + deadline_s
    while spins()[0] < begin + 3:
        assert time.monotonic() < end, f"only {spins()[0] - begin} spins won"
        round_trips(sock, 100)
"""


@pytest.fixture
def spinning(server, client):
    """Both guests, with long spins: the test machine may be busy."""
    for guest in (server, client):
        guest.run(HELPERS)
        guest.write(SYSCTL, "1000")
    yield
    for guest in (server, client):
        guest.write(SYSCTL, DEFAULT_US)


@pytest.fixture
def echoing(server, client, spinning, joined):
    task = server.spawn("echo_stream(a)")
    yield
    client.run("c.close()")
    task.join()


def test_short_waits_need_no_sleep(client, echoing):
    client.run("until_spins_win(c)", timeout=60)


def test_short_waits_for_room_need_no_sleep(server, client, spinning, joined):
    """The sender's guest receives nothing, so what spins there waits for room;
    few bytes may wait in the ring, so it is full all the time, never for long."""
    task = server.spawn("""
while a.recv(64 << 10):
    pass""")
    client.run("""
c.setsockopt(SOL_SOCKET, SO_SNDBUF, 16 << 10)
begin, end, data = spins()[0], time.monotonic() + 40, bytes(1 << 20)
while spins()[0] < begin + 3:
    assert time.monotonic() < end, f"only {spins()[0] - begin} spins won"
    c.sendall(data)
c.close()""", timeout=60)
    task.join()


@pytest.mark.own_proof
def test_short_waits_for_datagrams_need_no_sleep(server, client, spinning):
    port = server.run("""
u = socket.socket(FAMILY, socket.SOCK_DGRAM)
u.bind((SERVER, 0))
port_of(u)""")
    task = server.spawn("echo_datagrams(u)")
    client.run(f"""
v = socket.socket(FAMILY, socket.SOCK_DGRAM)
v.connect((SERVER, {port}))
until_spins_win(v)""", timeout=60)
    client.run("v.send(b'end')")
    task.join()


def test_nothing_spins_when_it_is_switched_off(client, echoing):
    client.write(SYSCTL, "0")
    before = client.run("spins()")
    client.run("round_trips(c, 500)")
    assert client.run("spins()") == before


def test_nothing_spins_while_others_want_the_processor(client, echoing):
    client.run("""
os.sched_setaffinity(0, {0})
busy = os.fork()
if not busy:
    while True:
        pass""")
    before = client.run("spins()")
    client.run("round_trips(c, 20)")
    assert client.run("spins()") == before
    client.run("os.kill(busy, signal.SIGKILL); os.waitpid(busy, 0)")


def test_long_waits_sleep(server, client, echoing):
    """In vain again and again: soon hardly any wait spins."""
    client.run("""
c.settimeout(None)
c.setsockopt(SOL_SOCKET, SO_RCVTIMEO, struct.pack("ll", 0, 5000))
before = sum(spins())
for _ in range(100):
    try:
        c.recv(64)
    except BlockingIOError:
        pass
""")
    assert client.run("sum(spins()) - before") < 25


@pytest.mark.no_circuit
def test_a_limit_beyond_a_millisecond_is_refused(client, spinning):
    assert client.errno(
        f"os.write(os.open({SYSCTL!r}, os.O_WRONLY), b'1001')") == 22
