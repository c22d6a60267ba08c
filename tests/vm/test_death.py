# SPDX-License-Identifier: GPL-2.0-or-later
"""Processes, VMs and switches that die: an error within a second, no hang."""

from errno import (ECONNREFUSED, ECONNRESET, EHOSTUNREACH, ENETUNREACH,
                   ETIMEDOUT)
import os
import signal

import pytest

# A second, and what an emulated machine under load needs to tell of it.
SOON_S = 1.6

@pytest.fixture
def clock():
    import time

    class Clock:
        """Seconds since start()."""

        def start(self):
            self.begin = time.monotonic()

        def spent(self):
            return time.monotonic() - self.begin
    return Clock()


# -- processes: the same over TCP

def test_killed_process_ends_its_connection(server, client, joined, clock):
    server.run("pid = os.fork()\nif pid == 0:\n    signal.pause()\n"
               "a.close()")
    task = client.spawn("c.recv(1)").block()
    clock.start()
    server.run("os.kill(pid, SIGKILL)")
    assert task.join() == b""
    assert clock.spent() < SOON_S


def test_killed_process_with_unread_bytes_resets(server, client, joined,
                                                 clock):
    server.run("pid = os.fork()\nif pid == 0:\n    signal.pause()\n")
    client.run("c.sendall(b'unread')")
    server.run("eventually(lambda: unread(a) == 6); a.close()")
    task = client.spawn("c.recv(1)").block()
    clock.start()
    server.run("os.kill(pid, SIGKILL)")
    assert task.errno() == ECONNRESET
    assert clock.spent() < SOON_S


def test_killed_process_resets_whom_it_had_not_accepted(server, client):
    server.run("""
r, w = os.pipe()
pid = os.fork()
if pid == 0:
    s = listen()
    os.write(w, str(port_of(s)).encode())
    signal.pause()
""")
    client.set(PORT=server.run("int(os.read(r, 10))"))
    client.run("c = connect()")
    server.run("os.kill(pid, SIGKILL)")
    assert client.errno("wait_ready(c, POLLIN); c.recv(1)") == ECONNRESET


def test_killed_process_frees_its_port(server, client, listener):
    server.run("pid = os.fork()\nif pid == 0:\n    signal.pause()\n"
               "s.close()\nos.kill(pid, SIGKILL)\nos.waitpid(pid, 0)\n"
               "s = listen(PORT)")
    client.run("c = connect(); c.sendall(b'x')")
    assert server.run("a, _ = s.accept(); receive(a, 1)") == b"x"


def test_killed_writer_leaves_its_bytes_to_the_reader(server, client, joined):
    client.run("""
pid = os.fork()
if pid == 0:
    c.sendall(b"testament")
    signal.pause()
c.close()
""")
    server.run("eventually(lambda: unread(a) == 9)")
    client.run("os.kill(pid, SIGKILL)")
    assert server.run("read_to_end(a)") == b"testament"


# -- VMs and the switch

def circuit(function):
    """What dies takes circuits along whatever their family is."""
    for mark in (pytest.mark.circuit, pytest.mark.remote,
                 pytest.mark.any_family):
        function = mark(function)
    return function


@pytest.fixture
def deadly(world, server, client):
    """What may be said of a death: guests warn once, the switch informs."""
    for guest in world.guests:
        guest.tell("vmcircuit: (the switch|peer|link)")
    world.tell('vm "vm2"|vm2')
    world.trouble = ("switch_lost",)
    return world


