# SPDX-License-Identifier: GPL-2.0-or-later
"""Many connections at once, and one after the other."""

import pytest

pytestmark = pytest.mark.remote

ECHO = """
def serve(s, count):
    "Echo on count connections, by one epoll loop, until all have ended."
    p, open_socks, ended = select.epoll(), {}, 0
    s.setblocking(False)
    p.register(s, EPOLLIN)
    while ended < count:
        for fd, events in p.poll(20) or [(-1, 0)]:
            if fd == -1:
                raise TimeoutError(f"{ended} of {count} ended")
            if fd == s.fileno():
                try:
                    while True:
                        a, _ = s.accept()
                        open_socks[a.fileno()] = a
                        p.register(a, EPOLLIN)
                except BlockingIOError:
                    pass
                continue
            data = open_socks[fd].recv(65536)
            if data:
                open_socks[fd].sendall(data)
            else:
                open_socks.pop(fd).close()
                ended += 1
    return ended
"""
LIMIT = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
"""


def test_five_hundred_connections_echo_at_once(server, client, listener):
    server.run(LIMIT + ECHO + "s.listen(1024)")
    echo = server.spawn("serve(s, 500)")
    client.run(LIMIT + "socks = [connect() for _ in range(500)]", 60)
    client.run("for i, c in enumerate(socks): c.sendall(pattern(2000, i))",
               60)
    assert client.run("[i for i, c in enumerate(socks) "
                      "if receive(c, 2000) != pattern(2000, i)]", 60) == []
    client.run("for c in socks: c.close()")
    assert echo.join(60) == 500


def test_connections_in_both_directions_at_once(server, client):
    for guest, host in ((server, "SERVER"), (client, "CLIENT")):
        guest.run(LIMIT + ECHO + f"s = listen(host={host}, backlog=1024)")
    ports = {server: client.run("port_of(s)"), client: server.run(
        "port_of(s)")}
    echoes = [guest.spawn("serve(s, 100)") for guest in (server, client)]
    tasks = []
    for guest, host in ((server, "CLIENT"), (client, "SERVER")):
        tasks.append(guest.spawn(f"""
socks = [connect({ports[guest]}, {host}) for _ in range(100)]
for i, c in enumerate(socks): c.sendall(pattern(5000, i))
bad = [i for i, c in enumerate(socks) if receive(c, 5000) != pattern(5000, i)]
for c in socks: c.close()
bad
"""))
    for task in tasks:
        assert task.join(60) == []
    for echo in echoes:
        assert echo.join(60) == 100


def cycles(server, client, count):
    server.run("s.listen(1024)\n" + """
def drain(count):
    for _ in range(count):
        a, _ = s.accept()
        a.recv(1)
        a.close()
    return count
""")
    task = server.spawn(f"drain({count})")
    client.run(f"for _ in range({count}): connect().close()", 300)
    assert task.join(60) == count


MEMORY = """
open("/proc/sys/vm/drop_caches", "w").write("3")
int(next(line.split()[1] for line in open("/proc/meminfo")
         if line.startswith("MemAvailable")))
"""


@pytest.mark.parametrize("count", [
    1000, pytest.param(10000, marks=pytest.mark.long)])
def test_memory_returns_after_opening_and_closing(server, client, listener,
                                                  count, eventually):
    cycles(server, client, 200)     # caches of the kernel grow once
    before = {guest: guest.run(MEMORY) for guest in (server, client)}
    cycles(server, client, count)
    for guest in (server, client):
        # 4 KiB for each connection would be far more than this.
        eventually(lambda: guest.run(MEMORY) > before[guest] -
                   max(2 * count, 2500),
                   "memory is back", 15)


def test_every_port_of_a_busy_client_differs(server, client, listener):
    server.run(LIMIT + "s.listen(1024)")
    assert client.run(LIMIT + "socks = [connect() for _ in range(300)]; "
                      "len({port_of(c) for c in socks})", 60) == 300


def test_slow_reader_does_not_hold_up_another(server, client, listener):
    client.run("slow = connect(); fast = connect()")
    server.run("a, _ = s.accept(); b, _ = s.accept()")
    client.run("fill_stably(slow)")
    task = client.spawn("fast.sendall(pattern(4 << 20)); "
                        "fast.shutdown(SHUT_WR)")
    assert server.run("read_to_end(b) == pattern(4 << 20)")
    task.join()


def test_connections_survive_the_churn_of_others(server, client, joined):
    echo = server.spawn("""
while part := a.recv(65536):
    a.sendall(part)
""")
    churn = server.spawn("for _ in range(200): s.accept()[0].close()")
    busy = client.spawn("for _ in range(200): d = connect(); d.recv(1); "
                        "d.close()")
    assert client.run("""
bad = 0
for i in range(200):
    c.sendall(pattern(1000, i))
    bad += receive(c, 1000) != pattern(1000, i)
c.shutdown(SHUT_WR)
bad
""", 60) == 0
    for task in (echo, churn, busy):
        task.join(60)
