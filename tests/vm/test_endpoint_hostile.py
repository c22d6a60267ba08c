# SPDX-License-Identifier: GPL-2.0-or-later
"""Host processes and guests that abuse what they share with each other."""

import subprocess
import sys
import threading

import pytest

from endpoint import LIBRARY, Endpoint
from lab.configuration import ENDPOINT_ADDRESSES
from mapping import HELPERS, SCRIBBLER, helpers  # noqa: F401 (fixture)
from mapping import stop_bystanders
from puppet import pattern
from world import HERE

pytestmark = [pytest.mark.circuit, pytest.mark.remote, pytest.mark.one_family]

HERE_V4 = ENDPOINT_ADDRESSES[0]
DURATIONS = [6, pytest.param(300, marks=pytest.mark.long)]


class Bystander(threading.Thread):
    """An honest process: echoes of a guest, compared, until stop()."""

    def __init__(self, world, host, port):
        super().__init__()
        self.endpoint = Endpoint(LIBRARY, world.switch.endpoint)
        self.connection = self.endpoint.dial(host, port)
        self.over, self.rounds, self.wrong = threading.Event(), 0, None
        self.start()

    def run(self):
        data = pattern(100_000, 5)
        while not self.over.is_set() and self.wrong is None:
            try:
                self.connection.send(data)
                if self.connection.receive(len(data)) != data:
                    self.wrong = "other bytes came back"
            except OSError as error:
                self.wrong = error
            self.rounds += 1

    def stop(self):
        """How many rounds; none went wrong."""
        self.over.set()
        self.join()
        assert self.wrong is None, self.wrong
        self.endpoint.close()
        return self.rounds


class Victim(threading.Thread):
    """A process that serves whoever comes, and lives through it."""

    def __init__(self, world, port):
        super().__init__()
        self.endpoint = Endpoint(LIBRARY, world.switch.endpoint)
        self.place = self.endpoint.listen(HERE_V4, port)
        self.over, self.served = threading.Event(), 0
        self.start()

    def run(self):
        while not self.over.is_set():
            try:
                connection, _ = self.place.accept(200)
            except BlockingIOError:
                continue
            self.endpoint.owned.remove(connection)
            self.served += 1
            try:
                while data := connection.recv(65536, 500):
                    connection.send(data, 500)
            except OSError:
                pass
            connection.close()

    def stop(self):
        self.over.set()
        self.join()
        self.endpoint.close()
        return self.served


@pytest.mark.parametrize("seconds", DURATIONS)
def test_process_that_scribbles_harms_only_itself(world, server, client,
                                                  helpers, seconds):
    world.trouble = ("lies",)
    for guest in world.guests:
        guest.tell("vmcircuit: .* impossible")
    world.tell('endpoint "host"')
    pid = world.switch.pid()
    port = server.run(SCRIBBLER + "t = listen(); port_of(t)")
    attacked = server.run("s = listen(backlog=1000); port_of(s)")
    client.run(HELPERS + SCRIBBLER + f"e = connect({port})")
    tasks = [server.spawn("echo(t.accept()[0])") for _ in range(2)]
    process = Bystander(world, server.v4, port)
    victims = server.spawn("suffer(s, False)")
    guest = client.spawn("traffic(e, stop, 1)")
    attacker = subprocess.run(
        [sys.executable, HERE / "endpoint_scribbler.py", LIBRARY,
         world.switch.endpoint, server.v4, str(attacked), str(seconds), "1"],
        capture_output=True, text=True, timeout=seconds + 60)
    assert attacker.returncode == 0, attacker.stderr
    rounds = process.stop(), *stop_bystanders([client], [guest])
    for task in tasks:
        task.join(30)
    assert int(attacker.stdout) > 100 * seconds and min(rounds) > seconds, \
        (attacker.stdout, rounds)
    server.run("s.shutdown(SHUT_RDWR)")
    assert victims.join(30) > seconds / 2
    assert world.switch.pid() == pid


@pytest.mark.parametrize("seconds", DURATIONS)
def test_guest_that_scribbles_does_no_harm_to_processes(
        world, server, client, helpers, seconds):
    world.trouble = ("lies",)
    for guest in world.guests:
        guest.tell("vmcircuit: .* impossible")
    world.tell('vm "vm[12]"')
    pid = world.switch.pid()
    port = server.run(SCRIBBLER + "t = listen(); port_of(t)")
    echo = server.spawn("echo(t.accept()[0])")
    process = Bystander(world, server.v4, port)
    victim = Victim(world, 7200)
    client.run(HELPERS + SCRIBBLER)
    client.set(SERVER=HERE_V4, PORT=7200)
    spoilt = client.spawn(f"attacks({seconds}, 'process')").join(seconds + 60)
    served, rounds = victim.stop(), process.stop()
    echo.join(30)
    assert spoilt > seconds and served > seconds / 2 and \
        rounds > seconds, (spoilt, served, rounds)
    assert world.switch.pid() == pid
