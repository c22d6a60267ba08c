# SPDX-License-Identifier: GPL-2.0-or-later
"""What is lost when a receiver does not keep up, and that it is counted.

A receiver that does not read holds a sender up, and what is given up after
10 ms is counted at the sender, at the receiver, and by the switch: sent is
received and counted, exactly. The helpers in the guests are those of
datagram.py.
"""

import json
from errno import EAGAIN, ECONNREFUSED

import pytest

from datagrams import helpers, known, waiting  # noqa: F401 (fixtures)

pytestmark = [pytest.mark.circuit, pytest.mark.remote]

one_family = pytest.mark.one_family

COUNTERS = ("datagrams_sent", "datagrams_received", "datagrams_refused",
            "datagrams_unreachable", "datagrams_unsent",
            "datagrams_unsent_peer", "datagrams_unread")

# A datagram each time send() returns; how many went, however long it took.
SEND = """
def send_for(sock, seconds, size=1400):
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        try:
            sock.send(count.to_bytes(8, "big") + bytes(size - 8))
            count += 1
        except BlockingIOError:
            select.select([], [sock], [], 0.05)
    return count
"""

# Each is seen once, in order, and whole.
RECEIVE = """
def receive_slowly(sock, pause_s, quiet_s=1.0):
    numbers = []
    sock.settimeout(quiet_s)
    while True:
        try:
            data = sock.recv(70000)
        except TimeoutError:
            return numbers
        numbers.append(int.from_bytes(data[:8], "big"))
        if pause_s:
            time.sleep(pause_s)
"""


@pytest.fixture
def risen(server, client):
    before = {guest: guest.run("stats()") for guest in (server, client)}

    def counters(guest):
        now = guest.run("stats()")
        return {name: now[name] - before[guest][name] for name in COUNTERS}
    return counters


def unsent_by_switch(world, guest):
    return world.switch_stats(guest)["datagrams_unsent"]


@pytest.mark.any_family
@pytest.mark.parametrize("is_blocking", [True, False],
                         ids=["blocking", "nonblocking"])
def test_what_a_silent_receiver_does_not_take_is_counted(
        world, server, client, known, risen, is_blocking):
    before = unsent_by_switch(world, client)
    client.run(SEND)
    server.run(RECEIVE)
    went = client.run(f"c.setblocking({is_blocking}); send_for(c, 3)", 30)
    numbers = server.run("receive_slowly(s, 0)", 60)
    sender, receiver = risen(client), risen(server)
    assert len(numbers) < went
    assert numbers == sorted(set(numbers))
    # The first, of the fixture, was before these counters.
    assert sender["datagrams_sent"] == len(numbers)
    assert sender["datagrams_sent"] + sender["datagrams_unsent"] == went
    assert receiver["datagrams_received"] == len(numbers)
    assert receiver["datagrams_unsent_peer"] == sender["datagrams_unsent"]
    assert unsent_by_switch(world, client) - before == \
        sender["datagrams_unsent"]


@one_family
def test_a_silent_receiver_holds_a_sender_no_longer_than_it_may(
        server, client, known):
    client.run(SEND)
    # Until the ring and the buffer are full.
    client.run("send_for(c, 1)")
    times = client.run("""
c.setblocking(True)
found = []
for _ in range(200):
    _, seconds = timed(c.send, bytes(1400))
    found.append(seconds)
found
""", 30)
    # 10 ms, and what a busy machine adds to single ones.
    assert sorted(times)[100] < 0.02
    assert sum(times) < 200 * 0.02


@one_family
def test_a_silent_receiver_does_not_stop_what_goes_to_others(server, client,
                                                             known):
    other = server.run("t = udp(0); port_of(t)")
    client.run(SEND + f"""
u = udp()
u.connect(target())
stop = threading.Event()
def flood():
    while not stop.is_set(): u.send(bytes(1400))
threading.Thread(target=flood, daemon=True).start()
""")
    task = server.spawn("echo(t, 50)")
    assert client.run(f"""
d = udp()
d.connect((SERVER, {other}))
for number in range(50):
    d.send(payload(number, 300))
    assert d.recv(1000) == payload(number, 300)
stop.set()
""", 60) is None
    task.join()


