# SPDX-License-Identifier: GPL-2.0-or-later
"""vmcircuitd and vmcircuitctl: what they show, take and refuse."""

import os
import subprocess
from errno import EHOSTUNREACH

import pytest

from lab.configuration import ENDPOINT
from world import CHECKOUT

pytestmark = [pytest.mark.circuit, pytest.mark.remote,
              pytest.mark.own_proof, pytest.mark.one_family]

DAEMON = CHECKOUT / "build/switch/vmcircuitd"


def test_list_shows_every_vm(world, server):
    text = world.ctl("list")
    for guest in world.guests:
        line = next(line for line in text.splitlines()
                    if line.startswith(guest.name + " "))
        assert "attached" in line
        assert guest.v4 in line and guest.v6 in line


def test_list_as_json_has_every_vm(world, server):
    lines = world.ask("list")
    assert [line["name"] for line in lines] == \
        [guest.name for guest in world.guests] + [ENDPOINT]
    assert {line["state"] for line in lines[:-1]} == {"attached"}
    assert lines[-1]["state"] == "absent"


def test_show_has_listener_link_and_circuit(world, server, client, joined):
    lines = world.ask("show", server.name)
    port = server.run("PORT")
    listeners = [line["local"] for line in lines
                 if line["type"] == "listener"]
    assert any(name.endswith(f":{port}") for name in listeners)
    circuits = [line for line in lines if line["type"] == "circuit"]
    peer = client.run("port_of(c)")
    assert [line for line in circuits if line["peer"] == client.name and
            line["remote"].endswith(f":{peer}") and
            line["state"] == "open"]
    assert [line for line in lines if line["type"] == "link" and
            line["peer"] == client.name and line["state"] == "up"]


def test_show_as_table_names_both_ends(world, server, client, joined):
    text = world.ctl("show", client.name)
    port = client.run("port_of(c)")
    assert f"{client.v4}:{port}" in text
    assert f"{server.v4}:{server.run('PORT')}" in text


def test_circuit_is_gone_from_show_after_close(world, server, client, joined,
                                               eventually):
    port = client.run("port_of(c)")
    server.run("a.close()")
    client.run("c.close()")
    eventually(lambda: f":{port}" not in world.ctl("show", client.name),
               "the closed circuit is not shown")


def test_stats_count_circuits(world, server, client, listener):
    before = world.switch_stats(client)["circuits_opened"]
    client.run("socks = [connect() for _ in range(5)]")
    assert world.switch_stats(client)["circuits_opened"] == before + 5


def test_stats_as_table_has_a_line_for_each_counter(world, client):
    text = world.ctl("stats", client.name)
    assert "circuits opened" in text
    assert all(line.startswith(client.name) or line.startswith("VM")
               for line in text.splitlines() if line)


def test_second_circuit_between_vms_maps_nothing(world, server, client,
                                                 joined):
    before = [world.switch_stats(guest) for guest in (server, client)]
    client.run("socks = [connect() for _ in range(50)]")
    after = [world.switch_stats(guest) for guest in (server, client)]
    for old, new in zip(before, after):
        assert new["mapping_requests"] == old["mapping_requests"]
        assert new["segments_mapped"] == old["segments_mapped"]


def test_vms_that_do_not_talk_share_no_segment(world, server, client):
    third = world.guests[2]
    before = world.switch_stats(third)["segments_mapped"]
    client.set(PORT=server.run("s = listen(); port_of(s)"))
    client.run("c = connect()")
    assert world.switch_stats(third)["segments_mapped"] == before


@pytest.mark.parametrize("words, named", [
    (["nonsense"], "nonsense"), (["--nonsense"], "nonsense"),
    (["show"], "show"), ([], "command")], ids=str)
def test_wrong_ctl_command_line_exits_with_two(world, server, words, named):
    assert named in world.ctl(*words, code=2).lower()


def test_ctl_about_an_unknown_vm_says_so(world, server):
    assert "vm" in world.ctl("show", "nobody", code=2).lower()


