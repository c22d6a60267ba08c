# SPDX-License-Identifier: GPL-2.0-or-later
"""How flows come and go: idle ones end, many are possible, peers and switches
vanish. The helpers in the guests are those of datagram.py.
"""

from errno import EHOSTUNREACH

import pytest

from datagrams import helpers, known, waiting  # noqa: F401 (fixtures)
from world import wait_until

pytestmark = [pytest.mark.circuit, pytest.mark.remote,
              pytest.mark.one_family]

IDLE = "/proc/sys/net/vmcircuit/idle_ms"


@pytest.fixture
def impatient(server, client):
    """Flows that nobody uses end after a second."""
    for guest in (server, client):
        guest.write(IDLE, "1000")
    yield
    for guest in (server, client):
        guest.write(IDLE, "30000")


def flows(guest):
    return guest.run("stats()['circuits_open']")


def test_a_flow_that_nobody_uses_ends_and_comes_again(server, client,
                                                      impatient, known):
    assert flows(client) == 1
    for number in range(2):
        wait_until(lambda: flows(client) == flows(server) == 0,
                   "the flow has ended")
        client.run(f"c.send(payload({number}, 700))")
        assert server.run(f"s.recv(1000) == payload({number}, 700)")
        server.run("s.sendto(b'back', name[:2])")
        assert client.run("c.recv(100)") == b"back"


def test_a_flow_in_use_stays(server, client, impatient, known):
    made = client.run("stats()['circuits_connected']")
    client.run("""
for number in range(30):
    c.send(b'x')
    time.sleep(0.1)
""")
    server.run("[s.recv(10) for _ in range(30)]")
    assert client.run("stats()['circuits_connected']") == made


def test_nothing_is_lost_when_flows_end_under_traffic(server, client,
                                                      impatient, known):
    # Pauses about as long as it takes: ends and datagrams cross.
    task = server.spawn("s.settimeout(15); take(s, 36)")
    sent = client.run("""
chosen = random.Random(1)
def went():
    for number in range(36):
        data = payload(number, chosen.randrange(1, 3000))
        c.send(data)
        yield data
        if number % 3 == 2: time.sleep(0.9 + chosen.random() * 0.3)
digest_of(went())
""", 40)
    assert task.join(30) == sent


def test_what_waits_to_be_read_keeps_its_flow(server, client, impatient,
                                              known):
    # More than the receive buffer takes.
    server.run("s.setsockopt(SOL_SOCKET, SO_RCVBUF, 3000)")
    sent = client.run("""
for number in range(60): c.send(payload(number, 1000))
digest_of(payload(number, 1000) for number in range(60))
""")
    client.run("time.sleep(4)")
    assert server.run("take(s, 60)") == sent


def test_closing_the_socket_ends_its_flows(server, client, known):
    client.run("c.close()")
    wait_until(lambda: flows(client) == flows(server) == 0,
               "both ends are closed")


def test_a_process_that_dies_ends_its_flows(server, client, waiting):
    client.run("""
def child():
    d = udp()
    d.sendto(b'last words', target())
    os.kill(os.getpid(), 9)
in_child(child)
""")
    assert server.run("s.recv(100)") == b"last words"
    wait_until(lambda: flows(client) == flows(server) == 0,
               "both ends are closed")


def open_flows(server, client, count, batch, size, deadline_s):
    """Make `clients`, and exchange a datagram of so many bytes with each."""
    client.run("import resource; resource.setrlimit(resource.RLIMIT_NOFILE, "
               f"({2 * count + 1000},) * 2); clients = []")
    for _ in range(count // batch):
        task = server.spawn(f"echo(s, {batch})")
        assert client.run(f"""
new = [udp() for _ in range({batch})]
for c in new: c.connect(target())
for number, c in enumerate(new): c.send(payload(number, {size}))
clients += new
all(c.recv(1000) == payload(number, {size}) for number, c in enumerate(new))
""", 60)
        task.join(deadline_s)


def test_thousands_of_flows_through_one_socket(server, client, waiting):
    count = 2000
    open_flows(server, client, count, 100, 200, 30)
    assert flows(server) == flows(client) == count
    # Those that were there all the time still work.
    task = server.spawn("echo(s, 200)")
    assert client.run("""
chosen = random.Random(2).sample(clients, 200)
for number, c in enumerate(chosen): c.send(payload(number, 300))
all(c.recv(1000) == payload(number, 300) for number, c in enumerate(chosen))
""", 60)
    task.join(30)
    client.run("for c in clients: c.close()", 60)
    wait_until(lambda: flows(client) == flows(server) == 0,
               "all flows are closed", 60)


@pytest.mark.long
def test_ten_thousand_flows_through_one_socket(server, client, waiting):
    open_flows(server, client, 10000, 200, 100, 60)
    client.run("for c in clients: c.close()", 120)
    wait_until(lambda: flows(client) == flows(server) == 0,
               "all flows are closed", 120)


def test_sockets_close_while_others_send(server, client, helpers):
    """Both ends come and go while datagrams fly; nothing hangs or leaks."""
    port = server.run("""
def serve(seconds):
    end, heard = time.monotonic() + seconds, 0
    t = udp(0); port = port_of(t); t.close()
    while time.monotonic() < end:
        u = udp(port, timeout=0.05)
        for _ in range(20):
            try:
                data, name = u.recvfrom(2000)
                u.sendto(data, name)
                heard += 1
            except OSError: pass
        u.close()
    return heard
t = udp(0); port = port_of(t); t.close()
port
""")
    client.set(PORT=port)
    server.run(f"""
def serve_port(seconds):
    end, heard = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        u = udp({port}, timeout=0.02)
        for _ in range(20):
            try:
                data, name = u.recvfrom(2000)
                u.sendto(data, name)
                heard += 1
            except OSError: pass
        u.close()
    return heard
""")
    task = server.spawn("serve_port(6)")
    client.run("""
def bother(seconds):
    end, chosen = time.monotonic() + seconds, random.Random(4)
    while time.monotonic() < end:
        d = udp(timeout=0.01)
        if chosen.random() < 0.5: d.connect(target())
        for _ in range(chosen.randrange(1, 30)):
            try:
                if chosen.random() < 0.3: d.recv(2000)
                else: d.sendto(bytes(chosen.randrange(1500)), target())
            except OSError: pass
        d.close()
threads = [threading.Thread(target=bother, args=(5,)) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
""", 30)
    assert task.join(20) > 0


def test_outside_there_is_nobody(server, client, helpers):
    # UDP keeps it from sockets that do not ask.
    client.run("""
c = udp()
c.setsockopt(IPPROTO_IP, IP_RECVERR, 1)
c.connect((SERVER.rsplit('.', 1)[0] + '.250', 9))
c.send(b'x')
""")
    assert client.errno("c.recv(10)") == EHOSTUNREACH
    # For the proof that circuits are used.
    client.set(PORT=server.run("s = udp(0); port_of(s)"))
    client.run("d = udp(); d.sendto(b'x', target())")
    assert server.run("s.recv(10)") == b"x"