@one_family
def test_the_overflow_is_told_to_the_receiver(server, client, known):
    client.run(SEND)
    server.run(f"s.setsockopt(SOL_SOCKET, SO_RXQ_OVFL, 1)")
    went = client.run("send_for(c, 2)", 30)
    got, told = server.run("""
got, told = 0, 0
s.settimeout(1)
while True:
    try:
        _, ancillary, _, _ = s.recvmsg(2000, 100)
    except TimeoutError:
        break
    got += 1
    for level, kind, data in ancillary:
        if kind == SO_RXQ_OVFL: told = struct.unpack("I", data)[0]
got, told
""", 60)
    assert got < went
    # A last few may have been lost after the last that was received.
    assert 0 < told <= went - got


@one_family
@pytest.mark.parametrize("pause_s", [
    0.002, pytest.param(0.0005, marks=pytest.mark.long)])
def test_a_slow_receiver_loses_nothing_uncounted(world, server, client, known,
                                                 risen, pause_s):
    client.run(SEND)
    server.run(RECEIVE)
    task = server.spawn(f"receive_slowly(s, {pause_s}, 3)")
    went = client.run("c.setblocking(True); send_for(c, 6)", 60)
    numbers = task.join(60)
    sender, receiver = risen(client), risen(server)
    assert numbers == sorted(set(numbers))
    assert len(numbers) == receiver["datagrams_received"] == \
        sender["datagrams_sent"]
    assert went == len(numbers) + sender["datagrams_unsent"]


@one_family
@pytest.mark.long
def test_a_minute_of_too_much_is_accounted_for(world, server, client, known,
                                               risen):
    before = unsent_by_switch(world, client)
    client.run(SEND)
    server.run(RECEIVE)
    task = server.spawn("receive_slowly(s, 0.0001, 3)")
    went = client.run("c.setblocking(True); send_for(c, 60)", 90)
    numbers = task.join(90)
    sender, receiver = risen(client), risen(server)
    assert numbers == sorted(set(numbers))
    assert went == len(numbers) + sender["datagrams_unsent"]
    assert receiver["datagrams_unsent_peer"] == sender["datagrams_unsent"] \
        == unsent_by_switch(world, client) - before


@one_family
def test_a_receiver_that_keeps_up_gets_everything(server, client, known,
                                                  risen):
    task = server.spawn("take(s, 6000, step=50)")
    sent = client.run("""
digest_of(steadily(c, (number.to_bytes(8, "big") * 120
                       for number in range(6000)), 50))
""", 60)
    assert task.join(60) == sent
    assert risen(client)["datagrams_unsent"] == 0


@one_family
def test_what_a_closed_socket_left_unread_is_counted(server, client, known,
                                                     risen):
    client.run("for _ in range(30): c.send(bytes(9000))")
    server.run("eventually(lambda: queued(s) == 9000)")
    server.run("s.close()")
    client.run("""
def all_told():
    now = stats()
    return now['circuits_open'] == 0
eventually(all_told)
""")
    sender, receiver = risen(client), risen(server)
    assert sender["datagrams_sent"] == receiver["datagrams_received"] + \
        sender["datagrams_unread"]
    assert sender["datagrams_sent"] + sender["datagrams_unsent"] == 30


@one_family
def test_what_is_not_for_a_socket_any_more_is_refused(server, client, known,
                                                      risen):
    # It is connected to somebody else now.
    server.run("s.connect((CLIENT, 9))")
    client.run("c.send(b'x')")
    assert client.errno("c.recv(10)") == ECONNREFUSED
    server.run("s.setblocking(False)")
    assert server.errno("s.recv(10)") == EAGAIN
    assert risen(client)["datagrams_unreachable"] == 1
    assert risen(server)["datagrams_received"] == 0


@one_family
def test_counters_are_shown(world, server, client, known):
    text = world.ctl("stats", client.name)
    assert "datagrams given up, ring full" in text
    assert any(line.get("datagram") for line in
               world.ask("show", client.name)
               if line["type"] == "circuit")
    assert json.dumps(world.switch_stats(client))