def test_ctl_without_a_switch_says_where_it_looked(tmp_path):
    path = tmp_path / "nowhere.sock"
    done = subprocess.run([CHECKOUT / "build/ctl/vmcircuitctl", "--socket",
                           path, "list"], capture_output=True, text=True)
    assert done.returncode in (1, 2)
    assert str(path) in done.stderr


def daemon(*words):
    return subprocess.run([DAEMON, *words], capture_output=True, text=True,
                          timeout=10)


@pytest.mark.parametrize("words", [["--nonsense"], ["extra"], ["--config"]],
                         ids=str)
def test_wrong_daemon_command_line_exits_with_two(words):
    done = daemon(*words)
    assert done.returncode == 2
    assert done.stderr.strip()


def test_missing_configuration_exits_with_two_and_names_it(tmp_path):
    done = daemon("--config", tmp_path / "nowhere.conf")
    assert done.returncode == 2
    assert "nowhere.conf" in done.stderr


GOOD = ('control = "{dir}/control"\nvm "one" {{\n'
        '  socket = "{dir}/one.sock"\n  addresses = {{ "10.1.0.1/24" }}\n'
        '  network = "n"\n}}\n')


@pytest.mark.parametrize("old, new, line, key", [
    ('network = "n"', 'netwrok = "n"', 5, "netwrok"),
    ("10.1.0.1/24", "10.1.0.999/24", 4, "addresses"),
    ("10.1.0.1/24", "10.1.0.1/99", 4, "addresses"),
    ('"10.1.0.1/24"', '"nonsense"', 4, "addresses")],
    ids=["key", "address", "prefix", "word"])
def test_configuration_error_names_file_line_and_key(tmp_path, old, new,
                                                     line, key):
    path = tmp_path / "bad.conf"
    path.write_text(GOOD.format(dir=tmp_path).replace(old, new))
    done = daemon("--config", path)
    assert done.returncode == 2
    assert f"bad.conf:{line}" in done.stderr
    assert key in done.stderr


def test_two_vms_with_one_address_are_refused(tmp_path):
    path = tmp_path / "bad.conf"
    text = GOOD.format(dir=tmp_path)
    second = text[text.index('vm "one"'):]
    path.write_text(text + second.replace('"one"', '"two"')
                    .replace("one.sock", "two.sock"))
    done = daemon("--config", path)
    assert done.returncode == 2
    assert "10.1.0.1" in done.stderr


def test_vms_of_different_networks_do_not_reach_each_other(world, server,
                                                           client):
    for guest in world.guests:
        guest.tell("vmcircuit: the switch")
    config = world.switch.config.read_text()
    lines = [line.replace('network = "lab"', 'network = "other"')
             if 'vm "vm2"' in line else line
             for line in config.splitlines()]
    world.switch.config.write_text("\n".join(lines) + "\n")
    try:
        world.switch.restart()
        world.wait_attached()
        client.set(PORT=server.run("s = listen(); port_of(s)"))
        assert client.errno("connect()") == EHOSTUNREACH
        third = world.guests[2]
        third.set(FAMILY=2, SERVER=server.v4, CLIENT=third.v4,
                  PORT=server.run("port_of(s)"))
        third.run("c = connect(); c.sendall(b'x')")
        assert server.run("a, _ = s.accept(); receive(a, 1)") == b"x"
    finally:
        world.switch.config.write_text(config)
        world.switch.restart()
        world.wait_attached()


def test_switch_drops_its_memory_when_circuits_close(world, server, client,
                                                     joined, eventually):
    # Freed rings give their pages back: the segments are sparse again.
    pid = world.switch.pid()

    def used():
        total = 0
        for entry in os.listdir(f"/proc/{pid}/fd"):
            path = f"/proc/{pid}/fd/{entry}"
            if "vmcircuit-segment" in os.readlink(path):
                total += os.stat(path).st_blocks * 512
        return total

    client.run("socks = [connect() for _ in range(20)]")
    server.run("accepted = [s.accept()[0] for _ in range(20)]")
    client.run("for c2 in socks: fill(c2)")
    full = used()
    assert full > 20 * 65536
    client.run("for c2 in socks: linger(c2, 1, 0); c2.close()")
    server.run("for b in accepted: b.close()")
    eventually(lambda: used() < full - 20 * 65536, "the pages are back")