@circuit
@pytest.mark.one_family
def test_killed_vm_resets_who_waits_for_it_and_nobody_else(
        deadly, server, client, joined, clock):
    third = deadly.guests[2]
    third.set(FAMILY=2, SERVER=server.v4, CLIENT=third.v4,
              PORT=server.run("t = listen(); port_of(t)"))
    third.run("e = connect()")
    server.run("f, _ = t.accept()")
    client.run("d = connect()")
    server.run("b, _ = s.accept(); fill_stably(b)")
    reader = server.spawn("a.recv(1)").block()
    writer = server.spawn("b.send(bytes(1000), MSG_NOSIGNAL)").block()
    poller = server.spawn("wait_ready(a, POLLIN)").block()
    clock.start()
    client.vm.kill()
    assert reader.errno() == ECONNRESET
    assert clock.spent() < SOON_S
    assert writer.errno() == ECONNRESET
    assert poller.join() & server.run("POLLERR | POLLHUP")
    assert clock.spent() < 2 * SOON_S
    third.run("e.sendall(b'unmoved')")
    assert server.run("receive(f, 7)") == b"unmoved"


@circuit
@pytest.mark.one_family
def test_killed_vm_is_nobody_until_it_is_back(deadly, server, client,
                                              listener):
    # vm1 dials vm2, where somebody listened.
    port = client.run("s = listen(host=CLIENT); port_of(s)")
    server.run(f"c = connect({port}, CLIENT)")
    client.vm.kill()
    assert server.errno("wait_ready(c, POLLIN); c.recv(1)") == ECONNRESET
    number = server.errno(f"connect({port}, CLIENT)")
    assert number in (ECONNREFUSED, EHOSTUNREACH, ETIMEDOUT)
    deadly.reboot(client)
    # And it dials vm1, whose listener is from before.
    client.set(FAMILY=2, SERVER=server.v4, CLIENT=client.v4, PORT=listener)
    client.run("c = connect(); c.sendall(b'back')")
    assert server.run("a, _ = s.accept(); receive(a, 4)") == b"back"


@circuit
def test_crash_of_the_switch_resets_circuits(deadly, server, client, joined,
                                             clock):
    tasks = [server.spawn("a.recv(1)").block(),
             client.spawn("c.recv(1)").block()]
    clock.start()
    deadly.crash()
    for task in tasks:
        assert task.errno() == ECONNRESET
    assert clock.spent() < SOON_S


@circuit
def test_crash_of_the_switch_wakes_pollers(deadly, server, client, joined,
                                           clock):
    task = client.spawn("wait_ready(c, POLLIN)").block()
    clock.start()
    deadly.crash()
    assert task.join() & client.run("POLLERR | POLLHUP")
    assert clock.spent() < SOON_S


@circuit
def test_crash_of_the_switch_wakes_writers(deadly, server, client, joined,
                                           clock):
    client.run("fill_stably(c)")
    task = client.spawn("c.send(bytes(1000), MSG_NOSIGNAL)").block()
    clock.start()
    deadly.crash()
    assert task.errno() == ECONNRESET
    assert clock.spent() < SOON_S


@circuit
def test_switch_after_a_crash_serves_without_a_reboot(deadly, server, client,
                                                      joined):
    deadly.crash()
    assert client.errno("c.recv(1)") == ECONNRESET
    deadly.wait_attached()
    client.run("d = connect(); d.sendall(b'new')")
    # The listener is the one from before.
    assert server.run("s.setsockopt(SOL_SOCKET, SO_RCVTIMEO, timeval(8))\n"
                      "b, _ = s.accept()\nreceive(b, 3)") == b"new"


@circuit
def test_orderly_restart_of_the_switch_resets_and_serves(deadly, server,
                                                         client, joined,
                                                         clock):
    task = client.spawn("c.recv(1)").block()
    clock.start()
    deadly.switch.restart()
    assert task.errno() == ECONNRESET
    assert clock.spent() < SOON_S
    deadly.wait_attached()
    client.run("d = connect(); d.sendall(b'new')")
    assert server.run("b, _ = s.accept(); receive(b, 3)") == b"new"


@circuit
def test_connect_under_way_ends_when_the_switch_crashes(deadly, server,
                                                        client):
    client.set(PORT=server.run("s = listen(backlog=0); port_of(s)"))
    client.run("first = connect()")
    server.run("wait_ready(s, POLLIN)")
    task = client.spawn("connect()").block()
    deadly.crash()
    assert task.errno() in (ECONNRESET, ECONNREFUSED, ETIMEDOUT,
                            EHOSTUNREACH, ENETUNREACH)


