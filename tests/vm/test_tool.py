# SPDX-License-Identifier: GPL-2.0-or-later
"""vmcircuit in the guest: up, down, status, run, and what it redirects."""

import json

import pytest

pytestmark = [pytest.mark.circuit, pytest.mark.remote,
              pytest.mark.own_proof, pytest.mark.one_family]


def is_circuit(client, code="c = connect()"):
    """Whether code's connection in the client was a circuit."""
    before = client.run("stats()['circuits_connected']")
    client.run(code)
    return client.run("stats()['circuits_connected']") == before + 1


@pytest.fixture
def restored(world, client):
    """Afterwards the client redirects everything again."""
    yield
    world.tool(client, "up")
    world.wait_attached()


def test_status_names_the_vm_and_its_addresses(world, client):
    text = world.tool(client, "status")
    for word in (client.name, client.v4, client.v6, "attached"):
        assert word in text


def test_status_as_json_has_its_members(world, client):
    status = json.loads(world.tool(client, "status", "--json"))
    assert status["loaded"] is True
    assert status["state"] == "attached"
    assert status["name"] == client.name
    assert sorted(address.split("/")[0] for address in status["addresses"]) \
        == sorted([client.v4, client.v6])
    assert status["redirect"]["mode"] == "guest"
    assert status["counters"]["circuits_open"] >= 0


def test_up_twice_changes_nothing(world, client, listener, restored):
    world.tool(client, "up")
    assert is_circuit(client)


def test_no_redirect_leaves_sockets_alone(world, client, restored):
    world.tool(client, "up", "--no-redirect")
    before = client.run("stats()")
    client.run("s = listen(host=CLIENT); c = connect(port_of(s), CLIENT)")
    # A redirected socket would have counted a local fallback.
    assert client.run("stats()") == before


def test_run_redirects_one_command(world, client, listener, restored):
    world.tool(client, "up", "--no-redirect")
    assert is_circuit(client, """
code, out, err = program("vmcircuit", "run", "python3", "-c",
    f"import socket; socket.create_connection(('{SERVER}', {PORT}))")
assert code == 0, err
""")


def test_run_with_preload_redirects_too(world, client, listener, restored):
    world.tool(client, "up", "--no-redirect")
    assert is_circuit(client, """
code, out, err = program("vmcircuit", "run", "--preload", "python3", "-c",
    f"import socket; socket.create_connection(('{SERVER}', {PORT}))")
assert code == 0, err
""")


def test_run_ends_as_its_command(world, client):
    assert client.vm.exec(["vmcircuit", "run", "sh", "-c",
                           "exit 7"]).rc == 7
    assert client.vm.exec(["vmcircuit", "run", "/nonexistent"]).rc == 127


def test_cgroup_limits_the_redirect(world, client, listener, restored):
    client.run("""
os.makedirs("/sys/fs/cgroup/chosen", exist_ok=True)
child = "import socket; socket.create_connection(('%s', %d))" % (SERVER, PORT)
""")
    world.tool(client, "up", "--cgroup", "/sys/fs/cgroup/chosen")
    assert is_circuit(client, """
code, out, err = program("sh", "-c",
    "echo $$ > /sys/fs/cgroup/chosen/cgroup.procs && exec python3 -c "
    f'"{child}"')
assert code == 0, err
""")
    before = client.run("stats()")
    client.run("s = listen(host=CLIENT); c = connect(port_of(s), CLIENT)")
    assert client.run("stats()") == before
    status = json.loads(world.tool(client, "status", "--json"))
    assert status["redirect"]["mode"] == "cgroup"


def test_down_ends_the_redirect_and_the_addresses(world, client, restored):
    world.tool(client, "down")
    code, text, _ = client.run("program('ip', '-o', 'addr')")
    assert client.v4 + "/" not in text
    status = json.loads(world.tool(client, "status", "--json"))
    assert status["redirect"]["mode"] == "off"


def test_down_lets_open_circuits_go_on(world, server, client, joined,
                                       restored):
    world.tool(client, "down")
    client.run("c.sendall(b'still')")
    assert server.run("receive(a, 5)") == b"still"


def test_up_after_down_makes_circuits_again(world, client, listener,
                                            restored):
    world.tool(client, "down")
    world.tool(client, "up")
    assert is_circuit(client)


@pytest.mark.parametrize("words, named", [
    (["nonsense"], "nonsense"), (["up", "--nonsense"], "--nonsense"),
    (["status", "extra"], "extra"), ([], "command"),
    (["up", "--cgroup"], "--cgroup"), (["run"], "command"),
    (["up", "--timeout", "soon"], "soon")], ids=str)
def test_wrong_command_line_exits_with_two_and_a_sentence(world, client,
                                                          words, named):
    assert named in world.tool(client, *words, code=2)


def test_up_with_an_unknown_cgroup_fails_and_names_it(world, client,
                                                      restored):
    done = client.vm.exec(["vmcircuit", "up", "--cgroup",
                           "/sys/fs/cgroup/nobody"])
    assert done.rc in (1, 2)
    assert "nobody" in done.err


@pytest.mark.parametrize("words", [["--help"], ["up", "--help"],
                                   ["status", "--help"]], ids=str)
def test_help_is_on_stdout(world, client, words):
    assert "vmcircuit" in world.tool(client, *words)


def test_circuits_are_listed_with_their_names(server, client, joined):
    text = client.run("open('/proc/net/vmcircuit/circuits').read()")
    port = client.run("port_of(c)")
    assert f"{client.v4}:{port}" in text
    assert server.v4 in text