@circuit
@pytest.mark.one_family
def test_three_crashes_of_the_switch_are_survived(deadly, server, client,
                                                  listener):
    for _ in range(3):
        deadly.crash()
        deadly.wait_attached()
        client.run("c = connect(); c.sendall(b'x')")
        assert server.run("a, _ = s.accept(); receive(a, 1)") == b"x"


@circuit
def test_switch_that_hangs_is_taken_for_dead(deadly, server, client, joined,
                                             clock):
    task = client.spawn("c.recv(1)").block()
    clock.start()
    deadly.freeze()
    assert task.errno() == ECONNRESET
    assert clock.spent() < SOON_S


@circuit
def test_switch_that_hung_serves_again(deadly, server, client, joined):
    deadly.freeze()
    assert client.errno("c.recv(1)") == ECONNRESET
    assert server.errno("a.recv(1)") == ECONNRESET
    deadly.thaw()
    deadly.wait_attached()
    client.run("d = connect(); d.sendall(b'new')")
    assert server.run("b, _ = s.accept(); receive(b, 3)") == b"new"


@circuit
def test_vm_that_hangs_is_spoken_for_once(deadly, server, client, listener):
    """And who dials it then is served when it goes on."""
    client.run("w = connect()")
    server.run("v, _ = s.accept()")
    pid = server.vm.qemu.pid()
    os.kill(pid, signal.SIGSTOP)
    try:
        client.run("c, _ = dial(); d, _ = dial()")
        assert client.run("wait_ready(c, POLLOUT)") == client.run("POLLOUT")
        client.run("c.sendall(b'first')")
        assert client.run("ready(d, POLLOUT, 300)") == 0
    finally:
        os.kill(pid, signal.SIGCONT)
    assert client.run("wait_ready(d, POLLOUT)") == client.run("POLLOUT")
    client.run("d.sendall(b'second')")
    assert server.run("[receive(s.accept()[0], n) for n in (5, 6)]") == \
        [b"first", b"second"]


LOST = """
def lost():
    with open("/proc/net/vmcircuit/status") as file:
        return "attached" not in file.read()
eventually(lost)
"""


@circuit
@pytest.mark.own_proof
def test_connect_without_a_switch_falls_back_and_is_counted(deadly, server,
                                                            client, joined):
    before = client.run("stats()")
    deadly.freeze()
    client.run(LOST + "d, number = dial(80)")
    after = client.run("stats()")
    assert after["fallback_switch_gone"] > before["fallback_switch_gone"]
    assert after["circuits_connected"] == before["circuits_connected"]


@circuit
@pytest.mark.own_proof
def test_local_connections_work_without_a_switch(deadly, server, client,
                                                 joined):
    deadly.freeze()
    assert server.run(LOST + """
t = listen(); d = connect(port_of(t), SERVER); b, _ = t.accept()
d.sendall(b"near")
receive(b, 4)
""") == b"near"


@circuit
@pytest.mark.own_proof
def test_listener_made_without_a_switch_serves_circuits_later(
        deadly, server, client, joined):
    deadly.freeze()
    port = server.run(LOST + "t = listen(); port_of(t)")
    deadly.thaw()
    deadly.wait_attached()
    before = client.run("stats()['circuits_connected']")
    client.run(f"d = connect({port}); d.sendall(b'x')")
    assert server.run("b, _ = t.accept(); receive(b, 1)") == b"x"
    assert client.run("stats()['circuits_connected']") == before + 1


@circuit
@pytest.mark.one_family
def test_end_of_the_switch_for_good_resets_circuits(deadly, server, client,
                                                    joined, clock):
    # The last of all cases: the VMs must start anew after it.
    task = client.spawn("c.recv(1)").block()
    clock.start()
    deadly.switch.kill()
    assert task.errno() == ECONNRESET
    assert clock.spent() < SOON_S
